//! The client configuration endpoint ([RFC 7592 §2](https://www.rfc-editor.org/rfc/rfc7592#section-2)): the registration
//! endpoint, with the client in the query.

use http::request::Parts;
use http::{Method, StatusCode};
use http_body::Body;
use serde_json::{Map, Value};

use super::{bearer_token, unauthorized};
use crate::client::Client;
use crate::endpoint::leaf::failed;
use crate::error::ProtocolError;
use crate::http::{Failure, Reply, bare, detached, json, read_json};
use crate::provider::Provider;
use crate::registration::{describe, register};
use crate::types::{ClientId, Params, UnixTime, form_encode};

/// What of an answer is no metadata of the client (§2.2).
const OF_THE_PROVIDER: [&str; 4] =
    ["registration_access_token", "registration_client_uri", "client_id_issued_at", "client_secret_expires_at"];

/// Reads, replaces or deletes what a client registered.
pub(super) async fn answer<B>(provider: &Provider, head: &Parts, body: B) -> Reply
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let token = bearer_token(&head.headers).map(str::to_owned);
    let client = match managed(provider, head, token.as_deref()).await {
        Ok(client) => client,
        Err(refused) => return failed(provider, &refused),
    };
    // §2.1: of a client that is gone no more is said than of a wrong token.
    let (Some(client), Some(token)) = (client, &token) else {
        return unauthorized(provider, token.as_deref(), ProtocolError::REGISTRATION_TOKEN_REFUSED);
    };
    let done = match head.method {
        Method::PUT => match read_json(&head.headers, body).await {
            Ok(sent) => detached(replace(provider.clone(), client.clone(), token.clone(), sent)).await,
            Err(refused) => Err(refused),
        },
        Method::DELETE => detached(delete(provider.clone(), client.id().clone())).await.map(Some),
        _ => Ok(Some(shown(provider, &client, token, Map::new()))),
    };
    match done {
        Ok(Some(reply)) => reply,
        Ok(None) => unauthorized(provider, Some(token), ProtocolError::REGISTRATION_TOKEN_REFUSED),
        Err(refused) => failed(provider, &refused.of(client.id())),
    }
}

/// The client that the query names, if the token is good for it.
async fn managed(provider: &Provider, head: &Parts, token: Option<&str>) -> Result<Option<Client>, Failure> {
    let params = Params::parse(head.uri.query().unwrap_or_default().as_bytes())?;
    match (params.get("client_id"), token) {
        (Some(id), Some(token)) if !params.is_repeated("client_id") => {
            Ok(provider.registered_with(&id.into(), token).await?)
        }
        _ => Ok(None),
    }
}

/// §3: what is registered, with the token that was sent.
fn shown(provider: &Provider, client: &Client, token: &str, secret: Map<String, Value>) -> Reply {
    let Some(registration) = client.registration() else { return bare(StatusCode::NOT_FOUND) };
    let mut answer = describe(client, &registration.metadata);
    answer.extend(secret);
    let issued_at = registration.issued_at;
    add(provider, client.id(), token, issued_at, &mut answer);
    json(StatusCode::OK, &Value::Object(answer))
}

/// §3: what a client needs that manages its registration.
pub(super) fn add(
    provider: &Provider,
    id: &ClientId,
    token: &str,
    issued_at: UnixTime,
    answer: &mut Map<String, Value>,
) {
    let config = &provider.0.config;
    let query = form_encode(&[("client_id", id.as_str())]);
    let uri = format!("{}?{query}", config.url(&config.paths.registration));
    answer.insert("registration_client_uri".to_owned(), uri.into());
    answer.insert("registration_access_token".to_owned(), token.into());
    answer.insert("client_id_issued_at".to_owned(), issued_at.as_secs().into());
}

/// §2.2: the whole of it anew. `None` if the token is good no longer.
async fn replace(provider: Provider, client: Client, token: String, sent: Value) -> Result<Option<Reply>, Failure> {
    let Value::Object(sent) = sent else { return Err(ProtocolError::BODY_IS_NO_OBJECT.into()) };
    is_of(&sent, &client, provider.now())?;
    let registered = register(&sent, &provider.registrable(), Some(&client))?;
    let client = provider.replace_registration(&registered, &token).await?;
    Ok(client.map(|client| shown(&provider, &client, &token, registered.secret_members())))
}

/// Whether it is this client that is meant, and nothing is said that is not the client's to say.
fn is_of(sent: &Map<String, Value>, client: &Client, now: UnixTime) -> Result<(), ProtocolError> {
    if OF_THE_PROVIDER.iter().any(|name| sent.contains_key(*name)) {
        return Err(ProtocolError::METADATA_OF_THE_PROVIDER);
    }
    if sent.get("client_id").and_then(Value::as_str) != Some(client.id().as_str()) {
        return Err(ProtocolError::METADATA_CLIENT_ID);
    }
    match sent.get("client_secret") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(secret)) if client.has_secret(secret, now) => Ok(()),
        Some(_) => Err(ProtocolError::METADATA_CLIENT_SECRET),
    }
}

/// §2.3
async fn delete(provider: Provider, id: ClientId) -> Result<Reply, Failure> {
    provider.delete_registration(&id).await?;
    Ok(bare(StatusCode::NO_CONTENT))
}
