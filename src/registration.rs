//! Clients that register themselves ([RFC 7591](https://www.rfc-editor.org/rfc/rfc7591)): what they may become.
//!
//! Off until a [`RegistrationPolicy`] is configured. Where it [says so](RegistrationPolicy::management), they also read,
//! replace and delete what they registered ([RFC 7592](https://www.rfc-editor.org/rfc/rfc7592)).
//!
//! Clients that nobody registers, and that describe themselves at a URL which is their id: [`ClientIdMetadataPolicy`].
//!
//! ```
//! use tower_oauth::{MemoryStore, Provider, RegistrationPolicy};
//!
//! let provider = Provider::builder("https://shift.example")
//!     .store(MemoryStore::new())
//!     .scope("profile", "see your profile")
//!     .registration(RegistrationPolicy::open().scope("profile"))
//!     .build()?;
//! # Ok::<_, tower_oauth::ConfigErrors>(())
//! ```

mod metadata_document;
#[cfg(feature = "jwt")]
mod private_key_jwt;

use std::time::Duration;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::client::{AuthMethod, Client, ClientSecret, GrantType};
use crate::error::ProtocolError;
use crate::types::{ClientId, RedirectUri, Scope};

pub use metadata_document::ClientIdMetadataPolicy;
pub(crate) use metadata_document::of_document;

/// Who may register clients, how many, and what they may have.
#[derive(Clone, Debug)]
#[must_use]
pub struct RegistrationPolicy {
    pub(crate) initial_access_token: Option<[u8; 32]>,
    pub(crate) scope: Option<String>,
    pub(crate) limit: usize,
    pub(crate) keep_unused: Duration,
    pub(crate) management: bool,
}

impl RegistrationPolicy {
    /// Anybody may register.
    pub const fn open() -> Self {
        Self {
            initial_access_token: None,
            scope: None,
            limit: 10_000,
            keep_unused: Duration::from_secs(24 * 60 * 60),
            management: false,
        }
    }

    /// Whoever brings this token as `Authorization: Bearer` may register; use [`ClientSecret::generate`].
    pub fn initial_access_token(token: impl Into<ClientSecret>) -> Self {
        let token = Sha256::digest(token.into().secret()).into();
        Self { initial_access_token: Some(token), ..Self::open() }
    }

    /// All that a client may register for; by default every scope that is not reserved.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// How many registered clients there can be. By default 10,000.
    ///
    /// One more is answered with 503, and without `Retry-After`: room may come with the next sweep or in a day, and
    /// whoever asks again every second gets none sooner.
    pub const fn limit(mut self, clients: usize) -> Self {
        self.limit = clients;
        self
    }

    /// For how long a client is kept that no user connects. By default a day.
    pub const fn keep_unused(mut self, span: Duration) -> Self {
        self.keep_unused = span;
        self
    }

    /// Lets a client that registered itself read, replace and delete its registration
    /// ([RFC 7592](https://www.rfc-editor.org/rfc/rfc7592)). By default it cannot.
    ///
    /// It is answered a `registration_access_token`, of which the store has a digest, and a `registration_client_uri`, which
    /// is the registration endpoint with its `client_id` in the query. What it can become is the same as when it
    /// registered. A secret is answered once, when it is made: reading does not show it again. Deleting ends the client's
    /// grants. Who registered before this was said, and whom the app or its operator registered, has no such token.
    ///
    /// [`Provider::renew_registration_access_token`](crate::Provider::renew_registration_access_token) makes another token,
    /// for a client that lost its own.
    pub const fn management(mut self) -> Self {
        self.management = true;
        self
    }

    /// Whether this token lets its bearer register.
    pub(crate) fn admits(&self, token: Option<&str>) -> bool {
        self.initial_access_token
            .is_none_or(|digest| token.is_some_and(|token| Sha256::digest(token).as_slice().ct_eq(&digest).into()))
    }
}

/// A client that was made from what it sent. Where it replaces another one, it is still without what it keeps of that.
pub(crate) struct Registered {
    pub(crate) client: Client,
    /// What it said that decides nothing here.
    pub(crate) metadata: Map<String, Value>,
    /// Its secret, where one was made.
    pub(crate) secret: Option<ClientSecret>,
}

