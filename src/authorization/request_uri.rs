//! Request URIs ([RFC 9126 §2.2](https://www.rfc-editor.org/rfc/rfc9126#section-2.2)): a pushed request is not kept
//! anywhere. Its URI is the request, sealed under a key that only this issuer has, so nothing is written before consent
//! and every node can read it.
//!
//! Behind the prefix is base64url of `nonce 24, sealed(id 16, expires at 8, request), tag 16`; the cipher is
//! XChaCha20-Poly1305, whose nonces are long enough to be random however many there are.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

use crate::error::ProtocolError;
use crate::secret::{Secret, Secrets, random};
use crate::types::{Issuer, Params, UnixTime};

/// What every request URI starts with.
const PREFIX: &str = "urn:ietf:params:oauth:request_uri:";
const NONCE: usize = 24;

/// A request that was pushed: what it is called, and until when it is good.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pushed {
    /// Of all URIs of one pushed request.
    pub(crate) id: [u8; 16],
    pub(crate) expires_at: UnixTime,
}

impl Pushed {
    pub(crate) fn until(expires_at: UnixTime) -> Self {
        Self { id: random(), expires_at }
    }
}

/// Makes and opens the request URIs of one issuer.
pub(crate) struct RequestUris(Vec<XChaCha20Poly1305>);

impl RequestUris {
    /// The first secret seals, all of them open.
    pub(crate) fn new(secrets: &Secrets, issuer: &Issuer) -> Self {
        let key = |secret: &Secret| secret.derive::<32>("request uri", issuer);
        Self(secrets.iter().map(|secret| XChaCha20Poly1305::new(&key(secret).into())).collect())
    }

    /// The URI of a request in `application/x-www-form-urlencoded`.
    pub(crate) fn seal(&self, pushed: &Pushed, request: &str) -> String {
        let nonce = random::<NONCE>();
        let plain = [&pushed.id[..], &pushed.expires_at.as_secs().to_be_bytes(), request.as_bytes()].concat();
        let sealed =
            self.0[0].encrypt(&XNonce::from(nonce), &*plain).expect("a request is far below the cipher's limit");
        let mut uri = PREFIX.to_owned();
        URL_SAFE_NO_PAD.encode_string([&nonce[..], &sealed].concat(), &mut uri);
        uri
    }

    /// The request of a URI, whosever it is and however old.
    pub(crate) fn open(&self, uri: &str) -> Result<(Params, Pushed), ProtocolError> {
        let text = uri.strip_prefix(PREFIX).ok_or(ProtocolError::REQUEST_URI)?;
        let raw = URL_SAFE_NO_PAD.decode(text).map_err(|_| ProtocolError::REQUEST_URI_MALFORMED)?;
        let (nonce, sealed) = raw.split_first_chunk::<NONCE>().ok_or(ProtocolError::REQUEST_URI_MALFORMED)?;
        let nonce = XNonce::from(*nonce);
        let plain = self.0.iter().find_map(|key| key.decrypt(&nonce, sealed).ok());
        let plain = plain.ok_or(ProtocolError::REQUEST_URI_FORGED)?;
        let (id, rest) = plain.split_first_chunk().ok_or(ProtocolError::REQUEST_URI_MALFORMED)?;
        let (expires_at, request) = rest.split_first_chunk().ok_or(ProtocolError::REQUEST_URI_MALFORMED)?;
        let expires_at = UnixTime::from_secs(u64::from_be_bytes(*expires_at));
        Ok((Params::parse(request)?, Pushed { id: *id, expires_at }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn uris(secrets: &[u8], issuer: &str) -> RequestUris {
        let secrets = secrets.iter().map(|byte| Secret::from_bytes([*byte; 32])).collect();
        RequestUris::new(&secrets, &issuer.into())
    }

    fn refused(uris: &RequestUris, uri: &str) -> ProtocolError {
        uris.open(uri).err().unwrap()
    }

    #[test]
    fn a_uri_is_good_under_any_secret_that_is_kept_and_at_its_issuer_alone() {
        let pushed = Pushed::until(UnixTime::from_secs(1_800_000_000));
        let uri = uris(&[1], "https://a.example").seal(&pushed, "client_id=app&state=a+b");
        assert!(!uri.contains("app") && uri.is_ascii());
        for (secrets, issuer, good) in [
            (&[1][..], "https://a.example", true),
            (&[2, 1], "https://a.example", true),
            (&[2], "https://a.example", false),
            (&[1], "https://b.example", false),
        ] {
            let opened = uris(secrets, issuer).open(&uri);
            assert_eq!(opened.is_ok(), good, "{secrets:?} {issuer}");
            if let Ok((params, found)) = opened {
                assert!(found == pushed && params.get("state") == Some("a b"));
            }
        }
    }

    /// RFC 6749 §10.10
    #[test]
    fn what_was_changed_in_any_place_is_forged() {
        let uris = uris(&[1], "https://a.example");
        let uri = uris.seal(&Pushed::until(UnixTime::from_secs(7)), "client_id=app");
        for at in PREFIX.len()..uri.len() {
            let other = if uri.as_bytes()[at] == b'A' { "B" } else { "A" };
            let changed = format!("{}{other}{}", &uri[..at], &uri[at + 1..]);
            let why = refused(&uris, &changed);
            assert!([ProtocolError::REQUEST_URI_FORGED, ProtocolError::REQUEST_URI_MALFORMED].contains(&why), "{at}");
        }
        assert_eq!(refused(&uris, "https://a.example/request.jwt"), ProtocolError::REQUEST_URI);
        for text in ["", "A", "====", "\u{e9}", &"A".repeat(30)] {
            assert_eq!(refused(&uris, &format!("{PREFIX}{text}")), ProtocolError::REQUEST_URI_MALFORMED, "{text}");
        }
        assert_eq!(refused(&uris, &format!("{PREFIX}{}", "A".repeat(100))), ProtocolError::REQUEST_URI_FORGED);
    }

    /// RFC 9126 §2.2: nobody can guess one, and a request that is pushed twice has two.
    #[test]
    fn no_two_are_alike() {
        let uris = uris(&[1], "https://a.example");
        let pushed = Pushed::until(UnixTime::from_secs(7));
        assert_ne!(uris.seal(&pushed, "client_id=app"), uris.seal(&pushed, "client_id=app"));
        assert!(pushed != Pushed::until(UnixTime::from_secs(7)));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}") {
            let uris = uris(&[1], "https://a.example");
            let behind = format!("{PREFIX}{text}");
            prop_assert!(uris.open(&text).is_err() && uris.open(&behind).is_err());
        }
    }
}
