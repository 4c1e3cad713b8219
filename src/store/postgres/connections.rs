//! Connections, and how a statement is sent through one: in one round trip, and again where that may be.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgQueryResult, PgRow};
use sqlx::query::Query;
use sqlx::{Connection, Error, PgConnection, PgPool, Postgres};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::DatabaseError;

pub(super) type Statement<'q> = Query<'q, Postgres, PgArguments>;

/// How long a statement may take, with all that it waits for.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How many connections the store has of its own at most.
const MOST: usize = 16;
/// After how long without use a connection may have been cut by whatever is between.
const IDLE: Duration = Duration::from_secs(5 * 60);
/// How long a connection is used at all, so that a balancer can move them.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

pub(super) const STANDBY: &str = "this server is a standby, which writes nothing: connect to the primary";

pub(super) enum Connections {
    Own(Box<Own>),
    Pool(PgPool),
}

/// The store's own connections. The pool of sqlx asks the server once more whenever a connection comes back to it;
/// these do not.
pub(super) struct Own {
    options: PgConnectOptions,
    idle: Mutex<Vec<Connected>>,
    room: Semaphore,
}

struct Connected {
    connection: PgConnection,
    opened: Instant,
    /// When it was last taken.
    used: Instant,
}

impl Connections {
    pub(super) fn own(options: PgConnectOptions) -> Self {
        Self::Own(Box::new(Own { options, idle: Mutex::default(), room: Semaphore::new(MOST) }))
    }

    /// Answers the rows of a statement that may be repeated: once more where its connection was lost, and so often as it met others
    /// at the same rows. `statement` makes it anew, always with the same values.
    pub(super) async fn run<'q>(&self, statement: impl Fn() -> Statement<'q>) -> Result<Vec<PgRow>, DatabaseError> {
        self.run_doubtful(statement).await.map(|(rows, _)| rows)
    }

    /// The same, and whether a connection was lost before an answer came: then the statement may have been run before.
    pub(super) async fn run_doubtful<'q>(
        &self,
        statement: impl Fn() -> Statement<'q>,
    ) -> Result<(Vec<PgRow>, bool), DatabaseError> {
        in_time(self.repeat(statement)).await
    }

    /// Answers the row of a statement that only reads and finds one at most.
    pub(super) async fn find<'q>(&self, statement: impl Fn() -> Statement<'q>) -> Result<Option<PgRow>, DatabaseError> {
        in_time(self.repeat(statement)).await.map(|(row, _)| row)
    }

    /// Answers whether a statement that returns no rows changed any. How long that may take is the caller's matter.
    pub(super) async fn change<'q>(&self, statement: impl Fn() -> Statement<'q>) -> Result<bool, DatabaseError> {
        let (done, _): (PgQueryResult, _) = self.repeat(statement).await?;
        Ok(done.rows_affected() > 0)
    }

    /// Answers the rows of a statement whose answer would be another the second time, on a connection that just answered.
    pub(super) async fn run_once<'q>(
        &self,
        statement: impl Fn() -> Statement<'q>,
    ) -> Result<Vec<PgRow>, DatabaseError> {
        self.test().await?;
        in_time(async {
            loop {
                match self.send(statement()).await {
                    Err(error) if met_others(&error) => {}
                    done => return Ok(done?),
                }
            }
        })
        .await
    }

    /// Drops what a server that was started anew has cut. The connection that answered is the next one to be used.
    pub(super) async fn test(&self) -> Result<(), DatabaseError> {
        self.run(|| sqlx::query("SELECT 1")).await.map(drop)
    }

    /// Sends a statement as often as it may be repeated; answers also whether a connection was lost.
    async fn repeat<'q, A: Answer>(&self, statement: impl Fn() -> Statement<'q>) -> Result<(A, bool), DatabaseError> {
        let mut tries = Tries::new(self);
        loop {
            match self.send(statement()).await {
                Err(error) if tries.again(&error) => {}
                done => return Ok((done?, tries.doubtful)),
            }
        }
    }

    async fn send<A: Answer>(&self, statement: Statement<'_>) -> Result<A, Error> {
        let mut lease = self.lease().await?;
        let answer = A::of(statement, &mut lease).await;
        match &answer {
            Err(error) if is_lost(error) => self.forget_idle(),
            _ => lease.give_back(),
        }
        answer
    }

    /// Where one connection was lost, so are those that were used before it.
    fn forget_idle(&self) {
        if let Self::Own(own) = self {
            own.idle().clear();
        }
    }

    pub(super) async fn lease(&self) -> Result<Lease<'_>, Error> {
        match self {
            Self::Own(own) => own.lease().await,
            // In a box, as below: how a connection is made is a future of many kilobytes, and each statement would carry the
            // room for it along.
            Self::Pool(pool) => Ok(Lease(Some(Held::Pool(Box::pin(pool.acquire()).await?)))),
        }
    }
}

