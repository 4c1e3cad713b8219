//! Who the client is ([RFC 6749 §2.3](https://www.rfc-editor.org/rfc/rfc6749#section-2.3)).
//!
//! A client authenticates in exactly the way in which it is registered. An unknown client and a wrong secret get the
//! same answer after the same work.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};

use super::failure::Failure;
use crate::client::{AuthMethod, Client, ClientSecret};
use crate::error::ProtocolError;
use crate::provider::Provider;
use crate::span;
use crate::types::{ClientId, Params, form_decode};

/// What a request says about its client.
struct Presented {
    id: ClientId,
    secret: Option<String>,
    method: AuthMethod,
}

/// Stands in for a client that is unknown, so that its secret is hashed and compared all the same.
static NOBODY: LazyLock<Client> = LazyLock::new(|| Client::confidential("", ClientSecret::generate()));

/// The client of a request, if it proves that it is.
pub(crate) async fn authenticate(provider: &Provider, headers: &HeaderMap, params: &Params) -> Result<Client, Failure> {
    let presented = presented(headers, params)?;
    let client = provider.client(&presented.id).await?;
    let proven = match &presented.secret {
        Some(secret) => client.as_ref().unwrap_or(&NOBODY).has_secret(secret, provider.now()),
        None => true,
    };
    // The name of a client that is none is whatever somebody sent, so it is not passed on.
    let Some(client) = client else { return Err(ProtocolError::CLIENT_UNKNOWN.into()) };
    if client.auth_method() != presented.method {
        return Err(Failure::from(ProtocolError::CLIENT_METHOD_WRONG).of(client.id()));
    }
    if !proven {
        return Err(Failure::from(ProtocolError::CLIENT_SECRET_WRONG).of(client.id()));
    }
    span::record("oauth.client_id", client.id().as_str());
    Ok(client)
}

fn presented(headers: &HeaderMap, params: &Params) -> Result<Presented, ProtocolError> {
    let body_id = params.get("client_id");
    let body_secret = params.get("client_secret");
    let mut authorizations = headers.get_all(header::AUTHORIZATION).iter();
    let Some(authorization) = authorizations.next() else {
        let id = body_id.map(ClientId::from).ok_or(ProtocolError::CLIENT_MISSING)?;
        let method = if body_secret.is_some() { AuthMethod::ClientSecretPost } else { AuthMethod::None };
        return Ok(Presented { id, secret: body_secret.map(str::to_owned), method });
    };
    if authorizations.next().is_some() {
        return Err(ProtocolError::AUTHORIZATION_REPEATED);
    }
    let (id, secret) = basic(authorization.as_bytes()).ok_or(ProtocolError::CLIENT_HEADER_MALFORMED)?;
    // RFC 6749 §2.3: one method in a request; RFC 7521 §4.2: the name may stand in the body again.
    if body_secret.is_some() {
        return Err(ProtocolError::CLIENT_AUTHENTICATED_TWICE);
    }
    if body_id.is_some_and(|body_id| *body_id != id) {
        return Err(ProtocolError::CLIENT_ID_DIFFERS);
    }
    Ok(Presented { id: id.into(), secret: Some(secret), method: AuthMethod::ClientSecretBasic })
}

/// Both halves are form-encoded before they are put together (RFC 6749 §2.3.1).
fn basic(value: &[u8]) -> Option<(String, String)> {
    let (scheme, encoded) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let pair = STANDARD.decode(encoded.trim_ascii()).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    Some((form_decode(&pair[..colon])?, form_decode(&pair[colon + 1..])?))
}
