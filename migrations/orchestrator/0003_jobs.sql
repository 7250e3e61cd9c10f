-- Jobs: one act on many sagas. The sagas of a job are chosen when it is made, so that what was previewed, what is done and
-- what is reported are one set. A job is carried out by the owner of its shard, whichever process that is.
CREATE TABLE job (
    id             uuid        PRIMARY KEY,
    shard          integer     NOT NULL,
    state          text        NOT NULL,
    action         json        NOT NULL,
    filter         json,
    parent         uuid,
    actor          text        NOT NULL,
    role           text        NOT NULL,
    reason         text        NOT NULL,
    pace           integer     NOT NULL,
    canary         integer,
    canary_goes_on boolean     NOT NULL,
    -- A person has looked at the canary and resumed the job.
    canary_passed  boolean     NOT NULL DEFAULT false,
    sagas          integer     NOT NULL,
    done           integer     NOT NULL DEFAULT 0,
    refused        integer     NOT NULL DEFAULT 0,
    vanished       integer     NOT NULL DEFAULT 0,
    trouble        text,
    -- One name makes one job, so a request whose answer was lost can be repeated.
    request_id     uuid        UNIQUE,
    created_at     timestamptz NOT NULL,
    changed_at     timestamptz NOT NULL,
    CONSTRAINT job_state_known CHECK (state IN ('running', 'waiting', 'paused', 'finished', 'aborted')),
    CONSTRAINT job_sane CHECK (
        shard BETWEEN 0 AND 65535 AND pace BETWEEN 1 AND 65535
        AND created_at BETWEEN '1970-01-01 UTC' AND '9999-12-31 UTC'
        AND changed_at BETWEEN '1970-01-01 UTC' AND '9999-12-31 UTC')
);
CREATE INDEX job_open ON job (shard) WHERE state IN ('running', 'waiting', 'paused');

CREATE TABLE job_item (
    job_id  uuid    NOT NULL REFERENCES job ON DELETE CASCADE,
    place   integer NOT NULL,
    saga_id uuid    NOT NULL,
    outcome text    NOT NULL DEFAULT 'pending',
    code    text,
    message text,
    at      timestamptz,
    PRIMARY KEY (job_id, place),
    CONSTRAINT job_item_outcome_known CHECK (outcome IN ('pending', 'done', 'refused', 'vanished')),
    CONSTRAINT job_item_sane CHECK (place >= 1 AND at BETWEEN '1970-01-01 UTC' AND '9999-12-31 UTC')
);
CREATE INDEX job_item_by_outcome ON job_item (job_id, outcome, place);
