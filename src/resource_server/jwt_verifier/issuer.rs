use std::sync::Arc;

use super::keys::Keys;
use crate::clock::Clock;
use crate::fetch::DynFetch;
use crate::jwt::Jwks;
use crate::resource_server::config::{NO_FETCH, is_endpoint};
use crate::resource_server::metadata;
use crate::types::Issuer;

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

    /// Its keys, or what is wrong with it.
    pub(super) fn keys(self, fetch: Option<&Arc<dyn DynFetch>>, clock: &Arc<dyn Clock>) -> Result<Keys, &'static str> {
        let own = metadata::parse(&self.issuer)?;
        let (fetch, clock) = (fetch.cloned().ok_or(NO_FETCH), Arc::clone(clock));
        match self.origin {
            Origin::Metadata => Keys::discovered(&self.issuer, fetch?, clock),
            Origin::At(url) if !is_endpoint(&url, &own) => Err("write its `jwks_uri` as `https://..`"),
            Origin::At(url) => Ok(Keys::fixed(&url, fetch?, clock)),
            Origin::Given(keys) if keys.is_empty() => {
                Err("its set of keys is empty: give `.jwks(..)` one key at least")
            }
            Origin::Given(keys) => Ok(Keys::given(keys)),
        }
    }
}

impl<I: Into<Issuer>> From<I> for TrustedIssuer {
    fn from(issuer: I) -> Self {
        Self { issuer: issuer.into(), origin: Origin::Metadata }
    }
}
