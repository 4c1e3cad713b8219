//! What an operator may want to know of: every exchange, every refusal with its reason, and everything that looks like
//! an attack.
//!
//! One hook hears all of it ([`ProviderBuilder::on_event`](crate::ProviderBuilder::on_event)); where there is no provider, a
//! layer over a verifier tells what it refuses ([`BearerLayer::on_event`](crate::BearerLayer::on_event)). With the feature
//! `tracing` it is also logged, with the target `tower_oauth::audit`, and with the feature `metrics` counted, as
//! `oauth_events_total` with the labels `event` and `reason`.
//!
//! Nothing here opens anything: no token, code, secret or state is in an event, and a grant is named by its record's
//! [key](GrantKey), which is a hash.
//!
//! ```
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicUsize, Ordering};
//! use tower_oauth::event::{Event, EventKind};
//! use tower_oauth::{MemoryStore, Provider};
//!
//! let alarms = Arc::new(AtomicUsize::new(0));
//! let seen = Arc::clone(&alarms);
//! let provider = Provider::builder("https://shift.example")
//!     .store(MemoryStore::new())
//!     .on_event(move |event: &Event<'_>| match event.kind {
//!         // Somebody has a copy of a code or of a refresh token.
//!         EventKind::Replayed(_) => drop(seen.fetch_add(1, Ordering::Relaxed)),
//!         _ => {}
//!     })
//!     .build()?;
//! # Ok::<_, tower_oauth::ConfigErrors>(())
//! ```

use std::error::Error;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

#[cfg(feature = "tracing")]
use crate::error::Fault;
use crate::error::{ErrorCode, ProtocolError, StoreError};
use crate::grant::{Grant, RevocationReason};
use crate::handle::GrantKey;
use crate::types::{ClientId, Subject};

/// Something that happened, and to whom.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Event<'a> {
    /// What.
    pub kind: EventKind,
    /// Through which client, where one is known. A name that is not registered is not one.
    pub client: Option<&'a ClientId>,
    /// Which user, where one is known. Logs do not have it: add it here if your rules for personal data allow it.
    pub subject: Option<&'a Subject>,
    /// Which grant, where it is about one.
    pub grant: Option<GrantKey>,
    /// What the store, or a hook of the app, said when it could not answer.
    pub source: Option<&'a (dyn Error + 'static)>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventKind {
    /// A user approved a request, and there is a new grant.
    Approved,
    /// A user said no, or could not be asked (`prompt=none`).
    Denied(ProtocolError),
    /// A client got tokens for a code or for itself, or the app [issued](crate::Provider::issue) one.
    Issued,
    /// A client got new tokens for its refresh token.
    Refreshed,
    /// A client sent the refresh token that was just retired, and got the same successor: an answer was lost.
    Retried,
    /// A refresh token was one generation ahead of its record, so the store has lost a write.
    Ahead,
    /// A code or a retired refresh token was used again, so somebody holds a copy; the grant is revoked.
    Replayed(RevocationReason),
    /// A grant, or all the grants of a user or client, ended. Not told where it was [`Replayed`](Self::Replayed).
    Revoked(RevocationReason),
    /// A client gave one access token back, now or once more; its grant lives.
    TokenRevoked,
    /// A client pushed an authorization request; nobody has seen it yet.
    Pushed,
    /// A client registered itself.
    Registered,
    /// A client that registered itself replaced its registration.
    RegistrationUpdated,
    /// A client that registered itself deleted its registration. That its grants ended is told by itself.
    RegistrationDeleted,
    /// A client could not prove who it is.
    ClientRefused(ProtocolError),
    /// A request was refused.
    Refused(ProtocolError),
    /// A provider started whose clock is more than 2 seconds away from that of the store.
    ClockSkew,
    /// A store or a hook could not answer. Whoever asked, if anybody did, was told to try again.
    Unavailable,
}

