//! The clients of two stores: while they move from an old one to a new one.

#[path = "support/down.rs"]
mod down;
mod support;

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};

use down::Down;
use http::{StatusCode, header};
use support::{App, ISSUER, SECRET, app, basic, builder, form, request, send};
use tower_oauth::testing::ManualClock;
use tower_oauth::{Client, ClientId, ClientStore, GrantType, Issuer, Layered, MemoryStore, RegistrationPolicy};

const OTHER: &str = "another-secret-of-32-characters-or-more";

/// A store with machine clients of one secret.
fn store(clients: &[&str], secret: &str) -> MemoryStore {
    let store = MemoryStore::new();
    for id in clients {
        let client = Client::confidential(*id, secret).grant_types([GrantType::ClientCredentials]);
        store.insert(ISSUER, client).expect("a good client");
    }
    store
}

fn site(clients: impl ClientStore) -> App {
    let policy = RegistrationPolicy::open().limit(1);
    let builder = builder(&ManualClock::default()).clients(clients).registration(policy);
    app(&builder.build().expect("a good configuration"))
}

async fn asks(app: &App, id: &str, secret: &str) -> StatusCode {
    let request = form("/token", &[("grant_type", "client_credentials")]);
    send(app, basic(request, id, secret)).await.status
}

#[tokio::test]
async fn a_client_is_looked_for_in_the_new_store_and_then_in_the_old_one() {
    let app = site(Layered(store(&["moved", "new"], SECRET), store(&["moved", "old"], OTHER)));
    assert_eq!(asks(&app, "new", SECRET).await, StatusCode::OK);
    assert_eq!(asks(&app, "old", OTHER).await, StatusCode::OK);
    assert_eq!(asks(&app, "moved", SECRET).await, StatusCode::OK, "as it is in the new store");
    assert_eq!(asks(&app, "moved", OTHER).await, StatusCode::UNAUTHORIZED, "and not as it was in the old one");
    assert_eq!(asks(&app, "nobody", SECRET).await, StatusCode::UNAUTHORIZED);
}

/// A second move while the first one is under way.
#[tokio::test]
async fn layers_may_lie_on_layers() {
    let oldest = Layered(store(&["old"], SECRET), store(&["oldest"], SECRET));
    let app = site(Layered(store(&["new"], SECRET), oldest.clone()));
    for id in ["new", "old", "oldest"] {
        assert_eq!(asks(&app, id, SECRET).await, StatusCode::OK, "{id}");
    }
    // What is on top hides all that is under it.
    let app = site(Layered(oldest, store(&["old", "oldest", "new"], OTHER)));
    for (id, secret) in [("old", SECRET), ("oldest", SECRET), ("new", OTHER)] {
        assert_eq!(asks(&app, id, secret).await, StatusCode::OK, "{id}");
    }
}

#[tokio::test]
async fn clients_register_themselves_in_the_new_store() {
    let (new, old) = (store(&[], SECRET), store(&[], SECRET));
    let app = site(Layered(new.clone(), old.clone()));
    let register = async || {
        let mut request = request(http::Method::POST, "/register");
        request.headers_mut().insert(header::CONTENT_TYPE, "application/json".parse().expect("a header"));
        *request.body_mut() = r#"{"redirect_uris":["https://app.example/cb"]}"#.into();
        send(&app, request).await
    };
    let answer = register().await;
    assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    let id = answer.json()["client_id"].as_str().expect("an id").into();
    let Ok(kept) = new.client(&ISSUER.into(), &id).await;
    assert!(kept.is_some());
    let Ok(kept) = old.client(&ISSUER.into(), &id).await;
    assert!(kept.is_none());
    assert_eq!(register().await.status, StatusCode::SERVICE_UNAVAILABLE, "the new one counts them");
}

/// A store to which its client is moved just after it was asked for it first.
struct Moving(MemoryStore, AtomicBool);

impl ClientStore for Moving {
    type Error = Infallible;

    async fn client(&self, issuer: &Issuer, id: &ClientId) -> Result<Option<Client>, Infallible> {
        if self.1.swap(true, Ordering::SeqCst) { self.0.client(issuer, id).await } else { Ok(None) }
    }
}

#[tokio::test]
async fn a_client_that_is_moved_while_it_is_looked_for_is_found() {
    let moving = Moving(store(&["app"], SECRET), AtomicBool::new(false));
    let app = site(Layered(moving, store(&["app"], SECRET)));
    assert_eq!(asks(&app, "app", SECRET).await, StatusCode::OK);
}

/// Nobody knows what the new store says of a client while it says nothing. So the old one is not believed then.
#[tokio::test]
async fn a_store_that_is_down_is_503_where_its_answer_is_needed() {
    let app = site(Layered(Down, store(&["old"], SECRET)));
    assert_eq!(asks(&app, "old", SECRET).await, StatusCode::SERVICE_UNAVAILABLE);
    let app = site(Layered(store(&["new"], SECRET), Down));
    assert_eq!(asks(&app, "new", SECRET).await, StatusCode::OK);
    assert_eq!(asks(&app, "old", SECRET).await, StatusCode::SERVICE_UNAVAILABLE);
}
