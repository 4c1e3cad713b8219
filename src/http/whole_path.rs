use http::{Request, Uri};

use super::DPOP;
use crate::types::Issuer;

/// The path of a request as the outermost layer of each issuer saw it; a router that is nested under a prefix takes its
/// front off. Of several issuers in one router each has its own, since what is published before it is its own too.
#[derive(Clone, Default)]
pub(crate) struct WholePath(Vec<Seen>);

#[derive(Clone)]
#[cfg_attr(not(feature = "jwt"), expect(dead_code, reason = "only that feature has whoever asks"))]
struct Seen {
    /// `None`: by a set of issuers.
    by: Option<Issuer>,
    uri: Uri,
}

impl WholePath {
    /// Notes it where somebody inside will ask: for a request with a proof. Whoever saw the path first saw most of it.
    pub(crate) fn note<B>(request: &mut Request<B>, by: Option<&Issuer>) {
        if !request.headers().contains_key(DPOP) {
            return;
        }
        let uri = request.uri().clone();
        let Self(seen) = request.extensions_mut().get_or_insert_default();
        if !seen.iter().any(|seen| seen.by.as_ref() == by) {
            seen.push(Seen { by: by.cloned(), uri });
        }
    }

    #[cfg(feature = "jwt")]
    pub(crate) fn of<'a, B>(request: &'a Request<B>, issuer: &Issuer) -> Option<&'a str> {
        let Self(seen) = request.extensions().get()?;
        let seen = seen.iter().find(|seen| seen.by.as_ref().is_none_or(|by| by == issuer))?;
        Some(seen.uri.path())
    }
}
