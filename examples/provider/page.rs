//! An HTML page, and the headers that every page of a site with accounts should have.

use std::future::ready;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use tower_oauth::escape;

/// Nothing is loaded but our own style sheet and icon, and nobody may put the page into a frame.
///
/// There is no `form-action`: Chrome applies it to the redirects that follow a form, and the last of these leads to the
/// client.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'";

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
{frame}
<main>
{main}
</main>
</body>
</html>
"#,
            title = escape(&self.title),
            brand = self.brand,
            frame = frame(self.brand),
            main = self.main,
        )
    }
}

/// How every page of a brand begins: with the way home.
pub(crate) fn frame(brand: &str) -> String {
    format!(
        r#"<body data-brand="{brand}">
<header><a href="/">{brand}</a></header>"#
    )
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

/// What the pages load: the one style sheet, and an icon in the colour of the brand.
pub(crate) fn assets<S: Clone + Send + Sync + 'static>(colour: &str) -> Router<S> {
    let asset = |content_type: &'static str, body: Bytes| {
        let headers = [(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "max-age=300")];
        get(move || ready((headers, body)))
    };
    let icon = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 3 3"><rect width="3" height="3" rx="1" fill="{colour}"/></svg>"#
    );
    Router::new()
        .route("/style.css", asset("text/css; charset=utf-8", Bytes::from_static(include_bytes!("style.css"))))
        .route("/favicon.ico", asset("image/svg+xml", icon.into()))
}
