//! Texts that are no compact JWS of JSON objects (RFC 7515 §3.1, §5.2; RFC 7519 §7.2).

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde_json::json;

use super::Family;
use crate::keys::{Key, encode};
use crate::token::{Token, by, good};

pub(super) fn family() -> Family {
    let mut family = Family::new("Texts that are no compact JWS of JSON objects.");
    parts(&mut family);
    alphabet(&mut family);
    spelling(&mut family);
    objects(&mut family);
    members(&mut family);
    nesting(&mut family);
    family
}

fn parts(family: &mut Family) {
    let token = good();
    let whole = token.sign();
    let [header, claims, signature] = whole.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let why = "RFC 7515 §3.1: three parts";
    for (name, text) in [
        ("nothing", String::new()),
        ("a dot", ".".to_owned()),
        ("two dots", "..".to_owned()),
        ("a thousand dots", ".".repeat(1_000)),
        ("one part", header.to_owned()),
        ("two parts", format!("{header}.{claims}")),
        ("four parts", format!("{whole}.{signature}")),
        ("four parts, the last empty", format!("{whole}.")),
        ("a dot before it", format!(".{whole}")),
        ("a part between", format!("{header}..{claims}.{signature}")),
        ("no header", format!(".{claims}.{signature}")),
        ("no claims", format!("{header}..{signature}")),
        ("a detached payload", token.clone().raw_claims("").sign()),
        ("header and claims exchanged", format!("{claims}.{header}.{signature}")),
        ("two tokens with a comma", format!("{whole},{whole}")),
        ("a scheme before it", format!("Bearer {whole}")),
        ("quotes around it", format!("\"{whole}\"")),
        ("commas for dots", whole.replace('.', ",")),
    ] {
        family.case("Malformed", name, why, text);
    }
    let encrypted = token.head("alg", "dir").head("enc", "A128GCM").input();
    let why = "RFC 7516 §3.1: five parts are an encrypted token, and its algorithm is none of signatures";
    family.case("Algorithm", "five parts", why, format!("{encrypted}.AAAA.AAAA.AAAA"));
    family.case("Malformed", "five parts under the name of a signature", why, format!("{whole}.AAAA.AAAA"));
    let flattened = json!({ "protected": header, "payload": claims, "signature": signature });
    family.case("Malformed", "the JSON serialization", "RFC 7515 §3.2: not in a header", flattened.to_string());
    let general = json!({ "payload": claims, "signatures": [{ "protected": header, "signature": signature }] });
    family.case("Malformed", "the general JSON serialization", "RFC 7515 §3.2", general.to_string());
}

/// RFC 7515 §2: base64url without padding, spaces and line ends.
fn alphabet(family: &mut Family) {
    let whole = by(Key::Rs).sign();
    let why = "RFC 7515 §2: base64url without padding, spaces and line ends";
    let mut parts: Vec<_> = whole.split('.').map(str::to_owned).collect();
    for (at, part) in ["header", "claims", "signature"].into_iter().enumerate() {
        let text = parts[at].clone();
        for (name, changed) in [
            ("with padding", format!("{text}{}", &"===="[..4 - text.len() % 4])),
            ("with a line end behind it", format!("{text}\n")),
            ("with a space in it", format!("{} {}", &text[..8], &text[8..])),
            ("with a line end in it", format!("{}\r\n{}", &text[..8], &text[8..])),
            ("with a NUL behind it", format!("{text}\0")),
            ("with a letter too many", format!("{text}A")),
            ("with a letter of no alphabet", format!("{}!{}", &text[..8], &text[9..])),
            ("with a letter beyond ASCII", format!("{}é{}", &text[..8], &text[9..])),
        ] {
            parts[at] = changed;
            let verdict = if name.ends_with("too many") && text.len() % 4 != 0 { continue } else { "Malformed" };
            family.case(verdict, &format!("{part} {name}"), why, parts.join("."));
        }
        parts[at] = text;
    }
    let plain = plus_and_slash();
    family.case("Malformed", "the alphabet of base64 with + and /", why, plain);
    let spaces = good().sign();
    for (name, text) in [
        ("a space before", format!(" {spaces}")),
        ("a space behind", format!("{spaces} ")),
        ("a line end behind", format!("{spaces}\n")),
    ] {
        family.case("Malformed", name, why, text);
    }
}

