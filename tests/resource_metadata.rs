//! The metadata of the resources, and the challenges that name them: RFC 9728.

mod support;

use axum::Router;
use axum::routing::get;
use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use support::{App, app, bearer, builder, provider, request, send, *};
use tower::util::BoxCloneSyncService;
use tower_oauth::testing::ManualClock;
use tower_oauth::{BearerLayer, MemoryStore, Provider, ProviderBuilder};

const ROOT: &str = "/.well-known/oauth-protected-resource";

fn with(change: impl FnOnce(ProviderBuilder) -> ProviderBuilder) -> (App, Provider) {
    let provider = change(builder(&ManualClock::default())).build().expect("a good configuration");
    (app(&provider), provider)
}

async fn document(app: &App, path: &str) -> Value {
    let answer = send(app, request(Method::GET, path)).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
    assert_eq!(answer.header(header::CONTENT_TYPE), "application/json");
    answer.json()
}

/// RFC 9728 §2 and §3.2: what a client has to know, and nothing else. Scopes that nobody can get are not in it, and
/// `offline_access` is no matter of a resource.
#[tokio::test]
async fn the_document_says_what_a_client_has_to_know() {
    let app = app(&provider().0);
    let expected = json!({
        "resource": "https://shift.example",
        "authorization_servers": ["https://shift.example"],
        "scopes_supported": ["profile", "notes:read", "notes:write"],
        "bearer_methods_supported": ["header"],
    });
    assert_eq!(document(&app, ROOT).await, expected);
    let answer = send(&app, request(Method::GET, ROOT)).await;
    assert_eq!(answer.header(header::CACHE_CONTROL), "public, max-age=300");
    let head = send(&app, request(Method::HEAD, ROOT)).await;
    assert_eq!((head.status, &*head.body), (StatusCode::OK, ""));
}

/// What is told can be narrowed; what nobody gets cannot be told.
#[tokio::test]
async fn the_scopes_are_those_that_are_configured() {
    let (app, _) = with(|builder| builder.resource_scope("notes:read profile offline_access"));
    assert_eq!(document(&app, ROOT).await["scopes_supported"], json!(["profile", "notes:read"]));
    let wrong = builder(&ManualClock::default()).resource_scope("admin").build().expect_err("it is wrong");
    assert!(wrong.to_string().contains("resource_scope"), "{wrong}");
    // RFC 9728 §3.2: members without values are omitted.
    let bare = Provider::builder(ISSUER).store(MemoryStore::new()).build().expect("a provider");
    let app = BoxCloneSyncService::new(Router::new().layer(bare.layer()).into_service());
    assert!(document(&app, ROOT).await.get("scopes_supported").is_none());
}

/// RFC 9728 §3.1: the well-known name goes between host and path, at the place of every protected path.
#[tokio::test]
async fn the_document_is_at_the_root_and_at_the_place_of_each_path() {
    let app = app(&provider().0);
    let root = document(&app, ROOT).await;
    for path in ["/", "/me", "/notes", "/v1/users/me", "/deep/er/still"] {
        assert_eq!(document(&app, &format!("{ROOT}{path}")).await, root, "{path}");
    }
}

/// RFC 9728 §3.3: the resource is that of the place. The longest one that covers it wins.
#[tokio::test]
async fn each_resource_has_its_own_document() {
    let mcp = "https://shift.example/mcp";
    let (app, _) = with(|builder| builder.resource(mcp).resource("https://api.example/v1"));
    for (path, resource) in
        [("", ISSUER), ("/mcp", mcp), ("/mcp/tools", mcp), ("/mcp-other", ISSUER), ("/MCP", ISSUER), ("/v1", ISSUER)]
    {
        assert_eq!(document(&app, &format!("{ROOT}{path}")).await["resource"], resource, "{path}");
    }
}

