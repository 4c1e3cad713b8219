//! Revoked tokens as bytes, the same ones in every database.

use crate::error::InvalidRecord;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::grant::RevokedTokens;
use crate::grant::Tokens;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use crate::handle::GrantKey;
use crate::types::UnixTime;

/// What stands before a moment, so that it is no id.
const UNTIL: u8 = b'<';

/// Nothing for all, 8 bytes for one token, and 9 for those up to a moment.
#[cfg(any(feature = "sqlite", test))]
pub(in crate::store) fn tokens_to_bytes(tokens: Tokens) -> Vec<u8> {
    match tokens {
        Tokens::All => Vec::new(),
        Tokens::One(id) => id.to_vec(),
        Tokens::IssuedUntil(at) => [&[UNTIL][..], &at.as_secs().to_be_bytes()].concat(),
    }
}

pub(in crate::store) fn tokens_from_bytes(bytes: &[u8]) -> Result<Tokens, InvalidRecord> {
    let unknown = InvalidRecord::new("revoked tokens");
    match bytes {
        [] => Ok(Tokens::All),
        [UNTIL, at @ ..] if at.len() == 8 => {
            let at = at.try_into().map_err(|_| unknown)?;
            Ok(Tokens::IssuedUntil(UnixTime::from_secs(u64::from_be_bytes(at))))
        }
        id => id.try_into().map(Tokens::One).map_err(|_| unknown),
    }
}

/// Those of a row.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
pub(in crate::store) fn revoked_from_row(
    grant: &[u8],
    tokens: &[u8],
    until: i64,
) -> Result<RevokedTokens, InvalidRecord> {
    let grant = grant.try_into().map_err(|_| InvalidRecord::new("the key of a grant"))?;
    let until = until.try_into().map_err(|_| InvalidRecord::new("a time before 1970"))?;
    Ok(RevokedTokens::new(GrantKey::from_bytes(grant), tokens_from_bytes(tokens)?, UnixTime::from_secs(until)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_back_as_they_were_and_nothing_else_is_some() {
        let moments = [0, 1_800_000_000, 253_402_300_799].map(|at| Tokens::IssuedUntil(UnixTime::from_secs(at)));
        let ids = [[0; 8], [UNTIL; 8], [0xff; 8]].map(Tokens::One);
        for tokens in [&[Tokens::All][..], &moments, &ids].concat() {
            assert_eq!(tokens_from_bytes(&tokens_to_bytes(tokens)), Ok(tokens));
        }
        for bytes in [&[0; 1][..], &[0; 7], &[0; 9], &[UNTIL; 10]] {
            assert!(tokens_from_bytes(bytes).is_err(), "{bytes:?}");
        }
    }
}
