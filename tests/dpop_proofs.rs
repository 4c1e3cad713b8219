//! The checks of a proof: RFC 9449 §4.3, by the corpus in `tests/data/proofs.txt`.

#[path = "support/jws.rs"]
mod jws;
#[path = "support/prover.rs"]
mod prover;
mod support;

use std::sync::{Arc, LazyLock, Mutex};

use http::{StatusCode, header};
use jws::hs256;
use prover::{DPOP, Prover, claims, get_with, hash, unused, with_proof};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::{Answer, App, SECRET, app, basic, builder, code, form, redemption, send, with_members};
use tower_oauth::event::Event;
use tower_oauth::testing::ManualClock;

struct Keys {
    es256: Prover,
    eddsa: Prover,
    rs256: Prover,
    stranger: Prover,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys {
    es256: Prover::es256(),
    eddsa: Prover::eddsa(),
    rs256: Prover::rs256(),
    stranger: Prover::es256(),
});

/// A provider that looks at proofs, its app, and what its operator hears last.
struct Site {
    app: App,
    reasons: Arc<Mutex<Vec<&'static str>>>,
    /// Bound to the key es256.
    token: String,
}

const FOR_ITSELF: [(&str, &str); 2] = [("grant_type", "client_credentials"), ("scope", "profile")];

async fn site() -> Site {
    let reasons = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&reasons);
    let hear = move |event: &Event<'_>| heard.lock().unwrap().extend(event.kind.reason());
    let provider = builder(&ManualClock::default()).dpop().on_event(hear).build().expect("a good configuration");
    let app = app(&provider);
    let answer = for_itself(&app, &KEYS.es256.for_tokens()).await;
    let token = answer.json()["access_token"].as_str().expect("a token").to_owned();
    Site { app, reasons, token }
}

/// The confidential client asks for a token of its own.
async fn for_itself(app: &App, proof: &str) -> Answer {
    send(app, with_proof(basic(form("/token", &FOR_ITSELF), "confidential", SECRET), proof)).await
}

async fn redeem_with(app: &App, code: &str, proof: &str) -> Answer {
    send(app, with_proof(form("/token", &redemption(code)), proof)).await
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Token,
    Api,
}

/// A row of the corpus.
struct Row {
    line: usize,
    places: &'static [Place],
    verdict: &'static str,
    signer: &'static str,
    header: &'static str,
    claims: &'static str,
}

fn rows() -> Vec<Row> {
    let rows = include_str!("data/proofs.txt").lines().enumerate();
    let rows = rows.filter(|(_, row)| !row.is_empty() && !row.starts_with('#'));
    rows.map(|(at, row)| {
        let columns: Vec<_> = row.splitn(5, '|').map(str::trim).collect();
        let [place, verdict, signer, header, claims] = columns[..] else { panic!("line {}: {row}", at + 1) };
        let places: &[_] = match place {
            "token" => &[Place::Token],
            "api" => &[Place::Api],
            "both" => &[Place::Token, Place::Api],
            other => panic!("line {}: {other}", at + 1),
        };
        Row { line: at + 1, places, verdict, signer, header, claims }
    })
    .collect()
}

/// Puts in what the corpus has a name for.
fn filled(value: Value, token: &str) -> Value {
    match value {
        Value::Object(mut members) => match members.remove("$") {
            Some(name) => {
                let key = match name.as_str().expect("a name") {
                    "es256" => &KEYS.es256,
                    "eddsa" => &KEYS.eddsa,
                    "rs256" => &KEYS.rs256,
                    "stranger" => &KEYS.stranger,
                    other => panic!("{other}"),
                };
                with_members(key.key.public(), members.into())
            }
            None => members.into_iter().map(|(name, value)| (name, filled(value, token))).collect(),
        },
        Value::Array(values) => values.into_iter().map(|value| filled(value, token)).collect(),
        Value::String(text) => match text.split_once(':').unwrap_or((&text, "")) {
            ("$ath", _) => hash(token).into(),
            ("$token", _) => token.into(),
            ("$hex", _) => Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect::<String>().into(),
            ("$long", length) => "x".repeat(length.parse().expect("a number")).into(),
            _ => text.into(),
        },
        other => other,
    }
}

