-- The web UI lists by runner: a kind that is rare among many is found without looking at all.
CREATE INDEX execution_runner ON execution (runner, requested, id, action, user, parent);
