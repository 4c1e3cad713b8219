//! Each row of the rules with its boundaries; then random steps beside a second writing of the rules.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const ISSUER: &str = "https://a.example";
const CLIENT: &str = "app";
const REDIRECT: &str = "https://app.example/cb";
const CHALLENGE: [u8; 32] = [7; 32];
const SECRET: [u8; 16] = [1; 16];
const OTHER_SECRET: [u8; 16] = [2; 16];

/// When the code ends, counted from the approval.
const CODE: i64 = 60;
/// When the client redeems.
const REDEEMED: i64 = 20;
/// When the grant ends.
const END: i64 = 5_000;
const DOUBLE_SUBMIT: i64 = 5;
const GRACE: i64 = 10;
const IDLE: i64 = 1_000;

/// Seconds from the approval.
fn at(seconds: i64) -> UnixTime {
    UnixTime::from_secs(1_800_000_000_u64.saturating_add_signed(seconds))
}

fn span(seconds: i64) -> Duration {
    Duration::from_secs(seconds.unsigned_abs())
}

/// Approved, with PKCE and a redirect URI that was sent.
fn pending() -> Grant {
    Grant {
        key: GrantKey::from_bytes([9; 16]),
        issuer: ISSUER.into(),
        client: CLIENT.into(),
        subject: Some("alice".into()),
        scope: "profile notes:read".parse().unwrap(),
        resources: Arc::from(["https://api.example".parse().unwrap()]),
        claims: Some(Arc::new(Claims { auth_time: Some(at(-30)), values: Map::from_iter([("n".into(), 1.into())]) })),
        redirect_uri: Some(REDIRECT.into()),
        redirect_uri_sent: true,
        challenge: Some(CodeChallenge::from_bytes(CHALLENGE)),
        created_at: at(0),
        expires_at: at(CODE),
        redeemed: None,
        revoked: None,
    }
}

fn without_pkce() -> Grant {
    Grant { challenge: None, ..pending() }
}

/// Redeemed at [`REDEEMED`], and rotated so often at `rotated`.
fn rotated(generation: u32, rotated: i64) -> Grant {
    let redeemed = Redeemed { at: at(REDEEMED), rotated_at: at(rotated), secret: SECRET, generation };
    Grant { redeemed: Some(redeemed), expires_at: at(END), ..pending() }
}

fn redeemed() -> Grant {
    rotated(0, REDEEMED)
}

/// Revoked as a whole.
fn ended(grant: &Grant, now: i64, reason: RevocationReason) -> Grant {
    let mut revoked = grant.revoked.clone().unwrap_or_default();
    revoked.grant = Some((at(now), reason));
    Grant { revoked: Some(revoked), ..grant.clone() }
}

fn revoked(grant: &Grant) -> Grant {
    ended(grant, REDEEMED, RevocationReason::User)
}

/// The right code request.
fn redemption(now: i64) -> Redemption {
    Redemption {
        issuer: ISSUER.into(),
        client: CLIENT.into(),
        redirect_uri: Some(REDIRECT.into()),
        challenge: Some(CHALLENGE),
        secret: SECRET,
        grant_expires_at: at(END),
        double_submit: span(DOUBLE_SUBMIT),
        now: at(now),
    }
}

/// The same by somebody who redeems once more, so with a fresh salt.
fn another_redemption(now: i64) -> Redemption {
    Redemption { secret: OTHER_SECRET, grant_expires_at: at(END + now), ..redemption(now) }
}

fn rotation(generation: u32, now: i64) -> Rotation {
    Rotation {
        issuer: ISSUER.into(),
        client: CLIENT.into(),
        secret: SECRET,
        generation,
        grace: span(GRACE),
        idle: span(IDLE),
        now: at(now),
        next: None,
    }
}

/// The client gives the whole grant back.
fn revocation(now: i64) -> Revocation {
    Revocation {
        issuer: ISSUER.into(),
        client: Some(CLIENT.into()),
        secret: Some(SECRET),
        token: None,
        reason: RevocationReason::Client,
        now: at(now),
    }
}

/// The client gives one access token back.
fn token_revocation(token: u8, end: i64, now: i64) -> Revocation {
    Revocation { token: Some((token_id(token), at(end))), secret: None, ..revocation(now) }
}

const fn token_id(token: u8) -> TokenId {
    [token; 8]
}

/// The outcome, and the record after it.
fn after<S>(grant: &Grant, run: fn(&mut Grant, &S) -> Outcome, step: &S) -> (Outcome, Grant) {
    let mut next = grant.clone();
    (run(&mut next, step), next)
}

/// The step has this outcome and leaves the whole record as it was.
#[track_caller]
fn unchanged<S: fmt::Debug>(grant: &Grant, run: fn(&mut Grant, &S) -> Outcome, step: &S, outcome: Outcome) {
    let (found, next) = after(grant, run, step);
    assert_eq!(found, outcome, "{step:?}");
    assert!(next == *grant, "{step:?} changed the record");
}

#[track_caller]
fn refused<S: fmt::Debug>(grant: &Grant, run: fn(&mut Grant, &S) -> Outcome, step: &S, why: Refused) {
    unchanged(grant, run, step, Outcome::Refused(why));
}

/// The step refuses and ends the grant, and changes nothing else.
#[track_caller]
fn replayed<S: fmt::Debug>(
    grant: &Grant,
    run: fn(&mut Grant, &S) -> Outcome,
    step: &S,
    reason: RevocationReason,
    now: i64,
) {
    let (found, next) = after(grant, run, step);
    assert_eq!(found, Outcome::Replayed, "{step:?}");
    assert!(next == ended(grant, now, reason), "{step:?}");
}

// ---- the code -------------------------------------------------------------------------------------------------------

/// RFC 6749 §4.1.3
#[test]
fn a_grant_is_pending_until_its_code_is_redeemed_and_one_without_a_code_never_is() {
    assert!(pending().is_pending() && !redeemed().is_pending());
    assert!(!Grant { redirect_uri: None, ..pending() }.is_pending());
}

