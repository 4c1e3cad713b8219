//! Tokens that the authorization server is asked about: RFC 7662, RFC 6749 §2.3.1, RFC 6750 §3.1.

#[path = "support/resource_server.rs"]
mod resource_server;
mod support;
#[path = "support/web.rs"]
mod web;

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use resource_server::{API, ISSUER, METADATA, NOW, assert_good, assert_refused, assert_unavailable, through};
use serde_json::{Map, Value, json};
use support::{Answer, App, SECRET, app, builder, send, with_members};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tower_oauth::resource_server::IntrospectorBuilder;
use tower_oauth::testing::ManualClock;
use tower_oauth::{Authorized, BearerLayer, Client, Fetch, Introspector, StepUp};
use web::{Web, document};

const ENDPOINT: &str = "https://shift.example/introspect";

/// What the endpoint says of a good token.
fn active() -> Value {
    json!({
        "active": true, "iss": ISSUER, "aud": API, "sub": "alice", "client_id": "app", "scope": "profile",
        "token_type": "Bearer", "exp": NOW + 600, "jti": "1",
    })
}

fn but(other: Value) -> Value {
    with_members(active(), other)
}

struct Scene {
    web: Web,
    clock: ManualClock,
}

/// An endpoint that says this of every token.
fn scene(answer: Value) -> Scene {
    let web = Web::default();
    web.put(METADATA, json!({"issuer": ISSUER, "introspection_endpoint": ENDPOINT}));
    web.put(ENDPOINT, answer);
    Scene { web, clock: ManualClock::default() }
}

impl Scene {
    fn builder(&self) -> IntrospectorBuilder {
        let builder = Introspector::builder(API, ISSUER).credentials("api", SECRET);
        builder.fetch(self.web.clone()).clock(self.clock.clone())
    }

    fn introspector(&self) -> Introspector {
        self.builder().build().expect("a good configuration")
    }

