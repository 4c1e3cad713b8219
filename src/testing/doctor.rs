use std::fmt;

use http::{Method, Request, Response, StatusCode, header};
use http_body::Body;
use serde_json::{Map, Value};
use tower::Service;

use super::{BoxError, FlowError, Received, send};
use crate::types::Resource;

/// Asks an app all that an MCP client asks before it can call
/// ([discovery](https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/authorization-server-discovery)),
/// and says what it would see: for a test that tells why no client connects.
///
/// `mcp` is the URL of the MCP server, as its users paste it. What is on another origin is not asked.
///
/// ```
/// use axum::{Router, routing::post};
/// use tower_oauth::{MemoryStore, Provider, testing::doctor};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let mcp = "https://notes.example/mcp";
/// let provider = Provider::builder("https://notes.example").store(MemoryStore::new()).mcp(mcp).build()?;
/// let server = post(async || "an MCP server").route_layer(provider.resource(mcp)?.mcp());
/// let app = Router::new().route("/mcp", server).layer(provider.layer());
///
/// let seen = doctor(app.into_service::<String>(), mcp).await?;
/// println!("{seen}"); // each URL, its status, and what is right or wrong about it
/// assert_eq!(seen.problems().next(), None);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the app fails, or `mcp` is no URL.
pub async fn doctor<S, ReqBody, ResBody>(app: S, mcp: &str) -> Result<Diagnosis, FlowError>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    S::Error: Into<BoxError>,
    ReqBody: From<String>,
    ResBody: Body,
    ResBody::Error: Into<BoxError>,
{
    let (origin, path) = parts(mcp)?;
    let ask = async |method: Method, url: &str| {
        let (of, path) = parts(url)?;
        if of != origin {
            return Ok(None);
        }
        let host = origin.split("://").nth(1).unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(if path.is_empty() { "/" } else { &path })
            .header(header::HOST, host)
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, text/event-stream")
            .header("mcp-protocol-version", "2026-07-28");
        let request = request.body(String::new().into()).map_err(FlowError::other)?;
        send(app.clone(), request).await.map(Some)
    };
    let mut visit = Visit { ask, seen: Vec::new() };
    let named = visit.challenge(mcp).await?;
    let (at_path, at_root) = (format!("{origin}{RESOURCE}{path}"), format!("{origin}{RESOURCE}"));
    // Who is told a place looks nowhere else.
    let places = named.map_or_else(|| vec![at_path.clone(), at_root.clone()], |named| vec![named]);
    let resource = visit.search(&places, |document| resource_problems(document, mcp)).await?;
    visit.glance(&[at_path, at_root]).await?;
    // Clients of 2025-03-26 take the server's own origin for the issuer.
    let issuer = resource.as_ref().and_then(first_issuer).unwrap_or_else(|| origin.clone());
    let (host, tail) = parts(&issuer)?;
    let places = [format!("{host}{SERVER}{tail}"), format!("{host}{OPENID}{tail}"), format!("{host}{tail}{OPENID}")];
    visit.search(&places, |document| server_problems(document, &issuer)).await?;
    visit.glance(&[format!("{origin}{SERVER}")]).await?;
    Ok(Diagnosis(visit.seen))
}

const RESOURCE: &str = "/.well-known/oauth-protected-resource";
const SERVER: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

/// What an MCP client would see of an app: what [`doctor`] found. It is shown with a line for each URL.
#[derive(Clone, Debug)]
pub struct Diagnosis(Vec<Asked>);

impl Diagnosis {
    /// All that keeps clients away, each with its URL.
    pub fn problems(&self) -> impl Iterator<Item = String> + '_ {
        self.0.iter().flat_map(|asked| asked.problems.iter().map(move |problem| format!("{}: {problem}", asked.url)))
    }
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Asked { method, url, status, problems } in &self.0 {
            let status = status.map_or_else(|| "not asked, it is elsewhere".to_owned(), |status| status.to_string());
            writeln!(f, "{} {method} {url}: {status}", if problems.is_empty() { "ok   " } else { "WRONG" })?;
            problems.iter().try_for_each(|problem| writeln!(f, "      {problem}"))?;
        }
        Ok(())
    }
}

/// One request, and what is wrong with its answer.
#[derive(Clone, Debug)]
struct Asked {
    method: Method,
    url: String,
    status: Option<StatusCode>,
    problems: Vec<String>,
}

/// What was seen so far, and how to ask on: nobody answers for another origin.
struct Visit<A> {
    ask: A,
    seen: Vec<Asked>,
}

impl<A: AsyncFn(Method, &str) -> Result<Option<Received>, FlowError>> Visit<A> {
    /// The first request of every client has no token. Answers where the refusal says that the metadata are.
    async fn challenge(&mut self, mcp: &str) -> Result<Option<String>, FlowError> {
        let mut asked = Asked { method: Method::POST, url: mcp.to_owned(), status: None, problems: Vec::new() };
        let mut named = None;
        if let Some(answer) = (self.ask)(Method::POST, mcp).await? {
            asked.status = Some(answer.status);
            let mut challenges =
                answer.headers.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
            let challenge = challenges.find(|challenge| is_bearer(challenge)).unwrap_or_default();
            asked.problems.extend(challenge_problems(answer.status, challenge));
            named = parameter(challenge, "resource_metadata").map(str::to_owned);
        }
        self.seen.push(asked);
        Ok(named)
    }