impl Row {
    /// The proof, with this `jti` where it has a good one.
    fn proof(&self, place: Place, token: &str, id: &str) -> String {
        let text = |column: &str, good: Value| match column.strip_prefix('=') {
            Some(whole) => whole.to_owned(),
            None => {
                let others: Value =
                    serde_json::from_str(column).unwrap_or_else(|why| panic!("line {}: {why}", self.line));
                with_members(good, filled(others, token)).to_string()
            }
        };
        let good = match place {
            Place::Token => claims("POST", "https://shift.example/token", None),
            Place::Api => claims("GET", "https://shift.example/me", Some(token)),
        };
        let header = text(self.header, KEYS.es256.header());
        let claims = text(self.claims, with_members(good, json!({"jti": id})));
        jws::jws(&header, &claims, |message| self.signature(message))
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let es256 = &KEYS.es256.key;
        let mut good = es256.sign(message);
        match self.signer {
            "es256" => good,
            "eddsa" => KEYS.eddsa.key.sign(message),
            "rs256" => KEYS.rs256.key.sign(message),
            "stranger" => KEYS.stranger.key.sign(message),
            "hmac" => hs256(es256.public().to_string().as_bytes(), message),
            "hmac-x" => hs256(&es256.point(), message),
            "nobody" => Vec::new(),
            "damaged" => {
                good[63] ^= 1;
                good
            }
            "cut" => good[..63].to_vec(),
            "der" => es256.sign_der(message),
            "zeros" => vec![0; 64],
            "doubled" => good.repeat(2),
            "swapped" => es256.sign(b"another message"),
            unknown => panic!("line {}: {unknown}", self.line),
        }
    }
}

/// The error of a token request, or of a request to an API (RFC 9449 §5, §7.1): in its words for that place.
fn error(place: Place, answer: &Answer) -> String {
    match place {
        Place::Token => {
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{answer:?}");
            answer.error()
        }
        Place::Api => {
            assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
            let challenge = answer.header(header::WWW_AUTHENTICATE);
            assert!(
                challenge.starts_with("DPoP ") && challenge.ends_with(", algs=\"ES256 EdDSA RS256\""),
                "{challenge}"
            );
            let error = challenge.split("error=\"").nth(1).and_then(|rest| rest.split('"').next());
            error.unwrap_or_default().to_owned()
        }
    }
}

/// RFC 9449 §4.3: each is refused for its reason, and consumes nothing, neither the code nor the name of a proof that is
/// good.
#[tokio::test]
async fn every_proof_of_the_corpus_has_its_verdict_and_a_hostile_one_consumes_nothing() {
    let Site { app, reasons, token } = site().await;
    let code = code(&app, "profile").await;
    let (mut hostile, mut wrong) = (0, Vec::new());
    for row in rows() {
        for place in row.places {
            let id = unused();
            let proof = row.proof(*place, &token, &id);
            reasons.lock().unwrap().clear();
            let answer = match (place, row.verdict) {
                (Place::Token, "taken") => for_itself(&app, &proof).await,
                (Place::Token, _) => redeem_with(&app, &code, &proof).await,
                (Place::Api, _) => send(&app, get_with("/me?page=1", &token, &proof)).await,
            };
            let heard = reasons.lock().unwrap().first().copied().unwrap_or("taken");
            if heard != row.verdict {
                wrong.push(format!("line {}: {heard}, not {}: {answer:?}", row.line, row.verdict));
                continue;
            }
            if heard == "taken" {
                assert_eq!(answer.status, StatusCode::OK, "line {}: {answer:?}", row.line);
                continue;
            }
            hostile += 1;
            let expected = if heard.starts_with("token_") { "invalid_token" } else { "invalid_dpop_proof" };
            assert_eq!(error(*place, &answer), expected, "line {}", row.line);
            let good = KEYS.es256.proof_but("POST", "https://shift.example/token", None, json!({"jti": id}));
            assert_eq!(for_itself(&app, &good).await.status, StatusCode::OK, "line {}: its name is used up", row.line);
        }
    }
    assert!(wrong.is_empty(), "{} of {hostile}:\n{}", wrong.len(), wrong.join("\n"));
    assert!(hostile >= 80, "{hostile} hostile proofs");
    let answer = redeem_with(&app, &code, &KEYS.es256.for_tokens()).await;
    assert_eq!((answer.status, &answer.json()["token_type"]), (StatusCode::OK, &json!("DPoP")), "{answer:?}");
}

