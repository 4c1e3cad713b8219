//! The stores behind a pointer, so that a provider has no type parameter whatever its store.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use super::{ClientStore, GrantStore, Holder, OnceKey, RegistrationTerms};
use crate::client::Client;
use crate::error::StoreError;
#[cfg(feature = "jwt")]
use crate::grant::RevokedTokens;
use crate::grant::{Grant, Redemption, Revocation, RevocationReason, Rotation, Verdict};
use crate::handle::GrantKey;
use crate::secret::Secrets;
use crate::types::{ClientId, Issuer, UnixTime};

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// The boxed twin of [`ClientStore`].
pub(crate) trait DynClients: Send + Sync {
    fn client<'a>(&'a self, issuer: &'a Issuer, id: &'a ClientId) -> Answer<'a, Option<Client>>;
    fn register<'a>(&'a self, issuer: &'a Issuer, client: Client, terms: RegistrationTerms) -> Answer<'a, bool>;
    fn manages_registrations(&self) -> bool;
    fn update_registered<'a>(
        &'a self,
        issuer: &'a Issuer,
        id: &'a ClientId,
        change: &'a (dyn Fn(Client) -> Client + Send + Sync),
    ) -> Answer<'a, Option<Client>>;
    fn unregister<'a>(&'a self, issuer: &'a Issuer, id: &'a ClientId) -> Answer<'a, ()>;
}

impl<C: ClientStore> DynClients for C {
    fn client<'a>(&'a self, issuer: &'a Issuer, id: &'a ClientId) -> Answer<'a, Option<Client>> {
        boxed(ClientStore::client(self, issuer, id))
    }

    fn register<'a>(&'a self, issuer: &'a Issuer, client: Client, terms: RegistrationTerms) -> Answer<'a, bool> {
        boxed(ClientStore::register(self, issuer, client, terms))
    }

    fn manages_registrations(&self) -> bool {
        ClientStore::manages_registrations(self)
    }

    fn update_registered<'a>(
        &'a self,
        issuer: &'a Issuer,
        id: &'a ClientId,
        change: &'a (dyn Fn(Client) -> Client + Send + Sync),
    ) -> Answer<'a, Option<Client>> {
        boxed(ClientStore::update_registered(self, issuer, id, change))
    }

    fn unregister<'a>(&'a self, issuer: &'a Issuer, id: &'a ClientId) -> Answer<'a, ()> {
        boxed(ClientStore::unregister(self, issuer, id))
    }
}

/// The boxed twin of [`GrantStore`].
pub(crate) trait DynGrants: Send + Sync {
    fn create(&self, grant: Grant) -> Answer<'_, ()>;
    fn find(&self, key: GrantKey) -> Answer<'_, Option<Arc<Grant>>>;
    fn redeem(&self, key: GrantKey, step: Redemption) -> Answer<'_, Verdict>;
    fn rotate(&self, key: GrantKey, step: Rotation) -> Answer<'_, Verdict>;
    fn revoke(&self, key: GrantKey, step: Revocation) -> Answer<'_, Verdict>;
    fn revoke_all<'a>(
        &'a self,
        issuer: &'a Issuer,
        holder: &'a Holder,
        reason: RevocationReason,
        now: UnixTime,
    ) -> Answer<'a, usize>;
    fn grants<'a>(&'a self, issuer: &'a Issuer, holder: &'a Holder) -> Answer<'a, Vec<Arc<Grant>>>;
    fn once(&self, key: OnceKey, until: UnixTime, now: UnixTime) -> Answer<'_, bool>;
    fn sweep<'a>(&'a self, issuer: &'a Issuer, now: UnixTime, idle: Duration) -> Answer<'a, usize>;
    #[cfg(feature = "jwt")]
    fn keeps_documents(&self) -> bool;
    #[cfg(feature = "jwt")]
    fn document<'a>(&'a self, issuer: &'a Issuer, name: &'a str) -> Answer<'a, Option<Vec<u8>>>;
    #[cfg(feature = "jwt")]
    fn replace_document<'a>(
        &'a self,
        issuer: &'a Issuer,
        name: &'a str,
        old: Option<&'a [u8]>,
        new: &'a [u8],
    ) -> Answer<'a, bool>;
    #[cfg(feature = "jwt")]
    fn keeps_revocations(&self) -> bool;
    #[cfg(feature = "jwt")]
    fn revocations<'a>(&'a self, issuer: &'a Issuer, now: UnixTime) -> Answer<'a, Vec<RevokedTokens>>;
    fn cached(&self, key: GrantKey) -> Option<Arc<Grant>>;
    fn load(&self, key: GrantKey) -> Answer<'_, Option<Arc<Grant>>>;
    fn secrets(&self) -> Result<Option<Secrets>, StoreError>;
    fn use_keys(&self, issuer: &Issuer, ids: &[[u8; 4]], now: UnixTime) -> Result<(), StoreError>;
    fn clock_skew(&self) -> Option<Duration>;
}

