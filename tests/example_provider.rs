//! The examples as a stranger meets them: the built programs, over their sockets.
//!
//! `examples/provider` listens on a free port of 127.0.0.1, and is stopped when the test ends.

#[cfg(feature = "jwt")]
#[path = "support/jws.rs"]
mod jws;
#[cfg(all(feature = "jwt", feature = "http-client"))]
#[expect(dead_code, reason = "an example of its own")]
#[path = "../examples/resource_server.rs"]
mod over_axum;
#[cfg(all(feature = "jwt", feature = "http-client"))]
#[expect(dead_code, reason = "an example of its own")]
#[path = "../examples/tonic_resource_server.rs"]
mod over_tonic;
#[cfg(feature = "postgres")]
#[path = "support/postgres.rs"]
mod postgres;
#[cfg(feature = "redis")]
#[path = "support/redis.rs"]
mod redis_servers;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use sha2::{Digest, Sha256};
#[cfg(unix)]
use tokio::time::Instant;

// ---- the program ---------------------------------------------------------------------------------------------------

/// Builds the examples once; where they are built already, this takes no time.
fn program(example: &str) -> PathBuf {
    static EXAMPLES: OnceLock<PathBuf> = OnceLock::new();
    let examples = EXAMPLES.get_or_init(|| {
        // target/<profile>/deps/<this test>
        let this = std::env::current_exe().expect("a test has a path");
        let profile = this.ancestors().nth(2).expect("cargo's folders");
        let name = profile.file_name().and_then(|name| name.to_str()).expect("a profile");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .args(["build", "--quiet", "--examples"])
            .args(cfg!(feature = "sqlite").then_some("--features=sqlite"))
            .args(cfg!(feature = "redis").then_some("--features=redis"))
            .args(cfg!(feature = "postgres").then_some("--features=postgres"))
            .args(cfg!(feature = "jwt").then_some("--features=jwt"))
            .args(cfg!(feature = "http-client").then_some("--features=http-client"))
            .arg("--profile")
            .arg(if name == "debug" { "dev" } else { name })
            .arg("--target-dir")
            .arg(profile.parent().expect("a target folder"))
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .expect("cargo runs");
        assert!(built.success());
        profile.join("examples")
    });
    examples.join(example).with_extension(std::env::consts::EXE_EXTENSION)
}

/// A new name in a folder that is cargo's to clean.
fn scratch(name: &str) -> PathBuf {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let process = std::process::id();
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("provider-{process}-{number}")).join(name)
}

struct Example {
    process: Child,
    origin: String,
    customapp: String,
    said: String,
}

impl Example {
    fn start() -> Self {
        Self::start_with(&["--listen", "127.0.0.1:0", "--secret", path(&scratch("secret"))])
    }

    /// Starts the program and waits until it is ready.
    fn start_with(args: &[&str]) -> Self {
        Self::spawn(Command::new(program("provider")).args(args))
    }

