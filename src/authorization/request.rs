//! Reads and validates an authorization request
//! ([RFC 6749 §4.1.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.1),
//! [RFC 7636 §4.3](https://www.rfc-editor.org/rfc/rfc7636#section-4.3),
//! [RFC 8707 §2.1](https://www.rfc-editor.org/rfc/rfc8707#section-2.1)).
//!
//! The client and its redirect URI come first: an error before both are good is shown here and goes nowhere else; every
//! later one goes back to the client.

use std::sync::Arc;
use std::time::Duration;

use super::request_uri::{Pushed, RequestUris};
use crate::client::{Client, GrantType};
use crate::config::Config;
use crate::error::ProtocolError;
use crate::types::{ClientId, CodeChallenge, Params, Resource, Scope, Thumbprint, UnixTime};

/// A request of which only the client's name is read.
pub(crate) struct Draft {
    params: Params,
    client_id: ClientId,
    pushed: Option<Pushed>,
}

/// A request that may be shown to a user.
pub(crate) struct ValidRequest {
    pub(crate) client: Client,
    pub(crate) redirect_uri: Arc<str>,
    pub(crate) redirect_uri_sent: bool,
    pub(crate) state: Option<String>,
    pub(crate) scope: Scope,
    pub(crate) resources: Arc<[Resource]>,
    pub(crate) challenge: Option<CodeChallenge>,
    /// How it is referred to, if its client pushed it.
    pub(crate) pushed: Option<Pushed>,
    /// The key that its code is bound to, `dpop_jkt`.
    pub(crate) dpop_jkt: Option<Thumbprint>,
    pub(crate) params: Params,
}

/// Why a request cannot be shown to a user, and who is told.
pub(crate) enum Rejection {
    /// The user, here: there is no redirect URI that could be trusted.
    Here(ProtocolError),
    /// The client, at its redirect URI.
    Client { redirect_uri: String, state: Option<String>, error: ProtocolError },
}

impl Rejection {
    /// What is wrong, whoever is told.
    pub(crate) const fn error(&self) -> ProtocolError {
        match self {
            Self::Here(error) | Self::Client { error, .. } => *error,
        }
    }
}

/// The parameters that make a query an authorization request, complete or not.
const MARKS: [&str; 5] = ["client_id", "response_type", "redirect_uri", "request_uri", "code_challenge"];

impl Draft {
    /// The longest request that is read, in bytes.
    pub(crate) const MAX: usize = 16 * 1024;

    /// Whether these parameters hold an authorization request, complete or not.
    pub(crate) fn is_in(params: &Params) -> bool {
        MARKS.iter().any(|name| params.has(name))
    }

    pub(crate) fn read(params: Params) -> Result<Self, ProtocolError> {
        if params.is_repeated("client_id") {
            return Err(ProtocolError::CLIENT_ID_REPEATED);
        }
        match params.get("client_id").map(ClientId::from) {
            Some(client_id) => Ok(Self { params, client_id, pushed: None }),
            None => Err(ProtocolError::CLIENT_ID_MISSING),
        }
    }

    /// A request that its client just pushed.
    pub(crate) fn pushed(self, pushed: Pushed) -> Self {
        Self { pushed: Some(pushed), ..self }
    }

    /// The request that this one refers to, if it does: then nothing else in it counts
    /// ([RFC 9126 §4](https://www.rfc-editor.org/rfc/rfc9126#section-4)).
    pub(crate) fn resolved(self, uris: &RequestUris, now: UnixTime) -> Result<Self, ProtocolError> {
        let Some(uri) = self.params.get("request_uri") else { return Ok(self) };
        if self.params.is_repeated("request_uri") {
            return Err(ProtocolError::PARAMETER_REPEATED);
        }
        let (params, pushed) = uris.open(uri)?;
        let draft = Self::read(params)?.pushed(pushed);
        if draft.client_id != self.client_id {
            return Err(ProtocolError::REQUEST_URI_OF_ANOTHER_CLIENT);
        }
        if pushed.expires_at <= now {
            return Err(ProtocolError::REQUEST_URI_EXPIRED);
        }
        Ok(draft)
    }

    pub(crate) fn client_id(&self) -> &ClientId {
        &self.client_id
    }

