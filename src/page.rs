//! What the login and consent page sees of an authorization request, and how it answers.
//!
//! The page is any service of the app: the authorize middleware validates the request, puts an
//! [`AuthorizationRequest`] into its extensions and calls the page. The page answers with a page, or with a decision
//! that it mints from the request. Of an answer that decides, the cookies reach the browser and nothing else does. State
//! lives in the query string: a login of several pages comes back to
//! [`resume_url`](AuthorizationRequest::resume_url).
//!
//! ```
//! use axum::{Form, response::Html};
//! use tower_oauth::{Approval, AuthorizationRequest, Denial, escape};
//!
//! #[derive(serde::Deserialize)]
//! struct Choice { user: String, allow: bool }
//!
//! async fn ask(request: AuthorizationRequest) -> Html<String> {
//!     let name = escape(request.client().client_name()); // a stranger's text
//!     Html(format!("<form method=post>{name} at {} asks ..", escape(request.redirect_host())))
//! }
//!
//! async fn decide(request: AuthorizationRequest, Form(choice): Form<Choice>) -> Result<Approval, Denial> {
//!     if choice.allow { Ok(request.approve(choice.user)) } else { Err(request.deny()) }
//! }
//! # let page: axum::routing::MethodRouter = axum::routing::get(ask).post(decide);
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{Extensions, Response, StatusCode};

use crate::authorization::{Approval, Denial, ValidRequest};
use crate::client::Client;
use crate::error::StoreError;
use crate::provider::Provider;
use crate::store::Holder;
use crate::types::{Resource, Scope, Subject, form_encode, host_of};

/// A validated authorization request. Cloning copies two pointers.
#[derive(Clone)]
pub struct AuthorizationRequest {
    pub(crate) request: Arc<ValidRequest>,
    provider: Provider,
}

impl AuthorizationRequest {
    pub(crate) fn new(request: Arc<ValidRequest>, provider: Provider) -> Self {
        Self { request, provider }
    }

    /// The request below an authorize middleware; in axum it is an extractor.
    #[must_use]
    pub fn from_extensions(extensions: &Extensions) -> Option<Self> {
        extensions.get().cloned()
    }

