//! What is known of tokens: so many at most, each for its time.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use crate::types::UnixTime;

/// How many can be in one set.
const WAYS: usize = 8;

/// How much of a key is hashed, from its end. Of a JWT that is of its signature, so that no more has to be read to tell
/// one from another, and whoever gets to the comparison of the rest already has a good one's end.
const HASHED: usize = 32;

/// Each key has one small set where it can be, with a lock of its own. In a set that is full, the one that was asked for
/// longest ago makes room.
pub(super) struct Cache<T> {
    sets: Box<[RwLock<Vec<Entry<T>>>]>,
    state: RandomState,
}

struct Entry<T> {
    hash: u64,
    key: Box<[u8]>,
    value: T,
    until: UnixTime,
    /// When it was last asked for, in seconds.
    asked_for: AtomicU64,
}

impl<T: Clone> Cache<T> {
    /// One for about so many, rounded up to whole sets; for none it keeps nothing.
    pub(super) fn new(most: usize) -> Self {
        let sets = (0..most.div_ceil(WAYS)).map(|_| RwLock::default()).collect();
        Self { sets, state: RandomState::new() }
    }

    pub(super) fn get(&self, key: &[u8], now: UnixTime) -> Option<T> {
        let hash = self.hash(key);
        let set = self.set(hash)?.read().unwrap_or_else(PoisonError::into_inner);
        let entry = set.iter().find(|entry| entry.is(hash, key) && now < entry.until)?;
        // Written once a second: whoever writes takes it from the other processors.
        if entry.asked_for.load(Ordering::Relaxed) != now.as_secs() {
            entry.asked_for.store(now.as_secs(), Ordering::Relaxed);
        }
        Some(entry.value.clone())
    }

    pub(super) fn insert(&self, key: &[u8], value: T, until: UnixTime, now: UnixTime) {
        let hash = self.hash(key);
        let Some(set) = self.set(hash) else { return };
        let mut set = set.write().unwrap_or_else(PoisonError::into_inner);
        set.retain(|entry| now < entry.until && !entry.is(hash, key));
        if set.len() == WAYS {
            let oldest = set.iter().enumerate().min_by_key(|(_, entry)| entry.asked_for.load(Ordering::Relaxed));
            if let Some((oldest, _)) = oldest {
                set.swap_remove(oldest);
            }
        }
        let asked_for = AtomicU64::new(now.as_secs());
        set.push(Entry { hash, key: key.into(), value, until, asked_for });
    }

    fn hash(&self, key: &[u8]) -> u64 {
        self.state.hash_one(&key[key.len().saturating_sub(HASHED)..])
    }

    fn set(&self, hash: u64) -> Option<&RwLock<Vec<Entry<T>>>> {
        // The high half of a product: even, and cheaper than a remainder.
        let place = (u128::from(hash) * self.sets.len() as u128) >> 64;
        self.sets.get(place as usize)
    }
}

impl<T> Entry<T> {
    fn is(&self, hash: u64, key: &[u8]) -> bool {
        self.hash == hash && *self.key == *key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::from_secs(seconds)
    }

    #[test]
    fn what_is_kept_is_there_until_its_time_and_for_its_whole_key_alone() {
        let cache = Cache::new(100);
        let key = [b'k'; 100];
        cache.insert(&key, "value", at(10), at(0));
        assert_eq!(cache.get(&key, at(9)), Some("value"));
        assert_eq!(cache.get(&key, at(10)), None);
        let mut other = key;
        other[0] = b'x';
        assert_eq!(cache.get(&other, at(9)), None, "it has the same end");
        assert_eq!(cache.get(&key[1..], at(9)), None);
        cache.insert(&key, "newer", at(20), at(0));
        assert_eq!(cache.get(&key, at(19)), Some("newer"));
    }

    #[test]
    fn there_are_never_more_than_was_said_and_what_is_used_stays() {
        let cache = Cache::new(WAYS);
        cache.insert(b"used", 0, at(1_000_000), at(0));
        for n in 1..=1_000_u64 {
            assert_eq!(cache.get(b"used", at(n)), Some(0));
            cache.insert(&n.to_be_bytes(), n, at(1_000_000), at(n));
        }
        let kept: usize = cache.sets.iter().map(|set| set.read().unwrap().len()).sum();
        assert_eq!(kept, WAYS);
        assert_eq!(cache.get(&1_000_u64.to_be_bytes(), at(1_001)), Some(1_000));
    }

    #[test]
    fn a_cache_for_none_keeps_nothing() {
        let cache = Cache::new(0);
        cache.insert(b"key", 0, at(10), at(0));
        assert_eq!(cache.get(b"key", at(0)), None);
    }
}
