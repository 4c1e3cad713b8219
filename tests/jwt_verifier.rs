//! Access tokens of other issuers: RFC 9068 §4, RFC 8725, RFC 8414 §3, RFC 6750 §3.1.

#[path = "support/issuer.rs"]
mod issuer;
#[path = "support/jws.rs"]
mod jws;
#[path = "support/resource_server.rs"]
mod resource_server;
mod support;
#[path = "support/web.rs"]
mod web;

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderValue, Request, Response, StatusCode, header};
use issuer::{Key, jwks, key_set};
use resource_server::{API, ISSUER, METADATA, NOW, assert_good, assert_refused, assert_unavailable, through};
use serde_json::{Value, json};
use support::{bearer, with_members as with};
use tower::{Layer, ServiceExt};
use tower_oauth::event::Event;
use tower_oauth::jwt::Jwks;
use tower_oauth::resource_server::{JwtVerifierBuilder, TrustedIssuer};
use tower_oauth::testing::ManualClock;
use tower_oauth::{Authorized, BearerLayer, Credentials, JwtVerifier, Refusal, StepUp, Verification, Verify};
use web::Web;

const KEYS: &str = "https://shift.example/keys";

/// What an issuer says of a token of alice's for this API.
fn claims() -> Value {
    json!({
        "iss": ISSUER, "aud": API, "sub": "alice", "client_id": "app", "jti": "1", "scope": "profile notes:read",
        "iat": NOW, "exp": NOW + 600,
    })
}

/// An issuer with one key, on a web of its own.
struct Scene {
    web: Web,
    clock: ManualClock,
    key: Key,
}

fn scene() -> Scene {
    let (web, key) = (Web::default(), Key::new());
    web.put(METADATA, json!({"issuer": ISSUER, "jwks_uri": KEYS}));
    web.put(KEYS, jwks(&[&key]));
    Scene { web, clock: ManualClock::default(), key }
}

impl Scene {
    fn builder(&self) -> JwtVerifierBuilder {
        JwtVerifier::builder(API).fetch(self.web.clone()).clock(self.clock.clone())
    }

    /// By discovery.
    fn verifier(&self) -> JwtVerifier {
        self.builder().issuer(ISSUER).build().expect("a good configuration")
    }

