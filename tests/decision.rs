//! The page as a service: what it sees, what it answers, whose decisions are taken, and what becomes of them.

#[path = "support/ask.rs"]
mod ask;
#[path = "support/down.rs"]
mod down;
mod support;

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use ask::*;
use axum::body::Body;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{MethodRouter, any, get};
use axum::{Json, Router};
use down::Down;
use http::{HeaderName, Method, Request, StatusCode, header};
use serde_json::json;
use support::{App, bearer, builder, form, provider, redeem, request, send, *};
use tower::util::BoxCloneSyncService;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_oauth::testing::ManualClock;
use tower_oauth::{
    Approval, AuthorizationRequest, Authorized, Client, Denial, Endpoints, ErrorCode, MemoryStore, ProtocolError,
    Provider, Secret, Secrets, escape,
};

/// A provider, and the store in which its grants can be counted.
fn counted() -> (Provider, MemoryStore) {
    let store = MemoryStore::new();
    let provider = builder(&ManualClock::default()).store(store.clone()).build().expect("a good configuration");
    (provider, store)
}

/// A page that approves as alice.
fn approving() -> MethodRouter {
    any(|request: AuthorizationRequest| async move { request.approve("alice") })
}

/// A page that must not be reached.
fn guarded() -> MethodRouter {
    any(|request: AuthorizationRequest| async move {
        panic!("the page was called for {request:?}");
        #[allow(unreachable_code, reason = "it names the type")]
        Response::<Body>::default()
    })
}

/// A page that shows something.
fn showing() -> MethodRouter {
    any(async || Html("a page"))
}

// ---- what a decision does ------------------------------------------------------------------------------------------

/// RFC 6749 §4.1.2, RFC 9207 §2; RFC 9700 §4.12: 303, so that a form that was posted is not sent on
#[tokio::test]
async fn an_approval_sends_the_client_a_code_and_a_denial_an_error() {
    let (provider, _) = provider();
    for answer in [ask().get(), ask().post()] {
        let answer = send(&app_with(&provider, approving()), answer).await;
        answer.assert_code_at(WEB, Some(STATE));
        assert_eq!((answer.status.as_u16(), answer.header(header::REFERRER_POLICY)), (303, "no-referrer"));
    }
    type Deny = fn(AuthorizationRequest) -> Denial;
    let denials: [(Deny, &str); 3] = [
        (|request| request.deny(), "access_denied"),
        (|request| request.login_required(), "login_required"),
        (|request| request.consent_required(), "consent_required"),
    ];
    for (deny, error) in denials {
        let app = app_with(&provider, any(move |request: AuthorizationRequest| async move { deny(request) }));
        for answer in [ask().get(), ask().post()] {
            send(&app, answer).await.assert_error_at(WEB, error, Some(STATE));
        }
        send(&app, ask().without("state").get()).await.assert_error_at(WEB, error, None);
    }
}

/// Nothing is written before consent: state lives in the query, through however many pages
#[tokio::test]
async fn a_page_that_only_shows_writes_nothing() {
    let (provider, store) = counted();
    let app = app_with(&provider, showing());
    for _ in 0..3 {
        assert_eq!(send(&app, ask().get()).await.body, "a page");
        assert_eq!(send(&app, ask().post()).await.body, "a page");
    }
    let denying = app_with(&provider, any(|request: AuthorizationRequest| async move { request.deny() }));
    send(&denying, ask().post()).await.assert_error_at(WEB, "access_denied", Some(STATE));
    assert!(store.is_empty());
}

/// RFC 6749 §3.3: the user may grant less
#[tokio::test]
async fn an_approval_may_grant_less_than_was_asked_for() {
    let (provider, _) = provider();
    let page = any(|request: AuthorizationRequest| async move {
        request.approve("alice").scope("notes:read".parse().unwrap())
    });
    let app = app_with(&provider, page);
    let code = send(&app, ask().with("scope", "profile notes:read").get()).await.assert_code_at(WEB, Some(STATE));
    assert_eq!(redeem(&app, &code).await.json()["scope"], "notes:read");
}

/// An approval for more is the app's mistake, and grants nothing
#[tokio::test]
async fn an_approval_for_more_than_was_asked_for_or_for_nothing_or_of_nobody_is_a_500() {
    let (provider, store) = counted();
    for (user, scope) in [
        ("alice", "profile notes:read"),
        ("alice", "notes:read"),
        ("alice", "admin"),
        ("alice", "unheard-of"),
        ("alice", ""),
        ("", "profile"),
    ] {
        let page =
            any(
                move |request: AuthorizationRequest| async move { request.approve(user).scope(scope.parse().unwrap()) },
            );
        let answer = send(&app_with(&provider, page), ask().post()).await;
        answer.assert_error_here(StatusCode::INTERNAL_SERVER_ERROR);
        assert!(answer.body.contains("more than was asked for, or nothing"), "{}", answer.body);
    }
    assert!(store.is_empty());
}

/// An approval belongs to the request that it was minted from, and is of no use for another, even one of the same text
#[tokio::test]
async fn a_decision_on_another_request_is_a_500() {
    let (provider, store) = counted();
    let kept: Arc<Mutex<Option<AuthorizationRequest>>> = Arc::default();
    for other in [ask(), ask().with("client_id", "confidential"), ask().with("scope", "notes:write")] {
        for deny in [false, true] {
            let kept = Arc::clone(&kept);
            let page = any(move |request: AuthorizationRequest| async move {
                let before = kept.lock().unwrap().take();
                match before {
                    Some(other) if deny => other.deny().into_response(),
                    Some(other) => other.approve("alice").into_response(),
                    None => {
                        *kept.lock().unwrap() = Some(request);
                        Html("a page").into_response()
                    }
                }
            });
            let app = app_with(&provider, page);
            assert_eq!(send(&app, other.get()).await.body, "a page");
            let answer = send(&app, ask().post()).await;
            answer.assert_error_here(StatusCode::INTERNAL_SERVER_ERROR);
            assert!(answer.body.contains("on another request"), "{}", answer.body);
        }
    }
    assert!(store.is_empty());
}

