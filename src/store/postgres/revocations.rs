//! How the nodes hear of each other's revocations.
//!
//! Every statement that revokes something counts up one number and notifies the nodes, with that number and the keys of
//! the grants; both happen with its commit, in one order. That lets revocations take turns, which a `NOTIFY` does to all
//! commits that have one.

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use sqlx::{Row as _, SqlStr};

use super::DatabaseError;
use super::connections::Connections;
use crate::store::database::Feed;

/// One connection, on which is listened and asked.
pub(super) struct Revocations {
    listener: PgListener,
    ask: SqlStr,
}

impl Revocations {
    pub(super) async fn listen(options: PgConnectOptions, channel: &str, ask: SqlStr) -> Result<Self, DatabaseError> {
        let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(options);
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.eager_reconnect(false);
        listener.listen(channel).await?;
        Ok(Self { listener, ask })
    }
}

impl Feed for Revocations {
    async fn told(&mut self) -> Result<String, DatabaseError> {
        let told = self.listener.try_recv().await?;
        told.map(|told| told.payload().to_owned()).ok_or_else(|| DatabaseError::refused("the connection was lost"))
    }

    async fn numbers(&mut self) -> Result<Vec<u64>, DatabaseError> {
        // Some poolers know no prepared statements. They let nobody listen either, but may be asked all the same.
        let number: i64 = sqlx::raw_sql(self.ask.clone()).fetch_one(&mut self.listener).await?.try_get(0)?;
        Ok(vec![number.unsigned_abs()])
    }
}

impl Connections {
    /// How a connection more is made.
    pub(super) fn options(&self) -> PgConnectOptions {
        match self {
            Self::Own(own) => own.options().clone(),
            Self::Pool(pool) => PgConnectOptions::clone(&pool.connect_options()),
        }
    }
}
