//! A client behind a pointer, so that nobody who asks it has a type parameter.

use std::pin::Pin;

use bytes::Bytes;
use http::{Request, Response};

use super::{BoxError, Fetch};

type Answer<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, BoxError>> + Send + 'a>>;

/// The boxed twin of [`Fetch`].
pub(crate) trait DynFetch: Send + Sync {
    fn fetch(&self, request: Request<Bytes>) -> Answer<'_>;
}

impl<F: Fetch> DynFetch for F {
    fn fetch(&self, request: Request<Bytes>) -> Answer<'_> {
        let answer = Fetch::fetch(self, request);
        Box::pin(async move { answer.await.map_err(Into::into) })
    }
}
