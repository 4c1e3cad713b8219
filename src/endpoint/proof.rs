//! Endpoints whose requests may come with a proof of a key ([RFC 9449 §4](https://www.rfc-editor.org/rfc/rfc9449#section-4)).

use http::{HeaderMap, HeaderValue, Request};
use http_body::Body;

use super::leaf::form;
use crate::client::Client;
use crate::error::ProtocolError;
use crate::http::{DPOP_NONCE, Failure, Reply, dpop_proof};
use crate::provider::{Proven, Provider};
use crate::types::Params;

/// The proof of a request, which is looked at once its client is known.
pub(super) struct Sent(Result<Option<String>, ProtocolError>);

impl Sent {
    fn of(provider: &Provider, headers: &HeaderMap) -> Self {
        if !provider.0.config.takes_dpop() {
            return Self(Ok(None));
        }
        Self(dpop_proof(headers).map(|proof| proof.map(str::to_owned)))
    }

    /// The key that it proves, if there is one, for the endpoint at this path.
    pub(super) fn proven(self, provider: &Provider, path: &str) -> Result<Option<Proven>, ProtocolError> {
        self.0?.map(|proof| provider.prove(&proof, path)).transpose()
    }
}

/// A [form](form()) that may come with a proof.
pub(super) async fn form_with_proof<B, Fut>(
    provider: Provider,
    request: Request<B>,
    answer: impl FnOnce(Provider, Client, Params, Sent) -> Fut + Send + 'static,
) -> Reply
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    Fut: Future<Output = Result<Reply, Failure>> + Send + 'static,
{
    let sent = Sent::of(&provider, request.headers());
    // RFC 9449 §8.2: whoever sends proofs hears of the next nonce with every answer, which no cache keeps.
    let nonce = if matches!(sent.0, Ok(None)) { None } else { provider.dpop_nonce() };
    let mut reply = form(provider, request, |provider, client, params| answer(provider, client, params, sent)).await;
    if let Some(nonce) = nonce.and_then(|nonce| HeaderValue::try_from(nonce).ok()) {
        reply.headers_mut().insert(DPOP_NONCE, nonce);
    }
    reply
}
