//! The apps with access to a user's account: what is remembered of them, the page that shows them, and how many grants
//! there can be.

#[path = "support/shelf.rs"]
mod shelf;
#[path = "support/site.rs"]
mod site;
mod support;

use std::time::{Duration, SystemTime};

use axum::body::Body;
use http::request::Parts;
use http::{HeaderMap, Method, Request, StatusCode, header};
use serde_json::json;
use shelf::Op;
use site::{Pair, Site, as_client, assert_invalid_grant, redemption, refreshing, site, site_with};
use support::{Answer, VERIFIER, authorization, code_of, form, request, seconds, send, with_query, *};
use tower_oauth::{Client, ClientId, ConnectedApp, RevocationReason, Subject};

const NOW: u64 = 1_800_000_000;

fn alice() -> Subject {
    "alice".into()
}

/// The confidential client's tokens for alice.
async fn connect_confidential(site: &Site, scope: &str) -> Pair {
    let code = code_of(&site.app, "confidential", WEB, scope).await;
    Pair::of(&site.token_as("confidential", &redemption(&code)).await)
}

async fn connect_as(site: &Site, user: &str) -> Pair {
    let challenge = challenge(VERIFIER);
    let mut params = authorization("public", WEB, &challenge);
    params.extend([("scope", "profile"), ("user", user)]);
    let code = send(&site.app, form(&with_query("/authorize", &params), &[])).await.redirected("code");
    Pair::of(&site.token(&redemption(&code.expect("a code"))).await)
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

async fn apps(site: &Site) -> Vec<ConnectedApp> {
    site.provider.connected_apps(&alice()).await.expect("the store answers")
}

// ---- what is remembered ----------------------------------------------------------------------------------------------

/// One entry for each client, with all that was granted, the first use and the last; the one used last is first.
#[tokio::test]
async fn there_is_one_entry_for_each_client() {
    let site = site();
    let first = site.connect("profile").await;
    site.clock.advance(seconds(10));
    connect_confidential(&site, "notes:write").await;
    site.clock.advance(seconds(10));
    site.connect("notes:read").await;
    connect_as(&site, "bob").await;
    let seen = apps(&site).await;
    let short: Vec<_> =
        seen.iter().map(|app| (app.client_id.as_str(), app.scope.to_string(), app.first_used, app.last_used)).collect();
    let expected = [
        ("public", "notes:read profile", at(NOW), at(NOW + 20)),
        ("confidential", "notes:write", at(NOW + 10), at(NOW + 10)),
    ];
    assert_eq!(short, expected.map(|(id, scope, first, last)| (id, scope.to_owned(), first, last)));
    assert_eq!(seen[0].client.as_ref().map(Client::client_name), Some("Public App"));
    // A refresh is a use.
    site.clock.advance(seconds(5));
    Pair::of(&site.refresh(&first.refresh).await);
    let public = apps(&site).await.swap_remove(0);
    assert_eq!((public.first_used, public.last_used), (at(NOW), at(NOW + 25)));
}

/// What has ended is no access, and neither is a code that nobody redeemed.
#[tokio::test]
async fn only_what_lives_is_an_entry() {
    let site = site();
    assert!(apps(&site).await.is_empty());
    site.code("profile").await;
    assert!(apps(&site).await.is_empty(), "a code is no access");
    let pair = site.connect("profile").await;
    assert_eq!(apps(&site).await.len(), 1);
    let revoked = form("/revoke", &[("token", &pair.refresh), ("client_id", "public")]);
    assert_eq!(send(&site.app, revoked).await.status, StatusCode::OK);
    assert!(apps(&site).await.is_empty());
    site.connect("profile").await;
    site.clock.advance(seconds(90 * 24 * 60 * 60));
    assert!(apps(&site).await.is_empty(), "it was not used for 90 days");
    // A client's own grant is of no user.
    send(&site.app, as_client("confidential", &[("grant_type", "client_credentials")])).await;
    assert!(site.provider.connected_apps(&"confidential".into()).await.expect("an answer").is_empty());
}

/// A client that is not registered any more still has access, and its id.
#[tokio::test]
async fn an_app_whose_client_is_gone_is_still_an_entry() {
    let site = site();
    site.shelf.register(Client::public("guest").redirect_uri(WEB));
    let code = code_of(&site.app, "guest", WEB, "profile").await;
    Pair::of(&site.token_as("guest", &redemption(&code)).await);
    site.shelf.forget("guest");
    let seen = apps(&site).await;
    assert_eq!((seen.len(), seen[0].client_id.as_str(), seen[0].client.is_none()), (1, "guest", true));
}

/// Disconnecting ends every grant of this user at this client, its codes too, and nothing else.
#[tokio::test]
async fn disconnecting_ends_all_grants_of_this_user_at_this_client() {
    let site = site();
    let (first, second) = (site.connect("profile").await, site.connect("notes:read").await);
    let (other_app, other_user) = (connect_confidential(&site, "profile").await, connect_as(&site, "bob").await);
    let pending = site.code("profile").await;
    let public = ClientId::from("public");
    assert_eq!(site.provider.disconnect(&alice(), &public).await.expect("an answer"), 3);
    for pair in [&first, &second] {
        assert!(!site.is_good(&pair.access).await);
        assert_invalid_grant(&site.refresh(&pair.refresh).await);
    }
    assert_invalid_grant(&site.token(&redemption(&pending)).await);
    assert!(site.is_good(&other_app.access).await && site.is_good(&other_user.access).await);
    assert_eq!(apps(&site).await.len(), 1);
    assert_eq!(site.provider.disconnect(&alice(), &public).await.expect("an answer"), 0);
}

/// A store that is down is an error and no empty list.
#[tokio::test]
async fn a_store_that_is_down_is_an_error() {
    let site = site();
    site.connect("profile").await;
    site.shelf.take_down(&[Op::Grants, Op::RevokeAll]);
    assert!(site.provider.connected_apps(&alice()).await.is_err());
    assert!(site.provider.disconnect(&alice(), &"public".into()).await.is_err());
}

// ---- the limit -------------------------------------------------------------------------------------------------------

/// By default one user has 100 live grants at one client; one more, and the oldest ends.
#[tokio::test]
async fn the_hundred_and_first_grant_ends_the_oldest() {
    let site = site();
    let mut pairs = Vec::new();
    for _ in 0..100 {
        pairs.push(site.connect("profile").await);
        site.clock.advance(seconds(1));
    }
    let (others, bobs) = (connect_confidential(&site, "profile").await, connect_as(&site, "bob").await);
    for pair in &pairs {
        assert!(site.is_good(&pair.access).await);
    }
    pairs.push(site.connect("profile").await);
    assert!(!site.is_good(&pairs[0].access).await);
    assert_invalid_grant(&site.refresh(&pairs[0].refresh).await);
    for pair in pairs[1..].iter().chain([&others, &bobs]) {
        assert!(site.is_good(&pair.access).await);
    }
    let ended: Vec<_> = site.shelf.records().into_values().filter_map(|grant| grant.revoked()).collect();
    assert_eq!(ended.iter().map(|(_, reason)| *reason).collect::<Vec<_>>(), [RevocationReason::Limit]);
}

/// The limit can be set; what has ended does not count.
#[tokio::test]
async fn only_live_grants_count_and_the_limit_can_be_set() {
    let site = site_with(|builder| builder.grants_per_user_and_client(2));
    let first = site.connect("profile").await;
    site.clock.advance(seconds(1));
    let second = site.connect("profile").await;
    site.clock.advance(seconds(1));
    site.provider.revoke_grant(site.shelf.records().into_values().next().expect("one").key()).await.expect("an answer");
    let third = site.connect("profile").await;
    let good = async |pair: &Pair| site.is_good(&pair.access).await;
    assert_eq!([good(&first).await, good(&second).await].iter().filter(|good| **good).count(), 1);
    assert!(good(&third).await);
    site.clock.advance(seconds(1));
    let fourth = site.connect("profile").await;
    assert!(!good(&first).await && !good(&second).await && good(&third).await && good(&fourth).await);
    // The newest is never the one that ends, also where there can be none beside it.
    let alone = site_with(|builder| builder.grants_per_user_and_client(0));
    let (old, new) = (alone.connect("profile").await, alone.connect("profile").await);
    assert_eq!((alone.is_good(&old.access).await, alone.is_good(&new.access).await), (false, true));
}

/// A store that cannot end the oldest gives no code: the limit holds.
#[tokio::test]
async fn a_store_that_cannot_end_the_oldest_gives_no_code() {
    let site = site_with(|builder| builder.grants_per_user_and_client(1));
    site.connect("profile").await;
    for down in [Op::Grants, Op::Revoke] {
        site.shelf.take_down(&[down]);
        let challenge = challenge(VERIFIER);
        let asked = form(&with_query("/authorize", &authorization("public", WEB, &challenge)), &[]);
        assert_eq!(send(&site.app, asked).await.redirected("code"), None, "{down:?}");
    }
}

// ---- the page --------------------------------------------------------------------------------------------------------

/// Who is logged in, by a header that stands in for a session.
async fn who(head: Parts) -> Result<Option<Subject>, &'static str> {
    match head.headers.get("x-user").and_then(|user| user.to_str().ok()) {
        Some("broken") => Err("the sessions are out of reach"),
        user => Ok(user.map(Subject::from)),
    }
}

