use std::any::{Any, TypeId};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use http::Extensions;
use serde_json::{Map, Value};

use super::require::Require;
use crate::grant::{ACR, Grant};
use crate::types::{ClientId, Issuer, Resource, Scope, Subject, Thumbprint, UnixTime};

/// What a good token says: who is calling, through which client, and what it may do.
///
/// The bearer layer puts it into the request's extensions; in axum it is an extractor, also with the user that
/// [`.user(..)`](crate::BearerLayer::user) found: `Authorized<User>`.
#[derive(Clone)]
pub struct Authorized<U = ()> {
    source: Source,
    /// The type of the user that the same layer put beside it; another one in the extensions is somebody else's.
    /// As a function, which is half as long as the id, since every check of a token moves it.
    found: Option<fn() -> TypeId>,
    /// Of most tokens none, so that it is behind a pointer.
    bound_to: Option<Arc<Bound>>,
    user: U,
}

/// The key that a token is bound to.
#[derive(Clone, Copy)]
struct Bound {
    key: Thumbprint,
    /// Whether the layer saw a proof of it. No verifier can say so.
    proven: bool,
}

#[derive(Clone)]
enum Source {
    /// A token of our own.
    Grant(Granted),
    /// One that somebody else verified.
    Verified(Arc<Verified>),
}

#[derive(Clone)]
struct Granted {
    grant: Arc<Grant>,
    scope_mask: u64,
    resource_mask: u16,
    expires_at: UnixTime,
    /// Made when somebody asks for it, if it is less than the grant's.
    scope: OnceLock<Scope>,
}

#[derive(Clone)]
struct Verified {
    issuer: Option<Issuer>,
    client: ClientId,
    subject: Option<Subject>,
    scope: Scope,
    resources: Vec<Resource>,
    expires_at: SystemTime,
    claims: Option<Map<String, Value>>,
}

/// Says that the layer above is `.optional()`, so that an absent token is told from a forgotten layer.
#[derive(Clone, Copy)]
pub(crate) struct Optional;

impl Authorized {
    /// What a [verifier](crate::Verify) of an app's own found. Without a subject the client acts for itself.
    ///
    /// That the token is not beyond `expires_at` is the verifier's to check.
    #[must_use]
    pub fn new(client: impl Into<ClientId>, subject: Option<Subject>, scope: Scope, expires_at: SystemTime) -> Self {
        let (issuer, client, resources, claims) = (None, client.into(), Vec::new(), None);
        let verified = Verified { issuer, client, subject, scope, resources, expires_at, claims };
        Self { source: Source::Verified(Arc::new(verified)), found: None, bound_to: None, user: () }
    }

    /// For which APIs a verifier found the token to be, `aud`. A layer with a
    /// [resource](crate::BearerLayer::resource) refuses a token that names none.
    #[must_use]
    pub fn for_resources(mut self, resources: impl IntoIterator<Item = Resource>) -> Self {
        if let Source::Verified(verified) = &mut self.source {
            Arc::make_mut(verified).resources = resources.into_iter().collect();
        }
        self
    }

    /// Who issued the token, `iss`.
    #[must_use]
    pub fn from_issuer(mut self, issuer: impl Into<Issuer>) -> Self {
        if let Source::Verified(verified) = &mut self.source {
            Arc::make_mut(verified).issuer = Some(issuer.into());
        }
        self
    }

    /// To which key of its client the token is bound, `cnf.jkt`
    /// ([RFC 9449 §6](https://www.rfc-editor.org/rfc/rfc9449#section-6)). The layer refuses it without a proof of that key,
    /// and where [nobody asks for proofs](crate::bearer#proofs).
    #[must_use]
    pub fn bound_to(mut self, key: Thumbprint) -> Self {
        self.bound_to = Some(Arc::new(Bound { key, proven: false }));
        self
    }

    /// What else a verifier learned of the token, for [`claims`](Self::claims).
    #[must_use]
    pub fn with_claims(mut self, claims: Map<String, Value>) -> Self {
        if let Source::Verified(verified) = &mut self.source {
            Arc::make_mut(verified).claims = Some(claims);
        }
        self
    }

    pub(crate) const fn of_grant(grant: Arc<Grant>, scope_mask: u64, resource_mask: u16, expires_at: UnixTime) -> Self {
        let granted = Granted { grant, scope_mask, resource_mask, expires_at, scope: OnceLock::new() };
        Self { source: Source::Grant(granted), found: None, bound_to: None, user: () }
    }

    #[cfg(feature = "jwt")]
    pub(super) fn proven(mut self) -> Self {
        self.bound_to = self.bound_to.map(|bound| Arc::new(Bound { proven: true, ..*bound }));
        self
    }

    /// Notes that a user of this type stands beside it.
    pub(super) fn found<U: 'static>(mut self) -> Self {
        self.found = Some(TypeId::of::<U>);
        self
    }
}

impl<U> Authorized<U> {
    /// Who is calling, `sub`: the user, or the client where it acts for itself.
    ///
    /// Look no user up by it: a client can be named like one. For that there is [`user_subject`](Self::user_subject).
    #[must_use]
    pub fn subject(&self) -> &str {
        self.user_subject().map_or_else(|| self.client_id().as_str(), Subject::as_str)
    }

    /// The user; `None` where a client acts for itself. A client id is never a user.
    #[must_use]
    pub fn user_subject(&self) -> Option<&Subject> {
        match &self.source {
            Source::Grant(granted) => granted.grant.subject(),
            Source::Verified(verified) => verified.subject.as_ref(),
        }
    }

