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

/// The keys that clients publish, by their `jwks_uri`. Those of the clients that the app fixed are apart from those of all
/// others, so that they wait for no server of a stranger's and are pushed out by none.
pub(super) struct PublishedKeys {
    fixed: Documents<Jwks>,
    others: Documents<Jwks>,
}

impl PublishedKeys {
    pub(super) fn new(fetch: &Arc<dyn DynFetch>, clock: &Arc<dyn Clock>) -> Self {
        let documents = || Documents::new(source(Arc::clone(fetch), Arc::clone(clock)), MOST);
        Self { fixed: documents(), others: documents() }
    }
}

fn source(fetch: Arc<dyn DynFetch>, clock: Arc<dyn Clock>) -> Source<Jwks> {
    let fetch = Arc::new(AtMost::new(MOST_AT_ONCE, fetch));
    Source::new(fetch, clock, Terms::default(), |_, answer| {
        let text = std::str::from_utf8(answer.body())?;
        text.parse().map_err(|why: InvalidJwk| why.into())
    })
}

/// Those at a URL. Where the key of the assertion is not among them, they are looked at anew, though not often: else
/// whoever makes up names of keys would have the client's server asked each time.
async fn at(url: &str, published: &Documents<Jwks>, assertion: &Assertion<'_>) -> Result<Jwks, BoxError> {
    let mut keys = published.get(url).await?;
    if !assertion.has_key_in(&keys) {
        keys = published.newer(url, &keys).await?;
    }
    Ok(Jwks::clone(&keys))
}

impl Provider {
    /// The keys of a client that signs, among them that of its assertion, if there is one.
    ///
    /// # Errors
    /// If they cannot be had now. They may be good, so the assertion is not refused.
    pub(crate) async fn keys_of(&self, client: &Client, assertion: &Assertion<'_>) -> Result<Jwks, BoxError> {
        match (client.keys(), &self.0.published_keys) {
            (Some(Keys::Inline(keys)), _) => Ok(keys.clone()),
            (Some(Keys::At(url)), Some(PublishedKeys { fixed, others })) => {
                let is_fixed = self.0.clients.contains_key(client.id());
                at(url, if is_fixed { fixed } else { others }, assertion).await
            }
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
