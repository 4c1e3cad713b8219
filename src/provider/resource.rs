use std::fmt;

use super::{AccessToken, Provider};
use crate::config::ConfigError;
use crate::error::StoreError;
use crate::types::{ClientId, Resource, Scope, Subject};

/// The server of one of a provider's resources: its bearer layer, and the document that tells clients of it.
///
/// ```
/// use axum::{Router, routing::get};
/// use tower_oauth::{Authorized, MemoryStore, ProtectedResource, Provider};
///
/// let provider = Provider::builder("https://shift.example")
///     .store(MemoryStore::new())
///     .scope("tools:call", "call your tools")
///     .resource(ProtectedResource::new("https://api.example/mcp").scope("tools:call"))
///     .build()?;
/// let mcp = provider.resource("https://api.example/mcp")?;
///
/// async fn tools(token: Authorized) -> String {
///     format!("the tools of {}", token.subject())
/// }
///
/// let api: Router = Router::new()
///     .route("/mcp", get(tools).route_layer(mcp.bearer().require("tools:call")))
///     .route_service(&mcp.metadata_path(), mcp.metadata());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// On the origin of the issuer, [`Provider::layer`] answers the document too.
#[derive(Clone)]
pub struct ResourceServer {
    pub(crate) provider: Provider,
    /// Where it is in the configuration.
    pub(crate) place: usize,
}

impl Provider {
    /// The server of a resource: the default one, or one that the builder was given.
    ///
    /// # Errors
    /// If it is none of this provider's.
    pub fn resource(&self, uri: &str) -> Result<ResourceServer, ConfigError> {
        let config = &self.0.config;
        let place = config.place_of(uri).ok_or_else(|| {
            let known: Vec<_> = config.resources.iter().map(|known| format!("`{known}`")).collect();
            let known = known.join(", ");
            ConfigError::Resource(format!("{uri:?} is none of {known}: add it with `.resource({uri:?})`"))
        })?;
        Ok(ResourceServer { provider: self.clone(), place })
    }
}

impl ResourceServer {
    /// The resource identifier.
    #[must_use]
    pub fn resource(&self) -> &Resource {
        &self.provider.0.config.resources[self.place]
    }

    /// Issues an access token for this resource without any request, as [`Provider::issue`] does for the default one.
    ///
    /// # Errors
    /// If the store, or whoever signs, cannot answer, or every token for the resource [is bound to a
    /// key](crate::ProtectedResource::dpop_bound_access_tokens_required): nobody proves one here.
    pub async fn issue(
        &self,
        client: impl Into<ClientId>,
        subject: impl Into<Subject>,
        scope: Scope,
    ) -> Result<AccessToken, StoreError> {
        let resources = [self.resource().clone()].into();
        self.provider.issue_for(resources, client.into(), subject.into(), scope).await
    }
}

impl fmt::Debug for ResourceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ResourceServer").field(self.resource()).finish()
    }
}
