-- What a flush of commands reads before it decides.

-- name: begin
-- Starts a snapshot: everything until it ends is read as of one moment. An account read at one
-- version and its items at the next would make for refusals that were never right.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;

-- name: end
-- Ends the snapshot.
COMMIT;

-- name: accounts
-- The rows of the accounts that exist, by place in the arrays.
SELECT n, version, state, hash FROM ledger.read_accounts(%b::int[], %b::uuid[]);

-- name: keys
-- The keys that were used, with the events each recorded, by place in the arrays.
SELECT n, command_sha256, reply, version, event_position, topic, state, recorded_at, hash, leaf
FROM ledger.read_keys(%b::int[], %b::uuid[], %b::text[]);

-- name: named
-- The items that exist of those named, by place in the arrays.
SELECT n, kind, state FROM ledger.read_named(%b::int[], %b::uuid[], %b::text[], %b::text[]);

-- name: ranges
-- The starts of ranges of items, by place in the arrays, then in the range's order.
SELECT n, kind, state
FROM ledger.read_ranges(
    %b::int[], %b::uuid[], %b::text[], %b::text[], %b::bigint[], %b::bigint[], %b::text[],
    %b::int[], %b::int[]
);

-- name: region
-- The code of the region that the database holds.
SELECT code FROM ledger.region ORDER BY code;
