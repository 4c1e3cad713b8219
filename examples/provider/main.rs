//! A site with users that is an OAuth 2.1 provider, and a third-party app that connects to it.
//!
//! ```text
//! cargo run --example provider -- [--listen 127.0.0.1:3000] [--issuer URL] [--store memory] [--secret FILE]
//! cargo run --features sqlite --example provider -- --store sqlite:FILE
//! cargo run --features postgres --example provider -- --store postgres://USER@HOST/DATABASE --secret FILE
//! cargo run --features redis --example provider -- --store redis://127.0.0.1/ --secret FILE
//! cargo run --features jwt --example provider -- --access-token jwt
//! cargo run --features jwt,http-client --example provider
//! ```
//!
//! With `jwt`, clients may prove themselves by a key that they register, and with `http-client` by one that they publish
//! (`jwks_uri`); and they may have their tokens bound to a key (DPoP), of which none has to. With `http-client`, clients that
//! nobody registered may come with the URL of their metadata document as their `client_id`.
//!
//! - `site/` is the provider: login page, consent page, protected API. This is what a user of `tower-oauth` writes.
//! - `customapp/` is somebody else's app. It knows the site only by its address, and has its own port.
//! - `page.rs`, `sessions.rs` and `stop.rs` are what any site has anyway; both parties happen to use them.

mod args;
mod customapp;
mod page;
mod sessions;
mod site;
mod stop;

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use args::{AccessToken, Args, Store};
use axum::Router;
use customapp::CustomApp;
use stop::Stop;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tower_oauth::{Client, MemoryStore, ProviderBuilder, Secrets};

/// Expired grants are forgotten this often.
const SWEEP: Duration = Duration::from_secs(60);
/// How long a stop waits for CustomApp's answers under way, and after them for the provider's.
const LAST_OF_CUSTOMAPP: Duration = Duration::from_secs(2);
const LAST_OF_PROVIDER: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    let args = Args::parse(std::env::args().skip(1))?;
    let listener = listen(args.listen).await?;
    let address = listener.local_addr()?;
    let issuer = args.issuer.unwrap_or_else(|| format!("http://{address}"));

    let customapp = CustomApp::bind(address, &issuer).await;
    let clients = customapp.as_ref().map(|(app, _)| app.as_client());
    let clients = clients.into_iter().chain([command_line()]).chain(resource_server(&issuer, args.access_token));
    let written = access_tokens(args.access_token)?;
    let provider = match args.store {
        Store::Memory => {
            let file = args.secret.unwrap_or_else(|| PathBuf::from("target/provider.secret"));
            site::provider(&issuer, MemoryStore::new(), Some(secrets(&file)?), clients, written)?
        }
        Store::Sqlite(file) => {
            // Without `--secret` it is in a file beside the database.
            let given = args.secret.as_deref().map(secrets).transpose()?;
            site::provider(&issuer, sqlite(&file).await?, given, clients, written)?
        }
        Store::Postgres(url) => {
            let secrets = needed(args.secret.as_deref(), "PostgreSQL")?;
            site::provider(&issuer, postgres(&url, args.cache).await?, Some(secrets), clients, written)?
        }
        Store::Redis(url) => {
            let secrets = needed(args.secret.as_deref(), "Redis")?;
            site::provider(&issuer, redis(&url, args.cache).await?, Some(secrets), clients, written)?
        }
    };
    let _sweeper = provider.sweep_every(SWEEP);
    let home = customapp.as_ref().map(|(app, _)| app.home().to_owned());
    let site = site::router(&provider, home.clone());

    let stop = Stop::listen()?;
    let app = customapp.map(|(app, listener)| {
        let asked = stop.clone().asked();
        tokio::spawn(async move { serve(listener, app.router(), asked, "CustomApp", LAST_OF_CUSTOMAPP).await })
    });
    introduce(&issuer, home.as_deref());
    println!("listening on http://{address}");
    Ok(serve(listener, site, last(stop, app), "the provider", LAST_OF_PROVIDER).await?)
}

/// Answers until `stop`, then takes no more connections and ends with the last answer, or when its time is over.
async fn serve(
    listener: TcpListener,
    app: Router,
    stop: impl Future<Output = ()> + Send + 'static,
    who: &str,
    time: Duration,
) -> io::Result<()> {
    let stopping = Arc::new(Notify::new());
    let begins = Arc::clone(&stopping);
    let stop = async move {
        stop.await;
        begins.notify_one();
    };
    tokio::select! {
        served = axum::serve(listener, app).with_graceful_shutdown(stop) => served,
        () = async { stopping.notified().await; tokio::time::sleep(time).await } => {
            eprintln!("{who} is cut off: its last answers took longer than {time:?}");
            Ok(())
        }
    }
}

/// The provider stops after CustomApp, whose last answers may need it.
async fn last(stop: Stop, app: Option<JoinHandle<io::Result<()>>>) {
    stop.asked().await;
    if let Some(app) = app {
        let _ = app.await;
    }
}

