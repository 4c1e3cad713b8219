//! A provider and a protected route on plain hyper: no framework, the page is a function.

use std::{convert::Infallible, error::Error};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::{server::conn::auto::Builder, service::TowerToHyperService};
use tower::{ServiceBuilder, ServiceExt};
use tower_oauth::{AuthorizationRequest, Authorized, Client, MemoryStore, Provider, escape};

type Reply = Response<Full<Bytes>>;

/// `/authorize`, below the provider's layer: shows a page, or answers with a decision.
async fn authorize(request: Request<Incoming>) -> Reply {
    let asked = AuthorizationRequest::from_extensions(request.extensions()).expect("a layer above");
    if request.method() == Method::GET {
        let client = escape(asked.client().client_name());
        return html(format!(
            "<!doctype html><html lang=en><title>Access</title><form method=post>May {client} see your profile?
             <button name=answer value=allow>Allow</button> <button>Deny</button></form>"
        ));
    }
    // Whoever sits here is Alice. Log your users in, and bind the form to their session.
    let form = Limited::new(request.into_body(), 1024).collect().await;
    match form.map(|form| form.to_bytes()) {
        Ok(form) if form == "answer=allow" => asked.approve("alice").into(),
        _ => asked.deny().into(),
    }
}

/// `/hello`, below the bearer layer.
async fn hello(request: Request<Incoming>) -> Result<Reply, Infallible> {
    let token = Authorized::<()>::from_extensions(request.extensions()).expect("a layer above");
    Ok(html(format!("Hello, {}", escape(token.subject()))))
}

fn html(text: String) -> Reply {
    let mut reply = Reply::new(text.into());
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    reply.headers_mut().insert(CONTENT_TYPE, html);
    reply
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let provider = Provider::builder("http://127.0.0.1:3000")
        .store(MemoryStore::new())
        .scope("profile", "see your profile")
        .client(Client::public("app").redirect_uri("http://127.0.0.1/callback"))
        .build()?;
    let bearer = provider.bearer().require("profile");
    let hello = ServiceBuilder::new().layer(bearer).service_fn(hello);
    let routes = move |request: Request<Incoming>| {
        let hello = hello.clone();
        async move {
            match request.uri().path() {
                "/authorize" => Ok(authorize(request).await),
                "/hello" => hello.oneshot(request).await,
                _ => Ok(Response::builder().status(404).body(Full::default()).expect("a status")),
            }
        }
    };
    let app = ServiceBuilder::new().layer(provider.layer()).service_fn(routes);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("http://127.0.0.1:3000/.well-known/oauth-authorization-server");
    loop {
        let (stream, _) = listener.accept().await?;
        let (stream, app) = (TokioIo::new(stream), TowerToHyperService::new(app.clone()));
        let server = Builder::new(TokioExecutor::new());
        tokio::spawn(async move { server.serve_connection(stream, app).await.map_err(drop) });
    }
}
