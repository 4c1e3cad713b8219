//! Clients that describe themselves, over sockets, and by keys of their own:
//! draft-ietf-oauth-client-id-metadata-document-02 §5, §8.2, §8.6 and §8.7.

#[path = "support/ask.rs"]
mod ask;
#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/jws.rs"]
mod jws;
mod support;
#[path = "support/web.rs"]
mod web;

use std::io::ErrorKind;
use std::sync::{Arc, LazyLock, Mutex};

use ask::ask;
use certificates::Authority;
use http::{Request, StatusCode};
use jws::Key;
use serde_json::{Value, json};
use support::{Answer, App, ISSUER, VERIFIER, app, builder, form, seconds, send, with_members as with, *};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tower_oauth::testing::ManualClock;
use tower_oauth::{ClientIdMetadataPolicy, Fetch, HttpClient, RegistrationPolicy};
use web::Web;

const CB: &str = "https://editor.example/callback";
const NOW: u64 = 1_800_000_000;

fn document(id: &str, members: Value) -> Value {
    let good = json!({
        "client_id": id,
        "client_name": "Editor",
        "redirect_uris": [CB],
        "grant_types": ["authorization_code", "refresh_token"],
    });
    with(good, members)
}

fn taking(fetch: impl Fetch) -> App {
    taking_at(&ManualClock::default(), fetch)
}

fn taking_at(clock: &ManualClock, fetch: impl Fetch) -> App {
    let builder = builder(clock).client_id_metadata_documents(ClientIdMetadataPolicy::open()).fetch(fetch);
    app(&builder.private_key_jwt().registration(RegistrationPolicy::open()).build().expect("a good configuration"))
}

// ---- over sockets ---------------------------------------------------------------------------------------------------

/// A server on this machine that knows one authority's certificate, and hears which paths it is asked for.
struct Server {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// It answers each path so: a whole answer, and whether it goes on for ever.
    async fn start(
        authority: &Authority,
        answer: impl Fn(u16, &str) -> (String, bool) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (acceptor, hears, answer) = (authority.acceptor(&["localhost"]), Arc::clone(&asked), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, hears, answer) = (acceptor.clone(), Arc::clone(&hears), Arc::clone(&answer));
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else {
                        return hears.lock().unwrap().push("no TLS".to_owned());
                    };
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        let Ok(byte) = stream.read_u8().await else { return };
                        head.push(byte);
                    }
                    let head = String::from_utf8(head).expect("a head is text");
                    let path = head.split(' ').nth(1).expect("a path").to_owned();
                    let (text, goes_on) = answer(port, &path);
                    hears.lock().unwrap().push(path);
                    let mut wrote = stream.write_all(text.as_bytes()).await;
                    while goes_on && wrote.is_ok() {
                        wrote = stream.write_all(&[b' '; 1024]).await;
                    }
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    fn id(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }
}