/// What is read of what the server says to a statement; to its last word, since a row can arrive before its commit.
trait Answer: Sized {
    fn of(statement: Statement<'_>, connection: &mut PgConnection) -> impl Future<Output = Result<Self, Error>> + Send;
}

impl Answer for Vec<PgRow> {
    async fn of(statement: Statement<'_>, connection: &mut PgConnection) -> Result<Self, Error> {
        statement.fetch_all(connection).await
    }
}

/// The first row, where there is one at most.
impl Answer for Option<PgRow> {
    async fn of(statement: Statement<'_>, connection: &mut PgConnection) -> Result<Self, Error> {
        statement.fetch_optional(connection).await
    }
}

/// How many rows were changed.
impl Answer for PgQueryResult {
    async fn of(statement: Statement<'_>, connection: &mut PgConnection) -> Result<Self, Error> {
        statement.execute(connection).await
    }
}

pub(super) async fn in_time<T>(work: impl Future<Output = Result<T, DatabaseError>>) -> Result<T, DatabaseError> {
    let late = || DatabaseError::refused(format!("the database has not answered for {} s", TIMEOUT.as_secs()));
    tokio::time::timeout(TIMEOUT, work).await.unwrap_or_else(|_| Err(late()))
}

impl Own {
    pub(super) const fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    async fn lease(&self) -> Result<Lease<'_>, Error> {
        // It is never closed.
        let room = self.room.acquire().await.map_err(|_| Error::PoolClosed)?;
        let now = Instant::now();
        let fresh = |idle: &Connected| now - idle.used < IDLE && now - idle.opened < LIFETIME;
        let known = self.idle().pop().filter(fresh);
        let connected = match known {
            Some(idle) => Connected { used: now, ..idle },
            None => Connected { connection: Box::pin(self.connect()).await?, opened: now, used: now },
        };
        Ok(Lease(Some(Held::Own { connected, own: self, _room: room })))
    }

    /// A name or a balancer can lead to a standby after a failover, and what that one answers may be old.
    async fn connect(&self) -> Result<PgConnection, Error> {
        let mut connection = PgConnection::connect_with(&self.options).await?;
        let is_standby = sqlx::query_scalar("SELECT pg_is_in_recovery()").fetch_one(&mut connection).await?;
        if is_standby { Err(Error::Configuration(STANDBY.into())) } else { Ok(connection) }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connected>> {
        // A list that is whole after every operation.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection in use. One that is not given back is closed: nobody knows what it still has to say.
pub(super) struct Lease<'a>(Option<Held<'a>>);

enum Held<'a> {
    Own { connected: Connected, own: &'a Own, _room: SemaphorePermit<'a> },
    Pool(PoolConnection<Postgres>),
}

impl Lease<'_> {
    pub(super) fn give_back(mut self) {
        // The pool takes its own back by itself.
        if let Some(Held::Own { connected, own, .. }) = self.0.take() {
            own.idle().push(connected);
        }
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if let Some(Held::Pool(connection)) = self.0.take() {
            // The pool would wait for an answer of the server, which may never come.
            drop(connection.detach());
        }
    }
}

const HELD: &str = "a lease has its connection until it is given back";

impl Deref for Lease<'_> {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match self.0.as_ref().expect(HELD) {
            Held::Own { connected, .. } => &connected.connection,
            Held::Pool(connection) => connection,
        }
    }
}

impl DerefMut for Lease<'_> {
    fn deref_mut(&mut self) -> &mut PgConnection {
        match self.0.as_mut().expect(HELD) {
            Held::Own { connected, .. } => &mut connected.connection,
            Held::Pool(connection) => connection,
        }
    }
}

/// How often a statement may be sent again.
struct Tries {
    lost: u32,
    /// Whether a connection was lost.
    doubtful: bool,
}

impl Tries {
    /// A server that was started anew has cut every connection of a pool, and which of them are dead shows when they are
    /// used.
    fn new(connections: &Connections) -> Self {
        let lost = match connections {
            Connections::Own(_) => 1,
            Connections::Pool(pool) => pool.size() + 1,
        };
        Self { lost, doubtful: false }
    }

    fn again(&mut self, error: &Error) -> bool {
        if met_others(error) {
            return true;
        }
        self.doubtful |= is_lost(error);
        let again = is_lost(error) && self.lost > 0;
        self.lost = self.lost.saturating_sub(1);
        again
    }
}

fn code(error: &Error) -> Option<String> {
    error.as_database_error().and_then(|error| error.code()).map(Into::into)
}

/// Another step changed the same rows, and PostgreSQL gave this one up: `serialization_failure` under another isolation
/// level than READ COMMITTED, or `deadlock_detected`.
fn met_others(error: &Error) -> bool {
    code(error).is_some_and(|code| ["40001", "40P01"].contains(&&*code))
}

/// The connection is of no more use: it broke, the server shuts down or became read-only, or it has forgotten or outlived
/// what was prepared.
fn is_lost(error: &Error) -> bool {
    match error {
        Error::Io(_) | Error::Protocol(_) | Error::WorkerCrashed => true,
        _ => code(error).is_some_and(|code| {
            code.starts_with("08") || code.starts_with("57P") || ["25006", "26000", "0A000"].contains(&&*code)
        }),
    }
}
