//! Grants as rows.

use std::sync::Arc;

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection, SqliteExecutor};

use super::DatabaseError;
use super::signed;
use super::writer::Statement;
use crate::grant::{Grant, Redemption, Rotation};
use crate::handle::GrantKey;
use crate::store::Holder;
use crate::store::database::{COLUMNS, bind_columns, columns, read};
use crate::types::Issuer;

/// A grant, and how often its row was changed.
pub(super) struct Row {
    pub(super) grant: Arc<Grant>,
    changes: i64,
}

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ", columns!(), ", changes FROM oauth_grant WHERE ", $rest)
    };
}

const FIND: &str = select!("key = ?1");
const OF_USER: &str = select!("issuer = ?1 AND subject = ?2");
const OF_USER_AT_CLIENT: &str = select!("issuer = ?1 AND subject = ?2 AND client_id = ?3");
const OF_CLIENT: &str = select!("issuer = ?1 AND client_id = ?2");

const INSERT: &str = concat!(
    "INSERT INTO oauth_grant (",
    columns!(),
    ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21) ",
    "ON CONFLICT (key) DO NOTHING"
);

const REPLACE: &str = "UPDATE oauth_grant SET expires_at = ?3, redeemed_at = ?4, rotated_at = ?5, secret_hash = ?6, \
    generation = ?7, revoked_at = ?8, revoke_reason = ?9, revoked_tokens = ?10, revoked_until = ?11, \
    changes = changes + 1 WHERE key = ?1 AND changes = ?2";

/// The usual case of a rotation; what it asks for is in [`Grant::rotate`].
const ROTATE: &str = concat!(
    "UPDATE oauth_grant SET generation = generation + 1, rotated_at = ?6, changes = changes + 1 ",
    "WHERE key = ?1 AND issuer = ?2 AND client_id = ?3 AND secret_hash = ?4 AND generation = ?5 ",
    "AND revoked_at IS NULL AND expires_at > ?6 AND max(?6 - rotated_at, 0) < ?7 RETURNING ",
    columns!(),
    ", changes"
);

/// The usual case of a redemption; what it asks for is in [`Grant::redeem`].
const REDEEM: &str = concat!(
    "UPDATE oauth_grant SET redeemed_at = ?7, rotated_at = ?7, secret_hash = ?5, generation = 0, expires_at = ?6, ",
    "changes = changes + 1 WHERE key = ?1 AND issuer = ?2 AND client_id = ?3 AND challenge IS ?4 ",
    "AND iif(?8 IS NULL, challenge IS NOT NULL OR NOT redirect_uri_sent, redirect_uri = ?8) ",
    "AND redeemed_at IS NULL AND revoked_at IS NULL AND expires_at > ?7 RETURNING ",
    columns!(),
    ", changes"
);

pub(super) async fn find(executor: impl SqliteExecutor<'_>, key: GrantKey) -> Result<Option<Row>, DatabaseError> {
    let row = sqlx::query(FIND).bind(&key.as_bytes()[..]).fetch_optional(executor).await?;
    row.as_ref().map(Row::read).transpose()
}

pub(super) async fn held(
    executor: impl SqliteExecutor<'_>,
    issuer: &Issuer,
    holder: &Holder,
) -> Result<Vec<Arc<Grant>>, DatabaseError> {
    let query = match holder {
        Holder::User(subject) => sqlx::query(OF_USER).bind(issuer.as_str()).bind(subject.as_str()),
        Holder::UserAtClient(subject, client) => {
            sqlx::query(OF_USER_AT_CLIENT).bind(issuer.as_str()).bind(subject.as_str()).bind(client.as_str())
        }
        Holder::Client(client) => sqlx::query(OF_CLIENT).bind(issuer.as_str()).bind(client.as_str()),
    };
    query.fetch_all(executor).await?.iter().map(|row| Ok(Row::read(row)?.grant)).collect()
}

/// Keeps a new grant; one whose key is there already is left as it is.
pub(super) fn insert(grant: &Grant) -> Statement {
    let record = grant.to_record();
    bind_columns!(sqlx::query(INSERT), record)
}

/// Rotates, where nothing speaks against it.
pub(super) fn rotate(key: GrantKey, step: &Rotation) -> Statement {
    sqlx::query(ROTATE)
        .bind(key.as_bytes().to_vec())
        .bind(step.issuer.as_str().to_owned())
        .bind(step.client.as_str().to_owned())
        .bind(step.secret.to_vec())
        .bind(step.generation)
        .bind(step.now.as_signed())
        .bind(signed(step.idle))
}

/// Redeems, where nothing speaks against it.
pub(super) fn redeem(key: GrantKey, step: &Redemption) -> Statement {
    sqlx::query(REDEEM)
        .bind(key.as_bytes().to_vec())
        .bind(step.issuer.as_str().to_owned())
        .bind(step.client.as_str().to_owned())
        .bind(step.challenge.map(|challenge| challenge.to_vec()))
        .bind(step.secret.to_vec())
        .bind(step.grant_expires_at.as_signed())
        .bind(step.now.as_signed())
        .bind(step.redirect_uri.clone())
}

/// The record as a statement left it; `None` if the statement changed none.
pub(super) async fn changed(
    connection: &mut SqliteConnection,
    statement: Statement,
) -> Result<Option<Arc<Grant>>, DatabaseError> {
    // All of the answer and not its row alone: the row is there before its transaction is committed.
    let rows = statement.fetch_all(connection).await?;
    rows.first().map(|row| Ok(Row::read(row)?.grant)).transpose()
}

impl Row {
    /// Writes what this grant has become; false where the row is not the one that was read any more.
    pub(super) async fn replace(
        &self,
        connection: &mut SqliteConnection,
        grant: &Grant,
    ) -> Result<bool, DatabaseError> {
        let record = grant.to_record();
        let query = sqlx::query(REPLACE)
            .bind(&record.key[..])
            .bind(self.changes)
            .bind(record.expires_at)
            .bind(record.redeemed_at)
            .bind(record.rotated_at)
            .bind(record.secret_hash)
            .bind(record.generation)
            .bind(record.revoked_at)
            .bind(record.revoke_reason)
            .bind(record.revoked_tokens)
            .bind(record.revoked_until);
        let written = query.execute(connection).await?;
        Ok(written.rows_affected() == 1)
    }

    fn read(row: &SqliteRow) -> Result<Self, DatabaseError> {
        Ok(Self { grant: Arc::new(read(row)?), changes: row.try_get(COLUMNS)? })
    }
}
