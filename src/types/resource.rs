use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::redirect_uri::{authority_and_rest, is_uri_text};

/// A resource indicator: the absolute URI of an API, `resource`
/// ([RFC 8707 §2](https://www.rfc-editor.org/rfc/rfc8707#section-2)).
///
/// Scheme and host mean the same in any case, and so does an origin with and without the final slash
/// ([RFC 3986 §6.2](https://www.rfc-editor.org/rfc/rfc3986#section-6.2)). Everything else is compared byte for byte:
/// behind a path, a slash makes another resource.
///
/// ```
/// use tower_oauth::Resource;
///
/// let api: Resource = "https://api.example.com/mcp".parse()?;
/// assert!(api.covers(&"https://api.example.com/mcp/tools".parse()?));
/// assert!(!api.covers(&"https://api.example.com/mcp-other".parse()?));
/// # Ok::<_, tower_oauth::InvalidResource>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Resource(Arc<str>);

impl Resource {
    /// How many resources one grant can have: its access tokens carry one bit for each.
    pub const MAX: usize = 16;

    /// The URI, in its one spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Scheme, host and port, and what is behind them.
    pub(crate) fn split(&self) -> (&str, &str) {
        let authority = self.0.find("://").map_or(0, |at| at + 3);
        self.0.split_at(self.0[authority..].find(['/', '?']).map_or(self.0.len(), |at| authority + at))
    }

    /// Those of a list whose bit is set in `mask`, in order.
    pub(crate) fn masked(list: &[Self], mask: u16) -> impl Iterator<Item = &Self> {
        list.iter().zip(0..16).filter(move |(_, bit)| mask >> bit & 1 == 1).map(|(resource, _)| resource)
    }

    /// The bits of those of a list that `keep` says.
    pub(crate) fn mask(list: &[Self], keep: impl Fn(&Self) -> bool) -> u16 {
        list.iter().zip(0..16).filter(|(resource, _)| keep(resource)).fold(0, |mask, (_, bit)| mask | 1 << bit)
    }

    /// One bit for each of a list.
    pub(crate) fn full_mask(list: &[Self]) -> u16 {
        u16::MAX.checked_shr(16_u32.saturating_sub(list.len() as u32)).unwrap_or(0)
    }

    /// Whether a token for this resource is good at `other`: the same, or below it at a path boundary.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        Self::is_below(&other.0, &self.0)
    }

    /// The same for two texts: whether the first is the second or lies below it.
    pub(crate) fn is_below(place: &str, above: &str) -> bool {
        place
            .strip_prefix(above)
            .is_some_and(|rest| rest.is_empty() || above.ends_with('/') || rest.starts_with(['/', '?']))
    }
}

impl FromStr for Resource {
    type Err = InvalidResource;

    fn from_str(text: &str) -> Result<Self, InvalidResource> {
        if text.len() > 2048 {
            return Err(InvalidResource("longer than 2,048 bytes"));
        }
        if text.contains('#') {
            return Err(InvalidResource("it has a fragment"));
        }
        if !is_uri_text(text) {
            return Err(InvalidResource("it has a character that no URI has"));
        }
        let (scheme, rest) = text
            .split_once(':')
            .and_then(|(scheme, rest)| Some((scheme, rest.strip_prefix("//")?)))
            .ok_or(InvalidResource("it is not an absolute URI with a host"))?;
        let is_web = scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
        if !is_web {
            return Err(InvalidResource("its scheme is not `https`"));
        }
        let (authority, path) = authority_and_rest(rest);
        if authority.is_empty() || authority.contains('@') {
            return Err(InvalidResource("it needs a host and no user information"));
        }
        let origin = text.len() - path.len();
        let mut spelling: Arc<str> = if path == "/" { &text[..origin] } else { text }.into();
        Arc::make_mut(&mut spelling)[..origin].make_ascii_lowercase();
        Ok(Self(spelling))
    }
}

impl TryFrom<&str> for Resource {
    type Error = InvalidResource;

    fn try_from(text: &str) -> Result<Self, InvalidResource> {
        text.parse()
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// Why a text is no [`Resource`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidResource(&'static str);

impl fmt::Display for InvalidResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for InvalidResource {}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(text: &str) -> Resource {
        text.parse().unwrap()
    }

    #[test]
    fn an_origin_is_the_same_with_and_without_the_slash_and_in_any_case() {
        for same in ["https://api.example.com", "https://api.example.com/", "HTTPS://API.example.COM/"] {
            assert_eq!(resource(same), resource("https://api.example.com"));
        }
        assert_ne!(resource("https://api.example.com:443"), resource("https://api.example.com"));
    }

    /// RFC 3986 §6.2.2.1
    #[test]
    fn behind_the_host_it_is_compared_byte_for_byte() {
        assert_eq!(resource("HTTPS://H.example/MCP").as_str(), "https://h.example/MCP");
        assert_ne!(resource("https://h.example/mcp"), resource("https://h.example/mcp/"));
        assert_ne!(resource("https://h.example/mcp"), resource("https://h.example/MCP"));
        assert_eq!(resource("https://h.example/?a").as_str(), "https://h.example/?a");
    }

    #[test]
    fn an_origin_ends_where_the_path_begins() {
        for (text, parts) in [
            ("https://h.example", ("https://h.example", "")),
            ("https://h.example:8443/mcp?a=/b", ("https://h.example:8443", "/mcp?a=/b")),
            ("https://h.example?a=/b", ("https://h.example", "?a=/b")),
        ] {
            assert_eq!(resource(text).split(), parts);
        }
    }

    #[test]
    fn it_covers_what_lies_below_it_at_a_path_boundary() {
        let cases = [
            ("https://h.example", "https://h.example", true),
            ("https://h.example", "https://h.example/mcp", true),
            ("https://h.example", "https://h.example.evil.example", false),
            ("https://h.example", "https://h.example:8443", false),
            ("https://h.example/mcp", "https://h.example/mcp", true),
            ("https://h.example/mcp", "https://h.example/mcp/a", true),
            ("https://h.example/mcp", "https://h.example/mcp?a", true),
            ("https://h.example/mcp", "https://h.example/mcp-other", false),
            ("https://h.example/mcp", "https://h.example", false),
            ("https://h.example/mcp/", "https://h.example/mcp/a", true),
            ("https://h.example/mcp/", "https://h.example/mcp", false),
        ];
        for (token, place, good) in cases {
            assert_eq!(resource(token).covers(&resource(place)), good, "{token} at {place}");
        }
    }

    #[test]
    fn it_is_shown_as_it_is_compared() {
        let api = resource("HTTPS://api.example.com/");
        assert_eq!(format!("{api} {api:?}"), "https://api.example.com \"https://api.example.com\"");
        assert_eq!("ftp://h".parse::<Resource>().unwrap_err().to_string(), "its scheme is not `https`");
    }

    /// RFC 8707 §2
    #[test]
    fn a_fragment_or_what_is_no_absolute_uri_is_refused() {
        let long = format!("https://h.example/{}", "a".repeat(2031));
        for bad in [
            "",
            "/mcp",
            "https:",
            "https://",
            "https:///a",
            "ftp://h.example",
            "https://h.example/#",
            "https://u@h.example/",
            "https://h.example/\\",
            "https://h.example/ a",
            &long,
        ] {
            assert!(bad.parse::<Resource>().is_err(), "{bad}");
        }
        assert!(long[..2048].parse::<Resource>().is_ok());
    }
}
