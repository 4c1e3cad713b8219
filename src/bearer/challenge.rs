//! The answers of the bearer layer ([RFC 6750 §3](https://www.rfc-editor.org/rfc/rfc6750#section-3)), for gRPC too.

use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};

use super::authorized::Authorized;
use super::dpop::Proofs;
use super::layer::Rules;
use super::service::Scheme;
use super::step_up::StepUp;
use super::verify::{Own, Refusal};
use crate::error::{ErrorCode, ProtocolError, StoreError};
use crate::event::Event;
use crate::grant::Grant;
use crate::http::DPOP_NONCE;
use crate::span;
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
    /// It has no token that is good here.
    Refused(ProtocolError),
    /// Its token is good, and may not do this.
    Forbidden(ProtocolError, Box<Authorized>),
    /// The user has to authenticate again or in another way; with the token, where it is known.
    StepUp(StepUp, Option<Box<Authorized>>),
    /// Its token is the provider's own, and not good.
    Own(Own),
    /// Nobody can tell now: 503.
    Unavailable(StoreError),
}

impl From<ProtocolError> for Rejected {
    fn from(error: ProtocolError) -> Self {
        Self::Refused(error)
    }
}

impl From<Refusal> for Rejected {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::InvalidToken(why) => Self::Refused(ProtocolError::TOKEN_REFUSED.saying(why)),
            Refusal::Refused(error) => Self::Refused(error),
            Refusal::Unavailable(error) => Self::Unavailable(error),
        }
    }
}

impl Rejected {
    const fn error(&self) -> ProtocolError {
        match self {
            Self::Refused(error) | Self::Forbidden(error, _) => *error,
            Self::StepUp(..) => StepUp::ERROR,
            Self::Own(own) => own.error(),
            Self::Unavailable(_) => ProtocolError::TOKEN_NOT_CHECKED,
        }
    }

