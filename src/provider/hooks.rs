use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::client::{Client, GrantType};
use crate::error::{ProtocolError, StoreError};
use crate::grant::Grant;
use crate::store::BoxFuture;
use crate::types::{ACCESS_TOKEN_LIFE, Scope};

/// What [`ProviderBuilder::may_continue`](super::ProviderBuilder::may_continue) answers. `true` is `Yes`, `false` is
/// `No`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Continue {
    /// The client stays connected.
    Yes,
    /// The grant ends, and the client gets `invalid_grant`.
    No,
    /// The client stays connected; this access token carries no more than this scope.
    Narrowed(Scope),
}

impl From<bool> for Continue {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

/// An access token that is about to be issued; see [`ProviderBuilder::on_issue`](super::ProviderBuilder::on_issue).
#[derive(Clone, Debug)]
pub struct Issuance {
    pub(crate) grant_type: GrantType,
    pub(crate) client: Client,
    pub(crate) grant: Arc<Grant>,
    pub(crate) scope: Scope,
    pub(crate) access_token_lifetime: Duration,
    pub(crate) members: Map<String, Value>,
}

impl Issuance {
    /// How it is asked for.
    #[must_use]
    pub const fn grant_type(&self) -> GrantType {
        self.grant_type
    }

    /// Who asks.
    #[must_use]
    pub const fn client(&self) -> &Client {
        &self.client
    }

    /// The grant, as it is before this exchange.
    #[must_use]
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// What the token will carry.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// How long the token lives, from 1 second to 24 hours, and no longer than a refresh token may go
    /// [unused](super::ProviderBuilder::refresh_token_idle); by default what the
    /// client is registered with, or else the provider is configured with.
    #[must_use]
    pub fn access_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.access_token_lifetime = lifetime.clamp(*ACCESS_TOKEN_LIFE.start(), *ACCESS_TOKEN_LIFE.end());
        self
    }

    /// Adds a member to the token response. The standard's own members cannot be replaced.
    #[must_use]
    pub fn member(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.members.insert(name.into(), value.into());
        self
    }
}

type ErrorPage = Arc<dyn Fn(&ProtocolError) -> String + Send + Sync>;

type Hook<In, Out> = Arc<dyn Fn(In) -> BoxFuture<'static, Result<Out, StoreError>> + Send + Sync>;

/// What an app has to say in between.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) may_continue: Option<Hook<Arc<Grant>, Continue>>,
    pub(crate) on_issue: Option<Hook<Issuance, Issuance>>,
    pub(crate) error_page: Option<ErrorPage>,
}

/// Boxes a hook of the app's own types.
pub(super) fn hook<In, Out, F, Fut, T, E>(run: F) -> Hook<In, Out>
where
    F: Fn(In) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T, E>> + Send + 'static,
    T: Into<Out>,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    Arc::new(move |input| {
        let answer = run(input);
        Box::pin(async move { answer.await.map(Into::into).map_err(StoreError::new) })
    })
}
