-- Making a read model anew beside the live one. {live}, {next} and {old} are schemas.

-- name: lock
-- Whether no other rebuild of the model is at work; held until the connection ends. Only courtesy:
-- without it the second one would take away the first one's tables, and the first one would fail.
SELECT pg_try_advisory_lock(hashtext('billing-ledger rebuild ' || %(name)s::text));

-- name: drop
-- A schema that a rebuild left is gone.
DROP SCHEMA IF EXISTS {old} CASCADE;

-- name: heads
-- The last position of every lane.
SELECT h.lane, h.position FROM ledger.lane_head AS h ORDER BY h.lane;

-- name: spare_indexes
-- The indexes of a schema's tables that filling them can do without: table, index, what makes it,
-- and whether it is the primary key's.
SELECT t.relname, c.relname, pg_get_indexdef(i.indexrelid), i.indisprimary
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_class AS t ON t.oid = i.indrelid
WHERE t.relnamespace = to_regnamespace(%(schema)s) AND t.relname = ANY (%(tables)s)
  AND (NOT i.indisunique OR (i.indisprimary AND t.relname <> ALL (%(keyed)s)))
ORDER BY t.relname, c.relname;

-- name: drop_index
-- An index is gone.
DROP INDEX {next}.{index};

-- name: drop_key
-- A primary key is gone.
ALTER TABLE {next}.{table} DROP CONSTRAINT {index};

-- name: add_key
-- The unique index of a table is its primary key.
ALTER TABLE {next}.{table} ADD CONSTRAINT {index} PRIMARY KEY USING INDEX {index};

-- name: largest_first
-- The tables of a schema, the largest first.
SELECT c.relname
FROM pg_class AS c
WHERE c.relnamespace = to_regnamespace(%(schema)s) AND c.relkind = 'r'
ORDER BY pg_table_size(c.oid) DESC, c.relname;

-- name: hold
-- Holds lanes of the live model where they are until the transaction ends.
SELECT t.lane, t.position
FROM {live}.tracking AS t
WHERE t.lane = ANY (%(lanes)s)
ORDER BY t.lane
FOR UPDATE;

-- name: snapshot
-- The tracked positions of lanes, live and next, as the transaction sees them from now on.
SELECT live.lane, live.position, next.position
FROM {live}.tracking AS live
JOIN {next}.tracking AS next ON next.lane = live.lane
WHERE live.lane = ANY (%(lanes)s)
ORDER BY live.lane;

-- name: columns
-- The columns that a table has in both schemas.
SELECT live.attname
FROM pg_attribute AS live
JOIN pg_attribute AS next ON next.attname = live.attname AND next.atttypid = live.atttypid
WHERE live.attrelid = to_regclass(%(live)s) AND next.attrelid = to_regclass(%(next)s)
  AND live.attnum > 0 AND NOT live.attisdropped AND NOT next.attisdropped
ORDER BY live.attnum;

-- name: checksums
-- Lanes where the schemas differ in the number of rows or in a sum over their hashes, without
-- accounts parked in either: lane, rows of the live one, rows of the next one. {whose} is what rows
-- are left out by: account_id, or lane where they are sums over accounts.
WITH parked AS (
    SELECT p.lane, p.account_id FROM {live}.parked AS p WHERE p.lane = ANY (%(lanes)s)
    UNION
    SELECT p.lane, p.account_id FROM {next}.parked AS p WHERE p.lane = ANY (%(lanes)s)
), live AS (
    SELECT t.lane, count(*) AS count, sum(hash_record_extended(ROW({columns}), 0)) AS hash
    FROM {live}.{table} AS t
    WHERE t.lane = ANY (%(lanes)s)
      AND t.{whose} NOT IN (SELECT p.{whose} FROM parked AS p)
    GROUP BY t.lane
), next AS (
    SELECT t.lane, count(*) AS count, sum(hash_record_extended(ROW({columns}), 0)) AS hash
    FROM {next}.{table} AS t
    WHERE t.lane = ANY (%(lanes)s)
      AND t.{whose} NOT IN (SELECT p.{whose} FROM parked AS p)
    GROUP BY t.lane
)
SELECT COALESCE(live.lane, next.lane), COALESCE(live.count, 0), COALESCE(next.count, 0)
FROM live
FULL JOIN next ON next.lane = live.lane
WHERE (live.count, live.hash) IS DISTINCT FROM (next.count, next.hash)
ORDER BY COALESCE(live.lane, next.lane);

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
