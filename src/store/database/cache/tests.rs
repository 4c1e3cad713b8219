use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::advance;

use super::listener::{Listener, Question};
use super::*;
use crate::grant::{Redeemed, RevocationReason, Revoked};

const BOUND: Duration = GrantCache::LIFETIME;
const SECOND: Duration = Duration::from_secs(1);

fn key(number: u32) -> GrantKey {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    bytes[15] = number.to_le_bytes()[0];
    GrantKey::from_bytes(bytes)
}

fn at(seconds: u64) -> UnixTime {
    UnixTime::from_secs(1_800_000_000 + seconds)
}

fn grant(key: GrantKey) -> Grant {
    Grant {
        key,
        issuer: "https://a.example".into(),
        client: "app".into(),
        subject: Some("alice".into()),
        scope: "read".parse().unwrap(),
        resources: Arc::from([]),
        claims: None,
        redirect_uri: Some("https://app.example/cb".into()),
        redirect_uri_sent: true,
        challenge: None,
        created_at: at(0),
        expires_at: UnixTime::FAR_FUTURE,
        redeemed: Some(Redeemed { at: at(1), rotated_at: at(1), secret: [6; 16], generation: 0 }),
        revoked: None,
    }
}

fn revoked(key: GrantKey) -> Grant {
    let end = Revoked { grant: Some((at(2), RevocationReason::User)), ..Revoked::default() };
    Grant { revoked: Some(Box::new(end)), ..grant(key) }
}

/// A cache that heard of everything just now.
fn cache() -> GrantCache {
    in_contact(GrantCache::new(BOUND))
}

fn in_contact(cache: GrantCache) -> GrantCache {
    cache.heard(Instant::now());
    cache
}

/// A store of one answer, which counts how often it is asked.
#[derive(Default)]
struct Asked {
    answer: Mutex<Option<Grant>>,
    times: AtomicUsize,
}

impl Asked {
    fn of(grant: impl Into<Option<Grant>>) -> Self {
        Self { answer: Mutex::new(grant.into()), times: AtomicUsize::new(0) }
    }

    fn says(&self, grant: impl Into<Option<Grant>>) {
        *self.answer.lock().unwrap() = grant.into();
    }

    async fn find(&self) -> Answer {
        self.times.fetch_add(1, Ordering::SeqCst);
        Ok(self.answer.lock().unwrap().clone().map(Arc::new))
    }

    /// How often since this was called last.
    fn times(&self) -> usize {
        self.times.swap(0, Ordering::SeqCst)
    }
}

