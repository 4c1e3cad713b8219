//! How long things live: as the provider, the client and the approval say.

#[path = "support/ask.rs"]
mod ask;
#[path = "support/shelf.rs"]
mod shelf;
#[path = "support/site.rs"]
mod site;
mod support;

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use http::StatusCode;
use shelf::Op;
use site::{Pair, Site, assert_invalid_grant, redemption, site_with, with};
use support::{Answer, SECRET, WEB, basic, code_of, form, seconds, send};
use tower::util::BoxCloneSyncService;
use tower_oauth::testing::ManualClock;
use tower_oauth::{AuthorizationRequest, Client, Clock, GrantType, Issuance, ProviderBuilder, UnixTime};

const HOUR: Duration = seconds(60 * 60);
const DAY: Duration = seconds(24 * 60 * 60);

/// A public client.
fn app(id: &str) -> Client {
    Client::public(id).redirect_uri(WEB)
}

/// A site whose page approves alice's grants for `lifetime`.
fn site_for(lifetime: Duration, change: impl FnOnce(ProviderBuilder) -> ProviderBuilder) -> Site {
    let mut site = site_with(change);
    let approve = move |request: AuthorizationRequest| async move { request.approve("alice").grant_lifetime(lifetime) };
    let router = Router::new()
        .route("/authorize", post(approve))
        .route("/me", get(|| async {}).route_layer(site.provider.bearer()))
        .layer(site.provider.layer());
    site.app = BoxCloneSyncService::new(router.into_service());
    site
}

/// A public client gets a code for alice, and redeems it.
async fn connect(site: &Site, client: &str) -> Answer {
    let code = code_of(&site.app, client, WEB, "profile").await;
    site.token(&with(&redemption(&code), "client_id", client)).await
}

async fn refresh(site: &Site, client: &str, pair: &Pair) -> Answer {
    site.token_as(client, &[("grant_type", "refresh_token"), ("refresh_token", &pair.refresh)]).await
}

/// So long after every test begins.
fn after(span: Duration) -> UnixTime {
    (ManualClock::default().now() + span).into()
}

// ---- of the access tokens of a client -------------------------------------------------------------------------------

#[tokio::test]
async fn a_client_has_a_life_of_its_own_for_its_access_tokens_whatever_the_grant_type() {
    let site = site_with(|builder| {
        builder
            .client(app("long").access_token_lifetime(HOUR))
            .client(app("short").access_token_lifetime(seconds(30)))
            .client(
                Client::confidential("cron", SECRET)
                    .grant_types([GrantType::ClientCredentials])
                    .access_token_lifetime(DAY),
            )
    });
    for (client, life) in [("long", 3_600), ("short", 30), ("public", 600)] {
        let answer = connect(&site, client).await;
        assert_eq!(answer.json()["expires_in"], life, "{client}");
        assert_eq!(refresh(&site, client, &Pair::of(&answer)).await.json()["expires_in"], life, "{client}");
    }
    let cron = basic(form("/token", &[("grant_type", "client_credentials")]), "cron", SECRET);
    let answer = send(&site.app, cron).await;
    assert_eq!(answer.json()["expires_in"], DAY.as_secs());
    let token = answer.json()["access_token"].as_str().expect("a token").to_owned();
    site.clock.advance(DAY - seconds(1));
    assert!(site.is_good(&token).await, "the grant is as long as the longest token of it");
    site.clock.advance(seconds(1));
    assert!(!site.is_good(&token).await);
}

#[tokio::test]
async fn the_hook_has_the_last_word_and_sees_what_the_client_is_registered_with() {
    let hook = |token: Issuance| async move {
        let members = token.clone().member("client", token.client().id().as_str());
        Ok::<_, Infallible>(if token.client().id() == "long" { members } else { members.access_token_lifetime(HOUR) })
    };
    let site = site_with(|builder| {
        let long = app("long").access_token_lifetime(seconds(1_800));
        builder.client(long).client(app("short").access_token_lifetime(seconds(30))).on_issue(hook)
    });
    for (client, life) in [("long", 1_800), ("short", 3_600)] {
        let answer = connect(&site, client).await;
        assert_eq!((&answer.json()["expires_in"], &answer.json()["client"]), (&life.into(), &client.into()));
    }
}

