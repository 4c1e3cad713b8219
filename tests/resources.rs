//! Several resources at one provider, each with its scopes and lifetimes, and what serves them: RFC 8707, RFC 9068 §5,
//! RFC 9728.

#[path = "support/ask.rs"]
mod ask;
#[path = "support/shelf.rs"]
mod shelf;
#[path = "support/site.rs"]
mod site;
mod support;

use std::time::Duration;

use ask::{STATE, app_with, ask};
use axum::Router;
use axum::body::Body;
use axum::routing::{any_service, get};
use http::{Method, Request, StatusCode, header};
use serde_json::json;
use site::{Pair, Site, assert_refused, redemption, refreshing, site_with, with};
use support::{
    Answer, App, ISSUER, SECRET, WEB, basic, bearer, builder, code_of, form, redeem, request, seconds, send,
};
use tower::util::BoxCloneSyncService;
use tower_oauth::testing::ManualClock;
use tower_oauth::{
    Approval, AuthorizationRequest, Authorized, BearerLayer, Client, Grant, GrantType, ProtectedResource, Provider,
    ProviderBuilder, ResourceServer,
};

const MCP: &str = "https://shift.example/mcp";
const FILES: &str = "https://files.example/v1";
const TWIN: &str = "https://files.example/v2";
const BAD: StatusCode = StatusCode::BAD_REQUEST;

/// Beside the issuer's origin, which takes every scope, one that takes one, and two that take two.
fn resources(builder: ProviderBuilder) -> ProviderBuilder {
    builder
        .resource(ProtectedResource::new(MCP).scope("notes:read").access_token_lifetime(seconds(300)))
        .resource(ProtectedResource::new(FILES).scope("notes:read notes:write"))
        .resource(ProtectedResource::new(TWIN).scope("notes:write notes:read").access_token_lifetime(seconds(3_600)))
}

fn site() -> Site {
    site_with(resources)
}

/// The public client's code for alice, for these resources.
async fn code(site: &Site, scope: &str, resources: &[&str]) -> String {
    let asked = resources.iter().fold(ask().with("scope", scope), |asked, resource| asked.and("resource", resource));
    send(&site.app, asked.post()).await.assert_code_at(WEB, Some(STATE))
}

/// What a token response gives: its scope, and for how long.
#[track_caller]
fn given(answer: &Answer) -> (String, u64) {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let json = answer.json();
    (json["scope"].as_str().unwrap_or_default().to_owned(), json["expires_in"].as_u64().expect("a number"))
}

fn given_is(answer: &Answer, scope: &str, seconds: u64) -> Pair {
    assert_eq!(given(answer), (scope.to_owned(), seconds), "{answer:?}");
    Pair::of(answer)
}

/// What the confidential client gets for itself.
async fn own(site: &Site, scope: Option<&str>, resources: &[&str]) -> Answer {
    let mut params = vec![("grant_type", "client_credentials")];
    params.extend(scope.map(|scope| ("scope", scope)));
    params.extend(resources.iter().map(|resource| ("resource", *resource)));
    site.token_as("confidential", &params).await
}

async fn own_token(site: &Site, resources: &[&str]) -> String {
    let json = own(site, None, resources).await.json();
    json["access_token"].as_str().unwrap_or_else(|| panic!("{json}")).to_owned()
}

async fn at(layer: BearerLayer, asked: Request<Body>) -> Answer {
    let router = Router::new().fallback(get(async |token: Authorized| token.scope().to_string()).layer(layer));
    send(&BoxCloneSyncService::new(router.into_service()), asked).await
}

fn resource(provider: &Provider, uri: &str) -> ResourceServer {
    provider.resource(uri).expect("a resource of this provider")
}

// ---- the token endpoint ----------------------------------------------------------------------------------------------

