//! The SQLite store: the contract and the rules, what outlives a process, two processes on one file, and a database that
//! fails.

#[cfg(feature = "jwt")]
#[path = "support/jws.rs"]
mod jws;
#[path = "support/moves.rs"]
mod moves;
#[path = "support/nodes.rs"]
mod nodes;
#[cfg(feature = "jwt")]
#[path = "support/prover.rs"]
mod prover;
mod support;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use http::StatusCode;
use nodes::{
    Durable, Held, Place, connected, custom, grant, is_good, issued, nothing_is_consumed_where_a_write_fails,
    redemption_of, unavailable, what_cannot_be_read_is_an_answer_to_try_again,
};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{AssertSqlSafe, SqlitePool};
use support::{ISSUER, WEB, app, builder, code, form, redeem, refresh, seconds, send, tokens};
use tower_oauth::testing::{ManualClock, contract};
use tower_oauth::{
    ClientRegistry, ConfigErrors, DatabaseError, Grant, GrantRecord, GrantStore, Holder, OnceKey, Provider,
    RevocationReason, Secret, Secrets, SqliteStore, UnixTime,
};

/// A folder of one test's own, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("sqlite-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name))
    }

    fn database(&self) -> PathBuf {
        self.0.join("provider.db")
    }

    fn secret(&self) -> PathBuf {
        self.0.join("provider.db.secret")
    }

    /// The database as anybody may open it.
    async fn pool(&self) -> SqlitePool {
        pool(self.options()).await
    }

    fn options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new().filename(self.database()).journal_mode(SqliteJournalMode::Wal)
    }
}

impl Place for Folder {
    type Store = SqliteStore;

    async fn store(&self) -> SqliteStore {
        SqliteStore::open(self.database()).await.expect("a database")
    }
}

