//! Who may log in.

use serde::Serialize;
use sha2::{Digest, Sha256};
use tower_oauth::Authorized;

#[derive(Debug, Serialize)]
pub(crate) struct User {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    /// In the clear because this is an example that prints it; yours keeps a slow hash (argon2) instead.
    #[serde(skip)]
    pub(crate) password: &'static str,
}

const USERS: [User; 2] =
    [User { id: "alice", name: "Alice", password: "wonderland" }, User { id: "bob", name: "Bob", password: "builder" }];

pub(crate) fn all() -> impl Iterator<Item = &'static User> {
    const { &USERS }.iter()
}

pub(super) fn find(id: &str) -> Option<&'static User> {
    all().find(|user| user.id == id)
}

/// The same work whether the user exists or not, so that the time tells nobody who has an account.
pub(super) fn authenticate(id: &str, password: &str) -> Option<&'static User> {
    let user = find(id);
    let right = user.map_or("", |user| user.password);
    let matches = Sha256::digest(right) == Sha256::digest(password);
    user.filter(|_| matches)
}

/// The user a token speaks for; `None` once the account is gone.
pub(super) async fn of_token(token: Authorized) -> Option<&'static User> {
    find(token.user_subject()?.as_str())
}
