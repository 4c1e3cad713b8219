use std::fmt;
use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::body::ResponseBody;
use super::failure::Failure;
use crate::error::{ErrorCode, ProtocolError};
use crate::provider::Provider;

/// An answer of an endpoint of ours.
pub(crate) type Reply = Response<ResponseBody>;

/// An error in JSON ([RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2)).
pub(crate) fn failure(failure: &Failure) -> Reply {
    let (status, error) = (failure.status(), failure.error());
    let mut reply = json(status, &json!({"error": error.code().as_str(), "error_description": error.description()}));
    if status == StatusCode::UNAUTHORIZED {
        // RFC 9110 §15.5.2 asks for a challenge with every 401, and RFC 6749 §5.2 for this one.
        set(&mut reply, header::WWW_AUTHENTICATE, "Basic realm=\"client authentication\"");
    }
    // A store is back soon; when there is room for another client, nobody knows.
    if status == StatusCode::SERVICE_UNAVAILABLE && *error != ProtocolError::REGISTRATIONS_FULL {
        set(&mut reply, header::RETRY_AFTER, "1");
    }
    reply
}

/// JSON that no cache keeps.
pub(crate) fn json(status: StatusCode, value: &Value) -> Reply {
    let mut reply = bare(status);
    *reply.body_mut() = ResponseBody::ours(value.to_string());
    set(&mut reply, header::CONTENT_TYPE, "application/json");
    set(&mut reply, header::PRAGMA, "no-cache");
    reply
}

/// JSON for everybody, which caches keep so long; to a HEAD without its body.
pub(crate) fn public_json(method: &Method, value: &Value, max_age: Duration) -> Reply {
    let mut reply = json(StatusCode::OK, value);
    let kept = HeaderValue::try_from(format!("public, max-age={}", max_age.as_secs())).expect("a number is ASCII");
    reply.headers_mut().insert(header::CACHE_CONTROL, kept);
    reply.headers_mut().remove(header::PRAGMA);
    if method == Method::HEAD {
        *reply.body_mut() = ResponseBody::default();
    }
    reply
}

/// No body, and no cache keeps it.
pub(crate) fn bare(status: StatusCode) -> Reply {
    let mut reply = Reply::default();
    *reply.status_mut() = status;
    set(&mut reply, header::CACHE_CONTROL, "no-store");
    reply
}

/// [RFC 9110 §15.5.6](https://www.rfc-editor.org/rfc/rfc9110#section-15.5.6)
pub(crate) fn method_not_allowed(provider: &Provider, allow: &'static str) -> Reply {
    let refused = Failure::from(ProtocolError::METHOD_NOT_TAKEN);
    refused.report(provider);
    let mut reply = failure(&refused);
    set(&mut reply, header::ALLOW, allow);
    reply
}

/// Sends the browser on with a GET, never with the form that it just posted
/// ([RFC 9700 §4.12](https://www.rfc-editor.org/rfc/rfc9700#section-4.12)).
pub(crate) fn redirect(location: &str) -> Reply {
    let mut reply = bare(StatusCode::SEE_OTHER);
    match HeaderValue::from_str(location) {
        Ok(location) => {
            reply.headers_mut().insert(header::LOCATION, location);
            set(&mut reply, header::REFERRER_POLICY, "no-referrer");
            reply
        }
        // Every part of a location is checked or encoded, so this says that one was forgotten.
        Err(_) => bare(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// An error that is shown to the user, since there is no client that could be trusted with it. It repeats nothing of
/// the request.
pub(crate) fn error_page(failure: &Failure, own: Option<String>) -> Reply {
    let (status, error) = (failure.status(), failure.error());
    let mut reply = match own {
        Some(page) => html(status, page, "frame-ancestors 'none'"),
        None => html(status, Page { error }.to_string(), &POLICY),
    };
    if status == StatusCode::SERVICE_UNAVAILABLE {
        set(&mut reply, header::RETRY_AFTER, "1");
    }
    reply
}

/// A page under a content security policy; no cache keeps it, no site frames it, and its forms name their origin.
pub(crate) fn html(status: StatusCode, page: String, policy: &str) -> Reply {
    let mut reply = bare(status);
    *reply.body_mut() = ResponseBody::ours(page);
    let policy = HeaderValue::from_str(policy).expect("a policy is ASCII");
    reply.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    set(&mut reply, header::CONTENT_TYPE, "text/html; charset=utf-8");
    set(&mut reply, header::REFERRER_POLICY, "same-origin");
    set(&mut reply, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(&mut reply, header::X_FRAME_OPTIONS, "DENY");
    reply
}

/// How a content security policy names a style sheet that stands in the page.
pub(crate) fn style_source(style: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(style)))
}

fn set(reply: &mut Reply, name: HeaderName, value: &'static str) {
    reply.headers_mut().insert(name, HeaderValue::from_static(value));
}

const STYLE: &str = "\
:root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif}\
body{margin:0;min-height:100vh;display:grid;place-items:center;background:Canvas;color:CanvasText}\
main{box-sizing:border-box;width:min(100%,30rem);padding:2rem 1.25rem}\
h1{font-size:1.375rem;line-height:1.25;margin:0 0 .75rem}\
p{margin:0 0 .75rem}\
code{overflow-wrap:anywhere}";

/// Lets the one style sheet of the page pass and nothing else.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = style_source(STYLE);
    format!("default-src 'none'; style-src {style}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
});

struct Page<'a> {
    error: &'a ProtocolError,
}

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let advice = match self.error.code() {
            _ if *self.error == ProtocolError::CROSS_SITE => {
                "This form was sent from another site, so nothing was changed. Go back to the app and start again."
            }
            ErrorCode::TemporarilyUnavailable => {
                "Something here is not working right now. Wait a moment and load this page again."
            }
            ErrorCode::LoginRequired => "Log in first, then load this page again.",
            ErrorCode::ServerError => "Something here is not set up right. Nothing was changed.",
            _ => {
                "The app that sent you here asked in a way that cannot be answered. Go back to it and try again, or tell its developer."
            }
        };
        write!(
            f,
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <title>This did not work</title><style>{STYLE}</style></head>\
             <body><main><h1>This did not work</h1><p>{advice}</p><p><code>{}</code></p></main></body></html>",
            self.error
        )
    }
}
