//! A grant on a random walk: steps that are right, wrong, early, late, old and repeated.

use std::fmt;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::record::{DOUBLE_SUBMIT, END, GRACE, IDLE, Names, at, redemption, revocation, rotation, seconds, token_id};
use super::revocations::{Told, told};
use crate::grant::{
    Grant, Outcome, Redemption, Revocation, RevocationReason, Revoked, RevokedTokens, Rotation, Verdict,
};
use crate::handle::GrantKey;
use crate::store::GrantStore;

pub(super) enum Step {
    Redeem(Redemption),
    Rotate(Rotation),
    Revoke(Revocation),
}

impl Step {
    pub(super) async fn take<S: GrantStore>(&self, store: &S, key: GrantKey) -> Result<Verdict, S::Error> {
        match self {
            Self::Redeem(step) => store.redeem(key, step.clone()).await,
            Self::Rotate(step) => store.rotate(key, step.clone()).await,
            Self::Revoke(step) => store.revoke(key, step.clone()).await,
        }
    }

    const fn is_of_a_token(&self) -> bool {
        matches!(self, Self::Revoke(Revocation { token: Some(_), .. }))
    }

    /// What the rules say of it.
    fn apply(&self, grant: &mut Grant) -> Outcome {
        match self {
            Self::Redeem(step) => grant.redeem(step),
            Self::Rotate(step) => grant.rotate(step),
            Self::Revoke(step) => grant.revoke(step),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |now| i128::from(now) - i128::from(at(0).as_secs());
        match self {
            Self::Redeem(step) => write!(f, "redeem at {} s", seconds(step.now.as_secs())),
            Self::Rotate(step) => {
                write!(f, "rotate generation {} at {} s", step.generation, seconds(step.now.as_secs()))
            }
            Self::Revoke(step) => {
                let what = if step.token.is_some() { "one token" } else { "all" };
                write!(f, "revoke {what} at {} s", seconds(step.now.as_secs()))
            }
        }
    }
}

/// A grant, what the rules make of it, and where its clock is.
pub(super) struct Walk {
    random: StdRng,
    pub(super) record: Grant,
    /// One step before, but for access tokens revoked since, of which [`Rotation::next`] need not know.
    read: Grant,
    now: i64,
    taken: Vec<Step>,
    revoked: Vec<RevokedTokens>,
}

impl Walk {
    /// How many grants are led through random steps, and how many steps each.
    pub(super) const COUNT: u64 = 60;
    pub(super) const STEPS: usize = 30;

    pub(super) fn new(seed: u64, number: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed.wrapping_add(number));
        let names = Names::new();
        let mut record = if random.random_bool(0.6) { names.pending() } else { names.without_pkce() };
        record.redirect_uri_sent = random.random_bool(0.7);
        if random.random_bool(0.3) {
            // As many access tokens are revoked as are remembered: one more is one too many.
            let tokens = (100..132).map(|token| (token_id(token), at(END))).collect();
            // Some time ago there was one too many, by a clock that was ahead.
            let issued_until = random.random_bool(0.5).then(|| at(END));
            record.revoked = Some(Box::new(Revoked { tokens, issued_until, ..Revoked::default() }));
        }
        Self { random, read: record.clone(), record, now: 5, taken: Vec::new(), revoked: Vec::new() }
    }

    /// What was revoked on the way.
    pub(super) fn told(&self) -> Told {
        told(self.revoked.iter().copied())
    }

    /// The next step, its outcome, and in `record` what then is kept.
    pub(super) fn step(&mut self) -> (&Step, Outcome) {
        let again = (self.one_in(8) && !self.taken.is_empty()).then(|| self.random.random_range(0..self.taken.len()));
        let index = again.unwrap_or_else(|| {
            self.wait();
            let step = self.draw();
            self.taken.push(step);
            self.taken.len() - 1
        });
        let step = &self.taken[index];
        let before = self.record.clone();
        let outcome = step.apply(&mut self.record);
        self.revoked.extend(self.record.newly_revoked(&before));
        self.read = if step.is_of_a_token() { self.record.clone() } else { before };
        (step, outcome)
    }

    fn one_in(&mut self, count: u32) -> bool {
        self.random.random_ratio(1, count)
    }

    fn any<T: Copy, const N: usize>(&mut self, of: [T; N]) -> T {
        of[self.random.random_range(0..N)]
    }

