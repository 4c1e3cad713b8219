//! What is said to PostgreSQL: the rules of [`Grant`](crate::grant::Grant) as one statement for each transition.
//!
//! A transition is an `UPDATE` whose `WHERE` holds when the step changes the row, so that a step that changes nothing
//! writes nothing and locks nothing. Where another step has the row, PostgreSQL waits for it and looks again at what it
//! left. The statement answers the row as it is afterwards, and whether it changed it. Where it did not, the rules
//! themselves, asked in Rust on that row, say what became of the step.
//!
//! The usual rotation has a statement of its own, the barest there is, for a row that was read before; where it changes
//! nothing, the other one decides.
//!
//! What ends something tells the other nodes of it, in the same statement: see `revocations.rs`. It also keeps what was
//! revoked, for verifiers that know no grants.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::grant::RevokedTokens;
use crate::store::database::columns;
use crate::types::UnixTime;

/// Counts a revocation and tells it to all nodes, where `$ended` has rows. `$keys` are those of its grants as they are
/// told. A data-modifying statement is run to its end, whether or not anybody reads what it returns.
macro_rules! tell {
    ($ended:expr, $keys:expr) => {
        concat!(
            "told AS (UPDATE {schema}.oauth_revocation SET number = number + 1 WHERE EXISTS (SELECT FROM ",
            $ended,
            ") RETURNING pg_notify('{channel}', number || ",
            $keys,
            "))"
        )
    };
}

/// Keeps what was revoked: `$revoked` answers issuer, key, which tokens, and until when.
macro_rules! keep {
    ($revoked:expr) => {
        concat!(
            "kept AS (INSERT INTO {schema}.oauth_revoked AS known (issuer, key, tokens, until) ",
            $revoked,
            " ON CONFLICT (issuer, key, tokens) DO UPDATE SET until = greatest(known.until, excluded.until))"
        )
    };
}

/// The grants that were ended, of those that were changed.
macro_rules! ended {
    ($changed:literal) => {
        concat!(
            "SELECT issuer, key, ''::bytea, revoked_at + {longest} FROM ",
            $changed,
            " WHERE revoked_at IS NOT NULL"
        )
    };
}

/// The token that a transition ended, `$5`, until `$8`, and those that ended with it.
macro_rules! ended_token {
    () => {
        "SELECT issuer, key, substr($5::bytea, 1, 8), $8::bigint FROM changed
         UNION ALL SELECT issuer, key, '<'::bytea || int8send(revoked_until), revoked_until + {longest} FROM changed
         WHERE revoked_until IS NOT NULL"
    };
}

/// A key as [`GrantKey`](crate::GrantKey) writes it, behind a space.
macro_rules! key_text {
    ($key:literal) => {
        concat!("' ' || rtrim(translate(encode(", $key, ", 'base64'), '+/', '-_'), '=')")
    };
}

/// A transition: the `UPDATE`, and the row where it changed nothing; behind its columns, which of the two it is. `$1` is
/// the key, `$ended` what of a changed row has to be told, and `$revoked` what of it has to be kept.
macro_rules! transition {
    ($ended:expr, $revoked:expr, $($update:expr),+ $(,)?) => {
        concat!(
            "WITH changed AS (UPDATE {schema}.oauth_grant SET ", $($update,)+
            " RETURNING ", columns!(), ", true), ",
            tell!(concat!("changed", $ended), key_text!("$1::bytea")), ", ", keep!($revoked),
            " SELECT * FROM changed UNION ALL SELECT ", columns!(),
            ", false FROM {schema}.oauth_grant WHERE key = $1 AND NOT EXISTS (SELECT FROM changed)"
        )
    };
}

/// What `redeem` and `rotate` end, and not all that they change.
macro_rules! replayed {
    () => {
        " WHERE revoked_at IS NOT NULL"
    };
}

/// Lets no commit of this transaction be answered before it is on the disk, whatever the session says; what waits for more
/// than that still does.
macro_rules! durable {
    () => {
        "SELECT set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'remote_apply' \
         THEN 'remote_apply' ELSE 'on' END, true)"
    };
}

pub(super) const DURABLE: &str = durable!();

/// The same as a condition that holds.
macro_rules! durably {
    () => {
        concat!(" AND (", durable!(), ") IS NOT NULL")
    };
}

