//! The others, each with the key given, and as much checked as it can: issuer, audience, end and beginning. None looks at
//! the type, nor remembers a token.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use axum_core::extract::FromRequestParts;
use axum_core_07::body::Body;
use axum_jwt_auth::{Decoder, LocalDecoder};
use futures_util::{FutureExt, future::Map};
use http::{Request, Response, StatusCode};
use jwt_authorizer::{Authorizer, IntoLayer, JwtAuthorizer, Validation};
use measure::service::{Bare, NoBody};
use serde::{Deserialize, Serialize};
use tower::{Layer, Service};
use tower_oauth2_resource_server::server::OAuth2ResourceServer;
use tower_oauth2_resource_server::tenant::TenantConfiguration;
use tower_oauth2_resource_server::validation::ClaimsValidationSpec;

use crate::issuer::{API, ISSUER, Issuer};

/// What a handler gets.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Claims {
    iss: String,
    sub: String,
    client_id: String,
    jti: String,
    iat: u64,
    exp: u64,
    scope: Option<String>,
}

/// What is ready at once.
fn now<T>(future: impl Future<Output = T>) -> T {
    match Box::pin(future).as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(ready) => ready,
        Poll::Pending => panic!("it waits"),
    }
}

pub(crate) fn jwt_authorizer(issuer: &Issuer) -> impl BenchService {
    let validation = Validation::new().iss(&[ISSUER]).aud(&[API]).nbf(true).leeway(0);
    let authorizer = JwtAuthorizer::<Claims>::from_jwks_text(&issuer.jwks().to_string()).validation(validation);
    let authorizer: Authorizer<Claims> = now(authorizer.build()).expect("it is configured");
    Plain(authorizer.into_layer().layer(BareOfAxum))
}

pub(crate) fn tower_oauth2_resource_server(issuer: &Issuer) -> impl BenchService {
    // It would want a beginning to be there, which RFC 9068 does not ask for.
    let spec = ClaimsValidationSpec::new().iss(ISSUER).aud(&vec![API.to_owned()]).exp(true);
    let tenant = TenantConfiguration::static_builder(issuer.jwks().to_string()).claims_validation(spec);
    let server = OAuth2ResourceServer::<Claims>::builder().add_tenant(tenant.build().expect("it is configured"));
    let server = now(server.build()).expect("it is configured");
    server.into_layer::<NoBody>().layer(Bare)
}

pub(crate) fn axum_jwt_auth(issuer: &Issuer) -> impl BenchService {
    let jwks = issuer.jwks();
    let text = |name: &str| jwks["keys"][0][name].as_str().expect("a text");
    let (key, algorithm) = match issuer {
        Issuer::Es256(_) => {
            (jsonwebtoken_10::DecodingKey::from_ec_components(text("x"), text("y")), jsonwebtoken_10::Algorithm::ES256)
        }
        Issuer::EdDsa(_) => {
            (jsonwebtoken_10::DecodingKey::from_ed_components(text("x")), jsonwebtoken_10::Algorithm::EdDSA)
        }
    };
    let mut validation = jsonwebtoken_10::Validation::new(algorithm);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[API]);
    validation.validate_nbf = true;
    validation.leeway = 0;
    let decoder = LocalDecoder::builder().keys(vec![key.expect("a key")]).validation(validation).build();
    Extracting { decoder: Arc::new(decoder.expect("it is configured")), inner: Bare }
}

/// What can be measured.
pub(crate) trait BenchService:
    Service<Request<NoBody>, Response = Response<NoBody>, Error = Infallible> + 'static
{
}

impl<S> BenchService for S where S: Service<Request<NoBody>, Response = Response<NoBody>, Error = Infallible> + 'static {}

/// A handler behind the extractor of `axum-jwt-auth`.
struct Extracting {
    decoder: Decoder<Claims>,
    inner: Bare,
}

impl Service<Request<NoBody>> for Extracting {
    type Response = Response<NoBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<NoBody>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<NoBody>) -> Self::Future {
        let (decoder, mut inner) = (Arc::clone(&self.decoder), self.inner.clone());
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            match axum_jwt_auth::Claims::<Claims>::from_request_parts(&mut parts, &decoder).await {
                Ok(claims) => {
                    black_box(&claims.claims);
                    inner.call(Request::from_parts(parts, body)).await
                }
                Err(_) => {
                    let mut response = Response::new(NoBody::new());
                    *response.status_mut() = StatusCode::UNAUTHORIZED;
                    Ok(response)
                }
            }
        })
    }
}

/// `jwt-authorizer` answers with a body of axum's, so what is behind it does too.
#[derive(Clone)]
struct BareOfAxum;

impl Service<Request<NoBody>> for BareOfAxum {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<NoBody>) -> Self::Future {
        black_box(&request);
        ready(Ok(Response::new(Body::empty())))
    }
}

/// Without the body.
struct Plain<S>(S);

type Answer<B> = Result<Response<B>, Infallible>;

impl<S, B> Service<Request<NoBody>> for Plain<S>
where
    S: Service<Request<NoBody>, Response = Response<B>, Error = Infallible>,
{
    type Response = Response<NoBody>;
    type Error = Infallible;
    type Future = Map<S::Future, fn(Answer<B>) -> Answer<NoBody>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<NoBody>) -> Self::Future {
        self.0.call(request).map(|answer| answer.map(|response| response.map(|_| NoBody::new())))
    }
}
