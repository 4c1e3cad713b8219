//! Where clients publish their keys: RFC 7591 §2, `jwks_uri`. What a server that a stranger named can do to others, and the
//! way over the wire.

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/jws.rs"]
mod jws;
#[path = "support/shelf.rs"]
mod shelf;
mod support;
#[path = "support/web.rs"]
mod web;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use certificates::Authority;
use http::{Request, StatusCode, header};
use jws::Key;
use serde_json::{Value, json};
use shelf::Shelf;
use support::{Answer, App, ISSUER, app, builder, form, seconds, send};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout};
use tower_oauth::testing::ManualClock;
use tower_oauth::{Client, GrantType, HttpClient, RegistrationPolicy};
use web::Web;

const NOW: u64 = 1_800_000_000;

/// Tasks run until all wait, and then time passes at once: by what a test waited tells which place it got.
const AT_ONCE: Duration = Duration::from_millis(100);

fn client(id: &str, jwks_uri: &str) -> Client {
    Client::private_key_jwt_uri(id, jwks_uri).grant_types([GrantType::ClientCredentials])
}

fn signed(id: &str, key: &Key) -> Request<Body> {
    let jti = format!("{:032x}", rand::random::<u128>());
    let claims = json!({"iss": id, "sub": id, "aud": ISSUER, "exp": NOW + 60, "iat": NOW, "jti": jti});
    let header = json!({"alg": "ES256", "kid": "es256"});
    let assertion = jws::jws(&header.to_string(), &claims.to_string(), |message| key.sign(message));
    let params = [
        ("grant_type", "client_credentials"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", &assertion),
        ("scope", "profile"),
    ];
    form("/token", &params)
}

/// A provider with one client of its own, and strangers whose servers are somewhere.
struct Scene {
    app: App,
    web: Web,
    shelf: Shelf,
    key: Key,
}

const FIXED: &str = "https://fixed.example/jwks";

impl Scene {
    fn new() -> Self {
        let (web, shelf, key) = (Web::default(), Shelf::default(), Key::es256());
        web.put(FIXED, jws::document([("es256", &key)]));
        let provider = builder(&ManualClock::default()).store(shelf.clone()).private_key_jwt().fetch(web.clone());
        let provider = provider.client(client("fixed", FIXED)).build().expect("a good configuration");
        Self { app: app(&provider), web, shelf, key }
    }

    /// A client of a stranger's, whose keys are here.
    fn register(&self, url: &str) {
        self.web.put(url, jws::document([("es256", &self.key)]));
        self.shelf.register(client(url, url));
    }

    /// One comes whose server holds its answer back.
    fn held_up(&self, url: &str) -> JoinHandle<Answer> {
        self.register(url);
        self.web.silence(url);
        let (app, request) = (self.app.clone(), signed(url, &self.key));
        tokio::spawn(async move { send(&app, request).await })
    }

    async fn ask(&self, id: &str) -> Answer {
        send(&self.app, signed(id, &self.key)).await
    }

    async fn is_served_at_once(&self, id: &str) -> bool {
        let answer = timeout(AT_ONCE, self.ask(id)).await;
        answer.is_ok_and(|answer| answer.status == StatusCode::OK)
    }
}

/// Lets every task go on until it waits for something that does not come.
async fn settled() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

/// Open registration lets anybody say what is fetched.
#[tokio::test(start_paused = true)]
async fn servers_that_hold_every_answer_back_hold_up_nobody_elses() {
    let scene = Scene::new();
    scene.register("https://honest.example/jwks");
    let tarpits: Vec<_> = (0..64).map(|name| scene.held_up(&format!("https://{name}.tar.example/jwks"))).collect();
    settled().await;
    assert_eq!(scene.web.new_hits(), 64);
    assert!(scene.is_served_at_once("fixed").await);
    // The slow ones have gone aside by then.
    tokio::time::advance(seconds(1)).await;
    settled().await;
    assert!(scene.is_served_at_once("https://honest.example/jwks").await);
    // And they are waited for, as far as there is room for slow ones: a 65th is given up.
    assert!(tarpits.iter().all(|tarpit| !tarpit.is_finished()));
    let began = Instant::now();
    let answer = scene.held_up("https://64.tar.example/jwks").await.expect("an answer");
    assert_eq!((answer.status, began.elapsed().as_secs()), (StatusCode::SERVICE_UNAVAILABLE, 1));
    for tarpit in tarpits {
        assert_eq!(tarpit.await.expect("an answer").status, StatusCode::SERVICE_UNAVAILABLE);
    }
}

/// One host, as many URLs as anybody likes.
#[tokio::test(start_paused = true)]
async fn from_one_host_4_are_fetched_at_once_whatever_its_ports() {
    let scene = Scene::new();
    scene.register("https://honest.example/jwks");
    let url = |number| format!("https://tar.example:{}/{number}", 8_000 + number % 7);
    let tarpits: Vec<_> = (0..100).map(|number| scene.held_up(&url(number))).collect();
    settled().await;
    assert_eq!(scene.web.new_hits(), 4);
    for id in ["https://honest.example/jwks", "fixed"] {
        assert!(scene.is_served_at_once(id).await, "{id}");
    }
    assert_eq!(scene.web.new_hits(), 2);
    tarpits.iter().for_each(JoinHandle::abort);
}

/// A thousand strangers whose keys are being fetched leave no room for others like them; the app's own are apart.
#[tokio::test(start_paused = true)]
async fn no_number_of_strangers_takes_the_place_of_a_client_that_the_app_named() {
    let scene = Scene::new();
    assert!(scene.is_served_at_once("fixed").await);
    let tarpits: Vec<_> = (0..1_000).map(|name| scene.held_up(&format!("https://{name}.tar.example/jwks"))).collect();
    settled().await;
    scene.web.new_hits();
    assert!(scene.is_served_at_once("fixed").await);
    assert_eq!(scene.web.new_hits(), 0, "its keys are still known");
    tarpits.iter().for_each(JoinHandle::abort);
}

// ---- over the wire --------------------------------------------------------------------------------------------------

/// A server of TLS on loopback, which publishes this and counts who comes.
struct Publisher {
    url: String,
    hits: Arc<AtomicUsize>,
    // It ends with it.
    _task: JoinSet<()>,
}

impl Publisher {
    async fn of(authority: &Authority, keys: &Value) -> Self {
        let (acceptor, hits) = (authority.acceptor(&["localhost"]), Arc::new(AtomicUsize::new(0)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("https://localhost:{}/jwks", listener.local_addr().expect("an address").port());
        let body = keys.to_string();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/jwk-set+json\r\nConnection: close\r\nContent-Length:";
        let answer = Arc::new(format!("{head} {}\r\n\r\n{body}", body.len()));
        let (mut task, count) = (JoinSet::new(), Arc::clone(&hits));
        task.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                count.fetch_add(1, Ordering::SeqCst);
                let (acceptor, answer) = (acceptor.clone(), Arc::clone(&answer));
                tokio::spawn(async move {
                    // Whoever does not believe the certificate hangs up.
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let mut head = BufReader::new(&mut stream).lines();
                    while head.next_line().await.is_ok_and(|line| line.is_some_and(|line| !line.is_empty())) {}
                    let _ = stream.write_all(answer.as_bytes()).await;
                    let _ = stream.shutdown().await;
                });
            }
        });
        Self { url, hits, _task: task }
    }
}

