//! Public keys ([RFC 7517](https://www.rfc-editor.org/rfc/rfc7517), [RFC 7518 §6](https://www.rfc-editor.org/rfc/rfc7518#section-6),
//! [RFC 8037 §2](https://www.rfc-editor.org/rfc/rfc8037#section-2)).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::algorithm::Algorithm;
use super::json::Members;
use crate::types::Thumbprint;

/// How many keys a set can have.
const MOST: usize = 100;
/// The longest set that is read, in bytes.
const LONGEST: usize = 64 * 1024;

/// A set of public keys, `jwks` ([RFC 7517 §5](https://www.rfc-editor.org/rfc/rfc7517#section-5)). Cloning copies a
/// pointer.
///
/// Keys that cannot verify signatures here are left out, as the standard has it: of another kind or curve, for encryption,
/// for another algorithm, too weak, or broken. A private or a shared key among them is an error: it is one no more.
#[derive(Clone)]
pub struct Jwks {
    keys: Arc<[PublicKey]>,
}

/// A text that is no set of public keys, with the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidJwk(&'static str);

impl InvalidJwk {
    /// What is wrong with it; never a value of it.
    pub(crate) const fn why(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for InvalidJwk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a JWK set of public keys: {}", self.0)
    }
}

impl std::error::Error for InvalidJwk {}

impl Jwks {
    pub(crate) fn of(keys: impl IntoIterator<Item = PublicKey>) -> Self {
        Self { keys: keys.into_iter().collect() }
    }

    /// How many keys it has that can verify signatures here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The document.
    pub(crate) fn to_json(&self) -> Value {
        json!({ "keys": self.keys.iter().map(PublicKey::to_jwk).collect::<Vec<_>>() })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &PublicKey> {
        self.keys.iter()
    }

    /// The key of this id and algorithm. A token that names none is taken where there is no choice: then there is nothing
    /// that whoever made it could choose.
    pub(crate) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&PublicKey> {
        let mut fitting = self
            .keys
            .iter()
            .filter(|key| key.algorithm == algorithm && id.is_none_or(|id| key.id.as_deref() == Some(id)));
        fitting.next().filter(|_| fitting.next().is_none())
    }

    /// The same for those who registered a key without an id and name it all the same: the only key of its algorithm, where
    /// no other key is the one that is named.
    pub(crate) fn find_unnamed(&self, id: &str, algorithm: Algorithm) -> Option<&PublicKey> {
        let is_anothers = self.keys.iter().any(|key| key.id() == Some(id));
        self.find(None, algorithm).filter(|key| key.id.is_none() && !is_anothers)
    }

    /// Whether it has a key of this algorithm, or of any.
    pub(crate) fn has_any(&self, only: Option<Algorithm>) -> bool {
        self.of_algorithm(only).next().is_some()
    }

    /// Whether each key can be found, of this algorithm or of all.
    pub(crate) fn tells_apart(&self, only: Option<Algorithm>) -> bool {
        self.of_algorithm(only).all(|key| self.find(key.id(), key.algorithm).is_some())
    }

    fn of_algorithm(&self, only: Option<Algorithm>) -> impl Iterator<Item = &PublicKey> {
        self.keys.iter().filter(move |key| only.is_none_or(|only| only == key.algorithm))
    }
}

impl FromStr for Jwks {
    type Err = InvalidJwk;

    fn from_str(text: &str) -> Result<Self, InvalidJwk> {
        if text.len() > LONGEST {
            return Err(InvalidJwk("it has more than 64 KiB"));
        }
        let Members { named: [keys], .. } =
            Members::read(text.as_bytes(), ["keys"]).map_err(|_| InvalidJwk("it is no JSON object"))?;
        let Some(Value::Array(keys)) = keys else { return Err(InvalidJwk("`keys` is no list")) };
        if keys.len() > MOST {
            return Err(InvalidJwk("it has more than 100 keys"));
        }
        let mut read = Vec::new();
        for key in keys {
            let Value::Object(key) = key else { return Err(InvalidJwk("a key is no object")) };
            read.extend(PublicKey::read(&key)?);
        }
        Ok(Self { keys: read.into() })
    }
}

impl fmt::Debug for Jwks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&*self.keys).finish()
    }
}

