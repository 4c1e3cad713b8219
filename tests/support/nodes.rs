//! What holds for every store that outlives its process, and for two nodes that share one: each as a test calls it, with
//! the place of a store.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use http::{StatusCode, header};
#[cfg(feature = "jwt")]
use serde_json::json;
use tokio::sync::Barrier;
use tower_oauth::grant::Tokens;
use tower_oauth::testing::ManualClock;
use tower_oauth::{
    Client, ClientId, ClientRegistry, ClientSecret, ClientStore, ConfigErrors, DatabaseError, Grant, GrantStore,
    Holder, Provider, RegistrationPolicy, RevocationReason, RevokedTokens, Secret, Secrets, UnixTime,
};

#[cfg(feature = "jwt")]
use crate::jws::{Key, jwks, jws};
#[cfg(feature = "jwt")]
use crate::prover::{Prover, get_with, with_proof};
use crate::support::{
    self, Answer, App, ISSUER, SECRET, VERIFIER, WEB, app, authorization, basic, bearer, builder, challenge, code,
    form, public, redeem, refresh, seconds, send, tokens, with_query,
};

/// A store of a database.
pub trait Durable: GrantStore<Error = DatabaseError> + ClientRegistry + Clone {
    /// The store's own `forget_keys`.
    fn forget(&self, issuer: &str) -> impl Future<Output = Result<(), DatabaseError>> + Send;
}

/// A database of one test's own.
pub trait Place {
    /// What opens it.
    type Store: Durable;

    /// Opens it as one more node does.
    async fn store(&self) -> Self::Store;
}

/// What a provider has that is not told another secret.
fn provider(store: &impl Durable, clock: &ManualClock) -> Provider {
    with(store, clock, &[1]).expect("a good configuration")
}

fn with(store: &impl Durable, clock: &ManualClock, numbers: &[u8]) -> Result<Provider, ConfigErrors> {
    builder(clock).store(store.clone()).secrets(secrets(numbers)).build()
}

/// The one grant that alice gave.
pub async fn grant(store: &impl Durable) -> Arc<Grant> {
    let grants = store.grants(&ISSUER.into(), &Holder::User("alice".into())).await.expect("the database answers");
    assert_eq!(grants.len(), 1);
    Arc::clone(&grants[0])
}

#[track_caller]
pub fn refused(answer: &Answer) {
    assert_eq!((answer.status, &*answer.error()), (StatusCode::BAD_REQUEST, "invalid_grant"), "{answer:?}");
}

#[track_caller]
pub fn unavailable(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    assert!(!answer.header(header::RETRY_AFTER).is_empty(), "{answer:?}");
}

/// The access and the refresh token of a good answer.
#[track_caller]
pub fn issued(answer: &Answer) -> (String, String) {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let json = answer.json();
    let text = |name: &str| json[name].as_str().unwrap_or_else(|| panic!("no {name} in {json}")).to_owned();
    (text("access_token"), text("refresh_token"))
}

pub async fn is_good(app: &App, access_token: &str) -> bool {
    send(app, bearer("/me", access_token)).await.status == StatusCode::OK
}

/// The right code request.
pub fn redemption_of(code: &str) -> [(&str, &str); 5] {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", WEB),
        ("client_id", "public"),
        ("code_verifier", VERIFIER),
    ]
}

// ---- what changes nothing -------------------------------------------------------------------------------------------

/// A code that waits, and one that was redeemed and whose refresh token was used once.
pub struct Held {
    pub pending: String,
    pub second: String,
    used: String,
    access: String,
    first: String,
}

impl Held {
    pub async fn of(app: &App) -> Self {
        let pending = code(app, "profile").await;
        let used = code(app, "profile").await;
        let (access, first) = issued(&redeem(app, &used).await);
        let (_, second) = issued(&refresh(app, &first).await);
        Self { pending, second, used, access, first }
    }

    /// Does all with them that changes nothing.
    pub async fn change_nothing(&self, app: &App) {
        for (at, wrong) in [(2, "https://web.example/other"), (4, "another-verifier-of-43-characters-or-more-of-them")]
        {
            let mut params = redemption_of(&self.pending);
            params[at].1 = wrong;
            refused(&send(app, form("/token", &params)).await);
        }
        let theirs = form("/token", &[("grant_type", "refresh_token"), ("refresh_token", &self.second)]);
        refused(&send(app, basic(theirs, "confidential", SECRET)).await);
        refused(&redeem(app, &self.used).await);
        let (_, again) = issued(&refresh(app, &self.first).await);
        assert_eq!(again, self.second, "within the grace: the same successor");
        assert!(is_good(app, &self.access).await);
    }
}

