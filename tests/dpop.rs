//! Tokens that are bound to a key of their client: RFC 9449, RFC 9728 §2.

#[path = "support/jws.rs"]
mod jws;
#[path = "support/prover.rs"]
mod prover;
#[path = "support/shelf.rs"]
mod shelf;
mod support;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::get;
use http::{HeaderValue, Method, Request, StatusCode, header};
use prover::{DPOP, NONCE, Prover, get_with, with_proof};
use serde_json::{Map, Value, json};
use shelf::{Op, Shelf};
use support::{
    Answer, App, ISSUER, SECRET, VERIFIER, WEB, app, authorization, basic, bearer, builder, challenge, code_of, form,
    redemption, refreshing, request, seconds, send, with_query,
};
use tokio::sync::Barrier;
use tower::util::BoxCloneSyncService;
use tower_oauth::event::Event;
use tower_oauth::testing::ManualClock;
use tower_oauth::{
    AccessTokenFormat, Authorized, Client, Dpop, Endpoints, Issuers, MemoryStore, ProtectedResource, Provider,
    ProviderBuilder, RegistrationPolicy, Secret,
};

const ME: &str = "https://shift.example/me";
const FOR_ITSELF: [(&str, &str); 2] = [("grant_type", "client_credentials"), ("scope", "profile")];

struct Site {
    app: App,
    provider: Provider,
    clock: ManualClock,
    reasons: Arc<Mutex<Vec<&'static str>>>,
}

/// A provider that looks at proofs, with an API that introspects.
fn site() -> Site {
    site_with(ProviderBuilder::dpop)
}

fn site_with(change: impl FnOnce(ProviderBuilder) -> ProviderBuilder) -> Site {
    let (clock, reasons) = (ManualClock::default(), Arc::new(Mutex::new(Vec::new())));
    let heard = Arc::clone(&reasons);
    let hear = move |event: &Event<'_>| heard.lock().unwrap().extend(event.kind.reason());
    let builder = builder(&clock).client(Client::resource_server("api", SECRET, ISSUER)).on_event(hear);
    let provider = change(builder).build().expect("a good configuration");
    Site { app: app(&provider), provider, clock, reasons }
}

impl Site {
    /// A code of the public client, which is for the key of this thumbprint, if any.
    async fn code(&self, dpop_jkt: Option<&str>) -> String {
        let challenge = challenge(VERIFIER);
        let mut params = authorization("public", WEB, &challenge);
        params.extend(dpop_jkt.map(|key| ("dpop_jkt", key)));
        let answer = send(&self.app, form(&with_query("/authorize", &params), &[])).await;
        answer.redirected("code").unwrap_or_else(|| panic!("no code in {answer:?}"))
    }

    /// The public client's access and refresh token, bound to a key.
    async fn bound(&self, prover: &Prover) -> (String, String) {
        let code = self.code(None).await;
        pair(&good(&self.token_request(&redemption(&code), Some(&prover.for_tokens())).await))
    }

    /// What the public client gets for this, with a proof or without.
    async fn token_request(&self, params: &[(&str, &str)], proof: Option<&str>) -> Answer {
        let request = form("/token", params);
        send(&self.app, proof.into_iter().fold(request, with_proof)).await
    }

    async fn refresh(&self, token: &str, proof: Option<&str>) -> Answer {
        self.token_request(&refreshing(token), proof).await
    }

    async fn introspect(&self, token: &str) -> Value {
        good(&send(&self.app, basic(form("/introspect", &[("token", token)]), "api", SECRET)).await)
    }

    fn last_reason(&self) -> &'static str {
        self.reasons.lock().unwrap().last().copied().unwrap_or_default()
    }
}

#[track_caller]
fn good(answer: &Answer) -> Value {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()
}

#[track_caller]
fn pair(tokens: &Value) -> (String, String) {
    let text = |name: &str| tokens[name].as_str().unwrap_or_else(|| panic!("no {name} in {tokens}")).to_owned();
    (text("access_token"), text("refresh_token"))
}

#[track_caller]
fn assert_error(answer: &Answer, error: &str) {
    assert_eq!((answer.status, &*answer.error()), (StatusCode::BAD_REQUEST, error), "{answer:?}");
}

/// The challenges of an answer, in their order.
fn challenges(answer: &Answer) -> Vec<&str> {
    let values = answer.headers.get_all(header::WWW_AUTHENTICATE).iter();
    values.map(|value| value.to_str().expect("text")).collect()
}

/// RFC 9449 §7.1: 401, with this error for the scheme that was tried.
#[track_caller]
fn assert_refused(answer: &Answer, scheme: &str, error: &str) {
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
    let told = challenges(answer)[0].to_owned();
    assert!(told.starts_with(scheme) && told.contains(&format!("error=\"{error}\"")), "{told}");
}

// ---- the token endpoint ----------------------------------------------------------------------------------------------

/// RFC 9449 §5, §6.2, §7.1: from the code to the API, by each algorithm
#[tokio::test]
async fn a_token_is_bound_to_the_key_that_was_proved() {
    let site = site();
    for prover in [Prover::es256(), Prover::eddsa(), Prover::rs256()] {
        let tokens = good(&site.token_request(&redemption(&site.code(None).await), Some(&prover.for_tokens())).await);
        assert_eq!(tokens["token_type"], "DPoP");
        let (access, renewal) = pair(&tokens);
        assert_eq!((access.len(), renewal.len()), (137, 126));
        let known = site.introspect(&access).await;
        assert_eq!((&known["token_type"], &known["cnf"]), (&json!("DPoP"), &json!({"jkt": prover.thumbprint()})));
        let answer = send(&site.app, get_with("/me?page=2", &access, &prover.for_get(ME, &access))).await;
        assert_eq!(good(&answer)["sub"], "alice");
    }
}

/// RFC 9449 §5: "The authorization server MAY elect to issue access tokens that are not DPoP bound"
#[tokio::test]
async fn who_proves_nothing_gets_tokens_as_before() {
    let (site, plain) = (site(), site_with(|builder| builder));
    for site in [&site, &plain] {
        let tokens = good(&site.token_request(&redemption(&site.code(None).await), None).await);
        assert_eq!(tokens["token_type"], "Bearer");
        let (access, renewal) = pair(&tokens);
        assert_eq!((access.len(), renewal.len()), (94, 83));
        let known = site.introspect(&access).await;
        assert_eq!((&known["token_type"], known.get("cnf")), (&json!("Bearer"), None));
        good(&send(&site.app, bearer("/me", &access)).await);
        assert_eq!(good(&site.refresh(&renewal, None).await)["token_type"], "Bearer");
    }
}

