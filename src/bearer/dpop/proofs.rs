use std::sync::Arc;

use http::{HeaderValue, Request};

use super::seen::Seen;
use crate::bearer::authorized::Authorized;
use crate::bearer::verify::{Answer, Refusal, Verification};
use crate::clock::Clock;
use crate::dpop::{Nonces, Presented, Proof, SingleUse};
use crate::error::ProtocolError;
use crate::http::{WholePath, dpop_proof};
use crate::provider::Provider;
use crate::span;
use crate::store::OnceKey;
use crate::types::{Issuer, Resource, UnixTime};

/// What the proofs of requests are checked against.
pub(in crate::bearer) struct Proofs {
    /// What others see before the path of a request.
    pub(super) base: String,
    /// Where that is before the path that this issuer's outermost layer saw, and not this one.
    pub(super) whole_path_of: Option<Issuer>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) seen: Seen,
    pub(super) nonces: Option<Arc<Nonces>>,
    /// Whether every token has to be bound.
    pub(super) required: bool,
}

/// A proof that is good but for its token, its signature and its second use.
pub(in crate::bearer) struct Read {
    proof: Proof,
    once: OnceKey,
    is_noted: bool,
}

/// Which proof an outer layer has looked at for this request, so that an inner one takes it for no second use.
#[derive(Clone)]
struct Noted(OnceKey);

impl Proofs {
    /// The ways in which a proof can be signed, as a challenge names them.
    pub(in crate::bearer) const ALGORITHMS: &str = "ES256 EdDSA RS256";

    /// Those of a provider's own layer in front of a resource; `None` if it looks at none.
    pub(in crate::bearer) fn of(provider: &Provider, resource: Option<&Resource>) -> Option<Self> {
        let config = &provider.0.config;
        config.takes_dpop().then(|| Self {
            base: config.public_base(resource),
            whole_path_of: Some(config.issuer.clone()),
            clock: provider.clock(),
            seen: Seen::Provider(provider.clone()),
            nonces: provider.dpop_nonces(),
            required: resource.is_some_and(|resource| config.needs_dpop(resource)),
        })
    }

    pub(in crate::bearer) const fn are_required(&self) -> bool {
        self.required
    }

    /// Reads the proof of a request, before anybody looks at its token, and lets the layers inside know of it.
    pub(in crate::bearer) fn read<B>(&self, request: &Request<B>, token: &str) -> Result<Read, ProtocolError> {
        let text = dpop_proof(request.headers())?.ok_or(ProtocolError::DPOP_PROOF_MISSING)?;
        let whole = self.whole_path_of.as_ref().and_then(|issuer| WholePath::of(request, issuer));
        let presented = Presented {
            method: request.method().as_str(),
            uri: &format!("{}{}", self.base, whole.unwrap_or(request.uri().path())),
            token: Some(token),
            nonces: self.nonces.as_deref(),
            now: self.now(),
        };
        let proof = Proof::read(text, &presented)?;
        let once = self.seen.key(&self.base, &proof.once().value);
        let is_noted = request.extensions().get::<Noted>().is_some_and(|noted| noted.0 == once);
        Ok(Read { proof, once, is_noted })
    }

    /// The verdict on a token, and then on the proof that came with it.
    pub(in crate::bearer) fn confirm(self: &Arc<Self>, read: Read, token: Verification) -> Answer {
        let this = Arc::clone(self);
        Answer::Later(Box::pin(span::carried(async move {
            let token = token.await?;
            this.prove(read, &token).await?;
            Ok(token.proven())
        })))
    }

    async fn prove(&self, read: Read, token: &Authorized) -> Result<(), Refusal> {
        let Read { proof, once, is_noted } = read;
        let key = token.key().ok_or(Refusal::Refused(ProtocolError::TOKEN_NOT_BOUND))?;
        if key != proof.key() {
            return Err(Refusal::Refused(ProtocolError::TOKEN_OF_ANOTHER_KEY));
        }
        let SingleUse { until, .. } = proof.verify().map_err(Refusal::Refused)?;
        if is_noted || self.seen.is_first(once, until, self.now()).await.map_err(Refusal::Unavailable)? {
            return Ok(());
        }
        Err(Refusal::Refused(ProtocolError::DPOP_PROOF_REPLAYED))
    }

    /// The nonce that a proof needs next, if it needs one.
    pub(in crate::bearer) fn nonce(&self) -> Option<HeaderValue> {
        HeaderValue::try_from(self.nonces.as_ref()?.current(self.now())).ok()
    }

    fn now(&self) -> UnixTime {
        self.clock.now().into()
    }
}

impl Read {
    /// Lets the layers inside know that this proof is of the request that they see.
    pub(in crate::bearer) fn note<B>(&self, request: &mut Request<B>) {
        request.extensions_mut().insert(Noted(self.once));
    }
}
