//! Clients and grants in Redis.
//!
//! Each transition is one script that Redis runs as one step: it decides by the record as it is, writes what changes, and
//! answers the outcome and the record. The usual rotation has been decided before, and its script only compares and sets.
//! Indexes lead to the grants of a user and of a client. The names of all keys are in `redis/names.rs`.

mod batches;
mod calls;
mod clients;
mod documents;
mod keys;
mod names;
mod open;
mod revocations;
mod revoked;
mod rows;
mod scripts;
mod steps;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::ConnectionManager;

use self::calls::{Calls, all};
use self::names::Names;
pub use self::open::OpenRedis;
use self::scripts::ONCE;
use super::database::{DatabaseError, Following, GrantCache, Keys, Signing, ToNote, Which};
use super::{GrantStore, Holder, OnceKey};
use crate::grant::{
    Grant, Outcome, Redemption, Refused, Revocation, RevocationReason, RevokedTokens, Rotation, Verdict,
};
use crate::handle::GrantKey;
use crate::secret::random;
use crate::types::{Issuer, UnixTime};

/// Clients and grants in Redis. Cloning copies a pointer; clones share everything.
///
/// Any number of processes can use one Redis at once, and one store serves several issuers. It keeps no secret: give the
/// builder [secrets](crate::ProviderBuilder::secrets), the same to every process.
///
/// A node answers the check of an access token from what it read up to 5 seconds ago, or another
/// [time](OpenRedis::cache), and refuses what another node revoked a moment later: see there for the worst case.
///
/// ```no_run
/// use tower_oauth::{Provider, RedisStore, Secrets};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let store = RedisStore::connect("redis://127.0.0.1/").await?;
/// let provider = Provider::builder("https://shift.example")
///     .store(store)
///     .secrets(Secrets::open("provider.secret")?.0)
///     .scope("profile", "see your profile")
///     .build()?;
/// # Ok(())
/// # }
/// ```
///
/// # What can be lost
/// Redis answers from its memory. How much of it a crash can take is set there:
///
/// | setting | what a crash of Redis or its machine can take |
/// |---|---|
/// | `appendonly no` | everything since the last snapshot |
/// | `appendfsync everysec` | the last second or two |
/// | `appendfsync always` | nothing that was answered |
/// | a failover to a replica | what the replica did not have yet, unless [`OpenRedis::replicas`] are waited for |
///
/// A lost rotation heals itself: whoever holds a refresh token one generation ahead goes on from there. A lost approval
/// or redemption makes a user start again. A lost revocation lets a grant live on that was ended, which is the reason to
/// set `appendfsync always` or to wait for replicas. Both together still lose what was acknowledged by a replica that is
/// not the one that a failover promotes.
///
/// After a failover the URL has to lead to the new primary. A node that is still connected to the old one, now a replica,
/// finds out when it writes or finds nothing, and connects again; until then it reads there what that one has received.
///
/// # Expiry
/// Redis itself forgets a record an hour after its end: the earlier of the grant's end and, from its first refresh or
/// sweep on, the end of its refresh token's idle time. The hour is for clocks that differ; what is good and what is not
/// goes by the provider's clock alone. [Sweeping](crate::Provider::sweep_every) forgets records at their end, and drops
/// the entries of indexes that lead to nothing, which do not go by themselves.
///
/// # Cluster
/// Each script keeps to one hash slot, which is tested on a cluster of one node. The connection is to one node, so a
/// cluster of several is not supported.
#[derive(Clone)]
pub struct RedisStore(Arc<Inner>);

struct Inner {
    calls: Calls,
    names: Names,
    keys: Keys,
    to_note: ToNote,
    skew: Duration,
    cache: Arc<GrantCache>,
    _following: Following,
}

