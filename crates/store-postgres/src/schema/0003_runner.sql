-- The web UI lists by runner, and by the type of a trigger, which becomes a choice of rules: what is
-- rare among many is found without looking at all.
CREATE INDEX execution_runner ON execution (runner, requested, id)
    INCLUDE (action, "user", parent);
DROP INDEX execution_requested;
DROP INDEX execution_rule;
CREATE INDEX execution_requested ON execution (requested, id)
    INCLUDE (action, "user", runner, parent, rule);
CREATE INDEX execution_rule ON execution (rule, requested, id) INCLUDE (action, "user", parent)
    WHERE rule IS NOT NULL;
