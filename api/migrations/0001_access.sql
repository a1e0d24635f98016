-- Who may come in. Exempt from the lane rule by the schema's name: none of this is ledger data.
-- No role of the service reads or writes these tables: the functions of the next steps do.

CREATE SCHEMA access;
REVOKE ALL ON SCHEMA access FROM PUBLIC;

CREATE TABLE access.login (
    id uuid PRIMARY KEY,
    role text NOT NULL CHECK (role IN ('customer', 'support', 'finance', 'auditor', 'admin')),
    password_hash text NOT NULL,
    must_change_password boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    disabled_at timestamptz
);

-- What a login is called at sign-in: a client ID or account numbers, in one name space, lower case.
CREATE TABLE access.identifier (
    identifier text COLLATE "C" PRIMARY KEY CHECK (identifier = lower(identifier)),
    kind text NOT NULL CHECK (kind IN ('client_id', 'account_number')),
    login_id uuid NOT NULL REFERENCES access.login (id)
);
CREATE INDEX identifier_of_login ON access.identifier (login_id);

-- The accounts a customer's login sees; staff see all of the region without a row here.
CREATE TABLE access.login_account (
    login_id uuid NOT NULL REFERENCES access.login (id),
    account_id uuid NOT NULL,
    lane int NOT NULL,
    account_number text COLLATE "C" NOT NULL,
    PRIMARY KEY (login_id, account_id)
);

-- A session is known by the SHA-256 of its token: who reads this table cannot sign in with it.
CREATE TABLE access.session (
    token_sha256 bytea PRIMARY KEY CHECK (octet_length(token_sha256) = 32),
    login_id uuid NOT NULL REFERENCES access.login (id),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_used_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX session_of_login ON access.session (login_id);
CREATE INDEX session_by_expiry ON access.session (expires_at);

-- A token of another system, known by its SHA-256 too. It sees all accounts of the region.
CREATE TABLE access.token (
    token_sha256 bytea PRIMARY KEY CHECK (octet_length(token_sha256) = 32),
    id uuid NOT NULL UNIQUE,
    name text NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    revoked_at timestamptz
);

-- Tries counted since an instant. The bucket is a digest: people type passwords into the wrong field.
CREATE TABLE access.throttle (
    bucket bytea PRIMARY KEY CHECK (octet_length(bucket) = 32),
    tries int NOT NULL,
    since timestamptz NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX throttle_by_age ON access.throttle (since);