impl RedisStore {
    /// Opens `redis://[[user]:password@]host[:port][/database]` with connections of the store's own. One that is lost is
    /// made again, and so is one to a primary that became a replica: after a failover the URL has to lead to the new
    /// primary.
    ///
    /// `rediss://` needs one of the features of the crate `redis` for TLS on tokio, such as `tokio-rustls-comp`: add it to
    /// your own dependencies.
    ///
    /// The future fails if Redis cannot be reached, is a replica, or may drop grants when its memory is full: its
    /// `maxmemory-policy` has to be `noeviction`.
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), tower_oauth::DatabaseError> {
    /// use tower_oauth::RedisStore;
    ///
    /// let store = RedisStore::connect("redis://127.0.0.1/").prefix("shift:").replicas(1).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// Waited for outside a tokio runtime.
    pub fn connect(url: impl AsRef<str>) -> OpenRedis {
        OpenRedis::url(url.as_ref())
    }

    /// Uses a connection of the app's own. Its timeouts are the app's: after half a second without an answer there is an
    /// error, unless it was made with another `response_timeout`.
    ///
    /// Whoever waits for [`replicas`](OpenRedis::replicas) holds up all others on the same connection, so that a
    /// connection for this store alone is better then. If it leads to a replica one day, the store closes it, so that it
    /// is made again.
    pub fn from_manager(manager: ConnectionManager) -> OpenRedis {
        OpenRedis::manager(manager)
    }

    /// Lets providers of this issuer start without the secrets that signed tokens so far: after a leak, when these
    /// tokens have to end. Providers that run go on.
    ///
    /// # Errors
    /// If Redis cannot answer.
    pub async fn forget_keys(&self, issuer: impl Into<Issuer>) -> Result<(), DatabaseError> {
        let issuer = issuer.into();
        self.forget_keys_of(&issuer, |_| true).await?;
        self.0.keys.forget(&issuer, |_| true);
        Ok(())
    }

    /// Notes the keys that sign from now on, before a handle is good that one of them made. There are some at the start.
    async fn note_keys(&self) -> Result<(), DatabaseError> {
        let Inner { calls, names, to_note, .. } = &*self.0;
        let note = async |keys: Vec<Signing>| {
            calls.send(|_| all(keys.iter().map(|key| keys::note(names, key)))).await.map(drop)
        };
        to_note.note(note).await
    }
}

impl GrantStore for RedisStore {
    type Error = DatabaseError;

    async fn create(&self, grant: Grant) -> Result<(), DatabaseError> {
        self.note_keys().await?;
        self.0.calls.send(|form| all(rows::create(&self.0.names, &grant, form))).await.map(drop)
    }

    async fn find(&self, key: GrantKey) -> Result<Option<Arc<Grant>>, DatabaseError> {
        let find = rows::find(&self.0.names, key);
        rows::read(key, self.0.calls.send(|_| all([find.clone()])).await?.last())
    }

    async fn redeem(&self, key: GrantKey, step: Redemption) -> Result<Verdict, DatabaseError> {
        let _changing = self.0.cache.changing(Which::One(key));
        self.note_keys().await?;
        let mut answer =
            self.0.calls.send_durably(|form| all([steps::redeem(&self.0.names, key, &step, form)])).await?;
        let verdict = answer.verdict(key, Outcome::Replayed, (step.now, RevocationReason::CodeReuse))?;
        match verdict.outcome {
            Outcome::Redeemed | Outcome::Replayed => answer.acknowledged.map(|()| verdict),
            _ => Ok(verdict),
        }
    }

    async fn rotate(&self, key: GrantKey, step: Rotation) -> Result<Verdict, DatabaseError> {
        let _changing = self.0.cache.changing(Which::One(key));
        self.note_keys().await?;
        let Inner { calls, names, .. } = &*self.0;
        if let Some(next) = &step.next
            && calls.send(|form| all([steps::advance(names, &step, next, form)])).await?.done()?
        {
            return Ok(Verdict::new(Outcome::Rotated, Arc::clone(next)));
        }
        let mut answer = calls.send(|form| all([steps::rotate(names, key, &step, form)])).await?;
        let verdict = answer.verdict(key, Outcome::Replayed, (step.now, RevocationReason::RefreshReuse))?;
        if verdict.outcome == Outcome::Replayed {
            // It has ended the grant.
            calls.settle().await?;
        }
        Ok(verdict)
    }

