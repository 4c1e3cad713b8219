//! What is done to many records: a few in each write, so that no other has to wait for long.

use std::time::Duration;

use sqlx::{Connection, SqliteConnection};

use super::{DatabaseError, SqliteStore};
use super::{keys, revoked};
use crate::grant::{RevocationReason, RevokedTokens};
use crate::store::Holder;
use crate::types::{Issuer, UnixTime};

/// How many records one write sweeps or ends, as the statements say.
const BATCH: usize = 500;

macro_rules! over {
    ($rest:literal) => {
        concat!("issuer = ?2 AND (revoked_at IS NOT NULL OR expires_at <= ?3 OR max(?3 - rotated_at, 0) >= ?4) ", $rest)
    };
}

const FIND_OVER: &str = concat!("SELECT id FROM oauth_grant WHERE id > ?1 AND ", over!("ORDER BY id LIMIT 500"));
const FORGET: &str = concat!("DELETE FROM oauth_grant WHERE id IN (SELECT value FROM json_each(?1)) AND ", over!(""));

macro_rules! end_all {
    ($of:literal) => {
        concat!(
            "UPDATE oauth_grant SET revoked_at = ?2, revoke_reason = ?3, changes = changes + 1 WHERE id IN (SELECT id ",
            "FROM oauth_grant WHERE id > ?1 AND revoked_at IS NULL AND issuer = ?4 AND ",
            $of,
            " ORDER BY id LIMIT 500) RETURNING id"
        )
    };
}

const END_USER: &str = end_all!("subject = ?5");
const END_USER_AT_CLIENT: &str = end_all!("subject = ?5 AND client_id = ?6");
const END_CLIENT: &str = end_all!("client_id = ?5");

impl SqliteStore {
    /// Ends every grant of a holder, in the order of their making; answers how many were not ended yet.
    pub(super) async fn end_all(
        &self,
        issuer: &Issuer,
        holder: &Holder,
        reason: RevocationReason,
        now: UnixTime,
    ) -> Result<usize, DatabaseError> {
        let (mut ended, mut after) = (0, 0);
        loop {
            let (issuer, holder) = (issuer.clone(), holder.clone());
            let rows = self
                .0
                .writer
                .write(move |connection| {
                    Box::pin(async move { end_some(connection, after, &issuer, &holder, reason, now).await })
                })
                .await?;
            ended += rows.len();
            match rows.iter().max() {
                Some(last) if rows.len() == BATCH => after = *last,
                _ => return Ok(ended),
            }
        }
    }

    /// Forgets the grants that are over: found by the readers, in the order of their making.
    pub(super) async fn sweep_grants(&self, issuer: &Issuer, now: i64, idle: i64) -> Result<usize, DatabaseError> {
        let (mut swept, mut after) = (0, 0);
        loop {
            let over: Vec<i64> = sqlx::query_scalar(FIND_OVER)
                .bind(after)
                .bind(issuer.as_str())
                .bind(now)
                .bind(idle)
                .fetch_all(&self.0.readers)
                .await?;
            let Some(last) = over.last() else { return Ok(swept) };
            after = *last;
            let ids = serde_json::Value::from(over).to_string();
            // They may have been used since they were found, so the statement looks again.
            let forget = sqlx::query(FORGET).bind(ids).bind(issuer.as_str()).bind(now).bind(idle);
            swept += self.0.writer.execute(forget).await? as usize;
        }
    }

    /// Forgets the keys of `once` and the revocations that have passed, the registrations that nobody connected, and the
    /// signing keys that no refresh token can have any more.
    pub(super) async fn sweep_the_rest(
        &self,
        issuer: &Issuer,
        now: UnixTime,
        idle: Duration,
    ) -> Result<(), DatabaseError> {
        let passed = "DELETE FROM oauth_once WHERE key IN (SELECT key FROM oauth_once WHERE until <= ?1 LIMIT 500)";
        while self.0.writer.execute(sqlx::query(passed).bind(now.as_signed())).await? >= BATCH as u64 {}
        self.0.writer.execute(revoked::forget(issuer, now)).await?;
        let unused = "DELETE FROM oauth_client WHERE issuer = ?1 AND keep_until <= ?2 AND client_id NOT IN \
                      (SELECT client_id FROM oauth_grant WHERE issuer = ?1)";
        let forget = sqlx::query(unused).bind(issuer.as_str()).bind(now.as_signed());
        self.0.writer.execute(forget).await?;
        for id in self.0.keys.signing(issuer) {
            self.0.writer.execute(keys::note(issuer, id, now)).await?;
        }
        let of = issuer.clone();
        let gone = self
            .0
            .writer
            .write(move |connection| Box::pin(async move { keys::sweep(connection, &of, now, idle).await }))
            .await?;
        self.0.keys.forget(issuer, |id| gone.iter().any(|gone| gone == id));
        Ok(())
    }
}

/// Ends a few of a holder's grants; answers which rows.
async fn end_some(
    connection: &mut SqliteConnection,
    after: i64,
    issuer: &Issuer,
    holder: &Holder,
    reason: RevocationReason,
    now: UnixTime,
) -> Result<Vec<i64>, DatabaseError> {
    let (statement, whose, client) = match holder {
        Holder::User(subject) => (END_USER, subject.as_str(), None),
        Holder::UserAtClient(subject, client) => (END_USER_AT_CLIENT, subject.as_str(), Some(client.as_str())),
        Holder::Client(client) => (END_CLIENT, client.as_str(), None),
    };
    let query = sqlx::query_scalar(statement)
        .bind(after)
        .bind(now.as_signed())
        .bind(reason.as_str())
        .bind(issuer.as_str())
        .bind(whose);
    let query = match client {
        Some(client) => query.bind(client),
        None => query,
    };
    let mut transaction = connection.begin().await?;
    let rows = query.fetch_all(&mut *transaction).await?;
    revoked::keep_all(&mut transaction, &rows, RevokedTokens::until_of_all(now)).await?;
    transaction.commit().await?;
    Ok(rows)
}
