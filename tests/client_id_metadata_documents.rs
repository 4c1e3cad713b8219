//! Clients that describe themselves: draft-ietf-oauth-client-id-metadata-document-02 (the sections are that one's), and what
//! MCP 2026-07-28 asks of authorization servers about it.

#[path = "support/ask.rs"]
mod ask;
mod support;
#[path = "support/web.rs"]
mod web;

use std::sync::{Arc, Mutex};

use ask::{Ask, ask};
use axum::Router;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use bytes::Bytes;
use http::{Method, Response, StatusCode, header};
use serde_json::{Value, json};
use support::{
    Answer, App, ISSUER, SECRET, VERIFIER, app, basic, builder, form, request, seconds, send, with_members as with, *,
};
use tower::util::BoxCloneSyncService;
use tower_oauth::event::Event;
use tower_oauth::testing::ManualClock;
use tower_oauth::{
    AuthorizationRequest, Client, ClientId, ClientIdMetadataPolicy, Holder, MemoryStore, Provider, ProviderBuilder,
};
use web::{Web, document as answer_with, status};

const ID: &str = "https://editor.example/oauth/client.json";
const CB: &str = "https://editor.example/callback";
const MINUTE: u64 = 60;
const DAY: u64 = 24 * 60 * MINUTE;

/// The document of the client, with other members in place of its own.
fn document(members: Value) -> Value {
    let good = json!({
        "client_id": ID,
        "client_name": "Editor",
        "redirect_uris": [CB],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "none",
    });
    with(good, members)
}

fn taking(clock: &ManualClock, web: &Web) -> ProviderBuilder {
    builder(clock).client_id_metadata_documents(ClientIdMetadataPolicy::open()).fetch(web.clone())
}

/// A provider that takes such clients, and the web, with the document of one.
struct Site {
    app: App,
    web: Web,
    clock: ManualClock,
    provider: Provider,
}

impl Site {
    fn new() -> Self {
        Self::with(|builder| builder)
    }

    fn with(change: impl FnOnce(ProviderBuilder) -> ProviderBuilder) -> Self {
        let (clock, web) = (ManualClock::default(), Web::default());
        web.put(ID, document(json!({})));
        let provider = change(taking(&clock, &web)).build().expect("a good configuration");
        Self { app: app(&provider), web, clock, provider }
    }

    /// The page, or what came in its place.
    async fn shown(&self, id: &str) -> Answer {
        send(&self.app, asking(id).get()).await
    }

    async fn code(&self) -> String {
        code_of(&self.app, ID, CB, "profile notes:read").await
    }

    async fn tokens(&self) -> Tokens {
        Tokens::of(&redeem_at(&self.app, &self.code().await).await)
    }
}

/// A good request of the client with this id.
fn asking(id: &str) -> Ask {
    ask().of(id, CB)
}

struct Tokens {
    access: String,
    refresh: String,
}

impl Tokens {
    #[track_caller]
    fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let json = answer.json();
        let text = |name: &str| json[name].as_str().unwrap_or_else(|| panic!("no {name} in {json}")).to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token") }
    }
}

async fn redeem_at(app: &App, code: &str) -> Answer {
    let params = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CB),
        ("client_id", ID),
        ("code_verifier", VERIFIER),
    ];
    send(app, form("/token", &params)).await
}

async fn refresh_at(app: &App, id: &str, token: &str) -> Answer {
    send(app, form("/token", &[("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", id)])).await
}

async fn revoke_at(app: &App, token: &str) -> Answer {
    send(app, form("/revoke", &[("token", token), ("client_id", ID)])).await
}

#[track_caller]
fn assert_shown(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
}

/// RFC 6749 §4.1.2.1: told to the user, and redirected to nobody.
#[track_caller]
fn assert_refused(answer: &Answer, why: &str) {
    answer.assert_error_here(StatusCode::BAD_REQUEST);
    assert!(answer.body.contains(why), "{why:?} in {}", answer.body);
}

#[track_caller]
fn assert_not_now(answer: &Answer) {
    answer.assert_error_here(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header(header::RETRY_AFTER), "1");
    assert!(answer.body.contains("the metadata document of the client cannot be read now"), "{}", answer.body);
}

