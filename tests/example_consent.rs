//! The consent page of the provider example, for apps that nobody registered: the site of the example, over a web that a test
//! can write.

#[path = "../examples/provider/page.rs"]
mod page;
#[path = "../examples/provider/sessions.rs"]
mod sessions;
#[expect(dead_code, unused_imports, reason = "a test brings a provider of its own")]
#[path = "../examples/provider/site/mod.rs"]
mod site;
mod support;
#[path = "support/web.rs"]
mod web;

use http::{Method, StatusCode, header};
use serde_json::{Value, json};
use support::{App, ISSUER, VERIFIER, authorization, challenge, form, request, send, with_query};
use tower::util::BoxCloneSyncService;
use tower_oauth::{ClientIdMetadataPolicy, Endpoints, MemoryStore, Provider};
use web::Web;

const ID: &str = "https://evil.example/client.json";
const AUTH: &str = "/v1/oauth2/auth";
const WARNING: &str = r#"class="alert" role="alert""#;

fn site_over(web: &Web) -> App {
    let provider = Provider::builder(ISSUER)
        .store(MemoryStore::new())
        .endpoints(Endpoints::under("/v1/oauth2").authorization("/auth"))
        .scope("profile", "See your name and user id")
        .scope("email", "See your e-mail address")
        .scope("notes:read", "Read your notes")
        .scope("notes:write", "Write and delete notes for you")
        .reserved_scope("admin", "Administer this site")
        .default_scope("profile")
        .client_id_metadata_documents(ClientIdMetadataPolicy::open())
        .fetch(web.clone())
        .build()
        .expect("a good configuration");
    BoxCloneSyncService::new(site::router(&provider, None).into_service())
}

/// The cookie of alice's session.
async fn log_in(app: &App) -> String {
    let cookie_of =
        |answer: &support::Answer| answer.header(header::SET_COOKIE).split(';').next().expect("a cookie").to_owned();
    let page = send(app, request(Method::GET, "/login")).await;
    let (_, token) = page.body.split_once(r#"name="form_token" value=""#).expect("a form");
    let token = token.split('"').next().expect("a value");
    let mut asked = form("/login", &[("form_token", token), ("username", "alice"), ("password", "wonderland")]);
    asked.headers_mut().insert(header::COOKIE, cookie_of(&page).parse().expect("a value"));
    asked.headers_mut().insert("sec-fetch-site", "same-origin".parse().expect("a value"));
    let answer = send(app, asked).await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
    cookie_of(&answer)
}

async fn consent(redirect_uris: Value, asked: &str) -> String {
    let web = Web::default();
    let name = "Shift & <script>alert(1)</script>";
    web.put(ID, json!({"client_id": ID, "client_name": name, "redirect_uris": redirect_uris}));
    let app = site_over(&web);
    let challenge = challenge(VERIFIER);
    let mut asking = request(Method::GET, &with_query(AUTH, &authorization(ID, asked, &challenge)));
    asking.headers_mut().insert(header::COOKIE, log_in(&app).await.parse().expect("a value"));
    let page = send(&app, asking).await;
    assert_eq!(page.status, StatusCode::OK, "{page:?}");
    assert!(page.body.contains("Shift &amp; &lt;script&gt;alert(1)&lt;/script&gt; asks for access"), "{}", page.body);
    assert!(!page.body.contains("<script>"));
    page.body
}

/// draft-ietf-oauth-client-id-metadata-document-02 §8.5; MCP 2026-07-28, "Localhost Redirect URI Risks"
#[tokio::test]
async fn the_page_names_the_host_of_the_document_and_that_of_the_answer_and_warns_of_loopback() {
    let page = consent(json!(["https://app.example/cb"]), "https://app.example/cb").await;
    assert!(page.contains("comes from <strong>evil.example</strong>"), "{page}");
    assert!(page.contains("sent on to <strong>app.example</strong>"), "{page}");
    assert!(!page.contains(WARNING), "{page}");
    let uris = json!(["http://127.0.0.1/cb", "http://localhost/cb"]);
    let page = consent(uris, "http://localhost:4711/cb").await;
    assert!(page.contains("comes from <strong>evil.example</strong>"), "{page}");
    assert!(page.contains("sent on to <strong>localhost</strong>"), "{page}");
    assert!(page.contains(WARNING) && page.contains("any app can use its name"), "{page}");
}
