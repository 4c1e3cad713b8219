//! What a developer gets wrong and what is said of it: at the start, all at once, or at the line.

#[path = "support/ask.rs"]
mod ask;
#[path = "support/down.rs"]
mod down;
mod support;

use std::cell::RefCell;
use std::convert::Infallible;
use std::error::Error;
use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use ask::*;
use axum::body::Body;
use axum::response::Response;
use axum::routing::any;
use base64::Engine;
use down::{Apart, Down};
use http::{Request, StatusCode};
use support::{app, bearer, builder, form, provider, redeem, send, *};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_oauth::event::Event;
use tower_oauth::testing::{Flow, ManualClock, connect};
use tower_oauth::{
    AuthMethod, AuthorizationRequest, Authorized, BearerLayer, Client, ClientSecret, ConfigError, ConfigErrors,
    Credentials, Endpoints, Grant, GrantType, Holder, Issuance, MemoryStore, ProtectedResource, Provider,
    ProviderBuilder, Refusal, RegistrationPolicy, Scope, Secret, Secrets, Verification, Verify,
};

/// A configuration in which nothing is wrong.
fn base() -> ProviderBuilder {
    Provider::builder(ISSUER).store(MemoryStore::new())
}

/// What is said of it, a line for each thing.
#[track_caller]
fn wrong(builder: ProviderBuilder) -> Vec<String> {
    builder.build().expect_err("something is wrong").iter().map(ToString::to_string).collect()
}

/// The one thing that is said of it.
#[track_caller]
fn only(builder: ProviderBuilder) -> String {
    match &wrong(builder)[..] {
        [one] => one.clone(),
        several => panic!("not one thing: {several:#?}"),
    }
}

// ---- all at once ---------------------------------------------------------------------------------------------------

fn planted() -> ProviderBuilder {
    Provider::builder("http://shift.example")
        .scope("see profile", "see your profile")
        .default_scope("profile")
        .resource("/mcp")
        .endpoints(Endpoints::default().token("token"))
        .access_token_lifetime(Duration::ZERO)
        .token_prefix("")
        .client(Client::public("app"))
}

const SAID: &str = "the provider cannot be built:
  - issuer \"http://shift.example\": plain `http` is for 127.0.0.1, [::1] and localhost only: write `https`
  - path \"token\": write each endpoint as `/name`, no two alike, without a slash at the end
  - scope \"see profile\": one word of printable ASCII without `\"` and `\\`
  - scope \"profile\" in `.default_scope(..)`: add it with `.scope(\"profile\", \"..\")`
  - resource \"/mcp\": it is not an absolute URI with a host
  - lifetime: an access token lives from 1 second to 24 hours
  - client \"app\": it has no redirect URI: add one with `.redirect_uri(..)`
  - token prefix \"\": write 1 to 16 ASCII letters and digits
  - there is no store: write `.store(MemoryStore::new())`";

#[test]
fn everything_that_is_wrong_is_said_at_once_with_what_to_write_instead() {
    let errors = planted().build().unwrap_err();
    assert_eq!(errors.to_string(), SAID);
    assert_eq!(errors.iter().count(), 9);
    assert_eq!(
        errors.iter().map(|error| format!("\n  - {error}")).collect::<String>(),
        SAID[SAID.find('\n').unwrap()..]
    );
    assert!(errors.iter().any(|error| *error == ConfigError::NoStore));
}

/// `fn main() -> Result<_, Box<dyn Error>>` and `unwrap` print `Debug`
#[test]
fn debug_of_the_errors_is_their_display() {
    fn main() -> Result<(), Box<dyn Error>> {
        planted().build()?;
        Ok(())
    }
    let error = main().unwrap_err();
    assert_eq!(format!("{error:?}"), SAID);
    assert_eq!(error.downcast_ref::<ConfigErrors>().map(|errors| format!("{errors:#?}")), Some(SAID.to_owned()));
    let panicked = panic_of(|| drop(planted().build().unwrap()));
    assert!(panicked.message.ends_with(SAID), "{}", panicked.message);
}

// ---- one by one ----------------------------------------------------------------------------------------------------

