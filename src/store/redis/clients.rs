//! Clients as the fields of one hash for each issuer.

use redis::{Cmd, RedisError, Value};

use super::calls::all;
use super::names::of_client;
use super::scripts::{FORGET_CLIENT, REGISTER, REPLACE_CLIENT};
use super::{DatabaseError, RedisStore};
use crate::client::Client;
use crate::error::InvalidRecord;
use crate::grant::RevocationReason;
use crate::store::database::changed;
use crate::store::{ClientRegistry, ClientStore, GrantStore, Holder, ListedClient, RegistrationTerms};
use crate::types::{ClientId, Issuer, UnixTime};

/// How many registrations the sweep looks at at once.
const BATCH: usize = 256;

/// What is kept of a client. A deleted one is an empty text, so that its id is not given out again.
struct Kept {
    client: Client,
    disabled: bool,
}

impl Kept {
    fn enabled(client: Client) -> Self {
        Self { client, disabled: false }
    }

    fn to_text(&self) -> String {
        format!("{}{}", if self.disabled { '-' } else { '+' }, self.client.to_record())
    }

    /// `None` where it was deleted.
    fn read(text: &str) -> Result<Option<Self>, InvalidRecord> {
        if text.is_empty() {
            return Ok(None);
        }
        let disabled = text.starts_with('-');
        let record = text.strip_prefix(['+', '-']).ok_or(InvalidRecord::new("client"))?;
        Ok(Some(Self { client: Client::from_record(record)?, disabled }))
    }
}

impl ClientStore for RedisStore {
    type Error = DatabaseError;

    async fn client(&self, issuer: &Issuer, id: &ClientId) -> Result<Option<Client>, DatabaseError> {
        let kept = self.text_of(issuer, id).await?.map(|text| Kept::read(&text)).transpose()?.flatten();
        Ok(kept.filter(|kept| !kept.disabled).map(|kept| kept.client))
    }

    async fn is_taken(&self, issuer: &Issuer, id: &ClientId) -> Result<bool, DatabaseError> {
        Ok(self.text_of(issuer, id).await?.is_some())
    }

    async fn register(&self, issuer: &Issuer, client: Client, terms: RegistrationTerms) -> Result<bool, DatabaseError> {
        let names = &self.0.names;
        let id = client.id().clone();
        let text = Kept::enabled(client).to_text();
        let register = |form| {
            let mut call = REGISTER.on(form, &[&names.clients(issuer), &names.registered(issuer)]);
            call.arg(id.as_str()).arg(&text).arg(terms.keep_until.as_signed()).arg(terms.limit);
            all([call])
        };
        self.0.calls.send(register).await?.done()
    }

    fn manages_registrations(&self) -> bool {
        true
    }

    async fn update_registered(
        &self,
        issuer: &Issuer,
        id: &ClientId,
        change: impl Fn(Client) -> Client + Send + Sync,
    ) -> Result<Option<Client>, DatabaseError> {
        self.update_client(issuer, id, change).await
    }

    async fn unregister(&self, issuer: &Issuer, id: &ClientId) -> Result<(), DatabaseError> {
        let names = &self.0.names;
        let forget = |form| {
            let mut call = FORGET_CLIENT.on(form, &[&names.clients(issuer), &names.registered(issuer)]);
            call.arg(id.as_str()).arg(UnixTime::FAR_FUTURE.as_signed());
            all([call])
        };
        self.0.calls.send_durably(forget).await?.acknowledged
    }
}

impl ClientRegistry for RedisStore {
    async fn create_client(&self, issuer: &Issuer, client: Client) -> Result<bool, DatabaseError> {
        client.check()?;
        let id = client.id().clone();
        let text = Kept::enabled(client).to_text();
        let mut create = redis::cmd("HSETNX");
        create.arg(self.0.names.clients(issuer)).arg(id.as_str()).arg(&text);
        let answer = self.0.calls.send(|_| all([create.clone()])).await?;
        let repeated = answer.repeated;
        // By this call itself, whose first answer was lost.
        let is_ours = async || Ok::<_, DatabaseError>(repeated && self.text_of(issuer, &id).await? == Some(text));
        Ok(answer.done()? || is_ours().await?)
    }

    async fn update_client(
        &self,
        issuer: &Issuer,
        id: &ClientId,
        change: impl Fn(Client) -> Client + Send + Sync,
    ) -> Result<Option<Client>, DatabaseError> {
        let change = |kept: Kept| Ok(Some(Kept { client: changed(kept.client, id, &change)?, ..kept }));
        Ok(self.replace(issuer, id, change).await?.flatten().map(|kept| kept.client))
    }

    async fn disable_client(&self, issuer: &Issuer, id: &ClientId, now: UnixTime) -> Result<usize, DatabaseError> {
        self.replace(issuer, id, |kept| Ok(Some(Kept { disabled: true, ..kept }))).await?;
        self.end_grants_of(issuer, id, now).await
    }