/// RFC 8707 §2.2: the grant is for all that was asked for, each access token for what is named then, with the scopes that
/// it takes; the refresh token keeps all. RFC 9068 §5: none is for resources that take different scopes. What is refused
/// consumes nothing.
#[tokio::test]
async fn a_grant_for_several_resources_gives_a_token_for_each() {
    let site = site();
    let code = code(&site, "profile notes:read notes:write", &[MCP, FILES, TWIN]).await;
    let with_resources = |params: &[(&'static str, &str)], resources: &[&str]| {
        let mut params: Vec<_> = params.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        params.extend(resources.iter().map(|resource| ("resource", (*resource).to_owned())));
        params
    };
    let ask = async |params: Vec<(&str, String)>| {
        let params: Vec<_> = params.iter().map(|(name, value)| (*name, &**value)).collect();
        site.token(&params).await
    };
    let apart: [&[&str]; 5] = [&[], &[MCP, FILES], &[MCP, FILES, TWIN], &[ISSUER], &["https://files.example"]];
    let redemption = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", WEB),
        ("client_id", "public"),
        ("code_verifier", support::VERIFIER),
    ];
    for resources in apart {
        assert_refused(&ask(with_resources(&redemption, resources)).await, BAD, "invalid_target");
    }
    let tokens = given_is(&ask(with_resources(&redemption, &[MCP])).await, "notes:read", 300);
    let mut refresh = tokens.refresh;
    for (resources, scope, lifetime) in [
        (&[FILES][..], "notes:read notes:write", 600),
        (&[TWIN], "notes:read notes:write", 3_600),
        (&[TWIN, FILES], "notes:read notes:write", 600),
        (&[MCP], "notes:read", 300),
    ] {
        let refreshing = [("grant_type", "refresh_token"), ("refresh_token", &*refresh), ("client_id", "public")];
        for resources in apart {
            assert_refused(&ask(with_resources(&refreshing, resources)).await, BAD, "invalid_target");
        }
        let answer = ask(with_resources(&refreshing, resources)).await;
        refresh = given_is(&answer, scope, lifetime).refresh;
    }
}

/// RFC 6749 §6, RFC 8707 §2.2: a narrower scope that the named resource does not take is nothing at all
#[tokio::test]
async fn a_scope_of_another_resource_is_not_given_and_consumes_nothing() {
    let site = site();
    let code = code(&site, "notes:read notes:write offline_access", &[MCP, FILES]).await;
    let answer = site.token(&with(&redemption(&code), "resource", MCP)).await;
    // Staying connected is no matter of a resource.
    let tokens = given_is(&answer, "notes:read offline_access", 300);
    for scope in ["notes:write", "notes:write offline_access"] {
        let refreshing = with(&with(&refreshing(&tokens.refresh), "scope", scope), "resource", MCP);
        assert_refused(&site.token(&refreshing).await, BAD, "invalid_scope");
    }
    let both = with(&with(&refreshing(&tokens.refresh), "scope", "notes:write notes:read"), "resource", MCP);
    given_is(&site.token(&both).await, "notes:read", 300);
}

/// RFC 6749 §4.4: a client that acts for itself
#[tokio::test]
async fn a_client_gets_for_itself_what_the_resource_takes() {
    let site = site();
    let all = "profile notes:read notes:write offline_access";
    for (scope, resources, expected) in [
        (None, &[][..], Ok((all, 600))),
        (None, &[MCP], Ok(("notes:read offline_access", 300))),
        (Some("notes:read notes:write profile"), &[MCP], Ok(("notes:read", 300))),
        (Some("notes:write notes:read"), &[TWIN, FILES], Ok(("notes:read notes:write", 600))),
        (Some("profile"), &[MCP], Err("invalid_scope")),
        (Some("profile offline_access"), &[MCP], Err("invalid_scope")),
        (None, &[MCP, FILES], Err("invalid_target")),
        (None, &[ISSUER, FILES], Err("invalid_target")),
    ] {
        let created = site.shelf.records().len();
        let answer = own(&site, scope, resources).await;
        match expected {
            Ok((scope, lifetime)) => assert_eq!(given(&answer), (scope.to_owned(), lifetime), "{resources:?}"),
            Err(error) => {
                assert_refused(&answer, BAD, error);
                assert_eq!(site.shelf.records().len(), created, "a refusal writes nothing");
            }
        }
    }
}

