//! The registration endpoint: RFC 7591.

mod support;

use std::cell::Cell;
use std::ops::RangeInclusive;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Method, Request, StatusCode, header};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use support::{
    Answer, App, VERIFIER, WEB, app, authorization, basic, bearer, builder, challenge, form, request, seconds, send,
    with_query, *,
};
use tower::util::BoxCloneSyncService;
use tower_oauth::testing::ManualClock;
use tower_oauth::{AuthorizationRequest, ClientSecret, Provider, RegistrationPolicy};

const DAY: u64 = 24 * 60 * 60;

fn policy() -> RegistrationPolicy {
    RegistrationPolicy::open().scope("profile notes:read")
}

fn with(policy: RegistrationPolicy) -> (App, Provider, ManualClock) {
    let clock = ManualClock::default();
    let provider = builder(&clock).registration(policy).build().expect("a good configuration");
    (app(&provider), provider, clock)
}

fn open() -> App {
    with(policy()).0
}

fn registration(body: impl Into<Body>) -> Request<Body> {
    Request::post("/register").header(header::CONTENT_TYPE, "application/json").body(body.into()).expect("a request")
}

async fn register(app: &App, metadata: &Value) -> Answer {
    send(app, registration(metadata.to_string())).await
}

/// RFC 7591 §3.2.1: 201, not to be cached.
#[track_caller]
fn assert_registered(answer: &Answer) -> Value {
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    assert_eq!(answer.header(header::CONTENT_TYPE), "application/json");
    assert_eq!((answer.header(header::CACHE_CONTROL), answer.header(header::PRAGMA)), ("no-store", "no-cache"));
    answer.json()
}

async fn registered(app: &App, metadata: Value) -> Value {
    assert_registered(&register(app, &metadata).await)
}

/// RFC 7591 §3.2.2: 400 with an error and a description.
#[track_caller]
fn assert_refused(answer: &Answer, error: &str) {
    assert_eq!((answer.status, &*answer.error()), (StatusCode::BAD_REQUEST, error), "{answer:?}");
    assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
    assert!(answer.json()["error_description"].as_str().is_some_and(|text| !text.is_empty()));
}

const METADATA: &str = "invalid_client_metadata";
const REDIRECT: &str = "invalid_redirect_uri";

/// `json!({..})` of a web client, and these members in place of its own.
fn web(members: &Value) -> Value {
    let mut metadata = json!({"redirect_uris": [WEB]});
    metadata.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
    metadata
}

/// The code of a registered client, for what it asks.
async fn code_for(app: &App, client: &Value, scope: Option<&str>) -> Answer {
    let (id, uri) = (client["client_id"].as_str().expect("an id"), client["redirect_uris"][0].as_str());
    let challenge = challenge(VERIFIER);
    let mut params = authorization(id, uri.expect("a redirect URI"), &challenge);
    params.extend(scope.map(|scope| ("scope", scope)));
    send(app, form(&with_query("/authorize", &params), &[])).await
}

/// RFC 7591 §2 and §3.2.1: defaults are answered like what was sent.
#[tokio::test]
async fn what_was_left_out_has_its_default_and_is_answered() {
    let app = open();
    let mut answer = registered(&app, json!({"redirect_uris": [WEB]})).await;
    let members = answer.as_object_mut().expect("an object");
    let mut take = |name: &str| members.remove(name).unwrap_or_else(|| panic!("no {name}"));
    let id = take("client_id").as_str().expect("a text").to_owned();
    let secret = take("client_secret").as_str().expect("a text").to_owned();
    assert!(id.len() >= 22 && secret.len() >= 43 && id != secret);
    let expected = json!({
        "client_id_issued_at": 1_800_000_000,
        "client_secret_expires_at": 0,
        "redirect_uris": [WEB],
        "token_endpoint_auth_method": "client_secret_basic",
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "application_type": "web",
        "scope": "profile notes:read",
    });
    assert_eq!(answer, expected);
}

