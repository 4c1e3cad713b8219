//! What every store must pass.
//!
//! A [`GrantStore`] of one's own is right when [`check`] comes to its end. It fails with the name of the requirement
//! that the store does not meet:
//!
//! | requirement | what is asked of the store |
//! |---|---|
//! | `an unknown grant is unknown` | nothing is found, cached or changed under a key that was never created |
//! | `a grant is kept whole` | what was created is found again, field by field and byte by byte |
//! | `create is repeatable` | a second create under the same key changes nothing, whatever became of the grant |
//! | `steps follow the rules` | random steps end as [`Grant::redeem`], [`Grant::rotate`] and [`Grant::revoke`] say: the outcome, the record in the verdict, and the record that is found afterwards |
//! | `a refusal writes nothing` | a step that is refused leaves the whole record as it was |
//! | `cached says what find says` | [`GrantStore::cached`] answers nothing or the record that is found, and [`GrantStore::load`] the one that is found |
//! | `one redemption wins` | of many at once, one redeems; the others are refused, and without PKCE end the grant |
//! | `one rotation steps` | many at once make one step; the others get the same successor |
//! | `a rotation is of the record as it is` | where it comes with what the record becomes, [`Rotation::next`](crate::grant::Rotation::next), and the record has changed since that was read |
//! | `no update is lost` | different changes of one grant at once all stay |
//! | `a revoked grant stays revoked` | no create, redemption or rotation brings it back, before, during or after |
//! | `issuers are kept apart` | nothing reaches the grants of another issuer |
//! | `grants are found by their holder` | of a user, of a client, of a user at a client, and names compared byte by byte |
//! | `revoke_all ends all` | when it answers, every grant of the holder is dead and nobody else's; it counts the living |
//! | `once is once` | of many at once one is first, and again when its time has passed |
//! | `a document is kept` | found as it was kept, apart for each issuer and name, replaced only by who knows what it is; of many at once one replaces it. Not asked of a store that [keeps none](GrantStore::keeps_documents) |
//! | `revocations are kept` | whatever ends a grant or a token tells so until it has passed, from the end of that step on, also when the grant is forgotten; apart for each issuer. Not asked of a store that [keeps none](GrantStore::keeps_revocations) |
//! | `sweep forgets what is over` | exactly that, once, and every grant that lives is left alone |
//!
//! Whatever a requirement needs is created by it under names of its own, so the stores that `make` answers may keep
//! their records in one place, and beside others.
//!
//! A store that says the rules in a language of its own, such as SQL, has more ways to say them wrong: [`check_steps`]
//! takes as many random steps through it as one has time for. One that keeps clients and is a `ClientRegistry` has
//! `check_registry` to pass as well.
//!
//! ```
//! use tower_oauth::{MemoryStore, testing::contract};
//!
//! # /*
//! #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
//! # */
//! async fn my_store_keeps_the_contract() {
//!     contract::check(async || MemoryStore::new()).await;
//! }
//! # let mut runtime = tokio::runtime::Builder::new_multi_thread();
//! # runtime.worker_threads(4).build().unwrap().block_on(my_store_keeps_the_contract());
//! ```

mod alone;
mod documents;
mod races;
mod record;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
mod registry;
mod revocations;
mod walk;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::task::JoinSet;

use self::record::{IDLE, at, differences, redemption, seconds};
use super::{BoxError, GrantStore, Holder};
use crate::grant::{Grant, RevocationReason};
use crate::handle::GrantKey;
use crate::secret::random;
use crate::types::Issuer;

/// Checks everything that is asked of a store, each requirement with a store that `make` answers.
///
/// # Panics
/// With the name of the first requirement that is not met, or that could not be checked because the store answered an
/// error; and on a runtime of one thread, where no race would show itself.
pub async fn check<S: GrantStore>(make: impl AsyncFn() -> S) {
    check_from(u64::from_ne_bytes(random()), make).await;
}

