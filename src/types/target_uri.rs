use super::redirect_uri::{authority_and_rest, is_uri_text};

/// The target of a request without its query and fragment, in the one spelling in which two are compared
/// ([RFC 9110 §7.1](https://www.rfc-editor.org/rfc/rfc9110#section-7.1),
/// [RFC 3986 §6.2.2](https://www.rfc-editor.org/rfc/rfc3986#section-6.2.2) and
/// [§6.2.3](https://www.rfc-editor.org/rfc/rfc3986#section-6.2.3)); `None` if it is none.
pub(crate) fn normalized_target(uri: &str) -> Option<String> {
    let uri = uri.split(['?', '#']).next().filter(|uri| is_uri_text(uri))?;
    let (scheme, rest) = uri.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match &*scheme {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let (authority, path) = authority_and_rest(rest);
    let authority = authority.to_ascii_lowercase();
    let authority = authority.strip_suffix(default_port).or(authority.strip_suffix(':')).unwrap_or(&authority);
    if authority.is_empty() || authority.contains('@') {
        return None;
    }
    Some(format!("{scheme}://{authority}{}", without_dots(&plainly_encoded(path))))
}

/// §6.2.2.1 and §6.2.2.2: nothing is encoded that need not be, and what is, in capitals.
fn plainly_encoded(path: &str) -> String {
    let mut parts = path.split('%');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (hex, rest) = part.split_at(2);
        match u8::from_str_radix(hex, 16).map(char::from) {
            Ok(char) if char.is_ascii_alphanumeric() || "-._~".contains(char) => plain.push(char),
            _ => plain.extend(["%", &*hex.to_ascii_uppercase()]),
        }
        plain.push_str(rest);
    }
    plain
}

/// §6.2.2.3, §5.2.4; and of §6.2.3 that no path is `/`.
fn without_dots(path: &str) -> String {
    let mut kept = Vec::new();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::normalized_target;

    /// RFC 3986 §6.2.2, §6.2.3 and the examples of §5.2.4
    #[test]
    fn spellings_of_one_target_are_one() {
        for (spelling, one) in [
            ("https://a.example/b", "https://a.example/b"),
            ("HTTPS://A.Example/b", "https://a.example/b"),
            ("https://a.example:443/b", "https://a.example/b"),
            ("https://a.example:/b", "https://a.example/b"),
            ("http://localhost:80/b", "http://localhost/b"),
            ("https://a.example:8443/b", "https://a.example:8443/b"),
            ("https://a.example:80/b", "https://a.example:80/b"),
            ("https://[2001:DB8::1]:443/b", "https://[2001:db8::1]/b"),
            ("https://a.example", "https://a.example/"),
            ("https://a.example?x", "https://a.example/"),
            ("https://a.example/b?c=/d#e", "https://a.example/b"),
            ("https://a.example/b#e?c", "https://a.example/b"),
            ("https://a.example/%62%7e%2D%5f/%2f%3a", "https://a.example/b~-_/%2F%3A"),
            ("https://a.example/a/b/c/./../../g", "https://a.example/a/g"),
            ("https://a.example/mid/content=5/../6", "https://a.example/mid/6"),
            ("https://a.example/../../b", "https://a.example/b"),
            ("https://a.example/b/..", "https://a.example/"),
            ("https://a.example/b/.", "https://a.example/b/"),
            ("https://a.example/a/%2e%2E/b", "https://a.example/b"),
            ("https://a.example/b/", "https://a.example/b/"),
            ("https://a.example//b", "https://a.example//b"),
        ] {
            assert_eq!(normalized_target(spelling).as_deref(), Some(one), "{spelling}");
            assert_eq!(normalized_target(one).as_deref(), Some(one), "{one}");
        }
    }

    #[test]
    fn what_names_no_target_of_a_request_is_none() {
        for text in [
            "",
            "/b",
            "a.example/b",
            "//a.example/b",
            "https:/a.example/b",
            "https://",
            "https:///b",
            "https://:443/b",
            "https://u@a.example/b",
            "ftp://a.example/b",
            "wss://a.example/b",
            "https://a.example/%",
            "https://a.example/%6",
            "https://a.example/%g0",
            "https://a.example/ b",
            "https://a.example/\u{e9}",
            "https://a.example\\b",
            " https://a.example/b",
            "https://a.example/b\n",
        ] {
            assert_eq!(normalized_target(text), None, "{text}");
        }
    }
}
