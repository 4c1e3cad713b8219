//! `SqliteStore` beside a bare `UPDATE` and a bare `SELECT` of one row, in the same file.

use std::path::Path;

use sqlx::{
    ConnectOptions, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tower_oauth::{GrantKey, Rotation, SqliteStore};

use super::{
    Problem, SIZES,
    bench::{Bar, Bench, Floor},
    grants::fill,
};

/// As the store has them: SQLite has one writer at a time, and more connections that write only wait in its way.
const WRITERS: u32 = 1;
const READERS: u32 = 4;

pub(super) async fn measure(folder: &Path, step: &Rotation, bar: &mut Bar) -> Result<(), Problem> {
    for count in SIZES {
        let file = folder.join(format!("{count}.db"));
        let store = SqliteStore::open(&file).await?;
        let grants = fill(&store, count, step).await?;
        let floor = Bare::new(&file);
        let bytes = floor.copy(&file).await? as f64 / count as f64;
        let bench = Bench { store, floor, grants, step: step.clone() };
        let what = format!("SQLite, {count} grants of {bytes:.0} bytes on the disk");
        bar.hold(&what, ["bare UPDATE", "bare SELECT"], &bench).await?;
    }
    Ok(())
}

#[derive(Clone)]
struct Bare {
    writers: SqlitePool,
    readers: SqlitePool,
}

impl Bare {
    fn new(file: &Path) -> Self {
        let pool = |most| {
            let options = SqliteConnectOptions::new().filename(file).journal_mode(SqliteJournalMode::Wal);
            let options = options.synchronous(SqliteSynchronous::Full).disable_statement_logging();
            SqlitePoolOptions::new().max_connections(most).test_before_acquire(false).connect_lazy_with(options)
        };
        Self { writers: pool(WRITERS), readers: pool(READERS) }
    }

    /// Copies the grants to a table of its own, and answers of how many bytes they are.
    async fn copy(&self, file: &Path) -> Result<u64, Problem> {
        sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.writers).await?;
        let bytes = std::fs::metadata(file)?.len();
        let copy = "CREATE TABLE bare AS SELECT * FROM oauth_grant; CREATE UNIQUE INDEX bare_key ON bare (key)";
        sqlx::raw_sql(copy).execute(&self.writers).await?;
        Ok(bytes)
    }
}

impl Floor for Bare {
    async fn write(&self, key: GrantKey) -> Result<(), Problem> {
        let done = sqlx::query("UPDATE bare SET generation = generation + 1, rotated_at = ?2 WHERE key = ?1")
            .bind(&key.as_bytes()[..])
            .bind(1_800_000_000_i64)
            .execute(&self.writers)
            .await?;
        if done.rows_affected() == 1 { Ok(()) } else { Err("a row is missing".into()) }
    }

    async fn read(&self, key: GrantKey) -> Result<(), Problem> {
        let query = sqlx::query("SELECT * FROM bare WHERE key = ?1").bind(&key.as_bytes()[..]);
        query.fetch_one(&self.readers).await?;
        Ok(())
    }
}
