//! The one writer: it takes whatever waits into one transaction, and answers when that is safe.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sqlx::pool::PoolConnection;
use sqlx::query::Query;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Connection, Sqlite, SqliteConnection, SqlitePool};
use tokio::sync::{mpsc, oneshot};

use super::DatabaseError;
use crate::store::BoxFuture;

/// How many writes go into one transaction at most: others have to wait for it.
const MOST: usize = 256;

pub(super) type Statement = Query<'static, Sqlite, SqliteArguments>;

/// Hands writes to the task that does them. What was handed over is done, whatever becomes of who waits for it.
pub(super) struct Writer {
    jobs: mpsc::UnboundedSender<Box<dyn Job>>,
    /// How many were handed over and are not done.
    under_way: Arc<AtomicUsize>,
}

impl Writer {
    /// Starts the task. It ends when the writer is dropped and everything is done. A connection that is nobody else's is
    /// kept between the transactions: a pool asks it for a sign of life whenever it comes back.
    pub(super) fn new(pool: SqlitePool, is_ours: bool) -> Self {
        let (writer, mut jobs) = mpsc::unbounded_channel();
        let under_way = Arc::new(AtomicUsize::new(0));
        let left = Arc::clone(&under_way);
        tokio::spawn(async move {
            let (mut batch, mut kept) = (Vec::new(), None);
            // While one transaction waits for the disk, the next one gathers.
            while jobs.recv_many(&mut batch, MOST).await > 0 {
                let committed = commit(&pool, &mut kept, &mut batch).await;
                if !is_ours {
                    kept = None;
                }
                left.fetch_sub(batch.len(), Ordering::Relaxed);
                batch.drain(..).for_each(|job| job.answer(committed.clone()));
            }
        });
        Self { jobs: writer, under_way }
    }

    /// Whether a write would be alone now, with nobody to share its transaction and nobody to wait for it.
    pub(super) fn is_idle(&self) -> bool {
        self.under_way.load(Ordering::Relaxed) == 0
    }

    /// Runs a statement; answers how many rows it changed.
    pub(super) async fn execute(&self, statement: Statement) -> Result<u64, DatabaseError> {
        self.write(|connection| Box::pin(run(connection, statement))).await
    }

    /// The same without waiting.
    pub(super) fn begin(&self, statement: Statement) {
        drop(self.hand_over(|connection| Box::pin(run(connection, statement))));
    }

    /// Does `work`, and answers when what it wrote is safe. It writes in one statement, which SQLite undoes by itself
    /// where it fails, and which is good whatever was written since an earlier statement read; or in a transaction of its
    /// own, which begins with such a one.
    pub(super) async fn write<T: Send + 'static>(&self, work: impl Work<T>) -> Result<T, DatabaseError> {
        // Nobody answers if the runtime that the store was opened on is gone.
        self.hand_over(work).await.unwrap_or_else(|_| Err(DatabaseError::refused("the store's writer has stopped")))
    }

    fn hand_over<T: Send + 'static>(&self, work: impl Work<T>) -> oneshot::Receiver<Result<T, DatabaseError>> {
        let (reply, answer) = oneshot::channel();
        self.under_way.fetch_add(1, Ordering::Relaxed);
        // Where nobody takes it, the reply is dropped with it, and that is what the answer then says.
        let _ = self.jobs.send(Box::new(Write { work: Some(work), done: None, reply }));
        answer
    }
}

/// What is to be written.
pub(super) trait Work<T>:
    for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, DatabaseError>> + Send + 'static
{
}

impl<T, W> Work<T> for W where
    W: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, DatabaseError>> + Send + 'static
{
}

async fn run(connection: &mut SqliteConnection, statement: Statement) -> Result<u64, DatabaseError> {
    Ok(statement.execute(connection).await?.rows_affected())
}

/// All of them or none.
async fn commit(
    pool: &SqlitePool,
    kept: &mut Option<PoolConnection<Sqlite>>,
    batch: &mut [Box<dyn Job>],
) -> Result<(), DatabaseError> {
    let mut connection = match kept.take() {
        Some(connection) => connection,
        None => pool.acquire().await?,
    };
    let committed = match batch {
        // SQLite makes a transaction of one statement by itself, without the ways to it and back for begin and commit.
        [job] => job.run(&mut connection).await,
        batch => together(&mut connection, batch).await,
    };
    match committed {
        Ok(()) => *kept = Some(connection),
        // SQLite may have rolled back by itself, and then this connection's state is not what sqlx takes it for.
        Err(_) => connection.close_on_drop(),
    }
    committed
}

async fn together(connection: &mut SqliteConnection, batch: &mut [Box<dyn Job>]) -> Result<(), DatabaseError> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    for job in batch {
        job.run(&mut transaction).await?;
    }
    Ok(transaction.commit().await?)
}

trait Job: Send {
    /// Answers an error where the whole transaction failed.
    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> BoxFuture<'c, Result<(), DatabaseError>>;

    fn answer(self: Box<Self>, committed: Result<(), DatabaseError>);
}

struct Write<W, T> {
    work: Option<W>,
    done: Option<Result<T, DatabaseError>>,
    reply: oneshot::Sender<Result<T, DatabaseError>>,
}

impl<W, T> Job for Write<W, T>
where
    W: Work<T>,
    T: Send,
{
    fn run<'c>(&'c mut self, connection: &'c mut SqliteConnection) -> BoxFuture<'c, Result<(), DatabaseError>> {
        Box::pin(async move {
            let Some(work) = self.work.take() else { return Ok(()) };
            match work(connection).await {
                Err(error) if error.is_of_the_database() => Err(error),
                done => {
                    self.done = Some(done);
                    Ok(())
                }
            }
        })
    }

    fn answer(self: Box<Self>, committed: Result<(), DatabaseError>) {
        let Self { done, reply, .. } = *self;
        if let Some(answer) = committed.map_or_else(|error| Some(Err(error)), |()| done) {
            // Whoever asked may have gone away.
            let _ = reply.send(answer);
        }
    }
}
