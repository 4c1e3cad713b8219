//! What is checked before a page is called, and who is told: the user, here, until client and redirect URI are good;
//! then the client.

#[path = "support/ask.rs"]
mod ask;
mod support;

use std::convert::Infallible;
use std::io;

use ask::*;
use axum::body::Body;
use axum::response::Response;
use axum::routing::{any, get};
use bytes::Bytes;
use http::{HeaderName, Method, Request, StatusCode, header};
use http_body_util::channel::Channel;
use support::{App, builder, form, provider, request, send, with_query, *};
use tower_oauth::testing::ManualClock;
use tower_oauth::{
    AuthorizationRequest, Client, ClientId, ClientStore, GrantType, Issuer, MemoryStore, Provider, ProviderBuilder,
};

const TENANT: &str = "https://tenant.example/cb?tenant=a%20b&x";

/// More clients than the support has.
fn more_clients() -> ProviderBuilder {
    builder(&ManualClock::default())
        .client(Client::public("two").redirect_uri("https://a.example/cb").redirect_uri("https://b.example/cb"))
        .client(Client::public("tenant").redirect_uri(TENANT))
        .client(Client::public("reader").redirect_uri(WEB).scope("notes:read notes:write"))
        .client(
            Client::public("loopback")
                .native()
                .redirect_uri("http://[::1]:8080/cb?a=b")
                .redirect_uri("http://localhost/cb"),
        )
        .client(Client::public("app").redirect_uri("com.example.app:/cb"))
        .client(Client::confidential("machine", SECRET).redirect_uri(WEB).grant_types([GrantType::ClientCredentials]))
}

fn good(builder: ProviderBuilder) -> Provider {
    builder.build().expect("a good configuration")
}

/// An app whose page must not be reached.
fn guarded() -> App {
    let page = any(|request: AuthorizationRequest| async move {
        panic!("the page was called for {request:?}");
        #[allow(unreachable_code, reason = "it names the type")]
        Response::<Body>::default()
    });
    app_with(&good(more_clients()), page)
}

/// An app that approves whatever is good.
fn approving(provider: &Provider) -> App {
    app_with(provider, any(|request: AuthorizationRequest| async move { request.approve("alice") }))
}

/// RFC 6749 §4.1.2.1
#[tokio::test]
async fn a_client_that_is_missing_or_unknown_is_told_here_and_never_redirected() {
    let app = guarded();
    for bad in [
        ask().without("client_id"),
        ask().with("client_id", ""),
        ask().with("client_id", "nobody"),
        ask().with("client_id", "PUBLIC"),
        ask().with("client_id", "public "),
        ask().with("client_id", "pub\0lic"),
        ask().with("client_id", "caf\u{e9}"),
        ask().with("client_id", &"x".repeat(8192)),
        ask().and("client_id", "public"),
        ask().and("client_id", ""),
        ask().and("client_id", "native"),
    ] {
        for request in [bad.get(), bad.post()] {
            send(&app, request).await.assert_error_here(StatusCode::BAD_REQUEST);
        }
    }
}

/// RFC 6749 §3.1.2.4 and §4.1.2.1; RFC 9700 §2.1: compared as a string; RFC 6749 §3.1.2: no fragment
#[tokio::test]
async fn a_redirect_uri_other_than_the_registered_string_is_told_here_and_never_redirected() {
    let app = guarded();
    for uri in [
        "https://web.example/cb/",
        "https://web.example/CB",
        "https://WEB.example/cb",
        "HTTPS://web.example/cb",
        "http://web.example/cb",
        "https://web.example:443/cb",
        "https://web.example/cb?",
        "https://web.example/cb?x=1",
        "https://web.example/cb#",
        "https://web.example/cb#f",
        "https://web.example/./cb",
        "https://web.example/x/../cb",
        "https://web.example/%63b",
        "https://web.example//cb",
        "https://web.example/cb ",
        " https://web.example/cb",
        "https://web.example/cb\t",
        "https://web.example/cb\r\nSet-Cookie: a=b",
        "https://web.example/cb%0d%0aa:b",
        "https://web.example/cb\0",
        "https://web.example.evil.example/cb",
        "https://web.example@evil.example/cb",
        "https://evil.example/cb",
        "https://evil.example\\@web.example/cb",
        "https://evil.example#@web.example/cb",
        "https://evil.example/https://web.example/cb",
        "https://web\u{2024}example/cb",
        "//web.example/cb",
        "/cb",
        "cb",
        "javascript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "https://a.example/cb", // another client's
    ] {
        let bad = ask().with("redirect_uri", uri);
        for request in [bad.get(), bad.post()] {
            send(&app, request).await.assert_error_here(StatusCode::BAD_REQUEST);
        }
    }
    for repeated in [WEB, "", "https://evil.example/cb"] {
        send(&app, ask().and("redirect_uri", repeated).get()).await.assert_error_here(StatusCode::BAD_REQUEST);
    }
}

