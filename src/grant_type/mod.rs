//! The ways to get tokens at the token endpoint: one file each, and one line in the dispatch below.

mod authorization_code;
mod client_credentials;
mod refresh_token;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::client::{Client, GrantType};
use crate::error::ProtocolError;
use crate::event::{Event, EventKind};
use crate::grant::Grant;
use crate::handle::{AccessHandle, GrantId};
use crate::http::Failure;
use crate::provider::{Issuance, Proven, Provider};
use crate::span;
use crate::types::{Params, Resource, Scope, Thumbprint};

/// The members of a token response ([RFC 6749 §5.1](https://www.rfc-editor.org/rfc/rfc6749#section-5.1)).
pub(crate) type TokenResponse = Map<String, Value>;

/// The members that are the standard's, whatever a hook adds.
const MEMBERS: [&str; 5] = ["access_token", "token_type", "expires_in", "refresh_token", "scope"];

/// What to do about a token that is refused here.
const TOO_LONG: &str = "attach shorter claims, name fewer of them in `.access_token_claims(..)`, or leave the token a handle: \
                        `.access_token_format(AccessTokenFormat::Handle)`";

/// Every grant type, so that what is published and what is answered cannot disagree.
pub(crate) const ALL: [GrantType; 3] =
    [GrantType::AuthorizationCode, GrantType::RefreshToken, GrantType::ClientCredentials];

/// Answers a token request of an authenticated client, which may have proved a key.
pub(crate) async fn exchange(
    provider: &Provider,
    client: &Client,
    params: &Params,
    proven: Option<Proven>,
) -> Result<TokenResponse, Failure> {
    let name = params.get("grant_type").ok_or(ProtocolError::GRANT_TYPE_MISSING)?;
    let grant_type = ALL.into_iter().find(|known| known.as_str() == name).ok_or(ProtocolError::GRANT_TYPE_UNKNOWN)?;
    if !client.may_use(grant_type) {
        return Err(ProtocolError::GRANT_TYPE_NOT_REGISTERED.into());
    }
    span::record("oauth.grant_type", grant_type.as_str());
    if client.wants_bound_tokens() && proven.is_none() {
        return Err(ProtocolError::DPOP_PROOF_MISSING.into());
    }
    let draft = Draft::new(provider, client, proven);
    match grant_type {
        GrantType::AuthorizationCode => authorization_code::exchange(provider, client, params, draft).await,
        GrantType::RefreshToken => refresh_token::exchange(provider, client, params, draft).await,
        GrantType::ClientCredentials => client_credentials::exchange(provider, client, params, draft).await,
    }
}

/// What an access token is going to carry, before the exchange is decided.
struct Draft {
    /// `None`: all of the grant's.
    scope: Option<Scope>,
    /// `None`: all of the grant's.
    resources: Option<Vec<Resource>>,
    lifetime: Duration,
    members: TokenResponse,
    /// The key that the token is going to be bound to.
    proven: Option<Proven>,
    /// The token, where it was made before the exchange is decided.
    access_token: Option<(AccessHandle, String)>,
}

impl Draft {
    fn new(provider: &Provider, client: &Client, proven: Option<Proven>) -> Self {
        Self {
            scope: None,
            resources: None,
            lifetime: provider.access_token_lifetime(client, []),
            members: TokenResponse::new(),
            proven,
            access_token: None,
        }
    }

    fn key(&self) -> Option<Thumbprint> {
        self.proven.as_ref().map(|proven| proven.key)
    }

    /// What a handle is bound to comes with a proof of that key, or it is as if it were not there: nothing is consumed, and
    /// nobody else's handle is ended by it.
    fn has_key(&self, bound_to: Option<Thumbprint>) -> bool {
        bound_to.is_none() || bound_to == self.key()
    }

    /// The key that a refresh token of this client is bound to. One that authenticates is bound to its tokens already, and
    /// may change its key (RFC 9449 §5); one that does not is bound to a key from its first proof on.
    fn refresh_key(&self, client: &Client) -> Option<Thumbprint> {
        self.key().filter(|_| !client.is_confidential())
    }

    /// Uses up the proof, if there is one. That is for what comes with a handle of ours or from a client that proved
    /// itself: whoever makes up keys fills no store.
    async fn use_proof(&self, provider: &Provider) -> Result<(), Failure> {
        match &self.proven {
            Some(proven) if !provider.is_first_use_of(proven).await? => Err(ProtocolError::DPOP_PROOF_REPLAYED.into()),
            _ => Ok(()),
        }
    }

    /// RFC 8707 §2.2: each resource that is named is one of the grant's. What the token is for decides how long it lives.
    fn narrow_resources(
        &mut self,
        provider: &Provider,
        client: &Client,
        grant: &Grant,
        params: &Params,
    ) -> Result<(), ProtocolError> {
        let named: Result<Vec<Resource>, _> = params.all("resource").map(str::parse).collect();
        let error = ProtocolError::RESOURCE_NOT_GRANTED;
        let named = named.map_err(|_| error)?;
        if !named.iter().all(|resource| grant.resources().contains(resource)) {
            return Err(error);
        }
        self.resources = (!named.is_empty()).then_some(named);
        provider.0.config.check_together(self.resources(grant))?;
        self.lifetime = provider.access_token_lifetime(client, self.resources(grant));
        Ok(())
    }

