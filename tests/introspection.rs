//! The introspection endpoint: RFC 7662.

#[path = "support/shelf.rs"]
mod shelf;
#[path = "support/site.rs"]
mod site;
mod support;

use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};
use shelf::Op;
use site::{
    Pair, Site, assert_invalid_grant, assert_invalid_request, assert_refused, assert_unavailable, assert_uncached_json,
    redemption, refreshing, site_with, with,
};
use support::{Answer, VERIFIER, basic, code_of, form, request, seconds, send, *};
use tower_oauth::Client;

const MCP: &str = "https://shift.example/mcp";
const NOW: u64 = 1_800_000_000;

/// A site with a second resource, the servers of both, and another confidential client.
fn site() -> Site {
    site_with(|builder| {
        builder
            .resource(MCP)
            .client(Client::resource_server("api", SECRET, ISSUER))
            .client(Client::resource_server("mcp", SECRET, MCP))
            .client(Client::resource_server("tools", SECRET, "https://shift.example/mcp/tools"))
            .client(Client::resource_server("foreign", SECRET, "https://api.example"))
            .client(Client::confidential("other", SECRET).redirect_uri(WEB))
    })
}

fn introspection(client: &str, token: &str) -> Request<Body> {
    basic(form("/introspect", &[("token", token)]), client, SECRET)
}

async fn introspect(site: &Site, client: &str, token: &str) -> Value {
    let answer = send(&site.app, introspection(client, token)).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_uncached_json(&answer);
    answer.json()
}

/// RFC 7662 §2.2: exactly that, so that nobody learns why.
#[track_caller]
fn assert_inactive(answer: &Value) {
    assert_eq!(*answer, json!({"active": false}));
}

async fn connect_at(site: &Site, scope: &str, resource: Option<&str>) -> Pair {
    let code = code_of(&site.app, "confidential", WEB, scope).await;
    let mut params = vec![("grant_type", "authorization_code"), ("code", &code), ("code_verifier", VERIFIER)];
    params.extend(resource.map(|resource| ("resource", resource)));
    Pair::of(&site.token_as("confidential", &params).await)
}

/// The confidential client's tokens for alice.
async fn connect(site: &Site, scope: &str) -> Pair {
    connect_at(site, scope, None).await
}

