//! What the stores have in common that outlive their process.

#[cfg(any(feature = "postgres", feature = "redis"))]
mod cache;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod columns;
mod error;
mod keys;
mod registry;

#[cfg(any(feature = "postgres", feature = "redis"))]
pub(super) use self::cache::{Feed, Following, GrantCache, Which};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(super) use self::columns::{bind_changes, bind_columns, columns, read};
pub use self::error::DatabaseError;
pub(super) use self::keys::{KeyId, Keys};
pub(super) use self::registry::changed;
pub use self::registry::{ClientRegistry, ListedClient};

/// Seconds as databases count them.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(super) fn signed(span: std::time::Duration) -> i64 {
    span.as_secs().try_into().unwrap_or(i64::MAX)
}
