use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderMap, Request, Response, Uri, header};
use http_body::Body;
use tower::Service;

use super::authorized::{Authorized, Optional};
use super::challenge::Rejected;
use super::future::{Pending, ResponseFuture};
use super::layer::{BearerLayer, Rules};
use super::preflight::is_preflight;
use super::user::{NoSubject, NoUser, ResolveUser};
use super::verify::{Answer, Credentials, Refusal};
use crate::error::ProtocolError;
use crate::http::take_ready;
use crate::span;
use crate::types::form_decode;

/// Middleware that lets requests with a good token pass. See the [module docs](crate::bearer) for an example.
#[derive(Clone)]
pub struct Bearer<S, R = NoUser> {
    pub(super) inner: S,
    pub(super) layer: BearerLayer<R>,
}

impl<S, R> Bearer<S, R> {
    /// The service inside.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The service inside.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The service inside.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for Bearer<S, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    R: ResolveUser,
    ReqBody: Body,
    ResBody: Default,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S, R, ReqBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        self.layer.guard(&mut self.inner, request)
    }
}

impl<R: ResolveUser> BearerLayer<R> {
    /// Lets a request with a good token pass to a service that is ready.
    pub(crate) fn guard<S, ReqBody, ResBody>(
        &self,
        inner: &mut S,
        mut request: Request<ReqBody>,
    ) -> ResponseFuture<S, R, ReqBody>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
        ReqBody: Body,
        ResBody: Default,
    {
        let Self { rules, resolve } = self;
        // Whatever an outer layer or a client's data put there says nothing here.
        request.extensions_mut().remove::<Authorized>();
        R::clear(request.extensions_mut());
        let span = span::validate();
        // Keeps what is needed to go on later.
        let pending = |inner: &mut S, request, span| Pending {
            inner: take_ready(inner),
            rules: Arc::clone(rules),
            resolve: resolve.clone(),
            request,
            span,
        };
        match span.in_scope(|| rules.read(&mut request)) {
            Ok(None) => {
                if rules.optional {
                    request.extensions_mut().insert(Optional);
                }
                ResponseFuture::calling(inner, request, rules)
            }
            Err(ProtocolError::TOKEN_MISSING) if rules.preflights && is_preflight(&request) => {
                ResponseFuture::preflight(inner.call(request), Arc::clone(rules), span)
            }
            Err(refused) => ResponseFuture::rejected(rules, &request, &refused.into(), &span),
            Ok(Some(Answer::Ready(answer))) => {
                let answer = answer.expect("a verification is answered once");
                match span.in_scope(|| rules.judge(answer, resolve, request.headers())) {
                    Err(rejected) => ResponseFuture::rejected(rules, &request, &rejected, &span),
                    Ok((token, None)) => {
                        request.extensions_mut().insert(token);
                        ResponseFuture::calling(inner, request, rules)
                    }
                    Ok((token, Some(user))) => ResponseFuture::resolving(user, token, pending(inner, request, span)),
                }
            }
            Ok(Some(Answer::Refused(own))) => ResponseFuture::rejected(rules, &request, &Rejected::Own(own), &span),
            Ok(Some(Answer::Later(answer))) => ResponseFuture::verifying(answer, pending(inner, request, span)),
        }
    }
}

impl<R> BearerLayer<R> {
    /// The answer to a request that was let in by a layer with fewer requirements, if this one would not have let it in.
    pub(crate) fn refuse_more<ReqBody, ResBody: Default>(
        &self,
        request: &Request<ReqBody>,
    ) -> Option<Response<ResBody>> {
        let rejected = match request.extensions().get::<Authorized>() {
            Some(token) if token.satisfies(&self.rules.require) => return None,
            Some(token) => Rejected::Forbidden(ProtocolError::SCOPE_INSUFFICIENT, Box::new(token.clone())),
            // It passed an optional layer.
            None => ProtocolError::TOKEN_MISSING.into(),
        };
        Some(rejected.response(request, &self.rules))
    }

    /// The answer to a request that cannot be read.
    pub(crate) fn refuse<ReqBody, ResBody: Default>(
        &self,
        request: &Request<ReqBody>,
        error: ProtocolError,
    ) -> Response<ResBody> {
        Rejected::from(error).response(request, &self.rules)
    }
}

