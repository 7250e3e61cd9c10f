-- One row per saga and domain, and the inbox of the floor, which runs the same transactions without any orchestration.

CREATE TABLE bench_row (
    saga_id uuid PRIMARY KEY,
    status  text NOT NULL,
    payload text NOT NULL
);

CREATE TABLE bench_inbox (
    saga_id    uuid NOT NULL,
    step       text NOT NULL,
    op         smallint NOT NULL,
    generation integer NOT NULL,
    outcome    text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (saga_id, step, op, generation)
);
