//! The refresh token grant ([RFC 6749 §6](https://www.rfc-editor.org/rfc/rfc6749#section-6),
//! [RFC 9700 §4.14.2](https://www.rfc-editor.org/rfc/rfc9700#section-4.14.2)).
//!
//! Every use rotates the token. Presenting a retired token revokes the whole grant, because either the client or a thief
//! now holds a copy; its predecessor gets the same successor once more for ten seconds, since answers get lost.

use std::sync::Arc;

use super::{Draft, TokenResponse};
use crate::client::{Client, GrantType};
use crate::error::ProtocolError;
use crate::event::EventKind;
use crate::grant::{Grant, Outcome, Refused, RevocationReason};
use crate::handle::{HandleError, RefreshHandle};
use crate::http::Failure;
use crate::provider::{Continue, Provider};
use crate::types::{Params, Scope};

pub(super) async fn exchange(
    provider: &Provider,
    client: &Client,
    params: &Params,
    mut draft: Draft,
) -> Result<TokenResponse, Failure> {
    let token = params.get("refresh_token").ok_or(ProtocolError::REFRESH_TOKEN_MISSING)?;
    let handle = provider.0.handles.open_refresh(token).map_err(unreadable)?;
    let key = provider.0.handles.key_of(handle.grant);
    if !draft.has_key(handle.bound_to) {
        return Err(Failure::from(ProtocolError::REFRESH_OF_ANOTHER_KEY).on(key));
    }
    // What was granted never changes, so it can be looked at before the rotation without a race. A token that is not
    // good goes on to be refused, and its grant ended, by the rule itself.
    let grant = provider.grant(key).await?;
    let good = grant.and_then(|grant| Some((provider.would_rotate(&grant, client, &handle)?, grant)));
    if let Some((next, grant)) = &good {
        check(provider, client, params, grant, &mut draft).await?;
        draft.sign_ahead(provider, client, handle.grant, next).await?;
    }
    draft.use_proof(provider).await?;
    let verdict = provider.rotate(client, &handle, good.as_ref().map(|(_, grant)| &**grant)).await?;
    let refused = || Failure::from(refusal(verdict.outcome)).on(key);
    let grant = verdict.grant.filter(|_| verdict.outcome.is_accepted()).ok_or_else(refused)?;
    if good.is_none() {
        // The record that was read was older than the one that decided. No token leaves unchecked.
        check(provider, client, params, &grant, &mut draft).await?;
    }
    let bound_to = draft.refresh_key(client);
    let successor = RefreshHandle { generation: grant.generation(), bound_to, ..handle };
    let refresh_token = provider.0.handles.mint_refresh(&successor);
    let kind = match verdict.outcome {
        Outcome::Ahead => EventKind::Ahead,
        Outcome::Retried => EventKind::Retried,
        _ => EventKind::Refreshed,
    };
    draft.issue(provider, kind, client, handle.grant, &grant, Some(refresh_token)).await
}

/// Why a text is no refresh token of ours.
const fn unreadable(error: HandleError) -> ProtocolError {
    match error {
        HandleError::Malformed => ProtocolError::REFRESH_MALFORMED,
        HandleError::UnknownKey => ProtocolError::REFRESH_OF_UNKNOWN_KEY,
        HandleError::Forged => ProtocolError::REFRESH_FORGED,
    }
}

/// Why a refresh token was not used.
const fn refusal(outcome: Outcome) -> ProtocolError {
    match outcome {
        Outcome::Replayed => ProtocolError::REFRESH_REPLAYED,
        Outcome::Refused(Refused::Unknown) => ProtocolError::REFRESH_UNKNOWN,
        Outcome::Refused(Refused::Revoked) => ProtocolError::REFRESH_REVOKED,
        Outcome::Refused(Refused::Expired) => ProtocolError::REFRESH_EXPIRED,
        Outcome::Refused(Refused::TooFar) => ProtocolError::REFRESH_TOO_FAR_AHEAD,
        _ => ProtocolError::REFRESH_MISMATCH,
    }
}

/// Everything that can refuse a good token, before it is consumed.
async fn check(
    provider: &Provider,
    client: &Client,
    params: &Params,
    grant: &Arc<Grant>,
    draft: &mut Draft,
) -> Result<(), Failure> {
    if let Some(asked) = params.get("scope") {
        draft.scope = Some(asked_scope(asked, grant)?);
    }
    draft.narrow_resources(provider, client, grant, params)?;
    if let Some(ask) = &provider.0.hooks.may_continue {
        match ask(Arc::clone(grant)).await? {
            Continue::Yes => {}
            Continue::No => {
                provider.revoke(grant.key(), provider.revoke_step(RevocationReason::Provider)).await?;
                return Err(Failure::from(ProtocolError::REFRESH_STOPPED_BY_APP).on(grant.key()));
            }
            Continue::Narrowed(most) => {
                let asked = draft.scope.as_ref().unwrap_or(grant.scope());
                draft.scope = Some(asked.filter(|name| most.contains(name)));
            }
        }
    }
    draft.leaves_something(provider, client, grant)?;
    draft.is_bound_enough(provider, grant)?;
    draft.on_issue(provider, GrantType::RefreshToken, client, grant).await
}

/// RFC 6749 §6: no more than was granted; the refresh token keeps all of it.
fn asked_scope(asked: &str, grant: &Grant) -> Result<Scope, ProtocolError> {
    let asked: Scope = asked.parse().map_err(|_| ProtocolError::SCOPE_MALFORMED)?;
    if asked.is_empty() || !asked.is_subset(grant.scope()) {
        return Err(ProtocolError::SCOPE_NOT_GRANTED);
    }
    Ok(asked)
}
