//! The layers over plain hyper, on a socket: no framework, and the body that hyper gives.

#[path = "support/shelf.rs"]
mod shelf;
#[path = "support/site.rs"]
mod site;
#[path = "support/socket.rs"]
mod socket;
mod support;

use std::convert::Infallible;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use socket::{Server, Stranger, protection, provider_at, the_whole_flow};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tower::{ServiceBuilder, ServiceExt};
use tower_oauth::{AuthorizationRequest, Authorized, Provider};

type Reply = Response<Full<Bytes>>;

fn text(text: impl Into<Bytes>) -> Reply {
    Response::new(Full::new(text.into()))
}

/// `/authorize`, below the provider's layer.
fn authorize(request: &Request<Incoming>) -> Reply {
    let asked = AuthorizationRequest::from_extensions(request.extensions()).expect("a layer above");
    match *request.method() {
        Method::GET => text(format!("page for {}", asked.client().id())),
        _ => asked.approve("alice").into(),
    }
}

/// `/me`, below the bearer layer.
async fn me(request: Request<Incoming>) -> Result<Reply, Infallible> {
    let token = Authorized::<()>::from_extensions(request.extensions()).expect("a layer above");
    Ok(text(format!("{} through {}", token.subject(), token.client_id())))
}

async fn serve(listener: TcpListener, provider: Provider, mut stopped: oneshot::Receiver<()>) {
    let me = ServiceBuilder::new().layer(protection(&provider)).service_fn(me);
    let app = ServiceBuilder::new().layer(provider.layer()).service_fn(move |request: Request<Incoming>| {
        let me = me.clone();
        async move {
            match request.uri().path() {
                "/authorize" => Ok(authorize(&request)),
                "/me" => me.oneshot(request).await,
                "/public" => Ok(text("open")),
                _ => Ok(Response::builder().status(StatusCode::NOT_FOUND).body(Full::default()).expect("a reply")),
            }
        }
    });
    // Dropped with this function, and every connection with it.
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted.expect("a connection").0,
            _ = &mut stopped => return,
        };
        let service = TowerToHyperService::new(app.clone());
        connections.spawn(async move {
            Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await.map_err(drop)
        });
    }
}

#[tokio::test]
async fn a_plain_hyper_server_is_a_provider_and_its_routes_are_protected() {
    let (send, shelf) = oneshot::channel();
    let server = Server::start(|listener, origin, stopped| async move {
        let (provider, _, shelf) = provider_at(&origin);
        send.send(shelf).unwrap_or_else(|_| panic!("the test waits"));
        serve(listener, provider, stopped).await;
    })
    .await;
    the_whole_flow(&Stranger::of(&server.origin), &shelf.await.expect("it starts")).await;
    server.stop().await;
}
