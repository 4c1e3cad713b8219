//! Staying connected: RFC 6749 §6, RFC 8707 §2.2, RFC 9700 §4.14.2.

#[path = "support/shelf.rs"]
mod shelf;
#[path = "support/site.rs"]
mod site;
mod support;

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::StatusCode;
use shelf::Op;
use site::*;
use support::{Answer, bearer, form, seconds, send, with_query, *};
use tower_oauth::{Client, Continue, Grant, GrantType, Holder, Issuance, RevocationReason};

const BAD: StatusCode = StatusCode::BAD_REQUEST;
const DAY: u64 = 24 * 60 * 60;

fn scope_of(answer: &Answer) -> String {
    answer.json()["scope"].as_str().unwrap_or_else(|| panic!("no scope in {answer:?}")).to_owned()
}

fn reason(grant: &Grant) -> Option<RevocationReason> {
    grant.revoked().map(|(_, reason)| reason)
}

// ---- rotation --------------------------------------------------------------------------------------------------------

/// OAuth 2.1 §4.3.1: every use gives a new refresh token and retires the one that was used.
#[tokio::test]
async fn every_use_gives_a_new_refresh_token() {
    let site = site();
    let mut pairs = vec![site.connect("profile").await];
    for generation in 1..=5 {
        let last = pairs.last().expect("there is one").refresh.clone();
        let answer = site.refresh(&last).await;
        assert_uncached_json(&answer);
        assert_eq!((&answer.json()["token_type"], &answer.json()["expires_in"]), (&"Bearer".into(), &600.into()));
        assert_eq!((scope_of(&answer).as_str(), site.shelf.only().generation()), ("profile", generation));
        pairs.push(Pair::of(&answer));
        site.clock.advance(seconds(60));
    }
    for (at, pair) in pairs.iter().enumerate() {
        assert!(site.is_good(&pair.access).await, "an access token lives on beside its successors");
        assert!(pairs[..at].iter().all(|earlier| earlier.refresh != pair.refresh && earlier.access != pair.access));
    }
}

/// RFC 9700 §4.14.2, where answers get lost: within the grace the predecessor gets the same successor, and nothing
/// moves.
#[tokio::test]
async fn within_the_grace_the_predecessor_gets_the_same_successor() {
    let site = site();
    let first = site.connect("profile").await;
    let second = Pair::of(&site.refresh(&first.refresh).await);
    let before = site.shelf.records();
    for later in [0, 9, 1] {
        site.clock.advance(seconds(later));
        let again = Pair::of(&site.refresh(&first.refresh).await);
        assert_eq!(again.refresh, second.refresh);
        assert!(again.access != second.access && site.is_good(&again.access).await);
    }
    assert_eq!(site.shelf.records(), before);
    Pair::of(&site.refresh(&second.refresh).await);
}

/// RFC 9700 §4.14.2: a retired token that comes back says that two hold it: the grant ends, and all of its tokens.
#[tokio::test]
async fn a_retired_token_beyond_the_grace_ends_the_grant() {
    let site = site();
    let first = site.connect("profile").await;
    let second = Pair::of(&site.refresh(&first.refresh).await);
    site.clock.advance(seconds(11));
    assert_invalid_grant(&site.refresh(&first.refresh).await);
    assert_eq!(reason(&site.shelf.only()), Some(RevocationReason::RefreshReuse));
    for access in [&first.access, &second.access] {
        assert!(!site.is_good(access).await);
    }
    assert_invalid_grant(&site.refresh(&second.refresh).await);
}

/// Two generations back is no lost answer, however soon it comes.
#[tokio::test]
async fn a_token_of_two_generations_ago_ends_the_grant_even_within_the_grace() {
    let site = site();
    let first = site.connect("profile").await;
    let second = Pair::of(&site.refresh(&first.refresh).await);
    let third = Pair::of(&site.refresh(&second.refresh).await);
    assert_invalid_grant(&site.refresh(&first.refresh).await);
    assert!(!site.is_good(&third.access).await);
    assert_invalid_grant(&site.refresh(&third.refresh).await);
}

