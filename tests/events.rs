//! What an operator hears: every exchange, every refusal with its reason, and nothing that opens anything.

#[path = "support/shelf.rs"]
mod shelf;
#[path = "support/site.rs"]
mod site;
mod support;

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use http::{Request, StatusCode, header};
use serde_json::json;
use shelf::Op;
use site::{Pair, Site, as_client, redemption, refreshing, site_with, with, without};
use support::{VERIFIER, WEB, authorization, basic, bearer, challenge, form, request, seconds, send, with_query};
use tower::ServiceExt;
use tower_oauth::event::{Event, EventKind};
use tower_oauth::{AuthorizationRequest, Client, Continue, Holder, ProviderBuilder, RegistrationPolicy};

/// A site, and what its operator has heard since the last time that this was asked: `event reason client subject grant`.
struct Watched {
    site: Site,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Watched {
    fn new() -> Self {
        Self::with(|builder| builder)
    }

    fn with(change: impl FnOnce(ProviderBuilder) -> ProviderBuilder) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Arc::clone(&heard);
        let site = site_with(|builder| {
            change(builder).on_event(move |event: &Event<'_>| ear.lock().expect("no panic").push(told(event)))
        });
        Self { site, heard }
    }

    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.heard.lock().expect("no panic"))
    }

    #[track_caller]
    fn assert_heard(&self, expected: &[&str]) {
        assert_eq!(self.heard(), expected);
    }
}

fn told(event: &Event<'_>) -> String {
    let mut words = vec![event.kind.as_str().to_owned()];
    words.extend(event.kind.reason().map(|reason| format!("reason={reason}")));
    words.extend(event.client.map(|client| format!("client={client}")));
    words.extend(event.subject.map(|subject| format!("subject={subject}")));
    words.extend(event.grant.map(|_| "grant".to_owned()));
    words.extend(event.source.map(|source| format!("source={source}")));
    words.join(" ")
}

/// The whole life of a grant: approved, its code redeemed, refreshed, and given back.
#[tokio::test]
async fn every_exchange_is_told() {
    let watched = Watched::new();
    let site = &watched.site;
    let code = site.code("profile").await;
    let at_the_public_client = |event: &str| format!("{event} client=public subject=alice grant");
    watched.assert_heard(&[&at_the_public_client("approved")]);
    let first = Pair::of(&site.token(&redemption(&code)).await);
    watched.assert_heard(&[&at_the_public_client("issued")]);
    let second = Pair::of(&site.refresh(&first.refresh).await);
    watched.assert_heard(&[&at_the_public_client("refreshed")]);
    Pair::of(&site.refresh(&first.refresh).await);
    watched.assert_heard(&[&at_the_public_client("retried")]);
    assert!(site.is_good(&second.access).await);
    watched.assert_heard(&[]);
    for (token, event) in [(&second.access, "token_revoked"), (&second.refresh, "revoked reason=client")] {
        let revocation = [("token", &**token), ("client_id", "public")];
        assert_eq!(send(&site.app, form("/revoke", &revocation)).await.status, StatusCode::OK);
        watched.assert_heard(&[&at_the_public_client(event)]);
    }
    let answer = site.token_as("confidential", &[("grant_type", "client_credentials")]).await;
    assert_eq!(answer.status, StatusCode::OK);
    watched.assert_heard(&["issued client=confidential grant"]);
}

/// RFC 9700 §4.14.2: what says that somebody has a copy, and what says that the store has lost a write.
#[tokio::test]
async fn what_looks_like_an_attack_or_a_loss_is_told() {
    let watched = Watched::new();
    let site = &watched.site;
    let first = site.connect("profile").await;
    let lost = site.shelf.records();
    let second = Pair::of(&site.refresh(&first.refresh).await);
    site.shelf.put_back(lost);
    watched.heard();
    Pair::of(&site.refresh(&second.refresh).await);
    watched.assert_heard(&["ahead client=public subject=alice grant"]);
    site.clock.advance(seconds(11));
    site.refresh(&first.refresh).await;
    watched.assert_heard(&[
        "replayed reason=refresh_reuse client=public subject=alice grant",
        "refused reason=refresh_replayed client=public grant",
    ]);
    let code = site.code("profile").await;
    Pair::of(&site.token(&redemption(&code)).await);
    site.clock.advance(seconds(6));
    watched.heard();
    site.token(&redemption(&code)).await;
    watched.assert_heard(&[
        "replayed reason=code_reuse client=public subject=alice grant",
        "refused reason=code_replayed client=public grant",
    ]);
}

