//! The scripts that Redis runs as one step each.

use std::sync::OnceLock;

use redis::Cmd;

/// A script, and the digest that Redis knows it by.
pub(super) struct Script {
    source: &'static str,
    digest: OnceLock<String>,
}

/// How a script is named to Redis.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// By its digest: 40 bytes.
    Digest,
    /// By its source: Redis, which was restarted or told to flush, does not know it any more.
    Source,
}

macro_rules! on_a_record {
    ($file:literal) => {
        Script::new(concat!(include_str!("lua/record.lua"), include_str!($file)))
    };
}

pub(super) static CREATE: Script = Script::new(include_str!("lua/create.lua"));
pub(super) static REDEEM: Script = on_a_record!("lua/redeem.lua");
pub(super) static ADVANCE: Script = Script::new(include_str!("lua/advance.lua"));
pub(super) static ROTATE: Script = on_a_record!("lua/rotate.lua");
pub(super) static REVOKE: Script = on_a_record!("lua/revoke.lua");
pub(super) static SWEEP: Script = on_a_record!("lua/sweep.lua");
pub(super) static ONCE: Script = Script::new(include_str!("lua/once.lua"));
pub(super) static REGISTER: Script = Script::new(include_str!("lua/register.lua"));
pub(super) static REPLACE_CLIENT: Script = Script::new(include_str!("lua/replace_client.lua"));
pub(super) static KEEP_CLIENT: Script = Script::new(include_str!("lua/keep_client.lua"));
pub(super) static FORGET_CLIENT: Script = Script::new(include_str!("lua/forget_client.lua"));

pub(super) static REPLACE_DOCUMENT: Script = Script::new(include_str!("lua/replace_document.lua"));

pub(super) static ALL: [&Script; 12] = [
    &CREATE,
    &REDEEM,
    &ADVANCE,
    &ROTATE,
    &REVOKE,
    &SWEEP,
    &ONCE,
    &REGISTER,
    &REPLACE_CLIENT,
    &KEEP_CLIENT,
    &FORGET_CLIENT,
    &REPLACE_DOCUMENT,
];

impl Script {
    const fn new(source: &'static str) -> Self {
        Self { source, digest: OnceLock::new() }
    }

    /// A call of it; its arguments are added.
    pub(super) fn on(&self, form: Form, keys: &[&str]) -> Cmd {
        let mut call = match form {
            Form::Digest => {
                let digest = self.digest.get_or_init(|| redis::Script::new(self.source).get_hash().to_owned());
                let mut call = redis::cmd("EVALSHA");
                call.arg(digest);
                call
            }
            Form::Source => {
                let mut call = redis::cmd("EVAL");
                call.arg(self.source);
                call
            }
        };
        call.arg(keys.len()).arg(keys);
        call
    }

    /// Makes it known to Redis.
    pub(super) fn load(&self) -> Cmd {
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg(self.source);
        load
    }
}
