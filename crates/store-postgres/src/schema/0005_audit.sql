-- The audit record. Numbers have no gaps: nothing but age removes an entry, from the oldest on, and
-- the newest always stays, so that no number comes twice. What is filtered by has a column.
CREATE TABLE audit (
    number bigint PRIMARY KEY,
    at bigint NOT NULL,
    "user" text COLLATE "C" NOT NULL,
    action text COLLATE "C" NOT NULL,
    resource text COLLATE "C",
    result text COLLATE "C" NOT NULL,
    body bytea NOT NULL
);
CREATE INDEX audit_at ON audit (at, number);
CREATE INDEX audit_user ON audit ("user", at, number);
CREATE INDEX audit_resource ON audit (resource, at, number) WHERE resource IS NOT NULL;
