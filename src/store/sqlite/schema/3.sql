-- What was revoked, for verifiers that know no grants; it outlives them.
CREATE TABLE oauth_revoked (
    issuer TEXT NOT NULL,
    key BLOB NOT NULL,
    -- Which tokens: all of the grant's, where it is empty.
    tokens BLOB NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (issuer, key, tokens)
) STRICT, WITHOUT ROWID;
