//! What a provider is configured with: paths, scopes, resources, times. The default is the safest.
//!
//! ```
//! use tower_oauth::{Client, MemoryStore, Provider};
//!
//! let wrong = Provider::builder("http://shift.example/").client(Client::public("app")).build();
//! assert_eq!(wrong.unwrap_err().iter().count(), 3); // the issuer, the store, the client's redirect URI
//! ```

mod endpoints;
mod issuer;
mod protected_resource;
mod pushed;
mod resources;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use endpoints::Endpoints;
pub(crate) use endpoints::{Offered, Paths};
pub(crate) use issuer::IssuerUrl;
#[cfg(feature = "jwt")]
pub use protected_resource::AccessTokenFormat;
pub use protected_resource::ProtectedResource;
pub(crate) use protected_resource::Terms;
pub(crate) use pushed::PushedRequests;

use crate::client::{AuthMethod, Client};
use crate::error::ProtocolError;
use crate::registration::{Allowed, ClientIdMetadataPolicy, RegistrationPolicy};
use crate::types::{ACCESS_TOKEN_LIFE, ClientId, Issuer, Resource, Scope};

/// One scope that the provider knows.
#[derive(Debug)]
pub(crate) struct ScopeEntry {
    pub(crate) name: String,
    pub(crate) description: String,
    /// Known to the bearer layer, never granted to anybody.
    pub(crate) reserved: bool,
}

/// How long things live.
#[derive(Clone, Debug)]
pub(crate) struct Lifetimes {
    pub(crate) code: Duration,
    pub(crate) access_token: Duration,
    pub(crate) refresh_idle: Duration,
    pub(crate) refresh_max_age: Option<Duration>,
    pub(crate) refresh_grace: Duration,
    pub(crate) double_submit: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            code: Duration::from_secs(60),
            access_token: Duration::from_secs(10 * 60),
            refresh_idle: Duration::from_secs(90 * 24 * 60 * 60),
            refresh_max_age: None,
            refresh_grace: Duration::from_secs(10),
            double_submit: Duration::from_secs(5),
        }
    }
}

impl Lifetimes {
    /// Whether an access token may live this long.
    pub(crate) fn allow(&self, access_token: Duration) -> bool {
        let least = self.refresh_max_age.unwrap_or(self.refresh_idle).min(self.refresh_idle);
        ACCESS_TOKEN_LIFE.contains(&access_token) && access_token <= least
    }

    pub(crate) fn check(&self, wrong: &mut Vec<ConfigError>) {
        let mut need = |good: bool, what: &str| {
            if !good {
                wrong.push(ConfigError::Lifetime(what.to_owned()));
            }
        };
        let code = Duration::from_secs(1)..=Duration::from_secs(600);
        need(code.contains(&self.code), "a code lives from 1 second to 10 minutes");
        need(ACCESS_TOKEN_LIFE.contains(&self.access_token), "an access token lives from 1 second to 24 hours");
        need(self.refresh_grace <= Duration::from_secs(60), "the grace of a refresh is at most 60 seconds");
        need(
            self.refresh_idle >= self.access_token,
            "a refresh token's idle time is no shorter than an access token's life",
        );
        need(
            self.refresh_max_age.is_none_or(|age| age >= self.access_token),
            "a grant's maximum age is no shorter than an access token's life",
        );
    }
}

/// The scope that asks for a refresh token ([OpenID Connect Core §11](https://openid.net/specs/openid-connect-core-1_0.html#OfflineAccess)).
pub(crate) const OFFLINE_ACCESS: &str = "offline_access";