/// A token lives as long as who says the least of the client and its resources.
#[tokio::test]
async fn the_shortest_lifetime_holds() {
    let grant_types = [GrantType::AuthorizationCode, GrantType::ClientCredentials];
    let client = |id, lifetime| {
        Client::confidential(id, SECRET)
            .redirect_uri(WEB)
            .grant_types(grant_types)
            .access_token_lifetime(seconds(lifetime))
    };
    let site = site_with(|builder| resources(builder).client(client("short", 30)).client(client("long", 1_800)));
    for (id, resource, lifetime) in [
        ("confidential", ISSUER, 600),
        ("confidential", MCP, 300),
        ("confidential", TWIN, 3_600),
        ("short", ISSUER, 30),
        ("short", MCP, 30),
        ("long", ISSUER, 1_800),
        ("long", MCP, 300),
        ("long", FILES, 1_800),
        ("long", TWIN, 1_800),
    ] {
        let params = [("grant_type", "client_credentials"), ("resource", resource)];
        let answer = send(&site.app, basic(form("/token", &params), id, SECRET)).await;
        assert_eq!(given(&answer).1, lifetime, "{id} at {resource}");
    }
    // Without refresh tokens a grant ends with its only token.
    let code = code_of(&site.app, "long", WEB, "profile").await;
    let params = [("grant_type", "authorization_code"), ("code", &*code), ("code_verifier", support::VERIFIER)];
    let answer = send(&site.app, basic(form("/token", &params), "long", SECRET)).await;
    assert_eq!(given(&answer).1, 1_800);
}

// ---- the page --------------------------------------------------------------------------------------------------------

/// What the page shows: the scopes, and for which APIs.
fn showing(provider: &Provider) -> App {
    let page = get(async |request: AuthorizationRequest| {
        let resources: Vec<_> = request.resources().map(ToString::to_string).collect();
        format!("{} at {}", request.scope(), resources.join(" "))
    });
    app_with(provider, page)
}

/// RFC 8707 §2.1, RFC 6749 §3.3: a user is asked for what counts
#[tokio::test]
async fn the_page_is_shown_what_the_resources_take() {
    let provider =
        resources(builder(&ManualClock::default()).default_scope("profile notes:read")).build().expect("good");
    let app = showing(&provider);
    for (scope, resources, shown) in [
        (Some("profile notes:write notes:read"), &[][..], "profile notes:write notes:read"),
        (Some("profile notes:write notes:read"), &[MCP], "notes:read"),
        (Some("profile notes:write notes:read"), &[FILES], "notes:write notes:read"),
        (Some("profile notes:write notes:read"), &[MCP, FILES], "notes:write notes:read"),
        (Some("profile notes:write notes:read"), &[ISSUER, MCP], "profile notes:write notes:read"),
        (Some("profile notes:read offline_access"), &[MCP], "notes:read offline_access"),
        (Some("offline_access"), &[MCP], "offline_access"),
        (None, &[], "profile notes:read"),
        (None, &[MCP], "notes:read"),
    ] {
        let asked = scope.map_or_else(ask, |scope| ask().with("scope", scope));
        let asked = resources.iter().fold(asked, |asked, resource| asked.and("resource", resource));
        let at = if resources.is_empty() { ISSUER.to_owned() } else { resources.join(" ") };
        assert_eq!(send(&app, asked.get()).await.body, format!("{shown} at {at}"), "{scope:?}");
    }
    for scope in ["profile", "profile offline_access"] {
        let refused = send(&app, ask().with("scope", scope).with("resource", MCP).get()).await;
        refused.assert_error_at(WEB, "invalid_scope", Some(STATE));
    }
}