// ---- what fails -----------------------------------------------------------------------------------------------------

/// While `fail` holds, until `repair`, no write of a grant comes to its end.
pub async fn nothing_is_consumed_where_a_write_fails(
    store: &impl Durable,
    clock: &ManualClock,
    fail: impl AsyncFn(),
    repair: impl AsyncFn(),
    how: &str,
) {
    let app = app(&provider(store, clock));
    let code = code(&app, "profile").await;
    fail().await;
    let before = grant(store).await;
    unavailable(&redeem(&app, &code).await);
    assert_eq!(grant(store).await, before, "{how}");
    repair().await;
    let (_, renewal) = issued(&redeem(&app, &code).await);

    fail().await;
    let before = grant(store).await;
    unavailable(&refresh(&app, &renewal).await);
    assert_eq!(grant(store).await, before, "{how}");
    repair().await;
    clock.advance(seconds(3_600));
    issued(&refresh(&app, &renewal).await);
}

/// As long as a column is broken: each with what breaks it and what makes it whole again.
pub async fn what_cannot_be_read_is_an_answer_to_try_again(
    app: &App,
    access: &str,
    renewal: &str,
    columns: &[(&str, &str)],
    set: impl AsyncFn(&str),
) {
    for (broken, whole) in columns {
        set(broken).await;
        assert_eq!(send(app, bearer("/me", access)).await.status, StatusCode::SERVICE_UNAVAILABLE, "{broken}");
        unavailable(&refresh(app, renewal).await);
        set(whole).await;
        assert!(is_good(app, access).await, "{whole}");
    }
}

// ---- what outlives a process ----------------------------------------------------------------------------------------

/// CVE-2026-9802: elsewhere a restart made a server forget which tokens were used.
pub async fn a_restart_does_not_reset_the_detection_of_reuse(place: &impl Place) {
    let clock = ManualClock::default();
    let restarted = async || app(&provider(&place.store().await, &clock));
    let code = code(&restarted().await, "profile").await;
    let (_, first) = issued(&redeem(&restarted().await, &code).await);
    let (_, second) = issued(&refresh(&restarted().await, &first).await);
    let (access, third) = issued(&refresh(&restarted().await, &second).await);
    assert!(is_good(&restarted().await, &access).await);
    refused(&refresh(&restarted().await, &first).await);
    refused(&refresh(&restarted().await, &third).await);
    assert!(!is_good(&restarted().await, &access).await);
    let reason = grant(&place.store().await).await.revoked().map(|(_, reason)| reason);
    assert_eq!(reason, Some(RevocationReason::RefreshReuse));
    refused(&redeem(&restarted().await, &code).await);
}

pub async fn one_place_serves_several_issuers(place: &impl Place) {
    let clock = ManualClock::default();
    let store = place.store().await;
    let other =
        Provider::builder("https://other.example").store(store.clone()).clock(clock.clone()).secrets(secrets(&[1]));
    let other = other.scope("profile", "see your profile").scope("notes:read", "read your notes").client(public());
    let other = other.build().expect("a good configuration");
    let (here, there) = (app(&provider(&store, &clock)), app(&other));
    let (access, renewal) = tokens(&here, "profile").await;
    let (their_access, their_renewal) = tokens(&there, "profile").await;
    assert!(is_good(&here, &access).await && is_good(&there, &their_access).await);
    assert!(!is_good(&there, &access).await && !is_good(&here, &their_access).await);
    refused(&refresh(&there, &renewal).await);
    assert_eq!(other.revoke_all(&Holder::User("alice".into())).await.expect("the database answers"), 1);
    assert_eq!(refresh(&here, &renewal).await.status, StatusCode::OK);
    refused(&refresh(&there, &their_renewal).await);

    let confidential = || Client::confidential("app", SECRET).redirect_uri(WEB);
    assert!(store.create_client(&ISSUER.into(), confidential()).await.expect("the database answers"));
    let id = ClientId::from("app");
    assert!(store.client(&ISSUER.into(), &id).await.expect("the database answers").is_some());
    assert!(store.client(&other.issuer().into(), &id).await.expect("the database answers").is_none());
}