/// Everything that was configured, checked.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) issuer: Issuer,
    /// Scheme, host and port of the issuer, as a browser writes them.
    pub(crate) origin: String,
    pub(crate) paths: Paths,
    pub(crate) scopes: Vec<ScopeEntry>,
    pub(crate) default_scope: Scope,
    /// Broad and narrow: whoever has the first may do what the second allows.
    pub(crate) includes: Vec<(String, String)>,
    /// The default one is first.
    pub(crate) resources: Vec<Resource>,
    /// What holds at each of them, in the same order.
    pub(crate) terms: Vec<Terms>,
    /// The default one alone, shared by every grant that names none.
    pub(crate) default_resources: Arc<[Resource]>,
    pub(crate) lifetimes: Lifetimes,
    pub(crate) offline_access: bool,
    /// The ways in which users authenticate; none: nobody is held to any.
    pub(crate) acr_values: Vec<String>,
    /// How many live grants one user can have at one client.
    pub(crate) grant_limit: usize,
    /// What the documents of resources name; `None`: all that can be granted.
    pub(crate) resource_scope: Option<Scope>,
    /// Which origins may read what is for pages too; `None`: any.
    pub(crate) cors_origins: Option<Vec<String>>,
    /// The most that a client can register for; `None`: all that can be granted.
    pub(crate) registrable: Option<Scope>,
    /// Whether and how clients register themselves.
    pub(crate) registration: Option<RegistrationPolicy>,
    /// Whether and which clients describe themselves.
    pub(crate) client_id_metadata: Option<ClientIdMetadataPolicy>,
    pub(crate) pushed: PushedRequests,
    /// How access tokens are written where their resource does not say.
    #[cfg(feature = "jwt")]
    pub(crate) access_token_format: AccessTokenFormat,
    /// Which claims of a grant a JWT carries.
    #[cfg(feature = "jwt")]
    pub(crate) jwt_claims: Vec<String>,
    #[cfg(feature = "jwt")]
    pub(crate) private_key_jwt: PrivateKeyJwt,
    #[cfg(feature = "jwt")]
    pub(crate) dpop: Dpop,
    /// The resources for which every token is bound.
    #[cfg(feature = "jwt")]
    pub(crate) dpop_required: Vec<Resource>,
}

/// Whether and how clients prove a key to which their tokens are bound.
#[cfg(feature = "jwt")]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Dpop {
    pub(crate) on: bool,
    /// Whether a proof needs a nonce of the provider's.
    pub(crate) nonces: bool,
}

/// Whether and how clients prove themselves by assertions.
#[cfg(feature = "jwt")]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PrivateKeyJwt {
    pub(crate) on: bool,
    /// Whether the URL of the token endpoint is an audience too.
    pub(crate) for_token_endpoint: bool,
}

impl Config {
    /// Whether a client may have this scope, by what is configured and what it registered.
    pub(crate) fn may_have(&self, client: &Client, name: &str) -> bool {
        self.grantable().any(|known| known == name)
            && client.registered_scope().is_none_or(|registered| registered.contains(name))
    }

    /// The names of the scopes that anybody can be granted.
    pub(crate) fn grantable(&self) -> impl Iterator<Item = &str> {
        self.scopes.iter().filter(|scope| !scope.reserved).map(|scope| &*scope.name)
    }

    /// The same as a scope; as many as one grant can have.
    fn grantable_scope(&self) -> Scope {
        let names: Vec<_> = self.grantable().take(Scope::MAX).collect();
        names.join(" ").parse().expect("the names were checked")
    }

    /// All that a client may have.
    pub(crate) fn all_of(&self, client: &Client) -> Scope {
        let Some(registered) = client.registered_scope() else { return self.grantable_scope() };
        if registered.iter().all(|name| self.may_have(client, name)) {
            return registered.clone();
        }
        registered.filter(|name| self.may_have(client, name))
    }

    /// The ways in which a client can prove itself here.
    pub(crate) fn auth_methods(&self) -> impl Iterator<Item = AuthMethod> {
        AuthMethod::ALL.iter().copied().filter(|method| match method {
            #[cfg(feature = "jwt")]
            AuthMethod::PrivateKeyJwt => self.takes_assertions(),
            _ => true,
        })
    }

    /// Whether clients can sign.
    pub(crate) const fn takes_assertions(&self) -> bool {
        #[cfg(feature = "jwt")]
        let on = self.private_key_jwt.on;
        #[cfg(not(feature = "jwt"))]
        let on = false;
        on
    }

    /// Whether clients can prove keys.
    pub(crate) const fn takes_dpop(&self) -> bool {
        #[cfg(feature = "jwt")]
        let on = self.dpop.on;
        #[cfg(not(feature = "jwt"))]
        let on = false;
        on
    }

    /// Whether any resource takes bound tokens alone.
    pub(crate) const fn has_dpop_required(&self) -> bool {
        #[cfg(feature = "jwt")]
        let any = !self.dpop_required.is_empty();
        #[cfg(not(feature = "jwt"))]
        let any = false;
        any
    }

    /// Whether this resource does, or what it lies below.
    pub(crate) fn needs_dpop(&self, place: &Resource) -> bool {
        #[cfg(feature = "jwt")]
        let needs = self.dpop_required.iter().any(|required| required.covers(place));
        #[cfg(not(feature = "jwt"))]
        let (needs, _) = (false, place);
        needs
    }

