use std::borrow::Cow;

use percent_encoding::percent_decode;
use serde::Serialize;

/// The parameters of a request, in `application/x-www-form-urlencoded`
/// ([RFC 6749 Appendix B](https://www.rfc-editor.org/rfc/rfc6749#appendix-B)).
///
/// A parameter without a value counts as left out (§3.1, §3.2).
#[derive(Clone, Default)]
pub(crate) struct Params(Vec<(String, String)>);

/// Why a text holds no parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InvalidParams {
    /// More than [`Params::MAX`].
    TooMany,
    /// A name or value is no UTF-8.
    NotUtf8,
}

impl Params {
    /// How many parameters one request can have.
    pub(crate) const MAX: usize = 100;

    pub(crate) fn parse(text: &[u8]) -> Result<Self, InvalidParams> {
        let mut params = Vec::new();
        for pair in text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            if params.len() == Self::MAX {
                return Err(InvalidParams::TooMany);
            }
            let equals = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            let value = pair.get(equals + 1..).unwrap_or_default();
            let decode = |part| form_decode(part).ok_or(InvalidParams::NotUtf8);
            params.push((decode(&pair[..equals])?, decode(value)?));
        }
        Ok(Self(params))
    }

    /// The first value of a parameter that has one.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The same and one more, in place of any of this name; as many as can be read again.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Result<Self, InvalidParams> {
        self.0.retain(|(known, _)| known != name);
        if self.0.len() == Self::MAX {
            return Err(InvalidParams::TooMany);
        }
        self.0.push((name.to_owned(), value.to_owned()));
        Ok(self)
    }

    /// Every value of a parameter that may be repeated.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.iter().filter(move |(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Whether the parameter occurs more than once, with or without a value.
    pub(crate) fn is_repeated(&self, name: &str) -> bool {
        self.0.iter().filter(|(known, _)| known == name).count() > 1
    }

    /// Whether any parameter is repeated that may not be: all but `resource` (RFC 8707 §2) and `audience` (RFC 8693 §2.1).
    pub(crate) fn any_repeated(&self) -> bool {
        self.0.iter().enumerate().any(|(at, (name, _))| {
            !matches!(&**name, "resource" | "audience") && self.0[..at].iter().any(|(known, _)| known == name)
        })
    }

    /// The parameters that have a value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value)).filter(|(_, value)| !value.is_empty())
    }

    /// The rest, without these.
    pub(crate) fn without(mut self, names: &[&str]) -> Self {
        self.0.retain(|(known, _)| !names.contains(&&**known));
        self
    }

    /// Whether a parameter of this name occurs, with or without a value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }
}

/// Encodes names and texts, as [`Params`] reads them; a value that is `None` is left out.
pub(crate) fn form_encode<V: Serialize>(pairs: &[(&str, V)]) -> String {
    serde_urlencoded::to_string(pairs).expect("pairs of texts are always encodable")
}

/// Decodes one name or value; `None` if it is no UTF-8.
pub(crate) fn form_decode(part: &[u8]) -> Option<String> {
    let spaced: Vec<u8> = part.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&spaced).decode_utf8().ok().map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn params(text: &str) -> Params {
        Params::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn pairs_are_decoded_and_an_empty_value_is_left_out() {
        let params = params("a=b+c%2Bd&&empty=&bare&%61%62=%C3%A9&eq=a=b");
        assert_eq!(params.get("a"), Some("b c+d"));
        assert_eq!(params.get("ab"), Some("\u{e9}"));
        assert_eq!(params.get("eq"), Some("a=b"));
        assert!(params.get("empty").is_none() && params.has("empty"));
        assert!(params.get("bare").is_none() && params.has("bare") && !params.has("c"));
        assert_eq!(params.iter().count(), 3);
    }

    #[test]
    fn repetition_is_seen_also_without_a_value_and_where_it_is_allowed_not() {
        assert!(params("a=1&a=").any_repeated() && params("a=1&a").is_repeated("a"));
        assert!(params("x=1&%78=2").any_repeated());
        let twice = params("resource=a&resource=b&audience=c&audience=d&other=1");
        assert!(!twice.any_repeated() && twice.is_repeated("resource") && !twice.is_repeated("other"));
        assert_eq!(twice.all("resource").collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn those_that_are_named_are_taken_out_each_time_that_they_occur() {
        let rest = params("a=1&b=2&a=3&c").without(&["a", "c", "d"]);
        assert!(!rest.has("a") && !rest.has("c") && rest.get("b") == Some("2"));
    }

    #[test]
    fn what_is_no_utf8_or_too_much_is_refused() {
        assert_eq!(Params::parse(b"a=%ff").err(), Some(InvalidParams::NotUtf8));
        assert_eq!(Params::parse(b"\xff=a").err(), Some(InvalidParams::NotUtf8));
        let many = |count| (0..count).map(|n| format!("p{n}=1")).collect::<Vec<_>>().join("&");
        assert!(Params::parse(many(100).as_bytes()).is_ok());
        assert_eq!(Params::parse(many(101).as_bytes()).err(), Some(InvalidParams::TooMany));
    }

    proptest! {
        #[test]
        fn what_was_encoded_comes_back_to_the_byte(name in ".{1,20}", value in ".{1,80}") {
            let text = form_encode(&[(&name, &value)]);
            let params = params(&text);
            prop_assert_eq!(params.get(&name), Some(&*value));
        }

        #[test]
        fn no_input_makes_it_panic(text: Vec<u8>) {
            let _ = Params::parse(&text);
        }
    }
}
