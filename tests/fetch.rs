//! The outbound client over sockets: what of this machine it can be made to reach, and what a server can do to it.

#[path = "support/certificates.rs"]
mod certificates;

use std::future::Future;
use std::net::{Ipv6Addr, SocketAddr};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use certificates::Authority;
use http::{Request, Response, StatusCode, header};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tower_oauth::fetch::MostBytes;
use tower_oauth::{Fetch, HttpClient, HttpClientError};

/// As in `src/fetch/http_client/tests.rs`.
const CORPUS: &str = include_str!("corpus/addresses.txt");
const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
const BODY: usize = 64 * 1024;

/// A listener on this machine that counts who comes.
struct Server {
    address: SocketAddr,
    hits: Arc<AtomicUsize>,
    tasks: Vec<JoinHandle<()>>,
}

impl Server {
    /// Each connection is served so. IPv6 is listened to where there is any.
    async fn start<F>(serve: impl Fn(TcpStream) -> F + Clone + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let other = TcpListener::bind((Ipv6Addr::LOCALHOST, address.port())).await.ok();
        let hits = Arc::new(AtomicUsize::new(0));
        let tasks = [Some(listener), other].into_iter().flatten().map(|listener| {
            let (serve, hits) = (serve.clone(), Arc::clone(&hits));
            tokio::spawn(async move {
                loop {
                    let (stream, _) = listener.accept().await.expect("a connection");
                    hits.fetch_add(1, Ordering::SeqCst);
                    tokio::spawn(serve(stream));
                }
            })
        });
        Self { address, hits: Arc::clone(&hits), tasks: tasks.collect() }
    }

    /// Says this to every request.
    async fn saying(answer: impl Into<Bytes>) -> Self {
        let answer = answer.into();
        Self::start(move |stream| {
            let answer = answer.clone();
            async move { drop(exchange(stream, &answer).await) }
        })
        .await
    }

    fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }

    fn url(&self) -> String {
        format!("http://{}/keys", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Reads the head of a request and answers it.
async fn exchange(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &[u8]) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return String::new(),
        }
    }
    // A client that has enough hangs up.
    let _ = stream.write_all(answer).await;
    let _ = stream.shutdown().await;
    String::from_utf8(head).expect("a head is text")
}

/// Only this machine, and not for long.
fn local() -> HttpClient {
    let builder = HttpClient::builder().allow_loopback().timeout(Duration::from_secs(20));
    builder.root_certificates(include_bytes!("data/root.pem")).build().expect("it builds")
}

async fn get(client: &HttpClient, url: &str) -> Result<Response<Bytes>, HttpClientError> {
    match Request::get(url).body(Bytes::new()) {
        Ok(request) => client.fetch(request).await,
        Err(_) => Err(HttpClientError::Url("it is none")),
    }
}

/// The URLs of the corpus that mean this machine, with this port, encrypted and in the clear.
fn meaning_this_machine(port: u16) -> Vec<String> {
    let mut here = false;
    let mut found = vec![format!("https://localhost:{port}/"), format!("http://localhost:{port}/")];
    for line in CORPUS.lines() {
        if line.starts_with("# --") {
            here = line.starts_with("# -- loopback");
        }
        let host = line.strip_prefix("refused https://").and_then(|rest| rest.strip_suffix('/'));
        if let Some(host) = host.filter(|_| here) {
            found.extend([format!("https://{host}:{port}/"), format!("http://{host}:{port}/")]);
        }
    }
    found
}

/// RFC 9728 §7.7, RFC 8725 §3.10
#[tokio::test]
async fn whatever_means_this_machine_does_not_reach_it() {
    let server = Server::saying(FINE).await;
    let urls = meaning_this_machine(server.address.port());
    assert!(urls.len() >= 80, "{}: is the corpus there?", urls.len());
    let safe = HttpClient::builder().root_certificates(include_bytes!("data/root.pem")).build().expect("it builds");
    for url in urls {
        let error = get(&safe, &url).await.expect_err(&url);
        assert!(matches!(error, HttpClientError::Url(_) | HttpClientError::Address(_)), "{url}: {error:?}");
        assert_eq!(server.hits(), 0, "{url}");
    }
    // The listener counts.
    assert_eq!(get(&local(), &server.url()).await.expect("an answer").status(), StatusCode::OK);
    assert_eq!(server.hits(), 1);
}

