//! The eight steps by which an app gets to act for a user, each request and response printed.
//!
//! ```text
//! cargo run --example walkthrough
//! ```
//!
//! Everything runs in this process but talks over real sockets: the provider (the site of `examples/provider`), an
//! app (`app.rs`, a client written with the crate `oauth2`), and a browser (`browser.rs`). `wire.rs` carries and prints
//! what they say. What is shown is also asserted. Secrets are shortened, and gone when the process ends.

mod app;
mod browser;
#[path = "../provider/page.rs"]
mod page;
#[path = "../provider/sessions.rs"]
mod sessions;
#[path = "../provider/site/mod.rs"]
mod site;
mod wire;

use std::error::Error;
use std::io;

use http::StatusCode;
use tokio::net::TcpListener;
use tower_oauth::{Client, ClientSecret, MemoryStore};

use app::App;
use browser::Browser;
use wire::Wire;

type Problem = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Problem> {
    let (provider_socket, issuer) = socket().await?;
    let (app_socket, app_home) = socket().await?;
    let secret = ClientSecret::generate();
    let redirect_uri = format!("{app_home}/oauth/redirect");

    let client = Client::confidential("customapp", secret.secret())
        .name("CustomApp")
        .redirect_uri(&redirect_uri)
        .scope("profile");
    let provider = site::provider(&issuer, MemoryStore::new(), None, [client], |builder| builder)?;
    tokio::spawn(axum::serve(provider_socket, site::router(&provider, None)).into_future());

    let wire = Wire::new([(&issuer, "provider"), (&app_home, "app")]);
    println!("The app reads in the provider's metadata where the endpoints are.");
    let app = App::discover(wire.clone(), &issuer, secret.secret(), &redirect_uri).await?;
    tokio::spawn(axum::serve(app_socket, app.router()).into_future());

    connect(Browser::new(wire), &app_home).await
}

/// What Bob does with his browser. The last two steps are the app's.
async fn connect(mut browser: Browser, app: &str) -> Result<(), Problem> {
    let bob = site::users().find(|user| user.id == "bob").ok_or("there is no Bob")?;

    step(1, "The user asks the app to connect; the app sends the browser to the provider.");
    let to_provider = browser.get(&format!("{app}/connect")).await?.redirect()?;

    step(2, "The provider checks the request. Nobody is logged in here, so it asks who this is.");
    let to_login = browser.get(&to_provider).await?.redirect()?;
    let login = browser.get(&to_login).await?.page("Log in")?;

    step(3, "The user logs in, and comes back to the same authorization request.");
    let form = [("username", bob.id), ("password", bob.password)];
    let to_consent = browser.submit(&login, &form).await?.redirect()?;

    step(4, "The provider asks the user whether the app may have what it wants.");
    let consent = browser.get(&to_consent).await?.page("Access to your account")?;
    assert!(consent.html.contains("CustomApp asks for access"));
    assert!(consent.html.contains("See your name and user id"));

    step(5, "The user allows it; the provider sends the browser back to the app, with a code.");
    let to_app = browser.submit(&consent, &[("decision", "allow")]).await?.redirect()?;
    assert!(to_app.starts_with(&format!("{app}/oauth/redirect?")));

    step(6, "The browser brings the code to the app, which checks that state and issuer are the right ones.");
    let greeting = browser.get(&to_app).await?;
    assert_eq!(greeting.status, StatusCode::OK, "{}", greeting.text);
    assert_eq!(greeting.text, "Hello, Bob (bob)!");
    println!("\nThe app knows who its user is: {}", greeting.text);
    Ok(())
}

/// A free port of this machine, and the origin that it makes.
async fn socket() -> io::Result<(TcpListener, String)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let origin = format!("http://{}", listener.local_addr()?);
    Ok((listener, origin))
}

fn step(number: u8, what: &str) {
    println!("\n{number}. {what}");
}
