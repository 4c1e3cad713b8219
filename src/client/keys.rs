//! The public keys of a client that signs assertions.

use super::{AuthMethod, Client};
use crate::jwt::{Algorithm, Jwks};
use crate::types::{ClientId, RedirectUri};

/// Where the public keys of a client are.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Keys {
    /// `jwks`.
    Inline(Jwks),
    /// `jwks_uri`.
    At(String),
}

/// What is registered of them.
#[derive(Clone, Default)]
pub(super) struct RegisteredKeys {
    pub(super) keys: Option<Keys>,
    /// `None`: any that is taken here.
    pub(super) algorithm: Option<Algorithm>,
}

impl Client {
    /// An app with a server that signs an assertion for each of its requests, `private_key_jwt`, so that it never shows
    /// what it proves itself with ([RFC 7523 §2.2](https://www.rfc-editor.org/rfc/rfc7523#section-2.2)). The provider
    /// [takes](crate::ProviderBuilder::private_key_jwt) such clients only when told so.
    ///
    /// ```
    /// use tower_oauth::Client;
    /// use tower_oauth::jwt::{Algorithm, SigningKey};
    ///
    /// let key = SigningKey::generate(Algorithm::Es256)?; // the app does this, and gives out the public half
    /// let jwks = format!(r#"{{"keys":[{}]}}"#, key.public_jwk()).parse()?;
    /// let client = Client::private_key_jwt("app", jwks).redirect_uri("https://app.example/callback");
    /// assert!(client.check().is_ok());
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn private_key_jwt(id: impl Into<ClientId>, jwks: Jwks) -> Self {
        Self::new(id.into(), AuthMethod::PrivateKeyJwt).jwks(jwks)
    }

    /// The same, whose keys are read from where the app publishes them, so that it can replace them by itself. For that
    /// the provider needs something to [fetch](crate::ProviderBuilder::fetch) with.
    #[must_use]
    pub fn private_key_jwt_uri(id: impl Into<ClientId>, jwks_uri: impl Into<String>) -> Self {
        Self::new(id.into(), AuthMethod::PrivateKeyJwt).jwks_uri(jwks_uri)
    }

    /// The public keys of a client that signs, `jwks`, in place of those that it had. With an old and a new one among
    /// them, each is good: those of one algorithm are told apart by their `kid`.
    #[must_use]
    pub fn jwks(self, jwks: Jwks) -> Self {
        self.set(|client| client.keys.keys = Some(Keys::Inline(jwks)))
    }

    /// Where a client that signs publishes its keys, `jwks_uri`, in place of those that it had: an `https` URL.
    #[must_use]
    pub fn jwks_uri(self, jwks_uri: impl Into<String>) -> Self {
        self.set(|client| client.keys.keys = Some(Keys::At(jwks_uri.into())))
    }

    /// The one algorithm by which a client signs, `token_endpoint_auth_signing_alg`. By default any for which it has a
    /// key.
    #[must_use]
    pub fn token_endpoint_auth_signing_alg(self, algorithm: Algorithm) -> Self {
        self.set(|client| client.keys.algorithm = Some(algorithm))
    }

    /// Where its public keys are, if it signs.
    pub(crate) fn keys(&self) -> Option<&Keys> {
        self.0.keys.keys.as_ref()
    }

    /// Whether it may sign by this algorithm.
    pub(crate) fn may_sign_by(&self, algorithm: Algorithm) -> bool {
        self.0.keys.algorithm.is_none_or(|only| only == algorithm)
    }
}

impl RegisteredKeys {
    /// What is wrong with them for a client of this method.
    pub(super) fn problem(&self, method: AuthMethod) -> Option<&'static str> {
        match &self.keys {
            None if method == AuthMethod::PrivateKeyJwt => {
                Some("it signs and has no keys: add them with `.jwks(..)` or `.jwks_uri(..)`")
            }
            Some(_) if method != AuthMethod::PrivateKeyJwt => Some(
                "it has keys and another method: say `.token_endpoint_auth_method(AuthMethod::PrivateKeyJwt)`, or leave \
                 them out",
            ),
            None if self.algorithm.is_some() => Some(
                "it has an algorithm for what it signs and another method: say \
                 `.token_endpoint_auth_method(AuthMethod::PrivateKeyJwt)`, or leave it out",
            ),
            Some(Keys::Inline(jwks)) if !jwks.has_any(self.algorithm) => {
                Some("none of its keys can verify what it signs: `jwks` needs one for ES256, EdDSA or RS256")
            }
            Some(Keys::Inline(jwks)) if !jwks.tells_apart(self.algorithm) => {
                Some("several of its keys are for one algorithm: give each of them a `kid` of its own")
            }
            Some(Keys::At(uri)) if !RedirectUri::is_web(uri) => Some("its `jwks_uri` is no `https` URL"),
            _ => None,
        }
    }
}
