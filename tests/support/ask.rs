//! An authorization request that is changed parameter by parameter, and what an answer to it looks like.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use axum::Router;
use axum::body::Body;
use axum::routing::MethodRouter;
use http::{Method, Request, StatusCode, header};
use tower::util::BoxCloneSyncService;
use tower_oauth::Provider;

use crate::support::{Answer, App, ISSUER, VERIFIER, WEB, challenge, encode, form, request};

pub const STATE: &str = "af0ifjsldkj";

/// The parameters of a request.
#[derive(Clone)]
pub struct Ask(Vec<(String, String)>);

/// A good request of the public client.
pub fn ask() -> Ask {
    Ask(Vec::new())
        .with("response_type", "code")
        .with("client_id", "public")
        .with("redirect_uri", WEB)
        .with("state", STATE)
        .with("code_challenge", &challenge(VERIFIER))
        .with("code_challenge_method", "S256")
}

impl Ask {
    /// Of another client.
    pub fn of(self, client: &str, redirect_uri: &str) -> Self {
        self.with("client_id", client).with("redirect_uri", redirect_uri)
    }

    /// With one parameter set.
    pub fn with(self, name: &str, value: &str) -> Self {
        self.without(name).and(name, value)
    }

    /// With one parameter once more.
    pub fn and(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With one parameter left out.
    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|(known, _)| known != name);
        self
    }

    pub fn pairs(&self) -> Vec<(&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value)).collect()
    }

    pub fn query(&self) -> String {
        encode(&self.pairs())
    }

    /// At `/authorize`.
    pub fn url(&self) -> String {
        format!("/authorize?{}", self.query())
    }

    pub fn get(&self) -> Request<Body> {
        request(Method::GET, &self.url())
    }

    /// A decision: the request is in the query, and the form is empty.
    pub fn post(&self) -> Request<Body> {
        form(&self.url(), &[])
    }
}

/// An app with this page at `/authorize`.
pub fn app_with(provider: &Provider, page: MethodRouter) -> App {
    let router = Router::new().route("/authorize", page).layer(provider.layer());
    BoxCloneSyncService::new(router.into_service())
}

impl Answer {
    /// The parameters of where it redirects to, which is `uri` and nothing else.
    #[track_caller]
    pub fn sent_to(&self, uri: &str) -> Vec<(String, String)> {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{self:?}");
        assert_eq!(self.headers.get_all(header::LOCATION).iter().count(), 1);
        assert_eq!((self.header(header::CACHE_CONTROL), &*self.body), ("no-store", ""));
        let query = self.location().strip_prefix(uri).and_then(|rest| rest.strip_prefix('?'));
        let query = query.unwrap_or_else(|| panic!("{} is not {uri} and a query", self.location()));
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-._*+%&=".contains(&byte);
        assert!(query.bytes().all(good), "{query} is not encoded");
        serde_urlencoded::from_str(query).expect("pairs")
    }

    /// It tells the client at `uri` of this error, and nothing more than the standards have.
    #[track_caller]
    pub fn assert_error_at(&self, uri: &str, error: &str, state: Option<&str>) {
        let sent = self.sent_to(uri);
        let get = |wanted: &str| sent.iter().find(|(name, _)| name == wanted).map(|(_, value)| &**value);
        assert_eq!((get("error"), get("state"), get("iss")), (Some(error), state, Some(ISSUER)), "{sent:?}");
        let description = get("error_description").expect("a description");
        // RFC 6749 §4.1.2.1
        let good = |byte: u8| matches!(byte, 0x20..=0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        assert!(!description.is_empty() && description.bytes().all(good), "{description:?}");
        assert_eq!(sent.len(), 3 + usize::from(state.is_some()), "{sent:?}");
    }

    /// It gives the client at `uri` a code, and nothing more than the standards have.
    #[track_caller]
    pub fn assert_code_at(&self, uri: &str, state: Option<&str>) -> String {
        let sent = self.sent_to(uri);
        let get = |wanted: &str| sent.iter().find(|(name, _)| name == wanted).map(|(_, value)| &**value);
        assert_eq!((get("state"), get("iss")), (state, Some(ISSUER)), "{sent:?}");
        assert_eq!(sent.len(), 2 + usize::from(state.is_some()), "{sent:?}");
        get("code").expect("a code").to_owned()
    }

    /// It shows an error to the user, here, and goes nowhere.
    #[track_caller]
    pub fn assert_error_here(&self, status: StatusCode) {
        assert_eq!(self.status, status, "{self:?}");
        assert!(!self.headers.contains_key(header::LOCATION), "{self:?}");
        assert_eq!(self.header(header::CONTENT_TYPE), "text/html; charset=utf-8");
        assert_eq!(self.header(header::CACHE_CONTROL), "no-store");
        assert_eq!(self.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert!(self.header(header::CONTENT_SECURITY_POLICY).contains("frame-ancestors 'none'"));
        assert!(self.body.starts_with("<!doctype html>"), "{}", self.body);
    }
}
