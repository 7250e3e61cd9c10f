-- The sandbox provider's own state: another company's database, as far as the payment domain is concerned. It is only
-- reached through the provider port and its own page, in transactions of its own.

CREATE SCHEMA sandbox;

CREATE TABLE sandbox.charge (
    reference         text PRIMARY KEY,
    -- What the merchant calls it, and keeps with it.
    their_reference   text NOT NULL UNIQUE,
    payment_id        uuid NOT NULL,
    saga_id           uuid NOT NULL,
    -- None of a charge that was abandoned before it came.
    token             text,
    currency          char(3) NOT NULL,
    amount            numeric(19, 4) NOT NULL,
    captured_amount   numeric(19, 4) NOT NULL DEFAULT 0 CHECK (captured_amount <= amount),
    refunded_amount   numeric(19, 4) NOT NULL DEFAULT 0 CHECK (refunded_amount <= captured_amount),
    status            text NOT NULL CHECK (status IN ('requires_action', 'authorized', 'captured', 'voided', 'refunded',
                                                      'failed')),
    failure_code      text,
    capture_before    timestamptz,
    action_expires_at timestamptz,
    updated_at        timestamptz NOT NULL
);
-- The pruner's: what was over long ago.
CREATE INDEX charge_ended ON sandbox.charge (updated_at) WHERE status IN ('voided', 'refunded', 'failed');

CREATE TABLE sandbox.refund (
    key       text PRIMARY KEY,
    reference text NOT NULL REFERENCES sandbox.charge ON DELETE CASCADE,
    amount    numeric(19, 4) NOT NULL CHECK (amount > 0)
);
CREATE INDEX refund_of_charge ON sandbox.refund (reference);

-- The operations that were tried, for the tokens whose first try goes wrong.
CREATE TABLE sandbox.try (
    operation text PRIMARY KEY,
    at        timestamptz NOT NULL
);
CREATE INDEX try_by_time ON sandbox.try (at);

-- News for the merchant, until they are delivered or given up.
CREATE TABLE sandbox.webhook (
    webhook_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    body       text NOT NULL,
    -- Signed with a secret that is not the merchant's.
    forged     boolean NOT NULL,
    tries_left integer NOT NULL,
    due_at     timestamptz NOT NULL
);
CREATE INDEX webhook_by_due ON sandbox.webhook (due_at);
