use std::fmt;
use std::sync::{Arc, OnceLock};

use http::HeaderValue;
use tower::Layer;

use super::authorized::Authorized;
use super::challenge::Hint;
use super::require::Require;
use super::service::Bearer;
use super::user::{Find, NoUser, ResolveUser, UserAnswer};
use super::verify::{Own, Verify};
use crate::event::{Event, Events};
use crate::provider::Provider;
use crate::types::Resource;

/// Layer that applies [`Bearer`]. See the [module docs](crate::bearer) for an example.
#[must_use]
#[derive(Clone)]
pub struct BearerLayer<R = NoUser> {
    pub(super) rules: Arc<Rules>,
    pub(super) resolve: R,
}

/// What a request has to bring.
#[derive(Clone)]
pub(super) struct Rules {
    pub(super) verify: Arc<dyn Verify>,
    pub(super) require: Require,
    /// What a challenge tells.
    pub(super) hint: Hint,
    pub(super) optional: bool,
    /// Whether a browser's preflight passes, to be answered by a CORS layer inside.
    pub(super) preflights: bool,
    /// Made when the first one is needed; see [`Rejected`](super::challenge::Rejected).
    pub(super) challenges: OnceLock<[HeaderValue; Own::ALL.len()]>,
    /// What lies here: a token has to be for it.
    pub(super) resource: Option<Resource>,
    /// Whose tokens they are, if they are a provider's own.
    provider: Option<Provider>,
    pub(super) events: Events,
}

impl Rules {
    /// Guards what lies at a place, and tells where its metadata are.
    fn guard(&mut self, resource: Option<Resource>) {
        let config = self.provider.as_ref().map(|provider| &provider.0.config);
        self.hint.metadata = config.zip(resource.as_ref()).and_then(|(config, place)| config.resource_metadata(place));
        self.resource = resource;
    }
}

impl Provider {
    /// A layer that takes this provider's own access tokens, for its default resource.
    pub fn bearer(&self) -> BearerLayer {
        let mut layer = BearerLayer::new(self.clone());
        let rules = layer.rules();
        rules.provider = Some(self.clone());
        rules.events = self.0.events.clone();
        rules.guard(self.0.config.resources.first().cloned());
        layer
    }
}

impl BearerLayer {
    /// A layer that takes what `verify` says is good.
    pub fn new(verify: impl Verify) -> Self {
        let rules = Rules {
            verify: Arc::new(verify),
            require: Require::default(),
            hint: Hint::default(),
            optional: false,
            preflights: true,
            challenges: OnceLock::new(),
            resource: None,
            provider: None,
            events: Events::default(),
        };
        Self { rules: Arc::new(rules), resolve: NoUser }
    }
}

impl<R> BearerLayer<R> {
    fn rules(&mut self) -> &mut Rules {
        let rules = Arc::make_mut(&mut self.rules);
        rules.challenges = OnceLock::new();
        rules
    }

    /// Scopes that the token needs, added to what was required before: 403 `insufficient_scope` without them.
    ///
    /// # Panics
    /// If the provider offers no such scope, or none is named, at the line of this call.
    #[track_caller]
    pub fn require(mut self, scope: impl Into<Require>) -> Self {
        let mut require = scope.into();
        assert!(require.groups().next().is_some(), "nothing is required: name a scope, or leave `.require(..)` out");
        let rules = self.rules();
        if let Some(provider) = &rules.provider {
            let config = &provider.0.config;
            for name in require.names() {
                let offered: Vec<_> = config.scope_names().map(|name| format!("`{name}`")).collect();
                assert!(
                    config.scope_names().any(|known| known == name),
                    "the provider offers no scope `{name}` (it offers {})",
                    offered.join(", ")
                );
            }
            require.widen(&config.includes);
        }
        rules.require.add(require);
        rules.hint.scope = rules.require.scope();
        self
    }

    /// Lets a request without a token pass. One with a bad token is refused all the same.
    pub fn optional(mut self) -> Self {
        self.rules().optional = true;
        self
    }

