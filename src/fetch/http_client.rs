//! [`HttpClient`], which strangers cannot send where they like.

mod address;
mod error;
mod network;
mod target;
#[cfg(test)]
mod tests;
mod tls;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST, HeaderValue, USER_AGENT};
use http::{Request, Response, Uri};
use http_body::Body;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use self::address::Policy;
pub use self::error::HttpClientError;
use self::network::{Network, System};
use self::target::Target;
use super::{Fetch, MOST_BYTES, MostBytes};

/// The most that is read of the head of an answer, in bytes.
const MOST_HEAD: usize = 16 * 1024;
/// One address of several that does not answer is not waited for longer than this.
const ONE_CONNECTION: Duration = Duration::from_secs(3);
/// How many of a name's addresses are tried: whoever has a name can give it very many, and each is a connection to somebody.
const MOST_ADDRESSES: usize = 4;
const AGENT: HeaderValue = HeaderValue::from_static(concat!("tower-oauth/", env!("CARGO_PKG_VERSION")));

/// An HTTP client for URLs that strangers chose: it cannot be made to talk to anybody but the public
/// ([RFC 9728 §7.7](https://www.rfc-editor.org/rfc/rfc9728#section-7.7)).
///
/// - It speaks `https` alone, and HTTP/1.1 in it.
/// - A host is a plain name, or an address in its one canonical form. A name is resolved once, **every** address is
///   looked at, and the connection is made to the very address that was looked at. Where one of them is not open to
///   everybody, nothing is connected to, since an honest name has none such. Whatever the
///   [IPv4](https://www.iana.org/assignments/iana-ipv4-special-registry) and
///   [IPv6](https://www.iana.org/assignments/iana-ipv6-special-registry) registries keep for a special purpose is not
///   open: loopback, private networks, link-local addresses with the metadata of clouds, and the forms of IPv6 with a
///   prefix of their own that carry an IPv4 address.
/// - No redirect is followed: the answer is handed back. No proxy is asked, whatever the environment says.
/// - Each request has a connection of its own, so that each is looked at.
/// - The whole exchange takes at most 10 seconds (see [`timeout`](HttpClientBuilder::timeout)); the head of an answer has
///   at most 16 KiB and its body at most 64 KiB, or as much as the request's [`MostBytes`].
/// - Certificates are checked by the platform's verifier.
///
/// What cannot be told from outside is a NAT64, a 6rd or an ISATAP with a prefix of the network's own, which carry an IPv4
/// address too, and a name that only inside leads to a public address. Who has such a network also closes it at its border.
///
/// A clone is the same client. Use one for what strangers choose and, where an issuer of your own lives in a private
/// network, [another one](HttpClientBuilder::allow_network) for it.
///
/// ```no_run
/// use tower_oauth::HttpClient;
///
/// let for_clients = HttpClient::new()?;
/// let roots = std::fs::read("our-root.pem")?;
/// let for_our_issuer = HttpClient::builder().allow_network("10.20.0.0/16").root_certificates(roots).build()?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct HttpClient(Arc<Inner>);

struct Inner {
    policy: Policy,
    network: Box<dyn Network>,
    tls: TlsConnector,
    timeout: Duration,
}

impl HttpClient {
    /// The client as it is safest.
    ///
    /// # Errors
    /// If the platform has no root certificates.
    pub fn new() -> Result<Self, HttpClientError> {
        Self::builder().build()
    }

    /// The same, to be changed first.
    pub fn builder() -> HttpClientBuilder {
        HttpClientBuilder {
            timeout: Duration::from_secs(10),
            roots: None,
            networks: Vec::new(),
            loopback: false,
            network: Box::new(System),
        }
    }
}

impl Fetch for HttpClient {
    type Error = HttpClientError;

    async fn fetch(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpClientError> {
        timeout(self.0.timeout, self.0.exchange(request)).await.unwrap_or(Err(HttpClientError::TimedOut))
    }
}

impl Inner {
    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpClientError> {
        let uri = request.uri().clone();
        let target = Target::of(&uri)?;
        if !target.encrypted && !self.policy.loopback {
            return Err(HttpClientError::Url("its scheme is not `https`"));
        }
        let stream = self.connect(&target).await?;
        let request = as_sent(request, &target);
        if target.encrypted {
            let stream = self.tls.connect(target.server_name()?, stream).await;
            speak(stream.map_err(HttpClientError::connection)?, request).await
        } else {
            speak(stream, request).await
        }
    }

