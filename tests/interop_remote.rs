//! The resource servers of the examples on sockets, apart from their issuer, with real clients: axum and tonic.

#[path = "support/issuer.rs"]
mod issuer;
#[path = "support/jws.rs"]
mod jws;
#[expect(dead_code, reason = "an example of its own")]
#[path = "../examples/resource_server.rs"]
mod over_axum;
#[expect(dead_code, reason = "an example of its own")]
#[path = "../examples/tonic_resource_server.rs"]
mod over_tonic;
#[path = "support/shelf.rs"]
mod shelf;
#[path = "support/site.rs"]
mod site;
#[path = "support/socket.rs"]
mod socket;
mod support;

use std::time::Duration;

use axum::{Json, Router, routing::get};
use http::{Method, StatusCode, header};
use issuer::{Key, jwks};
use serde_json::{Value, json};
use socket::{Server, Stranger};
use support::{Answer, bearer, request, with_members as with};
use tokio::net::TcpListener;
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower_oauth::testing::ManualClock;
use tower_oauth::{HttpClient, JwtVerifier};

const API: &str = "https://api.example";
const METADATA: &str = "https://api.example/.well-known/oauth-protected-resource";
const NOW: u64 = 1_800_000_000;

/// An issuer that can be started later than whoever asks it, and is stopped when it goes.
struct Issuer {
    origin: String,
    key: Key,
    clock: ManualClock,
    verifier: JwtVerifier,
}

impl Issuer {
    /// Nobody listens there yet.
    async fn unborn() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let origin = format!("http://{}", listener.local_addr().expect("an address"));
        let client = HttpClient::builder().allow_loopback().build().expect("roots");
        let clock = ManualClock::default();
        let verifier = JwtVerifier::builder(API).issuer(&*origin).fetch(client).clock(clock.clone()).build();
        Self { origin, key: Key::new(), clock, verifier: verifier.expect("a good configuration") }
    }

    async fn serve(&self) {
        let (origin, keys) = (self.origin.clone(), jwks(&[&self.key]));
        let metadata = json!({"issuer": origin, "jwks_uri": format!("{origin}/keys")});
        let app = Router::new()
            .route("/.well-known/oauth-authorization-server", get(async || Json(metadata)))
            .route("/keys", get(async || Json(keys)));
        let address = self.origin.trim_start_matches("http://");
        let listener = TcpListener::bind(address).await.expect("the port is still free");
        // It ends with the runtime of the test.
        tokio::spawn(async { axum::serve(listener, app).await });
        self.clock.advance(Duration::from_secs(5));
    }

    fn token(&self, other: Value) -> String {
        let claims = json!({
            "iss": self.origin, "aud": API, "sub": "alice", "client_id": "app", "jti": "1", "scope": "profile",
            "iat": NOW, "exp": NOW + 600,
        });
        self.key.token(&with(claims, other))
    }
}

#[track_caller]
fn assert_challenged(answer: &Answer, status: StatusCode, error: &str) {
    let expected = format!("Bearer realm=\"{API}\"{error}, scope=\"profile\", resource_metadata=\"{METADATA}\"");
    assert_eq!((answer.status, answer.header(header::WWW_AUTHENTICATE)), (status, &*expected));
}

/// RFC 6750 §3, RFC 9728 §5.1, RFC 9110 §15.6.4
#[tokio::test]
async fn a_resource_server_over_axum_answers_as_for_tokens_of_its_own() {
    let issuer = Issuer::unborn().await;
    let app = over_axum::app(&issuer.verifier, METADATA);
    let server = Server::start(|listener, _, stopped| async move {
        let stop = async { stopped.await.unwrap_or_default() };
        axum::serve(listener, app).with_graceful_shutdown(stop).await.expect("it serves");
    })
    .await;
    let stranger = Stranger::of(&server.origin);
    let ask = async |token: &str| stranger.send(bearer("/hello", token)).await;

    let early = ask(&issuer.token(json!({}))).await;
    assert_eq!((early.status, early.header(header::RETRY_AFTER)), (StatusCode::SERVICE_UNAVAILABLE, "1"));
    issuer.serve().await;
    let good = ask(&issuer.token(json!({}))).await;
    assert_eq!((good.status, &*good.body), (StatusCode::OK, "Hello, alice\n"));
    assert_challenged(&stranger.send(request(Method::GET, "/hello")).await, StatusCode::UNAUTHORIZED, "");
    let forged = ", error=\"invalid_token\", error_description=\"the token is not known here\"";
    assert_challenged(
        &ask(&Key::new().sign(
            &json!({"alg": "ES256", "kid": issuer.key.id(), "typ": "at+jwt"}),
            &json!({
                "iss": issuer.origin, "exp": NOW + 600,
            }),
        ))
        .await,
        StatusCode::UNAUTHORIZED,
        forged,
    );
    let over = ", error=\"invalid_token\", error_description=\"the token has expired\"";
    assert_challenged(&ask(&issuer.token(json!({"exp": NOW - 60}))).await, StatusCode::UNAUTHORIZED, over);
    let narrow = ", error=\"insufficient_scope\", error_description=\"the token lacks a scope\"";
    assert_challenged(&ask(&issuer.token(json!({"scope": null}))).await, StatusCode::FORBIDDEN, narrow);
    drop(stranger);
    server.stop().await;
}

async fn check(client: &mut HealthClient<Channel>, token: Option<&str>) -> (Code, String) {
    let mut request = Request::new(HealthCheckRequest::default());
    if let Some(token) = token {
        let value = MetadataValue::try_from(format!("Bearer {token}")).expect("a value");
        request.metadata_mut().insert("authorization", value);
    }
    match client.check(request).await {
        Ok(_) => (Code::Ok, String::new()),
        Err(status) => (status.code(), status.message().to_owned()),
    }
}

/// <https://grpc.io/docs/guides/status-codes>
#[tokio::test]
async fn a_resource_server_over_tonic_answers_as_for_tokens_of_its_own() {
    let issuer = Issuer::unborn().await;
    let verifier = issuer.verifier.clone();
    let server = Server::start(|listener, _, stopped| async move {
        let stop = async { stopped.await.unwrap_or_default() };
        over_tonic::serve(listener, &verifier, stop).await.expect("it serves");
    })
    .await;
    let channel = Endpoint::new(server.origin.clone()).expect("an origin").connect().await.expect("it listens");
    let mut client = HealthClient::new(channel);

    let good = issuer.token(json!({}));
    let later = "the token cannot be checked now, try again";
    assert_eq!(check(&mut client, Some(&good)).await, (Code::Unavailable, later.to_owned()));
    issuer.serve().await;
    assert_eq!(check(&mut client, Some(&good)).await.0, Code::Ok);
    assert_eq!(check(&mut client, None).await, (Code::Unauthenticated, "a bearer token is needed".to_owned()));
    let over = issuer.token(json!({"exp": NOW - 60}));
    assert_eq!(check(&mut client, Some(&over)).await, (Code::Unauthenticated, "the token has expired".to_owned()));
    let narrow = issuer.token(json!({"scope": "other"}));
    assert_eq!(check(&mut client, Some(&narrow)).await, (Code::PermissionDenied, "the token lacks a scope".to_owned()));
    drop(client);
    server.stop().await;
}
