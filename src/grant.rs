//! The grant: one record for all that a user allowed a client at one moment, and its pure transitions.
//!
//! A grant is the whole family of its tokens: the code, every access token and every generation of the refresh token
//! are handles on it. Nothing is written before the user approves, issuing an access token writes nothing, and
//! revoking the grant ends all of them.
//!
//! [`Grant::redeem`], [`Grant::rotate`] and [`Grant::revoke`] are the rules. They do no I/O; a store runs them on a
//! record as one atomic step, or says the same in one statement of its own language. Each is idempotent for the same
//! input, so that a store may repeat a step whose acknowledgement was lost.
//!
//! | presented | record | outcome |
//! |---|---|---|
//! | code, first time | pending | [`Outcome::Redeemed`] |
//! | code, again within 5 seconds, with PKCE | redeemed | [`Outcome::Repeated`]: refused, nothing changes |
//! | code, again | redeemed | [`Outcome::Replayed`]: refused, the grant is revoked |
//! | refresh token of the current generation | alive | [`Outcome::Rotated`] |
//! | one generation ahead | the store lost a write | [`Outcome::Ahead`]: rotated from there |
//! | one generation behind, within the grace | alive | [`Outcome::Retried`]: the same successor once more |
//! | older | alive | [`Outcome::Replayed`]: refused, the grant is revoked |
//! | anything of another client, secret, redirect URI or verifier | any | [`Outcome::Refused`]: nothing changes |

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use subtle::ConstantTimeEq;

use crate::handle::{GrantKey, TokenId};
use crate::types::{ClientId, CodeChallenge, Issuer, Resource, Scope, Subject, UnixTime};

mod record;
mod revoked_tokens;

pub use record::GrantRecord;
pub use revoked_tokens::{RevokedTokens, Tokens};

/// What a user allowed a client, or a client itself, and what became of it.
// In the order of the fields, those first that every check of a token reads: of many grants a record is not in the
// processor's cache, and each line of memory that has to be fetched costs as much as the rest of the check.
#[repr(C)]
#[derive(Clone, PartialEq, Eq)]
pub struct Grant {
    /// The code's end until redemption, then the grant's.
    pub(crate) expires_at: UnixTime,
    /// Of most grants nothing.
    pub(crate) revoked: Option<Box<Revoked>>,
    /// In order, and never edited: access tokens carry one bit for each.
    pub(crate) scope: Scope,
    /// Likewise.
    pub(crate) resources: Arc<[Resource]>,
    pub(crate) subject: Option<Subject>,
    pub(crate) client: ClientId,
    pub(crate) issuer: Issuer,
    pub(crate) key: GrantKey,
    pub(crate) claims: Option<Arc<Claims>>,
    pub(crate) created_at: UnixTime,
    pub(crate) redeemed: Option<Redeemed>,
    pub(crate) redirect_uri: Option<Arc<str>>,
    pub(crate) challenge: Option<CodeChallenge>,
    /// Whether the authorization request named its redirect URI, so that without PKCE the token request has to.
    pub(crate) redirect_uri_sent: bool,
}

/// What the app said of the user when it approved, given back with every token of the grant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) auth_time: Option<UnixTime>,
    pub(crate) values: Map<String, Value>,
}

/// The claim that says how the user proved who they are
/// ([RFC 9068 §2.2.1](https://www.rfc-editor.org/rfc/rfc9068#section-2.2.1)).
pub(crate) const ACR: &str = "acr";

/// What redemption adds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Redeemed {
    pub(crate) at: UnixTime,
    pub(crate) rotated_at: UnixTime,
    /// The first half of SHA-256 of the salt that the refresh tokens carry.
    pub(crate) secret: [u8; 16],
    pub(crate) generation: u32,
}

/// What of a grant was revoked: access tokens one by one, or all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Revoked {
    /// When the grant ended before its time, and why.
    pub(crate) grant: Option<(UnixTime, RevocationReason)>,
    /// Access tokens, by id and end.
    pub(crate) tokens: Vec<(TokenId, UnixTime)>,
    /// Every access token issued up to this moment.
    pub(crate) issued_until: Option<UnixTime>,
}

impl Revoked {
    /// How many access tokens are remembered; one more, and all that were issued so far end.
    const MAX: usize = 32;

    fn insert(&mut self, token: TokenId, end: UnixTime, now: UnixTime) {
        self.tokens.retain(|(known, end)| *known != token && now < *end);
        if self.tokens.len() == Self::MAX {
            self.tokens.clear();
            // A clock that stepped back brings nothing back.
            self.issued_until = self.issued_until.max(Some(now));
        }
        self.tokens.push((token, end));
    }

