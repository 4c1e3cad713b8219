//! The registered error codes, and what goes wrong behind them.
//!
//! ```
//! use tower_oauth::{ErrorCode, Fault};
//!
//! assert_eq!(ErrorCode::InvalidGrant.as_str(), "invalid_grant");
//! assert_eq!(ErrorCode::TemporarilyUnavailable.fault(), Fault::Server);
//! ```

mod reasons;

use std::error::Error;
use std::fmt;

use crate::types::InvalidParams;

type BoxError = Box<dyn Error + Send + Sync>;

/// Who has to change something before the same request can succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The third-party app, or whoever sent the request.
    Client,
    /// The user, who said no or has to do something first.
    User,
    /// The provider or what it depends on.
    Server,
}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $wire:literal, $fault:ident;)*) => {
        /// An error code of the IANA registry "OAuth Extensions Errors", as it goes over the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorCode {
            $($(#[$doc])* $name,)*
        }

        impl ErrorCode {
            /// The wire form.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $wire,)* }
            }

            /// Who has to change something.
            #[must_use]
            pub const fn fault(self) -> Fault {
                match self { $(Self::$name => Fault::$fault,)* }
            }
        }
    };
}

error_codes! {
    /// A parameter is missing, repeated or malformed (RFC 6749 §4.1.2.1, §5.2; RFC 6750 §3.1).
    InvalidRequest = "invalid_request", Client;
    /// Client authentication failed (RFC 6749 §5.2).
    InvalidClient = "invalid_client", Client;
    /// The proof of a key is missing or not good for this request (RFC 9449 §5, §7.1).
    InvalidDpopProof = "invalid_dpop_proof", Client;
    /// The proof of a key lacks the server's nonce, or has an old one (RFC 9449 §8).
    UseDpopNonce = "use_dpop_nonce", Client;
    /// The code or refresh token is unknown, expired, used, revoked or another client's (RFC 6749 §5.2).
    InvalidGrant = "invalid_grant", Client;
    /// The client may not use this grant type or endpoint (RFC 6749 §4.1.2.1, §5.2).
    UnauthorizedClient = "unauthorized_client", Client;
    /// The provider does not know this grant type (RFC 6749 §5.2).
    UnsupportedGrantType = "unsupported_grant_type", Client;
    /// The provider does not know this response type (RFC 6749 §4.1.2.1).
    UnsupportedResponseType = "unsupported_response_type", Client;
    /// A scope is unknown, malformed or not this client's (RFC 6749 §4.1.2.1, §5.2).
    InvalidScope = "invalid_scope", Client;
    /// A resource is unknown or not covered by the grant (RFC 8707 §2).
    InvalidTarget = "invalid_target", Client;
    /// A redirect URI cannot be registered (RFC 7591 §3.2.2).
    InvalidRedirectUri = "invalid_redirect_uri", Client;
    /// A member of what a client registers is not taken (RFC 7591 §3.2.2).
    InvalidClientMetadata = "invalid_client_metadata", Client;
    /// Request objects are not taken (OpenID Connect Core §3.1.2.6).
    RequestNotSupported = "request_not_supported", Client;
    /// Request URIs are not taken (OpenID Connect Core §3.1.2.6).
    RequestUriNotSupported = "request_uri_not_supported", Client;
    /// The request URI is unknown, expired, used or another client's (RFC 9101 §7).
    InvalidRequestUri = "invalid_request_uri", Client;
    /// The access token is unknown, expired or revoked (RFC 6750 §3.1).
    InvalidToken = "invalid_token", Client;
    /// The access token lacks a scope (RFC 6750 §3.1).
    InsufficientScope = "insufficient_scope", Client;
    /// The user has to authenticate more recently or in another way (RFC 9470 §3).
    InsufficientUserAuthentication = "insufficient_user_authentication", User;
    /// The user did not authenticate as the request asks
    /// ([OpenID Connect Core Error Code unmet_authentication_requirements 1.0](https://openid.net/specs/openid-connect-unmet-authentication-requirements-1_0.html)).
    UnmetAuthenticationRequirements = "unmet_authentication_requirements", User;
    /// The user or the provider said no (RFC 6749 §4.1.2.1).
    AccessDenied = "access_denied", User;
    /// The user would have to log in, and the request forbids asking (OpenID Connect Core §3.1.2.6).
    LoginRequired = "login_required", User;
    /// The user would have to agree, and the request forbids asking (OpenID Connect Core §3.1.2.6).
    ConsentRequired = "consent_required", User;
    /// The provider is at fault (RFC 6749 §4.1.2.1).
    ServerError = "server_error", Server;
    /// The provider cannot answer now; later it can (RFC 6749 §4.1.2.1).
    TemporarilyUnavailable = "temporarily_unavailable", Server;
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error as it is told to a client: a registered code, and a sentence that never repeats what was sent.
///
/// Also what a page of the app's own for errors gets
/// ([`ProviderBuilder::error_page`](crate::ProviderBuilder::error_page)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProtocolError {
    code: ErrorCode,
    reason: &'static str,
    description: &'static str,
}

impl ProtocolError {
    const fn new(code: ErrorCode, reason: &'static str, description: &'static str) -> Self {
        Self { code, reason, description }
    }

    /// The same refusal, in the words of whoever knows more.
    pub(crate) const fn saying(self, description: &'static str) -> Self {
        Self { description, ..self }
    }

    /// The registered code.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        self.code
    }

    /// One sentence for the developer of the client. It has no character that would need escaping.
    #[must_use]
    pub const fn description(&self) -> &'static str {
        self.description
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.description)
    }
}

impl Error for ProtocolError {}

impl From<InvalidParams> for ProtocolError {
    fn from(why: InvalidParams) -> Self {
        match why {
            InvalidParams::TooMany => Self::PARAMETERS_TOO_MANY,
            InvalidParams::NotUtf8 => Self::PARAMETER_NOT_UTF8,
        }
    }
}

/// A store could not answer. On the wire this is 503 with `Retry-After`, never a refusal.
///
/// ```
/// use std::error::Error;
/// use tower_oauth::StoreError;
///
/// let error = StoreError::new("connection refused");
/// assert_eq!(error.source().unwrap().to_string(), "connection refused");
/// ```
pub struct StoreError(BoxError);

impl StoreError {
    /// Wraps what went wrong.
    pub fn new(error: impl Into<BoxError>) -> Self {
        Self(error.into())
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StoreError").field(&self.0).finish()
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the store could not answer")
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

/// What a store kept is no record of this version's: it was edited, or a later version wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidRecord(&'static str);

impl InvalidRecord {
    pub(crate) const fn new(what: &'static str) -> Self {
        Self(what)
    }
}

impl fmt::Display for InvalidRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a record cannot be read: {}", self.0)
    }
}

impl Error for InvalidRecord {}