fn as_json(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn answer(port: u16, path: &str) -> (String, bool) {
    let id = format!("https://localhost:{port}{path}");
    match path {
        "/client.json" => (as_json(&document(&id, json!({})).to_string()), false),
        "/moved" => (format!("HTTP/1.1 302 Found\r\nLocation: https://localhost:{port}/client.json\r\n\r\n"), false),
        "/long" => {
            (format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{}", document(&id, json!({}))), true)
        }
        "/said" => {
            ("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5121\r\n\r\n".to_owned(), true)
        }
        _ => ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(), false),
    }
}

fn local(authority: &Authority) -> HttpClient {
    let builder = HttpClient::builder().allow_loopback().root_certificates(&authority.pem);
    builder.build().expect("it builds")
}

/// §5 "MUST NOT automatically follow HTTP redirects", §8.7 "stopping after a maximum number of bytes"
#[tokio::test]
async fn a_document_is_read_over_tls_without_redirects_and_to_5_kib() {
    let authority = Authority::new();
    let server = Server::start(&authority, answer).await;
    let app = taking(local(&authority));
    let id = server.id("/client.json");
    let code = code_of(&app, &id, CB, "profile").await;
    let params = [("code", &*code), ("redirect_uri", CB), ("client_id", &id), ("code_verifier", VERIFIER)];
    let tokens = send(&app, form("/token", &[&[("grant_type", "authorization_code")], &params[..]].concat())).await;
    assert_eq!(tokens.status, StatusCode::OK, "{tokens:?}");
    assert_eq!(server.asked(), ["/client.json"]);
    for (path, why) in [
        ("/moved", "there is no metadata document"),
        ("/long", "has more than 5 KiB"),
        ("/said", "has more than 5 KiB"),
        ("/nothing", "there is no metadata document"),
    ] {
        let answer = send(&app, ask().of(&server.id(path), CB).get()).await;
        answer.assert_error_here(StatusCode::BAD_REQUEST);
        assert!(answer.body.contains(why), "{path}: {}", answer.body);
        assert_eq!(server.asked(), [path]);
    }
}

/// §8.6: "MUST NOT fetch a Client ID Metadata Document URL or any URLs contained within a Client ID Metadata Document that
/// resolve to special-use IP addresses". By the client as it is safest, nothing on this machine is even connected to.
#[tokio::test]
async fn no_address_of_this_machine_or_network_is_reached_by_an_id() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("it can be asked");
    let port = listener.local_addr().expect("an address").port();
    let app = taking(HttpClient::new().expect("it builds"));
    for host in
        ["127.0.0.1", "localhost", "[::1]", "127.0.0.2", "[::ffff:7f00:1]", "0.0.0.0", "10.0.0.1", "169.254.169.254"]
    {
        let answer = send(&app, ask().of(&format!("https://{host}:{port}/client.json"), CB).get()).await;
        answer.assert_error_here(StatusCode::SERVICE_UNAVAILABLE);
        // What there is inside is nobody's to learn.
        assert!(!answer.body.contains("open to everybody") && !answer.body.contains(host), "{}", answer.body);
    }
    assert_eq!(listener.accept().expect_err("nobody came").kind(), ErrorKind::WouldBlock);
    // Somebody would have been seen.
    std::net::TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    assert!(listener.accept().is_ok());
}

// ---- by keys of their own -------------------------------------------------------------------------------------------

const ID: &str = "https://editor.example/oauth/client.json";
const JWKS: &str = "https://keys.example/jwks";

static KEY: LazyLock<Key> = LazyLock::new(Key::es256);

fn signed(claims: Value, key: &Key) -> String {
    let claims = with(
        json!({"iss": ID, "sub": ID, "aud": ISSUER, "exp": NOW + 60, "jti": format!("{:032x}", rand::random::<u128>())}),
        claims,
    );
    jws::jws(r#"{"alg":"ES256","kid":"k"}"#, &claims.to_string(), |message| key.sign(message))
}

fn presenting(uri: &str, assertion: &str, more: &[(&str, &str)]) -> Request<axum::body::Body> {
    const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    form(uri, &[&[("client_assertion_type", TYPE), ("client_assertion", assertion)], more].concat())
}

fn redemption_of(code: &str) -> [(&str, &str); 4] {
    [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CB), ("code_verifier", VERIFIER)]
}

#[track_caller]
fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer[name].as_str().unwrap_or_else(|| panic!("no {name} in {answer}"))
}

#[track_caller]
fn assert_good(answer: &Answer) -> Value {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()
}

