//! What an authorization server says of itself ([RFC 8414](https://www.rfc-editor.org/rfc/rfc8414)).

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response, header};
use serde::Deserialize;

use super::config::is_endpoint;
use crate::clock::Clock;
use crate::config::IssuerUrl;
use crate::fetch::{BoxError, Document, DynFetch, Source, Terms};
use crate::types::Issuer;

/// What a resource server needs of it. A member that is named twice is an error.
#[derive(Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    pub(super) jwks_uri: Option<String>,
    pub(super) introspection_endpoint: Option<String>,
    pub(super) revocation_feed_endpoint: Option<String>,
}

/// An issuer as others write it: with the slash at the end that some have, which is part of its name (RFC 8414 §2).
pub(super) fn parse(issuer: &Issuer) -> Result<IssuerUrl, &'static str> {
    IssuerUrl::parse(issuer.as_str().strip_suffix('/').unwrap_or(issuer.as_str()))
}

/// Where the metadata are: the well-known path comes before the issuer's own, less the slash at its end (§3.1).
fn location(issuer: &Issuer) -> Result<String, &'static str> {
    let IssuerUrl { origin, path, .. } = parse(issuer)?;
    Ok(format!("{origin}/.well-known/oauth-authorization-server{path}"))
}

/// The metadata of this issuer.
pub(super) fn document(
    issuer: &Issuer,
    fetch: Arc<dyn DynFetch>,
    clock: Arc<dyn Clock>,
) -> Result<Document<Metadata>, &'static str> {
    let (url, issuer) = (location(issuer)?, issuer.clone());
    let read = move |_: &str, response: &Response<Bytes>| read(&issuer, response);
    Ok(Document::new(&url, Arc::new(Source::new(fetch, clock, Terms::default(), read))))
}

/// §3.3: whose issuer is another one, by a single byte, must not be used.
fn read(issuer: &Issuer, response: &Response<Bytes>) -> Result<Metadata, BoxError> {
    if !is_json(response.headers()) {
        return Err("the metadata are not application/json".into());
    }
    let metadata: Metadata = serde_json::from_slice(response.body())?;
    if metadata.issuer != issuer.as_str() {
        return Err("the metadata are of another issuer".into());
    }
    let own = parse(issuer)?;
    let named = [&metadata.jwks_uri, &metadata.introspection_endpoint, &metadata.revocation_feed_endpoint];
    if named.into_iter().flatten().any(|url| !is_endpoint(url, &own)) {
        return Err("the metadata name a URL that is not https".into());
    }
    Ok(metadata)
}

/// Whether an answer says that it is JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}