/// RFC 9700 §4.14.2: what was used is remembered by the record, and not by a process.
#[tokio::test]
async fn a_restart_forgets_no_reuse() {
    let before = site();
    let first = before.connect("profile").await;
    let second = Pair::of(&before.refresh(&first.refresh).await);
    let Site { shelf, clock, .. } = before;
    let provider = builder(&clock).store(shelf.clone()).build().expect("a good configuration");
    let after = Site { app: app(&provider), provider, clock, shelf };
    after.clock.advance(seconds(11));
    assert!(after.is_good(&second.access).await);
    assert_invalid_grant(&after.refresh(&first.refresh).await);
    assert!(!after.is_good(&second.access).await);
    assert_invalid_grant(&after.refresh(&second.refresh).await);
}

/// The grace is configured down to nothing; what a store repeats in the same second is still the same step.
#[tokio::test]
async fn without_a_grace_the_next_second_is_too_late() {
    let site = site_with(|builder| builder.refresh_grace(seconds(0)));
    let first = site.connect("profile").await;
    let second = Pair::of(&site.refresh(&first.refresh).await);
    assert_eq!(Pair::of(&site.refresh(&first.refresh).await).refresh, second.refresh);
    site.clock.advance(seconds(1));
    assert_invalid_grant(&site.refresh(&first.refresh).await);
    assert!(!site.is_good(&second.access).await);
}

/// A store that lost its last write, as after a crash: the client has the newer token, and it is taken.
#[tokio::test]
async fn a_token_one_ahead_of_the_record_is_taken_and_the_record_follows() {
    let site = site();
    let first = site.connect("profile").await;
    let lost = site.shelf.records();
    let second = Pair::of(&site.refresh(&first.refresh).await);
    site.shelf.put_back(lost);
    site.clock.advance(seconds(30));
    let third = Pair::of(&site.refresh(&second.refresh).await);
    assert_eq!(site.shelf.only().generation(), 2);
    assert!(site.is_good(&third.access).await);
    // What is retired stays retired.
    assert_invalid_grant(&site.refresh(&first.refresh).await);
    assert!(!site.is_good(&third.access).await);
}

/// Two writes or more that were lost are a restored backup: then a thief's token may be the newer one. It is refused,
/// and nothing moves.
#[tokio::test]
async fn a_token_further_ahead_is_refused_and_changes_nothing() {
    let site = site();
    let first = site.connect("profile").await;
    let backup = site.shelf.records();
    let second = Pair::of(&site.refresh(&first.refresh).await);
    let third = Pair::of(&site.refresh(&second.refresh).await);
    site.shelf.put_back(backup.clone());
    assert_invalid_grant(&site.refresh(&third.refresh).await);
    assert_eq!(site.shelf.records(), backup);
    Pair::of(&site.refresh(&first.refresh).await);
}

// ---- its ends --------------------------------------------------------------------------------------------------------

/// RFC 9700 §4.14.2: "Refresh tokens SHOULD expire if the client has been inactive for some time".
#[tokio::test]
async fn a_refresh_token_ends_when_it_was_not_used_for_90_days() {
    for (unused, good) in [(90 * DAY - 1, true), (90 * DAY, false), (91 * DAY, false)] {
        let site = site();
        let pair = site.connect("profile").await;
        site.clock.advance(seconds(unused));
        let before = site.shelf.records();
        let answer = site.refresh(&pair.refresh).await;
        if good {
            Pair::of(&answer);
        } else {
            assert_invalid_grant(&answer);
            assert_eq!(site.shelf.records(), before);
        }
    }
}

#[tokio::test]
async fn a_refresh_token_that_is_used_has_no_other_end() {
    let site = site();
    let mut pair = site.connect("profile").await;
    for _ in 0..20 {
        site.clock.advance(seconds(89 * DAY));
        pair = Pair::of(&site.refresh(&pair.refresh).await);
    }
    assert!(site.is_good(&pair.access).await);
}