    fn spawn(command: &mut Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().expect("the example starts");
        let stdout = process.stdout.take().expect("stdout is piped");
        let mut example = Self { process, origin: String::new(), customapp: String::new(), said: String::new() };
        for line in BufReader::new(stdout).lines() {
            let line = line.expect("the example prints text");
            example.said += &format!("{line}\n");
            if let Some((_, origin)) = line.split_once("listening on ") {
                example.origin = origin.to_owned();
                return example;
            }
            if let Some((_, home)) = line.split_once("CustomApp: ") {
                example.customapp = home.to_owned();
            }
        }
        panic!("the example ended: {}", example.said);
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// `kill -9`, and nothing else.
    fn kill(mut self) {
        self.process.kill().expect("it runs");
        self.process.wait().expect("it ran");
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs the program where it is expected to give up.
fn refused(args: &[&str]) -> String {
    let Output { status, stderr, .. } =
        Command::new(program("provider")).args(args).stdin(Stdio::null()).output().expect("the example starts");
    assert!(!status.success());
    String::from_utf8(stderr).expect("the example prints text")
}

/// Two neighbouring ports that nobody takes in between: below those that are handed out where a port is left open.
fn neighbours() -> (TcpListener, TcpListener) {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let call = u32::try_from(CALLS.fetch_add(1, Ordering::Relaxed)).expect("a few calls");
    let first = u16::try_from(20_000 + (std::process::id() + call * 100) % 9_000).expect("a port");
    let listen = |port| TcpListener::bind(("127.0.0.1", port)).ok();
    (first..30_000).find_map(|port| Some((listen(port)?, listen(port + 1)?))).expect("two free ports")
}

fn address(listener: &TcpListener) -> String {
    listener.local_addr().expect("it listens").to_string()
}

fn path(path: &Path) -> &str {
    path.to_str().expect("cargo's folder has a name in UTF-8")
}

// ---- the browser ---------------------------------------------------------------------------------------------------

#[derive(Clone)]
struct Browser {
    http: Client<HttpConnector, Full<Bytes>>,
    cookies: BTreeMap<String, String>,
}

struct Answer {
    url: String,
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

/// Where a form is sent from, as the browser tells it.
type Sender = [(&'static str, &'static str); 1];
const SAME_ORIGIN: Sender = [("sec-fetch-site", "same-origin")];
const CROSS_SITE: Sender = [("sec-fetch-site", "cross-site")];

impl Browser {
    fn new() -> Self {
        Self { http: Client::builder(TokioExecutor::new()).build_http(), cookies: BTreeMap::new() }
    }

    async fn get(&mut self, url: &str) -> Answer {
        self.send(Method::GET, url, &[], String::new()).await
    }

    async fn get_with(&mut self, url: &str, token: &str) -> Answer {
        let credentials = format!("Bearer {token}");
        self.send(Method::GET, url, &[("authorization", &credentials)], String::new()).await
    }

    async fn post(&mut self, url: &str, from: Sender, fields: &[(&str, &str)]) -> Answer {
        let form = serde_urlencoded::to_string(fields).expect("text is encodable");
        self.send(Method::POST, url, &from, form).await
    }

    /// Sends the form of a page, as its reader would.
    async fn submit(&mut self, page: &Answer, fields: &[(&str, &str)]) -> Answer {
        let fields = [&[("form_token", page.form_token())], fields].concat();
        self.post(&page.url, SAME_ORIGIN, &fields).await
    }

    async fn send(&mut self, method: Method, url: &str, headers: &[(&str, &str)], form: String) -> Answer {
        let mut request = Request::builder().method(&method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        for (name, value) in &self.cookies {
            request = request.header(header::COOKIE, format!("{name}={value}"));
        }
        if method == Method::POST {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let request = request.body(form.into()).expect("a request");
        let (head, body) = self.http.request(request).await.expect("an answer").into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        for cookie in head.headers.get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().expect("a cookie is ASCII");
            assert!(cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Lax"), "{cookie}");
            assert!(!cookie.to_lowercase().contains("domain"), "{cookie}");
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        Answer {
            url: url.to_owned(),
            status: head.status,
            headers: head.headers,
            text: String::from_utf8(body.to_vec()).expect("text"),
        }
    }

    /// Logs in, and stays at the address to return to.
    async fn log_in(&mut self, example: &Example, name: &str, password: &str) {
        let page = self.get(&example.url("/login")).await;
        let answer = self.submit(&page, &[("username", name), ("password", password)]).await;
        assert_eq!(answer.redirect(), example.url("/"));
    }

    async fn is_logged_in(&mut self, example: &Example) -> bool {
        self.get(&example.url("/")).await.text.contains("Log out")
    }
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("ASCII"))
    }

    fn redirect(&self) -> String {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}: {}", self.url, self.text);
        let target = self.header("location");
        let origin = self.url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        if target.starts_with('/') { origin + target } else { target.to_owned() }
    }

    /// What a redirect tells the client.
    fn parameters(&self) -> BTreeMap<String, String> {
        let target = self.redirect();
        let query = target.split_once('?').expect("a query").1;
        form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }

    fn form_token(&self) -> &str {
        let (_, rest) = self.text.split_once(r#"name="form_token" value=""#).expect("a form");
        rest.split('"').next().expect("a value")
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }
}

// ---- the client ----------------------------------------------------------------------------------------------------

/// The client that the example has for whoever tries it from a command line.
struct CommandLine {
    redirect_uri: &'static str,
    verifier: String,
}

impl CommandLine {
    fn new() -> Self {
        Self { redirect_uri: "http://127.0.0.1:49152/callback", verifier: BASE64_URL_SAFE_NO_PAD.encode([7; 32]) }
    }

    fn url(&self, example: &Example, further: &[(&str, &str)]) -> String {
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&self.verifier));
        let mut query = vec![
            ("response_type", "code"),
            ("client_id", "cli"),
            ("redirect_uri", self.redirect_uri),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        query.extend(further);
        let query = serde_urlencoded::to_string(query).expect("text is encodable");
        example.url(&format!("/v1/oauth2/auth?{query}"))
    }

    fn redemption<'a>(&'a self, code: &'a str) -> [(&'a str, &'a str); 5] {
        [
            ("grant_type", "authorization_code"),
            ("client_id", "cli"),
            ("redirect_uri", self.redirect_uri),
            ("code_verifier", &self.verifier),
            ("code", code),
        ]
    }

    /// Asks as a user who allows it, and buys tokens with the code.
    async fn tokens(&self, example: &Example, browser: &mut Browser, scope: &str) -> Value {
        let page = browser.get(&self.url(example, &[("scope", scope)])).await;
        let answer = browser.submit(&page, &[("decision", "allow")]).await;
        let code = &answer.parameters()["code"];
        let tokens = browser.post(&example.url("/v1/oauth2/token"), SAME_ORIGIN, &self.redemption(code)).await;
        assert_eq!(tokens.status, StatusCode::OK, "{}", tokens.text);
        tokens.json()
    }
}

async fn logged_in(example: &Example) -> Browser {
    let mut browser = Browser::new();
    browser.log_in(example, "alice", "wonderland").await;
    browser
}

/// Goes to CustomApp and connects; the answer is the first page that waits for the user, or CustomApp's own.
async fn connect(browser: &mut Browser, example: &Example) -> Answer {
    let mut answer = browser.get(&format!("{}/connect", example.customapp)).await;
    while answer.status == StatusCode::SEE_OTHER {
        answer = browser.get(&answer.redirect()).await;
    }
    answer
}

// ---- starting ------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_taken_port_is_an_error_of_one_line_that_says_what_to_write() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = address(&taken);
    let error = refused(&["--listen", &address, "--secret", path(&scratch("secret"))]);
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(error.contains(&format!("{address} is taken")), "{error}");
    assert!(error.contains("write `--listen 127.0.0.1:"), "{error}");
}

#[tokio::test]
async fn an_unknown_or_unreadable_option_is_an_error_of_one_line_that_names_the_options() {
    for args in [&["--port", "1"][..], &["--listen"], &["--listen", "here"], &["--issuer="]] {
        let error = refused(args);
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.contains("--listen 127.0.0.1:"), "{error}");
    }
}

#[tokio::test]
async fn an_issuer_that_is_none_is_refused_at_the_start() {
    let secret = scratch("secret");
    let error = refused(&["--listen", "127.0.0.1:0", "--issuer", "nowhere", "--secret", path(&secret)]);
    assert!(error.contains("nowhere"), "{error}");
}

#[tokio::test]
async fn the_same_port_is_listened_on_again_right_after_kill_9() {
    let secret = scratch("secret");
    let address = address(&neighbours().0);
    let args = ["--listen", &address, "--secret", path(&secret)];
    let first = Example::start_with(&args);
    // A connection that is open when the process dies leaves the port in TIME_WAIT.
    let _connected = logged_in(&first).await;
    first.kill();
    let again = Example::start_with(&args);
    assert!(again.origin.ends_with(&address));
    assert_eq!(Browser::new().get(&again.url("/public")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_secret_is_made_once_with_its_folder_for_its_owner_alone_and_said_so() {
    let file = scratch("a/b/provider.secret");
    let args = ["--listen", "127.0.0.1:0", "--secret", path(&file)];
    let first = Example::start_with(&args);
    assert!(first.said.contains(path(&file)), "{}", first.said);
    let secret = std::fs::read(&file).expect("it was made");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&file).expect("it was made").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    drop(first);
    let second = Example::start_with(&args);
    assert!(!second.said.contains(path(&file)), "{}", second.said);
    assert_eq!(std::fs::read(&file).expect("it is still there"), secret);
}

#[tokio::test]
#[cfg(feature = "sqlite")]
async fn with_sqlite_an_app_stays_connected_over_kill_9_and_the_secret_is_beside_the_database() {
    let file = scratch("a/provider.db");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let (address, store) = (address(&listener), format!("sqlite:{}", path(&file)));
    drop(listener);
    let args = ["--listen", &address, "--store", &store];
    let example = Example::start_with(&args);
    let mut browser = logged_in(&example).await;
    let tokens = CommandLine::new().tokens(&example, &mut browser, "profile").await;
    example.kill();
    assert!(file.with_extension("db.secret").exists());

    let (example, mut browser) = (Example::start_with(&args), Browser::new());
    let me = example.url("/v1/users/me");
    let token = tokens["access_token"].as_str().expect("a token");
    assert_eq!(browser.get_with(&me, token).await.status, StatusCode::OK);
    let renewal = tokens["refresh_token"].as_str().expect("a token");
    let fields = [("grant_type", "refresh_token"), ("client_id", "cli"), ("refresh_token", renewal)];
    let renewed = browser.post(&example.url("/v1/oauth2/token"), SAME_ORIGIN, &fields).await.json();
    let token = renewed["access_token"].as_str().expect("a token");
    assert_eq!(browser.get_with(&me, token).await.status, StatusCode::OK);
    example.kill();

    let other = scratch("secret");
    let error = refused(&["--listen", &address, "--store", &store, "--secret", path(&other)]);
    assert!(error.contains("are missing: add them"), "{error}");
}

/// With JWTs the keys are where the metadata say, and outlive `kill -9`; CustomApp connects as ever.
#[tokio::test]
#[cfg(all(feature = "sqlite", feature = "jwt"))]
async fn with_jwts_the_keys_are_published_and_a_token_is_good_over_kill_9() {
    let file = scratch("a/provider.db");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let (address, store) = (address(&listener), format!("sqlite:{}", path(&file)));
    drop(listener);
    let args = ["--listen", &address, "--store", &store, "--access-token", "jwt"];
    let example = Example::start_with(&args);
    let mut browser = logged_in(&example).await;
    let tokens = CommandLine::new().tokens(&example, &mut browser, "profile").await;
    let token = tokens["access_token"].as_str().expect("a token");
    let header = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').next().expect("a header")).expect("base64url");
    let header: Value = serde_json::from_slice(&header).expect("JSON");
    assert_eq!((&header["typ"], &header["alg"]), (&"at+jwt".into(), &"ES256".into()));
    example.kill();

    let (example, mut browser) = (Example::start_with(&args), Browser::new());
    let metadata = browser.get(&example.url("/.well-known/oauth-authorization-server")).await.json();
    assert_eq!(metadata["jwks_uri"], example.url("/v1/oauth2/jwks"));
    let keys = browser.get(metadata["jwks_uri"].as_str().expect("a URL")).await.json();
    assert_eq!(keys["keys"][0]["kid"], header["kid"]);
    assert_eq!(metadata["revocation_feed_endpoint"], example.url("/v1/oauth2/revoked"));
    assert_eq!(browser.get_with(&example.url("/v1/users/me"), token).await.status, StatusCode::OK);
    let mut browser = logged_in(&example).await;
    let page = connected(&mut browser, &example).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);

    let error = refused(&["--cache", "never"]);
    assert!(error.contains("write for example `--cache 0`"), "{error}");
    let error = refused(&["--access-token", "paper"]);
    assert!(error.contains("write `--access-token handle` or `--access-token jwt`"), "{error}");
}

/// RFC 9068 §4, RFC 8414 §3: what the program issues is good at the resource servers of the other examples, which know its
/// issuer alone, and goes on being good there while it is away. What is no access token of its is none there either.
#[tokio::test]
#[cfg(all(feature = "jwt", feature = "http-client"))]
async fn with_jwts_a_token_is_good_at_the_resource_servers_of_the_other_examples() {
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
    use tower_oauth::{HttpClient, JwtVerifier};

    let secret = scratch("secret");
    let jwts = ["--listen", "127.0.0.1:0", "--secret", path(&secret), "--access-token", "jwt"];
    let (example, other) = (Example::start_with(&jwts), Example::start());
    let fetch = HttpClient::builder().allow_loopback().build().expect("roots");
    let verifier = JwtVerifier::builder(&example.origin).issuer(&*example.origin).fetch(fetch).build();
    let verifier = verifier.expect("a good configuration");
    let listen = async || tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let (api, grpc) = (listen().await, listen().await);
    let origin = |listener: &tokio::net::TcpListener| format!("http://{}", listener.local_addr().expect("an address"));
    let (hello, service) = (format!("{}/hello", origin(&api)), origin(&grpc));
    let app = over_axum::app(&verifier, &example.url("/.well-known/oauth-protected-resource"));
    // They end with the runtime of the test.
    tokio::spawn(async { axum::serve(api, app).await });
    tokio::spawn(async move { over_tonic::serve(grpc, &verifier, std::future::pending()).await });
    let channel = tonic::transport::Endpoint::new(service).expect("an origin").connect().await.expect("it listens");
    let check = async |token: &str| {
        let mut request = tonic::Request::new(HealthCheckRequest::default());
        let credentials = format!("Bearer {token}").parse().expect("a value");
        request.metadata_mut().insert("authorization", credentials);
        HealthClient::new(channel.clone()).check(request).await.err().map(|status| status.code())
    };

    let mut browser = logged_in(&example).await;
    let tokens = CommandLine::new().tokens(&example, &mut browser, "profile").await;
    let token = |name: &str| tokens[name].as_str().expect("a token").to_owned();
    let (access, refresh) = (token("access_token"), token("refresh_token"));
    let handle = CommandLine::new().tokens(&other, &mut logged_in(&other).await, "profile").await;
    let handle = handle["access_token"].as_str().expect("a token").to_owned();
    let (signed, signature) = access.rsplit_once('.').expect("three parts");
    let forged = format!("{signed}.{}", signature.chars().rev().collect::<String>());
    for token in [&refresh, &handle, &forged] {
        let answer = browser.get_with(&hello, token).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{token}");
        assert!(answer.header("www-authenticate").contains(&example.origin), "{:?}", answer.headers);
        assert_eq!(check(token).await, Some(tonic::Code::Unauthenticated), "{token}");
    }
    let narrow = CommandLine::new().tokens(&example, &mut browser, "notes:read").await;
    let narrow = narrow["access_token"].as_str().expect("a token");
    assert_eq!(browser.get_with(&hello, narrow).await.status, StatusCode::FORBIDDEN);
    assert_eq!(check(narrow).await, Some(tonic::Code::PermissionDenied));
    let answer = browser.get_with(&hello, &access).await;
    assert_eq!((answer.status, &*answer.text), (StatusCode::OK, "Hello, alice\n"));
    assert_eq!(check(&access).await, None);
    example.kill();
    assert_eq!(browser.get_with(&hello, &access).await.status, StatusCode::OK);
    assert_eq!(check(&access).await, None);
}

/// What another node revoked is refused a moment later, and 5 seconds later at the latest (`cache` of the stores).
#[cfg(any(feature = "postgres", feature = "redis"))]
async fn refused_in_time(browser: &mut Browser, url: &str, token: &str) {
    let refused = async { while browser.get_with(url, token).await.status != StatusCode::UNAUTHORIZED {} };
    tokio::time::timeout(Duration::from_secs(5), refused).await.expect("it is refused within 5 seconds");
}

/// Two nodes, one of which is killed.
#[tokio::test]
#[cfg(feature = "postgres")]
async fn with_postgres_a_token_of_one_node_is_good_at_the_other_until_it_is_revoked_and_a_secret_has_to_be_given() {
    let database = postgres::Database::new().await;
    let (store, secret) = (database.url(), scratch("secret"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let issuer = format!("http://{}", address(&listener));
    drop(listener);
    let args = ["--listen", &issuer["http://".len()..], "--store", &store];
    let error = refused(&args);
    assert!(error.contains("--secret FILE"), "{error}");

    let args = [&args[..], &["--secret", path(&secret)]].concat();
    let first = Example::start_with(&args);
    let mut browser = logged_in(&first).await;
    let tokens = CommandLine::new().tokens(&first, &mut browser, "profile").await;
    let token = tokens["access_token"].as_str().expect("a token");
    let args = ["--listen", "127.0.0.1:0", "--issuer", &issuer, "--store", &store, "--secret", path(&secret)];
    let second = Example::start_with(&args);
    let me = second.url("/v1/users/me");
    let mut other = Browser::new();
    assert_eq!(other.get_with(&me, token).await.status, StatusCode::OK);
    let fields = [("token", token), ("client_id", "cli")];
    let revoked = browser.post(&first.url("/v1/oauth2/revoke"), SAME_ORIGIN, &fields).await;
    assert_eq!(revoked.status, StatusCode::OK);
    refused_in_time(&mut other, &me, token).await;
    first.kill();
    let renewal = tokens["refresh_token"].as_str().expect("a token");
    let fields = [("grant_type", "refresh_token"), ("client_id", "cli"), ("refresh_token", renewal)];
    let renewed = other.post(&second.url("/v1/oauth2/token"), SAME_ORIGIN, &fields).await;
    assert_eq!(renewed.status, StatusCode::OK, "{}", renewed.text);
}

#[tokio::test]
#[cfg(feature = "redis")]
async fn two_nodes_on_one_redis_know_each_others_tokens_and_revocations() {
    let redis = redis_servers::Server::start();
    let (url, secret) = (redis.url(), scratch("secret"));
    let [first, second] = [(), ()].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let [here, there] = [address(&first), address(&second)];
    drop((first, second));
    let node = |listen: &str| {
        let issuer = format!("http://{here}");
        Example::start_with(&["--listen", listen, "--issuer", &issuer, "--store", &url, "--secret", path(&secret)])
    };
    let (first, second) = (node(&here), node(&there));
    let mut browser = logged_in(&first).await;
    let tokens = CommandLine::new().tokens(&first, &mut browser, "profile").await;
    let text = |name: &str| tokens[name].as_str().expect("a token");
    let (me, access) = (format!("http://{there}/v1/users/me"), text("access_token"));
    assert_eq!(browser.get_with(&me, access).await.status, StatusCode::OK);
    let fields = [("token", text("refresh_token")), ("client_id", "cli")];
    let revoked = browser.post(&first.url("/v1/oauth2/revoke"), SAME_ORIGIN, &fields).await;
    assert_eq!(revoked.status, StatusCode::OK);
    refused_in_time(&mut browser, &me, access).await;
    second.kill();

    let error = refused(&["--listen", "127.0.0.1:0", "--store", &url]);
    assert!(error.contains("--secret FILE"), "{error}");
    drop(redis);
    let error = refused(&["--listen", "127.0.0.1:0", "--store", &url, "--secret", path(&secret)]);
    assert!(error.lines().count() == 1 && error.contains("--store redis://"), "{error}");
}

#[tokio::test]
async fn a_store_that_cannot_be_used_is_an_error_of_one_line_that_says_what_to_write() {
    let folder = scratch("folder");
    std::fs::create_dir_all(&folder).expect("a folder");
    let letter = folder.join("letter");
    std::fs::write(&letter, "a letter, and no database".repeat(100)).expect("a file");
    let unusable = [path(&folder), path(&letter)].map(|file| format!("sqlite:{file}"));
    for store in unusable.iter().map(String::as_str).chain(["sqlite:", "postgres", "postgres:file", "memory:"]) {
        let error = refused(&["--listen", "127.0.0.1:0", "--store", store]);
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.contains("--store sqlite:"), "{error}");
    }
}

#[tokio::test]
async fn customapp_never_keeps_the_provider_from_starting() {
    let (first, _taken) = neighbours();
    let address = address(&first);
    drop(first);
    let example = Example::start_with(&["--listen", &address, "--secret", path(&scratch("secret"))]);
    assert!(example.origin.ends_with(&address));
    let mut browser = Browser::new();
    let welcome = browser.get(&example.customapp).await;
    assert!(welcome.text.contains("Connect my account"), "{}", welcome.text);
}

#[tokio::test]
async fn everything_is_found_through_the_metadata_and_on_the_issuers_origin() {
    let secret = scratch("secret");
    let issuer = "https://shift.example";
    let example = Example::start_with(&["--listen=127.0.0.1:0", "--issuer", issuer, "--secret", path(&secret)]);
    let mut browser = Browser::new();
    let url = example.url("/.well-known/oauth-authorization-server");
    let metadata = browser.get(&url).await.json();
    assert_eq!(metadata["issuer"], issuer);
    assert_eq!(metadata["authorization_endpoint"], format!("{issuer}/v1/oauth2/auth"));
    assert_eq!(metadata["token_endpoint"], format!("{issuer}/v1/oauth2/token"));
    assert_eq!(metadata["revocation_endpoint"], format!("{issuer}/v1/oauth2/revoke"));
    assert_eq!(metadata["introspection_endpoint"], format!("{issuer}/v1/oauth2/introspect"));
    assert_eq!(metadata["registration_endpoint"], format!("{issuer}/v1/oauth2/register"));
    assert_eq!(metadata["code_challenge_methods_supported"], serde_json::json!(["S256"]));
    for place in ["", "/v1/users/me", "/v1/admin"] {
        let url = example.url(&format!("/.well-known/oauth-protected-resource{place}"));
        let resource = browser.get(&url).await.json();
        assert_eq!(resource["resource"], issuer);
        assert_eq!(resource["authorization_servers"], serde_json::json!([issuer]));
        assert_eq!(resource["scopes_supported"], serde_json::json!(["profile", "notes:read", "notes:write"]));
    }
    let head = browser.send(Method::HEAD, &url, &[], String::new()).await;
    assert_eq!((head.status, head.text.as_str()), (StatusCode::OK, ""));
    let login = browser.get(&example.url("/login")).await;
    assert!(login.header("set-cookie").contains("; Secure"));
    assert_eq!(browser.get(&example.url("/.well-known/openid-configuration")).await.status, StatusCode::NOT_FOUND);
}

/// draft-ietf-oauth-client-id-metadata-document-02 §6 and §8.6: with the feature `http-client`, an app may come with the URL of
/// its document; nothing of this machine is one.
#[cfg(feature = "http-client")]
#[tokio::test]
async fn a_client_may_describe_itself_and_nothing_of_loopback_is_fetched() {
    let example = Example::start();
    let mut browser = logged_in(&example).await;
    let metadata = browser.get(&example.url("/.well-known/oauth-authorization-server")).await.json();
    assert_eq!(metadata["client_id_metadata_document_supported"], true);
    let trap = TcpListener::bind("127.0.0.1:0").expect("a free port");
    trap.set_nonblocking(true).expect("it can be asked");
    let port = trap.local_addr().expect("an address").port();
    for host in ["127.0.0.1", "localhost", "[::1]"] {
        let query = format!("response_type=code&client_id=https://{host}:{port}/c&redirect_uri=https://app.example/cb");
        let answer = browser.get(&example.url(&format!("/v1/oauth2/auth?{query}"))).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text);
    }
    assert!(trap.accept().is_err(), "nobody came");
}

/// RFC 7591 §2, RFC 7523 §2.2: with the feature `jwt`, a client registers its keys, and signs what it asks with.
#[cfg(feature = "jwt")]
#[tokio::test]
async fn a_client_registers_its_keys_and_proves_itself_by_them() {
    use tower_oauth::{Clock, SystemClock};

    let example = Example::start();
    let mut browser = Browser::new();
    let metadata = browser.get(&example.url("/.well-known/oauth-authorization-server")).await.json();
    for endpoint in ["token", "revocation", "introspection"] {
        let methods = &metadata[format!("{endpoint}_endpoint_auth_methods_supported")];
        assert!(methods.as_array().expect("a list").contains(&"private_key_jwt".into()), "{methods}");
        let algorithms = &metadata[format!("{endpoint}_endpoint_auth_signing_alg_values_supported")];
        assert_eq!(*algorithms, serde_json::json!(["ES256", "EdDSA", "RS256"]));
    }
    assert_eq!(metadata["dpop_signing_alg_values_supported"], serde_json::json!(["ES256", "EdDSA", "RS256"]));
    let key = jws::Key::es256();
    let about = |keys: (&str, Value)| {
        let mut metadata = serde_json::json!({
            "token_endpoint_auth_method": "private_key_jwt", "grant_types": ["client_credentials"],
        });
        metadata[keys.0] = keys.1;
        metadata
    };
    let id = register(&example, &about(("jwks", jws::document([("one", &key)])))).await;
    #[cfg(feature = "http-client")]
    register(&example, &about(("jwks_uri", "https://app.example/jwks".into()))).await;

    let ask = async |browser: &mut Browser, audience: &str| {
        let now = SystemClock.now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
        let claims = serde_json::json!({"iss": id, "sub": id, "aud": audience, "exp": now + 60, "jti": "first"});
        let header = r#"{"alg":"ES256","kid":"one","typ":"client-authentication+jwt"}"#;
        let assertion = jws::jws(header, &claims.to_string(), |message| key.sign(message));
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", &assertion),
        ];
        browser.post(&example.url("/v1/oauth2/token"), SAME_ORIGIN, &fields).await.status
    };
    let token_endpoint = example.url("/v1/oauth2/token");
    assert_eq!(ask(&mut browser, &token_endpoint).await, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(&mut browser, &example.origin).await, StatusCode::OK);
    assert_eq!(ask(&mut browser, &example.origin).await, StatusCode::UNAUTHORIZED, "it was used");
}

/// The id of a client that registered so.
#[cfg(feature = "jwt")]
async fn register(example: &Example, metadata: &Value) -> String {
    let request = Request::post(example.url("/v1/oauth2/register"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(metadata.to_string())))
        .expect("a good request");
    let client = Client::builder(TokioExecutor::new()).build::<_, Full<Bytes>>(HttpConnector::new());
    let answer = client.request(request).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::CREATED);
    let body = answer.into_body().collect().await.expect("a body").to_bytes();
    let answer: Value = serde_json::from_slice(&body).expect("JSON");
    assert!(answer.get("client_secret").is_none(), "{answer}");
    answer["client_id"].as_str().expect("an id").to_owned()
}

