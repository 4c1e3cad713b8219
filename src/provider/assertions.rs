//! What the assertions of clients are checked against.

use std::sync::Arc;

use super::Provider;
use crate::client::assertion::{Assertion, SingleUse};
use crate::client::{Client, Keys};
use crate::clock::Clock;
use crate::error::StoreError;
use crate::fetch::{AtMost, BoxError, Documents, DynFetch, Source, Terms};
use crate::jwt::{InvalidJwk, Jwks};
use crate::store::OnceKey;

/// How many clients' keys are kept that were read from elsewhere.
const MOST: usize = 1_000;
/// How many are read at once: whoever registers clients says what is fetched, and may say it of servers that never answer.
const MOST_AT_ONCE: usize = 64;

/// The keys that clients publish, by their `jwks_uri`.
pub(super) struct PublishedKeys(Documents<Jwks>);

impl PublishedKeys {
    pub(super) fn new(fetch: Arc<dyn DynFetch>, clock: Arc<dyn Clock>) -> Self {
        let fetch = Arc::new(AtMost::new(MOST_AT_ONCE, fetch));
        let source = Source::new(fetch, clock, Terms::default(), |_, answer| {
            let text = std::str::from_utf8(answer.body())?;
            text.parse().map_err(|why: InvalidJwk| why.into())
        });
        Self(Documents::new(source, MOST))
    }

    /// Those at a URL. Where the key of the assertion is not among them, they are looked at anew, though not often: else
    /// whoever makes up names of keys would have the client's server asked each time.
    async fn at(&self, url: &str, assertion: &Assertion<'_>) -> Result<Jwks, BoxError> {
        let mut keys = self.0.get(url).await?;
        if !assertion.has_key_in(&keys) {
            keys = self.0.newer(url, &keys).await?;
        }
        Ok(Jwks::clone(&keys))
    }
}

impl Provider {
    /// The keys of a client that signs, among them that of its assertion, if there is one.
    ///
    /// # Errors
    /// If they cannot be had now. They may be good, so the assertion is not refused.
    pub(crate) async fn keys_of(&self, client: &Client, assertion: &Assertion<'_>) -> Result<Jwks, BoxError> {
        match (client.keys(), &self.0.published_keys) {
            (Some(Keys::Inline(keys)), _) => Ok(keys.clone()),
            (Some(Keys::At(url)), Some(published)) => published.at(url, assertion).await,
            (Some(Keys::At(_)), None) => Err("this provider fetches nothing: add `.fetch(..)`".into()),
            (None, _) => Ok(Jwks::of([])),
        }
    }

    /// Whether an assertion of this client was never seen before, and is noted now, for all nodes.
    pub(crate) async fn is_first_use(&self, client: &Client, once: &SingleUse) -> Result<bool, StoreError> {
        // A client's id has no NUL, so no two pairs are one text.
        let value = format!("{}\0{}", client.id(), once.id);
        let key = OnceKey::new(&self.0.config.issuer, "client assertion", value.as_bytes());
        self.0.grants.once(key, once.until, self.now()).await
    }
}
