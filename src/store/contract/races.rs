//! What holds for many callers at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Check;
use super::record::{END, Names, at, redemption, revocation, rotation, token_id, token_revocation};
use crate::grant::{Grant, Outcome, Refused, Rotation, Tokens};
use crate::secret::random;
use crate::store::{GrantStore, OnceKey};

/// How many do the same at once.
const RACERS: u8 = 16;
/// How often where one writes and the others are refused.
const ROUNDS: usize = 100;
/// How often where all write, which is slow for a store that writes to a disk.
const WRITING_ROUNDS: usize = 25;

impl<S: GrantStore> Check<S> {
    fn counted(&self, found: &[Outcome], wanted: [(Outcome, u8); 2]) {
        for (outcome, count) in wanted {
            let times = found.iter().filter(|found| **found == outcome).count();
            self.holds(
                times == usize::from(count),
                format_args!("{outcome:?} {times} times instead of {count}: {found:?}"),
            );
        }
    }
}

pub(super) async fn once_is_once<S: GrantStore>(check: Check<S>) {
    let issuer = Names::new().issuer;
    for round in 0..ROUNDS {
        let value = random::<16>();
        let key = OnceKey::new(&issuer, "purpose", &value);
        let ask = async |key, now| check.answered(check.store.once(key, at(now + 100), at(now)).await);
        for (now, when) in [(0, "at first"), (100, "when its time has passed")] {
            let race =
                |check: Check<S>, _| async move { check.answered(check.store.once(key, at(now + 100), at(now)).await) };
            let first = check.at_once(RACERS, race).await.into_iter().filter(|first| *first).count();
            check.holds(first == 1, format_args!("round {round}: {first} of {RACERS} are first {when}"));
            check.holds(!ask(key, now + 99).await, "one is first again before its time has passed");
            check.sweep(&issuer, now + 99).await;
            check.holds(!ask(key, now + 99).await, "sweep forgets a key before its time has passed");
        }
        for other in [
            OnceKey::new(&Names::new().issuer, "purpose", &value),
            OnceKey::new(&issuer, "another", &value),
            OnceKey::new(&issuer, "purpose", &random::<16>()),
        ] {
            check.holds(ask(other, 0).await, "one key is taken for another");
        }
    }
}

pub(super) async fn one_redemption_wins<S: GrantStore>(check: Check<S>) {
    for pkce in [true, false].repeat(ROUNDS) {
        let names = Names::new();
        let mut grant = if pkce { names.pending() } else { names.without_pkce() };
        check.create(&grant).await;
        let redeem = |check: Check<S>, _| {
            let (key, step) = (grant.key, redemption(&grant, 10));
            async move { (check.answered(check.store.redeem(key, step.clone()).await).outcome, step) }
        };
        let (outcomes, steps): (Vec<_>, Vec<_>) = check.at_once(RACERS, redeem).await.into_iter().unzip();
        let others = if pkce { (Outcome::Repeated, RACERS - 1) } else { (Outcome::Replayed, 1) };
        check.counted(&outcomes, [(Outcome::Redeemed, 1), others]);
        if !pkce {
            check.counted(&outcomes, [others, (Outcome::Refused(Refused::Revoked), RACERS - 2)]);
        }
        let won = outcomes.iter().position(|outcome| *outcome == Outcome::Redeemed).unwrap_or_default();
        grant.redeem(&steps[won]);
        grant.redeem(&steps[usize::from(won == 0)]);
        check.finds(&grant, "find after the race").await;
    }
}

pub(super) async fn one_rotation_steps<S: GrantStore>(check: Check<S>) {
    let mut grant = check.redeemed(Names::new().pending()).await;
    let rotate = |key, step: Rotation| {
        move |check: Check<S>, _| {
            let step = step.clone();
            async move { check.answered(check.store.rotate(key, step).await) }
        }
    };
    for now in (20..).take(ROUNDS) {
        let step = rotation(&grant, now);
        let verdicts = check.at_once(RACERS, rotate(grant.key, step.clone())).await;
        let outcomes: Vec<_> = verdicts.iter().map(|verdict| verdict.outcome).collect();
        check.counted(&outcomes, [(Outcome::Rotated, 1), (Outcome::Retried, RACERS - 1)]);
        grant.rotate(&step);
        for verdict in verdicts {
            check.same(verdict.grant.as_deref(), Some(&grant), "a verdict of the race");
        }
        check.finds(&grant, "find after the race").await;
    }
    let stale = Rotation { generation: 0, ..rotation(&grant, 500) };
    let verdicts = check.at_once(RACERS, rotate(grant.key, stale.clone())).await;
    let outcomes: Vec<_> = verdicts.iter().map(|verdict| verdict.outcome).collect();
    check.counted(&outcomes, [(Outcome::Replayed, 1), (Outcome::Refused(Refused::Revoked), RACERS - 1)]);
    grant.rotate(&stale);
    check.finds(&grant, "find after old tokens at once").await;
}

