//! The bearer layer: RFC 6750, RFC 9110 §11, RFC 8707 §2.

#[path = "support/shelf.rs"]
mod shelf;
#[path = "support/site.rs"]
mod site;
mod support;

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::Extension;
use axum::routing::get;
use axum::{Json, Router};
use http::{Extensions, HeaderValue, Method, Request, Response, StatusCode, header};
use proptest::prelude::*;
use shelf::Op;
use site::{as_client, site, site_with};
use support::{Answer, App, app, bearer, builder, form, provider, request, seconds, send, *};
use tower::util::BoxCloneSyncService;
use tower::{Layer, Service, ServiceExt};
use tower_http::cors::CorsLayer;
use tower_oauth::testing::ManualClock;
use tower_oauth::{
    AuthorizationRequest, Authorized, BearerLayer, Client, Credentials, GrantType, Provider, Refusal, Require,
    ResolveUser, Scope, StoreError, Verification, Verify,
};

/// The app's own type of user.
#[derive(Clone, Debug, PartialEq)]
struct User(String);

/// What lies behind the layers here: says whom it sees.
fn inner() -> impl Service<Request<Body>, Response = Response<String>, Error = Infallible, Future: Send> + Clone {
    tower::service_fn(async |request: Request<Body>| Ok(Response::new(seen(request.extensions()))))
}

fn seen(extensions: &Extensions) -> String {
    let token = Authorized::<()>::from_extensions(extensions);
    let user = extensions.get::<User>().map_or("-", |user| &user.0);
    token
        .map_or(format!("nobody, {user}"), |token| format!("{} through {}, {user}", token.subject(), token.client_id()))
}

async fn through<R: ResolveUser>(layer: &BearerLayer<R>, request: Request<Body>) -> Answer {
    send(&layer.layer(inner()), request).await
}

async fn token(provider: &Provider, scope: &str) -> String {
    let issued = provider.issue("public", "alice", scope.parse().expect("a scope")).await;
    issued.expect("the store answers").secret().to_owned()
}

fn with_header(value: impl AsRef<[u8]>) -> Request<Body> {
    let mut asked = request(Method::GET, "/");
    asked
        .headers_mut()
        .insert(header::AUTHORIZATION, HeaderValue::from_bytes(value.as_ref()).expect("a header's value"));
    asked
}

#[track_caller]
fn assert_passed(answer: &Answer, seen: &str) {
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, seen), "{answer:?}");
    assert!(!answer.headers.contains_key(header::WWW_AUTHENTICATE));
}

/// RFC 9110 §15.5.2: and RFC 6750 §3, with one challenge to the letter.
#[track_caller]
fn assert_challenged(answer: &Answer, status: StatusCode, challenge: &str) {
    assert_eq!((answer.status, answer.header(header::WWW_AUTHENTICATE)), (status, challenge), "{answer:?}");
    assert_eq!((answer.headers.get_all(header::WWW_AUTHENTICATE).iter().count(), &*answer.body), (1, ""));
    assert!(!answer.headers.contains_key(header::RETRY_AFTER));
}

const REALM: &str = "Bearer realm=\"https://shift.example\"";
const NO_TOKEN: &str = "Bearer realm=\"https://shift.example\", \
                        resource_metadata=\"https://shift.example/.well-known/oauth-protected-resource\"";
const UNKNOWN: &str = "Bearer realm=\"https://shift.example\", error=\"invalid_token\", \
                       error_description=\"the token is not known here\", \
                       resource_metadata=\"https://shift.example/.well-known/oauth-protected-resource\"";

/// A refusal with its description, where no scope is needed: a malformed request, else RFC 9728 §5.1.
fn challenge(error: &str, description: &str) -> String {
    let refused = format!("{REALM}, error=\"{error}\", error_description=\"{description}\"");
    if error == "invalid_request" { refused } else { format!("{refused}, {METADATA}") }
}

const METADATA: &str = "resource_metadata=\"https://shift.example/.well-known/oauth-protected-resource\"";

/// The same where this scope is needed.
fn needing(scope: &str, challenge: &str) -> String {
    challenge.replacen(METADATA, &format!("scope=\"{scope}\", {METADATA}"), 1)
}

const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;
const FORBIDDEN: StatusCode = StatusCode::FORBIDDEN;
const BAD: StatusCode = StatusCode::BAD_REQUEST;

// ---- the challenges --------------------------------------------------------------------------------------------------

/// RFC 6750 §3: "This scheme MUST be followed by one or more auth-param values"; §3.1: without any credentials "the
/// resource server SHOULD NOT include an error code or other error information".
#[tokio::test]
async fn without_a_token_the_challenge_names_no_error() {
    let (provider, _) = provider();
    assert_challenged(&through(&provider.bearer(), request(Method::GET, "/")).await, UNAUTHORIZED, NO_TOKEN);
    let layer = provider.bearer().require("profile notes:read");
    let expected = needing("profile notes:read", NO_TOKEN);
    assert_challenged(&through(&layer, request(Method::GET, "/")).await, UNAUTHORIZED, &expected);
    let layer = BearerLayer::new(provider);
    assert_challenged(&through(&layer, request(Method::GET, "/")).await, UNAUTHORIZED, "Bearer realm=\"api\"");
}

/// RFC 6750 §3.1: another scheme is no bearer token, and says nothing about one.
#[tokio::test]
async fn another_scheme_counts_as_no_token() {
    let (provider, _) = provider();
    let good = token(&provider, "profile").await;
    for value in [
        "",
        "Basic cHVibGljOg==",
        "Basic",
        "DPoP x",
        "Digest a=b, c=d",
        "Bear x",
        &good,
        &format!("Token {good}"),
        &format!("BearerX {good}"),
        &format!("Bearer-X {good}"),
        &format!("Bearer{good}"),
        &format!("Negotiate {}", "x".repeat(12_000)),
    ] {
        assert_challenged(&through(&provider.bearer(), with_header(value)).await, UNAUTHORIZED, NO_TOKEN);
        assert_passed(&through(&provider.bearer().optional(), with_header(value)).await, "nobody, -");
    }
}

/// RFC 9110 §11.1 and §11.4: a scheme's name is in any case, with one space or more behind it.
#[tokio::test]
async fn the_scheme_is_in_any_case_with_one_space_or_more() {
    let (provider, _) = provider();
    let good = token(&provider, "profile").await;
    for scheme in ["Bearer ", "bearer ", "BEARER ", "bEaReR ", "Bearer  ", "bearer       "] {
        let asked = with_header(format!("{scheme}{good}"));
        assert_passed(&through(&provider.bearer(), asked).await, "alice through public, -");
    }
}

/// RFC 6750 §2.1 and §3.1: what is no `b64token` is a malformed request, 400; also below an optional layer.
#[tokio::test]
async fn a_malformed_header_is_400_and_an_unknown_token_401() {
    let (provider, _) = provider();
    let good = token(&provider, "profile").await;
    let (none, space, byte) = (
        "there is no token behind Bearer",
        "there is no space behind Bearer",
        "the token has a character that no token has",
    );
    let malformed: [(Vec<u8>, &str); 18] = [
        (b"Bearer".into(), none),
        (b"Bearer ".into(), none),
        (b"bearer    ".into(), none),
        (format!("Bearer\t{good}").into(), space),
        (format!("Bearer,{good}").into(), space),
        (format!("Bearer:{good}").into(), space),
        (format!("Bearer=\"{good}\"").into(), space),
        (format!("Bearer \t{good}").into(), byte),
        (format!("Bearer {good} {good}").into(), byte),
        (format!("Bearer {good},{good}").into(), byte),
        (format!("Bearer {good}, Basic x").into(), byte),
        (format!("Bearer \"{good}\"").into(), byte),
        (format!("Bearer {good}\t").into(), byte),
        ([b"Bearer ", good.as_bytes(), b"\xff"].concat(), byte),
        ("Bearer caf\u{e9}".into(), byte),
        (b"Bearer a=b".into(), byte),
        (b"Bearer =".into(), byte),
        (b"Bearer %41".into(), byte),
    ];
    for (value, why) in malformed {
        for layer in [provider.bearer(), provider.bearer().optional()] {
            let answer = through(&layer, with_header(&value)).await;
            assert_challenged(&answer, BAD, &challenge("invalid_request", why));
        }
    }
    for unknown in
        ["x", "x==", "-._~+/a", &good[1..], &good[..good.len() - 1], &format!("{good}="), &good.to_uppercase()]
    {
        for layer in [provider.bearer(), provider.bearer().optional()] {
            assert_challenged(&through(&layer, bearer("/", unknown)).await, UNAUTHORIZED, UNKNOWN);
        }
    }
    let layer = provider.bearer().require("profile");
    assert_challenged(&through(&layer, with_header("Bearer")).await, BAD, &challenge("invalid_request", none));
    let unknown = needing("profile", UNKNOWN);
    assert_challenged(&through(&layer, bearer("/", "x")).await, UNAUTHORIZED, &unknown);
}