    async fn enable_client(&self, issuer: &Issuer, id: &ClientId) -> Result<bool, DatabaseError> {
        let enable = |kept: Kept| Ok(Some(Kept::enabled(kept.client)));
        Ok(self.replace(issuer, id, enable).await?.is_some())
    }

    async fn delete_client(&self, issuer: &Issuer, id: &ClientId, now: UnixTime) -> Result<usize, DatabaseError> {
        self.replace(issuer, id, |_| Ok(None)).await?;
        self.end_grants_of(issuer, id, now).await
    }

    async fn clients(&self, issuer: &Issuer) -> Result<Vec<ListedClient>, DatabaseError> {
        let names = &self.0.names;
        let (mut clients, mut registered) = (redis::cmd("HVALS"), redis::cmd("ZRANGE"));
        clients.arg(names.clients(issuer));
        registered.arg(names.registered(issuer)).arg(0).arg(-1);
        let answer = self.0.calls.send(|_| all([clients.clone(), registered.clone()])).await?;
        let (texts, registered): (Vec<String>, std::collections::HashSet<String>) =
            redis::from_redis_value(Value::Array(answer.values)).map_err(RedisError::from)?;
        let mut listed = Vec::new();
        for text in texts {
            let Some(Kept { client, disabled }) = Kept::read(&text)? else { continue };
            let registered_itself = registered.contains(client.id().as_str());
            listed.push(ListedClient { client, disabled, registered_itself });
        }
        listed.sort_by(|a, b| a.client.id().cmp(b.client.id()));
        Ok(listed)
    }
}

impl RedisStore {
    async fn text_of(&self, issuer: &Issuer, id: &ClientId) -> Result<Option<String>, DatabaseError> {
        let mut find = redis::cmd("HGET");
        find.arg(self.0.names.clients(issuer)).arg(id.as_str());
        let found = self.0.calls.send(|_| all([find.clone()])).await?.last();
        Ok(redis::from_redis_value(found).map_err(RedisError::from)?)
    }

    /// Puts what `change` makes of a client in its place, where that is still what it was made of; answers it, and `None`
    /// where there is no client.
    async fn replace(
        &self,
        issuer: &Issuer,
        id: &ClientId,
        change: impl Fn(Kept) -> Result<Option<Kept>, DatabaseError>,
    ) -> Result<Option<Option<Kept>>, DatabaseError> {
        let names = &self.0.names;
        loop {
            let Some(text) = self.text_of(issuer, id).await? else { return Ok(None) };
            let Some(kept) = Kept::read(&text)? else { return self.0.calls.settle().await.map(|()| None) };
            let changed = change(kept)?;
            let becomes = changed.as_ref().map(Kept::to_text).unwrap_or_default();
            let replace = |form| {
                let mut call = REPLACE_CLIENT.on(form, &[&names.clients(issuer), &names.registered(issuer)]);
                call.arg(id.as_str()).arg(&text).arg(&becomes);
                all([call])
            };
            let answer = self.0.calls.send_durably(replace).await?;
            answer.acknowledged.clone()?;
            match redis::from_redis_value(answer.last()).map_err(RedisError::from)? {
                1 => return Ok(Some(changed)),
                // Whoever asks again after an error is told that it is so only if that is safe now.
                2 => return self.0.calls.settle().await.map(|()| Some(changed)),
                _ => {}
            }
        }
    }

    /// After the client, so that nothing is granted to it once its grants end.
    async fn end_grants_of(&self, issuer: &Issuer, id: &ClientId, now: UnixTime) -> Result<usize, DatabaseError> {
        self.revoke_all(issuer, &Holder::Client(id.clone()), RevocationReason::Provider, now).await
    }

    /// Forgets the registrations whose time has passed and that hold no grant.
    pub(super) async fn sweep_clients(&self, issuer: &Issuer, now: UnixTime) -> Result<(), DatabaseError> {
        let names = &self.0.names;
        let mut find = redis::cmd("ZRANGEBYSCORE");
        find.arg(names.registered(issuer)).arg("-inf").arg(now.as_signed());
        let passed = self.0.calls.send(|_| all([find.clone()])).await?.last();
        let passed: Vec<String> = redis::from_redis_value(passed).map_err(RedisError::from)?;
        let count = |id: &String| {
            let mut count = redis::cmd("HLEN");
            count.arg(names.client(&of_client(issuer, &id.as_str().into())));
            count
        };
        for some in passed.chunks(BATCH) {
            let counts = self.0.calls.send(|_| all(some.iter().map(count))).await?.values;
            let counts: Vec<u64> = redis::from_redis_value(Value::Array(counts)).map_err(RedisError::from)?;
            let unused: Vec<_> = some.iter().zip(counts).filter(|(_, count)| *count == 0).collect();
            let forget = |(id, _): &(&String, u64), form| -> Cmd {
                let mut call = FORGET_CLIENT.on(form, &[&names.clients(issuer), &names.registered(issuer)]);
                call.arg(id.as_str()).arg(now.as_signed());
                call
            };
            if !unused.is_empty() {
                self.0.calls.send(|form| all(unused.iter().map(|id| forget(id, form)))).await?;
            }
        }
        Ok(())
    }
}
