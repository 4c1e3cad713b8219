//! The keys of the corpus. All are printed in a standard, so none of them is anybody's secret.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::Signer as _;
use hmac::{KeyInit, Mac};
use num_bigint::BigUint;
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha384, Sha512};

/// RFC 7515 §A.2.1.
const RSA_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZ\
                     S-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTB\
                     EMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91\
                     kzk2PAcDTW9gb54h4FRWyuXpoQ";
const RSA_D: &str = "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_G\
                     O-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZH\
                     HzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWS\
                     eWjnczT0QU91p1DhOVRuOopznQ";
/// Its first prime: as a modulus, one of 1,024 bits.
const RSA_P: &str = "4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ouZ2\
                     KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc";
/// RFC 7515 §A.3.1.
const P256: &str = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";
/// RFC 7517 §A.2.
const P256_OTHER: &str = "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE";
/// RFC 8037 §A.1.
const ED25519: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
/// RFC 8032 §7.1, the second.
const ED25519_OTHER: &str = "TM0Imyj_ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U-4pvs";

/// The beginning of what RSA signs with SHA-256 (RFC 8017 §9.2).
pub const SHA256_INFO: [u8; 19] =
    [0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];

/// Base64url, as everything in a token is.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

fn number(text: &str) -> BigUint {
    BigUint::from_bytes_be(&decode(text))
}

/// Who signs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// P-256, `kid` "es".
    Es,
    /// Another of its kind, which nobody publishes.
    EsOther,
    /// Ed25519, `kid` "ed".
    Ed,
    /// Another of its kind.
    EdOther,
    /// RSA of 2,048 bits, `kid` "rs".
    Rs,
    /// RSA of 1,024 bits.
    RsSmall,
    /// HMAC with SHA-256, -384 or -512.
    Hs(u16, Vec<u8>),
}

impl Key {
    /// The name of its algorithm.
    pub const fn algorithm(&self) -> &'static str {
        match self {
            Self::Es | Self::EsOther => "ES256",
            Self::Ed | Self::EdOther => "EdDSA",
            Self::Rs | Self::RsSmall => "RS256",
            Self::Hs(256, _) => "HS256",
            Self::Hs(384, _) => "HS384",
            Self::Hs(..) => "HS512",
        }
    }

    /// What it is called where it is published.
    pub const fn id(&self) -> &'static str {
        match self {
            Self::Es | Self::EsOther => "es",
            Self::Ed | Self::EdOther => "ed",
            Self::Rs | Self::RsSmall | Self::Hs(..) => "rs",
        }
    }

    /// The same signature each time: ECDSA as RFC 6979 has it.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Es => ecdsa(P256, message),
            Self::EsOther => ecdsa(P256_OTHER, message),
            Self::Ed => ed25519(ED25519).sign(message).to_bytes().to_vec(),
            Self::EdOther => ed25519(ED25519_OTHER).sign(message).to_bytes().to_vec(),
            Self::Rs => rsa_power(&padded(256, &SHA256_INFO, &Sha256::digest(message))),
            Self::RsSmall => {
                let p = number(RSA_P);
                let message = padded(128, &SHA256_INFO, &Sha256::digest(message));
                let d = BigUint::from(65_537_u32).modinv(&(&p - 1_u32)).expect("they have no common factor");
                fixed(&BigUint::from_bytes_be(&message).modpow(&d, &p), 128)
            }
            Self::Hs(bits, secret) => hmac(*bits, secret, message),
        }
    }

    /// The public half.
    pub fn jwk(&self) -> Value {
        match self {
            Self::Es => p256_jwk(P256),
            Self::EsOther => p256_jwk(P256_OTHER),
            Self::Ed => okp(ed25519(ED25519).verifying_key().as_bytes()),
            Self::EdOther => okp(ed25519(ED25519_OTHER).verifying_key().as_bytes()),
            Self::Rs => json!({ "kty": "RSA", "n": RSA_N, "e": "AQAB" }),
            Self::RsSmall => json!({ "kty": "RSA", "n": RSA_P, "e": "AQAB" }),
            Self::Hs(_, secret) => json!({ "kty": "oct", "k": encode(secret) }),
        }
    }

    /// The private half of those that have one.
    pub fn private_jwk(&self) -> Value {
        let mut jwk = self.jwk();
        jwk["d"] = match self {
            Self::Es => P256,
            Self::Ed => ED25519,
            _ => RSA_D,
        }
        .into();
        jwk
    }

    /// The public half as DER of a SubjectPublicKeyInfo (RFC 5280 §4.1).
    pub fn der(&self) -> Vec<u8> {
        let jwk = self.jwk();
        let bytes = |name: &str| decode(jwk[name].as_str().expect("a number"));
        let (algorithm, key) = match self {
            Self::Es | Self::EsOther => (
                // id-ecPublicKey, prime256v1
                [
                    &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01][..],
                    &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
                ]
                .concat(),
                [vec![4], bytes("x"), bytes("y")].concat(),
            ),
            Self::Ed | Self::EdOther => (vec![0x06, 0x03, 0x2b, 0x65, 0x70], bytes("x")),
            _ => (
                // rsaEncryption, NULL
                [&[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01][..], &[0x05, 0x00]].concat(),
                tagged(0x30, &[tagged(0x02, &[vec![0], bytes("n")].concat()), tagged(0x02, &bytes("e"))].concat()),
            ),
        };
        let key = tagged(0x03, &[vec![0], key].concat());
        tagged(0x30, &[tagged(0x30, &algorithm), key].concat())
    }

    /// The same as PEM (RFC 7468 §13).
    pub fn pem(&self) -> String {
        let text = STANDARD.encode(self.der());
        let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| str::from_utf8(line).expect("ASCII")).collect();
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"))
    }

    /// The public half as bare bytes: a point, or a modulus.
    pub fn raw(&self) -> Vec<u8> {
        let jwk = self.jwk();
        let bytes = |name: &str| decode(jwk[name].as_str().expect("a number"));
        match self {
            Self::Es | Self::EsOther => [vec![4], bytes("x"), bytes("y")].concat(),
            Self::Ed | Self::EdOther => bytes("x"),
            _ => bytes("n"),
        }
    }
}

fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = match content.len() {
        short @ 0..128 => vec![short as u8],
        middle @ 128..256 => vec![0x81, middle as u8],
        long => vec![0x82, (long >> 8) as u8, long as u8],
    };
    [&[tag][..], &length, content].concat()
}

fn ecdsa(key: &str, message: &[u8]) -> Vec<u8> {
    let key = p256::ecdsa::SigningKey::from_slice(&decode(key)).expect("a key");
    let signature: p256::ecdsa::Signature = key.sign(message);
    signature.to_bytes().to_vec()
}

fn p256_jwk(key: &str) -> Value {
    let key = p256::ecdsa::SigningKey::from_slice(&decode(key)).expect("a key");
    let point = key.verifying_key().to_encoded_point(false);
    let part = |bytes: Option<&p256::FieldBytes>| encode(bytes.expect("not the point at infinity"));
    json!({ "kty": "EC", "crv": "P-256", "x": part(point.x()), "y": part(point.y()) })
}

fn ed25519(key: &str) -> ed25519_dalek::SigningKey {
    ed25519_dalek::SigningKey::from_bytes(&decode(key).try_into().expect("32 bytes"))
}

/// An Ed25519 key of these bytes, whatever they are.
pub fn okp(x: &[u8]) -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(x) })
}

/// The order of Ed25519 (RFC 8032 §5.1).
pub fn ed25519_order() -> BigUint {
    let low = BigUint::parse_bytes(b"27742317777372353535851937790883648493", 10).expect("decimal");
    (BigUint::from(1_u32) << 252) + low
}

fn hmac(bits: u16, secret: &[u8], message: &[u8]) -> Vec<u8> {
    macro_rules! with {
        ($digest:ty) => {
            hmac::Hmac::<$digest>::new_from_slice(secret)
                .expect("any length")
                .chain_update(message)
                .finalize()
                .into_bytes()
                .to_vec()
        };
    }
    match bits {
        256 => with!(Sha256),
        384 => with!(Sha384),
        _ => with!(Sha512),
    }
}

/// EMSA-PKCS1-v1_5 (RFC 8017 §9.2).
pub fn padded(length: usize, info: &[u8], digest: &[u8]) -> Vec<u8> {
    let fill = vec![0xff; length - 3 - info.len() - digest.len()];
    [&[0, 1], &*fill, &[0], info, digest].concat()
}

/// What the RSA key of 2,048 bits makes of any message of 256 bytes (RFC 8017 §5.2.1).
pub fn rsa_power(message: &[u8]) -> Vec<u8> {
    fixed(&BigUint::from_bytes_be(message).modpow(&number(RSA_D), &number(RSA_N)), 256)
}

/// The same signature plus the modulus: as large as the modulus or larger, and of the same rest.
pub fn rsa_plus_modulus(signature: &[u8]) -> Vec<u8> {
    fixed(&(BigUint::from_bytes_be(signature) + number(RSA_N)), 256)
}

/// A number of so many bytes, big-endian.
pub fn fixed(number: &BigUint, length: usize) -> Vec<u8> {
    let bytes = number.to_bytes_be();
    [vec![0; length.checked_sub(bytes.len()).expect("it fits")], bytes].concat()
}