/// RFC 6749 §3.3: without a default that the resource takes, all that the client registered of what it takes; or an error
#[tokio::test]
async fn a_request_without_scope_gets_what_the_client_registered_and_the_resource_takes() {
    let client = Client::public("registered").redirect_uri(WEB).scope("profile notes:write notes:read");
    let provider = resources(builder(&ManualClock::default()).client(client)).build().expect("good");
    let app = showing(&provider);
    let asked = ask().of("registered", WEB).with("resource", FILES);
    assert_eq!(send(&app, asked.get()).await.body, format!("notes:write notes:read at {FILES}"));
    let refused = send(&app, ask().with("resource", FILES).get()).await;
    refused.assert_error_at(WEB, "invalid_scope", Some(STATE));
}

/// MCP 2026-07-28, "Canonical Server URI"; RFC 3986 §6.2.2.1: scheme and host in any case, and nothing else
#[tokio::test]
async fn a_resource_is_found_whatever_the_case_of_its_scheme_and_host() {
    let app = showing(&site().provider);
    for spelling in [MCP, "HTTPS://shift.example/mcp", "https://SHIFT.example/mcp"] {
        let asked = ask().with("scope", "notes:read").with("resource", spelling);
        assert_eq!(send(&app, asked.get()).await.body, format!("notes:read at {MCP}"), "{spelling}");
    }
    for other in ["https://shift.example/mcp/", "https://shift.example/MCP", "https://shift.example:443/mcp"] {
        let refused = send(&app, ask().with("scope", "notes:read").with("resource", other).get()).await;
        refused.assert_error_at(WEB, "invalid_target", Some(STATE));
    }
}

// ---- who serves a resource -------------------------------------------------------------------------------------------

/// RFC 8707 §2, RFC 9068 §4: its layer takes what is for it, and nothing that is for one above, below or beside it
#[tokio::test]
async fn the_layer_of_a_resource_takes_tokens_for_that_resource_alone() {
    let site = site_with(|builder| resources(builder).resource("https://shift.example/mcp/tools"));
    for (place, resources, good) in [
        (MCP, &[MCP][..], true),
        (MCP, &[], false),
        (MCP, &[ISSUER], false),
        (MCP, &[FILES], false),
        (MCP, &["https://shift.example/mcp/tools"], false),
        (FILES, &[FILES], true),
        (FILES, &[FILES, TWIN], true),
        (FILES, &[TWIN], false),
        (ISSUER, &[], true),
        (ISSUER, &[MCP], false),
        ("HTTPS://SHIFT.example/", &[ISSUER], true),
    ] {
        let server = resource(&site.provider, place);
        let answer = at(server.bearer(), bearer("/", &own_token(&site, resources).await)).await;
        assert_eq!(answer.status == StatusCode::OK, good, "{resources:?} at {place}: {answer:?}");
        if !good {
            let challenge = answer.header(header::WWW_AUTHENTICATE);
            assert!(challenge.contains("error=\"invalid_token\""), "{challenge}");
            assert!(challenge.contains("the token is for another resource"), "{challenge}");
        }
    }
}