#[tokio::test]
async fn endpoint_paths_match_exactly() {
    let example = Example::start();
    let mut browser = Browser::new();
    for near in ["/v1/oauth2/token;x", "/v1//oauth2/token", "/v1/oauth2/token/", "/v1/oauth2/%74oken"] {
        let answer = browser.post(&example.url(near), SAME_ORIGIN, &[("grant_type", "x")]).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{near}");
    }
}

/// Both end by themselves, and assert what they show.
#[tokio::test]
async fn the_examples_that_play_all_the_parts_run_to_their_end() {
    for example in ["walkthrough", "tonic"] {
        let Output { status, stdout, stderr } = Command::new(program(example)).output().expect("it starts");
        let printed = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
        assert!(status.success(), "{example}: {printed}");
    }
}

// ---- stopping ------------------------------------------------------------------------------------------------------

#[cfg(unix)]
fn send(signal: &str, example: &Example) {
    let id = example.process.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().expect("there is `kill`").success());
}

#[cfg(unix)]
fn wait_until_closed(address: &str) {
    while TcpStream::connect(address).is_ok() {
        std::thread::yield_now();
    }
}

/// A code is being redeemed when the signal comes, and half of the form is still to be sent.
#[cfg(unix)]
#[tokio::test]
async fn a_signal_lets_the_request_in_flight_finish_and_then_the_program_ends_well() {
    for signal in ["-TERM", "-INT"] {
        let mut example = Example::start();
        let mut browser = logged_in(&example).await;
        let client = CommandLine::new();
        let page = browser.get(&client.url(&example, &[])).await;
        let code = browser.submit(&page, &[("decision", "allow")]).await.parameters()["code"].clone();
        let form = serde_urlencoded::to_string(client.redemption(&code)).expect("text is encodable");
        let (first, rest) = form.split_at(form.len() / 2);
        let address = example.origin.trim_start_matches("http://").to_owned();
        // Neither a silent connection nor the idle one of `browser` keeps it.
        let _silent = TcpStream::connect(&address).expect("it listens");

        let mut slow = TcpStream::connect(&address).expect("it listens");
        let head = format!(
            "POST /v1/oauth2/token HTTP/1.1\r\nhost: {address}\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\
             content-type: application/x-www-form-urlencoded\r\n\r\n",
            form.len()
        );
        slow.write_all(head.as_bytes()).expect("it reads");
        // Now the endpoint waits for the form.
        let mut go_on = [0; 25];
        slow.read_exact(&mut go_on).expect("it answers");
        assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
        slow.write_all(first.as_bytes()).expect("it reads");

        let asked = Instant::now();
        send(signal, &example);
        wait_until_closed(&address);
        slow.write_all(rest.as_bytes()).expect("it still reads");
        let mut answer = String::new();
        slow.read_to_string(&mut answer).expect("the answer is whole");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("\"access_token\":"), "{answer}");
        let status = example.process.wait().expect("it ran");
        assert_eq!(status.code(), Some(0), "{signal}");
        // Less than it would wait for an answer that does not come.
        assert!(asked.elapsed() < Duration::from_secs(5), "{signal}");
    }
}

