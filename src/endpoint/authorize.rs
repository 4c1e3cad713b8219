use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body;
use tower::{Layer, Service};

use super::ResponseFuture;
use crate::authorization::{Approval, Denial, Draft, Rejection, ValidRequest, code_redirect, error_redirect};
use crate::error::{ProtocolError, StoreError};
use crate::handle::{CodeHandle, GrantId};
use crate::http::{
    Failure, Reply, ResponseBody, SameOrigin, bare, detached, error_page, method_not_allowed, read_form, redirect,
    take_ready,
};
use crate::page::{AuthorizationRequest, Decision};
use crate::provider::Provider;
use crate::span::{self, Spanned};
use crate::types::{Params, form_encode};

/// Layer that applies [`Authorize`]. See the [module docs](crate::endpoint) for an example.
#[must_use]
#[derive(Clone)]
pub struct AuthorizeLayer(Gate);

/// The authorization endpoint around an app's page, whatever path it is mounted at
/// ([RFC 6749 §3.1](https://www.rfc-editor.org/rfc/rfc6749#section-3.1)).
///
/// It validates the request, answers every protocol error itself, puts an [`AuthorizationRequest`] into the request's
/// extensions, calls the page, and carries out the decision that the page answers with. A decision that is posted has
/// to come from this site. See the [module docs](crate::endpoint) for an example.
#[derive(Clone)]
pub struct Authorize<P> {
    page: P,
    gate: Gate,
}

impl Provider {
    /// The authorization endpoint as a layer around a page.
    pub fn authorize_layer(&self) -> AuthorizeLayer {
        AuthorizeLayer(Gate::new(self))
    }

    /// The authorization endpoint as a service, with a page.
    pub fn authorize<P>(&self, page: P) -> Authorize<P> {
        self.authorize_layer().layer(page)
    }
}

impl<P> Layer<P> for AuthorizeLayer {
    type Service = Authorize<P>;

    fn layer(&self, page: P) -> Authorize<P> {
        Authorize { page, gate: self.0.clone() }
    }
}

impl<P, B, RB> Service<Request<B>> for Authorize<P>
where
    P: Service<Request<B>, Response = Response<RB>> + Clone + Send + 'static,
    P::Future: Send,
    P::Error: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    RB: Send + 'static,
{
    type Response = Response<ResponseBody<RB>>;
    type Error = P::Error;
    type Future = ResponseFuture<Self::Response, P::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), P::Error>> {
        self.page.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let page = take_ready(&mut self.page);
        ResponseFuture::new(self.gate.clone().answer(page, request))
    }
}

/// What stands before the page.
#[derive(Clone)]
pub(super) struct Gate {
    provider: Provider,
    same_origin: SameOrigin,
}

impl Gate {
    pub(super) fn new(provider: &Provider) -> Self {
        Self { provider: provider.clone(), same_origin: SameOrigin::new(provider) }
    }

