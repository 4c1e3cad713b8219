//! Who made a token, for whom, about whom (RFC 9068 §2.2, §4).

use serde_json::{Value, json};

use super::Family;
use crate::token::{API, ISSUER, good};

/// What is no text.
fn no_texts() -> [(&'static str, Value); 6] {
    [
        ("null", Value::Null),
        ("a number", json!(1)),
        ("true", json!(true)),
        ("a list", json!(["alice"])),
        ("an object", json!({ "alice": 1 })),
        ("zero", json!(0)),
    ]
}

pub(super) fn family() -> Family {
    let mut family = Family::new("Claims: who made a token, for whom, about whom, and what they may do.");
    issuers(&mut family);
    audiences(&mut family);
    lists(&mut family);
    parties(&mut family);
    scopes(&mut family);
    family
}

/// RFC 9068 §4: "exactly match".
fn issuers(family: &mut Family) {
    let why = "RFC 9068 §4: exactly the issuer, to the letter";
    for issuer in [
        "",
        "https://other.example",
        "https://shift.example/",
        "https://SHIFT.example",
        "HTTPS://shift.example",
        "http://shift.example",
        "https://shift.example:443",
        "https://shift.example.evil.example",
        "https://shift.example@evil.example",
        "https://shift.example/tenant",
        "https://shift.example?",
        "https://shift.example#",
        " https://shift.example",
        "https://shift.example ",
        "https://shift.example\u{0}",
        "shift.example",
        "https://shıft.example",
        "https://shift.exampl",
    ] {
        family.case("AnotherIssuer", &format!("iss {issuer:?}"), why, good().claim("iss", issuer));
    }
    family.case("AnotherIssuer", "no iss", "RFC 9068 §2.2: it has to be there", good().without("iss"));
    for (name, value) in no_texts() {
        family.case("Malformed", &format!("iss is {name}"), "RFC 7519 §4.1.1: a text", good().claim("iss", value));
    }
    let both = json!([ISSUER, "https://other.example"]);
    family.case("Malformed", "iss is a list with the issuer", "RFC 7519 §4.1.1: a text", good().claim("iss", both));
    family.case(
        "Malformed",
        "iss is a list of the issuer",
        "RFC 7519 §4.1.1: a text",
        good().claim("iss", json!([ISSUER])),
    );
}

/// RFC 8707 §2: at a path boundary.
fn audiences(family: &mut Family) {
    let why = "RFC 8707 §2: below it, at a path boundary";
    for (name, audience, at, taken) in [
        ("the same", API, API, true),
        ("what lies below", API, "https://api.example/mcp/tools", true),
        ("a query", API, "https://api.example/mcp?tool=1", true),
        ("a neighbour whose name begins alike", API, "https://api.example/mcp-other", false),
        ("what lies above", "https://api.example/mcp/tools", API, false),
        ("the whole origin", "https://api.example", API, true),
        ("the whole origin with its slash", "https://api.example/", API, true),
        ("another port", "https://api.example:8443/mcp", API, false),
        ("another scheme", "http://api.example/mcp", API, false),
        ("another case in the path", "https://api.example/MCP", API, false),
        ("a slash more", "https://api.example/mcp/", API, false),
        ("a host that begins alike", "https://api.example", "https://api.example.evil.example", false),
        ("another host", "https://other.example/mcp", API, false),
        ("a fragment", "https://api.example/mcp#", API, false),
        ("no URI", "api", API, false),
        ("nothing", "", API, false),
        ("a wildcard", "*", API, false),
        ("the client", "app", API, false),
    ] {
        let verdict = if taken { "Taken" } else { "AnotherAudience" };
        family.case(verdict, &format!("aud at {name}"), why, good().claim("aud", audience)).at(at);
    }
}

fn lists(family: &mut Family) {
    let why = "RFC 7519 §4.1.3: one of them";
    let other = "https://other.example";
    family.taken("aud as a list with another", why, good().claim("aud", json!([other, API])));
    family.taken("aud as a list of the same twice", why, good().claim("aud", json!([API, API])));
    family.case("AnotherAudience", "aud as a list of others", why, good().claim("aud", json!([other, "app"])));
    let many: Vec<_> = (0..150).map(|number| format!("https://api.example/{number}")).collect();
    family.case("AnotherAudience", "aud as a list of 150 others", why, good().claim("aud", json!(many)));
    let why = "RFC 9068 §2.2: it has to be there, and name somebody";
    family.case("Malformed", "no aud", why, good().without("aud"));
    family.case("Malformed", "aud as an empty list", why, good().claim("aud", json!([])));
    let why = "RFC 7519 §4.1.3: a text or a list of texts";
    for (name, value) in [
        ("null", Value::Null),
        ("a number", json!(1)),
        ("true", json!(true)),
        ("an object", json!({ API: 1 })),
        ("a list with a number", json!([API, 1])),
        ("a list with null", json!([API, null])),
        ("a list in a list", json!([[API]])),
    ] {
        family.case("Malformed", &format!("aud is {name}"), why, good().claim("aud", value));
    }
}

/// RFC 9068 §2.2.
fn parties(family: &mut Family) {
    for name in ["sub", "client_id", "jti"] {
        let why = "RFC 9068 §2.2: it has to be there, and be a text";
        family.case("Malformed", &format!("no {name}"), why, good().without(name));
        for (value_name, value) in no_texts() {
            family.case("Malformed", &format!("{name} is {value_name}"), why, good().claim(name, value));
        }
    }
    let why = "a user who is called like the client counts as nobody, which fails closed (RFC 9068 §5)";
    family.taken("sub is the client", why, good().claim("sub", "app"));
    let why = "RFC 9068 §2.2: `azp` is OpenID Connect's, and names no client here";
    family.case("Malformed", "azp and no client_id", why, good().without("client_id").claim("azp", "app"));
    for (name, value) in [("a text", json!("1699999000")), ("null", Value::Null), ("negative", json!(-1))] {
        let token = good().claim("auth_time", value);
        family.case("Malformed", &format!("auth_time is {name}"), "RFC 9068 §2.2.1: a moment", token);
    }
}

/// RFC 6749 §3.3.
fn scopes(family: &mut Family) {
    let why = "RFC 9068 §2.2.3, RFC 6749 §3.3: names with one space between";
    for (name, value) in no_texts() {
        family.case("Malformed", &format!("scope is {name}"), why, good().claim("scope", value));
    }
    for (name, scope) in [
        ("with a tabulator", "profile\tadmin"),
        ("with a line end", "profile\nadmin"),
        ("with a NUL", "profile\u{0}"),
        ("with quotes", "\"profile\""),
        ("with a backslash", "profile\\admin"),
        ("beyond ASCII", "profilé"),
        ("with a space that is none", "profile\u{a0}admin"),
    ] {
        family.case("Malformed", &format!("scope {name}"), why, good().claim("scope", scope));
    }
    let once = "RFC 6749 §3.3: a set";
    family.taken("scope with a name twice", once, good().claim("scope", "profile profile"));
    family.taken("scope that is empty", "as if it were not there: it gives nothing", good().claim("scope", ""));
    family.taken("scope with spaces around it", "RFC 6749 §3.3", good().claim("scope", " profile  email "));
    let other = good().without("scope").claim("scp", json!(["profile"])).claim("permissions", json!(["profile"]));
    family.taken("scp and no scope", "RFC 9068 §2.2.3: other names give nothing", other);
}
