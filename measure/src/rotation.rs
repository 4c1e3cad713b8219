//! The step that a store is given when a refresh token is used: nothing but a provider makes one.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tower_oauth::{
    Grant, GrantKey, GrantStore, Holder, Issuer, MemoryStore, OnceKey, Redemption, RevocationReason, Rotation,
    UnixTime, Verdict, grant::Revocation,
};

use crate::flow::Site;

/// A rotation of generation 0, some day.
///
/// # Panics
/// If the library refuses to make one.
#[must_use]
pub fn rotation() -> Rotation {
    let seen = Seen::default();
    let mut site = Site::with(|builder| builder.secrets(tower_oauth::Secret::generate()).grants(seen.clone()));
    let refresh = site.connect("user").refresh;
    site.refresh(&refresh);
    let rotation = seen.rotation.lock().unwrap_or_else(PoisonError::into_inner).take();
    rotation.expect("a refresh is a rotation")
}

/// The same for a grant that was read, with what becomes of it, as a provider hands it to a store.
#[must_use]
pub fn of(step: &Rotation, grant: &Grant) -> Rotation {
    let (mut step, mut next) = (step.clone(), grant.clone());
    step.generation = grant.generation();
    next.rotate(&step);
    step.next = Some(Arc::new(next));
    step
}

#[derive(Clone, Default)]
struct Seen {
    memory: MemoryStore,
    rotation: Arc<Mutex<Option<Rotation>>>,
}

impl GrantStore for Seen {
    type Error = Infallible;

    async fn create(&self, grant: Grant) -> Result<(), Infallible> {
        self.memory.create(grant).await
    }

    async fn find(&self, key: GrantKey) -> Result<Option<Arc<Grant>>, Infallible> {
        self.memory.find(key).await
    }

    async fn redeem(&self, key: GrantKey, step: Redemption) -> Result<Verdict, Infallible> {
        self.memory.redeem(key, step).await
    }

    async fn rotate(&self, key: GrantKey, step: Rotation) -> Result<Verdict, Infallible> {
        *self.rotation.lock().unwrap_or_else(PoisonError::into_inner) = Some(step.clone());
        self.memory.rotate(key, step).await
    }

    async fn revoke(&self, key: GrantKey, step: Revocation) -> Result<Verdict, Infallible> {
        self.memory.revoke(key, step).await
    }

    async fn revoke_all(
        &self,
        issuer: &Issuer,
        holder: &Holder,
        reason: RevocationReason,
        now: UnixTime,
    ) -> Result<usize, Infallible> {
        self.memory.revoke_all(issuer, holder, reason, now).await
    }

    async fn grants(&self, issuer: &Issuer, holder: &Holder) -> Result<Vec<Arc<Grant>>, Infallible> {
        self.memory.grants(issuer, holder).await
    }

    async fn once(&self, key: OnceKey, until: UnixTime, now: UnixTime) -> Result<bool, Infallible> {
        self.memory.once(key, until, now).await
    }

    async fn sweep(&self, issuer: &Issuer, now: UnixTime, idle: Duration) -> Result<usize, Infallible> {
        self.memory.sweep(issuer, now, idle).await
    }
}
