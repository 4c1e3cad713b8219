//! Signatures that are none.

use num_bigint::BigUint;
use sha2::{Digest, Sha256};

use super::Family;
use crate::keys::{Key, SHA256_INFO, ed25519_order, encode, fixed, padded, rsa_plus_modulus, rsa_power};
use crate::token::{Token, by, good};

/// The order of P-256 (SEC 2 §2.4.2).
const N: &[u8] = b"FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551";

pub(super) fn family() -> Family {
    let mut family = Family::new("Signatures that are none, and one form of them that is.");
    changed(&mut family);
    ecdsa_numbers(&mut family);
    ecdsa_forms(&mut family);
    ed25519(&mut family);
    rsa_forms(&mut family);
    rsa_padding(&mut family);
    family
}

fn changed(family: &mut Family) {
    for key in [Key::Es, Key::Ed, Key::Rs] {
        let name = key.algorithm();
        let token = by(key.clone());
        let signature = token.signature();
        let why = "RFC 7515 §5.2: the signature is over header and claims";
        let richer = token.clone().claim("scope", "profile admin");
        family.case("Forged", &format!("{name} with another scope"), why, richer.with(&signature));
        let renamed = token.clone().head("x", 1);
        family.case("Forged", &format!("{name} with another header"), why, renamed.with(&signature));
        for (what, at) in [("first", 0), ("middle", signature.len() / 2), ("last", signature.len() - 1)] {
            let mut other = signature.clone();
            other[at] ^= 1;
            family.case("Forged", &format!("{name} with another {what} byte"), why, token.with(other));
        }
        let short = &signature[..signature.len() - 1];
        family.case("Forged", &format!("{name} one byte short"), "its length is fixed", token.with(short));
        let long = [&*signature, &[0]].concat();
        family.case("Forged", &format!("{name} one byte long"), "its length is fixed", token.with(long));
        let before = [&[0], &*signature].concat();
        family.case("Forged", &format!("{name} with a zero before it"), "its length is fixed", token.with(before));
        family.case("Forged", &format!("{name} of nothing"), "its length is fixed", token.with([]));
        let zeros = vec![0; signature.len()];
        family.case("Forged", &format!("{name} of zeros"), "CVE-2022-21449 among others", token.with(zeros));
    }
    for (named, key) in [(Key::Es, Key::EsOther), (Key::Ed, Key::EdOther)] {
        let name = format!("{} of a key that nobody publishes", named.algorithm());
        family.case("Forged", &name, "RFC 7515 §5.2", by(named).signed_by(key));
    }
}

fn order() -> BigUint {
    BigUint::parse_bytes(N, 16).expect("hexadecimal")
}

fn halves(token: &Token) -> (BigUint, BigUint) {
    let signature = token.signature();
    (BigUint::from_bytes_be(&signature[..32]), BigUint::from_bytes_be(&signature[32..]))
}

/// CVE-2022-21449 and what lies near it: FIPS 186-5 §6.4.2 wants both numbers between 1 and n - 1.
fn ecdsa_numbers(family: &mut Family) {
    let (token, n) = (good(), order());
    let (r, s) = halves(&token);
    let zero = BigUint::ZERO;
    let most = (BigUint::from(1_u32) << 256) - 1_u32;
    let why = "FIPS 186-5 §6.4.2: both numbers are between 1 and n - 1";
    for (name, r, s) in [
        ("r and s are n", &n, &n),
        ("r is zero", &zero, &s),
        ("s is zero", &r, &zero),
        ("r is n", &n, &s),
        ("s is n", &r, &n),
        ("r and s are as large as they can be", &most, &most),
        ("r is one and s is zero", &BigUint::from(1_u32), &zero),
        ("r and s are one", &BigUint::from(1_u32), &BigUint::from(1_u32)),
        ("r and s are exchanged", &s, &r),
    ] {
        family.case("Forged", &format!("ES256 where {name}"), why, token.with([fixed(r, 32), fixed(s, 32)].concat()));
    }
    let mirrored = [fixed(&r, 32), fixed(&(&n - &s), 32)].concat();
    let why = "ECDSA has two signatures for each: whoever has one makes the other, over the same text. RFC 7518 §3.4 takes \
               both, and so does every signer that does not choose. Nothing here goes by the text of a signature.";
    family.taken("ES256 with n - s", why, token.with(mirrored));
    let minus = [fixed(&(&n - &r), 32), fixed(&s, 32)].concat();
    family.case("Forged", "ES256 with n - r", "r has no second form", token.with(minus));
}

fn der_number(number: &[u8]) -> Vec<u8> {
    let first = number.iter().position(|byte| *byte != 0).unwrap_or(number.len() - 1);
    let number = &number[first..];
    let zero: &[u8] = if number[0] >= 0x80 { &[0] } else { &[] };
    [&[2, (zero.len() + number.len()) as u8], zero, number].concat()
}

fn ecdsa_forms(family: &mut Family) {
    let token = good();
    let signature = token.signature();
    let numbers = [der_number(&signature[..32]), der_number(&signature[32..])].concat();
    let der = [&[0x30, numbers.len() as u8], &*numbers].concat();
    let why = "RFC 7518 §3.4: 32 bytes each, and no DER";
    family.case("Forged", "ES256 in DER", why, token.with(der));
    let text = encode(&signature);
    family.case("Forged", "ES256 encoded twice", why, token.with(text));
    let swapped: Vec<_> = signature.iter().rev().copied().collect();
    family.case("Forged", "ES256 the other way round", why, token.with(swapped));
    let wide = [&[0; 16], &signature[..32], &[0; 16], &signature[32..]].concat();
    family.case("Forged", "ES256 as wide as ES384", why, token.with(wide));
    let one = &signature[..32];
    family.case("Forged", "ES256, r alone", why, token.with(one));
}

