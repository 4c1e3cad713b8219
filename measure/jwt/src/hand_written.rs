//! The checks as an app would write them: header and claims into structs of their own, one key by its name, and the same
//! arithmetic. It refuses what the library refuses of a token that is well-formed.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::Either;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use measure::service::NoBody;
use serde::Deserialize;
use serde::de::IgnoredAny;
use tower::Service;

use crate::issuer::{API, ISSUER, Issuer, KEY_ID};
use crate::now;

#[derive(Clone)]
pub(crate) struct HandWritten<S> {
    inner: S,
    key: Arc<Key>,
}

struct Key {
    algorithm: &'static str,
    public: ParsedPublicKey,
}

#[derive(Deserialize)]
struct Header<'a> {
    alg: &'a str,
    kid: &'a str,
    typ: &'a str,
    crit: Option<IgnoredAny>,
    jwk: Option<IgnoredAny>,
    jku: Option<IgnoredAny>,
    x5u: Option<IgnoredAny>,
    x5c: Option<IgnoredAny>,
    b64: Option<IgnoredAny>,
    zip: Option<IgnoredAny>,
}

/// What the handlers get.
#[derive(Deserialize)]
#[allow(dead_code, reason = "for the handlers")]
pub(crate) struct Claims {
    iss: String,
    aud: Audience,
    sub: String,
    client_id: String,
    jti: String,
    iat: u64,
    exp: u64,
    nbf: Option<u64>,
    scope: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl<S> HandWritten<S> {
    pub(crate) fn new(inner: S, issuer: &Issuer) -> Self {
        let public = issuer.public().to_vec();
        let public = match issuer {
            Issuer::Es256(_) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public).parse(),
            Issuer::EdDsa(_) => UnparsedPublicKey::new(&ED25519, public).parse(),
        };
        let public = public.expect("a key");
        Self { inner, key: Arc::new(Key { algorithm: issuer.algorithm(), public }) }
    }
}

impl Key {
    fn check(&self, headers: &HeaderMap) -> Option<Claims> {
        let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") || token.len() > 8_192 {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let header = URL_SAFE_NO_PAD.decode(header).ok()?;
        let Header { alg, kid, typ, crit, jwk, jku, x5u, x5c, b64, zip } = serde_json::from_slice(&header).ok()?;
        let named = [crit, jwk, jku, x5u, x5c, b64, zip].iter().any(Option::is_some);
        let typed = typ.eq_ignore_ascii_case("at+jwt") || typ.eq_ignore_ascii_case("application/at+jwt");
        if named || !typed || alg != self.algorithm || kid != KEY_ID {
            return None;
        }
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        let now = now();
        if claims.iss != ISSUER || now >= claims.exp || claims.iat > now || claims.nbf.is_some_and(|nbf| nbf > now) {
            return None;
        }
        self.public.verify_sig(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        claims.aud.is_here().then_some(claims)
    }
}

impl Audience {
    fn is_here(&self) -> bool {
        match self {
            Self::One(one) => one == API,
            Self::Many(many) => many.iter().any(|one| one == API),
        }
    }
}

impl<S> Service<Request<NoBody>> for HandWritten<S>
where
    S: Service<Request<NoBody>, Response = Response<NoBody>>,
{
    type Response = Response<NoBody>;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Response<NoBody>, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<NoBody>) -> Self::Future {
        if let Some(claims) = self.key.check(request.headers()) {
            request.extensions_mut().insert(Arc::new(claims));
            return Either::Left(self.inner.call(request));
        }
        let mut response = Response::new(NoBody::new());
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        Either::Right(ready(Ok(response)))
    }
}
