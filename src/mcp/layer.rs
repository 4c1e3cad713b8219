use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use tower::Layer;

use super::service::{Mcp, Operations};
use crate::bearer::{BearerLayer, NoUser, Require};
use crate::provider::ResourceServer;
use crate::types::Resource;

/// Layer that applies [`Mcp`]. See the [module docs](crate::mcp) for an example.
#[must_use]
#[derive(Clone)]
pub struct McpLayer<R = NoUser> {
    bearer: BearerLayer<R>,
    /// What a tool needs, and what a method needs, beside what every request does.
    tools: Vec<(String, Require)>,
    methods: Vec<(String, Require)>,
    max_body: usize,
}

/// The longest message that is read, unless said otherwise.
const MAX_BODY: usize = 4 * 1024 * 1024;

impl ResourceServer {
    /// A layer for this resource's server, which speaks MCP: over [`bearer`](Self::bearer), with the scopes that its tools
    /// need.
    pub fn mcp(&self) -> McpLayer {
        McpLayer::new(self.bearer())
    }
}

impl<R> McpLayer<R> {
    /// The same over another bearer layer: one that finds the user of each token too, or that of a
    /// [verifier](crate::resource_server) of an MCP server apart from its authorization server.
    ///
    /// Tokens have to be for the resource of that layer itself: none is taken that is for what lies above it.
    pub fn new(bearer: BearerLayer<R>) -> Self {
        Self { bearer: bearer.alone(), tools: Vec::new(), methods: Vec::new(), max_body: MAX_BODY }
    }

    /// Scopes that every request needs, as [`BearerLayer::require`]; clients ask for them first.
    ///
    /// # Panics
    /// As [`BearerLayer::require`].
    #[track_caller]
    pub fn require(mut self, scope: impl Into<Require>) -> Self {
        self.bearer = self.bearer.require(scope);
        self
    }

    /// Scopes that a call of this tool needs beside those, `tools/call`.
    ///
    /// Without them it is answered with 403 `insufficient_scope`, and the challenge names all that the call needs, so that
    /// one more authorization is enough.
    ///
    /// # Panics
    /// As [`BearerLayer::require`].
    #[track_caller]
    pub fn tool(mut self, name: impl Into<String>, scope: impl Into<Require>) -> Self
    where
        R: Clone,
    {
        self.tools.push((name.into(), self.checked(scope.into())));
        self
    }

    /// Scopes that a method needs beside those that every request does, whatever it names: `resources/read`, for example.
    ///
    /// # Panics
    /// As [`BearerLayer::require`].
    #[track_caller]
    pub fn method(mut self, method: impl Into<String>, scope: impl Into<Require>) -> Self
    where
        R: Clone,
    {
        self.methods.push((method.into(), self.checked(scope.into())));
        self
    }

    /// How many bytes a message can have that is read for what it calls; 413 beyond. By default 4 MiB. Nothing is read where
    /// no [tool](Self::tool) and no [method](Self::method) has scopes of its own.
    pub const fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// What lies behind this layer.
    #[track_caller]
    pub(super) fn place(&self) -> &Resource {
        self.bearer.place().expect("the bearer layer has to say what lies behind it: write `.resource(..)`")
    }

    /// All scopes that something here needs, spaces between them.
    pub(super) fn scope(&self) -> String {
        let mut all = Require::from(self.bearer.scope());
        self.tools.iter().chain(&self.methods).for_each(|(_, scope)| all.add(scope.clone()));
        all.scope()
    }

    /// Whether these can be required here is told at once, and not by the first request.
    #[track_caller]
    fn checked(&self, scope: Require) -> Require
    where
        R: Clone,
    {
        drop(self.bearer.clone().require(scope.clone()));
        scope
    }
}

impl<R: Clone, S> Layer<S> for McpLayer<R> {
    type Service = Mcp<S, R>;

    fn layer(&self, inner: S) -> Mcp<S, R> {
        let rules = Arc::new(Rules::new(self));
        let operations = Operations { inner, rules };
        Mcp { bearer: self.bearer.layer(operations) }
    }
}

/// What each operation needs.
pub(super) struct Rules<R> {
    /// What every request needs.
    pub(super) base: BearerLayer<R>,
    tools: HashMap<String, Rule<R>>,
    methods: HashMap<String, Rule<R>>,
    pub(super) max_body: usize,
}

/// What one needs beside that.
pub(super) struct Rule<R> {
    pub(super) more: Require,
    /// All that it needs.
    pub(super) all: BearerLayer<R>,
}

impl<R: Clone> Rules<R> {
    fn new(layer: &McpLayer<R>) -> Self {
        let table = |named: &[(String, Require)]| {
            let mut table = HashMap::<String, Rule<R>>::new();
            for (name, scope) in named {
                let rule = table
                    .entry(name.clone())
                    .or_insert_with(|| Rule { more: Require::default(), all: layer.bearer.clone() });
                rule.more.add(scope.clone());
                rule.all = rule.all.clone().require(scope.clone());
            }
            table
        };
        Self {
            base: layer.bearer.clone(),
            tools: table(&layer.tools),
            methods: table(&layer.methods),
            max_body: layer.max_body,
        }
    }
}

impl<R> Rules<R> {
    pub(super) fn is_empty(&self) -> bool {
        self.tools.is_empty() && self.methods.is_empty()
    }

    pub(super) fn of_tool(&self, name: &str) -> Option<&Rule<R>> {
        self.tools.get(name)
    }

    pub(super) fn of_method(&self, name: &str) -> Option<&Rule<R>> {
        self.methods.get(name)
    }
}

impl<R> fmt::Debug for McpLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bearer, tools, methods, max_body } = self;
        let mut shown = f.debug_struct("McpLayer");
        shown.field("bearer", bearer).field("tools", tools).field("methods", methods).field("max_body", max_body);
        shown.finish()
    }
}
