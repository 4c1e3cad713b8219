use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Provider;
use crate::client::Client;
use crate::error::StoreError;
use crate::grant::{Grant, RevocationReason};
use crate::handle::GrantId;
use crate::types::{ACCESS_TOKEN_LIFE, ClientId, Resource, Scope, UnixTime};

/// How long one grant serves a client that acts for itself.
const HOUR: Duration = Duration::from_secs(60 * 60);

/// The grants of clients that act for themselves: one for each client, list of scopes and list of resources, made anew
/// every hour by each process. Their ids are only here, so nothing that a store holds opens them.
#[derive(Default)]
pub(super) struct MachineGrants(Mutex<HashMap<Place, Machine>>);

type Place = (ClientId, Scope, Arc<[Resource]>);

#[derive(Clone)]
struct Machine {
    id: GrantId,
    grant: Arc<Grant>,
    made_at: UnixTime,
}

impl Provider {
    /// The grant under which a client acts for itself, over all that it may have; `None` if it was deleted meanwhile.
    pub(crate) async fn machine_grant(
        &self,
        client: &Client,
        resources: Arc<[Resource]>,
    ) -> Result<Option<(GrantId, Arc<Grant>)>, StoreError> {
        let config = &self.0.config;
        let place = (client.id().clone(), config.all_of(client), resources);
        let now = self.now();
        let known = self.0.machine.0.lock().unwrap_or_else(PoisonError::into_inner).get(&place).cloned();
        if let Some(machine) = known.filter(|machine| now.since(machine.made_at) < HOUR.as_secs()) {
            // Asked again, so that revoking a client's grants ends this one too.
            if let Some(grant) = self.grant(machine.grant.key()).await?.filter(|grant| grant.is_alive(now)) {
                return Ok(Some((machine.id, grant)));
            }
        }
        let id = GrantId::generate();
        // No access token outlives its grant, so the grant has room for the longest one that can be issued under it.
        let hooked = self.0.hooks.on_issue.is_some();
        let longest = if hooked { *ACCESS_TOKEN_LIFE.end() } else { self.access_token_lifetime(client, &*place.2) };
        let lifetime = HOUR + longest;
        let (client, scope, resources) = place.clone();
        let grant = self.direct_grant(id, client, None, scope, resources, lifetime);
        self.create(grant.clone()).await?;
        // Whoever deletes a client ends its grants behind that: what is made later than these ends here.
        if self.client(grant.client_id()).await?.is_none() {
            self.revoke(grant.key(), self.revoke_step(RevocationReason::Client)).await?;
            return Ok(None);
        }
        let machine = Machine { id, grant: Arc::new(grant), made_at: now };
        let mut machines = self.0.machine.0.lock().unwrap_or_else(PoisonError::into_inner);
        machines.retain(|_, machine| now.since(machine.made_at) < HOUR.as_secs());
        machines.insert(place, machine.clone());
        Ok(Some((machine.id, machine.grant)))
    }
}
