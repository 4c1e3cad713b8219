use std::sync::Arc;

use super::Trusted;
use super::feed::Feed;
use super::keys::Keys;
use crate::client::ClientSecret;
use crate::clock::Clock;
use crate::fetch::DynFetch;
use crate::jwt::Jwks;
use crate::resource_server::config::{NO_FETCH, basic, is_endpoint};
use crate::resource_server::metadata;
use crate::types::{ClientId, Issuer};

/// An issuer whose tokens are taken, and where its keys are: by default where its
/// [metadata](https://www.rfc-editor.org/rfc/rfc8414) say, at the well-known place for its name.
///
/// ```
/// use tower_oauth::resource_server::TrustedIssuer;
///
/// let found = TrustedIssuer::from("https://shift.example");
/// let named = TrustedIssuer::from("https://other.example/tenant").jwks_uri("https://other.example/keys");
/// ```
#[must_use]
#[derive(Clone, Debug)]
pub struct TrustedIssuer {
    pub(super) issuer: Issuer,
    origin: Origin,
    /// As whom it is asked what was revoked.
    feed: Option<(ClientId, ClientSecret)>,
}

#[derive(Clone, Debug)]
enum Origin {
    Metadata,
    At(String),
    Given(Jwks),
}

impl TrustedIssuer {
    /// Where its keys are, in place of asking its metadata.
    pub fn jwks_uri(mut self, url: impl Into<String>) -> Self {
        self.origin = Origin::At(url.into());
        self
    }

    /// Its keys. Nothing is fetched; whoever replaces a key there replaces it here.
    pub fn jwks(mut self, keys: Jwks) -> Self {
        self.origin = Origin::Given(keys);
        self
    }

    /// Also asks it what was revoked, every 5 seconds while tokens come, as this client, `client_secret_basic`
    /// ([RFC 6749 §2.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1)). It is for an issuer of this crate's whose
    /// provider has a [feed](crate::ProviderBuilder::revocation_feed), and registers this resource server as
    /// [one](crate::Client::resource_server). Where the feed is the metadata say, also where the keys are elsewhere.
    ///
    /// A token that was revoked is then good for 5 seconds more at most. While the issuer does not answer, what it said
    /// last is good for a minute in all; then every token of it is answered with 503, until it answers again. Tokens whose
    /// `jti` is none of this crate's are refused.
    pub fn revocation_feed(mut self, id: impl Into<ClientId>, secret: impl Into<ClientSecret>) -> Self {
        self.feed = Some((id.into(), secret.into()));
        self
    }

    /// Where its keys and what it revoked are to be found, or what is wrong with it.
    pub(super) fn open(
        self,
        fetch: Option<&Arc<dyn DynFetch>>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Trusted, &'static str> {
        let own = metadata::parse(&self.issuer)?;
        let (fetch, clock) = (fetch.cloned().ok_or(NO_FETCH), Arc::clone(clock));
        let metadata = fetch.clone().and_then(|fetch| metadata::document(&self.issuer, fetch, Arc::clone(&clock)));
        let feed = match &self.feed {
            None => None,
            Some((id, secret)) => {
                Some(Feed::new(metadata.clone()?, basic(id, secret)?, fetch.clone()?, Arc::clone(&clock)))
            }
        };
        let keys = match self.origin {
            Origin::Metadata => Keys::discovered(metadata?, fetch?, clock),
            Origin::At(url) if !is_endpoint(&url, &own) => return Err("write its `jwks_uri` as `https://..`"),
            Origin::At(url) => Keys::fixed(&url, fetch?, clock),
            Origin::Given(keys) if keys.is_empty() => {
                return Err("its set of keys is empty: give `.jwks(..)` one key at least");
            }
            Origin::Given(keys) => Keys::given(keys),
        };
        Ok(Trusted { issuer: self.issuer, keys, feed })
    }
}

impl<I: Into<Issuer>> From<I> for TrustedIssuer {
    fn from(issuer: I) -> Self {
        Self { issuer: issuer.into(), origin: Origin::Metadata, feed: None }
    }
}
