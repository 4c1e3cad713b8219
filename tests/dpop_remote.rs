//! Tokens that are bound to a key, at an API apart from its authorization server: RFC 9449 §6 and §7, RFC 7800 §3.

#[path = "support/issuer.rs"]
mod issuer;
#[path = "support/jws.rs"]
mod jws;
#[path = "support/prover.rs"]
mod prover;
#[path = "support/resource_server.rs"]
mod resource_server;
mod support;
#[path = "support/web.rs"]
mod web;

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use http::{Request, Response, StatusCode, header};
use issuer::{Key, jwks, key_set};
use prover::{NONCE, Prover, get_with};
use resource_server::{API, ISSUER, METADATA, NOW, assert_refused};
use serde_json::{Value, json};
use support::{Answer, SECRET, bearer, send, with_members};
use tokio::sync::Barrier;
use tower::{Layer, Service};
use tower_oauth::resource_server::TrustedIssuer;
use tower_oauth::testing::ManualClock;
use tower_oauth::{Authorized, BearerLayer, Credentials, Dpop, Introspector, JwtVerifier, MemoryStore, Secret};
use tower_oauth::{Thumbprint, Verification, Verify};
use web::Web;

const URL: &str = "https://api.example/items";
const ENDPOINT: &str = "https://shift.example/introspect";

/// What an issuer says of a token that is bound to a key.
fn claims(prover: &Prover) -> Value {
    json!({
        "iss": ISSUER, "aud": API, "sub": "alice", "client_id": "app", "jti": "1", "scope": "profile",
        "iat": NOW, "exp": NOW + 600, "cnf": {"jkt": prover.thumbprint()},
    })
}

fn jwt_layer(key: &Key) -> BearerLayer {
    let issuer = TrustedIssuer::from(ISSUER).jwks(key_set(&[key]));
    let builder = JwtVerifier::builder(API).issuer(issuer).clock(ManualClock::default());
    builder.build().expect("a good configuration").bearer()
}

/// A layer over an endpoint that says this of every token.
fn introspecting(answer: Value) -> BearerLayer {
    let web = Web::default();
    web.put(METADATA, json!({"issuer": ISSUER, "introspection_endpoint": ENDPOINT}));
    web.put(ENDPOINT, answer);
    let builder =
        Introspector::builder(API, ISSUER).credentials("api", SECRET).fetch(web).clock(ManualClock::default());
    builder.build().expect("a good configuration").bearer()
}

fn proofs() -> Dpop {
    Dpop::at(API).clock(ManualClock::default())
}

/// Says which key it sees.
fn inner() -> impl Service<Request<Body>, Response = Response<String>, Error = Infallible, Future: Send> + Clone {
    tower::service_fn(async |request: Request<Body>| {
        let token = Authorized::<()>::from_extensions(request.extensions()).expect("a layer above");
        Ok(Response::new(token.key().map_or("nobody's".to_owned(), |key| key.to_string())))
    })
}

async fn ask(layer: &BearerLayer, request: Request<Body>) -> Answer {
    send(&layer.layer(inner()), request).await
}

#[track_caller]
fn assert_key(answer: &Answer, prover: &Prover) {
    assert_eq!((answer.status, &answer.body), (StatusCode::OK, &prover.thumbprint()), "{answer:?}");
}

#[track_caller]
fn assert_error(answer: &Answer, error: &str) {
    let told = answer.header(header::WWW_AUTHENTICATE);
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
    assert!(told.starts_with("DPoP ") && told.contains(&format!("error=\"{error}\"")), "{told}");
}

/// RFC 9449 §7.1 and §7.2: with a proof of its key and not otherwise; also a token that is remembered
#[tokio::test]
async fn a_bound_token_is_good_with_a_proof_of_its_key() {
    let (prover, thief, key) = (Prover::es256(), Prover::es256(), Key::new());
    let token = key.token(&claims(&prover));
    let answer = |token_type: &str| with_members(claims(&prover), json!({"active": true, "token_type": token_type}));
    for layer in [jwt_layer(&key), introspecting(answer("DPoP")), introspecting(answer("bearer"))] {
        let asking = layer.clone().dpop(proofs());
        for _ in 0..2 {
            assert_key(&ask(&asking, get_with("/items?a=b", &token, &prover.for_get(URL, &token))).await, &prover);
            let answer = ask(&asking, bearer("/items", &token)).await;
            assert_refused(&answer, "send it as DPoP");
            let stolen = get_with("/items", &token, &thief.for_get(URL, &token));
            assert_error(&ask(&asking, stolen).await, "invalid_token");
            let elsewhere = prover.for_get("https://shift.example/items", &token);
            assert_error(&ask(&asking, get_with("/items", &token, &elsewhere)).await, "invalid_dpop_proof");
            // Where nobody asks for proofs, it is good for nobody.
            assert_refused(&ask(&layer, bearer("/items", &token)).await, "bound to a key");
            let answer = ask(&layer, get_with("/items", &token, &prover.for_get(URL, &token))).await;
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        }
    }
}

/// RFC 9449 §7.2: tokens that are not bound are as before
#[tokio::test]
async fn a_token_that_is_bound_to_nothing_is_good_for_its_bearer() {
    let (prover, key) = (Prover::es256(), Key::new());
    let token = key.token(&with_members(claims(&prover), json!({"cnf": null})));
    let layer = jwt_layer(&key).dpop(proofs());
    assert_eq!(ask(&layer, bearer("/items", &token)).await.body, "nobody's");
    let answer = ask(&layer, get_with("/items", &token, &prover.for_get(URL, &token))).await;
    assert_error(&answer, "invalid_token");
    let answer = ask(&jwt_layer(&key).dpop(proofs().required()), bearer("/items", &token)).await;
    assert_error(&answer, "invalid_token");
    assert_eq!(answer.headers.get_all(header::WWW_AUTHENTICATE).iter().count(), 1);
}

