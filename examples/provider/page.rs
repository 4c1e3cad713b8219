//! An HTML page, and the headers that every page of a site with accounts should have.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use tower_oauth::escape;

/// Nothing is loaded but our own stylesheet, and nobody may put the page into a frame.
///
/// There is no `form-action`: Chrome applies it to the redirects that follow a form, and the last of these leads to the
/// client.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A page of a brand. `main` is HTML: whoever makes it has escaped what others wrote.
pub(crate) struct Page {
    brand: &'static str,
    status: StatusCode,
    title: String,
    main: String,
}

impl Page {
    pub(crate) fn new(brand: &'static str, title: impl Into<String>, main: String) -> Self {
        Self { brand, status: StatusCode::OK, title: title.into(), main }
    }

    pub(crate) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn html(&self) -> String {
        format!(
            r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} · {brand}</title>
<link rel="stylesheet" href="/style.css">
</head>
<body data-brand="{brand}">
<header><a href="/">{brand}</a></header>
<main>
{main}
</main>
</body>
</html>
"#,
            title = escape(&self.title),
            brand = self.brand,
            main = self.main,
        )
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CACHE_CONTROL, "no-store"),
            (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
            // With `no-referrer` browsers would send `Origin: null` with the page's own form.
            (header::REFERRER_POLICY, "same-origin"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        let mut response = (self.status, self.html()).into_response();
        for (name, value) in headers {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// Serves the one stylesheet, at `/style.css`.
pub(crate) async fn stylesheet() -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=300")];
    (headers, include_str!("style.css"))
}