    /// Checks the request of a client that was found, or not.
    pub(crate) fn validate(self, client: Option<Client>, config: &Config) -> Result<ValidRequest, Rejection> {
        let client = client.ok_or(Rejection::Here(ProtocolError::CLIENT_NOT_REGISTERED))?;
        let redirect_uri = self.redirect_uri(&client).map_err(Rejection::Here)?;
        let redirect_uri_sent = self.params.get("redirect_uri").is_some();
        let state = (!self.params.is_repeated("state")).then(|| self.params.get("state")).flatten().map(str::to_owned);
        let checked = self.way(&client, config).and_then(|()| {
            self.response_type(&client)?;
            let challenge = self.challenge(&client)?;
            self.prompt()?;
            self.authentication(config)?;
            let dpop_jkt = self.dpop_jkt(config)?;
            let resources = config.requested_resources(self.params.all("resource"))?;
            let scope = config.requested_scope(&client, self.params.get("scope"), &resources)?;
            Ok((scope, resources, challenge, dpop_jkt))
        });
        match checked {
            Ok((scope, resources, challenge, dpop_jkt)) => Ok(ValidRequest {
                client,
                redirect_uri,
                redirect_uri_sent,
                state,
                scope,
                resources,
                challenge,
                pushed: self.pushed,
                dpop_jkt,
                params: self.params,
            }),
            Err(error) => Err(Rejection::Client { redirect_uri: redirect_uri.to_string(), state, error }),
        }
    }

    /// RFC 6749 §3.1.2.3: what was sent must be registered; it may be left out where one is.
    fn redirect_uri(&self, client: &Client) -> Result<Arc<str>, ProtocolError> {
        if self.params.is_repeated("redirect_uri") {
            return Err(ProtocolError::REDIRECT_URI_REPEATED);
        }
        let Some(presented) = self.params.get("redirect_uri") else {
            return client.only_redirect_uri().map(|uri| uri.shared()).ok_or(ProtocolError::REDIRECT_URI_MISSING);
        };
        match client.match_redirect_uri(presented) {
            Some(uri) if uri.as_str() == presented => Ok(uri.shared()),
            Some(_) => Ok(presented.into()),
            None => Err(ProtocolError::REDIRECT_URI_NOT_REGISTERED),
        }
    }

    /// RFC 9126 §4: that it has to be pushed is told before all else.
    fn way(&self, client: &Client, config: &Config) -> Result<(), ProtocolError> {
        if self.pushed.is_none() && (config.pushed.required || client.has_to_push()) {
            return Err(ProtocolError::REQUEST_NOT_PUSHED);
        }
        Ok(())
    }

    fn response_type(&self, client: &Client) -> Result<(), ProtocolError> {
        if self.params.any_repeated() {
            return Err(ProtocolError::PARAMETER_REPEATED);
        }
        // OpenID Connect Core §3.1.2.6: said rather than ignored, since their content would have counted.
        if self.params.get("request").is_some() {
            return Err(ProtocolError::REQUEST_OBJECT);
        }
        if self.params.get("request_uri").is_some() {
            return Err(ProtocolError::REQUEST_URI);
        }
        if self.params.get("response_mode").is_some_and(|mode| mode != "query") {
            return Err(ProtocolError::RESPONSE_MODE_UNKNOWN);
        }
        match self.params.get("response_type") {
            None => return Err(ProtocolError::RESPONSE_TYPE_MISSING),
            Some("code") => {}
            Some(_) => {
                return Err(ProtocolError::RESPONSE_TYPE_UNKNOWN);
            }
        }
        if !client.may_use(GrantType::AuthorizationCode) {
            return Err(ProtocolError::RESPONSE_TYPE_NOT_REGISTERED);
        }
        Ok(())
    }

    /// RFC 7636 §4.3 and §4.4.1; a missing method would mean `plain`.
    fn challenge(&self, client: &Client) -> Result<Option<CodeChallenge>, ProtocolError> {
        let method = self.params.get("code_challenge_method");
        match (self.params.get("code_challenge"), method) {
            (None, None) if client.needs_pkce() => Err(ProtocolError::CHALLENGE_MISSING),
            (None, None) => Ok(None),
            (None, Some(_)) => Err(ProtocolError::CHALLENGE_MISSING_BESIDE_METHOD),
            (Some(challenge), Some("S256")) => {
                CodeChallenge::parse(challenge).map(Some).ok_or(ProtocolError::CHALLENGE_MALFORMED)
            }
            (Some(_), _) => Err(ProtocolError::CHALLENGE_METHOD_UNKNOWN),
        }
    }

