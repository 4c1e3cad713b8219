-- A database of version 1, with what tests/sqlite/version_1.sql holds; tests/support/nodes.rs says what that is.
CREATE SCHEMA oauth;
SET search_path TO oauth;

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

INSERT INTO oauth_client VALUES ('https://shift.example','app','{"client_id":"app","client_name":"CustomApp","secrets":[{"sha256":"7gYAVKOTCBp4ukrrwBqIXIWVO8VjtJWv8-6Uz0KRfRo","until":253402300799}],"token_endpoint_auth_method":"client_secret_basic","redirect_uris":["https://web.example/cb"],"scope":"profile","grant_types":["authorization_code","refresh_token"],"pkce":true}',false,NULL);
INSERT INTO oauth_client VALUES ('https://shift.example','gone',NULL,false,NULL);
INSERT INTO oauth_grant VALUES ('\x53f00a3eb2e6c2f06a0c2b6c276c9a53','https://shift.example','public','alice','profile','https://shift.example',NULL,NULL,'https://web.example/cb',true,'\x13d31e961a1ad8ec2f16b10c4c982e0876a878ad6df144566ee1894acb70f9c3',1800000000,253402300799,1800000000,1800000000,'\x7e13a5fc3b8cdaa6f9393428b352762b',2,NULL,NULL,NULL,NULL);
INSERT INTO oauth_grant VALUES ('\x5793dfd3b15c15f4afb5b758ba617fd2','https://shift.example','public','alice','profile notes:read','https://shift.example',NULL,NULL,'https://web.example/cb',true,'\x13d31e961a1ad8ec2f16b10c4c982e0876a878ad6df144566ee1894acb70f9c3',1800000000,1800000060,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL);
INSERT INTO oauth_key VALUES ('https://shift.example','\x135bb725',1800000000);
