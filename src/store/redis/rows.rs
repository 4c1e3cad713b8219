//! Grants as hashes, and what a transition came to.

use std::collections::HashMap;
use std::sync::Arc;

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
    let mut find = redis::cmd("HGETALL");
    find.arg(names.grant(key));
    find
}

/// The fields that a grant has.
fn fields(record: GrantRecord) -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    let number = |number: i64| Some(number.to_string().into_bytes());
    let maybe = |value: Option<i64>| value.and_then(number);
    let text = |text: String| Some(text.into_bytes());
    [
        ("issuer", text(record.issuer)),
        ("client_id", text(record.client_id)),
        ("subject", record.subject.and_then(text)),
        ("scope", text(record.scope)),
        ("resources", text(record.resources)),
        ("claims", record.claims.and_then(text)),
        ("auth_time", maybe(record.auth_time)),
        ("redirect_uri", record.redirect_uri.and_then(text)),
        ("redirect_uri_sent", number(record.redirect_uri_sent.into())),
        ("challenge", record.challenge),
        ("created_at", number(record.created_at)),
        ("expires_at", number(record.expires_at)),
        ("redeemed_at", maybe(record.redeemed_at)),
        ("rotated_at", maybe(record.rotated_at)),
        ("secret_hash", record.secret_hash),
        ("generation", number(record.generation)),
        ("revoked_at", maybe(record.revoked_at)),
        ("revoke_reason", record.revoke_reason.and_then(text)),
        ("revoked_tokens", record.revoked_tokens),
        ("revoked_until", maybe(record.revoked_until)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
}

/// A grant as it was found; `None` where there is none.
pub(super) fn read(key: GrantKey, found: Value) -> Result<Option<Arc<Grant>>, DatabaseError> {
    let fields = Fields::of(found)?;
    if fields.0.is_empty() {
        return Ok(None);
    }
    Ok(Some(Arc::new(fields.into_grant(key)?)))
}

/// What a script on a record answers: the outcome, the record before it, and what it changed.
pub(super) fn verdict(key: GrantKey, answer: Value) -> Result<Verdict, DatabaseError> {
    let (outcome, kept, changes) = parts(answer)?;
    let mut fields = Fields::of(kept)?;
    if fields.0.is_empty() {
        return Ok(Verdict::UNKNOWN);
    }
    fields.0.extend(Fields::of(changes)?.0);
    Ok(Verdict::new(outcome, Arc::new(fields.into_grant(key)?)))
}

/// The outcome alone, whatever the record is.
pub(super) fn outcome(answer: Value) -> Result<Outcome, DatabaseError> {
    Ok(parts(answer)?.0)
}

fn parts(answer: Value) -> Result<(Outcome, Value, Value), DatabaseError> {
    let (outcome, kept, changes): (String, Value, Value) = redis::from_redis_value(answer).map_err(RedisError::from)?;
    let outcome = named(&outcome).ok_or(InvalidRecord::new("an outcome that no script has"))?;
    Ok((outcome, kept, changes))
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

struct Fields(HashMap<Vec<u8>, Vec<u8>>);

impl Fields {
    fn of(value: Value) -> Result<Self, DatabaseError> {
        Ok(Self(redis::from_redis_value(value).map_err(RedisError::from)?))
    }

    fn into_grant(mut self, key: GrantKey) -> Result<Grant, InvalidRecord> {
        let missing = || InvalidRecord::new("a field is missing");
        let mut record = GrantRecord {
            key: *key.as_bytes(),
            issuer: self.text("issuer")?.ok_or_else(missing)?,
            client_id: self.text("client_id")?.ok_or_else(missing)?,
            subject: self.text("subject")?,
            scope: self.text("scope")?.ok_or_else(missing)?,
            resources: self.text("resources")?.ok_or_else(missing)?,
            claims: self.text("claims")?,
            auth_time: self.number("auth_time")?,
            redirect_uri: self.text("redirect_uri")?,
            redirect_uri_sent: self.number("redirect_uri_sent")?.ok_or_else(missing)? == 1,
            challenge: self.bytes("challenge"),
            created_at: self.number("created_at")?.ok_or_else(missing)?,
            expires_at: self.number("expires_at")?.ok_or_else(missing)?,
            ..GrantRecord::default()
        };
        record.redeemed_at = self.number("redeemed_at")?;
        record.rotated_at = self.number("rotated_at")?;
        record.secret_hash = self.bytes("secret_hash");
        record.generation = self.number("generation")?.ok_or_else(missing)?;
        record.revoked_at = self.number("revoked_at")?;
        record.revoke_reason = self.text("revoke_reason")?;
        record.revoked_tokens = self.bytes("revoked_tokens");
        record.revoked_until = self.number("revoked_until")?;
        Grant::from_record(record)
    }

    fn bytes(&mut self, name: &str) -> Option<Vec<u8>> {
        self.0.remove(name.as_bytes())
    }

    fn text(&mut self, name: &str) -> Result<Option<String>, InvalidRecord> {
        self.bytes(name).map(String::from_utf8).transpose().map_err(|_| InvalidRecord::new("a field that is no text"))
    }

    fn number(&mut self, name: &str) -> Result<Option<i64>, InvalidRecord> {
        let number = |text: String| text.parse().map_err(|_| InvalidRecord::new("a field that is no number"));
        self.text(name)?.map(number).transpose()
    }
}