#[tokio::test]
async fn with_the_named_switch_this_machine_is_reached_and_only_by_its_plain_names() {
    let server = Server::saying(FINE).await;
    let port = server.address.port();
    let plain = [format!("http://127.0.0.1:{port}/"), format!("http://localhost:{port}/")];
    for url in &plain {
        assert_eq!(get(&local(), url).await.expect("an answer").body(), "{}");
    }
    assert_eq!(server.hits(), plain.len());
    for host in ["2130706433", "0x7f.1", "127.1", "0.0.0.0", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "LOCALHOST"] {
        assert!(get(&local(), &format!("http://{host}:{port}/")).await.is_err(), "{host}");
    }
    assert_eq!(server.hits(), plain.len());
}

/// A redirect would lead past everything that was looked at.
#[tokio::test]
async fn a_redirect_is_handed_back_and_not_followed() {
    let other = Server::saying(FINE).await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("HTTP/1.1 {status} Elsewhere\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", other.url());
        let server = Server::saying(location).await;
        let answer = get(&local(), &server.url()).await.expect("an answer");
        assert_eq!((answer.status().as_u16(), server.hits()), (status, 1));
    }
    assert_eq!(other.hits(), 0);
}

#[tokio::test]
async fn a_body_has_at_most_64_kib() {
    let head = |size: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n");
    let chunked = |size: usize| {
        let chunks = format!("400\r\n{}\r\n", "x".repeat(1024)).repeat(size / 1024);
        format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n")
    };
    let until_the_end = |size: usize| format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(size));
    for good in [head(BODY) + &"x".repeat(BODY), chunked(BODY), until_the_end(BODY)] {
        let answer = get(&local(), &Server::saying(good).await.url()).await.expect("an answer");
        assert_eq!(answer.body().len(), BODY);
    }
    // One that is announced is not even waited for.
    for bad in [head(BODY + 1), chunked(BODY + 1024), until_the_end(BODY + 1)] {
        let error = get(&local(), &Server::saying(bad).await.url()).await.expect_err("too large");
        assert!(matches!(error, HttpClientError::TooLarge), "{error:?}");
    }
    let cut = get(&local(), &Server::saying(head(10) + "x").await.url()).await.expect_err("not whole");
    assert!(matches!(cut, HttpClientError::Connection(_)), "{cut:?}");
}

/// What an issuer tells that is trusted can be longer, where it is asked for.
#[tokio::test]
async fn a_request_may_ask_for_a_longer_body_and_has_what_it_asks_for_at_most() {
    let body = |size: usize| format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(size));
    let ask = async |most: usize, size: usize| {
        let server = Server::saying(body(size)).await;
        let request = Request::get(server.url()).extension(MostBytes::new(most));
        local().fetch(request.body(Bytes::new()).expect("a request")).await
    };
    assert_eq!(ask(3 * BODY, 3 * BODY).await.expect("an answer").body().len(), 3 * BODY);
    for (most, size) in [(3 * BODY, 3 * BODY + 1), (10, 11)] {
        assert!(matches!(ask(most, size).await, Err(HttpClientError::TooLarge)), "{size} of {most}");
    }
}

#[tokio::test]
async fn a_body_without_an_end_is_left_when_it_is_too_large() {
    let (told, hung_up) = oneshot::channel();
    let told = Arc::new(Mutex::new(Some(told)));
    let server = Server::start(move |mut stream| {
        let told = Arc::clone(&told);
        async move {
            let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while sent.is_ok() {
                sent = stream.write_all(&[b'x'; 1024]).await;
            }
            let _ = told.lock().unwrap().take().expect("one connection").send(());
        }
    })
    .await;
    let error = get(&local(), &server.url()).await.expect_err("too large");
    assert!(matches!(error, HttpClientError::TooLarge), "{error:?}");
    hung_up.await.expect("the connection is closed");
}

#[tokio::test]
async fn a_head_has_at_most_16_kib_and_100_lines() {
    let head = |lines: String| format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 0\r\n\r\n");
    assert!(get(&local(), &Server::saying(head("a: b\r\n".repeat(90))).await.url()).await.is_ok());
    for bad in ["a: b\r\n".repeat(101), format!("a: {}\r\n", "x".repeat(1024 * 1024)), "a: b\r\n".repeat(100_000)] {
        let error = get(&local(), &Server::saying(head(bad)).await.url()).await.expect_err("too large");
        assert!(matches!(error, HttpClientError::Connection(_)), "{error:?}");
    }
}

