//! Signed tokens that others can verify: JSON Web Keys ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517)), signatures
//! ([RFC 7515](https://www.rfc-editor.org/rfc/rfc7515)) and claims ([RFC 7519](https://www.rfc-editor.org/rfc/rfc7519)),
//! by the rules of [RFC 8725](https://www.rfc-editor.org/rfc/rfc8725).
//!
//! A key has one algorithm, and a token that names another one is refused. Nothing that a token says of keys is
//! followed: a header with `jwk`, `jku`, `x5u`, `x5c` or `crit` is refused, whatever it holds.
//!
//! ```
//! use tower_oauth::jwt::{Algorithm, Jwks, SigningKey};
//!
//! let key = SigningKey::generate(Algorithm::EdDsa)?;
//! let published: Jwks = format!(r#"{{"keys":[{}]}}"#, key.public_jwk()).parse()?;
//! assert_eq!(published.len(), 1);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

//! # Access tokens
//!
//! A provider writes its access tokens as JWTs ([RFC 9068](https://www.rfc-editor.org/rfc/rfc9068)) where it or one of its
//! [resources](crate::ProtectedResource) asks for it. Its keys are at `jwks_uri`, in the metadata, and by default it makes
//! them: [`SigningKeys`](crate::SigningKeys). A JWT names its grant, so the provider's own bearer layers, revocation and
//! introspection take it as they take a handle: once its grant is revoked it is dead there. Who checks it elsewhere by the
//! keys alone takes it until its end.
//!
//! ```
//! use tower_oauth::{AccessTokenFormat, MemoryStore, ProtectedResource, Provider};
//!
//! let provider = Provider::builder("https://shift.example")
//!     .store(MemoryStore::new())
//!     .scope("profile", "see your profile")
//!     .resource(ProtectedResource::new("https://api.example").access_token_format(AccessTokenFormat::Jwt))
//!     .access_token_format(AccessTokenFormat::Jwt) // for the issuer's own origin, and for every other resource
//!     .build()?;
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let token = provider.issue("app", "alice", "profile".parse()?).await?;
//! assert_eq!(token.secret().split('.').count(), 3);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

pub(crate) mod access_token;
mod algorithm;
mod claims;
mod jwk;
mod jws;
pub(crate) mod ring;
mod sealed;
mod signing;

use crate::types::json;
pub use algorithm::Algorithm;
pub(crate) use claims::{Audience, Claims, LEEWAY};
pub(crate) use jwk::PublicKey;
pub use jwk::{InvalidJwk, Jwks};
pub(crate) use jws::{Header, Jws, JwtError, LONGEST};
pub use signing::{InvalidKey, SigningKey};
pub(crate) use signing::{signing_input, with_signature};

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
