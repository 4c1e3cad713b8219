//! The SQLite store.

use std::path::PathBuf;
use tower_oauth::SqliteStore;
use tower_oauth::testing::contract;

/// A folder of one test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("sqlite-{}-{number}", std::process::id()));
        Self(path)
    }

    fn path(&self) -> PathBuf {
        self.0.join("provider.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_sqlite_store_keeps_the_contract() {
    let folder = Folder::new();
    let store = SqliteStore::open(folder.path()).await.expect("a new file");
    contract::check(async || store.clone()).await;
}

/// `scripts/test long` asks for ten times as many.
fn steps() -> usize {
    std::env::var("TOWER_OAUTH_STEPS").map_or(25_000, |steps| steps.parse().expect("TOWER_OAUTH_STEPS is a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn random_steps_end_as_the_rules_say() {
    let folder = Folder::new();
    let store = SqliteStore::open(folder.path()).await.expect("a new file");
    contract::check_steps(rand::random(), steps(), async || store.clone()).await;
}
