//! Clients as rows, and what an operator does with them.

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::writer::Statement;
use super::{SqliteError, SqliteStore};
use crate::client::Client;
use crate::grant::RevocationReason;
use crate::store::{ClientStore, GrantStore, Holder, ListedClient, RegistrationTerms};
use crate::types::{ClientId, Issuer, UnixTime};

impl ClientStore for SqliteStore {
    type Error = SqliteError;

    async fn client(&self, issuer: &Issuer, id: &ClientId) -> Result<Option<Client>, SqliteError> {
        let statement = "SELECT record FROM oauth_client WHERE issuer = ?1 AND client_id = ?2 AND disabled = 0";
        let record = self.record(statement, issuer, id).await?;
        Ok(record.as_deref().map(Client::from_record).transpose()?)
    }

    async fn register(&self, issuer: &Issuer, client: Client, terms: RegistrationTerms) -> Result<bool, SqliteError> {
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
}

/// The clients of an issuer, for whoever operates it.
impl SqliteStore {
    /// Registers a client; `Ok(false)` if its id is taken, or was and is not given out again.
    ///
    /// # Errors
    /// If the client could not work, or could not work safely, or if the database cannot answer; then it is not
    /// registered.
    pub async fn create_client(&self, issuer: impl Into<Issuer>, client: Client) -> Result<bool, SqliteError> {
        client.check()?;
        let statement = of(
            "INSERT INTO oauth_client (issuer, client_id, record) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            &issuer.into(),
            client.id(),
        );
        Ok(self.0.writer.execute(statement.bind(client.to_record())).await? == 1)
    }

    /// Replaces a client by what `change` makes of it, such as one with another secret; answers what it is now, and
    /// `Ok(None)` if there is none. Where somebody else changes it meanwhile, `change` is asked again.
    ///
    /// ```no_run
    /// # use std::time::{Duration, SystemTime};
    /// # use tower_oauth::{ClientId, ClientSecret, SqliteError, SqliteStore};
    /// # async fn rotate(store: &SqliteStore, in_a_week: SystemTime) -> Result<(), SqliteError> {
    /// let secret = ClientSecret::generate();
    /// let rotate = |client: tower_oauth::Client| client.retire_secrets(in_a_week).and_secret(&secret);
    /// store.update_client("https://shift.example", &ClientId::from("app"), rotate).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the client could not work, or could not work safely, if it has another id, or if the database cannot answer;
    /// then it stays as it was.
    pub async fn update_client(
        &self,
        issuer: impl Into<Issuer>,
        id: &ClientId,
        change: impl Fn(Client) -> Client,
    ) -> Result<Option<Client>, SqliteError> {
        let issuer = issuer.into();
        loop {
            let statement = "SELECT record FROM oauth_client WHERE issuer = ?1 AND client_id = ?2";
            let Some(record) = self.record(statement, &issuer, id).await? else { return Ok(None) };
            let client = change(Client::from_record(&record)?);
            client.check()?;
            if client.id() != id {
                let why = format!("a client keeps its id: {id} was to become {}", client.id());
                return Err(SqliteError::refused(why));
            }
            let replace = "UPDATE oauth_client SET record = ?3 WHERE issuer = ?1 AND client_id = ?2 AND record = ?4";
            let replace = of(replace, &issuer, id).bind(client.to_record()).bind(record);
            if self.0.writer.execute(replace).await? == 1 {
                return Ok(Some(client));
            }
        }
    }

    /// Makes a client unknown to providers and ends its grants; answers how many were alive.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn disable_client(
        &self,
        issuer: impl Into<Issuer>,
        id: &ClientId,
        now: UnixTime,
    ) -> Result<usize, SqliteError> {
        self.end_client("UPDATE oauth_client SET disabled = 1 WHERE issuer = ?1 AND client_id = ?2", issuer, id, now)
            .await
    }

    /// Makes a client known again that was disabled; its grants stay ended. `Ok(false)` if there is none.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn enable_client(&self, issuer: impl Into<Issuer>, id: &ClientId) -> Result<bool, SqliteError> {
        let statement =
            "UPDATE oauth_client SET disabled = 0 WHERE issuer = ?1 AND client_id = ?2 AND record IS NOT NULL";
        Ok(self.0.writer.execute(of(statement, &issuer.into(), id)).await? == 1)
    }

    /// Deletes a client and ends its grants; answers how many were alive. Its id is not given out again.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn delete_client(
        &self,
        issuer: impl Into<Issuer>,
        id: &ClientId,
        now: UnixTime,
    ) -> Result<usize, SqliteError> {
        self.end_client(
            "UPDATE oauth_client SET record = NULL, keep_until = NULL WHERE issuer = ?1 AND client_id = ?2",
            issuer,
            id,
            now,
        )
        .await
    }

    /// All clients of an issuer, in the order of their ids.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn clients(&self, issuer: impl Into<Issuer>) -> Result<Vec<ListedClient>, SqliteError> {
        let rows = sqlx::query(
            "SELECT record, disabled, keep_until IS NOT NULL FROM oauth_client WHERE issuer = ?1 AND record IS NOT NULL \
             ORDER BY client_id",
        )
        .bind(issuer.into().as_str())
        .fetch_all(&self.0.readers)
        .await?;
        let listed = |row: &SqliteRow| {
            let client = Client::from_record(row.try_get(0)?)?;
            Ok(ListedClient { client, disabled: row.try_get(1)?, registered_itself: row.try_get(2)? })
        };
        rows.iter().map(listed).collect()
    }

    /// What is kept of a client; `None` also where it was deleted.
    async fn record(
        &self,
        statement: &'static str,
        issuer: &Issuer,
        id: &ClientId,
    ) -> Result<Option<String>, SqliteError> {
        let record: Option<Option<String>> =
            of(statement, issuer, id).try_map(|row| row.try_get(0)).fetch_optional(&self.0.readers).await?;
        Ok(record.flatten())
    }

    /// The client first, so that nothing is granted to it once its grants end.
    async fn end_client(
        &self,
        statement: &'static str,
        issuer: impl Into<Issuer>,
        id: &ClientId,
        now: UnixTime,
    ) -> Result<usize, SqliteError> {
        let issuer = issuer.into();
        self.0.writer.execute(of(statement, &issuer, id)).await?;
        self.revoke_all(&issuer, &Holder::Client(id.clone()), RevocationReason::Provider, now).await
    }
}

/// A statement on one client.
fn of(statement: &'static str, issuer: &Issuer, id: &ClientId) -> Statement {
    sqlx::query(statement).bind(issuer.as_str()).bind(id.as_str())
}
