//! An MCP server with notes of its users, and the authorization server that lets clients at them.
//!
//! `cargo run -- 127.0.0.1:3000`, and then connect a client to `http://127.0.0.1:3000/mcp`.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex};

use axum::response::Html;
use axum::{Form, Router, routing::get};
use http::request::Parts;
use rmcp::handler::server::{tool::Extension, wrapper::Parameters};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ServerHandler, schemars, tool, tool_handler, tool_router};
use tower::Layer;
use tower_oauth::{Approval, AuthorizationRequest, Authorized, Denial, HttpClient, MemoryStore, Provider, escape};

/// The MCP server: notes, by user.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<HashMap<String, Vec<String>>>>);

#[derive(serde::Deserialize, schemars::JsonSchema)]
struct Note {
    text: String,
}

#[tool_router]
impl Notes {
    #[tool(description = "The notes of the user")]
    fn list_notes(&self, Extension(request): Extension<Parts>) -> Result<String, String> {
        self.of_user(&request, |notes| notes.join("\n"))
    }

    #[tool(description = "Adds a note")]
    fn add_note(&self, note: Parameters<Note>, Extension(request): Extension<Parts>) -> Result<String, String> {
        self.of_user(&request, |notes| {
            notes.push(note.0.text);
            format!("{} notes", notes.len())
        })
    }

    fn of_user<T>(&self, request: &Parts, act: impl FnOnce(&mut Vec<String>) -> T) -> Result<T, String> {
        let token = Authorized::<()>::from_extensions(&request.extensions).ok_or("there is no layer above")?;
        let user = token.user_subject().ok_or("only a user has notes")?;
        let mut notes = self.0.lock().map_err(|_| "a call has failed halfway")?;
        Ok(act(notes.entry(user.to_string()).or_default()))
    }
}

#[tool_handler]
impl ServerHandler for Notes {}

/// The page that asks the user. Yours has a login.
async fn ask(request: AuthorizationRequest) -> Html<String> {
    let wants: String = request.scopes().map(|(_, meaning)| format!("<li>{}", escape(meaning))).collect();
    let (name, host) = (escape(request.client().client_name()), escape(request.redirect_host()));
    // Who vouches for a client that nobody registered; of one on this device, any app can take the name.
    let document = request.client().document_host().map(|host| format!(", says {}", escape(host)));
    let document = document.unwrap_or_default();
    let warning = if request.client().is_loopback_only() { "<p>Did you start this yourself, just now?" } else { "" };
    Html(format!(
        "<!doctype html><title>Connect</title><form method=post>{name} at {host}{document} asks to<ul>{wants}</ul>{warning}
        Your name <input name=user> <button name=allow value=true>Allow</button>
        <button name=allow value=false>Deny</button></form>"
    ))
}

#[derive(serde::Deserialize)]
struct Choice {
    user: String,
    allow: bool,
}

async fn decide(request: AuthorizationRequest, Form(choice): Form<Choice>) -> Result<Approval, Denial> {
    if choice.allow { Ok(request.approve(choice.user)) } else { Err(request.deny()) }
}

/// All of it, for whoever finds it at `origin`.
fn app(origin: &str) -> Result<Router, Box<dyn Error>> {
    let mcp = format!("{origin}/mcp");
    let provider = Provider::builder(origin)
        .store(MemoryStore::new())
        .scope("notes:read", "read your notes")
        .scope("notes:write", "add notes")
        .mcp(&mcp)
        .fetch(HttpClient::new()?) // reads what clients say of themselves
        .build()?;
    // What every request needs, and what one tool needs beside it.
    let guard = provider.resource(&mcp)?.mcp().require("notes:read").tool("add_note", "notes:write");

    let notes = Notes::default();
    // Elsewhere than on loopback, name the host: `.with_allowed_hosts(["notes.example"])`.
    let config = StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true);
    let server = StreamableHttpService::new(move || Ok(notes.clone()), NeverSessionManager::default().into(), config);

    Ok(Router::new()
        .route("/authorize", get(ask).post(decide))
        .route_service("/mcp", guard.layer(server))
        .layer(provider.layer())) // last
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(address).await?;
    // Behind a proxy, as browsers see it: `https://notes.example`.
    let origin = format!("http://{}", listener.local_addr()?);
    println!("connect a client to {origin}/mcp");
    Ok(axum::serve(listener, app(&origin)?).await?)
}

#[cfg(test)]
#[tokio::test]
async fn clients_find_all_that_they_need() -> Result<(), Box<dyn Error>> {
    let app = app("https://notes.example")?.into_service::<String>();
    let seen = tower_oauth::testing::doctor(app, "https://notes.example/mcp").await?;
    assert_eq!(seen.problems().next(), None, "{seen}");
    Ok(())
}
