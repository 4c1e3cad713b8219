//! How commands get to Redis: all of a step in one round trip, once more where the connection was lost, and with an
//! acknowledgement of the replicas where that is asked for.

use std::time::Duration;

use redis::aio::ConnectionManager;
use redis::{Cmd, ErrorKind, Pipeline, RedisError, ServerErrorKind, Value};

use super::scripts::Form;
use super::{DatabaseError, rows};
use crate::grant::{Outcome, Refused, RevocationReason, Verdict};
use crate::handle::GrantKey;
use crate::types::UnixTime;

/// How long the replicas may take to acknowledge.
const ACKNOWLEDGE: Duration = Duration::from_secs(1);

pub(super) struct Calls {
    /// For what waits for nobody.
    pub(super) connection: ConnectionManager,
    /// Whoever waits for replicas holds up all that is behind it on the same connection.
    pub(super) waiting: ConnectionManager,
    pub(super) replicas: usize,
    /// What is written so that there is something to wait for.
    pub(super) wait: String,
}

/// What came back for the commands whose answers are not ignored, in their order.
pub(super) struct Answer {
    pub(super) values: Vec<Value>,
    /// Whether the connection was lost before an answer came, so that the commands may have been run before.
    pub(super) repeated: bool,
    /// Whether enough replicas have what was written.
    pub(super) acknowledged: Result<(), DatabaseError>,
}

impl Answer {
    /// The answer to the last command.
    pub(super) fn last(mut self) -> Value {
        self.values.pop().unwrap_or_default()
    }

    /// Whether the last command did what it is for, which is 1, and enough replicas have that.
    pub(super) fn done(mut self) -> Result<bool, DatabaseError> {
        let done: u8 = redis::from_redis_value(self.values.pop().unwrap_or_default()).map_err(RedisError::from)?;
        if done == 1 { self.acknowledged.map(|()| true) } else { Ok(false) }
    }

    /// What a step came to that ends a grant with `outcome`, at this time and for this reason.
    pub(super) fn verdict(
        &mut self,
        key: GrantKey,
        outcome: Outcome,
        ending: (UnixTime, RevocationReason),
    ) -> Result<Verdict, DatabaseError> {
        let mut verdict = rows::verdict(key, self.values.pop().unwrap_or_default())?;
        let ended = verdict.grant.as_ref().and_then(|grant| grant.revoked());
        if self.repeated && verdict.outcome == Outcome::Refused(Refused::Revoked) && ended == Some(ending) {
            // By this step itself, whose first answer was lost.
            verdict.outcome = outcome;
        }
        Ok(verdict)
    }
}

impl Calls {
    pub(super) async fn send(&self, commands: impl Fn(Form) -> Pipeline) -> Result<Answer, DatabaseError> {
        let (values, repeated) = self.run(&self.connection, |form, _| commands(form)).await?;
        Ok(Answer { values, repeated, acknowledged: Ok(()) })
    }

    /// The same, and the replicas are waited for.
    pub(super) async fn send_durably(&self, commands: impl Fn(Form) -> Pipeline) -> Result<Answer, DatabaseError> {
        if self.replicas == 0 {
            return self.send(commands).await;
        }
        let and_wait = |form, repeated| {
            let mut commands = commands(form);
            if repeated {
                commands.add_command(self.behind()).ignore();
            }
            commands.cmd("WAIT").arg(self.replicas).arg(ACKNOWLEDGE.as_millis() as u64);
            commands
        };
        let (mut values, repeated) = self.run(&self.waiting, and_wait).await?;
        let count: usize = redis::from_redis_value(values.pop().unwrap_or_default()).map_err(RedisError::from)?;
        let acknowledged = if count >= self.replicas { Ok(()) } else { Err(self.too_few(count)) };
        Ok(Answer { values, repeated, acknowledged })
    }

    /// Waits for what was written before, whoever wrote it: for what an answer says and this call did not write.
    pub(super) async fn settle(&self) -> Result<(), DatabaseError> {
        if self.replicas == 0 {
            return Ok(());
        }
        self.send_durably(|_| all([self.behind()])).await?.acknowledged
    }

