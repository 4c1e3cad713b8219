//! What is published, where it is served, and that the two agree however the endpoints are mounted.

#[path = "support/ask.rs"]
mod ask;
mod support;

use std::convert::Infallible;

use ask::*;
use axum::body::Body;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use axum::{Extension, Router};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body::Body as _;
use http_body_util::BodyExt;
use http_body_util::channel::Channel;
use serde_json::{Value, json};
use support::{App, builder, form, provider, request, send, *};
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt, service_fn};
use tower_oauth::testing::ManualClock;
use tower_oauth::{AuthorizationRequest, Endpoints, MemoryStore, Provider, ProviderBuilder};

const METADATA: &str = "/.well-known/oauth-authorization-server";

/// A provider of this issuer with these paths, and one client.
fn of(issuer: &str, endpoints: Endpoints) -> Provider {
    base(issuer)
        .endpoints(endpoints)
        .scope("profile", "see your profile")
        .default_scope("profile")
        .build()
        .expect("good")
}

fn base(issuer: &str) -> ProviderBuilder {
    Provider::builder(issuer).store(MemoryStore::new()).client(public())
}

/// A page that shows on GET and approves on POST.
fn page() -> MethodRouter {
    get(async || Html("a page")).post(async |request: AuthorizationRequest| request.approve("alice"))
}

fn boxed(router: Router) -> App {
    BoxCloneSyncService::new(router.into_service())
}

async fn metadata(app: &App, path: &str) -> Value {
    let answer = send(app, request(Method::GET, path)).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
    answer.json()
}

/// RFC 8414 §2 and §3.2, RFC 9207 §3: all that is there, and nothing else; defaults that would say
/// something else where a member is left out are not relied on
#[tokio::test]
async fn the_document_says_what_there_is() {
    let (provider, _) = provider();
    let app = app(&provider);
    assert_eq!(
        metadata(&app, METADATA).await,
        json!({
            "issuer": "https://shift.example",
            "authorization_endpoint": "https://shift.example/authorize",
            "token_endpoint": "https://shift.example/token",
            "revocation_endpoint": "https://shift.example/revoke",
            "introspection_endpoint": "https://shift.example/introspect",
            "scopes_supported": ["profile", "notes:read", "notes:write", "offline_access"],
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
            "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
            "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
        })
    );
    let answer = send(&app, request(Method::GET, METADATA)).await;
    assert_eq!(answer.header(header::CONTENT_TYPE), "application/json");
    assert_eq!(answer.header(header::CACHE_CONTROL), "public, max-age=300");
    assert!(!answer.headers.contains_key(header::PRAGMA));
}

/// RFC 8414 §3.2: members without values are omitted
#[tokio::test]
async fn there_are_no_empty_lists_and_no_nulls() {
    for builder in [base(ISSUER), base(ISSUER).reserved_scope("admin", "do everything")] {
        let app = boxed(Router::new().layer(builder.build().unwrap().layer()));
        let document = metadata(&app, METADATA).await;
        assert!(document.get("scopes_supported").is_none(), "{document}");
        for (name, value) in document.as_object().unwrap() {
            assert!(!value.is_null() && value.as_array().is_none_or(|list| !list.is_empty()), "{name}: {value}");
        }
    }
}

/// RFC 8414 §3.1: the well-known name goes between host and path; §3.3 and RFC 9207 §2.4: the issuer is the same string
#[tokio::test]
async fn an_issuer_with_a_path_has_its_document_at_the_root_of_the_origin() {
    let provider = of("https://shift.example/tenants/one", Endpoints::default());
    assert_eq!(provider.metadata_path(), "/.well-known/oauth-authorization-server/tenants/one");
    let app = boxed(Router::new().route("/tenants/one/authorize", page()).layer(provider.layer()));
    let document = metadata(&app, provider.metadata_path()).await;
    assert_eq!(document["issuer"], "https://shift.example/tenants/one");
    assert_eq!(document["authorization_endpoint"], "https://shift.example/tenants/one/authorize");
    assert_eq!(document["token_endpoint"], "https://shift.example/tenants/one/token");
    for elsewhere in [
        METADATA,
        "/.well-known/oauth-authorization-server/",
        "/.well-known/oauth-authorization-server/tenants",
        "/.well-known/oauth-authorization-server/tenants/one/",
        "/.well-known/oauth-authorization-server/tenants/two",
        "/tenants/one/.well-known/oauth-authorization-server",
        "/authorize",
        "/token",
    ] {
        assert_eq!(send(&app, request(Method::GET, elsewhere)).await.status, StatusCode::NOT_FOUND, "{elsewhere}");
    }
    let sent = send(&app, form(&format!("/tenants/one{}", ask().url()), &[])).await;
    assert_eq!(sent.redirected("iss").as_deref(), document["issuer"].as_str());
}

