//! An MCP server with notes of its users, and the authorization server that lets clients at them.
//!
//! ```text
//! cargo run --manifest-path examples/mcp/Cargo.toml -- [127.0.0.1:3000]
//! npx @modelcontextprotocol/inspector   # or any other client: connect it to http://127.0.0.1:3000/mcp
//! ```

mod notes;
mod page;

use std::error::Error;

use axum::{Router, routing::get};
use notes::Notes;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::TcpListener;
use tower::Layer;
use tower_oauth::{MemoryStore, Provider};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let listener = TcpListener::bind(address).await?;
    let origin = format!("http://{}", listener.local_addr()?);
    let app = app(&origin)?;
    println!("connect a client to {origin}/mcp");
    Ok(axum::serve(listener, app).await?)
}

/// All of it, as browsers and clients find it at `origin`.
fn app(origin: &str) -> Result<Router, Box<dyn Error>> {
    let mcp = format!("{origin}/mcp");
    let provider = Provider::builder(origin)
        .store(MemoryStore::new())
        .scope("notes:read", "read your notes")
        .scope("notes:write", "add and delete notes")
        .mcp(&mcp)
        .build()?;
    // Outside of the MCP server, so that a request without a token is a 401, whatever else is wrong with it.
    let guard = provider.resource(&mcp)?.mcp().require("notes:read").tool("add_note", "notes:write");
    let notes = Notes::default();
    // On a host of your own, name it with `.with_allowed_hosts(["notes.example"])`: this takes loopback alone. And no
    // sessions: a session of one user's could be used with the token of another.
    let config = StreamableHttpServerConfig::default().with_legacy_session_mode(false).with_json_response(true);
    let server = StreamableHttpService::new(move || Ok(notes.clone()), NeverSessionManager::default().into(), config);
    Ok(Router::new()
        .route("/authorize", get(page::ask).post(page::decide))
        .route_service("/mcp", guard.layer(server))
        .layer(provider.layer()))
}
