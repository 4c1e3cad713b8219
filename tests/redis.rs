//! The Redis store: the contract and the rules, what outlives Redis and what goes by itself, several nodes at once, and a
//! Redis that fails.

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
#[path = "support/redis.rs"]
mod servers;
mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use nodes::{Durable, Place, grant, is_good, issued, refused, secrets, unavailable};
use servers::{Proxy, Raw, Server, mutation};
use support::{
    Answer, App, ISSUER, SECRET, WEB, app, basic, bearer, builder, code, confidential, form, redeem, refresh, seconds,
    send, tokens,
};
use tower_oauth::event::Event;
use tower_oauth::testing::{ManualClock, contract};
use tower_oauth::{
    Client, ClientId, ClientRegistry, ClientStore, ConfigErrors, DatabaseError, Grant, GrantRecord, GrantStore, Holder,
    OnceKey, Provider, RedisStore, RegistrationPolicy, RevocationReason, UnixTime,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Without a cache, so that what is asked is asked of Redis: `tests/cache.rs` is about the cache.
async fn connect(url: String) -> RedisStore {
    RedisStore::connect(url).cache(Duration::ZERO).await.expect("Redis answers")
}

async fn store(server: &Server) -> RedisStore {
    connect(server.url()).await
}

fn with_secrets(store: &RedisStore, clock: &ManualClock, numbers: &[u8]) -> Result<Provider, ConfigErrors> {
    builder(clock).store(store.clone()).secrets(secrets(numbers)).build()
}

fn provider(store: &RedisStore, clock: &ManualClock) -> Provider {
    with_secrets(store, clock, &[1]).expect("a good configuration")
}

/// A node with a connection of its own.
async fn node(server: &Server, clock: &ManualClock) -> Provider {
    provider(&store(server).await, clock)
}

impl Place for Server {
    type Store = RedisStore;

    async fn store(&self) -> RedisStore {
        connect(self.url()).await
    }
}

/// The names of all keys but the 64 numbers of revocations, which stay.
async fn left(server: &Server) -> Vec<String> {
    let mut names = server.raw().await.keys("*").await;
    names.retain(|name| !name.starts_with("oauth:revocations:{"));
    names
}

impl Durable for RedisStore {
    async fn forget(&self, issuer: &str) -> Result<(), DatabaseError> {
        self.forget_keys(issuer).await
    }
}

async fn revoke(app: &App, token: &str) -> Answer {
    send(app, form("/revoke", &[("token", token), ("client_id", "public")])).await
}

// ---- the contract and the rules -------------------------------------------------------------------------------------

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_keeps_the_contract_with_and_without_a_cache() {
    let server = Server::start();
    contract::check(async || store(&server).await).await;
    contract::check(async || cached(&server).await).await;
    contract::check_registry(async || store(&server).await).await;
}

/// As it is where nobody says otherwise.
async fn cached(server: &Server) -> RedisStore {
    RedisStore::connect(server.url()).await.expect("Redis answers")
}

/// `scripts/test long` asks for ten times as many.
fn steps() -> usize {
    std::env::var("TOWER_OAUTH_STEPS").map_or(25_000, |steps| steps.parse().expect("TOWER_OAUTH_STEPS is a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn random_steps_end_as_the_rules_say() {
    let server = Server::start();
    contract::check_steps(rand::random(), steps(), async || cached(&server).await).await;
}

/// A cluster refuses a script whose keys are in different slots.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_script_keeps_to_one_slot_of_a_cluster() {
    let server = Server::with(&["--cluster-enabled", "yes", "--appendonly", "no"]);
    let mut raw = server.raw().await;
    let _: () = raw.ask(&["CLUSTER", "ADDSLOTSRANGE", "0", "16383"]).await;
    while !raw.ask::<String>(&["CLUSTER", "INFO"]).await.contains("cluster_state:ok") {
        // Nobody acknowledges anything, so this waits so many milliseconds.
        let _: redis::RedisResult<i64> = raw.tell([&b"WAIT"[..], b"1", b"20"]).await;
    }
    contract::check(async || store(&server).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_wrong_script_is_caught() {
    let server = Server::with(&["--appendonly", "no"]);
    for (right, wrong) in [
        ("now >= tonumber(kept[EXPIRES_AT]) then", "now > tonumber(kept[EXPIRES_AT]) then"),
        ("unused >= idle", "unused > idle"),
        ("unused <= grace", "unused < grace"),
        ("presented > current + 1", "presented > current + 2"),
        ("presented >= current then", "presented == current then"),
        ("presented + 1 == current", "presented + 2 >= current"),
        ("presented == current and 'rotated'", "presented >= current and 'rotated'"),
        ("'generation', presented + 1", "'generation', current + 1"),
        ("presented + 1, 'rotated_at', ARGV[3]", "presented + 1"),
        ("kept[1] ~= ARGV[1] or", ""),
        ("or kept[2] then", "then"),
        ("'generation', ARGV[2], 'rotated_at', ARGV[3]", "'generation', ARGV[2]"),
        ("'generation', ARGV[2], 'rotated_at', ARGV[3]", "'rotated_at', ARGV[3]"),
        (", 'expires_at', ending", ""),
        ("kept[SECRET_HASH] == secret", "false"),
        ("kept[SECRET_HASH] ~= secret", "false"),
        ("since(now, kept[REDEEMED_AT]) < double_submit", "since(now, kept[REDEEMED_AT]) <= double_submit"),
        ("math.max(now - tonumber(earlier), 0)", "math.abs(now - tonumber(earlier))"),
        ("kept[CHALLENGE] and since", "since"),
        ("kept[CHALLENGE] or kept[REDIRECT_URI_SENT] == '0'", "kept[CHALLENGE]"),
        ("challenge ~= some(kept[CHALLENGE])", "false"),
        ("kept[ISSUER] ~= ARGV[1] or", ""),
        ("if kept[REVOKED_AT] then return answer('ended') end", ""),
        ("revoke(ARGV[3], 'code_reuse')", ""),
        ("'refresh_reuse'", "'code_reuse'"),
        ("#tokens == 32", "#tokens == 33"),
        ("now < struct.unpack", "now <= struct.unpack"),
        ("entry:sub(1, 8) ~= token:sub(1, 8) and ", ""),
        ("or now > tonumber(kept[REVOKED_UNTIL])", "or true"),
        ("revoked('', tonumber(now) + PRESENTED)", ""),
        ("revoked('', tonumber(now) + PRESENTED)", "revoked('', tonumber(now))"),
        ("revoked(token:sub(1, 8), struct.unpack('>I8', token, 9) + BEYOND)", ""),
        ("if kept[REVOKED_UNTIL] then", "if false then"),
    ] {
        // Redis knows scripts by their digest, so that it must not know the right one.
        let _: () = server.raw().await.ask(&["SCRIPT", "FLUSH"]).await;
        let found = Arc::new(AtomicBool::new(false));
        let proxy = Proxy::rewriting(&server, mutation(right, wrong, Arc::clone(&found))).await;
        let store = connect(proxy.url()).await;
        let suite = contract::check_steps(7, 6_000, async move || store.clone());
        let failed = tokio::spawn(suite).await.expect_err(&format!("`{wrong}` for `{right}` is not caught"));
        assert!(found.load(Ordering::SeqCst), "`{right}` is in no script");
        let told = failed.into_panic().downcast::<String>().expect("a panic with a text");
        assert!(told.starts_with("the store breaks the contract: "), "`{wrong}` is caught as: {told}");
    }
}

/// Somebody tells Redis to forget all scripts, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn scripts_that_redis_forgot_are_told_again() {
    let server = Server::with(&["--appendonly", "no"]);
    let mut raw = server.raw().await;
    let forgetting = tokio::spawn(async move {
        loop {
            let _: () = raw.ask(&["SCRIPT", "FLUSH"]).await;
        }
    });
    contract::check_steps(rand::random(), 3_000, async || store(&server).await).await;
    forgetting.abort();
}

/// More than one batch.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_done_to_many_grants_is_done_to_all_of_them() {
    const COUNT: usize = 1_100;
    let server = Server::with(&["--appendonly", "no"]);
    let store = store(&server).await;
    let (issuer, now) = (ISSUER.into(), UnixTime::from_secs(1_800_000_000));
    let create = async || {
        let grants = (0..COUNT).map(|_| {
            let (store, grant) = (store.clone(), Grant::from_record(record(1_800_000_060)).expect("a good record"));
            tokio::spawn(async move { store.create(grant).await })
        });
        for created in grants.collect::<Vec<_>>() {
            created.await.expect("no panic").expect("Redis answers");
        }
    };
    for holder in
        [Holder::User("alice".into()), Holder::Client("app".into()), Holder::UserAtClient("alice".into(), "app".into())]
    {
        create().await;
        assert_eq!(store.grants(&issuer, &holder).await.expect("Redis answers").len(), COUNT);
        let reason = RevocationReason::User;
        assert_eq!(store.revoke_all(&issuer, &holder, reason, now).await.expect("Redis answers"), COUNT);
        assert_eq!(store.sweep(&issuer, now, seconds(60)).await.expect("Redis answers"), COUNT);
        assert_eq!(store.revocations(&issuer, now).await.expect("Redis answers").len(), COUNT);
        let passed = UnixTime::from_secs(now.as_secs() + 86_520);
        assert_eq!(store.sweep(&issuer, passed, seconds(60)).await.expect("Redis answers"), 0);
        assert_eq!(left(&server).await, [""; 0], "nothing of them is left");
    }
}

fn record(expires_at: i64) -> GrantRecord {
    let mut record = GrantRecord::default();
    (record.key, record.issuer, record.client_id) = (rand::random(), ISSUER.to_owned(), "app".to_owned());
    (record.subject, record.created_at, record.expires_at) = (Some("alice".to_owned()), 1_800_000_000, expires_at);
    record
}

/// One store of an app that has a connection already.
#[tokio::test]
async fn a_connection_of_the_apps_own_serves_too() {
    let (server, clock) = (Server::start(), ManualClock::default());
    let manager = redis::Client::open(server.url()).expect("a good URL").get_connection_manager().await;
    let store = RedisStore::from_manager(manager.expect("Redis answers")).await.expect("Redis answers");
    let app = app(&provider(&store, &clock));
    let (access, renewal) = tokens(&app, "profile").await;
    assert!(is_good(&app, &access).await);
    issued(&refresh(&app, &renewal).await);
}

// ---- what outlives Redis, and what is lost on the way ---------------------------------------------------------------

/// CVE-2026-9802: elsewhere a restart made a server forget which tokens were used.
#[tokio::test]
async fn a_restart_of_redis_forgets_nothing_and_the_same_store_goes_on() {
    let (mut server, clock) = (Server::start(), ManualClock::default());
    let store = store(&server).await;
    let app = app(&provider(&store, &clock));
    let code = code(&app, "profile").await;
    server.start_again();
    let (access, first) = issued(&redeem(&app, &code).await);
    let before = grant(&store).await;
    server.start_again();
    assert_eq!(grant(&store).await, before);
    assert!(is_good(&app, &access).await);
    let (_, second) = issued(&refresh(&app, &first).await);
    server.start_again();
    let (_, third) = issued(&refresh(&app, &second).await);
    refused(&refresh(&app, &first).await);
    server.start_again();
    refused(&refresh(&app, &third).await);
    assert!(!is_good(&app, &access).await);
    let reason = grant(&store).await.revoked().map(|(_, reason)| reason);
    assert_eq!(reason, Some(RevocationReason::RefreshReuse));
}

#[tokio::test]
async fn a_redis_that_is_down_is_an_answer_to_try_again_and_nothing_is_consumed() {
    let (mut server, clock) = (Server::start(), ManualClock::default());
    let app = app(&node(&server, &clock).await);
    let code = code(&app, "profile").await;
    let (access, renewal) = tokens(&app, "profile").await;
    server.kill();
    for _ in 0..2 {
        unavailable(&redeem(&app, &code).await);
        unavailable(&refresh(&app, &renewal).await);
        unavailable(&revoke(&app, &renewal).await);
        assert_eq!(send(&app, bearer("/me", &access)).await.status, StatusCode::SERVICE_UNAVAILABLE);
    }
    RedisStore::connect(server.url()).await.expect_err("nobody is there");
    server.start_again();
    issued(&redeem(&app, &code).await);
    assert!(is_good(&app, &access).await);
    issued(&refresh(&app, &renewal).await);
}

#[tokio::test]
async fn a_redis_that_is_paused_is_an_answer_to_try_again_within_seconds() {
    let (server, clock) = (Server::start(), ManualClock::default());
    let app = app(&node(&server, &clock).await);
    let (access, renewal) = tokens(&app, "profile").await;
    server.pause();
    let within = Duration::from_secs(8);
    let answer = tokio::time::timeout(within, refresh(&app, &renewal)).await.expect("an answer in time");
    unavailable(&answer);
    server.go_on();
    // What was asked in the meantime may have been done: the client gets the same successor.
    let (_, renewal) = issued(&refresh(&app, &renewal).await);
    issued(&refresh(&app, &renewal).await);
    assert!(is_good(&app, &access).await);
}

/// The store asks again with the same step, and recognizes its own commit.
#[tokio::test]
async fn where_an_answer_is_lost_the_step_is_done_once_and_answered() {
    let (server, clock) = (Server::start(), ManualClock::default());
    let proxy = Proxy::before(&server).await;
    let store = connect(proxy.url()).await;
    let told = Arc::new(Mutex::new(Vec::new()));
    let ear = Arc::clone(&told);
    let provider = builder(&clock).store(store.clone()).secrets(secrets(&[1])).on_event(move |event: &Event<'_>| {
        ear.lock().expect("no panic").push(event.to_string());
    });
    let app = app(&provider.build().expect("a good configuration"));
    let pending = code(&app, "profile").await;
    proxy.swallow(1);
    let (access, renewal) = issued(&redeem(&app, &pending).await);
    let grants = async || store.grants(&ISSUER.into(), &Holder::User("alice".into())).await.expect("Redis answers");
    assert_eq!(grants().await.len(), 1);
    // The grant is read, then the token rotated.
    let mut renewed = String::new();
    for answer in [1, 2] {
        proxy.swallow(answer);
        (_, renewed) = issued(&refresh(&app, &renewal).await);
        assert_eq!(grants().await[0].generation(), 1, "one step");
    }
    assert!(is_good(&app, &access).await);
    proxy.swallow(1);
    assert_eq!(revoke(&app, &renewed).await.status, StatusCode::OK);
    assert!(!is_good(&app, &access).await);
    // It is told of once, and so is a code that is used again.
    let (_, stolen) = tokens(&app, "profile").await;
    issued(&refresh(&app, &stolen).await);
    clock.advance(seconds(11));
    proxy.swallow(2);
    refused(&refresh(&app, &stolen).await);
    let told = told.lock().expect("no panic").join(" ");
    let ends = ["revoked: client", "replayed: refresh_reuse"].map(|end| told.matches(end).count());
    assert_eq!(ends, [1, 1], "{told}");

    proxy.swallow(1);
    let (key, until, now) =
        (OnceKey::new(&ISSUER.into(), "", b""), UnixTime::from_secs(1_800_000_060), UnixTime::from_secs(1_800_000_000));
    assert!(store.once(key, until, now).await.expect("Redis answers"), "the first one");
    assert!(!store.once(key, until, now).await.expect("Redis answers"), "the second one");

    proxy.swallow(1);
    assert!(store.create_client(&ISSUER.into(), confidential()).await.expect("Redis answers"), "it is ours");
    proxy.swallow(1);
    assert!(!store.create_client(&ISSUER.into(), confidential().name("Other")).await.expect("Redis answers"));

    proxy.swallow(1);
    code(&app, "profile").await;
    assert_eq!(grants().await.iter().filter(|grant| grant.redeemed_at().is_none()).count(), 1);
}

#[tokio::test]
async fn each_step_is_one_round_trip() {
    let (server, clock) = (Server::start(), ManualClock::default());
    let proxy = Proxy::before(&server).await;
    let store = connect(proxy.url()).await;
    let provider = provider(&store, &clock);
    let app = app(&provider);
    let (access, renewal) = tokens(&app, "profile").await;
    let pending = code(&app, "profile").await;
    proxy.round_trips();
    issued(&redeem(&app, &pending).await);
    assert_eq!(proxy.round_trips(), 1, "redeem");
    assert!(is_good(&app, &access).await);
    assert_eq!(proxy.round_trips(), 1, "a bearer token");
    issued(&refresh(&app, &renewal).await);
    assert_eq!(proxy.round_trips(), 2, "refresh: a look, and the rotation");
    revoke(&app, &access).await;
    assert_eq!(proxy.round_trips(), 1, "revoke");
    store.create(Grant::from_record(record(1_800_000_060)).expect("a good record")).await.expect("Redis answers");
    assert_eq!(proxy.round_trips(), 1, "create, with its indexes");
}

// ---- replicas -------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_redemption_and_a_revocation_wait_for_the_replicas() {
    let (server, clock) = (Server::start(), ManualClock::default());
    let replica = server.replica().await;
    let waiting = RedisStore::connect(server.url()).replicas(1).await.expect("Redis answers");
    let app = app(&provider(&waiting, &clock));
    let there = async |field: &str| -> bool {
        let mut replica = replica.raw().await;
        let grants = replica.keys("oauth:grant:*").await;
        replica.ask::<Option<String>>(&["HGET", &grants[0], field]).await.is_some()
    };
    let (_, renewal) = tokens(&app, "profile").await;
    assert!(there("redeemed_at").await);
    assert_eq!(revoke(&app, &renewal).await.status, StatusCode::OK);
    assert!(there("revoked_at").await);
}