impl Registered {
    /// All that was registered (§3.2.1), and the secret.
    pub(crate) fn answer(&self) -> Map<String, Value> {
        let mut answer = describe(&self.client, &self.metadata);
        answer.extend(self.secret_members());
        answer
    }

    /// What is said of a secret that was made just now.
    pub(crate) fn secret_members(&self) -> Map<String, Value> {
        let mut members = Map::new();
        if let Some(secret) = &self.secret {
            members.insert("client_secret".to_owned(), secret.secret().into());
            members.insert("client_secret_expires_at".to_owned(), 0.into());
        }
        members
    }

    /// The client, where it was another one before.
    pub(crate) fn client_in_place_of(&self, earlier: &Client) -> Client {
        self.client.clone().in_place_of(earlier, self.metadata.clone())
    }
}

/// A client as it is registered, with what it said beside.
pub(crate) fn describe(client: &Client, metadata: &Map<String, Value>) -> Map<String, Value> {
    let mut answer = metadata.clone();
    let mut put = |name: &str, value: Value| answer.insert(name.to_owned(), value);
    let by_code = client.may_use(GrantType::AuthorizationCode);
    put("client_id", client.id().as_str().into());
    put("redirect_uris", client.redirect_uris().collect::<Vec<_>>().into());
    put("token_endpoint_auth_method", client.auth_method().as_str().into());
    put("grant_types", client.grant_types_registered().map(GrantType::as_str).collect::<Vec<_>>().into());
    put("response_types", if by_code { vec!["code"] } else { Vec::new() }.into());
    put("application_type", if client.is_native() { "native" } else { "web" }.into());
    if let Some(name) = client.own_name() {
        put("client_name", name.into());
    }
    if let Some(scope) = client.registered_scope().filter(|scope| !scope.is_empty()) {
        put("scope", scope.to_string().into());
    }
    if client.has_to_push() {
        put("require_pushed_authorization_requests", true.into());
    }
    #[cfg(feature = "jwt")]
    if client.wants_bound_tokens() {
        put(DPOP_BOUND, true.into());
    }
    answer
}

/// RFC 9449 §5.2
#[cfg(feature = "jwt")]
const DPOP_BOUND: &str = "dpop_bound_access_tokens";

/// How many entries a list can have.
const MOST: usize = 20;

/// Texts that a client may register beside what the protocol reads.
const TEXTS: [&str; 3] = ["client_name", "software_id", "software_version"];
/// Likewise URLs, which pages may link to.
const URLS: [&str; 5] = ["client_uri", "logo_uri", "tos_uri", "policy_uri", "jwks_uri"];

/// What clients may become here.
pub(crate) struct Allowed {
    pub(crate) scope: Scope,
    /// Whether they may push what they ask for, and be held to it.
    pub(crate) pushed: bool,
    /// Whether they may sign.
    #[cfg(feature = "jwt")]
    pub(crate) private_key_jwt: bool,
    /// Whether their keys can be read from where they publish them.
    #[cfg(feature = "jwt")]
    pub(crate) jwks_uri: bool,
    /// Whether their tokens can be bound to keys of theirs.
    #[cfg(feature = "jwt")]
    pub(crate) dpop: bool,
}

