-- What the last reconciliation of each lane found: one row a lane, replaced by the next one's.
-- Losing it costs another reconciliation.

CREATE TABLE ledger.reconciliation (
    lane int PRIMARY KEY CHECK (lane >= 0 AND lane < 64),
    started_at timestamptz NOT NULL,
    finished_at timestamptz NOT NULL,
    -- How far the log and the read models were when they were seen.
    log_position bigint NOT NULL,
    receivables_position bigint NOT NULL,
    journal_position bigint NOT NULL,
    accounts bigint NOT NULL,
    events bigint NOT NULL,
    differences bigint NOT NULL CHECK (differences >= 0),
    -- The first of the differences, as the API gives them.
    found jsonb NOT NULL
) WITH (fillfactor = 50);

REVOKE ALL ON ledger.reconciliation FROM PUBLIC;
GRANT SELECT, INSERT, UPDATE ON ledger.reconciliation TO billing_writer;
GRANT SELECT ON ledger.reconciliation TO billing_reader, billing_auditor;
ALTER TABLE ledger.reconciliation ENABLE ROW LEVEL SECURITY;
CREATE POLICY kept ON ledger.reconciliation TO billing_writer USING (true) WITH CHECK (true);
-- Differences name accounts: they are for those who see all of them.
CREATE POLICY in_scope ON ledger.reconciliation FOR SELECT TO billing_reader, billing_auditor
    USING (ledger.in_scope('00000000-0000-0000-0000-000000000000'));
