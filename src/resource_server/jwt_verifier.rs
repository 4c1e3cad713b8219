mod builder;
mod by_shape;
mod feed;
mod issuer;
mod keys;
mod named;
mod now;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use self::feed::{Feed, Listed};
use self::keys::{KeySet, Keys};
use super::audience::here;
use super::cache::Cache;
use crate::bearer::{Authorized, BearerLayer, Credentials, Refusal, Verification, Verify};
use crate::clock::Clock;
use crate::error::{ProtocolError, StoreError};
use crate::fetch::BoxError;
use crate::jwt::access_token::{self, AccessClaims};
use crate::jwt::{Jws, JwtError};
use crate::span;
use crate::types::{Issuer, Resource, UnixTime};

pub use self::builder::JwtVerifierBuilder;
pub use self::by_shape::ByShape;
pub use self::issuer::TrustedIssuer;

/// Takes the access tokens of other issuers that are JWTs ([RFC 9068](https://www.rfc-editor.org/rfc/rfc9068)). Cloning
/// copies a pointer. See the [module docs](crate::resource_server) for an example.
#[derive(Clone)]
pub struct JwtVerifier(Arc<Inner>);

struct Inner {
    /// What lies behind a layer that says nothing of it.
    resource: Resource,
    issuers: Box<[Trusted]>,
    cache: Cache<Known>,
    clock: Arc<dyn Clock>,
    leeway: Duration,
}

/// An issuer, its keys, and what it revoked, if that is asked for.
struct Trusted {
    issuer: Issuer,
    keys: Keys,
    feed: Option<Feed>,
}

/// A token that was verified.
#[derive(Clone)]
struct Known {
    token: Authorized,
    /// Which of the issuers.
    issuer: usize,
    /// By which of its sets of keys.
    generation: u64,
    /// Which of its lists of what was revoked does not have it; 0 where none was looked at.
    listed: u64,
}

/// A token that was read, and whose signature nobody has looked at.
struct Read<'a> {
    token: Jws<'a>,
    issuer: usize,
}

type Verdict = Result<Authorized, Refusal>;

impl JwtVerifier {
    /// A verifier for what lies at this URL: a token has to be for it, or for one above it at a path boundary
    /// (RFC 9068 §4; [RFC 8707 §2](https://www.rfc-editor.org/rfc/rfc8707#section-2)). A layer that is told of another
    /// [resource](BearerLayer::resource) takes tokens for that one instead; there is none that takes tokens for anybody.
    pub fn builder(resource: &str) -> JwtVerifierBuilder {
        JwtVerifierBuilder::new(resource)
    }

    /// A layer that takes the tokens of these issuers, for this verifier's resource.
    pub fn bearer(&self) -> BearerLayer {
        BearerLayer::new(self.clone()).resource(self.0.resource.as_str()).clock(Arc::clone(&self.0.clock))
    }
}

impl Verify for JwtVerifier {
    /// Answers at once where the issuer's keys are there. A signature that is checked for the first time is checked
    /// within the call: that takes less time than to hand it to another thread.
    fn verify(&self, credentials: Credentials<'_>) -> Verification {
        let (token, place) = (credentials.token(), credentials.resource());
        if let Some(verdict) = self.0.at_once(token, self.0.now()) {
            return Verification::ready(here(verdict, place, &self.0.resource));
        }
        let (this, token, place) = (Arc::clone(&self.0), token.to_owned(), place.cloned());
        Verification::later(span::carried(async move {
            let verdict = this.waiting(&token).await;
            here(verdict, place.as_ref(), &this.resource)
        }))
    }
}

impl Inner {
    /// What can be told without a wait.
    fn at_once(&self, text: &str, now: UnixTime) -> Option<Verdict> {
        let known = match self.remembered(text, now) {
            Some(known) => known,
            None => match self.verified_at_once(text, now)? {
                Ok(known) => known,
                Err(refusal) => return Some(Err(refusal)),
            },
        };
        let Some(feed) = &self.issuers[known.issuer].feed else { return Some(Ok(known.token)) };
        if feed.generation(now) == Some(known.listed) {
            return Some(Ok(known.token));
        }
        Some(self.unless_revoked(text, known, &*feed.cached(now)?, now))
    }

