//! The rest of the header: keys that come with the token, extensions, the type, the key's name.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Family;
use crate::keys::Key;
use crate::token::{by, good};

pub(super) fn family() -> Family {
    let mut family = Family::new("Headers: keys that come with the token, extensions, the type, the key's name.");
    keys(&mut family);
    critical(&mut family);
    nested(&mut family);
    types(&mut family);
    other_types(&mut family);
    names(&mut family);
    family
}

/// RFC 8725 §3.10; CVE-2018-0114, CVE-2026-27962.
fn keys(family: &mut Family) {
    let why = "RFC 8725 §3.10: a token does not say by which key it is checked";
    let certificate = || json!([STANDARD.encode(Key::EsOther.der())]);
    let of_ours: [(&str, &str, Value); 6] = [
        ("jwk, the right one", "jwk", Key::Es.jwk()),
        ("jwk of null", "jwk", Value::Null),
        ("jku", "jku", json!("https://shift.example/jwks.json")),
        ("x5u", "x5u", json!("https://shift.example/cert.pem")),
        ("x5c", "x5c", certificate()),
        ("x5c, empty", "x5c", json!([])),
    ];
    for (name, member, value) in of_ours {
        family.case("Forbidden", &format!("{name}, beside a good signature"), why, good().head(member, value));
    }
    let of_theirs: [(&str, &str, Value); 5] = [
        ("jwk", "jwk", Key::EsOther.jwk()),
        ("jku", "jku", json!("https://evil.example/jwks.json")),
        ("jku within", "jku", json!("https://shift.example/jwks.json?@evil.example")),
        ("x5u", "x5u", json!("http://169.254.169.254/latest/meta-data")),
        ("x5c", "x5c", certificate()),
    ];
    for (name, member, value) in of_theirs {
        let token = by(Key::Es).signed_by(Key::EsOther).head(member, value);
        family.case("Forbidden", &format!("{name} of the attacker's key"), why, token.clone());
        let nameless = token.headless("kid");
        family.case("Forbidden", &format!("{name} of the attacker's key, without `kid`"), why, nameless);
    }
    let shared = good().head("alg", "HS256").head("jwk", Key::Hs(256, b"secret".to_vec()).jwk());
    family.case("Forbidden", "jwk with a shared secret", why, shared.signed_by(Key::Hs(256, b"secret".to_vec())));
    let thumbprints = good().head("x5t", "AAAA").head("x5t#S256", "AAAA");
    family.taken("thumbprints of a certificate", "RFC 7515 §4.1.7: they name a key and bring none", thumbprints);
}

/// RFC 7515 §4.1.11; CVE-2025-59420.
fn critical(family: &mut Family) {
    let why = "RFC 7515 §4.1.11: nothing that is critical is understood here";
    let values: [(&str, Value); 9] = [
        ("an extension that is there", json!(["exp"])),
        ("an extension that nobody knows", json!(["bork"])),
        ("`b64`", json!(["b64"])),
        ("nothing", json!([])),
        ("`alg`, which may not be there", json!(["alg"])),
        ("one thing twice", json!(["x", "x"])),
        ("a text", json!("bork")),
        ("null", Value::Null),
        ("a number in a list", json!([1])),
    ];
    for (name, value) in values {
        let token = good().head("crit", value).head("exp", 1).head("x", 1);
        family.case("Forbidden", &format!("critical is {name}"), why, token);
    }
    let missing = good().head("crit", json!(["cnf"]));
    family.case("Forbidden", "critical is what is not there", why, missing);
    let unencoded = "RFC 7797 §7: no JWT has it";
    family.case("Forbidden", "b64 is false, and critical", unencoded, {
        good().head("b64", false).head("crit", json!(["b64"]))
    });
    family.case("Forbidden", "b64 is false, and not critical", unencoded, good().head("b64", false));
    family.case("Forbidden", "b64 is true", "RFC 7797 §7: nobody says so in a JWT", good().head("b64", true));
}

fn nested(family: &mut Family) {
    let why = "RFC 7516 §4.1.3: of encryption, and a way to make 8 KiB many";
    family.case("Forbidden", "zip", why, good().head("zip", "DEF"));
    let inner = good().sign();
    let nested = good().head("cty", "JWT").raw_claims(inner.clone());
    family.case("Malformed", "a token in a token", "RFC 7519 §5.2: claims are no token", nested);
    let why = "RFC 7519 §5.2: it says of the claims what is not so; nobody here reads it";
    family.taken("cty beside claims", why, good().head("cty", "JWT"));
    let quoted = good().raw_claims(json!(inner).to_string());
    family.case("Malformed", "a token as a text in a token", "RFC 7519 §7.2: an object", quoted);
    for name in ["iss", "aud", "sub", "exp"] {
        let why = "RFC 7519 §5.3: a copy of a claim is of encrypted tokens; nobody here reads it";
        family.taken(&format!("`{name}` in the header"), why, good().head(name, "https://evil.example"));
    }
}

