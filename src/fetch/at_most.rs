//! So many fetches at once, and the others wait.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use tokio::sync::Semaphore;

use super::{BoxError, DynFetch, Fetch};

/// A client that is asked for so much at once and no more. What waits here waits within the time that a fetch may take.
pub(crate) struct AtMost {
    turns: Semaphore,
    fetch: Arc<dyn DynFetch>,
}

impl AtMost {
    pub(crate) fn new(fetches: usize, fetch: Arc<dyn DynFetch>) -> Self {
        Self { turns: Semaphore::new(fetches), fetch }
    }
}

impl Fetch for AtMost {
    type Error = BoxError;

    async fn fetch(&self, request: Request<Bytes>) -> Result<Response<Bytes>, BoxError> {
        let _turn = self.turns.acquire().await?;
        self.fetch.fetch(request).await
    }
}
