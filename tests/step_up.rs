//! Step-up authentication: RFC 9470, and what of OpenID Connect Core it builds on.

#[path = "support/ask.rs"]
mod ask;
#[path = "support/shelf.rs"]
mod shelf;
#[path = "support/site.rs"]
mod site;
mod support;

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use ask::{STATE, app_with, ask};
use axum::body::Body;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use http::{Method, Request, Response, StatusCode, header};
use serde_json::{Map, Value, json};
use site::site_with;
use support::{
    Answer, App, ISSUER, NATIVE, SECRET, WEB, basic, bearer, builder, form, redeem, refresh, request, seconds, send,
};
use tower::util::BoxCloneSyncService;
use tower::{Layer, service_fn};
use tower_oauth::testing::ManualClock;
use tower_oauth::{
    Approval, AuthorizationRequest, Authorized, BearerLayer, Client, Clock, Credentials, Denial, Provider,
    ProviderBuilder, StepUp, SystemClock, Verification, Verify,
};

const FIVE_MINUTES: Duration = Duration::from_secs(300);
const UNMET: &str = "unmet_authentication_requirements";
const WHY: &str = "the user has to authenticate again or in another way";
const METADATA: &str = "resource_metadata=\"https://shift.example/.well-known/oauth-protected-resource\"";

fn stepping(builder: ProviderBuilder) -> ProviderBuilder {
    builder.acr_values_supported(["pwd", "mfa", "phr"])
}

fn good(builder: ProviderBuilder) -> Provider {
    builder.build().expect("a good configuration")
}

/// Approves alice as the parameters `did` and `ago` of the query say, which are the page's own.
async fn approve(request: AuthorizationRequest) -> Approval {
    let approval = request.approve("alice");
    let approval = match request.parameter("did") {
        Some(acr) => approval.acr(acr),
        None => approval,
    };
    match request.parameter("ago") {
        Some(ago) => {
            let ago = Duration::from_secs(ago.parse().expect("seconds"));
            approval.auth_time(ManualClock::default().now() - ago)
        }
        None => approval,
    }
}

fn approving(provider: &Provider) -> App {
    let router = Router::new().route("/authorize", get(approve)).layer(provider.layer());
    BoxCloneSyncService::new(router.into_service())
}

/// The access and refresh token of a user who did this so long ago.
async fn tokens(app: &App, did: &str, ago: u64) -> (String, String) {
    let asked = ask().with("scope", "profile").with("did", did).with("ago", &ago.to_string());
    let code = send(app, asked.get()).await.assert_code_at(WEB, Some(STATE));
    let json = redeem(app, &code).await.json();
    let text = |name: &str| json[name].as_str().unwrap_or_else(|| panic!("no {name} in {json}")).to_owned();
    (text("access_token"), text("refresh_token"))
}

fn challenge(answer: &Answer) -> &str {
    answer.header(header::WWW_AUTHENTICATE)
}

// ---- the authorization request ---------------------------------------------------------------------------------------

/// RFC 9470 §4: what the client found in the challenge reaches the page, whoever knows these values
#[tokio::test]
async fn what_is_asked_for_reaches_the_page() {
    let page = get(async |request: AuthorizationRequest| {
        let values: Vec<_> = request.acr_values().collect();
        format!("{values:?} {:?}", request.max_age())
    });
    let app = app_with(&good(builder(&ManualClock::default())), page);
    for (acr_values, max_age, shown) in [
        ("", "", "[] None"),
        ("phr mfa", "", "[\"phr\", \"mfa\"] None"),
        (" mfa  phr ", "5", "[\"mfa\", \"phr\"] Some(5s)"),
        ("", "0", "[] Some(0ns)"),
        ("", "0007", "[] Some(7s)"),
        (
            "urn:mace:incommon:iap:silver",
            "18446744073709551615",
            "[\"urn:mace:incommon:iap:silver\"] Some(18446744073709551615s)",
        ),
    ] {
        let asked = ask().with("acr_values", acr_values).with("max_age", max_age);
        assert_eq!(send(&app, asked.get()).await.body, shown);
    }
}

