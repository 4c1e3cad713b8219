use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpListener;
use tokio::time::Instant;

use super::*;

/// What each URL leads to.
const CORPUS: &str = include_str!("../../../tests/corpus/addresses.txt");

/// A network without a wire: names resolve to one answer after the other, and nobody is there, or else one listener of
/// this machine for all addresses.
#[derive(Clone, Default)]
struct Nowhere(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    answers: VecDeque<Vec<IpAddr>>,
    resolved: Vec<String>,
    dialled: Vec<SocketAddr>,
    /// Nobody says that nobody is there.
    silent: bool,
    everywhere: Option<SocketAddr>,
}

impl Nowhere {
    fn with(answers: &[&[&str]]) -> Self {
        let this = Self::default();
        let addresses = |answer: &&[&str]| answer.iter().map(|text| text.parse().expect("an address")).collect();
        this.0.lock().unwrap().answers = answers.iter().map(addresses).collect();
        this
    }

    fn client(&self) -> HttpClient {
        self.client_by(HttpClient::builder())
    }

    fn client_by(&self, builder: HttpClientBuilder) -> HttpClient {
        let roots = include_bytes!("../../../tests/data/root.pem");
        HttpClientBuilder { network: Box::new(self.clone()), ..builder.root_certificates(roots) }.build().unwrap()
    }

    fn dialled(&self) -> Vec<String> {
        self.0.lock().unwrap().dialled.iter().map(ToString::to_string).collect()
    }

    fn resolved(&self) -> Vec<String> {
        self.0.lock().unwrap().resolved.clone()
    }
}

impl Network for Nowhere {
    fn resolve<'a>(&'a self, name: &'a str) -> network::Answer<'a, Vec<IpAddr>> {
        let mut seen = self.0.lock().unwrap();
        seen.resolved.push(name.to_owned());
        let answer = seen.answers.pop_front();
        Box::pin(async move { answer.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound)) })
    }

    fn connect(&self, address: SocketAddr) -> network::Answer<'_, TcpStream> {
        let mut seen = self.0.lock().unwrap();
        seen.dialled.push(address);
        let (silent, everywhere) = (seen.silent, seen.everywhere);
        Box::pin(async move {
            if silent {
                std::future::pending::<()>().await;
            }
            let listener = everywhere.ok_or(io::ErrorKind::ConnectionRefused)?;
            TcpStream::connect(listener).await
        })
    }
}

/// What is no URI cannot even be asked for.
async fn asked(client: &HttpClient, url: &str) -> HttpClientError {
    match Request::get(url).body(Bytes::new()) {
        Ok(request) => client.fetch(request).await.expect_err("nobody is there"),
        Err(_) => HttpClientError::Url("it is none"),
    }
}

/// RFC 9728 §7.7, RFC 8725 §3.10; what is special is what the registries of IANA say. Whatever is connected to is counted by
/// one listener.
#[tokio::test]
async fn the_client_connects_to_what_is_open_to_everybody_and_to_nothing_else() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let everywhere = listener.local_addr().unwrap();
    let hits = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&hits);
    let counting = tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    let (mut refused, mut fetched) = (0, 0);
    for line in CORPUS.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let [verdict, url, addresses @ ..] = &*line.split_whitespace().collect::<Vec<_>>() else {
            panic!("a verdict and a URL: {line}");
        };
        let network = if addresses.is_empty() { Nowhere::default() } else { Nowhere::with(&[addresses]) };
        network.0.lock().unwrap().everywhere = Some(everywhere);
        let error = asked(&network.client(), url).await;
        assert_eq!(network.resolved().len(), usize::from(!addresses.is_empty()), "{line}");
        match *verdict {
            "refused" => {
                refused += 1;
                assert!(matches!(error, HttpClientError::Url(_) | HttpClientError::Address(_)), "{line}: {error:?}");
            }
            "fetched" => {
                fetched += 1;
                let uri: Uri = url.parse().expect("a URI");
                let host = uri.host().expect("a host").trim_matches(['[', ']']);
                let first = addresses.first().copied().unwrap_or(host).parse().expect("an address");
                let first = SocketAddr::new(first, uri.port_u16().unwrap_or(443));
                assert_eq!(network.dialled(), [first.to_string()], "{line}");
            }
            _ => panic!("no verdict: {line}"),
        }
        assert_eq!(hits.load(Ordering::SeqCst), fetched, "{line}");
    }
    counting.abort();
    assert!(refused >= 60 && fetched >= 10, "{refused} refused, {fetched} fetched: is the corpus there?");
}

/// DNS rebinding: the answer that was looked at is the one that is used, and the next request looks again.
#[tokio::test]
async fn a_name_that_changes_where_it_leads_is_looked_at_each_time() {
    let network = Nowhere::with(&[&["8.8.8.8"], &["127.0.0.1"], &["8.8.8.8", "169.254.169.254"]]);
    let client = network.client();
    assert!(matches!(asked(&client, "https://keys.example/").await, HttpClientError::Connection(_)));
    assert_eq!((network.resolved().len(), network.dialled()), (1, vec!["8.8.8.8:443".to_owned()]));
    let error = asked(&client, "https://keys.example/").await;
    assert_eq!(error.to_string(), "the host leads to 127.0.0.1, which is not open to everybody");
    assert!(matches!(asked(&client, "https://keys.example/").await, HttpClientError::Address(_)));
    assert_eq!((network.resolved().len(), network.dialled().len()), (3, 1));
}