    /// A while, also backwards; or to an end, and a second before and after it.
    fn wait(&mut self) {
        if self.one_in(5) {
            let seconds = |time: crate::types::UnixTime| time.since(at(0)).cast_signed();
            let rotated = self.record.last_used_at().map_or(0, seconds);
            let ends = [
                seconds(self.record.expires_at),
                rotated + GRACE,
                rotated + IDLE,
                self.record.redeemed_at().map_or(0, seconds) + DOUBLE_SUBMIT,
                self.record
                    .revoked
                    .as_ref()
                    .and_then(|revoked| revoked.tokens.last())
                    .map_or(0, |(_, end)| seconds(*end)),
            ];
            self.now = self.any(ends) + self.any([-1, 0, 1]);
        } else {
            self.now += self.any([0, 0, 0, 1, 1, 4, 5, 10, 11, -1, -30]);
        }
        // Nowhere near the beginning of time.
        self.now = self.now.max(-1_000);
    }

    fn draw(&mut self) -> Step {
        match self.random.random_range(0..20) {
            0 => Step::Revoke(self.revocation()),
            1 | 2 => {
                let mut step = self.revocation();
                let end = self.now + self.any([1, 5, 600]);
                step.token = Some((token_id(self.random.random_range(0..40)), at(end)));
                Step::Revoke(step)
            }
            3..8 => Step::Redeem(self.redemption()),
            _ if self.record.redeemed.is_none() && self.random.random_bool(0.7) => Step::Redeem(self.redemption()),
            _ => Step::Rotate(self.rotation()),
        }
    }

    fn redemption(&mut self) -> Redemption {
        let mut step = redemption(&self.record, self.now);
        step.secret = [self.any([1, 1, 2]); 16];
        step.grant_expires_at = at(self.any([self.now + 1, self.now + 2 * IDLE, END]));
        match self.random.random_range(0..24) {
            0 => step.issuer = "https://other.example".into(),
            1 => step.client = "other".into(),
            2 => step.redirect_uri = Some("https://app.example/other".to_owned()),
            3 | 7 | 8 => step.redirect_uri = None,
            4 => step.challenge = Some([3; 32]),
            5 => step.challenge = None,
            6 => step.double_submit = seconds(0),
            _ => {}
        }
        step
    }

    fn rotation(&mut self) -> Rotation {
        let mut step = rotation(&self.record, self.now);
        let current = i64::from(step.generation);
        let presented = (current + self.any([0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -2, 1, 2])).max(0);
        step.generation = u32::try_from(presented).expect("a few more than the record's");
        match self.random.random_range(0..16) {
            0 => step.issuer = "https://other.example".into(),
            1 => step.client = "other".into(),
            2 => step.secret = [3; 16],
            3 => step.grace = seconds(0),
            _ => {}
        }
        step.next = match self.random.random_range(0..4) {
            0 => None,
            1 => step.usual(&self.read),
            _ => step.usual(&self.record),
        };
        step
    }

    fn revocation(&mut self) -> Revocation {
        let mut step = revocation(&self.record, self.now);
        if self.random.random_bool(0.5) {
            step.client = Some(self.record.client.clone());
            step.secret = self.record.redeemed.map(|redeemed| redeemed.secret);
        }
        step.reason = self.any([
            RevocationReason::CodeReuse,
            RevocationReason::RefreshReuse,
            RevocationReason::Client,
            RevocationReason::User,
            RevocationReason::Limit,
            RevocationReason::Provider,
        ]);
        match self.random.random_range(0..8) {
            0 => step.issuer = "https://other.example".into(),
            1 => step.client = Some("other".into()),
            2 => step.secret = Some([3; 16]),
            _ => {}
        }
        step
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::grant::Refused;

    #[test]
    fn every_walk_meets_every_outcome() {
        for seed in 0..20 {
            let mut met = HashSet::new();
            for number in 0..Walk::COUNT {
                let mut walk = Walk::new(seed, number);
                met.extend((0..Walk::STEPS).map(|_| walk.step().1));
            }
            for outcome in [
                Outcome::Redeemed,
                Outcome::Repeated,
                Outcome::Replayed,
                Outcome::Rotated,
                Outcome::Ahead,
                Outcome::Retried,
                Outcome::Revoked,
                Outcome::Refused(Refused::Mismatch),
                Outcome::Refused(Refused::Revoked),
                Outcome::Refused(Refused::Expired),
                Outcome::Refused(Refused::TooFar),
            ] {
                assert!(met.contains(&outcome), "seed {seed}: no {outcome:?} in {met:?}");
            }
        }
    }
}