/// RFC 9449 §5: "The binding MUST be validated when the refresh token is later presented"
#[tokio::test]
async fn a_refresh_token_of_a_public_client_is_good_with_its_key_alone() {
    let site = site();
    let (prover, thief) = (Prover::es256(), Prover::es256());
    let (_, mut renewal) = site.bound(&prover).await;
    for _ in 0..3 {
        for (proof, reason) in [(None, "refresh_of_another_key"), (Some(thief.for_tokens()), "refresh_of_another_key")]
        {
            assert_error(&site.refresh(&renewal, proof.as_deref()).await, "invalid_grant");
            assert_eq!(site.last_reason(), reason);
        }
        let tokens = good(&site.refresh(&renewal, Some(&prover.for_tokens())).await);
        assert_eq!(tokens["token_type"], "DPoP");
        let (access, next) = pair(&tokens);
        good(&send(&site.app, get_with("/me", &access, &prover.for_get(ME, &access))).await);
        renewal = next;
    }
    // Nor does an old one in the hands of a thief end what it cannot have.
    let old = renewal.clone();
    let (_, renewal) = pair(&good(&site.refresh(&renewal, Some(&prover.for_tokens())).await));
    site.clock.advance(seconds(11));
    for proof in [None, Some(thief.for_tokens())] {
        assert_error(&site.refresh(&old, proof.as_deref()).await, "invalid_grant");
    }
    let at_now = prover.proof_but("POST", "https://shift.example/token", None, json!({"iat": prover::NOW + 11}));
    good(&site.refresh(&renewal, Some(&at_now)).await);
}

/// RFC 9449 §5: with its first proof
#[tokio::test]
async fn a_public_client_that_begins_to_prove_a_key_is_bound_to_it_from_then_on() {
    let site = site();
    let prover = Prover::es256();
    let (_, renewal) = pair(&good(&site.token_request(&redemption(&site.code(None).await), None).await));
    let (_, renewal) = pair(&good(&site.refresh(&renewal, Some(&prover.for_tokens())).await));
    assert_error(&site.refresh(&renewal, None).await, "invalid_grant");
    good(&site.refresh(&renewal, Some(&prover.for_tokens())).await);
}

/// RFC 9449 §5: "Refresh tokens issued to confidential clients .. are not bound to the DPoP proof public key"
#[tokio::test]
async fn a_confidential_client_may_change_its_key() {
    let site = site();
    let code = code_of(&site.app, "confidential", WEB, "profile").await;
    let with = |params: &[(&str, &str)], proof: Option<String>| {
        let request = basic(form("/token", params), "confidential", SECRET);
        let request = proof.iter().fold(request, |request, proof| with_proof(request, proof));
        let app = site.app.clone();
        async move { send(&app, request).await }
    };
    let redemption =
        [("grant_type", "authorization_code"), ("code", &*code), ("redirect_uri", WEB), ("code_verifier", VERIFIER)];
    let (_, mut renewal) = pair(&good(&with(&redemption, Some(Prover::es256().for_tokens())).await));
    assert_eq!(renewal.len(), 83);
    for prover in [Some(Prover::eddsa()), None, Some(Prover::es256())] {
        let proof = prover.as_ref().map(Prover::for_tokens);
        let tokens = good(&with(&[("grant_type", "refresh_token"), ("refresh_token", &renewal)], proof).await);
        let bound_to = prover.as_ref().map_or(Value::Null, |prover| json!({"jkt": prover.thumbprint()}));
        let access;
        (access, renewal) = pair(&tokens);
        assert_eq!(site.introspect(&access).await["cnf"], bound_to);
    }
    assert_eq!(good(&with(&FOR_ITSELF, Some(Prover::es256().for_tokens())).await)["token_type"], "DPoP");
}

/// RFC 9449 §10
#[tokio::test]
async fn a_code_is_good_with_the_key_that_it_was_asked_for_with() {
    let site = site();
    let (prover, thief) = (Prover::es256(), Prover::es256());
    let code = site.code(Some(&prover.thumbprint())).await;
    assert_eq!(code.len(), 106);
    for proof in [None, Some(thief.for_tokens())] {
        assert_error(&site.token_request(&redemption(&code), proof.as_deref()).await, "invalid_grant");
        assert_eq!(site.last_reason(), "code_of_another_key");
    }
    good(&site.token_request(&redemption(&code), Some(&prover.for_tokens())).await);
    // Whoever has it twice, without the key, ends nothing.
    site.clock.advance(seconds(6));
    assert_error(&site.token_request(&redemption(&code), Some(&thief.for_tokens())).await, "invalid_grant");
    assert_eq!(site.last_reason(), "code_of_another_key");
}

/// RFC 9449 §10.1: a proof with a pushed request says for which key the code is, and nothing else may say otherwise
#[tokio::test]
async fn a_pushed_request_is_for_the_key_that_was_proved_with_it() {
    let site = site_with(|builder| builder.dpop().dpop_nonces().pushed_authorization_requests());
    let (prover, other) = (Prover::es256(), Prover::es256());
    let challenge = challenge(VERIFIER);
    let push = async |jkt: Option<String>, proof: String| {
        let mut params = authorization("public", WEB, &challenge);
        params.extend(jkt.as_deref().map(|key| ("dpop_jkt", key)));
        send(&site.app, with_proof(form("/par", &params), &proof)).await
    };
    let url = "https://shift.example/par";
    let answer = push(None, prover.proof_but("POST", url, None, json!({}))).await;
    assert_error(&answer, "use_dpop_nonce");
    let nonce = answer.header(NONCE).to_owned();
    let proof = |prover: &Prover, url: &str| prover.proof_but("POST", url, None, json!({"nonce": nonce}));
    let token_url = "https://shift.example/token";
    for (jkt, proof) in [
        (Some(other.thumbprint()), proof(&prover, url)),
        (Some("x".to_owned()), proof(&prover, url)),
        (None, proof(&prover, token_url)),
    ] {
        assert_error(&push(jkt, proof).await, "invalid_dpop_proof");
    }
    for jkt in [None, Some(prover.thumbprint())] {
        let answer = push(jkt, proof(&prover, url)).await;
        assert_eq!((answer.status, answer.header(NONCE)), (StatusCode::CREATED, &*nonce), "{answer:?}");
        let uri = answer.json()["request_uri"].as_str().expect("a URI").to_owned();
        let query = with_query("/authorize", &[("client_id", "public"), ("request_uri", &uri)]);
        let code = send(&site.app, form(&query, &[])).await.redirected("code").expect("a code");
        for wrong in [None, Some(proof(&other, token_url))] {
            assert_error(&site.token_request(&redemption(&code), wrong.as_deref()).await, "invalid_grant");
        }
        good(&site.token_request(&redemption(&code), Some(&proof(&prover, token_url))).await);
    }
}