impl Rules {
    /// What the verifier answers to the request's token; `None` where the request may pass without one.
    fn read<B>(&self, request: &mut Request<B>) -> Result<Option<Answer>, ProtocolError> {
        let headers = request.headers();
        if token_in_query(request.uri()) {
            return Err(ProtocolError::TOKEN_IN_QUERY);
        }
        let Some((scheme, token)) = self.token(headers)? else {
            return if self.optional { Ok(None) } else { Err(ProtocolError::TOKEN_MISSING) };
        };
        let (method, uri, resource) = (request.method(), request.uri(), self.resource.as_ref());
        let credentials = Credentials { token, method, uri, headers, resource };
        match (scheme, &self.proofs) {
            (Scheme::Dpop, Some(proofs)) => {
                let proof = proofs.read(request, token)?;
                let verification = self.verify.verify(credentials);
                proof.note(request);
                Ok(Some(proofs.confirm(proof, verification)))
            }
            _ => Ok(Some(self.verify.verify(credentials).0)),
        }
    }

    /// The token of a request. Another scheme counts as no token.
    fn token<'a>(&self, headers: &'a HeaderMap) -> Result<Option<(Scheme, &'a str)>, ProtocolError> {
        token(headers, self.proofs.is_some())
    }

    /// `b64token` of RFC 6750 §2.1.
    fn is_well_formed(&self, headers: &HeaderMap) -> bool {
        let Ok(Some((_, token))) = self.token(headers) else { return false };
        let token = token.trim_end_matches('=');
        !token.is_empty() && token.bytes().all(|byte| B64TOKEN[usize::from(byte)])
    }

    /// How a request presents its token.
    pub(super) fn scheme(&self, headers: &HeaderMap) -> Scheme {
        let value = headers.get(header::AUTHORIZATION).map_or(&[][..], |value| value.as_bytes());
        scheme(value, self.proofs.is_some()).map_or(Scheme::Bearer, |(scheme, _)| scheme)
    }

    /// Whether the service inside may answer that the user has to authenticate, and is waited for. Its own challenge is
    /// one for bearers, which is none for whoever came with a proof (RFC 9449 §7.1).
    pub(super) fn completes_for(&self, headers: &HeaderMap) -> bool {
        self.completes || self.proofs.is_some() && self.scheme(headers) == Scheme::Dpop
    }

    /// A token that is bound to a key came with a proof of it, and one that is not, where it may.
    fn check_binding(&self, token: &Authorized, headers: &HeaderMap) -> Result<(), ProtocolError> {
        // A token that a verifier kept of another request may have been proved then.
        let is_proven = || token.is_proven() && self.scheme(headers) == Scheme::Dpop;
        match &self.proofs {
            None if token.is_bound() => Err(ProtocolError::TOKEN_BOUND),
            Some(_) if token.is_bound() && !is_proven() => Err(ProtocolError::TOKEN_BOUND_TO_KEY),
            Some(proofs) if proofs.are_required() && !token.is_bound() => Err(ProtocolError::TOKEN_NEEDS_KEY),
            _ => Ok(()),
        }
    }

    /// Whether what was verified is enough here, and the look-up of its user where one is asked for.
    pub(super) fn judge<R: ResolveUser>(
        &self,
        answer: Result<Authorized, Refusal>,
        resolve: &R,
        headers: &HeaderMap,
    ) -> Result<(Authorized, Option<R::Future>), Rejected> {
        let token = match answer {
            Ok(token) => token,
            // Looked at only now: a token that is good is well-formed, and this path may cost more.
            Err(Refusal::InvalidToken(_) | Refusal::Refused(_)) if !self.is_well_formed(headers) => {
                return Err(ProtocolError::TOKEN_ILLEGIBLE.into());
            }
            Err(refusal) => return Err(refusal.into()),
        };
        self.check_binding(&token, headers)?;
        if !self.is_meant(&token) {
            return Err(Rejected::Forbidden(ProtocolError::TOKEN_FOR_ANOTHER_RESOURCE, Box::new(token)));
        }
        if let Some(needed) = &self.step_up {
            if token.user_subject().is_none() {
                return Err(Rejected::Forbidden(ProtocolError::USER_NEEDED, Box::new(token)));
            }
            // Before the scopes: the challenge names them too, so that one more authorization is enough.
            if !needed.is_met(&token, self.clock.now()) {
                return Err(Rejected::StepUp(needed.clone(), Some(Box::new(token))));
            }
        }
        if !token.satisfies(&self.require) {
            return Err(Rejected::Forbidden(ProtocolError::SCOPE_INSUFFICIENT, Box::new(token)));
        }
        span::record("oauth.client_id", token.client_id().as_str());
        match resolve.resolve(&token) {
            Ok(user) => Ok((token, user)),
            Err(NoSubject) => Err(Rejected::Forbidden(ProtocolError::USER_NEEDED, Box::new(token))),
        }
    }
}

