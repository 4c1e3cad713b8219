//! How this crate reads what others publish: the metadata and the keys of issuers, the keys and the metadata of clients.
//!
//! Everything outbound goes through one [`Fetch`]. An app that has an HTTP client already makes it one:
//!
//! ```
//! use std::convert::Infallible;
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use tower_oauth::Fetch;
//!
//! struct OneAnswer;
//!
//! impl Fetch for OneAnswer {
//!     type Error = Infallible; // or reqwest::Error, ..
//!
//!     async fn fetch(&self, _request: Request<Bytes>) -> Result<Response<Bytes>, Infallible> {
//!         Ok(Response::new(Bytes::from_static(br#"{"keys":[]}"#)))
//!     }
//! }
//! ```

mod at_most;
// What needs no feature looks for less than what is looked for by key.
#[cfg_attr(not(feature = "jwt"), allow(dead_code, reason = "some of it is for keys"))]
mod document;
#[cfg_attr(not(feature = "jwt"), allow(dead_code, reason = "some of it is for keys"))]
mod documents;
mod erased;
mod flight;
mod freshness;
#[cfg(feature = "http-client")]
mod http_client;
mod pace;

use std::error::Error;

use bytes::Bytes;
use http::{Request, Response};

pub(crate) use at_most::AtMost;
pub(crate) use document::{Document, FetchError, Source, Terms, Unfit};
pub(crate) use documents::Documents;
pub(crate) use erased::DynFetch;
pub(crate) use flight::Flight;
#[cfg(feature = "http-client")]
pub use http_client::{HttpClient, HttpClientBuilder, HttpClientError};
pub(crate) use pace::Pace;

/// The most that is read of an answer where nothing else is said.
pub(crate) const MOST_BYTES: usize = 64 * 1024;

/// In a request's extensions: how many bytes its answer may have, where that is not 64 KiB. An issuer that is
/// [trusted](crate::resource_server) can have more to tell; who a stranger named is asked for that much at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MostBytes(usize);

impl MostBytes {
    /// So many bytes.
    #[must_use]
    pub const fn new(most: usize) -> Self {
        Self(most)
    }

    /// How many bytes.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0
    }
}

pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// Sends a request to another server and reads the whole answer.
///
/// What is asked for can be an address that a stranger chose, such as the `jwks_uri` with which a client registers
/// itself. Whoever implements this trait therefore keeps the bounds, since nobody above can:
///
/// - **where to**: `https` alone, and only to addresses that everybody can reach; looked at when the connection is made,
///   since a name can lead elsewhere a moment later;
/// - **redirects** are not followed: the answer is handed back as it came. Nor is a proxy asked that would look the name
///   up again;
/// - **size**: an answer of more than 64 KiB, or of more than the request's [`MostBytes`], is an error, before more of it
///   is read;
/// - **time**: an answer that is not there within 10 seconds, the connection included, is an error.
///
/// Answers of any status are `Ok`. Whoever asked decides what they mean, and keeps what is worth keeping: an answer comes
/// from the network, not from a cache.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot fetch",
    note = "`HttpClient` can (feature `http-client`); for a client of your own implement `Fetch`"
)]
pub trait Fetch: Send + Sync + 'static {
    /// What can go wrong before there is an answer.
    type Error: Into<BoxError>;

    /// The answer to one request, whose URI is absolute. Implementors write `async fn`.
    fn fetch(&self, request: Request<Bytes>) -> impl Future<Output = Result<Response<Bytes>, Self::Error>> + Send;
}
