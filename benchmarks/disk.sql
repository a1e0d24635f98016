-- What is on disk.

-- name: settle
-- Sizes are those of what lives.
VACUUM;

-- name: sizes
-- Bytes of every table without its indexes, and of every index, largest first.
SELECT n.nspname || '.' || c.relname,
       CASE c.relkind WHEN 'i' THEN pg_relation_size(c.oid) ELSE pg_table_size(c.oid) END
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname IN ('ledger', 'receivables', 'journal') AND c.relkind IN ('r', 'i')
ORDER BY 2 DESC, 1;

-- name: upkeep
-- Of every table that rows were changed in: changes, those that touched no index (HOT), rows alive and
-- dead, and how often autovacuum came by.
SELECT schemaname || '.' || relname, n_tup_upd, n_tup_hot_upd, n_live_tup, n_dead_tup, autovacuum_count
FROM pg_stat_user_tables
WHERE schemaname IN ('ledger', 'receivables', 'journal') AND n_tup_upd > 0
ORDER BY n_tup_upd DESC, 1;
