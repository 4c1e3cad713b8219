use std::sync::atomic::{AtomicUsize, Ordering};

use http::header::CACHE_CONTROL;
use tokio::sync::{Barrier, Semaphore};

use super::*;
use crate::fetch::Fetch;
use crate::testing::ManualClock;

const URL: &str = "https://issuer.example/keys";
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A server of one document, whose answers wait at a gate while it is shut.
#[derive(Clone)]
pub(in crate::fetch) struct Site(Arc<Inside>);

struct Inside {
    gate: Semaphore,
    hits: AtomicUsize,
    answer: Mutex<Option<Response<Bytes>>>,
}

impl Site {
    pub(in crate::fetch) fn new() -> Self {
        let inside = Inside { gate: Semaphore::new(0), hits: AtomicUsize::new(0), answer: Mutex::new(None) };
        let site = Self(Arc::new(inside));
        site.open();
        site.says("one");
        site
    }

    fn answers(&self, response: Option<Response<Bytes>>) {
        *self.0.answer.lock().unwrap() = response;
    }

    pub(in crate::fetch) fn says(&self, text: &'static str) {
        self.answers(Some(Response::new(Bytes::from_static(text.as_bytes()))));
    }

    fn says_for(&self, text: &'static str, cache_control: &str) {
        let answer = Response::builder().header(CACHE_CONTROL, cache_control).body(text.into());
        self.answers(Some(answer.unwrap()));
    }

    fn is_down(&self) {
        self.answers(None);
    }

    pub(in crate::fetch) fn open(&self) {
        self.0.gate.add_permits(1_000);
    }

    pub(in crate::fetch) fn shut(&self) {
        self.0.gate.forget_permits(1_000);
    }

    pub(in crate::fetch) fn hits(&self) -> usize {
        self.0.hits.load(Ordering::SeqCst)
    }
}

impl Fetch for Site {
    type Error = &'static str;

    async fn fetch(&self, request: Request<Bytes>) -> Result<Response<Bytes>, &'static str> {
        assert!(request.uri().to_string().starts_with("https://"));
        self.0.hits.fetch_add(1, Ordering::SeqCst);
        let pass = self.0.gate.acquire().await.unwrap();
        let answer = self.0.answer.lock().unwrap().clone();
        drop(pass);
        answer.ok_or("connection refused")
    }
}

/// Texts are documents unless they say `bad`; some are for panics.
pub(in crate::fetch) fn source(site: &Site, clock: &ManualClock) -> Source<String> {
    let read = |_: &str, answer: &Response<Bytes>| match str::from_utf8(answer.body())? {
        "bad" => Err("not a document".into()),
        "panic" => panic!("as a test wants it"),
        text => Ok(text.to_owned()),
    };
    Source::new(Arc::new(site.clone()), Arc::new(clock.clone()), Terms::default(), read)
}

fn document() -> (Document<String>, Site, ManualClock) {
    let (site, clock) = (Site::new(), ManualClock::default());
    (Document::new(URL, Arc::new(source(&site, &clock))), site, clock)
}

/// Lets the tasks run that wait for nothing.
pub(in crate::fetch) async fn settle() {
    for _ in 0..32 {
        tokio::task::yield_now().await;
    }
}

