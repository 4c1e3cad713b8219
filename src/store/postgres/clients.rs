//! Clients as rows.

use sqlx::postgres::PgRow;
use sqlx::{Connection, Row as _, SqlStr};

use super::connections::{Statement, in_time};
use super::rows::query;
use super::{DatabaseError, PostgresStore};
use crate::client::Client;
use crate::grant::RevocationReason;
use crate::store::database::changed;
use crate::store::{ClientRegistry, ClientStore, GrantStore, Holder, ListedClient, RegistrationTerms};
use crate::types::{ClientId, Issuer, UnixTime};

impl ClientStore for PostgresStore {
    type Error = DatabaseError;

    async fn client(&self, issuer: &Issuer, id: &ClientId) -> Result<Option<Client>, DatabaseError> {
        let record = self.record(&self.0.statements.client, issuer, id).await?;
        Ok(record.as_deref().map(Client::from_record).transpose()?)
    }

    async fn is_taken(&self, issuer: &Issuer, id: &ClientId) -> Result<bool, DatabaseError> {
        Ok(!self.0.connections.run(|| of(&self.0.statements.any_client, issuer, id)).await?.is_empty())
    }

    async fn register(&self, issuer: &Issuer, client: Client, terms: RegistrationTerms) -> Result<bool, DatabaseError> {
        let record = client.to_record();
        let limit = i64::try_from(terms.limit).unwrap_or(i64::MAX);
        let register = of(&self.0.statements.register_client, issuer, client.id())
            .bind(&record)
            .bind(terms.keep_until.as_signed())
            .bind(limit);
        in_time(self.register_alone(issuer, register)).await
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
        self.0.connections.run(|| of(&self.0.statements.unregister_client, issuer, id)).await.map(drop)
    }
}

impl ClientRegistry for PostgresStore {
    async fn create_client(&self, issuer: &Issuer, client: Client) -> Result<bool, DatabaseError> {
        client.check()?;
        let record = client.to_record();
        let create = || of(&self.0.statements.create_client, issuer, client.id()).bind(&record);
        Ok(self.0.connections.run_once(create).await?.len() == 1)
    }

    async fn update_client(
        &self,
        issuer: &Issuer,
        id: &ClientId,
        change: impl Fn(Client) -> Client + Send + Sync,
    ) -> Result<Option<Client>, DatabaseError> {
        let statements = &self.0.statements;
        loop {
            let Some(record) = self.record(&statements.any_client, issuer, id).await? else { return Ok(None) };
            let client = changed(Client::from_record(&record)?, id, &change)?;
            let becomes = client.to_record();
            let replace = || of(&statements.replace_client, issuer, id).bind(&becomes).bind(&record);
            if self.0.connections.run_once(replace).await?.len() == 1 {
                return Ok(Some(client));
            }
        }
    }

    async fn disable_client(&self, issuer: &Issuer, id: &ClientId, now: UnixTime) -> Result<usize, DatabaseError> {
        self.end_client(&self.0.statements.disable_client, issuer, id, now).await
    }

    async fn enable_client(&self, issuer: &Issuer, id: &ClientId) -> Result<bool, DatabaseError> {
        let enable = || of(&self.0.statements.enable_client, issuer, id);
        Ok(self.0.connections.run(enable).await?.len() == 1)
    }

    async fn delete_client(&self, issuer: &Issuer, id: &ClientId, now: UnixTime) -> Result<usize, DatabaseError> {
        self.end_client(&self.0.statements.delete_client, issuer, id, now).await
    }

    async fn clients(&self, issuer: &Issuer) -> Result<Vec<ListedClient>, DatabaseError> {
        let rows = self.0.connections.run(|| query(&self.0.statements.clients).bind(issuer.as_str())).await?;
        let listed = |row: &PgRow| {
            let client = Client::from_record(row.try_get(0)?)?;
            Ok(ListedClient { client, disabled: row.try_get(1)?, registered_itself: row.try_get(2)? })
        };
        rows.iter().map(listed).collect()
    }
}

impl PostgresStore {
    /// What is kept of a client; `None` also where it was deleted.
    async fn record(&self, text: &SqlStr, issuer: &Issuer, id: &ClientId) -> Result<Option<String>, DatabaseError> {
        let rows = self.0.connections.run(|| of(text, issuer, id)).await?;
        Ok(rows.first().map(|row| row.try_get(0)).transpose()?.flatten())
    }

    /// One registration after the other, so that each counts those before it.
    async fn register_alone(&self, issuer: &Issuer, register: Statement<'_>) -> Result<bool, DatabaseError> {
        self.0.connections.test().await?;
        let mut lease = self.0.connections.lease().await?;
        let mut transaction = lease.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await?;
        sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))")
            .bind(format!("tower-oauth registers in {} for {issuer}", self.0.schema))
            .execute(&mut *transaction)
            .await?;
        let registered = register.fetch_all(&mut *transaction).await?.len() == 1;
        transaction.commit().await?;
        lease.give_back();
        Ok(registered)
    }

    /// The client first, so that nothing is granted to it once its grants end.
    async fn end_client(
        &self,
        text: &SqlStr,
        issuer: &Issuer,
        id: &ClientId,
        now: UnixTime,
    ) -> Result<usize, DatabaseError> {
        self.0.connections.run(|| of(text, issuer, id)).await?;
        self.revoke_all(issuer, &Holder::Client(id.clone()), RevocationReason::Provider, now).await
    }
}

/// A statement on one client.
fn of<'q>(text: &SqlStr, issuer: &'q Issuer, id: &'q ClientId) -> Statement<'q> {
    query(text).bind(issuer.as_str()).bind(id.as_str())
}
