//! A provider as strangers see it: an address that answers over HTTP, or does not.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use crate::tally::Tally;

/// Nobody waits for longer; every answer comes within half of it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The way to one provider. Cloning copies pointers.
#[derive(Clone, Debug)]
pub struct Door {
    origin: Arc<str>,
    http: Client<HttpConnector, Full<Bytes>>,
    tally: Arc<Tally>,
}

/// What became of a request.
#[derive(Debug)]
pub enum Said {
    /// Status 2xx or 3xx.
    Yes(Answer),
    /// Status 4xx.
    No(Answer),
    /// No answer, or 503: it may have been done, or not.
    Unknown,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Answer {
    /// A header, empty if there is none.
    pub fn header(&self, name: header::HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The `name=value` of the cookie that it sets.
    pub fn cookie(&self) -> Option<String> {
        let cookie = self.header(header::SET_COOKIE).split(';').next()?;
        (!cookie.is_empty()).then(|| cookie.to_owned())
    }

    /// A hidden field of the form on a page.
    pub fn form_token(&self) -> Option<&str> {
        let (_, rest) = self.body.split_once(r#"name="form_token" value=""#)?;
        rest.split('"').next()
    }

    /// A parameter of the address that it redirects to.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let (_, query) = self.header(header::LOCATION).split_once('?')?;
        let query: Vec<(String, String)> = serde_urlencoded::from_str(query).ok()?;
        query.into_iter().find_map(|(known, value)| (known == name).then_some(value))
    }

    /// A member of a JSON body, empty if there is none.
    pub fn member(&self, name: &str) -> String {
        let json: Value = serde_json::from_str(&self.body).unwrap_or_default();
        json[name].as_str().unwrap_or_default().to_owned()
    }
}

impl Door {
    /// The way to whoever listens at `origin`.
    pub fn new(origin: &str, tally: &Arc<Tally>) -> Self {
        // What was sent and not answered is the client's to repeat, who has to know.
        let http = Client::builder(TokioExecutor::new()).retry_canceled_requests(false).build_http();
        Self { origin: origin.into(), http, tally: Arc::clone(tally) }
    }

    /// Where the counts are.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Looks at a page, as a browser with this cookie.
    pub async fn page(&self, path: &str, cookie: Option<&str>) -> Said {
        self.send(Method::GET, path, cookie.map(|cookie| (header::COOKIE, cookie.to_owned())), String::new()).await
    }

    /// Sends the form of a page, as a browser with this cookie.
    pub async fn submit(&self, path: &str, cookie: Option<&str>, fields: &[(&str, &str)]) -> Said {
        let cookie = cookie.map(|cookie| (header::COOKIE, cookie.to_owned()));
        self.send(Method::POST, path, cookie, form(fields)).await
    }

    /// Sends a client's request.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Said {
        self.send(Method::POST, path, None, form(fields)).await
    }

    /// Registers a client.
    pub async fn register(&self, metadata: &Value) -> Said {
        let json = (header::CONTENT_TYPE, "application/json".to_owned());
        self.send(Method::POST, "/v1/oauth2/register", Some(json), metadata.to_string()).await
    }

    /// Calls the API with a token.
    pub async fn call(&self, access_token: &str) -> Said {
        let credentials = (header::AUTHORIZATION, format!("Bearer {access_token}"));
        self.send(Method::GET, "/v1/whoami", Some(credentials), String::new()).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        extra: Option<(header::HeaderName, String)>,
        body: String,
    ) -> Said {
        let mut request = Request::builder().method(&method).uri(format!("{}{path}", self.origin));
        if method == Method::POST {
            request = request.header("sec-fetch-site", "same-origin");
            if extra.as_ref().is_none_or(|(name, _)| name != header::CONTENT_TYPE) {
                request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            }
        }
        if let Some((name, value)) = extra {
            request = request.header(name, value);
        }
        let request = request.body(Full::from(body)).expect("a request is well-formed");
        match tokio::time::timeout(PATIENCE, self.exchange(request)).await {
            Ok(Ok(answer)) => self.judge(&method, path, answer),
            Ok(Err(Lost::Unreached)) => Said::Unknown,
            Ok(Err(Lost::Sent)) => {
                self.tally.lost();
                Said::Unknown
            }
            Err(_) => {
                self.tally.wrong(format!("{method} {path} is not answered within {PATIENCE:?}"));
                Said::Unknown
            }
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, Lost> {
        let lost = |error: hyper_util::client::legacy::Error| match error.is_connect() {
            true => Lost::Unreached,
            false => Lost::Sent,
        };
        let (head, body) = self.http.request(request).await.map_err(lost)?.into_parts();
        let body = body.collect().await.map_err(|_| Lost::Sent)?.to_bytes();
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Answer { status: head.status, headers: head.headers, body })
    }

    /// What is not answered as it must be at any time is wrong here and now.
    fn judge(&self, method: &Method, path: &str, answer: Answer) -> Said {
        let path = path.split('?').next().unwrap_or(path);
        self.tally.answered();
        match answer.status {
            status if status.is_success() || status.is_redirection() => Said::Yes(answer),
            status if status.is_client_error() => Said::No(answer),
            StatusCode::SERVICE_UNAVAILABLE => {
                self.tally.unavailable();
                // A page of the site's own says it in words.
                let page = path.ends_with("/auth") || path.ends_with("/login");
                if !page && answer.header(header::RETRY_AFTER).is_empty() {
                    self.tally.wrong(format!("{method} {path} is 503 without Retry-After: {}", answer.body));
                }
                Said::Unknown
            }
            status => {
                self.tally.wrong(format!("{method} {path} is {status}: {}", answer.body));
                Said::Unknown
            }
        }
    }
}

enum Lost {
    /// Nobody listened.
    Unreached,
    /// It was sent, maybe.
    Sent,
}

fn form(fields: &[(&str, &str)]) -> String {
    serde_urlencoded::to_string(fields).expect("text is encodable")
}
