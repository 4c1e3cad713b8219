//! The pushed authorization request endpoint, and what becomes of its request URIs: RFC 9126.

#[path = "support/ask.rs"]
mod ask;
#[path = "support/shelf.rs"]
mod shelf;
#[path = "support/site.rs"]
mod site;
mod support;

use std::sync::Arc;
use std::time::Duration;

use ask::{Ask, STATE, app_with, ask};
use axum::body::Body;
use axum::response::IntoResponse;
use axum::routing::get;
use http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};
use shelf::{Op, Shelf};
use site::{Site, assert_refused, assert_uncached_json, redemption, site_with};
use support::{
    Answer, App, NATIVE, SECRET, WEB, app, basic, builder, form, redeem, refresh, request, seconds, send, with_query,
};
use tokio::sync::Barrier;
use tower_oauth::testing::ManualClock;
use tower_oauth::{
    AuthorizationRequest, Client, Holder, MemoryStore, Provider, ProviderBuilder, RegistrationPolicy, Secret,
};

const URN: &str = "urn:ietf:params:oauth:request_uri:";
/// Nine minutes.
const LIFETIME: u64 = 540;

fn on(builder: ProviderBuilder) -> ProviderBuilder {
    builder.pushed_authorization_requests()
}

fn site() -> Site {
    site_with(on)
}

/// What a client pushes.
fn push(asked: &Ask) -> Request<Body> {
    form("/par", &asked.pairs())
}

/// RFC 9126 §2.2
#[track_caller]
fn uri_of(answer: &Answer) -> String {
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    assert_uncached_json(answer);
    let json = answer.json();
    assert_eq!(json.as_object().map(|members| members.len()), Some(2), "{json}");
    let uri = json["request_uri"].as_str().expect("a text");
    assert!(uri.starts_with(URN) && uri.is_ascii(), "{uri}");
    uri.to_owned()
}

async fn pushed(app: &App, asked: &Ask) -> String {
    uri_of(&send(app, push(asked)).await)
}

/// What the client then sends the user with.
fn referring(client: &str, uri: &str) -> Ask {
    ask_nothing().with("client_id", client).with("request_uri", uri)
}

fn ask_nothing() -> Ask {
    ["response_type", "client_id", "redirect_uri", "state", "code_challenge", "code_challenge_method"]
        .iter()
        .fold(ask(), |asked, name| asked.without(name))
}

/// A bad request URI is shown to the user and goes nowhere (RFC 9126 §4, RFC 9700 §4.11).
#[track_caller]
fn assert_bad_uri(answer: &Answer) {
    answer.assert_error_here(StatusCode::BAD_REQUEST);
    assert!(answer.body.contains("invalid_request_uri"), "{}", answer.body);
}

#[track_caller]
fn assert_shown(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert!(answer.body.starts_with("page for "), "{answer:?}");
}

/// A page that says no.
async fn deny(request: AuthorizationRequest) -> impl IntoResponse {
    request.deny()
}

/// A page that shows what it is asked, and what it can read of how the client proved itself.
async fn print(request: AuthorizationRequest) -> String {
    let of = |name: &str| request.parameter(name).unwrap_or("nothing").to_owned();
    format!(
        "{} {} {} {} {} {}",
        request.client().id(),
        request.scope(),
        of("login_hint"),
        of("client_secret"),
        of("client_assertion"),
        of("request_uri")
    )
}

// ---- the endpoint ----------------------------------------------------------------------------------------------------

/// RFC 9126 §2, §4: pushed, shown, approved, redeemed, refreshed; by a client of each way to authenticate.
#[tokio::test]
async fn a_pushed_request_becomes_tokens() {
    let site = site();
    let answer = send(&site.app, push(&ask().with("scope", "profile notes:read"))).await;
    let uri = uri_of(&answer);
    assert_eq!(answer.json()["expires_in"], LIFETIME);
    assert_shown(&send(&site.app, referring("public", &uri).get()).await);
    let code = send(&site.app, referring("public", &uri).post()).await.assert_code_at(WEB, Some(STATE));
    let tokens = redeem(&site.app, &code).await;
    assert_eq!(tokens.json()["scope"], "profile notes:read");
    let renewal = tokens.json()["refresh_token"].as_str().expect("one").to_owned();
    assert_eq!(refresh(&site.app, &renewal).await.status, StatusCode::OK);

    let uri =
        uri_of(&send(&site.app, basic(push(&ask().with("client_id", "confidential")), "confidential", SECRET)).await);
    send(&site.app, referring("confidential", &uri).post()).await.assert_code_at(WEB, Some(STATE));
    let original = ask().with("client_id", "original").with("client_secret", SECRET);
    let uri = pushed(&site.app, &original).await;
    send(&site.app, referring("original", &uri).post()).await.assert_code_at(WEB, Some(STATE));
}