#[tokio::test]
async fn without_the_replicas_the_answer_is_to_try_again_and_trying_again_is_right() {
    let (server, clock) = (Server::start(), ManualClock::default());
    let replica = server.replica().await;
    let waiting = RedisStore::connect(server.url()).replicas(1).await.expect("Redis answers");
    let app = app(&provider(&waiting, &clock));
    let (access, renewal) = tokens(&app, "profile").await;
    let pending = code(&app, "profile").await;
    replica.pause();
    unavailable(&redeem(&app, &pending).await);
    unavailable(&revoke(&app, &access).await);
    let (access, renewal) = issued(&refresh(&app, &renewal).await);
    assert!(is_good(&app, &access).await, "a rotation waits for nobody");
    unavailable(&revoke(&app, &renewal).await);
    assert!(!is_good(&app, &access).await, "it is done all the same");
    unavailable(&revoke(&app, &renewal).await);
    replica.go_on();
    assert_eq!(revoke(&app, &renewal).await.status, StatusCode::OK);
    // The code is used, and its user starts again.
    refused(&redeem(&app, &pending).await);
    tokens(&app, "profile").await;
}

/// What a failover could forget would happen twice.
#[tokio::test]
async fn what_happens_once_is_at_the_replicas_before_it_is_told_as_the_first() {
    let server = Server::start();
    let replica = server.replica().await;
    let waiting = RedisStore::connect(server.url()).replicas(1).await.expect("Redis answers");
    let (until, now) = (UnixTime::from_secs(1_800_000_060), UnixTime::from_secs(1_800_000_000));
    let once = async |what: &[u8]| waiting.once(OnceKey::new(&ISSUER.into(), "", what), until, now).await;
    assert!(once(b"one").await.expect("the replica has it"));
    replica.pause();
    let first = once(b"other").await;
    assert!(first.is_err(), "{first:?}");
    assert!(!once(b"one").await.expect("Redis answers"), "what was seen needs no replica");
    replica.go_on();
    assert!(!once(b"other").await.expect("Redis answers"), "it may have been told");
}

