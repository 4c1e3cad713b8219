use http::{HeaderValue, Method, header};

use super::leaf::{failed, leaf_service};
use crate::http::{Failure, Reply, method_not_allowed, public_json};
use crate::jwt::ring::MAX_AGE;
use crate::provider::Provider;

leaf_service! {
    /// The keys that verify a provider's JWTs, `jwks_uri` ([RFC 7517 §5](https://www.rfc-editor.org/rfc/rfc7517#section-5)),
    /// whatever path it is mounted at.
    ///
    /// Whoever reads them may keep them for five minutes; a key is published for an hour before it signs. See the
    /// [module docs](crate::endpoint) for an example.
    JwkSet, jwks, "document of published keys"
}

pub(super) async fn answer(provider: &Provider, method: &Method) -> Reply {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return method_not_allowed(provider, "GET, HEAD");
    }
    let keys = match provider.published_keys().await {
        Ok(keys) => keys,
        Err(error) => return failed(provider, &Failure::from(error)),
    };
    let mut reply = public_json(method, &keys.to_json(), MAX_AGE);
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/jwk-set+json"));
    reply
}