#[tokio::test]
async fn what_is_opened_by_name_is_open_and_only_that() {
    let network = Nowhere::default();
    let client = network.client_by(HttpClient::builder().allow_network("10.20.0.0/16").allow_network("fd12:3456::/32"));
    for url in ["https://10.20.0.1/", "https://[fd12:3456::1]/"] {
        assert!(matches!(asked(&client, url).await, HttpClientError::Connection(_)), "{url}");
    }
    for url in ["https://10.21.0.1/", "https://127.0.0.1/", "http://10.20.0.1/", "https://[::ffff:a14:1]/"] {
        let error = asked(&client, url).await;
        assert!(matches!(error, HttpClientError::Url(_) | HttpClientError::Address(_)), "{url}");
    }
    assert_eq!(network.dialled(), ["10.20.0.1:443", "[fd12:3456::1]:443"]);

    let network = Nowhere::with(&[&["127.0.0.1"], &["8.8.8.8"]]);
    let client = network.client_by(HttpClient::builder().allow_loopback());
    for url in ["http://127.0.0.1/", "https://[::1]/", "http://localhost/"] {
        assert!(matches!(asked(&client, url).await, HttpClientError::Connection(_)), "{url}");
    }
    for url in
        ["http://keys.example/", "http://8.8.8.8/", "https://10.0.0.1/", "https://169.254.169.254/", "http://127.1/"]
    {
        let error = asked(&client, url).await;
        assert!(matches!(error, HttpClientError::Url(_) | HttpClientError::Address(_)), "{url}");
    }
    assert_eq!(network.dialled(), ["127.0.0.1:80", "[::1]:443", "127.0.0.1:80"]);
}

#[tokio::test]
async fn where_nobody_is_at_one_address_the_next_is_tried() {
    let network = Nowhere::with(&[&["2606:4700:4700::1111", "8.8.8.8"]]);
    assert!(matches!(asked(&network.client(), "https://keys.example/").await, HttpClientError::Connection(_)));
    assert_eq!(network.dialled(), ["[2606:4700:4700::1111]:443", "8.8.8.8:443"]);
}

/// Whoever has a name can give it very many addresses. All of them are looked at all the same.
#[tokio::test]
async fn of_many_addresses_a_few_are_tried() {
    let many = ["8.8.8.1", "8.8.8.2", "8.8.8.3", "8.8.8.4", "8.8.8.5", "8.8.8.6"];
    let network = Nowhere::with(&[&many, &[&many[..], &["10.0.0.1"]].concat()]);
    let client = network.client();
    assert!(matches!(asked(&client, "https://keys.example/").await, HttpClientError::Connection(_)));
    assert_eq!(network.dialled(), ["8.8.8.1:443", "8.8.8.2:443", "8.8.8.3:443", "8.8.8.4:443"]);
    assert!(matches!(asked(&client, "https://keys.example/").await, HttpClientError::Address(_)));
    assert_eq!(network.dialled().len(), 4);
}

#[tokio::test]
async fn a_name_without_an_address_is_an_error() {
    let client = Nowhere::with(&[&[]]).client();
    for _ in 0..2 {
        assert!(matches!(asked(&client, "https://keys.example/").await, HttpClientError::Connection(_)));
    }
}

#[tokio::test(start_paused = true)]
async fn one_address_of_several_that_is_silent_is_left_for_the_next_and_all_is_over_after_ten_seconds() {
    let network = Nowhere::with(&[&["8.8.8.8", "1.1.1.1"], &["8.8.8.8"; 9]]);
    network.0.lock().unwrap().silent = true;
    let client = network.client();
    let began = Instant::now();
    assert!(matches!(asked(&client, "https://keys.example/").await, HttpClientError::TimedOut));
    assert_eq!((began.elapsed(), network.dialled().len()), (Duration::from_secs(6), 2));
    let began = Instant::now();
    assert!(matches!(asked(&client, "https://keys.example/").await, HttpClientError::TimedOut));
    assert_eq!(began.elapsed(), Duration::from_secs(10));
}

#[test]
fn a_client_that_cannot_be_built_says_why() {
    for (builder, why) in [
        (HttpClient::builder().allow_network("10/8"), "`10/8` is not a network such as 10.20.0.0/16 or fd12:3456::/32"),
        (HttpClient::builder().root_certificates(""), "there is no root certificate in the PEM"),
    ] {
        let HttpClientError::Configuration(error) = builder.build().expect_err(why) else { panic!("{why}") };
        assert_eq!(error.to_string(), why);
    }
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(HttpClient::builder().root_certificates(nonsense).build().is_err());
}