/// CustomApp is asking for the metadata when the signal comes, and here it is the test that answers.
#[cfg(unix)]
#[tokio::test]
async fn the_provider_answers_until_customapp_has_given_its_last_answer() {
    let provider = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let issuer = format!("http://{}", address(&provider));
    let secret = scratch("secret");
    let mut example = Example::start_with(&["--listen", "127.0.0.1:0", "--issuer", &issuer, "--secret", path(&secret)]);
    let customapp = example.customapp.trim_start_matches("http://").to_owned();
    let mut visitor = TcpStream::connect(&customapp).expect("it listens");
    visitor.write_all(format!("GET /connect HTTP/1.1\r\nhost: {customapp}\r\n\r\n").as_bytes()).expect("it reads");
    let (mut question, _) = provider.accept().expect("CustomApp asks");

    send("-TERM", &example);
    wait_until_closed(&customapp);
    assert_eq!(Browser::new().get(&example.url("/public")).await.status, StatusCode::OK);
    let metadata = serde_json::json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/auth"),
        "token_endpoint": format!("{issuer}/token"),
        "revocation_endpoint": format!("{issuer}/revoke"),
    })
    .to_string();
    let reply = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{metadata}", metadata.len());
    question.write_all(reply.as_bytes()).expect("it reads");
    let mut answer = String::new();
    visitor.read_to_string(&mut answer).expect("the answer is whole");
    assert!(answer.starts_with("HTTP/1.1 303 See Other\r\n"), "{answer}");
    assert_eq!(example.process.wait().expect("it ran").code(), Some(0));
}

