//! The three handles: codes, access tokens and refresh tokens are texts that a provider can check by itself.
//!
//! A handle is `PREFIX_KIND_` and base64url of `version, key id, grant id, fields of the kind, tag`, of one length for
//! each kind. The tag is HMAC-SHA-256 cut to 16 bytes, under a key that only this kind of this issuer has, over all
//! bytes before it. So a forged, foreign or mistaken handle never reaches a store.
//!
//! | kind | fields | characters with the prefix `toa` |
//! |---|---|---|
//! | `ac`, code | the grant's end 5 | 63 |
//! | `rt`, refresh token | generation 4, salt 16 | 83 |
//! | `at`, access token | token id 8, issued at 5, expires at 5, scope mask 8, resource mask 2 | 94 |
//!
//! One that is bound to a key of its client carries the key's thumbprint behind these, which makes it 43 characters longer,
//! and has its tag under a key that only bound ones of its kind have. So neither can be made of the other.
//!
//! The grant id is in handles only. The key of a grant's record is a hash of it ([`GrantKey`]), which opens nothing.

mod bytes;

use std::fmt;
use std::hash::{Hash, Hasher};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use self::bytes::{Reader, Writer, decode, encoded, form_mac, half, long_mac, same, seal};
use crate::mac::{LONGEST, ShortHmac, sha256};
use crate::secret::{Secrets, random};
use crate::types::{Issuer, Thumbprint, UnixTime};

/// What a grant's record is called: in stores, logs and pages. It opens nothing, and no token can be made from it.
///
/// It is the first half of SHA-256 over the issuer's digest and the grant id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GrantKey([u8; 16]);

impl Hash for GrantKey {
    /// The key is a digest already: its first bytes say as much as all of it.
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        state.write_u64(u64::from_ne_bytes([a, b, c, d, e, f, g, h]));
    }
}

impl GrantKey {
    /// The key as a store keeps it.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The key as a store kept it.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for GrantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for GrantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GrantKey({self})")
    }
}

impl std::str::FromStr for GrantKey {
    type Err = InvalidGrantKey;

    fn from_str(text: &str) -> Result<Self, InvalidGrantKey> {
        let mut bytes = [0; 16];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(16) => Ok(Self(bytes)),
            _ => Err(InvalidGrantKey),
        }
    }
}

/// A text that is no [`GrantKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidGrantKey;

impl fmt::Display for InvalidGrantKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the key of a grant: 22 characters of base64url")
    }
}

impl std::error::Error for InvalidGrantKey {}

/// What a handle and its grant have in common. It is in no record, log or event.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct GrantId([u8; 16]);

impl GrantId {
    pub(crate) fn generate() -> Self {
        Self(random())
    }
}

/// What a refresh token proves beside its generation. The record has only a hash of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Salt([u8; 16]);

impl Salt {
    pub(crate) fn generate() -> Self {
        Self(random())
    }

    /// Half of the digest is as hard to go back from as the salt is to guess.
    pub(crate) fn hash(&self) -> [u8; 16] {
        half(&sha256(&self.0))
    }
}

/// Names one access token within its grant.
pub(crate) type TokenId = [u8; 8];

/// Names an access token without opening anything, `jti`: by its grant, and within that.
pub(crate) fn jti(grant: GrantKey, token: &TokenId) -> String {
    URL_SAFE_NO_PAD.encode([&grant.0[..], token].concat())
}

/// What a [`jti`] was made of.
#[cfg(feature = "jwt")]
pub(crate) fn from_jti(text: &str) -> Option<(GrantKey, TokenId)> {
    let mut bytes = [0; 24];
    let decoded = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok().filter(|length| *length == bytes.len());
    let (grant, token) = decoded.and_then(|_| bytes.split_first_chunk())?;
    Some((GrantKey(*grant), token.try_into().ok()?))
}

/// What a code says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct CodeHandle {
    pub(crate) grant: GrantId,
    /// When the grant ends at the latest, as it was approved. The record has one end at a time, and until the code is
    /// redeemed that is the code's.
    pub(crate) grant_expires_at: UnixTime,
    /// Whose proof has to come with it (RFC 9449 §10).
    pub(crate) bound_to: Option<Thumbprint>,
}

