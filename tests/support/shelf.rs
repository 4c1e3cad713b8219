//! A store on a shelf: its records can be looked at and put back, it can be out of reach, and it always makes its
//! callers wait.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tower_oauth::grant::Revocation;
use tower_oauth::{
    Client, ClientId, ClientStore, Grant, GrantKey, GrantStore, Holder, Issuer, MemoryStore, OnceKey, Outcome,
    Redemption, RevocationReason, RevokedTokens, Rotation, Secret, Secrets, UnixTime, Verdict,
};

/// What a store is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Client,
    Create,
    Find,
    Redeem,
    Rotate,
    Revoke,
    RevokeAll,
    Grants,
    Once,
    Sweep,
    Document,
    ReplaceDocument,
    Revocations,
}

/// Every record, by its key.
pub type Records = BTreeMap<GrantKey, Grant>;

/// Clones share everything.
#[derive(Clone, Default)]
pub struct Shelf(Arc<Inner>);

#[derive(Default)]
struct Inner {
    records: Mutex<Records>,
    /// What a cache in front of it says, however old.
    cache: Mutex<Records>,
    clients: Mutex<HashMap<ClientId, Client>>,
    documents: Mutex<HashMap<(String, String), Vec<u8>>>,
    seen: Mutex<HashMap<OnceKey, UnixTime>>,
    steps: Mutex<Vec<Op>>,
    down: Mutex<Vec<Op>>,
    losing: Mutex<Vec<Op>>,
    held: Mutex<Option<(Op, Arc<Gate>)>>,
    keeps_revocations: bool,
}

/// Where a step waits after it was done and before it is answered.
#[derive(Default)]
pub struct Gate {
    pub reached: Notify,
    pub open: Notify,
}

const DOWN: &str = "the shelf is out of reach";

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no test panics while it holds a lock")
}

impl Shelf {
    /// One that says so, and tells of none.
    pub fn keeping_revocations() -> Self {
        Self(Arc::new(Inner { keeps_revocations: true, ..Inner::default() }))
    }

    /// From now on these steps fail, and nothing is done.
    pub fn take_down(&self, ops: &[Op]) {
        *lock(&self.0.down) = ops.to_vec();
    }

    /// From now on these steps are done, and their answer is lost on the way.
    pub fn lose_answers(&self, ops: &[Op]) {
        *lock(&self.0.losing) = ops.to_vec();
    }

    /// Everything works again.
    pub fn repair(&self) {
        self.take_down(&[]);
        self.lose_answers(&[]);
    }

    /// The next of these steps is done, and answered only after the gate was opened.
    pub fn hold(&self, op: Op) -> Arc<Gate> {
        let gate = Arc::new(Gate::default());
        *lock(&self.0.held) = Some((op, Arc::clone(&gate)));
        gate
    }

    pub fn records(&self) -> Records {
        lock(&self.0.records).clone()
    }

    /// As after a crash that lost writes, or a restored backup.
    pub fn put_back(&self, records: Records) {
        *lock(&self.0.records) = records;
    }

    /// The one record that there is.
    #[track_caller]
    pub fn only(&self) -> Grant {
        let records = self.records();
        assert_eq!(records.len(), 1, "{records:?}");
        records.into_values().next().expect("there is one")
    }

    /// From now on a cache knows every record as it is now.
    pub fn fill_cache(&self) {
        *lock(&self.0.cache) = self.records();
    }

    /// What was done since the last time that this was asked.
    pub fn steps(&self) -> Vec<Op> {
        std::mem::take(&mut *lock(&self.0.steps))
    }

    /// As whoever can write to the database writes the one document that there is.
    #[track_caller]
    pub fn edit_document(&self, edit: impl FnOnce(&mut serde_json::Value)) {
        let mut documents = lock(&self.0.documents);
        assert_eq!(documents.len(), 1);
        let document = documents.values_mut().next().expect("there is one");
        let mut json = serde_json::from_slice(document).expect("a document in JSON");
        edit(&mut json);
        *document = json.to_string().into_bytes();
    }

    /// Registers a client, in place of one of the same id.
    pub fn register(&self, client: Client) {
        lock(&self.0.clients).insert(client.id().clone(), client);
    }

    pub fn forget(&self, client: &str) {
        lock(&self.0.clients).remove(&client.into());
    }

    async fn reach(&self, op: Op) -> Result<(), &'static str> {
        tokio::task::yield_now().await;
        lock(&self.0.steps).push(op);
        if lock(&self.0.down).contains(&op) { Err(DOWN) } else { Ok(()) }
    }

    async fn answer<T>(&self, op: Op, answer: T) -> Result<T, &'static str> {
        let gate = lock(&self.0.held).take_if(|(held, _)| *held == op);
        if let Some((_, gate)) = gate {
            gate.reached.notify_one();
            gate.open.notified().await;
        }
        if lock(&self.0.losing).contains(&op) { Err(DOWN) } else { Ok(answer) }
    }

    fn step(&self, key: GrantKey, apply: impl FnOnce(&mut Grant) -> Outcome) -> Verdict {
        match lock(&self.0.records).get_mut(&key) {
            Some(record) => Verdict::new(apply(record), Arc::new(record.clone())),
            None => Verdict::UNKNOWN,
        }
    }

    fn held_by(&self, issuer: &Issuer, holder: &Holder) -> Vec<Grant> {
        let meant = |grant: &Grant| grant.issuer() == issuer && holder.holds(grant);
        self.records().into_values().filter(meant).collect()
    }
}