/// RFC 7591 §3.2.1: "MUST return all registered metadata about this client".
#[tokio::test]
async fn everything_that_was_registered_is_answered() {
    let app = open();
    let sent = json!({
        "redirect_uris": ["https://web.example/cb", "https://web.example/cb?tenant=1"],
        "token_endpoint_auth_method": "client_secret_post",
        "grant_types": ["authorization_code", "refresh_token", "client_credentials"],
        "response_types": ["code"],
        "application_type": "web",
        "client_name": "Bücher & Söhne <app>",
        "client_uri": "https://web.example",
        "logo_uri": "https://web.example/logo.png",
        "tos_uri": "https://web.example/tos",
        "policy_uri": "https://web.example/privacy",
        "jwks_uri": "https://web.example/jwks",
        "contacts": ["ops@web.example", "https://web.example/contact"],
        "software_id": "4NRB1-0XZABZI9E6-5SM3R",
        "software_version": "2.1",
        "scope": "notes:read",
    });
    let answer = registered(&app, sent.clone()).await;
    for (name, value) in sent.as_object().expect("an object") {
        assert_eq!(answer[name], *value, "{name}");
    }
    let keys = json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]});
    assert_eq!(registered(&app, web(&json!({"jwks": keys}))).await["jwks"], keys);
}

/// RFC 7591 §3.2.1: a public client has no secret, and nothing is said of one.
#[tokio::test]
async fn a_public_client_gets_no_secret() {
    let app = open();
    let answer = registered(&app, web(&json!({"token_endpoint_auth_method": "none"}))).await;
    assert_eq!(answer["token_endpoint_auth_method"], "none");
    assert!(answer.get("client_secret").is_none() && answer.get("client_secret_expires_at").is_none());
}

/// RFC 7591 §2: "unrecognized values are ignored", and null is a member that was left out.
#[tokio::test]
async fn what_is_not_known_is_not_registered() {
    let app = open();
    let answer = registered(&app, web(&json!({"x": {"a": [1]}, "client_name": null, "subject_type": "public"}))).await;
    for name in ["x", "client_name", "subject_type"] {
        assert!(answer.get(name).is_none(), "{name}");
    }
    // Grant types that others have.
    let device = "urn:ietf:params:oauth:grant-type:device_code";
    let answer = registered(&app, web(&json!({"grant_types": [device, "refresh_token", "authorization_code"]}))).await;
    assert_eq!(answer["grant_types"], json!(["authorization_code", "refresh_token"]));
}

/// A chosen id or secret is ignored: it could be another client's.
#[tokio::test]
async fn a_chosen_id_or_secret_is_ignored() {
    let app = open();
    let chosen = json!({"client_id": "public", "client_secret": SECRET, "client_id_issued_at": 1});
    let answer = registered(&app, web(&chosen)).await;
    assert_ne!(answer["client_id"], "public");
    assert_ne!(answer["client_secret"], SECRET);
    assert_eq!(answer["client_id_issued_at"], 1_800_000_000);
    assert!(send(&app, code_request("public")).await.redirected("code").is_some(), "the first one is still there");
}

fn code_request(client: &str) -> Request<Body> {
    form(&with_query("/authorize", &authorization(client, WEB, &challenge(VERIFIER))), &[])
}

/// Two registrations are two clients, with nothing in common.
#[tokio::test]
async fn each_registration_is_a_client_of_its_own() {
    let app = open();
    let (first, second) = (registered(&app, web(&json!({}))).await, registered(&app, web(&json!({}))).await);
    assert_ne!(first["client_id"], second["client_id"]);
    assert_ne!(first["client_secret"], second["client_secret"]);
}

/// The registered client goes through the flow, by each way to authenticate.
#[tokio::test]
async fn a_registered_client_goes_through_the_whole_flow() {
    let app = open();
    for method in ["client_secret_basic", "client_secret_post", "none"] {
        let grant_types = ["authorization_code", "refresh_token"];
        let metadata = web(&json!({"token_endpoint_auth_method": method, "grant_types": grant_types}));
        let client = registered(&app, metadata).await;
        let (id, secret) = (client["client_id"].as_str().expect("an id"), client["client_secret"].as_str());
        let code = code_for(&app, &client, Some("notes:read")).await.redirected("code").expect("a code");
        let params = [
            ("grant_type", "authorization_code"),
            ("code", &*code),
            ("redirect_uri", WEB),
            ("code_verifier", VERIFIER),
        ];
        let as_client = async |mut params: Vec<(&str, &str)>| match (method, secret) {
            ("client_secret_basic", Some(secret)) => send(&app, basic(form("/token", &params), id, secret)).await,
            (_, secret) => {
                params.push(("client_id", id));
                params.extend(secret.map(|secret| ("client_secret", secret)));
                send(&app, form("/token", &params)).await
            }
        };
        let tokens = as_client(params.to_vec()).await;
        assert_eq!((tokens.status, &tokens.json()["scope"]), (StatusCode::OK, &json!("notes:read")), "{method}");
        let access = tokens.json()["access_token"].as_str().expect("a token").to_owned();
        assert_eq!(send(&app, bearer("/notes", &access)).await.status, StatusCode::OK);
        let refresh = tokens.json()["refresh_token"].as_str().expect("a token").to_owned();
        let refreshed = as_client(vec![("grant_type", "refresh_token"), ("refresh_token", &refresh)]).await;
        assert_eq!(refreshed.status, StatusCode::OK);
        // Its secret is needed.
        if secret.is_some() {
            assert_eq!(send(&app, basic(form("/token", &params), id, SECRET)).await.error(), "invalid_client");
        }
    }
}

