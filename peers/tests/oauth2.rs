//! The crate `oauth2`: its clients get what they ask for, and its typed errors are the ones that are meant.

use oauth2::basic::{BasicClient, BasicErrorResponse, BasicErrorResponseType as Kind, BasicTokenResponse};
use oauth2::{
    AccessToken, AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet,
    IntrospectionUrl, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError,
    ResourceOwnerPassword, ResourceOwnerUsername, RevocationErrorResponseType, RevocationUrl, Scope,
    TokenIntrospectionResponse, TokenResponse, TokenUrl,
};
use peers::{ISSUER, ODD_ID, ODD_SECRET, Outside, REDIRECT_URI, SECRET, Site};
use serde_json::json;

type OAuth = BasicClient<EndpointSet, EndpointNotSet, EndpointSet, EndpointSet, EndpointSet>;

/// A client that knows what is published.
async fn client(outside: &Outside, id: &str, secret: Option<&str>, auth_type: AuthType) -> OAuth {
    let metadata = outside.metadata().await;
    assert_eq!(metadata["issuer"], ISSUER);
    let url = |name: &str| metadata[name].as_str().expect("a URL").to_owned();
    let client = BasicClient::new(ClientId::new(id.to_owned()))
        .set_auth_uri(AuthUrl::new(url("authorization_endpoint")).expect("a URL"))
        .set_token_uri(TokenUrl::new(url("token_endpoint")).expect("a URL"))
        .set_introspection_url(IntrospectionUrl::new(url("introspection_endpoint")).expect("a URL"))
        .set_revocation_url(RevocationUrl::new(url("revocation_endpoint")).expect("a URL"))
        .set_redirect_uri(RedirectUrl::new(REDIRECT_URI.to_owned()).expect("a URL"))
        .set_auth_type(auth_type);
    match secret {
        Some(secret) => client.set_client_secret(ClientSecret::new(secret.to_owned())),
        None => client,
    }
}

async fn public(outside: &Outside) -> OAuth {
    client(outside, "public", None, AuthType::RequestBody).await
}

async fn basic(outside: &Outside) -> OAuth {
    client(outside, ODD_ID, Some(ODD_SECRET), AuthType::BasicAuth).await
}

async fn post(outside: &Outside) -> OAuth {
    client(outside, "post", Some(SECRET), AuthType::RequestBody).await
}

fn scope(name: &str) -> Scope {
    Scope::new(name.to_owned())
}

/// A code for both scopes, and what proves that it is ours.
async fn authorize(outside: &Outside, client: &OAuth) -> (AuthorizationCode, PkceCodeVerifier) {
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, state) = client
        .authorize_url(CsrfToken::new_random)
        .add_scopes([scope("profile"), scope("notes")])
        .set_pkce_challenge(challenge)
        .url();
    let mut sent = outside.browse(&url).await;
    assert_eq!((sent.remove("state").as_ref(), sent.remove("iss").as_deref()), (Some(state.secret()), Some(ISSUER)));
    (AuthorizationCode::new(sent.remove("code").expect("a code")), verifier)
}

async fn connect(outside: &Outside, client: &OAuth) -> BasicTokenResponse {
    let (code, verifier) = authorize(outside, client).await;
    client.exchange_code(code).set_pkce_verifier(verifier).request_async(outside).await.expect("tokens")
}

fn refresh_token(tokens: &BasicTokenResponse) -> &RefreshToken {
    tokens.refresh_token().expect("a refresh token")
}

