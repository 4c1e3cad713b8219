use std::fmt;
use std::sync::Arc;

use super::JwtVerifier;
use crate::bearer::{BearerLayer, Credentials, Verification, Verify};

/// Takes JWTs by one verifier and all other tokens by another; made by [`JwtVerifier::or`]. Cloning copies pointers.
///
/// A token is a JWT if it has three parts between two dots, of which the first begins as the base64url of `{` does
/// ([RFC 7515 §3.3](https://www.rfc-editor.org/rfc/rfc7515#section-3.3)). What one verifier refuses the other is not
/// asked about.
#[derive(Clone)]
pub struct ByShape {
    jwt: JwtVerifier,
    other: Arc<dyn Verify>,
}

impl JwtVerifier {
    /// The same, and another verifier, such as an [`Introspector`](crate::Introspector), for tokens that are no JWTs.
    pub fn or(self, other: impl Verify) -> ByShape {
        ByShape { jwt: self, other: Arc::new(other) }
    }
}

impl ByShape {
    /// A layer that takes the tokens of both, for the resource of the verifier of JWTs. So an
    /// [`Introspector`](crate::Introspector) of another resource takes tokens for this one here, and not for its own.
    pub fn bearer(&self) -> BearerLayer {
        BearerLayer::new(self.clone()).resource(self.jwt.0.resource.as_str()).clock(Arc::clone(&self.jwt.0.clock))
    }
}

impl Verify for ByShape {
    fn verify(&self, credentials: Credentials<'_>) -> Verification {
        if is_jwt(credentials.token()) { self.jwt.verify(credentials) } else { self.other.verify(credentials) }
    }
}

/// Of the six bits of a first character and the six of a second one the first eight are those of `{`.
fn is_jwt(token: &str) -> bool {
    let begins = matches!(token.as_bytes(), [b'e', b'w'..=b'z' | b'0'..=b'9' | b'-' | b'_', ..]);
    begins && token.bytes().filter(|byte| *byte == b'.').count() == 2
}

impl fmt::Debug for ByShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByShape").field("jwt", &self.jwt).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::is_jwt;

    #[test]
    fn a_jwt_is_three_parts_of_which_the_first_begins_as_an_object() {
        for header in ["{\"alg\":\"none\"}", "{ }", "{\n\"alg\":1}", "{\u{7f}", "{~"] {
            assert!(is_jwt(&format!("{}.e30.x", URL_SAFE_NO_PAD.encode(header))), "{header}");
        }
        for header in ["[]", "\"{\"", "z{", "|", "k", " {}"] {
            assert!(!is_jwt(&format!("{}.e30.x", URL_SAFE_NO_PAD.encode(header))), "{header}");
        }
        for token in ["", "e", "ey", "eyJ", "eyJ.e30", "eyJ.e30.x.y", "eyJ.e30.x.y.z", "toa_at_abc", ".."] {
            assert!(!is_jwt(token), "{token}");
        }
        assert!(is_jwt("eyJ.e30."));
    }
}