    /// Whether this access token is none of those.
    fn spares(&self, token: TokenId, issued_at: UnixTime) -> bool {
        self.grant.is_none()
            && self.issued_until.is_none_or(|until| issued_at > until)
            && !self.tokens.iter().any(|(known, _)| *known == token)
    }
}

/// Why a grant was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RevocationReason {
    /// Its code was redeemed twice.
    CodeReuse,
    /// A retired refresh token was presented.
    RefreshReuse,
    /// The client gave it back (RFC 7009).
    Client,
    /// The user disconnected the client.
    User,
    /// The user has approved this client more often than there can be grants; the oldest ones end.
    Limit,
    /// The provider's operator ended it, or a hook said no.
    Provider,
}

impl RevocationReason {
    const ALL: [Self; 6] = [Self::CodeReuse, Self::RefreshReuse, Self::Client, Self::User, Self::Limit, Self::Provider];

    /// A name that stays the same from version to version, for records and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CodeReuse => "code_reuse",
            Self::RefreshReuse => "refresh_reuse",
            Self::Client => "client",
            Self::User => "user",
            Self::Limit => "limit",
            Self::Provider => "provider",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

/// A code that is being redeemed.
#[derive(Clone)]
#[non_exhaustive]
pub struct Redemption {
    /// Which issuer redeems.
    pub issuer: Issuer,
    /// The authenticated client.
    pub client: ClientId,
    /// The redirect URI of the token request, if it had one.
    pub redirect_uri: Option<String>,
    /// S256 of the verifier, if there was one.
    pub challenge: Option<[u8; 32]>,
    /// The first half of SHA-256 of a salt made for this redemption; the same again is the store's own retry.
    pub secret: [u8; 16],
    /// When the grant ends from now on.
    pub grant_expires_at: UnixTime,
    /// For how long the same client may send the code twice without harm.
    pub double_submit: Duration,
    /// The time.
    pub now: UnixTime,
}

/// A refresh token that is being used.
#[derive(Clone)]
#[non_exhaustive]
pub struct Rotation {
    /// Which issuer rotates.
    pub issuer: Issuer,
    /// The authenticated client.
    pub client: ClientId,
    /// The first half of SHA-256 of the salt that was presented.
    pub secret: [u8; 16],
    /// The generation that was presented.
    pub generation: u32,
    /// For how long after a rotation its predecessor gets the same successor.
    pub grace: Duration,
    /// How long a refresh token lives without being used.
    pub idle: Duration,
    /// The time.
    pub now: UnixTime,
    /// Where the provider has read the record and this is the usual rotation of it: what the record becomes. Of all that
    /// this was decided by, only the generation and the revocation can have changed since. A store that finds both as they
    /// were may write the new generation and time, and answer [`Outcome::Rotated`] with this, without reading the rest. Its
    /// list of revoked access tokens may be older than the one that is kept.
    pub next: Option<Arc<Grant>>,
}

impl Rotation {
    /// What a grant becomes, if this is the usual rotation of it.
    pub(crate) fn usual(&self, grant: &Grant) -> Option<Arc<Grant>> {
        let mut next = grant.clone();
        (next.rotate(self) == Outcome::Rotated).then(|| Arc::new(next))
    }
}

/// A grant or one of its access tokens that is being revoked.
#[derive(Clone)]
#[non_exhaustive]
pub struct Revocation {
    /// Which issuer revokes.
    pub issuer: Issuer,
    /// Only if it is this client's.
    pub client: Option<ClientId>,
    /// Only if this is the first half of SHA-256 of its salt.
    pub secret: Option<[u8; 16]>,
    /// One access token, by its id and end; else the whole grant.
    pub token: Option<([u8; 8], UnixTime)>,
    /// Why.
    pub reason: RevocationReason,
    /// The time.
    pub now: UnixTime,
}

/// What became of a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The code was redeemed, now or by an earlier try of the same step.
    Redeemed,
    /// The code was sent twice at once: refuse, nothing changed.
    Repeated,
    /// A used code or a retired refresh token: refuse, the grant is revoked.
    Replayed,
    /// The refresh token was rotated.
    Rotated,
    /// The refresh token was one generation ahead of the record, so the store lost a write; rotated from there.
    Ahead,
    /// The predecessor within the grace: the answer carries the current generation once more.
    Retried,
    /// The grant or the token is revoked.
    Revoked,
    /// Refuse, nothing changed.
    Refused(Refused),
}

/// Why a transition was refused without a change. Never told to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refused {
    /// There is no such grant.
    Unknown,
    /// Client, issuer, secret, redirect URI or verifier is another.
    Mismatch,
    /// The grant was revoked before.
    Revoked,
    /// The code, the refresh token or the grant is beyond its end.
    Expired,
    /// More than one generation ahead of the record.
    TooFar,
}

