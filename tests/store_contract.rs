//! What a store has to do: the memory store does it, alone and in a pair, and so does a plain map behind a lock. The
//! same map with one flaw does not, whichever flaw it is, and the suite says by name what it breaks.

mod support;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use http::StatusCode;
use support::{ISSUER, SECRET, VERIFIER, WEB, app, basic, builder, code, form, redeem, refresh, send};
use tower_oauth::grant::{Revocation, Tokens};
use tower_oauth::testing::{ManualClock, contract};
use tower_oauth::{
    Client, ClientId, ClientStore, Grant, GrantKey, GrantStore, Holder, Issuer, MemoryStore, OnceKey, Outcome,
    Redemption, Refused, RevocationReason, RevokedTokens, Rotation, UnixTime, Verdict,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_memory_store_keeps_the_contract() {
    contract::check(async || MemoryStore::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_memory_store_keeps_it_beside_the_records_of_others() {
    let store = MemoryStore::new();
    for seed in 0..3 {
        contract::check_from(seed, async || store.clone()).await;
    }
}

struct MyClients;

impl ClientStore for MyClients {
    type Error = Infallible;

    async fn client(&self, _: &Issuer, _: &ClientId) -> Result<Option<Client>, Infallible> {
        Ok(None)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_pair_of_clients_and_grants_keeps_the_contract() {
    contract::check(async || (MyClients, MemoryStore::new())).await;
}

/// Whoever holds a stolen code or token cannot keep its record busy.
#[tokio::test]
async fn a_refusal_does_not_even_write_the_same_again_to_the_memory_store() {
    let store = MemoryStore::new();
    let provider = builder(&ManualClock::default()).store(store.clone()).build().expect("a good configuration");
    let app = app(&provider);
    let code = code(&app, "profile").await;
    let record = async || {
        let Ok(grants) = store.grants(&ISSUER.into(), &Holder::User("alice".into())).await;
        grants.into_iter().next().expect("the grant of the code")
    };

    let before = record().await;
    let right = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", WEB),
        ("client_id", "public"),
        ("code_verifier", VERIFIER),
    ];
    let verifier = "another-verifier-of-43-characters-or-more-of-them";
    for (at, wrong) in [(2, "https://web.example/other"), (4, verifier)] {
        let mut params = right;
        params[at].1 = wrong;
        assert_eq!(send(&app, form("/token", &params)).await.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    let theirs = [right[0], right[1], right[2], right[4]];
    let theirs = basic(form("/token", &theirs), "confidential", SECRET);
    assert_eq!(send(&app, theirs).await.status, StatusCode::BAD_REQUEST, "another client");
    assert!(Arc::ptr_eq(&before, &record().await));

    let redeemed = redeem(&app, &code).await.json();
    let renewal = redeemed["refresh_token"].as_str().expect("a refresh token");
    let before = record().await;
    let theirs = form("/token", &[("grant_type", "refresh_token"), ("refresh_token", renewal)]);
    assert_eq!(send(&app, basic(theirs, "confidential", SECRET)).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(redeem(&app, &code).await.status, StatusCode::BAD_REQUEST, "a double submit");
    assert!(Arc::ptr_eq(&before, &record().await));
    assert_eq!(refresh(&app, renewal).await.status, StatusCode::OK);
    assert!(!Arc::ptr_eq(&before, &record().await), "what is accepted is written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_map_behind_a_lock_keeps_the_contract_with_nothing_but_what_is_public() {
    contract::check(async || Plain::new(Flaw::None)).await;
}

#[tokio::test]
#[should_panic(expected = "at least two threads")]
async fn a_runtime_on_which_nothing_races_is_refused() {
    contract::check(async || MemoryStore::new()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_flaw_is_caught_and_named() {
    for (flaw, requirement) in [
        (Flaw::Fails, "an unknown grant is unknown: the store answers an error: out of order"),
        (Flaw::CreateReplaces, "create is repeatable"),
        (Flaw::CreateRevives, "a revoked grant stays revoked"),
        (Flaw::VerdictIsOfBefore, "steps follow the rules"),
        (Flaw::RotateRevives, "steps follow the rules"),
        (Flaw::RefusalRollsBack, "a refusal writes nothing"),
        (Flaw::CachedForEver, "cached says what find says"),
        (Flaw::RedeemReadsFirst, "one redemption wins"),
        (Flaw::RotateReadsFirst, "one rotation steps"),
        (Flaw::RevokeReadsFirst, "no update is lost"),
        (Flaw::RotateOverlooksTheEnd, "a revoked grant stays revoked"),
        (Flaw::GrantsOfAnyIssuer, "issuers are kept apart"),
        (Flaw::RevokeAllOfAnyIssuer, "issuers are kept apart"),
        (Flaw::SweepOfAnyIssuer, "issuers are kept apart"),
        (Flaw::NamesInAnyCase, "grants are found by their holder"),
        (Flaw::RevokeAllStopsEarly, "revoke_all ends all"),
        (Flaw::SweepTakesTheLiving, "sweep forgets what is over"),
        (Flaw::SweepKeepsTheIdle, "sweep forgets what is over"),
        (Flaw::OnceReadsFirst, "once is once"),
        (Flaw::OnceForEver, "once is once"),
        (Flaw::DocumentReadsFirst, "a document is kept"),
        (Flaw::DocumentOfAnyIssuer, "a document is kept"),
        (Flaw::DocumentOnceRefused, "a document is kept"),
        (Flaw::RevokedUntoldOfAReplay, "revocations are kept"),
        (Flaw::RevokedUntoldOfAll, "revocations are kept"),
        (Flaw::RevokedUntoldOfThoseBefore, "revocations are kept"),
        (Flaw::RevokedToldLater, "revocations are kept"),
        (Flaw::RevokedOfAnyIssuer, "revocations are kept"),
        (Flaw::RevokedForgottenWithTheGrant, "revocations are kept"),
        (Flaw::RevokedForEver, "revocations are kept"),
    ] {
        let suite = contract::check(async move || Plain::new(flaw));
        let failed = tokio::spawn(suite).await.expect_err(&format!("{flaw:?} is not caught"));
        let told = failed.into_panic().downcast::<String>().expect("a panic with a text");
        let wanted = format!("the store breaks the contract: {requirement}");
        assert!(told.starts_with(&wanted), "{flaw:?} is caught as: {told}");
    }
}

/// What a store may do wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    None,
    /// Every look-up is an error.
    Fails,
    /// A create that is repeated starts anew.
    CreateReplaces,
    /// The same, only where the grant was revoked.
    CreateRevives,
    /// The verdict carries the record that was read, not the one that was written.
    VerdictIsOfBefore,
    /// A rotation goes on from the last record that was alive.
    RotateRevives,
    /// After a refusal the record is as it was created.
    RefusalRollsBack,
    /// What is cached is never renewed.
    CachedForEver,
    /// Two winners: the record is read, and written later.
    RedeemReadsFirst,
    RotateReadsFirst,
    /// Lost updates: so are the access tokens that are revoked.
    RevokeReadsFirst,
    /// A rotation that is accepted is written if the record is as it was read, or if it was revoked meanwhile.
    RotateOverlooksTheEnd,
    GrantsOfAnyIssuer,
    RevokeAllOfAnyIssuer,
    SweepOfAnyIssuer,
    /// Names are compared as some databases do.
    NamesInAnyCase,
    /// One batch, and no second one.
    RevokeAllStopsEarly,
    SweepTakesTheLiving,
    SweepKeepsTheIdle,
    /// Two are first.
    OnceReadsFirst,
    /// Nobody is first again.
    OnceForEver,
    /// Two replace what they both read.
    DocumentReadsFirst,
    DocumentOfAnyIssuer,
    /// Whoever asks again after a lost answer is told of a stranger.
    DocumentOnceRefused,
    /// What ends by a used code or token is not told.
    RevokedUntoldOfAReplay,
    RevokedUntoldOfAll,
    /// One token too many ends those before it, which is not told.
    RevokedUntoldOfThoseBefore,
    /// The step is answered, and what it revoked is told with the next one.
    RevokedToldLater,
    RevokedOfAnyIssuer,
    RevokedForgottenWithTheGrant,
    RevokedForEver,
}

/// A map behind a lock: what a store is when nothing else matters.
struct Plain {
    flaw: Flaw,
    grants: Mutex<HashMap<GrantKey, Kept>>,
    once: Mutex<HashMap<OnceKey, UnixTime>>,
    documents: Mutex<HashMap<(String, String), Vec<u8>>>,
    revoked: Mutex<HashMap<(String, GrantKey, Tokens), UnixTime>>,
    /// For a flaw: what is told with the next step.
    late: Mutex<Vec<(String, RevokedTokens)>>,
}

#[derive(Clone)]
struct Kept {
    now: Arc<Grant>,
    /// For the flaws.
    created: Arc<Grant>,
    alive: Arc<Grant>,
}

impl Kept {
    fn new(grant: Grant) -> Self {
        let grant = Arc::new(grant);
        Self { now: Arc::clone(&grant), created: Arc::clone(&grant), alive: grant }
    }

    fn write(&mut self, grant: Grant) -> Arc<Grant> {
        self.now = Arc::new(grant);
        if self.now.revoked().is_none() {
            self.alive = Arc::clone(&self.now);
        }
        Arc::clone(&self.now)
    }
}

impl Plain {
    fn new(flaw: Flaw) -> Self {
        let (grants, once, documents, revoked, late) = Default::default();
        Self { flaw, grants, once, documents, revoked, late }
    }

    fn tell(&self, before: &Grant, after: &Grant, untold: Option<Flaw>) {
        let is_told = |tokens: Tokens| {
            let of_those_before = matches!(tokens, Tokens::IssuedUntil(_));
            !(of_those_before && self.has(Flaw::RevokedUntoldOfThoseBefore)
                || untold.is_some_and(|flaw| self.has(flaw)))
        };
        let new = after.newly_revoked(before).filter(|revoked| is_told(revoked.tokens));
        let new: Vec<_> = new.map(|revoked| (after.issuer().as_str().to_owned(), revoked)).collect();
        let mut late = self.late.lock().expect("no panic");
        let told = if self.has(Flaw::RevokedToldLater) { std::mem::replace(&mut *late, new) } else { new };
        let mut list = self.revoked.lock().expect("no panic");
        for (issuer, RevokedTokens { grant, tokens, until, .. }) in told {
            let kept = list.entry((issuer, grant, tokens)).or_insert(until);
            *kept = until.max(*kept);
        }
    }

    fn grants(&self) -> MutexGuard<'_, HashMap<GrantKey, Kept>> {
        self.grants.lock().expect("nobody panics with this lock")
    }

    fn place(&self, issuer: &Issuer, name: &str) -> (String, String) {
        let issuer = if self.has(Flaw::DocumentOfAnyIssuer) { "" } else { issuer.as_str() };
        (issuer.to_owned(), name.to_owned())
    }

    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    /// One transition under the lock, but for the flaw that reads before it.
    async fn step(&self, key: GrantKey, flaw: Flaw, apply: impl Fn(&mut Grant) -> Outcome) -> Verdict {
        let Some(read) = self.grants().get(&key).cloned() else { return Verdict::UNKNOWN };
        if self.has(flaw) {
            tokio::task::yield_now().await;
        }
        let mut grants = self.grants();
        let Some(kept) = grants.get_mut(&key) else { return Verdict::UNKNOWN };
        let before = if self.has(flaw) { read.now } else { Arc::clone(&kept.now) };
        let mut next = Grant::clone(&before);
        let outcome = apply(&mut next);
        if self.has(Flaw::RefusalRollsBack) && outcome == Outcome::Refused(Refused::Mismatch) {
            next = Grant::clone(&kept.created);
        }
        let after = kept.write(next);
        let untold = (outcome == Outcome::Replayed).then_some(Flaw::RevokedUntoldOfAReplay);
        self.tell(&before, &after, untold);
        Verdict::new(outcome, if self.has(Flaw::VerdictIsOfBefore) { before } else { after })
    }

    fn held(&self, issuer: &Issuer, any_issuer: Flaw, holder: &Holder) -> Vec<Arc<Grant>> {
        let holds = |grant: &Grant| match holder {
            Holder::User(subject) if self.has(Flaw::NamesInAnyCase) => {
                grant.subject().is_some_and(|known| known.as_str().eq_ignore_ascii_case(subject.as_str()))
            }
            _ => holder.holds(grant),
        };
        let grants = self.grants();
        let grants = grants.values().map(|kept| &kept.now);
        grants.filter(|grant| (self.has(any_issuer) || grant.issuer() == issuer) && holds(grant)).cloned().collect()
    }

    /// The record after a revocation that does not come from outside; nothing where it is dead already.
    async fn ended(grant: &Grant, reason: RevocationReason, now: UnixTime) -> Option<Grant> {
        let scratch = MemoryStore::new();
        let (key, issuer, holder) = (grant.key(), grant.issuer(), Holder::Client(grant.client_id().clone()));
        let Ok(()) = scratch.create(grant.clone()).await;
        let Ok(ended) = scratch.revoke_all(issuer, &holder, reason, now).await;
        (ended == 1).then(|| scratch.cached(key).map(|grant| Grant::clone(&grant)))?
    }
}

impl GrantStore for Plain {
    type Error = &'static str;

    async fn create(&self, grant: Grant) -> Result<(), Self::Error> {
        let mut grants = self.grants();
        let dead = grants.get(&grant.key()).is_some_and(|kept| kept.now.revoked().is_some());
        if self.has(Flaw::CreateReplaces) || self.has(Flaw::CreateRevives) && dead {
            grants.remove(&grant.key());
        }
        grants.entry(grant.key()).or_insert_with(|| Kept::new(grant));
        Ok(())
    }

    async fn find(&self, key: GrantKey) -> Result<Option<Arc<Grant>>, Self::Error> {
        if self.has(Flaw::Fails) {
            return Err("out of order");
        }
        Ok(self.grants().get(&key).map(|kept| Arc::clone(&kept.now)))
    }

    async fn redeem(&self, key: GrantKey, step: Redemption) -> Result<Verdict, Self::Error> {
        Ok(self.step(key, Flaw::RedeemReadsFirst, |grant| grant.redeem(&step)).await)
    }

    async fn rotate(&self, key: GrantKey, step: Rotation) -> Result<Verdict, Self::Error> {
        while self.has(Flaw::RotateOverlooksTheEnd) {
            let Some(read) = self.grants().get(&key).cloned() else { break };
            let mut next = Grant::clone(&read.now);
            let outcome = next.rotate(&step);
            if !outcome.is_accepted() {
                break;
            }
            tokio::task::yield_now().await;
            let mut grants = self.grants();
            let Some(kept) = grants.get_mut(&key) else { break };
            if kept.now == read.now || kept.now.revoked().is_some() {
                return Ok(Verdict::new(outcome, kept.write(next)));
            }
        }
        if self.has(Flaw::RotateRevives)
            && let Some(kept) = self.grants().get_mut(&key)
            && Grant::clone(&kept.alive).rotate(&step).is_accepted()
        {
            kept.now = Arc::clone(&kept.alive);
        }
        Ok(self.step(key, Flaw::RotateReadsFirst, |grant| grant.rotate(&step)).await)
    }

    async fn revoke(&self, key: GrantKey, step: Revocation) -> Result<Verdict, Self::Error> {
        Ok(self.step(key, Flaw::RevokeReadsFirst, |grant| grant.revoke(&step)).await)
    }

    async fn revoke_all(
        &self,
        issuer: &Issuer,
        holder: &Holder,
        reason: RevocationReason,
        now: UnixTime,
    ) -> Result<usize, Self::Error> {
        let mut held = self.held(issuer, Flaw::RevokeAllOfAnyIssuer, holder);
        if self.has(Flaw::RevokeAllStopsEarly) {
            held.truncate(100);
        }
        let mut count = 0;
        for mut read in held {
            // Again and again, until nobody changed it between the reading and the writing.
            while let Some(next) = Self::ended(&read, reason, now).await {
                let mut grants = self.grants();
                let Some(kept) = grants.get_mut(&read.key()) else { break };
                if kept.now == read {
                    let after = kept.write(next);
                    self.tell(&read, &after, Some(Flaw::RevokedUntoldOfAll));
                    count += 1;
                    break;
                }
                read = Arc::clone(&kept.now);
            }
        }
        Ok(count)
    }

    async fn grants(&self, issuer: &Issuer, holder: &Holder) -> Result<Vec<Arc<Grant>>, Self::Error> {
        Ok(self.held(issuer, Flaw::GrantsOfAnyIssuer, holder))
    }

    async fn once(&self, key: OnceKey, until: UnixTime, now: UnixTime) -> Result<bool, Self::Error> {
        let seen = |until: Option<&UnixTime>| until.is_some_and(|until| now < *until || self.has(Flaw::OnceForEver));
        let mut first = !seen(self.once.lock().expect("no panic").get(&key));
        if self.has(Flaw::OnceReadsFirst) {
            tokio::task::yield_now().await;
        }
        let mut once = self.once.lock().expect("no panic");
        first &= self.has(Flaw::OnceReadsFirst) || !seen(once.get(&key));
        if first {
            once.insert(key, until);
        }
        Ok(first)
    }

    async fn sweep(&self, issuer: &Issuer, now: UnixTime, idle: Duration) -> Result<usize, Self::Error> {
        let (now_here, idle) = match self.flaw {
            Flaw::SweepTakesTheLiving => (UnixTime::from_secs(now.as_secs() + 1), idle),
            Flaw::SweepKeepsTheIdle => (now, Duration::MAX),
            _ => (now, idle),
        };
        let any_issuer = self.has(Flaw::SweepOfAnyIssuer);
        let over = |grant: &Grant| (any_issuer || grant.issuer() == issuer) && grant.is_over(now_here, idle);
        let mut grants = self.grants();
        let before = grants.len();
        grants.retain(|_, kept| !over(&kept.now));
        self.once.lock().expect("no panic").retain(|_, until| now < *until);
        self.revoked.lock().expect("no panic").retain(|(of, key, _), until| {
            let is_kept = !self.has(Flaw::RevokedForgottenWithTheGrant) || grants.contains_key(key);
            of != issuer.as_str() || is_kept && (now < *until || self.has(Flaw::RevokedForEver))
        });
        Ok(before - grants.len())
    }

    fn keeps_documents(&self) -> bool {
        true
    }

    async fn document(&self, issuer: &Issuer, name: &str) -> Result<Option<Vec<u8>>, Self::Error> {
        Ok(self.documents.lock().expect("no panic").get(&self.place(issuer, name)).cloned())
    }

    async fn replace_document(
        &self,
        issuer: &Issuer,
        name: &str,
        old: Option<&[u8]>,
        new: &[u8],
    ) -> Result<bool, Self::Error> {
        let read = self.document(issuer, name).await?;
        if self.has(Flaw::DocumentReadsFirst) {
            tokio::task::yield_now().await;
        }
        let mut documents = self.documents.lock().expect("no panic");
        let kept = documents.get(&self.place(issuer, name)).cloned();
        let kept = if self.has(Flaw::DocumentReadsFirst) { read } else { kept };
        let again = kept.as_deref() == Some(new) && !self.has(Flaw::DocumentOnceRefused);
        let replaces = kept.as_deref() == old || again;
        if replaces {
            documents.insert(self.place(issuer, name), new.to_vec());
        }
        Ok(replaces)
    }

    fn keeps_revocations(&self) -> bool {
        true
    }

    async fn revocations(&self, issuer: &Issuer, now: UnixTime) -> Result<Vec<RevokedTokens>, Self::Error> {
        let any_issuer = self.has(Flaw::RevokedOfAnyIssuer);
        let revoked = self.revoked.lock().expect("no panic");
        let revoked = revoked.iter().filter(|((of, ..), until)| (any_issuer || of == issuer.as_str()) && now < **until);
        Ok(revoked.map(|((_, grant, tokens), until)| RevokedTokens::new(*grant, *tokens, *until)).collect())
    }

    fn cached(&self, key: GrantKey) -> Option<Arc<Grant>> {
        let created = self.grants().get(&key).map(|kept| Arc::clone(&kept.created));
        created.filter(|_| self.has(Flaw::CachedForEver))
    }
}
