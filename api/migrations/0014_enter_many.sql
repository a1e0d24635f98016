-- The way in for commands: who asks and whether they may, for many at once.

-- As access.enter, for each of the places given (account null: the region as a whole), without
-- setting what the transaction may see: nothing is read for whoever comes in here. `n` is the
-- place in the arrays; r_roles are those that may, separated by commas.
CREATE FUNCTION access.enter_many(
    r_roles text[], r_scope text[], r_token_sha256 bytea[], r_lane int[], r_account_id uuid[]
)
RETURNS TABLE (n int, verdict text, role text, principal_id uuid, currency text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    this_instant timestamptz := clock_timestamp();
BEGIN
    RETURN QUERY
    SELECT asked.n::int, ruled.verdict, who.role, who.id,
           CASE WHEN ruled.verdict = 'allowed' THEN kept.currency END
    FROM unnest(r_roles, r_scope, r_token_sha256, r_lane, r_account_id)
         WITH ORDINALITY AS asked (roles, scope, token_sha256, lane, account_id, n)
    LEFT JOIN LATERAL (
        SELECT l.role, l.id, l.role = ANY (string_to_array(asked.roles, ',')) AS may
        FROM access.session AS s
        JOIN access.login AS l ON l.id = s.login_id
        WHERE s.token_sha256 = asked.token_sha256 AND s.revoked_at IS NULL
          AND s.expires_at > this_instant AND l.disabled_at IS NULL
          AND s.last_used_at > this_instant - interval '2 hours'
        UNION ALL
        SELECT 'service', t.id,
               COALESCE(asked.scope = '*' OR asked.scope = ANY (t.scopes), false)
        FROM access.token AS t
        WHERE t.token_sha256 = asked.token_sha256 AND t.revoked_at IS NULL
    ) AS who ON true
    LEFT JOIN LATERAL (
        SELECT convert_from(a.state, 'UTF8')::jsonb ->> 'currency' AS currency
        FROM ledger.account AS a
        WHERE a.lane = asked.lane AND a.account_id = asked.account_id
        OFFSET 0
    ) AS kept ON true
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN who.role IS NULL THEN 'unauthenticated'
            WHEN asked.account_id IS NULL THEN CASE WHEN who.may THEN 'allowed' ELSE 'forbidden' END
            WHEN who.role = 'customer' AND NOT EXISTS (
                SELECT FROM access.login_account AS g
                WHERE g.login_id = who.id AND g.account_id = asked.account_id
            ) THEN 'unknown'
            WHEN kept.currency IS NULL THEN 'unknown'
            WHEN who.may THEN 'allowed'
            ELSE 'forbidden'
        END AS verdict
    ) AS ruled;

    -- Noted every five minutes, so that coming in seldom writes.
    UPDATE access.session AS s SET last_used_at = this_instant
    WHERE s.token_sha256 IN (
        SELECT o.token_sha256 FROM access.session AS o
        WHERE o.token_sha256 = ANY (r_token_sha256) AND o.revoked_at IS NULL
          AND o.last_used_at BETWEEN this_instant - interval '2 hours'
                                 AND this_instant - interval '5 minutes'
        FOR UPDATE SKIP LOCKED
    );
END
$$;

REVOKE ALL ON FUNCTION access.enter_many FROM PUBLIC;
GRANT EXECUTE ON FUNCTION access.enter_many TO billing_reader;
