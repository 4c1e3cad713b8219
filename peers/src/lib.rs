//! A provider with an API on a socket, and what a browser does of the flow, for the crates that clients are written with.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use axum::routing::get;
use axum::{Json, Router};
use http::{Uri, header};
use oauth2::reqwest::redirect::Policy;
use oauth2::reqwest::{Client as Reqwest, Response, Url};
use oauth2::{AsyncHttpClient, HttpRequest, HttpResponse};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tower_oauth::{AuthMethod, AuthorizationRequest, Authorized, Client, GrantType, MemoryStore, Provider};

/// What the provider is called outside. TLS ends in front of it, as at a proxy: see [`Outside`].
pub const ISSUER: &str = "https://provider.example";
/// Where a browser goes back to.
pub const REDIRECT_URI: &str = "https://app.example/callback?from=provider";
/// A client's name in which everything has to be encoded that can be.
pub const ODD_ID: &str = "an app: \"50%+\" & more/=";
/// Its secret, likewise.
pub const ODD_SECRET: &str = "a secret: 100% of 32 characters + more & more/=";
/// The secret of the other confidential client.
pub const SECRET: &str = "another-secret-of-32-characters-or-more";

/// A provider that runs until it is stopped.
pub struct Site {
    /// The way to it.
    pub outside: Outside,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

fn provider() -> Provider {
    let all = [GrantType::AuthorizationCode, GrantType::RefreshToken, GrantType::ClientCredentials];
    Provider::builder(ISSUER)
        .store(MemoryStore::new())
        .scope("profile", "see your profile")
        .scope("notes", "read your notes")
        .client(Client::public("public").redirect_uri(REDIRECT_URI))
        .client(Client::confidential(ODD_ID, ODD_SECRET).redirect_uri(REDIRECT_URI).grant_types(all))
        .client(
            Client::confidential("post", SECRET)
                .token_endpoint_auth_method(AuthMethod::ClientSecretPost)
                .redirect_uri(REDIRECT_URI),
        )
        .build()
        .expect("a good configuration")
}

impl Site {
    /// A provider that approves whatever it is asked as alice, and says at `/me` who a token is.
    pub async fn start() -> Self {
        let provider = provider();
        let me = async |token: Authorized| {
            Json(
                json!({"sub": token.subject(), "client_id": token.client_id().as_str(), "scope": token.scope().to_string()}),
            )
        };
        let page = async || "May it?";
        let decide = async |request: AuthorizationRequest| request.approve("alice");
        let app = Router::new()
            .route("/authorize", get(page).post(decide))
            .route("/me", get(me).route_layer(provider.bearer().require("profile")))
            .layer(provider.layer());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let inside = listener.local_addr().expect("an address").to_string();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let stopped = async { stopped.await.unwrap_or_default() };
            axum::serve(listener, app).with_graceful_shutdown(stopped).await.expect("it serves");
        });
        // A client that follows redirects can be sent anywhere.
        let client = Reqwest::builder().redirect(Policy::none()).no_proxy().build().expect("a client");
        Self { outside: Outside { client, inside }, stop, task }
    }

    /// Stops it.
    pub async fn stop(self) {
        drop(self.outside);
        self.stop.send(()).expect("it still runs");
        self.task.await.expect("it ends well");
    }
}

/// The network between a client and the provider: `https` goes in, and what ends TLS passes it on to a socket.
pub struct Outside {
    client: Reqwest,
    inside: String,
}

impl Outside {
    fn inside(&self, url: &str) -> String {
        let path = url.strip_prefix(ISSUER).filter(|rest| rest.starts_with('/'));
        let path = path.unwrap_or_else(|| panic!("{url} is not the provider's"));
        format!("http://{}{path}", self.inside)
    }

    /// What is published of the provider.
    pub async fn metadata(&self) -> Value {
        let url = format!("{ISSUER}/.well-known/oauth-authorization-server");
        let answer = self.client.get(self.inside(&url)).send().await.expect("an answer");
        read_json(answer).await
    }

    /// What the API says to a token: the status, and who it is.
    pub async fn me(&self, token: &str) -> (u16, Value) {
        let url = self.inside(&format!("{ISSUER}/me"));
        let answer = self.client.get(url).bearer_auth(token).send().await.expect("an answer");
        let status = answer.status().as_u16();
        (status, if status == 200 { read_json(answer).await } else { Value::Null })
    }

    /// What a browser does: it looks at the page, sends the page's form, and is sent back with these parameters.
    pub async fn browse(&self, url: &Url) -> BTreeMap<String, String> {
        let page = self.client.get(self.inside(url.as_str())).send().await.expect("a page");
        assert_eq!(page.status(), 200, "{page:?}");
        let form = self.client.post(self.inside(url.as_str())).header(header::ORIGIN, ISSUER);
        let sent = form.send().await.expect("an answer");
        assert_eq!(sent.status(), 303, "{sent:?}");
        let location = sent.headers()[header::LOCATION].to_str().expect("text");
        let query = location.strip_prefix(REDIRECT_URI).unwrap_or_else(|| panic!("sent to {location}"));
        Url::parse(&format!("{ISSUER}/?{query}")).expect("a URL").query_pairs().into_owned().collect()
    }
}

async fn read_json(answer: Response) -> Value {
    let body = answer.bytes().await.expect("a body");
    serde_json::from_slice(&body).expect("JSON")
}

/// The crate's own client over HTTP, with another address.
impl<'c> AsyncHttpClient<'c> for Outside {
    type Error = <Reqwest as AsyncHttpClient<'c>>::Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Self::Error>> + Send + Sync + 'c>>;

    fn call(&'c self, mut request: HttpRequest) -> Self::Future {
        let inside = self.inside(&request.uri().to_string());
        *request.uri_mut() = inside.parse::<Uri>().expect("a URL");
        self.client.call(request)
    }
}