/// The same with the random steps that an earlier failure named by their seed.
///
/// # Panics
/// As [`check`].
pub async fn check_from<S: GrantStore>(seed: u64, make: impl AsyncFn() -> S) {
    let threads = tokio::runtime::Handle::current().metrics().num_workers();
    assert!(threads >= 2, "the contract is checked on a runtime of at least two threads");
    let make = &make;
    let check = async |requirement| Check { requirement, seed, store: Arc::new(make().await) };
    alone::unknown_is_unknown(check("an unknown grant is unknown").await).await;
    alone::kept_whole(check("a grant is kept whole").await).await;
    alone::create_is_repeatable(check("create is repeatable").await).await;
    alone::steps_follow_the_rules(check("steps follow the rules").await).await;
    alone::rotated_as_it_is(check("a rotation is of the record as it is").await).await;
    alone::issuers_are_apart(check("issuers are kept apart").await).await;
    alone::found_by_their_holder(check("grants are found by their holder").await).await;
    alone::revoke_all_ends_all(check("revoke_all ends all").await).await;
    alone::sweep_forgets_what_is_over(check("sweep forgets what is over").await).await;
    documents::kept(check("a document is kept").await).await;
    revocations::kept(check("revocations are kept").await).await;
    races::once_is_once(check("once is once").await).await;
    races::one_redemption_wins(check("one redemption wins").await).await;
    races::one_rotation_steps(check("one rotation steps").await).await;
    races::no_update_is_lost(check("no update is lost").await).await;
    races::revoked_stays_revoked(check("a revoked grant stays revoked").await).await;
}

/// The requirement `steps follow the rules` for so many random steps, on many grants at once: what a store that says
/// the rules in a language of its own should pass for 250,000 of them.
///
/// # Panics
/// As [`check`].
pub async fn check_steps<S: GrantStore>(seed: u64, steps: usize, make: impl AsyncFn() -> S) {
    let check = Check { requirement: "steps follow the rules", seed, store: Arc::new(make().await) };
    alone::many_steps_follow_the_rules(check, steps).await;
}

/// What is asked of a store that keeps clients, under an issuer that nobody else has:
///
/// | requirement | what is asked of the store |
/// |---|---|
/// | `clients are kept` | created, found, changed and listed; one id once, and what could not work never |
/// | `changes of a client all stay` | of many at once |
/// | `a disabled client is unknown` | and its grants are ended, until it is enabled again, and then too |
/// | `a deleted client is gone` | with its grants, and its id is not given out again |
/// | `registrations are counted` | of many at once as many as there can be; the unused ones are forgotten in time |
///
/// # Panics
/// As [`check`].
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "redis"))]
pub async fn check_registry<S: GrantStore<Error = super::DatabaseError> + super::ClientRegistry>(
    make: impl AsyncFn() -> S,
) {
    let make = &make;
    let check = async |requirement| Check { requirement, seed: 0, store: Arc::new(make().await) };
    registry::clients_are_kept(check("clients are kept").await).await;
    registry::changes_all_stay(check("changes of a client all stay").await).await;
    registry::disabled_is_unknown(check("a disabled client is unknown").await).await;
    registry::deleted_is_gone(check("a deleted client is gone").await).await;
    registry::registrations_are_counted(check("registrations are counted").await).await;
}

/// One requirement, and the store that has to meet it.
struct Check<S> {
    requirement: &'static str,
    seed: u64,
    store: Arc<S>,
}

impl<S> Clone for Check<S> {
    fn clone(&self) -> Self {
        Self { requirement: self.requirement, seed: self.seed, store: Arc::clone(&self.store) }
    }
}

impl<S: GrantStore> Check<S> {
    /// The same store under another requirement.
    fn and(&self, requirement: &'static str) -> Self {
        Self { requirement, ..self.clone() }
    }

    #[track_caller]
    fn holds(&self, good: bool, what: impl fmt::Display) {
        assert!(good, "the store breaks the contract: {}: {what} (seed {})", self.requirement, self.seed);
    }

