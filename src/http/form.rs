use std::error::Error;

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;

use super::BoxError;
use super::failure::Failure;
use crate::error::ProtocolError;
use crate::types::Params;

/// The longest form that is read, in bytes.
const MAX: usize = 64 * 1024;

/// Reads the form in a request's body ([RFC 6749 Appendix B](https://www.rfc-editor.org/rfc/rfc6749#appendix-B)).
pub(crate) async fn read_form<B>(headers: &HeaderMap, body: B) -> Result<Params, Failure>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    check_type(headers, "application/x-www-form-urlencoded", ProtocolError::BODY_IS_NO_FORM)?;
    Ok(Params::parse(&read(body).await?)?)
}

/// Reads the JSON in a request's body.
pub(crate) async fn read_json<B>(headers: &HeaderMap, body: B) -> Result<Value, Failure>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    check_type(headers, "application/json", ProtocolError::BODY_IS_NO_JSON)?;
    serde_json::from_slice(&read(body).await?).map_err(|_| ProtocolError::BODY_IS_NO_OBJECT.into())
}

async fn read<B>(body: B) -> Result<Bytes, Failure>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    let collected = Limited::new(body, MAX).collect().await.map_err(|error| {
        if is_too_long(&*error) { ProtocolError::BODY_TOO_LONG } else { ProtocolError::BODY_UNREADABLE }
    })?;
    Ok(collected.to_bytes())
}

/// Whether a limit was passed: ours, or one of a layer outside, which has wrapped its error.
fn is_too_long(error: &(dyn Error + 'static)) -> bool {
    error.is::<LengthLimitError>() || error.source().is_some_and(is_too_long)
}

/// Exactly this type; parameters such as a charset say nothing and are let be.
fn check_type(headers: &HeaderMap, wanted: &str, otherwise: ProtocolError) -> Result<(), ProtocolError> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let first = values.next().map(|value| value.as_bytes());
    if values.next().is_some() || first.is_some_and(|value| value.contains(&b',')) {
        return Err(ProtocolError::CONTENT_TYPE_REPEATED);
    }
    let essence = first.and_then(|value| value.split(|byte| *byte == b';').next()).unwrap_or_default();
    if essence.trim_ascii().eq_ignore_ascii_case(wanted.as_bytes()) {
        return Ok(());
    }
    Err(otherwise)
}
