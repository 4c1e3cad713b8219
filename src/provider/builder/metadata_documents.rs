use std::sync::Arc;

use super::ProviderBuilder;
use crate::config::ConfigError;
use crate::fetch::Fetch;
use crate::registration::ClientIdMetadataPolicy;

impl ProviderBuilder {
    /// Takes clients that nobody registered and that describe themselves: their id is an `https` URL, and at that URL is a
    /// Client ID Metadata Document
    /// ([draft-ietf-oauth-client-id-metadata-document-02](https://www.ietf.org/archive/id/draft-ietf-oauth-client-id-metadata-document-02.html)),
    /// as clients of MCP have it. By default there are none. It needs something to [`fetch`](Self::fetch) with.
    ///
    /// ```no_run
    /// # #[cfg(feature = "http-client")]
    /// # fn built() -> Result<tower_oauth::Provider, Box<dyn std::error::Error>> {
    /// use tower_oauth::{ClientIdMetadataPolicy, HttpClient, MemoryStore, Provider};
    ///
    /// let provider = Provider::builder("https://shift.example")
    ///     .store(MemoryStore::new())
    ///     .scope("profile", "see your profile")
    ///     .client_id_metadata_documents(ClientIdMetadataPolicy::open().scope("profile"))
    ///     .fetch(HttpClient::new()?)
    ///     .build()?;
    /// # Ok(provider)
    /// # }
    /// ```
    ///
    /// **Who they are.** A client that is [fixed](Self::client) or in the store under such an id is that one, and nothing is
    /// fetched. Any other is looked for where a user is asked about it, and where it brings a code or token that it got here.
    /// It authenticates by `none` or, where that is taken, by `private_key_jwt`; it gets tokens for users and none for itself. Beside its name, which it chose, show the user [`Client::document_host`](crate::Client::document_host),
    /// and where [`Client::is_loopback_only`](crate::Client::is_loopback_only) a warning.
    ///
    /// **What is read.** A document has 5 KiB at most, is `application/json` or `application/..+json`, and is there within 10
    /// seconds without a redirect. `client_id` is its own address, to the letter; `client_name` and `redirect_uris` are there;
    /// no secret and no private key is; else the rules are those of a [registration](Self::registration). What a page would
    /// link to or load, such as `logo_uri`, is not read.
    ///
    /// **How long it holds.** For as long as its server says, from 10 seconds to an hour, and 5 minutes if it says nothing. No
    /// error is kept, and no document that is not good: each is fetched anew, of one host 10 at once and then one a second, and
    /// 20 a second in all; more are told to try again.
    ///
    /// **What changes with it.** Whoever is asked about a client is asked about what its document says by then: a redirect URI
    /// that left it is refused. If it cannot be read, no user is asked. A client that is connected goes on by what it said
    /// last, for a day; then, or where a node has not read it yet, the answer is 503, never a refusal, and nothing is used up.
    /// No document brings back a grant that was revoked.
    pub fn client_id_metadata_documents(mut self, policy: ClientIdMetadataPolicy) -> Self {
        self.client_id_metadata = Some(policy);
        self
    }

    /// What the provider reads from other servers with: the keys of clients that publish them, `jwks_uri`, and the documents
    /// of those that [describe themselves](Self::client_id_metadata_documents). By default nothing is read, and such clients
    /// are refused.
    ///
    /// [`HttpClient`](crate::fetch) is safe where strangers say what is fetched, as those do who register or describe
    /// themselves. Keys are kept for as long as their server says, from 1 minute to 1 hour, and for one more while it is down.
    /// A key that is not among them has them read anew, at most every 30 seconds: so a client publishes a new one that long
    /// before its first use. While they cannot be read the answer is 503, since who asks may well be the client.
    pub fn fetch(mut self, fetch: impl Fetch) -> Self {
        self.fetch = Some(Arc::new(fetch));
        self
    }

    pub(super) fn check_client_id_metadata(&self, wrong: &mut Vec<ConfigError>) {
        if self.client_id_metadata.is_some() && self.fetch.is_none() {
            wrong.push(ConfigError::ClientIdMetadata(
                "the documents of clients have to be read from elsewhere: add `.fetch(HttpClient::new()?)`".to_owned(),
            ));
        }
    }
}