/// RFC 9449 §4.3 item 2, RFC 7515 §3.1 and §7.1: one compact JWS, in 4 KiB
#[tokio::test]
async fn what_is_no_jws_is_refused() {
    let Site { app, reasons, token } = site().await;
    let good = KEYS.es256.for_tokens();
    let [a, b, c] = *good.split('.').collect::<Vec<_>>() else { panic!("three parts") };
    let long = KEYS.es256.proof_but("POST", "https://shift.example/token", None, json!({"pad": "x".repeat(4 * 1024)}));
    let json = json!({"payload": b, "protected": a, "signature": c}).to_string();
    for (text, reason) in [
        ("", "dpop_proof_malformed"),
        ("x", "dpop_proof_malformed"),
        ("..", "dpop_proof_malformed"),
        ("a.b.c", "dpop_proof_malformed"),
        (&json, "dpop_proof_malformed"),
        (&format!("{a}.{b}"), "dpop_proof_malformed"),
        (&format!("{a}.{b}."), "dpop_proof_forged"),
        (&format!("{a}..{c}"), "dpop_proof_malformed"),
        (&format!(".{b}.{c}"), "dpop_proof_malformed"),
        (&format!("{a}.{b}.{c}.{c}"), "dpop_proof_malformed"),
        (&format!("{a}.{b}.{c}.{c}.{c}"), "dpop_proof_malformed"),
        (&format!("{a}.{b}.{c}="), "dpop_proof_malformed"),
        (&format!("{a}.{b}.{c}, {a}.{b}.{c}"), "dpop_proof_malformed"),
        (&format!("{a}.{b}.{c} {a}.{b}.{c}"), "dpop_proof_malformed"),
        (&format!("DPoP {a}.{b}.{c}"), "dpop_proof_malformed"),
        (&token, "dpop_proof_malformed"),
        (&long, "dpop_proof_too_long"),
    ] {
        reasons.lock().unwrap().clear();
        assert_eq!(error(Place::Token, &for_itself(&app, text).await), "invalid_dpop_proof", "{text}");
        let api = send(&app, get_with("/me", &token, text)).await;
        assert_eq!(error(Place::Api, &api), "invalid_dpop_proof", "{text}");
        let reasons = reasons.lock().unwrap();
        assert_eq!(reasons[0], reason, "{text}");
    }
    let mut bytes = with_proof(basic(form("/token", &FOR_ITSELF), "confidential", SECRET), "x");
    bytes.headers_mut().insert(DPOP, http::HeaderValue::from_bytes(b"\xe9").expect("a header"));
    assert_eq!(error(Place::Token, &send(&app, bytes).await), "invalid_dpop_proof");
    assert_eq!(for_itself(&app, &good).await.status, StatusCode::OK);
}

/// RFC 9449 §4.3 item 1: of two nobody could say which is meant
#[tokio::test]
async fn there_is_one_header_with_a_proof() {
    let Site { app, reasons, token } = site().await;
    let proofs = [KEYS.es256.for_tokens(), KEYS.es256.for_tokens()];
    let twice = |second| {
        let request = with_proof(basic(form("/token", &FOR_ITSELF), "confidential", SECRET), &proofs[0]);
        with_proof(request, second)
    };
    for second in [&*proofs[0], &proofs[1], ""] {
        assert_eq!(error(Place::Token, &send(&app, twice(second)).await), "invalid_dpop_proof");
    }
    let proof = || KEYS.es256.for_get("https://shift.example/me", &token);
    let twice = with_proof(get_with("/me", &token, &proof()), &proof());
    assert_eq!(error(Place::Api, &send(&app, twice).await), "invalid_dpop_proof");
    assert_eq!(*reasons.lock().unwrap().last().unwrap(), "dpop_proof_repeated");
    let mut none = get_with("/me", &token, "x");
    none.headers_mut().remove(DPOP);
    assert_eq!(error(Place::Api, &send(&app, none).await), "invalid_dpop_proof");
    assert_eq!(*reasons.lock().unwrap().last().unwrap(), "dpop_proof_missing");
    for proof in &proofs {
        assert_eq!(for_itself(&app, proof).await.status, StatusCode::OK, "no name is used up");
    }
}
