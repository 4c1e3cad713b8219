//! Other servers, as a [`Fetch`] sees them: documents at URLs, counted, out of reach, or slow.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use tokio::sync::watch;
use tower_oauth::Fetch;

type Answers = Arc<dyn Fn(&Request<Bytes>) -> Response<Bytes> + Send + Sync>;

#[derive(Clone)]
pub struct Web(Arc<Inner>);

struct Inner {
    pages: Mutex<HashMap<String, Answers>>,
    /// Where no answer ever comes from.
    silent: Mutex<HashSet<String>>,
    asked: Mutex<Vec<Asked>>,
    /// Whether anything is out of reach.
    down: Mutex<bool>,
    /// Whether answers are held back.
    held: watch::Sender<bool>,
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub url: String,
    pub headers: HeaderMap,
    pub body: String,
}

impl Default for Web {
    fn default() -> Self {
        Self(Arc::new(Inner {
            pages: Mutex::default(),
            silent: Mutex::default(),
            asked: Mutex::default(),
            down: Mutex::default(),
            held: watch::Sender::new(false),
        }))
    }
}

/// A JSON document that is fresh for 5 minutes.
#[expect(clippy::needless_pass_by_value, reason = "so that a call is one line")]
pub fn document(body: impl ToString) -> Response<Bytes> {
    let answer = Response::builder().header(header::CONTENT_TYPE, "application/json");
    answer.header(header::CACHE_CONTROL, "max-age=300").body(Bytes::from(body.to_string())).expect("a response")
}

pub fn status(status: StatusCode) -> Response<Bytes> {
    let mut answer = Response::new(Bytes::new());
    *answer.status_mut() = status;
    answer
}

impl Web {
    /// What lies at a URL from now on.
    pub fn put(&self, url: &str, body: impl ToString) {
        let answer = document(body);
        self.answer(url, move |_| answer.clone());
    }

    pub fn answer(&self, url: &str, answers: impl Fn(&Request<Bytes>) -> Response<Bytes> + Send + Sync + 'static) {
        self.0.pages.lock().expect("no panic").insert(url.to_owned(), Arc::new(answers));
    }

    /// From now on no answer comes from a URL, and nobody hangs up.
    pub fn silence(&self, url: &str) {
        self.0.silent.lock().expect("no panic").insert(url.to_owned());
    }

    pub fn take_down(&self) {
        *self.0.down.lock().expect("no panic") = true;
    }

    pub fn repair(&self) {
        *self.0.down.lock().expect("no panic") = false;
    }

    /// No answer comes before [`release`](Self::release).
    pub fn hold(&self) {
        self.0.held.send_replace(true);
    }

    pub fn release(&self) {
        self.0.held.send_replace(false);
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.0.asked.lock().expect("no panic").clone()
    }

    /// How often somebody came for this.
    pub fn hits(&self, url: &str) -> usize {
        self.asked().iter().filter(|asked| asked.url == url).count()
    }

    /// How often somebody came for anything since the last time that this was asked.
    pub fn new_hits(&self) -> usize {
        std::mem::take(&mut *self.0.asked.lock().expect("no panic")).len()
    }
}

impl Fetch for Web {
    type Error = &'static str;

    async fn fetch(&self, request: Request<Bytes>) -> Result<Response<Bytes>, &'static str> {
        let url = request.uri().to_string();
        let body = String::from_utf8_lossy(request.body()).into_owned();
        let asked = Asked { url: url.clone(), headers: request.headers().clone(), body };
        self.0.asked.lock().expect("no panic").push(asked);
        if self.0.silent.lock().expect("no panic").contains(&url) {
            std::future::pending::<()>().await;
        }
        self.0.held.subscribe().wait_for(|held| !held).await.map_err(|_| "gone")?;
        if *self.0.down.lock().expect("no panic") {
            return Err("out of reach");
        }
        let answers = self.0.pages.lock().expect("no panic").get(&url).cloned();
        Ok(answers.map_or_else(|| status(StatusCode::NOT_FOUND), |answers| answers(&request)))
    }
}
