use std::fmt;

/// How a token is signed, `alg` ([RFC 7518 §3.1](https://www.rfc-editor.org/rfc/rfc7518#section-3.1),
/// [RFC 8037 §3.1](https://www.rfc-editor.org/rfc/rfc8037#section-3.1)).
///
/// There is no `none`, and none with a shared secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// `ES256`: ECDSA with the curve P-256 and SHA-256. Every verifier has it.
    Es256,
    /// `EdDSA`: Ed25519. Faster on both sides. In the tokens and keys of others it may be called `Ed25519`.
    EdDsa,
    /// `RS256`: RSASSA-PKCS1-v1_5 with SHA-256 and keys of 2,048 to 8,192 bits, for tokens of others and keys of a
    /// [`Signer`](crate::Signer). No key for it is made or kept here.
    Rs256,
}

impl Algorithm {
    pub(crate) const ALL: [Self; 3] = [Self::Es256, Self::EdDsa, Self::Rs256];

    /// The registered name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
        }
    }

    /// Names are compared as they are: `es256` is none (RFC 7515 §4.1.1). `Ed25519` is what `EdDSA` is with that curve,
    /// which is the only one here ([RFC 9864 §2.2](https://www.rfc-editor.org/rfc/rfc9864#section-2.2)).
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name).or((name == "Ed25519").then_some(Self::EdDsa))
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