    fn token(&self, other: Value) -> String {
        self.key.token(&with(claims(), other))
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// The token that a request with it brings to the service.
async fn authorized(verifier: &JwtVerifier, token: &str) -> Authorized {
    let look = tower::service_fn(async |request: Request<Body>| {
        let token = Authorized::<()>::from_extensions(request.extensions()).expect("a layer above");
        let mut answer = Response::new(Body::empty());
        answer.extensions_mut().insert(token);
        Ok::<_, Infallible>(answer)
    });
    let answer = verifier.bearer().layer(look).oneshot(bearer("/", token)).await;
    answer.expect("it answers").extensions().get::<Authorized>().expect("a good token").clone()
}

// ---- what a token says -----------------------------------------------------------------------------------------------

/// RFC 9068 §2.2 and §4
#[tokio::test]
async fn a_token_of_a_trusted_issuer_passes_with_all_that_it_says() {
    let scene = scene();
    let token = scene.token(json!({"auth_time": NOW - 60, "tenant": "blue", "aud": [API, "https://other.example"]}));
    let token = authorized(&scene.verifier(), &token).await;
    assert_eq!((token.subject(), token.client_id().as_str()), ("alice", "app"));
    assert_eq!(token.user_subject().map(|subject| subject.as_str()), Some("alice"));
    assert_eq!((token.scope().to_string(), token.has_scope("notes:read")), ("profile notes:read".to_owned(), true));
    let resources: Vec<_> = token.resources().map(|resource| resource.as_str()).collect();
    assert_eq!(resources, [API, "https://other.example"]);
    assert_eq!(token.expires_at(), SystemTime::UNIX_EPOCH + Duration::from_secs(NOW + 600));
    assert_eq!(token.issuer().map(|issuer| issuer.as_str()), Some(ISSUER));
    let expected = json!({"tenant": "blue", "jti": "1", "iat": NOW, "auth_time": NOW - 60});
    assert_eq!(token.claims().cloned().map(Value::Object), Some(expected));
    assert!(token.grant().is_none());
}

/// RFC 9470 §6.1: how and when the user authenticated, by the verifier's clock
#[tokio::test]
async fn a_token_is_asked_how_and_when_its_user_authenticated() {
    let scene = scene();
    let layer = scene.verifier().bearer().step_up(StepUp::acr("mfa").max_age(Duration::from_secs(60)));
    assert_good(&through(&layer, &scene.token(json!({"acr": "mfa", "auth_time": NOW - 60}))).await);
    for claims in [json!({}), json!({"acr": "mfa", "auth_time": NOW - 61}), json!({"acr": "pwd", "auth_time": NOW})] {
        let answer = through(&layer, &scene.token(claims)).await;
        let expected = "error=\"insufficient_user_authentication\"";
        assert!(answer.header(header::WWW_AUTHENTICATE).contains(expected), "{answer:?}");
    }
}

/// RFC 9068 §5: where a client acts for itself, `sub` is the client, and that is no user.
#[tokio::test]
async fn a_client_that_acts_for_itself_is_no_user() {
    let scene = scene();
    let own = scene.token(json!({"sub": "app"}));
    let layer = scene.verifier().bearer();
    assert_eq!(through(&layer, &own).await.body, "app through app");
    let layer = layer.user(async |_: Authorized| -> Option<()> { panic!("nobody to look up") });
    assert_eq!(through(&layer, &own).await.status, StatusCode::FORBIDDEN);
}

/// RFC 6750 §3.1, RFC 9728 §5.1: as for tokens of our own.
#[tokio::test]
async fn a_token_that_lacks_a_scope_is_403_with_what_it_lacks() {
    let scene = scene();
    let layer = scene.verifier().bearer().resource_metadata("https://api.example/meta").require("notes:write");
    let answer = through(&layer, &scene.token(json!({}))).await;
    let expected = "Bearer realm=\"https://api.example\", error=\"insufficient_scope\", error_description=\"the token \
                    lacks a scope\", scope=\"notes:write\", resource_metadata=\"https://api.example/meta\"";
    assert_eq!((answer.status, answer.header(header::WWW_AUTHENTICATE)), (StatusCode::FORBIDDEN, expected));
}

/// Each refusal of a layer that has no provider is told with its reason: whose token it was where that one is good, and what
/// could not be reached where nobody can tell.
#[tokio::test]
async fn a_layer_over_a_verifier_tells_what_it_refuses() {
    let scene = scene();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hear = {
        let heard = Arc::clone(&heard);
        move |event: &Event<'_>| {
            let who = (event.client.map(ToString::to_string), event.subject.map(ToString::to_string));
            heard.lock().unwrap().push((event.to_string(), who, event.source.map(ToString::to_string)));
        }
    };
    let layer = scene.verifier().bearer().on_event(hear).require("notes:read");
    let told = || heard.lock().unwrap().drain(..).collect::<Vec<_>>();
    let nobody = (None, None);
    scene.web.take_down();
    assert_unavailable(&through(&layer, &scene.token(json!({}))).await);
    let unreachable = Some(format!("{METADATA} cannot be read"));
    assert_eq!(told(), [("unavailable".to_owned(), nobody.clone(), unreachable)]);
    scene.web.repair();
    scene.pass(5);
    let alice = (Some("app".to_owned()), Some("alice".to_owned()));
    for (token, event, who) in [
        (scene.token(json!({"exp": NOW - 60})), "refused: token_expired", &nobody),
        (Key::new().token(&claims()), "refused: token_of_unknown_key", &nobody),
        ("x".to_owned(), "refused: token_no_jwt", &nobody),
        ("x y".to_owned(), "refused: token_illegible", &nobody),
        (scene.token(json!({"aud": "https://other.example"})), "refused: token_for_another_resource", &alice),
        (scene.token(json!({"scope": "profile"})), "refused: scope_insufficient", &alice),
    ] {
        assert!(through(&layer, &token).await.status.is_client_error(), "{event}");
        assert_eq!(told(), [(event.to_owned(), who.clone(), None)]);
    }
    assert_good(&through(&layer, &scene.token(json!({}))).await);
    assert_eq!(told(), []);
}

/// RFC 9068 §4: "The resource server MUST validate that the aud claim contains a resource indicator value"; RFC 8707 §2.
#[tokio::test]
async fn a_token_for_another_resource_is_refused_whatever_the_layer_says() {
    let scene = scene();
    let verifier = scene.verifier();
    for (aud, good) in [
        (json!(API), true),
        (json!("https://api.example/"), true),
        (json!(["urn:other", API]), true),
        (json!("https://api.example/mcp"), false),
        (json!("https://api.example.org"), false),
        (json!(["https://other.example"]), false),
        (json!("app"), false),
    ] {
        let token = scene.token(json!({"aud": aud}));
        // The layer of the verifier's own, and one that nobody told of a resource; twice, since the second is remembered.
        for layer in [verifier.bearer(), BearerLayer::new(verifier.clone()), BearerLayer::new(verifier.clone())] {
            let answer = through(&layer, &token).await;
            if good { assert_good(&answer) } else { assert_refused(&answer, "the token is for another resource") }
        }
    }
    // A layer can be for another place, or for a part.
    for nothing in [json!([]), json!(null)] {
        let token = scene.token(json!({"aud": nothing}));
        assert_refused(&through(&verifier.bearer(), &token).await, "no access token of a known form");
    }
    let token = scene.token(json!({"aud": "https://api.example/mcp"}));
    assert_good(&through(&verifier.bearer().resource("https://api.example/mcp/tools"), &token).await);
    assert_refused(
        &through(&verifier.bearer().resource("https://api.example/mcp-other"), &token).await,
        "another resource",
    );
}

// ---- what is refused -------------------------------------------------------------------------------------------------

/// RFC 8725 §3.1, §3.10 and §3.11; RFC 9068 §4; RFC 7515 §4.1.11
#[tokio::test]
async fn what_is_no_signed_access_token_is_refused_and_costs_no_fetch() {
    let scene = scene();
    let layer = scene.verifier().bearer();
    let headed = |other: Value| {
        let header = with(json!({"alg": "ES256", "kid": scene.key.id(), "typ": "at+jwt"}), other);
        scene.key.sign(&header, &claims())
    };
    let unsigned = headed(json!({"alg": "none"}));
    let unsigned = &unsigned[..=unsigned.rfind('.').expect("a dot")];
    for (token, why) in [
        ("x", "no access token of a known form"),
        ("a.b.c", "no access token of a known form"),
        (unsigned, "signed in a way"),
        (&headed(json!({"alg": "none"})), "signed in a way"),
        (&headed(json!({"alg": "HS256"})), "signed in a way"),
        (&headed(json!({"typ": "JWT"})), "not of the type at+jwt"),
        (&headed(json!({"typ": null})), "not of the type at+jwt"),
        (&headed(json!({"crit": ["exp"]})), "a member that is not taken"),
        (&headed(json!({"jwk": scene.key.jwk})), "a member that is not taken"),
        (&headed(json!({"jku": KEYS})), "a member that is not taken"),
        (&headed(json!({"x5u": KEYS})), "a member that is not taken"),
        (&scene.token(json!({"iss": "https://other.example"})), "an issuer that is not trusted"),
        (&scene.token(json!({"iss": "https://shift.example/"})), "an issuer that is not trusted"),
        (&scene.token(json!({"iss": null})), "an issuer that is not trusted"),
        (&scene.token(json!({"exp": NOW - 10})), "has expired"),
        (&scene.token(json!({"exp": null})), "has expired"),
        (&scene.token(json!({"exp": "1900000000"})), "no access token of a known form"),
        (&scene.token(json!({"nbf": NOW + 11})), "not good yet"),
        (&scene.token(json!({"iat": NOW + 11})), "not good yet"),
    ] {
        assert_refused(&through(&layer, token).await, why);
    }
    assert_eq!(scene.web.asked().len(), 0);
    // In any case and with the prefix (RFC 7515 §4.1.9).
    assert_good(&through(&layer, &headed(json!({"typ": "Application/AT+JWT"}))).await);
}

#[tokio::test]
async fn what_a_trusted_key_did_not_sign_is_refused() {
    let scene = scene();
    let layer = scene.verifier().bearer();
    let stranger = Key::new();
    let good = scene.token(json!({}));
    let header = json!({"alg": "ES256", "kid": scene.key.id(), "typ": "at+jwt"});
    assert_refused(&through(&layer, &stranger.sign(&header, &claims())).await, "not known here");
    // What another token says, over the signature of a good one that is remembered.
    assert_good(&through(&layer, &good).await);
    let mut parts: Vec<_> = good.split('.').collect();
    let others = URL_SAFE_NO_PAD.encode(with(claims(), json!({"sub": "mallory"})).to_string());
    parts[1] = &others;
    assert_refused(&through(&layer, &parts.join(".")).await, "not known here");
    assert_good(&through(&layer, &good).await);
}

/// RFC 7800 §3, RFC 9449 §7.1: whoever presents a bound token has to prove that they hold the key.
#[tokio::test]
async fn a_token_that_is_bound_to_a_key_is_no_bearer_token() {
    let scene = scene();
    let layer = scene.verifier().bearer();
    for bound in [json!({"jkt": "x"}), json!({}), json!(false)] {
        let token = scene.token(json!({"cnf": bound}));
        for _ in 0..2 {
            assert_refused(&through(&layer, &token).await, "bound to a key");
        }
    }
}

/// RFC 7519 §4.1.4: "on or after which the JWT MUST NOT be accepted", with some leeway.
#[tokio::test]
async fn a_remembered_token_ends_when_its_time_is_over() {
    let scene = scene();
    let layer = scene.builder().issuer(ISSUER).leeway(Duration::from_secs(5)).build().expect("good").bearer();
    let token = scene.token(json!({"exp": NOW + 60}));
    assert_good(&through(&layer, &token).await);
    scene.pass(64);
    assert_good(&through(&layer, &token).await);
    scene.pass(1);
    // Also where somebody else had the keys looked at within this second.
    assert_good(&through(&layer, &scene.token(json!({}))).await);
    for _ in 0..2 {
        assert_refused(&through(&layer, &token).await, "has expired");
    }
    let early = scene.token(json!({"iat": NOW + 71, "nbf": NOW + 71}));
    assert_refused(&through(&layer, &early).await, "not good yet");
    scene.pass(1);
    assert_good(&through(&layer, &early).await);
}

// ---- several issuers -------------------------------------------------------------------------------------------------

/// RFC 8725 §3.8: a key verifies what its own issuer says, and nothing else.
#[tokio::test]
async fn a_key_of_one_issuer_signs_nothing_for_another() {
    let scene = scene();
    let (other, theirs) = ("https://other.example/tenant", Key::new());
    let given = TrustedIssuer::from(other).jwks(key_set(&[&theirs]));
    let layer = scene.builder().issuer(ISSUER).issuer(given).build().expect("good").bearer();
    assert_good(&through(&layer, &scene.token(json!({}))).await);
    assert_good(&through(&layer, &theirs.token(&with(claims(), json!({"iss": other})))).await);
    assert_refused(&through(&layer, &theirs.token(&claims())).await, "not known here");
    assert_refused(&through(&layer, &scene.token(json!({"iss": other}))).await, "not known here");
}

#[tokio::test]
async fn given_keys_need_no_fetch_and_no_time() {
    let key = Key::new();
    let given = TrustedIssuer::from(ISSUER).jwks(key_set(&[&key]));
    let clock = ManualClock::default();
    let verifier = JwtVerifier::builder(API).clock(clock.clone()).issuer(given).build().expect("good");
    let token = key.token(&with(claims(), json!({"exp": NOW + 100_000})));
    for _ in 0..3 {
        assert_good(&through(&verifier.bearer(), &token).await);
        clock.advance(Duration::from_secs(30_000));
    }
    assert_refused(&through(&verifier.bearer(), &Key::new().token(&claims())).await, "");
}

// ---- where the keys come from ----------------------------------------------------------------------------------------

/// RFC 8414 §3.1 and §3.3: the well-known path comes before the issuer's own, and the name has to be the same.
#[tokio::test]
async fn keys_are_found_by_the_metadata_of_the_issuer() {
    for (issuer, place) in [
        (ISSUER, METADATA),
        ("https://shift.example/", METADATA),
        ("https://shift.example/tenant", "https://shift.example/.well-known/oauth-authorization-server/tenant"),
        ("https://shift.example/tenant/", "https://shift.example/.well-known/oauth-authorization-server/tenant"),
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000/.well-known/oauth-authorization-server"),
    ] {
        let scene = scene();
        scene.web.put(place, json!({"issuer": issuer, "jwks_uri": KEYS}));
        let layer = scene.builder().issuer(issuer).build().expect("good").bearer();
        assert_good(&through(&layer, &scene.token(json!({"iss": issuer}))).await);
        assert_eq!((scene.web.hits(place), scene.web.hits(KEYS)), (1, 1));
    }
}

/// RFC 8414 §3.3: "MUST be identical"; what differs "MUST NOT be used".
#[tokio::test]
async fn metadata_that_cannot_be_used_are_503_and_not_401() {
    let text = |body: &str| {
        let mut answer = web::document(body);
        answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
        answer
    };
    let good = json!({"issuer": ISSUER, "jwks_uri": KEYS}).to_string();
    for answer in [
        web::document(json!({"issuer": "https://shift.example/", "jwks_uri": KEYS})),
        web::document(json!({"issuer": "https://SHIFT.example", "jwks_uri": KEYS})),
        web::document(json!({"jwks_uri": KEYS})),
        web::document(json!({"issuer": ISSUER})),
        web::document(json!({"issuer": ISSUER, "jwks_uri": "http://shift.example/keys"})),
        web::document("{\"issuer\":\"https://shift.example\",\"issuer\":\"https://shift.example\"}"),
        web::document("no JSON"),
        text(&good),
        web::status(StatusCode::FOUND),
        web::status(StatusCode::NOT_FOUND),
        web::status(StatusCode::UNAUTHORIZED),
    ] {
        let scene = scene();
        scene.web.answer(METADATA, move |_| answer.clone());
        assert_unavailable(&through(&scene.verifier().bearer(), &scene.token(json!({}))).await);
        assert_eq!(scene.web.hits(KEYS), 0);
    }
}

#[tokio::test]
async fn a_set_of_keys_that_cannot_be_read_is_503() {
    for answer in [web::document("{}"), web::document(json!({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}))] {
        let scene = scene();
        scene.web.answer(KEYS, move |_| answer.clone());
        assert_unavailable(&through(&scene.verifier().bearer(), &scene.token(json!({}))).await);
    }
}

/// A resource server that starts while its issuer is down answers, and recovers.
#[tokio::test]
async fn while_the_issuer_cannot_be_reached_the_answer_is_503_and_later_it_is_not() {
    let scene = scene();
    scene.web.take_down();
    let layer = scene.verifier().bearer();
    let token = scene.token(json!({}));
    for _ in 0..3 {
        assert_unavailable(&through(&layer, &token).await);
    }
    assert_eq!(scene.web.asked().len(), 1, "a failure is remembered for a moment");
    // What needs no key is refused all the same.
    assert_refused(&through(&layer, "x").await, "");
    scene.web.repair();
    scene.pass(5);
    assert_good(&through(&layer, &token).await);
}

#[tokio::test]
async fn whoever_comes_at_once_shares_one_fetch() {
    let scene = scene();
    let layer = scene.verifier().bearer();
    scene.web.hold();
    let waiting: Vec<_> = (0..64)
        .map(|n| {
            let (layer, token) = (layer.clone(), scene.token(json!({"jti": n.to_string()})));
            tokio::spawn(async move { through(&layer, &token).await })
        })
        .collect();
    while scene.web.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    scene.web.release();
    for answer in waiting {
        assert_good(&answer.await.expect("no panic"));
    }
    assert_eq!((scene.web.hits(METADATA), scene.web.hits(KEYS)), (1, 1));
}

// ---- keys that come and go -------------------------------------------------------------------------------------------

/// RFC 7517 §4.5: a new key is taken at once, and nobody makes us fetch as often as they like.
#[tokio::test]
async fn a_key_that_nobody_knows_makes_the_set_be_fetched_anew_but_not_often() {
    let scene = scene();
    let layer = scene.verifier().bearer();
    assert_good(&through(&layer, &scene.token(json!({}))).await);
    let next = Key::new();
    scene.web.put(KEYS, jwks(&[&scene.key, &next]));
    let waiting: Vec<_> = (0..64)
        .map(|n| {
            let (layer, token) = (layer.clone(), next.token(&with(claims(), json!({"jti": n.to_string()}))));
            tokio::spawn(async move { through(&layer, &token).await })
        })
        .collect();
    for answer in waiting {
        assert_good(&answer.await.expect("no panic"));
    }
    assert_eq!(scene.web.hits(KEYS), 2);
    let stranger = Key::new();
    for _ in 0..100 {
        assert_refused(&through(&layer, &stranger.token(&claims())).await, "not known here");
    }
    assert_eq!(scene.web.hits(KEYS), 2, "half a minute is not over");
    scene.pass(30);
    for _ in 0..100 {
        assert_refused(&through(&layer, &stranger.token(&claims())).await, "not known here");
    }
    assert_eq!(scene.web.hits(KEYS), 3);
}

/// While nobody can tell whether there is such a key, the token is not called bad.
#[tokio::test]
async fn a_key_that_nobody_knows_is_503_while_the_issuer_is_down() {
    let scene = scene();
    let layer = scene.verifier().bearer();
    let token = scene.token(json!({}));
    assert_good(&through(&layer, &token).await);
    scene.web.take_down();
    assert_unavailable(&through(&layer, &Key::new().token(&claims())).await);
    assert_good(&through(&layer, &token).await);
}

#[tokio::test]
async fn a_key_that_is_gone_verifies_nothing_and_nothing_that_it_verified_stays() {
    let scene = scene();
    let layer = scene.verifier().bearer();
    let token = scene.token(json!({"exp": NOW + 3_600}));
    assert_good(&through(&layer, &token).await);
    let next = Key::new();
    scene.web.put(KEYS, jwks(&[&next]));
    // As soon as anybody has reason to look.
    assert_good(&through(&layer, &next.token(&claims())).await);
    assert_refused(&through(&layer, &token).await, "not known here");
    // Or else when the set is not fresh any more.
    scene.web.put(KEYS, jwks(&[&scene.key]));
    let layer = scene.verifier().bearer();
    assert_good(&through(&layer, &token).await);
    scene.web.put(KEYS, jwks(&[&next]));
    scene.pass(300);
    let answer = through(&layer, &token).await;
    assert_refused(&answer, "not known here");
}

/// RFC 9111 §4.2.4: what is stale is used while nothing else can be had, and not for ever.
#[tokio::test]
async fn while_the_issuer_is_down_its_keys_stay_good_for_an_hour_and_no_longer() {
    let scene = scene();
    let layer = scene.verifier().bearer();
    let long = json!({"exp": NOW + 100_000});
    let (known, other) = (scene.token(long.clone()), scene.token(with(long, json!({"jti": "2"}))));
    assert_good(&through(&layer, &known).await);
    scene.web.take_down();
    for _ in 0..38 {
        scene.pass(100);
        assert_good(&through(&layer, &known).await);
    }
    assert_good(&through(&layer, &other).await);
    scene.pass(100);
    assert_unavailable(&through(&layer, &known).await);
    assert_unavailable(&through(&layer, &other).await);
    scene.web.repair();
    scene.pass(5);
    assert_good(&through(&layer, &known).await);
}

/// Every key is published before it signs, and stays while what it signed can live. Nobody notices.
#[tokio::test(flavor = "multi_thread")]
async fn ten_rotations_refuse_nothing_that_is_good_and_take_nothing_of_a_key_that_is_gone() {
    let scene = scene();
    let layer = scene.verifier().bearer();
    let mut keys = vec![Key::new()];
    scene.web.put(KEYS, jwks(&[&keys[0]]));
    let mut retired = Vec::new();
    for round in 0..10_u64 {
        // The next one beside the one that signs; then the next one signs.
        keys.push(Key::new());
        scene.web.put(KEYS, jwks(&keys.iter().collect::<Vec<_>>()));
        scene.pass(300);
        let now = NOW + round * 600 + 300;
        let life = json!({"iat": now, "exp": now + 1_000_000});
        let at_work = keys.iter().enumerate().flat_map(|(n, key)| (0..8).map(move |m| (n, m, key)));
        let tokens: Vec<_> = at_work
            .map(|(n, m, key)| key.token(&with(claims(), with(life.clone(), json!({"jti": format!("{n} {m}")})))))
            .collect();
        let waiting: Vec<_> = tokens
            .iter()
            .chain(&tokens)
            .map(|token| {
                let (layer, token) = (layer.clone(), token.clone());
                tokio::spawn(async move { through(&layer, &token).await })
            })
            .collect();
        for answer in waiting {
            assert_good(&answer.await.expect("no panic"));
        }
        // The old one goes, and with it all that it signed.
        drop(keys.remove(0));
        retired.extend_from_slice(&tokens[..8]);
        scene.web.put(KEYS, jwks(&keys.iter().collect::<Vec<_>>()));
        scene.pass(300);
        for token in &tokens[8..] {
            assert_good(&through(&layer, token).await);
        }
        for token in &retired {
            assert_refused(&through(&layer, token).await, "not known here");
        }
    }
}

// ---- beside another verifier -----------------------------------------------------------------------------------------

/// Knows one token, whatever it looks like, and counts.
#[derive(Clone, Default)]
struct Other(Arc<AtomicUsize>);

impl Verify for Other {
    fn verify(&self, credentials: Credentials<'_>) -> Verification {
        self.0.fetch_add(1, Ordering::Relaxed);
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW + 600);
        let token = Authorized::new("app", Some("alice".into()), "profile".parse().expect("a scope"), end);
        Verification::ready(match credentials.token() {
            "opaque" => Ok(token.for_resources([API.parse().expect("a resource")])),
            _ => Err(Refusal::InvalidToken("not one of the other")),
        })
    }
}

