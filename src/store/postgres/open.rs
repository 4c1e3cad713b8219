//! How a store is opened.

use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection, PgPool, Row as _};

use super::connections::{Connections, STANDBY, in_time};
use super::keys;
use super::revocations::Revocations;
use super::statements::{Statements, channel};
use super::{DatabaseError, Inner, PostgresStore, schema};
use crate::clock::{Clock, SystemClock};
use crate::store::database::{Following, GrantCache, ToNote, skew};

/// The first version that finds the rows of some pages of a table without a look at the others.
const OLDEST: i32 = 140_000;

/// A [`PostgresStore`] to be opened: wait for it with `.await`.
///
/// The future fails if the database cannot be used, or its tables are missing or a later version's. It panics outside a
/// tokio runtime.
#[must_use = "a store is opened by `.await`"]
pub struct OpenPostgres {
    from: From,
    schema: String,
    migrate: bool,
    cache: Duration,
}

enum From {
    Url(String),
    Pool(PgPool),
}

impl OpenPostgres {
    pub(super) fn url(url: &str) -> Self {
        Self {
            from: From::Url(url.to_owned()),
            schema: "oauth".to_owned(),
            migrate: false,
            cache: GrantCache::LIFETIME,
        }
    }

    pub(super) fn pool(pool: PgPool) -> Self {
        Self { from: From::Pool(pool), schema: "oauth".to_owned(), migrate: false, cache: GrantCache::LIFETIME }
    }

    /// In which schema the tables are. By default `oauth`.
    pub fn in_schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// First makes the tables, with their schema, or brings those of an earlier version to this one: all of it or
    /// nothing, and once where several nodes start at once. Tables of a later version are left alone, which is an error.
    ///
    /// It needs the right to make them. Where the provider's role shall not have it, do this as another role before the
    /// provider starts.
    pub fn migrate(mut self) -> Self {
        self.migrate = true;
        self
    }

    /// For how long the check of an access token may go by what this node read of its grant before. By default 5 seconds;
    /// zero asks the database at every check, and more than an hour is an hour.
    ///
    /// What a node revokes it refuses from then on. The other nodes are told (`NOTIFY`) and refuse it a moment later;
    /// where that does not get through, as behind a pooler, they find it within a second by asking. **In the worst case**,
    /// with a node that is cut off from all of this, a revoked token is good there for as long as this says, and not
    /// longer. A node that was cut off for that long asks the database at every check, until it is not.
    ///
    /// This is about the check of access tokens alone: introspection, refreshes and all else ask the database. A node needs
    /// one connection more, beside those of its pool.
    pub const fn cache(mut self, lifetime: Duration) -> Self {
        self.cache = lifetime;
        self
    }

    async fn open(self) -> Result<PostgresStore, DatabaseError> {
        let schema = quoted(&self.schema)?;
        let connections = match self.from {
            From::Url(url) => Connections::own(options(&url)?),
            From::Pool(pool) => Connections::Pool(pool),
        };
        let mut lease = in_time(async { Ok(connections.lease().await?) }).await?;
        let skew = in_time(check(&mut lease)).await?;
        if self.migrate {
            schema::migrate(&mut lease, &schema, schema::VERSIONS).await?;
        }
        let version = in_time(schema::version(&mut lease, &schema, schema::VERSIONS)).await?;
        lease.give_back();
        if version < schema::VERSIONS.len() {
            return Err(DatabaseError::refused(format!(
                "the schema {schema} is not migrated: write `PostgresStore::connect(..).migrate().await?` once, as a role \
                 that may make tables"
            )));
        }
        let statements = Statements::new(&schema);
        let keys = keys::load(&connections, &statements).await?;
        let connections = Arc::new(connections);
        let cache = Arc::new(GrantCache::new(self.cache));
        let following = follow(&cache, &connections, &schema, &statements);
        let to_note = ToNote::default();
        let inner = Inner { connections, statements, schema, keys, to_note, skew, cache, _following: following };
        Ok(PostgresStore(Arc::new(inner)))
    }
}

fn follow(cache: &Arc<GrantCache>, connections: &Arc<Connections>, schema: &str, statements: &Statements) -> Following {
    let (connections, channel, ask) = (Arc::clone(connections), channel(schema), statements.revocations.clone());
    Following::start(cache, move || {
        // As the pool makes them now: a password may be another by then.
        let (options, channel, ask) = (connections.options(), channel.clone(), ask.clone());
        async move { Revocations::listen(options, &channel, ask).await }
    })
}

impl IntoFuture for OpenPostgres {
    type Output = Result<PostgresStore, DatabaseError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.open())
    }
}

impl std::fmt::Debug for OpenPostgres {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL may have a password.
        f.debug_struct("OpenPostgres").field("schema", &self.schema).finish_non_exhaustive()
    }
}

/// What the store's own connections are set to.
fn options(url: &str) -> Result<PgConnectOptions, DatabaseError> {
    let options = PgConnectOptions::from_str(url)?.disable_statement_logging();
    Ok(options.options([
        ("default_transaction_isolation", "read committed"),
        ("statement_timeout", "5s"),
        // Nobody's function is called but PostgreSQL's. What is ours is named with its schema.
        ("search_path", "pg_catalog"),
    ]))
}

/// A name as SQL writes it.
fn quoted(schema: &str) -> Result<String, DatabaseError> {
    // PostgreSQL cuts a longer one.
    if schema.is_empty() || schema.len() > 63 || schema.contains('\0') {
        return Err(DatabaseError::refused(format!("{schema:?} is no name of a schema: it has 1 to 63 bytes")));
    }
    Ok(format!("\"{}\"", schema.replace('"', "\"\"")))
}

/// Whether this server can hold the tables; answers how far its clock is from ours.
async fn check(connection: &mut PgConnection) -> Result<Duration, DatabaseError> {
    let asked = SystemClock.now();
    let row = sqlx::query(
        "SELECT extract(epoch FROM clock_timestamp())::float8, current_setting('server_version_num')::int, \
         current_setting('server_encoding'), pg_is_in_recovery()",
    )
    .fetch_one(connection)
    .await?;
    let answered = SystemClock.now();
    let (version, encoding): (i32, String) = (row.try_get(1)?, row.try_get(2)?);
    if version < OLDEST {
        return Err(DatabaseError::refused("this is PostgreSQL before version 14: use a later one"));
    }
    if encoding != "UTF8" {
        return Err(DatabaseError::refused(format!(
            "this database is encoded in {encoding}: make one with `CREATE DATABASE .. ENCODING 'UTF8' TEMPLATE template0`"
        )));
    }
    if row.try_get(3)? {
        return Err(DatabaseError::refused(STANDBY));
    }
    let seconds = Duration::try_from_secs_f64(row.try_get(0)?).unwrap_or_default();
    Ok(skew(asked, SystemTime::UNIX_EPOCH + seconds, answered))
}
