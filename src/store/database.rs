//! What the stores have in common that outlive their process.

mod error;
mod keys;
mod registry;

pub use self::error::DatabaseError;
pub(super) use self::keys::{KeyId, Keys};
pub(super) use self::registry::changed;
pub use self::registry::{ClientRegistry, ListedClient};
