use std::collections::BTreeMap;
use std::time::SystemTime;

use super::Provider;
use crate::client::Client;
use crate::error::StoreError;
use crate::event::{Event, EventKind};
use crate::grant::{Grant, RevocationReason};
use crate::store::Holder;
use crate::types::{ClientId, Scope, Subject, UnixTime};

/// A client that a user is connected with, whatever the number of grants.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectedApp {
    /// The id of the client.
    pub client_id: ClientId,
    /// The client; `None` where it is not registered any more.
    pub client: Option<Client>,
    /// All that the user granted it.
    pub scope: Scope,
    /// When the user first approved, of the grants that live.
    pub first_used: SystemTime,
    /// When the client last got tokens.
    pub last_used: SystemTime,
}

impl Provider {
    /// The clients that a user is connected with, the one used last first: "apps with access to your account".
    ///
    /// # Errors
    /// If the store cannot answer.
    pub async fn connected_apps(&self, subject: &Subject) -> Result<Vec<ConnectedApp>, StoreError> {
        let grants = self.grants_of(subject).await?;
        let mut of_client = BTreeMap::<&ClientId, Vec<&Grant>>::new();
        for grant in &grants {
            of_client.entry(grant.client_id()).or_default().push(grant);
        }
        let mut apps = Vec::with_capacity(of_client.len());
        for (id, grants) in of_client {
            let used = |grant: &&Grant| grant.last_used_at().unwrap_or(grant.created_at());
            let first = grants.iter().map(|grant| grant.created_at()).min().unwrap_or(UnixTime::FAR_FUTURE);
            let last = grants.iter().map(used).max().unwrap_or(first);
            apps.push(ConnectedApp {
                client_id: id.clone(),
                client: self.client(id).await?,
                scope: Scope::union(grants.iter().map(|grant| grant.scope())),
                first_used: first.into(),
                last_used: last.into(),
            });
        }
        apps.sort_by(|a, b| b.last_used.cmp(&a.last_used).then_with(|| a.client_id.cmp(&b.client_id)));
        Ok(apps)
    }

    /// Ends every grant of a user at a client, and answers how many lived.
    ///
    /// # Errors
    /// If the store cannot answer.
    pub async fn disconnect(&self, subject: &Subject, client: &ClientId) -> Result<usize, StoreError> {
        let holder = Holder::UserAtClient(subject.clone(), client.clone());
        self.end_all(&holder, RevocationReason::User).await
    }

    /// Keeps the grant of an approval, and ends the user's oldest ones at this client beyond the limit.
    pub(crate) async fn create_approved(&self, grant: Grant) -> Result<(), StoreError> {
        let (config, key, now) = (&self.0.config, grant.key(), self.now());
        let holder = grant.subject().map(|subject| Holder::UserAtClient(subject.clone(), grant.client_id().clone()));
        self.create(grant.clone()).await?;
        let Some(holder) = holder else { return Ok(()) };
        let mut others = self.0.grants.grants(&config.issuer, &holder).await?;
        others.retain(|grant| grant.key() != key && grant.is_alive(now));
        let beyond = (others.len() + 1).saturating_sub(config.grant_limit);
        others.sort_by_key(|grant| (grant.created_at(), grant.key()));
        for oldest in &others[..beyond.min(others.len())] {
            self.revoke(oldest.key(), self.revoke_step(RevocationReason::Limit)).await?;
        }
        self.tell(&Event::of(EventKind::Approved, &grant));
        Ok(())
    }
}
