//! The site that is a provider: its users log in, and allow apps to use its API in their name.

mod account;
mod api;
mod consent;
mod login;
mod pages;
mod users;

use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse, Response};
use tower_http::csrf::{CsrfLayer, ProtectionError};
use tower_oauth::{
    Client, ConfigErrors, Endpoints, ProtectedResource, Provider, ProviderBuilder, RegistrationPolicy, Secrets, Store,
};

use self::login::Logins;
pub(crate) use self::users::all as users;
use crate::page::assets;

/// What the handlers share.
#[derive(Clone)]
struct Site {
    provider: Provider,
    logins: Arc<Logins>,
    /// Where an app can be found that connects to this site.
    customapp: Option<Arc<str>>,
}

/// What apps may ask for that nobody here has looked at.
const FOR_STRANGERS: &str = "profile email notes:read notes:write offline_access openid";

/// The provider's whole configuration.
pub(crate) fn provider(
    issuer: &str,
    store: impl Store,
    secrets: Option<Secrets>,
    clients: impl IntoIterator<Item = Client>,
    tokens: fn(ProviderBuilder) -> ProviderBuilder,
) -> Result<Provider, ConfigErrors> {
    let builder = Provider::builder(issuer)
        .store(store)
        .endpoints(Endpoints::under("/v1/oauth2").authorization("/auth"))
        .scope("profile", "See your name and user id")
        .scope("email", "See your e-mail address")
        .scope("notes:read", "Read your notes")
        .scope("notes:write", "Write and delete notes for you")
        .scope("offline_access", "Keep this access while you are away")
        .scope("openid", "Know that it is you who signs in")
        .reserved_scope("admin", "Administer this site")
        .default_scope("profile")
        .resource_scope("profile notes:read notes:write")
        // A token for the notes alone is good nowhere else.
        .resource(ProtectedResource::new(notes(issuer)).scope("notes:read notes:write"))
        .acr_values_supported([login::PASSWORD])
        // 10,000 clients at most, and one that nobody connects is kept for a day.
        .registration(RegistrationPolicy::open().scope(FOR_STRANGERS).management())
        // Clients may push what they ask for; none has to.
        .pushed_authorization_requests()
        .error_page(|error| pages::not_authorized(error).html());
    let builder = tokens(builder);
    // Clients may prove themselves by a key of their own, and have their tokens bound to one (DPoP).
    #[cfg(feature = "jwt")]
    let builder = builder.private_key_jwt().dpop();
    #[cfg(feature = "http-client")]
    let builder = what_clients_publish(builder);
    let builder = secrets.into_iter().fold(builder, ProviderBuilder::secrets);
    clients.into_iter().fold(builder, ProviderBuilder::client).build()
}

/// Reads what clients publish, their keys and the documents of those that nobody registered: over `https`, and nothing of
/// this machine or its network.
#[cfg(feature = "http-client")]
fn what_clients_publish(builder: ProviderBuilder) -> ProviderBuilder {
    match tower_oauth::HttpClient::new() {
        Ok(client) => {
            let policy = tower_oauth::ClientIdMetadataPolicy::open().scope(FOR_STRANGERS);
            builder.fetch(client).client_id_metadata_documents(policy)
        }
        Err(error) => {
            eprintln!("nothing is read that clients publish (`jwks_uri`, `client_id`): {error}");
            builder
        }
    }
}

/// Routes first, each protected one with its bearer layer; the provider's layer last, around them all.
pub(crate) fn router(provider: &Provider, customapp: Option<String>) -> Router {
    let site = Site {
        logins: Arc::new(login::logins(provider.issuer())),
        customapp: customapp.map(Arc::from),
        provider: provider.clone(),
    };
    Router::new()
        .merge(account::routes(&site))
        .merge(login::routes())
        .layer(same_site(provider.issuer()))
        .merge(consent::routes(provider))
        .merge(api::routes(provider))
        .merge(assets("#3151c9"))
        .with_state(site)
        .layer(provider.layer())
}

/// The notes, as a resource of their own.
fn notes(issuer: &str) -> String {
    format!("{}/v1/notes", origin(issuer))
}

fn origin(issuer: &str) -> &str {
    let third_slash = issuer.match_indices('/').nth(2);
    third_slash.map_or(issuer, |(at, _)| &issuer[..at])
}

/// Refuses the forms that another site makes a browser send; the provider's layer does so on the consent page.
fn same_site(issuer: &str) -> CsrfLayer<fn(ProtectionError) -> Response> {
    CsrfLayer::new()
        .add_trusted_origin(origin(issuer))
        .expect("an issuer has an origin")
        .with_rejection_response(|_| pages::refused().into_response())
}
