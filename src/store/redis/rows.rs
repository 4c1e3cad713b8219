//! Grants as hashes, and what a transition came to.

use std::sync::Arc;
use std::vec;

use redis::{Cmd, RedisError, Value};

use super::DatabaseError;
use super::names::{Names, Place};
use super::scripts::{CREATE, Form, KEEP_CLIENT};
use crate::error::InvalidRecord;
use crate::grant::{Grant, GrantRecord, Outcome, Refused, Verdict};
use crate::handle::GrantKey;

/// As in `lua/record.lua`.
const MARGIN: u64 = 3_600;
const LONGEST: u64 = 1_000_000_000_000;

const NO_FIELDS: InvalidRecord = InvalidRecord::new("no list of fields");

/// The fields of a record. Whoever reads one asks for all of them in this order, `lua/record.lua` too, so that no answer has
/// to name them.
const FIELDS: [&str; 20] = [
    "issuer",
    "client_id",
    "subject",
    "scope",
    "resources",
    "claims",
    "auth_time",
    "redirect_uri",
    "redirect_uri_sent",
    "challenge",
    "created_at",
    "expires_at",
    "redeemed_at",
    "rotated_at",
    "secret_hash",
    "generation",
    "revoked_at",
    "revoke_reason",
    "revoked_tokens",
    "revoked_until",
];

/// Keeps a new grant. The set of the sweep and the indexes come first: where a connection breaks in between, the sweep
/// finds an entry without a grant and drops it, and never is there a grant that nobody finds. Before them its client is kept,
/// so that no sweep forgets it that saw no entry yet.
pub(super) fn create(names: &Names, grant: &Grant, form: Form) -> Vec<Cmd> {
    let place = Place::of(grant);
    let record = grant.to_record();
    let mut keep = KEEP_CLIENT.on(form, &[&names.registered(grant.issuer())]);
    keep.arg(&record.client_id).arg(record.expires_at);
    let mut commands = vec![keep];
    let mut due = redis::cmd("ZADD");
    due.arg(names.due(grant.issuer(), place.key)).arg("NX").arg(record.expires_at).arg(place.to_bytes());
    commands.push(due);
    if let Some(user) = &place.user {
        commands.push(index(names.user(user), place.key, &record.client_id));
    }
    commands.push(index(names.client(&place.client), place.key, ""));
    let mut create = CREATE.on(form, &[&names.grant(place.key)]);
    create.arg(lifetime(grant.expires_at().since(grant.created_at())));
    create.arg("due").arg(place.to_bytes());
    for (name, value) in fields(record) {
        create.arg(name).arg(value);
    }
    commands.push(create);
    commands
}

fn index(name: String, key: GrantKey, value: &str) -> Cmd {
    let mut index = redis::cmd("HSET");
    index.arg(name).arg(key.as_bytes()).arg(value);
    index
}

/// For how long Redis keeps what ends in so many seconds.
pub(super) fn lifetime(seconds: u64) -> u64 {
    seconds.min(LONGEST) + MARGIN
}

pub(super) fn find(names: &Names, key: GrantKey) -> Cmd {
    let mut find = redis::cmd("HMGET");
    find.arg(names.grant(key)).arg(&FIELDS);
    find
}

/// The fields that a grant has, and their values.
fn fields(record: GrantRecord) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let number = |number: i64| Some(number.to_string().into_bytes());
    let maybe = |value: Option<i64>| value.and_then(number);
    let text = |text: String| Some(text.into_bytes());
    let values = [
        text(record.issuer),
        text(record.client_id),
        record.subject.and_then(text),
        text(record.scope),
        text(record.resources),
        record.claims.and_then(text),
        maybe(record.auth_time),
        record.redirect_uri.and_then(text),
        number(record.redirect_uri_sent.into()),
        record.challenge,
        number(record.created_at),
        number(record.expires_at),
        maybe(record.redeemed_at),
        maybe(record.rotated_at),
        record.secret_hash,
        number(record.generation),
        maybe(record.revoked_at),
        record.revoke_reason.and_then(text),
        record.revoked_tokens,
        maybe(record.revoked_until),
    ];
    FIELDS.into_iter().zip(values).filter_map(|(name, value)| Some((name, value?)))
}

/// A grant as it was found; `None` where there is none.
pub(super) fn read(key: GrantKey, found: Value) -> Result<Option<Arc<Grant>>, DatabaseError> {
    let Value::Array(values) = found else { return Err(NO_FIELDS.into()) };
    if values.iter().all(|value| *value == Value::Nil) {
        return Ok(None);
    }
    Ok(Some(Arc::new(Fields(values.into_iter()).into_grant(key)?)))
}

/// What a script on a record answers: the record as it is then, and the outcome.
pub(super) fn verdict(key: GrantKey, answer: Value) -> Result<Verdict, DatabaseError> {
    let (outcome, kept) = parts(answer)?;
    Ok(read(key, kept)?.map_or(Verdict::UNKNOWN, |grant| Verdict::new(outcome, grant)))
}

