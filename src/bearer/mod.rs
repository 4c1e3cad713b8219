//! Protects an API: checks the `Authorization` header and tells the handler who is calling
//! ([RFC 6750](https://www.rfc-editor.org/rfc/rfc6750)).
//!
//! [`BearerLayer`] works over any service of `http` requests. It answers a request that it refuses, as HTTP or, where
//! the request is gRPC, as gRPC; into the extensions of every other one it puts [`Authorized`] and, with
//! [`.user(..)`](BearerLayer::user), the user.
//!
//! ```
//! use axum::{Json, Router, routing::get};
//! use tower_oauth::{Authorized, MemoryStore, Provider};
//!
//! let provider = Provider::builder("https://shift.example")
//!     .store(MemoryStore::new())
//!     .scope("profile", "see your profile")
//!     .build()?;
//!
//! async fn me(token: Authorized) -> String {
//!     token.subject().to_owned()
//! }
//!
//! let app: Router = Router::new()
//!     .route("/me", get(me).route_layer(provider.bearer().require("profile")));
//! # Ok::<_, tower_oauth::ConfigErrors>(())
//! ```
//!
//! Take [`Authorized`] in every protected handler: then a layer that was forgotten is a 500, and not an open door.
//!
//! # Browsers
//!
//! Before a request of another origin a browser asks with an `OPTIONS` without a token, its preflight
//! ([Fetch §4.8](https://fetch.spec.whatwg.org/#cors-preflight-fetch)). A CORS layer answers it, outside of this layer or
//! inside; outside, refusals can be read by pages too. For one inside, a preflight passes without a token, and without an
//! [`Authorized`]. It passes if it is as browsers make them: with one `Origin` and one `Access-Control-Request-Method`,
//! without `Authorization`, `Cookie`, `Content-Type` and body. The status of the answer, its `Access-Control-*` and `Vary`
//! get out, and only if a CORS layer gave it: with success and an `Access-Control-Allow-Origin`, `-Methods` or
//! `-Headers`. In place of any other answer the layer answers as to every request without a token.
//!
//! Anybody can send such a request, so where an `OPTIONS` makes something happen inside, as in tonic, say
//! [`.refuse_preflights()`](BearerLayer::refuse_preflights).
//!
//! # Proofs
//!
//! A token may be bound to a key of its client, and is then good with a proof of that key alone
//! ([RFC 9449](https://www.rfc-editor.org/rfc/rfc9449)). A layer that asks for no proofs refuses such tokens; with the
//! feature `jwt` it can: a provider's own by `ProviderBuilder::dpop`, any by `BearerLayer::dpop`.

mod authorized;
mod challenge;
#[cfg_attr(not(feature = "jwt"), path = "without_dpop.rs")]
mod dpop;
mod future;
mod layer;
mod preflight;
mod require;
mod service;
mod step_up;
mod user;
mod verify;

pub use authorized::Authorized;
#[cfg(feature = "axum")]
pub(crate) use authorized::Optional;
#[cfg(feature = "jwt")]
pub use dpop::Dpop;
pub use future::ResponseFuture as BearerFuture;
pub use layer::BearerLayer;
pub use require::Require;
pub use service::Bearer;
pub use step_up::StepUp;
pub use user::{NoUser, ResolveUser, UserAnswer};
pub use verify::{Credentials, Refusal, Verification, Verify};
