use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::issuer::TrustedIssuer;
use super::{Inner, JwtVerifier, Trusted};
use crate::clock::{Clock, SystemClock};
use crate::config::{ConfigError, ConfigErrors};
use crate::fetch::{DynFetch, Fetch};
use crate::jwt::LEEWAY;
use crate::resource_server::cache::Cache;
use crate::resource_server::config::{remembered, resource};

/// Configures a [`JwtVerifier`].
#[must_use]
pub struct JwtVerifierBuilder {
    resource: String,
    issuers: Vec<TrustedIssuer>,
    fetch: Option<Arc<dyn DynFetch>>,
    clock: Arc<dyn Clock>,
    leeway: Duration,
    cached: usize,
}

impl JwtVerifierBuilder {
    pub(super) fn new(resource: &str) -> Self {
        Self {
            resource: resource.to_owned(),
            issuers: Vec::new(),
            fetch: None,
            clock: Arc::new(SystemClock),
            leeway: Duration::from_secs(10),
            cached: 10_000,
        }
    }

    /// Whose tokens are taken; there can be several. An issuer's name is compared byte for byte.
    pub fn issuer(mut self, issuer: impl Into<TrustedIssuer>) -> Self {
        self.issuers.push(issuer.into());
        self
    }

    /// What fetches the keys. Not needed where all of them are [given](TrustedIssuer::jwks).
    pub fn fetch(mut self, fetch: impl Fetch) -> Self {
        self.fetch = Some(Arc::new(fetch));
        self
    }

    /// What time it is; for tests.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// How far an issuer's clock may be from this one, both ways: 10 seconds, and 60 at most. A token is taken for so
    /// long after its end.
    pub const fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// How many verified tokens are remembered, so that they cost no signature when they come again: 10,000, and 10
    /// million at most. Each takes about twice the length of its text.
    pub const fn remember(mut self, tokens: usize) -> Self {
        self.cached = tokens;
        self
    }

    /// The verifier. Nothing is fetched yet, so that it starts while an issuer is down.
    ///
    /// # Errors
    /// With all that is wrong.
    pub fn build(self) -> Result<JwtVerifier, ConfigErrors> {
        let mut wrong = Vec::new();
        let resource = resource(&self.resource, &mut wrong);
        let mut refuse = |issuer: &str, why| wrong.push(ConfigError::Issuer { issuer: issuer.to_owned(), why });
        if self.issuers.is_empty() {
            refuse("", "nobody is trusted: write `.issuer(\"https://..\")`");
        }
        let mut issuers: Vec<Trusted> = Vec::new();
        for trusted in self.issuers {
            let issuer = trusted.issuer.clone();
            if issuers.iter().any(|known| known.issuer == issuer) {
                refuse(issuer.as_str(), "it is named twice");
            }
            match trusted.open(self.fetch.as_ref(), &self.clock) {
                Ok(trusted) => issuers.push(trusted),
                Err(why) => refuse(issuer.as_str(), why),
            }
        }
        remembered(self.cached, &mut wrong);
        if self.leeway > LEEWAY {
            wrong.push(ConfigError::Lifetime("the leeway is at most 60 seconds".to_owned()));
        }
        match resource {
            Some(resource) if wrong.is_empty() => Ok(JwtVerifier(Arc::new(Inner {
                resource,
                issuers: issuers.into(),
                cache: Cache::new(self.cached),
                clock: self.clock,
                leeway: self.leeway,
            }))),
            _ => Err(ConfigErrors(wrong.into())),
        }
    }
}

impl fmt::Debug for JwtVerifierBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtVerifierBuilder")
            .field("resource", &self.resource)
            .field("issuers", &self.issuers)
            .finish_non_exhaustive()
    }
}
