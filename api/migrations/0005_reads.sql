-- The batched read: who asks, what they may see, and the answers, in one round trip.

-- What each asker may do on the account asked for: 'unauthenticated', 'unknown' (there is none, or
-- not for them), 'forbidden' (they see it, but may not do this) or 'allowed'.
-- Runs as the owner: readers cannot see sessions, tokens and grants. A session that was not used
-- for two hours is over; its last use is noted every five minutes, so that reads seldom write.
CREATE FUNCTION access.verdicts(
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
        SELECT l.role, l.id AS login_id, l.role = ANY (wanted_roles) AS may, s.last_used_at
        FROM access.session AS s
        JOIN access.login AS l ON l.id = s.login_id
        WHERE s.token_sha256 = asked.token_sha256 AND s.revoked_at IS NULL
          AND s.expires_at > this_instant AND l.disabled_at IS NULL
          AND s.last_used_at > this_instant - interval '2 hours'
        UNION ALL
        SELECT 'service', NULL, wanted_scope = ANY (t.scopes), NULL
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

-- When the event at a position was recorded, null where there is none; it tells nothing of any account.
CREATE FUNCTION access.recorded_at(the_lane int, the_position bigint)
RETURNS timestamptz
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (
        SELECT e.recorded_at FROM ledger.event AS e
        WHERE e.lane = the_lane AND e.position = the_position
    );
END
$$;

-- The summaries asked for, each for its own token; `n` is the place in the r_ arrays.
-- r_known_at or r_at given: as known then, or at that position of the account's lane, effective on
-- r_effective_on. r_wait_lane: a lane whose position the views have reached is wanted too.
-- The verdict is one of access.verdicts, or 'future' (known_at has not come), 'position_unknown'
-- or 'behind' (the views have not reached what is asked for); only 'allowed' has the rest.
-- Runs as its caller, so that row-level security holds: the scope of the transaction is set to
-- just the accounts that were allowed.
CREATE FUNCTION access.read_summaries(
    wanted_roles text[], wanted_scope text,
    r_token_sha256 bytea[], r_lane int[], r_account_id uuid[], r_today date[],
    r_effective_on date[], r_known_at timestamptz[], r_at bigint[], r_wait_lane int[]
)
RETURNS TABLE (
    n int, verdict text, reached bigint, known_at timestamptz,
    account_number text, client_id text, company text, country text, currency text,
    billing_cycle text, invoice_delivery text, delivery_channel text, payment_method text,
    language text, balance_minor bigint, total_amount_due_minor bigint,
    available_credit_minor bigint, due_on date, past_due_minor bigint, days_past_due int,
    current_activity_minor bigint, pending_payments_minor bigint, payable_now_minor bigint,
    current_minor bigint, d1_30_minor bigint, d31_60_minor bigint, d61_90_minor bigint,
    d91_minor bigint, disputed_minor bigint, oldest_days int, last_payment_id text,
    last_payment_minor bigint, last_payment_on date, last_payment_method text, messages bigint,
    version bigint, "position" bigint, effective_on date
)
LANGUAGE plpgsql
-- Everything is looked up by primary key, whatever the planner makes of arrays.
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
-- Planning anew would take many times as long as reading.
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    verdicts text[] := access.verdicts(
        wanted_roles, wanted_scope, r_token_sha256, r_lane, r_account_id
    );
    positions bigint[] := r_at;
    scope text;
    asked record;
    head bigint;
    reach bigint;
BEGIN
    SELECT string_agg(DISTINCT a.account_id::text, ',') INTO scope
    FROM unnest(r_account_id, verdicts) AS a (account_id, verdict)
    WHERE a.verdict = 'allowed';
    PERFORM set_config('billing.scope', COALESCE(scope, '-'), true);

    FOR asked IN  -- in order of lane: heads are locked, and appends lock them in this order too
        SELECT a.n, a.lane, a.account_id, a.known_at, a.at
        FROM unnest(r_lane, r_account_id, r_today, r_effective_on, r_known_at, r_at, verdicts)
             WITH ORDINALITY AS a (lane, account_id, today, effective_on, known_at, at, verdict, n)
        WHERE a.verdict = 'allowed'
          AND (a.effective_on <> a.today OR a.known_at IS NOT NULL OR a.at IS NOT NULL)
        ORDER BY a.lane
    LOOP
        IF asked.known_at > clock_timestamp() THEN
            verdicts[asked.n] := 'future';
            CONTINUE;
        END IF;
        IF asked.known_at IS NOT NULL THEN
            positions[asked.n] := ledger.known_position(asked.lane, asked.known_at);
        END IF;
        SELECT h.position, LEAST(t.position, p.position - 1) INTO head, reach
        FROM ledger.lane_head AS h
        JOIN receivables.tracking AS t ON t.lane = h.lane
        LEFT JOIN receivables.parked AS p
            ON p.lane = h.lane AND p.account_id = asked.account_id
        WHERE h.lane = asked.lane;
        IF positions[asked.n] IS NULL THEN
            positions[asked.n] := reach;
        ELSIF positions[asked.n] > head THEN
            verdicts[asked.n] := 'position_unknown';
        ELSIF positions[asked.n] > reach THEN
            verdicts[asked.n] := 'behind';
        END IF;
    END LOOP;

    RETURN QUERY
    SELECT a.n::int, CASE WHEN a.verdict = 'allowed' AND s.version IS NULL
                          THEN 'unknown' ELSE a.verdict END,
           (SELECT t.position FROM receivables.tracking AS t WHERE t.lane = a.wait_lane),
           COALESCE(a.known_at, access.recorded_at(a.lane, s.position)),
           s.account_number, s.client_id, s.company, s.country, s.currency,
           s.billing_cycle::text, s.invoice_delivery, s.delivery_channel, s.payment_method,
           s.language, s.balance_minor, s.total_amount_due_minor,
           s.available_credit_minor, s.due_on, s.past_due_minor, s.days_past_due,
           s.current_activity_minor, s.pending_payments_minor, s.payable_now_minor,
           s.current_minor, s.d1_30_minor, s.d31_60_minor, s.d61_90_minor,
           s.d91_minor, s.disputed_minor, s.oldest_days, s.last_payment_id,
           s.last_payment_minor, s.last_payment_on, s.last_payment_method, s.messages,
           s.version, s.position, s.effective_on
    FROM unnest(r_lane, r_account_id, r_today, r_effective_on, r_known_at, positions,
                r_wait_lane, verdicts)
         WITH ORDINALITY AS a (
             lane, account_id, today, effective_on, known_at, position, wait_lane, verdict, n
         )
    LEFT JOIN LATERAL (
        SELECT live.* FROM receivables.summary_row(a.lane, a.account_id, a.today) AS live
        WHERE a.verdict = 'allowed'
    ) AS s ON true
    WHERE a.position IS NULL;

    -- Apart, because the plan of the one is much larger than that of the other.
    IF array_remove(positions, NULL) = '{}' THEN
        RETURN;
    END IF;

    RETURN QUERY
    SELECT a.n::int, CASE WHEN a.verdict = 'allowed' AND s.version IS NULL
                          THEN 'unknown' ELSE a.verdict END,
           (SELECT t.position FROM receivables.tracking AS t WHERE t.lane = a.wait_lane),
           COALESCE(a.known_at, access.recorded_at(a.lane, s.position)),
           s.account_number, s.client_id, s.company, s.country, s.currency,
           s.billing_cycle::text, s.invoice_delivery, s.delivery_channel, s.payment_method,
           s.language, s.balance_minor, s.total_amount_due_minor,
           s.available_credit_minor, s.due_on, s.past_due_minor, s.days_past_due,
           s.current_activity_minor, s.pending_payments_minor, s.payable_now_minor,
           s.current_minor, s.d1_30_minor, s.d31_60_minor, s.d61_90_minor,
           s.d91_minor, s.disputed_minor, s.oldest_days, s.last_payment_id,
           s.last_payment_minor, s.last_payment_on, s.last_payment_method, s.messages,
           s.version, s.position, s.effective_on
    FROM unnest(r_lane, r_account_id, r_today, r_effective_on, r_known_at, positions,
                r_wait_lane, verdicts)
         WITH ORDINALITY AS a (
             lane, account_id, today, effective_on, known_at, position, wait_lane, verdict, n
         )
    LEFT JOIN LATERAL (
        SELECT past.*
        FROM receivables.summary_as_of(a.lane, a.account_id, a.effective_on, a.position) AS past
        WHERE a.verdict = 'allowed'
    ) AS s ON true
    WHERE a.position IS NOT NULL;
END
$$;

REVOKE ALL ON FUNCTION access.recorded_at, access.verdicts, access.read_summaries FROM PUBLIC;
GRANT EXECUTE ON FUNCTION access.recorded_at, access.verdicts, access.read_summaries
    TO billing_reader;
