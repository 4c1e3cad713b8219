//! What is logged and counted (features `tracing` and `metrics`): a span for each request, a line for each event, and no
//! secret in any of it.

#[path = "support/log.rs"]
mod log;
mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, StatusCode, header};
use log::log;
use metrics::{Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use serde_json::json;
use support::*;
use tower::util::BoxCloneSyncService;
use tower_oauth::testing::ManualClock;
use tower_oauth::{Provider, RegistrationPolicy, Subject};

// ---- a flow with everything in it ------------------------------------------------------------------------------------

fn site(clock: &ManualClock) -> (Provider, App) {
    let provider = builder(clock)
        .registration(RegistrationPolicy::initial_access_token("an-initial-access-token-of-its-own"))
        .build()
        .expect("a good configuration");
    let apps = provider.connected_apps_page(async |_: http::request::Parts| Some(Subject::from("alice")));
    let router = Router::new().route_service("/apps", apps).route("/none", get(StatusCode::NO_CONTENT));
    let router = router.fallback_service(app(&provider));
    (provider, BoxCloneSyncService::new(router.into_service()))
}

const STATE: &str = "a-state-that-belongs-to-its-client";
const WRONG: &str = "a-secret-that-was-mistyped";

/// Every endpoint, well used and badly; answers every secret that was in it.
async fn everything(app: &App, clock: &ManualClock) -> Vec<String> {
    let challenge = challenge(VERIFIER);
    let mut params = authorization("confidential", WEB, &challenge);
    params.retain(|(name, _)| *name != "state");
    params.extend([("state", STATE), ("scope", "profile notes:read")]);
    let asked = with_query("/authorize", &params);
    send(app, request(http::Method::GET, &asked)).await;
    send(app, request(http::Method::GET, &format!("{asked}&prompt=none"))).await;
    let mut secrets =
        [SECRET, VERIFIER, STATE, WRONG, "an-initial-access-token-of-its-own"].map(str::to_owned).to_vec();
    let codes = [send(app, form(&asked, &[])).await, send(app, form(&asked, &[])).await];
    let [code, unused] = codes.map(|answer| answer.redirected("code").expect("a code"));
    let token = |params: &[(&str, &str)]| basic(form("/token", params), "confidential", SECRET);
    let redemption =
        [("grant_type", "authorization_code"), ("code", &*code), ("redirect_uri", WEB), ("code_verifier", VERIFIER)];
    let mut tokens = Vec::new();
    for wrong in ["code", "code_verifier"] {
        let params: Vec<_> =
            redemption.iter().map(|(name, value)| (*name, if *name == wrong { "x" } else { value })).collect();
        send(app, token(&params)).await;
    }
    tokens.push(send(app, token(&redemption)).await.json());
    for later in [0, 5, 11] {
        clock.advance(seconds(later));
        let refresh = tokens[0]["refresh_token"].as_str().expect("a text").to_owned();
        let answer = send(app, token(&[("grant_type", "refresh_token"), ("refresh_token", &refresh)])).await;
        tokens.extend(answer.status.is_success().then(|| answer.json()));
    }
    send(app, token(&redemption)).await;
    tokens.push(send(app, token(&[("grant_type", "client_credentials"), ("scope", "profile")])).await.json());
    send(app, basic(form("/token", &redemption), "confidential", WRONG)).await;
    let texts = tokens.iter().flat_map(|token| [&token["access_token"], &token["refresh_token"]]);
    let handles: Vec<String> = texts.filter_map(|text| text.as_str()).map(str::to_owned).collect();
    for handle in &handles {
        send(app, bearer("/profile", handle)).await;
        send(app, bearer("/notes", handle)).await;
        send(app, bearer(&with_query("/me", &[("access_token", handle)]), handle)).await;
        for endpoint in ["/introspect", "/revoke"] {
            send(app, basic(form(endpoint, &[("token", handle)]), "confidential", SECRET)).await;
        }
        send(app, bearer("/me", handle)).await;
    }
    for initial in ["an-initial-access-token-of-its-own", WRONG] {
        let registration = Request::post("/register")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::AUTHORIZATION, format!("Bearer {initial}"))
            .body(Body::from(json!({"redirect_uris": [WEB]}).to_string()))
            .expect("a good request");
        let answer = send(app, registration).await;
        secrets.extend(answer.json()["client_secret"].as_str().map(str::to_owned));
    }
    send(app, request(http::Method::GET, "/apps")).await;
    send(app, form("/apps", &[("client_id", "confidential")])).await;
    secrets.extend([code, unused]);
    secrets.extend(handles);
    secrets
}

/// No token, code, secret, verifier or state is in anything that is logged, at whatever level, by whomever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_logged_at_any_level() {
    let log = log();
    let clock = ManualClock::default();
    let (_, app) = site(&clock);
    let secrets = everything(&app, &clock).await;
    let text = log.text();
    assert!(secrets.len() > 12 && text.len() > 1_000, "{} secrets, {text}", secrets.len());
    for secret in &secrets {
        assert!(!text.contains(secret.as_str()), "{secret} is in the log");
        // A handle without its prefix, which a log may have cut off.
        let bare = secret.rsplit('_').next().filter(|bare| bare.len() >= 16).unwrap_or(secret);
        assert!(!text.contains(bare), "{bare} is in the log");
    }
    assert!(!text.contains("alice"), "a user is named in the log");
}