/// RFC 9700 §4.14.2: an old refresh token ends the grant, and that is told when it is safe.
#[tokio::test]
async fn a_rotation_that_ends_a_grant_waits_for_the_replicas() {
    let (server, clock) = (Server::start(), ManualClock::default());
    let replica = server.replica().await;
    let waiting = RedisStore::connect(server.url()).replicas(1).await.expect("Redis answers");
    let app = app(&provider(&waiting, &clock));
    let (_, first) = tokens(&app, "profile").await;
    let (_, second) = issued(&refresh(&app, &first).await);
    let (access, _) = issued(&refresh(&app, &second).await);
    replica.pause();
    unavailable(&refresh(&app, &first).await);
    assert!(!is_good(&app, &access).await, "it is done all the same");
    replica.go_on();
    refused(&refresh(&app, &first).await);
}

/// A new connection knows nothing of what the lost one wrote.
#[tokio::test]
async fn where_the_connection_is_lost_too_the_replicas_are_still_waited_for() {
    let (server, clock) = (Server::start(), ManualClock::default());
    let replica = server.replica().await;
    let proxy = Proxy::before(&server).await;
    let waiting = RedisStore::connect(proxy.url()).replicas(1).await.expect("Redis answers");
    let app = app(&provider(&waiting, &clock));
    let (_, renewal) = tokens(&app, "profile").await;
    let pending = code(&app, "profile").await;
    replica.pause();
    proxy.swallow(1);
    unavailable(&redeem(&app, &pending).await);
    proxy.swallow(1);
    unavailable(&revoke(&app, &renewal).await);
}

