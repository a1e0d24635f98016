-- The way in for every request but the hot summaries: one function that says who asks and whether
-- they may, and one that also says which moment of the views they read.

-- Who asks with a token, and whether they may do what these roles and this scope may, on an account
-- or (null) in the region as a whole. `wanted_scope` null: no service may; '*': any service.
-- The verdict is 'unauthenticated', 'unknown' (no such account, or not for them), 'forbidden' or
-- 'allowed'. Sets, until the transaction ends, billing.scope to what may be seen: the account asked
-- for, a customer's own accounts, or '*' for whoever sees the region; '-' when refused.
-- `currency` is the account's, as the log's side knows it. Runs as the owner: no role of the service
-- can see logins, sessions and tokens. What was not used for two hours is over.
CREATE FUNCTION access.enter(
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
    scope text := '-';
BEGIN
    SELECT l.role, l.id, l.role = ANY (wanted_roles), s.last_used_at
    INTO role, principal_id, may, used_at
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

-- The account that the transaction was let in for, null when it was not.
CREATE FUNCTION access.account()
RETURNS uuid
LANGUAGE sql STABLE PARALLEL SAFE
RETURN NULLIF(current_setting('billing.account', true), '')::uuid;

-- As access.enter for an account, with the moment that is read: `as_of_position` null is the live
-- state, which `position` tells. the_known_at or the_at given, or the_day: the state as known then.
-- `reached` is the position of wait_lane that the views have reached, `version` the account's and
-- `settings_version` that of its settings at the moment read.
-- Further verdicts: 'future' (the_known_at has not come), 'position_unknown', 'behind' (the views
-- have not reached it). Runs as its caller, under row-level security.
CREATE FUNCTION access.enter_reading(
    wanted_roles text[], wanted_scope text, the_token_sha256 bytea, the_lane int, the_account uuid,
    the_day date, the_known_at timestamptz, the_at bigint, wait_lane int
)
RETURNS TABLE (
    verdict text, role text, principal_id uuid, currency text, as_of_position bigint,
    "position" bigint, known_at timestamptz, reached bigint, version bigint,
    settings_version bigint
)
LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    head bigint;
    reach bigint;
    found_version bigint;
    found_settings bigint;
BEGIN
    SELECT e.verdict, e.role, e.principal_id, e.currency
    INTO verdict, role, principal_id, currency
    FROM access.enter(wanted_roles, wanted_scope, the_token_sha256, the_lane, the_account) AS e;
    reached := (SELECT t.position FROM receivables.tracking AS t WHERE t.lane = wait_lane);
    IF verdict <> 'allowed' THEN
        RETURN NEXT;
        RETURN;
    END IF;
    IF the_known_at > clock_timestamp() THEN
        verdict := 'future';
        RETURN NEXT;
        RETURN;
    END IF;
    as_of_position := the_at;
    IF the_known_at IS NOT NULL THEN
        as_of_position := ledger.known_position(the_lane, the_known_at);
    END IF;
    SELECT h.position, LEAST(t.position, p.position - 1) INTO head, reach
    FROM ledger.lane_head AS h
    JOIN receivables.tracking AS t ON t.lane = h.lane
    LEFT JOIN receivables.parked AS p ON p.lane = h.lane AND p.account_id = access.account()
    WHERE h.lane = the_lane;
    IF as_of_position IS NULL AND the_day IS NOT NULL THEN
        as_of_position := reach;
    ELSIF as_of_position > head THEN
        verdict := 'position_unknown';
    ELSIF as_of_position > reach THEN
        verdict := 'behind';
    END IF;
    IF verdict = 'allowed' THEN
        "position" := COALESCE(as_of_position, reach);
        SELECT a.version INTO found_version
        FROM receivables.account AS a
        WHERE a.lane = the_lane AND a.account_id = access.account();
        IF as_of_position IS NOT NULL THEN
            SELECT max(m.version) INTO found_version
            FROM receivables.movement AS m
            WHERE m.lane = the_lane AND m.account_id = access.account()
              AND m.position = (
                  SELECT max(n.position) FROM receivables.movement AS n
                  WHERE n.lane = the_lane AND n.account_id = access.account()
                    AND n.position <= as_of_position
              );
        END IF;
        SELECT max(s.version) INTO found_settings
        FROM receivables.setting AS s
        WHERE s.lane = the_lane AND s.account_id = access.account()
          AND (as_of_position IS NULL OR s.position <= as_of_position);
        version := found_version;
        settings_version := found_settings;
        known_at := COALESCE(the_known_at, access.recorded_at(the_lane, "position"));
        IF version IS NULL THEN
            verdict := 'unknown';
        END IF;
    END IF;
    RETURN NEXT;
END
$$;

-- The currencies of the accounts in scope that exist; `n` is the place of the account asked for.
CREATE FUNCTION access.currencies(a_lane int[], a_account_id uuid[])
RETURNS TABLE (n int, currency text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
    RETURN QUERY
    SELECT asked.n::int, convert_from(found.state, 'UTF8')::jsonb ->> 'currency'
    FROM unnest(a_lane, a_account_id) WITH ORDINALITY AS asked (lane, account_id, n)
    CROSS JOIN LATERAL (
        SELECT a.state
        FROM ledger.account AS a
        WHERE a.lane = asked.lane AND a.account_id = asked.account_id
          AND ledger.in_scope(a.account_id)
        OFFSET 0
    ) AS found;
END
$$;

REVOKE ALL ON FUNCTION
    access.enter, access.enter_reading, access.account, access.currencies
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    access.enter, access.enter_reading, access.account, access.currencies
    TO billing_reader;
