//! One document that others publish, kept as what it was read into.
//!
//! It is fetched once for all who ask meanwhile. An answer that is not good never takes the place of one that was; it is
//! remembered for a moment, in which nobody knocks again.

mod state;
#[cfg(test)]
pub(super) mod tests;

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header::ACCEPT};
use tokio::time::timeout;

use self::state::{State, Step};
use super::freshness::freshness;
use super::{BoxError, DynFetch, Flight, MOST_BYTES, MostBytes};
use crate::clock::Clock;
use crate::types::UnixTime;

/// How long documents are kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// One is fresh for as long as its headers say, but not for less than this..
    pub(crate) fresh_at_least: Duration,
    /// ..nor for more.
    pub(crate) fresh_at_most: Duration,
    /// For how long it is fresh where its headers say nothing.
    pub(crate) fresh_unsaid: Duration,
    /// For how long it is good after that, while no other can be had.
    pub(crate) stale_if_error: Duration,
    /// How often somebody who misses something in it can have it fetched anew.
    pub(crate) cooldown: Duration,
    /// For how long a failure is the answer before there is another try.
    pub(crate) back_off: Duration,
    /// For how long after a failure nobody waits for such a try who can have one that is good.
    pub(crate) down_for: Duration,
    /// A client that has not answered by then is not waited for, however patient it is itself.
    pub(crate) longest: Duration,
}

impl Default for Terms {
    /// Fresh for 1 minute to 1 hour, 5 minutes where nothing is said; good for 1 hour after that; anew every 30 seconds;
    /// a failure holds for 5 seconds, and for 1 minute nobody waits; 30 seconds for a fetch.
    fn default() -> Self {
        Self {
            fresh_at_least: Duration::from_secs(60),
            fresh_at_most: Duration::from_secs(3_600),
            fresh_unsaid: Duration::from_secs(300),
            stale_if_error: Duration::from_secs(3_600),
            cooldown: Duration::from_secs(30),
            back_off: Duration::from_secs(5),
            down_for: Duration::from_secs(60),
            longest: Duration::from_secs(30),
        }
    }
}

/// Makes what is kept of an answer that is 200 and small enough. It is told the URL.
type Read<T> = Box<dyn Fn(&str, &Response<Bytes>) -> Result<T, BoxError> + Send + Sync>;

/// Makes the request for what lies at a URL.
type Ask = Box<dyn Fn(&str) -> http::Result<Request<Bytes>> + Send + Sync>;

/// Where documents of one kind come from, and what becomes of them.
pub(crate) struct Source<T> {
    fetch: Arc<dyn DynFetch>,
    clock: Arc<dyn Clock>,
    terms: Terms,
    ask: Ask,
    most_bytes: usize,
    read: Read<T>,
}

impl<T> Source<T> {
    pub(crate) fn new(
        fetch: Arc<dyn DynFetch>,
        clock: Arc<dyn Clock>,
        terms: Terms,
        read: impl Fn(&str, &Response<Bytes>) -> Result<T, BoxError> + Send + Sync + 'static,
    ) -> Self {
        Self { fetch, clock, terms, ask: Box::new(get), most_bytes: MOST_BYTES, read: Box::new(read) }
    }

    /// Asks by another request, and for an answer of up to so many bytes.
    pub(crate) fn asking(
        self,
        ask: impl Fn(&str) -> http::Result<Request<Bytes>> + Send + Sync + 'static,
        most_bytes: usize,
    ) -> Self {
        Self { ask: Box::new(ask), most_bytes, ..self }
    }

    /// The document, and for how long it is fresh.
    async fn load(&self, url: &str) -> Result<(T, Duration), BoxError> {
        let mut request = (self.ask)(url)?;
        if self.most_bytes != MOST_BYTES {
            request.extensions_mut().insert(MostBytes(self.most_bytes));
        }
        let response = timeout(self.terms.longest, self.fetch.fetch(request)).await??;
        if response.status() != StatusCode::OK {
            return Err(Unfit::Status(response.status()).into());
        }
        // Whoever fetched it.
        if response.body().len() > self.most_bytes {
            return Err(Unfit::TooLong(self.most_bytes).into());
        }
        let value = (self.read)(url, &response)?;
        let terms = &self.terms;
        let said = freshness(response.headers(), self.now()).unwrap_or(terms.fresh_unsaid);
        Ok((value, said.max(terms.fresh_at_least).min(terms.fresh_at_most)))
    }

    fn now(&self) -> UnixTime {
        self.clock.now().into()
    }
}

fn get(url: &str) -> http::Result<Request<Bytes>> {
    Request::get(url).header(ACCEPT, "application/json, application/jwk-set+json").body(Bytes::new())
}

type Answer<T> = Result<Arc<T>, FetchError>;

/// A document. Its clones are the same one.
pub(crate) struct Document<T>(Arc<Inner<T>>);

struct Inner<T> {
    url: Arc<str>,
    source: Arc<Source<T>>,
    state: Mutex<State<T>>,
}

