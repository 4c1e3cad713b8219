//! The words and forms of the site.
//!
//! Everything a client or a user wrote goes through [`escape`]. The forms of login and consent have no `action`: they
//! go to the address of their page, query included, which is where the authorization request is.

use std::fmt::Display;

use http::StatusCode;
use tower_oauth::{AuthorizationRequest, Client, ErrorCode, ProtocolError, escape};

use super::login::{self, Login};
use super::users::User;
use crate::page::{Page, frame};

const BRAND: &str = "Shift";

fn page(title: &str, main: String) -> Page {
    Page::new(BRAND, title, main)
}

/// A page that was not made here, which begins as this site's pages do and leads back to them.
pub(super) fn framed(html: &str) -> String {
    let back = r#"<p><a href="/">Back to your account</a></p></main>"#;
    html.replacen("<body>", &frame(BRAND), 1).replacen("</main>", back, 1)
}

/// The field that binds a form to the session it was shown in.
fn form_token(token: &str) -> String {
    format!(r#"<input type="hidden" name="form_token" value="{}">"#, escape(token))
}

fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: String = items.into_iter().map(|item| format!("<li>{item}</li>")).collect();
    format!("<ul>{items}</ul>")
}

pub(super) fn login(token: &str, name: &str) -> Page {
    login_form(token, name, "")
}

/// The same for a user who does not exist and for a wrong password, to the byte: the name is not repeated.
pub(super) fn login_failed(token: &str) -> Page {
    let alert = r#"<p class="alert" role="alert">This name and password do not belong together. Please try again.</p>"#;
    login_form(token, "", alert).status(StatusCode::FORBIDDEN)
}

fn login_form(token: &str, name: &str, alert: &str) -> Page {
    let main = format!(
        r#"<h1>Log in</h1>
<p>Use your {BRAND} account.</p>
{alert}
<form method="post">
{token}
<label for="username">Name</label>
<input id="username" name="username" type="text" value="{name}"
  autocomplete="username" autocapitalize="none" spellcheck="false" required autofocus>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<button>Log in</button>
</form>"#,
        token = form_token(token),
        name = escape(name),
    );
    page("Log in", main)
}

pub(super) fn consent(request: &AuthorizationRequest, login: &Login, token: &str) -> Page {
    let main = format!(
        r#"<h1>{client} asks for access</h1>
{stranger}
<p>You are logged in as <strong>{user}</strong>. <a href="{switch}">Not you?</a></p>
<p>If you allow it, {client} can:</p>
{scopes}
<p class="note">You will be sent on to <strong>{host}</strong>.
You can end this access at any time on your account page.</p>
<form method="post">
{token}
<div class="choice">
<button name="decision" value="deny" class="quiet">Deny</button>
<button name="decision" value="allow">Allow</button>
</div>
</form>"#,
        client = escape(request.client().client_name()),
        stranger = stranger(request.client()),
        user = escape(login.user.name),
        switch = escape(&login::link(&request.resume_url(), None)),
        scopes = list(request.scopes().map(|(_, meaning)| escape(meaning))),
        host = escape(request.redirect_host()),
        token = form_token(token),
    );
    page("Access to your account", main)
}

/// Who says what this app is called, where nobody here has looked at it.
fn stranger(client: &Client) -> String {
    let Some(host) = client.document_host() else { return String::new() };
    let mut text = format!(
        r#"<p class="note">This app comes from <strong>{}</strong>, and nobody here has looked at it.</p>"#,
        escape(host)
    );
    if client.is_loopback_only() {
        text += r#"<p class="alert" role="alert">It runs on your own device, where any app can use its name.
Allow this only if you have just started it yourself.</p>"#;
    }
    text
}

pub(super) fn welcome(customapp: Option<&str>) -> Page {
    let main = format!(
        r#"<h1>Welcome to {BRAND}</h1>
<p>Your notes, and the apps that may use them.</p>
<p><a class="button" href="/login">Log in</a></p>
{}"#,
        invitation(customapp),
    );
    page("Welcome", main)
}

pub(super) fn account(user: &User, apps: &str, customapp: Option<&str>, log_out: &str) -> Page {
    let main = format!(
        r#"<h1>Hello, {name}</h1>
<p><a class="button" href="{apps}">Apps with access to your account</a></p>
{invitation}
<form method="post" action="/logout">
{log_out}
<button class="quiet">Log out</button>
</form>"#,
        name = escape(user.name),
        invitation = invitation(customapp),
        log_out = form_token(log_out),
    );
    page("Your account", main)
}

fn invitation(customapp: Option<&str>) -> String {
    customapp.map_or_else(String::new, |home| {
        format!(r#"<p class="note">To connect an app, open <a href="{home}">CustomApp</a>.</p>"#, home = escape(home))
    })
}

/// A form that another site sent, or of another session, or of one that is over.
pub(super) fn refused() -> Page {
    let main = r#"<h1>This form is no longer good</h1>
<p>It does not belong to the session of this browser: you may have logged in or out since it was shown.
Nothing was changed.</p>
<p>Go back to where you came from, reload the page, and try again.</p>"#;
    page("Refused", main.into()).status(StatusCode::FORBIDDEN)
}

pub(super) fn unavailable() -> Page {
    let main = r#"<h1>Not now</h1>
<p>This is our fault. Please try again in a moment.</p>"#;
    page("Not now", main.into()).status(StatusCode::SERVICE_UNAVAILABLE)
}

/// What the provider cannot answer to the app that asks, because it may not be the app. Nothing of the request is
/// repeated.
pub(super) fn not_authorized(error: &ProtocolError) -> Page {
    if matches!(error.code(), ErrorCode::TemporarilyUnavailable | ErrorCode::ServerError) {
        return unavailable();
    }
    let main = format!(
        r#"<h1>This does not work</h1>
<p>What this browser was sent here with cannot be answered: {}.</p>
<p>Nothing was changed. If an app sent you here, its makers should know.</p>"#,
        error.description(),
    );
    page("This does not work", main)
}
