-- What a server holds and how far a copy of it is, asked as its superuser.

-- name: databases
-- The databases beside PostgreSQL's own.
SELECT datname::text
FROM pg_database
WHERE datallowconn AND NOT datistemplate AND datname <> 'postgres'
ORDER BY datname;

-- name: has_log
-- Whether the database was migrated.
SELECT to_regclass('ledger.event') IS NOT NULL;

-- name: region
-- The database's region; no row before it was migrated for the first time.
SELECT code, currency, zone FROM ledger.region;

-- name: heads
-- The last event of every lane that has one, in one snapshot.
SELECT h.lane, h.position, encode(e.leaf, 'hex')
FROM ledger.lane_head AS h
JOIN ledger.event AS e ON e.lane = h.lane AND e.position = h.position
ORDER BY h.lane;

-- name: step
-- The copy that sessions of a name are taking: phase, bytes copied, bytes estimated.
SELECT p.phase, COALESCE(p.backup_streamed, 0), COALESCE(p.backup_total, 0)
FROM pg_stat_progress_basebackup AS p
JOIN pg_stat_activity AS a ON a.pid = p.pid
WHERE a.application_name = %(application)s
ORDER BY p.pid
LIMIT 1;
