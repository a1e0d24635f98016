-- Databases and logins for the time of a run; names are given as {}.

-- name: make
-- An empty database, as the embedded server makes them.
CREATE DATABASE {database} OWNER {owner} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C';

-- name: drop
-- The database is gone, whoever still uses it.
DROP DATABASE {database} WITH (FORCE);

-- name: make_login
-- The login that serves.
CREATE ROLE {login} LOGIN PASSWORD {password};

-- name: drop_role
-- The role is gone.
DROP ROLE {role};

-- name: roles
-- Every role of the server.
SELECT rolname FROM pg_roles ORDER BY rolname;

-- name: choose
-- Sessions in the database look rows up by key, as the follower's do, in the views' schema first.
ALTER DATABASE {database} SET search_path = {schema}, public;
ALTER DATABASE {database} SET enable_seqscan = off;
ALTER DATABASE {database} SET enable_hashjoin = off;
ALTER DATABASE {database} SET enable_mergejoin = off;
ALTER DATABASE {database} SET jit = off;

-- name: vacuum
-- What was loaded is as the server would have it a while later.
VACUUM (ANALYZE);

-- name: checkpoint
-- Nothing that was written before is still to be written.
CHECKPOINT;

-- name: settings
-- The version, and the settings that say what a commit means.
SELECT 'server_version', current_setting('server_version')
UNION ALL
SELECT name, current_setting(name)
FROM unnest(ARRAY[
    'fsync', 'synchronous_commit', 'full_page_writes', 'wal_sync_method', 'shared_buffers',
    'max_wal_size', 'checkpoint_timeout'
]) AS name
ORDER BY 1;
