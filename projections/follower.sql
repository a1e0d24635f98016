-- What a follower asks of the log and of its read model, whose schema is the search path.

-- name: behind
-- The lanes whose tracked position is not the head's: lane, tracked position, head.
SELECT h.lane, t.position, h.position
FROM ledger.lane_head AS h
JOIN tracking AS t ON t.lane = h.lane
WHERE h.lane = ANY (%(lanes)b) AND t.position < h.position
ORDER BY h.lane;

-- name: lag
-- Events not taken, the seconds that the oldest of them has waited, and parked accounts.
SELECT
    COALESCE(sum(h.position - t.position), 0)::bigint,
    COALESCE(EXTRACT(epoch FROM clock_timestamp() - min(e.recorded_at)), 0)::float8,
    (SELECT count(*) FROM parked AS p WHERE p.lane = ANY (%(lanes)b))
FROM ledger.lane_head AS h
JOIN tracking AS t ON t.lane = h.lane
LEFT JOIN ledger.event AS e ON e.lane = t.lane AND e.position = t.position + 1
WHERE h.lane = ANY (%(lanes)b) AND t.position < h.position;

-- name: positions
-- The tracked position of lanes.
SELECT t.lane, t.position
FROM tracking AS t
WHERE t.lane = ANY (%(lanes)b)
ORDER BY t.lane;

-- name: heads
-- The last position of lanes.
SELECT h.lane, h.position
FROM ledger.lane_head AS h
WHERE h.lane = ANY (%(lanes)b)
ORDER BY h.lane;

-- name: claim
-- Locks the tracked positions of those lanes that no other follower is moving; beside them what
-- the tables were made of.
SELECT t.lane, t.position, obj_description(current_schema()::regnamespace, 'pg_namespace')
FROM tracking AS t
WHERE t.lane = ANY (%(lanes)b)
ORDER BY t.lane
FOR UPDATE SKIP LOCKED;

-- name: around
-- The events at a position and after it, of lanes where both are of one account. Each is looked up
-- by its position: as one join, all events of the account would be looked at.
SELECT asked.lane, last.topic, last.state, next.topic, next.state
FROM unnest(%(lanes)b::int[], %(upto)b::bigint[]) AS asked (lane, upto)
CROSS JOIN LATERAL (
    SELECT v.account_id, v.topic, v.state
    FROM ledger.event AS v
    WHERE v.lane = asked.lane AND v.position = asked.upto
    LIMIT 1
) AS last
CROSS JOIN LATERAL (
    SELECT v.account_id, v.topic, v.state
    FROM ledger.event AS v
    WHERE v.lane = asked.lane AND v.position = asked.upto + 1
    LIMIT 1
) AS next
WHERE last.account_id = next.account_id;

-- name: lock
-- Locks the tracked positions of lanes, in order, waiting for other followers.
SELECT t.lane, t.position
FROM tracking AS t
WHERE t.lane = ANY (%(lanes)b)
ORDER BY t.lane
FOR UPDATE;

-- name: events
-- The events of several lanes, each past one position up to another.
SELECT e.lane, e.position, uuid_send(e.account_id), e.version, e.recorded_at, e.topic, e.state
FROM unnest(%(lanes)b::int[], %(after)b::bigint[], %(upto)b::bigint[])
     AS asked (lane, after, upto)
CROSS JOIN LATERAL (
    SELECT v.lane, v.position, v.account_id, v.version, v.recorded_at, v.topic, v.state
    FROM ledger.event AS v
    WHERE v.lane = asked.lane AND v.position > asked.after AND v.position <= asked.upto
    ORDER BY v.position
) AS e;

-- name: account_events
-- The events of an account up to a position, in order.
SELECT v.lane, v.position, uuid_send(v.account_id), v.version, v.recorded_at, v.topic, v.state
FROM ledger.event AS v
WHERE v.lane = %(lane)s AND v.account_id = %(account_id)s AND v.position <= %(upto)s
ORDER BY v.version;

-- name: advance
-- Moves tracked positions; a row that is not where it was claimed stays, and shows in the count.
UPDATE tracking AS t
SET position = moved.upto
FROM unnest(%(lanes)b::int[], %(after)b::bigint[], %(upto)b::bigint[])
     AS moved (lane, after, upto)
WHERE t.lane = moved.lane AND t.position = moved.after;

-- name: parked_in
-- The accounts parked in lanes.
SELECT p.account_id
FROM parked AS p
WHERE p.lane = ANY (%(lanes)b)
ORDER BY p.lane, p.account_id;

-- name: parked
-- Every parked account: where it stopped and why.
SELECT p.lane, p.account_id, p.position, p.version, p.topic, p.error
FROM parked AS p
ORDER BY p.lane, p.account_id;

-- name: park
-- An account stops at an event.
INSERT INTO parked (lane, account_id, position, version, topic, error, parked_at)
VALUES (
    %(lane)s, %(account_id)s, %(position)s, %(version)s, %(topic)s, %(error)s, clock_timestamp()
);

-- name: unpark
-- An account is no longer parked.
DELETE FROM parked WHERE lane = %(lane)s AND account_id = %(account_id)s;
