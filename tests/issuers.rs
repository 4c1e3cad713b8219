//! Several issuers in one process, by host and by path, over one store and one secret: nothing of one is anything at
//! another.

mod support;

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, Version, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use support::{
    Answer, App, VERIFIER, WEB, authorization, basic, bearer, challenge, form, redemption, request, with_query,
};
use tokio::net::{TcpListener, TcpStream};
use tower::util::BoxCloneSyncService;
use tower::{Layer, Service, ServiceExt};
use tower_oauth::event::Event;
use tower_oauth::testing::ManualClock;
use tower_oauth::{
    AuthorizationRequest, Authorized, Client, Endpoints, GrantType, Issuers, MemoryStore, Provider, ProviderBuilder,
    RegistrationPolicy, Secret, Subject,
};

/// Two by host, and two by path.
const BY_HOST: [&str; 2] = ["https://a.example", "https://b.example"];
const BY_PATH: [&str; 2] = ["https://h.example/a", "https://h.example/b"];
/// All kinds at once, with one at the root above others, and one that is deeper.
const MIXED: [&str; 2] = ["https://h.example", "https://h.example/a/b"];

// ---- the issuers, and an app below them ------------------------------------------------------------------------------

/// What each issuer's operator hears.
type Heard = Arc<Mutex<Vec<(String, String)>>>;

struct House {
    store: MemoryStore,
    secret: Secret,
    clock: ManualClock,
    heard: Heard,
}

impl House {
    fn new() -> Self {
        let (secret, clock) = (Secret::generate(), ManualClock::default());
        Self { store: MemoryStore::new(), secret, clock, heard: Heard::default() }
    }

    /// An issuer over the same store and secret as every other. Only the secret of its client `confidential` is its own.
    fn builder(&self, issuer: &str) -> ProviderBuilder {
        let (heard, name) = (Arc::clone(&self.heard), issuer.to_owned());
        let hear = move |event: &Event<'_>| {
            let what = event.kind.reason().unwrap_or(event.kind.as_str()).to_owned();
            heard.lock().unwrap().push((name.clone(), what));
        };
        Provider::builder(issuer)
            .default_resource(issuer)
            .store(self.store.clone())
            .secrets(self.secret.clone())
            .clock(self.clock.clone())
            .scope("profile", "see your profile")
            .default_scope("profile")
            .client(Client::public("public").redirect_uri(WEB))
            .client(confidential(issuer))
            .client(Client::resource_server("api", secret_of(issuer), issuer))
            .registration(RegistrationPolicy::open())
            .on_event(hear)
    }

    fn provider(&self, issuer: &str) -> Provider {
        self.builder(issuer).build().expect("a good configuration")
    }

    /// A set of these, and the app below them.
    fn open(&self, issuers: &[&str]) -> (Issuers, App) {
        let issuers = Issuers::new(issuers.iter().map(|issuer| self.provider(issuer))).expect("they share nothing");
        let app = app(&issuers);
        (issuers, app)
    }

    /// What was heard since the last time.
    fn heard(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.heard.lock().unwrap())
    }
}

fn confidential(issuer: &str) -> Client {
    let grants = [GrantType::AuthorizationCode, GrantType::ClientCredentials];
    Client::confidential("confidential", secret_of(issuer)).redirect_uri(WEB).grant_types(grants)
}

fn secret_of(issuer: &str) -> String {
    format!("a-secret-of-32-characters-or-more-{issuer}")
}

async fn show(request: AuthorizationRequest) -> String {
    format!("page of {}", request.issuer())
}

async fn approve(request: AuthorizationRequest) -> Response {
    request.approve("alice").into_response()
}

async fn me(token: Authorized) -> Json<Value> {
    let grant = token.grant().expect("a grant");
    Json(json!({"sub": token.subject(), "iss": grant.issuer().as_str()}))
}

/// A page, an API and what else there is; the same for every issuer.
fn rooms(issuers: &Issuers) -> Router {
    let guard = issuers.bearer(|issuer| issuer.bearer().require("profile"));
    let whose = issuers.clone();
    let whose = async move |request: Request<Body>| whose.of(&request).map(|issuer| issuer.issuer().to_owned());
    let whose = async move |request| whose(request).await.unwrap_or_else(|| "nobody".to_owned());
    Router::new()
        .route("/authorize", get(show).post(approve))
        .route("/me", get(me).route_layer(guard.clone()))
        .route("/users/me", get(me).route_layer(guard))
        .route("/whose", get(whose))
}

/// The rooms at the root, and below a path of one and of two segments, which axum takes off.
fn router(issuers: &Issuers) -> Router {
    let rooms = || rooms(issuers);
    Router::new().merge(rooms()).nest("/{tenant}", rooms()).nest("/{tenant}/{room}", rooms())
}

fn app(issuers: &Issuers) -> App {
    BoxCloneSyncService::new(router(issuers).layer(issuers.layer()).into_service())
}

/// As HTTP/1.1 has it: the host in its header, the path in the request line.
fn http1(mut request: Request<Body>) -> Request<Body> {
    let uri = request.uri().clone();
    let host = uri.authority().expect("an absolute URL").as_str();
    request.headers_mut().insert(header::HOST, HeaderValue::from_str(host).expect("a host"));
    *request.uri_mut() = Uri::from(uri.path_and_query().expect("a path").clone());
    request
}

/// As HTTP/2 has it: all of it in the target.
fn http2(mut request: Request<Body>) -> Request<Body> {
    *request.version_mut() = Version::HTTP_2;
    request
}