/// What an access token says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct AccessHandle {
    pub(crate) grant: GrantId,
    pub(crate) token: TokenId,
    pub(crate) issued_at: UnixTime,
    pub(crate) expires_at: UnixTime,
    /// One bit for each token of the grant's scope, in its order.
    pub(crate) scope: u64,
    /// One bit for each of the grant's resources, in their order.
    pub(crate) resources: u16,
    /// Whose proof has to come with it (RFC 9449 §7).
    pub(crate) bound_to: Option<Thumbprint>,
}

/// What a refresh token says.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct RefreshHandle {
    pub(crate) grant: GrantId,
    pub(crate) generation: u32,
    pub(crate) salt: Salt,
    /// Whose proof has to come with it (RFC 9449 §5).
    pub(crate) bound_to: Option<Thumbprint>,
}

/// Why a text is not a handle of ours that is good now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HandleError {
    /// Prefix, length, alphabet or version.
    Malformed,
    /// Made under a key that this provider does not have.
    UnknownKey,
    /// The tag does not belong to the rest.
    Forged,
}

const VERSION: u8 = 1;
const TAG: usize = 16;
const BARE: usize = 1 + 4 + 16 + TAG;
const CODE: usize = BARE + 5;
const REFRESH: usize = BARE + 4 + 16;
const ACCESS: usize = BARE + 8 + 5 + 5 + 8 + 2;
/// How much longer a bound one is.
const KEY: usize = 32;
const BOUND_CODE: usize = CODE + KEY;
const BOUND_REFRESH: usize = REFRESH + KEY;
const BOUND_ACCESS: usize = ACCESS + KEY;

// What a tag is over goes into one block, where no key is.
const _: () = assert!(ACCESS - TAG <= LONGEST && REFRESH - TAG <= LONGEST && CODE - TAG <= LONGEST);

/// The largest generation; one beyond it is no handle.
const LAST_GENERATION: u32 = i32::MAX as u32;

/// The keys that one secret gives one issuer.
struct KeySet {
    id: [u8; 4],
    code: ShortHmac,
    access: ShortHmac,
    refresh: ShortHmac,
    bound_code: Hmac<Sha256>,
    bound_access: Hmac<Sha256>,
    bound_refresh: Hmac<Sha256>,
    form: Hmac<Sha256>,
}

/// Makes and opens the handles of one issuer.
pub(crate) struct Handles {
    code_prefix: String,
    access_prefix: String,
    refresh_prefix: String,
    issuer: [u8; 32],
    /// The first one signs.
    keys: Vec<KeySet>,
}

