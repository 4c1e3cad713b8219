//! Keys that are rotated while everybody goes on: two nodes of a provider, and an API apart from it (RFC 9068 §4).

mod support;

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use support::*;
use tokio::sync::watch;
use tower::{Layer, ServiceExt, service_fn};
use tower_oauth::testing::ManualClock;
use tower_oauth::{
    AccessTokenFormat, Clock, Fetch, GrantStore, JwtVerifier, MemoryStore, Provider, Secret, SigningKeys,
};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const ROTATIONS: usize = 10;
const PRESENTERS: usize = 4;

/// How long a key is published after the next one began to sign: the longest life of a token, and what clocks differ.
const KEPT: u64 = DAY + MINUTE;

/// How much later that is known here: a node reads its keys each minute, and the verifier keeps what it read for five.
const KNOWN_WITHIN: u64 = 6 * MINUTE;

/// The two nodes, as whoever fetches sees them behind a balancer: each request comes to the other one.
struct Balancer {
    nodes: [App; 2],
    asked: Arc<AtomicUsize>,
}

impl Fetch for Balancer {
    type Error = &'static str;

    async fn fetch(&self, request: Request<Bytes>) -> Result<Response<Bytes>, &'static str> {
        let node = self.nodes[self.asked.fetch_add(1, Ordering::Relaxed) % 2].clone();
        let Ok(answer) = node.oneshot(request.map(Body::from)).await;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(|_| "broken off")?.to_bytes();
        Ok(Response::from_parts(head, body))
    }
}

#[derive(Clone)]
struct Token {
    text: String,
    kid: String,
    ends: u64,
    /// Whether it is presented later too.
    stays: bool,
}

impl Token {
    async fn of(node: &Provider, stays: bool) -> Self {
        let issued = node.issue("public", "alice", "profile".parse().expect("a scope")).await.expect("a token");
        let text = issued.secret().to_owned();
        let part = |number| -> Value {
            let part = text.split('.').nth(number).expect("three parts");
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
        };
        let kid = part(0)["kid"].as_str().expect("a key's name").to_owned();
        Self { kid, ends: part(1)["exp"].as_u64().expect("an end"), text, stays }
    }
}

/// What is presented, and what is known of keys.
#[derive(Default)]
struct Load {
    tokens: Mutex<Vec<Token>>,
    /// When the last token of a key that was replaced is over, by the key.
    gone_at: Mutex<HashMap<String, u64>>,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    requests: u64,
    passed: u64,
    refused: u64,
    refused_wrongly: u64,
    passed_wrongly: u64,
    /// Passes of a token whose key was gone at its issuer, while nobody here could know.
    passed_late: u64,
    /// Passes of tokens that were signed by a key that had been replaced.
    passed_left_behind: u64,
}

impl Count {
    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.passed += other.passed;
        self.refused += other.refused;
        self.refused_wrongly += other.refused_wrongly;
        self.passed_wrongly += other.passed_wrongly;
        self.passed_late += other.passed_late;
        self.passed_left_behind += other.passed_left_behind;
    }

    /// Time goes on meanwhile, so what is right is known only if it is right before and after.
    fn one(&mut self, status: StatusCode, token: &Token, gone_at: u64, before: u64, after: u64) {
        self.requests += 1;
        let good = after < token.ends && after < gone_at;
        let bad = before >= token.ends || before >= gone_at.saturating_add(KNOWN_WITHIN);
        match status {
            StatusCode::OK => self.passed += 1,
            _ => self.refused += 1,
        }
        self.refused_wrongly += u64::from(good && status != StatusCode::OK);
        self.passed_wrongly += u64::from(bad && status != StatusCode::UNAUTHORIZED);
        self.passed_late += u64::from(before >= gone_at && before < token.ends && status == StatusCode::OK);
        // No token that was signed before is good for longer than its key is published.
        self.passed_left_behind += u64::from(token.ends > gone_at && status == StatusCode::OK);
    }
}

fn unix(moment: SystemTime) -> u64 {
    moment.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs()
}

fn now(clock: &ManualClock) -> u64 {
    unix(clock.now())
}

/// Presents the newest tokens and some of the others, over and over, until it is told to stop.
async fn present(
    number: usize,
    verifier: JwtVerifier,
    load: Arc<Load>,
    clock: ManualClock,
    rounds: watch::Sender<usize>,
    stop: watch::Receiver<bool>,
) -> Count {
    let inner = service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::empty())));
    let service = verifier.bearer().layer(inner);
    let mut count = Count::default();
    for round in number.. {
        if *stop.borrow() {
            break;
        }
        let tokens = load.tokens.lock().expect("no panic").clone();
        let newest = tokens.iter().rev().take(4);
        let others = tokens.iter().skip(round % 24).step_by(24);
        for token in newest.chain(others) {
            let before = now(&clock);
            let answer = service.clone().oneshot(bearer("/", &token.text)).await.expect("it answers");
            let after = now(&clock);
            let gone_at = load.gone_at.lock().expect("no panic").get(&token.kid).copied().unwrap_or(u64::MAX);
            count.one(answer.status(), token, gone_at, before, after);
        }
        rounds.send_modify(|rounds| *rounds += 1);
        tokio::task::yield_now().await;
    }
    count
}

fn node(clock: &ManualClock, store: &MemoryStore) -> Provider {
    let builder = builder(clock).store(store.clone()).secrets(Secret::from_bytes([7; 32]));
    let builder = builder.access_token_format(AccessTokenFormat::Jwt).access_token_lifetime(seconds(DAY));
    builder.signing_keys(SigningKeys::default()).build().expect("a good configuration")
}

