//! What is done to many records: a few in each statement, so that no other has to wait for long.

use std::time::Duration;

use sqlx::Row as _;

use super::keys;
use super::rows::query;
use super::{DatabaseError, PostgresStore};
use crate::grant::RevocationReason;
use crate::store::Holder;
use crate::types::{Issuer, UnixTime};

/// How many records one statement sweeps or ends, as the statements say.
const BATCH: usize = 500;
/// How many pages of a table one statement looks through.
const PAGES: i64 = 512;

impl PostgresStore {
    /// Ends every grant of a holder, until none is found that was not ended; answers how many were not.
    pub(super) async fn end_all(
        &self,
        issuer: &Issuer,
        holder: &Holder,
        reason: RevocationReason,
        now: UnixTime,
    ) -> Result<usize, DatabaseError> {
        let mut ended = 0;
        loop {
            let before = ended;
            let mut after = Some(Vec::new());
            while let Some(key) = after {
                let (count, last) = self.end_some(issuer, holder, reason, now, &key).await?;
                ended += count;
                after = last;
            }
            if ended == before {
                return Ok(ended);
            }
        }
    }

    /// Ends a few of a holder's grants; answers how many, and behind which key there are more.
    async fn end_some(
        &self,
        issuer: &Issuer,
        holder: &Holder,
        reason: RevocationReason,
        now: UnixTime,
        after: &[u8],
    ) -> Result<(usize, Option<Vec<u8>>), DatabaseError> {
        let statements = &self.0.statements;
        let (text, whose, client) = match holder {
            Holder::User(subject) => (&statements.end_user, subject.as_str(), None),
            Holder::UserAtClient(subject, client) => {
                (&statements.end_user_at_client, subject.as_str(), Some(client.as_str()))
            }
            Holder::Client(client) => (&statements.end_client, client.as_str(), None),
        };
        let end = || {
            let bound = query(text).bind(issuer.as_str()).bind(reason.as_str()).bind(now.as_signed());
            let bound = bound.bind(after).bind(whose);
            match client {
                Some(client) => bound.bind(client),
                None => bound,
            }
        };
        let rows = self.0.connections.run(end).await?;
        let Some(row) = rows.first() else { return Ok((0, None)) };
        let (ended, seen): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        let more = usize::try_from(seen).is_ok_and(|seen| seen >= BATCH);
        let last = if more { row.try_get(2)? } else { None };
        Ok((usize::try_from(ended).unwrap_or_default(), last))
    }

    /// Forgets the grants that are over, in the order in which they lie on the disk.
    pub(super) async fn sweep_grants(&self, issuer: &Issuer, now: i64, idle: i64) -> Result<usize, DatabaseError> {
        let Self(inner) = self;
        let table = format!("{}.oauth_grant", inner.schema);
        let lock = format!("tower-oauth sweeps {} for {issuer}", inner.schema);
        let rows = inner.connections.run(|| query(&inner.statements.pages).bind(&table)).await?;
        let pages: i64 = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
        let (mut swept, mut from) = (0, 0);
        while from < pages {
            let sweep = || {
                query(&inner.statements.sweep_grants)
                    .bind(issuer.as_str())
                    .bind(now)
                    .bind(idle)
                    .bind(from)
                    .bind(from + PAGES)
                    .bind(&lock)
            };
            let count = inner.connections.run(sweep).await?.len();
            swept += count;
            if count < BATCH {
                from += PAGES;
            }
        }
        Ok(swept)
    }

    /// Forgets the keys of `once` and the revocations that have passed, the registrations that nobody connected, and the
    /// signing keys that no refresh token can have any more.
    pub(super) async fn sweep_the_rest(
        &self,
        issuer: &Issuer,
        now: UnixTime,
        idle: Duration,
    ) -> Result<(), DatabaseError> {
        let Self(inner) = self;
        let (connections, statements) = (&inner.connections, &inner.statements);
        while connections.run(|| query(&statements.sweep_once).bind(now.as_signed())).await?.len() >= BATCH {}
        let passed = || query(&statements.sweep_revoked).bind(issuer.as_str()).bind(now.as_signed());
        while connections.run(passed).await?.len() >= BATCH {}
        connections.run(|| query(&statements.sweep_clients).bind(issuer.as_str()).bind(now.as_signed())).await?;
        for id in inner.keys.signing(issuer) {
            connections.run(|| keys::note(statements, issuer, &id, now)).await?;
        }
        let gone = keys::sweep(connections, statements, issuer, now, idle).await?;
        inner.keys.forget(issuer, |id| gone.iter().any(|gone| gone == id));
        Ok(())
    }
}
