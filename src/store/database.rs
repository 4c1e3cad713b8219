//! What the stores have in common that outlive their process.

#[cfg(any(feature = "postgres", feature = "redis"))]
#[cfg_attr(not(test), expect(dead_code, unused_imports, reason = "the stores behind a network are on their way"))]
mod cache;
mod error;
mod keys;
mod registry;

pub use self::error::DatabaseError;
pub(super) use self::keys::{KeyId, Keys};
pub(super) use self::registry::changed;
pub use self::registry::{ClientRegistry, ListedClient};
