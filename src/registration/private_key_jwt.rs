//! Clients that register with keys of their own.

use serde_json::{Map, Value};

use super::{Allowed, MOST, check_url, text};
use crate::client::Client;
use crate::error::ProtocolError;
use crate::jwt::{Algorithm, InvalidJwk, Jwks};
use crate::types::ClientId;

/// The longest set of keys that is kept, in bytes.
const LONGEST: usize = 16 * 1024;

const ALGORITHM: &str = "token_endpoint_auth_signing_alg";

/// A client that signs, with the keys that it sent or says where to find.
pub(super) fn client(
    id: ClientId,
    sent: &Map<String, Value>,
    allowed: &Allowed,
    answer: &mut Map<String, Value>,
) -> Result<Client, ProtocolError> {
    let jwks = sent.get("jwks").filter(|jwks| !jwks.is_null());
    let client = match (jwks, text(sent, "jwks_uri")?) {
        (Some(_), Some(_)) => return Err(ProtocolError::METADATA_JWKS_TWICE),
        (None, None) => return Err(ProtocolError::METADATA_JWKS_MISSING),
        (None, Some(_)) if !allowed.jwks_uri => return Err(ProtocolError::METADATA_JWKS_URI),
        (None, Some(uri)) => {
            check_url(uri)?;
            Client::private_key_jwt_uri(id, uri)
        }
        (Some(jwks), None) => Client::private_key_jwt(id, keys(jwks, algorithm(sent)?)?),
    };
    match algorithm(sent)? {
        None => Ok(client),
        Some(algorithm) => {
            answer.insert(ALGORITHM.to_owned(), algorithm.as_str().into());
            Ok(client.token_endpoint_auth_signing_alg(algorithm))
        }
    }
}

fn algorithm(sent: &Map<String, Value>) -> Result<Option<Algorithm>, ProtocolError> {
    let named = |name| Algorithm::named(name).ok_or(ProtocolError::METADATA_SIGNING_ALGORITHM);
    text(sent, ALGORITHM)?.map(named).transpose()
}

fn keys(sent: &Value, only: Option<Algorithm>) -> Result<Jwks, ProtocolError> {
    let text = sent.to_string();
    if text.len() > LONGEST || sent["keys"].as_array().is_some_and(|keys| keys.len() > MOST) {
        return Err(ProtocolError::METADATA_JWKS_TOO_LONG);
    }
    let keys: Jwks = text.parse().map_err(|why: InvalidJwk| ProtocolError::METADATA_JWKS.saying(why.why()))?;
    if !keys.has_any(only) {
        return Err(ProtocolError::METADATA_JWKS_UNUSABLE);
    }
    if !keys.tells_apart(only) {
        return Err(ProtocolError::METADATA_JWKS_AMBIGUOUS);
    }
    Ok(keys)
}
