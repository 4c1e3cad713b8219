//! The answers of the bearer layer ([RFC 6750 §3](https://www.rfc-editor.org/rfc/rfc6750#section-3)), for gRPC too.

use http::{HeaderValue, Method, Request, Response, StatusCode, header};

use super::layer::Rules;
use super::verify::{Own, Refusal};
use crate::error::ErrorCode;
use crate::types::Resource;

/// What a challenge tells a client, so that it can get a token that is good here.
#[derive(Clone, Default)]
pub(super) struct Hint {
    /// What the route needs.
    pub(super) scope: String,
    /// Where the metadata of what lies here are ([RFC 9728 §5.1](https://www.rfc-editor.org/rfc/rfc9728#section-5.1)).
    pub(super) metadata: Option<String>,
}

/// Why a request does not reach the service.
pub(super) enum Rejected {
    /// It has no token: a challenge without an error (§3.1).
    NoToken,
    /// It cannot be read: 400.
    Malformed(&'static str),
    /// Its token is not good: 401.
    InvalidToken(&'static str),
    /// Its token is the provider's own, and not good: 401.
    Own(Own),
    /// Its token may not do this: 403.
    Insufficient(&'static str),
    /// Its token is a client's own, where a user is asked for: 403, and no scope would help.
    NoUser,
    /// Nobody can tell now: 503.
    Unavailable,
}

const NO_USER: &str = "this needs the token of a user";

impl From<Refusal> for Rejected {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::InvalidToken(why) => Self::InvalidToken(why),
            Refusal::Unavailable(_) => Self::Unavailable,
        }
    }
}

impl Rejected {
    fn status(&self) -> StatusCode {
        match self {
            Self::NoToken | Self::InvalidToken(_) | Self::Own(_) => StatusCode::UNAUTHORIZED,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::Insufficient(_) | Self::NoUser => StatusCode::FORBIDDEN,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The status codes of gRPC: UNAUTHENTICATED, INVALID_ARGUMENT, PERMISSION_DENIED, UNAVAILABLE.
    fn grpc(&self) -> (&'static str, &'static str) {
        match self {
            Self::NoToken => ("16", "a bearer token is needed"),
            Self::InvalidToken(why) => ("16", why),
            Self::Own(own) => ("16", own.why()),
            Self::Malformed(why) => ("3", why),
            Self::Insufficient(why) => ("7", why),
            Self::NoUser => ("7", NO_USER),
            Self::Unavailable => ("14", "the token cannot be checked now, try again"),
        }
    }

    fn error(&self) -> Option<(ErrorCode, &'static str)> {
        match self {
            Self::NoToken | Self::Unavailable => None,
            Self::Malformed(why) => Some((ErrorCode::InvalidRequest, why)),
            Self::InvalidToken(why) => Some((ErrorCode::InvalidToken, why)),
            Self::Own(own) => Some((ErrorCode::InvalidToken, own.why())),
            Self::Insufficient(why) => Some((ErrorCode::InsufficientScope, why)),
            Self::NoUser => Some((ErrorCode::InsufficientScope, NO_USER)),
        }
    }

    /// The realm, since RFC 6750 §3 asks for one parameter at least; the error if there was a token; and the scope that
    /// the route needs if it needs one.
    fn challenge(&self, rules: &Rules) -> HeaderValue {
        // A realm is what shares its credentials (RFC 9110 §11.5): here, what one token is for.
        let realm = rules.resource.as_ref().map_or("api", Resource::as_str);
        let mut text = format!("Bearer realm=\"{}\"", quotable(realm));
        if let Some((code, why)) = self.error() {
            text += &format!(", error=\"{code}\", error_description=\"{}\"", quotable(why));
        }
        if !matches!(self, Self::Malformed(_)) {
            if !rules.hint.scope.is_empty() && !matches!(self, Self::NoUser) {
                text += &format!(", scope=\"{}\"", quotable(&rules.hint.scope));
            }
            if let Some(url) = &rules.hint.metadata {
                text += &format!(", resource_metadata=\"{}\"", quotable(url));
            }
        }
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("Bearer realm=\"api\""))
    }

    /// The challenges of a provider's own refusals are made once: a flood of forged tokens is answered without
    /// formatting.
    fn ready(&self, rules: &Rules) -> Option<HeaderValue> {
        let Self::Own(own) = *self else { return None };
        let ready = rules.challenges.get_or_init(|| Own::ALL.map(|own| Self::Own(own).challenge(rules)));
        Some(ready[own as usize].clone())
    }

    /// The whole answer.
    pub(super) fn response<ReqBody, B: Default>(&self, request: &Request<ReqBody>, rules: &Rules) -> Response<B> {
        let mut response = Response::new(B::default());
        let headers = response.headers_mut();
        let status = if is_grpc(request) {
            let (code, message) = self.grpc();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            headers.insert("grpc-status", HeaderValue::from_static(code));
            headers.insert(
                "grpc-message",
                HeaderValue::try_from(percent_encoded(message)).unwrap_or(HeaderValue::from_static("")),
            );
            StatusCode::OK
        } else {
            self.status()
        };
        if matches!(self, Self::Unavailable) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        } else {
            headers.insert(header::WWW_AUTHENTICATE, self.ready(rules).unwrap_or_else(|| self.challenge(rules)));
        }
        *response.status_mut() = status;
        response
    }
}

/// Requests whose answers are read as gRPC: `application/grpc`, `application/grpc+proto`, `application/grpc-web`, ..
///
/// gRPC is always a POST. Anything else gets the status of HTTP: a 200 to a GET could be kept by a cache for others.
fn is_grpc<B>(request: &Request<B>) -> bool {
    if request.method() != Method::POST {
        return false;
    }
    let value = request.headers().get(header::CONTENT_TYPE).map_or(&[][..], |value| value.as_bytes());
    value.get(..16).is_some_and(|start| start.eq_ignore_ascii_case(b"application/grpc"))
}

/// What may stand between quotes: RFC 6749 §5.2 allows printable ASCII without `"` and `\`.
fn quotable(text: &str) -> String {
    text.chars().filter(|char| matches!(char, ' '..='~') && !matches!(char, '"' | '\\')).collect()
}

/// As gRPC wants its messages: printable ASCII but `%`.
fn percent_encoded(message: &str) -> String {
    message
        .bytes()
        .map(|byte| match byte {
            b' '..=b'~' if byte != b'%' => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
