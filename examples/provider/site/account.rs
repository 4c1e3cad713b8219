//! The home page, and the page of the apps that may act for a user.

use std::future::{Ready, ready};
use std::sync::Arc;

use axum::Router;
use axum::body::to_bytes;
use axum::extract::State;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::request::Parts;
use http::{StatusCode, header};
use tower_oauth::{ConnectedApps, Subject};

use super::login::{self, LOG_OUT, Visitor};
use super::{Site, pages};

/// Where a user sees and ends the access of apps.
const APPS: &str = "/apps";

pub(super) fn routes(site: &Site) -> Router<Site> {
    let apps = Router::new().route_service(APPS, apps(site)).layer(map_response(framed));
    Router::new().route("/", get(show)).merge(apps)
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

/// Puts the library's page into this site's frame; its JSON and its errors stay as they are.
async fn framed(response: Response) -> Response {
    let is_html =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|it| it.as_bytes().starts_with(b"text/html"));
    if !is_html || response.status() != StatusCode::OK {
        return response;
    }
    let (head, body) = response.into_parts();
    match to_bytes(body, usize::MAX).await {
        Ok(page) => Response::from_parts(head, pages::framed(&String::from_utf8_lossy(&page)).into()),
        Err(_) => pages::unavailable().into_response(),
    }
}
