//! An issuer of JWT access tokens that is no provider of ours: keys, and tokens that say whatever a test wants.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use serde_json::{Value, json};
use tower_oauth::jwt::Jwks;

use crate::jws::{self, jws};

/// A key for ES256, named by its first coordinate.
pub struct Key {
    pair: jws::Key,
    pub jwk: Value,
}

impl Key {
    pub fn new() -> Self {
        let pair = jws::Key::es256();
        let mut jwk = pair.jwk("");
        jwk["kid"] = jwk["x"].clone();
        Self { pair, jwk }
    }

    pub fn id(&self) -> &str {
        self.jwk["kid"].as_str().expect("a text")
    }

    /// A token of the right type.
    pub fn token(&self, claims: &Value) -> String {
        self.sign(&json!({"alg": "ES256", "kid": self.id(), "typ": "at+jwt"}), claims)
    }

    /// A token with this header, whatever it says.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        jws(&header.to_string(), &claims.to_string(), |message| self.pair.sign(message))
    }
}

/// The document of these keys.
pub fn jwks(keys: &[&Key]) -> Value {
    json!({ "keys": keys.iter().map(|key| &key.jwk).collect::<Vec<_>>() })
}

pub fn key_set(keys: &[&Key]) -> Jwks {
    jwks(keys).to_string().parse().expect("public keys")
}
