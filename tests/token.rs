//! The token endpoint: RFC 6749 §3.2, §4.1.3, §4.4 and §5, RFC 7636 §4.5 and §4.6, RFC 8707 §2.2.
//!
//! What refreshing means is in `refresh.rs`.

#[path = "support/shelf.rs"]
mod shelf;
#[path = "support/site.rs"]
mod site;
mod support;

use std::convert::Infallible;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use axum::body::{Body, Bytes};
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::channel::Channel;
use http_body_util::{Full, Limited};
use proptest::prelude::*;
use serde_json::json;
use shelf::{Gate, Op};
use site::*;
use support::{Answer, App, app, authorization, basic, bearer, builder, challenge, form, request, send, with_query, *};
use tower::ServiceExt;
use tower_oauth::testing::ManualClock;
use tower_oauth::{Client, GrantType, Holder, Issuance, MemoryStore, Provider, RevocationReason};

// ---- the request -----------------------------------------------------------------------------------------------------

/// RFC 6749 §3.2, RFC 9110 §15.5.6; OPTIONS is answered, for pages of other origins (tests/cors.rs)
#[tokio::test]
async fn only_post_is_taken() {
    let site = site();
    let code = site.code("profile").await;
    let before = site.shelf.records();
    for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE", "BREW"] {
        let mut asked = form("/token", &redemption(&code));
        *asked.method_mut() = method.parse().expect("a method");
        let answer = send(&site.app, asked).await;
        assert_refused(&answer, StatusCode::METHOD_NOT_ALLOWED, "invalid_request");
        assert_eq!(answer.header(header::ALLOW), "POST");
    }
    assert_eq!(site.shelf.records(), before);
}

/// A request with a body that is `text`, and with these content types.
fn typed(types: &[&[u8]], text: String) -> Request<Body> {
    let mut request = Request::post("/token").body(Body::from(text)).expect("a request");
    for value in types {
        let value = HeaderValue::from_bytes(value).expect("a header's value");
        request.headers_mut().append(header::CONTENT_TYPE, value);
    }
    request
}

