//! The app of `support` on a shelf: what was kept can be looked at, and what is kept can fail.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use axum::body::Body;
use http::{Request, StatusCode, header};
use tower_oauth::testing::ManualClock;
use tower_oauth::{Provider, ProviderBuilder};

use crate::shelf::Shelf;
use crate::support::{Answer, App, NATIVE, SECRET, WEB, app, basic, bearer, builder, code_of, form, send};
pub use crate::support::{redemption, refreshing};

pub struct Site {
    pub provider: Provider,
    pub app: App,
    pub clock: ManualClock,
    pub shelf: Shelf,
}

pub fn site() -> Site {
    site_with(|builder| builder)
}

pub fn site_with(change: impl FnOnce(ProviderBuilder) -> ProviderBuilder) -> Site {
    let (clock, shelf) = (ManualClock::default(), Shelf::default());
    let provider = change(builder(&clock).store(shelf.clone())).build().expect("a good configuration");
    Site { app: app(&provider), provider, clock, shelf }
}

/// An access and a refresh token.
#[derive(Clone, Debug)]
pub struct Pair {
    pub access: String,
    pub refresh: String,
}

impl Pair {
    #[track_caller]
    pub fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        let json = answer.json();
        let text = |name: &str| json[name].as_str().unwrap_or_else(|| panic!("no {name} in {json}")).to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token") }
    }
}

impl Site {
    /// A token request of whoever `params` say.
    pub async fn token(&self, params: &[(&str, &str)]) -> Answer {
        send(&self.app, form("/token", params)).await
    }

    /// A token request of one of the four clients.
    pub async fn token_as(&self, client: &str, params: &[(&str, &str)]) -> Answer {
        send(&self.app, as_client(client, params)).await
    }

    /// The public client's code for alice.
    pub async fn code(&self, scope: &str) -> String {
        code_of(&self.app, "public", WEB, scope).await
    }

    /// The public client's tokens for alice.
    pub async fn connect(&self, scope: &str) -> Pair {
        let code = self.code(scope).await;
        Pair::of(&self.token(&redemption(&code)).await)
    }

    /// The public client refreshes.
    pub async fn refresh(&self, token: &str) -> Answer {
        self.token(&refreshing(token)).await
    }

    /// What any route that wants a token answers to this one.
    pub async fn show(&self, access: &str) -> Answer {
        send(&self.app, bearer("/me", access)).await
    }

    pub async fn is_good(&self, access: &str) -> bool {
        let status = self.show(access).await.status;
        assert!(matches!(status, StatusCode::OK | StatusCode::UNAUTHORIZED), "{status}");
        status == StatusCode::OK
    }
}

/// Where a client of `support` is sent back to.
pub fn redirect_uri_of(client: &str) -> &'static str {
    if client == "native" { NATIVE } else { WEB }
}

/// With one parameter set.
pub fn with<'a>(params: &[(&'a str, &'a str)], name: &'a str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut params = without(params, name);
    params.push((name, value));
    params
}

/// With one parameter left out.
pub fn without<'a>(params: &[(&'a str, &'a str)], name: &str) -> Vec<(&'a str, &'a str)> {
    params.iter().copied().filter(|(known, _)| *known != name).collect()
}

/// A token request of one of the four clients of `support`, authenticated as it is registered.
pub fn as_client(client: &str, params: &[(&str, &str)]) -> Request<Body> {
    let params = without(params, "client_id");
    match client {
        "confidential" => basic(form("/token", &params), client, SECRET),
        "original" => form("/token", &with(&with(&params, "client_id", client), "client_secret", SECRET)),
        _ => form("/token", &with(&params, "client_id", client)),
    }
}

/// An error of RFC 6749 §5.2, with all that belongs to it.
#[track_caller]
pub fn assert_refused(answer: &Answer, status: StatusCode, error: &str) {
    assert_eq!((answer.status, &*answer.error()), (status, error), "{answer:?}");
    assert_uncached_json(answer);
    let json = answer.json();
    let members = json.as_object().expect("an object");
    let description = members["error_description"].as_str().expect("a text");
    let allowed = |char| matches!(char, '\x20'..='\x21' | '\x23'..='\x5b' | '\x5d'..='\x7e');
    assert!(members.len() == 2 && !description.is_empty() && description.chars().all(allowed), "{answer:?}");
}

/// RFC 6749 §5.1
#[track_caller]
pub fn assert_uncached_json(answer: &Answer) {
    assert_eq!(answer.header(header::CONTENT_TYPE), "application/json", "{answer:?}");
    assert_eq!((answer.header(header::CACHE_CONTROL), answer.header(header::PRAGMA)), ("no-store", "no-cache"));
}

#[track_caller]
pub fn assert_invalid_grant(answer: &Answer) {
    assert_refused(answer, StatusCode::BAD_REQUEST, "invalid_grant");
}

#[track_caller]
pub fn assert_invalid_request(answer: &Answer) {
    assert_refused(answer, StatusCode::BAD_REQUEST, "invalid_request");
}

#[track_caller]
pub fn assert_unavailable(answer: &Answer) {
    assert_refused(answer, StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable");
    assert_eq!(answer.header(header::RETRY_AFTER), "1");
}
