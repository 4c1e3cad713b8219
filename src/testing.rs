//! For tests (feature `test-util`): a clock that is set by hand, the flow of a client in four lines, tokens without a
//! request, what an MCP client would see of an app ([`doctor`]), and the [suite](contract) that every store must pass.
//!
//! ```
//! use axum::{Router, routing::get};
//! use tower_oauth::{AuthorizationRequest, Approval, Client, MemoryStore, Provider, testing::Flow};
//!
//! async fn page(request: AuthorizationRequest) -> Approval {
//!     request.approve("alice")
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let client = Client::public("app").redirect_uri("https://app.example/cb");
//! let provider = Provider::builder("https://shift.example")
//!     .store(MemoryStore::new())
//!     .scope("profile", "see your profile")
//!     .client(client.clone())
//!     .build()?;
//! let app = Router::new().route("/authorize", get(page)).layer(provider.layer()).into_service::<String>();
//!
//! let flow = Flow::new(&client).scope("profile");
//! let redirect = flow.authorize(app.clone()).await?;
//! let tokens = flow.exchange(app.clone(), &redirect).await?;
//! let tokens = flow.refresh(app, tokens.refresh_token().unwrap()).await?;
//! assert!(tokens.access_token().starts_with("toa_at_"));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod doctor;

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
pub use doctor::{Diagnosis, doctor};
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::Service;

use crate::client::{AuthMethod, Client, ClientSecret};
use crate::clock::Clock;
use crate::error::StoreError;
use crate::grant::Grant;
use crate::handle::{GrantId, RefreshHandle, Salt};
use crate::provider::Provider;
use crate::secret::random;
pub use crate::store::contract;
use crate::types::{CodeVerifier, Params, Resource, Scope, Subject, UnixTime, form_encode};

type BoxError = Box<dyn Error + Send + Sync>;

/// A clock that stands still until it is told. Clones share the time.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_oauth::{Clock, testing::ManualClock};
///
/// let clock = ManualClock::new(SystemTime::UNIX_EPOCH);
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now(), SystemTime::UNIX_EPOCH + Duration::from_secs(60));
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<Mutex<SystemTime>>);

impl ManualClock {
    /// A clock that shows `now`.
    #[must_use]
    pub fn new(now: SystemTime) -> Self {
        Self(Arc::new(Mutex::new(now)))
    }

    /// Moves on.
    pub fn advance(&self, span: Duration) {
        *self.time() += span;
    }

    /// Shows another time, also an earlier one.
    pub fn set(&self, now: SystemTime) {
        *self.time() = now;
    }

    fn time(&self) -> std::sync::MutexGuard<'_, SystemTime> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ManualClock {
    /// Some day in 2027.
    fn default() -> Self {
        Self::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> SystemTime {
        *self.time()
    }
}

/// The tokens of one answer of the token endpoint.
#[derive(Clone)]
pub struct Tokens(serde_json::Map<String, Value>);

impl Tokens {
    /// The access token.
    #[must_use]
    pub fn access_token(&self) -> &str {
        self.text("access_token").unwrap_or_default()
    }

    /// The refresh token, if there is one.
    #[must_use]
    pub fn refresh_token(&self) -> Option<&str> {
        self.text("refresh_token")
    }

    /// What the access token may do.
    #[must_use]
    pub fn scope(&self) -> &str {
        self.text("scope").unwrap_or_default()
    }

