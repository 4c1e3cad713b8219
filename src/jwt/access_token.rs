//! Access tokens as JWTs ([RFC 9068](https://www.rfc-editor.org/rfc/rfc9068)).

use std::time::Duration;

use serde_json::{Map, Value};

use super::claims::Claims;
use super::jwk::Jwks;
use super::jws::{Jws, JwtError};
use crate::types::{ClientId, Issuer, Resource, Scope, Subject, Thumbprint, UnixTime};

/// The media type of an access token (§2.1).
pub(crate) const TYPE: &str = "at+jwt";

/// What an access token says (§2.2).
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AccessClaims {
    /// `None` where the client acts for itself: then `sub` is its own id (§2.2). A user who is named like the client
    /// counts as nobody: that fails closed (§5).
    pub(crate) subject: Option<Subject>,
    pub(crate) client: ClientId,
    pub(crate) scope: Scope,
    pub(crate) resources: Vec<Resource>,
    pub(crate) id: String,
    pub(crate) issued_at: UnixTime,
    pub(crate) expires_at: UnixTime,
    pub(crate) auth_time: Option<UnixTime>,
    /// The key of the client that it is good with, `cnf` (RFC 9449 §6.1).
    pub(crate) bound_to: Option<Thumbprint>,
    /// All the others.
    pub(crate) others: Map<String, Value>,
}

/// Checks a token as RFC 9068 §4 says, but for its audience, which is for whoever knows where it was sent. What costs
/// little comes first, so that a token of another kind, issuer or time costs no signature.
pub(crate) fn verify(
    token: Jws<'_>,
    issuer: &Issuer,
    keys: &Jwks,
    now: UnixTime,
    leeway: Duration,
) -> Result<AccessClaims, JwtError> {
    precheck(&token, issuer, now, leeway)?;
    let key = token.key(keys)?;
    let (_, claims) = token.verify(key)?;
    AccessClaims::of(claims)
}

/// What can be refused without a key.
pub(crate) fn precheck(token: &Jws<'_>, issuer: &Issuer, now: UnixTime, leeway: Duration) -> Result<(), JwtError> {
    if !token.header.is_type(TYPE) {
        return Err(JwtError::AnotherType);
    }
    if token.claims.issuer.as_deref() != Some(issuer.as_str()) {
        return Err(JwtError::AnotherIssuer);
    }
    if token.claims.is_over(now, leeway) {
        return Err(JwtError::Expired);
    }
    if token.claims.is_early(now, leeway) {
        return Err(JwtError::Early);
    }
    Ok(())
}

impl AccessClaims {
    /// All that has to be there (§2.2), in the types that it has here.
    fn of(mut claims: Claims) -> Result<Self, JwtError> {
        let mut take = |name| match claims.others.remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(JwtError::Malformed),
        };
        let missing = JwtError::Malformed;
        let client = ClientId::from(take("client_id")?.ok_or(missing)?);
        let scope = take("scope")?.unwrap_or_default().parse().map_err(|_| missing)?;
        let subject = claims.subject.ok_or(missing)?;
        if claims.audience.iter().next().is_none() {
            return Err(missing);
        }
        // What is no resource here is none that anybody asks for.
        let resources: Vec<Resource> = claims.audience.iter().filter_map(|text| text.parse().ok()).collect();
        let auth_time = claims.others.get("auth_time").map(super::claims::numeric_date).transpose()?;
        claims.others.remove("auth_time");
        let key = |cnf| Thumbprint::of_confirmation(&cnf).ok_or(JwtError::Confirmation);
        let bound_to = claims.others.remove("cnf").map(key).transpose()?;
        Ok(Self {
            subject: (subject != client.as_str()).then(|| subject.into()),
            client,
            scope,
            resources,
            id: claims.id.ok_or(missing)?,
            issued_at: claims.issued_at.ok_or(missing)?,
            expires_at: claims.expires_at.ok_or(missing)?,
            auth_time,
            bound_to,
            others: claims.others,
        })
    }

    /// The claims of a token that this issuer makes (§2.2, §2.2.1). What is not the standard's own stays out where it
    /// would replace something.
    pub(crate) fn to_json(&self, issuer: &Issuer) -> Value {
        let mut claims = self.others.clone();
        let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        put("iss", issuer.as_str().into());
        put("sub", self.subject.as_ref().map_or(self.client.as_str(), Subject::as_str).into());
        put("client_id", self.client.as_str().into());
        put("jti", self.id.as_str().into());
        put("iat", self.issued_at.as_secs().into());
        put("exp", self.expires_at.as_secs().into());
        let audience: Vec<_> = self.resources.iter().map(Resource::as_str).collect();
        put("aud", if let [one] = audience[..] { one.into() } else { audience.into() });
        if !self.scope.is_empty() {
            put("scope", self.scope.as_str().into());
        }
        if let Some(auth_time) = self.auth_time {
            put("auth_time", auth_time.as_secs().into());
        }
        if let Some(key) = self.bound_to {
            put("cnf", key.to_confirmation());
        }
        claims.into()
    }
}
