//! The authorization server itself: configuration, store and clock. No HTTP here; the layers and services are made from
//! it.
//!
//! ```
//! use tower_oauth::{Client, MemoryStore, Provider};
//!
//! let provider = Provider::builder("https://shift.example")
//!     .store(MemoryStore::new())
//!     .scope("profile", "see your profile")
//!     .client(Client::public("app").redirect_uri("https://app.example/callback"))
//!     .build()?;
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let token = provider.issue("app", "alice", "profile".parse()?).await?; // for a test of a protected route
//! assert!(token.secret().starts_with("toa_at_"));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "jwt")]
mod assertions;
mod builder;
mod connected;
#[cfg_attr(not(feature = "jwt"), path = "without_dpop.rs")]
mod dpop;
mod hooks;
#[cfg(feature = "jwt")]
mod jwt_tokens;
mod machine;
mod metadata_documents;
mod pushed;
mod registrations;
mod resource;
#[cfg(feature = "jwt")]
mod signer;
#[cfg(feature = "jwt")]
mod signing;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "jwt")]
use assertions::PublishedKeys;

pub use builder::ProviderBuilder;
pub use connected::ConnectedApp;
pub(crate) use dpop::Proven;
pub(crate) use hooks::Hooks;
pub use hooks::{Continue, Issuance};
#[cfg(feature = "jwt")]
pub(crate) use jwt_tokens::OwnJwt;
use machine::MachineGrants;
use metadata_documents::MetadataDocuments;
pub(crate) use metadata_documents::NoClient;
pub use resource::ResourceServer;
#[cfg(feature = "jwt")]
pub use signer::{Signer, SigningKeys};

use crate::authorization::RequestUris;
use crate::client::{Client, GrantType};
use crate::clock::Clock;
use crate::config::{Config, OFFLINE_ACCESS};
#[cfg(feature = "jwt")]
use crate::dpop::Nonces;
use crate::error::{ProtocolError, StoreError};
use crate::event::{Event, EventKind, Events};
#[cfg(feature = "jwt")]
use crate::grant::RevokedTokens;
use crate::grant::{Grant, Outcome, Redemption, Revocation, RevocationReason, Rotation, Verdict};
use crate::handle::{AccessHandle, GrantId, GrantKey, Handles, RefreshHandle, Salt};
use crate::secret::random;
use crate::store::{DynClients, DynGrants, Holder};
use crate::types::{ClientId, Resource, Scope, Subject, UnixTime};

/// An OAuth 2.1 authorization server. Cloning copies a pointer; it has no type parameter, whatever the store.
#[derive(Clone)]
pub struct Provider(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) handles: Handles,
    pub(crate) request_uris: RequestUris,
    pub(crate) hooks: Hooks,
    pub(crate) events: Events,
    clients: HashMap<ClientId, Client>,
    client_store: Arc<dyn DynClients>,
    grants: Arc<dyn DynGrants>,
    clock: Arc<dyn Clock>,
    machine: MachineGrants,
    /// `None` where no client describes itself.
    documents: Option<MetadataDocuments>,
    /// `None` where no access token is a JWT.
    #[cfg(feature = "jwt")]
    signing: Option<signing::Signing>,
    /// `None` if there is nothing to fetch with.
    #[cfg(feature = "jwt")]
    published_keys: Option<PublishedKeys>,
    /// `None` where a proof needs none.
    #[cfg(feature = "jwt")]
    dpop_nonces: Option<Arc<Nonces>>,
}

/// An access token that was issued without a request. `Debug` does not show it.
#[derive(Clone)]
pub struct AccessToken(String);

impl AccessToken {
    /// The token itself, as it goes behind `Bearer`.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken([redacted])")
    }
}

impl Provider {
    /// Starts the configuration of a provider.
    ///
    /// `issuer` is its identifier and where it is reached from outside, such as `https://shift.example`; every URL is
    /// made from it and never from a request. Plain `http` is for loopback only.
    pub fn builder(issuer: impl Into<String>) -> ProviderBuilder {
        ProviderBuilder::new(issuer.into())
    }

