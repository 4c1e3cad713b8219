use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::builder::JwtVerifierBuilder;
use super::cache::Cache;
use super::keys::{KeySet, Keys};
use crate::bearer::{Authorized, BearerLayer, Credentials, Refusal, Verification, Verify};
use crate::clock::Clock;
use crate::error::{ProtocolError, StoreError};
use crate::jwt::access_token::{self, AccessClaims};
use crate::jwt::{Jws, JwtError};
use crate::span;
use crate::types::{Issuer, Resource, UnixTime};

/// Takes the access tokens of other issuers that are JWTs ([RFC 9068](https://www.rfc-editor.org/rfc/rfc9068)). Cloning
/// copies a pointer. See the [module docs](crate::resource_server) for an example.
#[derive(Clone)]
pub struct JwtVerifier(pub(super) Arc<Inner>);

pub(super) struct Inner {
    /// What lies behind a layer that says nothing of it.
    pub(super) resource: Resource,
    pub(super) issuers: Box<[Trusted]>,
    pub(super) cache: Cache<Known>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) leeway: Duration,
}

/// An issuer, and its keys.
pub(super) struct Trusted {
    pub(super) issuer: Issuer,
    pub(super) keys: Keys,
}

/// A token that was verified.
#[derive(Clone)]
pub(super) struct Known {
    token: Authorized,
    /// Which of the issuers.
    issuer: usize,
    /// By which of its sets of keys.
    generation: u64,
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
        BearerLayer::new(self.clone()).resource(self.0.resource.as_str())
    }
}

impl Verify for JwtVerifier {
    /// Answers at once where the issuer's keys are there. A signature that is checked for the first time is checked
    /// within the call: that takes less time than to hand it to another thread.
    fn verify(&self, credentials: Credentials<'_>) -> Verification {
        let (token, here) = (credentials.token(), credentials.resource());
        if let Some(verdict) = self.0.at_once(token, self.0.now()) {
            return Verification::ready(self.0.here(verdict, here));
        }
        let (this, token, here) = (Arc::clone(&self.0), token.to_owned(), here.cloned());
        Verification::later(span::carried(async move {
            let verdict = this.waiting(&token).await;
            this.here(verdict, here.as_ref())
        }))
    }
}

impl Inner {
    /// What can be told without a wait.
    fn at_once(&self, text: &str, now: UnixTime) -> Option<Verdict> {
        if let Some(known) = self.cache.get(text.as_bytes(), now)
            && self.issuers[known.issuer].keys.generation(now) == Some(known.generation)
        {
            return Some(Ok(known.token));
        }
        let read = match self.read(text, now) {
            Ok(read) => read,
            Err(why) => return Some(Err(refused(why))),
        };
        let keys = self.issuers[read.issuer].keys.cached(now)?;
        // One that nobody knows can be a new one.
        read.token.key(&keys.keys).ok()?;
        Some(self.judge(text, read, &keys, now))
    }

    /// The same, with a wait for the keys.
    async fn waiting(&self, text: &str) -> Verdict {
        let read = self.read(text, self.now()).map_err(refused)?;
        let keys = &self.issuers[read.issuer].keys;
        let mut set = keys.get(self.now()).await.map_err(unavailable)?;
        if read.token.key(&set.keys).is_err() {
            set = keys.newer(&set).await.map_err(unavailable)?;
        }
        self.judge(text, read, &set, self.now())
    }

    /// All that costs little comes first, so that a token of another kind, issuer or time costs no signature and no wait.
    fn read<'a>(&self, text: &'a str, now: UnixTime) -> Result<Read<'a>, JwtError> {
        let token = Jws::read(text)?;
        let named = |trusted: &Trusted| token.claims.issuer.as_deref() == Some(trusted.issuer.as_str());
        let issuer = self.issuers.iter().position(named).ok_or(JwtError::AnotherIssuer)?;
        access_token::precheck(&token, &self.issuers[issuer].issuer, now, self.leeway)?;
        Ok(Read { token, issuer })
    }

    fn judge(&self, text: &str, read: Read<'_>, set: &KeySet, now: UnixTime) -> Verdict {
        let Read { token, issuer } = read;
        let name = &self.issuers[issuer].issuer;
        let claims = access_token::verify(token, name, &set.keys, now, self.leeway).map_err(refused)?;
        // Whoever presents such a token has to prove that they have the key, which nobody here asks for yet (RFC 7800 §3).
        if claims.others.contains_key("cnf") {
            return Err(Refusal::Refused(ProtocolError::TOKEN_BOUND));
        }
        let until = claims.expires_at.plus(self.leeway);
        let token = authorized(claims, name);
        let known = Known { token: token.clone(), issuer, generation: set.generation };
        self.cache.insert(text.as_bytes(), known, until, now);
        Ok(token)
    }

    /// Refuses what is for others, where the layer would not.
    fn here(&self, verdict: Verdict, here: Option<&Resource>) -> Verdict {
        let elsewhere = |token: &Authorized| here.is_none() && !token.is_for(&self.resource);
        match verdict {
            Ok(token) if elsewhere(&token) => Err(Refusal::Refused(ProtocolError::TOKEN_FOR_ANOTHER_RESOURCE)),
            verdict => verdict,
        }
    }

    fn now(&self) -> UnixTime {
        self.clock.now().into()
    }
}

fn authorized(claims: AccessClaims, issuer: &Issuer) -> Authorized {
    let AccessClaims { subject, client, scope, resources, id, issued_at, expires_at, auth_time, others } = claims;
    let mut claims = others;
    claims.insert("jti".to_owned(), id.into());
    claims.insert("iat".to_owned(), issued_at.as_secs().into());
    if let Some(auth_time) = auth_time {
        claims.insert("auth_time".to_owned(), auth_time.as_secs().into());
    }
    Authorized::new(client, subject, scope, expires_at.into())
        .for_resources(resources)
        .from_issuer(issuer)
        .with_claims(claims)
}

fn refused(why: JwtError) -> Refusal {
    Refusal::Refused(why.into())
}

pub(super) fn unavailable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Refusal {
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
