//! Proofs of keys where layers meet: a provider's own layer and what is said to it beside, step-ups, several providers.
//! RFC 9449 §7.1, RFC 9470 §3, RFC 9728 §2.

#[path = "support/jws.rs"]
mod jws;
#[path = "support/prover.rs"]
mod prover;
mod support;

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use http::{Method, Request, StatusCode, header};
use prover::{NONCE, Prover, get_with, with_proof};
use serde_json::json;
use support::{Answer, App, SECRET, app, basic, bearer, builder, form, request, send};
use tower::util::BoxCloneSyncService;
use tower_oauth::testing::ManualClock;
use tower_oauth::{
    Authorized, BearerLayer, Client, Credentials, Dpop, Endpoints, GrantType, MemoryStore, ProtectedResource, Provider,
    StepUp, Verification, Verify,
};

const PAY: &str = "https://shift.example/pay";
const FOR_ITSELF: [(&str, &str); 2] = [("grant_type", "client_credentials"), ("scope", "profile")];

/// A token of the confidential client, bound to a key.
async fn bound(provider: &Provider, prover: &Prover, url: &str, others: serde_json::Value, resource: &str) -> String {
    let asked = [&FOR_ITSELF[..], &[("resource", resource)]].concat();
    let path = url.strip_prefix("https://shift.example").expect("one of ours");
    let asked = basic(form(path, &asked), "confidential", SECRET);
    let answer = send(&app(provider), with_proof(asked, &prover.proof_but("POST", url, None, others))).await;
    answer.json()["access_token"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}

fn api(path: &str, layer: &BearerLayer) -> App {
    BoxCloneSyncService::new(Router::new().route(path, get(async || "in").route_layer(layer.clone())).into_service())
}

fn challenges(answer: &Answer) -> Vec<&str> {
    let values = answer.headers.get_all(header::WWW_AUTHENTICATE).iter();
    values.map(|value| value.to_str().expect("text")).collect()
}

/// RFC 9728 §2, RFC 9449 §9 and §11.1: where the layer stands is all that `Dpop::at` says of a provider's own layer; that
/// proofs are needed, with a nonce, and once at all nodes, the provider says.
#[tokio::test]
async fn a_providers_own_layer_asks_for_no_less_where_it_is_told_its_place() {
    let (clock, store) = (ManualClock::default(), MemoryStore::new());
    let node = || {
        let builder = builder(&clock).store(store.clone()).dpop().dpop_nonces();
        let resource = ProtectedResource::new(PAY).dpop_bound_access_tokens_required();
        builder.resource(resource).build().expect("a good configuration")
    };
    let nodes = [node(), node()];
    let layer = |provider: &Provider| provider.resource(PAY).expect("it is ours").bearer().dpop(Dpop::at(PAY));
    let [one, two] = nodes.each_ref().map(|provider| api("/in", &layer(provider)));
    let prover = Prover::es256();
    let token_url = "https://shift.example/token";
    let asked = basic(form("/token", &FOR_ITSELF), "confidential", SECRET);
    let answer = send(&app(&nodes[0]), with_proof(asked, &prover.for_tokens())).await;
    let nonce = answer.header(NONCE).to_owned();
    let token = bound(&nodes[0], &prover, token_url, json!({"nonce": nonce}), PAY).await;

    let answer = send(&one, request(Method::GET, "/in")).await;
    assert!(challenges(&answer)[0].starts_with("DPoP ") && challenges(&answer).len() == 1, "{answer:?}");
    let url = "https://shift.example/pay/in";
    let answer = send(&one, get_with("/in", &token, &prover.for_get(url, &token))).await;
    assert!(challenges(&answer)[0].contains("error=\"use_dpop_nonce\""), "{answer:?}");
    assert_eq!(answer.header(NONCE), nonce);
    let proof = prover.proof_but("GET", url, Some(&token), json!({"nonce": nonce}));
    assert_eq!(send(&one, get_with("/in", &token, &proof)).await.status, StatusCode::OK);
    let answer = send(&two, get_with("/in", &token, &proof)).await;
    assert!(challenges(&answer)[0].contains("error=\"invalid_dpop_proof\""), "{answer:?}");
}

/// RFC 9728 §2: a token that nobody proved a key for is none for such a resource, also without a request.
#[tokio::test]
async fn a_token_for_a_resource_that_needs_a_key_is_not_issued_without_one() {
    let resource = ProtectedResource::new(PAY).dpop_bound_access_tokens_required();
    let provider = builder(&ManualClock::default()).dpop().resource(resource).build().expect("a good configuration");
    let profile = || "profile".parse().expect("a scope");
    let pay = provider.resource(PAY).expect("it is ours");
    let refused = pay.issue("app", "alice", profile()).await.expect_err("a token for whoever has it");
    assert!(format!("{refused:?}").contains("bound to a key"), "{refused:?}");
    assert_eq!(provider.grants_of(&"alice".into()).await.expect("a store").len(), 0, "nothing is left of it");
    provider.issue("app", "alice", profile()).await.expect("one for the others");
}

/// RFC 9470 §3, RFC 9449 §7.1: the challenge is of the scheme that was tried, also where nobody told the layer of step-ups.
#[tokio::test]
async fn a_handlers_step_up_is_a_challenge_of_the_scheme_that_was_tried() {
    let provider = builder(&ManualClock::default()).dpop().build().expect("a good configuration");
    let handler = get(async || http::Response::<axum::body::Body>::from(StepUp::within(Duration::from_secs(60))));
    let router = Router::new().route("/", handler.route_layer(provider.bearer()));
    let api = BoxCloneSyncService::new(router.into_service());
    let prover = Prover::es256();
    let token = bound(&provider, &prover, "https://shift.example/token", json!({}), support::ISSUER).await;
    let answer = send(&api, get_with("/", &token, &prover.for_get("https://shift.example/", &token))).await;
    let [dpop, other] = challenges(&answer)[..] else { panic!("{answer:?}") };
    let told = "error=\"insufficient_user_authentication\"";
    assert!(dpop.starts_with("DPoP realm=") && dpop.contains(told) && dpop.contains("max_age=\"60\""), "{dpop}");
    assert!(other.starts_with("Bearer realm=") && !other.contains(told), "{other}");
}

/// RFC 9449 §4.3 item 9: of two providers in one router each has its own published URLs, whoever saw a path first.
#[tokio::test]
async fn a_layer_of_another_provider_outside_says_nothing_of_where_this_one_is() {
    let clock = ManualClock::default();
    let outer = builder(&clock).dpop().build().expect("a good configuration");
    let inner = Provider::builder("https://shift.example/b")
        .store(MemoryStore::new())
        .clock(clock.clone())
        .endpoints(Endpoints::default().stripped("/b"))
        .default_resource("https://shift.example/b")
        .scope("profile", "see your profile")
        .dpop()
        .client(Client::confidential("confidential", SECRET).grant_types([GrantType::ClientCredentials]))
        .build()
        .expect("a good configuration");
    let b = Router::new().route("/me", get(async || "in").route_layer(inner.bearer())).layer(inner.layer());
    let whole = BoxCloneSyncService::new(Router::new().nest_service("/b", b).layer(outer.layer()).into_service());
    let prover = Prover::es256();
    let asked: Request<_> = basic(form("/b/token", &FOR_ITSELF), "confidential", SECRET);
    let proof = prover.proof_but("POST", "https://shift.example/b/token", None, json!({}));
    let answer = send(&whole, with_proof(asked, &proof)).await;
    let token = answer.json()["access_token"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned();
    let answer = send(&whole, get_with("/b/me", &token, &prover.for_get("https://shift.example/b/me", &token))).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let answer = send(&whole, bearer("/b/me", &token)).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
}

/// Answers the token that a layer let in once.
struct HandedOn(Authorized);

impl Verify for HandedOn {
    fn verify(&self, _: Credentials<'_>) -> Verification {
        Verification::ready(Ok(self.0.clone()))
    }
}

/// RFC 9449 §7.2: that a key was proved with one request says nothing of another, whatever a verifier kept of the first.
#[tokio::test]
async fn a_proof_of_an_earlier_request_is_none_of_this_one() {
    let (clock, prover) = (ManualClock::default(), Prover::es256());
    let provider = builder(&clock).dpop().build().expect("a good configuration");
    let token = bound(&provider, &prover, "https://shift.example/token", json!({}), support::ISSUER).await;
    let (tell, told) = std::sync::mpsc::channel();
    let keep = get(async move |token: Authorized| drop(tell.send(token)));
    let router = Router::new().route("/", keep.route_layer(provider.bearer()));
    let first = BoxCloneSyncService::new(router.into_service());
    let url = "https://shift.example/";
    assert_eq!(send(&first, get_with("/", &token, &prover.for_get(url, &token))).await.status, StatusCode::OK);
    let kept = told.recv().expect("it passed");
    let layer = BearerLayer::new(HandedOn(kept)).resource(support::ISSUER).dpop(Dpop::at(url).clock(clock));
    let api = api("/", &layer);
    assert_eq!(send(&api, get_with("/", &token, &prover.for_get(url, &token))).await.status, StatusCode::OK);
    let answer = send(&api, bearer("/", &token)).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
}