    /// The issuer identifier, byte for byte as configured.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.0.config.issuer.as_str()
    }

    /// What stands before every endpoint's path, as the service sees it: for
    /// `nest_service(provider.prefix(), provider.nest(page))`.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.0.config.paths.seen_prefix()
    }

    /// The scopes, each with what it means to a user.
    pub fn scopes(&self) -> impl Iterator<Item = (&str, &str)> + '_ {
        self.0.config.scopes.iter().map(|scope| (&*scope.name, &*scope.description))
    }

    /// What a scope means to a user; its name where it is not one of this provider's.
    pub(crate) fn meaning<'a>(&'a self, name: &'a str) -> &'a str {
        self.scopes().find(|(known, _)| *known == name).map_or(name, |(_, meaning)| meaning)
    }

    /// Issues an access token without any request: for the tests of a protected route, and for an app's own jobs.
    ///
    /// It makes a grant of its own, for the default resource, that ends with the token. The client need not be
    /// registered, and the scope is not checked.
    ///
    /// # Errors
    /// If the store, or whoever signs, cannot answer, a JWT would have more than 8 KiB, or every token for the resource
    /// [is bound to a key](crate::ProtectedResource::dpop_bound_access_tokens_required): nobody proves one here.
    pub async fn issue(
        &self,
        client: impl Into<ClientId>,
        subject: impl Into<Subject>,
        scope: Scope,
    ) -> Result<AccessToken, StoreError> {
        let resources = Arc::clone(&self.0.config.default_resources);
        self.issue_for(resources, client.into(), subject.into(), scope).await
    }

    /// The same for another resource.
    async fn issue_for(
        &self,
        resources: Arc<[Resource]>,
        client: ClientId,
        subject: Subject,
        scope: Scope,
    ) -> Result<AccessToken, StoreError> {
        if resources.iter().any(|resource| self.0.config.needs_dpop(resource)) {
            return Err(StoreError::new(
                "tokens for it are bound to a key that their client has proved: it asks for one",
            ));
        }
        let lifetime = self.0.config.access_token_lifetime(None, &*resources);
        let id = GrantId::generate();
        let grant = self.direct_grant(id, client, Some(subject), scope, resources, lifetime);
        let handle = self.access_handle(id, &grant, grant.scope.full_mask(), 1, lifetime);
        let token = self.access_token(&handle, &grant).await?.map_err(StoreError::new)?;
        self.0.grants.create(grant.clone()).await?;
        self.tell(&Event::of(EventKind::Issued, &grant));
        Ok(AccessToken(token))
    }

    /// The grants that a user has given and that live: "apps with access to your account".
    ///
    /// # Errors
    /// If the store cannot answer.
    pub async fn grants_of(&self, subject: &Subject) -> Result<Vec<Arc<Grant>>, StoreError> {
        self.living(&Holder::User(subject.clone())).await
    }

    /// Ends a grant and every token of it. A grant that is unknown or ended already is left alone.
    ///
    /// # Errors
    /// If the store cannot answer.
    pub async fn revoke_grant(&self, key: GrantKey) -> Result<(), StoreError> {
        self.revoke(key, self.revoke_step(RevocationReason::User)).await.map(drop)
    }

    /// Ends every grant of a user, of a client, or of a user at a client; answers how many were alive.
    ///
    /// # Errors
    /// If the store cannot answer.
    pub async fn revoke_all(&self, holder: &Holder) -> Result<usize, StoreError> {
        self.end_all(holder, RevocationReason::Provider).await
    }

    /// Forgets what is over, and answers how many grants went. Where the provider makes the keys of its JWTs, it also does
    /// what is due to them. Call it now and then, or [`sweep_every`](Self::sweep_every).
    ///
    /// # Errors
    /// If the store cannot answer.
    pub async fn sweep(&self) -> Result<usize, StoreError> {
        let config = &self.0.config;
        #[cfg(feature = "jwt")]
        let tended = self.tend_keys().await;
        let swept = self.0.grants.sweep(&config.issuer, self.now(), config.lifetimes.refresh_idle).await?;
        #[cfg(feature = "jwt")]
        tended?;
        Ok(swept)
    }

    /// Sweeps in a background task until the answer is dropped. A sweep that fails is tried again at the next turn.
    ///
    /// # Panics
    /// Outside a tokio runtime, or if `period` is zero.
    #[must_use = "the sweeper stops when it is dropped"]
    pub fn sweep_every(&self, period: Duration) -> Sweeper {
        let provider = self.clone();
        let mut turns = tokio::time::interval(period);
        Sweeper(tokio::spawn(async move {
            loop {
                turns.tick().await;
                if let Err(error) = provider.sweep().await {
                    provider.tell(&Event::unavailable(&error));
                }
            }
        }))
    }

    pub(crate) fn tell(&self, event: &Event<'_>) {
        self.0.events.tell(event);
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.0.clock)
    }

    pub(crate) fn now(&self) -> UnixTime {
        self.0.clock.now().into()
    }

    /// A client that is registered, or of which is known already what it says of itself.
    pub(crate) async fn client(&self, id: &ClientId) -> Result<Option<Client>, StoreError> {
        Ok(self.own_client(id).await?.or_else(|| self.described_at_hand(id)))
    }

    /// A client that the app has, or its store.
    async fn own_client(&self, id: &ClientId) -> Result<Option<Client>, StoreError> {
        // RFC 6749 Appendix A.1. Some stores cannot even be asked for other names: PostgreSQL fails at a NUL.
        if !id.as_str().bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
            return Ok(None);
        }
        match self.0.clients.get(id) {
            Some(client) => Ok(Some(client.clone())),
            None => self.0.client_store.client(&self.0.config.issuer, id).await,
        }
    }

    /// For the check of an access token alone, as is [`load`](Self::load).
    pub(crate) fn cached(&self, key: GrantKey) -> Option<Arc<Grant>> {
        self.0.grants.cached(key)
    }

    pub(crate) async fn load(&self, key: GrantKey) -> Result<Option<Arc<Grant>>, StoreError> {
        self.0.grants.load(key).await
    }

    pub(crate) async fn grant(&self, key: GrantKey) -> Result<Option<Arc<Grant>>, StoreError> {
        self.0.grants.find(key).await
    }

    /// What was revoked and may still be presented to those who do not look at grants.
    #[cfg(feature = "jwt")]
    pub(crate) async fn revocations(&self) -> Result<Vec<RevokedTokens>, StoreError> {
        self.0.grants.revocations(&self.0.config.issuer, self.now()).await
    }

    pub(crate) async fn create(&self, grant: Grant) -> Result<(), StoreError> {
        self.0.grants.create(grant).await
    }

    /// The grants of a holder that a client has got tokens of and that live.
    pub(crate) async fn living(&self, holder: &Holder) -> Result<Vec<Arc<Grant>>, StoreError> {
        let config = &self.0.config;
        let now = self.now();
        let mut grants = self.0.grants.grants(&config.issuer, holder).await?;
        grants.retain(|grant| !grant.is_pending() && !grant.is_over(now, config.lifetimes.refresh_idle));
        Ok(grants)
    }

    /// How long an access token of a client for these resources lives, where no hook says otherwise.
    pub(crate) fn access_token_lifetime<'a>(
        &self,
        client: &Client,
        resources: impl IntoIterator<Item = &'a Resource>,
    ) -> Duration {
        self.0.config.access_token_lifetime(client.own_access_token_lifetime(), resources)
    }

    /// What redeems a code for a client. The salt is made before, and goes into the answer.
    pub(crate) fn redemption(
        &self,
        client: &Client,
        redirect_uri: Option<String>,
        challenge: Option<[u8; 32]>,
        grant_expires_at: UnixTime,
        salt: Salt,
    ) -> Redemption {
        Redemption {
            issuer: self.0.config.issuer.clone(),
            client: client.id().clone(),
            redirect_uri,
            challenge,
            secret: salt.hash(),
            grant_expires_at,
            double_submit: self.0.config.lifetimes.double_submit,
            now: self.now(),
        }
    }

    /// Redeems a code.
    pub(crate) async fn redeem(&self, key: GrantKey, step: Redemption) -> Result<Verdict, StoreError> {
        self.0.grants.redeem(key, step).await.inspect(|verdict| self.notice(verdict))
    }

    /// Uses a refresh token for a client, whose grant was read a moment ago.
    pub(crate) async fn rotate(
        &self,
        client: &Client,
        handle: &RefreshHandle,
        read: Option<&Grant>,
    ) -> Result<Verdict, StoreError> {
        let key = self.0.handles.key_of(handle.grant);
        let mut step = self.rotation(client, handle);
        step.next = read.and_then(|grant| step.usual(grant));
        self.0.grants.rotate(key, step).await.inspect(|verdict| self.notice(verdict))
    }

    /// A handle that was used twice: whatever else the answer is, the grant has ended.
    fn notice(&self, verdict: &Verdict) {
        if let (Outcome::Replayed, Some(grant)) = (verdict.outcome, &verdict.grant)
            && let Some((_, reason)) = grant.revoked()
        {
            self.tell(&Event::of(EventKind::Replayed(reason), grant));
        }
    }

    /// The grant as a refresh token would leave it, by a record that may be a little old; `None` if it would not be taken.
    pub(crate) fn would_rotate(&self, grant: &Grant, client: &Client, handle: &RefreshHandle) -> Option<Grant> {
        let mut grant = grant.clone();
        grant.rotate(&self.rotation(client, handle)).is_accepted().then_some(grant)
    }

    fn rotation(&self, client: &Client, handle: &RefreshHandle) -> Rotation {
        let lifetimes = &self.0.config.lifetimes;
        Rotation {
            issuer: self.0.config.issuer.clone(),
            client: client.id().clone(),
            secret: handle.salt.hash(),
            generation: handle.generation,
            grace: lifetimes.refresh_grace,
            idle: lifetimes.refresh_idle,
            now: self.now(),
            next: None,
        }
    }

    /// Ends every grant of a holder.
    async fn end_all(&self, holder: &Holder, reason: RevocationReason) -> Result<usize, StoreError> {
        let ended = self.0.grants.revoke_all(&self.0.config.issuer, holder, reason, self.now()).await?;
        if ended > 0 {
            let event = Event::new(EventKind::Revoked(reason));
            self.tell(&Event { subject: holder.subject(), client: holder.client(), ..event });
        }
        Ok(ended)
    }

    /// A whole grant, whosever it is; to be narrowed.
    pub(crate) fn revoke_step(&self, reason: RevocationReason) -> Revocation {
        let issuer = self.0.config.issuer.clone();
        Revocation { issuer, client: None, secret: None, token: None, reason, now: self.now() }
    }

    pub(crate) async fn revoke(&self, key: GrantKey, step: Revocation) -> Result<Outcome, StoreError> {
        let kind = if step.token.is_some() { EventKind::TokenRevoked } else { EventKind::Revoked(step.reason) };
        let verdict = self.0.grants.revoke(key, step).await?;
        if let (Outcome::Revoked, Some(grant)) = (verdict.outcome, &verdict.grant) {
            self.tell(&Event::of(kind, grant));
        }
        Ok(verdict.outcome)
    }

    /// A grant that comes from no approval, so it has no code and no refresh token.
    pub(crate) fn direct_grant(
        &self,
        id: GrantId,
        client: ClientId,
        subject: Option<Subject>,
        scope: Scope,
        resources: Arc<[Resource]>,
        lifetime: Duration,
    ) -> Grant {
        let now = self.now();
        Grant {
            key: self.0.handles.key_of(id),
            issuer: self.0.config.issuer.clone(),
            client,
            subject,
            scope,
            resources,
            claims: None,
            redirect_uri: None,
            redirect_uri_sent: false,
            challenge: None,
            created_at: now,
            expires_at: now.plus(lifetime),
            redeemed: None,
            revoked: None,
        }
    }

    /// Whether a client gets refresh tokens for this scope.
    pub(crate) fn is_refreshable(&self, client: &Client, scope: &Scope) -> bool {
        client.may_use(GrantType::RefreshToken) && (!self.0.config.offline_access || scope.contains(OFFLINE_ACCESS))
    }

    /// When a grant ends that its client can refresh: at the maximum age that comes first.
    pub(crate) fn grant_end(&self, client: &Client, redeemed_at: UnixTime) -> UnixTime {
        let ages = [self.0.config.lifetimes.refresh_max_age, client.own_max_age()];
        ages.into_iter().flatten().min().map_or(UnixTime::FAR_FUTURE, |age| redeemed_at.plus(age))
    }

    /// A new access token of a grant. It outlives neither its grant nor, where that goes unused, its record.
    pub(crate) fn access_handle(
        &self,
        id: GrantId,
        grant: &Grant,
        scope: u64,
        resources: u16,
        lifetime: Duration,
    ) -> AccessHandle {
        let now = self.now();
        let idle = self.0.config.lifetimes.refresh_idle;
        let unused = grant.last_used_at().map_or(UnixTime::FAR_FUTURE, |used| used.plus(idle));
        AccessHandle {
            grant: id,
            token: random(),
            issued_at: now,
            expires_at: now.plus(lifetime).min(grant.expires_at).min(unused),
            scope,
            resources,
            bound_to: None,
        }
    }

    /// The token of a handle, in the format that its resources want, if it can be one there.
    pub(crate) async fn access_token(
        &self,
        handle: &AccessHandle,
        grant: &Grant,
    ) -> Result<Result<String, ProtocolError>, StoreError> {
        #[cfg(feature = "jwt")]
        if self.is_jwt(grant, handle.resources) {
            return self.sign_access(handle, grant).await;
        }
        #[cfg(not(feature = "jwt"))]
        let _ = grant;
        Ok(Ok(self.0.handles.mint_access(handle)))
    }

    #[cfg(not(feature = "jwt"))]
    pub(crate) const fn makes_jwts(&self) -> bool {
        false
    }

    #[cfg(not(feature = "jwt"))]
    pub(crate) const fn is_jwt(&self, _: &Grant, _: u16) -> bool {
        false
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("issuer", &self.0.config.issuer).finish_non_exhaustive()
    }
}

/// Sweeps in the background until it is dropped; see [`Provider::sweep_every`].
#[derive(Debug)]
pub struct Sweeper(tokio::task::JoinHandle<()>);

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.0.abort();
    }
}
