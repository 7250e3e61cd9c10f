-- Logins by the device flow (RFC 8628): a program asks, a person who is logged in elsewhere decides. Both codes are kept as
-- hashes only, and a row is gone once its tokens are given out.

CREATE TABLE device_login (
    -- SHA-256 of the secret of the program that asks.
    device_code_hash bytea PRIMARY KEY CHECK (length(device_code_hash) = 32),
    -- SHA-256 of the letters that the person compares.
    user_code_hash   bytea NOT NULL UNIQUE CHECK (length(user_code_hash) = 32),
    client           text NOT NULL CHECK (length(client) BETWEEN 1 AND 64),
    -- Where the program asks from.
    address          text NOT NULL CHECK (length(address) BETWEEN 1 AND 64),
    created_at       timestamptz NOT NULL,
    expires_at       timestamptz NOT NULL,
    -- The shortest time between two questions for the tokens; it rises with each that comes too soon.
    interval_seconds integer NOT NULL CHECK (interval_seconds > 0),
    asked_at         timestamptz,
    -- The person who decided, how, and of which generation its rights were: an approval is void once they change.
    user_id          uuid REFERENCES person,
    decision         text CHECK (decision IN ('approve', 'deny')),
    generation       integer,
    CHECK ((decision IS NULL) = (user_id IS NULL) AND (user_id IS NULL) = (generation IS NULL))
);
CREATE INDEX device_login_by_end ON device_login (expires_at);
CREATE INDEX device_login_by_address ON device_login (address);

-- The program that a login was approved for; none for a login by password.
ALTER TABLE session ADD COLUMN client text CHECK (length(client) BETWEEN 1 AND 64);

-- Access tokens of logins that ended a short time ago are refused: these are asked for every few seconds.
CREATE INDEX session_by_revocation ON session (revoked_at) WHERE revoked_at IS NOT NULL;
