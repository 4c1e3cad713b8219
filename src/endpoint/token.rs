use http::{Request, StatusCode};
use http_body::Body;
use serde_json::Value;

use super::leaf::{form, leaf_service};
use super::proof::{Sent, next_nonce, sent, with_nonce};
use crate::client::Client;
use crate::grant_type;
use crate::http::{Errand, Failure, Reply, json};
use crate::provider::Provider;
use crate::types::Params;

leaf_service! {
    /// The token endpoint ([RFC 6749 §3.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.2)), whatever path it is
    /// mounted at. See the [module docs](crate::endpoint) for an example.
    Token, token, "token endpoint"
}

pub(super) async fn answer<B>(provider: Provider, request: Request<B>) -> Reply
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let sent = sent(&provider, request.headers());
    let nonce = next_nonce(&provider, &sent);
    let reply =
        form(provider, request, Errand::Tokens, |provider, client, params| exchange(provider, client, params, sent))
            .await;
    with_nonce(reply, nonce)
}

async fn exchange(provider: Provider, client: Client, params: Params, sent: Sent) -> Result<Reply, Failure> {
    let path = &provider.0.config.paths.token;
    let proven = sent?.map(|proof| provider.prove(&proof, path)).transpose()?;
    let response = grant_type::exchange(&provider, &client, &params, proven).await?;
    Ok(json(StatusCode::OK, &Value::Object(response)))
}
