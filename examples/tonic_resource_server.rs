//! A gRPC service apart from its authorization server, whose JWT access tokens it verifies.
//!
//! The server is `examples/provider`, started with `--access-token jwt`; this service is a part of that provider's own API.
//!
//! `cargo run --features jwt,http-client --example tonic_resource_server`, and with a token of the provider any client of
//! `grpc.health.v1.Health` on 127.0.0.1:4001 that sends it as `authorization: Bearer ..`.

use std::error::Error;

use tokio::net::TcpListener;
use tonic::service::LayerExt;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tower_oauth::{HttpClient, JwtVerifier};

const ISSUER: &str = "http://127.0.0.1:3000";

/// Serves what is protected, whoever issues the tokens, until `stop`.
pub(crate) async fn serve(
    listener: TcpListener,
    verifier: &JwtVerifier,
    stop: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    // tonic acts on every method, so what looks like a browser's preflight must not get there.
    let bearer = verifier.bearer().require("profile").refuse_preflights();
    // Any tonic service goes in place of this one.
    let (_, health) = tonic_health::server::health_reporter();
    let server = Server::builder().add_service(bearer.named_layer(health));
    server.serve_with_incoming_shutdown(TcpIncoming::from(listener), stop).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Only an issuer on this machine is asked over plain HTTP: elsewhere `HttpClient::new()?` is enough.
    let client = HttpClient::builder().allow_loopback().build()?;
    // The keys are fetched when the first token comes, so it does not matter who starts first.
    let verifier = JwtVerifier::builder(ISSUER).issuer(ISSUER).fetch(client).build()?;
    let listener = TcpListener::bind("127.0.0.1:4001").await?;
    println!("127.0.0.1:4001");
    Ok(serve(listener, &verifier, std::future::pending()).await?)
}
