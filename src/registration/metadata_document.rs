//! Clients that nobody registers: what they are stands in a document whose address is their id
//! ([draft-ietf-oauth-client-id-metadata-document-02](https://www.ietf.org/archive/id/draft-ietf-oauth-client-id-metadata-document-02.html)).

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Allowed, entries, register, text};
use crate::client::{AuthMethod, Client, GrantType};
use crate::error::ProtocolError;
use crate::types::json::Members;
use crate::types::{ClientId, RedirectUri};

/// Which clients may describe themselves, and what they may have. See
/// [`client_id_metadata_documents`](crate::ProviderBuilder::client_id_metadata_documents).
#[derive(Clone)]
#[must_use]
pub struct ClientIdMetadataPolicy {
    pub(crate) scope: Option<String>,
    admits: Option<Arc<Admits>>,
}

type Admits = dyn Fn(&ClientId) -> bool + Send + Sync;

impl ClientIdMetadataPolicy {
    /// Any client may that has such a document.
    pub const fn open() -> Self {
        Self { scope: None, admits: None }
    }

    /// All that such a client may ask for; by default every scope that is not reserved.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Only those whose id passes: for a list of hosts that are trusted, or of clients that are not. Asked whenever such a
    /// client comes, before anything is fetched, so it must not wait. To one that does not pass the answer is that of an
    /// unknown client, from then on also where it refreshes; what it has got already ends by
    /// [`revoke_all`](crate::Provider::revoke_all).
    ///
    /// ```
    /// use tower_oauth::{ClientId, ClientIdMetadataPolicy};
    ///
    /// let trusted = |id: &ClientId| id.as_str().starts_with("https://editor.example/");
    /// let policy = ClientIdMetadataPolicy::open().only(trusted).scope("profile");
    /// ```
    pub fn only(mut self, passes: impl Fn(&ClientId) -> bool + Send + Sync + 'static) -> Self {
        self.admits = Some(Arc::new(passes));
        self
    }

    pub(crate) fn admits(&self, client: &ClientId) -> bool {
        self.admits.as_ref().is_none_or(|passes| passes(client))
    }
}

impl fmt::Debug for ClientIdMetadataPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientIdMetadataPolicy").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// Makes a client of the document at its id, within `allowed`.
///
/// What it says is read as a registration is. In what it leaves out it is a public client, since it can have no secret (§4.1),
/// and a native one where it has a redirect URI on the user's device, since nobody tells it that it has to say so.
pub(crate) fn of_document(id: &ClientId, body: &[u8], allowed: &Allowed) -> Result<Client, ProtocolError> {
    let document = Members::<0>::read(body, []).map_err(|_| ProtocolError::DOCUMENT_IS_NO_OBJECT)?;
    let mut metadata = document.others;
    if metadata.get("client_id").and_then(Value::as_str) != Some(id.as_str()) {
        return Err(ProtocolError::DOCUMENT_OF_ANOTHER_CLIENT);
    }
    if ["client_secret", "client_secret_expires_at"].iter().any(|name| metadata.contains_key(*name)) {
        return Err(ProtocolError::DOCUMENT_WITH_SECRET);
    }
    if has_private_key(&metadata) {
        return Err(ProtocolError::DOCUMENT_WITH_PRIVATE_KEY);
    }
    // MCP 2026-07-28, "Client ID Metadata Documents": a required member.
    if text(&metadata, "client_name")?.is_none_or(|name| name.trim().is_empty()) {
        return Err(ProtocolError::DOCUMENT_WITHOUT_NAME);
    }
    match text(&metadata, "token_endpoint_auth_method")?.map(AuthMethod::named) {
        Some(Some(method)) if !method.needs_secret() => {}
        Some(_) => return Err(ProtocolError::METADATA_AUTH_METHOD),
        None => put(&mut metadata, "token_endpoint_auth_method", AuthMethod::None.as_str()),
    }
    let on_device = |uri: &&str| RedirectUri::parse(uri).is_ok_and(|uri| uri.is_native());
    let uris = entries(&metadata, "redirect_uris")?.unwrap_or_default();
    if text(&metadata, "application_type")?.is_none() && uris.iter().any(on_device) {
        put(&mut metadata, "application_type", "native");
    }
    // Nobody vouches for it, so it does nothing without a user.
    if let Some(Value::Array(grant_types)) = metadata.get_mut("grant_types") {
        grant_types.retain(|name| name.as_str() != Some(GrantType::ClientCredentials.as_str()));
    }
    Ok(register(&metadata, allowed, None)?.client.of_document(id.clone()))
}

fn put(metadata: &mut Map<String, Value>, name: &str, value: &str) {
    metadata.insert(name.to_owned(), value.into());
}

/// RFC 7518 §6.2.2, §6.3.2, §6.4.1: `d` is of every private key, `k` of every shared one.
fn has_private_key(metadata: &Map<String, Value>) -> bool {
    let keys = metadata.get("jwks").and_then(|jwks| jwks.get("keys")).and_then(Value::as_array);
    keys.into_iter().flatten().any(|key| key.get("d").is_some() || key.get("k").is_some())
}
