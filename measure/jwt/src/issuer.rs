//! An issuer with one key.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use measure::tokens::Tokens;
use serde_json::{Value, json};

use crate::now;

pub(crate) const ISSUER: &str = "https://shift.example";
pub(crate) const API: &str = "https://api.example/mcp";
pub(crate) const KEY_ID: &str = "c8f1d1a2-7f2e-4c8e-9b6f-3f0a4a3f2b11";

pub(crate) enum Issuer {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

impl Issuer {
    pub(crate) fn es256() -> Self {
        Self::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"))
    }

    pub(crate) fn eddsa() -> Self {
        Self::EdDsa(Ed25519KeyPair::generate().expect("a key"))
    }

    pub(crate) const fn algorithm(&self) -> &'static str {
        match self {
            Self::Es256(_) => "ES256",
            Self::EdDsa(_) => "EdDSA",
        }
    }

    /// The public key: of P-256 uncompressed, a 4 and both numbers.
    pub(crate) fn public(&self) -> &[u8] {
        match self {
            Self::Es256(key) => key.public_key().as_ref(),
            Self::EdDsa(key) => key.public_key().as_ref(),
        }
    }

    pub(crate) fn jwks(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let public = self.public();
        let mut jwk = match self {
            Self::Es256(_) => {
                json!({ "kty": "EC", "crv": "P-256", "x": text(&public[1..33]), "y": text(&public[33..]) })
            }
            Self::EdDsa(_) => json!({ "kty": "OKP", "crv": "Ed25519", "x": text(public) }),
        };
        jwk["kid"] = KEY_ID.into();
        jwk["alg"] = self.algorithm().into();
        jwk["use"] = "sig".into();
        json!({ "keys": [jwk] })
    }

    /// So many access tokens of one length, each another.
    pub(crate) fn tokens(&self, count: usize) -> Tokens {
        let first = self.token(0);
        let mut tokens = Tokens::with_capacity(count, first.len());
        for number in 0..count {
            tokens.push(&self.token(number));
        }
        tokens
    }

    pub(crate) fn token(&self, number: usize) -> String {
        let header = json!({ "alg": self.algorithm(), "kid": KEY_ID, "typ": "at+jwt" });
        let now = now();
        let claims = json!({
            "iss": ISSUER,
            "aud": API,
            "sub": "0199b6f8-6c4b-7d0e-a2a4-3a5f0c7e9d21",
            "client_id": "customapp",
            "jti": format!("AAECAwQFBgcICQoLDA0ODw{number:010}"),
            "iat": now,
            "exp": now + 86_400,
            "scope": "profile notes:read notes:write",
        });
        let input = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = match self {
            Self::Es256(key) => key.sign(&SystemRandom::new(), input.as_bytes()).expect("it signs"),
            Self::EdDsa(key) => key.sign(input.as_bytes()),
        };
        format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
