//! How a store is opened.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::{TcpSettings, socket2};
use redis::{Client, ConnectionInfo, IntoConnectionInfo, RedisError, Value};

use super::calls::{Calls, all};
use super::keys::{self, ToNote};
use super::names::Names;
use super::scripts::ALL;
use super::{DatabaseError, Inner, RedisStore};
use crate::clock::{Clock, SystemClock};

/// How long an answer may take, the replicas' acknowledgement included.
const ANSWER: Duration = Duration::from_secs(3);
/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(2);
/// How many calls wait for being written to the connection before others have to wait for them.
const QUEUED: usize = 1024;

/// How a [`RedisStore`] keeps its records: see [`RedisStore::options`].
#[derive(Clone, Debug)]
#[must_use]
pub struct RedisOptions {
    prefix: String,
    replicas: usize,
}

impl RedisOptions {
    pub(super) fn new() -> Self {
        Self { prefix: "oauth:".to_owned(), replicas: 0 }
    }

    /// What the name of every key begins with. By default `oauth:`.
    ///
    /// It has no `{` or `}`: with them every key would be in one slot of a cluster.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How many replicas have to have a redemption or a revocation before it is answered (`WAIT`). By default none is
    /// waited for.
    ///
    /// Where fewer acknowledge it within a second, the answer is an error. Nothing is taken back then: the step is done,
    /// and can be done again.
    pub const fn replicas(mut self, count: usize) -> Self {
        self.replicas = count;
        self
    }

    /// Connects to `redis://[[user]:password@]host[:port][/database]`. A connection that is lost is made again.
    ///
    /// `rediss://` needs one of the features of the crate `redis` for TLS on tokio, such as `tokio-rustls-comp`: add it to
    /// your own dependencies.
    ///
    /// # Errors
    /// If Redis cannot be reached, or is not safe for grants: see [`RedisStore::connect`].
    pub async fn connect(self, url: impl AsRef<str>) -> Result<RedisStore, DatabaseError> {
        let client = Client::open(settings(url.as_ref().into_connection_info()?))?;
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(ANSWER))
            .set_connection_timeout(Some(CONNECT))
            .set_number_of_retries(1)
            .set_max_delay(Duration::from_millis(100))
            .set_pipeline_buffer_size(QUEUED);
        let connection = ConnectionManager::new_with_config(client.clone(), config.clone()).await?;
        let waiting = match self.replicas {
            0 => connection.clone(),
            _ => ConnectionManager::new_with_config(client, config).await?,
        };
        self.start(connection, waiting).await
    }

    /// Uses a connection of the app's own. Its timeouts are the app's: after half a second without an answer there is an
    /// error, unless it was made with another `response_timeout`.
    ///
    /// Whoever waits for [`replicas`](Self::replicas) holds up all others on the same connection, so that a connection
    /// for this store alone is better then.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn with_manager(self, connection: ConnectionManager) -> Result<RedisStore, DatabaseError> {
        self.start(connection.clone(), connection).await
    }

    async fn start(
        self,
        connection: ConnectionManager,
        waiting: ConnectionManager,
    ) -> Result<RedisStore, DatabaseError> {
        let Some(names) = Names::new(self.prefix) else {
            return Err(DatabaseError::refused("the prefix of the keys has a `{` or `}`: write one without"));
        };
        let calls = Calls { connection, waiting, replicas: self.replicas, wait: names.wait() };
        let mut ask = vec![redis::cmd("INFO"), redis::cmd("TIME"), redis::cmd("HGETALL")];
        ask[0].arg("memory");
        ask[2].arg(names.keys());
        ask.extend(ALL.iter().map(|script| script.load()));
        let before = SystemClock.now();
        let answer = calls.send(|_| all(ask.iter().cloned())).await?;
        let after = SystemClock.now();
        let [info, time, known, ..] = &*answer.values else { return Err(DatabaseError::refused(NO_ANSWER)) };
        check_eviction(&redis::from_redis_value_ref::<String>(info).map_err(RedisError::from)?)?;
        let skew = skew(time, before, after)?;
        let keys = keys::read(known.clone())?;
        Ok(RedisStore(Arc::new(Inner { calls, names, keys, to_note: ToNote::default(), skew })))
    }
}

const NO_ANSWER: &str = "Redis answers less than it was asked";

fn settings(info: ConnectionInfo) -> ConnectionInfo {
    let keepalive = socket2::TcpKeepalive::new().with_time(Duration::from_secs(10)).with_interval(CONNECT);
    let tcp = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    // A machine that is gone says nothing, and the connection to it would be kept for a quarter of an hour.
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    let tcp = tcp.set_user_timeout(ANSWER);
    info.set_tcp_settings(tcp)
}

/// Redis forgets nothing of its own accord that was not told to expire.
fn check_eviction(info: &str) -> Result<(), DatabaseError> {
    let policy = info.lines().find_map(|line| line.strip_prefix("maxmemory_policy:"));
    match policy.map(str::trim) {
        Some("noeviction") => Ok(()),
        policy => Err(DatabaseError::refused(format!(
            "with the `maxmemory-policy` {} Redis may drop grants when its memory is full: set it to `noeviction`",
            policy.unwrap_or("that it does not tell")
        ))),
    }
}

/// How far Redis' clock is from the time that passed here meanwhile.
fn skew(time: &Value, before: SystemTime, after: SystemTime) -> Result<Duration, DatabaseError> {
    let (seconds, micros): (u64, u64) = redis::from_redis_value_ref(time).map_err(RedisError::from)?;
    let theirs = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_micros(micros);
    let behind = before.duration_since(theirs).unwrap_or_default();
    Ok(behind.max(theirs.duration_since(after).unwrap_or_default()))
}
