-- Requests for the approval of a second operator: the act exactly as it was asked for, and the decision of another person.
CREATE TABLE approval (
    id             uuid        PRIMARY KEY,
    -- The saga's id as it is written, or jobs.
    target         text        NOT NULL,
    -- SHA-256 of the request.
    digest         text        NOT NULL,
    -- As JSON.
    request        text        NOT NULL,
    ground         text        NOT NULL,
    actor          text        NOT NULL,
    role           text        NOT NULL,
    reason         text        NOT NULL,
    created_at     timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    state          text        NOT NULL,
    decided_by     text,
    decided_role   text,
    decided_reason text,
    decided_at     timestamptz,
    -- What came of an approved one; absent while that is not known.
    outcome        text,
    CONSTRAINT approval_state_known CHECK (state IN ('pending', 'approved', 'rejected')),
    -- Nobody decides on a request of their own.
    CONSTRAINT approval_by_another CHECK (decided_by <> actor),
    CONSTRAINT approval_sane CHECK (
        created_at BETWEEN '1970-01-01 UTC' AND '9999-12-31 UTC' AND expires_at > created_at
        AND decided_at BETWEEN '1970-01-01 UTC' AND '9999-12-31 UTC')
);
CREATE INDEX approval_waiting ON approval (expires_at) WHERE state = 'pending';
CREATE INDEX approval_by_target ON approval (target, id);