#[tokio::test]
async fn a_decision_that_no_middleware_takes_is_a_500_and_grants_nothing() {
    let (provider, store) = counted();
    let kept: Arc<Mutex<Option<AuthorizationRequest>>> = Arc::default();
    let (keep, lost) = (Arc::clone(&kept), Arc::clone(&kept));
    let router = Router::new()
        .route(
            "/authorize",
            any(move |request: AuthorizationRequest| async move { *keep.lock().unwrap() = Some(request) }),
        )
        .route("/approve", any(move || async move { lost.lock().unwrap().as_ref().unwrap().approve("alice") }))
        .route("/deny", any(move || async move { kept.lock().unwrap().as_ref().unwrap().deny() }))
        .layer(provider.layer());
    let app: App = BoxCloneSyncService::new(router.into_service());
    send(&app, ask().get()).await;
    for path in ["/approve", "/deny"] {
        let answer = send(&app, request(Method::GET, path)).await;
        assert_eq!((answer.status, &*answer.body), (StatusCode::INTERNAL_SERVER_ERROR, ""));
    }
    assert!(store.is_empty());
}

/// The extractor names the line that is missing
#[tokio::test]
async fn a_page_without_a_middleware_above_says_what_to_write() {
    let app: App = BoxCloneSyncService::new(Router::new().route("/authorize", approving()).into_service());
    let answer = send(&app, ask().get()).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.body.contains("is `provider.layer()` applied after this route"), "{}", answer.body);
}

#[tokio::test]
async fn two_providers_on_one_path_are_a_500_and_grant_nothing() {
    let ((outer, outside), (inner, inside)) = (counted(), counted());
    let router = Router::new().route("/authorize", approving()).layer(inner.layer()).layer(outer.layer());
    let app: App = BoxCloneSyncService::new(router.into_service());
    for asked in [ask().get(), ask().post()] {
        let answer = send(&app, asked).await;
        answer.assert_error_here(StatusCode::INTERNAL_SERVER_ERROR);
        assert!(answer.body.contains("two providers claim this path"), "{}", answer.body);
    }
    send(&app, ask().with("prompt", "none").get()).await.assert_error_at(WEB, "server_error", Some(STATE));
    assert!(outside.is_empty() && inside.is_empty());
}

/// RFC 9110 §9.3.2
#[tokio::test]
async fn head_has_no_effect_and_no_body() {
    let (provider, store) = counted();
    for (asked, status) in [
        (ask(), StatusCode::OK),
        (ask().with("prompt", "none"), StatusCode::OK),
        (ask().with("client_id", "nobody"), StatusCode::BAD_REQUEST),
        (ask().with("pad", &"x".repeat(20_000)), StatusCode::URI_TOO_LONG),
        (ask().with("scope", "admin"), StatusCode::SEE_OTHER),
    ] {
        // Not behind a router, which would take the body away by itself.
        let page = service_fn(|request: Request<Body>| async move {
            panic!("the page was called for {request:?}");
            #[allow(unreachable_code, reason = "it names the type")]
            Ok::<Response, Infallible>(Response::default())
        });
        let answer = send(&provider.authorize(page), request(Method::HEAD, &asked.url())).await;
        assert_eq!((answer.status, &*answer.body), (status, ""));
        assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
    }
    assert!(store.is_empty());
}

/// What the app attaches when it approves comes back with every token
#[tokio::test]
async fn claims_and_the_time_of_the_login_reach_the_bearer_side() {
    let (provider, _) = provider();
    let login = SystemTime::UNIX_EPOCH + Duration::from_millis(1_799_999_000_500);
    let page = any(move |request: AuthorizationRequest| async move {
        request.approve("alice").auth_time(login).claim("tenant", "acme").claim("roles", json!(["a", "b"]))
    });
    let me = get(|token: Authorized| async move {
        let grant = token.grant().unwrap();
        Json(json!({"sub": token.subject(), "claims": token.claims(), "at": grant.auth_time().map(|at| at.as_secs())}))
    });
    let router =
        Router::new().route("/authorize", page).route("/me", me.route_layer(provider.bearer())).layer(provider.layer());
    let app: App = BoxCloneSyncService::new(router.into_service());
    let (access, refresh) = tokens(&app, "profile").await;
    let again = support::refresh(&app, &refresh).await.json()["access_token"].as_str().unwrap().to_owned();
    for token in [access, again] {
        let me = send(&app, bearer("/me", &token)).await.json();
        assert_eq!(me, json!({"sub": "alice", "claims": {"tenant": "acme", "roles": ["a", "b"]}, "at": 1_799_999_000}));
    }
}

/// A page that logs in and decides in one answer sets its session's cookie beside the decision
#[tokio::test]
async fn a_cookie_that_is_set_beside_a_decision_reaches_the_browser() {
    let (provider, _) = provider();
    let page = any(|request: AuthorizationRequest| async move {
        let cookies = [(header::SET_COOKIE, "session=1; HttpOnly"), (header::SET_COOKIE, "theme=dark")];
        let cookies = axum::response::AppendHeaders(cookies);
        let other = [("x-of-the-page", "1"), ("location", "https://evil.example")];
        if request.has_prompt("consent") {
            (cookies, other, request.deny()).into_response()
        } else {
            (cookies, other, request.approve("alice")).into_response()
        }
    });
    let app = app_with(&provider, page);
    for asked in [ask(), ask().with("prompt", "consent")] {
        let answer = send(&app, asked.post()).await;
        answer.sent_to(WEB);
        let cookies: Vec<_> = answer.headers.get_all(header::SET_COOKIE).iter().collect();
        assert_eq!(cookies, ["session=1; HttpOnly", "theme=dark"]);
        assert!(!answer.headers.contains_key("x-of-the-page"));
    }
}

