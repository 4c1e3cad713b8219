//! What of a grant was revoked, for those who verify its access tokens without a look at its record.

use std::time::Duration;

use super::{Grant, Revoked};
use crate::handle::GrantKey;
use crate::types::{ACCESS_TOKEN_LIFE, UnixTime};

/// A verifier takes a token for up to a minute after its end, by a clock that may be a minute behind.
const BEYOND: Duration = Duration::from_secs(120);

/// How long after a revocation a token can be presented that was issued before it.
const LONGEST: Duration = ACCESS_TOKEN_LIFE.end().saturating_add(BEYOND);

/// Access tokens of one grant that were revoked, as a store keeps them that
/// [keeps revocations](crate::GrantStore::keeps_revocations). The grant and the tokens say which they are; of two that
/// are the same the later end holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct RevokedTokens {
    /// Of which grant.
    pub grant: GrantKey,
    /// Which of its tokens.
    pub tokens: Tokens,
    /// From when on no verifier takes any of them, since all are over.
    pub until: UnixTime,
}

/// Some access tokens of a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Tokens {
    /// All that there are: the grant was revoked.
    All,
    /// All that were issued up to this moment.
    IssuedUntil(UnixTime),
    /// The one of this id.
    One([u8; 8]),
}

impl RevokedTokens {
    /// As they were kept.
    #[must_use]
    pub const fn new(grant: GrantKey, tokens: Tokens, until: UnixTime) -> Self {
        Self { grant, tokens, until }
    }

    /// The end of all that was issued up to a moment.
    pub(crate) fn until_of_all(issued: UnixTime) -> UnixTime {
        issued.plus(LONGEST)
    }

    /// The moment that [`until_of_all`](Self::until_of_all) was made of.
    #[cfg(feature = "jwt")]
    pub(crate) const fn revoked_at(until: UnixTime) -> UnixTime {
        UnixTime::from_secs(until.as_secs().saturating_sub(LONGEST.as_secs()))
    }

    /// The end of a token that says when it ends.
    pub(crate) fn until_of_one(end: UnixTime) -> UnixTime {
        end.plus(BEYOND)
    }
}

impl Grant {
    /// What a step has revoked that made this record of `before`: a store that keeps revocations keeps it in the same
    /// atomic step. What was revoked earlier may be among it once more.
    pub fn newly_revoked(&self, before: &Self) -> impl Iterator<Item = RevokedTokens> + use<> {
        let revoked = self.revoked.as_deref().filter(|revoked| before.revoked.as_deref() != Some(*revoked));
        let of = |tokens, until| RevokedTokens::new(self.key, tokens, until);
        let until_of_all = RevokedTokens::until_of_all;
        let new = match revoked {
            None => [None, None],
            Some(Revoked { grant: Some((at, _)), .. }) => [Some(of(Tokens::All, until_of_all(*at))), None],
            Some(Revoked { tokens, issued_until, .. }) => [
                tokens.last().map(|(id, end)| of(Tokens::One(*id), RevokedTokens::until_of_one(*end))),
                issued_until.map(|at| of(Tokens::IssuedUntil(at), until_of_all(at))),
            ],
        };
        new.into_iter().flatten()
    }
}