async fn send(app: &App, request: Request<Body>) -> Answer {
    support::send(app, http1(request)).await
}

// ---- what a client does ----------------------------------------------------------------------------------------------

fn asking(issuer: &str) -> String {
    with_query(&format!("{issuer}/authorize"), &authorization("public", WEB, &challenge(VERIFIER)))
}

fn redeeming(issuer: &str, code: &str) -> Request<Body> {
    form(&format!("{issuer}/token"), &redemption(code))
}

fn refreshing(issuer: &str, token: &str) -> Request<Body> {
    form(&format!("{issuer}/token"), &support::refreshing(token))
}

fn calling(issuer: &str, token: &str) -> Request<Body> {
    bearer(&format!("{issuer}/me"), token)
}

fn at(issuer: &str, path: &str) -> Request<Body> {
    request(Method::GET, &format!("{issuer}{path}"))
}

/// RFC 8414 §3.1, RFC 9728 §3.1: the name goes between host and path.
fn document(issuer: &str, name: &str) -> Request<Body> {
    let path = issuer.match_indices('/').nth(2).map_or(issuer.len(), |(at, _)| at);
    let (origin, path) = issuer.split_at(path);
    request(Method::GET, &format!("{origin}/.well-known/{name}{path}"))
}

#[track_caller]
fn text(answer: &Answer, name: &str) -> String {
    answer.json()[name].as_str().unwrap_or_else(|| panic!("no {name} in {answer:?}")).to_owned()
}

async fn code(app: &App, issuer: &str) -> String {
    let answer = send(app, form(&asking(issuer), &[])).await;
    answer.redirected("code").unwrap_or_else(|| panic!("no code in {answer:?}"))
}

async fn connect(app: &App, issuer: &str) -> (String, String) {
    let answer = send(app, redeeming(issuer, &code(app, issuer).await)).await;
    (text(&answer, "access_token"), text(&answer, "refresh_token"))
}

async fn machine(app: &App, issuer: &str) -> Answer {
    let asked = form(&format!("{issuer}/token"), &[("grant_type", "client_credentials")]);
    send(app, basic(asked, "confidential", &secret_of(issuer))).await
}

/// What the API of this issuer hears of a token.
async fn introspect(app: &App, issuer: &str, token: &str) -> Value {
    let asked = form(&format!("{issuer}/introspect"), &[("token", token)]);
    send(app, basic(asked, "api", &secret_of(issuer))).await.json()
}

#[track_caller]
fn assert_error(answer: &Answer, status: StatusCode, error: &str) {
    assert_eq!((answer.status, &*answer.error()), (status, error), "{answer:?}");
}

/// The eight steps, and what a client has to find out before them.
async fn the_whole_flow(issuer: &str, ask: impl AsyncFn(Request<Body>) -> Answer) {
    let metadata = ask(document(issuer, "oauth-authorization-server")).await.json();
    assert_eq!(metadata["issuer"], issuer);
    for (endpoint, path) in [("authorization_endpoint", "/authorize"), ("token_endpoint", "/token")] {
        assert_eq!(metadata[endpoint], format!("{issuer}{path}"));
    }
    let refused = ask(at(issuer, "/me")).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{refused:?}");
    let url = document(issuer, "oauth-protected-resource").uri().to_string();
    let named = format!("Bearer realm=\"{issuer}\", scope=\"profile\", resource_metadata=\"{url}\"");
    assert_eq!(refused.header(header::WWW_AUTHENTICATE), named);
    let resource = ask(request(Method::GET, &url)).await.json();
    assert_eq!((&resource["resource"], &resource["authorization_servers"]), (&json!(issuer), &json!([issuer])));

    assert_eq!(ask(request(Method::GET, &asking(issuer))).await.body, format!("page of {issuer}"));
    let decided = ask(form(&asking(issuer), &[])).await;
    assert_eq!(decided.status, StatusCode::SEE_OTHER, "{decided:?}");
    // RFC 9207 §2
    assert_eq!(decided.redirected("iss").as_deref(), Some(issuer));
    let refused = ask(form(&format!("{}&scope=unheard-of", asking(issuer)), &[])).await;
    assert_eq!((refused.redirected("iss").as_deref(), refused.redirected("code")), (Some(issuer), None));

    let first = ask(redeeming(issuer, &decided.redirected("code").expect("a code"))).await;
    let second = ask(refreshing(issuer, &text(&first, "refresh_token"))).await;
    for tokens in [&first, &second] {
        let me = ask(calling(issuer, &text(tokens, "access_token"))).await.json();
        assert_eq!(me, json!({"sub": "alice", "iss": issuer}));
    }
    let end = [("token", &*text(&second, "refresh_token")), ("client_id", "public")];
    assert_eq!(ask(form(&format!("{issuer}/revoke"), &end)).await.status, StatusCode::OK);
    let dead = ask(calling(issuer, &text(&second, "access_token"))).await;
    assert_eq!(dead.status, StatusCode::UNAUTHORIZED);
}

/// RFC 6749 §4.1, RFC 8414 §3.1, RFC 9728 §5.1, RFC 9207 §2, RFC 6750 §2.1, RFC 7009 §2
#[tokio::test]
async fn each_issuer_runs_the_whole_flow_by_host_and_by_path() {
    for pair in [BY_HOST, BY_PATH, MIXED] {
        let (_, app) = House::new().open(&pair);
        for issuer in pair {
            the_whole_flow(issuer, async |request| support::send(&app, http1(request)).await).await;
            the_whole_flow(issuer, async |request| support::send(&app, http2(request)).await).await;
        }
    }
}

