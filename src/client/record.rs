//! A client as JSON text, for stores. Names are those of RFC 7591 §2, where it has one.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{AuthMethod, Client, GrantType, LiveSecret, Managed, Registration};
#[cfg(feature = "jwt")]
use super::{Keys, RegisteredKeys};
use crate::error::InvalidRecord;
#[cfg(feature = "jwt")]
use crate::jwt::Algorithm;
use crate::types::{RedirectUri, UnixTime};

#[derive(Serialize, Deserialize)]
struct Kept {
    client_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_name: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    secrets: Vec<KeptSecret>,
    token_endpoint_auth_method: String,
    #[cfg(feature = "jwt")]
    #[serde(flatten)]
    keys: KeptKeys,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    redirect_uris: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    grant_types: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    application_type: Option<String>,
    pkce: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    require_pushed_authorization_requests: bool,
    /// Read whatever the features are: a node without them gives such a client nothing.
    #[serde(default, skip_serializing_if = "is_false")]
    dpop_bound_access_tokens: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    /// In seconds, as the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    access_token_lifetime: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refresh_token_max_age: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    registration: Option<KeptRegistration>,
}

#[cfg(feature = "jwt")]
#[derive(Serialize, Deserialize)]
struct KeptKeys {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token_endpoint_auth_signing_alg: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jwks: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jwks_uri: Option<String>,
}

