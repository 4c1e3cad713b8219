//! The page that asks the user: yours has a login, and a session.

use axum::Form;
use axum::response::Html;
use serde::Deserialize;
use tower_oauth::{Approval, AuthorizationRequest, Denial, escape};

#[derive(Deserialize)]
pub(crate) struct Choice {
    user: String,
    allow: bool,
}

pub(crate) async fn ask(request: AuthorizationRequest) -> Html<String> {
    let wants: String = request.scopes().map(|(_, meaning)| format!("<li>{}", escape(meaning))).collect();
    let (name, host) = (escape(request.client().client_name()), escape(request.redirect_host()));
    Html(format!(
        "<!doctype html><title>Connect</title><form method=post><p>{name} at {host} asks to<ul>{wants}</ul>
        <p>Your name <input name=user required>
        <button name=allow value=true>Allow</button> <button name=allow value=false formnovalidate>Deny</button></form>"
    ))
}

pub(crate) async fn decide(request: AuthorizationRequest, Form(choice): Form<Choice>) -> Result<Approval, Denial> {
    if choice.allow { Ok(request.approve(choice.user)) } else { Err(request.deny()) }
}
