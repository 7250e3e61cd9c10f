-- What people are told.

CREATE TABLE notice (
    notice_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id    uuid NOT NULL,
    order_id   uuid NOT NULL,
    kind       text NOT NULL CHECK (kind IN ('order_confirmed')),
    created_at timestamptz NOT NULL,
    -- Nobody is told the same thing twice.
    UNIQUE (user_id, order_id, kind)
);
