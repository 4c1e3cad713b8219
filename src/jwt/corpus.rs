//! The corpus in `tests/corpus/tokens`: what has to become of each of its tokens. `cargo run -p judges` writes it.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::*;
use crate::types::{Issuer, Resource, UnixTime};

const ISSUER: &str = "https://shift.example";
const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);
const API: &str = "https://api.example/mcp";
const FAMILIES: [&str; 8] = ["algorithm", "claims", "good", "header", "keys", "shape", "signature", "times"];

#[derive(Deserialize)]
struct Family {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    why: String,
    verdict: String,
    keys: Option<String>,
    #[serde(default)]
    leeway: u64,
    at: Option<String>,
    #[serde(default)]
    signature_only: bool,
    token: String,
}

fn read<T: DeserializeOwned>(name: &str) -> T {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/tokens").join(format!("{name}.json"));
    serde_json::from_str(&fs::read_to_string(&path).expect("it is there")).expect("it is JSON")
}

fn verdict(case: &Case, sets: &HashMap<String, Value>) -> String {
    let set = &sets[case.keys.as_deref().unwrap_or("published")];
    let Ok(keys) = set.to_string().parse::<Jwks>() else { return "KeysRefused".to_owned() };
    if case.signature_only {
        return signature(&case.token, &keys).to_owned();
    }
    let issuer = Issuer::from(ISSUER);
    let checked = Jws::read(&case.token)
        .and_then(|token| access_token::verify(token, &issuer, &keys, NOW, Duration::from_secs(case.leeway)));
    match checked {
        Err(error) => format!("{error:?}"),
        Ok(claims) => {
            let at: Resource = case.at.as_deref().unwrap_or(API).parse().expect("a resource");
            let heard = claims.resources.iter().any(|resource| resource.covers(&at));
            if heard { "Taken" } else { "AnotherAudience" }.to_owned()
        }
    }
}

/// For what the standards print, which is no access token.
fn signature(token: &str, keys: &Jwks) -> &'static str {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    let (input, signature) = token.rsplit_once('.').expect("three parts");
    let header = URL_SAFE_NO_PAD.decode(input.split('.').next().expect("a header")).expect("base64url");
    let header: Value = serde_json::from_slice(&header).expect("JSON");
    let algorithm = Algorithm::named(header["alg"].as_str().expect("a name")).expect("one of ours");
    let key = keys.find(None, algorithm).expect("one key");
    match key.has_signed(input.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).expect("base64url")) {
        true => "Taken",
        false => "Forged",
    }
}

/// RFC 7515, 7517, 7518, 7519, 8037, 8725, 9068: each case names the section.
#[test]
fn every_token_of_the_corpus_has_its_verdict() {
    let sets: HashMap<String, Value> = read("sets_of_keys");
    let mut count = 0;
    let mut wrong = Vec::new();
    for family in FAMILIES {
        for case in read::<Family>(family).cases {
            count += 1;
            let verdict = verdict(&case, &sets);
            if verdict != case.verdict {
                wrong.push(format!("{family}, {}: {verdict}, not {} ({})", case.name, case.verdict, case.why));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {count}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 300, "{count} tokens");
}
