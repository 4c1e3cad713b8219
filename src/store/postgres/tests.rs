//! A statement that says a rule wrongly is caught by the suite.

use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use super::server::Database;
use super::*;
use crate::store::contract;

/// Enough for the rarest of them.
const STEPS: usize = 8_000;

type Which = fn(&mut Statements) -> &mut SqlStr;

const REDEEM: Which = |statements| &mut statements.redeem;
const ROTATE: Which = |statements| &mut statements.rotate;
const ROTATE_ELSE: Which = |statements| &mut statements.rotate_else;
const REVOKE: Which = |statements| &mut statements.revoke;
const REVOKE_TOKEN: Which = |statements| &mut statements.revoke_token;

/// A part of a statement, and what is wrong in its place.
const MUTATIONS: &[(Which, &str, &str)] = &[
    (REDEEM, "'code_reuse'", "'refresh_reuse'"),
    (REDEEM, "THEN NULL ELSE $9::bigint END", "THEN NULL ELSE $9::bigint + 1 END"),
    (REDEEM, "THEN $7::bigint ELSE expires_at", "THEN expires_at ELSE expires_at"),
    (REDEEM, "THEN $7::bigint ELSE expires_at", "THEN $7::bigint ELSE $7::bigint"),
    (REDEEM, "THEN $6::bytea ELSE secret_hash", "THEN $6::bytea ELSE $6::bytea"),
    (REDEEM, "ELSE rotated_at END", "ELSE $9::bigint END"),
    (REDEEM, "ELSE redeemed_at END", "ELSE $9::bigint END"),
    (REDEEM, " AND issuer = $2", " AND $2::text IS NOT NULL"),
    (REDEEM, " AND client_id = $3", " AND $3::text IS NOT NULL"),
    (REDEEM, "THEN challenge IS NOT NULL OR NOT redirect_uri_sent", "THEN true"),
    (REDEEM, "THEN challenge IS NOT NULL OR NOT redirect_uri_sent", "THEN challenge IS NOT NULL"),
    (REDEEM, "THEN challenge IS NOT NULL OR NOT redirect_uri_sent", "THEN NOT redirect_uri_sent"),
    (REDEEM, "ELSE redirect_uri = $4::text END", "ELSE true END"),
    (REDEEM, " AND challenge IS NOT DISTINCT FROM $5::bytea", " AND ($5::bytea IS NULL OR challenge = $5::bytea)"),
    (REDEEM, " AND revoked_at IS NULL", ""),
    (REDEEM, "expires_at > $9", "expires_at >= $9"),
    (REDEEM, "secret_hash = $6::bytea\n         OR", "false OR"),
    (REDEEM, "challenge IS NOT NULL AND greatest", "greatest"),
    (REDEEM, ", 0) < $8", ", 0) <= $8"),
    (REDEEM, "greatest($9::bigint - redeemed_at, 0)", "abs($9::bigint - redeemed_at)"),
    (ROTATE, "generation + 1", "generation + 2"),
    (ROTATE, "rotated_at = $3", "rotated_at = $3 + 1"),
    (ROTATE, " AND generation = $2", " AND $2::bigint IS NOT NULL"),
    (ROTATE, " AND revoked_at IS NULL", ""),
    (ROTATE_ELSE, "'refresh_reuse'", "'code_reuse'"),
    (ROTATE_ELSE, "THEN NULL ELSE $7::bigint END", "THEN $7::bigint ELSE $7::bigint END"),
    (ROTATE_ELSE, "THEN $7::bigint ELSE rotated_at", "THEN $7::bigint ELSE $7::bigint"),
    (ROTATE_ELSE, "THEN $7::bigint ELSE rotated_at", "THEN rotated_at ELSE rotated_at"),
    (ROTATE_ELSE, "THEN $5::bigint + 1 ELSE", "THEN generation + 1 ELSE"),
    (ROTATE_ELSE, "THEN $5::bigint + 1 ELSE", "THEN $5::bigint ELSE"),
    (ROTATE_ELSE, " AND issuer = $2", " AND $2::text IS NOT NULL"),
    (ROTATE_ELSE, " AND client_id = $3", " AND $3::text IS NOT NULL"),
    (ROTATE_ELSE, " AND secret_hash = $4", " AND $4::bytea IS NOT NULL"),
    (ROTATE_ELSE, " AND revoked_at IS NULL", ""),
    (ROTATE_ELSE, "expires_at > $7", "expires_at >= $7"),
    (ROTATE_ELSE, ", 0) < $6", ", 0) <= $6"),
    (ROTATE_ELSE, "$5::bigint <= generation + 1", "$5::bigint <= generation + 2"),
    (ROTATE_ELSE, "$5::bigint <= generation + 1", "$5::bigint <= generation"),
    (ROTATE_ELSE, "$5::bigint + 1 = generation AND", "$5::bigint < generation AND"),
    (ROTATE_ELSE, ", 0) <= $8", ", 0) < $8"),
    (ROTATE_ELSE, "greatest($7::bigint - rotated_at, 0) <= $8", "abs($7::bigint - rotated_at) <= $8"),
    (REVOKE, "revoke_reason = $5::text", "revoke_reason = coalesce('user', $5::text)"),
    (REVOKE, "($3::text IS NULL OR client_id = $3::text)", "$3::text IS NOT DISTINCT FROM $3::text"),
    (REVOKE, "$4::bytea IS NULL OR", "$4::bytea IS NOT NULL OR"),
    (REVOKE, " AND revoked_at IS NULL", ""),
    (REVOKE_TOKEN, "count(*) = 32 THEN $5", "count(*) = 33 THEN $5"),
    (REVOKE_TOKEN, "count(*) = 32 THEN greatest", "count(*) = 31 THEN greatest"),
    (REVOKE_TOKEN, "greatest(revoked_until, $6::bigint)", "$6::bigint"),
    (REVOKE_TOKEN, "ELSE revoked_until END", "ELSE NULL END"),
    (REVOKE_TOKEN, "ORDER BY at", "ORDER BY at DESC"),
    (REVOKE_TOKEN, "<> substr($5::bytea, 1, 8)", "IS NOT NULL"),
    (REVOKE_TOKEN, "substr(token, 9) > $7", "substr(token, 9) >= $7"),
    (REVOKE_TOKEN, " AND revoked_at IS NULL", ""),
    (REDEEM, "revoked_at + 86520 FROM changed", "revoked_at FROM changed"),
    (REDEEM, "FROM changed WHERE revoked_at IS NOT NULL ON", "FROM changed ON"),
    (ROTATE_ELSE, "FROM changed WHERE revoked_at IS NOT NULL ON", "FROM changed WHERE false ON"),
    (REVOKE, "FROM changed WHERE revoked_at IS NOT NULL ON", "FROM changed WHERE false ON"),
    (REVOKE_TOKEN, "$8::bigint FROM changed", "$8::bigint FROM changed WHERE false"),
    (REVOKE_TOKEN, "FROM changed\n         WHERE revoked_until IS NOT NULL", "FROM changed WHERE false"),
];

