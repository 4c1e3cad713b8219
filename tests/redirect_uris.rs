//! Every redirect URI of the corpus gets its verdict, and what is taken means the same to browsers.

mod support;

use http::Method;
use proptest::prelude::*;
use support::*;
use tower_oauth::{Client, ConfigError};

/// Whether a native client may register a URI.
fn registers(uri: &str) -> bool {
    let client = Client::public("corpus").native().redirect_uri(uri);
    match builder(&Default::default()).client(client).build() {
        Ok(_) => true,
        Err(errors) => {
            assert!(errors.iter().all(|error| matches!(error, ConfigError::Client { .. })), "{uri}: {errors}");
            false
        }
    }
}

/// Whether a request of that client with another spelling goes on to the page.
async fn matches(registered: &str, presented: &str) -> bool {
    let client = Client::public("corpus").native().redirect_uri(registered);
    let provider = builder(&Default::default()).client(client).build().expect("the registered one is good");
    let challenge = challenge(VERIFIER);
    let url = with_query("/authorize", &authorization("corpus", presented, &challenge));
    let answer = send(&app(&provider), request(Method::GET, &url)).await;
    assert!(answer.location().is_empty(), "no redirect, whatever was presented: {answer:?}");
    answer.status.is_success()
}

/// `\uXXXX` as the character that it stands for.
fn unescape(text: &str) -> String {
    let mut parts = text.split("\\u");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = u32::from_str_radix(&part[..4], 16).expect("four hex digits");
        out.push(char::from_u32(code).expect("a character"));
        out.push_str(&part[4..]);
    }
    out
}

/// RFC 6749 §3.1.2, RFC 8252 §7.3 and §8.4, RFC 9700 §2.1
#[tokio::test]
async fn every_uri_of_the_corpus_gets_its_verdict() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for line in include_str!("data/redirect_uris.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (verdict, case) = line.split_once(' ').expect("a verdict and a case");
        let got = match case.split_once(" <- ") {
            Some((registered, presented)) => matches(&unescape(registered), &unescape(presented)).await,
            None => registers(&unescape(case)),
        };
        if got != (verdict == "good") {
            wrong.push(line);
        }
        count += 1;
    }
    assert!(wrong.is_empty(), "{} of {count} are judged otherwise:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count >= 200);
}

/// What a browser makes of a URI: scheme, host, port, path and query.
fn by_browser(uri: &str) -> Option<url::Url> {
    url::Url::parse(uri).ok()
}

/// Whether a label of the host starts like this, in any case.
fn has_a_label(host: &str, start: &str) -> bool {
    host.split('.').any(|label| label.get(..start.len()).is_some_and(|head| head.eq_ignore_ascii_case(start)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// A URI that is taken leads a browser to the host that its text names, without user information or a fragment; or
    /// nowhere, where a label only looks like one of an international name.
    #[test]
    fn what_is_taken_means_the_same_to_a_browser(
        scheme in prop::sample::select(vec!["https", "http", "com.example.app", "HTTPS", "javascript", "ftp"]),
        slashes in prop::sample::select(vec!["://", ":/", ":", ":///", ":\\\\"]),
        host in "[a-zA-Z0-9.@:%\\[\\]\\\\_-]{0,20}|127\\.0\\.0\\.1|localhost|\\[::1\\]|(a\\.)?[xX][nN]--[a-z0-9-]{0,8}(\\.example)?",
        port in "(:[0-9]{0,6})?",
        rest in "([/?#][a-zA-Z0-9./?#@%\\\\ \t-]{0,12})?",
    ) {
        let uri = format!("{scheme}{slashes}{host}{port}{rest}");
        if registers(&uri) {
            let Some(url) = by_browser(&uri) else {
                prop_assert!(has_a_label(&host, "xn--"), "a browser cannot read {}", uri);
                return Ok(());
            };
            prop_assert_eq!(url.scheme(), scheme);
            prop_assert!(url.username().is_empty() && url.password().is_none() && url.fragment().is_none(), "{}", uri);
            if matches!(scheme, "https" | "http") {
                let text_host = uri.split("://").nth(1).unwrap_or_default();
                let text_host = text_host.split(['/', '?']).next().unwrap_or_default();
                // A browser writes an IPv6 address in its one form; every other host it keeps.
                if !text_host.starts_with('[') {
                    let host = text_host.split(':').next().unwrap_or_default().to_ascii_lowercase();
                    prop_assert_eq!(url.host_str(), Some(&*host), "{}", &uri);
                }
                if scheme == "http" {
                    prop_assert!(matches!(url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost")), "{}", &uri);
                }
            }
        }
    }
}
