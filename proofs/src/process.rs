//! Processes that are started, stopped, continued, limited and killed.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::Problem;

/// A process of ours, killed when it is dropped.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Starts a program and waits for the line that begins with `ready`; what follows is answered.
    pub fn start(command: &mut Command, ready: &str) -> Result<(Self, String), Problem> {
        let mut process = Self(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?);
        let stdout = process.0.stdout.take().ok_or("it has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let said = lines.by_ref().map_while(Result::ok).find_map(|line| Some(line.strip_prefix(ready)?.to_owned()));
        let Some(said) = said else { return Err(format!("{command:?} ended: {}", process.0.wait()?).into()) };
        // A full pipe would stop it.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        Ok((process, said))
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
        let bytes = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
        let id = self.0.id().to_string();
        run(Command::new("prlimit").args(["--pid", &id, &format!("--fsize={bytes}:unlimited")]))
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

/// A command that gets an error and no signal where a file becomes too long, and for which the mode of a file holds also
/// where root runs it.
pub fn limited(program: &std::path::Path) -> Result<Command, Problem> {
    let root = Command::new("id").arg("-u").output()?.stdout.starts_with(b"0\n");
    let mut command = Command::new("sh");
    command.args(["-c", r#"trap "" XFSZ; exec "$@""#, "sh"]);
    if root {
        command.args(["setpriv", "--bounding-set=-dac_override,-dac_read_search"]);
    }
    command.arg(program);
    Ok(command)
}