#[tokio::test]
async fn a_page_can_be_tested_alone_by_what_it_decided() {
    let kept: Arc<Mutex<Option<AuthorizationRequest>>> = Arc::default();
    let (provider, _) = provider();
    let keep = Arc::clone(&kept);
    let page = any(move |request: AuthorizationRequest| async move { *keep.lock().unwrap() = Some(request) });
    send(&app_with(&provider, page), ask().get()).await;
    let request = kept.lock().unwrap().take().unwrap();
    let approved: http::Response<String> = request.approve("alice").into();
    assert_eq!(Approval::from_response(&approved).unwrap().subject().as_str(), "alice");
    assert!(Denial::from_response(&approved).is_none());
    let denied: http::Response<()> = request.consent_required().into();
    assert_eq!(Denial::from_response(&denied).unwrap().error().code(), ErrorCode::ConsentRequired);
    assert!(Approval::from_response(&denied).is_none());
    assert!(Approval::from_response(&http::Response::new(())).is_none());
}

// ---- whose decision it is ------------------------------------------------------------------------------------------

const SITE: &str = "sec-fetch-site";

fn with_headers(mut request: Request<Body>, headers: &[(&str, &str)]) -> Request<Body> {
    for (name, value) in headers {
        request.headers_mut().append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    request
}

/// RFC 9700 §4.7, RFC 6749 §10.12: what is trusted is the issuer's origin, and never `Host`
#[tokio::test]
async fn a_decision_comes_from_this_site() {
    let (provider, store) = counted();
    let app = app_with(&provider, approving());
    for (n, headers) in [
        &[][..], // not a browser
        &[(SITE, "same-origin")],
        &[(SITE, "none")],
        &[("origin", ISSUER)],
        &[("origin", ISSUER), (SITE, "same-origin")],
        &[("origin", ISSUER), ("host", "10.0.0.7:8080")], // behind a proxy
        &[(SITE, "same-origin"), ("host", "10.0.0.7:8080")],
    ]
    .into_iter()
    .enumerate()
    {
        send(&app, with_headers(ask().post(), headers)).await.assert_code_at(WEB, Some(STATE));
        assert_eq!(store.len(), n + 1, "{headers:?}");
    }
}

/// RFC 9700 §4.7, RFC 6749 §10.12
#[tokio::test]
async fn a_decision_from_another_site_is_refused_here_before_anything_else() {
    let (provider, store) = counted();
    let app = app_with(&provider, guarded());
    let evil = "https://evil.example";
    for headers in [
        &[(SITE, "cross-site")][..],
        &[(SITE, "same-site")],
        &[(SITE, "Same-Origin")],
        &[(SITE, "same-origin, cross-site")],
        &[(SITE, "cross-site"), ("origin", evil)],
        &[("origin", evil)],
        &[("origin", "null")],
        &[("origin", "null"), (SITE, "cross-site")],
        &[("origin", "http://shift.example")],
        &[("origin", "https://shift.example:8443")],
        &[("origin", "https://SHIFT.example")],
        &[("origin", "https://shift.example/")],
        &[("origin", "https://sub.shift.example")],
        &[("origin", "https://shift.example.evil.example")],
        &[("origin", "https://shift.example https://evil.example")],
        &[("origin", "https://shift.example, https://evil.example")],
        // The Host header is the sender's to choose, where a proxy passes it on.
        &[("origin", evil), ("host", "evil.example")],
        &[("origin", evil), ("host", "shift.example"), ("x-forwarded-host", "evil.example")],
        &[("origin", evil), ("forwarded", "host=evil.example")],
        // Two of one: whichever was looked at, the other could be the true one.
        &[("origin", ISSUER), ("origin", evil)],
        &[("origin", evil), ("origin", ISSUER)],
        &[("origin", ISSUER), ("origin", ISSUER)],
        &[(SITE, "same-origin"), (SITE, "cross-site")],
        &[("origin", evil), ("origin", ISSUER), (SITE, "same-origin")],
    ] {
        for asked in [ask(), ask().with("client_id", "nobody"), ask().with("scope", "admin")] {
            let answer = send(&app, with_headers(asked.post(), headers)).await;
            answer.assert_error_here(StatusCode::FORBIDDEN);
            assert!(answer.body.contains("from another site"), "{headers:?}: {}", answer.body);
        }
        // With the authority in the request's target, as HTTP/2 has it.
        let target = format!("https://evil.example{}", ask().url());
        let answer = send(&app, with_headers(form(&target, &[]), headers)).await;
        answer.assert_error_here(StatusCode::FORBIDDEN);
    }
    assert!(store.is_empty());
}

/// A link may come from anywhere: it shows a page
#[tokio::test]
async fn a_page_is_shown_to_whoever_comes_from_another_site() {
    let (provider, _) = provider();
    let app = app_with(&provider, showing());
    let answer = send(&app, with_headers(ask().get(), &[(SITE, "cross-site"), ("origin", "null")])).await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "a page"));
}

#[tokio::test]
async fn the_origin_of_an_issuer_has_its_port_and_not_its_path() {
    for (issuer, origin, others) in [
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000", ["http://127.0.0.1", "http://localhost:3000"]),
        ("http://[::1]:3000", "http://[::1]:3000", ["http://[::1]:3001", "http://127.0.0.1:3000"]),
        ("https://shift.example/tenant", "https://shift.example", ["https://shift.example/tenant", "https://tenant"]),
    ] {
        let provider = Provider::builder(issuer)
            .store(MemoryStore::new())
            .scope("profile", "see your profile")
            .default_scope("profile")
            .client(public())
            .build()
            .unwrap();
        let service = provider.authorize(approving());
        let answer = send(&service, with_headers(ask().post(), &[("origin", origin)])).await;
        assert_eq!(answer.redirected("iss").as_deref(), Some(issuer));
        for other in others {
            let answer = send(&service, with_headers(ask().post(), &[("origin", other)])).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{other}");
        }
    }
}

