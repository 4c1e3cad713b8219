mod management;

use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body::Body;
use serde_json::Value;

use super::leaf::{failed, leaf_service};
use crate::client::ClientSecret;
use crate::error::ProtocolError;
use crate::http::{Failure, Reply, bare, detached, json, method_not_allowed, read_json};
use crate::provider::Provider;
use crate::registration::{Registered, register};

leaf_service! {
    /// The registration endpoint ([RFC 7591 §3](https://www.rfc-editor.org/rfc/rfc7591#section-3)), whatever path it is
    /// mounted at. It is a 404 until [a policy](crate::ProviderBuilder::registration) is configured. With a `client_id` in the
    /// query it is the client configuration endpoint ([RFC 7592 §2](https://www.rfc-editor.org/rfc/rfc7592#section-2)), where
    /// that policy [says so](crate::RegistrationPolicy::management).
    ///
    /// See the [module docs](crate::endpoint) for an example.
    Registration, registration, "registration endpoint"
}

pub(super) async fn answer<B>(provider: Provider, request: Request<B>) -> Reply
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let Some(policy) = &provider.0.config.registration else { return bare(StatusCode::NOT_FOUND) };
    let (head, body) = request.into_parts();
    match head.method {
        Method::POST => {}
        Method::GET | Method::PUT | Method::DELETE if policy.management => {
            return management::answer(&provider, &head, body).await;
        }
        _ if policy.management => return method_not_allowed(&provider, "POST, GET, PUT, DELETE"),
        _ => return method_not_allowed(&provider, "POST"),
    }
    let token = bearer_token(&head.headers);
    if !policy.admits(token) {
        return unauthorized(&provider, token, ProtocolError::INITIAL_TOKEN_REFUSED);
    }
    let registered = match read_json(&head.headers, body).await {
        Ok(Value::Object(sent)) => register(&sent, &provider.registrable(), None).map_err(Failure::from),
        Ok(_) => Err(ProtocolError::BODY_IS_NO_OBJECT.into()),
        Err(refused) => Err(refused),
    };
    let kept = match registered {
        Ok(registered) => detached(keep(provider.clone(), registered)).await,
        Err(refused) => Err(refused),
    };
    kept.unwrap_or_else(|refused| failed(&provider, &refused))
}

async fn keep(provider: Provider, registered: Registered) -> Result<Reply, Failure> {
    let mut answer = registered.answer();
    let Registered { mut client, metadata, .. } = registered;
    let now = provider.now();
    answer.insert("client_id_issued_at".to_owned(), now.as_secs().into());
    if provider.manages_registrations() {
        let token = ClientSecret::generate();
        management::add(&provider, client.id(), token.secret(), now, &mut answer);
        client = client.managed(&token, now, metadata);
    }
    if !provider.register(client).await? {
        // There are as many as there can be; some of them expire.
        return Err(ProtocolError::REGISTRATIONS_FULL.into());
    }
    Ok(json(StatusCode::CREATED, &Value::Object(answer)))
}

fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().filter(|_| values.next().is_none())?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim_start())
}

/// RFC 7591 §3: the initial access token is a bearer token, as is that of RFC 7592, so its refusal is RFC 6750's; without a
/// token the challenge names no error (§3.1).
fn unauthorized(provider: &Provider, token: Option<&str>, refused: ProtocolError) -> Reply {
    let mut reply = failed(provider, &refused.into());
    let challenge = match token {
        None => "Bearer realm=\"registration\"",
        Some(_) => "Bearer realm=\"registration\", error=\"invalid_token\"",
    };
    reply.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    reply
}