/// RFC 8414 §2: https, no query, no fragment; in the one spelling that clients and browsers compare
#[test]
fn an_issuer_is_an_origin_and_maybe_a_path() {
    for issuer in [
        "https://shift.example",
        "https://a-b.shift.example:8443",
        "https://xn--caf-dma.example",
        "https://10.0.0.7",
        "https://[2001:db8::1]:8443",
        "https://[::ffff:102:304]",
        "https://shift.example/tenant",
        "https://shift.example/a/b-c._~/1",
        "http://127.0.0.1",
        "http://127.0.0.1:3000",
        "http://[::1]:3000",
        "http://localhost:3000/tenant",
    ] {
        let provider = Provider::builder(issuer).store(MemoryStore::new()).build().unwrap();
        assert_eq!(provider.issuer(), issuer);
        // Nothing that was accepted makes a layer panic later.
        drop((provider.layer(), provider.bearer(), provider.authorize_layer()));
    }
    for (issuer, hint) in [
        ("", "`https://host`"),
        ("shift.example", "`https://host`"),
        ("https:shift.example", "`https://host`"),
        ("ftp://shift.example", "`https://host`"),
        ("HTTPS://shift.example", "`https://host`"),
        ("http://shift.example", "write `https`"),
        ("http://127.0.0.2", "write `https`"),
        ("http://localhost.evil.example", "write `https`"),
        ("https://", "write its host as browsers do"),
        ("https:///tenant", "write its host as browsers do"),
        ("https://Shift.example", "write its host as browsers do"),
        ("https://caf\u{e9}.example", "write its host as browsers do"),
        ("https://shift.example.", "write its host as browsers do"),
        ("https://shift..example", "write its host as browsers do"),
        ("https://shift%2eexample", "write its host as browsers do"),
        ("https://shift.example\\x", "write its host as browsers do"),
        ("https://shift example", "write its host as browsers do"),
        ("https://[", "write its host as browsers do"),
        ("https://[::1", "write its host as browsers do"),
        ("https://]", "write its host as browsers do"),
        ("https://a:b:1", "write its host as browsers do"),
        ("https://[0:0:0:0:0:0:0:1]", "write its host as browsers do"),
        ("https://[2001:DB8::1]", "write its host as browsers do"),
        ("https://[::ffff:1.2.3.4]", "write its host as browsers do"),
        ("https://127.1", "write its host as browsers do"),
        ("https://0x7f000001", "write its host as browsers do"),
        ("https://2130706433", "write its host as browsers do"),
        ("https://shift.example:443", "leave out the port"),
        ("http://localhost:80", "leave out the port"),
        ("https://shift.example:0", "without leading zeros"),
        ("https://shift.example:08443", "without leading zeros"),
        ("https://shift.example:+8443", "without leading zeros"),
        ("https://shift.example:", "from 1 to 65535"),
        ("https://shift.example:65536", "from 1 to 65535"),
        ("https://shift.example/", "write `https://host/tenant`"),
        ("https://shift.example/tenant/", "write `https://host/tenant`"),
        ("https://shift.example//tenant", "write `https://host/tenant`"),
        ("https://shift.example/../tenant", "write `https://host/tenant`"),
        ("https://shift.example/%74enant", "write `https://host/tenant`"),
        ("https://shift.example/ten ant", "write `https://host/tenant`"),
        ("https://shift.example?x", "leave that out"),
        ("https://shift.example/tenant?x", "leave that out"),
        ("https://shift.example#x", "leave that out"),
        ("https://user@shift.example", "leave that out"),
    ] {
        let said = only(Provider::builder(issuer).store(MemoryStore::new()));
        assert!(said.starts_with(&format!("issuer {issuer:?}: ")) && said.contains(hint), "{said}");
    }
}

#[test]
fn a_store_has_to_be_named_and_secrets_where_it_keeps_none() {
    let none = "there is no store: write `.store(MemoryStore::new())`";
    assert_eq!(only(Provider::builder(ISSUER)), none);
    assert_eq!(only(Provider::builder(ISSUER).clients(MemoryStore::new())), none);
    let keeps_none = "secrets: this store keeps none: write `.secrets(Secrets::open(\"provider.secret\")?.0)`";
    assert_eq!(only(Provider::builder(ISSUER).store(Down)), keeps_none);
    assert_eq!(only(base().grants(Down)), keeps_none);
    for good in [
        Provider::builder(ISSUER).store(Down).secrets(Secret::generate()),
        Provider::builder(ISSUER).store((Down, MemoryStore::new())),
        Provider::builder(ISSUER).grants(MemoryStore::new()),
    ] {
        good.build().unwrap();
    }
}

/// Of two keys with one name, which one signed?
#[test]
fn secrets_are_at_least_one_and_all_different() {
    let secret = |n: u8| Secret::from_bytes([n; 32]);
    let with = |secrets: Vec<Secret>| base().secrets(secrets.into_iter().collect::<Secrets>());
    let said = only(with(vec![secret(1), secret(2), secret(1)]));
    assert_eq!(said, "secrets: two of the secrets are equal or share a key id: make a new one");
    assert_eq!(only(with(vec![])), "secrets: there is no secret: make one with `Secret::generate()`");
    with(vec![secret(1), secret(2), secret(3)]).build().unwrap();
}