/// RFC 9449 §10: the parameter is a thumbprint; where nobody looks at proofs it means nothing (RFC 6749 §3.1)
#[tokio::test]
async fn dpop_jkt_is_a_thumbprint() {
    let (site, off) = (site(), site_with(|builder| builder));
    let challenge = challenge(VERIFIER);
    let long = "0".repeat(44);
    for bad in
        ["x", &long, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4J", "0ZcOCORZNYy+DWpqq30jZyJGHTN0d2HglBV3uiguA4I"]
    {
        let mut params = authorization("public", WEB, &challenge);
        params.push(("dpop_jkt", bad));
        let answer = send(&site.app, request(Method::GET, &with_query("/authorize", &params))).await;
        assert_eq!(answer.redirected("error").as_deref(), Some("invalid_request"), "{answer:?}");
        assert_eq!(
            send(&off.app, request(Method::GET, &with_query("/authorize", &params))).await.status,
            StatusCode::OK
        );
    }
    let code = off.code(Some("0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I")).await;
    good(&off.token_request(&redemption(&code), None).await);
}

/// RFC 9449 §5.2
#[tokio::test]
async fn a_client_that_always_proves_a_key_gets_nothing_without() {
    let site = site_with(|builder| {
        let client = Client::confidential("bank", SECRET).grant_types([tower_oauth::GrantType::ClientCredentials]);
        builder.dpop().client(client.dpop_bound_access_tokens())
    });
    let ask = || basic(form("/token", &FOR_ITSELF), "bank", SECRET);
    assert_error(&send(&site.app, ask()).await, "invalid_dpop_proof");
    assert_eq!(site.last_reason(), "dpop_proof_missing");
    let tokens = good(&send(&site.app, with_proof(ask(), &Prover::es256().for_tokens())).await);
    assert_eq!(tokens["token_type"], "DPoP");
}

/// RFC 9728 §2, `dpop_bound_access_tokens_required`
#[tokio::test]
async fn for_a_resource_that_needs_it_there_is_no_other_token() {
    const PAY: &str = "https://shift.example/pay";
    let site =
        site_with(|builder| builder.dpop().resource(ProtectedResource::new(PAY).dpop_bound_access_tokens_required()));
    let prover = Prover::es256();
    let code = {
        let challenge = challenge(VERIFIER);
        let mut params = authorization("public", WEB, &challenge);
        params.extend([("resource", PAY), ("resource", ISSUER)]);
        send(&site.app, form(&with_query("/authorize", &params), &[])).await.redirected("code").expect("a code")
    };
    assert_error(&site.token_request(&redemption(&code), None).await, "invalid_dpop_proof");
    // For the other resource alone a proof is not needed, and then the token is for that one.
    let other = [&redemption(&code)[..], &[("resource", ISSUER)]].concat();
    let (plain, renewal) = pair(&good(&site.token_request(&other, None).await));
    assert_error(&site.refresh(&renewal, None).await, "invalid_dpop_proof");
    let (bound, _) = pair(&good(&site.refresh(&renewal, Some(&prover.for_tokens())).await));
    let machine = [&FOR_ITSELF[..], &[("resource", PAY)]].concat();
    assert_error(&send(&site.app, basic(form("/token", &machine), "confidential", SECRET)).await, "invalid_dpop_proof");

    let inner = get(async |token: Authorized| token.subject().to_owned());
    let layer = site.provider.bearer().resource(PAY);
    let api = BoxCloneSyncService::new(Router::new().route("/pay", inner.route_layer(layer)).into_service());
    let answer = send(&api, get_with("/pay", &bound, &prover.for_get(PAY, &bound))).await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "alice"));
    // A token for all of the origin is for this too, and has to be bound.
    let answer = send(&api, bearer("/pay", &plain)).await;
    assert_refused(&answer, "DPoP", "invalid_token");
    for answer in [answer, send(&api, request(Method::GET, "/pay")).await, send(&api, bearer("/pay", &bound)).await] {
        let [only] = challenges(&answer)[..] else { panic!("{answer:?}") };
        assert!(only.starts_with("DPoP realm=\"https://shift.example/pay\""), "{only}");
    }
    let metadata = good(&send(&site.app, request(Method::GET, "/.well-known/oauth-protected-resource/pay")).await);
    assert_eq!(metadata["dpop_bound_access_tokens_required"], true);
    let metadata = good(&send(&site.app, request(Method::GET, "/.well-known/oauth-protected-resource")).await);
    assert_eq!(metadata.get("dpop_bound_access_tokens_required"), None);
}

/// RFC 9728 §2: and a layer that is told where it lies, or what says the same again, takes no other
#[tokio::test]
async fn what_a_resource_needs_is_not_forgotten_where_it_is_said_once_more() {
    const PAY: &str = "https://shift.example/pay";
    let needs = || ProtectedResource::new(PAY).dpop_bound_access_tokens_required();
    for site in [
        site_with(|builder| builder.dpop().resource(needs())),
        site_with(|builder| builder.dpop().resource(needs()).resource(PAY)),
        site_with(|builder| builder.dpop().resource(needs()).default_resource(PAY).resource(ISSUER)),
    ] {
        let token = site.provider.resource(ISSUER).expect("it is known");
        let token = token.issue("public", "alice", "profile".parse().expect("a scope")).await.expect("a token");
        let machine = [&FOR_ITSELF[..], &[("resource", PAY)]].concat();
        let answer = send(&site.app, basic(form("/token", &machine), "confidential", SECRET)).await;
        assert_error(&answer, "invalid_dpop_proof");
        let layer = || site.provider.bearer().resource(PAY);
        for layer in [layer(), layer().dpop(Dpop::at(ISSUER))] {
            let inner = get(async || "in").route_layer(layer);
            let api = BoxCloneSyncService::new(Router::new().route("/pay", inner).into_service());
            assert_refused(&send(&api, bearer("/pay", token.secret())).await, "DPoP", "invalid_token");
        }
    }
}

/// RFC 7009: what a client gives back needs no proof
#[tokio::test]
async fn a_bound_token_is_revoked_as_any_other() {
    let site = site();
    let prover = Prover::es256();
    let (access, renewal) = site.bound(&prover).await;
    let revoke = |token| form("/revoke", &[("token", token), ("client_id", "public")]);
    assert_eq!(send(&site.app, revoke(&access)).await.status, StatusCode::OK);
    let answer = send(&site.app, get_with("/me", &access, &prover.for_get(ME, &access))).await;
    assert_refused(&answer, "DPoP", "invalid_token");
    assert_eq!(send(&site.app, revoke(&renewal)).await.status, StatusCode::OK);
    assert_error(&site.refresh(&renewal, Some(&prover.for_tokens())).await, "invalid_grant");
    assert_eq!(site.introspect(&renewal).await, json!({"active": false}));
}

// ---- used once -------------------------------------------------------------------------------------------------------