/// OpenID Connect Core §3.1.2.1: a number of seconds, and RFC 6749 §3.1: once
#[tokio::test]
async fn a_max_age_that_is_no_number_is_told_to_the_client() {
    let app = approving(&good(builder(&ManualClock::default())));
    for bad in ["-1", "+1", "1.5", "5s", "five", " 5", "5 ", "0x5", "٥", "18446744073709551616"] {
        let refused = send(&app, ask().with("max_age", bad).get()).await;
        refused.assert_error_at(WEB, "invalid_request", Some(STATE));
    }
    let twice = ask().with("max_age", "5").and("max_age", "5");
    send(&app, twice.get()).await.assert_error_at(WEB, "invalid_request", Some(STATE));
}

/// OpenID Connect Core §3.1.2.1: `max_age`; zero is as `prompt=login`. By the provider's clock.
#[tokio::test]
async fn the_page_is_told_who_has_to_log_in_again() {
    let clock = ManualClock::default();
    let login = clock.now();
    let page = get(async move |request: AuthorizationRequest| {
        format!("{} {}", request.is_recent(login), request.resume_url())
    });
    let app = app_with(&good(builder(&clock)), page);
    let asked = |max_age: &str| ask().with("max_age", max_age).with("acr_values", "mfa").get();
    let at_once = send(&app, asked("0")).await;
    assert!(at_once.body.starts_with("false"), "as prompt=login, whenever that was: {at_once:?}");
    clock.advance(seconds(300));
    for (max_age, recent) in [("", true), ("301", true), ("300", true), ("299", false), ("0", false)] {
        let answer = send(&app, asked(max_age)).await;
        let (said, resumed) = answer.body.split_once(' ').expect("two words");
        assert_eq!(said, recent.to_string(), "{max_age}");
        // What the login has done is not asked for again; how is.
        assert!(resumed.contains("acr_values=mfa") && !resumed.contains("max_age"), "{resumed}");
    }
}

/// RFC 9470 §5: where the provider says what it can do, what a request asks for is needed
#[tokio::test]
async fn an_approval_that_does_not_do_what_was_asked_for_fails() {
    let app = approving(&good(stepping(builder(&ManualClock::default()))));
    for (asked, done, met) in [
        (&[][..], &[][..], true),
        (&[], &[("did", "pwd"), ("ago", "9000")], true),
        (&[("acr_values", "mfa")], &[], false),
        (&[("acr_values", "mfa")], &[("did", "pwd")], false),
        (&[("acr_values", "mfa")], &[("did", "MFA")], false),
        (&[("acr_values", "mfa")], &[("did", "mfa")], true),
        (&[("acr_values", "phr mfa")], &[("did", "mfa")], true),
        (&[("acr_values", "unheard-of mfa")], &[("did", "mfa")], true),
        (&[("max_age", "60")], &[], false),
        (&[("max_age", "60")], &[("ago", "61")], false),
        (&[("max_age", "60")], &[("ago", "60")], true),
        (&[("max_age", "0")], &[("ago", "0")], true),
        (&[("max_age", "0")], &[("ago", "1")], false),
        (&[("acr_values", "mfa"), ("max_age", "60")], &[("did", "mfa"), ("ago", "61")], false),
        (&[("acr_values", "mfa"), ("max_age", "60")], &[("did", "pwd"), ("ago", "1")], false),
        (&[("acr_values", "mfa"), ("max_age", "60")], &[("did", "mfa"), ("ago", "1")], true),
    ] {
        let all = asked.iter().chain(done);
        let answer = send(&app, all.fold(ask(), |ask, (name, value)| ask.with(name, value)).get()).await;
        if met {
            answer.assert_code_at(WEB, Some(STATE));
        } else {
            answer.assert_error_at(WEB, UNMET, Some(STATE));
        }
    }
}

/// RFC 9470 §5: what nobody can do here is told before a user is bothered
#[tokio::test]
async fn a_request_for_what_is_not_known_here_does_not_reach_the_page() {
    let page = || get(async |_: AuthorizationRequest| "the page");
    let app = app_with(&good(stepping(builder(&ManualClock::default()))), page());
    for acr_values in ["gold", "gold silver", "PWD"] {
        let refused = send(&app, ask().with("acr_values", acr_values).get()).await;
        refused.assert_error_at(WEB, UNMET, Some(STATE));
    }
    assert_eq!(send(&app, ask().with("acr_values", "gold pwd").get()).await.body, "the page");
    // Who says nothing of what it can do leaves it to the page.
    let app = app_with(&good(builder(&ManualClock::default())), page());
    assert_eq!(send(&app, ask().with("acr_values", "gold").get()).await.body, "the page");
}

