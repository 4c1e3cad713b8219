use std::time::Duration;

use crate::types::Scope;

/// How an access token is written.
#[cfg(feature = "jwt")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccessTokenFormat {
    /// A handle that this provider alone can check: with one MAC and one look-up of its grant, or for others by
    /// introspection. 94 characters that say nothing to anybody else.
    #[default]
    Handle,
    /// A JWT ([RFC 9068](https://www.rfc-editor.org/rfc/rfc9068)), which a resource server elsewhere can check without
    /// asking, and whoever holds it can read. Until its end it is good for those who do not ask: this provider's own
    /// layers refuse it as soon as its grant ends.
    Jwt,
}

/// An API for which clients can ask for tokens ([RFC 8707](https://www.rfc-editor.org/rfc/rfc8707)); a text is one.
///
/// What is not said here is as everywhere at the provider. To say it of the
/// [default resource](crate::ProviderBuilder::default_resource), name that one. Of two with one URI, what the later one says
/// holds.
///
/// ```
/// use std::time::Duration;
/// use tower_oauth::{MemoryStore, ProtectedResource, Provider};
///
/// let provider = Provider::builder("https://shift.example")
///     .store(MemoryStore::new())
///     .scope("profile", "see your profile")
///     .scope("tools:call", "call your tools")
///     .resource("https://api.example/v1")
///     .resource(
///         ProtectedResource::new("https://shift.example/mcp")
///             .scope("tools:call")
///             .access_token_lifetime(Duration::from_secs(5 * 60)),
///     )
///     .build()?;
/// # Ok::<_, tower_oauth::ConfigErrors>(())
/// ```
#[must_use]
#[derive(Clone, Debug)]
pub struct ProtectedResource {
    pub(crate) uri: String,
    pub(crate) scope: Option<String>,
    pub(crate) access_token_lifetime: Option<Duration>,
    #[cfg(feature = "jwt")]
    pub(crate) format: Option<AccessTokenFormat>,
    #[cfg(feature = "jwt")]
    pub(crate) dpop_required: bool,
}

impl ProtectedResource {
    /// The API of this URI.
    pub fn new(uri: impl Into<String>) -> Self {
        Self {
            uri: uri.into(),
            scope: None,
            access_token_lifetime: None,
            #[cfg(feature = "jwt")]
            format: None,
            #[cfg(feature = "jwt")]
            dpop_required: false,
        }
    }

    /// The scopes that it takes, spaces between them; by default all.
    ///
    /// No others are in a token for it, whatever was asked for and granted
    /// ([RFC 8707 §2.2](https://www.rfc-editor.org/rfc/rfc8707#section-2.2)), nor in its metadata, and a page is shown
    /// none that none of the resources takes for which it is asked. A request that names none gets those of the
    /// [default scope](crate::ProviderBuilder::default_scope) that it takes; one that names others only is
    /// `invalid_scope`.
    ///
    /// One token is for several resources only where they take the same scopes, so that nobody has to guess at which of
    /// them a scope means something ([RFC 9068 §5](https://www.rfc-editor.org/rfc/rfc9068#section-5)). A grant may be for
    /// any: the client names one at the token endpoint, each time the one that it wants, or gets `invalid_target`.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// How long access tokens for it live, from 1 second to 24 hours, in place of what the
    /// [provider](crate::ProviderBuilder::access_token_lifetime) says. Where the
    /// [client](crate::Client::access_token_lifetime) has a lifetime too, or the token is for several resources, the
    /// shortest one holds.
    pub const fn access_token_lifetime(mut self, lifetime: Duration) -> Self {
        self.access_token_lifetime = Some(lifetime);
        self
    }

    /// How access tokens for it are written, whatever the
    /// [provider](crate::ProviderBuilder::access_token_format) does else. A token for several is a JWT if one of them
    /// wants it.
    #[cfg(feature = "jwt")]
    pub fn access_token_format(mut self, format: AccessTokenFormat) -> Self {
        self.format = Some(format);
        self
    }

    /// Every access token for it is bound to a key of its client, `dpop_bound_access_tokens_required`
    /// ([RFC 9728 §2](https://www.rfc-editor.org/rfc/rfc9728#section-2)): the token endpoint gives out no other, and the
    /// provider's own bearer layer for it, or for what lies below it, takes no other. The provider has to
    /// [look at proofs](crate::ProviderBuilder::dpop).
    #[cfg(feature = "jwt")]
    pub fn dpop_bound_access_tokens_required(mut self) -> Self {
        self.dpop_required = true;
        self
    }
}

impl From<&str> for ProtectedResource {
    fn from(uri: &str) -> Self {
        Self::new(uri)
    }
}

impl From<String> for ProtectedResource {
    fn from(uri: String) -> Self {
        Self::new(uri)
    }
}

impl From<&String> for ProtectedResource {
    fn from(uri: &String) -> Self {
        Self::new(uri)
    }
}

/// What holds at one resource; `None`: what holds at all.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    /// In the order of the configuration, so that the same scopes are the same.
    pub(crate) scope: Option<Scope>,
    pub(crate) access_token_lifetime: Option<Duration>,
    #[cfg(feature = "jwt")]
    pub(crate) format: Option<AccessTokenFormat>,
}

impl Terms {
    pub(super) const COMMON: &Self = &Self {
        scope: None,
        access_token_lifetime: None,
        #[cfg(feature = "jwt")]
        format: None,
    };

    /// Adds what a later one says.
    pub(crate) fn add(&mut self, more: Self) {
        self.scope = more.scope.or(self.scope.take());
        self.access_token_lifetime = more.access_token_lifetime.or(self.access_token_lifetime);
        #[cfg(feature = "jwt")]
        {
            self.format = more.format.or(self.format);
        }
    }
}
