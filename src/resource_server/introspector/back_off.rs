//! A server that does not answer is left alone for a moment. No I/O.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::types::UnixTime;

/// For how long nobody asks, and then how often somebody tries.
const BACK_OFF: Duration = Duration::from_secs(5);

/// Whether there is any use in asking.
#[derive(Default)]
pub(super) struct BackOff(Mutex<State>);

#[derive(Default)]
struct State {
    /// When a question was not answered, or somebody tried again.
    silent: Option<UnixTime>,
    /// How many answers came.
    answers: u64,
}

/// How many answers had come when a question began.
#[derive(Clone, Copy)]
pub(super) struct Begun(u64);

impl BackOff {
    pub(super) fn begun(&self) -> Begun {
        Begun(self.state().answers)
    }

    /// Whether to ask: of those who come when the moment is over one tries, and the others wait for another moment.
    pub(super) fn lets_ask(&self, now: UnixTime) -> bool {
        let mut state = self.state();
        let holds = state.holds(now);
        if !holds && state.silent.is_some() {
            state.silent = Some(now);
        }
        !holds
    }

    /// There is an answer, whatever it says.
    pub(super) fn answered(&self) {
        let mut state = self.state();
        state.silent = None;
        state.answers += 1;
    }

    /// A question is over without an answer. That says something of the server only if it answered nobody else meanwhile:
    /// who finds a token that it cannot answer keeps nobody else's from being looked at.
    pub(super) fn unanswered(&self, begun: Begun, now: UnixTime) {
        let mut state = self.state();
        if state.answers == begun.0 && !state.holds(now) {
            state.silent = Some(now);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A clock that stepped back holds nobody up.
    fn holds(&self, now: UnixTime) -> bool {
        self.silent.is_some_and(|at| at <= now && now.since(at) < BACK_OFF.as_secs())
    }
}
