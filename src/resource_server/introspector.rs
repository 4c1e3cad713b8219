mod answer;
mod back_off;
mod builder;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use self::answer::Active;
use self::back_off::BackOff;
use super::audience::here;
use super::cache::Cache;
use super::metadata::{Metadata, is_json};
use crate::bearer::{Authorized, BearerLayer, Credentials, Refusal, Verification, Verify};
use crate::clock::Clock;
use crate::error::{ProtocolError, StoreError};
use crate::fetch::{BoxError, Document, DynFetch, FetchError, Flight, MOST_BYTES};
use crate::span;
use crate::types::{Issuer, Resource, UnixTime, form_encode};

pub use self::builder::IntrospectorBuilder;

/// How many questions can be under way. Who comes then waits: anybody can make up tokens, and each costs one.
const AT_ONCE: usize = 64;
/// How many can be under way or wait. Who comes then is told to come again: what waits is in memory.
const MOST: usize = 1_024;
/// For how long anybody waits for an answer.
const LONGEST: Duration = Duration::from_secs(10);
/// What is said while nobody is asked.
const LEFT_ALONE: &str = "the introspection endpoint did not answer a moment ago";
/// For how long a refusal is remembered.
const REFUSED_FOR: Duration = Duration::from_secs(10);

/// Asks the authorization server what a token is worth
/// ([RFC 7662](https://www.rfc-editor.org/rfc/rfc7662)), whatever the token looks like. Cloning copies a pointer.
///
/// ```
/// # use std::convert::Infallible;
/// # use bytes::Bytes;
/// # use http::{Request, Response};
/// # struct MyClient;
/// # impl tower_oauth::Fetch for MyClient {
/// #     type Error = Infallible;
/// #     async fn fetch(&self, _request: Request<Bytes>) -> Result<Response<Bytes>, Infallible> {
/// #         Ok(Response::new(Bytes::new()))
/// #     }
/// # }
/// use tower_oauth::Introspector;
///
/// let introspector = Introspector::builder("https://api.example.com", "https://shift.example")
///     .credentials("api", "a-secret-of-32-characters-or-more") // as which it asks
///     .fetch(MyClient) // `HttpClient`, or whatever implements `Fetch`
///     .build()?;
/// let layer = introspector.bearer().require("profile");
/// # Ok::<_, tower_oauth::ConfigErrors>(())
/// ```
///
/// An answer is good for 30 seconds ([`remember_for`](IntrospectorBuilder::remember_for)), and never beyond the token's
/// own end; a refusal is for 10. Whoever comes with one token at once shares one question. A token is refused with a 401
/// that is not active, is not of the type `Bearer` or `DPoP`, or is of another issuer or for another resource; one that is
/// bound to a key of its client (`cnf`), unless the layer [asks for proofs](crate::bearer#proofs) of keys. An answer that says `active` has to have `token_type` and `client_id`, which RFC 7662 leaves open:
/// without the first it is no bearer token, without the second no answer. While the server does not answer in such a way,
/// or does not know these credentials, it is a 503 with `Retry-After`, and an [event](crate::event) has the reason, with the
/// feature `tracing` or `metrics`. A server from which no answer comes, or one that says that it is not there (429, 502, 503,
/// 504), is left alone for 5 seconds, in which every question is such a 503 at once; then one in 5 seconds tries.
#[derive(Clone)]
pub struct Introspector(Arc<Inner>);

struct Inner {
    /// What lies behind a layer that says nothing of it.
    resource: Resource,
    issuer: Issuer,
    endpoint: Endpoint,
    /// `client_secret_basic`.
    authorization: HeaderValue,
    fetch: Arc<dyn DynFetch>,
    clock: Arc<dyn Clock>,
    remember_for: Duration,
    /// By the digests of tokens, so that none of them is kept.
    active: Cache<Authorized>,
    /// Apart, so that no flood of tokens that are not good takes the place of those that are.
    refused: Cache<ProtocolError>,
    asking: Mutex<Asking>,
    at_once: Semaphore,
    back_off: BackOff,
}

/// Where tokens are introspected.
enum Endpoint {
    Given(Arc<str>),
    /// Where the metadata say.
    Named(Document<Metadata>),
}

/// What was heard of a token.
#[derive(Clone)]
enum Heard {
    Active(Authorized),
    Refused(ProtocolError),
    Nothing(FetchError),
}

