//! What was revoked, told to resource servers that verify JWT access tokens by themselves (RFC 9068 §5, RFC 7009 §3).

#[path = "support/issuer.rs"]
mod issuer;
#[path = "support/jws.rs"]
mod jws;
#[path = "support/resource_server.rs"]
mod resource_server;
#[path = "support/shelf.rs"]
mod shelf;
#[path = "support/site.rs"]
mod site;
mod support;
#[path = "support/web.rs"]
mod web;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use issuer::{Key, jwks};
use resource_server::{assert_refused, assert_unavailable, through};
use serde_json::{Value, json};
use shelf::{Op, Shelf};
use site::{assert_invalid_request, assert_refused as assert_error, assert_uncached_json};
use support::*;
use tower::ServiceExt;
use tower_oauth::resource_server::TrustedIssuer;
use tower_oauth::testing::ManualClock;
use tower_oauth::{
    AccessTokenFormat, BearerLayer, Client, Endpoints, Fetch, Holder, JwtVerifier, MemoryStore, Provider,
    ProviderBuilder,
};
use web::{Web, document, status};

const METADATA: &str = "/.well-known/oauth-authorization-server";
const NOW: u64 = 1_800_000_000;

/// A provider with a feed, and two resource servers that may ask.
fn with_feed(clock: &ManualClock) -> ProviderBuilder {
    builder(clock)
        .access_token_format(AccessTokenFormat::Jwt)
        .revocation_feed()
        .client(Client::resource_server("api", SECRET, ISSUER))
        .client(Client::resource_server("mcp", SECRET, "https://shift.example/mcp"))
}

/// The nodes of a provider as whoever fetches sees them, each in turn; none of them is there while they are down.
#[derive(Clone)]
struct Net(Arc<NetInner>);

struct NetInner {
    nodes: Vec<App>,
    /// The path and the body of each request that came, and the status of its answer.
    asked: Mutex<Vec<(String, String, StatusCode)>>,
    down: Mutex<bool>,
}

impl Net {
    fn of(nodes: &[Provider]) -> Self {
        let (nodes, asked, down) = (nodes.iter().map(app).collect(), Mutex::default(), Mutex::default());
        Self(Arc::new(NetInner { nodes, asked, down }))
    }

    fn down(&self, down: bool) {
        *self.0.down.lock().expect("no panic") = down;
    }

    /// What came for the feed since the last time that this was asked.
    fn asked(&self) -> Vec<(String, StatusCode)> {
        let asked = std::mem::take(&mut *self.0.asked.lock().expect("no panic"));
        asked.into_iter().filter(|(path, ..)| path == "/revoked").map(|(_, body, status)| (body, status)).collect()
    }
}

impl Fetch for Net {
    type Error = &'static str;

    async fn fetch(&self, request: Request<Bytes>) -> Result<Response<Bytes>, &'static str> {
        let (path, body) = (request.uri().path().to_owned(), String::from_utf8_lossy(request.body()).into_owned());
        if *self.0.down.lock().expect("no panic") {
            return Err("out of reach");
        }
        let turn = self.0.asked.lock().expect("no panic").len();
        let node = self.0.nodes[turn % self.0.nodes.len()].clone();
        let Ok(answer) = node.oneshot(request.map(Body::from)).await;
        let (head, answered) = answer.into_parts();
        self.0.asked.lock().expect("no panic").push((path, body, head.status));
        Ok(Response::from_parts(head, answered.collect().await.map_err(|_| "broken off")?.to_bytes()))
    }
}

/// Two nodes on one store, and an API apart from them.
struct Scene {
    nodes: [Provider; 2],
    apps: [App; 2],
    clock: ManualClock,
    net: Net,
    api: BearerLayer,
}

fn scene() -> Scene {
    let (clock, store) = (ManualClock::default(), MemoryStore::new());
    let nodes = [(); 2].map(|()| with_feed(&clock).store(store.clone()).build().expect("a good configuration"));
    let net = Net::of(&nodes);
    let api = verifier(&net, &clock, TrustedIssuer::from(ISSUER).revocation_feed("api", SECRET)).bearer();
    Scene { apps: [app(&nodes[0]), app(&nodes[1])], nodes, clock, net, api }
}

fn verifier(fetch: &(impl Fetch + Clone), clock: &ManualClock, issuer: TrustedIssuer) -> JwtVerifier {
    let builder = JwtVerifier::builder(ISSUER).fetch(fetch.clone()).clock(clock.clone());
    builder.issuer(issuer).build().expect("a good configuration")
}

