use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response, StatusCode};
use http_body::Body;
use tower::{Layer, Service};

use super::table::Owner;
use super::{Issuers, Noted, host};
use crate::endpoint::{All, Claim, ProviderFuture, ResponseFuture};
use crate::http::{ResponseBody, WholePath, bare};

/// Layer that makes the service inside the authorization server of each [issuer](Issuers) of a set. It goes on last,
/// outside every route, as [`ProviderLayer`](crate::ProviderLayer) does, and not into a router that is nested under a
/// prefix.
///
/// See the [module docs](crate::issuers) for an example.
#[must_use]
#[derive(Clone)]
pub struct IssuersLayer(Issuers);

/// Middleware that answers the endpoints of each issuer at its host, wraps the authorization path, and passes all else
/// through. See the [module docs](crate::issuers) for an example.
#[derive(Clone)]
pub struct IssuersService<S> {
    inner: S,
    issuers: Issuers,
}

impl Issuers {
    /// All the endpoints of each issuer, as one layer.
    pub fn layer(&self) -> IssuersLayer {
        IssuersLayer(self.clone())
    }

    fn route<B>(&self, request: &Request<B>) -> Route {
        let Ok(authority) = host::authority(request) else { return Route::Refused };
        let table = self.read();
        if let Some((issuer, claim)) = table.endpoint(authority, request.uri().path()) {
            return Route::Endpoint(Arc::clone(issuer), claim);
        }
        // Whoever saw the path first saw most of it.
        if self.noted(request).is_some() {
            return Route::Inside(None);
        }
        match table.owner(authority, request.uri()) {
            Owner::OfPath(issuer) => {
                let issuer = issuer.map(|issuer| issuer.provider().clone());
                Route::Inside(Some(Noted { by: self.clone(), issuer }))
            }
            Owner::Ambiguous => Route::Refused,
            Owner::OfHost(_) | Owner::Nobody => Route::Inside(None),
        }
    }
}

/// Where a request goes.
enum Route {
    Endpoint(Arc<All>, Claim),
    /// To the service inside, with a note of whose it is where the host alone does not say.
    Inside(Option<Noted>),
    /// Nowhere, since it does not say for which host it is, or for which part of it.
    Refused,
}

impl<S> Layer<S> for IssuersLayer {
    type Service = IssuersService<S>;

    fn layer(&self, inner: S) -> IssuersService<S> {
        IssuersService { inner, issuers: self.0.clone() }
    }
}

impl<S, B, RB> Service<Request<B>> for IssuersService<S>
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
        match self.issuers.route(&request) {
            Route::Endpoint(issuer, claim) => ProviderFuture::ours(issuer.answer(claim, &mut self.inner, request)),
            Route::Inside(noted) => {
                WholePath::note(&mut request, None);
                if let Some(noted) = noted {
                    request.extensions_mut().insert(noted);
                }
                ProviderFuture::passed(self.inner.call(request))
            }
            Route::Refused => {
                let refused = async { Ok(bare(StatusCode::BAD_REQUEST).map(ResponseBody::widen)) };
                ProviderFuture::ours(ResponseFuture::new(refused))
            }
        }
    }
}

impl fmt::Debug for IssuersLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IssuersLayer").field(&self.0).finish()
    }
}

impl<S> fmt::Debug for IssuersService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuersService").field("issuers", &self.issuers).finish_non_exhaustive()
    }
}
