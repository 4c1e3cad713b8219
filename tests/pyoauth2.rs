//! Coming from pyoauth2: each hook of that library, as the guide says that it is written here. The last part holds the
//! rows of the guide to these tests.

#[path = "support/ask.rs"]
mod ask;
#[path = "support/shelf.rs"]
mod shelf;
#[path = "support/site.rs"]
mod site;
mod support;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use ask::{STATE, app_with, ask};
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use serde_json::{Value, json};
use shelf::Op;
use site::{
    Pair, assert_invalid_grant, assert_invalid_request, assert_refused, assert_unavailable, redemption, refreshing,
    site, site_with, with, without,
};
use support::{Answer, App, ISSUER, SECRET, WEB, basic, bearer, code_of, form, request, seconds, send, with_query};
use tokio::task::JoinSet;
use tower_oauth::testing::ManualClock;
use tower_oauth::{
    AuthMethod, AuthorizationRequest, Authorized, BearerLayer, Client, ClientId, ClientSecret, ClientStore, Clock,
    Credentials, Endpoints, Issuance, Issuer, MemoryStore, Provider, Refusal, Scope, UnixTime, Verification, Verify,
};

const BAD: StatusCode = StatusCode::BAD_REQUEST;
const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;
const HOUR: Duration = seconds(60 * 60);

/// Whose session a request has, by the app's own cookie.
fn session(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::COOKIE)?.to_str().ok()?.strip_prefix("session=")
}

/// A page that approves what `approve` makes of a request.
fn page<R: IntoResponse>(approve: impl Fn(AuthorizationRequest) -> R + Clone + Send + Sync + 'static) -> MethodRouter {
    any(async move |request: AuthorizationRequest| approve(request))
}

/// The token request of alice's connection with this client, through whatever page the app has.
async fn connect(app: &App, client: &str) -> Answer {
    let code = code_of(app, client, WEB, "profile").await;
    send(app, form("/token", &with(&redemption(&code), "client_id", client))).await
}

async fn issue(provider: &Provider, scope: &str) -> String {
    let scope: Scope = scope.parse().expect("a scope");
    provider.issue("public", "alice", scope).await.expect("the store answers").secret().to_owned()
}

/// What a protected route answers.
async fn at(route: MethodRouter, request: Request<Body>) -> Answer {
    send(&Router::new().route("/", route).into_service(), request).await
}

/// What a protected route answers to this token.
async fn at_with(route: MethodRouter, token: &str) -> Answer {
    at(route, bearer("/", token)).await
}

// ---- AuthorizationProvider: who asks ---------------------------------------------------------------------------------

