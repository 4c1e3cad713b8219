//! The authorization request, the decision on it, and the answer that goes back to the client; all of it pure.

mod decision;
mod request;
mod request_uri;
mod response;

pub use decision::{Approval, Denial};
pub(crate) use request::{Draft, Rejection, ValidRequest};
pub(crate) use request_uri::{Pushed, RequestUris};
pub(crate) use response::{code_redirect, error_redirect};
