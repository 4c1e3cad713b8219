//! The layers over tonic, on a socket, with tonic's own client. The service is the health service, which comes generated.

#[path = "support/shelf.rs"]
mod shelf;
#[path = "support/site.rs"]
mod site;
#[path = "support/socket.rs"]
mod socket;
mod support;

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Method, StatusCode, header};
use http_body_util::Full;
use hyper::body::Body as _;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use shelf::{Op, Shelf};
use socket::{Server, Stranger, protection, provider_at};
use support::seconds;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::metadata::MetadataValue;
use tonic::service::LayerExt;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server as Grpc};
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower::util::MapRequestLayer;
use tower_oauth::testing::ManualClock;
use tower_oauth::{Authorized, Provider, StepUp};

/// Whom the service behind the layer saw.
type Seen = Arc<Mutex<Vec<String>>>;

/// What the test holds of the server.
struct Inside {
    provider: Provider,
    clock: ManualClock,
    shelf: Shelf,
    seen: Seen,
}

/// Where the bearer layer is.
#[derive(Clone, Copy)]
enum Around {
    /// One service of several, as the example has it: refusing preflights.
    One,
    All,
    AllRefusingPreflights,
    /// All, and a user has to have authenticated in two ways.
    SteppingUp,
}

/// The health service behind the bearer layer; what comes through says whom it is from.
async fn serve(listener: TcpListener, provider: Provider, seen: Seen, stopped: oneshot::Receiver<()>, around: Around) {
    let look = MapRequestLayer::new(move |request: http::Request<tonic::body::Body>| {
        let token = Authorized::<()>::from_extensions(request.extensions());
        let whom = token.map(|token| format!("{} through {}", token.subject(), token.client_id()));
        seen.lock().expect("no panic").push(whom.unwrap_or("nobody".to_owned()));
        request
    });
    let (_, health) = tonic_health::server::health_reporter();
    let health = look.named_layer(health);
    let (incoming, stopped) = (TcpIncoming::from(listener), async { stopped.await.unwrap_or_default() });
    let bearer = protection(&provider);
    let served = match around {
        Around::One => {
            // With the provider's endpoints on the same port, which speak HTTP/1.1 too.
            let mut server = Grpc::builder().accept_http1(true).layer(provider.layer());
            let server = server.add_service(bearer.refuse_preflights().named_layer(health));
            server.serve_with_incoming_shutdown(incoming, stopped).await
        }
        Around::All | Around::AllRefusingPreflights | Around::SteppingUp => {
            let bearer = match around {
                Around::AllRefusingPreflights => bearer.refuse_preflights(),
                Around::SteppingUp => bearer.step_up(StepUp::acr("mfa")),
                _ => bearer,
            };
            let server = Grpc::builder().layer(bearer).add_service(health);
            server.serve_with_incoming_shutdown(incoming, stopped).await
        }
    };
    served.expect("it serves");
}

async fn start(around: Around) -> (Server, Inside) {
    let (send, inside) = oneshot::channel();
    let server = Server::start(|listener, origin, stopped| async move {
        let (provider, clock, shelf) = provider_at(&origin);
        let seen = Seen::default();
        let inside = Inside { provider: provider.clone(), clock, shelf, seen: Arc::clone(&seen) };
        send.send(inside).unwrap_or_else(|_| panic!("the test waits"));
        serve(listener, provider, seen, stopped, around).await;
    })
    .await;
    (server, inside.await.expect("it starts"))
}

async fn channel(origin: &str) -> Channel {
    Endpoint::new(origin.to_owned()).expect("an origin").connect().await.expect("it listens")
}

fn with_token(authorization: Option<&str>) -> Request<HealthCheckRequest> {
    let mut request = Request::new(HealthCheckRequest::default());
    if let Some(value) = authorization {
        request.metadata_mut().insert("authorization", MetadataValue::try_from(value).expect("a value"));
    }
    request
}

/// What the client sees of one call: its code and message.
async fn check(client: &mut HealthClient<Channel>, authorization: Option<&str>) -> (Code, String) {
    match client.check(with_token(authorization)).await {
        Ok(_) => (Code::Ok, String::new()),
        Err(status) => (status.code(), status.message().to_owned()),
    }
}

async fn a_client_sees_what_its_token_is_worth(around: Around) {
    let (server, inside) = start(around).await;
    let mut client = HealthClient::new(channel(&server.origin).await);
    let issue = async |scope: &str| {
        let issued = inside.provider.issue("public", "alice", scope.parse().expect("a scope")).await;
        format!("Bearer {}", issued.expect("the shelf answers").secret())
    };
    let (good, narrow) = (issue("profile").await, issue("notes:read").await);
    let said = |code: Code, message: &str| (code, message.to_owned());

    assert_eq!(check(&mut client, None).await, said(Code::Unauthenticated, "a bearer token is needed"));
    let unknown = said(Code::Unauthenticated, "the token is not known here");
    assert_eq!(check(&mut client, Some("Bearer forged")).await, unknown);
    assert_eq!(check(&mut client, Some("Basic x")).await, said(Code::Unauthenticated, "a bearer token is needed"));
    let malformed = said(Code::InvalidArgument, "there is no token behind Bearer");
    assert_eq!(check(&mut client, Some("Bearer")).await, malformed);
    assert_eq!(check(&mut client, Some(&narrow)).await, said(Code::PermissionDenied, "the token lacks a scope"));
    assert_eq!(check(&mut client, Some(&good)).await, said(Code::Ok, ""));

    inside.shelf.take_down(&[Op::Find]);
    let down = said(Code::Unavailable, "the token cannot be checked now, try again");
    assert_eq!(check(&mut client, Some(&good)).await, down);
    inside.shelf.repair();
    assert_eq!(check(&mut client, Some(&good)).await, said(Code::Ok, ""));

    // A stream is refused as a call is.
    let refused = client.watch(with_token(None)).await.expect_err("it has no token");
    assert_eq!(refused.code(), Code::Unauthenticated);
    let stream = client.watch(with_token(Some(&good))).await.expect("a good token");
    assert!(stream.into_inner().message().await.expect("it goes on").is_some());

    inside.clock.advance(seconds(600));
    assert_eq!(check(&mut client, Some(&good)).await, said(Code::Unauthenticated, "the token has expired"));
    assert_eq!(*inside.seen.lock().expect("no panic"), ["alice through public"; 3]);
    drop(client);
    server.stop().await;
}

