-- Executions that have ended are counted over time in buckets of two sizes, 2^27 microseconds and
-- 2^22: a long range is few numbers, and little is left to count at its ends.
DROP TABLE execution_time_tally;
CREATE TABLE execution_time_tally (
    bits bigint NOT NULL,
    bucket bigint NOT NULL,
    status text COLLATE "C" NOT NULL,
    top bigint NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (bits, bucket, status, top)
);
INSERT INTO execution_time_tally (bits, bucket, status, top, count)
    SELECT 27, requested >> 27, status, (parent IS NULL)::int, count(*) FROM execution
    WHERE open IS NULL GROUP BY 1, 2, 3, 4
    UNION ALL
    SELECT 22, requested >> 22, status, (parent IS NULL)::int, count(*) FROM execution
    WHERE open IS NULL GROUP BY 1, 2, 3, 4;