/// Layers of single providers, one outside the other: enough where every path says whose it is.
#[tokio::test]
async fn issuers_of_one_origin_are_also_told_apart_by_layers_of_their_own() {
    let house = House::new();
    let [one, two] = BY_PATH.map(|issuer| house.provider(issuer));
    let rooms = |provider: &Provider| {
        let me = get(me).route_layer(provider.bearer().require("profile"));
        Router::new().route("/authorize", get(show).post(approve)).route("/me", me)
    };
    let router = Router::new().nest("/a", rooms(&one)).nest("/b", rooms(&two)).layer(one.layer()).layer(two.layer());
    let app: App = BoxCloneSyncService::new(router.into_service());
    for (issuer, other) in [(BY_PATH[0], BY_PATH[1]), (BY_PATH[1], BY_PATH[0])] {
        the_whole_flow(issuer, async |request| support::send(&app, http1(request)).await).await;
        nothing_of_one_is_anything_at(&house, &app, issuer, other).await;
    }
}

/// RFC 9110 §7.2, RFC 9113 §8.3.1: both ways in which a request says its host, over one listener.
#[tokio::test]
async fn one_listener_serves_every_issuer_over_http1_and_http2() {
    let (issuers, _) = House::new().open(&[BY_HOST, BY_PATH].concat());
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    let app = router(&issuers).layer(issuers.layer());
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let stream = async || TokioIo::new(TcpStream::connect(address).await.expect("it listens"));

    let (mut one, wire) = hyper::client::conn::http1::handshake(stream().await).await.expect("HTTP/1.1");
    tokio::spawn(wire);
    let executor = TokioExecutor::new();
    let (two, wire) = hyper::client::conn::http2::handshake(executor, stream().await).await.expect("HTTP/2");
    tokio::spawn(wire);
    for issuer in [BY_HOST, BY_PATH].concat() {
        let one = tokio::sync::Mutex::new(&mut one);
        the_whole_flow(issuer, async |request| {
            Answer::of(one.lock().await.send_request(http1(request)).await.expect("an answer")).await
        })
        .await;
        the_whole_flow(issuer, async |request| {
            Answer::of(two.clone().send_request(http2(request)).await.expect("an answer")).await
        })
        .await;
    }
    server.abort();
}

// ---- nothing of one at another ---------------------------------------------------------------------------------------

/// Everything that `issuer` gave out is tried at `other`, which refuses it by its key alone; then it is as good as before.
async fn nothing_of_one_is_anything_at(house: &House, app: &App, issuer: &str, other: &str) {
    let (code, (access, refresh)) = (code(app, issuer).await, connect(app, issuer).await);
    house.heard();

    // RFC 6749 §5.2
    assert_error(&send(app, redeeming(other, &code)).await, StatusCode::BAD_REQUEST, "invalid_grant");
    assert_error(&send(app, refreshing(other, &refresh)).await, StatusCode::BAD_REQUEST, "invalid_grant");
    // RFC 6750 §3.1
    let refused = send(app, calling(other, &access)).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{refused:?}");
    assert!(refused.header(header::WWW_AUTHENTICATE).contains("error=\"invalid_token\""), "{refused:?}");
    // RFC 7662 §2.2
    assert_eq!(introspect(app, other, &access).await, json!({"active": false}));
    // RFC 7009 §2.2
    for token in [&access, &refresh] {
        let params = [("token", &**token), ("client_id", "public")];
        assert_eq!(send(app, form(&format!("{other}/revoke"), &params)).await.status, StatusCode::OK);
    }
    // One secret serves both issuers, and none of its keys is that of the other.
    let heard = house.heard();
    assert!(heard.iter().all(|(by, _)| by == other), "{heard:?}");
    for reason in ["code_of_unknown_key", "refresh_of_unknown_key", "token_of_unknown_key"] {
        assert!(heard.contains(&(other.to_owned(), reason.to_owned())), "{reason} not in {heard:?}");
    }

    assert_eq!(send(app, redeeming(issuer, &code)).await.status, StatusCode::OK);
    assert_eq!(send(app, calling(issuer, &access)).await.json()["iss"], issuer);
    assert_eq!(introspect(app, issuer, &access).await["iss"], issuer);
    assert_eq!(send(app, refreshing(issuer, &refresh)).await.status, StatusCode::OK);
    let heard = house.heard();
    assert!(heard.iter().all(|(by, _)| by == issuer) && !heard.iter().any(|(_, what)| what == "replayed"), "{heard:?}");
}

/// RFC 9700 §4.4
#[tokio::test]
async fn a_code_and_tokens_of_one_issuer_are_nothing_at_another() {
    for [one, two] in [BY_HOST, BY_PATH, MIXED] {
        let house = House::new();
        let (_, app) = house.open(&[one, two]);
        nothing_of_one_is_anything_at(&house, &app, one, two).await;
        nothing_of_one_is_anything_at(&house, &app, two, one).await;
    }
}

/// RFC 6749 §2.3: the same name with another secret is another client
#[tokio::test]
async fn a_clients_secret_at_one_issuer_proves_nothing_at_another() {
    for [one, two] in [BY_HOST, BY_PATH] {
        let (_, app) = House::new().open(&[one, two]);
        for (issuer, other) in [(one, two), (two, one)] {
            let asked = form(&format!("{other}/token"), &[("grant_type", "client_credentials")]);
            let answer = send(&app, basic(asked, "confidential", &secret_of(issuer))).await;
            assert_error(&answer, StatusCode::UNAUTHORIZED, "invalid_client");
        }
    }
}