/// RFC 6749 §3.3
#[test]
fn a_scope_is_one_word_that_is_named_once_and_known_wherever_it_is_used() {
    let known = || base().scope("profile", "see your profile").reserved_scope("admin", "do everything");
    for name in ["", " ", "a b", "a ", "caf\u{e9}", "a\"b", "a\\b", "a\tb"] {
        assert_eq!(
            only(base().scope(name, "..")),
            format!("scope {name:?}: one word of printable ASCII without `\"` and `\\`")
        );
    }
    assert_eq!(only(known().scope("profile", "again")), "scope \"profile\" is named twice");
    assert_eq!(only(known().reserved_scope("profile", "again")), "scope \"profile\" is named twice");
    let add = |place: &str| format!("scope \"prfile\" in {place}: add it with `.scope(\"prfile\", \"..\")`");
    assert_eq!(only(known().default_scope("profile prfile")), add("`.default_scope(..)`"));
    assert_eq!(only(known().scope_includes("prfile", "profile")), add("`.scope_includes(..)`"));
    assert_eq!(only(known().scope_includes("profile", "prfile")), add("`.scope_includes(..)`"));
    assert_eq!(only(known().client(public().scope("prfile"))), add("client \"public\""));
    // A reserved one is known, and still nobody gets it by default.
    known().scope_includes("admin", "profile").client(public().scope("admin")).build().unwrap();
    assert!(only(known().default_scope("admin")).starts_with("scope \"admin\" in `.default_scope(..)`"));
    assert!(only(known().default_scope("caf\u{e9}")).contains("printable ASCII"));
    // A grant has 64 at most; a default of more is not silently none.
    let many = |count: usize| {
        let names: Vec<_> = (0..count).map(|n| format!("s{n}")).collect();
        names.iter().fold(base(), |builder, name| builder.scope(name, "..")).default_scope(names.join(" "))
    };
    many(64).build().unwrap();
    assert!(only(many(65)).contains("more than 64 scopes"));
    // Nor are the others silently all.
    let long: Vec<_> = (0..65).map(|n| format!("s{n}")).collect();
    for builder in [
        many(64).resource_scope(long.join(" ")),
        many(64).registration(RegistrationPolicy::open().scope(long.join(" "))),
    ] {
        assert!(only(builder).contains("more than 64 scopes"));
    }
}

/// RFC 8707 §2
#[test]
fn a_resource_is_an_absolute_url_without_fragment() {
    for (resource, why) in [
        ("/mcp", "it is not an absolute URI with a host"),
        ("shift.example/mcp", "it is not an absolute URI with a host"),
        ("https://shift.example/mcp#f", "it has a fragment"),
        ("https://u@shift.example/mcp", "it needs a host and no user information"),
        ("ftp://shift.example/mcp", "its scheme is not `https`"),
        ("https://shift.example/m cp", "it has a character that no URI has"),
    ] {
        assert_eq!(only(base().resource(resource)), format!("resource {resource:?}: {why}"));
    }
    base()
        .resource("https://shift.example/mcp")
        .resource("https://shift.example/mcp")
        .resource(ISSUER)
        .build()
        .unwrap();
}

#[test]
fn what_holds_at_a_resource_is_possible() {
    let base = || base().scope("profile", "see your profile").scope("offline_access", "stay connected");
    let mcp = || ProtectedResource::new("https://shift.example/mcp");
    let told = |resource: ProtectedResource| only(base().resource(resource));
    assert_eq!(
        told(mcp().scope("profile tools")),
        "scope \"tools\" in resource \"https://shift.example/mcp\": add it with `.scope(\"tools\", \"..\")`"
    );
    for (resource, why) in [
        (mcp().scope(" "), "it takes no scope: name some in `.scope(..)`, or leave it out"),
        (mcp().scope("offline_access"), "`offline_access` is no matter of a resource: leave it out of `.scope(..)`"),
        (
            mcp().access_token_lifetime(Duration::from_millis(999)),
            "an access token lives from 1 second to 24 hours, and no longer than a refresh token may be idle",
        ),
        (
            mcp().access_token_lifetime(Duration::from_secs(24 * 60 * 60 + 1)),
            "an access token lives from 1 second to 24 hours, and no longer than a refresh token may be idle",
        ),
    ] {
        assert_eq!(only(base().resource(resource)), format!("resource \"https://shift.example/mcp\": {why}"));
    }
    let idle = base().refresh_token_idle(Duration::from_secs(3_600));
    let said = only(idle.resource(mcp().access_token_lifetime(Duration::from_secs(3_601))));
    assert!(said.ends_with("no longer than a refresh token may be idle"), "{said}");
    base().resource(mcp().scope("profile").access_token_lifetime(Duration::from_secs(24 * 60 * 60))).build().unwrap();
}

