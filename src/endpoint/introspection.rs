use http::StatusCode;
use serde_json::{Map, Value, json};

use super::leaf::leaf_service;
use crate::client::Client;
use crate::error::ProtocolError;
use crate::grant::Grant;
use crate::handle::{AccessHandle, RefreshHandle, TokenId, jti};
use crate::http::{Failure, Reply, json};
#[cfg(feature = "jwt")]
use crate::provider::OwnJwt;
use crate::provider::Provider;
use crate::types::{Params, Resource, Thumbprint, UnixTime};

leaf_service! {
    /// The introspection endpoint ([RFC 7662](https://www.rfc-editor.org/rfc/rfc7662)), whatever path it is mounted at,
    /// for confidential clients only.
    ///
    /// A client sees its own tokens, and the server of a resource ([`Client::resource_server`]) the access tokens for
    /// that resource; of everything else all learn nothing but `{"active":false}`. See the
    /// [module docs](crate::endpoint) for an example.
    Introspection, introspection, "introspection endpoint"
}

pub(super) async fn introspect(provider: Provider, client: Client, params: Params) -> Result<Reply, Failure> {
    if !client.is_confidential() {
        return Err(ProtocolError::CLIENT_NOT_CONFIDENTIAL.into());
    }
    let token = params.get("token").ok_or(ProtocolError::TOKEN_PARAMETER_MISSING)?;
    let answer = active(&provider, &client, token).await?;
    Ok(json(StatusCode::OK, &answer.map_or_else(|| json!({"active": false}), Value::Object)))
}

/// What this client may know of a token; `None` if it is not active, or not the client's to know.
async fn active(provider: &Provider, client: &Client, token: &str) -> Result<Option<Map<String, Value>>, Failure> {
    let (handles, now) = (&provider.0.handles, provider.now());
    if let Ok(handle) = handles.open_access(token) {
        let grant = provider.grant(handles.key_of(handle.grant)).await?;
        return Ok(grant.and_then(|grant| access_token(provider, client, &Access::of(&handle), &grant, now)));
    }
    if let Ok(handle) = handles.open_refresh(token) {
        let grant = provider.grant(handles.key_of(handle.grant)).await?;
        return Ok(grant.and_then(|grant| refresh_token(provider, client, &handle, &grant)));
    }
    #[cfg(feature = "jwt")]
    if let Ok(jwt) = provider.open_jwt(token).await? {
        let grant = provider.grant(jwt.key).await?;
        return Ok(grant.and_then(|grant| access_token(provider, client, &Access::of_jwt(&jwt, &grant)?, &grant, now)));
    }
    Ok(None)
}

/// What an access token says, whatever its format.
struct Access {
    token: TokenId,
    issued_at: UnixTime,
    expires_at: UnixTime,
    scope: u64,
    resources: u16,
    bound_to: Option<Thumbprint>,
}

impl Access {
    const fn of(handle: &AccessHandle) -> Self {
        let AccessHandle { token, issued_at, expires_at, scope, resources, bound_to, .. } = *handle;
        Self { token, issued_at, expires_at, scope, resources, bound_to }
    }

    #[cfg(feature = "jwt")]
    fn of_jwt(jwt: &OwnJwt, grant: &Grant) -> Option<Self> {
        let (scope, resources) = jwt.masks(grant)?;
        let (issued_at, expires_at, bound_to) = (jwt.issued_at(), jwt.expires_at(), jwt.bound_to());
        Some(Self { token: jwt.token, issued_at, expires_at, scope, resources, bound_to })
    }
}

fn access_token(
    provider: &Provider,
    client: &Client,
    handle: &Access,
    grant: &Grant,
    now: UnixTime,
) -> Option<Map<String, Value>> {
    let resources: Vec<&Resource> = Resource::masked(grant.resources(), handle.resources).collect();
    let serves = |own: &Resource| resources.iter().any(|resource| resource.covers(own));
    let may_know = grant.client_id() == client.id() || client.resource().is_some_and(serves);
    if !may_know || now >= handle.expires_at || !grant.admits(handle.token, handle.issued_at, now) {
        return None;
    }
    let mut answer = common(provider, grant);
    let mut put = |name: &str, value: Value| answer.insert(name.to_owned(), value);
    put("scope", grant.scope().masked(handle.scope).to_string().into());
    put("token_type", if handle.bound_to.is_some() { "DPoP" } else { "Bearer" }.into());
    put("iat", handle.issued_at.as_secs().into());
    put("exp", handle.expires_at.as_secs().into());
    put("aud", resources.iter().map(|resource| resource.as_str()).collect::<Vec<_>>().into());
    put("jti", jti(grant.key(), &handle.token).into());
    // RFC 9470 §6.2
    if let Some(acr) = grant.acr() {
        put("acr", acr.into());
    }
    if let Some(auth_time) = grant.auth_time() {
        put("auth_time", auth_time.as_secs().into());
    }
    confirm(&mut answer, handle.bound_to);
    Some(answer)
}

/// A refresh token is its own client's business, and active in its current generation alone.
fn refresh_token(
    provider: &Provider,
    client: &Client,
    handle: &RefreshHandle,
    grant: &Grant,
) -> Option<Map<String, Value>> {
    // The rule would take the predecessor too, within the grace.
    if grant.generation() != handle.generation || provider.would_rotate(grant, client, handle).is_none() {
        return None;
    }
    let idle = provider.0.config.lifetimes.refresh_idle;
    let rotated_at = grant.last_used_at()?;
    let mut answer = common(provider, grant);
    let mut put = |name: &str, value: Value| answer.insert(name.to_owned(), value);
    put("scope", grant.scope().to_string().into());
    put("iat", rotated_at.as_secs().into());
    put("exp", rotated_at.plus(idle).min(grant.expires_at()).as_secs().into());
    put("aud", grant.resources().iter().map(Resource::as_str).collect::<Vec<_>>().into());
    confirm(&mut answer, handle.bound_to);
    Some(answer)
}

/// Whose proof has to come with a token ([RFC 9449 §6.2](https://www.rfc-editor.org/rfc/rfc9449#section-6.2)).
fn confirm(answer: &mut Map<String, Value>, bound_to: Option<Thumbprint>) {
    answer.extend(bound_to.map(|key| ("cnf".to_owned(), key.to_confirmation())));
}

/// What is said of every active token ([RFC 7662 §2.2](https://www.rfc-editor.org/rfc/rfc7662#section-2.2)).
fn common(provider: &Provider, grant: &Grant) -> Map<String, Value> {
    let subject = grant.subject().map_or(grant.client_id().as_str(), |subject| subject.as_str());
    let mut answer = Map::new();
    answer.insert("active".to_owned(), true.into());
    answer.insert("iss".to_owned(), provider.issuer().into());
    answer.insert("client_id".to_owned(), grant.client_id().as_str().into());
    answer.insert("sub".to_owned(), subject.into());
    answer
}
