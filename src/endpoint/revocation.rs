use http::StatusCode;

use super::leaf::leaf_service;
use crate::client::Client;
use crate::error::ProtocolError;
use crate::grant::{Outcome, Refused, RevocationReason};
use crate::handle::{GrantKey, TokenId};
use crate::http::{Failure, Reply, bare};
use crate::provider::Provider;
use crate::types::{Params, UnixTime};

leaf_service! {
    /// The revocation endpoint ([RFC 7009](https://www.rfc-editor.org/rfc/rfc7009)), whatever path it is mounted at.
    ///
    /// An access token ends alone; a refresh token, of whatever generation, ends its grant and every token of it. A
    /// token that is unknown or ended already is a success; another client's is `invalid_grant` and stays as it is.
    /// See the [module docs](crate::endpoint) for an example.
    Revocation, revocation, "revocation endpoint"
}

pub(super) async fn revoke(provider: Provider, client: Client, params: Params) -> Result<Reply, Failure> {
    let token = params.get("token").ok_or(ProtocolError::TOKEN_PARAMETER_MISSING)?;
    // The hint is not needed: a handle says what it is (RFC 7009 §2.1).
    let handles = &provider.0.handles;
    let mut step = provider.revoke_step(RevocationReason::Client);
    step.client = Some(client.id().clone());
    let key = if let Ok(handle) = handles.open_refresh(token) {
        step.secret = Some(handle.salt.hash());
        handles.key_of(handle.grant)
    } else if let Some(handle) = handles.open_access(token).ok().filter(|handle| provider.now() < handle.expires_at) {
        step.token = Some((handle.token, handle.expires_at));
        handles.key_of(handle.grant)
    } else if let Some((key, revoked)) = of_jwt(&provider, token).await? {
        step.token = Some(revoked);
        key
    } else {
        return Ok(bare(StatusCode::OK));
    };
    match provider.revoke(key, step).await? {
        Outcome::Refused(Refused::Mismatch) => Err(Failure::from(ProtocolError::TOKEN_OF_ANOTHER_CLIENT).on(key)),
        _ => Ok(bare(StatusCode::OK)),
    }
}

/// Which grant a JWT is of, what it is called there, and when it ends.
#[cfg(feature = "jwt")]
async fn of_jwt(provider: &Provider, token: &str) -> Result<Option<(GrantKey, (TokenId, UnixTime))>, Failure> {
    Ok(provider.open_jwt(token).await?.ok().map(|jwt| (jwt.key, (jwt.token, jwt.expires_at()))))
}

#[cfg(not(feature = "jwt"))]
async fn of_jwt(_: &Provider, _: &str) -> Result<Option<(GrantKey, (TokenId, UnixTime))>, Failure> {
    Ok(None)
}
