//! The corpus of tokens in `tests/corpus/tokens`, at an API behind a bearer layer: RFC 9068 §4, RFC 8725, and whatever
//! section a case names. `src/jwt/corpus.rs` holds each to the reason too.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::get;
use http::{HeaderValue, Request, StatusCode, header};
use serde_json::Value;
use tower::ServiceExt;
use tower_oauth::JwtVerifier;
use tower_oauth::jwt::Jwks;
use tower_oauth::resource_server::TrustedIssuer;
use tower_oauth::testing::ManualClock;

const ISSUER: &str = "https://shift.example";
const API: &str = "https://api.example/mcp";
const NOW: u64 = 1_700_000_000;
const FAMILIES: [&str; 8] = ["algorithm", "claims", "good", "header", "keys", "shape", "signature", "times"];

/// Where the rules of the header come first: of all of it 8 KiB are read, and before a token there may be several spaces
/// (RFC 9110 §11.4).
const OTHER_THAN_ALONE: [(&str, bool); 2] = [("8,192 characters", false), ("a space before", true)];

fn read(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/tokens").join(format!("{name}.json"));
    serde_json::from_str(&fs::read_to_string(path).expect("it is there")).expect("it is JSON")
}

/// What one that trusts these keys answers to tokens for this resource.
fn api(keys: Jwks, leeway: u64, resource: &str) -> Router {
    let clock = ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(NOW));
    let issuer = TrustedIssuer::from(ISSUER).jwks(keys);
    let verifier = JwtVerifier::builder(resource).issuer(issuer).clock(clock).leeway(Duration::from_secs(leeway));
    let verifier = verifier.build().expect("it is configured");
    Router::new().route("/", get(|| async { "in" })).layer(verifier.bearer())
}

async fn answer(api: &Router, credentials: HeaderValue) -> StatusCode {
    let request = Request::get("/").header(header::AUTHORIZATION, credentials).body(Body::empty()).expect("a request");
    let response: Response = api.clone().oneshot(request).await.expect("it answers");
    response.status()
}

#[tokio::test]
async fn an_api_lets_in_what_the_corpus_says_and_nothing_else() {
    let sets: HashMap<String, Value> = serde_json::from_value(read("sets_of_keys")).expect("by name");
    let (mut wrong, mut taken, mut refused) = (Vec::new(), 0, 0);
    for family in FAMILIES {
        for case in read(family)["cases"].as_array().expect("a list") {
            if case["signature_only"] == true {
                continue;
            }
            let set = &sets[case["keys"].as_str().unwrap_or("published")];
            let Ok(keys) = set.to_string().parse::<Jwks>() else {
                assert_eq!(case["verdict"], "KeysRefused", "{case}");
                continue;
            };
            if keys.is_empty() {
                // With these nothing can be built, so nothing gets in.
                assert_ne!(case["verdict"], "Taken", "{case}");
                continue;
            }
            let other = OTHER_THAN_ALONE.into_iter().find(|(name, _)| case["name"] == *name);
            let good = other.map_or(case["verdict"] == "Taken", |(_, good)| good);
            let credentials = HeaderValue::from_str(&format!("Bearer {}", case["token"].as_str().expect("a token")));
            // What no header can have gets nowhere.
            let Ok(credentials) = credentials else {
                assert!(!good, "{case}");
                continue;
            };
            let leeway = case["leeway"].as_u64().unwrap_or(0);
            let api = api(keys, leeway, case["at"].as_str().unwrap_or(API));
            // The second time it may be remembered.
            for time in ["first", "second"] {
                let status = answer(&api, credentials.clone()).await;
                let expected =
                    if good { &[StatusCode::OK][..] } else { &[StatusCode::UNAUTHORIZED, StatusCode::BAD_REQUEST] };
                if !expected.contains(&status) {
                    wrong.push(format!("{family}, {} ({time} time): {status}", case["name"]));
                }
            }
            *if good { &mut taken } else { &mut refused } += 1;
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(taken >= 50 && refused >= 250, "{taken} taken, {refused} refused");
}
