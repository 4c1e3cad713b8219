//! Tokens that are good but for what is changed in them.

use serde_json::{Map, Value, json};

use crate::keys::{Key, encode};

/// Whose tokens they are.
pub const ISSUER: &str = "https://shift.example";
/// When they are looked at, where a case does not say otherwise. It lies behind us: a judge whose clock cannot be set is
/// given more leeway.
pub const NOW: u64 = 1_700_000_000;
/// Where they are sent, where a case does not say otherwise.
pub const API: &str = "https://api.example/mcp";

/// A token that is still to be signed.
#[derive(Clone, Debug)]
pub struct Token {
    header: Part,
    claims: Part,
    key: Key,
}

#[derive(Clone, Debug)]
enum Part {
    Members(Map<String, Value>),
    Raw(Vec<u8>),
}

impl Part {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Members(members) => Value::from(members.clone()).to_string().into_bytes(),
            Self::Raw(bytes) => bytes.clone(),
        }
    }

    fn members(&mut self) -> &mut Map<String, Value> {
        match self {
            Self::Members(members) => members,
            Self::Raw(_) => panic!("what is raw has no members"),
        }
    }
}

/// One that is good, by this key.
pub fn by(key: Key) -> Token {
    let header = json!({ "alg": key.algorithm(), "kid": key.id(), "typ": "at+jwt" });
    let claims = json!({
        "iss": ISSUER,
        "aud": API,
        "sub": "alice",
        "client_id": "app",
        "jti": "AAECAwQFBgcICQoLDA0ODwABAgMEBQYH",
        "iat": NOW - 60,
        "exp": NOW + 600,
        "scope": "profile",
    });
    let members = |value: Value| Part::Members(value.as_object().expect("an object").clone());
    Token { header: members(header), claims: members(claims), key }
}

/// One that is good.
pub fn good() -> Token {
    by(Key::Es)
}

impl Token {
    /// With this in its header.
    pub fn head(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.members().insert(name.to_owned(), value.into());
        self
    }

    /// Without this in its header.
    pub fn headless(mut self, name: &str) -> Self {
        self.header.members().remove(name);
        self
    }

    /// With this claim.
    pub fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.claims.members().insert(name.to_owned(), value.into());
        self
    }

    /// Without this claim.
    pub fn without(mut self, name: &str) -> Self {
        self.claims.members().remove(name);
        self
    }

    /// With this header, as it is.
    pub fn raw_header(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.header = Part::Raw(bytes.into());
        self
    }

    /// With these claims, as they are.
    pub fn raw_claims(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.claims = Part::Raw(bytes.into());
        self
    }

    /// The header's text, with something done to it.
    pub fn header_text(self, edit: impl FnOnce(&str) -> String) -> Self {
        let text = edit(&String::from_utf8(self.header.bytes()).expect("UTF-8"));
        self.raw_header(text)
    }

    /// The claims' text, with something done to it.
    pub fn claims_text(self, edit: impl FnOnce(&str) -> String) -> Self {
        let text = edit(&String::from_utf8(self.claims.bytes()).expect("UTF-8"));
        self.raw_claims(text)
    }

    /// A claim that is written so.
    pub fn literal(self, name: &str, literal: &str) -> Self {
        let mark = format!("\"{name}\":\"<>\"");
        self.claim(name, "<>").claims_text(|text| text.replace(&mark, &format!("\"{name}\":{literal}")))
    }

    /// Signed by this key, whatever the header says.
    pub fn signed_by(mut self, key: Key) -> Self {
        self.key = key;
        self
    }

    /// Header and claims, base64url.
    pub fn input(&self) -> String {
        format!("{}.{}", encode(self.header.bytes()), encode(self.claims.bytes()))
    }

    /// The signature.
    pub fn signature(&self) -> Vec<u8> {
        self.key.sign(self.input().as_bytes())
    }

    /// The whole.
    pub fn sign(&self) -> String {
        self.with(self.signature())
    }

    /// The whole, with another signature.
    pub fn with(&self, signature: impl AsRef<[u8]>) -> String {
        format!("{}.{}", self.input(), encode(signature))
    }

    /// What a reader wants to see of it: header and claims, where they are not the usual ones.
    pub fn shown(&self) -> (Option<String>, Option<String>) {
        let usual = by(self.key.clone());
        let text = |part: &Part, usual: &Part| {
            let bytes = part.bytes();
            (bytes != usual.bytes() && bytes.len() < 2_000).then(|| String::from_utf8_lossy(&bytes).into_owned())
        };
        (text(&self.header, &usual.header), text(&self.claims, &usual.claims))
    }
}
