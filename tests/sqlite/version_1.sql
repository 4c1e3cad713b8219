-- A database of version 1, as its first provider left it; tests/sqlite.rs says what is in it.
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
INSERT INTO "oauth_client" VALUES('https://shift.example','app','{"client_id":"app","client_name":"CustomApp","secrets":[{"sha256":"7gYAVKOTCBp4ukrrwBqIXIWVO8VjtJWv8-6Uz0KRfRo","until":253402300799}],"token_endpoint_auth_method":"client_secret_basic","redirect_uris":["https://web.example/cb"],"scope":"profile","grant_types":["authorization_code","refresh_token"],"pkce":true}',0,NULL);
INSERT INTO "oauth_client" VALUES('https://shift.example','gone',NULL,0,NULL);
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
INSERT INTO "oauth_grant" VALUES(1,X'53F00A3EB2E6C2F06A0C2B6C276C9A53','https://shift.example','public','alice','profile','https://shift.example',NULL,NULL,'https://web.example/cb',1,X'13D31E961A1AD8EC2F16B10C4C982E0876A878AD6DF144566EE1894ACB70F9C3',1800000000,253402300799,1800000000,1800000000,X'7E13A5FC3B8CDAA6F9393428B352762B',2,NULL,NULL,NULL,NULL,3);
INSERT INTO "oauth_grant" VALUES(2,X'5793DFD3B15C15F4AFB5B758BA617FD2','https://shift.example','public','alice','profile notes:read','https://shift.example',NULL,NULL,'https://web.example/cb',1,X'13D31E961A1AD8EC2F16B10C4C982E0876A878AD6DF144566EE1894ACB70F9C3',1800000000,1800000060,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,0);
CREATE TABLE oauth_key (
    issuer TEXT NOT NULL,
    key_id BLOB NOT NULL,
    signed_at INTEGER NOT NULL,
    PRIMARY KEY (issuer, key_id)
) STRICT, WITHOUT ROWID;
INSERT INTO "oauth_key" VALUES('https://shift.example',X'135BB725',1800000000);
CREATE TABLE oauth_once (
    key BLOB NOT NULL PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE oauth_schema (version INTEGER PRIMARY KEY) STRICT;
INSERT INTO "oauth_schema" VALUES(1);
CREATE INDEX oauth_grant_subject ON oauth_grant (subject) WHERE subject IS NOT NULL;
