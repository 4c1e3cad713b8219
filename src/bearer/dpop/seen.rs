use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::StoreError;
use crate::provider::Provider;
use crate::store::{DynGrants, OnceKey};
use crate::types::{Issuer, UnixTime};

/// Where it is kept which proofs were used.
pub(super) enum Seen {
    /// At a provider's own store.
    Provider(Provider),
    /// In a store that all nodes share.
    Store(Arc<dyn DynGrants>),
    /// In this process.
    Process(Arc<Memory>),
}

impl Seen {
    /// What stands there for a proof.
    pub(super) fn key(&self, base: &str, value: &[u8]) -> OnceKey {
        match self {
            Self::Provider(provider) => provider.once_of_proof(value),
            Self::Store(_) | Self::Process(_) => OnceKey::new(&Issuer::from(base), "dpop proof", value),
        }
    }

    /// Whether a proof is seen for the first time; it is noted now.
    pub(super) async fn is_first(&self, key: OnceKey, until: UnixTime, now: UnixTime) -> Result<bool, StoreError> {
        match self {
            Self::Provider(provider) => provider.is_first(key, until).await,
            Self::Store(store) => store.once(key, until, now).await,
            Self::Process(memory) => memory.is_first(key, until, now),
        }
    }
}

/// The proofs that this process has seen, each until nobody could take it any more.
#[derive(Default)]
pub(super) struct Memory(Mutex<Known>);

#[derive(Default)]
struct Known {
    until: HashMap<OnceKey, UnixTime>,
    /// How many there can be until those that are over are looked for.
    room: usize,
}

/// How many proofs are remembered. Each came with a good token and a good signature of its own, in the last minutes.
const MOST: usize = 1_000_000;
/// How many are remembered without a look at those that are over.
const FEW: usize = 1_024;

impl Memory {
    fn is_first(&self, key: OnceKey, until: UnixTime, now: UnixTime) -> Result<bool, StoreError> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.until.len() >= known.room.max(FEW) {
            known.until.retain(|_, until| now < *until);
            known.room = known.until.len() * 2;
        }
        if known.until.get(&key).is_some_and(|until| now < *until) {
            return Ok(false);
        }
        if known.until.len() >= MOST {
            return Err(StoreError::new("too many proofs came in the last minutes: share a store by `Dpop::store`"));
        }
        known.until.insert(key, until);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_makes_room() {
        let memory = Memory::default();
        let key = |number: u64| OnceKey::new(&Issuer::from("https://a.example"), "", &number.to_be_bytes());
        let at = UnixTime::from_secs;
        let mut most = 0;
        for number in 0..100 * FEW as u64 {
            let now = number / 10;
            assert!(memory.is_first(key(number), at(now + 100), at(now)).unwrap());
            assert!(!memory.is_first(key(number), at(now + 100), at(now + 99)).unwrap());
            most = most.max(memory.0.lock().unwrap().until.len());
        }
        assert!(most <= 2 * FEW, "{most} for 1,000 that are good");
        assert!(memory.is_first(key(0), at(20_000), at(19_999)).unwrap());
    }
}