/// OpenID Connect Core §3.1.2.1: without the switch they are for the page to know, and no code is refused
#[tokio::test]
async fn without_values_of_its_own_a_provider_holds_nobody_to_any() {
    let app = approving(&good(builder(&ManualClock::default())));
    for asked in [ask().with("acr_values", "mfa"), ask().with("max_age", "0").with("ago", "5")] {
        send(&app, asked.get()).await.assert_code_at(WEB, Some(STATE));
    }
}

/// OpenID Connect Core Error Code unmet_authentication_requirements 1.0 §2: a page can say so itself
#[tokio::test]
async fn a_page_can_say_that_the_user_cannot() {
    let page = get(async |request: AuthorizationRequest| -> Denial { request.unmet_authentication_requirements() });
    let app = app_with(&good(builder(&ManualClock::default())), page);
    send(&app, ask().with("acr_values", "mfa").get()).await.assert_error_at(WEB, UNMET, Some(STATE));
}

/// RFC 9470 §7, RFC 8414 §2: advertised exactly when it is on
#[tokio::test]
async fn the_metadata_name_the_values() {
    let document = async |builder: ProviderBuilder| {
        send(&approving(&good(builder)), request(Method::GET, "/.well-known/oauth-authorization-server")).await.json()
    };
    let clock = ManualClock::default();
    assert_eq!(document(stepping(builder(&clock))).await["acr_values_supported"], json!(["pwd", "mfa", "phr"]));
    assert_eq!(document(builder(&clock)).await.get("acr_values_supported"), None);
}

#[test]
fn values_that_no_challenge_could_carry_do_not_build() {
    let said = |values: &[&str]| {
        let wrong = builder(&ManualClock::default()).acr_values_supported(values.iter().copied()).build();
        wrong.expect_err("it is wrong").iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(said(&[]), ["acr values: none is named in `.acr_values_supported(..)`: name some, or leave it out"]);
    let why = "one word of printable ASCII without `\"` and `\\`";
    assert_eq!(said(&["mfa", "", "a b"]), [format!("acr \"\": {why}"), format!("acr \"a b\": {why}")]);
    for bad in ["\"", "\\", "é", "a\n"] {
        assert_eq!(said(&[bad]), [format!("acr {bad:?}: {why}")]);
    }
}

// ---- what was done is told -------------------------------------------------------------------------------------------

/// RFC 9470 §6: every token of the grant says how and when, also after a refresh
#[tokio::test]
async fn every_token_of_the_grant_says_how_and_when_the_user_authenticated() {
    let client = Client::resource_server("api", SECRET, ISSUER);
    let clock = ManualClock::default();
    let provider = good(builder(&clock).client(client));
    let seen = get(async |token: Authorized| {
        let at = token.auth_time().map(|at| at.duration_since(SystemTime::UNIX_EPOCH).expect("a time").as_secs());
        Json(json!({"acr": token.acr(), "at": at}))
    });
    let router = Router::new().route("/authorize", get(approve)).route("/me", seen.route_layer(provider.bearer()));
    let app: App = BoxCloneSyncService::new(router.layer(provider.layer()).into_service());
    let then = clock.now().duration_since(SystemTime::UNIX_EPOCH).expect("a time").as_secs() - 40;
    let (first, renewal) = tokens(&app, "mfa", 40).await;
    clock.advance(seconds(100));
    let second = refresh(&app, &renewal).await.json()["access_token"].as_str().expect("a token").to_owned();
    for token in [&first, &second] {
        assert_eq!(send(&app, bearer("/me", token)).await.json(), json!({"acr": "mfa", "at": then}));
        let asked = basic(form("/introspect", &[("token", token)]), "api", SECRET);
        let said = send(&app, asked).await.json();
        assert_eq!((&said["acr"], &said["auth_time"]), (&json!("mfa"), &json!(then)), "{said}");
    }
    let silent = provider.issue("app", "alice", "profile".parse().expect("a scope")).await.expect("a token");
    assert_eq!(send(&app, bearer("/me", silent.secret())).await.json(), json!({"acr": null, "at": null}));
    let said = send(&app, basic(form("/introspect", &[("token", silent.secret())]), "api", SECRET)).await.json();
    assert!(said["active"] == true && said.get("acr").is_none() && said.get("auth_time").is_none(), "{said}");
}

// ---- the resource server ---------------------------------------------------------------------------------------------

/// A site whose tokens are worth what the user did, and a layer over a service that says nothing.
async fn behind(layer: &BearerLayer, asked: Request<Body>) -> Answer {
    let inner = service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new("in".to_owned())));
    send(&layer.layer(inner), asked).await
}

