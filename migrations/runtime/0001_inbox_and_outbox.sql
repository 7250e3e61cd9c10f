-- What the runtime keeps in every domain's database: which commands were carried out, and which events are to be told.
CREATE SCHEMA IF NOT EXISTS runtime;

-- One row per command, written in the transaction of its effect. The primary key is the arbiter: of an action and an
-- overtaking compensation, or of two copies of one command, only one can insert it (invariants S5 to S11).
CREATE TABLE runtime.inbox (
    saga_id    uuid        NOT NULL,
    step       text        NOT NULL,
    op         "char"      NOT NULL CHECK (op IN ('a', 'c')),                -- action, compensation
    generation integer     NOT NULL CHECK (generation >= 1),
    state      "char"      NOT NULL CHECK (state IN ('d', 'r', 't', 'p')),   -- done, refused, tombstone, prepared
    command    text        NOT NULL,
    -- The answer as JSON, byte for byte as it was sent and will be sent again.
    outcome    text,
    -- The intent of an outside call, until its outcome is recorded.
    prepared   text,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (saga_id, step, op, generation),
    CHECK ((state = 'p') = (outcome IS NULL)),
    CHECK ((state = 'p') = (prepared IS NOT NULL))
);

-- For pruning by age. Rows arrive in the order of their time, so a BRIN index of a few pages serves.
CREATE INDEX inbox_created_at ON runtime.inbox USING brin (created_at) WITH (pages_per_range = 32);

-- Events that are true and not yet told. The body is published as it stands here.
CREATE TABLE runtime.outbox (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id uuid NOT NULL,
    kind     text NOT NULL,
    body     text NOT NULL
);