#[test]
fn a_code_is_redeemed_and_the_record_says_when_and_until_when() {
    for mut grant in [pending(), without_pkce()] {
        let challenge = grant.challenge.map(|challenge| *challenge.as_bytes());
        let step = Redemption { challenge, grant_expires_at: at(77), ..redemption(REDEEMED) };
        let before = grant.clone();
        assert_eq!(grant.redeem(&step), Outcome::Redeemed);
        let redeemed = Redeemed { at: at(REDEEMED), rotated_at: at(REDEEMED), secret: SECRET, generation: 0 };
        assert!(grant == Grant { redeemed: Some(redeemed), expires_at: at(77), ..before });
    }
}

#[test]
fn the_same_salt_again_is_the_stores_own_retry_whenever_it_comes() {
    for now in [REDEEMED, REDEEMED - 15, REDEEMED + DOUBLE_SUBMIT, CODE, END - 1] {
        unchanged(&redeemed(), Grant::redeem, &redemption(now), Outcome::Redeemed);
    }
    // Even after the client went on, and with an end that the retry counts anew.
    unchanged(&rotated(3, 90), Grant::redeem, &redemption(100), Outcome::Redeemed);
    let later = Redemption { grant_expires_at: at(END + 9), ..redemption(REDEEMED) };
    unchanged(&redeemed(), Grant::redeem, &later, Outcome::Redeemed);
    refused(&redeemed(), Grant::redeem, &redemption(END), Refused::Expired);
    refused(&revoked(&redeemed()), Grant::redeem, &redemption(REDEEMED), Refused::Revoked);
}

/// OAuth 2.1 §4.1.3: apps in a browser submit twice.
#[test]
fn with_pkce_a_second_redemption_within_5_seconds_is_refused_only() {
    for now in [REDEEMED, REDEEMED + 1, REDEEMED + DOUBLE_SUBMIT - 1] {
        unchanged(&redeemed(), Grant::redeem, &another_redemption(now), Outcome::Repeated);
    }
    for now in [REDEEMED + DOUBLE_SUBMIT, REDEEMED + DOUBLE_SUBMIT + 1, END - 1] {
        replayed(&redeemed(), Grant::redeem, &another_redemption(now), RevocationReason::CodeReuse, now);
    }
    // It is counted from the redemption and not from the last refresh.
    let now = REDEEMED + DOUBLE_SUBMIT;
    replayed(&rotated(1, now), Grant::redeem, &another_redemption(now), RevocationReason::CodeReuse, now);
}

#[test]
fn a_clock_that_stepped_back_counts_as_within_the_5_seconds() {
    for now in [REDEEMED - 1, -10_000] {
        unchanged(&redeemed(), Grant::redeem, &another_redemption(now), Outcome::Repeated);
    }
}

#[test]
fn with_a_double_submit_time_of_zero_every_second_redemption_ends_the_grant() {
    let step = Redemption { double_submit: Duration::ZERO, ..another_redemption(REDEEMED) };
    replayed(&redeemed(), Grant::redeem, &step, RevocationReason::CodeReuse, REDEEMED);
    unchanged(
        &redeemed(),
        Grant::redeem,
        &Redemption { secret: SECRET, ..step },
        Outcome::Redeemed, // the retry needs no time
    );
}

/// RFC 6749 §4.1.2, §10.5
#[test]
fn without_pkce_a_second_redemption_ends_the_grant_at_once() {
    let grant = Grant { challenge: None, ..redeemed() };
    for now in [REDEEMED, REDEEMED - 1, REDEEMED + 100] {
        let step = Redemption { challenge: None, ..another_redemption(now) };
        replayed(&grant, Grant::redeem, &step, RevocationReason::CodeReuse, now);
    }
}

/// RFC 7519 §4.1.4 has it so for `exp`: on or after the end is over.
#[test]
fn a_code_ends_at_its_second() {
    for now in [-100, 0, CODE - 1] {
        assert_eq!(after(&pending(), Grant::redeem, &redemption(now)).0, Outcome::Redeemed);
    }
    for now in [CODE, CODE + 1] {
        refused(&pending(), Grant::redeem, &redemption(now), Refused::Expired);
    }
}

#[test]
fn redeemed_is_looked_at_before_the_codes_end_so_that_a_late_owner_still_exposes_a_thief() {
    for now in [CODE, CODE + 1, END - 1] {
        replayed(&redeemed(), Grant::redeem, &another_redemption(now), RevocationReason::CodeReuse, now);
    }
    refused(&redeemed(), Grant::redeem, &another_redemption(END), Refused::Expired);
}

#[test]
fn a_revoked_grant_redeems_nothing_and_keeps_its_reason() {
    for grant in [revoked(&pending()), revoked(&redeemed())] {
        for now in [REDEEMED, CODE, END] {
            refused(&grant, Grant::redeem, &redemption(now), Refused::Revoked);
            refused(&grant, Grant::redeem, &another_redemption(now), Refused::Revoked);
        }
    }
}

/// RFC 6749 §4.1.3, RFC 7636 §4.6: whoever stole a code can do nothing to its grant.
#[test]
fn a_code_request_of_another_issuer_client_redirect_uri_or_verifier_changes_nothing() {
    let right = redemption(REDEEMED);
    let wrong = [
        Redemption { issuer: "https://b.example".into(), ..right.clone() },
        Redemption { client: "other".into(), ..right.clone() },
        Redemption { redirect_uri: Some("https://app.example/cb2".into()), ..right.clone() },
        Redemption { redirect_uri: Some(String::new()), ..right.clone() },
        Redemption { challenge: Some([8; 32]), ..right.clone() },
        Redemption { challenge: None, ..right },
    ];
    // Whatever became of the grant: nothing else is told about it.
    for grant in [pending(), redeemed(), revoked(&pending()), revoked(&redeemed())] {
        for step in &wrong {
            for now in [at(REDEEMED), at(CODE), at(END)] {
                for secret in [SECRET, OTHER_SECRET] {
                    let step = Redemption { now, secret, ..step.clone() };
                    refused(&grant, Grant::redeem, &step, Refused::Mismatch);
                }
            }
        }
    }
}

/// RFC 9700 §2.1.1, §4.8.2
#[test]
fn a_verifier_for_a_code_without_a_challenge_is_a_downgrade_and_refused() {
    refused(&without_pkce(), Grant::redeem, &redemption(REDEEMED), Refused::Mismatch);
}

