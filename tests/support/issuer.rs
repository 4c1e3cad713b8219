//! An issuer of JWT access tokens that is no provider of ours: keys, and tokens that say whatever a test wants.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tower_oauth::jwt::{Jwks, SigningKey};

/// A key for ES256, named by its thumbprint.
pub struct Key {
    pair: EcdsaKeyPair,
    pub jwk: Value,
}

impl Key {
    pub fn new() -> Self {
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let der = der.expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref()).expect("a key");
        Self { pair, jwk: SigningKey::from_pkcs8(der.as_ref()).expect("a key").public_jwk() }
    }

    pub fn id(&self) -> &str {
        self.jwk["kid"].as_str().expect("a thumbprint")
    }

    /// A token of the right type.
    pub fn token(&self, claims: &Value) -> String {
        self.sign(&json!({"alg": "ES256", "kid": self.id(), "typ": "at+jwt"}), claims)
    }

    /// A token with this header, whatever it says.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).expect("it signs");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// The document of these keys.
pub fn jwks(keys: &[&Key]) -> Value {
    json!({ "keys": keys.iter().map(|key| &key.jwk).collect::<Vec<_>>() })
}

pub fn key_set(keys: &[&Key]) -> Jwks {
    jwks(keys).to_string().parse().expect("public keys")
}

/// The claims with some of them replaced, or taken out by `null`.
pub fn with(mut claims: Value, other: Value) -> Value {
    let all = claims.as_object_mut().expect("an object");
    for (name, value) in other.as_object().expect("an object") {
        all.insert(name.clone(), value.clone());
    }
    all.retain(|_, value| !value.is_null());
    claims
}
