//! The ring of signing keys: a document that all nodes of a provider share, and what follows from it and the clock alone.
//!
//! One key signs at a time: the last whose time to sign has come. The next one is published [`LEAD`] before that, so that
//! whoever verifies has it by then; the one before stays published until its last token is over ([`KEPT`]). Each private
//! half is sealed under the provider's secret, for its issuer, its own name and its times. The rest of the document is what
//! anybody who writes to the store says: what does not open is neither published nor signed with.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::algorithm::Algorithm;
use super::claims::LEEWAY;
use super::jwk::{Jwks, PublicKey};
use super::sealed::{open, seal};
use super::signing::{InvalidKey, SigningKey};
use crate::secret::Secrets;
use crate::types::{ACCESS_TOKEN_LIFE, Issuer, UnixTime};

/// For how long whoever reads the published keys may keep them.
pub(crate) const MAX_AGE: Duration = Duration::from_secs(5 * 60);

/// After how long a node reads the document again.
pub(crate) const POLL: Duration = Duration::from_secs(60);

/// How long before a key signs it is published: many times as long as nodes and verifiers keep what they read.
pub(crate) const LEAD: Duration = Duration::from_secs(60 * 60);

/// How long a key stays published that signs no more: the longest life of an access token, and what clocks differ.
const KEPT: Duration = ACCESS_TOKEN_LIFE.end().saturating_add(LEEWAY);

/// What the document says first.
const VERSION: u64 = 1;

/// The keys, in the order in which they sign.
#[derive(Clone, Debug)]
pub(crate) struct Ring(Vec<Kept>);

#[derive(Clone, Debug)]
struct Kept {
    public: PublicKey,
    sealed: Vec<u8>,
    published_at: UnixTime,
    signs_from: UnixTime,
    /// What was sealed; `None` if it does not open here.
    private: Option<Private>,
}

#[derive(Clone, Debug)]
struct Private {
    key: SigningKey,
    /// Whether it is sealed under the first secret.
    is_under_first: bool,
}

/// How a provider makes keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'a> {
    pub(crate) issuer: &'a Issuer,
    /// The first one seals, all open. There is one at least.
    pub(crate) secrets: &'a Secrets,
    pub(crate) algorithm: Algorithm,
    /// How long a key signs.
    pub(crate) period: Duration,
}

impl Terms<'_> {
    fn make(&self, published_at: UnixTime, signs_from: UnixTime) -> Result<Kept, InvalidKey> {
        let key = SigningKey::generate(self.algorithm)?;
        let public = key.public().clone();
        let mut kept = Kept { public, sealed: Vec::new(), published_at, signs_from, private: None };
        kept.sealed = kept.seal(&key, self).ok_or(InvalidKey)?;
        kept.private = Some(Private { key, is_under_first: true });
        Ok(kept)
    }
}

impl Kept {
    /// What it is sealed for. The id may be any text, the times are none.
    fn name(&self) -> Option<String> {
        Some(format!("{} {} {}", self.public.id()?, self.published_at.as_secs(), self.signs_from.as_secs()))
    }

    /// The private half, sealed under the first secret.
    fn seal(&self, key: &SigningKey, terms: &Terms<'_>) -> Option<Vec<u8>> {
        Some(seal(terms.secrets.iter().next()?, terms.issuer, &self.name()?, &key.to_pkcs8().ok()?))
    }

    /// The private half; `None` if it is sealed under none of the secrets, or if anything else was sealed than what stands
    /// beside it.
    fn open(&self, terms: &Terms<'_>) -> Option<Private> {
        let name = self.name()?;
        terms.secrets.iter().zip(0..).find_map(|(secret, place)| {
            let key = SigningKey::from_pkcs8(&open([secret], terms.issuer, &name, &self.sealed)?).ok()?;
            (key.public() == &self.public).then_some(Private { key, is_under_first: place == 0 })
        })
    }

    fn to_json(&self) -> Value {
        json!({
            "jwk": self.public.to_jwk(),
            "sealed": URL_SAFE_NO_PAD.encode(&self.sealed),
            "published_at": self.published_at.as_secs(),
            "signs_from": self.signs_from.as_secs(),
        })
    }

    fn read(value: &Value, terms: &Terms<'_>) -> Option<Self> {
        let moment = |name: &str| value[name].as_u64().map(UnixTime::from_secs);
        let mut kept = Self {
            public: PublicKey::from_jwk(&value["jwk"]).filter(|key| key.id().is_some())?,
            sealed: URL_SAFE_NO_PAD.decode(value["sealed"].as_str()?).ok()?,
            published_at: moment("published_at")?,
            signs_from: moment("signs_from")?,
            private: None,
        };
        kept.private = kept.open(terms);
        Some(kept)
    }
}

impl Ring {
    /// One new key, which signs at once: the first of all, or where nobody can open the one that signs.
    pub(crate) fn new(terms: &Terms<'_>, now: UnixTime) -> Result<Self, InvalidKey> {
        Ok(Self(vec![terms.make(now, now)?]))
    }

