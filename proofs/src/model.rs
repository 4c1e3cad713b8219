//! A client that knows what it was told, and sees to it that this stays true.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

use crate::Problem;
use crate::client::{Client, Tokens, Told};
use crate::door::Door;
use crate::person::{PEOPLE, Person};
use crate::tally::Tally;

/// For so long a refresh without an answer can be repeated, by default.
pub const GRACE: Duration = Duration::from_secs(10);
/// Until then nothing can have gone wrong with a repetition: clocks count in seconds.
const SURELY_IN_GRACE: Duration = Duration::from_secs(9);
/// Until then a second redemption by the same client ends nothing.
const SURELY_DOUBLE_SUBMIT: Duration = Duration::from_secs(4);
/// A client has so many grants at a time; a user can have 100 at one client.
const MOST: usize = 12;
/// How long a client waits that got no answer.
const PAUSE: Duration = Duration::from_millis(20);

/// A grant whose end the client was not told of.
#[derive(Debug)]
struct Held {
    /// Each that was told, in order; the last one is good.
    tokens: Vec<String>,
    /// The access token of the last answer, if nothing was begun against it.
    access: Option<String>,
    doubt: Option<Doubt>,
}

/// What was asked last, without an answer.
#[derive(Debug)]
enum Doubt {
    /// A refresh, for the first time then.
    Refresh(Instant),
    /// A revocation.
    Revocation,
    /// A refresh with a token that is older than the one before the last.
    Replay,
}

impl Held {
    fn new(tokens: Tokens) -> Self {
        Self { tokens: vec![tokens.refresh], access: Some(tokens.access), doubt: None }
    }

    fn last(&self) -> &str {
        self.tokens.last().map_or("", String::as_str)
    }

    /// How many answers ago a token was told.
    fn ago(&self, answers: usize) -> Option<&str> {
        self.tokens.len().checked_sub(1 + answers).map(|at| &*self.tokens[at])
    }
}

/// A grant whose end the client was told of.
#[derive(Debug)]
struct Ended {
    why: &'static str,
    refresh: String,
    access: Option<String>,
}

/// One client that uses everything at random, one request at a time.
#[derive(Debug)]
pub struct Model {
    client: Client,
    people: [Person; 2],
    held: Vec<Held>,
    ended: Vec<Ended>,
    /// Access tokens that were revoked one by one.
    dead: Vec<String>,
    random: StdRng,
}

impl Model {
    /// A new client, whose choices follow from the seed.
    pub async fn new(door: &Door, seed: u64) -> Result<Self, Problem> {
        Ok(Self {
            client: Client::register(door).await?,
            people: PEOPLE.map(Person::new),
            held: Vec::new(),
            ended: Vec::new(),
            dead: Vec::new(),
            random: StdRng::seed_from_u64(seed),
        })
    }

    fn tally(&self) -> &Tally {
        self.client.door().tally()
    }