/// RFC 9449 §11.1
#[tokio::test]
async fn a_proof_is_good_once_under_its_key() {
    let site = site();
    let (prover, other) = (Prover::es256(), Prover::es256());
    let (access, renewal) = site.bound(&prover).await;
    let proof = prover.for_get(ME, &access);
    good(&send(&site.app, get_with("/me", &access, &proof)).await);
    for _ in 0..2 {
        assert_refused(&send(&site.app, get_with("/me", &access, &proof)).await, "DPoP", "invalid_dpop_proof");
        assert_eq!(site.last_reason(), "dpop_proof_replayed");
    }
    // Its name is used up under its key, wherever it is sent, and under no other.
    let again = |prover: &Prover, url: &str| prover.proof_but("POST", url, None, json!({"jti": "the same"}));
    let url = "https://shift.example/token";
    let machine = |proof: &str| with_proof(basic(form("/token", &FOR_ITSELF), "confidential", SECRET), proof);
    good(&send(&site.app, machine(&again(&prover, url))).await);
    assert_error(&send(&site.app, machine(&again(&prover, url))).await, "invalid_dpop_proof");
    good(&send(&site.app, machine(&again(&other, url))).await);
    // At the token endpoint nothing else is used up by a second use.
    assert_error(&site.refresh(&renewal, Some(&again(&prover, url))).await, "invalid_dpop_proof");
    good(&site.refresh(&renewal, Some(&prover.for_tokens())).await);
}

/// RFC 9449 §11.1: as long as any node could take it
#[tokio::test]
async fn a_used_proof_is_remembered_until_nobody_takes_it() {
    let site = site();
    let prover = Prover::es256();
    let machine = |proof: &str| with_proof(basic(form("/token", &FOR_ITSELF), "confidential", SECRET), proof);
    let url = "https://shift.example/token";
    let early = prover.proof_but("POST", url, None, json!({"iat": prover::NOW + 60}));
    good(&send(&site.app, machine(&early)).await);
    for (pass, reason) in [(120, "dpop_proof_replayed"), (1, "dpop_proof_expired")] {
        site.clock.advance(seconds(pass));
        site.provider.sweep().await.expect("it sweeps");
        assert_error(&send(&site.app, machine(&early)).await, "invalid_dpop_proof");
        assert_eq!(site.last_reason(), reason);
    }
}

/// Whoever makes up keys and proofs writes nothing: the store is asked behind a good handle or a client that proved itself.
#[tokio::test]
async fn the_proofs_of_strangers_fill_no_store() {
    let shelf = Shelf::default();
    let site = site_with(|builder| builder.store(shelf.clone()).secrets(Secret::generate()).dpop());
    let prover = Prover::es256();
    shelf.take_down(&[Op::Once]);
    let forged = "toa_ac_".to_owned() + &"A".repeat(56);
    assert_error(&site.token_request(&redemption(&forged), Some(&prover.for_tokens())).await, "invalid_grant");
    let forged = "toa_rt_".to_owned() + &"A".repeat(76);
    assert_error(&site.refresh(&forged, Some(&prover.for_tokens())).await, "invalid_grant");
    let machine = with_proof(basic(form("/token", &FOR_ITSELF), "confidential", "wrong"), &prover.for_tokens());
    assert_eq!(send(&site.app, machine).await.error(), "invalid_client");
    let token = "toa_at_".to_owned() + &"A".repeat(130);
    let answer = send(&site.app, get_with("/me", &token, &prover.for_get(ME, &token))).await;
    assert_refused(&answer, "DPoP", "invalid_token");
    // And where it cannot be asked, nothing is consumed and nobody is refused for good.
    let code = site.code(None).await;
    let answer = site.token_request(&redemption(&code), Some(&prover.for_tokens())).await;
    assert_eq!((answer.status, answer.header(header::RETRY_AFTER)), (StatusCode::SERVICE_UNAVAILABLE, "1"));
    shelf.repair();
    let (access, _) = pair(&good(&site.token_request(&redemption(&code), Some(&prover.for_tokens())).await));
    shelf.take_down(&[Op::Once]);
    let answer = send(&site.app, get_with("/me", &access, &prover.for_get(ME, &access))).await;
    assert_eq!((answer.status, answer.header(header::RETRY_AFTER)), (StatusCode::SERVICE_UNAVAILABLE, "1"));
}

/// How many use one proof at once.
const RACERS: usize = 64;
const ROUNDS: usize = 20;

/// The answers to one request that many send at once, to each of two nodes.
async fn raced(nodes: &[App; 2], request: impl Fn() -> Request<axum::body::Body>) -> Vec<Answer> {
    let barrier = Arc::new(Barrier::new(RACERS));
    let racers = (0..RACERS).map(|number| {
        let (app, request, barrier) = (nodes[number % 2].clone(), request(), Arc::clone(&barrier));
        tokio::spawn(async move {
            barrier.wait().await;
            send(&app, request).await
        })
    });
    let mut answers = Vec::new();
    for racer in racers.collect::<Vec<_>>() {
        answers.push(racer.await.expect("every racer comes to its end"));
    }
    answers
}

/// RFC 9449 §11.1, on two nodes with one store: at the token endpoint and at the API
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_uses_of_one_proof_at_two_nodes_one_is_accepted() {
    let (clock, store, secret) = (ManualClock::default(), MemoryStore::new(), Secret::generate());
    let node = || {
        let builder = builder(&clock).store(store.clone()).secrets(secret.clone()).dpop();
        app(&builder.build().expect("a good configuration"))
    };
    let nodes = [node(), node()];
    let prover = Prover::es256();
    for round in 0..ROUNDS {
        let proof = prover.for_tokens();
        let machine = || with_proof(basic(form("/token", &FOR_ITSELF), "confidential", SECRET), &proof);
        let answers = raced(&nodes, machine).await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == StatusCode::OK);
        assert_eq!(won.len(), 1, "round {round}");
        lost.into_iter().for_each(|answer| assert_error(answer, "invalid_dpop_proof"));

        let token = won[0].json()["access_token"].as_str().expect("a token").to_owned();
        let proof = prover.for_get(ME, &token);
        let answers = raced(&nodes, || get_with("/me", &token, &proof)).await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == StatusCode::OK);
        assert_eq!(won.len(), 1, "round {round}");
        lost.into_iter().for_each(|answer| assert_refused(answer, "DPoP", "invalid_dpop_proof"));
    }
}

// ---- the bearer layer ------------------------------------------------------------------------------------------------

/// RFC 9449 §7.2: "MUST reject a DPoP-bound access token received as a bearer token", and the other way round
#[tokio::test]
async fn a_token_comes_by_the_scheme_that_it_is_for() {
    let site = site();
    let prover = Prover::es256();
    let (bound, _) = site.bound(&prover).await;
    let answer = send(&site.app, bearer("/me", &bound)).await;
    assert_refused(&answer, "Bearer", "invalid_token");
    assert_eq!(site.last_reason(), "token_bound_to_key");
    let with = with_proof(bearer("/me", &bound), &prover.for_get(ME, &bound));
    assert_refused(&send(&site.app, with).await, "Bearer", "invalid_token");
    let plain = site.provider.issue("public", "alice", "profile".parse().expect("a scope")).await.expect("a token");
    let answer = send(&site.app, get_with("/me", plain.secret(), &prover.for_get(ME, plain.secret()))).await;
    assert_refused(&answer, "DPoP", "invalid_token");
    assert_eq!(site.last_reason(), "token_not_bound");
    good(&send(&site.app, bearer("/me", plain.secret())).await);
}

