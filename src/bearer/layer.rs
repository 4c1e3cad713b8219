use std::fmt;
use std::sync::{Arc, OnceLock};

use http::HeaderValue;
use tower::Layer;

use super::authorized::Authorized;
use super::challenge::Hint;
use super::dpop::Proofs;
use super::require::Require;
use super::service::Bearer;
use super::step_up::StepUp;
use super::user::{Find, NoUser, ResolveUser, UserAnswer};
use super::verify::{Own, Verify};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::event::{Event, Events};
use crate::provider::{Provider, ResourceServer};
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
    /// How the user has to have authenticated.
    pub(super) step_up: Option<StepUp>,
    pub(super) clock: Arc<dyn Clock>,
    /// Whether every service inside may answer that the user has to authenticate, and is waited for with all of this.
    pub(super) completes: bool,
    /// What a challenge tells.
    pub(super) hint: Hint,
    pub(super) optional: bool,
    /// Whether a browser's preflight passes, to be answered by a CORS layer inside.
    pub(super) preflights: bool,
    /// Made when the first one is needed; see [`Rejected`](super::challenge::Rejected).
    pub(super) challenges: OnceLock<[HeaderValue; Own::ALL.len()]>,
    /// What lies here: a token has to be for it.
    pub(super) resource: Option<Resource>,
    /// Whether for that and for nothing above it.
    pub(super) alone: bool,
    /// `None` where none are looked at.
    pub(super) proofs: Option<Arc<Proofs>>,
    /// Whose tokens they are, if they are a provider's own.
    pub(super) provider: Option<Provider>,
    pub(super) events: Events,
}

impl Rules {
    /// Guards what lies at a place, and tells where its metadata are.
    fn guard(&mut self, resource: Option<Resource>) {
        let config = self.provider.as_ref().map(|provider| &provider.0.config);
        self.hint.metadata = config.zip(resource.as_ref()).and_then(|(config, place)| config.resource_metadata(place));
        if let Some(provider) = &self.provider {
            self.proofs = Proofs::of(provider, resource.as_ref()).map(Arc::new);
        }
        self.resource = resource;
        self.alone = false;
    }

    /// Whether a token is for what lies here.
    pub(super) fn is_meant(&self, token: &Authorized) -> bool {
        self.resource.as_ref().is_none_or(|here| {
            if self.alone { token.resources().any(|resource| resource == here) } else { token.is_for(here) }
        })
    }

    /// The scopes that a token can have here, of a provider's own; and who says so.
    fn offered(&self) -> Option<(Vec<&str>, String)> {
        let config = &self.provider.as_ref()?.0.config;
        match self.resource.as_ref().filter(|_| self.alone) {
            None => Some((config.scope_names().collect(), "the provider".to_owned())),
            Some(here) => Some((config.required_at(here).collect(), format!("the resource `{here}`"))),
        }
    }
}

impl Provider {
    /// A layer that takes this provider's own access tokens, for its default resource.
    pub fn bearer(&self) -> BearerLayer {
        let mut layer = BearerLayer::new(self.clone());
        let rules = layer.rules();
        rules.provider = Some(self.clone());
        rules.events = self.0.events.clone();
        rules.clock = self.clock();
        rules.completes = !self.0.config.acr_values.is_empty();
        rules.guard(self.0.config.resources.first().cloned());
        layer
    }
}

impl ResourceServer {
    /// A layer that takes this provider's access tokens that are for this resource, and none that are for one above it:
    /// a token for `https://shift.example` is not one for `https://shift.example/mcp`. To take tokens that were asked for
    /// without naming a resource, make this one the [default](crate::ProviderBuilder::default_resource).
    ///
    /// Its challenges name the resource's own [metadata](Self::metadata_path), which have to be there. It requires only
    /// scopes that the resource takes.
    pub fn bearer(&self) -> BearerLayer {
        let mut layer = self.provider.bearer();
        layer.rules().guard(Some(self.resource().clone()));
        layer.alone()
    }
}

impl BearerLayer {
    /// A layer that takes what `verify` says is good.
    pub fn new(verify: impl Verify) -> Self {
        let rules = Rules {
            verify: Arc::new(verify),
            require: Require::default(),
            step_up: None,
            clock: Arc::new(SystemClock),
            completes: true,
            hint: Hint::default(),
            optional: false,
            preflights: true,
            challenges: OnceLock::new(),
            resource: None,
            alone: false,
            proofs: None,
            provider: None,
            events: Events::default(),
        };
        Self { rules: Arc::new(rules), resolve: NoUser }
    }
}

impl<R> BearerLayer<R> {
    pub(super) fn rules(&mut self) -> &mut Rules {
        let rules = Arc::make_mut(&mut self.rules);
        rules.challenges = OnceLock::new();
        rules
    }

    /// Scopes that the token needs, added to what was required before: 403 `insufficient_scope` without them.
    ///
    /// # Panics
    /// If the provider offers no such scope, or the resource of a [`ResourceServer`] takes none such, or none is named, at
    /// the line of this call.
    #[track_caller]
    pub fn require(mut self, scope: impl Into<Require>) -> Self {
        let mut require = scope.into();
        assert!(require.groups().next().is_some(), "nothing is required: name a scope, or leave `.require(..)` out");
        let rules = self.rules();
        if let Some((offered, who)) = rules.offered() {
            for name in require.names() {
                let all: Vec<_> = offered.iter().map(|name| format!("`{name}`")).collect();
                assert!(offered.contains(&name), "{who} offers no scope `{name}` (it offers {})", all.join(", "));
            }
        }
        if let Some(provider) = &rules.provider {
            require.widen(&provider.0.config.includes);
        }
        rules.require.add(require);
        rules.hint.scope = rules.require.scope();
        self
    }

    /// How the user of the token has to have authenticated: 401 `insufficient_user_authentication` else
    /// ([RFC 9470](https://www.rfc-editor.org/rfc/rfc9470)), with the scopes that are required here beside it, so that one
    /// more authorization is enough. A token without a user is a 403. What was said before is replaced.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use tower_oauth::{MemoryStore, Provider, StepUp};
    /// # let provider = Provider::builder("https://shift.example").store(MemoryStore::new()).scope("pay", "pay").build()?;
    /// let layer = provider.bearer().require("pay").step_up(StepUp::acr("mfa").max_age(Duration::from_secs(5 * 60)));
    /// # Ok::<_, tower_oauth::ConfigErrors>(())
    /// ```
    pub fn step_up(mut self, needed: StepUp) -> Self {
        let rules = self.rules();
        rules.step_up = Some(needed);
        rules.completes = true;
        self
    }

    /// By whose clock it is decided how long ago a user has authenticated.
    pub(crate) fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.rules().clock = clock;
        self
    }

    /// Takes only tokens that are for what lies here, and none that are for what lies above it. Its challenges name the
    /// metadata of that very place, unless they name others.
    pub(crate) fn alone(mut self) -> Self {
        let rules = self.rules();
        rules.alone = true;
        if let (None, Some(here)) = (&rules.hint.metadata, &rules.resource) {
            rules.hint.metadata = Some(Config::metadata_url(here));
        }
        self
    }

    /// What lies behind this layer, if it was told.
    pub(crate) fn place(&self) -> Option<&Resource> {
        self.rules.resource.as_ref()
    }

    /// What is required here, as clients ask for it.
    pub(crate) fn scope(&self) -> &str {
        &self.rules.hint.scope
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
