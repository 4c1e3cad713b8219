//! What was revoked, as rows.

use sqlx::{Row as _, SqliteConnection};

use super::writer::Statement;
use super::{DatabaseError, SqliteStore};
use crate::grant::RevokedTokens;
use crate::store::database::{revoked_from_row, tokens_to_bytes};
use crate::types::{Issuer, UnixTime};

const KEEP: &str = "INSERT INTO oauth_revoked (issuer, key, tokens, until) VALUES (?1, ?2, ?3, ?4) \
    ON CONFLICT DO UPDATE SET until = max(until, excluded.until)";

/// Grants, by their rows.
const KEEP_ALL: &str = "INSERT INTO oauth_revoked (issuer, key, tokens, until) SELECT issuer, key, x'', ?2 \
    FROM oauth_grant WHERE id IN (SELECT value FROM json_each(?1)) \
    ON CONFLICT DO UPDATE SET until = max(until, excluded.until)";

const FORGET: &str = "DELETE FROM oauth_revoked WHERE issuer = ?1 AND until <= ?2";

pub(super) async fn keep(
    connection: &mut SqliteConnection,
    issuer: &Issuer,
    revoked: RevokedTokens,
) -> Result<(), DatabaseError> {
    let keep = sqlx::query(KEEP)
        .bind(issuer.as_str())
        .bind(&revoked.grant.as_bytes()[..])
        .bind(tokens_to_bytes(revoked.tokens))
        .bind(revoked.until.as_signed());
    Ok(keep.execute(connection).await.map(drop)?)
}

pub(super) async fn keep_all(
    connection: &mut SqliteConnection,
    rows: &[i64],
    until: UnixTime,
) -> Result<(), DatabaseError> {
    let keep = sqlx::query(KEEP_ALL).bind(serde_json::Value::from(rows).to_string()).bind(until.as_signed());
    Ok(keep.execute(connection).await.map(drop)?)
}

/// Forgets what has passed.
pub(super) fn forget(issuer: &Issuer, now: UnixTime) -> Statement {
    sqlx::query(FORGET).bind(issuer.as_str().to_owned()).bind(now.as_signed())
}

impl SqliteStore {
    pub(super) async fn find_revoked(
        &self,
        issuer: &Issuer,
        now: UnixTime,
    ) -> Result<Vec<RevokedTokens>, DatabaseError> {
        let find = "SELECT key, tokens, until FROM oauth_revoked WHERE issuer = ?1 AND until > ?2";
        let find = sqlx::query(find).bind(issuer.as_str()).bind(now.as_signed());
        let rows = find.fetch_all(&self.0.readers).await?;
        rows.iter().map(|row| Ok(revoked_from_row(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)?)).collect()
    }
}
