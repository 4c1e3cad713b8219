//! What holds for the list of what was revoked.

use std::collections::BTreeMap;

use super::Check;
use super::record::{DOUBLE_SUBMIT, END, GRACE, Names, at, redemption, revocation, rotation, token_revocation};
use crate::grant::{Grant, Revocation, RevokedTokens, Rotation, Tokens};
use crate::handle::GrantKey;
use crate::store::{GrantStore, Holder};
use crate::types::{Issuer, UnixTime};

/// Which tokens of which grants, and until when they are told.
pub(super) type Told = BTreeMap<(GrantKey, Tokens), UnixTime>;

/// Of what is told twice the later end holds.
pub(super) fn told(revoked: impl IntoIterator<Item = RevokedTokens>) -> Told {
    let mut told = Told::new();
    for RevokedTokens { grant, tokens, until } in revoked {
        let kept = told.entry((grant, tokens)).or_insert(until);
        *kept = until.max(*kept);
    }
    told
}

impl<S: GrantStore> Check<S> {
    /// What a store that keeps revocations has to tell at this time.
    pub(super) async fn tells(&self, issuer: &Issuer, now: i64, wanted: &Told, what: &str) {
        if !self.store.keeps_revocations() {
            return;
        }
        let check = self.and("revocations are kept");
        let found = told(check.answered(self.store.revocations(issuer, at(now)).await));
        let lacks: Vec<_> = wanted.iter().filter(|entry| !found.contains_key(entry.0)).collect();
        check.holds(lacks.is_empty(), format_args!("{what}: it does not tell {lacks:?}"));
        let more: Vec<_> = found.iter().filter(|entry| !wanted.contains_key(entry.0)).collect();
        check.holds(more.is_empty(), format_args!("{what}: it tells {more:?}"));
        check.holds(found == *wanted, format_args!("{what}: it tells {found:?} instead of {wanted:?}"));
    }

    /// That a store that keeps revocations tells at least these of a grant, whatever else was revoked meanwhile.
    pub(super) async fn told_of(&self, grant: &Grant, wanted: impl IntoIterator<Item = Tokens>) {
        if !self.store.keeps_revocations() {
            return;
        }
        let check = self.and("revocations are kept");
        let found = told(check.answered(self.store.revocations(&grant.issuer, at(0)).await));
        let lacks: Vec<_> = wanted.into_iter().filter(|tokens| !found.contains_key(&(grant.key, *tokens))).collect();
        check.holds(lacks.is_empty(), format_args!("after a race it does not tell {lacks:?}"));
    }
}

pub(super) async fn kept<S: GrantStore>(check: Check<S>) {
    if !check.store.keeps_revocations() {
        return;
    }
    by_every_way_to_end(&check).await;
    of_many(&check).await;
    one_by_one(&check).await;
    none_where_a_step_is_refused(&check).await;
    until_they_have_passed(&check).await;
}

async fn by_every_way_to_end<S: GrantStore>(check: &Check<S>) {
    let names = Names::new();
    let mut wanted = Told::new();
    check.tells(&names.issuer, 0, &wanted, "before anything was revoked").await;
    let mut ended = async |before: &Grant, after: &Grant, what: &str| {
        wanted.extend(told(after.newly_revoked(before)));
        check.holds(wanted.contains_key(&(after.key, Tokens::All)), "the rules do not end it");
        check.tells(&names.issuer, 0, &wanted, what).await;
    };

    let mut grant = check.redeemed(names.pending()).await;
    let (before, step) = (grant.clone(), revocation(&grant, 20));
    check.answered(check.store.revoke(grant.key, step.clone()).await);
    grant.revoke(&step);
    ended(&before, &grant, "after a revocation").await;

    let mut grant = check.redeemed(names.pending()).await;
    let (before, step) = (grant.clone(), redemption(&grant, 10 + DOUBLE_SUBMIT));
    check.answered(check.store.redeem(grant.key, step.clone()).await);
    grant.redeem(&step);
    ended(&before, &grant, "after a code was redeemed twice").await;

    let mut grant = check.redeemed(names.pending()).await;
    let step = rotation(&grant, 20);
    check.answered(check.store.rotate(grant.key, step.clone()).await);
    grant.rotate(&step);
    let (before, step) = (grant.clone(), Rotation { now: at(21 + GRACE), ..step });
    check.answered(check.store.rotate(grant.key, step.clone()).await);
    grant.rotate(&step);
    ended(&before, &grant, "after a retired refresh token").await;

    for holder in names.holders() {
        let mut grant = check.redeemed(names.pending()).await;
        let (before, step) = (grant.clone(), revocation(&grant, 30));
        check.revoke_all(&names.issuer, &holder, 30).await;
        grant.revoke(&step);
        ended(&before, &grant, "after revoke_all").await;
    }
    check.tells(&Names::new().issuer, 0, &Told::new(), "for another issuer").await;
}

/// More than a store would end in one batch.
const MANY: usize = 130;