impl Outcome {
    /// Whether a token may be issued.
    #[must_use]
    pub const fn is_accepted(self) -> bool {
        matches!(self, Self::Redeemed | Self::Rotated | Self::Ahead | Self::Retried)
    }
}

/// The answer of a store: what became of a transition, and the record after it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Verdict {
    /// What became of it.
    pub outcome: Outcome,
    /// The record after the transition; `None` where there is none.
    pub grant: Option<Arc<Grant>>,
}

impl Verdict {
    /// A verdict on a record.
    #[must_use]
    pub const fn new(outcome: Outcome, grant: Arc<Grant>) -> Self {
        Self { outcome, grant: Some(grant) }
    }

    /// There is no such grant.
    pub const UNKNOWN: Self = Self { outcome: Outcome::Refused(Refused::Unknown), grant: None };
}

impl Grant {
    /// The code is redeemed.
    pub fn redeem(&mut self, step: &Redemption) -> Outcome {
        if !self.answers(step) {
            return Outcome::Refused(Refused::Mismatch);
        }
        if let Some(refused) = self.over(step.now) {
            return refused;
        }
        match &self.redeemed {
            None => {
                self.redeemed =
                    Some(Redeemed { at: step.now, rotated_at: step.now, secret: step.secret, generation: 0 });
                self.expires_at = step.grant_expires_at;
                Outcome::Redeemed
            }
            Some(redeemed) if same(&redeemed.secret, &step.secret) => Outcome::Redeemed,
            Some(redeemed)
                if self.challenge.is_some() && step.now.since(redeemed.at) < step.double_submit.as_secs() =>
            {
                Outcome::Repeated
            }
            Some(_) => self.end(Outcome::Replayed, RevocationReason::CodeReuse, step.now),
        }
    }

    /// A refresh token is used.
    pub fn rotate(&mut self, step: &Rotation) -> Outcome {
        let bound = self.issuer == step.issuer && self.client == step.client;
        let Some(redeemed) = self.redeemed.filter(|redeemed| bound && same(&redeemed.secret, &step.secret)) else {
            return Outcome::Refused(Refused::Mismatch);
        };
        if let Some(refused) = self.over(step.now) {
            return refused;
        }
        let unused = step.now.since(redeemed.rotated_at);
        if unused >= step.idle.as_secs() {
            return Outcome::Refused(Refused::Expired);
        }
        let current = u64::from(redeemed.generation);
        match u64::from(step.generation) {
            presented if presented == current => self.advance(step, Outcome::Rotated),
            presented if presented == current + 1 => self.advance(step, Outcome::Ahead),
            presented if presented > current => Outcome::Refused(Refused::TooFar),
            presented if presented + 1 == current && unused <= step.grace.as_secs() => Outcome::Retried,
            _ => self.end(Outcome::Replayed, RevocationReason::RefreshReuse, step.now),
        }
    }

    /// The grant, or one of its access tokens, is revoked.
    pub fn revoke(&mut self, step: &Revocation) -> Outcome {
        let bound = self.issuer == step.issuer && step.client.as_ref().is_none_or(|client| self.client == *client);
        let known = |secret| self.redeemed.is_some_and(|redeemed| same(&redeemed.secret, secret));
        if !bound || !step.secret.as_ref().is_none_or(known) {
            return Outcome::Refused(Refused::Mismatch);
        }
        if self.revoked().is_some() {
            return Outcome::Refused(Refused::Revoked);
        }
        match step.token {
            None => self.end(Outcome::Revoked, step.reason, step.now),
            Some((token, end)) => {
                self.revoked.get_or_insert_default().insert(token, end, step.now);
                Outcome::Revoked
            }
        }
    }

    /// Whether an access token of this grant is good now. Its own end is the token's to know.
    pub(crate) fn admits(&self, token: TokenId, issued_at: UnixTime, now: UnixTime) -> bool {
        now < self.expires_at && self.revoked.as_ref().is_none_or(|revoked| revoked.spares(token, issued_at))
    }

    /// Whether it is neither revoked nor beyond its end.
    pub(crate) fn is_alive(&self, now: UnixTime) -> bool {
        self.revoked().is_none() && now < self.expires_at
    }

    /// Whether its code waits to be redeemed.
    pub(crate) const fn is_pending(&self) -> bool {
        self.redeemed.is_none() && self.redirect_uri.is_some()
    }

