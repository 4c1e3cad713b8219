//! The client of `rmcp` at the example, which runs as a process: registration, token, call, refresh, step-up.

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use reqwest::redirect::Policy;
use rmcp::model::{CallToolRequestParams, CallToolResult};
use rmcp::service::{RoleClient, RunningService};
use rmcp::transport::auth::{AuthClient, AuthorizationRequest, OAuthState};
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{AuthorizationManager, StreamableHttpClientTransport};
use rmcp::{ServiceError, ServiceExt};
use url::Url;

type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// Nobody listens there: the tests read where a browser is sent.
const CALLBACK: &str = "http://127.0.0.1:9/callback";

/// The example, until it is dropped.
struct Example {
    child: Child,
    url: String,
}

impl Example {
    fn start() -> Result<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-example"));
        let mut child = command.arg("127.0.0.1:0").stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let url = line.trim().strip_prefix("connect a client to ").ok_or("no URL")?.to_owned();
        Ok(Self { child, url })
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The user says yes; answers where the browser is sent on to.
async fn allow(url: &str) -> Result<String> {
    let browser = reqwest::Client::builder().redirect(Policy::none()).build()?;
    let answer = browser.post(url).form(&[("user", "alice"), ("allow", "true")]).send().await?;
    let back = answer.headers().get("location").ok_or("the browser is sent nowhere")?;
    Ok(back.to_str()?.to_owned())
}

/// What a client finds at the URL alone, as its user allowed it.
async fn authorized(url: &str) -> Result<AuthorizationManager> {
    let refused = reqwest::Client::new().post(url).send().await?;
    let challenge = refused.headers().get("www-authenticate").ok_or("no challenge")?.to_str()?.to_owned();
    let mut state = OAuthState::new(url, None).await?;
    let request = AuthorizationRequest::new(CALLBACK)
        .with_client_name("A client with rmcp")
        .with_application_type("native")
        .with_challenge(challenge)
        .with_initial_scope_selection();
    state.start_authorization(request).await?;
    let back = allow(&state.get_authorization_url().await?).await?;
    state.handle_callback_url(&back).await?;
    Ok(state.into_authorization_manager().ok_or("not authorized")?)
}

type Client = AuthClient<reqwest::Client>;

async fn connected(url: &str) -> Result<(Client, RunningService<RoleClient, ()>)> {
    let client = AuthClient::new(reqwest::Client::new(), authorized(url).await?);
    let config = StreamableHttpClientTransportConfig::with_uri(url);
    let service = ().serve(StreamableHttpClientTransport::with_client(client.clone(), config)).await?;
    Ok((client, service))
}

async fn call(
    service: &RunningService<RoleClient, ()>,
    tool: &'static str,
    text: Option<&str>,
) -> std::result::Result<String, ServiceError> {
    let mut params = CallToolRequestParams::new(tool);
    if let Some(text) = text {
        params = params.with_arguments([("text".to_owned(), text.into())].into_iter().collect());
    }
    let result: CallToolResult = service.call_tool(params).await?;
    Ok(result.content[0].as_text().map(|text| text.text.clone()).unwrap_or_default())
}

#[tokio::test]
async fn from_the_url_alone_a_client_registers_is_allowed_and_calls() -> Result {
    let example = Example::start()?;
    let (client, service) = connected(&example.url).await?;
    let scopes = client.auth_manager.lock().await.get_current_scopes().await;
    assert_eq!(scopes, ["notes:read", "offline_access"]);
    assert_eq!(service.list_all_tools().await?.len(), 2);
    assert_eq!(call(&service, "list_notes", None).await?, "");
    Ok(())
}

#[tokio::test]
async fn a_refreshed_token_is_as_good_as_its_first() -> Result {
    let example = Example::start()?;
    let (client, service) = connected(&example.url).await?;
    let first = client.get_access_token().await?;
    client.auth_manager.lock().await.refresh_token().await?;
    assert_ne!(client.get_access_token().await?, first);
    assert_eq!(call(&service, "list_notes", None).await?, "");
    Ok(())
}

#[tokio::test]
async fn a_call_that_needs_more_steps_up_on_the_same_registration() -> Result {
    let example = Example::start()?;
    let (client, service) = connected(&example.url).await?;
    let refused = call(&service, "add_note", Some("buy milk")).await.expect_err("it needs more");
    let challenge = refused.auth_challenge().ok_or("no challenge")?;
    assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
    assert!(challenge.contains(" scope=\"notes:read notes:write\""), "{challenge}");

    let manager = client.auth_manager.lock().await;
    let back: Url = allow(&manager.request_scope_upgrade("notes:read notes:write").await?).await?.parse()?;
    let said = |name: &str| back.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned());
    let (code, state) = (said("code").ok_or("no code")?, said("state").ok_or("no state")?);
    manager.exchange_code_for_token_with_issuer(&code, &state, said("iss").as_deref()).await?;
    drop(manager);

    assert_eq!(call(&service, "add_note", Some("buy milk")).await?, "1 notes");
    assert_eq!(call(&service, "list_notes", None).await?, "buy milk");
    Ok(())
}
