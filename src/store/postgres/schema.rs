//! The tables, and how they get from one version to the next. Forward only: a version that is out never changes.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::DatabaseError;
use super::statements::for_schema;

/// What makes each version from the one before it; each notes its number. They name no schema: they are for the one
/// that is first in the `search_path`.
pub(super) const VERSIONS: &[&str] = &[include_str!("schema/1.sql")];

/// Brings a schema, whose name is quoted, to the last version, in one transaction. One that is there already is not
/// written to.
pub(super) async fn migrate(
    connection: &mut PgConnection,
    schema: &str,
    versions: &[&'static str],
) -> Result<(), DatabaseError> {
    if version(connection, schema, versions).await? == versions.len() {
        return Ok(());
    }
    let mut transaction = connection.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
    // Whoever waits here for another start finds its work done.
    sqlx::raw_sql("SET LOCAL statement_timeout = 0").execute(&mut *transaction).await?;
    let lock = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
    sqlx::query(lock).bind(format!("tower-oauth migrates {schema}")).execute(&mut *transaction).await?;
    let done = version(&mut transaction, schema, versions).await?;
    let known: bool =
        sqlx::query_scalar("SELECT to_regnamespace($1) IS NOT NULL").bind(schema).fetch_one(&mut *transaction).await?;
    if !known {
        // Not `IF NOT EXISTS`: that needs the right to make one even where it is there.
        sqlx::raw_sql(for_schema("CREATE SCHEMA {schema}", schema)).execute(&mut *transaction).await?;
    }
    sqlx::raw_sql(for_schema("SET LOCAL search_path TO {schema}", schema)).execute(&mut *transaction).await?;
    for sql in &versions[done..] {
        sqlx::raw_sql(AssertSqlSafe(*sql)).execute(&mut *transaction).await?;
    }
    Ok(transaction.commit().await?)
}

/// The version of a schema; 0 where it has none of our tables.
pub(super) async fn version(
    connection: &mut PgConnection,
    schema: &str,
    versions: &[&'static str],
) -> Result<usize, DatabaseError> {
    let known: bool = sqlx::query_scalar("SELECT to_regclass($1 || '.oauth_schema') IS NOT NULL")
        .bind(schema)
        .fetch_one(&mut *connection)
        .await?;
    if !known {
        return Ok(0);
    }
    let version: i32 =
        sqlx::query_scalar(for_schema("SELECT coalesce(max(version), 0) FROM {schema}.oauth_schema", schema))
            .fetch_one(connection)
            .await?;
    usize::try_from(version).ok().filter(|version| *version <= versions.len()).ok_or_else(|| {
        DatabaseError::refused(format!(
            "the schema {schema} has version {version} of the tables and this program knows {}: use a later one",
            versions.len()
        ))
    })
}
