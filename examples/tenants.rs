//! Two tenants of one app, each an issuer at a host of its own.
//!
//! `cargo run --example tenants`, then `curl http://localhost:3000/.well-known/oauth-authorization-server` and the same at
//! `http://127.0.0.1:3000`: the loopback addresses play the tenants' hosts. It prints a token of each, which is good at the
//! one and not at the other.

use std::error::Error;

use axum::{Form, Router, response::Html, routing::get};
use tower_oauth::{Approval, AuthorizationRequest, Authorized, Client, Denial, Issuers, MemoryStore, Provider, escape};

const TENANTS: [&str; 2] = ["http://localhost:3000", "http://127.0.0.1:3000"];

fn tenant(issuer: &str, store: &MemoryStore) -> Result<Provider, Box<dyn Error>> {
    Ok(Provider::builder(issuer)
        .store(store.clone()) // one for all: each issuer sees its own grants alone
        .scope("profile", "see your profile")
        .client(Client::public("app").redirect_uri("http://localhost:8080/callback"))
        .build()?)
}

async fn ask(request: AuthorizationRequest) -> Html<String> {
    let (client, tenant) = (escape(request.client().client_name()), escape(request.issuer()));
    Html(format!("<form method=post>{client} asks a user of {tenant} <input name=user><button>Allow</button></form>"))
}

#[derive(serde::Deserialize)]
struct Choice {
    user: String,
}

async fn decide(request: AuthorizationRequest, Form(choice): Form<Choice>) -> Result<Approval, Denial> {
    // Log in for real here, among the users of `request.issuer()`.
    if choice.user.is_empty() { Err(request.deny()) } else { Ok(request.approve(choice.user)) }
}

/// Whoever is called so at this tenant.
async fn load_user(tenant: String, token: Authorized) -> Option<String> {
    Some(format!("{} of {tenant}", token.subject()))
}

async fn me(token: Authorized<String>) -> String {
    format!("Hello, {}\n", token.user())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = MemoryStore::new();
    let tenants = [tenant(TENANTS[0], &store)?, tenant(TENANTS[1], &store)?];
    for tenant in &tenants {
        let token = tenant.issue("app", "alice", "profile".parse()?).await?;
        println!("curl -H 'Authorization: Bearer {}' {}/me", token.secret(), tenant.issuer());
    }
    let issuers = Issuers::new(tenants)?;
    let bearer = issuers.bearer(|tenant| {
        let name = tenant.issuer().to_owned();
        tenant.bearer().require("profile").user_with(name, load_user)
    });
    let app = Router::new()
        .route("/authorize", get(ask).post(decide))
        .route("/me", get(me).route_layer(bearer))
        .layer(issuers.layer());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    Ok(axum::serve(listener, app).await?)
}