/// RFC 7591 §2: a client without `refresh_token` gets none.
#[tokio::test]
async fn a_client_may_do_what_it_registered_for_and_nothing_else() {
    let app = open();
    let client = registered(&app, web(&json!({}))).await;
    let (id, secret) = (client["client_id"].as_str().expect("an id"), client["client_secret"].as_str().expect("one"));
    let code = code_for(&app, &client, None).await.redirected("code").expect("a code");
    let params = [("grant_type", "authorization_code"), ("code", &*code), ("code_verifier", VERIFIER)];
    let answer = send(&app, basic(form("/token", &params), id, secret)).await;
    assert!(answer.status == StatusCode::OK && answer.json().get("refresh_token").is_none(), "{answer:?}");
    let own = send(&app, basic(form("/token", &[("grant_type", "client_credentials")]), id, secret)).await;
    assert_eq!(own.error(), "unauthorized_client");
}

/// RFC 7591 §2: without the code grant there may be no redirect URI; with it there has to be one.
#[tokio::test]
async fn redirect_uris_may_be_left_out_only_without_the_code_grant() {
    let app = open();
    for uris in [json!(null), json!([])] {
        for grant_types in [json!(["authorization_code"]), json!(["refresh_token", "authorization_code"]), json!(null)]
        {
            let metadata = json!({"redirect_uris": uris, "grant_types": grant_types});
            assert_refused(&register(&app, &metadata).await, REDIRECT);
        }
        let machine = json!({"redirect_uris": uris, "grant_types": ["client_credentials"]});
        let answer = registered(&app, machine).await;
        assert_eq!((&answer["redirect_uris"], &answer["response_types"]), (&json!([]), &json!([])));
        let (id, secret) = (answer["client_id"].as_str().expect("an id"), answer["client_secret"].as_str());
        let own = form("/token", &[("grant_type", "client_credentials")]);
        let answer = send(&app, basic(own, id, secret.expect("a secret"))).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }
}

/// RFC 7591 §3.2.2: "The value of one or more redirection URIs is invalid".
#[tokio::test]
async fn a_bad_redirect_uri_is_invalid_redirect_uri() {
    let app = open();
    for uri in [
        "",
        "/cb",
        "web.example/cb",
        "http://web.example/cb",
        "https://web.example/cb#fragment",
        "https://user@web.example/cb",
        "https://*.web.example/cb",
        "https://web.example\\@evil.example/cb",
        "https://web.example/\u{202e}cb",
        "https://web.example/\ncb",
        "https://web.example/cb\u{0}",
        "https://w\u{e9}b.example/cb",
        "javascript:alert(1)",
        "data:text/html,x",
        "https://web.example/cb?code=1",
        &format!("https://web.example/{}", "x".repeat(3_000)),
    ] {
        for uris in [json!([uri]), json!([WEB, uri])] {
            assert_refused(&register(&app, &json!({"redirect_uris": uris})).await, REDIRECT);
        }
    }
    // A web client has no place on a device, however it is spelled.
    for uri in ["http://127.0.0.1/cb", "http://localhost:8080/cb", "com.example.app:/cb"] {
        assert_refused(
            &register(&app, &web(&json!({"redirect_uris": [uri], "application_type": "web"}))).await,
            REDIRECT,
        );
        assert_refused(&register(&app, &web(&json!({"redirect_uris": [uri, WEB]}))).await, REDIRECT);
    }
}

/// RFC 8252 §7: an app on a device says so, or has no other redirect URI.
#[tokio::test]
async fn a_native_client_has_loopback_and_private_uris() {
    let app = open();
    for (uris, application_type) in [
        (json!(["http://127.0.0.1/cb"]), json!(null)),
        (json!(["com.example.app:/cb", "http://[::1]/cb"]), json!(null)),
        (json!([WEB, "http://localhost/cb"]), json!("native")),
    ] {
        let metadata = json!({
            "redirect_uris": uris, "application_type": application_type, "token_endpoint_auth_method": "none",
        });
        assert_eq!(registered(&app, metadata).await["application_type"], "native");
    }
}

