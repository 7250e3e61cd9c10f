-- What operators asked for, and what came of it: one row before an act is carried out, and one after. Each row holds the
-- hash of the row before it and its own (SHA-256, in lower-case hexadecimal digits), over a form that docs/operators.md
-- gives: a row that is altered, taken out or put in breaks the chain.
CREATE TABLE audit_log (
    number        bigint      PRIMARY KEY,
    at            timestamptz NOT NULL,
    actor         text        NOT NULL,
    role          text        NOT NULL,
    request_id    text        NOT NULL,
    act           text        NOT NULL,
    target        text        NOT NULL,
    reason        text        NOT NULL,
    outcome       text        NOT NULL,
    -- The row in which the act was asked for.
    answers       bigint,
    previous_hash text        NOT NULL,
    hash          text        NOT NULL,
    CONSTRAINT audit_log_sane CHECK (number >= 1 AND at BETWEEN '1970-01-01 UTC' AND '9999-12-31 UTC')
);
CREATE INDEX audit_log_by_actor ON audit_log (actor, number);
CREATE INDEX audit_log_by_target ON audit_log (target, number);

-- The last row's number and hash. Its lock gives the rows their order; only acts of operators wait for it.
CREATE TABLE audit_head (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    number   bigint  NOT NULL,
    hash     text    NOT NULL
);
INSERT INTO audit_head (number, hash) VALUES (0, repeat('0', 64));

CREATE FUNCTION audit_log_is_appended_to() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is only appended to';
END
$$;
CREATE TRIGGER audit_log_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_appended_to();