/// What ends is told with its reason, once for each call that ended something.
#[tokio::test]
async fn every_end_of_a_grant_is_told_with_its_reason() {
    let watched = Watched::with(|builder| builder.grants_per_user_and_client(1));
    let site = &watched.site;
    site.connect("profile").await;
    watched.heard();
    site.code("profile").await;
    watched.assert_heard(&[
        "revoked reason=limit client=public subject=alice grant",
        "approved client=public subject=alice grant",
    ]);
    let disconnected = site.provider.disconnect(&"alice".into(), &"public".into()).await;
    assert_eq!(disconnected.ok(), Some(1));
    watched.assert_heard(&["revoked reason=user client=public subject=alice"]);
    assert_eq!(site.provider.revoke_all(&Holder::User("alice".into())).await.ok(), Some(0));
    watched.assert_heard(&[]);
    site.connect("profile").await;
    watched.heard();
    assert_eq!(site.provider.revoke_all(&Holder::Client("public".into())).await.ok(), Some(1));
    watched.assert_heard(&["revoked reason=provider client=public"]);
}

/// RFC 6749 §5.2: a bad code and a bad refresh token look alike on the wire; the operator knows which of all it was.
#[tokio::test]
async fn every_refusal_of_a_handle_has_its_reason() {
    let watched = Watched::with(|builder| {
        builder.may_continue(async |grant: Arc<tower_oauth::Grant>| {
            Ok::<_, std::convert::Infallible>(Continue::from(grant.scope().contains("profile")))
        })
    });
    let site = &watched.site;
    let pair = site.connect("profile").await;
    let stopped = site.connect("notes:read").await;
    let (fresh, used) = (site.code("profile").await, site.code("profile").await);
    Pair::of(&site.token(&redemption(&used)).await);
    let [forged_code, forged_refresh] = [&fresh, &pair.refresh].map(|handle| forge(handle));
    let another_verifier = "a-verifier-of-43-characters-or-more-0123456789";
    watched.heard();
    let good = redemption(&fresh);
    for (params, reason) in [
        (with(&good, "code", "toa_ac_short"), "code_malformed"),
        (with(&good, "code", &forged_code), "code_forged"),
        (with(&good, "code", &pair.refresh), "code_malformed"),
        (with(&good, "code_verifier", another_verifier), "code_mismatch"),
        (with(&good, "code_verifier", "short"), "code_verifier_malformed"),
        (without(&good, "code_verifier"), "code_mismatch"),
        (with(&good, "redirect_uri", "https://other.example/cb"), "code_mismatch"),
        (with(&good, "code", &used), "code_repeated"),
        (refreshing("toa_rt_short"), "refresh_malformed"),
        (refreshing(&forged_refresh), "refresh_forged"),
        (refreshing(&stopped.refresh), "refresh_stopped_by_app"),
        (refreshing(&stopped.refresh), "refresh_revoked"),
    ] {
        let answer = site.token(&params).await;
        assert_eq!((answer.status, &*answer.error()), (StatusCode::BAD_REQUEST, "invalid_grant"), "{reason}");
        let heard = watched.heard();
        let refused = format!("refused reason={reason} client=public");
        assert!(heard.iter().any(|event| event.starts_with(&refused)), "{refused}, not {heard:?}");
    }
    let theirs = send(&site.app, as_client("native", &good)).await;
    assert_eq!(theirs.error(), "invalid_grant");
    watched.assert_heard(&["refused reason=code_mismatch client=native grant"]);
    site.clock.advance(seconds(61));
    site.token(&good).await;
    watched.assert_heard(&["refused reason=code_expired client=public grant"]);
    site.shelf.put_back(Default::default());
    site.token(&good).await;
    site.refresh(&pair.refresh).await;
    watched.assert_heard(&[
        "refused reason=code_unknown client=public grant",
        "refused reason=refresh_unknown client=public grant",
    ]);
}

