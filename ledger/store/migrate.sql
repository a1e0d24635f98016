-- Statements of the migration runner and of the checks before serving.

-- name: lock
-- Waits until no other runner is at work in this database; held until the connection ends.
SELECT pg_advisory_lock(hashtext('billing-ledger migrations'));

-- name: bootstrap
-- The schema and the table of what was applied exist.
DO $$
BEGIN
    CREATE SCHEMA IF NOT EXISTS ledger;
    CREATE TABLE IF NOT EXISTS ledger.migration (
        name text COLLATE "C" PRIMARY KEY,
        sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
        applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
    );
END
$$;

-- name: is_bootstrapped
-- Whether the table of what was applied exists.
SELECT to_regclass('ledger.migration') IS NOT NULL;

-- name: applied
-- What was applied, with the digest of what it read.
SELECT name, sha256 FROM ledger.migration ORDER BY name;

-- name: record
-- A migration was applied.
INSERT INTO ledger.migration (name, sha256) VALUES (%(name)s, %(sha256)s);

-- name: has_region
-- Whether the table of the region exists.
SELECT to_regclass('ledger.region') IS NOT NULL;

-- name: region
-- The database's region, or no row.
SELECT code, currency, zone FROM ledger.region ORDER BY code;

-- name: insert_region
-- The database is this region's, for ever.
INSERT INTO ledger.region (code, currency, zone) VALUES (%(code)s, %(currency)s, %(zone)s);

-- name: missing_roles
-- The group roles that do not exist yet in this cluster.
SELECT wanted.name
FROM unnest(%(roles)s::text[]) AS wanted (name)
WHERE NOT EXISTS (SELECT FROM pg_roles AS r WHERE r.rolname = wanted.name)
ORDER BY wanted.name;

-- name: missing_grants
-- The group roles that a login is no member of.
SELECT wanted.name
FROM unnest(%(roles)s::text[]) AS wanted (name)
WHERE NOT EXISTS (
    SELECT
    FROM pg_auth_members AS m
    WHERE m.roleid = wanted.name::regrole AND m.member = %(login)s::regrole
)
ORDER BY wanted.name;

-- name: dangers
-- Why this session's login could change history; no row when it could not.
SELECT 'is a superuser' AS why
FROM pg_roles AS r
WHERE r.rolname = session_user AND r.rolsuper
UNION ALL
SELECT 'owns the log' AS why
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'ledger' AND c.relname = 'event'
  AND pg_has_role(session_user, c.relowner, 'MEMBER')
ORDER BY why;