fn secrets(file: &Path) -> Result<Secrets, String> {
    let (secrets, made) = Secrets::open(file).map_err(|error| format!("`--secret`: {error}"))?;
    if made {
        println!("made a new secret: {}", file.display());
    }
    Ok(secrets)
}

/// The secrets of a store that has no place for them.
fn needed(file: Option<&Path>, store: &str) -> Result<Secrets, String> {
    let lacking = || format!("{store} keeps no secret: write `--secret FILE` too, for a file that is made");
    secrets(file.ok_or_else(lacking)?)
}

#[cfg(feature = "sqlite")]
async fn sqlite(file: &Path) -> Result<tower_oauth::SqliteStore, String> {
    let file_and = |error| {
        let file = file.display();
        format!(
            "`--store sqlite:{file}`: {error}: write `--store sqlite:FILE` with a file that is an SQLite database or can be made"
        )
    };
    tower_oauth::SqliteStore::open(file).await.map_err(file_and)
}

#[cfg(not(feature = "sqlite"))]
async fn sqlite(file: &Path) -> Result<MemoryStore, String> {
    let file = file.display();
    Err(format!(
        "built without SQLite: write `cargo run --features sqlite --example provider -- --store sqlite:{file}`"
    ))
}

#[cfg(feature = "postgres")]
async fn postgres(url: &str, cache: Option<Duration>) -> Result<tower_oauth::PostgresStore, String> {
    let open = tower_oauth::PostgresStore::connect(url).migrate();
    // The URL may have a password, so it is not said again.
    cache.into_iter().fold(open, |open, cache| open.cache(cache)).await.map_err(|error| {
        format!("`--store postgres://..`: {error}: write `--store postgres://USER@HOST/DATABASE` with a database that is there")
    })
}

#[cfg(not(feature = "postgres"))]
async fn postgres(_: &str, _: Option<Duration>) -> Result<MemoryStore, String> {
    Err("built without PostgreSQL: write `cargo run --features postgres --example provider -- --store postgres://..`"
        .to_owned())
}

#[cfg(feature = "redis")]
async fn redis(url: &str, cache: Option<Duration>) -> Result<tower_oauth::RedisStore, String> {
    // The URL may have a password.
    let and_url = |error| format!("`--store redis:..`: {error}: write for example `--store redis://127.0.0.1:6379/`");
    let open = tower_oauth::RedisStore::connect(url);
    cache.into_iter().fold(open, |open, cache| open.cache(cache)).await.map_err(and_url)
}

#[cfg(not(feature = "redis"))]
async fn redis(_url: &str, _: Option<Duration>) -> Result<MemoryStore, String> {
    Err("built without Redis: write `cargo run --features redis --example provider -- --store redis://..`".to_owned())
}

/// How access tokens are written.
#[cfg(feature = "jwt")]
fn access_tokens(format: AccessToken) -> Result<fn(ProviderBuilder) -> ProviderBuilder, String> {
    Ok(match format {
        AccessToken::Handle => |builder| builder,
        // Whoever verifies JWTs apart from the provider can ask what was revoked.
        AccessToken::Jwt => {
            |builder| builder.access_token_format(tower_oauth::AccessTokenFormat::Jwt).revocation_feed()
        }
    })
}

#[cfg(not(feature = "jwt"))]
fn access_tokens(format: AccessToken) -> Result<fn(ProviderBuilder) -> ProviderBuilder, String> {
    match format {
        AccessToken::Handle => Ok(|builder| builder),
        AccessToken::Jwt => {
            Err("built without JWTs: write `cargo run --features jwt --example provider -- --access-token jwt`"
                .to_owned())
        }
    }
}

/// A client for whoever wants to try the endpoints by hand: any port of this machine may be its redirect URI.
fn command_line() -> Client {
    Client::public("cli")
        .name("Command line")
        .redirect_uri("http://127.0.0.1/callback")
        .redirect_uri("http://[::1]/callback")
        .redirect_uri("http://localhost/callback")
}

/// An API apart from the provider, `examples/resource_server.rs`. That everybody knows its secret is for an example alone.
fn resource_server(issuer: &str, format: AccessToken) -> Option<Client> {
    let server = || Client::resource_server("api", "the-secret-of-the-api-of-this-example", issuer);
    matches!(format, AccessToken::Jwt).then(server)
}

/// On Unix tokio sets `SO_REUSEADDR`, so that the port can be had again right after a crash.
async fn listen(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "{address} is taken: write `--listen {}` for a free port, or another one",
            SocketAddr::new(address.ip(), 0)
        ),
        _ => format!("cannot listen on {address}: {error}"),
    })
}

fn introduce(issuer: &str, customapp: Option<&str>) {
    let users: Vec<_> = site::users().map(|user| format!("{} / {}", user.id, user.password)).collect();
    println!("users:     {}", users.join(", "));
    println!("provider:  {issuer}");
    match customapp {
        Some(home) => println!("CustomApp: {home}\n\nopen {home} and connect an account\n"),
        None => println!("CustomApp: found no port to listen on and stays away\n\nopen {issuer}\n"),
    }
}
