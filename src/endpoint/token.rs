use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body::Body;
use serde_json::Value;

use super::leaf::{form, leaf_service};
use crate::client::Client;
use crate::error::ProtocolError;
use crate::grant_type;
use crate::http::{DPOP_NONCE, Errand, Failure, Reply, dpop_proof, json};
use crate::provider::Provider;
use crate::types::Params;

leaf_service! {
    /// The token endpoint ([RFC 6749 §3.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.2)), whatever path it is
    /// mounted at. See the [module docs](crate::endpoint) for an example.
    Token, token, "token endpoint"
}

/// What of a request is looked at once its client is known: its proof.
type Sent = Result<Option<String>, ProtocolError>;

pub(super) async fn answer<B>(provider: Provider, request: Request<B>) -> Reply
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let sent = sent(&provider, request.headers());
    // RFC 9449 §8.2: whoever sends proofs hears of the next nonce with every answer, which no cache keeps.
    let nonce = if matches!(sent, Ok(None)) { None } else { provider.dpop_nonce() };
    let mut reply =
        form(provider, request, Errand::Tokens, |provider, client, params| exchange(provider, client, params, sent))
            .await;
    if let Some(nonce) = nonce.and_then(|nonce| HeaderValue::try_from(nonce).ok()) {
        reply.headers_mut().insert(DPOP_NONCE, nonce);
    }
    reply
}

async fn exchange(provider: Provider, client: Client, params: Params, sent: Sent) -> Result<Reply, Failure> {
    let path = &provider.0.config.paths.token;
    let proven = sent?.map(|proof| provider.prove(&proof, path)).transpose()?;
    let response = grant_type::exchange(&provider, &client, &params, proven).await?;
    Ok(json(StatusCode::OK, &Value::Object(response)))
}

fn sent(provider: &Provider, headers: &HeaderMap) -> Sent {
    if !provider.0.config.takes_dpop() {
        return Ok(None);
    }
    dpop_proof(headers).map(|proof| proof.map(str::to_owned))
}