/// Off until it is asked for: the path is the app's own, and request URIs are refused as ever.
#[tokio::test]
async fn without_the_switch_there_is_no_endpoint_and_no_request_uri_is_taken() {
    let site = site_with(|builder| builder);
    assert_eq!(send(&site.app, push(&ask())).await.status, StatusCode::NOT_FOUND);
    assert_eq!(send(&site.provider.pushed_authorization_request(), push(&ask())).await.status, StatusCode::NOT_FOUND);
    let answer = send(&site.app, ask().with("request_uri", &format!("{URN}x")).get()).await;
    answer.assert_error_at(WEB, "request_uri_not_supported", Some(STATE));
    send(&site.app, referring("public", &format!("{URN}x")).get()).await.assert_error_at(
        WEB,
        "request_uri_not_supported",
        None,
    );
}

/// RFC 9126 §5
#[tokio::test]
async fn the_metadata_say_where_requests_are_pushed_and_whether_they_have_to_be() {
    let switches: [fn(ProviderBuilder) -> ProviderBuilder; 3] =
        [|builder| builder, on, ProviderBuilder::require_pushed_authorization_requests];
    for (switch, endpoint, required) in [
        (switches[0], Value::Null, Value::Null),
        (switches[1], json!("https://shift.example/par"), Value::Null),
        (switches[2], json!("https://shift.example/par"), json!(true)),
    ] {
        let site = site_with(switch);
        let metadata = send(&site.app, request(Method::GET, site.provider.metadata_path())).await.json();
        assert_eq!(metadata["pushed_authorization_request_endpoint"], endpoint);
        assert_eq!(metadata["require_pushed_authorization_requests"], required);
    }
}

