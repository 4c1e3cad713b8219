//! The sets of keys that tokens are checked against.

use num_bigint::BigUint;
use serde_json::{Map, Value, json};

use crate::keys::{Key, encode, fixed, okp};

fn named(jwk: &Value, id: &str) -> Value {
    with(jwk, json!({ "kid": id }))
}

fn with(jwk: &Value, more: Value) -> Value {
    let mut jwk = jwk.clone();
    let (Some(members), Value::Object(more)) = (jwk.as_object_mut(), more) else { panic!("both are objects") };
    members.extend(more);
    jwk
}

/// All of them, by name.
pub fn all() -> Map<String, Value> {
    let (es, ed, rs) = (Key::Es.jwk(), Key::Ed.jwk(), Key::Rs.jwk());
    let mut sets = Map::new();
    let mut put = |name: &str, keys: &[Value]| sets.insert(name.to_owned(), json!({ "keys": keys }));
    put("published", &[named(&es, "es"), named(&ed, "ed"), named(&rs, "rs")]);
    put("standards", &[es.clone(), ed.clone(), rs.clone()]);
    put("empty", &[]);
    put("one without a name", std::slice::from_ref(&es));
    put("two without a name", &[es.clone(), Key::EsOther.jwk()]);
    put("two of one name", &[named(&es, "es"), named(&Key::EsOther.jwk(), "es")]);
    put("one name for each algorithm", &[named(&es, "es"), named(&ed, "es"), named(&rs, "es")]);
    put("a name that is empty", &[named(&es, "")]);
    put("a name that is a number", &[with(&es, json!({ "kid": 1 }))]);
    put("a key that is private", &[named(&Key::Es.private_jwk(), "es")]);
    put("a key that is shared", &[named(&es, "es"), named(&Key::Hs(256, Key::Rs.pem().into()).jwk(), "rs")]);
    put("for encryption", &[with(&es, json!({ "kid": "es", "use": "enc" }))]);
    put("for signing alone", &[with(&es, json!({ "kid": "es", "key_ops": ["sign"] }))]);
    put("operations that are no list", &[with(&es, json!({ "kid": "es", "key_ops": "sign" }))]);
    put("for verifying", &[with(&es, json!({ "kid": "es", "use": "sig", "key_ops": ["verify"], "alg": "ES256" }))]);
    put("for another algorithm", &[with(&es, json!({ "kid": "es", "alg": "ES384" }))]);
    put("RSA for RS512", &[with(&rs, json!({ "kid": "rs", "alg": "RS512" }))]);
    put("RSA for PS256", &[with(&rs, json!({ "kid": "rs", "alg": "PS256" }))]);
    put("RSA for RS256", &[with(&rs, json!({ "kid": "rs", "alg": "RS256" }))]);
    put("Ed25519 by its new name", &[with(&ed, json!({ "kid": "ed", "alg": "Ed25519" }))]);
    put("Ed25519 by its old name", &[with(&ed, json!({ "kid": "ed", "alg": "EdDSA" }))]);
    put("with what nobody knows", &[json!({ "kty": "AKP", "alg": "ML-DSA-44", "pub": "AA" }), named(&es, "es")]);
    put("with a certificate", &[with(&es, json!({ "kid": "es", "x5c": ["AA=="], "x5u": "https://evil.example/" }))]);
    sets.extend(broken());
    sets
}

/// Those with a key whose numbers are none of its kind, or too weak.
fn broken() -> Map<String, Value> {
    let (es, rs) = (Key::Es.jwk(), Key::Rs.jwk());
    let mut sets = Map::new();
    let mut put = |name: &str, key: Value| sets.insert(name.to_owned(), json!({ "keys": [key] }));
    put("RSA of 1,024 bits", named(&Key::RsSmall.jwk(), "rs"));
    put("RSA with the exponent 1", with(&rs, json!({ "kid": "rs", "e": "AQ" })));
    put("RSA with the exponent 2", with(&rs, json!({ "kid": "rs", "e": "Ag" })));
    put("RSA with the exponent 3", with(&rs, json!({ "kid": "rs", "e": "Aw" })));
    put("RSA with a zero before the modulus", {
        with(&rs, json!({ "kid": "rs", "n": encode([vec![0], Key::Rs.raw()].concat()) }))
    });
    put("RSA with an even modulus", {
        let mut n = Key::Rs.raw();
        n[255] &= 0xfe;
        with(&rs, json!({ "kid": "rs", "n": encode(n) }))
    });
    put("RSA without an exponent", json!({ "kty": "RSA", "kid": "rs", "n": rs["n"] }));
    put("P-256 beside the curve", with(&es, json!({ "kid": "es", "y": es["x"] })));
    put("P-256 at infinity", with(&es, json!({ "kid": "es", "x": encode([0; 32]), "y": encode([0; 32]) })));
    put("P-256 with a number too short", with(&es, json!({ "kid": "es", "x": encode(&Key::Es.raw()[2..33]) })));
    put("P-256 that calls itself P-384", with(&es, json!({ "kid": "es", "crv": "P-384" })));
    put("P-256 that calls itself secp256k1", with(&es, json!({ "kid": "es", "crv": "secp256k1" })));
    for (name, key, _) in of_small_order() {
        put(name, named(&okp(&key), "ed"));
    }
    put("Ed25519 too short", named(&okp(&Key::Ed.raw()[1..]), "ed"));
    put("Ed25519 that calls itself X25519", with(&Key::Ed.jwk(), json!({ "kid": "ed", "crv": "X25519" })));
    sets
}

/// Ed25519 keys with which everybody can sign, and their orders (RFC 8032 §5.1).
pub fn of_small_order() -> [(&'static str, Vec<u8>, u32); 7] {
    let around_the_prime = |low: u8| [&[low][..], &[0xff; 30], &[0x7f]].concat();
    let of_order_eight = |hexadecimal: &[u8]| {
        let number = BigUint::parse_bytes(hexadecimal, 16).expect("hexadecimal");
        fixed(&number, 32)
    };
    [
        ("Ed25519 of order 1", [&[1][..], &[0; 31]].concat(), 1),
        ("Ed25519 of order 2", around_the_prime(0xec), 2),
        ("Ed25519 of order 4", vec![0; 32], 4),
        ("Ed25519 of order 4, written otherwise", around_the_prime(0xed), 4),
        ("Ed25519 of order 1, written otherwise", around_the_prime(0xee), 1),
        ("Ed25519 of order 8", of_order_eight(b"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), 8),
        (
            "Ed25519 of order 8, the other",
            of_order_eight(b"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa"),
            8,
        ),
    ]
}
