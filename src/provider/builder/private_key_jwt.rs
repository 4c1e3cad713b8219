use super::ProviderBuilder;
use crate::client::{AuthMethod, Client, Keys};
use crate::config::ConfigError;

impl ProviderBuilder {
    /// Takes clients that prove themselves by an assertion, which they sign with a key of their own, `private_key_jwt`
    /// ([RFC 7523](https://www.rfc-editor.org/rfc/rfc7523)), wherever a client proves itself. By default there are none.
    ///
    /// An assertion is signed by ES256, EdDSA or RS256 with a key that is registered for its client. `iss` and `sub` are
    /// the client's id, `aud` is the issuer and one text, `exp` is at most 10 minutes ahead, and each `jti` is good once, on
    /// whatever node. Clocks may be 60 seconds apart.
    ///
    /// See [`Client::private_key_jwt`]. Clients can register themselves so too, where they
    /// [can](Self::registration).
    pub fn private_key_jwt(mut self) -> Self {
        self.private_key_jwt.on = true;
        self
    }

    /// Takes assertions also for the URL of the token endpoint in place of the issuer, as many clients were built before
    /// that turned out to be dangerous: another provider can then have a client sign what is good here, where the client
    /// asks it where the token endpoint is (CVE-2025-27370, CVE-2025-27371). An audience stays one text.
    pub fn danger_token_endpoint_as_audience(mut self) -> Self {
        self.private_key_jwt.for_token_endpoint = true;
        self
    }

    pub(super) fn check_private_key_jwt(&self, wrong: &mut Vec<ConfigError>) {
        if self.private_key_jwt.for_token_endpoint && !self.private_key_jwt.on {
            wrong.push(ConfigError::PrivateKeyJwt(
                "`.danger_token_endpoint_as_audience()` is for assertions and nobody here takes them: add \
                 `.private_key_jwt()`, or leave it out"
                    .to_owned(),
            ));
        }
    }

    /// Why a fixed client could not prove itself here.
    pub(super) fn cannot_sign(&self, client: &Client) -> Option<String> {
        let signs = client.auth_method() == AuthMethod::PrivateKeyJwt;
        if signs && !self.private_key_jwt.on {
            return Some("it signs assertions and nobody here takes them: add `.private_key_jwt()`".to_owned());
        }
        let publishes = matches!(client.keys(), Some(Keys::At(_)));
        (publishes && self.fetch.is_none()).then(|| {
            "its keys have to be read from elsewhere: add `.fetch(..)`, or give them with `Client::private_key_jwt`"
                .to_owned()
        })
    }
}
