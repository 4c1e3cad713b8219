//! SQLite: a file, and nobody who serves it.

use std::path::{Path, PathBuf};
use std::pin::Pin;

use super::{Engine, Server};
use crate::Problem;

pub(super) struct Sqlite(PathBuf);

impl Sqlite {
    pub(super) fn new(folder: &Path) -> Self {
        Self(folder.join("provider.db"))
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut path = self.0.clone().into_os_string();
        path.push(ending);
        path.into()
    }
}

impl Engine for Sqlite {
    fn store(&self, _: Option<u16>) -> String {
        format!("sqlite:{}", self.0.display())
    }

    fn bytes(&self) -> Pin<Box<dyn Future<Output = Result<u64, Problem>> + Send + '_>> {
        Box::pin(async { Ok(std::fs::metadata(&self.0)?.len() + std::fs::metadata(self.beside("-wal"))?.len()) })
    }

    fn server(&mut self) -> Option<&mut dyn Server> {
        None
    }

    /// The files as a file system's snapshot has them; the provider's process is stopped meanwhile.
    fn keep(&mut self, copy: &Path) -> Result<(), Problem> {
        std::fs::create_dir_all(copy)?;
        std::fs::copy(&self.0, copy.join("db"))?;
        std::fs::copy(self.beside("-wal"), copy.join("wal"))?;
        Ok(())
    }

    fn set_back(&mut self, copy: &Path) -> Result<(), Problem> {
        std::fs::remove_file(self.beside("-shm"))?;
        std::fs::copy(copy.join("db"), &self.0)?;
        std::fs::copy(copy.join("wal"), self.beside("-wal"))?;
        Ok(())
    }
}