/// Below a prefix, one by one, and under another name.
#[tokio::test]
async fn it_is_where_the_configuration_says() {
    let endpoints = tower_oauth::Endpoints::under("/v1").pushed_authorization_request("/pushed");
    let site = site_with(|builder| on(builder).endpoints(endpoints));
    let app = axum::Router::new().layer(site.provider.layer());
    let metadata = send(&app, request(Method::GET, site.provider.metadata_path())).await.json();
    assert_eq!(metadata["pushed_authorization_request_endpoint"], "https://shift.example/v1/pushed");
    uri_of(&send(&app, form("/v1/pushed", &ask().pairs())).await);
    uri_of(&send(&site.provider.pushed_authorization_request(), form("/anywhere", &ask().pairs())).await);
    for path in ["/v1/par", "/pushed", "/v1/pushed/"] {
        assert_eq!(send(&app, form(path, &ask().pairs())).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

/// RFC 9126 §2.1, §2.3: what the authorization endpoint would refuse is refused here, as the token endpoint says it.
#[tokio::test]
async fn a_request_that_would_not_pass_is_refused_at_once() {
    let site = site();
    let bad = StatusCode::BAD_REQUEST;
    for (asked, status, error) in [
        (ask().without("client_id"), StatusCode::UNAUTHORIZED, "invalid_client"),
        (ask().with("client_id", "nobody"), StatusCode::UNAUTHORIZED, "invalid_client"),
        (ask().with("client_id", "confidential"), StatusCode::UNAUTHORIZED, "invalid_client"),
        (ask().with("redirect_uri", "https://evil.example/cb"), bad, "invalid_request"),
        (ask().without("response_type"), bad, "invalid_request"),
        (ask().with("response_type", "token"), bad, "unsupported_response_type"),
        (ask().without("code_challenge").without("code_challenge_method"), bad, "invalid_request"),
        (ask().with("code_challenge_method", "plain"), bad, "invalid_request"),
        (ask().with("scope", "admin"), bad, "invalid_scope"),
        (ask().with("resource", "https://elsewhere.example"), bad, "invalid_target"),
        (ask().with("prompt", "none login"), bad, "invalid_request"),
        (ask().with("response_mode", "fragment"), bad, "invalid_request"),
        (ask().with("request", "e30.e30."), bad, "request_not_supported"),
        // §2.1: "MUST NOT be provided", whosever it is.
        (ask().with("request_uri", "https://app.example/request.jwt"), bad, "invalid_request"),
        (ask().with("request_uri", &format!("{URN}x")), bad, "invalid_request"),
        (ask().and("state", "another"), bad, "invalid_request"),
    ] {
        assert_refused(&send(&site.app, push(&asked)).await, status, error);
    }
    // Empty is left out (RFC 6749 §3.1).
    uri_of(&send(&site.app, push(&ask().with("request_uri", ""))).await);
    let without_id = basic(push(&ask().without("client_id")), "confidential", SECRET);
    assert_refused(&send(&site.app, without_id).await, bad, "invalid_request");
    let of_another = basic(push(&ask()), "confidential", SECRET);
    assert_refused(&send(&site.app, of_another).await, bad, "invalid_request");
    let wrong = basic(push(&ask().with("client_id", "confidential")), "confidential", "wrong");
    assert_refused(&send(&site.app, wrong).await, StatusCode::UNAUTHORIZED, "invalid_client");
    let machine =
        site_with(|builder| on(builder).client(Client::confidential("cron", SECRET).grant_types([]).redirect_uri(WEB)));
    let asked = basic(push(&ask().with("client_id", "cron")), "cron", SECRET);
    assert_refused(&send(&machine.app, asked).await, bad, "unauthorized_client");
}

/// RFC 9126 §2, §2.3
#[tokio::test]
async fn only_a_form_in_a_post_of_a_bounded_length_is_read() {
    let site = site();
    for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE] {
        let answer = send(&site.app, request(method, "/par")).await;
        assert_eq!((answer.status, answer.header(header::ALLOW)), (StatusCode::METHOD_NOT_ALLOWED, "POST"));
    }
    let in_query = form(&with_query("/par", &ask().pairs()), &[]);
    assert_refused(&send(&site.app, in_query).await, StatusCode::BAD_REQUEST, "invalid_request");
    let json = Request::post("/par").header(header::CONTENT_TYPE, "application/json").body(Body::from("{}"));
    let json = send(&site.app, json.expect("a request")).await;
    assert_refused(&json, StatusCode::UNSUPPORTED_MEDIA_TYPE, "invalid_request");
    for length in [12_000, 20_000, 70_000] {
        let answer = send(&site.app, push(&ask().with("state", &"x".repeat(length)))).await;
        assert_refused(&answer, StatusCode::PAYLOAD_TOO_LARGE, "invalid_request");
    }
    // What is said to be safe is.
    let long = ask().with("state", "");
    let state = "x".repeat(11 * 1024 - long.query().len());
    let uri = pushed(&site.app, &long.with("state", &state)).await;
    send(&site.app, referring("public", &uri).post()).await.assert_code_at(WEB, Some(&state));
}

/// DESIGN: nothing is written before consent.
#[tokio::test]
async fn pushing_and_showing_write_nothing() {
    let site = site();
    let uri = pushed(&site.app, &ask()).await;
    assert_shown(&send(&site.app, referring("public", &uri).get()).await);
    let steps = site.shelf.steps();
    assert!(steps.iter().all(|step| *step == Op::Client), "{steps:?}");
}

/// RFC 9126 §1: the request is not for the browser's eyes, and how the client proved itself is no part of it.
#[tokio::test]
async fn the_page_sees_the_request_and_nothing_of_the_clients_proof() {
    let provider = on(builder(&ManualClock::default())).build().expect("a good configuration");
    let app = app_with(&provider, get(print));
    let asked = ask().with("client_id", "original").with("client_secret", SECRET).with("login_hint", "alice");
    let uri = pushed(&app, &asked).await;
    let answer = send(&app, referring("original", &uri).get()).await;
    assert_eq!(answer.body, "original profile alice nothing nothing nothing");
    let longer = pushed(&app, &asked.with("client_secret", SECRET).with("login_hint", "alice and bob")).await;
    assert!(longer.len() > uri.len(), "it is the request that makes it long");
}

// ---- at the authorization endpoint -----------------------------------------------------------------------------------

/// RFC 9126 §2.2, §4: bound to its client, with which the user is sent.
#[tokio::test]
async fn a_request_uri_is_good_for_its_client_alone() {
    let site = site();
    let uri = pushed(&site.app, &ask()).await;
    for client in ["confidential", "native", "nobody", ""] {
        for asked in [referring(client, &uri).get(), referring(client, &uri).post()] {
            send(&site.app, asked).await.assert_error_here(StatusCode::BAD_REQUEST);
        }
    }
    assert_bad_uri(&send(&site.app, referring("confidential", &uri).get()).await);
    send(&site.app, referring("public", &uri).without("client_id").get())
        .await
        .assert_error_here(StatusCode::BAD_REQUEST);
    send(&site.app, referring("public", &uri).and("client_id", "public").get())
        .await
        .assert_error_here(StatusCode::BAD_REQUEST);
    assert!(site.shelf.records().is_empty());
    send(&site.app, referring("public", &uri).post()).await.assert_code_at(WEB, Some(STATE));
}

/// RFC 9126 §4, §7.1: one that was not made here goes nowhere, whatever stands beside it.
#[tokio::test]
async fn a_request_uri_that_was_not_made_here_never_redirects() {
    let site = site();
    let uri = pushed(&site.app, &ask()).await;
    let elsewhere = app(&on(builder(&site.clock)).build().expect("a provider with a secret of its own"));
    let middle = URN.len() + 60;
    let changed = if &uri[middle..=middle] == "A" { "B" } else { "A" };
    let changed = format!("{}{changed}{}", &uri[..middle], &uri[middle + 1..]);
    for bad in [&*pushed(&elsewhere, &ask()).await, &changed, &uri[..uri.len() - 1], &format!("{uri}A"), URN, &uri[1..]]
    {
        for asked in [referring("public", bad), ask().with("request_uri", bad)] {
            for sent in [asked.get(), asked.post()] {
                let answer = send(&site.app, sent).await;
                answer.assert_error_here(StatusCode::BAD_REQUEST);
                assert!(answer.body.contains("request_uri"), "{}", answer.body);
            }
        }
    }
    let by_reference = ask().with("request_uri", "https://app.example/request.jwt");
    let answer = send(&site.app, by_reference.get()).await;
    answer.assert_error_here(StatusCode::BAD_REQUEST);
    assert!(answer.body.contains("request_uri_not_supported"), "{}", answer.body);
    let twice = referring("public", &uri).and("request_uri", &uri);
    send(&site.app, twice.get()).await.assert_error_here(StatusCode::BAD_REQUEST);
    assert!(site.shelf.records().is_empty());
}

/// RFC 9126 §4: "An expired request_uri MUST be rejected as invalid."
#[tokio::test]
async fn a_request_uri_expires_also_for_whoever_has_seen_the_page() {
    for (lifetime, change) in [
        (LIFETIME, on as fn(ProviderBuilder) -> ProviderBuilder),
        (5, |builder| on(builder).pushed_authorization_request_lifetime(Duration::from_secs(5))),
        (600, |builder| on(builder).pushed_authorization_request_lifetime(Duration::from_secs(600))),
    ] {
        let site = site_with(change);
        let answer = send(&site.app, push(&ask())).await;
        assert_eq!(answer.json()["expires_in"], lifetime);
        let uri = uri_of(&answer);
        site.clock.advance(seconds(lifetime - 1));
        assert_shown(&send(&site.app, referring("public", &uri).get()).await);
        site.clock.advance(seconds(1));
        for asked in [referring("public", &uri).get(), referring("public", &uri).post()] {
            assert_bad_uri(&send(&site.app, asked).await);
        }
        assert!(site.shelf.records().is_empty());
    }
}

/// RFC 9101 §6.3, RFC 9126 §4: only what was pushed counts.
#[tokio::test]
async fn whatever_stands_beside_a_request_uri_is_ignored() {
    let site = site();
    let uri = pushed(&site.app, &ask().with("scope", "profile")).await;
    let beside = referring("public", &uri)
        .with("redirect_uri", "https://evil.example/cb")
        .and("redirect_uri", "https://evil.example/cb")
        .with("response_type", "token")
        .with("scope", "notes:write admin")
        .with("state", "another")
        .with("code_challenge", "weak")
        .with("code_challenge_method", "plain")
        .with("request", "e30.e30.")
        .with("prompt", "none")
        .with("user", "mallory");
    assert_shown(&send(&site.app, beside.get()).await);
    let code = send(&site.app, beside.post()).await.assert_code_at(WEB, Some(STATE));
    assert_eq!(site.shelf.only().subject(), Some(&"alice".into()));
    assert_eq!(redeem(&site.app, &code).await.json()["scope"], "profile");
}

/// RFC 6749 §3.1: the authorization endpoint takes a form too, which is sent on into the query.
#[tokio::test]
async fn a_request_uri_can_be_posted() {
    let site = site();
    let uri = pushed(&site.app, &ask()).await;
    let answer = send(&site.app, form("/authorize", &referring("public", &uri).pairs())).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
    let location = answer.location().strip_prefix("https://shift.example").expect("ours").to_owned();
    assert_shown(&send(&site.app, request(Method::GET, &location)).await);
    assert_bad_uri(&send(&site.app, form("/authorize", &referring("native", &uri).pairs())).await);
}

/// RFC 9126 §7.4: what the client may do is looked at again.
#[tokio::test]
async fn a_client_that_changed_meanwhile_is_held_to_what_it_is_now() {
    let site = site();
    let client = |uri: &str| Client::public("moving").redirect_uri(uri).scope("profile notes:read");
    site.shelf.register(client(WEB));
    let uri = pushed(&site.app, &ask().with("client_id", "moving").with("scope", "notes:read")).await;
    let visit = || referring("moving", &uri).post();
    site.shelf.register(client(WEB).scope("profile"));
    send(&site.app, visit()).await.assert_error_at(WEB, "invalid_scope", Some(STATE));
    site.shelf.register(client("https://web.example/elsewhere"));
    send(&site.app, visit()).await.assert_error_here(StatusCode::BAD_REQUEST);
    site.shelf.forget("moving");
    send(&site.app, visit()).await.assert_error_here(StatusCode::BAD_REQUEST);
    assert!(site.shelf.records().is_empty());
    site.shelf.register(client(WEB));
    send(&site.app, visit()).await.assert_code_at(WEB, Some(STATE));
}

// ---- the decision ----------------------------------------------------------------------------------------------------

/// RFC 9126 §4: "one-time use", and a page can be loaded again until the user has decided.
#[tokio::test]
async fn a_request_uri_is_used_up_by_the_decision_and_not_by_showing_the_page() {
    let site = site();
    let uri = pushed(&site.app, &ask()).await;
    for _ in 0..5 {
        assert_shown(&send(&site.app, referring("public", &uri).get()).await);
        assert_eq!(
            send(&site.app, request(Method::HEAD, &referring("public", &uri).url())).await.status,
            StatusCode::OK
        );
    }
    let code = send(&site.app, referring("public", &uri).post()).await.assert_code_at(WEB, Some(STATE));
    for _ in 0..3 {
        assert_bad_uri(&send(&site.app, referring("public", &uri).post()).await);
    }
    assert_eq!(site.shelf.records().len(), 1);
    assert_eq!(redeem(&site.app, &code).await.status, StatusCode::OK, "the first answer stays good");
    // Another request of the same words is another one.
    let again = pushed(&site.app, &ask()).await;
    send(&site.app, referring("public", &again).post()).await.assert_code_at(WEB, Some(STATE));
}

/// A refusal is an answer too.
#[tokio::test]
async fn a_denial_uses_it_up_as_well() {
    let shelf = Shelf::default();
    let provider = on(builder(&ManualClock::default()).store(shelf.clone())).build().expect("a good configuration");
    let (denies, approves) = (app_with(&provider, get(print).post(deny)), app(&provider));
    let uri = pushed(&approves, &ask()).await;
    let visit = || referring("public", &uri);
    send(&denies, visit().post()).await.assert_error_at(WEB, "access_denied", Some(STATE));
    assert_bad_uri(&send(&denies, visit().post()).await);
    assert_bad_uri(&send(&approves, visit().post()).await);
    assert!(shelf.records().is_empty());
    // OpenID Connect Core §3.1.2.1: so is what a request gets that forbids asking.
    let uri = pushed(&approves, &ask().with("prompt", "none")).await;
    let visit = || referring("public", &uri);
    send(&denies, visit().get()).await.assert_error_at(WEB, "login_required", Some(STATE));
    assert_bad_uri(&send(&denies, visit().get()).await);
    assert_bad_uri(&send(&approves, visit().post()).await);
}

/// RFC 9470 §5: so is that the user did not authenticate as the request asks
#[tokio::test]
async fn an_approval_that_does_not_do_what_was_asked_for_uses_it_up_as_well() {
    let shelf = Shelf::default();
    let builder = on(builder(&ManualClock::default()).store(shelf.clone())).acr_values_supported(["pwd", "mfa"]);
    let provider = builder.build().expect("a good configuration");
    let by = |acr: &'static str| async move |request: AuthorizationRequest| request.approve("alice").acr(acr);
    let (by_password, by_both) = (app_with(&provider, get(by("pwd"))), app_with(&provider, get(by("mfa"))));
    let uri = pushed(&by_both, &ask().with("acr_values", "mfa")).await;
    let visit = || referring("public", &uri).get();
    let unmet = "unmet_authentication_requirements";
    send(&by_password, visit()).await.assert_error_at(WEB, unmet, Some(STATE));
    // The client has its answer, so it gets no other one (RFC 9126 §4).
    for app in [&by_password, &by_both] {
        assert_bad_uri(&send(app, visit()).await);
    }
    assert!(shelf.records().is_empty());
    let uri = pushed(&by_both, &ask().with("acr_values", "mfa")).await;
    send(&by_both, referring("public", &uri).get()).await.assert_code_at(WEB, Some(STATE));
}

/// A login of several pages comes back with the reference, and what was left out is left out of what was pushed.
#[tokio::test]
async fn where_a_login_comes_back_to_is_the_same_request() {
    let provider = on(builder(&ManualClock::default())).build().expect("a good configuration");
    let resume = async |request: AuthorizationRequest| {
        format!("{} {}", request.resume_url(), request.prompt().unwrap_or("without"))
    };
    let (shows, approves) = (app_with(&provider, get(resume)), app(&provider));
    let uri = pushed(&approves, &ask().with("prompt", "login consent")).await;
    let answer = send(&shows, referring("public", &uri).get()).await;
    let (back, prompt) = answer.body.split_once(' ').expect("two words");
    assert_eq!(prompt, "login consent");
    let query: Vec<(String, String)> =
        serde_urlencoded::from_str(back.split_once('?').expect("a query").1).expect("pairs");
    assert_eq!(query.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["client_id", "request_uri"]);
    let answer = send(&shows, request(Method::GET, back)).await;
    assert!(answer.body.ends_with(" consent"), "without `login` it is not asked for again: {}", answer.body);
    send(&approves, form(back, &[])).await.assert_code_at(WEB, Some(STATE));
    assert_bad_uri(&send(&approves, form(back, &[])).await);
    assert_bad_uri(&send(&approves, referring("public", &uri).post()).await);
}

/// A store that is down grants nothing; what it could not note is not used up.
#[tokio::test]
async fn a_store_that_cannot_answer_grants_nothing() {
    let site = site();
    let uri = pushed(&site.app, &ask()).await;
    let visit = || referring("public", &uri).post();
    site.shelf.take_down(&[Op::Once]);
    send(&site.app, visit()).await.assert_error_at(WEB, "temporarily_unavailable", Some(STATE));
    site.shelf.repair();
    let code = send(&site.app, visit()).await.assert_code_at(WEB, Some(STATE));
    assert_eq!(site.token(&redemption(&code)).await.status, StatusCode::OK);
    // A note whose acknowledgement is lost stands.
    let uri = pushed(&site.app, &ask()).await;
    let visit = || referring("public", &uri).post();
    site.shelf.lose_answers(&[Op::Once]);
    send(&site.app, visit()).await.assert_error_at(WEB, "temporarily_unavailable", Some(STATE));
    site.shelf.repair();
    assert_bad_uri(&send(&site.app, visit()).await);
    assert_eq!(site.shelf.records().len(), 1);
}

/// CVE-2026-22751: of so many decisions at once, at two nodes over one store, one counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_64_decisions_on_one_request_uri_at_two_nodes_one_is_carried_out() {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let node = || -> Provider {
        let builder = on(builder(&clock).store(store.clone())).secrets(Secret::from_bytes([7; 32]));
        builder.build().expect("a good configuration")
    };
    let nodes = [node(), node()];
    let apps = nodes.clone().map(|node| [app(&node), app_with(&node, get(print).post(deny))]);
    for round in 0..50 {
        let user = format!("user{round}");
        let uri = Arc::new(pushed(&apps[0][0], &ask().with("user", &user)).await);
        let barrier = Arc::new(Barrier::new(64));
        let running: Vec<_> = (0..64)
            .map(|number| {
                // In every other round one in four says no.
                let denies = usize::from(round % 2 == 1 && number % 4 == 3);
                let (app, uri, barrier) = (apps[number % 2][denies].clone(), Arc::clone(&uri), Arc::clone(&barrier));
                tokio::spawn(async move {
                    barrier.wait().await;
                    send(&app, referring("public", &uri).post()).await
                })
            })
            .collect();
        let mut answered = Vec::new();
        for task in running {
            let answer = task.await.expect("it ends");
            if answer.status == StatusCode::SEE_OTHER {
                answered.push(answer);
            } else {
                assert_bad_uri(&answer);
            }
        }
        assert_eq!(answered.len(), 1, "round {round}");
        if let Some(code) = answered[0].redirected("code") {
            // One that is redeemed is the one that there is.
            assert_eq!(redeem(&apps[1][0], &code).await.status, StatusCode::OK);
            assert_eq!(nodes[0].grants_of(&user.as_str().into()).await.expect("it answers").len(), 1);
            assert_eq!(nodes[1].revoke_all(&Holder::User(user.as_str().into())).await.expect("it answers"), 1);
        } else {
            answered[0].assert_error_at(WEB, "access_denied", Some(STATE));
            assert_eq!(nodes[1].revoke_all(&Holder::User(user.as_str().into())).await.expect("it answers"), 0);
        }
    }
}

