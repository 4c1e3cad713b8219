//! Who the client is: RFC 6749 §2.3, RFC 7591 §2.

#[path = "support/shelf.rs"]
mod shelf;
mod support;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use form_urlencoded::byte_serialize;
use http::{HeaderValue, Request, StatusCode, header};
use proptest::prelude::*;
use shelf::{Op, Shelf};
use support::{Answer, App, app, basic, builder, form, send, *};
use tower_oauth::testing::ManualClock;
use tower_oauth::{AuthMethod, Client, Clock, GrantType, Provider};

const OTHER: &str = "another-secret-of-32-characters-or-more";

/// A refresh with a token that nobody has: `invalid_grant` says that the client is known, `invalid_client` that it is not.
const PARAMS: [(&str, &str); 2] = [("grant_type", "refresh_token"), ("refresh_token", "toa_rt_nobodys")];

fn with(more: &[(&str, &str)]) -> Request<Body> {
    form("/token", &[&PARAMS, more].concat())
}

fn authorization(value: impl AsRef<[u8]>, more: &[(&str, &str)]) -> Request<Body> {
    let mut request = with(more);
    let value = HeaderValue::from_bytes(value.as_ref()).expect("a header's value");
    request.headers_mut().insert(header::AUTHORIZATION, value);
    request
}

fn post() -> Client {
    Client::confidential("post", SECRET).redirect_uri(WEB).token_endpoint_auth_method(AuthMethod::ClientSecretPost)
}

fn site() -> App {
    app(&builder(&ManualClock::default()).client(post()).build().expect("a good configuration"))
}

#[track_caller]
fn assert_known(answer: &Answer) {
    assert_eq!((answer.status, &*answer.error()), (StatusCode::BAD_REQUEST, "invalid_grant"), "{answer:?}");
}

#[track_caller]
fn assert_unknown(answer: &Answer) {
    assert_eq!((answer.status, &*answer.error()), (StatusCode::UNAUTHORIZED, "invalid_client"), "{answer:?}");
    assert_eq!(answer.header(header::WWW_AUTHENTICATE), "Basic realm=\"client authentication\"");
    assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
}

#[track_caller]
fn assert_invalid(answer: &Answer) {
    assert_eq!((answer.status, &*answer.error()), (StatusCode::BAD_REQUEST, "invalid_request"), "{answer:?}");
}

/// RFC 6749 §2.3.1 and Appendix B
#[tokio::test]
async fn id_and_secret_are_form_encoded_before_they_are_put_together() {
    let (id, secret) = ("an app: 100%+1", "a+secret:with %-&=\u{e9}\u{1f511}, and 32 bytes");
    let client = Client::confidential(id, secret).redirect_uri(WEB);
    let app = app(&builder(&ManualClock::default()).client(client).build().expect("a good configuration"));
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();

    assert_known(&send(&app, basic(with(&[]), &encoded(id), &encoded(secret))).await);
    assert_unknown(&send(&app, basic(with(&[]), id, secret)).await);
    assert_unknown(&send(&app, basic(with(&[]), &encoded(&encoded(id)), &encoded(secret))).await);
    // %20 is a space as `+` is, and what need not be encoded may be.
    let every_byte = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    assert_known(&send(&app, basic(with(&[]), &every_byte(id), &every_byte(secret))).await);
}

/// RFC 7617 §2: the id ends at the first colon; what follows is the secret's.
#[tokio::test]
async fn the_pair_is_split_at_its_first_colon() {
    let secret = "a:secret:with:colons:of:32:bytes:";
    let client = Client::confidential("colons", secret).redirect_uri(WEB);
    let named = Client::confidential("colons:a", OTHER).redirect_uri(WEB);
    let provider = builder(&ManualClock::default()).client(client).client(named).build();
    let app = app(&provider.expect("a good configuration"));
    assert_known(&send(&app, basic(with(&[]), "colons", secret)).await);
    assert_unknown(&send(&app, basic(with(&[]), "colons:a", OTHER)).await);
    assert_known(&send(&app, basic(with(&[]), "colons%3Aa", OTHER)).await);
}

/// RFC 9110 §11.1: a scheme's name is in any case.
#[tokio::test]
async fn the_scheme_is_in_any_case_with_one_space_or_more() {
    let app = site();
    let pair = STANDARD.encode(format!("confidential:{SECRET}"));
    for value in [format!("Basic {pair}"), format!("basic {pair}"), format!("BASIC  {pair}")] {
        assert_known(&send(&app, authorization(value, &[])).await);
    }
}

