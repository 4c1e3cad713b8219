//! Clients that sign: RFC 7523 §2.2 and §3 with its update draft-ietf-oauth-rfc7523bis, RFC 7521 §4.2, OpenID Connect
//! Core §9.

#[path = "support/jws.rs"]
mod jws;
#[path = "support/shelf.rs"]
mod shelf;
mod support;
#[path = "support/web.rs"]
mod web;

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::SystemTime;

use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use jws::{Key, hs256, jwks};
use serde_json::{Map, Value, json};
use shelf::{Op, Shelf};
use support::{
    Answer, App, ISSUER, SECRET, VERIFIER, WEB, app, basic, builder, code_of, form, request, seconds, send,
    with_members as with, *,
};
use tokio::sync::Barrier;
use tower_oauth::event::Event;
use tower_oauth::jwt::Algorithm;
use tower_oauth::testing::ManualClock;
use tower_oauth::{AuthMethod, Client, Clock, GrantType, MemoryStore, Provider, ProviderBuilder, RegistrationPolicy};
use web::Web;

const NOW: u64 = 1_800_000_000;
const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const METADATA: &str = "/.well-known/oauth-authorization-server";

/// The keys of the client `app`, and those of others.
struct Keys {
    es256: Key,
    eddsa: Key,
    rs256: Key,
    other: Key,
    stranger: Key,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys {
    es256: Key::es256(),
    eddsa: Key::eddsa(),
    rs256: Key::rs256(),
    other: Key::es256(),
    stranger: Key::es256(),
});

const GRANT_TYPES: [GrantType; 3] =
    [GrantType::AuthorizationCode, GrantType::RefreshToken, GrantType::ClientCredentials];

fn signing() -> Client {
    let keys = jwks([("es256", &KEYS.es256), ("eddsa", &KEYS.eddsa), ("rs256", &KEYS.rs256)]);
    Client::private_key_jwt("app", keys).redirect_uri(WEB).grant_types(GRANT_TYPES)
}

fn other() -> Client {
    Client::private_key_jwt("other", jwks([("es256", &KEYS.other)])).redirect_uri(WEB).grant_types(GRANT_TYPES)
}

fn taking(clock: &ManualClock) -> ProviderBuilder {
    builder(clock).private_key_jwt().client(signing()).client(other())
}

fn site() -> (App, ManualClock) {
    let clock = ManualClock::default();
    (app(&taking(&clock).build().expect("a good configuration")), clock)
}

/// A set of claims that is good at `NOW`, with a `jti` that nobody used.
fn claims() -> Value {
    json!({"iss": "app", "sub": "app", "aud": ISSUER, "exp": NOW + 60, "iat": NOW, "jti": unused()})
}

fn unused() -> String {
    format!("{:032x}", rand::random::<u128>())
}

fn assertion(claims: &Value) -> String {
    sign(&json!({"alg": "ES256", "kid": "es256"}), claims, &KEYS.es256)
}

fn sign(header: &Value, claims: &Value, key: &Key) -> String {
    jws::jws(&header.to_string(), &claims.to_string(), |message| key.sign(message))
}

fn presenting(uri: &str, assertion: &str, more: &[(&str, &str)]) -> Request<Body> {
    form(uri, &[&[("client_assertion_type", TYPE), ("client_assertion", assertion)], more].concat())
}

const FOR_ITSELF: [(&str, &str); 2] = [("grant_type", "client_credentials"), ("scope", "profile")];

async fn ask(app: &App, assertion: &str) -> Answer {
    send(app, presenting("/token", assertion, &FOR_ITSELF)).await
}

