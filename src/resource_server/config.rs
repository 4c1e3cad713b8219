//! What the builders have in common.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;

use crate::client::ClientSecret;
use crate::config::{ConfigError, IssuerUrl};
use crate::types::{ClientId, InvalidResource, Resource, form_encode};

pub(super) const NO_FETCH: &str = "nothing can fetch from it: write `.fetch(..)`";

/// What lies here; without it no token could be told from one for others.
pub(super) fn resource(text: &str, wrong: &mut Vec<ConfigError>) -> Option<Resource> {
    let parsed = text.parse().map_err(|why: InvalidResource| ConfigError::Resource(format!("{text:?}: {why}")));
    parsed.map_err(|why| wrong.push(why)).ok()
}

/// How many tokens can be remembered; the sets of their places are there from the start.
const MOST_REMEMBERED: usize = 10_000_000;

pub(super) fn remembered(tokens: usize, wrong: &mut Vec<ConfigError>) {
    if tokens > MOST_REMEMBERED {
        wrong.push(ConfigError::Lifetime("at most 10,000,000 tokens are remembered".to_owned()));
    }
}

/// Whether a URL of this issuer's is one: `https`, or else the issuer itself is a loopback address.
pub(super) fn is_endpoint(url: &str, issuer: &IssuerUrl) -> bool {
    url.starts_with("https://") || issuer.origin.starts_with("http:") && url.starts_with("http://")
}

/// The `Authorization` header of a client, `client_secret_basic`. RFC 6749 §2.3.1: both are encoded as in a form before they
/// are put together.
pub(super) fn basic(id: &ClientId, secret: &ClientSecret) -> Result<HeaderValue, &'static str> {
    let pair = form_encode(&[(id.as_str(), secret.secret())]).replacen('=', ":", 1);
    let value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)));
    let mut value = value.map_err(|_| "its credentials cannot be sent")?;
    value.set_sensitive(true);
    Ok(value)
}