    /// A token that was verified by the keys that are good now.
    fn remembered(&self, text: &str, now: UnixTime) -> Option<Known> {
        let known = self.cache.get(text.as_bytes(), now)?;
        let keys = &self.issuers[known.issuer].keys;
        let current = keys.generation(now).or_else(|| keys.cached(now).map(|set| set.generation));
        (current == Some(known.generation)).then_some(known)
    }

    fn verified_at_once(&self, text: &str, now: UnixTime) -> Option<Result<Known, Refusal>> {
        let read = match self.read(text, now) {
            Ok(read) => read,
            Err(why) => return Some(Err(refused(why))),
        };
        let keys = self.issuers[read.issuer].keys.cached(now)?;
        // One that nobody knows can be a new one.
        read.token.key(&keys.keys).ok()?;
        Some(self.judge(text, read, &keys, now))
    }

    /// The same, with a wait for the keys, and for what was revoked.
    async fn waiting(&self, text: &str) -> Verdict {
        let known = self.verified(text).await?;
        let Some(feed) = &self.issuers[known.issuer].feed else { return Ok(known.token) };
        let listed = feed.get().await.map_err(unavailable)?;
        self.unless_revoked(text, known, &listed, self.now())
    }

    async fn verified(&self, text: &str) -> Result<Known, Refusal> {
        let read = self.read(text, self.now()).map_err(refused)?;
        let keys = &self.issuers[read.issuer].keys;
        let mut set = keys.get(self.now()).await.map_err(unavailable)?;
        // The keys are old, or were read meanwhile, and often they are the same.
        if let Some(known) = self.cache.get(text.as_bytes(), self.now())
            && known.generation == set.generation
        {
            return Ok(known);
        }
        if read.token.key(&set.keys).is_err() {
            set = keys.newer(&set).await.map_err(unavailable)?;
        }
        self.judge(text, read, &set, self.now())
    }

    /// Looks a token up in the list of what was revoked, and remembers that it is not there.
    fn unless_revoked(&self, text: &str, known: Known, listed: &Listed, now: UnixTime) -> Verdict {
        if known.listed != listed.generation {
            if is_revoked(&known.token, listed)? {
                return Err(Refusal::Refused(ProtocolError::TOKEN_REVOKED));
            }
            let until = UnixTime::from(known.token.expires_at()).plus(self.leeway);
            self.cache.insert(text.as_bytes(), Known { listed: listed.generation, ..known.clone() }, until, now);
        }
        Ok(known.token)
    }

    /// All that costs little comes first, so that a token of another kind, issuer or time costs no signature and no wait.
    fn read<'a>(&self, text: &'a str, now: UnixTime) -> Result<Read<'a>, JwtError> {
        let token = Jws::read(text)?;
        let named = |trusted: &Trusted| token.claims.issuer.as_deref() == Some(trusted.issuer.as_str());
        let issuer = self.issuers.iter().position(named).ok_or(JwtError::AnotherIssuer)?;
        access_token::precheck(&token, &self.issuers[issuer].issuer, now, self.leeway)?;
        Ok(Read { token, issuer })
    }

    fn judge(&self, text: &str, read: Read<'_>, set: &KeySet, now: UnixTime) -> Result<Known, Refusal> {
        let Read { token, issuer } = read;
        let name = &self.issuers[issuer].issuer;
        let claims = access_token::verify(token, name, &set.keys, now, self.leeway).map_err(refused)?;
        let until = claims.expires_at.plus(self.leeway);
        let token = authorized(claims, name);
        let known = Known { token, issuer, generation: set.generation, listed: 0 };
        self.cache.insert(text.as_bytes(), known.clone(), until, now);
        Ok(known)
    }

    fn now(&self) -> UnixTime {
        self.clock.now().into()
    }
}

