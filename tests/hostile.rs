//! What strangers send to do harm: headers that no client sends, floods, guesses, and addresses that lead back inside.

#[path = "support/shelf.rs"]
mod shelf;
#[path = "support/site.rs"]
mod site;
mod support;

use std::io::ErrorKind;
use std::net::TcpListener;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, header};
use proptest::prelude::*;
use serde_json::json;
use site::{Site, assert_refused, site_with};
use support::{SECRET, VERIFIER, WEB, authorization, basic, bearer, challenge, form, request, send, with_query};
use tower_oauth::{ClientSecret, MemoryStore, RegistrationPolicy};

const INITIAL: &str = "an-initial-access-token-of-32-or-more";

/// Everything is on; whoever registers needs a token.
fn site() -> Site {
    let initial = RegistrationPolicy::initial_access_token(ClientSecret::from(INITIAL)).management();
    let clients = MemoryStore::new();
    site_with(|builder| builder.clients(clients).registration(initial).pushed_authorization_requests())
}

/// Every endpoint, and a route that wants a token.
fn places() -> [String; 11] {
    let challenge = challenge(VERIFIER);
    [
        "/token".to_owned(),
        "/revoke".to_owned(),
        "/introspect".to_owned(),
        "/register".to_owned(),
        "/register?client_id=public".to_owned(),
        "/par".to_owned(),
        "/authorize?client_id=public&request_uri=urn:ietf:params:oauth:request_uri:AAAA".to_owned(),
        with_query("/authorize", &authorization("public", WEB, &challenge)),
        "/me".to_owned(),
        "/.well-known/oauth-authorization-server".to_owned(),
        "/.well-known/oauth-protected-resource/a".to_owned(),
    ]
}

/// Values that mean something, that nearly do, and that do not.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..60);
    let scheme = "(Basic|basic|Bearer|bEARER|DPoP|Digest|Negotiate|)[ \t,]{0,3}";
    let credentials = prop_oneof![
        bytes(),
        bytes().prop_map(|pair| STANDARD.encode(pair).into_bytes()),
        "(public|confidential|original|%|%zz|\\+)?:?(:|%00|%ff|[ -~]{0,20})"
            .prop_map(|pair| STANDARD.encode(pair).into_bytes()),
        "toa_(at|rt|ac)_[A-Za-z0-9_=-]{50,87}".prop_map(String::into_bytes),
        "[a-z]{1,5}=\"[ -~]{0,20}\"(, ?[a-z]{1,5}=[a-z\"]{0,5}){0,3}".prop_map(String::into_bytes),
        Just(vec![b'a'; 9_000]),
    ];
    prop_oneof![
        3 => (scheme, credentials).prop_map(|(scheme, rest)| [scheme.into_bytes(), rest].concat()),
        1 => bytes(),
        1 => "(application/(x-www-form-urlencoded|json|grpc)[;,]?|null|https://shift.example|same-origin|cross-site)[ -~]{0,9}"
            .prop_map(String::into_bytes),
    ]
}

fn name() -> impl Strategy<Value = HeaderName> {
    let names = [
        "authorization",
        "authorization",
        "authorization",
        "content-type",
        "content-length",
        "origin",
        "sec-fetch-site",
        "access-control-request-method",
        "access-control-request-headers",
        "accept",
        "cookie",
        "dpop",
        "host",
        "forwarded",
        "x-forwarded-host",
        "x-http-method-override",
        "mcp-protocol-version",
    ];
    proptest::sample::select(names.to_vec()).prop_map(HeaderName::from_static)
}

static SITE: LazyLock<Site> = LazyLock::new(site);

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_048) })]

    /// RFC 9110 §15.6: bad input is a stranger's mistake and never ours. Nothing comes of it, and nothing of it comes
    /// back in a header.
    #[test]
    fn no_header_makes_an_endpoint_fail(
        place in proptest::sample::select(places().to_vec()),
        method in "(POST|POST|POST|GET|OPTIONS|HEAD|PUT|DELETE)",
        headers in proptest::collection::vec((name(), value()), 0..6),
        typed in proptest::option::of("application/(x-www-form-urlencoded|json)"),
        body in "(|\\{\\}|token=x|token=toa_at_x&client_id=public|grant_type=refresh_token&client_id=confidential)",
    ) {
        let mut asked = Request::builder().method(&*method).uri(&place).body(Body::from(body)).expect("a request");
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                asked.headers_mut().append(name, value);
            }
        }
        if let Some(typed) = typed {
            asked.headers_mut().insert(header::CONTENT_TYPE, typed.parse().expect("a value"));
        }
        let before = SITE.shelf.records();
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let answer = runtime.block_on(send(&SITE.app, asked));
        prop_assert!(answer.status.as_u16() < 500, "{answer:?}");
        prop_assert!(answer.headers.values().all(|value| value.to_str().is_ok()), "{answer:?}");
        if place.starts_with("/authorize") {
            SITE.shelf.put_back(before);
        } else {
            prop_assert_eq!(SITE.shelf.records(), before);
        }
        prop_assert!(place != "/me" || !answer.status.is_success() || method == "OPTIONS", "{answer:?}");
    }
}

