//! The Redis store.

#[path = "support/redis.rs"]
mod servers;
mod support;

use servers::Server;
use tower_oauth::RedisStore;
use tower_oauth::testing::contract;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_keeps_the_contract() {
    let server = Server::start();
    contract::check(async || RedisStore::connect(server.url()).await.expect("Redis answers")).await;
}

fn steps() -> usize {
    std::env::var("TOWER_OAUTH_STEPS").map_or(25_000, |steps| steps.parse().expect("TOWER_OAUTH_STEPS is a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn random_steps_end_as_the_rules_say() {
    let server = Server::start();
    let open = async || RedisStore::connect(server.url()).await.expect("Redis answers");
    contract::check_steps(rand::random(), steps(), open).await;
}
