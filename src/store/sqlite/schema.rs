//! The tables, and how they get from one version to the next. Forward only: a version that is out never changes.

use sqlx::{Connection, SqlitePool};

use super::SqliteError;

/// What makes each version from the one before it.
pub(super) const VERSIONS: &[&str] = &[include_str!("schema/1.sql")];

/// Brings a database to the last version, in one transaction. One that is there already is not written to.
pub(super) async fn migrate(pool: &SqlitePool, versions: &[&'static str]) -> Result<(), SqliteError> {
    if version(pool, versions).await? == versions.len() {
        return Ok(());
    }
    let mut connection = pool.acquire().await?;
    // Whoever waited here for another start finds its work done.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::query("CREATE TABLE IF NOT EXISTS oauth_schema (version INTEGER PRIMARY KEY) STRICT")
        .execute(&mut *transaction)
        .await?;
    let done: i64 =
        sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM oauth_schema").fetch_one(&mut *transaction).await?;
    for (number, sql) in (1_i64..).zip(versions).filter(|(number, _)| *number > done) {
        sqlx::raw_sql(*sql).execute(&mut *transaction).await?;
        sqlx::query("INSERT INTO oauth_schema (version) VALUES (?1)").bind(number).execute(&mut *transaction).await?;
    }
    Ok(transaction.commit().await?)
}

/// The version of a database; 0 where it has none of our tables.
pub(super) async fn version(pool: &SqlitePool, versions: &[&'static str]) -> Result<usize, SqliteError> {
    let known: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name = 'oauth_schema'").fetch_one(pool).await?;
    if known == 0 {
        return Ok(0);
    }
    let version: i64 = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM oauth_schema").fetch_one(pool).await?;
    usize::try_from(version).ok().filter(|version| *version <= versions.len()).ok_or_else(|| {
        SqliteError::refused(format!(
            "the database has version {version} of the tables and this program knows {}: use a later one",
            versions.len()
        ))
    })
}
