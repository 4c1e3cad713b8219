use std::error::Error;
use std::sync::Arc;
use std::{fmt, io};

use crate::config::ConfigErrors;
use crate::error::InvalidRecord;

/// What a [`SqliteStore`](super::SqliteStore) could not do. Cloning copies a pointer.
#[derive(Clone)]
pub struct SqliteError(Arc<Why>);

enum Why {
    Database(sqlx::Error),
    Record(InvalidRecord),
    File(io::Error),
    Client(ConfigErrors),
    Refused(String),
}

impl SqliteError {
    pub(super) fn refused(why: impl Into<String>) -> Self {
        Self(Arc::new(Why::Refused(why.into())))
    }

    /// Whether SQLite could not do its work, so that nothing is known of the transaction any more.
    pub(super) fn is_of_the_database(&self) -> bool {
        matches!(*self.0, Why::Database(_))
    }

    fn cause(&self) -> &(dyn Error + 'static) {
        match &*self.0 {
            Why::Database(error) => error,
            Why::Record(error) => error,
            Why::File(error) => error,
            Why::Client(error) => error,
            Why::Refused(_) => self,
        }
    }
}

impl fmt::Debug for SqliteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SqliteError({self})")
    }
}

impl fmt::Display for SqliteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Why::Refused(why) => f.write_str(why),
            _ => fmt::Display::fmt(self.cause(), f),
        }
    }
}

impl Error for SqliteError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &*self.0 {
            Why::Refused(_) => None,
            // It is told as this error itself.
            _ => self.cause().source(),
        }
    }
}

impl From<sqlx::Error> for SqliteError {
    fn from(error: sqlx::Error) -> Self {
        Self(Arc::new(Why::Database(error)))
    }
}

impl From<InvalidRecord> for SqliteError {
    fn from(error: InvalidRecord) -> Self {
        Self(Arc::new(Why::Record(error)))
    }
}

impl From<io::Error> for SqliteError {
    fn from(error: io::Error) -> Self {
        Self(Arc::new(Why::File(error)))
    }
}

impl From<ConfigErrors> for SqliteError {
    fn from(error: ConfigErrors) -> Self {
        Self(Arc::new(Why::Client(error)))
    }
}