/// RFC 9700 §4.14.2: rotation does not lengthen what has a maximum age; and no access token outlives it.
#[tokio::test]
async fn a_grant_ends_at_its_maximum_age_however_often_it_is_refreshed() {
    let site = site_with(|builder| builder.refresh_token_max_age(seconds(1_000)));
    let mut pair = site.connect("profile").await;
    for _ in 0..9 {
        site.clock.advance(seconds(100));
        pair = Pair::of(&site.refresh(&pair.refresh).await);
    }
    site.clock.advance(seconds(99));
    let answer = site.refresh(&pair.refresh).await;
    assert_eq!(answer.json()["expires_in"], 1);
    let last = Pair::of(&answer);
    assert!(site.is_good(&last.access).await);
    site.clock.advance(seconds(1));
    assert!(!site.is_good(&last.access).await);
    assert_invalid_grant(&site.refresh(&last.refresh).await);
    assert_invalid_grant(&site.refresh(&pair.refresh).await);
}

/// The grace lengthens nothing: neither the time without use nor the maximum age.
#[tokio::test]
async fn the_grace_lengthens_no_life() {
    let site = site_with(|builder| builder.refresh_token_idle(seconds(700)).refresh_token_max_age(seconds(2_000)));
    let first = site.connect("profile").await;
    let second = Pair::of(&site.refresh(&first.refresh).await);
    site.clock.advance(seconds(10));
    Pair::of(&site.refresh(&first.refresh).await);
    site.clock.advance(seconds(690));
    assert_invalid_grant(&site.refresh(&second.refresh).await);

    let site = site_with(|builder| builder.refresh_token_max_age(seconds(700)));
    let first = site.connect("profile").await;
    site.clock.advance(seconds(695));
    Pair::of(&site.refresh(&first.refresh).await);
    site.clock.advance(seconds(4));
    assert_eq!(site.refresh(&first.refresh).await.json()["expires_in"], 1);
    site.clock.advance(seconds(1));
    assert_invalid_grant(&site.refresh(&first.refresh).await);
}

/// A clock that steps back ends nobody's session.
#[tokio::test]
async fn a_clock_that_steps_back_refuses_nobody() {
    let site = site();
    let first = site.connect("profile").await;
    let now = tower_oauth::Clock::now(&site.clock);
    site.clock.set(now - seconds(3_600));
    let second = Pair::of(&site.refresh(&first.refresh).await);
    assert_eq!(Pair::of(&site.refresh(&first.refresh).await).refresh, second.refresh);
    site.clock.set(now);
    Pair::of(&site.refresh(&second.refresh).await);
}

// ---- less than was granted -------------------------------------------------------------------------------------------

/// RFC 6749 §6: the scope of an access token may be narrower; that of the refresh token "MUST be identical to that of
/// the refresh token included by the client in the request".
#[tokio::test]
async fn a_narrower_scope_is_this_access_tokens_and_the_refresh_token_keeps_all() {
    let site = site();
    let granted = "profile notes:read notes:write";
    let mut pair = site.connect(granted).await;
    for (asked, given) in [
        ("profile", "profile"),
        ("notes:write notes:read", "notes:read notes:write"),
        ("notes:read notes:read", "notes:read"),
        ("profile", "profile"),
        ("", granted),
        (granted, granted),
    ] {
        let answer = site.token(&with(&refreshing(&pair.refresh), "scope", asked)).await;
        assert_eq!(scope_of(&answer), given, "{asked}");
        pair = Pair::of(&answer);
        let me = site.show(&pair.access).await.json();
        assert_eq!(me["scope"], given);
        let notes = send(&site.app, bearer("/notes", &pair.access)).await.status;
        assert_eq!(notes == StatusCode::OK, given.contains("notes"), "{asked}");
    }
    assert_eq!(scope_of(&site.refresh(&pair.refresh).await), granted);
}

/// RFC 6749 §6: the scope "MUST NOT include any scope not originally granted". A refusal consumes nothing.
#[tokio::test]
async fn a_wider_scope_is_refused_and_consumes_nothing() {
    let site = site();
    let pair = site.connect("profile").await;
    let before = site.shelf.records();
    for wider in
        ["profile notes:read", "notes:read", "admin", "unknown", "profile unknown", " ", "\"", "\u{e9}", "Profile"]
    {
        let answer = site.token(&with(&refreshing(&pair.refresh), "scope", wider)).await;
        assert_refused(&answer, BAD, "invalid_scope");
    }
    assert_eq!(site.shelf.records(), before);
    assert!(site.shelf.steps().iter().all(|op| *op != Op::Rotate));
    site.clock.advance(seconds(60));
    Pair::of(&site.refresh(&pair.refresh).await);
    assert_eq!(site.shelf.only().generation(), 1);
}