/// A header that no token needs is not read.
#[tokio::test]
async fn a_header_of_more_than_8_kib_is_malformed() {
    let (provider, _) = provider();
    let answer = through(&provider.bearer(), bearer("/", &"x".repeat(8 * 1024 - 7))).await;
    assert_challenged(&answer, UNAUTHORIZED, UNKNOWN);
    let answer = through(&provider.bearer(), bearer("/", &"x".repeat(8 * 1024 - 6))).await;
    let expected = challenge("invalid_request", "the Authorization header is longer than 8 KiB");
    assert_challenged(&answer, BAD, &expected);
}

/// RFC 6750 §2: "Clients MUST NOT use more than one method to transmit the token in each request"; RFC 9110 §5.3: the
/// header is not a list.
#[tokio::test]
async fn two_authorization_headers_are_400() {
    let (provider, _) = provider();
    let good = format!("Bearer {}", token(&provider, "profile").await);
    let expected = challenge("invalid_request", "there is more than one Authorization header");
    for (first, second) in [(&*good, &*good), (&good, "Bearer x"), (&good, "Basic x"), ("Basic x", &good), ("", "")] {
        for layer in [provider.bearer(), provider.bearer().optional()] {
            let mut asked = with_header(first);
            asked.headers_mut().append(header::AUTHORIZATION, HeaderValue::from_str(second).expect("a value"));
            assert_challenged(&through(&layer, asked).await, BAD, &expected);
        }
    }
}

/// OAuth 2.1 §5.1.1: the token "MUST NOT be sent in the URI"; nor beside one in the header.
#[tokio::test]
async fn a_token_in_the_query_is_400() {
    let (provider, _) = provider();
    let good = token(&provider, "profile").await;
    let expected = challenge("invalid_request", "a token in the query is not taken");
    for query in [
        &*format!("access_token={good}"),
        "access_token=",
        "access_token",
        "a=b&access_token=x",
        "%61ccess_token=x",
        "access%5ftoken=x",
        "access%5Ftoken",
        "&&access_token=x",
    ] {
        let uri = format!("/notes?{query}");
        for layer in [provider.bearer(), provider.bearer().optional()] {
            assert_challenged(&through(&layer, request(Method::GET, &uri)).await, BAD, &expected);
            assert_challenged(&through(&layer, bearer(&uri, &good)).await, BAD, &expected);
        }
    }
    for query in
        ["", "access_tokens=x", "my_access_token=x", "a=access_token", "ACCESS_TOKEN=x", "a%3daccess_token", "%ff"]
    {
        let answer = through(&provider.bearer(), bearer(&format!("/?{query}"), &good)).await;
        assert_passed(&answer, "alice through public, -");
    }
}

/// OAuth 2.1 §5.1.2 leaves the token in a form to servers that want it; this one does not look.
#[tokio::test]
async fn a_token_in_the_body_is_no_token() {
    let (provider, _) = provider();
    let good = token(&provider, "profile").await;
    let answer = through(&provider.bearer(), form("/", &[("access_token", &good)])).await;
    assert_challenged(&answer, UNAUTHORIZED, NO_TOKEN);
}

// ---- tokens ----------------------------------------------------------------------------------------------------------

/// RFC 7519 §4.1.4: "on or after which" it is not accepted: the boundary is beyond the end.
#[tokio::test]
async fn a_token_ends_at_its_second() {
    let (provider, clock) = provider();
    let good = token(&provider, "profile").await;
    clock.advance(seconds(599));
    assert_passed(&through(&provider.bearer(), bearer("/", &good)).await, "alice through public, -");
    clock.advance(seconds(1));
    let answer = through(&provider.bearer(), bearer("/", &good)).await;
    assert_challenged(&answer, UNAUTHORIZED, &challenge("invalid_token", "the token has expired"));
}

/// RFC 6750 §3.1: `invalid_token` is for "expired, revoked, malformed, or invalid for other reasons".
#[tokio::test]
async fn a_revoked_token_is_refused_from_then_on() {
    for site in [site(), site_with(|builder| builder.store(tower_oauth::MemoryStore::new()))] {
        let (provider, good) = (&site.provider, token(&site.provider, "profile").await);
        let tokens = site.connect("profile").await;
        for access in [&good, &tokens.access] {
            assert_passed(&through(&provider.bearer(), bearer("/", access)).await, "alice through public, -");
        }
        for grant in provider.grants_of(&"alice".into()).await.expect("the store answers") {
            provider.revoke_grant(grant.key()).await.expect("the store answers");
        }
        for access in [&good, &tokens.access] {
            let answer = through(&provider.bearer(), bearer("/", access)).await;
            assert_challenged(&answer, UNAUTHORIZED, &challenge("invalid_token", "the token was revoked"));
        }
    }
}

/// RFC 6749 §1.5: a refresh token is for the authorization server alone. So is a code.
#[tokio::test]
async fn a_refresh_token_or_a_code_opens_no_route() {
    let site = site();
    let (code, pair) = (site.code("profile").await, site.connect("profile").await);
    site.shelf.steps();
    let renamed = |token: &str, kind| token.replacen(kind, "_at_", 1);
    for token in [&code, &pair.refresh, &renamed(&code, "_ac_"), &renamed(&pair.refresh, "_rt_")] {
        let answer = through(&site.provider.bearer(), bearer("/", token)).await;
        assert_challenged(&answer, UNAUTHORIZED, UNKNOWN);
    }
    assert_eq!(site.shelf.steps(), []);
}

/// A token is its issuer's and its secret's; a forged one never reaches the store.
#[tokio::test]
async fn a_token_of_another_provider_or_a_forged_one_is_unknown() {
    let site = site();
    let good = token(&site.provider, "profile").await;
    let elsewhere = |issuer: &str| {
        Provider::builder(issuer).store(site.shelf.clone()).clock(site.clock.clone()).scope("profile", "see").build()
    };
    let elsewhere = elsewhere("https://other.example").expect("a provider");
    let (ours, theirs) = (provider().0, token(&elsewhere, "profile").await);
    site.shelf.steps();
    assert_challenged(&through(&site.provider.bearer(), bearer("/", &theirs)).await, UNAUTHORIZED, UNKNOWN);
    assert_challenged(&through(&ours.bearer(), bearer("/", &good)).await, UNAUTHORIZED, UNKNOWN);
    for at in 0..good.len() {
        let mut forged = good.clone().into_bytes();
        forged[at] = if forged[at] == b'B' { b'C' } else { b'B' };
        let forged = String::from_utf8(forged).expect("text");
        let answer = through(&site.provider.bearer(), bearer("/", &forged)).await;
        // Its end is looked at before its tag: no more than the token itself says.
        let ended = challenge("invalid_token", "the token has expired");
        let expected = if answer.header(header::WWW_AUTHENTICATE) == ended { &ended } else { UNKNOWN };
        assert_challenged(&answer, UNAUTHORIZED, expected);
    }
    assert_eq!(site.shelf.steps(), []);
    // And one whose record is gone.
    site.shelf.put_back(Default::default());
    assert_challenged(&through(&site.provider.bearer(), bearer("/", &good)).await, UNAUTHORIZED, UNKNOWN);
}

