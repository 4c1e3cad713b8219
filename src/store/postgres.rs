//! Clients and grants in PostgreSQL.
//!
//! Each transition is one statement and one round trip, and one more where another one was faster: see `statements.rs`.

mod batches;
mod clients;
mod connections;
mod documents;
mod keys;
mod open;
mod revocations;
mod revoked;
mod rows;
mod schema;
#[cfg(test)]
#[path = "../../tests/support/postgres.rs"]
mod server;
mod statements;
#[cfg(all(test, feature = "test-util"))]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sqlx::PgPool;

use self::connections::{Connections, Statement, in_time};
pub use self::open::OpenPostgres;
use self::rows::query;
use self::statements::Statements;
use super::database::{DatabaseError, Following, GrantCache, Keys, Signing, ToNote, Which, signed};
use super::{GrantStore, Holder, OnceKey};
use crate::grant::{
    Grant, Outcome, Redemption, Refused, Revocation, RevocationReason, RevokedTokens, Rotation, Verdict,
};
use crate::handle::GrantKey;
use crate::secret::random;
use crate::types::{Issuer, UnixTime};

/// Clients and grants in PostgreSQL, version 14 or later. Cloning copies a pointer; clones share everything.
///
/// Any number of nodes can use one database, and one store serves several issuers. The tables are in a schema of their
/// own, `oauth`, or another with [`in_schema`](OpenPostgres::in_schema).
///
/// Each transition is one round trip, and one more where another one at the same grant was faster. A redemption,
/// whatever ends a grant, a replay among it, and the change of a client are answered when they are on the disk, and on the
/// standbys that the server waits for, even where its `synchronous_commit` is off; the usual rotation follows that
/// setting. Where the database does not answer for 5 seconds, the request is answered with 503.
///
/// A node answers the check of an access token from what it read up to 5 seconds ago, or another
/// [time](OpenPostgres::cache), and refuses what another node revoked a moment later: see there for the worst case.
///
/// It keeps no secret: give the builder [secrets](crate::ProviderBuilder::secrets), the same on every node.
///
/// ```no_run
/// use tower_oauth::{PostgresStore, Provider, Secrets};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let store = PostgresStore::connect("postgres://shift@localhost/shift").migrate().await?;
/// let (secrets, _) = Secrets::open("provider.secret")?;
/// let provider = Provider::builder("https://shift.example")
///     .store(store)
///     .secrets(secrets)
///     .scope("profile", "see your profile")
///     .build()?;
/// # Ok(())
/// # }
/// ```
///
/// # What can be lost
/// A failover to a standby that was not waited for (`synchronous_standby_names`) takes what that one did not have. A lost
/// rotation heals itself: whoever holds a refresh token one generation ahead goes on from there. A lost approval or
/// redemption makes a user start again. A lost revocation lets a grant live on that was ended, and is the reason to wait for
/// a standby.
///
/// # Rights
/// A provider's role needs `USAGE` of the schema, and `SELECT`, `INSERT`, `UPDATE` and `DELETE` on its tables;
/// [`migrate`](OpenPostgres::migrate) may be another role's.
#[derive(Clone)]
pub struct PostgresStore(Arc<Inner>);

struct Inner {
    connections: Arc<Connections>,
    statements: Statements,
    /// Its name, quoted.
    schema: String,
    keys: Keys,
    to_note: ToNote,
    skew: Duration,
    cache: Arc<GrantCache>,
    _following: Following,
}

/// How often a step is sent that finds its row changed in between, before it is given up.
const TRIES: usize = 1_000;

impl PostgresStore {
    /// Opens a database with connections of the store's own, up to 16. `url` is
    /// `postgres://user:password@host/database`; for TLS switch on one of sqlx's features for it. A standby is refused
    /// whenever a connection is made, so that after a failover the address may lead to it for a while.
    ///
    /// A pooler between has to take startup options and keep prepared statements; for one that does not there is
    /// [`from_pool`](Self::from_pool).
    pub fn connect(url: &str) -> OpenPostgres {
        OpenPostgres::url(url)
    }

