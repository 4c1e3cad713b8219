//! What a URL asks for. No I/O.

use std::net::IpAddr;

use http::{HeaderValue, Uri};
use tokio_rustls::rustls::pki_types::ServerName;

use super::HttpClientError;
use crate::types::is_canonical_host;

#[derive(Debug)]
pub(super) struct Target<'a> {
    pub(super) encrypted: bool,
    /// An IPv6 address has its brackets.
    pub(super) host: &'a str,
    pub(super) port: u16,
    /// The host, and the port where one is written.
    pub(super) authority: HeaderValue,
}

impl<'a> Target<'a> {
    /// A host that is written in another way than browsers write it could be read as another one by whoever resolves it:
    /// `0x7f.1` and `2130706433` are loopback to some.
    pub(super) fn of(uri: &'a Uri) -> Result<Self, HttpClientError> {
        let refused = |why| Err(HttpClientError::Url(why));
        let (encrypted, default) = match uri.scheme_str() {
            Some("https") => (true, 443),
            Some("http") => (false, 80),
            _ => return refused("its scheme is not `https`"),
        };
        let Some(authority) = uri.authority() else { return refused("it has no host") };
        let (host, port) = (authority.host(), authority.port_u16());
        if !is_canonical_host(host) {
            return refused("its host is not a plain name in lower case, or not the one form of an address");
        }
        let plain = port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        if *authority.as_str() != *plain {
            return refused("before its path it has more than a host and a port, or a port that cannot be");
        }
        let Ok(authority) = HeaderValue::try_from(plain) else { return refused("its host is not a name") };
        Ok(Self { encrypted, host, port: port.unwrap_or(default), authority })
    }

    /// The address that the URL itself says.
    pub(super) fn address(&self) -> Option<IpAddr> {
        let plain = self.host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        plain.unwrap_or(self.host).parse().ok()
    }

    /// Whom the certificate has to be for.
    pub(super) fn server_name(&self) -> Result<ServerName<'static>, HttpClientError> {
        match self.address() {
            Some(address) => Ok(ServerName::from(address)),
            None => ServerName::try_from(self.host.to_owned())
                .map_err(|_| HttpClientError::Url("its host is not a name that a certificate can have")),
        }
    }
}
