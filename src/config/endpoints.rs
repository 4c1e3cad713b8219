use super::ConfigError;

pub(crate) const SERVER_METADATA: &str = "/.well-known/oauth-authorization-server";
pub(super) const RESOURCE_METADATA: &str = "/.well-known/oauth-protected-resource";

/// Where the endpoints are, below the issuer.
///
/// The same value decides what is served and what is published, so that the two cannot disagree.
///
/// ```
/// use tower_oauth::Endpoints;
///
/// let endpoints = Endpoints::under("/v1/oauth2").authorization("/auth"); // and /v1/oauth2/token, ..
/// ```
#[must_use]
#[derive(Clone, Debug)]
pub struct Endpoints {
    prefix: String,
    stripped: String,
    authorization: String,
    token: String,
    revocation: String,
    introspection: String,
    registration: String,
    pushed_authorization_request: String,
    jwks: String,
    revocation_feed: String,
}

impl Default for Endpoints {
    /// `/authorize`, `/token`, `/revoke`, `/introspect` and `/register`, at the root of the issuer.
    fn default() -> Self {
        Self::under("")
    }
}

impl Endpoints {
    /// `/authorize`, `/token`, `/revoke`, `/introspect` and `/register`, below `prefix`.
    pub fn under(prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            stripped: String::new(),
            authorization: "/authorize".to_owned(),
            token: "/token".to_owned(),
            revocation: "/revoke".to_owned(),
            introspection: "/introspect".to_owned(),
            registration: "/register".to_owned(),
            pushed_authorization_request: "/par".to_owned(),
            jwks: "/jwks".to_owned(),
            revocation_feed: "/revoked".to_owned(),
        }
    }

    /// The path of the authorization endpoint, behind the prefix.
    pub fn authorization(mut self, path: impl Into<String>) -> Self {
        self.authorization = path.into();
        self
    }

    /// The path of the token endpoint, behind the prefix.
    pub fn token(mut self, path: impl Into<String>) -> Self {
        self.token = path.into();
        self
    }

    /// The path of the revocation endpoint, behind the prefix.
    pub fn revocation(mut self, path: impl Into<String>) -> Self {
        self.revocation = path.into();
        self
    }

    /// The path of the introspection endpoint, behind the prefix.
    pub fn introspection(mut self, path: impl Into<String>) -> Self {
        self.introspection = path.into();
        self
    }

    /// The path of the registration endpoint, behind the prefix.
    pub fn registration(mut self, path: impl Into<String>) -> Self {
        self.registration = path.into();
        self
    }

    /// The path of the pushed authorization request endpoint, behind the prefix. By default `/par`; nothing is there unless
    /// requests [can be pushed](crate::ProviderBuilder::pushed_authorization_requests).
    pub fn pushed_authorization_request(mut self, path: impl Into<String>) -> Self {
        self.pushed_authorization_request = path.into();
        self
    }

    /// The path of the published keys, behind the prefix. By default `/jwks`; nothing is there unless some access token is
    /// a JWT.
    #[cfg(feature = "jwt")]
    pub fn jwks(mut self, path: impl Into<String>) -> Self {
        self.jwks = path.into();
        self
    }

    /// The path of the feed of revocations, behind the prefix. By default `/revoked`; nothing is there without
    /// [`ProviderBuilder::revocation_feed`](crate::ProviderBuilder::revocation_feed).
    #[cfg(feature = "jwt")]
    pub fn revocation_feed(mut self, path: impl Into<String>) -> Self {
        self.revocation_feed = path.into();
        self
    }

    /// What a proxy takes off the front of every path before the service sees it. By default nothing.
    ///
    /// Published URLs keep it, since they are what browsers see. So it is the front of the issuer's path, or of that
    /// and the prefix; [`build`](crate::ProviderBuilder::build) refuses anything else.
    ///
    /// The well-known documents are at the root of the origin
    /// ([RFC 8414 §3.1](https://www.rfc-editor.org/rfc/rfc8414#section-3.1)): the proxy passes them on as they are.
    ///
    /// ```
    /// use tower_oauth::{Endpoints, MemoryStore, Provider};
    ///
    /// let provider = Provider::builder("https://public.example/auth")
    ///     .store(MemoryStore::new())
    ///     .endpoints(Endpoints::default().stripped("/auth")) // browsers see /auth/token, the service /token
    ///     .build()?;
    /// assert_eq!(provider.metadata_path(), "/.well-known/oauth-authorization-server/auth"); // to both
    /// # Ok::<_, tower_oauth::ConfigErrors>(())
    /// ```
    pub fn stripped(mut self, prefix: impl Into<String>) -> Self {
        self.stripped = prefix.into();
        self
    }

    /// Those that are always there, or have their path kept for them.
    fn fixed(&self) -> [&str; 5] {
        [&self.authorization, &self.token, &self.revocation, &self.introspection, &self.registration]
    }
}

/// Which endpoints there are beside those that are always there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offered {
    pub(crate) pushed_authorization_request: bool,
    pub(crate) jwks: bool,
    pub(crate) revocation_feed: bool,
}

