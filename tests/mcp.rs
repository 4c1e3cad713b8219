//! MCP authorization, both roles
//! (<https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization>): what clients find, what they get, and
//! what a call needs. `examples/mcp` has the clients of others go through it.

mod support;
#[path = "support/web.rs"]
mod web;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::routing::{any, get};
use http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};
use support::{Answer, App, ISSUER, VERIFIER, authorization, bearer, challenge, form, request, send, with_query};
use tower::util::BoxCloneSyncService;
use tower_oauth::testing::{ManualClock, doctor};
use tower_oauth::{
    Approval, AuthorizationRequest, Authorized, BearerLayer, ClientIdMetadataPolicy, Issuers, McpLayer, MemoryStore,
    ProtectedResource, Provider, ProviderBuilder, Refusal, RegistrationPolicy, Verification,
};

const MCP: &str = "https://shift.example/mcp";
const CALLBACK: &str = "http://127.0.0.1:9/callback";
const SERVER: &str = "/.well-known/oauth-authorization-server";
const RESOURCE: &str = "/.well-known/oauth-protected-resource";

/// A provider of an MCP server, as the guide has it.
fn builder(issuer: &str) -> ProviderBuilder {
    Provider::builder(issuer)
        .store(MemoryStore::new())
        .clock(ManualClock::default())
        .scope("notes:read", "read your notes")
        .scope("notes:write", "change your notes")
        .reserved_scope("admin", "do everything")
}

/// The server, the app around it, and what reaches the server.
struct Site {
    app: App,
    provider: Provider,
    heard: Arc<Mutex<Vec<String>>>,
}

fn guard(provider: &Provider) -> McpLayer {
    let layer = provider.resource(MCP).expect("a resource").mcp().require("notes:read");
    layer.tool("add_note", "notes:write").method("resources/read", "notes:write").max_body(1_000)
}

fn site_of(provider: Provider, layer: McpLayer) -> Site {
    async fn page(request: AuthorizationRequest) -> Approval {
        request.approve("alice")
    }
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    let server = any(move |message: String| async move {
        hears.lock().expect("a list").push(message);
        "heard"
    });
    let router = Router::new()
        .route("/authorize", get(page).post(page))
        .route("/mcp", server.layer(layer))
        .layer(provider.layer());
    Site { app: BoxCloneSyncService::new(router.into_service()), provider, heard }
}

fn site() -> Site {
    let provider = builder(ISSUER).mcp(MCP).build().expect("a good configuration");
    let layer = guard(&provider);
    site_of(provider, layer)
}

/// The endpoints alone.
fn app(provider: &Provider) -> App {
    BoxCloneSyncService::new(Router::new().layer(provider.layer()).into_service())
}

impl Site {
    async fn token(&self, scope: &str) -> String {
        let mcp = self.provider.resource(MCP).expect("a resource");
        let token = mcp.issue("app", "alice", scope.parse().expect("a scope")).await.expect("a token");
        token.secret().to_owned()
    }

    async fn post(&self, token: &str, body: &str) -> Answer {
        send(&self.app, message(token, body)).await
    }

    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.heard.lock().expect("a list"))
    }
}

fn message(token: &str, body: &str) -> Request<Body> {
    let mut request = bearer("/mcp", token);
    *request.method_mut() = Method::POST;
    *request.body_mut() = body.to_owned().into();
    request
}

fn call(tool: &str) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": {}}}).to_string()
}

async fn document(app: &App, path: &str) -> Value {
    let answer = send(app, request(Method::GET, path)).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
    answer.json()
}

/// Its metadata name what registers; so a client that knows the URL of the server alone becomes one.
async fn register(app: &App, metadata: Value) -> Answer {
    let register = Request::post("/register").header(header::CONTENT_TYPE, "application/json");
    send(app, register.body(metadata.to_string().into()).expect("a request")).await
}

