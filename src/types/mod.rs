//! The vocabulary of the standards as types that cannot hold a wrong value.
//!
//! ```
//! use tower_oauth::Scope;
//!
//! let scope: Scope = "profile notes:read".parse()?;
//! assert!(scope.contains("profile"));
//! assert!("caf\u{e9}".parse::<Scope>().is_err());
//! # Ok::<_, tower_oauth::InvalidScope>(())
//! ```

mod client_id_url;
mod ids;
pub(crate) mod json;
mod params;
mod pkce;
mod redirect_uri;
mod resource;
mod scope;
#[cfg(feature = "jwt")]
mod target_uri;
mod thumbprint;
mod time;

pub use ids::{ClientId, Issuer, Subject};
pub(crate) use params::{InvalidParams, Params, form_decode, form_encode};
pub(crate) use pkce::{CodeChallenge, CodeVerifier};
pub(crate) use redirect_uri::{RedirectUri, host_of, is_canonical_host, is_loopback_host};
pub use resource::{InvalidResource, Resource};
pub use scope::{InvalidScope, Scope};
#[cfg(feature = "jwt")]
pub(crate) use target_uri::normalized_target;
pub use thumbprint::{InvalidThumbprint, Thumbprint};
pub(crate) use time::ACCESS_TOKEN_LIFE;
pub use time::UnixTime;
