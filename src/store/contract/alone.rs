//! What holds for one caller after the other.

use super::record::{IDLE, Names, at, redemption, revocation, rotation, shapes, token_revocation};
use super::walk::Walk;
use super::{Check, sorted};
use crate::grant::{Grant, Outcome, Redemption, Refused, Verdict};
use crate::store::{GrantStore, Holder};

pub(super) async fn unknown_is_unknown<S: GrantStore>(check: Check<S>) {
    let unknown = Names::new().pending();
    let mut redeemed = unknown.clone();
    redeemed.redeem(&redemption(&unknown, 1));
    check.finds_none(unknown.key, "find").await;
    for verdict in [
        check.store.redeem(unknown.key, redemption(&unknown, 1)).await,
        check.store.rotate(unknown.key, rotation(&redeemed, 2)).await,
        check.store.revoke(unknown.key, revocation(&redeemed, 3)).await,
    ] {
        let Verdict { outcome, grant } = check.answered(verdict);
        check.holds(outcome == Outcome::Refused(Refused::Unknown), format_args!("the verdict is {outcome:?}"));
        check.same(grant.as_deref(), None, "the verdict");
    }
    check.finds_none(unknown.key, "find after all steps").await;
}

pub(super) async fn kept_whole<S: GrantStore>(check: Check<S>) {
    let grants = shapes();
    for grant in &grants {
        check.create(grant).await;
        check.finds(grant, "find").await;
    }
    for grant in &grants {
        check.finds(grant, "find after others were created").await;
    }
}

pub(super) async fn create_is_repeatable<S: GrantStore>(check: Check<S>) {
    let mut grant = Names::new().pending();
    let created = grant.clone();
    let other = Grant { subject: Some("mallory".into()), expires_at: at(9_999), ..created.clone() };
    let again = async |grant: &Grant, when: &str| {
        for repeated in [&created, &other] {
            check.create(repeated).await;
            check.finds(grant, format!("find after a second create {when}")).await;
        }
    };
    check.create(&created).await;
    again(&grant, "at once").await;

    let step = redemption(&grant, 1);
    grant.redeem(&step);
    check.answered(check.store.redeem(grant.key, step).await);
    again(&grant, "after a redemption").await;

    let step = rotation(&grant, 2);
    grant.rotate(&step);
    check.answered(check.store.rotate(grant.key, step).await);
    again(&grant, "after a rotation").await;

    let keys = check.keys(&grant.issuer, &Holder::Client(grant.client.clone())).await;
    check.holds(keys == [grant.key], format_args!("after all that the client has {} grants", keys.len()));
    let mallory = Holder::User("mallory".into());
    check.holds(check.keys(&grant.issuer, &mallory).await.is_empty(), "what was not created is found by its user");
}

pub(super) async fn steps_follow_the_rules<S: GrantStore>(check: Check<S>) {
    for number in 0..Walk::COUNT {
        walk(check.clone(), number).await;
    }
}

/// How many grants are on their walk at once.
const WALKERS: u8 = 16;

pub(super) async fn many_steps_follow_the_rules<S: GrantStore>(check: Check<S>, steps: usize) {
    let walks = steps.div_ceil(Walk::STEPS) as u64;
    let walker = |check: Check<S>, first: u8| async move {
        for number in (u64::from(first)..walks).step_by(WALKERS.into()) {
            walk(check.clone(), number).await;
        }
    };
    check.at_once(WALKERS, walker).await;
}

async fn walk<S: GrantStore>(check: Check<S>, number: u64) {
    let refusal = check.and("a refusal writes nothing");
    let mut walk = Walk::new(check.seed, number);
    check.create(&walk.record).await;
    for taken in 0..Walk::STEPS {
        let key = walk.record.key;
        let (step, outcome) = walk.step();
        let what = format!("walk {number}, step {taken}, {step}, which is {outcome:?}");
        let verdict = check.answered(step.take(&*check.store, key).await);
        check.holds(verdict.outcome == outcome, format_args!("{what}: the verdict is {:?}", verdict.outcome));
        let refused = matches!(outcome, Outcome::Refused(_) | Outcome::Repeated);
        let check = if refused { &refusal } else { &check };
        check.finds(&walk.record, format!("{what}: find")).await;
        check.same(verdict.grant.as_deref(), Some(&walk.record), format_args!("{what}: the verdict"));
    }
    check.tells(&walk.record.issuer, -2_000, &walk.told(), &format!("walk {number}")).await;
}

