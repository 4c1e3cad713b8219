//! What lies behind the layers of a resource server, and what its answers have to be.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::convert::Infallible;

use axum::body::Body;
use http::{Request, Response, StatusCode, header};
use tower::{Layer, Service};
use tower_oauth::{Authorized, BearerLayer, ResolveUser};

use crate::support::{Answer, bearer, send};

pub const API: &str = "https://api.example";
pub const ISSUER: &str = "https://shift.example";
pub const METADATA: &str = "https://shift.example/.well-known/oauth-authorization-server";
pub const NOW: u64 = 1_800_000_000;

/// Says whom it sees.
fn inner() -> impl Service<Request<Body>, Response = Response<String>, Error = Infallible, Future: Send> + Clone {
    tower::service_fn(async |request: Request<Body>| {
        let token = Authorized::<()>::from_extensions(request.extensions()).expect("a layer above");
        Ok(Response::new(format!("{} through {}", token.subject(), token.client_id())))
    })
}

pub async fn through<R: ResolveUser>(layer: &BearerLayer<R>, token: &str) -> Answer {
    send(&layer.layer(inner()), bearer("/", token)).await
}

#[track_caller]
pub fn assert_good(answer: &Answer) {
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "alice through app"), "{answer:?}");
}

/// RFC 6750 §3.1: "invalid_token", and why.
#[track_caller]
pub fn assert_refused(answer: &Answer, why: &str) {
    let challenge = answer.header(header::WWW_AUTHENTICATE);
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
    assert!(challenge.contains("error=\"invalid_token\"") && challenge.contains(why), "{challenge}");
}

#[track_caller]
pub fn assert_unavailable(answer: &Answer) {
    let seen = (answer.status, answer.header(header::RETRY_AFTER), answer.header(header::WWW_AUTHENTICATE));
    assert_eq!(seen, (StatusCode::SERVICE_UNAVAILABLE, "1", ""), "{answer:?}");
}