    fn layer(&self) -> BearerLayer {
        self.introspector().bearer()
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    fn questions(&self) -> usize {
        self.web.hits(ENDPOINT)
    }
}

/// RFC 7662 §2.1, RFC 6749 §2.3.1: id and secret are encoded as in a form, each for itself.
#[tokio::test]
async fn it_asks_as_the_client_that_it_is_about_the_token_alone() {
    let scene = scene(active());
    let builder = Introspector::builder(API, ISSUER).credentials("https://api.example", "a:b =+%/é");
    let layer = builder.fetch(scene.web.clone()).clock(scene.clock.clone()).build().expect("good").bearer();
    assert_good(&through(&layer, "a+b/c==").await);
    let asked = scene.web.asked();
    let [metadata, question] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!((&*metadata.url, &*question.url), (METADATA, ENDPOINT));
    assert!(metadata.headers.get(header::AUTHORIZATION).is_none());
    assert_eq!(question.body, "token=a%2Bb%2Fc%3D%3D&token_type_hint=access_token");
    assert_eq!(question.headers[header::CONTENT_TYPE], "application/x-www-form-urlencoded");
    assert_eq!(question.headers[header::ACCEPT], "application/json");
    let credentials = question.headers[header::AUTHORIZATION].to_str().expect("text");
    let credentials = STANDARD.decode(credentials.strip_prefix("Basic ").expect("the scheme")).expect("base64");
    assert_eq!(str::from_utf8(&credentials), Ok("https%3A%2F%2Fapi.example:a%3Ab+%3D%2B%25%2F%C3%A9"));
}

#[tokio::test]
async fn neither_secret_nor_token_is_shown() {
    let introspector = scene(active()).introspector();
    let builder = Introspector::builder(API, ISSUER).credentials("api", SECRET);
    for shown in [format!("{introspector:?}"), format!("{builder:?}")] {
        assert!(shown.contains(ISSUER) && !shown.contains(SECRET) && !shown.contains("Basic"), "{shown}");
    }
}

/// RFC 7662 §2.2
#[tokio::test]
async fn an_active_token_passes_with_all_that_is_said_of_it() {
    let scene = scene(but(json!({"aud": [API, "urn:x"], "token_type": "bearer", "username": "alice@example.com"})));
    let seen = Arc::new(Mutex::new(None));
    let layer = scene.layer().user_with(Arc::clone(&seen), async |seen: Arc<Mutex<_>>, token: Authorized| {
        *seen.lock().expect("no panic") = Some(token);
        Some(())
    });
    assert_good(&through(&layer, "good").await);
    let token = seen.lock().expect("no panic").take().expect("a user was looked up");
    assert_eq!(
        (token.scope().to_string(), token.issuer().map(|issuer| issuer.as_str())),
        ("profile".to_owned(), Some(ISSUER))
    );
    assert_eq!(token.resources().map(|resource| resource.as_str()).collect::<Vec<_>>(), [API]);
    assert_eq!(token.expires_at(), SystemTime::UNIX_EPOCH + Duration::from_secs(NOW + 600));
    let expected: Map<String, Value> =
        [("jti".to_owned(), "1".into()), ("username".to_owned(), "alice@example.com".into())].into_iter().collect();
    assert_eq!(token.claims(), Some(&expected));
}

/// RFC 9470 §6.2: how and when the user authenticated, by the introspector's clock
#[tokio::test]
async fn an_active_token_is_asked_how_and_when_its_user_authenticated() {
    for (claims, good) in [
        (json!({"acr": "mfa", "auth_time": NOW - 60}), true),
        (json!({"acr": "mfa", "auth_time": NOW - 61}), false),
        (json!({"acr": "pwd", "auth_time": NOW}), false),
        (json!({}), false),
    ] {
        let layer = scene(but(claims)).introspector().bearer();
        let layer = layer.step_up(StepUp::acr("mfa").max_age(Duration::from_secs(60)));
        let answer = through(&layer, "good").await;
        assert_eq!(answer.status == StatusCode::OK, good, "{answer:?}");
        let expected = "error=\"insufficient_user_authentication\"";
        assert!(good || answer.header(header::WWW_AUTHENTICATE).contains(expected), "{answer:?}");
    }
}

/// A client is no user, whether or not it is named as one.
#[tokio::test]
async fn a_client_that_acts_for_itself_is_no_user() {
    for sub in [json!("app"), json!(null)] {
        let layer = scene(but(json!({"sub": sub}))).layer();
        assert_eq!(through(&layer, "good").await.body, "app through app");
        let layer = layer.user(async |_: Authorized| -> Option<()> { panic!("nobody to look up") });
        assert_eq!(through(&layer, "good").await.status, StatusCode::FORBIDDEN);
    }
}

/// RFC 7662 §2.2, RFC 7800 §3, RFC 9449 §7.1: also what is active may be no bearer token for this place.
#[tokio::test]
async fn what_is_not_good_here_is_401() {
    for (answer, why) in [
        (json!({"active": false}), "not active"),
        (json!({"active": false, "sub": "alice"}), "not active"),
        (but(json!({"token_type": null})), "no access token for bearers"),
        (but(json!({"token_type": "DPoP"})), "no access token for bearers"),
        (but(json!({"token_type": "refresh_token"})), "no access token for bearers"),
        (but(json!({"cnf": {"jkt": "x"}})), "bound to a key"),
        (but(json!({"iss": "https://other.example"})), "not trusted"),
        (but(json!({"exp": NOW})), "has expired"),
        (but(json!({"aud": "https://api.example.org"})), "another resource"),
        (but(json!({"aud": []})), "another resource"),
        (but(json!({"aud": null})), "another resource"),
    ] {
        let scene = scene(answer);
        let introspector = scene.introspector();
        for layer in [introspector.bearer(), BearerLayer::new(introspector.clone())] {
            for _ in 0..2 {
                assert_refused(&through(&layer, "some").await, why);
            }
        }
        assert_eq!(scene.questions(), 1, "{why}");
    }
}

/// 503, and never 401: of the token nothing is known, and whoever presents it can do nothing about it.
#[tokio::test]
async fn where_the_answer_is_none_it_is_503_and_the_next_request_asks_again() {
    let html = || {
        let mut answer = document(active());
        answer.headers_mut().insert(header::CONTENT_TYPE, "text/html".parse().expect("a value"));
        answer
    };
    let with_status = |status| {
        let mut answer = document(active());
        *answer.status_mut() = status;
        answer
    };
    for answer in [
        with_status(StatusCode::UNAUTHORIZED),
        with_status(StatusCode::FORBIDDEN),
        with_status(StatusCode::BAD_REQUEST),
        with_status(StatusCode::FOUND),
        with_status(StatusCode::CREATED),
        with_status(StatusCode::INTERNAL_SERVER_ERROR),
        html(),
        document("no JSON"),
        document("{}"),
        document("[]"),
        document(json!({"active": "true"})),
        document(json!({"active": 1})),
        document(but(json!({"client_id": null}))),
        document(but(json!({"sub": 1}))),
        document(but(json!({"exp": "soon"}))),
        document(but(json!({"exp": -1}))),
        document(but(json!({"aud": 1}))),
        document(but(json!({"more": "x".repeat(65_536)}))),
        document(but(json!({"scope": "a\"b"}))),
    ] {
        let scene = scene(active());
        let layer = scene.layer();
        scene.web.answer(ENDPOINT, move |_| answer.clone());
        assert_unavailable(&through(&layer, "some").await);
        assert_unavailable(&through(&layer, "some").await);
        assert_eq!(scene.questions(), 2);
        scene.web.put(ENDPOINT, active());
        assert_good(&through(&layer, "some").await);
    }
}

#[tokio::test]
async fn it_starts_while_the_server_is_down_and_recovers() {
    let scene = scene(active());
    scene.web.take_down();
    let layer = scene.layer();
    assert_unavailable(&through(&layer, "some").await);
    scene.web.repair();
    scene.pass(5);
    assert_good(&through(&layer, "some").await);
}

/// A server that never answers holds nobody for longer than 10 seconds, and then nobody who comes.
#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_is_503() {
    let scene = scene(active());
    let layer = scene.builder().endpoint(ENDPOINT).build().expect("good").bearer();
    scene.web.hold();
    let began = Instant::now();
    // However many come: they wait in a line, and not at the server.
    let waiting: Vec<_> = (0..100).map(|n| asking(&layer, n)).collect();
    // A moment of the time that stands still while anything can be done.
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert_eq!(scene.questions(), 64);
    for answer in waiting {
        assert_unavailable(&answer.await.expect("no panic"));
    }
    assert_eq!(began.elapsed().as_secs(), 10);
    assert_unavailable(&through(&layer, "some").await);
    assert_eq!((began.elapsed().as_secs(), scene.questions()), (10, 64));
    scene.web.release();
    scene.pass(5);
    assert_good(&through(&layer, "some").await);
}

