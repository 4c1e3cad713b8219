//! What a client does with its own registration: RFC 7592.

#[path = "support/shelf.rs"]
mod shelf;
#[path = "support/site.rs"]
mod site;
mod support;

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};
use shelf::{Op, Shelf};
use site::{assert_refused, assert_uncached_json};
use support::{
    Answer, App, VERIFIER, WEB, app, authorization, basic, bearer, builder, challenge, code_of, form, request, seconds,
    send, with_members, with_query,
};
use tokio::sync::Barrier;
use tower_oauth::testing::ManualClock;
use tower_oauth::{
    Client, ClientId, ClientSecret, ClientStore, Issuer, Layered, MemoryStore, Provider, RegistrationPolicy,
    RegistrationTerms,
};

const ISSUER: &str = "https://shift.example";
const METADATA: &str = "invalid_client_metadata";

fn policy() -> RegistrationPolicy {
    RegistrationPolicy::open().scope("profile notes:read").management()
}

struct Place {
    app: App,
    provider: Provider,
    store: MemoryStore,
    clock: ManualClock,
}

fn place() -> Place {
    with(policy())
}

fn with(policy: RegistrationPolicy) -> Place {
    let (store, clock) = (MemoryStore::new(), ManualClock::default());
    let provider = builder(&clock).store(store.clone()).registration(policy).build().expect("a good configuration");
    Place { app: app(&provider), provider, store, clock }
}

/// A client, as it was answered.
struct Registered {
    answer: Value,
}

impl Registered {
    async fn at(app: &App, metadata: &Value) -> Self {
        let request = Request::post("/register").header(header::CONTENT_TYPE, "application/json");
        let answer = send(app, request.body(Body::from(metadata.to_string())).expect("a request")).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        assert_uncached_json(&answer);
        Self { answer: answer.json() }
    }

    fn text(&self, name: &str) -> &str {
        self.answer[name].as_str().unwrap_or_else(|| panic!("no {name} in {}", self.answer))
    }

    fn id(&self) -> &str {
        self.text("client_id")
    }

    fn token(&self) -> &str {
        self.text("registration_access_token")
    }

    fn path(&self) -> &str {
        self.text("registration_client_uri").strip_prefix(ISSUER).expect("a URL of the issuer")
    }

    /// Its metadata, as it sends them again (§2.2).
    fn metadata(&self) -> Value {
        let mut metadata = self.answer.clone();
        let members = metadata.as_object_mut().expect("an object");
        for name in
            ["registration_access_token", "registration_client_uri", "client_id_issued_at", "client_secret_expires_at"]
        {
            members.remove(name);
        }
        metadata
    }

    async fn get(&self, app: &App) -> Answer {
        send(app, bearer(self.path(), self.token())).await
    }

    async fn put(&self, app: &App, metadata: &Value) -> Answer {
        send(app, put(self.path(), self.token(), &metadata.to_string())).await
    }

    async fn delete(&self, app: &App) -> Answer {
        send(app, deletion(self.path(), self.token())).await
    }
}

fn put(uri: &str, token: &str, body: &str) -> Request<Body> {
    let mut request = bearer(uri, token);
    *request.method_mut() = Method::PUT;
    request.headers_mut().insert(header::CONTENT_TYPE, "application/json".parse().expect("a header"));
    *request.body_mut() = Body::from(body.to_owned());
    request
}

fn deletion(uri: &str, token: &str) -> Request<Body> {
    let mut request = bearer(uri, token);
    *request.method_mut() = Method::DELETE;
    request
}

fn web() -> Value {
    json!({"redirect_uris": [WEB], "grant_types": ["authorization_code", "refresh_token"]})
}

fn public() -> Value {
    with_members(web(), json!({"token_endpoint_auth_method": "none"}))
}

/// §2.1, RFC 6750 §3
#[track_caller]
fn assert_unauthorized(answer: &Answer) {
    assert_refused(answer, StatusCode::UNAUTHORIZED, "invalid_token");
    assert_eq!(answer.header(header::WWW_AUTHENTICATE), "Bearer realm=\"registration\", error=\"invalid_token\"");
}