/// RFC 6749 §10.14, RFC 9700 §4.16: neither script nor header comes in
#[tokio::test]
async fn an_error_that_is_shown_here_repeats_nothing_of_the_request() {
    const EVIL: &str = "\"'><script>alert(1)</script>\r\nX-Evil: 1\u{202e}{{7*7}}";
    let app = guarded();
    let unknown = ask().with("client_id", "nobody");
    let elsewhere = ask().with("redirect_uri", "https://evil.example/cb");
    let nobody = ask().without("client_id");
    for (plain, name) in [
        (&unknown, "client_id"),
        (&elsewhere, "redirect_uri"),
        (&unknown, "state"),
        (&nobody, "scope"),
        (&unknown, EVIL),
    ] {
        let (plain, evil) = (send(&app, plain.get()).await, send(&app, plain.clone().with(name, EVIL).get()).await);
        evil.assert_error_here(StatusCode::BAD_REQUEST);
        assert_eq!((plain.body, plain.headers), (evil.body, evil.headers), "{name}");
    }
}

/// RFC 8252 §7.3 and §8.3: the port alone, on the same host literal
#[tokio::test]
async fn a_native_client_may_use_any_port_of_its_own_loopback_host_and_nothing_else() {
    let app = approving(&good(more_clients()));
    for (client, uri) in [
        ("native", "http://127.0.0.1/cb"),
        ("native", "http://127.0.0.1:1/cb"),
        ("native", "http://127.0.0.1:65535/cb"),
        ("loopback", "http://[::1]:8080/cb?a=b"),
        ("loopback", "http://[::1]:4711/cb?a=b"),
        ("loopback", "http://[::1]/cb?a=b"),
        ("loopback", "http://localhost:4711/cb"),
    ] {
        let answer = send(&app, ask().of(client, uri).get()).await;
        // Where a query is there already, it stays.
        let joint = if uri.contains('?') { '&' } else { '?' };
        assert!(answer.location().starts_with(&format!("{uri}{joint}code=")), "{uri}: {answer:?}");
        assert_eq!(
            (answer.redirected("state").as_deref(), answer.redirected("iss").as_deref()),
            (Some(STATE), Some(ISSUER))
        );
    }
    let app = guarded();
    for (client, uri) in [
        ("native", "http://localhost/cb"),
        ("native", "http://[::1]/cb"),
        ("native", "https://127.0.0.1/cb"),
        ("native", "http://127.0.0.1:0/cb"),
        ("native", "http://127.0.0.1:65536/cb"),
        ("native", "http://127.0.0.1:/cb"),
        ("native", "http://127.0.0.1:080/cb/"),
        ("native", "http://127.0.0.1:80@evil.example/cb"),
        ("native", "http://127.0.0.1@evil.example/cb"),
        ("native", "http://127.0.0.1.evil.example/cb"),
        ("native", "http://127.0.0.1:4711/cb?x=1"),
        ("native", "http://127.0.0.1:4711/CB"),
        ("native", "http://127.1:4711/cb"),
        ("native", "http://2130706433/cb"),
        ("loopback", "http://localhost.evil.example/cb"),
        ("loopback", "http://::1:4711/cb?a=b"),
        ("loopback", "http://[0:0:0:0:0:0:0:1]:4711/cb?a=b"),
        ("loopback", "http://[::1]:4711/cb"),
        ("app", "com.example.app:/cb2"),
        ("app", "COM.EXAMPLE.APP:/cb"),
        ("app", "com.example.app://cb"),
    ] {
        send(&app, ask().of(client, uri).get()).await.assert_error_here(StatusCode::BAD_REQUEST);
    }
}

