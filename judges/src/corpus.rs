//! The corpus: families of cases, and how they are written.

mod algorithm;
mod claims;
mod good;
mod header;
mod keys;
mod shape;
mod signature;
mod times;

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::sets;
use crate::token::Token;

/// The file of the sets of keys.
const SETS: &str = "sets_of_keys.json";

/// Cases that belong together, one file.
#[derive(Debug, Serialize, Deserialize)]
pub struct Family {
    /// What they are about.
    pub about: String,
    /// The cases.
    pub cases: Vec<Case>,
}

/// One token, and what has to become of it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Case {
    /// Its name within its family.
    pub name: String,
    /// Why, with the section that says so.
    pub why: String,
    /// `Taken`, or why not.
    pub verdict: String,
    /// Its header, where it is not the usual one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// Its claims, where they are not the usual ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims: Option<String>,
    /// The set of keys; without it, `published`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<String>,
    /// How far apart clocks may be, in seconds; without it, not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leeway: Option<u64>,
    /// The resource that it is sent to; without it, `https://api.example/mcp`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Whether only the signature is looked at.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub signature_only: bool,
    /// The token.
    pub token: String,
}

impl Case {
    fn keys(&mut self, name: &str) -> &mut Self {
        assert!(sets::all().contains_key(name), "no set of keys is called {name}");
        self.keys = Some(name.to_owned());
        self
    }

    fn leeway(&mut self, seconds: u64) -> &mut Self {
        self.leeway = Some(seconds);
        self
    }

    fn at(&mut self, resource: &str) -> &mut Self {
        self.at = Some(resource.to_owned());
        self
    }

    fn signature_only(&mut self) -> &mut Self {
        self.signature_only = true;
        self
    }
}

/// The text of a token, and what a reader wants to see of it.
struct Draft {
    token: String,
    shown: (Option<String>, Option<String>),
}

impl From<Token> for Draft {
    fn from(token: Token) -> Self {
        Self { token: token.sign(), shown: token.shown() }
    }
}

/// A token with a signature that is not its own.
impl From<(&Token, Vec<u8>)> for Draft {
    fn from((token, signature): (&Token, Vec<u8>)) -> Self {
        Self { token: token.with(signature), shown: token.shown() }
    }
}

impl From<String> for Draft {
    fn from(token: String) -> Self {
        Self { token, shown: (None, None) }
    }
}

impl Family {
    fn new(about: &str) -> Self {
        Self { about: about.to_owned(), cases: Vec::new() }
    }

    fn case(&mut self, verdict: &str, name: &str, why: &str, draft: impl Into<Draft>) -> &mut Case {
        assert!(self.cases.iter().all(|case| case.name != name), "two cases are called {name}");
        let Draft { token, shown: (header, claims) } = draft.into();
        let (name, why, verdict) = (name.to_owned(), why.to_owned(), verdict.to_owned());
        let (keys, leeway, at) = (None, None, None);
        self.cases.push(Case { name, why, verdict, header, claims, keys, leeway, at, signature_only: false, token });
        self.cases.last_mut().expect("it was put there")
    }

    fn taken(&mut self, name: &str, why: &str, draft: impl Into<Draft>) -> &mut Case {
        self.case("Taken", name, why, draft)
    }
}

/// Where the files are.
pub fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "tests", "corpus", "tokens"].iter().collect()
}

/// All families, by their file, as they are made.
fn families() -> Vec<(&'static str, Family)> {
    vec![
        ("algorithm.json", algorithm::family()),
        ("claims.json", claims::family()),
        ("good.json", good::family()),
        ("header.json", header::family()),
        ("keys.json", keys::family()),
        ("shape.json", shape::family()),
        ("signature.json", signature::family()),
        ("times.json", times::family()),
    ]
}

/// All families, by their file, as they lie there.
///
/// # Panics
/// Where one does not.
pub fn written() -> Vec<(String, Family)> {
    let files = fs::read_dir(folder()).expect("it is there").map(|file| file.expect("an entry").path());
    let families = files.filter(|path| !path.ends_with(SETS)).map(|path| {
        let text = fs::read_to_string(&path).expect("a file");
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8").to_owned();
        (name, serde_json::from_str(&text).expect("a family"))
    });
    families.collect()
}

/// Every file of the corpus, with its text.
pub fn all() -> Vec<(&'static str, String)> {
    fn text(value: &impl Serialize) -> String {
        let mut text = serde_json::to_string_pretty(value).expect("it is JSON");
        text.push('\n');
        text
    }
    let mut all: Vec<_> = families().iter().map(|(name, family)| (*name, text(family))).collect();
    all.push((SETS, text(&sets::all())));
    all
}
