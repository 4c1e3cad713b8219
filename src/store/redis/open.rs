//! How a store is opened.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::{TcpSettings, socket2};
use redis::{Client, ConnectionInfo, IntoConnectionInfo, RedisError, Value};

use super::calls::{Calls, all, check_role};
use super::keys;
use super::names::Names;
use super::revocations::Revocations;
use super::scripts::ALL;
use super::{DatabaseError, Inner, RedisStore};
use crate::clock::{Clock, SystemClock};
use crate::store::database::{Following, GrantCache, ToNote, skew};

/// How long an answer may take, the replicas' acknowledgement included.
pub(super) const ANSWER: Duration = Duration::from_secs(3);
/// How long a connection may take.
pub(super) const CONNECT: Duration = Duration::from_secs(2);
/// How many calls wait for being written to the connection before others have to wait for them.
const QUEUED: usize = 1024;

/// A [`RedisStore`] to be opened: wait for it with `.await`.
///
/// The future fails if Redis cannot be reached, or is not safe for grants: see [`RedisStore::connect`].
#[must_use = "a store is opened by `.await`"]
pub struct OpenRedis {
    from: From,
    prefix: String,
    replicas: usize,
    cache: Duration,
}

enum From {
    Url(String),
    Manager(ConnectionManager),
}

impl OpenRedis {
    pub(super) fn url(url: &str) -> Self {
        Self::new(From::Url(url.to_owned()))
    }

    pub(super) fn manager(manager: ConnectionManager) -> Self {
        Self::new(From::Manager(manager))
    }

    fn new(from: From) -> Self {
        Self { from, prefix: "oauth:".to_owned(), replicas: 0, cache: GrantCache::LIFETIME }
    }

    /// What the name of every key begins with. By default `oauth:`.
    ///
    /// It has no `{` or `}`: with them every key would be in one slot of a cluster.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How many replicas have to have a redemption, a revocation or the first use of a client's assertion before it is
    /// answered (`WAIT`). By default none is waited for.
    ///
    /// Where fewer acknowledge it within a second, the answer is an error. Nothing is taken back then: the step is done,
    /// and can be done again; but an assertion is used, and its client makes another one.
    pub fn replicas(mut self, count: usize) -> Self {
        self.replicas = count;
        self
    }

    /// For how long the check of an access token may go by what this node read of its grant before. By default 5 seconds;
    /// zero asks Redis at every check, and more than an hour is an hour.
    ///
    /// What a node revokes it refuses from then on. The other nodes are told (`PUBLISH`) and refuse it a moment later;
    /// where that does not get through, they find it within a second by asking. **In the worst case**, with a node that is
    /// cut off from all of this, a revoked token is good there for as long as this says, and not longer. A node that was
    /// cut off for that long asks Redis at every check, until it is not.
    ///
    /// This is about the check of access tokens alone: introspection, refreshes and all else ask Redis. A node needs one
    /// connection more; with [`from_manager`](RedisStore::from_manager) it has none, and asks every second.
    pub fn cache(mut self, lifetime: Duration) -> Self {
        self.cache = lifetime;
        self
    }

    async fn open(self) -> Result<RedisStore, DatabaseError> {
        let (connection, waiting, info) = match self.from {
            From::Url(url) => connect(&url, self.replicas).await?,
            From::Manager(manager) => (manager.clone(), manager, None),
        };
        let Some(names) = Names::new(self.prefix) else {
            return Err(DatabaseError::refused("the prefix of the keys has a `{` or `}`: write one without"));
        };
        let calls = Calls { connection, waiting, replicas: self.replicas, wait: names.wait() };
        let mut ask = ["INFO", "TIME", "HGETALL", "INFO"].map(redis::cmd).to_vec();
        ask[0].arg("memory");
        ask[2].arg(names.keys());
        ask[3].arg("replication");
        ask.extend(ALL.iter().map(|script| script.load()));
        let before = SystemClock.now();
        let answer = calls.send(|_| all(ask.iter().cloned())).await?;
        let after = SystemClock.now();
        let [memory, clock, known, role, ..] = &*answer.values else { return Err(DatabaseError::refused(NO_ANSWER)) };
        check_eviction(&redis::from_redis_value_ref::<String>(memory).map_err(RedisError::from)?)?;
        check_role(role)?;
        let skew = skew(before, time(clock)?, after);
        let keys = keys::read(known.clone())?;
        let names = names.in_database(database(&calls).await);
        let cache = Arc::new(GrantCache::new(self.cache));
        let following = follow(&cache, &calls, &names, info);
        let to_note = ToNote::default();
        Ok(RedisStore(Arc::new(Inner { calls, names, keys, to_note, skew, cache, _following: following })))
    }
}

impl IntoFuture for OpenRedis {
    type Output = Result<RedisStore, DatabaseError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.open())
    }
}

impl fmt::Debug for OpenRedis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may have a password.
        f.debug_struct("OpenRedis").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// A connection for all calls, one for those that wait for replicas, and how to make another.
async fn connect(
    url: &str,
    replicas: usize,
) -> Result<(ConnectionManager, ConnectionManager, Option<ConnectionInfo>), DatabaseError> {
    let info = settings(url.into_connection_info()?);
    let client = Client::open(info.clone())?;
    let config = ConnectionManagerConfig::new()
        .set_response_timeout(Some(ANSWER))
        .set_connection_timeout(Some(CONNECT))
        .set_number_of_retries(1)
        .set_max_delay(Duration::from_millis(100))
        .set_pipeline_buffer_size(QUEUED);
    let connection = ConnectionManager::new_with_config(client.clone(), config.clone()).await?;
    let waiting = match replicas {
        0 => connection.clone(),
        _ => ConnectionManager::new_with_config(client, config).await?,
    };
    Ok((connection, waiting, Some(info)))
}

/// The number of the database; a Redis before 6.2 does not tell it, and is taken to have one.
async fn database(calls: &Calls) -> i64 {
    let mut ask = redis::cmd("CLIENT");
    ask.arg("INFO");
    let told = calls.send(|_| all([ask.clone()])).await.ok();
    let told: Option<String> = told.and_then(|told| redis::from_redis_value(told.last()).ok());
    let number = |told: String| told.split(' ').find_map(|word| word.strip_prefix("db=")?.parse().ok());
    told.and_then(number).unwrap_or_default()
}

fn follow(cache: &Arc<GrantCache>, calls: &Calls, names: &Names, info: Option<ConnectionInfo>) -> Following {
    let (channel, ask) = (names.channel().to_owned(), names.all_revocations());
    let connection = calls.connection.clone();
    Following::start(cache, move || {
        let (info, connection, channel, ask) = (info.clone(), connection.clone(), channel.clone(), ask.clone());
        async move {
            match info {
                Some(info) => Revocations::listen(&info, &channel, ask).await,
                None => Ok(Revocations::Asking(connection, ask)),
            }
        }
    })
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

/// What Redis' clock shows.
fn time(time: &Value) -> Result<SystemTime, DatabaseError> {
    let (seconds, micros): (u64, u64) = redis::from_redis_value_ref(time).map_err(RedisError::from)?;
    Ok(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_micros(micros))
}
