//! Processes that are started, stopped, continued, limited and killed.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::Problem;

/// A process of ours, killed when it is dropped.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Starts a program and waits for the line that begins with `ready`.
    pub fn start(command: &mut Command, ready: &str) -> Result<Self, Problem> {
        let mut process = Self(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?);
        let stdout = process.0.stdout.take().ok_or("it has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        if !lines.by_ref().map_while(Result::ok).any(|line| line.starts_with(ready)) {
            return Err(format!("{command:?} ended: {}", process.0.wait()?).into());
        }
        // A full pipe would stop it.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Ok(process)
    }

    /// `kill -9`, and nothing else.
    pub fn kill(&mut self) -> Result<(), Problem> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }

    /// Sends a signal: `STOP`, `CONT`.
    pub fn signal(&self, signal: &str) -> Result<(), Problem> {
        run(Command::new("kill").arg(format!("-{signal}")).arg(self.0.id().to_string()))
    }

    /// Lets it write no file beyond so many bytes (`setrlimit`), or any length again.
    pub fn limit_files(&self, bytes: Option<u64>) -> Result<(), Problem> {
        limit_files(Command::new("prlimit"), &self.0.id().to_string(), bytes)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// Runs a program to its end.
pub fn run(command: &mut Command) -> Result<(), Problem> {
    let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}

/// Lets a process, and what it starts, write no file beyond so many bytes (`setrlimit`), or any length again. `prlimit` is
/// to be run by the user that the process is.
pub fn limit_files(mut prlimit: Command, process: &str, bytes: Option<u64>) -> Result<(), Problem> {
    let bytes = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
    run(prlimit.args(["--pid", process, &format!("--fsize={bytes}:")]))
}

/// A command for which the mode of a file holds also where root runs it.
pub fn bound_by_modes(program: &Path) -> Result<Command, Problem> {
    let root = Command::new("id").arg("-u").output()?.stdout.trim_ascii() == b"0";
    if !root {
        return Ok(Command::new(program));
    }
    let mut command = Command::new("setpriv");
    command.arg("--bounding-set=-dac_override,-dac_read_search").arg(program);
    Ok(command)
}

/// Begins this program anew, so that it and whatever it starts get an error and no signal where a file would become too
/// long: that is what a full disk does.
pub fn without_signal_for_long_files() -> Result<(), Problem> {
    const DONE: &str = "PROOFS_WITHOUT_XFSZ";
    if std::env::var_os(DONE).is_some() {
        return Ok(());
    }
    let mut command = Command::new("sh");
    command.args(["-c", r#"trap "" XFSZ; exec "$@""#, "sh"]).arg(std::env::current_exe()?);
    Err(command.args(std::env::args_os().skip(1)).env(DONE, "1").exec().into())
}
