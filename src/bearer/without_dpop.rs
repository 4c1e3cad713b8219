//! Without the feature `jwt` nobody looks at a proof.

use std::sync::Arc;

use http::{HeaderValue, Request};

use super::verify::{Answer, Verification};
use crate::error::ProtocolError;
use crate::provider::Provider;
use crate::types::Resource;

/// It cannot be made.
pub(super) enum Proofs {}

pub(super) enum Read {}

impl Proofs {
    pub(super) const ALGORITHMS: &str = "";

    pub(super) const fn of(_: &Provider, _: Option<&Resource>) -> Option<Self> {
        None
    }

    pub(super) const fn are_required(&self) -> bool {
        match *self {}
    }

    pub(super) const fn read<B>(&self, _: &Request<B>, _: &str) -> Result<Read, ProtocolError> {
        match *self {}
    }

    pub(super) fn confirm(self: &Arc<Self>, _: Read, _: Verification) -> Answer {
        match **self {}
    }

    pub(super) const fn nonce(&self) -> Option<HeaderValue> {
        match *self {}
    }
}

impl Read {
    pub(super) const fn note<B>(&self, _: &mut Request<B>) {
        match *self {}
    }
}