    /// Refuses a browser's preflight as every other request without a token, for services that act on any method.
    ///
    /// A [preflight passes](crate::bearer#browsers) otherwise, and nothing of its answer but a CORS policy gets out. But
    /// anybody can send one, and what is inside runs: a CORS layer answers it, and an axum route of named methods
    /// refuses it, while a tonic service, a handler of `any(..)` and a proxy act on it like on any other request. A CORS
    /// layer outside answers preflights before this layer sees them, so nothing is lost with one there.
    ///
    /// Below an [optional](Self::optional) layer every request without a token passes, preflights too.
    pub fn refuse_preflights(mut self) -> Self {
        self.rules().preflights = false;
        self
    }

    /// Where the metadata of what lies here are, for a layer over a verifier of an app's own: every 401 and 403 names it
    /// ([RFC 9728 §5.1](https://www.rfc-editor.org/rfc/rfc9728#section-5.1)). A provider's own layer knows.
    pub fn resource_metadata(mut self, url: impl Into<String>) -> Self {
        self.rules().hint.metadata = Some(url.into());
        self
    }

    /// Hears of every request that this layer refuses, with the reason: for a layer over a [verifier](Verify), which has no
    /// provider to [tell](crate::ProviderBuilder::on_event). A provider's own layer tells that one's hook, or else this one
    /// alone.
    ///
    /// It is called in the middle of a request, so it must not wait.
    ///
    /// ```
    /// # fn layer(verifier: impl tower_oauth::Verify) {
    /// use tower_oauth::BearerLayer;
    /// use tower_oauth::event::{Event, EventKind};
    ///
    /// let layer = BearerLayer::new(verifier).on_event(|event: &Event<'_>| match event.kind {
    ///     // The issuer cannot be reached.
    ///     EventKind::Unavailable => eprintln!("{event}: {:?}", event.source),
    ///     _ => {}
    /// });
    /// # }
    /// ```
    pub fn on_event(mut self, hear: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        self.rules().events = Events::to(hear);
        self
    }

    /// What lies behind this layer, in place of the provider's default resource: a token is taken if it is for this
    /// URL, or for one above it at a path boundary ([RFC 8707 §2](https://www.rfc-editor.org/rfc/rfc8707#section-2)).
    ///
    /// A [verifier](Verify) of an app's own has to say for which resources a token is
    /// ([`Authorized::for_resources`]), or every token is refused here.
    ///
    /// # Panics
    /// If it is no resource indicator, at the line of this call.
    #[track_caller]
    pub fn resource(mut self, resource: &str) -> Self {
        let parsed: Result<Resource, _> = resource.parse();
        assert!(parsed.is_ok(), "`{resource}` is no resource: write an absolute URL without a fragment");
        self.rules().guard(parsed.ok());
        self
    }

    /// Finds the user of each token, and puts the answer into the request's extensions too. A token that has no user,
    /// since its client acts for itself, is a 403 and is not looked up.
    pub fn user<F, Fut>(
        self,
        find: F,
    ) -> BearerLayer<impl ResolveUser<User = <Fut::Output as UserAnswer>::User> + use<R, F, Fut>>
    where
        F: Fn(Authorized) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: UserAnswer,
    {
        BearerLayer { rules: self.rules, resolve: Find::new(find) }
    }

    /// The same with something to look in, such as a pool of connections.
    pub fn user_with<St, F, Fut>(
        self,
        state: St,
        find: F,
    ) -> BearerLayer<impl ResolveUser<User = <Fut::Output as UserAnswer>::User> + use<R, St, F, Fut>>
    where
        F: Fn(St, Authorized) -> Fut + Clone + Send + Sync + 'static,
        St: Clone + Send + Sync + 'static,
        Fut: Future + Send + 'static,
        Fut::Output: UserAnswer,
    {
        BearerLayer { rules: self.rules, resolve: Find::new(move |token| find(state.clone(), token)) }
    }
}

impl<S, R: Clone> Layer<S> for BearerLayer<R> {
    type Service = Bearer<S, R>;

    fn layer(&self, inner: S) -> Bearer<S, R> {
        Bearer { inner, layer: self.clone() }
    }
}

impl<R> fmt::Debug for BearerLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rules.fmt(f)
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerLayer")
            .field("require", &self.require)
            .field("optional", &self.optional)
            .field("resource", &self.resource)
            .finish_non_exhaustive()
    }
}
