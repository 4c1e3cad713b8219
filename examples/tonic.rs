//! A gRPC service that wants a bearer token, and the provider that issues them, on one port.
//!
//! `cargo run --example tonic` starts both, calls the service as a client would, and ends.

use std::error::Error;

use tokio::net::TcpListener;
use tonic::metadata::MetadataValue;
use tonic::service::LayerExt;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Code, Request};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tower_oauth::{Client, MemoryStore, Provider};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let origin = format!("http://{}", listener.local_addr()?);
    let provider = Provider::builder(&origin)
        .store(MemoryStore::new())
        .scope("health", "see how the service is")
        .scope("profile", "see your profile")
        .client(Client::public("app").redirect_uri("http://127.0.0.1/callback"))
        .build()?;

    // tonic acts on every method, so what looks like a browser's preflight must not get there.
    let bearer = provider.bearer().require("health").refuse_preflights();
    // Any tonic service goes in place of this one.
    let (_, health) = tonic_health::server::health_reporter();
    let server = Server::builder()
        .accept_http1(true) // the provider's endpoints are for browsers too
        .layer(provider.layer())
        .add_service(LayerExt::named_layer(&bearer, health))
        .serve_with_incoming(TcpIncoming::from(listener));
    tokio::spawn(server);

    // In an app of your own tokens come from the token endpoint; `issue` is for tests and examples.
    let good = provider.issue("app", "alice", "health".parse()?).await?;
    let narrow = provider.issue("app", "alice", "profile".parse()?).await?;
    let mut client = HealthClient::new(Channel::from_shared(origin)?.connect().await?);
    assert_eq!(call(&mut client, None).await?, Code::Unauthenticated);
    assert_eq!(call(&mut client, Some("forged")).await?, Code::Unauthenticated);
    assert_eq!(call(&mut client, Some(narrow.secret())).await?, Code::PermissionDenied);
    assert_eq!(call(&mut client, Some(good.secret())).await?, Code::Ok);
    Ok(())
}

/// What the service answers to a caller with this token.
async fn call(client: &mut HealthClient<Channel>, token: Option<&str>) -> Result<Code, Box<dyn Error>> {
    let mut request = Request::new(HealthCheckRequest::default());
    if let Some(token) = token {
        let credentials = MetadataValue::try_from(format!("Bearer {token}"))?;
        request.metadata_mut().insert("authorization", credentials);
    }
    let code = match client.check(request).await {
        Ok(_) => Code::Ok,
        Err(status) => status.code(),
    };
    println!("{:60} {code:?}", token.unwrap_or("no token"));
    Ok(code)
}
