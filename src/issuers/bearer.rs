use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};

use http::{Request, Response, StatusCode};
use http_body::Body;
use tower::{Layer, Service};

use super::{Issuers, Whose};
use crate::bearer::{BearerFuture, BearerLayer, NoUser, ResolveUser};
use crate::provider::Provider;
use crate::types::Issuer;

/// Layer that applies [`IssuersBearer`]. See the [module docs](crate::issuers) for an example.
#[must_use]
pub struct IssuersBearerLayer<R = NoUser>(Arc<Layers<R>>);

/// Middleware that lets requests with a good token of the issuer that they are for pass.
///
/// Each issuer has a [bearer layer](BearerLayer) of its own, which knows no other's keys. Where no issuer has a resource
/// the answer is 404; where the path would have to say whose it is and no [`Issuers::layer`] is outside, 500; where a
/// request names two hosts, or its path can be read as another one, 400.
pub struct IssuersBearer<S, R = NoUser> {
    inner: S,
    layers: Arc<Layers<R>>,
}

type Make<R> = dyn Fn(&Provider) -> BearerLayer<R> + Send + Sync;

/// The layer of each issuer.
struct Layers<R> {
    issuers: Issuers,
    make: Box<Make<R>>,
    made: RwLock<HashMap<Issuer, Made<R>>>,
}

/// For this provider and not for another one of the same issuer, which may have other scopes.
struct Made<R> {
    of: Provider,
    layer: Arc<BearerLayer<R>>,
}

impl Issuers {
    /// A layer that takes the access tokens of the issuer that a request is for, by what `layer` makes of each issuer:
    /// often `|issuer| issuer.bearer().require(..)`.
    ///
    /// `layer` is called here for each issuer of the set, and for one that comes later at the first request to it. It has to
    /// take that issuer's own tokens: made of something else, it decides by itself whose tokens are good.
    ///
    /// Each of these layers guards one resource: the issuer's default one, or the one that `layer` gives it by
    /// [`resource`](BearerLayer::resource), and not the one of several that a request lies below. **The routes of every
    /// further resource need a layer of their own** that names it, or a token for the default one opens them too:
    ///
    /// ```
    /// # use tower_oauth::{Issuers, MemoryStore, Provider};
    /// # let provider = Provider::builder("https://b.example").store(MemoryStore::new()).scope("profile", "see your profile");
    /// # let issuers = Issuers::new([provider.resource("https://b.example/mcp").build()?])?;
    /// let of_api = issuers.bearer(|issuer| issuer.bearer());
    /// let of_mcp = issuers.bearer(|issuer| issuer.bearer().resource(&format!("{}/mcp", issuer.issuer())));
    /// # Ok::<_, tower_oauth::ConfigErrors>(())
    /// ```
    ///
    /// # Panics
    /// If `layer` does, as [`require`](BearerLayer::require) where an issuer offers no such scope.
    pub fn bearer<R>(
        &self,
        layer: impl Fn(&Provider) -> BearerLayer<R> + Send + Sync + 'static,
    ) -> IssuersBearerLayer<R> {
        let layers = Layers { issuers: self.clone(), make: Box::new(layer), made: RwLock::default() };
        let present: Vec<_> = self.read().providers().cloned().collect();
        present.iter().for_each(|provider| drop(layers.of(provider)));
        IssuersBearerLayer(Arc::new(layers))
    }
}

impl<R> Layers<R> {
    fn of(&self, provider: &Provider) -> Arc<BearerLayer<R>> {
        let made = self.made.read().unwrap_or_else(PoisonError::into_inner);
        let known = made.get(&provider.0.config.issuer).filter(|made| Arc::ptr_eq(&made.of.0, &provider.0));
        if let Some(made) = known {
            return Arc::clone(&made.layer);
        }
        drop(made);
        let layer = Arc::new((self.make)(provider));
        let mut made = self.made.write().unwrap_or_else(PoisonError::into_inner);
        // What was taken out of the set meanwhile is not kept for ever.
        let table = self.issuers.read();
        made.retain(|_, made| table.has(&made.of));
        made.insert(provider.0.config.issuer.clone(), Made { of: provider.clone(), layer: Arc::clone(&layer) });
        layer
    }
}

impl<S, R> Layer<S> for IssuersBearerLayer<R> {
    type Service = IssuersBearer<S, R>;

    fn layer(&self, inner: S) -> IssuersBearer<S, R> {
        IssuersBearer { inner, layers: Arc::clone(&self.0) }
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for IssuersBearer<S, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    R: ResolveUser,
    ReqBody: Body,
    ResBody: Default,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = BearerFuture<S, R, ReqBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let status = match self.layers.issuers.whose(&request) {
            Whose::Of(provider) => return self.layers.of(&provider).guard(&mut self.inner, request),
            Whose::Nobodys => StatusCode::NOT_FOUND,
            Whose::Unseen => StatusCode::INTERNAL_SERVER_ERROR,
            Whose::Ambiguous => StatusCode::BAD_REQUEST,
        };
        let mut response = Response::new(ResBody::default());
        *response.status_mut() = status;
        BearerFuture::answered(response)
    }
}

// By hand: a derive would ask the same of `R`.
impl<R> Clone for IssuersBearerLayer<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Clone, R> Clone for IssuersBearer<S, R> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), layers: Arc::clone(&self.layers) }
    }
}

impl<R> fmt::Debug for IssuersBearerLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("IssuersBearerLayer").field(&self.0.issuers).finish()
    }
}

impl<S, R> fmt::Debug for IssuersBearer<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuersBearer").field("issuers", &self.layers.issuers).finish_non_exhaustive()
    }
}