/// RFC 6749 §2 and §3.1.2, RFC 8252 §7 and §8.4, RFC 9700 §2.1 and §4.1.3
#[test]
fn a_client_that_cannot_work_is_named_with_what_to_change() {
    for (client, hint) in [
        (Client::public("app"), "add one with `.redirect_uri(..)`"),
        (Client::public("").redirect_uri(WEB), "its id is empty"),
        (Client::public("caf\u{e9}").redirect_uri(WEB), "other than printable ASCII"),
        (Client::public("a\nb").redirect_uri(WEB), "other than printable ASCII"),
        (Client::public("app").redirect_uri("http://app.example/cb"), "write `https`"),
        (Client::public("app").redirect_uri("javascript:alert(1)"), "a domain name in reverse"),
        (Client::public("app").redirect_uri("data:text/html,x"), "a domain name in reverse"),
        (Client::public("app").redirect_uri("app:/cb"), "a domain name in reverse"),
        (Client::public("app").redirect_uri("com.example.app:cb"), "write `com.example.app:/callback`"),
        (Client::public("app").redirect_uri("https://app.example/cb#f"), "it has a fragment"),
        (Client::public("app").redirect_uri("https://u@app.example/cb"), "user information"),
        (Client::public("app").redirect_uri("https://app.example\\cb"), "a backslash"),
        (Client::public("app").redirect_uri("https://app.example/a/../cb"), "a `.` or `..` segment"),
        (Client::public("app").redirect_uri("https://app.example/cb?state=x"), "a parameter that the answer adds"),
        (Client::public("app").redirect_uri("https://app.example/cb?a=b&%63ode=x"), "a parameter that the answer adds"),
        (Client::public("app").redirect_uri(WEB).web().redirect_uri("http://127.0.0.1/cb"), "say `.native()`"),
        (Client::public("app").redirect_uri(WEB).scope("caf\u{e9}"), "printable ASCII"),
        (Client::public("app").redirect_uri(WEB).and_secret(SECRET), "choose one of the two"),
        (Client::public("app").redirect_uri(WEB).danger_without_pkce(), "drop `.danger_without_pkce()`"),
        (Client::public("app").redirect_uri(WEB).grant_types([GrantType::ClientCredentials]), "make it confidential"),
        (
            Client::public("app").redirect_uri(WEB).token_endpoint_auth_method(AuthMethod::ClientSecretPost),
            "add one with `.and_secret(..)`",
        ),
        (Client::confidential("app", "hunter2").redirect_uri(WEB), "use `ClientSecret::generate()`"),
    ] {
        let said = only(base().client(client.clone()));
        assert!(said.starts_with(&format!("client {:?}: ", client.id())) && said.contains(hint), "{hint} in {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    assert_eq!(only(base().client(public()).client(public())), "client \"public\": two clients have this id");
    // What is wrong with one client is said at once too.
    assert_eq!(wrong(base().client(Client::public("").redirect_uri("http://a.example").and_secret("short"))).len(), 4);
    for good in [
        Client::confidential("app", ClientSecret::generate()).redirect_uri(WEB),
        Client::confidential("cron", SECRET).grant_types([GrantType::ClientCredentials]),
        Client::public("app").native().redirect_uri(WEB).redirect_uri("com.example.app:/cb"),
    ] {
        base().client(good).build().unwrap();
    }
}

#[test]
fn a_path_is_written_as_it_is_compared_and_no_two_are_alike() {
    let said =
        |path: &str| format!("path {path:?}: write each endpoint as `/name`, no two alike, without a slash at the end");
    for path in [
        "",
        "/",
        "token",
        "/token/",
        "//token",
        "/a//b",
        "/./token",
        "/../token",
        "/%74oken",
        "/token;x",
        "/to ken",
        "/token?x",
        "/token#x",
        "/caf\u{e9}",
        "/{token}",
        "/*token",
    ] {
        assert_eq!(only(base().endpoints(Endpoints::default().token(path))), said(path));
        assert_eq!(only(base().endpoints(Endpoints::default().authorization(path))), said(path));
        if !path.is_empty() {
            assert_eq!(only(base().endpoints(Endpoints::under(path))), said(path));
        }
    }
    assert_eq!(only(base().endpoints(Endpoints::default().authorization("/token"))), said("/token"));
    for good in [Endpoints::under("/v1/oauth2"), Endpoints::under("/a").token("/b/c-d._~"), Endpoints::default()] {
        base().endpoints(good).build().unwrap();
    }
}

/// RFC 8414 §3.1, RFC 9728 §3.1: an endpoint there would hide the document that clients look for.
#[test]
fn no_endpoint_is_where_a_well_known_document_is() {
    let said = |path: &str| {
        format!("path {path:?}: a well-known document is there (RFC 8414 §3.1, RFC 9728 §3.1): write another one")
    };
    let server = "/.well-known/oauth-authorization-server";
    let resource = "/.well-known/oauth-protected-resource";
    for path in [server, resource, &format!("{resource}/me"), &format!("{resource}/me/notes")] {
        let resources = || base().resource("https://shift.example/me");
        assert_eq!(only(resources().endpoints(Endpoints::default().token(path))), said(path));
        assert_eq!(only(resources().endpoints(Endpoints::default().authorization(path))), said(path));
    }
    // Where it is published, or where the service sees it behind a proxy that strips the issuer's path.
    let tenant = || Provider::builder("https://shift.example/auth").store(MemoryStore::new());
    let its_own = format!("{server}/auth");
    for path in [&*its_own, resource] {
        assert_eq!(only(tenant().endpoints(Endpoints::default().stripped("/auth").token(path))), said(path));
        tenant().endpoints(Endpoints::default().token(path)).build().unwrap();
    }
    let below = tenant().endpoints(Endpoints::under("/.well-known").token("/oauth-protected-resource"));
    below.build().unwrap();
    let below = base().endpoints(Endpoints::under("/.well-known").token("/oauth-protected-resource"));
    assert_eq!(only(below), said("/oauth-protected-resource"));
    for good in ["/.well-known/oauth-protected-resources", "/.well-known/token"] {
        base().endpoints(Endpoints::default().token(good)).build().unwrap();
    }
}

/// What a proxy strips is the front of what is published, or nothing that is published would reach an endpoint.
#[test]
fn what_is_stripped_is_the_front_of_what_is_published() {
    let at = |issuer: &str, endpoints| Provider::builder(issuer).store(MemoryStore::new()).endpoints(endpoints);
    for (issuer, prefix, stripped, seen) in [
        ("https://shift.example", "/v1", "", "/v1"),
        ("https://shift.example", "/v1", "/v1", ""),
        ("https://shift.example/auth", "", "/auth", ""),
        ("https://shift.example/auth", "/v1", "/auth", "/v1"),
        ("https://shift.example/auth", "/v1", "/auth/v1", ""),
        ("https://shift.example/a/b", "/c/d", "/a", "/b/c/d"),
    ] {
        let provider = at(issuer, Endpoints::under(prefix).stripped(stripped)).build().unwrap();
        assert_eq!(provider.prefix(), seen, "{issuer} {prefix} {stripped}");
    }
    for (issuer, prefix, stripped, published) in [
        ("https://shift.example", "", "/auth", ""),
        ("https://shift.example", "/v1", "/auth", "/v1"),
        ("https://shift.example/auth", "", "/au", "/auth"),
        ("https://shift.example/auth", "", "/auth/v1", "/auth"),
        ("https://shift.example/auth", "/v1", "/v1", "/auth/v1"),
        ("https://shift.example", "", "/token", ""),
    ] {
        let said = format!(
            "stripped {stripped:?}: every published path has to start with it, and they start with {published:?}: \
             write the issuer as browsers see it, `https://host{stripped}`"
        );
        assert_eq!(only(at(issuer, Endpoints::under(prefix).stripped(stripped))), said);
    }
    for malformed in ["auth", "/", "/auth/", "//auth", "/%61uth"] {
        let said = only(at("https://shift.example/auth", Endpoints::default().stripped(malformed)));
        assert!(said.starts_with(&format!("path {malformed:?}: ")), "{said}");
    }
    // Of a bad issuer nothing more is said.
    let said = only(at("https://Shift.example/auth", Endpoints::default().stripped("/auth")));
    assert!(said.starts_with("issuer "), "{said}");
    // What the service sees must not hide the metadata either.
    let hiding = Endpoints::under("/v1").token("/.well-known/oauth-authorization-server").stripped("/v1");
    assert!(only(at("https://shift.example", hiding)).starts_with("path "));
}

/// RFC 6749 §4.1.2: a code at most 10 minutes
#[test]
fn times_have_bounds() {
    const DAY: u64 = 24 * 60 * 60;
    type Set = fn(ProviderBuilder, Duration) -> ProviderBuilder;
    let idle: Set = |builder, span| builder.access_token_lifetime(seconds(60)).refresh_token_idle(span);
    let age: Set = |builder, span| builder.access_token_lifetime(seconds(60)).refresh_token_max_age(span);
    for (set, name, good, bad) in [
        (
            (|builder, span| builder.code_lifetime(span)) as Set,
            "a code lives from 1 second to 10 minutes",
            vec![seconds(1), seconds(600)],
            vec![
                Duration::ZERO,
                Duration::from_millis(999),
                seconds(601),
                Duration::from_millis(600_001),
                Duration::MAX,
            ],
        ),
        (
            |builder, span| builder.access_token_lifetime(span),
            "an access token lives from 1 second to 24 hours",
            vec![seconds(1), seconds(DAY)],
            vec![Duration::ZERO, Duration::from_millis(999), seconds(DAY + 1)],
        ),
        (
            |builder, span| builder.refresh_grace(span),
            "the grace of a refresh is at most 60 seconds",
            vec![Duration::ZERO, seconds(60)],
            vec![Duration::from_millis(60_001), seconds(61), Duration::MAX],
        ),
        (
            idle,
            "a refresh token's idle time is no shorter than an access token's life",
            vec![seconds(60), Duration::MAX],
            vec![Duration::ZERO, seconds(59)],
        ),
        (
            age,
            "a grant's maximum age is no shorter than an access token's life",
            vec![seconds(60), Duration::MAX],
            vec![Duration::ZERO, seconds(59)],
        ),
    ] {
        for span in good {
            set(base(), span).build().unwrap();
        }
        for span in bad {
            assert_eq!(only(set(base(), span)), format!("lifetime: {name}"), "{span:?}");
        }
    }
}

#[tokio::test]
async fn a_token_prefix_is_a_word_that_every_token_starts_with() {
    for bad in ["", "seventeenletters1", "a_b", "a-b", "a b", "caf\u{e9}"] {
        assert_eq!(
            only(base().token_prefix(bad)),
            format!("token prefix {bad:?}: write 1 to 16 ASCII letters and digits")
        );
    }
    for good in ["a", "sixteenletters16", "Acme1"] {
        let provider = builder(&ManualClock::default()).token_prefix(good).build().unwrap();
        let app = app(&provider);
        let code = code(&app, "profile").await;
        let issued = redeem(&app, &code).await.json();
        assert!(code.starts_with(&format!("{good}_ac_")));
        assert!(issued["access_token"].as_str().unwrap().starts_with(&format!("{good}_at_")));
        assert!(issued["refresh_token"].as_str().unwrap().starts_with(&format!("{good}_rt_")));
        assert_eq!(send(&app, bearer("/me", issued["access_token"].as_str().unwrap())).await.status, StatusCode::OK);
    }
}

// ---- what is built -------------------------------------------------------------------------------------------------

/// Who answers for the client `app`, by its redirect URI.
async fn answers_for_app(builder: ProviderBuilder) -> String {
    let provider = builder.scope("profile", "see your profile").default_scope("profile").build().unwrap();
    let page = any(|request: AuthorizationRequest| async move { request.redirect_host().to_owned() });
    let asked = ask().without("redirect_uri").with("client_id", "app");
    send(&app_with(&provider, page), asked.get()).await.body
}

#[tokio::test]
async fn clients_of_the_apps_own_win_whichever_comes_first_and_fixed_ones_win_over_both() {
    let store = |host: &str| {
        let store = MemoryStore::new();
        store.insert(ISSUER, Client::public("app").redirect_uri(format!("https://{host}/cb"))).expect("a good client");
        store
    };
    let builder = || Provider::builder(ISSUER);
    assert_eq!(answers_for_app(builder().store(store("store.example"))).await, "store.example");
    let (before, after) = (
        builder().clients(store("own.example")).store(store("store.example")),
        builder().store(store("store.example")).clients(store("own.example")),
    );
    assert_eq!(answers_for_app(before).await, "own.example");
    assert_eq!(answers_for_app(after).await, "own.example");
    assert_eq!(answers_for_app(builder().store((store("pair.example"), MemoryStore::new()))).await, "pair.example");
    let fixed = Client::public("app").redirect_uri("https://fixed.example/cb");
    let both = builder().clients(store("own.example")).store(store("store.example")).client(fixed.clone());
    assert_eq!(answers_for_app(both).await, "fixed.example");
    assert_eq!(answers_for_app(builder().grants(MemoryStore::new()).client(fixed)).await, "fixed.example");
    // A client of another issuer in the same store is unknown here.
    let other = MemoryStore::new();
    other.insert("https://other.example", Client::public("app").redirect_uri(WEB)).expect("a good client");
    assert!(answers_for_app(builder().store(other)).await.contains("not registered here"));
}

#[tokio::test]
async fn a_scope_is_offered_with_its_meaning_in_the_order_of_the_builder() {
    let (provider, _) = provider();
    let scopes: Vec<_> = provider.scopes().take(2).collect();
    assert_eq!(scopes, [("profile", "see your profile"), ("notes:read", "read your notes")]);
    assert_eq!(provider.prefix(), "");
    let nested = Provider::builder("https://shift.example/tenant").store(MemoryStore::new());
    assert_eq!(nested.endpoints(Endpoints::under("/v1")).build().unwrap().prefix(), "/tenant/v1");
}

/// `build()` asks nothing of a store: that it is down is seen, and passes, at requests
#[tokio::test]
async fn a_provider_is_built_while_its_store_is_down() {
    let provider = Provider::builder(ISSUER).store(Down).secrets(Secret::generate()).build().unwrap();
    let answer =
        send(&provider.token(), form("/token", &[("grant_type", "client_credentials"), ("client_id", "x")])).await;
    assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "1"));
    assert!(provider.issue("app", "alice", "profile".parse().unwrap()).await.is_err());
}

