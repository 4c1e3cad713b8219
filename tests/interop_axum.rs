//! The layers over axum, on a socket.

#[path = "support/shelf.rs"]
mod shelf;
#[path = "support/site.rs"]
mod site;
#[path = "support/socket.rs"]
mod socket;
mod support;

use axum::Router;
use axum::routing::get;
use socket::{Server, Stranger, protection, provider_at, the_whole_flow};
use tokio::sync::oneshot;
use tower_oauth::{Approval, AuthorizationRequest, Authorized};

async fn page(request: AuthorizationRequest) -> String {
    format!("page for {}", request.client().id())
}

async fn approve(request: AuthorizationRequest) -> Approval {
    request.approve("alice")
}

async fn me(token: Authorized) -> String {
    format!("{} through {}", token.subject(), token.client_id())
}

#[tokio::test]
async fn an_axum_app_is_a_provider_and_its_routes_are_protected() {
    let (send, shelf) = oneshot::channel();
    let server = Server::start(|listener, origin, stopped| async move {
        let (provider, _, shelf) = provider_at(&origin);
        let app = Router::new()
            .route("/authorize", get(page).post(approve))
            .route("/me", get(me).route_layer(protection(&provider)))
            .route("/public", get(async || "open"))
            .layer(provider.layer());
        send.send(shelf).unwrap_or_else(|_| panic!("the test waits"));
        let stopped = async { stopped.await.unwrap_or_default() };
        axum::serve(listener, app).with_graceful_shutdown(stopped).await.expect("it serves");
    })
    .await;
    the_whole_flow(&Stranger::of(&server.origin), &shelf.await.expect("it starts")).await;
    server.stop().await;
}
