-- The notices that people find in their feed.

CREATE TABLE notice (
    notice_id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id    uuid NOT NULL,
    -- The order that it is about, when it is about one.
    order_id   uuid,
    kind       text NOT NULL CHECK (kind IN ('welcome', 'order_confirmed', 'payment_taken')),
    created_at timestamptz NOT NULL,
    CHECK ((kind <> 'welcome') = (order_id IS NOT NULL)),
    -- A person is told the same thing once.
    UNIQUE NULLS NOT DISTINCT (user_id, order_id, kind)
);

-- A person's feed, the newest first.
CREATE INDEX notice_of_user ON notice (user_id, notice_id DESC);

-- Old notices, to be removed.
CREATE INDEX notice_created_at ON notice (created_at);