async fn mutated(which: Which, part: &str, wrong: &str, url: &str) -> PostgresStore {
    let mut statements = Statements::new("\"oauth\"");
    let statement = which(&mut statements);
    let text = statement.as_str().replacen(part, wrong, 1);
    assert_ne!(text, statement.as_str(), "{part:?} is in no statement");
    *statement = AssertSqlSafe(text).into_sql_str();
    let whole = PostgresStore::connect(url).await.unwrap();
    let mut inner = Arc::into_inner(whole.0).unwrap();
    inner.statements = statements;
    PostgresStore(Arc::new(inner))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_wrong_statement_is_caught() {
    let database = Database::new().await;
    let whole = PostgresStore::connect(&database.url()).migrate().await.unwrap();
    contract::check_steps(7, STEPS, async || whole.clone()).await;
    let mut missed = Vec::new();
    for &(which, part, wrong) in MUTATIONS {
        let store = mutated(which, part, wrong, &database.url()).await;
        let suite = contract::check_steps(7, STEPS, async move || store.clone());
        let Err(failed) = tokio::spawn(suite).await else {
            missed.push((part, wrong));
            continue;
        };
        let told = failed.into_panic().downcast::<String>().unwrap();
        assert!(told.starts_with("the store breaks the contract: "), "{wrong} is caught as: {told}");
    }
    assert!(missed.is_empty(), "of {} wrong statements these are not caught: {missed:#?}", MUTATIONS.len());
}
