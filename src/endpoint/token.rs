use std::convert::Infallible;
use std::fmt;
use std::task::{Context, Poll};

use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body::Body;
use serde_json::Value;
use tower::Service;

use super::ResponseFuture;
use crate::grant_type;
use crate::http::{Failure, Reply, authenticate, detached, failure, json, method_not_allowed, read_form};
use crate::provider::Provider;
use crate::types::Params;

/// The token endpoint ([RFC 6749 §3.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.2)), whatever path it is
/// mounted at. See the [module docs](crate::endpoint) for an example.
#[derive(Clone)]
pub struct Token(Provider);

impl Provider {
    /// The token endpoint as a service.
    #[must_use]
    pub fn token(&self) -> Token {
        Token(self.clone())
    }
}

impl Token {
    pub(super) async fn answer<B>(self, request: Request<B>) -> Reply
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        if request.method() != Method::POST {
            return method_not_allowed("POST");
        }
        let (head, body) = request.into_parts();
        let read = match refuse_query(&head.uri) {
            Ok(()) => read_form(&head.headers, body).await,
            Err(refused) => Err(refused),
        };
        let exchanged = match read {
            // A client that hangs up now must not stop an exchange halfway.
            Ok(params) => detached(exchange(self.0, head.headers, params)).await,
            Err(refused) => Err(refused),
        };
        exchanged.map_or_else(|refused| failure(&refused), |response| json(StatusCode::OK, &response))
    }
}

async fn exchange(provider: Provider, headers: HeaderMap, params: Params) -> Result<Value, Failure> {
    if params.any_repeated() {
        return Err(Failure::invalid_request("a parameter is repeated"));
    }
    let client = authenticate(&provider, &headers, &params).await?;
    grant_type::exchange(&provider, &client, &params).await.map(Value::Object)
}

/// RFC 6749 §2.3.1: what belongs into the body must not stand in the URI, where logs keep it.
fn refuse_query(uri: &Uri) -> Result<(), Failure> {
    const SECRETS: [&str; 6] =
        ["client_id", "client_secret", "code", "code_verifier", "refresh_token", "client_assertion"];
    let Some(query) = uri.query() else { return Ok(()) };
    match Params::parse(query.as_bytes()) {
        Ok(params) if !SECRETS.iter().any(|name| params.has(name)) => Ok(()),
        _ => Err(Failure::invalid_request("the parameters belong into the body, not into the query")),
    }
}

impl<B> Service<Request<B>> for Token
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
        let answer = self.clone().answer(request);
        ResponseFuture::new(async move { Ok(answer.await) })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}