/// Makes a client of the metadata that it sent, within `allowed`; an `earlier` one of the same it replaces. Values that are
/// not taken are left out or replaced, and the answer says what was registered (§3.2.1); a chosen `client_id` is not a
/// member that is read.
pub(crate) fn register(
    sent: &Map<String, Value>,
    allowed: &Allowed,
    earlier: Option<&Client>,
) -> Result<Registered, ProtocolError> {
    let mut metadata = Map::new();
    let mut secret = None;
    let method = auth_method(sent, allowed)?;
    let grant_types = grant_types(sent)?;
    let by_code = grant_types.contains(&GrantType::AuthorizationCode);
    if method == AuthMethod::None && grant_types.contains(&GrantType::ClientCredentials) {
        return Err(ProtocolError::METADATA_PUBLIC_FOR_ITSELF);
    }
    let uris = entries(sent, "redirect_uris")?.unwrap_or_default();
    if by_code && uris.is_empty() {
        return Err(ProtocolError::METADATA_REDIRECT_URIS_MISSING);
    }
    if list(sent, "response_types")?.is_some_and(|types| by_code && !types.contains(&"code")) {
        return Err(ProtocolError::METADATA_RESPONSE_TYPES);
    }
    let scope = scope(sent, &allowed.scope)?;
    let new_id = || ClientId::from(ClientSecret::generate().secret());
    let id = earlier.map_or_else(new_id, |client| client.id().clone());
    let mut client = match method {
        AuthMethod::None => Client::public(id),
        #[cfg(feature = "jwt")]
        AuthMethod::PrivateKeyJwt => private_key_jwt::client(id, sent, allowed, &mut metadata)?,
        // It keeps the secret that it has.
        method if earlier.is_some_and(Client::needs_secret) => {
            Client::confidential_sha256(id, []).token_endpoint_auth_method(method)
        }
        method => {
            let made = secret.insert(ClientSecret::generate());
            Client::confidential(id, &*made).token_endpoint_auth_method(method)
        }
    };
    for uri in &uris {
        if !is_readable(uri) {
            return Err(ProtocolError::METADATA_REDIRECT_URI_ILLEGIBLE);
        }
        RedirectUri::parse(uri).map_err(|why| ProtocolError::METADATA_REDIRECT_URI.saying(why))?;
        client = client.redirect_uri(*uri);
    }
    client = match text(sent, "application_type")? {
        Some("native") => client.native(),
        Some("web") => client.web(),
        Some(_) => return Err(ProtocolError::METADATA_APPLICATION_TYPE),
        None => client,
    };
    client = client.grant_types(grant_types.iter().copied()).scope(scope.to_string());
    let pushes = if allowed.pushed { flag(sent, "require_pushed_authorization_requests")? } else { None };
    if let Some(pushes) = pushes {
        metadata.insert("require_pushed_authorization_requests".to_owned(), pushes.into());
        if pushes {
            client = client.require_pushed_authorization_requests();
        }
    }
    #[cfg(feature = "jwt")]
    if allowed.dpop && flag(sent, DPOP_BOUND)? == Some(true) {
        client = client.dpop_bound_access_tokens();
    }
    for name in TEXTS {
        // A name of spaces alone would leave a page with nothing to show; what else cannot be seen was refused.
        if let Some(text) = text(sent, name)?.filter(|text| !text.trim().is_empty()) {
            metadata.insert(name.to_owned(), text.into());
        }
    }
    if let Some(name) = metadata.get("client_name").and_then(Value::as_str) {
        client = client.name(name);
    }
    let whole = client.clone();
    let whole = if let Some(earlier) = earlier { whole.in_place_of(earlier, Map::new()) } else { whole };
    if !whole.problems().is_empty() {
        return Err(ProtocolError::METADATA_REDIRECT_URI_NOT_HTTPS);
    }
    links(sent, &mut metadata)?;
    Ok(Registered { client, metadata, secret })
}

/// Addresses, contacts and keys; kept as they are, after a look.
fn links(sent: &Map<String, Value>, answer: &mut Map<String, Value>) -> Result<(), ProtocolError> {
    for name in URLS {
        let Some(url) = text(sent, name)? else { continue };
        check_url(url)?;
        answer.insert(name.to_owned(), url.into());
    }
    if let Some(contacts) = list(sent, "contacts")? {
        answer.insert("contacts".to_owned(), contacts.into());
    }
    match sent.get("jwks") {
        None | Some(Value::Null) => {}
        Some(Value::Object(_)) if answer.contains_key("jwks_uri") => {
            return Err(ProtocolError::METADATA_JWKS_TWICE);
        }
        Some(jwks @ Value::Object(keys)) if keys.get("keys").is_some_and(Value::is_array) => {
            answer.insert("jwks".to_owned(), jwks.clone());
        }
        Some(_) => return Err(ProtocolError::METADATA_JWKS),
    }
    Ok(())
}

fn check_url(url: &str) -> Result<(), ProtocolError> {
    if RedirectUri::is_web(url) { Ok(()) } else { Err(ProtocolError::METADATA_URL) }
}

