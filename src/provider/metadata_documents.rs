//! Clients that nobody registered: what they say of themselves, at the URL that is their id.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Request, Response, StatusCode};

use super::Provider;
use crate::client::Client;
use crate::clock::Clock;
use crate::error::{ProtocolError, StoreError};
#[cfg(feature = "http-client")]
use crate::fetch::HttpClientError;
use crate::fetch::{AtMost, BoxError, Documents, DynFetch, FetchError, Pace, Source, Terms, Unfit};
use crate::handle::GrantKey;
use crate::registration::{Allowed, of_document};
use crate::types::{ClientId, Params};

/// How many documents are kept.
const MOST: usize = 1_000;
/// How many are read at once.
const MOST_AT_ONCE: usize = 64;
/// The longest document (§8.7).
const MOST_BYTES: usize = 5 * 1024;

/// A document is as fresh as its server says, within bounds (§5.2); what was no good is not kept at all. A client that is
/// connected goes on by what was read last, for a day, while its server is down.
const TERMS: Terms = Terms {
    fresh_at_least: Duration::from_secs(10),
    fresh_at_most: Duration::from_secs(3_600),
    fresh_unsaid: Duration::from_secs(300),
    stale_if_error: Duration::from_secs(24 * 3_600),
    cooldown: Duration::ZERO,
    back_off: Duration::ZERO,
    down_for: Duration::from_secs(60),
    longest: Duration::from_secs(10),
};

pub(super) struct MetadataDocuments {
    clients: Documents<Client>,
    /// For what anybody can ask for, and for what a user has connected.
    anybody: Pace,
    connected: Pace,
}

impl MetadataDocuments {
    pub(super) fn new(fetch: Arc<dyn DynFetch>, clock: &Arc<dyn Clock>, allowed: Allowed) -> Self {
        let read = move |url: &str, answer: &Response<Bytes>| Ok(client_at(url, answer, &allowed)?);
        let fetch = Arc::new(AtMost::new(MOST_AT_ONCE, fetch));
        let source = Source::new(fetch, Arc::clone(clock), TERMS, read).asking(get, MOST_BYTES);
        let pace = || Pace::new(Arc::clone(clock));
        Self { clients: Documents::new(source, MOST), anybody: pace(), connected: pace() }
    }

    /// The client as its document says now, for a new authorization.
    async fn current(&self, id: &ClientId, host: &str) -> Result<Client, Unread> {
        let found = match self.clients.cached(id.as_str()) {
            Some(client) => Ok(client),
            None => {
                self.may_ask(id, host, &self.anybody)?;
                self.clients.current(id.as_str()).await
            }
        };
        self.read(id, found)
    }

    /// The client, for one that has got something here: as its document says now or, if that cannot be read, said a while
    /// ago.
    async fn connected(&self, id: &ClientId, host: &str) -> Result<Client, Unread> {
        if let Err(busy) = self.may_ask(id, host, &self.connected) {
            return self.clients.at_hand(id.as_str()).map(|client| Client::clone(&client)).ok_or(busy);
        }
        self.read(id, self.clients.get(id.as_str()).await)
    }

    /// What was there is asked for again as often as it gets old. What nobody has seen, or was not there, is asked for at a
    /// pace, since there is no end of names that strangers can make up.
    fn may_ask(&self, id: &ClientId, host: &str, pace: &Pace) -> Result<(), Unread> {
        if self.clients.is_expected(id.as_str()) || pace.lets(host) { Ok(()) } else { Err(Unread::Busy) }
    }

    fn read(&self, id: &ClientId, found: Result<Arc<Client>, FetchError>) -> Result<Client, Unread> {
        found.map(|client| Client::clone(&client)).map_err(|error| {
            self.clients.forget_nothing(id.as_str());
            Unread::Failed(error)
        })
    }
}

fn get(url: &str) -> http::Result<Request<Bytes>> {
    Request::get(url).header(ACCEPT, "application/json").body(Bytes::new())
}

fn client_at(url: &str, answer: &Response<Bytes>, allowed: &Allowed) -> Result<Client, ProtocolError> {
    let mut types = answer.headers().get_all(CONTENT_TYPE).iter();
    let content_type = types.next().and_then(|value| value.to_str().ok()).unwrap_or_default();
    if types.next().is_some() || !is_json(content_type) {
        return Err(ProtocolError::DOCUMENT_IS_NO_JSON);
    }
    of_document(&url.into(), answer.body(), allowed)
}

/// `application/json` or `application/<any>+json` (§4), whatever its parameters.
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let subtype = essence.strip_prefix("application/");
    subtype.is_some_and(|subtype| subtype == "json" || subtype.len() > 5 && subtype.ends_with("+json"))
}

/// Why a document is not there. What is printed has no name that a stranger sent.
#[derive(Debug)]
enum Unread {
    Busy,
    Failed(FetchError),
}