    /// The whole answer.
    #[must_use]
    pub const fn members(&self) -> &serde_json::Map<String, Value> {
        &self.0
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("scope", &self.scope()).finish_non_exhaustive()
    }
}

/// Connects a client with a user without any request: as if the user had approved and the code been redeemed.
///
/// # Errors
/// If the store cannot answer.
pub async fn connect(
    provider: &Provider,
    client: &Client,
    subject: impl Into<Subject>,
    scope: Scope,
) -> Result<Tokens, StoreError> {
    let (id, salt) = (GrantId::generate(), Salt::generate());
    let key = provider.0.handles.key_of(id);
    let verifier = URL_SAFE_NO_PAD.encode(random::<32>());
    let challenge = CodeVerifier::parse(&verifier).map(|verifier| verifier.challenge());
    let resources = Arc::clone(&provider.0.config.default_resources);
    let lifetime = provider.0.config.lifetimes.code;
    let grant = Grant {
        redirect_uri: client.only_redirect_uri().map(|uri| uri.shared()),
        redirect_uri_sent: true,
        challenge,
        ..provider.direct_grant(id, client.id().clone(), Some(subject.into()), scope, resources, lifetime)
    };
    provider.create(grant).await?;
    let challenge = challenge.map(|challenge| *challenge.as_bytes());
    let step = provider.redemption(client, None, challenge, UnixTime::FAR_FUTURE, salt);
    let verdict = provider.redeem(key, step).await?;
    let mut members = serde_json::Map::new();
    if let Some(grant) = &verdict.grant {
        let access = access_token(provider, id, grant).await?;
        let refresh =
            provider.0.handles.mint_refresh(&RefreshHandle { grant: id, generation: 0, salt, bound_to: None });
        members.insert("access_token".to_owned(), access.into());
        members.insert("refresh_token".to_owned(), refresh.into());
        members.insert("scope".to_owned(), grant.scope().to_string().into());
    }
    Ok(Tokens(members))
}

/// One more access token of the grant that a refresh token is of, without rotating it.
///
/// # Errors
/// If the store cannot answer.
pub async fn another_access_token(provider: &Provider, tokens: &Tokens) -> Result<String, StoreError> {
    let handle = provider.0.handles.open_refresh(tokens.refresh_token().unwrap_or_default());
    let Ok(handle) = handle else { return Ok(String::new()) };
    let grant = provider.grant(provider.0.handles.key_of(handle.grant)).await?;
    match grant {
        Some(grant) => access_token(provider, handle.grant, &grant).await,
        None => Ok(String::new()),
    }
}

async fn access_token(provider: &Provider, id: GrantId, grant: &Grant) -> Result<String, StoreError> {
    let lifetime = provider.0.config.lifetimes.access_token;
    let resources = Resource::full_mask(grant.resources());
    let handle = provider.access_handle(id, grant, grant.scope().full_mask(), resources, lifetime);
    provider.access_token(&handle, grant).await?.map_err(StoreError::new)
}

/// A client that goes through the flow against a service, as a browser and a server would.
///
/// See the [module docs](self) for an example.
#[derive(Clone)]
pub struct Flow {
    client: Client,
    secret: Option<ClientSecret>,
    redirect_uri: String,
    scope: Option<String>,
    state: String,
    verifier: String,
    authorization: String,
    token: String,
}

impl Flow {
    /// A flow of this client, at `/authorize` and `/token`.
    #[must_use]
    pub fn new(client: &Client) -> Self {
        Self {
            client: client.clone(),
            secret: None,
            redirect_uri: client.redirect_uris().next().unwrap_or_default().to_owned(),
            scope: None,
            state: URL_SAFE_NO_PAD.encode(random::<16>()),
            verifier: URL_SAFE_NO_PAD.encode(random::<32>()),
            authorization: "/authorize".to_owned(),
            token: "/token".to_owned(),
        }
    }

    /// What it asks for.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// The secret of a confidential client.
    #[must_use]
    pub fn secret(mut self, secret: impl Into<ClientSecret>) -> Self {
        self.secret = Some(secret.into());
        self
    }

    /// The paths of the authorization and the token endpoint.
    #[must_use]
    pub fn paths(mut self, authorization: impl Into<String>, token: impl Into<String>) -> Self {
        self.authorization = authorization.into();
        self.token = token.into();
        self
    }

    /// Where the client sends the browser.
    #[must_use]
    pub fn authorization_url(&self) -> String {
        let challenge = CodeVerifier::parse(&self.verifier).map(|verifier| verifier.challenge());
        let challenge = challenge.map(|challenge| URL_SAFE_NO_PAD.encode(challenge.as_bytes()));
        let params = [
            ("response_type", Some("code")),
            ("client_id", Some(self.client.id().as_str())),
            ("redirect_uri", Some(&self.redirect_uri)),
            ("scope", self.scope.as_deref()),
            ("state", Some(&self.state)),
            ("code_challenge", challenge.as_deref()),
            ("code_challenge_method", Some("S256")),
        ];
        format!("{}?{}", self.authorization, form_encode(&params))
    }

    /// Sends the browser there, and answers where it was sent on to: for a page that decides at once.
    ///
    /// # Errors
    /// If it was not redirected.
    pub async fn authorize<S, ReqBody, ResBody>(&self, app: S) -> Result<String, FlowError>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>>,
        S::Error: Into<BoxError>,
        ReqBody: From<String>,
        ResBody: Body,
        ResBody::Error: Into<BoxError>,
    {
        let request = Request::get(self.authorization_url()).body(String::new().into()).map_err(FlowError::other)?;
        let response = send(app, request).await?;
        response
            .headers
            .get(header::LOCATION)
            .and_then(|location| location.to_str().ok())
            .map(str::to_owned)
            .ok_or(response.into_error())
    }

