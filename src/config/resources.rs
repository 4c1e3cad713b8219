//! What holds at each resource, and what of a request is for it ([RFC 8707](https://www.rfc-editor.org/rfc/rfc8707)).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "jwt")]
use super::AccessTokenFormat;
use super::endpoints::RESOURCE_METADATA;
use super::{Config, OFFLINE_ACCESS, Terms};
use crate::client::Client;
use crate::error::ProtocolError;
use crate::types::{Resource, Scope};

impl Config {
    /// The resources that a request names; without any, the default one
    /// ([RFC 8707 §2](https://www.rfc-editor.org/rfc/rfc8707#section-2)).
    pub(crate) fn requested_resources<'a>(
        &self,
        asked: impl Iterator<Item = &'a str>,
    ) -> Result<Arc<[Resource]>, ProtocolError> {
        let mut places = BTreeSet::new();
        for text in asked {
            let place = self.place_of(text).ok_or(ProtocolError::RESOURCE_UNKNOWN)?;
            places.insert(place);
        }
        if places.len() > Resource::MAX {
            return Err(ProtocolError::RESOURCES_TOO_MANY);
        }
        if places.is_empty() {
            return Ok(Arc::clone(&self.default_resources));
        }
        // In the order of the configuration, so that the same resources asked for otherwise are the same list.
        Ok(places.into_iter().map(|place| self.resources[place].clone()).collect())
    }

    /// What a request for these resources gets: what it asked for, or the default
    /// ([RFC 6749 §3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)); of either, what they take.
    pub(crate) fn requested_scope(
        &self,
        client: &Client,
        asked: Option<&str>,
        resources: &[Resource],
    ) -> Result<Scope, ProtocolError> {
        if let Some(asked) = asked {
            return self.taken(self.allowed_scope(client, asked)?, resources);
        }
        let may_have = |name: &&str| self.may_have(client, name) && self.is_taken(name, resources);
        let default = self.default_scope.filter(may_have);
        if default == self.default_scope && !default.is_empty() {
            return Ok(self.default_scope.clone());
        }
        let scope = if default.is_empty() && client.registered_scope().is_some() {
            self.all_of(client).filter(may_have)
        } else {
            default
        };
        if scope.is_empty() && self.has_scopes() {
            return Err(ProtocolError::SCOPE_MISSING);
        }
        Ok(scope)
    }

    /// What of a scope these resources take. Who asked for nothing of it is told, and whoever asked for a refresh token
    /// alone asked for none of it.
    pub(crate) fn taken(&self, scope: Scope, resources: &[Resource]) -> Result<Scope, ProtocolError> {
        if !self.has_own_scopes(resources) {
            return Ok(scope);
        }
        let taken = scope.filter(|name| self.is_taken(name, resources));
        let left = |scope: &Scope| scope.iter().any(|name| name != OFFLINE_ACCESS);
        if left(&scope) && !left(&taken) { Err(ProtocolError::SCOPE_OF_OTHER_RESOURCE) } else { Ok(taken) }
    }

    /// Whether one of these resources takes a scope; a refresh token is no matter of a resource.
    pub(crate) fn is_taken(&self, name: &str, resources: &[Resource]) -> bool {
        let takes = |resource| self.terms_of(resource).scope.as_ref().is_none_or(|scope| scope.contains(name));
        name == OFFLINE_ACCESS || !self.has_own_scopes(resources) || resources.iter().any(takes)
    }

    /// Whether each of these resources takes some scopes and not others. A record that names none can be old.
    fn has_own_scopes(&self, resources: &[Resource]) -> bool {
        !resources.is_empty() && resources.iter().all(|resource| self.terms_of(resource).scope.is_some())
    }

    /// Whether one token can be for all of these: where their scopes differ, each gets its own
    /// ([RFC 9068 §5](https://www.rfc-editor.org/rfc/rfc9068#section-5)).
    pub(crate) fn check_together<'a>(
        &self,
        resources: impl IntoIterator<Item = &'a Resource>,
    ) -> Result<(), ProtocolError> {
        let mut scopes = resources.into_iter().map(|resource| &self.terms_of(resource).scope);
        let first = scopes.next();
        if scopes.all(|scope| Some(scope) == first) { Ok(()) } else { Err(ProtocolError::RESOURCES_APART) }
    }

    /// How long a token of a client for these resources lives, where no hook says otherwise: as long as who says the
    /// least; the provider has a say where neither the client nor the resource has.
    pub(crate) fn access_token_lifetime<'a>(
        &self,
        client: Option<Duration>,
        resources: impl IntoIterator<Item = &'a Resource>,
    ) -> Duration {
        let own = |resource| {
            let own = self.terms_of(resource).access_token_lifetime;
            own.into_iter().chain(client).min().unwrap_or(self.lifetimes.access_token)
        };
        resources.into_iter().map(own).min().or(client).unwrap_or(self.lifetimes.access_token)
    }

    /// Whether a token for these is a JWT.
    #[cfg(feature = "jwt")]
    pub(crate) fn want_jwt<'a>(&self, resources: impl IntoIterator<Item = &'a Resource>) -> bool {
        let format = |resource| self.terms_of(resource).format.unwrap_or(self.access_token_format);
        resources.into_iter().any(|resource| format(resource) == AccessTokenFormat::Jwt)
    }

    /// Whether something holds at some resource and not at all, so that it has to be known for which one a token is.
    pub(crate) fn resources_differ(&self) -> bool {
        self.terms.iter().any(|terms| terms.scope.is_some() || terms.access_token_lifetime.is_some())
    }

    /// The resource whose document is at a well-known path
    /// ([RFC 9728 §3.1](https://www.rfc-editor.org/rfc/rfc9728#section-3.1)): its own place, or one below it.
    pub(crate) fn resource_at(&self, path: &str) -> Option<&Resource> {
        let rest = path.strip_prefix(RESOURCE_METADATA)?;
        let place: Resource = self.url(rest).parse().ok()?;
        let covering = self.resources.iter().filter(|resource| resource.covers(&place));
        covering.max_by_key(|resource| resource.as_str().len()).or_else(|| self.alone_at_root(rest))
    }

    /// What an MCP client means that looks no further than the root: the resource that is alone on this origin.
    fn alone_at_root(&self, rest: &str) -> Option<&Resource> {
        let mut here = self.resources.iter().filter(|resource| resource.split().0 == self.origin);
        let first = here.next().filter(|_| self.mcp && rest.is_empty());
        first.filter(|_| here.next().is_none())
    }

    /// Where the document of what lies at `place` is, if it is ours.
    pub(crate) fn resource_metadata(&self, place: &Resource) -> Option<String> {
        // Not a longer host, nor another port.
        (place.split().0 == self.origin).then(|| Self::metadata_url(place))
    }

    /// Where the document of a resource is: the well-known name goes behind the host, and there takes the place of the slash
    /// that is all of a path ([RFC 9728 §3.1](https://www.rfc-editor.org/rfc/rfc9728#section-3.1)).
    pub(crate) fn metadata_url(resource: &Resource) -> String {
        let (origin, rest) = resource.split();
        let rest = rest.strip_prefix('/').filter(|rest| rest.starts_with('?')).unwrap_or(rest);
        format!("{origin}{RESOURCE_METADATA}{rest}")
    }

    /// The path of that.
    pub(crate) fn metadata_path(resource: &Resource) -> String {
        let url = Self::metadata_url(resource);
        let path = &url[resource.split().0.len()..];
        path.split('?').next().unwrap_or_default().to_owned()
    }

    /// The scopes that a resource's document names. `offline_access` is no matter of a resource.
    pub(crate) fn resource_scopes(&self, resource: &Resource) -> impl Iterator<Item = &str> {
        let named = self.terms_of(resource).scope.as_ref().or(self.resource_scope.as_ref());
        self.grantable().filter(move |name| *name != OFFLINE_ACCESS && named.is_none_or(|scope| scope.contains(name)))
    }

    /// The scopes that a route of a resource can require: those that it takes, and those that nobody is granted.
    pub(crate) fn required_at(&self, resource: &Resource) -> impl Iterator<Item = &str> {
        let resource = std::slice::from_ref(resource);
        let here = self.scopes.iter().filter(move |scope| scope.reserved || self.is_taken(&scope.name, resource));
        here.map(|scope| &*scope.name)
    }

    /// The configured resource of this URI, in any of its spellings.
    pub(crate) fn place_of(&self, text: &str) -> Option<usize> {
        let asked: Resource = text.parse().ok()?;
        self.resources.iter().position(|known| *known == asked)
    }

    /// What holds at a resource. Of one that is configured no more, an old grant can tell: there, what holds at all.
    fn terms_of(&self, resource: &Resource) -> &Terms {
        let place = self.resources.iter().position(|known| known == resource);
        place.map_or(Terms::COMMON, |place| &self.terms[place])
    }
}
