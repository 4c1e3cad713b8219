use http::{Request, Uri};

use super::DPOP;

/// The path of a request as the outermost layer saw it; a router that is nested under a prefix takes its front off.
#[derive(Clone)]
#[cfg_attr(not(feature = "jwt"), expect(dead_code, reason = "only that feature has whoever asks"))]
pub(crate) struct WholePath(Uri);

impl WholePath {
    /// Notes it where somebody inside will ask: for a request with a proof. Whoever saw the path first saw most of it.
    pub(crate) fn note<B>(request: &mut Request<B>) {
        if request.headers().contains_key(DPOP) && request.extensions().get::<Self>().is_none() {
            let uri = request.uri().clone();
            request.extensions_mut().insert(Self(uri));
        }
    }

    #[cfg(feature = "jwt")]
    pub(crate) fn of<B>(request: &Request<B>) -> Option<&str> {
        request.extensions().get::<Self>().map(|whole| whole.0.path())
    }
}
