//! What this node read of grants a moment ago, for the check of access tokens: no look-up of a grant goes over the
//! network twice within a few seconds.
//!
//! A grant that was revoked is never kept as alive. Whoever changes one calls [`GrantCache::changing`] before, and what
//! was kept of it is forgotten before the change is answered; what others change is [heard of](Following). Whoever loads
//! a grant leaves a mark in its place *before* asking the store, and forgetting takes the mark away: then what the store
//! answers is neither kept, nor given to those who ask from then on, since it may have been read before the change.
//!
//! Every entry ends a short time after its load *began*, whether or not anything was heard. So a check is never wrong
//! for longer than that, whatever is lost on the way.

mod listener;
mod shard;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::time::Instant;

pub(in crate::store) use self::listener::{Feed, Following};
use self::shard::{Place, Shard};
use super::DatabaseError;
use crate::grant::Grant;
use crate::handle::GrantKey;
use crate::store::Holder;
use crate::types::{Issuer, UnixTime};

/// How many grants are kept at most.
const MOST: usize = 100_000;
/// So many callers at once have a lock of their own.
const SHARDS: usize = 64;

/// What a load answers to all who share it.
type Answer = Result<Option<Arc<Grant>>, DatabaseError>;

/// The grants that were read a moment ago.
pub(in crate::store) struct GrantCache {
    lifetime: Duration,
    shards: [RwLock<Shard>; SHARDS],
    began: Instant,
    /// Until when nothing is known to be missed: nanoseconds from `began`.
    in_contact_until: AtomicU64,
}

impl GrantCache {
    /// For how long what was read is believed where nobody says otherwise; zero turns the cache off.
    pub(in crate::store) const LIFETIME: Duration = Duration::from_secs(5);

    /// What is longer is cut to this.
    const LONGEST: Duration = Duration::from_secs(3_600);

    pub(in crate::store) fn new(lifetime: Duration) -> Self {
        Self::of(lifetime, MOST)
    }

    fn of(lifetime: Duration, most: usize) -> Self {
        Self {
            lifetime: lifetime.min(Self::LONGEST),
            shards: std::array::from_fn(|_| RwLock::new(Shard::new(most.div_ceil(SHARDS)))),
            began: Instant::now(),
            in_contact_until: AtomicU64::new(0),
        }
    }

    /// How often the store is to be asked for what was revoked, so that contact is never lost without a reason.
    fn pace(&self) -> Option<Duration> {
        let often = (self.lifetime / 4).clamp(Duration::from_millis(50), Duration::from_secs(1));
        (!self.lifetime.is_zero()).then_some(often)
    }

    /// The grant, if it was read a moment ago and nothing was missed since.
    pub(in crate::store) fn cached(&self, key: GrantKey) -> Option<Arc<Grant>> {
        let now = Instant::now();
        if !self.is_in_contact(now) {
            return None;
        }
        self.read(key).known(key, now)
    }

    /// The grant as `find` reads it, which is asked once for all who load it meanwhile. What was read is kept, unless it
    /// is unknown, a code that waits, or was forgotten before it was there.
    pub(in crate::store) async fn load<F>(&self, key: GrantKey, find: impl FnOnce() -> F + Send) -> Answer
    where
        F: Future<Output = Answer> + Send,
    {
        let now = Instant::now();
        if !self.is_in_contact(now) {
            return find().await;
        }
        let (mark, flight) = match self.write(key).place(key, now) {
            Place::Known(grant) => return Ok(Some(grant)),
            Place::Loading(mark, flight) => (mark, flight),
        };
        let answer = flight.get_or_init(|| async {
            // Of whoever goes away here, the next who waits takes the place.
            let until = Instant::now() + self.lifetime;
            let answer = find().await;
            let grant = answer.as_ref().ok().and_then(Option::as_ref).filter(|grant| !grant.is_pending());
            self.write(key).settle(key, mark, grant.map(|grant| (Arc::clone(grant), until)));
            answer
        });
        answer.await.clone()
    }

    /// A grant changes as long as the answer lives. When it is dropped, whatever became of the change, the grant is
    /// forgotten.
    #[must_use = "the grant is forgotten when it is dropped"]
    pub(in crate::store) const fn changing<'a>(&'a self, which: Which<'a>) -> Changing<'a> {
        Changing(self, which)
    }

    /// Forgets a grant, and what is being loaded of it.
    pub(in crate::store) fn forget(&self, which: Which<'_>) {
        match which {
            Which::One(key) => self.write(key).forget(key),
            Which::Of(issuer, holder) => self.forget_where(|grant| grant.issuer() == issuer && holder.holds(grant)),
            Which::Over(issuer, now, idle) => {
                self.forget_where(|grant| grant.issuer() == issuer && grant.is_over(now, idle));
            }
            Which::All => self.forget_where(|_| true),
        }
    }

    /// What is being loaded may be one of them.
    fn forget_where(&self, meant: impl Fn(&Grant) -> bool) {
        for shard in &self.shards {
            shard.write().unwrap_or_else(PoisonError::into_inner).forget_where(&meant);
        }
    }

    /// Nothing that was revoked up to `moment` is missed.
    fn heard(&self, moment: Instant) {
        let until = (moment + self.lifetime).saturating_duration_since(self.began);
        let until = u64::try_from(until.as_nanos()).unwrap_or(u64::MAX);
        if !self.is_in_contact(moment) {
            self.forget(Which::All);
        }
        self.in_contact_until.fetch_max(until, Ordering::AcqRel);
    }

    fn is_in_contact(&self, now: Instant) -> bool {
        let until = Duration::from_nanos(self.in_contact_until.load(Ordering::Acquire));
        now.saturating_duration_since(self.began) < until
    }

    fn read(&self, key: GrantKey) -> RwLockReadGuard<'_, Shard> {
        self.shard(key).read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, key: GrantKey) -> RwLockWriteGuard<'_, Shard> {
        self.shard(key).write().unwrap_or_else(PoisonError::into_inner)
    }

    /// By the last byte: the first ones are its hash within the shard.
    fn shard(&self, key: GrantKey) -> &RwLock<Shard> {
        &self.shards[usize::from(key.as_bytes()[15]) % SHARDS]
    }
}

/// Which grants are meant.
#[derive(Clone, Copy)]
pub(in crate::store) enum Which<'a> {
    One(GrantKey),
    Of(&'a Issuer, &'a Holder),
    /// Those that nothing will come of ([`Grant::is_over`]).
    Over(&'a Issuer, UnixTime, Duration),
    All,
}

/// See [`GrantCache::changing`].
pub(in crate::store) struct Changing<'a>(&'a GrantCache, Which<'a>);

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        self.0.forget(self.1);
    }
}
