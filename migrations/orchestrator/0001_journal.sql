-- The journal of all sagas. What is decided is appended to saga_journal; saga holds one row an instance, for lists.
--
-- Both are cut into weekly pieces by the time inside the id (a UUIDv7 starts with its milliseconds): the cost of a
-- step stays flat however much history there is, and old weeks can be dropped whole. The program makes the pieces
-- ahead of time; a row outside of them lands in the default piece and is as good as any other.

-- What was fixed when the journal was first made.
CREATE TABLE journal_setting (
    name  text PRIMARY KEY,
    value text NOT NULL
);

CREATE TABLE saga (
    id           uuid        NOT NULL,
    name         text        NOT NULL,
    version      bigint      NOT NULL,
    fingerprint  text        NOT NULL,
    shard        integer     NOT NULL,
    status       text        NOT NULL,
    business_key text        NOT NULL,
    owner        text,
    traceparent  text,
    error        text,
    paused       boolean     NOT NULL DEFAULT false,
    -- The saga that started it, and the step that did.
    parent       uuid,
    parent_step  text,
    created_at   timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    finished_at  timestamptz,
    -- Since when it has its error.
    failed_at    timestamptz,
    PRIMARY KEY (id),
    -- What no program can read is refused here, so that a list never meets it. PostgreSQL knows times (infinity among
    -- them) that the program cannot hold.
    CONSTRAINT saga_status_known CHECK (
        status IN ('running', 'compensating', 'completed', 'compensated', 'needs_attention', 'abandoned')),
    CONSTRAINT saga_numbers_fit CHECK (version BETWEEN 0 AND 4294967295 AND shard BETWEEN 0 AND 65535),
    CONSTRAINT saga_times_sane CHECK (
        created_at BETWEEN '1970-01-01 UTC' AND '9999-12-31 UTC' AND updated_at BETWEEN '1970-01-01 UTC' AND '9999-12-31 UTC'
        AND finished_at BETWEEN '1970-01-01 UTC' AND '9999-12-31 UTC'),
    CONSTRAINT saga_failed_since CHECK (
        (error IS NULL) = (failed_at IS NULL) AND failed_at BETWEEN '1970-01-01 UTC' AND '9999-12-31 UTC')
) PARTITION BY RANGE (id);

-- Every list runs newest first, which is by id downwards: each index below ends in the id, so that a page is a scan
-- of the index and nothing is sorted. Most indexes are paid for twice in a saga's life, at its start and its end.
CREATE INDEX saga_by_status ON saga (status, id);
CREATE INDEX saga_by_name ON saga (name, id);
CREATE INDEX saga_by_business_key ON saga (business_key, id);
CREATE INDEX saga_by_owner ON saga (owner, id) WHERE owner IS NOT NULL;
CREATE INDEX saga_by_parent ON saga (parent, id) WHERE parent IS NOT NULL;
CREATE INDEX saga_by_error ON saga (error, id) WHERE error IS NOT NULL;
CREATE INDEX saga_by_step ON saga (split_part(error, '/', 1), id) WHERE error IS NOT NULL;
CREATE INDEX saga_by_pause ON saga (id) WHERE paused;
-- Groups of failures, and how many there were when: all of it is read from the index alone.
CREATE INDEX saga_by_failure ON saga (name, error, failed_at) INCLUDE (status) WHERE error IS NOT NULL;
-- What ended when, and how long it took: read from the index alone.
CREATE INDEX saga_by_end ON saga (finished_at) INCLUDE (status, created_at) WHERE finished_at IS NOT NULL;
-- What a lane must bring back to life after it took a shard over.
CREATE INDEX saga_open ON saga (shard, id) WHERE status IN ('running', 'compensating', 'needs_attention');

CREATE TABLE saga_default PARTITION OF saga DEFAULT;

