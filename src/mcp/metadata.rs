use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderName, Method, Request, StatusCode, header};
use http_body::Body;
use serde_json::{Value, json};
use tower::{Layer, Service};
use tower_http::cors::{Any, Cors, CorsLayer};

use super::McpLayer;
use crate::config::Config;
use crate::endpoint::ResponseFuture;
use crate::http::{Reply, bare, public_json};

/// What tells clients of an MCP server who issues tokens for it ([RFC 9728](https://www.rfc-editor.org/rfc/rfc9728)),
/// whatever path it is mounted at. See [`McpLayer::metadata`].
#[derive(Clone)]
pub struct McpMetadata(Cors<Document>);

#[derive(Clone)]
struct Document(Arc<Value>);

const MAX_AGE: Duration = Duration::from_secs(5 * 60);

impl<R> McpLayer<R> {
    /// The metadata of an MCP server apart from its authorization servers, which are these issuers. Clients ask for the
    /// scopes that every request needs, and then for those of what they call; all of them are named.
    ///
    /// An authorization server on the same origin answers them by itself, with [`Provider::layer`](crate::Provider::layer).
    ///
    #[cfg_attr(feature = "jwt", doc = "```")]
    #[cfg_attr(not(feature = "jwt"), doc = "```ignore")]
    /// # use std::convert::Infallible;
    /// # use bytes::Bytes;
    /// # use http::{Request, Response};
    /// # struct MyClient;
    /// # impl tower_oauth::Fetch for MyClient {
    /// #     type Error = Infallible;
    /// #     async fn fetch(&self, _request: Request<Bytes>) -> Result<Response<Bytes>, Infallible> {
    /// #         Ok(Response::new(Bytes::new()))
    /// #     }
    /// # }
    /// use axum::{Router, routing::post};
    /// use tower_oauth::{JwtVerifier, McpLayer};
    ///
    /// let verifier = JwtVerifier::builder("https://mcp.example/mcp").issuer("https://auth.example").fetch(MyClient).build()?;
    /// let guard = McpLayer::new(verifier.bearer()).require("notes:read").tool("add_note", "notes:write");
    /// let metadata = guard.metadata(["https://auth.example"]);
    /// let app: Router = Router::new()
    ///     .route_service(&guard.metadata_path(), metadata.clone())
    ///     .route_service("/.well-known/oauth-protected-resource", metadata) // for clients that look no further
    ///     .route("/mcp", post(async || "an MCP server").route_layer(guard));
    /// # Ok::<_, tower_oauth::ConfigErrors>(())
    /// ```
    ///
    /// # Panics
    /// If no issuer is named, or the bearer layer does not say what lies behind it
    /// ([`resource`](crate::BearerLayer::resource)), at the line of this call.
    #[must_use]
    #[track_caller]
    pub fn metadata<T: Into<String>>(&self, issuers: impl IntoIterator<Item = T>) -> McpMetadata {
        let issuers: Vec<String> = issuers.into_iter().map(Into::into).collect();
        assert!(!issuers.is_empty(), "nobody issues tokens: name an issuer");
        let mut document = json!({
            "resource": self.place().as_str(),
            "authorization_servers": issuers,
            "bearer_methods_supported": ["header"],
        });
        let scope = self.scope();
        if !scope.is_empty() {
            document["scopes_supported"] = scope.split(' ').collect::<Vec<_>>().into();
        }
        let cors = CorsLayer::new()
            .allow_origin(Any)
            .allow_methods([Method::GET, Method::HEAD])
            .allow_headers([HeaderName::from_static("mcp-protocol-version")])
            .max_age(Duration::from_secs(600));
        McpMetadata(cors.layer(Document(Arc::new(document))))
    }

    /// Where the metadata have to be, on the origin of the server
    /// ([RFC 9728 §3.1](https://www.rfc-editor.org/rfc/rfc9728#section-3.1)).
    ///
    /// # Panics
    /// As [`metadata`](Self::metadata).
    #[must_use]
    #[track_caller]
    pub fn metadata_path(&self) -> String {
        Config::metadata_path(self.place())
    }
}

impl<B> Service<Request<B>> for McpMetadata
where
    B: Body + Send + 'static,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<B>>::poll_ready(&mut self.0, cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ResponseFuture::new(self.0.call(request))
    }
}

impl<B> Service<Request<B>> for Document {
    type Response = Reply;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Reply, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let method = request.method();
        std::future::ready(Ok(if matches!(*method, Method::GET | Method::HEAD) {
            public_json(method, &self.0, MAX_AGE)
        } else {
            let mut reply = bare(StatusCode::METHOD_NOT_ALLOWED);
            reply.headers_mut().insert(header::ALLOW, http::HeaderValue::from_static("GET, HEAD"));
            reply
        }))
    }
}

impl fmt::Debug for McpMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("McpMetadata").finish_non_exhaustive()
    }
}
