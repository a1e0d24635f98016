-- How far an import of a file got, lane by lane. What was done is in the log, under each line's key;
-- this only says which lines need not be sent again. Losing it costs sending them.

CREATE TABLE ledger.import_mark (
    lane int NOT NULL,
    -- The file, by its content.
    file_sha256 bytea NOT NULL CHECK (octet_length(file_sha256) = 32),
    -- The outcome of every line of the lane up to this one is known, by its number from 1.
    line bigint NOT NULL CHECK (line > 0),
    -- Those of them that were not done: refused, or bad.
    left_lines bigint[] NOT NULL,
    moved_at timestamptz NOT NULL,
    PRIMARY KEY (lane, file_sha256)
) WITH (fillfactor = 50);

REVOKE ALL ON ledger.import_mark FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON ledger.import_mark TO billing_writer;
GRANT SELECT ON ledger.import_mark TO billing_auditor;
