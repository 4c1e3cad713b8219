//! The databases under the provider, each as it is run, broken and set back.

mod sqlite;

use std::path::Path;
use std::time::Duration;

use self::sqlite::Sqlite;
use crate::Problem;
use crate::folder::Folder;

/// Which database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file.
    Sqlite,
}

impl Kind {
    /// All that there are.
    pub const ALL: &[Self] = &[Self::Sqlite];

    /// What the command line calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// For how long after its revocation at one provider a token may be taken at another one.
    pub const fn bound(self) -> Duration {
        match self {
            Self::Sqlite => Duration::ZERO,
        }
    }

    /// A new one, in a folder of its own.
    pub fn start(self) -> Result<Database, Problem> {
        let folder = Folder::new()?;
        let engine = match self {
            Self::Sqlite => Box::new(Sqlite::new(folder.path())),
        };
        Ok(Database { kind: self, engine, folder })
    }
}

/// A database and its folder.
pub struct Database {
    /// Which it is.
    pub kind: Kind,
    engine: Box<dyn Engine>,
    folder: Folder,
}

/// What the proofs need of a database.
trait Engine: Send + Sync {
    /// What the example's `--store` is given.
    fn store(&self) -> String;

    /// Keeps what is in it now.
    fn keep(&mut self, copy: &Path) -> Result<(), Problem>;

    /// Puts back what was kept, while no provider runs.
    fn set_back(&mut self, copy: &Path) -> Result<(), Problem>;
}

impl Database {
    /// What the example's command line says of it.
    pub fn args(&self) -> Vec<String> {
        vec!["--store".to_owned(), self.engine.store()]
    }

    /// Where it keeps what it keeps.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Keeps what is in it now.
    pub fn keep(&mut self) -> Result<(), Problem> {
        self.engine.keep(&self.folder.path().join("kept"))
    }

    /// Puts back what was kept, while no provider runs.
    pub fn set_back(&mut self) -> Result<(), Problem> {
        self.engine.set_back(&self.folder.path().join("kept"))
    }
}
