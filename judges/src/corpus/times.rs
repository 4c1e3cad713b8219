//! `exp`, `nbf`, `iat` (RFC 7519 §2, §4.1).

use super::Family;
use crate::token::{NOW, good};

pub(super) fn family() -> Family {
    let mut family = Family::new("`exp`, `nbf` and `iat`: what is a moment, and on which side of now it is.");
    ends(&mut family);
    begins(&mut family);
    fractions(&mut family);
    literals(&mut family);
    family
}

fn ends(family: &mut Family) {
    let why = "RFC 7519 §4.1.4: over at that second, not after it";
    family.taken("exp in a second", why, good().claim("exp", NOW + 1));
    family.case("Expired", "exp now", why, good().claim("exp", NOW));
    family.case("Expired", "exp a second ago", why, good().claim("exp", NOW - 1));
    family.case("Expired", "exp long ago", why, good().claim("exp", 1_300_819_380));
    family.case("Expired", "exp at the beginning", why, good().claim("exp", 0));
    let why = "RFC 7519 §4.1.4: leeway for clocks that differ";
    family.taken("exp 59 seconds ago, with 60 of leeway", why, good().claim("exp", NOW - 59)).leeway(60);
    family.case("Expired", "exp 60 seconds ago, with 60 of leeway", why, good().claim("exp", NOW - 60)).leeway(60);
    family.case("Expired", "exp 61 seconds ago, with 60 of leeway", why, good().claim("exp", NOW - 61)).leeway(60);
    let why = "RFC 9068 §2.2: it has to be there";
    family.case("Expired", "no exp", why, good().without("exp"));
    family.case("Malformed", "no iat", why, good().without("iat"));
    family.taken("exp before iat, both good", "nothing says that it may not; it ends all the same", {
        good().claim("iat", NOW).claim("exp", NOW + 1).claim("nbf", NOW)
    });
}

fn begins(family: &mut Family) {
    let why = "RFC 7519 §4.1.5: good from that second on";
    family.taken("nbf now", why, good().claim("nbf", NOW));
    family.taken("nbf long ago", why, good().claim("nbf", 1));
    family.case("Early", "nbf in a second", why, good().claim("nbf", NOW + 1));
    family.taken("nbf in 60 seconds, with 60 of leeway", why, good().claim("nbf", NOW + 60)).leeway(60);
    family.case("Early", "nbf in 61 seconds, with 60 of leeway", why, good().claim("nbf", NOW + 61)).leeway(60);
    family.case("Early", "nbf in the far future", why, good().claim("nbf", 1_u64 << 53));
    let why = "RFC 7519 §4.1.6: a token of the future is none yet: somebody's clock is wrong";
    family.taken("iat now", why, good().claim("iat", NOW));
    family.case("Early", "iat in a second", why, good().claim("iat", NOW + 1));
    family.taken("iat in 60 seconds, with 60 of leeway", why, good().claim("iat", NOW + 60)).leeway(60);
    family.case("Early", "iat in 61 seconds, with 60 of leeway", why, good().claim("iat", NOW + 61)).leeway(60);
    family.case("Early", "iat in milliseconds", why, good().claim("iat", NOW * 1000));
    family.taken("iat of 1970", "RFC 7519 §4.1.6: age is no reason here; the end is", good().claim("iat", 0));
}

/// RFC 7519 §2: "which may have a fraction".
fn fractions(family: &mut Family) {
    let why = "RFC 7519 §2: a NumericDate may have a fraction; within a second it counts as its end";
    for (verdict, name, literal) in [
        ("Taken", "exp in half a second", "1700000000.5"),
        ("Taken", "exp with a fraction of zero", "1700000001.0"),
        ("Expired", "exp now, with a fraction of zero", "1700000000.0"),
        ("Expired", "exp half a second ago", "1699999999.5"),
        ("Taken", "exp with an exponent", "1.7000006e9"),
        ("Taken", "exp with a large exponent", "17000006E2"),
        ("Expired", "exp with a small exponent", "1.5e-3"),
    ] {
        family.case(verdict, name, why, good().literal("exp", literal));
    }
    family.case("Early", "nbf in half a second", why, good().literal("nbf", "1700000000.5"));
    family.taken("nbf half a second ago", why, good().literal("nbf", "1699999999.5"));
    family.case("Early", "iat in half a second", why, good().literal("iat", "1700000000.5"));
}

/// What is no moment is no reason to go on as if it were not there: CVE-2026-25537.
fn literals(family: &mut Family) {
    let why = "RFC 7519 §2: a number of seconds";
    for (name, literal) in [
        ("a text", "\"1700000600\""),
        ("a date", "\"2033-05-18T03:33:20Z\""),
        ("an empty text", "\"\""),
        ("null", "null"),
        ("true", "true"),
        ("false", "false"),
        ("a list", "[1700000600]"),
        ("an object", "{\"$date\":1700000600}"),
    ] {
        for claim in ["exp", "nbf", "iat"] {
            family.case("Malformed", &format!("{claim} is {name}"), why, good().literal(claim, literal));
        }
    }
    let no_json = "RFC 8259 §6: no JSON number";
    for literal in [
        "NaN",
        "Infinity",
        "-Infinity",
        "+1700000600",
        "0x6553f358",
        "01700000600",
        "1_700_000_600",
        "1700000600.",
        ".5",
        "1e",
        "1700000600n",
    ] {
        family.case("Malformed", &format!("exp is {literal}"), no_json, good().literal("exp", literal));
    }
    let none = "nothing was signed before 1970";
    for literal in ["-1", "-1700000600", "-0.5", "-1e300"] {
        for claim in ["exp", "nbf", "iat"] {
            family.case("Malformed", &format!("{claim} is {literal}"), none, good().literal(claim, literal));
        }
    }
    let large = "RFC 7519 §2 has no largest; none overflows, and none is taken for a smaller";
    for literal in [
        "1000000000000000000",
        "9007199254740992",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "340282366920938463463374607431768211456",
        "1e18",
        "1e300",
    ] {
        family.taken(&format!("exp is {literal}"), large, good().literal("exp", literal));
        family.case("Early", &format!("nbf is {literal}"), large, good().literal("nbf", literal));
    }
    let too_large = "RFC 8259 §6: a number that no parser here can hold";
    for claim in ["exp", "nbf", "iat", "x"] {
        family.case("Malformed", &format!("{claim} is 1e400"), too_large, good().literal(claim, "1e400"));
    }
    family.case("Malformed", "exp of 400 digits", too_large, good().literal("exp", &"9".repeat(400)));
    family.case("Expired", "exp is -0", "it is zero", good().literal("exp", "-0"));
    family.case("Expired", "exp is 1e-400", "it is zero", good().literal("exp", "1e-400"));
}