/// RFC 8707 §2.2: each access token for one of the resources; a resource that was not granted consumes nothing.
#[tokio::test]
async fn a_resource_narrows_the_access_token_and_a_wrong_one_consumes_nothing() {
    let mcp = "https://shift.example/mcp";
    let site = site_with(|builder| builder.resource(mcp).resource("https://shift.example/other"));
    let challenge = challenge(VERIFIER);
    let mut params = authorization("public", WEB, &challenge);
    params.extend([("resource", ISSUER), ("resource", mcp)]);
    let code = send(&site.app, form(&with_query("/authorize", &params), &[])).await.redirected("code").expect("a code");
    let pair = Pair::of(&site.token(&redemption(&code)).await);
    let before = site.shelf.records();
    for wrong in ["https://shift.example/other", "https://shift.example/mcp/", "https://evil.example", "x"] {
        let answer = site.token(&with(&refreshing(&pair.refresh), "resource", wrong)).await;
        assert_refused(&answer, BAD, "invalid_target");
    }
    assert_eq!(site.shelf.records(), before);
    let narrow = Pair::of(&site.token(&with(&refreshing(&pair.refresh), "resource", mcp)).await);
    assert!(!site.is_good(&narrow.access).await);
    let whole = Pair::of(&site.refresh(&narrow.refresh).await);
    assert!(site.is_good(&whole.access).await);
}

// ---- whose it is -----------------------------------------------------------------------------------------------------

/// RFC 6749 §6 and §10.4, CVE-2026-55672: a refresh token belongs to its client; in another's hands it is nothing, and
/// its owner's grant is not touched.
#[tokio::test]
async fn a_refresh_token_belongs_to_its_client() {
    let clients = ["public", "native", "confidential", "original"];
    for owner in clients {
        let site = site();
        let redirect_uri = redirect_uri_of(owner);
        let code = code_of(&site.app, owner, redirect_uri, "profile").await;
        let exchanged = with(&redemption(&code), "redirect_uri", redirect_uri);
        let first = Pair::of(&site.token_as(owner, &exchanged).await);
        let second = Pair::of(&site.token_as(owner, &refreshing(&first.refresh)).await);
        site.clock.advance(seconds(60));
        let before = site.shelf.records();
        for thief in clients.into_iter().filter(|client| *client != owner) {
            // The current one, and a retired one: that would end the grant in its owner's hands.
            for stolen in [&second.refresh, &first.refresh] {
                assert_invalid_grant(&site.token_as(thief, &refreshing(stolen)).await);
                assert_invalid_grant(&site.token_as(thief, &with(&refreshing(stolen), "scope", "profile")).await);
            }
        }
        assert_eq!(site.shelf.records(), before, "{owner}");
        Pair::of(&site.token_as(owner, &refreshing(&second.refresh)).await);
    }
}

/// Without its secret a confidential client is nobody, and nothing is consumed.
#[tokio::test]
async fn a_refresh_that_fails_to_authenticate_consumes_nothing() {
    let site = site();
    let code = code_of(&site.app, "confidential", WEB, "profile").await;
    let pair = Pair::of(&site.token_as("confidential", &redemption(&code)).await);
    let before = site.shelf.records();
    site.shelf.steps();
    let params = without(&refreshing(&pair.refresh), "client_id");
    for refused in [
        form("/token", &with(&params, "client_id", "confidential")),
        form("/token", &with(&with(&params, "client_id", "confidential"), "client_secret", SECRET)),
        basic(form("/token", &params), "confidential", "wrong"),
    ] {
        assert_refused(&send(&site.app, refused).await, StatusCode::UNAUTHORIZED, "invalid_client");
    }
    assert_eq!((site.shelf.records(), site.shelf.steps()), (before, vec![]));
    Pair::of(&site.token_as("confidential", &refreshing(&pair.refresh)).await);
}

