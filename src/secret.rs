//! The provider's one secret, its rotation, and the keys that are made from it.
//!
//! Whoever has the secret can make access tokens for grants whose id they have seen; replacing it ends every session,
//! and is the remedy after a leak. Handles never leave a key behind: every kind of handle has a key of its own, made
//! with HKDF-SHA-256 ([RFC 5869](https://www.rfc-editor.org/rfc/rfc5869)) from the secret, the purpose and the issuer.
//!
//! To replace a secret without logging anyone out: append the new one on every node (it verifies), then move it to the
//! front (it signs), then drop the old one after the longest idle time of a refresh token. `SECURITY.md` has the steps.
//!
//! ```
//! use tower_oauth::{Secret, Secrets};
//!
//! let (old, new) = (Secret::generate(), Secret::generate());
//! let secrets: Secrets = [old, new].into_iter().collect();
//! assert_eq!(format!("{secrets:?}"), "Secrets(2)");
//! ```

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use sha2::Sha256;

use crate::types::Issuer;

/// 32 random bytes. Never a passphrase.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

impl Secret {
    /// A new one, from the operating system's randomness.
    #[must_use]
    pub fn generate() -> Self {
        Self(random())
    }

    /// One that is kept elsewhere, such as in a vault.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    fn from_text(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        (text.len() == 43 && URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) == Ok(32)).then_some(Self(bytes))
    }

    fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// The key for one purpose of one issuer.
    pub(crate) fn derive<const N: usize>(&self, purpose: &str, issuer: &Issuer) -> [u8; N] {
        let info = [b"tower-oauth/1\0", purpose.as_bytes(), b"\0", issuer.as_str().as_bytes()];
        let mut key = [0; N];
        Hkdf::<Sha256>::new(None, &self.0)
            .expand_multi_info(&info, &mut key)
            .expect("keys are far shorter than HKDF's limit of 8,160 bytes");
        key
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret([redacted])")
    }
}

/// One secret or more: the first signs, all of them verify.
#[derive(Clone, PartialEq, Eq)]
pub struct Secrets(Vec<Secret>);

impl Secrets {
    /// Reads the secrets of a file, one a line; a file that is missing is made, with its folder, for the owner alone
    /// (mode 0600) and with one new secret in it. The answer is true where it was made just now.
    ///
    /// Keep the file out of backups of the database.
    ///
    /// # Errors
    /// If the file cannot be read or made, is readable by others, or has a line that is no secret.
    pub fn open(path: impl AsRef<Path>) -> io::Result<(Self, bool)> {
        let path = path.as_ref();
        Self::read_or_make(path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    }

    fn read_or_make(path: &Path) -> io::Result<(Self, bool)> {
        match Self::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = make(path, &Secret::generate())?;
                Ok((Self::read(path)?, made))
            }
            read => Ok((read?, false)),
        }
    }

    fn read(path: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(path)?;
        only_for_the_owner(path)?;
        let invalid = |why| io::Error::new(io::ErrorKind::InvalidData, why);
        let secrets = text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| Secret::from_text(line.trim()).ok_or(invalid("a line is not 43 characters of base64url")))
            .collect::<io::Result<Vec<_>>>()?;
        if secrets.is_empty() {
            return Err(invalid("there is no secret in it"));
        }
        Ok(Self(secrets))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Secret> {
        self.0.iter()
    }
}

impl From<Secret> for Secrets {
    fn from(secret: Secret) -> Self {
        Self(vec![secret])
    }
}

impl FromIterator<Secret> for Secrets {
    fn from_iter<I: IntoIterator<Item = Secret>>(secrets: I) -> Self {
        Self(secrets.into_iter().collect())
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

/// Makes the file whole or not at all; false where another process was first.
fn make(path: &Path, secret: &Secret) -> io::Result<bool> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}", hex(&random::<8>())));
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&draft)?;
    let written = writeln!(file, "{}", secret.to_text()).and_then(|()| file.sync_all());
    // A link, not a rename: it fails where the name is taken, so that two first starts agree on one secret.
    let linked = written.and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft)?;
    match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(unix)]