/// A node on a copy of the store as it is now: it goes on with the key that signs now, whatever the others do. So may
/// whoever stole it.
async fn left_behind(clock: &ManualClock, store: &MemoryStore) -> Provider {
    let (copy, issuer) = (MemoryStore::new(), ISSUER.into());
    let Ok(document) = store.document(&issuer, "signing keys").await;
    let document = document.expect("a ring of keys");
    let Ok(written) = copy.replace_document(&issuer, "signing keys", None, &document).await;
    assert!(written);
    node(clock, &copy)
}

/// All that happens at the provider while tokens are presented.
struct Scene {
    clock: ManualClock,
    store: MemoryStore,
    nodes: [Provider; 2],
    load: Arc<Load>,
    /// One node for each key that was replaced, which goes on with it.
    left_behind: Vec<Provider>,
    /// The keys of the nodes' tokens.
    signed: BTreeSet<String>,
}

impl Scene {
    fn new() -> Self {
        let (clock, store) = (ManualClock::default(), MemoryStore::new());
        let nodes = [node(&clock, &store), node(&clock, &store)];
        Self { clock, store, nodes, load: Arc::default(), left_behind: Vec::new(), signed: BTreeSet::new() }
    }

    /// By discovery, and with a count of what it asks.
    fn verifier(&self) -> (JwtVerifier, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let balancer = Balancer { nodes: self.nodes.each_ref().map(app), asked: Arc::clone(&asked) };
        let verifier = JwtVerifier::builder(ISSUER).issuer(ISSUER).fetch(balancer).clock(self.clock.clone());
        (verifier.leeway(seconds(0)).build().expect("a good configuration"), asked)
    }

    /// One of the nodes makes the next key; answers when that one signs.
    async fn rotate(&mut self) -> u64 {
        self.left_behind.push(left_behind(&self.clock, &self.store).await);
        let replaced = Token::of(&self.nodes[0], false).await.kid;
        let node = &self.nodes[self.left_behind.len() % 2];
        let signs_from = unix(node.rotate_signing_key().await.expect("the store answers"));
        assert_eq!(signs_from, now(&self.clock) + HOUR);
        self.load.gone_at.lock().expect("no panic").insert(replaced, signs_from + KEPT);
        signs_from
    }

    /// New tokens of both nodes in place of the last. A pair of each ten minutes stays until an hour after its end,
    /// and so does what comes each half an hour of every key that was replaced.
    async fn issue(&mut self, step: u64) {
        let mut issued = Vec::new();
        for node in &self.nodes {
            let token = Token::of(node, step.is_multiple_of(20)).await;
            self.signed.insert(token.kid.clone());
            issued.push(token);
        }
        if step.is_multiple_of(60) {
            for node in &self.left_behind {
                issued.push(Token::of(node, true).await);
            }
        }
        let (mut tokens, now) = (self.load.tokens.lock().expect("no panic"), now(&self.clock));
        tokens.retain(|token| token.stays && now < token.ends + HOUR);
        tokens.extend(issued);
    }

    /// An hour between two rotations, and then until the last key that was replaced is gone.
    async fn play(&mut self, mut rounds: watch::Receiver<usize>) {
        let mut rotates_at = now(&self.clock) + HOUR;
        let mut ends_at = u64::MAX;
        for step in 0.. {
            if now(&self.clock) >= rotates_at && self.left_behind.len() < ROTATIONS {
                rotates_at = self.rotate().await;
                ends_at = rotates_at + KEPT + KNOWN_WITHIN + HOUR / 2;
            }
            if now(&self.clock) >= ends_at {
                return;
            }
            self.issue(step).await;
            // Nobody is stopped for a step; it is as long as a round takes.
            let seen = *rounds.borrow_and_update();
            rounds.wait_for(|rounds| *rounds >= seen + PRESENTERS).await.expect("there are presenters");
            self.clock.advance(seconds(30));
        }
    }
}

/// RFC 9068 §4, RFC 7517 §5: a key is published for an hour before it signs, and until its last token is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ten_rotations_refuse_nothing_good_and_take_nothing_of_a_key_that_is_gone() {
    let mut scene = Scene::new();
    let (verifier, asked) = scene.verifier();
    let (stop, stopped) = watch::channel(false);
    let (rounds, seen) = watch::channel(0);
    let presenter = |number| {
        let (verifier, load, clock) = (verifier.clone(), Arc::clone(&scene.load), scene.clock.clone());
        tokio::spawn(present(number, verifier, load, clock, rounds.clone(), stopped.clone()))
    };
    let presenters: Vec<_> = (0..PRESENTERS).map(presenter).collect();
    // Where all of them are gone nobody waits for them.
    drop(rounds);
    scene.play(seen).await;
    stop.send_replace(true);
    let mut total = Count::default();
    for presenter in presenters {
        total.add(presenter.await.expect("no panic"));
    }
    println!("{} keys signed, {} fetches; {total:?}", scene.signed.len(), asked.load(Ordering::Relaxed));
    assert_eq!(scene.signed.len(), ROTATIONS + 1);
    assert_eq!((total.refused_wrongly, total.passed_wrongly), (0, 0));
    assert!(total.requests > 100_000 && total.refused > 0 && total.passed > total.refused, "there was a load");
    // What was left behind is good as long as its key is published, or else its refusal would say nothing.
    assert!(total.passed_left_behind > 0, "{total:?}");
}