/// A node that wrote nothing of it waits for it all the same.
#[tokio::test]
async fn what_another_node_could_not_get_to_the_replicas_is_safe_before_it_is_told_as_done() {
    let (server, clock) = (Server::start(), ManualClock::default());
    let replica = server.replica().await;
    let waiting = async || RedisStore::connect(server.url()).replicas(1).await.expect("Redis answers");
    let stores = [waiting().await, waiting().await];
    let [one, other] = stores.each_ref().map(|store| app(&provider(store, &clock)));
    let (_, renewal) = tokens(&one, "profile").await;
    tokens(&one, "profile").await;
    let (issuer, alice, now) = (ISSUER.into(), Holder::User("alice".into()), UnixTime::from_secs(1_800_000_000));
    assert!(stores[0].create_client(&issuer, confidential()).await.expect("Redis answers"));
    replica.pause();
    unavailable(&revoke(&one, &renewal).await);
    unavailable(&revoke(&other, &renewal).await);
    for store in &stores {
        let ended = store.revoke_all(&issuer, &alice, RevocationReason::User, now).await;
        assert!(ended.is_err(), "{ended:?}");
    }
    for store in &stores {
        let disabled = store.disable_client(&issuer, &"confidential".into(), now).await;
        assert!(disabled.is_err(), "{disabled:?}");
    }
    for store in &stores {
        let deleted = store.delete_client(&issuer, &"confidential".into(), now).await;
        assert!(deleted.is_err(), "{deleted:?}");
    }
    replica.go_on();
    assert_eq!(revoke(&other, &renewal).await.status, StatusCode::OK);
    stores[1].revoke_all(&issuer, &alice, RevocationReason::User, now).await.expect("the replica has it");
    stores[1].delete_client(&issuer, &"confidential".into(), now).await.expect("the replica has it");
}

