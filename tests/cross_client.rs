//! What belongs to one client is nothing in the hands of another, and a handle of one kind, or of one issuer, is nothing
//! in the place of another: every such request is refused, and nothing is changed by it.

#[path = "support/shelf.rs"]
mod shelf;
#[path = "support/site.rs"]
mod site;
mod support;

use axum::body::Body;
use http::{Method, Request, StatusCode};
use serde_json::json;
use site::{Pair, Site, assert_refused, site_with, with, without};
use support::{Answer, App, app, authorization, basic, bearer, challenge, form, request, send, with_query};
use tower_oauth::{
    AuthMethod, Client, ClientSecret, GrantType, Provider, ProviderBuilder, RegistrationPolicy, Secret, Subject,
};

/// A client with everything of its own.
#[derive(Debug, PartialEq)]
struct Party {
    id: &'static str,
    secret: &'static str,
    method: AuthMethod,
    redirect_uri: &'static str,
    verifier: &'static str,
}

/// One of each way to authenticate, two that have none, and one that knows no PKCE.
const PARTIES: [Party; 5] = [
    Party {
        id: "basic",
        secret: "the-secret-of-the-client-basic-is-this",
        method: AuthMethod::ClientSecretBasic,
        redirect_uri: "https://basic.example/cb",
        verifier: "the-verifier-of-the-client-basic-is-this-one-0",
    },
    Party {
        id: "post",
        secret: "the-secret-of-the-client-post-is-this",
        method: AuthMethod::ClientSecretPost,
        redirect_uri: "https://post.example/cb",
        verifier: "the-verifier-of-the-client-post-is-this-one-01",
    },
    Party {
        id: "spa",
        secret: "",
        method: AuthMethod::None,
        redirect_uri: "https://spa.example/cb",
        verifier: "the-verifier-of-the-client-spa-is-this-one-012",
    },
    Party {
        id: "device",
        secret: "",
        method: AuthMethod::None,
        redirect_uri: "http://127.0.0.1/cb",
        verifier: "the-verifier-of-the-client-device-is-this-one-",
    },
    Party {
        id: "old",
        secret: "the-secret-of-the-client-old-is-this-x",
        method: AuthMethod::ClientSecretPost,
        redirect_uri: "https://old.example/cb",
        verifier: "",
    },
];

const INITIAL: &str = "an-initial-access-token-of-32-or-more";

/// A site with these clients, where whoever has the initial access token registers more.
fn site() -> Site {
    site_with(with_parties)
}

fn with_parties(mut builder: ProviderBuilder) -> ProviderBuilder {
    for party in &PARTIES {
        let client = match party.method {
            AuthMethod::None => Client::public(party.id),
            method => Client::confidential(party.id, party.secret).token_endpoint_auth_method(method),
        };
        let client = client
            .redirect_uri(party.redirect_uri)
            .grant_types([GrantType::AuthorizationCode, GrantType::RefreshToken]);
        builder = builder.client(if party.verifier.is_empty() { client.danger_without_pkce() } else { client });
    }
    builder.registration(RegistrationPolicy::initial_access_token(ClientSecret::from(INITIAL)))
}

type Pairs<'a> = Vec<(&'a str, &'a str)>;

impl Party {
    fn is_confidential(&self) -> bool {
        self.method != AuthMethod::None
    }

    /// A form of this client, authenticated as it is registered.
    fn sends(&self, path: &str, params: &[(&str, &str)]) -> Request<Body> {
        match self.method {
            AuthMethod::ClientSecretBasic => basic(form(path, params), self.id, self.secret),
            AuthMethod::ClientSecretPost => {
                form(path, &with(&with(params, "client_id", self.id), "client_secret", self.secret))
            }
            _ => form(path, &with(params, "client_id", self.id)),
        }
    }

