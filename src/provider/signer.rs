use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::error::StoreError;
use crate::jwt::{Algorithm, Jwks, SigningKey};
use crate::store::BoxFuture;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// How long a signer may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Signs with keys that are somewhere else, such as in a KMS.
///
/// Nothing is consumed before there is a signature: an error is 503 with `Retry-After`, and the same code or refresh token
/// is good for the next try. What is not answered after 10 seconds is dropped, and an error likewise.
///
/// ```
/// use std::convert::Infallible;
/// use tower_oauth::jwt::{Algorithm, Jwks, SigningKey};
/// use tower_oauth::{Signer, SigningKeys};
///
/// struct Kms; // a client of it
/// # impl Kms {
/// #     async fn public_keys(&self) -> Result<Jwks, Infallible> { unreachable!() }
/// #     async fn raw_sign(&self, _: &str, _: &[u8]) -> Result<Vec<u8>, Infallible> { unreachable!() }
/// # }
///
/// impl Signer for Kms {
///     type Error = Infallible; // or what the client answers
///
///     async fn keys(&self) -> Result<Jwks, Infallible> {
///         self.public_keys().await
///     }
///
///     async fn sign(&self, key_id: &str, message: &[u8]) -> Result<Vec<u8>, Infallible> {
///         self.raw_sign(key_id, message).await
///     }
/// }
///
/// let keys = SigningKeys::signer(Kms);
/// ```
pub trait Signer: Send + Sync + 'static {
    /// What can go wrong.
    type Error: Into<BoxError>;

    /// The public keys: the first one signs, all are published. Each has a `kid`. Asked for every minute, and every 2
    /// seconds while tokens come that name a key which is not among them: anybody can send such tokens.
    ///
    /// A new one belongs behind the first for an hour before it signs, so that every verifier has it by then, and the old
    /// one stays behind it for a day and a minute, the longest life of an access token.
    fn keys(&self) -> impl Future<Output = Result<Jwks, Self::Error>> + Send;

    /// The signature over a message under the key of this id, in its algorithm and as a JWS has it
    /// ([RFC 7518 §3](https://www.rfc-editor.org/rfc/rfc7518#section-3)): of ES256 the two numbers, 32 bytes each, and
    /// not their DER. One that its own key does not verify goes to nobody.
    fn sign(&self, key_id: &str, message: &[u8]) -> impl Future<Output = Result<Vec<u8>, Self::Error>> + Send;
}

/// The boxed twin of [`Signer`].
pub(super) trait DynSigner: Send + Sync {
    fn keys(&self) -> BoxFuture<'_, Result<Jwks, StoreError>>;
    fn sign<'a>(&'a self, key_id: &'a str, message: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, StoreError>>;
}

impl<S: Signer> DynSigner for S {
    fn keys(&self) -> BoxFuture<'_, Result<Jwks, StoreError>> {
        Box::pin(in_time(Signer::keys(self)))
    }

    fn sign<'a>(&'a self, key_id: &'a str, message: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, StoreError>> {
        Box::pin(in_time(Signer::sign(self, key_id, message)))
    }
}

/// Others may be waiting for the answer.
async fn in_time<T, E: Into<BoxError>>(answer: impl Future<Output = Result<T, E>>) -> Result<T, StoreError> {
    match timeout(PATIENCE, answer).await {
        Ok(answer) => answer.map_err(StoreError::new),
        Err(_) => Err(StoreError::new("the signer did not answer within 10 seconds")),
    }
}

/// The keys that sign a provider's JWTs. By default the provider makes its own, with ES256, and takes a new one every 30
/// days.
///
/// ```
/// use std::time::Duration;
/// use tower_oauth::jwt::Algorithm;
/// use tower_oauth::{AccessTokenFormat, MemoryStore, Provider, SigningKeys};
///
/// let provider = Provider::builder("https://shift.example")
///     .store(MemoryStore::new())
///     .access_token_format(AccessTokenFormat::Jwt)
///     .signing_keys(SigningKeys::generated(Algorithm::EdDsa).rotated_every(Duration::from_secs(7 * 86_400)))
///     .build()?;
/// # Ok::<_, tower_oauth::ConfigErrors>(())
/// ```
#[must_use]
#[derive(Clone)]
pub struct SigningKeys {
    pub(super) source: KeySource,
    pub(super) period: Option<Duration>,
}

/// Where the keys come from.
#[derive(Clone)]
pub(super) enum KeySource {
    Generated(Algorithm),
    Given(Vec<SigningKey>),
    Signer(Arc<dyn DynSigner>),
}

impl SigningKeys {
    /// How long a generated key signs, unless told otherwise.
    pub(super) const PERIOD: Duration = Duration::from_secs(30 * 24 * 60 * 60);

    /// Keys that the provider makes, and keeps in its store, each sealed under the provider's secret: AES-256-GCM. All
    /// nodes share them.
    ///
    /// A key is published for an hour before it signs, and for a day and a minute after its last token. Another algorithm
    /// than that of the keys that are there is that of the next one:
    /// [`rotate_signing_key`](crate::Provider::rotate_signing_key) makes it now.
    pub fn generated(algorithm: Algorithm) -> Self {
        Self { source: KeySource::Generated(algorithm), period: None }
    }

    /// Keys that are made and kept elsewhere: the first one signs, all are published. Give every node the same.
    ///
    /// To replace one, append its successor everywhere, move it to the front everywhere an hour later, and take the old one
    /// away a day and a minute after that.
    pub fn given(keys: impl IntoIterator<Item = SigningKey>) -> Self {
        Self { source: KeySource::Given(keys.into_iter().collect()), period: None }
    }

    /// Keys that sign elsewhere.
    pub fn signer(signer: impl Signer) -> Self {
        Self { source: KeySource::Signer(Arc::new(signer)), period: None }
    }

    /// How long a generated key signs, from 1 day to 1 year. By default 30 days.
    pub fn rotated_every(mut self, period: Duration) -> Self {
        self.period = Some(period);
        self
    }
}

impl Default for SigningKeys {
    /// Generated, for ES256.
    fn default() -> Self {
        Self::generated(Algorithm::Es256)
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source: &dyn fmt::Debug = match &self.source {
            KeySource::Generated(algorithm) => algorithm,
            KeySource::Given(keys) => keys,
            KeySource::Signer(_) => &"a signer",
        };
        f.debug_struct("SigningKeys").field("source", source).field("period", &self.period).finish()
    }
}
