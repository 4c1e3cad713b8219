//! The wire between them, and how it is printed.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

#[derive(Clone)]
pub(crate) struct Wire {
    http: Client<HttpConnector, Full<Bytes>>,
    /// Who is at which origin.
    names: Arc<BTreeMap<String, &'static str>>,
}

impl Wire {
    pub(crate) fn new<'a>(names: impl IntoIterator<Item = (&'a String, &'static str)>) -> Self {
        let names = names.into_iter().map(|(origin, name)| (origin.clone(), name)).collect();
        Self { http: Client::builder(TokioExecutor::new()).build_http(), names: Arc::new(names) }
    }

    /// Sends a request and prints it, and then what came back.
    pub(crate) async fn send(&self, from: &str, request: Request<Vec<u8>>) -> io::Result<Response<Vec<u8>>> {
        let uri = request.uri().clone();
        let origin = format!("http://{}", uri.authority().map_or("", |host| host.as_str()));
        let to = self.names.get(&origin).copied().unwrap_or("nobody we know");
        println!("\n   {from} -> {to}\n   {} {}", request.method(), uri.path());
        print_pairs("       ?", uri.query().unwrap_or_default());
        print_headers(request.headers());
        print_body(request.headers(), request.body());

        let answer = self.http.request(request.map(|body| Full::new(body.into()))).await;
        let (head, body) = answer.map_err(io::Error::other)?.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes().to_vec();
        println!("\n   {from} <- {to}\n   {}", head.status);
        print_headers(&head.headers);
        print_body(&head.headers, &body);
        Ok(Response::from_parts(head, body))
    }
}

/// The headers that carry the story.
fn print_headers(headers: &HeaderMap) {
    for name in [header::AUTHORIZATION, header::COOKIE, header::SET_COOKIE, header::CONTENT_TYPE] {
        for value in headers.get_all(&name) {
            println!("     {name}: {}", short(value.to_str().unwrap_or("(not text)")));
        }
    }
    if let Some(target) = headers.get(header::LOCATION).and_then(|value| value.to_str().ok()) {
        let (target, query) = target.split_once('?').unwrap_or((target, ""));
        println!("     location: {target}");
        print_pairs("       ?", query);
    }
}

fn print_body(headers: &HeaderMap, body: &[u8]) {
    let text = String::from_utf8_lossy(body);
    match headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) {
        Some("application/x-www-form-urlencoded") => print_pairs("      ", &text),
        Some("application/json") => print_json(&text),
        Some(html) if html.starts_with("text/html") => {
            println!("       the page \"{}\"", between(&text, "<title>", "</title>").unwrap_or("?"));
        }
        _ if text.is_empty() => {}
        _ => println!("       {text}"),
    }
}

fn print_pairs(margin: &str, encoded: &str) {
    for (name, value) in form_urlencoded::parse(encoded.as_bytes()) {
        println!("{margin} {name} = {}", short(&value));
    }
}

fn print_json(text: &str) {
    match serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text) {
        Ok(object) => object.iter().for_each(|(name, value)| match value.as_str() {
            Some(text) => println!("       {name}: {}", short(text)),
            None => println!("       {name}: {value}"),
        }),
        Err(_) => println!("       {text}"),
    }
}

/// Long words in the middle of which nothing is to be seen.
fn short(text: &str) -> String {
    let word = |word: &str| match word.char_indices().nth(16) {
        Some((end, _)) if word.len() > 36 && !word.contains("://") => format!("{}…", &word[..end]),
        _ => word.to_owned(),
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// What stands between two marks.
pub(crate) fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}