/// Clients of an app that does not check what it keeps.
fn unchecked() -> [Client; 3] {
    [
        Client::public("lax").redirect_uri(WEB).danger_without_pkce(),
        Client::public("web").web().redirect_uri("http://127.0.0.1/cb"),
        Client::public("plain").redirect_uri("http://plain.example/cb"),
    ]
}

struct Unchecked;

impl ClientStore for Unchecked {
    type Error = Infallible;

    async fn client(&self, _: &Issuer, id: &ClientId) -> Result<Option<Client>, Infallible> {
        Ok(unchecked().into_iter().find(|client| client.id() == id))
    }
}

/// RFC 9700 §2.1.1 and RFC 8252 §7.3: what no `build()` has looked at is no laxer
#[tokio::test]
async fn a_client_of_a_store_has_the_same_rules() {
    for client in unchecked() {
        let why = client.check().expect_err("it could not work safely").to_string();
        assert_eq!(MemoryStore::new().insert(ISSUER, client).expect_err("it is not registered").to_string(), why);
    }
    let page = any(|_: AuthorizationRequest| async { "a page" });
    let app = app_with(&good(more_clients().clients(Unchecked)), page);
    let without = ask().of("lax", WEB).without("code_challenge").without("code_challenge_method");
    send(&app, without.get()).await.assert_error_at(WEB, "invalid_request", Some(STATE));
    for asked in [
        ask().of("web", "http://127.0.0.1:4711/cb"),
        ask().of("plain", "http://plain.example/cb"),
        ask().with("client_id", "plain").without("redirect_uri"),
    ] {
        send(&app, asked.get()).await.assert_error_here(StatusCode::BAD_REQUEST);
    }
}

/// RFC 6749 §3.1.2.3, and §3.1: a parameter without a value is omitted
#[tokio::test]
async fn a_redirect_uri_may_be_left_out_where_one_is_registered() {
    let app = approving(&good(more_clients()));
    for left_out in [ask().without("redirect_uri"), ask().with("redirect_uri", "")] {
        send(&app, left_out.get()).await.assert_code_at(WEB, Some(STATE));
        send(&app, left_out.with("client_id", "two").get()).await.assert_error_here(StatusCode::BAD_REQUEST);
    }
}

/// RFC 6749 §4.1.3: identical at the token endpoint if it was included here, and only then; with PKCE it may be left out
/// there (OAuth 2.1 §10.2)
#[tokio::test]
async fn a_redirect_uri_that_was_sent_binds_the_code_of_a_client_without_pkce() {
    let app = approving(&good(more_clients()));
    let plain =
        Ask::clone(&ask()).without("code_challenge").without("code_challenge_method").with("client_id", "original");
    for (asked, presented, good) in [
        (plain.clone(), Some(WEB), true),
        (plain.clone(), None, false),
        (plain.clone(), Some("https://web.example/other"), false),
        (plain.clone().without("redirect_uri"), None, true),
        (plain.clone().with("redirect_uri", ""), None, true),
        (ask().with("client_id", "original"), None, true),
    ] {
        let code = send(&app, asked.get()).await.assert_code_at(WEB, Some(STATE));
        let mut params = vec![
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("client_id", "original"),
            ("client_secret", SECRET),
        ];
        params.extend(presented.map(|uri| ("redirect_uri", uri)));
        if asked.query().contains("code_challenge") {
            params.push(("code_verifier", VERIFIER));
        }
        let answer = send(&app, form("/token", &params)).await;
        assert_eq!(answer.status == StatusCode::OK, good, "{presented:?} for {}: {answer:?}", asked.query());
    }
}

