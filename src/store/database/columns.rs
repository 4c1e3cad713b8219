//! A grant as the columns of a row, the same ones in every SQL database.

use sqlx::{ColumnIndex, Decode, Error, Row, Type};

use crate::error::InvalidRecord;
use crate::grant::{Grant, GrantRecord};

/// What a rotation leaves alone, and is not held against.
macro_rules! kept_columns {
    () => {
        "subject, scope, resources, claims, auth_time, redirect_uri, redirect_uri_sent, challenge, created_at, expires_at, \
         redeemed_at, revoked_tokens, revoked_until"
    };
}

/// What is kept of a grant: [`GrantRecord`].
macro_rules! columns {
    () => {
        concat!(
            $crate::store::database::kept_columns!(),
            ", key, issuer, client_id, rotated_at, secret_hash, generation, revoked_at, revoke_reason"
        )
    };
}

/// Binds all of them.
macro_rules! bind_columns {
    ($query:expr, $record:ident) => {
        $query
            .bind($record.subject)
            .bind($record.scope)
            .bind($record.resources)
            .bind($record.claims)
            .bind($record.auth_time)
            .bind($record.redirect_uri)
            .bind($record.redirect_uri_sent)
            .bind($record.challenge)
            .bind($record.created_at)
            .bind($record.expires_at)
            .bind($record.redeemed_at)
            .bind($record.revoked_tokens)
            .bind($record.revoked_until)
            .bind($record.key.to_vec())
            .bind($record.issuer)
            .bind($record.client_id)
            .bind($record.rotated_at)
            .bind($record.secret_hash)
            .bind($record.generation)
            .bind($record.revoked_at)
            .bind($record.revoke_reason)
    };
}

pub(in crate::store) use {bind_columns, columns, kept_columns};

/// How many they are.
pub(in crate::store) const COLUMNS: usize = 21;

/// The grant of a row that begins with all of them.
pub(in crate::store) fn read<'r, R>(row: &'r R) -> Result<Grant, InvalidRecord>
where
    R: Row,
    usize: ColumnIndex<R>,
    bool: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
    &'r [u8]: Decode<'r, R::Database> + Type<R::Database>,
{
    let all = || {
        let key: &[u8] = row.try_get(13)?;
        Ok(GrantRecord {
            key: key.try_into().map_err(|error| Error::Decode(Box::new(error)))?,
            issuer: row.try_get(14)?,
            client_id: row.try_get(15)?,
            rotated_at: row.try_get(16)?,
            secret_hash: row.try_get(17)?,
            generation: row.try_get(18)?,
            revoked_at: row.try_get(19)?,
            revoke_reason: row.try_get(20)?,
            ..kept(row)?
        })
    };
    Grant::from_record(all().map_err(unreadable)?)
}

/// What a row says that begins with those that a rotation leaves alone.
pub(in crate::store) fn kept<'r, R>(row: &'r R) -> Result<GrantRecord, Error>
where
    R: Row,
    usize: ColumnIndex<R>,
    bool: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
{
    Ok(GrantRecord {
        subject: row.try_get(0)?,
        scope: row.try_get(1)?,
        resources: row.try_get(2)?,
        claims: row.try_get(3)?,
        auth_time: row.try_get(4)?,
        redirect_uri: row.try_get(5)?,
        redirect_uri_sent: row.try_get(6)?,
        challenge: row.try_get(7)?,
        created_at: row.try_get(8)?,
        expires_at: row.try_get(9)?,
        redeemed_at: row.try_get(10)?,
        revoked_tokens: row.try_get(11)?,
        revoked_until: row.try_get(12)?,
        ..GrantRecord::default()
    })
}

#[allow(clippy::needless_pass_by_value, reason = "it is what `map_err` calls")]
pub(in crate::store) fn unreadable(_: Error) -> InvalidRecord {
    InvalidRecord::new("a column of another type")
}