    /// What the token is for.
    fn resources<'a>(&'a self, grant: &'a Grant) -> &'a [Resource] {
        self.resources.as_deref().unwrap_or(grant.resources())
    }

    /// The grant's scope as far as it was asked for now, the client may still have it, the provider still has it, and
    /// what the token is for takes it.
    fn scope_mask(&self, provider: &Provider, client: &Client, grant: &Grant) -> u64 {
        let config = &provider.0.config;
        grant.scope().mask(|name| {
            self.scope.as_ref().is_none_or(|asked| asked.contains(name))
                && config.may_have(client, name)
                && config.is_taken(name, self.resources(grant))
        })
    }

    /// A grant of which nothing is left gives no token.
    fn leaves_something(&self, provider: &Provider, client: &Client, grant: &Grant) -> Result<(), ProtocolError> {
        let asked = self.scope.as_ref().unwrap_or(grant.scope());
        provider.0.config.taken(asked.clone(), self.resources(grant))?;
        if grant.scope().is_empty() || self.scope_mask(provider, client, grant) != 0 {
            return Ok(());
        }
        Err(ProtocolError::SCOPE_GONE)
    }

    /// RFC 9728 §2, `dpop_bound_access_tokens_required`: there is no other token for such a resource.
    fn is_bound_enough(&self, provider: &Provider, grant: &Grant) -> Result<(), ProtocolError> {
        let mut resources = self.resources(grant).iter();
        if self.proven.is_some() || !resources.any(|resource| provider.0.config.needs_dpop(resource)) {
            return Ok(());
        }
        Err(ProtocolError::DPOP_PROOF_MISSING)
    }

    fn resource_mask(&self, grant: &Grant) -> u16 {
        let Some(named) = &self.resources else { return Resource::full_mask(grant.resources()) };
        Resource::mask(grant.resources(), |resource| named.contains(resource))
    }

    /// Lets the app change the token; nothing is consumed yet.
    async fn on_issue(
        &mut self,
        provider: &Provider,
        grant_type: GrantType,
        client: &Client,
        grant: &Arc<Grant>,
    ) -> Result<(), Failure> {
        let Some(hook) = &provider.0.hooks.on_issue else { return Ok(()) };
        let issuance = Issuance {
            grant_type,
            client: client.clone(),
            grant: Arc::clone(grant),
            scope: grant.scope().masked(self.scope_mask(provider, client, grant)),
            access_token_lifetime: self.lifetime,
            members: TokenResponse::new(),
        };
        let issuance = hook(issuance).await?;
        self.lifetime = issuance.access_token_lifetime;
        self.members = issuance.members;
        Ok(())
    }

    /// Makes the access token before anything is consumed, where that may fail: a signature may be somewhere else to be
    /// had. `grant` is what the exchange will leave.
    async fn sign_ahead(
        &mut self,
        provider: &Provider,
        client: &Client,
        id: GrantId,
        grant: &Grant,
    ) -> Result<(), Failure> {
        if provider.is_jwt(grant, self.resource_mask(grant)) {
            self.access_token = Some(self.access_token(provider, client, id, grant).await?);
        }
        Ok(())
    }

    async fn access_token(
        &self,
        provider: &Provider,
        client: &Client,
        id: GrantId,
        grant: &Grant,
    ) -> Result<(AccessHandle, String), Failure> {
        let scope = self.scope_mask(provider, client, grant);
        let handle = provider.access_handle(id, grant, scope, self.resource_mask(grant), self.lifetime);
        let handle = AccessHandle { bound_to: self.key(), ..handle };
        let token = provider.access_token(&handle, grant).await?;
        Ok((handle, token.map_err(|error| Failure::from(error).on(grant.key()).because(TOO_LONG))?))
    }

    /// Makes the access token, unless it is made, and the response around it.
    async fn issue(
        mut self,
        provider: &Provider,
        kind: EventKind,
        client: &Client,
        id: GrantId,
        grant: &Grant,
        refresh_token: Option<String>,
    ) -> Result<TokenResponse, Failure> {
        let (handle, token) = match self.access_token.take() {
            Some(made) => made,
            None => self.access_token(provider, client, id, grant).await?,
        };
        provider.tell(&Event::of(kind, grant));
        let mut response = self.members;
        response.retain(|name, _| !MEMBERS.contains(&&**name));
        let mut put = |name: &str, value: Value| response.insert(name.to_owned(), value);
        put("access_token", token.into());
        put("token_type", if handle.bound_to.is_some() { "DPoP" } else { "Bearer" }.into());
        put("expires_in", handle.expires_at.since(handle.issued_at).into());
        // Always said, not only where it differs from what was asked for; a scope has one token at least (§3.3).
        let scope = grant.scope().masked(handle.scope);
        if !scope.is_empty() {
            put("scope", scope.to_string().into());
        }
        if let Some(refresh_token) = refresh_token {
            put("refresh_token", refresh_token.into());
        }
        Ok(response)
    }
}
