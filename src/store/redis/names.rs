//! What everything is called in Redis.
//!
//! | key | type | what it keeps |
//! |---|---|---|
//! | `grant:{x}xyz..` | hash | a grant: the fields of [`GrantRecord`](crate::GrantRecord) |
//! | `due:{x}issuer` | sorted set | when the sweep looks at which grant of this issuer whose key begins with `x` |
//! | `user:..` | hash | the grants of a user: the key of each, and its client |
//! | `client:..` | hash | the grants of a client: the key of each |
//! | `clients:{issuer}` | hash | the clients of an issuer: the id of each, and its record |
//! | `registered:{issuer}` | sorted set | those that registered themselves, and until when they are kept if nobody connects them |
//! | `documents:{issuer}` | hash | what a provider keeps of its own, such as its signing keys, which are sealed |
//! | `keys` | hash | with which keys handles were made, and when last |
//! | `revocations:{x}` | number | how many revocations there were of grants whose key begins with `x` |
//! | `revoked:{x}issuer` | sorted set | what was revoked of grants of this issuer whose key begins with `x`, and until when it is told |
//! | `wait` | text | nothing: it is written so that there is something to wait for |
//! | `once:..` | hash | what happened once, and until when that is remembered |
//!
//! Each revocation is also published, with that number and the grant's key: to `revoked:N`, where N is the number of the
//! database, since a channel belongs to no database.
//!
//! What is between braces decides in which slot of a Redis Cluster a key is, so each script has its keys in one slot. The
//! first of the 64 characters that a grant's key can begin with spreads the grants. Users, clients and issuers are there
//! as digests: they are of any length, and a name is nobody's business who looks at keys.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::grant::Grant;
use crate::handle::GrantKey;
use crate::store::OnceKey;
use crate::types::{ClientId, Issuer, Subject};

/// Half of a digest.
pub(super) type Digest = [u8; 16];

/// What every key of a store begins with.
pub(super) struct Names {
    prefix: String,
    channel: String,
}

impl Names {
    /// A prefix with braces in it would put every key into one slot.
    pub(super) fn new(prefix: String) -> Option<Self> {
        (!prefix.contains(['{', '}'])).then(|| Self { channel: String::new(), prefix }.in_database(0))
    }

    pub(super) fn in_database(self, number: i64) -> Self {
        Self { channel: format!("{}revoked:{number}", self.prefix), ..self }
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    pub(super) fn grant(&self, key: GrantKey) -> String {
        let text = key.to_string();
        format!("{}grant:{{{}}}{text}", self.prefix, &text[..1])
    }

    pub(super) fn due(&self, issuer: &Issuer, key: GrantKey) -> String {
        self.due_of(issuer, &key.to_string()[..1])
    }

    /// When the sweep looks at a grant, and what was revoked of it: the digest of an issuer is made once.
    pub(super) fn of_step(&self, issuer: &Issuer, key: GrantKey) -> (String, String) {
        let (first, issuer) = (&key.to_string()[..1], text(&of_issuer(issuer)));
        (format!("{}due:{{{first}}}{issuer}", self.prefix), format!("{}revoked:{{{first}}}{issuer}", self.prefix))
    }

    /// In the order of the keys.
    pub(super) fn all_revoked(&self, issuer: &Issuer) -> Vec<String> {
        let issuer = text(&of_issuer(issuer));
        firsts().map(|first| format!("{}revoked:{{{first}}}{issuer}", self.prefix)).collect()
    }

    /// Of each character that a grant's key can begin with.
    pub(super) fn all_due(&self, issuer: &Issuer) -> Vec<String> {
        firsts().map(|first| self.due_of(issuer, &first)).collect()
    }

    pub(super) fn channel(&self) -> &str {
        &self.channel
    }

    pub(super) fn revocations(&self, key: GrantKey) -> String {
        self.revocations_of(&key.to_string()[..1])
    }

    /// In the order of the keys.
    pub(super) fn all_revocations(&self) -> Vec<String> {
        firsts().map(|first| self.revocations_of(&first)).collect()
    }

    fn revocations_of(&self, first: &str) -> String {
        format!("{}revocations:{{{first}}}", self.prefix)
    }

    fn due_of(&self, issuer: &Issuer, first: &str) -> String {
        format!("{}due:{{{first}}}{}", self.prefix, text(&of_issuer(issuer)))
    }

    pub(super) fn user(&self, user: &Digest) -> String {
        format!("{}user:{}", self.prefix, text(user))
    }

    pub(super) fn client(&self, client: &Digest) -> String {
        format!("{}client:{}", self.prefix, text(client))
    }

    pub(super) fn clients(&self, issuer: &Issuer) -> String {
        format!("{}clients:{{{}}}", self.prefix, text(&of_issuer(issuer)))
    }

    pub(super) fn registered(&self, issuer: &Issuer) -> String {
        format!("{}registered:{{{}}}", self.prefix, text(&of_issuer(issuer)))
    }

    pub(super) fn documents(&self, issuer: &Issuer) -> String {
        format!("{}documents:{{{}}}", self.prefix, text(&of_issuer(issuer)))
    }

    pub(super) fn keys(&self) -> String {
        format!("{}keys", self.prefix)
    }

    pub(super) fn once(&self, key: &OnceKey) -> String {
        format!("{}once:{}", self.prefix, URL_SAFE_NO_PAD.encode(key.as_bytes()))
    }

    pub(super) fn wait(&self) -> String {
        format!("{}wait", self.prefix)
    }
}

/// What a grant's key can begin with, in the order of the keys.
fn firsts() -> impl Iterator<Item = String> {
    (0..64_u8).map(|number| URL_SAFE_NO_PAD.encode([number << 2])[..1].to_owned())
}

/// A grant, and under whom it is found.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) key: GrantKey,
    /// `None` where a client acts for itself.
    pub(super) user: Option<Digest>,
    pub(super) client: Digest,
}