impl Durable for SqliteStore {
    async fn forget(&self, issuer: &str) -> Result<(), DatabaseError> {
        self.forget_keys(issuer).await
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// With one connection, so that each statement sees what the one before it did to the tables.
async fn pool(options: SqliteConnectOptions) -> SqlitePool {
    SqlitePoolOptions::new().max_connections(1).connect_with(options).await.expect("a pool")
}

async fn run(pool: &SqlitePool, sql: impl Into<String>) {
    sqlx::raw_sql(AssertSqlSafe(sql.into())).execute(pool).await.expect("good SQL");
}

fn started(store: &SqliteStore, clock: &ManualClock) -> Result<Provider, ConfigErrors> {
    builder(clock).store(store.clone()).build()
}

fn provider(store: &SqliteStore, clock: &ManualClock) -> Provider {
    started(store, clock).expect("a good configuration")
}

// ---- the contract and the rules -------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_keeps_the_contract() {
    let folder = Folder::new();
    contract::check(async || folder.store().await).await;
}

/// What is revoked and what is told of it are written together, by a job that is alone and by one among others.
#[tokio::test]
async fn a_revocation_that_cannot_be_told_is_none() {
    let (folder, clock) = (Folder::new(), ManualClock::default());
    let store = folder.store().await;
    let provider = provider(&store, &clock);
    let app = app(&provider);
    let (access, renewal) = tokens(&app, "profile").await;
    let (other, _) = tokens(&app, "profile").await;
    let revoke = async |token: &str| send(&app, form("/revoke", &[("token", token), ("client_id", "public")])).await;
    let pool = folder.pool().await;
    let broken = "CREATE TRIGGER broken BEFORE INSERT ON oauth_revoked BEGIN SELECT raise(ABORT, 'broken'); END";
    run(&pool, broken).await;
    unavailable(&revoke(&renewal).await);
    let (first, second) = tokio::join!(revoke(&renewal), revoke(&access));
    unavailable(&first);
    unavailable(&second);
    provider.revoke_all(&Holder::User("alice".into())).await.expect_err("it cannot be told");
    assert!(is_good(&app, &access).await && is_good(&app, &other).await);
    assert_eq!(provider.grants_of(&"alice".into()).await.expect("a database").len(), 2);

    run(&pool, "DROP TRIGGER broken").await;
    let (first, second) = tokio::join!(revoke(&renewal), revoke(&other));
    assert_eq!([first.status, second.status], [StatusCode::OK; 2]);
    assert!(!is_good(&app, &access).await && !is_good(&app, &other).await);
    assert_eq!(store.revocations(&ISSUER.into(), UnixTime::from_secs(0)).await.expect("a database").len(), 2);
}

/// `scripts/test long` asks for ten times as many.
fn steps() -> usize {
    std::env::var("TOWER_OAUTH_STEPS").map_or(25_000, |steps| steps.parse().expect("TOWER_OAUTH_STEPS is a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn random_steps_end_as_the_rules_say() {
    let folder = Folder::new();
    contract::check_steps(rand::random(), steps(), async || folder.store().await).await;
}

/// A store alone with a step writes its usual case at once; one with more to do reads first, and lets the rules decide.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn random_steps_end_as_the_rules_say_where_the_writer_always_has_something_else_to_do() {
    let folder = Folder::new();
    let store = folder.store().await;
    let busy: Vec<_> = (0..3)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                loop {
                    let (key, now) =
                        (OnceKey::new(&ISSUER.into(), "", &rand::random::<[u8; 16]>()), UnixTime::from_secs(1));
                    store.once(key, UnixTime::from_secs(2), now).await.expect("the database answers");
                }
            })
        })
        .collect();
    contract::check_steps(rand::random(), steps() / 10, async || store.clone()).await;
    for busy in busy {
        assert!(!busy.is_finished());
        busy.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_pool_of_the_apps_own_keeps_the_contract_with_one_connection_and_without_wal() {
    let folder = Folder::new();
    std::fs::create_dir_all(&folder.0).expect("a folder");
    let options = SqliteConnectOptions::new().filename(folder.database()).create_if_missing(true);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.expect("a pool");
    SqliteStore::migrate(&pool).await.expect("a new database");
    contract::check(async || SqliteStore::from_pool(pool.clone()).await.expect("it is migrated")).await;
}

/// What a wrong statement would do, done by a trigger: the suite sees each.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_wrong_write_of_any_column_is_caught() {
    for wrong in [
        "generation = OLD.generation",
        "generation = NEW.generation + (NEW.generation > 0)",
        "rotated_at = OLD.rotated_at",
        "rotated_at = NEW.rotated_at + 1",
        "redeemed_at = NEW.rotated_at",
        "expires_at = OLD.expires_at",
        "secret_hash = zeroblob(16)",
        "revoked_at = NULL, revoke_reason = NULL",
        "revoked_at = NEW.revoked_at + 1",
        "revoke_reason = iif(NEW.revoke_reason IS NULL, NULL, 'user')",
        "revoked_tokens = NULL",
        "revoked_tokens = OLD.revoked_tokens",
        "revoked_until = NULL",
        "revoked_until = OLD.revoked_until",
        "redirect_uri_sent = 0",
        "subject = 'mallory'",
    ] {
        let folder = Folder::new();
        let store = folder.store().await;
        let trigger = format!(
            "CREATE TRIGGER wrong AFTER UPDATE ON oauth_grant BEGIN UPDATE oauth_grant SET {wrong} WHERE id = NEW.id; END"
        );
        run(&folder.pool().await, trigger).await;
        let suite = contract::check_steps(7, 3_000, async move || store.clone());
        let failed = tokio::spawn(suite).await.expect_err(&format!("{wrong} is not caught"));
        let told = failed.into_panic().downcast::<String>().expect("a panic with a text");
        assert!(told.starts_with("the store breaks the contract: "), "{wrong} is caught as: {told}");
    }
}

/// More than one write takes at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_done_to_many_records_is_done_to_all_of_them() {
    const COUNT: usize = 1_100;
    let folder = Folder::new();
    let store = folder.store().await;
    let (issuer, now) = (ISSUER.into(), UnixTime::from_secs(1_800_000_000));
    let create = async |expires_at| {
        let grants = (0..COUNT).map(|_| {
            let mut record = GrantRecord::default();
            (record.key, record.issuer, record.client_id) = (rand::random(), ISSUER.to_owned(), "app".to_owned());
            (record.subject, record.expires_at) = (Some("alice".to_owned()), expires_at);
            let (store, grant) = (store.clone(), Grant::from_record(record).expect("a good record"));
            tokio::spawn(async move { store.create(grant).await })
        });
        for created in grants.collect::<Vec<_>>() {
            created.await.expect("no panic").expect("the database answers");
        }
    };
    create(1_800_000_060).await;
    for holder in
        [Holder::User("alice".into()), Holder::Client("app".into()), Holder::UserAtClient("alice".into(), "app".into())]
    {
        let reason = RevocationReason::User;
        assert_eq!(store.revoke_all(&issuer, &holder, reason, now).await.expect("the database answers"), COUNT);
        assert_eq!(store.sweep(&issuer, now, seconds(60)).await.expect("the database answers"), COUNT);
        assert!(store.grants(&issuer, &holder).await.expect("the database answers").is_empty());
        create(1_800_000_060).await;
    }
    for key in 0..COUNT {
        let key = OnceKey::new(&issuer, "", &key.to_be_bytes());
        assert!(store.once(key, now, UnixTime::from_secs(0)).await.expect("the database answers"));
    }
    store.sweep(&issuer, now, seconds(60)).await.expect("the database answers");
    let left: i64 =
        sqlx::query_scalar("SELECT count(*) FROM oauth_once").fetch_one(&folder.pool().await).await.expect("one");
    assert_eq!(left, 0);
}