    /// The status, and the code of gRPC: INVALID_ARGUMENT, PERMISSION_DENIED, UNAVAILABLE, UNAUTHENTICATED.
    fn status(&self) -> (StatusCode, &'static str) {
        match self.error().code() {
            ErrorCode::InvalidRequest => (StatusCode::BAD_REQUEST, "3"),
            ErrorCode::InsufficientScope => (StatusCode::FORBIDDEN, "7"),
            ErrorCode::TemporarilyUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "14"),
            _ => (StatusCode::UNAUTHORIZED, "16"),
        }
    }

    /// The realm, since RFC 6750 §3 asks for one parameter at least; the error if there was a token; and the scope that
    /// the route needs if it needs one.
    fn challenge(&self, rules: &Rules, scheme: Scheme, tells_error: bool) -> HeaderValue {
        // A realm is what shares its credentials (RFC 9110 §11.5): here, what one token is for.
        let realm = rules.resource.as_ref().map_or("api", Resource::as_str);
        let mut text = format!("{} realm=\"{}\"", scheme.as_str(), quotable(realm));
        let error = self.error();
        // §3.1: a request that says nothing of a token hears of no error.
        if tells_error && error != ProtocolError::TOKEN_MISSING {
            text += &format!(", error=\"{}\", error_description=\"{}\"", error.code(), quotable(error.description()));
        }
        if let Self::StepUp(step_up, _) = self {
            text += &step_up.parameters();
        }
        if error.code() != ErrorCode::InvalidRequest {
            // No scope would make a user of a client.
            if !rules.hint.scope.is_empty() && error != ProtocolError::USER_NEEDED {
                text += &format!(", scope=\"{}\"", quotable(&rules.hint.scope));
            }
            if let Some(url) = &rules.hint.metadata {
                text += &format!(", resource_metadata=\"{}\"", quotable(url));
            }
        }
        if scheme == Scheme::Dpop {
            text += &format!(", algs=\"{}\"", Proofs::ALGORITHMS);
        }
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("Bearer realm=\"api\""))
    }

    /// The challenges of a provider's own refusals are made once: a flood of forged tokens is answered without
    /// formatting.
    fn ready(&self, rules: &Rules) -> Option<HeaderValue> {
        let Self::Own(own) = *self else { return None };
        let make = |own| Self::Own(own).challenge(rules, Scheme::Bearer, true);
        let ready = rules.challenges.get_or_init(|| Own::ALL.map(make));
        Some(ready[own as usize].clone())
    }

    /// The error stands with the scheme that was tried; beside it stands the other one, where that is taken too
    /// ([RFC 9449 §7.2](https://www.rfc-editor.org/rfc/rfc9449#section-7.2)).
    fn put_challenges(&self, rules: &Rules, scheme: Scheme, headers: &mut HeaderMap) {
        let required = rules.proofs.as_ref().is_some_and(|proofs| proofs.are_required());
        let scheme = if required { Scheme::Dpop } else { scheme };
        let ready = if scheme == Scheme::Bearer { self.ready(rules) } else { None };
        let told = ready.unwrap_or_else(|| self.challenge(rules, scheme, true));
        headers.insert(header::WWW_AUTHENTICATE, told);
        let Some(proofs) = &rules.proofs else { return };
        if !required {
            headers.append(header::WWW_AUTHENTICATE, self.challenge(rules, scheme.other(), false));
        }
        if let (ErrorCode::UseDpopNonce, Some(nonce)) = (self.error().code(), proofs.nonce()) {
            headers.insert(DPOP_NONCE, nonce);
            // §8.2: or somebody else gets a stale one.
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
    }

    /// Lets the operator know.
    fn report(&self, rules: &Rules) {
        span::record("oauth.error", self.error().code().as_str());
        match self {
            Self::Unavailable(error) => rules.events.tell(&Event::unavailable(error)),
            Self::Forbidden(_, token) | Self::StepUp(_, Some(token)) => rules.events.tell(&Event {
                client: Some(token.client_id()),
                subject: token.user_subject(),
                grant: token.grant().map(Grant::key),
                ..Event::refused(self.error())
            }),
            _ => rules.events.tell(&Event::refused(self.error())),
        }
    }

    /// The whole answer.
    pub(super) fn response<ReqBody, B: Default>(&self, request: &Request<ReqBody>, rules: &Rules) -> Response<B> {
        let mut response = self.as_http(rules, rules.scheme(request.headers()));
        if is_grpc(request) {
            self.as_grpc(&mut response);
        }
        response
    }

    /// Makes the answer one of gRPC.
    fn as_grpc<B>(&self, response: &mut Response<B>) {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-status", HeaderValue::from_static(self.status().1));
        headers.insert(
            "grpc-message",
            HeaderValue::try_from(percent_encoded(self.error().description())).unwrap_or(HeaderValue::from_static("")),
        );
        *response.status_mut() = StatusCode::OK;
    }

    /// Completes the answer of a service inside that says that the user has to authenticate.
    pub(super) fn complete<B: Default>(rules: &Rules, scheme: Scheme, is_grpc: bool, response: &mut Response<B>) {
        if response.status() != StatusCode::UNAUTHORIZED {
            return;
        }
        let Some(step_up) = response.extensions_mut().remove::<StepUp>() else { return };
        let rejected = Self::StepUp(step_up, None);
        rejected.report(rules);
        rejected.put_challenges(rules, scheme, response.headers_mut());
        if is_grpc {
            *response.body_mut() = B::default();
            rejected.as_grpc(response);
        }
    }

    /// The whole answer to a request that is no gRPC.
    pub(super) fn as_http<B: Default>(&self, rules: &Rules, scheme: Scheme) -> Response<B> {
        self.report(rules);
        let mut response = Response::new(B::default());
        *response.status_mut() = self.status().0;
        let headers = response.headers_mut();
        if matches!(self, Self::Unavailable(_)) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        } else {
            self.put_challenges(rules, scheme, headers);
        }
        response
    }
}

/// Requests whose answers are read as gRPC: `application/grpc`, `application/grpc+proto`, `application/grpc-web`, ..
///
/// gRPC is always a POST. Anything else gets the status of HTTP: a 200 to a GET could be kept by a cache for others.
pub(super) fn is_grpc<B>(request: &Request<B>) -> bool {
    if request.method() != Method::POST {
        return false;
    }
    let value = request.headers().get(header::CONTENT_TYPE).map_or(&[][..], |value| value.as_bytes());
    value.get(..16).is_some_and(|start| start.eq_ignore_ascii_case(b"application/grpc"))
}

/// What may stand between quotes: RFC 6749 §5.2 allows printable ASCII without `"` and `\`.
pub(super) fn quotable(text: &str) -> String {
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
