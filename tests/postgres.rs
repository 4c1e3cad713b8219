//! The PostgreSQL store: the contract and the rules, two nodes on one database, what is written and when it is safe, and a
//! database that fails.

#[cfg(feature = "jwt")]
#[path = "support/jws.rs"]
mod jws;
#[path = "support/lossy.rs"]
mod lossy;
#[path = "support/moves.rs"]
mod moves;
#[path = "support/nodes.rs"]
mod nodes;
#[path = "support/postgres.rs"]
mod postgres;
#[cfg(feature = "jwt")]
#[path = "support/prover.rs"]
mod prover;
mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use lossy::Lossy;
use nodes::{
    Durable, Held, Place, is_good, issued, nothing_is_consumed_where_a_write_fails, redemption_of, refused, secrets,
    unavailable, what_cannot_be_read_is_an_answer_to_try_again,
};
use postgres::{Database, Server};
use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection, PgConnection, PgPool};
use support::{App, ISSUER, WEB, app, bearer, builder, code, form, redeem, refresh, seconds, send, tokens};
use tower_oauth::event::Event;
use tower_oauth::testing::{ManualClock, contract};
use tower_oauth::{
    ClientRegistry, ClientStore, DatabaseError, Grant, GrantRecord, GrantStore, Holder, OnceKey, PostgresStore,
    Provider, RevocationReason, UnixTime,
};

impl Place for Database {
    type Store = PostgresStore;

    /// Without a cache, so that what is asked is asked of the database: `tests/cache.rs` is about the cache.
    async fn store(&self) -> PostgresStore {
        PostgresStore::connect(&self.url()).migrate().cache(Duration::ZERO).await.expect("a database")
    }
}

impl Durable for PostgresStore {
    async fn forget(&self, issuer: &str) -> Result<(), DatabaseError> {
        self.forget_keys(issuer).await
    }
}

fn provider(store: &PostgresStore, clock: &ManualClock) -> Provider {
    builder(clock).store(store.clone()).secrets(secrets(&[1])).build().expect("a good configuration")
}

/// A pool of the app's own whose connections begin with these statements.
fn pool(database: &Database, connections: u32, settings: &[(&str, &str)]) -> PgPool {
    let options = database.options().options(settings.iter().copied());
    PgPoolOptions::new().max_connections(connections).connect_lazy_with(options)
}

async fn on_pool(pool: PgPool) -> PostgresStore {
    PostgresStore::from_pool(pool).migrate().await.expect("a database")
}

fn told(answer: Result<PostgresStore, DatabaseError>) -> String {
    answer.map(drop).expect_err("it is refused").to_string()
}

// ---- the contract and the rules -------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_keeps_the_contract_with_and_without_a_cache() {
    let database = Database::new().await;
    contract::check(async || database.store().await).await;
    contract::check(async || cached(&database).await).await;
}

/// As it is where nobody says otherwise.
async fn cached(database: &Database) -> PostgresStore {
    PostgresStore::connect(&database.url()).migrate().await.expect("a database")
}