pub(super) async fn rotated_as_it_is<S: GrantStore>(check: Check<S>) {
    for meanwhile in ["one access token is revoked", "it is rotated", "it is revoked", "it is rotated twice"] {
        let mut grant = check.redeemed(Names::new().pending()).await;
        let mut step = rotation(&grant, 20);
        step.next = step.usual(&grant);
        check.holds(step.next.is_some(), "it is the usual one");
        match meanwhile {
            "one access token is revoked" => {
                let revocation = token_revocation(&grant, 1, 500, 15);
                grant.revoke(&revocation);
                check.answered(check.store.revoke(grant.key, revocation).await);
            }
            "it is revoked" => {
                let revocation = revocation(&grant, 15);
                grant.revoke(&revocation);
                check.answered(check.store.revoke(grant.key, revocation).await);
            }
            more => {
                for _ in 0..if more == "it is rotated" { 1 } else { 2 } {
                    let first = rotation(&grant, 15);
                    grant.rotate(&first);
                    check.answered(check.store.rotate(grant.key, first).await);
                }
            }
        }
        let outcome = grant.rotate(&step);
        let verdict = check.answered(check.store.rotate(grant.key, step).await);
        let what = format!("{meanwhile} between reading and rotating");
        check.holds(verdict.outcome == outcome, format_args!("{what}: {:?} and not {outcome:?}", verdict.outcome));
        check.finds(&grant, what).await;
    }
}

pub(super) async fn issuers_are_apart<S: GrantStore>(check: Check<S>) {
    let here = Names::new();
    let there = Names { issuer: Names::new().issuer, ..here.clone() };
    let ours = check.redeemed(here.pending()).await;
    let mut theirs = check.redeemed(there.pending()).await;
    for holder in here.holders() {
        for (names, grant) in [(&here, &ours), (&there, &theirs)] {
            let keys = check.keys(&names.issuer, &holder).await;
            check.holds(keys == [grant.key], format_args!("{holder:?} has one grant, {} are found", keys.len()));
        }
    }
    let step = rotation(&Grant { issuer: there.issuer.clone(), ..ours.clone() }, 20);
    let verdict = check.answered(check.store.rotate(ours.key, step).await);
    check.holds(!verdict.outcome.is_accepted(), "a rotation by another issuer is accepted");
    check.finds(&ours, "find after a rotation by another issuer").await;

    for (holder, now) in here.holders().iter().zip(30..) {
        let ended = check.revoke_all(&there.issuer, holder, now).await;
        check.holds(ended == 1, format_args!("revoke_all of {holder:?} ends {ended} grants instead of 1"));
        theirs.revoke(&revocation(&theirs, now));
        check.finds(&theirs, "find after revoke_all").await;
        check.finds(&ours, "find after revoke_all of another issuer").await;
        theirs = check.redeemed(there.pending()).await;
    }
    check.revoke_all(&here.issuer, &here.holders()[0], 40).await;
    let swept = check.sweep(&there.issuer, 50).await;
    check.holds(swept == 3, format_args!("sweep forgets {swept} grants instead of 3"));
    check.holds(check.found(ours.key).await.is_some(), "sweep forgets a grant of another issuer");
    check.finds(&theirs, "find what lives after sweep").await;
}

/// Names that a database could take for the same, or for a part of its own language.
const SUBJECTS: [&str; 9] = ["alice", "Alice", "alice ", "al%", "al_ce", "a'; --", "\u{e9}", "e\u{301}", ""];
const CLIENTS: [&str; 3] = ["app", "APP", "app\\"];

pub(super) async fn found_by_their_holder<S: GrantStore>(check: Check<S>) {
    let all = Names::new();
    let mut grants = Vec::new();
    let mut holders: Vec<_> = ["bob", "ALICE", "%", "alic"].map(|nobody| Holder::User(nobody.into())).into();
    for names in SUBJECTS.iter().flat_map(|subject| CLIENTS.map(|client| all.with(client, subject))) {
        holders.extend(names.holders());
        for grant in [names.pending(), names.own()] {
            check.create(&grant).await;
            grants.push(grant);
        }
        grants.push(check.redeemed(names.pending()).await);
    }
    // Whatever became of them.
    for grant in grants.iter_mut().step_by(4) {
        let step = revocation(grant, 20);
        grant.revoke(&step);
        check.answered(check.store.revoke(grant.key, step).await);
    }
    for holder in holders {
        let keys = check.keys(&all.issuer, &holder).await;
        let wanted = sorted(grants.iter().filter(|grant| holder.holds(grant)).map(|grant| grant.key));
        check.holds(keys == wanted, format_args!("{holder:?} has {} grants, {} are found", wanted.len(), keys.len()));
    }
}

