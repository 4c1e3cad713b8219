//! How grants' keys are hashed in memory.

use std::hash::{BuildHasher, Hasher};

/// A grant's key is a digest of what nobody can choose, so its first bytes are a good hash already.
#[derive(Clone, Copy, Default)]
pub(super) struct KeyState;

#[derive(Default)]
pub(super) struct KeyHasher(u64);

impl BuildHasher for KeyState {
    type Hasher = KeyHasher;

    fn build_hasher(&self) -> KeyHasher {
        KeyHasher::default()
    }
}

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
