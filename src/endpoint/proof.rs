//! The proofs of keys that come with a form ([RFC 9449 §5](https://www.rfc-editor.org/rfc/rfc9449#section-5)).

use http::{HeaderMap, HeaderValue};

use crate::error::ProtocolError;
use crate::http::{DPOP_NONCE, Reply, dpop_proof};
use crate::provider::Provider;

/// The proof of a request, which is looked at once its client is known.
pub(super) type Sent = Result<Option<String>, ProtocolError>;

pub(super) fn sent(provider: &Provider, headers: &HeaderMap) -> Sent {
    if !provider.0.config.takes_dpop() {
        return Ok(None);
    }
    dpop_proof(headers).map(|proof| proof.map(str::to_owned))
}

/// Whoever sends proofs hears of the next nonce with every answer, which no cache keeps
/// ([§8.2](https://www.rfc-editor.org/rfc/rfc9449#section-8.2)).
pub(super) fn next_nonce(provider: &Provider, sent: &Sent) -> Option<HeaderValue> {
    let nonce = if matches!(sent, Ok(None)) { None } else { provider.dpop_nonce() };
    HeaderValue::try_from(nonce?).ok()
}

pub(super) fn with_nonce(mut reply: Reply, nonce: Option<HeaderValue>) -> Reply {
    if let Some(nonce) = nonce {
        reply.headers_mut().insert(DPOP_NONCE, nonce);
    }
    reply
}