    async fn revoke(&self, key: GrantKey, step: Revocation) -> Result<Verdict, DatabaseError> {
        let _changing = self.0.cache.changing(Which::One(key));
        let revoke = |form| all([steps::revoke(&self.0.names, key, &step, None, form)]);
        let mut answer = self.0.calls.send_durably(revoke).await?;
        let verdict = answer.verdict(key, Outcome::Revoked, (step.now, step.reason))?;
        match verdict.outcome {
            Outcome::Revoked => answer.acknowledged.map(|()| verdict),
            // Whoever asks again after an error is told that it is revoked only if that is safe now.
            Outcome::Refused(Refused::Revoked) => self.0.calls.settle().await.map(|()| verdict),
            _ => Ok(verdict),
        }
    }

    async fn revoke_all(
        &self,
        issuer: &Issuer,
        holder: &Holder,
        reason: RevocationReason,
        now: UnixTime,
    ) -> Result<usize, DatabaseError> {
        let _changing = self.0.cache.changing(Which::Of(issuer, holder));
        let (issuer, client) = (issuer.clone(), holder.client().cloned());
        self.end_all(holder, &Revocation { issuer, client, secret: None, token: None, reason, now }).await
    }

    async fn grants(&self, issuer: &Issuer, holder: &Holder) -> Result<Vec<Arc<Grant>>, DatabaseError> {
        self.held(issuer, holder).await
    }

    async fn once(&self, key: OnceKey, until: UnixTime, now: UnixTime) -> Result<bool, DatabaseError> {
        let asks = random::<16>();
        let see = |form| {
            let mut call = ONCE.on(form, &[&self.0.names.once(&key)]);
            call.arg(until.as_signed()).arg(now.as_signed()).arg(rows::lifetime(until.since(now))).arg(&asks);
            all([call])
        };
        self.0.calls.send_durably(see).await?.done()
    }

    async fn sweep(&self, issuer: &Issuer, now: UnixTime, idle: Duration) -> Result<usize, DatabaseError> {
        let _changing = self.0.cache.changing(Which::Over(issuer, now, idle));
        let swept = self.sweep_grants(issuer, now, idle).await?;
        self.sweep_revoked(issuer, now).await?;
        self.sweep_clients(issuer, now).await?;
        self.sweep_keys(issuer, now, idle).await?;
        Ok(swept)
    }

    fn keeps_documents(&self) -> bool {
        true
    }

    async fn document(&self, issuer: &Issuer, name: &str) -> Result<Option<Vec<u8>>, DatabaseError> {
        self.find_document(issuer, name).await
    }

    async fn replace_document(
        &self,
        issuer: &Issuer,
        name: &str,
        old: Option<&[u8]>,
        new: &[u8],
    ) -> Result<bool, DatabaseError> {
        self.replace_document_of(issuer, name, old, new).await
    }

    fn keeps_revocations(&self) -> bool {
        true
    }

    async fn revocations(&self, issuer: &Issuer, now: UnixTime) -> Result<Vec<RevokedTokens>, DatabaseError> {
        self.find_revoked(issuer, now).await
    }

    fn cached(&self, key: GrantKey) -> Option<Arc<Grant>> {
        self.0.cache.cached(key)
    }

    async fn load(&self, key: GrantKey) -> Result<Option<Arc<Grant>>, DatabaseError> {
        self.0.cache.load(key, || self.find(key)).await
    }

    fn use_keys(&self, issuer: &Issuer, ids: &[[u8; 4]], now: UnixTime) -> Result<(), DatabaseError> {
        if let Some(id) = self.0.keys.start(issuer, ids)? {
            self.0.to_note.add((issuer.clone(), id, now));
        }
        Ok(())
    }

    fn clock_skew(&self) -> Option<Duration> {
        Some(self.0.skew)
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { names, calls, .. } = &*self.0;
        f.debug_struct("RedisStore")
            .field("prefix", &names.prefix())
            .field("replicas", &calls.replicas)
            .finish_non_exhaustive()
    }
}
