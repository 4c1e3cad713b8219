//! The transitions as calls of their scripts.

use redis::Cmd;

use super::names::Names;
use super::rows::lifetime;
use super::scripts::{ADVANCE, Form, REDEEM, REVOKE, ROTATE, Script};
use crate::grant::{Grant, Redemption, Revocation, Rotation};
use crate::handle::GrantKey;
use crate::types::{ClientId, Issuer, Subject, UnixTime};

fn call(script: &Script, form: Form, names: &Names, issuer: &Issuer, key: GrantKey) -> Cmd {
    let (due, revoked) = names.of_step(issuer, key);
    let mut call = script.on(form, &[&names.grant(key), &due, &names.revocations(key), &revoked]);
    call.arg(issuer.as_str());
    call
}

pub(super) fn redeem(names: &Names, key: GrantKey, step: &Redemption, form: Form) -> Cmd {
    let mut call = call(&REDEEM, form, names, &step.issuer, key);
    call.arg(step.client.as_str())
        .arg(step.now.as_signed())
        .arg(some(step.redirect_uri.as_deref()))
        .arg(some(step.challenge))
        .arg(&step.secret)
        .arg(step.grant_expires_at.as_signed())
        .arg(step.double_submit.as_secs())
        .arg(names.channel());
    call
}

/// The usual rotation, by which the record becomes `next`.
pub(super) fn advance(names: &Names, step: &Rotation, next: &Grant, form: Form) -> Cmd {
    let mut call = ADVANCE.on(form, &[&names.grant(next.key())]);
    call.arg(step.generation)
        .arg(next.generation())
        .arg(step.now.as_signed())
        .arg(lifetime(next.expires_at().since(step.now).min(step.idle.as_secs())));
    call
}

/// Any rotation.
pub(super) fn rotate(names: &Names, key: GrantKey, step: &Rotation, form: Form) -> Cmd {
    let mut call = call(&ROTATE, form, names, &step.issuer, key);
    call.arg(step.client.as_str())
        .arg(step.now.as_signed())
        .arg(&step.secret)
        .arg(step.generation)
        .arg(step.grace.as_secs())
        .arg(step.idle.as_secs())
        .arg(names.channel());
    call
}

/// Where a user is named, only if that user gave it.
pub(super) fn revoke(names: &Names, key: GrantKey, step: &Revocation, subject: Option<&Subject>, form: Form) -> Cmd {
    let entry = |(token, end): ([u8; 8], UnixTime)| [token, end.as_secs().to_be_bytes()].concat();
    let mut call = call(&REVOKE, form, names, &step.issuer, key);
    call.arg(some(step.client.as_ref().map(ClientId::as_str)))
        .arg(step.now.as_signed())
        .arg(some(step.secret))
        .arg(some(subject.map(Subject::as_str)))
        .arg(step.reason.as_str())
        .arg(step.token.map(entry).unwrap_or_default())
        .arg(names.channel());
    call
}

/// A value that may be missing, as scripts read it.
fn some(value: Option<impl AsRef<[u8]>>) -> Vec<u8> {
    value.map_or_else(Vec::new, |value| [b"=", value.as_ref()].concat())
}
