//! `PostgresStore` beside a bare `UPDATE` and a bare `SELECT` of one row, in the same database.

#[path = "../../../tests/support/postgres.rs"]
mod server;

use std::sync::{Arc, Mutex, PoisonError};

use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};
use tower_oauth::{GrantKey, PostgresStore, Rotation};

use self::server::{Database, Server};
use super::{
    Problem, SIZES,
    bench::{Bar, Bench, Floor},
    grants::fill,
};

pub(super) async fn measure(step: &Rotation, bar: &mut Bar) -> Result<(), Problem> {
    // As it is installed: it waits for its disk, and cleans up behind itself.
    let server = Arc::new(Server::start(&["autovacuum=on"]));
    for count in SIZES {
        let database = Database::on(Arc::clone(&server)).await;
        let store = PostgresStore::connect(&database.url()).migrate().await?;
        let grants = fill(&store, count, step).await?;
        let floor = Bare { options: database.options().disable_statement_logging(), idle: Arc::default() };
        let bytes = floor.copy().await? as f64 / count as f64;
        let bench = Bench { store, floor, grants, step: step.clone() };
        let what = format!("PostgreSQL, {count} grants of {bytes:.0} bytes on the disk");
        bar.hold(&what, ["bare UPDATE", "bare SELECT"], &bench).await?;
    }
    Ok(())
}

/// As many connections as there are callers, as the store has them. They are in no pool of sqlx, which would ask the
/// server once more whenever one comes back.
#[derive(Clone)]
struct Bare {
    options: PgConnectOptions,
    idle: Arc<Mutex<Vec<PgConnection>>>,
}

impl Bare {
    async fn take(&self) -> Result<PgConnection, Problem> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(connection) => Ok(connection),
            None => Ok(PgConnection::connect_with(&self.options).await?),
        }
    }

    fn give_back(&self, connection: PgConnection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }

    /// Copies the grants to a table of its own, and answers of how many bytes they are, with their indexes.
    async fn copy(&self) -> Result<i64, Problem> {
        let mut connection = self.take().await?;
        let copy = "CREATE TABLE bare WITH (fillfactor = 75) AS SELECT * FROM oauth.oauth_grant; \
                    ALTER TABLE bare ADD PRIMARY KEY (key); VACUUM ANALYZE bare; VACUUM ANALYZE oauth.oauth_grant";
        for statement in copy.split(';') {
            sqlx::raw_sql(statement).execute(&mut connection).await?;
        }
        let size = "SELECT pg_total_relation_size('oauth.oauth_grant')";
        let bytes = sqlx::query_scalar(size).fetch_one(&mut connection).await?;
        self.give_back(connection);
        Ok(bytes)
    }
}

impl Floor for Bare {
    async fn write(&self, key: GrantKey) -> Result<(), Problem> {
        let mut connection = self.take().await?;
        let done = sqlx::query("UPDATE bare SET generation = generation + 1, rotated_at = $2 WHERE key = $1")
            .bind(&key.as_bytes()[..])
            .bind(1_800_000_000_i64)
            .execute(&mut connection)
            .await?;
        self.give_back(connection);
        if done.rows_affected() == 1 { Ok(()) } else { Err("a row is missing".into()) }
    }

    async fn read(&self, key: GrantKey) -> Result<(), Problem> {
        let mut connection = self.take().await?;
        let query = sqlx::query("SELECT * FROM bare WHERE key = $1").bind(&key.as_bytes()[..]);
        query.fetch_one(&mut connection).await?;
        self.give_back(connection);
        Ok(())
    }
}
