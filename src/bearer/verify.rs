use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderMap, Method, Uri};

use super::authorized::Authorized;
use crate::error::{ProtocolError, StoreError};
use crate::grant::Grant;
use crate::handle::{AccessHandle, GrantKey, HandleError};
#[cfg(feature = "jwt")]
use crate::jwt::JwtError;
#[cfg(feature = "jwt")]
use crate::provider::OwnJwt;
use crate::provider::Provider;
use crate::span;
use crate::types::{Resource, Thumbprint, UnixTime};

/// Decides whether a token is good. A [`Provider`] is one for its own tokens, and where the layer was not told what lies
/// behind it, for those of its default resource; so is an `Arc` of one.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_oauth::{Authorized, BearerLayer, Credentials, Refusal, Verification, Verify};
///
/// struct OneToken;
///
/// impl Verify for OneToken {
///     fn verify(&self, credentials: Credentials<'_>) -> Verification {
///         Verification::ready(match credentials.token() {
///             "only-for-tests" => Ok(Authorized::new(
///                 "app",
///                 Some("alice".into()),
///                 "profile".parse().expect("a scope"),
///                 SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000),
///             )),
///             _ => Err(Refusal::InvalidToken("the token is unknown")),
///         })
///     }
/// }
///
/// let layer = BearerLayer::new(OneToken).require("profile");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot verify tokens",
    note = "for a provider's own tokens write `provider.bearer()`; for others implement `Verify`"
)]
pub trait Verify: Send + Sync + 'static {
    /// Checks one token.
    fn verify(&self, credentials: Credentials<'_>) -> Verification;
}

impl<V: Verify + ?Sized> Verify for Arc<V> {
    fn verify(&self, credentials: Credentials<'_>) -> Verification {
        (**self).verify(credentials)
    }
}

/// What a request presents. `Debug` does not show the token.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    pub(super) token: &'a str,
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    pub(super) resource: Option<&'a Resource>,
}

impl<'a> Credentials<'a> {
    /// What stands behind `Bearer` or `DPoP`. Its alphabet is not checked yet: whatever is not good is refused anyway.
    #[must_use]
    pub const fn token(&self) -> &'a str {
        self.token
    }

    /// The request's method.
    #[must_use]
    pub const fn method(&self) -> &'a Method {
        self.method
    }

    /// The request's URI, as the layer sees it.
    #[must_use]
    pub const fn uri(&self) -> &'a Uri {
        self.uri
    }

    /// The request's headers.
    #[must_use]
    pub const fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// What lies behind the layer, if it was [told](crate::BearerLayer::resource). The layer refuses whatever is not for
    /// it; a verifier need not.
    #[must_use]
    pub const fn resource(&self) -> Option<&'a Resource> {
        self.resource
    }
}

impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("method", self.method).finish_non_exhaustive()
    }
}

/// Why a token is not taken.
#[derive(Debug)]
#[non_exhaustive]
pub enum Refusal {
    /// It is not good: 401 `invalid_token` with this description, which must not repeat the token.
    InvalidToken(&'static str),
    /// The same, by a verifier of this crate, with the reason for the operator.
    Refused(ProtocolError),
    /// Nobody can tell now: 503 with `Retry-After`, never a 401.
    Unavailable(StoreError),
}

type Verdict = Result<Authorized, Refusal>;

/// The answer of a verifier, at once or later.
pub struct Verification(pub(super) Answer);

pub(super) enum Answer {
    Ready(Option<Verdict>),
    /// A provider's own answer to one of its own tokens.
    Refused(Own),
    Later(Pin<Box<dyn Future<Output = Verdict> + Send>>),
}

impl Verification {
    /// An answer that is there already; it allocates nothing.
    #[must_use]
    pub const fn ready(answer: Result<Authorized, Refusal>) -> Self {
        Self(Answer::Ready(Some(answer)))
    }

    /// An answer that has to be waited for.
    #[must_use]
    pub fn later(answer: impl Future<Output = Result<Authorized, Refusal>> + Send + 'static) -> Self {
        Self(Answer::Later(Box::pin(answer)))
    }
}

impl Future for Verification {
    type Output = Result<Authorized, Refusal>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.0 {
            Answer::Ready(answer) => Poll::Ready(answer.take().expect("Verification polled after completion")),
            Answer::Refused(own) => Poll::Ready(Err((*own).into())),
            Answer::Later(answer) => answer.as_mut().poll(cx),
        }
    }
}

impl fmt::Debug for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verification").finish_non_exhaustive()
    }
}

impl Verify for Provider {
    fn verify(&self, credentials: Credentials<'_>) -> Verification {
        let handle = match self.0.handles.open_access(credentials.token) {
            Ok(handle) => handle,
            Err(HandleError::Malformed) => return no_handle(self, credentials.token, self.place(&credentials)),
            Err(HandleError::UnknownKey) => return Verification(Answer::Refused(Own::OfUnknownKey)),
            Err(HandleError::Forged) => return Verification(Answer::Refused(Own::Forged)),
        };
        let now = self.now();
        if now >= handle.expires_at {
            return Verification(Answer::Refused(Own::Expired));
        }
        let key = self.0.handles.key_of(handle.grant);
        match self.place(&credentials) {
            None => by_grant(self, key, move |grant| admit(&handle, grant, now)),
            place => by_grant(self, key, move |grant| meant(admit(&handle, grant, now)?, place.as_ref())),
        }
    }
}

