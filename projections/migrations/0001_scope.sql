-- Which accounts a reader may see: the rule behind every row-level policy of every read model.

-- Whether the account is in the scope of this transaction, the setting billing.scope: '*' for every
-- account, or account ids separated by commas. Raises when it is missing: a reused session that
-- was given no scope must not look like an account without rows.
CREATE FUNCTION ledger.in_scope(account_id uuid)
RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $$
DECLARE
    scope text := current_setting('billing.scope', true);
BEGIN
    IF scope IS NULL OR scope = '' THEN
        RAISE EXCEPTION 'no scope is set'
            USING ERRCODE = 'insufficient_privilege',
                  HINT = 'Set billing.scope for the transaction before reading account data.';
    END IF;
    -- An id has 36 characters, so it cannot be found across two others and their comma.
    RETURN scope = '*' OR strpos(scope, account_id::text) > 0;
END
$$;

REVOKE ALL ON FUNCTION ledger.in_scope(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.in_scope(uuid) TO billing_reader, billing_auditor;
