//! The cache of grants that a node of PostgreSQL or Redis has: what another node revokes is refused at once, and in the
//! worst case when the stated time is over.

#[cfg(feature = "jwt")]
#[path = "support/jws.rs"]
mod jws;
#[path = "support/nodes.rs"]
mod nodes;
#[path = "support/postgres.rs"]
mod postgres;
#[cfg(feature = "jwt")]
#[path = "support/prover.rs"]
mod prover;
#[path = "support/redis.rs"]
mod servers;
mod support;
#[path = "support/wire.rs"]
mod wire;

use std::time::Duration;

use http::StatusCode;
use nodes::{Durable, is_good, issued, secrets};
use support::{App, ISSUER, NATIVE, VERIFIER, app, builder, code, form, redeem, refresh, seconds, send};
use tokio::time::Instant;
use tower_oauth::testing::ManualClock;
use tower_oauth::{DatabaseError, GrantKey, GrantStore, Holder, PostgresStore, Provider, RedisStore, UnixTime};
use wire::Wire;

/// So long that nothing of what is seen comes of the end of an entry.
const HOUR: Duration = Duration::from_secs(3600);
/// How long what comes at once may take on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server of one test's own.
trait Server {
    type Store: Durable;

    fn port(&self) -> u16;

    /// A store of one more node, which reaches the server at this port.
    async fn store(&self, port: u16, cache: Duration) -> Self::Store;

    /// Ends every connection on which somebody listens.
    async fn hang_up(&self);
}

impl Server for postgres::Database {
    type Store = PostgresStore;

    fn port(&self) -> u16 {
        self.server.port()
    }

    async fn store(&self, port: u16, cache: Duration) -> PostgresStore {
        let url = self.url().replace(&self.server.port().to_string(), &port.to_string());
        PostgresStore::connect(&url).migrate().cache(cache).await.expect("a database")
    }

    async fn hang_up(&self) {
        macro_rules! listening {
            ($what:literal) => {
                concat!(
                    "SELECT ",
                    $what,
                    " FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database() \
                     AND (query LIKE 'LISTEN%' OR query LIKE 'SELECT number%')"
                )
            };
        }
        let both = async || self.number(listening!("count(*)")).await >= 2;
        until("both nodes listen", PATIENCE, both).await;
        self.number(listening!("count(pg_terminate_backend(pid))")).await;
    }
}

impl Server for servers::Server {
    type Store = RedisStore;

    fn port(&self) -> u16 {
        self.port()
    }

    async fn store(&self, port: u16, cache: Duration) -> RedisStore {
        // Another database than the first: channels belong to all of them.
        let url = format!("redis://127.0.0.1:{port}/3");
        RedisStore::connect(url).cache(cache).await.expect("Redis answers")
    }

    async fn hang_up(&self) {
        let listening = async || {
            let clients: String = self.raw().await.ask(&["CLIENT", "LIST", "TYPE", "pubsub"]).await;
            clients.lines().count() >= 2
        };
        until("both nodes listen", PATIENCE, listening).await;
        let _: usize = self.raw().await.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    }
}

impl Durable for PostgresStore {
    async fn forget(&self, issuer: &str) -> Result<(), DatabaseError> {
        self.forget_keys(issuer).await
    }
}

impl Durable for RedisStore {
    async fn forget(&self, issuer: &str) -> Result<(), DatabaseError> {
        self.forget_keys(issuer).await
    }
}

struct Node<S> {
    store: S,
    provider: Provider,
    app: App,
}

impl<S: Durable> Node<S> {
    fn new(store: S, clock: &ManualClock) -> Self {
        let provider = builder(clock).store(store.clone()).secrets(secrets(&[1])).build().expect("good");
        Self { store, app: app(&provider), provider }
    }

    /// Waits until the node answers the check of this token from what it keeps.
    async fn keeps(&self, token: &Token) {
        until("it is kept", PATIENCE, async || {
            assert!(is_good(&self.app, &token.access).await);
            self.store.cached(token.grant).is_some()
        })
        .await;
    }

    async fn refuses(&self, token: &Token, within: Duration) {
        until("it is refused", within, async || !is_good(&self.app, &token.access).await).await;
    }
}