// ---- who has to push -------------------------------------------------------------------------------------------------

/// RFC 9126 §4, §6: "the authorization server will refuse, using the invalid_request error code"
#[tokio::test]
async fn a_client_that_has_to_push_is_refused_without() {
    let strict = Client::public("strict").redirect_uri(WEB).require_pushed_authorization_requests();
    let site = site_with(|builder| on(builder).client(strict));
    let asked = ask().with("client_id", "strict");
    for sent in [asked.get(), asked.post(), form("/authorize", &asked.pairs())] {
        send(&site.app, sent).await.assert_error_at(WEB, "invalid_request", Some(STATE));
    }
    let uri = pushed(&site.app, &asked).await;
    send(&site.app, referring("strict", &uri).post()).await.assert_code_at(WEB, Some(STATE));
    // Others need not.
    send(&site.app, ask().post()).await.assert_code_at(WEB, Some(STATE));
}

/// RFC 9126 §5
#[tokio::test]
async fn a_provider_can_require_it_of_all() {
    let site = site_with(ProviderBuilder::require_pushed_authorization_requests);
    for (client, uri) in [("public", WEB), ("native", NATIVE), ("original", WEB)] {
        send(&site.app, ask().of(client, uri).post()).await.assert_error_at(uri, "invalid_request", Some(STATE));
    }
    send(&site.app, ask().with("redirect_uri", "https://evil.example").get())
        .await
        .assert_error_here(StatusCode::BAD_REQUEST);
    let uri = pushed(&site.app, &ask()).await;
    send(&site.app, referring("public", &uri).post()).await.assert_code_at(WEB, Some(STATE));
}

