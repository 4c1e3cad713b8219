use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::algorithm::Algorithm;
use super::jwk::PublicKey;

/// A key that signs. Cloning copies a pointer; `Debug` shows its id alone.
#[derive(Clone)]
pub struct SigningKey(Arc<Inner>);

struct Inner {
    pair: Pair,
    public: PublicKey,
}

enum Pair {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
}

/// Bytes that are no private key, or an algorithm that signs nothing here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidKey;

impl fmt::Display for InvalidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a private key for ES256 (curve P-256) or EdDSA (Ed25519) in PKCS#8")
    }
}

impl std::error::Error for InvalidKey {}

impl SigningKey {
    /// A new one.
    ///
    /// # Errors
    /// For [`Algorithm::Rs256`], for which no key is made here.
    pub fn generate(algorithm: Algorithm) -> Result<Self, InvalidKey> {
        let pair = match algorithm {
            Algorithm::Es256 => EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map(Pair::Es256),
            Algorithm::EdDsa => Ed25519KeyPair::generate().map(Pair::EdDsa),
            Algorithm::Rs256 => return Err(InvalidKey),
        };
        Self::of(pair.map_err(|_| InvalidKey)?)
    }

    /// One that is kept elsewhere: DER of PKCS#8 ([RFC 5958](https://www.rfc-editor.org/rfc/rfc5958)), as
    /// `openssl genpkey -outform DER` writes it. Which algorithm it is for, it says itself.
    ///
    /// # Errors
    /// If it is none for ES256 or EdDSA.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, InvalidKey> {
        let es256 = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).map(Pair::Es256);
        let pair = es256.or_else(|_| Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map(Pair::EdDsa));
        Self::of(pair.map_err(|_| InvalidKey)?)
    }

    fn of(pair: Pair) -> Result<Self, InvalidKey> {
        let public = match &pair {
            Pair::Es256(pair) => PublicKey::of_ours(Algorithm::Es256, pair.public_key().as_ref()),
            Pair::EdDsa(pair) => PublicKey::of_ours(Algorithm::EdDsa, pair.public_key().as_ref()),
        };
        Ok(Self(Arc::new(Inner { pair, public: public.ok_or(InvalidKey)? })))
    }

    pub(crate) fn to_pkcs8(&self) -> Result<Vec<u8>, InvalidKey> {
        let document = match &self.0.pair {
            Pair::Es256(pair) => pair.to_pkcs8v1(),
            Pair::EdDsa(pair) => pair.to_pkcs8(),
        };
        document.map(|document| document.as_ref().to_vec()).map_err(|_| InvalidKey)
    }

    /// What it signs with.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.0.public.algorithm()
    }

    /// Its public half as a JWK, named by its thumbprint ([RFC 7638](https://www.rfc-editor.org/rfc/rfc7638)).
    #[must_use]
    pub fn public_jwk(&self) -> Value {
        self.0.public.to_jwk()
    }

    pub(crate) fn public(&self) -> &PublicKey {
        &self.0.public
    }

    /// The signature over a message, as a JWS has it: of ES256 both numbers, 32 bytes each. For a [`Signer`](crate::Signer)
    /// of one's own; a provider signs by itself.
    ///
    /// # Errors
    /// If there is no randomness.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, InvalidKey> {
        let signature = match &self.0.pair {
            Pair::Es256(pair) => pair.sign(&SystemRandom::new(), message),
            Pair::EdDsa(pair) => pair.try_sign(message),
        };
        signature.map(|signature| signature.as_ref().to_vec()).map_err(|_| InvalidKey)
    }
}

/// What a signature is over: header and claims as they stand in a token.
pub(crate) fn signing_input(key: &PublicKey, typ: &str, claims: &Value) -> String {
    let header = json!({ "alg": key.algorithm().as_str(), "kid": key.id(), "typ": typ });
    [header.to_string(), claims.to_string()].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
}

/// The whole token.
pub(crate) fn with_signature(signing_input: &str, signature: &[u8]) -> String {
    format!("{signing_input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.0.public.id().unwrap_or_default())
    }
}
