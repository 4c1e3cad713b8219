//! The compact serialization ([RFC 7515 §3.1](https://www.rfc-editor.org/rfc/rfc7515#section-3.1)).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::algorithm::Algorithm;
use super::claims::{Claims, text};
use super::json::Members;
use super::jwk::{Jwks, PublicKey};
use crate::error::ProtocolError;

/// The longest token that is read, in characters.
pub(crate) const LONGEST: usize = 8 * 1024;

/// What a header may not have: it names keys or asks for something that nobody here does (RFC 8725 §3.10; RFC 7515
/// §4.1.11; RFC 7797 §3; RFC 7516 §4.1.3). Whoever makes tokens decides by it how they are checked. `jwk` is none of these
/// for [`Jws::read_with_key`] alone.
const FORBIDDEN: [&str; 6] = ["crit", "jku", "x5u", "x5c", "b64", "zip"];

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JwtError {
    /// It is no compact JWS, or its claims are not of their types.
    Malformed,
    /// Its header has what is never taken.
    Forbidden,
    /// It is signed by an algorithm that is none here, or not its key's.
    Algorithm,
    /// Nobody knows the key that it names.
    UnknownKey,
    /// The signature is not of that key.
    Forged,
    /// It is a JWT for something else.
    AnotherType,
    /// It is of another issuer.
    AnotherIssuer,
    /// It is bound to something that nobody here can have proved.
    Confirmation,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    Early,
}

impl From<JwtError> for ProtocolError {
    fn from(why: JwtError) -> Self {
        match why {
            JwtError::Malformed => Self::TOKEN_NO_JWT,
            JwtError::Forbidden => Self::TOKEN_HEADER_REFUSED,
            JwtError::Algorithm => Self::TOKEN_ALGORITHM_REFUSED,
            JwtError::UnknownKey => Self::TOKEN_OF_UNKNOWN_KEY,
            JwtError::Forged => Self::TOKEN_FORGED,
            JwtError::AnotherType => Self::TOKEN_OF_ANOTHER_TYPE,
            JwtError::AnotherIssuer => Self::TOKEN_OF_ANOTHER_ISSUER,
            JwtError::Confirmation => Self::TOKEN_BOUND,
            JwtError::Expired => Self::TOKEN_EXPIRED,
            JwtError::Early => Self::TOKEN_EARLY,
        }
    }
}

/// What a header says.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) algorithm: Algorithm,
    pub(crate) key_id: Option<String>,
    typ: Option<String>,
}

impl Header {
    fn read<K>(json: &[u8], key: impl FnOnce(Option<Value>) -> Result<K, JwtError>) -> Result<(Self, K), JwtError> {
        let names = ["alg", "kid", "typ", "jwk"];
        let Members { named, others } = Members::read(json, names).map_err(|_| JwtError::Malformed)?;
        if FORBIDDEN.iter().any(|name| others.contains_key(*name)) {
            return Err(JwtError::Forbidden);
        }
        let [algorithm, key_id, typ, jwk] = named;
        let key = key(jwk)?;
        let [algorithm, key_id, typ] = [algorithm, key_id, typ].map(|value| value.map(text).transpose());
        let algorithm = algorithm?.ok_or(JwtError::Malformed)?;
        let algorithm = Algorithm::named(&algorithm).ok_or(JwtError::Algorithm)?;
        Ok((Self { algorithm, key_id: key_id?, typ: typ? }, key))
    }

    /// Whether the token is of this media type, `application/` left out or not, in any case
    /// ([RFC 7515 §4.1.9](https://www.rfc-editor.org/rfc/rfc7515#section-4.1.9)).
    pub(crate) fn is_type(&self, media_type: &str) -> bool {
        let Some(typ) = &self.typ else { return false };
        let prefix = typ.get(..12).filter(|prefix| prefix.eq_ignore_ascii_case("application/"));
        typ[prefix.map_or(0, str::len)..].eq_ignore_ascii_case(media_type)
    }

    pub(crate) const fn has_type(&self) -> bool {
        self.typ.is_some()
    }
}

/// A token that was read, and whose signature nobody has looked at: what it says is whoever sent it's.
///
/// `Debug` shows the header alone: the rest is a token that may be good.
pub(crate) struct Jws<'a> {
    pub(crate) header: Header,
    /// To refuse early by, and for nothing else before [`verify`](Self::verify).
    pub(crate) claims: Claims,
    signed: &'a str,
    signature: Vec<u8>,
}

impl fmt::Debug for Jws<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jws").field("header", &self.header).finish_non_exhaustive()
    }
}

impl<'a> Jws<'a> {
    /// One whose key its reader knows.
    pub(crate) fn read(token: &'a str) -> Result<Self, JwtError> {
        let refuse = |jwk: Option<Value>| jwk.map_or(Ok(()), |_| Err(JwtError::Forbidden));
        Self::read_parts(token, refuse).map(|(token, ())| token)
    }

    /// One that brings the key by which it is signed, `jwk`: all that it proves is that whoever made it has that key.
    pub(crate) fn read_with_key(token: &'a str) -> Result<(Self, Value), JwtError> {
        Self::read_parts(token, |jwk| jwk.ok_or(JwtError::UnknownKey))
    }

    fn read_parts<K>(
        token: &'a str,
        key: impl FnOnce(Option<Value>) -> Result<K, JwtError>,
    ) -> Result<(Self, K), JwtError> {
        if token.len() > LONGEST {
            return Err(JwtError::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(JwtError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(JwtError::Malformed)?;
        // A fourth part is refused with the alphabet, which has no dot.
        let decode = |text| URL_SAFE_NO_PAD.decode(text).map_err(|_| JwtError::Malformed);
        let (header, key) = Header::read(&decode(header)?, key)?;
        Ok((Self { header, claims: Claims::read(&decode(payload)?)?, signed, signature: decode(signature)? }, key))
    }

    /// What the signature is over, and the signature.
    pub(crate) fn into_signed(self) -> (&'a str, Vec<u8>) {
        (self.signed, self.signature)
    }

    /// The key among `keys` that has to have signed it.
    pub(crate) fn key<'k>(&self, keys: &'k Jwks) -> Result<&'k PublicKey, JwtError> {
        keys.find(self.header.key_id.as_deref(), self.header.algorithm).ok_or(JwtError::UnknownKey)
    }

    /// What it says, if this key signed it.
    pub(crate) fn verify(self, key: &PublicKey) -> Result<(Header, Claims), JwtError> {
        if self.header.algorithm != key.algorithm() {
            return Err(JwtError::Algorithm);
        }
        if key.has_signed(self.signed.as_bytes(), &self.signature) {
            Ok((self.header, self.claims))
        } else {
            Err(JwtError::Forged)
        }
    }
}
