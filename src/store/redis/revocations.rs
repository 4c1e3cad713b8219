//! How the nodes hear of each other's revocations: scripts count and publish them (`lua/record.lua`).

use redis::aio::{ConnectionManager, MultiplexedConnection};
use redis::{AsyncConnectionConfig, Client, ConnectionInfo, Msg, ProtocolVersion, PushInfo, PushKind};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::DatabaseError;
use super::calls::all;
use super::open::{ANSWER, CONNECT};
use crate::store::database::Feed;

/// Where a node listens, and asks for the numbers.
pub(super) enum Revocations {
    /// One connection for both.
    Own(MultiplexedConnection, UnboundedReceiver<PushInfo>, Vec<String>),
    /// The app's connection, on which nobody can listen.
    Asking(ConnectionManager, Vec<String>),
}

impl Revocations {
    pub(super) async fn listen(info: &ConnectionInfo, channel: &str, ask: Vec<String>) -> Result<Self, DatabaseError> {
        // With the older protocol a connection that listens can do nothing else.
        let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let client = Client::open(info.clone().set_redis_settings(settings))?;
        let (tell, told) = unbounded_channel();
        let config = AsyncConnectionConfig::new()
            .set_push_sender(tell)
            .set_response_timeout(Some(ANSWER))
            .set_connection_timeout(Some(CONNECT));
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        // A user who may not listen may ask.
        if let Err(error) = connection.subscribe(channel).await
            && error.is_io_error()
        {
            return Err(error.into());
        }
        Ok(Self::Own(connection, told, ask))
    }
}

impl Feed for Revocations {
    async fn told(&mut self) -> Result<String, DatabaseError> {
        let Self::Own(_, told, _) = self else { return std::future::pending().await };
        let lost = || DatabaseError::refused("the connection was lost");
        loop {
            let push = told.recv().await.ok_or_else(lost)?;
            if push.kind == PushKind::Disconnection {
                return Err(lost());
            }
            if let Some(message) = Msg::from_push_info(push) {
                return Ok(message.get_payload()?);
            }
        }
    }

    async fn numbers(&mut self) -> Result<Vec<u64>, DatabaseError> {
        let get = |name: &String| {
            let mut get = redis::cmd("GET");
            get.arg(name);
            get
        };
        let numbers: Vec<Option<u64>> = match self {
            Self::Own(connection, _, ask) => all(ask.iter().map(get)).query_async(connection).await?,
            Self::Asking(connection, ask) => all(ask.iter().map(get)).query_async(connection).await?,
        };
        Ok(numbers.into_iter().map(Option::unwrap_or_default).collect())
    }
}
