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

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::from_secs(1_800_000_000 + seconds)
    }

    /// With all that a record can hold.
    fn full() -> Grant {
        let values = Map::from_iter([("n".to_owned(), json!([1.5, "\u{e9}\"", null]))]);
        Grant {
            key: GrantKey::from_bytes([9; 16]),
            issuer: "https://a.example".into(),
            client: "app".into(),
            subject: Some("alice".into()),
            scope: "write read".parse().unwrap(),
            resources: ["https://b.example/api", "https://a.example"].map(|uri| uri.parse().unwrap()).into(),
            claims: Some(Arc::new(Claims { auth_time: Some(at(1)), values })),
            redirect_uri: Some("https://app.example/cb".into()),
            redirect_uri_sent: true,
            challenge: Some(CodeChallenge::from_bytes([7; 32])),
            created_at: at(2),
            expires_at: at(3),
            redeemed: Some(Redeemed { at: at(4), rotated_at: at(5), secret: [6; 16], generation: u32::MAX }),
            revoked: Some(Box::new(Revoked {
                grant: Some((at(6), RevocationReason::Limit)),
                tokens: vec![([1, 2, 3, 4, 5, 6, 7, 8], at(7)), ([0xff; 8], UnixTime::FAR_FUTURE)],
                issued_until: Some(at(8)),
            })),
        }
    }

    /// With nothing that it can lack.
    fn bare() -> Grant {
        Grant {
            subject: None,
            scope: "".parse().unwrap(),
            resources: Arc::from([]),
            claims: None,
            redirect_uri: None,
            redirect_uri_sent: false,
            challenge: None,
            redeemed: None,
            revoked: None,
            ..full()
        }
    }

    fn revoked(revoked: Revoked) -> Grant {
        Grant { revoked: Some(Box::new(revoked)), ..full() }
    }

    #[test]
    fn a_grant_comes_back_as_it_was() {
        let claims = Some(Arc::new(Claims { auth_time: None, values: Map::new() }));
        let mut grants = vec![full(), bare(), Grant { claims, ..full() }];
        grants.push(revoked(Revoked { issued_until: Some(at(1)), ..Revoked::default() }));
        grants.push(revoked(Revoked { tokens: vec![([0; 8], at(1))], ..Revoked::default() }));
        for reason in RevocationReason::ALL {
            grants.push(revoked(Revoked { grant: Some((at(1), reason)), ..Revoked::default() }));
        }
        for grant in grants {
            assert!(Grant::from_record(grant.to_record()) == Ok(grant.clone()), "{:?}", grant.to_record());
        }
    }

    #[test]
    fn a_record_has_the_values_that_its_fields_say() {
        let record = full().to_record();
        assert_eq!((record.key, &*record.issuer, &*record.client_id), ([9; 16], "https://a.example", "app"));
        assert_eq!((&*record.scope, &*record.resources), ("write read", "https://b.example/api https://a.example"));
        assert_eq!(record.claims.as_deref(), Some(r#"{"n":[1.5,"é\"",null]}"#));
        assert_eq!((record.redeemed_at, record.rotated_at), (Some(1_800_000_004), Some(1_800_000_005)));
        assert_eq!((record.revoked_at, record.revoke_reason.as_deref()), (Some(1_800_000_006), Some("limit")));
        let tokens = record.revoked_tokens.as_deref().unwrap();
        assert_eq!((tokens.len(), &tokens[..12]), (32, &[1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0][..]));
        assert_eq!(format!("{record:?}"), format!("GrantRecord {{ key: {:?}, .. }}", full().key));
    }

    #[test]
    fn what_is_no_record_is_an_error_and_never_another_grant() {
        let broken: [fn(&mut GrantRecord); 17] = [
            |record| record.scope = "\u{e9}".into(),
            |record| record.resources = "api".into(),
            |record| record.claims = Some("[1]".into()),
            |record| record.auth_time = Some(-1),
            |record| record.challenge = Some(vec![7; 31]),
            |record| record.created_at = -1,
            |record| record.expires_at = -1,
            |record| record.redeemed_at = Some(-1),
            |record| record.rotated_at = Some(-1),
            |record| record.rotated_at = None,
            |record| record.secret_hash = None,
            |record| record.secret_hash = Some(vec![6; 15]),
            |record| record.generation = -1,
            |record| record.generation = 1 << 32,
            |record| record.revoked_at = None,
            |record| record.revoke_reason = Some("boredom".into()),
            |record| record.revoked_tokens = Some(vec![0; 15]),
        ];
        for (number, break_it) in broken.iter().enumerate() {
            let mut record = full().to_record();
            break_it(&mut record);
            let error = Grant::from_record(record).expect_err(&format!("number {number}"));
            assert!(error.to_string().starts_with("a record cannot be read: "), "{error}");
        }
    }
}