/// RFC 6749 §2.3: a client that cannot prove who it is. A name that nobody registered is whatever somebody sent, and is
/// not repeated.
#[tokio::test]
async fn a_client_that_is_refused_is_told_without_repeating_what_it_sent() {
    let watched = Watched::new();
    let site = &watched.site;
    let params = [("grant_type", "client_credentials")];
    for (request, event) in [
        (basic(form("/token", &params), "confidential", "wrong"), "client_secret_wrong client=confidential"),
        (basic(form("/token", &params), "nobody", "wrong"), "client_unknown"),
        (form("/token", &with(&params, "client_id", "confidential")), "client_method_wrong client=confidential"),
        (form("/token", &params), "client_missing"),
        (with_authorization(form("/token", &params), "Basic %"), "client_header_malformed"),
    ] {
        assert_eq!(send(&site.app, request).await.status, StatusCode::UNAUTHORIZED, "{event}");
        watched.assert_heard(&[&format!("client_refused reason={event}")]);
    }
}

/// RFC 6749 §4.1.2.1: whether the client or the user heard of it, so does the operator.
#[tokio::test]
async fn what_goes_wrong_at_the_authorization_endpoint_is_told() {
    let watched = Watched::new();
    let site = &watched.site;
    let challenge = challenge(VERIFIER);
    let good = authorization("public", WEB, &challenge);
    for (params, event) in [
        (with(&good, "client_id", "nobody"), "refused reason=client_not_registered"),
        (
            with(&good, "redirect_uri", "https://evil.example"),
            "refused reason=redirect_uri_not_registered client=public",
        ),
        (with(&good, "scope", "admin"), "refused reason=scope_not_allowed client=public"),
        (with(&good, "prompt", "none"), "denied reason=login_required client=public"),
    ] {
        send(&site.app, request(http::Method::GET, &with_query("/authorize", &params))).await;
        watched.assert_heard(&[event]);
    }
    let foreign = with_header(form(&with_query("/authorize", &good), &[]), "sec-fetch-site", "cross-site");
    assert_eq!(send(&site.app, foreign).await.status, StatusCode::FORBIDDEN);
    watched.assert_heard(&["refused reason=cross_site"]);
    let page = site.provider.authorize(tower::service_fn(async |request: Request<Body>| {
        let asked = request.extensions().get::<AuthorizationRequest>().expect("there is one").clone();
        Ok::<_, std::convert::Infallible>(axum::response::IntoResponse::into_response(asked.deny()))
    }));
    let denied = page.oneshot(form(&with_query("/authorize", &good), &[])).await.expect("it answers");
    assert_eq!(denied.status(), StatusCode::SEE_OTHER);
    watched.assert_heard(&["denied reason=denied client=public"]);
}

/// RFC 6750 §3.1: a refusal of the bearer layer, with whose token it was where the token is good.
#[tokio::test]
async fn every_refusal_of_a_token_has_its_reason() {
    let watched = Watched::new();
    let site = &watched.site;
    let pair = site.connect("profile").await;
    watched.heard();
    let forged = forge(&pair.access);
    for (request, event) in [
        (request(http::Method::GET, "/me"), "token_missing"),
        (bearer("/me", "something"), "token_unknown"),
        (bearer("/me", &forged), "token_forged"),
        (bearer("/me", ""), "token_empty"),
        (bearer("/me", "a b"), "token_illegible"),
        (bearer("/me?access_token=x", &pair.access), "token_in_query"),
        (bearer("/notes", &pair.access), "scope_insufficient client=public subject=alice grant"),
    ] {
        assert!(send(&site.app, request).await.status.is_client_error(), "{event}");
        watched.assert_heard(&[&format!("refused reason={event}")]);
    }
    site.clock.advance(seconds(600));
    site.show(&pair.access).await;
    watched.assert_heard(&["refused reason=token_expired"]);
    let second = Pair::of(&site.refresh(&pair.refresh).await);
    assert!(site.provider.revoke_all(&Holder::User("alice".into())).await.is_ok());
    watched.heard();
    site.show(&second.access).await;
    watched.assert_heard(&["refused reason=token_revoked"]);
}