/// A span for each request, with the names of OpenTelemetry for HTTP and `oauth.*` beside them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_has_its_span_and_every_event_its_line() {
    let log = log();
    let clock = ManualClock::default();
    let (_, app) = site(&clock);
    everything(&app, &clock).await;
    let text = log.text();
    for (span, method, route) in [
        ("oauth.authorize", "GET", "/authorize"),
        ("oauth.authorize", "POST", "/authorize"),
        ("oauth.token", "POST", "/token"),
        ("oauth.revoke", "POST", "/revoke"),
        ("oauth.introspect", "POST", "/introspect"),
        ("oauth.register", "POST", "/register"),
    ] {
        let started = format!(" {span} http.request.method={method} http.route=\"{route}\"");
        let line = text.lines().find(|line| line.contains(&started)).unwrap_or_else(|| panic!("no {started}"));
        let id = line.split(' ').nth(1).expect("the id of the span");
        let of_span: Vec<_> = text.lines().filter(|line| line.starts_with(&format!("span {id} "))).collect();
        assert!(of_span.iter().any(|line| line.contains("http.response.status_code=")), "{of_span:?}");
    }
    // Where the page of apps is mounted is the app's to know.
    assert!(text.lines().any(|line| line.ends_with(" oauth.apps http.request.method=GET")));
    assert!(text.lines().any(|line| line.ends_with(" oauth.validate")));
    assert!(!text.contains("tower_oauth::audit in no span"), "{text}");
    for recorded in
        ["oauth.client_id=\"confidential\"", "oauth.grant_type=\"refresh_token\"", "oauth.error=\"invalid_grant\""]
    {
        assert!(text.lines().any(|line| line.starts_with("span ") && line.ends_with(recorded)), "{recorded}");
    }
    for (level, span, event) in [
        ("INFO", "token", "oauth.event=\"issued\" oauth.client_id=confidential oauth.grant="),
        ("WARN", "token", "oauth.event=\"replayed\" oauth.reason=\"refresh_reuse\" oauth.client_id=confidential"),
        ("DEBUG", "token", "oauth.event=\"refused\" oauth.reason=\"code_malformed\" oauth.client_id=confidential"),
        ("DEBUG", "token", "oauth.event=\"client_refused\" oauth.reason=\"client_secret_wrong\""),
        ("INFO", "revoke", "oauth.event=\"token_revoked\" oauth.client_id=confidential oauth.grant="),
        ("DEBUG", "authorize", "oauth.event=\"denied\" oauth.reason=\"login_required\""),
        ("DEBUG", "validate", "oauth.event=\"refused\" oauth.reason=\"token_revoked\""),
        (
            "DEBUG",
            "validate",
            "oauth.event=\"refused\" oauth.reason=\"scope_insufficient\" oauth.client_id=confidential",
        ),
    ] {
        let line = format!("{level} tower_oauth::audit in oauth.{span} ");
        assert!(text.lines().any(|text| text.starts_with(&line) && text.contains(event)), "no {line} {event}");
    }
}

// ---- what is counted -------------------------------------------------------------------------------------------------

/// The counters, by name and labels.
#[derive(Default)]
struct Counted(Mutex<Vec<(String, Arc<AtomicU64>)>>);

struct Count(Arc<AtomicU64>);

impl CounterFn for Count {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }

    fn absolute(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

impl Recorder for Counted {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        let name = format!("{}{{{}}}", key.name(), labels.join(","));
        let mut counters = self.0.lock().expect("no panic");
        if let Some((_, count)) = counters.iter().find(|(known, _)| *known == name) {
            return Counter::from_arc(Arc::new(Count(Arc::clone(count))));
        }
        let count = Arc::new(AtomicU64::new(0));
        counters.push((name, Arc::clone(&count)));
        Counter::from_arc(Arc::new(Count(count)))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

/// Each event is counted under its name and reason.
#[test]
fn every_event_is_counted() {
    // Before the first span, so that none of this is logged by halves.
    log();
    let counted = Counted::default();
    metrics::with_local_recorder(&counted, || {
        // One thread, since the recorder is this thread's.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (provider, _) = provider();
            let app = app(&provider);
            for _ in 0..3 {
                tokens(&app, "profile").await;
            }
            refresh(&app, "x").await;
        });
    });
    let counters = counted.0.lock().expect("no panic");
    let mut counts: Vec<_> = counters.iter().map(|(name, count)| (&**name, count.load(Ordering::Relaxed))).collect();
    counts.sort_unstable();
    assert_eq!(
        counts,
        [
            ("oauth_events_total{event=approved,reason=}", 3),
            ("oauth_events_total{event=issued,reason=}", 3),
            ("oauth_events_total{event=refused,reason=refresh_malformed}", 1),
        ]
    );
}
