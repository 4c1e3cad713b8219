//! Which answers pages of other origins may read: Fetch §3.2 (CORS).

mod support;

use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode, header};
use support::{Answer, App, app, basic, bearer, builder, form, request, send, *};
use tower_oauth::testing::ManualClock;
use tower_oauth::{ProviderBuilder, RegistrationPolicy};

const ORIGIN: &str = "https://app.example";
const SHARED: [(&str, Method); 6] = [
    ("/.well-known/oauth-authorization-server", Method::GET),
    ("/.well-known/oauth-protected-resource/me", Method::GET),
    ("/token", Method::POST),
    ("/revoke", Method::POST),
    ("/register", Method::POST),
    ("/par", Method::POST),
];

fn with(change: impl FnOnce(ProviderBuilder) -> ProviderBuilder) -> App {
    let builder = builder(&ManualClock::default()).registration(RegistrationPolicy::open());
    let builder = builder.pushed_authorization_requests();
    app(&change(builder).build().expect("a good configuration"))
}

fn from(origin: &str, mut request: Request<Body>) -> Request<Body> {
    request.headers_mut().insert(header::ORIGIN, origin.parse().expect("a header"));
    request
}

fn preflight(origin: &str, path: &str, method: &Method, headers: &str) -> Request<Body> {
    let mut request = from(origin, request(Method::OPTIONS, path));
    let names = request.headers_mut();
    names.insert(header::ACCESS_CONTROL_REQUEST_METHOD, method.as_str().parse().expect("a header"));
    names.insert(header::ACCESS_CONTROL_REQUEST_HEADERS, headers.parse().expect("a header"));
    request
}

/// The names in a list of a header, in lower case.
fn names(headers: &HeaderMap, name: header::HeaderName) -> Vec<String> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect()
}

/// Fetch §3.2.3: never with credentials, since none of these endpoints knows a cookie.
#[track_caller]
fn assert_shared_with(answer: &Answer, origin: &str) {
    assert_eq!(answer.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), origin, "{answer:?}");
    assert_eq!(answer.headers.get_all(header::ACCESS_CONTROL_ALLOW_ORIGIN).iter().count(), 1);
    assert!(!answer.headers.contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS), "{answer:?}");
}

#[track_caller]
fn assert_not_shared(answer: &Answer) {
    let shared = answer.headers.keys().find(|name| name.as_str().starts_with("access-control-"));
    assert_eq!(shared, None, "{answer:?}");
}

/// Fetch §4.8: metadata, token, revocation, registration and pushed requests answer the preflight of any origin.
#[tokio::test]
async fn a_preflight_of_any_origin_is_answered() {
    let app = with(|builder| builder);
    for (path, method) in SHARED {
        for origin in [ORIGIN, "http://localhost:6274", "null"] {
            let headers = "authorization, content-type, dpop, mcp-protocol-version";
            let answer = send(&app, preflight(origin, path, &method, headers)).await;
            assert!(answer.status.is_success() && answer.body.is_empty(), "{path}: {answer:?}");
            assert_shared_with(&answer, "*");
            assert!(
                names(&answer.headers, header::ACCESS_CONTROL_ALLOW_METHODS).contains(&method.as_str().to_lowercase())
            );
            // `Authorization` has to be named: `*` does not cover it (Fetch §3.2.5).
            let allowed = names(&answer.headers, header::ACCESS_CONTROL_ALLOW_HEADERS);
            for name in ["authorization", "content-type", "dpop", "mcp-protocol-version"] {
                assert!(allowed.iter().any(|allowed| allowed == name), "{name} in {allowed:?}");
            }
            assert!(!allowed.contains(&"*".to_owned()) && !allowed.contains(&"cookie".to_owned()));
        }
    }
}

/// RFC 9110 §9.3.7: an OPTIONS that is no preflight is answered too.
#[tokio::test]
async fn a_plain_options_is_answered() {
    let app = with(|builder| builder);
    for (path, _) in SHARED {
        assert!(send(&app, request(Method::OPTIONS, path)).await.status.is_success(), "{path}");
    }
}

/// Refusals as well: without the headers a page learns of nothing but a failure of the network.
#[tokio::test]
async fn every_answer_can_be_read_and_the_headers_with_it() {
    let app = with(|builder| builder);
    let json = |body: &'static str| {
        Request::post("/register").header(header::CONTENT_TYPE, "application/json").body(Body::from(body)).expect("one")
    };
    let (access, refresh) = tokens(&app, "profile").await;
    let own = form("/token", &[("grant_type", "client_credentials")]);
    for (asked, status) in [
        (request(Method::GET, SHARED[0].0), 200),
        (request(Method::HEAD, SHARED[0].0), 200),
        (request(Method::GET, SHARED[1].0), 200),
        (request(Method::PUT, SHARED[1].0), 405),
        (form("/token", &[("grant_type", "refresh_token"), ("refresh_token", &refresh), ("client_id", "public")]), 200),
        (form("/token", &[("grant_type", "refresh_token"), ("refresh_token", "x"), ("client_id", "public")]), 400),
        (basic(own, "confidential", "wrong"), 401),
        (request(Method::GET, "/token"), 405),
        (form("/revoke", &[("token", &access), ("client_id", "public")]), 200),
        (form("/revoke", &[("token", &access), ("client_id", "nobody")]), 401),
        (json("{\"redirect_uris\":[\"https://app.example/cb\"]}"), 201),
        (json("{}"), 400),
        (form("/par", &[("client_id", "public")]), 400),
    ] {
        let answer = send(&app, from(ORIGIN, asked)).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert_shared_with(&answer, "*");
        let exposed = names(&answer.headers, header::ACCESS_CONTROL_EXPOSE_HEADERS);
        for name in ["www-authenticate", "dpop-nonce"] {
            assert!(exposed.iter().any(|exposed| exposed == name), "{name} in {exposed:?}");
        }
    }
}