/// A store that is down: a 503 to whoever asks, and what it said to the operator alone.
#[tokio::test]
async fn a_store_that_is_down_is_told_with_what_it_said() {
    let watched = Watched::new();
    let site = &watched.site;
    let pair = site.connect("profile").await;
    let code = site.code("profile").await;
    watched.heard();
    site.shelf.take_down(&[Op::Find, Op::Redeem, Op::Create]);
    let source = "source=the shelf is out of reach";
    assert_eq!(site.show(&pair.access).await.status, StatusCode::SERVICE_UNAVAILABLE);
    watched.assert_heard(&[&format!("unavailable {source}")]);
    let answer = site.token(&redemption(&code)).await;
    assert!(!answer.body.contains("shelf"), "{answer:?}");
    watched.assert_heard(&[&format!("unavailable client=public {source}")]);
    let challenge = challenge(VERIFIER);
    let asked = with_query("/authorize", &authorization("public", WEB, &challenge));
    assert!(send(&site.app, form(&asked, &[])).await.redirected("error").is_some());
    watched.assert_heard(&[&format!("unavailable client=public {source}")]);
}

/// Whoever listens stops nothing: not the exchange that is told of, and not the sweeper.
#[tokio::test(start_paused = true)]
async fn a_hook_that_panics_stops_nothing() {
    let told = Arc::new(Mutex::new(0));
    let count = Arc::clone(&told);
    let site = site_with(|builder| {
        builder.on_event(move |_: &Event<'_>| {
            *count.lock().unwrap_or_else(std::sync::PoisonError::into_inner) += 1;
            panic!("this hook always panics");
        })
    });
    let pair = site.connect("profile").await;
    assert!(site.is_good(&pair.access).await);
    Pair::of(&site.refresh(&pair.refresh).await);
    site.shelf.take_down(&[Op::Sweep]);
    let before = *told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let sweeper = site.provider.sweep_every(seconds(1));
    tokio::time::sleep(seconds(5)).await;
    drop(sweeper);
    let after = *told.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    assert!(after - before >= 4, "{} of 5 failed sweeps were told", after - before);
}

/// RFC 7591: a client that registers, one that may not, and one too many.
#[tokio::test]
async fn registrations_are_told() {
    let watched = Watched::with(|builder| {
        builder.store(tower_oauth::MemoryStore::new()).registration(RegistrationPolicy::open().limit(1))
    });
    let registration = |body: serde_json::Value| {
        let request = Request::post("/register").header(header::CONTENT_TYPE, "application/json");
        request.body(Body::from(body.to_string())).expect("a good request")
    };
    let good = json!({"redirect_uris": [WEB]});
    let answer = send(&watched.site.app, registration(good.clone())).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let id = answer.json()["client_id"].as_str().expect("a text").to_owned();
    watched.assert_heard(&[&format!("registered client={id}")]);
    send(&watched.site.app, registration(json!({"redirect_uris": ["javascript:alert(1)"]}))).await;
    watched.assert_heard(&["refused reason=metadata_redirect_uri"]);
    assert_eq!(send(&watched.site.app, registration(good)).await.status, StatusCode::SERVICE_UNAVAILABLE);
    watched.assert_heard(&["refused reason=registrations_full"]);
}

