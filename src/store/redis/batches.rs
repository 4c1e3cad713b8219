//! What is done to many grants: some at a time, so that nobody else has to wait for long.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use redis::{Cmd, RedisError};

use super::calls::all;
use super::names::{Place, of_client, of_user};
use super::scripts::{Form, SWEEP};
use super::{DatabaseError, RedisStore, rows, steps};
use crate::error::InvalidRecord;
use crate::grant::{Grant, Outcome, Refused, Revocation};
use crate::handle::GrantKey;
use crate::store::Holder;
use crate::types::{Issuer, UnixTime};

/// About how many grants of a holder are looked at at once.
const BATCH: usize = 256;
/// How many grants of each of the 64 sets the sweep looks at at once.
const OF_EACH: usize = 8;

/// A field of an index and its value.
type Entry = (Vec<u8>, Vec<u8>);

impl RedisStore {
    pub(super) async fn held(&self, issuer: &Issuer, holder: &Holder) -> Result<Vec<Arc<Grant>>, DatabaseError> {
        let mut held = BTreeMap::new();
        let mut cursor = Some(0);
        while let Some(at) = cursor {
            let (next, keys) = self.some_of(issuer, holder, at).await?;
            cursor = next;
            if keys.is_empty() {
                continue;
            }
            let find = |_| all(keys.iter().map(|key| rows::find(&self.0.names, *key)));
            for (key, found) in keys.iter().zip(self.0.calls.send(find).await?.values) {
                // An index may have what has gone by itself, or is not created yet.
                let grant = rows::read(*key, found)?;
                held.extend(grant.filter(|grant| grant.issuer() == issuer && holder.holds(grant)).map(|g| (*key, g)));
            }
        }
        Ok(held.into_values().collect())
    }

    /// Ends every grant of a holder; answers how many were alive.
    pub(super) async fn end_all(&self, holder: &Holder, step: &Revocation) -> Result<usize, DatabaseError> {
        let (mut ended, mut ended_before) = (0, false);
        let mut cursor = Some(0);
        while let Some(at) = cursor {
            let (next, keys) = self.some_of(&step.issuer, holder, at).await?;
            cursor = next;
            if keys.is_empty() {
                continue;
            }
            let (names, subject) = (&self.0.names, holder.subject());
            let end = |form| all(keys.iter().map(|key| steps::revoke(names, *key, step, subject, form)));
            let answer = self.0.calls.send_durably(end).await?;
            answer.acknowledged?;
            for answer in answer.values {
                match rows::outcome(answer)? {
                    Outcome::Revoked => ended += 1,
                    Outcome::Refused(Refused::Revoked) => ended_before = true,
                    _ => {}
                }
            }
        }
        if ended_before {
            self.0.calls.settle().await?;
        }
        Ok(ended)
    }

    /// Some keys of a holder's grants, and where to go on. A grant that was there before the first call is in one of the
    /// answers, or in several.
    async fn some_of(
        &self,
        issuer: &Issuer,
        holder: &Holder,
        cursor: u64,
    ) -> Result<(Option<u64>, Vec<GrantKey>), DatabaseError> {
        let names = &self.0.names;
        let (index, at_client) = match holder {
            Holder::User(subject) => (names.user(&of_user(issuer, subject)), None),
            Holder::UserAtClient(subject, client) => (names.user(&of_user(issuer, subject)), Some(client)),
            Holder::Client(client) => (names.client(&of_client(issuer, client)), None),
        };
        let mut scan = redis::cmd("HSCAN");
        scan.arg(index).arg(cursor).arg("COUNT").arg(BATCH);
        let answer = self.0.calls.send(|_| all([scan.clone()])).await?.last();
        let (next, entries): (u64, Vec<Entry>) = redis::from_redis_value(answer).map_err(RedisError::from)?;
        let meant = |value: &[u8]| at_client.is_none_or(|client| client.as_str().as_bytes() == value);
        let key = |(key, value): Entry| {
            let key = key.try_into().map_err(|_| InvalidRecord::new("a key of another length"));
            meant(&value).then(|| key.map(GrantKey::from_bytes))
        };
        let keys = entries.into_iter().filter_map(key).collect::<Result<_, _>>()?;
        Ok(((next != 0).then_some(next), keys))
    }

    /// Forgets the grants that are over, and of what went by itself the entries that led to it; answers how many grants
    /// were forgotten.
    pub(super) async fn sweep_grants(
        &self,
        issuer: &Issuer,
        now: UnixTime,
        idle: Duration,
    ) -> Result<usize, DatabaseError> {
        let mut swept = 0;
        loop {
            let due = self.due(issuer, now).await?;
            if due.is_empty() {
                return Ok(swept);
            }
            let look = |form| all(due.iter().map(|(set, entry)| self.look(set, entry, now, idle, form)));
            let states = self.0.calls.send(look).await?.values;
            let mut drop = Vec::new();
            for ((set, entry), state) in due.iter().zip(states) {
                let state: String = redis::from_redis_value(state).map_err(RedisError::from)?;
                swept += usize::from(state == "swept");
                if state != "alive" {
                    drop.extend(self.drop_entries(set, entry));
                }
            }
            if !drop.is_empty() {
                self.0.calls.send(|_| all(drop.iter().cloned())).await?;
            }
        }
    }

    /// Entries of the sweep's sets whose time has come, each with its set.
    async fn due(&self, issuer: &Issuer, now: UnixTime) -> Result<Vec<(String, Place)>, DatabaseError> {
        let sets = self.0.names.all_due(issuer);
        let find = |set: &String| {
            let mut find = redis::cmd("ZRANGEBYSCORE");
            find.arg(set).arg("-inf").arg(now.as_signed()).arg("LIMIT").arg(0).arg(OF_EACH);
            find
        };
        let found = self.0.calls.send(|_| all(sets.iter().map(find))).await?.values;
        let mut due = Vec::new();
        for (set, entries) in sets.iter().zip(found) {
            let entries: Vec<Vec<u8>> = redis::from_redis_value(entries).map_err(RedisError::from)?;
            for entry in entries {
                let place = Place::from_bytes(&entry).ok_or(InvalidRecord::new("an entry of another length"))?;
                due.push((set.clone(), place));
            }
        }
        Ok(due)
    }

    fn look(&self, set: &str, entry: &Place, now: UnixTime, idle: Duration, form: Form) -> Cmd {
        let mut look = SWEEP.on(form, &[&self.0.names.grant(entry.key), set]);
        look.arg(entry.to_bytes()).arg(now.as_signed()).arg(idle.as_secs());
        look
    }

    /// That of the sweep last: where this is broken off, the next sweep finds it again.
    fn drop_entries(&self, set: &str, entry: &Place) -> Vec<Cmd> {
        let drop = |command: &str, name: &str, what: &[u8]| {
            let mut drop = redis::cmd(command);
            drop.arg(name).arg(what);
            drop
        };
        let names = &self.0.names;
        let key = entry.key.as_bytes();
        let mut commands = vec![drop("HDEL", &names.client(&entry.client), key)];
        commands.extend(entry.user.map(|user| drop("HDEL", &names.user(&user), key)));
        commands.push(drop("ZREM", set, &entry.to_bytes()));
        commands
    }
}
