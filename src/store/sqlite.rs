//! Clients and grants in one SQLite file.
//!
//! One connection writes, several read. A write is answered when it is on the disk; while one transaction waits for
//! that, the next one gathers, so that many callers share the wait. A transition reads the record, lets the rules of
//! [`Grant`] decide, and writes what the record became if nobody else has changed it since; what is refused is decided
//! by the reading alone and never gets to the writer. Where the writer has nothing else to do, it is asked for the usual
//! case of a rotation or redemption first, in one statement that changes nothing in every other case.

mod batches;
mod clients;
mod documents;
mod keys;
mod revoked;
mod rows;
mod schema;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, SqliteConnection, SqlitePool};

use self::rows::Row;
use self::writer::{Statement, Writer};
use super::database::{DatabaseError, Keys, signed};
use super::{GrantStore, Holder, OnceKey};
use crate::grant::{Grant, Outcome, Redemption, Revocation, RevocationReason, RevokedTokens, Rotation, Verdict};
use crate::handle::GrantKey;
use crate::secret::Secrets;
use crate::types::{Issuer, UnixTime};

/// Clients and grants in one SQLite file. Cloning copies a pointer; clones share everything.
///
/// Several processes of one machine can use the file at once; a network file system cannot hold it. One store serves
/// several issuers. The secret is in a file of its own beside the database, so keep that one out of its backups.
///
/// ```no_run
/// use tower_oauth::{Provider, SqliteStore};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let store = SqliteStore::open("data/provider.db").await?; // the secret: data/provider.db.secret
/// let provider = Provider::builder("https://shift.example").store(store).scope("profile", "see your profile").build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SqliteStore(Arc<Inner>);

struct Inner {
    readers: SqlitePool,
    writer: Writer,
    keys: Keys,
    secret_file: Option<PathBuf>,
}

/// How many read at once.
const READERS: u32 = 4;
/// How long a write waits for that of another process.
const BUSY: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(20);
/// The low byte of the code that SQLite then answers.
const SQLITE_BUSY: u32 = 5;

impl SqliteStore {
    /// Opens a database, and makes it, with its folder and its tables, where it is missing.
    ///
    /// Its secret is in a file of the same name with `.secret` behind it, made for the owner alone (mode 0600) by the
    /// first provider that is not given [secrets](crate::ProviderBuilder::secrets).
    ///
    /// # Errors
    /// If the file cannot be opened or made, or is none of this version's.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, DatabaseError> {
        let path = path.as_ref();
        if path.as_os_str().is_empty() || path == Path::new(":memory:") {
            return Err(DatabaseError::refused("this is no file: what is kept in memory is kept by `MemoryStore`"));
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY)
            .disable_statement_logging();
        let pool = |most| {
            SqlitePoolOptions::new().max_connections(most).idle_timeout(None).max_lifetime(None).acquire_timeout(BUSY)
        };
        let writers = first(pool(1).test_before_acquire(false), &options).await?;
        Self::migrate(&writers).await?;
        let reading = options.create_if_missing(false).pragma("query_only", "on");
        let readers = pool(READERS).test_before_acquire(false).connect_lazy_with(reading);
        let mut secret_file = path.as_os_str().to_owned();
        secret_file.push(".secret");
        Self::start(readers, Writer::new(writers, true), Some(secret_file.into())).await
    }

    /// Keeps everything in a database of the app's own, which was [migrated](Self::migrate). It has no secret file:
    /// give the builder [secrets](crate::ProviderBuilder::secrets).
    ///
    /// Its tables are those whose names begin with `oauth_`. It should be in WAL mode; of a database in memory a pool
    /// can have one connection only.
    ///
    /// # Errors
    /// If the database cannot be used, is not migrated, or would answer before its writes are safe.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn from_pool(pool: SqlitePool) -> Result<Self, DatabaseError> {
        let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(&pool).await?;
        if synchronous < 2 {
            return Err(DatabaseError::refused(
                "this pool answers before its writes are safe: open it with `.synchronous(SqliteSynchronous::Full)`",
            ));
        }
        if schema::version(&pool, schema::VERSIONS).await? < schema::VERSIONS.len() {
            return Err(DatabaseError::refused(
                "the database is not migrated: call `SqliteStore::migrate(&pool)` first",
            ));
        }
        Self::start(pool.clone(), Writer::new(pool, false), None).await
    }

    /// Makes the tables, or brings those of an earlier version to this one, all of it or nothing. Tables of a later
    /// version are left alone, which is an error.
    ///
    /// # Errors
    /// If the database cannot be written to, or its tables are a later version's.
    pub async fn migrate(pool: &SqlitePool) -> Result<(), DatabaseError> {
        schema::migrate(pool, schema::VERSIONS).await
    }

    async fn start(readers: SqlitePool, writer: Writer, secret_file: Option<PathBuf>) -> Result<Self, DatabaseError> {
        let keys = keys::load(&readers).await?;
        Ok(Self(Arc::new(Inner { readers, writer, keys, secret_file })))
    }

    /// Lets providers of this issuer start without the secrets that signed tokens so far: after a leak, when these
    /// tokens have to end. Providers that run go on.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn forget_keys(&self, issuer: impl Into<Issuer>) -> Result<(), DatabaseError> {
        let issuer = issuer.into();
        let forget = sqlx::query("DELETE FROM oauth_key WHERE issuer = ?1").bind(issuer.as_str());
        self.0.writer.execute(forget).await?;
        self.0.keys.forget(&issuer, |_| true);
        Ok(())
    }

    /// Writes the usual case of a step in one statement, where the writer has nothing else to do. `None`: it has, or this
    /// is another case, and the rules have to decide.
    async fn at_once(&self, usual: impl FnOnce() -> Statement) -> Result<Option<Arc<Grant>>, DatabaseError> {
        if !self.0.writer.is_idle() {
            return Ok(None);
        }
        let usual = usual();
        self.0.writer.write(|connection| Box::pin(rows::changed(connection, usual))).await
    }

    async fn step(
        &self,
        key: GrantKey,
        apply: impl Fn(&mut Grant) -> Outcome + Send + 'static,
    ) -> Result<Verdict, DatabaseError> {
        let Some(row) = rows::find(&self.0.readers, key).await? else { return Ok(Verdict::UNKNOWN) };
        let mut next = Grant::clone(&row.grant);
        let outcome = apply(&mut next);
        if next == *row.grant {
            // Nothing changes, so this is what the step came to at the moment of the reading.
            return Ok(Verdict::new(outcome, row.grant));
        }
        self.0.writer.write(move |connection| Box::pin(change(connection, row, apply))).await
    }
}

