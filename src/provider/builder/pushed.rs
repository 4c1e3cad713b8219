use std::time::Duration;

use super::ProviderBuilder;
use crate::config::{ConfigError, PushedRequests};

impl ProviderBuilder {
    /// Lets clients push an authorization request and send the user with a reference to it, `request_uri`, so that neither
    /// the browser nor what it passes can read or change what is asked for
    /// ([RFC 9126](https://www.rfc-editor.org/rfc/rfc9126)). By default they cannot.
    ///
    /// A request is pushed by the client that authenticates as at the token endpoint, and validated as at the authorization
    /// endpoint; one that would not pass there is refused at once. A reference is good for its client, on any node, until
    /// the user decides or it expires. The page sees the request as if it had been sent, and its query stays the
    /// reference.
    pub fn pushed_authorization_requests(mut self) -> Self {
        self.pushed.on = true;
        self
    }

    /// Takes authorization requests only where they were [pushed](Self::pushed_authorization_requests); any other is
    /// `invalid_request` ([RFC 9126 §5](https://www.rfc-editor.org/rfc/rfc9126#section-5)). A
    /// [client](crate::Client::require_pushed_authorization_requests) can be held to it alone.
    pub fn require_pushed_authorization_requests(mut self) -> Self {
        self.pushed = PushedRequests { on: true, required: true, ..self.pushed };
        self
    }

    /// How long a pushed request is good, from 5 seconds to 10 minutes: in this time the user has to have decided. By
    /// default 9 minutes; FAPI 2.0 wants less than 10.
    pub fn pushed_authorization_request_lifetime(mut self, lifetime: Duration) -> Self {
        self.pushed.lifetime = Some(lifetime);
        self
    }

    pub(super) fn check_pushed(&self, wrong: &mut Vec<ConfigError>) {
        if self.pushed.lifetime.is_some() && !self.pushed.on {
            wrong.push(ConfigError::PushedAuthorizationRequests(
                "`.pushed_authorization_request_lifetime(..)` is for those that are taken and none is: add \
                 `.pushed_authorization_requests()`, or leave it out"
                    .to_owned(),
            ));
        }
        if !PushedRequests::LIFETIMES.contains(&self.pushed.lifetime()) {
            wrong.push(ConfigError::Lifetime("a pushed request is good for 5 seconds to 10 minutes".to_owned()));
        }
        for client in self.fixed.iter().filter(|client| client.has_to_push() && !self.pushed.on) {
            let why = "its requests have to be pushed and none are taken so: add `.pushed_authorization_requests()`";
            wrong.push(ConfigError::Client { client: client.id().clone(), why: why.to_owned() });
        }
    }
}