    /// Whether nothing will come of it any more: a store may forget it.
    #[must_use]
    pub fn is_over(&self, now: UnixTime, idle: Duration) -> bool {
        let unused = |redeemed: Redeemed| now.since(redeemed.rotated_at) >= idle.as_secs();
        !self.is_alive(now) || self.redeemed.is_some_and(unused)
    }

    /// Whether the code's client, redirect URI and verifier are those of the request that was approved.
    fn answers(&self, step: &Redemption) -> bool {
        let redirect_uri = match &step.redirect_uri {
            Some(presented) => self.redirect_uri.as_deref() == Some(presented),
            // OAuth 2.1 §10.2: with PKCE the redirect URI adds nothing here.
            None => self.challenge.is_some() || !self.redirect_uri_sent,
        };
        self.issuer == step.issuer
            && self.client == step.client
            && redirect_uri
            && self.challenge == step.challenge.map(CodeChallenge::from_bytes)
    }

    fn over(&self, now: UnixTime) -> Option<Outcome> {
        if self.revoked().is_some() {
            return Some(Outcome::Refused(Refused::Revoked));
        }
        (now >= self.expires_at).then_some(Outcome::Refused(Refused::Expired))
    }

    fn advance(&mut self, step: &Rotation, outcome: Outcome) -> Outcome {
        if let Some(redeemed) = &mut self.redeemed {
            redeemed.generation = step.generation + 1;
            redeemed.rotated_at = step.now;
        }
        outcome
    }

    fn end(&mut self, outcome: Outcome, reason: RevocationReason, now: UnixTime) -> Outcome {
        self.revoked.get_or_insert_default().grant = Some((now, reason));
        outcome
    }
}

/// In constant time.
fn same(a: &[u8; 16], b: &[u8; 16]) -> bool {
    a.ct_eq(b).into()
}

impl Grant {
    /// What the record is called.
    #[must_use]
    pub const fn key(&self) -> GrantKey {
        self.key
    }

    /// Whose authorization server it belongs to.
    #[must_use]
    pub const fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Which client holds it.
    #[must_use]
    pub const fn client_id(&self) -> &ClientId {
        &self.client
    }

    /// Which user gave it; `None` where a client acts for itself.
    #[must_use]
    pub const fn subject(&self) -> Option<&Subject> {
        self.subject.as_ref()
    }

    /// All that was granted. An access token may carry less.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// For which APIs it was granted.
    #[must_use]
    pub fn resources(&self) -> &[Resource] {
        &self.resources
    }

    /// What the app attached when it approved.
    #[must_use]
    pub fn claims(&self) -> Option<&Map<String, Value>> {
        self.claims.as_deref().map(|claims| &claims.values)
    }

    /// When the user last proved who they are, if the app said so.
    #[must_use]
    pub fn auth_time(&self) -> Option<UnixTime> {
        self.claims.as_deref().and_then(|claims| claims.auth_time)
    }

    /// How the user proved who they are, `acr`, if the app said so.
    #[must_use]
    pub fn acr(&self) -> Option<&str> {
        self.claims()?.get(ACR)?.as_str()
    }

    /// When the user approved.
    #[must_use]
    pub const fn created_at(&self) -> UnixTime {
        self.created_at
    }

    /// When the client redeemed its code.
    #[must_use]
    pub fn redeemed_at(&self) -> Option<UnixTime> {
        self.redeemed.map(|redeemed| redeemed.at)
    }

    /// When the client last got tokens: at redemption and at each refresh.
    #[must_use]
    pub fn last_used_at(&self) -> Option<UnixTime> {
        self.redeemed.map(|redeemed| redeemed.rotated_at)
    }

    /// How often its refresh token was rotated.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.redeemed.map_or(0, |redeemed| redeemed.generation)
    }

    /// The code's end until redemption, then the grant's.
    #[must_use]
    pub const fn expires_at(&self) -> UnixTime {
        self.expires_at
    }

    /// When and why it was revoked.
    #[must_use]
    pub fn revoked(&self) -> Option<(UnixTime, RevocationReason)> {
        self.revoked.as_ref().and_then(|revoked| revoked.grant)
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grant")
            .field("key", &self.key)
            .field("client", &self.client)
            .field("subject", &self.subject)
            .field("scope", &self.scope)
            .field("generation", &self.generation())
            .field("expires_at", &self.expires_at)
            .field("revoked", &self.revoked())
            .finish_non_exhaustive()
    }
}

macro_rules! redacted_debug {
    ($($name:ident),*) => {
        $(impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).field("client", &self.client).field("now", &self.now).finish_non_exhaustive()
            }
        })*
    };
}
redacted_debug!(Redemption, Rotation, Revocation);

#[cfg(test)]
mod tests;
