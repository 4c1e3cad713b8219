//! What a provider keeps of its own, as rows.

use sqlx::Row as _;

use super::rows::query;
use super::{DatabaseError, PostgresStore};
use crate::types::Issuer;

impl PostgresStore {
    pub(super) async fn find_document(&self, issuer: &Issuer, name: &str) -> Result<Option<Vec<u8>>, DatabaseError> {
        let find = || query(&self.0.statements.document).bind(issuer.as_str()).bind(name);
        let rows = self.0.connections.run(find).await?;
        Ok(rows.first().map(|row| row.try_get(0)).transpose()?)
    }

    /// Changes the row where what is kept is `old` or `new`.
    pub(super) async fn replace(
        &self,
        issuer: &Issuer,
        name: &str,
        old: Option<&[u8]>,
        new: &[u8],
    ) -> Result<bool, DatabaseError> {
        let statements = &self.0.statements;
        let replace = || {
            let statement = if old.is_some() { &statements.replace_document } else { &statements.create_document };
            let statement = query(statement).bind(issuer.as_str()).bind(name).bind(new);
            match old {
                None => statement,
                Some(old) => statement.bind(old),
            }
        };
        Ok(self.0.connections.run(replace).await?.len() == 1)
    }
}