/// One answer for whatever is wrong with a refresh token; one that was not made here never reaches the store.
#[tokio::test]
async fn every_bad_refresh_token_gets_the_same_answer_to_the_byte() {
    let site = site();
    let pair = site.connect("profile").await;
    let code = site.code("profile").await;
    site.shelf.steps();
    let mut answers = Vec::new();
    for at in 0..pair.refresh.len() {
        let mut forged = pair.refresh.clone().into_bytes();
        forged[at] = if forged[at] == b'B' { b'C' } else { b'B' };
        answers.push(site.refresh(&String::from_utf8(forged).expect("text")).await);
    }
    for other in ["x", "toa_rt_", &pair.access, &code, &pair.refresh.replacen("_rt_", "_ac_", 1)] {
        answers.push(site.refresh(other).await);
    }
    assert_eq!(site.shelf.steps(), []);
    answers.push(site.token_as("native", &refreshing(&pair.refresh)).await);
    Pair::of(&site.refresh(&pair.refresh).await);
    site.clock.advance(seconds(60));
    answers.push(site.refresh(&pair.refresh).await);
    answers.push(site.refresh(&pair.refresh).await);
    let whole = |answer: &Answer| (answer.status, answer.headers.clone(), answer.body.clone());
    for answer in &answers {
        assert_invalid_grant(answer);
        assert_eq!(whole(answer), whole(&answers[0]));
    }
}

// ---- what changed since ----------------------------------------------------------------------------------------------

/// "Apps with access to your account": what the user ends is over at once, and nothing else is.
#[tokio::test]
async fn a_grant_that_was_revoked_is_over_at_once() {
    let site = site();
    let ended = site.connect("profile").await;
    let key = site.shelf.only().key();
    let other = site.connect("profile").await;
    site.provider.revoke_grant(key).await.expect("the shelf answers");
    assert!(!site.is_good(&ended.access).await);
    let before = site.shelf.records();
    assert_invalid_grant(&site.refresh(&ended.refresh).await);
    assert_eq!(site.shelf.records(), before);
    assert!(site.is_good(&other.access).await);
    Pair::of(&site.refresh(&other.refresh).await);
}

/// A refresh that was committed before a revocation may be answered after it: its tokens are dead on arrival.
#[tokio::test]
async fn a_refresh_that_is_answered_after_a_revocation_hands_out_dead_tokens() {
    let site = site();
    let pair = site.connect("profile").await;
    let gate = site.shelf.hold(Op::Rotate);
    let (app, asked) = (site.app.clone(), form("/token", &refreshing(&pair.refresh)));
    let late = tokio::spawn(async move { send(&app, asked).await });
    gate.reached.notified().await;
    site.provider.revoke_grant(site.shelf.only().key()).await.expect("the shelf answers");
    gate.open.notify_one();
    let late = Pair::of(&late.await.expect("it ends"));
    assert!(!site.is_good(&late.access).await);
    assert_invalid_grant(&site.refresh(&late.refresh).await);
}

fn app_of(scope: &str) -> Client {
    Client::public("kept").redirect_uri(WEB).scope(scope)
}

/// The tokens of a client that the store keeps, so that its registration can change.
async fn kept(site: &Site, scope: &str) -> Pair {
    site.shelf.register(app_of(scope));
    let code = code_of(&site.app, "kept", WEB, scope).await;
    Pair::of(&site.token_as("kept", &redemption(&code)).await)
}

/// What a client lost since is not in its next access token; what it gets back is, since the grant keeps all.
#[tokio::test]
async fn a_scope_that_the_client_lost_is_not_in_its_next_token() {
    let site = site();
    let pair = kept(&site, "profile notes:read").await;
    site.shelf.register(app_of("profile"));
    let answer = site.token_as("kept", &refreshing(&pair.refresh)).await;
    assert_eq!(scope_of(&answer), "profile");
    let pair = Pair::of(&answer);
    assert_eq!(send(&site.app, bearer("/notes", &pair.access)).await.status, StatusCode::FORBIDDEN);
    site.shelf.register(app_of("profile notes:read notes:write"));
    let answer = site.token_as("kept", &refreshing(&pair.refresh)).await;
    assert_eq!(scope_of(&answer), "profile notes:read", "no more than was granted");
}

