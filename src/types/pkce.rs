use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// An S256 code challenge ([RFC 7636 §4.2](https://www.rfc-editor.org/rfc/rfc7636#section-4.2)).
#[derive(Clone, Copy)]
pub(crate) struct CodeChallenge([u8; 32]);

impl CodeChallenge {
    /// Reads what a client sent: 43 characters of base64url without padding.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut digest = [0; 32];
        (text.len() == 43 && URL_SAFE_NO_PAD.decode_slice(text, &mut digest) == Ok(32)).then_some(Self(digest))
    }

    pub(crate) const fn from_bytes(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for CodeChallenge {
    /// In constant time.
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for CodeChallenge {}

impl fmt::Debug for CodeChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeChallenge(..)")
    }
}

/// A code verifier ([RFC 7636 §4.1](https://www.rfc-editor.org/rfc/rfc7636#section-4.1)).
pub(crate) struct CodeVerifier<'a>(&'a str);

impl<'a> CodeVerifier<'a> {
    /// Reads what a client sent: 43 to 128 unreserved characters.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        ((43..=128).contains(&text.len()) && text.bytes().all(unreserved)).then_some(Self(text))
    }

    /// The challenge that this verifier answers.
    pub(crate) fn challenge(&self) -> CodeChallenge {
        CodeChallenge(Sha256::digest(self.0).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636 Appendix B
    #[test]
    fn the_example_of_the_standard_holds() {
        let verifier = CodeVerifier::parse("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk").unwrap();
        let challenge = CodeChallenge::parse("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM").unwrap();
        assert_eq!(verifier.challenge(), challenge);
        assert_eq!(CodeChallenge::from_bytes(*challenge.as_bytes()), challenge);
        assert_ne!(CodeChallenge::from_bytes([0; 32]), challenge);
        assert_eq!(format!("{challenge:?}"), "CodeChallenge(..)");
    }

    /// RFC 7636 §4.1
    #[test]
    fn a_verifier_has_43_to_128_unreserved_characters() {
        for (length, good) in [(0, false), (42, false), (43, true), (128, true), (129, false)] {
            assert_eq!(CodeVerifier::parse(&"a".repeat(length)).is_some(), good, "{length}");
        }
        for byte in 0..=0x7f_u8 {
            let text = format!("{}{}", "a".repeat(42), char::from(byte));
            let good = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            assert_eq!(CodeVerifier::parse(&text).is_some(), good, "{byte:#x}");
        }
    }

    /// RFC 7636 §4.2
    #[test]
    fn a_challenge_is_43_characters_without_padding_in_its_one_spelling() {
        let good = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert!(CodeChallenge::parse(good).is_some());
        for bad in ["", &good[..42], &format!("{good}="), &format!("{good}A"), &good.replace('-', "+")] {
            assert!(CodeChallenge::parse(bad).is_none(), "{bad}");
        }
        // The last character carries two unused bits; only zero is canonical.
        for bad in ["E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cN", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cP"] {
            assert!(CodeChallenge::parse(bad).is_none(), "{bad}");
        }
    }
}