async fn visit(app: &App, client: &str, redirect_uri: &str) -> Answer {
    let challenge = challenge(VERIFIER);
    send(app, form(&with_query("/authorize", &authorization(client, redirect_uri, &challenge)), &[])).await
}

async fn redeem(app: &App, client: &str, code: &str) -> Answer {
    let redemption = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", WEB),
        ("code_verifier", VERIFIER),
        ("client_id", client),
    ];
    send(app, form("/token", &redemption)).await
}

/// Whether the client is known by this secret.
async fn is_known(app: &App, client: &str, secret: &str) -> bool {
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    match &*send(app, basic(form("/token", &refresh), client, secret)).await.error() {
        "invalid_grant" => true,
        "invalid_client" => false,
        other => panic!("{other}"),
    }
}

// ---- read ------------------------------------------------------------------------------------------------------------

/// §2.1, §3: where, by what token, and all that is registered.
#[tokio::test]
async fn a_client_reads_all_that_it_registered() {
    let Place { app, clock, .. } = place();
    let sent = with_members(
        web(),
        json!({
            "client_name": "B\u{fc}cher", "client_uri": "https://web.example", "contacts": ["ops@web.example"],
            "software_id": "4NRB1", "scope": "notes:read", "jwks": {"keys": [{"kty": "oct"}]},
        }),
    );
    let client = Registered::at(&app, &sent).await;
    assert_eq!(client.text("registration_client_uri"), format!("{ISSUER}/register?client_id={}", client.id()));
    assert!(client.token().len() >= 43 && client.token() != client.text("client_secret"));
    clock.advance(seconds(1_000));
    let read = client.get(&app).await;
    assert_eq!(read.status, StatusCode::OK, "{read:?}");
    assert_uncached_json(&read);
    let mut expected = client.answer.clone();
    let members = expected.as_object_mut().expect("an object");
    // Of the secret there is a digest alone.
    assert!(members.remove("client_secret").is_some() && members.remove("client_secret_expires_at").is_some());
    assert_eq!(read.json(), expected);
    for (name, value) in sent.as_object().expect("an object") {
        assert_eq!(read.json()[name], *value, "{name}");
    }
    // A scheme in any case (RFC 9110 §11.1), as for the initial access token.
    let mut request = request(Method::GET, client.path());
    request
        .headers_mut()
        .insert(header::AUTHORIZATION, format!("bEARER {}", client.token()).parse().expect("a header"));
    assert_eq!(send(&app, request).await.json(), expected);
}

/// §2.1: a wrong token and a client that is none are told alike, as 401 and not 404.
#[tokio::test]
async fn whoever_has_not_the_token_learns_nothing() {
    let Place { app, store, .. } = place();
    let (one, two) = (Registered::at(&app, &web()).await, Registered::at(&app, &web()).await);
    store.insert(ISSUER, Client::public("operators").redirect_uri(WEB)).expect("a good client");
    let unknown = format!("/register?client_id={}", ClientSecret::generate().secret());
    let twice = format!("{}&client_id={}", one.path(), one.id());
    let mut bodies = Vec::new();
    for (uri, token) in [
        (one.path(), two.token()),
        (one.path(), one.text("client_secret")),
        (one.path(), "x"),
        (&unknown, one.token()),
        (&twice, one.token()),
        ("/register", one.token()),
        ("/register?client_id=", one.token()),
        ("/register?client_id=%00%C3%A9", one.token()),
        // Clients of the configuration, and of the operator's, have no token.
        ("/register?client_id=public", one.token()),
        ("/register?client_id=operators", one.token()),
        ("/register?client_id=operators", ""),
    ] {
        for asked in [bearer(uri, token), put(uri, token, &one.metadata().to_string()), deletion(uri, token)] {
            let answer = send(&app, asked).await;
            assert_unauthorized(&answer);
            bodies.push(answer.body);
        }
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1);
    // RFC 6750 §3.1: without a token no error is named.
    let none = send(&app, request(Method::GET, one.path())).await;
    assert_refused(&none, StatusCode::UNAUTHORIZED, "invalid_token");
    assert_eq!(none.header(header::WWW_AUTHENTICATE), "Bearer realm=\"registration\"");
    let basic = basic(request(Method::GET, one.path()), one.id(), one.text("client_secret"));
    assert_eq!(send(&app, basic).await.status, StatusCode::UNAUTHORIZED);
    for client in [&one, &two] {
        assert_eq!(client.get(&app).await.json()["client_id"], client.id());
    }
}

