-- What the schema must not hold, so that it stays ready for a cluster that is split by lane.

-- name: uniques_not_by_lane
-- Primary keys and unique constraints and indexes whose first column is not lane.
SELECT n.nspname || '.' || c.relname AS table_name, i.indexrelid::regclass::text AS index_name
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
WHERE i.indisunique AND n.nspname IN ('ledger', 'views') AND a.attname IS DISTINCT FROM 'lane'
ORDER BY table_name, index_name;

-- name: tables_without_key
-- Tables without a primary key.
SELECT n.nspname || '.' || c.relname AS table_name
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname IN ('ledger', 'views') AND NOT EXISTS (
    SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary
)
ORDER BY table_name;

-- name: foreign_keys
-- References from one table to another; rows of one lane would need to be checked across tables.
SELECT r.conrelid::regclass::text AS table_name
FROM pg_constraint AS r
JOIN pg_namespace AS n ON n.oid = r.connamespace
WHERE r.contype = 'f' AND n.nspname IN ('ledger', 'views')
ORDER BY table_name;

-- name: forbidden_things
-- Sequences, triggers, rules, exclusion or deferrable constraints, enum types; by kind and name.
SELECT 'sequence' AS kind, c.relname::text AS name
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'S' AND n.nspname IN ('ledger', 'views')
UNION ALL
SELECT 'trigger' AS kind, t.tgname::text AS name
FROM pg_trigger AS t
JOIN pg_class AS c ON c.oid = t.tgrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname IN ('ledger', 'views')
UNION ALL
SELECT 'rule' AS kind, r.rulename::text AS name
FROM pg_rewrite AS r
JOIN pg_class AS c ON c.oid = r.ev_class
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname IN ('ledger', 'views') AND r.rulename <> '_RETURN'
UNION ALL
SELECT 'constraint' AS kind, r.conname::text AS name
FROM pg_constraint AS r
JOIN pg_namespace AS n ON n.oid = r.connamespace
WHERE n.nspname IN ('ledger', 'views') AND (r.contype = 'x' OR r.condeferrable)
UNION ALL
SELECT 'enum' AS kind, t.typname::text AS name
FROM pg_type AS t
JOIN pg_namespace AS n ON n.oid = t.typnamespace
WHERE n.nspname IN ('ledger', 'views') AND t.typtype = 'e'
UNION ALL
SELECT 'extension' AS kind, e.extname::text AS name
FROM pg_extension AS e
WHERE e.extname <> 'plpgsql'
ORDER BY kind, name;

-- name: forbidden_words
-- Functions whose text locks tables, notifies, prepares a commit or takes advisory locks.
SELECT p.proname::text AS name
FROM pg_proc AS p
JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname IN ('ledger', 'views')
  AND p.prosrc ~* '\m(lock\s+table|notify|pg_notify|prepare\s+transaction|pg_advisory\w*|nextval)\M'
ORDER BY name;

-- name: unsafe_definers
-- Functions that run as the owner without a fixed search_path.
SELECT p.proname::text AS name
FROM pg_proc AS p
JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname IN ('ledger', 'views', 'access') AND p.prosecdef AND NOT EXISTS (
    SELECT FROM unnest(p.proconfig) AS setting WHERE setting LIKE 'search_path=pg_catalog%%'
)
ORDER BY name;