/// RFC 7591 §2 and §3.2.2
#[tokio::test]
async fn other_bad_metadata_is_invalid_client_metadata() {
    let app = open();
    let keys = json!({"keys": []});
    for members in [
        json!({"jwks": keys, "jwks_uri": "https://web.example/jwks"}),
        json!({"jwks": "keys"}),
        json!({"jwks": {"keys": "x"}}),
        json!({"jwks": []}),
        json!({"grant_types": ["client_credentials"], "token_endpoint_auth_method": "none"}),
        json!({"grant_types": ["authorization_code", "client_credentials"], "token_endpoint_auth_method": "none"}),
        json!({"grant_types": []}),
        json!({"grant_types": ["implicit"]}),
        json!({"grant_types": ["password"]}),
        json!({"response_types": ["token"]}),
        json!({"response_types": []}),
        json!({"token_endpoint_auth_method": "private_key_jwt"}),
        json!({"token_endpoint_auth_method": "CLIENT_SECRET_BASIC"}),
        json!({"application_type": "desktop"}),
        json!({"scope": "a\"b"}),
        json!({"scope": "admin"}),
        json!({"scope": "unknown"}),
        json!({"client_uri": "javascript:alert(1)"}),
        json!({"client_uri": "http://web.example"}),
        json!({"logo_uri": "data:image/svg+xml,x"}),
        json!({"tos_uri": "/tos"}),
        json!({"policy_uri": "com.example.app:/privacy"}),
        json!({"jwks_uri": "http://169.254.169.254/latest"}),
        json!({"client_name": "x".repeat(3_000)}),
        json!({"contacts": vec!["x"; 100]}),
    ] {
        assert_refused(&register(&app, &web(&members)).await, METADATA);
    }
    assert_refused(&register(&app, &json!({"redirect_uris": vec![WEB; 100]})).await, METADATA);
}

/// RFC 7591 §2: each member has its type.
#[tokio::test]
async fn a_member_of_another_type_is_invalid_client_metadata() {
    let app = open();
    let texts = [
        "token_endpoint_auth_method",
        "client_name",
        "client_uri",
        "logo_uri",
        "scope",
        "tos_uri",
        "policy_uri",
        "jwks_uri",
        "software_id",
        "software_version",
        "application_type",
    ];
    for name in texts {
        for value in [json!(1), json!(true), json!(["a"]), json!({"a": "b"})] {
            assert_refused(&register(&app, &web(&json!({name: value}))).await, METADATA);
        }
    }
    for name in ["redirect_uris", "grant_types", "response_types", "contacts"] {
        for value in [json!(WEB), json!(1), json!(true), json!({"a": "b"}), json!([1]), json!([[WEB]]), json!([null])] {
            assert_refused(&register(&app, &web(&json!({name: value}))).await, METADATA);
        }
    }
}

/// A page shows these texts to users: none has a character that controls, that turns the direction of a text around, or
/// that nobody sees.
#[tokio::test]
async fn control_bidi_and_invisible_characters_never_reach_a_page() {
    let app = open();
    for char in HOSTILE.iter().flat_map(|range| [*range.start(), *range.end()]) {
        for text in [format!("Good {char}App"), char.to_string()] {
            for name in ["client_name", "software_id", "software_version"] {
                assert_refused(&register(&app, &web(&json!({name: text}))).await, METADATA);
            }
        }
        let text = format!("{char}@web.example");
        assert_refused(&register(&app, &web(&json!({"contacts": [text]}))).await, METADATA);
    }
    // Letters of right-to-left scripts are letters.
    assert_eq!(registered(&app, web(&json!({"client_name": "שלום"}))).await["client_name"], "שלום");
    // The neighbours of the ranges that can be seen.
    for name in
        ["\u{ae}", "\u{115e}", "\u{1161}", "\u{17b6}", "\u{1810}", "\u{27ff}", "\u{2801}", "\u{3165}", "\u{fffd}"]
    {
        assert_eq!(registered(&app, web(&json!({"client_name": name}))).await["client_name"], name);
    }
}

