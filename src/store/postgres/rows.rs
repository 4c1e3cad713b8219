//! Grants as rows, and the steps as what a statement binds.

use std::sync::Arc;

use sqlx::postgres::PgRow;
use sqlx::{Row as _, SqlStr};

use super::DatabaseError;
use super::connections::Statement;
use super::statements::Statements;
use crate::grant::{Grant, Redemption, Revocation, RevokedTokens, Rotation};
use crate::handle::GrantKey;
use crate::store::Holder;
use crate::store::database::{COLUMNS, bind_columns, read, signed};
use crate::types::Issuer;

/// The grant of a row.
pub(super) fn grant(row: &PgRow) -> Result<Arc<Grant>, DatabaseError> {
    Ok(Arc::new(read(row)?))
}

/// A grant, and whether the transition that answered it changed it.
pub(super) fn stepped(row: &PgRow) -> Result<(Arc<Grant>, bool), DatabaseError> {
    Ok((grant(row)?, row.try_get(COLUMNS)?))
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
pub(super) fn create<'q>(statements: &Statements, grant: &Grant) -> Statement<'q> {
    let record = grant.to_record();
    bind_columns!(query(&statements.create), record)
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

/// The usual rotation.
pub(super) fn rotate<'q>(statements: &Statements, key: &'q GrantKey, step: &'q Rotation) -> Statement<'q> {
    query(&statements.rotate).bind(&key.as_bytes()[..]).bind(i64::from(step.generation)).bind(step.now.as_signed())
}

/// Any other.
pub(super) fn rotate_else<'q>(statements: &Statements, key: &'q GrantKey, step: &'q Rotation) -> Statement<'q> {
    query(&statements.rotate_else)
        .bind(&key.as_bytes()[..])
        .bind(step.issuer.as_str())
        .bind(step.client.as_str())
        .bind(&step.secret[..])
        .bind(i64::from(step.generation))
        .bind(signed(step.idle))
        .bind(step.now.as_signed())
        .bind(signed(step.grace))
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
            .bind(step.now.as_secs().to_be_bytes().to_vec())
            .bind(RevokedTokens::until_of_one(end).as_signed()),
    }
}
