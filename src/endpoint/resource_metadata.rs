use std::convert::Infallible;
use std::fmt;
use std::task::{Context, Poll};

use http::Request;
use http_body::Body;
use serde_json::{Map, Value, json};
use tower::Service;

use super::ResponseFuture;
use super::leaf::{Leaf, Leaves};
use crate::config::Config;
use crate::http::Reply;
#[cfg(feature = "jwt")]
use crate::jwt::Algorithm;
use crate::provider::ResourceServer;
use crate::types::Resource;

/// The metadata of one resource ([RFC 9728](https://www.rfc-editor.org/rfc/rfc9728)), whatever path it is mounted at.
///
/// See [`ResourceServer`] for an example.
#[derive(Clone)]
pub struct ResourceMetadata {
    leaves: Leaves,
    place: usize,
}

impl ResourceServer {
    /// The metadata of this resource as a service, for an API on another origin than its issuer's, or behind a router
    /// that [`Provider::layer`](crate::Provider::layer) is not around.
    #[must_use]
    pub fn metadata(&self) -> ResourceMetadata {
        ResourceMetadata { leaves: Leaves::new(&self.provider), place: self.place }
    }

    /// Where the metadata have to be, on the origin of the resource: the well-known name goes between host and path
    /// ([RFC 9728 §3.1](https://www.rfc-editor.org/rfc/rfc9728#section-3.1)).
    #[must_use]
    pub fn metadata_path(&self) -> String {
        Config::metadata_path(self.resource())
    }
}

impl<B> Service<Request<B>> for ResourceMetadata
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let answer = self.leaves.clone().answer(Leaf::ResourceMetadata(self.place), request);
        ResponseFuture::new(async move { Ok(answer.await) })
    }
}

/// What a client has to know of a resource ([RFC 9728 §2](https://www.rfc-editor.org/rfc/rfc9728#section-2)).
pub(super) fn document(config: &Config, resource: &Resource) -> Map<String, Value> {
    let scopes: Vec<_> = config.resource_scopes(resource).collect();
    let mut metadata = Map::new();
    let mut put = |name: &str, value: Value| metadata.insert(name.to_owned(), value);
    put("resource", resource.as_str().into());
    put("authorization_servers", json!([config.issuer.as_str()]));
    if !scopes.is_empty() {
        put("scopes_supported", scopes.into());
    }
    put("bearer_methods_supported", json!(["header"]));
    #[cfg(feature = "jwt")]
    if config.takes_dpop() {
        put("dpop_signing_alg_values_supported", json!(Algorithm::ALL.map(Algorithm::as_str)));
    }
    if config.needs_dpop(resource) {
        put("dpop_bound_access_tokens_required", true.into());
    }
    metadata
}

impl fmt::Debug for ResourceMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = &self.leaves.provider.0.config;
        f.debug_tuple("ResourceMetadata").field(&config.resources[self.place]).finish()
    }
}