/// A token whose signature has both letters that the alphabets differ in, in the other alphabet.
fn plus_and_slash() -> String {
    let token = (0..).map(|number| good().claim("jti", format!("token {number}"))).find(|token| {
        let text = STANDARD_NO_PAD.encode(token.signature());
        text.contains('+') && text.contains('/')
    });
    let token: Token = token.expect("most have");
    let text = STANDARD.encode(token.signature());
    format!("{}.{}", token.input(), text.trim_end_matches('='))
}

/// One text for one token: RFC 4648 §3.5.
fn spelling(family: &mut Family) {
    let token = good();
    let whole = token.sign();
    let (input, _) = whole.rsplit_once('.').expect("three parts");
    let why = "RFC 4648 §3.5: what is left over of the last letter is zero";
    let last = whole.chars().last().expect("not empty");
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = letters.find(last).expect("of the alphabet");
    // 64 bytes leave four bits over, 256 leave four.
    for bits in [1, 8, 15] {
        let other = &letters[at + bits..=at + bits];
        let name = format!("the same signature by another last letter, {bits} on");
        family.case("Malformed", &name, why, format!("{}{other}", &whole[..whole.len() - 1]));
    }
    let (header, claims) = input.split_once('.').expect("two parts");
    let padded = encode(format!("{} ", json!({ "alg": "ES256", "kid": "es", "typ": "at+jwt" })));
    assert_ne!(padded, header, "another text of the same header");
    let signature = &whole[input.len() + 1..];
    let why = "RFC 7515 §5.2: the signature is over the text that was sent";
    family.case("Forged", "the same header with a space", why, format!("{padded}.{claims}.{signature}"));
    family.case("Malformed", "signed with padding in it", "RFC 7515 §2: no padding", {
        let input = format!("{header}=.{claims}");
        format!("{input}.{}", encode(Key::Es.sign(input.as_bytes())))
    });
    let lower = whole.to_ascii_lowercase();
    family.case("Malformed", "all in lower case", "RFC 4648 §5: letters have their case", lower);
}

/// RFC 7519 §7.2: header and claims are JSON objects in UTF-8.
fn objects(family: &mut Family) {
    let why = "RFC 7519 §7.2: a JSON object in UTF-8, and nothing else";
    let texts: [(&str, &[u8]); 16] = [
        ("empty", b""),
        ("a space", b" "),
        ("null", b"null"),
        ("a number", b"1"),
        ("a text", b"\"alg\""),
        ("a list", b"[]"),
        ("a list of an object", b"[{}]"),
        ("no JSON", b"alg=ES256"),
        ("an object that does not end", b"{\"alg\":\"ES256\",\"kid\":\"es\",\"typ\":\"at+jwt\""),
        ("names without quotes", b"{alg:\"ES256\",kid:\"es\",typ:\"at+jwt\"}"),
        ("other quotes", b"{'alg':'ES256','kid':'es','typ':'at+jwt'}"),
        ("a comma too many", b"{\"alg\":\"ES256\",\"kid\":\"es\",\"typ\":\"at+jwt\",}"),
        ("a comment", b"{\"alg\":\"ES256\",\"kid\":\"es\",\"typ\":\"at+jwt\"/**/}"),
        ("two objects", b"{\"alg\":\"ES256\",\"kid\":\"es\",\"typ\":\"at+jwt\"}{}"),
        ("something behind it", b"{\"alg\":\"ES256\",\"kid\":\"es\",\"typ\":\"at+jwt\"}x"),
        ("a NUL behind it", b"{\"alg\":\"ES256\",\"kid\":\"es\",\"typ\":\"at+jwt\"}\0"),
    ];
    for (name, text) in texts {
        family.case("Malformed", &format!("the header is {name}"), why, good().raw_header(text));
    }
    for (name, text) in [("empty", ""), ("null", "null"), ("a text", "\"alice\""), ("a list", "[]"), ("true", "true")] {
        family.case("Malformed", &format!("the claims are {name}"), why, good().raw_claims(text));
    }
    family.case("Malformed", "claims with something behind them", why, good().claims_text(|text| format!("{text} x")));
    family.case("Malformed", "claims with a comma too many", why, good().claims_text(|text| text.replace('}', ",}")));
    let why = "RFC 8259 §8.1: UTF-8 without a mark before it";
    let marked = |text: &str| format!("\u{feff}{text}");
    family.case("Malformed", "a mark before the header", why, good().header_text(marked));
    family.case("Malformed", "a mark before the claims", why, good().claims_text(marked));
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
    family.case("Malformed", "claims in UTF-16", why, good().raw_claims(wide("{\"sub\":\"alice\"}")));
    let invalid: [(&str, &[u8]); 4] = [
        ("a byte that is none of UTF-8", b"\xff"),
        ("a letter written too long", b"\xc0\xaf"),
        ("half a letter", b"\xe2\x82"),
        ("a surrogate", b"\xed\xa0\x80"),
    ];
    for (name, bytes) in invalid {
        let text = [b"{\"alg\":\"ES256\",\"kid\":\"es\",\"typ\":\"at+jwt\",\"x\":\"", bytes, b"\"}"].concat();
        family.case("Malformed", &format!("a header with {name}"), why, good().raw_header(text));
        let whole = good().claim("x", "<>");
        let claims = encode_claims(&whole, bytes);
        family.case("Malformed", &format!("claims with {name}"), why, whole.raw_claims(claims));
    }
    for (name, escape) in [
        ("half a surrogate", r"\ud800"),
        ("surrogates the wrong way round", r"\udc00\ud800"),
        ("an escape that is none", r"\x41"),
    ] {
        let token = good().literal("x", &format!("\"{escape}\""));
        family.case("Malformed", &format!("claims with {name}"), "RFC 8259 §7, §8.2", token);
    }
    let control = good().literal("x", "\"\u{1}\"");
    family.case("Malformed", "claims with a character that controls", "RFC 8259 §7: by an escape alone", control);
}

