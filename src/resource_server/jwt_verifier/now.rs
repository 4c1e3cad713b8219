//! Which of the documents that replace each other is the one that is good now: what every check of a known token looks at,
//! without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::types::UnixTime;

#[derive(Default)]
pub(super) struct Now {
    /// Of the last one that was read.
    generation: AtomicU64,
    /// When it was last asked whether that is still good, in seconds.
    looked_at: AtomicU64,
}

impl Now {
    /// The generation that is good now, if that was asked within this second.
    pub(super) fn looked_at(&self, now: UnixTime) -> Option<u64> {
        (self.looked_at.load(Ordering::Acquire) == now.as_secs()).then(|| self.generation())
    }

    pub(super) fn looked(&self, now: UnixTime) {
        self.looked_at.store(now.as_secs(), Ordering::Release);
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Another document was read. From then on no check goes by what was found by the one before it.
    pub(super) fn replaced(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }
}