/// RFC 9470 §3: which authentication, and how recent, with the scope beside it (RFC 6750 §3.1)
#[tokio::test]
async fn a_layer_asks_every_token_how_its_user_authenticated() {
    let clock = ManualClock::default();
    let provider = good(builder(&clock));
    let app = approving(&provider);
    let (mfa, _) = tokens(&app, "mfa", 0).await;
    let (pwd, _) = tokens(&app, "pwd", 0).await;
    let silent = provider.issue("app", "alice", "profile".parse().expect("a scope")).await.expect("a token");
    clock.advance(seconds(200));
    let own = provider.bearer();
    let said = |parameters: &str| {
        format!(
            "Bearer realm=\"{ISSUER}\", error=\"insufficient_user_authentication\", error_description=\"{WHY}\", {parameters}, {METADATA}"
        )
    };
    let strict = own.clone().step_up(StepUp::acr("phr mfa").max_age(FIVE_MINUTES));
    let (both, recent) = ("acr_values=\"phr mfa\", max_age=\"300\"", "max_age=\"199\"");
    for (layer, token, parameters) in [
        (&strict, &*mfa, None),
        (&strict, &*pwd, Some(both)),
        (&strict, silent.secret(), Some(both)),
        (&own.clone().step_up(StepUp::within(FIVE_MINUTES)), &*pwd, None),
        (&own.clone().step_up(StepUp::within(seconds(200))), &*pwd, None),
        (&own.clone().step_up(StepUp::within(seconds(199))), &*pwd, Some(recent)),
        (&own.clone().step_up(StepUp::within(FIVE_MINUTES)), silent.secret(), Some("max_age=\"300\"")),
        (&own.clone().step_up(StepUp::acr("mfa")).step_up(StepUp::acr("pwd")), &*pwd, None),
        (
            &own.clone().require("profile").step_up(StepUp::acr("mfa")),
            &*pwd,
            Some("acr_values=\"mfa\", scope=\"profile\""),
        ),
        // Both are lacking: one more authorization is enough.
        (&own.clone().step_up(StepUp::acr("mfa")).require("admin"), &*pwd, Some("acr_values=\"mfa\", scope=\"admin\"")),
    ] {
        let answer = behind(layer, bearer("/", token)).await;
        match parameters {
            None => assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "in"), "{answer:?}"),
            Some(parameters) => {
                assert_eq!((answer.status.as_u16(), challenge(&answer)), (401, &*said(parameters)));
                assert_eq!(answer.body, "");
            }
        }
    }
    // What was recent is so no longer.
    clock.advance(seconds(101));
    assert_eq!(challenge(&behind(&strict, bearer("/", &mfa)).await), said(both));
    // RFC 6750 §3.1: without a token there is nothing to step up from.
    let bare = behind(&strict, request(Method::GET, "/")).await;
    assert_eq!(challenge(&bare), format!("Bearer realm=\"{ISSUER}\", {METADATA}"));
    assert_eq!(behind(&strict.optional(), request(Method::GET, "/")).await.body, "in");
}

/// A client that acts for itself has nobody who could authenticate.
#[tokio::test]
async fn a_token_without_a_user_cannot_step_up() {
    let provider = good(builder(&ManualClock::default()));
    let app = approving(&provider);
    let asked = form("/token", &[("grant_type", "client_credentials"), ("scope", "profile")]);
    let json = send(&app, basic(asked, "confidential", SECRET)).await.json();
    let layer = provider.bearer().step_up(StepUp::acr("mfa"));
    let answer = behind(&layer, bearer("/", json["access_token"].as_str().expect("a token"))).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(challenge(&answer).contains("this needs the token of a user"), "{answer:?}");
    assert!(!challenge(&answer).contains("acr_values"), "{answer:?}");
}

