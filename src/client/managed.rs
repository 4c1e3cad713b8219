//! What is kept of a client that registered itself and may change that
//! ([RFC 7592](https://www.rfc-editor.org/rfc/rfc7592)), beside what it may do.

use serde_json::{Map, Value};
use subtle::ConstantTimeEq;

use super::{Client, ClientSecret, digest};
use crate::types::UnixTime;

/// The registration of a client that manages it.
#[derive(Clone)]
pub(crate) struct Managed {
    /// SHA-256 of the registration access token.
    pub(super) token: [u8; 32],
    pub(crate) issued_at: UnixTime,
    /// What it said of itself that decides nothing: names, links, contacts.
    pub(crate) metadata: Map<String, Value>,
}

impl Client {
    /// Lets whoever has the token manage this client.
    pub(crate) fn managed(self, token: &ClientSecret, issued_at: UnixTime, metadata: Map<String, Value>) -> Self {
        self.set(|client| client.managed = Some(Managed { token: token.sha256(), issued_at, metadata }))
    }

    pub(crate) fn registration(&self) -> Option<&Managed> {
        self.0.managed.as_ref()
    }

    pub(crate) fn has_registration_token(&self, token: &str) -> bool {
        self.0.managed.as_ref().is_some_and(|managed| managed.token.ct_eq(&digest(token)).into())
    }

    /// Another registration access token in place of the one that it has, if it has one.
    pub(crate) fn with_registration_token(self, token: &ClientSecret) -> Self {
        self.set(|client| client.managed.iter_mut().for_each(|managed| managed.token = token.sha256()))
    }

    /// This client in place of an earlier one of the same id. What the client does not register by itself stays: its
    /// secrets, where it still has any, its token, and what the provider's operator has set.
    pub(crate) fn in_place_of(self, earlier: &Self, metadata: Map<String, Value>) -> Self {
        let earlier = &*earlier.0;
        self.set(|client| {
            if client.auth_method.needs_secret() && earlier.auth_method.needs_secret() {
                client.secrets.extend(earlier.secrets.iter().cloned());
            }
            client.pkce = earlier.pkce || client.auth_method == super::AuthMethod::None;
            client.access_token_lifetime = earlier.access_token_lifetime;
            client.refresh_token_max_age = earlier.refresh_token_max_age;
            client.managed = earlier.managed.clone().map(|managed| Managed { metadata, ..managed });
        })
    }

    /// Whether it proves itself by a secret that this provider knows.
    pub(crate) fn needs_secret(&self) -> bool {
        self.0.auth_method.needs_secret()
    }

    pub(crate) fn grant_types_registered(&self) -> impl Iterator<Item = super::GrantType> + '_ {
        self.0.grant_types.iter().copied()
    }

    /// The name that it was given, if any.
    pub(crate) fn own_name(&self) -> Option<&str> {
        self.0.name.as_deref()
    }
}
