//! What a provider keeps of its own, as the fields of one hash for each issuer.

use redis::RedisError;

use super::calls::all;
use super::scripts::REPLACE_DOCUMENT;
use super::{DatabaseError, RedisStore};
use crate::types::Issuer;

impl RedisStore {
    pub(super) async fn find_document(&self, issuer: &Issuer, name: &str) -> Result<Option<Vec<u8>>, DatabaseError> {
        let mut find = redis::cmd("HGET");
        find.arg(self.0.names.documents(issuer)).arg(name);
        let found = self.0.calls.send(|_| all([find.clone()])).await?.last();
        Ok(redis::from_redis_value(found).map_err(RedisError::from)?)
    }

    /// Writes where what is kept is `old` or `new`, and waits for the replicas then.
    pub(super) async fn replace_document_of(
        &self,
        issuer: &Issuer,
        name: &str,
        old: Option<&[u8]>,
        new: &[u8],
    ) -> Result<bool, DatabaseError> {
        let replace = |form| {
            let mut call = REPLACE_DOCUMENT.on(form, &[&self.0.names.documents(issuer)]);
            call.arg(name).arg(new).arg(old);
            all([call])
        };
        self.0.calls.send_durably(replace).await?.done()
    }
}
