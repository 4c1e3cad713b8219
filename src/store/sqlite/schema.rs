//! The tables, and how they get from one version to the next. Forward only: a version that is out never changes.

use sqlx::{Connection, SqlitePool};

use super::DatabaseError;

/// What makes each version from the one before it.
pub(super) const VERSIONS: &[&str] =
    &[include_str!("schema/1.sql"), include_str!("schema/2.sql"), include_str!("schema/3.sql")];

/// Brings a database to the last version, in one transaction. One that is there already is not written to.
pub(super) async fn migrate(pool: &SqlitePool, versions: &[&'static str]) -> Result<(), DatabaseError> {
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
pub(super) async fn version(pool: &SqlitePool, versions: &[&'static str]) -> Result<usize, DatabaseError> {
    let known: i64 =
        sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name = 'oauth_schema'").fetch_one(pool).await?;
    if known == 0 {
        return Ok(0);
    }
    let version: i64 = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM oauth_schema").fetch_one(pool).await?;
    usize::try_from(version).ok().filter(|version| *version <= versions.len()).ok_or_else(|| {
        DatabaseError::refused(format!(
            "the database has version {version} of the tables and this program knows {}: use a later one",
            versions.len()
        ))
    })
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::SqlitePoolOptions;

    use super::*;

    /// What later versions could be: a column, and one that is filled from what is there.
    const MADE_UP: &[&str] = &[
        VERSIONS[0],
        "ALTER TABLE oauth_client ADD COLUMN note TEXT; UPDATE oauth_client SET note = 'from ' || client_id;",
        "CREATE TABLE oauth_later (id INTEGER PRIMARY KEY) STRICT; INSERT INTO oauth_later SELECT 7;",
    ];

    async fn database() -> SqlitePool {
        SqlitePoolOptions::new().max_connections(1).connect("sqlite::memory:").await.unwrap()
    }

    async fn text(pool: &SqlitePool, sql: &'static str) -> Result<String, sqlx::Error> {
        sqlx::query_scalar(sql).fetch_one(pool).await
    }

    #[tokio::test]
    async fn every_version_goes_forward_to_the_last_one_and_keeps_what_is_there() {
        for first in 0..=MADE_UP.len() {
            let pool = database().await;
            migrate(&pool, &MADE_UP[..first]).await.unwrap();
            assert_eq!(version(&pool, MADE_UP).await.unwrap(), first);
            if first == 1 {
                let insert = "INSERT INTO oauth_client (issuer, client_id, record) VALUES ('i', 'app', '{}')";
                sqlx::query(insert).execute(&pool).await.unwrap();
            }
            for _ in 0..2 {
                migrate(&pool, MADE_UP).await.unwrap();
                assert_eq!(version(&pool, MADE_UP).await.unwrap(), MADE_UP.len());
                assert_eq!(text(&pool, "SELECT group_concat(id || '') FROM oauth_later").await.unwrap(), "7", "once");
            }
            if first == 1 {
                assert_eq!(text(&pool, "SELECT note || record FROM oauth_client").await.unwrap(), "from app{}");
            }
        }
    }

    #[tokio::test]
    async fn a_version_that_fails_leaves_nothing_of_the_way_to_it() {
        let pool = database().await;
        migrate(&pool, &MADE_UP[..1]).await.unwrap();
        let failing = [MADE_UP[0], MADE_UP[1], "CREATE TABLE oauth_later (id INTEGER); SELECT nothing FROM nowhere;"];
        assert!(migrate(&pool, &failing).await.is_err());
        assert_eq!(version(&pool, MADE_UP).await.unwrap(), 1);
        for sql in ["SELECT note FROM oauth_client", "SELECT id FROM oauth_later"] {
            let error = text(&pool, sql).await.unwrap_err().to_string();
            assert!(error.contains("no such"), "{error}");
        }
        migrate(&pool, MADE_UP).await.unwrap();
    }

    #[tokio::test]
    async fn a_later_version_is_not_touched() {
        let pool = database().await;
        migrate(&pool, MADE_UP).await.unwrap();
        let error = migrate(&pool, &MADE_UP[..2]).await.unwrap_err().to_string();
        assert!(error.contains("version 3 of the tables and this program knows 2"), "{error}");
        assert_eq!(version(&pool, MADE_UP).await.unwrap(), 3);
    }
}
