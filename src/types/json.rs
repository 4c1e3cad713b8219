//! JSON objects in which no member is named twice.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};

/// What two parsers read alike: a member that is named twice is read as the first by some and as the last by others
/// (RFC 7515 §4, RFC 7519 §4).
pub(crate) struct Members<const N: usize> {
    /// Those of the names that were asked for, which no map has to be searched for: every token is read this way.
    pub(crate) named: [Option<Value>; N],
    pub(crate) others: Map<String, Value>,
}

impl<const N: usize> Members<N> {
    pub(crate) fn read(json: &[u8], names: [&'static str; N]) -> serde_json::Result<Self> {
        let mut json = serde_json::Deserializer::from_slice(json);
        let members = json.deserialize_map(Names(names))?;
        json.end().map(|()| members)
    }
}

struct Names<const N: usize>([&'static str; N]);

/// Borrowed, unless it has an escape.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de, const N: usize> Visitor<'de> for Names<N> {
    type Value = Members<N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut read: A) -> Result<Self::Value, A::Error> {
        let mut members = Members { named: [const { None }; N], others: Map::new() };
        while let Some((Name(name), value)) = read.next_entry()? {
            let before = match self.0.iter().position(|known| *known == name) {
                Some(place) => members.named[place].replace(value),
                None => members.others.insert(name.into_owned(), value),
            };
            if before.is_some() {
                return Err(A::Error::custom("a member is named twice"));
            }
        }
        Ok(members)
    }
}
