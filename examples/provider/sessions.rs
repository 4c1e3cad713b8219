//! Sessions in memory, each known to its browser by a cookie.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName, header};
use tokio::time::Instant;

/// So many at once; then the one that would end first makes room.
const AT_MOST: usize = 10_000;

/// 256 random bits. A browser without a session has such an id as well, for its forms to be bound to; nothing is kept
/// for it here.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct SessionId(String);

impl SessionId {
    pub(crate) fn random() -> Self {
        Self(BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()))
    }

    fn parse(value: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(value).ok()?;
        (bytes.len() == 32).then(|| Self(value.to_owned()))
    }
}

impl AsRef<[u8]> for SessionId {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// A session never changes: what changes it ends it and begins another, under a new id.
pub(crate) struct Sessions<T> {
    cookie: &'static str,
    secure: bool,
    lifetime: Duration,
    live: Mutex<HashMap<SessionId, (Instant, T)>>,
}

impl<T: Clone> Sessions<T> {
    /// `cookie` must be a name of this site's own: cookies are shared by all ports of a host.
    pub(crate) fn new(cookie: &'static str, secure: bool, lifetime: Duration) -> Self {
        Self { cookie, secure, lifetime, live: Mutex::default() }
    }

    pub(crate) fn begin(&self, value: T) -> SessionId {
        let id = SessionId::random();
        let now = Instant::now();
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.retain(|_, (end, _)| now < *end);
        if live.len() >= AT_MOST {
            let first = live.iter().min_by_key(|(_, (end, _))| *end);
            if let Some(first) = first.map(|(id, _)| id.clone()) {
                live.remove(&first);
            }
        }
        live.insert(id.clone(), (now + self.lifetime, value));
        id
    }

    pub(crate) fn end(&self, id: &SessionId) -> Option<T> {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.remove(id).filter(|(end, _)| Instant::now() < *end).map(|(_, value)| value)
    }

    /// The id that the browser sent, or a new one, and what is kept under it.
    pub(crate) fn of(&self, headers: &HeaderMap) -> (SessionId, Option<T>) {
        let id = cookies(headers)
            .filter(|(name, _)| *name == self.cookie)
            .find_map(|(_, value)| SessionId::parse(value))
            .unwrap_or_else(SessionId::random);
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let value = live.get(&id).filter(|(end, _)| Instant::now() < *end).map(|(_, value)| value.clone());
        (id, value)
    }

    /// The response header that makes the browser keep `id`.
    pub(crate) fn cookie(&self, id: &SessionId) -> [(HeaderName, String); 1] {
        let cookie = format!(
            "{}={}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax{}",
            self.cookie,
            id.0,
            self.lifetime.as_secs(),
            if self.secure { "; Secure" } else { "" },
        );
        [(header::SET_COOKIE, cookie)]
    }
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers
        .get_all(header::COOKIE)
        .into_iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
}
