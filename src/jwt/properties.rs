//! What holds of every text, every token and all claims.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::access_token::{self, AccessClaims};
use super::*;
use crate::types::{Issuer, Resource, Thumbprint, UnixTime};

const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);
const ISSUER: &str = "https://shift.example";

fn check(token: &str, keys: &Jwks) -> Result<AccessClaims, JwtError> {
    access_token::verify(Jws::read(token)?, &Issuer::from(ISSUER), keys, NOW, Duration::ZERO)
}

fn signed(key: &SigningKey, claims: &Value) -> String {
    let input = signing_input(key.public(), access_token::TYPE, claims);
    with_signature(&input, &key.sign(input.as_bytes()).unwrap())
}

fn plain() -> Value {
    json!({
        "iss": ISSUER, "sub": "a", "aud": "https://api.example", "exp": NOW.as_secs() + 1, "iat": 0, "jti": "id",
        "client_id": "app",
    })
}

fn keys(key: &SigningKey) -> Jwks {
    json!({ "keys": [key.public_jwk()] }).to_string().parse().unwrap()
}

/// Values of JSON. The floats are few: what is written of one is read back, to the last digit.
fn values() -> impl Strategy<Value = Value> {
    let leaves = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaves.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|members| Value::from(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Claims of access tokens, with others that have names of their own.
fn all_claims() -> impl Strategy<Value = AccessClaims> {
    let resources = ["https://api.example", "https://api.example/mcp", "https://other.example/x?y"];
    let resources = prop::sample::subsequence(resources.to_vec(), 1..=3);
    let others = prop::collection::btree_map("x[a-z]{0,8}", values(), 0..4);
    let names = (prop::option::of(any::<String>()), any::<String>(), any::<String>());
    let keys = prop::option::of(any::<[u8; 32]>());
    let times = (0..=NOW.as_secs(), 1..1_000_000_u64, prop::option::of(0..NOW.as_secs()));
    (names, times, keys, "([a-z]{1,4}( [A-Z]{1,4})?)?", resources, others).prop_map(
        |((subject, client, id), (issued_at, lasts, auth_time), key, scope, resources, others)| AccessClaims {
            subject: subject.filter(|subject| *subject != client).map(Into::into),
            client: client.into(),
            scope: scope.parse().unwrap(),
            resources: resources.into_iter().map(|text| text.parse::<Resource>().unwrap()).collect(),
            id,
            issued_at: UnixTime::from_secs(issued_at),
            expires_at: NOW.plus(Duration::from_secs(lasts)),
            auth_time: auth_time.map(UnixTime::from_secs),
            bound_to: key.map(Thumbprint::from_bytes),
            others: others.into_iter().collect(),
        },
    )
}

/// Texts that look more or less like a token.
fn texts() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..80).prop_map(|bytes| URL_SAFE_NO_PAD.encode(bytes)),
        values().prop_map(|value| URL_SAFE_NO_PAD.encode(value.to_string())),
        Just(URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","typ":"at+jwt"}"#)),
        "[A-Za-z0-9_=+/-]{0,60}",
    ];
    prop_oneof![
        any::<String>(),
        "[A-Za-z0-9._-]{0,200}",
        prop::collection::vec(part, 0..6).prop_map(|parts| parts.join(".")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn no_text_makes_it_fail(text in texts()) {
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        prop_assert!(check(&text, &keys(&key)).is_err());
    }

    /// RFC 7515 §4, RFC 7519 §4.
    #[test]
    fn claims_of_any_kind_are_an_answer(value in values(), name in "iss|sub|aud|exp|nbf|iat|jti|client_id|scope|auth_time") {
        let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let mut claims = plain();
        claims[name] = value;
        let token = signed(&key, &claims);
        let checked = check(&token, &keys(&key));
        prop_assert!(!matches!(checked, Err(JwtError::Forged | JwtError::UnknownKey | JwtError::Algorithm)));
    }

    #[test]
    fn no_set_of_keys_makes_it_fail(text in any::<String>(), key in values(), kty in "EC|OKP|RSA", crv in "P-256|Ed25519") {
        let _ = text.parse::<Jwks>();
        let mut members = key.as_object().cloned().unwrap_or_default();
        members.extend([("kty".to_owned(), kty.into()), ("crv".to_owned(), crv.into())]);
        for number in ["x", "y", "n", "e"] {
            members.insert(number.to_owned(), key.clone());
        }
        let set: Result<Jwks, _> = json!({ "keys": [members] }).to_string().parse();
        prop_assert!(set.is_err() || set.is_ok_and(|set| set.is_empty()));
    }

    #[test]
    fn what_is_signed_is_read_again(claims in all_claims(), algorithm in prop::sample::select(vec![Algorithm::Es256, Algorithm::EdDsa])) {
        let key = SigningKey::generate(algorithm).unwrap();
        let token = signed(&key, &claims.to_json(&Issuer::from(ISSUER)));
        // Beyond 8 KiB none is read.
        prop_assume!(token.len() <= 8 * 1024);
        prop_assert_eq!(check(&token, &keys(&key)), Ok(claims));
    }
}

/// RFC 7515 §5.2. One bit of an ES256 signature is no second signature: that has another number in half of it.
#[test]
fn a_token_of_which_one_bit_is_another_is_refused() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let key = SigningKey::generate(algorithm).unwrap();
        let token = signed(&key, &plain());
        let keys = keys(&key);
        assert!(check(&token, &keys).is_ok());
        // The highest bit of a byte makes the text no UTF-8, and no header has that.
        for (at, bit) in (0..token.len()).flat_map(|at| (0..7).map(move |bit| (at, bit))) {
            let mut changed = token.clone().into_bytes();
            changed[at] ^= 1 << bit;
            let changed = String::from_utf8(changed).unwrap();
            assert!(check(&changed, &keys).is_err(), "{algorithm}: bit {bit} of {at}: {changed}");
        }
    }
}

/// RFC 4648 §3.5: a cache goes by the text.
#[test]
fn a_token_has_one_text() {
    let key = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let (keys, token) = (keys(&key), signed(&key, &plain()));
    let letters = ('A'..='Z').chain('a'..='z').chain('0'..='9').chain(['-', '_']);
    for letter in letters.filter(|letter| !token.ends_with(*letter)) {
        let changed = format!("{}{letter}", &token[..token.len() - 1]);
        assert!(check(&changed, &keys).is_err(), "{changed}");
    }
    for more in ["=", "==", "A", ".", " ", "\n", "\0"] {
        assert!(check(&format!("{token}{more}"), &keys).is_err(), "{more:?} behind it");
        assert!(check(&format!("{more}{token}"), &keys).is_err(), "{more:?} before it");
    }
}