async fn redeem_with(app: &App, code: &str, assertion: &str) -> Answer {
    let params =
        [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", WEB), ("code_verifier", VERIFIER)];
    send(app, presenting("/token", assertion, &params)).await
}

#[track_caller]
fn assert_good(answer: &Answer) -> Value {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()
}

/// RFC 7523 §3.2
#[track_caller]
fn assert_unknown(answer: &Answer) {
    assert_eq!((answer.status, &*answer.error()), (StatusCode::UNAUTHORIZED, "invalid_client"), "{answer:?}");
    assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
    assert!(answer.headers.contains_key(header::WWW_AUTHENTICATE));
}

#[track_caller]
fn assert_invalid(answer: &Answer) {
    assert_eq!((answer.status, &*answer.error()), (StatusCode::BAD_REQUEST, "invalid_request"), "{answer:?}");
}

// ---- what is taken --------------------------------------------------------------------------------------------------

/// RFC 9126 §2: requests are pushed by clients that authenticate as at the token endpoint; what they prove it by stays here.
#[tokio::test]
async fn a_client_that_signs_pushes_its_requests() {
    let clock = ManualClock::default();
    let app = app(&taking(&clock).pushed_authorization_requests().build().expect("a good configuration"));
    let challenge = challenge(VERIFIER);
    let asked = authorization("app", WEB, &challenge);
    let signed = assertion(&claims());
    let pushed = send(&app, presenting("/par", &signed, &asked)).await;
    assert_eq!(pushed.status, StatusCode::CREATED, "{pushed:?}");
    assert_unknown(&send(&app, presenting("/par", &signed, &asked)).await);
    assert_unknown(&send(&app, form("/par", &asked)).await);
    let of_another = presenting("/par", &assertion(&claims()), &authorization("public", WEB, &challenge));
    assert_unknown(&send(&app, of_another).await);
    let uri = pushed.json()["request_uri"].as_str().expect("a text").to_owned();
    assert!(uri.len() < 34 + (64 + encode(&asked).len()).div_ceil(3) * 4, "nothing but the request is in it");
    let visit = with_query("/authorize", &[("client_id", "app"), ("request_uri", &uri)]);
    let code = send(&app, form(&visit, &[])).await.redirected("code").expect("a code");
    assert_good(&redeem_with(&app, &code, &assertion(&claims())).await);
}

/// RFC 7523 §2.2 and §3, RFC 7009 §2.1, RFC 7662 §2.1: one way to authenticate, at every endpoint that asks for it
#[tokio::test]
async fn a_client_that_signs_is_known_at_every_endpoint_by_each_algorithm() {
    let (app, _) = site();
    for (algorithm, id, key) in
        [("ES256", "es256", &KEYS.es256), ("EdDSA", "eddsa", &KEYS.eddsa), ("RS256", "rs256", &KEYS.rs256)]
    {
        let signed = || sign(&json!({"alg": algorithm, "kid": id}), &claims(), key);
        let code = code_of(&app, "app", WEB, "profile").await;
        let token = assert_good(&redeem_with(&app, &code, &signed()).await);
        let (access, renewal) = (token["access_token"].as_str().unwrap(), token["refresh_token"].as_str().unwrap());
        let introspected = send(&app, presenting("/introspect", &signed(), &[("token", access)])).await;
        assert_eq!(assert_good(&introspected)["active"], true);
        let refresh = [("grant_type", "refresh_token"), ("refresh_token", renewal)];
        let token = assert_good(&send(&app, presenting("/token", &signed(), &refresh)).await);
        let renewal = token["refresh_token"].as_str().unwrap();
        let revoked = send(&app, presenting("/revoke", &signed(), &[("token", renewal)])).await;
        assert_eq!(revoked.status, StatusCode::OK, "{revoked:?}");
        let introspected = send(&app, presenting("/introspect", &signed(), &[("token", access)])).await;
        assert_eq!(assert_good(&introspected), json!({"active": false}));
        assert_good(&ask(&app, &signed()).await);
    }
}

/// RFC 7521 §4.2: `client_id` is optional and names the same client.
#[tokio::test]
async fn the_body_may_name_the_client_once_more_and_no_other() {
    let (app, _) = site();
    let named = |id| presenting("/token", &assertion(&claims()), &[&FOR_ITSELF[..], &[("client_id", id)]].concat());
    assert_good(&send(&app, named("app")).await);
    assert_good(&send(&app, named("")).await);
    for id in ["other", "nobody", "public", "App", "app "] {
        assert_unknown(&send(&app, named(id)).await);
    }
}

/// RFC 7519 §5.1; draft-ietf-oauth-rfc7523bis §4: the type may be said, as a media type in any case
#[tokio::test]
async fn the_type_of_an_assertion_may_be_said() {
    let (app, _) = site();
    for typ in ["JWT", "jwt", "client-authentication+jwt", "application/client-authentication+jwt", "Application/JWT"] {
        let header = json!({"alg": "ES256", "kid": "es256", "typ": typ});
        assert_good(&ask(&app, &sign(&header, &claims(), &KEYS.es256)).await);
    }
}

/// RFC 7523 §3: what else is in it means nothing.
#[tokio::test]
async fn other_claims_and_fractions_of_seconds_do_no_harm() {
    let (app, _) = site();
    for members in [
        json!({"client_id": "other", "scope": "admin", "azp": ["x"], "cnf": {"jkt": "x"}}),
        json!({"iat": null}),
        json!({"nbf": NOW, "auth_time": "yesterday"}),
        json!({"exp": 1_800_000_060.25, "iat": 1_799_999_999.75}),
        json!({"jti": "\u{e9}\u{0}\u{1f511}"}),
        json!({"jti": "x".repeat(4_000)}),
    ] {
        assert_good(&ask(&app, &assertion(&with(claims(), members))).await);
    }
}

/// RFC 7523 §3 items 4 to 6, RFC 7519 §4.1.4: to the second, with 60 seconds for clocks and 10 minutes of life
#[tokio::test]
async fn an_assertion_is_good_from_its_beginning_to_its_end() {
    let (app, clock) = site();
    let at = |members| assertion(&with(claims(), members));
    for (members, good) in [
        (json!({"exp": NOW - 59}), true),
        (json!({"exp": NOW - 60}), false),
        (json!({"exp": NOW + 660}), true),
        (json!({"exp": NOW + 661}), false),
        (json!({"iat": NOW + 60}), true),
        (json!({"iat": NOW + 61}), false),
        (json!({"nbf": NOW + 60}), true),
        (json!({"nbf": NOW + 61}), false),
        (json!({"iat": 0, "nbf": 0}), true),
    ] {
        let answer = ask(&app, &at(members.clone())).await;
        if good { drop(assert_good(&answer)) } else { assert_unknown(&answer) }
    }
    let (last, over) = (at(json!({})), at(json!({})));
    clock.advance(seconds(119));
    assert_good(&ask(&app, &last).await);
    clock.advance(seconds(1));
    assert_unknown(&ask(&app, &over).await);
}

// ---- what is refused ------------------------------------------------------------------------------------------------

/// A row of `tests/data/assertions.txt`.
struct Row<'a> {
    line: usize,
    reason: &'a str,
    signer: &'a str,
    header: &'a str,
    claims: &'a str,
}

fn rows() -> Vec<Row<'static>> {
    let rows = include_str!("data/assertions.txt").lines().enumerate();
    let rows = rows.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let rows: Vec<_> = rows
        .map(|(at, line)| {
            let [reason, signer, header, claims] = *line.split(" | ").collect::<Vec<_>>() else {
                panic!("line {}: four columns", at + 1)
            };
            Row { line: at + 1, reason, signer, header, claims }
        })
        .collect();
    assert!(rows.len() > 100, "{} rows", rows.len());
    rows
}

impl Row<'_> {
    /// The assertion, with this `jti` where it has a good one.
    fn assertion(&self, id: &str) -> String {
        let text = |column: &str, good: Value| match column.strip_prefix('=') {
            Some(whole) => whole.to_owned(),
            None => with(good, serde_json::from_str(column).expect("an object")).to_string(),
        };
        let header = text(self.header, json!({"alg": "ES256", "kid": "es256"}));
        let claims = text(self.claims, with(claims(), json!({"jti": id})));
        jws::jws(&header, &claims, |message| self.signature(message))
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let public = KEYS.es256.jwk("es256").to_string();
        let mut good = KEYS.es256.sign(message);
        match self.signer {
            "es256" => good,
            "eddsa" => KEYS.eddsa.sign(message),
            "rs256" => KEYS.rs256.sign(message),
            "other" => KEYS.other.sign(message),
            "stranger" => KEYS.stranger.sign(message),
            "hmac" => hs256(public.as_bytes(), message),
            "hmac-x" => hs256(&KEYS.es256.point(), message),
            "nobody" => Vec::new(),
            "damaged" => {
                good[63] ^= 1;
                good
            }
            "cut" => good[..63].to_vec(),
            "der" => KEYS.es256.sign_der(message),
            "swapped" => KEYS.es256.sign(b"another message"),
            unknown => panic!("line {}: {unknown}", self.line),
        }
    }
}

/// RFC 7523 §3.2: `invalid_client`, always in the same words; nothing is consumed by it, neither the code nor the name of
/// an assertion that is good.
#[tokio::test]
async fn every_assertion_of_the_corpus_is_refused_for_its_reason_and_consumes_nothing() {
    let reasons = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&reasons);
    let hear = move |event: &Event<'_>| heard.lock().unwrap().extend(event.kind.reason());
    let provider = taking(&ManualClock::default()).on_event(hear).build().expect("a good configuration");
    let app = app(&provider);
    let code = code_of(&app, "app", WEB, "profile").await;
    let mut answers = Vec::new();
    for row in rows() {
        let id = unused();
        let hostile = row.assertion(&id);
        reasons.lock().unwrap().clear();
        let answer = redeem_with(&app, &code, &hostile).await;
        assert_unknown(&answer);
        assert_eq!(*reasons.lock().unwrap(), [row.reason], "line {}", row.line);
        answers.push((answer.headers, answer.body));
        assert_good(&ask(&app, &assertion(&with(claims(), json!({"jti": id})))).await);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_good(&redeem_with(&app, &code, &assertion(&claims())).await);
}

