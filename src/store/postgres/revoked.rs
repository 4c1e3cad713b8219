//! What was revoked, as rows; the statements that revoke keep them.

use sqlx::Row as _;

use super::rows::query;
use super::{DatabaseError, PostgresStore};
use crate::grant::RevokedTokens;
use crate::store::database::revoked_from_row;
use crate::types::{Issuer, UnixTime};

impl PostgresStore {
    pub(super) async fn find_revoked(
        &self,
        issuer: &Issuer,
        now: UnixTime,
    ) -> Result<Vec<RevokedTokens>, DatabaseError> {
        let find = || query(&self.0.statements.revoked).bind(issuer.as_str()).bind(now.as_signed());
        let rows = self.0.connections.run(find).await?;
        rows.iter().map(|row| Ok(revoked_from_row(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)?)).collect()
    }
}
