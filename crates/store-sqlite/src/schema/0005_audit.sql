-- The audit record. Numbers have no gaps: nothing but age removes an entry, from the oldest on, and
-- the newest always stays, so that no number comes twice. What is filtered by has a column.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    user TEXT NOT NULL,
    action TEXT NOT NULL,
    resource TEXT,
    result TEXT NOT NULL,
    body NOT NULL
);
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_user ON audit (user, at);
CREATE INDEX audit_resource ON audit (resource, at) WHERE resource IS NOT NULL;