/// RFC 9449 §7.1, RFC 9110 §11.1: the name of a scheme in any case, one header, one token
#[tokio::test]
async fn the_scheme_is_read_as_that_of_bearers_is() {
    let site = site();
    let prover = Prover::es256();
    let (access, _) = site.bound(&prover).await;
    let with = |value: String| {
        let mut request = get_with("/me", &access, &prover.for_get(ME, &access));
        request.headers_mut().insert(header::AUTHORIZATION, value.parse().expect("a header"));
        request
    };
    for value in [format!("dpop {access}"), format!("DPOP  {access}")] {
        good(&send(&site.app, with(value)).await);
    }
    for (value, reason) in [
        ("DPoP".to_owned(), "token_empty"),
        ("DPoP ".to_owned(), "token_empty"),
        (format!("DPoP\t{access}"), "token_without_space"),
        (format!("DPoP {}", "x".repeat(8 * 1024)), "token_too_long"),
    ] {
        let answer = send(&site.app, with(value)).await;
        assert_eq!((answer.status, site.last_reason()), (StatusCode::BAD_REQUEST, reason));
        assert!(challenges(&answer)[0].contains("DPoP realm"), "{answer:?}");
    }
    for value in [format!("DPoPx {access}"), format!("DPo {access}"), "Basic eA==".to_owned()] {
        let answer = send(&site.app, with(value)).await;
        assert_eq!((answer.status, site.last_reason()), (StatusCode::UNAUTHORIZED, "token_missing"));
    }
    // A proof of what is no token, for the sentence alone.
    let odd = "a b";
    let mut request = get_with("/me", "x", &prover.for_get(ME, odd));
    request.headers_mut().insert(header::AUTHORIZATION, HeaderValue::from_static("DPoP a b"));
    assert_eq!(
        (send(&site.app, request).await.status, site.last_reason()),
        (StatusCode::BAD_REQUEST, "token_illegible")
    );
    let mut twice = with(format!("DPoP {access}"));
    twice.headers_mut().append(header::AUTHORIZATION, format!("Bearer {access}").parse().expect("a header"));
    assert_eq!(send(&site.app, twice).await.status, StatusCode::BAD_REQUEST);
}

/// RFC 9449 §7.1 and §7.2, RFC 6750 §3: the error stands with what was tried, and both schemes are named
#[tokio::test]
async fn the_challenges_name_both_schemes_and_the_error_of_the_one_that_was_tried() {
    let site = site();
    let prover = Prover::es256();
    let (access, _) = site.bound(&prover).await;
    let hint = "resource_metadata=\"https://shift.example/.well-known/oauth-protected-resource\"";
    let [bearer_hint, dpop_hint] = [
        format!("Bearer realm=\"https://shift.example\", {hint}"),
        format!("DPoP realm=\"https://shift.example\", {hint}, algs=\"ES256 EdDSA RS256\""),
    ];
    let answer = send(&site.app, request(Method::GET, "/me")).await;
    assert_eq!(challenges(&answer), [&*bearer_hint, &dpop_hint]);
    let unknown = |scheme: &str, rest: &str| {
        format!(
            "{scheme} realm=\"https://shift.example\", error=\"invalid_token\", \
             error_description=\"the token is not known here\", {hint}{rest}"
        )
    };
    let answer = send(&site.app, bearer("/me", "x")).await;
    assert_eq!(challenges(&answer), [&*unknown("Bearer", ""), &dpop_hint]);
    let answer = send(&site.app, get_with("/me", "x", &prover.for_get(ME, "x"))).await;
    assert_eq!(challenges(&answer), [&*unknown("DPoP", ", algs=\"ES256 EdDSA RS256\""), &bearer_hint]);
    let answer = send(&site.app, get_with("/me", &access, "x")).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(challenges(&answer)[0].starts_with("DPoP ") && challenges(&answer)[0].contains("invalid_dpop_proof"));
    // A good one that may not do this: with the scope that it needs (RFC 6750 §3.1).
    let url = "https://shift.example/notes";
    let answer = send(&site.app, get_with("/notes", &access, &prover.for_get(url, &access))).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    let told = challenges(&answer)[0].to_owned();
    assert!(told.starts_with("DPoP ") && told.contains("insufficient_scope") && told.contains("scope=\"notes:read\""));
    // Where no proofs are looked at, nothing is said of them.
    let off = site_with(|builder| builder);
    assert_eq!(challenges(&send(&off.app, request(Method::GET, "/me")).await), [&*bearer_hint]);
}

/// On `application/grpc` the same, as gRPC reads it
#[tokio::test]
async fn a_grpc_request_is_answered_as_grpc() {
    let site = site();
    let prover = Prover::es256();
    let (access, _) = site.bound(&prover).await;
    let layer = site.provider.bearer();
    let inner = get(async || "in").post(async || "in").route_layer(layer);
    let api = BoxCloneSyncService::new(Router::new().route("/hello.Greeter/Hello", inner).into_service());
    let url = "https://shift.example/hello.Greeter/Hello";
    let call = |proof: &str| {
        let mut request = get_with("/hello.Greeter/Hello", &access, proof);
        *request.method_mut() = Method::POST;
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        request
    };
    let answer = send(&api, call(&prover.proof_but("POST", url, Some(&access), json!({})))).await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "in"));
    let answer = send(&api, call(&prover.for_get(url, &access))).await;
    assert_eq!((answer.status, answer.header("grpc-status")), (StatusCode::OK, "16"));
    assert!(challenges(&answer)[0].contains("error=\"invalid_dpop_proof\""), "{answer:?}");
}

/// One request passes two layers with one proof; a second request does not pass the first.
#[tokio::test]
async fn layers_inside_each_other_look_at_one_use() {
    let site = site();
    let prover = Prover::es256();
    let (access, _) = site.bound(&prover).await;
    let inner = get(async |token: Authorized| token.key().expect("a key").to_string());
    let router = Router::new()
        .route("/in", inner.route_layer(site.provider.bearer().require("profile")))
        .layer(site.provider.bearer())
        .layer(site.provider.layer());
    let api = BoxCloneSyncService::new(router.into_service());
    let proof = prover.for_get("https://shift.example/in", &access);
    let answer = send(&api, get_with("/in", &access, &proof)).await;
    assert_eq!((answer.status, answer.body), (StatusCode::OK, prover.thumbprint()));
    assert_refused(&send(&api, get_with("/in", &access, &proof)).await, "DPoP", "invalid_dpop_proof");
}

/// A proof is refused below an optional layer too, and no token passes without one.
#[tokio::test]
async fn an_optional_layer_refuses_a_bad_proof() {
    let site = site();
    let prover = Prover::es256();
    let (access, _) = site.bound(&prover).await;
    let inner =
        get(async |token: Option<Authorized>| token.map_or("nobody".to_owned(), |token| token.subject().into()));
    let router = Router::new().route("/", inner.route_layer(site.provider.bearer().optional()));
    let api = BoxCloneSyncService::new(router.into_service());
    let url = "https://shift.example/";
    assert_eq!(send(&api, request(Method::GET, "/")).await.body, "nobody");
    assert_eq!(send(&api, get_with("/", &access, &prover.for_get(url, &access))).await.body, "alice");
    assert_refused(
        &send(&api, get_with("/", &access, &prover.for_get(ME, &access))).await,
        "DPoP",
        "invalid_dpop_proof",
    );
    assert_refused(&send(&api, bearer("/", &access)).await, "Bearer", "invalid_token");
}