/// A table of clients that keeps of each its id and the hash of its secret.
struct Table(Vec<(&'static str, [u8; 32])>);

impl ClientStore for Table {
    type Error = Infallible;

    async fn client(&self, _: &Issuer, id: &ClientId) -> Result<Option<Client>, Infallible> {
        let row = self.0.iter().find(|(known, _)| id == *known);
        Ok(row.map(|(_, hash)| Client::confidential_sha256(id.clone(), [*hash]).redirect_uri(WEB)))
    }
}

#[tokio::test]
async fn validate_client_id_is_a_look_into_the_apps_own_table() {
    let site = site_with(|builder| builder.clients(Table(vec![("row", [0; 32])])));
    send(&site.app, ask().of("row", WEB).post()).await.assert_code_at(WEB, Some(STATE));
    let unknown = send(&site.app, ask().of("nobody", WEB).post()).await;
    unknown.assert_error_here(BAD);
    assert_eq!(site.shelf.records().len(), 1);
}

#[tokio::test]
async fn validate_client_secret_takes_any_live_secret_by_its_hash() {
    let (kept, old, new) = (ClientSecret::generate(), ClientSecret::generate(), ClientSecret::generate());
    let end = ManualClock::default().now() + seconds(30);
    let replacing = Client::confidential("replacing", &new).and_secret_until(&old, end).redirect_uri(WEB);
    let site = site_with(|builder| builder.clients(Table(vec![("row", kept.sha256())])).client(replacing));
    let tries = async |client: &str, secret: &ClientSecret| {
        let code = code_of(&site.app, client, WEB, "profile").await;
        let params = redemption(&code);
        send(&site.app, basic(form("/token", &without(&params, "client_id")), client, secret.secret())).await
    };
    for (client, secret, good) in [
        ("row", &kept, true),
        ("row", &new, false),
        ("replacing", &new, true),
        ("replacing", &old, true),
        ("replacing", &kept, false),
    ] {
        let answer = tries(client, secret).await;
        if good {
            Pair::of(&answer);
        } else {
            assert_refused(&answer, UNAUTHORIZED, "invalid_client");
        }
    }
    site.clock.advance(seconds(30));
    assert_refused(&tries("replacing", &old).await, UNAUTHORIZED, "invalid_client");
    Pair::of(&connect(&site.app, "public").await); // which has none
}

#[tokio::test]
async fn validate_redirect_uri_comes_before_any_redirect() {
    let site = site();
    for foreign in ["https://evil.example/cb", "https://web.example/cb/", "https://web.example/cb?x"] {
        // Whatever else is wrong with the request.
        for asked in [ask(), ask().with("response_type", "token"), ask().without("response_type")] {
            send(&site.app, asked.with("redirect_uri", foreign).post()).await.assert_error_here(BAD);
        }
    }
    let code = site.code("profile").await;
    assert_invalid_grant(&site.token(&with(&redemption(&code), "redirect_uri", "https://evil.example/cb")).await);
    Pair::of(&site.token(&redemption(&code)).await);
}

#[tokio::test]
async fn validate_scope_by_what_is_offered_and_what_the_client_registered() {
    let reader = Client::public("reader").redirect_uri(WEB).scope("notes:read");
    let site = site_with(|builder| builder.client(reader));
    let notes = site.connect("notes:read").await;
    assert!(send(&site.app, bearer("/notes", &notes.access)).await.status.is_success());
    assert_eq!(send(&site.app, bearer("/profile", &notes.access)).await.status, StatusCode::FORBIDDEN);
    for (client, scope) in [("public", "unheard-of"), ("public", "admin"), ("reader", "profile")] {
        let answer = send(&site.app, ask().of(client, WEB).with("scope", scope).post()).await;
        answer.assert_error_at(WEB, "invalid_scope", Some(STATE));
    }
    let described = page(|request| {
        request.scopes().map(|(name, meaning)| format!("{name}: {meaning}")).collect::<Vec<_>>().join(", ")
    });
    let shown = send(&app_with(&site.provider, described), ask().with("scope", "profile notes:read").get()).await;
    assert_eq!(shown.body, "profile: see your profile, notes:read: read your notes");
}

#[tokio::test]
async fn validate_access_is_the_apps_own_page_with_its_own_session() {
    let decide = any(|request: AuthorizationRequest, headers: HeaderMap| async move {
        match session(&headers) {
            Some("mallory") => Response::from(request.deny()),
            Some(user) => Response::from(request.approve(user)),
            None => "log in first".into_response(),
        }
    });
    let (site, me) = (site(), get(async |token: Authorized| token.subject().to_owned()));
    let app = app_with(&site.provider, decide);
    let of = async |cookie: &'static str, origin: &'static str| {
        let mut asked = ask().post();
        asked.headers_mut().insert(header::COOKIE, HeaderValue::from_static(cookie));
        asked.headers_mut().insert(header::ORIGIN, HeaderValue::from_static(origin));
        asked.headers_mut().insert(header::HOST, HeaderValue::from_static("shift.example"));
        send(&app, asked).await
    };
    assert_eq!(of("", ISSUER).await.body, "log in first");
    of("session=mallory", ISSUER).await.assert_error_at(WEB, "access_denied", Some(STATE));
    of("session=alice", "https://evil.example").await.assert_error_here(StatusCode::FORBIDDEN);
    let code = of("session=alice", ISSUER).await.assert_code_at(WEB, Some(STATE));
    let pair = Pair::of(&site.token(&redemption(&code)).await);
    assert_eq!(at_with(me.route_layer(site.provider.bearer()), &pair.access).await.body, "alice");
}

// ---- AuthorizationProvider: what is kept -----------------------------------------------------------------------------

#[tokio::test]
async fn persist_authorization_code_keeps_nothing_that_opens_anything() {
    let site = site();
    let code = site.code("profile").await;
    assert_eq!(site.shelf.steps(), [Op::Create, Op::Grants], "a store of the app's own");
    // Whoever reads it sees the name of the record, which is in no code.
    let key = *site.shelf.only().key().as_bytes();
    let raw = URL_SAFE_NO_PAD.decode(code.strip_prefix("toa_ac_").expect("a code")).expect("base64url");
    assert!(raw.len() > 32 && !raw.windows(key.len()).any(|part| part == key));
    Pair::of(&site.token(&redemption(&code)).await);
}

#[tokio::test]
async fn from_and_discard_authorization_code_are_one_step_that_one_caller_wins() {
    let site = Arc::new(site());
    let code = site.code("profile").await;
    site.shelf.steps();
    let mut callers = JoinSet::new();
    for _ in 0..100 {
        let (site, code) = (Arc::clone(&site), code.clone());
        callers.spawn(async move { site.token(&redemption(&code)).await });
    }
    let answers = callers.join_all().await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status.is_success());
    lost.iter().for_each(|answer| assert_invalid_grant(answer));
    assert_eq!((won.len(), lost.len()), (1, 99));
    assert_eq!(site.shelf.steps(), [Op::Redeem; 100]);
    let pair = Pair::of(won[0]);
    assert!(site.is_good(&pair.access).await);
    // Nobody sends a code twice by mistake a minute later.
    site.clock.advance(seconds(30));
    assert_invalid_grant(&site.token(&redemption(&code)).await);
    assert!(!site.is_good(&pair.access).await);
}

#[tokio::test]
async fn persist_token_information_is_not_needed() {
    let site = site();
    let own = async || {
        let answer = site.token_as("confidential", &[("grant_type", "client_credentials")]).await;
        answer.json()["access_token"].as_str().expect("a token").to_owned()
    };
    let mut all = vec![own().await];
    let before = site.shelf.records();
    site.shelf.steps();
    for _ in 0..10 {
        all.push(own().await);
    }
    assert_eq!((site.shelf.records(), site.shelf.steps()), (before, vec![Op::Find; 10]), "ten tokens later");
    for token in &all {
        assert!(site.is_good(token).await);
    }
    site.provider.revoke_grant(site.shelf.only().key()).await.expect("the store answers");
    for token in &all {
        assert!(!site.is_good(token).await);
    }
}

#[tokio::test]
async fn from_and_discard_refresh_token_are_one_step_that_finds_a_thief() {
    let site = site();
    let first = site.connect("profile").await;
    site.shelf.steps();
    let second = Pair::of(&site.refresh(&first.refresh).await);
    assert_eq!(site.shelf.steps(), [Op::Find, Op::Rotate]);
    // The answer was lost: the same successor again.
    assert_eq!(Pair::of(&site.refresh(&first.refresh).await).refresh, second.refresh);
    site.clock.advance(seconds(11));
    assert_invalid_grant(&site.refresh(&first.refresh).await);
    assert_invalid_grant(&site.refresh(&second.refresh).await);
    assert!(!site.is_good(&second.access).await);
}

// ---- AuthorizationProvider: data, types and lives --------------------------------------------------------------------

/// Alice's claims.
fn team(request: &AuthorizationRequest) -> tower_oauth::Approval {
    request.approve("alice").claim("team", "red").claim("shoe_size", 39)
}

#[tokio::test]
async fn data_attached_to_a_grant_comes_back_with_every_token() {
    let site = site();
    let app = app_with(&site.provider, page(|request| team(&request)));
    let first = Pair::of(&connect(&app, "public").await);
    let second = Pair::of(&site.refresh(&first.refresh).await);
    for token in [&first.access, &second.access] {
        let me = get(async |token: Authorized| Json(json!(token.claims())));
        let seen = at_with(me.route_layer(site.provider.bearer()), token).await.json();
        assert_eq!(seen, json!({"team": "red", "shoe_size": 39}));
    }
}

#[tokio::test]
async fn data_is_told_to_the_client_where_the_app_says_so() {
    let tell = async |token: Issuance| {
        let team = token.grant().claims().and_then(|claims| claims.get("team")).cloned();
        Ok::<_, Infallible>(match team {
            Some(team) => token.member("team", team),
            None => token,
        })
    };
    for (site, told) in [(site(), None), (site_with(|builder| builder.on_issue(tell)), Some("red"))] {
        let app = app_with(&site.provider, page(|request| team(&request)));
        let answer = connect(&app, "public").await;
        let again = site.refresh(&Pair::of(&answer).refresh).await;
        for answer in [answer.json(), again.json()] {
            assert_eq!((answer.get("team").and_then(Value::as_str), answer.get("shoe_size")), (told, None));
        }
    }
}

/// RFC 6750, also where a hook would have it otherwise.
#[tokio::test]
async fn token_type_is_bearer_in_every_answer() {
    let hook = async |token: Issuance| Ok::<_, Infallible>(token.member("token_type", "MAC"));
    let site = site_with(|builder| builder.on_issue(hook));
    let answer = connect(&site.app, "public").await;
    let again = site.refresh(&Pair::of(&answer).refresh).await;
    let own = site.token_as("confidential", &[("grant_type", "client_credentials")]).await;
    let own_token = own.json()["access_token"].as_str().expect("a token").to_owned();
    let introspected = basic(form("/introspect", &[("token", &own_token)]), "confidential", SECRET);
    for answer in [answer, again, own, send(&site.app, introspected).await] {
        assert_eq!(answer.json()["token_type"], "Bearer");
    }
}

#[tokio::test]
async fn token_expires_in_of_the_provider() {
    let quarter = site_with(|builder| builder.access_token_lifetime(HOUR / 4).refresh_token_max_age(HOUR));
    for (site, life) in [(site(), 600), (quarter, 900)] {
        let answer = connect(&site.app, "public").await;
        assert_eq!(answer.json()["expires_in"], life);
        let pair = Pair::of(&answer);
        site.clock.advance(seconds(life - 1));
        assert!(site.is_good(&pair.access).await);
        site.clock.advance(seconds(1));
        assert!(!site.is_good(&pair.access).await);
        site.clock.advance(HOUR);
        let unlimited = life == 600;
        assert_eq!(site.refresh(&pair.refresh).await.status.is_success(), unlimited);
    }
}

#[tokio::test]
async fn token_expires_in_of_one_client() {
    let kiosk = Client::public("kiosk").redirect_uri(WEB).access_token_lifetime(HOUR / 12).refresh_token_max_age(HOUR);
    let site = site_with(|builder| builder.client(kiosk));
    assert_eq!(connect(&site.app, "public").await.json()["expires_in"], 600);
    let answer = connect(&site.app, "kiosk").await;
    assert_eq!(answer.json()["expires_in"], 300);
    let pair = Pair::of(&answer);
    site.clock.advance(HOUR);
    assert_invalid_grant(&site.token(&with(&refreshing(&pair.refresh), "client_id", "kiosk")).await);
}

#[tokio::test]
async fn token_expires_in_of_one_grant_and_of_one_token() {
    let today = page(|request| request.approve("alice").grant_lifetime(HOUR));
    let site = site();
    let app = app_with(&site.provider, today);
    let pair = Pair::of(&connect(&app, "public").await);
    site.clock.advance(HOUR - seconds(60));
    let last = site.refresh(&pair.refresh).await;
    assert_eq!(last.json()["expires_in"], 60);
    site.clock.advance(seconds(60));
    assert_invalid_grant(&site.refresh(&Pair::of(&last).refresh).await);

    let hook = async |token: Issuance| {
        let short = token.scope().contains("notes:write");
        Ok::<_, Infallible>(if short { token.access_token_lifetime(seconds(30)) } else { token })
    };
    let site = site_with(|builder| builder.on_issue(hook));
    for (scope, life) in [("profile", 600), ("notes:write", 30)] {
        let code = site.code(scope).await;
        assert_eq!(site.token(&redemption(&code)).await.json()["expires_in"], life);
    }
}

#[tokio::test]
async fn token_length_and_generators_are_a_prefix() {
    let site = site_with(|builder| builder.token_prefix("shift"));
    let mut seen = BTreeSet::new();
    for _ in 0..10 {
        let code = site.code("profile").await;
        let Pair { access, refresh } = Pair::of(&site.token(&redemption(&code)).await);
        for (token, kind) in [(&code, "shift_ac_"), (&access, "shift_at_"), (&refresh, "shift_rt_")] {
            let random = token.strip_prefix(kind).unwrap_or_else(|| panic!("{token} is no {kind}"));
            assert!(random.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        }
        seen.extend([code, access, refresh]);
    }
    assert_eq!(seen.len(), 30);
    // What is forged never reaches the store.
    site.shelf.steps();
    let forged = seen.iter().map(|token| token.replace("_at_", "_rt_").replace("_ac_", "_rt_") + "A");
    for token in forged {
        assert_invalid_grant(&site.refresh(&token).await);
    }
    assert_eq!(site.shelf.steps(), []);
}

// ---- AuthorizationProvider: what is called ---------------------------------------------------------------------------

#[tokio::test]
async fn get_authorization_code_is_a_service_at_a_path_of_yours() {
    let site = site_with(|builder| builder.endpoints(Endpoints::default().authorization("/get_authorization_code")));
    let asked = || request(Method::GET, &format!("/get_authorization_code?{}", ask().query()));
    let approving = page(|request| request.approve("alice"));
    // In one layer, or the service alone.
    let routes = Router::new().route("/get_authorization_code", approving.clone()).layer(site.provider.layer());
    let alone = site.provider.authorize(approving);
    let code = send(&routes.into_service(), asked()).await.assert_code_at(WEB, Some(STATE));
    Pair::of(&site.token(&redemption(&code)).await);
    let code = send(&alone, asked()).await.assert_code_at(WEB, Some(STATE));
    Pair::of(&site.token(&redemption(&code)).await);
}

#[tokio::test]
async fn get_token_is_a_service_that_answers_a_form() {
    let site = site();
    let alone = site.provider.token();
    let code = site.code("profile").await;
    let answer = send(&alone, form("/whatever", &redemption(&code))).await;
    Pair::of(&answer);
    let json = answer.json();
    let members: BTreeSet<_> = json.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(members, BTreeSet::from(["access_token", "token_type", "expires_in", "refresh_token", "scope"]));
    // In a query there is nothing to find, and GET is no way to ask.
    let in_query = with_query("/token", &redemption(&site.code("profile").await));
    assert_refused(&send(&site.app, form(&in_query, &[])).await, BAD, "invalid_request");
    assert_eq!(send(&site.app, request(Method::GET, &in_query)).await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn refresh_token_is_asked_for_at_the_same_endpoint() {
    let site = site();
    let first = site.connect("profile notes:read").await;
    let narrowed = site.token(&with(&refreshing(&first.refresh), "scope", "profile")).await;
    assert_eq!(narrowed.json()["scope"], "profile");
    let second = Pair::of(&narrowed);
    assert_ne!(second.refresh, first.refresh);
    let widened = site.token(&with(&refreshing(&second.refresh), "scope", "profile notes:write")).await;
    assert_refused(&widened, BAD, "invalid_scope");
    assert_eq!(site.refresh(&second.refresh).await.json()["scope"], "profile notes:read", "all of it is still there");
}

// ---- AuthorizationProvider: errors -----------------------------------------------------------------------------------

#[tokio::test]
async fn missing_parameters_are_told_by_name() {
    let site = site();
    for name in ["response_type", "code_challenge"] {
        let answer = send(&site.app, ask().without(name).get()).await;
        answer.assert_error_at(WEB, "invalid_request", Some(STATE));
        assert!(answer.redirected("error_description").is_some_and(|why| why.contains(name)), "{answer:?}");
    }
    let answer = send(&site.app, ask().without("client_id").get()).await;
    answer.assert_error_here(BAD);
    assert!(answer.body.contains("client_id is missing"), "{}", answer.body);

    let code = site.code("profile").await;
    for (params, name) in
        [(redemption(&code), "code"), (redemption(&code), "grant_type"), (refreshing("x"), "refresh_token")]
    {
        let answer = site.token(&without(&params, name)).await;
        assert_invalid_request(&answer);
        assert!(answer.json()["error_description"].as_str().is_some_and(|why| why.starts_with(name)), "{answer:?}");
    }
    Pair::of(&site.token(&redemption(&code)).await);
}

#[tokio::test]
async fn errors_before_the_redirect_are_shown_here() {
    let own = |error: &tower_oauth::ProtocolError| format!("<!doctype html><h1>Sorry: {}</h1>", error.code());
    for (site, shown) in [
        (site(), "<!doctype html>"),
        (site_with(|builder| builder.error_page(own)), "<!doctype html><h1>Sorry: invalid_request</h1>"),
    ] {
        for asked in [ask().with("client_id", "nobody"), ask().with("redirect_uri", "https://evil.example/cb")] {
            let answer = send(&site.app, asked.get()).await;
            answer.assert_error_here(BAD);
            assert!(answer.body.starts_with(shown), "{}", answer.body);
        }
    }
}

#[tokio::test]
async fn errors_after_the_redirect_are_told_to_the_client() {
    let site = site();
    for (asked, error) in [
        (ask().with("response_type", "token"), "unsupported_response_type"),
        (ask().with("scope", "unheard-of"), "invalid_scope"),
        (ask().and("scope", "profile").and("scope", "profile"), "invalid_request"),
    ] {
        send(&site.app, asked.get()).await.assert_error_at(WEB, error, Some(STATE));
    }
    let denying = app_with(&site.provider, page(|request| request.deny()));
    send(&denying, ask().post()).await.assert_error_at(WEB, "access_denied", Some(STATE));
}

#[tokio::test]
async fn server_error_of_a_store_is_503_and_loses_no_refresh_token() {
    let site = site();
    let code = site.code("profile").await;
    site.shelf.take_down(&[Op::Redeem, Op::Rotate, Op::Create]);
    assert_unavailable(&site.token(&redemption(&code)).await);
    send(&site.app, ask().post()).await.assert_error_at(WEB, "temporarily_unavailable", Some(STATE));
    site.shelf.repair();
    let pair = Pair::of(&site.token(&redemption(&code)).await);
    site.shelf.take_down(&[Op::Rotate]);
    assert_unavailable(&site.refresh(&pair.refresh).await);
    site.shelf.repair();
    let pair = Pair::of(&site.refresh(&pair.refresh).await);
    // Where the store did its part, and only its answer was lost:
    let code = site.code("profile").await;
    site.shelf.lose_answers(&[Op::Redeem, Op::Rotate]);
    assert_unavailable(&site.refresh(&pair.refresh).await);
    assert_unavailable(&site.token(&redemption(&code)).await);
    site.shelf.repair();
    Pair::of(&site.refresh(&pair.refresh).await);
    assert_invalid_grant(&site.token(&redemption(&code)).await);
}

// ---- ResourceProvider ------------------------------------------------------------------------------------------------

#[tokio::test]
async fn get_authorization_header_is_read_by_the_layer() {
    let site = site();
    let token = issue(&site.provider, "profile").await;
    let route = || get(async |token: Authorized| token.subject().to_owned()).route_layer(site.provider.bearer());
    for (scheme, status) in [("Bearer", StatusCode::OK), ("bearer", StatusCode::OK), ("Basic", UNAUTHORIZED)] {
        let mut asked = request(Method::GET, "/");
        let value = HeaderValue::try_from(format!("{scheme} {token}")).expect("a header");
        asked.headers_mut().insert(header::AUTHORIZATION, value);
        assert_eq!(at(route(), asked).await.status, status, "{scheme}");
    }
    assert_eq!(at(route(), request(Method::GET, &format!("/?access_token={token}"))).await.status, BAD);
}

/// Tokens of somebody else, that the app looks up itself.
struct Foreign;

impl Verify for Foreign {
    fn verify(&self, credentials: Credentials<'_>) -> Verification {
        let token = credentials.token().to_owned();
        Verification::later(async move {
            tokio::task::yield_now().await;
            let end = SystemTime::UNIX_EPOCH + seconds(4_000_000_000);
            let scope = "profile".parse().expect("a scope");
            match &*token {
                "good" => Ok(Authorized::new("app", Some("alice".into()), scope, end)),
                "down" => Err(Refusal::Unavailable(tower_oauth::StoreError::new("out of reach"))),
                _ => Err(Refusal::InvalidToken("the token is unknown")),
            }
        })
    }
}

#[tokio::test]
async fn validate_access_token_is_done_or_is_a_verifier_of_the_apps_own() {
    let handler = || get(async |token: Authorized| format!("{} through {}", token.subject(), token.client_id()));
    let site = site();
    let (own, token) = (site.provider.bearer(), issue(&site.provider, "profile").await);
    assert_eq!(at_with(handler().route_layer(own), &token).await.body, "alice through public");
    let foreign = BearerLayer::new(Foreign).require("profile");
    for (token, status) in [("good", StatusCode::OK), ("bad", UNAUTHORIZED), ("down", StatusCode::SERVICE_UNAVAILABLE)]
    {
        assert_eq!(at_with(handler().route_layer(foreign.clone()), token).await.status, status, "{token}");
    }
}

#[tokio::test]
async fn get_authorization_is_an_argument_of_the_handler() {
    let site = site();
    let token = issue(&site.provider, "profile").await;
    let argument = get(async |token: Authorized| token.subject().to_owned());
    assert_eq!(at_with(argument.route_layer(site.provider.bearer()), &token).await.body, "alice");
    let plain = tower::service_fn(async |request: Request<Body>| {
        let token = Authorized::<()>::from_extensions(request.extensions()).expect("below a bearer layer");
        Ok::<_, Infallible>(Response::new(Body::from(token.subject().to_owned())))
    });
    let plain = tower::Layer::layer(&site.provider.bearer(), plain);
    assert_eq!(send(&plain, bearer("/", &token)).await.body, "alice");
}

#[derive(Clone)]
struct User(String);

#[tokio::test]
async fn authorization_class_is_the_apps_own_user() {
    async fn load(token: Authorized) -> Result<Option<User>, &'static str> {
        match token.subject() {
            "alice" => Ok(Some(User("Alice".to_owned()))),
            "down" => Err("out of reach"),
            _ => Ok(None),
        }
    }
    let site = site();
    for (subject, status, body) in [
        ("alice", StatusCode::OK, "Alice through public"),
        ("gone", UNAUTHORIZED, ""),
        ("down", StatusCode::SERVICE_UNAVAILABLE, ""),
    ] {
        let me = get(async |token: Authorized<User>| format!("{} through {}", token.user().0, token.client_id()));
        let token = site.provider.issue("public", subject, "profile".parse().expect("a scope")).await;
        let answer =
            at_with(me.route_layer(site.provider.bearer().user(load)), token.expect("the store answers").secret())
                .await;
        assert_eq!((answer.status, &*answer.body), (status, body));
    }
}

// ---- ResourceAuthorization -------------------------------------------------------------------------------------------

/// A route that is open to everybody, and knows who came with a token.
fn greeting(provider: &Provider) -> MethodRouter {
    get(async |token: Option<Authorized>| token.map_or("nobody".to_owned(), |token| token.subject().to_owned()))
        .route_layer(provider.bearer().optional())
}

#[tokio::test]
async fn is_oauth_is_whether_there_is_an_authorized() {
    let site = site();
    let token = issue(&site.provider, "profile").await;
    assert_eq!(at_with(greeting(&site.provider), &token).await.body, "alice");
    assert_eq!(at(greeting(&site.provider), request(Method::GET, "/")).await.body, "nobody");
    assert_eq!(at_with(greeting(&site.provider), "bad").await.status, UNAUTHORIZED);
}

/// A route that counts how often its handler ran.
fn counting(runs: &Arc<AtomicUsize>) -> MethodRouter {
    let runs = Arc::clone(runs);
    get(move |_: Authorized| async move {
        runs.fetch_add(1, Ordering::Relaxed);
    })
}

#[tokio::test]
async fn is_valid_is_that_the_handler_runs_at_all() {
    let (site, runs) = (site(), Arc::default());
    let good = issue(&site.provider, "profile").await;
    let lesser = issue(&site.provider, "notes:read").await;
    let route = || counting(&runs).route_layer(site.provider.bearer().require("profile"));
    for token in ["", "bad", &lesser, &format!("{good}A"), &good[1..]] {
        assert!(at_with(route(), token).await.status.is_client_error());
    }
    assert_eq!(runs.load(Ordering::Relaxed), 0);
    assert!(at_with(route(), &good).await.status.is_success());
    site.clock.advance(seconds(600));
    assert_eq!(at_with(route(), &good).await.status, UNAUTHORIZED);
    assert_eq!(runs.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn token_is_what_it_says_and_its_text_is_in_the_header() {
    let site = site();
    let pair = site.connect("profile notes:read").await;
    let route = get(async |token: Authorized, headers: HeaderMap| {
        let key = token.grant().map(|grant| grant.key().to_string());
        let text = headers[header::AUTHORIZATION].to_str().expect("text").to_owned();
        Json(json!([token.subject(), token.scope().to_string(), key, text, format!("{token:?}").contains("toa_at_")]))
    });
    let seen = at_with(route.route_layer(site.provider.bearer()), &pair.access).await.json();
    let (key, text) = (site.shelf.only().key().to_string(), format!("Bearer {}", pair.access));
    assert_eq!(seen, json!(["alice", "profile notes:read", key, text, false]));
}

#[tokio::test]
async fn client_id_is_the_client_behind_the_token() {
    let site = site();
    let route = || get(async |token: Authorized| token.client_id().to_string()).route_layer(site.provider.bearer());
    let other = site.token_as("confidential", &[("grant_type", "client_credentials")]).await;
    let other = other.json()["access_token"].as_str().expect("a token").to_owned();
    for (token, client) in [(issue(&site.provider, "profile").await, "public"), (other, "confidential")] {
        assert_eq!(at_with(route(), &token).await.body, client);
    }
}

#[tokio::test]
async fn expires_in_is_a_moment() {
    let site = site();
    let token = issue(&site.provider, "profile").await;
    let end = UnixTime::from(site.clock.now() + seconds(600)).as_secs();
    let route = || {
        get(async |token: Authorized| UnixTime::from(token.expires_at()).as_secs().to_string())
            .route_layer(site.provider.bearer())
    };
    for _ in 0..2 {
        assert_eq!(at_with(route(), &token).await.body, end.to_string());
        site.clock.advance(seconds(100));
    }
}

#[tokio::test]
async fn error_is_told_in_the_header_that_clients_read() {
    let site = site();
    let route = || get(async |_: Authorized| ()).route_layer(site.provider.bearer().require("profile"));
    let lesser = issue(&site.provider, "notes:read").await;
    for (answer, status, error) in [
        (at_with(route(), "bad").await, UNAUTHORIZED, Some("invalid_token")),
        (at_with(route(), &lesser).await, StatusCode::FORBIDDEN, Some("insufficient_scope")),
        (at(route(), request(Method::GET, "/")).await, UNAUTHORIZED, None),
    ] {
        let told = answer.header(header::WWW_AUTHENTICATE);
        assert_eq!(answer.status, status);
        assert!(told.starts_with("Bearer ") && told.contains("scope=\"profile\""), "{told}");
        let named = told.split("error=\"").nth(1).and_then(|rest| rest.split('"').next());
        assert_eq!(named, error, "{told}");
    }
    let mut grpc = bearer("/", "bad");
    *grpc.method_mut() = Method::POST;
    grpc.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    let service = tower::service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::empty())));
    let answer = send(&tower::Layer::layer(&site.provider.bearer(), service), grpc).await;
    assert_eq!((answer.status, answer.header("grpc-status")), (StatusCode::OK, "16"));
}

#[tokio::test]
async fn raise_error_if_invalid_is_what_happens_without_asking() {
    let (site, runs) = (site(), Arc::default());
    let nothing = || request(Method::GET, "/");
    assert_eq!(at(counting(&runs).route_layer(site.provider.bearer()), nothing()).await.status, UNAUTHORIZED);
    // The layer was forgotten.
    let token = issue(&site.provider, "profile").await;
    for asked in [nothing(), bearer("/", &token)] {
        let answer = at(counting(&runs), asked).await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(answer.body.contains(".route_layer(provider.bearer())"), "{}", answer.body);
    }
    assert_eq!(runs.load(Ordering::Relaxed), 0);
}

// ---- moving over -----------------------------------------------------------------------------------------------------

/// No PKCE, the secret in the body, other paths, and nothing that the original did not ask for.
#[tokio::test]
async fn a_client_that_was_written_for_the_original_needs_no_change() {
    let client = Client::confidential("app", SECRET)
        .redirect_uri(WEB)
        .token_endpoint_auth_method(AuthMethod::ClientSecretPost)
        .danger_without_pkce();
    let provider = Provider::builder(ISSUER)
        .store(MemoryStore::new())
        .endpoints(Endpoints::under("/oauth").authorization("/code").token("/token"))
        .client(client)
        .build()
        .expect("a good configuration");
    let approving = page(|request| request.approve("alice"));
    let app = Router::new().route("/oauth/code", approving).layer(provider.layer()).into_service();

    let asked = [("response_type", "code"), ("client_id", "app"), ("redirect_uri", WEB), ("state", "s")];
    let code =
        send(&app, request(Method::GET, &with_query("/oauth/code", &asked))).await.assert_code_at(WEB, Some("s"));
    let own = [("client_id", "app"), ("client_secret", SECRET)];
    let redeem = [("grant_type", "authorization_code"), ("redirect_uri", WEB), ("code", &code)];
    let pair = Pair::of(&send(&app, form("/oauth/token", &[&own[..], &redeem].concat())).await);
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", &*pair.refresh)];
    let pair = Pair::of(&send(&app, form("/oauth/token", &[&own[..], &refresh].concat())).await);
    let me = get(async |token: Authorized| token.subject().to_owned()).route_layer(provider.bearer());
    assert_eq!(at_with(me, &pair.access).await.body, "alice");
}

// ---- the guide -------------------------------------------------------------------------------------------------------

const GUIDE: &str = include_str!("../src/guide/coming_from_pyoauth2.md");

/// The test that a line of the guide names.
fn named(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("<!-- ")?;
    Some(rest.split_once(" -->").expect("a comment that ends").0)
}

/// The tests of this file, but these last ones.
fn tests() -> BTreeSet<&'static str> {
    let source = include_str!("pyoauth2.rs").split("// ---- the guide").next().expect("a first part");
    let after = source.split("#[tokio::test]\nasync fn ").skip(1);
    after.map(|rest| rest.split('(').next().expect("a name")).collect()
}

/// The rows of the tables of hooks.
fn rows() -> Vec<&'static str> {
    let (_, hooks) = GUIDE.split_once("# Hook by hook").expect("the tables of hooks");
    let (hooks, _) = hooks.split_once("\n# ").expect("what comes after them");
    hooks.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| pyoauth2 |")).collect()
}