/// Somebody comes with a token of their own.
fn asking(layer: &BearerLayer, number: usize) -> JoinHandle<Answer> {
    let layer = layer.clone();
    tokio::spawn(async move { through(&layer, &number.to_string()).await })
}

/// Whoever comes with another token, one after the other, while a server is down.
async fn fifty_are_unavailable(layer: &BearerLayer) {
    for number in 0..50 {
        assert_unavailable(&through(layer, &number.to_string()).await);
    }
}

/// A question that is not answered costs those who come after it nothing: they hear so at once, and of those who come 5
/// seconds later one tries.
#[tokio::test]
async fn a_server_that_is_down_is_asked_once_in_5_seconds() {
    let scene = scene(active());
    let layer = scene.builder().endpoint(ENDPOINT).build().expect("good").bearer();
    assert_good(&through(&layer, "known").await);
    scene.web.take_down();
    scene.web.new_hits();
    for round in 1..4 {
        fifty_are_unavailable(&layer).await;
        scene.pass(4);
        fifty_are_unavailable(&layer).await;
        assert_eq!(scene.questions(), round);
        assert_good(&through(&layer, "known").await);
        scene.pass(1);
    }
    // It is there again, and slow: while one tries nobody else does.
    scene.web.repair();
    scene.web.hold();
    let trying = asking(&layer, 0);
    while scene.questions() < 4 {
        tokio::task::yield_now().await;
    }
    for number in 1..50 {
        assert_unavailable(&through(&layer, &number.to_string()).await);
    }
    scene.web.release();
    assert_good(&trying.await.expect("no panic"));
    for number in 1..50 {
        assert_good(&through(&layer, &number.to_string()).await);
    }
}