/// What a handler alone knows: the layer above completes its answer, and keeps what else is in it.
#[tokio::test]
async fn a_handler_answers_that_the_user_has_to_step_up() {
    async fn transfer(token: Authorized) -> Result<&'static str, StepUp> {
        let needed = StepUp::acr("mfa").max_age(FIVE_MINUTES);
        if needed.is_met(&token, ManualClock::default().now()) { Ok("done") } else { Err(needed) }
    }
    let provider = good(stepping(builder(&ManualClock::default())));
    let app = approving(&provider);
    let cookie = async |token: Authorized| ([(header::SET_COOKIE, "a=b")], transfer(token).await).into_response();
    let handlers = Router::new()
        .route("/transfer", get(transfer))
        .route("/cookie", get(cookie))
        .route("/refused", get(async || (StatusCode::UNAUTHORIZED, "of the app's own")))
        .route_layer(provider.bearer().require("profile"));
    let api: App = BoxCloneSyncService::new(handlers.into_service());
    let (mfa, _) = tokens(&app, "mfa", 300).await;
    let (old, _) = tokens(&app, "mfa", 301).await;
    let (pwd, _) = tokens(&app, "pwd", 0).await;
    let expected = format!(
        "Bearer realm=\"{ISSUER}\", error=\"insufficient_user_authentication\", error_description=\"{WHY}\", \
         acr_values=\"mfa\", max_age=\"300\", scope=\"profile\", {METADATA}"
    );
    assert_eq!(send(&api, bearer("/transfer", &mfa)).await.body, "done");
    for token in [&old, &pwd] {
        let answer = send(&api, bearer("/transfer", token)).await;
        assert_eq!((answer.status.as_u16(), challenge(&answer), &*answer.body), (401, &*expected, ""));
        assert_eq!(answer.headers.get_all(header::WWW_AUTHENTICATE).iter().count(), 1);
    }
    let answer = send(&api, bearer("/cookie", &pwd)).await;
    assert_eq!((challenge(&answer), answer.header(header::SET_COOKIE)), (&*expected, "a=b"));
    // A 401 that says nothing of it is the app's.
    let answer = send(&api, bearer("/refused", &pwd)).await;
    assert_eq!((answer.status.as_u16(), challenge(&answer), &*answer.body), (401, "", "of the app's own"));
}

/// Outside axum, and without a layer: a good answer to HTTP by itself
#[tokio::test]
async fn an_answer_without_a_layer_is_a_challenge_too() {
    let provider = good(stepping(builder(&ManualClock::default())));
    let inner = service_fn(async |_: Request<Body>| {
        Ok::<_, Infallible>(Response::<String>::from(StepUp::acr(" phr  mfa ").max_age(Duration::from_millis(5_900))))
    });
    let parameters = format!(
        "error=\"insufficient_user_authentication\", error_description=\"{WHY}\", acr_values=\"phr mfa\", max_age=\"5\""
    );
    let alone = send(&inner, request(Method::GET, "/")).await;
    assert_eq!((alone.status.as_u16(), challenge(&alone)), (401, &*format!("Bearer {parameters}")));
    let token = provider.issue("app", "alice", "profile".parse().expect("a scope")).await.expect("a token");
    let expected = format!("Bearer realm=\"{ISSUER}\", {parameters}, {METADATA}");
    for (layer, asked) in
        [(provider.bearer(), bearer("/", token.secret())), (provider.bearer().optional(), request(Method::GET, "/"))]
    {
        let answer = send(&layer.layer(inner), asked).await;
        assert_eq!((answer.status.as_u16(), challenge(&answer)), (401, &*expected));
    }
    // With a user that the layer finds, which takes another way through it.
    let layer = provider.bearer().user(async |token: Authorized| Some(token.subject().to_owned()));
    let answer = send(&layer.layer(inner), bearer("/", token.secret())).await;
    assert_eq!((answer.status.as_u16(), challenge(&answer)), (401, &*expected));
}