async fn of_many<S: GrantStore>(check: &Check<S>) {
    let names = Names::new();
    let mut wanted = Told::new();
    for _ in 0..MANY {
        let (before, mut grant) = (names.own(), names.own());
        grant.key = before.key;
        check.create(&before).await;
        grant.revoke(&revocation(&before, 40));
        wanted.extend(told(grant.newly_revoked(&before)));
    }
    check.create(&names.with("other", "alice").own()).await;
    check.revoke_all(&names.issuer, &Holder::Client(names.client.clone()), 40).await;
    check.tells(&names.issuer, 0, &wanted, "after revoke_all of many").await;
}

/// As many tokens as are remembered, and one more, with which all end that were issued so far.
async fn one_by_one<S: GrantStore>(check: &Check<S>) {
    let names = Names::new();
    let mut grant = check.redeemed(names.pending()).await;
    let mut revoked = Vec::new();
    // No token has two ends; of what is told twice the later one holds all the same.
    let ends = (0..34).map(|token| (token, 600 + i64::from(token))).chain([(3, 603), (33, 633), (33, 500), (33, 700)]);
    for (token, end) in ends {
        let (before, step) = (grant.clone(), token_revocation(&grant, token, end, 20));
        check.answered(check.store.revoke(grant.key, step.clone()).await);
        grant.revoke(&step);
        revoked.extend(grant.newly_revoked(&before));
        check.tells(&names.issuer, 0, &told(revoked.clone()), "after one token was revoked").await;
    }
    let those_before = |revoked: &RevokedTokens| revoked.tokens == Tokens::IssuedUntil(at(20));
    check.holds(revoked.iter().any(those_before), "the rules end no more than one");
    let (before, step) = (grant.clone(), revocation(&grant, 30));
    check.answered(check.store.revoke(grant.key, step.clone()).await);
    grant.revoke(&step);
    revoked.extend(grant.newly_revoked(&before));
    check.tells(&names.issuer, 0, &told(revoked), "after the grant of revoked tokens was revoked").await;
}

async fn none_where_a_step_is_refused<S: GrantStore>(check: &Check<S>) {
    let names = Names::new();
    let grant = check.redeemed(names.pending()).await;
    let other = Revocation { client: Some("other".into()), ..revocation(&grant, 20) };
    check.answered(check.store.revoke(grant.key, other.clone()).await);
    let token = Revocation { token: Some(([7; 8], at(END))), ..other };
    check.answered(check.store.revoke(grant.key, token).await);
    check.answered(check.store.redeem(grant.key, redemption(&grant, 11)).await);
    check.answered(check.store.rotate(grant.key, Rotation { secret: [3; 16], ..rotation(&grant, 20) }).await);
    check.revoke_all(&names.issuer, &names.with("other", "bob").holders()[0], 20).await;
    check.tells(&names.issuer, 0, &Told::new(), "after steps that were refused").await;
    // What is revoked once more is told as it was at first.
    let mut wanted = Told::new();
    for now in [30, 40] {
        let mut after = grant.clone();
        after.revoke(&revocation(&grant, 30));
        check.answered(check.store.revoke(grant.key, revocation(&grant, now)).await);
        wanted.extend(told(after.newly_revoked(&grant)));
        check.tells(&names.issuer, 0, &wanted, "after a second revocation").await;
    }
}

async fn until_they_have_passed<S: GrantStore>(check: &Check<S>) {
    let names = Names::new();
    let (early, late) = (check.redeemed(names.pending()).await, check.redeemed(names.pending()).await);
    let mut wanted = Told::new();
    for (grant, now) in [(&early, 20), (&late, 30)] {
        let mut after = grant.clone();
        after.revoke(&revocation(grant, now));
        check.answered(check.store.revoke(grant.key, revocation(grant, now)).await);
        wanted.extend(told(after.newly_revoked(grant)));
    }
    let until =
        |grant: &Grant| wanted.get(&(grant.key, Tokens::All)).map_or(0, |until| until.since(at(0)).cast_signed());
    let (early_end, late_end) = (until(&early), until(&late));
    check.holds(check.sweep(&names.issuer, 31).await == 2, "sweep does not forget the grants");
    check.tells(&names.issuer, early_end - 1, &wanted, "when their grants are forgotten").await;
    let rest: Told = wanted.iter().filter(|((key, _), _)| *key == late.key).map(|(of, until)| (*of, *until)).collect();
    check.tells(&names.issuer, early_end, &rest, "when one has passed").await;
    check.sweep(&names.issuer, early_end - 1).await;
    check.tells(&names.issuer, 0, &wanted, "after a sweep that is too early").await;
    check.sweep(&Names::new().issuer, late_end).await;
    check.tells(&names.issuer, 0, &wanted, "after a sweep of another issuer").await;
    check.sweep(&names.issuer, early_end).await;
    check.tells(&names.issuer, 0, &rest, "after a sweep").await;
    check.sweep(&names.issuer, late_end).await;
    check.tells(&names.issuer, 0, &Told::new(), "after the last sweep").await;
}
