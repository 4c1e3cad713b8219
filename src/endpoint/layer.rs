use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower::{Layer, Service};

use super::ResponseFuture;
use super::authorize::Gate;
use super::leaf::Leaves;
use crate::http::{ResponseBody, take_ready};
use crate::provider::Provider;

/// Layer that makes the service inside an authorization server: all the endpoints, in one. It goes on last, outside
/// every route and every other layer of the app that could answer first. It compares whole paths, so it cannot be inside a
/// router that is nested under a prefix: there, use [`Provider::nest`]; behind a proxy that strips one, say
/// [`Endpoints::stripped`](crate::Endpoints::stripped).
///
/// See the [module docs](crate::endpoint) for an example.
#[must_use]
#[derive(Clone)]
pub struct ProviderLayer(Gate, Leaves);

/// Middleware that answers the endpoints, wraps the authorization path, and passes all else through.
///
/// Paths match exactly. See the [module docs](crate::endpoint) for an example.
#[derive(Clone)]
pub struct ProviderService<S> {
    inner: S,
    gate: Gate,
    leaves: Leaves,
}

impl Provider {
    /// All the endpoints as one layer.
    pub fn layer(&self) -> ProviderLayer {
        ProviderLayer(Gate::new(self), Leaves::new(self))
    }
}

impl<S> Layer<S> for ProviderLayer {
    type Service = ProviderService<S>;

    fn layer(&self, inner: S) -> ProviderService<S> {
        ProviderService { inner, gate: self.0.clone(), leaves: self.1.clone() }
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

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let path = request.uri().path();
        let paths = &self.leaves.provider.0.config.paths;
        if let Some(leaf) = self.leaves.at(path) {
            let answer = self.leaves.clone().answer(leaf, request);
            ProviderFuture::ours(async move { Ok(answer.await.map(ResponseBody::widen)) })
        } else if path == paths.seen(&paths.authorization) {
            let page = take_ready(&mut self.inner);
            ProviderFuture::ours(self.gate.clone().answer(page, request))
        } else {
            ProviderFuture { kind: Kind::Inner { call: self.inner.call(request) } }
        }
    }
}

pin_project! {
    /// Response future of [`ProviderService`]: what passes through is not boxed.
    pub struct ProviderFuture<F, RB, E> {
        #[pin]
        kind: Kind<F, RB, E>,
    }
}

pin_project! {
    #[project = KindProj]
    enum Kind<F, RB, E> {
        Inner { #[pin] call: F },
        Ours { #[pin] answer: ResponseFuture<Response<ResponseBody<RB>>, E> },
    }
}

impl<F, RB, E> ProviderFuture<F, RB, E> {
    fn ours(answer: impl Future<Output = Result<Response<ResponseBody<RB>>, E>> + Send + 'static) -> Self {
        Self { kind: Kind::Ours { answer: ResponseFuture::new(answer) } }
    }
}

impl<F, RB, E> Future for ProviderFuture<F, RB, E>
where
    F: Future<Output = Result<Response<RB>, E>>,
{
    type Output = Result<Response<ResponseBody<RB>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProj::Inner { call } => call.poll(cx).map_ok(|response| response.map(ResponseBody::inner)),
            KindProj::Ours { answer } => answer.poll(cx),
        }
    }
}

impl<F, RB, E> fmt::Debug for ProviderFuture<F, RB, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderFuture").finish_non_exhaustive()
    }
}

impl fmt::Debug for ProviderLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProviderLayer").field(&self.1.provider).finish()
    }
}

impl<S> fmt::Debug for ProviderService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderService").field("provider", &self.leaves.provider).finish_non_exhaustive()
    }
}