    /// What is kept, each key opened where that can be done here; `None` if it is no such document, or a later version's.
    pub(crate) fn read(document: &[u8], terms: &Terms<'_>) -> Option<Self> {
        let document: Value = serde_json::from_slice(document).ok()?;
        if document["version"] != VERSION {
            return None;
        }
        let keys: Option<Vec<_>> = document["keys"].as_array()?.iter().map(|key| Kept::read(key, terms)).collect();
        keys.filter(|keys| !keys.is_empty()).map(Self)
    }

    pub(crate) fn to_document(&self) -> Vec<u8> {
        let keys: Vec<_> = self.0.iter().map(Kept::to_json).collect();
        json!({ "version": VERSION, "keys": keys }).to_string().into_bytes()
    }

    /// All the keys whose tokens may be good. A public key alone is nobody's word for it: its private half has to open.
    pub(crate) fn published(&self) -> Jwks {
        Jwks::of(self.0.iter().filter(|kept| kept.private.is_some()).map(|kept| kept.public.clone()))
    }

    /// The keys that sign now and later, each with its time; `None` if the one that signs now is sealed under another
    /// secret. Another clock may be a little ahead, so the first one of all has always signed.
    pub(crate) fn signing(&self, now: UnixTime) -> Option<Vec<(UnixTime, SigningKey)>> {
        let [active, later @ ..] = &self.0[self.active(now)..] else { return None };
        let opened = |kept: &Kept| Some((kept.signs_from, kept.private.as_ref()?.key.clone()));
        Some([opened(active)?].into_iter().chain(later.iter().filter_map(opened)).collect())
    }

    /// What the document has to become by now; `None` if it is as it has to be.
    pub(crate) fn next(&self, terms: &Terms<'_>, now: UnixTime) -> Result<Option<Self>, InvalidKey> {
        let mut next = self.without_what_is_over(now);
        let newest = next.newest().signs_from;
        let due = newest.plus(terms.period);
        if newest <= now && now.plus(LEAD) >= due {
            next.0.push(terms.make(now, due.max(now.plus(LEAD)))?);
        } else if next.0.len() == self.0.len() {
            return Ok(None);
        }
        Ok(Some(next))
    }

    /// The same with a key that signs as soon as everybody has seen it; `None` where there is one already.
    pub(crate) fn rotated(&self, terms: &Terms<'_>, now: UnixTime) -> Result<Option<Self>, InvalidKey> {
        if self.newest().signs_from > now {
            return Ok(None);
        }
        let mut next = self.without_what_is_over(now);
        next.0.push(terms.make(now, now.plus(LEAD))?);
        Ok(Some(next))
    }

    /// The same with everything that was sealed under another secret sealed under the first one; `None` if it is. What is
    /// sealed under none of them stays as it is: others may open it.
    pub(crate) fn sealed_anew(&self, terms: &Terms<'_>) -> Option<Self> {
        let mut next = self.clone();
        let mut changed = false;
        for kept in &mut next.0 {
            let Some(Private { key, is_under_first: false }) = &kept.private else { continue };
            kept.sealed = kept.seal(key, terms)?;
            kept.private = Some(Private { key: key.clone(), is_under_first: true });
            changed = true;
        }
        changed.then_some(next)
    }

    /// When the last of its keys begins to sign.
    pub(crate) fn signs_from(&self) -> UnixTime {
        self.newest().signs_from
    }

    fn newest(&self) -> &Kept {
        self.0.last().expect("a ring has a key")
    }

    /// The place of the key that signs now.
    fn active(&self, now: UnixTime) -> usize {
        self.0.iter().rposition(|kept| kept.signs_from <= now).unwrap_or_default()
    }

