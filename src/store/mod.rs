//! Where clients and grants are kept.
//!
//! A [`ClientStore`] answers who a client is; an app with a table of clients of its own implements it alone and pairs
//! it with any [`GrantStore`]. A grant store keeps one record for each grant, and each of its operations is one atomic
//! step that returns a verdict: nothing is read first and written later.
//!
//! ```
//! use std::convert::Infallible;
//! use tower_oauth::{Client, ClientId, ClientStore, Issuer, MemoryStore, Provider};
//!
//! struct MyClients;
//!
//! impl ClientStore for MyClients {
//!     type Error = Infallible; // or sqlx::Error, ..
//!
//!     async fn client(&self, _issuer: &Issuer, id: &ClientId) -> Result<Option<Client>, Infallible> {
//!         Ok((*id == "app").then(|| Client::public("app").redirect_uri("https://app.example/cb")))
//!     }
//! }
//!
//! let provider = Provider::builder("https://shift.example")
//!     .store((MyClients, MemoryStore::new())) // or .store(MemoryStore::new()).clients(MyClients)
//!     .scope("profile", "see your profile")
//!     .build()?;
//! # Ok::<_, tower_oauth::ConfigErrors>(())
//! ```

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::client::Client;
use crate::grant::{Grant, Redemption, Revocation, RevocationReason, RevokedTokens, Rotation, Verdict};
use crate::handle::GrantKey;
use crate::secret::Secrets;
use crate::types::{ClientId, Issuer, Subject, UnixTime};

#[cfg(feature = "test-util")]
pub mod contract;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
mod database;
mod erased;
#[cfg(any(feature = "memory", feature = "postgres", feature = "redis"))]
mod key_state;
mod layered;
#[cfg(feature = "memory")]
mod memory;
mod pair;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
#[cfg(feature = "sqlite")]
mod sqlite;

#[cfg(feature = "redis")]
pub use self::redis::{OpenRedis, RedisStore};
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
pub use database::{ClientRegistry, DatabaseError, ListedClient};
pub(crate) use erased::{BoxFuture, DynClients, DynGrants};
pub use layered::Layered;
#[cfg(feature = "memory")]
pub use memory::MemoryStore;
#[cfg(feature = "postgres")]
pub use postgres::{OpenPostgres, PostgresStore};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;

type BoxError = Box<dyn Error + Send + Sync>;

/// Knows the registered clients.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a store of clients",
    note = "implement `ClientStore` for it, or use `.store(MemoryStore::new())`"
)]
pub trait ClientStore: Send + Sync + 'static {
    /// What can go wrong. On the wire it is 503 with `Retry-After`.
    type Error: Into<BoxError>;

    /// The client of this id at this issuer; `Ok(None)` if there is none.
    ///
    /// A client is taken as it is: [check](Client::check) it when it is registered.
    fn client(
        &self,
        issuer: &Issuer,
        id: &ClientId,
    ) -> impl Future<Output = Result<Option<Client>, Self::Error>> + Send;

    /// Whether this id is or was a client's here, and is not given out again: also that of a client that is disabled or
    /// was deleted. [`Layered`] asks this before it looks in an older store.
    ///
    /// A store that cannot tell leaves this method out; then what it deletes is as if it had never been.
    fn is_taken(&self, issuer: &Issuer, id: &ClientId) -> impl Future<Output = Result<bool, Self::Error>> + Send {
        async { Ok(self.client(issuer, id).await?.is_some()) }
    }

    /// Keeps a client that registered itself; `Ok(false)` if there are as many as there can be. A store that takes none
    /// leaves this method out.
    fn register(
        &self,
        issuer: &Issuer,
        client: Client,
        terms: RegistrationTerms,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send {
        let _ = (issuer, client, terms);
        async { Ok(false) }
    }

    /// Whether what registered itself can be changed and deleted here: then [`update_registered`](Self::update_registered)
    /// and [`unregister`](Self::unregister) are there. A store that takes no registrations leaves the three out; a provider
    /// that lets clients [manage](crate::RegistrationPolicy::management) theirs is not built over it.
    fn manages_registrations(&self) -> bool {
        false
    }

    /// Replaces a client that registered itself by what `change` makes of it, which has the same id and is
    /// [good](Client::check); answers what it is now, and `Ok(None)` if there is none. Where somebody else changes it
    /// meanwhile, `change` is asked again.
    fn update_registered(
        &self,
        issuer: &Issuer,
        id: &ClientId,
        change: impl Fn(Client) -> Client + Send + Sync,
    ) -> impl Future<Output = Result<Option<Client>, Self::Error>> + Send {
        let _ = (issuer, id, change);
        async { Ok(None) }
    }

    /// Deletes a client that registered itself, as a sweep does with one that nobody connects: its id was made at random,
    /// so it comes to nobody else. Its grants are the provider's to end.
    fn unregister(&self, issuer: &Issuer, id: &ClientId) -> impl Future<Output = Result<(), Self::Error>> + Send {
        let _ = (issuer, id);
        async { Ok(()) }
    }
}

