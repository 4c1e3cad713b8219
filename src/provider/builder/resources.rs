//! What is configured of resources.

use super::ProviderBuilder;
use crate::config::{ConfigError, IssuerUrl, OFFLINE_ACCESS, ProtectedResource, Terms};
use crate::types::Resource;

impl ProviderBuilder {
    /// What a token is for that was asked for without naming a resource, in place of the issuer's origin. Where other
    /// [issuers](crate::Issuers) have a part of that origin, it is the issuer itself: what lies below its path.
    pub fn default_resource(mut self, resource: impl Into<String>) -> Self {
        self.default_resource = Some(resource.into());
        self
    }

    /// One more API for which clients can ask for tokens, beside the [default one](Self::default_resource)
    /// ([RFC 8707](https://www.rfc-editor.org/rfc/rfc8707)).
    pub fn resource(mut self, resource: impl Into<ProtectedResource>) -> Self {
        self.resources.push(resource.into());
        self
    }

    /// What the metadata of resources without [scopes of their own](ProtectedResource::scope) name as their scopes
    /// ([RFC 9728 §2](https://www.rfc-editor.org/rfc/rfc9728#section-2)). By default every scope that is not reserved, but `offline_access`, which is no matter of a resource.
    pub fn resource_scope(mut self, scope: impl Into<String>) -> Self {
        self.resource_scope = Some(scope.into());
        self
    }

    /// The resources, each once, and what holds at each.
    pub(super) fn check_resources(
        &self,
        url: Option<&IssuerUrl>,
        wrong: &mut Vec<ConfigError>,
    ) -> (Vec<Resource>, Vec<Terms>) {
        let default = self.default_resource.as_ref().or(url.map(|url| &url.origin)).map(ProtectedResource::from);
        let (mut resources, mut all_terms) = (Vec::new(), Vec::<Terms>::new());
        for named in default.iter().chain(&self.resources) {
            let terms = self.check_terms(named, wrong);
            match named.uri.parse::<Resource>() {
                Ok(resource) => match resources.iter().position(|known| *known == resource) {
                    Some(place) => all_terms[place].add(terms),
                    None => {
                        resources.push(resource);
                        all_terms.push(terms);
                    }
                },
                Err(why) => wrong.push(ConfigError::Resource(format!("{:?}: {why}", named.uri))),
            }
        }
        (resources, all_terms)
    }

    fn check_terms(&self, named: &ProtectedResource, wrong: &mut Vec<ConfigError>) -> Terms {
        let uri = &named.uri;
        let scope = named.scope.as_ref().map(|text| {
            let scope = self.check_scope(text, &format!("resource {uri:?}"), wrong);
            if text.trim_matches(' ').is_empty() {
                wrong.push(ConfigError::Resource(format!(
                    "{uri:?}: it takes no scope: name some in `.scope(..)`, or leave it out"
                )));
            }
            if scope.contains(OFFLINE_ACCESS) {
                let why = "is no matter of a resource: leave it out of `.scope(..)`";
                wrong.push(ConfigError::Resource(format!("{uri:?}: `{OFFLINE_ACCESS}` {why}")));
            }
            // In one order, so that resources which take the same have the same list.
            let known = self.scopes.iter().map(|known| &*known.name).filter(|name| scope.contains(name));
            known.collect::<Vec<_>>().join(" ").parse().unwrap_or_default()
        });
        if named.access_token_lifetime.is_some_and(|lifetime| !self.lifetimes.allow(lifetime)) {
            wrong.push(ConfigError::Resource(format!(
                "{uri:?}: an access token lives from 1 second to 24 hours, and no longer than a refresh token may be idle"
            )));
        }
        Terms {
            scope,
            access_token_lifetime: named.access_token_lifetime,
            #[cfg(feature = "jwt")]
            format: named.format,
        }
    }
}