/// RFC 7515 §3.1 and §7.1: three parts of base64url without padding, in 8 KiB
#[tokio::test]
async fn what_is_no_jws_is_refused() {
    let (app, _) = site();
    let good = || assertion(&claims());
    let [a, b, c] = *Box::leak(good().into_boxed_str()).split('.').collect::<Vec<_>>() else { panic!("three parts") };
    let long = assertion(&with(claims(), json!({"pad": "x".repeat(8 * 1024)})));
    let json = json!({"payload": b, "protected": a, "signature": c}).to_string();
    for text in [
        "x",
        ".",
        "..",
        "...",
        "a.b.c",
        "\u{e9}.\u{e9}.\u{e9}",
        &long,
        &json,
        &format!("{a}.{b}"),
        &format!("{a}.{b}."),
        &format!("{a}..{c}"),
        &format!(".{b}.{c}"),
        &format!("{a}.{b}.{c}.{c}"),
        &format!("{a}.{b}.{c}.{c}.{c}"),
        &format!("{a}.{b}.{c}="),
        &format!("{a}.{b}.{c}\n"),
        &format!(" {a}.{b}.{c}"),
        &format!("{a}.{b}.{c} {a}.{b}.{c}"),
        &format!("Bearer {a}.{b}.{c}"),
    ] {
        assert_unknown(&ask(&app, text).await);
    }
    assert_good(&ask(&app, &format!("{a}.{b}.{c}")).await);
}

/// RFC 7521 §4.2: both parameters
#[tokio::test]
async fn the_assertion_and_its_type_are_both_there() {
    let (app, _) = site();
    let saml = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer";
    let good = assertion(&claims());
    for params in [
        &[("client_assertion", &*good)][..],
        &[("client_assertion", &good), ("client_assertion_type", "")],
        &[("client_assertion", &good), ("client_assertion_type", saml)],
        &[("client_assertion", &good), ("client_assertion_type", "jwt-bearer")],
        &[("client_assertion", &good), ("client_assertion_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")],
        &[("client_assertion_type", TYPE)],
        &[("client_assertion_type", TYPE), ("client_assertion", "")],
        &[("client_assertion_type", TYPE), ("client_id", "public")],
        &[("client_assertion", &good), ("client_id", "public")],
    ] {
        assert_unknown(&send(&app, form("/token", &[params, &FOR_ITSELF].concat())).await);
    }
    assert_good(&ask(&app, &good).await);
}

/// RFC 6749 §2.3, §3.2 and §5.2: more than one method, or a parameter that is repeated
#[tokio::test]
async fn an_assertion_beside_another_method_is_invalid_request_and_stays_good() {
    let (app, _) = site();
    let good = assertion(&claims());
    let beside = |more: &[(&str, &str)]| presenting("/token", &good, &[&FOR_ITSELF[..], more].concat());
    assert_invalid(&send(&app, beside(&[("client_secret", SECRET)])).await);
    assert_invalid(&send(&app, beside(&[("client_id", "original"), ("client_secret", SECRET)])).await);
    assert_invalid(&send(&app, basic(beside(&[]), "confidential", SECRET)).await);
    assert_invalid(&send(&app, basic(beside(&[]), "app", SECRET)).await);
    assert_invalid(&send(&app, beside(&[("client_assertion", &good)])).await);
    assert_invalid(&send(&app, beside(&[("client_assertion_type", TYPE)])).await);
    let mut twice = basic(beside(&[]), "app", SECRET);
    twice.headers_mut().append(header::AUTHORIZATION, "Bearer x".parse().unwrap());
    assert_invalid(&send(&app, twice).await);
    let alone = basic(form("/token", &[&FOR_ITSELF[..], &[("client_assertion_type", TYPE)]].concat()), "app", SECRET);
    assert_invalid(&send(&app, alone).await);
    assert_good(&ask(&app, &good).await);
}

/// RFC 6749 §2.3.1: what proves a client does not stand where logs keep it.
#[tokio::test]
async fn an_assertion_in_the_query_is_refused_and_stays_good() {
    let (app, _) = site();
    let good = assertion(&claims());
    for endpoint in ["/token", "/revoke", "/introspect"] {
        let query = with_query(endpoint, &[("client_assertion_type", TYPE), ("client_assertion", &good)]);
        assert_invalid(&send(&app, form(&query, &FOR_ITSELF)).await);
        assert_invalid(&send(&app, presenting(&query, &good, &FOR_ITSELF)).await);
    }
    assert_good(&ask(&app, &good).await);
}

/// RFC 7591 §2: the registered method alone
#[tokio::test]
async fn a_client_that_signs_is_not_known_otherwise_and_no_other_client_by_an_assertion() {
    let clock = ManualClock::default();
    // One that has a secret left from before, which is not over yet.
    let both = Client::confidential("both", SECRET)
        .retire_secrets(clock.now() + seconds(600))
        .grant_types([GrantType::ClientCredentials])
        .token_endpoint_auth_method(AuthMethod::PrivateKeyJwt)
        .jwks(jwks([("es256", &KEYS.es256)]));
    let app = app(&taking(&clock).client(both).build().expect("a good configuration"));
    for id in ["app", "both"] {
        assert_unknown(&send(&app, basic(form("/token", &FOR_ITSELF), id, SECRET)).await);
        for more in [&[("client_id", id)][..], &[("client_id", id), ("client_secret", SECRET)]] {
            assert_unknown(&send(&app, form("/token", &[&FOR_ITSELF[..], more].concat())).await);
        }
        let signed = assertion(&with(claims(), json!({"iss": id, "sub": id})));
        assert_good(&ask(&app, &signed).await);
    }
    for id in ["confidential", "original", "public", "native", "nobody"] {
        let signed = assertion(&with(claims(), json!({"iss": id, "sub": id})));
        assert_unknown(&ask(&app, &signed).await);
    }
}

/// OpenID Connect Registration §2: `token_endpoint_auth_signing_alg`
#[tokio::test]
async fn a_client_that_registered_one_algorithm_signs_by_no_other() {
    let client = signing().token_endpoint_auth_signing_alg(Algorithm::EdDsa);
    let provider = builder(&ManualClock::default()).private_key_jwt().client(client).build();
    let app = app(&provider.expect("a good configuration"));
    assert_unknown(&ask(&app, &assertion(&claims())).await);
    let good = sign(&json!({"alg": "EdDSA", "kid": "eddsa"}), &claims(), &KEYS.eddsa);
    assert_good(&ask(&app, &good).await);
}

/// RFC 7515 §4.1.4: where there is one key that could have signed, it need not be named.
#[tokio::test]
async fn a_key_need_not_be_named_where_there_is_no_choice() {
    let (app, _) = site();
    assert_good(&ask(&app, &sign(&json!({"alg": "ES256"}), &claims(), &KEYS.es256)).await);
    let two = jwks([("old", &KEYS.es256), ("new", &KEYS.other)]);
    let client = Client::private_key_jwt("app", two).redirect_uri(WEB).grant_types(GRANT_TYPES);
    let provider = builder(&ManualClock::default()).private_key_jwt().client(client).build();
    let app = support::app(&provider.expect("a good configuration"));
    assert_unknown(&ask(&app, &sign(&json!({"alg": "ES256"}), &claims(), &KEYS.es256)).await);
    for (id, key) in [("old", &KEYS.es256), ("new", &KEYS.other)] {
        assert_good(&ask(&app, &sign(&json!({"alg": "ES256", "kid": id}), &claims(), key)).await);
    }
}

