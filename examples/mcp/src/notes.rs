//! The MCP server: notes, each user's own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::request::Parts;
use rmcp::handler::server::tool::Extension;
use rmcp::handler::server::wrapper::Parameters;
use rmcp::schemars::{self, JsonSchema};
use rmcp::{ServerHandler, tool, tool_handler, tool_router};
use serde::Deserialize;
use tower_oauth::Authorized;

/// The notes, by user.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<HashMap<String, Vec<String>>>>);

#[derive(Deserialize, JsonSchema)]
struct Note {
    /// What to note.
    text: String,
}

#[tool_router]
impl Notes {
    #[tool(description = "The notes of the user")]
    fn list_notes(&self, Extension(request): Extension<Parts>) -> Result<String, String> {
        self.of(&request, |notes| notes.join("\n"))
    }

    #[tool(description = "Adds a note")]
    fn add_note(
        &self,
        Parameters(note): Parameters<Note>,
        Extension(request): Extension<Parts>,
    ) -> Result<String, String> {
        self.of(&request, |notes| {
            notes.push(note.text);
            format!("{} notes", notes.len())
        })
    }

    /// The notes of whoever the token of a request is of.
    fn of<T>(&self, request: &Parts, act: impl FnOnce(&mut Vec<String>) -> T) -> Result<T, String> {
        let token = Authorized::<()>::from_extensions(&request.extensions);
        let user = token.as_ref().and_then(Authorized::user_subject).ok_or("these notes need a user")?;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(act(all.entry(user.as_str().to_owned()).or_default()))
    }
}

#[tool_handler]
impl ServerHandler for Notes {}
