//! SHA-256 and HMAC-SHA-256 of messages that fit into one block, which is all that checking a token needs.
//!
//! The general types carry a buffer for messages of any length; filling, cloning and flushing it costs half as much
//! again as the hashing. Here the compression function of [`sha2`] is called on the padded block itself. It is the
//! same function: the tests compare every length with [`sha2`] and [`hmac`].

use sha2::block_api::compress256;

/// The longest message that leaves room for the padding.
pub(crate) const LONGEST: usize = BLOCK - 1 - 8;

const BLOCK: usize = 64;

type State = [u32; 8];

/// FIPS 180-4, §5.3.3.
const INITIAL: State =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

/// SHA-256 of a message of at most [`LONGEST`] bytes.
#[inline(always)]
pub(crate) fn sha256(message: &[u8]) -> [u8; 32] {
    finish(INITIAL, 0, message)
}

/// A key for HMAC-SHA-256 over messages of at most [`LONGEST`] bytes: both of its blocks are hashed already.
pub(crate) struct ShortHmac {
    inner: State,
    outer: State,
}

impl ShortHmac {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        let state = |pad| {
            let mut block = [pad; BLOCK];
            for (byte, key) in block.iter_mut().zip(key) {
                *byte ^= key;
            }
            let mut state = INITIAL;
            compress256(&mut state, &[block]);
            state
        };
        Self { inner: state(0x36), outer: state(0x5c) }
    }

    #[inline(always)]
    pub(crate) fn mac(&self, message: &[u8]) -> [u8; 32] {
        finish(self.outer, BLOCK, &finish(self.inner, BLOCK, message))
    }
}

/// Hashes the last block, `before` bytes after the first.
#[inline(always)]
fn finish(mut state: State, before: usize, message: &[u8]) -> [u8; 32] {
    let mut block = [0; BLOCK];
    block[..message.len()].copy_from_slice(message);
    block[message.len()] = 0x80;
    let bits = (before + message.len()) as u64 * 8;
    block[LONGEST + 1..].copy_from_slice(&bits.to_be_bytes());
    compress256(&mut state, &[block]);
    let mut digest = [0; 32];
    for (bytes, word) in digest.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    digest
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit, Mac};
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    use super::*;

    proptest! {
        #[test]
        fn every_length_hashes_as_the_general_functions_do(bytes: [u8; LONGEST], key: [u8; 32]) {
            let short = ShortHmac::new(&key);
            for length in 0..=LONGEST {
                let message = &bytes[..length];
                prop_assert_eq!(&sha256(message)[..], &Sha256::digest(message)[..]);
                let general = Hmac::<Sha256>::new_from_slice(&key).unwrap().chain_update(message).finalize();
                prop_assert_eq!(&short.mac(message)[..], &general.into_bytes()[..]);
            }
        }
    }
}
