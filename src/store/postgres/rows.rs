//! Grants as rows, and the steps as what a statement binds.

use sqlx::Row as _;
use sqlx::SqlStr;
use sqlx::postgres::PgRow;

use super::DatabaseError;
use super::connections::Statement;
use super::statements::{Statements, outcome};
use crate::error::InvalidRecord;
use crate::grant::{Grant, GrantRecord, Outcome, Redemption, Revocation, Rotation};
use crate::handle::GrantKey;
use crate::store::Holder;
use crate::store::database::signed;
use crate::types::Issuer;

/// A grant, and what the statement that answered it made of it.
pub(super) struct Row {
    pub(super) grant: Grant,
    pub(super) outcome: Option<Outcome>,
}

impl Row {
    pub(super) fn read(row: &PgRow) -> Result<Self, DatabaseError> {
        let (record, number) = columns(row).map_err(|_| InvalidRecord::new("a column of another type"))?;
        Ok(Self { grant: Grant::from_record(record)?, outcome: number.and_then(outcome) })
    }
}

fn columns(row: &PgRow) -> Result<(GrantRecord, Option<i16>), sqlx::Error> {
    let key: &[u8] = row.try_get(0)?;
    let mut record = GrantRecord {
        key: key.try_into().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        issuer: row.try_get(1)?,
        client_id: row.try_get(2)?,
        subject: row.try_get(3)?,
        scope: row.try_get(4)?,
        resources: row.try_get(5)?,
        claims: row.try_get(6)?,
        auth_time: row.try_get(7)?,
        redirect_uri: row.try_get(8)?,
        redirect_uri_sent: row.try_get(9)?,
        challenge: row.try_get(10)?,
        created_at: row.try_get(11)?,
        expires_at: row.try_get(12)?,
        ..GrantRecord::default()
    };
    record.redeemed_at = row.try_get(13)?;
    record.rotated_at = row.try_get(14)?;
    record.secret_hash = row.try_get(15)?;
    record.generation = row.try_get(16)?;
    record.revoked_at = row.try_get(17)?;
    record.revoke_reason = row.try_get(18)?;
    record.revoked_tokens = row.try_get(19)?;
    record.revoked_until = row.try_get(20)?;
    Ok((record, row.try_get(21)?))
}

pub(super) fn query<'q>(text: &SqlStr) -> Statement<'q> {
    sqlx::query(text.clone())
}

pub(super) fn find<'q>(statements: &Statements, key: &'q GrantKey) -> Statement<'q> {
    query(&statements.find).bind(&key.as_bytes()[..])
}

pub(super) fn held<'q>(statements: &Statements, issuer: &'q Issuer, holder: &'q Holder) -> Statement<'q> {
    match holder {
        Holder::User(subject) => query(&statements.of_user).bind(issuer.as_str()).bind(subject.as_str()),
        Holder::UserAtClient(subject, client) => {
            query(&statements.of_user_at_client).bind(issuer.as_str()).bind(subject.as_str()).bind(client.as_str())
        }
        Holder::Client(client) => query(&statements.of_client).bind(issuer.as_str()).bind(client.as_str()),
    }
}

/// Keeps a new grant; one whose key is there already is left as it is.
pub(super) fn create<'q>(statements: &Statements, record: &'q GrantRecord) -> Statement<'q> {
    query(&statements.create)
        .bind(&record.key[..])
        .bind(&*record.issuer)
        .bind(&*record.client_id)
        .bind(record.subject.as_deref())
        .bind(&*record.scope)
        .bind(&*record.resources)
        .bind(record.claims.as_deref())
        .bind(record.auth_time)
        .bind(record.redirect_uri.as_deref())
        .bind(record.redirect_uri_sent)
        .bind(record.challenge.as_deref())
        .bind(record.created_at)
        .bind(record.expires_at)
        .bind(record.redeemed_at)
        .bind(record.rotated_at)
        .bind(record.secret_hash.as_deref())
        .bind(record.generation)
        .bind(record.revoked_at)
        .bind(record.revoke_reason.as_deref())
        .bind(record.revoked_tokens.as_deref())
        .bind(record.revoked_until)
}

pub(super) fn redeem<'q>(statements: &Statements, key: &'q GrantKey, step: &'q Redemption) -> Statement<'q> {
    // PostgreSQL has no text with a NUL, so none is the redirect URI of a grant; neither is the empty one.
    let redirect_uri = step.redirect_uri.as_deref().map(|uri| if uri.contains('\0') { "" } else { uri });
    query(&statements.redeem)
        .bind(&key.as_bytes()[..])
        .bind(step.issuer.as_str())
        .bind(step.client.as_str())
        .bind(redirect_uri)
        .bind(step.challenge.as_ref().map(|challenge| &challenge[..]))
        .bind(&step.secret[..])
        .bind(step.grant_expires_at.as_signed())
        .bind(signed(step.double_submit))
        .bind(step.now.as_signed())
}

pub(super) fn rotate<'q>(statements: &Statements, key: &'q GrantKey, step: &'q Rotation) -> Statement<'q> {
    query(&statements.rotate)
        .bind(&key.as_bytes()[..])
        .bind(step.issuer.as_str())
        .bind(step.client.as_str())
        .bind(&step.secret[..])
        .bind(i64::from(step.generation))
        .bind(signed(step.grace))
        .bind(signed(step.idle))
        .bind(step.now.as_signed())
}

pub(super) fn revoke<'q>(statements: &Statements, key: &'q GrantKey, step: &'q Revocation) -> Statement<'q> {
    let text = if step.token.is_some() { &statements.revoke_token } else { &statements.revoke };
    let bound = query(text)
        .bind(&key.as_bytes()[..])
        .bind(step.issuer.as_str())
        .bind(step.client.as_ref().map(|client| client.as_str()))
        .bind(step.secret.as_ref().map(|secret| &secret[..]));
    match step.token {
        None => bound.bind(step.reason.as_str()).bind(step.now.as_signed()),
        Some((id, end)) => bound
            .bind([id, end.as_secs().to_be_bytes()].concat())
            .bind(step.now.as_signed())
            .bind(step.now.as_secs().to_be_bytes().to_vec()),
    }
}