async fn at_page(site: &Site, request: Request<Body>) -> Answer {
    send(&site.provider.connected_apps_page(who), request).await
}

fn as_user(user: &str, mut request: Request<Body>) -> Request<Body> {
    request.headers_mut().insert("x-user", user.parse().expect("a header"));
    request
}

fn show() -> Request<Body> {
    as_user("alice", request(Method::GET, "/apps"))
}

fn accepting(accept: &str, mut request: Request<Body>) -> Request<Body> {
    request.headers_mut().insert(header::ACCEPT, accept.parse().expect("a header"));
    request
}

fn disconnect(client: &str) -> Request<Body> {
    let mut asked = as_user("alice", form("/apps", &[("client_id", client)]));
    asked.headers_mut().insert(header::ORIGIN, ISSUER.parse().expect("a header"));
    asked.headers_mut().insert("sec-fetch-site", "same-origin".parse().expect("a header"));
    asked
}

#[track_caller]
fn assert_page(answer: &Answer) {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    assert_eq!(answer.header(header::CONTENT_TYPE), "text/html; charset=utf-8");
    assert_eq!(answer.header(header::CACHE_CONTROL), "no-store");
    assert_eq!(answer.header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
    let policy = answer.header(header::CONTENT_SECURITY_POLICY);
    for part in ["default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("script-src") && !policy.contains("unsafe"), "{policy}");
    assert!(answer.body.starts_with("<!doctype html>") && !answer.body.contains("<script"), "{}", answer.body);
}

/// HTML without scripts, that no cache keeps and no other site frames.
#[tokio::test]
async fn the_page_shows_each_app_and_what_it_may_do() {
    let site = site();
    let empty = at_page(&site, show()).await;
    assert_page(&empty);
    assert!(empty.body.contains("No app has access to your account."));
    site.connect("profile notes:read").await;
    let page = at_page(&site, show()).await;
    assert_page(&page);
    for part in [
        "<h2>Public App</h2>",
        "<li>read your notes</li><li>see your profile</li>",
        "<time datetime=\"2027-01-15\">2027-01-15</time>",
        "<input type=\"hidden\" name=\"client_id\" value=\"public\">",
        "<form method=\"post\">",
        "aria-label=\"Disconnect Public App\"",
    ] {
        assert!(page.body.contains(part), "{part} in {}", page.body);
    }
    let bobs = at_page(&site, as_user("bob", request(Method::GET, "/apps"))).await;
    assert!(!bobs.body.contains("Public App"));
    let mut head = show();
    *head.method_mut() = Method::HEAD;
    let head = at_page(&site, head).await;
    assert_eq!((head.status, &*head.body), (StatusCode::OK, ""));
}

/// A client's name is a stranger's text.
#[tokio::test]
async fn a_hostile_name_is_only_text() {
    let site = site();
    site.shelf.register(Client::public("x\"><b>").name("<script>alert(1)</script>\"'").redirect_uri(WEB));
    let code = code_of(&site.app, "x\"><b>", WEB, "profile").await;
    Pair::of(&site.token_as("x\"><b>", &redemption(&code)).await);
    let page = at_page(&site, show()).await;
    assert_page(&page);
    assert!(page.body.contains("&lt;script&gt;") && !page.body.contains("\"><b>"), "{}", page.body);
}

/// The same as JSON, for whoever accepts JSON and not HTML.
#[tokio::test]
async fn the_same_is_there_as_json() {
    let site = site();
    site.connect("profile").await;
    let answer = at_page(&site, accepting("application/json", show())).await;
    assert_eq!(answer.header(header::CONTENT_TYPE), "application/json");
    assert_eq!((answer.header(header::CACHE_CONTROL), answer.header(header::VARY)), ("no-store", "accept"));
    let expected = json!({"apps": [{
        "client_id": "public",
        "client_name": "Public App",
        "scopes": [{"name": "profile", "description": "see your profile"}],
        "first_used": NOW,
        "last_used": NOW,
    }]});
    assert_eq!(answer.json(), expected);
    let browser = "text/html,application/xhtml+xml,application/json;q=0.9,*/*;q=0.8";
    assert_page(&at_page(&site, accepting(browser, show())).await);
    let ended = at_page(&site, accepting("application/json", disconnect("public"))).await;
    assert_eq!((ended.status, ended.json()), (StatusCode::OK, json!({"disconnected": 1})));
    assert_eq!(at_page(&site, accepting("application/json", show())).await.json(), json!({"apps": []}));
}

/// The button ends every grant of this user at this client, and leads back to the page (RFC 9110 §15.4.4).
#[tokio::test]
async fn the_button_disconnects_and_leads_back() {
    let site = site();
    let (first, second, other) =
        (site.connect("profile").await, site.connect("profile").await, connect_as(&site, "bob").await);
    let answer = at_page(&site, disconnect("public")).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "?"));
    assert!(!site.is_good(&first.access).await && !site.is_good(&second.access).await);
    assert!(site.is_good(&other.access).await);
    // Once more, or one that was never connected: there is nothing to end.
    for client in ["public", "nobody", "\u{0}"] {
        assert_eq!(at_page(&site, disconnect(client)).await.status, StatusCode::SEE_OTHER);
    }
}