/// The old primary still answers, as a replica that takes no writes.
#[tokio::test]
async fn after_a_failover_the_store_goes_on_with_the_new_primary() {
    let (old, clock) = (Server::start(), ManualClock::default());
    let new = old.replica().await;
    let proxy = Proxy::before(&old).await;
    let waiting = RedisStore::connect(proxy.url()).cache(Duration::ZERO).replicas(1);
    let stores = [connect(proxy.url()).await, waiting.await.expect("Redis answers")];
    let apps = stores.each_ref().map(|store| app(&provider(store, &clock)));
    let (_, renewal) = tokens(&apps[0], "profile").await;
    let pending = code(&apps[1], "profile").await;
    let replicate = async |server: &Server, host: &str, port: &str| {
        let _: () = server.raw().await.ask(&["REPLICAOF", host, port]).await;
    };
    // What no replica was waited for may be lost.
    old.replicated().await;
    replicate(&new, "NO", "ONE").await;
    // Its own port, so that it finds no primary and answers from what it has, and then not even that.
    replicate(&old, "127.0.0.1", &old.port().to_string()).await;
    for stale in ["yes", "no"] {
        let _: () = old.raw().await.ask(&["CONFIG", "SET", "replica-serve-stale-data", stale]).await;
        unavailable(&refresh(&apps[0], &renewal).await);
        unavailable(&redeem(&apps[1], &pending).await);
        let told = RedisStore::connect(proxy.url()).await.expect_err("it takes no writes").to_string();
        assert!(stale == "no" || told.contains("connect to its primary"), "{told}");
    }
    replicate(&old, "127.0.0.1", &new.port().to_string()).await;
    proxy.lead_to(&new);
    let (access, renewal) = issued(&refresh(&apps[0], &renewal).await);
    assert!(is_good(&apps[0], &access).await);
    // The old one may not have found its new primary yet.
    let mut tries = 0..20;
    while tries.next().is_some() && revoke(&apps[1], &renewal).await.status != StatusCode::OK {}
    assert!(!tries.is_empty(), "it waits for the new primary's replica");
    assert!(!is_good(&apps[0], &access).await);
    issued(&redeem(&apps[1], &pending).await);
}

/// A primary that became a replica is emptied before it is filled anew, and still answers.
#[tokio::test]
async fn that_a_replica_knows_nothing_is_not_believed() {
    let (old, other, clock) = (Server::start(), Server::start(), ManualClock::default());
    let new = old.replica().await;
    let proxy = Proxy::before(&old).await;
    let store = connect(proxy.url()).await;
    let app = app(&provider(&store, &clock));
    let kept = store.create_client(&ISSUER.into(), nodes::custom("kept")).await.expect("Redis answers");
    let (access, renewal) = tokens(&app, "profile").await;
    let pending = code(&app, "profile").await;
    old.replicated().await;
    let _: () = new.raw().await.ask(&["REPLICAOF", "NO", "ONE"]).await;
    let port = other.port().to_string();
    let _: () = old.raw().await.ask(&["REPLICAOF", "127.0.0.1", &port]).await;
    while old.raw().await.ask::<i64>(&["DBSIZE"]).await > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(send(&app, bearer("/me", &access)).await.status, StatusCode::SERVICE_UNAVAILABLE);
    unavailable(&refresh(&app, &renewal).await);
    unavailable(&redeem(&app, &pending).await);
    proxy.lead_to(&new);
    assert!(is_good(&app, &access).await);
    issued(&refresh(&app, &renewal).await);
    issued(&redeem(&app, &pending).await);
    assert!(kept && store.client(&ISSUER.into(), &"kept".into()).await.expect("Redis answers").is_some());
}

// ---- a Redis that is not as it should be ----------------------------------------------------------------------------

#[tokio::test]
async fn a_redis_that_may_drop_grants_is_refused() {
    let server = Server::start();
    let mut raw = server.raw().await;
    for policy in ["allkeys-lru", "allkeys-lfu", "allkeys-random", "volatile-lru", "volatile-random", "volatile-ttl"] {
        let _: () = raw.ask(&["CONFIG", "SET", "maxmemory-policy", policy]).await;
        let told = RedisStore::connect(server.url()).await.expect_err("it may drop grants").to_string();
        assert!(told.contains(policy) && told.contains("set it to `noeviction`"), "{told}");
    }
    let _: () = raw.ask(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]).await;
    store(&server).await;
}

