//! Third-party apps: what a client is registered with, and what it may do by that.
//!
//! Names are those of [RFC 7591 §2](https://www.rfc-editor.org/rfc/rfc7591#section-2).
//!
//! ```
//! use tower_oauth::{Client, ClientSecret};
//!
//! let secret = ClientSecret::generate(); // shown to the app's developer once
//! let client = Client::confidential("customapp", &secret)
//!     .name("CustomApp")
//!     .redirect_uri("https://customapp.example/oauth/redirect");
//! assert!(client.is_confidential());
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::secret::random;
use crate::types::{ACCESS_TOKEN_LIFE, ClientId, RedirectUri, Resource, Scope, UnixTime};

#[cfg(feature = "jwt")]
pub(crate) mod assertion;
#[cfg(feature = "jwt")]
mod keys;
mod managed;
mod record;

#[cfg(feature = "jwt")]
pub(crate) use keys::Keys;
#[cfg(feature = "jwt")]
use keys::RegisteredKeys;
pub(crate) use managed::Managed;

/// How a client proves itself at the token endpoint, `token_endpoint_auth_method`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthMethod {
    /// `client_secret_basic`: the secret in the `Authorization` header.
    ClientSecretBasic,
    /// `client_secret_post`: the secret in the body.
    ClientSecretPost,
    /// `private_key_jwt`: an assertion that it signs with a key of its own, whose public half is registered
    /// ([`Client::private_key_jwt`]).
    #[cfg(feature = "jwt")]
    PrivateKeyJwt,
    /// `none`: a public client, which can keep no secret.
    None,
}

impl AuthMethod {
    /// The registered name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            #[cfg(feature = "jwt")]
            Self::PrivateKeyJwt => "private_key_jwt",
            Self::None => "none",
        }
    }

    /// All of them, in the order in which they are published.
    pub(crate) const ALL: &[Self] = &[
        Self::ClientSecretBasic,
        Self::ClientSecretPost,
        #[cfg(feature = "jwt")]
        Self::PrivateKeyJwt,
        Self::None,
    ];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|known| known.as_str() == name)
    }

    /// Whether a client proves itself by a secret that the provider knows.
    pub(crate) const fn needs_secret(self) -> bool {
        matches!(self, Self::ClientSecretBasic | Self::ClientSecretPost)
    }
}

/// A way to get tokens, `grant_types`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GrantType {
    /// `authorization_code`: a user approves in a browser.
    AuthorizationCode,
    /// `refresh_token`: a client stays connected.
    RefreshToken,
    /// `client_credentials`: a client acts for itself.
    ClientCredentials,
}

impl GrantType {
    /// The registered name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::AuthorizationCode, Self::RefreshToken, Self::ClientCredentials]
            .into_iter()
            .find(|known| known.as_str() == name)
    }
}

/// A client's password, as it is given to the app's developer. Clients keep only its SHA-256.
#[derive(Clone)]
pub struct ClientSecret(String);

impl ClientSecret {
    /// The fewest characters of a secret that is not generated here.
    pub const MIN: usize = 32;

    /// 256 random bits as 43 characters of `A-Z a-z 0-9 - _`.
    #[must_use]
    pub fn generate() -> Self {
        Self(URL_SAFE_NO_PAD.encode(random::<32>()))
    }

    /// The secret itself. Show it once, over a safe way; do not log it.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// SHA-256 of the secret: all that a table of clients has to keep, for [`Client::confidential_sha256`].
    #[must_use]
    pub fn sha256(&self) -> [u8; 32] {
        digest(&self.0)
    }
}

impl From<&str> for ClientSecret {
    fn from(secret: &str) -> Self {
        Self(secret.to_owned())
    }
}

impl From<String> for ClientSecret {
    fn from(secret: String) -> Self {
        Self(secret)
    }
}

impl From<&Self> for ClientSecret {
    fn from(secret: &Self) -> Self {
        secret.clone()
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret([redacted])")
    }
}