/// A page has something to show: the name, or else the id.
#[tokio::test]
async fn a_name_with_nothing_to_see_is_none() {
    let app = open();
    for name in ["", " ", "\u{a0}", "\u{1680}", "\u{2003}\u{202f}", " \u{205f}\u{3000} "] {
        assert!(registered(&app, web(&json!({"client_name": name}))).await.get("client_name").is_none());
    }
}

/// CVE-2026-22752: a registration never gets more than the policy allows, whatever it asks for.
#[tokio::test]
async fn the_scope_is_within_the_policy() {
    let app = open();
    let client = registered(&app, web(&json!({"scope": "notes:read notes:write admin offline_access"}))).await;
    assert_eq!(client["scope"], "notes:read");
    assert!(code_for(&app, &client, Some("notes:read")).await.redirected("code").is_some());
    for beyond in ["profile", "notes:write", "admin", "notes:read notes:write"] {
        assert_eq!(code_for(&app, &client, Some(beyond)).await.redirected("error").as_deref(), Some("invalid_scope"));
    }
    // The default scope is nothing that it registered for.
    assert!(code_for(&app, &client, None).await.redirected("code").is_some());
}

/// A client registered without `scope` may ask for all that the policy allows, and nothing more.
#[tokio::test]
async fn without_scope_a_client_may_ask_for_all_that_is_allowed() {
    let app = open();
    let client = registered(&app, web(&json!({}))).await;
    assert_eq!(client["scope"], "profile notes:read");
    assert!(code_for(&app, &client, Some("notes:read profile")).await.redirected("code").is_some());
    let beyond = code_for(&app, &client, Some("notes:write")).await;
    assert_eq!(beyond.redirected("error").as_deref(), Some("invalid_scope"));
    // A policy without a scope allows what anybody can get.
    let (app, ..) = with(RegistrationPolicy::open());
    let client = registered(&app, web(&json!({}))).await;
    assert_eq!(client["scope"], "profile notes:read notes:write offline_access");
    // And one with none allows none.
    let (app, ..) = with(RegistrationPolicy::open().scope(""));
    let client = registered(&app, web(&json!({}))).await;
    assert!(client.get("scope").is_none());
    let asked = code_for(&app, &client, Some("profile")).await;
    assert_eq!(asked.redirected("error").as_deref(), Some("invalid_scope"));
}

/// RFC 7591 §3.1: a POST of JSON; a form, which any page could send without being asked, is none.
#[tokio::test]
async fn only_a_post_of_json_is_taken() {
    let app = open();
    let good = json!({"redirect_uris": [WEB]}).to_string();
    for content_type in ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp", "text/json"] {
        let typed = Request::post("/register").header(header::CONTENT_TYPE, content_type).body(good.clone().into());
        let answer = send(&app, typed.expect("a request")).await;
        assert_eq!((answer.status, &*answer.error()), (StatusCode::UNSUPPORTED_MEDIA_TYPE, METADATA), "{content_type}");
    }
    let untyped = Request::post("/register").body(Body::from(good.clone())).expect("a request");
    assert_eq!(send(&app, untyped).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let typed = |value| Request::post("/register").header(header::CONTENT_TYPE, value).body(Body::from(good.clone()));
    for value in ["application/json; charset=utf-8", "Application/JSON"] {
        assert_registered(&send(&app, typed(value).expect("a request")).await);
    }
    for body in ["", "{", "[]", "null", "1", "\"x\"", "{\"redirect_uris\":", "\u{feff}{}", "redirect_uris=x"] {
        assert_refused(&send(&app, registration(body)).await, METADATA);
    }
    assert_refused(&send(&app, registration(&b"{\"client_name\":\"\xff\"}"[..])).await, METADATA);
    assert_refused(&send(&app, registration("[".repeat(60_000))).await, METADATA);
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let answer = send(&app, request(method, "/register")).await;
        assert_eq!((answer.status, answer.header(header::ALLOW)), (StatusCode::METHOD_NOT_ALLOWED, "POST"));
    }
}

/// The size is limited.
#[tokio::test]
async fn a_body_of_more_than_64_kib_is_too_long() {
    let app = open();
    let padded = |size: usize| format!("{{\"redirect_uris\":[\"{WEB}\"],\"x\":\"{}\"}}", "x".repeat(size));
    assert_registered(&send(&app, registration(padded(60_000))).await);
    let answer = send(&app, registration(padded(70_000))).await;
    assert_eq!((answer.status, &*answer.error()), (StatusCode::PAYLOAD_TOO_LARGE, "invalid_request"));
}

