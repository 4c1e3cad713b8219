//! What a page decides. A decision can be minted only from a request that was validated, and carries it along, so that
//! it can neither be made up nor moved to another request.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::request::ValidRequest;
use crate::error::ProtocolError;
use crate::grant::{ACR, Claims, Grant};
use crate::handle::GrantKey;
use crate::types::{Issuer, Scope, Subject, UnixTime};

/// The user said yes. Answer with it, and the client gets a code.
///
/// Made by [`AuthorizationRequest::approve`](crate::AuthorizationRequest::approve) alone.
#[must_use = "an approval does nothing until it is the page's answer"]
#[derive(Clone)]
pub struct Approval {
    request: Arc<ValidRequest>,
    subject: Subject,
    scope: Option<Scope>,
    /// How long the grant lives; `None`: as long as the provider and the client let it.
    grant_lifetime: Option<Duration>,
    claims: Claims,
}

impl Approval {
    pub(crate) fn new(request: Arc<ValidRequest>, subject: Subject) -> Self {
        Self { request, subject, scope: None, grant_lifetime: None, claims: Claims::default() }
    }

    /// Grants less than was asked for. More than that is refused when it is answered, with a 500.
    pub fn scope(mut self, narrowed: Scope) -> Self {
        self.scope = Some(narrowed);
        self
    }

    /// When the user last proved who they are.
    pub fn auth_time(mut self, at: SystemTime) -> Self {
        self.claims.auth_time = Some(at.into());
        self
    }

    /// How the user proved who they are: an authentication context class reference, one of those that the request
    /// [asks for](crate::AuthorizationRequest::acr_values) if it asks for any. Every token of the grant says so
    /// ([`Authorized::acr`](crate::Authorized::acr)), JWTs too. It is the claim `acr`.
    pub fn acr(self, acr: impl Into<String>) -> Self {
        self.claim(ACR, acr.into())
    }

    /// Ends the grant, and every token of it, this long after the approval, however often it is refreshed: "for today
    /// only". It ends earlier where the provider's or the client's
    /// [maximum age](crate::ProviderBuilder::refresh_token_max_age) does. Less than a second grants nothing, and is
    /// refused when it is answered, with a 500.
    pub fn grant_lifetime(mut self, lifetime: Duration) -> Self {
        self.grant_lifetime = Some(lifetime);
        self
    }

    /// Attaches data to the grant, which comes back with every token of it
    /// ([`Authorized::claims`](crate::Authorized::claims)). It cannot be changed later.
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.values.insert(name.into(), value.into());
        self
    }

    /// Who said yes.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    pub(crate) fn request(&self) -> &Arc<ValidRequest> {
        &self.request
    }

    /// Whether the user has authenticated as the request asks
    /// ([RFC 9470 §5](https://www.rfc-editor.org/rfc/rfc9470#section-5)).
    pub(crate) fn is_authenticated_as_asked(&self, now: UnixTime) -> bool {
        let acr = self.claims.values.get(ACR).and_then(Value::as_str);
        let mut asked = self.request.acr_values().peekable();
        let is_recent = |max_age: Duration| {
            self.claims.auth_time.is_some_and(|auth_time| now.since(auth_time) <= max_age.as_secs())
        };
        (asked.peek().is_none() || asked.any(|asked| Some(asked) == acr))
            && self.request.max_age().is_none_or(is_recent)
    }

    /// When the grant ends at the latest.
    pub(crate) fn grant_expires_at(&self, now: UnixTime) -> UnixTime {
        self.grant_lifetime.map_or(UnixTime::FAR_FUTURE, |lifetime| now.plus(lifetime))
    }

    /// The grant that it makes; `None` if it grants more than was asked for, or nothing, or is of nobody.
    pub(crate) fn grant(&self, key: GrantKey, issuer: Issuer, now: UnixTime, code_ends: UnixTime) -> Option<Grant> {
        let asked = &self.request.scope;
        let scope = self.scope.as_ref().unwrap_or(asked);
        let nobody = self.subject.as_str().is_empty();
        let end = self.grant_expires_at(now);
        if nobody || end <= now || !scope.is_subset(asked) || scope.is_empty() && !asked.is_empty() {
            return None;
        }
        let claims = (self.claims != Claims::default()).then(|| Arc::new(self.claims.clone()));
        Some(Grant {
            key,
            issuer,
            client: self.request.client.id().clone(),
            subject: Some(self.subject.clone()),
            scope: scope.clone(),
            resources: Arc::clone(&self.request.resources),
            claims,
            redirect_uri: Some(Arc::clone(&self.request.redirect_uri)),
            redirect_uri_sent: self.request.redirect_uri_sent,
            challenge: self.request.challenge,
            created_at: now,
            expires_at: code_ends.min(end),
            redeemed: None,
            revoked: None,
        })
    }
}

impl fmt::Debug for Approval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Approval")
            .field("client", self.request.client.id())
            .field("subject", &self.subject)
            .field("scope", self.scope.as_ref().unwrap_or(&self.request.scope))
            .finish_non_exhaustive()
    }
}

/// The user said no, or cannot be asked. Answer with it, and the client gets the error.
///
/// Made by [`AuthorizationRequest::deny`](crate::AuthorizationRequest::deny) and its siblings alone.
#[must_use = "a denial does nothing until it is the page's answer"]
#[derive(Clone)]
pub struct Denial {
    request: Arc<ValidRequest>,
    error: ProtocolError,
}

impl Denial {
    pub(crate) fn access_denied(request: Arc<ValidRequest>) -> Self {
        Self { request, error: ProtocolError::DENIED }
    }

    pub(crate) fn login_required(request: Arc<ValidRequest>) -> Self {
        Self { request, error: ProtocolError::LOGIN_REQUIRED }
    }

    pub(crate) fn unmet_authentication_requirements(request: Arc<ValidRequest>) -> Self {
        Self { request, error: ProtocolError::AUTHENTICATION_UNMET }
    }

    pub(crate) fn consent_required(request: Arc<ValidRequest>) -> Self {
        Self { request, error: ProtocolError::CONSENT_REQUIRED }
    }

    /// The error that the client gets.
    #[must_use]
    pub fn error(&self) -> &ProtocolError {
        &self.error
    }

    pub(crate) fn request(&self) -> &Arc<ValidRequest> {
        &self.request
    }
}

impl fmt::Debug for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Denial").field("client", self.request.client.id()).field("error", &self.error).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Client;
    use crate::types::Params;

    #[test]
    fn debug_shows_who_and_what_and_no_claim() {
        let request = Arc::new(ValidRequest {
            client: Client::public("app"),
            redirect_uri: "https://app.example/cb".into(),
            redirect_uri_sent: true,
            state: Some("af0ifjsldkj".to_owned()),
            scope: "profile notes:read".parse().unwrap(),
            resources: Arc::from([]),
            challenge: None,
            pushed: None,
            dpop_jkt: None,
            params: Params::parse(b"").unwrap(),
        });
        let approval = Approval::new(Arc::clone(&request), "alice".into()).claim("n", "a claim");
        assert_eq!(
            format!("{approval:?} {:?}", approval.clone().scope("profile".parse().unwrap())),
            "Approval { client: \"app\", subject: \"alice\", scope: \"profile notes:read\", .. } \
             Approval { client: \"app\", subject: \"alice\", scope: \"profile\", .. }"
        );
        let denial = Denial::access_denied(request);
        assert_eq!(format!("{denial:?}"), format!("Denial {{ client: \"app\", error: {:?} }}", denial.error()));
    }
}
