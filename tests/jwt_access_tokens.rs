//! Access tokens as JWTs (RFC 9068), and the keys that sign them (RFC 7517).

#[path = "support/down.rs"]
mod down;
#[path = "support/shelf.rs"]
mod shelf;
#[path = "support/site.rs"]
mod site;
mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use shelf::{Op, Shelf};
use site::{Pair, Site, site_with};
use support::*;
use tower_oauth::event::{Event, EventKind};
use tower_oauth::jwt::{Algorithm, InvalidKey, Jwks, SigningKey};
use tower_oauth::testing::ManualClock;
use tower_oauth::{
    AccessTokenFormat, Approval, AuthorizationRequest, Client, ConfigErrors, Endpoints, Holder, MemoryStore,
    ProtectedResource, Provider, ProviderBuilder, Secret, Secrets, Signer, SigningKeys,
};

const MCP: &str = "https://shift.example/mcp";
const NOW: u64 = 1_800_000_000;
const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

fn jwts(builder: ProviderBuilder) -> ProviderBuilder {
    builder.access_token_format(AccessTokenFormat::Jwt)
}

fn site() -> Site {
    site_with(jwts)
}

fn decode(part: &str) -> Value {
    let bytes = URL_SAFE_NO_PAD.decode(part).unwrap_or_else(|error| panic!("{error} in {part}"));
    serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{error} in {part}"))
}

/// Header and claims of a token.
#[track_caller]
fn read(token: &str) -> (Value, Value) {
    let parts: Vec<_> = token.split('.').collect();
    assert_eq!(parts.len(), 3, "{token}");
    (decode(parts[0]), decode(parts[1]))
}

/// A JWT with a good signature, whatever it says.
fn signed(key: &SigningKey, header: &Value, claims: &Value) -> String {
    let input = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    let signature = key.sign(input.as_bytes()).expect("a signature");
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

async fn jwks(app: &App) -> Value {
    let answer = send(app, request(Method::GET, "/jwks")).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()
}

fn key_ids(jwks: &Value) -> Vec<String> {
    let keys = jwks["keys"].as_array().expect("a list of keys");
    keys.iter().map(|key| key["kid"].as_str().expect("an id").to_owned()).collect()
}

async fn status(app: &App, token: &str) -> StatusCode {
    send(app, bearer("/me", token)).await.status
}

async fn issue(provider: &Provider) -> String {
    let issued = provider.issue("public", "alice", "profile".parse().expect("a scope")).await;
    issued.expect("a token").secret().to_owned()
}

fn errors(change: impl FnOnce(ProviderBuilder) -> ProviderBuilder) -> String {
    change(builder(&ManualClock::default()))
        .build()
        .map(drop)
        .map_err(|wrong: ConfigErrors| wrong.to_string())
        .unwrap_err()
}

// ---- what a token says ----------------------------------------------------------------------------------------------

async fn approve(request: AuthorizationRequest) -> Approval {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW - 60);
    request.approve("alice").auth_time(at).claim("tenant", "acme").claim("salary", 7)
}

async fn token_of(provider: &Provider) -> Value {
    let app: Router = Router::new().route("/authorize", post(approve)).layer(provider.layer());
    let app = App::new(app.into_service());
    redeem(&app, &code(&app, "profile notes:read").await).await.json()
}

/// RFC 9068 §2.1, §2.2; RFC 6749 §5.1; RFC 7638.
#[tokio::test]
async fn a_token_is_typed_names_its_key_and_says_all_that_the_profile_asks_for() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let clock = ManualClock::default();
        let provider = jwts(builder(&clock)).signing_keys(SigningKeys::generated(algorithm)).build().unwrap();
        let answer = token_of(&provider).await;
        let (header, claims) = read(answer["access_token"].as_str().unwrap());
        let keys = jwks(&app(&provider)).await;
        let kid = &keys["keys"][0]["kid"];
        assert_eq!(header, json!({"typ": "at+jwt", "alg": algorithm.as_str(), "kid": kid}));
        assert_eq!(keys["keys"][0]["alg"], algorithm.as_str());
        assert_eq!(keys["keys"][0]["use"], "sig");
        let id = claims["jti"].as_str().unwrap();
        assert_eq!(
            claims,
            json!({
                "iss": ISSUER, "aud": ISSUER, "sub": "alice", "client_id": "public", "scope": "profile notes:read",
                "iat": NOW, "exp": NOW + 600, "auth_time": NOW - 60, "jti": id,
            })
        );
        assert_eq!(URL_SAFE_NO_PAD.decode(id).unwrap().len(), 24);
        assert_eq!((&answer["token_type"], &answer["expires_in"]), (&json!("Bearer"), &json!(600)));
        assert_eq!(answer["scope"], claims["scope"]);
        assert!(answer["refresh_token"].as_str().unwrap().starts_with("toa_rt_"), "that one stays a handle");
    }
}

/// RFC 9068 §6: the client reads it.
#[tokio::test]
async fn what_the_app_attached_is_in_it_only_if_it_is_named() {
    let clock = ManualClock::default();
    let provider = jwts(builder(&clock)).access_token_claims(["tenant", "nothing"]).build().unwrap();
    let answer = token_of(&provider).await;
    let (_, claims) = read(answer["access_token"].as_str().unwrap());
    assert_eq!((&claims["tenant"], claims.get("salary"), claims.get("nothing")), (&json!("acme"), None, None));
    let wrong = errors(|builder| jwts(builder).access_token_claims(["tenant", "sub", "scope"]));
    assert!(
        wrong.contains("claim \"sub\"") && wrong.contains("claim \"scope\"") && !wrong.contains("tenant"),
        "{wrong}"
    );
}

/// An app that attaches a claim of this length.
fn talkative(provider: &Provider, length: usize) -> App {
    let approve = move |request: AuthorizationRequest| async move {
        request.approve("alice").claim("roles", "x".repeat(length)).claim("tenant", "acme")
    };
    App::new(Router::new().route("/authorize", post(approve)).layer(provider.layer()).into_service())
}