/// One of a client's secrets: its digest, and until when it is taken.
#[derive(Clone)]
struct LiveSecret {
    digest: [u8; 32],
    until: UnixTime,
}

/// A registered client. Cloning copies a pointer.
#[derive(Clone)]
pub struct Client(Arc<Registration>);

#[derive(Clone)]
struct Registration {
    id: ClientId,
    name: Option<String>,
    secrets: Vec<LiveSecret>,
    #[cfg(feature = "jwt")]
    keys: RegisteredKeys,
    auth_method: AuthMethod,
    redirect_uris: Vec<RedirectUri>,
    scope: Option<Scope>,
    grant_types: Vec<GrantType>,
    native: Option<bool>,
    pkce: bool,
    /// Whether its authorization requests are pushed.
    pushes: bool,
    /// Whether its tokens are always bound to a key of its own.
    bound_tokens: bool,
    /// The API that it serves, if it is no app but the server of one.
    resource: Option<Resource>,
    /// `None`: the provider's.
    access_token_lifetime: Option<Duration>,
    refresh_token_max_age: Option<Duration>,
    /// `None` where nobody manages its registration.
    managed: Option<Managed>,
    /// Whether its id is the address of the document that says all this.
    from_document: bool,
    /// What is wrong with what was set, for the one report of `build()`.
    problems: Vec<String>,
}

impl Client {
    /// An app that can keep no secret: in a browser, on a phone, on a desktop.
    #[must_use]
    pub fn public(id: impl Into<ClientId>) -> Self {
        Self::new(id.into(), AuthMethod::None)
    }

    /// An app with a server that keeps `secret`, sent as `client_secret_basic` unless
    /// [told otherwise](Self::token_endpoint_auth_method).
    #[must_use]
    pub fn confidential(id: impl Into<ClientId>, secret: impl Into<ClientSecret>) -> Self {
        Self::new(id.into(), AuthMethod::ClientSecretBasic).and_secret(secret)
    }

    /// The same, where only [SHA-256](ClientSecret::sha256) of its live secrets is at hand, as in a
    /// [store](crate::ClientStore) of the app's own. That none of them can be guessed is the app's to see to.
    #[must_use]
    pub fn confidential_sha256(id: impl Into<ClientId>, digests: impl IntoIterator<Item = [u8; 32]>) -> Self {
        let live = |digest| LiveSecret { digest, until: UnixTime::FAR_FUTURE };
        Self::new(id.into(), AuthMethod::ClientSecretBasic)
            .set(|client| client.secrets = digests.into_iter().map(live).collect())
    }

    /// The server of an API: it gets no tokens, and may [introspect](crate::Introspection) those for `resource`.
    #[must_use]
    pub fn resource_server(
        id: impl Into<ClientId>,
        secret: impl Into<ClientSecret>,
        resource: impl Into<String>,
    ) -> Self {
        let resource = resource.into();
        Self::confidential(id, secret).grant_types([]).set(|client| match resource.parse() {
            Ok(resource) => client.resource = Some(resource),
            Err(why) => client.problems.push(format!("resource {resource:?}: {why}")),
        })
    }

    fn new(id: ClientId, auth_method: AuthMethod) -> Self {
        Self(Arc::new(Registration {
            id,
            name: None,
            secrets: Vec::new(),
            #[cfg(feature = "jwt")]
            keys: RegisteredKeys::default(),
            auth_method,
            redirect_uris: Vec::new(),
            scope: None,
            grant_types: vec![GrantType::AuthorizationCode, GrantType::RefreshToken],
            native: None,
            pkce: true,
            pushes: false,
            bound_tokens: false,
            resource: None,
            access_token_lifetime: None,
            refresh_token_max_age: None,
            managed: None,
            from_document: false,
            problems: Vec::new(),
        }))
    }

    /// The same as a client that nobody registered: its id is the address of the document that says what it is.
    pub(crate) fn of_document(self, url: ClientId) -> Self {
        self.set(|client| {
            client.id = url;
            client.from_document = true;
        })
    }