/// §8.2: "any communication with the authorization server MUST include client authentication of the registered type"
#[tokio::test]
async fn a_client_that_signs_goes_through_the_whole_flow_and_is_known_by_nothing_else() {
    let keys = jws::document([("k", &*KEY)]);
    for members in [json!({"jwks": keys}), json!({"jwks_uri": JWKS})] {
        let web = Web::default();
        web.put(JWKS, &keys);
        web.put(ID, document(ID, with(members.clone(), json!({"token_endpoint_auth_method": "private_key_jwt"}))));
        let app = taking(web.clone());
        let code = code_of(&app, ID, CB, "profile").await;
        let (good, redeeming) = (|| signed(json!({}), &KEY), redemption_of(&code));
        let bare = send(&app, form("/token", &[&redeeming[..], &[("client_id", ID)]].concat())).await;
        assert_eq!(bare.error(), "invalid_client");
        let forged = send(&app, presenting("/token", &signed(json!({}), &Key::es256()), &redeeming)).await;
        assert_eq!(forged.error(), "invalid_client");
        let tokens = assert_good(&send(&app, presenting("/token", &good(), &redeeming)).await);
        let (access, renewal) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
        let seen = send(&app, presenting("/introspect", &good(), &[("token", access)])).await;
        assert_eq!(assert_good(&seen)["active"], true);
        let refreshing = [("grant_type", "refresh_token"), ("refresh_token", renewal)];
        let next = assert_good(&send(&app, presenting("/token", &good(), &refreshing)).await);
        let gone = [("token", text(&next, "refresh_token"))];
        assert_eq!(send(&app, presenting("/revoke", &good(), &gone)).await.status, StatusCode::OK);
        let seen = send(&app, presenting("/introspect", &good(), &[("token", access)])).await;
        assert_eq!(assert_good(&seen), json!({"active": false}));
        let fetched = [web.hits(ID), web.hits(JWKS)];
        assert_eq!(fetched, [1, usize::from(members.get("jwks_uri").is_some())], "{members}");
    }
}

/// §8.6: what a document names is read by nobody but for a client that is known to be it, bar its signature.
#[tokio::test]
async fn no_url_in_a_document_is_read_before_the_client_signs() {
    let url = |name: &str| format!("https://trap.example/{name}");
    let web = Web::default();
    let members = json!({
        "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": url("jwks"), "logo_uri": url("logo"),
        "client_uri": url("client"), "tos_uri": url("tos"), "policy_uri": url("policy"),
        "sector_identifier_uri": url("sector"), "request_uris": [url("request")], "initiate_login_uri": url("login"),
    });
    web.put(ID, document(ID, members));
    let app = taking(web.clone());
    let code = code_of(&app, ID, CB, "profile").await;
    send(&app, form("/token", &[&redemption_of(&code)[..], &[("client_id", ID)]].concat())).await;
    assert_eq!(web.asked().iter().map(|asked| &*asked.url).collect::<Vec<_>>(), [ID]);
    let answer = send(&app, presenting("/token", &signed(json!({}), &KEY), &redemption_of(&code))).await;
    assert_eq!((answer.status, &*answer.error()), (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"));
    assert_eq!(web.asked().iter().map(|asked| &*asked.url).collect::<Vec<_>>(), [ID, &*url("jwks")]);
}

/// §8.4.1: a key that left the document is good no longer, and the grants live on under the new one.
#[tokio::test]
async fn a_key_that_left_the_document_is_refused_once_that_is_read_again() {
    let (clock, web, new) = (ManualClock::default(), Web::default(), Key::es256());
    let put = |key: &Key| {
        let members = json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": jws::document([("k", key)])});
        web.put(ID, document(ID, members));
    };
    put(&KEY);
    let app = taking_at(&clock, web.clone());
    let code = code_of(&app, ID, CB, "profile").await;
    let tokens = assert_good(&send(&app, presenting("/token", &signed(json!({}), &KEY), &redemption_of(&code))).await);
    put(&new);
    clock.advance(seconds(300));
    let refreshing = [("grant_type", "refresh_token"), ("refresh_token", text(&tokens, "refresh_token"))];
    let later = || json!({"exp": NOW + 360});
    let old = send(&app, presenting("/token", &signed(later(), &KEY), &refreshing)).await;
    assert_eq!(old.error(), "invalid_client");
    assert_good(&send(&app, presenting("/token", &signed(later(), &new), &refreshing)).await);
}