/// The place has a database of the first version, as a provider with the secret 7 left it.
pub async fn what_the_first_version_granted_goes_on(place: &impl Place) {
    let clock = ManualClock::default();
    let store = place.store().await;
    let app = app(&with(&store, &clock, &[7]).expect("its key is known"));
    let tokens: Vec<_> = include_str!("../sqlite/version_1.tokens").lines().collect();
    let [access, renewal, retired, code] = &*tokens else { panic!("four tokens in {tokens:?}") };
    assert!(is_good(&app, access).await);
    issued(&redeem(&app, code).await);
    issued(&refresh(&app, renewal).await);
    refused(&refresh(&app, retired).await);
    assert!(!is_good(&app, access).await, "the retired one ended the grant");
    let told = store.revocations(&ISSUER.into(), UnixTime::from_secs(0)).await.expect("the database answers");
    assert!(matches!(told[..], [RevokedTokens { tokens: Tokens::All, .. }]), "and that is told: {told:?}");
    let client = store.client(&ISSUER.into(), &"app".into()).await.expect("the database answers");
    assert_eq!(client.expect("a client of then").to_record(), custom("app").to_record());
    assert!(!store.create_client(&ISSUER.into(), custom("gone")).await.expect("the database answers"));
    assert!(node(place, &clock, &[8]).await.is_err(), "the keys of then are known");
}

// ---- the keys in use ------------------------------------------------------------------------------------------------

pub fn secrets(of: &[u8]) -> Secrets {
    of.iter().map(|number| Secret::from_bytes([*number; 32])).collect()
}

/// A node that starts anew with these secrets.
async fn node(place: &impl Place, clock: &ManualClock, numbers: &[u8]) -> Result<Provider, ConfigErrors> {
    with(&place.store().await, clock, numbers)
}

pub async fn a_node_without_a_secret_that_signs_for_its_issuer_does_not_start(place: &impl Place) {
    let clock = ManualClock::default();
    let (access, _) = tokens(&app(&node(place, &clock, &[1]).await.expect("the first one")), "profile").await;
    let error = node(place, &clock, &[2]).await.expect_err("it has another secret").to_string();
    assert!(error.contains("1 of the secrets that signed") && error.contains("forget_keys"), "{error}");
    // Appended, then moved to the front: from then on both are in use.
    for (numbers, starts) in [(&[1, 2][..], true), (&[1], true), (&[2, 1], true), (&[1], false), (&[2], false)] {
        let node = node(place, &clock, numbers).await;
        assert_eq!(node.is_ok(), starts, "{numbers:?}");
        if let Ok(node) = node {
            assert!(is_good(&app(&node), &access).await);
            tokens(&app(&node), "profile").await;
        }
    }
    let elsewhere = Provider::builder("https://other.example").store(place.store().await).secrets(secrets(&[3]));
    assert!(elsewhere.build().is_ok(), "another issuer has keys of its own");
}

pub async fn two_providers_of_one_store_are_held_to_it_too(place: &impl Place) {
    let clock = ManualClock::default();
    let store = place.store().await;
    let with = |number| with(&store, &clock, &[number]);
    assert!(with(1).is_ok());
    assert!(with(2).is_err());
}

pub async fn a_key_is_in_use_as_long_as_a_refresh_token_of_it_can_live(place: &impl Place) {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let clock = ManualClock::default();
    let old = node(place, &clock, &[1]).await.expect("the first one");
    tokens(&app(&old), "profile").await;
    for _ in 0..30 {
        clock.advance(DAY);
        old.sweep().await.expect("the database answers");
    }
    let new = node(place, &clock, &[2, 1]).await.expect("it has both");
    tokens(&app(&new), "profile").await;
    drop(old);
    // 90 days without a use, and a day more.
    for day in 1..=91 {
        clock.advance(DAY);
        new.sweep().await.expect("the database answers");
        assert_eq!(node(place, &clock, &[2]).await.is_ok(), day == 91, "after {day} days");
    }
}