// ---- where it is -----------------------------------------------------------------------------------------------------

/// RFC 9449 §4.3 item 9: the URL is that of the configuration; what a request says of its host is anybody's
#[tokio::test]
async fn the_host_header_says_nothing() {
    let site = site();
    let prover = Prover::es256();
    let (access, _) = site.bound(&prover).await;
    let to = |host: &'static str, url: &str| {
        let mut request = get_with("/me", &access, &prover.for_get(url, &access));
        for name in ["host", "x-forwarded-host"] {
            request.headers_mut().insert(name, HeaderValue::from_static(host));
        }
        request
    };
    good(&send(&site.app, to("evil.example", ME)).await);
    let answer = send(&site.app, to("evil.example", "https://evil.example/me")).await;
    assert_refused(&answer, "DPoP", "invalid_dpop_proof");
    let mut absolute = get_with("http://evil.example/me", &access, &prover.for_get(ME, &access));
    absolute.headers_mut().insert(DPOP, prover.for_get(ME, &access).parse().expect("a header"));
    good(&send(&site.app, absolute).await);
}

/// A nested router takes the front off a path; the outermost layer saw all of it.
#[tokio::test]
async fn below_a_nested_router_the_whole_path_counts() {
    let site = site();
    let prover = Prover::es256();
    let (access, _) = site.bound(&prover).await;
    let api = |layer: tower_oauth::BearerLayer| Router::new().route("/me", get(async || "in").route_layer(layer));
    let whole = "https://shift.example/v1/api/me";
    let nested = Router::new().nest("/v1", Router::new().nest("/api", api(site.provider.bearer())));
    let issuers = Issuers::new([site.provider.clone()]).expect("one");
    let by_hand = site.provider.bearer().dpop(Dpop::at("https://shift.example/v1/api").clock(site.clock.clone()));
    for app in [
        nested.clone().layer(site.provider.layer()),
        nested.clone().layer(site.provider.layer()).layer(site.provider.layer()),
        nested.clone().layer(issuers.layer()),
        Router::new().nest("/v1/api", api(by_hand)),
    ] {
        let app = BoxCloneSyncService::new(app.into_service());
        let ask = async |url: &str| {
            let mut request = get_with("/v1/api/me", &access, &prover.for_get(url, &access));
            request.headers_mut().insert(header::HOST, HeaderValue::from_static("shift.example"));
            send(&app, request).await
        };
        assert_eq!(ask(whole).await.status, StatusCode::OK);
        for other in ["https://shift.example/me", "https://shift.example/api/me", "https://shift.example/v1/me"] {
            assert_refused(&ask(other).await, "DPoP", "invalid_dpop_proof");
        }
    }
    // Where nobody saw the whole path, it fails closed.
    let app = BoxCloneSyncService::new(nested.into_service());
    let answer = send(&app, get_with("/v1/api/me", &access, &prover.for_get(whole, &access))).await;
    assert_refused(&answer, "DPoP", "invalid_dpop_proof");
}

/// Behind a proxy that takes a prefix off, proofs are for the URLs that are published.
#[tokio::test]
async fn behind_a_proxy_the_published_urls_count() {
    const ISSUER: &str = "https://public.example/auth";
    let clock = ManualClock::default();
    let provider = Provider::builder(ISSUER)
        .store(MemoryStore::new())
        .clock(clock.clone())
        .endpoints(Endpoints::default().stripped("/auth"))
        .scope("profile", "see your profile")
        .resource("https://public.example/auth/me")
        .resource("https://public.example/other")
        .dpop()
        .client(Client::confidential("confidential", SECRET).grant_types([tower_oauth::GrantType::ClientCredentials]))
        .build()
        .expect("a good configuration");
    let at = |resource: &str| get(async || "in").route_layer(provider.bearer().resource(resource));
    let router = Router::new()
        .route("/me", at("https://public.example/auth/me"))
        .route("/other", at("https://public.example/other"))
        .layer(provider.layer());
    let app = BoxCloneSyncService::new(router.into_service());
    let prover = Prover::es256();
    let mut tokens = Vec::new();
    for (url, good) in [("https://public.example/auth/token", true), ("https://public.example/token", false)] {
        let request = basic(form("/token", &FOR_ITSELF), "confidential", SECRET);
        let answer = send(&app, with_proof(request, &prover.proof_but("POST", url, None, json!({})))).await;
        assert_eq!(answer.status == StatusCode::OK, good, "{url}: {answer:?}");
        tokens.extend(answer.json()["access_token"].as_str().map(str::to_owned));
    }
    for (path, url, good) in [
        ("/me", "https://public.example/auth/me", true),
        ("/me", "https://public.example/me", false),
        ("/other", "https://public.example/other", true),
        ("/other", "https://public.example/auth/other", false),
    ] {
        let answer = send(&app, get_with(path, &tokens[0], &prover.for_get(url, &tokens[0]))).await;
        assert_eq!(answer.status == StatusCode::OK, good, "{url}: {answer:?}");
    }
}

// ---- nonces ----------------------------------------------------------------------------------------------------------

/// RFC 9449 §8, §8.2, §9
#[tokio::test]
async fn a_nonce_is_asked_for_and_taken_while_it_is_recent() {
    let site = site_with(|builder| builder.dpop().dpop_nonces());
    let prover = Prover::es256();
    let code = site.code(None).await;
    let url = "https://shift.example/token";
    let at = |seconds: u64, nonce: &str| {
        prover.proof_but("POST", url, None, json!({"iat": prover::NOW + seconds, "nonce": nonce}))
    };
    let asked = |answer: &Answer| {
        assert_error(answer, "use_dpop_nonce");
        let [nonce] = answer.headers.get_all(NONCE).iter().collect::<Vec<_>>()[..] else { panic!("{answer:?}") };
        assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
        nonce.to_str().expect("text").to_owned()
    };
    let first = asked(&site.token_request(&redemption(&code), Some(&prover.for_tokens())).await);
    assert_eq!(site.last_reason(), "dpop_nonce_missing");
    for stale in ["", "x", &"A".repeat(22), &first.to_lowercase()] {
        assert_eq!(asked(&site.token_request(&redemption(&code), Some(&at(0, stale))).await), first);
        assert_eq!(site.last_reason(), "dpop_nonce_stale");
    }
    let answer = site.token_request(&redemption(&code), Some(&at(0, &first))).await;
    let (access, mut renewal) = pair(&good(&answer));
    assert_eq!(answer.header(NONCE), first);
    // At the API it is the same, and a refusal brings it.
    let get = |seconds: u64, nonce: Option<&str>| {
        let others = json!({"iat": prover::NOW + seconds, "nonce": nonce});
        get_with("/me", &access, &prover.proof_but("GET", ME, Some(&access), others))
    };
    let answer = send(&site.app, get(0, None)).await;
    assert_refused(&answer, "DPoP", "use_dpop_nonce");
    assert_eq!((answer.header(NONCE), answer.header(header::CACHE_CONTROL)), (&*first, "no-store"));
    good(&send(&site.app, get(0, Some(&first))).await);
    // With each slot a new one; the one before is still taken.
    let mut second = first.clone();
    for (passed, taken) in [(119, true), (120, true), (239, true), (240, false)] {
        site.clock.set(std::time::SystemTime::UNIX_EPOCH + seconds(prover::NOW + passed));
        let answer = site.refresh(&renewal, Some(&at(passed, &first))).await;
        if taken {
            (_, renewal) = pair(&good(&answer));
            good(&send(&site.app, get(passed, Some(&first))).await);
            second = answer.header(NONCE).to_owned();
            assert_eq!(second == first, passed < 120);
        } else {
            let third = asked(&answer);
            assert!(third != first && third != second);
            assert_refused(&send(&site.app, get(passed, Some(&first))).await, "DPoP", "use_dpop_nonce");
            good(&site.refresh(&renewal, Some(&at(passed, &second))).await);
        }
    }
}