// ---- what outlives a process ----------------------------------------------------------------------------------------

#[tokio::test]
async fn what_was_granted_and_the_secret_outlive_the_process() {
    let (folder, clock) = (Folder::new(), ManualClock::default());
    let (access, renewal) = tokens(&app(&provider(&folder.store().await, &clock)), "profile").await;
    let before = grant(&folder.store().await).await;

    let store = folder.store().await;
    let app = app(&provider(&store, &clock));
    assert_eq!(grant(&store).await, before);
    assert!(is_good(&app, &access).await);
    let (access, _) = issued(&refresh(&app, &renewal).await);
    assert!(is_good(&app, &access).await);
}

#[tokio::test]
async fn the_secret_is_in_a_file_for_the_owner_alone_and_not_in_the_database() {
    let (folder, clock) = (Folder::new(), ManualClock::default());
    let store = folder.store().await;
    assert!(!folder.secret().exists(), "it is made where it is asked for");
    tokens(&app(&provider(&store, &clock)), "profile").await;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(folder.secret()).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let secret = std::fs::read_to_string(folder.secret()).expect("the file");
    let raw = base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, secret.trim()).expect("base64url");
    for part in ["provider.db", "provider.db-wal"] {
        let kept = std::fs::read(folder.0.join(part)).expect("a file");
        for needle in [secret.trim().as_bytes(), &raw] {
            assert!(!kept.windows(needle.len()).any(|bytes| bytes == needle), "the secret is in {part}");
        }
    }
}

#[tokio::test]
async fn with_secrets_of_the_builder_no_file_is_made() {
    let (folder, clock) = (Folder::new(), ManualClock::default());
    let store = folder.store().await;
    let provider = builder(&clock).store(store).secrets(Secret::generate()).build().expect("a good configuration");
    tokens(&app(&provider), "profile").await;
    assert!(!folder.secret().exists());
}

#[tokio::test]
async fn a_restart_does_not_reset_the_detection_of_reuse() {
    nodes::a_restart_does_not_reset_the_detection_of_reuse(&Folder::new()).await;
}

#[tokio::test]
async fn one_file_serves_several_issuers() {
    nodes::one_place_serves_several_issuers(&Folder::new()).await;
}

// ---- the keys in use ------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_node_without_a_secret_that_signs_for_its_issuer_does_not_start() {
    nodes::a_node_without_a_secret_that_signs_for_its_issuer_does_not_start(&Folder::new()).await;
}

#[tokio::test]
async fn secrets_replaced_in_two_steps_log_nobody_out() {
    moves::secrets_replaced_in_two_steps_log_nobody_out(&Folder::new()).await;
}

#[tokio::test]
async fn secrets_replaced_in_one_step_would_log_people_out() {
    moves::secrets_replaced_in_one_step_would_log_people_out(&Folder::new()).await;
}

#[tokio::test]
async fn a_client_that_was_disabled_or_deleted_is_not_looked_for_in_an_older_store() {
    let (new, old) = (Folder::new(), Folder::new());
    moves::a_client_that_was_disabled_or_deleted_is_not_looked_for_in_an_older_store(&new, &old).await;
}

#[tokio::test]
async fn two_providers_of_one_store_are_held_to_it_too() {
    nodes::two_providers_of_one_store_are_held_to_it_too(&Folder::new()).await;
}

#[tokio::test]
async fn a_key_is_in_use_as_long_as_a_refresh_token_of_it_can_live() {
    nodes::a_key_is_in_use_as_long_as_a_refresh_token_of_it_can_live(&Folder::new()).await;
}

