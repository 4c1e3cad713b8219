//! Grants to keep, and the right step for each.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::grant::{Claims, Grant, Redeemed, Redemption, Revocation, RevocationReason, Rotation};
use crate::handle::{GrantKey, TokenId};
use crate::secret::random;
use crate::store::Holder;
use crate::types::{ClientId, CodeChallenge, Issuer, Resource, Scope, Subject, UnixTime};

/// When the code ends, in seconds from the approval.
pub(super) const CODE: i64 = 60;
/// When the grant ends.
pub(super) const END: i64 = 100_000;
/// How long a refresh token lives without being used.
pub(super) const IDLE: i64 = 1_000;
pub(super) const GRACE: i64 = 10;
pub(super) const DOUBLE_SUBMIT: i64 = 5;

/// So many seconds from the approval, which is in the year 2100: a store that also looks at a clock of its own ends
/// nothing meanwhile.
pub(super) fn at(seconds: i64) -> UnixTime {
    UnixTime::from_secs(4_102_444_800_u64.saturating_add_signed(seconds))
}

pub(super) const fn seconds(count: i64) -> Duration {
    Duration::from_secs(count.unsigned_abs())
}

pub(super) const fn token_id(number: u8) -> TokenId {
    [number; 8]
}

/// An issuer that nobody else has, with a client and a user.
#[derive(Clone)]
pub(super) struct Names {
    pub(super) issuer: Issuer,
    pub(super) client: ClientId,
    pub(super) subject: Subject,
}

impl Names {
    pub(super) fn new() -> Self {
        let issuer = format!("https://{}.example", URL_SAFE_NO_PAD.encode(random::<16>()));
        Self { issuer: issuer.into(), client: "app".into(), subject: "alice".into() }
    }

    /// Another client and user of this issuer.
    pub(super) fn with(&self, client: &str, subject: &str) -> Self {
        Self { issuer: self.issuer.clone(), client: client.into(), subject: subject.into() }
    }

    pub(super) fn holders(&self) -> [Holder; 3] {
        [
            Holder::User(self.subject.clone()),
            Holder::UserAtClient(self.subject.clone(), self.client.clone()),
            Holder::Client(self.client.clone()),
        ]
    }

    /// A grant that was approved with PKCE.
    pub(super) fn pending(&self) -> Grant {
        Grant {
            key: GrantKey::from_bytes(random()),
            issuer: self.issuer.clone(),
            client: self.client.clone(),
            subject: Some(self.subject.clone()),
            scope: "profile notes:read".parse().expect("a scope"),
            resources: Arc::from([resource("https://api.example")]),
            claims: None,
            redirect_uri: Some("https://app.example/cb".into()),
            redirect_uri_sent: true,
            challenge: Some(CodeChallenge::from_bytes(random())),
            created_at: at(0),
            expires_at: at(CODE),
            redeemed: None,
            revoked: None,
        }
    }

    pub(super) fn without_pkce(&self) -> Grant {
        Grant { challenge: None, ..self.pending() }
    }

    /// What a client acts for itself with.
    pub(super) fn own(&self) -> Grant {
        let expires_at = at(END);
        Grant { subject: None, redirect_uri: None, redirect_uri_sent: false, expires_at, ..self.without_pkce() }
    }
}

fn resource(uri: &str) -> Resource {
    uri.parse().expect("a resource")
}

fn scope(count: usize) -> Scope {
    (0..count).map(|number| format!("scope:{number}")).collect::<Vec<_>>().join(" ").parse().expect("a scope")
}

/// Grants with everything that a record can hold, and with nothing that it can lack.
pub(super) fn shapes() -> Vec<Grant> {
    let names = Names::new();
    let claims = json!({
        "zz": {"nested": [1, -1, 0.5, 907.303_832_202_868_9, 1e-7, 9_007_199_254_740_993_i64, true, null, {}, []]},
        "aa": "quotes \" ' ` \\ % _ ; -- and \u{1f511}, e\u{301} and \u{e9}, a tab\t and a line\n",
        "": "",
    });
    let values = claims.as_object().cloned().expect("an object");
    let claims = |auth_time, values| Some(Arc::new(Claims { auth_time, values }));
    let redeemed = Redeemed { at: at(3), rotated_at: at(2), secret: random(), generation: (1 << 31) - 1 };
    let resources = (0..Resource::MAX).map(|number| resource(&format!("https://api.example/{number}?a=b%20c")));
    let long = |length| "\u{e9}".repeat(length);
    vec![
        names.pending(),
        names.without_pkce(),
        names.own(),
        Grant { redirect_uri_sent: false, ..names.pending() },
        Grant { scope: scope(Scope::MAX), resources: resources.collect(), ..names.pending() },
        Grant { scope: "write read read:all a".parse().expect("a scope"), ..names.pending() },
        Grant { scope: Scope::default(), ..names.own() },
        Grant { claims: claims(Some(at(-5)), values.clone()), ..names.pending() },
        Grant { claims: claims(None, values), ..names.pending() },
        Grant { claims: claims(Some(at(-5)), serde_json::Map::new()), ..names.own() },
        Grant { subject: Some("".into()), ..names.pending() },
        Grant { client: long(200).into(), subject: Some(long(500).into()), ..names.pending() },
        Grant { redirect_uri: Some(format!("com.example.app:/cb?q={}", "%20".repeat(600)).into()), ..names.pending() },
        Grant { expires_at: UnixTime::FAR_FUTURE, ..names.own() },
        Grant { redeemed: Some(redeemed), expires_at: UnixTime::FAR_FUTURE, ..names.pending() },
    ]
}

