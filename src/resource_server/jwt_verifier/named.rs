//! A document at a URL that an issuer's metadata name.

use std::sync::Arc;

use crate::fetch::{BoxError, Document, Documents, Source};
use crate::resource_server::metadata::Metadata;

/// How many of a kind one issuer can have: the one that it names, and the one that it named before.
const DOCUMENTS: usize = 2;

/// What a member of the metadata says, and what is said where it is not there.
pub(super) type Member = (fn(&Metadata) -> Option<&str>, &'static str);

pub(super) struct Named<T> {
    metadata: Document<Metadata>,
    member: Member,
    documents: Documents<T>,
}

impl<T: Send + Sync + 'static> Named<T> {
    pub(super) fn new(metadata: Document<Metadata>, member: Member, source: Source<T>) -> Self {
        Self { metadata, member, documents: Documents::new(source, DOCUMENTS) }
    }

    /// See [`Document::cached`].
    pub(super) fn cached(&self) -> Option<Arc<T>> {
        self.documents.cached((self.member.0)(&*self.metadata.cached()?)?)
    }

    /// See [`Document::get`].
    pub(super) async fn get(&self) -> Result<Arc<T>, BoxError> {
        Ok(self.documents.get(&self.url().await?).await?)
    }

    /// See [`Document::newer`].
    pub(super) async fn newer(&self, seen: &Arc<T>) -> Result<Arc<T>, BoxError> {
        Ok(self.documents.newer(&self.url().await?, seen).await?)
    }

    async fn url(&self) -> Result<String, BoxError> {
        let (url, missing) = self.member;
        Ok(url(&*self.metadata.get().await?).ok_or(missing)?.to_owned())
    }
}
