//! Which keys sign now, and which are published.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tokio::sync::Mutex;

use super::Provider;
use super::signer::{DynSigner, KeySource};
use crate::error::StoreError;
use crate::event::Event;
use crate::jwt::ring::{LEAD, POLL, Ring, Terms};
use crate::jwt::{InvalidKey, Jwks, PublicKey, SigningKey};
use crate::secret::Secrets;
use crate::types::UnixTime;

/// What the document is called in the store.
const DOCUMENT: &str = "signing keys";

/// How long nobody asks again after an error, or for a key that nobody knew.
pub(super) const PAUSE: Duration = Duration::from_secs(2);

/// How often a document is written that changes all the time, before it is given up.
const TRIES: usize = 16;

/// The keys of a provider that makes JWTs.
pub(crate) struct Signing {
    source: KeySource,
    /// Under which generated keys are sealed.
    secrets: Secrets,
    /// How long a generated key signs.
    period: Duration,
    known: RwLock<Option<Arc<Known>>>,
    /// Held by whoever reads; in it, when that failed last.
    reading: Mutex<Option<UnixTime>>,
}

/// The keys as they were read.
pub(crate) struct Known {
    published: Jwks,
    signs: Signs,
    read_at: UnixTime,
}

enum Signs {
    /// Each from its time on.
    Keys(Vec<(UnixTime, SigningKey)>),
    /// A key that is elsewhere.
    Remote(PublicKey),
    /// Sealed under a secret that is not here.
    Nobody,
}

impl Known {
    /// The keys whose tokens may be good. Who cannot open the one that signs does not know them.
    pub(super) fn published(&self) -> Result<&Jwks, StoreError> {
        if matches!(self.signs, Signs::Nobody) { Err(StoreError::new(LEFT_BEHIND)) } else { Ok(&self.published) }
    }
}

/// A key that signs now.
pub(super) enum Key {
    Here(SigningKey),
    Remote(Arc<dyn DynSigner>, PublicKey),
}

impl Key {
    pub(super) fn public(&self) -> &PublicKey {
        match self {
            Self::Here(key) => key.public(),
            Self::Remote(_, key) => key,
        }
    }

    pub(super) async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, StoreError> {
        match self {
            Self::Here(key) => key.sign(message).map_err(StoreError::new),
            Self::Remote(signer, key) => {
                let signature = signer.sign(key.id().unwrap_or_default(), message).await?;
                if key.has_signed(message, &signature) {
                    return Ok(signature);
                }
                Err(StoreError::new("what the signer answered is no signature of its key, as a JWS has it"))
            }
        }
    }
}

impl Signing {
    pub(super) fn new(source: KeySource, secrets: Secrets, period: Duration) -> Self {
        Self { source, secrets, period, known: RwLock::default(), reading: Mutex::default() }
    }

