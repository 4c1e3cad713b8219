//! `RedisStore` beside a script of one `HMGET` and one `HSET`, and beside an `HGETALL`, in the same Redis.

#[path = "../../../tests/support/redis.rs"]
mod server;

use std::time::Duration;

use redis::{
    Client, Script, Value,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use tower_oauth::{GrantKey, RedisStore, Rotation};

use self::server::Server;
use super::{
    Problem, SIZES,
    bench::{Bar, Bench, Floor},
    grants::{Known, fill},
};

pub(super) async fn measure(step: &Rotation, bar: &mut Bar) -> Result<(), Problem> {
    // It answers when what it changed is on the disk.
    let server = Server::start();
    for count in SIZES {
        let prefix = format!("of_{count}:");
        let store = RedisStore::connect(server.url()).prefix(&*prefix).await?;
        let grants = fill(&store, count, step).await?;
        let floor = Bare::connect(&server, &prefix).await?;
        floor.copy(&prefix, &grants).await?;
        let bench = Bench { store, floor, grants, step: step.clone() };
        bar.hold(&format!("Redis, {count} grants"), ["HMGET and HSET", "HGETALL"], &bench).await?;
    }
    Ok(())
}

/// One connection that all callers share, as the store has it.
#[derive(Clone)]
struct Bare {
    connection: ConnectionManager,
    script: Script,
    prefix: String,
}

/// What a rotation looks at, and what it changes.
const SCRIPT: &str = "local seen = redis.call('HMGET', KEYS[1], 'generation', 'revoked_at')
redis.call('HSET', KEYS[1], 'generation', string.format('%.0f', seen[1] + 1), 'rotated_at', ARGV[1])
return 1";

impl Bare {
    async fn connect(server: &Server, prefix: &str) -> Result<Self, Problem> {
        // A disk that others use as well takes its time.
        let patient = ConnectionManagerConfig::new().set_response_timeout(Some(Duration::from_secs(10)));
        let connection = ConnectionManager::new_with_config(Client::open(server.url())?, patient).await?;
        Ok(Self { connection, script: Script::new(SCRIPT), prefix: format!("bare_{prefix}") })
    }

    /// Copies the grants, so that the store finds its own as it left them.
    async fn copy(&self, prefix: &str, grants: &[Known]) -> Result<(), Problem> {
        for some in grants.chunks(1_000) {
            let mut commands = redis::pipe();
            for grant in some {
                commands.cmd("COPY").arg(name(prefix, grant.key)).arg(name(&self.prefix, grant.key));
            }
            let copied: Vec<bool> = commands.query_async(&mut self.connection.clone()).await?;
            if copied.contains(&false) {
                return Err("a grant is not where the store keeps it".into());
            }
        }
        Ok(())
    }
}

/// Where the store keeps a grant.
fn name(prefix: &str, key: GrantKey) -> String {
    let text = key.to_string();
    format!("{prefix}grant:{{{}}}{text}", &text[..1])
}

impl Floor for Bare {
    async fn write(&self, key: GrantKey) -> Result<(), Problem> {
        let mut call = self.script.key(name(&self.prefix, key));
        let done: u32 = call.arg(1_800_000_000_u64).invoke_async(&mut self.connection.clone()).await?;
        if done == 1 { Ok(()) } else { Err("a record is missing".into()) }
    }

    async fn read(&self, key: GrantKey) -> Result<(), Problem> {
        let mut ask = redis::cmd("HGETALL");
        ask.arg(name(&self.prefix, key));
        // As it comes: what its parts are is for the store to say.
        let found: Value = ask.query_async(&mut self.connection.clone()).await?;
        if found.as_map_iter().is_none_or(|mut fields| fields.next().is_none()) {
            return Err("a record is missing".into());
        }
        Ok(())
    }
}