    fn set(mut self, change: impl FnOnce(&mut Registration)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// The name that the consent page shows, `client_name`. Without one it shows the id.
    #[must_use]
    pub fn name(self, name: impl Into<String>) -> Self {
        self.set(|client| client.name = Some(name.into()))
    }

    /// One more place to which answers may go, `redirect_uris`; compared as a string
    /// ([RFC 9700 §2.1](https://www.rfc-editor.org/rfc/rfc9700#section-2.1)).
    ///
    /// `https://..`; for native clients also `http` on 127.0.0.1, `[::1]` or localhost, with any port at run time, and
    /// private-use schemes such as `com.example.app:/callback`. What is wrong with it is said by
    /// [`build()`](crate::ProviderBuilder::build).
    #[must_use]
    pub fn redirect_uri(self, uri: impl Into<String>) -> Self {
        let uri = uri.into();
        self.set(|client| match RedirectUri::parse(&uri) {
            Ok(uri) => client.redirect_uris.push(uri),
            Err(why) => client.problems.push(format!("redirect URI {uri:?}: {why}")),
        })
    }

    /// What it may ask for, `scope`. Without one it may ask for every scope that is not reserved.
    #[must_use]
    pub fn scope(self, scope: impl Into<String>) -> Self {
        let scope = scope.into();
        self.set(|client| match scope.parse() {
            Ok(scope) => client.scope = Some(scope),
            Err(why) => {
                // Nothing, rather than everything, until it is right.
                client.scope = Some(Scope::default());
                client.problems.push(format!("scope {scope:?}: {why}"));
            }
        })
    }

    /// The ways in which it may get tokens, `grant_types`; by default `authorization_code` and `refresh_token`.
    #[must_use]
    pub fn grant_types(self, grant_types: impl IntoIterator<Item = GrantType>) -> Self {
        self.set(|client| client.grant_types = grant_types.into_iter().collect())
    }

    /// The one way in which it authenticates, `token_endpoint_auth_method`.
    #[must_use]
    pub fn token_endpoint_auth_method(self, method: AuthMethod) -> Self {
        self.set(|client| client.auth_method = method)
    }

    /// An app on the user's own device, `application_type` `native`. The default where every redirect URI is a
    /// loopback or private-use one.
    #[must_use]
    pub fn native(self) -> Self {
        self.set(|client| client.native = Some(true))
    }

    /// An app in browsers or on a server, `application_type` `web`: its redirect URIs are `https`.
    #[must_use]
    pub fn web(self) -> Self {
        self.set(|client| client.native = Some(false))
    }

    /// One more secret that is good, so that a new one can be given out before the old one ends.
    #[must_use]
    pub fn and_secret(self, secret: impl Into<ClientSecret>) -> Self {
        self.add_secret(&secret.into(), UnixTime::FAR_FUTURE)
    }

    /// One more secret that is good until `end`.
    #[must_use]
    pub fn and_secret_until(self, secret: impl Into<ClientSecret>, end: SystemTime) -> Self {
        self.add_secret(&secret.into(), end.into())
    }

    fn add_secret(self, secret: &ClientSecret, until: UnixTime) -> Self {
        self.set(|client| {
            if secret.0.len() < ClientSecret::MIN {
                client.problems.push(format!(
                    "a secret of {} characters can be guessed: use `ClientSecret::generate()`, or {} characters at least",
                    secret.0.len(),
                    ClientSecret::MIN
                ));
            }
            client.secrets.push(LiveSecret { digest: digest(&secret.0), until });
        })
    }

    /// How long this client's access tokens are good, from 1 second to 24 hours, in place of what the
    /// [provider](crate::ProviderBuilder::access_token_lifetime) is configured with.
    #[must_use]
    pub fn access_token_lifetime(self, lifetime: Duration) -> Self {
        let within = lifetime.clamp(*ACCESS_TOKEN_LIFE.start(), *ACCESS_TOKEN_LIFE.end());
        self.set(|client| {
            // Also the client of a store, which nobody has checked, keeps to it.
            client.access_token_lifetime = Some(within);
            if within != lifetime {
                client.problems.push("an access token lives from 1 second to 24 hours".to_owned());
            }
        })
    }

    /// How long a grant to this client lives however often it is refreshed, from when its code is redeemed. It can be
    /// less than what the [provider](crate::ProviderBuilder::refresh_token_max_age) is configured with, and never more.
    #[must_use]
    pub fn refresh_token_max_age(self, age: Duration) -> Self {
        self.set(|client| client.refresh_token_max_age = Some(age))
    }

    /// Ends every secret that it has so far at `end`, or before where that was said. With
    /// [`and_secret`](Self::and_secret) behind it, a new one takes their place. A client that signs from now on has none that
    /// goes on.
    #[must_use]
    pub fn retire_secrets(self, end: SystemTime) -> Self {
        let end = end.into();
        self.set(|client| client.secrets.iter_mut().for_each(|secret| secret.until = secret.until.min(end)))
    }

    /// Takes codes without PKCE from this client, as OAuth 2.0 did; only for a confidential client, whose secret then
    /// is all that protects a stolen code ([RFC 9700 §2.1.1](https://www.rfc-editor.org/rfc/rfc9700#section-2.1.1)
    /// asks for PKCE). Where the client does send a challenge, it is checked.
    #[must_use]
    pub fn danger_without_pkce(self) -> Self {
        self.set(|client| client.pkce = false)
    }

    /// Takes authorization requests of this client only where it has pushed them, `require_pushed_authorization_requests`
    /// ([RFC 9126 §6](https://www.rfc-editor.org/rfc/rfc9126#section-6)). The provider has to
    /// [take such requests](crate::ProviderBuilder::pushed_authorization_requests).
    #[must_use]
    pub fn require_pushed_authorization_requests(self) -> Self {
        self.set(|client| client.pushes = true)
    }

    /// Gives this client no token that is not bound to a key of its own, `dpop_bound_access_tokens`
    /// ([RFC 9449 §5.2](https://www.rfc-editor.org/rfc/rfc9449#section-5.2)): a token request without a proof is
    /// `invalid_dpop_proof`. The provider has to [look at proofs](crate::ProviderBuilder::dpop).
    #[cfg(feature = "jwt")]
    #[must_use]
    pub fn dpop_bound_access_tokens(self) -> Self {
        self.set(|client| client.bound_tokens = true)
    }

    /// The id.
    #[must_use]
    pub fn id(&self) -> &ClientId {
        &self.0.id
    }

    /// The name to show, or else the id. Where clients register themselves it is a stranger's text: pages
    /// [escape](crate::escape) it.
    #[must_use]
    pub fn client_name(&self) -> &str {
        self.0.name.as_deref().unwrap_or(self.0.id.as_str())
    }

    /// Whether it keeps a secret or a private key.
    #[must_use]
    pub fn is_confidential(&self) -> bool {
        self.0.auth_method != AuthMethod::None
    }

    /// Whether it runs on the user's own device.
    #[must_use]
    pub fn is_native(&self) -> bool {
        let uris = &self.0.redirect_uris;
        self.0.native.unwrap_or_else(|| !uris.is_empty() && uris.iter().all(RedirectUri::is_native))
    }

    /// The host that vouches for all that is said of this client, where nobody registered it and it describes itself by a
    /// [document](crate::ProviderBuilder::client_id_metadata_documents) at its id. Show it beside the
    /// [name](Self::client_name), which anybody can write into such a document.
    #[must_use]
    pub fn document_host(&self) -> Option<&str> {
        if self.0.from_document { self.0.id.metadata_host() } else { None }
    }

    /// Whether every answer to it goes to the user's own device by plain `http`: then any app there can call itself by its
    /// id, whoever published that. A page says so where nobody registered the client.
    #[must_use]
    pub fn is_loopback_only(&self) -> bool {
        let uris = &self.0.redirect_uris;
        !uris.is_empty() && uris.iter().all(RedirectUri::is_loopback)
    }

    /// The registered redirect URIs.
    pub fn redirect_uris(&self) -> impl Iterator<Item = &str> + '_ {
        self.0.redirect_uris.iter().map(RedirectUri::as_str)
    }