/// RFC 7591 §3.2.1: a client is registered where it registered
#[tokio::test]
async fn a_client_that_registered_at_one_issuer_is_unknown_at_another() {
    for [one, two] in [BY_HOST, BY_PATH] {
        let (_, app) = House::new().open(&[one, two]);
        let body = json!({"redirect_uris": [WEB]}).to_string();
        let asked = Request::post(format!("{one}/register")).header(header::CONTENT_TYPE, "application/json");
        let registered = send(&app, asked.body(Body::from(body)).expect("a request")).await;
        assert_eq!(registered.status, StatusCode::CREATED, "{registered:?}");
        let (id, secret) = (text(&registered, "client_id"), text(&registered, "client_secret"));
        let ask = |issuer: &str| with_query(&format!("{issuer}/authorize"), &authorization(&id, WEB, &challenge("x")));
        assert_eq!(send(&app, request(Method::GET, &ask(one))).await.status, StatusCode::OK);
        let unknown = send(&app, request(Method::GET, &ask(two))).await;
        assert_eq!((unknown.status, unknown.location()), (StatusCode::BAD_REQUEST, ""), "{unknown:?}");
        for (issuer, status, error) in
            [(one, StatusCode::BAD_REQUEST, "invalid_grant"), (two, StatusCode::UNAUTHORIZED, "invalid_client")]
        {
            let params = [("grant_type", "authorization_code"), ("code", "x"), ("code_verifier", VERIFIER)];
            let asked = basic(form(&format!("{issuer}/token"), &params), &id, &secret);
            assert_error(&send(&app, asked).await, status, error);
        }
    }
}