/// RFC 6749 §3.1.2: the query component is retained
#[tokio::test]
async fn a_query_of_the_redirect_uri_stays_as_it_is_and_the_answer_is_added() {
    let app = approving(&good(more_clients()));
    let asked = ask().of("tenant", TENANT);
    let answer = send(&app, asked.get()).await;
    assert!(answer.location().starts_with(&format!("{TENANT}&code=")), "{answer:?}");
    let answer = send(&app, asked.with("scope", "unheard-of").get()).await;
    assert!(answer.location().starts_with(&format!("{TENANT}&error=invalid_scope&")), "{answer:?}");
}

/// RFC 6749 §4.1.2.1, RFC 9207 §2. Response type: RFC 6749 §3.1.1. PKCE: RFC 7636 §4.3 and §4.4.1. Resource: RFC 8707 §2.
/// Repeated: RFC 6749 §3.1. Prompt, request, request_uri: OpenID Connect Core §3.1.2.1 and §3.1.2.6.
#[tokio::test]
async fn every_later_error_goes_back_to_the_client_with_state_and_issuer() {
    let app = guarded();
    let long = |count: usize| (0..count).map(|n| format!("s{n}")).collect::<Vec<_>>().join(" ");
    let challenge = challenge(VERIFIER);
    for (bad, error) in [
        (ask().without("response_type"), "invalid_request"),
        (ask().with("response_type", ""), "invalid_request"),
        (ask().with("response_type", "token"), "unsupported_response_type"),
        (ask().with("response_type", "CODE"), "unsupported_response_type"),
        (ask().with("response_type", "code token"), "unsupported_response_type"),
        (ask().with("response_type", "token code"), "unsupported_response_type"),
        (ask().with("response_type", "code id_token"), "unsupported_response_type"),
        (ask().with("response_type", "none"), "unsupported_response_type"),
        (ask().and("response_type", "code"), "invalid_request"),
        (ask().with("response_mode", "fragment"), "invalid_request"),
        (ask().with("response_mode", "form_post"), "invalid_request"),
        (ask().with("scope", "unheard-of"), "invalid_scope"),
        (ask().with("scope", "profile unheard-of"), "invalid_scope"),
        (ask().with("scope", "admin"), "invalid_scope"),
        (ask().with("scope", "Profile"), "invalid_scope"),
        (ask().with("scope", "profile\tnotes:read"), "invalid_scope"),
        (ask().with("scope", "profile\"><script>"), "invalid_scope"),
        (ask().with("scope", " "), "invalid_scope"),
        (ask().with("scope", &long(65)), "invalid_scope"),
        (ask().with("client_id", "reader").with("scope", "profile"), "invalid_scope"),
        (ask().with("scope", "profile").and("scope", "profile"), "invalid_request"),
        (ask().with("resource", "https://other.example"), "invalid_target"),
        (ask().with("resource", "https://shift.example/unheard-of"), "invalid_target"),
        (ask().with("resource", "https://shift.example#f"), "invalid_target"),
        (ask().with("resource", "shift.example"), "invalid_target"),
        (ask().with("resource", ISSUER).and("resource", "https://other.example"), "invalid_target"),
        (ask().without("code_challenge"), "invalid_request"),
        (ask().with("code_challenge", ""), "invalid_request"),
        (ask().without("code_challenge").without("code_challenge_method"), "invalid_request"),
        (ask().without("code_challenge_method"), "invalid_request"),
        (ask().with("code_challenge_method", ""), "invalid_request"),
        (ask().with("code_challenge_method", "plain"), "invalid_request"),
        (ask().with("code_challenge_method", "s256"), "invalid_request"),
        (ask().with("code_challenge_method", "S512"), "invalid_request"),
        (ask().with("code_challenge", &challenge[1..]), "invalid_request"),
        (ask().with("code_challenge", &format!("{challenge}=")), "invalid_request"),
        (ask().with("code_challenge", &format!("{challenge}A")), "invalid_request"),
        (ask().with("code_challenge", &format!("{}+", &challenge[1..])), "invalid_request"),
        (ask().with("client_id", "original").without("code_challenge"), "invalid_request"),
        (ask().with("client_id", "original").with("code_challenge_method", "plain"), "invalid_request"),
        (ask().with("client_id", "original").without("code_challenge_method"), "invalid_request"),
        (ask().with("prompt", "none login"), "invalid_request"),
        (ask().with("prompt", "consent none"), "invalid_request"),
        (ask().with("request", "eyJhbGciOiJub25lIn0.e30."), "request_not_supported"),
        (ask().with("request_uri", "https://web.example/request.jwt"), "request_uri_not_supported"),
        (ask().with("request_uri", "urn:ietf:params:oauth:request_uri:x"), "request_uri_not_supported"),
        (ask().and("code_challenge", &challenge), "invalid_request"),
        (ask().with("unheard-of", "1").and("unheard-of", "2"), "invalid_request"),
        (ask().with("client_id", "machine"), "unauthorized_client"),
    ] {
        for request in [bad.get(), bad.post()] {
            send(&app, request).await.assert_error_at(WEB, error, Some(STATE));
        }
    }
}

