-- What a provider keeps of its own, such as its signing keys, which are sealed.
CREATE TABLE oauth_document (
    issuer text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (issuer, name)
);

INSERT INTO oauth_schema (version) VALUES (2);
