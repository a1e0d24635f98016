-- When the books of a month were closed: for each lane the position up to which events are posted in
-- the month they are effective in. What is recorded later is posted in the first open month. A row is
-- made under the lane's head, so no append is on both sides of it, and its position never changes.

CREATE TABLE ledger.period_close (
    lane int NOT NULL CHECK (lane >= 0 AND lane < 64),
    period text COLLATE "C" NOT NULL CHECK (period ~ '^[0-9]{4}-(0[1-9]|1[0-2])$'),
    position bigint NOT NULL CHECK (position >= 0),
    actor text NOT NULL,
    cut_at timestamptz NOT NULL,
    -- What the lane's events up to the cut come to, once it was found to be what the journal and the
    -- views say too; the month is closed when every lane has it.
    report jsonb,
    proved_at timestamptz,
    PRIMARY KEY (lane, period),
    CHECK ((report IS NULL) = (proved_at IS NULL))
) WITH (fillfactor = 50);

REVOKE ALL ON ledger.period_close FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE (report, proved_at) ON ledger.period_close TO billing_writer;
GRANT SELECT ON ledger.period_close TO billing_projector, billing_auditor;
-- What a month came to is no reader's; whether it is closed is everybody's.
GRANT SELECT (lane, period, position, cut_at, proved_at) ON ledger.period_close TO billing_reader;
