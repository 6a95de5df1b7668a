-- Executions that have ended are counted over time in buckets of two sizes, 2^27 microseconds and
-- 2^22: a long range is few numbers, and little is left to count at its ends.
DROP TABLE execution_time_tally;
CREATE TABLE execution_time_tally (
    bits INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    status TEXT NOT NULL,
    top INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (bits, bucket, status, top)
) WITHOUT ROWID;
INSERT INTO execution_time_tally (bits, bucket, status, top, count)
    SELECT 27, requested >> 27, status, parent IS NULL, count(*) FROM execution
    WHERE open IS NULL GROUP BY 1, 2, 3, 4
    UNION ALL
    SELECT 22, requested >> 22, status, parent IS NULL, count(*) FROM execution
    WHERE open IS NULL GROUP BY 1, 2, 3, 4;
