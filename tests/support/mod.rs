//! An app around a provider, a clock that is set by hand, and requests in one line.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};
use tower_oauth::testing::ManualClock;
use tower_oauth::{
    AuthMethod, AuthorizationRequest, Authorized, Client, GrantType, MemoryStore, Provider, ProviderBuilder,
};

pub const ISSUER: &str = "https://shift.example";
pub const SECRET: &str = "a-secret-of-32-characters-or-more";
pub const WEB: &str = "https://web.example/cb";
pub const NATIVE: &str = "http://127.0.0.1/cb";
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// A service of requests with text bodies.
pub type App = BoxCloneSyncService<Request<Body>, Response, Infallible>;

/// A public client on the web.
pub fn public() -> Client {
    Client::public("public").name("Public App").redirect_uri(WEB)
}

/// A public client on the user's device.
pub fn native() -> Client {
    Client::public("native").redirect_uri(NATIVE)
}

/// A confidential client, `client_secret_basic`.
pub fn confidential() -> Client {
    Client::confidential("confidential", SECRET).redirect_uri(WEB).grant_types([
        GrantType::AuthorizationCode,
        GrantType::RefreshToken,
        GrantType::ClientCredentials,
    ])
}

/// A confidential client, `client_secret_post`, without PKCE: the original eight steps.
pub fn original() -> Client {
    Client::confidential("original", SECRET)
        .redirect_uri(WEB)
        .token_endpoint_auth_method(AuthMethod::ClientSecretPost)
        .danger_without_pkce()
}

/// A provider with these four clients and three scopes; the default is `profile`, and nobody gets `admin`.
pub fn builder(clock: &ManualClock) -> ProviderBuilder {
    Provider::builder(ISSUER)
        .store(MemoryStore::new())
        .clock(clock.clone())
        .scope("profile", "see your profile")
        .scope("notes:read", "read your notes")
        .scope("notes:write", "write your notes")
        .scope("offline_access", "stay connected")
        .reserved_scope("admin", "do everything")
        .default_scope("profile")
        .scope_includes("notes:write", "notes:read")
        .client(public())
        .client(native())
        .client(confidential())
        .client(original())
}

pub fn provider() -> (Provider, ManualClock) {
    let clock = ManualClock::default();
    let provider = builder(&clock).build().expect("a good configuration");
    (provider, clock)
}

/// A page that shows the request on GET; on POST it approves as the user in `?user=`, or else alice.
async fn show(request: AuthorizationRequest) -> Html<String> {
    Html(format!("page for {}", request.client().id()))
}

async fn approve(request: AuthorizationRequest) -> Response {
    request.approve(request.parameter("user").unwrap_or("alice")).into_response()
}

async fn me(token: Authorized) -> Json<Value> {
    Json(json!({"sub": token.subject(), "client_id": token.client_id().as_str(), "scope": token.scope().to_string()}))
}