/// The questions that are under way or wait, by the digests of their tokens.
type Asking = HashMap<[u8; 32], Flight<Heard>>;

impl Introspector {
    /// One that asks this issuer about tokens for what lies at the URL `resource`: a token has to be for it, or for one
    /// above it at a path boundary. A layer that is told of another [resource](BearerLayer::resource) takes tokens for
    /// that one instead; there is none that takes tokens for anybody.
    pub fn builder(resource: &str, issuer: impl Into<Issuer>) -> IntrospectorBuilder {
        IntrospectorBuilder::new(resource, issuer.into())
    }

    /// A layer that takes the tokens of this issuer, for this verifier's resource.
    pub fn bearer(&self) -> BearerLayer {
        BearerLayer::new(self.clone()).resource(self.0.resource.as_str()).clock(Arc::clone(&self.0.clock))
    }
}

impl Verify for Introspector {
    fn verify(&self, credentials: Credentials<'_>) -> Verification {
        let (token, place) = (credentials.token(), credentials.resource());
        let digest = Sha256::digest(token).into();
        if let Some(heard) = self.0.remembered(&digest) {
            return Verification::ready(here(heard.into(), place, &self.0.resource));
        }
        let (this, token, place) = (Arc::clone(&self.0), token.to_owned(), place.cloned());
        Verification::later(span::carried(async move {
            let heard = this.asked(digest, token).await;
            here(heard.into(), place.as_ref(), &this.resource)
        }))
    }
}

impl Inner {
    fn remembered(&self, digest: &[u8; 32]) -> Option<Heard> {
        let now = self.now();
        let active = self.active.get(digest, now).map(Heard::Active);
        active.or_else(|| self.refused.get(digest, now).map(Heard::Refused))
    }

    /// Joins who asks about this token, or begins.
    async fn asked(self: &Arc<Self>, digest: [u8; 32], token: String) -> Heard {
        let flight = {
            let mut asking = self.asking();
            // Whoever was asking until now has put down the answer first.
            if let Some(heard) = self.remembered(&digest) {
                return heard;
            }
            match asking.get(&digest).filter(|flight| flight.is_under_way()).cloned() {
                Some(flight) => flight,
                None if is_full(&mut asking) => {
                    return Heard::Nothing(self.nothing("too many questions are waiting"));
                }
                None => {
                    let flight = Flight::take_off(Arc::clone(self).ask(digest, token));
                    asking.insert(digest, flight.clone());
                    flight
                }
            }
        };
        flight.landed().await.unwrap_or_else(|| Heard::Nothing(self.nothing("the question was broken off")))
    }

    async fn ask(self: Arc<Self>, digest: [u8; 32], token: String) -> Heard {
        let begun = self.back_off.begun();
        let asked = timeout(LONGEST, self.answer(&token)).await;
        let heard = match asked.unwrap_or_else(|_| Err("no answer came in 10 seconds".into())) {
            Ok(Ok(Active { token, until })) => {
                self.active.insert(&digest, token.clone(), until, self.now());
                Heard::Active(token)
            }
            Ok(Err(why)) => {
                self.refused.insert(&digest, why, self.now().plus(REFUSED_FOR), self.now());
                Heard::Refused(why)
            }
            Err(cause) => {
                self.back_off.unanswered(begun, self.now());
                Heard::Nothing(self.nothing(cause))
            }
        };
        self.asking().remove(&digest);
        heard
    }

    /// RFC 7662 §2.1 and §2.2
    async fn answer(&self, token: &str) -> Result<Result<Active, ProtocolError>, BoxError> {
        let _place = self.at_once.acquire().await?;
        // Now, so that those who stood in line do not try one after the other.
        if !self.back_off.lets_ask(self.now()) {
            return Err(LEFT_ALONE.into());
        }
        let endpoint = match &self.endpoint {
            Endpoint::Given(url) => Arc::clone(url),
            Endpoint::Named(metadata) => {
                let metadata = metadata.get().await?;
                metadata.introspection_endpoint.as_deref().ok_or("the metadata have no introspection_endpoint")?.into()
            }
        };
        let form = form_encode(&[("token", token), ("token_type_hint", "access_token")]);
        let request = Request::post(&*endpoint)
            .header(header::AUTHORIZATION, &self.authorization)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .body(Bytes::from(form))?;
        let now = self.now();
        let response = self.fetch.fetch(request).await?;
        if !is_away(response.status()) {
            self.back_off.answered();
        }
        answer::read(&body(response)?, &self.issuer, now, now.plus(self.remember_for))
    }