/// RFC 7592: a registration that is replaced, refused to a stranger, and deleted with what was granted.
#[tokio::test]
async fn managed_registrations_are_told() {
    let watched = Watched::with(|builder| {
        builder.store(tower_oauth::MemoryStore::new()).registration(RegistrationPolicy::open().management())
    });
    let app = &watched.site.app;
    let ask = |method: &str, uri: &str, token: &str, body: serde_json::Value| {
        let request = Request::builder().method(method).uri(uri).header(header::CONTENT_TYPE, "application/json");
        let request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        request.body(Body::from(body.to_string())).expect("a good request")
    };
    let metadata = json!({"redirect_uris": [WEB], "token_endpoint_auth_method": "none"});
    let client = send(app, ask("POST", "/register", "x", metadata)).await.json();
    let text = |name: &str| client[name].as_str().expect("a text").to_owned();
    let (id, token, uri) = (text("client_id"), text("registration_access_token"), text("registration_client_uri"));
    watched.assert_heard(&[&format!("registered client={id}")]);
    let metadata = json!({"client_id": id, "redirect_uris": [WEB], "token_endpoint_auth_method": "none"});
    send(app, ask("PUT", &uri, &token, metadata)).await;
    watched.assert_heard(&[&format!("registration_updated client={id}")]);
    send(app, ask("PUT", &uri, &token, json!({"redirect_uris": [WEB]}))).await;
    watched.assert_heard(&[&format!("refused reason=metadata_client_id client={id}")]);
    send(app, ask("GET", &uri, "x", json!({}))).await;
    watched.assert_heard(&["refused reason=registration_token_refused"]);
    let challenge = challenge(VERIFIER);
    send(app, form(&with_query("/authorize", &authorization(&id, WEB, &challenge)), &[])).await;
    watched.heard();
    send(app, ask("DELETE", &uri, &token, json!({}))).await;
    watched
        .assert_heard(&[&format!("revoked reason=client client={id}"), &format!("registration_deleted client={id}")]);
}

/// RFC 9126: a request that is pushed, one that is not taken, and a reference that is used twice.
#[tokio::test]
async fn pushed_requests_are_told() {
    let watched = Watched::with(ProviderBuilder::pushed_authorization_requests);
    let app = &watched.site.app;
    let challenge = challenge(VERIFIER);
    let asked = authorization("public", WEB, &challenge);
    let uri = send(app, form("/par", &asked)).await.json()["request_uri"].as_str().expect("a text").to_owned();
    watched.assert_heard(&["pushed client=public"]);
    send(app, form("/par", &with(&asked, "scope", "admin"))).await;
    watched.assert_heard(&["refused reason=scope_not_allowed client=public"]);
    let visit = |client: &str| form(&with_query("/authorize", &[("client_id", client), ("request_uri", &uri)]), &[]);
    send(app, visit("native")).await;
    watched.assert_heard(&["refused reason=request_uri_of_another_client"]);
    send(app, visit("public")).await;
    watched.assert_heard(&["approved client=public subject=alice grant"]);
    send(app, visit("public")).await;
    watched.assert_heard(&["refused reason=request_uri_used client=public"]);
    watched.site.clock.advance(seconds(540));
    send(app, visit("public")).await;
    watched.assert_heard(&["refused reason=request_uri_expired"]);
}

/// The text of an event says what and why, for whoever prints it.
#[tokio::test]
async fn an_event_is_printed_as_its_name_and_reason() {
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let ear = Arc::clone(&seen);
    let site = site_with(|builder| {
        builder.client(Client::public("app").redirect_uri(WEB)).on_event(move |event: &Event<'_>| {
            assert!(event.source.and_then(Error::source).is_none());
            ear.lock().expect("no panic").insert((event.to_string(), event.kind == EventKind::Issued));
        })
    });
    site.connect("profile").await;
    site.refresh("x").await;
    let expected = [("approved", false), ("issued", true), ("refused: refresh_malformed", false)];
    let expected = expected.map(|(text, issued)| (text.to_owned(), issued));
    assert_eq!(*seen.lock().expect("no panic"), BTreeSet::from(expected));
}

/// The same handle with another tag.
fn forge(handle: &str) -> String {
    let (start, last) = handle.split_at(handle.len() - 4);
    let other = if last.starts_with('A') { 'B' } else { 'A' };
    format!("{start}{other}{}", &last[1..])
}

fn with_authorization(request: Request<Body>, value: &str) -> Request<Body> {
    with_header(request, "authorization", value)
}

fn with_header(mut request: Request<Body>, name: &'static str, value: &str) -> Request<Body> {
    request.headers_mut().insert(name, value.parse().expect("a header"));
    request
}