    /// Its good redemption of a code, but for its authentication.
    fn redemption<'a>(&self, code: &'a str) -> Pairs<'a> {
        let params = vec![("grant_type", "authorization_code"), ("code", code), ("redirect_uri", self.redirect_uri)];
        if self.verifier.is_empty() { params } else { with(&params, "code_verifier", self.verifier) }
    }

    async fn code(&self, site: &Site) -> String {
        let challenge = challenge(self.verifier);
        let mut params = authorization(self.id, self.redirect_uri, &challenge);
        if self.verifier.is_empty() {
            params = without(&without(&params, "code_challenge"), "code_challenge_method");
        }
        let decided = send(&site.app, form(&with_query("/authorize", &params), &[])).await;
        decided.redirected("code").unwrap_or_else(|| panic!("no code in {decided:?}"))
    }

    async fn redeem(&self, site: &Site, code: &str) -> Pair {
        Pair::of(&send(&site.app, self.sends("/token", &self.redemption(code))).await)
    }

    async fn refresh(&self, site: &Site, token: &str) -> Pair {
        Pair::of(&send(&site.app, self.sends("/token", &refreshing(token))).await)
    }
}

fn refreshing(token: &str) -> Pairs<'_> {
    vec![("grant_type", "refresh_token"), ("refresh_token", token)]
}

/// What an answer has to be.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    /// An error of RFC 6749 §5.2.
    Error(StatusCode, &'static str),
    /// RFC 7009 §2.2: 200 and nothing more.
    NoToken,
    /// RFC 7662 §2.2: `{"active":false}` and nothing more.
    Inactive,
    /// RFC 6750 §3.1: a challenge.
    Challenge,
    /// RFC 6749 §4.1.2.1: told to the user, and sent nowhere.
    Here,
}

const INVALID_GRANT: Wanted = Wanted::Error(StatusCode::BAD_REQUEST, "invalid_grant");
const INVALID_REQUEST: Wanted = Wanted::Error(StatusCode::BAD_REQUEST, "invalid_request");
const INVALID_CLIENT: Wanted = Wanted::Error(StatusCode::UNAUTHORIZED, "invalid_client");

impl Wanted {
    #[track_caller]
    fn assert(self, answer: &Answer) {
        match self {
            Self::Error(status, error) => assert_refused(answer, status, error),
            Self::NoToken => assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "")),
            Self::Inactive => assert_eq!((answer.status, answer.json()), (StatusCode::OK, json!({"active": false}))),
            Self::Challenge => {
                assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
                assert!(answer.header("www-authenticate").contains("error=\"invalid_token\""), "{answer:?}");
            }
            Self::Here => {
                assert_eq!((answer.status, answer.location()), (StatusCode::BAD_REQUEST, ""), "{answer:?}");
            }
        }
    }
}

/// A request, what it is, and how it has to end.
type Attempt = (String, Request<Body>, Wanted);

/// What alice has given this client, in the middle of it: a code that waits, or tokens.
enum Held {
    Code(String),
    Tokens(Pair),
}

/// Every one of these is refused as it should be; no record changes; and after each the owner goes on as if nothing had
/// been.
async fn all_are_refused(site: &Site, owner: &Party, held: &Held, attempts: Vec<Attempt>) {
    all_are_refused_by(&site.app, site, owner, held, attempts).await;
}

/// The same, where they are sent to this app.
async fn all_are_refused_by(app: &App, site: &Site, owner: &Party, held: &Held, attempts: Vec<Attempt>) {
    let alice = Subject::from("alice");
    let before = site.shelf.records();
    for (what, request, wanted) in attempts {
        println!("of {}: {what}", owner.id);
        let grants = site.provider.grants_of(&alice).await.expect("they are there");
        wanted.assert(&send(app, request).await);
        assert_eq!(site.shelf.records(), before);
        assert_eq!(site.provider.grants_of(&alice).await.expect("they are there"), grants);
        match held {
            Held::Code(code) => assert!(site.is_good(&owner.redeem(site, code).await.access).await),
            Held::Tokens(pair) => {
                assert!(site.is_good(&pair.access).await);
                assert!(site.is_good(&owner.refresh(site, &pair.refresh).await.access).await);
            }
        }
        site.shelf.put_back(before.clone());
    }
}

