//! A proof, and all that is checked of it ([RFC 9449 §4.3](https://www.rfc-editor.org/rfc/rfc9449#section-4.3)).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::Nonces;
use crate::error::ProtocolError;
use crate::jwt::{Claims, Jws, JwtError, LEEWAY, PublicKey};
use crate::types::{Thumbprint, UnixTime, normalized_target};

/// The media type of a proof (§4.2).
const TYPE: &str = "dpop+jwt";
/// The longest proof that is read, in characters.
const LONGEST: usize = 4 * 1024;
/// The longest name of one, `jti`, in bytes.
const LONGEST_ID: usize = 256;
/// How old a proof may be, and how far in the future it may have been made: it is made for one request (§11.1).
const WINDOW: Duration = Duration::from_secs(60);

/// What private keys have beside `d` (RFC 7518 §6.3.2).
const PRIVATE: [&str; 6] = ["p", "q", "dp", "dq", "qi", "oth"];

/// The request that a proof came with.
pub(crate) struct Presented<'a> {
    pub(crate) method: &'a str,
    /// As whoever sent it sees it.
    pub(crate) uri: &'a str,
    /// The access token beside it.
    pub(crate) token: Option<&'a str>,
    /// Those of which a proof has to have one.
    pub(crate) nonces: Option<&'a Nonces>,
    pub(crate) now: UnixTime,
}

/// A proof that was read, and whose signature nobody has looked at.
pub(crate) struct Proof {
    key: PublicKey,
    signed: String,
    signature: Vec<u8>,
    once: SingleUse,
}

/// What of a proof is good once.
pub(crate) struct SingleUse {
    /// The key that it is of, and its name under that key, `jti`.
    pub(crate) value: Vec<u8>,
    /// From when on it is good for nothing, by the clock of every node: one that is [`LEEWAY`] ahead may forget, and one
    /// that is behind is asked.
    pub(crate) until: UnixTime,
}

impl Proof {
    /// Reads one, and refuses all that can be refused without its signature: what costs little comes first.
    pub(crate) fn read(text: &str, request: &Presented<'_>) -> Result<Self, ProtocolError> {
        if text.len() > LONGEST {
            return Err(ProtocolError::DPOP_PROOF_TOO_LONG);
        }
        let (jws, jwk) = Jws::read_with_key(text).map_err(refusal)?;
        if !jws.header.is_type(TYPE) {
            return Err(ProtocolError::DPOP_PROOF_OF_ANOTHER_TYPE);
        }
        let Value::Object(jwk) = jwk else { return Err(ProtocolError::DPOP_PROOF_KEY_UNUSABLE) };
        if is_private(&jwk) {
            return Err(ProtocolError::DPOP_PROOF_KEY_PRIVATE);
        }
        check(&jws.claims, request)?;
        let id = jws.claims.id.as_deref().unwrap_or_default();
        let until = made_at(&jws.claims, request.now)?.plus(WINDOW + 2 * LEEWAY);
        check_nonce(&jws.claims, request)?;
        let key = PublicKey::from_jwk(&jwk.into()).ok_or(ProtocolError::DPOP_PROOF_KEY_UNUSABLE)?;
        if jws.header.algorithm != key.algorithm() {
            return Err(ProtocolError::DPOP_PROOF_ALGORITHM_REFUSED);
        }
        let value = [&key.thumbprint().as_bytes()[..], id.as_bytes()].concat();
        let (signed, signature) = jws.into_signed();
        Ok(Self { key, signed: signed.to_owned(), signature, once: SingleUse { value, until } })
    }

    /// The key that it is of, if it is.
    pub(crate) fn key(&self) -> Thumbprint {
        self.key.thumbprint()
    }

    /// What has to be the first of its name.
    pub(crate) const fn once(&self) -> &SingleUse {
        &self.once
    }

    /// The same, if the key has signed it.
    pub(crate) fn verify(self) -> Result<SingleUse, ProtocolError> {
        if self.key.has_signed(self.signed.as_bytes(), &self.signature) {
            return Ok(self.once);
        }
        Err(ProtocolError::DPOP_PROOF_FORGED)
    }
}

fn is_private(jwk: &Map<String, Value>) -> bool {
    PublicKey::is_private(jwk) || PRIVATE.iter().any(|name| jwk.contains_key(*name))
}

/// Items 3, 8, 9 and 12.
fn check(claims: &Claims, request: &Presented<'_>) -> Result<(), ProtocolError> {
    if !claims.id.as_ref().is_some_and(|id| (1..=LONGEST_ID).contains(&id.len())) {
        return Err(ProtocolError::DPOP_PROOF_WITHOUT_ID);
    }
    if text(claims, "htm") != Some(request.method) {
        return Err(ProtocolError::DPOP_PROOF_FOR_ANOTHER_METHOD);
    }
    let target = text(claims, "htu").and_then(normalized_target);
    if target.is_none() || target != normalized_target(request.uri) {
        return Err(ProtocolError::DPOP_PROOF_FOR_ANOTHER_URI);
    }
    let digest = |token| URL_SAFE_NO_PAD.encode(Sha256::digest(token));
    if request.token.is_some_and(|token| text(claims, "ath") != Some(&digest(token))) {
        return Err(ProtocolError::DPOP_PROOF_FOR_ANOTHER_TOKEN);
    }
    Ok(())
}

/// Item 11: when it was made, if that is now, as far as two clocks can tell.
fn made_at(claims: &Claims, now: UnixTime) -> Result<UnixTime, ProtocolError> {
    let made_at = claims.issued_at.ok_or(ProtocolError::DPOP_PROOF_MALFORMED)?;
    // A proof needs no end of its own. One that names it has it.
    let is_over = claims.expires_at.is_some() && claims.is_over(now, LEEWAY);
    if is_over || made_at.plus(WINDOW) < now {
        return Err(ProtocolError::DPOP_PROOF_EXPIRED);
    }
    if claims.is_early(now, WINDOW) {
        return Err(ProtocolError::DPOP_PROOF_EARLY);
    }
    Ok(made_at)
}

/// Item 10, behind all else that can be seen: whoever has something else to mend hears of that.
fn check_nonce(claims: &Claims, request: &Presented<'_>) -> Result<(), ProtocolError> {
    let Some(nonces) = request.nonces else { return Ok(()) };
    match text(claims, "nonce") {
        Some(nonce) if nonces.has(nonce, request.now) => Ok(()),
        Some(_) => Err(ProtocolError::DPOP_NONCE_STALE),
        None => Err(ProtocolError::DPOP_NONCE_MISSING),
    }
}

fn text<'a>(claims: &'a Claims, name: &str) -> Option<&'a str> {
    claims.others.get(name)?.as_str()
}

const fn refusal(error: JwtError) -> ProtocolError {
    match error {
        JwtError::Forbidden => ProtocolError::DPOP_PROOF_HEADER_REFUSED,
        JwtError::Algorithm => ProtocolError::DPOP_PROOF_ALGORITHM_REFUSED,
        JwtError::UnknownKey => ProtocolError::DPOP_PROOF_KEY_UNUSABLE,
        _ => ProtocolError::DPOP_PROOF_MALFORMED,
    }
}
