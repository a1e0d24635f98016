-- Reading and appending the log.

-- name: append
-- Appends a batch; one row for each event stored. The arrays are those of ledger.append. Accounts
-- are given back as the bytes of their ids, which are quicker to compare than UUIDs.
SELECT uuid_send(stored_account_id) AS stored_account, stored_version, stored_position, stored_at, stored_leaf
FROM ledger.append(
    %b::int[], %b::uuid[], %b::bigint[], %b::text[], %b::bigint[], %b::bytea[], %b::bytea[],
    %b::int[], %b::bigint[], %b::text[], %b::bytea[], %b::bytea[],
    %b::int[], %b::text[], %b::bytea[], %b::bigint[], %b::bigint[], %b::bytea[],
    %b::int[], %b::text[], %b::text[], %b::bigint[], %b::bigint[], %b::bytea[],
    %b::date[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[],
    %b::bigint[], %b::text[], %b::text[],
    %b::int[], %b::text[], %b::text[]
);

-- name: account_events
-- Events of an account past one version up to another, in order.
SELECT lane, position, account_id, version, topic, state, recorded_at, hash, leaf
FROM ledger.event
WHERE lane = %(lane)s AND account_id = %(account_id)s AND version > %(after)s
  AND version <= %(upto)s
ORDER BY version
LIMIT %(limit)s;

-- name: account_events_latest_first
-- Events of an account past one version up to another, latest first.
SELECT lane, position, account_id, version, topic, state, recorded_at, hash, leaf
FROM ledger.event
WHERE lane = %(lane)s AND account_id = %(account_id)s AND version > %(after)s
  AND version <= %(upto)s
ORDER BY version DESC
LIMIT %(limit)s;

-- name: lane_events
-- Events of a lane past one position up to another, in order.
SELECT lane, position, account_id, version, topic, state, recorded_at, hash, leaf
FROM ledger.event
WHERE lane = %(lane)s AND position > %(after)s AND position <= %(upto)s
ORDER BY position
LIMIT %(limit)s;

-- name: lane_events_of_topics
-- Events of a lane with one of the topics, past one position up to another, in order.
SELECT lane, position, account_id, version, topic, state, recorded_at, hash, leaf
FROM ledger.event
WHERE lane = %(lane)s AND position > %(after)s AND position <= %(upto)s
  AND topic = ANY (%(topics)s)
ORDER BY position
LIMIT %(limit)s;

-- name: heads
-- Every lane's last position and the instant of its last append, by lane.
SELECT lane, position, recorded_at
FROM ledger.lane_head
ORDER BY lane;

-- name: head
-- A lane's last position.
SELECT position
FROM ledger.lane_head
WHERE lane = %(lane)s;

-- name: known_position
-- The last position of a lane recorded by an instant, which no append can join any more.
SELECT ledger.known_position(%(lane)s, %(known_at)s);
