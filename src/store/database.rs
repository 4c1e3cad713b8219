//! What the stores have in common that outlive their process.

use std::time::Duration;
#[cfg(any(feature = "postgres", feature = "redis"))]
use std::time::SystemTime;

#[cfg(any(feature = "postgres", feature = "redis"))]
mod cache;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod columns;
mod error;
mod keys;
mod registry;
mod revoked;

#[cfg(any(feature = "postgres", feature = "redis"))]
pub(super) use self::cache::{Feed, Following, GrantCache, Which};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(super) use self::columns::{COLUMNS, bind_columns, columns, read};
pub use self::error::DatabaseError;
pub(super) use self::keys::{KeyId, Keys};
#[cfg(any(feature = "postgres", feature = "redis"))]
pub(super) use self::keys::{Signing, ToNote};
pub(super) use self::registry::changed;
pub use self::registry::{ClientRegistry, ListedClient};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(super) use self::revoked::revoked_from_row;
#[cfg(feature = "redis")]
pub(super) use self::revoked::tokens_from_bytes;
#[cfg(feature = "sqlite")]
pub(super) use self::revoked::tokens_to_bytes;

/// Seconds as databases count them.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(super) fn signed(span: Duration) -> i64 {
    span.as_secs().try_into().unwrap_or(i64::MAX)
}

/// How far a clock is away that showed `theirs` at some moment between the two.
#[cfg(any(feature = "postgres", feature = "redis"))]
pub(super) fn skew(asked: SystemTime, theirs: SystemTime, answered: SystemTime) -> Duration {
    let ours = asked + answered.duration_since(asked).unwrap_or_default() / 2;
    let behind = ours.duration_since(theirs).unwrap_or_default();
    behind.max(theirs.duration_since(ours).unwrap_or_default())
}
