//! Grants as they come to be: the whole authorization code flow, through the library's own services.

use std::{
    convert::Infallible,
    fmt,
    future::{Ready, ready},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{
    Method, Request, Response, StatusCode,
    header::{CONTENT_TYPE, LOCATION},
};
use http_body_util::{BodyExt, Empty, Full};
use tower::Service;
use tower_oauth::{AuthorizationRequest, Authorize, Client, MemoryStore, Provider, ProviderBuilder, Token};

use crate::tokens::Tokens;

const ISSUER: &str = "https://shift.example";
const REDIRECT_URI: &str = "https://customapp.example/oauth/redirect";
/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
/// Longer than any measurement takes.
const LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

/// A user of 16 characters.
#[must_use]
pub fn subject(number: usize) -> String {
    format!("user-{number:011}")
}

/// A provider in memory, with a client that asks and a user who always approves.
pub struct Site {
    /// The provider.
    pub provider: Provider,
    authorize: Authorize<Page>,
    token: Token,
    runtime: tokio::runtime::Runtime,
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").finish_non_exhaustive()
    }
}

/// What an exchange at the token endpoint yields.
#[derive(Debug)]
pub struct Answer {
    /// The access token.
    pub access: String,
    /// The refresh token.
    pub refresh: String,
}

impl Site {
    /// A new one, without any grant.
    ///
    /// # Panics
    /// If the library refuses its configuration.
    #[must_use]
    pub fn new() -> Self {
        Self::with(|builder| builder.store(MemoryStore::new()))
    }

    /// The same with another store.
    ///
    /// # Panics
    /// If the library refuses its configuration.
    #[must_use]
    pub fn with(store: impl FnOnce(ProviderBuilder) -> ProviderBuilder) -> Self {
        let provider = store(Provider::builder(ISSUER))
            .scope("profile", "See your profile")
            .scope("notes:read", "Read your notes")
            .scope("notes:write", "Write your notes")
            .client(Client::public("customapp").redirect_uri(REDIRECT_URI))
            .access_token_lifetime(LIFETIME)
            .build()
            .expect("a good configuration");
        Self {
            authorize: provider.authorize(Page),
            token: provider.token(),
            runtime: tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime"),
            provider,
        }
    }

    /// A user approves and the client redeems its code: a new grant, with its first tokens.
    ///
    /// # Panics
    /// If the library refuses.
    pub fn connect(&mut self, subject: &str) -> Answer {
        let uri = format!(
            "/authorize?response_type=code&client_id=customapp&state=4f1c5d0e9a&scope=profile%20notes:read%20notes:write\
             &redirect_uri=https%3A%2F%2Fcustomapp.example%2Foauth%2Fredirect&login_hint={subject}\
             &code_challenge={CHALLENGE}&code_challenge_method=S256"
        );
        let request = Request::get(uri).body(Empty::<Bytes>::new()).expect("a request");
        let response = self.runtime.block_on(self.authorize.call(request)).expect("an answer");
        let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let code = location.and_then(|location| location.split(['?', '&']).find_map(|pair| pair.strip_prefix("code=")));
        let code = code.unwrap_or_else(|| panic!("no code: {} {location:?}", response.status()));
        self.exchange(&format!(
            "grant_type=authorization_code&client_id=customapp&code={code}&code_verifier={VERIFIER}\
             &redirect_uri=https%3A%2F%2Fcustomapp.example%2Foauth%2Fredirect"
        ))
    }

    /// New tokens of the same grant.
    ///
    /// # Panics
    /// If the library refuses.
    pub fn refresh(&mut self, token: &str) -> Answer {
        self.exchange(&format!("grant_type=refresh_token&client_id=customapp&refresh_token={token}"))
    }

    fn exchange(&mut self, form: &str) -> Answer {
        let request = Request::builder()
            .method(Method::POST)
            .uri("/token")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Full::new(Bytes::copy_from_slice(form.as_bytes())))
            .expect("a request");
        let (status, body) = self.runtime.block_on(async {
            let response = self.token.call(request).await.expect("an answer");
            let status = response.status();
            (status, response.into_body().collect().await.expect("a body").to_bytes())
        });
        assert_eq!(status, StatusCode::OK, "{body:?}");
        let answer: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        let part = |name: &str| answer[name].as_str().unwrap_or_else(|| panic!("no {name}: {answer}")).to_owned();
        Answer { access: part("access_token"), refresh: part("refresh_token") }
    }

    /// As many grants as both lists have room for: their access and refresh tokens.
    pub fn connect_many(&mut self, count: usize, access: &mut Tokens, refresh: &mut Tokens) {
        for number in 0..count {
            let answer = self.connect(&subject(number));
            access.push(&answer.access);
            refresh.push(&answer.refresh);
        }
    }
}

impl Default for Site {
    fn default() -> Self {
        Self::new()
    }
}

/// The user whom the client named approves all.
#[derive(Clone, Debug)]
struct Page;

impl<B> Service<Request<B>> for Page {
    type Response = Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let asked = AuthorizationRequest::from_extensions(request.extensions()).expect("a validated request");
        let user = asked.login_hint().expect("the hint above").to_owned();
        ready(Ok(asked.approve(user).into()))
    }
}