/// RFC 6749 §4.1.3, §10.5; RFC 7636 §4.6. What a thief does with a code, alone and with whatever else it saw.
fn with_anothers_code(owner: &Party, thief: &Party, code: &str) -> Vec<Attempt> {
    let (own, good) = (thief.redemption(code), owner.redemption(code));
    let as_thief = |what: &str, params: Pairs<'_>| (what.to_owned(), thief.sends("/token", &params), INVALID_GRANT);
    let mut attempts = vec![
        as_thief("the code, in its own name", own.clone()),
        as_thief("the code with all that belongs to it", good.clone()),
        as_thief("the code with the verifier alone", without(&good, "redirect_uri")),
        as_thief("the code with the redirect URI alone", without(&good, "code_verifier")),
        as_thief("the code alone", without(&without(&good, "redirect_uri"), "code_verifier")),
        (
            "the code, given back".to_owned(),
            thief.sends("/revoke", &[("token", code), ("token_type_hint", "refresh_token")]),
            Wanted::NoToken,
        ),
        // The code is put into the owner's own hands, with what belongs to the thief.
        (
            "the owner with another's redirect URI".to_owned(),
            owner.sends("/token", &with(&good, "redirect_uri", thief.redirect_uri)),
            INVALID_GRANT,
        ),
    ];
    if !thief.verifier.is_empty() {
        attempts.push((
            "the owner with another's verifier".to_owned(),
            owner.sends("/token", &with(&good, "code_verifier", thief.verifier)),
            INVALID_GRANT,
        ));
    }
    attempts.extend(in_anothers_name(owner, thief, "/token", &good));
    attempts
}

/// RFC 6749 §6, §10.4; RFC 7009 §2.1; RFC 7662 §2.1. What a thief does with tokens.
fn with_anothers_tokens(owner: &Party, thief: &Party, pair: &Pair) -> Vec<Attempt> {
    let refresh = refreshing(&pair.refresh);
    let mut attempts: Vec<Attempt> = vec![
        ("the refresh token".to_owned(), thief.sends("/token", &refresh), INVALID_GRANT),
        // What was granted must not be told either.
        (
            "the refresh token, for more".to_owned(),
            thief.sends("/token", &with(&refresh, "scope", "notes:write")),
            INVALID_GRANT,
        ),
    ];
    for (kind, token) in [("access", &*pair.access), ("refresh", &*pair.refresh)] {
        for hint in ["", "access_token", "refresh_token", "x"] {
            let params = [("token", token), ("token_type_hint", hint)];
            attempts.push((
                format!("the {kind} token given back as {hint:?}"),
                thief.sends("/revoke", &params),
                INVALID_GRANT,
            ));
            let wanted = if thief.is_confidential() { Wanted::Inactive } else { INVALID_CLIENT };
            attempts.push((
                format!("the {kind} token looked into as {hint:?}"),
                thief.sends("/introspect", &params),
                wanted,
            ));
        }
        for path in ["/revoke", "/introspect"] {
            attempts.extend(in_anothers_name(owner, thief, path, &[("token", token)]));
        }
    }
    attempts.extend(in_anothers_name(owner, thief, "/token", &refresh));
    attempts
}

/// RFC 6749 §2.3, §5.2: a request of the owner's, by whoever has no secret but the thief's. (Nobody can tell who sends
/// the id of a public client: there the verifier and the refresh token are all the proof.)
fn in_anothers_name(owner: &Party, thief: &Party, path: &str, params: &[(&str, &str)]) -> Vec<Attempt> {
    if !owner.is_confidential() {
        return Vec::new();
    }
    let named = with(params, "client_id", owner.id);
    let mut attempts = vec![("without a secret", form(path, &named), INVALID_CLIENT)];
    if thief.is_confidential() {
        attempts.extend([
            ("another's secret in the header", basic(form(path, params), owner.id, thief.secret), INVALID_CLIENT),
            ("another's secret in the body", form(path, &with(&named, "client_secret", thief.secret)), INVALID_CLIENT),
            (
                "another in the header, the owner in the body",
                basic(form(path, &named), thief.id, thief.secret),
                INVALID_REQUEST,
            ),
            (
                "another in the header, the owner with its secret in the body",
                basic(form(path, &with(&named, "client_secret", owner.secret)), thief.id, thief.secret),
                INVALID_REQUEST,
            ),
        ]);
    }
    attempts.into_iter().map(|(what, request, wanted)| (format!("{path} {what}"), request, wanted)).collect()
}