/// RFC 6749 §2.3.1: credentials "MUST NOT be included in the request URI".
#[tokio::test]
async fn credentials_in_the_query_are_refused() {
    let app = site();
    let credentials = [("client_id", "post"), ("client_secret", SECRET)];
    assert_known(&send(&app, with(&credentials)).await);
    let encoded = encode(&credentials);
    for query in [
        &*encoded,
        "client_id=post",
        &format!("client_secret={SECRET}"),
        "client_secret",
        "%63lient_secret=x",
        "a=b&client_assertion=x",
        "%ff",
    ] {
        let mut request = with(&credentials);
        *request.uri_mut() = format!("/token?{query}").parse().expect("a path");
        assert_invalid(&send(&app, request).await);
        let mut request = with(&[]);
        *request.uri_mut() = format!("/token?{query}").parse().expect("a path");
        assert_invalid(&send(&app, request).await);
    }
}

/// RFC 6749 §2.3: "The client MUST NOT use more than one authentication method in each request."
#[tokio::test]
async fn two_methods_in_one_request_are_invalid_request() {
    let app = site();
    for body in [&[("client_secret", SECRET)][..], &[("client_id", "confidential"), ("client_secret", SECRET)]] {
        assert_invalid(&send(&app, basic(with(body), "confidential", SECRET)).await);
    }
    let mut request = basic(with(&[]), "confidential", SECRET);
    let value = request.headers()[header::AUTHORIZATION].clone();
    request.headers_mut().append(header::AUTHORIZATION, value);
    assert_invalid(&send(&app, request).await);
    let mut request = basic(with(&[]), "confidential", SECRET);
    request.headers_mut().append(header::AUTHORIZATION, HeaderValue::from_static("Bearer x"));
    assert_invalid(&send(&app, request).await);
}

/// RFC 7521 §4.2 has the rule for assertions; it is taken for the header too, where many clients repeat their name.
#[tokio::test]
async fn the_body_may_repeat_the_name_in_the_header_and_no_other() {
    let app = site();
    assert_known(&send(&app, basic(with(&[("client_id", "confidential")]), "confidential", SECRET)).await);
    assert_known(&send(&app, basic(with(&[("client_id", "")]), "confidential", SECRET)).await);
    assert_invalid(&send(&app, basic(with(&[("client_id", "post")]), "confidential", SECRET)).await);
    assert_invalid(&send(&app, basic(with(&[("client_id", "nobody")]), "confidential", SECRET)).await);
}

/// RFC 6749 §5.2: `invalid_client`, and 401 with a challenge where the client tried the header.
#[tokio::test]
async fn a_malformed_authorization_header_is_invalid_client() {
    let app = site();
    let encoded = |pair: &[u8]| format!("Basic {}", STANDARD.encode(pair)).into_bytes();
    let good = encoded(format!("confidential:{SECRET}").as_bytes());
    for value in [
        b"".to_vec(),
        b"Basic".to_vec(),
        b"Basic ".to_vec(),
        b"Basic =".to_vec(),
        b"Basic %%%".to_vec(),
        b"Basic \xff\xff".to_vec(),
        b"Basic Y29uZmlkZW50aWFs".to_vec(),
        encoded(b"no colon"),
        encoded(b"\xff\xfe:\xff"),
        encoded(b"%ff:%ff"),
        [&good[..], b"="].concat(),
        [&good[..], b" trailing"].concat(),
        good.strip_prefix(b"Basic ").expect("a scheme").to_vec(),
        [b"Digest ", &good[6..]].concat(),
        [b"Bearer ", &good[6..]].concat(),
        [b"Basic\t", &good[6..]].concat(),
    ] {
        assert_unknown(&send(&app, authorization(&value, &[])).await);
        // Also beside what would be good without the header: one method, and this one fails.
        assert_unknown(&send(&app, authorization(&value, &[("client_id", "public")])).await);
    }
    for pair in [":", "confidential:", &format!(":{SECRET}"), "\0:\0"] {
        assert_unknown(&send(&app, authorization(encoded(pair.as_bytes()), &[])).await);
    }
    assert_known(&send(&app, authorization(good, &[])).await);
}

/// RFC 6749 §5.2: no authentication at all.
#[tokio::test]
async fn a_request_without_a_client_is_invalid_client() {
    let app = site();
    for body in [&[][..], &[("client_id", "")], &[("client_secret", SECRET)], &[("client_id", "nobody")]] {
        assert_unknown(&send(&app, with(body)).await);
    }
}