/// RFC 9728 §3: a well-known path of another issuer, or one that only looks like ours, is 404.
#[tokio::test]
async fn other_well_known_paths_are_404() {
    let app = app(&provider().0);
    for path in [
        "/.well-known/oauth-protected-resourcex",
        "/.well-known/oauth-protected-resource.example/me",
        "/.well-known/oauth-protected-resource:8443/me",
        "/.well-known/oauth-protected-resource@evil.example/me",
        "/.well-known/OAuth-Protected-Resource",
        "/.well-known//oauth-protected-resource",
        "/me/.well-known/oauth-protected-resource",
        "/.well-known/oauth-authorization-server/tenant",
        "/.well-known/oauth-authorization-server/",
        "/.well-known/openid-configuration",
        "/tenant/.well-known/oauth-authorization-server",
        "/.well-known",
    ] {
        assert_eq!(send(&app, request(Method::GET, path)).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

/// RFC 8414 §3.1: an issuer with a path is the authorization server of its origin's resource, under its own name.
#[tokio::test]
async fn the_authorization_server_is_the_issuer() {
    let issuer = "https://shift.example/tenants/one";
    let provider = Provider::builder(issuer).store(MemoryStore::new()).build().expect("a provider");
    let app: App = BoxCloneSyncService::new(Router::new().layer(provider.layer()).into_service());
    assert_eq!(document(&app, ROOT).await["authorization_servers"], json!([issuer]));
    let two = "/.well-known/oauth-authorization-server/tenants/two";
    assert_eq!(send(&app, request(Method::GET, two)).await.status, StatusCode::NOT_FOUND);
}

/// The metadata that a challenge names, and its scope.
fn named(challenge: &str) -> (Option<&str>, Option<&str>) {
    let get = |name: &str| challenge.split_once(&format!("{name}=\""))?.1.split('"').next();
    (get("resource_metadata"), get(" scope"))
}

/// RFC 9728 §5.1: every 401 and 403 names the metadata, and the scope where a route needs one.
#[tokio::test]
async fn every_401_and_403_names_the_metadata_and_the_needed_scope() {
    let (app, provider) = with(|builder| builder);
    let admin = BoxCloneSyncService::new(
        Router::new()
            .route("/admin", get(async || "secret").route_layer(provider.bearer().require("admin")))
            .into_service(),
    );
    let token = provider.issue("public", "alice", "profile".parse().expect("a scope")).await.expect("a token");
    let metadata = Some("https://shift.example/.well-known/oauth-protected-resource");
    for (app, asked, status, scope) in [
        (&app, request(Method::GET, "/me"), 401, None),
        (&app, bearer("/me", "x"), 401, None),
        (&app, request(Method::GET, "/notes"), 401, Some("notes:read")),
        (&app, bearer("/notes", "x"), 401, Some("notes:read")),
        (&app, bearer("/notes", token.secret()), 403, Some("notes:read")),
        (&admin, request(Method::GET, "/admin"), 401, Some("admin")),
        (&admin, bearer("/admin", token.secret()), 403, Some("admin")),
    ] {
        let answer = send(app, asked).await;
        assert_eq!(answer.status, status);
        assert_eq!(named(answer.header(header::WWW_AUTHENTICATE)), (metadata, scope), "{answer:?}");
    }
}

/// What a challenge names is there, and is about what the token has to be for (RFC 9728 §3.3).
#[tokio::test]
async fn what_a_challenge_names_is_there() {
    let mcp = "https://shift.example/mcp";
    let (app, provider) = with(|builder| builder.resource(mcp));
    for (place, resource) in [(ISSUER, ISSUER), (mcp, mcp), ("https://shift.example/mcp/tools", mcp)] {
        let layer = provider.bearer().resource(place);
        let guarded =
            BoxCloneSyncService::new(Router::new().route("/", get(async || "x").route_layer(layer)).into_service());
        let answer = send(&guarded, request(Method::GET, "/")).await;
        let url = named(answer.header(header::WWW_AUTHENTICATE)).0.unwrap_or_else(|| panic!("{answer:?}")).to_owned();
        let path = url.strip_prefix(ISSUER).expect("a path of ours");
        assert_eq!(document(&app, path).await["resource"], resource, "{url}");
    }
}

/// On another origin the app says where its metadata are; on one that only begins like ours nothing is made up.
#[tokio::test]
async fn a_layer_on_another_origin_names_what_it_is_told() {
    let (_, provider) = with(|builder| builder);
    let url = "https://api.example/.well-known/oauth-protected-resource/v1";
    for (layer, named_url) in [
        (provider.bearer().resource("https://api.example/v1"), None),
        (provider.bearer().resource("https://api.example/v1").resource_metadata(url), Some(url)),
        (provider.bearer().resource("https://shift.example.evil.example/me"), None),
        (provider.bearer().resource("https://shift.example:8443/me"), None),
        (BearerLayer::new(provider.clone()), None),
        (BearerLayer::new(provider.clone()).resource_metadata(url), Some(url)),
    ] {
        let router = Router::new().route("/", get(async || "x").route_layer(layer));
        let answer = send(&BoxCloneSyncService::new(router.into_service()), request(Method::GET, "/")).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        assert_eq!(named(answer.header(header::WWW_AUTHENTICATE)).0, named_url, "{answer:?}");
    }
}

/// `offline_access` is in no challenge, also where a route needs it.
#[tokio::test]
async fn no_challenge_asks_for_offline_access() {
    let (_, provider) = with(|builder| builder);
    for (needed, scope) in [("offline_access", None), ("offline_access profile", Some("profile"))] {
        let router = Router::new().route("/", get(async || "x").route_layer(provider.bearer().require(needed)));
        let answer = send(&BoxCloneSyncService::new(router.into_service()), request(Method::GET, "/")).await;
        assert_eq!(named(answer.header(header::WWW_AUTHENTICATE)).1, scope, "{answer:?}");
    }
}

/// A resource that is an origin is the same with and without the final slash, and every resource with its scheme and host
/// in any case; all else is compared byte for byte (RFC 8707 §2, RFC 3986 §6.2). Without `resource` a token is for the default one.
#[tokio::test]
async fn an_origin_is_a_resource_in_each_of_its_spellings() {
    let (app, _) = with(|builder| builder.resource("https://shift.example/mcp"));
    let ask = async |resource: Option<&str>| {
        let mut params = vec![("grant_type", "client_credentials"), ("scope", "profile")];
        params.extend(resource.map(|resource| ("resource", resource)));
        send(&app, basic(form("/token", &params), "confidential", SECRET)).await
    };
    for origin in [
        None,
        Some(ISSUER),
        Some("https://shift.example/"),
        Some("HTTPS://shift.example"),
        Some("https://SHIFT.example/"),
    ] {
        let answer = ask(origin).await;
        let token =
            answer.json()["access_token"].as_str().unwrap_or_else(|| panic!("{origin:?}: {answer:?}")).to_owned();
        assert_eq!(send(&app, bearer("/me", &token)).await.status, StatusCode::OK, "{origin:?}");
    }
    for other in [
        "https://shift.example/mcp/",
        "https://shift.example/MCP",
        "https://shift.example:443",
        "https://shift.example//",
        "http://shift.example",
    ] {
        assert_eq!(ask(Some(other)).await.error(), "invalid_target", "{other}");
    }
}