    /// A key's tokens are over so long after its successor began to sign.
    fn without_what_is_over(&self, now: UnixTime) -> Self {
        let over = self.0.iter().skip(1).take_while(|successor| now >= successor.signs_from.plus(KEPT)).count();
        Self(self.0[over..].to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
    const DAY: Duration = Duration::from_secs(86_400);
    const PERIOD: Duration = DAY.saturating_mul(30);

    struct Node(Issuer, Secrets);

    impl Node {
        fn new(secrets: &[&Secret]) -> Self {
            Self("https://shift.example".into(), secrets.iter().map(|secret| (*secret).clone()).collect())
        }

        fn terms(&self) -> Terms<'_> {
            Terms { issuer: &self.0, secrets: &self.1, algorithm: Algorithm::Es256, period: PERIOD }
        }

        /// The same, as this node reads it.
        fn read(&self, ring: &Ring) -> Ring {
            Ring::read(&ring.to_document(), &self.terms()).unwrap()
        }

        fn signs(&self, ring: &Ring, now: UnixTime) -> Option<String> {
            let keys = self.read(ring).signing(now)?;
            let key = keys.iter().rev().find(|(from, _)| *from <= now).or(keys.first())?;
            key.1.public().id().map(str::to_owned)
        }
    }

    fn ids(node: &Node, ring: &Ring) -> Vec<String> {
        node.read(ring).published().iter().filter_map(|key| key.id().map(str::to_owned)).collect()
    }

    /// Step by step through ten rotations: each key is published before it signs, as long as it signs, and until its last
    /// token is over, and no step is due twice.
    #[test]
    fn a_key_is_published_before_it_signs_and_until_its_last_token_is_over() {
        let secret = Secret::generate();
        let node = Node::new(&[&secret]);
        let mut ring = Ring::new(&node.terms(), NOW).unwrap();
        // When each was first and last seen published, and signing.
        let mut seen = Vec::<(String, [UnixTime; 4])>::new();
        let step = Duration::from_secs(600);
        let mut now = NOW;
        while now < NOW.plus(PERIOD * 11 - LEAD) {
            if let Some(next) = ring.next(&node.terms(), now).unwrap() {
                assert!(next.next(&node.terms(), now).unwrap().is_none(), "one step does it");
                ring = node.read(&next);
            }
            let signs = node.signs(&ring, now).unwrap();
            for id in ids(&node, &ring) {
                let at = seen.iter().position(|(known, _)| *known == id).unwrap_or_else(|| {
                    seen.push((id.clone(), [now, now, UnixTime::FAR_FUTURE, now]));
                    seen.len() - 1
                });
                let times = &mut seen[at].1;
                times[1] = now;
                if id == signs {
                    (times[2], times[3]) = (times[2].min(now), now);
                }
            }
            assert!(ids(&node, &ring).contains(&signs) && ids(&node, &ring).len() <= 3);
            now = now.plus(step);
        }
        assert_eq!(seen.len(), 11);
        for (number, (_, [published, gone, signs, signed])) in seen.iter().enumerate() {
            assert!(number == 0 || signs.since(*published) == LEAD.as_secs());
            if number < 9 {
                assert!(signed.since(*signs) == (PERIOD - step).as_secs());
                assert!(gone.since(*signed) >= KEPT.as_secs() && gone.since(*signed) <= KEPT.as_secs() + 1200);
            }
        }
    }

    #[test]
    fn after_a_long_sleep_the_next_key_is_still_published_first() {
        let secret = Secret::generate();
        let node = Node::new(&[&secret]);
        let ring = Ring::new(&node.terms(), NOW).unwrap();
        let late = NOW.plus(PERIOD * 3);
        let next = ring.next(&node.terms(), late).unwrap().unwrap();
        assert_eq!(node.signs(&next, late), node.signs(&ring, NOW));
        assert_eq!(next.signs_from(), late.plus(LEAD));
    }

    #[test]
    fn a_rotation_by_hand_is_one_however_often_it_is_asked_for() {
        let secret = Secret::generate();
        let node = Node::new(&[&secret]);
        let ring = Ring::new(&node.terms(), NOW).unwrap();
        let now = NOW.plus(DAY);
        let next = ring.rotated(&node.terms(), now).unwrap().unwrap();
        assert!(next.rotated(&node.terms(), now).unwrap().is_none());
        assert_eq!(node.signs(&next, now), node.signs(&ring, now));
        assert_ne!(node.signs(&next, now.plus(LEAD)), node.signs(&ring, now));
        assert!(next.next(&node.terms(), now.plus(LEAD)).unwrap().is_none(), "the next one is due a period later");
    }

    #[test]
    fn a_replaced_secret_opens_nothing_and_one_of_several_all() {
        let (old, new) = (Secret::generate(), Secret::generate());
        let ring = Ring::new(&Node::new(&[&old]).terms(), NOW).unwrap();
        assert!(Node::new(&[&new]).signs(&ring, NOW).is_none());
        let both = Node::new(&[&new, &old]);
        assert!(both.signs(&ring, NOW).is_some());
        let anew = both.read(&ring).sealed_anew(&both.terms()).unwrap();
        assert_eq!(Node::new(&[&new]).signs(&anew, NOW), both.signs(&ring, NOW));
        assert!(both.read(&anew).sealed_anew(&both.terms()).is_none());
        let only_new = Node::new(&[&new]);
        assert!(only_new.read(&ring).sealed_anew(&only_new.terms()).is_none());
    }

    #[test]
    fn what_is_no_ring_is_none() {
        let node = Node::new(&[&Secret::generate()]);
        let good = String::from_utf8(Ring::new(&node.terms(), NOW).unwrap().to_document()).unwrap();
        assert!(Ring::read(good.as_bytes(), &node.terms()).is_some());
        for bad in [
            String::new(),
            "{}".to_owned(),
            r#"{"version":1,"keys":[]}"#.to_owned(),
            good.replace(r#""version":1"#, r#""version":2"#),
            good.replace("signs_from", "from"),
            good.replace("kid", "id"),
        ] {
            assert!(Ring::read(bad.as_bytes(), &node.terms()).is_none(), "{bad}");
        }
    }
}
