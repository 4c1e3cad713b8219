//! The tables, and how they get from one version to the next. Forward only: a version that is out never changes.

use sqlx::{Connection, PgConnection};

use super::DatabaseError;
use super::statements::{DURABLE, for_schema};

/// What makes each version from the one before it; each notes its number. They name no schema: they are for the one
/// that is first in the `search_path`.
pub(super) const VERSIONS: &[&str] =
    &[include_str!("schema/1.sql"), include_str!("schema/2.sql"), include_str!("schema/3.sql")];

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
    sqlx::raw_sql(DURABLE).execute(&mut *transaction).await?;
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
        sqlx::raw_sql(*sql).execute(&mut *transaction).await?;
    }
    Ok(transaction.commit().await?)
}

/// The version of a schema; 0 where it has none of our tables.
pub(super) async fn version(
    connection: &mut PgConnection,
    schema: &str,
    versions: &[&'static str],
) -> Result<usize, DatabaseError> {
    // Not `to_regclass`: it answers from a cache what is not there, also where somebody else has just made it.
    let known = "SELECT EXISTS (SELECT FROM pg_class AS class JOIN pg_namespace AS schema ON schema.oid = relnamespace \
                 WHERE nspname = (parse_ident($1))[1] AND relname = 'oauth_schema')";
    let known: bool = sqlx::query_scalar(known).bind(schema).fetch_one(&mut *connection).await?;
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

#[cfg(test)]
mod tests {
    use super::super::server::Database;
    use super::*;

    /// What later versions could be: a column, and one that is filled from what is there.
    const MADE_UP: &[&str] = &[
        VERSIONS[0],
        "ALTER TABLE oauth_client ADD COLUMN note text; UPDATE oauth_client SET note = 'from ' || client_id;
         INSERT INTO oauth_schema VALUES (2)",
        "CREATE TABLE oauth_later (id integer PRIMARY KEY); INSERT INTO oauth_later SELECT 7;
         INSERT INTO oauth_schema VALUES (3)",
    ];
    const SCHEMA: &str = "\"a \"\"b\"\"\"";

    async fn text(connection: &mut PgConnection, sql: &str) -> Result<String, sqlx::Error> {
        sqlx::query_scalar(for_schema(sql, SCHEMA)).fetch_one(connection).await
    }

    #[tokio::test]
    async fn every_version_goes_forward_to_the_last_one_and_keeps_what_is_there() {
        for first in 0..=MADE_UP.len() {
            let database = Database::new().await;
            let mut connection = PgConnection::connect(&database.url()).await.unwrap();
            migrate(&mut connection, SCHEMA, &MADE_UP[..first]).await.unwrap();
            assert_eq!(version(&mut connection, SCHEMA, MADE_UP).await.unwrap(), first);
            if first == 1 {
                let insert = "INSERT INTO {schema}.oauth_client (issuer, client_id, record) VALUES ('i', 'app', '{}')";
                sqlx::raw_sql(for_schema(insert, SCHEMA)).execute(&mut connection).await.unwrap();
            }
            for _ in 0..2 {
                migrate(&mut connection, SCHEMA, MADE_UP).await.unwrap();
                assert_eq!(version(&mut connection, SCHEMA, MADE_UP).await.unwrap(), MADE_UP.len());
                let later = text(&mut connection, "SELECT string_agg(id::text, ' ') FROM {schema}.oauth_later").await;
                assert_eq!(later.unwrap(), "7", "once");
            }
            if first == 1 {
                let kept = text(&mut connection, "SELECT note || record FROM {schema}.oauth_client").await;
                assert_eq!(kept.unwrap(), "from app{}");
            }
        }
    }

    #[tokio::test]
    async fn a_version_that_fails_leaves_nothing_of_the_way_to_it() {
        let database = Database::new().await;
        let mut connection = PgConnection::connect(&database.url()).await.unwrap();
        migrate(&mut connection, SCHEMA, &MADE_UP[..1]).await.unwrap();
        let failing = [MADE_UP[0], MADE_UP[1], "CREATE TABLE oauth_later (id integer); SELECT nothing FROM nowhere"];
        assert!(migrate(&mut connection, SCHEMA, &failing).await.is_err());
        assert_eq!(version(&mut connection, SCHEMA, MADE_UP).await.unwrap(), 1);
        for sql in ["SELECT note FROM {schema}.oauth_client", "SELECT id::text FROM {schema}.oauth_later"] {
            let error = text(&mut connection, sql).await.unwrap_err().to_string();
            assert!(error.contains("does not exist"), "{error}");
        }
        migrate(&mut connection, SCHEMA, MADE_UP).await.unwrap();
    }

    #[tokio::test]
    async fn a_later_version_is_not_touched() {
        let database = Database::new().await;
        let mut connection = PgConnection::connect(&database.url()).await.unwrap();
        migrate(&mut connection, SCHEMA, MADE_UP).await.unwrap();
        let error = migrate(&mut connection, SCHEMA, &MADE_UP[..2]).await.unwrap_err().to_string();
        assert!(error.contains("version 3 of the tables and this program knows 2"), "{error}");
        assert_eq!(version(&mut connection, SCHEMA, MADE_UP).await.unwrap(), 3);
    }
}