/// RFC 8414 §3.3, RFC 9207 §2.4: byte for byte, without a slash that drifts
#[tokio::test]
async fn the_issuer_is_the_same_string_in_the_document_and_in_every_answer() {
    for issuer in
        ["https://shift.example", "https://shift.example:8443", "http://127.0.0.1:3000", "https://shift.example/a/b"]
    {
        let provider = of(issuer, Endpoints::default());
        let path = format!("{}/authorize", provider.prefix());
        let app = boxed(Router::new().route(&path, page()).layer(provider.layer()));
        let document = metadata(&app, provider.metadata_path()).await;
        assert_eq!((provider.issuer(), document["issuer"].as_str()), (issuer, Some(issuer)));
        for asked in [ask(), ask().with("scope", "unheard-of")] {
            let sent = send(&app, form(&format!("{path}?{}", asked.query()), &[])).await;
            assert_eq!(sent.redirected("iss").as_deref(), Some(issuer));
        }
    }
}

/// Until OpenID Connect is there, nothing says that it is
#[tokio::test]
async fn no_openid_document_is_offered() {
    for issuer in [ISSUER, "https://shift.example/tenant"] {
        let app = boxed(Router::new().layer(of(issuer, Endpoints::default()).layer()));
        for path in [
            "/.well-known/openid-configuration",
            "/.well-known/openid-configuration/tenant",
            "/tenant/.well-known/openid-configuration",
        ] {
            assert_eq!(send(&app, request(Method::GET, path)).await.status, StatusCode::NOT_FOUND);
        }
    }
}

/// RFC 9110 §9.3.2 and §15.5.6; RFC 6749 §3.2: the token endpoint takes POST
#[tokio::test]
async fn head_is_answered_without_a_body_and_other_methods_are_told_what_is_taken() {
    let provider = provider().0;
    let well_known = provider.well_known();
    let (got, head) = (
        send(&well_known, request(Method::GET, METADATA)).await,
        send(&well_known, request(Method::HEAD, METADATA)).await,
    );
    assert_eq!((head.status, &*head.body), (StatusCode::OK, ""));
    assert_eq!(head.headers, got.headers);
    let app = app(&provider);
    assert_eq!(send(&app, request(Method::HEAD, METADATA)).await.status, StatusCode::OK);
    for (path, methods, allow) in [
        (METADATA, &[Method::POST, Method::PUT, Method::DELETE][..], "GET, HEAD"),
        ("/.well-known/oauth-protected-resource", &[Method::POST, Method::PUT, Method::DELETE], "GET, HEAD"),
        ("/token", &[Method::GET, Method::HEAD, Method::PUT], "POST"),
        ("/revoke", &[Method::GET, Method::HEAD, Method::PUT], "POST"),
        ("/introspect", &[Method::GET, Method::HEAD, Method::PUT, Method::OPTIONS], "POST"),
        ("/authorize", &[Method::PUT, Method::DELETE, Method::OPTIONS], "GET, HEAD, POST"),
    ] {
        for method in methods {
            let answer = send(&app, request(method.clone(), path)).await;
            assert_eq!(
                (answer.status, answer.header(header::ALLOW)),
                (StatusCode::METHOD_NOT_ALLOWED, allow),
                "{path}"
            );
        }
    }
}

