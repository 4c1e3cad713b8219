//! What many requests at once do to one grant, through the whole service: one of them wins, and nothing that was ended
//! lives on.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::StatusCode;
use support::{
    Answer, App, SECRET, VERIFIER, WEB, app, authorization, bearer, challenge, form, provider, redeem, refresh,
    seconds, send, with_query,
};
use tokio::sync::Barrier;
use tower_oauth::{Grant, Holder, Provider, Subject};

/// How many do the same at once.
const RACERS: usize = 32;
/// How often.
const ROUNDS: usize = 1_000;
/// How many have to come before and after what they race against, or there was no race.
const SOME: usize = ROUNDS / 10;

/// Lets as many go from one barrier as `racer` makes, and answers what each answered, in their order.
async fn at_once<T, F>(racer: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(RACERS));
    let start = |number| {
        let (barrier, racer) = (Arc::clone(&barrier), racer(number));
        tokio::spawn(async move {
            barrier.wait().await;
            racer.await
        })
    };
    let running: Vec<_> = (0..RACERS).map(start).collect();
    let mut answers = Vec::new();
    for task in running {
        answers.push(task.await.expect("every racer comes to its end"));
    }
    answers
}

/// The public client's code for this user.
async fn code(app: &App, user: &str) -> String {
    let challenge = challenge(VERIFIER);
    let mut params = authorization("public", WEB, &challenge);
    params.push(("user", user));
    code_at(app, &params).await
}

/// The code of the client without PKCE for this user.
async fn code_without_pkce(app: &App, user: &str) -> String {
    let params = [("response_type", "code"), ("client_id", "original"), ("redirect_uri", WEB), ("user", user)];
    code_at(app, &params).await
}

async fn code_at(app: &App, params: &[(&str, &str)]) -> String {
    let answer = send(app, form(&with_query("/authorize", params), &[])).await;
    answer.redirected("code").unwrap_or_else(|| panic!("no code in {answer:?}"))
}

async fn redeem_without_pkce(app: &App, code: &str) -> Answer {
    let params = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", WEB),
        ("client_id", "original"),
        ("client_secret", SECRET),
    ];
    send(app, form("/token", &params)).await
}

async fn tokens(app: &App, user: &str) -> (String, String) {
    issued(&redeem(app, &code(app, user).await).await)
}

/// The access and the refresh token of a good answer.
#[track_caller]
fn issued(answer: &Answer) -> (String, String) {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let json = answer.json();
    let text = |name: &str| json[name].as_str().unwrap_or_else(|| panic!("no {name} in {json}")).to_owned();
    (text("access_token"), text("refresh_token"))
}

/// The only good answer; all others are refused as one kind.
#[track_caller]
fn winner(answers: &[Answer]) -> &Answer {
    let (good, bad): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == StatusCode::OK);
    assert_eq!(good.len(), 1, "of {RACERS}");
    bad.into_iter().for_each(refused);
    good[0]
}

#[track_caller]
fn refused(answer: &Answer) {
    assert_eq!((answer.status, &*answer.error()), (StatusCode::BAD_REQUEST, "invalid_grant"), "{answer:?}");
}

async fn is_good(app: &App, access_token: &str) -> bool {
    let answer = send(app, bearer("/me", access_token)).await;
    assert!(matches!(answer.status, StatusCode::OK | StatusCode::UNAUTHORIZED), "{answer:?}");
    answer.status == StatusCode::OK
}

/// The living grants of a user.
async fn living(provider: &Provider, user: &str) -> Vec<Arc<Grant>> {
    provider.grants_of(&Subject::from(user)).await.expect("the memory answers")
}

/// RFC 6749 §4.1.2, §10.5; OAuth 2.1 §4.1.3
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_redemptions_of_one_code_one_wins_and_with_pkce_its_grant_lives() {
    let (provider, _) = provider();
    let app = app(&provider);
    for round in 0..ROUNDS {
        let user = format!("user {round}");
        let code = code(&app, &user).await;
        let answers = at_once(|_| {
            let (app, code) = (app.clone(), code.clone());
            async move { redeem(&app, &code).await }
        })
        .await;
        let (access, renewal) = issued(winner(&answers));
        assert!(is_good(&app, &access).await, "round {round}");
        assert_eq!(living(&provider, &user).await.len(), 1);
        assert_eq!(refresh(&app, &renewal).await.status, StatusCode::OK);
    }
}

/// RFC 6749 §4.1.2, §10.5: whoever lost may be the owner, so the winner loses too.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_redemptions_of_one_code_without_pkce_one_wins_and_its_grant_ends() {
    let (provider, _) = provider();
    let app = app(&provider);
    for round in 0..ROUNDS {
        let user = format!("user {round}");
        let code = code_without_pkce(&app, &user).await;
        let answers = at_once(|_| {
            let (app, code) = (app.clone(), code.clone());
            async move { redeem_without_pkce(&app, &code).await }
        })
        .await;
        let won = winner(&answers).json();
        assert!(!is_good(&app, won["access_token"].as_str().expect("a token")).await, "round {round}");
        assert!(living(&provider, &user).await.is_empty(), "round {round}");
    }
}

/// RFC 9700 §4.14.2
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_refreshes_with_one_token_all_get_its_one_successor() {
    let (provider, _) = provider();
    let app = app(&provider);
    let (_, mut renewal) = tokens(&app, "alice").await;
    for round in 1..=ROUNDS {
        let answers = at_once(|_| {
            let (app, renewal) = (app.clone(), renewal.clone());
            async move { refresh(&app, &renewal).await }
        })
        .await;
        let (accesses, successors): (BTreeSet<_>, BTreeSet<_>) = answers.iter().map(issued).unzip();
        assert_eq!((accesses.len(), successors.len()), (RACERS, 1), "round {round}");
        assert!(is_good(&app, accesses.first().expect("some")).await);
        let generations: Vec<_> = living(&provider, "alice").await.iter().map(|grant| grant.generation()).collect();
        assert_eq!(generations, [u32::try_from(round).expect("not so many")], "one step in round {round}");
        renewal.clone_from(successors.first().expect("one"));
    }
}

