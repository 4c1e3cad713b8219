//! A grant as plain values, for stores that keep it in columns or fields.

use std::fmt;
use std::sync::Arc;

use super::{Claims, Grant, Redeemed, RevocationReason, Revoked};
use crate::error::InvalidRecord;
use crate::handle::GrantKey;
use crate::types::{CodeChallenge, Resource, UnixTime};

/// What a store keeps of a [`Grant`], in values that every database has. Times are in Unix seconds.
///
/// It holds no token and nothing that one could be made of. A store writes every field when it creates a grant. What
/// the transitions change afterwards is [`expires_at`](Self::expires_at) and the fields behind it.
///
/// ```
/// use tower_oauth::Grant;
/// use tower_oauth::error::InvalidRecord;
///
/// fn kept_and_found(grant: &Grant) -> Result<Grant, InvalidRecord> {
///     let record = grant.to_record();
///     // .. to the database, and later back
///     Grant::from_record(record)
/// }
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct GrantRecord {
    /// [`GrantKey`]: what the record is found by.
    pub key: [u8; 16],
    /// The issuer that the grant belongs to.
    pub issuer: String,
    /// The client that holds it.
    pub client_id: String,
    /// The user who gave it, if one did.
    pub subject: Option<String>,
    /// The scope as it goes over the wire, in its order.
    pub scope: String,
    /// The resources, one space between them, in their order.
    pub resources: String,
    /// What the app attached when it approved: a JSON object.
    pub claims: Option<String>,
    /// When the user last proved who they are; only beside `claims`.
    pub auth_time: Option<i64>,
    /// The redirect URI of the approved request.
    pub redirect_uri: Option<String>,
    /// Whether the request named it.
    pub redirect_uri_sent: bool,
    /// The PKCE challenge: 32 bytes.
    pub challenge: Option<Vec<u8>>,
    /// When the user approved.
    pub created_at: i64,
    /// The code's end until redemption, then the grant's.
    pub expires_at: i64,
    /// When the code was redeemed.
    pub redeemed_at: Option<i64>,
    /// When the refresh token was last rotated; at first when the code was redeemed.
    pub rotated_at: Option<i64>,
    /// The hash of the refresh tokens' salt: 16 bytes, from redemption on.
    pub secret_hash: Option<Vec<u8>>,
    /// How often the refresh token was rotated; at most 2^31.
    pub generation: i64,
    /// When the grant was revoked.
    pub revoked_at: Option<i64>,
    /// Why: [`RevocationReason::as_str`].
    pub revoke_reason: Option<String>,
    /// The access tokens that were revoked one by one: for each its id and its end, 8 bytes each, big-endian.
    pub revoked_tokens: Option<Vec<u8>>,
    /// Every access token issued up to this moment is revoked.
    pub revoked_until: Option<i64>,
}

impl fmt::Debug for GrantRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrantRecord").field("key", &GrantKey::from_bytes(self.key)).finish_non_exhaustive()
    }
}

impl Grant {
    /// The grant as plain values.
    #[must_use]
    pub fn to_record(&self) -> GrantRecord {
        let resources: Vec<_> = self.resources.iter().map(Resource::as_str).collect();
        let redeemed = self.redeemed.as_ref();
        let revoked = self.revoked.as_deref();
        let ended = revoked.and_then(|revoked| revoked.grant);
        GrantRecord {
            key: *self.key.as_bytes(),
            issuer: self.issuer.as_str().to_owned(),
            client_id: self.client.as_str().to_owned(),
            subject: self.subject.as_ref().map(|subject| subject.as_str().to_owned()),
            scope: self.scope.as_str().to_owned(),
            resources: resources.join(" "),
            claims: self.claims.as_deref().map(|claims| serde_json::Value::from(claims.values.clone()).to_string()),
            auth_time: self.auth_time().map(UnixTime::as_signed),
            redirect_uri: self.redirect_uri.as_deref().map(str::to_owned),
            redirect_uri_sent: self.redirect_uri_sent,
            challenge: self.challenge.map(|challenge| challenge.as_bytes().to_vec()),
            created_at: self.created_at.as_signed(),
            expires_at: self.expires_at.as_signed(),
            redeemed_at: redeemed.map(|redeemed| redeemed.at.as_signed()),
            rotated_at: redeemed.map(|redeemed| redeemed.rotated_at.as_signed()),
            secret_hash: redeemed.map(|redeemed| redeemed.secret.to_vec()),
            generation: self.generation().into(),
            revoked_at: ended.map(|(at, _)| at.as_signed()),
            revoke_reason: ended.map(|(_, reason)| reason.as_str().to_owned()),
            revoked_tokens: revoked.map(tokens_to_bytes).filter(|bytes| !bytes.is_empty()),
            revoked_until: revoked.and_then(|revoked| revoked.issued_until).map(UnixTime::as_signed),
        }
    }

