//! What is promised of providers that are killed, and of databases that fail, shown with real processes. Run by
//! `scripts/test` in short, and by `scripts/test long` in full.

mod client;
mod database;
mod door;
mod faults;
mod folder;
mod growth;
mod kills;
mod machine;
mod model;
mod person;
mod process;
mod program;
mod proxy;
mod races;
mod signer;
mod stand;
mod storm;
mod tally;
mod trips;

use std::error::Error;
use std::process::ExitCode;

use database::Kind;
use process::without_signal_for_long_files;
use stand::Stand;
use tokio::task::JoinSet;

/// What keeps a proof from being made.
pub type Problem = Box<dyn Error + Send + Sync>;

const COMMANDS: &[&str] = &["kills", "faults", "races"];
const USAGE: &str =
    "usage: proofs all|kills|faults|races|trips|growth [--store sqlite|postgres|redis] [--long] [--seed NUMBER]";

/// What the command line says.
#[derive(Clone, Debug)]
pub struct Options {
    command: String,
    kinds: Vec<Kind>,
    long: bool,
    /// What is at random follows from it.
    pub seed: u64,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Option<Self> {
        let command = args
            .next()
            .filter(|command| ["all", "trips", "growth"].contains(&&**command) || COMMANDS.contains(&&**command))?;
        let mut options = Self { command, kinds: Kind::ALL.to_vec(), long: false, seed: rand::random() };
        while let Some(arg) = args.next() {
            match &*arg {
                "--store" => options.kinds = vec![Kind::named(&args.next()?)?],
                "--long" => options.long = true,
                "--seed" => options.seed = args.next()?.parse().ok()?,
                _ => return None,
            }
        }
        Some(options)
    }

    /// How much of something, in short and in full.
    pub fn choose<T>(&self, short: T, long: T) -> T {
        if self.long { long } else { short }
    }
}

/// Starting and ending processes blocks a thread.
#[tokio::main(worker_threads = 8)]
async fn main() -> ExitCode {
    if let Err(error) = without_signal_for_long_files() {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    let Some(options) = Options::parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    match run(&options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether every promise was kept.
async fn run(options: &Options) -> Result<bool, Problem> {
    let mut good = true;
    if ["all", "trips"].contains(&&*options.command) {
        println!("-- trips");
        good &= trips::run().await?;
    }
    if ["all", "growth"].contains(&&*options.command) {
        println!("-- growth");
        for kind in &options.kinds {
            good &= growth::run(*kind, options).await?;
        }
    }
    for command in COMMANDS.iter().filter(|command| options.command == **command || options.command == "all") {
        println!("-- {command}, seed {}", options.seed);
        let mut proofs = JoinSet::new();
        for kind in &options.kinds {
            proofs.spawn(prove(command, *kind, options.clone()));
        }
        for proof in proofs.join_all().await {
            good &= proof?;
        }
    }
    Ok(good)
}

async fn prove(command: &str, kind: Kind, options: Options) -> Result<bool, Problem> {
    let mut stand = match command {
        "faults" => Stand::proxied(kind).await?,
        _ => Stand::start(kind)?,
    };
    let proved = match command {
        "kills" => kills::run(&mut stand, &options).await,
        "faults" => faults::run(&mut stand, &options).await,
        _ => races::run(&mut stand, &options).await,
    };
    stand.say(&stand.tally);
    proved.map_err(|error| format!("{}: {error}", kind.name()))?;
    Ok(stand.tally.is_good())
}