impl Provider {
    /// What a token has to be for where the layer does not say: nobody can forget to ask (RFC 8707 §2).
    fn place(&self, credentials: &Credentials<'_>) -> Option<Resource> {
        if credentials.resource.is_some() { None } else { self.0.config.resources.first().cloned() }
    }
}

/// Refuses what is for others, where the layer would not.
fn meant(token: Authorized, place: Option<&Resource>) -> Result<Authorized, Own> {
    if place.is_none_or(|place| token.is_for(place)) { Ok(token) } else { Err(Own::Elsewhere) }
}

/// What is no handle is a JWT, or nothing.
#[cfg(not(feature = "jwt"))]
fn no_handle(_: &Provider, _: &str, _: Option<Resource>) -> Verification {
    Verification::ready(Err(Own::Unknown.into()))
}

#[cfg(feature = "jwt")]
fn no_handle(provider: &Provider, token: &str, place: Option<Resource>) -> Verification {
    let now = provider.now();
    match provider.open_jwt_now(token) {
        Some(Ok(jwt)) => by_grant(provider, jwt.key, move |grant| meant(admit_jwt(&jwt, grant, now)?, place.as_ref())),
        Some(Err(error)) => Verification::ready(Err(Own::of(error).into())),
        None => {
            let (provider, token) = (provider.clone(), token.to_owned());
            Verification::later(span::carried(async move {
                let jwt = provider.open_jwt(&token).await.map_err(Refusal::Unavailable)?.map_err(Own::of)?;
                let admit = |grant| meant(admit_jwt(&jwt, grant, now)?, place.as_ref());
                by_loaded_grant(&provider, jwt.key, admit).await
            }))
        }
    }
}

/// The verdict of a token's grant, at once where that is at hand.
fn by_grant(
    provider: &Provider,
    key: GrantKey,
    admit: impl FnOnce(Arc<Grant>) -> Result<Authorized, Own> + Send + 'static,
) -> Verification {
    if let Some(grant) = provider.cached(key) {
        return match admit(grant) {
            Ok(token) => Verification::ready(Ok(token)),
            Err(own) => Verification(Answer::Refused(own)),
        };
    }
    let provider = provider.clone();
    Verification::later(span::carried(async move { by_loaded_grant(&provider, key, admit).await }))
}

async fn by_loaded_grant(
    provider: &Provider,
    key: GrantKey,
    admit: impl FnOnce(Arc<Grant>) -> Result<Authorized, Own>,
) -> Verdict {
    match provider.load(key).await {
        Ok(Some(grant)) => Ok(admit(grant)?),
        Ok(None) => Err(Own::Unknown.into()),
        Err(error) => Err(Refusal::Unavailable(error)),
    }
}

/// Why a provider refuses one of its own tokens. Such a token is known to be well-formed, and the layer has the answer
/// ready.
#[derive(Clone, Copy)]
pub(super) enum Own {
    Unknown,
    OfUnknownKey,
    Forged,
    Expired,
    Revoked,
    Elsewhere,
}

impl Own {
    pub(super) const ALL: [Self; 6] =
        [Self::Unknown, Self::OfUnknownKey, Self::Forged, Self::Expired, Self::Revoked, Self::Elsewhere];

    /// Why a JWT is not taken.
    #[cfg(feature = "jwt")]
    const fn of(error: JwtError) -> Self {
        match error {
            JwtError::Expired => Self::Expired,
            JwtError::Forged | JwtError::Algorithm => Self::Forged,
            JwtError::UnknownKey => Self::OfUnknownKey,
            _ => Self::Unknown,
        }
    }

    pub(super) const fn error(self) -> ProtocolError {
        match self {
            Self::Unknown => ProtocolError::TOKEN_UNKNOWN,
            Self::OfUnknownKey => ProtocolError::TOKEN_OF_UNKNOWN_KEY,
            Self::Forged => ProtocolError::TOKEN_FORGED,
            Self::Expired => ProtocolError::TOKEN_EXPIRED,
            Self::Revoked => ProtocolError::TOKEN_REVOKED,
            Self::Elsewhere => ProtocolError::TOKEN_FOR_ANOTHER_RESOURCE,
        }
    }
}

impl From<Own> for Refusal {
    fn from(own: Own) -> Self {
        Self::Refused(own.error())
    }
}

fn bound(token: Authorized, key: Option<Thumbprint>) -> Authorized {
    match key {
        None => token,
        Some(key) => token.bound_to(key),
    }
}

/// Whether the grant stands behind its token.
fn admit(handle: &AccessHandle, grant: Arc<Grant>, now: UnixTime) -> Result<Authorized, Own> {
    if !grant.admits(handle.token, handle.issued_at, now) {
        return Err(Own::Revoked);
    }
    Ok(bound(Authorized::of_grant(grant, handle.scope, handle.resources, handle.expires_at), handle.bound_to))
}

/// Whether the grant stands behind its token, and behind all that it says.
#[cfg(feature = "jwt")]
fn admit_jwt(jwt: &OwnJwt, grant: Arc<Grant>, now: UnixTime) -> Result<Authorized, Own> {
    if !grant.admits(jwt.token, jwt.issued_at(), now) {
        return Err(Own::Revoked);
    }
    let (scope, resources) = jwt.masks(&grant).ok_or(Own::Forged)?;
    Ok(bound(Authorized::of_grant(grant, scope, resources, jwt.expires_at()), jwt.bound_to()))
}