fn pairs_of_clients() -> impl Iterator<Item = (&'static Party, &'static Party)> {
    PARTIES
        .iter()
        .flat_map(|owner| PARTIES.iter().filter(move |thief| *thief != owner).map(move |thief| (owner, thief)))
}

/// RFC 6749 §4.1.3: "ensure that the authorization code was issued to the authenticated confidential client, or if the
/// client is public, ensure that the code was issued to "client_id" in the request".
#[tokio::test]
async fn a_code_is_nothing_in_the_hands_of_another_client() {
    for (owner, thief) in pairs_of_clients() {
        let site = site();
        let code = owner.code(&site).await;
        let attempts = with_anothers_code(owner, thief, &code);
        all_are_refused(&site, owner, &Held::Code(code), attempts).await;
    }
}

/// RFC 6749 §10.4: "The authorization server MUST maintain the binding between a refresh token and the client to whom it
/// was issued." RFC 7009 §2.1: another client's revocation is refused.
#[tokio::test]
async fn a_token_is_nothing_in_the_hands_of_another_client() {
    for (owner, thief) in pairs_of_clients() {
        let site = site();
        let pair = owner.redeem(&site, &owner.code(&site).await).await;
        let attempts = with_anothers_tokens(owner, thief, &pair);
        all_are_refused(&site, owner, &Held::Tokens(pair), attempts).await;
    }
}

/// RFC 6749 §3.1.2.4: "MUST NOT automatically redirect the user-agent to the invalid redirection URI".
#[tokio::test]
async fn a_redirect_uri_is_good_for_its_own_client_alone() {
    for (owner, thief) in pairs_of_clients() {
        let site = site();
        let code = owner.code(&site).await;
        let challenge = challenge(owner.verifier);
        let url = with_query("/authorize", &authorization(owner.id, thief.redirect_uri, &challenge));
        let attempts = vec![
            ("a page".to_owned(), request(Method::GET, &url), Wanted::Here),
            ("a decision".to_owned(), form(&url, &[]), Wanted::Here),
        ];
        all_are_refused(&site, owner, &Held::Code(code), attempts).await;
    }
}

/// What a client holds, by what it is.
fn kinds<'a>(owner: &'a Party, code: &'a str, pair: &'a Pair) -> [(&'static str, &'a str); 5] {
    [
        ("code", code),
        ("access token", &pair.access),
        ("refresh token", &pair.refresh),
        ("client secret", owner.secret),
        ("initial access token", INITIAL),
    ]
}

/// Every place where one kind belongs, with another kind in it, sent by its own client.
fn misplaced(owner: &Party, code: &str, pair: &Pair) -> Vec<Attempt> {
    let mut attempts: Vec<Attempt> = Vec::new();
    for (kind, value) in kinds(owner, code, pair).into_iter().filter(|(_, value)| !value.is_empty()) {
        let mut put = |place: &str, request, wanted| attempts.push((format!("{kind} as {place}"), request, wanted));
        if kind != "code" {
            put("code", owner.sends("/token", &owner.redemption(value)), INVALID_GRANT);
        }
        if kind != "refresh token" {
            put("refresh token", owner.sends("/token", &refreshing(value)), INVALID_GRANT);
        }
        if kind != "access token" {
            put("bearer token", bearer("/me", value), Wanted::Challenge);
        }
        if kind != "client secret" && owner.is_confidential() {
            let impostor = Party { secret: "", method: AuthMethod::None, ..*owner };
            let params = with(&impostor.redemption(code), "client_secret", value);
            put("client secret", impostor.sends("/token", &params), INVALID_CLIENT);
            put("client secret", basic(form("/token", &owner.redemption(code)), owner.id, value), INVALID_CLIENT);
        }
        if kind != "initial access token" {
            let request = Request::post("/register").header("authorization", format!("Bearer {value}"));
            let body = json!({"redirect_uris": [owner.redirect_uri]}).to_string().into();
            let request = request.header("content-type", "application/json").body(body).expect("a request");
            put("initial access token", request, Wanted::Challenge);
        }
        if !["access token", "refresh token"].contains(&kind) {
            for hint in ["", "access_token", "refresh_token", "authorization_code"] {
                let params = [("token", value), ("token_type_hint", hint)];
                put("token to give back", owner.sends("/revoke", &params), Wanted::NoToken);
                let wanted = if owner.is_confidential() { Wanted::Inactive } else { INVALID_CLIENT };
                put("token to look into", owner.sends("/introspect", &params), wanted);
            }
        }
        for other in ["ac", "rt", "at"].into_iter().filter(|other| !value.starts_with(&format!("toa_{other}_"))) {
            let Some(rest) = value.strip_prefix("toa_") else { continue };
            let relabelled = format!("toa_{other}_{}", &rest[3..]);
            put("code under its label", owner.sends("/token", &owner.redemption(&relabelled)), INVALID_GRANT);
            put("refresh token under its label", owner.sends("/token", &refreshing(&relabelled)), INVALID_GRANT);
            put("bearer token under its label", bearer("/me", &relabelled), Wanted::Challenge);
            put("token under its label", owner.sends("/revoke", &[("token", &relabelled)]), Wanted::NoToken);
        }
    }
    attempts
}

