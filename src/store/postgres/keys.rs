//! The key ids in use, as rows.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::Row as _;

use super::DatabaseError;
use super::connections::{Connections, Statement, in_time};
use super::rows::query;
use super::statements::Statements;
use crate::store::database::{KeyId, Keys, signed};
use crate::types::{Issuer, UnixTime};

pub(super) async fn load(connections: &Connections, statements: &Statements) -> Result<Keys, DatabaseError> {
    let rows = connections.run(|| query(&statements.keys)).await?;
    let keys = rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?)));
    Ok(Keys::new(keys.collect::<Result<Vec<_>, sqlx::Error>>()?))
}

/// The keys of providers that started and that are not noted yet.
#[derive(Default)]
pub(super) struct Unnoted {
    any: AtomicBool,
    keys: Mutex<Vec<(Issuer, KeyId, UnixTime)>>,
    noting: tokio::sync::Mutex<()>,
}

impl Unnoted {
    pub(super) fn add(&self, issuer: &Issuer, id: KeyId, now: UnixTime) {
        self.keys().push((issuer.clone(), id, now));
        self.any.store(true, Ordering::Release);
    }

    /// Notes them, or waits until somebody else has. Whoever writes a grant asks for it first: so a key is known before
    /// there are handles that it made.
    pub(super) async fn note(&self, connections: &Connections, statements: &Statements) -> Result<(), DatabaseError> {
        if !self.any.load(Ordering::Acquire) {
            return Ok(());
        }
        // Whoever waits for the others is late with them.
        in_time(async {
            let _noting = self.noting.lock().await;
            self.note_alone(connections, statements).await
        })
        .await
    }

    async fn note_alone(&self, connections: &Connections, statements: &Statements) -> Result<(), DatabaseError> {
        let keys = self.keys().clone();
        for (issuer, id, now) in &keys {
            connections.run(|| note(statements, issuer, id, *now)).await?;
        }
        let mut left = self.keys();
        left.drain(..keys.len());
        self.any.store(!left.is_empty(), Ordering::Release);
        Ok(())
    }

    fn keys(&self) -> MutexGuard<'_, Vec<(Issuer, KeyId, UnixTime)>> {
        // A list that is whole after every operation.
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
