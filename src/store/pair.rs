//! A pair `(clients, grants)` is a store.

use std::sync::Arc;
use std::time::Duration;

use super::{ClientStore, GrantStore, Holder, OnceKey, RegistrationTerms};
use crate::client::Client;
use crate::grant::{Grant, Redemption, Revocation, RevocationReason, RevokedTokens, Rotation, Verdict};
use crate::handle::GrantKey;
use crate::secret::Secrets;
use crate::types::{ClientId, Issuer, UnixTime};

impl<C: ClientStore, G: Send + Sync + 'static> ClientStore for (C, G) {
    type Error = C::Error;

    async fn client(&self, issuer: &Issuer, id: &ClientId) -> Result<Option<Client>, Self::Error> {
        self.0.client(issuer, id).await
    }

    async fn is_taken(&self, issuer: &Issuer, id: &ClientId) -> Result<bool, Self::Error> {
        self.0.is_taken(issuer, id).await
    }

    async fn register(&self, issuer: &Issuer, client: Client, terms: RegistrationTerms) -> Result<bool, Self::Error> {
        self.0.register(issuer, client, terms).await
    }

    fn manages_registrations(&self) -> bool {
        self.0.manages_registrations()
    }

    async fn update_registered(
        &self,
        issuer: &Issuer,
        id: &ClientId,
        change: impl Fn(Client) -> Client + Send + Sync,
    ) -> Result<Option<Client>, Self::Error> {
        self.0.update_registered(issuer, id, change).await
    }

    async fn unregister(&self, issuer: &Issuer, id: &ClientId) -> Result<(), Self::Error> {
        self.0.unregister(issuer, id).await
    }
}

impl<C: Send + Sync + 'static, G: GrantStore> GrantStore for (C, G) {
    type Error = G::Error;

    async fn create(&self, grant: Grant) -> Result<(), Self::Error> {
        self.1.create(grant).await
    }

    async fn find(&self, key: GrantKey) -> Result<Option<Arc<Grant>>, Self::Error> {
        self.1.find(key).await
    }

    async fn redeem(&self, key: GrantKey, step: Redemption) -> Result<Verdict, Self::Error> {
        self.1.redeem(key, step).await
    }

    async fn rotate(&self, key: GrantKey, step: Rotation) -> Result<Verdict, Self::Error> {
        self.1.rotate(key, step).await
    }

    async fn revoke(&self, key: GrantKey, step: Revocation) -> Result<Verdict, Self::Error> {
        self.1.revoke(key, step).await
    }

    async fn revoke_all(
        &self,
        issuer: &Issuer,
        holder: &Holder,
        reason: RevocationReason,
        now: UnixTime,
    ) -> Result<usize, Self::Error> {
        self.1.revoke_all(issuer, holder, reason, now).await
    }

    async fn grants(&self, issuer: &Issuer, holder: &Holder) -> Result<Vec<Arc<Grant>>, Self::Error> {
        self.1.grants(issuer, holder).await
    }

    async fn once(&self, key: OnceKey, until: UnixTime, now: UnixTime) -> Result<bool, Self::Error> {
        self.1.once(key, until, now).await
    }

    async fn sweep(&self, issuer: &Issuer, now: UnixTime, idle: Duration) -> Result<usize, Self::Error> {
        self.1.sweep(issuer, now, idle).await
    }

    fn keeps_documents(&self) -> bool {
        self.1.keeps_documents()
    }

    async fn document(&self, issuer: &Issuer, name: &str) -> Result<Option<Vec<u8>>, Self::Error> {
        self.1.document(issuer, name).await
    }

    async fn replace_document(
        &self,
        issuer: &Issuer,
        name: &str,
        old: Option<&[u8]>,
        new: &[u8],
    ) -> Result<bool, Self::Error> {
        self.1.replace_document(issuer, name, old, new).await
    }

    fn keeps_revocations(&self) -> bool {
        self.1.keeps_revocations()
    }

    async fn revocations(&self, issuer: &Issuer, now: UnixTime) -> Result<Vec<RevokedTokens>, Self::Error> {
        self.1.revocations(issuer, now).await
    }

    fn cached(&self, key: GrantKey) -> Option<Arc<Grant>> {
        self.1.cached(key)
    }

    async fn load(&self, key: GrantKey) -> Result<Option<Arc<Grant>>, Self::Error> {
        self.1.load(key).await
    }

    fn secrets(&self) -> Result<Option<Secrets>, Self::Error> {
        self.1.secrets()
    }

    fn use_keys(&self, issuer: &Issuer, ids: &[[u8; 4]], now: UnixTime) -> Result<(), Self::Error> {
        self.1.use_keys(issuer, ids, now)
    }

    fn clock_skew(&self) -> Option<Duration> {
        self.1.clock_skew()
    }
}
