//! Logging in and out.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{Form, FromRequestParts, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use http::request::Parts;
use serde::Deserialize;
use tower_oauth::{AuthorizationRequest, Clock, SystemClock};

use super::users::{self, User};
use super::{Site, pages};
use crate::sessions::{SessionId, Sessions};

const LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

/// How users prove who they are here.
pub(super) const PASSWORD: &str = "password";

/// What the forms are for: the token of a form is good for its purpose and its session only.
const LOG_IN: &str = "login";
pub(super) const LOG_OUT: &str = "logout";

pub(super) type Logins = Sessions<Login>;

#[derive(Clone)]
pub(super) struct Login {
    pub(super) user: &'static User,
    pub(super) at: SystemTime,
}

/// Whoever sent the request: a browser, and who logged in with it.
pub(super) struct Visitor {
    pub(super) session: SessionId,
    pub(super) login: Option<Login>,
}

impl FromRequestParts<Site> for Visitor {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Infallible> {
        let (session, login) = site.logins.of(&parts.headers);
        Ok(Self { session, login })
    }
}

/// With TLS, the prefix keeps neighbouring hosts from planting a cookie of this name.
pub(super) fn logins(issuer: &str) -> Logins {
    match issuer.starts_with("https://") {
        true => Sessions::new("__Host-session", true, LIFETIME),
        false => Sessions::new("session", false, LIFETIME),
    }
}

pub(super) fn routes() -> Router<Site> {
    Router::new().route("/login", get(ask).post(log_in)).route("/logout", post(log_out))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Errand {
    /// Where to go afterwards.
    return_to: String,
    /// Who is expected to log in.
    login_hint: String,
}

/// Sends the browser to log in, and then back to the same authorization request.
pub(super) fn before(request: &AuthorizationRequest) -> Redirect {
    Redirect::to(&link(&request.resume_url(), request.login_hint()))
}

/// The login page that afterwards leads to `return_to`.
pub(super) fn link(return_to: &str, login_hint: Option<&str>) -> String {
    let mut query = vec![("return_to", return_to)];
    query.extend(login_hint.map(|hint| ("login_hint", hint)));
    let query = serde_urlencoded::to_string(query).expect("strings are encodable");
    format!("/login?{query}")
}

async fn ask(State(site): State<Site>, visitor: Visitor, Query(errand): Query<Errand>) -> impl IntoResponse {
    let token = site.provider.form_token(&visitor.session, LOG_IN);
    let cookie = site.logins.cookie(&visitor.session);
    (cookie, pages::login(&token, &errand.login_hint))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Credentials {
    form_token: String,
    username: String,
    password: String,
}

async fn log_in(
    State(site): State<Site>,
    visitor: Visitor,
    Query(errand): Query<Errand>,
    Form(form): Form<Credentials>,
) -> Response {
    if !site.provider.check_form_token(&visitor.session, LOG_IN, &form.form_token) {
        return pages::refused().into_response();
    }
    let Some(user) = users::authenticate(&form.username, &form.password) else {
        return pages::login_failed(&form.form_token).into_response();
    };
    // A new id: nobody who knew the old one, or planted it, shares this login.
    site.logins.end(&visitor.session);
    let session = site.logins.begin(Login { user, at: SystemClock.now() });
    (site.logins.cookie(&session), Redirect::to(local(&errand.return_to))).into_response()
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LogOut {
    form_token: String,
}

async fn log_out(State(site): State<Site>, visitor: Visitor, Form(form): Form<LogOut>) -> Response {
    if !site.provider.check_form_token(&visitor.session, LOG_OUT, &form.form_token) {
        return pages::refused().into_response();
    }
    site.logins.end(&visitor.session);
    (site.logins.cookie(&SessionId::random()), Redirect::to("/")).into_response()
}

/// `target`, if it is a path of this site without doubt, else the home page.
///
/// This site's own paths need no escapes; without them there is nothing that a browser could read as another host
/// (`//host`, `/\host`, `/%5Chost`, `/.//host`). In the query an escape means nothing of that kind.
fn local(target: &str) -> &str {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    let good = path.starts_with('/')
        && !path.contains("//")
        && path.bytes().all(plain)
        && target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if good { target } else { "/" }
}
