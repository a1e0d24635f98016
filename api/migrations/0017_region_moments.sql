-- A moment of all lanes at once: what reads of a region's books stand on.

-- The last position of each lane recorded at or before an instant, by lane; 0 before its first event.
-- As ledger.known_position for every lane: until the transaction ends no append can still join what
-- was known then. Heads are locked shared in order of lane, as appends lock them, so the two cannot
-- wait for each other in a circle. A head that is later than the instant needs no lock: a lane's
-- instants never go back. Refuses (SQLSTATE BL001, the clock as detail) an instant that has not
-- passed. Runs as the owner: locking a row takes a right to change it, which readers do not have.
CREATE FUNCTION ledger.known_positions(known_at timestamptz)
RETURNS bigint[]
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
DECLARE
    found bigint[] := '{}';
    clock timestamptz;
    head record;
    low bigint;     -- recorded by then, or 0
    high bigint;    -- everything after it was recorded later
    middle bigint;
BEGIN
    PERFORM h.lane
    FROM ledger.lane_head AS h
    WHERE h.recorded_at <= known_positions.known_at
    ORDER BY h.lane
    FOR SHARE;
    clock := clock_timestamp();
    IF known_at > clock THEN
        RAISE EXCEPTION 'known_at % has not passed', known_at
            USING ERRCODE = 'BL001', DETAIL = to_char(
                clock AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'
            );
    END IF;
    -- An append that waits for a head must find a later instant than the one asked about.
    WHILE clock_timestamp() <= known_at LOOP
        PERFORM pg_sleep(0.00001);
    END LOOP;
    FOR head IN
        SELECT h.lane, h.position, h.recorded_at FROM ledger.lane_head AS h ORDER BY h.lane
    LOOP
        high := head.position;
        low := CASE WHEN head.recorded_at <= known_at THEN high ELSE 0 END;
        WHILE low < high LOOP
            middle := (low + high + 1) / 2;
            IF (
                SELECT e.recorded_at <= known_at
                FROM ledger.event AS e
                WHERE e.lane = head.lane AND e.position = middle
            ) THEN
                low := middle;
            ELSE
                high := middle - 1;
            END IF;
        END LOOP;
        found := found || low;
    END LOOP;
    RETURN found;
END
$$;

REVOKE ALL ON FUNCTION ledger.known_positions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION ledger.known_positions TO billing_reader, billing_auditor;
