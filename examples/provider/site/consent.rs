//! The authorization page: may this app have what it asks for?
//!
//! The provider's layer has checked the request before a handler here is called. A handler answers with a page, or with
//! a decision; it never redirects to a client by itself.

use axum::Router;
use axum::extract::Form;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use tower_oauth::{Approval, AuthorizationRequest, Provider, StoreError, Subject};

use super::login::{self, Login, PASSWORD, Visitor};
use super::{Site, pages};

/// The path is where the provider says it is; the prefix includes that of the issuer, if it has one.
pub(super) fn routes(provider: &Provider) -> Router<Site> {
    let path = format!("{}/auth", provider.prefix());
    Router::new().route(&path, get(ask).post(decide))
}

/// Asks the user, unless there is nobody to ask or nothing left to ask.
async fn ask(visitor: Visitor, request: AuthorizationRequest) -> Response {
    let silent = request.has_prompt("none");
    let login = match visitor.login {
        Some(login) if !request.has_prompt("login") && request.is_recent(login.at) => login,
        _ if silent => return request.login_required().into_response(),
        _ => return login::before(&request).into_response(),
    };
    match is_remembered(&request, &login).await {
        Ok(true) => approve(&request, &login).into_response(),
        Ok(false) if silent => request.consent_required().into_response(),
        Ok(false) => {
            let token = request.form_token(&visitor.session);
            pages::consent(&request, &login, &token).into_response()
        }
        Err(_) => pages::unavailable().into_response(),
    }
}

/// Whether this user has allowed this client all of this before.
async fn is_remembered(request: &AuthorizationRequest, login: &Login) -> Result<bool, StoreError> {
    // Whoever runs on the user's device can call itself by the id of a public client.
    if request.has_prompt("consent") || !request.may_remember_consent() {
        return Ok(false);
    }
    let granted = request.previously_granted(&Subject::from(login.user.id)).await?;
    Ok(request.scope().is_subset(&granted))
}

fn approve(request: &AuthorizationRequest, login: &Login) -> Approval {
    request.approve(login.user.id).auth_time(login.at).acr(PASSWORD)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Decision {
    form_token: String,
    decision: String,
}

/// Takes the answer of the very browser session, and for the very request, that the page was shown for.
async fn decide(visitor: Visitor, request: AuthorizationRequest, Form(form): Form<Decision>) -> Response {
    let Some(login) = visitor.login else {
        return pages::refused().into_response();
    };
    if !request.check_form_token(&visitor.session, &form.form_token) {
        return pages::refused().into_response();
    }
    match form.decision.as_str() {
        // The page was open for longer than the client allows.
        "allow" if !request.is_recent(login.at) => login::before(&request).into_response(),
        "allow" => approve(&request, &login).into_response(),
        "deny" => request.deny().into_response(),
        _ => pages::refused().into_response(),
    }
}
