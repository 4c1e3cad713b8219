//! What the endpoints have in common that need no page.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

#[cfg(feature = "jwt")]
use http::StatusCode;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body::Body;
use tower::{Layer, Service};
use tower_http::cors::{AllowOrigin, Any, CorsLayer};

use super::well_known::Document;
use super::{ResponseFuture, introspection, pushed_authorization_request, registration, revocation, token, well_known};
#[cfg(feature = "jwt")]
use super::{jwks, revocation_feed};
use crate::client::Client;
use crate::error::ProtocolError;
#[cfg(feature = "jwt")]
use crate::http::bare;
use crate::http::{
    DPOP, DPOP_NONCE, Errand, Failure, Reply, authenticate, detached, failure, method_not_allowed, read_form,
};
use crate::provider::Provider;
use crate::span::{self, Spanned};
use crate::types::Params;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An endpoint that needs no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaf {
    Token,
    Revocation,
    Introspection,
    Registration,
    PushedAuthorizationRequest,
    WellKnown,
    /// Of the resource at this place of the configuration.
    ResourceMetadata(usize),
    #[cfg(feature = "jwt")]
    JwkSet,
    #[cfg(feature = "jwt")]
    RevocationFeed,
}

/// All of them, of one provider.
#[derive(Clone)]
pub(super) struct Leaves {
    pub(super) provider: Provider,
    cors: CorsLayer,
}

impl Leaves {
    pub(super) fn new(provider: &Provider) -> Self {
        let origins = match &provider.0.config.cors_origins {
            None => AllowOrigin::from(Any),
            Some(origins) => AllowOrigin::list(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok())),
        };
        let mut methods = vec![Method::GET, Method::HEAD, Method::POST];
        if provider.manages_registrations() {
            methods.extend([Method::PUT, Method::DELETE]);
        }
        let cors = CorsLayer::new()
            .allow_origin(origins)
            .allow_methods(methods)
            .allow_headers([
                header::AUTHORIZATION,
                header::CONTENT_TYPE,
                DPOP,
                HeaderName::from_static("mcp-protocol-version"),
            ])
            .expose_headers([header::WWW_AUTHENTICATE, DPOP_NONCE])
            .max_age(Duration::from_secs(600));
        Self { provider: provider.clone(), cors }
    }

    /// Which endpoint is at a path, as the service sees it. Paths match exactly.
    pub(super) fn at(&self, path: &str) -> Option<Leaf> {
        let config = &self.provider.0.config;
        let paths = &config.paths;
        match path {
            path if path == paths.seen(&paths.token) => Some(Leaf::Token),
            path if path == paths.seen(&paths.revocation) => Some(Leaf::Revocation),
            path if path == paths.seen(&paths.introspection) => Some(Leaf::Introspection),
            path if path == paths.seen(&paths.registration) => config.registration.as_ref().map(|_| Leaf::Registration),
            path if paths.pushed_authorization_request.as_deref().is_some_and(|pushed| path == paths.seen(pushed)) => {
                Some(Leaf::PushedAuthorizationRequest)
            }
            #[cfg(feature = "jwt")]
            path if paths.jwks.as_deref().is_some_and(|jwks| path == paths.seen(jwks)) => Some(Leaf::JwkSet),
            #[cfg(feature = "jwt")]
            path if paths.revocation_feed.as_deref().is_some_and(|feed| path == paths.seen(feed)) => {
                Some(Leaf::RevocationFeed)
            }
            path if well_known::document(config, path).is_some() => Some(Leaf::WellKnown),
            _ => None,
        }
    }

    /// The answer of an endpoint, whatever path the request came by.
    pub(super) async fn answer<B>(self, leaf: Leaf, request: Request<B>) -> Reply
    where
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<BoxError>,
    {
        let provider = self.provider;
        let (method, paths) = (request.method().clone(), &provider.0.config.paths);
        let mut endpoint = Endpoint { leaf, provider: provider.clone() };
        let answer = async {
            let Ok(reply) = match leaf {
                // For servers; no page of another origin has a reason to ask.
                Leaf::Introspection => endpoint.call(request).await,
                #[cfg(feature = "jwt")]
                Leaf::RevocationFeed => endpoint.call(request).await,
                _ => self.cors.layer(endpoint).call(request).await,
            };
            reply
        };
        let (spanned, route) = match leaf {
            Leaf::Token => (Spanned::Token, Some(&*paths.token)),
            Leaf::Revocation => (Spanned::Revoke, Some(&*paths.revocation)),
            Leaf::Introspection => (Spanned::Introspect, Some(&*paths.introspection)),
            Leaf::Registration => (Spanned::Register, Some(&*paths.registration)),
            Leaf::PushedAuthorizationRequest => (Spanned::Push, paths.pushed_authorization_request.as_deref()),
            Leaf::WellKnown | Leaf::ResourceMetadata(_) => return answer.await,
            #[cfg(feature = "jwt")]
            Leaf::JwkSet => return answer.await,
            #[cfg(feature = "jwt")]
            Leaf::RevocationFeed => (Spanned::RevocationFeed, paths.revocation_feed.as_deref()),
        };
        span::request(spanned, method, route, |reply: &Reply| Some(reply.status()), answer).await
    }
}

