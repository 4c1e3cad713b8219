//! CustomApp: somebody else's app, whose users connect their account at the provider.
//!
//! It shares nothing with the provider but a process and a look. What it knows is the provider's address, its own
//! client id and secret, and the documentation of the API.

mod connection;
mod oauth;
mod pages;
mod steps;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use http::HeaderMap;
use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tower_http::csrf::CsrfLayer;
use tower_oauth::{Client, ClientSecret};

use self::connection::Connection;
use self::oauth::{Answer, OAuth, Pending, Problem};
use crate::page::assets;
use crate::sessions::Sessions;

const CLIENT_ID: &str = "customapp";
const REDIRECT_PATH: &str = "/oauth/redirect";
const LIFETIME: Duration = Duration::from_secs(60 * 60);

/// What a browser has got to.
#[derive(Clone)]
enum Visit {
    /// It was sent to the provider, and has not come back.
    Connecting(Arc<Pending>),
    /// One wish at a time: each refresh token is good for one use.
    Connected(Arc<Mutex<Connection>>),
}

/// What a user asks for on the page of a connected account.
#[derive(Clone, Copy)]
enum Wish {
    Stay,
    Disconnect,
}

#[derive(Clone)]
pub(crate) struct CustomApp {
    home: Arc<str>,
    oauth: Arc<OAuth>,
    visits: Arc<Sessions<Visit>>,
}

impl CustomApp {
    /// Listens beside the provider, on the next port or any other. `None` where there is no port to be had.
    pub(crate) async fn bind(provider: SocketAddr, issuer: &str) -> Option<(Self, TcpListener)> {
        let next = provider.port().checked_add(1).unwrap_or(0);
        let listener = match TcpListener::bind((provider.ip(), next)).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind((provider.ip(), 0)).await.ok()?,
        };
        let home = format!("http://{}", listener.local_addr().ok()?);
        let redirect_uri = format!("{home}{REDIRECT_PATH}");
        let secret = ClientSecret::generate();
        let app = Self {
            oauth: Arc::new(OAuth::new(issuer, CLIENT_ID, secret.secret(), redirect_uri)),
            visits: Arc::new(Sessions::new("customapp", false, LIFETIME)),
            home: home.into(),
        };
        Some((app, listener))
    }

    pub(crate) fn home(&self) -> &str {
        &self.home
    }

    /// How the app is registered at the provider: written anew, with a new secret, at each start.
    pub(crate) fn as_client(&self) -> Client {
        Client::confidential(CLIENT_ID, self.oauth.client_secret())
            .name("CustomApp")
            .redirect_uri(self.oauth.redirect_uri())
            .scope("profile")
    }

    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/", get(home))
            .route("/connect", get(connect))
            .route(REDIRECT_PATH, get(connected))
            .route("/stay", post(|app, headers| act(app, headers, Wish::Stay)))
            .route("/disconnect", post(|app, headers| act(app, headers, Wish::Disconnect)))
            .merge(assets("#0b6b4b"))
            // Refuses the forms that another site makes a browser send; the provider on the next port is another one.
            .layer(CsrfLayer::new().with_rejection_response(|_| pages::refused().into_response()))
            .with_state(self)
    }
}

async fn home(State(app): State<CustomApp>, headers: HeaderMap) -> impl IntoResponse {
    match app.visits.of(&headers).1 {
        Some(Visit::Connected(connection)) => {
            let connection = connection.lock().await;
            if connection.is_over() { pages::over(&connection) } else { pages::profile(&connection) }
        }
        _ => pages::welcome(app.oauth.issuer()),
    }
}

/// Sends the browser to the provider. What must still be known when it comes back is kept in its session.
async fn connect(State(app): State<CustomApp>, headers: HeaderMap) -> Response {
    match app.oauth.begin().await {
        Ok((url, pending)) => {
            app.visits.end(&app.visits.of(&headers).0);
            let session = app.visits.begin(Visit::Connecting(Arc::new(pending)));
            (app.visits.cookie(&session), Redirect::to(&url)).into_response()
        }
        Err(problem) => pages::failed(&problem).into_response(),
    }
}

async fn connected(State(app): State<CustomApp>, headers: HeaderMap, Query(answer): Query<Answer>) -> Response {
    match finish(&app, &headers, &answer).await {
        Ok(connection) => {
            let session = app.visits.begin(Visit::Connected(Arc::new(Mutex::new(connection))));
            (app.visits.cookie(&session), Redirect::to("/")).into_response()
        }
        Err(problem) => pages::failed(&problem).into_response(),
    }
}

async fn finish(app: &CustomApp, headers: &HeaderMap, answer: &Answer) -> Result<Connection, Problem> {
    let (session, Some(Visit::Connecting(pending))) = app.visits.of(headers) else {
        return Err("this browser did not begin to connect, or did so long ago".into());
    };
    let code = answer.check(&pending)?;
    // From here on the answer has been used, whatever comes of it.
    app.visits.end(&session);
    app.oauth.finish(&pending, code).await
}

/// Does what the user asks for, and shows the page again.
async fn act(State(app): State<CustomApp>, headers: HeaderMap, wish: Wish) -> Response {
    let Some(Visit::Connected(connection)) = app.visits.of(&headers).1 else {
        return Redirect::to("/").into_response();
    };
    // A browser that goes away cancels nothing: the refresh token would be used, and the new one lost.
    let done = tokio::spawn(async move {
        let mut connection = connection.lock().await;
        match wish {
            Wish::Stay => app.oauth.stay(&mut connection).await,
            Wish::Disconnect => app.oauth.disconnect(&mut connection).await,
        }
    });
    match done.await.map_err(Problem::from).and_then(|done| done) {
        Ok(()) => Redirect::to("/").into_response(),
        Err(problem) => pages::not_done(&problem).into_response(),
    }
}
