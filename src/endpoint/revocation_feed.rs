use http::StatusCode;

use super::leaf::leaf_service;
use crate::client::Client;
use crate::error::ProtocolError;
use crate::http::{Failure, Reply, json};
use crate::provider::Provider;
use crate::revoked_list::RevokedList;
use crate::types::Params;

leaf_service! {
    /// What was revoked, for the servers of resources ([`Client::resource_server`]) that verify JWT access tokens by
    /// themselves, whatever path it is mounted at. It is no part of a standard.
    ///
    /// It is asked as [introspection](crate::Introspection) is: by POST, by a client that proves itself, and by no page. In
    /// the form there can be the `digest` of the list that the client has. The answer is JSON that no cache keeps:
    ///
    /// | member | |
    /// |---|---|
    /// | `digest` | names this list; where it is the one that was sent, nothing else is in the answer |
    /// | `revoked.grants` | the keys of the grants that were revoked. A token's grant is what its `jti` begins with: the first 16 bytes of 24, in base64url |
    /// | `revoked.grants_issued_until` | by the keys of grants the moments up to which all tokens were revoked |
    /// | `revoked.tokens` | the `jti` of each token that was revoked by itself |
    /// | `revoked.all_issued_until` | the moment up to which no token at all is good; only where there is more to tell |
    ///
    /// A grant is told for 24 hours and 2 minutes after it was revoked, a token until 2 minutes after its end; from then on
    /// nobody takes them anyway. Of more than 100,000 the grants that were revoked longest ago are told as one moment, so
    /// that honest tokens from before it are refused too and have to be refreshed. Of more than 100,000 tokens that were
    /// revoked one by one, those of the grants with the most are told as a moment for each grant, the end of the last of
    /// them; more than 100,000 grants of which a token was revoked are a 503.
    ///
    /// It discloses how much was revoked, and to whoever has a token whether it is among that; no token can be made from
    /// it, and it names nobody. See the [module docs](crate::resource_server) for who asks.
    RevocationFeed, revocation_feed, "feed of revocations"
}

pub(super) async fn tell(provider: Provider, client: Client, params: Params) -> Result<Reply, Failure> {
    if client.resource().is_none() {
        return Err(ProtocolError::CLIENT_NOT_RESOURCE_SERVER.into());
    }
    let list = RevokedList::of(provider.revocations().await?).ok_or(ProtocolError::REVOCATIONS_TOO_MANY)?;
    Ok(json(StatusCode::OK, &list.to_json(params.get("digest"))))
}
