use http::{Request, StatusCode};
use http_body::Body;
use serde_json::json;

use super::leaf::leaf_service;
use super::proof::{Sent, form_with_proof};
use crate::client::Client;
use crate::error::ProtocolError;
use crate::http::{Failure, Reply, bare, json};
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
    form_with_proof(provider, request, push).await
}

async fn push(provider: Provider, client: Client, params: Params, sent: Sent) -> Result<Reply, Failure> {
    let path = provider.0.config.paths.pushed_authorization_request.as_deref().unwrap_or_default();
    let proven = sent.proven(&provider, path)?;
    // Whoever has not proven itself fills no store. To send its proof again is to ask for what its key alone can have.
    if let Some(proven) = proven.as_ref().filter(|_| client.is_confidential())
        && !provider.is_first_use_of(proven).await?
    {
        return Err(ProtocolError::DPOP_PROOF_REPLAYED.into());
    }
    let (request_uri, lifetime) = provider.push(client, params, proven.map(|proven| proven.key))?;
    Ok(json(StatusCode::CREATED, &json!({"request_uri": request_uri, "expires_in": lifetime.as_secs()})))
}
