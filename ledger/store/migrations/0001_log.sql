-- The log, and beside it what the write side must find again: keys, account rows, items, texts.
-- Every primary key and unique constraint starts with lane; region holds one row and is exempt.

CREATE TABLE ledger.region (
    code text PRIMARY KEY,
    currency text NOT NULL,
    zone text NOT NULL
);
CREATE UNIQUE INDEX region_is_one ON ledger.region ((true));

-- One row a lane, locked by every append to it: positions are gap-free and in commit order.
CREATE TABLE ledger.lane_head (
    lane int PRIMARY KEY CHECK (lane >= 0 AND lane < 64),
    position bigint NOT NULL CHECK (position >= 0),
    recorded_at timestamptz NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

INSERT INTO ledger.lane_head (lane, position, recorded_at)
SELECT lane, 0, timestamptz 'epoch'
FROM generate_series(0, 63) AS lane;

-- What happened, for ever. state is the body as hashed; hash chains the account, leaf the lane.
CREATE TABLE ledger.event (
    lane int NOT NULL,
    position bigint NOT NULL,
    account_id uuid NOT NULL,
    version bigint NOT NULL,
    topic text COLLATE "C" NOT NULL,
    state bytea NOT NULL,
    recorded_at timestamptz NOT NULL,
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    leaf bytea NOT NULL CHECK (octet_length(leaf) = 32),
    PRIMARY KEY (lane, position),
    UNIQUE (lane, account_id, version)
);

-- Every command that was done, with what its reply needs; as lasting as the events.
CREATE TABLE ledger.command_key (
    lane int NOT NULL,
    account_id uuid NOT NULL,
    key text COLLATE "C" NOT NULL,
    command_sha256 bytea NOT NULL CHECK (octet_length(command_sha256) = 32),
    first_version bigint NOT NULL,
    last_version bigint NOT NULL CHECK (last_version >= first_version),
    reply bytea NOT NULL,
    PRIMARY KEY (lane, account_id, key)
);

-- One row an account: its state after its last event. The limit keeps every command cheap.
CREATE TABLE ledger.account (
    lane int NOT NULL,
    account_id uuid NOT NULL,
    account_number text COLLATE "C" NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    state bytea NOT NULL CHECK (octet_length(state) <= 8192),
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (lane, account_id)
) WITH (fillfactor = 70);

-- The single things of an account. The columns after state repeat what ranges are read by.
CREATE TABLE ledger.item (
    lane int NOT NULL,
    account_id uuid NOT NULL,
    kind text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    state bytea NOT NULL,
    due_on date,
    open_minor bigint CHECK (open_minor >= 0),
    undisputed_minor bigint CHECK (undisputed_minor >= 0 AND undisputed_minor <= open_minor),
    written_off_minor bigint CHECK (written_off_minor >= 0),
    unapplied_minor bigint CHECK (unapplied_minor >= 0),
    allocated_minor bigint CHECK (allocated_minor >= 0),
    amount_minor bigint CHECK (amount_minor >= 0),
    source text COLLATE "C",
    invoice text COLLATE "C",
    PRIMARY KEY (lane, account_id, kind, id)
) WITH (fillfactor = 85);

-- One index for each range a command may need, over just the rows that can be in it.
CREATE INDEX item_open ON ledger.item (lane, account_id, due_on, seq) WHERE open_minor > 0;
CREATE INDEX item_written_off ON ledger.item (lane, account_id, due_on, seq)
    WHERE written_off_minor > 0;
CREATE INDEX item_unapplied ON ledger.item (lane, account_id, seq) WHERE unapplied_minor > 0;
CREATE INDEX item_allocated ON ledger.item (lane, account_id, seq) WHERE allocated_minor > 0;
CREATE INDEX item_allocation_of ON ledger.item (lane, account_id, source, seq)
    WHERE amount_minor > 0;
CREATE INDEX item_allocation_to ON ledger.item (lane, account_id, invoice, seq)
    WHERE amount_minor > 0;

-- The text of a message: the one part of history that can be erased; its event holds the digest.
CREATE TABLE ledger.message_text (
    lane int NOT NULL,
    account_id uuid NOT NULL,
    message_id text COLLATE "C" NOT NULL,
    body text,
    erased_at timestamptz,
    PRIMARY KEY (lane, account_id, message_id),
    CHECK ((body IS NULL) = (erased_at IS NOT NULL))
);
