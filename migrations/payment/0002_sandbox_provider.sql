-- The sandbox provider's own state: another company's database, as far as the payment domain is concerned. It is only
-- reached through the provider port, in transactions of its own.

CREATE SCHEMA sandbox;

CREATE TABLE sandbox.charge (
    reference       text PRIMARY KEY,
    token           text NOT NULL,
    currency        char(3) NOT NULL,
    amount          numeric(19, 4) NOT NULL,
    captured_amount numeric(19, 4) NOT NULL DEFAULT 0 CHECK (captured_amount <= amount),
    refunded_amount numeric(19, 4) NOT NULL DEFAULT 0 CHECK (refunded_amount <= captured_amount),
    status          text NOT NULL CHECK (status IN ('authorized', 'captured', 'voided', 'refunded')),
    capture_before  timestamptz NOT NULL
);
-- The pruner's: what was given back long ago.
CREATE INDEX charge_ended ON sandbox.charge (capture_before) WHERE status IN ('voided', 'refunded');

-- The answer that was given under a key: the same key again gets the same one.
CREATE TABLE sandbox.operation (
    key       text PRIMARY KEY,
    kind      text NOT NULL CHECK (kind IN ('authorize', 'capture', 'void', 'refund', 'abandon')),
    reference text REFERENCES sandbox.charge,
    answer    jsonb NOT NULL,
    at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX operation_by_time ON sandbox.operation (at);
-- The foreign key's.
CREATE INDEX operation_of_charge ON sandbox.operation (reference);

-- The number of times that a key was sent, for the tokens whose first try goes wrong.
CREATE TABLE sandbox.try (
    key   text PRIMARY KEY,
    tries integer NOT NULL
);
