-- What a provider keeps of its own, such as its signing keys, which are sealed.
CREATE TABLE oauth_document (
    issuer TEXT NOT NULL,
    name TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (issuer, name)
) STRICT, WITHOUT ROWID;