#[tokio::test]
async fn where_memory_is_full_nothing_is_granted_and_what_is_granted_can_be_used_and_ended() {
    let (server, clock) = (Server::start(), ManualClock::default());
    let app = app(&node(&server, &clock).await);
    let pending = code(&app, "profile").await;
    let (access, renewal) = tokens(&app, "profile").await;
    let mut raw = server.raw().await;
    let _: () = raw.ask(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let params = support::authorization("public", WEB, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    let answer = send(&app, form(&support::with_query("/authorize", &params), &[])).await;
    assert_eq!(answer.redirected("error").as_deref(), Some("temporarily_unavailable"), "{answer:?}");
    assert!(is_good(&app, &access).await);
    let (access, renewal) = issued(&refresh(&app, &renewal).await);
    assert_eq!(revoke(&app, &renewal).await.status, StatusCode::OK);
    assert!(!is_good(&app, &access).await);
    let _: () = raw.ask(&["CONFIG", "SET", "maxmemory", "0"]).await;
    issued(&redeem(&app, &pending).await);
}

#[tokio::test]
async fn a_clock_that_is_far_from_that_of_redis_is_told_at_the_start() {
    let (server, clock) = (Server::start(), ManualClock::default());
    let proxy = Proxy::rewriting(&server, |words| {
        if words[0] == b"TIME" {
            *words = ["EVAL", "local t = redis.call('TIME') return {t[1] - 60, t[2]}", "0"].map(Into::into).to_vec();
        }
    })
    .await;
    let behind = connect(proxy.url()).await;
    let skew = behind.clock_skew().expect("Redis has a clock");
    assert!((seconds(55)..seconds(70)).contains(&skew), "{skew:?}");
    assert!(with_secrets(&behind, &clock, &[1]).is_err());
    assert!(store(&server).await.clock_skew().expect("Redis has a clock") < seconds(1));
}

#[tokio::test]
async fn what_is_no_redis_of_ours_is_told_at_the_start() {
    let told = |answer: Result<RedisStore, DatabaseError>| answer.expect_err("no Redis").to_string();
    assert!(!told(RedisStore::connect("postgres://127.0.0.1/").await).is_empty());
    let server = Server::with(&["--requirepass", "open sesame"]);
    let answer = told(RedisStore::connect(server.url()).await);
    assert!(answer.contains("NOAUTH") || answer.contains("uthentication"), "{answer}");
    let server = Server::start();
    let answer = told(RedisStore::connect(server.url()).prefix("a{b}").await);
    assert!(answer.contains("`{`"), "{answer}");
}

#[tokio::test]
async fn a_record_that_cannot_be_read_fails_alone() {
    let (server, clock) = (Server::start(), ManualClock::default());
    let store = store(&server).await;
    let provider = provider(&store, &clock);
    let app = app(&provider);
    let (access, renewal) = tokens(&app, "profile").await;
    let mut raw = server.raw().await;
    let name = raw.keys("oauth:grant:*").await.remove(0);
    let (other, _) = tokens(&app, "profile").await;
    let broken: [(&str, Option<&[u8]>); 14] = [
        ("issuer", None),
        ("scope", Some("\u{e9}".as_bytes())),
        ("scope", None),
        ("resources", Some(b"api")),
        ("resources", None),
        ("claims", Some(b"[")),
        ("created_at", None),
        ("expires_at", Some(b"soon")),
        ("expires_at", None),
        ("generation", Some(b"-1")),
        ("generation", None),
        ("subject", Some(b"\xff")),
        ("secret_hash", None),
        ("rotated_at", Some(b"")),
    ];
    for (field, value) in broken {
        let whole: Option<Vec<u8>> = raw.ask(&["HGET", &name, field]).await;
        let put = async |raw: &mut Raw, value: Option<&[u8]>| {
            let at = (name.as_bytes(), field.as_bytes());
            match value {
                Some(value) => raw.tell::<()>([b"HSET", at.0, at.1, value]).await,
                None => raw.tell::<()>([b"HDEL", at.0, at.1]).await,
            }
            .expect("a good command");
        };
        put(&mut raw, value).await;
        let status = send(&app, bearer("/me", &access)).await.status;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{field} {value:?}");
        assert_ne!(refresh(&app, &renewal).await.status, StatusCode::OK, "{field} {value:?}");
        assert!(is_good(&app, &other).await);
        provider.sweep().await.expect("the others are swept");
        put(&mut raw, whole.as_deref()).await;
        assert!(is_good(&app, &access).await, "{field}");
    }
    issued(&refresh(&app, &renewal).await);
    let _: () = raw.ask(&["HDEL", &name, "scope"]).await;
    let ended = provider.revoke_all(&Holder::User("alice".into())).await.expect("Redis answers");
    assert_eq!(ended, 2, "and ends with all");
    assert!(!is_good(&app, &other).await);
}

// ---- what goes by itself, and what the sweep drops ------------------------------------------------------------------

#[tokio::test]
async fn redis_forgets_by_itself_an_hour_after_the_end() {
    const HOUR: u64 = 3_600;
    let (server, clock) = (Server::start(), ManualClock::default());
    let store = store(&server).await;
    let provider = provider(&store, &clock);
    let app = app(&provider);
    let mut raw = server.raw().await;
    let mut left = async |after: u64, when: &str| {
        let name = raw.keys("oauth:grant:*").await.remove(0);
        let left: u64 = raw.ask(&["TTL", &name]).await;
        // The test itself takes a moment.
        assert!((after + HOUR - 30..=after + HOUR).contains(&left), "{left} s {when}");
    };
    let code = code(&app, "profile").await;
    left(60, "for a code").await;
    let (_, renewal) = issued(&redeem(&app, &code).await);
    clock.advance(seconds(60));
    provider.sweep().await.expect("Redis answers");
    left(90 * DAY.as_secs() - 60, "of the idle time, after a sweep").await;
    clock.advance(10 * DAY);
    let (_, renewal) = issued(&refresh(&app, &renewal).await);
    left(90 * DAY.as_secs(), "of the idle time, after a refresh").await;
    assert_eq!(revoke(&app, &renewal).await.status, StatusCode::OK);
    left(0, "after a revocation").await;
    assert_eq!(provider.sweep().await.expect("Redis answers"), 1);

    let key = OnceKey::new(&ISSUER.into(), "", b"");
    let (until, now) = (UnixTime::from_secs(1_800_000_060), UnixTime::from_secs(1_800_000_000));
    store.once(key, until, now).await.expect("Redis answers");
    let mut raw = server.raw().await;
    let name = raw.keys("oauth:once:*").await.remove(0);
    let left: u64 = raw.ask(&["TTL", &name]).await;
    assert!((HOUR + 30..=HOUR + 60).contains(&left), "{left} s");
}

/// A record expires before any sweep, or a connection broke between the entries of a grant and the grant.
#[tokio::test]
async fn entries_that_lead_to_nothing_mislead_nobody_and_the_sweep_drops_them() {
    let (server, clock) = (Server::start(), ManualClock::default());
    let store = store(&server).await;
    let provider = provider(&store, &clock);
    let app = app(&provider);
    tokens(&app, "profile").await;
    let mut raw = server.raw().await;
    let name = raw.keys("oauth:grant:*").await.remove(0);
    let _: () = raw.ask(&["DEL", &name]).await;
    let (access, _) = tokens(&app, "profile").await;
    assert_eq!(provider.grants_of(&"alice".into()).await.expect("Redis answers").len(), 1);
    clock.advance(seconds(60));
    assert_eq!(provider.sweep().await.expect("Redis answers"), 0);
    for index in ["oauth:user:*", "oauth:client:*"] {
        let name = raw.keys(index).await.remove(0);
        assert_eq!(raw.ask::<usize>(&["HLEN", &name]).await, 1, "{index}");
    }
    assert!(is_good(&app, &access).await);
    assert_eq!(provider.revoke_all(&Holder::User("alice".into())).await.expect("Redis answers"), 1);
    assert_eq!(provider.sweep().await.expect("Redis answers"), 1);
    clock.advance(seconds(86_520));
    assert_eq!(provider.sweep().await.expect("Redis answers"), 0);
    assert_eq!(left(&server).await, ["oauth:keys"]);
}

/// RFC 7591: the sweep looked for its grants, found none, and comes to forget it a moment later.
#[tokio::test]
async fn a_client_that_is_connected_while_a_sweep_goes_by_is_kept() {
    let (server, clock) = (Server::start(), ManualClock::default());
    // What the sweep reads is old: all have passed, and none has a grant.
    let proxy = Proxy::rewriting(&server, |words| match &*words[0] {
        b"HLEN" => *words = ["EVAL", "return 0", "0"].map(Into::into).to_vec(),
        b"ZRANGEBYSCORE" if words[1].starts_with(b"oauth:registered:") => words[3] = b"+inf".to_vec(),
        _ => {}
    })
    .await;
    let node = |store: RedisStore| {
        let policy = RegistrationPolicy::open().keep_unused(seconds(100));
        builder(&clock).store(store).secrets(secrets(&[1])).registration(policy).build().expect("a good configuration")
    };
    let (app, sweeping) = (app(&node(store(&server).await)), node(connect(proxy.url()).await));
    let register = async || {
        let body = format!(r#"{{"redirect_uris": ["{WEB}"], "token_endpoint_auth_method": "none"}}"#);
        let request = http::Request::post("/register").header("content-type", "application/json");
        let answer = send(&app, request.body(body.into()).expect("a good request")).await;
        ClientId::from(answer.json()["client_id"].as_str().expect("an id"))
    };
    let (connected, unused) = (register().await, register().await);
    clock.advance(seconds(99));
    support::code_of(&app, connected.as_str(), WEB, "profile").await;
    clock.advance(seconds(1));
    sweeping.sweep().await.expect("Redis answers");
    let store = store(&server).await;
    let known = async |id| store.client(&ISSUER.into(), id).await.expect("Redis answers").is_some();
    assert!(known(&connected).await);
    assert!(!known(&unused).await);
    // Its user never came back.
    clock.advance(seconds(59));
    sweeping.sweep().await.expect("Redis answers");
    assert!(!known(&connected).await);
}

// ---- several stores and issuers in one Redis ------------------------------------------------------------------------

#[tokio::test]
async fn stores_with_different_prefixes_know_nothing_of_each_other() {
    let (server, clock) = (Server::start(), ManualClock::default());
    let of = async |prefix: &str| RedisStore::connect(server.url()).prefix(prefix).await.expect("it answers");
    let (first, second) = (of("first:").await, of("second:").await);
    let here = app(&with_secrets(&first, &clock, &[1]).expect("a good configuration"));
    let there = app(&with_secrets(&second, &clock, &[2]).expect("its keys are its own"));
    let (access, _) = tokens(&here, "profile").await;
    assert!(!is_good(&there, &access).await);
    assert!(first.create_client(&ISSUER.into(), confidential()).await.expect("Redis answers"));
    assert!(second.client(&ISSUER.into(), &"confidential".into()).await.expect("Redis answers").is_none());
    let keys = server.raw().await.keys("*").await;
    assert!(keys.iter().all(|name| name.starts_with("first:")), "{keys:?}");
}

// ---- the keys in use ------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_provider_needs_a_secret_and_is_told_how_to_make_one() {
    let server = Server::start();
    let clock = ManualClock::default();
    let told = builder(&clock).store(store(&server).await).build().expect_err("it has no secret").to_string();
    assert!(told.contains("Secrets::open"), "{told}");
}

/// Also where all that it does is to refresh what an earlier key made.
#[tokio::test]
async fn a_key_is_noted_with_the_first_token_that_it_makes() {
    let (server, clock) = (Server::start(), ManualClock::default());
    let node = async |numbers: &[u8]| with_secrets(&store(&server).await, &clock, numbers);
    let (_, renewal) = tokens(&app(&node(&[1]).await.expect("the first one")), "profile").await;
    let second = app(&node(&[2, 1]).await.expect("it has both"));
    assert!(node(&[1]).await.is_ok(), "it made nothing yet");
    issued(&refresh(&second, &renewal).await);
    assert!(node(&[1]).await.is_err());
}

// ---- clients --------------------------------------------------------------------------------------------------------

#[tokio::test]
async fn a_client_that_is_deleted_or_disabled_gets_no_more_tokens() {
    let (server, clock) = (Server::start(), ManualClock::default());
    let store = store(&server).await;
    let app = app(&provider(&store, &clock));
    let issuer = ISSUER.into();
    let machine = || Client::confidential("cron", SECRET).grant_types([tower_oauth::GrantType::ClientCredentials]);
    let id = ClientId::from("cron");
    let asks =
        async || send(&app, basic(form("/token", &[("grant_type", "client_credentials")]), "cron", SECRET)).await;
    let now = UnixTime::from_secs(1_800_000_000);
    assert_eq!(asks().await.status, StatusCode::UNAUTHORIZED);
    assert!(store.create_client(&issuer, machine()).await.expect("Redis answers"));
    let access = asks().await.json()["access_token"].as_str().expect("a token").to_owned();
    assert!(is_good(&app, &access).await);
    assert_eq!(store.disable_client(&issuer, &id, now).await.expect("Redis answers"), 1);
    assert!(!is_good(&app, &access).await);
    assert_eq!(asks().await.status, StatusCode::UNAUTHORIZED);
    assert!(store.enable_client(&issuer, &id).await.expect("Redis answers"));
    assert_eq!(asks().await.status, StatusCode::OK);
    store.delete_client(&issuer, &id, now).await.expect("Redis answers");
    assert_eq!(asks().await.status, StatusCode::UNAUTHORIZED);
    assert!(!store.create_client(&issuer, machine()).await.expect("Redis answers"), "its id is not given out again");
    let kept: Vec<String> = {
        let mut raw = server.raw().await;
        let name = raw.keys("oauth:clients:*").await.remove(0);
        raw.ask(&["HGETALL", &name]).await
    };
    assert_eq!(kept, ["cron", ""], "nothing of it is kept but its id");
}

// ---- what holds for every store that outlives its process -----------------------------------------------------------

/// CVE-2026-9802
#[tokio::test]
async fn a_restart_does_not_reset_the_detection_of_reuse() {
    nodes::a_restart_does_not_reset_the_detection_of_reuse(&Server::start()).await;
}

#[tokio::test]
async fn one_redis_serves_several_issuers() {
    nodes::one_place_serves_several_issuers(&Server::start()).await;
}

#[tokio::test]
async fn a_node_without_a_secret_that_signs_for_its_issuer_does_not_start() {
    nodes::a_node_without_a_secret_that_signs_for_its_issuer_does_not_start(&Server::start()).await;
}

#[tokio::test]
async fn two_providers_of_one_store_are_held_to_it_too() {
    nodes::two_providers_of_one_store_are_held_to_it_too(&Server::start()).await;
}

#[tokio::test]
async fn a_key_is_in_use_as_long_as_a_refresh_token_of_it_can_live() {
    nodes::a_key_is_in_use_as_long_as_a_refresh_token_of_it_can_live(&Server::start()).await;
}

#[tokio::test]
async fn after_a_leak_the_old_keys_are_forgotten_on_purpose() {
    nodes::after_a_leak_the_old_keys_are_forgotten_on_purpose(&Server::start()).await;
}

#[tokio::test]
async fn a_secret_is_added_before_the_old_one_is_retired() {
    nodes::a_secret_is_added_before_the_old_one_is_retired(&Server::start()).await;
}

#[tokio::test]
async fn a_disabled_client_gets_nothing_more_and_can_be_connected_anew() {
    nodes::a_disabled_client_gets_nothing_more_and_can_be_connected_anew(&Server::start()).await;
}

/// RFC 7591
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn clients_register_themselves_at_two_nodes_up_to_one_limit() {
    nodes::clients_register_themselves_at_two_nodes_up_to_one_limit(&Server::start()).await;
}

/// RFC 7592
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_client_manages_its_registration_at_either_node() {
    nodes::a_client_manages_its_registration_at_either_node(&Server::start()).await;
}

#[cfg(feature = "jwt")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_uses_of_one_assertion_at_two_providers_one_is_accepted() {
    nodes::of_64_uses_of_one_assertion_at_two_providers_one_is_accepted(&Server::start()).await;
}

/// RFC 9126 §4, CVE-2026-22751
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_decisions_on_one_request_uri_at_two_providers_one_counts() {
    nodes::of_64_decisions_on_one_request_uri_at_two_providers_one_counts(&Server::start()).await;
}

#[cfg(feature = "jwt")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_uses_of_one_proof_at_two_providers_one_is_accepted() {
    nodes::of_64_uses_of_one_proof_at_two_providers_one_is_accepted(&Server::start()).await;
}

