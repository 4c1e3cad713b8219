//! What is known of a document, and what follows from it and the clock. No I/O.

use std::sync::Arc;
use std::time::Duration;

use super::{Answer, FetchError, Flight, Terms};
use crate::types::UnixTime;

pub(super) struct State<T> {
    kept: Option<Kept<T>>,
    /// Why the last try failed, and when.
    failed: Option<(FetchError, UnixTime)>,
    flight: Option<Flight<Answer<T>>>,
    /// When somebody who missed something had it fetched anew.
    renewed: Option<UnixTime>,
}

struct Kept<T> {
    value: Arc<T>,
    read_at: UnixTime,
    /// How long it is fresh.
    life: Duration,
}

pub(super) enum Step<T> {
    Answer(Answer<T>),
    /// This is good, and will not be for long.
    AnswerAndFetch(Arc<T>),
    /// Wait for what is being fetched, or fetch it.
    Fetch,
}

impl<T> State<T> {
    pub(super) fn get(&self, now: UnixTime, terms: &Terms) -> Step<T> {
        if let Some(value) = self.fresh(now) {
            return Step::Answer(Ok(Arc::clone(value)));
        }
        let failed = self.failed(now, terms);
        match self.usable(now, terms) {
            Some(value) if failed.is_some() => Step::Answer(Ok(Arc::clone(value))),
            // While the other side is down nobody waits for each try.
            Some(value) if self.failed_within(terms.down_for, now).is_some() || self.is_within(now, Duration::ZERO) => {
                Step::AnswerAndFetch(Arc::clone(value))
            }
            _ => failed.map_or(Step::Fetch, |error| Step::Answer(Err(error.clone()))),
        }
    }

    pub(super) fn current(&self, now: UnixTime) -> Step<T> {
        if let Some(value) = self.fresh(now) {
            return Step::Answer(Ok(Arc::clone(value)));
        }
        match &self.kept {
            Some(kept) if self.is_within(now, Duration::ZERO) => Step::AnswerAndFetch(Arc::clone(&kept.value)),
            _ => Step::Fetch,
        }
    }

    pub(super) fn is_expected(&self) -> bool {
        self.kept.is_some() && self.failed.is_none() || self.flight().is_some()
    }

    pub(super) fn is_nothing(&self) -> bool {
        self.kept.is_none() && self.flight().is_none()
    }

    pub(super) fn newer(&mut self, seen: &Arc<T>, now: UnixTime, terms: &Terms) -> Step<T> {
        let usable = self.usable(now, terms).cloned();
        if let Some(value) = usable.as_ref().filter(|value| !Arc::ptr_eq(value, seen)) {
            return Step::Answer(Ok(Arc::clone(value)));
        }
        if self.flight().is_some() {
            return Step::Fetch;
        }
        if let Some(error) = self.failed(now, terms) {
            return Step::Answer(Err(error.clone()));
        }
        match usable {
            Some(value) if self.renewed.is_some_and(|at| is_within(at, terms.cooldown, now)) => Step::Answer(Ok(value)),
            _ => {
                self.renewed = Some(now);
                Step::Fetch
            }
        }
    }

    /// What is fresh, and will be for at least a fifth of its life.
    pub(super) fn fresh(&self, now: UnixTime) -> Option<&Arc<T>> {
        self.kept.as_ref().filter(|kept| is_within(kept.read_at, kept.life * 4 / 5, now)).map(|kept| &kept.value)
    }

    /// What is fresh, or stale for not too long.
    pub(super) fn usable(&self, now: UnixTime, terms: &Terms) -> Option<&Arc<T>> {
        self.kept.as_ref().filter(|_| self.is_within(now, terms.stale_if_error)).map(|kept| &kept.value)
    }

    /// Whether it is fresh, or was until so long ago.
    fn is_within(&self, now: UnixTime, more: Duration) -> bool {
        self.kept.as_ref().is_some_and(|kept| is_within(kept.read_at, kept.life.saturating_add(more), now))
    }

    fn failed(&self, now: UnixTime, terms: &Terms) -> Option<&FetchError> {
        self.failed_within(terms.back_off, now)
    }

    /// Why the last try failed, if that was so short a time ago.
    fn failed_within(&self, span: Duration, now: UnixTime) -> Option<&FetchError> {
        self.failed.as_ref().filter(|(_, at)| is_within(*at, span, now)).map(|(error, _)| error)
    }

    /// The fetch that is under way.
    pub(super) fn flight(&self) -> Option<&Flight<Answer<T>>> {
        self.flight.as_ref().filter(|flight| flight.is_under_way())
    }

    pub(super) fn take_off(&mut self, flight: Flight<Answer<T>>) {
        self.flight = Some(flight);
    }

    /// A fetch that `began` then has ended.
    pub(super) fn land(
        &mut self,
        loaded: Result<(T, Duration), FetchError>,
        began: UnixTime,
        now: UnixTime,
    ) -> Answer<T> {
        self.flight = None;
        match loaded {
            Ok((value, life)) => {
                let value = Arc::new(value);
                self.kept = Some(Kept { value: Arc::clone(&value), read_at: began, life });
                self.failed = None;
                Ok(value)
            }
            Err(error) => {
                self.failed = Some((error.clone(), now));
                // Nothing new was seen, so whoever missed something may try again when the failure is over.
                self.renewed = None;
                Err(error)
            }
        }
    }
}

impl<T> Default for State<T> {
    fn default() -> Self {
        Self { kept: None, failed: None, flight: None, renewed: None }
    }
}

/// Whether `now` is less than `span` after `start`. A clock that stepped back makes everything old, so that it is looked
/// at again.
fn is_within(start: UnixTime, span: Duration, now: UnixTime) -> bool {
    start <= now && Duration::from_secs(now.since(start)) < span
}