/// Of whom there is none.
const NOBODY: Digest = [0; 16];

impl Place {
    pub(super) fn of(grant: &Grant) -> Self {
        let issuer = grant.issuer();
        Self {
            key: grant.key(),
            user: grant.subject().map(|subject| of_user(issuer, subject)),
            client: of_client(issuer, grant.client_id()),
        }
    }

    pub(super) fn to_bytes(self) -> Vec<u8> {
        [*self.key.as_bytes(), self.user.unwrap_or(NOBODY), self.client].concat()
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let ([key, user, client], []) = bytes.as_chunks::<16>() else { return None };
        Some(Self { key: GrantKey::from_bytes(*key), user: (*user != NOBODY).then_some(*user), client: *client })
    }
}

pub(super) fn of_user(issuer: &Issuer, subject: &Subject) -> Digest {
    digest(issuer, subject.as_str())
}

pub(super) fn of_client(issuer: &Issuer, client: &ClientId) -> Digest {
    digest(issuer, client.as_str())
}

fn of_issuer(issuer: &Issuer) -> Digest {
    digest(issuer, "")
}

fn digest(issuer: &Issuer, name: &str) -> Digest {
    let mut digest = Sha256::new();
    // An issuer has no line in it, so no two of these are the same text.
    digest.update(issuer.as_str());
    digest.update("\n");
    digest.update(name);
    let digest: [u8; 32] = digest.finalize().into();
    let [half @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = digest;
    half
}

fn text(digest: &Digest) -> String {
    URL_SAFE_NO_PAD.encode(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_grant_is_in_one_of_the_64_sets_of_its_issuer_and_with_it_in_one_slot() {
        let names = Names::new("oauth:".to_owned()).unwrap();
        let issuer = Issuer::from("https://a.example");
        let (all, counts) = (names.all_due(&issuer), names.all_revocations());
        assert_eq!((all.len(), counts.len()), (64, 64));
        let mut met = std::collections::HashSet::new();
        for first in 0..=255 {
            let key = GrantKey::from_bytes([first; 16]);
            let due = names.due(&issuer, key);
            assert!(all.contains(&due), "{due}");
            let tag = |name: &str| name.split(['{', '}']).nth(1).map(str::to_owned);
            assert_eq!(tag(&due), tag(&names.grant(key)));
            let (of_step, revoked) = names.of_step(&issuer, key);
            assert_eq!((of_step, &revoked), (due.clone(), &names.all_revoked(&issuer)[usize::from(first) / 4]));
            assert_eq!(tag(&revoked), tag(&due));
            assert_eq!(names.revocations(key), counts[usize::from(first) / 4]);
            assert_eq!(tag(&names.revocations(key)), tag(&due));
            met.insert(due);
        }
        assert_eq!(met.len(), 64);
    }

    #[test]
    fn a_place_comes_back_as_it_was() {
        let key = GrantKey::from_bytes([1; 16]);
        for user in [None, Some([2; 16])] {
            let bytes = Place { key, user, client: [3; 16] }.to_bytes();
            let place = Place::from_bytes(&bytes).unwrap();
            assert_eq!((place.key, place.user, place.client), (key, user, [3; 16]));
            assert!(Place::from_bytes(&bytes[1..]).is_none());
        }
    }
}