/// The number is limited, and what nobody connects goes after its day; what a user connected stays. Nobody knows when
/// there will be room, so no `Retry-After` makes a client ask every second until then (RFC 9110 §10.2.3).
#[tokio::test]
async fn there_are_no_more_than_the_limit_and_unused_ones_expire() {
    let (app, provider, clock) = with(policy().limit(3));
    let used = registered(&app, web(&json!({"token_endpoint_auth_method": "none"}))).await;
    let code = code_for(&app, &used, None).await.redirected("code").expect("a code");
    let id = used["client_id"].as_str().expect("an id");
    let params =
        [("grant_type", "authorization_code"), ("code", &*code), ("client_id", id), ("code_verifier", VERIFIER)];
    clock.advance(seconds(30));
    let unused = registered(&app, web(&json!({}))).await;
    registered(&app, web(&json!({}))).await;
    let full = register(&app, &web(&json!({}))).await;
    assert_eq!(full.status, StatusCode::SERVICE_UNAVAILABLE, "{full:?}");
    assert!(!full.headers.contains_key(header::RETRY_AFTER), "{full:?}");
    assert_eq!(full.json()["error_description"], "there is no room for another client now");
    assert_eq!(send(&app, form("/token", &params)).await.status, StatusCode::OK);
    provider.sweep().await.expect("the store answers");
    assert_eq!(register(&app, &web(&json!({}))).await.status, StatusCode::SERVICE_UNAVAILABLE, "none has expired");
    // A grant without a refresh token ends with its last access token: within the day it counts.
    clock.advance(seconds(DAY - 60));
    provider.sweep().await.expect("the store answers");
    assert!(code_for(&app, &unused, None).await.redirected("code").is_some(), "a code is no use of it yet");
    clock.advance(seconds(120));
    provider.sweep().await.expect("the store answers");
    assert_registered(&register(&app, &web(&json!({}))).await);
}

/// A client that a user is connected with outlives its day.
#[tokio::test]
async fn a_client_that_a_user_connected_stays() {
    let (app, provider, clock) = with(policy().keep_unused(seconds(60)));
    let grant_types = json!(["authorization_code", "refresh_token"]);
    let metadata = web(&json!({"token_endpoint_auth_method": "none", "grant_types": grant_types}));
    let (used, unused) = (registered(&app, metadata.clone()).await, registered(&app, metadata).await);
    let code = code_for(&app, &used, None).await.redirected("code").expect("a code");
    let id = used["client_id"].as_str().expect("an id");
    let params =
        [("grant_type", "authorization_code"), ("code", &*code), ("client_id", id), ("code_verifier", VERIFIER)];
    assert_eq!(send(&app, form("/token", &params)).await.status, StatusCode::OK);
    clock.advance(seconds(3_600));
    provider.sweep().await.expect("the store answers");
    assert!(code_for(&app, &used, None).await.redirected("code").is_some());
    let gone = code_for(&app, &unused, None).await;
    assert_eq!((gone.status, gone.location()), (StatusCode::BAD_REQUEST, ""), "it is not known any more");
}

/// RFC 7591 §3: an initial access token, if the provider wants one.
#[tokio::test]
async fn an_initial_access_token_is_needed_where_there_is_one() {
    let token = ClientSecret::generate();
    let (app, ..) = with(RegistrationPolicy::initial_access_token(&token).scope("profile"));
    let good = web(&json!({})).to_string();
    let with_header = |value: &str| {
        let mut asked = registration(good.clone());
        asked.headers_mut().insert(header::AUTHORIZATION, value.parse().expect("a header"));
        asked
    };
    for value in ["Bearer", "Bearer x", "Basic x", token.secret(), &format!("Bearer {} x", token.secret())] {
        let answer = send(&app, with_header(value)).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{value}");
        assert!(answer.header(header::WWW_AUTHENTICATE).starts_with("Bearer "));
    }
    let answer = send(&app, with_header("Bearer x")).await;
    assert_eq!(answer.header(header::WWW_AUTHENTICATE), "Bearer realm=\"registration\", error=\"invalid_token\"");
    let answer = send(&app, registration(good.clone())).await;
    assert_eq!(answer.header(header::WWW_AUTHENTICATE), "Bearer realm=\"registration\"", "RFC 6750 §3.1");
    let mut twice = with_header(&format!("Bearer {}", token.secret()));
    twice.headers_mut().append(header::AUTHORIZATION, "Bearer x".parse().expect("a header"));
    assert_eq!(send(&app, twice).await.status, StatusCode::UNAUTHORIZED);
    for scheme in ["Bearer", "bearer", "BEARER"] {
        assert_registered(&send(&app, with_header(&format!("{scheme} {}", token.secret()))).await);
    }
}