impl Scene {
    fn pass(&self, count: u64) {
        self.clock.advance(seconds(count));
    }

    async fn issue(&self) -> String {
        let issued = self.nodes[0].issue("public", "alice", "profile".parse().expect("a scope")).await;
        issued.expect("a token").secret().to_owned()
    }

    async fn answer(&self, token: &str) -> Answer {
        through(&self.api, token).await
    }

    async fn takes(&self, token: &str) {
        let answer = self.answer(token).await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "alice through public"), "{answer:?}");
    }

    async fn refuses(&self, token: &str) {
        assert_refused(&self.answer(token).await, "the token was revoked");
    }

    async fn revoke(&self, token: &str) {
        let answer = send(&self.apps[0], form("/revoke", &[("token", token), ("client_id", "public")])).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }

    /// What a resource server is told that has the list of this digest.
    async fn told(&self, digest: Option<&str>) -> Value {
        let params: Vec<_> = digest.iter().map(|digest| ("digest", *digest)).collect();
        let answer = send(&self.apps[1], basic(form("/revoked", &params), "api", SECRET)).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        assert_uncached_json(&answer);
        answer.json()
    }
}

/// What was begun meanwhile comes to its end.
async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// The claims of a token.
fn read(token: &str) -> Value {
    let claims = token.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).expect("base64url")).expect("JSON")
}

fn jti(token: &str) -> String {
    read(token)["jti"].as_str().expect("a text").to_owned()
}

/// The key of a token's grant: the first 16 bytes of its `jti`.
fn grant(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(&URL_SAFE_NO_PAD.decode(jti(token)).expect("base64url")[..16])
}

// ---- at the verifier ------------------------------------------------------------------------------------------------

/// What ends a grant at one of the nodes.
async fn end(scene: &Scene, way: usize, access: &str, renewal: &str, code: &str) {
    let [node, _] = &scene.nodes;
    match way {
        0 => scene.revoke(renewal).await,
        1 => node.revoke_grant(grant(access).parse().expect("a key")).await.expect("the store answers"),
        2 => drop(node.revoke_all(&Holder::User("alice".into())).await.expect("the store answers")),
        3 => drop(node.revoke_all(&Holder::Client("public".into())).await.expect("the store answers")),
        4 => {
            assert_eq!(redeem(&scene.apps[0], code).await.status, StatusCode::BAD_REQUEST, "a code that is used twice")
        }
        _ => {
            let answer = refresh(&scene.apps[0], renewal).await;
            assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
            scene.pass(11);
            assert_eq!(refresh(&scene.apps[0], renewal).await.status, StatusCode::BAD_REQUEST, "a retired token");
        }
    }
}

/// RFC 7009 §3: "deployments that use self-contained tokens .. need some backend interaction".
#[tokio::test]
async fn what_ends_at_a_node_is_refused_at_the_verifier_within_5_seconds() {
    for way in 0..6 {
        let scene = scene();
        let code = code(&scene.apps[1], "profile").await;
        let issued = redeem(&scene.apps[1], &code).await.json();
        let text = |name: &str| issued[name].as_str().expect("a text").to_owned();
        let (access, renewal) = (text("access_token"), text("refresh_token"));
        for later in [0, 1, 6] {
            scene.pass(later);
            scene.takes(&access).await;
        }
        end(&scene, way, &access, &renewal, &code).await;
        scene.pass(5);
        scene.refuses(&access).await;
        // Whoever was not ended goes on, remembered or new.
        let other = scene.issue().await;
        for later in [0, 0, 5] {
            scene.pass(later);
            scene.takes(&other).await;
            scene.refuses(&access).await;
        }
    }
}

/// RFC 7009 §2.1: an access token ends alone.
#[tokio::test]
async fn a_token_that_is_revoked_ends_alone() {
    let scene = scene();
    let (first, renewal) = tokens(&scene.apps[0], "profile").await;
    let second = refresh(&scene.apps[0], &renewal).await.json()["access_token"].as_str().expect("a token").to_owned();
    assert_eq!(grant(&first), grant(&second));
    for token in [&first, &second] {
        scene.takes(token).await;
    }
    scene.revoke(&first).await;
    scene.pass(5);
    scene.refuses(&first).await;
    scene.takes(&second).await;
    scene.takes(&scene.issue().await).await;
}