/// `$2` issuer, `$3` client, `$4` redirect URI, `$5` challenge, `$6` secret, `$7` the grant's end, `$8` double submit,
/// `$9` now.
const REDEEM: &str = transition!(
    replayed!(),
    ended!("changed"),
    "revoked_at = CASE WHEN redeemed_at IS NULL THEN NULL ELSE $9::bigint END,
     revoke_reason = CASE WHEN redeemed_at IS NULL THEN NULL ELSE 'code_reuse' END,
     expires_at = CASE WHEN redeemed_at IS NULL THEN $7::bigint ELSE expires_at END,
     secret_hash = CASE WHEN redeemed_at IS NULL THEN $6::bytea ELSE secret_hash END,
     rotated_at = CASE WHEN redeemed_at IS NULL THEN $9::bigint ELSE rotated_at END,
     redeemed_at = CASE WHEN redeemed_at IS NULL THEN $9::bigint ELSE redeemed_at END
     WHERE key = $1 AND issuer = $2 AND client_id = $3
     AND CASE WHEN $4::text IS NULL THEN challenge IS NOT NULL OR NOT redirect_uri_sent ELSE redirect_uri = $4::text END
     AND challenge IS NOT DISTINCT FROM $5::bytea AND revoked_at IS NULL AND expires_at > $9::bigint
     AND (redeemed_at IS NULL OR NOT (secret_hash = $6::bytea
         OR (challenge IS NOT NULL AND greatest($9::bigint - redeemed_at, 0) < $8::bigint)))",
    durably!(),
);

/// The usual rotation of a row that was read before: `$2` generation, `$3` now. Nothing else that it was decided by can have
/// changed since. It waits for the disk as the session says.
const ROTATE: &str = "UPDATE {schema}.oauth_grant SET generation = generation + 1, rotated_at = $3
     WHERE key = $1 AND generation = $2 AND revoked_at IS NULL";

/// A rotation of any other generation: `$2` issuer, `$3` client, `$4` secret, `$5` generation, `$6` idle, `$7` now,
/// `$8` grace. Where the generation is the current one nothing changes, and what it answers is what the usual statement
/// needs. It waits for the disk, since it may end the grant.
const ROTATE_ELSE: &str = transition!(
    replayed!(),
    ended!("changed"),
    "revoked_at = CASE WHEN $5::bigint > generation THEN NULL ELSE $7::bigint END,
     revoke_reason = CASE WHEN $5::bigint > generation THEN NULL ELSE 'refresh_reuse' END,
     rotated_at = CASE WHEN $5::bigint > generation THEN $7::bigint ELSE rotated_at END,
     generation = CASE WHEN $5::bigint > generation THEN $5::bigint + 1 ELSE generation END
     WHERE key = $1 AND issuer = $2 AND client_id = $3 AND secret_hash = $4 AND revoked_at IS NULL
     AND expires_at > $7::bigint AND greatest($7::bigint - rotated_at, 0) < $6::bigint
     AND $5::bigint <= generation + 1 AND $5::bigint <> generation
     AND NOT ($5::bigint + 1 = generation AND greatest($7::bigint - rotated_at, 0) <= $8::bigint)",
    durably!(),
);

macro_rules! revocable {
    () => {
        " WHERE key = $1 AND issuer = $2 AND ($3::text IS NULL OR client_id = $3::text)
         AND ($4::bytea IS NULL OR secret_hash = $4::bytea) AND revoked_at IS NULL"
    };
}

/// `$2` issuer, `$3` client, `$4` secret, `$5` reason, `$6` now.
const REVOKE: &str =
    transition!("", ended!("changed"), "revoked_at = $6::bigint, revoke_reason = $5::text", revocable!(), durably!());

/// `$5` the token's id and its end, `$6` now, `$7` now as the bytes of an end, `$8` until when the token is told. As
/// [`GrantRecord`] says, 16 bytes are one token; 32 are remembered, and one more ends all that were issued so far.
///
/// [`GrantRecord`]: crate::grant::GrantRecord
const REVOKE_TOKEN: &str = transition!(
    "",
    ended_token!(),
    "(revoked_tokens, revoked_until) = (
         SELECT CASE WHEN count(*) = 32 THEN $5::bytea
                ELSE coalesce(string_agg(token, ''::bytea ORDER BY at), ''::bytea) || $5::bytea END,
             CASE WHEN count(*) = 32 THEN greatest(revoked_until, $6::bigint) ELSE revoked_until END
         FROM generate_series(1, length(revoked_tokens), 16) AS at, substr(revoked_tokens, at, 16) AS token
         WHERE substr(token, 1, 8) <> substr($5::bytea, 1, 8) AND substr(token, 9) > $7::bytea)",
    revocable!(),
    durably!(),
);

const INSERT: &str = concat!(
    "INSERT INTO {schema}.oauth_grant (",
    columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21) ",
    "ON CONFLICT (key) DO NOTHING"
);

macro_rules! select {
    ($rest:literal) => {
        concat!("SELECT ", columns!(), " FROM {schema}.oauth_grant WHERE ", $rest)
    };
}