async fn own_token(site: &Site, resources: &[&str]) -> String {
    let mut params = vec![("grant_type", "client_credentials"), ("scope", "profile")];
    params.extend(resources.iter().map(|resource| ("resource", *resource)));
    let answer = site.token_as("confidential", &params).await;
    answer.json()["access_token"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
}

/// RFC 7662 §2.2: all that is said of an active access token, with exactly its scope, and nothing that opens anything.
#[tokio::test]
async fn a_client_sees_its_own_access_token() {
    let site = site();
    let first = connect(&site, "profile notes:read").await;
    site.clock.advance(seconds(7));
    let narrow = [("grant_type", "refresh_token"), ("refresh_token", &first.refresh), ("scope", "notes:read")];
    let second = Pair::of(&site.token_as("confidential", &narrow).await);
    for (token, scope, at) in [(&first.access, "profile notes:read", NOW), (&second.access, "notes:read", NOW + 7)] {
        let mut answer = introspect(&site, "confidential", token).await;
        let id = answer.as_object_mut().expect("an object").remove("jti").expect("an id");
        assert!(id.as_str().is_some_and(|id| id.len() == 32 && !token.contains(id)), "{id}");
        let expected = json!({
            "active": true,
            "iss": ISSUER,
            "client_id": "confidential",
            "sub": "alice",
            "scope": scope,
            "token_type": "Bearer",
            "iat": at,
            "exp": at + 600,
            "aud": [ISSUER],
        });
        assert_eq!(answer, expected);
    }
}

/// A refresh token is told from an access token: it is no bearer token, and lives as long as it is idle.
#[tokio::test]
async fn a_client_sees_its_current_refresh_token() {
    let site = site();
    let pair = connect(&site, "profile notes:read").await;
    let expected = json!({
        "active": true,
        "iss": ISSUER,
        "client_id": "confidential",
        "sub": "alice",
        "scope": "profile notes:read",
        "iat": NOW,
        "exp": NOW + 90 * 24 * 60 * 60,
        "aud": [ISSUER],
    });
    assert_eq!(introspect(&site, "confidential", &pair.refresh).await, expected);
    site.clock.advance(seconds(90 * 24 * 60 * 60 - 1));
    assert_eq!(introspect(&site, "confidential", &pair.refresh).await, expected);
    site.clock.advance(seconds(1));
    assert_inactive(&introspect(&site, "confidential", &pair.refresh).await);
}

/// RFC 6749 §4.4: a client's own token has the client as its subject.
#[tokio::test]
async fn a_clients_own_token_is_about_the_client() {
    let site = site();
    let answer = introspect(&site, "confidential", &own_token(&site, &[]).await).await;
    assert_eq!((&answer["active"], &answer["sub"]), (&json!(true), &json!("confidential")));
}

/// RFC 7662 §4: the server of a resource sees the access tokens for it, and no other's.
#[tokio::test]
async fn the_server_of_a_resource_sees_the_access_tokens_for_it_alone() {
    let site = site();
    for (resources, seen_by) in [
        (&[][..], &["api", "mcp", "tools"][..]),
        (&[ISSUER], &["api", "mcp", "tools"]),
        (&[MCP], &["mcp", "tools"]),
        (&[ISSUER, MCP], &["api", "mcp", "tools"]),
    ] {
        let token = own_token(&site, resources).await;
        for server in ["api", "mcp", "tools", "foreign"] {
            let answer = introspect(&site, server, &token).await;
            if seen_by.contains(&server) {
                assert_eq!((&answer["active"], &answer["client_id"]), (&json!(true), &json!("confidential")));
            } else {
                assert_inactive(&answer);
            }
        }
    }
    // A user's, narrowed to one resource.
    let pair = connect(&site, "profile").await;
    assert_eq!(introspect(&site, "api", &pair.access).await["sub"], "alice");
    // RFC 7662 §4: a refresh token is no business of a resource, and is never taken for an access token.
    for server in ["api", "mcp", "tools", "foreign"] {
        assert_inactive(&introspect(&site, server, &pair.refresh).await);
    }
}

/// RFC 7662 §2.2: "a token that the protected resource is not allowed to know about" is inactive like any other.
#[tokio::test]
async fn another_clients_token_is_inactive() {
    let site = site();
    let (theirs, publics) = (connect(&site, "profile").await, site.connect("profile").await);
    for token in [&theirs.access, &theirs.refresh, &publics.access, &publics.refresh] {
        assert_inactive(&introspect(&site, "other", token).await);
    }
    for token in [&publics.access, &publics.refresh] {
        assert_inactive(&introspect(&site, "confidential", token).await);
    }
}

/// A rotated refresh token is inactive at once, also inside the grace in which it still gets its successor once more.
#[tokio::test]
async fn a_rotated_refresh_token_is_inactive_at_once() {
    let site = site();
    let first = connect(&site, "profile").await;
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", &*first.refresh)];
    let second = Pair::of(&site.token_as("confidential", &refresh).await);
    let before = site.shelf.records();
    assert_inactive(&introspect(&site, "confidential", &first.refresh).await);
    assert_eq!(introspect(&site, "confidential", &second.refresh).await["active"], true);
    assert_eq!(introspect(&site, "confidential", &first.access).await["active"], true);
    // Asking is no use of it: nothing was replayed and nothing was rotated.
    site.clock.advance(seconds(60));
    assert_inactive(&introspect(&site, "confidential", &first.refresh).await);
    assert_eq!(site.shelf.records(), before);
}

/// One that a record does not know of yet, since the store lost a write, is inactive too.
#[tokio::test]
async fn a_refresh_token_ahead_of_its_record_is_inactive() {
    let site = site();
    let first = connect(&site, "profile").await;
    let before = site.shelf.records();
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", &*first.refresh)];
    let second = Pair::of(&site.token_as("confidential", &refresh).await);
    site.shelf.put_back(before);
    assert_inactive(&introspect(&site, "confidential", &second.refresh).await);
}

/// RFC 7662 §2.2: what was revoked, has expired, is no token or is a code.
#[tokio::test]
async fn everything_else_is_inactive() {
    let site = site();
    let code = code_of(&site.app, "confidential", WEB, "profile").await;
    let elsewhere = site_with(|builder| builder.token_prefix("other"));
    let foreign = connect(&elsewhere, "profile").await;
    for token in ["x", "\u{e9}", "toa_at_x", "toa_rt_x", &code, &foreign.access, &foreign.refresh, SECRET] {
        assert_inactive(&introspect(&site, "confidential", token).await);
        assert_inactive(&introspect(&site, "api", token).await);
    }
    assert_eq!(site.shelf.records().len(), 1, "and the code can still be redeemed");
    let params = redemption(&code);
    let pair = Pair::of(&site.token_as("confidential", &params).await);
    assert_inactive(&introspect(&site, "confidential", &code).await);

    let revoke = |token: &str| basic(form("/revoke", &[("token", token)]), "confidential", SECRET);
    assert_eq!(send(&site.app, revoke(&pair.access)).await.status, StatusCode::OK);
    assert_inactive(&introspect(&site, "confidential", &pair.access).await);
    assert_eq!(introspect(&site, "confidential", &pair.refresh).await["active"], true);
    assert_eq!(send(&site.app, revoke(&pair.refresh)).await.status, StatusCode::OK);
    assert_inactive(&introspect(&site, "confidential", &pair.refresh).await);

    let late = connect(&site, "profile").await;
    site.clock.advance(seconds(599));
    assert_eq!(introspect(&site, "api", &late.access).await["active"], true);
    site.clock.advance(seconds(1));
    assert_inactive(&introspect(&site, "api", &late.access).await);
    assert_inactive(&introspect(&site, "confidential", &late.access).await);
    site.shelf.put_back(Default::default());
    assert_inactive(&introspect(&site, "confidential", &late.refresh).await);
}

/// RFC 7662 §2.1: "the endpoint MUST also require some form of authorization"; a public client's id is no such thing.
#[tokio::test]
async fn only_a_client_that_authenticates_may_ask() {
    let site = site();
    let (own, public) = (connect(&site, "profile").await, site.connect("profile").await);
    let asked = |params: &[(&str, &str)]| form("/introspect", params);
    let mut bearer = form("/introspect", &[("token", &own.access)]);
    bearer.headers_mut().insert(header::AUTHORIZATION, format!("Bearer {}", own.access).parse().expect("a header"));
    for request in [
        asked(&[("token", &public.access), ("client_id", "public")]),
        asked(&[("token", &own.access), ("client_id", "confidential")]),
        asked(&[("token", &own.access)]),
        basic(asked(&[("token", &own.access)]), "confidential", "wrong"),
        basic(asked(&[("token", &own.access)]), "nobody", SECRET),
        bearer,
    ] {
        let answer = send(&site.app, request).await;
        assert_refused(&answer, StatusCode::UNAUTHORIZED, "invalid_client");
        assert!(answer.headers.contains_key(header::WWW_AUTHENTICATE), "RFC 9110 §15.5.2");
    }
    let post = with(&[("token", "x"), ("client_id", "original")], "client_secret", SECRET);
    assert_inactive(&send(&site.app, asked(&post)).await.json());
}

/// RFC 7662 §2.1: a POST of a form with a token, once; never in the query, where logs keep it.
#[tokio::test]
async fn a_request_that_cannot_be_read_is_refused() {
    let site = site();
    let asked = |uri: &str, params: &[(&str, &str)]| basic(form(uri, params), "confidential", SECRET);
    for request in [
        asked("/introspect", &[]),
        asked("/introspect", &[("token", "")]),
        asked("/introspect", &[("token", "x"), ("token", "x")]),
        asked("/introspect?token=x", &[]),
        asked("/introspect?token=x", &[("token", "x")]),
    ] {
        assert_invalid_request(&send(&site.app, request).await);
    }
    let answer = send(&site.app, request(Method::GET, "/introspect?token=x")).await;
    assert_eq!((answer.status, answer.header(header::ALLOW)), (StatusCode::METHOD_NOT_ALLOWED, "POST"));
}

/// RFC 7662 §2.1: the hint is one.
#[tokio::test]
async fn a_hint_is_only_a_hint() {
    let site = site();
    let pair = connect(&site, "profile").await;
    for hint in ["access_token", "refresh_token", "id_token"] {
        for token in [&pair.access, &pair.refresh] {
            let params = [("token", &**token), ("token_type_hint", hint)];
            let answer = send(&site.app, basic(form("/introspect", &params), "confidential", SECRET)).await;
            assert_eq!(answer.json()["active"], true, "{hint}");
        }
    }
}

/// A cache may be behind its store for as long as its store says. It is there for the check of an access token, and
/// nothing else believes it.
#[tokio::test]
async fn a_cache_is_asked_for_the_check_of_an_access_token_alone() {
    let site = site();
    let pair = connect(&site, "profile").await;
    site.shelf.fill_cache();
    let keys: Vec<_> = site.shelf.records().into_keys().collect();
    let elsewhere = builder(&site.clock).store(site.shelf.clone()).build().expect("a provider");
    elsewhere.revoke_grant(keys[0]).await.expect("the store answers");
    assert!(site.is_good(&pair.access).await, "the cache is asked");
    for token in [&pair.access, &pair.refresh] {
        assert_inactive(&introspect(&site, "confidential", token).await);
    }
    assert_invalid_grant(&site.token_as("confidential", &refreshing(&pair.refresh)).await);
}

/// An outage is 503 and never `{"active":false}`, which would end sessions.
#[tokio::test]
async fn a_store_that_is_down_is_503_and_never_inactive() {
    let site = site();
    let pair = connect(&site, "profile").await;
    site.shelf.take_down(&[Op::Find]);
    for token in [&pair.access, &pair.refresh] {
        assert_unavailable(&send(&site.app, introspection("confidential", token)).await);
    }
    site.shelf.repair();
    assert_eq!(introspect(&site, "confidential", &pair.access).await["active"], true);
}

/// The server of a resource gets no tokens itself (RFC 6749 §5.2).
#[tokio::test]
async fn the_server_of_a_resource_gets_no_tokens() {
    let site = site();
    let answer = |params: &[(&str, &str)]| basic(form("/token", params), "api", SECRET);
    let machine = send(&site.app, answer(&[("grant_type", "client_credentials")])).await;
    assert_refused(&machine, StatusCode::BAD_REQUEST, "unauthorized_client");
}

/// Nothing that opens anything is in any answer.
#[tokio::test]
async fn no_answer_carries_a_token_a_code_or_a_secret() {
    let site = site();
    let code = code_of(&site.app, "confidential", WEB, "profile").await;
    let pair = Pair::of(&site.token_as("confidential", &redemption(&code)).await);
    let answers: Vec<Answer> = vec![
        send(&site.app, introspection("confidential", &pair.access)).await,
        send(&site.app, introspection("confidential", &pair.refresh)).await,
        send(&site.app, introspection("api", &pair.access)).await,
        send(&site.app, introspection("confidential", &code)).await,
    ];
    for answer in answers {
        for secret in [&*pair.access, &pair.refresh, &code, SECRET, VERIFIER] {
            assert!(!answer.body.contains(secret) && !format!("{:?}", answer.headers).contains(secret));
        }
    }
}
