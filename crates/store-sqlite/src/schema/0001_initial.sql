-- Times are microseconds since 1970. Ids are 12 bytes. A `body` is JSON text, or, when it begins with
-- the byte 1, a compressed text with a checksum.

-- Executions. `open` is 1 until the execution has ended, and null afterwards.
CREATE TABLE execution (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    action TEXT NOT NULL,
    runner TEXT NOT NULL,
    user TEXT NOT NULL,
    parent BLOB,
    rule TEXT,
    trigger_instance BLOB,
    task TEXT,
    trace_tag TEXT,
    requested INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    status TEXT NOT NULL,
    open INTEGER,
    lease INTEGER,
    until INTEGER,
    started INTEGER,
    ended INTEGER,
    deadline INTEGER,
    log TEXT NOT NULL,
    body NOT NULL
);
CREATE INDEX execution_requested ON execution (requested, id);
CREATE INDEX execution_action ON execution (action, requested, id);
CREATE INDEX execution_user ON execution (user, requested, id);
CREATE INDEX execution_parent ON execution (parent, requested, id);
CREATE INDEX execution_rule ON execution (rule, requested, id) WHERE rule IS NOT NULL;
CREATE INDEX execution_trigger_instance ON execution (trigger_instance) WHERE trigger_instance IS NOT NULL;
CREATE INDEX execution_trace_tag ON execution (trace_tag, requested, id) WHERE trace_tag IS NOT NULL;
CREATE INDEX execution_open ON execution (id) WHERE open = 1;
CREATE INDEX execution_unsuccessful ON execution (status, requested, id)
    WHERE status IN ('failed', 'timeout', 'abandoned', 'canceled');

-- How many executions there are of each kind, so that totals need no counting.
CREATE TABLE execution_tally (
    action TEXT NOT NULL,
    status TEXT NOT NULL,
    user TEXT NOT NULL,
    runner TEXT NOT NULL,
    top INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (action, status, user, runner, top)
) WITHOUT ROWID;

-- Results, by the execution's `seq`.
CREATE TABLE result (
    seq INTEGER PRIMARY KEY,
    body NOT NULL
);

-- State pieces of workflows.
CREATE TABLE piece (
    execution BLOB NOT NULL,
    number INTEGER NOT NULL,
    body NOT NULL,
    PRIMARY KEY (execution, number)
) WITHOUT ROWID;

-- Output of actions. `stream` is 1 for standard output and 2 for standard error.
CREATE TABLE output (
    execution BLOB NOT NULL,
    number INTEGER NOT NULL,
    stream INTEGER NOT NULL,
    at INTEGER NOT NULL,
    body NOT NULL,
    PRIMARY KEY (execution, number)
) WITHOUT ROWID;

-- Events.
CREATE TABLE trigger_instance (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    "trigger" TEXT NOT NULL,
    occurred INTEGER NOT NULL,
    status TEXT NOT NULL,
    trace_tag TEXT,
    source_execution BLOB,
    body NOT NULL
);
CREATE INDEX trigger_instance_occurred ON trigger_instance (occurred, id);
CREATE INDEX trigger_instance_trigger ON trigger_instance ("trigger", occurred, id);
CREATE INDEX trigger_instance_trace_tag ON trigger_instance (trace_tag, occurred, id) WHERE trace_tag IS NOT NULL;
CREATE INDEX trigger_instance_pending ON trigger_instance (occurred, id) WHERE status = 'pending';
CREATE INDEX trigger_instance_failed ON trigger_instance (occurred, id) WHERE status = 'processing_failed';

CREATE TABLE trigger_instance_tally (
    "trigger" TEXT NOT NULL,
    status TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY ("trigger", status)
) WITHOUT ROWID;

-- Enforcements: either an execution or the reason why there is none.
CREATE TABLE enforcement (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    rule TEXT NOT NULL,
    trigger_instance BLOB NOT NULL,
    enforced INTEGER NOT NULL,
    execution BLOB,
    reason TEXT,
    UNIQUE (trigger_instance, rule)
);
CREATE INDEX enforcement_enforced ON enforcement (enforced, id);
CREATE INDEX enforcement_rule ON enforcement (rule, enforced, id);
CREATE INDEX enforcement_execution ON enforcement (execution) WHERE execution IS NOT NULL;

CREATE TABLE enforcement_tally (
    rule TEXT NOT NULL PRIMARY KEY,
    count INTEGER NOT NULL
) WITHOUT ROWID;

-- Definitions and other administered records.
CREATE TABLE document (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    id BLOB NOT NULL,
    pack TEXT,
    revision INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    expires INTEGER,
    body NOT NULL,
    UNIQUE (kind, key),
    UNIQUE (kind, id)
);
CREATE INDEX document_expires ON document (expires) WHERE expires IS NOT NULL;

-- Texts under their hashes.
CREATE TABLE content (
    hash TEXT NOT NULL PRIMARY KEY,
    body NOT NULL
);

-- Keys of events that may be sent again.
CREATE TABLE remembered (
    key TEXT NOT NULL PRIMARY KEY,
    id BLOB NOT NULL,
    expires INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX remembered_expires ON remembered (expires);

-- Singleton work and who does it.
CREATE TABLE lease (
    name TEXT NOT NULL PRIMARY KEY,
    holder INTEGER NOT NULL,
    until INTEGER NOT NULL
) WITHOUT ROWID;

-- Servers that take part. AUTOINCREMENT: no number is ever given twice.
CREATE TABLE server (
    lease INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    boot TEXT NOT NULL,
    until INTEGER NOT NULL
);

-- The change feed.
CREATE TABLE change (
    position INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    operation TEXT NOT NULL,
    subject TEXT NOT NULL,
    id BLOB NOT NULL,
    detail TEXT,
    first INTEGER,
    count INTEGER
);

-- Numbers that must not be forgotten: `position` is the last one that was purged from the feed.
CREATE TABLE counter (
    name TEXT NOT NULL PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
