//! An app behind a proxy that strips a prefix, rewrites the host and says false things of where the request came from:
//! every URL is the issuer's all the same.

#[path = "support/shelf.rs"]
mod shelf;
#[path = "support/site.rs"]
mod site;
#[path = "support/socket.rs"]
mod socket;
mod support;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use axum::{Json, Router};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use site::{Pair, redemption, refreshing};
use socket::{Server, Stranger};
use support::{
    Answer, SECRET, VERIFIER, WEB, authorization, basic, bearer, challenge, form, request, send, with_query,
};
use tower_oauth::{AuthorizationRequest, Authorized, Client, Endpoints, MemoryStore, Provider, RegistrationPolicy};

const ORIGIN: &str = "https://public.example";
const ISSUER: &str = "https://public.example/auth";
const API: &str = "https://public.example/auth/me";

/// What a proxy may say, or let pass from whoever asks.
const SAID: [(&str, &str); 8] = [
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-proto", "http"),
    ("x-forwarded-port", "8080"),
    ("x-forwarded-prefix", "/evil"),
    ("x-original-url", "/evil"),
    ("x-rewrite-url", "/evil"),
    ("x-host", "evil.example"),
    ("forwarded", "for=192.0.2.1;host=evil.example;proto=http"),
];

/// Strips `/auth`, passes the well-known documents on as they are, and knows nothing else of this origin.
async fn forward(
    State((client, upstream)): State<(HttpClient<HttpConnector, Body>, String)>,
    mut request: Request<Body>,
) -> Response {
    let whole = request.uri().path_and_query().expect("a path").as_str();
    let path = match whole.strip_prefix("/auth") {
        Some(rest) if rest.starts_with('/') => rest,
        _ if whole.starts_with("/.well-known/") => whole,
        _ => return StatusCode::BAD_GATEWAY.into_response(),
    };
    *request.uri_mut() = format!("{upstream}{path}").parse().expect("a URL");
    // Dropped, the client writes the host that it connects to.
    request.headers_mut().remove(header::HOST);
    for (name, value) in SAID {
        request.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    client.request(request).await.expect("the app answers").map(Body::new)
}

async fn serve(router: Router) -> Server {
    Server::start(|listener, _, stopped| async move {
        let stopped = async { stopped.await.unwrap_or_default() };
        axum::serve(listener, router).with_graceful_shutdown(stopped).await.expect("it serves");
    })
    .await
}

fn provider(endpoints: Endpoints) -> Provider {
    Provider::builder(ISSUER)
        .store(MemoryStore::new())
        .endpoints(endpoints)
        .scope("profile", "see your profile")
        .default_scope("profile")
        .resource(API)
        .client(Client::public("public").redirect_uri(WEB))
        .client(Client::confidential("confidential", SECRET).redirect_uri(WEB))
        .client(Client::resource_server("api", SECRET, API))
        .registration(RegistrationPolicy::open())
        .build()
        .expect("a good configuration")
}

/// A page that shows where a login would come back to, and approves as alice on POST.
fn page() -> MethodRouter {
    get(async |request: AuthorizationRequest| request.resume_url())
        .post(async |request: AuthorizationRequest| request.approve("alice"))
}

/// The API, which lies at `/auth/me` for others.
fn api(provider: &Provider) -> Router {
    let me = async |token: Authorized| Json(json!({"sub": token.subject()}));
    Router::new().route("/me", get(me).route_layer(provider.bearer().resource(API)))
}

/// Whoever is outside, and knows public URLs alone.
struct Visitor {
    proxy: Stranger,
    inside: String,
}

impl Visitor {
    /// Sends a request for a public URL. Nothing that comes back names another place of ours.
    async fn send(&self, mut request: Request<Body>) -> Answer {
        let url = request.uri().to_string();
        let path = url.strip_prefix(ORIGIN).unwrap_or_else(|| panic!("{url} is not public"));
        *request.uri_mut() = path.parse::<Uri>().expect("a path");
        request.headers_mut().insert(header::HOST, HeaderValue::from_static("public.example"));
        let answer = self.proxy.send(request).await;
        let all = format!("{:?} {}", answer.headers, answer.body);
        let proxy = self.proxy.origin().trim_start_matches("http://");
        for hidden in ["evil", "http://", "8080", "192.0.2.1", &self.inside, proxy] {
            assert!(!all.contains(hidden), "{url} says {hidden:?}: {answer:?}");
        }
        for (at, _) in all.match_indices(ORIGIN) {
            let rest = &all[at + ORIGIN.len()..];
            let ours = ["/auth", "/.well-known/", "\"", "\\\""].iter().any(|start| rest.starts_with(start));
            assert!(ours, "{url} says {:?}", &all[at..]);
        }
        answer
    }

    async fn get(&self, url: &str) -> Answer {
        self.send(request(Method::GET, url)).await
    }

    /// A decision on a request, by a page of this origin.
    async fn decide(&self, url: &str, origin: &str) -> Answer {
        let mut decision = form(url, &[]);
        decision.headers_mut().insert(header::ORIGIN, HeaderValue::from_str(origin).expect("an origin"));
        self.send(decision).await
    }
}

/// RFC 8414 §3.1: where the metadata of this issuer are; every URL in them is its own.
async fn discover(visitor: &Visitor) -> Value {
    let metadata = visitor.get("https://public.example/.well-known/oauth-authorization-server/auth").await.json();
    assert_eq!(metadata["issuer"], ISSUER);
    for (name, value) in metadata.as_object().expect("an object") {
        let url = value.as_str().filter(|_| name.ends_with("_endpoint"));
        assert!(url.is_none_or(|url| url.starts_with(&format!("{ISSUER}/"))), "{name}: {value}");
    }
    metadata
}

/// RFC 6749 §4.1, RFC 9207 §2, RFC 9728 §5.1: all of it, by what is published and from outside.
async fn the_whole_flow(visitor: &Visitor) {
    let metadata = discover(visitor).await;
    let endpoint = |name: &str| metadata[format!("{name}_endpoint")].as_str().expect("a URL").to_owned();
    let (authorize, token) = (endpoint("authorization"), endpoint("token"));
    let challenge = challenge(VERIFIER);
    let asked = authorization("public", WEB, &challenge);
    let url = with_query(&authorize, &asked);

    let page = visitor.get(&url).await;
    assert_eq!(format!("{ORIGIN}{}", page.body), url, "a login comes back to where browsers are");
    let posted = visitor.send(form(&authorize, &asked)).await;
    assert_eq!((posted.status, posted.location()), (StatusCode::SEE_OTHER, &*url));
    // RFC 9700 §4.7: what is trusted is the issuer's origin, whatever the host is called on the way.
    let inside = format!("http://{}", visitor.inside);
    for other in ["https://evil.example", "http://evil.example", "http://public.example", &inside] {
        assert_eq!(visitor.decide(&url, other).await.status, StatusCode::FORBIDDEN, "{other}");
    }
    let decided = visitor.decide(&url, ORIGIN).await;
    assert!(decided.location().starts_with(WEB), "{decided:?}");
    assert_eq!(decided.redirected("iss").as_deref(), Some(ISSUER));
    let refused = visitor.get(&format!("{url}&scope=unheard-of")).await;
    assert_eq!(refused.redirected("iss").as_deref(), Some(ISSUER));

    let code = decided.redirected("code").expect("a code");
    let first = Pair::of(&visitor.send(form(&token, &redemption(&code))).await);
    let second = Pair::of(&visitor.send(form(&token, &refreshing(&first.refresh))).await);
    assert_eq!(visitor.send(bearer(API, &second.access)).await.json()["sub"], "alice");
    let seen = basic(form(&endpoint("introspection"), &[("token", &second.access)]), "api", SECRET);
    let seen = visitor.send(seen).await.json();
    assert_eq!((&seen["iss"], &seen["aud"]), (&json!(ISSUER), &json!([ORIGIN])));
    let revoked = visitor.send(form(&endpoint("revocation"), &[("token", &second.refresh), ("client_id", "public")]));
    assert_eq!(revoked.await.status, StatusCode::OK);

    let refused = visitor.send(bearer(API, &second.access)).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    let challenge = refused.header(header::WWW_AUTHENTICATE);
    let named = "https://public.example/.well-known/oauth-protected-resource/auth/me";
    assert!(challenge.contains(&format!("resource_metadata=\"{named}\"")), "{challenge}");
    let resource = visitor.get(named).await.json();
    assert_eq!((&resource["resource"], &resource["authorization_servers"]), (&json!(API), &json!([ISSUER])));

    let wanted = json!({"redirect_uris": [WEB]}).to_string();
    let wanted = Request::post(endpoint("registration")).header("content-type", "application/json").body(wanted.into());
    assert_eq!(visitor.send(wanted.expect("a request")).await.status, StatusCode::CREATED);
}

/// Runs the flow through a proxy in front of this app.
async fn through_a_proxy(router: Router) {
    let app = serve(router).await;
    let client = HttpClient::builder(TokioExecutor::new()).build_http();
    let proxy = serve(Router::new().fallback(forward).with_state((client, app.origin.clone()))).await;
    let inside = app.origin.trim_start_matches("http://").to_owned();
    let visitor = Visitor { proxy: Stranger::of(&proxy.origin), inside };
    the_whole_flow(&visitor).await;
    drop(visitor);
    proxy.stop().await;
    app.stop().await;
}

/// However the endpoints are mounted: in one layer, nested, or one by one.
#[tokio::test]
async fn every_url_is_the_issuers_and_none_is_made_from_a_request() {
    let one_layer = provider(Endpoints::default().stripped("/auth"));
    assert_eq!((one_layer.prefix(), one_layer.metadata_path()), ("", "/.well-known/oauth-authorization-server/auth"));
    through_a_proxy(api(&one_layer).route("/authorize", page()).layer(one_layer.layer())).await;

    let below = Endpoints::under("/v1/oauth2").authorization("/ask").stripped("/auth");
    let below = provider(below);
    assert_eq!(below.prefix(), "/v1/oauth2");
    through_a_proxy(api(&below).route("/v1/oauth2/ask", page()).layer(below.layer())).await;

    let documents = |provider: &Provider| {
        let resource = "/.well-known/oauth-protected-resource/auth/me";
        api(provider)
            .route_service(provider.metadata_path(), provider.well_known())
            .route_service(resource, provider.well_known())
    };
    through_a_proxy(documents(&below).nest_service(below.prefix(), below.nest(page()))).await;

    let single = provider(Endpoints::default());
    let single = documents(&single)
        .route_service("/authorize", single.authorize(page()))
        .route_service("/token", single.token())
        .route_service("/introspect", single.introspection())
        .route_service("/revoke", single.revocation())
        .route_service("/register", single.registration());
    through_a_proxy(single).await;
}

/// The same prefix as a part of the endpoints' paths, where the issuer has none.
#[tokio::test]
async fn a_prefix_of_the_endpoints_can_be_stripped_as_well() {
    let endpoints = Endpoints::under("/auth/v1").stripped("/auth");
    let provider =
        Provider::builder(ORIGIN).store(MemoryStore::new()).endpoints(endpoints).build().expect("a good configuration");
    assert_eq!(provider.prefix(), "/v1");
    let app = Router::new().layer(provider.layer());
    let metadata = send(&app, request(Method::GET, "/.well-known/oauth-authorization-server")).await.json();
    assert_eq!(metadata["token_endpoint"], "https://public.example/auth/v1/token");
    assert_eq!(send(&app, request(Method::GET, "/v1/token")).await.status, StatusCode::METHOD_NOT_ALLOWED);
}

/// What the service sees is compared whole: a path that was not stripped is none of its endpoints.
#[tokio::test]
async fn a_path_that_was_not_stripped_is_the_apps_own() {
    let provider = provider(Endpoints::default().stripped("/auth"));
    let app = Router::new().route("/authorize", page()).layer(provider.layer());
    for (path, is_ours) in [
        ("/token", true),
        ("/authorize", true),
        ("/auth/token", false),
        ("/auth/authorize", false),
        ("/auth/.well-known/oauth-authorization-server", false),
        ("/.well-known/oauth-authorization-server", false),
        ("/.well-known/oauth-authorization-server/auth", true),
    ] {
        let put = send(&app, request(Method::PUT, path)).await;
        let wanted = if is_ours { StatusCode::METHOD_NOT_ALLOWED } else { StatusCode::NOT_FOUND };
        assert_eq!(put.status, wanted, "{path}");
    }
}
