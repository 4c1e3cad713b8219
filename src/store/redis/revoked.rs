//! What was revoked, as entries of 64 sorted sets for each issuer; the scripts that revoke keep them. An entry is the text
//! of a grant's key, and behind it which of its tokens.

use redis::{Cmd, RedisError};

use super::calls::all;
use super::{DatabaseError, RedisStore};
use crate::error::InvalidRecord;
use crate::grant::RevokedTokens;
use crate::store::database::tokens_from_bytes;
use crate::types::{Issuer, UnixTime};

/// How long the text of a key is.
const KEY: usize = 22;

impl RedisStore {
    pub(super) async fn find_revoked(
        &self,
        issuer: &Issuer,
        now: UnixTime,
    ) -> Result<Vec<RevokedTokens>, DatabaseError> {
        let find = |set: &String| {
            let mut find = redis::cmd("ZRANGEBYSCORE");
            find.arg(set).arg(format!("({}", now.as_signed())).arg("+inf").arg("WITHSCORES");
            find
        };
        let sets = self.0.names.all_revoked(issuer);
        let found = self.0.calls.send(|_| all(sets.iter().map(find))).await?.values;
        let mut revoked = Vec::new();
        for entries in found {
            let entries: Vec<(Vec<u8>, f64)> = redis::from_redis_value(entries).map_err(RedisError::from)?;
            for (entry, until) in entries {
                revoked.push(read(&entry, until)?);
            }
        }
        Ok(revoked)
    }

    /// Forgets what has passed.
    pub(super) async fn sweep_revoked(&self, issuer: &Issuer, now: UnixTime) -> Result<(), DatabaseError> {
        let sets = self.0.names.all_revoked(issuer);
        self.0.calls.send(|_| all(sets.iter().map(|set| forget(set, now)))).await.map(drop)
    }
}

fn forget(set: &str, now: UnixTime) -> Cmd {
    let mut forget = redis::cmd("ZREMRANGEBYSCORE");
    forget.arg(set).arg("-inf").arg(now.as_signed());
    forget
}

fn read(entry: &[u8], until: f64) -> Result<RevokedTokens, InvalidRecord> {
    let broken = InvalidRecord::new("an entry of another length");
    let (key, tokens) = entry.split_at_checked(KEY).ok_or(broken)?;
    let key = str::from_utf8(key).ok().and_then(|text| text.parse().ok()).ok_or(broken)?;
    // A score is a whole number of seconds, far from where those are not exact.
    Ok(RevokedTokens::new(key, tokens_from_bytes(tokens)?, UnixTime::from_secs(until as u64)))
}
