-- ledger.append with fewer steps: what it does is said in 0002. A lane's instant is taken as soon as
-- its head is locked, instead of in a loop over all lanes, and texts are looked at when there are any.
CREATE OR REPLACE FUNCTION ledger.append(
    a_lane int[], a_account_id uuid[], a_expected bigint[], a_account_number text[],
    a_version bigint[], a_state bytea[], a_hash bytea[],
    e_account int[], e_version bigint[], e_topic text[], e_state bytea[], e_hash bytea[],
    k_account int[], k_key text[], k_command_sha256 bytea[], k_first_version bigint[],
    k_last_version bigint[], k_reply bytea[],
    i_account int[], i_kind text[], i_id text[], i_seq bigint[], i_version bigint[],
    i_state bytea[], i_due_on date[], i_open_minor bigint[], i_undisputed_minor bigint[],
    i_written_off_minor bigint[], i_unapplied_minor bigint[], i_allocated_minor bigint[],
    i_amount_minor bigint[], i_source text[], i_invoice text[],
    t_account int[], t_message_id text[], t_body text[]
)
RETURNS TABLE (
    stored_account_id uuid, stored_version bigint, stored_position bigint,
    stored_at timestamptz, stored_leaf bytea
)
LANGUAGE plpgsql
-- Rows are looked up one by one through their primary keys, whatever the planner makes of arrays.
SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    head record;
    -- By lane + 1: the last position and instant before this append, and the instant of this one.
    bases bigint[] := array_fill(NULL::bigint, ARRAY[64]);
    instants timestamptz[] := array_fill(NULL::timestamptz, ARRAY[64]);
    stamps bytea[] := array_fill(NULL::bytea, ARRAY[64]);
    fits boolean[];      -- by account
    positions bigint[];  -- by event; NULL where the account does not fit
