use std::collections::hash_map::RandomState;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::convert::Infallible;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dashmap::{DashMap, DashSet, Entry};

use super::key_state::KeyState;
use super::{ClientStore, GrantStore, Holder, OnceKey, RegistrationTerms};
use crate::client::Client;
use crate::config::ConfigErrors;
use crate::grant::{
    Grant, Outcome, Redemption, Revocation, RevocationReason, RevokedTokens, Rotation, Tokens, Verdict,
};
use crate::handle::GrantKey;
use crate::secret::{Secret, Secrets};
use crate::types::{ClientId, Issuer, Scope, Subject, UnixTime};

/// Clients and grants in the memory of one process. Cloning copies a pointer; clones share everything.
///
/// What it keeps is gone with the process, its secret included, so every session ends at a restart. Its memory is
/// bounded by [sweeping](crate::Provider::sweep_every).
///
/// ```
/// use tower_oauth::{Client, MemoryStore};
///
/// let store = MemoryStore::new();
/// store.insert("https://shift.example", Client::public("app").redirect_uri("https://app.example/cb"))?;
/// # Ok::<_, tower_oauth::ConfigErrors>(())
/// ```
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Inner>);

struct Inner {
    clients: DashMap<(Issuer, ClientId), Known>,
    registered: AtomicUsize,
    grants: DashMap<GrantKey, Arc<Grant>, KeyState>,
    subjects: SubjectIndex,
    once: DashMap<OnceKey, UnixTime>,
    documents: Mutex<HashMap<(Issuer, String), Vec<u8>>>,
    revoked: Mutex<RevokedByIssuer>,
    /// The lists of scopes that grants have: few, so that grants share them.
    scopes: DashSet<Scope>,
    secrets: Secrets,
}

/// What was revoked, and when that has passed.
type RevokedByIssuer = HashMap<Issuer, HashMap<(GrantKey, Tokens), UnixTime>>;

/// How many lists of scopes are shared at most.
const MOST_SHARED_SCOPES: usize = 1024;

/// A client, and until when it is kept if no user connects it; `None` where the app put it there.
struct Known {
    client: Client,
    keep_until: Option<UnixTime>,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            clients: DashMap::default(),
            registered: AtomicUsize::new(0),
            grants: DashMap::default(),
            subjects: SubjectIndex::default(),
            once: DashMap::default(),
            documents: Mutex::default(),
            revoked: Mutex::default(),
            scopes: DashSet::default(),
            secrets: Secret::generate().into(),
        }
    }
}

impl MemoryStore {
    /// An empty store with a random secret.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a client at an issuer, in place of one of the same id.
    ///
    /// # Errors
    /// If the client could not work, or could not work safely; then it is not registered.
    pub fn insert(&self, issuer: impl Into<Issuer>, client: Client) -> Result<(), ConfigErrors> {
        client.check()?;
        self.0.clients.insert((issuer.into(), client.id().clone()), Known { client, keep_until: None });
        Ok(())
    }

    /// How many grants are kept, over or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.grants.len()
    }

    /// Whether no grant is kept.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.grants.is_empty()
    }

    /// One transition under the lock of its entry. The record is replaced only if it changed.
    fn step(&self, key: GrantKey, apply: impl FnOnce(&mut Grant) -> Outcome) -> Verdict {
        let Some(mut record) = self.0.grants.get_mut(&key) else { return Verdict::UNKNOWN };
        let mut next = Grant::clone(&record);
        let outcome = apply(&mut next);
        if next != **record {
            self.keep_revoked(&next, next.newly_revoked(&record));
            *record = Arc::new(next);
        }
        Verdict::new(outcome, Arc::clone(&record))
    }

    /// The same list of scopes, in the memory of an earlier grant where one has it.
    fn shared(&self, scope: Scope) -> Scope {
        if let Some(known) = self.0.scopes.get(&scope) {
            return known.clone();
        }
        // Whoever may ask for many scopes may ask for them in very many orders.
        if self.0.scopes.len() < MOST_SHARED_SCOPES {
            self.0.scopes.insert(scope.clone());
        }
        scope
    }

    fn keep_revoked(&self, grant: &Grant, revoked: impl Iterator<Item = RevokedTokens>) {
        for RevokedTokens { grant: key, tokens, until } in revoked {
            let mut all = self.revoked();
            let kept = all.entry(grant.issuer().clone()).or_default().entry((key, tokens)).or_insert(until);
            *kept = until.max(*kept);
        }
    }

    fn revoked(&self) -> MutexGuard<'_, RevokedByIssuer> {
        // As below.
        self.0.revoked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn documents(&self) -> MutexGuard<'_, HashMap<(Issuer, String), Vec<u8>>> {
        // A map that is whole after every operation.
        self.0.documents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self, issuer: &Issuer, holder: &Holder) -> Vec<Arc<Grant>> {
        let meant = |grant: &Arc<Grant>| grant.issuer() == issuer && holder.holds(grant);
        match holder {
            Holder::User(subject) | Holder::UserAtClient(subject, _) => {
                let keys = self.0.subjects.keys_of(subject);
                keys.iter().filter_map(|key| self.cached(*key)).filter(meant).collect()
            }
            // Rare enough to look at every record rather than to keep an index of it.
            Holder::Client(_) => self.0.grants.iter().map(|record| Arc::clone(&record)).filter(meant).collect(),
        }
    }
}