    fn known(&self) -> Option<Arc<Known>> {
        // What is in it is replaced whole.
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was read less than `age` ago, without waiting.
    pub(super) fn fresh(&self, now: UnixTime, age: Duration) -> Option<Arc<Known>> {
        self.read_since(now, now, age)
    }

    /// What was read less than `age` before somebody asked, or after that.
    pub(super) fn read_since(&self, asked: UnixTime, now: UnixTime, age: Duration) -> Option<Arc<Known>> {
        let given = matches!(self.source, KeySource::Given(_));
        // A clock that stepped back does not make it new.
        let fresh = |known: &Known| known.read_at <= now && asked.since(known.read_at) < age.as_secs();
        self.known().filter(|known| given || fresh(known))
    }

    /// What was read less than `age` ago. One reads for all who ask. While that is under way the others get what was known
    /// before, if that is good for now and they do not ask for news, or else wait for it. Where it fails, all get what was
    /// known before.
    pub(super) async fn read(&self, provider: &Provider, age: Duration) -> Result<Arc<Known>, StoreError> {
        let asked = provider.now();
        if let Some(known) = self.fresh(asked, age) {
            return Ok(known);
        }
        let mut failed = match (self.reading.try_lock(), self.fresh(asked, LEAD)) {
            (Ok(failed), _) => failed,
            (Err(_), Some(known)) if age >= POLL => return Ok(known),
            (Err(_), _) => self.reading.lock().await,
        };
        // However long that took: what was read meanwhile was read for all who waited.
        let now = provider.now();
        if let Some(known) = self.read_since(asked, now, age) {
            return Ok(known);
        }
        let before = self.known();
        // A clock that stepped back does not make the pause longer.
        if failed.is_some_and(|at| at <= now && now.since(at) < PAUSE.as_secs()) {
            return before.ok_or_else(|| StoreError::new("the signing keys could not be read a moment ago"));
        }
        match self.read_now(provider, before.is_none(), now).await {
            Ok(known) => {
                *failed = None;
                let known = Arc::new(known);
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&known));
                Ok(known)
            }
            Err(error) => {
                *failed = Some(provider.now());
                if before.is_some() {
                    provider.tell(&Event::unavailable(&error));
                }
                before.ok_or(error)
            }
        }
    }

    async fn read_now(&self, provider: &Provider, first: bool, now: UnixTime) -> Result<Known, StoreError> {
        match &self.source {
            KeySource::Generated(_) => self.read_ring(provider, first, now).await,
            KeySource::Given(keys) => {
                let published = Jwks::of(keys.iter().map(|key| key.public().clone()));
                let signs = Signs::Keys(keys.iter().take(1).map(|key| (now, key.clone())).collect());
                Ok(Known { published, signs, read_at: now })
            }
            KeySource::Signer(signer) => {
                let published = signer.keys().await?;
                let signs = published.iter().next().cloned();
                let signs = signs.filter(|_| published.iter().all(|key| key.id().is_some()));
                let signs = signs.ok_or_else(|| StoreError::new("the signer names no key, or one without `kid`"))?;
                Ok(Known { published, signs: Signs::Remote(signs), read_at: now })
            }
        }
    }

    /// Reads the ring, and writes what it has to become. Where there is none, or none anymore, a new one begins. A node that
    /// has had it before and cannot open it never begins anew: then it is the one that was left behind.
    async fn read_ring(&self, provider: &Provider, first: bool, now: UnixTime) -> Result<Known, StoreError> {
        let due = |ring: Option<&Ring>, terms: &Terms<'_>| match ring {
            None => Ring::new(terms, now).map(Some),
            // What it would make was sealed under a secret that was replaced, maybe since it leaked.
            Some(ring) if ring.signing(now).is_none() => {
                if first {
                    Ring::new(terms, now).map(Some)
                } else {
                    Ok(None)
                }
            }
            Some(ring) => {
                let sealed = if first { ring.sealed_anew(terms) } else { None };
                Ok(sealed.as_ref().unwrap_or(ring).next(terms, now)?.or(sealed))
            }
        };
        let (ring, written) = self.change(provider, due).await?;
        let signs = ring.signing(now).map_or(Signs::Nobody, Signs::Keys);
        let known = Known { published: ring.published(), signs, read_at: now };
        match written {
            Ok(()) => {}
            // Whoever has no key yet tries again to make one.
            Err(error) if first && matches!(known.signs, Signs::Nobody) => return Err(error),
            // It is good as it was read, for now.
            Err(error) => provider.tell(&Event::unavailable(&error)),
        }
        Ok(known)
    }

    /// Reads the ring, and writes what `change` makes of it; answers what is then known of it, and whether it was written.
    async fn change(
        &self,
        provider: &Provider,
        change: impl Fn(Option<&Ring>, &Terms<'_>) -> Result<Option<Ring>, InvalidKey>,
    ) -> Result<(Ring, Result<(), StoreError>), StoreError> {
        let Some(terms) = self.terms(provider) else { return Err(StoreError::new(NOT_OURS)) };
        let (grants, issuer) = (&provider.0.grants, &provider.0.config.issuer);
        for _ in 0..TRIES {
            let document = grants.document(issuer, DOCUMENT).await?;
            let ring = match &document {
                None => None,
                Some(document) => Some(Ring::read(document, &terms).ok_or_else(|| StoreError::new(UNREADABLE))?),
            };
            let next = change(ring.as_ref(), &terms).map_err(StoreError::new)?;
            let (ring, next) = match (ring, next) {
                (Some(ring), None) => return Ok((ring, Ok(()))),
                (None, None) => return Err(StoreError::new(UNREADABLE)),
                (ring, Some(next)) => (ring, next),
            };
            match grants.replace_document(issuer, DOCUMENT, document.as_deref(), &next.to_document()).await {
                Ok(true) => return Ok((next, Ok(()))),
                // Somebody else was faster. What they wrote decides.
                Ok(false) => {}
                Err(error) => return ring.map(|ring| (ring, Err(error))).ok_or_else(|| StoreError::new(UNWRITTEN)),
            }
        }
        Err(StoreError::new("the signing keys change all the time"))
    }

    fn terms<'a>(&'a self, provider: &'a Provider) -> Option<Terms<'a>> {
        let KeySource::Generated(algorithm) = self.source else { return None };
        Some(Terms { issuer: &provider.0.config.issuer, secrets: &self.secrets, algorithm, period: self.period })
    }

    /// What may be signed by and published. What is older than the time for which a key is published ahead may not know of
    /// a key that signs already; verifiers then go on with what they have.
    async fn current(&self, provider: &Provider) -> Result<Arc<Known>, StoreError> {
        let known = self.read(provider, POLL).await?;
        if self.fresh(provider.now(), LEAD).is_none() {
            return Err(StoreError::new("the signing keys could not be read for an hour"));
        }
        Ok(known)
    }

    /// The key that signs now.
    pub(super) async fn key(&self, provider: &Provider) -> Result<Key, StoreError> {
        let (known, now) = (self.current(provider).await?, provider.now());
        match &known.signs {
            Signs::Keys(keys) => {
                let key = keys.iter().rev().find(|(from, _)| *from <= now).or(keys.first());
                key.map(|(_, key)| Key::Here(key.clone())).ok_or_else(|| StoreError::new(NOT_OURS))
            }
            Signs::Remote(public) => match &self.source {
                KeySource::Signer(signer) => Ok(Key::Remote(Arc::clone(signer), public.clone())),
                _ => Err(StoreError::new(NOT_OURS)),
            },
            Signs::Nobody => Err(StoreError::new(LEFT_BEHIND)),
        }
    }
}

