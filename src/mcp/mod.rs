//! MCP authorization
//! ([2026-07-28](https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization)), in both roles: the
//! authorization server of an MCP server, and the MCP server that it protects.
//!
//! [`ProviderBuilder::mcp`](crate::ProviderBuilder::mcp) makes the one, [`ResourceServer::mcp`](crate::ResourceServer::mcp)
//! the layer for the other; [`guide::mcp`](crate::guide::mcp) is a page that begins with nothing.
//!
//! ```
//! use axum::{Router, routing::post};
//! use tower_oauth::{Authorized, MemoryStore, Provider};
//!
//! let provider = Provider::builder("https://notes.example")
//!     .store(MemoryStore::new())
//!     .scope("notes:read", "read your notes")
//!     .scope("notes:write", "change your notes")
//!     .mcp("https://notes.example/mcp")
//!     .build()?;
//! let guard = provider.resource("https://notes.example/mcp")?.mcp().require("notes:read").tool("add_note", "notes:write");
//!
//! async fn server(token: Authorized, message: String) -> String {
//!     format!("{} sent {message}", token.subject()) // yours: the service of an MCP library
//! }
//!
//! let app: Router = Router::new()
//!     .route("/mcp", post(server).route_layer(guard))
//!     .layer(provider.layer());
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # What the layer does
//!
//! It is the [bearer layer](crate::bearer), and before a message reaches the server it is looked at for what it calls. A call
//! whose token lacks a scope is a 403 whose challenge names all scopes that this call needs, since clients ask for those that
//! are named and for no others. Whatever is no legible message is a 400: a server inside could read it otherwise. It goes
//! around the MCP server itself, outside of what that does with a request: one without a token is a 401, also if it is no
//! MCP at all.
//!
//! An MCP server apart from its authorization server has the same layer over a [verifier](crate::resource_server), and
//! [`McpLayer::metadata`] tells clients who issues tokens for it.
//!
//! A token has to be for the very URL of the server. One for `https://notes.example` is not one for
//! `https://notes.example/mcp`, as the specification wants it.

mod body;
mod layer;
mod metadata;
mod operations;
mod service;

pub use body::RequestBody;
pub use layer::McpLayer;
pub use metadata::McpMetadata;
pub use service::{Mcp, Operations, ResponseFuture};
