-- Payments and their ledger. Amounts are exact decimals; the database itself refuses what must never be (S23).

CREATE TABLE payment (
    -- Chosen by the saga; by the first version of the commands, made here.
    payment_id           uuid PRIMARY KEY,
    order_id             uuid NOT NULL,
    -- None by the first version of the commands, by which an order has one payment.
    user_id              uuid,
    saga_id              uuid NOT NULL,
    status               text NOT NULL CHECK (status IN ('pending', 'requires_action', 'authorized', 'captured', 'voided',
                                                         'refunded', 'failed')),
    currency             char(3) NOT NULL,
    authorized_amount    numeric(19, 4) NOT NULL CHECK (authorized_amount > 0),
    captured_amount      numeric(19, 4) NOT NULL DEFAULT 0 CHECK (captured_amount >= 0),
    refunded_amount      numeric(19, 4) NOT NULL DEFAULT 0 CHECK (refunded_amount >= 0),
    -- The first authorization, or a later one after a refusal or a lapse.
    authorization_number smallint NOT NULL DEFAULT 1,
    provider_reference   text UNIQUE,
    capture_before       timestamptz,
    -- The provider's page where the client has to act, and until when.
    action_url           text,
    action_expires_at    timestamptz,
    failure_code         text,
    -- The question that the provider is being asked, from the intent to its record. While one is asked, the others
    -- wait: each sees the others' intents, not only their results.
    under_way            text CHECK (under_way IN ('capture', 'refund', 'undo')),
    created_at           timestamptz NOT NULL,
    updated_at           timestamptz NOT NULL,
    CHECK (captured_amount <= authorized_amount),
    CHECK (refunded_amount <= captured_amount),
    CHECK (status NOT IN ('authorized', 'captured', 'refunded') OR provider_reference IS NOT NULL),
    CHECK (status <> 'authorized' OR capture_before IS NOT NULL),
    CHECK (status <> 'requires_action' OR (action_url IS NOT NULL AND action_expires_at IS NOT NULL)),
    CHECK ((status = 'failed') = (failure_code IS NOT NULL)),
    -- Captured or voided, never both.
    CHECK (CASE status
               -- A part is taken, and the rest is kept for another capture.
               WHEN 'authorized' THEN captured_amount < authorized_amount
               WHEN 'captured' THEN captured_amount > 0 AND refunded_amount < captured_amount
               WHEN 'refunded' THEN refunded_amount = captured_amount AND captured_amount > 0
               ELSE captured_amount = 0
           END)
);
-- One payment of an order is open at a time.
CREATE UNIQUE INDEX payment_open_of_order ON payment (order_id)
    WHERE status IN ('pending', 'requires_action', 'authorized');
-- By the first version of the commands there is one at all.
CREATE UNIQUE INDEX payment_captured_of_order ON payment (order_id) WHERE user_id IS NULL AND status = 'captured';
CREATE INDEX payment_by_order ON payment (order_id);

-- Double entry: each movement has lines that sum to zero in each currency. Append only.
CREATE TABLE ledger_movement (
    movement_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payment_id  uuid NOT NULL REFERENCES payment,
    kind        text NOT NULL CHECK (kind IN ('authorize', 'void', 'capture', 'refund')),
    -- Our name of the authorization, or the command that captured or gave back.
    key         text NOT NULL,
    at          timestamptz NOT NULL,
    -- Nothing happens twice.
    UNIQUE (payment_id, kind, key)
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
