-- Payments and their ledger. Amounts are exact decimals; the database itself refuses what must never be (S23).

CREATE TABLE payment (
    payment_id         uuid PRIMARY KEY,
    order_id           uuid NOT NULL,
    status             text NOT NULL CHECK (status IN ('authorized', 'captured', 'voided', 'refunded')),
    currency           char(3) NOT NULL,
    authorized_amount  numeric(19, 4) NOT NULL CHECK (authorized_amount > 0),
    captured_amount    numeric(19, 4) NOT NULL DEFAULT 0 CHECK (captured_amount >= 0),
    refunded_amount    numeric(19, 4) NOT NULL DEFAULT 0 CHECK (refunded_amount >= 0),
    provider_reference text NOT NULL UNIQUE,
    capture_before     timestamptz NOT NULL,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    CHECK (captured_amount <= authorized_amount),
    CHECK (refunded_amount <= captured_amount),
    -- Captured or voided, never both.
    CHECK (CASE status
               WHEN 'authorized' THEN captured_amount = 0
               WHEN 'voided'     THEN captured_amount = 0
               WHEN 'captured'   THEN captured_amount > 0 AND refunded_amount = 0
               WHEN 'refunded'   THEN refunded_amount = captured_amount AND captured_amount > 0
           END)
);
-- One payment of an order lives at a time.
CREATE UNIQUE INDEX payment_live_of_order ON payment (order_id) WHERE status IN ('authorized', 'captured');
CREATE INDEX payment_by_order ON payment (order_id);

-- Double entry: each movement has lines that sum to zero in each currency. Append only.
CREATE TABLE ledger_movement (
    movement_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payment_id  uuid NOT NULL REFERENCES payment,
    kind        text NOT NULL CHECK (kind IN ('authorize', 'void', 'capture', 'refund')),
    at          timestamptz NOT NULL,
    -- Nothing happens twice to one payment.
    UNIQUE (payment_id, kind)
);

CREATE TABLE ledger_line (
    movement_id bigint NOT NULL REFERENCES ledger_movement,
    account     text NOT NULL CHECK (account IN (
                    -- Memorandum: what is reserved at the provider, and its counterpart.
                    'authorizations_open', 'authorizations_granted',
                    -- Money: what the provider owes us, and what we owe our clients in travel.
                    'provider_receivable', 'client_deposits')),
    amount      numeric(19, 4) NOT NULL CHECK (amount <> 0),
    currency    char(3) NOT NULL,
    PRIMARY KEY (movement_id, account)
);

-- A movement is posted by one statement, and judged at the end of it.
CREATE FUNCTION ledger_is_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    unbalanced bigint;
BEGIN
    SELECT movement_id INTO unbalanced
    FROM ledger_line WHERE movement_id IN (SELECT movement_id FROM posted)
    GROUP BY movement_id, currency HAVING sum(amount) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'movement % does not sum to zero', unbalanced USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER ledger_line_balanced AFTER INSERT ON ledger_line
    REFERENCING NEW TABLE AS posted FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_balanced();

CREATE FUNCTION ledger_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is append-only' USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER ledger_movement_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_movement
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();
CREATE TRIGGER ledger_line_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_line
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_is_append_only();
