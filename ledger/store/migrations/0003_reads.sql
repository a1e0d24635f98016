-- What a flush of commands reads, each function once for all of them; n is the place (from 1) of
-- what was asked for. Rows are looked up one by one through their indexes: OFFSET 0 keeps the planner
-- from turning the look-ups into joins, whose order it would choose without knowing the arrays.

-- The rows of the accounts that exist.
CREATE FUNCTION ledger.read_accounts(a_lane int[], a_account_id uuid[])
RETURNS TABLE (n bigint, version bigint, state bytea, hash bytea)
LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
    RETURN QUERY
    SELECT asked.n, found.version, found.state, found.hash
    FROM unnest(a_lane, a_account_id) WITH ORDINALITY AS asked (lane, account_id, n)
    CROSS JOIN LATERAL (
        SELECT a.version, a.state, a.hash
        FROM ledger.account AS a
        WHERE a.lane = asked.lane AND a.account_id = asked.account_id
        OFFSET 0
    ) AS found;
END
$$;

-- The keys that were used, with the events each recorded: one row an event, in order of version.
CREATE FUNCTION ledger.read_keys(k_lane int[], k_account_id uuid[], k_key text[])
RETURNS TABLE (
    n bigint, command_sha256 bytea, reply bytea, version bigint, event_position bigint,
    topic text, state bytea, recorded_at timestamptz, hash bytea, leaf bytea
)
LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
    RETURN QUERY
    SELECT asked.n, used.command_sha256, used.reply, done.version, done.position,
           done.topic, done.state, done.recorded_at, done.hash, done.leaf
    FROM unnest(k_lane, k_account_id, k_key) WITH ORDINALITY AS asked (lane, account_id, key, n)
    CROSS JOIN LATERAL (
        SELECT k.command_sha256, k.reply, k.first_version, k.last_version
        FROM ledger.command_key AS k
        WHERE k.lane = asked.lane AND k.account_id = asked.account_id AND k.key = asked.key
        OFFSET 0
    ) AS used
    CROSS JOIN LATERAL (
        SELECT e.version, e.position, e.topic, e.state, e.recorded_at, e.hash, e.leaf
        FROM ledger.event AS e
        WHERE e.lane = asked.lane AND e.account_id = asked.account_id
          AND e.version BETWEEN used.first_version AND used.last_version
        OFFSET 0
    ) AS done
    ORDER BY asked.n, done.version;
END
$$;

-- The items that exist of those named.
CREATE FUNCTION ledger.read_named(n_lane int[], n_account_id uuid[], n_kind text[], n_id text[])
RETURNS TABLE (n bigint, kind text, state bytea)
LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
    RETURN QUERY
    SELECT asked.n, asked.kind, found.state
    FROM unnest(n_lane, n_account_id, n_kind, n_id)
         WITH ORDINALITY AS asked (lane, account_id, kind, id, n)
    CROSS JOIN LATERAL (
        SELECT i.state
        FROM ledger.item AS i
        WHERE i.lane = asked.lane AND i.account_id = asked.account_id
          AND i.kind = asked.kind AND i.id = asked.id
        OFFSET 0
    ) AS found;
END
$$;

-- Items of ranges, each from its start, in its order, until its first amounts reach r_settle, its
-- second ones pass r_pass and r_rows_min rows are read, or r_rows_max rows are. Items of ids in
-- r_without (separated by spaces) are given but not counted. r_of is a range's source or invoice.
-- A range that ended before it was enough gives one more row, without kind and state.
CREATE FUNCTION ledger.read_ranges(
    r_lane int[], r_account_id uuid[], r_range text[], r_of text[], r_settle bigint[],
    r_pass bigint[], r_without text[], r_rows_min int[], r_rows_max int[]
)
RETURNS TABLE (n int, kind text, state bytea)
LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
AS $$
DECLARE
    the_lane int;
    the_account uuid;
    items refcursor;
    item record;
    without text[];
    settled bigint;
    passed bigint;
    rows_read int;
