//! Whether a form comes from this site ([RFC 9700 §4.7](https://www.rfc-editor.org/rfc/rfc9700#section-4.7)), by
//! tower-http's rule.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderName, Method, Request, Response, header};
use tower::{Layer, Service};
use tower_http::csrf::{Csrf, CsrfLayer};

use crate::provider::Provider;

/// The rule for one issuer. What is trusted is the issuer's origin and never the `Host` header, so the rule is asked
/// about a request that has none.
#[derive(Clone)]
pub(crate) struct SameOrigin(Csrf<Pass>);

impl SameOrigin {
    pub(crate) fn new(provider: &Provider) -> Self {
        let layer = CsrfLayer::new()
            .add_trusted_origin(&provider.0.config.origin)
            .expect("an issuer's origin is one that browsers send");
        Self(layer.layer(Pass))
    }

    /// Whether a POST with these headers was sent by a page of this site.
    pub(crate) async fn allows(&self, headers: &HeaderMap) -> bool {
        let mut probe = Request::new(());
        *probe.method_mut() = Method::POST;
        for name in [header::ORIGIN, HeaderName::from_static("sec-fetch-site")] {
            let mut values = headers.get_all(&name).iter();
            probe.headers_mut().extend(values.next().map(|value| (name, value.clone())));
            if values.next().is_some() {
                return false;
            }
        }
        let Ok(answer) = self.0.clone().call(probe).await;
        answer.status().is_success()
    }
}

/// The service behind the rule: whatever reaches it has passed.
#[derive(Clone, Copy, Debug)]
struct Pass;

impl Service<Request<()>> for Pass {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(())))
    }
}
