use std::time::Duration;

use http::{Method, Request, StatusCode};
use serde_json::{Map, Value, json};

use super::leaf::leaf_service;
use super::resource_metadata;
use crate::client::AuthMethod;
use crate::config::Config;
use crate::grant_type;
use crate::http::{Reply, bare, method_not_allowed, public_json};
#[cfg(feature = "jwt")]
use crate::jwt::Algorithm;
use crate::provider::Provider;
use crate::types::Resource;

leaf_service! {
    /// The well-known documents of a provider, for the root of its origin: its own metadata
    /// ([RFC 8414 §3](https://www.rfc-editor.org/rfc/rfc8414#section-3)) and those of its resources
    /// ([RFC 9728 §3](https://www.rfc-editor.org/rfc/rfc9728#section-3)). Any other path is a 404.
    ///
    /// See the [module docs](crate::endpoint) for an example.
    WellKnown, well_known, "well-known documents"
}

impl Provider {
    /// Where the server metadata are: `/.well-known/oauth-authorization-server`, and behind it the issuer's path.
    #[must_use]
    pub fn metadata_path(&self) -> &str {
        &self.0.config.paths.server_metadata
    }
}

/// How long whoever reads a document may keep it.
const MAX_AGE: Duration = Duration::from_secs(5 * 60);

/// A document that lies at a well-known path.
pub(super) enum Document<'a> {
    Server,
    Resource(&'a Resource),
}

/// Which document is at a path.
pub(super) fn document<'a>(config: &'a Config, path: &str) -> Option<Document<'a>> {
    if path == config.paths.server_metadata {
        return Some(Document::Server);
    }
    config.resource_at(path).map(Document::Resource)
}

pub(super) fn answer<B>(provider: &Provider, request: &Request<B>) -> Reply {
    let document = document(&provider.0.config, request.uri().path());
    document.map_or_else(|| bare(StatusCode::NOT_FOUND), |document| show(provider, &document, request.method()))
}

/// The answer to whoever asks for this document.
pub(super) fn show(provider: &Provider, document: &Document<'_>, method: &Method) -> Reply {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return method_not_allowed(provider, "GET, HEAD");
    }
    let config = &provider.0.config;
    let document = match document {
        Document::Server => server_metadata(config),
        Document::Resource(resource) => resource_metadata::document(config, resource),
    };
    public_json(method, &Value::Object(document), MAX_AGE)
}

/// What there is, and nothing else ([RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414#section-2)).
fn server_metadata(config: &Config) -> Map<String, Value> {
    let methods: Vec<_> = config.auth_methods().map(AuthMethod::as_str).collect();
    let confidential: Vec<_> = methods.iter().filter(|method| **method != AuthMethod::None.as_str()).collect();
    let scopes: Vec<_> = config.grantable().collect();
    let mut metadata = Map::new();
    let mut put = |name: &str, value: Value| metadata.insert(name.to_owned(), value);
    put("issuer", config.issuer.as_str().into());
    put("authorization_endpoint", config.url(&config.paths.authorization).into());
    put("token_endpoint", config.url(&config.paths.token).into());
    put("revocation_endpoint", config.url(&config.paths.revocation).into());
    put("introspection_endpoint", config.url(&config.paths.introspection).into());
    if let Some(jwks) = &config.paths.jwks {
        put("jwks_uri", config.url(jwks).into());
    }
    if config.registration.is_some() {
        put("registration_endpoint", config.url(&config.paths.registration).into());
    }
    if config.client_id_metadata.is_some() {
        put("client_id_metadata_document_supported", true.into());
    }
    if let Some(pushed) = &config.paths.pushed_authorization_request {
        put("pushed_authorization_request_endpoint", config.url(pushed).into());
    }
    if config.pushed.required {
        put("require_pushed_authorization_requests", true.into());
    }
    if !scopes.is_empty() {
        put("scopes_supported", scopes.into());
    }
    if !config.acr_values.is_empty() {
        put("acr_values_supported", json!(config.acr_values));
    }
    put("response_types_supported", json!(["code"]));
    put("response_modes_supported", json!(["query"]));
    put("grant_types_supported", json!(grant_type::ALL.map(|grant_type| grant_type.as_str())));
    put("token_endpoint_auth_methods_supported", json!(methods));
    put("revocation_endpoint_auth_methods_supported", json!(methods));
    put("introspection_endpoint_auth_methods_supported", json!(confidential));
    if let Some(feed) = &config.paths.revocation_feed {
        // Of no standard, which leaves room for such (RFC 8414 §2).
        put("revocation_feed_endpoint", config.url(feed).into());
        put("revocation_feed_endpoint_auth_methods_supported", json!(confidential));
    }
    #[cfg(feature = "jwt")]
    if config.takes_assertions() {
        let algorithms = json!(Algorithm::ALL.map(Algorithm::as_str));
        let feed = config.paths.revocation_feed.is_some().then_some("revocation_feed");
        for endpoint in ["token", "revocation", "introspection"].into_iter().chain(feed) {
            put(&format!("{endpoint}_endpoint_auth_signing_alg_values_supported"), algorithms.clone());
        }
    }
    #[cfg(feature = "jwt")]
    if config.takes_dpop() {
        put("dpop_signing_alg_values_supported", json!(Algorithm::ALL.map(Algorithm::as_str)));
    }
    put("code_challenge_methods_supported", json!(["S256"]));
    put("authorization_response_iss_parameter_supported", true.into());
    metadata
}