/// What a client that manages its registration has beside.
#[derive(Serialize, Deserialize)]
struct KeptRegistration {
    access_token_sha256: String,
    client_id_issued_at: u64,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    metadata: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct KeptSecret {
    sha256: String,
    until: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl Client {
    /// The client as JSON text, for a store. Of its secrets it has SHA-256 digests, which open nothing.
    ///
    /// What is [wrong](Self::check) with a client is not kept: check it first.
    #[must_use]
    pub fn to_record(&self) -> String {
        let client = &*self.0;
        let kept = Kept {
            client_id: client.id.as_str().to_owned(),
            client_name: client.name.clone(),
            secrets: client.secrets.iter().map(KeptSecret::of).collect(),
            token_endpoint_auth_method: client.auth_method.as_str().to_owned(),
            #[cfg(feature = "jwt")]
            keys: KeptKeys::of(&client.keys),
            redirect_uris: self.redirect_uris().map(str::to_owned).collect(),
            scope: client.scope.as_ref().map(ToString::to_string),
            grant_types: client.grant_types.iter().map(|grant_type| grant_type.as_str().to_owned()).collect(),
            application_type: client.native.map(|native| if native { "native" } else { "web" }.to_owned()),
            pkce: client.pkce,
            require_pushed_authorization_requests: client.pushes,
            dpop_bound_access_tokens: client.bound_tokens,
            resource: client.resource.as_ref().map(ToString::to_string),
            access_token_lifetime: client.access_token_lifetime.map(|life| life.as_secs()),
            refresh_token_max_age: client.refresh_token_max_age.map(|age| age.as_secs()),
            registration: client.managed.as_ref().map(KeptRegistration::of),
        };
        serde_json::to_string(&kept).expect("texts and numbers are JSON")
    }

    /// The client that a record was made of.
    ///
    /// # Errors
    /// If none was: the database was edited, or a later version wrote it.
    pub fn from_record(record: &str) -> Result<Self, InvalidRecord> {
        let invalid = InvalidRecord::new;
        let kept: Kept = serde_json::from_str(record).map_err(|_| invalid("client"))?;
        let uris = kept.redirect_uris.iter().map(|uri| RedirectUri::parse(uri));
        let grant_types = kept.grant_types.iter().map(|name| GrantType::named(name));
        Ok(Self(Arc::new(Registration {
            id: kept.client_id.into(),
            name: kept.client_name,
            secrets: kept.secrets.iter().map(KeptSecret::read).collect::<Option<_>>().ok_or(invalid("secrets"))?,
            auth_method: AuthMethod::named(&kept.token_endpoint_auth_method)
                .ok_or(invalid("token_endpoint_auth_method"))?,
            #[cfg(feature = "jwt")]
            keys: kept.keys.read(&kept.token_endpoint_auth_method)?,
            redirect_uris: uris.collect::<Result<_, _>>().map_err(|_| invalid("redirect_uris"))?,
            scope: kept.scope.map(|scope| scope.parse()).transpose().map_err(|_| invalid("scope"))?,
            grant_types: grant_types.collect::<Option<_>>().ok_or(invalid("grant_types"))?,
            native: kept.application_type.map(|kind| kind == "native"),
            pkce: kept.pkce,
            pushes: kept.require_pushed_authorization_requests,
            bound_tokens: kept.dpop_bound_access_tokens,
            resource: kept.resource.map(|uri| uri.parse()).transpose().map_err(|_| invalid("resource"))?,
            access_token_lifetime: kept.access_token_lifetime.map(Duration::from_secs),
            refresh_token_max_age: kept.refresh_token_max_age.map(Duration::from_secs),
            managed: kept.registration.map(KeptRegistration::read).transpose()?,
            from_document: false,
            problems: Vec::new(),
        })))
    }
}

#[cfg(feature = "jwt")]
impl KeptKeys {
    fn of(registered: &RegisteredKeys) -> Self {
        let (jwks, jwks_uri) = match &registered.keys {
            None => (None, None),
            Some(Keys::Inline(jwks)) => (Some(jwks.to_json()), None),
            Some(Keys::At(uri)) => (None, Some(uri.clone())),
        };
        let algorithm = registered.algorithm.map(|algorithm| algorithm.as_str().to_owned());
        Self { token_endpoint_auth_signing_alg: algorithm, jwks, jwks_uri }
    }

    fn read(self, method: &str) -> Result<RegisteredKeys, InvalidRecord> {
        let invalid = InvalidRecord::new;
        let keys = match (self.jwks, self.jwks_uri) {
            (Some(jwks), None) => jwks.to_string().parse().map(Keys::Inline).map(Some).map_err(|_| invalid("jwks"))?,
            (None, Some(uri)) => Some(Keys::At(uri)),
            (None, None) if method != AuthMethod::PrivateKeyJwt.as_str() => None,
            _ => return Err(invalid("jwks")),
        };
        let named = |name: String| Algorithm::named(&name).ok_or(invalid("token_endpoint_auth_signing_alg"));
        Ok(RegisteredKeys { keys, algorithm: self.token_endpoint_auth_signing_alg.map(named).transpose()? })
    }
}

impl KeptRegistration {
    fn of(managed: &Managed) -> Self {
        Self {
            access_token_sha256: URL_SAFE_NO_PAD.encode(managed.token),
            client_id_issued_at: managed.issued_at.as_secs(),
            metadata: managed.metadata.clone(),
        }
    }

    fn read(self) -> Result<Managed, InvalidRecord> {
        Ok(Managed {
            token: digest_of(&self.access_token_sha256).ok_or(InvalidRecord::new("registration"))?,
            issued_at: UnixTime::from_secs(self.client_id_issued_at),
            metadata: self.metadata,
        })
    }
}

impl KeptSecret {
    fn of(secret: &LiveSecret) -> Self {
        Self { sha256: URL_SAFE_NO_PAD.encode(secret.digest), until: secret.until.as_secs() }
    }

    fn read(&self) -> Option<LiveSecret> {
        Some(LiveSecret { digest: digest_of(&self.sha256)?, until: UnixTime::from_secs(self.until) })
    }
}

fn digest_of(text: &str) -> Option<[u8; 32]> {
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn what_was_registered_is_found_again_and_no_secret_is_in_the_record() {
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1_001);
        for client in [
            Client::public("app").redirect_uri("http://127.0.0.1/cb").redirect_uri("com.example.app:/cb").native(),
            Client::public("\u{1f511} app")
                .name("\"Quoted\" \u{e9}")
                .redirect_uri("https://a.example/cb")
                .web()
                .scope(""),
            Client::confidential("app", SECRET)
                .and_secret_until("x".repeat(32), end)
                .redirect_uri("https://a.example/cb?a=b")
                .access_token_lifetime(Duration::from_secs(30))
                .refresh_token_max_age(Duration::from_secs(86_401))
                .scope("b a")
                .token_endpoint_auth_method(AuthMethod::ClientSecretPost)
                .grant_types([GrantType::ClientCredentials, GrantType::AuthorizationCode, GrantType::RefreshToken])
                .danger_without_pkce(),
            Client::resource_server("api", SECRET, "https://api.example/mcp"),
            Client::public("app").redirect_uri("https://a.example/cb").require_pushed_authorization_requests(),
        ] {
            let record = client.to_record();
            assert!(!record.contains(SECRET) && !record.contains(&"x".repeat(32)), "{record}");
            let read = Client::from_record(&record).unwrap();
            assert_eq!(read.to_record(), record);
            assert_eq!(format!("{read:?}"), format!("{client:?}"));
            let (kept, given) = (&*read.0, &*client.0);
            assert_eq!((kept.native, kept.pkce, &kept.resource), (given.native, given.pkce, &given.resource));
            assert_eq!(kept.pushes, given.pushes);
            assert_eq!(kept.access_token_lifetime, given.access_token_lifetime);
            assert_eq!(kept.refresh_token_max_age, given.refresh_token_max_age);
            assert_eq!((&kept.grant_types, read.is_native()), (&given.grant_types, client.is_native()));
            for (secret, at) in [(SECRET, 1), ("x", 1), (&"x".repeat(32), 1_000), (&"x".repeat(32), 1_001)] {
                let at = UnixTime::from_secs(at);
                assert_eq!(read.has_secret(secret, at), client.has_secret(secret, at), "{record}");
            }
        }
    }

    /// RFC 7592: of the registration access token there is a digest.
    #[test]
    fn the_registration_of_a_client_is_found_again() {
        let metadata = serde_json::json!({"contacts": ["ops@a.example"], "software_id": "\u{1f511}"});
        let Value::Object(metadata) = metadata else { unreachable!() };
        let token = super::super::ClientSecret::generate();
        let client = Client::public("app").redirect_uri("https://a.example/cb");
        let record = client.managed(&token, UnixTime::from_secs(1_001), metadata.clone()).to_record();
        assert!(!record.contains(token.secret()), "{record}");
        let read = Client::from_record(&record).unwrap();
        assert_eq!(read.to_record(), record);
        let managed = read.registration().unwrap();
        assert_eq!((managed.issued_at.as_secs(), &managed.metadata), (1_001, &metadata));
        assert!(read.has_registration_token(token.secret()) && !read.has_registration_token("another"));
        assert!(!format!("{read:?}").contains("digest"));
        let bad = record.replacen("token_sha256\":\"", "token_sha256\":\"A", 1);
        assert!(Client::from_record(&bad).is_err());
    }

    /// RFC 9449 §5.2
    #[cfg(feature = "jwt")]
    #[test]
    fn that_tokens_are_always_bound_is_found_again() {
        let client = Client::public("app").redirect_uri("https://a.example/cb");
        for (client, bound) in [(client.clone(), false), (client.dpop_bound_access_tokens(), true)] {
            let record = client.to_record();
            assert_eq!(record.contains("dpop_bound_access_tokens"), bound, "{record}");
            assert_eq!(Client::from_record(&record).unwrap().wants_bound_tokens(), bound);
        }
    }

    #[cfg(feature = "jwt")]
    #[test]
    fn the_keys_of_a_client_that_signs_are_found_again() {
        let key = crate::jwt::SigningKey::generate(Algorithm::EdDsa).unwrap();
        let jwks: crate::jwt::Jwks = format!(r#"{{"keys":[{}]}}"#, key.public_jwk()).parse().unwrap();
        for client in [
            Client::private_key_jwt("app", jwks.clone()),
            Client::private_key_jwt("app", jwks.clone()).token_endpoint_auth_signing_alg(Algorithm::EdDsa),
            Client::private_key_jwt("app", jwks).jwks_uri("https://a.example/jwks"),
        ] {
            let record = client.redirect_uri("https://a.example/cb").to_record();
            let read = Client::from_record(&record).unwrap();
            assert_eq!((read.to_record(), read.check().is_ok()), (record.clone(), true));
            for (part, other) in [
                ("\"jwks\"", "\"keys\""),
                ("\"jwks_uri\"", "\"uri\""),
                ("\"keys\":[", "\"keys\":[7,"),
                ("signing_alg\":\"EdDSA\"", "signing_alg\":\"HS256\""),
                ("\"pkce\"", "\"jwks_uri\":\"https://b.example\",\"jwks\":{\"keys\":[]},\"pkce\""),
            ] {
                let bad = record.replacen(part, other, 1);
                assert!(bad == record || Client::from_record(&bad).is_err(), "{part} in {record}");
            }
        }
    }

    #[test]
    fn what_is_no_record_is_an_error_and_never_another_client() {
        let good = Client::confidential("app", SECRET).redirect_uri("https://a.example/cb").scope("a").to_record();
        for (part, other) in [
            ("{", ""),
            ("client_secret_basic", "private_key_jwt"),
            ("https://", "http://"),
            ("refresh_token", "password"),
            ("\"scope\":\"a\"", "\"scope\":\"\u{e9}\""),
            ("\"sha256\":\"", "\"sha256\":\"A"),
            (",\"pkce\":true", ""),
            ("\"pkce\":true", "\"pkce\":true,\"resource\":\"api\""),
        ] {
            let bad = good.replacen(part, other, 1);
            assert!(bad != good && Client::from_record(&bad).is_err(), "{part} in {good}");
        }
    }
}
