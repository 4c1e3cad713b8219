use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::params::Params;

/// A redirection URI as a client registered it
/// ([RFC 6749 §3.1.2](https://www.rfc-editor.org/rfc/rfc6749#section-3.1.2),
/// [RFC 8252 §7](https://www.rfc-editor.org/rfc/rfc8252#section-7)).
///
/// It is compared as a string. The one exception is the port of an `http` URI on a loopback host, which a native app
/// cannot know before it runs.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RedirectUri {
    text: Arc<str>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `https` with any host.
    Https,
    /// `http` on 127.0.0.1, [::1] or localhost: where the host ends, and where the path begins.
    Loopback { host_end: usize, rest_start: usize },
    /// A private-use scheme, `com.example.app:/callback`.
    PrivateUse,
}

/// What a response adds to the query; a registered URI that already has one could be taken for an answer.
const RESPONSE_PARAMETERS: [&str; 6] = ["code", "state", "iss", "error", "error_description", "error_uri"];

impl RedirectUri {
    /// Longest URI that is taken, in bytes.
    const MAX: usize = 2048;

    /// Checks what a client registers. The error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > Self::MAX {
            return Err("it is longer than 2,048 bytes");
        }
        if text.contains('#') {
            return Err("it has a fragment");
        }
        if text.contains('\\') {
            return Err("it has a backslash");
        }
        if !is_uri_text(text) {
            return Err(
                "it has a character that no URI has (non-ASCII, control or space, or `%` without two hex digits)",
            );
        }
        let (scheme, rest) = text.split_once(':').ok_or("it is not an absolute URI")?;
        let kind = match scheme {
            "https" => {
                let (_, authority) = authority(rest)?;
                check_authority(authority)?;
                Kind::Https
            }
            "http" => loopback(text, rest)?,
            _ => private_use(scheme, rest)?,
        };
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, query),
            None => (text, ""),
        };
        if has_dot_segment(path) {
            return Err("its path has a `.` or `..` segment, which browsers rewrite");
        }
        let query = Params::parse(query.as_bytes())
            .map_err(|_| "its query has too many parameters, or one that is not UTF-8")?;
        if RESPONSE_PARAMETERS.iter().any(|name| query.has(name)) {
            return Err("its query has a parameter that the answer adds (code, state, iss, error)");
        }
        Ok(Self { text: text.into(), kind })
    }

    /// Whether `presented` is this URI; `any_port` is the exception for native clients on a loopback host.
    pub(crate) fn matches(&self, presented: &str, any_port: bool) -> bool {
        if *self.text == *presented {
            return true;
        }
        let Kind::Loopback { host_end, rest_start } = self.kind else { return false };
        let (host, rest) = (&self.text[..host_end], &self.text[rest_start..]);
        any_port
            && presented
                .strip_prefix(host)
                .and_then(|presented| presented.strip_suffix(rest))
                .is_some_and(|port| port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The text, shared.
    pub(crate) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// Whether only an app on the user's own device can be behind it.
    pub(crate) fn is_native(&self) -> bool {
        self.kind != Kind::Https
    }

    /// Whether the answer goes to the user's own device, where any app may wait for it.
    pub(crate) const fn is_loopback(&self) -> bool {
        matches!(self.kind, Kind::Loopback { .. })
    }

    /// Whether a text is such an address on the web: `https`, absolute, without user and fragment. Other addresses that
    /// clients register are held to the same rules.
    pub(crate) fn is_web(text: &str) -> bool {
        Self::parse(text).is_ok_and(|uri| !uri.is_native())
    }
}

/// The host that a redirection URI leads to; for a private-use URI its scheme.
pub(crate) fn host_of(uri: &str) -> &str {
    let (scheme, rest) = uri.split_once(':').unwrap_or((uri, ""));
    match rest.strip_prefix("//") {
        Some(rest) if matches!(scheme, "http" | "https") => host_and_port(authority_and_rest(rest).0).0,
        _ => scheme,
    }
}

impl fmt::Debug for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

/// Whether every byte may stand in a URI (RFC 3986 §2), `#` left out.
pub(super) fn is_uri_text(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().all(|(at, byte)| match byte {
        b'%' => bytes.get(at + 1..at + 3).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)),
        byte => byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=".contains(byte),
    })
}

/// Splits what follows `//` where the authority ends.
pub(super) fn authority_and_rest(text: &str) -> (&str, &str) {
    text.split_at(text.find(['/', '?', '#']).unwrap_or(text.len()))
}

