#[cfg(feature = "jwt")]
mod dpop;
#[cfg(feature = "jwt")]
mod jwt;
mod metadata_documents;
#[cfg(feature = "jwt")]
mod private_key_jwt;
mod pushed;
mod resources;
mod step_up;

use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "jwt")]
use super::PublishedKeys;
use super::hooks::hook;
use super::metadata_documents::MetadataDocuments;
use super::{Continue, Hooks, Inner, Issuance, MachineGrants, Provider};
use crate::authorization::RequestUris;
use crate::client::Client;
use crate::clock::{Clock, SystemClock};
#[cfg(feature = "jwt")]
use crate::config::{AccessTokenFormat, Dpop, PrivateKeyJwt};
use crate::config::{
    Config, ConfigError, ConfigErrors, Endpoints, IssuerUrl, Lifetimes, Offered, Paths, ProtectedResource,
    PushedRequests, ScopeEntry,
};
use crate::error::{ProtocolError, StoreError};
use crate::event::{Event, EventKind, Events};
use crate::fetch::DynFetch;
use crate::grant::Grant;
use crate::handle::Handles;
use crate::registration::{ClientIdMetadataPolicy, RegistrationPolicy};
use crate::secret::Secrets;
use crate::store::{ClientStore, DynClients, DynGrants, GrantStore, Store};
use crate::types::{ClientId, Issuer, Scope};

/// How far apart the clocks of a node and of its store may be without a word.
const SKEW: Duration = Duration::from_secs(2);

/// Configures a [`Provider`]. Nothing is checked before [`build`](Self::build), which reports everything at once.
#[must_use]
pub struct ProviderBuilder {
    issuer: String,
    clients: Option<Arc<dyn DynClients>>,
    /// Set on its own, so that it wins whichever comes first.
    own_clients: Option<Arc<dyn DynClients>>,
    grants: Option<Arc<dyn DynGrants>>,
    secrets: Option<Secrets>,
    clock: Arc<dyn Clock>,
    endpoints: Endpoints,
    scopes: Vec<ScopeEntry>,
    default_scope: String,
    includes: Vec<(String, String)>,
    default_resource: Option<String>,
    resources: Vec<ProtectedResource>,
    fixed: Vec<Client>,
    lifetimes: Lifetimes,
    offline_access: bool,
    acr_values: Option<Vec<String>>,
    grant_limit: usize,
    resource_scope: Option<String>,
    cors_origins: Option<Vec<String>>,
    registration: Option<RegistrationPolicy>,
    client_id_metadata: Option<ClientIdMetadataPolicy>,
    pushed: PushedRequests,
    #[cfg(feature = "jwt")]
    private_key_jwt: PrivateKeyJwt,
    #[cfg(feature = "jwt")]
    dpop: Dpop,
    fetch: Option<Arc<dyn DynFetch>>,
    token_prefix: String,
    hooks: Hooks,
    events: Events,
    #[cfg(feature = "jwt")]
    jwts: jwt::Jwts,
}

impl ProviderBuilder {
    pub(super) fn new(issuer: String) -> Self {
        Self {
            issuer,
            clients: None,
            own_clients: None,
            grants: None,
            secrets: None,
            clock: Arc::new(SystemClock),
            endpoints: Endpoints::default(),
            scopes: Vec::new(),
            default_scope: String::new(),
            includes: Vec::new(),
            default_resource: None,
            resources: Vec::new(),
            fixed: Vec::new(),
            lifetimes: Lifetimes::default(),
            offline_access: false,
            acr_values: None,
            grant_limit: 100,
            resource_scope: None,
            cors_origins: None,
            registration: None,
            client_id_metadata: None,
            pushed: PushedRequests::default(),
            #[cfg(feature = "jwt")]
            private_key_jwt: PrivateKeyJwt::default(),
            #[cfg(feature = "jwt")]
            dpop: Dpop::default(),
            fetch: None,
            token_prefix: "toa".to_owned(),
            hooks: Hooks::default(),
            events: Events::default(),
            #[cfg(feature = "jwt")]
            jwts: jwt::Jwts::default(),
        }
    }

