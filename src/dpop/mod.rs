//! Tokens that are bound to a key of their client, DPoP ([RFC 9449](https://www.rfc-editor.org/rfc/rfc9449)): whoever gets
//! hold of one, and has not the key, has nothing.
//!
//! A client that wants this makes a key and sends a proof with its token request, in the header `DPoP`: a JWT over the
//! method and the URL, signed by that key. The token that it gets is bound to the key, and so is the refresh token of a
//! public client. With each request to an API it sends the token by the scheme `DPoP`, and another proof, which names the
//! token too.
//!
//! ```
//! use axum::{Router, routing::get};
//! use tower_oauth::{Authorized, Client, MemoryStore, ProtectedResource, Provider};
//!
//! let provider = Provider::builder("https://shift.example")
//!     .store(MemoryStore::new())
//!     .scope("profile", "see your profile")
//!     .dpop() // the token endpoint looks at proofs, and so do this provider's bearer layers
//!     .client(Client::public("app").redirect_uri("https://app.example/callback"))
//!     .client(Client::public("bank").redirect_uri("https://bank.example/callback").dpop_bound_access_tokens())
//!     .resource(ProtectedResource::new("https://shift.example/payments").dpop_bound_access_tokens_required())
//!     .build()?;
//!
//! async fn me(token: Authorized) -> String {
//!     token.key().map_or("anybody who has this token".to_owned(), |key| format!("whoever has the key {key}"))
//! }
//!
//! let app: Router = Router::new()
//!     .route("/me", get(me).route_layer(provider.bearer().require("profile"))) // with a proof and without
//!     .layer(provider.layer());
//! # Ok::<_, tower_oauth::ConfigErrors>(())
//! ```
//!
//! An API elsewhere asks for proofs by [`BearerLayer::dpop`](crate::BearerLayer::dpop), over a
//! [`JwtVerifier`](crate::JwtVerifier), an [`Introspector`](crate::Introspector) or a verifier of its own. Without it, a
//! layer refuses bound tokens. For pages of other origins, its CORS layer allows the header `DPoP` and exposes
//! `WWW-Authenticate` and `DPoP-Nonce`, as those of the provider's endpoints do.
//!
//! # What is checked of a proof
//!
//! - There is one, of 4 KiB at most, and it is a JWT of the type `dpop+jwt`, signed by ES256, EdDSA or RS256, by the key in
//!   its own header, which is public and for that algorithm (§4.3).
//! - `htm` is the method and `htu` the URL of the request, compared as
//!   [RFC 3986 §6.2.2](https://www.rfc-editor.org/rfc/rfc3986#section-6.2.2) has it, and without a query. The URL is made
//!   of what is configured, the issuer, the resource or [`Dpop::at`](crate::Dpop::at), and of the path; the `Host` header
//!   says nothing.
//! - It was made in the minute before or after now, by `iat`. With
//!   [nonces](crate::ProviderBuilder::dpop_nonces), it also names one of the last minutes.
//! - Its `jti`, of 256 bytes at most, was not used before with this key. Every node knows, by the provider's store; an API
//!   elsewhere has [its own memory](crate::Dpop::store). Only SHA-256 of both is kept, for three minutes.
//! - At an API, `ath` is the hash of the token, and the token is bound to the key of the proof.
//!
//! The token endpoint answers `invalid_dpop_proof`, and consumes nothing else. A code that was asked for with `dpop_jkt`
//! (§10), or by a request that was pushed with a proof (§10.1), is good with that key alone, as a refresh token of a public
//! client is from its first proof on: without it, nothing can be had of them, nor can anything be ended by them. What was
//! bound stays bound where a provider no longer looks at proofs: it is refused.

mod nonce;
mod proof;

pub(crate) use nonce::Nonces;
pub(crate) use proof::{Presented, Proof, SingleUse};
