//! The key ids in use, as rows.

use std::time::Duration;

use sqlx::Row as _;

use super::DatabaseError;
use super::connections::{Connections, Statement};
use super::rows::query;
use super::statements::Statements;
use crate::store::database::{KeyId, Keys, signed};
use crate::types::{Issuer, UnixTime};

pub(super) async fn load(connections: &Connections, statements: &Statements) -> Result<Keys, DatabaseError> {
    let rows = connections.run(|| query(&statements.keys)).await?;
    let keys = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    Ok(Keys::new(keys.collect::<Result<Vec<_>, sqlx::Error>>()?))
}

/// Notes that a key signs; once an hour is enough.
pub(super) fn note<'q>(statements: &Statements, issuer: &'q Issuer, id: &'q KeyId, now: UnixTime) -> Statement<'q> {
    query(&statements.note_key).bind(issuer.as_str()).bind(&id[..]).bind(now.as_signed())
}

/// Forgets the keys whose last refresh token has been idle for too long; a day more, because they are noted now and
/// then. Answers which.
pub(super) async fn sweep(
    connections: &Connections,
    statements: &Statements,
    issuer: &Issuer,
    now: UnixTime,
    idle: Duration,
) -> Result<Vec<Vec<u8>>, DatabaseError> {
    let sweep = || query(&statements.sweep_keys).bind(issuer.as_str()).bind(now.as_signed()).bind(signed(idle));
    let gone = connections.run(sweep).await?;
    Ok(gone.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}