// ---- at the line ---------------------------------------------------------------------------------------------------

#[derive(Debug)]
struct Panicked {
    message: String,
    file: String,
    line: u32,
}

thread_local! {
    static PANICKED: RefCell<Option<Panicked>> = const { RefCell::new(None) };
}

/// What a panic says, and of which line.
fn panic_of(run: impl FnOnce()) -> Panicked {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            let place = info.location().unwrap();
            let payload = info.payload();
            let message = payload.downcast_ref::<String>().cloned();
            let message = message.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            let message = message.unwrap_or_default();
            // A test that fails is still heard.
            eprintln!("{place}: {message}");
            let panicked = Panicked { message, file: place.file().to_owned(), line: place.line() };
            PANICKED.with(|last| *last.borrow_mut() = Some(panicked));
        }));
    });
    assert!(catch_unwind(AssertUnwindSafe(run)).is_err(), "it does not panic");
    PANICKED.with(|last| last.borrow_mut().take()).expect("the hook ran")
}

#[test]
fn a_mistake_in_code_panics_at_its_own_line_and_says_what_to_write() {
    let (provider, _) = provider();
    let unknown = |name: &str| {
        format!(
            "the provider offers no scope `{name}` (it offers `profile`, `notes:read`, `notes:write`, `offline_access`, `admin`)"
        )
    };
    let prefix =
        "nothing to nest under: configure `.endpoints(Endpoints::under(\"/..\"))`, so that the published URLs agree";
    let whole = Endpoints::under("/v1").stripped("/v1");
    let whole = Provider::builder(ISSUER).store(MemoryStore::new()).endpoints(whole).build().unwrap();
    let stripped = "nothing to nest under: the proxy strips all of the prefix, so write `.layer(provider.layer())`";
    let resource = "`/mcp` is no resource: write an absolute URL without a fragment".to_owned();
    let line = line!();
    let mistakes: [(&dyn Fn(), String); 6] = [
        (&|| drop(provider.bearer().require("prfile")), unknown("prfile")),
        (&|| drop(provider.bearer().require(["profile", "Profile"])), unknown("Profile")),
        (&|| drop(provider.bearer().require(&Scope::try_from("openid").unwrap())), unknown("openid")),
        (&|| drop(provider.nest(())), prefix.to_owned()),
        (&|| drop(whole.nest(())), stripped.to_owned()),
        (&|| drop(provider.bearer().resource("/mcp")), resource),
    ];
    for (line, (mistake, message)) in (line + 2..).zip(mistakes) {
        let panicked = panic_of(mistake);
        assert_eq!((&*panicked.message, panicked.line), (&*message, line));
        assert!(panicked.file.ends_with("configuration.rs"), "{}", panicked.file);
    }
    // What is known, reserved or not, is fine; a verifier of the app's own knows no list.
    drop(provider.bearer().require("profile admin"));
    drop(BearerLayer::new(Watching::default()).require("whatever"));
}