#[test]
fn every_row_of_the_guide_names_a_test_of_its_own() {
    let rows = rows();
    assert!(rows.len() > 30, "{} rows: are they still found?", rows.len());
    let mut seen = BTreeSet::new();
    for row in rows {
        let test = named(row).unwrap_or_else(|| panic!("no test in {row}"));
        assert!(tests().contains(test), "there is no test `{test}`, which the guide names");
        assert!(seen.insert(test), "two rows name `{test}`");
        // By its first words a test is found from the hook.
        let hook = row.trim_start_matches("| ").trim_start_matches('`');
        let word = hook.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().expect("a word");
        assert!(test.starts_with(word.split('_').next().expect("a part")), "`{test}` is no name for {hook}");
    }
}

#[test]
fn every_test_here_is_named_in_the_guide() {
    let named: BTreeSet<_> = GUIDE.lines().filter_map(named).collect();
    assert_eq!(tests(), named);
}

/// What the original has, by its public documentation.
#[test]
fn no_hook_of_the_original_is_left_out() {
    let rows = rows().join("\n");
    for hook in [
        "validate_client_id",
        "validate_client_secret",
        "validate_redirect_uri",
        "validate_scope",
        "validate_access",
        "persist_authorization_code",
        "persist_token_information",
        "from_authorization_code",
        "from_refresh_token",
        "discard_authorization_code",
        "discard_refresh_token",
        "token_length",
        "token_type",
        "token_expires_in",
        "generate_authorization_code",
        "generate_access_token",
        "generate_refresh_token",
        "get_authorization_code",
        "get_authorization_code_from_uri",
        "get_token",
        "get_token_from_post_data",
        "refresh_token",
        "authorization_class",
        "get_authorization_header",
        "validate_access_token",
        "get_authorization()",
        "is_oauth",
        "is_valid",
        "token",
        "client_id",
        "expires_in",
        "error",
        "raise_error_if_invalid()",
    ] {
        assert!(rows.contains(&format!("`{hook}`")), "no row for `{hook}`");
    }
}
