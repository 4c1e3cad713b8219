//! A client with a secret, which acts for itself.

use serde_json::json;

use crate::Problem;
use crate::door::{Door, Said};

/// A confidential client.
#[derive(Debug)]
pub struct Machine {
    door: Door,
    id: String,
    secret: String,
}

impl Machine {
    /// Registers one.
    pub async fn register(door: &Door) -> Result<Self, Problem> {
        let metadata = json!({
            "client_name": "Machine",
            "token_endpoint_auth_method": "client_secret_post",
            "grant_types": ["client_credentials"],
        });
        match door.register(&metadata).await {
            Said::Yes(answer) => {
                let (id, secret) = (answer.member("client_id"), answer.member("client_secret"));
                Ok(Self { door: door.clone(), id, secret })
            }
            other => Err(format!("a client with a secret is not registered: {other:?}").into()),
        }
    }

    /// An access token for itself.
    pub async fn token(&self) -> Result<String, Problem> {
        let fields = [("grant_type", "client_credentials"), ("scope", "profile")];
        match self.post("/v1/oauth2/token", fields).await {
            Said::Yes(answer) => Ok(answer.member("access_token")),
            other => Err(format!("client credentials buy {other:?}").into()),
        }
    }

    /// Whether a token of its own is good.
    pub async fn introspect(&self, token: &str) -> Result<bool, Problem> {
        match self.post("/v1/oauth2/introspect", [("token", token), ("token_type_hint", "access_token")]).await {
            Said::Yes(answer) => Ok(answer.member("client_id") == self.id),
            other => Err(format!("a token is not introspected: {other:?}").into()),
        }
    }

    async fn post(&self, path: &str, [first, second]: [(&str, &str); 2]) -> Said {
        let own = [("client_id", &*self.id), ("client_secret", &*self.secret)];
        self.door.post(path, &[own[0], own[1], first, second]).await
    }
}
