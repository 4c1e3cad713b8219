//! Every refusal there is.

use super::{ErrorCode, ProtocolError};

macro_rules! refusals {
    ($($code:ident { $($name:ident = $reason:literal, $description:literal;)* })*) => {
        impl ProtocolError {
            $($(#[cfg_attr(not(feature = "jwt"), allow(dead_code, reason = "some are for what only that feature has"))]
            pub(crate) const $name: Self = Self::new(ErrorCode::$code, $reason, $description);)*)*

            /// Why, for the operator: a code that stays the same from version to version, in [events](crate::event) and
            /// logs. The wire never carries it, since there it would tell an attacker which part of a guess was right.
            ///
            /// | reason | on the wire | |
            /// |---|---|---|
            $($(#[doc = concat!("| `", $reason, "` | `", stringify!($code), "` | ", $description, " |")])*)*
            #[must_use]
            pub const fn reason(&self) -> &'static str {
                self.reason
            }
        }

        #[cfg(test)]
        const ALL: &[ProtocolError] = &[$($(ProtocolError::$name,)*)*];
    };
}

refusals! {
    InvalidRequest {
        METHOD_NOT_TAKEN = "method_not_taken", "this endpoint does not take this method";
        CONTENT_TYPE_REPEATED = "content_type_repeated", "there is more than one Content-Type";
        BODY_IS_NO_FORM = "body_is_no_form", "the body has to be application/x-www-form-urlencoded";
        BODY_TOO_LONG = "body_too_long", "the body is too long: 64 KiB at most";
        BODY_UNREADABLE = "body_unreadable", "the body could not be read";
        PARAMETERS_TOO_MANY = "parameters_too_many", "there are too many parameters";
        PARAMETER_NOT_UTF8 = "parameter_not_utf8", "a parameter is not UTF-8";
        PARAMETER_REPEATED = "parameter_repeated", "a parameter is repeated";
        PARAMETERS_IN_QUERY = "parameters_in_query", "the parameters belong into the body, not into the query";
        AUTHORIZATION_REPEATED = "authorization_repeated", "there is more than one Authorization header";
        CLIENT_AUTHENTICATED_TWICE = "client_authenticated_twice", "the client authenticates in two ways";
        CLIENT_ID_DIFFERS = "client_id_differs", "the body names another client than the Authorization header";
        CLIENT_ID_MISSING = "client_id_missing", "client_id is missing";
        CLIENT_ID_REPEATED = "client_id_repeated", "client_id is repeated";
        CLIENT_NOT_REGISTERED = "client_not_registered", "the client is not registered here";
        REDIRECT_URI_MISSING = "redirect_uri_missing", "redirect_uri is missing";
        REDIRECT_URI_REPEATED = "redirect_uri_repeated", "redirect_uri is repeated";
        REDIRECT_URI_NOT_REGISTERED = "redirect_uri_not_registered", "redirect_uri is not registered for this client";
        REQUEST_TOO_LONG = "request_too_long", "the request is longer than 16 KiB";
        REQUEST_BODY_TOO_LONG = "request_body_too_long", "the request is longer than 16 KiB";
        REQUEST_NOT_PUSHED = "request_not_pushed", "the authorization request has to be pushed";
        REQUEST_URI_PUSHED = "request_uri_pushed", "a pushed request has no request_uri";
        PUSHED_REQUEST_TOO_LONG = "pushed_request_too_long", "the request is longer than its request_uri can hold: 11 KiB is safe";
        RESPONSE_MODE_UNKNOWN = "response_mode_unknown", "the only response_mode is query";
        RESPONSE_TYPE_MISSING = "response_type_missing", "response_type is missing";
        CHALLENGE_MISSING = "challenge_missing", "code_challenge is missing: this client needs PKCE with S256";
        CHALLENGE_MISSING_BESIDE_METHOD = "challenge_missing_beside_method", "code_challenge is missing beside its method";
        CHALLENGE_MALFORMED = "challenge_malformed", "code_challenge is not 43 characters of base64url";
        DPOP_JKT_MALFORMED = "dpop_jkt_malformed", "dpop_jkt is not 43 characters of base64url";
        CHALLENGE_METHOD_UNKNOWN = "challenge_method_unknown", "the only code_challenge_method is S256, and it has to be named";
        PROMPT_CONTRADICTS = "prompt_contradicts", "prompt has none beside another value";
        MAX_AGE_MALFORMED = "max_age_malformed", "max_age is no whole number of seconds";
        CROSS_SITE = "cross_site", "the form was sent from another site";
        GRANT_TYPE_MISSING = "grant_type_missing", "grant_type is missing";
        CODE_MISSING = "code_missing", "code is missing";
        REFRESH_TOKEN_MISSING = "refresh_token_missing", "refresh_token is missing";
        TOKEN_PARAMETER_MISSING = "token_parameter_missing", "token is missing";
        TOKEN_IN_QUERY = "token_in_query", "a token in the query is not taken";
        TOKEN_EMPTY = "token_empty", "there is no token behind Bearer";
        TOKEN_WITHOUT_SPACE = "token_without_space", "there is no space behind Bearer";
        TOKEN_TOO_LONG = "token_too_long", "the Authorization header is longer than 8 KiB";
        TOKEN_ILLEGIBLE = "token_illegible", "the token has a character that no token has";
    }
    InvalidClient {
        CLIENT_MISSING = "client_missing", "client authentication failed";
        CLIENT_HEADER_MALFORMED = "client_header_malformed", "client authentication failed";
        CLIENT_UNKNOWN = "client_unknown", "client authentication failed";
        CLIENT_METHOD_WRONG = "client_method_wrong", "client authentication failed";
        CLIENT_SECRET_WRONG = "client_secret_wrong", "client authentication failed";
        CLIENT_ASSERTION_TYPE_UNKNOWN = "client_assertion_type_unknown", "client authentication failed";
        CLIENT_ASSERTION_MALFORMED = "client_assertion_malformed", "client authentication failed";
        CLIENT_ASSERTION_HEADER_FORBIDDEN = "client_assertion_header_forbidden", "client authentication failed";
        CLIENT_ASSERTION_ALGORITHM_WRONG = "client_assertion_algorithm_wrong", "client authentication failed";
        CLIENT_ASSERTION_OF_ANOTHER_TYPE = "client_assertion_of_another_type", "client authentication failed";
        CLIENT_ASSERTION_OF_ANOTHER_CLIENT = "client_assertion_of_another_client", "client authentication failed";
        CLIENT_ASSERTION_FOR_ANOTHER_AUDIENCE = "client_assertion_for_another_audience", "client authentication failed";
        CLIENT_ASSERTION_EXPIRED = "client_assertion_expired", "client authentication failed";
        CLIENT_ASSERTION_EARLY = "client_assertion_early", "client authentication failed";
        CLIENT_ASSERTION_LIVES_TOO_LONG = "client_assertion_lives_too_long", "client authentication failed";
        CLIENT_ASSERTION_WITHOUT_ID = "client_assertion_without_id", "client authentication failed";
        CLIENT_ASSERTION_OF_UNKNOWN_KEY = "client_assertion_of_unknown_key", "client authentication failed";
        CLIENT_ASSERTION_FORGED = "client_assertion_forged", "client authentication failed";
        CLIENT_ASSERTION_REPLAYED = "client_assertion_replayed", "client authentication failed";
        CLIENT_NOT_CONFIDENTIAL = "client_not_confidential", "introspection is for confidential clients";
        CLIENT_NOT_RESOURCE_SERVER = "client_not_resource_server", "the feed of revocations is for resource servers";
    }
    InvalidDpopProof {
        DPOP_PROOF_MISSING = "dpop_proof_missing", "a DPoP proof is needed";
        DPOP_PROOF_REPEATED = "dpop_proof_repeated", "there is more than one DPoP header";
        DPOP_PROOF_TOO_LONG = "dpop_proof_too_long", "the proof is longer than 4 KiB";
        DPOP_PROOF_MALFORMED = "dpop_proof_malformed", "the proof is no JWT, or a claim is missing or not of its type";
        DPOP_PROOF_HEADER_REFUSED = "dpop_proof_header_refused", "the header of the proof has a member that is not taken";
        DPOP_PROOF_ALGORITHM_REFUSED = "dpop_proof_algorithm_refused", "the proof is signed in a way that is not taken, or that is not its key's";
        DPOP_PROOF_OF_ANOTHER_TYPE = "dpop_proof_of_another_type", "the proof is not of the type dpop+jwt";
        DPOP_PROOF_KEY_UNUSABLE = "dpop_proof_key_unusable", "jwk is missing, or no key for ES256, EdDSA or RS256";
        DPOP_PROOF_KEY_PRIVATE = "dpop_proof_key_private", "jwk is a private or shared key: make a new one, and keep it";
        DPOP_PROOF_WITHOUT_ID = "dpop_proof_without_id", "jti is missing, empty or longer than 256 bytes";
        DPOP_PROOF_FOR_ANOTHER_METHOD = "dpop_proof_for_another_method", "htm is not the method of this request";
        DPOP_PROOF_FOR_ANOTHER_URI = "dpop_proof_for_another_uri", "htu is not the URI of this request";
        DPOP_PROOF_FOR_ANOTHER_TOKEN = "dpop_proof_for_another_token", "ath is not the hash of the token";
        DPOP_PROOF_EXPIRED = "dpop_proof_expired", "the proof is older than a minute";
        DPOP_PROOF_EARLY = "dpop_proof_early", "the proof was made in the future";
        DPOP_PROOF_FORGED = "dpop_proof_forged", "the proof is not signed by its key";
        DPOP_PROOF_OF_ANOTHER_KEY = "dpop_proof_of_another_key", "the proof is not of the key that dpop_jkt names";
        DPOP_PROOF_REPLAYED = "dpop_proof_replayed", "a proof with this jti was used before";
    }
    UseDpopNonce {
        DPOP_NONCE_MISSING = "dpop_nonce_missing", "the proof needs the nonce of the DPoP-Nonce header";
        DPOP_NONCE_STALE = "dpop_nonce_stale", "the nonce of the proof is not a recent one: take that of the DPoP-Nonce header";
    }
    InvalidGrant {
        CODE_OF_ANOTHER_KEY = "code_of_another_key", "the code is not good for this request";
        REFRESH_OF_ANOTHER_KEY = "refresh_of_another_key", "the refresh token is not good for this client";
        CODE_MALFORMED = "code_malformed", "the code is not good for this request";
        CODE_OF_UNKNOWN_KEY = "code_of_unknown_key", "the code is not good for this request";
        CODE_FORGED = "code_forged", "the code is not good for this request";
        CODE_UNKNOWN = "code_unknown", "the code is not good for this request";
        CODE_MISMATCH = "code_mismatch", "the code is not good for this request";
        CODE_VERIFIER_MALFORMED = "code_verifier_malformed", "the code is not good for this request";
        CODE_REVOKED = "code_revoked", "the code is not good for this request";
        CODE_EXPIRED = "code_expired", "the code is not good for this request";
        CODE_REPEATED = "code_repeated", "the code is not good for this request";
        CODE_REPLAYED = "code_replayed", "the code is not good for this request";
        REFRESH_MALFORMED = "refresh_malformed", "the refresh token is not good for this client";
        REFRESH_OF_UNKNOWN_KEY = "refresh_of_unknown_key", "the refresh token is not good for this client";
        REFRESH_FORGED = "refresh_forged", "the refresh token is not good for this client";
        REFRESH_UNKNOWN = "refresh_unknown", "the refresh token is not good for this client";
        REFRESH_MISMATCH = "refresh_mismatch", "the refresh token is not good for this client";
        REFRESH_REVOKED = "refresh_revoked", "the refresh token is not good for this client";
        REFRESH_EXPIRED = "refresh_expired", "the refresh token is not good for this client";
        REFRESH_TOO_FAR_AHEAD = "refresh_too_far_ahead", "the refresh token is not good for this client";
        REFRESH_REPLAYED = "refresh_replayed", "the refresh token is not good for this client";
        REFRESH_STOPPED_BY_APP = "refresh_stopped_by_app", "the refresh token is not good for this client";
        TOKEN_OF_ANOTHER_CLIENT = "token_of_another_client", "the token is not one of this client's";
    }
    UnauthorizedClient {
        GRANT_TYPE_NOT_REGISTERED = "grant_type_not_registered", "this client is not registered for this grant_type";
        RESPONSE_TYPE_NOT_REGISTERED = "response_type_not_registered", "this client is not registered for authorization_code";
        CLIENT_IS_PUBLIC = "client_is_public", "a public client cannot act for itself";
    }
    UnsupportedGrantType {
        GRANT_TYPE_UNKNOWN = "grant_type_unknown", "this grant_type is not known here";
    }
    UnsupportedResponseType {
        RESPONSE_TYPE_UNKNOWN = "response_type_unknown", "the only response_type is code";
    }
    RequestNotSupported {
        REQUEST_OBJECT = "request_object", "request objects are not taken";
    }
    RequestUriNotSupported {
        REQUEST_URI = "request_uri", "request URIs are not taken";
    }
    InvalidRequestUri {
        REQUEST_URI_MALFORMED = "request_uri_malformed", "the request_uri is not good for this request";
        REQUEST_URI_FORGED = "request_uri_forged", "the request_uri is not good for this request";
        REQUEST_URI_OF_ANOTHER_CLIENT = "request_uri_of_another_client", "the request_uri is not good for this request";
        REQUEST_URI_EXPIRED = "request_uri_expired", "the request_uri is not good for this request";
        REQUEST_URI_USED = "request_uri_used", "the request_uri is not good for this request";
    }
    InvalidScope {
        SCOPE_MISSING = "scope_missing", "the scope is missing and there is no default";
        SCOPE_EMPTY = "scope_empty", "the scope is empty";
        SCOPE_MALFORMED = "scope_malformed", "the scope is malformed";
        SCOPE_NOT_ALLOWED = "scope_not_allowed", "a scope is unknown here or not one that this client may have";
        SCOPE_NOT_GRANTED = "scope_not_granted", "the scope is not part of what was granted";
        SCOPE_GONE = "scope_gone", "nothing of what was granted is left to this client";
        SCOPE_OF_OTHER_RESOURCE = "scope_of_other_resource", "none of the scopes is one that the resource takes";
        SCOPE_OF_NOTHING = "scope_of_nothing", "there is no scope that this client may have";
    }
    InvalidTarget {
        RESOURCE_UNKNOWN = "resource_unknown", "the resource is not one of this provider's";
        RESOURCE_NOT_GRANTED = "resource_not_granted", "the resource is not one that was granted";
        RESOURCES_APART = "resources_apart", "these resources take different scopes: ask for one token for each";
        RESOURCES_TOO_MANY = "resources_too_many", "there are more than 16 resources";
    }
    InvalidClientMetadata {
        BODY_IS_NO_JSON = "body_is_no_json", "the body has to be application/json";
        BODY_IS_NO_OBJECT = "body_is_no_object", "the body is no JSON object";
        METADATA_CLIENT_ID = "metadata_client_id", "client_id is not that of this client, or missing";
        METADATA_CLIENT_SECRET = "metadata_client_secret", "client_secret is not that of this client";
        METADATA_OF_THE_PROVIDER = "metadata_of_the_provider", "a member is the provider's to say: leave out registration_access_token, registration_client_uri, client_id_issued_at and client_secret_expires_at";
        METADATA_OF_WRONG_TYPE = "metadata_of_wrong_type", "a member is not of its type";
        METADATA_LIST_TOO_LONG = "metadata_list_too_long", "a list is too long";
        METADATA_ILLEGIBLE = "metadata_illegible", "a text is too long or has control or invisible characters";
        METADATA_URL = "metadata_url", "a URL of the client is not https";
        METADATA_AUTH_METHOD = "metadata_auth_method", "token_endpoint_auth_method is not one that is taken here";
        METADATA_GRANT_TYPES = "metadata_grant_types", "grant_types has none that is known here";
        METADATA_PUBLIC_FOR_ITSELF = "metadata_public_for_itself", "client_credentials needs a client that authenticates";
        METADATA_RESPONSE_TYPES = "metadata_response_types", "response_types is not one of those that authorization_code has";
        METADATA_APPLICATION_TYPE = "metadata_application_type", "application_type is neither web nor native";
        METADATA_SCOPE_MALFORMED = "metadata_scope_malformed", "scope is malformed";
        METADATA_SCOPE_NOT_ALLOWED = "metadata_scope_not_allowed", "scope has none that clients may register for";
        METADATA_JWKS_TWICE = "metadata_jwks_twice", "jwks and jwks_uri are there both";
        METADATA_JWKS = "metadata_jwks", "jwks is no set of keys";
        METADATA_JWKS_MISSING = "metadata_jwks_missing", "private_key_jwt needs jwks or jwks_uri";
        METADATA_JWKS_TOO_LONG = "metadata_jwks_too_long", "jwks has more than 16 KiB or 20 keys";
        METADATA_JWKS_UNUSABLE = "metadata_jwks_unusable", "jwks has no key for ES256, EdDSA or RS256, or none for token_endpoint_auth_signing_alg";
        METADATA_JWKS_AMBIGUOUS = "metadata_jwks_ambiguous", "jwks has several keys for one algorithm without a kid each";
        METADATA_JWKS_URI = "metadata_jwks_uri", "jwks_uri is not taken here: send jwks";
        DOCUMENT_NOT_THERE = "document_not_there", "there is no metadata document at the client_id";
        DOCUMENT_TOO_LONG = "document_too_long", "the metadata document of the client has more than 5 KiB";
        DOCUMENT_IS_NO_JSON = "document_is_no_json", "the metadata document of the client is not of the type application/json";
        DOCUMENT_IS_NO_OBJECT = "document_is_no_object", "the metadata document of the client is no JSON object, or names a member twice";
        DOCUMENT_OF_ANOTHER_CLIENT = "document_of_another_client", "the client_id in the metadata document is not its address";
        DOCUMENT_WITHOUT_NAME = "document_without_name", "the metadata document of the client has no client_name";
        DOCUMENT_WITH_SECRET = "document_with_secret", "the metadata document of the client has a client_secret or its expiry";
        DOCUMENT_WITH_PRIVATE_KEY = "document_with_private_key", "the metadata document of the client has a private or a shared key";
        METADATA_SIGNING_ALGORITHM = "metadata_signing_algorithm", "token_endpoint_auth_signing_alg is not one that is taken here";
    }
    InvalidRedirectUri {
        METADATA_REDIRECT_URI = "metadata_redirect_uri", "a redirect URI cannot be registered";
        METADATA_REDIRECT_URIS_MISSING = "metadata_redirect_uris_missing", "redirect_uris is missing or empty";
        METADATA_REDIRECT_URI_ILLEGIBLE = "metadata_redirect_uri_illegible", "a text is too long or has control or invisible characters";
        METADATA_REDIRECT_URI_NOT_HTTPS = "metadata_redirect_uri_not_https", "a web client's redirect URIs are https; an app on a device says application_type native";
    }
    InvalidToken {
        TOKEN_MISSING = "token_missing", "a bearer token is needed";
        TOKEN_UNKNOWN = "token_unknown", "the token is not known here";
        TOKEN_OF_UNKNOWN_KEY = "token_of_unknown_key", "the token is not known here";
        TOKEN_FORGED = "token_forged", "the token is not known here";
        TOKEN_EXPIRED = "token_expired", "the token has expired";
        TOKEN_REVOKED = "token_revoked", "the token was revoked";
        TOKEN_FOR_ANOTHER_RESOURCE = "token_for_another_resource", "the token is for another resource";
        TOKEN_NO_JWT = "token_no_jwt", "the token is no access token of a known form";
        TOKEN_HEADER_REFUSED = "token_header_refused", "the header of the token has a member that is not taken";
        TOKEN_ALGORITHM_REFUSED = "token_algorithm_refused", "the token is signed in a way that is not taken";
        TOKEN_OF_ANOTHER_TYPE = "token_of_another_type", "the token is not of the type at+jwt";
        TOKEN_NO_BEARER = "token_no_bearer", "the token is no access token for bearers";
        TOKEN_OF_ANOTHER_ISSUER = "token_of_another_issuer", "the token is of an issuer that is not trusted here";
        TOKEN_EARLY = "token_early", "the token is not good yet";
        TOKEN_BOUND = "token_bound", "the token is bound to a key, and that is not taken here";
        TOKEN_BOUND_TO_KEY = "token_bound_to_key", "the token is bound to a key: send it as DPoP, with a proof";
        TOKEN_NOT_BOUND = "token_not_bound", "the token is bound to no key: send it as Bearer";
        TOKEN_NEEDS_KEY = "token_needs_key", "a token is needed here that is bound to a key";
        TOKEN_OF_ANOTHER_KEY = "token_of_another_key", "the token is bound to another key than that of the proof";
        TOKEN_INACTIVE = "token_inactive", "the token is not active";
        TOKEN_REFUSED = "token_refused", "the verifier did not take the token";
        USER_GONE = "user_gone", "the user of the token is gone";
        INITIAL_TOKEN_REFUSED = "initial_token_refused", "registration needs the initial access token";
        REGISTRATION_TOKEN_REFUSED = "registration_token_refused", "the registration access token is not good for a client here";
    }
    InsufficientScope {
        SCOPE_INSUFFICIENT = "scope_insufficient", "the token lacks a scope";
        USER_NEEDED = "user_needed", "this needs the token of a user";
    }
    InsufficientUserAuthentication {
        AUTHENTICATION_INSUFFICIENT = "authentication_insufficient", "the user has to authenticate again or in another way";
    }
    UnmetAuthenticationRequirements {
        AUTHENTICATION_UNMET = "authentication_unmet", "the user did not authenticate as the request asks";
        ACR_UNKNOWN = "acr_unknown", "none of the acr_values is one of this provider's";
    }
    AccessDenied {
        DENIED = "denied", "the user said no";
    }
    LoginRequired {
        LOGIN_REQUIRED = "login_required", "the user has to log in";
    }
    ConsentRequired {
        CONSENT_REQUIRED = "consent_required", "the user has to agree";
    }
    ServerError {
        PAGE_FAILED = "page_failed", "the login page failed";
        APPROVAL_TOO_WIDE = "approval_too_wide", "the approval grants more than was asked for, or nothing, or for no time, or names no user";
        DECISION_MISPLACED = "decision_misplaced", "the decision is on another request than this one";
        ACCESS_TOKEN_TOO_LONG = "access_token_too_long", "the access token would be longer than what is read, 8 KiB";
        PATH_CLAIMED_TWICE = "path_claimed_twice", "two providers claim this path: give each its own `Endpoints`";
    }
    TemporarilyUnavailable {
        UNAVAILABLE = "unavailable", "the provider cannot answer now, try again";
        CLIENT_KEYS_UNAVAILABLE = "client_keys_unavailable", "the keys of the client cannot be had now, try again";
        DOCUMENT_UNAVAILABLE = "document_unavailable", "the metadata document of the client cannot be read now, try again";
        TOKEN_NOT_CHECKED = "token_not_checked", "the token cannot be checked now, try again";
        REVOCATIONS_TOO_MANY = "revocations_too_many", "more tokens were revoked one by one than can be told";
        REGISTRATIONS_FULL = "registrations_full", "there is no room for another client now";
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// RFC 6749 §5.2: what a description may consist of
    #[test]
    fn every_refusal_has_a_reason_of_its_own_and_a_sentence_that_may_go_over_the_wire() {
        let mut reasons = BTreeSet::new();
        for error in ALL {
            assert!(reasons.insert(error.reason()), "{} twice", error.reason());
            assert!(error.reason().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte == b'8'));
            assert!(error.description().bytes().all(|byte| matches!(byte, b' '..=b'~') && !b"\"\\".contains(&byte)));
        }
    }

    /// RFC 6749 §5.2 and §10.10: whoever guesses learns nothing of how close it was
    #[test]
    fn refusals_of_one_handle_and_of_one_client_look_alike_on_the_wire() {
        for kind in ["code_", "refresh_", "client_", "request_uri_"] {
            let alike: BTreeSet<_> = ALL
                .iter()
                .filter(|error| error.reason().starts_with(kind))
                .filter(|error| match error.code() {
                    ErrorCode::InvalidGrant | ErrorCode::InvalidRequestUri => true,
                    ErrorCode::InvalidClient => {
                        !matches!(error.reason(), "client_not_confidential" | "client_not_resource_server")
                    }
                    _ => false,
                })
                .map(|error| error.description())
                .collect();
            assert_eq!(alike.len(), 1, "{kind}: {alike:?}");
        }
    }
}