/// Connects, uses the API, refreshes, and gives it all back.
async fn the_whole_flow(outside: &Outside, client: &OAuth) {
    let first = connect(outside, client).await;
    assert_eq!(first.scopes(), Some(&vec![scope("profile"), scope("notes")]));
    assert_eq!(first.expires_in().map(|span| span.as_secs()), Some(600));
    let me = json!({"sub": "alice", "client_id": **client.client_id(), "scope": "profile notes"});
    assert_eq!(outside.me(first.access_token().secret()).await, (200, me));

    let refreshed = client.exchange_refresh_token(refresh_token(&first)).add_scope(scope("profile"));
    let second = refreshed.request_async(outside).await.expect("tokens");
    assert_eq!(second.scopes(), Some(&vec![scope("profile")]));
    assert_ne!(refresh_token(&second).secret(), refresh_token(&first).secret());
    let access = second.access_token();
    assert_eq!(outside.me(access.secret()).await.0, 200);
    if client.client_id().as_str() != "public" {
        let seen = client.introspect(access).request_async(outside).await.expect("an answer");
        assert!(seen.active() && seen.exp() > seen.iat());
        assert_eq!((seen.sub(), seen.client_id()), (Some("alice"), Some(client.client_id())));
        assert_eq!((seen.scopes(), seen.iss()), (Some(&vec![scope("profile")]), Some(ISSUER)));
    }

    let revoke = async |token: oauth2::StandardRevocableToken| {
        client.revoke_token(token).expect("an https URL").request_async(outside).await.expect("it is revoked");
    };
    revoke(access.into()).await;
    assert_eq!(outside.me(access.secret()).await.0, 401, "given back alone");
    assert_eq!(outside.me(first.access_token().secret()).await.0, 200);
    revoke(refresh_token(&second).into()).await;
    assert_eq!(outside.me(first.access_token().secret()).await.0, 401, "all of the grant is over");
    if client.client_id().as_str() != "public" {
        assert!(!client.introspect(access).request_async(outside).await.expect("an answer").active());
    }
}

/// RFC 6749 §2.1, RFC 7636 §4
#[tokio::test]
async fn a_public_client_connects_with_pkce_and_disconnects() {
    let site = Site::start().await;
    the_whole_flow(&site.outside, &public(&site.outside).await).await;
    site.stop().await;
}

/// RFC 6749 §2.3.1: id and secret are encoded before they are put together; these need it.
#[tokio::test]
async fn a_confidential_client_connects_with_its_secret_in_the_header() {
    let site = Site::start().await;
    the_whole_flow(&site.outside, &basic(&site.outside).await).await;
    site.stop().await;
}

/// RFC 6749 §2.3.1
#[tokio::test]
async fn a_confidential_client_connects_with_its_secret_in_the_body() {
    let site = Site::start().await;
    the_whole_flow(&site.outside, &post(&site.outside).await).await;
    site.stop().await;
}

/// RFC 6749 §4.4
#[tokio::test]
async fn a_client_acts_for_itself() {
    let site = Site::start().await;
    let client = basic(&site.outside).await;
    let request = client.exchange_client_credentials().add_scope(scope("profile"));
    let tokens = request.request_async(&site.outside).await.expect("a token");
    assert!(tokens.refresh_token().is_none());
    let me = json!({"sub": ODD_ID, "client_id": ODD_ID, "scope": "profile"});
    assert_eq!(site.outside.me(tokens.access_token().secret()).await, (200, me));
    site.stop().await;
}

/// The error that the crate has read, which says what it is about.
#[track_caller]
fn error<T: std::fmt::Debug, E: std::error::Error>(
    answer: Result<T, RequestTokenError<E, BasicErrorResponse>>,
) -> Kind {
    match answer {
        Err(RequestTokenError::ServerResponse(error)) => {
            assert!(error.error_description().is_some_and(|text| !text.is_empty()), "{error:?}");
            error.error().clone()
        }
        other => panic!("no error of the provider: {other:?}"),
    }
}