fn only_for_the_owner(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if fs::metadata(path)?.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, "others may read it: run `chmod 600` on it"))
}

#[cfg(not(unix))]
fn only_for_the_owner(_path: &Path) -> io::Result<()> {
    Ok(())
}

/// Fresh random bytes from a generator that the operating system seeds.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes);
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> std::path::PathBuf {
        std::env::temp_dir().join(format!("tower-oauth-{}", hex(&random::<8>())))
    }

    #[test]
    fn every_purpose_and_issuer_has_a_key_of_its_own() {
        let secret = Secret::from_bytes([7; 32]);
        let (a, b) = (Issuer::from("https://a.example"), Issuer::from("https://b.example"));
        let keys: Vec<[u8; 32]> = vec![
            secret.derive("code", &a),
            secret.derive("access", &a),
            secret.derive("code", &b),
            Secret::from_bytes([8; 32]).derive("code", &a),
        ];
        for (n, key) in keys.iter().enumerate() {
            assert!(keys[..n].iter().all(|other| other != key));
        }
        assert_eq!(secret.derive::<32>("code", &a), keys[0]);
    }

    /// RFC 5869 with the info string of the design; the figures come from Python's `hmac` module.
    #[test]
    fn keys_are_hkdf_sha256_of_secret_purpose_and_issuer() {
        let key: [u8; 4] = Secret::from_bytes([7; 32]).derive("key id", &Issuer::from("https://a.example"));
        assert_eq!(hex(&key), "53412356");
    }

    #[test]
    fn a_missing_file_is_made_for_the_owner_alone_and_read_again() {
        let folder = folder();
        let path = folder.join("deep/secret");
        let (made, new) = Secrets::open(&path).unwrap();
        assert!(new && made.0.len() == 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        assert_eq!(Secrets::open(&path).unwrap(), (made, false));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "no draft is left");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn two_first_starts_agree_on_one_secret() {
        let folder = folder();
        let path = folder.join("secret");
        let opened: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| Secrets::open(&path).unwrap())).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(opened.iter().all(|(secrets, _)| *secrets == opened[0].0));
        assert_eq!(opened.iter().filter(|(_, made)| *made).count(), 1);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn lines_are_secrets_the_first_one_signs_and_nonsense_is_refused() {
        let folder = folder();
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("secret");
        let write = |text: &str| {
            fs::write(&path, text).unwrap();
            #[cfg(unix)]
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        };
        let (a, b) = (Secret::generate(), Secret::generate());
        write(&format!("{}\n\n {} \n", a.to_text(), b.to_text()));
        assert_eq!(Secrets::open(&path).unwrap().0.0, [a.clone(), b]);
        for bad in ["", "\n", "passphrase", &a.to_text()[1..], &format!("{}A", a.to_text())] {
            write(bad);
            let error = Secrets::open(&path).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{bad}");
            assert!(error.to_string().contains("secret: "), "it names the file: {error}");
        }
        let impossible = folder.join("secret/below a file");
        assert!(Secrets::open(&impossible).unwrap_err().to_string().contains("below a file: "));
        #[cfg(unix)]
        {
            write(&a.to_text());
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
            let error = Secrets::open(&path).unwrap_err();
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    #[cfg(unix)]
    fn where_a_file_is_there_nothing_is_made_beside_it() {
        let folder = folder();
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("secret"), "passphrase").unwrap();
        let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(86_400);
        fs::File::open(&folder).unwrap().set_modified(long_ago).unwrap();
        assert!(Secrets::open(folder.join("secret")).is_err());
        assert_eq!(fs::metadata(&folder).unwrap().modified().unwrap(), long_ago);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn debug_shows_no_secret() {
        let secret = Secret::from_bytes(*b"0123456789abcdef0123456789abcdef");
        assert_eq!(format!("{secret:?} {:?}", Secrets::from(secret.clone())), "Secret([redacted]) Secrets(1)");
        assert_ne!(Secret::generate(), Secret::generate());
    }
}