/// As the clients of MCP do: native, without a secret.
fn metadata() -> Value {
    json!({
        "client_name": "A client",
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "none",
        "application_type": "native",
    })
}

/// The tokens of a client that goes through the flow with these further parameters.
async fn connect(app: &App, client: &str, more: &[(&str, &str)]) -> Answer {
    let challenge = challenge(VERIFIER);
    let mut params = authorization(client, CALLBACK, &challenge);
    params.extend(more);
    let answer = send(app, form(&with_query("/authorize", &params), &[])).await;
    let code = answer.redirected("code").unwrap_or_else(|| panic!("no code in {answer:?}"));
    assert_eq!(answer.redirected("iss").as_deref(), Some(ISSUER));
    let resource = more.iter().filter(|(name, _)| *name == "resource");
    let mut params = vec![
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("client_id", client),
        ("code_verifier", VERIFIER),
    ];
    params.extend(resource);
    send(app, form("/token", &params)).await
}

fn text<'a>(json: &'a Value, name: &str) -> &'a str {
    json[name].as_str().unwrap_or_else(|| panic!("no {name} in {json}"))
}

// ---- what clients find ----------------------------------------------------------------------------------------------

/// Authorization Server Discovery: the 401 names the document of the server, and that the issuer, whose metadata have all
/// that a client needs; a client has to refuse without `code_challenge_methods_supported`.
#[tokio::test]
async fn a_client_finds_all_that_it_needs_from_the_401() {
    let site = site();
    let answer = send(&site.app, request(Method::POST, "/mcp")).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    let url = format!("{ISSUER}{RESOURCE}/mcp");
    assert_eq!(
        answer.header(header::WWW_AUTHENTICATE),
        format!("Bearer realm=\"{MCP}\", scope=\"notes:read\", resource_metadata=\"{url}\"")
    );
    let resource = document(&site.app, &format!("{RESOURCE}/mcp")).await;
    assert_eq!(resource["resource"], MCP);
    assert_eq!(resource["authorization_servers"], json!([ISSUER]));
    let server = document(&site.app, SERVER).await;
    assert_eq!(server["issuer"], ISSUER);
    assert_eq!(server["registration_endpoint"], format!("{ISSUER}/register"));
    assert_eq!(server["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(server["authorization_response_iss_parameter_supported"], true);
}

/// Refresh Tokens: `offline_access` is offered by the authorization server, and no matter of the MCP server.
#[tokio::test]
async fn offline_access_is_in_the_metadata_of_the_server_alone() {
    let site = site();
    let server = document(&site.app, SERVER).await;
    assert_eq!(server["scopes_supported"], json!(["notes:read", "notes:write", "offline_access"]));
    let resource = document(&site.app, &format!("{RESOURCE}/mcp")).await;
    assert_eq!(resource["scopes_supported"], json!(["notes:read", "notes:write"]));
    for answer in [send(&site.app, request(Method::POST, "/mcp")).await, site.post(&site.token("").await, "{}").await] {
        assert!(!answer.header(header::WWW_AUTHENTICATE).contains("offline_access"), "{answer:?}");
    }
}

/// Protected Resource Metadata Discovery Requirements: at the path of the server, and at the root for clients that look no
/// further. RFC 9728 §3.3: what is there names the one resource that it is of.
#[tokio::test]
async fn the_resource_is_found_at_the_root_where_it_is_alone() {
    let site = site();
    for path in ["", "/mcp"] {
        assert_eq!(document(&site.app, &format!("{RESOURCE}{path}")).await["resource"], MCP, "{path}");
    }
    for path in ["/", "/other", "/mcp-other"] {
        let answer = send(&site.app, request(Method::GET, &format!("{RESOURCE}{path}"))).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
    // One that is elsewhere is none of this origin's; of two here, nobody knows which is meant.
    let elsewhere = builder(ISSUER).mcp(MCP).resource("https://files.example/v1").build().expect("a provider");
    assert_eq!(document(&app(&elsewhere), RESOURCE).await["resource"], MCP);
    let two = builder(ISSUER).mcp(MCP).mcp("https://shift.example/mcp2").build().expect("a provider");
    assert_eq!(send(&app(&two), request(Method::GET, RESOURCE)).await.status, StatusCode::NOT_FOUND);
    // The origin itself, where it is a resource.
    let origin = builder(ISSUER).mcp(MCP).default_resource(ISSUER).build().expect("a provider");
    assert_eq!(document(&app(&origin), RESOURCE).await["resource"], ISSUER);
    assert_eq!(document(&app(&origin), &format!("{RESOURCE}/mcp")).await["resource"], MCP);
}

/// RFC 8414 §3.1 puts the issuer's path behind the well-known name. Clients of 2025-03-26 ask at the root of the MCP
/// server's origin, and know no issuer.
#[tokio::test]
async fn the_server_is_found_at_the_root_whatever_the_path_of_the_issuer() {
    let issuer = "https://shift.example/auth";
    let provider = builder(issuer).mcp(MCP).build().expect("a provider");
    let app = app(&provider);
    let own = document(&app, &format!("{SERVER}/auth")).await;
    assert_eq!(own["issuer"], issuer);
    assert_eq!(document(&app, SERVER).await, own);
    for path in [&format!("{SERVER}/mcp"), &format!("{SERVER}/"), "/.well-known/openid-configuration"] {
        assert_eq!(send(&app, request(Method::GET, path)).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

/// Nothing of it is there unless it is asked for.
#[tokio::test]
async fn without_it_nothing_is_at_the_root_and_nobody_registers() {
    let provider =
        builder("https://shift.example/auth").resource(MCP).default_resource(MCP).build().expect("a provider");
    let app = app(&provider);
    for path in [SERVER, RESOURCE, "/auth/register"] {
        assert_eq!(send(&app, request(Method::GET, path)).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let server = document(&app, &format!("{SERVER}/auth")).await;
    assert_eq!(server["scopes_supported"], json!(["notes:read", "notes:write"]));
    assert!(server.get("registration_endpoint").is_none());
}

// ---- what clients get -----------------------------------------------------------------------------------------------

/// Resource Parameter Implementation, and what clients leave out: each combination of `resource` and `scope` that is in
/// the field gets a token that is good at the server, and a refresh token.
#[tokio::test]
async fn with_and_without_resource_and_scope_a_client_gets_a_token_for_the_server() {
    for resource in [None, Some(MCP), Some("HTTPS://SHIFT.example/mcp")] {
        for scope in [None, Some("notes:read"), Some("notes:read offline_access")] {
            let site = site();
            let registered = register(&site.app, metadata()).await;
            assert_eq!(registered.status, StatusCode::CREATED, "{registered:?}");
            let client = text(&registered.json(), "client_id").to_owned();
            let more: Vec<_> = [("resource", resource), ("scope", scope)]
                .into_iter()
                .filter_map(|(name, it)| Some((name, it?)))
                .collect();
            let tokens = connect(&site.app, &client, &more).await.json();
            assert!(tokens["refresh_token"].is_string(), "{more:?}: {tokens}");
            assert_eq!(text(&tokens, "scope"), scope.unwrap_or("notes:read notes:write offline_access"));
            let answer = site.post(text(&tokens, "access_token"), &call("list_notes")).await;
            assert_eq!(answer.status, StatusCode::OK, "{more:?}: {answer:?}");
        }
    }
}

/// Step-Up Authorization Flow: a client that registered with the scope of its first challenge asks for more on the same
/// registration. RFC 7591 §3.2.1: the answer says what was registered.
#[tokio::test]
async fn who_registers_with_a_narrow_scope_can_step_up() {
    let site = site();
    let mut metadata = metadata();
    metadata["scope"] = "notes:read".into();
    let registered = register(&site.app, metadata).await.json();
    assert_eq!(text(&registered, "scope"), "notes:read notes:write offline_access");
    let client = text(&registered, "client_id");
    let narrow = connect(&site.app, client, &[("resource", MCP), ("scope", "notes:read")]).await.json();
    let refused = site.post(text(&narrow, "access_token"), &call("add_note")).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{refused:?}");
    let wide = connect(&site.app, client, &[("resource", MCP), ("scope", "notes:read notes:write")]).await.json();
    assert_eq!(site.post(text(&wide, "access_token"), &call("add_note")).await.status, StatusCode::OK);
}

/// Client ID Metadata Documents: where there is something to read them with, a client goes by its document and registers
/// nowhere.
#[tokio::test]
async fn who_describes_itself_need_not_register_where_something_can_be_fetched() {
    const ID: &str = "https://editor.example/client.json";
    let web = web::Web::default();
    web.put(ID, json!({"client_id": ID, "client_name": "Editor", "redirect_uris": [CALLBACK]}));
    let provider = builder(ISSUER).mcp(MCP).fetch(web.clone()).build().expect("a provider");
    let layer = guard(&provider);
    let site = site_of(provider, layer);
    assert_eq!(document(&site.app, SERVER).await["client_id_metadata_document_supported"], true);
    let tokens = connect(&site.app, ID, &[("resource", MCP), ("scope", "notes:read offline_access")]).await.json();
    assert_eq!(site.post(text(&tokens, "access_token"), &call("list_notes")).await.status, StatusCode::OK);

    let policy = ClientIdMetadataPolicy::open().scope("notes:read");
    let narrow = builder(ISSUER).mcp(MCP).fetch(web).client_id_metadata_documents(policy).build().expect("a provider");
    let narrow = site_of(narrow.clone(), guard(&narrow));
    let tokens = connect(&narrow.app, ID, &[("resource", MCP)]).await.json();
    assert_eq!(text(&tokens, "scope"), "notes:read offline_access");
    let without = builder(ISSUER).mcp(MCP).build().expect("a provider");
    assert!(document(&app(&without), SERVER).await.get("client_id_metadata_document_supported").is_none());
}

/// What the app says itself holds, in either order.
#[tokio::test]
async fn what_the_app_says_otherwise_holds() {
    let policy = || RegistrationPolicy::open().scope("notes:read");
    for provider in [
        builder(ISSUER).mcp(MCP).registration(policy()).default_resource(ISSUER),
        builder(ISSUER).registration(policy()).default_resource(ISSUER).mcp(MCP),
    ] {
        let provider = provider.build().expect("a provider");
        let app = app(&provider);
        let registered = register(&app, metadata()).await.json();
        // Whoever sees `offline_access` in the metadata may ask for it.
        assert_eq!(text(&registered, "scope"), "notes:read offline_access");
        assert_eq!(document(&app, RESOURCE).await["resource"], ISSUER);
    }
    let own = builder(ISSUER).scope("offline_access", "remain").mcp(MCP).build().expect("a provider");
    assert!(own.scopes().any(|scope| scope == ("offline_access", "remain")));
    let resource = ProtectedResource::new(MCP).scope("notes:read");
    let narrow = builder(ISSUER).mcp(resource).build().expect("a provider");
    assert_eq!(document(&app(&narrow), RESOURCE).await["scopes_supported"], json!(["notes:read"]));
    let wrong = builder(ISSUER).mcp("mcp").build().expect_err("no URL").to_string();
    assert!(wrong.contains("resource \"mcp\""), "{wrong}");
}

/// Token Audience Binding and Validation: a token is for the server or it is none, also if it is for what lies above.
#[tokio::test]
async fn a_token_for_another_resource_is_refused() {
    let provider = builder(ISSUER).mcp(MCP).default_resource(ISSUER).build().expect("a provider");
    let layer = guard(&provider);
    let site = site_of(provider, layer);
    let above = site.provider.issue("app", "alice", "notes:read".parse().expect("a scope")).await.expect("a token");
    let answer = site.post(above.secret(), &call("list_notes")).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
    assert!(answer.header(header::WWW_AUTHENTICATE).contains("error=\"invalid_token\""), "{answer:?}");
    assert_eq!(site.post(&site.token("notes:read").await, &call("list_notes")).await.status, StatusCode::OK);
    // The same of a layer that covers what lies below, as one over a verifier does.
    let layer = McpLayer::new(site.provider.bearer().resource(MCP));
    let site = site_of(site.provider, layer);
    assert_eq!(site.post(above.secret(), "{}").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(site.post(&site.token("notes:read").await, "{}").await.status, StatusCode::OK);
}

// ---- what a call needs ----------------------------------------------------------------------------------------------

/// Scope Challenge Handling: one challenge names all that the operation needs, and where the metadata are.
#[tokio::test]
async fn a_call_without_its_scope_is_a_403_that_names_all_that_it_needs() {
    let site = site();
    let token = site.token("notes:read").await;
    let read = json!({"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": "a:b"}}).to_string();
    let batch = format!("[{},{}]", call("list_notes"), call("add_note"));
    let twice = format!("[{},{read}]", call("add_note"));
    for body in [call("add_note"), read, batch, twice] {
        let answer = site.post(&token, &body).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{body}: {answer:?}");
        let challenge = answer.header(header::WWW_AUTHENTICATE);
        let metadata = format!("resource_metadata=\"{ISSUER}{RESOURCE}/mcp\"");
        for part in ["error=\"insufficient_scope\"", " scope=\"notes:read notes:write\"", &metadata] {
            assert!(challenge.contains(part), "{part} in {challenge}");
        }
    }
    assert!(site.heard().is_empty());
}

/// What may pass reaches the server as it was sent.
#[tokio::test]
async fn what_the_token_is_good_for_reaches_the_server_as_it_was_sent() {
    let site = site();
    let (narrow, wide) = (site.token("notes:read").await, site.token("notes:read notes:write").await);
    let initialize = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"name": 5}}).to_string();
    let answered = r#"{"jsonrpc":"2.0","id":1,"result":{"method":"tools/call"}}"#.to_owned();
    let sent = [(&narrow, call("list_notes")), (&narrow, initialize), (&narrow, answered), (&wide, call("add_note"))];
    for (token, body) in sent {
        assert_eq!(site.post(token, &body).await.status, StatusCode::OK, "{body}");
        assert_eq!(site.heard(), [body]);
    }
    // A stream, and the end of a session: no message.
    for method in [Method::GET, Method::DELETE] {
        let mut request = bearer("/mcp", &narrow);
        *request.method_mut() = method;
        assert_eq!(send(&site.app, request).await.status, StatusCode::OK);
    }
}

/// Whatever a server inside might read as a call is looked at; what cannot be read in one way alone is refused.
#[tokio::test]
async fn what_cannot_be_read_in_one_way_does_not_reach_the_server() {
    let site = site();
    let token = site.token("notes:read notes:write").await;
    let twice = r#"{"method":"tools/call","params":{"name":"list_notes","name":"add_note"}}"#;
    for body in ["", "not JSON", "5", twice, r#"{"method":"tools/call","params":{"name":["add_note"]}}"#] {
        let answer = site.post(&token, body).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}: {answer:?}");
        assert!(answer.header(header::WWW_AUTHENTICATE).contains("error=\"invalid_request\""), "{answer:?}");
    }
    let long = site.post(&token, &format!("{{\"a\":\"{}\"}}", "a".repeat(1_000))).await;
    assert_eq!(long.status, StatusCode::PAYLOAD_TOO_LARGE);
    // Another method that a server could take for a POST.
    let mut put = message(&site.token("notes:read").await, &call("add_note"));
    *put.method_mut() = Method::PUT;
    assert_eq!(send(&site.app, put).await.status, StatusCode::FORBIDDEN);
    assert!(site.heard().is_empty());
}

/// Servers MUST account for scope hierarchies: a broader scope is enough.
#[tokio::test]
async fn a_broader_scope_is_enough() {
    let provider = builder(ISSUER).scope_includes("notes:write", "notes:read").mcp(MCP).build().expect("a provider");
    let layer = guard(&provider);
    let site = site_of(provider, layer);
    assert_eq!(site.post(&site.token("notes:write").await, &call("add_note")).await.status, StatusCode::OK);
}

/// Without a token nothing of a body is read, whatever it is.
#[tokio::test]
async fn a_body_is_read_only_behind_a_good_token() {
    let site = site();
    let (sender, body) = http_body_util::channel::Channel::<bytes::Bytes, std::io::Error>::new(1);
    let request = Request::post("/mcp").body(Body::new(body)).expect("a request");
    assert_eq!(send(&site.app, request).await.status, StatusCode::UNAUTHORIZED);
    drop(sender);
}

/// Below an optional layer, a tool without a scope is for everybody, and one with a scope needs a token.
#[tokio::test]
async fn what_is_for_everybody_needs_no_token_and_what_is_not_does() {
    let provider = builder(ISSUER).mcp(MCP).build().expect("a provider");
    let bearer = provider.resource(MCP).expect("a resource").bearer().optional();
    let site = site_of(provider, McpLayer::new(bearer).tool("add_note", "notes:write"));
    let anybody = |body: String| Request::post("/mcp").body(body.into()).expect("a request");
    assert_eq!(send(&site.app, anybody(call("list_notes"))).await.status, StatusCode::OK);
    let refused = send(&site.app, anybody(call("add_note"))).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert!(refused.header(header::WWW_AUTHENTICATE).contains(" scope=\"notes:write\""), "{refused:?}");
}

/// The other role alone: a server whose tokens somebody else verifies, and whose metadata are where it says.
#[tokio::test]
async fn the_layer_works_over_a_verifier_of_an_apps_own() {
    let verify = |credentials: tower_oauth::Credentials<'_>| {
        let scope = match credentials.token() {
            "narrow" => "notes:read",
            "wide" => "notes:read notes:write",
            _ => return Verification::ready(Err(Refusal::InvalidToken("unknown"))),
        };
        let end = std::time::SystemTime::UNIX_EPOCH + support::seconds(4_000_000_000);
        let token = Authorized::new("app", Some("alice".into()), scope.parse().expect("a scope"), end);
        Verification::ready(Ok(token.for_resources(["https://mcp.example/mcp".parse().expect("a resource")])))
    };
    struct Own<F>(F);
    impl<F: Fn(tower_oauth::Credentials<'_>) -> Verification + Send + Sync + 'static> tower_oauth::Verify for Own<F> {
        fn verify(&self, credentials: tower_oauth::Credentials<'_>) -> Verification {
            (self.0)(credentials)
        }
    }
    let layer = McpLayer::new(BearerLayer::new(Own(verify)).resource("https://mcp.example/mcp"))
        .require("notes:read")
        .tool("add_note", "notes:write");
    let metadata = layer.metadata(["https://auth.example"]);
    assert_eq!(layer.metadata_path(), format!("{RESOURCE}/mcp"));
    let answer = send(&metadata, request(Method::GET, "/")).await;
    let expected = json!({
        "resource": "https://mcp.example/mcp",
        "authorization_servers": ["https://auth.example"],
        "scopes_supported": ["notes:read", "notes:write"],
        "bearer_methods_supported": ["header"],
    });
    assert_eq!((answer.status, answer.json()), (StatusCode::OK, expected));
    assert_eq!(answer.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), "*");
    assert_eq!(send(&metadata, request(Method::POST, "/")).await.status, StatusCode::METHOD_NOT_ALLOWED);
    let site = site_of(builder(ISSUER).build().expect("a provider"), layer);
    assert_eq!(site.post("wide", &call("add_note")).await.status, StatusCode::OK);
    let refused = site.post("narrow", &call("add_note")).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let challenge = refused.header(header::WWW_AUTHENTICATE);
    assert!(challenge.contains(" scope=\"notes:read notes:write\""), "{challenge}");
    assert!(challenge.contains("resource_metadata=\"https://mcp.example/.well-known/oauth-protected-resource/mcp\""));
    assert_eq!(site.post("forged", &call("list_notes")).await.status, StatusCode::UNAUTHORIZED);
}

/// A scope that nobody can have is told where it is written.
#[test]
fn a_scope_that_is_not_offered_cannot_be_required() {
    let provider = builder(ISSUER).mcp(ProtectedResource::new(MCP).scope("notes:read")).build().expect("a provider");
    for scope in ["notes:write", "notes:delete", ""] {
        let layer = provider.resource(MCP).expect("a resource").mcp();
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| layer.tool("delete", scope)));
        assert!(panicked.is_err(), "{scope}");
    }
}

// ---- the doctor -----------------------------------------------------------------------------------------------------

/// What it says of an app, problem by problem.
async fn problems(app: App) -> Vec<String> {
    let seen = doctor(app, MCP).await.expect("the app answers");
    seen.problems().collect()
}

#[tokio::test]
async fn the_doctor_asks_each_place_and_finds_nothing_wrong_with_what_is_right() {
    let seen = doctor(site().app, MCP).await.expect("the app answers");
    assert_eq!(seen.problems().next(), None, "{seen}");
    let ok = |request: &str| format!("ok    {request}\n");
    let expected = [
        "POST https://shift.example/mcp: 401 Unauthorized",
        "GET https://shift.example/.well-known/oauth-protected-resource/mcp: 200 OK",
        "GET https://shift.example/.well-known/oauth-protected-resource: 200 OK",
        "GET https://shift.example/.well-known/oauth-authorization-server: 200 OK",
        "GET https://shift.example/.well-known/openid-configuration: 404 Not Found",
    ];
    assert_eq!(seen.to_string(), expected.map(ok).concat());
}

#[tokio::test]
async fn the_doctor_asks_nobody_elsewhere() {
    let provider = builder("https://auth.example").mcp(MCP).build().expect("a provider");
    let mcp = provider.resource(MCP).expect("a resource");
    let router = Router::new()
        .route("/mcp", any(async || "no").layer(mcp.mcp()))
        .route_service(&mcp.metadata_path(), mcp.metadata());
    let seen = doctor(App::new(router.into_service()), MCP).await.expect("the app answers");
    assert_eq!(seen.problems().next(), None, "{seen}");
    let elsewhere = "https://auth.example/.well-known/oauth-authorization-server: not asked, it is elsewhere";
    assert!(seen.to_string().contains(elsewhere), "{seen}");
}

/// Each mistake that keeps clients away, and the words that tell of it.
#[tokio::test]
async fn the_doctor_names_what_keeps_clients_away() {
    let provider = builder(ISSUER).mcp(MCP).build().expect("a provider");
    let mcp = provider.resource(MCP).expect("a resource").mcp();
    let server = || any(async || "no").layer(mcp.clone());
    let json = |document: Value| get(move || async move { axum::Json(document) });
    let named = |status: StatusCode, challenge: &'static str| {
        any(move || async move { (status, [(header::WWW_AUTHENTICATE, challenge)]) })
    };
    let elsewhere = json!({"resource": "https://shift.example", "authorization_servers": []});
    let weak = json!({"issuer": "https://other.example"});
    let refresh = json!({"resource": MCP, "authorization_servers": [ISSUER], "scopes_supported": ["offline_access"]});
    let page = any(async || axum::response::Html("<html>"));
    let resource = format!("{RESOURCE}/mcp");
    let scope = "Bearer scope=\"a offline_access\", resource_metadata=\"https://shift.example/.well-known/oauth-protected-resource/mcp\"";
    for (router, words) in [
        (Router::new().route("/mcp", any(async || "open")).layer(provider.layer()), &["has to be a 401"][..]),
        (Router::new().route("/mcp", server()), &["no document is there"]),
        (Router::new().route("/mcp", server()).fallback(page), &["a page of its own"]),
        (Router::new().route("/mcp", named(StatusCode::UNAUTHORIZED, "Basic")), &["no `WWW-Authenticate: Bearer"]),
        (
            Router::new().route("/mcp", named(StatusCode::UNAUTHORIZED, "Bearer realm=\"a\"")),
            &["clients have to guess"],
        ),
        (
            Router::new().route("/mcp", named(StatusCode::UNAUTHORIZED, scope)).layer(provider.layer()),
            &["its challenge asks for `offline_access`"],
        ),
        (
            Router::new().route("/mcp", server()).route(&resource, json(elsewhere)),
            &["its `resource` is", "names no `authorization_servers`"],
        ),
        (
            Router::new().route("/mcp", server()).route(&resource, json(refresh)),
            &["`scopes_supported` have `offline_access`"],
        ),
        (
            Router::new().route("/mcp", server()).route(SERVER, json(weak)),
            &["its `issuer` is", "no `token_endpoint`", "lack S256", "no `registration_endpoint`", "have `iss`"],
        ),
    ] {
        let found = problems(App::new(router.into_service())).await;
        for word in words {
            assert!(found.iter().any(|problem| problem.contains(word)), "{word} in {found:#?}");
        }
    }
}

