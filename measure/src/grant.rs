//! Grants to fill a store with.

use tower_oauth::{GrantRecord, Rotation};

/// The grant of this number, redeemed at `now`, without an end. `step` is what rotates it.
#[must_use]
pub fn redeemed(number: usize, step: &Rotation, now: i64) -> GrantRecord {
    let mut record = GrantRecord::default();
    record.key = rand::random();
    record.issuer = step.issuer.as_str().to_owned();
    record.client_id = step.client.as_str().to_owned();
    record.subject = Some(crate::flow::subject(number));
    record.scope = "profile".to_owned();
    record.resources = record.issuer.clone();
    record.redirect_uri = Some("https://customapp.example/oauth/redirect".to_owned());
    record.redirect_uri_sent = true;
    record.challenge = Some(rand::random::<[u8; 32]>().to_vec());
    record.created_at = now;
    record.expires_at = 253_402_300_799;
    record.redeemed_at = Some(now);
    record.rotated_at = Some(now);
    record.secret_hash = Some(step.secret.to_vec());
    record
}