/// The right code request, from a client that has not redeemed yet.
pub(super) fn redemption(grant: &Grant, now: i64) -> Redemption {
    Redemption {
        issuer: grant.issuer.clone(),
        client: grant.client.clone(),
        redirect_uri: grant.redirect_uri.as_deref().map(str::to_owned),
        challenge: grant.challenge.map(|challenge| *challenge.as_bytes()),
        secret: random(),
        grant_expires_at: at(END),
        double_submit: seconds(DOUBLE_SUBMIT),
        now: at(now),
    }
}

/// The right refresh request, with the current token.
pub(super) fn rotation(grant: &Grant, now: i64) -> Rotation {
    Rotation {
        issuer: grant.issuer.clone(),
        client: grant.client.clone(),
        secret: grant.redeemed.map_or([0; 16], |redeemed| redeemed.secret),
        generation: grant.generation(),
        grace: seconds(GRACE),
        idle: seconds(IDLE),
        now: at(now),
        next: None,
    }
}

/// The user ends the grant.
pub(super) fn revocation(grant: &Grant, now: i64) -> Revocation {
    Revocation {
        issuer: grant.issuer.clone(),
        client: None,
        secret: None,
        token: None,
        reason: RevocationReason::User,
        now: at(now),
    }
}

/// The user ends one access token.
pub(super) fn token_revocation(grant: &Grant, token: u8, end: i64, now: i64) -> Revocation {
    Revocation { token: Some((token_id(token), at(end))), ..revocation(grant, now) }
}

/// Where two records differ, in words for whoever writes a store.
pub(super) fn differences(found: &Grant, wanted: &Grant) -> String {
    let differs = |(found, wanted): &(Field, Field)| found.1 != wanted.1;
    let tell = |((name, found), (_, wanted)): (Field, Field)| format!("{name} is {found} instead of {wanted}");
    let told: Vec<_> = fields(found).into_iter().zip(fields(wanted)).filter(differs).map(tell).collect();
    if told.is_empty() { "the records are not equal".to_owned() } else { told.join("; ") }
}

type Field = (&'static str, String);

fn fields(grant: &Grant) -> [Field; 17] {
    // Without `..`, so that a new field is not forgotten.
    let Grant {
        key,
        issuer,
        client,
        subject,
        scope,
        resources,
        claims,
        redirect_uri,
        redirect_uri_sent,
        challenge,
        created_at,
        expires_at,
        redeemed,
        revoked,
    } = grant;
    let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    [
        ("key", format!("{key:?}")),
        ("issuer", format!("{issuer:?}")),
        ("client", format!("{client:?}")),
        ("subject", format!("{subject:?}")),
        ("scope", format!("{:?}", scope.to_string())),
        ("resources", format!("{:?}", resources.iter().map(Resource::as_str).collect::<Vec<_>>())),
        ("claims", format!("{claims:?}")),
        ("redirect_uri", format!("{redirect_uri:?}")),
        ("redirect_uri_sent", format!("{redirect_uri_sent:?}")),
        ("challenge", format!("{:?}", challenge.map(|challenge| text(challenge.as_bytes())))),
        ("created_at", format!("{created_at:?}")),
        ("expires_at", format!("{expires_at:?}")),
        ("redeemed at", format!("{:?}", redeemed.map(|redeemed| redeemed.at))),
        ("rotated_at", format!("{:?}", redeemed.map(|redeemed| redeemed.rotated_at))),
        ("secret", format!("{:?}", redeemed.map(|redeemed| text(&redeemed.secret)))),
        ("generation", format!("{:?}", redeemed.map(|redeemed| redeemed.generation))),
        ("revoked", format!("{revoked:?}")),
    ]
}
