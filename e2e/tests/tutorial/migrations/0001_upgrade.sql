-- The suites that are held for guests of a smaller room, and those that were given.
CREATE TABLE upgrade (
    booking text PRIMARY KEY,
    suite   text NOT NULL,
    status  text NOT NULL CHECK (status IN ('held', 'given'))
);
-- A suite is held or given once.
CREATE UNIQUE INDEX upgrade_of_suite ON upgrade (suite);
