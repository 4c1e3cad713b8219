//! What holds for the documents that a provider keeps.

use super::Check;
use super::record::Names;
use crate::store::GrantStore;

/// How many replace at once.
const RACERS: u8 = 32;
const ROUNDS: u8 = 25;

pub(super) async fn kept<S: GrantStore>(check: Check<S>) {
    if !check.store.keeps_documents() {
        return;
    }
    alone(&check).await;
    one_replaces(&check).await;
}

async fn alone<S: GrantStore>(check: &Check<S>) {
    let (issuer, other) = (Names::new().issuer, Names::new().issuer);
    let find = async |issuer, name| check.answered(check.store.document(issuer, name).await);
    let replace = async |issuer, name, old: Option<&[u8]>, new: &[u8]| {
        check.answered(check.store.replace_document(issuer, name, old, new).await)
    };
    // Of bytes that no text has, and of a length that no small column takes.
    let first: Vec<u8> = (0..=255).cycle().take(20_000).collect();
    check.holds(find(&issuer, "a").await.is_none(), "there is one before any was kept");
    check.holds(!replace(&issuer, "a", Some(b"x"), &first).await, "one is replaced that was never there");
    check.holds(find(&issuer, "a").await.is_none(), "there is one after a refused step");
    check.holds(replace(&issuer, "a", None, &first).await, "a first one is not kept");
    check.holds(find(&issuer, "a").await.as_deref() == Some(&first[..]), "one is not found as it was kept");
    check.holds(replace(&issuer, "a", None, &first).await, "the same step once more is refused");
    check.holds(!replace(&issuer, "a", None, b"y").await, "one is replaced as if it were not there");
    check.holds(!replace(&issuer, "a", Some(b"x"), b"y").await, "one is replaced by who knows another");
    for (issuer, name) in [(&other, "a"), (&issuer, "A")] {
        check.holds(find(issuer, name).await.is_none(), "one is found under another issuer or name");
    }
    check.holds(replace(&other, "a", None, b"").await, "an empty one is not kept");
    check.holds(find(&other, "a").await.as_deref() == Some(&b""[..]), "an empty one is not found");
    check.holds(replace(&issuer, "a", Some(&first), b"z").await, "one is not replaced by who knows it");
    check.holds(replace(&issuer, "a", Some(&first), b"z").await, "the same replacement once more is refused");
    check.holds(find(&issuer, "a").await.as_deref() == Some(&b"z"[..]), "one is not found as it was replaced");
    check.sweep(&issuer, 1_000_000_000).await;
    check.holds(find(&issuer, "a").await.is_some(), "sweep forgets it");
}

async fn one_replaces<S: GrantStore>(check: &Check<S>) {
    let issuer = Names::new().issuer;
    let mut kept: Option<Vec<u8>> = None;
    for round in 0..ROUNDS {
        let replace = |check: Check<S>, racer| {
            let (issuer, old, new) = (issuer.clone(), kept.clone(), vec![round, racer]);
            async move {
                let replaced = check.store.replace_document(&issuer, "raced", old.as_deref(), &new).await;
                check.answered(replaced).then_some(new)
            }
        };
        let won: Vec<_> = check.at_once(RACERS, replace).await.into_iter().flatten().collect();
        check.holds(won.len() == 1, format_args!("round {round}: {} of {RACERS} replace it", won.len()));
        kept = check.answered(check.store.document(&issuer, "raced").await);
        check.holds(kept == won.into_iter().next(), format_args!("round {round}: another is kept than who won says"));
    }
}
