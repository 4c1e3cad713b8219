//! The browser: keeps cookies, fills in forms, and is told when to follow a redirect.

use std::collections::BTreeMap;

use http::{HeaderMap, Method, Request, StatusCode, header};

use crate::Problem;
use crate::wire::{Wire, between};

/// All its sites are ports of one host, and share their cookies.
pub(crate) struct Browser {
    wire: Wire,
    cookies: BTreeMap<String, String>,
}

/// What came back.
pub(crate) struct Answer {
    url: String,
    pub(crate) status: StatusCode,
    headers: HeaderMap,
    pub(crate) text: String,
}

/// A page with a form that goes to the page's own address.
pub(crate) struct Form {
    url: String,
    pub(crate) html: String,
}

impl Browser {
    pub(crate) fn new(wire: Wire) -> Self {
        Self { wire, cookies: BTreeMap::new() }
    }

    pub(crate) async fn get(&mut self, url: &str) -> Result<Answer, Problem> {
        self.send(Method::GET, url, String::new()).await
    }

    /// Fills in the form's fields and sends it, hidden field included.
    pub(crate) async fn submit(&mut self, form: &Form, fields: &[(&str, &str)]) -> Result<Answer, Problem> {
        let token = between(&form.html, r#"name="form_token" value=""#, "\"").ok_or("no token in the form")?;
        let fields = [&[("form_token", token)], fields].concat();
        self.send(Method::POST, &form.url, serde_urlencoded::to_string(fields)?).await
    }

    async fn send(&mut self, method: Method, url: &str, form: String) -> Result<Answer, Problem> {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = Request::builder().method(&method).uri(url);
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        if method == Method::POST {
            request = request
                .header("sec-fetch-site", "same-origin")
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let (head, body) = self.wire.send("browser", request.body(form.into_bytes())?).await?.into_parts();
        self.keep_cookies(&head.headers);
        let text = String::from_utf8(body)?;
        Ok(Answer { url: url.into(), status: head.status, headers: head.headers, text })
    }

    fn keep_cookies(&mut self, headers: &HeaderMap) {
        for cookie in headers.get_all(header::SET_COOKIE).iter().filter_map(|line| line.to_str().ok()) {
            let pair = cookie.split(';').next().and_then(|pair| pair.split_once('='));
            self.cookies.extend(pair.map(|(name, value)| (name.to_owned(), value.to_owned())));
        }
    }
}

impl Answer {
    /// Where the answer sends the browser.
    pub(crate) fn redirect(&self) -> Result<String, Problem> {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.text);
        let target = self.headers.get(header::LOCATION).ok_or("no location")?.to_str()?;
        let origin = self.url.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        Ok(if target.starts_with('/') { origin + target } else { target.to_owned() })
    }

    pub(crate) fn page(self, title: &str) -> Result<Form, Problem> {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        let shown = between(&self.text, "<title>", "</title>").unwrap_or_default();
        assert!(shown.starts_with(title), "not {title}, but {shown}");
        Ok(Form { url: self.url, html: self.text })
    }
}