fn encode_claims(token: &Token, bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let _ = token.clone().claims_text(|claims| {
        let (before, behind) = claims.split_once("<>").expect("the mark");
        text = [before.as_bytes(), bytes, behind.as_bytes()].concat();
        claims.to_owned()
    });
    text
}

/// Two parsers read a name that is there twice as two things.
fn members(family: &mut Family) {
    let why = "RFC 7515 §4: names are there once";
    for (name, more) in [
        ("alg", r#""alg":"ES256","#),
        ("kid", r#""kid":"es","#),
        ("typ, once by an escape", r#""t\u0079p":"JWT","#),
        ("what nobody knows", r#""x":1,"x":1,"#),
    ] {
        let token = good().header_text(|text| text.replacen('{', &format!("{{{more}"), 1));
        family.case("Malformed", &format!("a header with {name} twice"), why, token);
    }
    let why = "RFC 7519 §4: names are there once";
    for (name, more) in [
        ("sub", r#""sub":"admin","#),
        ("sub, once by an escape", r#""s\u0075b":"admin","#),
        ("exp", r#""exp":9999999999,"#),
        ("aud", r#""aud":"https://other.example","#),
        ("scope", r#""scope":"admin","#),
        ("what nobody knows", r#""x":1,"x":1,"#),
    ] {
        for behind in [false, true] {
            let token = good().claims_text(|text| match behind {
                false => text.replacen('{', &format!("{{{more}"), 1),
                true => format!("{},{}}}", text.trim_end_matches('}'), more.trim_end_matches(',')),
            });
            let place = if behind { "behind" } else { "before" };
            family.case("Malformed", &format!("claims with {name} twice, {place}"), why, token);
        }
    }
    let why = "the standards ask it of header and claims, not of what lies within one that nobody here reads";
    family.taken("a claim with a name twice in it", why, good().literal("act", r#"{"sub":"a","sub":"b"}"#));
}

/// No stack overflows.
fn nesting(family: &mut Family) {
    let why = "RFC 8259 §9: a parser has a limit, and no stack overflows";
    for depth in [1_000, 2_900] {
        let lists = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        family.case("Malformed", &format!("claims with {depth} lists in each other"), why, good().literal("x", &lists));
        let open = "[".repeat(2 * depth);
        family.case("Malformed", &format!("claims with {} lists that do not end", 2 * depth), why, {
            good().literal("x", &open[..open.len().min(5_500)])
        });
    }
    let objects = format!("{}1{}", "{\"a\":".repeat(900), "}".repeat(900));
    family.case("Malformed", "claims with 900 objects in each other", why, good().literal("x", &objects));
    let header = format!(
        "{{\"alg\":\"ES256\",\"kid\":\"es\",\"typ\":\"at+jwt\",\"x\":{}{}}}",
        "[".repeat(2_500),
        "]".repeat(2_500)
    );
    family.case("Malformed", "a header with 2,500 lists in each other", why, good().raw_header(header));
    let few = format!("{}{}", "[".repeat(100), "]".repeat(100));
    family.taken("claims with 100 lists in each other", "below that limit", good().literal("x", &few));
}
