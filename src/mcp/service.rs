use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response, StatusCode, request::Parts};
use http_body::Body;
use http_body_util::{LengthLimitError, Limited};
use pin_project_lite::pin_project;
use tower::Service;

use super::body::RequestBody;
use super::layer::{Rule, Rules};
use super::operations::{Illegible, Message};
use crate::bearer::{Bearer, BearerFuture, NoUser, ResolveUser};
use crate::error::ProtocolError;
use crate::http::take_ready;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Middleware that lets requests pass to an MCP server whose token is good for what they call. See the
/// [module docs](crate::mcp) for an example.
pub struct Mcp<S, R = NoUser> {
    pub(super) bearer: Bearer<Operations<S, R>, R>,
}

/// Middleware inside of the bearer layer, which looks at what is called.
pub struct Operations<S, R> {
    pub(super) inner: S,
    pub(super) rules: Arc<Rules<R>>,
}

impl<S, R> Mcp<S, R> {
    /// The service inside.
    pub const fn get_ref(&self) -> &S {
        &self.bearer.get_ref().inner
    }

    /// The service inside.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.bearer.get_mut().inner
    }

    /// The service inside.
    pub fn into_inner(self) -> S {
        self.bearer.into_inner().inner
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for Mcp<S, R>
where
    S: Service<Request<RequestBody<ReqBody>>, Response = Response<ResBody>> + Clone,
    R: ResolveUser,
    ReqBody: Body<Data = Bytes>,
    ReqBody::Error: Into<BoxError>,
    ResBody: Default,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = BearerFuture<Operations<S, R>, R, ReqBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.bearer.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        self.bearer.call(request)
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for Operations<S, R>
where
    S: Service<Request<RequestBody<ReqBody>>, Response = Response<ResBody>> + Clone,
    R: Clone,
    ReqBody: Body<Data = Bytes>,
    ReqBody::Error: Into<BoxError>,
    ResBody: Default,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S, R, ReqBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        // A message is sent by POST; no other method that a server could take for one is passed on unread.
        let is_message = !matches!(*request.method(), Method::GET | Method::HEAD | Method::DELETE | Method::OPTIONS);
        let state = if self.rules.is_empty() || !is_message {
            State::Calling { call: self.inner.call(request.map(RequestBody::passed)) }
        } else {
            let (head, body) = request.into_parts();
            let body = Limited::new(body, self.rules.max_body);
            let pending = Pending { inner: take_ready(&mut self.inner), rules: Arc::clone(&self.rules), head };
            State::Reading { body, read: BytesMut::new(), pending: Some(pending) }
        };
        ResponseFuture { state }
    }
}

pin_project! {
    /// Response future of [`Mcp`], inside of that of the bearer layer.
    pub struct ResponseFuture<S, R, ReqBody>
    where
        S: Service<Request<RequestBody<ReqBody>>>,
    {
        #[pin]
        state: State<S, R, ReqBody, S::Future>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, R, ReqBody, Calling> {
        /// The message arrives.
        Reading { #[pin] body: Limited<ReqBody>, read: BytesMut, pending: Option<Pending<S, R>> },
        /// The service inside is at work.
        Calling { #[pin] call: Calling },
    }
}

/// What goes on once the message is there.
struct Pending<S, R> {
    inner: S,
    rules: Arc<Rules<R>>,
    head: Parts,
}

impl<S, R, ReqBody, ResBody> Future for ResponseFuture<S, R, ReqBody>
where
    S: Service<Request<RequestBody<ReqBody>>, Response = Response<ResBody>>,
    R: Clone,
    ReqBody: Body<Data = Bytes>,
    ReqBody::Error: Into<BoxError>,
    ResBody: Default,
{
    type Output = Result<Response<ResBody>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let call = match state.as_mut().project() {
                StateProj::Calling { call } => return call.poll(cx),
                StateProj::Reading { mut body, read, pending } => {
                    let failed = loop {
                        match ready!(body.as_mut().poll_frame(cx)) {
                            None => break None,
                            Some(Err(error)) => break Some(error),
                            Some(Ok(frame)) => read.extend_from_slice(frame.data_ref().map_or(&[], |data| data)),
                        }
                    };
                    let body = failed.map_or_else(|| Ok(read.split().freeze()), Err);
                    let Pending { mut inner, rules, head } =
                        pending.take().expect("ResponseFuture polled after completion");
                    let request = Request::from_parts(head, ());
                    match rules.look(&request, body) {
                        Ok(body) => inner.call(request.map(|()| RequestBody::read(body))),
                        Err(refusal) => return Poll::Ready(Ok(*refusal)),
                    }
                }
            };
            state.set(State::Calling { call });
        }
    }
}

impl<R: Clone> Rules<R> {
    /// The body, if its request may do what it says.
    fn look<ResBody: Default>(
        &self,
        request: &Request<()>,
        body: Result<Bytes, BoxError>,
    ) -> Result<Bytes, Box<Response<ResBody>>> {
        let body = body.map_err(|error| {
            let is_long = error.is::<LengthLimitError>();
            let why = if is_long { ProtocolError::MESSAGE_TOO_LONG } else { ProtocolError::BODY_UNREADABLE };
            let mut response = self.base.refuse(request, why);
            if is_long {
                *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
            }
            response
        })?;
        let illegible = |Illegible| self.base.refuse(request, ProtocolError::MESSAGE_ILLEGIBLE);
        let messages = Message::read(&body).map_err(illegible)?;
        let rules = self.of_messages(&messages).map_err(illegible)?;
        let refusal = match *rules {
            [] => None,
            [rule] => rule.all.refuse_more(request),
            // One challenge names what all of them need.
            [first, ref others @ ..] => {
                let all = others.iter().fold(first.all.clone(), |all, rule| all.require(rule.more.clone()));
                all.refuse_more(request)
            }
        };
        refusal.map_or(Ok(body), |refusal| Err(Box::new(refusal)))
    }

    /// What these messages need beside what every request does.
    fn of_messages(&self, messages: &[Message]) -> Result<Vec<&Rule<R>>, Illegible> {
        let mut rules = Vec::new();
        for message in messages {
            rules.extend(message.method().and_then(|method| self.of_method(method)));
            rules.extend(message.tool()?.and_then(|tool| self.of_tool(tool)));
        }
        Ok(rules)
    }
}

impl<S: Clone, R: Clone> Clone for Mcp<S, R> {
    fn clone(&self) -> Self {
        Self { bearer: self.bearer.clone() }
    }
}

impl<S: Clone, R> Clone for Operations<S, R> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), rules: Arc::clone(&self.rules) }
    }
}

impl<S, R> fmt::Debug for Mcp<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mcp").field("bearer", &self.bearer).finish()
    }
}

impl<S, R> fmt::Debug for Operations<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operations").finish_non_exhaustive()
    }
}

impl<S, R, ReqBody> fmt::Debug for ResponseFuture<S, R, ReqBody>
where
    S: Service<Request<RequestBody<ReqBody>>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
