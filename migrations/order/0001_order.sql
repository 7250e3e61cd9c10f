-- Orders as the client accepted them. Nothing here is recomputed later: prices are a snapshot (S25).

CREATE TABLE orders (
    order_id         uuid PRIMARY KEY,
    user_id          uuid NOT NULL,
    status           text NOT NULL CHECK (status IN ('pending', 'confirmed', 'rejected', 'closed')),
    total_amount     numeric(19, 4) NOT NULL CHECK (total_amount >= 0),
    total_currency   char(3) NOT NULL,
    -- Absent for orders by the first version of order.create, whose payments are not recorded: confirmed, they are paid.
    payment_plan     text CHECK (payment_plan IN ('full', 'deposit')),
    paid_amount      numeric(19, 4) NOT NULL DEFAULT 0 CHECK (paid_amount BETWEEN 0 AND total_amount),
    balance_due_on   date,
    reason_code      text,
    reason           text,
    flight_reference text,
    stay_reference   text,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    CHECK ((status IN ('rejected', 'closed')) = (reason_code IS NOT NULL))
);
-- A client's orders, newest first: ids are UUIDv7.
CREATE INDEX orders_by_user ON orders (user_id, order_id DESC);

-- The payments of an order: begun, and then recorded or gone. One at a time is under way.
CREATE TABLE order_payment (
    payment_id  uuid PRIMARY KEY,
    order_id    uuid NOT NULL REFERENCES orders,
    amount      numeric(19, 4) NOT NULL CHECK (amount >= 0),
    begun_at    timestamptz NOT NULL,
    recorded_at timestamptz
);
CREATE INDEX order_payment_by_order ON order_payment (order_id);
CREATE UNIQUE INDEX order_payment_under_way ON order_payment (order_id) WHERE recorded_at IS NULL;

CREATE TABLE order_item (
    order_id    uuid NOT NULL REFERENCES orders,
    place       smallint NOT NULL,
    offer_id    text NOT NULL,
    description text NOT NULL,
    amount      numeric(19, 4) NOT NULL CHECK (amount >= 0),
    currency    char(3) NOT NULL,
    PRIMARY KEY (order_id, place)
);

CREATE TABLE order_traveller (
    order_id    uuid NOT NULL REFERENCES orders,
    place       smallint NOT NULL,
    given_name  text NOT NULL,
    family_name text NOT NULL,
    born_on     date NOT NULL,
    email       text NOT NULL,
    PRIMARY KEY (order_id, place)
);

-- The states of an order, each with the command that brought it.
CREATE TABLE order_history (
    order_id   uuid NOT NULL REFERENCES orders,
    status     text NOT NULL,
    command_id text NOT NULL,
    at         timestamptz NOT NULL,
    PRIMARY KEY (order_id, status)
);