-- The key is the arbiter: of two writers that decide the same step, one is refused. The entries are text that the
-- database checks to be JSON and never looks into: json, not jsonb, which costs more to write and refuses U+0000.
CREATE TABLE saga_journal (
    saga_id     uuid        NOT NULL,
    seq         bigint      NOT NULL,
    at          timestamptz NOT NULL,
    -- The earliest time at which something lapses that the saga holds from here on, while its pivot is not issued. It comes
    -- with a row that is written anyway, and has no index: the list by it reads the last record of each open saga.
    holds_until timestamptz,
    entries     json        NOT NULL,
    PRIMARY KEY (saga_id, seq),
    CONSTRAINT saga_journal_sane CHECK (
        seq >= 1 AND at BETWEEN '1970-01-01 UTC' AND '9999-12-31 UTC'
        AND holds_until BETWEEN '1970-01-01 UTC' AND '9999-12-31 UTC')
) PARTITION BY RANGE (saga_id);

CREATE TABLE saga_journal_default PARTITION OF saga_journal DEFAULT;

-- The sagas that sleep: nothing of theirs is under way, and nothing falls due soon. A takeover loads all other open sagas
-- at once, and these when they are due or spoken to. Written together with the record that puts a saga to sleep.
CREATE TABLE saga_sleep (
    saga_id uuid    PRIMARY KEY,
    shard   integer NOT NULL,
    status  text    NOT NULL,
    -- None: only an input wakes it.
    wake_at timestamptz,
    CONSTRAINT saga_sleep_sane CHECK (
        status IN ('running', 'compensating', 'needs_attention') AND wake_at BETWEEN '1970-01-01 UTC' AND '9999-12-31 UTC')
);
CREATE INDEX saga_sleep_by_shard ON saga_sleep (shard);

-- The sagas that are left alone, and why. What they would have heard is kept among the dead letters. A row goes when its
-- saga goes on.
CREATE TABLE saga_quarantine (
    saga_id uuid        PRIMARY KEY,
    shard   integer     NOT NULL,
    code    text        NOT NULL,
    detail  text        NOT NULL,
    since   timestamptz NOT NULL,
    CONSTRAINT saga_quarantine_sane CHECK (since BETWEEN '1970-01-01 UTC' AND '9999-12-31 UTC')
);
CREATE INDEX saga_quarantine_by_shard ON saga_quarantine (shard);

-- Makes starts idempotent. Not cut by time: a key is found without knowing when it was used.
CREATE TABLE saga_start (
    name         text        NOT NULL,
    key          text        NOT NULL,
    saga_id      uuid        NOT NULL,
    business_key text        NOT NULL,
    fingerprint  text        NOT NULL,
    created_at   timestamptz NOT NULL,
    PRIMARY KEY (name, key)
);

-- Messages that nobody could handle, whole, so that they can be sent again.
CREATE TABLE dead_letter (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id  text        NOT NULL,
    saga_id     uuid,
    command_id  text,
    queue       text        NOT NULL,
    exchange    text,
    routing_key text        NOT NULL,
    reason      text        NOT NULL,
    kind        text        NOT NULL,
    body        bytea       NOT NULL,
    received_at timestamptz NOT NULL,
    redriven_at timestamptz,
    -- An event that two subscribers give up is two letters of one message.
    UNIQUE (message_id, queue),
    CONSTRAINT dead_letter_times_sane CHECK (
        received_at BETWEEN '1970-01-01 UTC' AND '9999-12-31 UTC' AND redriven_at BETWEEN '1970-01-01 UTC' AND '9999-12-31 UTC')
);
CREATE INDEX dead_letter_by_saga ON dead_letter (saga_id, id) WHERE saga_id IS NOT NULL;

-- Who took which shard last, for people who wonder. Ownership itself is an advisory lock and dies with its session.
CREATE TABLE shard_owner (
    shard       integer     PRIMARY KEY,
    instance    text        NOT NULL,
    epoch       bigint      NOT NULL,
    backend_pid integer     NOT NULL,
    since       timestamptz NOT NULL
);