/// RFC 9449 §8: nothing is kept of them
#[tokio::test]
async fn every_node_takes_the_nonces_of_the_others() {
    let (clock, store, secret) = (ManualClock::default(), MemoryStore::new(), Secret::generate());
    let node = || {
        let builder = builder(&clock).store(store.clone()).secrets(secret.clone());
        app(&builder.dpop().dpop_nonces().build().expect("a good configuration"))
    };
    let prover = Prover::es256();
    let machine = |proof: &str| with_proof(basic(form("/token", &FOR_ITSELF), "confidential", SECRET), proof);
    let refused = send(&node(), machine(&prover.for_tokens())).await;
    let nonce = json!({"nonce": refused.header(NONCE)});
    good(&send(&node(), machine(&prover.proof_but("POST", "https://shift.example/token", None, nonce))).await);
}

/// RFC 9449 §9: a layer of the provider's own asks for its nonces also where it is told where it lies
#[tokio::test]
async fn a_layer_that_is_told_where_it_lies_asks_for_the_nonces_of_its_provider() {
    let site = site_with(|builder| builder.dpop().dpop_nonces());
    let prover = Prover::es256();
    let machine = |nonce: &str| {
        let proof = prover.proof_but("POST", "https://shift.example/token", None, json!({"nonce": nonce}));
        with_proof(basic(form("/token", &FOR_ITSELF), "confidential", SECRET), &proof)
    };
    let nonce = send(&site.app, machine("")).await.header(NONCE).to_owned();
    let tokens = good(&send(&site.app, machine(&nonce)).await);
    let access = tokens["access_token"].as_str().expect("a token");
    let layer = site.provider.bearer().dpop(Dpop::at("https://shift.example/v1").clock(site.clock.clone()));
    let api = Router::new().route("/me", get(async || "in").route_layer(layer));
    let api = BoxCloneSyncService::new(api.into_service());
    let ask = |nonce: Option<&str>| {
        let url = "https://shift.example/v1/me";
        get_with("/me", access, &prover.proof_but("GET", url, Some(access), json!({"nonce": nonce})))
    };
    let refused = send(&api, ask(None)).await;
    assert_refused(&refused, "DPoP", "use_dpop_nonce");
    assert_eq!(refused.header(NONCE), nonce);
    assert_eq!(send(&api, ask(Some(&nonce))).await.body, "in");
}

/// What has to be mended otherwise is said first, and who proves nothing hears of no nonce.
#[tokio::test]
async fn a_nonce_is_asked_for_last() {
    let site = site_with(|builder| builder.dpop().dpop_nonces());
    let code = site.code(None).await;
    let bad = Prover::es256().proof_but("GET", "https://shift.example/token", None, json!({}));
    let answer = site.token_request(&redemption(&code), Some(&bad)).await;
    assert_error(&answer, "invalid_dpop_proof");
    let answer = site.token_request(&redemption(&code), None).await;
    assert_eq!((good(&answer)["token_type"].as_str(), answer.header(NONCE)), (Some("Bearer"), ""));
}

// ---- on and off ------------------------------------------------------------------------------------------------------

async fn metadata(app: &App, path: &str) -> Map<String, Value> {
    good(&send(app, request(Method::GET, path)).await).as_object().expect("an object").clone()
}

/// RFC 9449 §5.1, RFC 9728 §2: published exactly when it is on
#[tokio::test]
async fn the_metadata_say_what_is_taken() {
    let (on, off) = (site(), site_with(|builder| builder));
    for path in ["/.well-known/oauth-authorization-server", "/.well-known/oauth-protected-resource"] {
        let (on, mut off) = (metadata(&on.app, path).await, metadata(&off.app, path).await);
        off.insert("dpop_signing_alg_values_supported".to_owned(), json!(["ES256", "EdDSA", "RS256"]));
        assert_eq!(on, off, "and nothing else");
    }
}

/// Off, nothing of it is looked at; and what was bound before is good for nobody, since nobody asks for its key.
#[tokio::test]
async fn switched_off_no_header_counts_and_what_was_bound_is_refused() {
    let (clock, store, secret) = (ManualClock::default(), MemoryStore::new(), Secret::generate());
    let builder = || builder(&clock).store(store.clone()).secrets(secret.clone());
    let provider = builder().dpop().build().expect("a good configuration");
    let on = Site { app: app(&provider), provider, clock: clock.clone(), reasons: Arc::default() };
    let prover = Prover::es256();
    let (access, renewal) = on.bound(&prover).await;
    let code = on.code(Some(&prover.thumbprint())).await;
    let off = app(&builder().build().expect("a good configuration"));
    assert_refused(&send(&off, bearer("/me", &access)).await, "Bearer", "invalid_token");
    let answer = send(&off, get_with("/me", &access, &prover.for_get(ME, &access))).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(!challenges(&answer)[0].contains("error"), "another scheme is no token: {answer:?}");
    for params in [refreshing(&renewal), redemption(&code)] {
        for request in [form("/token", &params), with_proof(form("/token", &params), &prover.for_tokens())] {
            assert_error(&send(&off, request).await, "invalid_grant");
        }
    }
    let garbage = with_proof(with_proof(basic(form("/token", &FOR_ITSELF), "confidential", SECRET), "x"), "y");
    assert_eq!(good(&send(&off, garbage).await)["token_type"], "Bearer");
    good(&on.refresh(&renewal, Some(&prover.for_tokens())).await);
}