/// RFC 9728 §5.1: the challenge names the document of this resource, which is there, and the scope of the route
#[tokio::test]
async fn the_challenge_of_a_resource_leads_to_its_document() {
    let site = site();
    for (uri, url, scopes) in [
        (MCP, "https://shift.example/.well-known/oauth-protected-resource/mcp", json!(["notes:read"])),
        (FILES, "https://files.example/.well-known/oauth-protected-resource/v1", json!(["notes:read", "notes:write"])),
        (
            ISSUER,
            "https://shift.example/.well-known/oauth-protected-resource",
            json!(["profile", "notes:read", "notes:write"]),
        ),
    ] {
        let server = resource(&site.provider, uri);
        let answer = at(server.bearer().require("notes:read"), request(Method::GET, "/")).await;
        let expected = format!("Bearer realm=\"{uri}\", scope=\"notes:read\", resource_metadata=\"{url}\"");
        assert_eq!((answer.status.as_u16(), answer.header(header::WWW_AUTHENTICATE)), (401, &*expected));
        let path = server.metadata_path();
        assert!(url.ends_with(&path), "{url} at {path}");
        let router = Router::new().route_service(&path, server.metadata());
        let own = send(&BoxCloneSyncService::new(router.into_service()), request(Method::GET, &path)).await;
        assert_eq!(
            own.json(),
            json!({
                "resource": uri,
                "authorization_servers": [ISSUER],
                "scopes_supported": scopes,
                "bearer_methods_supported": ["header"],
            })
        );
        assert_eq!(own.header(header::CACHE_CONTROL), "public, max-age=300");
        // The issuer's layer answers those of its own origin, and no other's.
        if uri.starts_with(ISSUER) {
            assert_eq!(send(&site.app, request(Method::GET, &path)).await.json(), own.json());
        } else {
            let answer = send(&site.app, request(Method::GET, &path)).await.json();
            assert_eq!(answer["resource"], ISSUER, "the same path of the issuer's origin is another place");
        }
    }
}

/// RFC 9728 §3.1: the document is for GET and HEAD, wherever it is mounted, and pages of any origin may read it
#[tokio::test]
async fn the_document_is_answered_wherever_it_is_mounted() {
    let site = site();
    let server = resource(&site.provider, MCP);
    let router = Router::new().route("/anywhere", any_service(server.metadata()));
    let app: App = BoxCloneSyncService::new(router.into_service());
    let mut asked = request(Method::GET, "/anywhere");
    asked.headers_mut().insert(header::ORIGIN, "https://app.example".parse().expect("a header"));
    let answer = send(&app, asked).await;
    assert_eq!(answer.json()["resource"], MCP);
    assert_eq!(answer.header(header::ACCESS_CONTROL_ALLOW_ORIGIN), "*");
    let head = send(&app, request(Method::HEAD, "/anywhere")).await;
    assert_eq!((head.status, &*head.body), (StatusCode::OK, ""));
    let posted = send(&app, request(Method::POST, "/anywhere")).await;
    assert_eq!((posted.status, posted.header(header::ALLOW)), (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD"));
}

/// RFC 9728 §3.1: the slash behind the host goes, the query stays
#[tokio::test]
async fn the_document_of_a_resource_with_a_query_is_before_it() {
    let provider = builder(&ManualClock::default()).resource("https://h.example/?v=1").build().expect("good");
    let server = resource(&provider, "https://h.example/?v=1");
    assert_eq!(server.metadata_path(), "/.well-known/oauth-protected-resource");
    let answer = at(server.bearer(), request(Method::GET, "/")).await;
    let url = "resource_metadata=\"https://h.example/.well-known/oauth-protected-resource?v=1\"";
    assert!(answer.header(header::WWW_AUTHENTICATE).ends_with(url), "{answer:?}");
}

/// What is none of the provider's is said with what to write.
#[test]
fn an_unknown_resource_is_said_with_what_to_write() {
    let provider = resources(builder(&ManualClock::default())).build().expect("good");
    let said = |uri| provider.resource(uri).expect_err("it is unknown").to_string();
    assert_eq!(
        said("https://shift.example/mcp/"),
        "resource \"https://shift.example/mcp/\" is none of `https://shift.example`, `https://shift.example/mcp`, \
         `https://files.example/v1`, `https://files.example/v2`: add it with `.resource(\"https://shift.example/mcp/\")`"
    );
    assert!(said("mcp").contains("add it with"));
    assert_eq!(resource(&provider, MCP).resource().as_str(), MCP);
}

#[test]
#[should_panic = "the resource `https://shift.example/mcp` offers no scope `profile` (it offers `notes:read`, `offline_access`, `admin`)"]
fn a_route_of_a_resource_can_only_require_what_it_takes() {
    let provider = resources(builder(&ManualClock::default())).build().expect("good");
    let layer = resource(&provider, MCP).bearer().require("notes:read admin");
    let _ = layer.require("profile");
}

/// A token without a request, for the tests of an app.
#[tokio::test]
async fn a_resource_issues_a_token_for_itself() {
    let provider = resources(builder(&ManualClock::default())).build().expect("good");
    let server = resource(&provider, MCP);
    let token = server.issue("app", "alice", "notes:read".parse().expect("a scope")).await.expect("a token");
    let answer = at(server.bearer().require("notes:read"), bearer("/", token.secret())).await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "notes:read"));
    assert_eq!(at(provider.bearer(), bearer("/", token.secret())).await.status, StatusCode::UNAUTHORIZED);
}

