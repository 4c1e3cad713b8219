-- Times are Unix seconds.

CREATE TABLE oauth_grant (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    issuer TEXT NOT NULL,
    client_id TEXT NOT NULL,
    subject TEXT,
    scope TEXT NOT NULL,
    resources TEXT NOT NULL,
    claims TEXT,
    auth_time INTEGER,
    redirect_uri TEXT,
    redirect_uri_sent INTEGER NOT NULL,
    challenge BLOB,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    redeemed_at INTEGER,
    rotated_at INTEGER,
    secret_hash BLOB,
    generation INTEGER NOT NULL,
    revoked_at INTEGER,
    revoke_reason TEXT,
    revoked_tokens BLOB,
    revoked_until INTEGER,
    -- How often the row was changed: who has read it writes only if nobody else has since.
    changes INTEGER NOT NULL DEFAULT 0
) STRICT;

-- The grants of a user. Those of a client are found by a walk over all: that is rare, and an index has to be kept by
-- every approval.
CREATE INDEX oauth_grant_subject ON oauth_grant (subject) WHERE subject IS NOT NULL;

CREATE TABLE oauth_client (
    issuer TEXT NOT NULL,
    client_id TEXT NOT NULL,
    -- JSON; NULL where the client was deleted, so that its id is not given out again.
    record TEXT,
    disabled INTEGER NOT NULL DEFAULT 0,
    -- Of a client that registered itself: until when it is kept if no user connects it.
    keep_until INTEGER,
    PRIMARY KEY (issuer, client_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE oauth_once (
    key BLOB NOT NULL PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- With which keys handles were made, and until when at least.
CREATE TABLE oauth_key (
    issuer TEXT NOT NULL,
    key_id BLOB NOT NULL,
    signed_at INTEGER NOT NULL,
    PRIMARY KEY (issuer, key_id)
) STRICT, WITHOUT ROWID;