/// RFC 6749 Appendix B; RFC 9110 §8.3.1: a media type's name is in any case, and may have parameters.
#[tokio::test]
async fn a_body_is_a_form_by_its_content_type() {
    let site = site();
    let text = encode(&refreshing("toa_rt_nobodys"));
    for good in [
        "application/x-www-form-urlencoded",
        "application/x-www-form-urlencoded; charset=UTF-8",
        "application/x-www-form-urlencoded;charset=utf-8",
        "APPLICATION/X-WWW-Form-Urlencoded ; charset=\"utf-8\"",
    ] {
        assert_invalid_grant(&send(&site.app, typed(&[good.as_bytes()], text.clone())).await);
    }
    let other: [&[u8]; 9] = [
        b"",
        b"application/json",
        b"multipart/form-data; boundary=a",
        b"text/plain",
        b"application/x-www-form-urlencodedx",
        b"application/x-www-form-urlencoded/",
        b"x-www-form-urlencoded",
        b"; application/x-www-form-urlencoded",
        b"application/x-www-form-urlencoded\xff",
    ];
    for bad in other {
        let answer = send(&site.app, typed(&[bad], text.clone())).await;
        assert_refused(&answer, StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request");
    }
    let answer = send(&site.app, typed(&[], text.clone())).await;
    assert_refused(&answer, StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request");
    // Several at once say nothing for certain: 400, and never 500.
    let form_type = &b"application/x-www-form-urlencoded"[..];
    for several in
        [&[form_type, form_type][..], &[form_type, b"text/plain"], &[b"application/x-www-form-urlencoded, text/plain"]]
    {
        assert_invalid_request(&send(&site.app, typed(several, text.clone())).await);
    }
}

fn padded(length: usize) -> Request<Body> {
    let mut text = encode(&refreshing("toa_rt_nobodys")) + "&padding=";
    text.extend(std::iter::repeat_n('a', length - text.len()));
    typed(&[b"application/x-www-form-urlencoded"], text)
}

/// RFC 9110 §15.5.14
#[tokio::test]
async fn a_body_of_64_kib_is_read_and_one_byte_more_is_413() {
    let site = site();
    assert_invalid_grant(&send(&site.app, padded(65_536)).await);
    let answer = send(&site.app, padded(65_537)).await;
    assert_refused(&answer, StatusCode::PAYLOAD_TOO_LARGE, "invalid_request");
}

/// An app may have a limit of its own outside.
#[tokio::test]
async fn a_body_beyond_an_outer_limit_is_413_too() {
    let site = site();
    for (limit, status) in [(1_024, StatusCode::PAYLOAD_TOO_LARGE), (1_025, StatusCode::BAD_REQUEST)] {
        let limited = padded(1_025).map(|body| Body::new(Limited::new(body, limit)));
        assert_eq!(send(&site.app, limited).await.status, status);
    }
}

#[tokio::test]
async fn a_body_comes_in_pieces_or_breaks_off() {
    let site = site();
    let code = site.code("profile").await;
    let before = site.shelf.records();
    let text = encode(&redemption(&code));
    let in_pieces = async |whole: bool| {
        let (mut pieces, body) = Channel::<Bytes, std::io::Error>::new(1);
        let asked = form("/token", &[]).map(|_| Body::new(body));
        let sent = async {
            for piece in text.as_bytes().chunks(7) {
                pieces.send_data(Bytes::copy_from_slice(piece)).await.expect("it is read");
            }
            if whole { drop(pieces) } else { pieces.abort(std::io::Error::other("gone")) }
        };
        tokio::join!(send(&site.app, asked), sent).0
    };
    assert_invalid_request(&in_pieces(false).await);
    assert_eq!(site.shelf.records(), before);
    Pair::of(&in_pieces(true).await);
}

#[tokio::test]
async fn a_hundred_parameters_are_read_and_one_more_is_refused() {
    let site = site();
    let with_more = |count: usize| {
        let more = (0..count).map(|number| format!("&p{number}=1")).collect::<String>();
        typed(&[b"application/x-www-form-urlencoded"], encode(&refreshing("toa_rt_nobodys")) + &more)
    };
    assert_invalid_grant(&send(&site.app, with_more(97)).await);
    assert_invalid_request(&send(&site.app, with_more(98)).await);
}

/// RFC 6749 Appendix B: UTF-8
#[tokio::test]
async fn a_parameter_that_is_no_utf8_is_refused() {
    let site = site();
    for more in ["&a=%ff", "&%ff=a", "&a=%c0%80", "&a=%ed%a0%80"] {
        let text = encode(&refreshing("toa_rt_nobodys")) + more;
        assert_invalid_request(&send(&site.app, typed(&[b"application/x-www-form-urlencoded"], text)).await);
    }
}

/// RFC 6749 §3.2: "Request and response parameters MUST NOT be included more than once."
#[tokio::test]
async fn a_repeated_parameter_is_invalid_request_and_consumes_nothing() {
    let site = site();
    let code = site.code("profile").await;
    let before = site.shelf.records();
    let good = redemption(&code);
    for (name, value) in good.clone() {
        for second in [value, "", "other"] {
            let mut params = good.clone();
            params.push((name, second));
            assert_invalid_request(&site.token(&params).await);
        }
    }
    for twice in [("scope", "profile"), ("unknown", ""), ("client_secret", ""), ("unknown", "x")] {
        assert_invalid_request(&site.token(&[&good[..], &[twice, twice]].concat()).await);
    }
    let text = encode(&good) + "&%63ode=other";
    assert_invalid_request(&send(&site.app, typed(&[b"application/x-www-form-urlencoded"], text)).await);
    assert_eq!(site.shelf.records(), before);
}

/// RFC 8707 §2, RFC 8693 §2.1
#[tokio::test]
async fn resource_and_audience_may_be_repeated() {
    let site = site();
    let code = site.code("profile").await;
    let twice = [("resource", ISSUER), ("resource", ISSUER), ("audience", "a"), ("audience", "b")];
    Pair::of(&site.token(&[&redemption(&code)[..], &twice].concat()).await);
}

/// RFC 6749 §3.2: "Parameters sent without a value MUST be treated as if they were omitted", "the authorization server
/// MUST ignore unrecognized request parameters".
#[tokio::test]
async fn an_empty_parameter_is_left_out_and_an_unknown_one_is_ignored() {
    let site = site();
    let code = site.code("profile").await;
    for name in ["grant_type", "code"] {
        assert_invalid_request(&site.token(&with(&redemption(&code), name, "")).await);
        assert_invalid_request(&site.token(&without(&redemption(&code), name)).await);
    }
    assert_invalid_request(&site.token(&with(&refreshing("x"), "refresh_token", "")).await);
    let more = [("scope", ""), ("resource", ""), ("client_secret", ""), ("username", "alice"), ("tenant", "acme")];
    let pair = Pair::of(&site.token(&[&with(&redemption(&code), "redirect_uri", "")[..], &more].concat()).await);
    let answer = site.token(&[&refreshing(&pair.refresh)[..], &more].concat()).await;
    assert_eq!(answer.json()["scope"], "profile");
}

/// RFC 6749 §2.3.1: such parameters "MUST NOT be included in the request URI", where logs keep them.
#[tokio::test]
async fn what_belongs_into_the_body_is_refused_in_the_query() {
    let site = site();
    let code = site.code("profile").await;
    let before = site.shelf.records();
    let at = |uri: String, params: &[(&str, &str)]| {
        let mut asked = form("/token", params);
        *asked.uri_mut() = uri.parse().expect("a path");
        asked
    };
    let in_query = with_query("/token", &redemption(&code));
    assert_invalid_request(&send(&site.app, at(in_query, &[])).await);
    for name in ["code", "code_verifier", "refresh_token", "client_id", "client_secret", "c%6fde"] {
        assert_invalid_request(&send(&site.app, at(format!("/token?{name}=x"), &redemption(&code))).await);
    }
    assert_eq!(site.shelf.records(), before);
    // Anything else there says nothing.
    Pair::of(&send(&site.app, at("/token?tenant=acme&grant_type=password".to_owned(), &redemption(&code))).await);
}

/// RFC 6749 §5.2
#[tokio::test]
async fn a_grant_type_is_missing_unknown_or_not_this_clients() {
    let site = site_with(|builder| {
        builder.client(Client::public("once").redirect_uri(WEB).grant_types([GrantType::AuthorizationCode]))
    });
    let code = site.code("profile").await;
    let (bad, redeemed) = (StatusCode::BAD_REQUEST, redemption(&code));
    for unknown in [
        "password",
        "implicit",
        "Authorization_Code",
        "authorization_code ",
        "urn:ietf:params:oauth:grant-type:device_code",
        "\u{0}",
    ] {
        assert_refused(&site.token(&with(&redeemed, "grant_type", unknown)).await, bad, "unsupported_grant_type");
    }
    for (client, grant_type) in [("public", "client_credentials"), ("once", "refresh_token")] {
        let params = [("grant_type", grant_type), ("refresh_token", "x")];
        assert_refused(&site.token_as(client, &params).await, bad, "unauthorized_client");
    }
    // Who asks comes before what for.
    let nobody = with(&with(&redeemed, "client_id", "nobody"), "grant_type", "password");
    assert_refused(&site.token(&nobody).await, StatusCode::UNAUTHORIZED, "invalid_client");
}

/// RFC 6749 §5.2: what the description may hold; and no answer says back what was sent.
#[tokio::test]
async fn no_answer_repeats_what_was_sent() {
    let site = site();
    let marked = "<b>\"mark'\r\n\u{0}\u{e9}\\";
    for name in ["grant_type", "code", "redirect_uri", "client_id", "code_verifier", "resource"] {
        let answer = site.token(&with(&redemption("toa_ac_nobodys"), name, marked)).await;
        assert_refused(&answer, answer.status, &answer.error());
        assert!(answer.status.is_client_error() && !answer.body.contains("mark"), "{answer:?}");
    }
    let code = site.code("profile").await;
    let pair = Pair::of(&site.token(&redemption(&code)).await);
    let answer = site.token(&with(&refreshing(&pair.refresh), "scope", marked)).await;
    assert_refused(&answer, StatusCode::BAD_REQUEST, "invalid_scope");
    assert!(!answer.body.contains("mark"));
}

/// RFC 3986 §6.2.2: paths match exactly, as they are written (CVE-2026-0976).
#[tokio::test]
async fn no_other_path_is_the_token_endpoint() {
    let site = site();
    let code = site.code("profile").await;
    let before = site.shelf.records();
    for path in ["/token/", "//token", "/token;x", "/%74oken", "/Token", "/token/../token", "/v1/token", "/tokens"] {
        let answer = send(&site.app, form(path, &redemption(&code))).await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::NOT_FOUND, ""), "{path}");
    }
    assert_eq!(site.shelf.records(), before);
    let absolute = form("http://elsewhere.example/token", &redemption(&code));
    Pair::of(&send(&site.app, absolute).await);
}

/// One provider for all the fuzzing.
fn fuzzed() -> App {
    static APP: OnceLock<App> = OnceLock::new();
    APP.get_or_init(|| app(&builder(&ManualClock::default()).build().expect("a good configuration"))).clone()
}

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), 0..most)
}

