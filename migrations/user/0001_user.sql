-- People and their sessions. Passwords and refresh tokens are kept as hashes only.

CREATE TABLE person (
    user_id       uuid PRIMARY KEY,
    email         text NOT NULL CHECK (octet_length(email) BETWEEN 5 AND 254),
    -- How addresses are compared: `EmailAddress::key` of the contract, which the database cannot compute.
    email_key     text NOT NULL UNIQUE,
    name          text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
    -- PHC string: algorithm, parameters, salt, hash.
    password_hash text NOT NULL,
    role          text NOT NULL CHECK (role IN ('client', 'viewer', 'operator', 'admin')),
    created_at    timestamptz NOT NULL,
    -- Rises with every change of the rights: access tokens of an earlier generation are void.
    generation    integer NOT NULL DEFAULT 0 CHECK (generation >= 0),
    rights_changed_at timestamptz,
    disabled_at   timestamptz
);
CREATE INDEX person_of_staff ON person (user_id) WHERE role <> 'client';
CREATE INDEX person_by_rights_change ON person (rights_changed_at) WHERE rights_changed_at IS NOT NULL;

-- One login and all the refreshes that follow from it (RFC 9700: reuse of an old token revokes them all).
CREATE TABLE session (
    session_id uuid PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES person,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX session_by_end ON session (expires_at);
CREATE INDEX session_of_person ON session (user_id);

CREATE TABLE refresh_token (
    -- SHA-256 of the token.
    token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
    session_id uuid NOT NULL REFERENCES session ON DELETE CASCADE,
    issued_at  timestamptz NOT NULL,
    used_at    timestamptz
);
CREATE INDEX refresh_token_by_session ON refresh_token (session_id);