    /// The registered scope; `None` where it registered none and may ask for all that is not reserved.
    #[must_use]
    pub fn registered_scope(&self) -> Option<&Scope> {
        self.0.scope.as_ref()
    }

    /// The API that it serves.
    pub(crate) fn resource(&self) -> Option<&Resource> {
        self.0.resource.as_ref()
    }

    /// What it registered for its access tokens.
    pub(crate) fn own_access_token_lifetime(&self) -> Option<Duration> {
        self.0.access_token_lifetime
    }

    /// What it registered for its grants.
    pub(crate) fn own_max_age(&self) -> Option<Duration> {
        self.0.refresh_token_max_age
    }

    pub(crate) fn auth_method(&self) -> AuthMethod {
        self.0.auth_method
    }

    /// A public client always does, also one that a store answers with, which no `build()` has looked at
    /// (RFC 9700 §2.1.1).
    pub(crate) fn needs_pkce(&self) -> bool {
        self.0.pkce || !self.is_confidential()
    }

    pub(crate) fn has_to_push(&self) -> bool {
        self.0.pushes
    }

    pub(crate) fn wants_bound_tokens(&self) -> bool {
        self.0.bound_tokens
    }

    pub(crate) fn may_use(&self, grant_type: GrantType) -> bool {
        self.0.grant_types.contains(&grant_type)
    }

