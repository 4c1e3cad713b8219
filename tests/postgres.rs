//! The PostgreSQL store.

#[path = "support/postgres.rs"]
mod postgres;

use postgres::Database;
use tower_oauth::PostgresStore;
use tower_oauth::testing::contract;

impl Database {
    async fn store(&self) -> PostgresStore {
        PostgresStore::connect(&self.url()).migrate().await.expect("a database")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_keeps_the_contract() {
    let database = Database::new().await;
    contract::check(async || database.store().await).await;
}

/// `scripts/test long` asks for ten times as many.
fn steps() -> usize {
    std::env::var("TOWER_OAUTH_STEPS").map_or(25_000, |steps| steps.parse().expect("TOWER_OAUTH_STEPS is a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn random_steps_end_as_the_rules_say() {
    let database = Database::new().await;
    contract::check_steps(rand::random(), steps(), async || database.store().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_keeps_clients() {
    let database = Database::new().await;
    contract::check_registry(async || database.store().await).await;
}