/// Off until it is configured, and then it is in the metadata (RFC 8414 §2).
#[tokio::test]
async fn it_is_off_until_it_is_configured() {
    let (provider, _) = provider();
    let off = app(&provider);
    let well_known = "/.well-known/oauth-authorization-server";
    assert_eq!(register(&off, &web(&json!({}))).await.status, StatusCode::NOT_FOUND);
    let asked = registration(web(&json!({})).to_string());
    assert_eq!(send(&provider.registration(), asked).await.status, StatusCode::NOT_FOUND);
    assert!(send(&off, request(Method::GET, well_known)).await.json().get("registration_endpoint").is_none());
    let on = open();
    let metadata = send(&on, request(Method::GET, well_known)).await.json();
    assert_eq!(metadata["registration_endpoint"], "https://shift.example/register");
}

/// A policy that names a scope which nobody gets is refused where it is written.
#[tokio::test]
async fn a_policy_allows_only_what_can_be_granted() {
    for scope in ["admin", "unknown", "profile admin"] {
        let policy = RegistrationPolicy::open().scope(scope);
        let errors = builder(&ManualClock::default()).registration(policy).build().expect_err("it is wrong");
        assert!(errors.to_string().contains("RegistrationPolicy::scope"), "{errors}");
    }
}

/// What a page must not get: control characters, and those that turn a text around or hide in it.
const HOSTILE: [RangeInclusive<char>; 25] = [
    '\0'..='\u{1f}',
    '\u{7f}'..='\u{9f}',
    '\u{ad}'..='\u{ad}',
    '\u{34f}'..='\u{34f}',
    '\u{61c}'..='\u{61c}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{200b}'..='\u{200d}',
    '\u{200e}'..='\u{200f}',
    '\u{2028}'..='\u{2029}',
    '\u{202a}'..='\u{202e}',
    '\u{2060}'..='\u{2064}',
    '\u{2066}'..='\u{206f}',
    '\u{2800}'..='\u{2800}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{feff}'..='\u{feff}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fff8}',
    '\u{fff9}'..='\u{fffb}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0000}'..='\u{e007f}',
    '\u{e0080}'..='\u{e0fff}',
];

fn is_hostile(char: char) -> bool {
    HOSTILE.iter().any(|range| range.contains(&char))
}

fn hostile() -> impl Strategy<Value = char> {
    proptest::sample::select(HOSTILE.to_vec())
        .prop_flat_map(|range| proptest::char::range(*range.start(), *range.end()))
}

/// Texts that mean something, that nearly do, and that are meant to do harm.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => proptest::sample::select(TEXTS.to_vec()).prop_map(str::to_owned),
        2 => "\\PC{0,12}",
        1 => any::<String>(),
        1 => "(https|http|javascript|data|com.example.app|HTTPS):/{0,3}[a-z0-9.\\[\\]:@%\\\\]{0,20}[/?#]?[ -~]{0,9}",
        1 => ("[a-zA-Z ]{0,4}", hostile(), "[a-z]{0,3}").prop_map(|(head, char, tail)| format!("{head}{char}{tail}")),
    ]
}

const TEXTS: [&str; 24] = [
    "https://web.example/cb",
    "https://web.example/\u{202e}bc",
    "https://user@web.example/cb",
    "http://web.example/cb",
    "http://127.0.0.1/cb",
    "com.example.app:/cb",
    "javascript:alert(1)",
    "data:text/html,x",
    "profile",
    "profile notes:read",
    "notes:read notes:write admin",
    "admin",
    "offline_access profile",
    "authorization_code",
    "refresh_token",
    "client_credentials",
    "password",
    "code",
    "client_secret_basic",
    "client_secret_post",
    "none",
    "native",
    "<script>alert(1)</script>",
    "",
];

/// One value of a member: usually a text or a list of them, at times anything.
fn json_value() -> impl Strategy<Value = Value> {
    let other = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), any::<f64>().prop_map(Value::from)];
    prop_oneof![
        4 => text().prop_map(Value::from),
        4 => proptest::collection::vec(text(), 0..4).prop_map(Value::from),
        1 => other,
        1 => proptest::collection::vec(any::<u8>(), 0..30).prop_map(Value::from),
        1 => text().prop_map(|text| json!({"keys": [{"kty": text}], "a": {"b": [null]}})),
    ]
}