// ---- several issuers, and what the operator hears --------------------------------------------------------------------

/// In a set each host has its own root. Where several share one, nobody can tell whose the root is, and each has its documents
/// behind its own path.
#[tokio::test]
async fn in_a_set_the_root_of_a_host_is_its_issuers() {
    let of = |issuer: &str| builder(issuer).mcp(format!("{issuer}/mcp")).build().expect("a provider");
    let hosts = ["https://a.example", "https://b.example", "https://c.example/one", "https://c.example/two"];
    let set = Issuers::new(hosts.map(of)).expect("a set");
    let app: App = BoxCloneSyncService::new(Router::new().layer(set.layer()).into_service());
    for (host, path, resource) in [
        ("a.example", "", Some("https://a.example/mcp")),
        ("b.example", "", Some("https://b.example/mcp")),
        ("b.example", "/mcp", Some("https://b.example/mcp")),
        ("c.example", "", None),
        ("c.example", "/two/mcp", Some("https://c.example/two/mcp")),
    ] {
        let mut asked = request(Method::GET, &format!("{RESOURCE}{path}"));
        asked.headers_mut().insert(header::HOST, host.parse().expect("a host"));
        let answer = send(&app, asked).await;
        match resource {
            Some(resource) => assert_eq!(answer.json()["resource"], resource, "{host}{path}"),
            None => assert_eq!(answer.status, StatusCode::NOT_FOUND, "{host}{path}"),
        }
    }
}

#[tokio::test]
async fn the_operator_hears_of_a_call_that_was_refused() {
    let reasons = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&reasons);
    let builder = builder(ISSUER).mcp(MCP).on_event(move |event| {
        let client = event.client.map(ToString::to_string);
        hears.lock().expect("a list").extend(event.kind.reason().map(|reason| (reason, client)));
    });
    let provider = builder.build().expect("a provider");
    let layer = guard(&provider);
    let site = site_of(provider, layer);
    let token = site.token("notes:read").await;
    site.post(&token, &call("add_note")).await;
    site.post(&token, "no message").await;
    let expected = [("scope_insufficient", Some("app".to_owned())), ("message_illegible", None)];
    assert_eq!(*reasons.lock().expect("a list"), expected);
}
