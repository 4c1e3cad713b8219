//! What the authorization server of an MCP server has.

use super::ProviderBuilder;
use crate::config::{OFFLINE_ACCESS, ProtectedResource, ScopeEntry};
use crate::registration::{ClientIdMetadataPolicy, RegistrationPolicy};

impl ProviderBuilder {
    /// Makes this the authorization server of the MCP server at this URI
    /// ([MCP authorization](https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization)), such as
    /// `https://notes.example/mcp`; without a slash at the end, as clients write it.
    ///
    /// It is the same as to write these, of which what is said otherwise, before or after it, holds:
    ///
    /// - [`.resource(..)`](Self::resource): clients can ask for tokens for this server, and for it alone.
    /// - [`.default_resource(..)`](Self::default_resource), by the first of these calls: who names no resource, as clients of
    ///   the revision 2025-03-26, gets a token for it. An app that has an API for others too says which one that is.
    /// - [`.registration(..)`](Self::registration) with [`RegistrationPolicy::open`] and
    ///   [`ignore_requested_scope`](RegistrationPolicy::ignore_requested_scope): anybody can register a client, and it can ask
    ///   for every scope that is not [reserved](Self::reserved_scope), once it needs it.
    /// - [`.client_id_metadata_documents(..)`](Self::client_id_metadata_documents) with [`ClientIdMetadataPolicy::open`], where
    ///   there is something to [`fetch`](Self::fetch) with: clients that describe themselves, as MCP has them do since
    ///   2025-11-25, need not register.
    /// - [`.scope("offline_access", ..)`](Self::scope), since clients ask for it where it is offered. It is in the metadata
    ///   of the server and in none of a resource, nor in a challenge. Clients that register for `refresh_token` get one
    ///   without it, unless it is [required](Self::require_offline_access).
    ///
    /// And clients that look for metadata at the root of the origin find them there, whatever the paths of the issuer and
    /// of the resource are: `/.well-known/oauth-authorization-server`, and `/.well-known/oauth-protected-resource` where
    /// one resource alone is on this origin. [`layer`](crate::Provider::layer) answers both; who mounts the endpoints one by one
    /// routes them to [`well_known`](crate::Provider::well_known). PKCE and `iss` are there anyway. See [`mcp`](crate::mcp) for an example and
    /// for the other role.
    pub fn mcp(mut self, resource: impl Into<ProtectedResource>) -> Self {
        self.mcp.push(resource.into());
        self
    }

    /// Adds what MCP needs and the app has not said.
    pub(super) fn complete_mcp(&mut self) {
        let Some(first) = self.mcp.first() else { return };
        self.default_resource.get_or_insert_with(|| first.uri.clone());
        self.resources.extend(self.mcp.iter().cloned());
        if !self.scopes.iter().any(|scope| scope.name == OFFLINE_ACCESS) {
            let (name, description) = (OFFLINE_ACCESS.to_owned(), "stay connected while you are away".to_owned());
            self.scopes.push(ScopeEntry { name, description, reserved: false });
            // Who sees it in the metadata asks for it.
            let registered = self.registration.as_mut().and_then(|policy| policy.scope.as_mut());
            let described = self.client_id_metadata.as_mut().and_then(|policy| policy.scope.as_mut());
            registered.into_iter().chain(described).for_each(|scope| *scope += " offline_access");
        }
        if self.fetch.is_some() {
            self.client_id_metadata.get_or_insert_with(ClientIdMetadataPolicy::open);
        }
        self.registration.get_or_insert_with(|| RegistrationPolicy::open().ignore_requested_scope());
    }
}