/// Spellings that some router, proxy or file system takes for `path`.
fn lookalikes(path: &str) -> Vec<String> {
    let (folder, name) = path.rsplit_once('/').unwrap();
    let mut all = vec![
        format!("{path}/"),
        format!("{path};x"),
        format!("{path};jsessionid=1"),
        format!("{path}%00"),
        format!("{path}%2f"),
        format!("{path}%20"),
        format!("{path}.json"),
        format!("{path}/."),
        format!("{path}/x"),
        format!("{path}x"),
        format!("{folder}//{name}"),
        format!("{folder}/./{name}"),
        format!("{folder}/x/../{name}"),
        format!("{folder}/;/{name}"),
        format!("{folder}/%{:02x}{}", name.as_bytes()[0], &name[1..]),
        format!("{folder}/{}", name.to_uppercase()),
        format!("{folder}%2f{name}"),
        format!("{folder}/"),
    ];
    all.retain(|path| path.starts_with('/'));
    all
}

/// RFC 3986 §6.2.1: a path is compared as a string, so that no two parts of a system differ on what it means
#[tokio::test]
async fn endpoint_paths_match_exactly() {
    let provider = of("https://shift.example/tenant", Endpoints::under("/v1").authorization("/auth"));
    let inner = service_fn(|request: Request<Body>| async move {
        let seen = AuthorizationRequest::from_extensions(request.extensions()).is_some();
        assert!(!seen, "nothing was validated for {}", request.uri());
        Ok::<_, Infallible>((StatusCode::IM_A_TEAPOT, request.uri().to_string()).into_response())
    });
    let service = provider.layer().layer(inner);
    let endpoints = ["/tenant/v1/auth", "/tenant/v1/token", "/tenant/v1/revoke", "/tenant/v1/introspect"];
    for path in endpoints.into_iter().chain([provider.metadata_path()]) {
        assert_ne!(send(&service, request(Method::PUT, path)).await.status, StatusCode::IM_A_TEAPOT, "{path}");
        for other in lookalikes(path) {
            for asked in [request(Method::GET, &other), form(&format!("{other}?{}", ask().query()), &[])] {
                let uri = asked.uri().to_string();
                let answer = send(&service, asked).await;
                assert_eq!((answer.status, answer.body), (StatusCode::IM_A_TEAPOT, uri));
            }
        }
    }
    for path in ["/auth", "/token", "/v1/token", "/tenant/token"] {
        assert_eq!(send(&service, request(Method::GET, path)).await.status, StatusCode::IM_A_TEAPOT, "{path}");
    }

    let nest = provider.nest(inner);
    for path in ["/auth", "/token", "/revoke", "/introspect"] {
        assert_eq!(send(&nest, request(Method::PUT, path)).await.status, StatusCode::METHOD_NOT_ALLOWED);
        for other in lookalikes(path) {
            let answer = send(&nest, form(&other, &[])).await;
            assert_eq!((answer.status, &*answer.body), (StatusCode::NOT_FOUND, ""), "{other}");
        }
    }
    let well_known = provider.well_known();
    for other in lookalikes(provider.metadata_path()) {
        assert_eq!(send(&well_known, request(Method::GET, &other)).await.status, StatusCode::NOT_FOUND, "{other}");
    }
}

/// Runs the flow at the addresses of the document alone.
async fn connect(app: &App, provider: &Provider) {
    let document = metadata(app, provider.metadata_path()).await;
    let origin = "https://shift.example";
    let path = |name: &str| {
        let url = document[name].as_str().unwrap_or_else(|| panic!("no {name} in {document}"));
        url.strip_prefix(origin).filter(|path| path.starts_with('/')).expect("it is on the issuer's origin").to_owned()
    };
    let (authorization, token) = (path("authorization_endpoint"), path("token_endpoint"));
    let asked = format!("{authorization}?{}", ask().query());
    assert_eq!(send(app, request(Method::GET, &asked)).await.body, "a page");
    let posted = send(app, form(&authorization, &ask().pairs())).await;
    assert_eq!(posted.location(), format!("{origin}{asked}"));
    let code = send(app, form(&asked, &[])).await.redirected("code").expect("a code");
    let params = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", WEB),
        ("client_id", "public"),
        ("code_verifier", VERIFIER),
    ];
    let issued = send(app, form(&token, &params)).await;
    assert_eq!(issued.status, StatusCode::OK, "{issued:?}");
}