/// RFC 6749 §4.1.3; OAuth 2.1 §10.2
#[test]
fn the_redirect_uri_may_be_left_out_where_it_was_before_or_where_pkce_stands_for_it() {
    let other = "https://app.example/other";
    for (sent, pkce, presented, good) in [
        (true, true, Some(REDIRECT), true),
        (true, true, None, true),
        (true, true, Some(other), false),
        (true, false, Some(REDIRECT), true),
        (true, false, None, false),
        (true, false, Some(other), false),
        (false, true, Some(REDIRECT), true),
        (false, true, None, true),
        (false, true, Some(other), false),
        (false, false, Some(REDIRECT), true),
        (false, false, None, true),
        (false, false, Some(other), false),
    ] {
        let challenge = pkce.then_some(CHALLENGE);
        let grant = Grant { redirect_uri_sent: sent, challenge: challenge.map(CodeChallenge::from_bytes), ..pending() };
        let step = Redemption { redirect_uri: presented.map(str::to_owned), challenge, ..redemption(REDEEMED) };
        let wanted = if good { Outcome::Redeemed } else { Outcome::Refused(Refused::Mismatch) };
        assert_eq!(after(&grant, Grant::redeem, &step).0, wanted, "{sent} {pkce} {presented:?}");
    }
    let grant = Grant { redirect_uri: None, redirect_uri_sent: false, ..pending() };
    refused(&grant, Grant::redeem, &redemption(REDEEMED), Refused::Mismatch);
}

// ---- the refresh token ----------------------------------------------------------------------------------------------

/// RFC 9700 §4.14.2
#[test]
fn the_current_refresh_token_is_rotated_and_extends_nothing() {
    for generation in [0, 1, 41] {
        let before = rotated(generation, REDEEMED + 3);
        let (outcome, next) = after(&before, Grant::rotate, &rotation(generation, 500));
        assert_eq!(outcome, Outcome::Rotated);
        let redeemed =
            before.redeemed.map(|redeemed| Redeemed { generation: generation + 1, rotated_at: at(500), ..redeemed });
        assert!(next == Grant { redeemed, ..before }, "generation and time alone");
    }
}

#[test]
fn the_predecessor_within_the_grace_gets_the_same_successor_and_one_second_later_ends_the_grant() {
    let grant = rotated(3, 100);
    for now in [100, 101, 100 + GRACE - 1, 100 + GRACE] {
        unchanged(&grant, Grant::rotate, &rotation(2, now), Outcome::Retried);
    }
    for now in [100 + GRACE + 1, 100 + IDLE - 1] {
        replayed(&grant, Grant::rotate, &rotation(2, now), RevocationReason::RefreshReuse, now);
    }
}

#[test]
fn a_clock_that_stepped_back_counts_as_within_the_grace() {
    for now in [99, REDEEMED, -10_000] {
        unchanged(&rotated(3, 100), Grant::rotate, &rotation(2, now), Outcome::Retried);
    }
    let (outcome, next) = after(&rotated(3, 100), Grant::rotate, &rotation(3, 40));
    assert_eq!((outcome, next.last_used_at()), (Outcome::Rotated, Some(at(40))));
}

#[test]
fn with_a_grace_of_zero_the_stores_own_retry_still_gets_its_answer() {
    let step = |now| Rotation { grace: Duration::ZERO, ..rotation(2, now) };
    unchanged(&rotated(3, 100), Grant::rotate, &step(100), Outcome::Retried);
    replayed(&rotated(3, 100), Grant::rotate, &step(101), RevocationReason::RefreshReuse, 101);
}

#[test]
fn a_token_older_than_the_predecessor_ends_the_grant_even_within_the_grace() {
    for generation in [0, 1] {
        for now in [99, 100, 101, 100 + GRACE, 100 + GRACE + 1] {
            let step = rotation(generation, now);
            replayed(&rotated(3, 100), Grant::rotate, &step, RevocationReason::RefreshReuse, now);
        }
    }
}

#[test]
fn a_token_one_ahead_of_the_record_shows_a_lost_write_and_is_rotated_from_there() {
    for generation in [0, 7] {
        let before = rotated(generation, 100);
        let (outcome, next) = after(&before, Grant::rotate, &rotation(generation + 1, 200));
        assert_eq!(outcome, Outcome::Ahead);
        assert!(next == rotated(generation + 2, 200));
        unchanged(&next, Grant::rotate, &rotation(generation + 1, 200), Outcome::Retried);
    }
}

#[test]
fn a_token_further_ahead_is_refused_without_a_change() {
    for (current, presented) in [(0, 2), (0, 3), (7, 9), (7, u32::MAX)] {
        refused(&rotated(current, 100), Grant::rotate, &rotation(presented, 101), Refused::TooFar);
    }
}

#[test]
fn the_first_generation_has_no_predecessor() {
    let grant = redeemed();
    let wanted = [Outcome::Rotated, Outcome::Ahead, Outcome::Refused(Refused::TooFar)];
    for (generation, wanted) in (0..).zip(wanted) {
        assert_eq!(after(&grant, Grant::rotate, &rotation(generation, REDEEMED)).0, wanted);
    }
    assert_eq!(after(&rotated(1, 100), Grant::rotate, &rotation(0, 100 + GRACE)).0, Outcome::Retried);
}

#[test]
fn a_refresh_token_lives_so_long_without_being_used_and_no_longer() {
    let grant = rotated(3, 100);
    assert_eq!(after(&grant, Grant::rotate, &rotation(3, 100 + IDLE - 1)).0, Outcome::Rotated);
    for generation in 0..6 {
        for now in [100 + IDLE, 100 + IDLE + 1] {
            refused(&grant, Grant::rotate, &rotation(generation, now), Refused::Expired);
        }
    }
    // A use starts it anew.
    let (_, used) = after(&grant, Grant::rotate, &rotation(3, 100 + IDLE - 1));
    assert_eq!(after(&used, Grant::rotate, &rotation(4, 100 + IDLE)).0, Outcome::Rotated);
}

