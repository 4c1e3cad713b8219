use http::{HeaderMap, HeaderName};

use crate::error::ProtocolError;

/// Where a proof stands ([RFC 9449 §4.1](https://www.rfc-editor.org/rfc/rfc9449#section-4.1)).
pub(crate) const DPOP: HeaderName = HeaderName::from_static("dpop");
/// Where a server says which nonce the next one needs (§8).
pub(crate) const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// The proof of a request, if it has one; of two nobody could say which is meant (§4.3).
pub(crate) fn dpop_proof(headers: &HeaderMap) -> Result<Option<&str>, ProtocolError> {
    let mut values = headers.get_all(DPOP).iter();
    let Some(proof) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(ProtocolError::DPOP_PROOF_REPEATED);
    }
    proof.to_str().map(Some).map_err(|_| ProtocolError::DPOP_PROOF_MALFORMED)
}
