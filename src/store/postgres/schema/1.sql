-- Times are Unix seconds. Texts are compared byte by byte, whatever the database's collation.

CREATE TABLE oauth_schema (version integer PRIMARY KEY);

-- No column that a rotation changes is in an index, and each page keeps room: so a rotation is a HOT update, which
-- writes to no index and leaves nothing for VACUUM.
CREATE TABLE oauth_grant (
    key bytea PRIMARY KEY,
    issuer text COLLATE "C" NOT NULL,
    client_id text COLLATE "C" NOT NULL,
    subject text COLLATE "C",
    scope text COLLATE "C" NOT NULL,
    resources text COLLATE "C" NOT NULL,
    claims text,
    auth_time bigint,
    redirect_uri text COLLATE "C",
    redirect_uri_sent boolean NOT NULL,
    challenge bytea,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    redeemed_at bigint,
    rotated_at bigint,
    secret_hash bytea,
    generation bigint NOT NULL,
    revoked_at bigint,
    revoke_reason text,
    revoked_tokens bytea,
    revoked_until bigint
) WITH (fillfactor = 75);

CREATE INDEX oauth_grant_subject ON oauth_grant (subject, key) WHERE subject IS NOT NULL;
CREATE INDEX oauth_grant_client ON oauth_grant (client_id, key);

CREATE TABLE oauth_client (
    issuer text COLLATE "C" NOT NULL,
    client_id text COLLATE "C" NOT NULL,
    -- JSON; NULL where the client was deleted, so that its id is not given out again.
    record text,
    disabled boolean NOT NULL DEFAULT false,
    -- Of a client that registered itself: until when it is kept if no user connects it.
    keep_until bigint,
    PRIMARY KEY (issuer, client_id)
);

CREATE TABLE oauth_once (
    key bytea PRIMARY KEY,
    until bigint NOT NULL,
    -- Who saw it first, so that a second try of theirs is no second sight.
    seen_by bytea NOT NULL
);

-- With which keys handles were made, and until when at least.
CREATE TABLE oauth_key (
    issuer text COLLATE "C" NOT NULL,
    key_id bytea NOT NULL,
    signed_at bigint NOT NULL,
    PRIMARY KEY (issuer, key_id)
);

-- How many statements have revoked something: one row.
CREATE TABLE oauth_revocation (number bigint NOT NULL);
INSERT INTO oauth_revocation VALUES (0);

INSERT INTO oauth_schema (version) VALUES (1);