impl Unread {
    /// What is wrong with the document, if it is not that it cannot be had now.
    fn refusal(&self) -> Option<ProtocolError> {
        let cause = self.source()?;
        if let Some(refusal) = cause.downcast_ref::<ProtocolError>() {
            return Some(*refusal);
        }
        #[cfg(feature = "http-client")]
        if matches!(cause.downcast_ref(), Some(HttpClientError::TooLarge)) {
            return Some(ProtocolError::DOCUMENT_TOO_LONG);
        }
        match cause.downcast_ref::<Unfit>()? {
            Unfit::TooLong(_) => Some(ProtocolError::DOCUMENT_TOO_LONG),
            Unfit::Status(StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS) => None,
            Unfit::Status(status) if status.is_server_error() => None,
            Unfit::Status(_) => Some(ProtocolError::DOCUMENT_NOT_THERE),
        }
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "too many metadata documents of clients are asked for, of one host or in all",
            Self::Failed(_) => "the metadata document of a client cannot be read",
        })
    }
}

impl Error for Unread {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Busy => None,
            Self::Failed(error) => error.source(),
        }
    }
}

/// Why nobody can tell who a client is.
pub(crate) enum NoClient {
    Store(StoreError),
    /// What it says of itself is not taken.
    Document(ProtocolError),
    /// What it says of itself cannot be had now.
    Unavailable(BoxError),
}

impl From<StoreError> for NoClient {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Provider {
    /// A client that a user is asked about: what describes it is as it is now.
    pub(crate) async fn client_to_ask_about(&self, id: &ClientId) -> Result<Option<Client>, NoClient> {
        if let Some(client) = self.own_client(id).await? {
            return Ok(Some(client));
        }
        let Some((documents, host)) = self.describes_itself(id) else { return Ok(None) };
        let client = documents.current(id, host).await.map_err(|unread| match unread.refusal() {
            Some(refusal) => NoClient::Document(refusal),
            None => NoClient::Unavailable(unread.into()),
        });
        client.map(Some)
    }

    /// A client that sends these parameters. What describes it is fetched only where they have something that it has got
    /// here: else it is nobody, unless it is known already. Where that fails, it is to try again: it may be the client, and
    /// no server that is down, or has another file there for a minute, ends what a user connected.
    pub(crate) async fn client_that_sends(&self, id: &ClientId, params: &Params) -> Result<Option<Client>, NoClient> {
        if let Some(client) = self.own_client(id).await? {
            return Ok(Some(client));
        }
        let Some((documents, host)) = self.describes_itself(id) else { return Ok(None) };
        if let Some(client) = documents.clients.cached(id.as_str()) {
            return Ok(Some(Client::clone(&client)));
        }
        if !self.has_got(id, params).await? {
            return Ok(self.described_at_hand(id));
        }
        documents.connected(id, host).await.map(Some).map_err(|unread| NoClient::Unavailable(unread.into()))
    }

    /// What is known of a client that describes itself, without a fetch.
    pub(super) fn described_at_hand(&self, id: &ClientId) -> Option<Client> {
        let (documents, _) = self.describes_itself(id)?;
        documents.clients.at_hand(id.as_str()).map(|client| Client::clone(&client))
    }

    fn describes_itself<'a>(&'a self, id: &'a ClientId) -> Option<(&'a MetadataDocuments, &'a str)> {
        let documents = self.0.documents.as_ref()?;
        let host = id.metadata_host()?;
        let policy = self.0.config.client_id_metadata.as_ref()?;
        policy.admits(id).then_some((documents, host))
    }

    /// Whether a code or token among these parameters was given to this client. What is forged is not looked for.
    async fn has_got(&self, id: &ClientId, params: &Params) -> Result<bool, StoreError> {
        let Some(key) = self.grant_named(params).await? else { return Ok(false) };
        Ok(self.grant(key).await?.is_some_and(|grant| grant.client_id() == id))
    }

    async fn grant_named(&self, params: &Params) -> Result<Option<GrantKey>, StoreError> {
        let handles = &self.0.handles;
        let code = params.get("code").and_then(|text| handles.open_code(text).ok()).map(|handle| handle.grant);
        let refresh =
            |name| params.get(name).and_then(|text| handles.open_refresh(text).ok()).map(|handle| handle.grant);
        let access = || params.get("token").and_then(|text| handles.open_access(text).ok()).map(|handle| handle.grant);
        let grant = code.or_else(|| refresh("refresh_token")).or_else(|| refresh("token")).or_else(access);
        if let Some(grant) = grant {
            return Ok(Some(handles.key_of(grant)));
        }
        #[cfg(feature = "jwt")]
        if let Some(token) = params.get("token") {
            return Ok(self.open_jwt(token).await?.ok().map(|jwt| jwt.key));
        }
        Ok(None)
    }
}