/// A client that lost every scope gets no token, and keeps its refresh token for when it gets one back.
#[tokio::test]
async fn a_client_that_lost_every_scope_is_refused_and_nothing_is_consumed() {
    let site = site();
    let pair = kept(&site, "profile").await;
    let before = site.shelf.records();
    site.shelf.register(app_of("notes:read"));
    for params in [refreshing(&pair.refresh), with(&refreshing(&pair.refresh), "scope", "profile")] {
        assert_refused(&site.token_as("kept", &params).await, BAD, "invalid_scope");
    }
    assert_eq!(site.shelf.records(), before);
    site.clock.advance(seconds(60));
    site.shelf.register(app_of("profile"));
    Pair::of(&site.token_as("kept", &refreshing(&pair.refresh)).await);
}

/// RFC 6749 §5.2: `unauthorized_client`, and nothing is consumed.
#[tokio::test]
async fn a_client_that_lost_the_grant_type_is_refused_and_nothing_is_consumed() {
    let site = site();
    let pair = kept(&site, "profile").await;
    let before = site.shelf.records();
    site.shelf.register(app_of("profile").grant_types([GrantType::AuthorizationCode]));
    let answer = site.token_as("kept", &refreshing(&pair.refresh)).await;
    assert_refused(&answer, BAD, "unauthorized_client");
    assert_eq!(site.shelf.records(), before);
    site.shelf.register(app_of("profile"));
    Pair::of(&site.token_as("kept", &refreshing(&pair.refresh)).await);
}

/// A client that was deleted is nobody; ending its grants ends what it still holds.
#[tokio::test]
async fn a_client_that_was_deleted_gets_nothing() {
    let site = site();
    let pair = kept(&site, "profile").await;
    let before = site.shelf.records();
    site.shelf.forget("kept");
    let answer = site.token_as("kept", &refreshing(&pair.refresh)).await;
    assert_refused(&answer, StatusCode::UNAUTHORIZED, "invalid_client");
    assert_eq!(site.shelf.records(), before);
    let ended = site.provider.revoke_all(&Holder::Client("kept".into())).await;
    assert_eq!(ended.expect("the shelf answers"), 1);
    assert!(!site.is_good(&pair.access).await);
    // Whoever gets the name next gets nothing with it.
    site.shelf.register(app_of("profile"));
    assert_invalid_grant(&site.token_as("kept", &refreshing(&pair.refresh)).await);
}

// ---- may it go on ----------------------------------------------------------------------------------------------------

type Saying = Arc<Mutex<Result<Continue, &'static str>>>;

/// A site whose hook says what the test says, and the grants that it was asked about.
fn asking(first: Continue) -> (Site, Saying, Arc<Mutex<Vec<Grant>>>) {
    let (saying, asked) = (Arc::new(Mutex::new(Ok(first))), Arc::new(Mutex::new(Vec::new())));
    let hook = {
        let (saying, asked): (Saying, Arc<Mutex<Vec<Grant>>>) = (Arc::clone(&saying), Arc::clone(&asked));
        move |grant: Arc<Grant>| {
            asked.lock().expect("no panic").push(Grant::clone(&grant));
            let said = saying.lock().expect("no panic").clone();
            async move { said }
        }
    };
    (site_with(|builder| builder.may_continue(hook)), saying, asked)
}

fn narrowed(scope: &str) -> Continue {
    Continue::Narrowed(scope.parse().expect("a scope"))
}

