//! The API that apps call. Every protected handler takes `Authorized`, so that without its layer it answers 500 and not
//! everybody.

use std::time::{Duration, UNIX_EPOCH};

use axum::routing::{delete, get};
use axum::{Json, Router};
use http::{HeaderName, Method, StatusCode, header};
use serde_json::{Value, json};
use tower_http::cors::{Any, CorsLayer};
use tower_oauth::{Authorized, Provider, StepUp};

use super::Site;
use super::users::{self, User};

/// What proves the key of a token that is bound to one (RFC 9449).
const DPOP: HeaderName = HeaderName::from_static("dpop");

/// Who deletes something has logged in this recently.
const RECENT: Duration = Duration::from_secs(5 * 60);

pub(super) fn routes(provider: &Provider) -> Router<Site> {
    let bearer = || provider.bearer();
    let of_notes = || provider.bearer().resource(&super::notes(provider.issuer()));
    Router::new()
        .route("/public", get(public))
        .route("/v1/whoami", get(whoami).route_layer(bearer()))
        .route("/v1/users/me", get(me).route_layer(bearer().require("profile").user(users::of_token)))
        .route("/v1/notes", get(notes).route_layer(of_notes().require("notes:read")))
        .route(
            "/v1/notes",
            delete(erase).route_layer(of_notes().require("notes:write").step_up(StepUp::within(RECENT))),
        )
        .route("/v1/admin", get(admin).route_layer(bearer().require("admin")))
        .layer(cors())
}

/// Apps in a browser may call the API from any origin. Around the bearer layers, so that it answers preflights, which
/// never have a token; and a refusal can be read.
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, DPOP])
        .expose_headers([header::WWW_AUTHENTICATE])
}

async fn public() -> Json<Value> {
    Json(json!({ "message": "anybody may read this" }))
}

/// What the token says, in the words of RFC 7662; `user` is null where a client acts for itself.
async fn whoami(token: Authorized) -> Json<Value> {
    let expires = token.expires_at().duration_since(UNIX_EPOCH).unwrap_or_default();
    Json(json!({
        "sub": token.subject(),
        "user": token.user_subject().map(|user| user.as_str()),
        "client_id": token.client_id().as_str(),
        "scope": token.scope().to_string(),
        "aud": token.resources().map(|resource| resource.as_str()).collect::<Vec<_>>(),
        "exp": expires.as_secs(),
    }))
}

async fn me(token: Authorized<&'static User>) -> Json<&'static User> {
    Json(token.into_user())
}

async fn notes(token: Authorized) -> Json<Value> {
    let text = format!("{} was here", token.subject());
    Json(json!({ "notes": [{ "id": 1, "text": text }] }))
}

async fn erase(_: Authorized) -> StatusCode {
    StatusCode::NO_CONTENT
}

async fn admin(token: Authorized) -> Json<Value> {
    Json(json!({ "administrator": token.subject() }))
}
