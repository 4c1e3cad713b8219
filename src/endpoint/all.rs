use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower::Service;

use super::ResponseFuture;
use super::authorize::Gate;
use super::leaf::{Leaf, Leaves};
use crate::http::{ResponseBody, WholePath, take_ready};
use crate::provider::Provider;

/// All the endpoints of one provider.
#[derive(Clone)]
pub(crate) struct All {
    gate: Gate,
    leaves: Leaves,
}

/// An endpoint, by its path.
#[derive(Clone, Copy)]
pub(crate) enum Claim {
    /// One that needs no page.
    Leaf(Leaf),
    /// The authorization endpoint.
    Page,
}

impl All {
    pub(crate) fn new(provider: &Provider) -> Self {
        Self { gate: Gate::new(provider), leaves: Leaves::new(provider) }
    }

    pub(crate) fn provider(&self) -> &Provider {
        &self.leaves.provider
    }

    /// Which endpoint is at a path, as the service sees it. Paths match exactly.
    pub(crate) fn at(&self, path: &str) -> Option<Claim> {
        let paths = &self.provider().0.config.paths;
        match self.leaves.at(path) {
            Some(leaf) => Some(Claim::Leaf(leaf)),
            None if path == paths.seen(&paths.authorization) => Some(Claim::Page),
            None => None,
        }
    }

    /// Lets this provider's bearer layers know the path of a request that goes inside, where they ask for it.
    pub(crate) fn note_path<B>(&self, request: &mut Request<B>) {
        let config = &self.provider().0.config;
        if config.takes_dpop() {
            WholePath::note(request, Some(&config.issuer));
        }
    }

    /// The answer of an endpoint; `app` is ready, and has the page.
    pub(crate) fn answer<S, B, RB>(
        &self,
        claim: Claim,
        app: &mut S,
        request: Request<B>,
    ) -> ResponseFuture<Response<ResponseBody<RB>>, S::Error>
    where
        S: Service<Request<B>, Response = Response<RB>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Send,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
        RB: Send + 'static,
    {
        match claim {
            Claim::Leaf(leaf) => {
                let answer = self.leaves.clone().answer(leaf, request);
                ResponseFuture::new(async move { Ok(answer.await.map(ResponseBody::widen)) })
            }
            Claim::Page => ResponseFuture::new(self.gate.clone().answer(take_ready(app), request)),
        }
    }
}

pin_project! {
    /// Response future of [`ProviderService`](super::ProviderService): what passes through is not boxed.
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
    pub(crate) const fn passed(call: F) -> Self {
        Self { kind: Kind::Inner { call } }
    }

    pub(crate) const fn ours(answer: ResponseFuture<Response<ResponseBody<RB>>, E>) -> Self {
        Self { kind: Kind::Ours { answer } }
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