BEGIN
    FOR head IN
        SELECT h.lane, h.position, h.recorded_at
        FROM ledger.lane_head AS h
        WHERE h.lane = ANY (a_lane)
        ORDER BY h.lane
        FOR UPDATE
    LOOP
        bases[head.lane + 1] := head.position;
        instants[head.lane + 1] := GREATEST(clock_timestamp(), head.recorded_at);
        stamps[head.lane + 1] := int8send(
            (EXTRACT(epoch FROM instants[head.lane + 1]) * 1000000)::bigint
        );
    END LOOP;

    SELECT array_agg(given.expected IS NULL OR given.expected = COALESCE(found.version, 0)
                     ORDER BY given.n)
    INTO fits
    FROM unnest(a_lane, a_account_id, a_expected)
         WITH ORDINALITY AS given (lane, account_id, expected, n)
    LEFT JOIN LATERAL (
        SELECT a.version
        FROM ledger.account AS a
        WHERE a.lane = given.lane AND a.account_id = given.account_id
        OFFSET 0
    ) AS found ON true;

    SELECT array_agg(CASE WHEN ranked.fit THEN ranked.base + ranked.rank END ORDER BY ranked.n)
    INTO positions
    FROM (
        SELECT e.n, fits[e.account] AS fit, bases[a_lane[e.account] + 1] AS base,
               count(*) FILTER (WHERE fits[e.account])
                   OVER (PARTITION BY a_lane[e.account] ORDER BY e.n ROWS UNBOUNDED PRECEDING)
                   AS rank
        FROM unnest(e_account) WITH ORDINALITY AS e (account, n)
    ) AS ranked;

    RETURN QUERY
    INSERT INTO ledger.event AS v
        (lane, position, account_id, version, topic, state, recorded_at, hash, leaf)
    SELECT a_lane[e.account], positions[e.n], a_account_id[e.account], e.version, e.topic, e.state,
           instants[a_lane[e.account] + 1], e.hash,
           sha256('\x00'::bytea || int4send(a_lane[e.account]) || int8send(positions[e.n])
                  || stamps[a_lane[e.account] + 1] || e.hash)
    FROM unnest(e_account, e_version, e_topic, e_state, e_hash)
         WITH ORDINALITY AS e (account, version, topic, state, hash, n)
    WHERE fits[e.account]
    RETURNING v.account_id, v.version, v.position, v.recorded_at, v.leaf;

    UPDATE ledger.lane_head AS h
    SET position = moved.position, recorded_at = instants[moved.lane + 1]
    FROM (
        SELECT a_lane[e_account[p.n]] AS lane, max(p.position) AS position
        FROM unnest(positions) WITH ORDINALITY AS p (position, n)
        WHERE p.position IS NOT NULL
        GROUP BY a_lane[e_account[p.n]]
    ) AS moved
    WHERE h.lane = moved.lane;

    INSERT INTO ledger.command_key
        (lane, account_id, key, command_sha256, first_version, last_version, reply)
    SELECT a_lane[k.account], a_account_id[k.account], k.key, k.command_sha256,
           k.first_version, k.last_version, k.reply
    FROM unnest(k_account, k_key, k_command_sha256, k_first_version, k_last_version, k_reply)
         AS k (account, key, command_sha256, first_version, last_version, reply)
    WHERE fits[k.account];

    INSERT INTO ledger.account AS a (lane, account_id, account_number, version, state, hash)
    SELECT given.lane, given.account_id, given.account_number, given.version, given.state,
           given.hash
    FROM unnest(a_lane, a_account_id, a_account_number, a_version, a_state, a_hash)
         WITH ORDINALITY AS given (lane, account_id, account_number, version, state, hash, n)
    WHERE fits[given.n] AND a_expected[given.n] IS NOT NULL
    ON CONFLICT (lane, account_id) DO UPDATE
    SET version = EXCLUDED.version, state = EXCLUDED.state, hash = EXCLUDED.hash;

    INSERT INTO ledger.item AS i (
        lane, account_id, kind, id, seq, version, state, due_on, open_minor, undisputed_minor,
        written_off_minor, unapplied_minor, allocated_minor, amount_minor, source, invoice
    )
    SELECT a_lane[g.account], a_account_id[g.account], g.kind, g.id, g.seq, g.version, g.state,
           g.due_on, g.open_minor, g.undisputed_minor, g.written_off_minor, g.unapplied_minor,
           g.allocated_minor, g.amount_minor, g.source, g.invoice
    FROM unnest(
        i_account, i_kind, i_id, i_seq, i_version, i_state, i_due_on, i_open_minor,
        i_undisputed_minor, i_written_off_minor, i_unapplied_minor, i_allocated_minor,
        i_amount_minor, i_source, i_invoice
    ) AS g (
        account, kind, id, seq, version, state, due_on, open_minor, undisputed_minor,
        written_off_minor, unapplied_minor, allocated_minor, amount_minor, source, invoice
    )
    WHERE fits[g.account]
    ON CONFLICT (lane, account_id, kind, id) DO UPDATE
    SET seq = EXCLUDED.seq, version = EXCLUDED.version, state = EXCLUDED.state,
        due_on = EXCLUDED.due_on, open_minor = EXCLUDED.open_minor,
        undisputed_minor = EXCLUDED.undisputed_minor,
        written_off_minor = EXCLUDED.written_off_minor,
        unapplied_minor = EXCLUDED.unapplied_minor, allocated_minor = EXCLUDED.allocated_minor,
        amount_minor = EXCLUDED.amount_minor, source = EXCLUDED.source, invoice = EXCLUDED.invoice;

    IF cardinality(t_account) > 0 THEN
        INSERT INTO ledger.message_text (lane, account_id, message_id, body)
        SELECT a_lane[t.account], a_account_id[t.account], t.message_id, t.body
        FROM unnest(t_account, t_message_id, t_body) AS t (account, message_id, body)
        WHERE fits[t.account];
    END IF;
END
$$;
