//! A grant as the columns of a row, the same ones in every SQL database.

use sqlx::{ColumnIndex, Decode, Error, Row};

use crate::error::InvalidRecord;
use crate::grant::{Grant, GrantRecord};

/// What is kept of a grant, in the order of [`GrantRecord`].
macro_rules! columns {
    () => {
        "key, issuer, client_id, subject, scope, resources, claims, auth_time, redirect_uri, redirect_uri_sent, challenge, \
         created_at, expires_at, redeemed_at, rotated_at, secret_hash, generation, revoked_at, revoke_reason, \
         revoked_tokens, revoked_until"
    };
}

/// Binds all of them.
macro_rules! bind_columns {
    ($query:expr, $record:ident) => {
        $query
            .bind($record.key.to_vec())
            .bind($record.issuer)
            .bind($record.client_id)
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
            .bind($record.rotated_at)
            .bind($record.secret_hash)
            .bind($record.generation)
            .bind($record.revoked_at)
            .bind($record.revoke_reason)
            .bind($record.revoked_tokens)
            .bind($record.revoked_until)
    };
}

pub(in crate::store) use {bind_columns, columns};

/// How many they are.
pub(in crate::store) const COLUMNS: usize = 21;

/// The grant of a row that begins with all of them. They have these types in every schema, so no row is asked for them.
pub(in crate::store) fn read<'r, R>(row: &'r R) -> Result<Grant, InvalidRecord>
where
    R: Row,
    usize: ColumnIndex<R>,
    bool: Decode<'r, R::Database>,
    i64: Decode<'r, R::Database>,
    String: Decode<'r, R::Database>,
    Vec<u8>: Decode<'r, R::Database>,
    &'r [u8]: Decode<'r, R::Database>,
{
    let record = || {
        let key: &[u8] = row.try_get_unchecked(0)?;
        Ok::<_, Error>(GrantRecord {
            key: key.try_into().map_err(|error| Error::Decode(Box::new(error)))?,
            issuer: row.try_get_unchecked(1)?,
            client_id: row.try_get_unchecked(2)?,
            subject: row.try_get_unchecked(3)?,
            scope: row.try_get_unchecked(4)?,
            resources: row.try_get_unchecked(5)?,
            claims: row.try_get_unchecked(6)?,
            auth_time: row.try_get_unchecked(7)?,
            redirect_uri: row.try_get_unchecked(8)?,
            redirect_uri_sent: row.try_get_unchecked(9)?,
            challenge: row.try_get_unchecked(10)?,
            created_at: row.try_get_unchecked(11)?,
            expires_at: row.try_get_unchecked(12)?,
            redeemed_at: row.try_get_unchecked(13)?,
            rotated_at: row.try_get_unchecked(14)?,
            secret_hash: row.try_get_unchecked(15)?,
            generation: row.try_get_unchecked(16)?,
            revoked_at: row.try_get_unchecked(17)?,
            revoke_reason: row.try_get_unchecked(18)?,
            revoked_tokens: row.try_get_unchecked(19)?,
            revoked_until: row.try_get_unchecked(20)?,
        })
    };
    Grant::from_record(record().map_err(|_| InvalidRecord::new("a column of another type"))?)
}
