//! What a token says ([RFC 7519 §4](https://www.rfc-editor.org/rfc/rfc7519#section-4)).

use std::time::Duration;

use serde_json::{Map, Value};

use super::json::Members;
use super::jws::JwtError;
use crate::types::UnixTime;

/// How far apart the clocks of two parties may be.
pub(crate) const LEEWAY: Duration = Duration::from_secs(60);

/// The claims of a token. Those that are read here are of their types.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Claims {
    pub(crate) issuer: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) audience: Audience,
    pub(crate) id: Option<String>,
    pub(crate) expires_at: Option<UnixTime>,
    pub(crate) not_before: Option<UnixTime>,
    pub(crate) issued_at: Option<UnixTime>,
    /// All the others.
    pub(crate) others: Map<String, Value>,
}

/// `aud`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    Missing,
    One(String),
    Many(Vec<String>),
}

impl Audience {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        let all = match self {
            Self::Missing => &[],
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many.as_slice(),
        };
        all.iter().map(String::as_str)
    }
}

impl Claims {
    pub(super) fn read(json: &[u8]) -> Result<Self, JwtError> {
        let names = ["iss", "sub", "aud", "jti", "exp", "nbf", "iat"];
        let Members { named, others } = Members::read(json, names).map_err(|_| JwtError::Malformed)?;
        let [issuer, subject, aud, id, expires_at, not_before, issued_at] = named;
        Ok(Self {
            issuer: issuer.map(text).transpose()?,
            subject: subject.map(text).transpose()?,
            audience: aud.map_or(Ok(Audience::Missing), audience)?,
            id: id.map(text).transpose()?,
            expires_at: expires_at.as_ref().map(numeric_date).transpose()?,
            not_before: not_before.as_ref().map(numeric_date).transpose()?,
            issued_at: issued_at.as_ref().map(numeric_date).transpose()?,
            others,
        })
    }

    /// Whether it is over, or says no end. Leeway is for the clocks of others.
    pub(crate) fn is_over(&self, now: UnixTime, leeway: Duration) -> bool {
        self.expires_at.is_none_or(|end| now >= end.plus(leeway))
    }

    /// Whether it is of the future.
    pub(crate) fn is_early(&self, now: UnixTime, leeway: Duration) -> bool {
        [self.not_before, self.issued_at].into_iter().flatten().any(|start| now.plus(leeway) < start)
    }
}

pub(super) fn text(value: Value) -> Result<String, JwtError> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(JwtError::Malformed),
    }
}

fn audience(value: Value) -> Result<Audience, JwtError> {
    match value {
        Value::String(one) => Ok(Audience::One(one)),
        Value::Array(many) => many.into_iter().map(text).collect::<Result<_, _>>().map(Audience::Many),
        _ => Err(JwtError::Malformed),
    }
}

/// `NumericDate` (RFC 7519 §2): a number, which may have a fraction. A moment within a second counts as its end: then what
/// ends has not ended, and what begins has not begun.
pub(super) fn numeric_date(value: &Value) -> Result<UnixTime, JwtError> {
    if let Some(seconds) = value.as_u64() {
        return Ok(UnixTime::from_secs(seconds.min(UnixTime::FAR_FUTURE.as_secs())));
    }
    let seconds = value.as_f64().filter(|seconds| *seconds >= 0.0).ok_or(JwtError::Malformed)?;
    // Beyond the largest number a cast stays there.
    Ok(UnixTime::from_secs((seconds.ceil() as u64).min(UnixTime::FAR_FUTURE.as_secs())))
}
