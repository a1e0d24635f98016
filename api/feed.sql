-- What the feed of events and an account's list of them ask, as billing_reader.

-- name: enter
-- Who asks, and whether they may, in the region at large; beside it the last position of each lane.
SELECT e.verdict, e.role, e.principal_id,
       ARRAY(SELECT h.position FROM ledger.lane_head AS h ORDER BY h.lane)
FROM access.enter(
    %(roles)b::text[], %(scope)s::text, %(token_sha256)b::bytea, NULL::int, NULL::uuid
) AS e;

-- name: heads
-- The last position of each lane.
SELECT ARRAY(SELECT h.position FROM ledger.lane_head AS h ORDER BY h.lane);

-- name: events
-- The events of lanes, each past one position up to another, roughly in the order of recording: a
-- lane's instants never go back, so each lane is in its own order. The account's number is looked up
-- row by row: the planner knows neither the arrays nor how few rows they ask for.
SELECT e.lane, e.position, e.version, e.recorded_at, e.topic, e.state, e.hash,
       (
           SELECT a.account_number
           FROM ledger.account AS a
           WHERE a.lane = e.lane AND a.account_id = e.account_id
       )
FROM unnest(%(lanes)b::int[], %(after)b::bigint[], %(upto)b::bigint[])
     AS asked (lane, after, upto)
CROSS JOIN LATERAL (
    SELECT v.lane, v.position, v.account_id, v.version, v.recorded_at, v.topic, v.state, v.hash
    FROM ledger.event AS v
    WHERE v.lane = asked.lane AND v.position > asked.after AND v.position <= asked.upto
    OFFSET 0
) AS e
ORDER BY e.recorded_at, e.lane, e.position;

-- name: account_events
-- Events of the account that the transaction was let in for, latest first, from before one version
-- down to another: of a type, and effective from a day up to another, or (null) of any.
SELECT v.position, v.version, v.recorded_at, v.topic, v.state, v.hash
FROM ledger.event AS v
WHERE v.lane = %(lane)b AND v.account_id = access.account()
  AND v.version < %(before)b AND v.version >= %(down_to)b
  AND (%(type)b::text IS NULL OR split_part(v.topic, ':', 1) = %(type)b)
  AND (%(from)b::date IS NULL
       OR (convert_from(v.state, 'UTF8')::jsonb #>> '{data,effective_on}')::date >= %(from)b)
  AND (%(to)b::date IS NULL
       OR (convert_from(v.state, 'UTF8')::jsonb #>> '{data,effective_on}')::date <= %(to)b)
ORDER BY v.version DESC
LIMIT %(limit)b;