/// What follows `scheme:`, as `//authority` and the rest.
pub(super) fn authority(rest: &str) -> Result<(&str, &str), &'static str> {
    let rest = rest.strip_prefix("//").ok_or("it has no host")?;
    let (authority, rest) = authority_and_rest(rest);
    Ok((rest, authority))
}

/// Splits `host:port`; the port is what follows the last colon outside brackets.
fn host_and_port(authority: &str) -> (&str, Option<&str>) {
    let host_start = authority.find(']').unwrap_or(0);
    match authority[host_start..].find(':') {
        Some(colon) => (&authority[..host_start + colon], Some(&authority[host_start + colon + 1..])),
        None => (authority, None),
    }
}

fn is_port(digits: &str) -> bool {
    !digits.starts_with('0') && digits.bytes().all(|digit| digit.is_ascii_digit()) && digits.parse::<u16>().is_ok()
}

pub(super) fn check_authority(authority: &str) -> Result<(), &'static str> {
    if authority.contains('@') {
        return Err("it has user information before its host");
    }
    let (host, port) = host_and_port(authority);
    if port.is_some_and(|port| !is_port(port)) {
        return Err("its port is not a number from 1 to 65535, without leading zeros");
    }
    let good = match ipv6_literal(host) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => is_name(host),
    };
    if good { Ok(()) } else { Err("its host is not a plain name or address") }
}

fn ipv6_literal(host: &str) -> Option<&str> {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']'))
}

/// To a browser a host whose last label is a number is an IPv4 address, whatever stands before it: it has to be one, in
/// four parts, since any other spelling is rewritten or cannot be read.
///
/// What follows `xn--` is not looked at. Whether it is an international name takes the tables of IDNA to tell; a browser
/// rewrites none of them, and shows an error where it is none.
fn is_name(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit()) || last.starts_with("0x") || last.starts_with("0X");
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if is_number { host.parse::<Ipv4Addr>().is_ok() } else { host.split('.').all(is_label) }
}

/// Whether this is how browsers write the host: in lower case, and an address in its one form.
pub(crate) fn is_canonical_host(host: &str) -> bool {
    if let Some(address) = ipv6_literal(host) {
        return address.parse::<Ipv6Addr>().is_ok_and(|parsed| as_browsers_write(parsed) == address);
    }
    is_name(host) && !host.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// The [WHATWG's form](https://url.spec.whatwg.org/#concept-ipv6-serializer). It has no dots; Rust writes some for an
/// IPv4 address that is mapped.
fn as_browsers_write(address: Ipv6Addr) -> String {
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] => format!("::ffff:{high:x}:{low:x}"),
        _ => address.to_string(),
    }
}

/// The loopback hosts, in the one spelling of each that is taken.
pub(crate) fn is_loopback_host(host: &str) -> bool {
    matches!(host, "127.0.0.1" | "[::1]" | "localhost")
}

fn loopback(text: &str, after_scheme: &str) -> Result<Kind, &'static str> {
    let (rest, authority) = authority(after_scheme)?;
    check_authority(authority)?;
    let (host, _) = host_and_port(authority);
    if !is_loopback_host(host) {
        return Err("plain `http` is for 127.0.0.1, [::1] and localhost only: write `https`");
    }
    Ok(Kind::Loopback { host_end: "http://".len() + host.len(), rest_start: text.len() - rest.len() })
}

/// RFC 8252 §7.1 and §8.4: a scheme made from a domain name; without a dot it could be anybody's, or `javascript`.
fn private_use(scheme: &str, rest: &str) -> Result<Kind, &'static str> {
    let good = scheme.contains('.')
        && scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte));
    if !good {
        return Err("its scheme is neither `https` nor a domain name in reverse such as `com.example.app`");
    }
    let path = rest.strip_prefix('/').ok_or("it needs a path: write `com.example.app:/callback`")?;
    match path.strip_prefix('/').map(|rest| authority_and_rest(rest).0) {
        Some(authority) if !authority.is_empty() => check_authority(authority).map(|()| Kind::PrivateUse),
        _ => Ok(Kind::PrivateUse),
    }
}