async fn until(what: &str, within: Duration, so: impl AsyncFn() -> bool) {
    let end = Instant::now() + within;
    while !so().await {
        assert!(Instant::now() < end, "after {within:?} it is still not so that {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// An access token, and what else its client has.
struct Token {
    grant: GrantKey,
    code: String,
    access: String,
    renewal: String,
}

/// Two nodes of one server, and a token that nobody touches.
struct Pair<S> {
    clock: ManualClock,
    nodes: [Node<S>; 2],
    other: Token,
}

impl<S: Durable> Pair<S> {
    /// The second of them is behind this wire.
    async fn on<P: Server<Store = S>>(server: &P, wire: &Wire, cache: Duration) -> Self {
        let clock = ManualClock::default();
        let first = Node::new(server.store(server.port(), cache).await, &clock);
        let second = Node::new(server.store(wire.port(), cache).await, &clock);
        let (access, renewal) = {
            let code = support::code_of(&first.app, "native", NATIVE, "profile").await;
            let params = [
                ("grant_type", "authorization_code"),
                ("code", &*code),
                ("redirect_uri", NATIVE),
                ("client_id", "native"),
                ("code_verifier", VERIFIER),
            ];
            issued(&send(&first.app, form("/token", &params)).await)
        };
        let grant = keys(&first).await[0];
        let other = Token { grant, code: String::new(), access, renewal };
        Self { clock, nodes: [first, second], other }
    }

    /// A token that both nodes keep, beside the other one.
    async fn token(&self) -> Token {
        let before = keys(&self.nodes[0]).await;
        let code = code(&self.nodes[0].app, "profile").await;
        let (access, renewal) = issued(&redeem(&self.nodes[0].app, &code).await);
        let grant = keys(&self.nodes[0]).await.into_iter().find(|key| !before.contains(key));
        let token = Token { grant: grant.expect("a new grant"), code, access, renewal };
        for node in &self.nodes {
            // What the other node said last may still be on its way, so twice.
            for token in [&token, &self.other, &token] {
                node.keeps(token).await;
            }
        }
        token
    }

    async fn revoke(&self, token: &str) {
        let revoked = send(&self.nodes[0].app, form("/revoke", &[("token", token), ("client_id", "public")])).await;
        assert_eq!(revoked.status, StatusCode::OK, "{revoked:?}");
    }
}

/// The grants that alice gave.
async fn keys<S: Durable>(node: &Node<S>) -> Vec<GrantKey> {
    let grants = node.provider.grants_of(&"alice".into()).await.expect("the store answers");
    grants.iter().map(|grant| grant.key()).collect()
}

/// Each way in which a token can end, at the first node.
const WAYS: [&str; 7] = [
    "an access token",
    "a refresh token",
    "by the user",
    "all of a user",
    "a used code",
    "a used refresh token",
    "a client",
];

async fn end<S: Durable>(pair: &Pair<S>, token: &Token, way: &str) {
    let (node, now) = (&pair.nodes[0], UnixTime::from_secs(1_800_000_000));
    match way {
        "an access token" => pair.revoke(&token.access).await,
        "a refresh token" => pair.revoke(&token.renewal).await,
        "by the user" => node.provider.revoke_grant(token.grant).await.expect("the store answers"),
        "all of a user" => {
            let holder = Holder::UserAtClient("alice".into(), "public".into());
            assert!(node.provider.revoke_all(&holder).await.expect("the store answers") > 0);
        }
        "a used code" => {
            pair.clock.advance(seconds(6));
            nodes::refused(&redeem(&node.app, &token.code).await);
        }
        "a used refresh token" => {
            let (_, second) = issued(&refresh(&node.app, &token.renewal).await);
            issued(&refresh(&node.app, &second).await);
            nodes::refused(&refresh(&node.app, &token.renewal).await);
        }
        _ => {
            let ended = node.store.disable_client(&ISSUER.into(), &"public".into(), now).await;
            assert!(ended.expect("the store answers") > 0);
        }
    }
}

/// RFC 7009 §2.2, and the other ways.
async fn what_one_node_revokes_the_other_refuses_when_it_is_told<P: Server>(server: &P) {
    let wire = Wire::to(server.port()).await;
    let pair = Pair::on(server, &wire, HOUR).await;
    let mut told = 0;
    for way in WAYS {
        let token = pair.token().await;
        end(&pair, &token, way).await;
        assert!(!is_good(&pair.nodes[0].app, &token.access).await, "{way}: where it ended it is refused at once");
        pair.nodes[1].refuses(&token, PATIENCE).await;
        told += usize::from(pair.nodes[1].store.cached(pair.other.grant).is_some());
    }
    // Whoever finds out by asking does not know which grant it is, and forgets them all. A question may overtake what is
    // told, now and then.
    assert!(told > WAYS.len() / 2, "{told} of {} were told", WAYS.len());
}

/// More than one message names.
async fn of_very_many_at_once_none_is_left<P: Server>(server: &P) {
    let wire = Wire::to(server.port()).await;
    let pair = Pair::on(server, &wire, HOUR).await;
    let provider = &pair.nodes[0].provider;
    let mut tokens = Vec::new();
    for _ in 0..300 {
        let scope = "profile".parse().expect("a scope");
        tokens.push(provider.issue("app", "bob", scope).await.expect("the store answers"));
    }
    pair.token().await;
    for token in &tokens {
        assert!(is_good(&pair.nodes[1].app, token.secret()).await);
    }
    assert_eq!(provider.revoke_all(&Holder::User("bob".into())).await.expect("the store answers"), 300);
    until("all are refused", PATIENCE, async || {
        for token in &tokens {
            if is_good(&pair.nodes[1].app, token.secret()).await {
                return false;
            }
        }
        true
    })
    .await;
}

async fn a_node_that_hears_nothing_finds_out_by_asking<P: Server>(server: &P) {
    let wire = Wire::to(server.port()).await;
    wire.deafen();
    let pair = Pair::on(server, &wire, HOUR).await;
    for way in WAYS {
        let token = pair.token().await;
        end(&pair, &token, way).await;
        pair.nodes[1].refuses(&token, PATIENCE).await;
        assert!(pair.nodes[1].store.cached(pair.other.grant).is_none(), "it does not know which");
    }
}

async fn a_node_whose_connection_was_ended_listens_again_and_forgets<P: Server>(server: &P) {
    let wire = Wire::to(server.port()).await;
    let pair = Pair::on(server, &wire, HOUR).await;
    for _ in 0..3 {
        let token = pair.token().await;
        server.hang_up().await;
        pair.revoke(&token.renewal).await;
        pair.nodes[1].refuses(&token, PATIENCE).await;
    }
}

/// The worst case: nothing is heard, nothing is answered, and nothing says so.
async fn a_node_that_is_cut_off_goes_by_nothing_older_than_the_stated_time<P: Server>(server: &P) {
    const STATED: Duration = Duration::from_secs(1);
    let wire = Wire::to(server.port()).await;
    let pair = Pair::on(server, &wire, STATED).await;
    let (token, node) = (pair.token().await, &pair.nodes[1]);
    wire.mute(true);
    pair.revoke(&token.renewal).await;
    let revoked = Instant::now();
    until("it is refused", PATIENCE, async || {
        let asked = Instant::now();
        let good = is_good(&node.app, &token.access).await;
        assert!(!good || asked < revoked + STATED, "good {:?} after it was revoked", asked - revoked);
        !good
    })
    .await;
    until("it asks at every check", PATIENCE, async || node.store.cached(pair.other.grant).is_none()).await;
    for _ in 0..10 {
        assert!(is_good(&node.app, &pair.other.access).await, "what is good stays good");
        assert!(node.store.cached(pair.other.grant).is_none(), "and is not kept");
    }
    wire.mute(false);
    node.keeps(&pair.other).await;
}

/// Zero: every check asks, so no node is behind.
async fn without_a_cache_every_node_refuses_at_once<P: Server>(server: &P) {
    let clock = ManualClock::default();
    let store = async || Node::new(server.store(server.port(), Duration::ZERO).await, &clock);
    let nodes = [store().await, store().await];
    for _ in 0..10 {
        let (access, renewal) = support::tokens(&nodes[0].app, "profile").await;
        for node in &nodes {
            assert!(is_good(&node.app, &access).await);
        }
        let revoked = send(&nodes[0].app, form("/revoke", &[("token", &renewal), ("client_id", "public")])).await;
        assert_eq!(revoked.status, StatusCode::OK, "{revoked:?}");
        assert!(!is_good(&nodes[1].app, &access).await);
    }
}

macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::$name(&super::postgres::Database::new().await).await;
            })+
        }

        mod on_redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::$name(&super::servers::Server::start()).await;
            })+
        }
    };
}

on_both!(
    what_one_node_revokes_the_other_refuses_when_it_is_told,
    of_very_many_at_once_none_is_left,
    a_node_that_hears_nothing_finds_out_by_asking,
    a_node_whose_connection_was_ended_listens_again_and_forgets,
    a_node_that_is_cut_off_goes_by_nothing_older_than_the_stated_time,
    without_a_cache_every_node_refuses_at_once,
);