BEGIN
    FOR place IN 1..cardinality(r_lane) LOOP
        the_lane := r_lane[place];
        the_account := r_account_id[place];
        CASE r_range[place]
        WHEN 'open_invoices' THEN
            OPEN items FOR
                SELECT i.kind, i.id, i.state, i.undisputed_minor AS first, i.open_minor AS second
                FROM ledger.item AS i
                WHERE i.lane = the_lane AND i.account_id = the_account AND i.open_minor > 0
                ORDER BY i.due_on, i.seq;
        WHEN 'written_off_invoices' THEN
            OPEN items FOR
                SELECT i.kind, i.id, i.state, i.written_off_minor AS first, 0::bigint AS second
                FROM ledger.item AS i
                WHERE i.lane = the_lane AND i.account_id = the_account AND i.written_off_minor > 0
                ORDER BY i.due_on, i.seq;
        WHEN 'spare_sources' THEN
            OPEN items FOR
                SELECT i.kind, i.id, i.state, i.unapplied_minor AS first, 0::bigint AS second
                FROM ledger.item AS i
                WHERE i.lane = the_lane AND i.account_id = the_account AND i.unapplied_minor > 0
                ORDER BY i.seq;
        WHEN 'paid_payments' THEN
            OPEN items FOR
                SELECT i.kind, i.id, i.state, i.allocated_minor AS first, 0::bigint AS second
                FROM ledger.item AS i
                WHERE i.lane = the_lane AND i.account_id = the_account AND i.allocated_minor > 0
                ORDER BY i.seq DESC;
        WHEN 'allocations_of' THEN
            OPEN items FOR
                SELECT i.kind, i.id, i.state, i.amount_minor AS first, 0::bigint AS second
                FROM ledger.item AS i
                WHERE i.lane = the_lane AND i.account_id = the_account
                  AND i.source = r_of[place] AND i.amount_minor > 0
                ORDER BY i.seq DESC;
        WHEN 'allocations_to' THEN
            OPEN items FOR
                SELECT i.kind, i.id, i.state, i.amount_minor AS first, 0::bigint AS second
                FROM ledger.item AS i
                WHERE i.lane = the_lane AND i.account_id = the_account
                  AND i.invoice = r_of[place] AND i.amount_minor > 0
                ORDER BY i.seq;
        END CASE;

        without := string_to_array(r_without[place], ' ');
        settled := 0;
        passed := 0;
        rows_read := 0;
        n := place;
        LOOP
            EXIT WHEN rows_read >= r_rows_max[place] OR (
                rows_read >= r_rows_min[place]
                AND settled >= r_settle[place] AND passed > r_pass[place]
            );
            FETCH items INTO item;
            IF NOT FOUND THEN
                kind := NULL;
                state := NULL;
                RETURN NEXT;
                EXIT;
            END IF;
            kind := item.kind;
            state := item.state;
            RETURN NEXT;
            rows_read := rows_read + 1;
            IF item.id <> ALL (without) THEN
                settled := settled + item.first;
                passed := passed + item.second;
            END IF;
        END LOOP;
        CLOSE items;
    END LOOP;
END
$$;

-- The last position of a lane recorded at or before an instant; 0 before the first event.
-- Holds the lane's head shared until the transaction ends, so that no append can still join what
-- was known then. Refuses (SQLSTATE BL001, the clock as detail) an instant that has not passed.
-- Runs as the owner: locking a row takes a right to change it, which readers do not have.
CREATE FUNCTION ledger.known_position(the_lane int, known_at timestamptz)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
DECLARE
    clock timestamptz;
    low bigint := 0;  -- recorded by then, or 0
    high bigint;      -- everything after it was recorded later
    middle bigint;
BEGIN
    SELECT h.position INTO STRICT high FROM ledger.lane_head AS h WHERE h.lane = the_lane FOR SHARE;
    clock := clock_timestamp();
    IF known_at > clock THEN
        RAISE EXCEPTION 'known_at % has not passed', known_at
            USING ERRCODE = 'BL001', DETAIL = to_char(
                clock AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
            );
    END IF;
    -- An append that waits for the head must find a later instant than the one asked about.
    WHILE clock_timestamp() <= known_at LOOP
        PERFORM pg_sleep(0.00001);
    END LOOP;
    WHILE low < high LOOP
        middle := (low + high + 1) / 2;
        IF (
            SELECT e.recorded_at <= known_at
            FROM ledger.event AS e
            WHERE e.lane = the_lane AND e.position = middle
        ) THEN
            low := middle;
        ELSE
            high := middle - 1;
        END IF;
    END LOOP;
    RETURN low;
END
$$;
