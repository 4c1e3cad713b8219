//! The key ids in use, as a hash: each with its issuer, and when it last signed.

use std::collections::HashMap;
use std::time::Duration;

use redis::{Cmd, RedisError, Value};

use super::calls::all;
use super::names::Names;
use super::{DatabaseError, RedisStore};
use crate::store::database::{KeyId, Keys, Signing};
use crate::types::{Issuer, UnixTime};

/// Keys are noted now and then, so each is in use for a day more.
const DAY: u64 = 86_400;

pub(super) fn read(found: Value) -> Result<Keys, DatabaseError> {
    let rows = rows(found)?.into_iter().map(|(issuer, id, _)| (issuer.as_str().to_owned(), id.to_vec()));
    Ok(Keys::new(rows))
}

/// What is no key is none.
fn rows(found: Value) -> Result<Vec<Signing>, DatabaseError> {
    let rows: HashMap<Vec<u8>, u64> = redis::from_redis_value(found).map_err(RedisError::from)?;
    let row = |(field, at): (Vec<u8>, u64)| {
        let (id, issuer) = field.split_first_chunk::<4>()?;
        Some((std::str::from_utf8(issuer).ok()?.into(), *id, UnixTime::from_secs(at)))
    };
    Ok(rows.into_iter().filter_map(row).collect())
}

fn field(issuer: &Issuer, id: KeyId) -> Vec<u8> {
    [&id[..], issuer.as_str().as_bytes()].concat()
}

pub(super) fn note(names: &Names, (issuer, id, now): &Signing) -> Cmd {
    let mut note = redis::cmd("HSET");
    note.arg(names.keys()).arg(field(issuer, *id)).arg(now.as_signed());
    note
}

impl RedisStore {
    pub(super) async fn forget_keys_of(
        &self,
        issuer: &Issuer,
        gone: impl Fn(UnixTime) -> bool,
    ) -> Result<(), DatabaseError> {
        let names = &self.0.names;
        let mut find = redis::cmd("HGETALL");
        find.arg(names.keys());
        let known = rows(self.0.calls.send(|_| all([find.clone()])).await?.last())?;
        let gone: Vec<_> = known.into_iter().filter(|(of, _, at)| of == issuer && gone(*at)).collect();
        let forget = |(issuer, id, _): &Signing| {
            let mut forget = redis::cmd("HDEL");
            forget.arg(names.keys()).arg(field(issuer, *id));
            forget
        };
        if !gone.is_empty() {
            self.0.calls.send(|_| all(gone.iter().map(forget))).await?;
        }
        self.0.keys.forget(issuer, |id| gone.iter().any(|(_, gone, _)| gone == id));
        Ok(())
    }

    /// Notes the keys that sign, and forgets those whose last refresh token has been idle for too long.
    pub(super) async fn sweep_keys(&self, issuer: &Issuer, now: UnixTime, idle: Duration) -> Result<(), DatabaseError> {
        let signing = self.0.keys.signing(issuer).into_iter().map(|id| (issuer.clone(), id, now));
        let signing: Vec<_> = signing.collect();
        if !signing.is_empty() {
            self.0.calls.send(|_| all(signing.iter().map(|key| note(&self.0.names, key)))).await?;
        }
        self.forget_keys_of(issuer, |at| now.since(at) >= idle.as_secs().saturating_add(DAY)).await
    }
}