/// RFC 9700 §4.7: a form of another site changes nothing.
#[tokio::test]
async fn a_form_of_another_site_changes_nothing() {
    let site = site();
    let pair = site.connect("profile").await;
    type Change = fn(&mut HeaderMap);
    let changes: [Change; 5] = [
        |headers| {
            headers.insert(header::ORIGIN, "https://evil.example".parse().expect("a header"));
            headers.insert("sec-fetch-site", "cross-site".parse().expect("a header"));
        },
        |headers| {
            headers.insert(header::ORIGIN, "https://evil.example".parse().expect("a header"));
            headers.remove("sec-fetch-site");
        },
        |headers| {
            headers.insert(header::ORIGIN, "null".parse().expect("a header"));
            headers.remove("sec-fetch-site");
        },
        |headers| {
            headers.insert(header::ORIGIN, "https://other.shift.example".parse().expect("a header"));
            headers.insert("sec-fetch-site", "same-site".parse().expect("a header"));
        },
        |headers| {
            headers.append(header::ORIGIN, "https://evil.example".parse().expect("a header"));
            headers.remove("sec-fetch-site");
        },
    ];
    for change in changes {
        let mut asked = disconnect("public");
        // What a page can be made to send is no proof: the Host header is not looked at.
        asked.headers_mut().insert(header::HOST, "evil.example".parse().expect("a header"));
        change(asked.headers_mut());
        let answer = at_page(&site, asked).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{answer:?}");
        assert!(answer.body.contains("another site") && site.is_good(&pair.access).await);
    }
}

