//! The list of what was revoked, as a provider tells it to those who verify its JWT access tokens by themselves.
//!
//! ```json
//! {"digest": "..", "revoked": {
//!     "grants": ["KEY"],                            // of which nothing is good
//!     "grants_issued_until": {"KEY": 1800000000},   // of which nothing is good that was issued up to then
//!     "tokens": ["JTI"],
//!     "all_issued_until": 1800000000                // nothing at all is good that was issued up to then
//! }}
//! ```
//!
//! A `JTI` is the `jti` of a token, and the `KEY` of its grant is what that begins with: 16 bytes of 24. Whoever has a list
//! of this digest is told the digest alone.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::grant::{RevokedTokens, Tokens};
use crate::handle::{GrantKey, TokenId, from_jti, jti};
use crate::types::UnixTime;

/// How many grants and tokens are told.
const MOST: usize = 100_000;

/// What is read of an answer; one with as much as is told is shorter.
pub(crate) const MOST_BYTES: usize = 4 * 1024 * 1024;

/// How far a clock can be ahead by which a token was issued.
const AHEAD: Duration = Duration::from_secs(60);

/// What was revoked at an issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RevokedList {
    /// Up to when tokens of a grant were issued that are not good; without end where none is.
    grants: BTreeMap<GrantKey, UnixTime>,
    tokens: BTreeSet<(GrantKey, TokenId)>,
    all_issued_until: Option<UnixTime>,
}

#[derive(Serialize, Deserialize)]
struct Answer {
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<Revoked>,
}

#[derive(Serialize, Deserialize)]
struct Revoked {
    grants: Vec<String>,
    grants_issued_until: BTreeMap<String, u64>,
    tokens: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    all_issued_until: Option<u64>,
}

impl RevokedList {
    /// Of what a store keeps. Where that is too much, those grants of which the most tokens were revoked one by one are told
    /// as a moment each, and then the grants that were revoked longest ago as one moment; honest tokens that were issued
    /// before it are refused with them. `None`: there are too many such grants.
    pub(crate) fn of(revoked: Vec<RevokedTokens>) -> Option<Self> {
        let mut list = Self::default();
        let mut grants = Vec::new();
        let mut one_by_one = BTreeMap::<_, Vec<_>>::new();
        for RevokedTokens { grant, tokens, until } in revoked {
            match tokens {
                Tokens::All => grants.push((until, grant, UnixTime::FAR_FUTURE)),
                Tokens::IssuedUntil(at) => grants.push((until, grant, at)),
                Tokens::One(id) => one_by_one.entry(grant).or_default().push((id, until)),
            }
        }
        // What a grant costs others has an end, however many of its tokens its client gives back.
        grants.extend(the_most(&mut one_by_one));
        let tokens =
            one_by_one.into_iter().flat_map(|(grant, tokens)| tokens.into_iter().map(move |(id, _)| (grant, id)));
        list.tokens = tokens.collect();
        let room = MOST.checked_sub(list.tokens.len())?;
        if grants.len() > room {
            grants.sort_unstable();
            let told = grants.split_off(grants.len() - room);
            // Each is told for as long after its revocation.
            let last = grants.last().map(|(until, ..)| RevokedTokens::revoked_at(*until));
            list.all_issued_until = last.map(|at| at.plus(AHEAD));
            grants = told;
        }
        for (_, grant, issued_until) in grants {
            let known = list.grants.entry(grant).or_insert(issued_until);
            *known = issued_until.max(*known);
        }
        Some(list)
    }

    /// The answer to somebody who has the list of this digest, if they have one.
    pub(crate) fn to_json(&self, known: Option<&str>) -> serde_json::Value {
        let revoked = self.to_wire();
        let content = serde_json::to_vec(&revoked).expect("texts and numbers");
        let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(content));
        let revoked = (known != Some(&*digest)).then_some(revoked);
        serde_json::to_value(Answer { digest, revoked }).expect("texts and numbers")
    }

    fn to_wire(&self) -> Revoked {
        let whole = |until: &UnixTime| *until == UnixTime::FAR_FUTURE;
        let partly = self.grants.iter().filter(|(_, until)| !whole(until));
        Revoked {
            grants: self.grants.iter().filter(|(_, until)| whole(until)).map(|(key, _)| key.to_string()).collect(),
            grants_issued_until: partly.map(|(key, until)| (key.to_string(), until.as_secs())).collect(),
            tokens: self.tokens.iter().map(|(key, id)| jti(*key, id)).collect(),
            all_issued_until: self.all_issued_until.map(UnixTime::as_secs),
        }
    }
}

type OneByOne = BTreeMap<GrantKey, Vec<(TokenId, UnixTime)>>;

