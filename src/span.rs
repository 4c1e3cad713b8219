//! Spans of `tracing` (feature `tracing`): a span for each request to an endpoint that decides
//! something, under its published path, and for each check of a token, with the names that OpenTelemetry has for HTTP and `oauth.*` for what it has no names for. Without the feature
//! these functions do nothing.

use http::{Method, StatusCode};

/// What a span is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spanned {
    Authorize,
    Token,
    Revoke,
    Introspect,
    Register,
    Push,
    #[cfg(feature = "jwt")]
    RevocationFeed,
    #[cfg(feature = "pages")]
    Apps,
}

#[cfg(feature = "tracing")]
mod with_tracing {
    pub(crate) use tracing::Span;
    use tracing::field::Empty;
    use tracing::{Instrument, info_span};

    use super::{Method, Spanned, StatusCode};

    /// Runs the answer to a request inside a span of its own.
    pub(crate) async fn request<T>(
        spanned: Spanned,
        method: Method,
        route: Option<&str>,
        status: impl FnOnce(&T) -> Option<StatusCode>,
        answer: impl Future<Output = T>,
    ) -> T {
        // The name of a span is part of its call site.
        macro_rules! span {
            ($name:literal) => {
                info_span!(
                    $name,
                    http.request.method = %method,
                    http.route = route,
                    http.response.status_code = Empty,
                    oauth.client_id = Empty,
                    oauth.grant_type = Empty,
                    oauth.error = Empty,
                )
            };
        }
        let span = match spanned {
            Spanned::Authorize => span!("oauth.authorize"),
            Spanned::Token => span!("oauth.token"),
            Spanned::Revoke => span!("oauth.revoke"),
            Spanned::Introspect => span!("oauth.introspect"),
            Spanned::Register => span!("oauth.register"),
            Spanned::Push => span!("oauth.push"),
            #[cfg(feature = "jwt")]
            Spanned::RevocationFeed => span!("oauth.revocation_feed"),
            #[cfg(feature = "pages")]
            Spanned::Apps => span!("oauth.apps"),
        };
        let answer = answer.instrument(span.clone()).await;
        if let Some(status) = status(&answer) {
            span.record("http.response.status_code", status.as_u16());
        }
        answer
    }

    /// Notes on the span of this request what is known only now.
    pub(crate) fn record(field: &'static str, value: &str) {
        Span::current().record(field, value);
    }

    /// Goes on with the span of whoever calls, on another task.
    pub(crate) fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> + use<F> {
        work.in_current_span()
    }

    /// The span of a check of a token; what is done within it is [in its scope](Span::in_scope).
    pub(crate) fn validate() -> Span {
        tracing::debug_span!("oauth.validate", oauth.client_id = Empty, oauth.error = Empty)
    }
}
#[cfg(feature = "tracing")]
pub(crate) use with_tracing::*;

#[cfg(not(feature = "tracing"))]
mod without {
    use super::{Method, Spanned, StatusCode};

    pub(crate) async fn request<T>(
        _: Spanned,
        _: Method,
        _: Option<&str>,
        _: impl FnOnce(&T) -> Option<StatusCode>,
        answer: impl Future<Output = T>,
    ) -> T {
        answer.await
    }

    pub(crate) fn record(_: &'static str, _: &str) {}

    pub(crate) fn carried<F: Future>(work: F) -> F {
        work
    }

    /// No span.
    pub(crate) struct Span;

    impl Span {
        pub(crate) fn in_scope<T>(&self, work: impl FnOnce() -> T) -> T {
            work()
        }
    }

    pub(crate) const fn validate() -> Span {
        Span
    }
}
#[cfg(not(feature = "tracing"))]
pub(crate) use without::*;