/// RFC 9449 §5.2, RFC 7591 §3.2.1
#[tokio::test]
async fn a_client_registers_that_its_tokens_are_always_bound() {
    let open = |builder: ProviderBuilder| builder.registration(RegistrationPolicy::open());
    let (on, off) = (site_with(|builder| open(builder.dpop())), site_with(open));
    let register = async |site: &Site, flag: Value| {
        let body = json!({
            "redirect_uris": [WEB], "token_endpoint_auth_method": "none", "dpop_bound_access_tokens": flag,
        });
        let request = Request::post("/register").header(header::CONTENT_TYPE, "application/json");
        send(&site.app, request.body(body.to_string().into()).expect("a good request")).await
    };
    for (site, flag, kept) in [
        (&on, json!(true), Some(true)),
        (&on, json!(false), None),
        (&on, json!(null), None),
        (&off, json!(true), None),
        (&off, json!("x"), None),
    ] {
        let answer = register(site, flag.clone()).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        let client = answer.json();
        assert_eq!(client.get("dpop_bound_access_tokens").and_then(Value::as_bool), kept, "{flag}");
        let id = client["client_id"].as_str().expect("an id");
        let code = code_of(&site.app, id, WEB, "profile").await;
        let params = [
            ("grant_type", "authorization_code"),
            ("code", &*code),
            ("redirect_uri", WEB),
            ("client_id", id),
            ("code_verifier", VERIFIER),
        ];
        let answer = site.token_request(&params, None).await;
        if kept == Some(true) {
            assert_error(&answer, "invalid_dpop_proof");
            good(&site.token_request(&params, Some(&Prover::es256().for_tokens())).await);
        } else {
            good(&answer);
        }
    }
    let answer = register(&on, json!("true")).await;
    assert_error(&answer, "invalid_client_metadata");
}

/// What cannot work is said by `build()`, with what to write.
#[test]
fn what_is_for_proofs_where_nobody_looks_at_them_is_refused() {
    let errors = |change: fn(ProviderBuilder) -> ProviderBuilder| {
        change(builder(&ManualClock::default())).build().expect_err("a bad configuration").to_string()
    };
    for (wrong, what) in [
        (errors(|builder| builder.dpop_nonces()), "`.dpop_nonces()`"),
        (
            errors(|builder| {
                builder.resource(ProtectedResource::new("https://a.example").dpop_bound_access_tokens_required())
            }),
            "`.dpop_bound_access_tokens_required()`",
        ),
        (
            errors(|builder| builder.client(Client::public("bank").redirect_uri(WEB).dpop_bound_access_tokens())),
            "client \"bank\"",
        ),
    ] {
        assert!(wrong.contains(what) && wrong.contains("add `.dpop()`"), "{wrong}");
    }
    for bad in ["", "https://", "/v1", "api.example", "ftp://a.example", "https://a.example?x", "https://u@a.example"] {
        assert!(std::panic::catch_unwind(|| Dpop::at(bad)).is_err(), "{bad}");
    }
    assert_eq!(
        format!("{:?}", Dpop::at("https://a.example/v1/")),
        "Dpop { base: \"https://a.example/v1\", required: false, .. }"
    );
}

/// RFC 9449 §6.1: a JWT says so itself
#[tokio::test]
async fn a_jwt_names_its_key() {
    let site = site_with(|builder| builder.dpop().access_token_format(AccessTokenFormat::Jwt));
    let prover = Prover::es256();
    let (access, _) = site.bound(&prover).await;
    let known = site.introspect(&access).await;
    assert_eq!((&known["token_type"], &known["cnf"]), (&json!("DPoP"), &json!({"jkt": prover.thumbprint()})));
    good(&send(&site.app, get_with("/me", &access, &prover.for_get(ME, &access))).await);
    assert_refused(&send(&site.app, bearer("/me", &access)).await, "Bearer", "invalid_token");
}

// ---- pushed authorization requests -----------------------------------------------------------------------------------

const PAR: &str = "https://shift.example/par";

impl Prover {
    /// One for a request that is pushed.
    fn for_pushing(&self) -> String {
        self.proof_but("POST", PAR, None, json!({}))
    }
}

impl Site {
    /// What comes back where the public client pushes a request, with a proof or without.
    async fn push(&self, dpop_jkt: Option<&str>, proof: Option<&str>) -> Answer {
        let challenge = challenge(VERIFIER);
        let mut params = authorization("public", WEB, &challenge);
        params.extend(dpop_jkt.map(|key| ("dpop_jkt", key)));
        send(&self.app, proof.into_iter().fold(form("/par", &params), with_proof)).await
    }

    /// The code that comes of a request that was pushed.
    async fn code_of_pushed(&self, answer: &Answer) -> String {
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        let json = answer.json();
        let uri = json["request_uri"].as_str().expect("a text");
        let query = with_query("/authorize", &[("client_id", "public"), ("request_uri", uri)]);
        send(&self.app, form(&query, &[])).await.redirected("code").expect("a code")
    }
}

fn site_that_takes_pushed(change: impl FnOnce(ProviderBuilder) -> ProviderBuilder) -> Site {
    site_with(|builder| change(builder.pushed_authorization_requests()))
}

/// RFC 9449 §4.3: there is one proof or none; where nobody looks at proofs, the header means nothing
#[tokio::test]
async fn a_header_beside_a_pushed_request_is_one_proof_or_means_nothing() {
    let site = site_that_takes_pushed(ProviderBuilder::dpop);
    let prover = Prover::es256();
    assert_error(&site.push(None, Some("x")).await, "invalid_dpop_proof");
    let twice = with_proof(form("/par", &authorization("public", WEB, &challenge(VERIFIER))), &prover.for_pushing());
    assert_error(&send(&site.app, with_proof(twice, &prover.for_pushing())).await, "invalid_dpop_proof");
    // An empty parameter is one that is left out (RFC 6749 §3.1).
    let code = site.code_of_pushed(&site.push(Some(""), Some(&prover.for_pushing())).await).await;
    assert_error(&site.token_request(&redemption(&code), None).await, "invalid_grant");
    let off = site_that_takes_pushed(|builder| builder);
    let code = off.code_of_pushed(&off.push(None, Some("x")).await).await;
    good(&off.token_request(&redemption(&code), None).await);
}

/// What a proof adds has to fit, or its URI would be one that nobody reads.
#[tokio::test]
async fn a_proof_beside_a_pushed_request_is_one_parameter_more() {
    let site = site_that_takes_pushed(ProviderBuilder::dpop);
    let challenge = challenge(VERIFIER);
    let others: Vec<String> = (0..100).map(|number| format!("p{number}")).collect();
    let push = async |count: usize, prover: Option<&Prover>| {
        let mut params = authorization("public", WEB, &challenge);
        let left = count - params.len();
        params.extend(others[..left].iter().map(|name| (&**name, "x")));
        let proof = prover.map(Prover::for_pushing);
        send(&site.app, proof.iter().fold(form("/par", &params), |form, proof| with_proof(form, proof))).await
    };
    let prover = Prover::es256();
    for (count, prover) in [(100, None), (99, Some(&prover))] {
        site.code_of_pushed(&push(count, prover).await).await;
    }
    assert_error(&push(100, Some(&prover)).await, "invalid_request");
}