/// Off until it is asked for, also for a client that registered while it was on.
#[tokio::test]
async fn without_the_switch_nothing_is_managed() {
    let place = place();
    let client = Registered::at(&place.app, &public()).await;
    let off = builder(&place.clock).store(place.store.clone()).registration(RegistrationPolicy::open());
    let off = app(&off.build().expect("a good configuration"));
    for answer in [client.get(&off).await, client.put(&off, &public()).await, client.delete(&off).await] {
        assert_eq!((answer.status, answer.header(header::ALLOW)), (StatusCode::METHOD_NOT_ALLOWED, "POST"));
    }
    let request = Request::post("/register").header(header::CONTENT_TYPE, "application/json");
    let answer = send(&off, request.body(Body::from(public().to_string())).expect("a request")).await.json();
    for name in ["registration_access_token", "registration_client_uri"] {
        assert_eq!(answer[name], Value::Null);
    }
    // And who registered so has nothing to manage by later.
    let path = format!("/register?client_id={}", answer["client_id"].as_str().expect("an id"));
    assert_unauthorized(&send(&place.app, bearer(&path, "x")).await);
    let answer = send(&place.app, support::request(Method::PATCH, client.path())).await;
    let expected = (StatusCode::METHOD_NOT_ALLOWED, "POST, GET, PUT, DELETE");
    assert_eq!((answer.status, answer.header(header::ALLOW)), expected);
}

/// A client of the configuration is nobody's to change, though it registered itself once.
#[tokio::test]
async fn a_client_that_is_configured_manages_nothing() {
    let place = place();
    let client = Registered::at(&place.app, &public()).await;
    let Ok(kept) = place.store.client(&ISSUER.into(), &client.id().into()).await;
    let copy = Client::from_record(&kept.expect("it is kept").to_record()).expect("a good record");
    for adopted in [Client::public(client.id()).redirect_uri(WEB), copy] {
        let adopting = builder(&place.clock).store(place.store.clone()).registration(policy()).client(adopted);
        let app = app(&adopting.build().expect("a good configuration"));
        for answer in [client.get(&app).await, client.put(&app, &client.metadata()).await, client.delete(&app).await] {
            assert_unauthorized(&answer);
        }
    }
    assert_eq!(client.get(&place.app).await.status, StatusCode::OK);
}

/// While clients move from one store to another, each is managed where it is.
#[tokio::test]
async fn a_client_of_the_older_of_two_stores_manages_itself_there() {
    let old = place();
    let client = Registered::at(&old.app, &public()).await;
    let new = MemoryStore::new();
    let both = builder(&old.clock).store(new.clone()).clients(Layered(new.clone(), old.store.clone()));
    let both = app(&both.registration(policy()).build().expect("a good configuration"));
    let renamed = with_members(client.metadata(), json!({"client_name": "Renamed"}));
    assert_eq!(client.put(&both, &renamed).await.status, StatusCode::OK);
    assert_eq!(client.get(&old.app).await.json()["client_name"], "Renamed");
    assert_eq!(client.delete(&both).await.status, StatusCode::NO_CONTENT);
    assert_unauthorized(&client.get(&old.app).await);
    let client = Registered::at(&both, &public()).await;
    let Ok(kept) = new.client(&ISSUER.into(), &client.id().into()).await;
    assert!(kept.is_some());
    assert_eq!(client.delete(&both).await.status, StatusCode::NO_CONTENT);
}

// ---- replace ---------------------------------------------------------------------------------------------------------

