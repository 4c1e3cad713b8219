use http::{Request, StatusCode};
use http_body::Body;
use serde_json::json;

use super::leaf::{form, leaf_service};
use super::proof::{Sent, next_nonce, sent, with_nonce};
use crate::client::Client;
use crate::error::ProtocolError;
use crate::http::{Errand, Failure, Reply, bare, json};
use crate::provider::Provider;
use crate::types::Params;

leaf_service! {
    /// The pushed authorization request endpoint ([RFC 9126 §2](https://www.rfc-editor.org/rfc/rfc9126#section-2)),
    /// whatever path it is mounted at. It is a 404 until requests
    /// [can be pushed](crate::ProviderBuilder::pushed_authorization_requests).
    ///
    /// See the [module docs](crate::endpoint) for an example.
    PushedAuthorizationRequest, pushed_authorization_request, "pushed authorization request endpoint"
}

pub(super) async fn answer<B>(provider: Provider, request: Request<B>) -> Reply
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if !provider.0.config.pushed.on {
        return bare(StatusCode::NOT_FOUND);
    }
    let sent = sent(&provider, request.headers());
    let nonce = next_nonce(&provider, &sent);
    let reply =
        form(provider, request, Errand::Authorization, |provider, client, params| push(provider, client, params, sent))
            .await;
    with_nonce(reply, nonce)
}

async fn push(provider: Provider, client: Client, params: Params, sent: Sent) -> Result<Reply, Failure> {
    let params = match sent? {
        None => params,
        Some(proof) => for_key(&provider, &proof, params)?,
    };
    let (request_uri, lifetime) = provider.push(client, params)?;
    Ok(json(StatusCode::CREATED, &json!({"request_uri": request_uri, "expires_in": lifetime.as_secs()})))
}

/// A proof says for which key the code is, as `dpop_jkt` does, and both say the same
/// ([RFC 9449 §10.1](https://www.rfc-editor.org/rfc/rfc9449#section-10.1)). It is not used up: sent again by another it
/// asks for a code that is good for this key alone, and pushing writes nothing.
fn for_key(provider: &Provider, proof: &str, params: Params) -> Result<Params, ProtocolError> {
    let path = provider.0.config.paths.pushed_authorization_request.as_deref().unwrap_or_default();
    let key = provider.prove(proof, path)?.key.to_string();
    match params.get("dpop_jkt") {
        None => Ok(params.with("dpop_jkt", &key)),
        Some(named) if named == key => Ok(params),
        Some(_) => Err(ProtocolError::DPOP_PROOF_OF_ANOTHER_KEY),
    }
}
