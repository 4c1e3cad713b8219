use super::endpoints::is_path;
use crate::types::Issuer;

/// An issuer: its identifier, its origin, and its path without a slash at the end.
pub(crate) struct IssuerUrl {
    pub(crate) issuer: Issuer,
    pub(crate) origin: String,
    pub(crate) path: String,
}

impl IssuerUrl {
    /// [RFC 8414 §2](https://www.rfc-editor.org/rfc/rfc8414#section-2): `https`, no query, no fragment; and in the one
    /// spelling that browsers and clients compare.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) = text.split_once("://").ok_or("write it as `https://host`")?;
        let slash = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at(slash);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        if rest.contains(['?', '#', '@']) {
            return Err("it has a query, a fragment or user information: leave that out");
        }
        if !crate::types::is_canonical_host(host) {
            return Err("write its host as browsers do: in lower-case ASCII, an address in its short form");
        }
        match scheme {
            "https" => {}
            "http" if crate::types::is_loopback_host(host) => {}
            "http" => return Err("plain `http` is for 127.0.0.1, [::1] and localhost only: write `https`"),
            _ => return Err("write it as `https://host`"),
        }
        if let Some(port) = port {
            let number: u16 = port.parse().map_err(|_| "its port is no number from 1 to 65535")?;
            let default = if scheme == "https" { 443 } else { 80 };
            if number == default || number == 0 || number.to_string() != port {
                return Err("leave out the port where it is the default one, and write it without leading zeros");
            }
        }
        if !path.is_empty() && !is_path(path) {
            return Err(
                "its path ends with a slash or has an empty, encoded or dotted segment: write `https://host/tenant`",
            );
        }
        Ok(Self { issuer: text.into(), origin: format!("{scheme}://{authority}"), path: path.to_owned() })
    }
}