// ---- scopes ----------------------------------------------------------------------------------------------------------

/// RFC 6750 §3.1: 403 `insufficient_scope`, with "the scope necessary to access the protected resource": all of it,
/// also what the token has.
#[tokio::test]
async fn a_token_without_a_needed_scope_is_403_and_hears_all_that_is_needed() {
    let (provider, _) = provider();
    let layer = || provider.bearer();
    let expected = |scope: &str| {
        let error = challenge("insufficient_scope", "the token lacks a scope");
        if scope.is_empty() { error } else { needing(scope, &error) }
    };
    let notes: Scope = "notes:read profile".parse().expect("a scope");
    let any: [&str; 0] = [];
    for (layer, held, needed) in [
        (layer().require("profile"), "profile", None),
        (layer().require("profile"), "notes:read", Some("profile")),
        (layer().require("profile notes:read"), "profile notes:read", None),
        (layer().require("profile notes:read"), "profile", Some("profile notes:read")),
        (layer().require(["profile", "notes:read"]), "notes:read", Some("profile notes:read")),
        (layer().require(&notes), "notes:read", Some("notes:read profile")),
        (layer().require(Require::all(["profile"])), "notes:read", Some("profile")),
        (layer().require("profile").require("notes:read"), "profile", Some("profile notes:read")),
        (layer().require("profile").require("notes:read"), "notes:read profile", None),
        (layer().require(Require::any(["notes:read", "profile"])), "profile", None),
        (layer().require(Require::any(["notes:read", "profile"])), "notes:read", None),
        (layer().require(Require::any(["notes:read", "profile"])), "offline_access", Some("notes:read")),
        (
            layer().require("offline_access").require(Require::any(["notes:read", "profile"])),
            "profile",
            // RFC 6750 §3 names what a resource needs; a refresh token is no matter of it.
            Some("notes:read"),
        ),
        // Any of none is none.
        (layer().require(Require::any(any)), "profile notes:read", Some("")),
        // A scope that includes another, and not the other way round.
        (layer().require("notes:read"), "notes:write", None),
        (layer().require("notes:write"), "notes:read", Some("notes:write")),
        (layer().require(Require::any(["profile", "notes:read"])), "notes:write", None),
        (layer().require("offline_access"), "profile", Some("")),
        (layer().require("admin"), "profile notes:read notes:write", Some("admin")),
        // Names are whole.
        (layer().require("notes:read"), "profile", Some("notes:read")),
    ] {
        for layer in [layer.clone(), layer.optional()] {
            let answer = through(&layer, bearer("/", &token(&provider, held).await)).await;
            match needed {
                None => assert_passed(&answer, "alice through public, -"),
                Some(needed) => assert_challenged(&answer, FORBIDDEN, &expected(needed)),
            }
        }
    }
}

/// What a scope includes may include more; and two that include each other are one.
#[tokio::test]
async fn a_scope_includes_what_its_scopes_include() {
    let clock = ManualClock::default();
    let builder = ["a", "b", "c", "d"].into_iter().fold(builder(&clock), |builder, name| builder.scope(name, "do"));
    let includes = builder.scope_includes("a", "b").scope_includes("b", "c").scope_includes("c", "b");
    let provider = includes.build().expect("a good configuration");
    for (needed, held, good) in [
        ("c", "a", true),
        ("b", "c", true),
        ("c", "b", true),
        ("a", "b", false),
        ("a", "c", false),
        ("d", "a", false),
        ("c", "d", false),
    ] {
        let answer = through(&provider.bearer().require(needed), bearer("/", &token(&provider, held).await)).await;
        assert_eq!(answer.status == StatusCode::OK, good, "{held} where {needed} is needed");
    }
}

/// A name that was mistyped is said at the line that has it.
#[test]
#[should_panic = "the provider offers no scope `prfile` (it offers `profile`, `notes:read`, `notes:write`, \
                  `offline_access`, `admin`)"]
fn a_required_scope_that_is_not_offered_is_said_at_start() {
    let _ = provider().0.bearer().require("prfile");
}

#[test]
#[should_panic = "`/mcp` is no resource: write an absolute URL without a fragment"]
fn a_resource_that_is_none_is_said_at_start() {
    let _ = provider().0.bearer().resource("/mcp");
}

// ---- optional --------------------------------------------------------------------------------------------------------

/// Below an optional layer a request without a token passes; a bad token is refused as anywhere.
#[tokio::test]
async fn an_optional_layer_lets_no_token_pass_and_no_bad_token() {
    let (provider, clock) = provider();
    let layer = provider.bearer().require("profile").optional();
    assert_passed(&through(&layer, request(Method::GET, "/")).await, "nobody, -");
    let good = token(&provider, "profile").await;
    assert_passed(&through(&layer, bearer("/", &good)).await, "alice through public, -");
    let narrow = token(&provider, "notes:read").await;
    assert_eq!(through(&layer, bearer("/", &narrow)).await.status, FORBIDDEN);
    assert_eq!(through(&layer, bearer("/", "x")).await.status, UNAUTHORIZED);
    clock.advance(seconds(600));
    assert_eq!(through(&layer, bearer("/", &good)).await.status, UNAUTHORIZED);
}

/// Puts an identity into every request, as a layer outside might have left it there.
fn forging<S>(inner: S) -> impl Service<Request<Body>, Response = S::Response, Error = S::Error, Future: Send> + Clone
where
    S: Service<Request<Body>> + Clone,
    S::Future: Send,
{
    tower::util::MapRequest::new(inner, |mut request: Request<Body>| {
        let scope = "profile notes:read notes:write admin".parse().expect("a scope");
        let ends = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
        request.extensions_mut().insert(Authorized::new("evil", Some("mallory".into()), scope, ends));
        request.extensions_mut().insert(User("mallory".into()));
        request
    })
}

/// An identity that was there before says nothing, with or without a token.
#[tokio::test]
async fn an_identity_from_outside_is_never_trusted() {
    let site = site();
    let provider = &site.provider;
    let find = async |token: Authorized| Some(User(format!("user {}", token.subject())));
    let good = token(provider, "profile").await;
    let machine = send(&site.app, as_client("confidential", &[("grant_type", "client_credentials")])).await;
    let machine = machine.json()["access_token"].as_str().expect("a token").to_owned();
    let needed = forging(provider.bearer().user(find).layer(inner()));
    let optional = forging(provider.bearer().optional().user(find).layer(inner()));
    for asked in [request(Method::GET, "/"), with_header("Basic x")] {
        assert_eq!(send(&needed, clone(&asked)).await.status, UNAUTHORIZED);
        assert_passed(&send(&optional, asked).await, "nobody, -");
    }
    assert_passed(&send(&optional, preflight()).await, "nobody, -");
    // What a preflight reaches sees nobody.
    let policy = tower::service_fn(async |request: Request<Body>| {
        let seen = HeaderValue::try_from(seen(request.extensions())).expect("a header");
        let mut response = Response::new(String::new());
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, seen);
        Ok::<_, Infallible>(response)
    });
    let answer = send(&forging(provider.bearer().user(find).layer(policy)), preflight()).await;
    assert_eq!((answer.status, answer.header(header::ACCESS_CONTROL_ALLOW_ORIGIN)), (StatusCode::OK, "nobody, -"));
    // A layer that looks for no user stands behind none: whoever put one there, `Authorized<User>` does not take it.
    let taken = tower::service_fn(async |request: Request<Body>| {
        let user = Authorized::<User>::from_extensions(request.extensions()).map(Authorized::into_user);
        Ok::<_, Infallible>(Response::new(user.map_or("nobody".to_owned(), |user| user.0)))
    });
    for (service, user) in [
        (BoxCloneSyncService::new(forging(provider.bearer().layer(taken))), "nobody"),
        (BoxCloneSyncService::new(forging(provider.bearer().user(find).layer(taken))), "user alice"),
    ] {
        assert_passed(&send(&service, bearer("/", &good)).await, user);
    }
    for service in [needed, optional] {
        assert_passed(&send(&service, bearer("/", &good)).await, "alice through public, user alice");
        assert_eq!(send(&service, bearer("/", "x")).await.status, UNAUTHORIZED);
        assert_eq!(send(&service, bearer("/", &machine)).await.status, FORBIDDEN);
    }
    // A layer that asks for no user takes away the token all the same.
    let plain = forging(provider.bearer().optional().layer(inner()));
    assert!(send(&plain, request(Method::GET, "/")).await.body.starts_with("nobody, "));
}