/// RFC 7515 §4.1.4: a client that registered its one key of an algorithm without a `kid` may name it in its assertions, as
/// its library does by itself.
#[tokio::test]
async fn a_key_that_was_registered_without_a_name_may_be_named() {
    let unnamed = |key: &Key| with(key.jwk(""), json!({"kid": null}));
    let keys = json!({"keys": [unnamed(&KEYS.es256), KEYS.eddsa.jwk("eddsa")]}).to_string();
    let client = Client::private_key_jwt("app", keys.parse().expect("public keys")).redirect_uri(WEB);
    let provider = builder(&ManualClock::default()).private_key_jwt().client(client.grant_types(GRANT_TYPES)).build();
    let app = app(&provider.expect("a good configuration"));
    assert_good(&ask(&app, &sign(&json!({"alg": "ES256"}), &claims(), &KEYS.es256)).await);
    assert_good(&ask(&app, &sign(&json!({"alg": "ES256", "kid": "new"}), &claims(), &KEYS.es256)).await);
    assert_unknown(&ask(&app, &sign(&json!({"alg": "ES256", "kid": "new"}), &claims(), &KEYS.stranger)).await);
    // It is another one that has the name, or the algorithm.
    assert_unknown(&ask(&app, &sign(&json!({"alg": "ES256", "kid": "eddsa"}), &claims(), &KEYS.es256)).await);
    assert_unknown(&ask(&app, &sign(&json!({"alg": "EdDSA", "kid": "new"}), &claims(), &KEYS.eddsa)).await);
}

// ---- the audience ---------------------------------------------------------------------------------------------------

/// CVE-2025-27370, CVE-2025-27371: the token endpoint is an audience only where somebody said so, and never one of several
#[tokio::test]
async fn the_token_endpoint_is_an_audience_only_by_a_switch() {
    let clock = ManualClock::default();
    let app = app(&taking(&clock).danger_token_endpoint_as_audience().build().expect("a good configuration"));
    for (audience, good) in [
        (json!(ISSUER), true),
        (json!("https://shift.example/token"), true),
        (json!(["https://shift.example/token"]), false),
        (json!([ISSUER, "https://shift.example/token"]), false),
        (json!("https://shift.example/token/"), false),
        (json!("https://shift.example/revoke"), false),
        (json!("https://evil.example/token"), false),
    ] {
        let signed = assertion(&with(claims(), json!({"aud": audience})));
        for endpoint in ["/token", "/introspect"] {
            // At the second one it is used up.
            let answer =
                send(&app, presenting(endpoint, &signed, &[&FOR_ITSELF[..], &[("token", "x")]].concat())).await;
            assert_eq!(answer.status == StatusCode::OK, good && endpoint == "/token", "{audience} {answer:?}");
        }
    }
    let signed = assertion(&with(claims(), json!({"aud": "https://shift.example/token"})));
    assert_good(&send(&app, presenting("/introspect", &signed, &[("token", "x")])).await);
}

/// One store and one client id at two issuers: each knows its own assertions, and both know the same `jti`.
#[tokio::test]
async fn an_assertion_is_for_one_issuer() {
    let (clock, store) = (ManualClock::default(), MemoryStore::new());
    let there = Provider::builder("https://other.example").store(store.clone()).clock(clock.clone());
    let there = there.scope("profile", "see your profile").scope("notes:read", "read your notes");
    let there = there.private_key_jwt().client(signing()).build();
    let (here, there) = (app(&taking(&clock).store(store).build().unwrap()), app(&there.unwrap()));
    let id = unused();
    let for_here = assertion(&with(claims(), json!({"jti": id})));
    let for_there = assertion(&with(claims(), json!({"jti": id, "aud": "https://other.example"})));
    assert_unknown(&ask(&there, &for_here).await);
    assert_unknown(&ask(&here, &for_there).await);
    assert_good(&ask(&here, &for_here).await);
    assert_good(&ask(&there, &for_there).await);
}

// ---- once -----------------------------------------------------------------------------------------------------------

/// CVE-2020-5300 (GHSA-3p3g-vpw6-4w66), GHSA-v3q9-2p3m-7g43: OpenID Connect Core §9, "A unique identifier for the token,
/// which can be used to prevent reuse"
#[tokio::test]
async fn an_assertion_is_good_once_until_its_end_whatever_the_request() {
    let clock = ManualClock::default();
    let provider = taking(&clock).build().expect("a good configuration");
    let app = app(&provider);
    let (id, end) = (unused(), NOW + 600);
    let signed = |header: Value, members: Value| {
        sign(&header, &with(with(claims(), json!({"jti": id, "exp": end})), members), &KEYS.es256)
    };
    let first = signed(json!({"alg": "ES256", "kid": "es256"}), json!({}));
    assert_good(&ask(&app, &first).await);
    for _ in 0..2 {
        assert_unknown(&ask(&app, &first).await);
        assert_unknown(&send(&app, presenting("/revoke", &first, &[("token", "x")])).await);
        assert_unknown(&send(&app, presenting("/introspect", &first, &[("token", "x")])).await);
        // The name is what counts, not the text: signed anew, with another header, or other claims.
        assert_unknown(&ask(&app, &signed(json!({"alg": "ES256", "kid": "es256"}), json!({}))).await);
        assert_unknown(&ask(&app, &signed(json!({"alg": "ES256", "typ": "JWT"}), json!({"iat": NOW - 5}))).await);
        clock.advance(seconds(300));
        provider.sweep().await.expect("the memory answers");
    }
    clock.advance(seconds(59));
    provider.sweep().await.expect("the memory answers");
    assert_unknown(&ask(&app, &first).await);
    clock.advance(seconds(1));
    assert_unknown(&ask(&app, &first).await);
    // Whoever names another one so afterwards may, when no node's clock is before the end.
    let another = async |end: u64| ask(&app, &assertion(&with(claims(), json!({"jti": id, "exp": end})))).await;
    clock.advance(seconds(59));
    assert_unknown(&another(end + 200).await);
    clock.advance(seconds(1));
    assert_good(&another(end + 200).await);
}

/// The clocks of nodes differ, by as much as those of clients may: one that is ahead forgets nothing that is good by
/// another.
#[tokio::test]
async fn a_node_whose_clock_is_a_minute_ahead_makes_no_assertion_good_again() {
    let (behind, ahead, store) = (ManualClock::default(), ManualClock::default(), MemoryStore::new());
    let node = |clock| taking(clock).store(store.clone()).build().expect("a good configuration");
    let (node_behind, node_ahead) = (node(&behind), node(&ahead));
    let app = app(&node_behind);
    let signed = assertion(&claims());
    assert_good(&ask(&app, &signed).await);
    // One second before the minute after its `exp` is over, which is when it is good for the last time.
    behind.advance(seconds(119));
    ahead.advance(seconds(119 + 60));
    node_ahead.sweep().await.expect("the memory answers");
    assert_unknown(&ask(&app, &signed).await);
    assert_unknown(&ask(&self::app(&node_ahead), &signed).await);
}

