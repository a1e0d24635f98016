-- Which moment a region's books are read at, run as billing_reader for whoever sees the region.
-- {views} is the schema of a read model.

-- name: known_positions
-- The position of every lane that an instant resolves to, for ever; null when it has not passed yet.
SELECT CASE
           WHEN %(known_at)b::timestamptz <= clock_timestamp()
           THEN ledger.known_positions(%(known_at)b)
       END;

-- name: reached
-- By lane, the last positions of the log and those that the views have reached, null of a lane that
-- has none; and how many accounts' figures stand still, because one of their events could not be read.
SELECT array_agg(h.position ORDER BY n), array_agg(t.position ORDER BY n),
       (SELECT count(*) FROM {views}.parked AS p)
FROM generate_series(0, 63) AS n
LEFT JOIN ledger.lane_head AS h ON h.lane = n
LEFT JOIN {views}.tracking AS t ON t.lane = n;

-- name: recorded_at
-- The instant of the last event up to a position of every lane.
SELECT max(e.recorded_at)
FROM unnest(%(positions)b::bigint[]) WITH ORDINALITY AS p (position, n)
CROSS JOIN LATERAL (
    SELECT v.recorded_at
    FROM ledger.event AS v
    WHERE v.lane = (p.n - 1)::int AND v.position = p.position
    OFFSET 0
) AS e;

-- name: is_swapped
-- Whether a rebuild has put other tables in the place of any of the views since this transaction began
-- to see: what it reads of them by name is then of no moment. A catalogue read like a table is as old as
-- the transaction, a name is looked up as of now.
SELECT EXISTS (
    SELECT FROM unnest(%(views)b::text[]) AS v (name)
    WHERE NOT EXISTS (
        SELECT FROM pg_namespace AS n
        WHERE n.nspname = v.name AND n.oid = to_regnamespace(v.name)
    )
);