    /// RFC 9449 §10; where no proofs are looked at it is a parameter like any that is unknown.
    fn dpop_jkt(&self, config: &Config) -> Result<Option<Thumbprint>, ProtocolError> {
        let sent = self.params.get("dpop_jkt").filter(|_| config.takes_dpop());
        sent.map(str::parse).transpose().map_err(|_| ProtocolError::DPOP_JKT_MALFORMED)
    }

    /// OpenID Connect Core §3.1.2.1: `none` stands alone.
    fn prompt(&self) -> Result<(), ProtocolError> {
        let mut prompts = self.params.get("prompt").into_iter().flat_map(|prompt| prompt.split(' '));
        let none = prompts.clone().any(|prompt| prompt == "none");
        if none && prompts.any(|prompt| prompt != "none") {
            return Err(ProtocolError::PROMPT_CONTRADICTS);
        }
        Ok(())
    }

    /// OpenID Connect Core §3.1.2.1; RFC 9470 §5: of the values that are asked for one is needed.
    fn authentication(&self, config: &Config) -> Result<(), ProtocolError> {
        if self.params.get("max_age").is_some_and(|text| seconds(text).is_none()) {
            return Err(ProtocolError::MAX_AGE_MALFORMED);
        }
        let mut asked = acr_values(&self.params).peekable();
        let known = |asked: &str| config.acr_values.iter().any(|known| known == asked);
        if !config.acr_values.is_empty() && asked.peek().is_some() && !asked.any(known) {
            return Err(ProtocolError::ACR_UNKNOWN);
        }
        Ok(())
    }
}

fn acr_values(params: &Params) -> impl Iterator<Item = &str> {
    params.get("acr_values").into_iter().flat_map(|values| values.split(' ')).filter(|value| !value.is_empty())
}

/// A number that is not negative, in decimal digits.
fn seconds(text: &str) -> Option<Duration> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).map(Duration::from_secs)
}

impl ValidRequest {
    /// How the user has to authenticate, in order of preference.
    pub(crate) fn acr_values(&self) -> impl Iterator<Item = &str> {
        acr_values(&self.params)
    }

    /// How long ago the user may have authenticated.
    pub(crate) fn max_age(&self) -> Option<Duration> {
        self.params.get("max_age").and_then(seconds)
    }

    pub(crate) fn has_prompt(&self, value: &str) -> bool {
        self.params.get("prompt").is_some_and(|prompt| prompt.split(' ').any(|one| one == value))
    }

    /// What the request is, whatever else stands in its query: for the tag of a form.
    pub(crate) fn identity(&self) -> Vec<&[u8]> {
        let challenge = self.challenge.as_ref().map_or(&[][..], |challenge| &challenge.as_bytes()[..]);
        let state = self.state.as_deref().unwrap_or_default();
        let mut parts = vec![
            self.client.id().as_str().as_bytes(),
            self.redirect_uri.as_bytes(),
            self.scope.as_str().as_bytes(),
            state.as_bytes(),
            challenge,
        ];
        parts.extend(self.resources.iter().map(|resource| resource.as_str().as_bytes()));
        parts.extend(self.dpop_jkt.iter().map(|key| &key.as_bytes()[..]));
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_uri_that_is_the_registered_one_shares_its_text() {
        let client = Client::public("app").redirect_uri("http://127.0.0.1/cb");
        let registered = client.only_redirect_uri().unwrap().shared();
        for (sent, answered, shared) in [
            ("", "http://127.0.0.1/cb", true),
            ("&redirect_uri=http://127.0.0.1/cb", "http://127.0.0.1/cb", true),
            ("&redirect_uri=http://127.0.0.1:4711/cb", "http://127.0.0.1:4711/cb", false),
        ] {
            let params = Params::parse(format!("client_id=app{sent}").as_bytes()).unwrap();
            let uri = Draft::read(params).ok().unwrap().redirect_uri(&client).unwrap();
            assert_eq!((&*uri, Arc::ptr_eq(&uri, &registered)), (answered, shared));
        }
    }
}