/// The first connection, which turns a new file to WAL: that is refused at once, and not after a wait, where another
/// process is at it too.
async fn first(pool: SqlitePoolOptions, options: &SqliteConnectOptions) -> Result<SqlitePool, sqlx::Error> {
    let is_busy = |error: &sqlx::Error| {
        let code = error.as_database_error().and_then(|error| error.code()?.parse::<u32>().ok());
        code.is_some_and(|code| code & 0xff == SQLITE_BUSY)
    };
    let mut tries = BUSY.as_millis() / PAUSE.as_millis();
    loop {
        match pool.clone().connect_with(options.clone()).await {
            Err(error) if is_busy(&error) && tries > 0 => tries -= 1,
            done => return done,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Writes what a grant becomes. Where somebody else was faster, the step meets what they left.
async fn change(
    connection: &mut SqliteConnection,
    mut row: Row,
    apply: impl Fn(&mut Grant) -> Outcome,
) -> Result<Verdict, DatabaseError> {
    loop {
        let mut next = Grant::clone(&row.grant);
        let outcome = apply(&mut next);
        if next == *row.grant || replace(connection, &row, &next).await? {
            return Ok(Verdict::new(outcome, Arc::new(next)));
        }
        match rows::find(&mut *connection, row.grant.key()).await? {
            Some(now) => row = now,
            None => return Ok(Verdict::UNKNOWN),
        }
    }
}

/// Writes what a grant has become and what that revoked, both or neither; false as [`Row::replace`].
async fn replace(connection: &mut SqliteConnection, row: &Row, next: &Grant) -> Result<bool, DatabaseError> {
    let mut revoked = next.newly_revoked(&row.grant).peekable();
    if revoked.peek().is_none() {
        return row.replace(connection, next).await;
    }
    // Within the transaction of many a savepoint, and one of its own for a job that is alone.
    let mut transaction = connection.begin().await?;
    let replaced = row.replace(&mut transaction, next).await?;
    for tokens in revoked.filter(|_| replaced) {
        revoked::keep(&mut transaction, next.issuer(), tokens).await?;
    }
    transaction.commit().await?;
    Ok(replaced)
}

impl GrantStore for SqliteStore {
    type Error = DatabaseError;

    async fn create(&self, grant: Grant) -> Result<(), DatabaseError> {
        self.0.writer.execute(rows::insert(&grant)).await.map(drop)
    }

    async fn find(&self, key: GrantKey) -> Result<Option<Arc<Grant>>, DatabaseError> {
        Ok(rows::find(&self.0.readers, key).await?.map(|row| row.grant))
    }

    async fn redeem(&self, key: GrantKey, step: Redemption) -> Result<Verdict, DatabaseError> {
        match self.at_once(|| rows::redeem(key, &step)).await? {
            Some(grant) => Ok(Verdict::new(Outcome::Redeemed, grant)),
            None => self.step(key, move |grant| grant.redeem(&step)).await,
        }
    }

    async fn rotate(&self, key: GrantKey, step: Rotation) -> Result<Verdict, DatabaseError> {
        match self.at_once(|| rows::rotate(key, &step)).await? {
            Some(grant) => Ok(Verdict::new(Outcome::Rotated, grant)),
            None => self.step(key, move |grant| grant.rotate(&step)).await,
        }
    }

    async fn revoke(&self, key: GrantKey, step: Revocation) -> Result<Verdict, DatabaseError> {
        self.step(key, move |grant| grant.revoke(&step)).await
    }

    async fn revoke_all(
        &self,
        issuer: &Issuer,
        holder: &Holder,
        reason: RevocationReason,
        now: UnixTime,
    ) -> Result<usize, DatabaseError> {
        self.end_all(issuer, holder, reason, now).await
    }

    async fn grants(&self, issuer: &Issuer, holder: &Holder) -> Result<Vec<Arc<Grant>>, DatabaseError> {
        rows::held(&self.0.readers, issuer, holder).await
    }

    async fn once(&self, key: OnceKey, until: UnixTime, now: UnixTime) -> Result<bool, DatabaseError> {
        let see = sqlx::query(
            "INSERT INTO oauth_once (key, until) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET until = excluded.until \
             WHERE until <= ?3",
        )
        .bind(&key.as_bytes()[..])
        .bind(until.as_signed())
        .bind(now.as_signed());
        Ok(self.0.writer.execute(see).await? == 1)
    }

    async fn sweep(&self, issuer: &Issuer, now: UnixTime, idle: Duration) -> Result<usize, DatabaseError> {
        let swept = self.sweep_grants(issuer, now.as_signed(), signed(idle)).await?;
        self.sweep_the_rest(issuer, now, idle).await?;
        Ok(swept)
    }

    fn keeps_documents(&self) -> bool {
        true
    }

    async fn document(&self, issuer: &Issuer, name: &str) -> Result<Option<Vec<u8>>, DatabaseError> {
        self.find_document(issuer, name).await
    }

    async fn replace_document(
        &self,
        issuer: &Issuer,
        name: &str,
        old: Option<&[u8]>,
        new: &[u8],
    ) -> Result<bool, DatabaseError> {
        Ok(self.0.writer.execute(documents::replace(issuer, name, old, new)).await? == 1)
    }

    fn keeps_revocations(&self) -> bool {
        true
    }

    async fn revocations(&self, issuer: &Issuer, now: UnixTime) -> Result<Vec<RevokedTokens>, DatabaseError> {
        self.find_revoked(issuer, now).await
    }

    fn secrets(&self) -> Result<Option<Secrets>, DatabaseError> {
        let Some(path) = &self.0.secret_file else { return Ok(None) };
        if self.0.keys.any() && !path.exists() {
            return Err(DatabaseError::refused(format!(
                "{} is missing, and it signed tokens that may still be good: put it back, or end those tokens with \
                 `SqliteStore::forget_keys`",
                path.display()
            )));
        }
        Ok(Some(Secrets::open(path)?.0))
    }

    fn use_keys(&self, issuer: &Issuer, ids: &[[u8; 4]], now: UnixTime) -> Result<(), DatabaseError> {
        if let Some(id) = self.0.keys.start(issuer, ids)? {
            // Writes keep their order, so it is there before the first grant whose handles this key makes. Where this
            // one fails, each sweep tries again.
            self.0.writer.begin(keys::note(issuer, id, now));
        }
        Ok(())
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").field("secret_file", &self.0.secret_file).finish_non_exhaustive()
    }
}