/// RFC 6749 §4.4: each issuer has made a grant of its own for it
#[tokio::test]
async fn a_machine_of_the_same_name_has_a_grant_at_each_issuer() {
    for [one, two] in [BY_HOST, BY_PATH] {
        let (issuers, app) = House::new().open(&[one, two]);
        let tokens = [text(&machine(&app, one).await, "access_token"), text(&machine(&app, two).await, "access_token")];
        for (token, issuer, other) in [(&tokens[0], one, two), (&tokens[1], two, one)] {
            let me = send(&app, calling(issuer, token)).await.json();
            assert_eq!(me, json!({"sub": "confidential", "iss": issuer}));
            assert_eq!(send(&app, calling(other, token)).await.status, StatusCode::UNAUTHORIZED);
        }
        // Ended at one, it goes on at the other.
        let provider = provider_of(&issuers, one);
        let all = tower_oauth::Holder::Client("confidential".into());
        assert_eq!(provider.expect("it is there").revoke_all(&all).await.expect("it answers"), 1);
        assert_eq!(send(&app, calling(one, &tokens[0])).await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(send(&app, calling(two, &tokens[1])).await.status, StatusCode::OK);
    }
}

/// The issuer that a layer of the set finds.
fn provider_of(issuers: &Issuers, issuer: &str) -> Option<Provider> {
    let found = Arc::new(Mutex::new(None));
    let (set, seen) = (issuers.clone(), Arc::clone(&found));
    let inside = tower::service_fn(move |request: Request<Body>| {
        *seen.lock().unwrap() = set.of(&request);
        std::future::ready(Ok::<_, Infallible>(Response::new(Body::empty())))
    });
    drop(issuers.layer().layer(inside).call(http1(at(issuer, "/whose"))));
    found.lock().unwrap().clone()
}

/// What a user sees and ends at one issuer is nothing of another's
#[tokio::test]
async fn a_user_of_one_issuer_is_connected_with_nothing_at_another() {
    for [one, two] in [BY_HOST, BY_PATH] {
        let (issuers, app) = House::new().open(&[one, two]);
        let (access, _) = connect(&app, one).await;
        let alice = Subject::from("alice");
        let [first, second] = [one, two].map(|issuer| provider_of(&issuers, issuer).expect("it is there"));
        let grants = first.grants_of(&alice).await.expect("they are there");
        assert_eq!((grants.len(), first.connected_apps(&alice).await.expect("they are there").len()), (1, 1));
        assert!(second.connected_apps(&alice).await.expect("they are there").is_empty());
        assert_eq!(second.disconnect(&alice, &"public".into()).await.expect("it answers"), 0);
        second.revoke_grant(grants[0].key()).await.expect("it answers");
        assert_eq!(second.sweep().await.expect("it answers"), 0);
        assert_eq!(send(&app, calling(one, &access)).await.status, StatusCode::OK);
        assert!(!second.check_form_token("session", "login", &first.form_token("session", "login")));
    }
}

/// RFC 9700 §4.7: a decision comes from a page of the issuer that was asked
#[tokio::test]
async fn a_page_of_one_issuer_cannot_decide_at_another() {
    let (_, app) = House::new().open(&BY_HOST);
    let decide = |issuer: &str, origin: &str| {
        let mut decision = form(&asking(issuer), &[]);
        decision.headers_mut().insert(header::ORIGIN, HeaderValue::from_str(origin).expect("an origin"));
        decision
    };
    for (issuer, other) in [(BY_HOST[0], BY_HOST[1]), (BY_HOST[1], BY_HOST[0])] {
        assert_eq!(send(&app, decide(issuer, other)).await.status, StatusCode::FORBIDDEN);
        assert_eq!(send(&app, decide(issuer, issuer)).await.status, StatusCode::SEE_OTHER);
    }
}

/// A router takes the prefix off the path, and what is left can look like the path of another issuer
#[tokio::test]
async fn below_a_nested_router_a_path_is_not_taken_for_another_issuers() {
    let (a, users) = ("https://h.example/a", "https://h.example/users");
    let (_, app) = House::new().open(&[a, users, "https://h.example"]);
    for issuer in [users, "https://h.example"] {
        let (access, _) = connect(&app, issuer).await;
        assert_eq!(send(&app, bearer(&format!("{issuer}/me"), &access)).await.status, StatusCode::OK);
        let refused = send(&app, bearer(&format!("{a}/users/me"), &access)).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{refused:?}");
    }
    assert_eq!(send(&app, at(a, "/users/whose")).await.body, a);
    assert_eq!(send(&app, at("https://h.example", "/whose")).await.body, "https://h.example");
}

/// RFC 3986 §6.2.2: what is inside decodes escapes and may follow dot segments, so that it would serve one tenant's place to
/// whoever has the token of another.
#[tokio::test]
async fn where_the_path_decides_one_that_can_be_read_as_another_reaches_nobody() {
    let (root, b) = ("https://h.example", "https://h.example/b");
    let (_, app) = House::new().open(&[root, b]);
    let (access, _) = connect(&app, root).await;
    let other = [
        "/%62/me",
        "/%62/%6De",
        "/x/../b/me",
        "/x/%2e%2E/b/me",
        "/x/.%2e/b/me",
        "/./b/me",
        "/%2e/b/me",
        "//b/me",
        "/x//me",
        "/b%2Fme",
        "/b%2fme",
        "/b%5Cme",
        "/b\\me",
        "/x/..",
        "/x/.",
        "/x//",
        "/%7E/me",
        "/b%2Dx/me",
        "/users/%6de",
    ];
    for path in other {
        let answer = send(&app, bearer(&format!("{root}{path}"), &access)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}: {answer:?}");
    }
    for path in ["/me", "/users/me", "/x/me", "/a%20b/me", "/a%C3%A9/me", "/a%40b/me", "/.../me", "/.b/me", "/x%2/me"] {
        let answer = send(&app, bearer(&format!("{root}{path}"), &access)).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
    }
    for path in ["/", "/x/", "/x?y=/../b//%62"] {
        assert_eq!(send(&app, at(root, path)).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    // Where the host alone says whose it is, its paths are its own.
    let (_, app) = House::new().open(&BY_HOST);
    let (access, _) = connect(&app, BY_HOST[0]).await;
    assert_eq!(send(&app, bearer("https://a.example/%62/me", &access)).await.status, StatusCode::OK);
}

// ---- which issuer a request is for -----------------------------------------------------------------------------------

/// The name of the issuer whose endpoints answer.
async fn asked(app: &App, request: Request<Body>) -> String {
    let answer = support::send(app, request).await;
    match answer.status {
        StatusCode::OK => text(&answer, "issuer"),
        status => status.as_str().to_owned(),
    }
}

const METADATA: &str = "/.well-known/oauth-authorization-server";

/// RFC 9110 §4.2.3 and §7.2: a host is compared in any case, and with its default port; and nothing else is the same host.
#[tokio::test]
async fn the_host_is_compared_as_browsers_compare_it() {
    let (_, app) = House::new().open(&[BY_HOST[0], BY_HOST[1], "https://c.example:8443", "http://localhost"]);
    let cases = [
        ("a.example", BY_HOST[0]),
        ("b.example", BY_HOST[1]),
        ("A.eXaMple", BY_HOST[0]),
        ("a.example:443", BY_HOST[0]),
        ("A.EXAMPLE:443", BY_HOST[0]),
        ("a.example:80", "404"),
        ("a.example:8443", "404"),
        ("a.example:0443", "404"),
        ("a.example.", "404"),
        ("a.example.evil.example", "404"),
        ("evil.example", "404"),
        ("x@a.example", "404"),
        ("https://a.example", "404"),
        ("", "404"),
        ("c.example:8443", "https://c.example:8443"),
        ("c.example", "404"),
        ("c.example:443", "404"),
        ("localhost", "http://localhost"),
        ("localhost:80", "http://localhost"),
        ("localhost:443", "404"),
    ];
    for (host, issuer) in cases {
        let mut by_header = request(Method::GET, METADATA);
        by_header.headers_mut().insert(header::HOST, HeaderValue::from_str(host).expect("a header"));
        assert_eq!(asked(&app, by_header).await, issuer, "Host: {host}");
        if let Ok(url) = format!("https://{host}{METADATA}").parse::<Uri>()
            && !host.starts_with("https://")
        {
            let by_target = http2(request(Method::GET, &url.to_string()));
            assert_eq!(asked(&app, by_target).await, issuer, ":authority {host}");
        }
    }
    assert_eq!(asked(&app, request(Method::GET, METADATA)).await, "404", "HTTP/1.0 names no host");
}

/// RFC 9112 §3.2 and §3.2.2, RFC 9113 §8.3.1: the app could go by the one, and the issuers by the other
#[tokio::test]
async fn a_request_that_names_two_hosts_reaches_nobody() {
    let (_, app) = House::new().open(&BY_HOST);
    let with = |uri: &str, hosts: &[&[u8]]| {
        let mut request = request(Method::GET, uri);
        for host in hosts {
            request.headers_mut().append(header::HOST, HeaderValue::from_bytes(host).expect("a header"));
        }
        request
    };
    let absolute = format!("{}{METADATA}", BY_HOST[0]);
    for (uri, hosts, issuer) in [
        (METADATA, &[b"a.example".as_slice(), b"b.example"][..], "400"),
        (METADATA, &[b"a.example", b"a.example"], "400"),
        (METADATA, &[b"a.example\xff"], "400"),
        (&absolute, &[b"b.example"], "400"),
        (&absolute, &[b"a.example:443"], "400"),
        (&absolute, &[b"A.EXAMPLE"], BY_HOST[0]),
        (&absolute, &[b"a.example", b"a.example"], "400"),
        (&absolute, &[], BY_HOST[0]),
        ("/whose", &[b"a.example", b"b.example"], "400"),
    ] {
        assert_eq!(asked(&app, with(uri, hosts)).await, issuer, "{uri} {hosts:?}");
        assert_eq!(asked(&app, http2(with(uri, hosts))).await, issuer, "HTTP/2, {uri} {hosts:?}");
    }
}

/// Anybody can send them
#[tokio::test]
async fn what_says_where_a_request_came_from_is_not_believed() {
    let (_, app) = House::new().open(&BY_HOST);
    let (access, _) = connect(&app, BY_HOST[1]).await;
    let said = |mut request: Request<Body>| {
        for (name, value) in [
            ("x-forwarded-host", "b.example"),
            ("x-host", "b.example"),
            ("x-original-host", "b.example"),
            ("x-original-url", "https://b.example/me"),
            ("forwarded", "for=192.0.2.1;host=b.example;proto=https"),
        ] {
            request.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        http1(request)
    };
    assert_eq!(asked(&app, said(at(BY_HOST[0], METADATA))).await, BY_HOST[0]);
    let refused = support::send(&app, said(calling(BY_HOST[0], &access))).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
}

/// Nothing is answered by whoever comes first
#[tokio::test]
async fn at_a_host_of_nobody_nothing_is_answered_but_by_the_app() {
    let house = House::new();
    let (_, app) = house.open(&[BY_HOST, BY_PATH].concat());
    let (access, _) = connect(&app, BY_HOST[0]).await;
    house.heard();
    for nobody in ["https://c.example", "https://h.example", "https://h.example/c", "https://h.example/a-more"] {
        assert_eq!(send(&app, at(nobody, "/whose")).await.body, "nobody", "{nobody}");
        assert_eq!(send(&app, calling(nobody, &access)).await.status, StatusCode::NOT_FOUND, "{nobody}");
        for (method, path) in [(Method::POST, "/token"), (Method::GET, METADATA), (Method::POST, "/register")] {
            let answer = send(&app, request(method, &format!("{nobody}{path}"))).await;
            assert_eq!(answer.status, StatusCode::NOT_FOUND, "{nobody}{path}");
        }
        // The page is asked without a request to decide on, and says so.
        let page = send(&app, form(&asking(nobody), &[])).await;
        assert_eq!((page.status, page.location()), (StatusCode::INTERNAL_SERVER_ERROR, ""));
    }
    // On the host of an issuer its paths are its own, and whole.
    for path in ["/token/", "/tokens", "//token", "/a/token", "/.well-known/oauth-authorization-server/"] {
        assert_eq!(send(&app, at(BY_HOST[0], path)).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(house.heard(), []);
}

/// Where a host is of one issuer it is enough; where the path says, a layer has to have seen it whole
#[tokio::test]
async fn without_the_layer_outside_no_path_is_believed() {
    let house = House::new();
    let (issuers, app) = house.open(&[BY_HOST, BY_PATH].concat());
    let bare: App = BoxCloneSyncService::new(router(&issuers).into_service());
    for (issuer, status) in [(BY_HOST[0], StatusCode::OK), (BY_PATH[0], StatusCode::INTERNAL_SERVER_ERROR)] {
        let (access, _) = connect(&app, issuer).await;
        assert_eq!(send(&bare, calling(issuer, &access)).await.status, status, "{issuer}");
    }
    // Another set's layer has not seen it for this one.
    let others = Issuers::new(BY_PATH.map(|issuer| house.provider(issuer))).expect("they share nothing");
    let app: App = BoxCloneSyncService::new(router(&issuers).layer(others.layer()).into_service());
    let (access, _) = connect(&app, BY_PATH[0]).await;
    assert_eq!(send(&app, calling(BY_PATH[0], &access)).await.status, StatusCode::INTERNAL_SERVER_ERROR);
    let twice = with_two(calling(BY_HOST[0], &access));
    assert_eq!(support::send(&bare, twice).await.status, StatusCode::BAD_REQUEST);
}

fn with_two(request: Request<Body>) -> Request<Body> {
    let mut request = http1(request);
    request.headers_mut().append(header::HOST, HeaderValue::from_static("b.example"));
    request
}

/// RFC 9728 §3.1: the longest resource that a place lies below is the one that is asked, whosever it is
#[tokio::test]
async fn a_request_is_for_the_issuer_of_the_longest_resource_above_it() {
    let house = House::new();
    let root = house.provider("https://h.example");
    let mcp = house.builder("https://b.example").resource("https://h.example/a/mcp").build().expect("a provider");
    let api = house.builder("https://c.example").resource("https://api.example").build().expect("a provider");
    let issuers = Issuers::new([root, mcp, api, house.provider("https://h.example/a")]).expect("they share nothing");
    let app = app(&issuers);
    for (place, issuer) in [
        ("https://h.example", "https://h.example"),
        ("https://h.example/ab", "https://h.example"),
        ("https://h.example/a", "https://h.example/a"),
        ("https://h.example/a/mcp", "https://b.example"),
        ("https://h.example/a/mcp-more", "https://h.example/a"),
        ("https://b.example", "https://b.example"),
        ("https://api.example", "https://c.example"),
    ] {
        let answer = send(&app, at(place, "/whose")).await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::OK, issuer), "{place}");
    }
    for (place, server) in [("", "https://h.example"), ("/ab", "https://h.example"), ("/a/x", "https://h.example/a")] {
        let url = format!("https://h.example/.well-known/oauth-protected-resource{place}");
        let document = send(&app, request(Method::GET, &url)).await.json();
        assert_eq!(document["authorization_servers"], json!([server]), "{url}");
    }
}

/// Behind a proxy that takes a path off, each host's own
#[tokio::test]
async fn issuers_whose_path_a_proxy_strips_are_told_apart_by_host() {
    let house = House::new();
    let stripped = |issuer: &str| {
        let endpoints = Endpoints::default().stripped("/auth");
        house.builder(issuer).endpoints(endpoints).build().expect("a good configuration")
    };
    let names = ["https://a.example/auth", "https://b.example/auth"];
    let issuers = Issuers::new(names.map(stripped)).expect("they share nothing");
    let app = app(&issuers);
    for (issuer, host) in [(names[0], BY_HOST[0]), (names[1], BY_HOST[1])] {
        let document = at(host, "/.well-known/oauth-authorization-server/auth");
        assert_eq!(send(&app, document).await.json()["token_endpoint"], format!("{issuer}/token"));
        assert_eq!(send(&app, request(Method::GET, &asking(host))).await.body, format!("page of {issuer}"));
        let (access, _) = connect(&app, host).await;
        assert_eq!(send(&app, calling(host, &access)).await.json()["iss"], issuer);
    }
}

// ---- the set ---------------------------------------------------------------------------------------------------------

/// What is said of a set that cannot be.
#[track_caller]
fn wrong(providers: impl IntoIterator<Item = Provider>) -> String {
    Issuers::new(providers).expect_err("something is wrong").to_string()
}

#[tokio::test]
async fn two_issuers_that_claim_the_same_are_refused_with_what_to_write_instead() {
    let house = House::new();
    let with = |issuer: &str, change: fn(ProviderBuilder) -> ProviderBuilder| {
        change(house.builder(issuer)).build().expect("a good configuration")
    };
    let plain = |issuer: &str| house.provider(issuer);
    assert_eq!(
        wrong([plain("https://a.example"), plain("https://a.example")]),
        "the issuers cannot be one set:\n  - `https://a.example` is there twice: leave one of them out"
    );
    let under = with("https://h.example", |builder| builder.endpoints(Endpoints::under("/a").authorization("/ask")));
    let said = wrong([under, plain("https://h.example/a")]);
    for path in ["/a/token", "/a/revoke", "/a/introspect", "/a/register"] {
        let line = format!(
            "\n  - {path:?} is an endpoint of `https://h.example` and of `https://h.example/a`: give one of them its own \
             `Endpoints`"
        );
        assert!(said.contains(&line), "{said}");
    }
    assert_eq!(said.lines().count(), 5, "{said}");
    for (one, two) in [
        ("https://api.example/v1", "https://api.example/v1"),
        ("https://api.example/v1", "https://api.example:443/v1"),
        ("https://api.example/v1", "https://api.example/v1/"),
    ] {
        let of = |issuer: &str, api: &str| house.builder(issuer).resource(api).build().expect("a good configuration");
        assert_eq!(
            wrong([of(BY_HOST[0], one), of(BY_HOST[1], two)]),
            format!(
                "the issuers cannot be one set:\n  - `{two}` is a resource of `https://a.example` and of \
                 `https://b.example`: give each its own by `.default_resource(..)` or `.resource(..)`"
            )
        );
    }
    let by_origin = |issuer: &str| Provider::builder(issuer).store(MemoryStore::new()).build().expect("a provider");
    let said = wrong(BY_PATH.map(by_origin));
    assert!(said.contains("`https://h.example` is a resource of `https://h.example/a` and of"), "{said}");
    assert!(wrong([plain("http://localhost"), plain("https://localhost")]).contains("is at `https` for"));
    let stripped = |issuer: &str| {
        let endpoints = Endpoints::default().stripped(issuer.trim_start_matches("https://h.example"));
        house.builder(issuer).endpoints(endpoints).build().expect("a good configuration")
    };
    assert!(wrong(BY_PATH.map(stripped)).contains("\"/token\" is an endpoint of"));
}

/// What a set refuses changes nothing of it
#[tokio::test]
async fn an_issuer_comes_is_replaced_and_goes_while_others_stay() {
    let house = House::new();
    let (issuers, app) = house.open(&BY_PATH);
    let [a, b] = BY_PATH;
    let (of_a, (of_b, _)) = (connect(&app, a).await.0, connect(&app, b).await);

    issuers.insert(&house.provider("https://c.example")).expect("it shares nothing");
    the_whole_flow("https://c.example", async |request| support::send(&app, http1(request)).await).await;
    let taken = house.builder("https://d.example").resource(b).build().expect("a good configuration");
    assert!(issuers.insert(&taken).expect_err("it is taken").to_string().contains(b));
    assert_eq!(send(&app, at("https://d.example", METADATA)).await.status, StatusCode::NOT_FOUND);

    // In the place of what it was: its tokens live, and its layer is made anew.
    let resource = "https://h.example/b/mcp";
    let replaced = house.builder(b).resource(resource).build().expect("a good configuration");
    issuers.insert(&replaced).expect("it is in its own place");
    assert_eq!(send(&app, calling(b, &of_b)).await.status, StatusCode::OK);
    let url = "https://h.example/.well-known/oauth-protected-resource/b/mcp";
    assert_eq!(send(&app, request(Method::GET, url)).await.json()["resource"], resource);

    issuers.remove(b);
    issuers.remove("https://unknown.example");
    for token in [&of_a, &of_b] {
        assert_eq!(send(&app, calling(b, token)).await.status, StatusCode::NOT_FOUND);
    }
    assert_eq!(send(&app, redeeming(b, "x")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(send(&app, request(Method::GET, url)).await.status, StatusCode::NOT_FOUND);
    the_whole_flow(a, async |request| support::send(&app, http1(request)).await).await;
    assert_eq!(send(&app, calling(a, &of_a)).await.status, StatusCode::OK);

    issuers.insert(&house.provider(b)).expect("its place is free");
    assert_eq!(send(&app, calling(b, &of_b)).await.status, StatusCode::OK);
    assert_eq!(format!("{issuers:?}").matches("https://").count(), 3);
}

/// What its operator changed holds for the next request
#[tokio::test]
async fn a_bearer_layer_is_the_one_of_the_issuer_as_it_is_now() {
    let house = House::new();
    let issuers = Issuers::new([house.provider(BY_HOST[0])]).expect("one");
    let guard = issuers.bearer(|issuer| issuer.bearer().require(issuer.scopes().next().expect("a scope").0));
    let route = get(async |_: Authorized| "in").route_layer(guard);
    let app: App = BoxCloneSyncService::new(Router::new().route("/", route).layer(issuers.layer()).into_service());
    let scope = async |provider: &Provider, scope: &str| {
        let token = provider.issue("public", "alice", scope.parse().expect("a scope")).await.expect("a token");
        send(&app, bearer(&format!("{}/", BY_HOST[0]), token.secret())).await.status
    };
    let now = Provider::builder(BY_HOST[0]).store(house.store.clone()).secrets(house.secret.clone());
    let now = now.clock(house.clock.clone()).scope("notes", "read your notes").scope("profile", "see your profile");
    let now = now.build().expect("a good configuration");
    assert_eq!(scope(&now, "profile").await, StatusCode::OK);
    issuers.insert(&now).expect("it is in its own place");
    assert_eq!(scope(&now, "profile").await, StatusCode::FORBIDDEN);
    assert_eq!(scope(&now, "notes").await, StatusCode::OK);
}

/// The user of a token is looked for among those of its issuer
#[tokio::test]
async fn a_resolver_of_users_knows_for_which_issuer_it_is() {
    let house = House::new();
    let issuers = Issuers::new(BY_HOST.map(|issuer| house.provider(issuer))).expect("they share nothing");
    let find = async |issuer: String, token: Authorized| Some(format!("{} of {issuer}", token.subject()));
    let guard = issuers.bearer(move |issuer| issuer.bearer().user_with(issuer.issuer().to_owned(), find));
    let route = get(async |token: Authorized<String>| token.into_user()).route_layer(guard);
    let router = Router::new().route("/authorize", get(show).post(approve)).route("/me", route);
    let app: App = BoxCloneSyncService::new(router.layer(issuers.layer()).into_service());
    for issuer in BY_HOST {
        let (access, _) = connect(&app, issuer).await;
        assert_eq!(send(&app, calling(issuer, &access)).await.body, format!("alice of {issuer}"));
    }
}

/// A service that may be called once for each time that it was ready, as Tower has it.
#[derive(Default)]
struct Once(bool);

impl Clone for Once {
    fn clone(&self) -> Self {
        Self(false)
    }
}

impl Service<Request<Body>> for Once {
    type Response = Response;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0 = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        assert!(std::mem::take(&mut self.0), "called though it is not ready");
        std::future::ready(Ok("page".into_response()))
    }
}

/// <https://docs.rs/tower/latest/tower/trait.Service.html#be-careful-when-cloning-inner-services>
#[tokio::test]
async fn the_service_that_is_called_is_the_one_that_was_ready() {
    let house = House::new();
    let (issuers, app) = house.open(&BY_HOST);
    let (access, _) = connect(&app, BY_HOST[0]).await;
    let guarded = issuers.layer().layer(issuers.bearer(Provider::bearer).layer(Once::default()));
    let page = issuers.layer().layer(Once::default());
    for _ in 0..2 {
        let called = guarded.clone().oneshot(http1(calling(BY_HOST[0], &access))).await.expect("it answers");
        assert_eq!(called.status(), StatusCode::OK);
        let shown = page.clone().oneshot(http1(request(Method::GET, &asking(BY_HOST[0])))).await.expect("it answers");
        assert_eq!(shown.status(), StatusCode::OK);
        let passed = page.clone().oneshot(http1(at(BY_HOST[0], "/else"))).await.expect("it answers");
        assert_eq!((passed.status(), passed.headers()), (StatusCode::OK, &headers_of_a_page()));
    }
}

fn headers_of_a_page() -> HeaderMap {
    "page".into_response().headers().clone()
}