/// RFC 6749 §3.1: a state that is there twice is no state, and still the client is told
#[tokio::test]
async fn a_repeated_state_is_an_error_that_carries_none() {
    let app = guarded();
    for repeated in [STATE, "", "other"] {
        send(&app, ask().and("state", repeated).get()).await.assert_error_at(WEB, "invalid_request", None);
    }
    let encoded = send(&app, request(Method::GET, &format!("{}&%73tate=other", ask().url()))).await;
    encoded.assert_error_at(WEB, "invalid_request", None);
}

/// RFC 6749 §4.1.2: the exact value received; §3.1: one without a value is none
#[tokio::test]
async fn state_comes_back_to_the_byte_and_an_absent_one_stays_absent() {
    let app = approving(&good(more_clients()));
    let every: String = (0..=0x7f_u8).map(char::from).collect();
    let long = "a+ %2B/=~\u{e9}".repeat(400);
    assert!(long.len() > 4000);
    for state in [
        &*"x".repeat(4000),
        &long,
        &every,
        "+",
        "%2B",
        "%",
        "a b",
        "caf\u{e9} \u{1f980}",
        "&code=evil&iss=https://evil.example",
        "#fragment",
        "\r\nSet-Cookie: a=b",
        "\0",
        "\"><script>alert(1)</script>",
        " ",
    ] {
        let asked = ask().with("state", state);
        send(&app, asked.get()).await.assert_code_at(WEB, Some(state));
        send(&app, asked.with("scope", "admin").get()).await.assert_error_at(WEB, "invalid_scope", Some(state));
    }
    // However it was encoded.
    for (query, state) in
        [("state=%61%2b+%20", "a+  "), ("state=a=b", "a=b"), ("%73tate=x", "x"), ("state=\u{e9}", "\u{e9}")]
    {
        let url = format!("{}&{query}", ask().without("state").url());
        send(&app, request(Method::GET, &url)).await.assert_code_at(WEB, Some(state));
    }
    for absent in [ask().without("state"), ask().with("state", "")] {
        send(&app, absent.get()).await.assert_code_at(WEB, None);
        send(&app, absent.with("scope", "admin").get()).await.assert_error_at(WEB, "invalid_scope", None);
    }
}

/// An app whose page says what scope it is asked for.
fn saying_scope(provider: &Provider) -> App {
    app_with(provider, get(|request: AuthorizationRequest| async move { request.scope().to_string() }))
}