impl ClientStore for MemoryStore {
    type Error = Infallible;

    async fn client(&self, issuer: &Issuer, id: &ClientId) -> Result<Option<Client>, Infallible> {
        Ok(self.0.clients.get(&(issuer.clone(), id.clone())).map(|known| known.client.clone()))
    }

    async fn register(&self, issuer: &Issuer, client: Client, terms: RegistrationTerms) -> Result<bool, Infallible> {
        let one_more = |count| (count < terms.limit).then_some(count + 1);
        if self.0.registered.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_err() {
            return Ok(false);
        }
        let place = (issuer.clone(), client.id().clone());
        self.0.clients.insert(place, Known { client, keep_until: Some(terms.keep_until) });
        Ok(true)
    }

    fn manages_registrations(&self) -> bool {
        true
    }

    async fn update_registered(
        &self,
        issuer: &Issuer,
        id: &ClientId,
        change: impl Fn(Client) -> Client + Send + Sync,
    ) -> Result<Option<Client>, Infallible> {
        let Some(mut known) = self.0.clients.get_mut(&(issuer.clone(), id.clone())) else { return Ok(None) };
        known.client = change(known.client.clone());
        Ok(Some(known.client.clone()))
    }

    async fn unregister(&self, issuer: &Issuer, id: &ClientId) -> Result<(), Infallible> {
        let itself = |_: &_, known: &Known| known.keep_until.is_some();
        if self.0.clients.remove_if(&(issuer.clone(), id.clone()), itself).is_some() {
            self.0.registered.fetch_sub(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl MemoryStore {
    /// Forgets the registrations whose time has passed and that hold no grant.
    fn sweep_clients(&self, issuer: &Issuer, now: UnixTime) {
        let passed = |known: &Known| known.keep_until.is_some_and(|until| until <= now);
        if !self.0.clients.iter().any(|known| passed(&known)) {
            return;
        }
        let holders: HashSet<ClientId> = self.0.grants.iter().map(|grant| grant.client_id().clone()).collect();
        self.0.clients.retain(|(of, id), known| {
            let goes = of == issuer && passed(known) && !holders.contains(id);
            if goes {
                self.0.registered.fetch_sub(1, Ordering::Relaxed);
            }
            !goes
        });
    }
}

impl GrantStore for MemoryStore {
    type Error = Infallible;

    async fn create(&self, mut grant: Grant) -> Result<(), Infallible> {
        grant.scope = self.shared(grant.scope);
        if let Some(subject) = grant.subject() {
            self.0.subjects.insert(subject, grant.key());
        }
        self.0.grants.entry(grant.key()).or_insert_with(|| Arc::new(grant));
        Ok(())
    }

    async fn find(&self, key: GrantKey) -> Result<Option<Arc<Grant>>, Infallible> {
        Ok(self.cached(key))
    }

    async fn redeem(&self, key: GrantKey, step: Redemption) -> Result<Verdict, Infallible> {
        Ok(self.step(key, |grant| grant.redeem(&step)))
    }

    async fn rotate(&self, key: GrantKey, step: Rotation) -> Result<Verdict, Infallible> {
        Ok(self.step(key, |grant| grant.rotate(&step)))
    }

    async fn revoke(&self, key: GrantKey, step: Revocation) -> Result<Verdict, Infallible> {
        Ok(self.step(key, |grant| grant.revoke(&step)))
    }

    async fn revoke_all(
        &self,
        issuer: &Issuer,
        holder: &Holder,
        reason: RevocationReason,
        now: UnixTime,
    ) -> Result<usize, Infallible> {
        let revoke = |grant: &Arc<Grant>| {
            let step = Revocation { issuer: issuer.clone(), client: None, secret: None, token: None, reason, now };
            self.step(grant.key(), |grant| grant.revoke(&step)).outcome == Outcome::Revoked
        };
        Ok(self.held(issuer, holder).iter().filter(|grant| revoke(grant)).count())
    }

    async fn grants(&self, issuer: &Issuer, holder: &Holder) -> Result<Vec<Arc<Grant>>, Infallible> {
        Ok(self.held(issuer, holder))
    }

    async fn once(&self, key: OnceKey, until: UnixTime, now: UnixTime) -> Result<bool, Infallible> {
        Ok(match self.0.once.entry(key) {
            Entry::Occupied(seen) if now < *seen.get() => false,
            Entry::Occupied(mut passed) => {
                passed.insert(until);
                true
            }
            Entry::Vacant(unseen) => {
                unseen.insert(until);
                true
            }
        })
    }

    async fn sweep(&self, issuer: &Issuer, now: UnixTime, idle: Duration) -> Result<usize, Infallible> {
        let mut swept = 0;
        self.0.grants.retain(|key, grant| {
            let over = grant.issuer() == issuer && grant.is_over(now, idle);
            if over {
                swept += 1;
                if let Some(subject) = grant.subject() {
                    self.0.subjects.remove(subject, *key);
                }
            }
            !over
        });
        self.0.once.retain(|_, until| now < *until);
        if let Some(revoked) = self.revoked().get_mut(issuer) {
            revoked.retain(|_, until| now < *until);
        }
        self.sweep_clients(issuer, now);
        Ok(swept)
    }

    fn keeps_documents(&self) -> bool {
        true
    }

    async fn document(&self, issuer: &Issuer, name: &str) -> Result<Option<Vec<u8>>, Infallible> {
        Ok(self.documents().get(&(issuer.clone(), name.to_owned())).cloned())
    }

    async fn replace_document(
        &self,
        issuer: &Issuer,
        name: &str,
        old: Option<&[u8]>,
        new: &[u8],
    ) -> Result<bool, Infallible> {
        let place = (issuer.clone(), name.to_owned());
        let mut documents = self.documents();
        let kept = documents.get(&place).map(Vec::as_slice);
        let done = kept == old || kept == Some(new);
        if done {
            documents.insert(place, new.to_vec());
        }
        Ok(done)
    }

    fn keeps_revocations(&self) -> bool {
        true
    }

    async fn revocations(&self, issuer: &Issuer, now: UnixTime) -> Result<Vec<RevokedTokens>, Infallible> {
        let revoked = self.revoked();
        let revoked = revoked.get(issuer).into_iter().flatten().filter(|(_, until)| now < **until);
        Ok(revoked.map(|((grant, tokens), until)| RevokedTokens::new(*grant, *tokens, *until)).collect())
    }

    fn cached(&self, key: GrantKey) -> Option<Arc<Grant>> {
        self.0.grants.get(&key).map(|record| Arc::clone(&record))
    }

    fn secrets(&self) -> Result<Option<Secrets>, Infallible> {
        Ok(Some(self.0.secrets.clone()))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("grants", &self.len()).finish_non_exhaustive()
    }
}

/// Which grants a user gave. A keyed hash stands for the user, so an entry is 24 bytes whatever the name; whoever asks
/// compares the names in the records.
struct SubjectIndex {
    state: RandomState,
    shards: [Mutex<BTreeSet<(u64, GrantKey)>>; 16],
}

impl Default for SubjectIndex {
    fn default() -> Self {
        Self { state: RandomState::new(), shards: Default::default() }
    }
}

impl SubjectIndex {
    fn insert(&self, subject: &Subject, key: GrantKey) {
        let (hash, mut keys) = self.locked(subject);
        keys.insert((hash, key));
    }

    fn remove(&self, subject: &Subject, key: GrantKey) {
        let (hash, mut keys) = self.locked(subject);
        keys.remove(&(hash, key));
    }

    fn keys_of(&self, subject: &Subject) -> Vec<GrantKey> {
        let (hash, keys) = self.locked(subject);
        let (first, last) = (GrantKey::from_bytes([0; 16]), GrantKey::from_bytes([0xff; 16]));
        keys.range((hash, first)..=(hash, last)).map(|(_, key)| *key).collect()
    }

    fn locked(&self, subject: &Subject) -> (u64, MutexGuard<'_, BTreeSet<(u64, GrantKey)>>) {
        let hash = self.state.hash_one(subject);
        let shard = &self.shards[(hash % 16) as usize];
        // A set of keys is whole after every operation on it, so a panic elsewhere does not spoil it.
        (hash, shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