/// §2.2: "MUST replace, not augment", and what is left out is gone.
#[tokio::test]
async fn a_client_replaces_its_registration() {
    const ELSEWHERE: &str = "https://web.example/elsewhere";
    let Place { app, .. } = place();
    let client =
        Registered::at(&app, &with_members(public(), json!({"client_name": "Old", "contacts": ["ops@web.example"]})))
            .await;
    let (id, token) = (client.id(), client.token());
    let sent = json!({
        "client_id": id, "redirect_uris": [ELSEWHERE], "token_endpoint_auth_method": "none", "software_id": "new",
        "scope": "notes:read",
    });
    let answer = client.put(&app, &sent).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_uncached_json(&answer);
    let expected = json!({
        "client_id": id,
        "client_id_issued_at": 1_800_000_000,
        "registration_access_token": token,
        "registration_client_uri": client.text("registration_client_uri"),
        "redirect_uris": [ELSEWHERE],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code"],
        "response_types": ["code"],
        "application_type": "web",
        "scope": "notes:read",
        "software_id": "new",
    });
    assert_eq!(answer.json(), expected);
    assert_eq!(client.get(&app).await.json(), expected);
    assert_eq!(visit(&app, id, WEB).await.status, StatusCode::BAD_REQUEST);
    assert!(visit(&app, id, ELSEWHERE).await.redirected("code").is_some());
    // What was answered can be sent again, without what is the provider's to say.
    assert_eq!(client.put(&app, &client.metadata()).await.json(), client.answer);
}

/// §2.2: the secret stays, and is the provider's to make.
#[tokio::test]
async fn a_secret_is_neither_chosen_nor_shown_again() {
    let Place { app, .. } = place();
    let client = Registered::at(&app, &web()).await;
    let (id, secret) = (client.id(), client.text("client_secret"));
    let sent = client.metadata();
    for secret in [json!(secret), Value::Null] {
        let answer = client.put(&app, &with_members(sent.clone(), json!({"client_secret": secret}))).await;
        assert_eq!((answer.status, &answer.json()["client_secret"]), (StatusCode::OK, &Value::Null), "{answer:?}");
    }
    for chosen in [json!("a-secret-of-its-own-with-32-characters"), json!(""), json!(7)] {
        let answer = client.put(&app, &with_members(sent.clone(), json!({"client_secret": chosen}))).await;
        assert_refused(&answer, StatusCode::BAD_REQUEST, METADATA);
    }
    assert!(is_known(&app, id, secret).await);
    // One that becomes public has none any more, and one that is no longer gets a new one, once.
    let public = with_members(sent.clone(), json!({"client_secret": null, "token_endpoint_auth_method": "none"}));
    assert_eq!(client.put(&app, &public).await.json()["token_endpoint_auth_method"], "none");
    assert!(!is_known(&app, id, secret).await);
    let confidential = with_members(public, json!({"token_endpoint_auth_method": "client_secret_basic"}));
    let answer = client.put(&app, &confidential).await.json();
    assert_eq!(answer["client_secret_expires_at"], 0);
    let new = answer["client_secret"].as_str().expect("a secret").to_owned();
    assert!(new != secret && is_known(&app, id, &new).await && !is_known(&app, id, secret).await);
    assert_eq!(client.get(&app).await.json()["client_secret"], Value::Null);
}