fn authorized(claims: AccessClaims, issuer: &Issuer) -> Authorized {
    let AccessClaims { subject, client, scope, resources, id, issued_at, expires_at, auth_time, bound_to, others } =
        claims;
    let mut claims = others;
    claims.insert("jti".to_owned(), id.into());
    claims.insert("iat".to_owned(), issued_at.as_secs().into());
    if let Some(auth_time) = auth_time {
        claims.insert("auth_time".to_owned(), auth_time.as_secs().into());
    }
    let token = Authorized::new(client, subject, scope, expires_at.into())
        .for_resources(resources)
        .from_issuer(issuer)
        .with_claims(claims);
    // The layer asks for the proof (RFC 7800 §3).
    bound_to.into_iter().fold(token, Authorized::bound_to)
}

/// By what the token says of itself: `jti` and `iat`.
fn is_revoked(token: &Authorized, listed: &Listed) -> Result<bool, Refusal> {
    let claim = |name| token.claims().and_then(|claims| claims.get(name));
    let (jti, iat) = (claim("jti").and_then(Value::as_str), claim("iat").and_then(Value::as_u64));
    let revoked = jti.zip(iat).and_then(|(jti, iat)| listed.list.revokes(jti, UnixTime::from_secs(iat)));
    revoked.ok_or_else(|| refused(JwtError::Malformed))
}

fn refused(why: JwtError) -> Refusal {
    Refusal::Refused(why.into())
}

fn unavailable(error: impl Into<BoxError>) -> Refusal {
    Refusal::Unavailable(StoreError::new(error))
}

impl fmt::Debug for JwtVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let issuers: Vec<_> = self.0.issuers.iter().map(|trusted| &trusted.issuer).collect();
        f.debug_struct("JwtVerifier")
            .field("resource", &self.0.resource)
            .field("issuers", &issuers)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, feature = "test-util"))]
mod tests {
    use std::convert::Infallible;

    use bytes::Bytes;
    use http::{Request, Response};

    use super::*;
    use crate::fetch::Fetch;
    use crate::testing::ManualClock;
    use crate::types::Scope;

    struct OneKey;

    impl Fetch for OneKey {
        type Error = Infallible;

        async fn fetch(&self, _: Request<Bytes>) -> Result<Response<Bytes>, Infallible> {
            let keys =
                r#"{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
            Ok(Response::new(Bytes::from_static(keys.as_bytes())))
        }
    }

    /// A text with no signature that is taken for a token has had none checked.
    #[tokio::test]
    async fn what_was_verified_costs_no_signature_while_the_keys_are_the_same() {
        let clock = ManualClock::default();
        let issuer = TrustedIssuer::from("https://shift.example").jwks_uri("https://shift.example/keys");
        let builder = JwtVerifier::builder("https://api.example").fetch(OneKey).clock(clock.clone());
        let verifier = builder.issuer(issuer).build().expect("a good configuration").0;
        let set = verifier.issuers[0].keys.get(verifier.now()).await.expect("one key");
        let token = Authorized::new("app", None, Scope::default(), UnixTime::FAR_FUTURE.into());
        let known = Known { token, issuer: 0, generation: set.generation, listed: 0 };
        verifier.cache.insert(b"text", known, UnixTime::FAR_FUTURE, verifier.now());
        for second in 0..100 {
            assert!(matches!(verifier.at_once("text", verifier.now()), Some(Ok(_))), "after {second} s");
            clock.advance(Duration::from_secs(1));
        }
        // By keys that are not the same it is verified anew.
        let known = verifier.cache.get(b"text", verifier.now()).expect("it is kept");
        let known = Known { generation: known.generation + 1, ..known };
        verifier.cache.insert(b"text", known, UnixTime::FAR_FUTURE, verifier.now());
        assert!(matches!(verifier.at_once("text", verifier.now()), Some(Err(_))));
    }
}
