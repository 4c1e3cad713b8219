//! Extractors and answers for axum (feature `axum`).
//!
//! - [`AuthorizationRequest`] in the handlers of the authorization page.
//! - [`Authorized`] and `Authorized<User>` in protected handlers; `Option<Authorized>` below an optional layer.
//! - [`Approval`], [`Denial`] and [`StepUp`] as answers.
//!
//! ```
//! use tower_oauth::Authorized;
//!
//! #[derive(Clone)]
//! struct User { name: String }
//!
//! async fn me(token: Authorized<User>) -> String {
//!     format!("{} through {}", token.user().name, token.client_id())
//! }
//!
//! async fn greet(token: Option<Authorized>) -> String {
//!     token.map_or("hello".to_owned(), |token| format!("hello {}", token.subject()))
//! }
//! ```

use std::any::type_name;
use std::fmt;

use axum_core::body::Body;
use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

use crate::authorization::{Approval, Denial};
use crate::bearer::{Authorized, Optional, StepUp};
use crate::page::AuthorizationRequest;

/// A layer is missing above a handler, or it stands at the wrong place. The answer is 500, and its body names the line
/// to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingLayer(String);

impl fmt::Display for MissingLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for MissingLayer {}

impl IntoResponse for MissingLayer {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.0).into_response()
    }
}

impl<S: Sync> FromRequestParts<S> for AuthorizationRequest {
    type Rejection = MissingLayer;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, MissingLayer> {
        Self::from_extensions(&parts.extensions).ok_or_else(|| {
            MissingLayer(
                "`AuthorizationRequest` is only there below the authorization endpoint: is `provider.layer()` applied \
                 after this route, is `/authorize` its path, and, with several issuers, is this host one of theirs?"
                    .to_owned(),
            )
        })
    }
}

impl<U, S> FromRequestParts<S> for Authorized<U>
where
    U: Clone + Send + Sync + 'static,
    S: Sync,
{
    type Rejection = MissingLayer;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, MissingLayer> {
        find(parts)?
            .ok_or_else(|| MissingLayer("the bearer layer is `.optional()`: take `Option<Authorized>`".to_owned()))
    }
}

impl<U, S> OptionalFromRequestParts<S> for Authorized<U>
where
    U: Clone + Send + Sync + 'static,
    S: Sync,
{
    type Rejection = MissingLayer;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, MissingLayer> {
        find(parts)
    }
}

/// `None` where an optional layer saw no token.
fn find<U: Clone + Send + Sync + 'static>(parts: &Parts) -> Result<Option<Authorized<U>>, MissingLayer> {
    let extensions = &parts.extensions;
    if let Some(authorized) = Authorized::<U>::from_extensions(extensions) {
        return Ok(Some(authorized));
    }
    if extensions.get::<Authorized>().is_some() {
        let user = type_name::<U>();
        return Err(MissingLayer(format!(
            "`Authorized<{user}>`: the bearer layer above this handler finds another type of user, or none: \
             `.bearer().user(..)` answers `Option<{user}>`"
        )));
    }
    if extensions.get::<Optional>().is_some() {
        return Ok(None);
    }
    Err(MissingLayer(
        "`Authorized` needs a bearer layer above this handler: `.route_layer(provider.bearer())`".to_owned(),
    ))
}

impl IntoResponse for Approval {
    fn into_response(self) -> Response {
        http::Response::<Body>::from(self)
    }
}

impl IntoResponse for Denial {
    fn into_response(self) -> Response {
        http::Response::<Body>::from(self)
    }
}

impl IntoResponse for StepUp {
    fn into_response(self) -> Response {
        http::Response::<Body>::from(self)
    }
}