/// One endpoint, as it answers whoever asks; tower-http's layer lets pages of other origins read it.
#[derive(Clone)]
struct Endpoint {
    leaf: Leaf,
    provider: Provider,
}

impl<B> Service<Request<B>> for Endpoint
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Self { leaf, provider } = self.clone();
        ResponseFuture::new(async move {
            Ok(match leaf {
                Leaf::Token => token::answer(provider, request).await,
                Leaf::Revocation => form(provider, request, Errand::Tokens, revocation::revoke).await,
                Leaf::Introspection => form(provider, request, Errand::Tokens, introspection::introspect).await,
                Leaf::Registration => registration::answer(provider, request).await,
                Leaf::PushedAuthorizationRequest => pushed_authorization_request::answer(provider, request).await,
                Leaf::WellKnown => well_known::answer(&provider, &request),
                Leaf::ResourceMetadata(place) => {
                    let document = Document::Resource(&provider.0.config.resources[place]);
                    well_known::show(&provider, &document, request.method())
                }
                #[cfg(feature = "jwt")]
                Leaf::JwkSet => jwks::answer(&provider, request.method()).await,
                #[cfg(feature = "jwt")]
                Leaf::RevocationFeed if provider.0.config.paths.revocation_feed.is_none() => {
                    bare(StatusCode::NOT_FOUND)
                }
                #[cfg(feature = "jwt")]
                Leaf::RevocationFeed => form(provider, request, Errand::Tokens, revocation_feed::tell).await,
            })
        })
    }
}

/// A POST of a form, by a client that authenticates.
pub(super) async fn form<B, Fut>(
    provider: Provider,
    request: Request<B>,
    errand: Errand,
    answer: impl FnOnce(Provider, Client, Params) -> Fut + Send + 'static,
) -> Reply
where
    B: Body,
    B::Error: Into<BoxError>,
    Fut: Future<Output = Result<Reply, Failure>> + Send + 'static,
{
    if request.method() != Method::POST {
        return method_not_allowed(&provider, "POST");
    }
    let (head, body) = request.into_parts();
    let read = match refuse_query(&head.uri) {
        Ok(()) => read_form(&head.headers, body).await,
        Err(refused) => Err(refused.into()),
    };
    let answered = match read {
        Ok(params) if params.any_repeated() => Err(ProtocolError::PARAMETER_REPEATED.into()),
        // A client that hangs up now must not stop an exchange halfway.
        Ok(params) => detached(proven(provider.clone(), head.headers, params, errand, answer)).await,
        Err(refused) => Err(refused),
    };
    answered.unwrap_or_else(|refused| failed(&provider, &refused))
}

async fn proven<Fut: Future<Output = Result<Reply, Failure>>>(
    provider: Provider,
    headers: HeaderMap,
    params: Params,
    errand: Errand,
    answer: impl FnOnce(Provider, Client, Params) -> Fut,
) -> Result<Reply, Failure> {
    let client = authenticate(&provider, &headers, &params, errand).await?;
    let id = client.id().clone();
    answer(provider, client, params).await.map_err(|refused| refused.of(&id))
}

/// Tells the caller, and the operator more.
pub(super) fn failed(provider: &Provider, refused: &Failure) -> Reply {
    refused.report(provider);
    failure(refused)
}

/// RFC 6749 §2.3.1: what belongs into the body must not stand in the URI, where logs keep it.
fn refuse_query(uri: &Uri) -> Result<(), ProtocolError> {
    const SECRETS: [&str; 7] =
        ["client_id", "client_secret", "code", "code_verifier", "refresh_token", "client_assertion", "token"];
    let Some(query) = uri.query() else { return Ok(()) };
    match Params::parse(query.as_bytes()) {
        Ok(params) if !SECRETS.iter().any(|name| params.has(name)) => Ok(()),
        _ => Err(ProtocolError::PARAMETERS_IN_QUERY),
    }
}

/// Says the same for each of the endpoints: a service, whatever path it is mounted at.
macro_rules! leaf_service {
    ($(#[$doc:meta])* $name:ident, $method:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $name($crate::endpoint::leaf::Leaves);

        impl $crate::provider::Provider {
            #[doc = concat!("The ", $what, " as a service.")]
            #[must_use]
            pub fn $method(&self) -> $name {
                $name($crate::endpoint::leaf::Leaves::new(self))
            }
        }

        impl<B> ::tower::Service<::http::Request<B>> for $name
        where
            B: ::http_body::Body + Send + 'static,
            B::Data: Send,
            B::Error: Into<Box<dyn ::std::error::Error + Send + Sync>>,
        {
            type Response = $crate::http::Reply;
            type Error = ::std::convert::Infallible;
            type Future = $crate::endpoint::ResponseFuture;

            fn poll_ready(
                &mut self,
                _: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<Result<(), ::std::convert::Infallible>> {
                ::std::task::Poll::Ready(Ok(()))
            }

            fn call(&mut self, request: ::http::Request<B>) -> Self::Future {
                let answer = self.0.clone().answer($crate::endpoint::leaf::Leaf::$name, request);
                $crate::endpoint::ResponseFuture::new(async move { Ok(answer.await) })
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    };
}
pub(super) use leaf_service;