/// RFC 7800 §3.1: what is bound in another way, or in two, nobody here can have proved
#[tokio::test]
async fn a_confirmation_that_nobody_can_check_is_refused() {
    let (prover, key) = (Prover::es256(), Key::new());
    let jkt = prover.thumbprint();
    for cnf in [
        json!({}),
        json!(jkt),
        json!({"jkt": 7}),
        json!({"jkt": "x"}),
        json!({"jkt": format!("{jkt}=")}),
        json!({"x5t#S256": jkt}),
        json!({"jkt": jkt, "x5t#S256": jkt}),
        json!({"jwk": prover.key.public()}),
    ] {
        let said = with_members(claims(&prover), json!({"cnf": cnf, "active": true, "token_type": "DPoP"}));
        let token = key.token(&said);
        for layer in [jwt_layer(&key), introspecting(said)] {
            let layer = layer.dpop(proofs());
            let answer = ask(&layer, get_with("/items", &token, &prover.for_get(URL, &token))).await;
            assert_error(&answer, "invalid_token");
            assert_refused(&ask(&layer, bearer("/items", &token)).await, "bound to a key");
        }
    }
}

/// RFC 9449 §11.1: a process remembers its own, a store those of all
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_proof_is_good_once() {
    let (prover, key, store) = (Prover::es256(), Key::new(), MemoryStore::new());
    let token = key.token(&claims(&prover));
    let alone = proofs();
    let same_process = [jwt_layer(&key).dpop(alone.clone()), jwt_layer(&key).dpop(alone)];
    let node = || jwt_layer(&key).dpop(proofs().store(store.clone()));
    for nodes in [same_process, [node(), node()]] {
        for round in 0..10 {
            let proof = prover.for_get(URL, &token);
            let barrier = Arc::new(Barrier::new(64));
            let racers = (0..64).map(|number| {
                let (layer, barrier) = (nodes[number % 2].clone(), Arc::clone(&barrier));
                let request = get_with("/items", &token, &proof);
                tokio::spawn(async move {
                    barrier.wait().await;
                    ask(&layer, request).await
                })
            });
            let mut won = 0;
            for racer in racers.collect::<Vec<_>>() {
                let answer = racer.await.expect("every racer comes to its end");
                if answer.status == StatusCode::OK { won += 1 } else { assert_error(&answer, "invalid_dpop_proof") }
            }
            assert_eq!(won, 1, "round {round}");
        }
    }
}

/// RFC 9449 §9
#[tokio::test]
async fn a_nonce_can_be_asked_for() {
    let (prover, key, secret) = (Prover::es256(), Key::new(), Secret::generate());
    let token = key.token(&claims(&prover));
    let [layer, other] = [API, "https://api.example/below"].map(|base| {
        let dpop = Dpop::at(base).clock(ManualClock::default());
        jwt_layer(&key).dpop(dpop.nonces(secret.clone()))
    });
    let answer = ask(&layer, get_with("/items", &token, &prover.for_get(URL, &token))).await;
    assert_error(&answer, "use_dpop_nonce");
    let nonce = json!({"nonce": answer.header(NONCE)});
    let proof = |url: &str| prover.proof_but("GET", url, Some(&token), nonce.clone());
    assert_key(&ask(&layer, get_with("/items", &token, &proof(URL))).await, &prover);
    // Clients keep one for each origin.
    let url = "https://api.example/below/items";
    assert_key(&ask(&other, get_with("/items", &token, &proof(url))).await, &prover);
}

/// An app's own verifier says of a token that it is bound, and the layer asks for the proof.
#[tokio::test]
async fn a_verifier_of_an_apps_own_can_say_that_a_token_is_bound() {
    struct Own(Thumbprint);

    impl Verify for Own {
        fn verify(&self, _: Credentials<'_>) -> Verification {
            let end = std::time::SystemTime::UNIX_EPOCH + support::seconds(NOW + 600);
            Verification::ready(Ok(Authorized::new("app", None, "".parse().expect("a scope"), end).bound_to(self.0)))
        }
    }

    let prover = Prover::eddsa();
    let layer = || BearerLayer::new(Own(prover.thumbprint().parse().expect("a thumbprint")));
    let answer = ask(&layer().dpop(proofs()), get_with("/items", "x", &prover.for_get(URL, "x"))).await;
    assert_key(&answer, &prover);
    assert_refused(&ask(&layer().dpop(proofs()), bearer("/items", "x")).await, "send it as DPoP");
    assert_refused(&ask(&layer(), bearer("/items", "x")).await, "bound to a key");
}

/// The document of keys is not asked for where a request brings no proof.
#[tokio::test]
async fn a_bad_proof_is_refused_before_anybody_is_asked_of_its_token() {
    let (prover, key, web) = (Prover::es256(), Key::new(), Web::default());
    web.put(METADATA, json!({"issuer": ISSUER, "jwks_uri": "https://shift.example/keys"}));
    web.put("https://shift.example/keys", jwks(&[&key]));
    let builder = JwtVerifier::builder(API).issuer(ISSUER).fetch(web.clone()).clock(ManualClock::default());
    let layer = builder.build().expect("a good configuration").bearer().dpop(proofs());
    let token = key.token(&claims(&prover));
    for proof in ["x".to_owned(), prover.for_get(API, &token), prover.for_get(URL, "another")] {
        assert_error(&ask(&layer, get_with("/items", &token, &proof)).await, "invalid_dpop_proof");
    }
    assert_eq!(web.new_hits(), 0);
    assert_key(&ask(&layer, get_with("/items", &token, &prover.for_get(URL, &token))).await, &prover);
}
