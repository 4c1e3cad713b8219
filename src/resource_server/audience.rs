//! That a token is for what lies here ([RFC 9068 §4](https://www.rfc-editor.org/rfc/rfc9068#section-4)).

use crate::bearer::{Authorized, Refusal};
use crate::error::ProtocolError;
use crate::types::Resource;

/// Refuses what is for others, where the layer would not: it was not told what lies behind it, so that is what the
/// verifier is for.
pub(super) fn here(
    verdict: Result<Authorized, Refusal>,
    layer: Option<&Resource>,
    own: &Resource,
) -> Result<Authorized, Refusal> {
    match verdict {
        Ok(token) if layer.is_none() && !token.is_for(own) => {
            Err(Refusal::Refused(ProtocolError::TOKEN_FOR_ANOTHER_RESOURCE))
        }
        verdict => verdict,
    }
}