fn clone(request: &Request<Body>) -> Request<Body> {
    let mut clone = Request::new(Body::empty());
    *clone.method_mut() = request.method().clone();
    *clone.uri_mut() = request.uri().clone();
    *clone.headers_mut() = request.headers().clone();
    clone
}

// ---- audience --------------------------------------------------------------------------------------------------------

/// RFC 8707 §2: a token is good where its resource is, and below it at a path boundary; never beside it.
#[tokio::test]
async fn a_token_is_good_at_its_resource_and_below_it() {
    let (mcp, other, foreign) = ("https://shift.example/mcp", "https://shift.example/mcp-other", "https://api.example");
    let site = site_with(|builder| builder.resource(mcp).resource(other).resource(foreign));
    let for_resources = async |resources: &[&str]| {
        let mut params = vec![("grant_type", "client_credentials")];
        params.extend(resources.iter().map(|resource| ("resource", *resource)));
        let answer = send(&site.app, as_client("confidential", &params)).await;
        answer.json()["access_token"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
    };
    let layer = || site.provider.bearer();
    for (resources, place, good) in [
        (&[][..], None, true),
        (&[ISSUER], None, true),
        (&[ISSUER], Some(mcp), true),
        (&[mcp], None, false),
        (&[mcp], Some(mcp), true),
        (&[mcp], Some("https://shift.example/mcp/tools"), true),
        (&[mcp], Some(other), false),
        (&[mcp], Some("https://shift.example/MCP"), false),
        (&[mcp], Some("https://shift.example"), false),
        (&[mcp], Some("https://evil.example/mcp"), false),
        (&[other], Some(mcp), false),
        (&[foreign], None, false),
        (&[foreign], Some("https://api.example/v1"), true),
        (&[foreign], Some("https://api.example.evil.example"), false),
        (&[other, mcp], Some(mcp), true),
        (&[other, mcp], Some(other), true),
        (&[other, foreign], Some(mcp), false),
    ] {
        let layer = place.map_or(layer(), |place| layer().resource(place));
        let answer = through(&layer, bearer("/", &for_resources(resources).await)).await;
        if good {
            assert_passed(&answer, "confidential through confidential, -");
        } else {
            let realm = place.unwrap_or(ISSUER);
            let refused = "error=\"invalid_token\", error_description=\"the token is for another resource\"";
            let mut expected = format!("Bearer realm=\"{realm}\", {refused}");
            // RFC 9728 §3.1: only on the provider's own origin does it know where the metadata are.
            if let Some(path) = realm.strip_prefix(ISSUER).filter(|path| path.is_empty() || path.starts_with('/')) {
                let well_known = "/.well-known/oauth-protected-resource";
                expected += &format!(", resource_metadata=\"{ISSUER}{well_known}{path}\"");
            }
            assert_challenged(&answer, UNAUTHORIZED, &expected);
        }
    }
}

// ---- users -----------------------------------------------------------------------------------------------------------

/// A resolver that knows one user, and the subjects that it was asked for.
#[derive(Clone, Default)]
struct Users(Arc<Mutex<Vec<String>>>);

impl Users {
    async fn find(self, token: Authorized) -> Result<Option<User>, &'static str> {
        self.0.lock().expect("no panic").push(token.subject().to_owned());
        tokio::task::yield_now().await;
        match token.subject() {
            "broken" => Err("the users' database is down"),
            "alice" => Ok(Some(User("Alice".into()))),
            _ => Ok(None),
        }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("no panic"))
    }
}

/// A user who is there; one who is gone is 401; a database that is down is 503.
#[tokio::test]
async fn the_user_of_a_token_is_found_gone_or_not_to_be_asked() {
    for site in [site(), site_with(|builder| builder.store(tower_oauth::MemoryStore::new()))] {
        let users = Users::default();
        let layer = site.provider.bearer().require("profile").user_with(users.clone(), Users::find);
        let of = async |subject: &str, scope: &str| {
            let issued = site.provider.issue("public", subject, scope.parse().expect("a scope")).await;
            through(&layer, bearer("/", issued.expect("the store answers").secret())).await
        };
        assert_passed(&of("alice", "profile").await, "alice through public, Alice");
        let gone = needing("profile", &challenge("invalid_token", "the user of the token is gone"));
        assert_challenged(&of("bob", "profile").await, UNAUTHORIZED, &gone);
        let down = of("broken", "profile").await;
        assert_eq!((down.status, down.header(header::RETRY_AFTER)), (StatusCode::SERVICE_UNAVAILABLE, "1"));
        assert!(!down.headers.contains_key(header::WWW_AUTHENTICATE));
        assert_eq!(users.asked(), ["alice", "bob", "broken"]);
        // Nobody is looked up for a request that is refused anyway.
        assert_eq!(of("alice", "notes:read").await.status, FORBIDDEN);
        assert_eq!(through(&layer, bearer("/", "x")).await.status, UNAUTHORIZED);
        assert_eq!(through(&layer, request(Method::GET, "/")).await.status, UNAUTHORIZED);
        assert_eq!(users.asked(), [""; 0]);
    }
}

/// RFC 9700 §4.15: a client's own token has no user, and its id is never taken for one.
#[tokio::test]
async fn a_clients_own_token_is_403_where_a_user_is_wanted_and_looks_up_nobody() {
    for site in [site(), site_with(|builder| builder.store(tower_oauth::MemoryStore::new()))] {
        let users = Users::default();
        // A client with the name of a user.
        let app = {
            let client = Client::confidential("alice", SECRET).grant_types([GrantType::ClientCredentials]);
            app(&builder(&site.clock).store(site.shelf.clone()).client(client).build().expect("a provider"))
        };
        let own = send(&app, basic(form("/token", &[("grant_type", "client_credentials")]), "alice", SECRET)).await;
        let own = own.json()["access_token"].as_str().expect("a token").to_owned();
        let provider = builder(&site.clock).store(site.shelf.clone()).build().expect("a provider");
        assert_passed(&through(&provider.bearer(), bearer("/", &own)).await, "alice through alice, -");
        for layer in [provider.bearer(), provider.bearer().optional()] {
            let layer = layer.user_with(users.clone(), Users::find);
            let answer = through(&layer, bearer("/", &own)).await;
            assert_challenged(&answer, FORBIDDEN, &challenge("insufficient_scope", "this needs the token of a user"));
        }
        assert_eq!(users.asked(), [""; 0]);
    }
}

/// `.user(..)` takes closures and functions, with an answer that can fail or not.
#[tokio::test]
async fn a_resolver_is_a_function_or_a_closure() {
    async fn find(token: Authorized) -> Option<User> {
        Some(User(token.client_id().to_string()))
    }
    let (provider, _) = provider();
    let good = token(&provider, "profile").await;
    let seen = "alice through public, public";
    assert_passed(&through(&provider.bearer().user(find), bearer("/", &good)).await, seen);
    let layer = provider.bearer().user(async |token| find(token).await);
    assert_passed(&through(&layer, bearer("/", &good)).await, seen);
    let layer = provider.bearer().user(|token| async { Ok::<_, std::io::Error>(find(token).await) });
    assert_passed(&through(&layer, bearer("/", &good)).await, seen);
    let layer = provider.bearer().user_with("state", async |_, token| find(token).await);
    assert_passed(&through(&layer, bearer("/", &good)).await, seen);
}

// ---- other verifiers -------------------------------------------------------------------------------------------------

