//! The client credentials grant ([RFC 6749 §4.4](https://www.rfc-editor.org/rfc/rfc6749#section-4.4)).
//!
//! A client acts for itself. Its token has no user, and there is no refresh token (§4.4.3).

use super::{Draft, TokenResponse};
use crate::client::{Client, GrantType};
use crate::error::ProtocolError;
use crate::event::EventKind;
use crate::http::Failure;
use crate::provider::Provider;
use crate::types::Params;

pub(super) async fn exchange(
    provider: &Provider,
    client: &Client,
    params: &Params,
    mut draft: Draft,
) -> Result<TokenResponse, Failure> {
    if !client.is_confidential() {
        return Err(ProtocolError::CLIENT_IS_PUBLIC.into());
    }
    let config = &provider.0.config;
    let scope = match params.get("scope") {
        Some(asked) => config.allowed_scope(client, asked)?,
        None => config.all_of(client),
    };
    if scope.is_empty() && config.has_scopes() {
        return Err(ProtocolError::SCOPE_OF_NOTHING.into());
    }
    let resources = config.requested_resources(params.all("resource"))?;
    config.check_together(&*resources)?;
    let scope = config.taken(scope, &resources)?;
    draft.use_proof(provider).await?;
    let (id, grant) = provider.machine_grant(client, resources).await?.ok_or(ProtocolError::CLIENT_UNKNOWN)?;
    draft.scope = Some(scope);
    draft.narrow_resources(provider, client, &grant, params)?;
    draft.leaves_something(provider, client, &grant)?;
    draft.is_bound_enough(provider, &grant)?;
    draft.on_issue(provider, GrantType::ClientCredentials, client, &grant).await?;
    draft.issue(provider, EventKind::Issued, client, id, &grant, None).await
}