fn metadata() -> impl Strategy<Value = Value> {
    let member = proptest::sample::select(MEMBERS.to_vec()).prop_map(str::to_owned);
    let members = proptest::collection::btree_map(prop_oneof![9 => member, 1 => any::<String>()], json_value(), 0..5);
    (members, 0..4).prop_map(|(mut members, kept)| {
        // Mostly a client that could be registered but for the rest.
        if kept > 0 {
            members.insert("redirect_uris".to_owned(), json!([WEB]));
        }
        Value::from_iter(members)
    })
}

const MEMBERS: [&str; 22] = [
    "redirect_uris",
    "client_name",
    "client_name#de",
    "scope",
    "scope",
    "grant_types",
    "response_types",
    "token_endpoint_auth_method",
    "application_type",
    "client_uri",
    "logo_uri",
    "tos_uri",
    "policy_uri",
    "jwks_uri",
    "jwks",
    "contacts",
    "software_id",
    "software_version",
    "software_statement",
    "client_id",
    "client_secret",
    "client_secret_expires_at",
];

/// Everything that is said of a client but its keys, which no page shows.
fn texts_of(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(values) => values.iter().flat_map(texts_of).collect(),
        Value::Object(members) => {
            let shown = members.iter().filter(|(name, _)| *name != "jwks");
            shown.flat_map(|(name, value)| [vec![&**name], texts_of(value)].concat()).collect()
        }
        _ => Vec::new(),
    }
}

/// RFC 7591 §3.2.2, §5: whatever a stranger says of itself is a mistake of its own or a client within the policy, and
/// nothing that a page shows of it can do harm.
#[test]
fn no_metadata_make_it_fail_or_go_beyond_the_policy() {
    let provider = with(policy()).1;
    let page = async |asked: AuthorizationRequest| {
        let scopes: Vec<_> = asked.scopes().map(|(name, _)| name).collect();
        format!("{}|{}|{}", asked.client().client_name(), asked.redirect_host(), scopes.join(" "))
    };
    let router = Router::new().route("/authorize", get(page)).layer(provider.layer());
    let app: App = BoxCloneSyncService::new(router.into_service());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let registered = Cell::new(0);
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4_096) };
    let run = TestRunner::new(config).run(&metadata(), |sent| {
        let answer = runtime.block_on(register(&app, &sent));
        if answer.status != StatusCode::CREATED {
            prop_assert_eq!(answer.status, StatusCode::BAD_REQUEST);
            prop_assert!([METADATA, REDIRECT].contains(&&*answer.error()), "{:?}", answer);
            return Ok(());
        }
        registered.set(registered.get() + 1);
        let client = answer.json();
        for text in texts_of(&client) {
            prop_assert!(!text.contains(is_hostile), "{text:?}");
        }
        let scope = client["scope"].as_str().unwrap_or_default();
        prop_assert!(scope.split(' ').all(|name| ["profile", "notes:read"].contains(&name)), "{scope}");
        for (name, value) in client.as_object().expect("an object") {
            let url = value.as_str().filter(|_| name.ends_with("_uri"));
            prop_assert!(url.is_none_or(|url| url.starts_with("https://")), "{name}: {value}");
        }
        for uri in client["redirect_uris"].as_array().expect("a list") {
            let uri = uri.as_str().expect("a text");
            let good = ["https://", "http://127.0.0.1", "com.example.app:"].iter().any(|start| uri.starts_with(start));
            prop_assert!(good, "{uri}");
        }
        let challenge = challenge(VERIFIER);
        let uri = client["redirect_uris"][0].as_str().unwrap_or(WEB);
        let asked = authorization(client["client_id"].as_str().expect("an id"), uri, &challenge);
        let shown = runtime.block_on(send(&app, request(Method::GET, &with_query("/authorize", &asked))));
        let by_code =
            client["grant_types"].as_array().is_some_and(|types| types.contains(&json!("authorization_code")));
        prop_assert_eq!(shown.status == StatusCode::OK, by_code, "{:?}", shown);
        prop_assert!(!shown.body.contains(is_hostile), "{:?}", shown);
        let scopes = shown.body.rsplit('|').next().unwrap_or_default();
        prop_assert!(!by_code || scopes.split(' ').all(|name| scope.split(' ').any(|had| had == name)), "{shown:?}");
        Ok(())
    });
    run.unwrap_or_else(|failed| panic!("{failed}"));
    assert!(registered.get() > 400, "only {} were clients", registered.get());
}
