use std::fmt;
use std::task::{Context, Poll};

use http::{Request, Response, StatusCode};
use http_body::Body;
use tower::Service;

use super::ResponseFuture;
use super::all::All;
use crate::http::{ResponseBody, bare};
use crate::provider::Provider;

/// The endpoints under one prefix, for
/// `nest_service(provider.prefix(), provider.nest(page))`; any other path is a 404.
///
/// The well-known documents are at the root of the origin: mount [`Provider::well_known`] there. See the
/// [module docs](crate::endpoint) for an example.
#[derive(Clone)]
pub struct Nest<P> {
    page: P,
    endpoints: All,
}

impl Provider {
    /// The endpoints, with a page, for a router that strips [`prefix`](Self::prefix).
    ///
    /// # Panics
    /// If there is no prefix, or a proxy strips all of it, at the line of this call.
    #[track_caller]
    pub fn nest<P>(&self, page: P) -> Nest<P> {
        let instead = if self.0.config.paths.is_stripped() {
            "the proxy strips all of the prefix, so write `.layer(provider.layer())`"
        } else {
            "configure `.endpoints(Endpoints::under(\"/..\"))`, so that the published URLs agree"
        };
        assert!(!self.prefix().is_empty(), "nothing to nest under: {instead}");
        Nest { page, endpoints: All::new(self) }
    }
}

impl<P, B, RB> Service<Request<B>> for Nest<P>
where
    P: Service<Request<B>, Response = Response<RB>> + Clone + Send + 'static,
    P::Future: Send,
    P::Error: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    RB: Send + 'static,
{
    type Response = Response<ResponseBody<RB>>;
    type Error = P::Error;
    type Future = ResponseFuture<Self::Response, P::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), P::Error>> {
        self.page.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let path = format!("{}{}", self.endpoints.provider().prefix(), request.uri().path());
        match self.endpoints.at(&path) {
            Some(claim) => self.endpoints.answer(claim, &mut self.page, request),
            None => ResponseFuture::new(async { Ok(bare(StatusCode::NOT_FOUND).map(ResponseBody::widen)) }),
        }
    }
}

impl<P> fmt::Debug for Nest<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nest").field("provider", self.endpoints.provider()).finish_non_exhaustive()
    }
}
