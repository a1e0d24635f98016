-- Making a read model anew beside the live one. {live}, {next} and {old} are schemas.

-- name: lock
-- Whether no other rebuild of the model is at work; held until the connection ends. Only courtesy:
-- without it the second one would take away the first one's tables, and the first one would fail.
SELECT pg_try_advisory_lock(hashtext('billing-ledger rebuild ' || %(name)s::text));

-- name: drop
-- A schema that a rebuild left is gone.
DROP SCHEMA IF EXISTS {old} CASCADE;

-- name: total
-- How many events the log holds.
SELECT COALESCE(sum(h.position), 0)::bigint FROM ledger.lane_head AS h;

-- name: hold
-- Holds the live model's lane where it is until the transaction ends.
SELECT t.position FROM {live}.tracking AS t WHERE t.lane = %(lane)s FOR UPDATE;

-- name: snapshot
-- The tracked positions of a lane as the transaction sees them from now on.
SELECT live.position, next.position
FROM {live}.tracking AS live
JOIN {next}.tracking AS next ON next.lane = live.lane
WHERE live.lane = %(lane)s;

-- name: columns
-- The columns that a table has in both schemas.
SELECT live.attname
FROM pg_attribute AS live
JOIN pg_attribute AS next ON next.attname = live.attname AND next.atttypid = live.atttypid
WHERE live.attrelid = to_regclass(%(live)s) AND next.attrelid = to_regclass(%(next)s)
  AND live.attnum > 0 AND NOT live.attisdropped AND NOT next.attisdropped
ORDER BY live.attnum;

-- name: checksums
-- Rows of a lane and a sum over their hashes, in both schemas, without accounts parked in either.
WITH parked AS (
    SELECT p.account_id FROM {live}.parked AS p WHERE p.lane = %(lane)s
    UNION
    SELECT p.account_id FROM {next}.parked AS p WHERE p.lane = %(lane)s
)
SELECT live.count, live.hash, next.count, next.hash
FROM (
    SELECT count(*) AS count, COALESCE(sum(hash_record_extended(ROW({columns}), 0)), 0) AS hash
    FROM {live}.{table}
    WHERE lane = %(lane)s AND account_id NOT IN (SELECT p.account_id FROM parked AS p)
) AS live,
(
    SELECT count(*) AS count, COALESCE(sum(hash_record_extended(ROW({columns}), 0)), 0) AS hash
    FROM {next}.{table}
    WHERE lane = %(lane)s AND account_id NOT IN (SELECT p.account_id FROM parked AS p)
) AS next;

-- name: odd_accounts
-- The first accounts of a lane whose rows differ between the schemas.
WITH parked AS (
    SELECT p.account_id FROM {live}.parked AS p WHERE p.lane = %(lane)s
    UNION
    SELECT p.account_id FROM {next}.parked AS p WHERE p.lane = %(lane)s
), differing AS (
    (
        SELECT {columns} FROM {live}.{table} WHERE lane = %(lane)s
        EXCEPT ALL
        SELECT {columns} FROM {next}.{table} WHERE lane = %(lane)s
    )
    UNION ALL
    (
        SELECT {columns} FROM {next}.{table} WHERE lane = %(lane)s
        EXCEPT ALL
        SELECT {columns} FROM {live}.{table} WHERE lane = %(lane)s
    )
)
SELECT DISTINCT d.account_id
FROM differing AS d
WHERE d.account_id NOT IN (SELECT p.account_id FROM parked AS p)
ORDER BY d.account_id
LIMIT 5;

-- name: seal
-- Nobody reads or moves the tracked positions until the transaction ends, which is at once: whoever
-- comes then finds the new tables under the name.
LOCK TABLE {live}.tracking, {next}.tracking IN ACCESS EXCLUSIVE MODE;

-- name: behind
-- Lanes in which the new model is behind the live one.
SELECT live.lane
FROM {live}.tracking AS live
JOIN {next}.tracking AS next ON next.lane = live.lane
WHERE next.position < live.position
ORDER BY live.lane;

-- name: swap
-- The new model takes the live one's name.
DO $swap$
BEGIN
    ALTER SCHEMA {live} RENAME TO {old};
    ALTER SCHEMA {next} RENAME TO {live};
END
$swap$;

-- name: transactions
-- The transactions that are open now in this database, this one left out.
SELECT DISTINCT l.virtualtransaction
FROM pg_locks AS l
JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'virtualxid' AND a.datname = current_database()
  AND a.pid <> pg_backend_pid()
ORDER BY l.virtualtransaction;

-- name: lock_timeout
-- How long a statement of this transaction waits for a lock.
SELECT set_config('lock_timeout', %(timeout)s, true);