pub async fn after_a_leak_the_old_keys_are_forgotten_on_purpose(place: &impl Place) {
    let clock = ManualClock::default();
    let store = place.store().await;
    let with = |number| with(&store, &clock, &[number]);
    let (access, renewal) = tokens(&app(&with(1).expect("the first one")), "profile").await;
    store.forget("https://other.example").await.expect("the database answers");
    assert!(with(2).is_err());
    store.forget(ISSUER).await.expect("the database answers");
    let app = app(&with(2).expect("the old one is forgotten"));
    assert!(!is_good(&app, &access).await);
    refused(&refresh(&app, &renewal).await);
    // The key is noted before the first grant is made with it.
    tokens(&app, "profile").await;
    assert!(node(place, &clock, &[1]).await.is_err(), "from now on the new one is in use");
}

// ---- clients --------------------------------------------------------------------------------------------------------

pub fn custom(id: &str) -> Client {
    Client::confidential(id, SECRET).name("CustomApp").redirect_uri(WEB).scope("profile")
}

async fn asks(app: &App, id: &str, secret: &str) -> StatusCode {
    let request = form("/token", &[("grant_type", "client_credentials")]);
    send(app, basic(request, id, secret)).await.status
}

pub async fn a_secret_is_added_before_the_old_one_is_retired(place: &impl Place) {
    let clock = ManualClock::default();
    let store = place.store().await;
    let app = app(&provider(&store, &clock));
    let machine = Client::confidential("cron", SECRET).grant_types([tower_oauth::GrantType::ClientCredentials]);
    store.create_client(&ISSUER.into(), machine).await.expect("the database answers");
    let new = ClientSecret::generate();
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_060);
    let rotate = |client: Client| client.retire_secrets(end).and_secret(&new);
    store.update_client(&ISSUER.into(), &"cron".into(), rotate).await.expect("a good client");
    assert_eq!(asks(&app, "cron", SECRET).await, StatusCode::OK);
    assert_eq!(asks(&app, "cron", new.secret()).await, StatusCode::OK);
    clock.advance(seconds(60));
    assert_eq!(asks(&app, "cron", SECRET).await, StatusCode::UNAUTHORIZED);
    assert_eq!(asks(&app, "cron", new.secret()).await, StatusCode::OK);
}

/// The code, and later the tokens, of a client that the store keeps.
pub async fn connected(app: &App) -> (String, String) {
    let code = support::code_of(app, "app", WEB, "profile").await;
    issued(&exchange(app, &[("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", WEB)]).await)
}

async fn exchange(app: &App, params: &[(&str, &str)]) -> Answer {
    let mut params = params.to_vec();
    params.push(("code_verifier", VERIFIER));
    send(app, basic(form("/token", &params), "app", SECRET)).await
}

pub async fn a_disabled_client_gets_nothing_more_and_can_be_connected_anew(place: &impl Place) {
    let clock = ManualClock::default();
    let store = place.store().await;
    let app = app(&provider(&store, &clock));
    store.create_client(&ISSUER.into(), custom("app")).await.expect("the database answers");
    let (access, renewal) = connected(&app).await;
    let (theirs, _) = tokens(&app, "profile").await;
    let now = UnixTime::from_secs(1_800_000_000);
    assert_eq!(store.disable_client(&ISSUER.into(), &"app".into(), now).await.expect("the database answers"), 1);
    assert!(!is_good(&app, &access).await && is_good(&app, &theirs).await);
    let params = [("grant_type", "refresh_token"), ("refresh_token", &*renewal)];
    assert_eq!(exchange(&app, &params).await.status, StatusCode::UNAUTHORIZED);

    assert!(store.enable_client(&ISSUER.into(), &"app".into()).await.expect("the database answers"));
    refused(&exchange(&app, &params).await);
    assert!(is_good(&app, &connected(&app).await.0).await, "it can be connected anew");
}

/// RFC 7591, and a limit that holds for clients of two nodes at once.
pub async fn clients_register_themselves_at_two_nodes_up_to_one_limit(place: &impl Place) {
    let clock = ManualClock::default();
    let policy = || RegistrationPolicy::open().limit(5).keep_unused(seconds(100));
    let node = async || {
        let node = builder(&clock).store(place.store().await).secrets(secrets(&[1])).registration(policy()).build();
        app(&node.expect("a good configuration"))
    };
    let apps = [node().await, node().await];
    let register = |number: usize| {
        let app = apps[number % 2].clone();
        let body = r#"{"redirect_uris": ["https://web.example/cb"], "token_endpoint_auth_method": "none"}"#;
        let request = http::Request::post("/register").header(header::CONTENT_TYPE, "application/json");
        let request = request.body(body.into()).expect("a good request");
        tokio::spawn(async move { send(&app, request).await })
    };
    let mut ids = Vec::new();
    for answer in (0..20).map(register).collect::<Vec<_>>() {
        let answer = answer.await.expect("no panic");
        if answer.status == StatusCode::CREATED {
            ids.push(answer.json()["client_id"].as_str().expect("an id").to_owned());
        }
    }
    assert_eq!(ids.len(), 5);
    for app in &apps {
        support::code_of(app, &ids[0], WEB, "profile").await;
    }
}