/// More than a record remembers: then all end that were issued so far, and none that come later.
#[tokio::test]
async fn with_one_token_too_many_all_end_that_were_issued_so_far() {
    let scene = scene();
    let (first, mut renewal) = tokens(&scene.apps[0], "profile").await;
    let next = async |renewal: &mut String| {
        let answer = refresh(&scene.apps[0], renewal).await.json();
        *renewal = answer["refresh_token"].as_str().expect("a token").to_owned();
        answer["access_token"].as_str().expect("a token").to_owned()
    };
    scene.takes(&first).await;
    for _ in 0..33 {
        let token = next(&mut renewal).await;
        scene.revoke(&token).await;
    }
    scene.pass(5);
    scene.refuses(&first).await;
    let later = next(&mut renewal).await;
    scene.takes(&later).await;
}

/// The list is asked for as long as tokens come, once for all, and a list that is known is not sent again.
#[tokio::test]
async fn one_question_every_4_seconds_is_enough_for_all_and_nobody_waits_for_it() {
    let scene = scene();
    let token = scene.issue().await;
    scene.net.asked();
    for second in 0..40 {
        for _ in 0..10 {
            scene.takes(&token).await;
        }
        settle().await;
        if second == 20 {
            scene.revoke(&scene.issue().await).await;
        }
        scene.pass(1);
    }
    let asked = scene.net.asked();
    assert!((8..=10).contains(&asked.len()), "{asked:?}");
    assert!(asked.iter().all(|(_, status)| *status == StatusCode::OK));
    let forms: BTreeSet<_> = asked.iter().map(|(body, _)| &**body).collect();
    let digests = forms.iter().filter(|form| form.starts_with("digest=")).count();
    assert_eq!((asked[0].0.as_str(), digests, forms.len()), ("", 2, 3), "{forms:?}");
    scene.pass(600);
    assert_eq!(scene.net.asked(), [], "nobody asks for nobody");
}

/// RFC 9111 §4.2.4, for a minute: it fails closed.
#[tokio::test]
async fn while_the_provider_is_down_tokens_pass_for_a_minute_and_then_nothing_does_until_it_is_back() {
    let scene = scene();
    let (kept, ended) = (scene.issue().await, scene.issue().await);
    scene.takes(&kept).await;
    scene.takes(&ended).await;
    scene.net.down(true);
    scene.revoke(&ended).await;
    for _ in 0..59 {
        scene.pass(1);
        scene.takes(&kept).await;
        scene.takes(&ended).await;
    }
    scene.pass(1);
    for token in [&kept, &ended] {
        assert_unavailable(&scene.answer(token).await);
    }
    let fresh = scene.issue().await;
    scene.pass(100);
    assert_unavailable(&scene.answer(&fresh).await);
    scene.net.down(false);
    scene.pass(2);
    scene.takes(&kept).await;
    scene.takes(&fresh).await;
    scene.refuses(&ended).await;
}

#[tokio::test]
async fn a_verifier_that_starts_while_the_provider_is_down_answers_503_and_recovers() {
    let scene = scene();
    let (kept, ended) = (scene.issue().await, scene.issue().await);
    scene.revoke(&ended).await;
    scene.net.down(true);
    for _ in 0..3 {
        assert_unavailable(&scene.answer(&kept).await);
        scene.pass(3);
    }
    scene.net.down(false);
    scene.pass(5);
    scene.takes(&kept).await;
    scene.refuses(&ended).await;
}

/// Off until asked for.
#[tokio::test]
async fn without_the_call_nothing_is_asked_and_a_token_is_good_until_its_end() {
    let scene = scene();
    let api = verifier(&scene.net, &scene.clock, TrustedIssuer::from(ISSUER)).bearer();
    let token = scene.issue().await;
    for later in [0, 5, 60, 400] {
        scene.pass(later);
        assert_eq!(through(&api, &token).await.status, StatusCode::OK);
        scene.revoke(&token).await;
    }
    assert_eq!(scene.net.asked(), []);
    scene.refuses(&token).await;
}