/// The longest `Authorization` header that is read, in bytes.
const LONGEST: usize = 8 * 1024;

/// How a token is presented: with a proof or without.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    Bearer,
    Dpop,
}

impl Scheme {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Bearer => "Bearer",
            Self::Dpop => "DPoP",
        }
    }

    pub(super) const fn other(self) -> Self {
        match self {
            Self::Bearer => Self::Dpop,
            Self::Dpop => Self::Bearer,
        }
    }

    /// The same refusal, in words for this scheme.
    fn says(self, error: ProtocolError) -> ProtocolError {
        match (self, error) {
            (Self::Dpop, ProtocolError::TOKEN_EMPTY) => error.saying("there is no token behind DPoP"),
            (Self::Dpop, ProtocolError::TOKEN_WITHOUT_SPACE) => error.saying("there is no space behind DPoP"),
            _ => error,
        }
    }
}

/// The scheme of a header and what stands behind its name, if it is one that is taken.
fn scheme(value: &[u8], takes_dpop: bool) -> Option<(Scheme, &[u8])> {
    let named = |scheme: Scheme| {
        let (name, rest) = value.split_at_checked(scheme.as_str().len())?;
        name.eq_ignore_ascii_case(scheme.as_str().as_bytes()).then_some((scheme, rest))
    };
    named(Scheme::Bearer).or_else(|| takes_dpop.then(|| named(Scheme::Dpop)).flatten())
}

/// RFC 6750 §2.1, RFC 9449 §7.1, RFC 9110 §11.1: one header, the scheme in any case, one space or more, the token. Another
/// scheme counts as no token.
fn token(headers: &HeaderMap, takes_dpop: bool) -> Result<Option<(Scheme, &str)>, ProtocolError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(ProtocolError::AUTHORIZATION_REPEATED);
    }
    let value = value.as_bytes();
    let Some((scheme, rest)) = scheme(value, takes_dpop) else { return Ok(None) };
    match rest.first() {
        None | Some(b' ') => {}
        // A longer name of a scheme.
        Some(byte) if byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte) => return Ok(None),
        // Not as if there were no token: below an optional layer that would let it pass.
        Some(_) => return Err(scheme.says(ProtocolError::TOKEN_WITHOUT_SPACE)),
    }
    if value.len() > LONGEST {
        return Err(ProtocolError::TOKEN_TOO_LONG);
    }
    let spaces = rest.iter().position(|byte| *byte != b' ').unwrap_or(rest.len());
    match str::from_utf8(&rest[spaces..]) {
        Ok("") => Err(scheme.says(ProtocolError::TOKEN_EMPTY)),
        Ok(token) => Ok(Some((scheme, token))),
        Err(_) => Err(ProtocolError::TOKEN_ILLEGIBLE),
    }
}

/// A table, since every forged token is looked at.
const B64TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
        byte += 1;
    }
    table
};

/// OAuth 2.1 §5.1.1: no token in the URI.
fn token_in_query(uri: &Uri) -> bool {
    let name_is = |name: &str| {
        name == "access_token"
            || name.contains('%') && form_decode(name.as_bytes()).is_some_and(|name| name == "access_token")
    };
    uri.query().is_some_and(|query| query.split('&').any(|pair| name_is(pair.split('=').next().unwrap_or_default())))
}

impl<S, R> fmt::Debug for Bearer<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.layer.fmt(f)
    }
}
