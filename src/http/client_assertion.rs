//! Clients that sign ([RFC 7521 §4.2](https://www.rfc-editor.org/rfc/rfc7521#section-4.2),
//! [RFC 7523 §2.2](https://www.rfc-editor.org/rfc/rfc7523#section-2.2)).

use super::failure::Failure;
use crate::client::Client;
use crate::client::assertion::{Assertion, TYPE};
use crate::error::ProtocolError;
use crate::provider::Provider;
use crate::types::{ClientId, Params};

/// The assertion of a request, which may name its client once more (RFC 7521 §4.2).
pub(super) fn read<'a>(
    provider: &Provider,
    params: &'a Params,
    named: Option<ClientId>,
) -> Result<Assertion<'a>, ProtocolError> {
    if params.get("client_assertion_type") != Some(TYPE) {
        return Err(ProtocolError::CLIENT_ASSERTION_TYPE_UNKNOWN);
    }
    let text = params.get("client_assertion").ok_or(ProtocolError::CLIENT_ASSERTION_MALFORMED)?;
    let config = &provider.0.config;
    let issuer = config.issuer.as_str();
    let token_endpoint = config.private_key_jwt.for_token_endpoint.then(|| config.url(&config.paths.token));
    let audiences = [issuer, token_endpoint.as_deref().unwrap_or(issuer)];
    let assertion = Assertion::read(text, &audiences, provider.now())?;
    if named.is_some_and(|named| named != *assertion.client()) {
        return Err(ProtocolError::CLIENT_ASSERTION_OF_ANOTHER_CLIENT);
    }
    Ok(assertion)
}

/// The signature first: else whoever knows a client could use up what it has not sent yet.
pub(super) async fn prove(provider: &Provider, client: &Client, assertion: Assertion<'_>) -> Result<(), Failure> {
    assertion.check_algorithm(client)?;
    let unavailable = |error| Failure::from(ProtocolError::CLIENT_KEYS_UNAVAILABLE).because(error);
    let keys = provider.keys_of(client, &assertion).await.map_err(unavailable)?;
    let once = assertion.verify(&keys)?;
    if provider.is_first_use(client, &once).await? {
        return Ok(());
    }
    Err(ProtocolError::CLIENT_ASSERTION_REPLAYED.into())
}
