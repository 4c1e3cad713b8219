//! The client's half of OAuth, over plain HTTP requests: what happens here, a library does elsewhere.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::connection::Connection;
use super::steps::{Step, short, shown};

const SCOPE: &str = "profile";
const ANSWER_AT_MOST: usize = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) type Problem = Box<dyn Error + Send + Sync>;

pub(super) struct OAuth {
    issuer: String,
    client_id: String,
    client_secret: String,
    redirect_uri: String,
    http: Client<HttpConnector, Full<Bytes>>,
}

/// What of the server metadata (RFC 8414) this app needs.
#[derive(Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    pub(super) token_endpoint: String,
    pub(super) revocation_endpoint: String,
}

/// What ties the provider's answer to the browser that asked. None of it passes through the provider but the state and
/// the verifier's hash.
pub(super) struct Pending {
    state: String,
    verifier: String,
    metadata: Arc<Metadata>,
    steps: Vec<Step>,
}

/// What the provider sends the browser back with.
#[derive(Deserialize)]
pub(super) struct Answer {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// This provider issues a refresh token with every answer, and each is good for one use.
#[derive(Deserialize)]
pub(super) struct Tokens {
    pub(super) access_token: String,
    pub(super) refresh_token: String,
    token_type: String,
    /// Seconds.
    pub(super) expires_in: u64,
    scope: Option<String>,
}

/// What the API says about the user.
#[derive(Deserialize)]
pub(super) struct Profile {
    pub(super) id: String,
    pub(super) name: String,
}

/// An answer of the provider, whatever it says.
pub(super) struct Reply {
    path: String,
    pub(super) status: StatusCode,
    body: Bytes,
}

impl Answer {
    /// The code, if the answer is for this browser (the state) and comes from the right provider (`iss`, RFC 9207).
    pub(super) fn check(&self, pending: &Pending) -> Result<&str, Problem> {
        if self.state.as_ref() != Some(&pending.state) {
            return Err("the answer belongs to another browser: its state is not ours".into());
        }
        if self.iss.as_ref() != Some(&pending.metadata.issuer) {
            return Err("the answer comes from another provider".into());
        }
        match (&self.error, &self.code) {
            (Some(error), _) if error == "access_denied" => Err("you did not allow it".into()),
            (Some(error), _) => Err(format!("the provider answered `{error}`").into()),
            (None, Some(code)) => Ok(code),
            (None, None) => Err("the provider sent neither a code nor an error".into()),
        }
    }
}

impl OAuth {
    pub(super) fn new(issuer: &str, client_id: &str, client_secret: &str, redirect_uri: String) -> Self {
        Self {
            issuer: issuer.to_owned(),
            client_id: client_id.to_owned(),
            client_secret: client_secret.to_owned(),
            redirect_uri,
            http: Client::builder(TokioExecutor::new()).build_http(),
        }
    }

    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(super) fn client_secret(&self) -> &str {
        &self.client_secret
    }

    pub(super) fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    /// Where to send the browser, and what to remember until it comes back.
    pub(super) async fn begin(&self) -> Result<(String, Pending), Problem> {
        let metadata = self.discover().await?;
        let (state, verifier) = (random(), random());
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier));
        let parameters = [
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", &self.redirect_uri),
            ("scope", SCOPE),
            ("state", &state),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let url = format!("{}?{}", metadata.authorization_endpoint, serde_urlencoded::to_string(parameters)?);
        let pending = Pending {
            steps: vec![
                Step::new("CustomApp asked the provider where its endpoints are", &metadata.issuer),
                Step::new(
                    "It sent you there, with a new state and the hash of a new secret (PKCE)",
                    shown(&parameters),
                ),
            ],
            state,
            verifier,
            metadata: Arc::new(metadata),
        };
        Ok((url, pending))
    }

    /// Buys tokens with the code, and asks the API with them who the user is.
    pub(super) async fn finish(&self, pending: &Pending, code: &str) -> Result<Connection, Problem> {
        let (tokens, exchange) = self.exchange(pending, code).await?;
        let (reply, call) = self.ask_api(&tokens.access_token).await?;
        let mut steps = pending.steps.clone();
        steps.extend([
            Step::new("You logged in at the provider, if you were not yet", ""),
            Step::new("You were asked, unless you had allowed all of it before", ""),
            Step::new(
                "The provider sent you back with a code, and CustomApp checked state and issuer",
                shown(&[("code", code), ("state", &pending.state), ("iss", &pending.metadata.issuer)]),
            ),
            exchange,
            Step::new("The provider checked them, and answered with tokens", tokens.shown()),
            Step::new("It called the API with the access token, and got your profile", call),
        ]);
        Ok(Connection::new(reply.read()?, Arc::clone(&pending.metadata), tokens, steps))
    }