/// A client of a store, which no `build()` has looked at, has no longer tokens than any other.
#[tokio::test]
async fn a_life_beyond_one_day_or_below_one_second_is_said_and_not_given() {
    for (asked, given) in [(DAY + seconds(1), DAY), (Duration::MAX, DAY), (Duration::ZERO, seconds(1)), (DAY, DAY)] {
        let client = app("store").access_token_lifetime(asked);
        let said = client.check().map_err(|wrong| wrong.to_string());
        assert_eq!(said.is_ok(), asked == given);
        assert!(said.err().is_none_or(|wrong| wrong.contains("an access token lives from 1 second to 24 hours")));
        let site = site::site();
        site.shelf.register(client);
        assert_eq!(connect(&site, "store").await.json()["expires_in"], given.as_secs());
    }
}

// ---- of the grants of a client --------------------------------------------------------------------------------------

#[tokio::test]
async fn a_grant_ends_at_the_maximum_age_of_its_client_however_often_it_is_refreshed() {
    let site = site_with(|builder| builder.client(app("kiosk").refresh_token_max_age(DAY)));
    let mut pair = Pair::of(&connect(&site, "kiosk").await);
    for _ in 0..23 {
        site.clock.advance(HOUR);
        pair = Pair::of(&refresh(&site, "kiosk", &pair).await);
    }
    site.clock.advance(HOUR - seconds(1));
    let last = refresh(&site, "kiosk", &pair).await;
    assert_eq!(last.json()["expires_in"], 1, "no access token outlives its grant");
    site.clock.advance(seconds(1));
    assert!(!site.is_good(&Pair::of(&last).access).await);
    assert_invalid_grant(&refresh(&site, "kiosk", &Pair::of(&last)).await);
}

#[tokio::test]
async fn of_the_maximum_ages_of_provider_and_client_the_first_one_ends_the_grant() {
    for (provider, client, end) in [
        (None, Some(DAY), Some(DAY)),
        (Some(DAY), None, Some(DAY)),
        (Some(DAY), Some(HOUR), Some(HOUR)),
        (Some(HOUR), Some(DAY), Some(HOUR)),
        (None, None, None),
    ] {
        let site = site_with(|builder| {
            let kiosk = app("kiosk");
            let builder = builder.client(match client {
                Some(age) => kiosk.refresh_token_max_age(age),
                None => kiosk,
            });
            match provider {
                Some(age) => builder.refresh_token_max_age(age),
                None => builder,
            }
        });
        Pair::of(&connect(&site, "kiosk").await);
        let expected = end.map_or(UnixTime::FAR_FUTURE, after);
        assert_eq!(site.shelf.only().expires_at(), expected, "{provider:?} {client:?}");
    }
}

#[test]
fn a_client_whose_grants_would_end_at_once_cannot_be_registered() {
    let client = |age| app("kiosk").refresh_token_max_age(age);
    assert!(client(seconds(1)).check().is_ok());
    let wrong = client(Duration::from_millis(999)).check().expect_err("too short").to_string();
    assert!(wrong.contains("a maximum age is 1 second at least"), "{wrong}");
}

// ---- of one grant ---------------------------------------------------------------------------------------------------

#[tokio::test]
async fn an_approval_ends_the_grant_this_long_after_it_however_often_it_is_refreshed() {
    let site = site_for(HOUR, |builder| builder);
    let code = site.code("profile").await;
    assert_eq!(site.shelf.only().expires_at(), after(seconds(60)), "the code has its own end");
    site.clock.advance(seconds(59));
    let answer = site.token(&redemption(&code)).await;
    assert_eq!(answer.json()["expires_in"], 600);
    let mut pair = Pair::of(&answer);
    assert_eq!(site.shelf.only().expires_at(), after(HOUR), "from the approval, not from the redemption");
    for _ in 0..5 {
        site.clock.advance(seconds(600));
        pair = Pair::of(&site.refresh(&pair.refresh).await);
    }
    let last = site.refresh(&pair.refresh).await;
    assert_eq!(last.json()["expires_in"], 541, "no access token outlives its grant");
    site.clock.advance(seconds(541));
    assert!(!site.is_good(&Pair::of(&last).access).await);
    assert_invalid_grant(&site.refresh(&Pair::of(&last).refresh).await);
}