// ---- what is printed -----------------------------------------------------------------------------------------------

/// Refuses every token, and keeps what it looks like in a log.
#[derive(Clone, Default)]
struct Watching(Arc<Mutex<Vec<String>>>);

impl Watching {
    fn watch(&self, value: &impl Debug) {
        self.0.lock().unwrap().push(format!("{value:?} {value:#?}"));
    }
}

impl Verify for Watching {
    fn verify(&self, credentials: Credentials<'_>) -> Verification {
        self.watch(&credentials);
        let verification = Verification::ready(Err(Refusal::InvalidToken("no")));
        self.watch(&verification);
        verification
    }
}

/// RFC 6750 §5.3: tokens leak where logs are read
#[tokio::test]
async fn no_debug_form_shows_a_secret() {
    let seen = Watching::default();
    let secret = Secret::from_bytes(*b"sixteen letters and sixteen more");
    let (continues, issues, pages) = (seen.clone(), seen.clone(), seen.clone());
    let store = MemoryStore::new();
    let unbuilt = || {
        let (continues, issues) = (continues.clone(), issues.clone());
        builder(&ManualClock::default())
            .store(store.clone())
            .secrets([secret.clone(), Secret::generate()].into_iter().collect::<Secrets>())
            .may_continue(move |grant: Arc<Grant>| {
                continues.watch(&grant);
                async { Ok::<_, Infallible>(true) }
            })
            .on_issue(move |issuance: Issuance| {
                issues.watch(&issuance);
                async { Ok::<_, Infallible>(issuance) }
            })
    };
    seen.watch(&unbuilt());
    let provider = unbuilt().build().unwrap();
    let page = any(move |request: AuthorizationRequest| {
        pages.watch(&request);
        pages.watch(request.client());
        let approval = request.approve("alice").claim("tenant", "acme");
        pages.watch(&approval);
        pages.watch(&request.deny());
        async { approval }
    });
    let app = app_with(&provider, page.clone());

    // Everything secret that goes over the wire.
    let code = send(&app, ask().with("state", "the-secret-state").get()).await.redirected("code").unwrap();
    let issued = redeem(&app, &code).await.json();
    let (access, old) = (issued["access_token"].as_str().unwrap(), issued["refresh_token"].as_str().unwrap());
    let new = refresh(&app, old).await.json()["refresh_token"].as_str().unwrap().to_owned();
    let authorized = service_fn({
        let seen = seen.clone();
        move |request: Request<Body>| {
            seen.watch(&Authorized::<()>::from_extensions(request.extensions()));
            async { Ok::<Response, Infallible>(Response::default()) }
        }
    });
    send(&provider.bearer().layer(authorized.clone()), bearer("/me", access)).await;
    send(&BearerLayer::new(seen.clone()).layer(authorized.clone()), bearer("/me", access)).await;

    // Every type that holds some of it, or could.
    let token = provider.issue("app", "alice", "profile".parse().unwrap()).await.unwrap();
    let tokens = connect(&provider, &confidential(), "alice", "profile".parse().unwrap()).await.unwrap();
    let flow = Flow::new(&confidential()).secret(SECRET);
    let verifier = verifier_of(&flow).await;
    seen.watch(&(&provider, provider.layer(), provider.bearer(), provider.authorize_layer()));
    seen.watch(&(provider.authorize(()), provider.token(), provider.well_known()));
    seen.watch(&(provider.layer().layer(authorized.clone()), provider.bearer().layer(authorized)));
    let nested = builder(&ManualClock::default()).endpoints(Endpoints::under("/v1")).build().unwrap();
    seen.watch(&(nested.nest(()), nested));
    seen.watch(&(&secret, Secrets::from(secret.clone()), ClientSecret::from(SECRET), confidential(), original()));
    seen.watch(&(&token, &tokens, &flow, &store, Holder::User("alice".into())));
    seen.watch(&provider.grants_of(&"alice".into()).await.unwrap());
    let mut service = app.clone();
    let answer = service.ready().await.unwrap().call(ask().get());
    seen.watch(&answer.await.unwrap().extensions());

    let digest = |text: &str| <sha2::Sha256 as sha2::Digest>::digest(text).to_vec();
    let raw = b"sixteen letters and sixteen more";
    let handles = [&code, access, old, &new, token.secret(), tokens.access_token(), tokens.refresh_token().unwrap()];
    let mut secrets: Vec<String> =
        [SECRET, "sixteen letters", VERIFIER, &verifier, "the-secret-state"].map(str::to_owned).to_vec();
    secrets.push(base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(raw));
    secrets.push(base64::prelude::BASE64_STANDARD.encode(raw));
    // Of a handle, all behind `toa_at_` and the key's id.
    secrets.extend(handles.iter().map(|handle| handle[16..].to_owned()));
    for bytes in [raw.to_vec(), digest(SECRET)] {
        secrets.push(bytes[..8].iter().map(|byte| format!("{byte:02x}")).collect());
        secrets.push(bytes[..8].iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    }
    let seen = seen.0.lock().unwrap();
    assert!(seen.len() > 20);
    for text in seen.iter() {
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{secret} in {text}");
        }
    }
}

