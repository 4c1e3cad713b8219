//! The eight steps of the mission, through one service.

mod support;

use http::{Method, StatusCode};
use support::{app, authorization, bearer, challenge, form, provider, request, send, with_query, *};

/// RFC 6749 §4.1, RFC 7636 §4, RFC 9207 §2, RFC 6750 §2.1, RFC 6749 §6
#[tokio::test]
async fn a_client_connects_with_pkce_and_stays_connected() {
    let (provider, _) = provider();
    let app = app(&provider);
    let challenge = challenge(VERIFIER);
    let url = with_query("/authorize", &authorization("public", WEB, &challenge));

    let page = send(&app, request(Method::GET, &url)).await;
    assert_eq!((page.status, &*page.body), (StatusCode::OK, "page for public"));
    let decided = send(&app, form(&url, &[])).await;
    assert_eq!(decided.status, StatusCode::SEE_OTHER);
    assert!(decided.location().starts_with(WEB));
    assert_eq!(decided.redirected("state").as_deref(), Some("af0ifjsldkj"));
    assert_eq!(decided.redirected("iss").as_deref(), Some(ISSUER));

    let issued = redeem(&app, &decided.redirected("code").unwrap()).await;
    assert_eq!(issued.status, StatusCode::OK, "{issued:?}");
    let issued = issued.json();
    assert_eq!(
        (&issued["token_type"], &issued["expires_in"], &issued["scope"]),
        (&"Bearer".into(), &600.into(), &"profile".into())
    );

    let me = send(&app, bearer("/profile", issued["access_token"].as_str().unwrap())).await;
    assert_eq!(me.json()["sub"], "alice");
    let again = refresh(&app, issued["refresh_token"].as_str().unwrap()).await.json();
    let me = send(&app, bearer("/profile", again["access_token"].as_str().unwrap())).await;
    assert_eq!((me.status, me.json()["client_id"].clone()), (StatusCode::OK, "public".into()));
}

/// RFC 6749 §4.1 to the letter, as OAuth 2.0 had it
#[tokio::test]
async fn a_confidential_client_without_pkce_runs_the_original_eight_steps() {
    let (provider, _) = provider();
    let app = app(&provider);
    let url = with_query("/authorize", &[("response_type", "code"), ("client_id", "original"), ("redirect_uri", WEB)]);
    let code = send(&app, form(&url, &[])).await.redirected("code").unwrap();
    let params = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", WEB),
        ("client_id", "original"),
        ("client_secret", SECRET),
    ];
    let issued = send(&app, form("/token", &params)).await;
    assert_eq!(issued.status, StatusCode::OK, "{issued:?}");
    let me = send(&app, bearer("/profile", issued.json()["access_token"].as_str().unwrap())).await;
    assert_eq!(me.json()["sub"], "alice");
}
