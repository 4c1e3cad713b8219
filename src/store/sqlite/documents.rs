//! What a provider keeps of its own, as rows.

use super::writer::Statement;
use super::{DatabaseError, SqliteStore};
use crate::types::Issuer;

impl SqliteStore {
    pub(super) async fn find_document(&self, issuer: &Issuer, name: &str) -> Result<Option<Vec<u8>>, DatabaseError> {
        let find = "SELECT body FROM oauth_document WHERE issuer = ?1 AND name = ?2";
        let find = sqlx::query_scalar(find).bind(issuer.as_str()).bind(name);
        Ok(find.fetch_optional(&self.0.readers).await?)
    }
}

/// Changes one row where what is kept is `old` or `new`, and none otherwise.
pub(super) fn replace(issuer: &Issuer, name: &str, old: Option<&[u8]>, new: &[u8]) -> Statement {
    let statement = sqlx::query(match old {
        None => {
            "INSERT INTO oauth_document (issuer, name, body) VALUES (?1, ?2, ?3) ON CONFLICT (issuer, name) \
             DO UPDATE SET body = excluded.body WHERE body = excluded.body"
        }
        Some(_) => "UPDATE oauth_document SET body = ?3 WHERE issuer = ?1 AND name = ?2 AND body IN (?3, ?4)",
    });
    let statement = statement.bind(issuer.as_str().to_owned()).bind(name.to_owned()).bind(new.to_vec());
    match old {
        None => statement,
        Some(old) => statement.bind(old.to_vec()),
    }
}