async fn got(document: &Document<String>) -> String {
    document.get().await.map_or_else(|_| "error".to_owned(), |value| value.to_string())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_asks_meanwhile_shares_one_fetch() {
    for _ in 0..200 {
        let (document, site, _) = document();
        let barrier = Arc::new(Barrier::new(16));
        let callers: Vec<_> = (0..16)
            .map(|_| {
                let (document, barrier) = (document.clone(), Arc::clone(&barrier));
                tokio::spawn(async move {
                    barrier.wait().await;
                    document.get().await.unwrap()
                })
            })
            .collect();
        let mut values = Vec::new();
        for caller in callers {
            values.push(caller.await.unwrap());
        }
        assert!(values.iter().all(|value| Arc::ptr_eq(value, &values[0])));
        assert_eq!(site.hits(), 1);
    }
}

#[tokio::test]
async fn whoever_goes_away_takes_the_document_from_nobody() {
    let (document, site, _) = document();
    site.shut();
    let first = tokio::spawn({
        let document = document.clone();
        async move { document.get().await }
    });
    settle().await;
    let second = tokio::spawn({
        let document = document.clone();
        async move { got(&document).await }
    });
    settle().await;
    first.abort();
    settle().await;
    site.open();
    assert_eq!((second.await.unwrap(), site.hits()), ("one".to_owned(), 1));
}

#[tokio::test]
async fn it_is_fresh_for_what_its_headers_say_within_bounds() {
    for (cache_control, life) in
        [("max-age=600", 600), ("max-age=1", 60), ("no-store", 60), ("max-age=86400", 3_600), ("public", 300)]
    {
        let (document, site, clock) = document();
        site.says_for("one", cache_control);
        assert!(document.cached().is_none());
        document.get().await.unwrap();
        clock.advance(Duration::from_secs(life * 4 / 5 - 1));
        assert!(document.cached().is_some(), "{cache_control}");
        document.get().await.unwrap();
        settle().await;
        assert_eq!(site.hits(), 1, "{cache_control}");
        clock.advance(SECOND);
        assert!(document.cached().is_none(), "{cache_control}");
        document.get().await.unwrap();
        settle().await;
        assert_eq!(site.hits(), 2, "{cache_control}");
    }
}

#[tokio::test]
async fn what_will_soon_be_stale_is_fetched_while_it_is_given_out() {
    let (document, site, clock) = document();
    site.says_for("one", "max-age=100");
    assert_eq!(got(&document).await, "one");
    site.says("two");
    site.shut();
    clock.advance(Duration::from_secs(99));
    assert_eq!(got(&document).await, "one");
    assert_eq!(got(&document).await, "one");
    site.open();
    settle().await;
    assert_eq!((got(&document).await, site.hits()), ("two".to_owned(), 2));
}

#[tokio::test]
async fn what_is_stale_is_waited_for() {
    let (document, site, clock) = document();
    site.says_for("one", "max-age=100");
    assert_eq!(got(&document).await, "one");
    site.says("two");
    clock.advance(Duration::from_secs(100));
    assert_eq!((got(&document).await, site.hits()), ("two".to_owned(), 2));
}

/// Neither an outage nor what is no document takes the place of one.
#[tokio::test]
async fn what_is_stale_is_good_for_a_bounded_time_while_no_other_can_be_had() {
    let (document, site, clock) = document();
    let not_found = Response::builder().status(404).body("gone".into()).unwrap();
    let long = Response::new(Bytes::from(vec![b'x'; MOST_BYTES + 1]));
    assert_eq!(got(&document).await, "one");
    clock.advance(5 * MINUTE);
    for answer in [None, Some(Response::new("bad".into())), Some(not_found), Some(long)] {
        site.answers(answer);
        assert_eq!(got(&document).await, "one");
        settle().await;
        clock.advance(5 * SECOND);
    }
    assert_eq!(site.hits(), 5);
    clock.advance(60 * MINUTE - 21 * SECOND);
    assert_eq!(got(&document).await, "one");
    settle().await;
    clock.advance(SECOND);
    assert_eq!((got(&document).await, site.hits()), ("error".to_owned(), 6));
    site.says("two");
    clock.advance(4 * SECOND);
    assert_eq!((got(&document).await, site.hits()), ("two".to_owned(), 7));
}

#[tokio::test]
async fn a_failure_is_the_answer_for_a_moment() {
    let (document, site, clock) = document();
    site.is_down();
    let error = document.get().await.unwrap_err();
    assert_eq!(error.to_string(), "https://issuer.example/keys cannot be read");
    assert_eq!(error.source().unwrap().to_string(), "connection refused");
    site.says("one");
    clock.advance(4 * SECOND);
    assert_eq!((got(&document).await, site.hits()), ("error".to_owned(), 1));
    clock.advance(SECOND);
    assert_eq!((got(&document).await, site.hits()), ("one".to_owned(), 2));
}

/// Those who wait for a fetch that fails all hear so, and cause no other one.
#[tokio::test]
async fn a_failure_is_shared_like_a_document() {
    let (document, site, _) = document();
    site.is_down();
    site.shut();
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let document = document.clone();
            tokio::spawn(async move { got(&document).await })
        })
        .collect();
    settle().await;
    site.open();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), "error");
    }
    assert_eq!(site.hits(), 1);
}

#[tokio::test]
async fn while_the_other_side_is_down_nobody_waits_for_each_try() {
    let (document, site, clock) = document();
    assert_eq!(got(&document).await, "one");
    site.is_down();
    clock.advance(6 * MINUTE);
    assert_eq!(got(&document).await, "one");
    site.shut();
    clock.advance(6 * SECOND);
    assert_eq!(got(&document).await, "one");
    settle().await;
    assert_eq!(site.hits(), 3);
}

