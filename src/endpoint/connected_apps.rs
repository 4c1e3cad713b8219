use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::SystemTime;

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body::Body;
use humantime::format_rfc3339_seconds;
use serde_json::{Value, json};
use tower::Service;

use super::ResponseFuture;
use crate::bearer::UserAnswer;
use crate::error::ProtocolError;
use crate::http::{
    Failure, Reply, ResponseBody, SameOrigin, detached, error_page, failure, html, json, method_not_allowed, read_form,
    redirect, style_source,
};
use crate::page::escape;
use crate::provider::{ConnectedApp, Provider};
use crate::span::{self, Spanned};
use crate::types::{ClientId, Subject, UnixTime};

/// The page on which a user sees the apps with access to their account, and disconnects them (feature `pages`).
///
/// A browser gets HTML without scripts; a request that accepts `application/json` gets the same as JSON. A POST of
/// `client_id` ends every grant of this user at this client; it has to come from this site. Made by
/// [`Provider::connected_apps_page`]; an app that wants another page builds it on [`Provider::connected_apps`] and
/// [`Provider::disconnect`].
#[derive(Clone)]
pub struct ConnectedApps<W> {
    provider: Provider,
    same_origin: SameOrigin,
    who: W,
    look: Arc<Look>,
}

/// What the app says about the page's looks.
#[derive(Clone)]
struct Look {
    title: String,
    stylesheet: Option<String>,
    login: Option<String>,
}

impl Provider {
    /// The page of connected apps, for the user that `who` finds by a request's head, such as by its session's cookie.
    ///
    /// ```
    /// # use axum::Router;
    /// # use tower_oauth::{MemoryStore, Provider, Subject};
    /// # let provider = Provider::builder("https://shift.example").store(MemoryStore::new()).build()?;
    /// # fn session(_: &http::HeaderMap) -> Option<Subject> { None }
    /// let page = provider.connected_apps_page(async |head: http::request::Parts| session(&head.headers));
    /// let app: Router = Router::new().route_service("/account/apps", page.login("/login").stylesheet("/style.css"));
    /// # Ok::<_, tower_oauth::ConfigErrors>(())
    /// ```
    pub fn connected_apps_page<W, Fut>(&self, who: W) -> ConnectedApps<W>
    where
        W: Fn(Parts) -> Fut,
        Fut: Future,
        Fut::Output: UserAnswer<User = Subject>,
    {
        let look = Look { title: "Connected apps".to_owned(), stylesheet: None, login: None };
        ConnectedApps { provider: self.clone(), same_origin: SameOrigin::new(self), who, look: Arc::new(look) }
    }
}

impl<W> ConnectedApps<W> {
    /// The heading.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.look).title = title.into();
        self
    }

    /// A style sheet of this site in place of the built-in one. The page has `main`, `h1`, `ul.apps`, `li.app`, `h2`,
    /// `ul.scopes`, `p.used` and a `form` with a `button` for each app, and `p.none` where there is none.
    #[must_use]
    pub fn stylesheet(mut self, url: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.look).stylesheet = Some(url.into());
        self
    }

    /// Where a browser goes that nobody is logged in with. Without it the answer is 403.
    #[must_use]
    pub fn login(mut self, url: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.look).login = Some(url.into());
        self
    }
}

impl<W, Fut> ConnectedApps<W>
where
    W: Fn(Parts) -> Fut,
    Fut: Future,
    Fut::Output: UserAnswer<User = Subject>,
{
    async fn answer<B>(self, request: Request<B>) -> Reply
    where
        B: Body,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        if !matches!(head.method, Method::GET | Method::HEAD | Method::POST) {
            return method_not_allowed(&self.provider, "GET, HEAD, POST");
        }
        let as_json = accepts_json(&head.headers);
        let user = match (self.who)(head.clone()).await.answer() {
            Ok(Some(user)) => user,
            Ok(None) => return self.nobody(as_json),
            Err(error) => return self.refused(as_json, error),
        };
        let answered = if head.method == Method::POST {
            self.disconnect(&head.headers, body, user, as_json).await
        } else {
            self.show(&user, as_json).await
        };
        let mut reply = answered.unwrap_or_else(|failure| self.refused(as_json, failure));
        // Whichever it was, the same address has the other too.
        reply.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
        if head.method == Method::HEAD {
            *reply.body_mut() = ResponseBody::default();
        }
        reply
    }

    async fn show(&self, user: &Subject, as_json: bool) -> Result<Reply, Failure> {
        let apps = self.provider.connected_apps(user).await?;
        if as_json {
            let apps: Vec<Value> = apps.iter().map(|app| self.describe(app)).collect();
            return Ok(json(StatusCode::OK, &json!({ "apps": apps })));
        }
        let page = Page { look: &self.look, apps: &apps, provider: &self.provider };
        Ok(html(StatusCode::OK, page.to_string(), &POLICY))
    }

    async fn disconnect<B>(&self, headers: &HeaderMap, body: B, user: Subject, as_json: bool) -> Result<Reply, Failure>
    where
        B: Body,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        if !self.same_origin.allows(headers).await {
            return Err(ProtocolError::CROSS_SITE.into());
        }
        let params = read_form(headers, body).await?;
        let client = params.get("client_id").map(ClientId::from);
        let client = client.ok_or(ProtocolError::CLIENT_ID_MISSING)?;
        let provider = self.provider.clone();
        let ended = detached(async move { provider.disconnect(&user, &client).await }).await?;
        // A reference without a path: the page itself, wherever it is mounted.
        Ok(if as_json { json(StatusCode::OK, &json!({ "disconnected": ended })) } else { redirect("?") })
    }

    fn nobody(&self, as_json: bool) -> Reply {
        match &self.look.login {
            Some(login) if !as_json => redirect(login),
            // No event: whoever has no session can come as often as they like.
            _ => told(as_json, &ProtocolError::LOGIN_REQUIRED.saying("nobody is logged in").into()),
        }
    }

    fn refused(&self, as_json: bool, refused: impl Into<Failure>) -> Reply {
        let refused = refused.into();
        refused.report(&self.provider);
        told(as_json, &refused)
    }

    fn describe(&self, app: &ConnectedApp) -> Value {
        json!({
            "client_id": app.client_id.as_str(),
            "client_name": name_of(app),
            "scopes": app.scope.iter().map(|name| json!({"name": name, "description": self.provider.meaning(name)})).collect::<Vec<_>>(),
            "first_used": UnixTime::from(app.first_used).as_secs(),
            "last_used": UnixTime::from(app.last_used).as_secs(),
        })
    }
}