/// The body belongs to the page: nothing in it can change what was validated
#[tokio::test]
async fn oauth_names_in_the_body_of_a_decision_have_no_effect_and_reach_the_page() {
    let (provider, _) = provider();
    let seen: Arc<Mutex<String>> = Arc::default();
    let keep = Arc::clone(&seen);
    let page = any(move |request: AuthorizationRequest, body: String| async move {
        *keep.lock().unwrap() = body;
        request.approve(request.parameter("login_hint").unwrap_or("alice"))
    });
    let app = app_with(&provider, page);
    let other = challenge("another-verifier-of-43-characters-or-more-yes");
    let body = [
        ("client_id", "native"),
        ("redirect_uri", "https://evil.example/cb"),
        ("scope", "notes:write"),
        ("state", "other"),
        ("response_type", "token"),
        ("code_challenge", &other),
        ("code_challenge_method", "plain"),
        ("resource", "https://evil.example"),
        ("login_hint", "mallory"),
        ("prompt", "none"),
        ("client_id", "again"),
    ];
    let code = send(&app, form(&ask().url(), &body)).await.assert_code_at(WEB, Some(STATE));
    assert_eq!(*seen.lock().unwrap(), encode(&body));
    assert_eq!(redeem(&app, &code).await.json()["scope"], "profile");
    let [grant] = &provider.grants_of(&"alice".into()).await.unwrap()[..] else { panic!("one grant, of alice") };
    assert_eq!((grant.client_id().as_str(), grant.resources()[0].as_str()), ("public", ISSUER));
}

/// RFC 9700 §4.7; RFC 6749 §4.1.2.1: client and request are looked at anew at the decision
#[tokio::test]
async fn a_decision_is_validated_against_the_client_as_it_is_then() {
    let (provider, store) = counted();
    let asked = ask().of("later", "https://later.example/cb");
    let app = app_with(&provider, approving());
    send(&app, asked.post()).await.assert_error_here(StatusCode::BAD_REQUEST);
    store.insert(ISSUER, Client::public("later").redirect_uri("https://later.example/cb")).expect("a good client");
    send(&app, asked.post()).await.assert_code_at("https://later.example/cb", Some(STATE));
    store.insert(ISSUER, Client::public("later").redirect_uri("https://moved.example/cb")).expect("a good client");
    send(&app, asked.post()).await.assert_error_here(StatusCode::BAD_REQUEST);
    store
        .insert(ISSUER, Client::public("later").redirect_uri("https://later.example/cb").scope("notes:read"))
        .expect("a good client");
    let asked = asked.with("scope", "profile");
    send(&app, asked.post()).await.assert_error_at("https://later.example/cb", "invalid_scope", Some(STATE));
    assert_eq!(store.len(), 1);
}

/// What the page says of a form token of this session: `?make=1` makes one, and the body is checked.
fn form_tokens() -> MethodRouter {
    any(|request: AuthorizationRequest, method: Method, session: http::HeaderMap, body: String| async move {
        let session = session.get("session").map_or(&[][..], |value| value.as_bytes());
        match method {
            Method::GET => request.form_token(session),
            _ => request.check_form_token(session, &body).to_string(),
        }
    })
}

async fn form_token(app: &App, asked: &Ask, session: &str) -> String {
    send(app, with_headers(asked.get(), &[("session", session)])).await.body
}

async fn checks(app: &App, asked: &Ask, session: &str, token: &str) -> bool {
    let posted = Request::post(asked.url()).body(Body::from(token.to_owned())).unwrap();
    send(app, with_headers(posted, &[("session", session)])).await.body == "true"
}

/// RFC 9700 §4.7: the decision belongs to the session that saw the page, and to what it saw
#[tokio::test]
async fn a_form_token_is_good_for_its_session_and_its_request_alone() {
    let notes = "https://shift.example/notes";
    let two = Client::public("two").redirect_uri("https://a.example/cb").redirect_uri("https://b.example/cb");
    let more = builder(&ManualClock::default()).resource(notes).client(two).build().unwrap();
    let app = app_with(&more, form_tokens());
    let asked = ask().with("scope", "profile notes:read");
    let token = form_token(&app, &asked, "one").await;
    assert!(checks(&app, &asked, "one", &token).await);
    assert!(!checks(&app, &asked, "two", &token).await && !checks(&app, &asked, "", &token).await);
    for other in [
        asked.clone().of("confidential", WEB),
        asked.clone().of("native", NATIVE),
        asked.clone().with("scope", "profile"),
        asked.clone().with("scope", "profile notes:write"),
        asked.clone().with("state", "other"),
        asked.clone().without("state"),
        asked.clone().with("code_challenge", &challenge("another-verifier-of-43-characters-or-more-yes")),
        asked.clone().with("resource", notes),
    ] {
        assert!(!checks(&app, &other, "one", &token).await, "{}", other.query());
        assert!(checks(&app, &other, "one", &form_token(&app, &other, "one").await).await);
    }
    let (a, b) = (ask().of("two", "https://a.example/cb"), ask().of("two", "https://b.example/cb"));
    assert!(!checks(&app, &b, "one", &form_token(&app, &a, "one").await).await, "where the answer goes");
    // What the request is stays the same, whatever else stands in its query.
    assert!(checks(&app, &asked.clone().with("lang", "de").with("prompt", "consent"), "one", &token).await);
    for bad in [
        "",
        "x",
        &token[1..],
        &format!("{token}A"),
        &token.replace(&token[..1], if &token[..1] == "A" { "B" } else { "A" }),
    ] {
        assert!(!checks(&app, &asked, "one", bad).await, "{bad}");
    }
    // The parts of it cannot be shifted into each other.
    let shifted = form_token(&app, &ask().with("state", "ab"), "x").await;
    assert!(!checks(&app, &ask().with("state", "b"), "xa", &shifted).await);
    let (foreign, _) = provider();
    assert!(!checks(&app_with(&foreign, form_tokens()), &asked, "one", &token).await, "another provider's secret");
}