impl EventKind {
    /// A name that stays the same from version to version.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Denied(_) => "denied",
            Self::Issued => "issued",
            Self::Refreshed => "refreshed",
            Self::Retried => "retried",
            Self::Ahead => "ahead",
            Self::Replayed(_) => "replayed",
            Self::Revoked(_) => "revoked",
            Self::TokenRevoked => "token_revoked",
            Self::Pushed => "pushed",
            Self::Registered => "registered",
            Self::RegistrationUpdated => "registration_updated",
            Self::RegistrationDeleted => "registration_deleted",
            Self::ClientRefused(_) => "client_refused",
            Self::Refused(_) => "refused",
            Self::ClockSkew => "clock_skew",
            Self::Unavailable => "unavailable",
        }
    }

    /// Why, as a code that stays the same from version to version: that of the
    /// [refusal](ProtocolError::reason) or of the [revocation](RevocationReason::as_str).
    #[must_use]
    pub const fn reason(self) -> Option<&'static str> {
        match self {
            Self::Denied(error) | Self::ClientRefused(error) | Self::Refused(error) => Some(error.reason()),
            Self::Replayed(reason) | Self::Revoked(reason) => Some(reason.as_str()),
            _ => None,
        }
    }
}

impl fmt::Display for Event<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.as_str())?;
        self.kind.reason().map_or(Ok(()), |reason| write!(f, ": {reason}"))
    }
}

impl<'a> Event<'a> {
    pub(crate) const fn new(kind: EventKind) -> Self {
        Self { kind, client: None, subject: None, grant: None, source: None }
    }

    /// Something that happened to a grant.
    pub(crate) const fn of(kind: EventKind, grant: &'a Grant) -> Self {
        Self { kind, client: Some(grant.client_id()), subject: grant.subject(), grant: Some(grant.key()), source: None }
    }

    /// A refusal, as what it means to an operator.
    pub(crate) fn refused(error: ProtocolError) -> Self {
        Self::new(match error.code() {
            _ if error == ProtocolError::UNAVAILABLE => EventKind::Unavailable,
            ErrorCode::InvalidClient => EventKind::ClientRefused(error),
            ErrorCode::AccessDenied | ErrorCode::LoginRequired | ErrorCode::ConsentRequired => EventKind::Denied(error),
            _ => EventKind::Refused(error),
        })
    }

    /// A store or a hook could not answer.
    pub(crate) fn unavailable(error: &'a StoreError) -> Self {
        Self { source: error.source(), ..Self::new(EventKind::Unavailable) }
    }

    pub(crate) const fn client(self, client: Option<&'a ClientId>) -> Self {
        Self { client, ..self }
    }
}

type Hook = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

/// Where events go.
#[derive(Clone, Default)]
pub(crate) struct Events(Option<Hook>);

impl Events {
    pub(crate) fn to(hook: impl Fn(&Event<'_>) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hook)))
    }

    pub(crate) fn tell(&self, event: &Event<'_>) {
        #[cfg(feature = "tracing")]
        log(event);
        #[cfg(feature = "metrics")]
        metrics::counter!(
            "oauth_events_total",
            "event" => event.kind.as_str(),
            "reason" => event.kind.reason().unwrap_or_default(),
        )
        .increment(1);
        if let Some(hook) = &self.0 {
            // Whoever listens must not stop what is under way: an exchange, a sweep.
            let _ = catch_unwind(AssertUnwindSafe(|| hook(event)));
        }
    }
}

/// One line for each event. No user is named: their grant is enough to find them by.
#[cfg(feature = "tracing")]
fn log(event: &Event<'_>) {
    macro_rules! line {
        ($level:ident) => {
            tracing::event!(
                target: "tower_oauth::audit",
                tracing::Level::$level,
                {
                    oauth.event = event.kind.as_str(),
                    oauth.reason = event.kind.reason(),
                    oauth.client_id = event.client.map(tracing::field::display),
                    oauth.grant = event.grant.map(tracing::field::display),
                    error = event.source,
                },
                "{event}"
            )
        };
    }
    match event.kind {
        EventKind::Unavailable => line!(ERROR),
        EventKind::Replayed(_) | EventKind::Ahead | EventKind::ClockSkew => line!(WARN),
        EventKind::Denied(error) | EventKind::Refused(error) if error.code().fault() == Fault::Server => line!(WARN),
        // Anybody can cause as many of these as they like.
        EventKind::Denied(ProtocolError::LOGIN_REQUIRED) => line!(DEBUG),
        EventKind::Refused(_) | EventKind::ClientRefused(_) | EventKind::Pushed => line!(DEBUG),
        _ => line!(INFO),
    }
}
