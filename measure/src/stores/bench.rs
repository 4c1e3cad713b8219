//! A store and its floor, measured in turns, so that whatever else the machine does touches both alike.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;
use tower_oauth::{GrantKey, GrantStore, Rotation};

use super::{
    Problem,
    grants::{Known, Mine},
};

const CALLERS: [usize; 3] = [1, 8, 16];
/// Each case has so many turns, in changing order; the median counts. They are short, so that a store and its floor meet
/// the same machine.
const TURNS: usize = 121;
const TURN: Duration = Duration::from_millis(40);
/// How much of its floor a store reaches at least, in percent.
const LEAST: f64 = 85.0;

/// What a database needs for one row, with no store above it.
pub(super) trait Floor: Clone + Send + Sync + 'static {
    /// Changes two numbers of a row, and answers when that is as safe as in the store.
    fn write(&self, key: GrantKey) -> impl Future<Output = Result<(), Problem>> + Send;

    /// Reads a row whole.
    fn read(&self, key: GrantKey) -> impl Future<Output = Result<(), Problem>> + Send;
}

/// A store with its grants, and the same rows below it.
pub(super) struct Bench<S, F> {
    pub(super) store: S,
    pub(super) floor: F,
    pub(super) grants: Arc<[Known]>,
    pub(super) step: Rotation,
}

/// What a turn is of.
#[derive(Clone, Copy)]
enum Case {
    Rotate,
    Write,
    Find,
    Read,
}

const CASES: [Case; 4] = [Case::Rotate, Case::Write, Case::Find, Case::Read];

/// Says what was measured, and which bar it missed.
#[derive(Default)]
pub(super) struct Bar {
    shares: usize,
    missed: usize,
}

impl Bar {
    /// Measures at each number of callers.
    pub(super) async fn hold<S, F>(&mut self, what: &str, names: [&str; 2], bench: &Bench<S, F>) -> Result<(), Problem>
    where
        S: GrantStore<Error: Into<Problem>> + Clone,
        F: Floor,
    {
        let [write, read] = names;
        println!("\n{what}: per second, median of {TURNS} turns; share of the turn beside it; the bar is {LEAST} %");
        println!("callers    rotate  {write:>18}   share      find  {read:>18}   share");
        for callers in CALLERS {
            let mut samples: [Vec<f64>; CASES.len()] = Default::default();
            for turn in 0..TURNS {
                for place in 0..CASES.len() {
                    let case = if turn % 2 == 0 { place } else { CASES.len() - 1 - place };
                    samples[case].push(bench.turn(CASES[case], callers).await?);
                }
            }
            let [rotated, found] = [0, 2].map(|ours| self.share(&samples[ours], &samples[ours + 1]));
            let [rotate, write, find, read] = samples.map(median);
            println!("{callers:>7} {rotate:>9.0}  {write:>18.0} {rotated:>9} {find:>9.0}  {read:>18.0} {found:>9}");
        }
        Ok(())
    }

    fn share(&mut self, ours: &[f64], floor: &[f64]) -> String {
        let share = median(ours.iter().zip(floor).map(|(ours, floor)| ours / floor * 100.0).collect());
        let missed = share.is_nan() || share < LEAST;
        self.shares += 1;
        self.missed += usize::from(missed);
        format!("{}{share:.0} %", if missed { "! " } else { "" })
    }

    /// How many shares were below the bar.
    pub(super) fn missed(&self) -> Result<usize, Problem> {
        if self.shares == 0 { Err("nothing was measured".into()) } else { Ok(self.missed) }
    }
}

impl<S, F> Bench<S, F>
where
    S: GrantStore<Error: Into<Problem>> + Clone,
    F: Floor,
{
    /// What so many callers do of a case in one turn, per second.
    async fn turn(&self, case: Case, callers: usize) -> Result<f64, Problem> {
        let mut running = JoinSet::new();
        let start = Instant::now();
        for caller in 0..callers {
            let mut mine = Mine { grants: Arc::clone(&self.grants), caller, callers, at: 0 };
            let (store, floor, step) = (self.store.clone(), self.floor.clone(), self.step.clone());
            running.spawn(async move {
                let mut done = 0_u32;
                while start.elapsed() < TURN {
                    let grant = mine.next();
                    match case {
                        Case::Rotate => grant.rotate(&store, &step).await?,
                        Case::Write => floor.write(grant.key).await?,
                        Case::Find => find(&store, grant.key).await?,
                        Case::Read => floor.read(grant.key).await?,
                    }
                    done += 1;
                }
                Ok::<_, Problem>(done)
            });
        }
        let mut done = 0.0;
        while let Some(caller) = running.join_next().await {
            done += f64::from(caller??);
        }
        Ok(done / start.elapsed().as_secs_f64())
    }
}

async fn find<S: GrantStore<Error: Into<Problem>>>(store: &S, key: GrantKey) -> Result<(), Problem> {
    let grant = store.find(key).await.map_err(Into::into)?;
    if grant.is_some_and(|grant| grant.key() == key) { Ok(()) } else { Err("a grant is missing".into()) }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
