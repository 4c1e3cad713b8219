use std::sync::Arc;

use super::ProviderBuilder;
use crate::client::Client;
use crate::config::ConfigError;
use crate::dpop::Nonces;
use crate::secret::Secrets;
use crate::types::{Issuer, Resource};

impl ProviderBuilder {
    /// Binds tokens to a key of their client where that proves to have it, with the header `DPoP`
    /// ([RFC 9449](https://www.rfc-editor.org/rfc/rfc9449)): whoever gets hold of such a token has nothing. By default
    /// the header is not looked at. See [`dpop`](crate::dpop).
    ///
    /// A client that proves nothing gets its tokens as before, unless it [always](Client::dpop_bound_access_tokens) does, or
    /// a resource [needs](crate::ProtectedResource::dpop_bound_access_tokens_required) it. This provider's own bearer layers
    /// take bound tokens with a proof, and all others as before.
    pub fn dpop(mut self) -> Self {
        self.dpop.on = true;
        self
    }

    /// Asks for a nonce of this provider's in every proof, at the token endpoint, beside requests that are pushed, and at
    /// its own bearer layers ([RFC 9449 §8](https://www.rfc-editor.org/rfc/rfc9449#section-8)): then nobody who had a
    /// client's key for a moment can make proofs for later. A client learns the nonce from its first refusal,
    /// `use_dpop_nonce`, and from the token endpoint's answers; one that does not look for it there can get nothing.
    ///
    /// A nonce is good for 2 to 4 minutes, at every node: nothing is kept of it.
    pub fn dpop_nonces(mut self) -> Self {
        self.dpop.nonces = true;
        self
    }

    pub(super) fn check_dpop(&self, wrong: &mut Vec<ConfigError>) {
        let mut unused = |is_set: bool, what: &str| {
            if is_set && !self.dpop.on {
                wrong.push(ConfigError::Dpop(format!(
                    "`{what}` is for proofs and nobody here looks at them: add `.dpop()`, or leave it out"
                )));
            }
        };
        unused(self.dpop.nonces, ".dpop_nonces()");
        let required = self.resources.iter().any(|resource| resource.dpop_required);
        unused(required, ".dpop_bound_access_tokens_required()");
    }

    /// Why a fixed client could get no token here.
    pub(super) fn cannot_prove(&self, client: &Client) -> Option<String> {
        (client.wants_bound_tokens() && !self.dpop.on)
            .then(|| "its tokens are always bound to a key and nobody here binds them: add `.dpop()`".to_owned())
    }

    /// The resources for which every token is bound: who names one again and does not say so takes nothing back.
    pub(super) fn dpop_required(&self) -> Vec<Resource> {
        let required = self.resources.iter().filter(|resource| resource.dpop_required);
        required.filter_map(|resource| resource.uri.parse().ok()).collect()
    }

    pub(super) fn nonces(&self, secrets: &Secrets, issuer: &Issuer) -> Option<Arc<Nonces>> {
        self.dpop.nonces.then(|| Arc::new(Nonces::new(secrets, issuer)))
    }
}