/// A name belongs to its client: none can use up another's.
#[tokio::test]
async fn two_clients_may_choose_the_same_name() {
    let (app, _) = site();
    let id = unused();
    let theirs = with(claims(), json!({"iss": "other", "sub": "other", "jti": id}));
    let header = json!({"alg": "ES256", "kid": "es256"});
    assert_unknown(&ask(&app, &sign(&header, &theirs, &KEYS.es256)).await);
    assert_good(&ask(&app, &assertion(&with(claims(), json!({"jti": id})))).await);
    assert_good(&ask(&app, &sign(&header, &theirs, &KEYS.other)).await);
    // Nor are two pairs one text.
    for (client, id) in [("app", "\u{0}x"), ("app", "x")] {
        let members = json!({"iss": client, "sub": client, "jti": id});
        assert_good(&ask(&app, &assertion(&with(claims(), members))).await);
    }
}

/// A request that is refused for something else has used its assertion: the next one needs a new one.
#[tokio::test]
async fn an_assertion_is_used_by_the_request_that_it_was_good_for() {
    let (app, _) = site();
    let signed = assertion(&claims());
    let unknown = send(&app, presenting("/token", &signed, &[("grant_type", "unheard-of")])).await;
    assert_eq!(unknown.error(), "unsupported_grant_type");
    assert_unknown(&ask(&app, &signed).await);
}