#[tokio::test]
async fn a_form_token_of_the_apps_own_is_good_for_its_session_and_purpose_alone() {
    let (provider, _) = provider();
    let token = provider.form_token("one", "login");
    assert!(provider.check_form_token("one", "login", &token));
    for (session, purpose) in
        [("two", "login"), ("one", "logout"), ("onelogin", ""), ("", "onelogin"), ("onel", "ogin")]
    {
        assert!(!provider.check_form_token(session, purpose, &token), "{session} {purpose}");
    }
    // One for another kind of form is none of a page's, and the other way round.
    let app = app_with(&provider, form_tokens());
    assert!(!checks(&app, &ask(), "one", &token).await);
    assert!(!provider.check_form_token("one", "login", &form_token(&app, &ask(), "one").await));
}

#[tokio::test]
async fn a_form_that_was_shown_before_the_secret_was_replaced_is_taken_after() {
    let (old, new) = (Secret::from_bytes([1; 32]), Secret::from_bytes([2; 32]));
    let with = |secrets: Vec<Secret>| {
        let secrets: Secrets = secrets.into_iter().collect();
        builder(&ManualClock::default()).secrets(secrets).build().unwrap().form_token("one", "login")
    };
    let before = with(vec![old.clone()]);
    let rotated: Secrets = [new.clone(), old].into_iter().collect();
    let rotated = builder(&ManualClock::default()).secrets(rotated).build().unwrap();
    assert!(rotated.check_form_token("one", "login", &before));
    assert_eq!(rotated.form_token("one", "login"), with(vec![new.clone()]), "the first one signs");
    let gone = builder(&ManualClock::default()).secrets(new).build().unwrap();
    assert!(!gone.check_form_token("one", "login", &before));
}

// ---- what the page sees --------------------------------------------------------------------------------------------

#[tokio::test]
async fn the_page_sees_who_asks_for_what_and_where_the_answer_goes() {
    let (provider, _) = provider();
    let page = get(|request: AuthorizationRequest| async move {
        Json(json!({
            "client": request.client().client_name(),
            "scope": request.scope().to_string(),
            "scopes": request.scopes().collect::<Vec<_>>(),
            "redirect_uri": request.redirect_uri(),
            "host": request.redirect_host(),
            "login_hint": request.login_hint(),
            "prompt": request.prompt(),
            "has": [request.has_prompt("login"), request.has_prompt("log"), request.has_prompt("none")],
            "parameters": [request.parameter("acr_values"), request.parameter("empty"), request.parameter("absent")],
        }))
    });
    let app = app_with(&provider, page);
    let asked = ask()
        .with("scope", "notes:read profile")
        .with("login_hint", "<alice>")
        .with("prompt", "login consent")
        .with("acr_values", "1 2")
        .with("empty", "");
    assert_eq!(
        send(&app, asked.get()).await.json(),
        json!({
            "client": "Public App",
            "scope": "notes:read profile",
            "scopes": [["notes:read", "read your notes"], ["profile", "see your profile"]],
            "redirect_uri": WEB,
            "host": "web.example",
            "login_hint": "<alice>",
            "prompt": "login consent",
            "has": [true, false, false],
            "parameters": ["1 2", null, null],
        })
    );
    let plain = send(&app, ask().of("native", "http://127.0.0.1:4711/cb").get()).await.json();
    assert_eq!((&plain["host"], &plain["client"]), (&"127.0.0.1".into(), &"native".into()));
    assert_eq!((&plain["prompt"], &plain["login_hint"]), (&json!(null), &json!(null)));
}

/// A page over a request, whose answer is text, and who approves what is posted.
async fn text(provider: &Provider, asked: &Ask, say: fn(&AuthorizationRequest) -> String) -> String {
    let page = get(move |request: AuthorizationRequest| async move { say(&request) });
    send(&app_with(provider, page), asked.get()).await.body
}

/// RFC 8252 §8.6, RFC 6749 §10.2
#[tokio::test]
async fn consent_may_be_remembered_where_nobody_else_can_be_behind_the_answer() {
    let provider = builder(&ManualClock::default())
        .client(Client::public("app").redirect_uri("com.example.app:/cb"))
        .client(Client::confidential("desktop", SECRET).redirect_uri("http://127.0.0.1/cb"))
        .build()
        .unwrap();
    for (client, uri, may) in [
        ("public", WEB, true),
        ("confidential", WEB, true),
        ("desktop", "http://127.0.0.1/cb", true),
        ("native", "http://127.0.0.1:4711/cb", false),
        ("app", "com.example.app:/cb", false),
    ] {
        let said = text(&provider, &ask().of(client, uri), |request| request.may_remember_consent().to_string()).await;
        assert_eq!(said, may.to_string(), "{client}");
    }
}

/// A page that shows on GET what alice has granted before, and approves on POST.
fn remembering() -> MethodRouter {
    get(async |request: AuthorizationRequest| {
        request.previously_granted(&"alice".into()).await.map(|scope| scope.to_string()).map_err(|_| "down")
    })
    .post(|request: AuthorizationRequest| async move { request.approve(request.login_hint().unwrap_or("alice")) })
}

async fn remembered(app: &App, asked: &Ask) -> String {
    send(app, asked.get()).await.body
}

