//! Clients as rows.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::writer::Statement;
use super::{DatabaseError, SqliteStore};
use crate::client::Client;
use crate::grant::RevocationReason;
use crate::store::database::changed;
use crate::store::{ClientRegistry, ClientStore, GrantStore, Holder, ListedClient, RegistrationTerms};
use crate::types::{ClientId, Issuer, UnixTime};

impl ClientStore for SqliteStore {
    type Error = DatabaseError;

    async fn client(&self, issuer: &Issuer, id: &ClientId) -> Result<Option<Client>, DatabaseError> {
        let statement = "SELECT record FROM oauth_client WHERE issuer = ?1 AND client_id = ?2 AND disabled = 0";
        let record = self.record(statement, issuer, id).await?;
        Ok(record.as_deref().map(Client::from_record).transpose()?)
    }

    async fn is_taken(&self, issuer: &Issuer, id: &ClientId) -> Result<bool, DatabaseError> {
        let statement = "SELECT EXISTS (SELECT 1 FROM oauth_client WHERE issuer = ?1 AND client_id = ?2)";
        Ok(of(statement, issuer, id).try_map(|row| row.try_get(0)).fetch_one(&self.0.readers).await?)
    }

    async fn register(&self, issuer: &Issuer, client: Client, terms: RegistrationTerms) -> Result<bool, DatabaseError> {
        let statement = sqlx::query(
            "INSERT INTO oauth_client (issuer, client_id, record, keep_until) SELECT ?1, ?2, ?3, ?4 WHERE (SELECT \
             count(*) FROM oauth_client WHERE issuer = ?1 AND keep_until IS NOT NULL) < ?5 ON CONFLICT DO NOTHING",
        )
        .bind(issuer.as_str())
        .bind(client.id().as_str())
        .bind(client.to_record())
        .bind(terms.keep_until.as_signed())
        .bind(i64::try_from(terms.limit).unwrap_or(i64::MAX));
        Ok(self.0.writer.execute(statement).await? == 1)
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
        let statement = "DELETE FROM oauth_client WHERE issuer = ?1 AND client_id = ?2 AND keep_until IS NOT NULL";
        self.0.writer.execute(of(statement, issuer, id)).await.map(drop)
    }
}

impl ClientRegistry for SqliteStore {
    async fn create_client(&self, issuer: &Issuer, client: Client) -> Result<bool, DatabaseError> {
        client.check()?;
        let statement = of(
            "INSERT INTO oauth_client (issuer, client_id, record) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            issuer,
            client.id(),
        );
        Ok(self.0.writer.execute(statement.bind(client.to_record())).await? == 1)
    }

    async fn update_client(
        &self,
        issuer: &Issuer,
        id: &ClientId,
        change: impl Fn(Client) -> Client + Send + Sync,
    ) -> Result<Option<Client>, DatabaseError> {
        loop {
            let statement = "SELECT record FROM oauth_client WHERE issuer = ?1 AND client_id = ?2";
            let Some(record) = self.record(statement, issuer, id).await? else { return Ok(None) };
            let client = changed(Client::from_record(&record)?, id, &change)?;
            let replace = "UPDATE oauth_client SET record = ?3 WHERE issuer = ?1 AND client_id = ?2 AND record = ?4";
            let replace = of(replace, issuer, id).bind(client.to_record()).bind(record);
            if self.0.writer.execute(replace).await? == 1 {
                return Ok(Some(client));
            }
        }
    }

    async fn disable_client(&self, issuer: &Issuer, id: &ClientId, now: UnixTime) -> Result<usize, DatabaseError> {
        let statement = "UPDATE oauth_client SET disabled = 1 WHERE issuer = ?1 AND client_id = ?2";
        self.end_client(statement, issuer, id, now).await
    }

    async fn enable_client(&self, issuer: &Issuer, id: &ClientId) -> Result<bool, DatabaseError> {
        let statement =
            "UPDATE oauth_client SET disabled = 0 WHERE issuer = ?1 AND client_id = ?2 AND record IS NOT NULL";
        Ok(self.0.writer.execute(of(statement, issuer, id)).await? == 1)
    }

    async fn delete_client(&self, issuer: &Issuer, id: &ClientId, now: UnixTime) -> Result<usize, DatabaseError> {
        let statement = "UPDATE oauth_client SET record = NULL, keep_until = NULL WHERE issuer = ?1 AND client_id = ?2";
        self.end_client(statement, issuer, id, now).await
    }

    async fn clients(&self, issuer: &Issuer) -> Result<Vec<ListedClient>, DatabaseError> {
        let rows = sqlx::query(
            "SELECT record, disabled, keep_until IS NOT NULL FROM oauth_client WHERE issuer = ?1 AND record IS NOT NULL \
             ORDER BY client_id",
        )
        .bind(issuer.as_str())
        .fetch_all(&self.0.readers)
        .await?;
        let listed = |row: &SqliteRow| {
            let client = Client::from_record(row.try_get(0)?)?;
            Ok(ListedClient { client, disabled: row.try_get(1)?, registered_itself: row.try_get(2)? })
        };
        rows.iter().map(listed).collect()
    }
}

impl SqliteStore {
    /// What is kept of a client; `None` also where it was deleted.
    async fn record(
        &self,
        statement: &'static str,
        issuer: &Issuer,
        id: &ClientId,
    ) -> Result<Option<String>, DatabaseError> {
        let record: Option<Option<String>> =
            of(statement, issuer, id).try_map(|row| row.try_get(0)).fetch_optional(&self.0.readers).await?;
        Ok(record.flatten())
    }

    /// The client first, so that nothing is granted to it once its grants end.
    async fn end_client(
        &self,
        statement: &'static str,
        issuer: &Issuer,
        id: &ClientId,
        now: UnixTime,
    ) -> Result<usize, DatabaseError> {
        self.0.writer.execute(of(statement, issuer, id)).await?;
        self.revoke_all(issuer, &Holder::Client(id.clone()), RevocationReason::Provider, now).await
    }
}

/// A statement on one client.
fn of(statement: &'static str, issuer: &Issuer, id: &ClientId) -> Statement {
    sqlx::query(statement).bind(issuer.as_str()).bind(id.as_str())
}