/// RFC 8032 §5.1.7.
fn ed25519(family: &mut Family) {
    let order = ed25519_order();
    let token = by(Key::Ed);
    let signature = token.signature();
    let s = BigUint::from_bytes_le(&signature[32..]);
    let little = |number: &BigUint| fixed(number, 32).into_iter().rev().collect::<Vec<_>>();
    let why = "RFC 8032 §5.1.7: S is below the order, so that there is one S";
    for times in [1_u32, 2, 7] {
        let other = [&signature[..32], &little(&(&s + &order * times))].concat();
        family.case("Forged", &format!("EdDSA with S and {times} times the order"), why, token.with(other));
    }
    let high = [&signature[..63], &[signature[63] | 0x80]].concat();
    family.case("Forged", "EdDSA with the highest bit of S", why, token.with(high));
    let negative = [&signature[..32], &little(&(&order - &s))].concat();
    family.case("Forged", "EdDSA with minus S", "RFC 8032 §5.1.7", token.with(negative));
    let mut sign = signature.clone();
    sign[31] ^= 0x80;
    family.case("Forged", "EdDSA with minus R", "RFC 8032 §5.1.7", token.with(sign));
    let swapped = [&signature[32..], &signature[..32]].concat();
    family.case("Forged", "EdDSA with R and S exchanged", "RFC 8032 §5.1.6", token.with(swapped));
    let identity = [&[1][..], &[0; 63]].concat();
    let why = "a signature that is good for a key of order 1, and for no other";
    family.case("Forged", "EdDSA with R of order 1 and S of zero", why, token.with(identity));
}

fn rsa_forms(family: &mut Family) {
    // One in 256; this was the first.
    let small = by(Key::Rs).claim("jti", "token 20");
    let signature = small.signature();
    assert_eq!(signature[0], 0, "another number than the one that was searched for");
    let why = "a signature that begins with a zero has it (RFC 8017 §8.2.1)";
    family.taken("RS256 that begins with a zero", why, small.clone());
    let why = "RFC 8017 §8.2.2: as long as the modulus";
    family.case("Forged", "RS256 without the zero that it begins with", why, small.with(&signature[1..]));
    let larger = rsa_plus_modulus(&signature);
    let why = "RFC 8017 §5.2.2: below the modulus";
    family.case("Forged", "RS256 and the modulus", why, small.with(larger));
    let (one, modulus) = ([vec![0; 255], vec![1]].concat(), Key::Rs.raw());
    family.case("Forged", "RS256 of one", "a number whose power is itself", small.with(one));
    family.case("Forged", "RS256 of the modulus", "RFC 8017 §5.2.2: below the modulus", small.with(modulus));
}

/// Bleichenbacher's forgery of 2006 and its like: CVE-2006-4339, CVE-2014-1568, CVE-2016-1494.
fn rsa_padding(family: &mut Family) {
    let token = by(Key::Rs);
    let digest = Sha256::digest(token.input());
    let right = padded(256, &SHA256_INFO, &digest);
    let mut cases: Vec<(&str, Vec<u8>)> = Vec::new();
    let edited = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut message = right.clone();
        edit(&mut message);
        message
    };
    cases.push(("of the second type", edited(&|message| message[1] = 2)));
    cases.push(("of the zeroth type", edited(&|message| message[1..204].fill(0))));
    cases.push(("with one byte of another kind", edited(&|message| message[9] = 0xfe)));
    cases.push(("without its zero", edited(&|message| message[204] = 0xff)));
    let head = [&[0, 1][..], &[0xff; 8], &[0], &SHA256_INFO, &digest].concat();
    cases.push(("too short, with rubbish behind the digest", [&*head, &vec![0x5a; 256 - head.len()]].concat()));
    let no_null = [0x30, 0x2f, 0x30, 0x0b, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 4, 0x20];
    cases.push(("without the NULL of its algorithm", padded(256, &no_null, &digest)));
    cases.push(("without an algorithm", padded(256, &[], &digest)));
    let sha1 = [0x30, 0x21, 0x30, 9, 6, 5, 0x2b, 0x0e, 3, 2, 0x1a, 5, 0, 4, 0x14];
    cases.push(("that says SHA-1", padded(256, &sha1, &digest[..20])));
    let mut sha512 = SHA256_INFO;
    sha512[14] = 3;
    cases.push(("that says SHA-512", padded(256, &sha512, &digest)));
    cases.push(("that is none", [vec![0; 224], digest.to_vec()].concat()));
    cases.push(("of PSS", pss(&digest)));
    for (name, message) in cases {
        let why = "RFC 8017 §8.2.2: one padding, to the last byte";
        family.case("Forged", &format!("RS256 with a padding {name}"), why, token.with(rsa_power(&message)));
    }
}

/// EMSA-PSS without a salt (RFC 8017 §9.1.1).
fn pss(digest: &[u8]) -> Vec<u8> {
    let hash = Sha256::digest([&[0; 8], digest].concat());
    let mask: Vec<u8> = (0_u32..7).flat_map(|at| Sha256::digest([&hash[..], &at.to_be_bytes()].concat())).collect();
    let mut block = [vec![0; 222], vec![1]].concat();
    block.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    block[0] &= 0x7f;
    [&*block, &hash, &[0xbc]].concat()
}