impl<G: GrantStore> DynGrants for G {
    fn create(&self, grant: Grant) -> Answer<'_, ()> {
        boxed(GrantStore::create(self, grant))
    }

    fn find(&self, key: GrantKey) -> Answer<'_, Option<Arc<Grant>>> {
        boxed(GrantStore::find(self, key))
    }

    fn redeem(&self, key: GrantKey, step: Redemption) -> Answer<'_, Verdict> {
        boxed(GrantStore::redeem(self, key, step))
    }

    fn rotate(&self, key: GrantKey, step: Rotation) -> Answer<'_, Verdict> {
        boxed(GrantStore::rotate(self, key, step))
    }

    fn revoke(&self, key: GrantKey, step: Revocation) -> Answer<'_, Verdict> {
        boxed(GrantStore::revoke(self, key, step))
    }

    fn revoke_all<'a>(
        &'a self,
        issuer: &'a Issuer,
        holder: &'a Holder,
        reason: RevocationReason,
        now: UnixTime,
    ) -> Answer<'a, usize> {
        boxed(GrantStore::revoke_all(self, issuer, holder, reason, now))
    }

    fn grants<'a>(&'a self, issuer: &'a Issuer, holder: &'a Holder) -> Answer<'a, Vec<Arc<Grant>>> {
        boxed(GrantStore::grants(self, issuer, holder))
    }

    fn once(&self, key: OnceKey, until: UnixTime, now: UnixTime) -> Answer<'_, bool> {
        boxed(GrantStore::once(self, key, until, now))
    }

    fn sweep<'a>(&'a self, issuer: &'a Issuer, now: UnixTime, idle: Duration) -> Answer<'a, usize> {
        boxed(GrantStore::sweep(self, issuer, now, idle))
    }

    #[cfg(feature = "jwt")]
    fn keeps_documents(&self) -> bool {
        GrantStore::keeps_documents(self)
    }

    #[cfg(feature = "jwt")]
    fn document<'a>(&'a self, issuer: &'a Issuer, name: &'a str) -> Answer<'a, Option<Vec<u8>>> {
        boxed(GrantStore::document(self, issuer, name))
    }

    #[cfg(feature = "jwt")]
    fn replace_document<'a>(
        &'a self,
        issuer: &'a Issuer,
        name: &'a str,
        old: Option<&'a [u8]>,
        new: &'a [u8],
    ) -> Answer<'a, bool> {
        boxed(GrantStore::replace_document(self, issuer, name, old, new))
    }

    #[cfg(feature = "jwt")]
    fn keeps_revocations(&self) -> bool {
        GrantStore::keeps_revocations(self)
    }

    #[cfg(feature = "jwt")]
    fn revocations<'a>(&'a self, issuer: &'a Issuer, now: UnixTime) -> Answer<'a, Vec<RevokedTokens>> {
        boxed(GrantStore::revocations(self, issuer, now))
    }

    fn cached(&self, key: GrantKey) -> Option<Arc<Grant>> {
        GrantStore::cached(self, key)
    }

    fn load(&self, key: GrantKey) -> Answer<'_, Option<Arc<Grant>>> {
        boxed(GrantStore::load(self, key))
    }

    fn secrets(&self) -> Result<Option<Secrets>, StoreError> {
        GrantStore::secrets(self).map_err(StoreError::new)
    }

    fn use_keys(&self, issuer: &Issuer, ids: &[[u8; 4]], now: UnixTime) -> Result<(), StoreError> {
        GrantStore::use_keys(self, issuer, ids, now).map_err(StoreError::new)
    }

    fn clock_skew(&self) -> Option<Duration> {
        GrantStore::clock_skew(self)
    }
}

fn boxed<'a, T, E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    answer: impl Future<Output = Result<T, E>> + Send + 'a,
) -> Answer<'a, T> {
    Box::pin(async move { answer.await.map_err(StoreError::new) })
}