    fn nothing(&self, cause: impl Into<BoxError>) -> FetchError {
        FetchError::new(self.issuer.as_str(), cause)
    }

    fn asking(&self) -> MutexGuard<'_, Asking> {
        self.asking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> UnixTime {
        self.clock.now().into()
    }
}

/// Whether nobody else can ask. Those whose tasks are gone make room.
fn is_full(asking: &mut Asking) -> bool {
    if asking.len() >= MOST {
        asking.retain(|_, flight| flight.is_under_way());
    }
    asking.len() >= MOST
}

/// What somebody says who stands before the server, or it itself while it can say no more (RFC 9110 §15.6, RFC 6585 §4).
fn is_away(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT
    )
}

/// What an answer says, if it is one. That these credentials are wrong is nothing that the caller could mend.
fn body(response: Response<Bytes>) -> Result<Bytes, BoxError> {
    match response.status() {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            return Err("the introspection endpoint refuses the credentials of this resource server".into());
        }
        status => return Err(format!("the introspection endpoint answered {status}").into()),
    }
    if !is_json(response.headers()) {
        return Err("the answer of the introspection endpoint is not application/json".into());
    }
    // Whoever fetched it.
    if response.body().len() > MOST_BYTES {
        return Err("the answer of the introspection endpoint is longer than 64 KiB".into());
    }
    Ok(response.into_body())
}

impl From<Heard> for Result<Authorized, Refusal> {
    fn from(heard: Heard) -> Self {
        match heard {
            Heard::Active(token) => Ok(token),
            Heard::Refused(why) => Err(Refusal::Refused(why)),
            Heard::Nothing(error) => Err(Refusal::Unavailable(StoreError::new(error))),
        }
    }
}

impl fmt::Debug for Introspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspector")
            .field("resource", &self.0.resource)
            .field("issuer", &self.0.issuer)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::Fetch;

    struct Down;

    impl Fetch for Down {
        type Error = &'static str;

        async fn fetch(&self, _: Request<Bytes>) -> Result<Response<Bytes>, &'static str> {
            Err("out of reach")
        }
    }

    /// Or else anybody who makes up tokens fills the memory.
    #[tokio::test]
    async fn nothing_is_left_of_a_question() {
        let builder = Introspector::builder("https://api.example", "https://shift.example").credentials("api", "x");
        let introspector = builder.fetch(Down).build().expect("a good configuration");
        for n in 0..3 {
            let heard = introspector.0.asked([n; 32], n.to_string()).await;
            assert!(matches!(heard, Heard::Nothing(_)));
        }
        assert!(introspector.0.asking().is_empty());
    }

    struct Silent;

    impl Fetch for Silent {
        type Error = &'static str;

        async fn fetch(&self, _: Request<Bytes>) -> Result<Response<Bytes>, &'static str> {
            std::future::pending().await
        }
    }

    /// Or else anybody who makes up tokens fills the memory while the server is slow.
    #[tokio::test]
    async fn no_more_than_so_many_questions_wait() {
        let builder = Introspector::builder("https://api.example", "https://shift.example").credentials("api", "x");
        let introspector = builder.fetch(Silent).build().expect("a good configuration").0;
        // Waited for no longer than it takes to begin.
        let ask = |n: usize| {
            let digest = Sha256::digest(n.to_string()).into();
            timeout(Duration::ZERO, introspector.asked(digest, n.to_string()))
        };
        for n in 0..MOST {
            assert!(ask(n).await.is_err(), "there is room for {n}");
        }
        assert!(matches!(ask(MOST).await, Ok(Heard::Nothing(_))), "it waits with the others");
        assert_eq!(introspector.asking().len(), MOST);
        assert!(ask(0).await.is_err(), "whoever asks about one of these tokens joins");
    }

    /// Or else a runtime that ended with its tasks would leave no room for ever.
    #[test]
    fn what_nobody_asks_any_more_makes_room() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let begun = |n: usize| (Sha256::digest(n.to_string()).into(), Flight::take_off(std::future::pending()));
        let mut asking: Asking = runtime.block_on(async { (0..MOST).map(begun).collect() });
        assert!(is_full(&mut asking));
        drop(runtime);
        assert!(!is_full(&mut asking));
        assert!(asking.is_empty());
    }
}