/// §2.2: it may become what it might have registered as, and nothing more; what is refused changes nothing.
#[tokio::test]
async fn what_is_not_taken_changes_nothing() {
    let Place { app, .. } = place();
    let (client, other) = (Registered::at(&app, &public()).await, Registered::at(&app, &public()).await);
    let before = client.get(&app).await.json();
    let with = |members: Value| with_members(client.metadata(), members).to_string();
    let bad = StatusCode::BAD_REQUEST;
    for (body, status, error) in [
        (with(json!({"client_id": other.id()})), bad, METADATA),
        (with(json!({"client_id": null})), bad, METADATA),
        (with(json!({"client_id": 7})), bad, METADATA),
        (with(json!({"registration_access_token": client.token()})), bad, METADATA),
        (with(json!({"registration_client_uri": "https://shift.example/register"})), bad, METADATA),
        (with(json!({"client_id_issued_at": 1_800_000_000})), bad, METADATA),
        (with(json!({"client_secret_expires_at": 0})), bad, METADATA),
        (with(json!({"client_secret": "a-secret-of-32-characters-or-more"})), bad, METADATA),
        (with(json!({"redirect_uris": ["javascript:alert(1)"]})), bad, "invalid_redirect_uri"),
        (with(json!({"redirect_uris": []})), bad, "invalid_redirect_uri"),
        (with(json!({"redirect_uris": ["http://127.0.0.1/cb", WEB]})), bad, "invalid_redirect_uri"),
        (with(json!({"scope": "admin"})), bad, METADATA),
        (with(json!({"client_name": "a\u{202e}b"})), bad, METADATA),
        (with(json!({"grant_types": ["client_credentials"]})), bad, METADATA),
        (with(json!({"token_endpoint_auth_method": "tls_client_auth"})), bad, METADATA),
        ("[]".to_owned(), bad, METADATA),
        ("{".to_owned(), bad, METADATA),
        (with(json!({"software_id": "x".repeat(70_000)})), StatusCode::PAYLOAD_TOO_LARGE, "invalid_request"),
    ] {
        assert_refused(&send(&app, put(client.path(), client.token(), &body)).await, status, error);
        assert_eq!(client.get(&app).await.json(), before, "{body}");
    }
    let mut no_json = put(client.path(), client.token(), &client.metadata().to_string());
    no_json.headers_mut().insert(header::CONTENT_TYPE, "text/plain".parse().expect("a header"));
    assert_refused(&send(&app, no_json).await, StatusCode::UNSUPPORTED_MEDIA_TYPE, METADATA);
    // Beyond the policy the scope is cut, as at registration.
    let answer = client.put(&app, &with_members(client.metadata(), json!({"scope": "notes:read notes:write"}))).await;
    assert_eq!(answer.json()["scope"], "notes:read");
}

/// What whoever operates the provider has set is no part of a registration.
#[tokio::test]
async fn what_the_operator_set_stays() {
    let Place { app, store, .. } = place();
    let client = Registered::at(&app, &public()).await;
    let id = ClientId::from(client.id());
    let set = |client: Client| client.access_token_lifetime(seconds(30)).name("Named by the operator");
    let Ok(set) = store.update_registered(&ISSUER.into(), &id, set).await;
    assert!(set.is_some());
    assert_eq!(client.get(&app).await.json()["client_name"], "Named by the operator");
    assert_eq!(client.put(&app, &client.metadata()).await.status, StatusCode::OK);
    assert_eq!(client.get(&app).await.json()["client_name"], Value::Null, "a name is the client's to say");
    let code = code_of(&app, client.id(), WEB, "profile").await;
    assert_eq!(redeem(&app, client.id(), &code).await.json()["expires_in"], 30);
}

// ---- delete ----------------------------------------------------------------------------------------------------------

/// §2.3
#[tokio::test]
async fn a_client_deletes_itself_and_all_that_it_was_granted() {
    let Place { app, .. } = with(policy().limit(2));
    let (client, other) = (Registered::at(&app, &public()).await, Registered::at(&app, &public()).await);
    let mut access = Vec::new();
    for client in [&client, &other] {
        let code = code_of(&app, client.id(), WEB, "profile").await;
        let tokens = redeem(&app, client.id(), &code).await.json();
        access.push(tokens["access_token"].as_str().expect("a token").to_owned());
    }
    let pending = code_of(&app, client.id(), WEB, "profile").await;
    let answer = client.delete(&app).await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::NO_CONTENT, ""), "{answer:?}");
    assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
    assert_eq!(send(&app, bearer("/me", &access[0])).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(send(&app, bearer("/me", &access[1])).await.status, StatusCode::OK, "another client's");
    assert_refused(&redeem(&app, client.id(), &pending).await, StatusCode::UNAUTHORIZED, "invalid_client");
    assert_eq!(visit(&app, client.id(), WEB).await.status, StatusCode::BAD_REQUEST);
    for answer in [client.get(&app).await, client.put(&app, &client.metadata()).await, client.delete(&app).await] {
        assert_unauthorized(&answer);
    }
    assert_eq!(other.get(&app).await.status, StatusCode::OK);
    // There is room for another one, which is another one.
    let next = Registered::at(&app, &public()).await;
    assert!(next.id() != client.id() && next.get(&app).await.status == StatusCode::OK);
}

