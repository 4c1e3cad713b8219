//! PostgreSQL: a server of the proof's own.

#[path = "../../../tests/support/postgres.rs"]
mod support;

use std::path::Path;
use std::pin::Pin;
use std::process::Command;

use sqlx::{Connection, PgConnection};

use super::{Engine, Server};
use crate::Problem;
use crate::process::{limit_files, run};

pub(super) struct Postgres(support::Server);

impl Postgres {
    /// As durable as it is by default.
    pub(super) fn start() -> Self {
        Self(support::Server::start(&["autovacuum=on"]))
    }
}

impl Engine for Postgres {
    fn store(&self, port: Option<u16>) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", port.unwrap_or(self.0.port()))
    }

    fn bytes(&self) -> Pin<Box<dyn Future<Output = Result<u64, Problem>> + Send + '_>> {
        Box::pin(async {
            let all = "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c JOIN pg_namespace n \
                       ON n.oid = c.relnamespace WHERE n.nspname = 'oauth' AND c.relkind = 'r'";
            let mut connection = PgConnection::connect(&self.store(None)).await?;
            let bytes: i64 = sqlx::query_scalar(all).fetch_one(&mut connection).await?;
            Ok(bytes.try_into()?)
        })
    }

    fn server(&mut self) -> Option<&mut dyn Server> {
        Some(self)
    }

    fn keep(&mut self, copy: &Path) -> Result<(), Problem> {
        self.0.stop("INT");
        let kept = copy_files(&self.0.data(), copy);
        self.0.start_again();
        kept
    }

    fn set_back(&mut self, copy: &Path) -> Result<(), Problem> {
        self.0.stop("INT");
        std::fs::remove_dir_all(self.0.data())?;
        copy_files(copy, &self.0.data())?;
        self.0.start_again();
        Ok(())
    }
}

/// With their modes and their owner.
fn copy_files(from: &Path, to: &Path) -> Result<(), Problem> {
    run(Command::new("cp").arg("-a").arg(from).arg(to))
}

impl Server for Postgres {
    fn port(&self) -> u16 {
        self.0.port()
    }

    fn kill(&mut self) {
        // On a full disk it may have ended by itself.
        let runs = self.0.data().join("postmaster.pid").exists();
        self.0.stop(if runs { "KILL" } else { "INT" });
    }

    fn start_again(&mut self) {
        self.0.start_again();
    }

    fn pause(&self, paused: bool) {
        self.0.signal(if paused { "STOP" } else { "CONT" });
    }

    fn limit_files(&self, bytes: u64) -> Result<(), Problem> {
        // The server itself first: what it starts has its limit.
        self.0
            .processes()
            .iter()
            .try_for_each(|process| limit_files(support::as_the_server(Path::new("prlimit")), process, Some(bytes)))
    }
}
