use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// Names a public key, `jkt`: the SHA-256 of its JWK ([RFC 7638](https://www.rfc-editor.org/rfc/rfc7638),
/// [RFC 9449 §6.1](https://www.rfc-editor.org/rfc/rfc9449#section-6.1)). It is no secret.
///
/// ```
/// use tower_oauth::Thumbprint;
///
/// let key: Thumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I".parse()?;
/// assert_eq!(key.to_string().len(), 43);
/// # Ok::<_, tower_oauth::InvalidThumbprint>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Thumbprint([u8; 32]);

impl Thumbprint {
    pub(crate) const fn from_bytes(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The key that a token is bound to by `cnf`; `None` where that names none, or asks for more than a proof of its key
    /// ([RFC 7800 §3.1](https://www.rfc-editor.org/rfc/rfc7800#section-3.1)).
    pub(crate) fn of_confirmation(cnf: &Value) -> Option<Self> {
        let members = cnf.as_object().filter(|members| members.len() == 1)?;
        members.get("jkt")?.as_str()?.parse().ok()
    }

    /// What says so of a token.
    pub(crate) fn to_confirmation(self) -> Value {
        json!({ "jkt": self.to_string() })
    }
}

impl FromStr for Thumbprint {
    type Err = InvalidThumbprint;

    fn from_str(text: &str) -> Result<Self, InvalidThumbprint> {
        let mut digest = [0; 32];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut digest) {
            Ok(32) => Ok(Self(digest)),
            _ => Err(InvalidThumbprint),
        }
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Thumbprint({self})")
    }
}

/// A text that is no [`Thumbprint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidThumbprint;

impl fmt::Display for InvalidThumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the thumbprint of a key: 43 characters of base64url")
    }
}

impl std::error::Error for InvalidThumbprint {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbprint_is_43_characters_in_their_one_spelling() {
        let good = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I";
        let key: Thumbprint = good.parse().unwrap();
        assert_eq!((key.to_string(), format!("{key:?}")), (good.to_owned(), format!("Thumbprint({good})")));
        assert_eq!(Thumbprint::from_bytes(*key.as_bytes()), key);
        for bad in [
            "",
            &good[1..],
            &format!("{good}="),
            &format!("{good}A"),
            &good.replace('-', "+"),
            &good.replace("4I", "4J"),
        ] {
            assert_eq!(bad.parse::<Thumbprint>(), Err(InvalidThumbprint), "{bad}");
        }
        assert_eq!(Thumbprint::of_confirmation(&key.to_confirmation()), Some(key));
        let beside = json!({"jkt": good, "x5t#S256": good});
        for cnf in
            [beside, json!({}), json!(good), json!({"jkt": 1}), json!({"jkt": "x"}), json!({"jwk": {}}), json!([])]
        {
            assert_eq!(Thumbprint::of_confirmation(&cnf), None, "{cnf}");
        }
        assert_eq!(InvalidThumbprint.to_string(), "not the thumbprint of a key: 43 characters of base64url");
    }
}
