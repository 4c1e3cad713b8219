//! What it costs to make a token: a grant in memory, claims, and a signature.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use http::{Request, Response};
use measure::service::NoBody;
use tower::Service;
use tower_oauth::jwt::{Algorithm, SigningKey};
use tower_oauth::{AccessTokenFormat, MemoryStore, Provider, Scope, SigningKeys};

use crate::issuer::{API, ISSUER, Issuer};

/// Makes a token at each call, and answers nothing of it.
pub(crate) struct Makes<F>(F);

impl<F: FnMut() -> String> Service<Request<NoBody>> for Makes<F> {
    type Response = Response<NoBody>;
    type Error = Infallible;
    type Future = Ready<Result<Response<NoBody>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<NoBody>) -> Self::Future {
        black_box((&request, (self.0)()));
        ready(Ok(Response::new(NoBody::new())))
    }
}

/// The same claims, put together and signed as an app would.
pub(crate) fn by_hand(issuer: Issuer) -> Makes<impl FnMut() -> String> {
    let mut number = 0;
    Makes(move || {
        number += 1;
        issuer.token(number)
    })
}

/// How many grants there are at most.
const GRANTS: usize = 10_000;

/// What the provider issues for a grant of its own: beside the token a record in memory, and an event that nobody hears.
pub(crate) fn issued(format: AccessTokenFormat, algorithm: Algorithm) -> Makes<impl FnMut() -> String> {
    let key = SigningKey::generate(algorithm).expect("a key");
    let scope: Scope = "profile notes:read notes:write".parse().expect("a scope");
    let mut provider = provider(format, &key);
    let mut grants = 0;
    Makes(move || {
        grants += 1;
        if grants == GRANTS {
            (provider, grants) = (self::provider(format, &key), 0);
        }
        let issuing = provider.issue("customapp", "0199b6f8-6c4b-7d0e-a2a4-3a5f0c7e9d21", scope.clone());
        let Poll::Ready(issued) = pin!(issuing).poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("the memory waits")
        };
        issued.expect("a token").secret().to_owned()
    })
}

fn provider(format: AccessTokenFormat, key: &SigningKey) -> Provider {
    let builder = Provider::builder(ISSUER).store(MemoryStore::new()).default_resource(API).access_token_format(format);
    let builder = ["profile", "notes:read", "notes:write"].into_iter().fold(builder, |all, scope| all.scope(scope, ""));
    let builder = match format {
        AccessTokenFormat::Jwt => builder.signing_keys(SigningKeys::given([key.clone()])),
        _ => builder,
    };
    builder.build().expect("it is configured")
}
