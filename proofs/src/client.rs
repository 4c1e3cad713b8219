//! A client of the provider, and what it can know of a grant.

use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::Problem;
use crate::door::{Answer, Door, Said};
use crate::person::Person;

const REDIRECT_URI: &str = "http://127.0.0.1/callback";

/// What the provider told in answer to a code or a refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tokens {
    /// The access token.
    pub access: String,
    /// The refresh token.
    pub refresh: String,
}

impl Tokens {
    fn of(answer: &Answer) -> Self {
        Self { access: answer.member("access_token"), refresh: answer.member("refresh_token") }
    }
}

/// What became of a request for tokens.
#[derive(Debug)]
pub enum Told {
    /// These are good.
    Tokens(Tokens),
    /// `invalid_grant`
    Refused,
    /// Nobody knows.
    Unknown,
}

impl Told {
    /// The tokens, if it was told any.
    pub const fn tokens(&self) -> Option<&Tokens> {
        match self {
            Self::Tokens(tokens) => Some(tokens),
            Self::Refused | Self::Unknown => None,
        }
    }
}

/// A code, and what proves that it is ours.
#[derive(Clone, Debug)]
pub struct Code {
    code: String,
    verifier: String,
}

/// A question to a person.
#[derive(Debug)]
pub struct Request {
    /// Where it is asked.
    pub path: String,
    verifier: String,
}

impl Request {
    /// What the answer brings the client.
    pub fn code(self, answer: &Answer) -> Option<Code> {
        Some(Code { code: answer.parameter("code")?, verifier: self.verifier })
    }
}

/// A public client.
#[derive(Clone, Debug)]
pub struct Client {
    door: Door,
    id: String,
}

impl Client {
    /// The one that the example has in its configuration.
    pub fn configured(door: &Door) -> Self {
        Self { door: door.clone(), id: "cli".to_owned() }
    }

    /// Registers one.
    pub async fn register(door: &Door) -> Result<Self, Problem> {
        let metadata = json!({
            "client_name": "Proof",
            "redirect_uris": [REDIRECT_URI],
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
        });
        match door.register(&metadata).await {
            Said::Yes(answer) => Ok(Self { door: door.clone(), id: answer.member("client_id") }),
            other => Err(format!("a client is not registered: {other:?}").into()),
        }
    }

    /// The same client at another provider.
    pub fn at(&self, door: &Door) -> Self {
        Self { door: door.clone(), id: self.id.clone() }
    }

    /// The way to the provider.
    pub const fn door(&self) -> &Door {
        &self.door
    }

    /// Asks a person; `None` where nothing came of it.
    pub async fn ask(&self, person: &mut Person) -> Option<Code> {
        let request = self.request();
        let answer = person.allow(&self.door, &request.path).await?;
        let code = request.code(&answer);
        if code.is_none() && answer.parameter("error").as_deref() != Some("temporarily_unavailable") {
            self.door.tally().wrong(format!("an approval comes to {answer:?}"));
        }
        code
    }

    /// What a person is asked.
    pub fn request(&self) -> Request {
        let verifier = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(unique().to_be_bytes()));
        let query = serde_urlencoded::to_string(self.asks(&challenge(&verifier))).expect("text is encodable");
        Request { path: format!("/v1/oauth2/auth?{query}"), verifier }
    }

    /// Pushes what a person would be asked; whether that was taken.
    pub async fn push(&self) -> bool {
        matches!(self.door.post("/v1/oauth2/par", &self.asks(&challenge("none"))).await, Said::Yes(_))
    }

    fn asks<'a>(&'a self, challenge: &'a str) -> [(&'a str, &'a str); 6] {
        [
            ("response_type", "code"),
            ("client_id", &self.id),
            ("redirect_uri", REDIRECT_URI),
            ("scope", "profile"),
            ("code_challenge", challenge),
            ("code_challenge_method", "S256"),
        ]
    }

    /// Looks at what is published.
    pub async fn metadata(&self) -> Result<(), Problem> {
        self.published("oauth-authorization-server").await
    }

    /// Looks at what is published of the API.
    pub async fn metadata_of_the_resource(&self) -> Result<(), Problem> {
        self.published("oauth-protected-resource").await
    }

    async fn published(&self, name: &str) -> Result<(), Problem> {
        match self.door.page(&format!("/.well-known/{name}"), None).await {
            Said::Yes(_) => Ok(()),
            other => Err(format!("nothing is published: {other:?}").into()),
        }
    }

    /// Buys tokens with a code.
    pub async fn redeem(&self, code: &Code) -> Told {
        self.token(&[
            ("grant_type", "authorization_code"),
            ("client_id", &self.id),
            ("redirect_uri", REDIRECT_URI),
            ("code", &code.code),
            ("code_verifier", &code.verifier),
        ])
        .await
    }

    /// Uses a refresh token.
    pub async fn refresh(&self, token: &str) -> Told {
        self.token(&[("grant_type", "refresh_token"), ("client_id", &self.id), ("refresh_token", token)]).await
    }

    /// A grant of a person, with its first tokens.
    pub async fn connect(&self, person: &mut Person) -> Result<Tokens, Problem> {
        let code = self.ask(person).await.ok_or("a person gets no answer")?;
        match self.redeem(&code).await {
            Told::Tokens(tokens) => Ok(tokens),
            other => Err(format!("a code buys {other:?}").into()),
        }
    }

    /// Revokes the grant of a refresh token, or an access token alone; whether that was answered.
    pub async fn revoke(&self, token: &str) -> bool {
        match self.door.post("/v1/oauth2/revoke", &[("client_id", &self.id), ("token", token)]).await {
            Said::Yes(_) => true,
            Said::No(answer) => {
                self.door.tally().wrong(format!("a revocation is {}", answer.status));
                false
            }
            Said::Unknown => false,
        }
    }

    /// Whether the API takes an access token; `None` if it does not say.
    pub async fn call(&self, access_token: &str) -> Option<bool> {
        match self.door.call(access_token).await {
            Said::Yes(_) => Some(true),
            Said::No(answer) => {
                let refused = answer.status == http::StatusCode::UNAUTHORIZED;
                self.door.tally().check(refused, || format!("the API answers {}", answer.status));
                Some(false)
            }
            Said::Unknown => None,
        }
    }

    async fn token(&self, fields: &[(&str, &str)]) -> Told {
        match self.door.post("/v1/oauth2/token", fields).await {
            Said::Yes(answer) => Told::Tokens(Tokens::of(&answer)),
            Said::No(answer) => {
                let error = answer.member("error");
                self.door
                    .tally()
                    .check(error == "invalid_grant", || format!("a token request is {} {error}", answer.status));
                Told::Refused
            }
            Said::Unknown => Told::Unknown,
        }
    }
}

fn challenge(verifier: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

/// No two codes have one verifier.
fn unique() -> u128 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    u128::from(rand::random::<u64>()) << 64 | u128::from(NEXT.fetch_add(1, Ordering::Relaxed))
}
