//! The command line: six options, none of them needed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

const USAGE: &str = "the options are --listen 127.0.0.1:PORT, --issuer URL, --store memory, sqlite:FILE, \
                     postgres://USER@HOST/DATABASE or redis://HOST, --cache SECONDS, --secret FILE, and --access-token \
                     handle or jwt";

pub(crate) struct Args {
    pub(crate) listen: SocketAddr,
    /// The origin that is listened on, unless given.
    pub(crate) issuer: Option<String>,
    pub(crate) store: Store,
    /// For how long PostgreSQL or Redis is not asked again about a token; the store's own default, unless given.
    pub(crate) cache: Option<Duration>,
    /// Where a store has no place of its own for it, `target/provider.secret`, unless given.
    pub(crate) secret: Option<PathBuf>,
    /// How access tokens are written, `handle` unless given.
    pub(crate) access_token: AccessToken,
}

#[derive(Clone, Copy)]
pub(crate) enum AccessToken {
    Handle,
    Jwt,
}

/// Where clients and grants are kept.
pub(crate) enum Store {
    Memory,
    Sqlite(PathBuf),
    /// By its URL.
    Postgres(String),
    Redis(String),
}

impl Args {
    /// Reads `--name value` and `--name=value`; the last one of a name holds.
    pub(crate) fn parse(args: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let mut parsed = Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 3000)),
            issuer: None,
            store: Store::Memory,
            cache: None,
            secret: None,
            access_token: AccessToken::Handle,
        };
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let (name, value) = match arg.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (arg, None),
            };
            if !["--listen", "--issuer", "--store", "--cache", "--secret", "--access-token"].contains(&name.as_str()) {
                return Err(format!("unknown option `{name}`: {USAGE}"));
            }
            let value = value
                .or_else(|| args.next())
                .filter(|value| !value.is_empty())
                .ok_or_else(|| format!("`{name}` needs a value: {USAGE}"))?;
            parsed.set(&name, value)?;
        }
        Ok(parsed)
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        match name {
            "--listen" => self.listen = address(&value)?,
            "--issuer" => self.issuer = Some(value),
            "--store" => self.store = store(&value)?,
            "--cache" => self.cache = Some(seconds(&value)?),
            "--access-token" => self.access_token = access_token(&value)?,
            _ => self.secret = Some(value.into()),
        }
        Ok(())
    }
}

fn address(value: &str) -> Result<SocketAddr, String> {
    value
        .parse()
        .map_err(|_| format!("`--listen {value}` is no address and port: write for example `--listen 127.0.0.1:3000`"))
}

fn access_token(value: &str) -> Result<AccessToken, String> {
    match value {
        "handle" => Ok(AccessToken::Handle),
        "jwt" => Ok(AccessToken::Jwt),
        _ => Err(format!("`--access-token {value}` is none: write `--access-token handle` or `--access-token jwt`")),
    }
}

fn seconds(value: &str) -> Result<Duration, String> {
    let seconds = value
        .parse()
        .map_err(|_| format!("`--cache {value}` is no number of seconds: write for example `--cache 0`"))?;
    Ok(Duration::from_secs(seconds))
}

fn store(value: &str) -> Result<Store, String> {
    match value.split_once(':') {
        None if value == "memory" => Ok(Store::Memory),
        Some(("sqlite", file)) if !file.is_empty() => Ok(Store::Sqlite(file.into())),
        Some(("postgres" | "postgresql", server)) if server.starts_with("//") => Ok(Store::Postgres(value.to_owned())),
        Some(("redis", server)) if server.starts_with("//") => Ok(Store::Redis(value.to_owned())),
        _ => Err(format!(
            "`--store {value}` is none: write `--store memory` or for example `--store sqlite:target/provider.db`"
        )),
    }
}