/// More than a store would end in one batch.
const MANY: usize = 130;

pub(super) async fn revoke_all_ends_all<S: GrantStore>(check: Check<S>) {
    for kind in 0..3 {
        let names = Names::new();
        let holder = &names.holders()[kind];
        let mut grants = vec![names.own()];
        grants.extend(std::iter::repeat_with(|| names.pending()).take(MANY));
        grants.extend([("app", "bob"), ("other", "alice"), ("other", "bob")].map(|(c, s)| names.with(c, s).pending()));
        for grant in &grants {
            check.create(grant).await;
        }
        grants.push(check.redeemed(names.pending()).await);
        let mut dead = check.redeemed(names.pending()).await;
        let step = revocation(&dead, 15);
        dead.revoke(&step);
        check.answered(check.store.revoke(dead.key, step).await);

        let living = grants.iter().filter(|grant| holder.holds(grant)).count();
        let ended = check.revoke_all(&names.issuer, holder, 20).await;
        check.holds(ended == living, format_args!("{holder:?} has {living} living grants, {ended} are ended"));
        for grant in &mut grants {
            let meant = holder.holds(grant);
            if meant {
                grant.revoke(&revocation(grant, 20));
            }
            let whose = if meant { "one of the holder's" } else { "somebody else's" };
            check.finds(grant, format!("find {whose} after revoke_all of {holder:?}")).await;
        }
        check.finds(&dead, "find one that was revoked before").await;
        let again = check.revoke_all(&names.issuer, holder, 30).await;
        check.holds(again == 0, format_args!("a second revoke_all ends {again} grants"));
        // The approval that was under way when its grant was ended.
        let created = Grant { redeemed: None, revoked: None, ..grants[1].clone() };
        check.create(&created).await;
        check.and("a revoked grant stays revoked").finds(&grants[1], "find after a second create").await;
    }
}

pub(super) async fn sweep_forgets_what_is_over<S: GrantStore>(check: Check<S>) {
    const NOW: i64 = 5_000;
    let names = Names::new();
    let ending = |grant, end| Grant { expires_at: at(end), ..grant };
    let mut grants =
        vec![ending(names.pending(), NOW), ending(names.own(), NOW), ending(names.pending(), NOW + 1), names.own()];
    for grant in &grants {
        check.create(grant).await;
    }
    for (redeemed, end, rotated, revoked) in [
        (NOW - IDLE, NOW + 1, None, None),
        (NOW - IDLE + 1, NOW + 1, None, None),
        (NOW - IDLE, NOW + 1, Some(NOW - 1), None),
        (NOW - 10, NOW, None, None),
        (NOW - 10, NOW + 1, None, None),
        (NOW - 10, NOW + 1, None, Some(NOW - 1)),
    ] {
        let mut grant = ending(names.pending(), NOW);
        check.create(&grant).await;
        let step = Redemption { grant_expires_at: at(end), ..redemption(&grant, redeemed) };
        grant.redeem(&step);
        check.answered(check.store.redeem(grant.key, step).await);
        if let Some(now) = rotated {
            let step = rotation(&grant, now);
            grant.rotate(&step);
            check.answered(check.store.rotate(grant.key, step).await);
        }
        if let Some(now) = revoked {
            let step = revocation(&grant, now);
            grant.revoke(&step);
            check.answered(check.store.revoke(grant.key, step).await);
        }
        grants.push(grant);
    }

    let (over, living): (Vec<_>, Vec<_>) =
        grants.into_iter().partition(|grant| grant.is_over(at(NOW), super::seconds(IDLE)));
    let swept = check.sweep(&names.issuer, NOW).await;
    check.holds(swept == over.len(), format_args!("{} grants are over, {swept} are forgotten", over.len()));
    for grant in &over {
        check.finds_none(grant.key, "find what is over").await;
        let verdict = check.answered(check.store.redeem(grant.key, redemption(grant, 1)).await);
        check.holds(verdict.outcome == Outcome::Refused(Refused::Unknown), "what is forgotten is known to redeem");
    }
    for grant in &living {
        check.finds(grant, "find what lives").await;
    }
    for holder in names.holders() {
        let keys = check.keys(&names.issuer, &holder).await;
        let wanted = sorted(living.iter().filter(|grant| holder.holds(grant)).map(|grant| grant.key));
        check.holds(keys == wanted, format_args!("{holder:?} has {} grants, {} are found", wanted.len(), keys.len()));
    }
    let again = check.sweep(&names.issuer, NOW).await;
    check.holds(again == 0, format_args!("a second sweep forgets {again} grants"));
}