/// An app's own verifier, that answers at once or later.
#[derive(Clone)]
struct Foreign {
    later: bool,
}

impl Verify for Foreign {
    fn verify(&self, credentials: Credentials<'_>) -> Verification {
        assert!(!format!("{credentials:?}").contains(credentials.token()));
        let ends = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
        let by = |subject: Option<&str>| {
            let scope = "profile \"odd\"".replace('"', "'").parse().expect("a scope");
            Ok(Authorized::new("elsewhere", subject.map(Into::into), scope, ends))
        };
        let place = |url: &str| url.parse().expect("a resource");
        let at = |url| by(Some("alice")).map(|token| token.for_resources([place(url)]));
        let answer = match credentials.token() {
            "good" => by(Some("alice")),
            "here" => at("https://api.example"),
            "other" => at("https://api.example/v10"),
            "own" => by(None),
            "request" => {
                let method = credentials.method();
                let host = credentials.headers()[header::HOST].to_str().expect("text");
                by(Some(&format!("{method} {host}{}", credentials.uri())))
            }
            "down" => Err(Refusal::Unavailable(StoreError::new("no route to host"))),
            "odd" => Err(Refusal::InvalidToken("100% \"n\u{e9}in\"\\\r\n")),
            _ => Err(Refusal::InvalidToken("not one of ours")),
        };
        if self.later {
            Verification::later(async {
                tokio::task::yield_now().await;
                answer
            })
        } else {
            Verification::ready(answer)
        }
    }
}

#[tokio::test]
async fn a_verifier_of_the_apps_own_answers_at_once_or_later() {
    let shared: Arc<dyn Verify> = Arc::new(Foreign { later: true });
    for layer in [
        BearerLayer::new(Foreign { later: false }),
        BearerLayer::new(Foreign { later: true }),
        BearerLayer::new(shared),
    ] {
        let layer = layer.require("profile");
        let asked = |token| bearer("/", token);
        assert_passed(&through(&layer, asked("good")).await, "alice through elsewhere, -");
        assert_passed(&through(&layer, asked("own")).await, "elsewhere through elsewhere, -");
        let mut request = bearer("/notes?a=b", "request");
        *request.method_mut() = Method::PUT;
        request.headers_mut().insert(header::HOST, HeaderValue::from_static("api.example"));
        assert_passed(&through(&layer, request).await, "PUT api.example/notes?a=b through elsewhere, -");
        let expected = "Bearer realm=\"api\", error=\"invalid_token\", error_description=\"not one of ours\", \
                        scope=\"profile\"";
        assert_challenged(&through(&layer, asked("bad")).await, UNAUTHORIZED, expected);
        assert_challenged(&through(&layer.clone().optional(), asked("bad")).await, UNAUTHORIZED, expected);
        let malformed = "Bearer realm=\"api\", error=\"invalid_request\", \
                         error_description=\"the token has a character that no token has\"";
        assert_challenged(&through(&layer, asked("b@d")).await, BAD, malformed);
        let down = through(&layer, asked("down")).await;
        assert_eq!((down.status, down.header(header::RETRY_AFTER)), (StatusCode::SERVICE_UNAVAILABLE, "1"));
        // A realm of its own, and RFC 6749 §5.2: what a description may hold.
        let layer = layer.resource("https://api.example/v1");
        let expected = "Bearer realm=\"https://api.example/v1\", error=\"invalid_token\", \
                        error_description=\"100% nin\", scope=\"profile\"";
        assert_challenged(&through(&layer, asked("odd")).await, UNAUTHORIZED, expected);
        // A token that names no resource is not good at one; one that names another is not good at this one.
        assert_eq!(through(&layer, asked("good")).await.status, UNAUTHORIZED);
        assert_eq!(through(&layer, asked("other")).await.status, UNAUTHORIZED);
        assert_passed(&through(&layer, asked("here")).await, "alice through elsewhere, -");
        let layer = layer.require("notes:read");
        assert_eq!(through(&layer, asked("here")).await.status, FORBIDDEN);
        let users = Users::default();
        let layer = BearerLayer::new(Foreign { later: true }).user_with(users.clone(), Users::find);
        assert_passed(&through(&layer, asked("good")).await, "alice through elsewhere, Alice");
        assert_eq!(through(&layer, asked("own")).await.status, FORBIDDEN);
        assert_eq!(users.asked(), ["alice"]);
    }
}

/// A provider is a verifier too; then nobody said what lies behind the layer, so it is what tokens are for that name
/// nothing.
#[tokio::test]
async fn a_provider_is_a_verifier() {
    let (provider, _) = provider();
    let good = token(&provider, "profile").await;
    let layer = BearerLayer::new(provider.clone());
    assert_passed(&through(&layer, bearer("/", &good)).await, "alice through public, -");
    assert_eq!(through(&layer, bearer("/", "x")).await.status, UNAUTHORIZED);
    assert_eq!(through(&layer.resource("https://api.example"), bearer("/", &good)).await.status, UNAUTHORIZED);
}

/// A store that is down says nothing about a token: 503, and never 401. What is forged needs no store.
#[tokio::test]
async fn a_store_that_is_down_is_503_and_never_401() {
    let site = site();
    let good = token(&site.provider, "profile").await;
    site.shelf.take_down(&[Op::Find]);
    for layer in [site.provider.bearer(), site.provider.bearer().optional(), site.provider.bearer().require("admin")] {
        let answer = through(&layer, bearer("/", &good)).await;
        assert_eq!((answer.status, answer.header(header::RETRY_AFTER)), (StatusCode::SERVICE_UNAVAILABLE, "1"));
        assert!(!answer.headers.contains_key(header::WWW_AUTHENTICATE) && answer.body.is_empty());
    }
    assert_challenged(&through(&site.provider.bearer(), bearer("/", "x")).await, UNAUTHORIZED, UNKNOWN);
    site.shelf.repair();
    assert_passed(&through(&site.provider.bearer(), bearer("/", &good)).await, "alice through public, -");
}

// ---- gRPC ------------------------------------------------------------------------------------------------------------

/// gRPC over HTTP/2: an answer is 200 with a `grpc-status`, whatever it says.
#[tokio::test]
async fn a_grpc_request_is_answered_as_grpc() {
    let site = site();
    let (good, narrow) = (token(&site.provider, "profile").await, token(&site.provider, "notes:read").await);
    let layer = site.provider.bearer().require("profile").user_with(Users::default(), Users::find);
    let calling = |content_type: &'static str, authorization: &str| {
        let mut asked = with_header(authorization);
        *asked.method_mut() = Method::POST;
        asked.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        asked
    };
    let bob = site.provider.issue("public", "bob", "profile".parse().expect("a scope")).await.expect("it answers");
    let machine = send(&site.app, as_client("confidential", &[("grant_type", "client_credentials")])).await;
    let machine = machine.json()["access_token"].as_str().expect("a token").to_owned();
    let refusals = [
        (String::new(), "16", "a bearer token is needed"),
        ("Bearer x".to_owned(), "16", "the token is not known here"),
        (format!("Bearer {}", bob.secret()), "16", "the user of the token is gone"),
        ("Bearer".to_owned(), "3", "there is no token behind Bearer"),
        (format!("Bearer {narrow}"), "7", "the token lacks a scope"),
        (format!("Bearer {machine}"), "7", "this needs the token of a user"),
    ];
    for content_type in [
        "application/grpc",
        "application/grpc+proto",
        "application/grpc;a=b",
        "Application/GRPC",
        "application/grpc-web",
    ] {
        for (authorization, status, message) in &refusals {
            let answer = through(&layer, calling(content_type, authorization)).await;
            assert_eq!((answer.status, &*answer.body), (StatusCode::OK, ""), "{answer:?}");
            assert_eq!((answer.header("grpc-status"), answer.header("grpc-message")), (*status, *message));
            assert_eq!(answer.header(header::CONTENT_TYPE), "application/grpc");
            assert!(answer.header(header::WWW_AUTHENTICATE).starts_with(REALM));
        }
        let answer = through(&layer, calling(content_type, &format!("Bearer {good}"))).await;
        assert_passed(&answer, "alice through public, Alice");
        assert!(!answer.headers.contains_key("grpc-status"));
    }
    // gRPC is always a POST; a 200 to a GET could be kept by a cache for others.
    let mut get = calling("application/grpc", "Bearer x");
    *get.method_mut() = Method::GET;
    assert_eq!(through(&layer, get).await.status, UNAUTHORIZED);
    for content_type in ["application/json", "application/grp", "text/application/grpc", ""] {
        let answer = through(&layer, calling(content_type, "Bearer x")).await;
        assert_eq!((answer.status, answer.header("grpc-status")), (UNAUTHORIZED, ""), "{content_type}");
    }
    site.shelf.take_down(&[Op::Find]);
    let answer = through(&layer, calling("application/grpc", &format!("Bearer {good}"))).await;
    assert_eq!((answer.status, answer.header("grpc-status")), (StatusCode::OK, "14"));
    assert_eq!(answer.header("grpc-message"), "the token cannot be checked now, try again");
    assert!(!answer.headers.contains_key(header::WWW_AUTHENTICATE));
    // What gRPC asks of a message: printable ASCII, and everything else in percent-encoding.
    let answer = through(&BearerLayer::new(Foreign { later: false }), calling("application/grpc", "Bearer odd")).await;
    assert_eq!(answer.header("grpc-message"), "100%25 \"n%C3%A9in\"\\%0D%0A");
}

