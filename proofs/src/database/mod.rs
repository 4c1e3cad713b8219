//! The databases under the provider, each as it is run, broken and set back.

mod postgres;
mod redis;
mod sqlite;

use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use tokio::task::block_in_place;

use self::postgres::Postgres;
pub(crate) use self::redis::Forward;
use self::redis::Redis;
use self::sqlite::Sqlite;
use crate::Problem;
use crate::folder::Folder;
use crate::proxy::Proxy;

/// Which database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
    /// Another one.
    Redis,
}

impl Kind {
    /// All that there are.
    pub const ALL: [Self; 3] = [Self::Sqlite, Self::Postgres, Self::Redis];

    /// What the command line calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Redis => "redis",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// For how long after its revocation at one provider a token may be taken at another one.
    pub const fn bound(self) -> Duration {
        match self {
            Self::Sqlite => Duration::ZERO,
            Self::Postgres | Self::Redis => Duration::from_secs(5),
        }
    }

    /// A new one, in a folder of its own.
    pub fn start(self) -> Result<Database, Problem> {
        let folder = Folder::new()?;
        let engine: Box<dyn Engine> = match self {
            Self::Sqlite => Box::new(Sqlite::new(folder.path())),
            Self::Postgres => Box::new(block_in_place(Postgres::start)),
            Self::Redis => Box::new(block_in_place(Redis::start)),
        };
        Ok(Database { kind: self, proxy: None, engine, folder })
    }
}

/// A database and its folder.
pub struct Database {
    /// Which it is.
    pub kind: Kind,
    /// What is between it and the provider, if anything is.
    pub proxy: Option<Proxy>,
    engine: Box<dyn Engine>,
    folder: Folder,
}

/// What the proofs need of a database.
trait Engine: Send + Sync {
    /// What the example's `--store` is given, where the server listens there.
    fn store(&self, port: Option<u16>) -> String;

    /// How much room its grants take.
    fn bytes(&self) -> Pin<Box<dyn Future<Output = Result<u64, Problem>> + Send + '_>>;

    /// The server, if it has one.
    fn server(&mut self) -> Option<&mut dyn Server>;

    /// Keeps what is in it now.
    fn keep(&mut self, copy: &Path) -> Result<(), Problem>;

    /// Puts back what was kept, while no provider runs.
    fn set_back(&mut self, copy: &Path) -> Result<(), Problem>;
}

/// A process of the database's own.
pub trait Server: Send + Sync {
    /// Where it listens.
    fn port(&self) -> u16;

    /// Ends it and all of its processes at once, with `kill -9`.
    fn kill(&mut self);

    /// Starts it again where it was, with what it has kept.
    fn start_again(&mut self);

    /// Makes it silent, and lets it go on.
    fn pause(&self, paused: bool);

    /// Lets it write no file beyond so many bytes, as on a full disk.
    fn limit_files(&self, bytes: u64) -> Result<(), Problem>;
}

impl Database {
    /// Puts a proxy before its server, if it has one, and after that the provider is started.
    pub async fn proxied(mut self) -> Result<Self, Problem> {
        if let Some(server) = self.engine.server() {
            self.proxy = Some(Proxy::before(server.port()).await?);
        }
        Ok(self)
    }

    /// Where it is.
    pub fn url(&self) -> String {
        self.engine.store(None)
    }

    /// How much room its grants take.
    pub async fn bytes(&self) -> Result<u64, Problem> {
        self.engine.bytes().await
    }

    /// What the example's command line says of it.
    pub fn args(&mut self) -> Vec<String> {
        let server = self.engine.server().map(|server| server.port());
        let store = self.engine.store(self.proxy.as_ref().map(Proxy::port).or(server));
        let mut args = vec!["--store".to_owned(), store];
        if server.is_some() {
            args.extend(["--secret".to_owned(), self.folder.path().join("secret").display().to_string()]);
        }
        args
    }

    /// Its server, if it has one.
    pub fn server(&mut self) -> Option<&mut dyn Server> {
        self.engine.server()
    }

    /// Ends all processes of its server at once, and starts it again.
    pub fn kill(&mut self) {
        if let Some(server) = self.engine.server() {
            block_in_place(|| {
                server.kill();
                server.start_again();
            });
        }
    }

    /// Where it keeps what it keeps.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Keeps what is in it now.
    pub fn keep(&mut self) -> Result<(), Problem> {
        block_in_place(|| self.engine.keep(&self.folder.path().join("kept")))
    }

    /// Puts back what was kept, while no provider runs.
    pub fn set_back(&mut self) -> Result<(), Problem> {
        block_in_place(|| self.engine.set_back(&self.folder.path().join("kept")))
    }
}
