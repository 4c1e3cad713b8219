//! `measure stores`: transitions of the SQLite store, beside a bare `UPDATE` of one row that is as durable.

use std::{
    error::Error,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use measure::rotation::rotation;
use sqlx::{
    ConnectOptions, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::task::JoinSet;
use tower_oauth::{Grant, GrantKey, GrantRecord, GrantStore, Outcome, Rotation, SqliteStore};

/// Each case has so many turns, in changing order; the median counts.
const TURNS: usize = 5;
const TURN: Duration = Duration::from_secs(1);
const CALLERS: [usize; 3] = [1, 8, 16];
const FEW: usize = 1_000;
const MANY: usize = 100_000;
/// One writer and four readers, as the store has.
const CONNECTIONS: u32 = 5;

type Problem = Box<dyn Error + Send + Sync>;

pub(crate) fn run() -> ExitCode {
    let step = rotation();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    let folder = std::env::temp_dir().join(format!("measure-stores-{}", std::process::id()));
    let measured = runtime.block_on(measure(&folder, &step));
    // What was measured is said already; a folder that stays is the system's to clean.
    let _ = std::fs::remove_dir_all(&folder);
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(folder: &Path, step: &Rotation) -> Result<(), Problem> {
    println!("per second, median of {TURNS} turns of {TURN:?}\n");
    println!("grants   callers      find    rotate   bare UPDATE   the same, 1 connection");
    for count in [FEW, MANY] {
        let site = Site::new(folder.join(format!("{count}.db")), count, step.clone()).await?;
        for callers in CALLERS {
            let mut samples: [Vec<f64>; 4] = Default::default();
            for turn in 0..TURNS {
                for place in 0..4 {
                    let case = if turn % 2 == 0 { place } else { 3 - place };
                    samples[case].push(site.turn(case, callers).await?);
                }
            }
            let [find, rotate, bare, bare_one] = samples.map(median);
            println!("{count:>6} {callers:>9} {find:>9.0} {rotate:>9.0} {bare:>13.0} {bare_one:>24.0}");
        }
        if count == MANY {
            println!("\n{:.0} bytes per grant on the disk, of {count} that were made and redeemed", site.bytes);
        }
    }
    Ok(())
}

/// What a client knows of its grant.
struct Known {
    key: GrantKey,
    generation: AtomicU32,
}

struct Site {
    store: SqliteStore,
    grants: Arc<[Known]>,
    bare: SqlitePool,
    bare_one: SqlitePool,
    step: Rotation,
    bytes: f64,
}

impl Site {
    async fn new(file: PathBuf, count: usize, step: Rotation) -> Result<Self, Problem> {
        let store = SqliteStore::open(&file).await?;
        let grants = fill(&store, count, &step).await?;
        let pool = |most| {
            let options = SqliteConnectOptions::new().filename(&file).journal_mode(SqliteJournalMode::Wal);
            let options = options.synchronous(SqliteSynchronous::Full).disable_statement_logging();
            SqlitePoolOptions::new().max_connections(most).test_before_acquire(false).connect_lazy_with(options)
        };
        let (bare, bare_one) = (pool(CONNECTIONS), pool(1));
        sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)").execute(&bare_one).await?;
        let bytes = std::fs::metadata(&file)?.len() as f64 / count as f64;
        sqlx::raw_sql("CREATE TABLE bare AS SELECT * FROM oauth_grant; CREATE UNIQUE INDEX bare_key ON bare (key)")
            .execute(&bare_one)
            .await?;
        Ok(Self { store, grants, bare, bare_one, step, bytes })
    }

    /// What so many callers do of a case in one turn, per second.
    async fn turn(&self, case: usize, callers: usize) -> Result<f64, Problem> {
        let mut running = JoinSet::new();
        let start = Instant::now();
        for caller in 0..callers {
            let mut mine = Mine { grants: Arc::clone(&self.grants), caller, callers, at: 0 };
            let (store, step) = (self.store.clone(), self.step.clone());
            let bare = if case == 2 { self.bare.clone() } else { self.bare_one.clone() };
            running.spawn(async move {
                let mut done = 0_u32;
                while start.elapsed() < TURN {
                    let grant = mine.next();
                    match case {
                        0 => drop(store.find(grant.key).await?),
                        1 => rotate(&store, grant, &step).await?,
                        _ => update(&bare, grant.key).await?,
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

/// Every caller has grants of its own.
struct Mine {
    grants: Arc<[Known]>,
    caller: usize,
    callers: usize,
    at: usize,
}

impl Mine {
    fn next(&mut self) -> &Known {
        // A prime stride: each grant has its turn, and no two neighbours after each other.
        self.at += 7_919;
        let own = self.grants.len() / self.callers;
        &self.grants[self.at % own * self.callers + self.caller]
    }
}

async fn rotate(store: &SqliteStore, grant: &Known, step: &Rotation) -> Result<(), Problem> {
    let mut step = step.clone();
    step.generation = grant.generation.fetch_add(1, Ordering::Relaxed);
    match store.rotate(grant.key, step).await?.outcome {
        Outcome::Rotated => Ok(()),
        other => Err(format!("a rotation is {other:?}").into()),
    }
}

async fn update(bare: &SqlitePool, key: GrantKey) -> Result<(), Problem> {
    let done = sqlx::query("UPDATE bare SET generation = generation + 1, rotated_at = ?2 WHERE key = ?1")
        .bind(&key.as_bytes()[..])
        .bind(1_800_000_000_i64)
        .execute(bare)
        .await?;
    if done.rows_affected() == 1 { Ok(()) } else { Err("a row is missing".into()) }
}

/// Grants of as many users, redeemed.
async fn fill(store: &SqliteStore, count: usize, step: &Rotation) -> Result<Arc<[Known]>, Problem> {
    let mut running = JoinSet::new();
    let mut grants = Vec::with_capacity(count);
    for number in 0..count {
        let grant = grant(number, step)?;
        grants.push(Known { key: grant.key(), generation: AtomicU32::new(0) });
        let store = store.clone();
        running.spawn(async move { store.create(grant).await });
        while running.len() >= 256 {
            if let Some(created) = running.join_next().await {
                created??;
            }
        }
    }
    while let Some(created) = running.join_next().await {
        created??;
    }
    Ok(grants.into())
}

fn grant(number: usize, step: &Rotation) -> Result<Grant, Problem> {
    let mut record = GrantRecord::default();
    record.key = rand::random();
    record.issuer = step.issuer.as_str().to_owned();
    record.client_id = step.client.as_str().to_owned();
    record.subject = Some(measure::flow::subject(number));
    record.scope = "profile".to_owned();
    record.resources = record.issuer.clone();
    record.redirect_uri = Some("https://customapp.example/oauth/redirect".to_owned());
    record.redirect_uri_sent = true;
    record.challenge = Some(rand::random::<[u8; 32]>().to_vec());
    record.created_at = 1_800_000_000;
    record.expires_at = 253_402_300_799;
    record.redeemed_at = Some(1_800_000_000);
    record.rotated_at = Some(1_800_000_000);
    record.secret_hash = Some(step.secret.to_vec());
    Ok(Grant::from_record(record)?)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
