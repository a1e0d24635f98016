-- Message texts are read with the views, within the same scope. Rights on the whole table become
-- policies: whoever may write still may, a reader sees the texts of the accounts in scope.

GRANT SELECT ON ledger.message_text TO billing_reader, billing_auditor;
-- Nobody projects texts: they stay where they can be erased.
REVOKE SELECT ON ledger.message_text FROM billing_projector;

ALTER TABLE ledger.message_text ENABLE ROW LEVEL SECURITY;
CREATE POLICY written ON ledger.message_text TO billing_writer USING (true) WITH CHECK (true);
CREATE POLICY in_scope ON ledger.message_text FOR SELECT TO billing_reader, billing_auditor
    USING (ledger.in_scope(account_id));
