-- What was revoked, for verifiers that know no grants; it outlives them.
CREATE TABLE oauth_revoked (
    issuer text COLLATE "C" NOT NULL,
    key bytea NOT NULL,
    -- Which tokens: all of the grant's, where it is empty.
    tokens bytea NOT NULL,
    until bigint NOT NULL,
    PRIMARY KEY (issuer, key, tokens)
);

INSERT INTO oauth_schema (version) VALUES (3);
