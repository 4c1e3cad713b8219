//! The bare service that all is measured over, and how it is called.

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header::AUTHORIZATION};
use http_body_util::Empty;
use tower::Service;

/// The body of every request and response: none.
pub type NoBody = Empty<Bytes>;

/// Answers 200 and nothing else.
#[derive(Clone, Debug)]
pub struct Bare;

impl Service<Request<NoBody>> for Bare {
    type Response = Response<NoBody>;
    type Error = Infallible;
    type Future = Ready<Result<Response<NoBody>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<NoBody>) -> Self::Future {
        black_box(&request);
        ready(Ok(Response::new(Empty::new())))
    }
}

/// A request that carries `token`, its header freshly made as a server's parser would.
#[must_use]
pub fn request(token: &str) -> Request<NoBody> {
    let mut request = Request::new(Empty::new());
    let value = HeaderValue::from_str(&format!("Bearer {token}")).expect("a token is a header's value");
    request.headers_mut().insert(AUTHORIZATION, value);
    request
}

/// The answer of a service that never waits.
///
/// # Panics
/// If it does wait, or fails.
pub fn answer<S, B>(service: &mut S, request: Request<NoBody>) -> Response<B>
where
    S: Service<Request<NoBody>, Response = Response<B>, Error = Infallible>,
{
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(Ok(())) = service.poll_ready(&mut context) else {
        panic!("the service is not ready");
    };
    match pin!(service.call(request)).poll(&mut context) {
        Poll::Ready(Ok(response)) => response,
        Poll::Pending => panic!("the service waits"),
    }
}
