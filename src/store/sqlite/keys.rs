//! The key ids in use, as rows.

use std::time::Duration;

use sqlx::{SqliteConnection, SqlitePool};

use super::DatabaseError;
use super::writer::Statement;
use crate::store::database::{KeyId, Keys, signed};
use crate::types::{Issuer, UnixTime};

pub(super) async fn load(pool: &SqlitePool) -> Result<Keys, DatabaseError> {
    let rows: Vec<(String, Vec<u8>)> = sqlx::query_as("SELECT issuer, key_id FROM oauth_key").fetch_all(pool).await?;
    Ok(Keys::new(rows))
}

/// Notes that a key signs; once an hour is enough.
pub(super) fn note(issuer: &Issuer, id: KeyId, now: UnixTime) -> Statement {
    sqlx::query(
        "INSERT INTO oauth_key (issuer, key_id, signed_at) VALUES (?1, ?2, ?3) ON CONFLICT (issuer, key_id) \
         DO UPDATE SET signed_at = excluded.signed_at WHERE excluded.signed_at - signed_at >= 3600",
    )
    .bind(issuer.as_str())
    .bind(&id[..])
    .bind(now.as_signed())
}

/// Forgets the keys whose last refresh token has been idle for too long; a day more, because they are noted now and
/// then. Answers which.
pub(super) async fn sweep(
    connection: &mut SqliteConnection,
    issuer: &Issuer,
    now: UnixTime,
    idle: Duration,
) -> Result<Vec<Vec<u8>>, DatabaseError> {
    let gone = sqlx::query_scalar(
        "DELETE FROM oauth_key WHERE issuer = ?1 AND max(?2 - signed_at, 0) - 86400 >= ?3 RETURNING key_id",
    )
    .bind(issuer.as_str())
    .bind(now.as_signed())
    .bind(signed(idle))
    .fetch_all(connection)
    .await?;
    Ok(gone)
}
