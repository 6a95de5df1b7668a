-- Times are microseconds since 1970. Ids are 12 bytes. A `body` is JSON text, or, when it begins with
-- the byte 1, a compressed text with a checksum. Texts in columns have U+0001 before a 0 or 1 that
-- stands for U+0000 or U+0001, since PostgreSQL cannot hold the former.

-- Executions. `open` is 1 until the execution has ended, and null afterwards.
CREATE TABLE execution (
    seq bigserial PRIMARY KEY,
    id bytea NOT NULL UNIQUE,
    action text COLLATE "C" NOT NULL,
    runner text COLLATE "C" NOT NULL,
    "user" text COLLATE "C" NOT NULL,
    parent bytea,
    rule text COLLATE "C",
    trigger_instance bytea,
    task text COLLATE "C",
    trace_tag text COLLATE "C",
    requested bigint NOT NULL,
    revision bigint NOT NULL,
    status text COLLATE "C" NOT NULL,
    open bigint,
    lease bigint,
    until bigint,
    started bigint,
    ended bigint,
    deadline bigint,
    log text COLLATE "C" NOT NULL,
    body bytea NOT NULL
);
CREATE INDEX execution_requested ON execution (requested, id);
CREATE INDEX execution_action ON execution (action, requested, id);
CREATE INDEX execution_user ON execution ("user", requested, id);
CREATE INDEX execution_parent ON execution (parent, requested, id);
CREATE INDEX execution_rule ON execution (rule, requested, id) WHERE rule IS NOT NULL;
CREATE INDEX execution_trigger_instance ON execution (trigger_instance) WHERE trigger_instance IS NOT NULL;
CREATE INDEX execution_trace_tag ON execution (trace_tag, requested, id) WHERE trace_tag IS NOT NULL;
CREATE INDEX execution_open ON execution (id) WHERE open = 1;
CREATE INDEX execution_unsuccessful ON execution (status, requested, id)
    WHERE status IN ('failed', 'timeout', 'abandoned', 'canceled');

-- How many executions there are of each kind, so that totals need no counting.
CREATE TABLE execution_tally (
    action text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    "user" text COLLATE "C" NOT NULL,
    runner text COLLATE "C" NOT NULL,
    top bigint NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (action, status, "user", runner, top)
);

-- Results.
CREATE TABLE result (
    execution bytea PRIMARY KEY,
    body bytea NOT NULL
);

-- State pieces of workflows.
CREATE TABLE piece (
    execution bytea NOT NULL,
    number bigint NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (execution, number)
);

-- Output of actions. `stream` is 1 for standard output and 2 for standard error.
CREATE TABLE output (
    execution bytea NOT NULL,
    number bigint NOT NULL,
    stream bigint NOT NULL,
    at bigint NOT NULL,
    body bytea NOT NULL,
    PRIMARY KEY (execution, number)
);

-- Events.
CREATE TABLE trigger_instance (
    seq bigserial PRIMARY KEY,
    id bytea NOT NULL UNIQUE,
    "trigger" text COLLATE "C" NOT NULL,
    occurred bigint NOT NULL,
    status text COLLATE "C" NOT NULL,
    trace_tag text COLLATE "C",
    source_execution bytea,
    body bytea NOT NULL
);
CREATE INDEX trigger_instance_occurred ON trigger_instance (occurred, id);
CREATE INDEX trigger_instance_trigger ON trigger_instance ("trigger", occurred, id);
CREATE INDEX trigger_instance_trace_tag ON trigger_instance (trace_tag, occurred, id) WHERE trace_tag IS NOT NULL;
CREATE INDEX trigger_instance_pending ON trigger_instance (occurred, id) WHERE status = 'pending';
CREATE INDEX trigger_instance_failed ON trigger_instance (occurred, id) WHERE status = 'processing_failed';

CREATE TABLE trigger_instance_tally (
    "trigger" text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY ("trigger", status)
);

-- Enforcements: either an execution or the reason why there is none.
CREATE TABLE enforcement (
    seq bigserial PRIMARY KEY,
    id bytea NOT NULL UNIQUE,
    rule text COLLATE "C" NOT NULL,
    trigger_instance bytea NOT NULL,
    enforced bigint NOT NULL,
    execution bytea,
    reason text COLLATE "C",
    UNIQUE (trigger_instance, rule)
);
CREATE INDEX enforcement_enforced ON enforcement (enforced, id);
CREATE INDEX enforcement_rule ON enforcement (rule, enforced, id);
CREATE INDEX enforcement_execution ON enforcement (execution) WHERE execution IS NOT NULL;

CREATE TABLE enforcement_tally (
    rule text COLLATE "C" NOT NULL PRIMARY KEY,
    count bigint NOT NULL
);

-- Definitions and other administered records.
CREATE TABLE document (
    seq bigserial PRIMARY KEY,
    kind text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    id bytea NOT NULL,
    pack text COLLATE "C",
    revision bigint NOT NULL,
    changed bigint NOT NULL,
    expires bigint,
    body bytea NOT NULL,
    UNIQUE (kind, key),
    UNIQUE (kind, id)
);
CREATE INDEX document_expires ON document (expires) WHERE expires IS NOT NULL;

-- Texts under their hashes.
CREATE TABLE content (
    hash text COLLATE "C" NOT NULL PRIMARY KEY,
    body bytea NOT NULL
);

-- Keys of events that may be sent again.
CREATE TABLE remembered (
    key text COLLATE "C" NOT NULL PRIMARY KEY,
    id bytea NOT NULL,
    expires bigint NOT NULL
);
CREATE INDEX remembered_expires ON remembered (expires);

-- Singleton work and who does it.
CREATE TABLE lease (
    name text COLLATE "C" NOT NULL PRIMARY KEY,
    holder bigint NOT NULL,
    until bigint NOT NULL
);

-- Servers that take part. A sequence: no number is ever given twice.
CREATE TABLE server (
    lease bigserial PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    boot text COLLATE "C" NOT NULL,
    until bigint NOT NULL
);

-- The change feed.
CREATE TABLE change (
    position bigint PRIMARY KEY,
    at bigint NOT NULL,
    operation text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    id bytea NOT NULL,
    detail text COLLATE "C",
    first bigint,
    count bigint
);

-- The last position of the feed. Whoever writes locks this row first, so that all writers of all
-- servers are in one order, which is that of their commits.
CREATE TABLE appender (
    position bigint NOT NULL
);
INSERT INTO appender (position) VALUES (0);