fn told(as_json: bool, refused: &Failure) -> Reply {
    if as_json { failure(refused) } else { error_page(refused, None) }
}

fn name_of(app: &ConnectedApp) -> &str {
    app.client.as_ref().map_or(app.client_id.as_str(), |client| client.client_name())
}

/// A browser accepts `text/html` and is never meant here.
fn accepts_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    accept.contains("application/json") && !accept.contains("text/html")
}

const STYLE: &str = "\
:root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif}\
body{margin:0;background:Canvas;color:CanvasText}\
main{box-sizing:border-box;width:min(100%,40rem);margin:0 auto;padding:2rem 1.25rem}\
h1{font-size:1.5rem;line-height:1.25;margin:0 0 1rem}\
h2{font-size:1.125rem;line-height:1.25;margin:0 0 .25rem;overflow-wrap:anywhere}\
ul{margin:0;padding:0;list-style:none}\
.app{border:1px solid color-mix(in srgb,CanvasText 20%,Canvas);border-radius:.75rem;padding:1rem;margin:0 0 1rem}\
.scopes{list-style:disc;padding:0 0 0 1.25rem;margin:0 0 .5rem}\
.used{margin:0 0 .75rem}\
button{font:inherit;padding:.5rem 1rem;border-radius:.5rem;border:1px solid currentColor;background:transparent;color:inherit;cursor:pointer}\
button:hover{background:color-mix(in srgb,CanvasText 8%,Canvas)}\
button:focus-visible{outline:3px solid Highlight;outline-offset:2px}";

/// The built-in style sheet or one of this site; forms of this site; nothing else.
static POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = style_source(STYLE);
    format!(
        "default-src 'none'; style-src 'self' {style}; img-src 'self'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'"
    )
});

struct Page<'a> {
    look: &'a Look,
    apps: &'a [ConnectedApp],
    provider: &'a Provider,
}

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = escape(&self.look.title);
        write!(
            f,
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>{title}</title>"
        )?;
        match &self.look.stylesheet {
            Some(url) => write!(f, "<link rel=\"stylesheet\" href=\"{}\">", escape(url))?,
            None => write!(f, "<style>{STYLE}</style>")?,
        }
        write!(f, "</head><body><main><h1>{title}</h1>")?;
        if self.apps.is_empty() {
            f.write_str("<p class=\"none\">No app has access to your account.</p>")?;
        } else {
            f.write_str("<ul class=\"apps\">")?;
            self.apps.iter().try_for_each(|app| self.app(f, app))?;
            f.write_str("</ul>")?;
        }
        f.write_str("</main></body></html>")
    }
}

impl Page<'_> {
    fn app(&self, f: &mut fmt::Formatter<'_>, app: &ConnectedApp) -> fmt::Result {
        let (name, id) = (escape(name_of(app)), escape(app.client_id.as_str()));
        write!(f, "<li class=\"app\"><h2>{name}</h2>")?;
        if !app.scope.is_empty() {
            f.write_str("<ul class=\"scopes\">")?;
            for scope in app.scope.iter() {
                write!(f, "<li>{}</li>", escape(self.provider.meaning(scope)))?;
            }
            f.write_str("</ul>")?;
        }
        write!(
            f,
            "<p class=\"used\">Connected {}, last used {}</p>\
             <form method=\"post\"><input type=\"hidden\" name=\"client_id\" value=\"{id}\">\
             <button aria-label=\"Disconnect {name}\">Disconnect</button></form></li>",
            Day(app.first_used),
            Day(app.last_used)
        )
    }
}

/// A day in UTC, as `2027-01-15`.
struct Day(SystemTime);

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format_rfc3339_seconds(self.0).to_string();
        let day = text.split('T').next().unwrap_or_default();
        write!(f, "<time datetime=\"{day}\">{day}</time>")
    }
}

impl<W, Fut, B> Service<Request<B>> for ConnectedApps<W>
where
    W: Fn(Parts) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future + Send + 'static,
    Fut::Output: UserAnswer<User = Subject>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Reply;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let page = self.clone();
        ResponseFuture::new(async move {
            let method = request.method().clone();
            let status = |reply: &Reply| Some(reply.status());
            // Where it is mounted is the app's to know.
            Ok(span::request(Spanned::Apps, method, None, status, page.answer(request)).await)
        })
    }
}

impl<W> fmt::Debug for ConnectedApps<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectedApps").finish_non_exhaustive()
    }
}