pub(super) async fn no_update_is_lost<S: GrantStore>(check: Check<S>) {
    let mut grant = check.redeemed(Names::new().pending()).await;
    // One refreshes; each other one revokes an access token of its own.
    for now in (20..).take(WRITING_ROUNDS) {
        let change = |check: Check<S>, racer| {
            let key = grant.key;
            let (rotation, revocation) = (rotation(&grant, now), token_revocation(&grant, racer, now + 5, now));
            async move {
                let verdict = match racer {
                    0 => check.store.rotate(key, rotation).await,
                    _ => check.store.revoke(key, revocation).await,
                };
                check.answered(verdict).outcome
            }
        };
        let outcomes = check.at_once(RACERS, change).await;
        check.counted(&outcomes, [(Outcome::Rotated, 1), (Outcome::Revoked, RACERS - 1)]);
        let step = rotation(&grant, now);
        grant.rotate(&step);
        let Some(found) = check.found(grant.key).await else { return check.holds(false, "the grant is gone") };
        // In which order they came nobody knows.
        grant.revoked.clone_from(&found.revoked);
        check.same(Some(&found), Some(&grant), "find after the race");
        let lost: Vec<_> = (1..RACERS).filter(|token| found.admits(token_id(*token), at(now), at(now))).collect();
        check.holds(lost.is_empty(), format_args!("access tokens {lost:?} of 1 to {} live on", RACERS - 1));
        check.told_of(&grant, (1..RACERS).map(|token| Tokens::One(token_id(token)))).await;
    }
}

/// One that refreshes on and on, one that revokes access tokens, some that repeat what was before, against one that
/// ends the grant.
pub(super) async fn revoked_stays_revoked<S: GrantStore>(check: Check<S>) {
    for round in 0..WRITING_ROUNDS {
        let names = Names::new();
        let grant = check.redeemed(names.pending()).await;
        let ended = Arc::new(AtomicBool::new(false));
        let race = |check: Check<S>, racer| {
            let (names, grant, ended) = (names.clone(), grant.clone(), Arc::clone(&ended));
            async move {
                match racer {
                    0 => {
                        // Later each time, so that it also falls between two writes of the others.
                        for _ in 0..round {
                            tokio::task::yield_now().await;
                        }
                        end(&check, &names, &grant, round).await;
                        ended.store(true, Ordering::SeqCst);
                    }
                    1 => refresh_until_refused(&check, grant, &ended).await,
                    2..5 => revoke_token(&check, &grant, racer).await,
                    _ => repeat(&check, &grant, racer).await,
                }
            }
        };
        check.at_once(RACERS, race).await;
        let Some(found) = check.found(grant.key).await else { return check.holds(false, "the grant is gone") };
        check.holds(found.revoked() == Some((at(30), revocation(&grant, 30).reason)), "after the race it is alive");
        repeat(&check, &grant, 2).await;
        repeat(&check, &grant, 3).await;
        check.finds(&found, "find after earlier steps were repeated").await;
    }
}

async fn end<S: GrantStore>(check: &Check<S>, names: &Names, grant: &Grant, round: usize) {
    if round.is_multiple_of(2) {
        let verdict = check.answered(check.store.revoke(grant.key, revocation(grant, 30)).await);
        check.holds(verdict.outcome == Outcome::Revoked, format_args!("revoke is {:?}", verdict.outcome));
    } else {
        let ended = check.revoke_all(&names.issuer, &names.holders()[round % 3], 30).await;
        check.holds(ended == 1, format_args!("revoke_all ends {ended} grants instead of 1"));
    }
    let found = check.answered(check.store.find(grant.key).await);
    let cached = check.store.cached(grant.key).or_else(|| found.clone());
    let loaded = check.answered(check.store.load(grant.key).await);
    for record in [found, cached, loaded] {
        check.holds(record.is_some_and(|record| record.revoked().is_some()), "it is alive after it was revoked");
    }
    check.told_of(grant, [Tokens::All]).await;
}

async fn refresh_until_refused<S: GrantStore>(check: &Check<S>, mut grant: Grant, ended: &AtomicBool) {
    loop {
        let begun_after_the_end = ended.load(Ordering::SeqCst);
        let step = rotation(&grant, 25);
        let verdict = check.answered(check.store.rotate(grant.key, step.clone()).await);
        if verdict.outcome == Outcome::Refused(Refused::Revoked) {
            return;
        }
        check.holds(!begun_after_the_end, "a rotation begun after the grant was revoked is accepted");
        check.holds(verdict.outcome == Outcome::Rotated, format_args!("a rotation is {:?}", verdict.outcome));
        grant.rotate(&step);
        // So that a cache is filled while the grant ends.
        check.answered(check.store.load(grant.key).await);
        // Whoever never waits lets nobody else go on.
        tokio::task::yield_now().await;
    }
}

async fn revoke_token<S: GrantStore>(check: &Check<S>, grant: &Grant, racer: u8) {
    for token in 0..5 {
        let step = token_revocation(grant, racer * 5 + token, END, 25);
        check.answered(check.store.revoke(grant.key, step).await);
        tokio::task::yield_now().await;
    }
}

/// The creation or the redemption once more, as a store does that heard no answer.
async fn repeat<S: GrantStore>(check: &Check<S>, grant: &Grant, racer: u8) {
    let pending = Grant { redeemed: None, expires_at: at(60), ..grant.clone() };
    if racer.is_multiple_of(2) {
        return check.create(&pending).await;
    }
    let secret = grant.redeemed.map_or([0; 16], |redeemed| redeemed.secret);
    let mut step = redemption(&pending, 10);
    step.secret = secret;
    let verdict = check.answered(check.store.redeem(grant.key, step).await);
    let good = matches!(verdict.outcome, Outcome::Redeemed | Outcome::Refused(Refused::Revoked));
    check.holds(good, format_args!("a repeated redemption is {:?}", verdict.outcome));
}