fn auth_method(sent: &Map<String, Value>, allowed: &Allowed) -> Result<AuthMethod, ProtocolError> {
    match text(sent, "token_endpoint_auth_method")?.map(AuthMethod::named) {
        None => Ok(AuthMethod::ClientSecretBasic),
        Some(Some(method)) if allowed.takes(method) => Ok(method),
        Some(_) => Err(ProtocolError::METADATA_AUTH_METHOD),
    }
}

impl Allowed {
    const fn takes(&self, method: AuthMethod) -> bool {
        match method {
            #[cfg(feature = "jwt")]
            AuthMethod::PrivateKeyJwt => self.private_key_jwt,
            _ => true,
        }
    }
}

/// Those that are known here; a client may name more than one provider has.
fn grant_types(sent: &Map<String, Value>) -> Result<Vec<GrantType>, ProtocolError> {
    let Some(names) = list(sent, "grant_types")? else { return Ok(vec![GrantType::AuthorizationCode]) };
    let known = [GrantType::AuthorizationCode, GrantType::RefreshToken, GrantType::ClientCredentials];
    let taken: Vec<_> = known.into_iter().filter(|grant_type| names.contains(&grant_type.as_str())).collect();
    if taken.is_empty() {
        return Err(ProtocolError::METADATA_GRANT_TYPES);
    }
    Ok(taken)
}

/// What it asked for as far as it is allowed; without a word, all that is allowed.
fn scope(sent: &Map<String, Value>, allowed: &Scope) -> Result<Scope, ProtocolError> {
    let Some(asked) = text(sent, "scope")? else { return Ok(allowed.clone()) };
    let asked: Scope = asked.parse().map_err(|_| ProtocolError::METADATA_SCOPE_MALFORMED)?;
    let scope = asked.filter(|name| allowed.contains(name));
    if scope.is_empty() && !asked.is_empty() {
        return Err(ProtocolError::METADATA_SCOPE_NOT_ALLOWED);
    }
    Ok(if asked.is_empty() { allowed.clone() } else { scope })
}

fn text<'a>(sent: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, ProtocolError> {
    match sent.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if is_readable(text) => Ok(Some(text)),
        Some(Value::String(_)) => Err(ProtocolError::METADATA_ILLEGIBLE),
        Some(_) => Err(ProtocolError::METADATA_OF_WRONG_TYPE),
    }
}

fn flag(sent: &Map<String, Value>, name: &str) -> Result<Option<bool>, ProtocolError> {
    match sent.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(ProtocolError::METADATA_OF_WRONG_TYPE),
    }
}

fn list<'a>(sent: &'a Map<String, Value>, name: &str) -> Result<Option<Vec<&'a str>>, ProtocolError> {
    let entries = entries(sent, name)?;
    if entries.iter().flatten().any(|text| !is_readable(text)) {
        return Err(ProtocolError::METADATA_ILLEGIBLE);
    }
    Ok(entries)
}

/// A list of texts, whatever they are.
fn entries<'a>(sent: &'a Map<String, Value>, name: &str) -> Result<Option<Vec<&'a str>>, ProtocolError> {
    let values = match sent.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(values)) if values.len() <= MOST => values,
        Some(Value::Array(_)) => return Err(ProtocolError::METADATA_LIST_TOO_LONG),
        Some(_) => return Err(ProtocolError::METADATA_OF_WRONG_TYPE),
    };
    let texts: Option<Vec<_>> = values.iter().map(Value::as_str).collect();
    texts.map(Some).ok_or(ProtocolError::METADATA_OF_WRONG_TYPE)
}

fn is_readable(text: &str) -> bool {
    text.len() <= 2048 && text.chars().all(is_plain)
}

/// Whether a page shows it to users as it is: it is no control character, turns no text around, and can be seen.
fn is_plain(char: char) -> bool {
    // What Unicode lets a font leave out (Default_Ignorable_Code_Point; most that turn a text around are among them).
    let is_ignorable = matches!(
        char,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
    );
    // Ends of lines, the blank of Braille, and the marks of annotations.
    let is_blank = matches!(char, '\u{2028}'..='\u{2029}' | '\u{2800}' | '\u{fff9}'..='\u{fffb}');
    !(char.is_control() || is_ignorable || is_blank)
}