#[tokio::test]
async fn what_is_no_http_is_an_error() {
    for bad in ["", "hello\r\n\r\n", "{\"keys\":[]}", "HTTP/1.1 200", "HTTP/2.0 200 OK\r\n\r\n", "SSH-2.0-x\r\n"] {
        let error = get(&local(), &Server::saying(bad).await.url()).await.expect_err(bad);
        assert!(matches!(error, HttpClientError::Connection(_)), "{bad}: {error:?}");
    }
}

/// A server that answers a byte now and then, so that something always moves, and others that say nothing at all.
#[tokio::test]
async fn a_server_that_takes_its_time_is_left() {
    let drips = Server::start(|mut stream| async move {
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while sent.is_ok() {
            pace.tick().await;
            sent = stream.write_all(b"x").await;
        }
    });
    let drips_its_head = Server::start(|mut stream| async move {
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\na: ").await;
        while sent.is_ok() {
            pace.tick().await;
            sent = stream.write_all(b"x").await;
        }
    });
    let is_silent = Server::start(|stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    });
    let builder = HttpClient::builder().allow_loopback().timeout(Duration::from_millis(300));
    let client = builder.root_certificates(include_bytes!("data/root.pem")).build().expect("it builds");
    for server in [drips.await, drips_its_head.await, is_silent.await] {
        for url in [server.url(), server.url().replace("http:", "https:")] {
            let error = get(&client, &url).await.expect_err("it never ends");
            let garbled = url.starts_with("https:") && matches!(error, HttpClientError::Connection(_));
            assert!(garbled || matches!(error, HttpClientError::TimedOut), "{error:?}");
        }
        assert_eq!(server.hits(), 2);
    }
}

/// Whoever stops waiting leaves nothing behind.
#[tokio::test]
async fn a_request_that_nobody_waits_for_any_more_is_broken_off() {
    let (told, mut came) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |mut stream| {
        let told = told.clone();
        async move {
            told.send("came").expect("the test runs");
            while stream.read_u8().await.is_ok() {}
            told.send("went").expect("the test runs");
        }
    })
    .await;
    let url = server.url();
    let waiting = tokio::spawn(async move { get(&local(), &url).await.map(drop) });
    assert_eq!(came.recv().await, Some("came"));
    waiting.abort();
    assert_eq!(came.recv().await, Some("went"));
}

/// A server behind TLS, which tells what it heard: the name that was asked for, and the head of the request.
async fn encrypted(acceptor: TlsAcceptor) -> (Server, Arc<Mutex<Vec<(String, String)>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    let server = Server::start(move |stream| {
        let (acceptor, hears) = (acceptor.clone(), Arc::clone(&hears));
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let name = stream.get_ref().1.server_name().unwrap_or("none").to_owned();
            let head = exchange(stream, FINE.as_bytes()).await;
            hears.lock().unwrap().push((name, head));
        }
    })
    .await;
    (server, heard)
}

fn believing(authority: &Authority) -> HttpClient {
    let builder = HttpClient::builder().allow_loopback().timeout(Duration::from_secs(20));
    builder.root_certificates(&authority.pem).build().expect("it builds")
}