pub(super) fn has_dot_segment(path: &str) -> bool {
    path.split('/').any(|segment| {
        let plain = segment.replace("%2e", ".").replace("%2E", ".");
        plain == "." || plain == ".."
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn uri(text: &str) -> RedirectUri {
        RedirectUri::parse(text).unwrap_or_else(|why| panic!("{text}: {why}"))
    }

    /// RFC 6749 §3.1.2, RFC 8252 §7.1 and §8.4, RFC 9700 §2.1
    #[test]
    fn only_https_loopback_and_private_use_uris_are_taken() {
        for good in [
            "https://app.example/cb",
            "https://app.example",
            "https://app.example:8443/cb?a=b",
            "https://[2001:db8::1]/cb",
            "http://127.0.0.1/cb",
            "http://[::1]:8080/cb",
            "http://localhost:65535",
            "com.example.app:/cb",
            "com.example.app://host/cb",
            "com.example.app:///cb",
        ] {
            uri(good);
        }
        for bad in [
            "",
            "app.example/cb",
            "/cb",
            "//app.example/cb",
            "http://app.example/cb",
            "http://localhost.evil.example/cb",
            "http://127.0.0.1.evil.example/cb",
            "http://127.0.0.2/cb",
            "http://127.1/cb",
            "http://2130706433/cb",
            "http://0x7f000001/cb",
            "http://LOCALHOST/cb",
            "http://[::ffff:127.0.0.1]/cb",
            "http://[0:0:0:0:0:0:0:1]/cb",
            "HTTPS://app.example/cb",
            "https:app.example/cb",
            "https:/app.example/cb",
            "https:///cb",
            "https://",
            "https://app.example/cb#f",
            "https://app.example/cb#",
            "https://user@app.example/cb",
            "https://user:pw@app.example/cb",
            "https://app.example\\@evil.example/cb",
            "https://app.example/\\cb",
            "https://app.example/c b",
            "https://app.example/c\tb",
            "https://app.example/c\nb",
            "https://app.example/\u{e9}",
            "https://\u{e9}.example/",
            "https://app%2eexample/cb",
            "https://app..example/cb",
            "https://app.example./cb",
            "https://app.example:/cb",
            "https://app.example:0/cb",
            "https://app.example:65536/cb",
            "https://app.example:+80/cb",
            "https://app.example:8o/cb",
            "https://[::1/cb",
            "https://[v1.a]/cb",
            "https://app.example/%",
            "https://app.example/%2",
            "https://app.example/%zz",
            "https://app.example/a/../cb",
            "https://app.example/a/%2E%2e/cb",
            "https://app.example/./cb",
            "javascript:alert(1)",
            "javascript:/alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "app:/cb",
            "Com.example.app:/cb",
            "1com.example:/cb",
            "com.example.app:cb",
            "com.example.app:",
            "com.example.app://u@h/cb",
        ] {
            assert!(RedirectUri::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_host_is_canonical_as_browsers_write_it() {
        for (host, good) in [
            ("app.example", true),
            ("localhost", true),
            ("127.0.0.1", true),
            ("[::1]", true),
            ("[2001:db8::1]", true),
            ("App.example", false),
            ("", false),
            ("app..example", false),
            ("127.1", false),
            ("0x7f000001", false),
            ("app.0x1", false),
            ("2130706433", false),
            ("127.0.0.256", false),
            ("1.2.3.4.5", false),
            ("app.1", false),
            ("a-b_c.1x", true),
            ("[2001:DB8::1]", false),
            ("[::ffff:102:304]", true),
            ("[::ffff:1.2.3.4]", false),
            ("[2001:db8:0:1:1:1:1:1]", true),
            ("[2001:db8::1:1:1:1:1]", false),
            ("[1:0:0:2::3]", true),
            ("[1::2:0:0:0:3]", false),
            ("[0:0:0:0:0:0:0:1]", false),
            ("[::1", false),
            ("[", false),
        ] {
            assert_eq!(is_canonical_host(host), good, "{host}");
        }
    }

    /// Groups as addresses have them: runs of zeros above all, and what marks a mapped IPv4 address.
    fn address() -> impl Strategy<Value = Ipv6Addr> {
        let group = prop_oneof![4 => Just(0), 1 => Just(0xffff), 1 => 0..16_u16, 2 => any::<u16>()];
        let mapped = any::<[u16; 2]>().prop_map(|[high, low]| [0, 0, 0, 0, 0, 0xffff, high, low]);
        prop_oneof![4 => proptest::array::uniform8(group), 1 => mapped].prop_map(Ipv6Addr::from)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4_096) })]

        /// <https://url.spec.whatwg.org/#concept-ipv6-serializer>
        #[test]
        fn an_ipv6_host_is_canonical_in_the_one_form_that_browsers_write(address in address()) {
            let groups = address.segments().map(|group| format!("{group:x}")).join(":");
            let browsers = url::Url::parse(&format!("https://[{groups}]")).expect("an address");
            let browsers = browsers.host_str().expect("a host");
            prop_assert!(is_canonical_host(browsers), "{}", browsers);
            for other in [groups, address.to_string(), format!("::{}", Ipv4Addr::from(address.to_bits() as u32))] {
                let host = format!("[{other}]");
                prop_assert_eq!(is_canonical_host(&host), host == browsers, "{}", host);
            }
        }
    }

    /// RFC 3986 §2.1
    #[test]
    fn a_percent_sign_has_two_hex_digits_behind_it() {
        for (text, good) in [
            ("%41", true),
            ("a%4fb", true),
            ("%", false),
            ("%4", false),
            ("%4g", false),
            ("%g4", false),
            ("a%%41", false),
        ] {
            assert_eq!(is_uri_text(text), good, "{text}");
        }
    }

    #[test]
    fn a_length_of_2048_bytes_is_taken_and_one_more_refused() {
        let base = "https://app.example/";
        let long = format!("{base}{}", "a".repeat(2048 - base.len()));
        uri(&long);
        assert!(RedirectUri::parse(&format!("{long}a")).is_err());
    }

    /// RFC 6749 §4.1.2: the answer's parameters are added to the query
    #[test]
    fn a_registered_uri_may_not_carry_parameters_of_the_answer() {
        for name in ["code", "state", "iss", "error", "c%6fde", "error_description", "error_uri"] {
            assert!(RedirectUri::parse(&format!("https://app.example/cb?a=b&{name}=x")).is_err(), "{name}");
        }
        uri("https://app.example/cb?codex=1&tenant=code");
    }

    /// RFC 9700 §2.1
    #[test]
    fn a_web_uri_matches_as_a_string_only() {
        let registered = uri("https://app.example/cb");
        assert!(registered.matches("https://app.example/cb", true));
        for other in [
            "https://app.example/cb/",
            "https://app.example/CB",
            "https://APP.example/cb",
            "https://app.example:443/cb",
            "https://app.example/cb?",
            "https://app.example/cb?a",
            "https://app.example/c%62",
            "https://app.example",
            "",
        ] {
            assert!(!registered.matches(other, true), "{other}");
        }
    }

    /// RFC 8252 §7.3
    #[test]
    fn a_native_client_may_use_any_port_of_its_own_loopback_host() {
        for (host, others) in [
            ("127.0.0.1", ["[::1]", "localhost"]),
            ("[::1]", ["127.0.0.1", "localhost"]),
            ("localhost", ["127.0.0.1", "[::1]"]),
        ] {
            let registered = uri(&format!("http://{host}:8080/cb?a=b"));
            for port in ["", ":1", ":8080", ":65535"] {
                let presented = format!("http://{host}{port}/cb?a=b");
                assert!(registered.matches(&presented, true), "{presented}");
                assert_eq!(registered.matches(&presented, false), port == ":8080", "{presented}");
            }
            for bad in [
                ":0",
                ":65536",
                ":",
                ":+1",
                ":080801",
                ":1:2",
                ".evil.example",
                "@evil.example",
                ":80@evil.example",
                ":8080/x",
            ] {
                let presented = format!("http://{host}{bad}/cb?a=b");
                assert!(!registered.matches(&presented, true), "{presented}");
            }
            for other in others {
                assert!(!registered.matches(&format!("http://{other}:8080/cb?a=b"), true), "{other}");
            }
            assert!(!registered.matches(&format!("http://{host}:8080/cb"), true));
            assert!(!registered.matches(&format!("https://{host}:8080/cb?a=b"), true));
        }
        assert!(uri("http://localhost").matches("http://localhost:9", true));
        // Head and tail may not share bytes of what was presented.
        assert!(!uri("http://localhost:80/t").matches("http://localhos", true));
    }

    #[test]
    fn a_uri_names_the_host_it_leads_to() {
        for (text, host, native) in [
            ("https://app.example:8443/cb", "app.example", false),
            ("https://[2001:db8::1]:1/cb", "[2001:db8::1]", false),
            ("http://127.0.0.1:3/cb", "127.0.0.1", true),
            ("com.example.app:/cb", "com.example.app", true),
            ("com.example.app://bank.example/cb", "com.example.app", true),
        ] {
            let registered = uri(text);
            assert_eq!(host_of(registered.as_str()), host);
            assert_eq!(registered.is_native(), native, "{text}");
        }
    }
}