/// RFC 7523 §2.2, RFC 7591 §2: a client registers where its keys are, and is known by what it signs; the keys come by TLS
/// from whom the roots vouch for, and from nobody else.
#[tokio::test]
async fn a_client_is_known_by_the_keys_that_it_publishes_over_tls() {
    let (authority, stranger, key) = (Authority::new(), Authority::new(), Key::es256());
    let keys = jws::document([("es256", &key)]);
    let (published, forged) = (Publisher::of(&authority, &keys).await, Publisher::of(&stranger, &keys).await);
    let fetch = HttpClient::builder().allow_loopback().root_certificates(&authority.pem).build().expect("it builds");
    let provider = builder(&ManualClock::default()).private_key_jwt().fetch(fetch);
    let provider = provider.registration(RegistrationPolicy::open().scope("profile"));
    let app = app(&provider.build().expect("a good configuration"));
    let register = async |jwks_uri: &str| {
        let metadata = json!({
            "grant_types": ["client_credentials"], "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": jwks_uri,
        });
        let request = Request::post("/register").header(header::CONTENT_TYPE, "application/json");
        let answer = send(&app, request.body(metadata.to_string().into()).expect("a request")).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        answer.json()["client_id"].as_str().expect("an id").to_owned()
    };
    let id = register(&published.url).await;
    for _ in 0..3 {
        let answer = send(&app, signed(&id, &key)).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }
    assert_eq!(send(&app, signed(&id, &Key::es256())).await.error(), "invalid_client");
    assert_eq!(published.hits.load(Ordering::SeqCst), 1);
    let id = register(&forged.url).await;
    let answer = send(&app, signed(&id, &key)).await;
    assert_eq!((answer.status, &*answer.error()), (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable"));
    assert_eq!(forged.hits.load(Ordering::SeqCst), 1);
}