/// RFC 6749 §3.3: a pre-defined default, or invalid_scope
#[tokio::test]
async fn a_request_without_scope_gets_the_default_or_all_that_its_client_registered() {
    let app = saying_scope(&good(more_clients()));
    for (asked, scope) in [
        (ask(), "profile"),
        (ask().with("scope", ""), "profile"),
        (ask().with("client_id", "reader"), "notes:read notes:write"),
        (ask().with("scope", "notes:write profile notes:write"), "notes:write profile"),
        (ask().with("client_id", "reader").with("scope", "notes:read"), "notes:read"),
    ] {
        let answer = send(&app, asked.get()).await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::OK, scope));
    }
    let without =
        Provider::builder(ISSUER).store(MemoryStore::new()).scope("profile", "see your profile").client(public());
    let app = saying_scope(&good(without));
    send(&app, ask().get()).await.assert_error_at(WEB, "invalid_scope", Some(STATE));
}

/// RFC 8707 §2.1: several are allowed, each once or more; without any it is the default one
#[tokio::test]
async fn a_grant_is_for_the_resources_that_were_asked_for() {
    let notes = "https://shift.example/notes";
    let provider = good(more_clients().resource(notes));
    let app = approving(&provider);
    for (asked, resources) in [
        (ask(), vec![ISSUER]),
        (ask().with("resource", ""), vec![ISSUER]),
        (ask().with("resource", "https://SHIFT.example/"), vec![ISSUER]),
        (ask().with("resource", notes), vec![notes]),
        (ask().with("resource", ISSUER).and("resource", notes).and("resource", notes), vec![ISSUER, notes]),
    ] {
        let code = send(&app, asked.get()).await.assert_code_at(WEB, Some(STATE));
        assert_eq!(redeem(&app, &code).await.status, StatusCode::OK);
        let [grant] = &provider.grants_of(&"alice".into()).await.unwrap()[..] else { panic!("one grant") };
        assert_eq!(grant.resources().iter().map(|resource| resource.as_str()).collect::<Vec<_>>(), resources);
        provider.revoke_grant(grant.key()).await.unwrap();
    }
}

/// RFC 6749 §3.1: unrecognized parameters are ignored; RFC 6749 §4.1.1 and OpenID Connect Core §3.1.2.1: these are known
#[tokio::test]
async fn what_is_optional_or_unheard_of_does_no_harm() {
    let (provider, _) = provider();
    let app = app(&provider);
    for asked in [
        ask().with("response_mode", "query"),
        ask().with("request", "").with("request_uri", ""),
        ask().with("prompt", "login consent"),
        ask().with("prompt", "unheard-of"),
        ask().with("nonce", "n-0S6_WzA2Mj").with("display", "page").with("acr_values", "1"),
        ask().with("unheard-of", "1").with("empty", ""),
        ask().of("original", WEB).without("code_challenge").without("code_challenge_method"),
    ] {
        let answer = send(&app, asked.get()).await;
        assert_eq!(answer.status, StatusCode::OK, "{}: {answer:?}", asked.query());
    }
}

/// A query of `length` bytes in all.
fn padded(length: usize) -> String {
    let query = ask().with("pad", "").query();
    format!("/authorize?{query}{}", "x".repeat(length - query.len()))
}

#[tokio::test]
async fn a_query_of_16_kib_is_read_and_one_byte_more_is_not() {
    let (provider, _) = provider();
    let app = app(&provider);
    assert_eq!(send(&app, request(Method::GET, &padded(16 * 1024))).await.status, StatusCode::OK);
    for method in [Method::GET, Method::POST] {
        let longer = send(&app, request(method, &padded(16 * 1024 + 1))).await;
        longer.assert_error_here(StatusCode::URI_TOO_LONG);
    }
}

#[tokio::test]
async fn a_hundred_parameters_are_read_and_one_more_is_not() {
    let (provider, _) = provider();
    let app = app(&provider);
    let many = |count: usize| (ask().pairs().len()..count).fold(ask(), |asked, n| asked.with(&format!("p{n}"), ""));
    assert_eq!(send(&app, many(100).get()).await.status, StatusCode::OK);
    send(&app, many(101).get()).await.assert_error_here(StatusCode::BAD_REQUEST);
    send(&app, many(101).post()).await.assert_error_here(StatusCode::BAD_REQUEST);
}