impl<T: Send + Sync + 'static> Document<T> {
    /// Nothing is fetched before somebody asks.
    pub(crate) fn new(url: &str, source: Arc<Source<T>>) -> Self {
        Self(Arc::new(Inner { url: url.into(), source, state: Mutex::new(State::default()) }))
    }

    pub(crate) fn url(&self) -> &str {
        &self.0.url
    }

    /// The document, if it is known to be good without a wait.
    pub(crate) fn cached(&self) -> Option<Arc<T>> {
        let now = self.0.source.now();
        self.0.state().fresh(now).cloned()
    }

    /// The document, waited for only where there is none that is good. Needs a runtime of tokio.
    ///
    /// One that will soon be stale is fetched while it is still given out. A stale one is given out if no other can be
    /// had, for [a while](Terms::stale_if_error).
    pub(crate) async fn get(&self) -> Answer<T> {
        let flight = {
            let mut state = self.0.state();
            match state.get(self.0.source.now(), &self.0.source.terms) {
                Step::Answer(answer) => return answer,
                Step::AnswerAndFetch(value) => {
                    self.fetch(&mut state);
                    return Ok(value);
                }
                Step::Fetch => self.fetch(&mut state),
            }
        };
        self.landed(flight).await.or_else(|error| self.usable().ok_or(error))
    }

    /// The document as it is now: never a stale one, whatever becomes of the fetch.
    pub(crate) async fn current(&self) -> Answer<T> {
        let flight = {
            let mut state = self.0.state();
            match state.current(self.0.source.now()) {
                Step::Answer(answer) => return answer,
                Step::AnswerAndFetch(value) => {
                    self.fetch(&mut state);
                    return Ok(value);
                }
                Step::Fetch => self.fetch(&mut state),
            }
        };
        self.landed(flight).await
    }

    /// What there is without a fetch, however stale it may be given out.
    pub(crate) fn at_hand(&self) -> Option<Arc<T>> {
        self.usable()
    }

    /// The document, for somebody who missed something in `seen`, such as a key. At most once in
    /// [a while](Terms::cooldown) it is fetched anew for that; otherwise the answer is what there is. An error says that
    /// nobody can tell now whether there is a newer one.
    pub(crate) async fn newer(&self, seen: &Arc<T>) -> Answer<T> {
        let flight = {
            let mut state = self.0.state();
            match state.newer(seen, self.0.source.now(), &self.0.source.terms) {
                Step::Answer(answer) => return answer,
                Step::AnswerAndFetch(value) => return Ok(value),
                Step::Fetch => self.fetch(&mut state),
            }
        };
        self.landed(flight).await
    }

    /// Whether it was there the last time that it was asked for, or somebody waits for it now: so that another one who asks
    /// has nothing asked for that a stranger made up.
    pub(super) fn is_expected(&self) -> bool {
        self.0.state().is_expected()
    }

    /// Whether nothing is kept of it, and nothing is on its way.
    pub(super) fn is_nothing(&self) -> bool {
        self.0.state().is_nothing()
    }

    /// Whether it is being fetched.
    pub(super) fn is_awaited(&self) -> bool {
        self.0.state().flight().is_some()
    }

    fn usable(&self) -> Option<Arc<T>> {
        let now = self.0.source.now();
        self.0.state().usable(now, &self.0.source.terms).cloned()
    }

    /// Joins who is fetching it, or begins.
    fn fetch(&self, state: &mut State<T>) -> Flight<Answer<T>> {
        if let Some(flight) = state.flight() {
            return flight.clone();
        }
        let this = self.clone();
        let flight = Flight::take_off(async move {
            let began = this.0.source.now();
            let loaded = this.0.source.load(this.url()).await;
            let loaded = loaded.map_err(|cause| FetchError::new(&this.0.url, cause));
            this.0.state().land(loaded, began, this.0.source.now())
        });
        state.take_off(flight.clone());
        flight
    }

    async fn landed(&self, flight: Flight<Answer<T>>) -> Answer<T> {
        flight.landed().await.unwrap_or_else(|| Err(FetchError::new(&self.0.url, "the fetch was broken off")))
    }
}

impl<T> Inner<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Clone for Document<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> fmt::Debug for Document<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Document").field(&self.0.url).finish()
    }
}

/// An answer of which nothing is read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unfit {
    /// Another one than 200.
    Status(StatusCode),
    /// More bytes than these.
    TooLong(usize),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "the answer is {status}"),
            Self::TooLong(most) => write!(f, "the answer is longer than {} KiB", most / 1024),
        }
    }
}

impl Error for Unfit {}

/// A document cannot be had.
#[derive(Clone, Debug)]
pub(crate) struct FetchError {
    url: Arc<str>,
    cause: Arc<dyn Error + Send + Sync>,
}

impl FetchError {
    pub(crate) fn new(url: &str, cause: impl Into<BoxError>) -> Self {
        Self { url: url.into(), cause: cause.into().into() }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be read", self.url)
    }
}

impl Error for FetchError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.cause)
    }
}