/// RFC 9110 §5.3: one field that is no list, a thousand times, is one refusal.
#[tokio::test]
async fn a_flood_of_authorization_headers_is_one_refusal() {
    let site = site();
    let flood = |mut asked: Request<Body>| {
        for at in 0..1_000 {
            let value = HeaderValue::from_str(&format!("Bearer {at}")).expect("a value");
            asked.headers_mut().append(header::AUTHORIZATION, value);
        }
        asked
    };
    for path in ["/token", "/revoke", "/introspect"] {
        let answer = send(&site.app, flood(basic(form(path, &[("token", "x")]), "confidential", SECRET))).await;
        assert_refused(&answer, StatusCode::BAD_REQUEST, "invalid_request");
    }
    let answer = send(&site.app, flood(bearer("/me", "x"))).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.headers.get_all(header::WWW_AUTHENTICATE).iter().count(), 1);
    let answer = send(&site.app, flood(form("/register", &[]))).await;
    assert_refused(&answer, StatusCode::UNAUTHORIZED, "invalid_token");
}

/// How long this request takes to be refused.
#[expect(clippy::disallowed_methods, reason = "two costs are compared, and no moment is told")]
async fn cost(site: &Site, request: Request<Body>) -> Duration {
    let begun = Instant::now();
    let answer = send(&site.app, request).await;
    let spent = begun.elapsed();
    assert_refused(&answer, StatusCode::UNAUTHORIZED, "invalid_client");
    spent
}

/// RFC 6749 §10.10. A secret has so much in it that no slow hash is needed: to try one costs little more than to send
/// what cannot be read, and a client that knows its own is never locked out. A slow hash would cost a hundred times as much.
#[tokio::test]
async fn a_thousand_wrong_secrets_cost_next_to_nothing_and_lock_nobody_out() {
    let site = site();
    let grant = [("grant_type", "client_credentials")];
    let (mut malformed, mut wrong, mut unknown) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    for at in 0..1_000 {
        let guess = format!("{SECRET}{at}");
        let mut unreadable = form("/token", &grant);
        unreadable.headers_mut().insert(header::AUTHORIZATION, HeaderValue::from_static("Basic !"));
        malformed += cost(&site, unreadable).await;
        wrong += cost(&site, basic(form("/token", &grant), "confidential", &guess)).await;
        unknown += cost(&site, basic(form("/token", &grant), "nobody", &guess)).await;
        if at % 100 == 99 {
            let good = send(&site.app, basic(form("/token", &grant), "confidential", SECRET)).await;
            assert_eq!(good.status, StatusCode::OK, "{good:?}");
        }
    }
    let told = format!("malformed {malformed:?}, wrong {wrong:?}, unknown {unknown:?}");
    assert!(wrong < malformed * 5 && unknown < malformed * 5, "{told}");
}

/// RFC 7591 §5, RFC 9101 §10.4: an address that a stranger names is looked at by nobody here.
#[tokio::test]
async fn no_url_that_a_stranger_names_is_fetched() {
    let trap = TcpListener::bind("127.0.0.1:0").expect("a free port");
    trap.set_nonblocking(true).expect("it can be asked");
    let address = trap.local_addr().expect("an address");
    let site = site_with(|builder| builder.store(MemoryStore::new()).registration(RegistrationPolicy::open()));
    for scheme in ["http", "https"] {
        let url = format!("{scheme}://{address}/a");
        let challenge = challenge(VERIFIER);
        for name in ["request_uri", "resource", "id_token_hint", "login_hint", "state", "client_metadata_uri"] {
            let mut asked = authorization("public", WEB, &challenge);
            asked.retain(|(known, _)| *known != name);
            asked.push((name, &url));
            send(&site.app, request(Method::GET, &with_query("/authorize", &asked))).await;
        }
        for client in [&*url, "public"] {
            let asked = authorization(client, &url, &challenge);
            let answer = send(&site.app, request(Method::GET, &with_query("/authorize", &asked))).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        }
    }
    let url = format!("https://{address}/a");
    let metadata = json!({
        "redirect_uris": [url], "client_uri": url, "logo_uri": url, "tos_uri": url, "policy_uri": url, "jwks_uri": url,
        "sector_identifier_uri": url, "request_uris": [url], "initiate_login_uri": url,
    });
    let asked = Request::post("/register").header(header::CONTENT_TYPE, "application/json");
    let answer = send(&site.app, asked.body(metadata.to_string().into()).expect("a request")).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(trap.accept().expect_err("nobody came").kind(), ErrorKind::WouldBlock);
}