    /// The issuer's origin, where the API is, and its path.
    fn parts(&self) -> (&str, &str) {
        let third_slash = self.issuer.match_indices('/').nth(2);
        self.issuer.split_at(third_slash.map_or(self.issuer.len(), |(at, _)| at))
    }

    async fn discover(&self) -> Result<Metadata, Problem> {
        if !self.issuer.starts_with("http://") {
            return Err("CustomApp speaks no TLS: start the provider with an http issuer".into());
        }
        // RFC 8414 section 3.1: the name goes between host and path.
        let (origin, path) = self.parts();
        let url = format!("{origin}/.well-known/oauth-authorization-server{path}");
        let metadata: Metadata = self.send(Request::get(url).body(Full::default())?).await?.read()?;
        if metadata.issuer != self.issuer {
            return Err("the metadata is that of another provider".into());
        }
        Ok(metadata)
    }

    async fn exchange(&self, pending: &Pending, code: &str) -> Result<(Tokens, Step), Problem> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", &pending.verifier),
        ];
        let endpoint = &pending.metadata.token_endpoint;
        let tokens = self.post(endpoint, &form).await?.tokens()?;
        let step = Step::new(
            "Server to server, it sent the code with its client secret and the secret of step 2",
            format!("POST {endpoint}\n{}", shown(&form)),
        );
        Ok((tokens, step))
    }

    /// Asks who the user is; with the answer comes what was asked, for the curious.
    pub(super) async fn ask_api(&self, access_token: &str) -> Result<(Reply, String), Problem> {
        let url = format!("{}/v1/users/me", self.parts().0);
        let request =
            Request::get(&url).header(header::AUTHORIZATION, format!("Bearer {access_token}")).body(Full::default())?;
        let reply = self.send(request).await?;
        let asked = format!("GET {url}\nauthorization: Bearer {}\n{}", short(access_token), reply.status);
        Ok((reply, asked))
    }

    /// Sends a form to an endpoint, as this client.
    pub(super) async fn post(&self, endpoint: &str, form: &[(&str, &str)]) -> Result<Reply, Problem> {
        let request = Request::post(endpoint)
            .header(header::AUTHORIZATION, self.basic())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(serde_urlencoded::to_string(form)?.into())?;
        self.send(request).await
    }

    /// Id and secret are form-encoded before they are joined (RFC 6749 section 2.3.1).
    fn basic(&self) -> String {
        let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let pair = format!("{}:{}", encode(&self.client_id), encode(&self.client_secret));
        format!("Basic {}", BASE64_STANDARD.encode(pair))
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Reply, Problem> {
        tokio::time::timeout(PATIENCE, async {
            let path = request.uri().path().to_owned();
            let (head, body) = self.http.request(request).await?.into_parts();
            let body = Limited::new(body, ANSWER_AT_MOST).collect().await?.to_bytes();
            Ok(Reply { path, status: head.status, body })
        })
        .await?
    }
}

impl Reply {
    /// What was asked for, or else why it was not given.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        if self.status != StatusCode::OK {
            let error = self.members();
            let why = error.get("error_description").or(error.get("error"));
            return Err(format!("{} answered {}: {}", self.path, self.status, why.map_or("", |why| why)).into());
        }
        Ok(serde_json::from_slice(&self.body)?)
    }

    pub(super) fn tokens(&self) -> Result<Tokens, Problem> {
        let tokens: Tokens = self.read()?;
        if !tokens.token_type.eq_ignore_ascii_case("bearer") {
            return Err("the provider issued a token of an unknown type".into());
        }
        Ok(tokens)
    }

    /// Whether a grant is no longer good (RFC 6749 section 5.2), in contrast to what may be better in a moment.
    pub(super) fn is_invalid_grant(&self) -> bool {
        self.status == StatusCode::BAD_REQUEST && self.members().get("error").is_some_and(|it| it == "invalid_grant")
    }

    /// An error of OAuth says what it is in its body.
    fn members(&self) -> BTreeMap<String, String> {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl Tokens {
    pub(super) fn shown(&self) -> String {
        let expires_in = self.expires_in.to_string();
        shown(&[
            ("access_token", &self.access_token),
            ("refresh_token", &self.refresh_token),
            ("token_type", &self.token_type),
            ("expires_in", &expires_in),
            ("scope", self.scope.as_deref().unwrap_or(SCOPE)),
        ])
    }
}

/// 256 random bits in the alphabet of a PKCE verifier.
fn random() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}
