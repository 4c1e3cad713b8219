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
/// ```
/// use tower_oauth::{MemoryStore, ProtectedResource, Provider};
///
/// let provider = Provider::builder("https://shift.example")
///     .store(MemoryStore::new())
///     .resource("https://api.example/v1")
///     .resource(ProtectedResource::new("https://api.example/v2"))
///     .build()?;
/// # Ok::<_, tower_oauth::ConfigErrors>(())
/// ```
#[must_use]
#[derive(Clone, Debug)]
pub struct ProtectedResource {
    pub(crate) uri: String,
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
            #[cfg(feature = "jwt")]
            format: None,
            #[cfg(feature = "jwt")]
            dpop_required: false,
        }
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

/// How the tokens for each resource are written.
#[cfg(feature = "jwt")]
#[derive(Debug, Default)]
pub(crate) struct Formats {
    pub(crate) default: AccessTokenFormat,
    pub(crate) own: Vec<(crate::types::Resource, AccessTokenFormat)>,
}

#[cfg(feature = "jwt")]
impl Formats {
    fn of(&self, resource: &crate::types::Resource) -> AccessTokenFormat {
        self.own.iter().find(|(of, _)| of == resource).map_or(self.default, |(_, format)| *format)
    }

    /// Whether any token is a JWT.
    pub(crate) fn any(&self) -> bool {
        self.default == AccessTokenFormat::Jwt || self.own.iter().any(|(_, format)| *format == AccessTokenFormat::Jwt)
    }

    /// Whether a token for these is a JWT.
    pub(crate) fn want_jwt<'a>(&self, resources: impl IntoIterator<Item = &'a crate::types::Resource>) -> bool {
        resources.into_iter().any(|resource| self.of(resource) == AccessTokenFormat::Jwt)
    }
}
