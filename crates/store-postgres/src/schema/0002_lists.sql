-- Lists of executions are walked in their order by one of these indexes. Beyond what orders them,
-- they hold what filters look at, so that rows that are not wanted need not be read.
DROP INDEX execution_requested;
DROP INDEX execution_action;
DROP INDEX execution_user;
DROP INDEX execution_unsuccessful;
DROP INDEX execution_rule;
CREATE INDEX execution_requested ON execution (requested, id)
    INCLUDE (action, "user", runner, parent);
CREATE INDEX execution_action ON execution (action, requested, id) INCLUDE ("user", parent);
CREATE INDEX execution_user ON execution ("user", requested, id) INCLUDE (action, parent);
CREATE INDEX execution_ended ON execution (status, requested, id)
    INCLUDE (action, "user", parent, rule)
    WHERE status IN ('succeeded', 'failed', 'timeout', 'abandoned', 'canceled');
CREATE INDEX execution_rule ON execution (rule, requested, id) INCLUDE (action, "user")
    WHERE rule IS NOT NULL;

-- How many executions have ended, by the time of their request in steps of 2^27 microseconds, so
-- that totals over a range of time need little counting.
CREATE TABLE execution_time_tally (
    bucket bigint NOT NULL,
    status text COLLATE "C" NOT NULL,
    top bigint NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (bucket, status, top)
);
INSERT INTO execution_time_tally (bucket, status, top, count)
    SELECT requested >> 27, status, (parent IS NULL)::int, count(*) FROM execution
    WHERE open IS NULL GROUP BY 1, 2, 3;
