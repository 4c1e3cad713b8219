//! Without the feature `jwt` nobody looks at a proof.

use std::convert::Infallible;

use super::Provider;
use crate::error::{ProtocolError, StoreError};
use crate::types::Thumbprint;

/// It cannot be made.
pub(crate) struct Proven {
    pub(crate) key: Thumbprint,
    never: Infallible,
}

impl Provider {
    pub(crate) const fn prove(&self, _: &str, _: &str) -> Result<Proven, ProtocolError> {
        Err(ProtocolError::DPOP_PROOF_MALFORMED)
    }

    pub(crate) async fn is_first_use_of(&self, proven: &Proven) -> Result<bool, StoreError> {
        match proven.never {}
    }

    pub(crate) const fn dpop_nonce(&self) -> Option<String> {
        None
    }
}