/// RFC 9700 §4.14.2
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_refreshes_with_a_token_past_its_grace_end_the_grant() {
    let (provider, clock) = provider();
    let app = app(&provider);
    for round in 0..ROUNDS {
        let user = format!("user {round}");
        let (first, stale) = tokens(&app, &user).await;
        let (second, current) = issued(&refresh(&app, &stale).await);
        clock.advance(seconds(11));
        let answers = at_once(|_| {
            let (app, stale) = (app.clone(), stale.clone());
            async move { refresh(&app, &stale).await }
        })
        .await;
        answers.iter().for_each(refused);
        refused(&refresh(&app, &current).await);
        assert!(!is_good(&app, &first).await && !is_good(&app, &second).await, "round {round}");
        assert!(living(&provider, &user).await.is_empty());
    }
}

/// A refresh may commit before a revocation and be answered after it: its tokens are dead then, since the check looks at
/// the grant. One that is begun after the revocation is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_refreshes_against_a_revocation_nothing_lives_on() {
    let (provider, _) = provider();
    let app = app(&provider);
    let (mut before, mut after) = (0, 0);
    for round in 0..ROUNDS {
        let user = format!("user {round}");
        let (first, renewal) = tokens(&app, &user).await;
        let key = living(&provider, &user).await[0].key();
        let ended = Arc::new(AtomicBool::new(false));
        let answers = at_once(|racer| {
            let (provider, app, user) = (provider.clone(), app.clone(), user.clone());
            let (renewal, ended) = (renewal.clone(), Arc::clone(&ended));
            async move {
                if racer > 0 {
                    let begun_after = ended.load(Ordering::SeqCst);
                    return Some((begun_after, refresh(&app, &renewal).await));
                }
                // Later in some rounds than in others, so that it falls anywhere among the refreshes.
                for _ in 0..round % 32 {
                    tokio::task::yield_now().await;
                }
                match round % 2 {
                    0 => provider.revoke_grant(key).await.expect("the memory answers"),
                    _ => {
                        let holder = Holder::User(user.as_str().into());
                        assert_eq!(provider.revoke_all(&holder).await.expect("the memory answers"), 1);
                    }
                }
                ended.store(true, Ordering::SeqCst);
                None
            }
        })
        .await;
        let mut successor = renewal;
        for (begun_after, answer) in answers.into_iter().flatten() {
            if answer.status == StatusCode::OK {
                assert!(!begun_after, "a refresh begun after the revocation is accepted in round {round}");
                let (access, renewed) = issued(&answer);
                assert!(!is_good(&app, &access).await, "an access token lives on in round {round}");
                successor = renewed;
                before += 1;
            } else {
                refused(&answer);
                after += 1;
            }
        }
        refused(&refresh(&app, &successor).await);
        assert!(!is_good(&app, &first).await);
        assert!(living(&provider, &user).await.is_empty());
    }
    assert!(before > SOME && after > SOME, "{before} refreshes before their revocation, {after} after it");
}

/// The same for a client that refreshes on and on, and for its requests meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_chain_of_refreshes_ends_with_a_revocation_and_so_do_its_access_tokens() {
    let (provider, _) = provider();
    let app = app(&provider);
    let (mut before, mut after, mut refreshes) = (0, 0, 0);
    for round in 0..ROUNDS {
        let user = format!("user {round}");
        let (access, renewal) = tokens(&app, &user).await;
        let key = living(&provider, &user).await[0].key();
        let ended = Arc::new(AtomicBool::new(false));
        let good = at_once(|racer| {
            let (provider, app, ended) = (provider.clone(), app.clone(), Arc::clone(&ended));
            let (access, renewal) = (access.clone(), renewal.clone());
            async move {
                match racer {
                    0 => {
                        for _ in 0..round % 4 {
                            tokio::task::yield_now().await;
                        }
                        provider.revoke_grant(key).await.expect("the memory answers");
                        ended.store(true, Ordering::SeqCst);
                        0
                    }
                    1 => refresh_until_refused(&app, renewal, &ended).await,
                    _ => {
                        let begun_after = ended.load(Ordering::SeqCst);
                        let good = is_good(&app, &access).await;
                        assert!(!good || !begun_after, "a request begun after the revocation is let in");
                        usize::from(good)
                    }
                }
            }
        })
        .await;
        refreshes += good[1];
        let good: usize = good[2..].iter().sum();
        before += good;
        after += RACERS - 2 - good;
        assert!(living(&provider, &user).await.is_empty());
    }
    assert!(before > SOME && after > SOME && refreshes > SOME, "{before} let in, {after} not, {refreshes} refreshes");
}

/// How often it was not refused; every token that came of it is dead then.
async fn refresh_until_refused(app: &App, mut renewal: String, ended: &AtomicBool) -> usize {
    let mut accesses = Vec::new();
    loop {
        let begun_after = ended.load(Ordering::SeqCst);
        let answer = refresh(app, &renewal).await;
        if answer.status != StatusCode::OK {
            refused(&answer);
            break;
        }
        assert!(!begun_after, "a refresh begun after the revocation is accepted");
        let (access, next) = issued(&answer);
        accesses.push(access);
        renewal = next;
    }
    for access in &accesses {
        assert!(!is_good(app, access).await, "an access token lives on");
    }
    accesses.len()
}
