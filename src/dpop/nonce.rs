//! Nonces that no server keeps ([RFC 9449 §8](https://www.rfc-editor.org/rfc/rfc9449#section-8)).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

use crate::mac::ShortHmac;
use crate::secret::{Secret, Secrets};
use crate::types::{Issuer, UnixTime};

/// How long one nonce is given out, in seconds; for as long again it is taken.
const SLOT: u64 = 120;

/// A nonce is the tag over the number of its time slot, so that every node knows those of all others.
pub(crate) struct Nonces(Vec<ShortHmac>);

impl Nonces {
    /// Those of an issuer, or of whoever shares these secrets under its name.
    pub(crate) fn new(secrets: &Secrets, issuer: &Issuer) -> Self {
        let key = |secret: &Secret| ShortHmac::new(&secret.derive("dpop nonce", issuer));
        Self(secrets.iter().map(key).collect())
    }

    /// The one that is given out now.
    pub(crate) fn current(&self, now: UnixTime) -> String {
        nonce(&self.0[0], now.as_secs() / SLOT)
    }

    /// Whether it is the one that is given out now, or was until then.
    pub(crate) fn has(&self, text: &str, now: UnixTime) -> bool {
        let slot = now.as_secs() / SLOT;
        let slots = [slot, slot.saturating_sub(1)];
        let mut all = self.0.iter().flat_map(|key| slots.map(|slot| nonce(key, slot)));
        all.any(|nonce| nonce.as_bytes().ct_eq(text.as_bytes()).into())
    }
}

fn nonce(key: &ShortHmac, slot: u64) -> String {
    URL_SAFE_NO_PAD.encode(&key.mac(&slot.to_be_bytes())[..16])
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nonces").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nonces(secrets: impl IntoIterator<Item = u8>) -> Nonces {
        let secrets = secrets.into_iter().map(|byte| Secret::from_bytes([byte; 32])).collect();
        Nonces::new(&secrets, &"https://a.example".into())
    }

    /// RFC 9449 §8: unpredictable, recent, and known to every node
    #[test]
    fn a_nonce_is_good_in_its_slot_and_in_the_next_one() {
        let at = UnixTime::from_secs;
        let (ours, start) = (nonces([1]), 1_800_000_000);
        let nonce = ours.current(at(start));
        assert_eq!((nonce.len(), ours.current(at(start + SLOT - 1))), (22, nonce.clone()));
        assert_ne!(ours.current(at(start + SLOT)), nonce);
        for (second, good) in [(0, true), (2 * SLOT - 1, true), (2 * SLOT, false)] {
            assert_eq!(nonces([1]).has(&nonce, at(start + second)), good, "after {second} s");
        }
        assert!(!ours.has(&nonce, at(start - 1)), "a nonce of the future was given out by nobody");
        assert!(!ours.has("", at(start)) && !ours.has(&nonce[1..], at(start)));
    }

    #[test]
    fn a_nonce_outlives_the_move_of_its_secret_and_no_other_issuer_has_it() {
        let now = UnixTime::from_secs(1_800_000_000);
        let nonce = nonces([1]).current(now);
        assert!(nonces([2, 1]).has(&nonce, now) && !nonces([2]).has(&nonce, now));
        assert_ne!(nonces([2, 1]).current(now), nonce);
        let secrets = Secrets::from(Secret::from_bytes([1; 32]));
        assert!(!Nonces::new(&secrets, &"https://b.example".into()).has(&nonce, now));
        assert_eq!(format!("{:?}", nonces([1])), "Nonces { .. }");
    }
}