    /// Opens a database with the connections of the app's own pool.
    ///
    /// It is right under every isolation level. READ COMMITTED, which is PostgreSQL's default, takes the fewest round
    /// trips where several have to do with one grant at once. `test_before_acquire(false)` saves one for each statement:
    /// the store finds out by itself which connections are dead.
    ///
    /// The pool leads to the primary, also after a failover: on a standby a grant can be alive that was revoked. Its
    /// `search_path` is `pg_catalog` alone, or has no schema in which somebody else may make functions. The connection on
    /// which the node listens has the pool's options, and nothing that its `after_connect` does.
    pub fn from_pool(pool: PgPool) -> OpenPostgres {
        OpenPostgres::pool(pool)
    }

    /// Lets providers of this issuer start without the secrets that signed tokens so far: after a leak, when these
    /// tokens have to end. Providers that run go on, and so do stores that were opened before, in this process and in
    /// others.
    ///
    /// # Errors
    /// If the database cannot answer.
    pub async fn forget_keys(&self, issuer: impl Into<Issuer>) -> Result<(), DatabaseError> {
        let issuer = issuer.into();
        self.0.connections.run(|| query(&self.0.statements.forget_keys).bind(issuer.as_str())).await?;
        self.0.keys.forget(&issuer, |_| true);
        Ok(())
    }

    async fn note_keys(&self) -> Result<(), DatabaseError> {
        let Inner { connections, statements, to_note, .. } = &*self.0;
        let note = async |keys: Vec<Signing>| {
            for (issuer, id, now) in &keys {
                connections.run(|| keys::note(statements, issuer, id, *now)).await?;
            }
            Ok(())
        };
        to_note.note(|keys| in_time(note(keys))).await
    }

    /// Takes a step in one round trip.
    async fn step<'q>(
        &self,
        statement: impl Fn() -> Statement<'q>,
        rule: impl Fn(&mut Grant) -> Outcome,
        changed: Outcome,
        ending: Ending,
    ) -> Result<Verdict, DatabaseError> {
        for _ in 0..TRIES {
            if let Ok(verdict) = self.attempt(&statement, &rule, changed, ending).await? {
                return Ok(verdict);
            }
        }
        Err(restless())
    }

    /// A grant that the statement changed has ended, or else `changed` became of it. The inner error is the grant as it
    /// was: the step would change it, and somebody else was faster.
    async fn attempt<'q>(
        &self,
        statement: impl Fn() -> Statement<'q>,
        rule: impl Fn(&mut Grant) -> Outcome,
        changed: Outcome,
        ending: Ending,
    ) -> Result<Result<Verdict, Arc<Grant>>, DatabaseError> {
        let (rows, doubtful) = self.0.connections.run_doubtful(statement).await?;
        let Some(row) = rows.first() else { return Ok(Ok(Verdict::UNKNOWN)) };
        let (grant, has_changed) = rows::stepped(row)?;
        let ended = if changed == Outcome::Revoked { changed } else { Outcome::Replayed };
        if has_changed {
            return Ok(Ok(Verdict::new(if grant.revoked().is_some() { ended } else { changed }, grant)));
        }
        let mut next = Grant::clone(&grant);
        let mut outcome = rule(&mut next);
        if doubtful && outcome == Outcome::Refused(Refused::Revoked) && grant.revoked() == Some(ending) {
            // By this step itself, whose first answer was lost.
            outcome = ended;
        }
        // Else it is as it was when the statement began, and nothing was changed because it is another by now.
        Ok(if next == *grant { Ok(Verdict::new(outcome, grant)) } else { Err(grant) })
    }
}

/// When and why a step ends a grant, if it does.
type Ending = (UnixTime, RevocationReason);

fn restless() -> DatabaseError {
    DatabaseError::refused("the grant changes all the time")
}

impl GrantStore for PostgresStore {
    type Error = DatabaseError;

    async fn create(&self, grant: Grant) -> Result<(), DatabaseError> {
        self.note_keys().await?;
        self.0.connections.run(|| rows::create(&self.0.statements, &grant)).await.map(drop)
    }

    async fn find(&self, key: GrantKey) -> Result<Option<Arc<Grant>>, DatabaseError> {
        let row = self.0.connections.find(|| rows::find(&self.0.statements, &key)).await?;
        row.as_ref().map(rows::grant).transpose()
    }

