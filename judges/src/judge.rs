//! Other implementations, each configured as strictly as it allows.

use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::process::Command;

use jsonwebtoken::errors::Result;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, get_current_timestamp};
use serde::Deserialize;
use serde_json::Value;

use crate::corpus::{Case, folder, written};
use crate::sets;
use crate::token::{API, ISSUER, NOW};

/// For each case, by family and name, why it is refused; `None` where it is taken.
pub type Verdicts = BTreeMap<String, Option<String>>;

/// What has to be so.
pub fn expected() -> Verdicts {
    by_case(|case, _| (case.verdict != "Taken").then(|| case.verdict.clone()))
}

/// What `jsonwebtoken` makes of it. Where it panics, it has not taken it.
pub fn jsonwebtoken() -> Verdicts {
    by_case(|case, set| match catch_unwind(|| judged(case, set)) {
        Ok(judged) => judged.err(),
        Err(_) => Some("it panics".to_owned()),
    })
}

/// What `jose` makes of it, on Node.
///
/// # Panics
/// Where Node is not there, or `npm ci` was not run.
pub fn jose() -> Verdicts {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    assert!(here.join("node_modules/jose").exists(), "`jose` is not there: run `npm ci --prefix judges`");
    let run = Command::new("node").arg(here.join("jose.js")).arg(folder()).output().expect("Node 20 or later runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    serde_json::from_slice(&run.stdout).expect("its verdicts are JSON")
}

fn by_case(judge: impl Fn(&Case, &Value) -> Option<String>) -> Verdicts {
    let sets = sets::all();
    let mut verdicts = Verdicts::new();
    for (file, family) in written() {
        for case in family.cases {
            let set = &sets[case.keys.as_deref().unwrap_or("published")];
            verdicts.insert(format!("{}: {}", file.trim_end_matches(".json"), case.name), judge(&case, set));
        }
    }
    verdicts
}

/// What RFC 9068 §2.2 asks for, in the types that it has.
#[derive(Deserialize)]
#[allow(dead_code, reason = "that it can be read is what is looked at")]
struct Claims {
    iss: String,
    sub: String,
    client_id: String,
    jti: String,
    iat: f64,
    exp: f64,
    nbf: Option<f64>,
    auth_time: Option<f64>,
    scope: Option<String>,
}

fn judged(case: &Case, set: &Value) -> std::result::Result<(), String> {
    let set: JwkSet = serde_json::from_value(set.clone()).map_err(|error| error.to_string())?;
    let said = |error: jsonwebtoken::errors::Error| error.to_string();
    let header = decode_header(&case.token).map_err(said)?;
    let key = match &header.kid {
        Some(id) => set.find(id),
        None => set.keys.iter().find(|key| algorithm(key) == Some(header.alg)),
    };
    let key = key.ok_or("no such key")?;
    let algorithm = algorithm(key).ok_or("a key of another kind")?;
    if case.signature_only {
        let (input, signature) = case.token.rsplit_once('.').ok_or("no signature")?;
        let key = DecodingKey::from_jwk(key).map_err(said)?;
        let good = jsonwebtoken::crypto::verify(signature, input.as_bytes(), &key, algorithm).map_err(said)?;
        return good.then_some(()).ok_or("the signature is not of that key".to_owned());
    }
    let typ = header.typ.unwrap_or_default().to_ascii_lowercase();
    if typ.strip_prefix("application/").unwrap_or(&typ) != "at+jwt" {
        return Err("another type".to_owned());
    }
    claims(case, key, algorithm).map_err(said)
}

/// The one that the key is for, by its kind and by what it says itself.
fn algorithm(key: &Jwk) -> Option<Algorithm> {
    let by_kind = match &key.algorithm {
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Some(Algorithm::ES256),
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Some(Algorithm::EdDSA),
        AlgorithmParameters::RSA(_) => Some(Algorithm::RS256),
        _ => None,
    };
    let said = key.common.key_algorithm;
    by_kind.filter(|kind| said.is_none_or(|said| said.to_string() == format!("{kind:?}")))
}

/// Its clock cannot be set, so it is given as much leeway as the time since. That is right for `exp`, and too much for
/// `nbf`.
fn claims(case: &Case, key: &Jwk, algorithm: Algorithm) -> Result<()> {
    let mut validation = Validation::new(algorithm);
    validation.set_issuer(&[ISSUER]);
    validation.set_audience(&[case.at.as_deref().unwrap_or(API)]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    validation.validate_nbf = true;
    let key = DecodingKey::from_jwk(key)?;
    loop {
        let before = get_current_timestamp();
        validation.leeway = before - NOW + case.leeway.unwrap_or(0);
        let judged = decode::<Claims>(&case.token, &key, &validation).map(drop);
        // Unless a second ended meanwhile.
        if get_current_timestamp() == before {
            return judged;
        }
    }
}