#[tokio::test]
async fn after_a_leak_the_old_keys_are_forgotten_on_purpose() {
    nodes::after_a_leak_the_old_keys_are_forgotten_on_purpose(&Folder::new()).await;
}

#[tokio::test]
async fn where_the_secret_file_is_gone_no_other_is_made() {
    let (folder, clock) = (Folder::new(), ManualClock::default());
    let (access, _) = tokens(&app(&provider(&folder.store().await, &clock)), "profile").await;
    let kept = std::fs::read(folder.secret()).expect("the file");
    std::fs::remove_file(folder.secret()).expect("the file");
    let error = started(&folder.store().await, &clock).expect_err("its secret is gone").to_string();
    assert!(error.contains("provider.db.secret is missing"), "{error}");
    assert!(!folder.secret().exists());

    std::fs::write(folder.secret(), kept).expect("the file");
    #[cfg(unix)]
    {
        let only_mine = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(folder.secret(), only_mine).expect("the file");
    }
    assert!(is_good(&app(&provider(&folder.store().await, &clock)), &access).await);
}

// ---- clients --------------------------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_keeps_clients() {
    let folder = Folder::new();
    contract::check_registry(async || folder.store().await).await;
}

#[tokio::test]
async fn a_secret_is_added_before_the_old_one_is_retired() {
    nodes::a_secret_is_added_before_the_old_one_is_retired(&Folder::new()).await;
}

#[tokio::test]
async fn a_disabled_client_gets_nothing_more_and_can_be_connected_anew() {
    nodes::a_disabled_client_gets_nothing_more_and_can_be_connected_anew(&Folder::new()).await;
}