#[tokio::test]
async fn the_app_is_asked_at_every_refresh_and_only_about_tokens_that_are_good() {
    let (site, _, asked) = asking(Continue::Yes);
    let first = site.connect("profile").await;
    assert_eq!(asked.lock().expect("no panic").len(), 0, "an approval was just given");
    let second = Pair::of(&site.refresh(&first.refresh).await);
    Pair::of(&site.refresh(&first.refresh).await);
    Pair::of(&site.refresh(&second.refresh).await);
    let seen: Vec<_> = asked.lock().expect("no panic").iter().map(|grant| grant.subject().cloned()).collect();
    assert_eq!(seen, [Some("alice".into()), Some("alice".into()), Some("alice".into())]);
    // Of another client's token, of a forged one and of a retired one it hears nothing.
    assert_invalid_grant(&site.token_as("native", &refreshing(&second.refresh)).await);
    assert_invalid_grant(&site.refresh("toa_rt_nobodys").await);
    site.clock.advance(seconds(60));
    assert_invalid_grant(&site.refresh(&first.refresh).await);
    assert_eq!(asked.lock().expect("no panic").len(), 3);
    assert_eq!(reason(&site.shelf.only()), Some(RevocationReason::RefreshReuse));
}

#[tokio::test]
async fn an_app_that_says_no_ends_the_grant() {
    let (site, saying, _) = asking(Continue::Yes);
    let pair = site.connect("profile").await;
    *saying.lock().expect("no panic") = Ok(Continue::No);
    assert_invalid_grant(&site.refresh(&pair.refresh).await);
    assert_eq!((site.shelf.only().generation(), reason(&site.shelf.only())), (0, Some(RevocationReason::Provider)));
    assert!(!site.is_good(&pair.access).await);
    *saying.lock().expect("no panic") = Ok(Continue::Yes);
    assert_invalid_grant(&site.refresh(&pair.refresh).await);
}

/// `true` and `false` will do.
#[tokio::test]
async fn an_app_may_answer_yes_or_no_as_a_bool() {
    for (answer, alive) in [(true, true), (false, false)] {
        let site = site_with(|builder| builder.may_continue(move |_| async move { Ok::<_, Infallible>(answer) }));
        let pair = site.connect("profile").await;
        assert_eq!(site.refresh(&pair.refresh).await.status == StatusCode::OK, alive);
        assert_eq!(site.shelf.only().revoked().is_none(), alive);
    }
}

#[tokio::test]
async fn an_app_may_narrow_one_token_and_the_grant_keeps_all() {
    let (site, saying, _) = asking(narrowed("profile notes:write"));
    let mut pair = site.connect("profile notes:read notes:write").await;
    for (most, asked, given) in [
        ("profile notes:write", "", "profile notes:write"),
        ("profile admin", "", "profile"),
        ("profile notes:write", "notes:read notes:write", "notes:write"),
        ("profile notes:read notes:write", "", "profile notes:read notes:write"),
    ] {
        *saying.lock().expect("no panic") = Ok(narrowed(most));
        let answer = site.token(&with(&refreshing(&pair.refresh), "scope", asked)).await;
        assert_eq!(scope_of(&answer), given, "{most} {asked}");
        pair = Pair::of(&answer);
    }
    // Narrowed to nothing is no token, and no step.
    let before = site.shelf.records();
    *saying.lock().expect("no panic") = Ok(narrowed("admin"));
    assert_refused(&site.refresh(&pair.refresh).await, BAD, "invalid_scope");
    assert_eq!(site.shelf.records(), before);
}

#[tokio::test]
async fn an_app_that_cannot_say_is_503_and_consumes_nothing() {
    let (site, saying, _) = asking(Continue::Yes);
    let pair = site.connect("profile").await;
    let before = site.shelf.records();
    *saying.lock().expect("no panic") = Err("the users' database is down");
    assert_unavailable(&site.refresh(&pair.refresh).await);
    assert_eq!(site.shelf.records(), before);
    *saying.lock().expect("no panic") = Ok(Continue::Yes);
    site.clock.advance(seconds(60));
    Pair::of(&site.refresh(&pair.refresh).await);
}

/// GHSA-7mqr-2v3q-v2wm: a "no" that could not be written is not told as one.
#[tokio::test]
async fn a_no_that_cannot_be_written_is_503() {
    let (site, saying, _) = asking(Continue::Yes);
    let pair = site.connect("profile").await;
    *saying.lock().expect("no panic") = Ok(Continue::No);
    site.shelf.take_down(&[Op::Revoke]);
    assert_unavailable(&site.refresh(&pair.refresh).await);
    site.shelf.repair();
    assert_invalid_grant(&site.refresh(&pair.refresh).await);
    assert!(!site.is_good(&pair.access).await);
}

