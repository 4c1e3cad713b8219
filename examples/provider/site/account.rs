//! The home page, and the page of the apps that may act for a user.

use std::future::{Ready, ready};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::request::Parts;
use tower_oauth::{ConnectedApps, Subject};

use super::login::{self, LOG_OUT, Visitor};
use super::{Site, pages};

/// Where a user sees and ends the access of apps.
const APPS: &str = "/apps";

pub(super) fn routes(site: &Site) -> Router<Site> {
    Router::new().route("/", get(show)).route_service(APPS, apps(site))
}

async fn show(State(site): State<Site>, visitor: Visitor) -> Response {
    let customapp = site.customapp.as_deref();
    let Some(login) = &visitor.login else {
        return pages::welcome(customapp).into_response();
    };
    let log_out = site.provider.form_token(&visitor.session, LOG_OUT);
    pages::account(login.user, APPS, customapp, &log_out).into_response()
}

/// The library's own page, with this site's sessions and style sheet.
fn apps(site: &Site) -> ConnectedApps<impl Fn(Parts) -> Ready<Option<Subject>> + Clone + Send + Sync + use<>> {
    let logins = Arc::clone(&site.logins);
    let who = move |head: Parts| ready(logins.of(&head.headers).1.map(|login| Subject::from(login.user.id)));
    site.provider
        .connected_apps_page(who)
        .title("Apps with access to your account")
        .stylesheet("/style.css")
        .login(login::link(APPS, None))
}
