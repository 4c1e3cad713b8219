//! Documents whose URLs others chose: so many at most.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::document::{Document, FetchError, Source};

/// The documents of one kind, by URL.
pub(crate) struct Documents<T> {
    source: Arc<Source<T>>,
    most: usize,
    shelf: Mutex<Shelf<T>>,
}

struct Shelf<T> {
    places: HashMap<Arc<str>, Place<T>>,
    /// How often anything was asked for.
    uses: u64,
}

struct Place<T> {
    document: Document<T>,
    last_use: u64,
}

impl<T: Send + Sync + 'static> Documents<T> {
    /// Where there are `most`, the one that was asked for longest ago makes room. Those that are being fetched stay, which
    /// bounds the fetches at once likewise.
    pub(crate) fn new(source: Source<T>, most: usize) -> Self {
        let shelf = Mutex::new(Shelf { places: HashMap::new(), uses: 0 });
        Self { source: Arc::new(source), most, shelf }
    }

    /// See [`Document::cached`].
    pub(crate) fn cached(&self, url: &str) -> Option<Arc<T>> {
        let mut shelf = self.shelf();
        shelf.find(url)?.cached()
    }

    /// See [`Document::get`].
    pub(crate) async fn get(&self, url: &str) -> Result<Arc<T>, FetchError> {
        self.document(url)?.get().await
    }

    /// See [`Document::current`].
    pub(crate) async fn current(&self, url: &str) -> Result<Arc<T>, FetchError> {
        self.document(url)?.current().await
    }

    /// See [`Document::at_hand`].
    pub(crate) fn at_hand(&self, url: &str) -> Option<Arc<T>> {
        self.shelf().find(url)?.at_hand()
    }

    /// See [`Document::is_expected`].
    pub(crate) fn is_expected(&self, url: &str) -> bool {
        self.shelf().find(url).is_some_and(Document::is_expected)
    }

    /// Gives the place of a document back that was not to be had, so that it pushes out none that was.
    pub(crate) fn forget_nothing(&self, url: &str) {
        let mut shelf = self.shelf();
        if shelf.places.get(url).is_some_and(|place| place.document.is_nothing()) {
            shelf.places.remove(url);
        }
    }

    /// See [`Document::newer`].
    pub(crate) async fn newer(&self, url: &str, seen: &Arc<T>) -> Result<Arc<T>, FetchError> {
        self.document(url)?.newer(seen).await
    }

    fn document(&self, url: &str) -> Result<Document<T>, FetchError> {
        let mut shelf = self.shelf();
        if let Some(document) = shelf.find(url) {
            return Ok(document.clone());
        }
        if shelf.places.len() >= self.most {
            let idle = shelf.places.iter().filter(|(_, place)| !place.document.is_awaited());
            let oldest = idle.min_by_key(|(_, place)| place.last_use).map(|(url, _)| Arc::clone(url));
            shelf.places.remove(&oldest.ok_or_else(|| FetchError::new(url, "too many others are being fetched"))?);
        }
        let document = Document::new(url, Arc::clone(&self.source));
        let last_use = shelf.uses;
        shelf.places.insert(url.into(), Place { document: document.clone(), last_use });
        Ok(document)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf<T>> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Shelf<T> {
    fn find(&mut self, url: &str) -> Option<&Document<T>> {
        self.uses += 1;
        let place = self.places.get_mut(url)?;
        place.last_use = self.uses;
        Some(&place.document)
    }
}

#[cfg(test)]
mod tests;
