//! The secret is replaced while two nodes run on one store.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use http::StatusCode;
use tower_oauth::testing::ManualClock;
use tower_oauth::{Provider, Secret, Secrets, Store};

use crate::support::{Answer, App, app, bearer, builder, code, redeem, refresh, seconds, send};

const DAY: u64 = 24 * 60 * 60;

/// What the secrets of the two nodes are, one start after the other: the new one is appended everywhere, moved to the
/// front everywhere, and when the old one has not signed for long enough, that one is dropped.
const STARTS: [[&[u8]; 2]; 4] = [[&[1, 2], &[1]], [&[1, 2], &[1, 2]], [&[2, 1], &[1, 2]], [&[2, 1], &[2, 1]]];
const ENDS: [[&[u8]; 2]; 2] = [[&[2], &[2, 1]], [&[2], &[2]]];

/// Two nodes, and whoever is logged in: an access and a refresh token each.
struct Pair {
    nodes: [Provider; 2],
    apps: [App; 2],
    logins: Vec<(String, String)>,
    codes: Vec<String>,
    turn: usize,
}

/// Nobody is logged out, and nobody's login fails, whichever node is asked. `open` opens the store as a node does that
/// starts.
pub async fn are_replaced_in_two_steps<S: Store>(open: impl AsyncFn() -> S) {
    let clock = ManualClock::default();
    let start = async |numbers: &[u8]| start(&clock, open().await, numbers).expect("it has what signs");
    let mut pair = Pair::new([start(&[1]).await, start(&[1]).await]);
    for [first, second] in STARTS {
        pair.everybody_goes_on(&clock).await;
        pair.restart([start(first).await, start(second).await]).await;
    }
    for day in 0..91 {
        clock.advance(seconds(DAY));
        for node in &pair.nodes {
            node.sweep().await.expect("the store answers");
        }
        // Each comes back now and then.
        if day % 30 == 0 || day == 90 {
            pair.everybody_refreshes().await;
        }
    }
    for [first, second] in ENDS {
        pair.restart([start(first).await, start(second).await]).await;
        pair.everybody_goes_on(&clock).await;
    }
    assert_eq!(pair.logins.len(), 2 * (STARTS.len() + ENDS.len()), "two for each start");
}

/// Where the first step is left out, the node that was not told yet takes what the other signs for forged.
pub async fn are_not_replaced_in_one_step<S: Store>(open: impl AsyncFn() -> S) {
    let clock = ManualClock::default();
    let mut pair = Pair::new([
        start(&clock, open().await, &[1]).expect("the first"),
        start(&clock, open().await, &[1]).expect("it has what signs"),
    ]);
    pair.nodes[0] = start(&clock, open().await, &[2, 1]).expect("it has what signs");
    pair.apps[0] = app(&pair.nodes[0]);
    let (access, renewal) = issued(&redeem(&pair.apps[0], &code(&pair.apps[0], "profile").await).await);
    assert!(is_good(&pair.apps[0], &access).await);
    assert!(!is_good(&pair.apps[1], &access).await);
    assert_eq!(refresh(&pair.apps[1], &renewal).await.status, StatusCode::BAD_REQUEST);
}

fn start(clock: &ManualClock, store: impl Store, numbers: &[u8]) -> Result<Provider, tower_oauth::ConfigErrors> {
    let secrets: Secrets = numbers.iter().map(|number| Secret::from_bytes([*number; 32])).collect();
    builder(clock).store(store).secrets(secrets).build()
}

impl Pair {
    fn new(nodes: [Provider; 2]) -> Self {
        let apps = nodes.each_ref().map(app);
        Self { nodes, apps, logins: Vec::new(), codes: Vec::new(), turn: 0 }
    }

    /// One node after the other, with logins that are under way.
    async fn restart(&mut self, nodes: [Provider; 2]) {
        for app in &self.apps {
            self.codes.push(code(app, "profile").await);
        }
        self.apps = nodes.each_ref().map(app);
        self.nodes = nodes;
        for (number, code) in std::mem::take(&mut self.codes).into_iter().enumerate() {
            // At the node that did not make it.
            let login = issued(&redeem(&self.apps[1 - number], &code).await);
            self.logins.push(login);
        }
        self.everybody_is_logged_in().await;
    }

    async fn everybody_goes_on(&mut self, clock: &ManualClock) {
        clock.advance(seconds(60));
        self.everybody_is_logged_in().await;
        self.everybody_refreshes().await;
    }

    /// Now at one node and now at the other.
    async fn everybody_refreshes(&mut self) {
        self.turn += 1;
        for (number, login) in self.logins.iter_mut().enumerate() {
            *login = issued(&refresh(&self.apps[(self.turn + number) % 2], &login.1).await);
        }
        self.everybody_is_logged_in().await;
    }

    async fn everybody_is_logged_in(&self) {
        for (access, _) in &self.logins {
            for app in &self.apps {
                assert!(is_good(app, access).await);
            }
        }
    }
}

fn issued(answer: &Answer) -> (String, String) {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let json = answer.json();
    let text = |name: &str| json[name].as_str().expect("a token").to_owned();
    (text("access_token"), text("refresh_token"))
}

async fn is_good(app: &App, access: &str) -> bool {
    send(app, bearer("/me", access)).await.status == StatusCode::OK
}