const NOT_OURS: &str = "this provider makes no keys: they are given to it";
const UNREADABLE: &str = "the signing keys in the store are none that this version can read";
const UNWRITTEN: &str = "the first signing key could not be kept";
const LEFT_BEHIND: &str =
    "the signing keys are sealed under a secret that this node does not have: give it the secrets of the others";

impl Provider {
    /// Publishes the next key that signs JWTs now, and answers when it begins to sign: an hour later, when every verifier
    /// has it. Where there is a next one already, nothing changes.
    ///
    /// After a leak that is too slow: replace the secret under which the keys are sealed. A provider that starts without it
    /// makes a new key, which signs at once, and the old ones are good for nothing anymore.
    ///
    /// # Errors
    /// If the store cannot answer, if the keys were given to the provider, or if they are sealed under a secret that it does
    /// not have.
    pub async fn rotate_signing_key(&self) -> Result<SystemTime, StoreError> {
        let (signing, now) = (self.signing()?, self.now());
        // Where there is none yet, the first one is made first.
        signing.read(self, POLL).await?;
        let rotated = |ring: Option<&Ring>, terms: &Terms<'_>| {
            ring.filter(|ring| ring.signing(now).is_some()).map_or(Ok(None), |ring| ring.rotated(terms, now))
        };
        let (ring, written) = signing.change(self, rotated).await?;
        if ring.signing(now).is_none() {
            return Err(StoreError::new(LEFT_BEHIND));
        }
        written?;
        signing.read(self, Duration::ZERO).await?;
        Ok(ring.signs_from().into())
    }

    pub(super) fn signing(&self) -> Result<&Signing, StoreError> {
        self.0.signing.as_ref().ok_or_else(|| StoreError::new("this provider signs nothing"))
    }

    /// Reads the keys soon after the start, so that it is at the start that a provider makes new ones where it cannot open
    /// those that are there, and that it seals them under its first secret.
    pub(super) fn begin_with_keys(&self) {
        if let (Some(_), Ok(runtime)) = (&self.0.signing, tokio::runtime::Handle::try_current()) {
            let provider = self.clone();
            runtime.spawn(async move {
                // Whoever needs them tries again.
                if let Err(error) = provider.tend_keys().await {
                    provider.tell(&Event::unavailable(&error));
                }
            });
        }
    }

    /// Reads the keys, and does what is due to them; for a provider that signs.
    pub(super) async fn tend_keys(&self) -> Result<(), StoreError> {
        match &self.0.signing {
            Some(signing) => signing.read(self, POLL).await.map(drop),
            None => Ok(()),
        }
    }

    /// The keys that are published, to be kept by nobody for longer than [`MAX_AGE`](crate::jwt::ring::MAX_AGE).
    pub(crate) async fn published_keys(&self) -> Result<Jwks, StoreError> {
        Ok(self.signing()?.current(self).await?.published()?.clone())
    }
}

impl fmt::Debug for Signing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signing").finish_non_exhaustive()
    }
}