/// A store that cannot say whether it is the first time: try again, with the same one.
#[tokio::test]
async fn a_store_that_is_down_is_503_and_never_401() {
    let shelf = Shelf::default();
    let provider = taking(&ManualClock::default()).store(shelf.clone()).build().expect("a good configuration");
    let app = app(&provider);
    let signed = assertion(&claims());
    shelf.take_down(&[Op::Once]);
    let answer = ask(&app, &signed).await;
    assert_eq!((answer.status, &*answer.error()), (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"));
    assert_eq!(answer.header(header::RETRY_AFTER), "1");
    // Who did not sign it learns nothing, and asks the store for nothing.
    shelf.steps();
    let forged = sign(&json!({"alg": "ES256", "kid": "es256"}), &claims(), &KEYS.stranger);
    assert_unknown(&ask(&app, &forged).await);
    assert_eq!(shelf.steps(), []);
    shelf.repair();
    assert_good(&ask(&app, &signed).await);
    assert_unknown(&ask(&app, &signed).await);
}

/// How many present one assertion at once, half of them at each of two nodes, and how often.
const RACERS: usize = 64;
const ROUNDS: usize = 500;

/// CVE-2020-5300, GHSA-v3q9-2p3m-7g43
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_uses_of_one_assertion_at_two_nodes_one_is_accepted() {
    let (clock, store) = (ManualClock::default(), MemoryStore::new());
    let node = || app(&taking(&clock).store(store.clone()).build().expect("a good configuration"));
    let nodes = [node(), node()];
    for round in 0..ROUNDS {
        let signed = assertion(&claims());
        let barrier = Arc::new(Barrier::new(RACERS));
        let racers = (0..RACERS).map(|number| {
            let (app, signed, barrier) = (nodes[number % 2].clone(), signed.clone(), Arc::clone(&barrier));
            tokio::spawn(async move {
                barrier.wait().await;
                ask(&app, &signed).await
            })
        });
        let mut won = 0;
        for racer in racers.collect::<Vec<_>>() {
            let answer = racer.await.expect("every racer comes to its end");
            if answer.status == StatusCode::OK { won += 1 } else { assert_unknown(&answer) }
        }
        assert_eq!(won, 1, "round {round}");
    }
}

// ---- on and off -----------------------------------------------------------------------------------------------------

async fn metadata(app: &App) -> Map<String, Value> {
    let answer = send(app, request(Method::GET, METADATA)).await;
    assert_good(&answer).as_object().expect("an object").clone()
}

/// RFC 8414 §2: published exactly when it is on
#[tokio::test]
async fn the_metadata_say_what_is_taken() {
    let (on, _) = site();
    let off = app(&builder(&ManualClock::default()).build().expect("a good configuration"));
    let (on, mut off) = (metadata(&on).await, metadata(&off).await);
    let confidential = ["client_secret_basic", "client_secret_post", "private_key_jwt"];
    let all = [&confidential[..], &["none"]].concat();
    for (endpoint, methods) in [("token", &all[..]), ("revocation", &all), ("introspection", &confidential)] {
        off.insert(format!("{endpoint}_endpoint_auth_methods_supported"), json!(methods));
        let algorithms = json!(["ES256", "EdDSA", "RS256"]);
        off.insert(format!("{endpoint}_endpoint_auth_signing_alg_values_supported"), algorithms);
    }
    assert_eq!(on, off, "and nothing else");
}

/// Where it is off, the parameters are as unknown as any other, and a client of a store that signs is not known.
#[tokio::test]
async fn off_means_that_nothing_is_read() {
    let shelf = Shelf::default();
    shelf.register(signing());
    let provider = builder(&ManualClock::default()).store(shelf.clone()).build().expect("a good configuration");
    let app = app(&provider);
    assert_unknown(&ask(&app, &assertion(&claims())).await);
    let named = |id| presenting("/token", &assertion(&claims()), &[&FOR_ITSELF[..], &[("client_id", id)]].concat());
    assert_unknown(&send(&app, named("app")).await);
    assert_eq!(send(&app, named("public")).await.error(), "unauthorized_client", "it is known as ever");
    assert_good(&send(&app, basic(form("/token", &FOR_ITSELF), "confidential", SECRET)).await);
}

/// Every misconfiguration is said at start, with what to write.
#[test]
fn what_cannot_work_does_not_build() {
    let clock = ManualClock::default();
    let said = |builder: ProviderBuilder| builder.build().expect_err("it is refused").to_string();
    let off = said(builder(&clock).client(signing()));
    assert!(off.contains("add `.private_key_jwt()`"), "{off}");
    let off = said(builder(&clock).danger_token_endpoint_as_audience());
    assert!(off.contains("add `.private_key_jwt()`"), "{off}");
    let with = |client: Client| said(builder(&clock).private_key_jwt().client(client.redirect_uri(WEB)));
    let none = jwks([]);
    for (client, part) in [
        (Client::private_key_jwt("x", none), "none of its keys"),
        (signing_by(Algorithm::EdDsa), "none of its keys"),
        (Client::private_key_jwt("x", jwks([("a", &KEYS.es256), ("a", &KEYS.other)])), "a `kid` of its own"),
        (Client::private_key_jwt("x", jwks([("a", &KEYS.es256), ("a", &KEYS.es256)])), "a `kid` of its own"),
        (
            Client::confidential("x", SECRET).token_endpoint_auth_method(AuthMethod::PrivateKeyJwt),
            "add them with `.jwks(..)`",
        ),
        (
            Client::private_key_jwt("x", jwks([("a", &KEYS.es256)])).and_secret(SECRET),
            "it signs and has a secret, which is never taken: leave `.and_secret(..)` out",
        ),
        (
            Client::confidential("x", SECRET)
                .token_endpoint_auth_method(AuthMethod::PrivateKeyJwt)
                .jwks(jwks([("a", &KEYS.es256)])),
            "end those from before with `.retire_secrets(..)`",
        ),
        (Client::confidential("x", SECRET).jwks(jwks([("a", &KEYS.es256)])), "AuthMethod::PrivateKeyJwt"),
        (Client::public("x").jwks(jwks([("a", &KEYS.es256)])), "AuthMethod::PrivateKeyJwt"),
        (Client::confidential("x", SECRET).token_endpoint_auth_signing_alg(Algorithm::Es256), "an algorithm"),
        (Client::private_key_jwt_uri("x", "http://app.example/jwks"), "no `https` URL"),
        (Client::private_key_jwt_uri("x", "app.example/jwks"), "no `https` URL"),
        (Client::private_key_jwt_uri("x", "file:///etc/passwd"), "no `https` URL"),
    ] {
        let said = with(client);
        assert!(said.contains(part), "{part} in {said}");
    }
}

fn signing_by(algorithm: Algorithm) -> Client {
    Client::private_key_jwt("x", jwks([("a", &KEYS.es256)])).token_endpoint_auth_signing_alg(algorithm)
}

/// Nothing that a client sent is said again.
#[tokio::test]
async fn no_answer_repeats_an_assertion_or_a_part_of_it() {
    let (app, _) = site();
    let members = json!({"iss": "marker-iss", "sub": "marker-iss", "jti": "marker-jti", "aud": "marker-aud"});
    for members in [json!({"jti": "marker-jti", "exp": 1}), members, json!({"iss": "marker-iss", "sub": "marker-iss"})]
    {
        let signed = assertion(&with(claims(), members));
        let answer = ask(&app, &signed).await;
        assert_unknown(&answer);
        let said = format!("{answer:?}");
        let parts: BTreeSet<_> = signed.split('.').chain(["marker"]).collect();
        assert!(parts.iter().all(|part| !said.contains(part)), "{said}");
    }
}

// ---- keys that a client publishes -----------------------------------------------------------------------------------

const JWKS_URI: &str = "https://app.example/jwks";

/// What the app publishes from now on. The answer says nothing of itself.
#[expect(clippy::needless_pass_by_value, reason = "so that a call is one line")]
fn publish(web: &Web, keys: impl ToString) {
    let keys = Bytes::from(keys.to_string());
    web.answer(JWKS_URI, move |_| http::Response::new(keys.clone()));
}

/// A web on which the app publishes this.
fn published(keys: impl ToString) -> Web {
    let web = Web::default();
    publish(&web, keys);
    web
}

fn publishing() -> Client {
    Client::private_key_jwt_uri("app", JWKS_URI).redirect_uri(WEB).grant_types(GRANT_TYPES)
}

/// A provider that knows where the keys of `app` are, and a server with its first one.
fn elsewhere() -> (App, Web, ManualClock) {
    let (clock, web) = (ManualClock::default(), published(jws::document([("es256", &KEYS.es256)])));
    let provider = builder(&clock).private_key_jwt().fetch(web.clone()).client(publishing()).client(other());
    (app(&provider.build().expect("a good configuration")), web, clock)
}

/// Now, by whatever clock.
fn claims_at(clock: &ManualClock) -> Value {
    let now = clock.now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    with(claims(), json!({"iat": now, "exp": now + 60}))
}

fn new_key(clock: &ManualClock) -> String {
    sign(&json!({"alg": "EdDSA", "kid": "new"}), &claims_at(clock), &KEYS.eddsa)
}

#[track_caller]
fn assert_unavailable(answer: &Answer) {
    assert_eq!((answer.status, &*answer.error()), (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"));
    assert_eq!((answer.header(header::RETRY_AFTER), answer.header(header::CACHE_CONTROL)), ("1", "no-store"));
}

/// OpenID Connect Core §10.1.1: keys are published and replaced by the client alone.
#[tokio::test]
async fn published_keys_are_read_once_and_kept_for_a_while() {
    let (app, web, clock) = elsewhere();
    for _ in 0..10 {
        assert_good(&ask(&app, &assertion(&claims())).await);
    }
    assert_eq!((web.hits(JWKS_URI), web.new_hits()), (1, 1));
    publish(&web, jws::document([("new", &KEYS.eddsa)]));
    clock.advance(seconds(3_600));
    assert_good(&ask(&app, &new_key(&clock)).await);
    assert_unknown(&ask(&app, &assertion(&claims_at(&clock))).await);
    assert!(web.new_hits() <= 2);
}

/// A key that nobody saw yet: one look for all who ask meanwhile.
#[tokio::test]
async fn a_new_key_is_looked_for_once_for_all() {
    let (app, web, clock) = elsewhere();
    assert_good(&ask(&app, &assertion(&claims())).await);
    assert_eq!(web.new_hits(), 1);
    publish(&web, jws::document([("es256", &KEYS.es256), ("new", &KEYS.eddsa)]));
    web.hold();
    let asking = (0..RACERS).map(|_| {
        let (app, signed) = (app.clone(), new_key(&clock));
        tokio::spawn(async move { ask(&app, &signed).await })
    });
    let asking: Vec<_> = asking.collect();
    settled().await;
    web.release();
    for answer in asking {
        assert_good(&answer.await.expect("an answer"));
    }
    assert_eq!(web.new_hits(), 1);
    assert_good(&ask(&app, &assertion(&claims())).await);
}

/// Whoever makes up names of keys has the client's server asked once in 30 seconds, and the client goes on meanwhile.
#[tokio::test]
async fn made_up_keys_do_not_make_the_provider_knock_on_and_on() {
    let (app, web, clock) = elsewhere();
    assert_good(&ask(&app, &assertion(&claims())).await);
    web.new_hits();
    for round in 0..3 {
        for number in 0..100 {
            let header = json!({"alg": "ES256", "kid": format!("made up {number}")});
            assert_unknown(&ask(&app, &sign(&header, &claims_at(&clock), &KEYS.stranger)).await);
        }
        assert_eq!(web.new_hits(), 1, "round {round}");
        assert_good(&ask(&app, &assertion(&claims_at(&clock))).await);
        clock.advance(seconds(30));
    }
}

/// Its keys cannot be had, and it may be the client: try again, with the same assertion. Nobody knocks meanwhile.
#[tokio::test]
async fn a_server_that_is_down_is_503_and_is_not_hammered() {
    let (app, web, clock) = elsewhere();
    web.take_down();
    let signed = assertion(&with(claims(), json!({"exp": NOW + 600})));
    for round in 0..3 {
        for _ in 0..50 {
            assert_unavailable(&ask(&app, &signed).await);
        }
        assert_eq!(web.new_hits(), 1, "round {round}");
        clock.advance(seconds(5));
    }
    web.repair();
    assert_good(&ask(&app, &signed).await);
    // Down again: what was read is good for a while, and of what it has not nobody can tell.
    web.take_down();
    web.new_hits();
    clock.advance(seconds(900));
    for _ in 0..50 {
        assert_good(&ask(&app, &assertion(&claims_at(&clock))).await);
        assert_unavailable(&ask(&app, &new_key(&clock)).await);
    }
    assert!(web.new_hits() <= 2);
}

/// The provider is no tool to knock at doors with: it knocks for a client that is registered so, when all else is right.
#[tokio::test]
async fn nothing_is_fetched_before_all_is_right_that_needs_no_key() {
    let (app, web, _) = elsewhere();
    for row in rows() {
        if !matches!(row.reason, "client_assertion_forged" | "client_assertion_of_unknown_key") {
            assert_unknown(&ask(&app, &row.assertion(&unused())).await);
        }
    }
    let header = json!({"alg": "ES256", "kid": "es256"});
    for id in ["nobody", "other", "public", "confidential"] {
        let claims = with(claims(), json!({"iss": id, "sub": id}));
        assert_unknown(&ask(&app, &sign(&header, &claims, &KEYS.stranger)).await);
    }
    assert_unknown(&send(&app, basic(form("/token", &FOR_ITSELF), "app", SECRET)).await);
    assert_eq!(web.new_hits(), 0);
    assert_unknown(&ask(&app, &sign(&header, &claims(), &KEYS.stranger)).await);
    assert_eq!(web.new_hits(), 1);
}

/// What is no set of public keys is none, and the operator hears why.
#[tokio::test]
async fn what_is_published_has_to_be_public_keys() {
    for body in [
        "<html>not found</html>".to_owned(),
        "{}".to_owned(),
        json!({"keys": [KEYS.es256.private_jwk("es256")]}).to_string(),
        json!({"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}).to_string(),
        format!("{}{}", jws::document([("es256", &KEYS.es256)]), " ".repeat(64 * 1024)),
    ] {
        let (clock, web) = (ManualClock::default(), published(&body));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hear = {
            let heard = Arc::clone(&heard);
            move |event: &Event<'_>| {
                let source = event.source.map(|source| format!("{source}: {:?}", source.source()));
                heard.lock().unwrap().push((event.kind.reason(), event.client.cloned(), source.unwrap_or_default()));
            }
        };
        let provider = builder(&clock).private_key_jwt().fetch(web).client(publishing()).on_event(hear);
        let app = app(&provider.build().expect("a good configuration"));
        assert_unavailable(&ask(&app, &assertion(&claims())).await);
        let heard = heard.lock().unwrap();
        let [(reason, client, source)] = &heard[..] else { panic!("one event: {heard:?}") };
        assert_eq!((*reason, client.as_ref()), (Some("client_keys_unavailable"), Some(&"app".into())), "{body}");
        assert!(source.contains(JWKS_URI), "{source}");
    }
}

/// However many clients are registered whose servers never answer, so many are waited for at once and no more.
#[tokio::test]
async fn at_most_64_servers_are_asked_at_once() {
    let (clock, web, shelf) = (ManualClock::default(), Web::default(), Shelf::default());
    web.hold();
    let provider = builder(&clock).store(shelf.clone()).private_key_jwt().fetch(web.clone());
    let app = app(&provider.build().expect("a good configuration"));
    let asking: Vec<_> = (0..100)
        .map(|number| {
            let id = format!("app {number}");
            let url = format!("https://{number}.example/jwks");
            web.put(&url, jws::document([("es256", &KEYS.es256)]));
            let client = Client::private_key_jwt_uri(&*id, url);
            shelf.register(client.grant_types([GrantType::ClientCredentials]));
            let (app, signed) = (app.clone(), assertion(&with(claims(), json!({"iss": id, "sub": id}))));
            tokio::spawn(async move { ask(&app, &signed).await })
        })
        .collect();
    settled().await;
    assert_eq!(web.new_hits(), 64);
    web.release();
    for answer in asking {
        assert_good(&answer.await.expect("an answer"));
    }
    assert_eq!(web.new_hits(), 36);
}

/// Lets every task go on until it waits for something that does not come.
async fn settled() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

/// What cannot be fetched is said at start, and a client of a store is told to try again.
#[tokio::test]
async fn without_something_to_fetch_with_no_keys_are_elsewhere() {
    let clock = ManualClock::default();
    let said = builder(&clock).private_key_jwt().client(publishing()).build().expect_err("it is refused").to_string();
    assert!(said.contains("add `.fetch(..)`"), "{said}");
    let shelf = Shelf::default();
    shelf.register(publishing());
    let provider = builder(&clock).store(shelf).private_key_jwt().build().expect("a good configuration");
    assert_unavailable(&ask(&app(&provider), &assertion(&claims())).await);
}

// ---- registration ---------------------------------------------------------------------------------------------------

fn registering(web: Option<Web>) -> App {
    let builder = builder(&ManualClock::default()).private_key_jwt();
    let builder = builder.registration(RegistrationPolicy::open().scope("profile"));
    app(&web.into_iter().fold(builder, ProviderBuilder::fetch).build().expect("a good configuration"))
}

async fn register(app: &App, members: Value) -> Answer {
    let metadata = json!({
        "redirect_uris": [WEB],
        "grant_types": ["authorization_code", "client_credentials"],
        "token_endpoint_auth_method": "private_key_jwt",
    });
    let request = Request::post("/register").header(header::CONTENT_TYPE, "application/json");
    send(app, request.body(with(metadata, members).to_string().into()).expect("a request")).await
}

/// The id of a client that registered so, and what it was answered.
#[track_caller]
fn registered(answer: &Answer) -> (String, Value) {
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    let json = answer.json();
    assert_eq!(json["token_endpoint_auth_method"], "private_key_jwt");
    assert!(json.get("client_secret").is_none() && json.get("client_secret_expires_at").is_none(), "{json}");
    (json["client_id"].as_str().expect("an id").to_owned(), json)
}

/// RFC 7591 §2 and §3.2.1: no secret, all that was registered, and from then on the client is known by its keys
#[tokio::test]
async fn a_client_registers_with_its_keys() {
    let app = registering(None);
    let keys = jws::document([("es256", &KEYS.es256), ("eddsa", &KEYS.eddsa)]);
    for members in [json!({}), json!({"token_endpoint_auth_signing_alg": "ES256"})] {
        let members = with(members, json!({"jwks": keys}));
        let (id, answer) = registered(&register(&app, members.clone()).await);
        assert_eq!(answer["jwks"], keys);
        assert_eq!(answer.get("token_endpoint_auth_signing_alg"), members.get("token_endpoint_auth_signing_alg"));
        assert!(answer.get("jwks_uri").is_none());
        let claims = || with(claims(), json!({"iss": id, "sub": id}));
        assert_good(&ask(&app, &assertion(&claims())).await);
        let by_eddsa = ask(&app, &sign(&json!({"alg": "EdDSA", "kid": "eddsa"}), &claims(), &KEYS.eddsa)).await;
        assert_eq!(by_eddsa.status == StatusCode::OK, members.get("token_endpoint_auth_signing_alg").is_none());
    }
}

/// RFC 7592 §2.2: a client puts another key in the place of its own.
#[tokio::test]
async fn a_client_that_registered_its_keys_replaces_them() {
    let builder = builder(&ManualClock::default()).private_key_jwt();
    let policy = RegistrationPolicy::open().scope("profile").management();
    let app = app(&builder.registration(policy).build().expect("a good configuration"));
    let (id, answer) = registered(&register(&app, json!({"jwks": jws::document([("es256", &KEYS.es256)])})).await);
    let text = |name: &str| answer[name].as_str().expect("a text");
    let (uri, token) = (text("registration_client_uri"), text("registration_access_token"));
    let keys = jws::document([("es256", &KEYS.other)]);
    let mut metadata = with(answer.clone(), json!({"jwks": keys}));
    let members = metadata.as_object_mut().expect("an object");
    members.retain(|name, _| !name.starts_with("registration_") && name != "client_id_issued_at");
    let asked = |body: String| {
        let request = Request::put(uri).header(header::CONTENT_TYPE, "application/json");
        request.header(header::AUTHORIZATION, format!("Bearer {token}")).body(body.into()).expect("a request")
    };
    let signed =
        |key| sign(&json!({"alg": "ES256", "kid": "es256"}), &with(claims(), json!({"iss": id, "sub": id})), key);
    let bad = with(metadata.clone(), json!({"jwks": {"keys": []}})).to_string();
    assert_eq!(send(&app, asked(bad)).await.error(), "invalid_client_metadata");
    assert_good(&ask(&app, &signed(&KEYS.es256)).await);
    let replaced = assert_good(&send(&app, asked(metadata.to_string())).await);
    assert_eq!(replaced["jwks"], keys);
    assert!(replaced.get("client_secret").is_none());
    assert_unknown(&ask(&app, &signed(&KEYS.es256)).await);
    assert_good(&ask(&app, &signed(&KEYS.other)).await);
}

/// CVE-2026-22752: an address that a stranger registers is no request that the provider makes for him.
#[tokio::test]
async fn a_client_registers_where_its_keys_are_and_nothing_is_fetched_before_it_signs() {
    let web = published(jws::document([("es256", &KEYS.es256)]));
    let app = registering(Some(web.clone()));
    let (id, answer) = registered(&register(&app, json!({"jwks_uri": JWKS_URI})).await);
    assert_eq!(answer["jwks_uri"], JWKS_URI);
    assert!(answer.get("jwks").is_none());
    assert_eq!(web.new_hits(), 0);
    assert_good(&ask(&app, &assertion(&with(claims(), json!({"iss": id, "sub": id})))).await);
    assert_eq!(web.new_hits(), 1);
}

/// RFC 7591 §2 and §3.2.2
#[tokio::test]
async fn keys_that_could_not_work_or_are_not_public_are_not_registered() {
    let keys = jws::document([("es256", &KEYS.es256)]);
    let many: Vec<_> = (0..21).map(|number| KEYS.es256.jwk(&number.to_string())).collect();
    let unnamed = with(KEYS.other.jwk(""), json!({"kid": null}));
    let encryption = with(KEYS.es256.jwk("x"), json!({"use": "enc"}));
    for (members, reason) in [
        (json!({}), "private_key_jwt needs jwks or jwks_uri"),
        (json!({"jwks": null, "jwks_uri": null}), "private_key_jwt needs jwks or jwks_uri"),
        (json!({"jwks": keys, "jwks_uri": JWKS_URI}), "there both"),
        (json!({"jwks": {"keys": [KEYS.es256.private_jwk("x")]}}), "private or shared"),
        (json!({"jwks": {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}}), "private or shared"),
        (json!({"jwks": {"keys": [KEYS.es256.jwk("x"), KEYS.other.private_jwk("y")]}}), "private or shared"),
        (json!({"jwks": {"keys": []}}), "no key for"),
        (json!({"jwks": {"keys": [encryption]}}), "no key for"),
        (json!({"jwks": {"keys": [KEYS.es256.jwk("x"), KEYS.other.jwk("x")]}}), "without a kid each"),
        (json!({"jwks": {"keys": [KEYS.es256.jwk("x"), unnamed]}}), "without a kid each"),
        (json!({"jwks": {"keys": [{"kty": "EC", "crv": "P-384", "x": "x", "y": "y"}]}}), "no key for"),
        (json!({"jwks": {"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}}), "no key for"),
        (json!({"jwks": keys, "token_endpoint_auth_signing_alg": "EdDSA"}), "no key for"),
        (json!({"jwks": keys, "token_endpoint_auth_signing_alg": "HS256"}), "token_endpoint_auth_signing_alg"),
        (json!({"jwks": keys, "token_endpoint_auth_signing_alg": "none"}), "token_endpoint_auth_signing_alg"),
        (json!({"jwks": keys, "token_endpoint_auth_signing_alg": ["ES256"]}), "not of its type"),
        (json!({"jwks": {"keys": many}}), "more than 16 KiB or 20 keys"),
        (json!({"jwks": with(keys.clone(), json!({"pad": "x".repeat(16 * 1024)}))}), "more than 16 KiB or 20 keys"),
        (json!({"jwks": [KEYS.es256.jwk("x")]}), "no JSON object"),
        (json!({"jwks": keys.to_string()}), "no JSON object"),
        (json!({"jwks_uri": "http://app.example/jwks"}), "not https"),
        (json!({"jwks_uri": "http://169.254.169.254/latest"}), "not https"),
        (json!({"jwks_uri": "http://127.0.0.1/jwks"}), "not https"),
        (json!({"jwks_uri": "file:///etc/passwd"}), "not https"),
        (json!({"jwks_uri": "https://user@app.example/jwks"}), "not https"),
        (json!({"jwks_uri": [JWKS_URI]}), "not of its type"),
    ] {
        let web = published(&keys);
        let answer = register(&registering(Some(web.clone())), members.clone()).await;
        assert_eq!(
            (answer.status, &*answer.error()),
            (StatusCode::BAD_REQUEST, "invalid_client_metadata"),
            "{members}"
        );
        let said = answer.json()["error_description"].as_str().expect("a sentence").to_owned();
        assert!(said.contains(reason), "{members}: {said}");
        assert_eq!(web.new_hits(), 0);
    }
    let answer = register(&registering(None), json!({"jwks_uri": JWKS_URI})).await;
    assert_eq!(answer.error(), "invalid_client_metadata");
    assert!(answer.body.contains("jwks_uri is not taken here: send jwks"), "{answer:?}");
}
