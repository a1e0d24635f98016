-- Who may do what. Nobody but the owner can update, delete or truncate the log or its keys.

REVOKE ALL ON SCHEMA ledger FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA ledger FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA ledger FROM PUBLIC;

GRANT USAGE ON SCHEMA ledger
    TO billing_writer, billing_projector, billing_reader, billing_auditor;
GRANT SELECT ON ledger.region, ledger.migration, ledger.lane_head
    TO billing_writer, billing_projector, billing_reader, billing_auditor;
GRANT EXECUTE ON FUNCTION ledger.known_position(int, timestamptz)
    TO billing_writer, billing_projector, billing_reader, billing_auditor;

-- The writer appends, and replaces what its appends change.
GRANT SELECT, INSERT ON ledger.event, ledger.command_key TO billing_writer;
GRANT SELECT, INSERT, UPDATE ON ledger.account, ledger.item TO billing_writer;
GRANT UPDATE (position, recorded_at) ON ledger.lane_head TO billing_writer;
GRANT SELECT, INSERT, UPDATE (body, erased_at) ON ledger.message_text TO billing_writer;
GRANT EXECUTE ON FUNCTION
    ledger.append, ledger.read_accounts, ledger.read_keys, ledger.read_named, ledger.read_ranges
    TO billing_writer;

-- The projector and the auditor read the log; the auditor also what answers were given.
GRANT SELECT ON ledger.event TO billing_projector, billing_auditor;
GRANT SELECT ON ledger.command_key, ledger.account, ledger.item TO billing_auditor;
-- Views show message texts.
GRANT SELECT ON ledger.message_text TO billing_projector;