    /// What was asked for, if the client may have all of it.
    pub(crate) fn allowed_scope(&self, client: &Client, asked: &str) -> Result<Scope, ProtocolError> {
        let asked: Scope = asked.parse().map_err(|_| ProtocolError::SCOPE_MALFORMED)?;
        if asked.is_empty() {
            return Err(ProtocolError::SCOPE_EMPTY);
        }
        if !asked.iter().all(|name| self.may_have(client, name)) {
            return Err(ProtocolError::SCOPE_NOT_ALLOWED);
        }
        Ok(asked)
    }

    /// What a client may become that the app does not know, with `scope` or less.
    pub(crate) fn allowed(&self, scope: Option<&Scope>, fetches: bool) -> Allowed {
        #[cfg(not(feature = "jwt"))]
        let _ = fetches;
        Allowed {
            scope: self.grantable_scope().filter(|name| scope.is_none_or(|scope| scope.contains(name))),
            pushed: self.pushed.on,
            #[cfg(feature = "jwt")]
            private_key_jwt: self.takes_assertions(),
            #[cfg(feature = "jwt")]
            jwks_uri: fetches,
            #[cfg(feature = "jwt")]
            dpop: self.takes_dpop(),
        }
    }

    /// Whether there is any scope at all. Without one, every grant is of the empty scope.
    pub(crate) fn has_scopes(&self) -> bool {
        !self.scopes.is_empty()
    }

    pub(crate) fn scope_names(&self) -> impl Iterator<Item = &str> {
        self.scopes.iter().map(|scope| &*scope.name)
    }

    /// What others see before a path that a service sees in front of a resource: the origin, and what a proxy takes off.
    #[cfg(feature = "jwt")]
    pub(crate) fn public_base(&self, resource: Option<&Resource>) -> String {
        let place = resource.map_or(&*self.origin, Resource::as_str);
        let host = place.find("://").map_or(0, |colon| colon + 3);
        let path = place[host..].find(['/', '?']).map_or(place.len(), |path| host + path);
        let (origin, path) = place.split_at(path);
        let stripped = self.paths.stripped_prefix();
        let is_below = path.is_empty()
            || path.strip_prefix(stripped).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
        if is_below { format!("{origin}{stripped}") } else { origin.to_owned() }
    }

    /// A path of ours as a URL.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }
}