/// The record may become another between the look at it and the rotation. What is asked before a token is issued is
/// asked all the same.
#[tokio::test]
async fn a_record_that_changes_after_it_was_read_skips_no_check() {
    let (site, saying, asked) = asking(Continue::Yes);
    let code = site.code("profile notes:read").await;
    let pending = site.shelf.records();
    // What is found first says that the code is not redeemed yet.
    let refresh = async |params: &[(&str, &str)]| {
        let redeemed = site.shelf.records();
        site.shelf.put_back(pending.clone());
        let gate = site.shelf.hold(Op::Find);
        let change = async {
            gate.reached.notified().await;
            site.shelf.put_back(redeemed);
            gate.open.notify_one();
        };
        tokio::join!(site.token(params), change).0
    };
    let first = Pair::of(&site.token(&redemption(&code)).await);
    let answer = refresh(&with(&refreshing(&first.refresh), "scope", "profile")).await;
    assert_eq!(scope_of(&answer), "profile");
    let second = Pair::of(&answer);
    let wider = with(&refreshing(&second.refresh), "scope", "profile notes:write");
    assert_refused(&refresh(&wider).await, BAD, "invalid_scope");
    assert_eq!(asked.lock().expect("no panic").len(), 1, "a scope that was not granted is found before it is asked");
    *saying.lock().expect("no panic") = Ok(Continue::No);
    assert_invalid_grant(&refresh(&refreshing(&second.refresh)).await);
    assert_eq!(reason(&site.shelf.only()), Some(RevocationReason::Provider));
}

/// `on_issue` hears of no token that is not good.
#[tokio::test]
async fn a_retired_token_reaches_no_hook() {
    let calls = Arc::new(Mutex::new(0));
    let hook = {
        let calls = Arc::clone(&calls);
        move |token: Issuance| {
            *calls.lock().expect("no panic") += 1;
            async { Ok::<_, Infallible>(token) }
        }
    };
    let site = site_with(|builder| builder.on_issue(hook));
    let first = site.connect("profile").await;
    Pair::of(&site.refresh(&first.refresh).await);
    site.clock.advance(seconds(60));
    assert_eq!(*calls.lock().expect("no panic"), 2);
    assert_invalid_grant(&site.refresh(&first.refresh).await);
    assert_eq!(*calls.lock().expect("no panic"), 2);
}

// ---- who gets one ----------------------------------------------------------------------------------------------------

/// A switch: then a refresh token is for whoever asked the user to stay connected.
#[tokio::test]
async fn with_the_switch_a_refresh_token_needs_the_scope_offline_access() {
    let site = site_with(|builder| builder.require_offline_access());
    let code = site.code("profile").await;
    let answer = site.token(&redemption(&code)).await;
    assert_eq!((answer.status, answer.json().get("refresh_token")), (StatusCode::OK, None));
    let access = answer.json()["access_token"].as_str().expect("a token").to_owned();
    site.clock.advance(seconds(599));
    assert!(site.is_good(&access).await);
    site.clock.advance(seconds(1));
    assert!(!site.is_good(&access).await);

    let pair = site.connect("profile offline_access").await;
    let pair = Pair::of(&site.token(&with(&refreshing(&pair.refresh), "scope", "profile")).await);
    Pair::of(&site.refresh(&pair.refresh).await);
}

/// keycloak#49213: an answer that was lost on its way is asked for again, and the client stays connected.
#[tokio::test]
async fn a_refresh_whose_answer_was_lost_is_answered_by_its_repetition() {
    let site = site();
    let first = site.connect("profile").await;
    site.shelf.lose_answers(&[Op::Rotate]);
    assert_unavailable(&site.refresh(&first.refresh).await);
    site.shelf.repair();
    site.clock.advance(seconds(5));
    let second = Pair::of(&site.refresh(&first.refresh).await);
    site.clock.advance(seconds(60));
    Pair::of(&site.refresh(&second.refresh).await);
}