    /// Where clients and grants are kept.
    pub fn store<S: Store>(mut self, store: S) -> Self {
        let store = Arc::new(store);
        self.clients = Some(store.clone());
        self.grants = Some(store);
        self
    }

    /// Where clients are kept, in place of the clients of the [`store`](Self::store).
    pub fn clients<C: ClientStore>(mut self, clients: C) -> Self {
        self.own_clients = Some(Arc::new(clients));
        self
    }

    /// Where grants are kept, for a provider whose clients are somewhere else or [fixed](Self::client).
    pub fn grants<G: GrantStore>(mut self, grants: G) -> Self {
        self.grants = Some(Arc::new(grants));
        self
    }

    /// The secrets from which every key is made: the first signs, all verify. By default what the store keeps itself;
    /// [`MemoryStore`](crate::MemoryStore) makes one for its process, `SqliteStore` has a file beside its database;
    /// `PostgresStore` and `RedisStore` have none.
    pub fn secrets(mut self, secrets: impl Into<Secrets>) -> Self {
        self.secrets = Some(secrets.into());
        self
    }

    /// The clock by which everything expires. By default the operating system's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Where the endpoints are. By default `/authorize` and `/token`.
    pub fn endpoints(mut self, endpoints: Endpoints) -> Self {
        self.endpoints = endpoints;
        self
    }

    /// A scope that clients can ask for, and what it means to a user, to be read behind "wants to".
    pub fn scope(self, name: impl Into<String>, description: impl Into<String>) -> Self {
        self.add_scope(name.into(), description.into(), false)
    }

    /// A scope that routes can require and nobody is granted; asking for it is `invalid_scope`.
    pub fn reserved_scope(self, name: impl Into<String>, description: impl Into<String>) -> Self {
        self.add_scope(name.into(), description.into(), true)
    }

    fn add_scope(mut self, name: String, description: String, reserved: bool) -> Self {
        self.scopes.push(ScopeEntry { name, description, reserved });
        self
    }

    /// What an authorization request gets that names no scope, as far as the client may have it; where the client may
    /// have none of it, all that it registered. Without a default, all that it registered; where it registered none,
    /// such a request is `invalid_scope` ([RFC 6749 §3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)).
    pub fn default_scope(mut self, scope: impl Into<String>) -> Self {
        self.default_scope = scope.into();
        self
    }

    /// Whoever has the scope `broad` passes where `narrow` is [required](crate::BearerLayer::require).
    pub fn scope_includes(mut self, broad: impl Into<String>, narrow: impl Into<String>) -> Self {
        self.includes.push((broad.into(), narrow.into()));
        self
    }

    /// Lets clients register themselves ([RFC 7591](https://www.rfc-editor.org/rfc/rfc7591)). By default they cannot.
    pub fn registration(mut self, policy: RegistrationPolicy) -> Self {
        self.registration = Some(policy);
        self
    }

    /// The origins whose pages may read the metadata and use the token, revocation, registration and pushed
    /// authorization request endpoints, such as `https://app.example`. By default any: these endpoints know no cookies.
    /// Pages of other origins never get at the authorization and introspection endpoints, nor at the feed of revocations.
    pub fn cors_origins<T: Into<String>>(mut self, origins: impl IntoIterator<Item = T>) -> Self {
        self.cors_origins = Some(origins.into_iter().map(Into::into).collect());
        self
    }

    /// A fixed client, looked up before the store.
    pub fn client(mut self, client: Client) -> Self {
        self.fixed.push(client);
        self
    }