impl Handles {
    /// `Err` if two secrets are equal or give the same key id.
    pub(crate) fn new(prefix: &str, secrets: &Secrets, issuer: &Issuer) -> Result<Self, &'static str> {
        let mut keys = Vec::<KeySet>::new();
        for secret in secrets.iter() {
            let key = |purpose| ShortHmac::new(&secret.derive(purpose, issuer));
            let long = |purpose| {
                let key = Hmac::new_from_slice(&secret.derive::<32>(purpose, issuer));
                key.expect("HMAC takes keys of any length")
            };
            let id = secret.derive("key id", issuer);
            if keys.iter().any(|known| known.id == id) {
                return Err("two of the secrets are equal or share a key id: make a new one");
            }
            keys.push(KeySet {
                id,
                code: key("code"),
                access: key("access"),
                refresh: key("refresh"),
                bound_code: long("bound code"),
                bound_access: long("bound access"),
                bound_refresh: long("bound refresh"),
                form: long("form"),
            });
        }
        if keys.is_empty() {
            return Err("there is no secret: make one with `Secret::generate()`");
        }
        Ok(Self {
            code_prefix: format!("{prefix}_ac_"),
            access_prefix: format!("{prefix}_at_"),
            refresh_prefix: format!("{prefix}_rt_"),
            issuer: Sha256::digest(issuer.as_str()).into(),
            keys,
        })
    }

    /// The first one signs.
    pub(crate) fn key_ids(&self) -> Vec<[u8; 4]> {
        self.keys.iter().map(|keys| keys.id).collect()
    }

    /// The key of the grant's record. 48 bytes go into the hash, which is one block.
    pub(crate) fn key_of(&self, grant: GrantId) -> GrantKey {
        let mut block = [0; 48];
        block[..32].copy_from_slice(&self.issuer);
        block[32..].copy_from_slice(&grant.0);
        GrantKey(half(&sha256(&block)))
    }

    pub(crate) fn mint_code(&self, handle: &CodeHandle) -> String {
        let (keys, prefix) = (&self.keys[0], &*self.code_prefix);
        match handle.bound_to {
            None => {
                let mut raw = [0; CODE];
                self.write_code(&mut raw, handle);
                seal(prefix, raw, |said| keys.code.mac(said))
            }
            Some(key) => {
                let mut raw = [0; BOUND_CODE];
                self.write_code(&mut raw, handle).put(key.as_bytes());
                seal(prefix, raw, |said| long_mac(&keys.bound_code, said))
            }
        }
    }

    fn write_code<'a>(&self, raw: &'a mut [u8], handle: &CodeHandle) -> Writer<'a> {
        let end = handle.grant_expires_at.as_secs().to_be_bytes();
        Writer(raw).put(&self.head()).put(&handle.grant.0).put(&end[3..])
    }

    pub(crate) fn open_code(&self, text: &str) -> Result<CodeHandle, HandleError> {
        let prefix = &*self.code_prefix;
        if is_bound::<BOUND_CODE>(text, prefix) {
            let mac = |keys: &KeySet, said: &_| long_mac(&keys.bound_code, said);
            return self.open::<BOUND_CODE>(text, prefix, mac).map(|raw| read_code(&raw));
        }
        self.open::<CODE>(text, prefix, |keys, said| keys.code.mac(said)).map(|raw| read_code(&raw))
    }

    pub(crate) fn mint_refresh(&self, handle: &RefreshHandle) -> String {
        let (keys, prefix) = (&self.keys[0], &*self.refresh_prefix);
        match handle.bound_to {
            None => {
                let mut raw = [0; REFRESH];
                self.write_refresh(&mut raw, handle);
                seal(prefix, raw, |said| keys.refresh.mac(said))
            }
            Some(key) => {
                let mut raw = [0; BOUND_REFRESH];
                self.write_refresh(&mut raw, handle).put(key.as_bytes());
                seal(prefix, raw, |said| long_mac(&keys.bound_refresh, said))
            }
        }
    }

    fn write_refresh<'a>(&self, raw: &'a mut [u8], handle: &RefreshHandle) -> Writer<'a> {
        let grant = Writer(raw).put(&self.head()).put(&handle.grant.0);
        grant.put(&handle.generation.to_be_bytes()).put(&handle.salt.0)
    }

    pub(crate) fn open_refresh(&self, text: &str) -> Result<RefreshHandle, HandleError> {
        let prefix = &*self.refresh_prefix;
        let handle = if is_bound::<BOUND_REFRESH>(text, prefix) {
            let mac = |keys: &KeySet, said: &_| long_mac(&keys.bound_refresh, said);
            self.open::<BOUND_REFRESH>(text, prefix, mac).map(|raw| read_refresh(&raw))?
        } else {
            self.open::<REFRESH>(text, prefix, |keys, said| keys.refresh.mac(said)).map(|raw| read_refresh(&raw))?
        };
        if handle.generation > LAST_GENERATION {
            return Err(HandleError::Malformed);
        }
        Ok(handle)
    }

    pub(crate) fn mint_access(&self, handle: &AccessHandle) -> String {
        let (keys, prefix) = (&self.keys[0], &*self.access_prefix);
        match handle.bound_to {
            None => {
                let mut raw = [0; ACCESS];
                self.write_access(&mut raw, handle);
                seal(prefix, raw, |said| keys.access.mac(said))
            }
            Some(key) => {
                let mut raw = [0; BOUND_ACCESS];
                self.write_access(&mut raw, handle).put(key.as_bytes());
                seal(prefix, raw, |said| long_mac(&keys.bound_access, said))
            }
        }
    }

    fn write_access<'a>(&self, raw: &'a mut [u8], handle: &AccessHandle) -> Writer<'a> {
        Writer(raw)
            .put(&self.head())
            .put(&handle.grant.0)
            .put(&handle.token)
            .put(&handle.issued_at.as_secs().to_be_bytes()[3..])
            .put(&handle.expires_at.as_secs().to_be_bytes()[3..])
            .put(&handle.scope.to_be_bytes())
            .put(&handle.resources.to_be_bytes())
    }

    /// Opens an access token. Its end is for the caller to look at, so that a forged one costs no look at the clock.
    pub(crate) fn open_access(&self, text: &str) -> Result<AccessHandle, HandleError> {
        let prefix = &*self.access_prefix;
        if is_bound::<BOUND_ACCESS>(text, prefix) {
            let mac = |keys: &KeySet, said: &_| long_mac(&keys.bound_access, said);
            return self.open::<BOUND_ACCESS>(text, prefix, mac).map(|raw| read_access(&raw));
        }
        self.open::<ACCESS>(text, prefix, |keys, said| keys.access.mac(said)).map(|raw| read_access(&raw))
    }

    /// A tag over `parts` that only this provider can make, as text; for forms.
    pub(crate) fn form_tag(&self, parts: &[&[u8]]) -> String {
        URL_SAFE_NO_PAD.encode(form_mac(&self.keys[0].form, parts))
    }

    /// Whether `text` is the tag over `parts`, under any of the keys.
    pub(crate) fn check_form_tag(&self, parts: &[&[u8]], text: &str) -> bool {
        let mut tag = [0; 32];
        URL_SAFE_NO_PAD.decode_slice(text, &mut tag) == Ok(32)
            && self.keys.iter().any(|keys| form_mac(&keys.form, parts).ct_eq(&tag).into())
    }

    fn head(&self) -> [u8; 5] {
        let [a, b, c, d] = self.keys[0].id;
        [VERSION, a, b, c, d]
    }

    fn open<const RAW: usize>(
        &self,
        text: &str,
        prefix: &str,
        mac: impl Fn(&KeySet, &[u8]) -> [u8; 32],
    ) -> Result<[u8; RAW], HandleError> {
        // The alphabet has the underscore too, so the prefix is stripped and never searched for.
        let text = text.strip_prefix(prefix).ok_or(HandleError::Malformed)?;
        let mut raw = [0; RAW];
        if text.len() != encoded(RAW) || !decode(text, &mut raw) || raw[0] != VERSION {
            return Err(HandleError::Malformed);
        }
        let keys = self.keys.iter().find(|keys| keys.id == raw[1..5]).ok_or(HandleError::UnknownKey)?;
        let (said, tag) = raw.split_last_chunk().expect("a handle is longer than its tag");
        if same(&half(&mac(keys, said)), tag) { Ok(raw) } else { Err(HandleError::Forged) }
    }
}