/// RFC 9110 §15.6, RFC 6585 §4: what says that nobody is there, or that too many come
#[tokio::test]
async fn one_that_says_that_it_is_not_there_is_left_alone_too() {
    for (status, left_alone) in [(429, true), (502, true), (503, true), (504, true), (500, false), (401, false)] {
        let scene = scene(active());
        let layer = scene.layer();
        let status = StatusCode::from_u16(status).expect("a status");
        scene.web.answer(ENDPOINT, move |_| web::status(status));
        fifty_are_unavailable(&layer).await;
        assert_eq!(scene.questions(), if left_alone { 1 } else { 50 }, "{status}");
    }
}

/// Else whoever finds a token over which the server stumbles shuts all others out.
#[tokio::test]
async fn a_question_that_fails_beside_one_that_is_answered_keeps_nobody_from_asking() {
    let scene = scene(active());
    let layer = scene.builder().endpoint(ENDPOINT).build().expect("good").bearer();
    scene.web.answer(ENDPOINT, |request| {
        if request.body().starts_with(b"token=0&") { web::status(StatusCode::BAD_GATEWAY) } else { document(active()) }
    });
    for _ in 0..20 {
        scene.web.hold();
        scene.web.new_hits();
        let stumbling = [asking(&layer, 0), asking(&layer, rand::random_range(1..usize::MAX))];
        while scene.questions() < 2 {
            tokio::task::yield_now().await;
        }
        scene.web.release();
        for answer in stumbling {
            answer.await.expect("no panic");
        }
        assert_good(&through(&layer, &rand::random::<u64>().to_string()).await);
    }
}

/// The answer is good for 30 seconds, and so is a token that was revoked meanwhile.
#[tokio::test]
async fn an_answer_is_good_for_a_while_and_never_beyond_the_end_of_the_token() {
    let scene = scene(active());
    let layer = scene.layer();
    for _ in 0..3 {
        assert_good(&through(&layer, "one").await);
    }
    assert_good(&through(&layer, "two").await);
    assert_eq!(scene.questions(), 2);
    scene.web.put(ENDPOINT, json!({"active": false}));
    scene.pass(29);
    assert_good(&through(&layer, "one").await);
    scene.pass(1);
    assert_refused(&through(&layer, "one").await, "not active");
    assert_eq!(scene.questions(), 3);
    // A refusal holds for 10 seconds.
    scene.web.put(ENDPOINT, active());
    scene.pass(9);
    assert_refused(&through(&layer, "one").await, "not active");
    scene.pass(1);
    assert_good(&through(&layer, "one").await);
    // The end of the token comes first.
    scene.web.put(ENDPOINT, but(json!({"exp": NOW + 50})));
    assert_good(&through(&layer, "three").await);
    scene.web.put(ENDPOINT, json!({"active": false}));
    scene.pass(10);
    assert_refused(&through(&layer, "three").await, "not active");
}

#[tokio::test]
async fn with_no_time_to_remember_every_request_asks() {
    let scene = scene(active());
    let layer = scene.builder().remember_for(Duration::ZERO).build().expect("good").bearer();
    for n in 1..=3 {
        assert_good(&through(&layer, "one").await);
        assert_eq!(scene.questions(), n);
    }
}

/// What says no end is good for as long as its answer is.
#[tokio::test]
async fn a_token_without_an_end_is_asked_about_again() {
    let absent = but(json!({"exp": null}));
    let mut null = absent.clone();
    null["exp"] = Value::Null;
    for answer in [absent, null] {
        let scene = scene(answer);
        let layer = scene.layer();
        assert_good(&through(&layer, "one").await);
        scene.pass(30);
        assert_good(&through(&layer, "one").await);
        assert_eq!(scene.questions(), 2);
    }
}

