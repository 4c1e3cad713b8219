use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A set of scope tokens in the order in which they were asked for
/// ([RFC 6749 §3.3](https://www.rfc-editor.org/rfc/rfc6749#section-3.3)).
///
/// A token that is named twice is kept once. Cloning copies a pointer.
///
/// ```
/// use tower_oauth::Scope;
///
/// let scope: Scope = "notes:write notes:read notes:write".parse()?;
/// assert_eq!(scope.to_string(), "notes:write notes:read");
/// # Ok::<_, tower_oauth::InvalidScope>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Scope(Option<Arc<str>>);

impl Scope {
    /// How many scope tokens one grant can have: its access tokens carry one bit for each.
    pub const MAX: usize = 64;

    /// Whether `name` is one of the tokens.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|token| token == name)
    }

    /// Whether every token is also in `of`.
    #[must_use]
    pub fn is_subset(&self, of: &Self) -> bool {
        self.iter().all(|token| of.contains(token))
    }

    /// Whether there is no token at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The tokens, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> + '_ {
        self.as_str().split(' ').filter(|token| !token.is_empty())
    }

    /// Every token of every scope, sorted; the first 64 of them.
    pub(crate) fn union<'a>(scopes: impl IntoIterator<Item = &'a Self>) -> Self {
        let tokens: BTreeSet<&str> = scopes.into_iter().flat_map(Self::iter).collect();
        Self::join(tokens.into_iter().take(Self::MAX))
    }

    /// The wire form: the tokens, one space between them.
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// The tokens for which `keep` answers true, in order.
    pub(crate) fn filter(&self, keep: impl FnMut(&&str) -> bool) -> Self {
        Self::join(self.iter().filter(keep))
    }

    /// The tokens whose bit is set in `mask`.
    pub(crate) fn masked(&self, mask: u64) -> Self {
        if mask == self.full_mask() {
            return self.clone();
        }
        Self::join(self.iter().zip(0..).filter(|(_, bit)| mask >> bit & 1 == 1).map(|(token, _)| token))
    }

    /// One bit for each token for which `keep` answers true.
    pub(crate) fn mask(&self, mut keep: impl FnMut(&str) -> bool) -> u64 {
        self.iter().zip(0..).filter(|(token, _)| keep(token)).fold(0, |mask, (_, bit)| mask | 1 << bit)
    }

    /// One bit for each token.
    pub(crate) fn full_mask(&self) -> u64 {
        // Every check of a token asks for it: one space stands between two tokens, so counting spaces is enough.
        self.0.as_ref().map_or(0, |joined| u64::MAX >> (63 - joined.bytes().filter(|byte| *byte == b' ').count()))
    }

    /// Joins tokens that are known to be good and different.
    fn join<'a>(tokens: impl Iterator<Item = &'a str>) -> Self {
        let joined = tokens.collect::<Vec<_>>().join(" ");
        Self((!joined.is_empty()).then(|| joined.into()))
    }
}

/// `scope-token` of RFC 6749 §3.3: printable ASCII without space, `"` and `\`.
fn is_token(token: &str) -> bool {
    token.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(text: &str) -> Result<Self, InvalidScope> {
        let mut tokens = Vec::new();
        for token in text.split(' ').filter(|token| !token.is_empty()) {
            if !is_token(token) {
                return Err(InvalidScope("a scope has a character other than printable ASCII without `\"` and `\\`"));
            }
            if !tokens.contains(&token) {
                tokens.push(token);
            }
            if tokens.len() > Self::MAX {
                return Err(InvalidScope("more than 64 scopes"));
            }
        }
        // With one space behind each token, and the last one's left off.
        let joined = tokens.iter().map(|token| token.len() + 1).sum::<usize>();
        if joined == text.len() + 1 {
            return Ok(Self(Some(text.into())));
        }
        Ok(Self::join(tokens.into_iter()))
    }
}

impl TryFrom<&str> for Scope {
    type Error = InvalidScope;

    fn try_from(text: &str) -> Result<Self, InvalidScope> {
        text.parse()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

/// Why a text is no [`Scope`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidScope(&'static str);

impl fmt::Display for InvalidScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for InvalidScope {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scope(text: &str) -> Scope {
        text.parse().unwrap()
    }

    /// RFC 6749 §3.3
    #[test]
    fn a_scope_token_is_printable_ascii_without_quote_and_backslash() {
        for byte in 0..=0x7f_u8 {
            let token = char::from(byte).to_string();
            let good = matches!(byte, 0x21..=0x7e) && byte != b'"' && byte != b'\\' || byte == b' ';
            assert_eq!(token.parse::<Scope>().is_ok(), good, "{byte:#x}");
        }
        assert!("caf\u{e9}".parse::<Scope>().is_err());
    }

    #[test]
    fn sixty_four_scopes_are_taken_and_sixty_five_refused() {
        let names = |count: usize| (0..count).map(|n| format!("s{n}")).collect::<Vec<_>>().join(" ");
        assert_eq!(scope(&names(64)).full_mask(), u64::MAX);
        assert!(names(65).parse::<Scope>().is_err());
    }

    #[test]
    fn spaces_and_repetitions_say_nothing() {
        assert_eq!(scope("  a  b a "), scope("a b"));
        assert!(scope("").is_empty());
        assert!(scope("  ").is_empty());
        assert!(!scope("a").is_empty());
        assert_eq!(scope(""), Scope::default());
    }

    #[test]
    fn it_is_shown_as_it_goes_over_the_wire() {
        let both = Scope::try_from("b a").unwrap();
        assert_eq!(format!("{both} {both:?}"), "b a \"b a\"");
        assert_eq!(both.filter(|name| *name != "b"), scope("a"));
        assert!("\"".parse::<Scope>().unwrap_err().to_string().contains("printable ASCII"));
    }

    #[test]
    fn a_name_is_contained_whole_or_not_at_all() {
        let scope = scope("notes:read profile");
        assert!(scope.contains("profile"));
        assert!(!scope.contains("notes") && !scope.contains("") && !scope.contains("notes:read profile"));
    }

    #[test]
    fn every_scope_has_the_empty_scope_as_a_subset_and_itself() {
        assert!(scope("").is_subset(&scope("a")));
        assert!(scope("b a").is_subset(&scope("a b")));
        assert!(!scope("a c").is_subset(&scope("a b")));
    }

    proptest! {
        #[test]
        fn a_mask_keeps_just_its_bits_in_order(mask: u64, count in 0_usize..64) {
            let names: Vec<_> = (0..count).map(|n| format!("s{n}")).collect();
            let all = scope(&names.join(" "));
            let mask = mask & all.full_mask();
            let kept = all.masked(mask);
            let expected: Vec<_> = (0..count).filter(|bit| mask >> bit & 1 == 1).map(|bit| &*names[bit]).collect();
            prop_assert_eq!(kept.iter().collect::<Vec<_>>(), expected);
            prop_assert_eq!(all.mask(|name| kept.contains(name)), mask);
        }
    }
}