#[test]
fn a_refresh_token_ends_with_its_grant_at_its_second() {
    let grant = rotated(3, END - 10);
    for (generation, wanted) in [(3, Outcome::Rotated), (2, Outcome::Retried), (4, Outcome::Ahead)] {
        assert_eq!(after(&grant, Grant::rotate, &rotation(generation, END - 1)).0, wanted);
    }
    for generation in 0..6 {
        refused(&grant, Grant::rotate, &rotation(generation, END), Refused::Expired);
    }
}

#[test]
fn a_revoked_grant_rotates_nothing_and_keeps_its_reason() {
    for generation in 0..6 {
        for now in [100, 100 + IDLE, END] {
            refused(&revoked(&rotated(3, 100)), Grant::rotate, &rotation(generation, now), Refused::Revoked);
        }
    }
}

/// RFC 6749 §10.4
#[test]
fn a_refresh_token_of_another_issuer_client_or_salt_changes_nothing() {
    let unknown = rotated(3, 100);
    for grant in [unknown.clone(), revoked(&unknown)] {
        for generation in 0..6 {
            for now in [100, 100 + GRACE + 1, 100 + IDLE, END] {
                let right = rotation(generation, now);
                for step in [
                    Rotation { issuer: "https://b.example".into(), ..right.clone() },
                    Rotation { client: "other".into(), ..right.clone() },
                    Rotation { secret: OTHER_SECRET, ..right },
                ] {
                    refused(&grant, Grant::rotate, &step, Refused::Mismatch);
                }
            }
        }
    }
}

#[test]
fn before_the_redemption_there_is_no_refresh_token() {
    for grant in [pending(), revoked(&pending())] {
        for secret in [SECRET, [0; 16]] {
            refused(&grant, Grant::rotate, &Rotation { secret, ..rotation(0, 1) }, Refused::Mismatch);
        }
    }
}

// ---- revocation -----------------------------------------------------------------------------------------------------

/// RFC 7009 §2.1: a refresh token of any generation ends the grant.
#[test]
fn a_grant_is_revoked_once_and_its_record_says_when_and_why() {
    let reasons = [
        RevocationReason::CodeReuse,
        RevocationReason::RefreshReuse,
        RevocationReason::Client,
        RevocationReason::User,
        RevocationReason::Limit,
        RevocationReason::Provider,
    ];
    for reason in reasons {
        // Expired ones too: that changes nothing for anybody, and the answer tells nothing.
        for (grant, now) in [(redeemed(), 30), (rotated(9, 100), 101), (rotated(9, 100), END + 1)] {
            let step = Revocation { reason, ..revocation(now) };
            let (outcome, next) = after(&grant, Grant::revoke, &step);
            assert_eq!(outcome, Outcome::Revoked);
            assert!(next == ended(&grant, now, reason));
            assert_eq!(next.revoked(), Some((at(now), reason)));
            refused(&next, Grant::revoke, &step, Refused::Revoked);
            let later = Revocation { reason: RevocationReason::Client, ..revocation(now + 1) };
            refused(&next, Grant::revoke, &later, Refused::Revoked);
            refused(&next, Grant::revoke, &token_revocation(1, END, now + 1), Refused::Revoked);
        }
    }
}

/// RFC 7009 §2.1: only the client to which it was issued.
#[test]
fn a_revocation_by_another_issuer_client_or_salt_changes_nothing() {
    for right in [revocation(30), Revocation { secret: Some(SECRET), ..token_revocation(1, END, 30) }] {
        for step in [
            Revocation { issuer: "https://b.example".into(), ..right.clone() },
            Revocation { client: Some("other".into()), ..right.clone() },
            Revocation { secret: Some(OTHER_SECRET), ..right.clone() },
            Revocation { issuer: "https://b.example".into(), client: None, secret: None, ..right.clone() },
        ] {
            for grant in [redeemed(), revoked(&redeemed())] {
                refused(&grant, Grant::revoke, &step, Refused::Mismatch);
            }
        }
        // A salt is known only after the redemption.
        refused(&pending(), Grant::revoke, &right, Refused::Mismatch);
        assert_eq!(after(&redeemed(), Grant::revoke, &right).0, Outcome::Revoked);
    }
}

#[test]
fn the_provider_revokes_without_naming_client_or_salt() {
    for grant in [pending(), redeemed()] {
        let step = Revocation { client: None, secret: None, ..revocation(30) };
        assert_eq!(after(&grant, Grant::revoke, &step).0, Outcome::Revoked);
    }
}

/// Whether an access token of this id and issue time is good.
fn admits(grant: &Grant, token: u8, issued_at: i64, now: i64) -> bool {
    grant.admits(token_id(token), at(issued_at), at(now))
}

#[test]
fn an_access_token_is_good_while_its_grant_is_alive() {
    for (grant, now, good) in [
        (redeemed(), REDEEMED, true),
        (redeemed(), END - 1, true),
        (redeemed(), END, false),
        (revoked(&redeemed()), REDEEMED, false),
        (revoked(&redeemed()), REDEEMED - 1, false),
    ] {
        assert_eq!(admits(&grant, 1, REDEEMED, now), good, "{now}");
        assert_eq!(grant.is_alive(at(now)), good, "{now}");
    }
}

#[test]
fn one_access_token_is_revoked_and_the_others_live() {
    let mut grant = redeemed();
    for token in [1, 2] {
        assert_eq!(grant.revoke(&token_revocation(token, 700, 30)), Outcome::Revoked);
    }
    for (token, good) in [(1, false), (2, false), (3, true)] {
        assert_eq!(admits(&grant, token, REDEEMED, 40), good, "{token}");
    }
    assert_eq!(grant.revoked(), None);
    assert_eq!(grant.rotate(&rotation(0, 40)), Outcome::Rotated, "the grant itself lives");
    assert!(!admits(&grant, 1, REDEEMED, 41), "a rotation brings no token back");
}

fn remembered(grant: &Grant) -> usize {
    grant.revoked.as_ref().map_or(0, |revoked| revoked.tokens.len())
}