/// Equal sets have the same keys in the same order.
impl PartialEq for Jwks {
    fn eq(&self, other: &Self) -> bool {
        self.to_json() == other.to_json()
    }
}

impl Eq for Jwks {}

/// A key that verifies the signatures of one algorithm.
#[derive(Clone)]
pub(crate) struct PublicKey {
    id: Option<String>,
    algorithm: Algorithm,
    numbers: Numbers,
    parsed: ParsedPublicKey,
}

/// What a key is, in bytes.
#[derive(Clone, PartialEq, Eq)]
enum Numbers {
    P256 { x: Vec<u8>, y: Vec<u8> },
    Ed25519 { x: Vec<u8> },
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

/// Equal keys have the same numbers under the same id.
impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        (&self.id, self.algorithm, &self.numbers) == (&other.id, other.algorithm, &other.numbers)
    }
}

impl PublicKey {
    /// `None` if it is none that could verify anything here.
    fn read(jwk: &Map<String, Value>) -> Result<Option<Self>, InvalidJwk> {
        if Self::is_private(jwk) {
            return Err(InvalidJwk("one of the keys is private or shared: make a new one, and keep it to yourself"));
        }
        Ok(Self::public(jwk))
    }

    /// Whether it has what only the owner of the key, or those who share it, may have.
    pub(crate) fn is_private(jwk: &Map<String, Value>) -> bool {
        jwk.contains_key("d") || jwk.contains_key("k")
    }

    fn public(jwk: &Map<String, Value>) -> Option<Self> {
        let text = |name| match jwk.get(name) {
            None => Some(None),
            Some(value) => value.as_str().map(Some),
        };
        let bytes = |name| URL_SAFE_NO_PAD.decode(text(name)??).ok();
        let for_signatures = text("use")?.is_none_or(|purpose| purpose == "sig");
        let for_verifying = match jwk.get("key_ops") {
            None => true,
            Some(operations) => operations.as_array()?.iter().any(|one| one == "verify"),
        };
        let (algorithm, numbers) = match (text("kty")??, text("crv")?) {
            ("EC", Some("P-256")) => (Algorithm::Es256, Numbers::P256 { x: bytes("x")?, y: bytes("y")? }),
            ("OKP", Some("Ed25519")) => (Algorithm::EdDsa, Numbers::Ed25519 { x: bytes("x")? }),
            ("RSA", _) => (Algorithm::Rs256, Numbers::Rsa { n: bytes("n")?, e: bytes("e")? }),
            _ => return None,
        };
        let for_this = text("alg")?.is_none_or(|name| Algorithm::named(name) == Some(algorithm));
        if !(for_signatures && for_verifying && for_this) {
            return None;
        }
        Self::new(text("kid")?.map(str::to_owned), numbers)
    }

