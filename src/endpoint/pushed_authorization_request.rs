use http::{Request, StatusCode};
use http_body::Body;
use serde_json::json;

use super::leaf::{form, leaf_service};
use crate::client::Client;
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
    form(provider, request, Errand::Authorization, push).await
}

async fn push(provider: Provider, client: Client, params: Params) -> Result<Reply, Failure> {
    let (request_uri, lifetime) = provider.push(client, params)?;
    Ok(json(StatusCode::CREATED, &json!({"request_uri": request_uri, "expires_in": lifetime.as_secs()})))
}
