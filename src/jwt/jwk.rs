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
use super::json::Object;

/// How many keys a set can have.
const MOST: usize = 100;
/// The longest set that is read, in bytes.
const LONGEST: usize = 64 * 1024;

/// A set of public keys, `jwks` ([RFC 7517 §5](https://www.rfc-editor.org/rfc/rfc7517#section-5)). Cloning copies a
/// pointer.
///
/// Keys that cannot verify signatures here are left out, as the standard has it: of another kind or curve, for encryption,
/// for another algorithm. A private or a shared key among them is an error: it is one no more.
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
}

impl FromStr for Jwks {
    type Err = InvalidJwk;

    fn from_str(text: &str) -> Result<Self, InvalidJwk> {
        if text.len() > LONGEST {
            return Err(InvalidJwk("it has more than 64 KiB"));
        }
        let Object(mut members) = serde_json::from_str(text).map_err(|_| InvalidJwk("it is no JSON object"))?;
        let Some(Value::Array(keys)) = members.remove("keys") else { return Err(InvalidJwk("`keys` is no list")) };
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

impl PublicKey {
    /// `None` if it is none that could verify anything here.
    fn read(jwk: &Map<String, Value>) -> Result<Option<Self>, InvalidJwk> {
        let text = |name| match jwk.get(name) {
            None => Ok(None),
            Some(value) => value.as_str().map(Some).ok_or(InvalidJwk("a member of a key is no text")),
        };
        if jwk.contains_key("d") || jwk.contains_key("k") {
            return Err(InvalidJwk("one of the keys is private or shared: make a new one, and keep it to yourself"));
        }
        let for_others = text("use")?.is_some_and(|purpose| purpose != "sig");
        let operations = jwk.get("key_ops").and_then(Value::as_array);
        if for_others || operations.is_some_and(|all| !all.iter().any(|one| one == "verify")) {
            return Ok(None);
        }
        let bytes = |name| {
            let value = text(name)?.ok_or(InvalidJwk("a key lacks a number"))?;
            URL_SAFE_NO_PAD.decode(value).map_err(|_| InvalidJwk("a number of a key is no base64url"))
        };
        let (algorithm, numbers) = match (text("kty")?, text("crv")?) {
            (Some("EC"), Some("P-256")) => (Algorithm::Es256, Numbers::P256 { x: bytes("x")?, y: bytes("y")? }),
            (Some("OKP"), Some("Ed25519")) => (Algorithm::EdDsa, Numbers::Ed25519 { x: bytes("x")? }),
            (Some("RSA"), _) => (Algorithm::Rs256, Numbers::Rsa { n: bytes("n")?, e: bytes("e")? }),
            (Some(_), _) => return Ok(None),
            (None, _) => return Err(InvalidJwk("a key has no `kty`")),
        };
        // RFC 9864 has a name of its own for what EdDSA is here.
        let named = text("alg")?
            .is_none_or(|name| name == algorithm.as_str() || name == "Ed25519" && algorithm == Algorithm::EdDsa);
        if !named {
            return Ok(None);
        }
        Self::new(text("kid")?.map(str::to_owned), numbers)
            .map(Some)
            .ok_or(InvalidJwk("a key's numbers are none of its kind"))
    }

    fn new(id: Option<String>, numbers: Numbers) -> Option<Self> {
        let (algorithm, parsed) = match &numbers {
            Numbers::P256 { x, y } if x.len() == 32 && y.len() == 32 => {
                let point = [&[4], &**x, y].concat();
                (Algorithm::Es256, UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).parse())
            }
            Numbers::Ed25519 { x } if x.len() == 32 => {
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
        let id = Some(numbers.thumbprint());
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
    pub(crate) fn thumbprint(&self) -> String {
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
    fn thumbprint(&self) -> String {
        // `Map` keeps its names sorted unless somebody switches on `preserve_order`, and these are put in in that order.
        URL_SAFE_NO_PAD.encode(Sha256::digest(Value::from(self.to_jwk()).to_string()))
    }
}

/// Of 2,048 to 8,192 bits, without a zero in front, and odd.
fn is_good_modulus(n: &[u8]) -> bool {
    let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
    n.first() != Some(&0) && (2_048..=8_192).contains(&bits) && n.last().is_some_and(|last| last % 2 == 1)
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicKey").field("id", &self.id).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}
