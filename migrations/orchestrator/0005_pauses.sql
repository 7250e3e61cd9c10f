-- The pauses of domains, definitions and steps that are in force. Every lane reads them at its begin, and when it is told of
-- a change. The pause of a single saga is in its journal.
CREATE TABLE pause (
    -- A domain as payment, a definition as order@2, a step as order@2:hold-seats.
    scope  text        PRIMARY KEY,
    actor  text        NOT NULL,
    role   text        NOT NULL,
    reason text        NOT NULL,
    since  timestamptz NOT NULL,
    CONSTRAINT pause_sane CHECK (since BETWEEN '1970-01-01 UTC' AND '9999-12-31 UTC')
);