    /// How long a code can be redeemed. By default 60 seconds, at most 10 minutes.
    pub fn code_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetimes.code = lifetime;
        self
    }

    /// How long an access token is good. By default 10 minutes, at most 24 hours. A client can have
    /// [its own](Client::access_token_lifetime).
    pub fn access_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetimes.access_token = lifetime;
        self
    }

    /// How long a refresh token lives that is not used. By default 90 days.
    pub fn refresh_token_idle(mut self, idle: Duration) -> Self {
        self.lifetimes.refresh_idle = idle;
        self
    }

    /// How long a grant lives however often it is refreshed. By default there is no such end. A
    /// [client](Client::refresh_token_max_age) or an [approval](crate::Approval::grant_lifetime) can end one earlier.
    pub fn refresh_token_max_age(mut self, age: Duration) -> Self {
        self.lifetimes.refresh_max_age = Some(age);
        self
    }

    /// For how long after a refresh its predecessor gets the same successor once more, for clients whose answer was
    /// lost. By default 10 seconds, at most 60; with zero, in the same second alone, so that a store may repeat a step.
    pub fn refresh_grace(mut self, grace: Duration) -> Self {
        self.lifetimes.refresh_grace = grace;
        self
    }

    /// Gives a refresh token only where the scope `offline_access` was granted too. By default every client that is
    /// registered for `refresh_token` gets one.
    pub fn require_offline_access(mut self) -> Self {
        self.offline_access = true;
        self
    }

    /// How many live grants one user can have at one client; beyond it the oldest one ends. By default 100.
    pub fn grants_per_user_and_client(mut self, limit: usize) -> Self {
        self.grant_limit = limit;
        self
    }

    /// What every handle starts with, `PREFIX_at_..`, so that scanners find leaked ones. By default `toa`.
    pub fn token_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.token_prefix = prefix.into();
        self
    }

    /// Asked at every refresh, before anything is consumed: whether this grant may go on. `No` ends the grant; an
    /// error is 503 and consumes nothing.
    ///
    /// ```
    /// # use std::{convert::Infallible, sync::Arc};
    /// # use tower_oauth::{Continue, Grant, Provider};
    /// # let builder = Provider::builder("https://shift.example");
    /// # async fn is_active(user: Option<&tower_oauth::Subject>) -> Result<bool, Infallible> { Ok(user.is_some()) }
    /// builder.may_continue(async |grant: Arc<Grant>| is_active(grant.subject()).await);
    /// ```
    pub fn may_continue<F, Fut, T, E>(mut self, ask: F) -> Self
    where
        F: Fn(Arc<Grant>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, E>> + Send + 'static,
        T: Into<Continue>,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.hooks.may_continue = Some(hook(ask));
        self
    }

    /// Called before every access token that the token endpoint issues, whatever the grant type: to set its lifetime,
    /// or to add members to the response. An error is 503 and consumes nothing.
    ///
    /// It runs before the exchange is decided, so it may run for one that is then refused: to count tokens, look at
    /// the responses instead.
    ///
    /// ```
    /// # use std::convert::Infallible;
    /// # use tower_oauth::{Issuance, Provider};
    /// # let builder = Provider::builder("https://shift.example");
    /// builder.on_issue(async |token: Issuance| Ok::<_, Infallible>(token.member("tenant", "acme")));
    /// ```
    pub fn on_issue<F, Fut, E>(mut self, change: F) -> Self
    where
        F: Fn(Issuance) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Issuance, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.hooks.on_issue = Some(hook(change));
        self
    }

    /// Hears of everything that an operator may want to know: exchanges, refusals with their reasons, what looks like an
    /// attack, a store that is down. See [`event`](crate::event).
    ///
    /// It is called in the middle of a request, so it must not wait: to write somewhere, send it to a task of its own. If
    /// it panics, the request goes on all the same.
    pub fn on_event(mut self, hear: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        self.events = Events::to(hear);
        self
    }

    /// An HTML page of the app's own for errors that cannot go back to a client, in place of the plain one: bad requests,
    /// forms from another site (`invalid_request`), a store that is down (`temporarily_unavailable`), a page that
    /// misuses its request (`server_error`). The error repeats nothing of the request.
    pub fn error_page(mut self, page: impl Fn(&ProtocolError) -> String + Send + Sync + 'static) -> Self {
        self.hooks.error_page = Some(Arc::new(page));
        self
    }

    /// Checks everything and makes the provider.
    ///
    /// # Errors
    /// Everything that is wrong, with what to write instead.
    pub fn build(self) -> Result<Provider, ConfigErrors> {
        let mut wrong = Vec::new();
        let makes_jwts = self.makes_jwts();
        let url = IssuerUrl::parse(&self.issuer)
            .map_err(|why| wrong.push(ConfigError::Issuer { issuer: self.issuer.clone(), why }))
            .ok();
        let offered = Offered {
            pushed_authorization_request: self.pushed.on,
            jwks: makes_jwts,
            revocation_feed: self.has_revocation_feed(),
        };
        let paths = Paths::new(&self.endpoints, url.as_ref().map(|url| &*url.path), offered, &mut wrong);
        self.check_scopes(&mut wrong);
        let policy = self.registration.as_ref().and_then(|policy| policy.scope.as_deref());
        let registrable = policy.map(|text| self.check_scope(text, "`RegistrationPolicy::scope(..)`", &mut wrong));
        let policy = self.client_id_metadata.as_ref().and_then(|policy| policy.scope.as_deref());
        let describable = policy.map(|text| self.check_scope(text, "`ClientIdMetadataPolicy::scope(..)`", &mut wrong));
        self.check_client_id_metadata(&mut wrong);
        let resource_scope = self.resource_scope.as_deref();
        let resource_scope = resource_scope.map(|text| self.check_scope(text, "`.resource_scope(..)`", &mut wrong));
        let default_scope = self.check_scope(&self.default_scope, "`.default_scope(..)`", &mut wrong);
        let (resources, terms) = self.check_resources(url.as_ref(), &mut wrong);
        for origin in self.cors_origins.iter().flatten() {
            if !IssuerUrl::parse(origin).is_ok_and(|url| url.path.is_empty()) {
                wrong.push(ConfigError::Origin(origin.clone()));
            }
        }
        self.lifetimes.check(&mut wrong);
        let acr_values = self.check_acr_values(&mut wrong);
        let fixed = self.check_clients(&mut wrong);
        self.check_pushed(&mut wrong);
        #[cfg(feature = "jwt")]
        self.check_private_key_jwt(&mut wrong);
        #[cfg(feature = "jwt")]
        self.check_dpop(&mut wrong);
        let prefix = &*self.token_prefix;
        if !(1..=16).contains(&prefix.len()) || !prefix.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            wrong.push(ConfigError::TokenPrefix(prefix.to_owned()));
        }
        let grants = self.grants.clone();
        let client_store =
            self.own_clients.clone().or_else(|| self.clients.clone()).unwrap_or_else(|| Arc::new(NoClients));
        if self.registration.as_ref().is_some_and(|policy| policy.management) && !client_store.manages_registrations() {
            wrong.push(ConfigError::Registration(
                "this store of clients cannot change what registered itself: leave `.management()` out".to_owned(),
            ));
        }
        if grants.is_none() {
            wrong.push(ConfigError::NoStore);
        }
        let secrets = self.check_secrets(&mut wrong);
        let handles = self.check_handles(url.as_ref(), secrets.as_ref(), &mut wrong);
        #[cfg(feature = "jwt")]
        self.check_revocation_feed(makes_jwts, &mut wrong);
        #[cfg(feature = "jwt")]
        let (jwt_claims, signing) =
            (self.check_claims(makes_jwts, &mut wrong), self.check_signing(makes_jwts, secrets.as_ref(), &mut wrong));
        let (Some(url), Some(secrets), Some(handles), Some(grants), true) =
            (url, secrets, handles, grants, wrong.is_empty())
        else {
            return Err(ConfigErrors(wrong.into()));
        };
        let skew = grants.clock_skew().unwrap_or_default();
        if let Err(error) = check_clock(skew, self.lifetimes.refresh_grace) {
            return Err(ConfigErrors([error].into()));
        }
        // Last: a provider that is not built signs nothing.
        if let Err(error) = grants.use_keys(&url.issuer, &handles.key_ids(), self.clock.now().into()) {
            return Err(ConfigErrors([ConfigError::Secret(cause(&error))].into()));
        }
        let request_uris = RequestUris::new(&secrets, &url.issuer);
        #[cfg(feature = "jwt")]
        let dpop_nonces = self.nonces(&secrets, &url.issuer);
        let config = Config {
            #[cfg(feature = "jwt")]
            dpop_required: self.dpop_required(),
            #[cfg(feature = "jwt")]
            access_token_format: self.common_format(),
            #[cfg(feature = "jwt")]
            jwt_claims,
            issuer: url.issuer,
            origin: url.origin,
            paths,
            scopes: self.scopes,
            default_scope,
            includes: self.includes,
            default_resources: resources.first().cloned().into_iter().collect(),
            resources,
            terms,
            lifetimes: self.lifetimes,
            offline_access: self.offline_access,
            acr_values,
            grant_limit: self.grant_limit.max(1),
            resource_scope,
            registrable,
            cors_origins: self.cors_origins,
            registration: self.registration,
            client_id_metadata: self.client_id_metadata,
            pushed: self.pushed,
            #[cfg(feature = "jwt")]
            private_key_jwt: self.private_key_jwt,
            #[cfg(feature = "jwt")]
            dpop: self.dpop,
        };
        if skew > SKEW {
            self.events.tell(&Event::new(EventKind::ClockSkew));
        }
        let documents = config.client_id_metadata.as_ref().and(self.fetch.as_ref()).map(|fetch| {
            let allowed = config.allowed(describable.as_ref(), true);
            MetadataDocuments::new(Arc::clone(fetch), &self.clock, allowed)
        });
        #[cfg(feature = "jwt")]
        let published_keys = self.fetch.map(|fetch| PublishedKeys::new(&fetch, &self.clock));
        let inner = Inner {
            config,
            handles,
            request_uris,
            hooks: self.hooks,
            events: self.events,
            clients: fixed,
            client_store,
            grants,
            clock: self.clock,
            machine: MachineGrants::default(),
            documents,
            #[cfg(feature = "jwt")]
            signing,
            #[cfg(feature = "jwt")]
            published_keys,
            #[cfg(feature = "jwt")]
            dpop_nonces,
        };
        let provider = Provider(Arc::new(inner));
        #[cfg(feature = "jwt")]
        provider.begin_with_keys();
        Ok(provider)
    }

    /// Whether any access token is a JWT.
    fn makes_jwts(&self) -> bool {
        #[cfg(feature = "jwt")]
        return {
            let own = self.resources.iter().filter_map(|resource| resource.format);
            own.chain([self.common_format()]).any(|format| format == AccessTokenFormat::Jwt)
        };
        #[cfg(not(feature = "jwt"))]
        false
    }

    fn has_revocation_feed(&self) -> bool {
        #[cfg(feature = "jwt")]
        return self.jwts.revocation_feed;
        #[cfg(not(feature = "jwt"))]
        false
    }

    fn check_scopes(&self, wrong: &mut Vec<ConfigError>) {
        for (at, scope) in self.scopes.iter().enumerate() {
            if scope
                .name
                .parse::<Scope>()
                .map_or(true, |parsed| parsed.iter().count() != 1 || parsed.to_string() != scope.name)
            {
                wrong.push(ConfigError::Scope(format!(
                    "{:?}: one word of printable ASCII without `\"` and `\\`",
                    scope.name
                )));
            }
            if self.scopes[..at].iter().any(|other| other.name == scope.name) {
                wrong.push(ConfigError::Scope(format!("{:?} is named twice", scope.name)));
            }
        }
        for name in self.includes.iter().flat_map(|(broad, narrow)| [broad, narrow]) {
            self.check_known(name, false, "`.scope_includes(..)`", wrong);
        }
        for client in &self.fixed {
            for name in client.registered_scope().into_iter().flat_map(Scope::iter) {
                self.check_known(name, false, &format!("client {:?}", client.id()), wrong);
            }
        }
    }

    fn check_known(&self, name: &str, grantable: bool, of: &str, wrong: &mut Vec<ConfigError>) {
        if !self.scopes.iter().any(|scope| scope.name == name && !(grantable && scope.reserved)) {
            wrong.push(ConfigError::Scope(format!("{name:?} in {of}: add it with `.scope({name:?}, \"..\")`")));
        }
    }

    /// A scope that was configured as a text, of names that can be granted.
    fn check_scope(&self, text: &str, of: &str, wrong: &mut Vec<ConfigError>) -> Scope {
        let scope = text.parse::<Scope>().unwrap_or_else(|why| {
            wrong.push(ConfigError::Scope(format!("{text:?} in {of}: {why}")));
            Scope::default()
        });
        scope.iter().for_each(|name| self.check_known(name, true, of, wrong));
        scope
    }

    fn check_clients(&self, wrong: &mut Vec<ConfigError>) -> HashMap<ClientId, Client> {
        let mut clients = HashMap::new();
        for client in &self.fixed {
            let id = client.id().clone();
            wrong.extend(client.check().err().iter().flat_map(ConfigErrors::iter).cloned());
            #[cfg(feature = "jwt")]
            for why in [self.cannot_sign(client), self.cannot_prove(client)].into_iter().flatten() {
                wrong.push(ConfigError::Client { client: id.clone(), why });
            }
            if clients.insert(id.clone(), client.clone()).is_some() {
                wrong.push(ConfigError::Client { client: id, why: "two clients have this id".to_owned() });
            }
        }
        clients
    }

    fn check_secrets(&self, wrong: &mut Vec<ConfigError>) -> Option<Secrets> {
        let grants = self.grants.as_ref()?;
        match self.secrets.clone().map_or_else(|| grants.secrets(), |given| Ok(Some(given))) {
            Ok(Some(secrets)) => return Some(secrets),
            Ok(None) => wrong.push(ConfigError::Secret(
                "this store keeps none: write `.secrets(Secrets::open(\"provider.secret\")?.0)`".to_owned(),
            )),
            Err(error) => wrong.push(ConfigError::Secret(cause(&error))),
        }
        None
    }

    fn check_handles(
        &self,
        url: Option<&IssuerUrl>,
        secrets: Option<&Secrets>,
        wrong: &mut Vec<ConfigError>,
    ) -> Option<Handles> {
        Handles::new(&self.token_prefix, secrets?, &url?.issuer)
            .map_err(|why| wrong.push(ConfigError::Secret(why.to_owned())))
            .ok()
    }
}

/// What a store says of an error of its own.
fn cause(error: &StoreError) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

impl fmt::Debug for ProviderBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderBuilder").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// The store of a provider whose clients are all fixed.
struct NoClients;

impl ClientStore for NoClients {
    type Error = std::convert::Infallible;

    async fn client(&self, _: &Issuer, _: &ClientId) -> Result<Option<Client>, Self::Error> {
        Ok(None)
    }
}

/// Two nodes that are a grace apart would take an honest retry for a stolen token.
fn check_clock(skew: Duration, grace: Duration) -> Result<(), ConfigError> {
    let most = (grace / 2).max(SKEW);
    if skew <= most {
        return Ok(());
    }
    Err(ConfigError::Clock(format!(
        "it is {skew:?} away from that of the store, and at most {most:?} are safe: set both by NTP"
    )))
}