    /// Through which client.
    #[must_use]
    pub fn client_id(&self) -> &ClientId {
        match &self.source {
            Source::Grant(granted) => granted.grant.client_id(),
            Source::Verified(verified) => &verified.client,
        }
    }

    /// What this token may do, which can be less than its grant.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        match &self.source {
            Source::Grant(granted) => granted.scope.get_or_init(|| granted.grant.scope().masked(granted.scope_mask)),
            Source::Verified(verified) => &verified.scope,
        }
    }

    /// Whether this token has a scope.
    #[must_use]
    pub fn has_scope(&self, name: &str) -> bool {
        match &self.source {
            Source::Grant(granted) => {
                let mut tokens = granted.grant.scope().iter().zip(0..);
                tokens.any(|(token, bit)| token == name && granted.scope_mask >> bit & 1 == 1)
            }
            Source::Verified(verified) => verified.scope.contains(name),
        }
    }

    /// For which APIs it is.
    pub fn resources(&self) -> impl Iterator<Item = &Resource> + '_ {
        let (resources, mask) = match &self.source {
            Source::Grant(granted) => (granted.grant.resources(), granted.resource_mask),
            Source::Verified(verified) => (&*verified.resources, u16::MAX),
        };
        Resource::masked(resources, mask)
    }

    /// When the token ends.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        match &self.source {
            Source::Grant(granted) => granted.expires_at.into(),
            Source::Verified(verified) => verified.expires_at,
        }
    }

    /// How the user proved who they are, `acr`, if the [page](crate::Approval::acr) or the issuer said so.
    #[must_use]
    pub fn acr(&self) -> Option<&str> {
        self.claims()?.get(ACR)?.as_str()
    }

    /// When the user last proved who they are, `auth_time`, if the [page](crate::Approval::auth_time) or the issuer said
    /// so. A refresh does not change it.
    #[must_use]
    pub fn auth_time(&self) -> Option<SystemTime> {
        match &self.source {
            Source::Grant(granted) => granted.grant.auth_time().map(Into::into),
            Source::Verified(verified) => {
                let seconds = verified.claims.as_ref()?.get("auth_time")?.as_u64()?;
                Some(UnixTime::from_secs(seconds.min(UnixTime::FAR_FUTURE.as_secs())).into())
            }
        }
    }

    /// Who issued the token, `iss`; `None` where a [verifier](crate::Verify) of an app's own did not say.
    ///
    /// A user of one issuer is nobody at another: where several are trusted, look users up by both.
    #[must_use]
    pub fn issuer(&self) -> Option<&Issuer> {
        match &self.source {
            Source::Grant(granted) => Some(&granted.grant.issuer),
            Source::Verified(verified) => verified.issuer.as_ref(),
        }
    }

    /// The key of its client that the token is bound to, and that was proved for this request; `None` where whoever has the
    /// token can use it.
    #[must_use]
    pub fn key(&self) -> Option<Thumbprint> {
        self.bound_to.as_ref().map(|bound| bound.key)
    }

    /// What the app attached when it approved ([`Approval::claim`](crate::Approval::claim)). Of a token that was verified
    /// as a JWT or by introspection: each claim that has no method here, and `acr` and `auth_time`.
    #[must_use]
    pub fn claims(&self) -> Option<&Map<String, Value>> {
        match &self.source {
            Source::Grant(granted) => granted.grant.claims(),
            Source::Verified(verified) => verified.claims.as_ref(),
        }
    }

    /// The grant that the token is of; `None` where somebody else verified it.
    #[must_use]
    pub fn grant(&self) -> Option<&Grant> {
        match &self.source {
            Source::Grant(granted) => Some(&granted.grant),
            Source::Verified(_) => None,
        }
    }

    /// The user that the layer found.
    #[must_use]
    pub fn user(&self) -> &U {
        &self.user
    }

    /// The user that the layer found.
    #[must_use]
    pub fn into_user(self) -> U {
        self.user
    }

    pub(crate) const fn is_bound(&self) -> bool {
        self.bound_to.is_some()
    }

    pub(crate) fn is_proven(&self) -> bool {
        self.bound_to.as_ref().is_some_and(|bound| bound.proven)
    }

    /// Whether the token is for what lies at `place`.
    pub(crate) fn is_for(&self, place: &Resource) -> bool {
        self.resources().any(|resource| resource.covers(place))
    }

    pub(crate) fn satisfies(&self, require: &Require) -> bool {
        require.groups().all(|mut names| names.any(|name| self.has_scope(name)))
    }
}

impl<U: Clone + Send + Sync + 'static> Authorized<U> {
    /// What a bearer layer above put into a request's extensions, for services outside axum. Without a user write
    /// `Authorized::<()>::from_extensions(..)`.
    #[must_use]
    pub fn from_extensions(extensions: &Extensions) -> Option<Self> {
        let Authorized { source, found, bound_to, user: () } = extensions.get::<Authorized>().cloned()?;
        let nobody: &dyn Any = &();
        let user = match nobody.downcast_ref::<U>() {
            Some(nobody) => nobody.clone(),
            None if found.is_some_and(|found| found() == TypeId::of::<U>()) => extensions.get::<U>()?.clone(),
            None => return None,
        };
        Some(Self { source, found, bound_to, user })
    }
}

impl<U> fmt::Debug for Authorized<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorized")
            .field("client", self.client_id())
            .field("subject", &self.user_subject())
            .field("scope", self.scope())
            .finish_non_exhaustive()
    }
}
