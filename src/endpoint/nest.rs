use std::fmt;
use std::task::{Context, Poll};

use http::{Request, Response, StatusCode};
use http_body::Body;
use tower::Service;

use super::ResponseFuture;
use super::authorize::Gate;
use super::leaf::Leaves;
use crate::http::{ResponseBody, bare, take_ready};
use crate::provider::Provider;

/// The endpoints under one prefix, for
/// `nest_service(provider.prefix(), provider.nest(page))`; any other path is a 404.
///
/// The well-known documents are at the root of the origin: mount [`Provider::well_known`] there. See the
/// [module docs](crate::endpoint) for an example.
#[derive(Clone)]
pub struct Nest<P> {
    page: P,
    gate: Gate,
    leaves: Leaves,
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
        Nest { page, gate: Gate::new(self), leaves: Leaves::new(self) }
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
        let paths = &self.leaves.provider.0.config.paths;
        let path = format!("{}{}", paths.seen_prefix(), request.uri().path());
        if let Some(leaf) = self.leaves.at(&path) {
            let answer = self.leaves.clone().answer(leaf, request);
            ResponseFuture::new(async move { Ok(answer.await.map(ResponseBody::widen)) })
        } else if path == paths.seen(&paths.authorization) {
            let page = take_ready(&mut self.page);
            ResponseFuture::new(self.gate.clone().answer(page, request))
        } else {
            ResponseFuture::new(async { Ok(bare(StatusCode::NOT_FOUND).map(ResponseBody::widen)) })
        }
    }
}

impl<P> fmt::Debug for Nest<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nest").field("provider", &self.leaves.provider).finish_non_exhaustive()
    }
}
