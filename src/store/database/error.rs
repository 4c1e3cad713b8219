use std::error::Error;
use std::sync::Arc;
use std::{fmt, io};

use crate::config::ConfigErrors;
use crate::error::InvalidRecord;
use crate::store::BoxError;

/// What a store that keeps its grants in a database could not do. Cloning copies a pointer.
#[derive(Clone)]
pub struct DatabaseError(Arc<Why>);

enum Why {
    Database(BoxError),
    Record(InvalidRecord),
    File(io::Error),
    Client(ConfigErrors),
    Refused(String),
}

impl DatabaseError {
    fn database(error: impl Into<BoxError>) -> Self {
        Self(Arc::new(Why::Database(error.into())))
    }

    pub(in crate::store) fn refused(why: impl Into<String>) -> Self {
        Self(Arc::new(Why::Refused(why.into())))
    }

    /// Whether the database could not do its work, so that nothing is known of the transaction any more.
    #[cfg(feature = "sqlite")]
    pub(in crate::store) fn is_of_the_database(&self) -> bool {
        matches!(*self.0, Why::Database(_))
    }

    fn cause(&self) -> &(dyn Error + 'static) {
        match &*self.0 {
            Why::Database(error) => &**error,
            Why::Record(error) => error,
            Why::File(error) => error,
            Why::Client(error) => error,
            Why::Refused(_) => self,
        }
    }
}

impl fmt::Debug for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseError({self})")
    }
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Why::Refused(why) => f.write_str(why),
            _ => fmt::Display::fmt(self.cause(), f),
        }
    }
}

impl Error for DatabaseError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &*self.0 {
            Why::Refused(_) => None,
            // It is told as this error itself.
            _ => self.cause().source(),
        }
    }
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
impl From<sqlx::Error> for DatabaseError {
    fn from(error: sqlx::Error) -> Self {
        Self::database(error)
    }
}

#[cfg(feature = "redis")]
impl From<redis::RedisError> for DatabaseError {
    fn from(error: redis::RedisError) -> Self {
        Self::database(error)
    }
}

impl From<InvalidRecord> for DatabaseError {
    fn from(error: InvalidRecord) -> Self {
        Self(Arc::new(Why::Record(error)))
    }
}

impl From<io::Error> for DatabaseError {
    fn from(error: io::Error) -> Self {
        Self(Arc::new(Why::File(error)))
    }
}

impl From<ConfigErrors> for DatabaseError {
    fn from(error: ConfigErrors) -> Self {
        Self(Arc::new(Why::Client(error)))
    }
}
