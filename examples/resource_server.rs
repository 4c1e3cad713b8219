//! An API apart from its authorization server, which it asks what a token is worth: `examples/provider` on port 3000.
//!
//! `curl -H "Authorization: Bearer $TOKEN" http://127.0.0.1:4000/hello`, with a token of that provider.

use std::error::Error;
use std::time::{Duration, UNIX_EPOCH};

use axum::{Router, routing::get};
use bytes::Bytes;
use http::{Request, StatusCode, header::AUTHORIZATION};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use tower_oauth::{Authorized, BearerLayer, Credentials, Refusal, StoreError};
use tower_oauth::{Subject, Verification, Verify};

#[derive(Clone)]
struct AskTheProvider(Client<HttpConnector, Empty<Bytes>>);

#[derive(serde::Deserialize)]
struct Answer {
    user: Option<String>,
    client_id: String,
    scope: String,
    aud: Vec<String>,
    exp: u64,
}

impl Verify for AskTheProvider {
    fn verify(&self, credentials: Credentials<'_>) -> Verification {
        let (this, token) = (self.clone(), format!("Bearer {}", credentials.token()));
        Verification::later(async move {
            match this.ask(token).await {
                Ok(Some(authorized)) => Ok(authorized),
                Ok(None) => Err(Refusal::InvalidToken("the provider does not take it")),
                // The caller hears "try again" (503), not that its token is bad.
                Err(down) => Err(Refusal::Unavailable(StoreError::new(down))),
            }
        })
    }
}

impl AskTheProvider {
    async fn ask(&self, token: String) -> Result<Option<Authorized>, Box<dyn Error + Send + Sync>> {
        let request = Request::get("http://127.0.0.1:3000/v1/whoami").header(AUTHORIZATION, token);
        let answer = self.0.request(request.body(Empty::new())?).await?;
        match answer.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => return Ok(None),
            status => return Err(format!("the provider answered {status}").into()),
        }
        let body = answer.into_body().collect().await?.to_bytes();
        let answer: Answer = serde_json::from_slice(&body)?;
        let expires = UNIX_EPOCH + Duration::from_secs(answer.exp);
        let (user, scope) = (answer.user.map(Subject::from), answer.scope.parse()?);
        let resources = answer.aud.iter().map(|resource| resource.parse()).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(Authorized::new(answer.client_id, user, scope, expires).for_resources(resources)))
    }
}

async fn hello(token: Authorized) -> String {
    format!("Hello, {}\n", token.subject())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let verify = AskTheProvider(Client::builder(TokioExecutor::new()).build_http());
    // A part of the provider's own API. Tokens for an API of another name would be refused here, as ours would be there.
    let bearer = BearerLayer::new(verify).resource("http://127.0.0.1:3000").require("profile");
    let app = Router::new().route("/hello", get(hello).route_layer(bearer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:4000").await?;
    println!("http://127.0.0.1:4000/hello");
    Ok(axum::serve(listener, app).await?)
}