// ---- browsers --------------------------------------------------------------------------------------------------------

/// A request of this method with these headers.
fn from_a_browser(method: Method, names: &[header::HeaderName]) -> Request<Body> {
    let mut asked = request(method, "/");
    for name in names {
        asked.headers_mut().insert(name, HeaderValue::from_static("https://app.example"));
    }
    asked
}

const PREFLIGHT: [header::HeaderName; 2] = [header::ORIGIN, header::ACCESS_CONTROL_REQUEST_METHOD];

fn preflight() -> Request<Body> {
    from_a_browser(Method::OPTIONS, &PREFLIGHT)
}

/// The CORS layer of an API that pages of one origin may call.
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(HeaderValue::from_static("https://app.example"))
        .allow_methods([Method::GET])
        .allow_headers([header::AUTHORIZATION])
        .expose_headers([header::WWW_AUTHENTICATE])
}

/// Fetch §4.8: a preflight has no token. A CORS layer answers it outside of the bearer layer and inside, to the same
/// letter, and the request that follows is answered for its token.
#[tokio::test]
async fn a_browser_gets_through_with_the_cors_layer_outside_or_inside() {
    let (provider, _) = provider();
    let good = token(&provider, "profile").await;
    let bearer_layer = provider.bearer().require("profile").user(async |_| Some(User("Alice".into())));
    let outside = BoxCloneSyncService::new(cors().layer(bearer_layer.layer(inner())));
    let inside = BoxCloneSyncService::new(bearer_layer.layer(cors().layer(inner())));
    let (answered, same) = (send(&outside, preflight()).await, send(&inside, preflight()).await);
    assert_eq!((answered.status, &answered.headers, &*answered.body), (StatusCode::OK, &same.headers, ""));
    assert_eq!((same.status, &*same.body), (StatusCode::OK, ""));
    assert_eq!(same.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), "https://app.example");
    assert_eq!(same.header(header::ACCESS_CONTROL_ALLOW_METHODS), "GET");
    assert_eq!(same.header(header::ACCESS_CONTROL_ALLOW_HEADERS), "authorization");
    for service in [&outside, &inside] {
        let mut asked = from_a_browser(Method::GET, &[header::ORIGIN]);
        assert_eq!(send(service, clone(&asked)).await.status, UNAUTHORIZED);
        asked.headers_mut().insert(header::AUTHORIZATION, format!("Bearer {good}").parse().expect("a header"));
        let answer = send(service, asked).await;
        assert_passed(&answer, "alice through public, Alice");
        assert_eq!(answer.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), "https://app.example");
    }
    // Outside, a page can read why it was refused.
    let refused = send(&outside, from_a_browser(Method::GET, &[header::ORIGIN])).await;
    assert_eq!(refused.header(header::ACCESS_CONTROL_EXPOSE_HEADERS), "www-authenticate");
}

/// As axum's users write it: routes, and the layers on the router.
#[tokio::test]
async fn a_browser_gets_through_to_a_router_with_its_cors_layer_inside() {
    let (provider, _) = provider();
    let good = token(&provider, "profile").await;
    let me = get(async |token: Authorized| token.subject().to_owned());
    let router = Router::new().route("/", me).layer(cors()).layer(provider.bearer());
    let answer = send(&App::new(router.clone().into_service()), preflight()).await;
    assert_eq!((answer.status, answer.header(header::ACCESS_CONTROL_ALLOW_METHODS)), (StatusCode::OK, "GET"));
    assert_eq!(body_of(router, bearer("/", &good)).await, (StatusCode::OK, "alice".to_owned()));
}

/// Counts what reaches the service, which answers as a CORS layer does.
fn counting_cors(reached: &Arc<Mutex<u32>>) -> BoxCloneSyncService<Request<Body>, Response<String>, Infallible> {
    let reached = Arc::clone(reached);
    BoxCloneSyncService::new(tower::service_fn(move |_: Request<Body>| {
        *reached.lock().expect("no panic") += 1;
        std::future::ready(Ok(allowing([])))
    }))
}

/// An answer with a secret in its body and its headers, and with these headers.
fn allowing<const N: usize>(names: [header::HeaderName; N]) -> Response<String> {
    let mut response = Response::new("secret".to_owned());
    for name in names.into_iter().chain([header::ACCESS_CONTROL_ALLOW_ORIGIN]) {
        response.headers_mut().append(name, HeaderValue::from_static("*"));
    }
    response.headers_mut().append(header::SET_COOKIE, HeaderValue::from_static("secret"));
    response.headers_mut().append(header::CONTENT_LENGTH, HeaderValue::from_static("6"));
    response
}

/// Fetch §4.8 step 1: what a browser asks with has these two headers once, no credentials (step 7 of HTTP-network-or-
/// cache fetch), and no body.
#[tokio::test]
async fn what_only_looks_like_a_preflight_needs_a_token() {
    let (provider, _) = provider();
    let reached = Arc::default();
    let service = provider.bearer().layer(counting_cors(&reached));
    assert_eq!(send(&service, preflight()).await.status, StatusCode::OK);
    assert_eq!(*reached.lock().expect("no panic"), 1, "the test reaches what it looks at");
    let with = |name: header::HeaderName, value: &'static str| {
        let mut asked = preflight();
        asked.headers_mut().append(name, HeaderValue::from_static(value));
        asked
    };
    let mut with_body = preflight();
    *with_body.body_mut() = Body::from("x");
    let mut with_unknown_body = preflight();
    *with_unknown_body.body_mut() = Body::new(http_body_util::Channel::<bytes::Bytes>::new(1).1);
    for asked in [
        from_a_browser(Method::OPTIONS, &[]),
        from_a_browser(Method::OPTIONS, &[header::ORIGIN]),
        from_a_browser(Method::OPTIONS, &[header::ACCESS_CONTROL_REQUEST_METHOD]),
        from_a_browser(Method::GET, &PREFLIGHT),
        from_a_browser(Method::POST, &PREFLIGHT),
        with(header::ORIGIN, "https://app.example"),
        with(header::ACCESS_CONTROL_REQUEST_METHOD, "GET"),
        with(header::AUTHORIZATION, "Basic x"),
        with(header::AUTHORIZATION, "Bearer x"),
        with(header::COOKIE, "session=1"),
        with(header::CONTENT_TYPE, "application/grpc"),
        with(header::CONTENT_TYPE, ""),
        with_body,
        with_unknown_body,
    ] {
        let shown = format!("{} {:?}", asked.method(), asked.headers());
        assert_eq!(send(&service, asked).await.status, UNAUTHORIZED, "{shown}");
    }
    let mut with_query = preflight();
    *with_query.uri_mut() = "/?access_token=x".parse().expect("a URI");
    assert_eq!(send(&service, with_query).await.status, BAD);
    assert_eq!(*reached.lock().expect("no panic"), 1);
}