    /// Looks for a document as clients do, until one is there; then for the rest, which no client asks for any more.
    async fn search(
        &mut self,
        places: &[String],
        problems: impl Fn(&Map<String, Value>) -> Vec<String>,
    ) -> Result<Option<Map<String, Value>>, FlowError> {
        let mut found = None;
        for (at, place) in places.iter().enumerate().filter(|(at, place)| !places[..*at].contains(place)) {
            if found.is_some() {
                self.glance(std::slice::from_ref(place)).await?;
                continue;
            }
            let (document, mut asked) = self.document(place).await?;
            asked.problems.extend(document.as_ref().into_iter().flat_map(&problems));
            let is_last = places[at..].iter().all(|other| other == place);
            if document.is_none() && asked.problems.is_empty() && asked.status.is_some() && is_last {
                asked.problems.push("no document is there: is the provider's layer around the whole app?".to_owned());
            }
            found = document;
            self.seen.push(asked);
        }
        Ok(found)
    }

    /// Tells what is at places that help some clients, and that no client needs.
    async fn glance(&mut self, places: &[String]) -> Result<(), FlowError> {
        for place in places {
            if self.seen.iter().all(|asked| asked.url != *place) {
                let (_, asked) = self.document(place).await?;
                self.seen.push(Asked { problems: Vec::new(), ..asked });
            }
        }
        Ok(())
    }

    /// A document, if one is there.
    async fn document(&self, url: &str) -> Result<(Option<Map<String, Value>>, Asked), FlowError> {
        let mut asked = Asked { method: Method::GET, url: url.to_owned(), status: None, problems: Vec::new() };
        let Some(answer) = (self.ask)(Method::GET, url).await? else { return Ok((None, asked)) };
        asked.status = Some(answer.status);
        if answer.status != StatusCode::OK {
            return Ok((None, asked));
        }
        let kind = answer.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let document = serde_json::from_slice(&answer.body).ok();
        if document.is_none() || !kind.starts_with("application/json") {
            let why = "no JSON object as application/json: does the app answer every path with a page of its own?";
            asked.problems.push(why.to_owned());
        }
        Ok((document, asked))
    }
}

/// Protected Resource Metadata Discovery Requirements; RFC 9728 §5.1.
fn challenge_problems(status: StatusCode, challenge: &str) -> Vec<String> {
    let mut problems = Vec::new();
    if status != StatusCode::UNAUTHORIZED {
        problems.push("without a token it has to be a 401: put the layer around the MCP server itself".to_owned());
    } else if !is_bearer(challenge) {
        problems.push("it has no `WWW-Authenticate: Bearer ..`".to_owned());
    } else if parameter(challenge, "resource_metadata").is_none() {
        problems.push("its challenge has no `resource_metadata`: clients have to guess".to_owned());
    }
    if parameter(challenge, "scope").is_some_and(has_offline_access) {
        problems.push("its challenge asks for `offline_access`, which is no matter of a resource".to_owned());
    }
    problems
}

/// Authorization Server Location; RFC 9728 §3.3.
fn resource_problems(document: &Map<String, Value>, mcp: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let resource = text(document, "resource");
    let is_same = |it: &Resource| mcp.parse().is_ok_and(|mcp: Resource| mcp == *it);
    if !resource.parse().is_ok_and(|resource| is_same(&resource)) {
        problems.push(format!("its `resource` is {resource:?} and not the URL of the server, {mcp:?}"));
    }
    if first_issuer(document).is_none() {
        problems.push("it names no `authorization_servers`".to_owned());
    }
    if list(document, "scopes_supported").any(has_offline_access) {
        problems.push("its `scopes_supported` have `offline_access`, which is no matter of a resource".to_owned());
    }
    problems
}

/// RFC 8414 §3.3, and what MCP asks for beyond it.
fn server_problems(document: &Map<String, Value>, issuer: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let named = text(document, "issuer");
    if named != issuer {
        problems.push(format!("its `issuer` is {named:?} and not {issuer:?}: clients must not use it"));
    }
    for endpoint in ["authorization_endpoint", "token_endpoint"] {
        if text(document, endpoint).is_empty() {
            problems.push(format!("it names no `{endpoint}`"));
        }
    }
    if !list(document, "code_challenge_methods_supported").any(|method| method == "S256") {
        problems.push("its `code_challenge_methods_supported` lack S256: clients refuse to go on".to_owned());
    }
    let is_true = |name: &str| document.get(name).and_then(Value::as_bool) == Some(true);
    if text(document, "registration_endpoint").is_empty() && !is_true("client_id_metadata_document_supported") {
        problems.push("clients that it does not know cannot become any: it has no `registration_endpoint`".to_owned());
    }
    if !is_true("authorization_response_iss_parameter_supported") {
        problems.push("it does not say that its answers have `iss`".to_owned());
    }
    problems
}

fn text<'a>(document: &'a Map<String, Value>, name: &str) -> &'a str {
    document.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(document: &'a Map<String, Value>, name: &str) -> impl Iterator<Item = &'a str> {
    document.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

fn first_issuer(document: &Map<String, Value>) -> Option<String> {
    list(document, "authorization_servers").next().map(str::to_owned)
}

fn has_offline_access(scope: &str) -> bool {
    scope.split(' ').any(|name| name == "offline_access")
}

fn is_bearer(challenge: &str) -> bool {
    challenge.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer "))
}

/// A parameter of a challenge, between quotes.
fn parameter<'a>(challenge: &'a str, name: &str) -> Option<&'a str> {
    let begins = [format!(" {name}=\""), format!(",{name}=\"")];
    let (_, value) = begins.iter().find_map(|begin| challenge.split_once(begin.as_str()))?;
    value.split('"').next()
}

/// The origin of a URL, and what is behind it.
fn parts(url: &str) -> Result<(String, String), FlowError> {
    let parsed: Resource = url.parse().map_err(FlowError::other)?;
    let (origin, path) = parsed.split();
    Ok((origin.to_owned(), path.to_owned()))
}
