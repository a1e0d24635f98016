-- How far a month has been closed: one row for each lane of a run, moved together with nothing else.
-- What was billed is in the log, under each account's key for the period; this only says where to
-- go on, and counts. Losing it costs a second look at every account.

CREATE TABLE ledger.month_end (
    lane int NOT NULL,
    period text COLLATE "C" NOT NULL CHECK (period ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'),
    -- What was asked for. issued_on NULL: each invoice on the day its period ends.
    issued_on date,
    asked_on date NOT NULL,
    actor text NOT NULL,
    asked_at timestamptz NOT NULL,
    -- The lane's head then: an invoice past it was issued by this run, one before it by an earlier.
    from_position bigint NOT NULL CHECK (from_position >= 0),
    -- The last account done; NULL before the first.
    after_account uuid,
    issued bigint NOT NULL CHECK (issued >= 0),
    replayed bigint NOT NULL CHECK (replayed >= 0),
    nothing_to_bill bigint NOT NULL CHECK (nothing_to_bill >= 0),
    not_due bigint NOT NULL CHECK (not_due >= 0),
    refused bigint NOT NULL CHECK (refused >= 0),
    -- The first of the refused: [{account_number, code, message}].
    refusals jsonb NOT NULL,
    moved_at timestamptz NOT NULL,
    finished_at timestamptz,
    PRIMARY KEY (lane, period)
) WITH (fillfactor = 50);

CREATE INDEX month_end_unfinished ON ledger.month_end (lane, period) WHERE finished_at IS NULL;

REVOKE ALL ON ledger.month_end FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE ON ledger.month_end TO billing_writer;
GRANT SELECT ON ledger.month_end TO billing_auditor;
-- Counts are no account's; which accounts were refused, a reader does not learn here.
GRANT SELECT (
    lane, period, issued_on, asked_on, asked_at, issued, replayed, nothing_to_bill, not_due,
    refused, moved_at, finished_at
) ON ledger.month_end TO billing_reader;
