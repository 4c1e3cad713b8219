//! The revocation endpoint: RFC 7009.

#[path = "support/shelf.rs"]
mod shelf;
#[path = "support/site.rs"]
mod site;
mod support;

use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use shelf::Op;
use site::{
    Pair, Site, assert_invalid_grant, assert_invalid_request, assert_refused, assert_unavailable, redemption,
    redirect_uri_of, site, site_with, with,
};
use support::{Answer, VERIFIER, app, basic, code_of, form, request, seconds, send, *};
use tower_oauth::RevocationReason;

/// A request of one of the four clients of `support`, authenticated as it is registered.
fn revocation(client: &str, token: &str) -> Request<Body> {
    let params = [("token", token)];
    match client {
        "confidential" => basic(form("/revoke", &params), client, SECRET),
        "original" => form("/revoke", &with(&with(&params, "client_id", client), "client_secret", SECRET)),
        _ => form("/revoke", &with(&params, "client_id", client)),
    }
}

async fn revoke(site: &Site, client: &str, token: &str) -> Answer {
    send(&site.app, revocation(client, token)).await
}

/// RFC 7009 §2.2: 200, and the body says nothing.
#[track_caller]
fn assert_done(answer: &Answer) {
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, ""), "{answer:?}");
    assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
}

/// Tokens of one of the four clients for alice.
async fn connect(site: &Site, client: &str) -> Pair {
    let code = code_of(&site.app, client, redirect_uri_of(client), "profile").await;
    let params = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", redirect_uri_of(client)),
        ("code_verifier", VERIFIER),
    ];
    Pair::of(&site.token_as(client, &params).await)
}

/// RFC 7009 §2.1: one access token ends, and nothing else of its grant.
#[tokio::test]
async fn an_access_token_ends_alone() {
    let site = site();
    let first = site.connect("profile").await;
    let second = Pair::of(&site.refresh(&first.refresh).await);
    assert_done(&revoke(&site, "public", &first.access).await);
    assert!(!site.is_good(&first.access).await);
    assert!(site.is_good(&second.access).await);
    let third = Pair::of(&site.refresh(&second.refresh).await);
    assert!(site.is_good(&third.access).await);
}

/// RFC 7009 §2.1: "the authorization server SHOULD also invalidate all access tokens based on the same authorization
/// grant"; here always, and whatever generation is given back.
#[tokio::test]
async fn a_refresh_token_of_any_generation_ends_its_grant() {
    for given_back in 0..3 {
        let site = site();
        let mut pairs = vec![site.connect("profile").await];
        for at in 0..2 {
            site.clock.advance(seconds(60));
            pairs.push(Pair::of(&site.refresh(&pairs[at].refresh).await));
        }
        assert_done(&revoke(&site, "public", &pairs[given_back].refresh).await);
        for pair in &pairs {
            assert!(!site.is_good(&pair.access).await, "{given_back}");
        }
        assert_invalid_grant(&site.refresh(&pairs[2].refresh).await);
        let (_, reason) = site.shelf.only().revoked().expect("it is revoked");
        assert_eq!(reason, RevocationReason::Client, "{given_back}");
    }
}

/// Other grants of the same user at the same client live on.
#[tokio::test]
async fn another_grant_is_left_alone() {
    let site = site();
    let (first, second) = (site.connect("profile").await, site.connect("profile").await);
    assert_done(&revoke(&site, "public", &first.refresh).await);
    assert!(!site.is_good(&first.access).await);
    assert!(site.is_good(&second.access).await);
    Pair::of(&site.refresh(&second.refresh).await);
}