#[test]
fn the_id_of_an_access_token_is_remembered_until_its_end() {
    let mut grant = redeemed();
    for (token, end) in [(1, 100), (2, 101), (3, 102)] {
        grant.revoke(&token_revocation(token, end, 30));
    }
    grant.revoke(&token_revocation(4, 700, 100));
    assert_eq!(remembered(&grant), 3, "the end itself is over");
    assert!(!admits(&grant, 2, 30, 100) && !admits(&grant, 3, 30, 100) && !admits(&grant, 4, 30, 100));
    grant.revoke(&token_revocation(5, 700, 200));
    assert_eq!(remembered(&grant), 2);
}

#[test]
fn an_access_token_that_is_revoked_twice_counts_once() {
    let mut grant = redeemed();
    for now in 30..90 {
        assert_eq!(grant.revoke(&token_revocation(1, 700, now)), Outcome::Revoked);
    }
    assert_eq!(remembered(&grant), 1);
    assert!(admits(&grant, 2, 30, 90));
}

#[test]
fn thirty_two_are_remembered_and_one_more_ends_all_that_were_issued_so_far() {
    let mut grant = redeemed();
    for token in 0..32 {
        grant.revoke(&token_revocation(token, 700, 50));
    }
    assert_eq!(remembered(&grant), 32);
    assert!(admits(&grant, 99, 30, 50), "so far the others live");
    assert_eq!(grant.revoke(&token_revocation(32, 700, 60)), Outcome::Revoked);
    for token in [0, 31, 32, 99] {
        assert!(!admits(&grant, token, 59, 61) && !admits(&grant, token, 60, 61), "{token}");
    }
    assert!(admits(&grant, 99, 61, 61), "what is issued later lives");
    assert_eq!(grant.revoked(), None);
    // And those that are issued later are remembered one by one again.
    grant.revoke(&token_revocation(40, 800, 70));
    assert!(!admits(&grant, 40, 61, 71) && admits(&grant, 41, 61, 71) && !admits(&grant, 0, 59, 71));
    assert!(remembered(&grant) <= 32);
}

#[test]
fn ids_beyond_their_end_make_room_before_all_are_ended() {
    let mut grant = redeemed();
    for token in 0..32 {
        grant.revoke(&token_revocation(token, if token == 0 { 60 } else { 700 }, 50));
    }
    grant.revoke(&token_revocation(32, 700, 60));
    assert_eq!(remembered(&grant), 32);
    assert!(admits(&grant, 99, 30, 60));
}

/// Neither a clock that stepped back nor another server's that goes ahead brings a revoked token back.
#[test]
fn the_token_that_is_one_too_many_is_dead_whenever_it_was_issued() {
    let mut grant = redeemed();
    for token in 0..32 {
        grant.revoke(&token_revocation(token, 700, 50));
    }
    grant.revoke(&token_revocation(32, 700, 50));
    assert!(!admits(&grant, 32, 52, 52));
}

#[test]
fn what_was_ended_stays_ended_when_the_clock_steps_back() {
    let mut grant = redeemed();
    for token in 0..33 {
        grant.revoke(&token_revocation(token, 700, 60));
    }
    assert!(!admits(&grant, 99, 60, 60));
    for token in 100..140 {
        grant.revoke(&token_revocation(token, 700, 40));
    }
    assert!(!admits(&grant, 99, 60, 60));
}

// ---- what is told of a revocation ------------------------------------------------------------------------------------

fn told(before: &Grant, after: &Grant) -> Vec<(Tokens, UnixTime)> {
    let told = after.newly_revoked(before).inspect(|told| assert_eq!(told.grant, before.key));
    told.map(|told| (told.tokens, told.until)).collect()
}

/// An access token lives for a day at most, and is taken for a minute more by a clock that may be a minute behind.
#[test]
fn a_grant_that_ends_is_told_for_as_long_as_a_token_of_it_can_be_presented() {
    for reason in RevocationReason::ALL {
        let all = [(Tokens::All, at(30 + 86_400 + 120))];
        assert_eq!(told(&redeemed(), &ended(&redeemed(), 30, reason)), all, "{reason:?}");
    }
    let mut one = redeemed();
    one.revoke(&token_revocation(1, 700, 40));
    assert_eq!(told(&one, &ended(&one, 50, RevocationReason::User)), [(Tokens::All, at(50 + 86_520))]);
}

#[test]
fn a_token_that_ends_is_told_until_it_is_over_and_with_one_too_many_all_that_were_issued() {
    let mut grant = redeemed();
    for token in 0..33 {
        let before = grant.clone();
        grant.revoke(&token_revocation(token, 700, 40));
        let one = (Tokens::One(token_id(token)), at(700 + 120));
        let those_before = (Tokens::IssuedUntil(at(40)), at(40 + 86_520));
        assert_eq!(told(&before, &grant), if token < 32 { vec![one] } else { vec![one, those_before] });
    }
}

#[test]
fn of_what_revokes_nothing_nothing_is_told() {
    let revoked = revoked(&redeemed());
    for (before, after) in [(pending(), redeemed()), (redeemed(), rotated(1, 30)), (revoked.clone(), revoked)] {
        assert_eq!(told(&before, &after), []);
    }
}

// ---- what is over, and what is shown --------------------------------------------------------------------------------

#[test]
fn a_grant_is_over_when_it_is_revoked_at_its_end_or_unused_for_long() {
    for (grant, now, over) in [
        (pending(), CODE - 1, false),
        (pending(), CODE, true),
        (Grant { expires_at: at(END), ..pending() }, IDLE + 1, false), // never redeemed, so never idle
        (rotated(3, 100), 100 + IDLE - 1, false),
        (rotated(3, 100), 100 + IDLE, true),
        (rotated(3, 100), -10_000, false),
        (rotated(3, END - 10), END - 1, false),
        (rotated(3, END - 10), END, true),
        (revoked(&redeemed()), REDEEMED, true),
        (revoked(&pending()), 0, true),
    ] {
        assert_eq!(grant.is_over(at(now), span(IDLE)), over, "{grant:?} {now}");
    }
}

