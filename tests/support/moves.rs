//! What is moved while nodes run: the secret is replaced, and clients go from one store to another.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use http::StatusCode;
use tower_oauth::testing::ManualClock;
use tower_oauth::{Client, ClientRegistry, ClientStore, GrantType, Layered, Provider, UnixTime};

use crate::nodes::{Place, is_good, issued, refused, secrets};
use crate::support::{App, ISSUER, SECRET, app, basic, builder, code, form, redeem, refresh, seconds, send};

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

/// Nobody is logged out, and nobody's login fails, whichever node is asked.
pub async fn secrets_replaced_in_two_steps_log_nobody_out(place: &impl Place) {
    let clock = ManualClock::default();
    let start = async |numbers: &[u8]| start(place, &clock, numbers).await;
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
pub async fn secrets_replaced_in_one_step_would_log_people_out(place: &impl Place) {
    let clock = ManualClock::default();
    let old = app(&start(place, &clock, &[1]).await);
    let new = app(&start(place, &clock, &[2, 1]).await);
    let (access, renewal) = issued(&redeem(&new, &code(&new, "profile").await).await);
    assert!(is_good(&new, &access).await);
    assert!(!is_good(&old, &access).await);
    refused(&refresh(&old, &renewal).await);
}

/// A node with these secrets.
async fn start(place: &impl Place, clock: &ManualClock, numbers: &[u8]) -> Provider {
    let node = builder(clock).store(place.store().await).secrets(secrets(numbers)).build();
    node.expect("it has what signs")
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

// ---- clients --------------------------------------------------------------------------------------------------------

/// What is ended in the store to which clients move does not come back from the one that they came from.
pub async fn a_client_that_was_disabled_or_deleted_is_not_looked_for_in_an_older_store<P: Place>(new: &P, old: &P) {
    let clock = ManualClock::default();
    let (new, old) = (new.store().await, old.store().await);
    let layered = Layered(new.clone(), old.clone());
    let provider = builder(&clock).store(new.clone()).clients(layered.clone()).secrets(secrets(&[1])).build();
    let app = app(&provider.expect("a good configuration"));
    let machine = |id| Client::confidential(id, SECRET).grant_types([GrantType::ClientCredentials]);
    let asks = async |id| {
        let request = form("/token", &[("grant_type", "client_credentials")]);
        send(&app, basic(request, id, SECRET)).await.status
    };
    let ids = ["disabled", "deleted", "only old"];
    for id in ids {
        old.create_client(&ISSUER.into(), machine(id)).await.expect("the database answers");
        assert_eq!(asks(id).await, StatusCode::OK, "{id}");
    }
    let now = UnixTime::from_secs(1_800_000_000);
    for id in &ids[..2] {
        new.create_client(&ISSUER.into(), machine(id)).await.expect("the database answers");
    }
    new.disable_client(&ISSUER.into(), &ids[0].into(), now).await.expect("the database answers");
    new.delete_client(&ISSUER.into(), &ids[1].into(), now).await.expect("the database answers");
    let mut found = Vec::new();
    for id in ids {
        let taken = new.is_taken(&ISSUER.into(), &id.into()).await.expect("the database answers");
        let by_any = layered.is_taken(&ISSUER.into(), &id.into()).await.expect("the database answers");
        found.push((asks(id).await, taken, by_any));
    }
    let ended = (StatusCode::UNAUTHORIZED, true, true);
    assert_eq!(found, [ended, ended, (StatusCode::OK, false, true)]);
    assert!(!new.is_taken(&"https://other.example".into(), &ids[0].into()).await.expect("the database answers"));
    new.enable_client(&ISSUER.into(), &ids[0].into()).await.expect("the database answers");
    assert_eq!(asks(ids[0]).await, StatusCode::OK);
}
