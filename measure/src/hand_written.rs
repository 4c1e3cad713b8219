//! What an app would write by hand: every token is stored, found by its digest in one concurrent map.
//!
//! It is no straw man: no boxed future, one digest, one look-up, one `Arc` cloned, one extension inserted.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use dashmap::DashMap;
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode,
    header::{AUTHORIZATION, WWW_AUTHENTICATE},
};
use pin_project_lite::pin_project;
use sha2::{Digest, Sha256};
use tower::Service;

use crate::tokens::Tokens;

/// What a token stands for.
#[derive(Debug)]
pub struct Access {
    /// The user.
    pub subject: String,
    /// The client.
    pub client: String,
    /// What it may do.
    pub scope: String,
    expires_at: SystemTime,
}

/// The live tokens, by SHA-256.
pub type Store = Arc<DashMap<[u8; 32], Arc<Access>>>;

/// A store of `count` tokens, and the tokens.
#[must_use]
pub fn store(count: usize) -> (Store, Tokens) {
    let expires_at = SystemTime::now() + Duration::from_secs(12 * 60 * 60);
    let store = DashMap::new();
    let mut tokens = Tokens::with_capacity(count, token().len());
    for number in 0..count {
        let token = token();
        let access = Access {
            subject: crate::flow::subject(number),
            client: "customapp".to_owned(),
            scope: "profile notes:read notes:write".to_owned(),
            expires_at,
        };
        store.insert(digest(&token), Arc::new(access));
        tokens.push(&token);
    }
    (Arc::new(store), tokens)
}

/// A random token of 256 bits.
#[must_use]
pub fn token() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// RFC 6750, section 2.1.
fn may_stand_in_a_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

/// The middleware.
#[derive(Clone, Debug)]
pub struct HandWritten<S> {
    inner: S,
    store: Store,
}

impl<S> HandWritten<S> {
    /// Lets requests through to `inner` whose token is in `store`.
    pub fn new(inner: S, store: Store) -> Self {
        Self { inner, store }
    }

    fn access(&self, headers: &HeaderMap) -> Option<Arc<Access>> {
        let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") || !token.bytes().all(may_stand_in_a_token) {
            return None;
        }
        let access = Arc::clone(&*self.store.get(&digest(token))?);
        (SystemTime::now() < access.expires_at).then_some(access)
    }
}

impl<S, B, R> Service<Request<B>> for HandWritten<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let inner = self.access(request.headers()).map(|access| {
            request.extensions_mut().insert(access);
            self.inner.call(request)
        });
        ResponseFuture { inner }
    }
}

pin_project! {
    /// The answer.
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        // None: refused.
        #[pin]
        inner: Option<F>,
    }
}

impl<F, R, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Default,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        match self.project().inner.as_pin_mut() {
            Some(inner) => inner.poll(context),
            None => {
                let mut response = Response::new(R::default());
                *response.status_mut() = StatusCode::UNAUTHORIZED;
                let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
                response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
                Poll::Ready(Ok(response))
            }
        }
    }
}