#[tokio::test]
async fn of_a_deleted_client_nothing_is_kept_but_its_id() {
    let (folder, clock) = (Folder::new(), ManualClock::default());
    let store = folder.store().await;
    let app = app(&provider(&store, &clock));
    store.create_client(&ISSUER.into(), custom("app")).await.expect("the database answers");
    let (access, _) = connected(&app).await;
    let now = UnixTime::from_secs(1_800_000_000);
    assert_eq!(store.delete_client(&ISSUER.into(), &"app".into(), now).await.expect("the database answers"), 1);
    assert!(!is_good(&app, &access).await);
    let query = sqlx::query_scalar("SELECT record FROM oauth_client");
    let record: Option<String> = query.fetch_one(&folder.pool().await).await.expect("a row");
    assert_eq!(record, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_register_themselves_at_two_nodes_up_to_one_limit() {
    nodes::clients_register_themselves_at_two_nodes_up_to_one_limit(&Folder::new()).await;
}

/// RFC 7592
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_client_manages_its_registration_at_either_node() {
    nodes::a_client_manages_its_registration_at_either_node(&Folder::new()).await;
}

// ---- two processes on one file --------------------------------------------------------------------------------------

#[cfg(feature = "jwt")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_uses_of_one_assertion_at_two_providers_one_is_accepted() {
    nodes::of_64_uses_of_one_assertion_at_two_providers_one_is_accepted(&Folder::new()).await;
}

/// RFC 9126 §4, CVE-2026-22751
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_decisions_on_one_request_uri_at_two_providers_one_counts() {
    nodes::of_64_decisions_on_one_request_uri_at_two_providers_one_counts(&Folder::new()).await;
}

#[cfg(feature = "jwt")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_uses_of_one_proof_at_two_providers_one_is_accepted() {
    nodes::of_64_uses_of_one_proof_at_two_providers_one_is_accepted(&Folder::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_200_redemptions_of_one_code_at_two_providers_one_wins_and_its_grant_lives() {
    nodes::of_200_redemptions_of_one_code_at_two_providers_one_wins_and_its_grant_lives(&Folder::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_200_refreshes_with_one_token_at_two_providers_all_get_its_one_successor() {
    nodes::of_200_refreshes_with_one_token_at_two_providers_all_get_its_one_successor(&Folder::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_200_refreshes_at_two_providers_against_a_revocation_nothing_lives_on() {
    nodes::of_200_refreshes_at_two_providers_against_a_revocation_nothing_lives_on(&Folder::new()).await;
}

/// Whoever waits for a write may go away; the write is done all the same.
#[tokio::test]
async fn a_caller_who_goes_away_cancels_nothing() {
    let folder = Folder::new();
    let store = folder.store().await;
    let key = OnceKey::new(&ISSUER.into(), "", b"");
    let (until, now) = (UnixTime::from_secs(1_800_000_060), UnixTime::from_secs(1_800_000_000));
    let writing = folder.pool().await.begin_with("BEGIN IMMEDIATE").await.expect("nobody writes");
    let mut asking = Box::pin(store.once(key, until, now));
    let answered = std::future::poll_fn(|context| Poll::Ready(asking.as_mut().poll(context).is_ready()));
    assert!(!answered.await, "it cannot be written yet");
    drop(asking);
    writing.rollback().await.expect("it was begun");
    // Writes keep their order.
    assert!(!store.once(key, until, now).await.expect("the database answers"), "it was not first any more");
}

/// What is refused without a change writes nothing, and what is answered once more neither.
#[tokio::test]
async fn what_changes_nothing_writes_nothing() {
    let (folder, clock) = (Folder::new(), ManualClock::default());
    let app = app(&provider(&folder.store().await, &clock));
    let held = Held::of(&app).await;
    let log = folder.0.join("provider.db-wal");
    let written = || std::fs::read(&log).expect("the log of what is written");
    let before = written();
    held.change_nothing(&app).await;
    assert!(written() == before, "something was written");
    issued(&send(&app, form("/token", &redemption_of(&held.pending))).await);
    assert!(written() != before, "the test sees what is written");
}

/// Whoever holds a stolen code or token cannot keep the writer busy: what is refused without a change does not wait for
/// one that has something to do, nor does what is read.
#[tokio::test]
async fn a_step_that_changes_nothing_is_answered_while_another_process_writes() {
    let (folder, clock) = (Folder::new(), ManualClock::default());
    let store = folder.store().await;
    let app = app(&provider(&store, &clock));
    let held = Held::of(&app).await;

    let pool = folder.pool().await;
    let writing = pool.begin_with("BEGIN IMMEDIATE").await.expect("nobody writes");
    let now = UnixTime::from_secs(1_800_000_000);
    let waiting = tokio::spawn(async move { store.once(OnceKey::new(&ISSUER.into(), "", b""), now, now).await });
    tokio::task::yield_now().await;
    held.change_nothing(&app).await;
    assert!(!waiting.is_finished());
    writing.rollback().await.expect("it was begun");
    assert!(waiting.await.expect("no panic").expect("its turn came"));
    issued(&refresh(&app, &held.second).await);
}

// ---- a database that fails ------------------------------------------------------------------------------------------

/// From now on every transaction fails that changes a grant: where its statement does, or only when it commits.
async fn fail(pool: &SqlitePool, how: &str) {
    let action = match how {
        "COMMIT" => "INSERT INTO orphan VALUES (1)".to_owned(),
        how => format!("SELECT RAISE({how}, 'out of order')"),
    };
    run(pool, "CREATE TABLE IF NOT EXISTS nobody (id INTEGER PRIMARY KEY)").await;
    let orphan = "CREATE TABLE IF NOT EXISTS orphan (id INTEGER REFERENCES nobody (id) DEFERRABLE INITIALLY DEFERRED)";
    run(pool, orphan).await;
    run(pool, format!("CREATE TRIGGER failing AFTER UPDATE ON oauth_grant BEGIN {action}; END")).await;
}

async fn repair(pool: &SqlitePool) {
    run(pool, "DROP TRIGGER failing").await;
}

const FAILURES: [&str; 3] = ["COMMIT", "ABORT", "ROLLBACK"];

/// keycloak#49213: elsewhere a transaction that was rolled back left a counter advanced.
#[tokio::test]
async fn where_a_write_fails_nothing_is_answered_and_nothing_consumed() {
    let (folder, clock) = (Folder::new(), ManualClock::default());
    let (store, pool) = (folder.store().await, folder.pool().await);
    for how in FAILURES {
        let (fail, repair) = (async || fail(&pool, how).await, async || repair(&pool).await);
        nothing_is_consumed_where_a_write_fails(&store, &clock, fail, repair, how).await;
        run(&pool, "DELETE FROM oauth_grant").await;
    }
}

/// The same for writes that share a transaction; after an error SQLite's connection may not be in the state that it
/// seems to be in.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn where_a_shared_transaction_fails_nothing_of_it_is_answered_and_nothing_consumed() {
    let (folder, clock) = (Folder::new(), ManualClock::default());
    let store = folder.store().await;
    let app = app(&provider(&store, &clock));
    let pool = folder.pool().await;
    let mut renewals = Vec::new();
    for _ in 0..40 {
        renewals.push(tokens(&app, "profile").await.1);
    }
    let refresh_all = async |renewals: &[String]| {
        let refresh = |renewal: &String| {
            let (app, renewal) = (app.clone(), renewal.clone());
            tokio::spawn(async move { refresh(&app, &renewal).await })
        };
        let mut answers = Vec::new();
        for answer in renewals.iter().map(refresh).collect::<Vec<_>>() {
            answers.push(answer.await.expect("no panic"));
        }
        answers
    };
    let records = async || {
        let grants = store.grants(&ISSUER.into(), &Holder::User("alice".into())).await.expect("the database answers");
        grants.iter().map(|grant| Grant::clone(grant)).collect::<Vec<_>>()
    };
    for how in FAILURES {
        fail(&pool, how).await;
        let before = records().await;
        refresh_all(&renewals).await.iter().for_each(unavailable);
        assert_eq!(records().await, before, "{how}");
        repair(&pool).await;
        renewals = refresh_all(&renewals).await.iter().map(|answer| issued(answer).1).collect();
    }
}

#[tokio::test]
async fn a_full_disk_is_an_answer_to_try_again_and_loses_nothing() {
    let (folder, clock) = (Folder::new(), ManualClock::default());
    let whole = app(&provider(&folder.store().await, &clock));
    let code = code(&whole, "profile").await;
    let (access, renewal) = tokens(&whole, "profile").await;
    let size: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&folder.pool().await).await.expect("a number");
    let full = pool(folder.options().pragma("max_page_count", size.to_string())).await;
    let store = SqliteStore::from_pool(full.clone()).await.expect("it is migrated");
    let (secrets, _) = Secrets::open(folder.secret()).expect("the file");
    let provider = builder(&clock).store(store).secrets(secrets).build().expect("a good configuration");
    let app = app(&provider);

    // Until the last page is full.
    let mut approved = 0;
    let last = loop {
        let params = support::authorization("public", WEB, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        let answer = send(&app, form(&support::with_query("/authorize", &params), &[])).await;
        match answer.redirected("code") {
            Some(_) => approved += 1,
            None => break answer,
        }
        assert!(approved < 1_000, "the disk is never full");
    };
    assert_eq!(last.redirected("error").as_deref(), Some("temporarily_unavailable"), "{last:?}");
    assert!(is_good(&app, &access).await, "what is read is answered");
    let written = refresh(&app, &renewal).await;
    if written.status != StatusCode::OK {
        unavailable(&written);
    }
    let grants = folder.store().await.grants(&ISSUER.into(), &Holder::User("alice".into())).await;
    assert_eq!(grants.expect("the database answers").len(), 2 + approved, "what was answered is there");
    issued(&redeem(&whole, &code).await);
    issued(&refresh(&whole, &renewal).await);
}

#[tokio::test]
async fn a_file_that_can_only_be_read_is_an_answer_to_try_again_and_loses_nothing() {
    let (folder, clock) = (Folder::new(), ManualClock::default());
    let writable = app(&provider(&folder.store().await, &clock));
    let code = code(&writable, "profile").await;
    let (access, renewal) = tokens(&writable, "profile").await;
    let store = SqliteStore::from_pool(pool(folder.options().read_only(true)).await).await.expect("it is migrated");
    let (secrets, _) = Secrets::open(folder.secret()).expect("the file");
    let provider = builder(&clock).store(store).secrets(secrets).build().expect("it starts");
    let app = app(&provider);
    for _ in 0..2 {
        unavailable(&redeem(&app, &code).await);
        unavailable(&refresh(&app, &renewal).await);
        let revocation = form("/revoke", &[("token", &renewal), ("client_id", "public")]);
        unavailable(&send(&app, revocation).await);
        assert!(is_good(&app, &access).await, "what is read is answered");
    }
    issued(&redeem(&writable, &code).await);
    issued(&refresh(&writable, &renewal).await);
}

#[tokio::test]
async fn a_record_that_cannot_be_read_fails_alone() {
    let (folder, clock) = (Folder::new(), ManualClock::default());
    let store = folder.store().await;
    let app = app(&provider(&store, &clock));
    let (access, renewal) = tokens(&app, "profile").await;
    let pool = folder.pool().await;
    let columns = [
        ("scope = char(233)", "scope = 'profile'"),
        ("resources = 'api'", "resources = 'https://shift.example'"),
        ("claims = '['", "claims = NULL"),
        ("generation = -1", "generation = 0"),
        ("generation = 1 << 40", "generation = 0"),
        ("expires_at = -1", "expires_at = 253402300799"),
        ("revoke_reason = 'boredom', revoked_at = 5", "revoke_reason = NULL, revoked_at = NULL"),
        ("revoked_at = 5", "revoked_at = NULL"),
        ("revoked_tokens = x'00'", "revoked_tokens = NULL"),
    ];
    let set = async |column: &str| run(&pool, format!("UPDATE oauth_grant SET {column}")).await;
    what_cannot_be_read_is_an_answer_to_try_again(&app, &access, &renewal, &columns, set).await;
    let hash: Vec<u8> =
        sqlx::query_scalar("SELECT secret_hash FROM oauth_grant").fetch_one(&pool).await.expect("a hash");
    for broken in ["x'00'", "NULL"] {
        run(&pool, format!("UPDATE oauth_grant SET secret_hash = {broken}")).await;
        unavailable(&refresh(&app, &renewal).await);
    }
    sqlx::query("UPDATE oauth_grant SET secret_hash = ?1").bind(hash).execute(&pool).await.expect("good SQL");
    issued(&refresh(&app, &renewal).await);
}

// ---- opening --------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn what_is_no_database_of_ours_is_told_at_the_start() {
    let folder = Folder::new();
    std::fs::create_dir_all(&folder.0).expect("a folder");
    let open = async |path: PathBuf| SqliteStore::open(path).await.map(drop).expect_err("no database").to_string();
    for none in ["", ":memory:"] {
        let told = open(none.into()).await;
        assert!(told.contains("`MemoryStore`"), "{told}");
    }
    let told = open(folder.0.clone()).await;
    assert!(told.contains("unable to open database file"), "{told}");
    std::fs::write(folder.database(), "this is a letter, and no database at all".repeat(100)).expect("a file");
    let told = open(folder.database()).await;
    assert!(told.contains("file is not a database"), "{told}");
    let told = open(folder.database().join("below a file")).await;
    assert!(told.contains("Not a directory") || told.contains("exists"), "{told}");
}

#[tokio::test]
async fn a_pool_that_is_not_migrated_or_answers_too_early_is_refused() {
    let folder = Folder::new();
    std::fs::create_dir_all(&folder.0).expect("a folder");
    let fresh = pool(folder.options().create_if_missing(true)).await;
    let told = |answer: Result<SqliteStore, DatabaseError>| answer.map(drop).expect_err("refused").to_string();
    assert!(told(SqliteStore::from_pool(fresh.clone()).await).contains("SqliteStore::migrate"));
    SqliteStore::migrate(&fresh).await.expect("a new database");
    SqliteStore::from_pool(fresh).await.expect("it is migrated");
    let early = pool(folder.options().synchronous(SqliteSynchronous::Normal)).await;
    assert!(told(SqliteStore::from_pool(early).await).contains("SqliteSynchronous::Full"));
}

#[tokio::test]
async fn a_database_of_a_later_version_is_left_alone() {
    let folder = Folder::new();
    drop(folder.store().await);
    let pool = folder.pool().await;
    run(&pool, "INSERT INTO oauth_schema (version) VALUES (1000)").await;
    for answer in [SqliteStore::open(folder.database()).await, SqliteStore::from_pool(pool).await] {
        let told = answer.map(drop).expect_err("it is of a later version").to_string();
        assert!(told.contains("version 1000"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn first_starts_at_once_make_the_tables_once() {
    let folder = Folder::new();
    let starts: Vec<_> = (0..8).map(|_| tokio::spawn(SqliteStore::open(folder.database()))).collect();
    for start in starts {
        start.await.expect("no panic").expect("a database");
    }
}

/// A database that the first version made, with what was granted then: whatever the version, it goes on from there.
#[tokio::test]
async fn a_database_of_the_first_version_is_brought_to_this_one() {
    let folder = Folder::new();
    std::fs::create_dir_all(&folder.0).expect("a folder");
    run(&pool(folder.options().create_if_missing(true)).await, include_str!("sqlite/version_1.sql")).await;
    nodes::what_the_first_version_granted_goes_on(&folder).await;
}
