-- Lists for callers with few rights walk these two: with all that lists ask for in them, no row is
-- read that is not shown. Every change of a status makes new entries in them as it is.
DROP INDEX execution_action;
DROP INDEX execution_user;
CREATE INDEX execution_action ON execution (action, requested, id)
    INCLUDE ("user", runner, status, parent);
CREATE INDEX execution_user ON execution ("user", requested, id)
    INCLUDE (action, runner, status, parent);

-- An index alone answers only for pages of which vacuum has noted that every row is settled. By
-- default it looks when a fifth of a table is new; here, at what ten thousand rows have filled.
ALTER TABLE execution SET
    (autovacuum_vacuum_insert_threshold = 10000, autovacuum_vacuum_insert_scale_factor = 0);
ALTER TABLE enforcement SET
    (autovacuum_vacuum_insert_threshold = 10000, autovacuum_vacuum_insert_scale_factor = 0);
ALTER TABLE trigger_instance SET
    (autovacuum_vacuum_insert_threshold = 10000, autovacuum_vacuum_insert_scale_factor = 0);
