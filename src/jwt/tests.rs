use std::time::Duration;

use serde_json::{Value, json};

use super::access_token::{self, AccessClaims};
use super::sealed::{open, seal};
use super::*;
use crate::secret::Secret;
use crate::types::{Issuer, UnixTime};

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

fn issuer() -> Issuer {
    "https://shift.example".into()
}

fn claims() -> AccessClaims {
    AccessClaims {
        subject: Some("alice".into()),
        client: "app".into(),
        scope: "profile".parse().unwrap(),
        resources: vec!["https://api.example".parse().unwrap()],
        id: "id".to_owned(),
        issued_at: NOW,
        expires_at: NOW.plus(Duration::from_secs(600)),
        auth_time: Some(UnixTime::from_secs(1_799_999_000)),
        bound_to: None,
        others: json!({ "tenant": "acme" }).as_object().unwrap().clone(),
    }
}

fn signed(key: &SigningKey, claims: &Value) -> String {
    let input = signing_input(key.public(), access_token::TYPE, claims);
    with_signature(&input, &key.sign(input.as_bytes()).unwrap())
}

fn check(token: &str, keys: &Jwks, now: UnixTime) -> Result<AccessClaims, JwtError> {
    access_token::verify(Jws::read(token)?, &issuer(), keys, now, Duration::ZERO)
}

#[test]
fn what_one_signs_another_reads_in_both_algorithms() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let key = SigningKey::generate(algorithm).unwrap();
        let keys: Jwks = json!({ "keys": [key.public_jwk()] }).to_string().parse().unwrap();
        let token = signed(&key, &claims().to_json(&issuer()));
        assert_eq!(check(&token, &keys, NOW), Ok(claims()));
        assert_eq!(check(&token, &keys, claims().expires_at), Err(JwtError::Expired));
        let other = SigningKey::generate(algorithm).unwrap();
        assert_eq!(check(&token, &Jwks::of([other.public().clone()]), NOW), Err(JwtError::UnknownKey));
        let again = SigningKey::from_pkcs8(&key.to_pkcs8().unwrap()).unwrap();
        assert_eq!(again.public_jwk(), key.public_jwk());
    }
}

#[test]
fn a_changed_token_is_forged() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let keys = Jwks::of([key.public().clone()]);
    let token = signed(&key, &claims().to_json(&issuer()));
    let (head, signature) = token.rsplit_once('.').unwrap();
    let other = signed(&key, &AccessClaims { client: "other".into(), ..claims() }.to_json(&issuer()));
    let (other, _) = other.rsplit_once('.').unwrap();
    assert_eq!(check(&format!("{other}.{signature}"), &keys, NOW), Err(JwtError::Forged));
    assert_eq!(check(&format!("{head}.{}", &signature[..84]), &keys, NOW), Err(JwtError::Forged));
    assert_eq!(check(&format!("{token}.{signature}"), &keys, NOW), Err(JwtError::Malformed));
}

/// RFC 8725 §3.1: whoever brings a key has no other algorithm by it.
#[test]
fn a_key_of_another_algorithm_verifies_nothing() {
    let (es256, eddsa) =
        (SigningKey::generate(Algorithm::Es256).unwrap(), SigningKey::generate(Algorithm::EdDsa).unwrap());
    let token = signed(&es256, &claims().to_json(&issuer()));
    assert_eq!(Jws::read(&token).unwrap().verify(eddsa.public()).unwrap_err(), JwtError::Algorithm);
    assert!(Jws::read(&token).unwrap().verify(es256.public()).is_ok());
}

/// RFC 7638 §3.1.
#[test]
fn a_key_is_named_by_its_thumbprint() {
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknj\
             hMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQv\
             RL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqD\
             Kgw";
    let key = PublicKey::from_jwk(&json!({ "kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256" })).unwrap();
    assert_eq!(key.thumbprint().to_string(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

#[test]
fn a_sealed_key_is_of_its_secret_issuer_and_name() {
    let (a, b) = (Secret::generate(), Secret::generate());
    let sealed = seal(&a, &issuer(), "kid", b"private");
    assert_eq!(open([&b, &a], &issuer(), "kid", &sealed).as_deref(), Some(&b"private"[..]));
    assert_eq!(open([&b], &issuer(), "kid", &sealed), None);
    assert_eq!(open([&a], &issuer(), "other", &sealed), None);
    assert_eq!(open([&a], &"https://other.example".into(), "kid", &sealed), None);
    assert_eq!(open([&a], &issuer(), "kid", &sealed[..20]), None);
}

#[test]
fn what_debug_shows_of_a_token_opens_nothing() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let token = signed(&key, &claims().to_json(&issuer()));
    let shown = format!("{:?}", Jws::read(&token).unwrap());
    let (input, _) = token.rsplit_once('.').unwrap();
    assert!(shown.contains(key.public().id().unwrap()), "{shown}");
    assert!(!shown.contains(input) && !shown.contains("alice") && !shown.contains("signature"), "{shown}");
}
