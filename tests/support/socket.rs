//! Servers on sockets of this machine, and what strangers do with them.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::future::Future;

use axum::body::Body;
use http::{HeaderValue, Method, Request, StatusCode, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower_oauth::testing::ManualClock;
use tower_oauth::{BearerLayer, Provider};

use crate::shelf::Shelf;
use crate::site::{Pair, as_client, redemption, refreshing, with};
use crate::support::{Answer, VERIFIER, WEB, authorization, basic, bearer, challenge, form, request, with_query};

/// What protects the route of every server here, whatever server it is.
pub fn protection(provider: &Provider) -> BearerLayer {
    provider.bearer().require("profile")
}

/// A provider at this origin, on a shelf.
pub fn provider_at(origin: &str) -> (Provider, ManualClock, Shelf) {
    let (clock, shelf) = (ManualClock::default(), Shelf::default());
    let provider = Provider::builder(origin)
        .store(shelf.clone())
        .clock(clock.clone())
        .scope("profile", "see your profile")
        .scope("notes:read", "read your notes")
        .client(crate::support::public())
        .client(crate::support::confidential())
        .build()
        .expect("a good configuration");
    (provider, clock, shelf)
}

/// A server that runs until it is stopped.
pub struct Server {
    pub origin: String,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    /// Binds a free port; `serve` runs until its signal.
    pub async fn start<F>(serve: impl FnOnce(TcpListener, String, oneshot::Receiver<()>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve(listener, origin.clone(), stopped));
        Self { origin, stop, task }
    }

    /// Stops it, and sees that it is gone.
    pub async fn stop(self) {
        self.stop.send(()).expect("it still runs");
        self.task.await.expect("it ends well");
        let address = self.origin.trim_start_matches("http://");
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
    }
}

/// An HTTP client, as strangers have one.
#[derive(Clone)]
pub struct Stranger {
    client: Client<HttpConnector, Body>,
    origin: String,
}

impl Stranger {
    pub fn of(origin: &str) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), origin: origin.to_owned() }
    }

    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Sends a request for a path over the socket.
    pub async fn send(&self, mut request: Request<Body>) -> Answer {
        *request.uri_mut() = format!("{}{}", self.origin, request.uri()).parse().expect("a URL");
        Answer::of(self.client.request(request).await.expect("it answers")).await
    }
}

/// What a stranger sees of a site whose `/authorize` shows a page on GET and approves as alice on POST, whose `/me` is
/// behind [`protection`] and says `alice through public`, and whose `/public` says `open`.
pub async fn the_whole_flow(stranger: &Stranger, shelf: &Shelf) {
    let origin = &*stranger.origin;
    let metadata = stranger.send(request(Method::GET, "/.well-known/oauth-authorization-server")).await;
    assert_eq!((metadata.status, &metadata.json()["issuer"]), (StatusCode::OK, &origin.into()));
    assert_eq!(metadata.json()["token_endpoint"], format!("{origin}/token"));
    assert_eq!(stranger.send(request(Method::GET, "/public")).await.body, "open");

    let challenge = challenge(VERIFIER);
    let mut params = authorization("public", WEB, &challenge);
    params.push(("scope", "profile notes:read"));
    let url = with_query("/authorize", &params);
    let page = stranger.send(request(Method::GET, &url)).await;
    assert_eq!((page.status, &*page.body), (StatusCode::OK, "page for public"));
    assert_eq!(page.header(header::CONTENT_SECURITY_POLICY), "frame-ancestors 'none'");
    let decision = |from: &str| {
        let mut decision = form(&url, &[("allow", "true")]);
        decision.headers_mut().insert(header::ORIGIN, HeaderValue::from_str(from).expect("an origin"));
        decision
    };
    assert_eq!(stranger.send(decision("https://evil.example")).await.status, StatusCode::FORBIDDEN);
    let decided = stranger.send(decision(origin)).await;
    assert_eq!(decided.status, StatusCode::SEE_OTHER, "{decided:?}");
    assert_eq!(decided.redirected("iss").as_deref(), Some(origin));
    assert_eq!(decided.redirected("state").as_deref(), Some("af0ifjsldkj"));
    let code = decided.redirected("code").expect("a code");

    let refused = stranger.send(form("/token", &with(&redemption(&code), "code_verifier", "x"))).await;
    assert_eq!((refused.status, &*refused.error()), (StatusCode::BAD_REQUEST, "invalid_grant"));
    assert_eq!(stranger.send(request(Method::GET, "/token")).await.status, StatusCode::METHOD_NOT_ALLOWED);
    let wrong = basic(form("/token", &[("grant_type", "client_credentials")]), "confidential", "wrong");
    assert_eq!(stranger.send(wrong).await.status, StatusCode::UNAUTHORIZED);
    let too_long = form("/token", &[("padding", &"x".repeat(70_000))]);
    assert_eq!(stranger.send(too_long).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let first = Pair::of(&stranger.send(form("/token", &redemption(&code))).await);
    let second = Pair::of(&stranger.send(form("/token", &refreshing(&first.refresh))).await);

    for access in [&first.access, &second.access] {
        let me = stranger.send(bearer("/me", access)).await;
        assert_eq!((me.status, &*me.body), (StatusCode::OK, "alice through public"));
    }
    let metadata = format!("{origin}/.well-known/oauth-protected-resource");
    let challenge =
        |rest: &str| format!("Bearer realm=\"{origin}\"{rest}, scope=\"profile\", resource_metadata=\"{metadata}\"");
    let none = stranger.send(request(Method::GET, "/me")).await;
    assert_eq!((none.status, none.header(header::WWW_AUTHENTICATE)), (StatusCode::UNAUTHORIZED, &*challenge("")));
    let unknown = stranger.send(bearer("/me", &first.refresh)).await;
    let why = challenge(", error=\"invalid_token\", error_description=\"the token is not known here\"");
    assert_eq!((unknown.status, unknown.header(header::WWW_AUTHENTICATE)), (StatusCode::UNAUTHORIZED, &*why));
    let narrow = stranger.send(form("/token", &with(&refreshing(&second.refresh), "scope", "notes:read"))).await;
    let narrow = stranger.send(bearer("/me", &Pair::of(&narrow).access)).await;
    let why = challenge(", error=\"insufficient_scope\", error_description=\"the token lacks a scope\"");
    assert_eq!((narrow.status, narrow.header(header::WWW_AUTHENTICATE)), (StatusCode::FORBIDDEN, &*why));
    let mut twice = bearer("/me", &second.access);
    twice.headers_mut().append(header::AUTHORIZATION, HeaderValue::from_static("Bearer x"));
    assert_eq!(stranger.send(twice).await.status, StatusCode::BAD_REQUEST);
    let machine = as_client("confidential", &[("grant_type", "client_credentials"), ("scope", "profile")]);
    let machine = stranger.send(machine).await.json()["access_token"].as_str().expect("a token").to_owned();
    assert_eq!(stranger.send(bearer("/me", &machine)).await.body, "confidential through confidential");

    shelf.take_down(&[crate::shelf::Op::Find]);
    let down = stranger.send(bearer("/me", &second.access)).await;
    assert_eq!((down.status, down.header(header::RETRY_AFTER)), (StatusCode::SERVICE_UNAVAILABLE, "1"));
    shelf.repair();
    assert_eq!(stranger.send(bearer("/me", &second.access)).await.status, StatusCode::OK);
}