/// One thing that is wrong with a configuration, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The issuer is no URL that clients could compare.
    Issuer {
        /// What was given.
        issuer: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// There is nowhere to keep clients and grants.
    NoStore,
    /// The secrets cannot be used.
    Secret(String),
    /// A scope is malformed, named twice or unknown.
    Scope(String),
    /// A resource indicator is malformed.
    Resource(String),
    /// A client cannot work.
    Client {
        /// Which.
        client: ClientId,
        /// What is wrong with it.
        why: String,
    },
    /// A way to authenticate is no authentication context class reference, or none is named.
    Acr(String),
    /// A path is not of the form `/a/b`, or two endpoints share one.
    Path(String),
    /// An endpoint is where a well-known document is, as it is published or as the service sees it.
    WellKnown(String),
    /// What is stripped is not the front of what is published.
    Stripped {
        /// What was given.
        stripped: String,
        /// What every published path starts with.
        prefix: String,
    },
    /// An origin for CORS is not written as browsers write it.
    Origin(String),
    /// A time is too long or too short.
    Lifetime(String),
    /// The clock of the store's machine and that of this one are too far apart.
    Clock(String),
    /// Clients cannot describe themselves so.
    ClientIdMetadata(String),
    /// Two issuers of one [set](crate::Issuers) claim the same thing.
    Issuers(String),
    /// The keys that sign JWTs cannot be used, or there are none.
    #[cfg(feature = "jwt")]
    SigningKeys(String),
    /// Something is set for JWT access tokens, and none is made.
    #[cfg(feature = "jwt")]
    AccessTokenFormat(String),
    /// There can be no feed of revocations.
    #[cfg(feature = "jwt")]
    RevocationFeed(String),
    /// Something is set for clients that sign, and none is taken.
    #[cfg(feature = "jwt")]
    PrivateKeyJwt(String),
    /// Something is set for proofs of keys, and none is looked at.
    #[cfg(feature = "jwt")]
    Dpop(String),
    /// A claim that a JWT access token cannot carry for the app.
    #[cfg(feature = "jwt")]
    AccessTokenClaim(String),
    /// Clients are to manage what the store cannot change.
    Registration(String),
    /// Something is set for pushed authorization requests, and none is taken.
    PushedAuthorizationRequests(String),
    /// The token prefix is not made of letters and digits.
    TokenPrefix(String),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Issuer { issuer, why } => write!(f, "issuer {issuer:?}: {why}"),
            Self::NoStore => f.write_str("there is no store: write `.store(MemoryStore::new())`"),
            Self::Secret(why) => write!(f, "secrets: {why}"),
            Self::Scope(why) => write!(f, "scope {why}"),
            Self::Resource(why) => write!(f, "resource {why}"),
            Self::Client { client, why } => write!(f, "client {client:?}: {why}"),
            Self::Acr(why) => write!(f, "acr {why}"),
            Self::Path(path) => {
                write!(f, "path {path:?}: write each endpoint as `/name`, no two alike, without a slash at the end")
            }
            Self::WellKnown(path) => {
                write!(
                    f,
                    "path {path:?}: a well-known document is there (RFC 8414 §3.1, RFC 9728 §3.1): write another one"
                )
            }
            Self::Stripped { stripped, prefix } => write!(
                f,
                "stripped {stripped:?}: every published path has to start with it, and they start with {prefix:?}: \
                 write the issuer as browsers see it, `https://host{stripped}`"
            ),
            Self::Origin(origin) => {
                write!(f, "CORS origin {origin:?}: write `https://host`, without a slash at the end")
            }
            Self::Lifetime(why) => write!(f, "lifetime: {why}"),
            Self::Clock(why) => write!(f, "clock: {why}"),
            Self::ClientIdMetadata(why) => write!(f, "client_id_metadata_documents: {why}"),
            Self::Issuers(why) => f.write_str(why),
            #[cfg(feature = "jwt")]
            Self::SigningKeys(why) => write!(f, "signing keys: {why}"),
            #[cfg(feature = "jwt")]
            Self::AccessTokenFormat(why) => write!(f, "access tokens: {why}"),
            #[cfg(feature = "jwt")]
            Self::RevocationFeed(why) => write!(f, "revocation feed: {why}"),
            #[cfg(feature = "jwt")]
            Self::PrivateKeyJwt(why) => write!(f, "private_key_jwt: {why}"),
            #[cfg(feature = "jwt")]
            Self::Dpop(why) => write!(f, "DPoP: {why}"),
            #[cfg(feature = "jwt")]
            Self::AccessTokenClaim(name) => write!(f, "claim {name:?} of an access token: it is the provider's own"),
            Self::Registration(why) => write!(f, "registration: {why}"),
            Self::PushedAuthorizationRequests(why) => write!(f, "pushed authorization requests: {why}"),
            Self::TokenPrefix(prefix) => write!(f, "token prefix {prefix:?}: write 1 to 16 ASCII letters and digits"),
        }
    }
}

impl std::error::Error for ConfigError {}

/// Everything that is wrong with a configuration, one thing a line.
///
/// `Debug` prints what `Display` prints, so that `fn main() -> Result<_, _>` is readable.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub(crate) Arc<[ConfigError]>);

impl ConfigErrors {
    /// The errors, in the order of the builder's methods.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> + '_ {
        self.0.iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_a_set = matches!(*self.0, [ConfigError::Issuers(_), ..]);
        f.write_str(if of_a_set { "the issuers cannot be one set:" } else { "the provider cannot be built:" })?;
        self.iter().try_for_each(|error| write!(f, "\n  - {error}"))
    }
}

impl fmt::Debug for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ConfigErrors {}

impl Client {
    /// Everything that is wrong with this client, with what to write instead.
    ///
    /// [`build()`](crate::ProviderBuilder::build) checks the clients that it is given. Whoever keeps clients elsewhere
    /// checks one before it is kept.
    ///
    /// # Errors
    /// If it could not work, or could not work safely.
    pub fn check(&self) -> Result<(), ConfigErrors> {
        let wrong = |why| ConfigError::Client { client: self.id().clone(), why };
        let wrong: Arc<[_]> = self.problems().into_iter().map(wrong).collect();
        if wrong.is_empty() { Ok(()) } else { Err(ConfigErrors(wrong)) }
    }
}