/// Takes out of what was revoked one by one the grants with the most tokens, until the rest can be told: each is told up to
/// the end of the last of its tokens, before which all of them were issued. Nothing makes room for these.
fn the_most(one_by_one: &mut OneByOne) -> Vec<(UnixTime, GrantKey, UnixTime)> {
    let mut too_many = one_by_one.values().map(Vec::len).sum::<usize>().saturating_sub(MOST);
    if too_many == 0 {
        return Vec::new();
    }
    let mut grants: Vec<_> = one_by_one.iter().map(|(grant, tokens)| (Reverse(tokens.len()), *grant)).collect();
    grants.sort_unstable();
    let mut told = Vec::new();
    for (Reverse(count), grant) in grants {
        if too_many == 0 || count == 1 {
            break;
        }
        too_many = too_many.saturating_sub(count - 1);
        let tokens = one_by_one.remove(&grant).unwrap_or_default();
        let last = tokens.into_iter().map(|(_, until)| until).max();
        told.extend(last.map(|last| (UnixTime::FAR_FUTURE, grant, last)));
    }
    told
}

/// What was told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) digest: String,
    /// `None`: whoever asked has it already.
    pub(crate) list: Option<RevokedList>,
}

impl Told {
    /// `None` if it is no answer.
    pub(crate) fn parse(body: &[u8]) -> Option<Self> {
        let Answer { digest, revoked } = serde_json::from_slice(body).ok()?;
        let list = match revoked {
            None => None,
            Some(revoked) => Some(RevokedList::from_wire(revoked)?),
        };
        Some(Self { digest, list })
    }
}

impl RevokedList {
    fn from_wire(revoked: Revoked) -> Option<Self> {
        let Revoked { grants, grants_issued_until, tokens, all_issued_until } = revoked;
        let whole = grants.into_iter().map(|key| (key, UnixTime::FAR_FUTURE));
        let partly = grants_issued_until.into_iter().map(|(key, at)| (key, UnixTime::from_secs(at)));
        Some(Self {
            grants: partly.chain(whole).map(|(key, until)| Some((key.parse().ok()?, until))).collect::<Option<_>>()?,
            tokens: tokens.iter().map(|jti| from_jti(jti)).collect::<Option<_>>()?,
            all_issued_until: all_issued_until.map(UnixTime::from_secs),
        })
    }

