//! The same at once at two nodes that share a store.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http::StatusCode;
use tokio::sync::Barrier;
use tower_oauth::Provider;

use crate::support::{Answer, App, app, bearer, code, redeem, refresh, send, tokens};

/// How many do the same at once, half of them at each node.
const RACERS: usize = 200;
/// How often.
const ROUNDS: usize = 5;

#[track_caller]
fn refused(answer: &Answer) {
    assert_eq!((answer.status, &*answer.error()), (StatusCode::BAD_REQUEST, "invalid_grant"), "{answer:?}");
}

#[track_caller]
fn issued(answer: &Answer) -> (String, String) {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let json = answer.json();
    let text = |name: &str| json[name].as_str().unwrap_or_else(|| panic!("no {name} in {json}")).to_owned();
    (text("access_token"), text("refresh_token"))
}

async fn is_good(app: &App, access_token: &str) -> bool {
    send(app, bearer("/me", access_token)).await.status == StatusCode::OK
}

async fn at_once<T, F>(apps: &[App; 2], racer: impl Fn(App) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(RACERS));
    let start = |number: usize| {
        let (barrier, racer) = (Arc::clone(&barrier), racer(apps[number % 2].clone()));
        tokio::spawn(async move {
            barrier.wait().await;
            racer.await
        })
    };
    let mut answers = Vec::new();
    for task in (0..RACERS).map(start).collect::<Vec<_>>() {
        answers.push(task.await.expect("every racer comes to its end"));
    }
    answers
}

/// One redeems, and its grant lives.
pub async fn redemptions(nodes: &[Provider; 2]) {
    let apps = [app(&nodes[0]), app(&nodes[1])];
    for round in 0..ROUNDS {
        let code = code(&apps[round % 2], "profile").await;
        let answers = at_once(&apps, |app| {
            let code = code.clone();
            async move { redeem(&app, &code).await }
        })
        .await;
        let (good, bad): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == StatusCode::OK);
        assert_eq!(good.len(), 1, "round {round}");
        bad.into_iter().for_each(refused);
        let (access, renewal) = issued(good[0]);
        for app in &apps {
            assert!(is_good(app, &access).await);
        }
        issued(&refresh(&apps[0], &renewal).await);
    }
}

/// All get the one successor.
pub async fn refreshes(nodes: &[Provider; 2]) {
    let apps = [app(&nodes[0]), app(&nodes[1])];
    let (_, mut renewal) = tokens(&apps[0], "profile").await;
    for round in 1..=ROUNDS {
        let answers = at_once(&apps, |app| {
            let renewal = renewal.clone();
            async move { refresh(&app, &renewal).await }
        })
        .await;
        let successors: BTreeSet<_> = answers.iter().map(|answer| issued(answer).1).collect();
        assert_eq!(successors.len(), 1, "round {round}");
        let grants = nodes[1].grants_of(&"alice".into()).await.expect("the store answers");
        assert_eq!(grants.len(), 1);
        assert_eq!(grants[0].generation() as usize, round, "one step in round {round}");
        renewal.clone_from(successors.first().expect("one"));
    }
}

/// Nothing lives on once the grant is revoked.
pub async fn refreshes_against_a_revocation(nodes: &[Provider; 2]) {
    let apps = [app(&nodes[0]), app(&nodes[1])];
    for round in 0..ROUNDS {
        let (first, renewal) = tokens(&apps[0], "profile").await;
        let grants = nodes[0].grants_of(&"alice".into()).await.expect("the store answers");
        let key = grants.iter().find(|grant| grant.revoked().is_none()).expect("the one that lives").key();
        let (ended, turn) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let answers = at_once(&apps, |app| {
            let (revoking, renewal) = (nodes[1].clone(), renewal.clone());
            let (ended, turn) = (Arc::clone(&ended), Arc::clone(&turn));
            async move {
                if turn.fetch_add(1, Ordering::SeqCst) == round * 40 {
                    revoking.revoke_grant(key).await.expect("the store answers");
                    ended.store(true, Ordering::SeqCst);
                    return None;
                }
                let begun_after = ended.load(Ordering::SeqCst);
                Some((begun_after, refresh(&app, &renewal).await))
            }
        })
        .await;
        let mut successor = renewal;
        for (begun_after, answer) in answers.into_iter().flatten() {
            if answer.status == StatusCode::OK {
                assert!(!begun_after, "a refresh begun after the revocation is accepted in round {round}");
                let (access, renewed) = issued(&answer);
                assert!(!is_good(&apps[round % 2], &access).await, "an access token lives on in round {round}");
                successor = renewed;
            } else {
                refused(&answer);
            }
        }
        refused(&refresh(&apps[0], &successor).await);
        assert!(!is_good(&apps[1], &first).await);
    }
}
