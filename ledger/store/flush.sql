-- What a flush of commands reads before it decides. Each read is one statement, so all it gives is
-- of one moment; the functions are STABLE, so they see the statement's.

-- name: outright
-- For commands that have just been taken: the rows of the accounts that exist (what 0), the keys
-- that were used, with the events each recorded (1), and the items that exist of those named (2),
-- by place in the arrays.
SELECT 0 AS what, n, version, NULL AS topic, state, hash, NULL::bytea AS command_sha256,
       NULL::bytea AS reply, NULL::bigint AS event_position, NULL::timestamptz AS recorded_at,
       NULL::bytea AS leaf
FROM ledger.read_accounts(%b::int[], %b::uuid[])
UNION ALL
SELECT 1, n, version, topic, state, hash, command_sha256, reply, event_position, recorded_at, leaf
FROM ledger.read_keys(%b::int[], %b::uuid[], %b::text[])
UNION ALL
SELECT 2, n, NULL, kind, state, NULL, NULL, NULL, NULL, NULL, NULL
FROM ledger.read_named(%b::int[], %b::uuid[], %b::text[], %b::text[]);

-- name: more
-- What commands need beyond that: the items that exist of those named (what 1) and the starts of
-- ranges of items (2), by place in the arrays, then in the range's order; and the versions of the
-- accounts (0), by which it is known whether their items are still those of the first read.
SELECT 0 AS what, n, version, NULL AS kind, NULL::bytea AS state, 0 AS place
FROM ledger.read_accounts(%b::int[], %b::uuid[])
UNION ALL
SELECT 1, n, NULL, kind, state, 0
FROM ledger.read_named(%b::int[], %b::uuid[], %b::text[], %b::text[])
UNION ALL
SELECT 2, n, NULL, kind, state, place
FROM ledger.read_ranges(
    %b::int[], %b::uuid[], %b::text[], %b::text[], %b::bigint[], %b::bigint[], %b::text[],
    %b::int[], %b::int[]
) WITH ORDINALITY AS found (n, kind, state, place)
ORDER BY what, place;

-- name: region
-- The code of the region that the database holds.
SELECT code FROM ledger.region ORDER BY code;