    /// Takes the code out of where the browser was sent back to, and redeems it.
    ///
    /// # Errors
    /// If the redirect carries an error or another `state`, or the code is refused.
    pub async fn exchange<S, ReqBody, ResBody>(&self, app: S, redirect: &str) -> Result<Tokens, FlowError>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>>,
        S::Error: Into<BoxError>,
        ReqBody: From<String>,
        ResBody: Body,
        ResBody::Error: Into<BoxError>,
    {
        let query = redirect.split_once('?').map_or("", |(_, query)| query);
        let params = Params::parse(query.as_bytes()).map_err(|_| FlowError::other("the query cannot be read"))?;
        if params.get("state") != Some(&self.state) {
            return Err(FlowError::other("the state is another than was sent"));
        }
        let Some(code) = params.get("code") else { return Err(FlowError::other(redirect.to_owned())) };
        self.post(
            app,
            &[
                ("grant_type", Some("authorization_code")),
                ("code", Some(code)),
                ("redirect_uri", Some(&self.redirect_uri)),
                ("code_verifier", Some(&self.verifier)),
            ],
        )
        .await
    }

    /// Uses a refresh token.
    ///
    /// # Errors
    /// If it is refused.
    pub async fn refresh<S, ReqBody, ResBody>(&self, app: S, refresh_token: &str) -> Result<Tokens, FlowError>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>>,
        S::Error: Into<BoxError>,
        ReqBody: From<String>,
        ResBody: Body,
        ResBody::Error: Into<BoxError>,
    {
        self.post(app, &[("grant_type", Some("refresh_token")), ("refresh_token", Some(refresh_token))]).await
    }

    async fn post<S, ReqBody, ResBody>(&self, app: S, params: &[(&str, Option<&str>)]) -> Result<Tokens, FlowError>
    where
        S: Service<Request<ReqBody>, Response = Response<ResBody>>,
        S::Error: Into<BoxError>,
        ReqBody: From<String>,
        ResBody: Body,
        ResBody::Error: Into<BoxError>,
    {
        let id = self.client.id().as_str();
        let secret = self.secret.as_ref().map(ClientSecret::secret);
        let basic = self.client.auth_method() == AuthMethod::ClientSecretBasic;
        let mut params = params.to_vec();
        if !basic {
            params.push(("client_id", Some(id)));
            params.push(("client_secret", secret));
        }
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&self.token)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        if basic {
            let half = |text| form_encode(&[("", text)]).trim_start_matches('=').to_owned();
            let pair = STANDARD.encode(format!("{}:{}", half(id), half(secret.unwrap_or_default())));
            request = request.header(header::AUTHORIZATION, format!("Basic {pair}"));
        }
        let request = request.body(form_encode(&params).into()).map_err(FlowError::other)?;
        let response = send(app, request).await?;
        match serde_json::from_slice(&response.body) {
            Ok(members) if response.status == StatusCode::OK => Ok(Tokens(members)),
            _ => Err(response.into_error()),
        }
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow").field("client", self.client.id()).field("scope", &self.scope).finish_non_exhaustive()
    }
}

struct Received {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Received {
    fn into_error(self) -> FlowError {
        let body = String::from_utf8_lossy(&self.body).into_owned();
        FlowError { status: Some(self.status), what: body.into() }
    }
}

async fn send<S, ReqBody, ResBody>(mut app: S, request: Request<ReqBody>) -> Result<Received, FlowError>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    S::Error: Into<BoxError>,
    ResBody: Body,
    ResBody::Error: Into<BoxError>,
{
    std::future::poll_fn(|cx| app.poll_ready(cx)).await.map_err(FlowError::other)?;
    let response = app.call(request).await.map_err(FlowError::other)?;
    let (head, body) = response.into_parts();
    let body = body.collect().await.map_err(FlowError::other)?.to_bytes();
    Ok(Received { status: head.status, headers: head.headers, body })
}

/// Why a [`Flow`] does not go on.
#[derive(Debug)]
pub struct FlowError {
    status: Option<StatusCode>,
    what: BoxError,
}

impl FlowError {
    fn other(what: impl Into<BoxError>) -> Self {
        Self { status: None, what: what.into() }
    }

    /// The status of the answer, if there was one.
    #[must_use]
    pub const fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// The error code of the answer, such as `invalid_grant`, if it had one.
    #[must_use]
    pub fn error(&self) -> Option<String> {
        let answer: Value = serde_json::from_str(&self.what.to_string()).ok()?;
        answer.get("error")?.as_str().map(str::to_owned)
    }
}

impl fmt::Display for FlowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{status}: {}", self.what),
            None => self.what.fmt(f),
        }
    }
}

impl Error for FlowError {}