/// A client of a store that has to push where nobody can is refused: it asked for no less.
#[tokio::test]
async fn a_client_that_has_to_push_gets_nothing_where_nobody_can() {
    let site = site_with(|builder| builder);
    site.shelf.register(Client::public("strict").redirect_uri(WEB).require_pushed_authorization_requests());
    let asked = ask().with("client_id", "strict");
    send(&site.app, asked.post()).await.assert_error_at(WEB, "invalid_request", Some(STATE));
}

/// RFC 9126 §6, RFC 7591 §2
#[tokio::test]
async fn a_client_registers_that_it_pushes() {
    let register = async |app: &App, value: Value| {
        let metadata = json!({
            "redirect_uris": [WEB], "token_endpoint_auth_method": "none", "require_pushed_authorization_requests": value,
        });
        let request = Request::post("/register").header(header::CONTENT_TYPE, "application/json");
        send(app, request.body(Body::from(metadata.to_string())).expect("a request")).await
    };
    let site = |switch: fn(ProviderBuilder) -> ProviderBuilder| {
        let builder = builder(&ManualClock::default()).registration(RegistrationPolicy::open());
        app(&switch(builder).build().expect("a good configuration"))
    };
    let with = site(on);
    for (value, pushes) in [(json!(true), true), (json!(false), false), (Value::Null, false)] {
        let client = register(&with, value.clone()).await.json();
        assert_eq!(client["require_pushed_authorization_requests"], value);
        let asked = ask().with("client_id", client["client_id"].as_str().expect("an id"));
        let answer = send(&with, asked.post()).await;
        assert_eq!(answer.redirected("code").is_none(), pushes, "{answer:?}");
        let uri = pushed(&with, &asked).await;
        let client = client["client_id"].as_str().expect("an id");
        send(&with, referring(client, &uri).post()).await.assert_code_at(WEB, Some(STATE));
    }
    assert_refused(&register(&with, json!("true")).await, StatusCode::BAD_REQUEST, "invalid_client_metadata");
    // Where nobody can, it is a member that is not known.
    let without = register(&site(|builder| builder), json!(true)).await.json();
    assert_eq!(without["require_pushed_authorization_requests"], Value::Null);
}