/// Whatever is no list is not taken for an empty one.
#[tokio::test]
async fn what_is_no_list_is_nothing_to_go_by() {
    const FEED: &str = "https://shift.example/revoked";
    let (web, clock, key) = (Web::default(), ManualClock::default(), Key::new());
    let place = |path: &str| format!("{ISSUER}{path}");
    let metadata = json!({"issuer": ISSUER, "jwks_uri": place("/keys"), "revocation_feed_endpoint": FEED});
    web.put(&place(METADATA), &metadata);
    web.put(&place("/keys"), jwks(&[&key]));
    let id = URL_SAFE_NO_PAD.encode([7; 24]);
    let claims = json!({
        "iss": ISSUER, "aud": ISSUER, "sub": "alice", "client_id": "public", "jti": id, "scope": "profile", "iat": NOW,
        "exp": NOW + 86_400,
    });
    let token = key.token(&claims);
    let trusted = || TrustedIssuer::from(ISSUER).revocation_feed("api", SECRET);
    let api = verifier(&web, &clock, trusted()).bearer();
    let list = |tokens: &[&str]| json!({"grants": [], "grants_issued_until": {}, "tokens": tokens});
    let good = |tokens: &[&str]| json!({"digest": tokens.join(" "), "revoked": list(tokens)});
    let wrong: [fn() -> Response<Bytes>; 6] = [
        || status(StatusCode::UNAUTHORIZED),
        || status(StatusCode::OK),
        || document("{}"),
        || document(json!({"digest": "of no list that was told"})),
        || document(json!({"digest": "", "revoked": {}})),
        || Response::new(Bytes::from(r#"{"digest":"","revoked":{"grants":[],"grants_issued_until":{},"tokens":[]}}"#)),
    ];
    for wrong in wrong {
        web.answer(FEED, move |_| wrong());
        assert_unavailable(&through(&api, &token).await);
        clock.advance(seconds(2));
    }
    web.put(FEED, good(&[]));
    assert_eq!(through(&api, &token).await.status, StatusCode::OK);
    // The list that was told last stays the one to go by, for its minute.
    web.put(FEED, good(&[&id]));
    clock.advance(seconds(5));
    assert_refused(&through(&api, &token).await, "the token was revoked");
    for wrong in wrong {
        web.answer(FEED, move |_| wrong());
        clock.advance(seconds(5));
        assert_refused(&through(&api, &token).await, "the token was revoked");
    }
    // That it is still the same is believed of a list that was told.
    web.put(FEED, json!({"digest": "of no list that was told"}));
    clock.advance(seconds(60));
    assert_unavailable(&through(&api, &token).await);
    // A token that is no provider's of this crate is none that can be looked up.
    let foreign = key.token(&with_members(claims.clone(), json!({"jti": "1"})));
    web.put(FEED, good(&[]));
    clock.advance(seconds(5));
    assert_refused(&through(&api, &foreign).await, "no access token of a known form");
    settle().await;
    assert_eq!(through(&api, &token).await.status, StatusCode::OK);
    // A forged token costs no question, nor does one that is over.
    web.new_hits();
    let layer = verifier(&web, &clock, trusted()).bearer();
    assert_refused(&through(&layer, &Key::new().token(&claims)).await, "not known here");
    assert_eq!(web.hits(FEED), 0);
    // An issuer without a feed, and one whose feed is no place of its own.
    for feed in [json!(null), json!("http://shift.example/revoked")] {
        let metadata = with_members(metadata.clone(), json!({"revocation_feed_endpoint": feed}));
        web.put(&place(METADATA), metadata);
        assert_unavailable(&through(&verifier(&web, &clock, trusted()).bearer(), &token).await);
    }
}

/// Many come at once, and one asks.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_come_at_once_one_asks() {
    let scene = scene();
    let (kept, ended) = (scene.issue().await, scene.issue().await);
    for _ in 0..10 {
        scene.pass(5);
        scene.net.asked();
        let waiting: Vec<_> = [&kept, &ended].repeat(32).into_iter().cloned().collect();
        let waiting = waiting.into_iter().map(|token| {
            let api = scene.api.clone();
            tokio::spawn(async move { through(&api, &token).await.status })
        });
        for answer in waiting.collect::<Vec<_>>() {
            assert_eq!(answer.await.expect("no panic"), StatusCode::OK);
        }
        assert_eq!(scene.net.asked().len(), 1);
    }
    scene.revoke(&ended).await;
    scene.pass(5);
    scene.takes(&kept).await;
    scene.refuses(&ended).await;
}

// ---- at the endpoint ------------------------------------------------------------------------------------------------

#[tokio::test]
async fn the_list_names_grants_and_tokens_by_what_their_tokens_say_and_nothing_that_opens_anything() {
    let scene = scene();
    let empty = scene.told(None).await;
    let nothing = json!({"grants": [], "grants_issued_until": {}, "tokens": []});
    assert_eq!(empty, json!({"digest": empty["digest"], "revoked": nothing}));
    let (access, renewal) = tokens(&scene.apps[0], "profile").await;
    let code = code(&scene.apps[0], "profile").await;
    let one = scene.issue().await;
    scene.revoke(&renewal).await;
    scene.revoke(&one).await;
    let told = scene.told(empty["digest"].as_str()).await;
    let revoked = json!({"grants": [grant(&access)], "grants_issued_until": {}, "tokens": [jti(&one)]});
    assert_eq!(told, json!({"digest": told["digest"], "revoked": revoked}));
    assert_ne!(told["digest"], empty["digest"]);
    for secret in [&*access, &renewal, &code, "alice", "public", SECRET] {
        assert!(!told.to_string().contains(secret), "{secret}");
    }
    // Whoever has it is told so, at either node.
    let digest = told["digest"].as_str();
    assert_eq!(scene.told(digest).await, json!({"digest": digest}));
    assert_eq!(scene.told(Some("another")).await, told);
    // A token is told until it is over, and a grant until all of its tokens are.
    scene.pass(720);
    scene.nodes[0].sweep().await.expect("the store answers");
    assert_eq!(scene.told(digest).await["revoked"]["tokens"], json!([]));
    assert_eq!(scene.told(None).await["revoked"]["grants"], json!([grant(&access)]));
    scene.pass(86_520 - 720);
    assert_eq!(scene.told(None).await["revoked"], nothing);
}

/// As at the introspection endpoint: RFC 7662 §2.1, RFC 6749 §2.3.1 and §5.2.
#[tokio::test]
async fn who_may_not_ask_is_answered_as_at_the_introspection_endpoint() {
    let scene = scene();
    let app = &scene.apps[0];
    let both = async |request: &dyn Fn(&str) -> Request<Body>| {
        let [feed, other] = [send(app, request("/revoked")).await, send(app, request("/introspect")).await];
        assert_eq!((feed.status, feed.headers), (other.status, other.headers));
        (feed.status, serde_json::from_str(&feed.body).unwrap_or(Value::Null)["error"].clone())
    };
    let wrong = "another-secret-of-32-characters-or-more";
    let params = [("token", "x")];
    let refused = (StatusCode::UNAUTHORIZED, json!("invalid_client"));
    assert_eq!(both(&|path| form(path, &params)).await, refused);
    assert_eq!(both(&|path| basic(form(path, &params), "api", wrong)).await, refused);
    assert_eq!(both(&|path| basic(form(path, &params), "nobody", SECRET)).await, refused);
    assert_eq!(both(&|path| form(path, &[("client_id", "public")])).await, refused);
    let invalid = (StatusCode::BAD_REQUEST, json!("invalid_request"));
    assert_eq!(both(&|path| basic(form(&format!("{path}?token=x"), &params), "api", SECRET)).await, invalid);
    let taken = (StatusCode::METHOD_NOT_ALLOWED, json!("invalid_request"));
    assert_eq!(both(&|path| basic(request(Method::GET, path), "api", SECRET)).await, taken);

    // A client that is no resource server looks into its own tokens, and into this not at all.
    for client in ["confidential", "original"] {
        let answer = send(app, site::as_client(client, &[])).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{client} is a client");
    }
    let answer = send(app, basic(form("/revoked", &[]), "confidential", SECRET)).await;
    assert_error(&answer, StatusCode::UNAUTHORIZED, "invalid_client");
    for server in ["api", "mcp"] {
        assert_eq!(send(app, basic(form("/revoked", &[]), server, SECRET)).await.status, StatusCode::OK, "{server}");
    }
    let twice = [("digest", "x"), ("digest", "x")];
    assert_invalid_request(&send(app, basic(form("/revoked", &twice), "api", SECRET)).await);
}

/// Fetch §3.2: it is for servers.
#[tokio::test]
async fn no_page_of_another_origin_reads_it() {
    let scene = scene();
    let mut asked = basic(form("/revoked", &[]), "api", SECRET);
    asked.headers_mut().insert(header::ORIGIN, "https://app.example".parse().expect("a header"));
    let mut preflight = request(Method::OPTIONS, "/revoked");
    for (name, value) in [(header::ORIGIN, "https://app.example"), (header::ACCESS_CONTROL_REQUEST_METHOD, "POST")] {
        preflight.headers_mut().insert(name, value.parse().expect("a header"));
    }
    for (request, status) in [(asked, StatusCode::OK), (preflight, StatusCode::METHOD_NOT_ALLOWED)] {
        let answer = send(&scene.apps[0], request).await;
        assert_eq!(answer.status, status);
        assert!(!answer.headers.keys().any(|name| name.as_str().starts_with("access-control-")), "{answer:?}");
    }
}

/// RFC 8414 §2: what is on is said, and what is off is not.
#[tokio::test]
async fn it_is_there_and_in_the_metadata_exactly_where_it_is_on() {
    let clock = ManualClock::default();
    let members = ["revocation_feed_endpoint", "revocation_feed_endpoint_auth_methods_supported"];
    let signs = "revocation_feed_endpoint_auth_signing_alg_values_supported";
    let built = |builder: ProviderBuilder| builder.build().expect("a good configuration");
    let jwts = || builder(&clock).access_token_format(AccessTokenFormat::Jwt);
    let server = || Client::resource_server("api", SECRET, ISSUER);
    let asked = |path: &str| basic(form(path, &[]), "api", SECRET);
    for off in [built(builder(&clock).client(server())), built(jwts().client(server()))] {
        let metadata = send(&app(&off), request(Method::GET, METADATA)).await.json();
        assert!(members.iter().all(|name| metadata.get(name).is_none()), "{metadata}");
        for answer in [send(&app(&off), asked("/revoked")).await, send(&off.revocation_feed(), asked("/x")).await] {
            assert_eq!(answer.status, StatusCode::NOT_FOUND);
        }
    }
    let endpoints = Endpoints::under("/oauth").revocation_feed("/gone");
    for (on, path) in [(with_feed(&clock), "/revoked"), (with_feed(&clock).endpoints(endpoints), "/oauth/gone")] {
        let on = built(on.private_key_jwt());
        let metadata = send(&app(&on), request(Method::GET, METADATA)).await.json();
        let introspection = &metadata["introspection_endpoint_auth_methods_supported"];
        assert_eq!([&metadata[members[0]], &metadata[members[1]]], [&json!(format!("{ISSUER}{path}")), introspection]);
        assert_eq!(metadata[signs], metadata["introspection_endpoint_auth_signing_alg_values_supported"]);
        for answer in [send(&app(&on), asked(path)).await, send(&on.revocation_feed(), asked("/anywhere")).await] {
            assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        }
    }
}

#[test]
fn what_cannot_work_is_said_when_it_is_built() {
    let clock = ManualClock::default();
    let wrong = |builder: ProviderBuilder| builder.build().expect_err("it cannot work").to_string();
    let handles = wrong(builder(&clock).revocation_feed());
    assert!(handles.contains("`.revocation_feed()` is for JWTs and no access token is one"), "{handles}");
    let forgets = wrong(with_feed(&clock).store(Shelf::default()));
    assert!(forgets.contains("keeps no list of what was revoked: implement `GrantStore::revocations`"), "{forgets}");
    for path in ["/jwks", "/introspect", "/x/"] {
        let twice = wrong(with_feed(&clock).endpoints(Endpoints::default().revocation_feed(path)));
        assert!(twice.contains("write each endpoint as `/name`"), "{twice}");
    }
    // What is off takes no path from the others.
    let jwts = builder(&clock).access_token_format(AccessTokenFormat::Jwt);
    assert!(jwts.endpoints(Endpoints::default().jwks("/revoked")).build().is_ok());
    let trusted = TrustedIssuer::from(ISSUER).jwks(issuer::key_set(&[&Key::new()])).revocation_feed("api", SECRET);
    let verifier = JwtVerifier::builder(ISSUER).issuer(trusted.clone()).build();
    assert!(verifier.expect_err("nothing asks").to_string().contains(".fetch(..)"));
    assert!(!format!("{trusted:?}").contains(SECRET));
}

/// An outage is 503, and never an empty list.
#[tokio::test]
async fn a_store_that_is_down_is_503() {
    let clock = ManualClock::default();
    let shelf = Shelf::keeping_revocations();
    let app = app(&with_feed(&clock).store(shelf.clone()).build().expect("a good configuration"));
    let asked = || basic(form("/revoked", &[]), "api", SECRET);
    assert_eq!(send(&app, asked()).await.status, StatusCode::OK);
    shelf.take_down(&[Op::Revocations]);
    site::assert_unavailable(&send(&app, asked()).await);
}
