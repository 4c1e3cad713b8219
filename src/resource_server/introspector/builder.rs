use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::HeaderValue;
use tokio::sync::Semaphore;

use super::{AT_ONCE, BackOff, Endpoint, Inner, Introspector};
use crate::client::ClientSecret;
use crate::clock::{Clock, SystemClock};
use crate::config::{ConfigError, ConfigErrors};
use crate::fetch::{DynFetch, Fetch};
use crate::resource_server::cache::Cache;
use crate::resource_server::config::{NO_FETCH, basic, is_endpoint, remembered, resource};
use crate::resource_server::metadata;
use crate::types::{ClientId, Issuer};

/// For how long an answer can be good.
const LONGEST: Duration = Duration::from_secs(600);

/// Configures an [`Introspector`].
#[must_use]
pub struct IntrospectorBuilder {
    resource: String,
    issuer: Issuer,
    endpoint: Option<String>,
    credentials: Option<(ClientId, ClientSecret)>,
    fetch: Option<Arc<dyn DynFetch>>,
    clock: Arc<dyn Clock>,
    remember_for: Duration,
    remember: usize,
}

impl IntrospectorBuilder {
    pub(super) fn new(resource: &str, issuer: Issuer) -> Self {
        Self {
            resource: resource.to_owned(),
            issuer,
            endpoint: None,
            credentials: None,
            fetch: None,
            clock: Arc::new(SystemClock),
            remember_for: Duration::from_secs(30),
            remember: 10_000,
        }
    }

    /// The client as which this resource server asks, `client_secret_basic`
    /// ([RFC 6749 §2.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1)). A provider of this crate registers it
    /// as a [resource server](crate::Client::resource_server).
    pub fn credentials(mut self, id: impl Into<ClientId>, secret: impl Into<ClientSecret>) -> Self {
        self.credentials = Some((id.into(), secret.into()));
        self
    }

    /// Where it asks, in place of what the issuer's metadata say.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// What asks.
    pub fn fetch(mut self, fetch: impl Fetch) -> Self {
        self.fetch = Some(Arc::new(fetch));
        self
    }

    /// What time it is; for tests.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// For how long an answer is good without asking again, and so for how long a token that was revoked still is: 30
    /// seconds, and 10 minutes at most. With none, every request asks.
    pub const fn remember_for(mut self, time: Duration) -> Self {
        self.remember_for = time;
        self
    }

    /// How many answers are remembered, and how many refusals beside them: 10,000, and 10 million at most.
    pub const fn remember(mut self, tokens: usize) -> Self {
        self.remember = tokens;
        self
    }

    /// The introspector. Nothing is asked yet, so that it starts while the issuer is down.
    ///
    /// # Errors
    /// With all that is wrong.
    pub fn build(self) -> Result<Introspector, ConfigErrors> {
        let mut wrong = Vec::new();
        let resource = resource(&self.resource, &mut wrong);
        remembered(self.remember, &mut wrong);
        if self.remember_for > LONGEST {
            wrong.push(ConfigError::Lifetime("an answer is remembered for 10 minutes at most".to_owned()));
        }
        let mut refuse = |why| wrong.push(ConfigError::Issuer { issuer: self.issuer.to_string(), why });
        let authorization = self.authorization().map_err(&mut refuse).ok();
        let fetch = self.fetch.clone().ok_or(NO_FETCH).map_err(&mut refuse).ok();
        let endpoint = fetch.as_ref().and_then(|fetch| self.find(fetch).map_err(&mut refuse).ok());
        match (resource, authorization, fetch, endpoint) {
            (Some(resource), Some(authorization), Some(fetch), Some(endpoint)) if wrong.is_empty() => {
                Ok(Introspector(Arc::new(Inner {
                    resource,
                    issuer: self.issuer,
                    endpoint,
                    authorization,
                    fetch,
                    clock: self.clock,
                    remember_for: self.remember_for,
                    active: Cache::new(self.remember),
                    refused: Cache::new(self.remember),
                    asking: Mutex::default(),
                    at_once: Semaphore::new(AT_ONCE),
                    back_off: BackOff::default(),
                })))
            }
            _ => Err(ConfigErrors(wrong.into())),
        }
    }

    fn find(&self, fetch: &Arc<dyn DynFetch>) -> Result<Endpoint, &'static str> {
        let own = metadata::parse(&self.issuer)?;
        match &self.endpoint {
            Some(url) if !is_endpoint(url, &own) => Err("write its introspection endpoint as `https://..`"),
            Some(url) => Ok(Endpoint::Given(url.as_str().into())),
            None => metadata::document(&self.issuer, Arc::clone(fetch), Arc::clone(&self.clock)).map(Endpoint::Named),
        }
    }

    fn authorization(&self) -> Result<HeaderValue, &'static str> {
        let (id, secret) = self.credentials.as_ref().ok_or("nobody asks it: write `.credentials(id, secret)`")?;
        basic(id, secret)
    }
}

impl fmt::Debug for IntrospectorBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IntrospectorBuilder")
            .field("resource", &self.resource)
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}