/// A store that cannot answer is 503, and the client can try again.
#[tokio::test]
async fn a_client_whose_grants_cannot_be_ended_is_still_there() {
    let shelf = Shelf::default();
    let builder = builder(&ManualClock::default()).store((MemoryStore::new(), shelf.clone())).registration(policy());
    let app = app(&builder.build().expect("a good configuration"));
    let client = Registered::at(&app, &public()).await;
    code_of(&app, client.id(), WEB, "profile").await;
    shelf.take_down(&[Op::RevokeAll]);
    let answer = client.delete(&app).await;
    assert_refused(&answer, StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable");
    assert_eq!(client.get(&app).await.status, StatusCode::OK);
    shelf.repair();
    assert_eq!(client.delete(&app).await.status, StatusCode::NO_CONTENT);
    assert!(shelf.only().revoked().is_some());
}

/// Of many that delete and replace at once, the client is gone and counted once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn replacing_against_deleting_leaves_nothing() {
    let Place { app, .. } = with(policy().limit(1));
    for round in 0..100 {
        let client = Arc::new(Registered::at(&app, &public()).await);
        let barrier = Arc::new(Barrier::new(16));
        let running: Vec<_> = (0..16)
            .map(|number| {
                let (app, client, barrier) = (app.clone(), Arc::clone(&client), Arc::clone(&barrier));
                tokio::spawn(async move {
                    barrier.wait().await;
                    match number % 4 {
                        0 => client.delete(&app).await.status,
                        _ => client.put(&app, &client.metadata()).await.status,
                    }
                })
            })
            .collect();
        for task in running {
            let status = task.await.expect("it ends");
            assert!([200, 204, 401].contains(&status.as_u16()), "round {round}: {status}");
        }
        assert_unauthorized(&client.get(&app).await);
    }
}

// ---- the token -------------------------------------------------------------------------------------------------------

/// For a client that lost its token, or thinks that somebody else has it.
#[tokio::test]
async fn the_app_can_make_another_token() {
    let Place { app, provider, store, .. } = place();
    let client = Registered::at(&app, &public()).await;
    let renew = async |id: &str| provider.renew_registration_access_token(&id.into()).await.expect("it answers");
    let token = renew(client.id()).await.expect("it manages its registration");
    assert!(token.secret() != client.token() && token.secret().len() >= 43);
    assert_unauthorized(&client.get(&app).await);
    let read = send(&app, bearer(client.path(), token.secret())).await;
    assert_eq!(read.json()["registration_access_token"], token.secret());
    let sent = put(client.path(), token.secret(), &client.metadata().to_string());
    assert_eq!(send(&app, sent).await.status, StatusCode::OK);
    assert_unauthorized(&client.get(&app).await);
    assert_eq!(send(&app, deletion(client.path(), token.secret())).await.status, StatusCode::NO_CONTENT);
    store.insert(ISSUER, Client::public("operators").redirect_uri(WEB)).expect("a good client");
    for id in [client.id(), "public", "operators", "nobody"] {
        assert!(renew(id).await.is_none(), "{id}");
    }
}

/// A store that keeps no client that registered itself.
struct Fixed;

impl ClientStore for Fixed {
    type Error = Infallible;

    async fn client(&self, _: &Issuer, _: &ClientId) -> Result<Option<Client>, Infallible> {
        Ok(None)
    }

    async fn register(&self, _: &Issuer, _: Client, _: RegistrationTerms) -> Result<bool, Infallible> {
        Ok(true)
    }
}

#[test]
fn a_store_that_cannot_change_registrations_does_not_build() {
    let over = |policy| builder(&ManualClock::default()).clients(Fixed).registration(policy).build();
    let errors = over(policy()).expect_err("it is wrong");
    assert!(errors.iter().count() == 1 && errors.to_string().contains("leave `.management()` out"), "{errors}");
    assert!(over(RegistrationPolicy::open()).is_ok());
}