/// Where nobody asked for long, what the last try came to says nothing of now.
#[tokio::test]
async fn a_failure_of_long_ago_makes_nothing_stale_be_given_out() {
    let (document, site, clock) = document();
    assert_eq!(got(&document).await, "one");
    site.is_down();
    clock.advance(5 * MINUTE);
    assert_eq!(got(&document).await, "one");
    site.says("two");
    clock.advance(59 * MINUTE);
    assert_eq!((got(&document).await, site.hits()), ("two".to_owned(), 3));
}

/// A stranger who makes up names of keys must not make us hammer.
#[tokio::test]
async fn whoever_misses_something_has_it_fetched_anew_once_in_a_while() {
    let (document, site, clock) = document();
    let one = document.get().await.unwrap();
    site.says("two");
    let two = document.newer(&one).await.unwrap();
    assert_eq!((&**two, site.hits()), ("two", 2));
    for _ in 0..10 {
        assert!(Arc::ptr_eq(&document.newer(&two).await.unwrap(), &two));
    }
    clock.advance(29 * SECOND);
    assert!(Arc::ptr_eq(&document.newer(&two).await.unwrap(), &two));
    assert_eq!(site.hits(), 2);
    clock.advance(SECOND);
    assert!(!Arc::ptr_eq(&document.newer(&two).await.unwrap(), &two));
    assert_eq!(site.hits(), 3);
}

#[tokio::test]
async fn whoever_saw_an_older_one_gets_what_there_is() {
    let (document, site, clock) = document();
    let one = document.get().await.unwrap();
    clock.advance(5 * MINUTE);
    site.says("two");
    assert_eq!(got(&document).await, "two");
    assert_eq!((&**document.newer(&one).await.unwrap(), site.hits()), ("two", 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn all_who_miss_something_at_once_share_one_fetch() {
    for _ in 0..100 {
        let (document, site, _) = document();
        let one = document.get().await.unwrap();
        site.says("two");
        let barrier = Arc::new(Barrier::new(16));
        let callers: Vec<_> = (0..16)
            .map(|_| {
                let (document, one, barrier) = (document.clone(), Arc::clone(&one), Arc::clone(&barrier));
                tokio::spawn(async move {
                    barrier.wait().await;
                    document.newer(&one).await.unwrap().to_string()
                })
            })
            .collect();
        for caller in callers {
            assert_eq!(caller.await.unwrap(), "two");
        }
        assert_eq!(site.hits(), 2);
    }
}

/// What is missed may be there: that is no answer "there is none".
#[tokio::test]
async fn whoever_misses_something_hears_when_nobody_can_tell() {
    let (document, site, clock) = document();
    let one = document.get().await.unwrap();
    site.is_down();
    assert!(document.newer(&one).await.is_err());
    assert!(document.newer(&one).await.is_err());
    assert_eq!(site.hits(), 2);
    assert_eq!(got(&document).await, "one");
    site.says("two");
    clock.advance(5 * SECOND);
    assert_eq!((&**document.newer(&one).await.unwrap(), site.hits()), ("two", 3));
}

#[tokio::test]
async fn a_clock_that_stepped_back_makes_nothing_good_for_longer() {
    let (document, site, clock) = document();
    clock.advance(MINUTE);
    assert_eq!(got(&document).await, "one");
    clock.set(Clock::now(&clock) - 30 * SECOND);
    site.says("two");
    assert!(document.cached().is_none());
    assert_eq!((got(&document).await, site.hits()), ("two".to_owned(), 2));
    site.is_down();
    clock.advance(5 * MINUTE);
    assert_eq!((got(&document).await, site.hits()), ("two".to_owned(), 3));
    clock.set(Clock::now(&clock) - 10 * SECOND);
    site.says("three");
    assert_eq!(got(&document).await, "two");
    settle().await;
    assert_eq!((got(&document).await, site.hits()), ("three".to_owned(), 4));
}

#[tokio::test]
async fn a_fetch_that_panics_is_a_failure_and_the_next_caller_begins_anew() {
    let (document, site, _) = document();
    site.says("panic");
    assert_eq!(got(&document).await, "error");
    site.says("one");
    assert_eq!((got(&document).await, site.hits()), ("one".to_owned(), 2));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_answers_is_not_waited_for() {
    let (document, site, _) = document();
    site.shut();
    let began = tokio::time::Instant::now();
    assert_eq!(got(&document).await, "error");
    assert_eq!(began.elapsed(), Duration::from_secs(30));
}

#[tokio::test]
async fn what_is_no_url_is_an_error() {
    let (site, clock) = (Site::new(), ManualClock::default());
    let document = Document::new("https://exa mple", Arc::new(source(&site, &clock)));
    assert_eq!((got(&document).await, site.hits()), ("error".to_owned(), 0));
}
