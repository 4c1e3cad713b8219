//! Protects an API apart from its authorization server: the [bearer layer](crate::bearer) over the tokens of others.
//!
//! `JwtVerifier` (feature `jwt`) takes access tokens that are JWTs
//! ([RFC 9068](https://www.rfc-editor.org/rfc/rfc9068)), of one issuer or of several, and finds their keys.
//! [`Introspector`] asks the authorization server about each token
//! ([RFC 7662](https://www.rfc-editor.org/rfc/rfc7662)), and `JwtVerifier::or` takes both, by the shape of the token.
//!
#![cfg_attr(feature = "jwt", doc = "```")]
#![cfg_attr(not(feature = "jwt"), doc = "```ignore")]
//! # use std::convert::Infallible;
//! # use bytes::Bytes;
//! # use http::{Request, Response};
//! # struct MyClient;
//! # impl tower_oauth::Fetch for MyClient {
//! #     type Error = Infallible;
//! #     async fn fetch(&self, _request: Request<Bytes>) -> Result<Response<Bytes>, Infallible> {
//! #         Ok(Response::new(Bytes::new()))
//! #     }
//! # }
//! use axum::{Router, routing::get};
//! use tower_oauth::{Authorized, JwtVerifier};
//!
//! let verifier = JwtVerifier::builder("https://api.example.com")
//!     .issuer("https://shift.example") // asked for its metadata, and for its keys
//!     .fetch(MyClient) // `HttpClient`, or whatever implements `Fetch`
//!     .build()?;
//!
//! async fn hello(token: Authorized) -> String {
//!     format!("Hello, {}", token.subject())
//! }
//!
//! let app: Router = Router::new().route("/hello", get(hello).route_layer(verifier.bearer().require("profile")));
//! # Ok::<_, tower_oauth::ConfigErrors>(())
//! ```
//!
//! Everything behind that is as for a provider's own tokens: scopes, [`.user(..)`](crate::BearerLayer::user), gRPC. Where
//! several issuers are trusted, a user is who [`issuer`](crate::Authorized::issuer) and
//! [`subject`](crate::Authorized::subject) name together.
//!
//! # What is checked of a JWT, and when
//!
//! A token is refused with a 401 that is no JWT of type `at+jwt`, of an issuer that is not trusted, for another resource,
//! over or not yet good by the clock, or not signed by a key of its issuer. One that is bound to a key of its client (`cnf`)
//! is refused unless the layer [asks for proofs](crate::bearer#proofs) of keys.
//! While nobody can tell, since the keys cannot be fetched, the answer is a 503 with `Retry-After`.
//!
//! Keys are fetched when they are first needed, and again as the answer's `Cache-Control` says, after 1 minute at least
//! and 1 hour at most. A token that names a key nobody knows makes them be fetched at once, every 30 seconds at most.
//! While they cannot be fetched those that are known stay good for one more hour. A key that is gone verifies nothing
//! from the moment on at which its absence was read, nor does what it verified before.
//!
//! A token that was verified is remembered: when it comes again, its time, its keys and its resource are looked at again,
//! and its signature is not. So a token that was revoked at its issuer is good here until it ends: let tokens live for
//! minutes, or ask.
//!
//! # What was revoked
//!
//! A provider of this crate can [tell](crate::ProviderBuilder) its resource servers what was revoked, with
//! `ProviderBuilder::revocation_feed`; `TrustedIssuer::revocation_feed` asks for it:
//!
#![cfg_attr(feature = "jwt", doc = "```")]
#![cfg_attr(not(feature = "jwt"), doc = "```ignore")]
//! # use std::convert::Infallible;
//! # use bytes::Bytes;
//! # use http::{Request, Response};
//! # struct MyClient;
//! # impl tower_oauth::Fetch for MyClient {
//! #     type Error = Infallible;
//! #     async fn fetch(&self, _request: Request<Bytes>) -> Result<Response<Bytes>, Infallible> {
//! #         Ok(Response::new(Bytes::new()))
//! #     }
//! # }
//! use tower_oauth::resource_server::TrustedIssuer;
//! use tower_oauth::{AccessTokenFormat, Client, JwtVerifier, MemoryStore, Provider};
//!
//! let provider = Provider::builder("https://shift.example")
//!     .store(MemoryStore::new())
//!     .access_token_format(AccessTokenFormat::Jwt)
//!     .revocation_feed()
//!     .client(Client::resource_server("api", "a-secret-of-32-characters-or-more", "https://api.example.com"))
//!     .build()?;
//!
//! // And somewhere else:
//! let issuer = TrustedIssuer::from("https://shift.example").revocation_feed("api", "a-secret-of-32-characters-or-more");
//! let verifier = JwtVerifier::builder("https://api.example.com").issuer(issuer).fetch(MyClient).build()?;
//! # Ok::<_, tower_oauth::ConfigErrors>(())
//! ```
//!
//! Then the worst case is short: a token or a grant that was revoked is refused 5 seconds later, once the provider has
//! answered the revocation. While the provider cannot be asked, 60 seconds after the last answer began nothing of its
//! passes any more: every token of that issuer is a 503 until it answers. The first that come while it hangs wait for 5
//! seconds at most, and nobody waits afterwards. A repeated token still costs no signature, and no look into the list
//! while that is the same.

mod audience;
mod cache;
mod config;
mod introspector;
#[cfg(feature = "jwt")]
mod jwt_verifier;
mod metadata;

pub use introspector::{Introspector, IntrospectorBuilder};
#[cfg(feature = "jwt")]
pub use jwt_verifier::{ByShape, JwtVerifier, JwtVerifierBuilder, TrustedIssuer};