    /// One thing that a client does. What has no answer comes first.
    pub async fn step(&mut self) {
        let answered = match self.held.iter().position(|held| held.doubt.is_some()) {
            Some(at) => self.settle(at).await,
            None => self.anything().await,
        };
        if !answered {
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn settle(&mut self, at: usize) -> bool {
        match self.held[at].doubt {
            Some(Doubt::Revocation) => self.revoke(at).await,
            Some(Doubt::Replay) => self.replay(at).await,
            _ => self.refresh(at).await,
        }
    }

    async fn anything(&mut self) -> bool {
        let choice = self.random.random_range(0..100);
        if self.held.is_empty() || (choice < 6 && self.held.len() < MOST) {
            return self.connect().await;
        }
        let at = self.random.random_range(0..self.held.len());
        match choice {
            0..10 => self.revoke(at).await,
            10..13 => self.replay(at).await,
            13..17 => self.revoke_access(at).await,
            17..22 => self.look_at_what_ended().await,
            22..40 => self.call(at).await,
            _ => self.refresh(at).await,
        }
    }

    /// A person allows, and the code is redeemed, once. A code whose answer was lost may be good still, or not.
    async fn connect(&mut self) -> bool {
        let person = self.random.random_range(0..self.people.len());
        let Some(code) = self.client.ask(&mut self.people[person]).await else { return false };
        let since = Instant::now();
        let tokens = match self.client.redeem(&code).await {
            Told::Tokens(tokens) => tokens,
            Told::Refused => {
                self.tally().wrong("a new code is refused");
                return true;
            }
            Told::Unknown => match self.client.redeem(&code).await {
                Told::Tokens(tokens) => tokens,
                // It starts again.
                Told::Refused => return true,
                Told::Unknown => return false,
            },
        };
        let mut held = Held::new(tokens);
        if self.random.random_ratio(1, 3) {
            match self.client.redeem(&code).await {
                Told::Tokens(_) => self.tally().wrong("a code is redeemed twice"),
                Told::Refused if since.elapsed() < SURELY_DOUBLE_SUBMIT => {}
                // Then it may have ended the grant.
                _ => held.doubt = Some(Doubt::Revocation),
            }
        }
        self.held.push(held);
        true
    }

    async fn refresh(&mut self, at: usize) -> bool {
        let before = match self.held[at].doubt {
            Some(Doubt::Refresh(since)) => Some(since),
            _ => None,
        };
        let since = before.unwrap_or_else(Instant::now);
        let told = self.client.refresh(self.held[at].last()).await;
        let held = &mut self.held[at];
        held.doubt = None;
        match told {
            Told::Tokens(tokens) => {
                let new = !held.tokens.contains(&tokens.refresh);
                held.tokens.push(tokens.refresh);
                held.access = Some(tokens.access);
                self.tally().check(new, || "a refresh token is told twice".to_owned());
                if before.is_some() {
                    self.tally().repeated();
                }
            }
            Told::Refused => {
                self.held.swap_remove(at);
                match before {
                    Some(since) if since.elapsed() > SURELY_IN_GRACE => self.tally().late(),
                    Some(_) => self.tally().wrong("a refresh is refused that is repeated for want of an answer"),
                    None => self.tally().wrong("a client is logged out"),
                }
            }
            Told::Unknown => {
                held.doubt = Some(Doubt::Refresh(since));
                return false;
            }
        }
        true
    }

    async fn revoke(&mut self, at: usize) -> bool {
        let answered = self.client.revoke(self.held[at].last()).await;
        if answered {
            self.end(at, "revoked");
        } else {
            self.held[at].doubt = Some(Doubt::Revocation);
        }
        answered
    }

    /// Presents a token that is older than the one before the last: nobody but a thief does.
    async fn replay(&mut self, at: usize) -> bool {
        let Some(old) = self.held[at].ago(2) else { return self.refresh(at).await };
        match self.client.refresh(old).await {
            Told::Tokens(_) => {
                self.tally().wrong("a used token is alive");
                self.held.swap_remove(at);
            }
            Told::Refused => self.end(at, "ended by a used token"),
            Told::Unknown => {
                self.held[at].doubt = Some(Doubt::Replay);
                return false;
            }
        }
        true
    }

    fn end(&mut self, at: usize, why: &'static str) {
        let held = self.held.swap_remove(at);
        self.ended.push(Ended { why, refresh: held.last().to_owned(), access: held.access });
    }

    async fn revoke_access(&mut self, at: usize) -> bool {
        let Some(access) = self.held[at].access.take() else { return self.refresh(at).await };
        let answered = self.client.revoke(&access).await;
        if answered {
            self.dead.push(access);
        }
        answered
    }

    async fn call(&mut self, at: usize) -> bool {
        let Some(access) = &self.held[at].access else { return self.refresh(at).await };
        let good = self.client.call(access).await;
        self.tally().check(good != Some(false), || "an access token is refused that is good".to_owned());
        good.is_some()
    }

    async fn look_at_what_ended(&mut self) -> bool {
        let total = self.ended.len() + self.dead.len();
        if total == 0 {
            return true;
        }
        match self.random.random_range(0..total).checked_sub(self.ended.len()) {
            Some(at) => self.is_dead(at).await,
            None => {
                let at = self.random.random_range(0..self.ended.len());
                self.has_ended(at).await
            }
        }
    }

    async fn is_dead(&self, at: usize) -> bool {
        let good = self.client.call(&self.dead[at]).await;
        self.tally().check(good != Some(true), || "a revoked access token is alive".to_owned());
        good.is_some()
    }

    async fn has_ended(&self, at: usize) -> bool {
        let Ended { why, refresh, access } = &self.ended[at];
        let told = self.client.refresh(refresh).await;
        self.tally().check(!matches!(told, Told::Tokens(_)), || format!("a grant is alive that was {why}"));
        let Some(access) = access else { return !matches!(told, Told::Unknown) };
        let good = self.client.call(access).await;
        self.tally().check(good != Some(true), || format!("an access token is alive whose grant was {why}"));
        good.is_some() && !matches!(told, Told::Unknown)
    }

    // ---- at the end, when nothing is broken any more ----------------------------------------------------------------

    /// Everybody gets on, twice from one token, and nothing that ended is alive.
    pub async fn look_at_everything(&mut self) {
        while let Some(at) = self.held.iter().position(|held| held.doubt.is_some()) {
            if !self.settle(at).await {
                tokio::time::sleep(PAUSE).await;
            }
        }
        for at in (0..self.held.len()).rev() {
            if self.held.get(at).is_some() {
                self.refresh(at).await;
            }
        }
        for held in &self.held {
            let again = match held.ago(1) {
                Some(before) => self.client.refresh(before).await,
                None => continue,
            };
            let same = matches!(&again, Told::Tokens(tokens) if tokens.refresh == held.last());
            self.tally().check(same, || format!("a refresh that is repeated within the grace gets {again:?}"));
        }
        for at in 0..self.ended.len() {
            self.tally().check(self.has_ended(at).await, || "there is no answer about what ended".to_owned());
        }
        for at in 0..self.dead.len() {
            self.tally().check(self.is_dead(at).await, || "there is no answer about what is dead".to_owned());
        }
    }

    /// What was used is refused, and ends its grant: half by a token that is older, half by the one before the last,
    /// whose grace is over. How many were looked at.
    pub async fn use_what_was_used(&mut self) -> usize {
        let looked = self.held.len();
        for number in 0..looked {
            let held = &self.held[number];
            let old = held.ago(1 + number % 2).or_else(|| held.ago(1));
            let Some(old) = old else { continue };
            let told = self.client.refresh(old).await;
            self.tally().check(matches!(told, Told::Refused), || format!("a used token gets {told:?}"));
        }
        for at in (0..looked).rev() {
            self.end(at, "ended by a used token");
            let last = self.ended.len() - 1;
            self.tally().check(self.has_ended(last).await, || "there is no answer about what ended".to_owned());
        }
        looked
    }
}