/// Of the answer to a preflight, which anybody can send, nothing gets out but what a browser reads of it.
#[tokio::test]
async fn of_the_answer_to_a_preflight_a_cors_policy_alone_gets_out() {
    let (provider, _) = provider();
    let answering = |response: Response<String>| {
        provider.bearer().layer(tower::service_fn(move |_: Request<Body>| {
            let response = response.clone();
            async { Ok::<_, Infallible>(response) }
        }))
    };
    let private = header::HeaderName::from_static("access-control-allow-private-network");
    let policy = allowing([header::VARY, header::VARY, private.clone(), header::ACCESS_CONTROL_MAX_AGE]);
    let answer = send(&answering(policy.clone()), preflight()).await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, ""));
    let mut kept: Vec<_> = answer.headers.keys().map(|name| name.as_str()).collect();
    kept.sort_unstable();
    let names = ["access-control-allow-origin", private.as_str(), "access-control-max-age", "vary"];
    assert_eq!((kept, answer.headers.len()), (names.to_vec(), 5));
    // Each of the three headers makes an answer one of a CORS layer, and no other does, and no failure is one.
    let only = |name: header::HeaderName, status: StatusCode| {
        let mut response = policy.clone();
        response.headers_mut().remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        response.headers_mut().insert(name, HeaderValue::from_static("*"));
        *response.status_mut() = status;
        response
    };
    let (origin, methods) = (header::ACCESS_CONTROL_ALLOW_ORIGIN, header::ACCESS_CONTROL_ALLOW_METHODS);
    for name in [origin.clone(), methods, header::ACCESS_CONTROL_ALLOW_HEADERS] {
        assert_eq!(send(&answering(only(name, StatusCode::NO_CONTENT)), preflight()).await.status, 204);
    }
    for dropped in [
        only(header::ALLOW, StatusCode::OK),
        only(header::ACCESS_CONTROL_EXPOSE_HEADERS, StatusCode::OK),
        only(origin.clone(), StatusCode::METHOD_NOT_ALLOWED),
        only(origin.clone(), StatusCode::SEE_OTHER),
        only(origin, StatusCode::INTERNAL_SERVER_ERROR),
        Response::new("secret".to_owned()),
    ] {
        let answer = send(&answering(dropped), preflight()).await;
        assert_challenged(&answer, UNAUTHORIZED, NO_TOKEN);
        assert_eq!(answer.headers.len(), 1, "{answer:?}");
    }
}

/// A handler of any method says nothing to a preflight, whether it asks for [`Authorized`] or not; a layer that needs
/// none of this does not even reach it.
#[tokio::test]
async fn a_handler_of_any_method_says_nothing_to_a_preflight() {
    let (provider, _) = provider();
    let reached = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&reached);
    let any = axum::routing::any(async move || {
        *counted.lock().expect("no panic") += 1;
        "secret"
    });
    assert_challenged(&send(&provider.bearer().layer(any.clone()), preflight()).await, UNAUTHORIZED, NO_TOKEN);
    assert_eq!(*reached.lock().expect("no panic"), 1);
    let asking = axum::routing::any(async |token: Authorized| token.subject().to_owned());
    assert_challenged(&send(&provider.bearer().layer(asking), preflight()).await, UNAUTHORIZED, NO_TOKEN);
    let refusing = provider.bearer().refuse_preflights();
    assert_challenged(&send(&refusing.layer(any), preflight()).await, UNAUTHORIZED, NO_TOKEN);
    assert_challenged(&send(&refusing.layer(cors().layer(inner())), preflight()).await, UNAUTHORIZED, NO_TOKEN);
    assert_eq!(*reached.lock().expect("no panic"), 1);
    // A CORS layer outside needs nothing of this.
    let answer = send(&cors().layer(refusing.layer(inner())), preflight()).await;
    assert_eq!((answer.status, answer.header(header::ACCESS_CONTROL_ALLOW_METHODS)), (StatusCode::OK, "GET"));
    // And below an optional layer every request without a token passes.
    assert_passed(&through(&provider.bearer().optional().refuse_preflights(), preflight()).await, "nobody, -");
}

// ---- the contract of Tower -------------------------------------------------------------------------------------------

/// Panics where it is called without having been ready, as `tower::buffer` and `tower::limit` do.
#[derive(Default)]
struct Strict {
    ready: bool,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { ready: false }
    }
}

impl Service<Request<Body>> for Strict {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without having been ready");
        std::future::ready(Ok(Response::new(seen(request.extensions()))))
    }
}

/// Calls one service again and again, each time when it is ready.
async fn keeps_the_contract<R: ResolveUser>(layer: BearerLayer<R>, token: &str) {
    let mut service = layer.layer(Strict::default());
    for _ in 0..3 {
        for asked in [bearer("/", token), bearer("/", "x"), request(Method::GET, "/"), preflight()] {
            poll_fn(|cx| service.poll_ready(cx)).await.expect("it never fails");
            let status = service.call(asked).await.expect("it never fails").status();
            assert!(matches!(status, StatusCode::OK | StatusCode::UNAUTHORIZED));
        }
    }
    assert_eq!(send(&layer.layer(Strict::default()), bearer("/", token)).await.status, StatusCode::OK);
}

/// <https://docs.rs/tower/latest/tower/trait.Service.html#be-careful-when-cloning-inner-services>
#[tokio::test]
async fn the_service_that_was_ready_is_the_one_that_is_called() {
    let find = async |_| {
        tokio::task::yield_now().await;
        Some(User("Alice".into()))
    };
    let (memory, _) = provider();
    let shelf = site().provider;
    for provider in [memory, shelf] {
        let good = token(&provider, "profile").await;
        keeps_the_contract(provider.bearer(), &good).await;
        keeps_the_contract(provider.bearer().optional(), &good).await;
        keeps_the_contract(provider.bearer().user(find), &good).await;
        keeps_the_contract(provider.bearer().user(async |_| Some(User("Alice".into()))), &good).await;
    }
    for later in [false, true] {
        keeps_the_contract(BearerLayer::new(Foreign { later }), "good").await;
        keeps_the_contract(BearerLayer::new(Foreign { later }).user(find), "good").await;
    }
}

/// Ready when the service inside is, and with the errors of the service inside.
#[derive(Clone)]
struct Full(Poll<Result<(), &'static str>>);

impl Service<Request<Body>> for Full {
    type Response = Response<String>;
    type Error = &'static str;
    type Future = std::future::Ready<Result<Response<String>, &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        self.0
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        std::future::ready(Err("the service inside failed"))
    }
}

#[tokio::test]
async fn readiness_and_errors_are_those_of_the_service_inside() {
    let (provider, _) = provider();
    let good = token(&provider, "profile").await;
    for inside in [Poll::Pending, Poll::Ready(Ok(())), Poll::Ready(Err("full"))] {
        let mut service = provider.bearer().layer(Full(inside));
        let ready = poll_fn(|cx| Poll::Ready(Service::<Request<Body>>::poll_ready(&mut service, cx))).await;
        assert_eq!(ready, inside);
    }
    for layer in [provider.bearer(), site().provider.bearer()] {
        let answer = layer.layer(Full(Poll::Ready(Ok(())))).oneshot(bearer("/", &good)).await;
        assert!(matches!(answer, Err("the service inside failed") | Ok(_)));
    }
    let failed = provider.bearer().layer(Full(Poll::Ready(Ok(())))).oneshot(bearer("/", &good)).await;
    assert_eq!(failed.map(|_| ()), Err("the service inside failed"));
    let refused = provider.bearer().layer(Full(Poll::Ready(Ok(())))).oneshot(request(Method::GET, "/")).await;
    assert_eq!(refused.map(|response| response.status()), Ok(UNAUTHORIZED));
    let asked = provider.bearer().layer(Full(Poll::Ready(Ok(())))).oneshot(preflight()).await;
    assert_eq!(asked.map(|_| ()), Err("the service inside failed"));
}