/// What a flow sends to the token endpoint to prove itself.
async fn verifier_of(flow: &Flow) -> String {
    let sent: Arc<Mutex<String>> = Arc::default();
    let keep = Arc::clone(&sent);
    let token = service_fn(move |request: Request<String>| {
        *keep.lock().unwrap() = request.into_body();
        async { Ok::<http::Response<String>, Infallible>(http::Response::default()) }
    });
    let url = flow.authorization_url();
    let state = url.split('&').find(|pair| pair.starts_with("state=")).unwrap();
    flow.exchange(token, &format!("{WEB}?code=x&{state}")).await.unwrap_err();
    let sent = sent.lock().unwrap();
    sent.split('&').find_map(|pair| pair.strip_prefix("code_verifier=")).unwrap().to_owned()
}

/// DESIGN: two nodes whose clocks are a grace apart would take an honest retry for a stolen token.
#[test]
fn a_clock_that_is_further_from_the_stores_than_half_the_grace_is_refused_and_more_than_two_seconds_is_told() {
    for (grace, most) in [(60, 30), (10, 5), (3, 2), (0, 2)] {
        for (skew, told) in [(0, false), (2, false), (most, most > 2)] {
            let heard = Arc::new(AtomicUsize::new(0));
            let hears = Arc::clone(&heard);
            let built = Provider::builder(ISSUER)
                .store(Apart(Duration::from_secs(skew)))
                .secrets(Secret::generate())
                .refresh_grace(Duration::from_secs(grace))
                .on_event(move |event: &Event<'_>| {
                    assert_eq!(event.to_string(), "clock_skew");
                    hears.fetch_add(1, Ordering::Relaxed);
                })
                .build();
            assert!(built.is_ok(), "grace {grace}, skew {skew}: {built:?}");
            assert_eq!(heard.load(Ordering::Relaxed), usize::from(told), "grace {grace}, skew {skew}");
        }
        let apart = Apart(Duration::from_millis(most * 1000 + 1));
        let wrong = only(
            Provider::builder(ISSUER)
                .store(apart)
                .secrets(Secret::generate())
                .refresh_grace(Duration::from_secs(grace)),
        );
        let why = format!(
            "clock: it is {most}.001s away from that of the store, and at most {most}s are safe: set both by NTP"
        );
        assert_eq!(wrong, why);
    }
}
