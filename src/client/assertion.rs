//! The assertion by which a client proves who it is ([RFC 7523 §2.2](https://www.rfc-editor.org/rfc/rfc7523#section-2.2),
//! [§3](https://www.rfc-editor.org/rfc/rfc7523#section-3);
//! [OpenID Connect Core §9](https://openid.net/specs/openid-connect-core-1_0.html#ClientAuthentication)).
//!
//! Its audience is one text, the issuer, as the
//! [update of RFC 7523](https://datatracker.ietf.org/doc/draft-ietf-oauth-rfc7523bis/) has it: whoever gets a client to
//! sign for another provider, or for several at once, could else use that here.

use std::time::Duration;

use super::Client;
use crate::error::ProtocolError;
use crate::jwt::{Audience, Claims, Header, Jwks, Jws, JwtError, LEEWAY};
use crate::types::{ClientId, UnixTime};

/// The one `client_assertion_type` (RFC 7523 §2.2).
pub(crate) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The media type of an assertion; older clients say `JWT` or nothing.
const MEDIA_TYPES: [&str; 2] = ["client-authentication+jwt", "JWT"];

/// How long an assertion may still be good. One is made for one request; what is good for longer is worth stealing, and
/// has to be remembered for as long.
const LONGEST: Duration = Duration::from_secs(10 * 60);

/// An assertion that was read, and whose signature nobody has looked at.
pub(crate) struct Assertion<'a> {
    jws: Jws<'a>,
    client: ClientId,
    once: SingleUse,
}

/// What of an assertion is good once.
pub(crate) struct SingleUse {
    /// Its client's name for it, `jti`.
    pub(crate) id: String,
    /// From when on it is good for nothing, by the clock of every node: one that is [`LEEWAY`] ahead may forget, and one
    /// that is behind is asked.
    pub(crate) until: UnixTime,
}

impl<'a> Assertion<'a> {
    /// Reads one, and refuses all that can be refused without a key: what costs little comes first.
    pub(crate) fn read(text: &'a str, audiences: &[&str], now: UnixTime) -> Result<Self, ProtocolError> {
        let jws = Jws::read(text).map_err(refusal)?;
        check_type(&jws.header)?;
        let client = client(&jws.claims)?;
        match &jws.claims.audience {
            Audience::One(one) if audiences.contains(&&**one) => {}
            _ => return Err(ProtocolError::CLIENT_ASSERTION_FOR_ANOTHER_AUDIENCE),
        }
        let end = end(&jws.claims, now)?;
        let id = jws.claims.id.clone().filter(|id| !id.is_empty());
        let id = id.ok_or(ProtocolError::CLIENT_ASSERTION_WITHOUT_ID)?;
        Ok(Self { jws, client, once: SingleUse { id, until: end.plus(LEEWAY).plus(LEEWAY) } })
    }

    /// Whose it says it is.
    pub(crate) const fn client(&self) -> &ClientId {
        &self.client
    }

    /// Refuses what this client does not sign by.
    pub(crate) fn check_algorithm(&self, client: &Client) -> Result<(), ProtocolError> {
        if client.may_sign_by(self.jws.header.algorithm) {
            return Ok(());
        }
        Err(ProtocolError::CLIENT_ASSERTION_ALGORITHM_WRONG)
    }

    /// Whether the key that it names is among these, by that name.
    pub(crate) fn has_key_in(&self, keys: &Jwks) -> bool {
        self.jws.key(keys).is_ok()
    }

    /// What it is good for, if one of its client's keys signed it.
    pub(crate) fn verify(self, keys: &Jwks) -> Result<SingleUse, ProtocolError> {
        let Header { key_id, algorithm, .. } = &self.jws.header;
        let unnamed = || key_id.as_deref().and_then(|id| keys.find_unnamed(id, *algorithm));
        let key = self.jws.key(keys).or_else(|why| unnamed().ok_or(why)).map_err(refusal)?;
        self.jws.verify(key).map_err(refusal)?;
        Ok(self.once)
    }
}

/// RFC 8725 §3.11: what a client signed for another purpose is none.
fn check_type(header: &Header) -> Result<(), ProtocolError> {
    if header.has_type() && !MEDIA_TYPES.iter().any(|media_type| header.is_type(media_type)) {
        return Err(ProtocolError::CLIENT_ASSERTION_OF_ANOTHER_TYPE);
    }
    Ok(())
}

/// RFC 7523 §3: it speaks for itself, so `iss` and `sub` are both its id.
fn client(claims: &Claims) -> Result<ClientId, ProtocolError> {
    match (&claims.issuer, &claims.subject) {
        (Some(issuer), Some(subject)) if issuer == subject => Ok(ClientId::from(&**subject)),
        (Some(_), Some(_)) => Err(ProtocolError::CLIENT_ASSERTION_OF_ANOTHER_CLIENT),
        _ => Err(ProtocolError::CLIENT_ASSERTION_MALFORMED),
    }
}

/// When it ends, if it is good now and not for too long.
fn end(claims: &Claims, now: UnixTime) -> Result<UnixTime, ProtocolError> {
    let expired = ProtocolError::CLIENT_ASSERTION_EXPIRED;
    let end = claims.expires_at.filter(|_| !claims.is_over(now, LEEWAY)).ok_or(expired)?;
    if claims.is_early(now, LEEWAY) {
        return Err(ProtocolError::CLIENT_ASSERTION_EARLY);
    }
    if now.plus(LONGEST + LEEWAY) < end {
        return Err(ProtocolError::CLIENT_ASSERTION_LIVES_TOO_LONG);
    }
    Ok(end)
}

const fn refusal(error: JwtError) -> ProtocolError {
    match error {
        JwtError::Malformed | JwtError::Confirmation => ProtocolError::CLIENT_ASSERTION_MALFORMED,
        JwtError::Forbidden => ProtocolError::CLIENT_ASSERTION_HEADER_FORBIDDEN,
        JwtError::Algorithm => ProtocolError::CLIENT_ASSERTION_ALGORITHM_WRONG,
        JwtError::UnknownKey => ProtocolError::CLIENT_ASSERTION_OF_UNKNOWN_KEY,
        JwtError::Forged => ProtocolError::CLIENT_ASSERTION_FORGED,
        JwtError::AnotherType => ProtocolError::CLIENT_ASSERTION_OF_ANOTHER_TYPE,
        JwtError::AnotherIssuer => ProtocolError::CLIENT_ASSERTION_OF_ANOTHER_CLIENT,
        JwtError::Expired => ProtocolError::CLIENT_ASSERTION_EXPIRED,
        JwtError::Early => ProtocolError::CLIENT_ASSERTION_EARLY,
    }
}