/// `scripts/test long` asks for ten times as many.
fn steps() -> usize {
    std::env::var("TOWER_OAUTH_STEPS").map_or(25_000, |steps| steps.parse().expect("TOWER_OAUTH_STEPS is a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn random_steps_end_as_the_rules_say() {
    let database = Database::new().await;
    contract::check_steps(rand::random(), steps(), async || cached(&database).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_keeps_clients() {
    let database = Database::new().await;
    contract::check_registry(async || database.store().await).await;
}

/// Whatever the sessions of the app's own pool are set to.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_pool_of_the_apps_own_keeps_the_contract_under_every_isolation_level() {
    for level in ["repeatable read", "serializable"] {
        let database = Database::new().await;
        let settings = [("default_transaction_isolation", level), ("synchronous_commit", "off")];
        let pool = pool(&database, 16, &settings);
        contract::check(async || on_pool(pool.clone()).await).await;
        contract::check_registry(async || on_pool(pool.clone()).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_pool_of_one_connection_keeps_the_contract() {
    let database = Database::new().await;
    let pool = pool(&database, 1, &[]);
    contract::check(async || on_pool(pool.clone()).await).await;
}

/// Whatever a statement would write wrongly, done by a trigger: the suite sees each. What a wrong `CASE` does is in the
/// store's own tests.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_wrong_write_of_any_column_is_caught() {
    for wrong in [
        "NEW.generation = OLD.generation",
        "NEW.generation = NEW.generation + CASE WHEN NEW.generation > 0 THEN 1 ELSE 0 END",
        "NEW.rotated_at = OLD.rotated_at",
        "NEW.rotated_at = NEW.rotated_at + 1",
        "NEW.redeemed_at = NEW.rotated_at",
        "NEW.expires_at = OLD.expires_at",
        "NEW.secret_hash = decode(repeat('00', 16), 'hex')",
        "NEW.revoked_at = NULL; NEW.revoke_reason = NULL",
        "NEW.revoked_at = NEW.revoked_at + 1",
        "NEW.revoke_reason = CASE WHEN NEW.revoke_reason IS NOT NULL THEN 'user' END",
        "NEW.revoked_tokens = NULL",
        "NEW.revoked_tokens = OLD.revoked_tokens",
        "NEW.revoked_until = NULL",
        "NEW.revoked_until = OLD.revoked_until",
        "NEW.redirect_uri_sent = false",
        "NEW.subject = 'mallory'",
    ] {
        let database = Database::new().await;
        let store = database.store().await;
        database
            .run(format!(
                "CREATE FUNCTION wrong() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {wrong}; RETURN NEW; END $$;
                 CREATE TRIGGER wrong BEFORE UPDATE ON oauth.oauth_grant FOR EACH ROW EXECUTE FUNCTION wrong()"
            ))
            .await;
        let suite = contract::check_steps(7, 3_000, async move || store.clone());
        let failed = tokio::spawn(suite).await.expect_err(&format!("{wrong} is not caught"));
        let told = failed.into_panic().downcast::<String>().expect("a panic with a text");
        assert!(told.starts_with("the store breaks the contract: "), "{wrong} is caught as: {told}");
    }
}

/// More than one statement takes at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_done_to_many_records_is_done_to_all_of_them() {
    const COUNT: usize = 1_100;
    let database = Database::new().await;
    let store = database.store().await;
    let (issuer, now) = (ISSUER.into(), UnixTime::from_secs(1_800_000_000));
    for holder in
        [Holder::User("alice".into()), Holder::Client("app".into()), Holder::UserAtClient("alice".into(), "app".into())]
    {
        create(&store, COUNT).await;
        let ended = store.revoke_all(&issuer, &holder, RevocationReason::User, now).await;
        assert_eq!(ended.expect("the database answers"), COUNT);
        assert_eq!(store.sweep(&issuer, now, seconds(60)).await.expect("the database answers"), COUNT);
        assert!(store.grants(&issuer, &holder).await.expect("the database answers").is_empty());
    }
    for key in 0..COUNT {
        let key = OnceKey::new(&issuer, "", &key.to_be_bytes());
        assert!(store.once(key, now, UnixTime::from_secs(0)).await.expect("the database answers"));
    }
    store.sweep(&issuer, now, seconds(60)).await.expect("the database answers");
    assert_eq!(database.number("SELECT count(*) FROM oauth.oauth_once").await, 0);
}

/// So many grants that alice has at the client `app`.
async fn create(store: &PostgresStore, count: usize) {
    let grants = (0..count).map(|_| {
        let (store, grant) = (store.clone(), alices());
        tokio::spawn(async move { store.create(grant).await })
    });
    for created in grants.collect::<Vec<_>>() {
        created.await.expect("no panic").expect("the database answers");
    }
}

fn alices() -> Grant {
    let mut record = GrantRecord::default();
    (record.key, record.issuer, record.client_id) = (rand::random(), ISSUER.to_owned(), "app".to_owned());
    (record.subject, record.expires_at) = (Some("alice".to_owned()), 1_800_000_060);
    Grant::from_record(record).expect("a good record")
}

/// Two of them at once, such as a user's and a client's, would else wait for each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_are_ended_in_the_order_of_their_keys() {
    let (database, now) = (Database::new().await, UnixTime::from_secs(1_800_000_000));
    let store = database.store().await;
    create(&store, 100).await;
    let mut holding = PgConnection::connect(&database.url()).await.expect("the server answers");
    let mut held = holding.begin().await.expect("a transaction");
    let one = "SELECT key FROM oauth.oauth_grant \
               WHERE key = (SELECT key FROM oauth.oauth_grant ORDER BY key OFFSET 50 LIMIT 1) FOR UPDATE";
    let key: Vec<u8> = sqlx::query_scalar(one).fetch_one(&mut *held).await.expect("a row");
    let holder = Holder::User("alice".into());
    let end = tokio::spawn(async move { store.revoke_all(&ISSUER.into(), &holder, RevocationReason::User, now).await });
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while database.number(waiting).await == 0 {}
    let free = "SELECT key FROM oauth.oauth_grant ORDER BY key FOR UPDATE SKIP LOCKED";
    let free: Vec<Vec<u8>> = sqlx::query_scalar(free).fetch_all(&mut *held).await.expect("rows");
    assert_eq!(free.len(), 50, "of those behind the one that it waits for it has none");
    assert_eq!(free[0], key);
    held.rollback().await.expect("it was begun");
    assert_eq!(end.await.expect("no panic").expect("the database answers"), 100);
}

/// PostgreSQL has no text with a NUL, and whoever sends one gets no other answer than for anything else that is wrong.
#[tokio::test]
async fn a_redirect_uri_that_no_database_could_keep_is_a_wrong_one() {
    let (database, clock) = (Database::new().await, ManualClock::default());
    let app = app(&provider(&database.store().await, &clock));
    let code = code(&app, "profile").await;
    let mut params = redemption_of(&code);
    params[2].1 = "https://web.example/\0";
    refused(&send(&app, form("/token", &params)).await);
    issued(&redeem(&app, &code).await);
}

// ---- what outlives a process, and two nodes -------------------------------------------------------------------------

#[tokio::test]
async fn a_restart_does_not_reset_the_detection_of_reuse() {
    nodes::a_restart_does_not_reset_the_detection_of_reuse(&Database::new().await).await;
}

#[tokio::test]
async fn one_database_serves_several_issuers() {
    nodes::one_place_serves_several_issuers(&Database::new().await).await;
}

#[tokio::test]
async fn a_node_without_a_secret_that_signs_for_its_issuer_does_not_start() {
    nodes::a_node_without_a_secret_that_signs_for_its_issuer_does_not_start(&Database::new().await).await;
}

#[tokio::test]
async fn two_providers_of_one_store_are_held_to_it_too() {
    nodes::two_providers_of_one_store_are_held_to_it_too(&Database::new().await).await;
}

#[tokio::test]
async fn a_key_is_in_use_as_long_as_a_refresh_token_of_it_can_live() {
    nodes::a_key_is_in_use_as_long_as_a_refresh_token_of_it_can_live(&Database::new().await).await;
}

#[tokio::test]
async fn after_a_leak_the_old_keys_are_forgotten_on_purpose() {
    nodes::after_a_leak_the_old_keys_are_forgotten_on_purpose(&Database::new().await).await;
}

/// Otherwise a node with another secret could start, and would take its tokens for forged.
#[tokio::test]
async fn no_grant_is_made_with_a_key_that_cannot_be_noted() {
    let (database, clock) = (Database::new().await, ManualClock::default());
    let store = database.store().await;
    database.run("ALTER TABLE oauth.oauth_key RENAME TO elsewhere").await;
    let app = app(&provider(&store, &clock));
    let asked = support::with_query(
        "/authorize",
        &support::authorization("public", WEB, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
    );
    let answer = send(&app, form(&asked, &[])).await;
    assert_eq!(answer.redirected("error").as_deref(), Some("temporarily_unavailable"), "{answer:?}");
    assert_eq!(database.number("SELECT count(*) FROM oauth.oauth_grant").await, 0);
    database.run("ALTER TABLE oauth.elsewhere RENAME TO oauth_key").await;
    tokens(&app, "profile").await;
    assert_eq!(database.number("SELECT count(*) FROM oauth.oauth_key").await, 1);
}

#[tokio::test]
async fn a_secret_is_added_before_the_old_one_is_retired() {
    nodes::a_secret_is_added_before_the_old_one_is_retired(&Database::new().await).await;
}

#[tokio::test]
async fn a_disabled_client_gets_nothing_more_and_can_be_connected_anew() {
    nodes::a_disabled_client_gets_nothing_more_and_can_be_connected_anew(&Database::new().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_register_themselves_at_two_nodes_up_to_one_limit() {
    nodes::clients_register_themselves_at_two_nodes_up_to_one_limit(&Database::new().await).await;
}

/// RFC 7592
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_client_manages_its_registration_at_either_node() {
    nodes::a_client_manages_its_registration_at_either_node(&Database::new().await).await;
}

#[cfg(feature = "jwt")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_uses_of_one_assertion_at_two_providers_one_is_accepted() {
    nodes::of_64_uses_of_one_assertion_at_two_providers_one_is_accepted(&Database::new().await).await;
}

/// RFC 9126 §4, CVE-2026-22751
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_decisions_on_one_request_uri_at_two_providers_one_counts() {
    nodes::of_64_decisions_on_one_request_uri_at_two_providers_one_counts(&Database::new().await).await;
}

#[cfg(feature = "jwt")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_uses_of_one_proof_at_two_providers_one_is_accepted() {
    nodes::of_64_uses_of_one_proof_at_two_providers_one_is_accepted(&Database::new().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_200_redemptions_of_one_code_at_two_providers_one_wins_and_its_grant_lives() {
    nodes::of_200_redemptions_of_one_code_at_two_providers_one_wins_and_its_grant_lives(&Database::new().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_200_refreshes_with_one_token_at_two_providers_all_get_its_one_successor() {
    nodes::of_200_refreshes_with_one_token_at_two_providers_all_get_its_one_successor(&Database::new().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_200_refreshes_at_two_providers_against_a_revocation_nothing_lives_on() {
    nodes::of_200_refreshes_at_two_providers_against_a_revocation_nothing_lives_on(&Database::new().await).await;
}

/// A race under the isolation levels at which PostgreSQL gives up all but the first.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_200_refreshes_with_one_token_all_get_its_one_successor_under_repeatable_read() {
    struct Relaxed(Database);

    impl Place for Relaxed {
        type Store = PostgresStore;

        async fn store(&self) -> PostgresStore {
            on_pool(pool(&self.0, 50, &[("default_transaction_isolation", "repeatable read")])).await
        }
    }

    let place = Relaxed(Database::new().await);
    nodes::of_200_refreshes_with_one_token_at_two_providers_all_get_its_one_successor(&place).await;
    nodes::of_200_redemptions_of_one_code_at_two_providers_one_wins_and_its_grant_lives(&place).await;
}

// ---- what is written ------------------------------------------------------------------------------------------------

/// Whoever holds a stolen code or token cannot keep the database busy: what changes nothing takes no lock, waits for
/// none, and writes not a byte to the log.
#[tokio::test]
async fn a_step_that_changes_nothing_waits_for_nobody_and_writes_nothing() {
    // A server that writes nothing to its log by itself.
    let server = Server::start(&["fsync=off", "wal_level=minimal", "max_wal_senders=0"]);
    let (database, clock) = (Database::on(Arc::new(server)).await, ManualClock::default());
    let app = app(&provider(&database.store().await, &clock));
    let held = Held::of(&app).await;
    // What a row's first reader notes about its writer is written once.
    held.change_nothing(&app).await;
    database.run("CHECKPOINT").await;
    let log = async || database.number("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint").await;
    let before = log().await;
    held.change_nothing(&app).await;
    assert_eq!(log().await, before, "the log has grown");

    let mut holding = PgConnection::connect(&database.url()).await.expect("the server answers");
    let mut locks = holding.begin().await.expect("a transaction");
    sqlx::query("SELECT 1 FROM oauth.oauth_grant FOR UPDATE").fetch_all(&mut *locks).await.expect("every row");
    held.change_nothing(&app).await;
    locks.rollback().await.expect("it was begun");
    issued(&refresh(&app, &held.second).await);
}

/// A rotation changes no index and leaves nothing that VACUUM has to look for.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rotations_are_hot_updates() {
    let (grants, rounds) = (100, 50);
    let (database, clock) = (Database::new().await, ManualClock::default());
    let store = database.store().await;
    let app = app(&provider(&store, &clock));
    let mut renewals = Vec::new();
    for _ in 0..grants {
        renewals.push(tokens(&app, "profile").await.1);
    }
    for _ in 0..rounds {
        for renewal in &mut renewals {
            *renewal = issued(&refresh(&app, renewal).await).1;
        }
    }
    // Sessions tell their figures when they end.
    drop((app, store));
    let figures = "SELECT n_tup_upd * 1000000 + n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'oauth_grant'";
    let wanted = grants * (rounds + 1);
    let (all, hot) = loop {
        let figures = database.number(figures).await;
        let (all, hot) = (figures / 1_000_000, figures % 1_000_000);
        if all >= wanted {
            break (all, hot);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    println!("{hot} of {all} updates are HOT");
    assert_eq!(all, wanted);
    assert!(hot * 100 >= all * 95, "{hot} of {all} updates are HOT");
}

/// A crash right after the answer, where the server is set to answer before the log is on the disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_crash_takes_back_no_redemption_and_no_revocation_even_where_commits_are_relaxed() {
    let relaxed = ["synchronous_commit=off", "wal_writer_delay=10s", "recovery_init_sync_method=syncfs"];
    let server = Arc::new(Server::start(&relaxed));
    let (database, clock) = (Database::on(Arc::clone(&server)).await, ManualClock::default());
    let store = database.store().await;
    crash(&server);
    let provider = provider(&store, &clock);
    let app = app(&provider);
    let gives_back = |token: &str| form("/revoke", &[("token", token), ("client_id", "public")]);

    let (revoked, _) = tokens(&app, "profile").await;
    all_is_safe(&database).await;
    let ended = provider.revoke_all(&Holder::Client("public".into())).await;
    crash(&server);
    assert_eq!(ended.expect("the database answers"), 1);
    assert!(!is_good(&app, &revoked).await, "a revocation of many is lost");

    for (what, one) in [("a revocation", false), ("the revocation of one token", true)] {
        let (revoked, renewal) = tokens(&app, "profile").await;
        all_is_safe(&database).await;
        let answer = send(&app, gives_back(if one { &revoked } else { &renewal })).await;
        crash(&server);
        assert_eq!(answer.status, StatusCode::OK);
        assert!(!is_good(&app, &revoked).await, "{what} is lost");
    }

    let used = code(&app, "profile").await;
    all_is_safe(&database).await;
    let redeemed = redeem(&app, &used).await;
    crash(&server);
    let (access, first) = issued(&redeemed);
    assert!(is_good(&app, &access).await, "a redemption is lost");
    refused(&redeem(&app, &used).await);

    let custom = nodes::custom("app");
    store.create_client(&ISSUER.into(), custom).await.expect("the database answers");
    // Else a secret that was retired would be good again.
    all_is_safe(&database).await;
    let renamed = store.update_client(&ISSUER.into(), &"app".into(), |client| client.name("Renamed")).await;
    crash(&server);
    assert!(renamed.expect("the database answers").is_some());
    let client = store.client(&ISSUER.into(), &"app".into()).await.expect("the database answers").expect("a client");
    assert_eq!(client.client_name(), "Renamed", "a change of a client is lost");

    all_is_safe(&database).await;
    let deleted = store.delete_client(&ISSUER.into(), &"app".into(), UnixTime::from_secs(0)).await;
    crash(&server);
    deleted.expect("the database answers");
    assert!(store.client(&ISSUER.into(), &"app".into()).await.expect("the database answers").is_none());

    // Else an assertion that a client signed would be good twice.
    let (key, until) = (OnceKey::new(&ISSUER.into(), "purpose", b"value"), UnixTime::FAR_FUTURE);
    all_is_safe(&database).await;
    let seen = store.once(key, until, UnixTime::from_secs(0)).await;
    crash(&server);
    assert!(seen.expect("the database answers"));
    let again = store.once(key, until, UnixTime::from_secs(0)).await;
    assert!(!again.expect("the database answers"), "what was seen once is lost");

    // A rotation follows the setting: so this is what the crash does to one, and the refresh token that was answered is
    // good all the same.
    all_is_safe(&database).await;
    let (access, second) = issued(&refresh(&app, &first).await);
    crash(&server);
    assert!(is_good(&app, &access).await);
    let rotated = "SELECT count(*) FROM oauth.oauth_grant WHERE generation > 0";
    assert_eq!(database.number(rotated).await, 0, "this crash loses nothing");
    issued(&refresh(&app, &second).await);
}

/// RFC 9700 §4.14.2: whoever uses an old refresh token ends the grant, and a crash right after the answer gives it to
/// nobody again, where the server is set to answer before the log is on the disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_crash_takes_back_no_rotation_that_ended_a_grant_even_where_commits_are_relaxed() {
    let relaxed = ["synchronous_commit=off", "wal_writer_delay=10s", "recovery_init_sync_method=syncfs"];
    let server = Arc::new(Server::start(&relaxed));
    let (database, clock) = (Database::on(Arc::clone(&server)).await, ManualClock::default());
    let app = app(&provider(&database.store().await, &clock));
    let (access, first) = tokens(&app, "profile").await;
    let (_, second) = issued(&refresh(&app, &first).await);
    issued(&refresh(&app, &second).await);
    assert!(is_good(&app, &access).await);
    all_is_safe(&database).await;
    let replayed = refresh(&app, &first).await;
    crash(&server);
    refused(&replayed);
    assert!(!is_good(&app, &access).await, "the end of the grant is lost");
}

/// Waits until the server's log is on the disk, and what comes next will not be for some seconds, unless it is asked for:
/// the server's log writer has just been at it.
async fn all_is_safe(database: &Database) {
    let at = async |what| database.number(what).await;
    let before = at("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint").await;
    database.run("SELECT pg_logical_emit_message(true, '', repeat('x', 20000))").await;
    while at("SELECT (pg_current_wal_flush_lsn() - '0/0')::bigint").await <= before {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    database.run("SET synchronous_commit = on; SELECT pg_current_xact_id()").await;
}

fn crash(server: &Server) {
    server.stop("QUIT");
    server.start_again();
}

/// A sweep leaves what somebody is at for the next one, and whoever sweeps at the same time does it instead.
#[tokio::test]
async fn a_sweep_waits_for_nobody() {
    let database = Database::new().await;
    let store = database.store().await;
    create(&store, 10).await;
    let sweep = async || {
        let late = UnixTime::from_secs(1_800_000_060);
        store.sweep(&ISSUER.into(), late, seconds(60)).await.expect("the database answers")
    };
    let mut holding = PgConnection::connect(&database.url()).await.expect("the server answers");
    let mut held = holding.begin().await.expect("a transaction");
    let rows = sqlx::query("SELECT 1 FROM oauth.oauth_grant LIMIT 3 FOR UPDATE").fetch_all(&mut *held).await;
    assert_eq!(rows.expect("three rows").len(), 3);
    assert_eq!(sweep().await, 7);
    let lock = "SELECT pg_advisory_xact_lock(hashtextextended('tower-oauth sweeps \"oauth\" for ' || $1, 0))";
    sqlx::query(lock).bind(ISSUER).execute(&mut *held).await.expect("nobody sweeps");
    held.rollback().await.expect("it was begun");

    let mut held = holding.begin().await.expect("a transaction");
    sqlx::query(lock).bind(ISSUER).execute(&mut *held).await.expect("nobody sweeps");
    assert_eq!(sweep().await, 0, "somebody else sweeps");
    held.rollback().await.expect("it was begun");
    assert_eq!(sweep().await, 3);
}

// ---- a database that fails ------------------------------------------------------------------------------------------

/// From now on every transaction fails that changes a grant: where its statement does, or only when it commits.
async fn fail(database: &Database, when: &str) {
    database
        .run(format!(
            "CREATE FUNCTION failing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'out of order'; END $$;
             CREATE CONSTRAINT TRIGGER failing AFTER UPDATE ON oauth.oauth_grant {when} FOR EACH ROW
             EXECUTE FUNCTION failing()"
        ))
        .await;
}

async fn repair(database: &Database) {
    database.run("DROP TRIGGER failing ON oauth.oauth_grant; DROP FUNCTION failing").await;
}

/// A row can arrive before its commit, and the longer it is the sooner: with one of 100 kB the server has sent most of it
/// when the commit fails.
#[tokio::test]
async fn where_a_write_fails_nothing_is_answered_and_nothing_consumed() {
    let (database, clock) = (Database::new().await, ManualClock::default());
    let pooled = on_pool(database.pool()).await;
    for (store, when) in [
        (database.store().await, "DEFERRABLE INITIALLY DEFERRED"),
        (database.store().await, ""),
        (pooled.clone(), "DEFERRABLE INITIALLY DEFERRED"),
        (pooled, ""),
    ] {
        let fail = async || {
            let long = r#"UPDATE oauth.oauth_grant SET claims = '{"long": "' || repeat('x', 100000) || '"}'"#;
            database.run(long).await;
            fail(&database, when).await;
        };
        nothing_is_consumed_where_a_write_fails(&store, &clock, fail, async || repair(&database).await, when).await;
        database.run("DELETE FROM oauth.oauth_grant").await;
    }
}

/// RFC 9700 §4.14.2, RFC 6749 §4.1.2: the store asks again where an answer is lost, and recognizes its own commit. What ends
/// a grant is told of once, whichever answer it is that is lost.
#[tokio::test]
async fn where_an_answer_is_lost_the_end_of_a_grant_is_told_once() {
    let (database, clock) = (Database::new().await, ManualClock::default());
    let wire = Lossy::to(database.port()).await;
    let url = database.url().replace(&format!(":{}/", database.port()), &format!(":{}/", wire.port()));
    let store = PostgresStore::connect(&url).migrate().cache(Duration::ZERO).await.expect("a database");
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = Arc::clone(&heard);
    let provider = builder(&clock).store(store).secrets(secrets(&[1]));
    let provider = provider.on_event(move |event: &Event<'_>| ear.lock().unwrap().push(event.to_string()));
    let app = app(&provider.build().expect("a good configuration"));
    let mut lost = 0;
    // More than it takes: the grant is read, a statement is prepared where its connection is new, and run.
    for answer in 1..8 {
        let used = code(&app, "profile").await;
        issued(&redeem(&app, &used).await);
        let (_, stolen) = tokens(&app, "profile").await;
        issued(&refresh(&app, &stolen).await);
        let (access, given_back) = tokens(&app, "profile").await;
        clock.advance(seconds(11));
        heard.lock().unwrap().clear();
        wire.lose(answer);
        refused(&refresh(&app, &stolen).await);
        lost += usize::from(wire.lost());
        wire.lose(answer);
        let revoked = send(&app, form("/revoke", &[("token", &given_back), ("client_id", "public")])).await;
        assert_eq!(revoked.status, StatusCode::OK);
        lost += usize::from(wire.lost());
        wire.lose(answer);
        refused(&redeem(&app, &used).await);
        lost += usize::from(wire.lost());
        let told = std::mem::take(&mut *heard.lock().unwrap());
        let expected = [
            "replayed: refresh_reuse",
            "refused: refresh_replayed",
            "revoked: client",
            "replayed: code_reuse",
            "refused: code_replayed",
        ];
        assert_eq!(told, expected, "answer {answer}");
        assert!(!is_good(&app, &access).await);
    }
    assert!(lost >= 6, "{lost} answers were lost");
}

/// Whatever connections were open: the store's own, and those of a pool that does not test them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_is_started_anew_is_not_noticed() {
    let server = Arc::new(Server::start(&["fsync=off"]));
    let (database, clock) = (Database::on(Arc::clone(&server)).await, ManualClock::default());
    let untested = PgPoolOptions::new().max_connections(10).test_before_acquire(false);
    let untested = on_pool(untested.connect_lazy_with(database.options())).await;
    for store in [database.store().await, untested] {
        let app = app(&provider(&store, &clock));
        let mut renewals = Vec::new();
        for _ in 0..10 {
            renewals.push(tokens(&app, "profile").await.1);
        }
        for signal in ["INT", "QUIT"] {
            renewals = refreshed(&app, &renewals).await;
            server.stop(signal);
            server.start_again();
            renewals = refreshed(&app, &renewals).await;
            server.stop(signal);
            server.start_again();
            assert!(
                store
                    .once(OnceKey::new(&ISSUER.into(), signal, b""), UnixTime::FAR_FUTURE, UnixTime::from_secs(0))
                    .await
                    .expect("the database answers")
            );
            server.stop(signal);
            server.start_again();
            let client = support::public();
            let created = store.create_client(&ISSUER.into(), client).await.expect("the database answers");
            assert_eq!(created, signal == "INT", "it is there from then on");
        }
        database.run("DELETE FROM oauth.oauth_client; DELETE FROM oauth.oauth_once").await;
    }
}

/// All of them at once.
async fn refreshed(app: &App, renewals: &[String]) -> Vec<String> {
    let refresh = |renewal: &String| {
        let (app, renewal) = (app.clone(), renewal.clone());
        tokio::spawn(async move { issued(&refresh(&app, &renewal).await).1 })
    };
    let mut successors = Vec::new();
    for answer in renewals.iter().map(refresh).collect::<Vec<_>>() {
        successors.push(answer.await.expect("a good answer"));
    }
    successors
}

#[tokio::test]
async fn a_server_that_is_down_is_an_answer_to_try_again() {
    let server = Arc::new(Server::start(&["fsync=off"]));
    let (database, clock) = (Database::on(Arc::clone(&server)).await, ManualClock::default());
    let pooled = PgPoolOptions::new().acquire_timeout(seconds(1)).connect_lazy_with(database.options());
    for store in [database.store().await, on_pool(pooled).await] {
        let app = app(&provider(&store, &clock));
        let pending = code(&app, "profile").await;
        let (access, renewal) = tokens(&app, "profile").await;
        server.stop("INT");
        unavailable(&redeem(&app, &pending).await);
        unavailable(&refresh(&app, &renewal).await);
        unavailable(&send(&app, form("/revoke", &[("token", &renewal), ("client_id", "public")])).await);
        assert_eq!(send(&app, bearer("/me", &access)).await.status, StatusCode::SERVICE_UNAVAILABLE);
        server.start_again();
        assert!(is_good(&app, &access).await);
        issued(&redeem(&app, &pending).await);
        issued(&refresh(&app, &renewal).await);
    }
}

/// What a standby knows may be old: a grant that was revoked since would be alive there.
#[tokio::test]
async fn a_standby_in_the_primarys_place_is_not_asked_until_it_is_promoted() {
    let server = Arc::new(Server::start(&["fsync=off"]));
    let (database, clock) = (Database::on(Arc::clone(&server)).await, ManualClock::default());
    let app = app(&provider(&database.store().await, &clock));
    let (access, renewal) = tokens(&app, "profile").await;
    server.stop("INT");
    server.becomes_a_standby();
    server.start_again();
    assert_eq!(database.number("SELECT pg_is_in_recovery()::int::bigint").await, 1, "it answers");
    assert_eq!(send(&app, bearer("/me", &access)).await.status, StatusCode::SERVICE_UNAVAILABLE);
    unavailable(&refresh(&app, &renewal).await);
    database.run("SELECT pg_promote()").await;
    assert!(is_good(&app, &access).await);
    issued(&refresh(&app, &renewal).await);
}

/// Whoever wants to write has its key noted first, one after the other; and nobody waits for those before him.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_falls_silent_before_the_first_grant_is_an_answer_to_try_again() {
    let server = Arc::new(Server::start(&["fsync=off"]));
    let (database, clock) = (Database::on(Arc::clone(&server)).await, ManualClock::default());
    let store = database.store().await;
    server.signal("STOP");
    let _provider = provider(&store, &clock);
    let asked = (0..5).map(|_| {
        let (store, grant) = (store.clone(), alices());
        tokio::spawn(tokio::time::timeout(seconds(12), async move { store.create(grant).await }))
    });
    for answer in asked.collect::<Vec<_>>() {
        let error = answer.await.expect("no panic").expect("an answer within the time").expect_err("it is silent");
        assert!(error.to_string().contains("has not answered for 5 s"), "{error}");
    }
    server.signal("CONT");
}

/// It answers nothing and refuses nothing: whoever waits is told to try again after 5 seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_that_falls_silent_is_an_answer_to_try_again() {
    let server = Arc::new(Server::start(&["fsync=off"]));
    let (database, clock) = (Database::on(Arc::clone(&server)).await, ManualClock::default());
    let pooled = on_pool(database.pool()).await;
    let apps = [database.store().await, pooled].map(|store| app(&provider(&store, &clock)));
    let mut tokens = Vec::new();
    for app in &apps {
        tokens.push(support::tokens(app, "profile").await);
    }
    server.signal("STOP");
    let silent: Vec<_> = apps
        .iter()
        .zip(&tokens)
        .map(|(app, (access, renewal))| {
            let (app, access, renewal) = (app.clone(), access.clone(), renewal.clone());
            tokio::spawn(tokio::time::timeout(seconds(20), async move {
                tokio::join!(send(&app, bearer("/me", &access)), refresh(&app, &renewal))
            }))
        })
        .collect();
    for answers in silent {
        let (checked, refreshed) = answers.await.expect("no panic").expect("an answer within the time");
        assert_eq!(checked.status, StatusCode::SERVICE_UNAVAILABLE);
        unavailable(&refreshed);
    }
    server.signal("CONT");
    for (app, (access, renewal)) in apps.iter().zip(&tokens) {
        assert!(is_good(app, access).await);
        issued(&refresh(app, renewal).await);
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_read_fails_alone() {
    let (database, clock) = (Database::new().await, ManualClock::default());
    let app = app(&provider(&database.store().await, &clock));
    let (access, renewal) = tokens(&app, "profile").await;
    let columns = [
        ("scope = chr(233)", "scope = 'profile'"),
        ("resources = 'api'", "resources = 'https://shift.example'"),
        ("claims = '['", "claims = NULL"),
        ("generation = -1", "generation = 0"),
        ("generation = 1::bigint << 40", "generation = 0"),
        ("expires_at = -1", "expires_at = 253402300799"),
        ("revoke_reason = 'boredom', revoked_at = 5", "revoke_reason = NULL, revoked_at = NULL"),
        ("revoked_at = 5", "revoked_at = NULL"),
        ("revoked_tokens = decode('00', 'hex')", "revoked_tokens = NULL"),
    ];
    let set = async |column: &str| database.run(format!("UPDATE oauth.oauth_grant SET {column}")).await;
    what_cannot_be_read_is_an_answer_to_try_again(&app, &access, &renewal, &columns, set).await;
}

// ---- opening --------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_database_that_is_not_migrated_is_refused() {
    let database = Database::new().await;
    for opening in [PostgresStore::connect(&database.url()), PostgresStore::from_pool(database.pool())] {
        let told = told(opening.await);
        assert!(told.contains("\"oauth\" is not migrated") && told.contains(".migrate().await"), "{told}");
    }
    let made = database.number("SELECT count(*) FROM pg_namespace WHERE nspname = 'oauth'").await;
    assert_eq!(made, 0, "nothing was made");
    database.store().await;
    PostgresStore::from_pool(database.pool()).await.expect("it is migrated");
}

#[tokio::test]
async fn a_role_without_the_right_to_make_tables_can_run_a_provider() {
    let (database, clock) = (Database::new().await, ManualClock::default());
    database.store().await;
    database
        .run(
            "CREATE ROLE runs LOGIN; GRANT USAGE ON SCHEMA oauth TO runs;
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA oauth TO runs",
        )
        .await;
    let url = database.url().replace("postgres@", "runs@");
    // Migrated again it is not written to.
    for opening in [PostgresStore::connect(&url), PostgresStore::connect(&url).migrate()] {
        let store = opening.await.expect("it is migrated");
        let provider = provider(&store, &clock);
        let (access, renewal) = tokens(&app(&provider), "profile").await;
        issued(&refresh(&app(&provider), &renewal).await);
        assert!(is_good(&app(&provider), &access).await);
        provider.sweep().await.expect("the database answers");
    }
    let told = told(PostgresStore::connect(&url).in_schema("another").migrate().await);
    assert!(told.contains("permission denied"), "{told}");
    database.run("DROP OWNED BY runs; DROP ROLE runs").await;
}

#[tokio::test]
async fn what_cannot_be_a_database_of_ours_is_told_at_the_start() {
    let database = Database::new().await;
    for (url, why) in [
        ("postgres", "relative URL"),
        (&*database.url().replace("test_", "none_"), "does not exist"),
        (&*database.url().replace(&database.server.port().to_string(), "1"), "refused"),
    ] {
        let told = told(PostgresStore::connect(url).await);
        assert!(told.contains(why), "{told}");
    }
    for name in ["", "a\0b", &"x".repeat(64)] {
        let told = told(PostgresStore::connect(&database.url()).in_schema(name).await);
        assert!(told.contains("is no name of a schema"), "{told}");
    }
    database.run("CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0").await;
    let told = told(PostgresStore::connect(&database.server.url("ascii")).migrate().await);
    assert!(told.contains("SQL_ASCII") && told.contains("ENCODING 'UTF8'"), "{told}");
    database.run("DROP DATABASE ascii").await;
}

#[tokio::test]
async fn two_schemas_of_one_database_know_nothing_of_each_other() {
    let (database, clock) = (Database::new().await, ManualClock::default());
    let odd = "Staging \"2\" {schema} {channel} $1 ; -- '";
    let stores = ["oauth", odd].map(|schema| PostgresStore::connect(&database.url()).in_schema(schema).migrate());
    let [first, second] = stores;
    let (first, second) = (first.await.expect("a schema"), second.await.expect("a schema"));
    let (here, there) = (provider(&first, &clock), provider(&second, &clock));
    let (access, renewal) = tokens(&app(&here), "profile").await;
    assert!(!is_good(&app(&there), &access).await);
    refused(&refresh(&app(&there), &renewal).await);
    assert_eq!(there.revoke_all(&Holder::User("alice".into())).await.expect("the database answers"), 0);
    issued(&refresh(&app(&here), &renewal).await);
    contract::check_registry(async || second.clone()).await;
    contract::check_steps(1, 300, async || second.clone()).await;
    there.sweep().await.expect("the database answers");
}

/// Whoever may make functions in a schema that is searched could else run them as the provider's role.
#[tokio::test]
async fn a_function_of_somebody_else_is_not_called() {
    let (database, clock) = (Database::new().await, ManualClock::default());
    database
        .run(
            "CREATE FUNCTION public.theirs() RETURNS text LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''called''; END';
             CREATE FUNCTION public.format(text, bigint) RETURNS text RETURN public.theirs();
             CREATE FUNCTION public.hashtextextended(text, integer) RETURNS bigint RETURN public.theirs()::bigint",
        )
        .await;
    let provider = provider(&database.store().await, &clock);
    tokens(&app(&provider), "profile").await;
    provider.sweep().await.expect("nothing else was called");
}

#[tokio::test]
async fn a_database_of_a_later_version_is_left_alone() {
    let database = Database::new().await;
    database.store().await;
    database.run("INSERT INTO oauth.oauth_schema (version) VALUES (1000)").await;
    for opening in [PostgresStore::connect(&database.url()), PostgresStore::connect(&database.url()).migrate()] {
        let told = told(opening.await);
        assert!(told.contains("version 1000"), "{told}");
    }
}

/// A database that the first version made, with what was granted then: whatever the version, it goes on from there.
#[tokio::test]
async fn a_database_of_the_first_version_is_brought_to_this_one() {
    let database = Database::new().await;
    database.run(include_str!("postgres/version_1.sql")).await;
    nodes::what_the_first_version_granted_goes_on(&database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn first_starts_at_once_make_the_tables_once() {
    let database = Database::new().await;
    let pool = pool(&database, 8, &[("default_transaction_isolation", "repeatable read")]);
    let starts: Vec<_> = (0..16)
        .map(|number| match number % 2 {
            0 => tokio::spawn(PostgresStore::connect(&database.url()).migrate().into_future()),
            _ => tokio::spawn(PostgresStore::from_pool(pool.clone()).migrate().into_future()),
        })
        .collect();
    for start in starts {
        start.await.expect("no panic").expect("a database");
    }
}

/// The clock of the server is what `clock_timestamp()` says, here by a function that is found before PostgreSQL's own.
#[tokio::test]
async fn a_node_whose_clock_is_far_from_the_servers_does_not_start() {
    let (database, clock) = (Database::new().await, ManualClock::default());
    database.store().await;
    for (seconds, starts) in [("0", true), ("3", true), ("30", false), ("-30", false)] {
        database
            .run(format!(
                "CREATE SCHEMA IF NOT EXISTS wrong; CREATE OR REPLACE FUNCTION wrong.clock_timestamp() RETURNS timestamptz
                 LANGUAGE sql AS $$ SELECT pg_catalog.clock_timestamp() + interval '{seconds} s' $$"
            ))
            .await;
        let store = on_pool(pool(&database, 1, &[("search_path", "wrong,pg_catalog")])).await;
        let skew = store.clock_skew().expect("it has a clock");
        assert!(
            skew.abs_diff(Duration::from_secs(seconds.trim_start_matches('-').parse().expect("a number")))
                < Duration::from_secs(1),
            "{skew:?}"
        );
        let built = builder(&clock).store(store).secrets(secrets(&[1])).build();
        assert_eq!(built.is_ok(), starts, "{seconds} s");
        if let Err(error) = built {
            assert!(error.to_string().contains("away from that of the store"), "{error}");
        }
    }
}

// ---- what moves -----------------------------------------------------------------------------------------------------

#[tokio::test]
async fn secrets_replaced_in_two_steps_log_nobody_out() {
    moves::secrets_replaced_in_two_steps_log_nobody_out(&Database::new().await).await;
}

#[tokio::test]
async fn a_client_that_was_disabled_or_deleted_is_not_looked_for_in_an_older_store() {
    let (new, old) = (Database::new().await, Database::new().await);
    moves::a_client_that_was_disabled_or_deleted_is_not_looked_for_in_an_older_store(&new, &old).await;
}
