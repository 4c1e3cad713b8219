//! What was counted, and what was wrong.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So many contradictions are told in full.
const TOLD: usize = 10;

/// Counts of one proof. What is wrong is told when it happens.
#[derive(Debug, Default)]
pub struct Tally {
    answered: AtomicU64,
    unavailable: AtomicU64,
    lost: AtomicU64,
    repeated: AtomicU64,
    late: AtomicU64,
    faults: AtomicU64,
    wrong: Mutex<Vec<String>>,
}

impl Tally {
    /// An exchange was answered.
    pub fn answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    /// An exchange was answered with 503.
    pub fn unavailable(&self) {
        self.unavailable.fetch_add(1, Ordering::Relaxed);
    }

    /// A request was sent and has no answer.
    pub fn lost(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// A refresh without an answer was repeated, and its client got on.
    pub fn repeated(&self) {
        self.repeated.fetch_add(1, Ordering::Relaxed);
    }

    /// A refresh without an answer could be repeated only when its grace was over.
    pub fn late(&self) {
        self.late.fetch_add(1, Ordering::Relaxed);
    }

    /// Something was broken on purpose.
    pub fn fault(&self) {
        self.faults.fetch_add(1, Ordering::Relaxed);
    }

    /// A promise was not kept.
    pub fn wrong(&self, what: impl Into<String>) {
        let what = what.into();
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if wrong.len() < TOLD {
            eprintln!("WRONG: {what}");
        }
        wrong.push(what);
    }

    /// The same, unless `good`.
    pub fn check(&self, good: bool, what: impl FnOnce() -> String) {
        if !good {
            self.wrong(what());
        }
    }

    /// How many exchanges were answered so far.
    pub fn answers(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// How many answers were 503 so far.
    pub fn unavailable_so_far(&self) -> u64 {
        self.unavailable.load(Ordering::Relaxed)
    }

    /// How many refreshes were repeated so far.
    pub fn repeats(&self) -> u64 {
        self.repeated.load(Ordering::Relaxed)
    }

    /// Whether every promise was kept.
    pub fn is_good(&self) -> bool {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        write!(
            f,
            "{} operations, {} faults, {} lost, {} answered 503, {} repeated, {} too late to repeat, {} wrong",
            count(&self.answered),
            count(&self.faults),
            count(&self.lost),
            count(&self.unavailable),
            count(&self.repeated),
            count(&self.late),
            self.wrong.lock().unwrap_or_else(PoisonError::into_inner).len(),
        )
    }
}

/// How many exchanges were answered in the last second.
#[derive(Debug)]
pub struct Rate<'t> {
    tally: &'t Tally,
    seen: Vec<(Instant, u64)>,
}

const SECOND: Duration = Duration::from_secs(1);
const LOOK: Duration = Duration::from_millis(50);

impl<'t> Rate<'t> {
    /// Begins to look.
    pub fn of(tally: &'t Tally) -> Self {
        Self { tally, seen: vec![(Instant::now(), tally.answers())] }
    }

    /// Waits a moment, then looks; `None` in the first second.
    pub async fn look(&mut self) -> Option<f64> {
        tokio::time::sleep(LOOK).await;
        let (now, answers) = (Instant::now(), self.tally.answers());
        self.seen.push((now, answers));
        let past = self.seen.iter().rposition(|(then, _)| now - *then >= SECOND)?;
        self.seen.drain(..past);
        let (then, before) = self.seen[0];
        Some((answers - before) as f64 / (now - then).as_secs_f64())
    }
}
