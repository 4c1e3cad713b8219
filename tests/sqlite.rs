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
