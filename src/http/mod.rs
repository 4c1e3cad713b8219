//! What the endpoints need of HTTP: bodies, forms, client authentication, replies.

mod body;
#[cfg(feature = "jwt")]
mod client_assertion;
mod client_authentication;
mod dpop;
mod failure;
mod form;
mod reply;
mod same_origin;
mod whole_path;

use std::mem;

pub use body::{NoBody, ResponseBody};
pub(crate) use client_authentication::{Errand, authenticate};
pub(crate) use dpop::{DPOP, DPOP_NONCE, dpop_proof};
pub(crate) use failure::Failure;
pub(crate) use form::{read_form, read_json};
pub(crate) use reply::{Reply, bare, error_page, failure, json, method_not_allowed, public_json, redirect};
#[cfg(feature = "pages")]
pub(crate) use reply::{html, style_source};

pub(crate) use same_origin::SameOrigin;
pub(crate) use whole_path::WholePath;

use crate::span;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Takes the service that is ready and leaves its clone, which need not be
/// (<https://docs.rs/tower/latest/tower/trait.Service.html#be-careful-when-cloning-inner-services>).
pub(crate) fn take_ready<S: Clone>(service: &mut S) -> S {
    let clone = service.clone();
    mem::replace(service, clone)
}

/// Runs to its end what was begun, even if whoever asked hangs up.
pub(crate) async fn detached<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let Ok(runtime) = tokio::runtime::Handle::try_current() else { return work.await };
    match runtime.spawn(span::carried(work)).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is shutting down; nobody will hear the answer.
        Err(_) => std::future::pending().await,
    }
}