/// What the layers and their service print has nothing of a request or a secret.
#[tokio::test]
async fn nothing_secret_is_printed() {
    let (provider, _) = provider();
    let issued = provider.issue("public", "alice", "profile".parse().expect("a scope")).await.expect("it answers");
    let layer = provider.bearer().require("profile").user(async |_| Some(User("Alice".into())));
    let future = layer.layer(inner()).call(bearer("/", issued.secret()));
    let printed = format!("{issued:?} {layer:?} {:?} {future:?}", layer.layer(inner()));
    assert!(printed.contains("redacted") && !printed.contains(issued.secret()) && !printed.contains("alice"));
}

// ---- axum ------------------------------------------------------------------------------------------------------------

async fn body_of(router: Router, request: Request<Body>) -> (StatusCode, String) {
    let answer = send(&App::new(router.into_service()), request).await;
    (answer.status, answer.body)
}

fn mistaken(message: &str) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, message.to_owned())
}

/// The extractors fail closed, and say which line is missing.
#[tokio::test]
async fn a_missing_layer_is_500_and_names_the_line_to_write() {
    let (provider, _) = provider();
    let good = token(&provider, "profile").await;
    let route = |method: axum::routing::MethodRouter| Router::new().route("/", method);

    let page = get(async |request: AuthorizationRequest| request.client().id().to_string());
    let expected = "`AuthorizationRequest` is only there below the authorization endpoint: is `provider.layer()` \
                    applied after this route, is `/authorize` its path, and, with several issuers, is this host one of \
                    theirs?";
    assert_eq!(body_of(route(page.clone()), bearer("/", &good)).await, mistaken(expected));
    assert_eq!(body_of(route(page).layer(provider.layer()), bearer("/", &good)).await, mistaken(expected));

    let needed = "`Authorized` needs a bearer layer above this handler: `.route_layer(provider.bearer())`";
    let plain = get(async |token: Authorized| token.subject().to_owned());
    let maybe = get(async |token: Option<Authorized>| format!("{}", token.is_some()));
    let user = get(async |token: Authorized<User>| token.into_user().0);
    let maybe_user = get(async |token: Option<Authorized<User>>| format!("{}", token.is_some()));
    for handler in [plain.clone(), maybe.clone(), user.clone(), maybe_user.clone()] {
        assert_eq!(body_of(route(handler.clone()), bearer("/", &good)).await, mistaken(needed));
        // Added before the route it is above nothing.
        let early = Router::new().layer(provider.bearer()).route("/", handler);
        assert_eq!(body_of(early, bearer("/", &good)).await, mistaken(needed));
    }

    let other = "`Authorized<bearer::User>`: the bearer layer above this handler finds another type of user, or none: \
                 `.bearer().user(..)` answers `Option<bearer::User>`";
    for handler in [user.clone(), maybe_user.clone()] {
        let without = route(handler.clone()).layer(provider.bearer());
        assert_eq!(body_of(without, bearer("/", &good)).await, mistaken(other));
        let strings = route(handler).layer(provider.bearer().user(async |_| Some(String::new())));
        assert_eq!(body_of(strings, bearer("/", &good)).await, mistaken(other));
    }

    let optional = "the bearer layer is `.optional()`: take `Option<Authorized>`";
    let find = async |_| Some(User("Alice".into()));
    for handler in [plain.clone(), user.clone()] {
        let below = route(handler).layer(provider.bearer().optional().user(find));
        assert_eq!(body_of(below, request(Method::GET, "/")).await, mistaken(optional));
    }
    for handler in [maybe, maybe_user] {
        let below = route(handler).layer(provider.bearer().optional().user(find));
        assert_eq!(body_of(below.clone(), request(Method::GET, "/")).await, (StatusCode::OK, "false".to_owned()));
        assert_eq!(body_of(below, bearer("/", &good)).await, (StatusCode::OK, "true".to_owned()));
    }
    assert_eq!(body_of(route(plain).layer(provider.bearer()), bearer("/", &good)).await.1, "alice");
    assert_eq!(body_of(route(user).layer(provider.bearer().user(find)), bearer("/", &good)).await.1, "Alice");
}

/// What a handler sees of a token and its user.
#[tokio::test]
async fn a_handler_sees_the_token_and_the_user() {
    async fn shown(token: Authorized<User>, Extension(user): Extension<User>) -> Json<Vec<String>> {
        assert_eq!((token.user(), token.user_subject().map(|subject| subject.as_str())), (&user, Some("alice")));
        assert!(token.has_scope("profile") && !token.has_scope("notes:read") && !token.has_scope("prof"));
        let ends = token.expires_at().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
        let resources = token.resources().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        let mut seen = vec![token.subject().to_owned(), token.client_id().to_string(), token.scope().to_string()];
        seen.extend([resources, ends.to_string(), token.grant().expect("our own").client_id().to_string()]);
        seen.push(token.into_user().0);
        Json(seen)
    }
    let site = site();
    let pair = site.connect("profile offline_access").await;
    let narrow = site.token(&site::with(&refreshing(&pair.refresh), "scope", "profile")).await;
    let narrow = site::Pair::of(&narrow).access;
    let layer = site.provider.bearer().user(async |token: Authorized| Some(User(format!("user {}", token.subject()))));
    let router = Router::new().route("/", get(shown).route_layer(layer));
    let answer = send(&App::new(router.into_service()), bearer("/", &narrow)).await;
    let expected = ["alice", "public", "profile", ISSUER, "1800000600", "public", "user alice"];
    assert_eq!(answer.json(), serde_json::json!(expected));
}

// ---- anything at all -------------------------------------------------------------------------------------------------

fn value() -> impl Strategy<Value = Vec<u8>> {
    let scheme = "(Bearer |bearer|Bearer  |Basic |Bearer\t|)";
    let token = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..60),
        "[ -~]{0,100}".prop_map(String::into_bytes),
        "toa_(at|rt|ac)_[A-Za-z0-9_-]{50,87}".prop_map(String::into_bytes),
    ];
    (scheme, token).prop_map(|(scheme, token)| [scheme.into_bytes(), token].concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_048) })]

    /// CVE-2026-9803: no header makes it fail, and none that was not issued opens anything.
    #[test]
    fn no_request_makes_it_fail(
        method in "(GET|POST|OPTIONS)",
        query in "(|\\?[a-z_=&%0-9]{0,20})",
        values in proptest::collection::vec(value(), 0..3),
        content_type in proptest::option::of("(application/grpc[a-z+]{0,5}|[ -~]{0,20})"),
    ) {
        let Ok(uri) = format!("/{query}").parse::<http::Uri>() else { return Ok(()) };
        let mut asked = request(method.parse().expect("a method"), "/");
        *asked.uri_mut() = uri;
        for value in values.iter().filter_map(|value| HeaderValue::from_bytes(value).ok()) {
            asked.headers_mut().append(header::AUTHORIZATION, value);
        }
        if let Some(Ok(value)) = content_type.map(|value| HeaderValue::from_str(&value)) {
            asked.headers_mut().insert(header::CONTENT_TYPE, value);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let (provider, _) = provider();
        let (needed, optional) = runtime.block_on(async {
            (through(&provider.bearer(), clone(&asked)).await, through(&provider.bearer().optional(), asked).await)
        });
        prop_assert!(needed.body.is_empty(), "nothing was reached: {needed:?}");
        prop_assert!(matches!(needed.status.as_u16(), 400 | 401) || needed.headers.contains_key("grpc-status"));
        prop_assert!(needed.headers.contains_key(header::WWW_AUTHENTICATE));
        prop_assert!(matches!(&*optional.body, "" | "nobody, -"), "{optional:?}");
        if optional.body.is_empty() {
            prop_assert_eq!(optional.headers, needed.headers, "a bad token is bad everywhere");
        } else {
            prop_assert_eq!(needed.header(header::WWW_AUTHENTICATE), NO_TOKEN);
        }
    }
}
