//! A client that proves itself by what it signs, `private_key_jwt`.

use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;
use tower_oauth::jwt::{Algorithm, SigningKey};
use tower_oauth::{Clock, SystemClock};

use crate::Problem;
use crate::door::{Door, Said};

/// A client with a key of its own.
#[derive(Clone, Debug)]
pub struct Signer {
    door: Door,
    id: String,
    issuer: String,
    key: SigningKey,
}

impl Signer {
    /// Registers one.
    pub async fn register(door: &Door, issuer: &str) -> Result<Self, Problem> {
        let key = SigningKey::generate(Algorithm::Es256)?;
        let metadata = json!({
            "client_name": "Signing proof",
            "token_endpoint_auth_method": "private_key_jwt",
            "grant_types": ["client_credentials"],
            "jwks": {"keys": [key.public_jwk()]},
        });
        match door.register(&metadata).await {
            Said::Yes(answer) => {
                let id = answer.member("client_id");
                Ok(Self { door: door.clone(), id, issuer: issuer.to_owned(), key })
            }
            other => Err(format!("a client that signs is not registered: {other:?}").into()),
        }
    }

    /// The same client at another provider.
    pub fn at(&self, door: &Door) -> Self {
        Self { door: door.clone(), ..self.clone() }
    }

    /// Something that is good once, for a minute.
    pub fn assertion(&self) -> Result<String, Problem> {
        let now = SystemClock.now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
        let name = format!("{:032x}", rand::random::<u128>());
        let claims = json!({"iss": self.id, "sub": self.id, "aud": self.issuer, "exp": now + 60, "jti": name});
        let header = json!({"alg": "ES256", "typ": "client-authentication+jwt"});
        let signed = [header, claims].map(|part| BASE64_URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = self.key.sign(signed.as_bytes())?;
        Ok(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Whether it is taken; `None` if nobody says.
    pub async fn present(&self, assertion: &str) -> Option<bool> {
        let fields = [
            ("grant_type", "client_credentials"),
            ("scope", "profile"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
            ("client_assertion", assertion),
        ];
        match self.door.post("/v1/oauth2/token", &fields).await {
            Said::Yes(_) => Some(true),
            Said::No(answer) => {
                let error = answer.member("error");
                self.door
                    .tally()
                    .check(error == "invalid_client", || format!("an assertion is {} {error}", answer.status));
                Some(false)
            }
            Said::Unknown => None,
        }
    }
}