/// CustomApp waits for an answer that never comes. It may not take the provider's time to stop: that has its own, and what
/// does not end within it is cut off, but never in silence.
#[cfg(unix)]
#[tokio::test]
async fn a_stalled_request_at_customapp_leaves_the_provider_time_for_its_last_answers() {
    let provider = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let issuer = format!("http://{}", address(&provider));
    let mut example = Example::spawn(
        Command::new(program("provider"))
            .args(["--listen", "127.0.0.1:0", "--issuer", &issuer, "--secret", path(&scratch("secret"))])
            .stderr(Stdio::piped()),
    );
    let mut said = BufReader::new(example.process.stderr.take().expect("stderr is piped")).lines();
    let customapp = example.customapp.trim_start_matches("http://").to_owned();
    let mut visitor = TcpStream::connect(&customapp).expect("it listens");
    visitor.write_all(format!("GET /connect HTTP/1.1\r\nhost: {customapp}\r\n\r\n").as_bytes()).expect("it reads");
    let (_unanswered, _) = provider.accept().expect("CustomApp asks");
    let address = example.origin.trim_start_matches("http://").to_owned();
    let [mut slow, mut stalled] = [(); 2].map(|()| half_a_redemption(&address));

    send("-TERM", &example);
    let line = said.next().expect("CustomApp is given up first").expect("the example prints text");
    assert_eq!(line, "CustomApp is cut off: its last answers took longer than 2s");
    wait_until_closed(&address);
    slow.write_all(b"code").expect("it still reads");
    let mut answer = String::new();
    slow.read_to_string(&mut answer).expect("the answer is whole");
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.ends_with("client authentication failed\"}"), "{answer}");

    let line = said.next().expect("then the provider is").expect("the example prints text");
    assert_eq!(line, "the provider is cut off: its last answers took longer than 3s");
    assert_eq!(example.process.wait().expect("it ran").code(), Some(0));
    assert_eq!(stalled.read(&mut [0]).unwrap_or(0), 0, "nothing was answered");
}

/// `grant_type=authorization_code` but for its last word, at an endpoint that waits for it.
#[cfg(unix)]
fn half_a_redemption(address: &str) -> TcpStream {
    let mut slow = TcpStream::connect(address).expect("it listens");
    let head = format!(
        "POST /v1/oauth2/token HTTP/1.1\r\nhost: {address}\r\nexpect: 100-continue\r\ncontent-length: 29\r\n\
         content-type: application/x-www-form-urlencoded\r\n\r\n"
    );
    slow.write_all(head.as_bytes()).expect("it reads");
    let mut go_on = [0; 25];
    slow.read_exact(&mut go_on).expect("it answers");
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    slow.write_all(b"grant_type=authorization_").expect("it reads");
    slow
}