    pub(super) async fn answer<P, B, RB>(
        self,
        page: P,
        request: Request<B>,
    ) -> Result<Response<ResponseBody<RB>>, P::Error>
    where
        P: Service<Request<B>, Response = Response<RB>>,
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (method, route) = (request.method().clone(), &self.provider.0.config.paths.authorization);
        let status = |answer: &Result<Response<_>, _>| answer.as_ref().ok().map(Response::status);
        span::request(Spanned::Authorize, method, Some(route), status, self.asked(page, request)).await
    }

    async fn asked<P, B, RB>(&self, mut page: P, request: Request<B>) -> Result<Response<ResponseBody<RB>>, P::Error>
    where
        P: Service<Request<B>, Response = Response<RB>>,
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (mut head, body) = request.into_parts();
        let valid = match self.admit(&head).await {
            Ok(Admitted::Shown(valid)) => valid,
            Ok(Admitted::Posted) => return Ok(self.posted(&head.headers, body).await.map(ResponseBody::widen)),
            Err(mut reply) => {
                if head.method == Method::HEAD {
                    *reply.body_mut() = ResponseBody::default();
                }
                return Ok(reply.map(ResponseBody::widen));
            }
        };
        if head.method == Method::HEAD {
            return Ok(secured(bare(StatusCode::OK).map(ResponseBody::widen)));
        }
        head.extensions.insert(AuthorizationRequest::new(Arc::clone(&valid), self.provider.clone()));
        let response = page.call(Request::from_parts(head, body)).await?;
        let mut reply = match response.extensions().get::<Decision>() {
            Some(Decision::Approved(approval)) if Arc::ptr_eq(approval.request(), &valid) => {
                self.approved(approval.clone()).await
            }
            Some(Decision::Denied(denial)) if Arc::ptr_eq(denial.request(), &valid) => self.denied(denial).await,
            Some(_) => self.refused(ProtocolError::DECISION_MISPLACED),
            // Whoever asked sees nothing of a page, so that an error of it is told to the client as well.
            None if valid.has_prompt("none") && response.status().is_server_error() => {
                self.answered(&valid, ProtocolError::PAGE_FAILED).await
            }
            None if valid.has_prompt("none") => self.denied(&Denial::login_required(valid)).await,
            None => return Ok(secured(response.map(ResponseBody::inner))),
        };
        // A page that logs in and decides in one answer sets the cookie of its session beside the decision.
        for cookie in response.headers().get_all(header::SET_COOKIE) {
            reply.headers_mut().append(header::SET_COOKIE, cookie.clone());
        }
        Ok(reply.map(ResponseBody::widen))
    }

    /// Everything that is checked before the page is called, or the answer.
    async fn admit(&self, head: &Parts) -> Result<Admitted, Reply> {
        if !matches!(head.method, Method::GET | Method::HEAD | Method::POST) {
            return Err(method_not_allowed(&self.provider, "GET, HEAD, POST"));
        }
        if head.extensions.get::<AuthorizationRequest>().is_some() {
            return Err(self.refused(ProtocolError::PATH_CLAIMED_TWICE));
        }
        let query = head.uri.query().unwrap_or_default();
        if query.len() > Draft::MAX {
            return Err(self.refused(ProtocolError::REQUEST_TOO_LONG));
        }
        let params = Params::parse(query.as_bytes()).map_err(|why| self.refused(why))?;
        // A page may send the browser through a login and back, with the query written anew and perhaps longer.
        if encoded(&params).len() > Draft::MAX {
            return Err(self.refused(ProtocolError::REQUEST_TOO_LONG));
        }
        if head.method == Method::POST {
            if !Draft::is_in(&params) {
                return Ok(Admitted::Posted);
            }
            // A decision belongs to the browser that saw the page.
            if !self.same_origin.allows(&head.headers).await {
                return Err(self.refused(ProtocolError::CROSS_SITE));
            }
        }
        self.validate(params).await.map(Admitted::Shown)
    }

    /// The request, or the one that it refers to where such are taken.
    fn draft(&self, params: Params) -> Result<Draft, ProtocolError> {
        let draft = Draft::read(params)?;
        let provider = &self.provider;
        if provider.0.config.pushed.on { draft.resolved(&provider.0.request_uris, provider.now()) } else { Ok(draft) }
    }

    async fn validate(&self, params: Params) -> Result<Arc<ValidRequest>, Reply> {
        let draft = self.draft(params).map_err(|error| self.refused(error))?;
        let client = self.provider.client_to_ask_about(draft.client_id()).await.map_err(|error| self.refused(error))?;
        let known = client.as_ref().map(|client| client.id().clone());
        if let Some(client) = &known {
            span::record("oauth.client_id", client.as_str());
        }
        let of_client = |error: ProtocolError| match &known {
            Some(client) => Failure::from(error).of(client),
            None => error.into(),
        };
        draft.validate(client, &self.provider.0.config).map(Arc::new).map_err(|rejection| match rejection {
            Rejection::Here(error) => self.refused(of_client(error)),
            Rejection::Client { redirect_uri, state, error } => {
                self.told(&redirect_uri, state.as_deref(), &of_client(error))
            }
        })
    }

    /// An authorization request in a form (RFC 6749 §3.1): it is sent on with its parameters in the query, where they
    /// stay through however many pages.
    async fn posted<B>(&self, headers: &HeaderMap, body: B) -> Reply
    where
        B: Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let params = match read_form(headers, body).await {
            Ok(params) => params,
            Err(failure) => return self.refused(failure),
        };
        let query = encoded(&params);
        if query.len() > Draft::MAX {
            return self.refused(ProtocolError::REQUEST_BODY_TOO_LONG);
        }
        let config = &self.provider.0.config;
        match self.validate(params).await {
            Ok(_) => redirect(&format!("{}?{query}", config.url(&config.paths.authorization))),
            Err(reply) => reply,
        }
    }

    /// Creates the grant, and only then lets its code go.
    async fn approved(&self, approval: Approval) -> Reply {
        let config = &self.provider.0.config;
        let (id, now) = (GrantId::generate(), self.provider.now());
        let key = self.provider.0.handles.key_of(id);
        let Some(grant) = approval.grant(key, config.issuer.clone(), now, now.plus(config.lifetimes.code)) else {
            return self.refused(Failure::from(ProtocolError::APPROVAL_TOO_WIDE).of(approval.request().client.id()));
        };
        if !config.acr_values.is_empty() && !approval.is_authenticated_as_asked(now) {
            return self.sent_back(approval.request(), ProtocolError::AUTHENTICATION_UNMET);
        }
        let provider = self.provider.clone();
        let pushed = approval.request().pushed;
        let created = detached(async move {
            let first = provider.use_up(pushed).await?;
            if first {
                provider.create_approved(grant).await?;
            }
            Ok::<_, StoreError>(first)
        });
        let (request, issuer) = (approval.request(), &config.issuer);
        let state = request.state.as_deref();
        match created.await {
            Ok(true) => {
                let grant_expires_at = approval.grant_expires_at(now);
                let code = CodeHandle { grant: id, grant_expires_at, bound_to: request.dpop_jkt };
                let code = self.provider.0.handles.mint_code(&code);
                redirect(&code_redirect(&request.redirect_uri, &code, state, issuer))
            }
            Ok(false) => self.used_up(request),
            Err(error) => self.sent_back(request, error),
        }
    }

    async fn denied(&self, denial: &Denial) -> Reply {
        self.answered(denial.request(), *denial.error()).await
    }

    /// The client's answer without a grant, which is an answer too: it uses up a request that was pushed.
    async fn answered(&self, request: &ValidRequest, error: ProtocolError) -> Reply {
        match self.provider.use_up(request.pushed).await {
            Ok(true) => self.sent_back(request, error),
            Ok(false) => self.used_up(request),
            Err(error) => self.sent_back(request, error),
        }
    }

    /// A second decision on a request that was pushed: the client has its answer, so nothing more goes there.
    fn used_up(&self, request: &ValidRequest) -> Reply {
        self.refused(Failure::from(ProtocolError::REQUEST_URI_USED).of(request.client.id()))
    }

    /// Tells the client an error, at the redirect URI of its request.
    fn sent_back(&self, request: &ValidRequest, failure: impl Into<Failure>) -> Reply {
        self.told(&request.redirect_uri, request.state.as_deref(), &failure.into().of(request.client.id()))
    }

    fn told(&self, redirect_uri: &str, state: Option<&str>, failure: &Failure) -> Reply {
        failure.report(&self.provider);
        redirect(&error_redirect(redirect_uri, failure.error(), state, &self.provider.0.config.issuer))
    }

    /// Tells the user an error, here.
    fn refused(&self, failure: impl Into<Failure>) -> Reply {
        let failure = failure.into();
        failure.report(&self.provider);
        let page = self.provider.0.hooks.error_page.as_ref();
        error_page(&failure, page.map(|page| page(failure.error())))
    }
}

/// The parameters as a query.
fn encoded(params: &Params) -> String {
    form_encode(&params.iter().collect::<Vec<_>>())
}

/// How a request goes on.
enum Admitted {
    /// To the page.
    Shown(Arc<ValidRequest>),
    /// It stands in the body.
    Posted,
}

/// What every page gets: no cache keeps it and no other site frames it; its forms still name their origin.
fn secured<B>(mut response: Response<B>) -> Response<B> {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Beside a policy of the page's own: both hold.
    headers.append(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("frame-ancestors 'none'"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    // With `no-referrer` browsers send `Origin: null` with the page's own form.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

impl fmt::Debug for AuthorizeLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizeLayer").finish_non_exhaustive()
    }
}

impl<P> fmt::Debug for Authorize<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorize").finish_non_exhaustive()
    }
}