/// RFC 7591 §2: `token_endpoint_auth_method` is one method, and exactly that one.
#[tokio::test]
async fn a_client_authenticates_in_exactly_the_registered_way() {
    let app = site();
    for client in ["confidential", "post", "public"] {
        let presentations = [
            ("confidential", basic(with(&[]), client, SECRET)),
            ("confidential", basic(with(&[("client_id", client)]), client, SECRET)),
            ("post", with(&[("client_id", client), ("client_secret", SECRET)])),
            ("public", with(&[("client_id", client)])),
            ("public", with(&[("client_id", client), ("client_secret", "")])),
            ("nobody", basic(with(&[]), client, "")),
            ("nobody", basic(with(&[]), client, OTHER)),
            ("nobody", with(&[("client_id", client), ("client_secret", OTHER)])),
        ];
        for (at, (whose, request)) in presentations.into_iter().enumerate() {
            let answer = send(&app, request).await;
            if whose == client {
                assert_known(&answer)
            } else {
                assert_unknown(&answer)
            }
            assert!(at < 8);
        }
    }
}

/// CVE-2026-22746: whoever asks learns nothing of who is registered, and how.
#[tokio::test]
async fn unknown_client_wrong_secret_and_wrong_method_get_byte_equal_answers() {
    let app = site();
    let mut answers = Vec::new();
    for request in [
        basic(with(&[]), "nobody", SECRET),
        basic(with(&[]), "nobody", ""),
        basic(with(&[]), "confidential", OTHER),
        basic(with(&[]), "confidential", &SECRET[1..]),
        basic(with(&[]), "post", SECRET),
        basic(with(&[]), "public", SECRET),
        basic(with(&[]), "\u{0}", SECRET),
        with(&[("client_id", "nobody"), ("client_secret", SECRET)]),
        with(&[("client_id", "post"), ("client_secret", OTHER)]),
        with(&[("client_id", "confidential"), ("client_secret", SECRET)]),
        with(&[("client_id", "public"), ("client_secret", SECRET)]),
        with(&[("client_id", "nobody")]),
        with(&[("client_id", "confidential")]),
        with(&[("client_id", "\u{0}")]),
    ] {
        let answer = send(&app, request).await;
        assert_unknown(&answer);
        answers.push((answer.status, answer.headers, answer.body));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
}

/// RFC 6749 §2.3.1: all of the secret, and nothing but it.
#[tokio::test]
async fn a_secret_is_compared_whole() {
    let app = site();
    for secret in [
        &SECRET[..SECRET.len() - 1],
        &SECRET[1..],
        &format!("{SECRET}x"),
        &format!(" {SECRET}"),
        &SECRET.to_uppercase(),
        "x",
    ] {
        assert_unknown(&send(&app, basic(with(&[]), "confidential", secret)).await);
        assert_unknown(&send(&app, with(&[("client_id", "post"), ("client_secret", secret)])).await);
    }
    assert_unknown(&send(&app, basic(with(&[]), "Confidential", SECRET)).await);
}

/// RFC 6749 §10.10: a secret that can be guessed is said at start.
#[test]
fn a_secret_of_32_characters_is_taken_and_one_shorter_is_none() {
    for (secret, good) in [("x".repeat(32), true), ("x".repeat(31), false)] {
        let clients = [
            Client::confidential("first", &*secret),
            Client::confidential("second", SECRET).and_secret(&*secret),
            Client::confidential("until", SECRET).and_secret_until(&*secret, ManualClock::default().now() + seconds(1)),
        ];
        for client in clients {
            let built = builder(&ManualClock::default()).client(client.redirect_uri(WEB)).build();
            assert_eq!(built.is_ok(), good, "{built:?}");
        }
    }
}

/// A secret is replaced without an hour in which the app fails: both are good, until the end of the old one.
#[tokio::test]
async fn every_live_secret_is_good_and_an_ended_one_is_not() {
    let clock = ManualClock::default();
    let end = clock.now() + seconds(100);
    let rotating = |method, id: &str| {
        Client::confidential(id, SECRET)
            .and_secret_until(OTHER, end)
            .redirect_uri(WEB)
            .token_endpoint_auth_method(method)
    };
    let provider = builder(&clock)
        .client(rotating(AuthMethod::ClientSecretBasic, "by header"))
        .client(rotating(AuthMethod::ClientSecretPost, "by body"))
        .build()
        .expect("a good configuration");
    let app = app(&provider);
    let by_header = |secret| basic(with(&[]), "by+header", secret);
    let by_body = |secret| with(&[("client_id", "by body"), ("client_secret", secret)]);
    for secret in [SECRET, OTHER] {
        assert_known(&send(&app, by_header(secret)).await);
        assert_known(&send(&app, by_body(secret)).await);
    }
    clock.advance(seconds(99));
    assert_known(&send(&app, by_header(OTHER)).await);
    clock.advance(seconds(1));
    assert_unknown(&send(&app, by_header(OTHER)).await);
    assert_unknown(&send(&app, by_body(OTHER)).await);
    assert_known(&send(&app, by_header(SECRET)).await);
    assert_known(&send(&app, by_body(SECRET)).await);
}

fn kept_on(shelf: &Shelf) -> Provider {
    shelf.register(post());
    shelf.register(Client::public("kept").redirect_uri(WEB).grant_types([GrantType::RefreshToken]));
    builder(&ManualClock::default()).store(shelf.clone()).build().expect("a good configuration")
}

/// RFC 6749 Appendix A.1: a name is printable ASCII. Some stores fail when asked for anything else.
#[tokio::test]
async fn a_name_that_no_client_can_have_is_not_looked_up() {
    let shelf = Shelf::default();
    let app = app(&kept_on(&shelf));
    for name in ["\u{0}", "post\u{0}", "caf\u{e9}", "a\nb", "\u{7f}"] {
        assert_unknown(&send(&app, with(&[("client_id", name), ("client_secret", SECRET)])).await);
        assert_eq!(shelf.steps(), [], "{name:?}");
    }
    assert_known(&send(&app, with(&[("client_id", "post"), ("client_secret", SECRET)])).await);
    assert_eq!(shelf.steps(), [Op::Client]);
}

/// A client store that is down is 503 and never a refusal: a client that hears 401 asks its user to connect anew.
#[tokio::test]
async fn a_client_store_that_is_down_is_503_and_never_401() {
    let shelf = Shelf::default();
    let app = app(&kept_on(&shelf));
    shelf.take_down(&[Op::Client]);
    for (id, secret) in [("post", SECRET), ("post", OTHER), ("nobody", SECRET)] {
        let answer = send(&app, with(&[("client_id", id), ("client_secret", secret)])).await;
        assert_eq!((answer.status, &*answer.error()), (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"));
        assert_eq!((answer.header(header::RETRY_AFTER), answer.header(header::CACHE_CONTROL)), ("1", "no-store"));
        assert!(!answer.headers.contains_key(header::WWW_AUTHENTICATE));
    }
    // Fixed clients need no store.
    assert_known(&send(&app, with(&[("client_id", "public")])).await);
    shelf.repair();
    assert_known(&send(&app, with(&[("client_id", "post"), ("client_secret", SECRET)])).await);
}

/// CVE-2020-10187: no secret and no digest of one where a client is printed.
#[tokio::test]
async fn no_secret_is_shown_where_a_client_or_a_mistake_is_printed() {
    let short = "hunter2-hunter2";
    let builder = builder(&ManualClock::default()).client(Client::confidential("short", short).redirect_uri(WEB));
    let shown = [
        format!("{:?} {:#?}", confidential(), confidential()),
        format!("{builder:?}"),
        format!("{:?}", builder.build().expect_err("a secret that can be guessed")),
        format!("{:?}", site()),
    ]
    .concat();
    assert!(!shown.contains(SECRET) && !shown.contains(short), "{shown}");
    assert!(shown.contains("confidential") && shown.contains("can be guessed"), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    /// CVE-2026-9803: whatever stands in the header, the answer is 400 or 401.
    #[test]
    fn no_authorization_header_makes_it_fail(
        scheme in "(Basic |basic  |Basic\t|Bearer |)",
        pair in proptest::collection::vec(any::<u8>(), 0..60),
        encode in any::<bool>(),
        twice in any::<bool>(),
    ) {
        let pair = if encode { STANDARD.encode(&pair).into_bytes() } else { pair };
        let Ok(value) = HeaderValue::from_bytes(&[scheme.as_bytes(), &pair].concat()) else { return Ok(()) };
        let mut request = with(&[]);
        request.headers_mut().insert(header::AUTHORIZATION, value.clone());
        if twice {
            request.headers_mut().append(header::AUTHORIZATION, value);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let answer = runtime.block_on(async { send(&site(), request).await });
        let expected = if twice { StatusCode::BAD_REQUEST } else { StatusCode::UNAUTHORIZED };
        prop_assert_eq!(answer.status, expected);
    }
}