/// RFC 9068 §2.2.3.1; RFC 6749 §5.2: a token that no verifier reads is none, and that is the provider's own fault. Nothing
/// is consumed: a node that is set right gives the tokens.
#[tokio::test]
async fn a_token_that_is_too_long_to_be_read_is_not_issued_and_consumes_nothing() {
    let (clock, store) = (ManualClock::default(), MemoryStore::new());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hear = {
        let heard = Arc::clone(&heard);
        move |event: &Event<'_>| {
            let source = event.source.map(ToString::to_string).unwrap_or_default();
            heard.lock().unwrap().push((event.to_string(), event.client.cloned(), event.grant.is_some(), source));
        }
    };
    let node = |names: &[&str]| {
        let builder = jwts(builder(&clock)).store(store.clone()).access_token_claims(names.iter().copied());
        builder.on_event(hear.clone()).build().unwrap()
    };
    let (wrong, right) = (node(&["roles"]), node(&["tenant"]));
    let (wrong, right) = (talkative(&wrong, 6_000), app(&right));
    let refused = |answer: Answer| {
        assert_eq!((answer.status, &*answer.error()), (StatusCode::INTERNAL_SERVER_ERROR, "server_error"));
        assert_eq!((answer.header(header::RETRY_AFTER), answer.header(header::CACHE_CONTROL)), ("", "no-store"));
        let heard = std::mem::take(&mut *heard.lock().unwrap());
        let (event, client, grant, source) = heard.last().expect("an event");
        assert_eq!((&**event, client, grant), ("refused: access_token_too_long", &Some("public".into()), &true));
        assert!(source.contains("`.access_token_claims(..)`"), "{source}");
    };
    let code = code(&wrong, "profile").await;
    for _ in 0..2 {
        refused(redeem(&wrong, &code).await);
    }
    let token = redeem(&right, &code).await.json()["refresh_token"].as_str().expect("a token").to_owned();
    for _ in 0..2 {
        refused(refresh(&wrong, &token).await);
        clock.advance(seconds(60));
    }
    heard.lock().unwrap().clear();
    assert_eq!(refresh(&right, &token).await.status, StatusCode::OK);
    assert_eq!(heard.lock().unwrap()[0].0, "refreshed");
}

/// What is issued is read: to the byte, with the header that it comes in.
#[tokio::test]
async fn the_longest_token_that_is_issued_is_read() {
    let provider = jwts(builder(&ManualClock::default())).access_token_claims(["roles"]).build().unwrap();
    let mut longest = 0;
    for length in 5_750..5_850 {
        let app = talkative(&provider, length);
        let answer = redeem(&app, &code(&app, "profile").await).await;
        let Some(token) = answer.json()["access_token"].as_str().map(str::to_owned) else { break };
        assert_eq!(status(&support::app(&provider), &token).await, StatusCode::OK, "{length}");
        longest = token.len();
    }
    assert!((8_180..=8_185).contains(&longest), "{longest}");
}

/// RFC 9068 §2.2: where no user is involved, `sub` is the client.
#[tokio::test]
async fn a_client_that_acts_for_itself_is_the_subject_of_its_token() {
    let site = site();
    let params = [("grant_type", "client_credentials"), ("scope", "profile")];
    let answer = site.token_as("confidential", &params).await.json();
    let token = answer["access_token"].as_str().unwrap();
    let (_, claims) = read(token);
    assert_eq!((&claims["sub"], &claims["client_id"]), (&json!("confidential"), &json!("confidential")));
    assert_eq!(claims.get("auth_time"), None);
    let answer = send(&site.app, bearer("/me", token)).await;
    assert_eq!(answer.json(), json!({"sub": "confidential", "client_id": "confidential", "scope": "profile"}));
}

#[tokio::test]
async fn every_grant_type_and_the_app_itself_get_tokens_that_pass() {
    let site = site();
    let pair = site.connect("profile").await;
    let again = Pair::of(&refresh(&site.app, &pair.refresh).await);
    for token in [&pair.access, &again.access, &issue(&site.provider).await] {
        read(token);
        let answer = send(&site.app, bearer("/profile", token)).await;
        assert_eq!(answer.json(), json!({"sub": "alice", "client_id": "public", "scope": "profile"}));
        assert_eq!(send(&site.app, bearer("/notes", token)).await.status, StatusCode::FORBIDDEN);
    }
    site.clock.advance(seconds(599));
    assert_eq!(status(&site.app, &again.access).await, StatusCode::OK);
    site.clock.advance(seconds(1));
    assert_eq!(status(&site.app, &again.access).await, StatusCode::UNAUTHORIZED, "RFC 7519 §4.1.4");
}

/// RFC 8707 §2: each resource may want another format; a token for several is a JWT if one wants it.
#[tokio::test]
async fn each_resource_has_its_own_format() {
    let site =
        site_with(|builder| builder.resource(ProtectedResource::new(MCP).access_token_format(AccessTokenFormat::Jwt)));
    let token = async |resources: &[&str]| {
        let mut params = vec![("grant_type", "client_credentials"), ("scope", "profile")];
        params.extend(resources.iter().map(|resource| ("resource", *resource)));
        let answer = site.token_as("confidential", &params).await.json();
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    };
    let handle = token(&[]).await;
    assert!(handle.starts_with("toa_at_"));
    assert_eq!(read(&token(&[MCP]).await).1["aud"], MCP);
    let both = token(&[ISSUER, MCP]).await;
    assert_eq!(read(&both).1["aud"], json!([ISSUER, MCP]));
    for token in [handle, both] {
        assert_eq!(status(&site.app, &token).await, StatusCode::OK);
    }
    let other = site_with(|builder| {
        jwts(builder).resource(ProtectedResource::new(ISSUER).access_token_format(AccessTokenFormat::Handle))
    });
    assert!(issue(&other.provider).await.starts_with("toa_at_"));
}

// ---- the published keys ---------------------------------------------------------------------------------------------