#[tokio::test]
async fn an_approval_lengthens_no_life() {
    let site = site_for(DAY, |builder| builder.refresh_token_max_age(HOUR));
    let pair = site.connect("profile").await;
    assert_eq!(site.shelf.only().expires_at(), after(HOUR));
    site.clock.advance(HOUR);
    assert_invalid_grant(&site.refresh(&pair.refresh).await);

    // Without a refresh token the grant ends with its access token.
    let once = app("once").grant_types([GrantType::AuthorizationCode]);
    let site = site_for(DAY, |builder| builder.client(once));
    connect(&site, "once").await;
    assert_eq!(site.shelf.only().expires_at(), after(seconds(600)));
}

#[tokio::test]
async fn a_grant_that_ends_before_its_code_takes_the_code_with_it() {
    let site = site_for(seconds(20), |builder| builder);
    let (used, late) = (site.code("profile").await, site.code("profile").await);
    site.clock.advance(seconds(19));
    assert_eq!(site.token(&redemption(&used)).await.json()["expires_in"], 1);
    site.clock.advance(seconds(1));
    assert_invalid_grant(&site.token(&redemption(&late)).await);
}

#[tokio::test]
async fn an_approval_for_no_time_at_all_is_a_500_and_grants_nothing() {
    for lifetime in [Duration::ZERO, Duration::from_millis(999)] {
        let site = site_for(lifetime, |builder| builder);
        let answer = send(&site.app, ask::ask().post()).await;
        answer.assert_error_here(StatusCode::INTERNAL_SERVER_ERROR);
        assert!(site.shelf.records().is_empty());
    }
}

/// The end of a grant is in its code, so that redeeming one is one step at the store, whether it has an end or not.
#[tokio::test]
async fn the_end_of_a_grant_costs_no_look_at_the_store() {
    let site = site_for(HOUR, |builder| builder);
    let code = site.code("profile").await;
    site.shelf.steps();
    Pair::of(&site.token(&redemption(&code)).await);
    assert_eq!(site.shelf.steps(), [Op::Redeem]);
}

/// Whoever allowed a day is asked again: a grant that ends by itself is no consent for one that does not.
#[tokio::test]
async fn a_grant_for_a_time_is_no_consent_that_is_remembered() {
    for (change, client) in [(None, "public"), (Some(30 * DAY), "public"), (None, "aged"), (None, "confidential")] {
        // Without an end of its own a grant is remembered, whatever the maximum ages are.
        for (lifetime, remembered) in [(DAY, ""), (Duration::MAX, "profile")] {
            let mut site = site_for(lifetime, |builder| {
                let builder = builder.client(app("aged").refresh_token_max_age(10 * DAY));
                if let Some(age) = change { builder.refresh_token_max_age(age) } else { builder }
            });
            let code = code_of(&site.app, client, WEB, "profile").await;
            Pair::of(&site.token_as(client, &redemption(&code)).await);
            let previous = |request: AuthorizationRequest| async move {
                request.previously_granted(&"alice".into()).await.expect("the shelf answers").to_string()
            };
            let router = Router::new().route("/authorize", get(previous)).layer(site.provider.layer());
            site.app = BoxCloneSyncService::new(router.into_service());
            let challenge = support::challenge(support::VERIFIER);
            let params = support::authorization(client, WEB, &challenge);
            let asked = support::request(http::Method::GET, &support::with_query("/authorize", &params));
            assert_eq!(send(&site.app, asked).await.body, remembered, "{client} {lifetime:?}");
        }
    }
}

/// An access token ends with what its grant's record survives unused, so that no sweep takes it away before its time.
#[tokio::test]
async fn an_access_token_outlives_no_sweep_of_its_grant() {
    let site =
        site_with(|builder| builder.refresh_token_idle(seconds(600)).client(app("long").access_token_lifetime(DAY)));
    let answer = connect(&site, "long").await;
    assert_eq!(answer.json()["expires_in"], 600);
    let pair = Pair::of(&answer);
    site.clock.advance(seconds(599));
    assert!(site.is_good(&pair.access).await);
    assert_eq!(refresh(&site, "long", &pair).await.json()["expires_in"], 600);
}