/// How a client is kept that registered itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistrationTerms {
    /// How many such clients there can be.
    pub limit: usize,
    /// Until when it is kept if no user connects it.
    pub keep_until: UnixTime,
}

/// Keeps the grants. Implementors write `async fn`.
///
/// Each method is one atomic step. [`create`](Self::create), [`redeem`](Self::redeem), [`rotate`](Self::rotate) and
/// [`revoke`](Self::revoke) answer only after what they changed is safe; they may be repeated with the same arguments
/// after an acknowledgement was lost. The rules of the three transitions are [`Grant::redeem`], [`Grant::rotate`] and
/// [`Grant::revoke`]; the feature `test-util` has a suite that every store must pass.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a store of grants",
    note = "for clients of your own beside a store: `.store(MemoryStore::new()).clients(..)`"
)]
pub trait GrantStore: Send + Sync + 'static {
    /// What can go wrong. On the wire it is 503 with `Retry-After`.
    type Error: Into<BoxError>;

    /// Keeps a new grant. A grant whose key is there already is this one: an earlier try of the same step.
    fn create(&self, grant: Grant) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// The grant, whatever became of it, as it is now.
    fn find(&self, key: GrantKey) -> impl Future<Output = Result<Option<Arc<Grant>>, Self::Error>> + Send;

    /// Redeems a code.
    fn redeem(&self, key: GrantKey, step: Redemption) -> impl Future<Output = Result<Verdict, Self::Error>> + Send;

    /// Uses a refresh token.
    fn rotate(&self, key: GrantKey, step: Rotation) -> impl Future<Output = Result<Verdict, Self::Error>> + Send;

    /// Revokes a grant or one of its access tokens.
    fn revoke(&self, key: GrantKey, step: Revocation) -> impl Future<Output = Result<Verdict, Self::Error>> + Send;

    /// Revokes every grant of a user, of a client, or of a user at a client, and answers when the last one is dead,
    /// with how many were alive.
    fn revoke_all(
        &self,
        issuer: &Issuer,
        holder: &Holder,
        reason: RevocationReason,
        now: UnixTime,
    ) -> impl Future<Output = Result<usize, Self::Error>> + Send;

    /// The grants of a user, of a client, or of a user at a client, whatever became of them, in any order.
    fn grants(
        &self,
        issuer: &Issuer,
        holder: &Holder,
    ) -> impl Future<Output = Result<Vec<Arc<Grant>>, Self::Error>> + Send;

    /// Whether this key is seen for the first time; it is remembered until `until`. Of any number of callers at once,
    /// one is first.
    fn once(
        &self,
        key: OnceKey,
        until: UnixTime,
        now: UnixTime,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// Forgets what is over ([`Grant::is_over`]) and every key of [`once`](Self::once) that has passed; answers how
    /// many records went. Never called within a request.
    fn sweep(
        &self,
        issuer: &Issuer,
        now: UnixTime,
        idle: Duration,
    ) -> impl Future<Output = Result<usize, Self::Error>> + Send;

    /// Whether it keeps documents for a provider: then [`document`](Self::document) and
    /// [`replace_document`](Self::replace_document) are there. A store that keeps none leaves the three out; a provider that
    /// has to keep something, such as the keys that sign its JWT access tokens, is not built over it.
    fn keeps_documents(&self) -> bool {
        false
    }

    /// What is kept under a name for an issuer; `Ok(None)` if nothing is.
    fn document(
        &self,
        issuer: &Issuer,
        name: &str,
    ) -> impl Future<Output = Result<Option<Vec<u8>>, Self::Error>> + Send {
        let _ = (issuer, name);
        async { Ok(None) }
    }

    /// Keeps `new` under a name in place of `old`, where `None` is nothing, and answers when it is safe; `Ok(false)` if
    /// something else is kept there by now. That it is `new` already counts as an earlier try of the same step.
    fn replace_document(
        &self,
        issuer: &Issuer,
        name: &str,
        old: Option<&[u8]>,
        new: &[u8],
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send {
        let _ = (issuer, name, old, new);
        async { Ok(false) }
    }

    /// Whether it keeps a list of what was revoked: then [`revocations`](Self::revocations) is there. A store that keeps
    /// none leaves both out; a provider with a [feed](crate::ProviderBuilder) of them is not built over it.
    ///
    /// Whatever revokes tokens, a [`redeem`](Self::redeem) or [`rotate`](Self::rotate) that ends the grant among it, adds
    /// [what it revoked](Grant::newly_revoked) in the same atomic step, whether or not a provider has a feed now. It
    /// stays when [`sweep`](Self::sweep) forgets the grant.
    fn keeps_revocations(&self) -> bool {
        false
    }

    /// What was revoked at an issuer and has not [passed](RevokedTokens::until), in any order. Every revocation that was
    /// answered before is in it; [`sweep`](Self::sweep) forgets what has passed.
    fn revocations(
        &self,
        issuer: &Issuer,
        now: UnixTime,
    ) -> impl Future<Output = Result<Vec<RevokedTokens>, Self::Error>> + Send {
        let _ = (issuer, now);
        async { Ok(Vec::new()) }
    }

    /// The grant, if it is known without waiting: always for memory, from a cache for others, which must return
    /// nothing that it would not stand by. `None`: ask [`load`](Self::load).
    ///
    /// Only the check of an access token asks this; what decides about anything else asks [`find`](Self::find).
    fn cached(&self, key: GrantKey) -> Option<Arc<Grant>> {
        let _ = key;
        None
    }

    /// The grant for the check of an access token that [`cached`](Self::cached) has none for. A store with a cache
    /// keeps the answer for it, and lets those who ask at once for one grant share it; others leave this method out,
    /// and it is [`find`](Self::find).
    fn load(&self, key: GrantKey) -> impl Future<Output = Result<Option<Arc<Grant>>, Self::Error>> + Send {
        self.find(key)
    }

    /// The secrets that the store keeps or makes by itself; `Ok(None)` if they have to be given to the builder. Asked
    /// for only where none were given.
    ///
    /// # Errors
    /// If those that it keeps cannot be had.
    fn secrets(&self) -> Result<Option<Secrets>, Self::Error> {
        Ok(None)
    }

    /// A provider starts with these keys, which are named by their ids: the first signs from now on, all verify.
    ///
    /// A store that outlives its process remembers, for each issuer, with which keys handles were made.
    ///
    /// # Errors
    /// If a key is missing with which handles were made that may still be good: such a provider would refuse them as
    /// forged, so it does not start.
    fn use_keys(&self, issuer: &Issuer, ids: &[[u8; 4]], now: UnixTime) -> Result<(), Self::Error> {
        let _ = (issuer, ids, now);
        Ok(())
    }

    /// How far apart the clocks of the store's machine and of this one were when the store was opened; `None` if it
    /// has no clock of its own.
    fn clock_skew(&self) -> Option<Duration> {
        None
    }
}

/// Both stores in one. A pair `(clients, grants)` is one too.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a store",
    note = "a store is a `ClientStore` and a `GrantStore`; for clients of your own beside one: `.store(MemoryStore::new()).clients(..)`"
)]
pub trait Store: ClientStore + GrantStore {}