    /// A connection waits for what it wrote itself. Where another one wrote it before, this is written behind it.
    fn behind(&self) -> Cmd {
        let mut behind = redis::cmd("SET");
        behind.arg(&self.wait).arg("");
        behind
    }

    fn too_few(&self, count: usize) -> DatabaseError {
        DatabaseError::refused(format!("{count} of the {} replicas acknowledged it in time", self.replicas))
    }

    async fn run(
        &self,
        connection: &ConnectionManager,
        commands: impl Fn(Form, bool) -> Pipeline,
    ) -> Result<(Vec<Value>, bool), DatabaseError> {
        let mut connection = connection.clone();
        let (mut form, mut repeated, mut doubtful) = (Form::Digest, false, false);
        loop {
            let mut commands = commands(form, repeated);
            if doubtful {
                commands.cmd("INFO").arg("replication");
            }
            match ask(&commands, &mut connection).await {
                Ok(values) if !doubtful => {
                    if !values.iter().any(tells_of_nothing) {
                        return Ok((values, repeated));
                    }
                    doubtful = true;
                }
                Ok(mut values) => match check_role(&values.pop().unwrap_or_default()) {
                    Ok(()) => return Ok((values, repeated)),
                    Err(error) if repeated => return Err(error),
                    Err(_) => {
                        leave(&mut connection).await;
                        repeated = true;
                    }
                },
                Err(error) if is_unknown_script(&error) && form == Form::Digest => form = Form::Source,
                Err(error) if error.is_connection_dropped() && !repeated => repeated = true,
                Err(error) if is_of_a_replica(&error) && !repeated => {
                    leave(&mut connection).await;
                    repeated = true;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// A single command is cheaper by itself.
async fn ask(commands: &Pipeline, connection: &mut ConnectionManager) -> Result<Vec<Value>, RedisError> {
    let mut each = commands.cmd_iter();
    match (each.next(), each.next()) {
        (Some(one), None) => Ok(vec![one.query_async(connection).await?]),
        _ => commands.query_async(connection).await,
    }
}

/// That there is nothing is believed of a primary alone: one that became a replica may have been emptied, to be filled
/// anew. So it is asked once more, together with what it is.
fn tells_of_nothing(answer: &Value) -> bool {
    match answer {
        // A cursor is before what it found, and a script's outcome behind the record.
        Value::Array(values) if values.len() != 1 => values.iter().filter(|value| !is_empty(value)).count() <= 1,
        answer => is_empty(answer),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Nil => true,
        Value::Array(values) | Value::Set(values) => values.is_empty(),
        Value::Map(values) => values.is_empty(),
        _ => false,
    }
}

/// A replica takes no writes, and answers what was true a moment ago. `replication` is that part of `INFO`.
pub(super) fn check_role(replication: &Value) -> Result<(), DatabaseError> {
    let replication: String = redis::from_redis_value_ref(replication).map_err(RedisError::from)?;
    if replication.lines().any(|line| line.trim() == "role:slave") {
        return Err(DatabaseError::refused("this Redis is a replica: connect to its primary"));
    }
    Ok(())
}

fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

/// What was the primary has become a replica, and another one is behind its name.
fn is_of_a_replica(error: &RedisError) -> bool {
    let replica = [ServerErrorKind::ReadOnly, ServerErrorKind::MasterDown].map(ErrorKind::Server);
    // Before Redis 7 a script tells it within an error of its own.
    replica.contains(&error.kind()) || error.to_string().contains("READONLY")
}

/// Whoever stays connected to a replica never gets to the primary. A connection that is found closed is made again.
async fn leave(connection: &mut ConnectionManager) {
    for command in ["QUIT", "PING"] {
        let _: Result<Value, _> = redis::cmd(command).query_async(connection).await;
    }
}

/// One command, or many.
pub(super) fn all(commands: impl IntoIterator<Item = Cmd>) -> Pipeline {
    let mut pipeline = redis::pipe();
    commands.into_iter().for_each(|command| {
        pipeline.add_command(command);
    });
    pipeline
}