/// RFC 7592, at two nodes: what a client does at one of them holds at the other.
pub async fn a_client_manages_its_registration_at_either_node(place: &impl Place) {
    let clock = ManualClock::default();
    let policy = || RegistrationPolicy::open().limit(1).management();
    let node = async || {
        let node = builder(&clock).store(place.store().await).secrets(secrets(&[1])).registration(policy()).build();
        app(&node.expect("a good configuration"))
    };
    let [one, two] = [node().await, node().await];
    let asked = |method: &str, uri: &str, token: &str, body: String| {
        let request = http::Request::builder().method(method).uri(uri).header(header::CONTENT_TYPE, "application/json");
        request.header(header::AUTHORIZATION, format!("Bearer {token}")).body(body.into()).expect("a good request")
    };
    let metadata =
        |members: &str| format!(r#"{{"redirect_uris": ["{WEB}"], "token_endpoint_auth_method": "none"{members}}}"#);
    for _ in 0..2 {
        let first = metadata(r#", "contacts": ["ops@web.example"]"#);
        let client = send(&one, asked("POST", "/register", "", first.clone())).await;
        assert_eq!(client.status, StatusCode::CREATED, "{client:?}");
        let full = send(&two, asked("POST", "/register", "", first)).await;
        assert_eq!(full.status, StatusCode::SERVICE_UNAVAILABLE, "the limit is one");
        let client = client.json();
        let text = |name: &str| client[name].as_str().unwrap_or_else(|| panic!("no {name} in {client}"));
        let (id, token) = (text("client_id"), text("registration_access_token"));
        let uri = text("registration_client_uri").strip_prefix(ISSUER).expect("ours");
        let read = send(&two, bearer(uri, token)).await;
        assert_eq!((read.status, read.json()), (StatusCode::OK, client.clone()));
        let replaced = metadata(&format!(r#", "client_id": "{id}", "client_name": "Renamed""#));
        let replaced = send(&two, asked("PUT", uri, token, replaced)).await;
        assert_eq!(replaced.status, StatusCode::OK, "{replaced:?}");
        let read = send(&one, bearer(uri, token)).await.json();
        assert_eq!(read, replaced.json());
        assert_eq!((&read["client_name"], read.get("contacts")), (&"Renamed".into(), None));
        let code = support::code_of(&one, id, WEB, "profile").await;
        let redemption = redemption_of(&code).map(|(name, value)| (name, if name == "client_id" { id } else { value }));
        let access = send(&one, form("/token", &redemption)).await.json()["access_token"].clone();
        let access = access.as_str().expect("a token");
        assert!(is_good(&one, access).await);
        assert_eq!(send(&one, asked("DELETE", uri, "wrong", String::new())).await.status, StatusCode::UNAUTHORIZED);
        let deleted = send(&one, asked("DELETE", uri, token, String::new())).await;
        assert_eq!(deleted.status, StatusCode::NO_CONTENT, "{deleted:?}");
        assert!(!is_good(&one, access).await && !is_good(&two, access).await);
        for node in [&one, &two] {
            assert_eq!(send(node, bearer(uri, token)).await.status, StatusCode::UNAUTHORIZED);
        }
    }
}

// ---- two nodes ------------------------------------------------------------------------------------------------------

/// How many do the same at once, half of them at each of two providers.
const RACERS: usize = 200;
/// How often.
const ROUNDS: usize = 5;

/// Two providers on one file, each with a store of its own, as in two processes.
async fn two_apps(place: &impl Place, clock: &ManualClock) -> [App; 2] {
    let first = app(&provider(&place.store().await, clock));
    [first, app(&provider(&place.store().await, clock))]
}

async fn at_once<T, F>(apps: &[App; 2], racer: impl Fn(App) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    so_many_at_once(RACERS, apps, racer).await
}

async fn so_many_at_once<T, F>(racers: usize, apps: &[App; 2], racer: impl Fn(App) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(racers));
    let start = |number: usize| {
        let (barrier, racer) = (Arc::clone(&barrier), racer(apps[number % 2].clone()));
        tokio::spawn(async move {
            barrier.wait().await;
            racer.await
        })
    };
    let mut answers = Vec::new();
    for task in (0..racers).map(start).collect::<Vec<_>>() {
        answers.push(task.await.expect("every racer comes to its end"));
    }
    answers
}

/// RFC 6749 §4.1.2, §10.5
pub async fn of_200_redemptions_of_one_code_at_two_providers_one_wins_and_its_grant_lives(place: &impl Place) {
    let clock = ManualClock::default();
    let apps = two_apps(place, &clock).await;
    for round in 0..ROUNDS {
        let code = code(&apps[round % 2], "profile").await;
        let answers = at_once(&apps, |app| {
            let code = code.clone();
            async move { redeem(&app, &code).await }
        })
        .await;
        let (good, bad): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == StatusCode::OK);
        assert_eq!(good.len(), 1, "round {round}");
        bad.into_iter().for_each(refused);
        let (access, renewal) = issued(good[0]);
        for app in &apps {
            assert!(is_good(app, &access).await);
        }
        issued(&refresh(&apps[0], &renewal).await);
    }
}

/// CVE-2020-5300, GHSA-v3q9-2p3m-7g43
#[cfg(feature = "jwt")]
pub async fn of_64_uses_of_one_assertion_at_two_providers_one_is_accepted(place: &impl Place) {
    const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let (clock, key) = (ManualClock::default(), Key::es256());
    let client = || {
        let client = Client::private_key_jwt("app", jwks([("es256", &key)]));
        client.grant_types([tower_oauth::GrantType::ClientCredentials])
    };
    let node = async || {
        let builder = builder(&clock).store(place.store().await).secrets(secrets(&[1]));
        app(&builder.private_key_jwt().client(client()).build().expect("a good configuration"))
    };
    let nodes = [node().await, node().await];
    for round in 0..10 * ROUNDS {
        let claims = json!({"iss": "app", "sub": "app", "aud": ISSUER, "exp": 1_800_000_060, "jti": round.to_string()});
        let header = json!({"alg": "ES256", "kid": "es256"}).to_string();
        let assertion = jws(&header, &claims.to_string(), |message| key.sign(message));
        let answers = so_many_at_once(64, &nodes, |app| {
            let assertion = assertion.clone();
            async move {
                let params =
                    [("grant_type", "client_credentials"), ("scope", "profile"), ("client_assertion_type", TYPE)];
                send(&app, form("/token", &[&params[..], &[("client_assertion", &assertion)]].concat())).await
            }
        })
        .await;
        let (good, bad): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == StatusCode::OK);
        assert_eq!(good.len(), 1, "round {round}");
        for answer in bad {
            assert_eq!((answer.status, &*answer.error()), (StatusCode::UNAUTHORIZED, "invalid_client"), "{answer:?}");
        }
    }
}

/// RFC 9126 §4, CVE-2026-22751
pub async fn of_64_decisions_on_one_request_uri_at_two_providers_one_counts(place: &impl Place) {
    let clock = ManualClock::default();
    let node = async || {
        let builder = builder(&clock).store(place.store().await).secrets(secrets(&[1]));
        builder.pushed_authorization_requests().build().expect("a good configuration")
    };
    let nodes = [node().await, node().await];
    let apps = nodes.clone().map(|node| app(&node));
    for round in 0..10 * ROUNDS {
        let (user, challenge) = (format!("user{round}"), challenge(VERIFIER));
        let asked = [&authorization("public", WEB, &challenge)[..], &[("user", &user)]].concat();
        let pushed = send(&apps[round % 2], form("/par", &asked)).await;
        let uri = pushed.json()["request_uri"].as_str().expect("a text").to_owned();
        let visit = with_query("/authorize", &[("client_id", "public"), ("request_uri", &uri)]);
        let answers = so_many_at_once(64, &apps, |app| {
            let visit = visit.clone();
            async move { send(&app, form(&visit, &[])).await }
        })
        .await;
        let (good, bad): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.redirected("code").is_some());
        assert_eq!(good.len(), 1, "round {round}");
        for answer in bad {
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
            assert!(answer.body.contains("invalid_request_uri"), "{answer:?}");
        }
        issued(&redeem(&apps[1], &good[0].redirected("code").expect("one")).await);
        assert_eq!(nodes[0].revoke_all(&Holder::User(user.into())).await.expect("it answers"), 1, "round {round}");
    }
}