    #[track_caller]
    fn answered<T>(&self, answer: Result<T, S::Error>) -> T {
        answer.unwrap_or_else(|error| {
            let error: BoxError = error.into();
            self.holds(false, format_args!("the store answers an error: {error}"));
            unreachable!("it does not hold")
        })
    }

    #[track_caller]
    fn same(&self, found: Option<&Grant>, wanted: Option<&Grant>, what: impl fmt::Display) {
        match (found, wanted) {
            (None, None) => {}
            (Some(found), Some(wanted)) => {
                self.holds(found == wanted, format_args!("{what}: {}", differences(found, wanted)));
            }
            (None, Some(_)) => self.holds(false, format_args!("{what}: there is no record")),
            (Some(_), None) => self.holds(false, format_args!("{what}: there is a record")),
        }
    }

    /// What is found under a key; what is cached must be that, and is from now on where the store has a cache.
    async fn found(&self, key: GrantKey) -> Option<Arc<Grant>> {
        let found = self.answered(self.store.find(key).await);
        let check = self.and("cached says what find says");
        let (told, by) = match self.store.cached(key) {
            None => (check.answered(self.store.load(key).await), "load"),
            cached => (cached, "cached"),
        };
        check.same(told.as_deref(), found.as_deref(), by);
        found
    }

    async fn finds(&self, wanted: &Grant, what: impl fmt::Display) {
        self.same(self.found(wanted.key).await.as_deref(), Some(wanted), what);
    }

    async fn finds_none(&self, key: GrantKey, what: impl fmt::Display) {
        self.same(self.found(key).await.as_deref(), None, what);
    }

    async fn create(&self, grant: &Grant) {
        self.answered(self.store.create(grant.clone()).await);
    }

    /// Creates a grant and redeems its code.
    async fn redeemed(&self, mut grant: Grant) -> Grant {
        self.create(&grant).await;
        let step = redemption(&grant, 10);
        self.answered(self.store.redeem(grant.key, step.clone()).await);
        grant.redeem(&step);
        grant
    }

    async fn revoke_all(&self, issuer: &Issuer, holder: &Holder, now: i64) -> usize {
        self.answered(self.store.revoke_all(issuer, holder, RevocationReason::User, at(now)).await)
    }

    async fn sweep(&self, issuer: &Issuer, now: i64) -> usize {
        self.answered(self.store.sweep(issuer, at(now), seconds(IDLE)).await)
    }

    /// The keys of a holder's grants, in order; each record is the one that is found.
    async fn keys(&self, issuer: &Issuer, holder: &Holder) -> Vec<GrantKey> {
        let grants = self.answered(self.store.grants(issuer, holder).await);
        for grant in &grants {
            self.finds(grant, "find beside grants").await;
        }
        sorted(grants.iter().map(|grant| grant.key))
    }

    /// Runs what `task` makes so often at once, from one start, and answers what each answered.
    async fn at_once<T, F>(&self, count: u8, task: impl Fn(Self, u8) -> F) -> Vec<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let waiting = Arc::new(AtomicUsize::new(count.into()));
        // Dropped with a failure, and the others end too.
        let mut running = JoinSet::new();
        for racer in 0..count {
            let (waiting, task) = (Arc::clone(&waiting), task(self.clone(), racer));
            running.spawn(async move {
                waiting.fetch_sub(1, Ordering::SeqCst);
                while waiting.load(Ordering::SeqCst) > 0 {
                    tokio::task::yield_now().await;
                }
                task.await
            });
        }
        let mut answers = Vec::new();
        while let Some(answer) = running.join_next().await {
            match answer {
                Ok(answer) => answers.push(answer),
                Err(failed) => std::panic::resume_unwind(failed.into_panic()),
            }
        }
        answers
    }
}

fn sorted(keys: impl IntoIterator<Item = GrantKey>) -> Vec<GrantKey> {
    let mut keys: Vec<_> = keys.into_iter().collect();
    keys.sort();
    keys
}
