//! The answer at the client's redirect URI
//! ([RFC 6749 §4.1.2](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2),
//! [RFC 9207 §2](https://www.rfc-editor.org/rfc/rfc9207#section-2)).

use crate::error::ProtocolError;
use crate::types::{Issuer, form_encode};

/// Where the browser goes with a code.
pub(crate) fn code_redirect(redirect_uri: &str, code: &str, state: Option<&str>, issuer: &Issuer) -> String {
    with_query(redirect_uri, &[("code", Some(code)), ("state", state), ("iss", Some(issuer.as_str()))])
}

/// Where the browser goes with an error.
pub(crate) fn error_redirect(
    redirect_uri: &str,
    error: &ProtocolError,
    state: Option<&str>,
    issuer: &Issuer,
) -> String {
    with_query(
        redirect_uri,
        &[
            ("error", Some(error.code().as_str())),
            ("error_description", Some(error.description())),
            ("state", state),
            ("iss", Some(issuer.as_str())),
        ],
    )
}

/// Adds parameters to a URI without a fragment; a query that is there stays (RFC 6749 §3.1.2).
fn with_query(uri: &str, params: &[(&str, Option<&str>)]) -> String {
    let query = form_encode(params);
    let joint = match uri.split_once('?') {
        None => "?",
        Some((_, query)) if query.is_empty() || query.ends_with('&') => "",
        Some(_) => "&",
    };
    format!("{uri}{joint}{query}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Params;
    use proptest::prelude::*;

    const ERROR: ProtocolError = ProtocolError::PARAMETER_REPEATED;

    fn issuer() -> Issuer {
        "https://shift.example".into()
    }

    /// RFC 6749 §3.1.2, §4.1.2 and §4.1.2.1; RFC 9207 §2
    #[test]
    fn parameters_are_added_to_what_is_there() {
        let iss = "iss=https%3A%2F%2Fshift.example";
        for (uri, expected) in [
            ("https://a.example/cb", format!("https://a.example/cb?code=c&state=s&{iss}")),
            ("https://a.example/cb?x=%20y", format!("https://a.example/cb?x=%20y&code=c&state=s&{iss}")),
            ("https://a.example/cb?", format!("https://a.example/cb?code=c&state=s&{iss}")),
            ("https://a.example/cb?x&", format!("https://a.example/cb?x&code=c&state=s&{iss}")),
            ("com.example.app:/cb", format!("com.example.app:/cb?code=c&state=s&{iss}")),
        ] {
            assert_eq!(code_redirect(uri, "c", Some("s"), &issuer()), expected);
        }
        assert_eq!(
            error_redirect("https://a.example/cb", &ERROR, None, &issuer()),
            format!("https://a.example/cb?error=invalid_request&error_description=a+parameter+is+repeated&{iss}")
        );
    }

    proptest! {
        /// RFC 6749 §4.1.2: the exact value
        #[test]
        fn state_comes_back_to_the_byte(state in ".{1,60}") {
            for uri in [
                code_redirect("https://a.example/cb?x=y", "c", Some(&state), &issuer()),
                error_redirect("https://a.example/cb", &ERROR, Some(&state), &issuer()),
            ] {
                let params = Params::parse(uri.split_once('?').unwrap().1.as_bytes()).unwrap();
                prop_assert_eq!(params.get("state"), Some(&*state));
                prop_assert!(uri.is_ascii());
            }
        }
    }
}