/// RFC 6749 Appendix B
#[tokio::test]
async fn what_is_no_utf8_is_refused_here() {
    let app = guarded();
    for bad in ["state=%ff", "%ff=x", "scope=%c3%28", "x=%ed%a0%80"] {
        let url = format!("{}&{bad}", ask().without("state").url());
        for method in [Method::GET, Method::POST] {
            send(&app, request(method, &url)).await.assert_error_here(StatusCode::BAD_REQUEST);
        }
    }
}

/// RFC 6749 §3.1: GET is supported and POST may be; RFC 9700 §2.6: CORS is not supported here
#[tokio::test]
async fn other_methods_are_refused_and_no_other_origin_may_read() {
    let app = guarded();
    for method in
        [Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS, Method::TRACE, "PROPFIND".parse().unwrap()]
    {
        let answer = send(&app, request(method, &ask().url())).await;
        assert_eq!((answer.status, answer.header(header::ALLOW)), (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD, POST"));
    }
    let (provider, _) = provider();
    let app = support::app(&provider);
    for method in [Method::GET, Method::POST, Method::OPTIONS] {
        for url in [ask().url(), ask().with("scope", "admin").url(), "/authorize".to_owned()] {
            let mut request = request(method.clone(), &url);
            request.headers_mut().insert(header::ORIGIN, "https://spa.example".parse().unwrap());
            request.headers_mut().insert(header::ACCESS_CONTROL_REQUEST_METHOD, "POST".parse().unwrap());
            let answer = send(&app, request).await;
            let cors = |name: &HeaderName| name.as_str().starts_with("access-control-");
            assert!(!answer.headers.keys().any(cors), "{answer:?}");
        }
    }
}

/// RFC 6749 §3.1: the request may be posted, by the client's own page too; RFC 9700 §4.12: it goes on as a GET
#[tokio::test]
async fn a_request_in_a_form_goes_on_in_the_query_from_any_site() {
    let store = MemoryStore::new();
    let provider = good(more_clients().store(store.clone()));
    let app = approving(&provider);
    let asked = ask().with("state", "a+ \u{e9}\r\n").with("login_hint", "al&ice").with("empty", "");
    for (origin, site) in [("https://web.example", "cross-site"), ("null", "cross-site"), (ISSUER, "same-origin")] {
        // A query that holds no request, and a host that is not ours.
        for path in ["/authorize", "/authorize?", "/authorize?lang=de", "https://evil.example/authorize"] {
            let mut posted = form(path, &asked.pairs());
            posted.headers_mut().insert(header::ORIGIN, origin.parse().unwrap());
            posted.headers_mut().insert("sec-fetch-site", site.parse().unwrap());
            posted.headers_mut().insert(header::HOST, "evil.example".parse().unwrap());
            let sent = send(&app, posted).await.sent_to("https://shift.example/authorize");
            let sent: Vec<_> = sent.iter().map(|(name, value)| (&**name, &**value)).collect();
            assert_eq!(sent, asked.clone().without("empty").pairs());
        }
    }
    assert!(store.is_empty(), "nothing is decided by it");
    let followed = send(&app, form("/authorize", &asked.pairs())).await;
    let followed = followed.location().strip_prefix(ISSUER).unwrap();
    send(&app, request(Method::GET, followed)).await.assert_code_at(WEB, Some("a+ \u{e9}\r\n"));
}

/// RFC 6749 §4.1.2.1
#[tokio::test]
async fn a_bad_request_in_a_form_is_answered_like_one_in_the_query() {
    let app = guarded();
    for bad in [
        ask().with("client_id", "nobody"),
        ask().without("client_id"),
        ask().and("client_id", "public"),
        ask().with("redirect_uri", "https://evil.example/cb"),
        ask().and("redirect_uri", WEB),
        Ask::clone(&ask()).with("client_id", "two").without("redirect_uri"),
    ] {
        send(&app, form("/authorize", &bad.pairs())).await.assert_error_here(StatusCode::BAD_REQUEST);
    }
    for (bad, error, state) in [
        (ask().with("scope", "admin"), "invalid_scope", Some(STATE)),
        (ask().without("code_challenge_method"), "invalid_request", Some(STATE)),
        (ask().and("state", "other"), "invalid_request", None),
    ] {
        send(&app, form("/authorize", &bad.pairs())).await.assert_error_at(WEB, error, state);
    }
}

/// A body of this type, or of several.
fn body(types: &[&str], body: impl Into<Body>) -> Request<Body> {
    let mut request = Request::post("/authorize").body(body.into()).unwrap();
    for value in types {
        request.headers_mut().append(header::CONTENT_TYPE, value.parse().unwrap());
    }
    request
}

/// RFC 6749 Appendix B
#[tokio::test]
async fn a_request_in_a_body_has_to_be_a_form() {
    const FORM: &str = "application/x-www-form-urlencoded";
    let (provider, _) = provider();
    let app = app(&provider);
    for types in
        [&[FORM][..], &["application/x-www-form-urlencoded; charset=UTF-8"], &["Application/X-WWW-Form-URLencoded"]]
    {
        let answer = send(&app, body(types, ask().query())).await;
        answer.sent_to("https://shift.example/authorize");
    }
    for (types, status) in [
        (&[][..], StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (&[""], StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (&["application/json"], StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (&["text/plain"], StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (&["multipart/form-data; boundary=x"], StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (&["application/x-www-form-urlencodedx"], StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (&[FORM, FORM], StatusCode::BAD_REQUEST),
        (&[FORM, "application/json"], StatusCode::BAD_REQUEST),
        (&["application/x-www-form-urlencoded, application/json"], StatusCode::BAD_REQUEST),
    ] {
        send(&app, body(types, ask().query())).await.assert_error_here(status);
    }
}

#[tokio::test]
async fn a_body_has_the_limits_of_a_query_and_what_cannot_be_read_is_refused() {
    const FORM: &[&str] = &["application/x-www-form-urlencoded"];
    let (provider, _) = provider();
    let app = app(&provider);
    let query = |length| padded(length).split_once('?').unwrap().1.to_owned();
    send(&app, body(FORM, query(16 * 1024))).await.sent_to("https://shift.example/authorize");
    let many = (0..101).fold(ask(), |asked, n| asked.with(&format!("p{n}"), "1"));
    for (text, status) in [
        (query(16 * 1024 + 1), StatusCode::PAYLOAD_TOO_LARGE),
        (query(64 * 1024), StatusCode::PAYLOAD_TOO_LARGE),
        (query(64 * 1024 + 1), StatusCode::PAYLOAD_TOO_LARGE),
        (many.query(), StatusCode::BAD_REQUEST),
        (format!("{}&x=%ff", ask().query()), StatusCode::BAD_REQUEST),
        (String::new(), StatusCode::BAD_REQUEST),
    ] {
        send(&app, body(FORM, text)).await.assert_error_here(status);
    }
    let (sender, broken) = Channel::<Bytes, io::Error>::new(1);
    sender.abort(io::ErrorKind::ConnectionReset.into());
    send(&app, body(FORM, Body::new(broken))).await.assert_error_here(StatusCode::BAD_REQUEST);
}

/// RFC 6749 §3.1: what stands in the query is not taken for a decision unless it is a request, complete or not
#[tokio::test]
async fn a_posted_query_with_any_mark_of_a_request_is_a_decision_and_needs_this_site() {
    let app = guarded();
    for mark in ["client_id", "response_type", "redirect_uri", "request_uri", "code_challenge"] {
        for query in
            [with_query("/authorize", &[(mark, "x")]), format!("/authorize?{mark}"), format!("/authorize?{mark}=")]
        {
            let mut posted = form(&query, &ask().pairs());
            posted.headers_mut().insert("sec-fetch-site", "cross-site".parse().unwrap());
            send(&app, posted).await.assert_error_here(StatusCode::FORBIDDEN);
        }
    }
}
