//! What the assertions of clients are checked against.

use super::Provider;
use crate::client::assertion::{Assertion, SingleUse};
use crate::client::{Client, Keys};
use crate::error::StoreError;
use crate::jwt::Jwks;
use crate::store::OnceKey;

impl Provider {
    /// Whether an assertion of this client was never seen before, and is noted now, for all nodes.
    pub(crate) async fn is_first_use(&self, client: &Client, once: &SingleUse) -> Result<bool, StoreError> {
        // A client's id has no NUL, so no two pairs are one text.
        let value = format!("{}\0{}", client.id(), once.id);
        let key = OnceKey::new(&self.0.config.issuer, "client assertion", value.as_bytes());
        self.0.grants.once(key, once.until, self.now()).await
    }

    /// The keys of a client that signs, among them that of its assertion, if there is one.
    pub(crate) async fn keys_of(&self, client: &Client, _assertion: &Assertion<'_>) -> Result<Jwks, StoreError> {
        match client.keys() {
            Some(Keys::Inline(keys)) => Ok(keys.clone()),
            Some(Keys::At(_)) | None => Ok(Jwks::of([])),
        }
    }
}
