-- The weeks that are retired: taken out of the tables (detached), written to a file (exported), dropped. Each state is
-- reached by one transaction, so that whichever process goes on knows what is done.
CREATE TABLE retired_week (
    -- Its Monday, as the names of the pieces have it.
    week        text        PRIMARY KEY,
    state       text        NOT NULL,
    -- The names of the files in the export folder, and how many sagas the first one holds.
    sagas       bigint      NOT NULL DEFAULT 0,
    saga_file   text,
    audit_file  text,
    -- The last row of the audit log that is exported.
    audit_to    bigint      NOT NULL DEFAULT 0,
    changed_at  timestamptz NOT NULL,
    CONSTRAINT retired_week_state_known CHECK (state IN ('detached', 'exported', 'dropped'))
);