#[tokio::test]
async fn what_was_granted_before_is_what_this_user_gave_this_client_and_lives() {
    let clock = ManualClock::default();
    let provider = builder(&clock).refresh_token_idle(seconds(3600)).build().unwrap();
    let app = app_with(&provider, remembering());
    assert_eq!(remembered(&app, &ask()).await, "");

    // A code that nobody redeems has given nothing.
    let pending = send(&app, ask().with("scope", "notes:write").post()).await.assert_code_at(WEB, Some(STATE));
    assert_eq!(remembered(&app, &ask()).await, "");
    clock.advance(seconds(61));
    assert_ne!(redeem(&app, &pending).await.status, StatusCode::OK);

    tokens(&app, "profile").await;
    tokens(&app, "notes:read profile").await;
    assert_eq!(remembered(&app, &ask()).await, "notes:read profile");

    // Another client's and another user's.
    assert_eq!(remembered(&app, &ask().of("confidential", WEB)).await, "");
    let bobs = send(&app, ask().with("scope", "notes:write").with("login_hint", "bob").post()).await;
    assert_eq!(redeem(&app, &bobs.assert_code_at(WEB, Some(STATE))).await.status, StatusCode::OK);
    assert_eq!(remembered(&app, &ask()).await, "notes:read profile");

    // Disconnected, and unused for too long.
    let grants = provider.grants_of(&"alice".into()).await.unwrap();
    let notes = grants.iter().find(|grant| grant.scope().contains("notes:read")).unwrap();
    provider.revoke_grant(notes.key()).await.unwrap();
    assert_eq!(remembered(&app, &ask()).await, "profile");
    clock.advance(seconds(3600));
    assert_eq!(remembered(&app, &ask()).await, "");
}

/// RFC 6749 §10.2: only what the user agreed to is remembered as that
#[tokio::test]
async fn a_token_that_the_app_issued_by_itself_is_no_consent() {
    let (provider, _) = provider();
    let app = app_with(&provider, remembering());
    provider.issue("public", "alice", "notes:write".parse().unwrap()).await.unwrap();
    assert_eq!(remembered(&app, &ask()).await, "");
}

/// RFC 8707 §2: a scope means something at a resource
#[tokio::test]
async fn consent_for_one_resource_is_none_for_another() {
    let (notes, below) = ("https://notes.example/api", "https://notes.example/api/v1");
    let mcp = "https://shift.example/mcp";
    let provider = builder(&ManualClock::default()).resource(notes).resource(below).resource(mcp).build().unwrap();
    let app = app_with(&provider, remembering());
    tokens(&app, "profile").await;
    assert_eq!(remembered(&app, &ask()).await, "profile");
    assert_eq!(remembered(&app, &ask().with("resource", mcp)).await, "", "the default one is not all of its origin");
    assert_eq!(remembered(&app, &ask().with("resource", notes)).await, "");
    let code = send(&app, ask().with("scope", "notes:read").with("resource", notes).post()).await;
    assert_eq!(redeem(&app, &code.assert_code_at(WEB, Some(STATE))).await.status, StatusCode::OK);
    assert_eq!(remembered(&app, &ask()).await, "profile");
    assert_eq!(remembered(&app, &ask().with("resource", notes)).await, "notes:read");
    // Its own layer takes no token for what is above it, so nobody has allowed one that it takes.
    assert_eq!(remembered(&app, &ask().with("resource", below)).await, "");
    assert_eq!(remembered(&app, &ask().with("resource", notes).and("resource", ISSUER)).await, "");
}

/// OpenID Connect Core §3.1.2.1 and §3.1.2.6
#[tokio::test]
async fn with_prompt_none_the_user_sees_nothing() {
    let (provider, store) = counted();
    let asked = ask().with("prompt", "none");
    for page in [showing(), any(async || Redirect::to("/login")), any(async || StatusCode::FORBIDDEN)] {
        let app = app_with(&provider, page);
        send(&app, asked.get()).await.assert_error_at(WEB, "login_required", Some(STATE));
        send(&app, asked.post()).await.assert_error_at(WEB, "login_required", Some(STATE));
    }
    let app = app_with(&provider, any(|request: AuthorizationRequest| async move { request.consent_required() }));
    send(&app, asked.get()).await.assert_error_at(WEB, "consent_required", Some(STATE));
    assert!(store.is_empty());
    send(&app_with(&provider, approving()), asked.get()).await.assert_code_at(WEB, Some(STATE));
    // A page that fails is not a user who is not logged in.
    let app = app_with(&provider, any(async || StatusCode::SERVICE_UNAVAILABLE));
    send(&app, asked.get()).await.assert_error_at(WEB, "server_error", Some(STATE));
    assert_eq!(
        send(&app, ask().get()).await.status,
        StatusCode::SERVICE_UNAVAILABLE,
        "whoever sees the page sees it fail"
    );
    // Only after client and redirect URI are good.
    let app = app_with(&provider, guarded());
    for bad in
        [asked.clone().with("client_id", "nobody"), asked.clone().with("redirect_uri", "https://evil.example/cb")]
    {
        send(&app, bad.get()).await.assert_error_here(StatusCode::BAD_REQUEST);
    }
    send(&app, asked.with("scope", "admin").get()).await.assert_error_at(WEB, "invalid_scope", Some(STATE));
}

