//! `alg`: whoever makes a token does not choose how it is checked (RFC 8725 §2.1, §3.1).

use serde_json::{Value, json};

use super::Family;
use crate::keys::Key;
use crate::token::{by, good};

pub(super) fn family() -> Family {
    let mut family = Family::new("`alg`: whoever makes a token does not choose how it is checked.");
    none(&mut family);
    shared(&mut family);
    crossed(&mut family);
    others(&mut family);
    mistyped(&mut family);
    family
}

/// RFC 8725 §2.1.
fn none(family: &mut Family) {
    let why = "RFC 8725 §3.1: no algorithm is none";
    for spelling in ["none", "None", "NONE", "nOnE", "none ", " none", "none\u{0}", "nonе", "null", ""] {
        let token = good().head("alg", spelling);
        let name = format!("{spelling:?} without a signature");
        family.case("Algorithm", &name, why, token.with([]));
    }
    family.case("Algorithm", "none with a signature that would be good", why, good().head("alg", "none"));
    family.case("Algorithm", "none without `kid`", why, good().head("alg", "none").headless("kid").with([]));
    let bare = good().raw_header(r#"{"alg":"none"}"#);
    family.case("Algorithm", "none and no other header", why, bare.with([]));
    let twice = good().raw_header(r#"{"alg":"none","alg":"ES256","kid":"es","typ":"at+jwt"}"#);
    family.case("Malformed", "none before the true one", "RFC 7515 §4: names are there once", twice);
    let hidden = good().raw_header(r#"{"alg":"ES256","al\u0067":"none","kid":"es","typ":"at+jwt"}"#);
    family.case(
        "Malformed",
        "none by an escape behind the true one",
        "RFC 7515 §4: names are there once",
        hidden.with([]),
    );
    let stripped = good().sign();
    let stripped = stripped.rsplit_once('.').expect("three parts").0;
    family.case("Forged", "ES256 without a signature", "RFC 7518 §3.4: 64 bytes", format!("{stripped}."));
}

/// What is public is no secret: RFC 8725 §2.1, CVE-2016-5431 and those after it.
fn shared(family: &mut Family) {
    let why = "RFC 8725 §2.1: the public key as a shared secret";
    for key in [Key::Rs, Key::Es, Key::Ed] {
        let jwk = key.jwk().to_string();
        let pem = key.pem();
        let secrets: [(&str, Vec<u8>); 5] = [
            ("PEM", pem.clone().into()),
            ("PEM without its last line end", pem.trim_end().into()),
            ("DER", key.der()),
            ("JWK", jwk.into()),
            ("bare bytes", key.raw()),
        ];
        for (form, secret) in secrets {
            for bits in [256, 384, 512] {
                if bits != 256 && form != "PEM" {
                    continue;
                }
                let token = good().signed_by(Key::Hs(bits, secret.clone()));
                let token = token.head("alg", format!("HS{bits}")).head("kid", key.id());
                family.case("Algorithm", &format!("HS{bits} with the {form} of {}", key.algorithm()), why, token);
            }
        }
    }
    let why = "an empty secret";
    family.case("Algorithm", "HS256 with nothing", why, good().head("alg", "HS256").signed_by(Key::Hs(256, vec![])));
    let disguised = by(Key::Rs).signed_by(Key::Hs(256, Key::Rs.pem().into()));
    family.case("Forged", "HS256 under the name of RS256", "the signature is of the named algorithm", disguised);
}

/// Every key under the name of every other.
fn crossed(family: &mut Family) {
    let keys = [Key::Es, Key::Ed, Key::Rs];
    for signer in &keys {
        for named in keys.iter().filter(|named| *named != signer) {
            let (by_whom, as_what) = (signer.algorithm(), named.algorithm());
            let name = format!("{by_whom}, called {as_what}, with its own `kid`");
            let why = "RFC 8725 §3.1: a key has one algorithm";
            family.case("UnknownKey", &name, why, by(signer.clone()).head("alg", as_what));
            let name = format!("{by_whom}, called {as_what}, with the other's `kid`");
            let token = by(named.clone()).signed_by(signer.clone());
            family.case("Forged", &name, "the signature is of the other key", token);
            let name = format!("{by_whom}, called {as_what}, without `kid`");
            let token = by(named.clone()).headless("kid").signed_by(signer.clone());
            family.case("Forged", &name, "the signature is of the other key", token);
        }
    }
    for key in keys {
        let name = format!("{} under a name that all keys have", key.algorithm());
        let token = by(key).head("kid", "es");
        family.taken(&name, "id and algorithm together name a key", token).keys("one name for each algorithm");
    }
}

/// Algorithms that are registered and are none here (RFC 8725 §3.2).
fn others(family: &mut Family) {
    for name in [
        "ES384",
        "ES512",
        "ES256K",
        "RS384",
        "RS512",
        "PS256",
        "PS384",
        "PS512",
        "Ed448",
        "ML-DSA-44",
        "RS1",
        "A128KW",
        "dir",
        "RSA-OAEP",
        "ECDH-ES",
    ] {
        let why = "RFC 8725 §3.2: not among those that are taken";
        family.case("Algorithm", name, why, good().head("alg", name));
    }
    for name in [
        "es256",
        "Es256",
        "ES-256",
        "ES256 ",
        " ES256",
        "ES256\n",
        "eddsa",
        "EDDSA",
        "ED25519",
        "ed25519",
        "rs256",
        "SHA256withECDSA",
    ] {
        let key = match name.to_ascii_lowercase() {
            lower if lower.starts_with("ed") => Key::Ed,
            lower if lower.starts_with("rs") => Key::Rs,
            _ => Key::Es,
        };
        let why = "RFC 7515 §4.1.1: names are compared as they are";
        family.case("Algorithm", &format!("{name:?}"), why, by(key).head("alg", name));
    }
}

fn mistyped(family: &mut Family) {
    let why = "RFC 7515 §4.1.1: it has to be there, and be a text";
    family.case("Malformed", "missing", why, good().headless("alg"));
    let values: [(&str, Value); 6] = [
        ("null", Value::Null),
        ("a number", json!(256)),
        ("true", json!(true)),
        ("a list", json!(["ES256"])),
        ("an object", json!({ "ES256": "ES256" })),
        ("a list with none in it", json!(["none", "ES256"])),
    ];
    for (name, value) in values {
        family.case("Malformed", name, why, good().head("alg", value));
    }
    family.case("Malformed", "missing, with `Alg`", why, good().headless("alg").head("Alg", "ES256"));
    family.case("Malformed", "missing, with `enc`", why, good().headless("alg").head("enc", "A128GCM"));
}