/// RFC 9449 §11.1: at the token endpoint and at the API
#[cfg(feature = "jwt")]
pub async fn of_64_uses_of_one_proof_at_two_providers_one_is_accepted(place: &impl Place) {
    let (clock, prover) = (ManualClock::default(), Prover::es256());
    let node = async || {
        let builder = builder(&clock).store(place.store().await).secrets(secrets(&[1]));
        app(&builder.dpop().build().expect("a good configuration"))
    };
    let nodes = [node().await, node().await];
    let only = |answers: Vec<Answer>, refused| {
        let (mut good, bad): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == StatusCode::OK);
        assert_eq!(good.len(), 1, "{bad:?}");
        assert!(bad.iter().all(|answer| answer.status == refused), "{bad:?}");
        good.remove(0)
    };
    for _ in 0..5 * ROUNDS {
        let proof = prover.for_tokens();
        let answers = so_many_at_once(64, &nodes, |app| {
            let params = [("grant_type", "client_credentials"), ("scope", "profile")];
            let request = with_proof(basic(form("/token", &params), "confidential", SECRET), &proof);
            async move { send(&app, request).await }
        });
        let won = only(answers.await, StatusCode::BAD_REQUEST);
        let token = won.json()["access_token"].as_str().expect("a token").to_owned();
        let proof = prover.for_get("https://shift.example/me", &token);
        let answers = so_many_at_once(64, &nodes, |app| {
            let request = get_with("/me", &token, &proof);
            async move { send(&app, request).await }
        });
        only(answers.await, StatusCode::UNAUTHORIZED);
    }
}