#[test]
fn tokens_are_issued_for_four_outcomes() {
    for (outcome, accepted) in [
        (Outcome::Redeemed, true),
        (Outcome::Rotated, true),
        (Outcome::Ahead, true),
        (Outcome::Retried, true),
        (Outcome::Repeated, false),
        (Outcome::Replayed, false),
        (Outcome::Revoked, false),
        (Outcome::Refused(Refused::Unknown), false),
        (Outcome::Refused(Refused::Mismatch), false),
        (Outcome::Refused(Refused::Revoked), false),
        (Outcome::Refused(Refused::Expired), false),
        (Outcome::Refused(Refused::TooFar), false),
    ] {
        assert_eq!(outcome.is_accepted(), accepted, "{outcome:?}");
    }
}

#[test]
fn a_grant_says_what_it_knows() {
    let grant = rotated(3, 100);
    assert_eq!(*grant.key().as_bytes(), [9; 16]);
    assert_eq!((grant.issuer().as_str(), grant.client_id().as_str()), (ISSUER, CLIENT));
    assert_eq!(grant.subject().map(Subject::as_str), Some("alice"));
    assert_eq!(grant.scope().to_string(), "profile notes:read");
    assert_eq!(grant.resources().iter().map(Resource::as_str).collect::<Vec<_>>(), ["https://api.example"]);
    assert_eq!(grant.claims().and_then(|claims| claims.get("n")), Some(&1.into()));
    assert_eq!(grant.auth_time(), Some(at(-30)));
    assert_eq!((grant.created_at(), grant.expires_at()), (at(0), at(END)));
    assert_eq!((grant.redeemed_at(), grant.last_used_at()), (Some(at(REDEEMED)), Some(at(100))));
    assert_eq!((grant.generation(), grant.revoked()), (3, None));

    let own = Grant { subject: None, claims: None, ..pending() };
    assert_eq!((own.subject(), own.claims(), own.auth_time()), (None, None, None));
    assert_eq!((own.redeemed_at(), own.last_used_at(), own.generation()), (None, None, 0));
}

#[test]
fn debug_shows_neither_salt_nor_challenge_nor_claims() {
    let grant = redeemed();
    let shown = format!("{grant:?}");
    assert_eq!(
        shown,
        format!(
            "Grant {{ key: {:?}, client: \"app\", subject: Some(\"alice\"), scope: {:?}, generation: 0, \
             expires_at: {:?}, revoked: None, .. }}",
            grant.key, grant.scope, grant.expires_at
        )
    );
    let now = format!("{:?}", at(20));
    assert_eq!(format!("{:?}", redemption(20)), format!("Redemption {{ client: \"app\", now: {now}, .. }}"));
    assert_eq!(format!("{:?}", rotation(0, 20)), format!("Rotation {{ client: \"app\", now: {now}, .. }}"));
    assert_eq!(format!("{:?}", revocation(20)), format!("Revocation {{ client: Some(\"app\"), now: {now}, .. }}"));
    let verdict = Verdict::new(Outcome::Rotated, Arc::new(grant));
    assert_eq!(format!("{verdict:?}"), format!("Verdict {{ outcome: Rotated, grant: Some({shown}) }}"));
    assert_eq!(format!("{:?}", Verdict::UNKNOWN), "Verdict { outcome: Refused(Unknown), grant: None }");
}

// ---- random steps beside a second writing of the rules --------------------------------------------------------------

/// A step of whatever kind, with the moment at which it is taken.
#[derive(Clone, Debug)]
enum Step {
    Redeem(Redemption),
    Rotate(Rotation),
    Revoke(Revocation),
}

impl Step {
    fn run(&self, grant: &mut Grant) -> Outcome {
        match self {
            Self::Redeem(step) => grant.redeem(step),
            Self::Rotate(step) => grant.rotate(step),
            Self::Revoke(step) => grant.revoke(step),
        }
    }
}

/// The part of a record that changes, as plain numbers; times are seconds from the approval.
#[derive(Clone, Debug, PartialEq)]
struct Model {
    pkce: bool,
    redirect_uri: Option<&'static str>,
    redirect_uri_sent: bool,
    end: i64,
    redeemed: Option<i64>,
    rotated: i64,
    salt: [u8; 16],
    generation: i64,
    ended: Option<(i64, RevocationReason)>,
    dead: BTreeMap<TokenId, i64>,
    dead_until: Option<i64>,
}

/// A row of the rules: it holds if all before it do not.
type Row = (bool, Outcome);

fn first(rows: &[Row]) -> Outcome {
    rows.iter().find(|(holds, _)| *holds).expect("the last row always holds").1
}

fn seconds(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap() - 1_800_000_000
}

fn whole(span: Duration) -> i64 {
    i64::try_from(span.as_secs()).unwrap()
}

impl Model {
    fn of(grant: &Grant) -> Self {
        let revoked = grant.revoked.clone().unwrap_or_default();
        Self {
            pkce: grant.challenge.is_some(),
            redirect_uri: grant.redirect_uri.as_ref().map(|_| REDIRECT),
            redirect_uri_sent: grant.redirect_uri_sent,
            end: seconds(grant.expires_at),
            redeemed: grant.redeemed.map(|redeemed| seconds(redeemed.at)),
            rotated: grant.redeemed.map_or(0, |redeemed| seconds(redeemed.rotated_at)),
            salt: grant.redeemed.map_or([0; 16], |redeemed| redeemed.secret),
            generation: grant.redeemed.map_or(0, |redeemed| redeemed.generation.into()),
            ended: revoked.grant.map(|(at, reason)| (seconds(at), reason)),
            dead: revoked.tokens.into_iter().map(|(token, end)| (token, seconds(end))).collect(),
            dead_until: revoked.issued_until.map(seconds),
        }
    }

    fn run(&mut self, step: &Step) -> Outcome {
        match step {
            Step::Redeem(step) => self.redeem(step),
            Step::Rotate(step) => self.rotate(step),
            Step::Revoke(step) => self.revoke(step),
        }
    }

