//! What is logged and told of proofs, nonces, pushed requests, registrations and JWTs: no secret is in any of it.

#[path = "support/jws.rs"]
mod jws;
#[path = "support/log.rs"]
mod log;
#[path = "support/prover.rs"]
mod prover;
mod support;

use std::sync::{Arc, Mutex};

use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use log::log;
use prover::{NONCE, Prover, get_with, with_proof};
use serde_json::{Value, json};
use support::{
    Answer, App, SECRET, VERIFIER, WEB, app, authorization, basic, bearer, builder, challenge, form, redemption,
    refreshing, request, send, with_query,
};
use tower_oauth::event::Event;
use tower_oauth::testing::ManualClock;
use tower_oauth::{AccessTokenFormat, Client, ProviderBuilder, RegistrationPolicy};

const ME: &str = "https://shift.example/me";

fn text(answer: &Answer, name: &str) -> String {
    answer.json()[name].as_str().unwrap_or_else(|| panic!("no {name} in {answer:?}")).to_owned()
}

/// A client that registers, manages that, pushes, proves a key and misses at each of it; answers every secret of it.
async fn everything(app: &App) -> Vec<String> {
    let prover = Prover::es256();
    let register = |method: Method, path: &str, token: Option<&str>, metadata: &Value| {
        let mut request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        request.body(Body::from(metadata.to_string())).expect("a request")
    };
    let metadata = json!({"redirect_uris": [WEB]});
    let registered = send(app, register(Method::POST, "/register", None, &metadata)).await;
    let [id, secret, managing, uri] =
        ["client_id", "client_secret", "registration_access_token", "registration_client_uri"]
            .map(|name| text(&registered, name));
    let path = uri.strip_prefix("https://shift.example").expect("one of ours");
    let whole = json!({"client_id": id, "redirect_uris": [WEB], "client_secret": secret});
    for (method, token) in [(Method::GET, &*managing), (Method::PUT, &managing), (Method::PUT, "a-token-of-nobody")] {
        send(app, register(method, path, Some(token), &whole)).await;
    }

    let challenge = challenge(VERIFIER);
    let pushed = form("/par", &authorization("public", WEB, &challenge));
    let request_uri = text(&send(app, pushed).await, "request_uri");
    let asked = |uri: &str| with_query("/authorize", &[("client_id", "public"), ("request_uri", uri)]);
    send(app, request(Method::GET, &asked(&request_uri))).await;
    send(app, request(Method::GET, &asked(&request_uri[..request_uri.len() - 1]))).await;
    let code = send(app, form(&asked(&request_uri), &[])).await.redirected("code").expect("a code");
    send(app, form(&asked(&request_uri), &[])).await;

    let mut proofs = vec![prover.for_tokens()];
    let answer = send(app, with_proof(form("/token", &redemption(&code)), &proofs[0])).await;
    let nonce = answer.header(NONCE).to_owned();
    let proof =
        |method: &str, url: &str, token: Option<&str>| prover.proof_but(method, url, token, json!({"nonce": nonce}));
    let for_tokens = || proof("POST", "https://shift.example/token", None);
    proofs.push(for_tokens());
    let tokens = send(app, with_proof(form("/token", &redemption(&code)), proofs.last().expect("one"))).await;
    let [access, renewal] = ["access_token", "refresh_token"].map(|name| text(&tokens, name));
    proofs.push(for_tokens());
    // Twice, so that the second one is a replay; and by a key that is another one.
    for _ in 0..2 {
        send(app, with_proof(form("/token", &refreshing(&renewal)), proofs.last().expect("one"))).await;
    }
    send(app, with_proof(form("/token", &refreshing(&renewal)), &Prover::es256().for_tokens())).await;
    send(app, form("/token", &refreshing(&renewal))).await;
    for (url, ok) in [(ME, true), (ME, false), ("https://shift.example/other", false)] {
        if ok || url != ME {
            proofs.push(proof("GET", url, Some(&access)));
        }
        let answer = send(app, get_with("/me", &access, proofs.last().expect("one"))).await;
        assert_eq!(answer.status == StatusCode::OK, ok, "{answer:?}");
    }
    send(app, bearer("/me", &access)).await;
    send(app, basic(form("/introspect", &[("token", &access)]), "api", SECRET)).await;
    send(app, form("/revoke", &[("token", &access), ("client_id", "public")])).await;
    send(app, basic(form("/revoked", &[]), "api", SECRET)).await;
    send(app, get_with("/me", &access, &proof("GET", ME, Some(&access)))).await;
    send(app, register(Method::DELETE, path, Some(&managing), &Value::Null)).await;
    [proofs, vec![secret, managing, request_uri, code, nonce, access, renewal]].concat()
}

#[tokio::test]
async fn no_secret_is_in_what_is_logged_or_told() {
    let log = log();
    for format in [AccessTokenFormat::Handle, AccessTokenFormat::Jwt] {
        let told = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&told);
        let with_feed = |builder: ProviderBuilder| match format {
            AccessTokenFormat::Jwt => builder.revocation_feed(),
            _ => builder,
        };
        let provider = with_feed(builder(&ManualClock::default()))
            .dpop()
            .dpop_nonces()
            .pushed_authorization_requests()
            .registration(RegistrationPolicy::open().management())
            .access_token_format(format)
            .client(Client::resource_server("api", SECRET, support::ISSUER))
            .on_event(move |event: &Event<'_>| *heard.lock().expect("no panic") += &format!("{event} {event:?}\n"))
            .build()
            .expect("a good configuration");
        let secrets = everything(&app(&provider)).await;
        let told = told.lock().expect("no panic").clone();
        for reason in ["dpop_nonce_missing", "dpop_proof_replayed", "pushed", "registration_updated", "token_revoked"] {
            assert!(told.contains(reason), "{reason} is not among {told}");
        }
        for everything in [told, log.text(), format!("{provider:?}")] {
            for secret in &secrets {
                assert!(!everything.contains(secret.as_str()), "{secret} is in {everything}");
                // The part of it that opens something, wherever a log has cut it.
                let end = &secret[secret.len() - 16..];
                assert!(!everything.contains(end), "the end of {secret} is in {everything}");
            }
        }
    }
}
