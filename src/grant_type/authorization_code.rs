//! The authorization code grant ([RFC 6749 §4.1.3](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.3),
//! [RFC 7636 §4.5](https://www.rfc-editor.org/rfc/rfc7636#section-4.5)).
//!
//! Whatever is wrong with a request leaves the code usable and writes nothing. A code that is redeemed twice ends its
//! grant, since either the client or a thief holds a copy.

use super::{Draft, TokenResponse};
use crate::client::{Client, GrantType};
use crate::error::ProtocolError;
use crate::event::EventKind;
use crate::grant::{Grant, Outcome, Redemption, Refused};
use crate::handle::{CodeHandle, HandleError, RefreshHandle, Salt};
use crate::http::Failure;
use crate::provider::Provider;
use crate::types::{CodeVerifier, Params};

pub(super) async fn exchange(
    provider: &Provider,
    client: &Client,
    params: &Params,
    mut draft: Draft,
) -> Result<TokenResponse, Failure> {
    let code = params.get("code").ok_or(ProtocolError::CODE_MISSING)?;
    let CodeHandle { grant: id, grant_expires_at, bound_to } =
        provider.0.handles.open_code(code).map_err(unreadable)?;
    let key = provider.0.handles.key_of(id);
    let challenge = match params.get("code_verifier") {
        Some(verifier) => {
            Some(*CodeVerifier::parse(verifier).ok_or(ProtocolError::CODE_VERIFIER_MALFORMED)?.challenge().as_bytes())
        }
        None => None,
    };
    if !draft.has_key(bound_to) {
        return Err(Failure::from(ProtocolError::CODE_OF_ANOTHER_KEY).on(key));
    }
    let config = &provider.0.config;
    let mut refreshable = client.may_use(GrantType::RefreshToken);
    // Only what has to be known before the code is consumed costs a look-up of its own.
    let mut before = None;
    let of_grant =
        config.offline_access || config.resources_differ() || config.has_dpop_required() || provider.makes_jwts();
    if of_grant || params.get("resource").is_some() || provider.0.hooks.on_issue.is_some() {
        let grant = provider.grant(key).await?.ok_or(ProtocolError::CODE_UNKNOWN)?;
        if grant.client_id() != client.id() {
            return Err(Failure::from(ProtocolError::CODE_MISMATCH).on(key));
        }
        draft.narrow_resources(provider, client, &grant, params)?;
        draft.leaves_something(provider, client, &grant)?;
        draft.is_bound_enough(provider, &grant)?;
        draft.on_issue(provider, GrantType::AuthorizationCode, client, &grant).await?;
        refreshable = provider.is_refreshable(client, grant.scope());
        before = Some(grant);
    }
    let redirect_uri = params.get("redirect_uri").map(str::to_owned);
    let end =
        if refreshable { provider.grant_end(client, provider.now()) } else { provider.now().plus(draft.lifetime) };
    let salt = Salt::generate();
    let step = provider.redemption(client, redirect_uri, challenge, end.min(grant_expires_at), salt);
    if let Some(next) = before.and_then(|grant| would_redeem(&grant, &step)) {
        draft.sign_ahead(provider, client, id, &next).await?;
    }
    draft.use_proof(provider).await?;
    let verdict = provider.redeem(key, step).await?;
    let refused = || Failure::from(refusal(verdict.outcome)).on(key);
    let grant = verdict.grant.filter(|_| verdict.outcome.is_accepted()).ok_or_else(refused)?;
    draft.leaves_something(provider, client, &grant)?;
    let refresh_token = refreshable.then(|| {
        let bound_to = draft.refresh_key(client);
        let handle = RefreshHandle { grant: id, generation: grant.generation(), salt, bound_to };
        provider.0.handles.mint_refresh(&handle)
    });
    draft.issue(provider, EventKind::Issued, client, id, &grant, refresh_token).await
}

/// The grant as a code would leave it, by a record that may be a little old; `None` if it would not be redeemed.
fn would_redeem(grant: &Grant, step: &Redemption) -> Option<Grant> {
    let mut grant = grant.clone();
    grant.redeem(step).is_accepted().then_some(grant)
}

/// Why a text is no code of ours.
const fn unreadable(error: HandleError) -> ProtocolError {
    match error {
        HandleError::Malformed => ProtocolError::CODE_MALFORMED,
        HandleError::UnknownKey => ProtocolError::CODE_OF_UNKNOWN_KEY,
        HandleError::Forged => ProtocolError::CODE_FORGED,
    }
}

/// Why a code was not redeemed.
const fn refusal(outcome: Outcome) -> ProtocolError {
    match outcome {
        Outcome::Repeated => ProtocolError::CODE_REPEATED,
        Outcome::Replayed => ProtocolError::CODE_REPLAYED,
        Outcome::Refused(Refused::Unknown) => ProtocolError::CODE_UNKNOWN,
        Outcome::Refused(Refused::Revoked) => ProtocolError::CODE_REVOKED,
        Outcome::Refused(Refused::Expired) => ProtocolError::CODE_EXPIRED,
        _ => ProtocolError::CODE_MISMATCH,
    }
}