/// RFC 9700 §4.11: where a login comes back to is a path of this site, whatever the request holds
#[tokio::test]
async fn the_address_to_come_back_to_is_this_request_on_this_site_without_the_demand_to_log_in() {
    let resume = |request: &AuthorizationRequest| request.resume_url();
    let (provider, _) = provider();
    let odd = ask().with("state", "a+ %2B\u{e9}\r\n&x=1#").with("login_hint", "//evil.example/\\@").with("empty", "");
    let odd = odd.with("resource", ISSUER).and("resource", &format!("{ISSUER}/"));
    for (prompt, left) in [
        (None, None),
        (Some("login"), None),
        (Some("login consent"), Some("consent")),
        (Some("login select_account login"), Some("select_account")),
    ] {
        let asked = prompt.into_iter().fold(odd.clone(), |asked, prompt| asked.with("prompt", prompt));
        let url = text(&provider, &asked, resume).await;
        let expected = left.into_iter().fold(odd.clone().without("empty"), |asked, left| asked.with("prompt", left));
        assert_eq!(url, expected.url());
        assert!(url.starts_with("/authorize?") && url.is_ascii() && !url.contains(['\r', '\n', '#', '\\', ' ']));
        // And there it is the same request.
        let again = send(
            &app_with(&provider, get(|request: AuthorizationRequest| async move { request.resume_url() })),
            request(Method::GET, &url),
        )
        .await;
        assert_eq!(again.body, url);
    }
    let nested = Provider::builder("https://shift.example/tenant")
        .store(MemoryStore::new())
        .scope("profile", "see your profile")
        .default_scope("profile")
        .client(public())
        .endpoints(Endpoints::under("/v1").authorization("/auth"))
        .build()
        .unwrap();
    let page = get(move |request: AuthorizationRequest| async move { resume(&request) });
    // Wherever a router has mounted it, the address is the published one.
    let answer = send(&nested.authorize(page), ask().get()).await;
    assert_eq!(answer.body, format!("/tenant/v1/auth?{}", ask().query()));
}

/// OWASP's rule for HTML text and quoted attributes: a client's name is a stranger's text
#[test]
fn text_of_a_stranger_cannot_leave_its_place() {
    let name = "<script>alert('1')</script> & \"Friends\" caf\u{e9}";
    assert_eq!(
        escape(name).to_string(),
        "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;Friends&quot; caf\u{e9}"
    );
    assert_eq!(escape("plain").to_string(), "plain");
    assert_eq!(escape("").to_string(), "");
    assert_eq!(escape("<<>>").to_string(), "&lt;&lt;&gt;&gt;");
}

// ---- what every page gets ------------------------------------------------------------------------------------------

/// RFC 9700 §4.16 and §4.2.4. With `no-referrer` browsers would send `Origin: null` with the page's own form.
#[tokio::test]
async fn no_site_frames_a_page_and_no_cache_keeps_it() {
    let (provider, _) = provider();
    let loose = any(async || {
        let headers = [
            ("content-security-policy", "default-src 'self'; frame-ancestors *"),
            ("cache-control", "public, max-age=600"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "ALLOWALL"),
            ("x-of-the-page", "1"),
        ];
        (StatusCode::UNPROCESSABLE_ENTITY, headers, Html("a page"))
    });
    for (page, status, own) in [
        (showing(), StatusCode::OK, None),
        (loose, StatusCode::UNPROCESSABLE_ENTITY, Some("default-src 'self'; frame-ancestors *")),
    ] {
        let app = app_with(&provider, page);
        for asked in [ask().get(), ask().post()] {
            let answer = send(&app, asked).await;
            assert_eq!((answer.status, &*answer.body), (status, "a page"));
            let all = |name: &str| {
                answer.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>()
            };
            // Of two policies, each holds: the page's own cannot loosen ours.
            let policies: Vec<_> = own.into_iter().chain(["frame-ancestors 'none'"]).collect();
            assert_eq!(all("content-security-policy"), policies);
            assert_eq!(all("cache-control"), ["no-store"]);
            assert_eq!(all("referrer-policy"), ["same-origin"]);
            assert_eq!(all("x-frame-options"), ["DENY"]);
            assert_eq!(all("x-of-the-page").len(), own.iter().len());
        }
    }
}

/// RFC 9700 §4.16: error pages too
#[tokio::test]
async fn our_own_error_page_lets_nothing_run_and_nobody_frame_it() {
    let (provider, _) = provider();
    let answer = send(&app_with(&provider, guarded()), ask().with("client_id", "nobody").get()).await;
    let policy = answer.header(header::CONTENT_SECURITY_POLICY);
    for rule in
        ["default-src 'none'", "form-action 'none'", "base-uri 'none'", "frame-ancestors 'none'", "style-src 'sha256-"]
    {
        assert!(policy.contains(rule), "{rule} in {policy}");
    }
    assert!(!policy.contains("unsafe") && !answer.body.contains("<script"));
    assert_eq!(answer.header(header::X_FRAME_OPTIONS), "DENY");
    // The one style sheet is the one that the policy names.
    let style = answer.body.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
    let digest =
        base64::Engine::encode(&base64::prelude::BASE64_STANDARD, <sha2::Sha256 as sha2::Digest>::digest(style));
    assert!(policy.contains(&format!("style-src 'sha256-{digest}'")), "{policy}");
}

