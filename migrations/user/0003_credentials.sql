-- New passwords by an admin's code, and the second factor of people.

-- The code that an admin has given to a person; a new one takes the place of the one before.
CREATE TABLE password_reset (
    user_id       uuid PRIMARY KEY REFERENCES person,
    -- SHA-256 of the code.
    code_hash     bytea NOT NULL CHECK (length(code_hash) = 32),
    expires_at    timestamptz NOT NULL,
    -- The wrong codes that are answered before the right one is void too.
    attempts_left integer NOT NULL CHECK (attempts_left >= 0)
);

CREATE TABLE second_factor (
    user_id       uuid PRIMARY KEY REFERENCES person,
    -- The secret, encrypted under a key of the settings.
    sealed_secret bytea NOT NULL,
    -- Since when a login needs a code; null until the person has shown the first one.
    since         timestamptz,
    -- The time step of the newest code that was taken: it and earlier ones are not taken again.
    last_step     bigint NOT NULL DEFAULT 0,
    -- Wrong codes since then, which a right one forgets.
    wrong_codes   integer NOT NULL DEFAULT 0 CHECK (wrong_codes >= 0),
    wrong_since   timestamptz
);

-- The recovery codes that were not used yet.
CREATE TABLE recovery_code (
    user_id   uuid NOT NULL REFERENCES second_factor ON DELETE CASCADE,
    -- SHA-256 of the code.
    code_hash bytea NOT NULL CHECK (length(code_hash) = 32),
    PRIMARY KEY (user_id, code_hash)
);
