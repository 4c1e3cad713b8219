//! What the proofs of clients are checked against.

use std::sync::Arc;

use super::Provider;
use crate::dpop::{Nonces, Presented, Proof, SingleUse};
use crate::error::{ProtocolError, StoreError};
use crate::store::OnceKey;
use crate::types::{Thumbprint, UnixTime};

/// A key that the client of a request has proved to have ([RFC 9449 §4](https://www.rfc-editor.org/rfc/rfc9449#section-4)).
pub(crate) struct Proven {
    pub(crate) key: Thumbprint,
    once: OnceKey,
    until: UnixTime,
}

impl Provider {
    /// The key that a POST to one of this provider's own paths proves.
    pub(crate) fn prove(&self, proof: &str, path: &str) -> Result<Proven, ProtocolError> {
        let request = Presented {
            method: "POST",
            uri: &self.0.config.url(path),
            token: None,
            nonces: self.0.dpop_nonces.as_deref(),
            now: self.now(),
        };
        let proof = Proof::read(proof, &request)?;
        let key = proof.key();
        let SingleUse { value, until } = proof.verify()?;
        Ok(Proven { key, once: self.once_of_proof(&value), until })
    }

    /// What stands in the store for a proof.
    pub(crate) fn once_of_proof(&self, value: &[u8]) -> OnceKey {
        OnceKey::new(&self.0.config.issuer, "dpop proof", value)
    }

    /// Whether a proof was never used before, and is noted now, for all nodes.
    pub(crate) async fn is_first_use_of(&self, proven: &Proven) -> Result<bool, StoreError> {
        self.is_first(proven.once, proven.until).await
    }

    /// The same by what stands in the store for it.
    pub(crate) async fn is_first(&self, once: OnceKey, until: UnixTime) -> Result<bool, StoreError> {
        self.0.grants.once(once, until, self.now()).await
    }

    /// The nonce that a proof needs next, if it needs one.
    pub(crate) fn dpop_nonce(&self) -> Option<String> {
        self.0.dpop_nonces.as_ref().map(|nonces| nonces.current(self.now()))
    }

    /// Those of which a proof has to have one.
    pub(crate) fn dpop_nonces(&self) -> Option<Arc<Nonces>> {
        self.0.dpop_nonces.clone()
    }
}
