//! Requests that clients push before they send the user here
//! ([RFC 9126](https://www.rfc-editor.org/rfc/rfc9126)).

use std::time::Duration;

use super::Provider;
use crate::authorization::{Draft, Pushed};
use crate::client::Client;
use crate::error::{ProtocolError, StoreError};
use crate::event::{Event, EventKind};
use crate::store::OnceKey;
use crate::types::{ClientId, Params, form_encode};

/// By what a client proves who it is. That is no part of its request, and no browser gets it.
const PROOFS: [&str; 3] = ["client_secret", "client_assertion", "client_assertion_type"];

/// How far clocks may be apart: a node whose clock is ahead does not forget what another one still takes.
const APART: Duration = Duration::from_secs(60);

impl Provider {
    /// The URI of a client's request, and how long it is good. The request has to be as good as at the authorization
    /// endpoint (§2.1).
    pub(crate) fn push(&self, client: Client, params: Params) -> Result<(String, Duration), ProtocolError> {
        if params.get("request_uri").is_some() {
            return Err(ProtocolError::REQUEST_URI_PUSHED);
        }
        let lifetime = self.0.config.pushed.lifetime();
        let pushed = Pushed::until(self.now().plus(lifetime));
        let draft = Draft::read(params.without(&PROOFS))?.pushed(pushed);
        let request = draft.validate(Some(client), &self.0.config).map_err(|rejection| rejection.error())?;
        let id = request.client.id();
        let uri = self.0.request_uris.seal(&pushed, &form_encode(&request.params.iter().collect::<Vec<_>>()));
        if referring(id, &uri).len() > Draft::MAX {
            return Err(ProtocolError::PUSHED_REQUEST_TOO_LONG);
        }
        self.tell(&Event::new(EventKind::Pushed).client(Some(id)));
        Ok((uri, lifetime))
    }

    /// The query that refers to a pushed request, as which this one goes on.
    pub(crate) fn pushed_query(&self, client: &ClientId, pushed: &Pushed, request: &str) -> String {
        referring(client, &self.0.request_uris.seal(pushed, request))
    }

    /// Whether a decision on a request is its first one as far as that matters: on one that was pushed there can be one,
    /// over all nodes (§4, §7.3).
    pub(crate) async fn use_up(&self, pushed: Option<Pushed>) -> Result<bool, StoreError> {
        let Some(pushed) = pushed else { return Ok(true) };
        let key = OnceKey::new(&self.0.config.issuer, "pushed authorization request", &pushed.id);
        self.0.grants.once(key, pushed.expires_at.plus(APART), self.now()).await
    }
}

fn referring(client: &ClientId, uri: &str) -> String {
    form_encode(&[("client_id", client.as_str()), ("request_uri", uri)])
}
