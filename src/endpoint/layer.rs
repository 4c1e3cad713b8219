use std::fmt;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower::{Layer, Service};

use super::all::{All, ProviderFuture};
use crate::http::ResponseBody;
use crate::provider::Provider;

/// Layer that makes the service inside an authorization server: all the endpoints, in one. It goes on last, outside
/// every route and every other layer of the app that could answer first. It compares whole paths, so it cannot be inside a
/// router that is nested under a prefix: there, use [`Provider::nest`]; behind a proxy that strips one, say
/// [`Endpoints::stripped`](crate::Endpoints::stripped).
///
/// See the [module docs](crate::endpoint) for an example.
#[must_use]
#[derive(Clone)]
pub struct ProviderLayer(All);

/// Middleware that answers the endpoints, wraps the authorization path, and passes all else through.
///
/// Paths match exactly. See the [module docs](crate::endpoint) for an example.
#[derive(Clone)]
pub struct ProviderService<S> {
    inner: S,
    endpoints: All,
}

impl Provider {
    /// All the endpoints as one layer.
    pub fn layer(&self) -> ProviderLayer {
        ProviderLayer(All::new(self))
    }
}

impl<S> Layer<S> for ProviderLayer {
    type Service = ProviderService<S>;

    fn layer(&self, inner: S) -> ProviderService<S> {
        ProviderService { inner, endpoints: self.0.clone() }
    }
}

impl<S, B, RB> Service<Request<B>> for ProviderService<S>
where
    S: Service<Request<B>, Response = Response<RB>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    RB: Send + 'static,
{
    type Response = Response<ResponseBody<RB>>;
    type Error = S::Error;
    type Future = ProviderFuture<S::Future, RB, S::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match self.endpoints.at(request.uri().path()) {
            Some(claim) => ProviderFuture::ours(self.endpoints.answer(claim, &mut self.inner, request)),
            None => {
                self.endpoints.note_path(&mut request);
                ProviderFuture::passed(self.inner.call(request))
            }
        }
    }
}

impl fmt::Debug for ProviderLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProviderLayer").field(self.0.provider()).finish()
    }
}

impl<S> fmt::Debug for ProviderService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderService").field("provider", self.endpoints.provider()).finish_non_exhaustive()
    }
}
