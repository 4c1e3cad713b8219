//! What has to be taken.

use serde_json::json;

use super::Family;
use crate::keys::Key;
use crate::token::{API, Token, by, good};

/// RFC 7515 §A.2.1.
const RS256: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19y\
                     b290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W\
                     2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7\
                     K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9\
                     Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
/// RFC 7515 §A.3.1.
const ES256: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19y\
                     b290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
/// RFC 8037 §A.4.
const EDDSA: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6d\
                     WbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

pub(super) fn family() -> Family {
    let mut family = Family::new("Tokens that are good.");
    printed(&mut family);
    signed(&mut family);
    written(&mut family);
    family
}

/// What the standards print is no access token, so its signature alone is looked at.
fn printed(family: &mut Family) {
    for (name, why, token) in [
        ("the standard's RS256", "RFC 7515 §A.2", RS256),
        ("the standard's ES256", "RFC 7515 §A.3", ES256),
        ("the standard's EdDSA", "RFC 8037 §A.4", EDDSA),
    ] {
        family.taken(name, why, token.to_owned()).keys("standards").signature_only();
        let (input, signature) = token.rsplit_once('.').expect("three parts");
        let changed = if signature.starts_with('A') { 'B' } else { 'A' };
        let changed = format!("{input}.{changed}{}", &signature[1..]);
        let name = format!("{name}, changed");
        family.case("Forged", &name, why, changed).keys("standards").signature_only();
    }
    let not_of_this_use = "an RS256 that is good but for its type: no access token (RFC 9068 §2.1)";
    family.case("AnotherType", "the standard's RS256 as an access token", not_of_this_use, RS256.to_owned());
    let no_claims = "EdDSA over a text that is no claims (RFC 7519 §3)";
    family.case("Malformed", "the standard's EdDSA as an access token", no_claims, EDDSA.to_owned());
}

fn signed(family: &mut Family) {
    for key in [Key::Es, Key::Ed, Key::Rs] {
        let name = format!("{} with all that an access token has", key.algorithm());
        family.taken(&name, "RFC 9068 §2", by(key));
    }
    let new = by(Key::Ed).head("alg", "Ed25519");
    family.taken("Ed25519 by its new name", "RFC 9864 §2.2: what EdDSA is with this curve", new.clone());
    family
        .taken("Ed25519 by its new name with a key of that name", "RFC 9864 §2.2", new.clone())
        .keys("Ed25519 by its new name");
    family
        .taken("Ed25519 by its new name with a key of the old", "the key has one algorithm by either name", new)
        .keys("Ed25519 by its old name");
    family
        .taken("Ed25519 by its old name with a key of the new", "the key has one algorithm by either name", by(Key::Ed))
        .keys("Ed25519 by its new name");
    family.taken("no `kid`, and one key of its algorithm", "RFC 7515 §4.1.4: optional", good().headless("kid"));
    family.taken("`kid` first of several", "RFC 7515 §4.1.4", good()).keys("for verifying");
    family.taken("RS256 with a key that says RS256", "RFC 7517 §4.4", by(Key::Rs)).keys("RSA for RS256");
    family
        .taken("a set with a key of a kind that nobody knows", "RFC 7517 §5: others are ignored", good())
        .keys("with what nobody knows");
    family
        .taken("a key with a certificate that nobody follows", "RFC 7517 §4.7: optional", good())
        .keys("with a certificate");
}

fn written(family: &mut Family) {
    let spaces = |text: &str| text.replace(',', " ,\r\n\t").replace(':', " : ");
    family.taken("spaces and line ends in the JSON", "RFC 8259 §2", {
        good().header_text(spaces).claims_text(|text| text.replace(',', " ,\r\n\t"))
    });
    family.taken("a name with an escape in it", "RFC 8259 §7: the same name", {
        good().header_text(|text| text.replace("\"alg\"", r#""\u0061lg""#))
    });
    family.taken("claims that nobody knows", "RFC 7519 §4: ignored", {
        good().claim("tenant", "acme").claim("roles", json!(["a", { "b": null }]))
    });
    family.taken("names in a header that nobody knows", "RFC 7515 §4: ignored", good().head("x", json!({ "y": 1 })));
    family.taken("a name of every language", "RFC 7519 §2: StringOrURI", good().claim("sub", "Zoë 🦀 \u{202e}x"));
    family.taken("names that differ in case alone", "RFC 7519 §4: they are two", good().claim("EXP", "never"));
    family.taken("audience as a list of one", "RFC 7519 §4.1.3", good().claim("aud", json!([API])));
    family.taken("`auth_time`, `acr` and `amr`", "RFC 9068 §2.2.1", {
        good().claim("auth_time", 1_699_999_000).claim("acr", "1").claim("amr", json!(["pwd"]))
    });
    family.taken("no scope", "RFC 9068 §2.2.3: only where one was asked for", good().without("scope"));
    family.taken("a scope of three", "RFC 6749 §3.3", good().claim("scope", "a b c"));
    family.taken("a client of its own", "RFC 9068 §2.2: `sub` is the client", good().claim("sub", "app"));
    family.taken("8,192 characters", "the longest that is read", of_length(8_192));
    family.case("Malformed", "8,193 characters", "longer than what is read", of_length(8_193));
}

/// Base64url has no text of 4 n + 1 letters, so header and claims are both filled.
fn of_length(length: usize) -> Token {
    let filled = |header: usize, claims: usize| good().head("x", "x".repeat(header)).claim("x", "x".repeat(claims));
    let mut all = (0..4).flat_map(|header| (5_000..6_144).map(move |claims| (header, claims)));
    let fitting = all.find(|(header, claims)| filled(*header, *claims).with([0; 64]).len() == length);
    let (header, claims) = fitting.expect("one of them");
    filled(header, claims)
}