/// `$1` issuer, `$2` reason, `$3` now, `$4` after which key, `$5` whose. Answers how many it ended, how many it looked
/// at, and the last of those. It locks them in the order of their keys: so two that have grants in common wait one for the
/// other, and not each for the other.
macro_rules! end_all {
    ($of:literal) => {
        concat!(
            "WITH next AS MATERIALIZED (SELECT key FROM {schema}.oauth_grant WHERE key > $4 AND issuer = $1 AND ",
            "revoked_at IS NULL AND ",
            $of,
            " ORDER BY key LIMIT 500 FOR UPDATE), ended AS (UPDATE {schema}.oauth_grant SET revoked_at = $3, ",
            "revoke_reason = $2 WHERE key IN (SELECT key FROM next) AND revoked_at IS NULL",
            durably!(),
            " RETURNING issuer, key, revoked_at), ",
            // What is told has 8,000 bytes at most.
            tell!(
                "ended",
                concat!(
                    "CASE WHEN (SELECT count(*) FROM ended) > 200 THEN '' ELSE (SELECT string_agg(",
                    key_text!("key"),
                    ", '') FROM ended) END"
                )
            ),
            ", ",
            keep!(ended!("ended")),
            " SELECT (SELECT count(*) FROM ended), (SELECT count(*) FROM next), ",
            "(SELECT key FROM next ORDER BY key DESC LIMIT 1)"
        )
    };
}

