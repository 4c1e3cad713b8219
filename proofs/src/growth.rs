//! A store that grows: bytes per grant, look-ups and rotations at each size, and a sweep of half of it while it serves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use tokio::task::JoinSet;
use tokio::time::Instant;
use tower_oauth::{Clock, Grant, GrantKey, GrantStore, Outcome, Rotation, SqliteStore, UnixTime};
use tower_oauth::{PostgresStore, RedisStore, SystemClock};

use crate::database::{Database, Kind};
use crate::{Options, Problem};

const CALLERS: usize = 8;
/// So many grants are made at once.
const MAKERS: usize = 256;
const TURN: Duration = Duration::from_secs(3);
/// What is left of a speed at the largest size, at least: a disk that others use as well takes some of it.
const FLAT: f64 = 0.5;
const DAY: u64 = 24 * 60 * 60;
const IDLE: Duration = Duration::from_secs(90 * DAY);

/// Fills a store step by step, and prints what each size costs. Whether everything was answered as it has to be.
pub async fn run(kind: Kind, options: &Options) -> Result<bool, Problem> {
    let mut database = kind.start()?;
    let url = database.url();
    match kind {
        Kind::Sqlite => grow(SqliteStore::open(url.trim_start_matches("sqlite:")).await?, &mut database, options).await,
        Kind::Postgres => grow(PostgresStore::connect(&url).migrate().await?, &mut database, options).await,
        Kind::Redis => grow(RedisStore::connect(&url).await?, &mut database, options).await,
    }
}

async fn grow<S>(store: S, database: &mut Database, options: &Options) -> Result<bool, Problem>
where
    S: GrantStore<Error: Into<Problem> + Send> + Clone,
{
    let now = SystemClock.now().duration_since(UNIX_EPOCH)?.as_secs();
    // It has a runtime of its own.
    let step = std::thread::spawn(measure::rotation::rotation).join();
    let mut step = step.map_err(|_| "no rotation is made")?;
    step.now = UnixTime::from_secs(now);
    let (mut keys, empty) = (Vec::new(), database.bytes().await?);
    println!(
        "| {} | bytes for each | found per second | refreshed per second (found, then rotated) |",
        database.kind.name()
    );
    println!("|---|---|---|---|");
    let mut speeds: Vec<[f64; 2]> = Vec::new();
    for size in options.choose(&[1_000, 10_000][..], &[1_000, 100_000, 1_000_000]) {
        fill(&store, &mut keys, *size, &step, now).await?;
        let bytes = database.bytes().await?.saturating_sub(empty) / *size as u64;
        let serving = Arc::new(Serving { keys: keys.clone(), step: step.clone() });
        let found = serving.turn(&store, false).await?;
        let rotated = serving.turn(&store, true).await?;
        println!("| {size} | {bytes} | {found:.0} | {rotated:.0} |");
        speeds.push([found, rotated]);
    }
    let (first, last) = (speeds[0], speeds[speeds.len() - 1]);
    let is_flat = (0..2).all(|speed| last[speed] >= first[speed] * FLAT);
    if !is_flat {
        println!("at the largest size it is slower than {FLAT} of what it was at the smallest");
    }
    Ok(sweep(&store, keys, step, now).await? && is_flat)
}

/// Every other one has its end in a day.
async fn fill<S>(store: &S, keys: &mut Vec<GrantKey>, size: usize, step: &Rotation, now: u64) -> Result<(), Problem>
where
    S: GrantStore<Error: Into<Problem> + Send> + Clone,
{
    let mut making = JoinSet::new();
    while keys.len() < size {
        let grant = grant(keys.len(), step, now)?;
        keys.push(grant.key());
        let store = store.clone();
        making.spawn(async move { store.create(grant).await.map_err(Into::into) });
        if making.len() >= MAKERS
            && let Some(made) = making.join_next().await
        {
            made??;
        }
    }
    making.join_all().await.into_iter().collect()
}

