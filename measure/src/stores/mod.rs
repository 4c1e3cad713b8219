//! `measure stores`: a rotation and a look-up in each store, beside what its database alone needs for one row: as
//! durable, with as many connections.

mod bench;
mod grants;
mod postgres;
mod redis;
mod sqlite;

use std::{error::Error, path::Path, process::ExitCode};

use measure::rotation::rotation;
use tower_oauth::Rotation;

use self::bench::Bar;

/// How many grants a store has.
const SIZES: [usize; 2] = [1_000, 100_000];

type Problem = Box<dyn Error + Send + Sync>;

/// Measures the store of this name, or every one.
pub(crate) fn run(only: Option<&str>) -> ExitCode {
    let step = rotation();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    let folder = std::env::temp_dir().join(format!("measure-stores-{}", std::process::id()));
    let measured = runtime.block_on(measure(&folder, &step, only));
    // What was measured is said already; a folder that stays is the system's to clean.
    let _ = std::fs::remove_dir_all(&folder);
    match measured {
        Ok(0) => ExitCode::SUCCESS,
        Ok(missed) => {
            eprintln!("{missed} bars missed");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// How many bars were missed.
async fn measure(folder: &Path, step: &Rotation, only: Option<&str>) -> Result<usize, Problem> {
    let wanted = |name| only.is_none_or(|only| only == name);
    let mut bar = Bar::default();
    if wanted("sqlite") {
        sqlite::measure(folder, step, &mut bar).await?;
    }
    if wanted("postgres") {
        postgres::measure(step, &mut bar).await?;
    }
    if wanted("redis") {
        redis::measure(step, &mut bar).await?;
    }
    bar.missed()
}