    /// The grant that a record was made of.
    ///
    /// # Errors
    /// If no grant was: the database was edited, or a later version wrote it.
    pub fn from_record(record: GrantRecord) -> Result<Self, InvalidRecord> {
        let resources = record.resources.split(' ').filter(|text| !text.is_empty()).map(str::parse);
        Ok(Self {
            redeemed: redeemed(&record)?,
            revoked: revoked(&record)?,
            claims: claims(&record)?,
            expires_at: moment(record.expires_at)?,
            scope: record.scope.parse().map_err(|_| InvalidRecord::new("scope"))?,
            resources: resources.collect::<Result<Arc<[_]>, _>>().map_err(|_| InvalidRecord::new("resources"))?,
            subject: record.subject.map(Into::into),
            client: record.client_id.into(),
            issuer: record.issuer.into(),
            key: GrantKey::from_bytes(record.key),
            created_at: moment(record.created_at)?,
            redirect_uri: record.redirect_uri.map(Into::into),
            challenge: record
                .challenge
                .map(|bytes| bytes.try_into().map(CodeChallenge::from_bytes))
                .transpose()
                .map_err(|_| InvalidRecord::new("challenge"))?,
            redirect_uri_sent: record.redirect_uri_sent,
        })
    }
}

fn redeemed(record: &GrantRecord) -> Result<Option<Redeemed>, InvalidRecord> {
    let Some(at) = record.redeemed_at else { return Ok(None) };
    let missing = InvalidRecord::new("redeemed_at without rotated_at or secret_hash");
    let (Some(rotated_at), Some(secret)) = (record.rotated_at, record.secret_hash.as_deref()) else {
        return Err(missing);
    };
    Ok(Some(Redeemed {
        at: moment(at)?,
        rotated_at: moment(rotated_at)?,
        secret: secret.try_into().map_err(|_| InvalidRecord::new("secret_hash"))?,
        generation: record.generation.try_into().map_err(|_| InvalidRecord::new("generation"))?,
    }))
}

fn revoked(record: &GrantRecord) -> Result<Option<Box<Revoked>>, InvalidRecord> {
    let grant = match (record.revoked_at, record.revoke_reason.as_deref()) {
        (None, None) => None,
        (Some(at), Some(reason)) => {
            Some((moment(at)?, RevocationReason::named(reason).ok_or(InvalidRecord::new("revoke_reason"))?))
        }
        _ => return Err(InvalidRecord::new("revoked_at and revoke_reason, one without the other")),
    };
    let tokens = record.revoked_tokens.as_deref().map_or(Ok(Vec::new()), bytes_to_tokens)?;
    let issued_until = record.revoked_until.map(moment).transpose()?;
    let revoked = Revoked { grant, tokens, issued_until };
    Ok((revoked != Revoked::default()).then(|| Box::new(revoked)))
}

fn claims(record: &GrantRecord) -> Result<Option<Arc<Claims>>, InvalidRecord> {
    let Some(text) = &record.claims else { return Ok(None) };
    let values = serde_json::from_str(text).map_err(|_| InvalidRecord::new("claims"))?;
    Ok(Some(Arc::new(Claims { auth_time: record.auth_time.map(moment).transpose()?, values })))
}

fn tokens_to_bytes(revoked: &Revoked) -> Vec<u8> {
    revoked.tokens.iter().flat_map(|(token, end)| [*token, end.as_secs().to_be_bytes()]).flatten().collect()
}

fn bytes_to_tokens(bytes: &[u8]) -> Result<Vec<([u8; 8], UnixTime)>, InvalidRecord> {
    let (tokens, []) = bytes.as_chunks::<16>() else { return Err(InvalidRecord::new("revoked_tokens")) };
    let token = |[id @ .., a, b, c, d, e, f, g, h]: &[u8; 16]| {
        (*id, UnixTime::from_secs(u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h])))
    };
    Ok(tokens.iter().map(token).collect())
}

fn moment(seconds: i64) -> Result<UnixTime, InvalidRecord> {
    seconds.try_into().map(UnixTime::from_secs).map_err(|_| InvalidRecord::new("a time before 1970"))
}