/// RFC 9068 §4: a layer that was not told what lies behind it takes what is for the provider's default resource, so
/// that nobody can forget to ask.
#[tokio::test]
async fn a_provider_that_verifies_for_a_layer_without_a_place_takes_its_default_resource() {
    let site = site();
    for (resources, good) in [(&[][..], true), (&[ISSUER], true), (&[MCP], false), (&[FILES, TWIN], false)] {
        let token = own_token(&site, resources).await;
        let answer = at(BearerLayer::new(site.provider.clone()), bearer("/", &token)).await;
        assert_eq!(answer.status == StatusCode::OK, good, "{resources:?}: {answer:?}");
        if !good {
            let expected = "Bearer realm=\"api\", error=\"invalid_token\", error_description=\"the token is for another resource\"";
            assert_eq!(answer.header(header::WWW_AUTHENTICATE), expected);
        }
    }
    // Where the layer was told, that decides.
    let layer = BearerLayer::new(site.provider.clone()).resource(MCP);
    assert_eq!(at(layer, bearer("/", &own_token(&site, &[MCP]).await)).await.status, StatusCode::OK);
}

// ---- what is not configured changes nothing --------------------------------------------------------------------------

/// Resources without scopes of their own share a token, as ever: each scope means the same at all of them.
#[tokio::test]
async fn resources_that_take_the_same_scopes_share_a_token() {
    let site = site_with(|builder| builder.resource(MCP).resource(FILES));
    let code = code(&site, "profile notes:read", &[MCP, FILES]).await;
    let answer = redeem(&site.app, &code).await;
    given_is(&answer, "profile notes:read", 600);
    let token = own_token(&site, &[ISSUER, FILES]).await;
    for uri in [ISSUER, FILES] {
        assert_eq!(at(resource(&site.provider, uri).bearer(), bearer("/", &token)).await.status, StatusCode::OK);
    }
}

/// The default resource has its own terms too, by its name; what is said later is added.
#[tokio::test]
async fn the_default_resource_can_have_terms_of_its_own() {
    let site = site_with(|builder| {
        builder
            .resource(ProtectedResource::new(ISSUER).scope("profile"))
            .resource(ProtectedResource::new("https://shift.example/").access_token_lifetime(seconds(120)))
    });
    assert_eq!(given(&own(&site, None, &[]).await), ("profile offline_access".to_owned(), 120));
    let metadata = send(&site.app, request(Method::GET, "/.well-known/oauth-protected-resource")).await.json();
    assert_eq!(metadata["scopes_supported"], json!(["profile"]));
}

