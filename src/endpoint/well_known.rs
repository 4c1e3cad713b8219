use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use http::{HeaderValue, Method, Request, StatusCode, header};
use serde_json::{Map, Value, json};
use tower::Service;

use crate::client::AuthMethod;
use crate::grant_type;
use crate::http::{Reply, bare, json, method_not_allowed};
use crate::provider::Provider;

/// The well-known documents of a provider, for the root of its origin
/// ([RFC 8414 §3](https://www.rfc-editor.org/rfc/rfc8414#section-3)). Any other path is a 404.
///
/// See the [module docs](crate::endpoint) for an example.
#[derive(Clone)]
pub struct WellKnown(Provider);

impl Provider {
    /// The well-known documents as a service.
    #[must_use]
    pub fn well_known(&self) -> WellKnown {
        WellKnown(self.clone())
    }

    /// Where the server metadata are: `/.well-known/oauth-authorization-server`, and behind it the issuer's path.
    #[must_use]
    pub fn metadata_path(&self) -> &str {
        &self.0.config.paths.server_metadata
    }
}

impl WellKnown {
    pub(super) fn answer<B>(&self, request: &Request<B>) -> Reply {
        if request.uri().path() != self.0.metadata_path() {
            return bare(StatusCode::NOT_FOUND);
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return method_not_allowed("GET, HEAD");
        }
        let mut reply = json(StatusCode::OK, &Value::Object(self.server_metadata()));
        reply.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        reply.headers_mut().remove(header::PRAGMA);
        if request.method() == Method::HEAD {
            *reply.body_mut() = Default::default();
        }
        reply
    }

    /// What there is, and nothing else ([RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414#section-2)).
    fn server_metadata(&self) -> Map<String, Value> {
        let config = &self.0.0.config;
        let scopes: Vec<_> = config.scopes.iter().filter(|scope| !scope.reserved).map(|scope| &*scope.name).collect();
        let grant_types = grant_type::ALL.map(|grant_type| grant_type.as_str());
        let methods = [AuthMethod::ClientSecretBasic, AuthMethod::ClientSecretPost, AuthMethod::None];
        let mut metadata = Map::new();
        let mut put = |name: &str, value: Value| metadata.insert(name.to_owned(), value);
        put("issuer", self.0.issuer().into());
        put("authorization_endpoint", config.url(&config.paths.authorization).into());
        put("token_endpoint", config.url(&config.paths.token).into());
        if !scopes.is_empty() {
            put("scopes_supported", scopes.into());
        }
        put("response_types_supported", json!(["code"]));
        put("response_modes_supported", json!(["query"]));
        put("grant_types_supported", json!(grant_types));
        put("token_endpoint_auth_methods_supported", json!(methods.map(AuthMethod::as_str)));
        put("code_challenge_methods_supported", json!(["S256"]));
        put("authorization_response_iss_parameter_supported", true.into());
        metadata
    }
}

impl<B> Service<Request<B>> for WellKnown {
    type Response = Reply;
    type Error = Infallible;
    type Future = Ready<Result<Reply, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(self.answer(&request)))
    }
}

impl fmt::Debug for WellKnown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WellKnown").finish_non_exhaustive()
    }
}