/// The paths of one issuer on its origin.
#[derive(Debug)]
pub(crate) struct Paths {
    /// What stands before every endpoint: the issuer's path and the configured prefix.
    prefix: String,
    pub(crate) authorization: String,
    pub(crate) token: String,
    pub(crate) revocation: String,
    pub(crate) introspection: String,
    pub(crate) registration: String,
    /// `None` where nothing is there, as in the next.
    pub(crate) pushed_authorization_request: Option<String>,
    pub(crate) jwks: Option<String>,
    /// `None` where nothing is told there.
    pub(crate) revocation_feed: Option<String>,
    /// Where the server metadata are (RFC 8414 §3.1): the well-known name goes between host and path.
    pub(crate) server_metadata: String,
    /// How many bytes of the prefix are gone when the service sees a path.
    stripped: usize,
}

impl Paths {
    /// Without an issuer, which is an error of its own, nothing is said of what depends on its path.
    pub(crate) fn new(
        endpoints: &Endpoints,
        issuer_path: Option<&str>,
        offered: Offered,
        wrong: &mut Vec<ConfigError>,
    ) -> Self {
        for prefix in [&endpoints.prefix, &endpoints.stripped] {
            if !prefix.is_empty() && !is_path(prefix) {
                wrong.push(ConfigError::Path(prefix.clone()));
            }
        }
        let path = issuer_path.unwrap_or_default();
        let prefix = format!("{path}{}", endpoints.prefix);
        let seen = prefix.strip_prefix(&endpoints.stripped).filter(|rest| rest.is_empty() || rest.starts_with('/'));
        if seen.is_none() && issuer_path.is_some() && is_path(&endpoints.stripped) {
            wrong.push(ConfigError::Stripped { stripped: endpoints.stripped.clone(), prefix: prefix.clone() });
        }
        let seen = seen.unwrap_or(&prefix);
        let server_metadata = format!("{SERVER_METADATA}{path}");
        let is_document = |path: &str| path == server_metadata || is_resource_metadata(path);
        let pushed = offered.pushed_authorization_request.then_some(&*endpoints.pushed_authorization_request);
        let jwks = offered.jwks.then_some(&*endpoints.jwks);
        let feed = offered.revocation_feed.then_some(&*endpoints.revocation_feed);
        let all: Vec<_> = endpoints.fixed().into_iter().chain(pushed).chain(jwks).chain(feed).collect();
        for (at, path) in all.iter().enumerate() {
            if !is_path(path) || all[..at].contains(path) {
                wrong.push(ConfigError::Path((*path).to_owned()));
            } else if [&*prefix, seen].iter().any(|prefix| is_document(&format!("{prefix}{path}"))) {
                wrong.push(ConfigError::WellKnown((*path).to_owned()));
            }
        }
        let stripped = prefix.len() - seen.len();
        let published = |path: &str| format!("{prefix}{path}");
        let [authorization, token, revocation, introspection, registration] = endpoints.fixed().map(published);
        Self {
            authorization,
            token,
            revocation,
            introspection,
            registration,
            pushed_authorization_request: pushed.map(published),
            jwks: jwks.map(published),
            revocation_feed: feed.map(published),
            server_metadata,
            stripped,
            prefix,
        }
    }

    /// What stands before every endpoint, as the service sees it.
    pub(crate) fn seen_prefix(&self) -> &str {
        self.seen(&self.prefix)
    }

    /// What a proxy takes off the front of every path.
    #[cfg(feature = "jwt")]
    pub(crate) fn stripped_prefix(&self) -> &str {
        &self.prefix[..self.stripped]
    }

    /// Whether a proxy takes something off the front of every path.
    pub(crate) fn is_stripped(&self) -> bool {
        self.stripped > 0
    }

    /// Every path that is answered, as the service sees it; the documents of resources are apart, since each is at any
    /// number of paths.
    pub(crate) fn served(&self) -> impl Iterator<Item = &str> {
        let endpoints = [&self.authorization, &self.token, &self.revocation, &self.introspection, &self.registration];
        let endpoints = endpoints.into_iter().chain(&self.pushed_authorization_request).chain(&self.jwks);
        let endpoints = endpoints.chain(&self.revocation_feed);
        endpoints.map(|endpoint| self.seen(endpoint)).chain([&*self.server_metadata])
    }

    /// Any path of the origin, as the service sees it.
    pub(crate) fn seen_place<'a>(&self, path: &'a str) -> &'a str {
        let rest = path.strip_prefix(&self.prefix[..self.stripped]);
        rest.filter(|rest| rest.is_empty() || rest.starts_with(['/', '?'])).unwrap_or(path)
    }

    /// The path of an endpoint, as the service sees it.
    pub(crate) fn seen<'a>(&self, endpoint: &'a str) -> &'a str {
        &endpoint[self.stripped..]
    }
}

/// Whether the document of a resource can be there: at the root for the origin itself, and below for each path
/// ([RFC 9728 §3.1](https://www.rfc-editor.org/rfc/rfc9728#section-3.1)).
fn is_resource_metadata(path: &str) -> bool {
    path.strip_prefix(RESOURCE_METADATA).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A path as it is published and compared: `/a/b`, nothing encoded, no slash at the end.
pub(super) fn is_path(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|rest| {
        rest.split('/').all(|segment| {
            !matches!(segment, "" | "." | "..")
                && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
        })
    })
}
