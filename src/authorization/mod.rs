//! The authorization request, the decision on it, and the answer that goes back to the client; all of it pure.

mod decision;
mod request;
mod response;

pub use decision::{Approval, Denial};
pub(crate) use request::{Draft, Rejection, ValidRequest};
pub(crate) use response::{code_redirect, error_redirect};
