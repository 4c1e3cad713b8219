//! Private keys as a store keeps them: sealed under the provider's secret, so that the database alone signs nothing.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::secret::{Secret, random};
use crate::types::Issuer;

/// Seals `plain`, which belongs to `name`. Under one key there are a few dozen seals in a provider's life, so random
/// nonces do.
pub(crate) fn seal(secret: &Secret, issuer: &Issuer, name: &str, plain: &[u8]) -> Vec<u8> {
    let nonce = random::<NONCE_LEN>();
    let mut sealed = plain.to_vec();
    key(secret, issuer)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(name.as_bytes()), &mut sealed)
        .expect("a key is far shorter than AES-GCM's limit");
    [&nonce[..], &sealed].concat()
}

/// What was sealed for this name under one of the secrets; `None` if it was not.
pub(crate) fn open<'a>(
    secrets: impl IntoIterator<Item = &'a Secret>,
    issuer: &Issuer,
    name: &str,
    sealed: &[u8],
) -> Option<Vec<u8>> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_LEN>()?;
    secrets.into_iter().find_map(|secret| {
        let mut text = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = key(secret, issuer).open_in_place(nonce, Aad::from(name.as_bytes()), &mut text).ok()?;
        Some(plain.to_vec())
    })
}

fn key(secret: &Secret, issuer: &Issuer) -> LessSafeKey {
    let key: [u8; 32] = secret.derive("jwk seal", issuer);
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).expect("32 bytes are a key"))
}