#[test]
fn what_makes_no_sense_does_not_build() {
    let wrong = |change: fn(ProviderBuilder) -> ProviderBuilder| {
        let errors = change(builder(&ManualClock::default())).build().expect_err("it is wrong");
        assert_eq!(errors.iter().count(), 1, "{errors}");
        errors.to_string()
    };
    let lifetime = |seconds| Duration::from_secs(seconds);
    for (message, part) in [
        (wrong(|builder| builder.client(native_that_pushes())), "add `.pushed_authorization_requests()`"),
        (
            wrong(|builder| builder.pushed_authorization_request_lifetime(Duration::from_secs(60))),
            "add `.pushed_authorization_requests()`, or leave it out",
        ),
        (wrong(|builder| on(builder).pushed_authorization_request_lifetime(Duration::from_secs(4))), "5 seconds to 10"),
        (
            wrong(|builder| on(builder).pushed_authorization_request_lifetime(Duration::from_secs(601))),
            "5 seconds to 10",
        ),
        (
            wrong(|builder| {
                on(builder).endpoints(tower_oauth::Endpoints::default().pushed_authorization_request("/token"))
            }),
            "no two alike",
        ),
    ] {
        assert!(message.contains(part), "{message}");
    }
    let off = builder(&ManualClock::default());
    let off = off.endpoints(tower_oauth::Endpoints::default().pushed_authorization_request("/token"));
    assert!(off.build().is_ok(), "what is not there is in nobody's way");
    for good in [5, 600] {
        let builder = on(builder(&ManualClock::default())).pushed_authorization_request_lifetime(lifetime(good));
        assert!(builder.client(native_that_pushes()).build().is_ok());
    }
}

fn native_that_pushes() -> Client {
    Client::public("pushes").redirect_uri(NATIVE).require_pushed_authorization_requests()
}
