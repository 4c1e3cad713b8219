//! The endpoints: one thin service each, and all of them in one layer.
//!
//! [`ProviderLayer`] is the usual way: it answers the endpoints, wraps the authorization path and passes all else
//! through. Where the service is mounted under a prefix, [`Provider::nest`] answers below it, and
//! [`Provider::well_known`] at the root of the origin. Behind a proxy that takes a prefix off, say so with
//! [`Endpoints::stripped`](crate::Endpoints::stripped).
//!
//! ```
//! use axum::{Router, routing::get};
//! use tower_oauth::{AuthorizationRequest, Endpoints, MemoryStore, Provider};
//!
//! async fn page(request: AuthorizationRequest) -> String {
//!     format!("{} asks", request.client().client_name())
//! }
//!
//! let provider = Provider::builder("https://shift.example")
//!     .store(MemoryStore::new())
//!     .endpoints(Endpoints::under("/v1/oauth2").authorization("/auth"))
//!     .build()?;
//!
//! // One layer, last:
//! let app: Router = Router::new().route("/v1/oauth2/auth", get(page).post(page)).layer(provider.layer());
//!
//! // Or nested:
//! let app: Router = Router::new()
//!     .nest_service(provider.prefix(), provider.nest(get(page).post(page)))
//!     .route_service(provider.metadata_path(), provider.well_known());
//!
//! // Or one by one:
//! let app: Router = Router::new()
//!     .route_service("/v1/oauth2/auth", provider.authorize(get(page).post(page)))
//!     .route_service("/v1/oauth2/token", provider.token())
//!     .route_service(provider.metadata_path(), provider.well_known());
//! # Ok::<_, tower_oauth::ConfigErrors>(())
//! ```
//!
//! [`Provider::nest`]: crate::Provider::nest
//! [`Provider::well_known`]: crate::Provider::well_known

mod all;
mod authorize;
#[cfg(feature = "pages")]
mod connected_apps;
mod introspection;
#[cfg(feature = "jwt")]
mod jwks;
mod layer;
mod leaf;
mod nest;
mod proof;
mod pushed_authorization_request;
mod registration;
mod resource_metadata;
mod revocation;
#[cfg(feature = "jwt")]
mod revocation_feed;
mod token;
mod well_known;

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

pub use all::ProviderFuture;
pub(crate) use all::{All, Claim};
pub use authorize::{Authorize, AuthorizeLayer};
#[cfg(feature = "pages")]
pub use connected_apps::ConnectedApps;
pub use introspection::Introspection;
#[cfg(feature = "jwt")]
pub use jwks::JwkSet;
pub use layer::{ProviderLayer, ProviderService};
pub use nest::Nest;
pub use pushed_authorization_request::PushedAuthorizationRequest;
pub use registration::Registration;
pub use resource_metadata::ResourceMetadata;
pub use revocation::Revocation;
#[cfg(feature = "jwt")]
pub use revocation_feed::RevocationFeed;
pub use token::Token;
pub use well_known::WellKnown;

use crate::http::Reply;

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The answer of an endpoint, on its way. Boxed, since a store is asked on it, next to which a box is nothing.
pub struct ResponseFuture<Res = Reply, E = Infallible>(Boxed<Result<Res, E>>);

impl<Res, E> ResponseFuture<Res, E> {
    pub(crate) fn new(answer: impl Future<Output = Result<Res, E>> + Send + 'static) -> Self {
        Self(Box::pin(answer))
    }
}

impl<Res, E> Future for ResponseFuture<Res, E> {
    type Output = Result<Res, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<Res, E> fmt::Debug for ResponseFuture<Res, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