    async fn redeem(&self, key: GrantKey, step: Redemption) -> Result<Verdict, DatabaseError> {
        let _changing = self.0.cache.changing(Which::One(key));
        self.note_keys().await?;
        let statement = || rows::redeem(&self.0.statements, &key, &step);
        let ending = (step.now, RevocationReason::CodeReuse);
        self.step(statement, |grant| grant.redeem(&step), Outcome::Redeemed, ending).await
    }

    async fn rotate(&self, key: GrantKey, step: Rotation) -> Result<Verdict, DatabaseError> {
        let _changing = self.0.cache.changing(Which::One(key));
        self.note_keys().await?;
        let Inner { connections, statements, .. } = &*self.0;
        let usual = || rows::rotate(statements, &key, &step);
        let other = || rows::rotate_else(statements, &key, &step);
        let mut next = step.next.clone();
        let ending = (step.now, RevocationReason::RefreshReuse);
        // All statements within the time of one.
        in_time(async {
            for _ in 0..TRIES {
                if let Some(next) = next
                    && connections.change(usual).await?
                {
                    return Ok(Verdict::new(Outcome::Rotated, next));
                }
                next = match self.attempt(other, |grant| grant.rotate(&step), Outcome::Ahead, ending).await? {
                    Ok(verdict) => return Ok(verdict),
                    Err(grant) => step.usual(&grant),
                };
            }
            Err(restless())
        })
        .await
    }

    async fn revoke(&self, key: GrantKey, step: Revocation) -> Result<Verdict, DatabaseError> {
        let _changing = self.0.cache.changing(Which::One(key));
        let statement = || rows::revoke(&self.0.statements, &key, &step);
        self.step(statement, |grant| grant.revoke(&step), Outcome::Revoked, (step.now, step.reason)).await
    }

    async fn revoke_all(
        &self,
        issuer: &Issuer,
        holder: &Holder,
        reason: RevocationReason,
        now: UnixTime,
    ) -> Result<usize, DatabaseError> {
        let _changing = self.0.cache.changing(Which::Of(issuer, holder));
        self.end_all(issuer, holder, reason, now).await
    }

    async fn grants(&self, issuer: &Issuer, holder: &Holder) -> Result<Vec<Arc<Grant>>, DatabaseError> {
        let rows = self.0.connections.run(|| rows::held(&self.0.statements, issuer, holder)).await?;
        rows.iter().map(rows::grant).collect()
    }

    async fn once(&self, key: OnceKey, until: UnixTime, now: UnixTime) -> Result<bool, DatabaseError> {
        let seen_by: [u8; 8] = random();
        let see = || {
            let bound = query(&self.0.statements.once).bind(&key.as_bytes()[..]);
            bound.bind(until.as_signed()).bind(now.as_signed()).bind(&seen_by[..])
        };
        Ok(self.0.connections.run(see).await?.len() == 1)
    }

    async fn sweep(&self, issuer: &Issuer, now: UnixTime, idle: Duration) -> Result<usize, DatabaseError> {
        let _changing = self.0.cache.changing(Which::Over(issuer, now, idle));
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
        self.replace(issuer, name, old, new).await
    }

    fn keeps_revocations(&self) -> bool {
        true
    }

    async fn revocations(&self, issuer: &Issuer, now: UnixTime) -> Result<Vec<RevokedTokens>, DatabaseError> {
        self.find_revoked(issuer, now).await
    }

    fn cached(&self, key: GrantKey) -> Option<Arc<Grant>> {
        self.0.cache.cached(key)
    }

    async fn load(&self, key: GrantKey) -> Result<Option<Arc<Grant>>, DatabaseError> {
        self.0.cache.load(key, || self.find(key)).await
    }

    fn use_keys(&self, issuer: &Issuer, ids: &[[u8; 4]], now: UnixTime) -> Result<(), DatabaseError> {
        let Some(id) = self.0.keys.start(issuer, ids)? else { return Ok(()) };
        self.0.to_note.add((issuer.clone(), id, now));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            // Now, so that others know it soon. Where this one fails, whoever writes tries again.
            let store = self.clone();
            runtime.spawn(async move { store.note_keys().await });
        }
        Ok(())
    }

    fn clock_skew(&self) -> Option<Duration> {
        Some(self.0.skew)
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore").field("schema", &self.0.schema).finish_non_exhaustive()
    }
}
