//! What whoever operates a provider does with its clients.

use super::DatabaseError;
use crate::client::Client;
use crate::store::ClientStore;
use crate::types::{ClientId, Issuer, UnixTime};

/// A client as a store lists it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListedClient {
    /// The client.
    pub client: Client,
    /// Whether it is disabled: then it is unknown to providers, until it is enabled again.
    pub disabled: bool,
    /// Whether it registered itself (RFC 7591).
    pub registered_itself: bool,
}

/// The clients of an issuer, for whoever operates it: what the stores have beside a [`ClientStore`] that keep clients in
/// a database.
///
/// ```no_run
/// use std::time::SystemTime;
/// use tower_oauth::{Client, ClientId, ClientRegistry, ClientSecret, DatabaseError};
///
/// async fn replace_secret(clients: impl ClientRegistry, in_a_week: SystemTime) -> Result<(), DatabaseError> {
///     let secret = ClientSecret::generate();
///     let replace = |client: Client| client.retire_secrets(in_a_week).and_secret(&secret);
///     clients.update_client(&"https://shift.example".into(), &ClientId::from("app"), replace).await?;
///     Ok(())
/// }
/// ```
pub trait ClientRegistry: ClientStore<Error = DatabaseError> {
    /// Registers a client; `Ok(false)` if its id is taken, or was and is not given out again.
    ///
    /// Its future fails if the client could not work, or could not work safely: then it is not registered. It also fails
    /// if the database cannot answer: then it may be registered all the same, and is where a second try says that the id is
    /// taken.
    fn create_client(
        &self,
        issuer: &Issuer,
        client: Client,
    ) -> impl Future<Output = Result<bool, DatabaseError>> + Send;

    /// Replaces a client by what `change` makes of it, such as one with another secret; answers what it is now, and
    /// `Ok(None)` if there is none. Where somebody else changes it meanwhile, `change` is asked again.
    ///
    /// Its future fails if the client could not work, or could not work safely, or if it has another id: then it stays as
    /// it was. It also fails if the database cannot answer: then it may be replaced all the same, and `change` finds it so
    /// the next time.
    fn update_client(
        &self,
        issuer: &Issuer,
        id: &ClientId,
        change: impl Fn(Client) -> Client + Send + Sync,
    ) -> impl Future<Output = Result<Option<Client>, DatabaseError>> + Send;

    /// Makes a client unknown to providers and ends its grants; answers how many were alive.
    fn disable_client(
        &self,
        issuer: &Issuer,
        id: &ClientId,
        now: UnixTime,
    ) -> impl Future<Output = Result<usize, DatabaseError>> + Send;

    /// Makes a client known again that was disabled; its grants stay ended. `Ok(false)` if there is none.
    fn enable_client(&self, issuer: &Issuer, id: &ClientId)
    -> impl Future<Output = Result<bool, DatabaseError>> + Send;

    /// Deletes a client and ends its grants; answers how many were alive. Its id is not given out again.
    fn delete_client(
        &self,
        issuer: &Issuer,
        id: &ClientId,
        now: UnixTime,
    ) -> impl Future<Output = Result<usize, DatabaseError>> + Send;

    /// All clients of an issuer, in the order of their ids.
    fn clients(&self, issuer: &Issuer) -> impl Future<Output = Result<Vec<ListedClient>, DatabaseError>> + Send;
}

/// What becomes of the client `id`, if that can be.
pub(in crate::store) fn changed(
    client: Client,
    id: &ClientId,
    change: impl Fn(Client) -> Client,
) -> Result<Client, DatabaseError> {
    let client = change(client);
    client.check()?;
    if client.id() == id {
        return Ok(client);
    }
    Err(DatabaseError::refused(format!("a client keeps its id: {id} was to become {}", client.id())))
}
