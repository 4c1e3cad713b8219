//! Tower middleware that turns a service into an OAuth 2.1 provider and protects APIs with bearer tokens.
//!
//! Add one layer and an app is an authorization server; add another and an API is protected by it. It works the same
//! over axum, tonic and plain hyper.
//!
//! - [`Provider`] is the authorization server: [`Provider::builder`] configures it, [`Provider::layer`] mounts it.
//! - The login and consent page is an ordinary route of the app: see [`page`].
//! - [`Provider::bearer`] protects routes: see [`bearer`].
//! - An API apart from its authorization server is protected by the same layer: see [`resource_server`].
//! - Clients and grants live in a [`store`].
//! - [`issuers`]: several of them in one process, by host or path.
//! - [`guide`]: coming from pyoauth2, hook by hook.
//!
//! # Features
//! - `memory` (default): [`MemoryStore`].
//! - `axum` (default): [extractors](crate::extract) for axum, with axum-core alone.
//! - `pages`: the page on which a user sees and disconnects apps.
//! - `tracing`: spans, and a log line for each [event].
//! - `metrics`: counters of events.
//! - `sqlite`: `SqliteStore`. Needs a C compiler and Rust 1.94.
//! - `postgres`: `PostgresStore`. Needs Rust 1.94.
//! - `redis`: `RedisStore`.
//! - `jwt`: access tokens that others verify, and their verification: see `jwt`; tokens that are bound to a key of their
//!   client: see `dpop`; clients that sign, `private_key_jwt`. Needs a C compiler.
//! - `http-client`: `HttpClient`, which [fetches](crate::fetch) from public addresses alone. Needs a C compiler.
//! - `test-util`: a clock that is set by hand, the whole flow in four lines, the suite that every store must pass.
//!
//! A feature adds names; it never changes what the rest does.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(test), warn(clippy::unwrap_used, clippy::panic))]

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod authorization;
pub mod bearer;
pub mod client;
pub mod clock;
pub mod config;
#[cfg(feature = "jwt")]
pub mod dpop;
pub mod endpoint;
pub mod error;
pub mod event;
#[cfg(feature = "axum")]
pub mod extract;
pub mod fetch;
pub mod grant;
mod grant_type;
pub mod guide;
mod handle;
mod http;
pub mod issuers;
#[cfg(feature = "jwt")]
pub mod jwt;
mod mac;
pub mod page;
pub mod provider;
pub mod registration;
pub mod resource_server;
#[cfg(feature = "jwt")]
mod revoked_list;
pub mod secret;
mod span;
pub mod store;
#[cfg(feature = "test-util")]
pub mod testing;
pub mod types;

pub use authorization::{Approval, Denial};
#[cfg(feature = "jwt")]
pub use bearer::Dpop;
pub use bearer::{
    Authorized, Bearer, BearerLayer, Credentials, NoUser, Refusal, Require, ResolveUser, StepUp, UserAnswer,
    Verification, Verify,
};
pub use client::{AuthMethod, Client, ClientSecret, GrantType};
pub use clock::{Clock, SystemClock};
#[cfg(feature = "jwt")]
pub use config::AccessTokenFormat;
pub use config::{ConfigError, ConfigErrors, Endpoints, ProtectedResource};
#[cfg(feature = "pages")]
pub use endpoint::ConnectedApps;
pub use endpoint::{
    Authorize, AuthorizeLayer, Introspection, Nest, ProviderLayer, ProviderService, PushedAuthorizationRequest,
    Registration, ResourceMetadata, Revocation, Token, WellKnown,
};
#[cfg(feature = "jwt")]
pub use endpoint::{JwkSet, RevocationFeed};
pub use error::{ErrorCode, Fault, InvalidRecord, ProtocolError, StoreError};
#[cfg(feature = "axum")]
pub use extract::MissingLayer;
pub use fetch::Fetch;
#[cfg(feature = "http-client")]
pub use fetch::{HttpClient, HttpClientBuilder, HttpClientError};
pub use grant::{Grant, GrantRecord, Outcome, Redemption, Refused, RevocationReason, RevokedTokens, Rotation, Verdict};
pub use handle::{GrantKey, InvalidGrantKey};
pub use http::{NoBody, ResponseBody};
pub use issuers::{Issuers, IssuersBearer, IssuersBearerLayer, IssuersLayer, IssuersService};
pub use page::{AuthorizationRequest, escape};
pub use provider::{AccessToken, ConnectedApp, Continue, Issuance, Provider, ProviderBuilder, ResourceServer, Sweeper};
#[cfg(feature = "jwt")]
pub use provider::{Signer, SigningKeys};
pub use registration::{ClientIdMetadataPolicy, RegistrationPolicy};
pub use resource_server::Introspector;
#[cfg(feature = "jwt")]
pub use resource_server::JwtVerifier;
pub use secret::{Secret, Secrets};
#[cfg(feature = "memory")]
pub use store::MemoryStore;
#[cfg(feature = "sqlite")]
pub use store::SqliteStore;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
pub use store::{ClientRegistry, DatabaseError, ListedClient};
pub use store::{ClientStore, GrantStore, Holder, Layered, OnceKey, RegistrationTerms, Store};
#[cfg(feature = "postgres")]
pub use store::{OpenPostgres, PostgresStore};
#[cfg(feature = "redis")]
pub use store::{OpenRedis, RedisStore};
pub use types::{
    ClientId, InvalidResource, InvalidScope, InvalidThumbprint, Issuer, Resource, Scope, Subject, Thumbprint, UnixTime,
};