impl fmt::Debug for Handles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handles").field("secrets", &self.keys.len()).finish_non_exhaustive()
    }
}

/// Whether a text is as long as a bound handle is.
const fn is_bound<const RAW: usize>(text: &str, prefix: &str) -> bool {
    text.len() == prefix.len() + encoded(RAW)
}

fn read_code(raw: &[u8]) -> CodeHandle {
    let mut fields = Reader(&raw[5..]);
    let (grant, grant_expires_at) = (GrantId(fields.take()), fields.take_seconds());
    CodeHandle { grant, grant_expires_at, bound_to: fields.take_key() }
}

fn read_refresh(raw: &[u8]) -> RefreshHandle {
    let mut fields = Reader(&raw[5..]);
    let (grant, generation) = (GrantId(fields.take()), u32::from_be_bytes(fields.take()));
    RefreshHandle { grant, generation, salt: Salt(fields.take()), bound_to: fields.take_key() }
}

#[inline(always)]
fn read_access(raw: &[u8]) -> AccessHandle {
    let mut fields = Reader(&raw[5..]);
    AccessHandle {
        grant: GrantId(fields.take()),
        token: fields.take(),
        issued_at: fields.take_seconds(),
        expires_at: fields.take_seconds(),
        scope: u64::from_be_bytes(fields.take()),
        resources: u16::from_be_bytes(fields.take()),
        bound_to: fields.take_key(),
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

    use super::*;
    use crate::secret::Secret;

    const NOW: UnixTime = UnixTime::from_secs(1_800_000_000);

    fn issuer() -> Issuer {
        "https://a.example".into()
    }

    fn handles(secrets: impl Into<Secrets>) -> Handles {
        Handles::new("toa", &secrets.into(), &issuer()).unwrap()
    }

    fn secret(n: u8) -> Secret {
        Secret::from_bytes([n; 32])
    }

    fn access() -> AccessHandle {
        AccessHandle {
            grant: GrantId([0xa5; 16]),
            token: [1, 2, 3, 4, 5, 6, 7, 8],
            issued_at: NOW,
            expires_at: NOW.plus(std::time::Duration::from_secs(600)),
            scope: 0x8000_0000_0000_0001,
            resources: 0x8001,
            bound_to: None,
        }
    }

    fn code() -> CodeHandle {
        CodeHandle { grant: GrantId([3; 16]), grant_expires_at: UnixTime::FAR_FUTURE, bound_to: None }
    }

    fn refresh(generation: u32) -> RefreshHandle {
        RefreshHandle { grant: GrantId([0x5a; 16]), generation, salt: Salt([9; 16]), bound_to: None }
    }

    #[test]
    fn what_goes_in_comes_out_and_has_the_promised_length() {
        let handles = handles(secret(1));
        for handle in [code(), CodeHandle { grant_expires_at: NOW, ..code() }] {
            assert!(handles.open_code(&handles.mint_code(&handle)) == Ok(handle));
        }
        let code = handles.mint_code(&code());
        let token = handles.mint_access(&access());
        assert!(handles.open_access(&token) == Ok(access()));
        let renewal = handles.mint_refresh(&refresh(7));
        assert!(handles.open_refresh(&renewal) == Ok(refresh(7)));
        assert_eq!((code.len(), renewal.len(), token.len()), (63, 83, 94));
        assert!(code.starts_with("toa_ac_") && renewal.starts_with("toa_rt_") && token.starts_with("toa_at_"));
    }

    /// RFC 9449 §6: what a key is bound to names it, under the tag
    #[test]
    fn a_bound_handle_carries_its_key_and_is_none_without_it() {
        let handles = handles(secret(1));
        let bound_to = Some(Thumbprint::from_bytes([0x77; 32]));
        let (code, renewal) = (CodeHandle { bound_to, ..code() }, RefreshHandle { bound_to, ..refresh(7) });
        let access = AccessHandle { bound_to, ..access() };
        assert!(handles.open_code(&handles.mint_code(&code)) == Ok(code));
        assert!(handles.open_refresh(&handles.mint_refresh(&renewal)) == Ok(renewal));
        assert!(handles.open_access(&handles.mint_access(&access)) == Ok(access));
        let token = handles.mint_access(&access);
        let lengths = (handles.mint_code(&code).len(), handles.mint_refresh(&renewal).len(), token.len());
        assert_eq!(lengths, (106, 126, 137));
        // Without its key, under the tag that it has and under a new one of bound handles.
        let mut raw = [0; BOUND_ACCESS];
        assert!(decode(&token["toa_at_".len()..], &mut raw));
        let cut: [u8; ACCESS] = [&raw[..ACCESS - TAG], &raw[BOUND_ACCESS - TAG..]].concat().try_into().unwrap();
        let resealed = seal("toa_at_", cut, |said| long_mac(&handles.keys[0].bound_access, said));
        for cut in [format!("toa_at_{}", URL_SAFE_NO_PAD.encode(cut)), resealed] {
            assert!(handles.open_access(&cut) == Err(HandleError::Forged));
        }
        // A handle that is not bound, with a key put in.
        let mut bare = [0; ACCESS];
        assert!(decode(&handles.mint_access(&self::access())["toa_at_".len()..], &mut bare));
        let grown = [&bare[..ACCESS - TAG], &[0x77; KEY], &bare[ACCESS - TAG..]].concat();
        let grown = format!("toa_at_{}", URL_SAFE_NO_PAD.encode(grown));
        assert!(handles.open_access(&grown) == Err(HandleError::Forged));
    }

    #[test]
    fn a_change_of_any_character_is_refused() {
        let handles = handles(secret(1));
        let token = handles.mint_access(&access());
        let bound = AccessHandle { bound_to: Some(Thumbprint::from_bytes([0x77; 32])), ..access() };
        for token in [&token, &handles.mint_access(&bound)] {
            for at in 0..token.len() {
                for other in (0..=0x7f_u8).filter(|other| *other != token.as_bytes()[at]) {
                    let mut forged = token.clone().into_bytes();
                    forged[at] = other;
                    let forged = String::from_utf8(forged).unwrap();
                    assert!(handles.open_access(&forged).is_err(), "{forged}");
                }
            }
        }
        for forged in
            ["", "toa_at_", &token[1..], &token[..93], &format!("{token}A"), &format!("{token}="), "toa_at_\u{e9}"]
        {
            assert_eq!(handles.open_access(forged).err(), Some(HandleError::Malformed), "{forged}");
        }
    }

    #[test]
    fn a_handle_of_one_kind_is_none_of_another_even_under_its_prefix() {
        let handles = handles(secret(1));
        let (code, token, renewal) =
            (handles.mint_code(&code()), handles.mint_access(&access()), handles.mint_refresh(&refresh(0)));
        for text in [&token, &renewal] {
            assert!(handles.open_code(text).is_err());
            assert!(
                handles.open_code(&text.replacen("toa_at_", "toa_ac_", 1).replacen("toa_rt_", "toa_ac_", 1)).is_err()
            );
        }
        for text in [&code, &renewal] {
            assert!(handles.open_access(text).is_err());
        }
        for text in [&code, &token] {
            assert!(handles.open_refresh(text).is_err());
        }
        // The keys differ too: a code's bytes under the key for refresh tokens are no code.
        let mut raw = [0; CODE];
        Writer(&mut raw).put(&handles.head()).put(&[3; 16]);
        let wrong = seal("toa_ac_", raw, |said| handles.keys[0].refresh.mac(said));
        assert!(handles.open_code(&wrong) == Err(HandleError::Forged));
    }

    #[test]
    fn record_keys_spread_over_a_map() {
        let hash = |key| BuildHasherDefault::<DefaultHasher>::default().hash_one(GrantKey(key));
        assert_eq!(hash([1; 16]), hash([1; 16]));
        assert_ne!(hash([1; 16]), hash([2; 16]));
    }

    #[test]
    fn another_version_is_refused_even_under_a_right_tag() {
        let handles = handles(secret(1));
        let [_, a, b, c, d] = handles.head();
        let mut raw = [0; CODE];
        Writer(&mut raw).put(&[VERSION + 1, a, b, c, d]).put(&[3; 16]);
        let later = seal("toa_ac_", raw, |said| handles.keys[0].code.mac(said));
        assert!(handles.open_code(&later) == Err(HandleError::Malformed));
    }

    #[test]
    fn a_generation_beyond_31_bits_is_no_handle() {
        let handles = handles(secret(1));
        assert!(handles.open_refresh(&handles.mint_refresh(&refresh(LAST_GENERATION))).is_ok());
        let beyond = handles.mint_refresh(&refresh(LAST_GENERATION + 1));
        assert!(handles.open_refresh(&beyond) == Err(HandleError::Malformed));
    }

    #[test]
    fn secrets_are_replaced_in_two_steps_and_a_dropped_one_ends_its_handles() {
        let old = handles(secret(1));
        let appended = handles([secret(1), secret(2)].into_iter().collect::<Secrets>());
        let moved = handles([secret(2), secret(1)].into_iter().collect::<Secrets>());
        let new = handles(secret(2));
        let (before, after) = (old.mint_code(&code()), moved.mint_code(&code()));
        assert_eq!(before, appended.mint_code(&code()), "appended: it verifies only");
        assert_eq!(after, new.mint_code(&code()));
        for handles in [&appended, &moved] {
            assert!(handles.open_code(&before).is_ok() && handles.open_code(&after).is_ok());
        }
        assert!(new.open_code(&before) == Err(HandleError::UnknownKey));
        assert!(Handles::new("toa", &[secret(1), secret(1)].into_iter().collect(), &issuer()).is_err());
        assert!(Handles::new("toa", &[].into_iter().collect(), &issuer()).is_err());
    }

    #[test]
    fn key_ids_are_those_that_handles_carry_and_the_first_one_signs() {
        let both = handles([secret(1), secret(2)].into_iter().collect::<Secrets>());
        let signed = |handles: &Handles| {
            let mut raw = [0; CODE];
            assert!(decode(&handles.mint_code(&code())[handles.code_prefix.len()..], &mut raw));
            *raw[1..].first_chunk::<4>().unwrap()
        };
        assert_eq!(both.key_ids(), [signed(&handles(secret(1))), signed(&handles(secret(2)))]);
        assert_eq!(signed(&both), both.key_ids()[0]);
    }

    #[test]
    fn another_issuer_or_secret_has_other_handles_and_other_record_keys() {
        let ours = handles(secret(1));
        let theirs = Handles::new("toa", &secret(1).into(), &"https://b.example".into()).unwrap();
        let code = ours.mint_code(&code());
        assert!(theirs.open_code(&code) == Err(HandleError::UnknownKey));
        assert!(handles(secret(2)).open_code(&code) == Err(HandleError::UnknownKey));
        assert_ne!(ours.key_of(GrantId([3; 16])), theirs.key_of(GrantId([3; 16])));
        assert_ne!(ours.key_of(GrantId([3; 16])), ours.key_of(GrantId([4; 16])));
        assert_eq!(ours.key_of(GrantId([3; 16])), handles(secret(2)).key_of(GrantId([3; 16])));
    }

    #[test]
    fn a_record_key_is_the_hash_that_the_design_names() {
        let digest = Sha256::new().chain_update(Sha256::digest("https://a.example")).chain_update([3; 16]).finalize();
        let key = handles(secret(1)).key_of(GrantId([3; 16]));
        assert_eq!(key.as_bytes()[..], digest[..16]);
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!(GrantKey::from_bytes(*key.as_bytes()), key);
        assert_eq!(format!("{key:?}"), format!("GrantKey({key})"));
        for bad in ["", "AAAA", &format!("{key}A"), &key.to_string()[1..]] {
            assert_eq!(bad.parse::<GrantKey>(), Err(InvalidGrantKey));
        }
        assert_eq!(InvalidGrantKey.to_string(), "not the key of a grant: 22 characters of base64url");
    }

    #[test]
    fn a_form_tag_belongs_to_its_parts_as_they_were_split() {
        let handles = handles([secret(1), secret(2)].into_iter().collect::<Secrets>());
        let tag = handles.form_tag(&[b"ab", b"c"]);
        assert!(handles.check_form_tag(&[b"ab", b"c"], &tag));
        for other in [&[&b"a"[..], b"bc"][..], &[b"abc"], &[b"ab", b"c", b""], &[b"ab", b"d"]] {
            assert!(!handles.check_form_tag(other, &tag));
        }
        assert!(!handles.check_form_tag(&[b"ab", b"c"], ""));
        assert!(!handles.check_form_tag(&[b"ab", b"c"], &tag[1..]));
        let earlier = self::handles(secret(2)).form_tag(&[b"ab"]);
        assert!(handles.check_form_tag(&[b"ab"], &earlier), "a form outlives the move of its secret");
    }

    #[test]
    fn a_salt_is_kept_as_half_of_its_sha256_and_debug_shows_no_key() {
        assert_eq!(Salt([9; 16]).hash(), Sha256::digest([9; 16])[..16]);
        assert!(Salt::generate() != Salt::generate() && GrantId::generate() != GrantId::generate());
        assert_eq!(format!("{:?}", handles(secret(1))), "Handles { secrets: 1, .. }");
    }
}
