//! Who the client is ([RFC 6749 §2.3](https://www.rfc-editor.org/rfc/rfc6749#section-2.3)).
//!
//! A client authenticates in exactly the way in which it is registered. An unknown client and a wrong secret get the
//! same answer after the same work. An assertion of an unknown client gets that answer too, and sooner: there is no key to
//! try it with.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, header};

#[cfg(feature = "jwt")]
use super::client_assertion;
use super::failure::Failure;
#[cfg(feature = "jwt")]
use crate::client::assertion::Assertion;
use crate::client::{AuthMethod, Client, ClientSecret};
use crate::error::ProtocolError;
use crate::provider::Provider;
use crate::span;
use crate::types::{ClientId, Params, form_decode};

/// What a request says about its client.
struct Presented<'a> {
    id: ClientId,
    proof: Proof<'a>,
}

/// How it proves that it is.
enum Proof<'a> {
    None,
    /// `client_secret_basic`
    Header(String),
    /// `client_secret_post`
    Body(&'a str),
    #[cfg(feature = "jwt")]
    Assertion(Box<Assertion<'a>>),
}

impl Proof<'_> {
    const fn method(&self) -> AuthMethod {
        match self {
            Self::None => AuthMethod::None,
            Self::Header(_) => AuthMethod::ClientSecretBasic,
            Self::Body(_) => AuthMethod::ClientSecretPost,
            #[cfg(feature = "jwt")]
            Self::Assertion(_) => AuthMethod::PrivateKeyJwt,
        }
    }

    fn secret(&self) -> Option<&str> {
        match self {
            Self::Header(secret) => Some(secret),
            Self::Body(secret) => Some(secret),
            _ => None,
        }
    }
}

/// Stands in for a client that is unknown, so that its secret is hashed and compared all the same.
static NOBODY: LazyLock<Client> = LazyLock::new(|| Client::confidential("", ClientSecret::generate()));

/// What a client comes for, which says where it is looked for.
#[derive(Clone, Copy)]
pub(crate) enum Errand {
    /// To have a user asked.
    Authorization,
    /// With what it got here.
    Tokens,
}

/// The client of a request, if it proves that it is.
pub(crate) async fn authenticate(
    provider: &Provider,
    headers: &HeaderMap,
    params: &Params,
    errand: Errand,
) -> Result<Client, Failure> {
    let Presented { id, proof } = presented(provider, headers, params)?;
    let client = match errand {
        Errand::Authorization => provider.client_to_ask_about(&id).await?,
        Errand::Tokens => provider.client_that_sends(&id, params).await?,
    };
    let proven = match proof.secret() {
        Some(secret) => client.as_ref().unwrap_or(&NOBODY).has_secret(secret, provider.now()),
        None => true,
    };
    // The name of a client that is none is whatever somebody sent, so it is not passed on.
    let Some(client) = client else { return Err(ProtocolError::CLIENT_UNKNOWN.into()) };
    if client.auth_method() != proof.method() {
        return Err(Failure::from(ProtocolError::CLIENT_METHOD_WRONG).of(client.id()));
    }
    if !proven {
        return Err(Failure::from(ProtocolError::CLIENT_SECRET_WRONG).of(client.id()));
    }
    #[cfg(feature = "jwt")]
    if let Proof::Assertion(assertion) = proof {
        client_assertion::prove(provider, &client, *assertion).await.map_err(|failure| failure.of(client.id()))?;
    }
    span::record("oauth.client_id", client.id().as_str());
    Ok(client)
}

fn presented<'a>(provider: &Provider, headers: &HeaderMap, params: &'a Params) -> Result<Presented<'a>, ProtocolError> {
    let mut authorizations = headers.get_all(header::AUTHORIZATION).iter();
    let Some(authorization) = authorizations.next() else { return in_body(provider, params) };
    if authorizations.next().is_some() {
        return Err(ProtocolError::AUTHORIZATION_REPEATED);
    }
    let (id, secret) = basic(authorization.as_bytes()).ok_or(ProtocolError::CLIENT_HEADER_MALFORMED)?;
    // RFC 6749 §2.3: one method in a request; RFC 7521 §4.2: the name may stand in the body again.
    if params.get("client_secret").is_some() || is_signed(provider, params) {
        return Err(ProtocolError::CLIENT_AUTHENTICATED_TWICE);
    }
    if params.get("client_id").is_some_and(|body_id| *body_id != id) {
        return Err(ProtocolError::CLIENT_ID_DIFFERS);
    }
    Ok(Presented { id: id.into(), proof: Proof::Header(secret) })
}

fn in_body<'a>(provider: &Provider, params: &'a Params) -> Result<Presented<'a>, ProtocolError> {
    let id = params.get("client_id").map(ClientId::from);
    let secret = params.get("client_secret");
    let is_signed = is_signed(provider, params);
    if is_signed && secret.is_some() {
        return Err(ProtocolError::CLIENT_AUTHENTICATED_TWICE);
    }
    #[cfg(feature = "jwt")]
    if is_signed {
        let assertion = Box::new(client_assertion::read(provider, params, id)?);
        return Ok(Presented { id: assertion.client().clone(), proof: Proof::Assertion(assertion) });
    }
    let id = id.ok_or(ProtocolError::CLIENT_MISSING)?;
    Ok(Presented { id, proof: secret.map_or(Proof::None, Proof::Body) })
}

/// Whether there is an assertion, or what should be one. Where none are taken these parameters mean nothing.
fn is_signed(provider: &Provider, params: &Params) -> bool {
    provider.0.config.takes_assertions()
        && ["client_assertion", "client_assertion_type"].iter().any(|name| params.get(name).is_some())
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