/// RFC 9110 §4.3.4, RFC 6066 §3
#[tokio::test]
async fn https_is_spoken_with_whom_the_certificate_is_for() {
    let authority = Authority::new();
    let (server, heard) = encrypted(authority.acceptor(&["localhost", "127.0.0.1"])).await;
    let (client, port) = (believing(&authority), server.address.port());
    let answer = get(&client, &format!("https://localhost:{port}/keys?a=b#c")).await.expect("an answer");
    assert_eq!((answer.status(), &**answer.body()), (StatusCode::OK, &b"{}"[..]));
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/json");
    let mut request = Request::get(format!("https://127.0.0.1:{port}")).body(Bytes::new()).expect("a request");
    request.headers_mut().insert(header::ACCEPT, "application/json".parse().expect("a value"));
    client.fetch(request).await.expect("an answer");
    // One connection each.
    assert_eq!(server.hits(), 2);

    let heard = heard.lock().unwrap();
    let agent = concat!("user-agent: tower-oauth/", env!("CARGO_PKG_VERSION"));
    for (at, name, first, host) in [
        (0, "localhost", "GET /keys?a=b HTTP/1.1", format!("host: localhost:{port}")),
        (1, "none", "GET / HTTP/1.1", format!("host: 127.0.0.1:{port}")),
    ] {
        let (asked, head) = &heard[at];
        let lines: Vec<_> = head.trim_end().split("\r\n").collect();
        assert_eq!((&**asked, lines[0]), (name, first));
        assert!(lines.contains(&&*host) && lines.contains(&agent) && lines.contains(&"connection: close"), "{head}");
    }
    assert!(heard[1].1.contains("\r\naccept: application/json\r\n"), "{}", heard[1].1);
}

#[tokio::test]
async fn a_body_is_sent_with_its_length() {
    let (tell, heard) = oneshot::channel();
    let tell = Arc::new(Mutex::new(Some(tell)));
    let server = Server::start(move |mut stream| {
        let tell = tell.lock().unwrap().take().expect("one connection");
        async move {
            let mut request = Vec::new();
            while !request.ends_with(b"token=x") {
                request.push(stream.read_u8().await.expect("the body"));
            }
            stream.write_all(FINE.as_bytes()).await.expect("it listens");
            tell.send(String::from_utf8(request).expect("text")).expect("the test runs");
        }
    })
    .await;
    let request = Request::post(server.url()).header(header::AUTHORIZATION, "Basic eDp5").body("token=x".into());
    local().fetch(request.expect("a request")).await.expect("an answer");
    let heard = heard.await.expect("a request");
    assert!(heard.starts_with("POST /keys HTTP/1.1\r\n"), "{heard}");
    assert!(
        heard.contains("\r\nauthorization: Basic eDp5\r\n") && heard.contains("\r\ncontent-length: 7\r\n"),
        "{heard}"
    );
}

#[tokio::test]
async fn https_is_spoken_with_nobody_else() {
    let (authority, other) = (Authority::new(), Authority::new());
    let wrong_name = encrypted(authority.acceptor(&["keys.example", "127.0.0.2"])).await;
    let unknown = encrypted(other.acceptor(&["localhost", "127.0.0.1"])).await;
    let expired = encrypted(authority.expired_acceptor(&["localhost", "127.0.0.1"])).await;
    for (server, heard) in [wrong_name, unknown, expired] {
        for host in ["localhost", "127.0.0.1"] {
            let url = format!("https://{host}:{}/", server.address.port());
            let error = get(&believing(&authority), &url).await.expect_err("another one");
            assert!(matches!(error, HttpClientError::Connection(_)), "{error:?}");
        }
        assert_eq!((server.hits(), heard.lock().unwrap().len()), (2, 0));
    }
    let in_the_clear = Server::start(|mut stream| async move { drop(stream.write_all(FINE.as_bytes()).await) }).await;
    let error = get(&believing(&authority), &in_the_clear.url().replace("http:", "https:")).await.expect_err("no TLS");
    assert!(matches!(error, HttpClientError::Connection(_)), "{error:?}");
}

/// Set for the process that is started by the next test.
const FETCH_THIS: &str = "TOWER_OAUTH_TEST_FETCH";

/// A proxy would look the name up itself, past everything that was looked at.
#[tokio::test]
async fn a_proxy_that_the_environment_names_is_not_asked() {
    if let Ok(url) = std::env::var(FETCH_THIS) {
        get(&local(), &url).await.expect("an answer");
        return;
    }
    let (proxy, server) = (Server::saying(FINE).await, Server::saying(FINE).await);
    let mut child = Command::new(std::env::current_exe().expect("this program"));
    child.args(["--exact", "a_proxy_that_the_environment_names_is_not_asked"]).env(FETCH_THIS, server.url());
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        child.env(name, format!("http://{}", proxy.address));
    }
    child.env_remove("NO_PROXY").env_remove("no_proxy").env_remove("REQUEST_METHOD");
    let output = tokio::task::spawn_blocking(move || child.output()).await.expect("it ran").expect("it started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!((proxy.hits(), server.hits()), (0, 1));
}