    /// The registered URI that `presented` is, if any.
    pub(crate) fn match_redirect_uri(&self, presented: &str) -> Option<&RedirectUri> {
        let any_port = self.is_native();
        self.0.redirect_uris.iter().find(|uri| uri.matches(presented, any_port))
    }

    /// The only registered URI; `None` where there are none or several.
    pub(crate) fn only_redirect_uri(&self) -> Option<&RedirectUri> {
        match &*self.0.redirect_uris {
            [only] => Some(only),
            _ => None,
        }
    }

    /// Whether `secret` is one that is live now. Every secret is compared, in constant time.
    pub(crate) fn has_secret(&self, secret: &str, now: UnixTime) -> bool {
        let digest = digest(secret);
        self.0.secrets.iter().fold(false, |found, live| {
            let same = bool::from(live.digest.ct_eq(&digest)) && now < live.until;
            found | same
        })
    }

    /// Everything that is wrong with it, to be said by `build()`.
    pub(crate) fn problems(&self) -> Vec<String> {
        let client = &*self.0;
        let mut problems = client.problems.clone();
        let mut say = |wrong: bool, what: &str| {
            if wrong {
                problems.push(what.to_owned());
            }
        };
        let confidential = self.is_confidential();
        say(client.id.as_str().is_empty(), "its id is empty");
        say(
            !client.id.as_str().bytes().all(|byte| matches!(byte, 0x20..=0x7e)),
            "its id has a character other than printable ASCII",
        );
        say(
            client.auth_method.needs_secret() && client.secrets.is_empty(),
            "it is confidential and has no secret: add one with `.and_secret(..)`",
        );
        say(
            !confidential && !client.secrets.is_empty(),
            "it has a secret and the method `none`: choose one of the two",
        );
        say(
            confidential
                && !client.auth_method.needs_secret()
                && client.secrets.iter().any(|secret| secret.until == UnixTime::FAR_FUTURE),
            "it signs and has a secret, which is never taken: leave `.and_secret(..)` out, or end those from before with \
             `.retire_secrets(..)`",
        );
        say(!confidential && !client.pkce, "a public client needs PKCE: drop `.danger_without_pkce()`");
        say(
            !confidential && self.may_use(GrantType::ClientCredentials),
            "a public client cannot use `client_credentials`: make it confidential",
        );
        say(
            self.may_use(GrantType::AuthorizationCode) && client.redirect_uris.is_empty() && client.problems.is_empty(),
            "it has no redirect URI: add one with `.redirect_uri(..)`",
        );
        say(
            !self.is_native() && client.redirect_uris.iter().any(RedirectUri::is_native),
            "a web client's redirect URIs are `https`: if it runs on the user's device, say `.native()`",
        );
        say(
            client.refresh_token_max_age.is_some_and(|age| age < *ACCESS_TOKEN_LIFE.start()),
            "its grants end at once: a maximum age is 1 second at least",
        );
        #[cfg(feature = "jwt")]
        problems.extend(client.keys.problem(client.auth_method).map(str::to_owned));
        problems
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("id", &self.0.id)
            .field("name", &self.0.name)
            .field("auth_method", &self.0.auth_method)
            .field("redirect_uris", &self.0.redirect_uris)
            .field("scope", &self.0.scope)
            .finish_non_exhaustive()
    }
}

fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn problems(client: &Client) -> String {
        client.problems().join("; ")
    }

    #[test]
    fn a_generated_secret_has_256_bits_in_the_url_alphabet() {
        let secret = ClientSecret::generate();
        assert_eq!(secret.secret().len(), 43);
        assert!(secret.secret().bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')));
        assert_ne!(secret.secret(), ClientSecret::generate().secret());
        assert_eq!(format!("{secret:?}"), "ClientSecret([redacted])");
    }

    #[test]
    fn any_live_secret_is_taken_and_an_ended_one_is_not() {
        let now = UnixTime::from_secs(1_000);
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1_001);
        let client =
            Client::confidential("app", SECRET).and_secret_until("x".repeat(32), end).and_secret("y".repeat(32));
        for (secret, at, good) in [
            (SECRET, now, true),
            (&*"x".repeat(32), now, true),
            (&"x".repeat(32), UnixTime::from_secs(1_001), false),
            (&"y".repeat(32), UnixTime::from_secs(1_001), true),
            (&"z".repeat(32), now, false),
            ("", now, false),
        ] {
            assert_eq!(client.has_secret(secret, at), good, "{secret}");
        }
        assert!(client.clone().and_secret(SECRET).has_secret(SECRET, now), "the same one twice is still one");
        let retired = client
            .clone()
            .retire_secrets(SystemTime::UNIX_EPOCH + Duration::from_secs(2_000))
            .and_secret("n".repeat(32));
        for (secret, good) in
            [(SECRET, false), (&*"x".repeat(32), false), (&"y".repeat(32), false), (&"n".repeat(32), true)]
        {
            assert_eq!(retired.has_secret(secret, UnixTime::from_secs(2_000)), good, "{secret}");
        }
        assert!(retired.has_secret(SECRET, UnixTime::from_secs(1_999)), "as long as was said");
        assert!(!retired.has_secret(&"x".repeat(32), UnixTime::from_secs(1_001)), "an end before that stays");
        assert_eq!(problems(&client), "it has no redirect URI: add one with `.redirect_uri(..)`");
    }

    #[test]
    fn a_client_can_be_made_from_what_a_table_keeps_of_its_secrets() {
        let (old, new) = (ClientSecret::generate(), ClientSecret::generate());
        let client = Client::confidential_sha256("app", [old.sha256(), new.sha256()]).redirect_uri("https://a.example");
        assert!(client.is_confidential() && client.check().is_ok());
        for (secret, good) in [(&old, true), (&new, true), (&ClientSecret::generate(), false)] {
            assert_eq!(client.has_secret(secret.secret(), UnixTime::from_secs(0)), good);
        }
        assert!(problems(&Client::confidential_sha256("app", [])).contains("it is confidential and has no secret"));
    }

    #[test]
    fn a_client_is_native_when_it_says_so_or_all_its_uris_are() {
        let client = Client::public("app");
        assert!(!client.is_native());
        let loopback = client.clone().redirect_uri("http://127.0.0.1/cb");
        assert!(loopback.is_native() && loopback.problems().is_empty());
        assert!(loopback.clone().redirect_uri("com.example.app:/cb").is_native());
        let mixed = loopback.clone().redirect_uri("https://app.example/cb");
        assert!(!mixed.is_native() && problems(&mixed).contains("say `.native()`"));
        assert!(mixed.clone().native().is_native() && mixed.native().problems().is_empty());
        assert!(problems(&loopback.web()).contains("a web client's redirect URIs are `https`"));
    }

    /// RFC 8252 §7.3
    #[test]
    fn only_a_native_client_gets_any_port() {
        let native = Client::public("app").redirect_uri("http://127.0.0.1/cb");
        assert!(native.match_redirect_uri("http://127.0.0.1:4711/cb").is_some());
        assert!(native.web().match_redirect_uri("http://127.0.0.1:4711/cb").is_none());
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let client = Client::public("")
            .redirect_uri("http://app.example/cb")
            .scope("\u{e9}")
            .grant_types([GrantType::ClientCredentials])
            .danger_without_pkce()
            .and_secret("short");
        let problems = problems(&client);
        for part in [
            "write `https`",
            "scope",
            "id is empty",
            "`client_credentials`",
            "PKCE",
            "can be guessed",
            "the method `none`",
        ] {
            assert!(problems.contains(part), "{part} in {problems}");
        }
        assert_eq!(client.registered_scope(), Some(&Scope::default()), "a scope that is wrong allows nothing");
        let bare = Client::public("app").token_endpoint_auth_method(AuthMethod::ClientSecretPost);
        assert!(self::problems(&bare).contains("has no secret"));
        assert!(
            self::problems(&Client::public("\u{e9}").redirect_uri("https://a.example")).contains("printable ASCII")
        );
        let machine = Client::confidential("cron", SECRET).grant_types([GrantType::ClientCredentials]);
        assert_eq!(self::problems(&machine), "");
        assert!(!self::problems(&Client::public("app").redirect_uri("https://")).contains("no redirect URI"));
    }

    #[test]
    fn a_redirect_uri_may_be_left_out_only_where_there_is_one() {
        let none = Client::public("app");
        let one = none.clone().redirect_uri("https://a.example/cb");
        assert!(none.only_redirect_uri().is_none());
        assert_eq!(one.only_redirect_uri().map(RedirectUri::as_str), Some("https://a.example/cb"));
        assert!(one.redirect_uri("https://b.example/cb").only_redirect_uri().is_none());
    }

    #[test]
    fn a_client_has_what_it_was_given_and_debug_shows_no_secret() {
        let client = Client::confidential("app", SECRET).redirect_uri("https://a.example/cb").scope("a");
        assert_eq!(client.client_name(), "app");
        assert_eq!(client.registered_scope(), Some(&"a".parse().unwrap()));
        assert_eq!(client.clone().name("App").client_name(), "App");
        assert_eq!(client.redirect_uris().collect::<Vec<_>>(), ["https://a.example/cb"]);
        assert_eq!(Client::public("app").registered_scope(), None);
        let server = Client::resource_server("api", SECRET, "https://api.example");
        assert_eq!((server.resource(), client.resource()), ("https://api.example".parse().ok().as_ref(), None));
        assert!(client.needs_pkce() && !client.clone().danger_without_pkce().needs_pkce());
        assert!(client.may_use(GrantType::RefreshToken) && !client.may_use(GrantType::ClientCredentials));
        let printed = format!("{client:?}");
        assert!(printed.contains("https://a.example/cb") && !printed.contains(SECRET) && !printed.contains("digest"));
        for (method, name) in [
            (AuthMethod::ClientSecretBasic, "client_secret_basic"),
            (AuthMethod::ClientSecretPost, "client_secret_post"),
            (AuthMethod::None, "none"),
        ] {
            assert_eq!(method.as_str(), name);
        }
        assert_eq!(GrantType::ClientCredentials.as_str(), "client_credentials");
    }
}