#[tokio::test]
async fn the_page_for_errors_can_be_the_apps_own() {
    let page = |error: &ProtocolError| format!("<h1>{}</h1><p>{}", error.code(), error.description());
    let provider = builder(&ManualClock::default()).error_page(page).build().unwrap();
    let app = app_with(&provider, guarded());
    let unknown = send(&app, ask().with("client_id", "nobody").get()).await;
    let foreign = send(&app, with_headers(ask().post(), &[(SITE, "cross-site")])).await;
    let long = send(&app, request(Method::GET, &ask().with("pad", &"x".repeat(20_000)).url())).await;
    let posted = send(&app, Request::post("/authorize").body(Body::empty()).unwrap()).await;
    for (answer, status) in [
        (unknown, StatusCode::BAD_REQUEST),
        (foreign, StatusCode::FORBIDDEN),
        (long, StatusCode::URI_TOO_LONG),
        (posted, StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ] {
        assert_eq!(answer.status, status);
        assert!(answer.body.starts_with("<h1>invalid_request</h1><p>"), "{}", answer.body);
        assert_eq!(answer.header(header::CONTENT_TYPE), "text/html; charset=utf-8");
        assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
        // The page's own styles and scripts are its own matter; frames are not.
        assert_eq!(answer.header(header::CONTENT_SECURITY_POLICY), "frame-ancestors 'none'");
        assert_eq!(answer.header(header::X_FRAME_OPTIONS), "DENY");
    }
    send(&app, ask().with("scope", "admin").get()).await.assert_error_at(WEB, "invalid_scope", Some(STATE));
}

// ---- what is down, and what fails ----------------------------------------------------------------------------------

/// RFC 9110 §15.6.4: there is nobody yet to whom it could be redirected
#[tokio::test]
async fn a_store_that_is_down_when_the_client_is_looked_up_is_a_503_here() {
    let provider = Provider::builder(ISSUER)
        .store(Down)
        .secrets(Secret::generate())
        .scope("profile", "see your profile")
        .build()
        .unwrap();
    let app = app_with(&provider, guarded());
    for asked in [ask().get(), ask().post(), form("/authorize", &ask().pairs())] {
        let answer = send(&app, asked).await;
        answer.assert_error_here(StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.header(header::RETRY_AFTER), "1");
        assert!(!answer.body.contains("connection refused"), "{}", answer.body);
    }
}

/// RFC 6749 §4.1.2.1: a 503 cannot be told to a client through a browser
#[tokio::test]
async fn a_store_that_is_down_when_the_grant_is_made_is_told_to_the_client() {
    let provider = builder(&ManualClock::default()).grants(Down).secrets(Secret::generate()).build().unwrap();
    let app = app_with(&provider, approving());
    send(&app, ask().post()).await.assert_error_at(WEB, "temporarily_unavailable", Some(STATE));
    send(&app, ask().without("state").get()).await.assert_error_at(WEB, "temporarily_unavailable", None);
    // What asks nothing of the store goes on.
    let denying = app_with(&provider, any(|request: AuthorizationRequest| async move { request.deny() }));
    send(&denying, ask().post()).await.assert_error_at(WEB, "access_denied", Some(STATE));
    let app = app_with(&provider, remembering());
    assert_eq!(send(&app, ask().get()).await.body, "down");
}

/// A failure of the page is the page's: it passes with its own type
#[tokio::test]
async fn a_page_that_fails_passes_its_error() {
    let (provider, _) = provider();
    let page = service_fn(async |request: Request<Body>| {
        let request = AuthorizationRequest::from_extensions(request.extensions()).ok_or("no request")?;
        if request.has_prompt("login") {
            Err("the page broke")
        } else {
            Ok(Response::<Body>::from(request.approve("alice")))
        }
    });
    let failing = ask().with("prompt", "login");
    let service = provider.authorize(page);
    assert_eq!(service.clone().oneshot(failing.get()).await.err(), Some("the page broke"));
    send(&service, ask().get()).await.assert_code_at(WEB, Some(STATE));
    let service = provider.layer().layer(page);
    assert_eq!(service.clone().oneshot(failing.get()).await.err(), Some("the page broke"));
    assert_eq!(service.oneshot(request(Method::GET, "/else")).await.err(), Some("no request"));
    let nested = builder(&ManualClock::default()).endpoints(Endpoints::under("/v1")).build().unwrap();
    assert_eq!(nested.nest(page).oneshot(failing.get()).await.err(), Some("the page broke"));
}

/// Panics unless it was polled ready before each call.
struct Strict {
    ready: bool,
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self { ready: false }
    }
}

impl Service<Request<Body>> for Strict {
    type Response = Response;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called without having been polled ready");
        let approved =
            AuthorizationRequest::from_extensions(request.extensions()).map(|request| request.approve("alice"));
        std::future::ready(Ok(approved.map_or_else(Response::default, Into::into)))
    }
}

/// Tower's contract for `poll_ready`: a clone is not ready because its original was
#[tokio::test]
async fn the_service_that_was_polled_ready_is_the_one_that_is_called() {
    async fn twice<S>(mut service: S, paths: &[String])
    where
        S: Service<Request<Body>, Error = Infallible>,
    {
        for path in paths.iter().chain(paths) {
            service.ready().await.unwrap().call(request(Method::GET, path)).await.unwrap();
        }
    }
    let (provider, _) = provider();
    let paths = [ask().url(), "/else".to_owned(), "/token".to_owned(), provider.metadata_path().to_owned()];
    twice(provider.layer().layer(Strict { ready: false }), &paths).await;
    twice(provider.authorize(Strict { ready: false }), &[ask().url()]).await;
    let nested = builder(&ManualClock::default()).endpoints(Endpoints::under("/v1")).build().unwrap();
    twice(nested.nest(Strict { ready: false }), &paths).await;
}

/// Is as ready as it is told.
#[derive(Clone)]
struct Busy(Poll<Result<(), &'static str>>);

impl Service<Request<Body>> for Busy {
    type Response = Response;
    type Error = &'static str;
    type Future = std::future::Ready<Result<Response, &'static str>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        self.0
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        std::future::ready(Err("called"))
    }
}

#[test]
fn a_middleware_is_as_ready_as_what_is_inside() {
    let (provider, _) = provider();
    let nested = builder(&ManualClock::default()).endpoints(Endpoints::under("/v1")).build().unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    for state in [Poll::Pending, Poll::Ready(Err("full")), Poll::Ready(Ok(()))] {
        assert_eq!(provider.layer().layer(Busy(state)).poll_ready(&mut cx), state);
        assert_eq!(provider.authorize(Busy(state)).poll_ready(&mut cx), state);
        assert_eq!(nested.nest(Busy(state)).poll_ready(&mut cx), state);
    }
}