    fn new(id: Option<String>, numbers: Numbers) -> Option<Self> {
        let (algorithm, parsed) = match &numbers {
            Numbers::P256 { x, y } if x.len() == 32 && y.len() == 32 => {
                let point = [&[4], &**x, y].concat();
                (Algorithm::Es256, UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).parse())
            }
            Numbers::Ed25519 { x } if is_good_point(x) => {
                (Algorithm::EdDsa, UnparsedPublicKey::new(&ED25519, x.clone()).parse())
            }
            Numbers::Rsa { n, e } if is_good_modulus(n) && matches!(e[..], [3] | [1, 0, 1]) => {
                let key = RsaPublicKeyComponents { n, e };
                (Algorithm::Rs256, key.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256))
            }
            _ => return None,
        };
        Some(Self { id, algorithm, numbers, parsed: parsed.ok()? })
    }

    /// The public half of a key of our own, which is named by its thumbprint.
    pub(super) fn of_ours(algorithm: Algorithm, public: &[u8]) -> Option<Self> {
        let numbers = match (algorithm, public) {
            (Algorithm::Es256, [4, point @ ..]) if point.len() == 64 => {
                Numbers::P256 { x: point[..32].to_vec(), y: point[32..].to_vec() }
            }
            (Algorithm::EdDsa, x) => Numbers::Ed25519 { x: x.to_vec() },
            _ => return None,
        };
        let id = Some(numbers.thumbprint().to_string());
        Self::new(id, numbers)
    }

    /// A key that is kept as its own JWK.
    pub(crate) fn from_jwk(jwk: &Value) -> Option<Self> {
        Self::read(jwk.as_object()?).ok().flatten()
    }

    pub(crate) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// What a key is called that nobody named otherwise ([RFC 7638](https://www.rfc-editor.org/rfc/rfc7638)).
    pub(crate) fn thumbprint(&self) -> Thumbprint {
        self.numbers.thumbprint()
    }

    pub(crate) const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(crate) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        self.parsed.verify_sig(message, signature).is_ok()
    }

    pub(crate) fn to_jwk(&self) -> Value {
        let mut jwk = self.numbers.to_jwk();
        let mut put = |name: &str, value: &str| jwk.insert(name.to_owned(), value.into());
        put("use", "sig");
        put("alg", self.algorithm.as_str());
        if let Some(id) = &self.id {
            put("kid", id);
        }
        jwk.into()
    }
}

impl Numbers {
    /// What a key has to have (RFC 7638 §3.2), in the order of the names.
    fn to_jwk(&self) -> Map<String, Value> {
        let text = |bytes: &[u8]| Value::from(URL_SAFE_NO_PAD.encode(bytes));
        let members = match self {
            Self::P256 { x, y } => vec![("crv", "P-256".into()), ("kty", "EC".into()), ("x", text(x)), ("y", text(y))],
            Self::Ed25519 { x } => vec![("crv", "Ed25519".into()), ("kty", "OKP".into()), ("x", text(x))],
            Self::Rsa { n, e } => vec![("e", text(e)), ("kty", "RSA".into()), ("n", text(n))],
        };
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// [RFC 7638 §3](https://www.rfc-editor.org/rfc/rfc7638#section-3).
    fn thumbprint(&self) -> Thumbprint {
        // `Map` keeps its names sorted unless somebody switches on `preserve_order`, and these are put in in that order.
        Thumbprint::from_bytes(Sha256::digest(Value::from(self.to_jwk()).to_string()).into())
    }
}

/// Of 2,048 to 8,192 bits, without a zero in front, and odd.
fn is_good_modulus(n: &[u8]) -> bool {
    let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
    n.first() != Some(&0) && (2_048..=8_192).contains(&bits) && n.last().is_some_and(|last| last % 2 == 1)
}

/// 32 bytes, below the prime, and not of small order: with such a key, as with one of zeros, whoever likes can sign
/// (RFC 8032 §5.1.3, §5.1). AWS-LC takes them.
fn is_good_point(x: &[u8]) -> bool {
    const OF_ORDER_EIGHT: [[u8; 32]; 2] = [
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
            0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
            0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
    ];
    let Ok(mut y) = <[u8; 32]>::try_from(x) else { return false };
    // The highest bit is the sign of the other coordinate.
    y[31] &= 0x7f;
    let [low, middle @ .., high] = y;
    let zero_or_one = low <= 1 && middle == [0; 30] && high == 0;
    let minus_one_or_no_less_than_the_prime = low >= 0xec && middle == [0xff; 30] && high == 0x7f;
    !(zero_or_one || minus_one_or_no_less_than_the_prime || OF_ORDER_EIGHT.contains(&y))
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").field("id", &self.id).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}