fn place(issuer: &Issuer, name: &str) -> (String, String) {
    (issuer.as_str().to_owned(), name.to_owned())
}

impl ClientStore for Shelf {
    type Error = &'static str;

    async fn client(&self, _: &Issuer, id: &ClientId) -> Result<Option<Client>, Self::Error> {
        self.reach(Op::Client).await?;
        let client = lock(&self.0.clients).get(id).cloned();
        self.answer(Op::Client, client).await
    }
}

impl GrantStore for Shelf {
    type Error = &'static str;

    async fn create(&self, grant: Grant) -> Result<(), Self::Error> {
        self.reach(Op::Create).await?;
        lock(&self.0.records).entry(grant.key()).or_insert(grant);
        self.answer(Op::Create, ()).await
    }

    async fn find(&self, key: GrantKey) -> Result<Option<Arc<Grant>>, Self::Error> {
        self.reach(Op::Find).await?;
        let record = self.records().remove(&key).map(Arc::new);
        self.answer(Op::Find, record).await
    }

    async fn redeem(&self, key: GrantKey, step: Redemption) -> Result<Verdict, Self::Error> {
        self.reach(Op::Redeem).await?;
        let verdict = self.step(key, |grant| grant.redeem(&step));
        self.answer(Op::Redeem, verdict).await
    }

    async fn rotate(&self, key: GrantKey, step: Rotation) -> Result<Verdict, Self::Error> {
        self.reach(Op::Rotate).await?;
        let verdict = self.step(key, |grant| grant.rotate(&step));
        self.answer(Op::Rotate, verdict).await
    }

    async fn revoke(&self, key: GrantKey, step: Revocation) -> Result<Verdict, Self::Error> {
        self.reach(Op::Revoke).await?;
        let verdict = self.step(key, |grant| grant.revoke(&step));
        self.answer(Op::Revoke, verdict).await
    }

    async fn revoke_all(
        &self,
        issuer: &Issuer,
        holder: &Holder,
        reason: RevocationReason,
        now: UnixTime,
    ) -> Result<usize, Self::Error> {
        self.reach(Op::RevokeAll).await?;
        let memory = MemoryStore::new();
        for grant in self.held_by(issuer, holder) {
            let Ok(()) = memory.create(grant).await;
        }
        let Ok(count) = memory.revoke_all(issuer, holder, reason, now).await;
        for grant in self.held_by(issuer, holder) {
            let revoked = memory.cached(grant.key()).expect("it was put there");
            lock(&self.0.records).insert(grant.key(), Grant::clone(&revoked));
        }
        self.answer(Op::RevokeAll, count).await
    }

    async fn grants(&self, issuer: &Issuer, holder: &Holder) -> Result<Vec<Arc<Grant>>, Self::Error> {
        self.reach(Op::Grants).await?;
        let grants = self.held_by(issuer, holder).into_iter().map(Arc::new).collect();
        self.answer(Op::Grants, grants).await
    }

    async fn once(&self, key: OnceKey, until: UnixTime, now: UnixTime) -> Result<bool, Self::Error> {
        self.reach(Op::Once).await?;
        let first = {
            let mut seen = lock(&self.0.seen);
            let first = seen.get(&key).is_none_or(|until| *until <= now);
            if first {
                seen.insert(key, until);
            }
            first
        };
        self.answer(Op::Once, first).await
    }

    async fn sweep(&self, _: &Issuer, _: UnixTime, _: Duration) -> Result<usize, Self::Error> {
        self.reach(Op::Sweep).await?;
        self.answer(Op::Sweep, 0).await
    }

    fn keeps_documents(&self) -> bool {
        true
    }

    async fn document(&self, issuer: &Issuer, name: &str) -> Result<Option<Vec<u8>>, Self::Error> {
        self.reach(Op::Document).await?;
        let document = lock(&self.0.documents).get(&place(issuer, name)).cloned();
        self.answer(Op::Document, document).await
    }

    async fn replace_document(
        &self,
        issuer: &Issuer,
        name: &str,
        old: Option<&[u8]>,
        new: &[u8],
    ) -> Result<bool, Self::Error> {
        self.reach(Op::ReplaceDocument).await?;
        let replaces = {
            let mut documents = lock(&self.0.documents);
            let kept = documents.get(&place(issuer, name)).map(Vec::as_slice);
            let replaces = kept == old || kept == Some(new);
            if replaces {
                documents.insert(place(issuer, name), new.to_vec());
            }
            replaces
        };
        self.answer(Op::ReplaceDocument, replaces).await
    }

    fn keeps_revocations(&self) -> bool {
        self.0.keeps_revocations
    }

    async fn revocations(&self, _: &Issuer, _: UnixTime) -> Result<Vec<RevokedTokens>, Self::Error> {
        self.reach(Op::Revocations).await?;
        self.answer(Op::Revocations, Vec::new()).await
    }

    fn cached(&self, key: GrantKey) -> Option<Arc<Grant>> {
        lock(&self.0.cache).get(&key).cloned().map(Arc::new)
    }

    fn secrets(&self) -> Result<Option<Secrets>, Self::Error> {
        Ok(Some(Secret::from_bytes([7; 32]).into()))
    }
}
