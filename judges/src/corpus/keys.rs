//! Sets of keys: which of them are left out (RFC 7517 §5), and what happens where a name is not one key's.

use num_bigint::BigUint;
use sha2::{Digest, Sha256, Sha512};

use super::Family;
use crate::keys::{Key, SHA256_INFO, ed25519_order, fixed, padded};
use crate::sets;
use crate::token::{Token, by, good};

pub(super) fn family() -> Family {
    let mut family = Family::new("Sets of keys: which are left out, and what happens where a name is not one key's.");
    choice(&mut family);
    purpose(&mut family);
    numbers(&mut family);
    exponents(&mut family);
    small_order(&mut family);
    family
}

fn choice(family: &mut Family) {
    let nameless = || good().headless("kid");
    family
        .taken("one key without a name, for a token without", "there is no choice", nameless())
        .keys("one without a name");
    let why = "RFC 7517 §4.5: a key without a name is not the one that is named";
    family.case("UnknownKey", "one key without a name, for a token with one", why, good()).keys("one without a name");
    let why = "a token without `kid` is not tried with every key";
    family
        .case("UnknownKey", "two keys without a name, for a token without", why, nameless())
        .keys("two without a name");
    let why = "RFC 7517 §4.5: names are to differ; where they do not, nobody guesses";
    family.case("UnknownKey", "two keys of one name", why, good()).keys("two of one name");
    family.case("UnknownKey", "no key at all", "RFC 7515 §5.2", good()).keys("empty");
    let other = good().head("kid", "rs");
    family.case("UnknownKey", "the name of a key for another algorithm", "RFC 8725 §3.1", other);
    let why = "RFC 7517 §4.5: a name is a text; a key with another is left out";
    family.case("UnknownKey", "the name of a key is a number", why, good()).keys("a name that is a number");
    let why = "a private key that somebody published is one no more";
    family.case("KeysRefused", "a private key in the set", why, good()).keys("a key that is private");
    let why = "RFC 7517 §4.5, §9.2: a shared secret in the set is one no more";
    family.case("KeysRefused", "a shared key in the set", why, good()).keys("a key that is shared");
    let shared = by(Key::Rs).head("alg", "HS256").signed_by(Key::Hs(256, Key::Rs.pem().into()));
    family.case("KeysRefused", "a shared key in the set, and HS256 by it", why, shared).keys("a key that is shared");
}

fn purpose(family: &mut Family) {
    let why = "RFC 7517 §4.2, §4.3, §4.4: what a key is for";
    for set in ["for encryption", "for signing alone", "for another algorithm"] {
        family.case("UnknownKey", &format!("a key {set}"), why, good()).keys(set);
    }
    let why = "RFC 7517 §4.3: a list; a key that says something else is left out";
    family.case("UnknownKey", "a key whose operations are no list", why, good()).keys("operations that are no list");
    for set in ["RSA for RS512", "RSA for PS256"] {
        family.case("UnknownKey", set, "RFC 7517 §4.4: not for RS256", by(Key::Rs)).keys(set);
    }
}

/// RFC 7517 §5: keys out of the supported range are ignored.
fn numbers(family: &mut Family) {
    for set in [
        "P-256 beside the curve",
        "P-256 at infinity",
        "P-256 with a number too short",
        "P-256 that calls itself P-384",
        "P-256 that calls itself secp256k1",
    ] {
        family.case("UnknownKey", set, "RFC 7518 §6.2.1: a point of the curve, 32 bytes each", good()).keys(set);
    }
    for set in ["Ed25519 too short", "Ed25519 that calls itself X25519"] {
        family.case("UnknownKey", set, "RFC 8037 §2", by(Key::Ed)).keys(set);
    }
    let small = by(Key::Rs).signed_by(Key::RsSmall);
    family
        .case("UnknownKey", "RSA of 1,024 bits", "RFC 7518 §3.3: 2,048 bits at least", small)
        .keys("RSA of 1,024 bits");
    for set in ["RSA with a zero before the modulus", "RSA with an even modulus", "RSA without an exponent"] {
        family.case("UnknownKey", set, "RFC 7518 §6.3.1", by(Key::Rs)).keys(set);
    }
}

/// With a small exponent whoever likes can sign, if the padding is not looked at to its end.
fn exponents(family: &mut Family) {
    let token = by(Key::Rs);
    let digest = Sha256::digest(token.input());
    let whole = padded(256, &SHA256_INFO, &digest);
    let why = "with the exponent 1 a message is its own signature";
    family.case("UnknownKey", "RSA with the exponent 1", why, (&token, whole.clone())).keys("RSA with the exponent 1");
    let root = BigUint::from_bytes_be(&whole).sqrt();
    let why = "RFC 8017 §3.1: odd";
    family
        .case("UnknownKey", "RSA with the exponent 2", why, (&token, fixed(&root, 256)))
        .keys("RSA with the exponent 2");
    let head = [&[0, 1][..], &[0xff; 8], &[0], &SHA256_INFO, &digest].concat();
    let most = [&*head, &vec![0xff; 256 - head.len()]].concat();
    let root = BigUint::from_bytes_be(&most).cbrt();
    let cubed = fixed(&root.pow(3), 256);
    assert_eq!(cubed[..head.len()], head, "the cube begins as a padded digest does");
    let why = "CVE-2006-4339: a cube root whose cube begins as a padded digest does; made without the key";
    family
        .case("Forged", "RSA with the exponent 3 and a cube root", why, (&token, fixed(&root, 256)))
        .keys("RSA with the exponent 3");
}

/// Points of small order: with such a key everybody can sign. A set that was never filled in has the one of zeros.
fn small_order(family: &mut Family) {
    let one = [&[1][..], &[0; 31]].concat();
    let forged = [&*one, &[0; 32]].concat();
    for (set, key, order) in sets::of_small_order() {
        // R of order 1 and S of zero is good where the digest is a multiple of the key's order.
        let token = (0..).map(|number| by(Key::Ed).claim("jti", format!("token {number}"))).find(|token| {
            let digest = Sha512::digest([&*one, &*key, token.input().as_bytes()].concat());
            BigUint::from_bytes_le(&digest) % ed25519_order() % order == BigUint::ZERO
        });
        let token: Token = token.expect("one in eight");
        let why = "RFC 8032 §5.1: a key of small order, with which everybody signs";
        family.case("UnknownKey", set, why, (&token, forged.clone())).keys(set);
    }
}
