-- Events under row-level security: whoever answers requests sees those of accounts in scope.

ALTER TABLE ledger.event ENABLE ROW LEVEL SECURITY;
CREATE POLICY in_scope ON ledger.event FOR SELECT TO billing_reader
    USING (ledger.in_scope(account_id));
CREATE POLICY whole ON ledger.event TO billing_writer, billing_projector, billing_auditor
    USING (true) WITH CHECK (true);
GRANT SELECT ON ledger.event TO billing_reader;

-- Of accounts readers see no more than what their numbers are.
ALTER TABLE ledger.account ENABLE ROW LEVEL SECURITY;
CREATE POLICY in_scope ON ledger.account FOR SELECT TO billing_reader
    USING (ledger.in_scope(account_id));
CREATE POLICY whole ON ledger.account TO billing_writer, billing_projector, billing_auditor
    USING (true) WITH CHECK (true);
GRANT SELECT (lane, account_id, account_number) ON ledger.account TO billing_reader;
