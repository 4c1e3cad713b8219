//! Access tokens as JWTs, of a provider's own: made for a grant, and found again by what they say of it.

use std::time::Duration;

use serde_json::{Map, Value};

use super::Provider;
use super::signing::PAUSE;
use crate::error::{ProtocolError, StoreError};
use crate::grant::{ACR, Grant};
use crate::handle::{AccessHandle, GrantKey, TokenId, from_jti, jti};
use crate::jwt::access_token::{self, AccessClaims, TYPE};
use crate::jwt::ring::POLL;
use crate::jwt::{Jwks, Jws, JwtError, LEEWAY, LONGEST, signing_input, with_signature};
use crate::types::{Resource, Subject, Thumbprint, UnixTime};

/// The longest token that is made: with what stands before it, it is as long as the header that a bearer layer reads.
const LONGEST_MADE: usize = LONGEST - "Bearer ".len();

/// A JWT access token that this provider signed. Whether its grant stands behind it, that one says.
pub(crate) struct OwnJwt {
    pub(crate) key: GrantKey,
    pub(crate) token: TokenId,
    claims: AccessClaims,
}

impl OwnJwt {
    /// A token that is neither over nor of the future, by one of these keys. The node that made it may be a little ahead;
    /// none of them lets it live longer.
    fn read(text: &str, provider: &Provider, keys: &Jwks) -> Result<Self, JwtError> {
        let (token, now) = (Jws::read(text)?, provider.now());
        if token.claims.is_over(now, Duration::ZERO) {
            return Err(JwtError::Expired);
        }
        let claims = access_token::verify(token, &provider.0.config.issuer, keys, now, LEEWAY)?;
        let (key, token) = from_jti(&claims.id).ok_or(JwtError::Malformed)?;
        Ok(Self { key, token, claims })
    }

    pub(crate) const fn issued_at(&self) -> UnixTime {
        self.claims.issued_at
    }

    pub(crate) const fn expires_at(&self) -> UnixTime {
        self.claims.expires_at
    }

    pub(crate) const fn bound_to(&self) -> Option<Thumbprint> {
        self.claims.bound_to
    }

    /// What it says of its grant, as bits over that one's lists; `None` if it says anything that its grant does not.
    pub(crate) fn masks(&self, grant: &Grant) -> Option<(u64, u16)> {
        let of = |subject: Option<&Subject>| subject.map_or(grant.client_id().as_str(), Subject::as_str).to_owned();
        let holder = (grant.client_id(), of(grant.subject()));
        if (&self.claims.client, of(self.claims.subject.as_ref())) != holder {
            return None;
        }
        let scope = grant.scope().mask(|name| self.claims.scope.contains(name));
        let resources = Resource::mask(grant.resources(), |resource| self.claims.resources.contains(resource));
        let whole = scope.count_ones() as usize == self.claims.scope.iter().count()
            && resources.count_ones() as usize == self.claims.resources.len();
        whole.then_some((scope, resources))
    }
}

impl Provider {
    /// Whether this provider makes JWTs at all.
    pub(crate) fn makes_jwts(&self) -> bool {
        self.0.signing.is_some()
    }

    /// Whether an access token of this grant, for these of its resources, is a JWT.
    pub(crate) fn is_jwt(&self, grant: &Grant, resources: u16) -> bool {
        self.makes_jwts() && self.0.config.want_jwt(Resource::masked(grant.resources(), resources))
    }

    /// The JWT that says what a handle does. What an app attached, or how it names its resources, can make it too long for
    /// whoever is to read it.
    pub(super) async fn sign_access(
        &self,
        handle: &AccessHandle,
        grant: &Grant,
    ) -> Result<Result<String, ProtocolError>, StoreError> {
        let key = self.signing()?.key(self).await?;
        let claims = AccessClaims {
            subject: grant.subject().cloned(),
            client: grant.client_id().clone(),
            scope: grant.scope().masked(handle.scope),
            resources: Resource::masked(grant.resources(), handle.resources).cloned().collect(),
            id: jti(grant.key(), &handle.token),
            issued_at: handle.issued_at,
            expires_at: handle.expires_at,
            auth_time: grant.auth_time(),
            bound_to: handle.bound_to,
            others: self.public_claims(grant),
        };
        let input = signing_input(key.public(), TYPE, &claims.to_json(&self.0.config.issuer));
        let token = with_signature(&input, &key.sign(input.as_bytes()).await?);
        Ok(if token.len() <= LONGEST_MADE { Ok(token) } else { Err(ProtocolError::ACCESS_TOKEN_TOO_LONG) })
    }

    /// Those of a grant's claims that everybody may read, and how the user authenticated (RFC 9470 §6.1).
    fn public_claims(&self, grant: &Grant) -> Map<String, Value> {
        let Some(claims) = grant.claims() else { return Map::new() };
        let public = self.0.config.jwt_claims.iter().filter_map(|name| Some((name.clone(), claims.get(name)?.clone())));
        public.chain(grant.acr().map(|acr| (ACR.to_owned(), acr.into()))).collect()
    }

    /// Opens a JWT without waiting; `None` where the keys have to be read for it.
    pub(crate) fn open_jwt_now(&self, text: &str) -> Option<Result<OwnJwt, JwtError>> {
        let Some(signing) = self.0.signing.as_ref().filter(|_| text.contains('.')) else {
            return Some(Err(JwtError::Malformed));
        };
        let known = signing.fresh(self.now(), POLL)?;
        let opened = OwnJwt::read(text, self, known.published().ok()?);
        // Another node may have made its first key just now.
        let news = || matches!(opened, Err(JwtError::UnknownKey)) && signing.fresh(self.now(), PAUSE).is_none();
        if news() { None } else { Some(opened) }
    }

    /// Opens a JWT. That nobody knows its key is said only of keys that were read for it.
    pub(crate) async fn open_jwt(&self, text: &str) -> Result<Result<OwnJwt, JwtError>, StoreError> {
        if let Some(opened) = self.open_jwt_now(text) {
            return Ok(opened);
        }
        let Some(signing) = &self.0.signing else { return Ok(Err(JwtError::Malformed)) };
        let opened = OwnJwt::read(text, self, signing.read(self, POLL).await?.published()?);
        if !matches!(opened, Err(JwtError::UnknownKey)) {
            return Ok(opened);
        }
        let asked = self.now();
        let again = OwnJwt::read(text, self, signing.read(self, PAUSE).await?.published()?);
        // Where the keys cannot be read, what was known before is answered: that one does not know it says nothing.
        if matches!(again, Err(JwtError::UnknownKey)) && signing.read_since(asked, self.now(), PAUSE).is_none() {
            return Err(StoreError::new(
                "the signing keys could not be read, and a token names one that was not known",
            ));
        }
        Ok(again)
    }
}
