//! Clients that press on while something is broken, again and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::model::{GRACE, Model};
use crate::stand::Stand;
use crate::tally::{Rate, Tally};
use crate::{Options, Problem};

const CLIENTS: u64 = 32;
/// A fault waits until so many exchanges were answered in the second before it.
const EXCHANGES: f64 = 100.0;
/// For so long at most.
const PATIENCE: Duration = Duration::from_secs(120);
/// And for a moment beyond that, at random, in milliseconds.
const MOMENT: std::ops::Range<u64> = 0..1_500;

/// Breaks something `times`, at moments that follow from the seed, each time under full load; then every client looks
/// whether what it was told holds.
pub async fn storm(
    stand: &mut Stand,
    options: &Options,
    times: usize,
    mut fault: impl AsyncFnMut(&mut Stand, &mut StdRng) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut random = StdRng::seed_from_u64(options.seed);
    let stop = Arc::new(AtomicBool::new(false));
    let mut models = JoinSet::new();
    for number in 0..CLIENTS {
        let mut model = Model::new(&stand.door(), options.seed.wrapping_add(number)).await?;
        let stop = Arc::clone(&stop);
        models.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                model.step().await;
            }
            model
        });
    }
    let mut slowest = f64::INFINITY;
    for _ in 0..times {
        slowest = slowest.min(press(&stand.tally, &mut random).await?);
        stand.tally.fault();
        fault(stand, &mut random).await?;
    }
    press(&stand.tally, &mut random).await?;
    stop.store(true, Ordering::Relaxed);
    let alive = check(models.join_all().await).await;
    stand.say(format_args!(
        "at least {slowest:.0} exchanges in the second before a fault; {alive} grants alive at the end"
    ));
    stand.tally.check(alive > 0, || "no grant is alive at the end: nothing is shown".to_owned());
    Ok(())
}

/// Waits until the clients are at full speed again, and then for a moment; how fast they are then.
async fn press(tally: &Tally, random: &mut StdRng) -> Result<f64, Problem> {
    let start = Instant::now();
    let least = Duration::from_millis(1_000 + random.random_range(MOMENT));
    let mut rate = Rate::of(tally);
    while start.elapsed() < PATIENCE {
        match rate.look().await {
            Some(rate) if rate >= EXCHANGES && start.elapsed() >= least => return Ok(rate),
            _ => {}
        }
    }
    Err(format!("there are fewer than {EXCHANGES} exchanges a second").into())
}

/// How many grants were alive.
async fn check(models: Vec<Model>) -> usize {
    let mut looking = JoinSet::new();
    for mut model in models {
        looking.spawn(async move {
            model.look_at_everything().await;
            model
        });
    }
    let models = looking.join_all().await;
    tokio::time::sleep(GRACE + Duration::from_secs(2)).await;
    let mut looking = JoinSet::new();
    for mut model in models {
        looking.spawn(async move { model.use_what_was_used().await });
    }
    looking.join_all().await.into_iter().sum()
}