/// RFC 8414 §2: what is published is where it is served, and on the issuer's origin
#[tokio::test]
async fn what_is_published_is_served_in_one_layer_nested_and_one_by_one() {
    for (issuer, endpoints, authorization, token) in [
        (ISSUER, Endpoints::default(), "/authorize", "/token"),
        (ISSUER, Endpoints::under("/v1/oauth2").authorization("/auth"), "/v1/oauth2/auth", "/v1/oauth2/token"),
        (ISSUER, Endpoints::under("/o").authorization("/a/b").token("/t"), "/o/a/b", "/o/t"),
        ("https://shift.example/tenant", Endpoints::default(), "/tenant/authorize", "/tenant/token"),
        ("https://shift.example/tenant", Endpoints::under("/v1").token("/t"), "/tenant/v1/authorize", "/tenant/v1/t"),
    ] {
        let provider = of(issuer, endpoints);
        let layered = Router::new().route(authorization, page()).layer(provider.layer());
        connect(&boxed(layered), &provider).await;

        let single = Router::new()
            .route_service(authorization, provider.authorize(page()))
            .route_service(token, provider.token())
            .route_service(provider.metadata_path(), provider.well_known());
        connect(&boxed(single), &provider).await;

        let route_layer = Router::new()
            .route(authorization, page().layer(provider.authorize_layer()))
            .route_service(token, provider.token())
            .route_service(provider.metadata_path(), provider.well_known());
        connect(&boxed(route_layer), &provider).await;

        if !provider.prefix().is_empty() {
            let nested = Router::new()
                .nest_service(provider.prefix(), provider.nest(page()))
                .route_service(provider.metadata_path(), provider.well_known());
            connect(&boxed(nested), &provider).await;
        }
    }
}

/// Each of them has keys, clients and documents of its own
#[tokio::test]
async fn several_issuers_share_one_origin() {
    let (one, two) =
        (of("https://shift.example/one", Endpoints::default()), of("https://shift.example/two", Endpoints::default()));
    let router = Router::new()
        .route("/one/authorize", page())
        .route("/two/authorize", page())
        .layer(one.layer())
        .layer(two.layer());
    let app = boxed(router);
    connect(&app, &one).await;
    connect(&app, &two).await;
}

/// No URL is made from a request
#[tokio::test]
async fn the_host_of_a_request_changes_nothing_that_is_published() {
    let provider = provider().0;
    let app = app(&provider);
    let expected = metadata(&app, METADATA).await;
    let mut asked = request(Method::GET, &format!("http://evil.example{METADATA}"));
    for name in ["host", "x-forwarded-host", "x-forwarded-proto", "forwarded"] {
        asked.headers_mut().insert(name, "evil.example".parse().unwrap());
    }
    assert_eq!(send(&app, asked).await.json(), expected);
    let mut posted = form("http://evil.example/authorize", &ask().pairs());
    posted.headers_mut().insert("host", "evil.example".parse().unwrap());
    send(&app, posted).await.sent_to("https://shift.example/authorize");
}

#[derive(Clone, Debug, PartialEq)]
struct Mark(u8);