fn grant(number: usize, step: &Rotation, now: u64) -> Result<Grant, Problem> {
    let mut record = measure::grant::redeemed(number, step, i64::try_from(now)?);
    if !is_kept(number) {
        record.expires_at = i64::try_from(now + DAY)?;
    }
    Ok(Grant::from_record(record)?)
}

const fn is_kept(number: usize) -> bool {
    number.is_multiple_of(2)
}

/// Grants that are used; a rotation always is from the generation that the record has.
struct Serving {
    keys: Vec<GrantKey>,
    step: Rotation,
}

impl Serving {
    /// How many were found, or rotated, per second.
    async fn turn<S>(self: &Arc<Self>, store: &S, rotate: bool) -> Result<f64, Problem>
    where
        S: GrantStore<Error: Into<Problem> + Send> + Clone,
    {
        let (start, mut callers) = (Instant::now(), JoinSet::new());
        for caller in 0..CALLERS {
            let (serving, store) = (Arc::clone(self), store.clone());
            callers.spawn(async move {
                let mut done = 0_u32;
                while start.elapsed() < TURN {
                    serving.once(&store, serving.at(caller, done), rotate).await?;
                    done += 1;
                }
                Ok::<_, Problem>(done)
            });
        }
        let done: Vec<u32> = callers.join_all().await.into_iter().collect::<Result<_, Problem>>()?;
        Ok(f64::from(done.iter().sum::<u32>()) / start.elapsed().as_secs_f64())
    }

    /// One that is kept, and no other caller's. A prime stride: no two neighbours after each other.
    fn at(&self, caller: usize, done: u32) -> usize {
        let own = self.keys.len() / 2 / CALLERS;
        (done as usize * 7_919 % own * CALLERS + caller) * 2
    }

    async fn once<S>(&self, store: &S, at: usize, rotate: bool) -> Result<(), Problem>
    where
        S: GrantStore<Error: Into<Problem> + Send>,
    {
        let found = store.find(self.keys[at]).await.map_err(Into::into)?.ok_or("a grant is lost")?;
        if rotate {
            let step = measure::rotation::of(&self.step, &found);
            let outcome = store.rotate(self.keys[at], step).await.map_err(Into::into)?.outcome;
            if outcome != Outcome::Rotated {
                return Err(format!("a rotation is {outcome:?}").into());
            }
        }
        Ok(())
    }
}

/// Sweeps half of it in two days' time, while the other half is used.
async fn sweep<S>(store: &S, keys: Vec<GrantKey>, mut step: Rotation, now: u64) -> Result<bool, Problem>
where
    S: GrantStore<Error: Into<Problem> + Send> + Clone,
{
    let later = UnixTime::from_secs(now + 2 * DAY);
    step.now = later;
    let (issuer, over) = (step.issuer.clone(), keys.len() / 2);
    let serving = Arc::new(Serving { keys, step });
    let swept = Arc::new(AtomicBool::new(false));
    let user = tokio::spawn({
        let (serving, store, swept) = (Arc::clone(&serving), store.clone(), Arc::clone(&swept));
        async move {
            let mut took = Vec::new();
            while !swept.load(Ordering::Relaxed) {
                let start = Instant::now();
                serving.once(&store, serving.at(0, took.len() as u32), true).await?;
                took.push(start.elapsed());
            }
            took.sort_unstable();
            Ok::<_, Problem>(took)
        }
    });
    let start = Instant::now();
    let count = store.sweep(&issuer, later, IDLE).await.map_err(Into::into)?;
    let swept_in = start.elapsed();
    swept.store(true, Ordering::Relaxed);
    let took = user.await??;
    let (Some(half), Some(worst)) = (took.get(took.len() / 2), took.last()) else { return Ok(false) };
    println!(
        "\nswept {count} of {over} that were over in {swept_in:.1?}; meanwhile {} rotations, half of them within {half:.1?}, all within {worst:.1?}\n",
        took.len()
    );
    let gone = store.find(serving.keys[1]).await.map_err(Into::into)?.is_none();
    let kept = store.find(serving.keys[0]).await.map_err(Into::into)?.is_some();
    Ok(count == over && gone && kept)
}
