//! The provider under proof: `examples/provider`, as a process.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};

use tokio::task::block_in_place;

use crate::Problem;
use crate::door::Door;
use crate::process::{Process, bound_by_modes};
use crate::tally::Tally;

/// A provider that listens, or did until it was killed.
#[derive(Debug)]
pub struct Program {
    issuer: String,
    listen: String,
    store: Vec<String>,
    process: Process,
}

impl Program {
    /// Starts one with what the example's command line says of the store.
    pub fn start(store: Vec<String>) -> Result<Self, Problem> {
        Self::at_a_free_port(|listen| Self::listening(format!("http://{listen}"), listen, store.clone()))
    }

    /// Starts another one of the same issuer, with the same store, and `more` on its command line.
    pub fn start_beside(&self, more: &[&str]) -> Result<Self, Problem> {
        let args = || self.store.iter().cloned().chain(more.iter().map(|&arg| arg.to_owned())).collect();
        Self::at_a_free_port(|listen| Self::listening(self.issuer.clone(), listen, args()))
    }

    /// Tries a few ports: a process that is being started by somebody else may hold one for a moment, since it begins as
    /// a copy of this one.
    fn at_a_free_port(start: impl Fn(String) -> Result<Self, Problem>) -> Result<Self, Problem> {
        let start = || start(format!("127.0.0.1:{}", port()?));
        (0..4).find_map(|_| start().ok()).map_or_else(start, Ok)
    }

    fn listening(issuer: String, listen: String, store: Vec<String>) -> Result<Self, Problem> {
        let process = spawn(&issuer, &listen, &store)?;
        Ok(Self { issuer, listen, store, process })
    }

    /// Starts it again where it was, after a kill.
    pub fn restart(&mut self) -> Result<(), Problem> {
        self.process = spawn(&self.issuer, &self.listen, &self.store)?;
        Ok(())
    }

    /// Who it says it is, and all that stand beside it.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The way to it.
    pub fn door(&self, tally: &Arc<Tally>) -> Door {
        Door::new(&format!("http://{}", self.listen), tally)
    }

    /// The process.
    pub const fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}

fn spawn(issuer: &str, listen: &str, store: &[String]) -> Result<Process, Problem> {
    let mut command = bound_by_modes(example()?)?;
    command.args(["--issuer", issuer, "--listen", listen]).args(store);
    // Others go on meanwhile: what is between it and its database, and clients.
    block_in_place(|| Process::start(&mut command, "listening on "))
}

/// Builds the example once; where it is built already, this takes no time.
fn example() -> Result<&'static Path, Problem> {
    static EXAMPLE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let built = || {
        // target/<profile>/proofs
        let this = std::env::current_exe().ok()?;
        let profile = this.parent()?;
        let name = profile.file_name()?.to_str()?;
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            // As `cargo test` builds it for all members, so that it is built once.
            .args(["build", "--locked", "--quiet", "--workspace", "--all-features", "--example", "provider"])
            .args(["--profile", if name == "debug" { "dev" } else { name }])
            .arg("--target-dir")
            .arg(profile.parent()?)
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .status();
        status.ok()?.success().then(|| profile.join("examples/provider"))
    };
    EXAMPLE.get_or_init(built).as_deref().ok_or_else(|| "the provider example is not built".into())
}

/// A port that stays free while nobody listens on it: below those that are handed out where a port is left open, for a
/// connection too. The one behind it is for the example's CustomApp.
fn port() -> Result<u16, Problem> {
    let free = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let mut ports = (0..1_000).map(|_| 20_000 + rand::random::<u16>() % 6_000 * 2);
    ports.find(|port| free(*port) && free(port + 1)).ok_or_else(|| "there is no free port".into())
}