    /// The issuer that it is asked of, for a page of several: who logs in there is one of its users, whatever name users
    /// of others have.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.provider.issuer()
    }

    /// The client that asks. Its name is a stranger's text: [`escape`] it. Of one that nobody registered show the
    /// [host that vouches for it](Client::document_host) too, and warn where it [is on loopback only](Client::is_loopback_only).
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.request.client
    }

    /// What it asks for, or gets without asking: of that, what the [resources](Self::resources) take.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.request.scope
    }

    /// What it asks for, each with its meaning to a user.
    pub fn scopes(&self) -> impl Iterator<Item = (&str, &str)> + '_ {
        self.request.scope.iter().map(|name| (name, self.provider.meaning(name)))
    }

    /// For which APIs it asks ([RFC 8707 §2.1](https://www.rfc-editor.org/rfc/rfc8707#section-2.1)); one that asks for none
    /// gets the [default one](crate::ProviderBuilder::default_resource). What is approved is good at each of them.
    pub fn resources(&self) -> impl Iterator<Item = &Resource> + '_ {
        self.request.resources.iter()
    }

    /// Where the answer goes.
    #[must_use]
    pub fn redirect_uri(&self) -> &str {
        &self.request.redirect_uri
    }

    /// The host where the answer goes, for the user to see; for a private-use URI its scheme.
    #[must_use]
    pub fn redirect_host(&self) -> &str {
        host_of(&self.request.redirect_uri)
    }

    /// The user that the client expects, as it wrote it.
    #[must_use]
    pub fn login_hint(&self) -> Option<&str> {
        self.parameter("login_hint")
    }

    /// What the client asks of the page: some of `none`, `login`, `consent`, `select_account`, spaces between them.
    ///
    /// With `none` the user sees nothing: answer with a decision, or the middleware answers `login_required`.
    #[must_use]
    pub fn prompt(&self) -> Option<&str> {
        self.parameter("prompt")
    }

    /// Whether `prompt` has this value.
    #[must_use]
    pub fn has_prompt(&self, value: &str) -> bool {
        self.request.has_prompt(value)
    }

    /// How the user has to authenticate: authentication context class references, in order of preference
    /// ([RFC 9470 §4](https://www.rfc-editor.org/rfc/rfc9470#section-4)). Who has done one of them is approved with
    /// [`Approval::acr`]; for others there is [`unmet_authentication_requirements`](Self::unmet_authentication_requirements).
    pub fn acr_values(&self) -> impl Iterator<Item = &str> + '_ {
        self.request.acr_values()
    }

    /// How long ago the user may have authenticated; zero: they have to do it now.
    #[must_use]
    pub fn max_age(&self) -> Option<Duration> {
        self.request.max_age()
    }

    /// Whether a user who authenticated then need not do it again for [`max_age`](Self::max_age); where that is zero they
    /// always do. Ask it again when they decide: a page may have been open for long.
    #[must_use]
    pub fn is_recent(&self, auth_time: SystemTime) -> bool {
        let age = self.provider.now().since(auth_time.into());
        self.max_age().is_none_or(|max_age| !max_age.is_zero() && age <= max_age.as_secs())
    }

    /// Any parameter of the request, `None` where it is left out or empty.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.request.params.get(name)
    }

    /// Where this request goes on after a login: an absolute path with a query, on this site, without what the login has
    /// done: `prompt=login` and `max_age`. State the [time](crate::Approval::auth_time) of it. Of one that was
    /// [pushed](crate::ProviderBuilder::pushed_authorization_requests) the query has a reference alone.
    #[must_use]
    pub fn resume_url(&self) -> String {
        let rest = |prompt: &str| prompt.split(' ').filter(|one| *one != "login").collect::<Vec<_>>().join(" ");
        let params: Vec<(&str, String)> = self
            .request
            .params
            .iter()
            .filter(|(name, _)| *name != "max_age")
            .map(|(name, value)| (name, if name == "prompt" { rest(value) } else { value.to_owned() }))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let mut query = form_encode(&params);
        if let Some(pushed) = &self.request.pushed {
            query = self.provider.pushed_query(self.client().id(), pushed, &query);
        }
        format!("{}?{query}", self.provider.0.config.paths.authorization)
    }

    /// A token for this page's form: a MAC over the session and this request, so that a form of another session, or of
    /// another request, is not taken. The middleware refuses cross-site forms by itself; this is for pages that want
    /// both.
    #[must_use]
    pub fn form_token(&self, session: impl AsRef<[u8]>) -> String {
        self.provider.0.handles.form_tag(&self.form_parts(session.as_ref()))
    }

    /// Whether a form's token is the one of this session and this request.
    #[must_use]
    pub fn check_form_token(&self, session: impl AsRef<[u8]>, token: &str) -> bool {
        self.provider.0.handles.check_form_tag(&self.form_parts(session.as_ref()), token)
    }

    fn form_parts<'a>(&'a self, session: &'a [u8]) -> Vec<&'a [u8]> {
        let mut parts = vec![b"authorization".as_slice(), session];
        parts.extend(self.request.identity());
        parts
    }

    /// All that this user has granted this client for the resources that it asks for now, in grants that live and that
    /// the client has got tokens of. A grant that was given
    /// [for a time](crate::Approval::grant_lifetime) is none of them: whoever allowed a day is asked again.
    ///
    /// # Errors
    /// If the store cannot answer.
    pub async fn previously_granted(&self, subject: &Subject) -> Result<Scope, StoreError> {
        let holder = Holder::UserAtClient(subject.clone(), self.client().id().clone());
        let mut grants = self.provider.living(&holder).await?;
        // What the app issued by itself is no consent, and a scope at one API is none at another.
        grants.retain(|grant| {
            let granted = |asked| grant.resources().iter().any(|resource| resource.covers(asked));
            let Some(redeemed_at) = grant.redeemed_at() else { return false };
            let for_a_time = self.provider.is_refreshable(self.client(), grant.scope())
                && grant.expires_at() < self.provider.grant_end(self.client(), redeemed_at);
            !for_a_time && self.request.resources.iter().all(granted)
        });
        Ok(Scope::union(grants.iter().map(|grant| grant.scope())))
    }

    /// Whether a page may skip its question where all was granted before: only for a confidential client, or where the
    /// answer goes to a web origin; anybody could be behind the address of another
    /// ([RFC 8252 §8.6](https://www.rfc-editor.org/rfc/rfc8252#section-8.6)).
    #[must_use]
    pub fn may_remember_consent(&self) -> bool {
        self.client().is_confidential() || self.redirect_uri().starts_with("https://")
    }

    /// The user said yes. The subject is who is logged in.
    pub fn approve(&self, subject: impl Into<Subject>) -> Approval {
        Approval::new(Arc::clone(&self.request), subject.into())
    }

    /// The user said no: `access_denied`.
    pub fn deny(&self) -> Denial {
        Denial::access_denied(Arc::clone(&self.request))
    }

    /// Nobody is logged in and `prompt=none` forbids asking: `login_required`.
    pub fn login_required(&self) -> Denial {
        Denial::login_required(Arc::clone(&self.request))
    }

    /// The user cannot authenticate as the request asks: `unmet_authentication_requirements`
    /// ([RFC 9470 §5](https://www.rfc-editor.org/rfc/rfc9470#section-5)).
    pub fn unmet_authentication_requirements(&self) -> Denial {
        Denial::unmet_authentication_requirements(Arc::clone(&self.request))
    }

    /// The user would have to agree and `prompt=none` forbids asking: `consent_required`.
    pub fn consent_required(&self) -> Denial {
        Denial::consent_required(Arc::clone(&self.request))
    }
}

