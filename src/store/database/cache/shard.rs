//! A part of the cache, behind one lock.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::Answer;
use crate::grant::Grant;
use crate::handle::GrantKey;
use crate::store::key_state::KeyState;

/// Where those meet who load one grant at once.
pub(super) type Flight = Arc<OnceCell<Answer>>;

pub(super) struct Shard {
    most: usize,
    entries: HashMap<GrantKey, Entry, KeyState>,
    /// The entries in the order in which they were made, and some that are gone.
    order: VecDeque<(GrantKey, u64)>,
    made: u64,
}

struct Entry {
    /// No two entries have the same.
    mark: u64,
    state: State,
}

enum State {
    Loading(Flight),
    Known(Arc<Grant>, Instant),
}

/// What whoever loads a grant finds in its place.
pub(super) enum Place {
    Known(Arc<Grant>),
    /// The mark of this load or of one that is under way.
    Loading(u64, Flight),
}

impl Shard {
    pub(super) fn new(most: usize) -> Self {
        Self { most, entries: HashMap::default(), order: VecDeque::new(), made: 0 }
    }

    pub(super) fn known(&self, key: GrantKey, now: Instant) -> Option<Arc<Grant>> {
        match &self.entries.get(&key)?.state {
            State::Known(grant, until) if now < *until => Some(Arc::clone(grant)),
            _ => None,
        }
    }

    pub(super) fn place(&mut self, key: GrantKey, now: Instant) -> Place {
        if let Some(grant) = self.known(key, now) {
            return Place::Known(grant);
        }
        if let Some(Entry { mark, state: State::Loading(flight) }) = self.entries.get(&key) {
            return Place::Loading(*mark, Arc::clone(flight));
        }
        self.make_room(now);
        self.made += 1;
        let flight = Flight::default();
        self.entries.insert(key, Entry { mark: self.made, state: State::Loading(Arc::clone(&flight)) });
        self.order.push_back((key, self.made));
        Place::Loading(self.made, flight)
    }

    /// A load has ended. What it read is kept only where its mark still stands.
    pub(super) fn settle(&mut self, key: GrantKey, mark: u64, read: Option<(Arc<Grant>, Instant)>) {
        let Some(entry) = self.entries.get_mut(&key).filter(|entry| entry.mark == mark) else { return };
        match read {
            Some((grant, until)) => entry.state = State::Known(grant, until),
            None => self.forget(key),
        }
    }

    pub(super) fn forget(&mut self, key: GrantKey) {
        self.entries.remove(&key);
    }

    pub(super) fn forget_where(&mut self, meant: impl Fn(&Grant) -> bool) {
        self.entries.retain(|_, entry| match &entry.state {
            State::Loading(_) => false,
            State::Known(grant, _) => !meant(grant),
        });
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Drops what is over, and of the rest the oldest where it is too much.
    fn make_room(&mut self, now: Instant) {
        while let Some((key, mark)) = self.order.front().copied() {
            let entry = self.entries.get(&key).filter(|entry| entry.mark == mark);
            let stays = entry.is_some_and(|entry| match entry.state {
                State::Loading(_) => true,
                State::Known(_, until) => now < until,
            });
            if stays && self.order.len() < self.most {
                return;
            }
            if entry.is_some() {
                self.entries.remove(&key);
            }
            self.order.pop_front();
        }
    }
}
