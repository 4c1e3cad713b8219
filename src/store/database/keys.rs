//! With which keys handles were made, so that no provider starts that would take good ones for forged.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::DatabaseError;
use crate::types::Issuer;
#[cfg(any(feature = "postgres", feature = "redis"))]
use crate::types::UnixTime;

pub(in crate::store) type KeyId = [u8; 4];

/// What is known of the table, and what the providers of this process sign with.
pub(in crate::store) struct Keys(Mutex<Known>);

#[derive(Default)]
struct Known {
    in_use: HashSet<(Issuer, KeyId)>,
    signing: HashSet<(Issuer, KeyId)>,
}

impl Keys {
    /// From what the database keeps; what is no key id is none.
    pub(in crate::store) fn new(rows: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let key = |(issuer, id): (String, Vec<u8>)| Some((issuer.into(), id.try_into().ok()?));
        let in_use = rows.into_iter().filter_map(key).collect();
        Self(Mutex::new(Known { in_use, ..Known::default() }))
    }

    /// Whether any handles were made at all.
    #[cfg(feature = "sqlite")]
    pub(in crate::store) fn any(&self) -> bool {
        !self.known().in_use.is_empty()
    }

    /// A provider has these keys; answers the one that signs.
    pub(in crate::store) fn start(&self, issuer: &Issuer, ids: &[KeyId]) -> Result<Option<KeyId>, DatabaseError> {
        let mut known = self.known();
        let lacking = known.in_use.iter().filter(|(of, id)| of == issuer && !ids.contains(id)).count();
        if lacking > 0 {
            return Err(DatabaseError::refused(format!(
                "{lacking} of the secrets that signed tokens of {issuer} are missing: add them behind the first one, or \
                 end those tokens with the store's `forget_keys`"
            )));
        }
        let Some(signing) = ids.first() else { return Ok(None) };
        known.in_use.insert((issuer.clone(), *signing));
        known.signing.insert((issuer.clone(), *signing));
        Ok(Some(*signing))
    }

    /// What the providers of this process sign with.
    pub(in crate::store) fn signing(&self, issuer: &Issuer) -> Vec<KeyId> {
        self.known().signing.iter().filter(|(of, _)| of == issuer).map(|(_, id)| *id).collect()
    }

    pub(in crate::store) fn forget(&self, issuer: &Issuer, gone: impl Fn(&KeyId) -> bool) {
        self.known().in_use.retain(|(of, id)| of != issuer || !gone(id));
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Two sets of which each is whole after every operation.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A key, and when it signed.
#[cfg(any(feature = "postgres", feature = "redis"))]
pub(in crate::store) type Signing = (Issuer, KeyId, UnixTime);

/// Keys that sign from now on and are not noted yet.
#[cfg(any(feature = "postgres", feature = "redis"))]
#[derive(Default)]
pub(in crate::store) struct ToNote(Mutex<Vec<Signing>>);

#[cfg(any(feature = "postgres", feature = "redis"))]
impl ToNote {
    pub(in crate::store) fn add(&self, key: Signing) {
        self.keys().push(key);
    }

    /// Has them noted. Whoever writes a grant asks for it first, so that a key is known before a handle is good that it
    /// made. Where several ask at once, each notes them: that is no other than noting them once.
    pub(in crate::store) async fn note<F>(&self, note: impl FnOnce(Vec<Signing>) -> F) -> Result<(), DatabaseError>
    where
        F: Future<Output = Result<(), DatabaseError>>,
    {
        let keys = self.keys().clone();
        if !keys.is_empty() {
            // In a box: it is rare, and each step would carry the room for it along.
            Box::pin(note(keys.clone())).await?;
            self.keys().retain(|key| !keys.contains(key));
        }
        Ok(())
    }

    fn keys(&self) -> MutexGuard<'_, Vec<Signing>> {
        // A list that is whole after every operation.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