#[track_caller]
fn assert_try_again(answer: &Answer) {
    let seen = (answer.status, &*answer.error(), answer.header(header::RETRY_AFTER));
    assert_eq!(seen, (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", "1"), "{answer:?}");
}

#[track_caller]
fn assert_nobody(answer: &Answer) {
    assert_eq!((answer.status, &*answer.error()), (StatusCode::UNAUTHORIZED, "invalid_client"), "{answer:?}");
}

// ---- on and off -----------------------------------------------------------------------------------------------------

async fn metadata(app: &App) -> Value {
    send(app, request(Method::GET, "/.well-known/oauth-authorization-server")).await.json()
}

/// §6
#[tokio::test]
async fn it_is_advertised_exactly_when_it_is_on() {
    assert_eq!(metadata(&Site::new().app).await["client_id_metadata_document_supported"], true);
    let off = app(&builder(&ManualClock::default()).fetch(Web::default()).build().expect("a good configuration"));
    assert!(metadata(&off).await.get("client_id_metadata_document_supported").is_none());
}

#[tokio::test]
async fn where_it_is_off_such_an_id_is_unknown_and_nothing_is_fetched() {
    let (clock, web) = (ManualClock::default(), Web::default());
    web.put(ID, document(json!({})));
    let app = app(&builder(&clock).fetch(web.clone()).build().expect("a good configuration"));
    assert_refused(&send(&app, asking(ID).get()).await, "the client is not registered here");
    assert_nobody(&refresh_at(&app, ID, "x").await);
    assert_eq!(web.new_hits(), 0);
}

#[test]
fn what_cannot_work_does_not_build() {
    let clock = ManualClock::default();
    let without = builder(&clock).client_id_metadata_documents(ClientIdMetadataPolicy::open()).build();
    let errors = without.expect_err("nothing to fetch with").to_string();
    assert!(errors.contains("client_id_metadata_documents: ") && errors.contains("add `.fetch("), "{errors}");
    for (scope, why) in [("mail", "add it with `.scope(\"mail\""), ("admin", "`ClientIdMetadataPolicy::scope(..)`")] {
        let policy = ClientIdMetadataPolicy::open().scope(scope);
        let built = builder(&clock).client_id_metadata_documents(policy).fetch(Web::default()).build();
        let errors = built.expect_err("an unknown scope").to_string();
        assert!(errors.contains(why), "{errors}");
    }
}

// ---- the whole way --------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_client_that_describes_itself_goes_through_the_whole_flow_and_its_document_is_read_once() {
    let site = Site::new();
    let tokens = site.tokens().await;
    let me = send(&site.app, bearer("/me", &tokens.access)).await.json();
    assert_eq!(me, json!({"sub": "alice", "client_id": ID, "scope": "profile notes:read"}));
    let next = Tokens::of(&refresh_at(&site.app, ID, &tokens.refresh).await);
    assert_eq!(send(&site.app, bearer("/notes", &next.access)).await.status, StatusCode::OK);
    assert_eq!(revoke_at(&site.app, &next.refresh).await.status, StatusCode::OK);
    for token in [&tokens.access, &next.access] {
        assert_eq!(send(&site.app, bearer("/me", token)).await.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(refresh_at(&site.app, ID, &next.refresh).await.error(), "invalid_grant");
    assert_eq!(site.web.hits(ID), 1);
}

/// What is asked for says what is wanted and brings nothing of the user, of the client or of this provider.
#[tokio::test]
async fn the_request_for_a_document_brings_nothing() {
    let site = Site::new();
    assert_shown(&site.shown(ID).await);
    let asked = site.web.asked();
    let [asked] = &asked[..] else { panic!("one request: {asked:?}") };
    let headers: Vec<_> = asked.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    assert_eq!((&*asked.url, &*asked.body, &headers[..]), (ID, "", &[("accept", "application/json")][..]));
}

#[tokio::test]
async fn all_who_come_at_once_share_one_fetch() {
    let site = Site::new();
    site.web.hold();
    let asked: Vec<_> = (0..64)
        .map(|_| {
            let app = site.app.clone();
            tokio::spawn(async move { send(&app, asking(ID).get()).await })
        })
        .collect();
    while site.web.hits(ID) == 0 {
        tokio::task::yield_now().await;
    }
    site.web.release();
    for answer in asked {
        assert_shown(&answer.await.expect("every one comes to its end"));
    }
    assert_eq!(site.web.hits(ID), 1);
}

// ---- the id ---------------------------------------------------------------------------------------------------------

/// §3: "MUST use the https URL scheme", "MUST contain a path component", "MAY contain a port", "SHOULD NOT contain a query"
#[tokio::test]
async fn an_id_that_is_such_a_url_is_asked_for_as_it_is() {
    let longest = format!("https://app.example/{}", "x".repeat(1024 - 20));
    for id in [
        "https://app.example/c",
        "https://app.example/",
        "https://app.example/client.json",
        "https://app.example:8443/c",
        "https://app.example:443/c",
        "https://app.example/a/b/c.json/",
        "https://app.example/c?v=2",
        "https://app.example/c?a=../b",
        "https://app.example//c",
        "https://app.example/.well-known/client",
        "https://app.example/..c",
        "https://app.example/a%2Fb",
        "https://xn--bcher-kva.example/c",
        "https://sub.app.example/~a/c;v=1",
        "https://192.0.2.1/c",
        "https://[2001:db8::1]/c",
        &longest,
    ] {
        let site = Site::new();
        site.web.put(id, document(json!({"client_id": id})));
        assert_shown(&site.shown(id).await);
        assert_eq!(site.web.asked().iter().map(|asked| &*asked.url).collect::<Vec<_>>(), [id]);
    }
}

/// §3; RFC 6749 Appendix A.1
#[tokio::test]
async fn an_id_that_is_no_such_url_is_an_unknown_client_and_nothing_is_fetched() {
    let site = Site::new();
    let too_long = format!("https://app.example/{}", "x".repeat(1024 - 19));
    for id in [
        "http://app.example/c",
        "HTTPS://app.example/c",
        "https:app.example/c",
        "https:/app.example/c",
        "https:///c",
        "https://",
        "https://app.example",
        "https://app.example?c",
        "https://app.example#c",
        "https://app.example/c#f",
        "https://app.example/c#",
        "https://app.example/./c",
        "https://app.example/a/../c",
        "https://app.example/a/..",
        "https://app.example/.",
        "https://app.example/%2e%2e/c",
        "https://app.example/.%2E/c",
        "https://user@app.example/c",
        "https://user:secret@app.example/c",
        "https://:@app.example/c",
        "https://@app.example/c",
        "https://app.example\\@evil.example/c",
        "https://app.example/\\c",
        "https://app.example:/c",
        "https://app.example:0/c",
        "https://app.example:65536/c",
        "https://app.example:+80/c",
        "https://App.example/c",
        "https://app..example/c",
        "https://app.example./c",
        "https://-/../c",
        "https://app example/c",
        "https://app.example/c d",
        "https://app.example/\tc",
        "https://app.example/c\n",
        "https://app.example/\u{e9}",
        "https://\u{e9}.example/c",
        "https://app.example/c\u{0}",
        "https://app.example/%zz",
        "https://app.example/%",
        "https://2130706433/c",
        "https://0x7f.1/c",
        "https://127.1/c",
        "https://[::ffff:127.0.0.1]/c",
        "https://[0:0::1]/c",
        "https://[::1/c",
        "https://*.example/c",
        " https://app.example/c",
        "urn:app:example",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "data:application/json,{}",
        "//app.example/c",
        "app.example/c",
        &too_long,
    ] {
        site.web.put(id, document(json!({"client_id": id})));
        assert_refused(&site.shown(id).await, "the client is not registered here");
        assert_nobody(&refresh_at(&site.app, id, "x").await);
        assert_eq!(site.web.new_hits(), 0, "{id}");
    }
}

/// §3: "MUST be compared using simple string comparison"
#[tokio::test]
async fn two_spellings_of_an_address_are_two_clients() {
    let site = Site::new();
    let tokens = site.tokens().await;
    let other = "https://editor.example:443/oauth/client.json";
    site.web.put(other, document(json!({})));
    assert_refused(&site.shown(other).await, "the client_id in the metadata document is not its address");
    site.web.put(other, document(json!({"client_id": other})));
    assert_shown(&site.shown(other).await);
    assert_eq!(refresh_at(&site.app, other, &tokens.refresh).await.error(), "invalid_grant");
    Tokens::of(&refresh_at(&site.app, ID, &tokens.refresh).await);
}

// ---- the document ---------------------------------------------------------------------------------------------------

fn typed(content_type: &str, body: impl ToString) -> Response<Bytes> {
    let mut answer = answer_with(body);
    answer.headers_mut().insert(header::CONTENT_TYPE, content_type.parse().expect("a value"));
    answer
}

/// §4, §4.1, RFC 7591 §2
#[tokio::test]
async fn a_document_may_leave_out_what_has_a_default_and_say_what_is_not_known_here() {
    let filling = "x".repeat(5 * 1024 - document(json!({"x": ""})).to_string().len());
    for body in [
        json!({}),
        json!({"token_endpoint_auth_method": null}),
        json!({"grant_types": null}),
        json!({"grant_types": ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"]}),
        json!({"response_types": ["code"]}),
        json!({"response_types": ["code", "token"]}),
        json!({"scope": "profile unheard-of"}),
        json!({"redirect_uris": [CB, "http://127.0.0.1/", "http://localhost:3000/cb", "com.editor.app:/cb"]}),
        json!({"redirect_uris": [CB, "http://127.0.0.1/"], "application_type": "native"}),
        json!({"application_type": "web"}),
        json!({"client_uri": "https://elsewhere.example", "logo_uri": "https://elsewhere.example/logo.png"}),
        json!({"software_statement": "x.y.z", "unheard_of": {"a": [1, {"b": 2}]}, "contacts": ["a@b.example"]}),
        json!({"client_name": "B\u{fc}cher & <b>S\u{f6}hne</b>"}),
        json!({"jwks": {"keys": []}}),
        json!({"x": filling}),
    ] {
        let site = Site::new();
        let body = document(body);
        site.web.put(ID, &body);
        let answer = site.shown(ID).await;
        assert_eq!(answer.status, StatusCode::OK, "{body}: {answer:?}");
    }
    for content_type in ["application/json; charset=utf-8", "Application/JSON", "application/client-metadata+json"] {
        let site = Site::new();
        site.web.answer(ID, move |_| typed(content_type, document(json!({}))));
        assert_shown(&site.shown(ID).await);
    }
}

/// A private key, and what is public of it.
const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

/// §4, §4.1, §8.6, §8.7; RFC 7591 §2; MCP 2026-07-28: `client_name` and `redirect_uris` are required. Told to the user and to
/// nobody else; and not kept: the next who asks has it read again, and a good one is taken.
#[tokio::test]
async fn a_document_that_is_not_good_is_refused_for_its_reason_and_never_kept() {
    let no_object = "the metadata document of the client is no JSON object, or names a member twice";
    let another = "the client_id in the metadata document is not its address";
    let (no_name, secret) = ("has no client_name", "has a client_secret or its expiry");
    let (wrong_type, private) = ("a member is not of its type", "has a private or a shared key");
    let good = document(json!({})).to_string();
    let repeated = good.replacen('{', &format!("{{\"client_id\":\"{ID}\","), 1);
    let escaped = good.replacen('{', "{\"redirect\\u005furis\":[],", 1);
    let texts: [(&str, &str); 11] = [
        ("", no_object),
        ("null", no_object),
        ("[]", no_object),
        ("\"text\"", no_object),
        ("<!doctype html><html></html>", no_object),
        ("{}", another),
        (&repeated, no_object),
        (&escaped, no_object),
        (&good[..good.len() - 1], no_object),
        (&format!("{good}{good}"), no_object),
        (&format!("\u{feff}{good}"), no_object),
    ];
    let changed = |members| document(members).to_string();
    let with_keys = |key: Value| json!({"jwks": {"keys": [key]}});
    let members = [
        (json!({"client_id": null}), another),
        (json!({"client_id": [ID]}), another),
        (json!({"client_id": ID.to_uppercase()}), another),
        (json!({"client_id": format!("{ID}/")}), another),
        (json!({"client_id": format!("{ID}?")}), another),
        (json!({"client_id": format!(" {ID}")}), another),
        (json!({"client_id": "https://editor.example/oauth/%63lient.json"}), another),
        (json!({"client_id": "https://editor.example:443/oauth/client.json"}), another),
        (json!({"client_id": "https://other.example/client.json"}), another),
        (json!({"client_name": null}), no_name),
        (json!({"client_name": ""}), no_name),
        (json!({"client_name": " \u{a0} "}), no_name),
        (json!({"client_name": 7}), wrong_type),
        (json!({"client_name": "Ed\u{202e}itor"}), "a text is too long or has control or invisible characters"),
        (json!({"client_name": "\u{200b}"}), "a text is too long or has control or invisible characters"),
        (json!({"redirect_uris": null}), "redirect_uris is missing or empty"),
        (json!({"redirect_uris": []}), "redirect_uris is missing or empty"),
        (json!({"redirect_uris": CB}), wrong_type),
        (json!({"redirect_uris": [[CB]]}), wrong_type),
        (json!({"redirect_uris": [CB, "http://editor.example/cb"]}), "plain `http` is for"),
        (json!({"redirect_uris": ["javascript:alert(1)"]}), "its scheme is neither"),
        (json!({"redirect_uris": ["https://editor.example/cb#f"]}), "it has a fragment"),
        (json!({"redirect_uris": ["https://user@editor.example/cb"]}), "it has user information"),
        (json!({"redirect_uris": vec![CB; 21]}), "a list is too long"),
        (json!({"redirect_uris": ["http://127.0.0.1/"], "application_type": "web"}), "redirect URIs are https"),
        (json!({"application_type": "desktop"}), "application_type is neither web nor native"),
        (json!({"token_endpoint_auth_method": "client_secret_basic"}), "token_endpoint_auth_method is not one"),
        (json!({"token_endpoint_auth_method": "client_secret_post"}), "token_endpoint_auth_method is not one"),
        (json!({"token_endpoint_auth_method": "client_secret_jwt"}), "token_endpoint_auth_method is not one"),
        (json!({"token_endpoint_auth_method": "tls_client_auth"}), "token_endpoint_auth_method is not one"),
        (json!({"token_endpoint_auth_method": "private_key_jwt"}), "token_endpoint_auth_method is not one"),
        (json!({"token_endpoint_auth_method": "None"}), "token_endpoint_auth_method is not one"),
        (json!({"token_endpoint_auth_method": ["none"]}), wrong_type),
        (json!({"client_secret": "0123456789abcdef0123456789abcdef"}), secret),
        (json!({"client_secret": ""}), secret),
        (json!({"client_secret_expires_at": 0}), secret),
        (with_keys(json!({"kty": "OKP", "crv": "Ed25519", "x": X, "d": X})), private),
        (with_keys(json!({"kty": "oct", "k": X})), private),
        (json!({"jwks": []}), "jwks is no set of keys"),
        (json!({"jwks": {"keys": []}, "jwks_uri": "https://editor.example/jwks"}), "jwks and jwks_uri are there both"),
        (json!({"jwks_uri": "http://editor.example/jwks"}), "a URL of the client is not https"),
        (json!({"logo_uri": "javascript:alert(1)"}), "a URL of the client is not https"),
        (json!({"client_uri": "data:text/html,x"}), "a URL of the client is not https"),
        (json!({"tos_uri": "http://169.254.169.254/latest"}), "a URL of the client is not https"),
        (json!({"grant_types": []}), "grant_types has none that is known here"),
        (json!({"grant_types": ["implicit"]}), "grant_types has none that is known here"),
        (json!({"grant_types": ["client_credentials"]}), "grant_types has none that is known here"),
        (json!({"grant_types": "authorization_code"}), wrong_type),
        (json!({"response_types": ["token"]}), "response_types is not one"),
        (json!({"scope": ["profile"]}), wrong_type),
        (json!({"scope": "unheard-of"}), "scope has none"),
        (json!({"scope": "profile \""}), "scope is malformed"),
        (json!({"x": "x".repeat(5 * 1024 - document(json!({"x": ""})).to_string().len() + 1)}), "has more than 5 KiB"),
        (json!({"x": "x".repeat(60 * 1024)}), "has more than 5 KiB"),
    ];
    let members = members.into_iter().map(|(members, why)| (changed(members), why));
    let texts = texts.into_iter().map(|(text, why)| (text.to_owned(), why));
    for (body, why) in members.chain(texts) {
        let site = Site::new();
        site.web.put(ID, &body);
        for time in 1..=2 {
            let answer = site.shown(ID).await;
            assert!(
                answer.status == StatusCode::BAD_REQUEST && answer.body.contains(why),
                "{why} of {body}: {answer:?}"
            );
            answer.assert_error_here(StatusCode::BAD_REQUEST);
            assert_eq!(site.web.hits(ID), time, "{body}");
        }
        site.web.put(ID, &good);
        assert_shown(&site.shown(ID).await);
    }
}

/// §4: "application/json" or "application/<AS-defined>+json": else what users of a site put there would be a document of it.
#[tokio::test]
async fn a_document_of_another_type_is_refused() {
    let wrong = "is not of the type application/json";
    for content_type in
        ["text/plain", "text/json", "application/octet-stream", "image/svg+json", "application/+json", ""]
    {
        let site = Site::new();
        site.web.answer(ID, move |_| typed(content_type, document(json!({}))));
        assert_refused(&site.shown(ID).await, wrong);
    }
    let site = Site::new();
    site.web.answer(ID, |_| Response::new(Bytes::from(document(json!({})).to_string())));
    assert_refused(&site.shown(ID).await, wrong);
    site.web.answer(ID, |_| {
        let mut answer = answer_with(document(json!({})));
        answer.headers_mut().append(header::CONTENT_TYPE, "text/plain".parse().expect("a value"));
        answer
    });
    assert_refused(&site.shown(ID).await, wrong);
}

/// §5: "MUST treat all other HTTP status codes as an error response", "MUST NOT automatically follow HTTP redirects"; §5.2:
/// "MUST NOT cache error responses"
#[tokio::test]
async fn any_answer_but_200_is_an_error_that_nobody_keeps() {
    for (code, is_there) in [
        (201, false),
        (203, false),
        (204, false),
        (206, false),
        (301, false),
        (302, false),
        (304, false),
        (307, false),
        (308, false),
        (401, false),
        (403, false),
        (404, false),
        (408, true),
        (410, false),
        (425, true),
        (429, true),
        (500, true),
        (502, true),
        (503, true),
    ] {
        let site = Site::new();
        site.web.put("https://editor.example/elsewhere", document(json!({})));
        site.web.answer(ID, move |_| {
            let mut answer = answer_with(document(json!({})));
            *answer.status_mut() = StatusCode::from_u16(code).expect("a status");
            answer.headers_mut().insert(header::LOCATION, "https://editor.example/elsewhere".parse().expect("a value"));
            answer
        });
        for _ in 0..2 {
            let answer = site.shown(ID).await;
            if is_there { assert_not_now(&answer) } else { assert_refused(&answer, "there is no metadata document") }
        }
        assert_eq!((site.web.hits(ID), site.web.new_hits()), (2, 2), "{code}");
        site.web.put(ID, document(json!({})));
        assert_shown(&site.shown(ID).await);
    }
}

/// §5.1: "SHOULD abort the authorization request"; what is printed for the operator has no name that a stranger sent
#[tokio::test]
async fn a_server_that_cannot_be_reached_is_an_error_that_nobody_keeps() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    let hear = move |event: &Event<'_>| {
        let source = event.source.map(|source| format!("{source} ({:?})", source.source().map(ToString::to_string)));
        hears.lock().unwrap().push((event.kind.reason(), event.client.cloned(), source.unwrap_or_default()));
    };
    let site = Site::with(|builder| builder.on_event(hear));
    site.web.take_down();
    assert_not_now(&site.shown(ID).await);
    assert_not_now(&site.shown(ID).await);
    site.web.repair();
    assert_shown(&site.shown(ID).await);
    assert_eq!(site.web.hits(ID), 3);
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 2, "{heard:?}");
    for (reason, client, source) in &*heard {
        assert_eq!((*reason, client), (Some("document_unavailable"), &None));
        assert!(source.contains("out of reach") && !source.contains("editor"), "{source}");
    }
}

/// "10 s in all"
#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_answer_is_waited_for_10_seconds() {
    let site = Site::new();
    site.web.hold();
    let begin = tokio::time::Instant::now();
    assert_not_now(&site.shown(ID).await);
    let waited = begin.elapsed();
    assert!(waited >= seconds(10) && waited < seconds(11), "{waited:?}");
}

// ---- how long it holds ----------------------------------------------------------------------------------------------

/// §5.2: "SHOULD respect HTTP cache headers when caching client metadata, but MAY define its own upper and/or lower bounds"
#[tokio::test]
async fn a_document_is_fresh_for_as_long_as_its_server_says_within_bounds() {
    for (said, fresh) in [
        (None, 5 * MINUTE),
        (Some("max-age=600"), 10 * MINUTE),
        (Some("max-age=0"), 10),
        (Some("no-store"), 10),
        (Some("no-cache"), 10),
        (Some("max-age=31536000, immutable"), 60 * MINUTE),
    ] {
        let site = Site::new();
        site.web.answer(ID, move |_| {
            let mut answer = answer_with(document(json!({})));
            answer.headers_mut().remove(header::CACHE_CONTROL);
            if let Some(said) = said {
                answer.headers_mut().insert(header::CACHE_CONTROL, said.parse().expect("a value"));
            }
            answer
        });
        assert_shown(&site.shown(ID).await);
        // Before its last fifth nobody looks again.
        site.clock.advance(seconds(fresh * 4 / 5 - 1));
        assert_shown(&site.shown(ID).await);
        assert_eq!(site.web.hits(ID), 1, "{said:?}");
        site.clock.advance(seconds(fresh / 5 + 1));
        assert_shown(&site.shown(ID).await);
        assert_eq!(site.web.hits(ID), 2, "{said:?}");
    }
}

/// §4.2, §8.4: what a user is asked about is what the document says by then; also where the page was shown before.
#[tokio::test]
async fn a_redirect_uri_that_left_the_document_is_refused_at_the_next_authorization() {
    let site = Site::new();
    let tokens = site.tokens().await;
    let elsewhere = "https://editor.example/new";
    site.web.put(ID, document(json!({"redirect_uris": [elsewhere]})));
    site.clock.advance(seconds(5 * MINUTE));
    for request in [asking(ID).get(), asking(ID).post()] {
        assert_refused(&send(&site.app, request).await, "redirect_uri is not registered for this client");
    }
    assert_shown(&send(&site.app, ask().of(ID, elsewhere).get()).await);
    assert_eq!(site.web.hits(ID), 2);
    // What a user connected before goes on.
    Tokens::of(&refresh_at(&site.app, ID, &tokens.refresh).await);
}

/// §5.1: a document that was good is no reason to ask a user, once it is old and cannot be read.
#[tokio::test]
async fn nobody_is_asked_by_a_document_that_is_old() {
    let site = Site::new();
    assert_shown(&site.shown(ID).await);
    site.web.take_down();
    site.clock.advance(seconds(5 * MINUTE - 1));
    assert_shown(&site.shown(ID).await);
    site.clock.advance(seconds(1));
    assert_not_now(&site.shown(ID).await);
    site.web.repair();
    site.web.answer(ID, |_| status(StatusCode::GONE));
    assert_refused(&site.shown(ID).await, "there is no metadata document at the client_id");
}

/// Nobody is disconnected because a server is down, or has another file there for a while.
#[tokio::test]
async fn a_client_that_is_connected_goes_on_for_a_day_while_its_document_cannot_be_had() {
    let gone: [fn(&Web); 3] = [
        Web::take_down,
        |web| web.answer(ID, |_| status(StatusCode::NOT_FOUND)),
        |web| web.put(ID, document(json!({"client_id": "https://other.example/c"}))),
    ];
    for go in gone {
        let site = Site::new();
        let mut tokens = site.tokens().await;
        go(&site.web);
        for wait in [5 * MINUTE, 1, 60 * MINUTE, 12 * 60 * MINUTE] {
            site.clock.advance(seconds(wait));
            tokens = Tokens::of(&refresh_at(&site.app, ID, &tokens.refresh).await);
        }
        // After that nobody knows who it is. It may try again, and has lost nothing.
        site.clock.advance(seconds(DAY));
        assert_try_again(&refresh_at(&site.app, ID, &tokens.refresh).await);
        assert_try_again(&revoke_at(&site.app, &tokens.refresh).await);
        site.web.repair();
        site.web.put(ID, document(json!({})));
        Tokens::of(&refresh_at(&site.app, ID, &tokens.refresh).await);
    }
}

/// A node that has just started, and so has read nothing.
#[tokio::test]
async fn a_node_that_has_not_read_the_document_says_try_again_while_it_cannot_be_had() {
    let (clock, web, store) = (ManualClock::default(), Web::default(), MemoryStore::new());
    web.put(ID, document(json!({})));
    let node = || app(&taking(&clock, &web).store(store.clone()).build().expect("a good configuration"));
    let (first, second) = (node(), node());
    let code = code_of(&first, ID, CB, "profile").await;
    web.answer(ID, |_| status(StatusCode::NOT_FOUND));
    assert_try_again(&redeem_at(&second, &code).await);
    web.take_down();
    assert_try_again(&redeem_at(&second, &code).await);
    web.repair();
    web.put(ID, document(json!({})));
    let tokens = Tokens::of(&redeem_at(&second, &code).await);
    let third = node();
    web.take_down();
    assert_try_again(&refresh_at(&third, ID, &tokens.refresh).await);
    assert_try_again(&revoke_at(&third, &tokens.access).await);
    web.repair();
    Tokens::of(&refresh_at(&third, ID, &tokens.refresh).await);
    assert_eq!(revoke_at(&node(), &tokens.access).await.status, StatusCode::OK);
    assert_eq!(send(&first, bearer("/me", &tokens.access)).await.status, StatusCode::UNAUTHORIZED);
}

/// "A changed document never revives a revoked grant"
#[tokio::test]
async fn a_grant_that_was_revoked_stays_revoked_whatever_the_document_becomes() {
    let site = Site::new();
    let tokens = site.tokens().await;
    site.provider.revoke_all(&Holder::Client(ID.into())).await.expect("a store");
    for members in
        [json!({}), json!({"client_name": "Another"}), json!({"redirect_uris": ["https://editor.example/new"]})]
    {
        site.web.put(ID, document(members));
        site.clock.advance(seconds(60 * MINUTE));
        assert_eq!(refresh_at(&site.app, ID, &tokens.refresh).await.error(), "invalid_grant");
        assert_eq!(send(&site.app, bearer("/me", &tokens.access)).await.status, StatusCode::UNAUTHORIZED);
    }
    let granted = site.provider.grants_of(&"alice".into()).await.expect("a store");
    assert!(granted.is_empty());
}

/// RFC 7591 §2: what a client says it does, it does from then on.
#[tokio::test]
async fn what_the_document_no_longer_has_ends_at_the_next_refresh() {
    let site = Site::new();
    let tokens = site.tokens().await;
    site.web.put(ID, document(json!({"scope": "profile"})));
    site.clock.advance(seconds(5 * MINUTE));
    let answer = refresh_at(&site.app, ID, &tokens.refresh).await;
    assert_eq!(answer.json()["scope"], "profile");
    site.web.put(ID, document(json!({"grant_types": ["authorization_code"]})));
    site.clock.advance(seconds(5 * MINUTE));
    assert_eq!(refresh_at(&site.app, ID, &Tokens::of(&answer).refresh).await.error(), "unauthorized_client");
}

// ---- who makes it fetch ---------------------------------------------------------------------------------------------

/// A stranger who has nothing of ours has nothing fetched at the endpoints for clients.
#[tokio::test]
async fn nothing_is_fetched_for_who_brings_nothing_that_it_got_here() {
    let site = Site::new();
    let tokens = site.tokens().await;
    let theirs = code_of(&site.app, ID, CB, "profile").await;
    let stranger = "https://victim.example/client.json";
    site.web.put(stranger, document(json!({"client_id": stranger})));
    site.web.new_hits();
    let forged = |token: &str| format!("{}{}", &token[..token.len() - 1], if token.ends_with('A') { 'B' } else { 'A' });
    for id in [ID, stranger] {
        if id == ID {
            // Its document is old by now.
            site.clock.advance(seconds(5 * MINUTE));
        }
        for params in [
            vec![("grant_type", "refresh_token"), ("refresh_token", &*forged(&tokens.refresh))],
            vec![("grant_type", "refresh_token"), ("refresh_token", "x")],
            vec![("grant_type", "authorization_code"), ("code", &*forged(&theirs)), ("code_verifier", VERIFIER)],
            vec![("grant_type", "client_credentials")],
            vec![("grant_type", "unheard-of")],
            vec![],
            vec![("token", &*forged(&tokens.access))],
        ] {
            for path in ["/token", "/revoke", "/introspect"] {
                let answer = send(&site.app, form(path, &[&params[..], &[("client_id", id)]].concat())).await;
                assert!(answer.status.is_client_error() || path == "/revoke", "{answer:?}");
                let answer = send(&site.app, basic(form(path, &params), "x", SECRET)).await;
                assert_nobody(&answer);
            }
        }
    }
    // What another client got is no key to that.
    for params in
        [[("grant_type", "refresh_token"), ("refresh_token", &*tokens.refresh)], [("token", &tokens.access), ("x", "")]]
    {
        for path in ["/token", "/revoke", "/introspect"] {
            assert_nobody(&send(&site.app, form(path, &[&params[..], &[("client_id", stranger)]].concat())).await);
        }
    }
    assert_eq!(site.web.new_hits(), 0);
    Tokens::of(&refresh_at(&site.app, ID, &tokens.refresh).await);
    assert_eq!(site.web.new_hits(), 1);
}

/// "Fetches per host are rate-limited": who makes up names hammers nobody, and is in nobody's way.
#[tokio::test]
async fn made_up_ids_have_a_host_asked_ten_times_and_then_once_a_second() {
    let site = Site::new();
    let tokens = site.tokens().await;
    site.web.new_hits();
    let made_up = |host: &str, number: usize| format!("https://{host}.example/{number}");
    for number in 0..50 {
        let answer = site.shown(&made_up("editor", number)).await;
        if number < 9 { assert_refused(&answer, "there is no metadata document") } else { assert_not_now(&answer) }
    }
    assert_eq!(site.web.new_hits(), 9, "one was for the client itself");
    for number in 50..53 {
        site.clock.advance(seconds(1));
        assert_refused(&site.shown(&made_up("editor", number)).await, "there is no metadata document");
        assert_not_now(&site.shown(&made_up("editor", number)).await);
    }
    assert_refused(&site.shown(&made_up("other", 1)).await, "there is no metadata document");
    site.web.new_hits();
    // Who is known there is asked about, and asked for anew, all the same.
    assert_shown(&site.shown(ID).await);
    site.clock.advance(seconds(5 * MINUTE));
    for number in 100..200 {
        site.shown(&made_up("editor", number)).await;
    }
    assert_shown(&site.shown(ID).await);
    assert_eq!(site.web.hits(ID), 1);
    Tokens::of(&refresh_at(&site.app, ID, &tokens.refresh).await);
}

#[tokio::test]
async fn made_up_hosts_are_asked_a_hundred_times_and_then_twenty_times_a_second() {
    let site = Site::new();
    for number in 0..300 {
        site.shown(&format!("https://{number}.example/c")).await;
    }
    assert_eq!(site.web.new_hits(), 100);
    site.clock.advance(seconds(1));
    for number in 300..400 {
        site.shown(&format!("https://{number}.example/c")).await;
    }
    assert_eq!(site.web.new_hits(), 20);
}

/// However many strangers come, who is connected comes through, also at a node that has read nothing yet.
#[tokio::test]
async fn strangers_use_up_nothing_of_what_connected_clients_need() {
    let (clock, web, store) = (ManualClock::default(), Web::default(), MemoryStore::new());
    web.put(ID, document(json!({})));
    let node = || app(&taking(&clock, &web).store(store.clone()).build().expect("a good configuration"));
    let code = code_of(&node(), ID, CB, "profile").await;
    let second = node();
    for number in 0..200 {
        send(&second, asking(&format!("https://editor.example/{number}")).get()).await;
    }
    assert_not_now(&send(&second, asking(ID).get()).await);
    Tokens::of(&redeem_at(&second, &code).await);
}

/// §8.7 and the bound of what is kept: documents that were no good push out none that is.
#[tokio::test]
async fn a_name_that_leads_nowhere_takes_no_place() {
    let site = Site::new();
    assert_shown(&site.shown(ID).await);
    for round in 0..60 {
        site.clock.advance(seconds(1));
        for number in 0..20 {
            site.shown(&format!("https://{number}.example/{round}")).await;
        }
    }
    assert!(site.web.new_hits() > 1_100);
    assert_shown(&site.shown(ID).await);
    assert_eq!(site.web.new_hits(), 0);
}

// ---- whose word holds -----------------------------------------------------------------------------------------------

/// §7.2: a client that the app knows is that one.
#[tokio::test]
async fn a_client_that_is_registered_under_such_an_id_is_that_one_and_nothing_is_fetched() {
    let own = Client::confidential(ID, SECRET).name("Ours").redirect_uri("https://ours.example/cb");
    let fixed = Site::with(|builder| builder.client(own.clone()));
    let store = MemoryStore::new();
    store.insert(ISSUER, own).expect("a good client");
    let stored = Site::with(|builder| builder.store(store));
    for site in [fixed, stored] {
        assert_refused(&site.shown(ID).await, "redirect_uri is not registered for this client");
        let code = code_of(&site.app, ID, "https://ours.example/cb", "profile").await;
        assert_nobody(&redeem_at(&site.app, &code).await);
        assert_eq!(site.web.new_hits(), 0);
    }
}

/// §8.9
#[tokio::test]
async fn a_client_that_the_policy_does_not_let_pass_is_unknown_also_when_it_is_connected() {
    let barred = Arc::new(Mutex::new(Vec::<ClientId>::new()));
    let bars = Arc::clone(&barred);
    let policy = ClientIdMetadataPolicy::open().only(move |id| !bars.lock().unwrap().contains(id));
    let site = Site::with(|builder| builder.client_id_metadata_documents(policy));
    let tokens = site.tokens().await;
    barred.lock().unwrap().push(ID.into());
    site.web.new_hits();
    assert_refused(&site.shown(ID).await, "the client is not registered here");
    assert_nobody(&refresh_at(&site.app, ID, &tokens.refresh).await);
    site.clock.advance(seconds(60 * MINUTE));
    assert_refused(&site.shown(ID).await, "the client is not registered here");
    assert_nobody(&refresh_at(&site.app, ID, &tokens.refresh).await);
    assert_eq!(site.web.new_hits(), 0);
    barred.lock().unwrap().clear();
    Tokens::of(&refresh_at(&site.app, ID, &tokens.refresh).await);
}

#[tokio::test]
async fn such_a_client_may_ask_for_what_the_policy_has_and_no_more() {
    let policy = ClientIdMetadataPolicy::open().scope("profile notes:read");
    let site = Site::with(|builder| builder.client_id_metadata_documents(policy));
    code_of(&site.app, ID, CB, "notes:read").await;
    let answer = send(&site.app, asking(ID).with("scope", "notes:write").post()).await;
    answer.assert_error_at(CB, "invalid_scope", Some(ask::STATE));
    site.web.put(ID, document(json!({"scope": "notes:read notes:write"})));
    site.clock.advance(seconds(5 * MINUTE));
    for (scope, good) in [("notes:read", true), ("profile", false), ("notes:write", false)] {
        let answer = send(&site.app, asking(ID).with("scope", scope).post()).await;
        assert_eq!(answer.redirected("code").is_some(), good, "{scope}: {answer:?}");
    }
}

/// Nobody vouches for it, so it does nothing without a user; a public one could not anyway (RFC 6749 §4.4).
#[tokio::test]
async fn such_a_client_gets_nothing_for_itself() {
    let site = Site::new();
    let grant_types = json!({"grant_types": ["authorization_code", "client_credentials"]});
    site.web.put(ID, document(grant_types));
    assert_shown(&site.shown(ID).await);
    let answer = send(&site.app, form("/token", &[("grant_type", "client_credentials"), ("client_id", ID)])).await;
    assert_eq!(answer.error(), "unauthorized_client");
}

/// RFC 9700 §2.1.1
#[tokio::test]
async fn such_a_client_needs_pkce() {
    let site = Site::new();
    let bare = asking(ID).without("code_challenge").without("code_challenge_method");
    send(&site.app, bare.get()).await.assert_error_at(CB, "invalid_request", Some(ask::STATE));
}

// ---- what the user sees ---------------------------------------------------------------------------------------------

async fn describe(request: AuthorizationRequest) -> impl IntoResponse {
    let client = request.client();
    Html(format!(
        "{} | {:?} | {} | loopback only: {} | remembers: {}",
        client.client_name(),
        client.document_host(),
        request.redirect_host(),
        client.is_loopback_only(),
        request.may_remember_consent(),
    ))
}

/// §8.5: "SHOULD display the hostname of the client_id"; MCP 2026-07-28: "SHOULD display additional warnings for
/// localhost-only redirect URIs", "MUST clearly display the redirect URI hostname"; RFC 8252 §8.6
#[tokio::test]
async fn the_page_sees_who_vouches_for_the_name_and_whether_anybody_could_be_behind_it() {
    let site = Site::new();
    let router = Router::new().route("/authorize", get(describe)).layer(site.provider.layer());
    let app: App = BoxCloneSyncService::new(router.into_service());
    let shown = async |ask: Ask| send(&app, ask.get()).await.body;
    assert_eq!(
        shown(asking(ID)).await,
        "Editor | Some(\"editor.example\") | editor.example | loopback only: false | remembers: true"
    );
    assert_eq!(
        shown(ask().of("public", WEB)).await,
        "Public App | None | web.example | loopback only: false | remembers: true"
    );
    assert_eq!(
        shown(ask().of("native", "http://127.0.0.1:4711/cb")).await,
        "native | None | 127.0.0.1 | loopback only: true | remembers: false"
    );
    for (number, (uris, asked, loopback_only)) in [
        (json!(["http://127.0.0.1/cb", "http://localhost/cb"]), "http://localhost:4711/cb", true),
        (json!(["http://[::1]/cb"]), "http://[::1]:4711/cb", true),
        (json!([CB, "http://127.0.0.1/cb"]), "http://127.0.0.1:4711/cb", false),
        (json!(["com.editor.app:/cb", "http://127.0.0.1/cb"]), "com.editor.app:/cb", false),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("https://apps.example:8443/{number}");
        site.web.put(&id, document(json!({"client_id": id, "client_name": "editor.example", "redirect_uris": uris})));
        let body = shown(ask().of(&id, asked)).await;
        assert!(body.starts_with("editor.example | Some(\"apps.example\") | "), "{body}");
        assert!(body.ends_with(&format!("loopback only: {loopback_only} | remembers: false")), "{body}");
    }
    // Its id is not enough.
    let own = Client::public("https://ours.example/c").redirect_uri(CB);
    assert_eq!(own.document_host(), None);
}

/// What a user has connected is listed by what is known of it, and nothing is fetched to show a list.
#[tokio::test]
async fn the_list_of_connected_apps_fetches_nothing() {
    let (clock, web, store) = (ManualClock::default(), Web::default(), MemoryStore::new());
    web.put(ID, document(json!({})));
    let node = || taking(&clock, &web).store(store.clone()).build().expect("a good configuration");
    let first = node();
    let app = app(&first);
    Tokens::of(&redeem_at(&app, &code_of(&app, ID, CB, "profile").await).await);
    web.new_hits();
    clock.advance(seconds(60 * MINUTE));
    for (provider, host) in [(first, Some("editor.example")), (node(), None)] {
        let apps = provider.connected_apps(&"alice".into()).await.expect("a store");
        let [app] = &apps[..] else { panic!("one app: {apps:?}") };
        assert_eq!(app.client_id, ID);
        assert_eq!(app.client.as_ref().and_then(Client::document_host), host);
    }
    assert_eq!(web.new_hits(), 0);
}

// ---- requests that are pushed ---------------------------------------------------------------------------------------

/// RFC 9126 §2: who pushes a request has one made as at the authorization endpoint, so its document is read for that, at the
/// pace of strangers; and read again as it is by then where the user is asked.
#[tokio::test]
async fn a_client_that_nobody_knows_yet_may_push_its_request() {
    let site = Site::with(ProviderBuilder::pushed_authorization_requests);
    let push = async |id: &str| send(&site.app, form("/par", &asking(id).pairs())).await;
    let pushed = push(ID).await;
    assert_eq!(pushed.status, StatusCode::CREATED, "{pushed:?}");
    let reference = pushed.json()["request_uri"].as_str().expect("a URI").to_owned();
    let referring = with_query("/authorize", &[("client_id", ID), ("request_uri", &reference)]);
    assert_shown(&send(&site.app, request(Method::GET, &referring)).await);
    assert_eq!(site.web.new_hits(), 1);
    for number in 0..50 {
        let answer = push(&format!("https://editor.example/{number}")).await;
        if number < 9 {
            assert_eq!((answer.status, &*answer.error()), (StatusCode::BAD_REQUEST, "invalid_client_metadata"));
        } else {
            assert_try_again(&answer);
        }
    }
    assert_eq!(site.web.new_hits(), 9);
    site.web.put(ID, document(json!({"redirect_uris": ["https://editor.example/new"]})));
    site.clock.advance(seconds(5 * MINUTE));
    let answer = send(&site.app, request(Method::GET, &referring)).await;
    assert_refused(&answer, "redirect_uri is not registered for this client");
}