/// RFC 7009 §2.2: "invalid tokens do not cause an error response". A code is no token, and stays good.
#[tokio::test]
async fn an_unknown_token_is_a_success_and_changes_nothing() {
    let site = site();
    let code = site.code("profile").await;
    let other = site_with(|builder| builder.token_prefix("other"));
    let foreign = other.connect("profile").await;
    let before = site.shelf.records();
    let unknown = ["x", "toa_at_nobodys", "toa_rt_nobodys", "\u{e9}", &code, &foreign.access, &foreign.refresh];
    for token in unknown {
        assert_done(&revoke(&site, "public", token).await);
    }
    assert_done(&revoke(&site, "public", &"x".repeat(9_000)).await);
    assert_eq!(site.shelf.records(), before);
    Pair::of(&site.token(&redemption(&code)).await);
}

/// RFC 7009 §2.2: whoever sends it twice, or too late, has what it wants.
#[tokio::test]
async fn what_has_ended_already_is_a_success() {
    let site = site();
    let pair = site.connect("profile").await;
    for token in [&pair.access, &pair.access, &pair.refresh, &pair.refresh, &pair.access] {
        assert_done(&revoke(&site, "public", token).await);
    }
    let late = site.connect("profile").await;
    site.clock.advance(seconds(601));
    let before = site.shelf.records();
    assert_done(&revoke(&site, "public", &late.access).await);
    assert_eq!(site.shelf.records(), before, "an expired token is not remembered");
    // A grant that has gone altogether.
    site.shelf.put_back(Default::default());
    assert_done(&revoke(&site, "public", &late.refresh).await);
    assert_done(&revoke(&site, "public", &late.access).await);
}

/// RFC 7009 §2.1: "verifies whether the token was issued to the client making the revocation request. If this
/// validation fails, the request is refused and the client is informed of the error".
#[tokio::test]
async fn another_clients_token_is_refused_and_stays_as_it_is() {
    let site = site();
    for owner in ["public", "native", "confidential", "original"] {
        let pair = connect(&site, owner).await;
        let before = site.shelf.records();
        for thief in ["public", "native", "confidential", "original"] {
            if thief == owner {
                continue;
            }
            assert_invalid_grant(&revoke(&site, thief, &pair.access).await);
            assert_invalid_grant(&revoke(&site, thief, &pair.refresh).await);
        }
        assert_eq!(site.shelf.records(), before, "{owner}");
        assert!(site.is_good(&pair.access).await);
        assert_done(&revoke(&site, owner, &pair.refresh).await);
        assert!(!site.is_good(&pair.access).await);
    }
}

/// RFC 7009 §2.1: a hint only helps to find the token; a wrong or unknown one is ignored.
#[tokio::test]
async fn a_hint_is_only_a_hint() {
    for hint in ["access_token", "refresh_token", "id_token", "", "\u{e9}"] {
        let site = site();
        for pick in [|pair: &Pair| pair.access.clone(), |pair: &Pair| pair.refresh.clone()] {
            let pair = site.connect("profile").await;
            let params = [("token", &*pick(&pair)), ("token_type_hint", hint), ("client_id", "public")];
            assert_done(&send(&site.app, form("/revoke", &params)).await);
            assert!(!site.is_good(&pair.access).await, "{hint}");
        }
    }
}

/// RFC 7009 §2.1: the client is authenticated first.
#[tokio::test]
async fn whoever_is_not_the_client_is_refused() {
    let site = site();
    let pair = connect(&site, "confidential").await;
    let before = site.shelf.records();
    let token = [("token", &*pair.refresh)];
    for asked in [
        form("/revoke", &token),
        form("/revoke", &with(&token, "client_id", "confidential")),
        form("/revoke", &with(&token, "client_id", "nobody")),
        form("/revoke", &with(&with(&token, "client_id", "confidential"), "client_secret", SECRET)),
        basic(form("/revoke", &token), "confidential", "wrong"),
        basic(form("/revoke", &token), "nobody", SECRET),
    ] {
        let answer = send(&site.app, asked).await;
        assert_refused(&answer, StatusCode::UNAUTHORIZED, "invalid_client");
        assert!(answer.headers.contains_key(header::WWW_AUTHENTICATE));
    }
    assert_eq!(site.shelf.records(), before);
}