// ---- logging in ----------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_login_has_one_form_with_a_text_and_a_password_field_and_a_new_session_id() {
    let example = Example::start();
    let mut browser = Browser::new();
    let page = browser.get(&example.url("/login")).await;
    assert_eq!(page.text.matches("<form").count(), 1);
    assert_eq!(page.text.matches(r#"type="text""#).count(), 1);
    assert_eq!(page.text.matches(r#"type="password""#).count(), 1);
    let before = browser.cookies["session"].clone();
    let answer = browser.submit(&page, &[("username", "bob"), ("password", "builder")]).await;
    assert_eq!(answer.redirect(), example.url("/"));
    assert!(answer.header("set-cookie").contains("; Max-Age=43200;"));
    assert_ne!(browser.cookies["session"], before);
    assert!(browser.is_logged_in(&example).await);
    browser.cookies.insert("session".into(), before);
    assert!(!browser.is_logged_in(&example).await);
}

#[tokio::test]
async fn an_unknown_user_and_a_wrong_password_get_the_same_answer_and_lock_nobody_out() {
    let example = Example::start();
    let mut browser = Browser::new();
    let page = browser.get(&example.url("/login")).await;
    let wrong = browser.submit(&page, &[("username", "alice"), ("password", "builder")]).await;
    let unknown = browser.submit(&page, &[("username", "mallory"), ("password", "builder")]).await;
    assert_eq!(wrong.status, StatusCode::FORBIDDEN);
    assert_eq!((wrong.status, &wrong.text), (unknown.status, &unknown.text));
    assert!(!browser.is_logged_in(&example).await);
    for _ in 0..30 {
        browser.submit(&page, &[("username", "alice"), ("password", "")]).await;
    }
    browser.log_in(&example, "alice", "wonderland").await;
}

#[tokio::test]
async fn a_login_form_of_another_site_or_session_or_without_its_token_is_refused() {
    let example = Example::start();
    let (mut browser, mut other) = (Browser::new(), Browser::new());
    let page = browser.get(&example.url("/login")).await;
    let foreign = other.get(&example.url("/login")).await;
    let alice = [("username", "alice"), ("password", "wonderland")];
    let with = |token| [&[("form_token", token)], &alice[..]].concat();
    let attempts = [
        (SAME_ORIGIN, alice.to_vec()),
        (SAME_ORIGIN, with("")),
        (SAME_ORIGIN, with(foreign.form_token())),
        (CROSS_SITE, with(page.form_token())),
        ([("sec-fetch-site", "same-site")], with(page.form_token())),
        ([("origin", "https://evil.example")], with(page.form_token())),
        ([("origin", "null")], with(page.form_token())),
    ];
    for (from, fields) in attempts {
        let answer = browser.post(&page.url, from, &fields).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{from:?} {fields:?}");
        assert_eq!(answer.header("set-cookie"), "");
        assert!(!browser.is_logged_in(&example).await);
    }
    browser.log_in(&example, "alice", "wonderland").await;
}

/// An open redirect through the login page would make it a phisher's tool.
#[tokio::test]
async fn the_address_to_return_to_is_a_path_of_this_site_only() {
    let example = Example::start();
    let mut browser = Browser::new();
    for (asked, goes) in [
        ("/v1/oauth2/auth?state=%5C%0A//x", "/v1/oauth2/auth?state=%5C%0A//x"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("/%5Cevil.example", "/"),
        ("/%2Fevil.example", "/"),
        ("/\t/evil.example", "/"),
        ("/.//evil.example", "/"),
        ("/x\r\nset-cookie: a=b", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("@evil.example", "/"),
        ("", "/"),
    ] {
        let query = serde_urlencoded::to_string([("return_to", asked)]).expect("text is encodable");
        let page = browser.get(&example.url(&format!("/login?{query}"))).await;
        let answer = browser.submit(&page, &[("username", "bob"), ("password", "builder")]).await;
        assert_eq!(answer.header("location"), goes, "{asked}");
    }
}

#[tokio::test]
async fn logging_out_needs_its_form_and_ends_the_session() {
    let example = Example::start();
    let mut browser = logged_in(&example).await;
    let session = browser.cookies["session"].clone();
    let logout = example.url("/logout");
    let login_page = browser.get(&example.url("/login")).await;
    for token in ["", login_page.form_token()] {
        let answer = browser.post(&logout, SAME_ORIGIN, &[("form_token", token)]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
    }
    let home = browser.get(&example.url("/")).await;
    let answer = browser.post(&logout, SAME_ORIGIN, &[("form_token", home.form_token())]).await;
    assert_eq!(answer.redirect(), example.url("/"));
    browser.cookies.insert("session".into(), session);
    assert!(!browser.is_logged_in(&example).await);
}

// ---- asking --------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_user_connects_customapp_and_is_greeted_by_name_and_is_not_asked_twice() {
    let example = Example::start();
    let mut browser = Browser::new();
    let login = connect(&mut browser, &example).await;
    assert!(login.url.starts_with(&example.url("/login?return_to=")), "{}", login.url);
    let answer = browser.submit(&login, &[("username", "bob"), ("password", "builder")]).await;
    let consent = browser.get(&answer.redirect()).await;
    for shown in ["CustomApp", "127.0.0.1", "See your name and user id", ">Allow<", ">Deny<"] {
        assert!(consent.text.contains(shown), "{shown}");
    }
    assert_eq!(consent.text.matches("<form").count(), 1);
    let answer = browser.submit(&consent, &[("decision", "allow")]).await;
    let answer = browser.get(&answer.redirect()).await;
    let profile = browser.get(&answer.redirect()).await;
    assert!(profile.text.contains("Hello, Bob"), "{}", profile.text);

    let again = connect(&mut browser, &example).await;
    assert!(again.text.contains("Hello, Bob"), "{}", again.text);
}

#[tokio::test]
async fn ending_the_access_of_an_app_makes_the_site_ask_again() {
    let example = Example::start();
    let mut browser = logged_in(&example).await;
    let consent = connect(&mut browser, &example).await;
    let answer = browser.submit(&consent, &[("decision", "allow")]).await;
    browser.get(&answer.redirect()).await;
    let home = browser.get(&example.url("/")).await;
    assert!(home.text.contains("href=\"/apps\""), "{}", home.text);
    let apps = browser.get(&example.url("/apps")).await;
    for shown in ["<h2>CustomApp</h2>", "See your name and user id", ">Disconnect<"] {
        assert!(apps.text.contains(shown), "{shown} in {}", apps.text);
    }
    let fields = [("client_id", "customapp")];
    let refused = browser.post(&example.url("/apps"), CROSS_SITE, &fields).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let answer = browser.post(&example.url("/apps"), SAME_ORIGIN, &fields).await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, "?"));
    let apps = browser.get(&example.url("/apps")).await;
    assert!(apps.text.contains("No app has access"), "{}", apps.text);
    let consent = connect(&mut browser, &example).await;
    assert!(consent.text.contains(">Allow<"), "{}", consent.text);
}

/// Connects CustomApp to an account that is logged in.
async fn connected(browser: &mut Browser, example: &Example) -> Answer {
    let consent = connect(browser, example).await;
    let answer = browser.submit(&consent, &[("decision", "allow")]).await;
    let answer = browser.get(&answer.redirect()).await;
    browser.get(&answer.redirect()).await
}

/// Presses a button of CustomApp's, and follows to its page.
async fn press(browser: &mut Browser, example: &Example, path: &str) -> Answer {
    let answer = browser.post(&format!("{}{path}", example.customapp), SAME_ORIGIN, &[]).await;
    browser.get(&answer.redirect()).await
}

#[tokio::test]
async fn customapp_stays_connected_as_often_as_the_user_likes_and_shows_no_token() {
    let example = Example::start();
    let mut browser = logged_in(&example).await;
    let mut pages = vec![connected(&mut browser, &example).await];
    for _ in 0..3 {
        let page = press(&mut browser, &example, "/stay").await;
        for shown in ["Hello, Alice", "grant_type = refresh_token", "good for 10 minutes", "the old one is retired"] {
            assert!(page.text.contains(shown), "{shown} in {}", page.text);
        }
        pages.push(page);
    }
    pages.push(press(&mut browser, &example, "/disconnect").await);
    for page in pages {
        for kind in ["toa_ac_", "toa_at_", "toa_rt_"] {
            // What follows the kind is at most one character.
            assert!(page.text.split(kind).skip(1).all(|rest| rest.chars().nth(1) == Some('…')), "{}", page.text);
        }
    }
}

/// A refresh that both a page and its double ask for must not look like a thief's.
#[tokio::test]
async fn a_button_pressed_twice_at_once_ends_nothing() {
    let example = Example::start();
    let mut browser = logged_in(&example).await;
    connected(&mut browser, &example).await;
    let (mut one, mut two) = (browser.clone(), browser.clone());
    tokio::join!(press(&mut one, &example, "/stay"), press(&mut two, &example, "/stay"));
    let page = press(&mut browser, &example, "/stay").await;
    assert!(page.text.contains("Hello, Alice"), "{}", page.text);
}

/// RFC 7009 §2.1: the access token ends with the refresh token.
#[tokio::test]
async fn disconnecting_in_customapp_ends_its_access_at_the_site() {
    let example = Example::start();
    let mut browser = logged_in(&example).await;
    connected(&mut browser, &example).await;
    let page = press(&mut browser, &example, "/disconnect").await;
    for shown in ["Goodbye, Alice", "token_type_hint = refresh_token", "401 Unauthorized"] {
        assert!(page.text.contains(shown), "{shown} in {}", page.text);
    }
    let apps = browser.get(&example.url("/apps")).await;
    assert!(apps.text.contains("No app has access"), "{}", apps.text);
    // Once more changes nothing.
    assert_eq!(press(&mut browser, &example, "/stay").await.text, page.text);
}

#[tokio::test]
async fn customapp_notices_that_it_was_disconnected_at_the_site() {
    let example = Example::start();
    let mut browser = logged_in(&example).await;
    connected(&mut browser, &example).await;
    browser.post(&example.url("/apps"), SAME_ORIGIN, &[("client_id", "customapp")]).await;
    let page = press(&mut browser, &example, "/stay").await;
    for shown in ["Goodbye, Alice", "400 Bad Request invalid_grant", "401 Unauthorized"] {
        assert!(page.text.contains(shown), "{shown} in {}", page.text);
    }
}

/// The provider on another port of the same host shares the cookies: it is the nearest stranger.
#[tokio::test]
async fn customapp_takes_its_forms_from_its_own_pages_only() {
    let example = Example::start();
    let mut browser = logged_in(&example).await;
    connected(&mut browser, &example).await;
    let strangers =
        [CROSS_SITE, [("sec-fetch-site", "same-site")], [("origin", "https://evil.example")], [("origin", "null")]];
    for path in ["/stay", "/disconnect"] {
        let url = format!("{}{path}", example.customapp);
        for from in strangers {
            assert_eq!(browser.post(&url, from, &[]).await.status, StatusCode::FORBIDDEN, "{path} {from:?}");
        }
        assert_eq!(browser.get(&url).await.status, StatusCode::METHOD_NOT_ALLOWED);
    }
    let page = browser.get(&example.customapp).await;
    assert!(page.text.contains("How that went"), "nothing was done since: {}", page.text);
}

#[tokio::test]
async fn the_page_of_apps_leads_home_and_its_json_is_left_alone() {
    let example = Example::start();
    let mut browser = logged_in(&example).await;
    connected(&mut browser, &example).await;
    let page = browser.get(&example.url("/apps")).await;
    assert!(page.text.contains(r#"<header><a href="/">Shift</a></header>"#), "{}", page.text);
    assert!(page.text.contains(r#"<a href="/">Back to your account</a>"#), "{}", page.text);
    let json = browser.send(Method::GET, &page.url, &[("accept", "application/json")], String::new()).await.json();
    assert_eq!(json["apps"][0]["client_id"], "customapp");
}

#[tokio::test]
async fn a_user_who_denies_is_sent_back_with_access_denied_and_the_issuer() {
    let example = Example::start();
    let mut browser = logged_in(&example).await;
    let url = CommandLine::new().url(&example, &[("state", "s")]);
    let page = browser.get(&url).await;
    let told = browser.submit(&page, &[("decision", "deny")]).await.parameters();
    assert_eq!(told["error"], "access_denied");
    assert_eq!(told["state"], "s");
    assert_eq!(told["iss"], example.origin);
    assert!(!told.contains_key("code"));
}

#[tokio::test]
async fn a_decision_of_another_site_or_session_or_request_or_without_its_token_is_refused() {
    let example = Example::start();
    let (mut browser, mut bob) = (logged_in(&example).await, Browser::new());
    bob.log_in(&example, "bob", "builder").await;
    let client = CommandLine::new();
    let url = client.url(&example, &[("state", "s")]);
    let page = browser.get(&url).await;
    let foreign = bob.get(&url).await;
    let wider = browser.get(&client.url(&example, &[("state", "s"), ("scope", "profile email")])).await;
    let with = |token| vec![("decision", "allow"), ("form_token", token)];
    let attempts = [
        (SAME_ORIGIN, vec![("decision", "allow")]),
        (SAME_ORIGIN, with("")),
        (SAME_ORIGIN, with(foreign.form_token())),
        (SAME_ORIGIN, with(wider.form_token())),
        (SAME_ORIGIN, vec![("form_token", page.form_token())]),
        (CROSS_SITE, with(page.form_token())),
        ([("sec-fetch-site", "same-site")], with(page.form_token())),
        ([("origin", "https://evil.example")], with(page.form_token())),
    ];
    for (from, fields) in attempts {
        let answer = browser.post(&url, from, &fields).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{from:?} {fields:?}");
        assert_eq!(answer.header("location"), "");
    }
    let home = browser.get(&example.url("/apps")).await;
    assert!(home.text.contains("No app has access"), "{}", home.text);

    let mut nobody = Browser::new();
    nobody.get(&example.url("/login")).await;
    let answer = nobody.post(&url, SAME_ORIGIN, &with(page.form_token())).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(browser.submit(&page, &[("decision", "allow")]).await.parameters().contains_key("code"));
}

/// RFC 8252 §8.6: another program of the device could call itself by this client's id.
#[tokio::test]
async fn a_public_client_on_loopback_is_always_asked_for() {
    let example = Example::start();
    let mut browser = logged_in(&example).await;
    let client = CommandLine::new();
    client.tokens(&example, &mut browser, "profile").await;
    let page = browser.get(&client.url(&example, &[("scope", "profile")])).await;
    assert!(page.text.contains(">Allow<"), "{}", page.text);
    let told = browser.get(&client.url(&example, &[("prompt", "none")])).await.parameters();
    assert_eq!(told["error"], "consent_required");
}

#[tokio::test]
async fn prompt_is_obeyed() {
    let example = Example::start();
    let mut browser = Browser::new();
    let client = CommandLine::new();
    let none = client.url(&example, &[("prompt", "none")]);
    assert_eq!(browser.get(&none).await.parameters()["error"], "login_required");

    browser.log_in(&example, "alice", "wonderland").await;
    let login = browser.get(&client.url(&example, &[("prompt", "login")])).await.redirect();
    assert!(login.starts_with(&example.url("/login?")), "{login}");
    let page = browser.get(&login).await;
    let answer = browser.submit(&page, &[("username", "bob"), ("password", "builder")]).await;
    let consent = browser.get(&answer.redirect()).await;
    assert!(consent.text.contains("logged in as <strong>Bob"), "{}", consent.text);

    // What was allowed is remembered for CustomApp, but not for a request that wants the question.
    let consent = connect(&mut browser, &example).await;
    let question = format!("{}&prompt=consent", consent.url);
    let answer = browser.submit(&consent, &[("decision", "allow")]).await;
    browser.get(&answer.redirect()).await;
    assert!(browser.get(&consent.url).await.parameters().contains_key("code"));
    assert!(browser.get(&question).await.text.contains(">Allow<"));
}

/// RFC 9470: who has to log in anew, and what nobody can do here
#[tokio::test]
async fn a_client_may_want_a_recent_login_and_deleting_does() {
    let example = Example::start();
    let mut browser = logged_in(&example).await;
    let metadata = browser.get(&example.url("/.well-known/oauth-authorization-server")).await.json();
    assert_eq!(metadata["acr_values_supported"], serde_json::json!(["password"]));
    let client = CommandLine::new();
    let told = browser.get(&client.url(&example, &[("acr_values", "mfa")])).await.parameters();
    assert_eq!(told["error"], "unmet_authentication_requirements");
    let wanted = [("scope", "notes:write"), ("acr_values", "mfa password"), ("max_age", "0")];
    let login = browser.get(&client.url(&example, &wanted)).await.redirect();
    assert!(login.starts_with(&example.url("/login?")), "{login}");
    let page = browser.get(&login).await;
    let answer = browser.submit(&page, &[("username", "alice"), ("password", "wonderland")]).await;
    let consent = browser.get(&answer.redirect()).await;
    let code = &browser.submit(&consent, &[("decision", "allow")]).await.parameters()["code"];
    let tokens = browser.post(&example.url("/v1/oauth2/token"), SAME_ORIGIN, &client.redemption(code)).await.json();
    let credentials = format!("Bearer {}", tokens["access_token"].as_str().expect("a token"));
    let url = example.url("/v1/notes");
    let deleted = browser.send(Method::DELETE, &url, &[("authorization", &credentials)], String::new()).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    let refused = browser.send(Method::DELETE, &url, &[], String::new()).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_state_of_4000_bytes_comes_back_to_the_byte_even_through_the_login() {
    let example = Example::start();
    let mut browser = Browser::new();
    let state: String = (0x20..0x7f).map(char::from).cycle().take(4000).collect();
    let url = CommandLine::new().url(&example, &[("state", &state)]);
    let login = browser.get(&browser.clone().get(&url).await.redirect()).await;
    let answer = browser.submit(&login, &[("username", "bob"), ("password", "builder")]).await;
    let page = browser.get(&answer.redirect()).await;
    let told = browser.submit(&page, &[("decision", "allow")]).await.parameters();
    assert_eq!(told["state"], state);
}

#[tokio::test]
async fn every_page_has_a_charset_and_is_neither_stored_nor_framed() {
    let example = Example::start();
    let mut browser = Browser::new();
    let client = CommandLine::new();
    let mut pages = vec![
        browser.get(&example.url("/")).await,
        browser.get(&example.url("/login")).await,
        browser.get(&example.customapp).await,
        browser.get(&example.url("/v1/oauth2/auth?client_id=nobody&response_type=code")).await,
        browser.get(&format!("{}/oauth/redirect?code=x", example.customapp)).await,
        browser.post(&example.url("/login"), SAME_ORIGIN, &[]).await,
    ];
    browser.log_in(&example, "alice", "wonderland").await;
    let url = client.url(&example, &[]);
    pages.extend([
        browser.get(&example.url("/")).await,
        browser.get(&example.url("/apps")).await,
        browser.get(&url).await,
        browser.post(&url, SAME_ORIGIN, &[]).await,
    ]);
    for page in pages {
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{}", page.url);
        assert_eq!(page.header("cache-control"), "no-store", "{}", page.url);
        assert_eq!(page.header("referrer-policy"), "same-origin", "{}", page.url);
        assert_eq!(page.header("x-content-type-options"), "nosniff", "{}", page.url);
        let policy = page.header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'"), "{}: {policy}", page.url);
        assert!(page.text.starts_with("<!doctype html>"), "{}", page.url);
        assert!(!page.text.contains("<script"), "{}", page.url);
    }
}

// ---- registration --------------------------------------------------------------------------------------------------

/// Nothing slows a caller: whoever tests clients registers many of them in a row.
#[tokio::test]
async fn hundreds_of_clients_register_in_a_row_and_each_can_be_used() {
    let example = Example::start();
    let mut browser = logged_in(&example).await;
    let client = serde_json::json!({
        "client_name": "<b>Many",
        "redirect_uris": ["http://127.0.0.1/callback"],
        "application_type": "native",
        "token_endpoint_auth_method": "none",
    });
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..500 {
        let request = Request::post(example.url("/v1/oauth2/register"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(client.to_string().into())
            .expect("a request");
        let answer = browser.http.request(request).await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::CREATED);
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        let registered: Value = serde_json::from_slice(&body).expect("JSON");
        ids.insert(registered["client_id"].as_str().expect("an id").to_owned());
    }
    assert_eq!(ids.len(), 500);
    for id in [ids.first(), ids.last()] {
        let url = CommandLine::new().url(&example, &[]).replace("client_id=cli", &format!("client_id={}", id.unwrap()));
        let page = browser.get(&url).await;
        assert!(page.text.contains("&lt;b&gt;Many asks for access"), "{}", page.text);
    }
}

// ---- the API -------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn each_route_of_the_api_wants_its_scope() {
    let example = Example::start();
    let mut browser = logged_in(&example).await;
    let client = CommandLine::new();
    let profile = client.tokens(&example, &mut browser, "profile").await;
    let notes = client.tokens(&example, &mut browser, "notes:read").await;
    let (profile, notes) = (profile["access_token"].as_str().unwrap(), notes["access_token"].as_str().unwrap());
    for (path, anybody, with_profile, with_notes) in [
        ("/public", 200, 200, 200),
        ("/v1/whoami", 401, 200, 200),
        ("/v1/users/me", 401, 200, 403),
        ("/v1/notes", 401, 403, 200),
        ("/v1/admin", 401, 403, 403),
    ] {
        let url = example.url(path);
        assert_eq!(browser.get(&url).await.status, anybody, "{path}");
        assert_eq!(browser.get_with(&url, profile).await.status, with_profile, "{path}");
        assert_eq!(browser.get_with(&url, notes).await.status, with_notes, "{path}");
        if path != "/public" {
            let forged = browser.get_with(&url, "forged").await;
            assert_eq!(forged.status, StatusCode::UNAUTHORIZED, "{path}");
            let challenge = forged.header("www-authenticate");
            let place = if path == "/v1/notes" { path } else { "" };
            let metadata = example.url(&format!("/.well-known/oauth-protected-resource{place}"));
            assert!(challenge.starts_with("Bearer "), "{challenge}");
            assert!(challenge.contains(&format!("resource_metadata=\"{metadata}\"")), "{challenge}");
            assert_eq!(challenge.contains("scope=\"admin\""), path == "/v1/admin", "{challenge}");
        }
    }
    let me = browser.get_with(&example.url("/v1/users/me"), profile).await.json();
    assert_eq!(me, serde_json::json!({ "id": "alice", "name": "Alice" }));
    let whoami = browser.get_with(&example.url("/v1/whoami"), notes).await.json();
    assert_eq!(whoami["client_id"], "cli");
    assert_eq!(whoami["scope"], "notes:read");
    assert_eq!(whoami["sub"], "alice");
}

/// RFC 8707 §2: an app that wants the notes alone asks for them as a resource.
#[tokio::test]
async fn a_token_for_the_notes_is_good_for_them_alone() {
    let example = Example::start();
    let mut browser = logged_in(&example).await;
    let client = CommandLine::new();
    let notes = example.url("/v1/notes");
    let wanted = [("scope", "notes:read"), ("resource", &*notes)];
    let page = browser.get(&client.url(&example, &wanted)).await;
    let answer = browser.submit(&page, &[("decision", "allow")]).await;
    let code = &answer.parameters()["code"];
    let tokens = browser.post(&example.url("/v1/oauth2/token"), SAME_ORIGIN, &client.redemption(code)).await.json();
    let token = tokens["access_token"].as_str().expect("a text");
    assert_eq!(browser.get_with(&notes, token).await.status, StatusCode::OK);
    assert_eq!(browser.get_with(&example.url("/v1/whoami"), token).await.status, StatusCode::UNAUTHORIZED);
    let document = browser.get(&example.url("/.well-known/oauth-protected-resource/v1/notes")).await.json();
    assert_eq!(document["resource"], notes);
    assert_eq!(document["scopes_supported"], serde_json::json!(["notes:read", "notes:write"]));
    // The profile is no matter of the notes.
    let other = [("scope", "profile"), ("resource", &*notes)];
    assert_eq!(browser.get(&client.url(&example, &other)).await.parameters()["error"], "invalid_scope");
}

/// RFC 6750 §3, read by an app in a browser: a preflight has no token, and a refusal says what to do.
#[tokio::test]
async fn an_app_in_a_browser_of_any_origin_may_call_the_api() {
    let example = Example::start();
    let mut browser = Browser::new();
    for path in ["/v1/whoami", "/v1/users/me", "/v1/notes", "/v1/admin"] {
        let origin = ("origin", "https://app.example");
        let asks =
            [origin, ("access-control-request-method", "GET"), ("access-control-request-headers", "authorization")];
        let preflight = browser.send(Method::OPTIONS, &example.url(path), &asks, String::new()).await;
        assert_eq!(
            (preflight.status, preflight.header("access-control-allow-origin")),
            (StatusCode::OK, "*"),
            "{path}"
        );
        assert_eq!(preflight.header("access-control-allow-headers"), "authorization,dpop", "{path}");
        assert_eq!(preflight.header("access-control-allow-credentials"), "", "{path}");
        let refused = browser.send(Method::GET, &example.url(path), &[origin], String::new()).await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(refused.header("access-control-allow-origin"), "*", "{path}");
        assert_eq!(refused.header("access-control-expose-headers"), "www-authenticate", "{path}");
    }
}

#[tokio::test]
async fn a_request_without_scope_gets_profile_and_every_exchange_a_refresh_token() {
    let example = Example::start();
    let mut browser = logged_in(&example).await;
    let tokens = CommandLine::new().tokens(&example, &mut browser, "").await;
    assert_eq!(tokens["scope"], "profile");
    assert!(tokens["expires_in"].as_u64().unwrap() <= 86_400);
    let fields = [
        ("grant_type", "refresh_token"),
        ("client_id", "cli"),
        ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
    ];
    let renewed = browser.post(&example.url("/v1/oauth2/token"), SAME_ORIGIN, &fields).await.json();
    let token = renewed["access_token"].as_str().unwrap();
    assert_eq!(browser.get_with(&example.url("/v1/users/me"), token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn admin_is_never_granted() {
    let example = Example::start();
    let mut browser = logged_in(&example).await;
    let url = CommandLine::new().url(&example, &[("scope", "profile admin")]);
    assert_eq!(browser.get(&url).await.parameters()["error"], "invalid_scope");
}