/// Nobody sees or ends anything without logging in; a browser is sent to do so.
#[tokio::test]
async fn without_a_login_there_is_nothing() {
    let site = site();
    let pair = site.connect("profile").await;
    let nobody = |mut request: Request<Body>| {
        request.headers_mut().remove("x-user");
        request
    };
    let page = site.provider.connected_apps_page(who);
    for asked in [show(), disconnect("public"), accepting("application/json", show())] {
        let answer = send(&page, nobody(asked)).await;
        // RFC 9110 §15.5.2: a 401 would need a challenge, and no header is a login.
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(!answer.headers.contains_key(header::WWW_AUTHENTICATE));
        assert!(!answer.body.contains("Public App"));
    }
    let page = page.login("/login?return_to=%2Fapps");
    for asked in [show(), disconnect("public")] {
        let answer = send(&page, nobody(asked)).await;
        assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, "/login?return_to=%2Fapps"));
    }
    let json = send(&page, nobody(accepting("application/json", show()))).await;
    assert_eq!((json.status, &*json.error()), (StatusCode::FORBIDDEN, "login_required"));
    assert!(site.is_good(&pair.access).await);
}

/// What is down is 503, for the page and for JSON.
#[tokio::test]
async fn what_is_down_is_503() {
    let site = site();
    let pair = site.connect("profile").await;
    let broken = at_page(&site, as_user("broken", request(Method::GET, "/apps"))).await;
    assert_eq!((broken.status, broken.header(header::RETRY_AFTER)), (StatusCode::SERVICE_UNAVAILABLE, "1"));
    site.shelf.take_down(&[Op::Grants, Op::RevokeAll]);
    for asked in [show(), disconnect("public"), accepting("application/json", show())] {
        let answer = at_page(&site, asked).await;
        assert_eq!((answer.status, answer.header(header::RETRY_AFTER)), (StatusCode::SERVICE_UNAVAILABLE, "1"));
        assert!(!answer.body.contains("No app has access"));
    }
    site.shelf.repair();
    assert!(site.is_good(&pair.access).await);
}

