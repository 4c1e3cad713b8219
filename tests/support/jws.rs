//! Keys of clients and issuers, and what they sign, however wrong it is.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use aws_lc_rs::encoding::AsBigEndian;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tower_oauth::jwt::Jwks;

/// A key pair, by its algorithm.
pub enum Key {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(Box<RsaKeyPair>),
}

impl Key {
    pub fn es256() -> Self {
        Self::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("random numbers"))
    }

    pub fn eddsa() -> Self {
        Self::EdDsa(Ed25519KeyPair::generate().expect("random numbers"))
    }

    pub fn rs256() -> Self {
        Self::Rs256(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).expect("random numbers")))
    }

    /// The public half, without a name.
    pub fn public(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Es256(pair) => {
                let point = pair.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "x": text(&point[1..33]), "y": text(&point[33..])})
            }
            Self::EdDsa(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": text(pair.public_key().as_ref())}),
            // DER of a modulus of 257 bytes with its leading zero, and of an exponent of 3 bytes.
            Self::Rs256(pair) => {
                let der = pair.public_key().as_ref();
                json!({"kty": "RSA", "n": text(&der[9..265]), "e": text(&der[267..])})
            }
        }
    }

    pub fn jwk(&self, id: &str) -> Value {
        let mut jwk = self.public();
        jwk["kid"] = id.into();
        jwk
    }

    /// The JWK with its private half, which nobody may give out.
    pub fn private_jwk(&self, id: &str) -> Value {
        let mut jwk = self.jwk(id);
        let Self::Es256(pair) = self else { panic!("an ES256 key") };
        jwk["d"] = URL_SAFE_NO_PAD.encode(pair.private_key().as_be_bytes().expect("bytes").as_ref()).into();
        jwk
    }

    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Es256(pair) => pair.sign(&SystemRandom::new(), message).expect("a signature").as_ref().to_vec(),
            Self::EdDsa(pair) => pair.sign(message).as_ref().to_vec(),
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).expect("a signature");
                signature
            }
        }
    }
}

impl Key {
    /// The point of an ES256 key, without a word around it.
    pub fn point(&self) -> Vec<u8> {
        let Self::Es256(pair) = self else { panic!("an ES256 key") };
        pair.public_key().as_ref().to_vec()
    }

    /// ES256 as X.509 has it, not as a JWS does (RFC 7518 §3.4).
    pub fn sign_der(&self, message: &[u8]) -> Vec<u8> {
        let Self::Es256(pair) = self else { panic!("an ES256 key") };
        let private = pair.to_pkcs8v1().expect("bytes");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, private.as_ref()).expect("the same key");
        pair.sign(&SystemRandom::new(), message).expect("a signature").as_ref().to_vec()
    }
}

/// HS256, with whatever is taken for a secret.
pub fn hs256(secret: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_vec()
}

/// A compact JWS over these texts, whatever they are.
pub fn jws(header: &str, claims: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let signed = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let signature = URL_SAFE_NO_PAD.encode(sign(signed.as_bytes()));
    format!("{signed}.{signature}")
}

/// Public keys as a client registers them.
pub fn jwks<'a>(keys: impl IntoIterator<Item = (&'a str, &'a Key)>) -> Jwks {
    document(keys).to_string().parse().expect("a set of keys")
}

/// The same as they are published.
pub fn document<'a>(keys: impl IntoIterator<Item = (&'a str, &'a Key)>) -> Value {
    let keys: Vec<_> = keys.into_iter().map(|(id, key)| key.jwk(id)).collect();
    json!({ "keys": keys })
}
