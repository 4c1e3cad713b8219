//! The home page: who is logged in, and which apps may act for them.

use std::collections::{BTreeMap, BTreeSet};

use axum::Router;
use axum::extract::{Form, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use tower_oauth::{Holder, StoreError, Subject};

use super::login::{LOG_OUT, Visitor};
use super::users::User;
use super::{Site, pages};

const REVOKE: &str = "revoke";

pub(super) fn routes() -> Router<Site> {
    Router::new().route("/", get(show)).route("/revoke", post(revoke))
}

/// An app that has access, and what it may do.
pub(super) struct App {
    pub(super) client_id: String,
    /// In words.
    pub(super) may: Vec<String>,
}

async fn show(State(site): State<Site>, visitor: Visitor) -> Response {
    let customapp = site.customapp.as_deref();
    let Some(login) = &visitor.login else {
        return pages::welcome(customapp).into_response();
    };
    let token = |purpose| site.provider.form_token(&visitor.session, purpose);
    match apps_of(&site, login.user).await {
        Ok(apps) => pages::account(login.user, &apps, customapp, &token(LOG_OUT), &token(REVOKE)).into_response(),
        Err(_) => pages::unavailable().into_response(),
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Revoke {
    form_token: String,
    client_id: String,
}

async fn revoke(State(site): State<Site>, visitor: Visitor, Form(form): Form<Revoke>) -> Response {
    let Some(login) = &visitor.login else {
        return pages::refused().into_response();
    };
    if !site.provider.check_form_token(&visitor.session, REVOKE, &form.form_token) {
        return pages::refused().into_response();
    }
    let app = Holder::UserAtClient(login.user.id.into(), form.client_id.into());
    match site.provider.revoke_all(&app).await {
        Ok(_) => Redirect::to("/").into_response(),
        Err(_) => pages::unavailable().into_response(),
    }
}

/// One entry for each app, however often it was allowed.
async fn apps_of(site: &Site, user: &User) -> Result<Vec<App>, StoreError> {
    let mut granted = BTreeMap::<String, BTreeSet<String>>::new();
    for grant in site.provider.grants_of(&Subject::from(user.id)).await? {
        let names = granted.entry(grant.client_id().to_string()).or_default();
        names.extend(grant.scope().iter().map(str::to_owned));
    }
    let in_words = |names: &BTreeSet<String>| {
        let scopes = site.provider.scopes();
        let known = scopes.filter(|(name, _)| names.contains(*name));
        known.map(|(_, meaning)| meaning.to_owned()).collect()
    };
    let apps = granted.into_iter().map(|(client_id, names)| App { may: in_words(&names), client_id });
    Ok(apps.collect())
}
