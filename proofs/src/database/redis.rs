//! Redis: a server of the proof's own, which writes every change to its file before it answers.

#[path = "../../../tests/support/redis.rs"]
mod support;

use std::path::Path;
use std::pin::Pin;
use std::process::Command;

pub(crate) use self::support::forward::Forward;
use super::{Engine, Server};
use crate::Problem;
use crate::process::{limit_files, run};

pub(super) struct Redis(support::Server);

impl Redis {
    pub(super) fn start() -> Self {
        Self(support::Server::start())
    }
}

impl Engine for Redis {
    fn store(&self, port: Option<u16>) -> String {
        format!("redis://127.0.0.1:{}/", port.unwrap_or(self.0.port()))
    }

    fn bytes(&self) -> Pin<Box<dyn Future<Output = Result<u64, Problem>> + Send + '_>> {
        Box::pin(async {
            let said: String = self.0.raw().await.ask(&["INFO", "memory"]).await;
            let used = said.lines().find_map(|line| line.strip_prefix("used_memory:"));
            Ok(used.ok_or("Redis does not tell its memory")?.trim().parse()?)
        })
    }

    fn server(&mut self) -> Option<&mut dyn Server> {
        Some(self)
    }

    fn keep(&mut self, copy: &Path) -> Result<(), Problem> {
        self.0.kill();
        let kept = run(Command::new("cp").arg("-a").arg(self.0.folder()).arg(copy));
        self.0.start_again();
        kept
    }

    fn set_back(&mut self, copy: &Path) -> Result<(), Problem> {
        self.0.kill();
        std::fs::remove_dir_all(self.0.folder())?;
        run(Command::new("cp").arg("-a").arg(copy).arg(self.0.folder()))?;
        self.0.start_again();
        Ok(())
    }
}

impl Server for Redis {
    fn port(&self) -> u16 {
        self.0.port()
    }

    fn kill(&mut self) {
        self.0.kill();
    }

    fn start_again(&mut self) {
        self.0.start_again();
    }

    fn pause(&self, paused: bool) {
        if paused { self.0.pause() } else { self.0.go_on() }
    }

    fn limit_files(&self, bytes: u64) -> Result<(), Problem> {
        limit_files(Command::new("prlimit"), &self.0.id().to_string(), Some(bytes))
    }
}
