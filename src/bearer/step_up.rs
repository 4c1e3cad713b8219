use std::fmt;
use std::time::{Duration, SystemTime};

use http::{HeaderValue, Response, StatusCode, header};

use super::authorized::Authorized;
use super::challenge::quotable;
use crate::error::ProtocolError;
use crate::types::UnixTime;

/// The user has to authenticate in another way, or again: 401 `insufficient_user_authentication`
/// ([RFC 9470 §3](https://www.rfc-editor.org/rfc/rfc9470#section-3)).
///
/// A [layer](crate::BearerLayer::step_up) asks it of every token. A handler that alone knows when it is needed answers with
/// it, which is a challenge by itself. The bearer layer above puts its realm, its scopes and its metadata into it, and
/// answers gRPC as gRPC: every layer that was told of a step-up or takes what a verifier says, those of a provider that says
/// [what its users can do](crate::ProviderBuilder::acr_values_supported), and all where the token came with a
/// [proof](crate::dpop) of its key.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_oauth::{Authorized, StepUp};
///
/// async fn transfer(token: Authorized, amount: u64) -> Result<&'static str, StepUp> {
///     let needed = StepUp::acr("mfa").max_age(Duration::from_secs(5 * 60));
///     if amount > 1_000 && !needed.is_met(&token, SystemTime::now()) {
///         return Err(needed);
///     }
///     Ok("done")
/// }
/// ```
#[must_use = "a step-up does nothing until it is the answer, or a layer's"]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepUp {
    /// In order of preference, one space between them; none: any.
    acr_values: String,
    max_age: Option<Duration>,
}

impl StepUp {
    /// One of these authentication context class references, in order of preference, spaces between them: what they mean
    /// is agreed between this API and the login page, which states one with [`Approval::acr`](crate::Approval::acr).
    ///
    /// # Panics
    /// If it names none, at the line of this call.
    #[track_caller]
    pub fn acr(values: &str) -> Self {
        let acr_values: Vec<_> = values.split(' ').filter(|value| !value.is_empty()).collect();
        assert!(!acr_values.is_empty(), "no acr is named: for any of them write `StepUp::within(..)`");
        Self { acr_values: acr_values.join(" "), max_age: None }
    }

    /// In any way, but at most this long ago, in whole seconds.
    pub const fn within(max_age: Duration) -> Self {
        Self { acr_values: String::new(), max_age: Some(max_age) }
    }

    /// And at most this long ago, in whole seconds.
    pub const fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// Whether the user of a token has authenticated so. A token that does not say when or how is not enough.
    #[must_use]
    pub fn is_met<U>(&self, token: &Authorized<U>, now: SystemTime) -> bool {
        let named = |acr| self.acr_values.split(' ').any(|value| value == acr);
        let is_recent = |max_age: Duration| {
            let auth_time = token.auth_time().map(UnixTime::from);
            auth_time.is_some_and(|auth_time| UnixTime::from(now).since(auth_time) <= max_age.as_secs())
        };
        (self.acr_values.is_empty() || token.acr().is_some_and(named)) && self.max_age.is_none_or(is_recent)
    }

    pub(super) const ERROR: ProtocolError = ProtocolError::AUTHENTICATION_INSUFFICIENT;

    /// What the challenge says beside its error.
    pub(super) fn parameters(&self) -> String {
        let mut text = String::new();
        if !self.acr_values.is_empty() {
            text += &format!(", acr_values=\"{}\"", quotable(&self.acr_values));
        }
        if let Some(max_age) = self.max_age {
            text += &format!(", max_age=\"{}\"", max_age.as_secs());
        }
        text
    }
}

impl<B: Default> From<StepUp> for Response<B> {
    fn from(step_up: StepUp) -> Self {
        let (code, why) = (StepUp::ERROR.code(), StepUp::ERROR.description());
        let challenge = format!("Bearer error=\"{code}\", error_description=\"{why}\"{}", step_up.parameters());
        let mut response = Self::new(B::default());
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        if let Ok(challenge) = HeaderValue::try_from(challenge) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response.extensions_mut().insert(step_up);
        response
    }
}

impl fmt::Display for StepUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::ERROR.description())
    }
}

impl std::error::Error for StepUp {}
