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

// Whoever uses the last of it takes this line away.
#![allow(dead_code, unused_imports)]

pub(crate) mod access_token;
mod algorithm;
mod claims;
mod json;
mod jwk;
mod jws;
mod sealed;
mod signing;

pub use algorithm::Algorithm;
pub(crate) use claims::{Audience, Claims, LEEWAY};
pub(crate) use jwk::PublicKey;
pub use jwk::{InvalidJwk, Jwks};
pub(crate) use jws::{Header, Jws, JwtError};
pub(crate) use sealed::{open, seal};
pub use signing::{InvalidKey, SigningKey};
pub(crate) use signing::{signing_input, with_signature};

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