/// RFC 7517 §8.5.1; RFC 8414 §2; RFC 9110 §9.3.2.
#[tokio::test]
async fn the_keys_are_published_where_the_metadata_say_and_may_be_kept_for_five_minutes() {
    let site = site();
    let metadata = send(&site.app, request(Method::GET, "/.well-known/oauth-authorization-server")).await.json();
    assert_eq!(metadata["jwks_uri"], "https://shift.example/jwks");
    let answer = send(&site.app, request(Method::GET, "/jwks")).await;
    assert_eq!(answer.header(header::CONTENT_TYPE), "application/jwk-set+json");
    assert_eq!(answer.header(header::CACHE_CONTROL), "public, max-age=300");
    assert!(!answer.body.contains("\"d\""), "{}", answer.body);
    let published: Jwks = answer.body.parse().expect("a set of keys");
    assert_eq!(published.len(), 1);
    let head = send(&site.app, request(Method::HEAD, "/jwks")).await;
    assert_eq!((head.status, &*head.body), (StatusCode::OK, ""));
    assert_eq!(head.header(header::CONTENT_TYPE), "application/jwk-set+json");
    let mut asked = request(Method::GET, "/jwks");
    asked.headers_mut().insert(header::ORIGIN, "https://app.example".parse().unwrap());
    assert_eq!(send(&site.app, asked).await.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), "*");
    let posted = send(&site.app, request(Method::POST, "/jwks")).await;
    assert_eq!((posted.status, posted.header(header::ALLOW)), (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD"));
}

#[tokio::test]
async fn where_no_token_is_a_jwt_nothing_is_published_and_none_is_taken() {
    let (handles, other) = (site_with(|builder| builder), site());
    let metadata = send(&handles.app, request(Method::GET, "/.well-known/oauth-authorization-server")).await.json();
    assert_eq!(metadata.get("jwks_uri"), None);
    assert_eq!(send(&handles.app, request(Method::GET, "/jwks")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(status(&handles.app, &issue(&other.provider).await).await, StatusCode::UNAUTHORIZED);
    assert!(!handles.shelf.steps().contains(&Op::Document));
    let at_jwks = builder(&ManualClock::default()).endpoints(Endpoints::default().token("/jwks")).build();
    assert!(at_jwks.is_ok(), "the path is free");
    let wrong = errors(|builder| jwts(builder).endpoints(Endpoints::default().token("/jwks")));
    assert!(wrong.contains("path \"/jwks\""), "{wrong}");
}

#[tokio::test]
async fn the_published_keys_can_be_mounted_nested_or_by_themselves() {
    let endpoints = Endpoints::under("/v1/oauth2").jwks("/keys");
    let provider = jwts(builder(&ManualClock::default())).endpoints(endpoints).build().unwrap();
    let nested: Router = Router::new().nest_service(provider.prefix(), provider.nest(get(async || "page")));
    let alone: Router = Router::new().route_service("/somewhere", provider.jwks());
    for (app, path) in [(nested, "/v1/oauth2/keys"), (alone, "/somewhere")] {
        let answer = send(&App::new(app.into_service()), request(Method::GET, path)).await;
        assert_eq!(answer.json()["keys"].as_array().map(Vec::len), Some(1), "{answer:?}");
    }
}

// ---- what ends a token ----------------------------------------------------------------------------------------------

/// RFC 7009 §2.1: one access token ends alone, and only by its own client; a grant ends with all of them.
#[tokio::test]
async fn a_token_ends_alone_or_with_its_grant_at_once() {
    let site = site_with(|builder| jwts(builder).client(Client::confidential("other", SECRET).redirect_uri(WEB)));
    let code = code_of(&site.app, "confidential", WEB, "profile").await;
    let first = Pair::of(&site.token_as("confidential", &redemption(&code)).await);
    let second = Pair::of(&site.token_as("confidential", &refreshing(&first.refresh)).await);
    let revoke = async |client: &str, token: &str| {
        send(&site.app, basic(form("/revoke", &[("token", token)]), client, SECRET)).await
    };

    assert_eq!(revoke("other", &first.access).await.error(), "invalid_grant");
    assert_eq!(status(&site.app, &first.access).await, StatusCode::OK);
    assert_eq!(revoke("confidential", &first.access).await.status, StatusCode::OK);
    assert_eq!(status(&site.app, &first.access).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(&site.app, &second.access).await, StatusCode::OK);
    assert_eq!(revoke("confidential", &second.refresh).await.status, StatusCode::OK);
    assert_eq!(status(&site.app, &second.access).await, StatusCode::UNAUTHORIZED);
    for nothing in ["e30.e30.", &format!("{}x", second.access)] {
        assert_eq!(revoke("confidential", nothing).await.status, StatusCode::OK, "RFC 7009 §2.2");
    }
}

#[tokio::test]
async fn a_user_who_disconnects_a_client_ends_its_tokens_at_once() {
    let site = site();
    let token = issue(&site.provider).await;
    assert_eq!(status(&site.app, &token).await, StatusCode::OK);
    site.provider.revoke_all(&Holder::User("alice".into())).await.unwrap();
    assert_eq!(status(&site.app, &token).await, StatusCode::UNAUTHORIZED);
}

/// RFC 7662 §2.2: what is said of a JWT is what it says, as long as it is good.
#[tokio::test]
async fn introspection_tells_of_a_jwt_what_it_tells_of_a_handle() {
    let site = site_with(|builder| {
        jwts(builder)
            .resource(MCP)
            .client(Client::resource_server("api", SECRET, ISSUER))
            .client(Client::resource_server("foreign", SECRET, "https://api.example"))
    });
    let token = issue(&site.provider).await;
    let introspect = async |client: &str| {
        send(&site.app, basic(form("/introspect", &[("token", &*token)]), client, SECRET)).await.json()
    };
    let (_, claims) = read(&token);
    assert_eq!(
        introspect("api").await,
        json!({
            "active": true, "iss": ISSUER, "client_id": "public", "sub": "alice", "scope": "profile", "token_type": "Bearer",
            "iat": NOW, "exp": NOW + 600, "aud": [ISSUER], "jti": claims["jti"],
        })
    );
    assert_eq!(introspect("foreign").await, json!({"active": false}), "it is not for that one");
    site.clock.advance(seconds(600));
    assert_eq!(introspect("api").await, json!({"active": false}));
}

// ---- what is no token -----------------------------------------------------------------------------------------------

/// RFC 9068 §4; RFC 8725 §3.1, §3.11, §3.12. The key is the provider's own, so each is refused for what it says.
#[tokio::test]
async fn what_only_looks_like_a_token_is_refused_and_never_an_error_of_ours() {
    let (key, other) =
        (SigningKey::generate(Algorithm::Es256).unwrap(), SigningKey::generate(Algorithm::Es256).unwrap());
    let given = key.clone();
    let site = site_with(|builder| jwts(builder).signing_keys(SigningKeys::given([given])));
    let good = issue(&site.provider).await;
    let (header, claims) = read(&good);
    let with = |of: &Value, name: &str, value: Value| {
        let mut changed = of.clone();
        changed[name] = value;
        changed
    };
    let without = |name: &str| {
        let mut changed = claims.clone();
        changed.as_object_mut().unwrap().remove(name);
        changed
    };
    assert_eq!(status(&site.app, &signed(&key, &header, &claims)).await, StatusCode::OK, "the ground of all below");
    let mut bad = vec![
        signed(&other, &header, &claims),
        signed(&other, &with(&header, "kid", other.public_jwk()["kid"].clone()), &claims),
        format!("{}.", good.rsplit_once('.').unwrap().0),
        good.replacen('.', "..", 1),
        format!("{good}."),
        good[..good.len() - 2].to_owned(),
        "..".to_owned(),
        "a.b.c".to_owned(),
        "e30.e30.e30".to_owned(),
        "eyJ".repeat(2_000),
    ];
    for (name, value) in [
        ("typ", json!("JWT")),
        ("typ", json!("id_token")),
        ("typ", json!(null)),
        ("alg", json!("none")),
        ("alg", json!("HS256")),
        ("alg", json!("EdDSA")),
        ("alg", json!("es256")),
        ("crit", json!(["exp"])),
        ("jwk", other.public_jwk()),
        ("jku", json!("https://evil.example/jwks")),
        ("x5u", json!("https://evil.example/x5u")),
    ] {
        bad.push(signed(&key, &with(&header, name, value), &claims));
    }
    for (name, value) in [
        ("iss", json!("https://evil.example")),
        ("iss", json!("https://shift.example/")),
        ("exp", json!(NOW)),
        ("exp", json!("1900000000")),
        ("exp", json!(-1)),
        ("iat", json!(NOW + 61)),
        ("nbf", json!(NOW + 61)),
        ("sub", json!("mallory")),
        ("sub", json!("public")),
        ("client_id", json!("confidential")),
        ("scope", json!("profile notes:write")),
        ("scope", json!(["profile"])),
        ("aud", json!([ISSUER, MCP])),
        ("aud", json!({})),
        ("jti", json!("x")),
        ("jti", json!(URL_SAFE_NO_PAD.encode([7; 24]))),
        ("jti", json!(URL_SAFE_NO_PAD.encode([7; 25]))),
    ] {
        bad.push(signed(&key, &header, &with(&claims, name, value)));
    }
    for name in ["iss", "sub", "client_id", "exp", "iat", "jti"] {
        bad.push(signed(&key, &header, &without(name)));
    }
    bad.push(signed(&key, &header, &json!([])));
    for token in bad {
        let answer = send(&site.app, bearer("/me", &token)).await;
        let expected = if token.len() > 4_000 { answer.status } else { StatusCode::UNAUTHORIZED };
        assert_eq!(answer.status, expected, "{token}");
        assert!(
            answer.status.is_client_error() && answer.header(header::WWW_AUTHENTICATE).starts_with("Bearer"),
            "{token}"
        );
    }
}

/// RFC 8725 §3.11: the `typ` may be written out, in any case (RFC 7515 §4.1.9).
#[tokio::test]
async fn the_type_is_a_media_type_in_any_case() {
    let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let given = key.clone();
    let site = site_with(|builder| jwts(builder).signing_keys(SigningKeys::given([given])));
    let (header, claims) = read(&issue(&site.provider).await);
    for typ in ["AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
        let header = json!({"typ": typ, "alg": "EdDSA", "kid": header["kid"]});
        assert_eq!(status(&site.app, &signed(&key, &header, &claims)).await, StatusCode::OK, "{typ}");
    }
}

#[tokio::test]
async fn a_jwt_is_taken_for_no_handle_and_another_issuers_for_none() {
    let site = site();
    let token = issue(&site.provider).await;
    assert_eq!(refresh(&site.app, &token).await.error(), "invalid_grant");
    assert_eq!(redeem(&site.app, &token).await.error(), "invalid_grant");
    // The same keys, secret and store, and another issuer.
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let keys = || SigningKeys::given([key.clone()]);
    let shelf = Shelf::default();
    let one = jwts(builder(&ManualClock::default())).store(shelf.clone()).signing_keys(keys()).build().unwrap();
    let other = Provider::builder("https://other.example").clock(ManualClock::default()).store(shelf);
    let other = jwts(other).signing_keys(keys()).scope("profile", "see your profile").build().unwrap();
    let at_other: Router = Router::new().route("/me", get(async || "me").route_layer(other.bearer()));
    let foreign = issue(&other).await;
    assert_eq!(status(&app(&one), &foreign).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(&App::new(at_other.into_service()), &foreign).await, StatusCode::OK);
}

// ---- stores and signers that cannot answer --------------------------------------------------------------------------

#[tokio::test]
async fn while_the_store_is_down_a_token_is_neither_good_nor_bad() {
    let site = site();
    let token = issue(&site.provider).await;
    site.shelf.take_down(&[Op::Find, Op::Document]);
    let answer = send(&site.app, bearer("/me", &token)).await;
    assert_eq!((answer.status, answer.header(header::RETRY_AFTER)), (StatusCode::SERVICE_UNAVAILABLE, "1"));
    site.shelf.take_down(&[Op::Document]);
    site.clock.advance(seconds(90));
    assert_eq!(status(&site.app, &token).await, StatusCode::OK, "the keys that were known are good for a while");
    assert_eq!(key_ids(&jwks(&site.app).await).len(), 1);
    read(&issue(&site.provider).await);
    site.clock.advance(seconds(HOUR));
    let stale = send(&site.app, request(Method::GET, "/jwks")).await;
    assert_eq!((stale.status, stale.header(header::RETRY_AFTER)), (StatusCode::SERVICE_UNAVAILABLE, "1"));
    let late = site.provider.issue("public", "alice", "profile".parse().unwrap()).await;
    assert!(late.is_err(), "another key may sign by now");
    site.shelf.repair();
    site.clock.advance(seconds(5));
    read(&issue(&site.provider).await);
}

/// Another node may have made the key that it names: 401, `active: false` and a revocation's 200 would each be a guess.
#[tokio::test]
async fn while_the_keys_cannot_be_read_a_token_of_another_key_is_neither_good_nor_bad() {
    let site = site_with(|builder| jwts(builder).client(Client::resource_server("api", SECRET, ISSUER)));
    let (mut header, claims) = read(&issue(&site.provider).await);
    header["kid"] = json!("another");
    let token = signed(&SigningKey::generate(Algorithm::Es256).unwrap(), &header, &claims);
    let ask = async || {
        let of = |path, client| basic(form(path, &[("token", &*token)]), client, SECRET);
        let revoked = send(&site.app, of("/revoke", "confidential")).await.status;
        [status(&site.app, &token).await, send(&site.app, of("/introspect", "api")).await.status, revoked]
    };
    site.shelf.take_down(&[Op::Document]);
    for pause in [10, 1, 60] {
        site.clock.advance(seconds(pause));
        assert_eq!(ask().await, [StatusCode::SERVICE_UNAVAILABLE; 3], "{pause}");
    }
    site.shelf.repair();
    site.clock.advance(seconds(2));
    assert_eq!(ask().await, [StatusCode::UNAUTHORIZED, StatusCode::OK, StatusCode::OK]);
}

/// One reads for all, and whoever comes meanwhile goes by what is read and not by what was known two hours ago.
#[tokio::test]
async fn after_idle_hours_requests_that_come_at_once_all_get_the_keys_that_are_read() {
    let site = site();
    let other = jwts(builder(&site.clock)).store(site.shelf.clone()).build().unwrap();
    issue(&site.provider).await;
    other.rotate_signing_key().await.unwrap();
    site.clock.advance(seconds(2 * HOUR));
    let token = issue(&other).await;
    let gate = site.shelf.hold(Op::Document);
    let open = async {
        gate.reached.notified().await;
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        gate.open.notify_one();
    };
    let (first, second, third, keys, ()) = tokio::join!(
        status(&site.app, &token),
        status(&site.app, &token),
        issue(&site.provider),
        jwks(&site.app),
        open
    );
    assert_eq!((first, second), (StatusCode::OK, StatusCode::OK));
    assert_eq!(read(&third).0["kid"], read(&token).0["kid"]);
    assert_eq!(key_ids(&keys).len(), 2);
}

#[tokio::test]
async fn a_clock_that_steps_back_after_a_failure_keeps_nobody_from_the_keys() {
    let site = site();
    issue(&site.provider).await;
    site.shelf.take_down(&[Op::Document]);
    site.clock.advance(seconds(61));
    jwks(&site.app).await;
    site.shelf.repair();
    site.clock.set(SystemTime::UNIX_EPOCH + seconds(NOW - 10));
    read(&issue(&site.provider).await);
}

/// Whoever operates it hears at the start that the keys cannot be read, and not at the first request.
#[tokio::test]
async fn a_provider_that_cannot_read_its_keys_at_the_start_says_so() {
    let (shelf, heard) = (Shelf::default(), Arc::new(AtomicBool::default()));
    let ear = Arc::clone(&heard);
    shelf.take_down(&[Op::Document]);
    let provider = jwts(builder(&ManualClock::default()))
        .store(shelf.clone())
        .on_event(move |event| ear.store(event.kind == EventKind::Unavailable, Ordering::Relaxed))
        .build();
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert!(provider.is_ok() && heard.load(Ordering::Relaxed));
}

#[tokio::test]
async fn a_provider_that_starts_while_the_store_is_down_recovers() {
    let shelf = Shelf::default();
    shelf.take_down(&[Op::Document, Op::ReplaceDocument]);
    let clock = ManualClock::default();
    let provider = jwts(builder(&clock)).store(shelf.clone()).build().unwrap();
    let app = app(&provider);
    let answer = send(&app, request(Method::GET, "/jwks")).await;
    assert_eq!((answer.status, answer.header(header::RETRY_AFTER)), (StatusCode::SERVICE_UNAVAILABLE, "1"));
    assert_eq!(status(&app, "e30.e30.e30").await, StatusCode::SERVICE_UNAVAILABLE, "nobody knows the keys");
    assert!(provider.issue("public", "alice", "profile".parse().unwrap()).await.is_err());
    assert!(shelf.records().is_empty());
    shelf.repair();
    clock.advance(seconds(2));
    assert_eq!(status(&app, &issue(&provider).await).await, StatusCode::OK);
}

/// A signer that can be switched off.
#[derive(Clone)]
struct Kms(SigningKey, Arc<AtomicBool>);

impl Signer for Kms {
    type Error = Box<dyn std::error::Error + Send + Sync>;

    async fn keys(&self) -> Result<Jwks, Self::Error> {
        Ok(json!({"keys": [self.0.public_jwk()]}).to_string().parse()?)
    }

    async fn sign(&self, key_id: &str, message: &[u8]) -> Result<Vec<u8>, Self::Error> {
        tokio::task::yield_now().await;
        assert_eq!(self.0.public_jwk()["kid"], key_id);
        if self.1.load(Ordering::Relaxed) { Err("the KMS is away".into()) } else { Ok(self.0.sign(message)?) }
    }
}

/// An error is 503, and the same code and refresh token are good for the next try.
#[tokio::test]
async fn a_signer_that_is_away_costs_nobody_a_code_or_a_refresh_token() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let kms = Kms(SigningKey::generate(algorithm).unwrap(), Arc::default());
        let given = kms.clone();
        let site = site_with(|builder| jwts(builder).signing_keys(SigningKeys::signer(given)));
        let code = site.code("profile").await;
        let away = |away| kms.1.store(away, Ordering::Relaxed);
        away(true);
        let before = site.shelf.records();
        let answer = redeem(&site.app, &code).await;
        assert_eq!((answer.status, answer.header(header::RETRY_AFTER)), (StatusCode::SERVICE_UNAVAILABLE, "1"));
        assert_eq!(site.shelf.records(), before);
        away(false);
        let pair = Pair::of(&redeem(&site.app, &code).await);
        assert_eq!(status(&site.app, &pair.access).await, StatusCode::OK);
        away(true);
        let before = site.shelf.records();
        site.clock.advance(seconds(100));
        assert_eq!(refresh(&site.app, &pair.refresh).await.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(site.shelf.records(), before);
        site.clock.advance(seconds(100));
        away(false);
        assert_eq!(status(&site.app, &Pair::of(&refresh(&site.app, &pair.refresh).await).access).await, StatusCode::OK);
    }
}

/// A KMS that answers DER, another key's signature, or nothing of use.
#[tokio::test]
async fn what_a_signer_answers_is_looked_at_before_anybody_gets_it() {
    struct Wrong(SigningKey, SigningKey);
    impl Signer for Wrong {
        type Error = InvalidKey;
        async fn keys(&self) -> Result<Jwks, InvalidKey> {
            json!({"keys": [self.0.public_jwk()]}).to_string().parse().map_err(|_| InvalidKey)
        }
        async fn sign(&self, _: &str, message: &[u8]) -> Result<Vec<u8>, InvalidKey> {
            self.1.sign(message)
        }
    }
    let key = || SigningKey::generate(Algorithm::Es256).unwrap();
    let site = site_with(|builder| jwts(builder).signing_keys(SigningKeys::signer(Wrong(key(), key()))));
    assert!(site.provider.issue("public", "alice", "profile".parse().unwrap()).await.is_err());
    assert!(site.shelf.records().is_empty());
}

/// A KMS that takes the question and never answers: nobody waits for it for ever, and it holds up nobody else.
#[tokio::test(start_paused = true)]
async fn a_signer_that_never_answers_is_given_up() {
    struct Silent(SigningKey, bool);
    impl Signer for Silent {
        type Error = InvalidKey;
        async fn keys(&self) -> Result<Jwks, InvalidKey> {
            if self.1 {
                std::future::pending::<()>().await;
            }
            json!({"keys": [self.0.public_jwk()]}).to_string().parse().map_err(|_| InvalidKey)
        }
        async fn sign(&self, _: &str, _: &[u8]) -> Result<Vec<u8>, InvalidKey> {
            std::future::pending().await
        }
    }
    for silent in [true, false] {
        let signer = Silent(SigningKey::generate(Algorithm::Es256).unwrap(), silent);
        let site = site_with(|builder| jwts(builder).signing_keys(SigningKeys::signer(signer)));
        let issued = site.provider.issue("public", "alice", "profile".parse().unwrap());
        let issued = tokio::time::timeout(seconds(60), issued).await.expect("an answer within a minute");
        let why = std::error::Error::source(&issued.unwrap_err()).expect("a reason").to_string();
        assert!(why.contains("10 seconds"), "{why}");
    }
}

// ---- rotation -------------------------------------------------------------------------------------------------------

/// Two nodes on one store, through ten rotations: what either issues passes at both until its end, and by keys that were
/// published at least half an hour before, which is longer than anybody may keep the document.
#[tokio::test]
async fn ten_rotations_refuse_no_token_before_its_end_and_none_passes_after_it() {
    let (clock, store) = (ManualClock::default(), MemoryStore::new());
    let node = || {
        let keys = SigningKeys::default().rotated_every(seconds(DAY));
        let provider =
            jwts(builder(&clock)).store(store.clone()).signing_keys(keys).access_token_lifetime(seconds(DAY));
        let provider = provider.build().unwrap();
        (app(&provider), provider)
    };
    let nodes = [node(), node()];
    let mut published = [jwks(&nodes[0].0).await, jwks(&nodes[1].0).await];
    let mut living = Vec::<(String, u64)>::new();
    let mut signed = std::collections::BTreeSet::new();
    for step in 0..(11 * 48) {
        let now = NOW + step * HOUR / 2;
        if step % 4 == 0 {
            for (app, provider) in &nodes {
                let token = issue(provider).await;
                let kid = read(&token).0["kid"].as_str().unwrap().to_owned();
                for read_before in &published {
                    assert!(key_ids(read_before).contains(&kid), "whoever read the keys half an hour ago knows it");
                }
                signed.insert(kid);
                assert_eq!(status(app, &token).await, StatusCode::OK);
                living.push((token, now + DAY));
            }
        }
        for (app, _) in &nodes {
            for (token, end) in &living {
                let wanted = if now < *end { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
                assert_eq!(status(app, token).await, wanted, "step {step}");
                let known = key_ids(&published[0]).contains(&read(token).0["kid"].as_str().unwrap().to_owned());
                assert!(known || now >= *end);
            }
        }
        living.retain(|(_, end)| now < *end);
        // One node is asked for its keys every time, the other one works alone.
        published[0] = jwks(&nodes[0].0).await;
        published[1] = jwks(&nodes[1].0).await;
        assert_eq!(published[0], published[1], "the nodes cannot disagree");
        assert!(key_ids(&published[0]).len() <= 4);
        clock.advance(seconds(HOUR / 2));
    }
    assert_eq!(signed.len(), 11);
}

/// Of eight nodes that start at once, and of those that find at once that a key is due.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nodes_that_act_at_once_agree_on_one_key() {
    let (clock, store) = (ManualClock::default(), MemoryStore::new());
    let nodes: Vec<_> = (0..8).map(|_| jwts(builder(&clock)).store(store.clone()).build().unwrap()).collect();
    for _ in 0..5 {
        let issued: Vec<_> =
            nodes.iter().cloned().map(|node| tokio::spawn(async move { issue(&node).await })).collect();
        let mut kids = std::collections::BTreeSet::new();
        for token in issued {
            kids.insert(read(&token.await.unwrap()).0["kid"].to_string());
        }
        assert_eq!(kids.len(), 1);
        assert!(key_ids(&jwks(&app(&nodes[0])).await).len() <= 2);
        clock.advance(seconds(30 * DAY - HOUR));
    }
}

#[tokio::test]
async fn a_key_that_is_rotated_by_hand_signs_an_hour_later() {
    let site = site();
    let first = issue(&site.provider).await;
    let from = site.provider.rotate_signing_key().await.unwrap();
    assert_eq!(from, SystemTime::UNIX_EPOCH + seconds(NOW + HOUR));
    assert_eq!(site.provider.rotate_signing_key().await.unwrap(), from, "there is a next one already");
    let keys = key_ids(&jwks(&site.app).await);
    assert_eq!(keys.len(), 2);
    assert_eq!(read(&issue(&site.provider).await).0["kid"], keys[0]);
    site.clock.advance(seconds(HOUR));
    let second = issue(&site.provider).await;
    assert_eq!((&read(&first).0["kid"], &read(&second).0["kid"]), (&json!(keys[0]), &json!(keys[1])));
    let given = site_with(|builder| {
        jwts(builder).signing_keys(SigningKeys::given([SigningKey::generate(Algorithm::Es256).unwrap()]))
    });
    assert!(given.provider.rotate_signing_key().await.is_err());
}

#[tokio::test]
async fn another_algorithm_is_that_of_the_next_key() {
    let (clock, store) = (ManualClock::default(), MemoryStore::new());
    let build = |keys| jwts(builder(&clock)).store(store.clone()).signing_keys(keys).build().unwrap();
    let old = issue(&build(SigningKeys::default())).await;
    let provider = build(SigningKeys::generated(Algorithm::EdDsa));
    assert_eq!(read(&issue(&provider).await).0, read(&old).0);
    provider.rotate_signing_key().await.unwrap();
    clock.advance(seconds(HOUR));
    let new = issue(&provider).await;
    assert_eq!(read(&new).0["alg"], "EdDSA");
    assert_eq!(status(&app(&provider), &new).await, StatusCode::OK);
}

fn secrets(numbers: &[u8]) -> Secrets {
    numbers.iter().map(|number| Secret::from_bytes([*number; 32])).collect()
}

/// `SECURITY.md`, replacing the secret: append it everywhere, move it to the front everywhere, drop the old one.
#[tokio::test]
async fn a_secret_that_is_replaced_in_steps_keeps_keys_and_tokens() {
    let (clock, store) = (ManualClock::default(), MemoryStore::new());
    let node = |numbers: &[u8]| {
        let provider = jwts(builder(&clock)).store(store.clone()).secrets(secrets(numbers)).build().unwrap();
        (app(&provider), provider)
    };
    let steps: [&[u8]; 7] = [&[1], &[1], &[1, 2], &[1, 2], &[2, 1], &[2, 1], &[2]];
    let mut before: Vec<String> = Vec::new();
    let mut kid = None;
    for (numbers, other) in steps.iter().zip(&steps[1..]) {
        // Two steps are never further apart than one.
        let nodes = [node(numbers), node(other)];
        for (app, provider) in &nodes {
            before.push(issue(provider).await);
            let header = read(before.last().unwrap()).0;
            assert_eq!(*kid.get_or_insert_with(|| header["kid"].clone()), header["kid"]);
            for token in &before {
                assert_eq!(status(app, token).await, StatusCode::OK);
            }
        }
        clock.advance(seconds(61));
    }
}

/// After a leak: the old key can sign nothing anymore that anybody takes, and whoever was left behind signs nothing.
#[tokio::test]
async fn a_secret_that_is_replaced_at_once_ends_the_keys_under_it() {
    let (clock, store) = (ManualClock::default(), MemoryStore::new());
    let node = |numbers: &[u8]| {
        let provider = jwts(builder(&clock)).store(store.clone()).secrets(secrets(numbers)).build().unwrap();
        (app(&provider), provider)
    };
    let (old_app, old) = node(&[1]);
    let token = issue(&old).await;
    let kept = key_ids(&jwks(&old_app).await);
    let (new_app, new) = node(&[2]);
    let successor = issue(&new).await;
    assert_ne!(read(&successor).0["kid"], read(&token).0["kid"]);
    assert_eq!(status(&new_app, &token).await, StatusCode::UNAUTHORIZED);
    assert_eq!(status(&new_app, &successor).await, StatusCode::OK);
    clock.advance(seconds(60));
    for token in [&token, &successor] {
        assert_eq!(status(&old_app, token).await, StatusCode::SERVICE_UNAVAILABLE, "a minute later everywhere");
    }
    assert_eq!(send(&old_app, request(Method::GET, "/jwks")).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(old.issue("public", "alice", "profile".parse().unwrap()).await.is_err());
    let keys = key_ids(&jwks(&new_app).await);
    assert_eq!(keys, [read(&successor).0["kid"].as_str().unwrap()], "and does not begin anew");
    assert!(!keys.contains(&kept[0]));
}

/// It would seal the next key under the secret that leaked.
#[tokio::test]
async fn a_node_that_was_left_behind_writes_nothing_into_the_store() {
    use tower_oauth::GrantStore;
    let (clock, store) = (ManualClock::default(), MemoryStore::new());
    let node = |number: u8| jwts(builder(&clock)).store(store.clone()).secrets(secrets(&[number])).build().unwrap();
    let old = node(1);
    issue(&old).await;
    issue(&node(2)).await;
    let document = async || store.document(&ISSUER.into(), "signing keys").await.unwrap();
    let kept = document().await;
    let wrong = old.rotate_signing_key().await.unwrap_err();
    assert_eq!(document().await, kept);
    let why = std::error::Error::source(&wrong).expect("a reason").to_string();
    assert!(why.contains("sealed under a secret that this node does not have"), "{why}");
    clock.advance(seconds(30 * DAY - HOUR / 2));
    old.sweep().await.unwrap();
    assert_eq!(document().await, kept, "the next key is due, and somebody else's to make");
}

/// The database alone signs nothing.
#[tokio::test]
async fn what_is_kept_of_a_key_is_sealed() {
    use tower_oauth::GrantStore;
    let (clock, store) = (ManualClock::default(), MemoryStore::new());
    let provider = jwts(builder(&clock)).store(store.clone()).build().unwrap();
    issue(&provider).await;
    let Ok(document) = store.document(&ISSUER.into(), "signing keys").await;
    let document: Value = serde_json::from_slice(&document.expect("a document")).unwrap();
    let sealed = URL_SAFE_NO_PAD.decode(document["keys"][0]["sealed"].as_str().unwrap()).unwrap();
    assert!(SigningKey::from_pkcs8(&sealed).is_err() && SigningKey::from_pkcs8(&sealed[12..]).is_err());
    assert_eq!(document["keys"][0]["jwk"].get("d"), None);
}

/// Whoever can write to the database cannot have a key of theirs published, nor taken.
#[tokio::test]
async fn a_public_key_that_somebody_wrote_into_the_store_is_neither_published_nor_taken() {
    let site = site();
    let good = issue(&site.provider).await;
    let theirs = SigningKey::generate(Algorithm::Es256).unwrap();
    let (mut header, claims) = read(&good);
    header["kid"] = theirs.public_jwk()["kid"].clone();
    let forged = signed(&theirs, &header, &claims);
    for sealed in ["AAAA", ""] {
        let entry = json!({"jwk": theirs.public_jwk(), "sealed": sealed, "published_at": 0, "signs_from": 0});
        site.shelf.edit_document(|document| document["keys"].as_array_mut().unwrap().insert(0, entry));
        site.clock.advance(seconds(61));
        assert_eq!(key_ids(&jwks(&site.app).await), [read(&good).0["kid"].as_str().unwrap()]);
        assert_eq!(status(&site.app, &forged).await, StatusCode::UNAUTHORIZED);
        assert_eq!(status(&site.app, &good).await, StatusCode::OK);
    }
}

/// Nor can they put it in the place of another, or say when that one signs: nobody knows the keys then.
#[tokio::test]
async fn a_key_that_somebody_changed_in_the_store_is_neither_published_nor_taken() {
    let theirs = SigningKey::generate(Algorithm::Es256).unwrap();
    let numbers = theirs.public_jwk();
    let edits: [&dyn Fn(&mut Value); 4] = [
        &|key| (key["jwk"]["x"], key["jwk"]["y"]) = (numbers["x"].clone(), numbers["y"].clone()),
        &|key| key["jwk"]["kid"] = numbers["kid"].clone(),
        &|key| key["signs_from"] = json!(NOW - 1),
        &|key| key["published_at"] = json!(NOW - 1),
    ];
    for (number, edit) in edits.iter().enumerate() {
        let site = site();
        let good = issue(&site.provider).await;
        let (header, claims) = read(&good);
        let forged = signed(&theirs, &header, &claims);
        site.shelf.edit_document(|document| edit(&mut document["keys"][0]));
        site.clock.advance(seconds(61));
        let answer = send(&site.app, request(Method::GET, "/jwks")).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{number}");
        for token in [&forged, &good] {
            assert_eq!(status(&site.app, token).await, StatusCode::SERVICE_UNAVAILABLE, "{number}");
        }
        assert!(site.provider.issue("public", "alice", "profile".parse().unwrap()).await.is_err(), "{number}");
    }
}

// ---- configuration --------------------------------------------------------------------------------------------------

#[tokio::test]
async fn what_cannot_work_is_said_when_it_is_built() {
    let days = |days| SigningKeys::default().rotated_every(seconds(days * DAY));
    let twice = SigningKey::generate(Algorithm::Es256).unwrap();
    for (keys, why) in [
        (
            SigningKeys::generated(Algorithm::Rs256),
            "none are made for RS256: write `SigningKeys::generated(Algorithm::Es256)`",
        ),
        (SigningKeys::given([twice.clone(), twice.clone()]), "one is given twice"),
        (SigningKeys::given([]), "none are given: make one with `SigningKey::generate(Algorithm::Es256)`"),
        (SigningKeys::default().rotated_every(seconds(DAY - 1)), "a generated key signs for 1 day to 1 year"),
        (days(367), "a generated key signs for 1 day to 1 year"),
        (
            SigningKeys::given([SigningKey::generate(Algorithm::EdDsa).unwrap()]).rotated_every(seconds(DAY)),
            "leave `.rotated_every(..)` out",
        ),
    ] {
        let wrong = errors(|builder| jwts(builder).signing_keys(keys));
        assert!(wrong.contains("signing keys: ") && wrong.contains(why), "{wrong}");
    }
    let wrong = errors(|builder| builder.signing_keys(SigningKeys::default()).access_token_claims(["tenant"]));
    for unused in ["`.signing_keys(..)` is for JWTs", "`.access_token_claims(..)` is for JWTs"] {
        assert!(wrong.contains(unused) && wrong.contains("add `.access_token_format("), "{wrong}");
    }
    let wrong = errors(|builder| jwts(builder).store(down::Down).secrets(secrets(&[1])));
    assert!(wrong.contains("this store keeps none: give them with `.signing_keys(SigningKeys::given(..))`"), "{wrong}");
    let handles = builder(&ManualClock::default()).store(down::Down).secrets(secrets(&[1])).build();
    assert!(handles.is_ok(), "it needs none for handles");
    let given = SigningKeys::given([SigningKey::generate(Algorithm::EdDsa).unwrap()]);
    assert!(
        jwts(builder(&ManualClock::default()))
            .store(down::Down)
            .secrets(secrets(&[1]))
            .signing_keys(given)
            .build()
            .is_ok()
    );
}
