//! Cases measured in turns of a few milliseconds, so that whatever else the machine does touches all of them alike.

use std::{
    convert::Infallible,
    fmt, fs, thread,
    time::{Duration, Instant},
};

use http::{Request, Response, StatusCode};
use tower::Service;

use crate::{
    counting::counts,
    service::{NoBody, answer, request},
    tokens::{Draw, Tokens},
};

/// How many times each case has its turn.
pub const ROUNDS: usize = 41;
const TURN: Duration = Duration::from_millis(10);
/// Before each turn, untimed: the case before had the caches to itself.
const WARM_UP: Duration = Duration::from_millis(3);
/// Requests are made before the clock starts: few enough to stay in the cache nearest to the core.
const BATCH: usize = 32;
/// A turn is repeated, a few times, if the thread had to wait for a core for longer than this part of it.
const WAITED_AT_MOST: f64 = 0.03;
const TRIES: usize = 20;

/// One service under one load.
pub struct Case {
    turn: Box<dyn FnMut(Duration) -> Sample>,
    samples: Vec<Sample>,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case").finish_non_exhaustive()
    }
}

#[derive(Clone, Copy)]
struct Sample {
    nanoseconds: f64,
    allocations: f64,
}

impl Case {
    /// `service`, given `tokens` in random order; every answer must have `status`.
    pub fn new<S>(mut service: S, tokens: Tokens, status: StatusCode) -> Self
    where
        S: Service<Request<NoBody>, Response = Response<NoBody>, Error = Infallible> + 'static,
    {
        let mut draw = Draw::new();
        let mut batch = Vec::with_capacity(BATCH);
        let turn = move |at_least| {
            let (mut time, mut allocations, mut requests) = (Duration::ZERO, 0, 0_u32);
            let begin = Instant::now();
            while begin.elapsed() < at_least {
                batch.extend((0..BATCH).map(|_| request(tokens.get(draw.below(tokens.len())))));
                let before = counts().allocations;
                let start = Instant::now();
                let mut right = true;
                for request in batch.drain(..) {
                    right &= answer(&mut service, request).status() == status;
                }
                time += start.elapsed();
                allocations += counts().allocations - before;
                requests += BATCH as u32;
                assert!(right, "an answer other than {status}");
            }
            Sample {
                nanoseconds: time.as_secs_f64() * 1e9 / f64::from(requests),
                allocations: allocations as f64 / f64::from(requests),
            }
        };
        Self { turn: Box::new(turn), samples: Vec::new() }
    }

    fn take_turn(&mut self) {
        let mut best: Option<(f64, Sample)> = None;
        for _ in 0..TRIES {
            (self.turn)(WARM_UP);
            let (waited, start) = (waited(), Instant::now());
            let sample = (self.turn)(TURN);
            let took = start.elapsed().as_secs_f64();
            let part = (self::waited() - waited).as_secs_f64() / took;
            if best.as_ref().is_none_or(|(least, _)| part < *least) {
                best = Some((part, sample));
            }
            if part < WAITED_AT_MOST {
                break;
            }
            thread::sleep(TURN);
        }
        self.samples.extend(best.map(|(_, sample)| sample));
    }

    /// Median nanoseconds per request.
    #[must_use]
    pub fn nanoseconds(&self) -> f64 {
        median(self.samples.iter().map(|sample| sample.nanoseconds))
    }

    /// Median allocations per request.
    #[must_use]
    pub fn allocations(&self) -> f64 {
        median(self.samples.iter().map(|sample| sample.allocations))
    }
}

/// Gives every case its turns, in changing order.
pub fn run(cases: &mut [&mut Case]) {
    for round in 0..ROUNDS {
        let count = cases.len();
        for place in 0..count {
            let place = if round % 2 == 0 { place } else { count - 1 - place };
            cases[place].take_turn();
        }
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// How long this thread has been ready to run but without a core, where Linux tells.
fn waited() -> Duration {
    let nanoseconds = fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}
