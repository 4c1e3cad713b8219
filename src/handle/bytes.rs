//! The bytes of a handle, and its text.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::TAG;
use crate::types::{Thumbprint, UnixTime};

pub(super) const fn encoded(bytes: usize) -> usize {
    (bytes * 8).div_ceil(6)
}

/// Whether `text`, of the length that `raw` has encoded, is the one spelling of what is then in `raw`. Every check of a
/// token decodes, and this decoder saves a tenth of all that such a check computes.
#[inline]
pub(super) fn decode(text: &str, raw: &mut [u8]) -> bool {
    base64_simd::URL_SAFE_NO_PAD.decode(text.as_bytes(), base64_simd::Out::from_slice(raw)).is_ok()
}

/// The first half of a digest.
#[inline]
pub(super) fn half(digest: &[u8; 32]) -> [u8; 16] {
    *digest.first_chunk().expect("a digest has 32 bytes")
}

/// In constant time. Two numbers and not two slices, which `subtle` compares byte by byte.
#[inline]
pub(super) fn same(a: &[u8; TAG], b: &[u8; TAG]) -> bool {
    u128::from_ne_bytes(*a).ct_eq(&u128::from_ne_bytes(*b)).into()
}

/// Each part goes in behind its length, so that no two lists of parts look alike.
pub(super) fn form_mac(key: &Hmac<Sha256>, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = key.clone();
    for part in parts {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

pub(super) fn long_mac(key: &Hmac<Sha256>, said: &[u8]) -> [u8; 32] {
    key.clone().chain_update(said).finalize().into_bytes().into()
}

pub(super) fn seal<const RAW: usize>(prefix: &str, mut raw: [u8; RAW], mac: impl FnOnce(&[u8]) -> [u8; 32]) -> String {
    let (said, tag) = raw.split_at_mut(RAW - TAG);
    tag.copy_from_slice(&half(&mac(said)));
    let mut text = String::with_capacity(prefix.len() + encoded(RAW));
    text.push_str(prefix);
    URL_SAFE_NO_PAD.encode_string(raw, &mut text);
    text
}

/// Fills a buffer from its start.
pub(super) struct Writer<'a>(pub(super) &'a mut [u8]);

impl Writer<'_> {
    #[inline]
    pub(super) fn put(self, bytes: &[u8]) -> Self {
        let (here, rest) = self.0.split_at_mut(bytes.len());
        here.copy_from_slice(bytes);
        Writer(rest)
    }
}

/// Takes fields from the start of a buffer that is known to be long enough.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl Reader<'_> {
    #[inline]
    pub(super) fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_first_chunk().expect("the layout of a handle is fixed");
        self.0 = rest;
        *field
    }

    #[inline]
    pub(super) fn take_seconds(&mut self) -> UnixTime {
        let [a, b, c, d, e] = self.take();
        UnixTime::from_secs(u64::from_be_bytes([0, 0, 0, a, b, c, d, e]))
    }

    /// What a bound handle has before its tag.
    #[inline]
    pub(super) fn take_key(&mut self) -> Option<Thumbprint> {
        (self.0.len() > TAG).then(|| Thumbprint::from_bytes(self.take()))
    }
}
