use http::StatusCode;
use serde_json::Value;

use super::leaf::leaf_service;
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

pub(super) async fn exchange(provider: Provider, client: Client, params: Params) -> Result<Reply, Failure> {
    let response = grant_type::exchange(&provider, &client, &params).await?;
    Ok(json(StatusCode::OK, &Value::Object(response)))
}
