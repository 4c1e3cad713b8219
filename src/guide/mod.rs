//! Guides: pages to read from the top, whose examples run as tests.
//!
//! - [Coming from pyoauth2](coming_from_pyoauth2): every hook of that Python library, and what to write here.
//! - [An MCP server](mcp): from nothing to a server that clients connect to.

#[doc = include_str!("coming_from_pyoauth2.md")]
pub mod coming_from_pyoauth2 {}

#[doc = include_str!("mcp.md")]
pub mod mcp {}