/// Everything else belongs to the service inside, in both directions
#[tokio::test]
async fn what_passes_through_is_unchanged() {
    let (provider, _) = provider();
    let inner = service_fn(|request: Request<Body>| async move {
        let (head, body) = request.into_parts();
        assert_eq!((&head.method, head.uri.to_string().as_str()), (&Method::PATCH, "/else/%74oken;x?client_id=a&a=b"));
        assert_eq!(head.version, http::Version::HTTP_2);
        assert_eq!(head.headers.get_all("x-twice").iter().collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(head.headers.len(), 3);
        assert_eq!(head.extensions.get::<Mark>(), Some(&Mark(1)));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "a body");
        let (mut sender, body) = Channel::<Bytes, Infallible>::new(4);
        sender.send_data("one ".into()).await.unwrap();
        sender.send_data("two".into()).await.unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-trailer", "1".parse().unwrap());
        sender.send_trailers(trailers).await.unwrap();
        drop(sender);
        let mut response = http::Response::new(body);
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        response.headers_mut().append(header::SET_COOKIE, "a=1".parse().unwrap());
        response.headers_mut().append(header::SET_COOKIE, "b=2".parse().unwrap());
        response.extensions_mut().insert(Mark(2));
        Ok::<_, Infallible>(response)
    });
    let asked = Request::patch("/else/%74oken;x?client_id=a&a=b")
        .version(http::Version::HTTP_2)
        .header("x-twice", "1")
        .header("x-twice", "2")
        .header(header::AUTHORIZATION, "Bearer x")
        .extension(Mark(1))
        .body(Body::from("a body"))
        .unwrap();
    let (head, body) = provider.layer().layer(inner).oneshot(asked).await.unwrap().into_parts();
    assert_eq!(head.status, StatusCode::IM_A_TEAPOT);
    assert_eq!(head.headers.len(), 2);
    assert_eq!(head.headers.get_all(header::SET_COOKIE).iter().collect::<Vec<_>>(), ["a=1", "b=2"]);
    assert_eq!(head.extensions.get::<Mark>(), Some(&Mark(2)));
    let collected = body.collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["x-trailer"], "1");
    assert_eq!(collected.to_bytes(), "one two");
}

/// A body keeps its size, so that `Content-Length` can be said, and its own error
#[tokio::test]
async fn a_body_that_passes_through_keeps_its_size_and_its_error() {
    let (provider, _) = provider();
    let whole = service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::from("four"))));
    let body = provider.layer().layer(whole).oneshot(request(Method::GET, "/else")).await.unwrap().into_body();
    assert_eq!((body.size_hint().exact(), body.is_end_stream()), (Some(4), false));
    let empty = service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::empty())));
    let body = provider.layer().layer(empty).oneshot(request(Method::GET, "/else")).await.unwrap().into_body();
    assert!(body.is_end_stream());
    let broken = service_fn(async |_: Request<Body>| {
        let (sender, body) = Channel::<Bytes, &'static str>::new(1);
        sender.abort("the body broke");
        Ok::<_, Infallible>(http::Response::new(body))
    });
    let body = provider.layer().layer(broken).oneshot(request(Method::GET, "/else")).await.unwrap().into_body();
    assert_eq!(body.collect().await.err(), Some("the body broke"));
    let ours = provider.well_known().oneshot(request(Method::GET, METADATA)).await.unwrap().into_body();
    let length = ours.size_hint().exact().unwrap();
    assert_eq!(ours.collect().await.unwrap().to_bytes().len() as u64, length);
}

/// In axum the layer goes around a fallback and other routes, and around what they extract
#[tokio::test]
async fn the_other_routes_of_an_app_go_on_as_before() {
    let (provider, _) = provider();
    let router = Router::new()
        .route("/authorize", page())
        .route("/hello/{name}", get(async |axum::extract::Path(name): axum::extract::Path<String>| name))
        .route("/mark", get(async |Extension(Mark(mark)): Extension<Mark>| mark.to_string()))
        .fallback(async || (StatusCode::NOT_FOUND, "the app's own"))
        .layer(Extension(Mark(7)))
        .layer(provider.layer());
    let app = boxed(router);
    for (path, body) in
        [("/hello/alice", "alice"), ("/mark", "7"), ("/nowhere", "the app's own"), ("/token/", "the app's own")]
    {
        assert_eq!(send(&app, request(Method::GET, path)).await.body, body);
    }
    assert_eq!(metadata(&app, METADATA).await["issuer"], ISSUER);
}

/// The reserved scope is known to routes and offered to nobody
#[tokio::test]
async fn a_reserved_scope_is_not_published() {
    let provider = builder(&ManualClock::default()).reserved_scope("root", "do more").build().unwrap();
    let document = metadata(&app(&provider), METADATA).await;
    let scopes: Vec<_> = document["scopes_supported"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(!scopes.contains(&"admin") && !scopes.contains(&"root") && scopes.contains(&"profile"), "{scopes:?}");
}