/// Which layers complete the answer of a handler: those of a provider that says what its users can do, those that were
/// told of a step-up, and those over a verifier. Through the others it goes as it is.
#[tokio::test]
async fn a_layer_that_nobody_told_of_step_ups_leaves_the_answer_alone() {
    let provider = good(builder(&ManualClock::default()));
    let inner = service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::<String>::from(StepUp::acr("mfa"))));
    let token = provider.issue("app", "alice", "profile".parse().expect("a scope")).await.expect("a token");
    let alone =
        format!("Bearer error=\"insufficient_user_authentication\", error_description=\"{WHY}\", acr_values=\"mfa\"");
    let completed = |realm: &str| alone.replace("Bearer ", &format!("Bearer realm=\"{realm}\", "));
    for (layer, asked, expected) in [
        (provider.bearer(), bearer("/", token.secret()), alone.clone()),
        (provider.bearer().optional(), request(Method::GET, "/"), alone.clone()),
        (
            provider.bearer().optional().step_up(StepUp::acr("mfa")),
            request(Method::GET, "/"),
            format!("{}, {METADATA}", completed(ISSUER)),
        ),
        (BearerLayer::new(Foreign), bearer("/", "{}"), completed("api")),
    ] {
        let answer = send(&layer.layer(inner), asked).await;
        assert_eq!((answer.status.as_u16(), challenge(&answer)), (401, &*expected));
    }
}

/// gRPC over HTTP/2, "Responses": UNAUTHENTICATED, in headers alone; the challenge is among them
#[tokio::test]
async fn a_call_of_grpc_is_answered_as_grpc() {
    let provider = good(stepping(builder(&ManualClock::default())));
    let token = provider.issue("app", "alice", "profile".parse().expect("a scope")).await.expect("a token");
    let inner = service_fn(async |_: Request<Body>| {
        Ok::<_, Infallible>(Response::<String>::from(StepUp::acr("mfa")).map(|_| "a message".to_owned()))
    });
    let call = || {
        let mut call = bearer("/", token.secret());
        *call.method_mut() = Method::POST;
        call.headers_mut().insert(header::CONTENT_TYPE, "application/grpc".parse().expect("a header"));
        call
    };
    let by_handler = send(&provider.bearer().layer(inner), call()).await;
    let by_layer = behind(&provider.bearer().step_up(StepUp::acr("mfa")), call()).await;
    for answer in [by_handler, by_layer] {
        let seen = (answer.status, answer.header("grpc-status"), answer.header("grpc-message"), &*answer.body);
        assert_eq!(seen, (StatusCode::OK, "16", WHY, ""));
        assert_eq!(answer.header(header::CONTENT_TYPE), "application/grpc");
        assert!(challenge(&answer).contains("acr_values=\"mfa\""), "{answer:?}");
    }
}

/// A verifier of the app's own, for a layer that goes by the operating system's clock.
struct Foreign;

impl Verify for Foreign {
    fn verify(&self, credentials: Credentials<'_>) -> Verification {
        let claims: Map<String, Value> = serde_json::from_str(&credentials.token().replace('~', "\"")).expect("claims");
        let token =
            Authorized::new("app", Some("alice".into()), "profile".parse().expect("a scope"), SystemClock.now());
        Verification::ready(Ok(token.with_claims(claims)))
    }
}

/// RFC 9470 §6: what others verified says it in its claims; what is of another type says nothing
#[tokio::test]
async fn a_token_of_another_issuer_is_asked_too() {
    let now = SystemClock.now().duration_since(SystemTime::UNIX_EPOCH).expect("a time").as_secs();
    let layer = BearerLayer::new(Foreign).step_up(StepUp::acr("mfa").max_age(FIVE_MINUTES));
    for (claims, good) in [
        (json!({"acr": "mfa", "auth_time": now - 60}), true),
        (json!({"acr": "mfa", "auth_time": now - 6_000}), false),
        (json!({"acr": "pwd", "auth_time": now}), false),
        (json!({"acr": "mfa"}), false),
        (json!({"auth_time": now}), false),
        (json!({"acr": ["mfa"], "auth_time": now}), false),
        (json!({"acr": "mfa", "auth_time": now.to_string()}), false),
        (json!({"acr": "mfa", "auth_time": -1}), false),
    ] {
        let answer = behind(&layer, bearer("/", &claims.to_string().replace('"', "~"))).await;
        assert_eq!(answer.status == StatusCode::OK, good, "{claims}: {answer:?}");
        if !good {
            let expected = format!(
                "Bearer realm=\"api\", error=\"insufficient_user_authentication\", error_description=\"{WHY}\", \
                 acr_values=\"mfa\", max_age=\"300\""
            );
            assert_eq!((answer.status.as_u16(), challenge(&answer)), (401, &*expected));
        }
    }
}

