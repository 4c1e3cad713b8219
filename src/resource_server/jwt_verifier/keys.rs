//! The keys of one issuer, as they are now.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::Response;

use super::named::{Member, Named};
use super::now::Now;
use crate::clock::Clock;
use crate::fetch::{BoxError, Document, DynFetch, Source, Terms};
use crate::jwt::Jwks;
use crate::resource_server::metadata::Metadata;
use crate::types::UnixTime;

const JWKS_URI: Member = (|metadata| metadata.jwks_uri.as_deref(), "the metadata have no jwks_uri");

/// A set of keys, and which one after another it is. What was verified by an earlier one is verified anew, so that a key
/// that is gone is gone.
pub(super) struct KeySet {
    pub(super) keys: Jwks,
    pub(super) generation: u64,
}

pub(super) struct Keys {
    origin: Origin,
    now: Arc<Now>,
}

enum Origin {
    Given(Arc<KeySet>),
    /// At a URL that is known.
    Fixed(Document<KeySet>),
    /// At the URL that the metadata name.
    Named(Named<KeySet>),
}

impl Keys {
    pub(super) fn given(keys: Jwks) -> Self {
        Self { origin: Origin::Given(Arc::new(KeySet { keys, generation: 0 })), now: Arc::default() }
    }

    pub(super) fn fixed(url: &str, fetch: Arc<dyn DynFetch>, clock: Arc<dyn Clock>) -> Self {
        let now = Arc::default();
        let source = source(&now, fetch, clock);
        Self { origin: Origin::Fixed(Document::new(url, Arc::new(source))), now }
    }

    pub(super) fn discovered(metadata: Document<Metadata>, fetch: Arc<dyn DynFetch>, clock: Arc<dyn Clock>) -> Self {
        let now = Arc::default();
        let source = source(&now, fetch, clock);
        Self { origin: Origin::Named(Named::new(metadata, JWKS_URI, source)), now }
    }

    /// The generation of the set that is good now, if that was asked within this second.
    pub(super) fn generation(&self, now: UnixTime) -> Option<u64> {
        match self.origin {
            Origin::Given(_) => Some(self.now.generation()),
            _ => self.now.looked_at(now),
        }
    }

    /// The set, if it is known to be good without a wait.
    pub(super) fn cached(&self, now: UnixTime) -> Option<Arc<KeySet>> {
        let found = match &self.origin {
            Origin::Given(keys) => Some(Arc::clone(keys)),
            Origin::Fixed(document) => document.cached(),
            Origin::Named(named) => named.cached(),
        };
        found.inspect(|_| self.now.looked(now))
    }

    /// The set; waited for where there is none that is good.
    pub(super) async fn get(&self, now: UnixTime) -> Result<Arc<KeySet>, BoxError> {
        let found = match &self.origin {
            Origin::Given(keys) => Arc::clone(keys),
            Origin::Fixed(document) => document.get().await?,
            Origin::Named(named) => named.get().await?,
        };
        self.now.looked(now);
        Ok(found)
    }

    /// The set, for somebody who missed a key in `seen`: fetched anew, but not more often than now and then. An error
    /// says that nobody can tell whether there is another one.
    pub(super) async fn newer(&self, seen: &Arc<KeySet>) -> Result<Arc<KeySet>, BoxError> {
        Ok(match &self.origin {
            Origin::Given(keys) => Arc::clone(keys),
            Origin::Fixed(document) => document.newer(seen).await?,
            Origin::Named(named) => named.newer(seen).await?,
        })
    }
}

/// Reads sets, and counts those that differ from the one before. That one is told before anybody gets the new set: from
/// then on no check goes by what the old one has verified.
fn source(now: &Arc<Now>, fetch: Arc<dyn DynFetch>, clock: Arc<dyn Clock>) -> Source<KeySet> {
    let (now, last) = (Arc::clone(now), Mutex::new(None::<Jwks>));
    let read = move |_: &str, response: &Response<Bytes>| {
        let keys: Jwks = str::from_utf8(response.body())?.parse()?;
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref() != Some(&keys) {
            now.replaced();
            *last = Some(keys.clone());
        }
        Ok(KeySet { keys, generation: now.generation() })
    };
    Source::new(fetch, clock, Terms::default(), read)
}