/// `/authorize`, `/token`, the metadata, and `/me` (any token), `/profile` and `/notes` (their scopes).
pub fn app(provider: &Provider) -> App {
    let protected = |scope: &str| get(me).route_layer(provider.bearer().require(scope));
    let router = Router::new()
        .route("/authorize", get(show).post(approve))
        .route("/me", get(me).route_layer(provider.bearer()))
        .route("/profile", protected("profile"))
        .route("/notes", protected("notes:read"))
        .layer(provider.layer());
    BoxCloneSyncService::new(router.into_service())
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    /// A response, read to its end.
    pub async fn of<B>(response: http::Response<B>) -> Self
    where
        B: http_body::Body,
        B::Error: std::fmt::Debug,
    {
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("the body is whole").to_bytes();
        let body = String::from_utf8(body.to_vec()).expect("the body is text");
        Self { status: head.status, headers: head.headers, body }
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {:?}", self.body))
    }

    /// The `error` of a JSON body.
    #[track_caller]
    pub fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }

    pub fn header(&self, name: impl header::AsHeaderName) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap_or("(not text)"))
    }

    /// Where it redirects to.
    pub fn location(&self) -> &str {
        self.header(header::LOCATION)
    }

    /// A parameter of where it redirects to.
    pub fn redirected(&self, name: &str) -> Option<String> {
        let query = self.location().split_once('?')?.1;
        let pairs: Vec<(String, String)> = serde_urlencoded::from_str(query).ok()?;
        pairs.into_iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

/// Sends a request through a service.
pub async fn send<S, B>(service: &S, request: Request<Body>) -> Answer
where
    S: Service<Request<Body>, Response = http::Response<B>> + Clone,
    S::Error: std::fmt::Debug,
    B: http_body::Body,
    B::Error: std::fmt::Debug,
{
    Answer::of(service.clone().oneshot(request).await.expect("the service answers")).await
}

pub fn encode(pairs: &[(&str, &str)]) -> String {
    serde_urlencoded::to_string(pairs).expect("pairs are encodable")
}

/// `path?pairs`
pub fn with_query(path: &str, pairs: &[(&str, &str)]) -> String {
    format!("{path}?{}", encode(pairs))
}

pub fn request(method: Method, uri: &str) -> Request<Body> {
    Request::builder().method(method).uri(uri).body(Body::empty()).expect("a good request")
}

/// A form in a body.
pub fn form(uri: &str, pairs: &[(&str, &str)]) -> Request<Body> {
    Request::post(uri)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(encode(pairs).into())
        .expect("a good request")
}

/// The same with client authentication in the header.
pub fn basic(mut request: Request<Body>, id: &str, secret: &str) -> Request<Body> {
    let value = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    request.headers_mut().insert(header::AUTHORIZATION, value.parse().expect("a header"));
    request
}

/// A GET with a bearer token.
pub fn bearer(uri: &str, token: &str) -> Request<Body> {
    let mut request = request(Method::GET, uri);
    request.headers_mut().insert(header::AUTHORIZATION, format!("Bearer {token}").parse().expect("a header"));
    request
}

/// S256 of a verifier.
pub fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

/// The parameters of a good request of the public client, to be changed.
pub fn authorization<'a>(client: &'a str, redirect_uri: &'a str, challenge: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", redirect_uri),
        ("state", "af0ifjsldkj"),
        ("code_challenge", challenge),
        ("code_challenge_method", "S256"),
    ]
}

/// The public client's code for alice, with [`VERIFIER`]'s challenge and this scope.
pub async fn code(app: &App, scope: &str) -> String {
    code_of(app, "public", WEB, scope).await
}

/// A client's code for alice, with [`VERIFIER`]'s challenge and this scope.
pub async fn code_of(app: &App, client: &str, redirect_uri: &str, scope: &str) -> String {
    let challenge = challenge(VERIFIER);
    let mut params = authorization(client, redirect_uri, &challenge);
    params.push(("scope", scope));
    let answer = send(app, form(&with_query("/authorize", &params), &[])).await;
    answer.redirected("code").unwrap_or_else(|| panic!("no code in {answer:?}"))
}

/// The public client's good redemption of a code.
pub fn redemption(code: &str) -> Vec<(&str, &str)> {
    vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", WEB),
        ("client_id", "public"),
        ("code_verifier", VERIFIER),
    ]
}

/// The public client's good refresh.
pub fn refreshing(token: &str) -> Vec<(&str, &str)> {
    vec![("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", "public")]
}

/// The public client redeems a code.
pub async fn redeem(app: &App, code: &str) -> Answer {
    send(app, form("/token", &redemption(code))).await
}

/// The public client refreshes.
pub async fn refresh(app: &App, token: &str) -> Answer {
    send(app, form("/token", &refreshing(token))).await
}

/// The public client's access and refresh token for alice.
pub async fn tokens(app: &App, scope: &str) -> (String, String) {
    let answer = redeem(app, &code(app, scope).await).await;
    let json = answer.json();
    let text = |name: &str| json[name].as_str().unwrap_or_else(|| panic!("no {name} in {json}")).to_owned();
    (text("access_token"), text("refresh_token"))
}

pub const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// An object with some of its members replaced, or taken out by `null`.
pub fn with_members(mut object: Value, others: Value) -> Value {
    let (Value::Object(all), Value::Object(others)) = (&mut object, others) else { panic!("objects") };
    all.extend(others);
    all.retain(|_, value| !value.is_null());
    object
}
