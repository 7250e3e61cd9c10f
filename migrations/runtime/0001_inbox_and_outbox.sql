-- The runtime's own tables in every domain's database: commands that were carried out, events that were taken in, and
-- events that are still to be told.
CREATE SCHEMA IF NOT EXISTS runtime;

-- One row per command, written in the transaction of its effect. The primary key is the arbiter: of an action and an
-- overtaking compensation, or of two copies of one command, only one can insert it (invariants S5 to S11).
--
-- A saga's id begins with its start, so a partition has the commands of the sagas of one month, `inbox_2027_01`, and is
-- dropped as a whole when they have been kept for long enough. The worker makes a month's partition before it begins.
CREATE TABLE runtime.inbox (
    saga_id    uuid        NOT NULL,
    step       text        NOT NULL,
    op         "char"      NOT NULL CHECK (op IN ('a', 'c', 'E')),           -- action, compensation, extension
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
) PARTITION BY RANGE (saga_id);

-- The rows of a dropped month that are still needed, and those of sagas that no partition was made for.
CREATE TABLE runtime.inbox_default PARTITION OF runtime.inbox DEFAULT;

-- One row per event that took effect, written in the transaction of that effect: a copy of it finds the key taken
-- (invariant S26). The id comes first because it begins with the event's time: new rows go to one end of the index, and
-- old ones are removed from the other.
CREATE TABLE runtime.event_inbox (
    event_id   uuid        NOT NULL,
    source     text        NOT NULL,
    kind       text        NOT NULL,
    created_at timestamptz NOT NULL,
    PRIMARY KEY (event_id, source)
);

-- The smallest UUIDv7 of a moment: 48 bits of milliseconds, then nothing. Keys of sagas, events and offers begin with
-- their time, so rows that are older than a moment are found by their primary key.
CREATE FUNCTION runtime.first_id_of(moment timestamptz) RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
    RETURN rpad(lpad(to_hex(floor(extract(epoch FROM moment) * 1000)::bigint), 12, '0'), 32, '0')::uuid;

-- Events that are true and not yet told. The body is published as it stands here.
CREATE TABLE runtime.outbox (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id uuid NOT NULL,
    kind     text NOT NULL,
    body     text NOT NULL
);
