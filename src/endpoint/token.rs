use http::{Request, StatusCode};
use http_body::Body;
use serde_json::Value;

use super::leaf::leaf_service;
use super::proof::{Sent, form_with_proof};
use crate::client::Client;
use crate::grant_type;
use crate::http::{Failure, Reply, json};
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
    form_with_proof(provider, request, exchange).await
}

async fn exchange(provider: Provider, client: Client, params: Params, sent: Sent) -> Result<Reply, Failure> {
    let proven = sent.proven(&provider, &provider.0.config.paths.token)?;
    let response = grant_type::exchange(&provider, &client, &params, proven).await?;
    Ok(json(StatusCode::OK, &Value::Object(response)))
}
