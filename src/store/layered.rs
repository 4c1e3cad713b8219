//! The clients of two stores, while they move from one to the other.

use super::{BoxError, ClientStore, RegistrationTerms};
use crate::client::Client;
use crate::types::{ClientId, Issuer};

/// The clients of a new store and, behind it, those of an old one.
///
/// A client is looked for in the new store first. Only an id that the new store never had is looked for in the old one:
/// a client that is disabled or was deleted in the new store does not come back from there
/// ([`ClientStore::is_taken`]). Clients that register themselves are kept in the new store, which alone counts them;
/// those of the old one manage their registrations there.
///
/// Nothing is copied: move the clients, for example with `ClientRegistry::create_client`, whenever it suits, and then take
/// the old store away. Until a client is moved, it is changed and disabled in the old store.
///
/// Where one of the two cannot answer and the client is not found before it is asked, the answer is 503.
///
/// ```
/// use tower_oauth::{Client, Layered, MemoryStore, Provider};
///
/// # let (new, old) = (MemoryStore::new(), MemoryStore::new());
/// old.insert("https://shift.example", Client::public("app").redirect_uri("https://app.example/cb"))?;
/// let provider = Provider::builder("https://shift.example")
///     .store(new.clone()) // the grants; say, a `PostgresStore`
///     .clients(Layered(new, old))
///     .scope("profile", "see your profile")
///     .build()?;
/// # Ok::<_, tower_oauth::ConfigErrors>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Layered<New, Old>(
    /// Where clients are from now on.
    pub New,
    /// Where they were.
    pub Old,
);

impl<New: ClientStore, Old: ClientStore> ClientStore for Layered<New, Old> {
    type Error = BoxError;

    async fn client(&self, issuer: &Issuer, id: &ClientId) -> Result<Option<Client>, BoxError> {
        if let Some(client) = self.0.client(issuer, id).await.map_err(Into::into)? {
            return Ok(Some(client));
        }
        if self.0.is_taken(issuer, id).await.map_err(Into::into)? {
            // It may have been moved here since it was asked for.
            return self.0.client(issuer, id).await.map_err(Into::into);
        }
        self.1.client(issuer, id).await.map_err(Into::into)
    }

    async fn is_taken(&self, issuer: &Issuer, id: &ClientId) -> Result<bool, BoxError> {
        Ok(self.0.is_taken(issuer, id).await.map_err(Into::into)?
            || self.1.is_taken(issuer, id).await.map_err(Into::into)?)
    }

    async fn register(&self, issuer: &Issuer, client: Client, terms: RegistrationTerms) -> Result<bool, BoxError> {
        self.0.register(issuer, client, terms).await.map_err(Into::into)
    }

    fn manages_registrations(&self) -> bool {
        self.0.manages_registrations()
    }

    async fn update_registered(
        &self,
        issuer: &Issuer,
        id: &ClientId,
        change: impl Fn(Client) -> Client + Send + Sync,
    ) -> Result<Option<Client>, BoxError> {
        if let Some(client) = self.0.update_registered(issuer, id, &change).await.map_err(Into::into)? {
            return Ok(Some(client));
        }
        self.1.update_registered(issuer, id, change).await.map_err(Into::into)
    }

    async fn unregister(&self, issuer: &Issuer, id: &ClientId) -> Result<(), BoxError> {
        self.0.unregister(issuer, id).await.map_err(Into::into)?;
        self.1.unregister(issuer, id).await.map_err(Into::into)
    }
}