    fn redeem(&mut self, step: &Redemption) -> Outcome {
        let now = seconds(step.now);
        let redirect_is_wrong = match (self.redirect_uri, step.redirect_uri.as_deref()) {
            (known, Some(presented)) => known != Some(presented),
            (_, None) => self.redirect_uri_sent && !self.pkce,
        };
        let again = self.redeemed.unwrap_or_default();
        let outcome = first(&[
            (step.issuer != ISSUER, Outcome::Refused(Refused::Mismatch)),
            (step.client != CLIENT, Outcome::Refused(Refused::Mismatch)),
            (step.challenge != self.pkce.then_some(CHALLENGE), Outcome::Refused(Refused::Mismatch)),
            (redirect_is_wrong, Outcome::Refused(Refused::Mismatch)),
            (self.ended.is_some(), Outcome::Refused(Refused::Revoked)),
            (now >= self.end, Outcome::Refused(Refused::Expired)),
            (self.redeemed.is_none(), Outcome::Redeemed),
            (step.secret == self.salt, Outcome::Redeemed),
            (self.pkce && now - again < whole(step.double_submit), Outcome::Repeated),
            (true, Outcome::Replayed),
        ]);
        match outcome {
            Outcome::Redeemed if self.redeemed.is_none() => {
                self.redeemed = Some(now);
                self.rotated = now;
                self.salt = step.secret;
                self.end = seconds(step.grant_expires_at);
            }
            Outcome::Replayed => self.ended = Some((now, RevocationReason::CodeReuse)),
            _ => {}
        }
        outcome
    }

    fn rotate(&mut self, step: &Rotation) -> Outcome {
        let now = seconds(step.now);
        let unused = now - self.rotated;
        let ahead = i64::from(step.generation) - self.generation;
        let outcome = first(&[
            (step.issuer != ISSUER || step.client != CLIENT, Outcome::Refused(Refused::Mismatch)),
            (self.redeemed.is_none() || step.secret != self.salt, Outcome::Refused(Refused::Mismatch)),
            (self.ended.is_some(), Outcome::Refused(Refused::Revoked)),
            (now >= self.end || unused >= whole(step.idle), Outcome::Refused(Refused::Expired)),
            (ahead == 0, Outcome::Rotated),
            (ahead == 1, Outcome::Ahead),
            (ahead > 1, Outcome::Refused(Refused::TooFar)),
            (ahead == -1 && unused <= whole(step.grace), Outcome::Retried),
            (true, Outcome::Replayed),
        ]);
        match outcome {
            Outcome::Rotated | Outcome::Ahead => {
                self.generation += ahead + 1;
                self.rotated = now;
            }
            Outcome::Replayed => self.ended = Some((now, RevocationReason::RefreshReuse)),
            _ => {}
        }
        outcome
    }

    fn revoke(&mut self, step: &Revocation) -> Outcome {
        let now = seconds(step.now);
        let salt_is_wrong = step.secret.is_some_and(|secret| self.redeemed.is_none() || secret != self.salt);
        let outcome = first(&[
            (step.issuer != ISSUER, Outcome::Refused(Refused::Mismatch)),
            (step.client.as_ref().is_some_and(|client| *client != CLIENT), Outcome::Refused(Refused::Mismatch)),
            (salt_is_wrong, Outcome::Refused(Refused::Mismatch)),
            (self.ended.is_some(), Outcome::Refused(Refused::Revoked)),
            (true, Outcome::Revoked),
        ]);
        match (outcome, step.token) {
            (Outcome::Revoked, None) => self.ended = Some((now, step.reason)),
            (Outcome::Revoked, Some((token, end))) => {
                let mut dead: BTreeMap<_, _> = self.dead.clone().into_iter().filter(|(_, end)| now < *end).collect();
                dead.remove(&token);
                if dead.len() >= 32 {
                    dead.clear();
                    self.dead_until = Some(self.dead_until.unwrap_or(now).max(now));
                }
                dead.insert(token, seconds(end));
                self.dead = dead;
            }
            _ => {}
        }
        outcome
    }
}

/// One in `n` is the wrong one.
fn mostly<T: Clone + fmt::Debug + 'static>(n: u32, right: T, wrong: T) -> impl Strategy<Value = T> {
    prop_oneof![n - 1 => Just(right), 1 => Just(wrong)]
}

/// What is drawn for one step; what it means depends on where the record then is.
#[derive(Clone, Debug)]
enum Draw {
    Redeem {
        issuer: &'static str,
        client: &'static str,
        redirect_uri: u8,
        right_verifier: bool,
        salt: u8,
        end: i64,
    },
    Rotate {
        issuer: &'static str,
        client: &'static str,
        salt: Option<u8>,
        ahead: i64,
    },
    Revoke {
        client: Option<&'static str>,
        salt: Option<bool>,
        reason: RevocationReason,
    },
    RevokeTokens {
        first: u8,
        count: u8,
        life: i64,
    },
    Wait(i64),
    /// To so many seconds from an end: of the code or grant, of the grace, of the idle time, of the 5 seconds.
    GoTo {
        end: u8,
        seconds: i64,
    },
    Again(usize),
}

fn draw() -> impl Strategy<Value = Draw> {
    let issuer = || mostly(12, ISSUER, "https://b.example");
    let client = || mostly(12, CLIENT, "other");
    prop_oneof![
        4 => (issuer(), client(), 0..8_u8, mostly(12, true, false), 0..3_u8, 200..3_000_i64).prop_map(
            |(issuer, client, redirect_uri, right_verifier, salt, end)| Draw::Redeem {
                issuer, client, redirect_uri, right_verifier, salt, end
            }
        ),
        8 => (issuer(), client(), mostly(12, None, Some(3)), prop_oneof![
            6 => Just(0), 3 => Just(-1), 1 => Just(1), 1 => Just(2), 1 => Just(-2), 1 => -9..9_i64,
        ]).prop_map(|(issuer, client, salt, ahead)| Draw::Rotate { issuer, client, salt, ahead }),
        1 => (
            prop_oneof![Just(None), Just(Some(CLIENT)), Just(Some("other"))],
            prop_oneof![Just(None), Just(Some(true)), Just(Some(false))],
            prop_oneof![Just(RevocationReason::User), Just(RevocationReason::Client)],
        ).prop_map(|(client, salt, reason)| Draw::Revoke { client, salt, reason }),
        1 => (0..60_u8, prop_oneof![4 => 1..4_u8, 1 => 20..45_u8], 1..700_i64)
            .prop_map(|(first, count, life)| Draw::RevokeTokens { first, count, life }),
        4 => prop_oneof![Just(0), Just(1), Just(4), Just(5), Just(10), Just(11), -40..40_i64].prop_map(Draw::Wait),
        2 => (0..4_u8, -1..=1_i64).prop_map(|(end, seconds)| Draw::GoTo { end, seconds }),
        2 => (0..4_usize).prop_map(Draw::Again),
    ]
}

