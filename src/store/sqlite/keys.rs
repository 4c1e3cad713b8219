//! With which keys handles were made, so that no provider starts that would take good ones for forged.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::{SqliteConnection, SqlitePool};

use super::SqliteError;
use super::writer::Statement;
use crate::types::{Issuer, UnixTime};

pub(super) type KeyId = [u8; 4];

/// What is known of the table, and what the providers of this process sign with.
pub(super) struct Keys(Mutex<Known>);

#[derive(Default)]
struct Known {
    in_use: HashSet<(Issuer, KeyId)>,
    signing: HashSet<(Issuer, KeyId)>,
}

impl Keys {
    pub(super) async fn load(pool: &SqlitePool) -> Result<Self, SqliteError> {
        let rows: Vec<(String, Vec<u8>)> =
            sqlx::query_as("SELECT issuer, key_id FROM oauth_key").fetch_all(pool).await?;
        let key = |(issuer, id): (String, Vec<u8>)| Some((issuer.into(), id.try_into().ok()?));
        let in_use = rows.into_iter().filter_map(key).collect();
        Ok(Self(Mutex::new(Known { in_use, ..Known::default() })))
    }

    /// Whether any handles were made at all.
    pub(super) fn any(&self) -> bool {
        !self.known().in_use.is_empty()
    }

    /// A provider has these keys; answers the one that signs.
    pub(super) fn start(&self, issuer: &Issuer, ids: &[KeyId]) -> Result<Option<KeyId>, SqliteError> {
        let mut known = self.known();
        let lacking = known.in_use.iter().filter(|(of, id)| of == issuer && !ids.contains(id)).count();
        if lacking > 0 {
            return Err(SqliteError::refused(format!(
                "{lacking} of the secrets that signed tokens of {issuer} are missing: add them behind the first one, \
                 or end those tokens with `SqliteStore::forget_keys`"
            )));
        }
        let Some(signing) = ids.first() else { return Ok(None) };
        known.in_use.insert((issuer.clone(), *signing));
        known.signing.insert((issuer.clone(), *signing));
        Ok(Some(*signing))
    }

    /// What the providers of this process sign with.
    pub(super) fn signing(&self, issuer: &Issuer) -> Vec<KeyId> {
        self.known().signing.iter().filter(|(of, _)| of == issuer).map(|(_, id)| *id).collect()
    }

    pub(super) fn forget(&self, issuer: &Issuer, gone: impl Fn(&KeyId) -> bool) {
        self.known().in_use.retain(|(of, id)| of != issuer || !gone(id));
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Two sets of which each is whole after every operation.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
) -> Result<Vec<Vec<u8>>, SqliteError> {
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

/// Seconds as SQLite counts them.
pub(super) fn signed(span: Duration) -> i64 {
    span.as_secs().try_into().unwrap_or(i64::MAX)
}