/// The outcome alone, whatever the record is.
pub(super) fn outcome(answer: Value) -> Result<Outcome, DatabaseError> {
    Ok(parts(answer)?.0)
}

fn parts(answer: Value) -> Result<(Outcome, Value), DatabaseError> {
    let Value::Array(mut kept) = answer else { return Err(NO_FIELDS.into()) };
    let outcome: String = redis::from_redis_value(kept.pop().unwrap_or_default()).map_err(RedisError::from)?;
    let outcome = named(&outcome).ok_or(InvalidRecord::new("an outcome that no script has"))?;
    Ok((outcome, Value::Array(kept)))
}

fn named(outcome: &str) -> Option<Outcome> {
    Some(match outcome {
        "redeemed" => Outcome::Redeemed,
        "repeated" => Outcome::Repeated,
        "replayed" => Outcome::Replayed,
        "rotated" => Outcome::Rotated,
        "ahead" => Outcome::Ahead,
        "retried" => Outcome::Retried,
        "revoked" => Outcome::Revoked,
        "unknown" => Outcome::Refused(Refused::Unknown),
        "mismatch" => Outcome::Refused(Refused::Mismatch),
        "ended" => Outcome::Refused(Refused::Revoked),
        "expired" => Outcome::Refused(Refused::Expired),
        "too_far" => Outcome::Refused(Refused::TooFar),
        _ => return None,
    })
}

/// The values of [`FIELDS`], one after the other.
struct Fields(vec::IntoIter<Value>);

impl Fields {
    fn into_grant(mut self, key: GrantKey) -> Result<Grant, InvalidRecord> {
        let missing = || InvalidRecord::new("a field is missing");
        // A struct's fields are read in the order in which they are written.
        Grant::from_record(GrantRecord {
            key: *key.as_bytes(),
            issuer: self.text()?.ok_or_else(missing)?,
            client_id: self.text()?.ok_or_else(missing)?,
            subject: self.text()?,
            scope: self.text()?.ok_or_else(missing)?,
            resources: self.text()?.ok_or_else(missing)?,
            claims: self.text()?,
            auth_time: self.number()?,
            redirect_uri: self.text()?,
            redirect_uri_sent: self.number()?.ok_or_else(missing)? == 1,
            challenge: self.bytes()?,
            created_at: self.number()?.ok_or_else(missing)?,
            expires_at: self.number()?.ok_or_else(missing)?,
            redeemed_at: self.number()?,
            rotated_at: self.number()?,
            secret_hash: self.bytes()?,
            generation: self.number()?.ok_or_else(missing)?,
            revoked_at: self.number()?,
            revoke_reason: self.text()?,
            revoked_tokens: self.bytes()?,
            revoked_until: self.number()?,
        })
    }

    fn bytes(&mut self) -> Result<Option<Vec<u8>>, InvalidRecord> {
        match self.0.next() {
            Some(Value::BulkString(bytes)) => Ok(Some(bytes)),
            Some(Value::Nil) => Ok(None),
            _ => Err(InvalidRecord::new("a field that is no text")),
        }
    }

    fn text(&mut self) -> Result<Option<String>, InvalidRecord> {
        self.bytes()?.map(String::from_utf8).transpose().map_err(|_| InvalidRecord::new("a field that is no text"))
    }

    /// A text as it is kept, or a number as a script has just made it.
    fn number(&mut self) -> Result<Option<i64>, InvalidRecord> {
        let next = self.0.next().unwrap_or_default();
        redis::from_redis_value(next).map_err(|_| InvalidRecord::new("a field that is no number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::RevokedTokens;
    use crate::types::UnixTime;

    #[test]
    fn the_scripts_tell_a_revocation_for_as_long_as_the_rules_do() {
        let [all, one] = [RevokedTokens::until_of_all, RevokedTokens::until_of_one]
            .map(|until| until(UnixTime::from_secs(0)).as_secs());
        let lua = include_str!("lua/record.lua");
        assert!(lua.contains(&format!("\nlocal PRESENTED, BEYOND = {all}, {one}\n")), "{all}, {one}");
    }

    /// What the scripts ask for, and where they look for it.
    #[test]
    fn the_scripts_have_the_fields_in_the_same_order() {
        let lua = include_str!("lua/record.lua");
        let asked = lua.split_once("'HMGET', KEYS[1],").and_then(|(_, rest)| rest.split_once(')')).expect("an HMGET").0;
        let asked: Vec<_> = asked.split(',').map(|name| name.trim().trim_matches('\'')).collect();
        assert_eq!(asked, FIELDS);
        let mut places = 0;
        for (names, numbers) in lua.lines().filter_map(|line| line.strip_prefix("local ")?.split_once(" = ")) {
            for (name, number) in names.split(", ").zip(numbers.split(", ")) {
                let Some(at) = FIELDS.iter().position(|field| field.to_uppercase() == name) else { continue };
                assert_eq!(number.parse(), Ok(at + 1), "{name}");
                places += 1;
            }
        }
        assert!(places > 0 && lua.contains(&format!("OUTCOME = {}\n", FIELDS.len() + 1)), "{places} places");
    }
}