fn start() -> impl Strategy<Value = Grant> {
    (any::<bool>(), any::<bool>(), mostly(6, true, false)).prop_map(|(pkce, sent, has_redirect)| Grant {
        challenge: pkce.then(|| CodeChallenge::from_bytes(CHALLENGE)),
        redirect_uri: has_redirect.then(|| REDIRECT.into()),
        redirect_uri_sent: sent && has_redirect,
        ..pending()
    })
}

/// The steps that a draw stands for at this record and time; `clock` moves along.
fn steps(draw: &Draw, model: &Model, clock: &mut i64, taken: &[Step]) -> Vec<Step> {
    let now = *clock;
    match draw {
        Draw::Redeem { issuer, client, redirect_uri, right_verifier, salt, end } => {
            let redirect_uri = match redirect_uri {
                0 => Some("https://app.example/other"),
                1 => None,
                _ => model.redirect_uri,
            };
            vec![Step::Redeem(Redemption {
                issuer: (*issuer).into(),
                client: (*client).into(),
                redirect_uri: redirect_uri.map(str::to_owned),
                challenge: (model.pkce == *right_verifier).then_some(CHALLENGE),
                secret: [*salt; 16],
                grant_expires_at: at(now + end),
                ..redemption(now)
            })]
        }
        Draw::Rotate { issuer, client, salt, ahead } => {
            let generation = u32::try_from((model.generation + ahead).max(0)).unwrap();
            vec![Step::Rotate(Rotation {
                issuer: (*issuer).into(),
                client: (*client).into(),
                secret: salt.map_or(model.salt, |salt| [salt; 16]),
                ..rotation(generation, now)
            })]
        }
        Draw::Revoke { client, salt, reason } => vec![Step::Revoke(Revocation {
            client: client.map(Into::into),
            secret: salt.map(|right| if right { model.salt } else { [3; 16] }),
            reason: *reason,
            ..revocation(now)
        })],
        Draw::RevokeTokens { first, count, life } => (*first..first + count)
            .map(|token| Step::Revoke(token_revocation(token, now + life + i64::from(token % 3), now)))
            .collect(),
        Draw::Wait(span) => {
            *clock += span;
            Vec::new()
        }
        Draw::GoTo { end, seconds } => {
            *clock = seconds
                + match end {
                    0 => model.end,
                    1 => model.rotated + GRACE,
                    2 => model.rotated + IDLE,
                    _ => model.redeemed.unwrap_or_default() + DOUBLE_SUBMIT,
                };
            Vec::new()
        }
        // With the arguments of then, `now` among them, as a store retries.
        Draw::Again(back) => taken.iter().rev().nth(*back).cloned().into_iter().collect(),
    }
}

/// What must hold of any step, whatever the rules say in particular.
fn promises(before: &Grant, step: &Step, outcome: Outcome, next: &Grant) -> Result<(), TestCaseError> {
    if matches!(outcome, Outcome::Refused(_) | Outcome::Repeated | Outcome::Retried) {
        prop_assert!(next == before, "{outcome:?} changed the record");
    }
    if before.revoked().is_some() {
        prop_assert!(!outcome.is_accepted(), "a revoked grant accepted");
        prop_assert!(next == before, "a revoked grant changed");
    }
    let steps = next.generation() - before.generation();
    let wanted = match outcome {
        Outcome::Rotated => 1,
        Outcome::Ahead => 2, // the write that was lost, and this one
        _ => 0,
    };
    prop_assert_eq!(steps, wanted, "{:?}", outcome);
    prop_assert_eq!(
        next.revoked().is_some() && before.revoked().is_none(),
        match step {
            Step::Revoke(step) => outcome == Outcome::Revoked && step.token.is_none(),
            _ => outcome == Outcome::Replayed,
        }
    );
    // What was granted is never edited.
    let Grant { expires_at, redeemed, revoked, .. } = before.clone();
    let unedited = Grant { expires_at, redeemed, revoked, ..next.clone() } == *before;
    prop_assert!(unedited, "what was granted changed");

    // The same step once more, as a store does that heard no answer.
    let mut again = next.clone();
    let repeated = step.run(&mut again);
    prop_assert!(again == *next, "{outcome:?}, then {repeated:?}: the repetition changed the record");
    prop_assert_eq!(repeated.is_accepted(), outcome.is_accepted(), "{:?}, then {:?}", outcome, repeated);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_steps_in_any_order_end_as_the_rules_say(start in start(), draws in prop::collection::vec(draw(), 1..60)) {
        let mut grant = start;
        let mut model = Model::of(&grant);
        let (mut clock, mut taken) = (10, Vec::new());
        let mut redeemers = Vec::new();
        for draw in draws {
            for step in steps(&draw, &model, &mut clock, &taken) {
                let before = grant.clone();
                let outcome = step.run(&mut grant);
                let wanted = model.run(&step);
                prop_assert_eq!(outcome, wanted, "{:?} at {:?}", step, before);
                prop_assert_eq!(&Model::of(&grant), &model, "{:?} at {:?}", step, before);
                promises(&before, &step, outcome, &grant)?;
                if let (Step::Redeem(step), Outcome::Redeemed) = (&step, outcome) {
                    redeemers.push(step.secret);
                }
                for token in [0, 1, 40, 70] {
                    let dead = model.ended.is_some()
                        || clock >= model.end
                        || model.dead.contains_key(&token_id(token))
                        || model.dead_until.is_some_and(|until| clock - 3 <= until);
                    prop_assert_eq!(admits(&grant, token, clock - 3, clock), !dead);
                }
                taken.push(step);
            }
        }
        redeemers.dedup();
        prop_assert!(redeemers.len() <= 1, "a code was redeemed by two");
    }
}