    /// Looks at each address, and connects to the first of a few that answers.
    async fn connect(&self, target: &Target<'_>) -> Result<TcpStream, HttpClientError> {
        let addresses = match target.address() {
            Some(address) => vec![address],
            None => self.network.resolve(target.host).await.map_err(HttpClientError::connection)?,
        };
        if let Some(address) = addresses.iter().find(|address| !self.policy.allows(**address, target.encrypted)) {
            return Err(HttpClientError::Address(*address));
        }
        let mut failure = HttpClientError::connection("the name has no address");
        for address in addresses.into_iter().take(MOST_ADDRESSES) {
            let connecting = self.network.connect(SocketAddr::new(address, target.port));
            match timeout(ONE_CONNECTION, connecting).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failure = HttpClientError::connection(error),
                Err(_) => failure = HttpClientError::TimedOut,
            }
        }
        Err(failure)
    }
}

fn as_sent(request: Request<Bytes>, target: &Target<'_>) -> Request<Full<Bytes>> {
    let (mut head, body) = request.into_parts();
    // RFC 9112 §3.2.1: the path alone, and the host in its header.
    head.uri = head.uri.into_parts().path_and_query.map(Uri::from).unwrap_or_default();
    head.headers.insert(HOST, target.authority.clone());
    head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
    head.headers.entry(USER_AGENT).or_insert(AGENT);
    Request::from_parts(head, Full::new(body))
}

/// Sends one request and reads the whole answer.
async fn speak<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, HttpClientError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut http = http1::Builder::new();
    let http = http.max_buf_size(MOST_HEAD).handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = http.map_err(HttpClientError::connection)?;
    // Dropping it closes the connection, wherever the exchange stands.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let most = request.extensions().get().map_or(MOST_BYTES, |MostBytes(most)| *most);
    let (head, body) = sender.send_request(request).await.map_err(HttpClientError::connection)?.into_parts();
    if body.size_hint().lower() > most as u64 {
        return Err(HttpClientError::TooLarge);
    }
    let body = Limited::new(body, most).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() { HttpClientError::TooLarge } else { HttpClientError::Connection(error) }
    })?;
    Ok(Response::from_parts(head, body.to_bytes()))
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("timeout", &self.0.timeout).field("policy", &self.0.policy).finish()
    }
}

/// An [`HttpClient`] that is not built yet.
#[must_use = "it fetches nothing before it is built"]
pub struct HttpClientBuilder {
    timeout: Duration,
    roots: Option<Vec<u8>>,
    networks: Vec<String>,
    loopback: bool,
    network: Box<dyn Network>,
}

impl HttpClientBuilder {
    /// How long one exchange can take, from the look-up of the name to the last byte. 10 seconds by default.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Believes the certificates that these roots signed, **instead of** those that the platform knows. PEM, any number.
    pub fn root_certificates(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.roots.get_or_insert_default().extend_from_slice(pem.as_ref());
        self
    }

    /// Also talks to the addresses of this network, such as `10.20.0.0/16` or `fd12:3456::/32`, whatever they are for.
    ///
    /// It is for the servers of your own. **Never let such a client fetch what strangers choose**: it would send their
    /// requests into that network. Repeat it for others.
    pub fn allow_network(mut self, network: &str) -> Self {
        self.networks.push(network.to_owned());
        self
    }

    /// Also talks to this machine (`127.0.0.0/8` and `::1`), and to it in plain `http` too. For tests and development:
    /// whoever chooses a URL then reaches every service that listens here.
    pub const fn allow_loopback(mut self) -> Self {
        self.loopback = true;
        self
    }

    /// Ready to fetch.
    ///
    /// # Errors
    /// If a network or a root certificate cannot be read, or the platform has no root certificates.
    pub fn build(self) -> Result<HttpClient, HttpClientError> {
        let networks = self.networks.iter().map(|network| network.parse()).collect::<Result<_, _>>();
        let networks = networks.map_err(HttpClientError::Configuration)?;
        let tls = tls::connector(self.roots.as_deref()).map_err(HttpClientError::Configuration)?;
        let policy = Policy { networks, loopback: self.loopback };
        Ok(HttpClient(Arc::new(Inner { policy, network: self.network, tls, timeout: self.timeout })))
    }
}

impl fmt::Debug for HttpClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClientBuilder").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}
