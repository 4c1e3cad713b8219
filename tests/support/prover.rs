//! A client that has a key and proves it (RFC 9449 §4.2), and requests with its proofs.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use axum::body::Body;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderName, HeaderValue, Request, header};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::jws::{Key, jws};
use crate::support::with_members;

pub const DPOP: HeaderName = HeaderName::from_static("dpop");
pub const NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
pub const NOW: u64 = 1_800_000_000;

/// A key, and the name of its algorithm.
pub struct Prover {
    pub key: Key,
    algorithm: &'static str,
}

impl Prover {
    pub fn es256() -> Self {
        Self { key: Key::es256(), algorithm: "ES256" }
    }

    pub fn eddsa() -> Self {
        Self { key: Key::eddsa(), algorithm: "EdDSA" }
    }

    pub fn rs256() -> Self {
        Self { key: Key::rs256(), algorithm: "RS256" }
    }

    /// RFC 7638 §3: the names of a public key are sorted, and there are no others.
    pub fn thumbprint(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.key.public().to_string()))
    }

    pub fn header(&self) -> Value {
        json!({"typ": "dpop+jwt", "alg": self.algorithm, "jwk": self.key.public()})
    }

    /// A proof that says this.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        jws(&header.to_string(), &claims.to_string(), |message| self.key.sign(message))
    }

    /// A proof that nobody used, for one request, with some members otherwise.
    pub fn proof_but(&self, method: &str, url: &str, token: Option<&str>, others: Value) -> String {
        self.sign(&self.header(), &with_members(claims(method, url, token), others))
    }

    /// One for a token request.
    pub fn for_tokens(&self) -> String {
        self.proof_but("POST", "https://shift.example/token", None, json!({}))
    }

    /// One for a GET with a token.
    pub fn for_get(&self, url: &str, token: &str) -> String {
        self.proof_but("GET", url, Some(token), json!({}))
    }
}

/// What a good proof says at [`NOW`], under a name that nobody used.
pub fn claims(method: &str, url: &str, token: Option<&str>) -> Value {
    let claims = json!({"jti": unused(), "htm": method, "htu": url, "iat": NOW, "ath": token.map(hash)});
    with_members(claims, json!({}))
}

pub fn unused() -> String {
    format!("{:032x}", rand::random::<u128>())
}

pub fn hash(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(token))
}

/// A request with a proof.
pub fn with_proof(mut request: Request<Body>, proof: &str) -> Request<Body> {
    request.headers_mut().append(DPOP, HeaderValue::from_str(proof).expect("a header"));
    request
}

/// A GET with a token, by the scheme `DPoP`, and a proof.
pub fn get_with(path: &str, token: &str, proof: &str) -> Request<Body> {
    let request = Request::get(path).header(header::AUTHORIZATION, format!("DPoP {token}"));
    with_proof(request.body(Body::empty()).expect("a good request"), proof)
}