    /// Whether a token of this name that was issued then is among what was revoked. `None`: no provider of this crate's
    /// has a token of this name.
    pub(crate) fn revokes(&self, jti: &str, issued_at: UnixTime) -> Option<bool> {
        let (grant, token) = from_jti(jti)?;
        let until = [self.all_issued_until, self.grants.get(&grant).copied()];
        Some(until.into_iter().flatten().any(|until| issued_at <= until) || self.tokens.contains(&(grant, token)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> UnixTime {
        UnixTime::from_secs(1_800_000_000 + seconds)
    }

    fn key(number: u32) -> GrantKey {
        let mut bytes = [7; 16];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        GrantKey::from_bytes(bytes)
    }

    fn of(number: u32, tokens: Tokens, revoked_at: UnixTime) -> RevokedTokens {
        RevokedTokens::new(key(number), tokens, RevokedTokens::until_of_all(revoked_at))
    }

    fn list(revoked: Vec<RevokedTokens>) -> RevokedList {
        RevokedList::of(revoked).expect("not too many")
    }

    fn revokes(list: &RevokedList, grant: u32, token: u8, issued_at: UnixTime) -> bool {
        list.revokes(&jti(key(grant), &[token; 8]), issued_at).expect("a name of ours")
    }

    #[test]
    fn a_list_says_of_each_token_whether_it_was_revoked() {
        let list = list(vec![
            of(1, Tokens::All, at(5)),
            of(2, Tokens::IssuedUntil(at(10)), at(10)),
            of(2, Tokens::IssuedUntil(at(8)), at(8)),
            of(3, Tokens::One([9; 8]), at(0)),
            of(4, Tokens::IssuedUntil(at(10)), at(10)),
            of(4, Tokens::All, at(11)),
        ]);
        for (grant, token, issued_at, revoked) in [
            (1, 0, 6, true),
            (2, 0, 10, true),
            (2, 0, 11, false),
            (3, 9, 50, true),
            (3, 8, 50, false),
            (4, 0, 50, true),
            (5, 9, 0, false),
        ] {
            assert_eq!(revokes(&list, grant, token, at(issued_at)), revoked, "{grant} {token} {issued_at}");
        }
        for other in ["", "1", &key(1).to_string(), &format!("{}A", jti(key(1), &[0; 8]))] {
            assert_eq!(list.revokes(other, at(0)), None, "{other}");
        }
    }

    #[test]
    fn a_list_comes_over_the_wire_as_it_is_and_to_who_has_it_its_digest_alone() {
        let mut digests = BTreeSet::new();
        let moments =
            [of(1, Tokens::All, at(5)), of(2, Tokens::IssuedUntil(at(10)), at(10)), of(3, Tokens::One([9; 8]), at(0))];
        for length in 0..=moments.len() {
            let mut list = list(moments[..length].to_vec());
            list.all_issued_until = (length == 3).then(|| at(3));
            let told = Told::parse(list.to_json(Some("another")).to_string().as_bytes()).expect("an answer");
            assert_eq!(told.list.as_ref(), Some(&list));
            let again = list.to_json(Some(&told.digest));
            assert_eq!(again, serde_json::json!({"digest": told.digest}));
            assert_eq!(Told::parse(again.to_string().as_bytes()).map(|told| told.list), Some(None));
            digests.insert(told.digest);
        }
        assert_eq!(digests.len(), moments.len() + 1, "each list has a digest of its own");
    }

    /// A list that nobody can read is none, and never an empty one.
    #[test]
    fn what_is_no_list_is_no_answer() {
        let good = r#"{"digest":"d","revoked":{"grants":[],"grants_issued_until":{},"tokens":[]}}"#;
        assert_eq!(Told::parse(good.as_bytes()).and_then(|told| told.list), Some(RevokedList::default()));
        let key = key(1).to_string();
        for (part, wrong) in [
            (r#""digest":"d","#, ""),
            (r#""grants":[],"#, ""),
            (r#","tokens":[]"#, ""),
            (r#""grants_issued_until":{},"#, ""),
            ("{}", &format!(r#"{{"{key}":"1"}}"#)),
            ("{}", &format!(r#"{{"{key}":-1}}"#)),
            (r#""grants":[]"#, r#""grants":["x"]"#),
            (r#""tokens":[]"#, &format!(r#""tokens":["{key}"]"#)),
            (r#""grants":[],"#, r#""grants":[],"grants":[],"#),
            ("{", "["),
        ] {
            let wrong = good.replacen(part, wrong, 1);
            assert_ne!(wrong, good);
            assert_eq!(Told::parse(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn of_too_many_grants_those_that_were_revoked_long_ago_are_told_as_one_moment() {
        let most = MOST as u32;
        let mut revoked: Vec<_> = (0..most).map(|n| of(n, Tokens::All, at(u64::from(n)))).collect();
        assert_eq!(list(revoked.clone()).all_issued_until, None);
        revoked.extend((0..5).map(|token| RevokedTokens::new(key(most), Tokens::One([token; 8]), at(600))));
        revoked.reverse();
        let list = list(revoked);
        assert_eq!((list.grants.len(), list.all_issued_until), (MOST - 5, Some(at(4 + 60))));
        assert!(revokes(&list, most + 1, 0, at(64)) && !revokes(&list, most + 1, 0, at(65)));
        assert!(revokes(&list, 5, 0, at(900_000)) && revokes(&list, most, 4, at(900_000)));
        let tokens = |count: u32| (0..count).map(|n| RevokedTokens::new(key(n), Tokens::One([0; 8]), at(0))).collect();
        assert!(RevokedList::of(tokens(most)).is_some());
        assert_eq!(RevokedList::of(tokens(most + 1)), None);
    }

    /// Whoever has one grant and gives back its tokens all day costs the others nothing.
    #[test]
    fn of_too_many_tokens_those_of_one_grant_are_told_as_its_moment() {
        let most = MOST as u32;
        let one = |grant: u32, token: u32, end: u64| {
            let id = u64::from(token).to_be_bytes();
            RevokedTokens::new(key(grant), Tokens::One(id), RevokedTokens::until_of_one(at(end)))
        };
        let mut revoked: Vec<_> = (0..most).map(|token| one(7, token, 3_600)).collect();
        assert_eq!(list(revoked.clone()).tokens.len(), MOST);
        revoked.push(one(7, most, 7_200));
        revoked.push(one(8, 0, 3_600));
        revoked.extend((0..3).map(|token| one(9, token, 3_600)));
        revoked.extend((10..most).map(|grant| of(grant, Tokens::All, at(u64::from(grant)))));
        let list = list(revoked);
        assert_eq!((list.tokens.len(), list.all_issued_until), (4, None));
        let revokes = |grant: u32, token: u64, issued_at: u64| {
            list.revokes(&jti(key(grant), &token.to_be_bytes()), at(issued_at)).expect("a name of ours")
        };
        assert!(revokes(7, 0, 3_599) && revokes(7, u64::from(most), 7_199) && !revokes(7, 0, 7_321));
        assert!(revokes(8, 0, 0) && !revokes(8, 1, 0) && revokes(9, 2, 0) && !revokes(9, 3, 0));
        assert!(revokes(10, 0, 900_000) && revokes(most - 1, 0, 900_000) && !revokes(most, 0, 0));
        assert_eq!(Told::parse(list.to_json(None).to_string().as_bytes()).and_then(|told| told.list), Some(list));
    }

    #[test]
    fn as_much_as_is_told_is_read() {
        let forms: [fn(u32) -> RevokedTokens; 3] = [
            |n| of(n, Tokens::All, at(0)),
            |n| of(n, Tokens::IssuedUntil(at(0)), at(0)),
            |n| RevokedTokens::new(key(n), Tokens::One([0; 8]), at(0)),
        ];
        for form in forms {
            let length = list((0..MOST as u32).map(form).collect()).to_json(None).to_string().len();
            assert!(length <= MOST_BYTES, "{length}");
        }
    }
}