/// RFC 7515 §3.1 and §3.3: what has the shape of a JWT is one, and nobody else is asked about it.
#[tokio::test]
async fn tokens_go_to_one_of_two_verifiers_by_their_shape() {
    let (scene, other) = (scene(), Other::default());
    let layer = scene.verifier().or(other.clone()).bearer();
    for _ in 0..2 {
        assert_good(&through(&layer, &scene.token(json!({}))).await);
    }
    assert_refused(&through(&layer, &Key::new().token(&claims())).await, "not known here");
    assert_refused(&through(&layer, "eyJhbGciOiJub25lIn0.e30.").await, "signed in a way");
    assert_eq!(other.0.load(Ordering::Relaxed), 0);
    assert_good(&through(&layer, "opaque").await);
    let jwe = "eyJhbGciOiJSU0EtT0FFUCJ9.x.x.x.x";
    for token in ["toa_at_x", "a.b.c", "eyJ.e30", jwe] {
        assert_refused(&through(&layer, token).await, "not one of the other");
    }
    assert_eq!(other.0.load(Ordering::Relaxed), 5);
}

// ---- configuration ---------------------------------------------------------------------------------------------------

#[test]
fn what_cannot_work_is_said_when_it_is_built() {
    let wrong = |builder: JwtVerifierBuilder| builder.build().expect_err("it cannot work").to_string();
    let empty = TrustedIssuer::from(ISSUER).jwks("{\"keys\":[]}".parse::<Jwks>().expect("a set"));
    assert!(wrong(JwtVerifier::builder(API).issuer(empty)).contains("is empty"));
    let key = Key::new();
    let given = || TrustedIssuer::from(ISSUER).jwks(key_set(&[&key]));
    assert!(wrong(JwtVerifier::builder(API).issuer(given()).remember(usize::MAX)).contains("10,000,000"));
    assert!(wrong(JwtVerifier::builder(API)).contains("nobody is trusted"));
    assert!(wrong(JwtVerifier::builder("api").issuer(given())).contains("resource \"api\""));
    assert!(wrong(JwtVerifier::builder(API).issuer(ISSUER)).contains(".fetch(..)"));
    assert!(wrong(JwtVerifier::builder(API).issuer(given()).issuer(given())).contains("twice"));
    let leeway = JwtVerifier::builder(API).issuer(given()).leeway(Duration::from_secs(61));
    assert!(wrong(leeway).contains("60 seconds"));
    for issuer in ["shift.example", "http://shift.example", "https://shift.example?a", "https://Shift.example"] {
        assert!(wrong(JwtVerifier::builder(API).fetch(Web::default()).issuer(issuer)).contains(issuer));
    }
    let plain = TrustedIssuer::from(ISSUER).jwks_uri("http://shift.example/keys");
    assert!(wrong(JwtVerifier::builder(API).fetch(Web::default()).issuer(plain)).contains("https://.."));
}

/// RFC 7517 §5: from a URL that is known, metadata or not.
#[tokio::test]
async fn keys_can_be_fetched_from_a_url_that_is_given() {
    let scene = scene();
    let named = TrustedIssuer::from(ISSUER).jwks_uri(KEYS);
    let layer = scene.builder().issuer(named).build().expect("good").bearer();
    assert_good(&through(&layer, &scene.token(json!({}))).await);
    assert_eq!((scene.web.hits(METADATA), scene.web.hits(KEYS)), (0, 1));
}
