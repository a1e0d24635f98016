-- Whoever must change their password does that before anything else; service tokens have none.

-- What each asker may do on the account asked for: 'unauthenticated', 'unknown' (there is none, or
-- not for them), 'forbidden' (they see it, but may not do this), 'password_due' (they must change
-- their password before anything else) or 'allowed'.
-- Runs as the owner: readers cannot see sessions, tokens and grants. A session that was not used
-- for two hours is over; its last use is noted every five minutes, so that reads seldom write.
CREATE OR REPLACE FUNCTION access.verdicts(
    wanted_roles text[], wanted_scope text,
    r_token_sha256 bytea[], r_lane int[], r_account_id uuid[]
)
RETURNS text[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    this_instant timestamptz := clock_timestamp();
    answer text[];
    stale bytea[];
BEGIN
    SELECT
        array_agg(
            CASE
                WHEN who.role IS NULL THEN 'unauthenticated'
                WHEN who.password_due THEN 'password_due'
                WHEN who.may AND (who.role <> 'customer' OR granted.holds) THEN 'allowed'
                WHEN who.role = 'customer' AND NOT granted.holds THEN 'unknown'
                WHEN EXISTS (
                    SELECT FROM ledger.account AS a
                    WHERE a.lane = asked.lane AND a.account_id = asked.account_id
                ) THEN 'forbidden'
                ELSE 'unknown'
            END
            ORDER BY asked.n
        ),
        array_agg(DISTINCT asked.token_sha256)
            FILTER (WHERE who.last_used_at < this_instant - interval '5 minutes')
    INTO answer, stale
    FROM unnest(r_token_sha256, r_lane, r_account_id)
         WITH ORDINALITY AS asked (token_sha256, lane, account_id, n)
    LEFT JOIN LATERAL (
        SELECT l.role, l.id AS login_id, l.role = ANY (wanted_roles) AS may, s.last_used_at,
               l.must_change_password AS password_due
        FROM access.session AS s
        JOIN access.login AS l ON l.id = s.login_id
        WHERE s.token_sha256 = asked.token_sha256 AND s.revoked_at IS NULL
          AND s.expires_at > this_instant AND l.disabled_at IS NULL
          AND s.last_used_at > this_instant - interval '2 hours'
        UNION ALL
        SELECT 'service', NULL, wanted_scope = ANY (t.scopes), NULL, false
        FROM access.token AS t
        WHERE t.token_sha256 = asked.token_sha256 AND t.revoked_at IS NULL
    ) AS who ON true
    CROSS JOIN LATERAL (
        SELECT EXISTS (
            SELECT FROM access.login_account AS g
            WHERE g.login_id = who.login_id AND g.account_id = asked.account_id
        ) AS holds
    ) AS granted;

    IF stale IS NOT NULL THEN
        UPDATE access.session AS s SET last_used_at = this_instant
        WHERE s.token_sha256 IN (
            SELECT o.token_sha256 FROM access.session AS o
            WHERE o.token_sha256 = ANY (stale) FOR UPDATE SKIP LOCKED
        );
    END IF;
    RETURN answer;
END
$$;

-- Who asks with a token, and whether they may do what these roles and this scope may, on an account
-- or (null) in the region as a whole. `wanted_scope` null: no service may; '*': any service.
-- The verdict is 'unauthenticated', 'password_due' (they must change their password before anything
-- else), 'unknown' (no such account, or not for them), 'forbidden' or 'allowed'. Sets, until the transaction ends, billing.scope to what may be seen: the account asked
-- for, a customer's own accounts, or '*' for whoever sees the region; '-' when refused.
-- `currency` is the account's, as the log's side knows it. Runs as the owner: no role of the service
-- can see logins, sessions and tokens. What was not used for two hours is over.
CREATE OR REPLACE FUNCTION access.enter(
    wanted_roles text[], wanted_scope text, the_token_sha256 bytea, the_lane int, the_account uuid
)
RETURNS TABLE (verdict text, role text, principal_id uuid, currency text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    this_instant timestamptz := clock_timestamp();
    may boolean;
    holds boolean := false;
    used_at timestamptz;
    password_due boolean;
    scope text := '-';
BEGIN
    SELECT l.role, l.id, l.role = ANY (wanted_roles), s.last_used_at, l.must_change_password
    INTO role, principal_id, may, used_at, password_due
    FROM access.session AS s
    JOIN access.login AS l ON l.id = s.login_id
    WHERE s.token_sha256 = the_token_sha256 AND s.revoked_at IS NULL
      AND s.expires_at > this_instant AND l.disabled_at IS NULL
      AND s.last_used_at > this_instant - interval '2 hours';
    IF NOT FOUND THEN
        SELECT 'service', t.id, COALESCE(wanted_scope = '*' OR wanted_scope = ANY (t.scopes), false)
        INTO role, principal_id, may
        FROM access.token AS t
        WHERE t.token_sha256 = the_token_sha256 AND t.revoked_at IS NULL;
    END IF;
    IF used_at < this_instant - interval '5 minutes' THEN
        BEGIN
            UPDATE access.session AS s SET last_used_at = this_instant
            WHERE s.token_sha256 IN (
                SELECT o.token_sha256 FROM access.session AS o
                WHERE o.token_sha256 = the_token_sha256 FOR UPDATE SKIP LOCKED
            );
        EXCEPTION WHEN serialization_failure THEN
            NULL;  -- another request of the session has just noted it
        END;
    END IF;

    IF the_account IS NOT NULL THEN
        SELECT convert_from(a.state, 'UTF8')::jsonb ->> 'currency' INTO currency
        FROM ledger.account AS a
        WHERE a.lane = the_lane AND a.account_id = the_account;
        holds := EXISTS (
            SELECT FROM access.login_account AS g
            WHERE g.login_id = principal_id AND g.account_id = the_account
        );
    END IF;

    verdict := CASE
        WHEN role IS NULL THEN 'unauthenticated'
        WHEN password_due THEN 'password_due'
        WHEN the_account IS NULL THEN CASE WHEN may THEN 'allowed' ELSE 'forbidden' END
        WHEN role = 'customer' AND NOT holds THEN 'unknown'
        WHEN currency IS NULL THEN 'unknown'
        WHEN may THEN 'allowed'
        ELSE 'forbidden'
    END;
    IF verdict <> 'allowed' THEN
        currency := NULL;
    ELSIF the_account IS NOT NULL THEN
        scope := the_account::text;
    ELSIF role <> 'customer' THEN
        scope := '*';
    ELSE
        SELECT COALESCE(string_agg(g.account_id::text, ','), '-') INTO scope
        FROM access.login_account AS g
        WHERE g.login_id = enter.principal_id;
    END IF;
    PERFORM set_config('billing.scope', scope, true);
    -- The first wall: what statements name as the account they read.
    PERFORM set_config(
        'billing.account', CASE WHEN verdict = 'allowed' THEN the_account::text END, true
    );
    RETURN NEXT;
END
$$;

-- As access.enter, for each of the places given (account null: the region as a whole), without
-- setting what the transaction may see: nothing is read for whoever comes in here. `n` is the
-- place in the arrays; r_roles are those that may, separated by commas.
CREATE OR REPLACE FUNCTION access.enter_many(
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
        SELECT l.role, l.id, l.role = ANY (string_to_array(asked.roles, ',')) AS may,
               l.must_change_password AS password_due
        FROM access.session AS s
        JOIN access.login AS l ON l.id = s.login_id
        WHERE s.token_sha256 = asked.token_sha256 AND s.revoked_at IS NULL
          AND s.expires_at > this_instant AND l.disabled_at IS NULL
          AND s.last_used_at > this_instant - interval '2 hours'
        UNION ALL
        SELECT 'service', t.id,
               COALESCE(asked.scope = '*' OR asked.scope = ANY (t.scopes), false), false
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
            WHEN who.password_due THEN 'password_due'
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