macro_rules! statements {
    ($($(#[$about:meta])* $name:ident: $text:expr,)+) => {
        /// The statements for one schema.
        pub(super) struct Statements {
            $($(#[$about])* pub(super) $name: SqlStr,)+
        }

        impl Statements {
            /// For the schema of this name, which is quoted.
            pub(super) fn new(schema: &str) -> Self {
                Self { $($name: for_schema($text, schema),)+ }
            }
        }
    };
}

statements! {
    create: INSERT,
    find: select!("key = $1"),
    redeem: REDEEM,
    rotate: ROTATE,
    rotate_else: ROTATE_ELSE,
    revoke: REVOKE,
    revoke_token: REVOKE_TOKEN,
    of_user: select!("issuer = $1 AND subject = $2"),
    of_user_at_client: select!("issuer = $1 AND subject = $2 AND client_id = $3"),
    of_client: select!("issuer = $1 AND client_id = $2"),
    end_user: end_all!("subject = $5"),
    end_user_at_client: end_all!("subject = $5 AND client_id = $6"),
    end_client: end_all!("client_id = $5"),
    /// `$1` key, `$2` until, `$3` now, `$4` who sees it.
    once: concat!("INSERT INTO {schema}.oauth_once AS known (key, until, seen_by) SELECT $1, $2, $4 WHERE true", durably!(),
                  " ON CONFLICT (key) DO UPDATE SET until = excluded.until, seen_by = excluded.seen_by \
                   WHERE known.until <= $3 OR known.seen_by = excluded.seen_by RETURNING 1"),
    /// `$1` issuer, `$2` now, `$3` idle, `$4` from which page, `$5` the page behind the last, `$6` the lock's name.
    /// A row in use is left for the next sweep, and all of them while somebody else sweeps.
    sweep_grants: "WITH over AS MATERIALIZED (SELECT ctid FROM {schema}.oauth_grant \
                   WHERE ctid >= format('(%s,0)', $4::bigint)::tid AND ctid < format('(%s,0)', $5::bigint)::tid \
                   AND issuer = $1 AND (revoked_at IS NOT NULL OR expires_at <= $2 \
                   OR greatest($2::bigint - rotated_at, 0) >= $3 AND rotated_at IS NOT NULL) \
                   AND (SELECT pg_try_advisory_xact_lock(hashtextextended($6, 0))) LIMIT 500 FOR UPDATE SKIP LOCKED) \
                   DELETE FROM {schema}.oauth_grant WHERE ctid = ANY (ARRAY(SELECT ctid FROM over)) RETURNING 1",
    /// How many revocations there were.
    revocations: "SELECT number FROM {schema}.oauth_revocation",
    pages: "SELECT pg_relation_size($1::text::regclass) / current_setting('block_size')::bigint",
    /// `$1` now.
    sweep_once: "DELETE FROM {schema}.oauth_once WHERE ctid = ANY (ARRAY(SELECT ctid FROM {schema}.oauth_once \
                 WHERE until <= $1 LIMIT 500 FOR UPDATE SKIP LOCKED)) RETURNING 1",
    /// `$1` issuer, `$2` now, as in the next two.
    revoked: "SELECT key, tokens, until FROM {schema}.oauth_revoked WHERE issuer = $1 AND until > $2",
    sweep_revoked: "DELETE FROM {schema}.oauth_revoked WHERE ctid = ANY (ARRAY(SELECT ctid FROM {schema}.oauth_revoked \
                    WHERE issuer = $1 AND until <= $2 LIMIT 500 FOR UPDATE SKIP LOCKED)) RETURNING 1",
    sweep_clients: "DELETE FROM {schema}.oauth_client AS client WHERE issuer = $1 AND keep_until <= $2 AND NOT EXISTS \
                    (SELECT FROM {schema}.oauth_grant AS held \
                    WHERE held.client_id = client.client_id AND held.issuer = $1)",
    keys: "SELECT issuer, key_id FROM {schema}.oauth_key",
    /// `$1` issuer, `$2` key, `$3` now.
    note_key: "INSERT INTO {schema}.oauth_key AS known (issuer, key_id, signed_at) VALUES ($1, $2, $3) \
               ON CONFLICT (issuer, key_id) DO UPDATE SET signed_at = excluded.signed_at \
               WHERE excluded.signed_at - known.signed_at >= 3600",
    /// `$1` issuer, `$2` now, `$3` idle.
    sweep_keys: "DELETE FROM {schema}.oauth_key WHERE issuer = $1 AND greatest($2::bigint - signed_at, 0) - 86400 >= $3 \
                 RETURNING key_id",
    forget_keys: "DELETE FROM {schema}.oauth_key WHERE issuer = $1",
    document: "SELECT body FROM {schema}.oauth_document WHERE issuer = $1 AND name = $2",
    /// `$3` the document, as in the next one.
    create_document: concat!("INSERT INTO {schema}.oauth_document AS known (issuer, name, body) SELECT $1, $2, $3 \
                              WHERE true", durably!(), " ON CONFLICT (issuer, name) DO UPDATE SET body = excluded.body \
                              WHERE known.body = excluded.body RETURNING 1"),
    /// `$4` what it was.
    replace_document: concat!("UPDATE {schema}.oauth_document SET body = $3 WHERE issuer = $1 AND name = $2 \
                               AND body IN ($3, $4)", durably!(), " RETURNING 1"),
    client: "SELECT record FROM {schema}.oauth_client WHERE issuer = $1 AND client_id = $2 AND NOT disabled",
    any_client: "SELECT record FROM {schema}.oauth_client WHERE issuer = $1 AND client_id = $2",
    clients: "SELECT record, disabled, keep_until IS NOT NULL FROM {schema}.oauth_client \
              WHERE issuer = $1 AND record IS NOT NULL ORDER BY client_id",
    /// `$3` the record, as in the next ones.
    create_client: "INSERT INTO {schema}.oauth_client (issuer, client_id, record) VALUES ($1, $2, $3) \
                    ON CONFLICT DO NOTHING RETURNING 1",
    /// `$4` until when it is kept, `$5` how many there can be.
    register_client: "INSERT INTO {schema}.oauth_client (issuer, client_id, record, keep_until) SELECT $1, $2, $3, $4 \
                      WHERE (SELECT count(*) FROM {schema}.oauth_client WHERE issuer = $1 AND keep_until IS NOT NULL) \
                      < $5 ON CONFLICT DO NOTHING RETURNING 1",
    /// `$4` the record as it was.
    replace_client: concat!("UPDATE {schema}.oauth_client SET record = $3 WHERE issuer = $1 AND client_id = $2 \
                             AND record = $4", durably!(), " RETURNING 1"),
    disable_client: concat!("UPDATE {schema}.oauth_client SET disabled = true WHERE issuer = $1 AND client_id = $2",
                            durably!()),
    enable_client: "UPDATE {schema}.oauth_client SET disabled = false WHERE issuer = $1 AND client_id = $2 \
                    AND record IS NOT NULL RETURNING 1",
    unregister_client: concat!("DELETE FROM {schema}.oauth_client WHERE issuer = $1 AND client_id = $2 \
                                AND keep_until IS NOT NULL", durably!()),
    delete_client: concat!("UPDATE {schema}.oauth_client SET record = NULL, keep_until = NULL WHERE issuer = $1 \
                            AND client_id = $2", durably!()),
}

/// The text for a schema, whose name is quoted.
pub(super) fn for_schema(text: &str, schema: &str) -> SqlStr {
    // The name last: it may have anything in it.
    let longest = RevokedTokens::until_of_all(UnixTime::from_secs(0)).as_secs().to_string();
    let text = text.replace("{channel}", &channel(schema)).replace("{longest}", &longest);
    let text = text.replace("{schema}", schema);
    // Besides the texts above it has a name that was quoted, one of letters and digits, a number, and no value.
    AssertSqlSafe(Arc::<str>::from(text)).into_sql_str()
}

/// Where revocations are told: channels belong to no schema, and their names are no longer than those of schemas.
pub(super) fn channel(schema: &str) -> String {
    let digest = Sha256::digest(schema);
    digest[..8].iter().fold("tower_oauth_".to_owned(), |name, byte| format!("{name}{byte:02x}"))
}
