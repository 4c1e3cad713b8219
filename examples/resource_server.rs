//! An API apart from its authorization server: it verifies JWT access tokens by the keys that the server publishes, and
//! asks the server every few seconds which of them were revoked.
//!
//! The server is `examples/provider`, started with `--access-token jwt`; this API is a part of that provider's own.
//!
//! `cargo run --features jwt,http-client --example resource_server`, and with a token of the provider
//! `curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:4000/hello`.

use std::error::Error;

use axum::{Router, routing::get};
use tower_oauth::resource_server::TrustedIssuer;
use tower_oauth::{Authorized, HttpClient, JwtVerifier};

const ISSUER: &str = "http://127.0.0.1:3000";

async fn hello(token: Authorized) -> String {
    format!("Hello, {}\n", token.subject())
}

/// What is protected, whoever issues the tokens.
pub(crate) fn app(verifier: &JwtVerifier, resource_metadata: &str) -> Router {
    let bearer = verifier.bearer().resource_metadata(resource_metadata).require("profile");
    Router::new().route("/hello", get(hello).route_layer(bearer))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Only an issuer on this machine is asked over plain HTTP: elsewhere `HttpClient::new()?` is enough.
    let client = HttpClient::builder().allow_loopback().build()?;
    // The keys are fetched when the first token comes, so it does not matter who starts first.
    let issuer = TrustedIssuer::from(ISSUER).revocation_feed("api", "the-secret-of-the-api-of-this-example");
    let verifier = JwtVerifier::builder(ISSUER).issuer(issuer).fetch(client).build()?;
    let app = app(&verifier, &format!("{ISSUER}/.well-known/oauth-protected-resource"));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:4000").await?;
    println!("http://127.0.0.1:4000/hello");
    Ok(axum::serve(listener, app).await?)
}
