//! The grants that a store has, and what their clients know of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use measure::{grant::redeemed, rotation};
use tokio::task::JoinSet;
use tower_oauth::{Grant, GrantKey, GrantStore, Outcome, Rotation};

use super::Problem;

/// What a client knows of its grant.
pub(super) struct Known {
    pub(super) key: GrantKey,
    /// As the provider reads it before each rotation.
    grant: Mutex<Arc<Grant>>,
}

impl Known {
    /// Uses its refresh token.
    pub(super) async fn rotate<S>(&self, store: &S, step: &Rotation) -> Result<(), Problem>
    where
        S: GrantStore<Error: Into<Problem>>,
    {
        let step = rotation::of(step, &self.grant());
        let verdict = store.rotate(self.key, step).await.map_err(Into::into)?;
        match verdict.outcome {
            Outcome::Rotated => *self.grant() = verdict.grant.ok_or("there is no record")?,
            other => return Err(format!("a rotation is {other:?}").into()),
        }
        Ok(())
    }

    /// Only one caller asks for it.
    fn grant(&self) -> MutexGuard<'_, Arc<Grant>> {
        self.grant.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every caller has grants of its own.
pub(super) struct Mine {
    pub(super) grants: Arc<[Known]>,
    pub(super) caller: usize,
    pub(super) callers: usize,
    pub(super) at: usize,
}

impl Mine {
    pub(super) fn next(&mut self) -> &Known {
        // A prime stride: each grant has its turn, and no two neighbours after each other.
        self.at += 7_919;
        let own = self.grants.len() / self.callers;
        &self.grants[self.at % own * self.callers + self.caller]
    }
}

/// Fills a store with grants of as many users, redeemed.
pub(super) async fn fill<S>(store: &S, count: usize, step: &Rotation) -> Result<Arc<[Known]>, Problem>
where
    S: GrantStore<Error: Into<Problem> + Send> + Clone,
{
    let mut running = JoinSet::new();
    let mut grants = Vec::with_capacity(count);
    for number in 0..count {
        let grant = Grant::from_record(redeemed(number, step, 1_800_000_000))?;
        grants.push(Known { key: grant.key(), grant: Mutex::new(Arc::new(grant.clone())) });
        let store = store.clone();
        running.spawn(async move { store.create(grant).await.map_err(Into::into) });
        while running.len() >= 256 {
            if let Some(created) = running.join_next().await {
                created??;
            }
        }
    }
    while let Some(created) = running.join_next().await {
        created??;
    }
    Ok(grants.into())
}