/// RFC 9068 §2.1, §4; RFC 7515 §4.1.9 for the spelling.
fn types(family: &mut Family) {
    for typ in ["AT+JWT", "At+Jwt", "application/at+jwt", "APPLICATION/AT+JWT", "Application/at+JWT"] {
        let why = "RFC 9068 §4, RFC 7515 §4.1.9: in any case, with and without `application/`";
        family.taken(&format!("typ {typ:?}"), why, good().head("typ", typ));
    }
    for typ in [
        "",
        "at",
        "jwt",
        "at+jwt ",
        " at+jwt",
        "at+jwt;v=1",
        "at+jwt; charset=utf-8",
        "application/",
        "application/jwt",
        "application/application/at+jwt",
        "text/at+jwt",
        "/at+jwt",
        "x-at+jwt",
        "at+jwtx",
        "at jwt",
        "at%2Bjwt",
        "at+jwt\u{0}",
        "at+jwt,JWT",
        "ａt+jwt",
        "application\\at+jwt",
        "*/*",
        "application/*",
        "+jwt",
    ] {
        let why = "RFC 9068 §4: any other type is refused";
        family.case("AnotherType", &format!("typ {typ:?}"), why, good().head("typ", typ));
    }
    let why = "RFC 9068 §4: the type has to be there";
    family.case("AnotherType", "no typ", why, good().headless("typ"));
    let values = [("null", Value::Null), ("a list", json!(["at+jwt"])), ("a number", json!(1)), ("true", json!(true))];
    for (name, value) in values {
        family.case("Malformed", &format!("typ is {name}"), "RFC 7515 §4.1.9: a text", good().head("typ", value));
    }
}

/// Tokens for something else, whole and signed by the right key (RFC 8725 §3.11).
fn other_types(family: &mut Family) {
    for typ in [
        "JWT",
        "dpop+jwt",
        "logout+jwt",
        "secevent+jwt",
        "oauth-authz-req+jwt",
        "token-introspection+jwt",
        "client-authentication+jwt",
        "oauth-id-jag+jwt",
        "entity-statement+jwt",
        "vc+sd-jwt",
        "kb+jwt",
        "JOSE",
        "JOSE+JSON",
        "rt+jwt",
    ] {
        let why = "RFC 8725 §3.11: a token for something else";
        family.case("AnotherType", &format!("a {typ}"), why, good().head("typ", typ));
    }
    let id_token = good().claim("aud", "app").claim("nonce", "n-0S6_WzA2Mj").claim("azp", "app").without("client_id");
    for (name, token) in [
        ("an id token with typ JWT", id_token.clone().head("typ", "JWT")),
        ("an id token without typ", id_token.clone().headless("typ")),
    ] {
        family.case("AnotherType", name, "RFC 9068 §4: an id token is no access token", token);
    }
    let why = "RFC 9068 §2.2: an access token names its client";
    family.case("Malformed", "an id token with typ at+jwt", why, id_token);
    let proof = by(Key::EsOther).headless("kid").head("typ", "dpop+jwt").head("jwk", Key::EsOther.jwk());
    family.case("Forbidden", "a proof with its own key", "RFC 9449 §4.2: it brings its key", proof);
    let logout = good().head("typ", "logout+jwt").claim("events", json!({})).without("exp");
    family.case("AnotherType", "a logout token", "OpenID Connect Back-Channel Logout §2.4", logout);
}

/// RFC 7515 §4.1.4.
fn names(family: &mut Family) {
    let path = "../".repeat(6) + "etc/passwd";
    for name in [
        "",
        "ES",
        "Es",
        "es ",
        " es",
        "es\u{0}",
        "es\n",
        "es\u{7f}",
        "unknown",
        "../../etc/passwd",
        &path,
        "/dev/null",
        "https://evil.example/jwks.json",
        "' OR '1'='1",
        "es\" }, { \"kid\": \"ed",
        "%65%73",
        "$(id)",
        "{{7*7}}",
        "ｅs",
        "\u{202e}se",
        "__proto__",
        "constructor",
    ] {
        let why = "RFC 7515 §4.1.4: a key of that name, to the letter, or none";
        family.case("UnknownKey", &format!("kid {name:?}"), why, good().head("kid", name));
    }
    let long = "e".repeat(5_000);
    family.case(
        "UnknownKey",
        "kid of 5,000 letters",
        "a name is looked up, and kept nowhere",
        good().head("kid", long),
    );
    let values: [(&str, Value); 6] = [
        ("null", Value::Null),
        ("a number", json!(1)),
        ("true", json!(true)),
        ("a list", json!(["es"])),
        ("an object", json!({ "es": 1 })),
        ("zero", json!(0)),
    ];
    for (name, value) in values {
        family.case("Malformed", &format!("kid is {name}"), "RFC 7515 §4.1.4: a text", good().head("kid", value));
    }
    let empty = good().head("kid", "");
    family
        .taken("kid is empty, and so is the key's", "names are compared as they are", empty)
        .keys("a name that is empty");
}