/// RFC 7009 §2.1: a POST of a form with a token, once; never in the query, where logs keep it.
#[tokio::test]
async fn a_request_that_cannot_be_read_changes_nothing() {
    let site = site();
    let pair = site.connect("profile").await;
    let before = site.shelf.records();
    let good = [("token", &*pair.refresh), ("client_id", "public")];
    assert_invalid_request(&send(&site.app, form("/revoke", &[("client_id", "public")])).await);
    assert_invalid_request(&send(&site.app, form("/revoke", &[("client_id", "public"), ("token", "")])).await);
    assert_invalid_request(&send(&site.app, form("/revoke", &[good[0], good[0], good[1]])).await);
    assert_invalid_request(&send(&site.app, form(&with_query("/revoke", &good[..1]), &good[1..])).await);
    assert_invalid_request(&send(&site.app, form(&with_query("/revoke", &good[..1]), &good)).await);
    let json = Request::post("/revoke").header(header::CONTENT_TYPE, "application/json").body(Body::from("{}"));
    let answer = send(&site.app, json.expect("a request")).await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let answer = send(&site.app, request(Method::GET, &with_query("/revoke", &good))).await;
    assert_eq!((answer.status, answer.header(header::ALLOW)), (StatusCode::METHOD_NOT_ALLOWED, "POST"));
    assert_eq!(site.shelf.records(), before);
}

/// RFC 7009 §2.2.1: a store that cannot answer is 503 with Retry-After and never 200, so that the client tries again.
#[tokio::test]
async fn a_store_that_is_down_is_503_and_never_200() {
    let site = site();
    let pair = site.connect("profile").await;
    site.shelf.take_down(&[Op::Revoke]);
    assert_unavailable(&revoke(&site, "public", &pair.access).await);
    assert_unavailable(&revoke(&site, "public", &pair.refresh).await);
    site.shelf.lose_answers(&[Op::Revoke]);
    assert_unavailable(&revoke(&site, "public", &pair.refresh).await);
    site.shelf.repair();
    assert_done(&revoke(&site, "public", &pair.refresh).await);
    assert!(!site.is_good(&pair.access).await);
    site.shelf.take_down(&[Op::Client]);
    assert_unavailable(&revoke(&site, "nobody", &pair.refresh).await);
}

/// CVE-2016-6582, CVE-2023-0091: what one node revokes is ended on every other.
#[tokio::test]
async fn another_node_knows_at_once() {
    let site = site();
    let node = app(&builder(&site.clock).store(site.shelf.clone()).build().expect("a provider"));
    let pair = site.connect("profile").await;
    assert_done(&send(&node, revocation("public", &pair.refresh)).await);
    assert!(!site.is_good(&pair.access).await);
    assert_invalid_grant(&site.refresh(&pair.refresh).await);
}

/// A client's own token (client_credentials) can be given back like any other.
#[tokio::test]
async fn a_clients_own_token_ends_alone() {
    let site = site();
    let own = async || {
        let answer = site.token_as("confidential", &[("grant_type", "client_credentials")]).await;
        answer.json()["access_token"].as_str().expect("a token").to_owned()
    };
    let (first, second) = (own().await, own().await);
    assert_invalid_grant(&revoke(&site, "public", &first).await);
    assert_done(&revoke(&site, "confidential", &first).await);
    assert_eq!((site.is_good(&first).await, site.is_good(&second).await), (false, true));
    assert!(site.is_good(&own().await).await);
}

/// The endpoint alone is a service too, whatever path it is mounted at.
#[tokio::test]
async fn the_service_alone_revokes() {
    let site = site();
    let pair = site.connect("profile").await;
    let mut asked = revocation("public", &pair.refresh);
    *asked.uri_mut() = "/elsewhere".parse().expect("a path");
    assert_done(&send(&site.provider.revocation(), asked).await);
    assert!(site.shelf.records().values().all(|grant| grant.revoked().is_some()));
}