/// RFC 6749 §1.4, §1.5: a code, an access token and a refresh token are three things, and none of them is a secret of a
/// client. The label in front of a handle makes nothing of it.
#[tokio::test]
async fn a_handle_is_nothing_in_the_place_of_another_kind() {
    for owner in &PARTIES {
        let site = site();
        let pair = owner.redeem(&site, &owner.code(&site).await).await;
        let code = owner.code(&site).await;
        let attempts = || misplaced(owner, &code, &pair);
        all_are_refused(&site, owner, &Held::Code(code.clone()), attempts()).await;
        all_are_refused(&site, owner, &Held::Tokens(pair.clone()), attempts()).await;
    }
}

/// What its own client holds, sent to another issuer.
fn at_another_issuer(owner: &Party, code: &str, pair: &Pair) -> Vec<Attempt> {
    let mut attempts: Vec<Attempt> = vec![
        ("the code".to_owned(), owner.sends("/token", &owner.redemption(code)), INVALID_GRANT),
        ("the refresh token".to_owned(), owner.sends("/token", &refreshing(&pair.refresh)), INVALID_GRANT),
        ("the access token".to_owned(), bearer("/me", &pair.access), Wanted::Challenge),
    ];
    for (kind, token) in [("access", &pair.access), ("refresh", &pair.refresh)] {
        let params = [("token", &**token)];
        attempts.push((format!("the {kind} token given back"), owner.sends("/revoke", &params), Wanted::NoToken));
        let wanted = if owner.is_confidential() { Wanted::Inactive } else { INVALID_CLIENT };
        attempts.push((format!("the {kind} token looked into"), owner.sends("/introspect", &params), wanted));
    }
    attempts
}

/// RFC 9207 §1: one issuer must not be taken for another, here not even where both have one store, one secret and the
/// same clients.
#[tokio::test]
async fn a_handle_is_nothing_at_another_issuer() {
    for owner in &PARTIES {
        let secret = Secret::generate();
        let site = site_with(|builder| with_parties(builder).secrets(secret.clone()));
        let other = Provider::builder("https://other.example").store(site.shelf.clone()).clock(site.clock.clone());
        let other = other.secrets(secret).scope("profile", "see your profile").scope("notes:read", "read your notes");
        let other = with_parties(other).default_scope("profile").build().expect("a good configuration");
        let pair = owner.redeem(&site, &owner.code(&site).await).await;
        let code = owner.code(&site).await;
        let attempts = || at_another_issuer(owner, &code, &pair);
        all_are_refused_by(&app(&other), &site, owner, &Held::Code(code.clone()), attempts()).await;
        all_are_refused_by(&app(&other), &site, owner, &Held::Tokens(pair.clone()), attempts()).await;
        assert!(!other.check_form_token("session", "login", &site.provider.form_token("session", "login")));
    }
}
