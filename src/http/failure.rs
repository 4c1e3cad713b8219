use std::error::Error;

use http::StatusCode;

use super::BoxError;
use crate::error::{ErrorCode, ProtocolError, StoreError};
use crate::event::Event;
use crate::handle::GrantKey;
use crate::provider::{NoClient, Provider};
use crate::span;
use crate::types::{ClientId, InvalidParams};

/// Why an endpoint does not give what it was asked for, and what an operator may know of it.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What the client hears.
    error: ProtocolError,
    client: Option<ClientId>,
    grant: Option<GrantKey>,
    source: Option<StoreError>,
}

impl Failure {
    /// Of which client the request was.
    pub(crate) fn of(mut self, client: &ClientId) -> Self {
        self.client.get_or_insert_with(|| client.clone());
        self
    }

    /// About which grant it was.
    pub(crate) fn on(mut self, grant: GrantKey) -> Self {
        self.grant = Some(grant);
        self
    }

    /// What the operator may know of it.
    pub(crate) fn because(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(StoreError::new(source));
        self
    }

    pub(crate) const fn error(&self) -> &ProtocolError {
        &self.error
    }

    pub(crate) fn status(&self) -> StatusCode {
        match self.error {
            ProtocolError::CROSS_SITE => StatusCode::FORBIDDEN,
            ProtocolError::METHOD_NOT_TAKEN => StatusCode::METHOD_NOT_ALLOWED,
            ProtocolError::BODY_TOO_LONG
            | ProtocolError::REQUEST_BODY_TOO_LONG
            | ProtocolError::PUSHED_REQUEST_TOO_LONG => StatusCode::PAYLOAD_TOO_LARGE,
            ProtocolError::REQUEST_TOO_LONG => StatusCode::URI_TOO_LONG,
            ProtocolError::BODY_IS_NO_FORM | ProtocolError::BODY_IS_NO_JSON => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            error => match error.code() {
                ErrorCode::InvalidClient | ErrorCode::InvalidToken => StatusCode::UNAUTHORIZED,
                // Not 401: there is no challenge that a browser could answer.
                ErrorCode::LoginRequired => StatusCode::FORBIDDEN,
                ErrorCode::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
                ErrorCode::TemporarilyUnavailable => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::BAD_REQUEST,
            },
        }
    }

    /// Lets the operator know.
    pub(crate) fn report(&self, provider: &Provider) {
        span::record("oauth.error", self.error.code().as_str());
        provider.tell(&Event {
            client: self.client.as_ref(),
            grant: self.grant,
            source: self.source.as_ref().and_then(Error::source),
            ..Event::refused(self.error)
        });
    }
}

impl From<ProtocolError> for Failure {
    fn from(error: ProtocolError) -> Self {
        Self { error, client: None, grant: None, source: None }
    }
}

impl From<InvalidParams> for Failure {
    fn from(why: InvalidParams) -> Self {
        ProtocolError::from(why).into()
    }
}

impl From<NoClient> for Failure {
    fn from(why: NoClient) -> Self {
        match why {
            NoClient::Store(error) => error.into(),
            NoClient::Document(error) => error.into(),
            NoClient::Unavailable(why) => Self::from(ProtocolError::DOCUMENT_UNAVAILABLE).because(why),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(source: StoreError) -> Self {
        Self { source: Some(source), ..ProtocolError::UNAVAILABLE.into() }
    }
}
