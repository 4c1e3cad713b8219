use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower::Service;

use super::authorized::Authorized;
use super::challenge::{Rejected, is_grpc};
use super::layer::Rules;
use super::preflight;
use super::service::Scheme;
use super::user::ResolveUser;
use super::verify::Answer;
use super::verify::Verification;
use crate::error::ProtocolError;
use crate::span::Span;

pin_project! {
    /// Response future of [`Bearer`](super::Bearer) and of [`IssuersBearer`](crate::IssuersBearer).
    ///
    /// Where the verifier answers at once and no user is asked for, it is the future of the service inside.
    pub struct ResponseFuture<S, R, ReqBody>
    where
        S: Service<Request<ReqBody>>,
        R: ResolveUser,
    {
        #[pin]
        state: State<S, R, ReqBody, S::Future, R::Future, S::Response>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, R, ReqBody, Calling, Resolving, Res> {
        /// The service inside is at work. Where it may answer that the user has to authenticate: what completes that.
        Calling { #[pin] call: Calling, completing: Option<Completing> },
        /// The service inside has a browser's preflight, and no token.
        Preflight { #[pin] call: Calling, rules: Arc<Rules>, span: Span },
        /// The answer is there, and not of the service inside.
        Answered { response: Option<Res> },
        /// The verifier is at work.
        Verifying { verification: Verification, pending: Option<Pending<S, R, ReqBody>> },
        /// The user is looked up.
        Resolving {
            #[pin]
            user: Resolving,
            token: Option<Authorized>,
            pending: Option<Pending<S, R, ReqBody>>,
        },
    }
}

/// A request that waits, and what it goes on with.
pub(super) struct Pending<S, R, ReqBody> {
    pub(super) inner: S,
    pub(super) rules: Arc<Rules>,
    pub(super) resolve: R,
    pub(super) request: Request<ReqBody>,
    /// Of the check; what is told of it is told in its scope.
    pub(super) span: Span,
}

const AGAIN: &str = "ResponseFuture polled after completion";

impl<S, R, ReqBody> ResponseFuture<S, R, ReqBody>
where
    S: Service<Request<ReqBody>>,
    R: ResolveUser,
{
    pub(super) fn calling(inner: &mut S, request: Request<ReqBody>, rules: &Arc<Rules>) -> Self {
        Self { state: call(inner, request, rules) }
    }

    pub(super) const fn preflight(call: S::Future, rules: Arc<Rules>, span: Span) -> Self {
        Self { state: State::Preflight { call, rules, span } }
    }

    pub(super) fn verifying(
        answer: Pin<Box<dyn Future<Output = Result<Authorized, super::Refusal>> + Send>>,
        pending: Pending<S, R, ReqBody>,
    ) -> Self {
        let verification = Verification(Answer::Later(answer));
        Self { state: State::Verifying { verification, pending: Some(pending) } }
    }

    pub(super) const fn resolving(user: R::Future, token: Authorized, pending: Pending<S, R, ReqBody>) -> Self {
        Self { state: State::Resolving { user, token: Some(token), pending: Some(pending) } }
    }
}

impl<S, R, ReqBody, ResBody> ResponseFuture<S, R, ReqBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    R: ResolveUser,
    ResBody: Default,
{
    /// An answer that the service inside is not asked for.
    pub(crate) const fn answered(response: Response<ResBody>) -> Self {
        Self { state: State::Answered { response: Some(response) } }
    }

    pub(super) fn rejected(rules: &Rules, request: &Request<ReqBody>, rejected: &Rejected, span: &Span) -> Self {
        Self::answered(span.in_scope(|| rejected.response(request, rules)))
    }
}

impl<S, R, ReqBody, ResBody> Future for ResponseFuture<S, R, ReqBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    R: ResolveUser,
    ResBody: Default,
{
    type Output = Result<Response<ResBody>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Calling { call, completing } => {
                    let mut answer = call.poll(cx);
                    if let (Some(Completing { rules, scheme, is_grpc }), Poll::Ready(Ok(response))) =
                        (completing, &mut answer)
                    {
                        Rejected::complete(rules, *scheme, *is_grpc, response);
                    }
                    return answer;
                }
                StateProj::Preflight { call, rules, span } => {
                    let answer = preflight::policy(&ready!(call.poll(cx))?);
                    let refused = || Rejected::Refused(ProtocolError::TOKEN_MISSING).as_http(rules, Scheme::Bearer);
                    return Poll::Ready(Ok(answer.unwrap_or_else(|| span.in_scope(refused))));
                }
                StateProj::Answered { response } => return Poll::Ready(Ok(response.take().expect(AGAIN))),
                StateProj::Verifying { verification, pending } => {
                    let answer = ready!(Pin::new(verification).poll(cx));
                    pending.take().expect(AGAIN).judge(answer)
                }
                StateProj::Resolving { user, token, pending } => {
                    let user = ready!(user.poll(cx));
                    let (token, pending) = (token.take().expect(AGAIN), pending.take().expect(AGAIN));
                    match user {
                        Ok(Some(user)) => pending.go(token, Some(user)),
                        Ok(None) => pending.reject(&Rejected::Forbidden(ProtocolError::USER_GONE, Box::new(token))),
                        Err(error) => pending.reject(&Rejected::Unavailable(error)),
                    }
                }
            };
            state.set(next);
        }
    }
}

/// What completes an answer of the service inside.
struct Completing {
    rules: Arc<Rules>,
    scheme: Scheme,
    is_grpc: bool,
}

/// Asks the service inside.
fn call<S: Service<Request<ReqBody>>, R: ResolveUser, ReqBody>(
    inner: &mut S,
    request: Request<ReqBody>,
    rules: &Arc<Rules>,
) -> Next<S, R, ReqBody> {
    let completing = || {
        let scheme = rules.scheme(request.headers());
        Completing { rules: Arc::clone(rules), scheme, is_grpc: is_grpc(&request) }
    };
    let completing = rules.completes_for(request.headers()).then(completing);
    State::Calling { call: inner.call(request), completing }
}

type Next<S, R, ReqBody> = State<
    S,
    R,
    ReqBody,
    <S as Service<Request<ReqBody>>>::Future,
    <R as ResolveUser>::Future,
    <S as Service<Request<ReqBody>>>::Response,
>;

impl<S, R, ReqBody, ResBody> Pending<S, R, ReqBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    R: ResolveUser,
    ResBody: Default,
{
    fn judge(self, answer: Result<Authorized, super::Refusal>) -> Next<S, R, ReqBody> {
        match self.span.in_scope(|| self.rules.judge(answer, &self.resolve, self.request.headers())) {
            Ok((token, None)) => self.go(token, None),
            Ok((token, Some(user))) => State::Resolving { user, token: Some(token), pending: Some(self) },
            Err(rejected) => self.reject(&rejected),
        }
    }

    fn go(mut self, token: Authorized, user: Option<R::User>) -> Next<S, R, ReqBody> {
        let extensions = self.request.extensions_mut();
        match user {
            None => drop(extensions.insert(token)),
            Some(user) => {
                extensions.insert(token.found::<R::User>());
                extensions.insert(user);
            }
        }
        call(&mut self.inner, self.request, &self.rules)
    }

    fn reject(&self, rejected: &Rejected) -> Next<S, R, ReqBody> {
        let response = self.span.in_scope(|| rejected.response(&self.request, &self.rules));
        State::Answered { response: Some(response) }
    }
}

impl<S, R, ReqBody> fmt::Debug for ResponseFuture<S, R, ReqBody>
where
    S: Service<Request<ReqBody>>,
    R: ResolveUser,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
