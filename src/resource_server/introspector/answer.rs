//! What an introspection endpoint says of a token ([RFC 7662 §2.2](https://www.rfc-editor.org/rfc/rfc7662#section-2.2)).

use serde_json::{Map, Value};

use crate::bearer::Authorized;
use crate::error::ProtocolError;
use crate::fetch::BoxError;
use crate::types::{ClientId, Issuer, Resource, Scope, Subject, Thumbprint, UnixTime};

/// A token that is active, and until when that need not be asked again.
pub(super) struct Active {
    pub(super) token: Authorized,
    pub(super) until: UnixTime,
}

/// An error says that the answer is none; then nobody knows what the token is.
pub(super) fn read(
    body: &[u8],
    issuer: &Issuer,
    now: UnixTime,
    until: UnixTime,
) -> Result<Result<Active, ProtocolError>, BoxError> {
    let mut members: Map<String, Value> = serde_json::from_slice(body)?;
    match members.remove("active") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => return Ok(Err(ProtocolError::TOKEN_INACTIVE)),
        _ => return Err("the answer does not say whether the token is active".into()),
    }
    // A refresh token is active too, and no bearer of one may come in: what does not say that it is one is none.
    let kind = take(&mut members, "token_type")?.unwrap_or_default();
    let cnf = members.remove("cnf").filter(|cnf| !cnf.is_null());
    let bound_to = cnf.as_ref().and_then(Thumbprint::of_confirmation);
    // One that is bound in a way that nobody here can have proved is good for nobody (RFC 7800 §3).
    if cnf.is_some() && bound_to.is_none() {
        return Ok(Err(ProtocolError::TOKEN_BOUND));
    }
    // Whoever names it DPoP and no key has said nothing (RFC 9449 §6.2).
    let is_bound = kind.eq_ignore_ascii_case("DPoP") && bound_to.is_some();
    if !is_bound && !kind.eq_ignore_ascii_case("Bearer") {
        return Ok(Err(ProtocolError::TOKEN_NO_BEARER));
    }
    if take(&mut members, "iss")?.is_some_and(|named| named != issuer.as_str()) {
        return Ok(Err(ProtocolError::TOKEN_OF_ANOTHER_ISSUER));
    }
    let end = members.remove("exp").filter(|end| !end.is_null()).as_ref().map(moment).transpose()?;
    if end.is_some_and(|end| now >= end) {
        return Ok(Err(ProtocolError::TOKEN_EXPIRED));
    }
    let token = token(members, issuer, end.unwrap_or(until))?;
    // The layer asks for the proof, whatever the token is called.
    let token = bound_to.into_iter().fold(token, Authorized::bound_to);
    Ok(Ok(Active { token, until: end.map_or(until, |end| end.min(until)) }))
}

fn token(mut members: Map<String, Value>, issuer: &Issuer, end: UnixTime) -> Result<Authorized, BoxError> {
    let client: ClientId = take(&mut members, "client_id")?.ok_or("the answer names no client")?.into();
    let scope: Scope = take(&mut members, "scope")?.unwrap_or_default().parse()?;
    // A user who is named like the client counts as nobody.
    let subject = take(&mut members, "sub")?.filter(|subject| *subject != client.as_str()).map(Subject::from);
    let resources = audience(members.remove("aud"))?;
    Ok(Authorized::new(client, subject, scope, end.into())
        .for_resources(resources)
        .from_issuer(issuer)
        .with_claims(members))
}

fn take(members: &mut Map<String, Value>, name: &str) -> Result<Option<String>, BoxError> {
    match members.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("the member {name} of the answer is no text").into()),
    }
}

/// One text or several. What is no resource here is none that anybody asks for.
fn audience(value: Option<Value>) -> Result<Vec<Resource>, BoxError> {
    let values = match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(values)) => values,
        Some(value) => vec![value],
    };
    let texts: Option<Vec<&str>> = values.iter().map(Value::as_str).collect();
    let texts = texts.ok_or("the member aud of the answer is no text")?;
    Ok(texts.into_iter().filter_map(|text| text.parse().ok()).collect())
}

fn moment(value: &Value) -> Result<UnixTime, BoxError> {
    let seconds = value.as_u64().ok_or("the member exp of the answer is no number of seconds")?;
    Ok(UnixTime::from_secs(seconds.min(UnixTime::FAR_FUTURE.as_secs())))
}