async fn load(cache: &GrantCache, key: GrantKey, store: &Asked) -> Option<Arc<Grant>> {
    cache.load(key, || store.find()).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_was_read_is_known_for_the_lifetime_and_not_longer() {
    let (cache, store) = (cache(), Asked::of(grant(key(1))));
    assert!(cache.cached(key(1)).is_none(), "nothing was read yet");
    load(&cache, key(1), &store).await.unwrap();
    advance(BOUND - SECOND).await;
    cache.heard(Instant::now());
    assert_eq!(cache.cached(key(1)).as_deref(), Some(&grant(key(1))));
    load(&cache, key(1), &store).await.unwrap();
    assert_eq!(store.times(), 1);
    advance(SECOND).await;
    assert!(cache.cached(key(1)).is_none());
    load(&cache, key(1), &store).await.unwrap();
    assert_eq!(store.times(), 1);
}

/// What is read may be as old as the question. So whatever takes so long, no answer is believed for longer.
#[tokio::test(start_paused = true)]
async fn the_lifetime_begins_with_the_load() {
    let (cache, store) = (cache(), Asked::of(grant(key(1))));
    let slow = || async {
        tokio::time::sleep(BOUND - SECOND).await;
        store.find().await
    };
    cache.load(key(1), slow).await.unwrap().unwrap();
    cache.heard(Instant::now());
    assert!(cache.cached(key(1)).is_some());
    advance(SECOND).await;
    assert!(cache.cached(key(1)).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_code_that_waits_an_unknown_grant_and_an_error_are_not_kept() {
    let (cache, store) = (cache(), Asked::default());
    assert!(load(&cache, key(1), &store).await.is_none());
    assert!(cache.cached(key(1)).is_none());
    store.says(Grant { redeemed: None, ..grant(key(1)) });
    assert!(load(&cache, key(1), &store).await.is_some());
    assert!(cache.cached(key(1)).is_none());
    let down = || async { Err(DatabaseError::refused("down")) };
    assert_eq!(cache.load(key(1), down).await.unwrap_err().to_string(), "down");
    store.says(grant(key(1)));
    assert_eq!(store.times(), 2);
    load(&cache, key(1), &store).await.unwrap();
    assert_eq!(store.times(), 1, "an error is not kept either");
    // A client's own grant has no code.
    store.says(Grant { redeemed: None, redirect_uri: None, ..grant(key(2)) });
    load(&cache, key(2), &store).await.unwrap();
    assert!(cache.cached(key(2)).is_some());
}

#[tokio::test]
async fn those_who_load_one_grant_at_once_ask_once_and_get_the_same_answer() {
    let (cache, store, gate) = (cache(), Asked::of(grant(key(1))), Notify::new());
    for down in [false, true] {
        let slow = || async {
            gate.notified().await;
            let answer = store.find().await;
            if down { Err(DatabaseError::refused("down")) } else { answer }
        };
        let loads = (0..100).map(|_| cache.load(key(1), slow));
        let open = async {
            tokio::task::yield_now().await;
            gate.notify_one();
        };
        let all = async { futures_of(loads).await };
        let (answers, ()) = tokio::join!(all, open);
        assert_eq!(store.times(), 1);
        assert!(answers.iter().all(|answer| answer.is_err() == down));
        cache.forget(Which::All);
    }
    // Another grant is another question.
    tokio::join!(load(&cache, key(1), &store), load(&cache, key(2), &store));
    assert_eq!(store.times(), 2);
}

/// All of them, polled in turn by one task.
async fn futures_of<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = futures.map(Box::pin).collect();
    let mut done = Vec::new();
    std::future::poll_fn(|context| {
        waiting.retain_mut(|future| match future.as_mut().poll(context) {
            std::task::Poll::Ready(answer) => {
                done.push(answer);
                false
            }
            std::task::Poll::Pending => true,
        });
        if waiting.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    done
}

#[tokio::test]
async fn who_goes_away_while_he_loads_leaves_that_to_the_next_who_waits() {
    let (cache, store, gate) = (cache(), Asked::of(grant(key(1))), Notify::new());
    let slow = || async {
        gate.notified().await;
        store.find().await
    };
    let mut first = Box::pin(cache.load(key(1), slow));
    let mut second = Box::pin(cache.load(key(1), slow));
    assert!(is_waiting(&mut first).await && is_waiting(&mut second).await);
    drop(first);
    gate.notify_one();
    second.await.unwrap().unwrap();
    assert_eq!(store.times(), 1);
    assert!(cache.cached(key(1)).is_some());
}

async fn is_waiting<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|context| std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(context).is_pending()))
        .await
}

/// A load that began before a grant was forgotten may have read it as it was.
#[tokio::test]
async fn what_is_being_loaded_when_it_is_forgotten_is_neither_kept_nor_shared_with_who_comes_later() {
    let issuer = Issuer::from("https://a.example");
    let holders = [
        Holder::User("alice".into()),
        Holder::UserAtClient("alice".into(), "app".into()),
        // Nobody knows yet whose it is that is being loaded.
        Holder::Client("another".into()),
    ];
    let one = std::iter::once(Which::One(key(1)));
    for which in one.chain(holders.iter().map(|holder| Which::Of(&issuer, holder))).chain([Which::All]) {
        let (cache, before, after) = (cache(), Asked::of(grant(key(1))), Asked::of(revoked(key(1))));
        let gate = Notify::new();
        let slow = || async {
            let answer = before.find().await;
            gate.notified().await;
            answer
        };
        let mut early = Box::pin(cache.load(key(1), slow));
        assert!(is_waiting(&mut early).await);
        drop(cache.changing(which));
        let late = tokio::time::timeout(SECOND * 10, load(&cache, key(1), &after)).await;
        let late = late.expect("it waits for nobody").unwrap();
        assert!(late.revoked().is_some(), "who comes later asks anew");
        gate.notify_one();
        assert!(early.await.unwrap().unwrap().revoked().is_none(), "who came before gets what was then");
        let kept = cache.cached(key(1)).unwrap();
        assert!(kept.revoked().is_some(), "and that is not kept");
    }
}

#[tokio::test]
async fn what_is_forgotten_is_gone_and_nothing_else() {
    let (cache, issuer) = (cache(), Issuer::from("https://a.example"));
    let of = |number, subject: &str, client: &str| Grant {
        subject: Some(subject.into()),
        client: client.into(),
        ..grant(key(number))
    };
    let grants = [of(1, "alice", "app"), of(2, "alice", "other"), of(3, "bob", "app")];
    let foreign = Grant { issuer: "https://b.example".into(), ..of(4, "alice", "app") };
    let ended = revoked(key(5));
    let all = grants.into_iter().chain([foreign, ended]).collect::<Vec<_>>();
    let kept_after = async |which| {
        for grant in &all {
            load(&cache, grant.key, &Asked::of(grant.clone())).await;
        }
        cache.forget(which);
        let kept = (1..=5).filter(|number| cache.cached(key(*number)).is_some()).collect::<Vec<_>>();
        cache.forget(Which::All);
        kept
    };
    let (alice, app) = (Holder::User("alice".into()), Holder::Client("app".into()));
    let both = Holder::UserAtClient("alice".into(), "app".into());
    assert_eq!(kept_after(Which::One(key(2))).await, [1, 3, 4, 5]);
    assert_eq!(kept_after(Which::Of(&issuer, &alice)).await, [3, 4]);
    assert_eq!(kept_after(Which::Of(&issuer, &app)).await, [2, 4]);
    assert_eq!(kept_after(Which::Of(&issuer, &both)).await, [2, 3, 4]);
    assert_eq!(kept_after(Which::Over(&issuer, at(60), SECOND * 3600)).await, [1, 2, 3, 4]);
    assert_eq!(kept_after(Which::All).await, [0_u32; 0]);
}

/// Whether the change is done, fails, or is given up half-way.
#[tokio::test]
async fn a_change_forgets_the_grant_whatever_became_of_it() {
    let (cache, store) = (cache(), Asked::of(grant(key(1))));
    let change = async |fails: bool| {
        let _changing = cache.changing(Which::One(key(1)));
        tokio::task::yield_now().await;
        if fails { Err(DatabaseError::refused("down")) } else { Ok(()) }
    };
    for fails in [false, true] {
        load(&cache, key(1), &store).await.unwrap();
        assert_eq!(change(fails).await.is_err(), fails);
        assert!(cache.cached(key(1)).is_none());
    }
    load(&cache, key(1), &store).await.unwrap();
    let mut given_up = Box::pin(change(false));
    assert!(is_waiting(&mut given_up).await);
    drop(given_up);
    assert!(cache.cached(key(1)).is_none());
}

#[tokio::test(start_paused = true)]
async fn no_more_grants_are_kept_than_may_be_and_the_oldest_go_first() {
    let cache = in_contact(GrantCache::of(BOUND, 640));
    let entries = || cache.shards.iter().map(|shard| shard.read().unwrap().len()).sum::<usize>();
    for number in 0..10_000 {
        load(&cache, key(number), &Asked::of(grant(key(number)))).await.unwrap();
        assert!(entries() <= 640);
        assert!(cache.cached(key(number)).is_some(), "the last one is there");
        // Whatever is forgotten and loaded again takes no room for ever.
        cache.forget(Which::One(key(number / 2)));
    }
    assert!(cache.cached(key(1)).is_none());
    assert!((9_500..10_000).all(|number| cache.cached(key(number)).is_some()));
    advance(BOUND).await;
    cache.heard(Instant::now());
    for number in 0..64 {
        load(&cache, key(number), &Asked::of(grant(key(number)))).await.unwrap();
    }
    assert_eq!(entries(), 64, "what is over makes room");
}

/// No moment is so far away.
#[tokio::test(start_paused = true)]
async fn a_lifetime_without_end_is_an_hour() {
    let (cache, store) = (in_contact(GrantCache::new(Duration::MAX)), Asked::of(grant(key(1))));
    load(&cache, key(1), &store).await.unwrap();
    advance(Duration::from_secs(3_599)).await;
    cache.heard(Instant::now());
    assert!(cache.cached(key(1)).is_some());
    advance(SECOND).await;
    assert!(cache.cached(key(1)).is_none());
}

#[tokio::test(start_paused = true)]
async fn without_a_lifetime_every_check_asks() {
    let (cache, store) = (in_contact(GrantCache::new(Duration::ZERO)), Asked::of(grant(key(1))));
    for _ in 0..3 {
        load(&cache, key(1), &store).await.unwrap();
        assert!(cache.cached(key(1)).is_none());
    }
    assert_eq!((store.times(), cache.pace()), (3, None));
}

#[tokio::test(start_paused = true)]
async fn who_is_out_of_contact_for_longer_than_the_lifetime_asks_until_it_is_back() {
    let (cache, store) = (GrantCache::new(BOUND), Asked::of(grant(key(1))));
    for _ in 0..2 {
        load(&cache, key(1), &store).await.unwrap();
        assert!(cache.cached(key(1)).is_none(), "it never was in contact");
    }
    assert_eq!(store.times(), 2);
    cache.heard(Instant::now());
    advance(BOUND - SECOND).await;
    load(&cache, key(1), &store).await.unwrap();
    assert!(cache.cached(key(1)).is_some());
    advance(SECOND).await;
    for _ in 0..2 {
        load(&cache, key(1), &store).await.unwrap();
        assert!(cache.cached(key(1)).is_none(), "out of contact");
    }
    assert_eq!(store.times(), 3);
    cache.heard(Instant::now());
    assert!(cache.cached(key(1)).is_none(), "what was read before is dropped");
    load(&cache, key(1), &store).await.unwrap();
    assert!(cache.cached(key(1)).is_some());
}

/// So that one question that is lost on its way does not turn the cache off.
#[test]
fn the_store_is_asked_several_times_in_a_lifetime() {
    for lifetime in [BOUND, SECOND, BOUND * 100, SECOND / 4] {
        assert!(GrantCache::new(lifetime).pace().unwrap() * 4 <= lifetime);
        assert!(GrantCache::new(lifetime).pace().unwrap() <= SECOND);
    }
}

// ---- what others revoke ---------------------------------------------------------------------------------------------

/// A cache with the grants 1 and 2, and a listener that has heard of everything up to 7.
async fn listening() -> (GrantCache, Listener) {
    let (cache, mut listener) = (cache(), Listener::default());
    answered(&mut listener, &cache, 7);
    refill(&cache).await;
    (cache, listener)
}

fn answered(listener: &mut Listener, cache: &GrantCache, number: u64) {
    let question = listener.asking();
    listener.answered(cache, &question, vec![number]);
}

fn told(listener: &mut Listener, cache: &GrantCache, number: u64, keys: &[u32]) {
    listener.told(cache, &message(number, keys));
}

fn message(number: u64, keys: &[u32]) -> String {
    keys.iter().fold(number.to_string(), |message, number| format!("{message} {}", key(*number)))
}

async fn refill(cache: &GrantCache) {
    for number in 1..=2 {
        load(cache, key(number), &Asked::of(grant(key(number)))).await.unwrap();
    }
}

fn known(cache: &GrantCache) -> [bool; 2] {
    [1, 2].map(|number| cache.cached(key(number)).is_some())
}

#[tokio::test(start_paused = true)]
async fn what_is_told_is_forgotten_at_once() {
    let (cache, mut listener) = listening().await;
    told(&mut listener, &cache, 8, &[9, 1]);
    assert_eq!(known(&cache), [false, true]);
    answered(&mut listener, &cache, 8);
    assert_eq!(known(&cache), [false, true], "nothing was missed");
    told(&mut listener, &cache, 9, &[]);
    assert_eq!(known(&cache), [false, false], "too many to name");
    for nonsense in ["", " ", "10 ", "x 1", "10 AAAA"] {
        refill(&cache).await;
        listener.told(&cache, nonsense);
        assert_eq!(known(&cache), [false, false], "{nonsense:?} may say anything");
    }
    refill(&cache).await;
    answered(&mut listener, &cache, 9);
    assert_eq!(known(&cache), [true, true]);
}

#[tokio::test(start_paused = true)]
async fn where_something_was_not_told_everything_is_forgotten() {
    let (cache, mut listener) = listening().await;
    told(&mut listener, &cache, 9, &[1]);
    assert_eq!(known(&cache), [false, false], "8 is missing");
    refill(&cache).await;
    answered(&mut listener, &cache, 9);
    assert_eq!(known(&cache), [true, true], "9 was heard of");
    answered(&mut listener, &cache, 10);
    assert_eq!(known(&cache), [false, false], "10 was not");
    refill(&cache).await;
    told(&mut listener, &cache, 10, &[2]);
    assert_eq!(known(&cache), [true, false], "told late");
    answered(&mut listener, &cache, 10);
    assert_eq!(known(&cache), [true, false]);
}

/// Each lane counts for itself, and a message is in the lane of its key.
#[tokio::test(start_paused = true)]
async fn a_gap_is_found_in_every_lane() {
    let (cache, mut listener) = (cache(), Listener::default());
    let answer = |listener: &mut Listener, lanes: [u64; 64]| {
        let question = listener.asking();
        listener.answered(&cache, &question, lanes.to_vec());
    };
    let mut lanes = [5; 64];
    answer(&mut listener, lanes);
    refill(&cache).await;
    // Keys whose first byte is 255, 4 and 3.
    for (number, lane) in [(255, 63), (4, 1), (3, 0)] {
        lanes[lane] += 1;
        told(&mut listener, &cache, lanes[lane], &[number]);
        answer(&mut listener, lanes);
        assert_eq!(known(&cache), [true, true], "nothing was missed");
    }
    told(&mut listener, &cache, lanes[63] + 2, &[255]);
    assert_eq!(known(&cache), [false, false], "told with a gap");
    lanes[63] += 2;
    refill(&cache).await;
    answer(&mut listener, lanes);
    assert_eq!(known(&cache), [true, true]);
    lanes[17] += 1;
    answer(&mut listener, lanes);
    assert_eq!(known(&cache), [false, false], "not told");
}

/// The answer is of the moment at which the store was asked.
#[tokio::test(start_paused = true)]
async fn an_answer_that_what_was_told_has_overtaken_is_no_gap() {
    let (cache, mut listener) = listening().await;
    let question = listener.asking();
    told(&mut listener, &cache, 8, &[1]);
    told(&mut listener, &cache, 9, &[9]);
    listener.answered(&cache, &question, vec![8]);
    assert_eq!(known(&cache), [false, true]);
    told(&mut listener, &cache, 10, &[9]);
    assert_eq!(known(&cache), [false, true]);
}

#[tokio::test(start_paused = true)]
async fn after_a_reconnect_or_in_an_older_database_everything_is_forgotten() {
    let (cache, mut listener) = listening().await;
    answered(&mut listener, &cache, 3);
    assert_eq!(known(&cache), [false, false], "a backup was restored");
    refill(&cache).await;
    listener.reconnected();
    told(&mut listener, &cache, 9, &[9]);
    assert_eq!(known(&cache), [true, true]);
    answered(&mut listener, &cache, 9);
    assert_eq!(known(&cache), [false, false]);
}

/// An answer says what was so when it was asked for, and not when it arrives.
#[tokio::test(start_paused = true)]
async fn contact_is_counted_from_the_question() {
    let (cache, mut listener) = listening().await;
    let question: Question = listener.asking();
    advance(SECOND * 2).await;
    listener.answered(&cache, &question, vec![7]);
    assert_eq!(known(&cache), [true, true]);
    advance(BOUND - SECOND * 2).await;
    assert!(!cache.is_in_contact(Instant::now()));
}

/// A connection whose other end is the test's.
struct Line {
    told: mpsc::UnboundedReceiver<Result<String, DatabaseError>>,
    number: watch::Receiver<Option<u64>>,
    /// What is told when the number is asked for, before the answer.
    before: Arc<Mutex<Option<Result<String, DatabaseError>>>>,
    first: Option<Result<String, DatabaseError>>,
}

impl Feed for Line {
    async fn told(&mut self) -> Result<String, DatabaseError> {
        if let Some(first) = self.first.take() {
            return first;
        }
        self.told.recv().await.unwrap_or_else(|| Err(DatabaseError::refused("cut")))
    }

    async fn numbers(&mut self) -> Result<Vec<u64>, DatabaseError> {
        self.first = self.before.lock().unwrap().take();
        let number = *self.number.borrow();
        match number {
            Some(number) => Ok(vec![number]),
            // Silence.
            None => std::future::pending().await,
        }
    }
}

type Told = mpsc::UnboundedSender<Result<String, DatabaseError>>;

/// The other end of the last connection, and what is told before the next answer.
#[derive(Clone, Default)]
struct Tell {
    line: Arc<Mutex<Option<Told>>>,
    before: Arc<Mutex<Option<Result<String, DatabaseError>>>>,
}

/// A cache that follows a store: what the store tells, and the number that it answers.
fn following() -> (Arc<GrantCache>, Following, Tell, watch::Sender<Option<u64>>) {
    let (cache, tell) = (Arc::new(GrantCache::new(BOUND)), Tell::default());
    let (number, answer) = watch::channel(Some(7));
    let last = tell.clone();
    let following = Following::start(&cache, move || {
        let (line, told) = mpsc::unbounded_channel();
        *last.line.lock().unwrap() = Some(line);
        let (number, before) = (answer.clone(), Arc::clone(&last.before));
        async move { Ok(Line { told, number, before, first: None }) }
    });
    (cache, following, tell, number)
}

#[tokio::test(start_paused = true)]
async fn what_the_store_tells_is_forgotten_and_what_it_does_not_is_found_within_a_second() {
    let (cache, _following, tells, number) = following();
    let tell = |told: Result<String, DatabaseError>| tells.line.lock().unwrap().as_ref().unwrap().send(told).unwrap();
    tokio::time::sleep(SECOND / 10).await;
    refill(&cache).await;
    assert_eq!(known(&cache), [true, true]);
    number.send_replace(Some(8));
    tell(Ok(message(8, &[1])));
    tokio::task::yield_now().await;
    assert_eq!(known(&cache), [false, true]);
    tokio::time::sleep(SECOND * 2).await;
    assert_eq!(known(&cache), [false, true], "nothing was missed");

    number.send_replace(Some(9));
    tokio::time::sleep(SECOND).await;
    assert_eq!(known(&cache), [false, false], "it was not told");

    // What comes with the answer is heard before it.
    refill(&cache).await;
    number.send_replace(Some(10));
    *tells.before.lock().unwrap() = Some(Ok(message(10, &[2])));
    tokio::time::sleep(SECOND).await;
    assert_eq!(known(&cache), [true, false]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_or_falls_silent_is_made_anew() {
    let (cache, following, tells, number) = following();
    tokio::time::sleep(SECOND / 10).await;
    refill(&cache).await;
    tells.line.lock().unwrap().take();
    tokio::time::sleep(SECOND / 2).await;
    assert_eq!(known(&cache), [false, false], "whatever was told meanwhile was missed");
    refill(&cache).await;
    assert_eq!(known(&cache), [true, true], "it is in contact again");

    number.send_replace(None);
    tokio::time::sleep(BOUND - SECOND / 2).await;
    refill(&cache).await;
    tokio::time::sleep(SECOND).await;
    refill(&cache).await;
    assert_eq!(known(&cache), [false, false], "out of contact");
    number.send_replace(Some(7));
    tokio::time::sleep(BOUND + SECOND).await;
    refill(&cache).await;
    assert_eq!(known(&cache), [true, true], "another connection answers");

    drop(following);
    tokio::time::sleep(BOUND).await;
    assert!(tells.line.lock().unwrap().as_ref().unwrap().is_closed(), "nobody follows");
}

// ---- races ----------------------------------------------------------------------------------------------------------

const ROUNDS: u32 = 20_000;

/// One grant of a store that others read while it is revoked.
struct Round {
    cache: Arc<GrantCache>,
    key: GrantKey,
    is_revoked: AtomicBool,
    has_returned: AtomicBool,
}

impl Round {
    async fn find(&self) -> Answer {
        let read = if self.is_revoked.load(Ordering::SeqCst) { revoked(self.key) } else { grant(self.key) };
        // On its way back.
        tokio::task::yield_now().await;
        Ok(Some(Arc::new(read)))
    }

    /// As a store does it: the change, then the answer.
    async fn revoke(&self, which: Which<'_>) {
        let _changing = self.cache.changing(which);
        tokio::task::yield_now().await;
        self.is_revoked.store(true, Ordering::SeqCst);
    }

    /// Checks until the revocation has returned and a while longer; whether it was alive in a check that began then.
    async fn check(&self) -> bool {
        let mut after = 0;
        while after < 3 {
            let begun_after = self.has_returned.load(Ordering::SeqCst);
            let grant = match self.cache.cached(self.key) {
                Some(grant) => grant,
                None => self.cache.load(self.key, || self.find()).await.unwrap().unwrap(),
            };
            if begun_after && grant.revoked().is_none() {
                return true;
            }
            after += u32::from(begun_after);
            tokio::task::yield_now().await;
        }
        false
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_check_that_begins_after_a_revocation_returned_finds_the_grant_alive() {
    let cache = Arc::new(in_contact(GrantCache::of(SECOND * 3600, 1_000)));
    for number in 0..ROUNDS {
        let round = Arc::new(Round {
            cache: Arc::clone(&cache),
            key: key(number),
            is_revoked: AtomicBool::new(false),
            has_returned: AtomicBool::new(false),
        });
        let checks: Vec<_> = (0..3)
            .map(|_| {
                let round = Arc::clone(&round);
                tokio::spawn(async move { round.check().await })
            })
            .collect();
        let (issuer, alice) = (Issuer::from("https://a.example"), Holder::User("alice".into()));
        let which = if number % 4 == 0 { Which::Of(&issuer, &alice) } else { Which::One(round.key) };
        round.revoke(which).await;
        round.has_returned.store(true, Ordering::SeqCst);
        for check in checks {
            assert!(!check.await.unwrap(), "alive after it was revoked, in round {number}");
        }
    }
}