#[test]
#[should_panic = "no acr is named: for any of them write `StepUp::within(..)`"]
fn a_step_up_names_what_it_asks_for() {
    let _ = StepUp::acr(" ");
}

/// The operator hears of it; where the layer asked, also of whom.
#[tokio::test]
async fn a_step_up_is_told() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ear = Arc::clone(&heard);
    let site = site_with(move |builder| {
        stepping(builder).on_event(move |event| {
            let subject = event.subject.map(ToString::to_string).unwrap_or_default();
            ear.lock().expect("no panic").push(format!("{} {subject}", event.kind.reason().unwrap_or_default()));
        })
    });
    let token = site.connect("profile").await.access;
    heard.lock().expect("no panic").clear();
    behind(&site.provider.bearer().step_up(StepUp::acr("mfa")), bearer("/", &token)).await;
    let inner = service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::<String>::from(StepUp::acr("mfa"))));
    send(&site.provider.bearer().layer(inner), bearer("/", &token)).await;
    assert_eq!(*heard.lock().expect("no panic"), ["authentication_insufficient alice", "authentication_insufficient "]);
}

/// RFC 9470 §4, §5: the whole of it, as a client goes through it
#[tokio::test]
async fn a_client_steps_up() {
    let clock = ManualClock::default();
    let provider = good(stepping(builder(&clock)));
    let app = approving(&provider);
    let layer = provider.bearer().step_up(StepUp::acr("phr mfa").max_age(FIVE_MINUTES));
    let (first, _) = tokens(&app, "pwd", 0).await;
    let refused = behind(&layer, bearer("/", &first)).await;
    let get = |name: &str| challenge(&refused).split_once(&format!("{name}=\""))?.1.split('"').next();
    let (acr_values, max_age) = (get("acr_values").expect("values"), get("max_age").expect("an age"));
    let asked = ask().of("native", NATIVE).with("acr_values", acr_values).with("max_age", max_age);
    let code = send(&app, asked.with("did", "mfa").with("ago", "0").get()).await.assert_code_at(NATIVE, Some(STATE));
    let params = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("client_id", "native"),
        ("redirect_uri", NATIVE),
        ("code_verifier", support::VERIFIER),
    ];
    let json = send(&app, form("/token", &params)).await.json();
    let second = json["access_token"].as_str().unwrap_or_else(|| panic!("{json}"));
    assert_eq!(behind(&layer, bearer("/", second)).await.body, "in");
}

#[cfg(feature = "jwt")]
mod jwt {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use tower_oauth::AccessTokenFormat;

    use super::*;

    /// RFC 9470 §6.1, RFC 9068 §2.2.1: a JWT says how and when, without being asked to carry a claim
    #[tokio::test]
    async fn a_jwt_says_how_and_when_the_user_authenticated() {
        let provider = good(builder(&ManualClock::default()).access_token_format(AccessTokenFormat::Jwt));
        let app = approving(&provider);
        let (token, _) = tokens(&app, "mfa", 40).await;
        let claims = token.split('.').nth(1).expect("a JWT");
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).expect("base64url")).expect("JSON");
        assert_eq!(claims["acr"], "mfa");
        assert_eq!(claims["iat"].as_u64().expect("a time") - claims["auth_time"].as_u64().expect("a time"), 40);
        let layer = provider.bearer();
        for (needed, good) in [(StepUp::acr("mfa").max_age(seconds(40)), true), (StepUp::acr("phr"), false)] {
            let answer = behind(&layer.clone().step_up(needed), bearer("/", &token)).await;
            assert_eq!(answer.status == StatusCode::OK, good, "{answer:?}");
        }
    }
}