/// Names and values as they come, and some that mean something.
fn pairs() -> impl Strategy<Value = Vec<u8>> {
    let name = "(grant_type|code|refresh_token|client_id|client_secret|scope|resource|code_verifier|[a-z%&]{0,6})";
    let value = "(authorization_code|refresh_token|client_credentials|public|confidential|profile\
                 |toa_(ac|rt)_[A-Za-z0-9_-]{50,76}|%[0-9a-f]{2}|\\PC{0,12})";
    let pair = proptest::string::string_regex(&format!("{name}={value}")).expect("an expression");
    proptest::collection::vec(pair, 0..8).prop_map(|pairs| pairs.join("&").into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_024) })]

    /// RFC 6749 §5.2, RFC 9110 §15.6: bad input is the client's mistake and never ours.
    #[test]
    fn no_request_makes_it_fail(
        method in "(POST|POST|POST|GET|PUT|[A-Z]{1,9})",
        query in "(|\\?[a-z=&%]{0,12})",
        content_type in prop_oneof![Just(b"application/x-www-form-urlencoded".to_vec()), bytes(40)],
        authorization in proptest::option::of(prop_oneof![bytes(40), Just(b"Basic Y29uZmlkZW50aWFsOng=".to_vec())]),
        body in prop_oneof![pairs(), pairs(), bytes(200)],
    ) {
        let Ok(mut asked) = Request::builder().method(&*method).uri(format!("/token{query}")).body(Body::from(body)) else {
            return Ok(());
        };
        for (name, value) in [(header::CONTENT_TYPE, Some(content_type)), (header::AUTHORIZATION, authorization)] {
            if let Some(value) = value.and_then(|value| HeaderValue::from_bytes(&value).ok()) {
                asked.headers_mut().insert(name, value);
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let answer = runtime.block_on(async { send(&fuzzed(), asked).await });
        prop_assert!(matches!(answer.status.as_u16(), 400 | 401 | 405 | 415), "{answer:?}");
        assert_refused(&answer, answer.status, &answer.error());
    }
}

// ---- the response ----------------------------------------------------------------------------------------------------

/// RFC 6749 §5.1
#[tokio::test]
async fn a_token_response_has_the_standards_members_and_no_other() {
    let site = site();
    let code = site.code("profile notes:read").await;
    let answer = site.token(&redemption(&code)).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_uncached_json(&answer);
    let json = answer.json();
    let mut members: Vec<_> = json.as_object().expect("an object").keys().collect();
    members.sort();
    assert_eq!(members, ["access_token", "expires_in", "refresh_token", "scope", "token_type"]);
    assert_eq!((&json["token_type"], &json["expires_in"]), (&json!("Bearer"), &json!(600)));
    assert_eq!(json["scope"], "profile notes:read");
    let again = Pair::of(&answer);
    assert!(again.access.starts_with("toa_at_") && again.refresh.starts_with("toa_rt_"));
}

/// RFC 6749 §5.1: `expires_in` is measured by the clock by which the token ends.
#[tokio::test]
async fn a_token_lives_as_long_as_it_says() {
    let site = site_with(|builder| builder.access_token_lifetime(seconds(90)));
    let code = site.code("profile").await;
    let answer = site.token(&redemption(&code)).await;
    assert_eq!(answer.json()["expires_in"], 90);
    let access = Pair::of(&answer).access;
    site.clock.advance(seconds(89));
    assert!(site.is_good(&access).await);
    site.clock.advance(seconds(1));
    assert!(!site.is_good(&access).await);
}

/// RFC 6749 §5.1: the scope is said, also where it is not what was asked for.
#[tokio::test]
async fn the_scope_is_always_said() {
    let site = site();
    let challenge = challenge(VERIFIER);
    let url = with_query("/authorize", &authorization("public", WEB, &challenge));
    let code = send(&site.app, form(&url, &[])).await.redirected("code").expect("a code");
    assert_eq!(site.token(&redemption(&code)).await.json()["scope"], "profile");
}

/// RFC 6749 §4.1.3 names no `scope`: it cannot change what the user approved.
#[tokio::test]
async fn a_scope_beside_a_code_says_nothing() {
    let site = site();
    for asked in ["profile notes:write", "notes:write", "admin", "\"", "unknown"] {
        let code = site.code("profile").await;
        let answer = site.token(&with(&redemption(&code), "scope", asked)).await;
        assert_eq!(answer.json()["scope"], "profile", "{asked}");
        let notes = send(&site.app, bearer("/notes", &Pair::of(&answer).access)).await;
        assert_eq!(notes.status, StatusCode::FORBIDDEN);
    }
}

/// RFC 6749 §3.3: a scope has one token at least, so a provider that knows none says none.
#[tokio::test]
async fn a_provider_without_scopes_says_no_scope() {
    let clock = ManualClock::default();
    let provider = Provider::builder(ISSUER).store(MemoryStore::new()).clock(clock).client(public()).build();
    let provider = provider.expect("a good configuration");
    let page = axum::routing::any(async |request: tower_oauth::AuthorizationRequest| request.approve("alice"));
    let me = axum::routing::get(async || "me").route_layer(provider.bearer());
    let router = axum::Router::new().route("/authorize", page).route("/me", me).layer(provider.layer());
    let app = App::new(router.into_service());
    let challenge = challenge(VERIFIER);
    let url = with_query("/authorize", &authorization("public", WEB, &challenge));
    let code = send(&app, request(Method::GET, &url)).await.redirected("code").expect("a code");
    let answer = send(&app, form("/token", &redemption(&code))).await;
    assert_eq!(answer.json().get("scope"), None, "{answer:?}");
    let pair = Pair::of(&answer);
    assert_eq!(send(&app, bearer("/me", &pair.access)).await.status, StatusCode::OK);
    Pair::of(&send(&app, form("/token", &refreshing(&pair.refresh))).await);
}

/// RFC 6749 §1.5, §6: a client that is not registered for `refresh_token` gets none, and its grant ends with its token.
#[tokio::test]
async fn a_refresh_token_goes_only_to_clients_registered_for_it() {
    let site = site_with(|builder| {
        builder.client(Client::public("once").redirect_uri(WEB).grant_types([GrantType::AuthorizationCode]))
    });
    let code = code_of(&site.app, "once", WEB, "profile").await;
    let answer = site.token_as("once", &redemption(&code)).await;
    assert_eq!((answer.status, answer.json().get("refresh_token")), (StatusCode::OK, None));
    assert_eq!(answer.json()["expires_in"], 600);
    let access = answer.json()["access_token"].as_str().expect("a token").to_owned();
    site.clock.advance(seconds(599));
    assert!(site.is_good(&access).await);
    assert_eq!(site.provider.grants_of(&"alice".into()).await.expect("the shelf answers").len(), 1);
    site.clock.advance(seconds(1));
    assert!(!site.is_good(&access).await);
    assert_eq!(site.provider.grants_of(&"alice".into()).await.expect("the shelf answers").len(), 0);
}

// ---- codes -----------------------------------------------------------------------------------------------------------

/// RFC 7636 §4.6, CVE-2023-48228: the verifier is omitted, empty, twice, short, long, another, or the challenge.
#[tokio::test]
async fn a_code_with_a_challenge_needs_its_verifier_and_a_wrong_one_changes_nothing() {
    let site = site();
    let code = site.code("profile").await;
    let before = site.shelf.records();
    let good = redemption(&code);
    let (sent, long) = (challenge(VERIFIER), "a".repeat(129));
    assert_invalid_grant(&site.token(&without(&good, "code_verifier")).await);
    for wrong in [
        "",
        &VERIFIER[..42],
        &VERIFIER[1..],
        &format!("{VERIFIER}x"),
        &format!("{VERIFIER} "),
        &format!("{VERIFIER}\n"),
        &format!(" {VERIFIER}"),
        &VERIFIER.to_lowercase(),
        &"a".repeat(43),
        &"a".repeat(128),
        &long,
        &sent,
        "\u{e9}",
    ] {
        assert_invalid_grant(&site.token(&with(&good, "code_verifier", wrong)).await);
    }
    assert_invalid_request(&site.token(&[&good[..], &[("code_verifier", VERIFIER)]].concat()).await);
    assert_eq!(site.shelf.records(), before);
    Pair::of(&site.token(&good).await);
}

/// The code of the client that may do without PKCE.
async fn originals_code(app: &App, more: &[(&str, &str)]) -> String {
    let params = [&[("response_type", "code"), ("client_id", "original"), ("scope", "profile")], more].concat();
    let answer = send(app, form(&with_query("/authorize", &params), &[])).await;
    answer.redirected("code").unwrap_or_else(|| panic!("no code in {answer:?}"))
}

/// RFC 9700 §2.1.1 and §4.8.2: a verifier without a challenge is the mark of a downgrade.
#[tokio::test]
async fn a_verifier_for_a_code_without_a_challenge_is_refused() {
    let site = site();
    let code = originals_code(&site.app, &[("redirect_uri", WEB)]).await;
    let before = site.shelf.records();
    for verifier in [VERIFIER, "short", "not one of its characters, and longer than 43"] {
        assert_invalid_grant(&site.token_as("original", &with(&redemption(&code), "code_verifier", verifier)).await);
    }
    assert_eq!(site.shelf.records(), before);
    Pair::of(&site.token_as("original", &without(&redemption(&code), "code_verifier")).await);
}

/// OAuth 2.1 §4.1.3: a client that may do without PKCE and sent a challenge is held to it.
#[tokio::test]
async fn a_challenge_is_held_also_where_none_was_needed() {
    let site = site();
    let challenge = challenge(VERIFIER);
    let pkce = [("redirect_uri", WEB), ("code_challenge", &*challenge), ("code_challenge_method", "S256")];
    let code = originals_code(&site.app, &pkce).await;
    assert_invalid_grant(&site.token_as("original", &without(&redemption(&code), "code_verifier")).await);
    Pair::of(&site.token_as("original", &redemption(&code)).await);
}

/// RFC 6749 §4.1.3: "if the redirect_uri parameter was included in the authorization request [..] their values MUST be
/// identical"; OAuth 2.1 §10.2: with PKCE it may be left out.
#[tokio::test]
async fn the_redirect_uri_is_that_of_the_request_or_left_out_with_pkce() {
    let site = site();
    let code = site.code("profile").await;
    let before = site.shelf.records();
    for other in
        ["https://web.example/cb/", "https://web.example/CB", "https://WEB.example/cb", "https://evil.example/cb", "x"]
    {
        assert_invalid_grant(&site.token(&with(&redemption(&code), "redirect_uri", other)).await);
    }
    assert_eq!(site.shelf.records(), before);
    Pair::of(&site.token(&without(&redemption(&code), "redirect_uri")).await);
    // The port that a native app had at that moment belongs to it.
    let port = "http://127.0.0.1:49152/cb";
    let code = code_of(&site.app, "native", port, "profile").await;
    for other in [NATIVE, "http://127.0.0.1:49153/cb"] {
        assert_invalid_grant(&site.token_as("native", &with(&redemption(&code), "redirect_uri", other)).await);
    }
    Pair::of(&site.token_as("native", &with(&redemption(&code), "redirect_uri", port)).await);
}

/// RFC 6749 §4.1.3, without PKCE
#[tokio::test]
async fn without_pkce_the_redirect_uri_is_needed_if_it_was_sent() {
    let site = site();
    let bare = |code| without(&redemption(code), "code_verifier");
    let code = originals_code(&site.app, &[("redirect_uri", WEB)]).await;
    assert_invalid_grant(&site.token_as("original", &without(&bare(&code), "redirect_uri")).await);
    assert_invalid_grant(&site.token_as("original", &with(&bare(&code), "redirect_uri", "")).await);
    assert_invalid_grant(&site.token_as("original", &with(&bare(&code), "redirect_uri", NATIVE)).await);
    Pair::of(&site.token_as("original", &bare(&code)).await);

    let code = originals_code(&site.app, &[]).await;
    Pair::of(&site.token_as("original", &without(&bare(&code), "redirect_uri")).await);
    let code = originals_code(&site.app, &[]).await;
    assert_invalid_grant(&site.token_as("original", &with(&bare(&code), "redirect_uri", NATIVE)).await);
    Pair::of(&site.token_as("original", &bare(&code)).await);
}

/// RFC 8707 §2.2: what is wrong with a request is found before its code is consumed, so that it can be sent again.
#[tokio::test]
async fn a_wrong_resource_leaves_the_code_usable() {
    let site = site_with(|builder| builder.resource("https://shift.example/mcp"));
    let code = site.code("profile").await;
    let before = site.shelf.records();
    for wrong in ["https://shift.example/mcp", "https://evil.example", "https://shift.example#a", "x", "\u{0}"] {
        let answer = site.token(&with(&redemption(&code), "resource", wrong)).await;
        assert_refused(&answer, StatusCode::BAD_REQUEST, "invalid_target");
        let both = [&with(&redemption(&code), "resource", ISSUER)[..], &[("resource", wrong)]].concat();
        assert_refused(&site.token(&both).await, StatusCode::BAD_REQUEST, "invalid_target");
    }
    assert_eq!(site.shelf.records(), before);
    let answer = site.token(&with(&redemption(&code), "resource", "https://shift.example/")).await;
    assert!(site.is_good(&Pair::of(&answer).access).await);
}

/// RFC 8707 §2.2: a token may be for some of the resources that were approved.
#[tokio::test]
async fn a_resource_narrows_this_token_and_not_the_grant() {
    let site = site_with(|builder| builder.resource("https://shift.example/mcp"));
    let challenge = challenge(VERIFIER);
    let mut params = authorization("public", WEB, &challenge);
    params.extend([("resource", ISSUER), ("resource", "https://shift.example/mcp")]);
    let code = send(&site.app, form(&with_query("/authorize", &params), &[])).await.redirected("code").expect("a code");
    let narrowed = with(&redemption(&code), "resource", "https://shift.example/mcp");
    let pair = Pair::of(&site.token(&narrowed).await);
    assert!(!site.is_good(&pair.access).await, "a token for /mcp is not one for all of the origin");
    assert!(site.is_good(&Pair::of(&site.refresh(&pair.refresh).await).access).await);
}

const CLIENTS: [&str; 4] = ["public", "native", "confidential", "original"];

/// RFC 6749 §4.1.3, CVE-2026-55672: a code belongs to its client; in another's hands it is nothing, and its
/// owner's grant is not touched.
#[tokio::test]
async fn a_code_belongs_to_its_client() {
    let site = site();
    for owner in CLIENTS {
        let redirect_uri = redirect_uri_of(owner);
        let code = code_of(&site.app, owner, redirect_uri, "profile").await;
        let good = with(&redemption(&code), "redirect_uri", redirect_uri);
        let before = site.shelf.records();
        for thief in CLIENTS.into_iter().filter(|client| *client != owner) {
            assert_invalid_grant(&site.token_as(thief, &good).await);
            assert_invalid_grant(&site.token_as(thief, &with(&good, "resource", ISSUER)).await);
            assert_invalid_grant(&site.token_as(thief, &with(&good, "redirect_uri", redirect_uri_of(thief))).await);
        }
        assert_eq!(site.shelf.records(), before, "{owner}");
        let pair = Pair::of(&site.token_as(owner, &good).await);
        site.clock.advance(seconds(30));
        // Also a used code does nothing in another's hands.
        for thief in CLIENTS.into_iter().filter(|client| *client != owner) {
            assert_invalid_grant(&site.token_as(thief, &good).await);
        }
        assert!(site.is_good(&pair.access).await, "{owner}");
    }
}

/// RFC 6749 §4.1.2: "The client MUST NOT use the authorization code more than once". Browsers' apps do submit twice.
#[tokio::test]
async fn a_code_sent_twice_at_once_is_refused_the_second_time_and_harms_nothing() {
    let site = site();
    let code = site.code("profile").await;
    let pair = Pair::of(&site.token(&redemption(&code)).await);
    let before = site.shelf.records();
    assert_invalid_grant(&site.token(&redemption(&code)).await);
    site.clock.advance(seconds(4));
    assert_invalid_grant(&site.token(&redemption(&code)).await);
    assert_eq!(site.shelf.records(), before);
    assert!(site.is_good(&pair.access).await);
    Pair::of(&site.refresh(&pair.refresh).await);
}

/// RFC 6749 §4.1.2 and §10.5: then the server "SHOULD revoke (when possible) all tokens previously issued based on that
/// authorization code".
#[tokio::test]
async fn a_code_sent_again_later_ends_everything_that_came_of_it() {
    // Within the code's own life, at its end, and long after it: "used" is looked at before "expired".
    for later in [5, 59, 60, 3_600 * 24 * 30] {
        let site = site();
        let code = site.code("profile").await;
        let first = Pair::of(&site.token(&redemption(&code)).await);
        site.clock.advance(seconds(later));
        let second = Pair::of(&site.refresh(&first.refresh).await);
        assert!(site.is_good(&second.access).await);
        assert_invalid_grant(&site.token(&redemption(&code)).await);
        for access in [&first.access, &second.access] {
            assert!(!site.is_good(access).await, "after {later} s");
        }
        assert_invalid_grant(&site.refresh(&second.refresh).await);
        let reason = site.shelf.only().revoked().map(|(_, reason)| reason);
        assert_eq!(reason, Some(RevocationReason::CodeReuse));
    }
}

/// Without PKCE nothing says that the second sender is the first.
#[tokio::test]
async fn a_code_without_pkce_sent_twice_ends_everything_at_once() {
    let site = site();
    let code = originals_code(&site.app, &[("redirect_uri", WEB)]).await;
    let params = without(&redemption(&code), "code_verifier");
    let pair = Pair::of(&site.token_as("original", &params).await);
    assert_invalid_grant(&site.token_as("original", &params).await);
    assert!(!site.is_good(&pair.access).await);
}

/// A thief of the code alone, without its verifier, cannot end what came of it.
#[tokio::test]
async fn a_used_code_with_a_wrong_verifier_ends_nothing() {
    let site = site();
    let code = site.code("profile").await;
    let pair = Pair::of(&site.token(&redemption(&code)).await);
    let before = site.shelf.records();
    site.clock.advance(seconds(30));
    for wrong in [
        without(&redemption(&code), "code_verifier"),
        with(&redemption(&code), "code_verifier", "another-verifier-that-is-long-enough-for-43"),
        with(&redemption(&code), "redirect_uri", "https://evil.example/cb"),
    ] {
        assert_invalid_grant(&site.token(&wrong).await);
    }
    assert_eq!(site.shelf.records(), before);
    assert!(site.is_good(&pair.access).await);
}

/// RFC 6749 §4.1.2: a code "MUST expire shortly after it is issued".
#[tokio::test]
async fn a_code_lives_sixty_seconds() {
    for (age, good) in [(59, true), (60, false), (61, false)] {
        let site = site();
        let code = site.code("profile").await;
        site.clock.advance(seconds(age));
        let answer = site.token(&redemption(&code)).await;
        if good { drop(Pair::of(&answer)) } else { assert_invalid_grant(&answer) }
    }
    let site = site_with(|builder| builder.code_lifetime(seconds(10)));
    let code = site.code("profile").await;
    site.clock.advance(seconds(10));
    assert_invalid_grant(&site.token(&redemption(&code)).await);
}

/// RFC 6749 §5.2: one answer for whatever is wrong with a code, so that nobody learns which it was.
#[tokio::test]
async fn every_bad_code_gets_the_same_answer_to_the_byte() {
    let site = site();
    let (code, used, ended) = (site.code("profile").await, site.code("profile").await, site.code("profile").await);
    Pair::of(&site.token(&redemption(&used)).await);
    let foreign = Provider::builder("https://other.example").store(site.shelf.clone()).client(public());
    let foreign = app(&foreign.scope("profile", "see").scope("notes:read", "see").build().expect("a provider"));
    let foreign = support::code(&foreign, "profile").await;
    let pair = site.connect("profile").await;
    let mut forged = code.clone();
    forged.replace_range(56.., if code.ends_with('A') { "Q" } else { "A" });
    let mut answers = Vec::new();
    for params in [
        redemption("x"),
        redemption("toa_ac_"),
        redemption(&forged),
        redemption(&foreign),
        redemption(&pair.access),
        redemption(&pair.refresh),
        redemption(&used),
        with(&redemption(&code), "code_verifier", "another-verifier-that-is-long-enough-for-43"),
        with(&redemption(&code), "code_verifier", "short"),
        with(&redemption(&code), "redirect_uri", "https://evil.example/cb"),
        with(&redemption(&code), "client_id", "native"),
        with(&with(&redemption(&code), "client_id", "native"), "resource", "https://evil.example"),
    ] {
        answers.push(site.token(&params).await);
    }
    site.clock.advance(seconds(60));
    answers.push(site.token(&redemption(&ended)).await);
    let same = |answer: &Answer| (answer.status, answer.headers.clone(), answer.body.clone());
    for answer in &answers {
        assert_invalid_grant(answer);
        assert_eq!(same(answer), same(&answers[0]));
    }
}

/// A code that was not made here is refused by its tag: no store is asked.
#[tokio::test]
async fn a_forged_code_never_reaches_the_store() {
    let site = site();
    let code = site.code("profile").await;
    site.shelf.steps();
    for at in 0..code.len() {
        let mut forged = code.clone().into_bytes();
        forged[at] = if forged[at] == b'B' { b'C' } else { b'B' };
        let forged = String::from_utf8(forged).expect("text");
        assert_invalid_grant(&site.token(&redemption(&forged)).await);
    }
    assert_eq!(site.shelf.steps(), []);
    Pair::of(&site.token(&redemption(&code)).await);
    assert_eq!(site.shelf.steps(), [Op::Redeem]);
}

/// A client that lost every scope since the approval gets no token; RFC 6749 §3.3 knows no empty scope.
#[tokio::test]
async fn a_client_that_lost_all_scopes_gets_no_token_for_its_code() {
    for more in [&[][..], &[("resource", ISSUER)]] {
        let site = site();
        let client = |scope| Client::public("kept").redirect_uri(WEB).scope(scope);
        site.shelf.register(client("profile"));
        let code = code_of(&site.app, "kept", WEB, "profile").await;
        site.shelf.register(client("notes:read"));
        let before = site.shelf.records();
        let answer = site.token_as("kept", &[&redemption(&code)[..], more].concat()).await;
        assert_refused(&answer, StatusCode::BAD_REQUEST, "invalid_scope");
        // Where the record is looked at first, nothing is consumed either.
        assert_eq!(site.shelf.records() == before, !more.is_empty());
    }
}

// ---- client credentials ----------------------------------------------------------------------------------------------

const MACHINE: [(&str, &str); 1] = [("grant_type", "client_credentials")];

fn access_of(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()["access_token"].as_str().expect("a token").to_owned()
}

/// RFC 6749 §4.4.3: "A refresh token SHOULD NOT be included."
#[tokio::test]
async fn a_client_acts_for_itself_without_a_refresh_token() {
    let site = site();
    let answer = site.token_as("confidential", &MACHINE).await;
    assert_uncached_json(&answer);
    let json = answer.json();
    let mut members: Vec<_> = json.as_object().expect("an object").keys().collect();
    members.sort();
    assert_eq!(members, ["access_token", "expires_in", "scope", "token_type"]);
    assert_eq!(json["scope"], "profile notes:read notes:write offline_access");
    let me = site.show(&access_of(&answer)).await.json();
    assert_eq!((&me["sub"], &me["client_id"]), (&json!("confidential"), &json!("confidential")));
    assert_eq!(site.shelf.only().subject(), None);
}

/// RFC 6749 §4.4.2, §3.3
#[tokio::test]
async fn a_client_that_acts_for_itself_gets_what_it_asks_for_and_may_have() {
    let client = |id: &str, scope: &str| {
        Client::confidential(id, SECRET).grant_types([GrantType::ClientCredentials]).scope(scope)
    };
    let site = site_with(|builder| builder.client(client("cron", "notes:read admin")));
    let ask = async |scope: &str| {
        let params = with(&MACHINE, "scope", scope);
        send(&site.app, basic(form("/token", &params), "cron", SECRET)).await
    };
    for (asked, given) in [("notes:read", "notes:read"), ("", "notes:read")] {
        assert_eq!(ask(asked).await.json()["scope"], given);
    }
    for refused in ["profile", "notes:read profile", "admin", "unknown", "\"", " ", "notes:read,profile"] {
        assert_refused(&ask(refused).await, StatusCode::BAD_REQUEST, "invalid_scope");
    }
    let access = access_of(&ask("notes:read").await);
    assert_eq!(send(&site.app, bearer("/notes", &access)).await.status, StatusCode::OK);
    assert_eq!(send(&site.app, bearer("/profile", &access)).await.status, StatusCode::FORBIDDEN);
}

/// RFC 8707 §2.2
#[tokio::test]
async fn a_client_that_acts_for_itself_gets_tokens_for_the_resources_it_names() {
    let site = site_with(|builder| builder.resource("https://shift.example/mcp"));
    let ask = async |resource: &str| site.token_as("confidential", &with(&MACHINE, "resource", resource)).await;
    assert!(site.is_good(&access_of(&ask(ISSUER).await)).await);
    assert!(!site.is_good(&access_of(&ask("https://shift.example/mcp").await)).await);
    for wrong in ["https://shift.example/mcp/", "https://evil.example", "x"] {
        assert_refused(&ask(wrong).await, StatusCode::BAD_REQUEST, "invalid_target");
    }
}

/// RFC 6749 §4.4: "MUST only be used by confidential clients", also where a store says otherwise.
#[tokio::test]
async fn a_public_client_never_acts_for_itself() {
    let site = site();
    site.shelf.register(Client::public("kept").grant_types([GrantType::ClientCredentials]));
    let answer = site.token_as("kept", &MACHINE).await;
    assert_refused(&answer, StatusCode::BAD_REQUEST, "unauthorized_client");
}

/// One record an hour for each client, whatever it asks for, so that asking fills no store.
#[tokio::test]
async fn a_client_that_acts_for_itself_has_one_grant_an_hour() {
    let site = site_with(|builder| builder.resource("https://shift.example/mcp"));
    let all = ["", "profile", "notes:read", "profile notes:read", "notes:read profile", "notes:write offline_access"];
    for scope in all {
        access_of(&site.token_as("confidential", &with(&MACHINE, "scope", scope)).await);
    }
    assert_eq!(site.shelf.records().len(), 1);
    // The same resources in another order are the same resources.
    let (a, b) = (("resource", ISSUER), ("resource", "https://shift.example/mcp"));
    for resources in [[a, b], [b, a]] {
        access_of(&site.token_as("confidential", &[&MACHINE[..], &resources].concat()).await);
    }
    assert_eq!(site.shelf.records().len(), 2);
    site.clock.advance(seconds(3_599));
    let last = access_of(&site.token_as("confidential", &MACHINE).await);
    assert_eq!(site.shelf.records().len(), 2);
    site.clock.advance(seconds(1));
    access_of(&site.token_as("confidential", &MACHINE).await);
    assert_eq!(site.shelf.records().len(), 3);
    // A token of the last second lives as long as any other.
    site.clock.advance(seconds(598));
    assert!(site.is_good(&last).await);
    site.clock.advance(seconds(1));
    assert!(!site.is_good(&last).await);
}

/// Ending a client's grants ends its own tokens too, and does not lock it out: that is the registration's to say.
#[tokio::test]
async fn a_revoked_grant_of_a_client_for_itself_ends_its_tokens_and_the_next_is_new() {
    let site = site();
    let old = access_of(&site.token_as("confidential", &MACHINE).await);
    let ended = site.provider.revoke_all(&Holder::Client("confidential".into())).await;
    assert_eq!(ended.expect("the shelf answers"), 1);
    assert!(!site.is_good(&old).await);
    let new = access_of(&site.token_as("confidential", &MACHINE).await);
    assert!(site.is_good(&new).await && !site.is_good(&old).await);
    // The same where the record is gone, as after a restart of a store that keeps nothing.
    site.shelf.put_back(Default::default());
    assert!(!site.is_good(&new).await);
    let newer = access_of(&site.token_as("confidential", &MACHINE).await);
    assert!(site.is_good(&newer).await);
}

/// A token carries 64 scopes at most; beyond that a client has to say which, and never gets a token for nothing.
#[tokio::test]
async fn a_provider_of_more_than_64_scopes_gives_no_empty_token() {
    let site = site_with(|builder| (0..70).fold(builder, |builder, n| builder.scope(format!("s{n}"), "do")));
    let ask = async |scope: &str| site.token_as("confidential", &with(&MACHINE, "scope", scope)).await;
    assert_eq!(ask("").await.json()["scope"].as_str().expect("a scope").split(' ').count(), 64);
    assert_eq!(ask("s1 s69").await.json()["scope"], "s1");
    assert_refused(&ask("s69").await, StatusCode::BAD_REQUEST, "invalid_scope");
}

// ---- the hook --------------------------------------------------------------------------------------------------------

/// Every way to a token, one after the other: each with the client, and its good request.
async fn every_grant_type(site: &Site) -> [(&'static str, Answer); 3] {
    let code = site.code("profile").await;
    let exchanged = site.token(&redemption(&code)).await;
    let refreshed = site.refresh(&Pair::of(&exchanged).refresh).await;
    let machine = site.token_as("confidential", &MACHINE).await;
    [("authorization_code", exchanged), ("refresh_token", refreshed), ("client_credentials", machine)]
}

/// `on_issue`
#[tokio::test]
async fn the_hook_sees_every_grant_type_and_sets_life_and_members() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let hook = {
        let seen = Arc::clone(&seen);
        move |token: Issuance| {
            let said = format!(
                "{} {} {:?} {}",
                token.grant_type().as_str(),
                token.client().id(),
                token.grant().subject(),
                token.scope()
            );
            seen.lock().expect("no panic").push(said);
            async { Ok::<_, Infallible>(token.member("tenant", "acme").access_token_lifetime(seconds(42))) }
        }
    };
    let site = site_with(|builder| builder.on_issue(hook));
    for (grant_type, answer) in every_grant_type(&site).await {
        let json = answer.json();
        assert_eq!((&json["tenant"], &json["expires_in"]), (&json!("acme"), &json!(42)), "{grant_type}");
    }
    let expected = [
        "authorization_code public Some(\"alice\") profile",
        "refresh_token public Some(\"alice\") profile",
        "client_credentials confidential None profile notes:read notes:write offline_access",
    ];
    assert_eq!(*seen.lock().expect("no panic"), expected);
}

/// RFC 6749 §5.1: what the standard says is the provider's to say.
#[tokio::test]
async fn the_hook_cannot_replace_or_add_what_the_standard_names() {
    let names = ["access_token", "token_type", "expires_in", "scope", "refresh_token"];
    let hook = move |token: Issuance| async move {
        Ok::<_, Infallible>(names.into_iter().fold(token, |token, name| token.member(name, "replaced")))
    };
    let site = site_with(|builder| builder.on_issue(hook));
    for (grant_type, answer) in every_grant_type(&site).await {
        assert!(!answer.body.contains("replaced"), "{grant_type}: {answer:?}");
        assert_eq!(answer.json()["expires_in"], 600);
        assert_eq!(answer.json().get("refresh_token").is_some(), grant_type != "client_credentials");
    }
}

/// A life is one second at least and 24 hours at most, the same for every grant type.
#[tokio::test]
async fn the_hook_gives_lives_of_one_second_to_one_day() {
    for (asked, given) in
        [(Duration::ZERO, 1), (Duration::from_millis(1_500), 1), (seconds(86_400), 86_400), (Duration::MAX, 86_400)]
    {
        let hook = move |token: Issuance| async move { Ok::<_, Infallible>(token.access_token_lifetime(asked)) };
        let site = site_with(|builder| {
            builder
                .on_issue(hook)
                .client(Client::public("once").redirect_uri(WEB).grant_types([GrantType::AuthorizationCode]))
        });
        // The grant of a client that acts for itself is almost an hour old then.
        access_of(&site.token_as("confidential", &MACHINE).await);
        site.clock.advance(seconds(3_599));
        for (grant_type, answer) in every_grant_type(&site).await {
            assert_eq!(answer.json()["expires_in"], given, "{grant_type} {asked:?}");
        }
        let code = code_of(&site.app, "once", WEB, "profile").await;
        let answer = site.token_as("once", &redemption(&code)).await;
        assert_eq!(answer.json()["expires_in"], given);
        site.clock.advance(seconds(given - 1));
        assert!(site.is_good(&access_of(&answer)).await);
        site.clock.advance(seconds(1));
        assert!(!site.is_good(&access_of(&answer)).await);
    }
}

/// A hook that fails is a provider that cannot answer now: 503, and nothing is consumed.
#[tokio::test]
async fn a_hook_that_fails_is_503_and_consumes_nothing() {
    let works = Arc::new(Mutex::new(true));
    let hook = {
        let works = Arc::clone(&works);
        move |token: Issuance| {
            let works = *works.lock().expect("no panic");
            async move { if works { Ok(token) } else { Err("the tenants' database is down") } }
        }
    };
    let site = site_with(|builder| builder.on_issue(hook));
    let (code, pair) = (site.code("profile").await, site.connect("profile").await);
    access_of(&site.token_as("confidential", &MACHINE).await);
    let before = site.shelf.records();
    *works.lock().expect("no panic") = false;
    assert_unavailable(&site.token(&redemption(&code)).await);
    assert_unavailable(&site.refresh(&pair.refresh).await);
    assert_unavailable(&site.token_as("confidential", &MACHINE).await);
    assert_eq!(site.shelf.records(), before);
    *works.lock().expect("no panic") = true;
    Pair::of(&site.token(&redemption(&code)).await);
    Pair::of(&site.refresh(&pair.refresh).await);
    access_of(&site.token_as("confidential", &MACHINE).await);
}

// ---- when things break -----------------------------------------------------------------------------------------------

/// keycloak#49213: a step that failed consumes nothing; and a store that is down is never a refusal.
#[tokio::test]
async fn a_store_that_is_down_is_503_and_consumes_nothing() {
    let site = site();
    let (code, pair) = (site.code("profile").await, site.connect("profile").await);
    let with_resource = with(&redemption(&code), "resource", ISSUER);
    let refresh = refreshing(&pair.refresh);
    let before = site.shelf.records();
    for (op, client, params) in [
        (Op::Redeem, "public", &redemption(&code)),
        (Op::Find, "public", &with_resource),
        (Op::Redeem, "public", &with_resource),
        (Op::Find, "public", &refresh),
        (Op::Rotate, "public", &refresh),
        (Op::Create, "confidential", &MACHINE.to_vec()),
    ] {
        site.shelf.take_down(&[op]);
        assert_unavailable(&site.token_as(client, params).await);
        assert_eq!(site.shelf.records(), before, "{op:?}");
    }
    site.shelf.repair();
    Pair::of(&site.token(&redemption(&code)).await);
    Pair::of(&site.token(&refresh).await);
    access_of(&site.token_as("confidential", &MACHINE).await);
    site.shelf.take_down(&[Op::Find]);
    assert_unavailable(&site.token_as("confidential", &MACHINE).await);
}

/// A code whose answer was lost is used up: its owner starts anew, and what nobody received harms nobody.
#[tokio::test]
async fn a_redemption_whose_answer_was_lost_is_503_and_hands_out_nothing() {
    let site = site();
    let code = site.code("profile").await;
    site.shelf.lose_answers(&[Op::Redeem]);
    let answer = site.token(&redemption(&code)).await;
    assert_unavailable(&answer);
    assert!(!answer.body.contains("toa_"));
    site.shelf.repair();
    assert_invalid_grant(&site.token(&redemption(&code)).await);
    Pair::of(&site.token(&redemption(&site.code("profile").await)).await);
}

/// Lets whatever was begun go on as far as it can.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// A client that hangs up cancels nothing: what was begun is done to its end.
#[tokio::test]
async fn a_client_that_hangs_up_cancels_nothing() {
    let gate = Arc::new(Gate::default());
    let hook = {
        let gate = Arc::clone(&gate);
        move |token: Issuance| {
            let gate = Arc::clone(&gate);
            async move {
                gate.reached.notify_one();
                gate.open.notified().await;
                Ok::<_, Infallible>(token)
            }
        }
    };
    let site = site_with(|builder| builder.on_issue(hook));
    let code = site.code("profile").await;
    let mut response = Box::pin(site.app.clone().oneshot(form("/token", &redemption(&code))));
    tokio::select! {
        biased;
        answer = &mut response => panic!("{answer:?}"),
        () = gate.reached.notified() => {}
    }
    drop(response);
    settle().await;
    assert_eq!(site.shelf.only().redeemed_at(), None);
    gate.open.notify_one();
    settle().await;
    assert!(site.shelf.only().redeemed_at().is_some());
}

/// The same while the store is at work.
#[tokio::test]
async fn a_client_that_hangs_up_while_the_store_works_leaves_a_whole_record() {
    let site = site();
    let pair = site.connect("profile").await;
    let gate = site.shelf.hold(Op::Find);
    let mut response = Box::pin(site.app.clone().oneshot(form("/token", &refreshing(&pair.refresh))));
    tokio::select! {
        biased;
        answer = &mut response => panic!("{answer:?}"),
        () = gate.reached.notified() => {}
    }
    drop(response);
    assert_eq!(site.shelf.only().generation(), 0);
    gate.open.notify_one();
    settle().await;
    assert_eq!(site.shelf.only().generation(), 1);
    // Its owner heard nothing, asks again, and stays connected.
    let again = Pair::of(&site.refresh(&pair.refresh).await);
    Pair::of(&site.refresh(&again.refresh).await);
}

/// Before its request is whole, nothing was begun.
#[tokio::test]
async fn a_client_that_hangs_up_before_its_request_is_whole_consumes_nothing() {
    let site = site();
    let code = site.code("profile").await;
    let text = encode(&redemption(&code));
    let (mut pieces, body) = Channel::<Bytes>::new(1);
    pieces.send_data(text.clone().into()).await.expect("there is room");
    let mut response = Box::pin(site.app.clone().oneshot(form("/token", &[]).map(|_| Body::new(body))));
    tokio::select! {
        biased;
        answer = &mut response => panic!("{answer:?}"),
        () = settle() => {}
    }
    drop(response);
    settle().await;
    assert_eq!(site.shelf.only().redeemed_at(), None);
    let whole = form("/token", &[]).map(|_| Body::new(Full::new(Bytes::from(text))));
    Pair::of(&send(&site.app, whole).await);
}

/// What a hook does wrong is the app's to see, and consumes nothing.
#[tokio::test]
async fn a_hook_that_panics_consumes_nothing() {
    let hook = |_: Issuance| async { panic!("a mistake of the app's own") as Result<Issuance, Infallible> };
    let site = site_with(|builder| builder.on_issue(hook));
    let code = site.code("profile").await;
    let asked = tokio::spawn(site.app.clone().oneshot(form("/token", &redemption(&code))));
    assert!(asked.await.expect_err("it panics").is_panic());
    assert_eq!(site.shelf.only().redeemed_at(), None);
}

/// RFC 7592 §2.3: nothing begins for a client that is deleted meanwhile, where whoever deletes it ends what it had
#[tokio::test]
async fn a_client_that_is_gone_meanwhile_gets_nothing_for_itself() {
    let site = site();
    let client = || Client::confidential("cron", SECRET).grant_types([GrantType::ClientCredentials]);
    site.shelf.register(client());
    let ask = || {
        let (app, asked) = (site.app.clone(), form("/token", &[("grant_type", "client_credentials")]));
        tokio::spawn(async move { send(&app, basic(asked, "cron", SECRET)).await })
    };
    let gate = site.shelf.hold(Op::Client);
    let asking = ask();
    gate.reached.notified().await;
    site.shelf.forget("cron");
    site.provider.revoke_all(&Holder::Client("cron".into())).await.expect("it answers");
    gate.open.notify_one();
    let answer = asking.await.expect("it ends");
    assert_refused(&answer, StatusCode::UNAUTHORIZED, "invalid_client");
    assert!(site.shelf.only().revoked().is_some(), "what it got meanwhile is ended");
    // Under the same name there is another one, with a grant of its own.
    site.shelf.register(client());
    let tokens = ask().await.expect("it ends");
    let access = tokens.json()["access_token"].as_str().expect("a token").to_owned();
    assert!(site.is_good(&access).await);
}