/// A lifetime, too, is looked at before a grant without refresh tokens gets its end.
#[tokio::test]
async fn a_grant_without_refresh_tokens_lives_as_long_as_its_token() {
    let once = Client::public("once").redirect_uri(WEB).grant_types([GrantType::AuthorizationCode]);
    let site = site_with(|builder| resources(builder).client(once));
    let asked = ask().of("once", WEB).with("scope", "notes:read").with("resource", TWIN);
    let code = send(&site.app, asked.post()).await.assert_code_at(WEB, Some(STATE));
    let answer = site.token(&with(&redemption(&code), "client_id", "once")).await;
    assert_eq!(given(&answer), ("notes:read".to_owned(), 3_600));
    let token = answer.json()["access_token"].as_str().expect("a token").to_owned();
    site.clock.advance(Duration::from_secs(3_599));
    let layer = resource(&site.provider, TWIN).bearer();
    assert_eq!(at(layer, bearer("/", &token)).await.status, StatusCode::OK);
}

/// A page may narrow what it grants; a token for a resource that takes nothing of the rest is not given.
#[tokio::test]
async fn a_resource_of_which_nothing_was_granted_gets_no_token() {
    let page = get(async |request: AuthorizationRequest| -> Approval {
        request.approve("alice").scope("notes:write offline_access".parse().expect("a scope"))
    });
    let provider = resources(builder(&ManualClock::default())).build().expect("good");
    let app = app_with(&provider, page);
    let asked =
        ask().with("scope", "notes:read notes:write offline_access").with("resource", MCP).and("resource", FILES);
    let code = send(&app, asked.get()).await.assert_code_at(WEB, Some(STATE));
    let redeeming = async |resource| send(&app, form("/token", &with(&redemption(&code), "resource", resource))).await;
    assert_refused(&redeeming(MCP).await, BAD, "invalid_scope");
    given_is(&redeeming(FILES).await, "notes:write offline_access", 600);
}

/// What is configured no more, or was never noted, is told by old grants: for them nothing changes.
#[tokio::test]
async fn a_grant_of_an_unknown_resource_or_of_none_goes_on_as_it_was() {
    for resources in ["", "https://gone.example/v1"] {
        let site = site();
        let tokens = site.connect("profile notes:read").await;
        let mut record = site.shelf.only().to_record();
        resources.clone_into(&mut record.resources);
        let grant = Grant::from_record(record).expect("a record");
        site.shelf.put_back([(grant.key(), grant)].into());
        given_is(&site.refresh(&tokens.refresh).await, "profile notes:read", 600);
    }
}

#[cfg(feature = "jwt")]
mod jwt {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::Value;
    use tower_oauth::AccessTokenFormat;

    use super::*;

    fn claims(token: &str) -> Value {
        let claims = token.split('.').nth(1).unwrap_or_else(|| panic!("no JWT: {token}"));
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).expect("base64url")).expect("JSON")
    }

    /// RFC 9068 §2.2, §4: what holds of handles holds of JWTs
    #[tokio::test]
    async fn a_jwt_says_what_its_resource_takes_and_is_good_there_alone() {
        let site = site_with(|builder| resources(builder).access_token_format(AccessTokenFormat::Jwt));
        for (uri, scope, lifetime) in [
            (MCP, "notes:read offline_access", 300),
            (FILES, "notes:read notes:write offline_access", 600),
            (ISSUER, "profile notes:read notes:write offline_access", 600),
        ] {
            let token = own_token(&site, &[uri]).await;
            let said = claims(&token);
            assert_eq!((&said["aud"], &said["scope"]), (&json!(uri), &json!(scope)));
            let time = |name: &str| said[name].as_u64().expect("a time");
            assert_eq!(time("exp") - time("iat"), lifetime);
            for place in [MCP, FILES, ISSUER] {
                let answer = at(resource(&site.provider, place).bearer(), bearer("/", &token)).await;
                assert_eq!(answer.status == StatusCode::OK, place == uri, "for {uri} at {place}");
            }
            let answer = at(BearerLayer::new(site.provider.clone()), bearer("/", &token)).await;
            assert_eq!(answer.status == StatusCode::OK, uri == ISSUER, "for {uri}");
        }
    }
}
