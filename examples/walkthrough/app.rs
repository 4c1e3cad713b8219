//! The app: a client of the crate `oauth2`.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{Query, State};
use axum::response::Redirect;
use axum::routing::get;
use http::{Request, StatusCode, header};
use oauth2::basic::BasicClient;
use oauth2::{
    AsyncHttpClient, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet,
    HttpRequest, HttpResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, TokenResponse, TokenUrl,
};

use crate::wire::Wire;
use crate::{Problem, step};

type OAuth = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// What was sent to the provider and must come back; what was not sent yet, and proves that we asked.
type Pending = (CsrfToken, PkceCodeVerifier);

/// A third-party app. It is small enough to have one user at a time.
#[derive(Clone)]
pub(crate) struct App {
    oauth: OAuth,
    issuer: String,
    wire: Wire,
    pending: Arc<Mutex<Option<Pending>>>,
}

impl App {
    pub(crate) async fn discover(wire: Wire, issuer: &str, secret: &str, redirect_uri: &str) -> Result<Self, Problem> {
        let url = format!("{issuer}/.well-known/oauth-authorization-server");
        let metadata = wire.send("app", Request::get(url).body(Vec::new())?).await?;
        let metadata: serde_json::Value = serde_json::from_slice(metadata.body())?;
        let endpoint = |name: &str| metadata[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(endpoint("issuer"), issuer);
        let oauth = BasicClient::new(ClientId::new("customapp".into()))
            .set_client_secret(ClientSecret::new(secret.into()))
            .set_auth_uri(AuthUrl::new(endpoint("authorization_endpoint"))?)
            .set_token_uri(TokenUrl::new(endpoint("token_endpoint"))?)
            .set_redirect_uri(RedirectUrl::new(redirect_uri.into())?);
        Ok(Self { oauth, issuer: issuer.into(), wire, pending: Arc::default() })
    }

    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/connect", get(Self::connect))
            .route("/oauth/redirect", get(Self::connected))
            .with_state(self)
    }

    fn pending(&self) -> MutexGuard<'_, Option<Pending>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(State(app): State<Self>) -> Redirect {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, state) = app
            .oauth
            .authorize_url(CsrfToken::new_random)
            .add_scope(Scope::new("profile".into()))
            .set_pkce_challenge(challenge)
            .url();
        *app.pending() = Some((state, verifier));
        Redirect::to(url.as_str())
    }

    async fn connected(
        State(app): State<Self>,
        Query(answer): Query<BTreeMap<String, String>>,
    ) -> Result<String, (StatusCode, String)> {
        let refuse = |problem: Problem| (StatusCode::BAD_REQUEST, problem.to_string());
        app.finish(&answer).await.map_err(refuse)
    }

    async fn finish(&self, answer: &BTreeMap<String, String>) -> Result<String, Problem> {
        let pending = self.pending().take();
        let (state, verifier) = pending.ok_or("nobody asked to connect")?;
        if answer.get("state") != Some(state.secret()) || answer.get("iss") != Some(&self.issuer) {
            return Err("this answer is not for us".into());
        }
        let code = answer.get("code").ok_or("there is no code")?;

        step(
            7,
            "The app takes the code to the token endpoint, with its secret and the PKCE verifier, and gets tokens.",
        );
        let tokens = self
            .oauth
            .exchange_code(AuthorizationCode::new(code.clone()))
            .set_pkce_verifier(verifier)
            .request_async(&self.wire)
            .await?;
        assert!(tokens.refresh_token().is_some());

        step(8, "The app calls the API with the access token, and the provider's bearer layer lets it in.");
        let request = Request::get(format!("{}/v1/users/me", self.issuer))
            .header(header::AUTHORIZATION, format!("Bearer {}", tokens.access_token().secret()))
            .body(Vec::new())?;
        let profile: BTreeMap<String, String> = serde_json::from_slice(self.wire.send("app", request).await?.body())?;
        Ok(format!("Hello, {} ({})!", profile["name"], profile["id"]))
    }
}

/// The HTTP of the crate `oauth2`.
impl<'c> AsyncHttpClient<'c> for Wire {
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<HttpResponse>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send("app", request))
    }
}