/// RFC 6749 §5.2, RFC 8707 §2: each error arrives as what it is.
#[tokio::test]
async fn every_error_of_the_token_endpoint_is_the_crates_own_type() {
    let site = Site::start().await;
    let outside = &site.outside;
    let (public, basic, post) = (public(outside).await, basic(outside).await, post(outside).await);
    let (code, verifier) = authorize(outside, &public).await;
    let wrong = PkceCodeVerifier::new(verifier.secret().chars().rev().collect());
    let guessed = public.exchange_code(code.clone()).set_pkce_verifier(wrong);
    assert_eq!(error(guessed.request_async(outside).await), Kind::InvalidGrant);
    assert_eq!(error(public.exchange_code(code.clone()).request_async(outside).await), Kind::InvalidGrant);
    let verifier = || PkceCodeVerifier::new(verifier.secret().clone());
    let stolen = post.exchange_code(code.clone()).set_pkce_verifier(verifier());
    assert_eq!(error(stolen.request_async(outside).await), Kind::InvalidGrant);
    let elsewhere = public.exchange_code(code.clone()).set_pkce_verifier(verifier());
    let elsewhere = elsewhere.add_extra_param("resource", "https://other.example");
    assert_eq!(error(elsewhere.request_async(outside).await), Kind::Extension("invalid_target".to_owned()));
    let twice = public.exchange_code(code.clone()).add_extra_param("code", code.secret().clone());
    assert_eq!(error(twice.request_async(outside).await), Kind::InvalidRequest);
    let tokens = public.exchange_code(code).set_pkce_verifier(verifier());
    let tokens = tokens.request_async(outside).await.expect("nothing of all this consumed the code");

    let wider = public.exchange_refresh_token(refresh_token(&tokens)).add_scope(scope("admin"));
    assert_eq!(error(wider.request_async(outside).await), Kind::InvalidScope);
    let unknown = RefreshToken::new("unknown".to_owned());
    assert_eq!(error(public.exchange_refresh_token(&unknown).request_async(outside).await), Kind::InvalidGrant);
    assert_eq!(error(post.exchange_client_credentials().request_async(outside).await), Kind::UnauthorizedClient);
    let (user, password) = (ResourceOwnerUsername::new("alice".into()), ResourceOwnerPassword::new("x".into()));
    let by_password = post.exchange_password(&user, &password).request_async(outside).await;
    assert_eq!(error(by_password), Kind::UnsupportedGrantType);
    for client in [
        basic.clone().set_client_secret(ClientSecret::new(SECRET.to_owned())),
        basic.clone().set_auth_type(AuthType::RequestBody),
        post.clone().set_auth_type(AuthType::BasicAuth),
    ] {
        assert_eq!(error(client.exchange_client_credentials().request_async(outside).await), Kind::InvalidClient);
    }
    site.stop().await;
}

/// RFC 7662 §2.3, RFC 7009 §2.2.1: and so does each of the other endpoints.
#[tokio::test]
async fn every_error_of_introspection_and_revocation_is_the_crates_own_type() {
    let site = Site::start().await;
    let outside = &site.outside;
    let (public, basic, post) = (public(outside).await, basic(outside).await, post(outside).await);
    let tokens = connect(outside, &post).await;
    let access = tokens.access_token();
    assert_eq!(error(public.introspect(access).request_async(outside).await), Kind::InvalidClient);
    let another = basic.introspect(access).request_async(outside).await.expect("an answer");
    assert!(!another.active() && another.sub().is_none(), "it is not its business");
    let unknown = AccessToken::new("unknown".to_owned());
    assert!(!post.introspect(&unknown).request_async(outside).await.expect("an answer").active());

    let refused = async |client: &OAuth, kind: Kind| {
        let request = client.revoke_token(refresh_token(&tokens).into()).expect("an https URL");
        let wanted = RevocationErrorResponseType::Basic(kind);
        match request.request_async(outside).await {
            Err(RequestTokenError::ServerResponse(error)) => assert_eq!(*error.error(), wanted),
            other => panic!("no error of the provider: {other:?}"),
        }
    };
    refused(&basic, Kind::InvalidGrant).await;
    refused(&post.clone().set_client_secret(ClientSecret::new(ODD_SECRET.to_owned())), Kind::InvalidClient).await;
    assert_eq!(outside.me(access.secret()).await.0, 200, "it is as it was");
    site.stop().await;
}