/// RFC 6749 §4.1.2, §10.5
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_200_redemptions_of_one_code_at_two_providers_one_wins_and_its_grant_lives() {
    nodes::of_200_redemptions_of_one_code_at_two_providers_one_wins_and_its_grant_lives(&Server::start()).await;
}

/// RFC 9700 §4.14.2
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_200_refreshes_with_one_token_at_two_providers_all_get_its_one_successor() {
    nodes::of_200_refreshes_with_one_token_at_two_providers_all_get_its_one_successor(&Server::start()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_200_refreshes_at_two_providers_against_a_revocation_nothing_lives_on() {
    nodes::of_200_refreshes_at_two_providers_against_a_revocation_nothing_lives_on(&Server::start()).await;
}

// ---- what moves -----------------------------------------------------------------------------------------------------

#[tokio::test]
async fn secrets_replaced_in_two_steps_log_nobody_out() {
    moves::secrets_replaced_in_two_steps_log_nobody_out(&Server::start()).await;
}

#[tokio::test]
async fn a_client_that_was_disabled_or_deleted_is_not_looked_for_in_an_older_store() {
    let (new, old) = (Server::start(), Server::start());
    moves::a_client_that_was_disabled_or_deleted_is_not_looked_for_in_an_older_store(&new, &old).await;
}