#[tokio::test]
async fn one_grpc_service_of_several_is_protected() {
    a_client_sees_what_its_token_is_worth(Around::One).await;
}

#[tokio::test]
async fn every_grpc_service_of_a_server_is_protected() {
    a_client_sees_what_its_token_is_worth(Around::All).await;
}

/// RFC 9470 §3: UNAUTHENTICATED, and what is needed is in the metadata of the status
#[tokio::test]
async fn a_client_hears_how_its_user_has_to_authenticate() {
    let (server, inside) = start(Around::SteppingUp).await;
    let token = inside.provider.issue("public", "alice", "profile".parse().expect("a scope")).await;
    let authorization = format!("Bearer {}", token.expect("the shelf answers").secret());
    let mut client = HealthClient::new(channel(&server.origin).await);
    let refused = client.check(with_token(Some(&authorization))).await.expect_err("nobody said how");
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(refused.message(), "the user has to authenticate again or in another way");
    let challenge = refused.metadata().get("www-authenticate").expect("a challenge").to_str().expect("ASCII");
    let needed = "error=\"insufficient_user_authentication\"";
    assert!(challenge.contains(needed) && challenge.contains("acr_values=\"mfa\""), "{challenge}");
    assert!(inside.seen.lock().expect("no panic").is_empty());
    drop(client);
    server.stop().await;
}

/// The provider's endpoints and the service on one port: a client gets its token where it uses it.
#[tokio::test]
async fn a_token_from_the_endpoint_on_the_same_port_opens_the_service() {
    let (server, inside) = start(Around::One).await;
    let params = [("grant_type", "client_credentials"), ("scope", "profile")];
    let stranger = Stranger::of(&server.origin);
    let answer = stranger.send(site::as_client("confidential", &params)).await;
    let token = answer.json()["access_token"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned();
    let mut client = HealthClient::new(channel(&server.origin).await);
    assert_eq!(check(&mut client, Some(&format!("Bearer {token}"))).await.0, Code::Ok);
    assert_eq!(*inside.seen.lock().expect("no panic"), ["confidential through confidential"]);
    let metadata = stranger.send(support::request(Method::GET, "/.well-known/oauth-authorization-server")).await;
    assert_eq!(metadata.json()["issuer"], server.origin);
    drop((client, stranger));
    server.stop().await;
}

/// A call without bytes that looks like a browser's preflight, or with a message of no bytes in its frame.
async fn knock(server: &Server, content_type: Option<&str>) -> http::Response<hyper::body::Incoming> {
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    let mut attack = http::Request::builder()
        .method(Method::OPTIONS)
        .uri(format!("{}/grpc.health.v1.Health/Check", server.origin))
        .header(header::ORIGIN, "https://app.example")
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST");
    let mut message = Full::default();
    if let Some(content_type) = content_type {
        attack = attack.header(header::CONTENT_TYPE, content_type);
        message = Full::new(Bytes::from_static(&[0; 5]));
    }
    client.request(attack.body(message).expect("a request")).await.expect("it answers")
}

/// The refusal and nothing of tonic's.
fn assert_refused(answer: &http::Response<hyper::body::Incoming>) {
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(answer.headers().contains_key(header::WWW_AUTHENTICATE));
    let of_grpc = answer.headers().keys().find(|name| name.as_str().starts_with("grpc-"));
    assert!(of_grpc.is_none() && answer.body().is_end_stream(), "{answer:?}");
}

/// tonic looks at the path of a request and not at its method, so it runs a call that looks like a browser's preflight.
/// Such a call has no message, and nothing of tonic's answer gets out.
#[tokio::test]
async fn nothing_of_a_call_that_looks_like_a_preflight_gets_out() {
    let (server, inside) = start(Around::All).await;
    for content_type in ["application/grpc", "text/plain"] {
        assert_refused(&knock(&server, Some(content_type)).await);
    }
    assert_eq!(*inside.seen.lock().expect("no panic"), [""; 0], "a call with a message is none of a browser's");
    assert_refused(&knock(&server, None).await);
    assert_eq!(
        *inside.seen.lock().expect("no panic"),
        ["nobody"],
        "which a service has to know that acts on any method"
    );
    server.stop().await;
}

#[tokio::test]
async fn a_layer_that_refuses_preflights_lets_none_reach_tonic() {
    for around in [Around::One, Around::AllRefusingPreflights] {
        let (server, inside) = start(around).await;
        for content_type in [Some("application/grpc"), Some("text/plain"), None] {
            assert_refused(&knock(&server, content_type).await);
        }
        assert_eq!(*inside.seen.lock().expect("no panic"), [""; 0]);
        server.stop().await;
    }
}