/// One question for all, and whoever hangs up takes it from nobody.
#[tokio::test]
async fn whoever_comes_with_one_token_at_once_shares_one_question() {
    let scene = scene(active());
    let layer = scene.layer();
    scene.web.hold();
    let waiting: Vec<_> = (0..64)
        .map(|_| {
            let layer = layer.clone();
            tokio::spawn(async move { through(&layer, "one").await })
        })
        .collect();
    while scene.web.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    waiting[0].abort();
    scene.web.release();
    for (n, answer) in waiting.into_iter().enumerate() {
        match answer.await {
            Ok(answer) => assert_good(&answer),
            Err(error) => assert!(n == 0 && error.is_cancelled(), "{error}"),
        }
    }
    assert_eq!(scene.questions(), 1);
}

/// A flood of tokens that are none does not make good ones be asked about again.
#[tokio::test]
async fn refused_tokens_take_the_place_of_no_good_one() {
    let scene = scene(active());
    let layer = scene.builder().remember(8).build().expect("good").bearer();
    assert_good(&through(&layer, "good").await);
    scene.web.put(ENDPOINT, json!({"active": false}));
    for n in 0..100 {
        assert_refused(&through(&layer, &format!("bad{n}")).await, "not active");
    }
    assert_good(&through(&layer, "good").await);
    assert_eq!(scene.questions(), 101);
}

#[test]
fn what_cannot_work_is_said_when_it_is_built() {
    let wrong = |builder: IntrospectorBuilder| builder.build().expect_err("it cannot work").to_string();
    let good = || Introspector::builder(API, ISSUER).credentials("api", SECRET).fetch(Web::default());
    let bare = wrong(Introspector::builder("api", ISSUER));
    assert!(bare.contains("resource \"api\"") && bare.contains(".credentials(") && bare.contains(".fetch("), "{bare}");
    assert!(wrong(good().endpoint("http://shift.example/introspect")).contains("https://.."));
    assert!(wrong(good().remember(usize::MAX)).contains("10,000,000"));
    assert!(wrong(good().remember_for(Duration::from_secs(601))).contains("10 minutes"));
    let plain = Introspector::builder(API, "http://shift.example").credentials("api", SECRET).fetch(Web::default());
    assert!(wrong(plain).contains("http://shift.example"));
}

// ---- against a provider ----------------------------------------------------------------------------------------------

/// Another server, without a socket.
struct InProcess(App);

impl Fetch for InProcess {
    type Error = Infallible;

    async fn fetch(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Infallible> {
        let answer = send(&self.0, request.map(Body::from)).await;
        let mut response = Response::new(Bytes::from(answer.body));
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }
}

#[tokio::test]
async fn a_provider_tells_what_its_tokens_are_worth_at_another_server() {
    let clock = ManualClock::default();
    let server = Client::resource_server("api", SECRET, ISSUER);
    let provider = builder(&clock).client(server).build().expect("good");
    let (_, refresh_token) = support::tokens(&app(&provider), "profile").await;
    let ask = |secret: &str| {
        let builder = Introspector::builder(ISSUER, ISSUER).credentials("api", secret).clock(clock.clone());
        builder.fetch(InProcess(app(&provider))).build().expect("good").bearer().require("profile")
    };
    let issue = async |scope: &str| {
        let issued = provider.issue("public", "alice", scope.parse().expect("a scope")).await;
        issued.expect("the store answers").secret().to_owned()
    };
    let layer = ask(SECRET);
    let (good, narrow) = (issue("profile").await, issue("notes:read").await);
    assert_eq!(through(&layer, &good).await.body, "alice through public");
    assert_eq!(through(&layer, &narrow).await.status, StatusCode::FORBIDDEN);
    assert_refused(&through(&layer, &refresh_token).await, "not active");
    assert_refused(&through(&layer, "toa_at_forged").await, "not active");
    assert_unavailable(&through(&ask("another-secret-of-32-characters-or-more"), &good).await);
}