/// The look is the app's: a heading and a style sheet of its own, escaped.
#[tokio::test]
async fn the_look_is_the_apps() {
    let site = site();
    let own = site.provider.connected_apps_page(who).title("Apps & <more>").stylesheet("/a.css?b=\"c\"");
    let page = send(&own, show()).await;
    assert_page(&page);
    assert!(page.body.contains("<h1>Apps &amp; &lt;more&gt;</h1>"), "{}", page.body);
    assert!(page.body.contains("href=\"/a.css?b=&quot;c&quot;\"") && !page.body.contains("<style>"), "{}", page.body);
    assert!(page.header(header::CONTENT_SECURITY_POLICY).contains("style-src 'self'"));
}

/// What is no request of this page.
#[tokio::test]
async fn other_requests_are_refused() {
    let site = site();
    for method in [Method::PUT, Method::DELETE, Method::OPTIONS] {
        let answer = at_page(&site, as_user("alice", request(method, "/apps"))).await;
        assert_eq!((answer.status, answer.header(header::ALLOW)), (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD, POST"));
    }
    let mut without = disconnect("x");
    *without.body_mut() = Body::empty();
    assert_eq!(at_page(&site, without).await.status, StatusCode::BAD_REQUEST);
    let mut typed = accepting("application/json", disconnect("public"));
    typed.headers_mut().insert(header::CONTENT_TYPE, "text/plain".parse().expect("a header"));
    assert_eq!(at_page(&site, typed).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

/// Nothing that the page says is a key to anything.
#[tokio::test]
async fn no_answer_carries_a_token() {
    let site = site();
    let pair = site.connect("profile").await;
    let refreshed = Pair::of(&site.token(&refreshing(&pair.refresh)).await);
    for asked in [show(), accepting("application/json", show())] {
        let answer = at_page(&site, asked).await;
        for secret in [&pair.access, &pair.refresh, &refreshed.access, &refreshed.refresh] {
            assert!(!answer.body.contains(&**secret));
        }
        assert!(!answer.body.contains("toa_"));
    }
}