impl<S: ClientStore + GrantStore> Store for S {}

/// Whose grants are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Holder {
    /// All that a user gave.
    User(Subject),
    /// All that a user gave one client.
    UserAtClient(Subject, ClientId),
    /// All that a client holds, its own included.
    Client(ClientId),
}

impl Holder {
    /// Whether a grant is among those that are meant.
    #[must_use]
    pub fn holds(&self, grant: &Grant) -> bool {
        match self {
            Self::User(subject) => grant.subject() == Some(subject),
            Self::UserAtClient(subject, client) => grant.subject() == Some(subject) && grant.client_id() == client,
            Self::Client(client) => grant.client_id() == client,
        }
    }

    pub(crate) const fn subject(&self) -> Option<&Subject> {
        match self {
            Self::User(subject) | Self::UserAtClient(subject, _) => Some(subject),
            Self::Client(_) => None,
        }
    }

    pub(crate) const fn client(&self) -> Option<&ClientId> {
        match self {
            Self::Client(client) | Self::UserAtClient(_, client) => Some(client),
            Self::User(_) => None,
        }
    }
}

/// Something that may happen once: a digest over its issuer, its purpose and its value.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OnceKey([u8; 32]);

impl OnceKey {
    /// The key of a value, such as the `jti` of an assertion, for one purpose.
    #[must_use]
    pub fn new(issuer: &Issuer, purpose: &str, value: &[u8]) -> Self {
        let mut digest = Sha256::new();
        for part in [issuer.as_str().as_bytes(), purpose.as_bytes(), value] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Self(digest.finalize().into())
    }

    /// The key as a store keeps it.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for OnceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnceKey(..)")
    }
}
