//! A browser's question before a request of another origin
//! ([Fetch §4.8](https://fetch.spec.whatwg.org/#cors-preflight-fetch)). It never has a token, so it goes to a CORS layer
//! inside without one. Anybody can send what looks like it; so of the answer nothing gets out but a CORS policy.

use http::{HeaderMap, HeaderName, Method, Request, Response, header};
use http_body::Body;

/// What a browser's question never has.
const NEVER: [HeaderName; 3] = [header::AUTHORIZATION, header::COOKIE, header::CONTENT_TYPE];

/// Whether a browser asks so: once of each of its two questions, without credentials, and with nothing to act on.
pub(super) fn is_preflight<B: Body>(request: &Request<B>) -> bool {
    let headers = request.headers();
    let once = |name| headers.get_all(name).iter().count() == 1;
    *request.method() == Method::OPTIONS
        && once(header::ORIGIN)
        && once(header::ACCESS_CONTROL_REQUEST_METHOD)
        && !NEVER.iter().any(|name| headers.contains_key(name))
        && request.body().is_end_stream()
}

/// What a browser reads of an answer, and nothing else of it; `None` if no CORS layer gave it.
pub(super) fn policy<B: Default>(answer: &Response<B>) -> Option<Response<B>> {
    if !(answer.status().is_success() && is_cors(answer.headers())) {
        return None;
    }
    let mut policy = Response::new(B::default());
    *policy.status_mut() = answer.status();
    for (name, value) in answer.headers() {
        if *name == header::VARY || name.as_str().starts_with("access-control-") {
            policy.headers_mut().append(name, value.clone());
        }
    }
    Some(policy)
}

fn is_cors(headers: &HeaderMap) -> bool {
    headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN)
        || headers.contains_key(header::ACCESS_CONTROL_ALLOW_METHODS)
        || headers.contains_key(header::ACCESS_CONTROL_ALLOW_HEADERS)
}
