mod proofs;
mod seen;

use std::fmt;
use std::sync::Arc;

use self::seen::{Memory, Seen};
use super::layer::BearerLayer;
use crate::clock::{Clock, SystemClock};
use crate::dpop::Nonces;
use crate::secret::Secrets;
use crate::store::{DynGrants, GrantStore};
use crate::types::normalized_target;

pub(super) use self::proofs::Proofs;

/// How a [bearer layer](BearerLayer::dpop) takes tokens that are bound to a key of their client
/// ([RFC 9449 §7](https://www.rfc-editor.org/rfc/rfc9449#section-7)): by the scheme `DPoP`, and with a proof in the header
/// `DPoP` that was made for this one request. See [`dpop`](crate::dpop).
///
/// ```
/// # use std::convert::Infallible;
/// # use bytes::Bytes;
/// # use http::{Request, Response};
/// # struct MyClient;
/// # impl tower_oauth::Fetch for MyClient {
/// #     type Error = Infallible;
/// #     async fn fetch(&self, _request: Request<Bytes>) -> Result<Response<Bytes>, Infallible> {
/// #         Ok(Response::new(Bytes::new()))
/// #     }
/// # }
/// use tower_oauth::{Dpop, JwtVerifier};
///
/// let verifier = JwtVerifier::builder("https://api.example.com/v1")
///     .issuer("https://shift.example")
///     .fetch(MyClient)
///     .build()?;
/// let layer = verifier.bearer().dpop(Dpop::at("https://api.example.com"));
/// # Ok::<_, tower_oauth::ConfigErrors>(())
/// ```
///
/// Clones share what they remember.
#[must_use]
#[derive(Clone)]
pub struct Dpop {
    base: String,
    clock: Option<Arc<dyn Clock>>,
    store: Option<Arc<dyn DynGrants>>,
    memory: Arc<Memory>,
    nonces: Option<Arc<Nonces>>,
    required: bool,
}

impl Dpop {
    /// What others see before the path that the layer sees: the origin, such as `https://api.example.com`, and behind it
    /// what a router or a proxy takes off the front, as axum's `nest("/v1", ..)` does with `/v1`. A proof has to be for that
    /// URL, whatever the `Host` header says.
    ///
    /// # Panics
    /// If it is no such URL, at the line of this call.
    #[track_caller]
    pub fn at(base: impl Into<String>) -> Self {
        let base = base.into();
        let base = base.trim_end_matches('/').to_owned();
        let is_good = normalized_target(&base).is_some() && !base.contains(['?', '#']);
        assert!(is_good, "`{base}` is not what stands before a path: write `https://host`, or `https://host/prefix`");
        Self { base, clock: None, store: None, memory: Arc::default(), nonces: None, required: false }
    }

    /// Keeps in a store which proofs were used, so that none is good at two nodes. By default a provider's own layer has its
    /// provider's, and of others each process remembers its own, a million at most, in the last minutes: then one that
    /// somebody else gets hold of is good once more, for a minute, at every other process. What is over goes when a provider
    /// sweeps that store.
    pub fn store(mut self, store: impl GrantStore) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Asks for a nonce in every proof ([RFC 9449 §9](https://www.rfc-editor.org/rfc/rfc9449#section-9)), made under
    /// secrets that all nodes share; it is good for 2 to 4 minutes. By default a proof needs none.
    pub fn nonces(mut self, secrets: impl Into<Secrets>) -> Self {
        // Clients keep one for each origin.
        let origin = normalized_target(&self.base).unwrap_or_default();
        let origin = origin.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        self.nonces = Some(Arc::new(Nonces::new(&secrets.into(), &origin.into())));
        self
    }

    /// Takes no token that is bound to no key. By default such a one is good as `Bearer`.
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// What time it is; for tests.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Where a provider's own layer stands, and what it asks for beside what that provider does.
    fn proofs(self, own: Option<Proofs>) -> Proofs {
        let alone = |memory| Proofs {
            base: String::new(),
            whole_path_of: None,
            clock: Arc::new(SystemClock),
            seen: Seen::Process(memory),
            nonces: None,
            required: false,
        };
        let own = own.unwrap_or_else(|| alone(self.memory));
        Proofs {
            base: self.base,
            whole_path_of: None,
            clock: self.clock.unwrap_or(own.clock),
            seen: self.store.map_or(own.seen, Seen::Store),
            nonces: self.nonces.or(own.nonces),
            required: self.required || own.required,
        }
    }
}

impl<R> BearerLayer<R> {
    /// Takes tokens that are bound to a key of their client, with a proof; without this they are refused, since nobody here
    /// could tell whose they are. Tokens that are bound to none are taken as before.
    ///
    /// A provider's own layer does so by itself where the provider [looks at proofs](crate::ProviderBuilder::dpop). It needs
    /// this below a router that takes the front off the path, if no [`Provider::layer`](crate::Provider::layer) is outside,
    /// and behind [`resource`](Self::resource). Then this says where the layer stands; the provider's store, its clock and
    /// its nonces stay, unless others are given here, and so does whether its resource
    /// [needs](crate::ProtectedResource::dpop_bound_access_tokens_required) a key.
    pub fn dpop(mut self, dpop: Dpop) -> Self {
        let rules = self.rules();
        let own = rules.provider.as_ref().and_then(|provider| Proofs::of(provider, rules.resource.as_ref()));
        rules.proofs = Some(Arc::new(dpop.proofs(own)));
        self
    }
}

impl fmt::Debug for Dpop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dpop").field("base", &self.base).field("required", &self.required).finish_non_exhaustive()
    }
}
