//! A connected account, and what the app does with it: to stay connected, and to disconnect.

use std::sync::Arc;

use http::StatusCode;

use super::oauth::{Metadata, OAuth, Problem, Profile, Tokens};
use super::steps::{Step, shown};

pub(super) struct Connection {
    pub(super) profile: Profile,
    /// How the account was connected.
    pub(super) began: Vec<Step>,
    /// What was done with it last; nothing at first.
    pub(super) latest: Vec<Step>,
    metadata: Arc<Metadata>,
    /// `None` once the connection is over.
    tokens: Option<Tokens>,
}

impl Connection {
    pub(super) fn new(profile: Profile, metadata: Arc<Metadata>, tokens: Tokens, began: Vec<Step>) -> Self {
        Self { profile, began, latest: Vec::new(), metadata, tokens: Some(tokens) }
    }

    pub(super) fn is_over(&self) -> bool {
        self.tokens.is_none()
    }
}

impl OAuth {
    /// Exchanges the refresh token for new tokens (RFC 6749 section 6), and shows that they work.
    pub(super) async fn stay(&self, connection: &mut Connection) -> Result<(), Problem> {
        let Some(held) = &connection.tokens else { return Ok(()) };
        let endpoint = &connection.metadata.token_endpoint;
        let form = [("grant_type", "refresh_token"), ("refresh_token", &held.refresh_token)];
        let reply = self.post(endpoint, &form).await?;
        let sent = Step::new(
            "Server to server, CustomApp sent its refresh token with its client secret",
            format!("POST {endpoint}\n{}", shown(&form)),
        );
        if reply.is_invalid_grant() {
            connection.latest = vec![
                sent,
                Step::new(
                    "The provider refused it: this access has ended there",
                    format!("{} invalid_grant", reply.status),
                ),
            ];
            return self.end(connection).await;
        }
        let tokens = reply.tokens()?;
        let renewed = Step::new(
            format!(
                "It got a new access token, good for {}, and a new refresh token; the old one is retired",
                span(tokens.expires_in)
            ),
            format!("{}\n{}", reply.status, tokens.shown()),
        );
        connection.latest = vec![sent, renewed];
        // Kept before anything else can fail: the old refresh token is good for nothing now.
        let tokens = connection.tokens.insert(tokens);
        let (reply, call) = self.ask_api(&tokens.access_token).await?;
        connection.profile = reply.read()?;
        connection.latest.push(Step::new("It called the API with the new access token, and got your profile", call));
        Ok(())
    }

    /// Gives the refresh token back (RFC 7009), and with it the whole access.
    pub(super) async fn disconnect(&self, connection: &mut Connection) -> Result<(), Problem> {
        let Some(held) = &connection.tokens else { return Ok(()) };
        let endpoint = &connection.metadata.revocation_endpoint;
        let form = [("token", &*held.refresh_token), ("token_type_hint", "refresh_token")];
        let reply = self.post(endpoint, &form).await?;
        // Anything else means that the token may be good yet (section 2.2.1).
        if reply.status != StatusCode::OK {
            return Err(format!("the provider answered {}", reply.status).into());
        }
        connection.latest = vec![
            Step::new(
                "Server to server, CustomApp gave its refresh token back, with its client secret",
                format!("POST {endpoint}\n{}", shown(&form)),
            ),
            Step::new("The provider revoked it, and the access token with it", reply.status.to_string()),
        ];
        self.end(connection).await
    }

    /// Forgets the tokens, and shows that the API takes them no more.
    async fn end(&self, connection: &mut Connection) -> Result<(), Problem> {
        let Some(tokens) = connection.tokens.take() else { return Ok(()) };
        let (reply, call) = self.ask_api(&tokens.access_token).await?;
        let what = match reply.status {
            StatusCode::UNAUTHORIZED => "It called the API with the old access token, and was refused",
            _ => "It called the API with the old access token, and was not refused: this should not be",
        };
        connection.latest.push(Step::new(what, call));
        Ok(())
    }
}

fn span(seconds: u64) -> String {
    match seconds {
        60 => "a minute".to_owned(),
        _ if seconds.is_multiple_of(60) => format!("{} minutes", seconds / 60),
        _ => format!("{seconds} seconds"),
    }
}
