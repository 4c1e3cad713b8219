//! Several issuers in one process, told apart by host or by path.
//!
//! Each issuer is a [`Provider`] of its own: keys, clients, grants and tokens are bound to it, even where all of them share
//! one store and one secret. [`Issuers`] puts them in front of one app. Its [layer](Issuers::layer) gives each request to
//! the issuer that it is for, and passes all else on; its [bearer layer](Issuers::bearer) takes the tokens of the issuer
//! whose API is asked, and no other's.
//!
//! ```
//! use axum::{Router, routing::get};
//! use tower_oauth::{AuthorizationRequest, Authorized, Issuers, MemoryStore, Provider};
//!
//! async fn page(request: AuthorizationRequest) -> String {
//!     format!("{} asks a user of {}", request.client().client_name(), request.issuer())
//! }
//!
//! async fn me(token: Authorized) -> String {
//!     token.subject().to_owned()
//! }
//!
//! let store = MemoryStore::new();
//! let issuer = |issuer: &str| Provider::builder(issuer).store(store.clone()).scope("profile", "see your profile").build();
//! let issuers = Issuers::new([issuer("https://a.example")?, issuer("https://b.example")?])?;
//! let app: Router = Router::new()
//!     .route("/authorize", get(page).post(page))
//!     .route("/me", get(me).route_layer(issuers.bearer(|issuer| issuer.bearer().require("profile"))))
//!     .layer(issuers.layer());
//!
//! issuers.insert(&issuer("https://c.example")?)?; // at any time
//! # Ok::<_, tower_oauth::ConfigErrors>(())
//! ```
//!
//! # Which issuer a request is for
//!
//! The host is the `:authority` of HTTP/2 or the `Host` header, compared with the issuer's as browsers compare them: in any
//! case, with or without the default port. A proxy has to pass it on; `Forwarded` and `X-Forwarded-Host` are not looked at,
//! since anybody can send them. A request that names two hosts, or none that is legible, is a 400
//! ([RFC 9112 §3.2](https://www.rfc-editor.org/rfc/rfc9112#section-3.2)): whoever is inside could go by the other one. On
//! a host of no issuer nothing is answered here, the endpoints' paths no more than others.
//!
//! On its host an issuer answers the paths of its endpoints, and its documents at their well-known places. Anything else is
//! of the issuer one of whose [resources](crate::ProviderBuilder::resource) it lies below, the longest first. By default
//! each issuer has one, its origin. So that `https://h.example/a` and `https://h.example/b` can share a host, each with its
//! own API below `/a` and `/b`, each says so: `.default_resource("https://h.example/a")`.
//!
//! Where the path decides, one that what is inside could read as another is a 400: one with a segment `.` or `..`, an empty
//! one before the last, a `\` or a byte beyond ASCII, or with an escape of `/`, `\` or a character that needs none, as
//! `%62` for `b` ([RFC 3986 §6.2.2](https://www.rfc-editor.org/rfc/rfc3986#section-6.2.2)). So the paths of resources that
//! share a host are best of letters, digits and `-._~`, which have one spelling.
//!
//! # Where what is inside finds the issuer
//!
//! - A page asks [`AuthorizationRequest::issuer`](crate::AuthorizationRequest::issuer). A session is of one issuer: `alice`
//!   at one is nobody at another, whatever the app's table of users looks like.
//! - A resolver of users is made for each issuer: `issuers.bearer(|issuer| issuer.bearer().user_with(..))`.
//! - Any other service asks [`Issuers::of`].

mod bearer;
mod host;
mod layer;
mod table;

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub use bearer::{IssuersBearer, IssuersBearerLayer};
use http::Request;
pub use layer::{IssuersLayer, IssuersService};
use table::{Owner, Table};

use crate::config::{ConfigError, ConfigErrors};
use crate::provider::Provider;

/// A set of issuers that one app serves. Clones share it.
///
/// See the [module docs](crate::issuers) for an example.
#[derive(Clone)]
pub struct Issuers(Arc<RwLock<Table>>);

/// To which issuer's part of its host a request belongs, where the path decides: noted where the path is whole.
#[derive(Clone)]
struct Noted {
    by: Issuers,
    issuer: Option<Provider>,
}

/// Whose request it is.
enum Whose {
    Of(Provider),
    Nobodys,
    /// The path would say, and no layer of this set has seen it whole.
    Unseen,
    /// It names two hosts or one that is illegible, or its path can be read as another one.
    Ambiguous,
}

impl Issuers {
    /// A set of these issuers; it may be empty.
    ///
    /// # Errors
    /// Everything that is claimed by two of them: an issuer, the path of an endpoint or a resource; with what to write
    /// instead.
    pub fn new(providers: impl IntoIterator<Item = Provider>) -> Result<Self, ConfigErrors> {
        let mut table = Table::default();
        let mut wrong = Vec::new();
        for provider in providers {
            if table.has(&provider) {
                let twice = format!("`{}` is there twice: leave one of them out", provider.issuer());
                wrong.push(ConfigError::Issuers(twice));
            } else if let Err(taken) = table.insert(&provider) {
                wrong.extend(taken);
            }
        }
        if wrong.is_empty() { Ok(Self(Arc::new(RwLock::new(table)))) } else { Err(ConfigErrors(wrong.into())) }
    }

    /// Adds an issuer, or puts it in the place of the provider with the same issuer. Requests under way end as they began.
    ///
    /// # Errors
    /// What another issuer of the set has already. The set is then as it was.
    pub fn insert(&self, provider: &Provider) -> Result<(), ConfigErrors> {
        self.write().insert(provider).map_err(|wrong| ConfigErrors(wrong.into()))
    }

    /// Takes an issuer out. Its tokens open nothing here any more; its clients and grants stay in its store.
    pub fn remove(&self, issuer: &str) {
        self.write().remove(issuer);
    }

    /// The issuer whose part of the app a request is for, by its host and, where several share one, by its path.
    ///
    /// A router that is nested under a prefix takes that off the path. So where the path decides, [`layer`](Self::layer)
    /// has to be outside: without it the answer is `None`.
    #[must_use]
    pub fn of<B>(&self, request: &Request<B>) -> Option<Provider> {
        match self.whose(request) {
            Whose::Of(provider) => Some(provider),
            Whose::Nobodys | Whose::Unseen | Whose::Ambiguous => None,
        }
    }

    fn whose<B>(&self, request: &Request<B>) -> Whose {
        if let Some(noted) = self.noted(request) {
            return noted.issuer.clone().map_or(Whose::Nobodys, Whose::Of);
        }
        let Ok(authority) = host::authority(request) else { return Whose::Ambiguous };
        match self.read().owner(authority, request.uri()) {
            Owner::OfHost(issuer) => Whose::Of(issuer.provider().clone()),
            Owner::OfPath(_) => Whose::Unseen,
            Owner::Ambiguous => Whose::Ambiguous,
            Owner::Nobody => Whose::Nobodys,
        }
    }

    fn noted<'a, B>(&self, request: &'a Request<B>) -> Option<&'a Noted> {
        request.extensions().get().filter(|noted: &&Noted| Arc::ptr_eq(&noted.by.0, &self.0))
    }

    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Issuers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.read().providers().map(Provider::issuer)).finish()
    }
}
