//! What is configured of JWT access tokens.

use std::time::Duration;

use super::ProviderBuilder;
use crate::config::{AccessTokenFormat, ConfigError};
use crate::jwt::{Algorithm, Jwks, SigningKey};
use crate::provider::signer::{KeySource, SigningKeys};
use crate::provider::signing::Signing;
use crate::secret::Secrets;

/// How long a generated key can sign: many times as long as it is published before.
const PERIODS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(24 * 60 * 60)..=Duration::from_secs(366 * 24 * 60 * 60);

/// What a token says by itself ([RFC 9068 §2.2](https://www.rfc-editor.org/rfc/rfc9068#section-2.2)), or what would change
/// what it means.
const OWN: [&str; 13] =
    ["iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "auth_time", "cnf", "act", "may_act"];

/// Off, with keys of its own, without claims and without a feed.
#[derive(Default)]
pub(super) struct Jwts {
    format: AccessTokenFormat,
    keys: Option<SigningKeys>,
    claims: Vec<String>,
    pub(super) revocation_feed: bool,
}

impl ProviderBuilder {
    /// How access tokens are written. By default as handles. A
    /// [resource](crate::ProtectedResource::access_token_format) can have its own way.
    ///
    /// Tokens of both kinds are taken wherever one is, as long as any resource wants JWTs.
    pub fn access_token_format(mut self, format: AccessTokenFormat) -> Self {
        self.jwts.format = format;
        self
    }

    /// The keys that sign JWTs. By default the provider makes its own: see [`SigningKeys`].
    pub fn signing_keys(mut self, keys: SigningKeys) -> Self {
        self.jwts.keys = Some(keys);
        self
    }

    /// Which of the claims that the app [attached](crate::Approval::claim) a JWT access token carries. By default none:
    /// the client reads it, and whoever else gets to see it ([RFC 9068 §6](https://www.rfc-editor.org/rfc/rfc9068#section-6)).
    /// This provider's own layers find all of them at the grant, in either format.
    ///
    /// A token of more than 8 KiB is one that nobody reads: the token endpoint answers 500, `server_error`, and consumes
    /// neither the code nor the refresh token; an [event](crate::event) says so.
    pub fn access_token_claims<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.jwts.claims = names.into_iter().map(Into::into).collect();
        self
    }

    /// Tells the servers of resources that verify JWT access tokens by themselves what was revoked, where they
    /// [ask for it](crate::resource_server::TrustedIssuer::revocation_feed); otherwise such a token is good there until its
    /// end. By default nothing is told.
    ///
    /// Who may ask is a [`Client::resource_server`](crate::Client::resource_server), and what they are told is in the docs of
    /// the [endpoint](crate::RevocationFeed), which the metadata name as `revocation_feed_endpoint`; no standard has a name
    /// for it.
    ///
    /// A store keeps the list whether or not there is a feed. Nodes of a version that has none keep nothing: replace all of
    /// them first.
    pub const fn revocation_feed(mut self) -> Self {
        self.jwts.revocation_feed = true;
        self
    }

    pub(super) fn check_revocation_feed(&self, makes_jwts: bool, wrong: &mut Vec<ConfigError>) {
        if !self.jwts.revocation_feed {
            return;
        }
        if !makes_jwts {
            wrong.push(unused(".revocation_feed()"));
        }
        if self.grants.as_ref().is_some_and(|grants| !grants.keeps_revocations()) {
            wrong.push(ConfigError::RevocationFeed(
                "this store keeps no list of what was revoked: implement `GrantStore::revocations`, or leave \
                 `.revocation_feed()` out"
                    .to_owned(),
            ));
        }
    }

    /// How access tokens are written where their resource does not say.
    pub(super) fn common_format(&self) -> AccessTokenFormat {
        self.jwts.format
    }

    pub(super) fn check_claims(&self, makes_jwts: bool, wrong: &mut Vec<ConfigError>) -> Vec<String> {
        let own = self.jwts.claims.iter().filter(|name| OWN.contains(&name.as_str()));
        wrong.extend(own.cloned().map(ConfigError::AccessTokenClaim));
        if !makes_jwts {
            wrong.extend(self.jwts.keys.is_some().then(|| unused(".signing_keys(..)")));
            wrong.extend((!self.jwts.claims.is_empty()).then(|| unused(".access_token_claims(..)")));
        }
        self.jwts.claims.clone()
    }

    /// The keys, where a token for any of these is a JWT.
    pub(super) fn check_signing(
        &self,
        makes_jwts: bool,
        secrets: Option<&Secrets>,
        wrong: &mut Vec<ConfigError>,
    ) -> Option<Signing> {
        if !makes_jwts {
            return None;
        }
        let mut refuse = |why: &str| wrong.push(ConfigError::SigningKeys(why.to_owned()));
        let SigningKeys { source, period } = &self.jwts.keys.clone().unwrap_or_default();
        if period.is_some() && !matches!(source, KeySource::Generated(_)) {
            refuse("those that are given are replaced by whoever gives them: leave `.rotated_every(..)` out");
        }
        let period = period.unwrap_or(SigningKeys::PERIOD);
        match source {
            KeySource::Given(keys) if keys.is_empty() => {
                refuse("none are given: make one with `SigningKey::generate(Algorithm::Es256)`");
            }
            KeySource::Given(keys) if has_one_twice(keys) => {
                refuse("one is given twice, and a token of it could not tell which: give each once");
            }
            KeySource::Given(_) | KeySource::Signer(_) => {}
            KeySource::Generated(algorithm) => {
                if *algorithm == Algorithm::Rs256 {
                    refuse("none are made for RS256: write `SigningKeys::generated(Algorithm::Es256)`");
                }
                if !PERIODS.contains(&period) {
                    refuse("a generated key signs for 1 day to 1 year");
                }
                if self.grants.as_ref().is_some_and(|grants| !grants.keeps_documents()) {
                    refuse("this store keeps none: give them with `.signing_keys(SigningKeys::given(..))`");
                }
            }
        }
        Some(Signing::new(source.clone(), secrets?.clone(), period))
    }
}

fn has_one_twice(keys: &[SigningKey]) -> bool {
    !Jwks::of(keys.iter().map(|key| key.public().clone())).tells_apart(None)
}

fn unused(what: &str) -> ConfigError {
    ConfigError::AccessTokenFormat(format!(
        "`{what}` is for JWTs and no access token is one: add `.access_token_format(AccessTokenFormat::Jwt)`, or leave it \
         out"
    ))
}