/// RFC 7592: a page may manage what it registered, where clients can.
#[tokio::test]
async fn methods_are_those_that_are_taken() {
    let managing = with(|builder| builder.registration(RegistrationPolicy::open().management()));
    for (app, managed) in [(with(|builder| builder), false), (managing, true)] {
        let answer = send(&app, preflight(ORIGIN, "/register?client_id=a", &Method::PUT, "authorization")).await;
        let methods = names(&answer.headers, header::ACCESS_CONTROL_ALLOW_METHODS);
        for method in ["put", "delete"] {
            assert_eq!(methods.iter().any(|known| known == method), managed, "{methods:?}");
        }
        let asked = request(Method::DELETE, "/register?client_id=a");
        assert_shared_with(&send(&app, from(ORIGIN, asked)).await, "*");
    }
}

/// A switch narrows it to a list, and then caches keep the answers of origins apart (Fetch §3.2.7: `Vary`).
#[tokio::test]
async fn a_list_narrows_it() {
    let app = with(|builder| builder.cors_origins([ORIGIN, "http://localhost:6274"]));
    for (path, method) in SHARED {
        for origin in [ORIGIN, "http://localhost:6274"] {
            assert_shared_with(&send(&app, preflight(origin, path, &method, "content-type")).await, origin);
            let answer = send(&app, from(origin, request(method.clone(), path))).await;
            assert_shared_with(&answer, origin);
            assert!(names(&answer.headers, header::VARY).contains(&"origin".to_owned()), "{answer:?}");
        }
        let others = ["https://app.example.evil.example", "https://evil.example", "http://app.example", "null"];
        for origin in others {
            for asked in [preflight(origin, path, &method, "content-type"), from(origin, request(method.clone(), path))]
            {
                let answer = send(&app, asked).await;
                assert!(!answer.headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN), "{origin}: {answer:?}");
            }
        }
    }
    let none = with(|builder| builder.cors_origins([""; 0]));
    let answer = send(&none, from(ORIGIN, request(Method::GET, SHARED[0].0))).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(!answer.headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
}

/// A list holds origins, and says so where it is written.
#[tokio::test]
async fn what_is_no_origin_is_refused() {
    for wrong in ["*", "app.example", "https://app.example/", "https://app.example/x", "null", ""] {
        let built = builder(&ManualClock::default()).cors_origins([wrong]).build();
        assert!(built.is_err_and(|errors| errors.iter().count() == 1), "{wrong}");
    }
}

/// A page of another origin has no reason to ask at the authorization and introspection endpoints.
#[tokio::test]
async fn authorize_and_introspection_are_never_shared() {
    for app in [with(|builder| builder), with(|builder| builder.cors_origins([ORIGIN]))] {
        for (path, method) in [("/authorize", Method::GET), ("/authorize", Method::POST), ("/introspect", Method::POST)]
        {
            for headers in ["content-type", "authorization"] {
                let answer = send(&app, preflight(ORIGIN, path, &method, headers)).await;
                assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
                assert_not_shared(&answer);
            }
            assert_not_shared(&send(&app, from(ORIGIN, request(method, path))).await);
        }
        let asked = basic(form("/introspect", &[("token", "x")]), "confidential", SECRET);
        let answer = send(&app, from(ORIGIN, asked)).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_not_shared(&answer);
    }
}

/// What the app serves itself is the app's to share: nothing of it is touched.
#[tokio::test]
async fn routes_of_the_app_are_left_alone() {
    let app = with(|builder| builder);
    let (access, _) = tokens(&app, "profile").await;
    assert_not_shared(&send(&app, from(ORIGIN, bearer("/me", &access))).await);
    assert_not_shared(&send(&app, from(ORIGIN, request(Method::GET, "/me"))).await);
}

/// Each service alone has the same rule.
#[tokio::test]
async fn the_services_alone_have_the_same_rule() {
    let provider = builder(&ManualClock::default()).registration(RegistrationPolicy::open()).build().expect("good");
    let asked = || preflight(ORIGIN, "/x", &Method::POST, "content-type");
    assert_shared_with(&send(&provider.token(), asked()).await, "*");
    assert_shared_with(&send(&provider.revocation(), asked()).await, "*");
    assert_shared_with(&send(&provider.registration(), asked()).await, "*");
    assert_shared_with(&send(&provider.well_known(), asked()).await, "*");
    assert_not_shared(&send(&provider.introspection(), asked()).await);
}
