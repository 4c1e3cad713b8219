//! Clients that register themselves, and what they do with that
//! ([RFC 7591](https://www.rfc-editor.org/rfc/rfc7591), [RFC 7592](https://www.rfc-editor.org/rfc/rfc7592)).

use super::Provider;
use crate::client::{Client, ClientSecret};
use crate::error::StoreError;
use crate::event::{Event, EventKind};
use crate::grant::RevocationReason;
use crate::registration::{Allowed, Registered};
use crate::store::{Holder, RegistrationTerms};
use crate::types::ClientId;

impl Provider {
    /// Makes another token by which a client that registered itself
    /// [manages](crate::RegistrationPolicy::management) that, `registration_access_token`, for one that lost its own or
    /// thinks that somebody else has it. The one that it had is good no longer. `Ok(None)` if there is no client that
    /// manages its registration.
    ///
    /// # Errors
    /// If the store cannot answer.
    pub async fn renew_registration_access_token(&self, client: &ClientId) -> Result<Option<ClientSecret>, StoreError> {
        let token = ClientSecret::generate();
        let renew = |client: Client| client.with_registration_token(&token);
        let client = match self.registered(client).await? {
            Some(client) => self.0.client_store.update_registered(&self.0.config.issuer, client.id(), &renew).await?,
            None => None,
        };
        Ok(client.filter(|client| client.has_registration_token(token.secret())).map(|_| token))
    }

    /// What a client that registers itself may become.
    pub(crate) fn registrable(&self) -> Allowed {
        #[cfg(feature = "jwt")]
        let fetches = self.0.published_keys.is_some();
        #[cfg(not(feature = "jwt"))]
        let fetches = false;
        self.0.config.allowed(self.0.config.registrable.as_ref(), fetches)
    }

    /// Whether clients can change what they registered.
    pub(crate) fn manages_registrations(&self) -> bool {
        self.0.config.registration.as_ref().is_some_and(|policy| policy.management)
    }

    /// Keeps a client that registered itself; false if there are as many as there can be.
    pub(crate) async fn register(&self, client: Client) -> Result<bool, StoreError> {
        let Some(policy) = &self.0.config.registration else { return Ok(false) };
        let terms = RegistrationTerms { limit: policy.limit, keep_until: self.now().plus(policy.keep_unused) };
        let id = client.id().clone();
        let kept = self.0.client_store.register(&self.0.config.issuer, client, terms).await?;
        if kept {
            self.tell(&Event::new(EventKind::Registered).client(Some(&id)));
        }
        Ok(kept)
    }

    /// A client that manages its registration.
    async fn registered(&self, id: &ClientId) -> Result<Option<Client>, StoreError> {
        // One of the configuration is nobody's to change, whatever a store has under its id.
        if !self.manages_registrations() || self.0.clients.contains_key(id) {
            return Ok(None);
        }
        Ok(self.client(id).await?.filter(|client| client.registration().is_some()))
    }

    /// The same, for whoever has its token.
    pub(crate) async fn registered_with(&self, id: &ClientId, token: &str) -> Result<Option<Client>, StoreError> {
        Ok(self.registered(id).await?.filter(|client| client.has_registration_token(token)))
    }

    /// Puts a new registration in the place of the one that the token is for; answers what is registered now, and `None`
    /// if the token is good no longer.
    pub(crate) async fn replace_registration(
        &self,
        registered: &Registered,
        token: &str,
    ) -> Result<Option<Client>, StoreError> {
        let replace = |earlier: Client| {
            let client = registered.client_in_place_of(&earlier);
            if earlier.has_registration_token(token) && client.check().is_ok() { client } else { earlier }
        };
        let id = registered.client.id();
        let client = self.0.client_store.update_registered(&self.0.config.issuer, id, &replace).await?;
        let client = client.filter(|client| client.has_registration_token(token));
        if client.is_some() {
            self.tell(&Event::new(EventKind::RegistrationUpdated).client(Some(id)));
        }
        Ok(client)
    }

    /// Deletes a registration and ends the client's grants.
    pub(crate) async fn delete_registration(&self, id: &ClientId) -> Result<(), StoreError> {
        let holder = Holder::Client(id.clone());
        // First, so that a client whose grants cannot be ended is still there to try again; and once more for what was
        // granted until it was gone.
        self.end_all(&holder, RevocationReason::Client).await?;
        self.0.client_store.unregister(&self.0.config.issuer, id).await?;
        self.tell(&Event::new(EventKind::RegistrationDeleted).client(Some(id)));
        self.end_all(&holder, RevocationReason::Client).await.map(drop)
    }
}