/// RFC 9700 §4.14.2
pub async fn of_200_refreshes_with_one_token_at_two_providers_all_get_its_one_successor(place: &impl Place) {
    let clock = ManualClock::default();
    let apps = two_apps(place, &clock).await;
    let (_, mut renewal) = tokens(&apps[0], "profile").await;
    for round in 1..=ROUNDS {
        let answers = at_once(&apps, |app| {
            let renewal = renewal.clone();
            async move { refresh(&app, &renewal).await }
        })
        .await;
        let successors: BTreeSet<_> = answers.iter().map(|answer| issued(answer).1).collect();
        assert_eq!(successors.len(), 1, "round {round}");
        let generation = grant(&place.store().await).await.generation();
        assert_eq!(generation, u32::try_from(round).expect("not so many"), "one step in round {round}");
        renewal.clone_from(successors.first().expect("one"));
    }
}

pub async fn of_200_refreshes_at_two_providers_against_a_revocation_nothing_lives_on(place: &impl Place) {
    let clock = ManualClock::default();
    let apps = two_apps(place, &clock).await;
    let revoking = provider(&place.store().await, &clock);
    for round in 0..ROUNDS {
        let (first, renewal) = tokens(&apps[0], "profile").await;
        let key = revoking.grants_of(&"alice".into()).await.expect("the database answers")[0].key();
        let (ended, turn) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let answers = at_once(&apps, |app| {
            let (revoking, renewal) = (revoking.clone(), renewal.clone());
            let (ended, turn) = (Arc::clone(&ended), Arc::clone(&turn));
            async move {
                if turn.fetch_add(1, Ordering::SeqCst) == round * 40 {
                    revoking.revoke_grant(key).await.expect("the database answers");
                    ended.store(true, Ordering::SeqCst);
                    return None;
                }
                let begun_after = ended.load(Ordering::SeqCst);
                Some((begun_after, refresh(&app, &renewal).await))
            }
        })
        .await;
        let mut successor = renewal;
        for (begun_after, answer) in answers.into_iter().flatten() {
            if answer.status == StatusCode::OK {
                assert!(!begun_after, "a refresh begun after the revocation is accepted in round {round}");
                let (access, renewed) = issued(&answer);
                assert!(!is_good(&apps[round % 2], &access).await, "an access token lives on in round {round}");
                successor = renewed;
            } else {
                refused(&answer);
            }
        }
        refused(&refresh(&apps[0], &successor).await);
        assert!(!is_good(&apps[1], &first).await);
    }
}
