//! What a node knows of the revocations of others.

use tokio::time::Instant;

use super::{GrantCache, Which};
use crate::handle::GrantKey;

/// Follows the revocations of one store, which count up one number: each is told, with its number, and the number is
/// asked for now and then. So whatever was not told is missed at the next question, and everything is forgotten.
#[derive(Default)]
pub(in crate::store) struct Listener {
    /// Everything up to this number was heard of; `None` before the first question.
    heard: Option<u64>,
}

/// A question that was asked at its time.
#[derive(Clone, Copy)]
pub(in crate::store) struct Question {
    at: Instant,
    heard: Option<u64>,
}

impl Listener {
    /// The revocation of this number was told; these are its grants, or any where there are too many to name.
    pub(in crate::store) fn told(&mut self, cache: &GrantCache, number: u64, ended: Option<&[GrantKey]>) {
        match ended {
            Some(keys) => keys.iter().for_each(|key| cache.forget(Which::One(*key))),
            None => cache.forget(Which::All),
        }
        if let Some(heard) = self.heard.filter(|heard| *heard < number) {
            if heard + 1 < number {
                cache.forget(Which::All);
            }
            self.heard = Some(number);
        }
    }

    /// Revocations may have been told while nobody listened.
    pub(in crate::store) const fn reconnected(&mut self) {
        self.heard = None;
    }

    /// Call it before the number is asked for.
    pub(in crate::store) fn asking(&self) -> Question {
        Question { at: Instant::now(), heard: self.heard }
    }

    /// The answer: the number of the last revocation.
    pub(in crate::store) fn answered(&mut self, cache: &GrantCache, question: Question, number: u64) {
        // While the answer was on its way, later ones may have been told.
        let complete = question.heard.is_some_and(|then| then <= number) && self.heard >= Some(number);
        if !complete {
            cache.forget(Which::All);
            self.heard = Some(number);
        }
        cache.heard(question.at);
    }
}