impl fmt::Debug for AuthorizationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationRequest")
            .field("client", self.client().id())
            .field("scope", self.scope())
            .finish_non_exhaustive()
    }
}

/// A page's answer, on its way to the middleware.
#[derive(Clone)]
pub(crate) enum Decision {
    Approved(Approval),
    Denied(Denial),
}

/// Without a middleware above that takes the decision, the answer is this, and grants nothing.
fn undecided<B: Default>(decision: Decision) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response.extensions_mut().insert(decision);
    response
}

impl<B: Default> From<Approval> for Response<B> {
    fn from(approval: Approval) -> Self {
        undecided(Decision::Approved(approval))
    }
}

impl<B: Default> From<Denial> for Response<B> {
    fn from(denial: Denial) -> Self {
        undecided(Decision::Denied(denial))
    }
}

impl Approval {
    /// The approval that a page answered with, to test a page alone.
    #[must_use]
    pub fn from_response<B>(response: &Response<B>) -> Option<&Self> {
        match response.extensions().get() {
            Some(Decision::Approved(approval)) => Some(approval),
            _ => None,
        }
    }
}

impl Denial {
    /// The denial that a page answered with, to test a page alone.
    #[must_use]
    pub fn from_response<B>(response: &Response<B>) -> Option<&Self> {
        match response.extensions().get() {
            Some(Decision::Denied(denial)) => Some(denial),
            _ => None,
        }
    }
}

impl Provider {
    /// A token for a form of the app's own, such as its login: a MAC over the session and what the form is for.
    #[must_use]
    pub fn form_token(&self, session: impl AsRef<[u8]>, purpose: &str) -> String {
        self.0.handles.form_tag(&[b"form", session.as_ref(), purpose.as_bytes()])
    }

    /// Whether a form's token is the one of this session and this purpose.
    #[must_use]
    pub fn check_form_token(&self, session: impl AsRef<[u8]>, purpose: &str, token: &str) -> bool {
        self.0.handles.check_form_tag(&[b"form", session.as_ref(), purpose.as_bytes()], token)
    }
}

/// Text for HTML, in content and in quoted attributes.
///
/// ```
/// assert_eq!(tower_oauth::escape("<b a='c'>").to_string(), "&lt;b a=&#39;c&#39;&gt;");
/// ```
#[must_use]
pub fn escape(text: &str) -> impl fmt::Display + '_ {
    Escaped(text)
}

struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
            let entity = match rest.as_bytes()[at] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'"' => "&quot;",
                _ => "&#39;",
            };
            f.write_str(&rest[..at])?;
            f.write_str(entity)?;
            rest = &rest[at + 1..];
        }
        f.write_str(rest)
    }
}
