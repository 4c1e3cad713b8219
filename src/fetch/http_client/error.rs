use std::error::Error;
use std::fmt;
use std::net::IpAddr;

use crate::fetch::BoxError;

/// Why there is no answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum HttpClientError {
    /// The URL is not one that is fetched.
    Url(&'static str),
    /// The host leads, possibly among others, to this address, which is not open to everybody.
    Address(IpAddr),
    /// The name cannot be resolved, or the other side does not speak as it should.
    Connection(BoxError),
    /// The answer has more than 64 KiB.
    TooLarge,
    /// The answer was not there in time.
    TimedOut,
    /// The client cannot be built.
    Configuration(BoxError),
}

impl HttpClientError {
    pub(super) fn connection(error: impl Into<BoxError>) -> Self {
        Self::Connection(error.into())
    }
}

impl fmt::Display for HttpClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(why) => write!(f, "the URL is not fetched: {why}"),
            Self::Address(address) => write!(f, "the host leads to {address}, which is not open to everybody"),
            Self::Connection(_) => f.write_str("the exchange failed"),
            Self::TooLarge => f.write_str("the answer has more than 64 KiB"),
            Self::TimedOut => f.write_str("the answer was not there in time"),
            Self::Configuration(_) => f.write_str("the client cannot be built"),
        }
    }
}

impl Error for HttpClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Connection(error) | Self::Configuration(error) => Some(&**error),
            _ => None,
        }
    }
}
