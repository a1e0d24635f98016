-- Making and finding the schemas of read models.

-- name: create
-- Makes a schema of a read model's statements, unless it exists.
DO $create$
BEGIN
    IF to_regnamespace({name}) IS NULL THEN
        CREATE SCHEMA {schema};
        PERFORM set_config('search_path', {name}, true);
        EXECUTE {statements};
        COMMENT ON SCHEMA {schema} IS {mark};
        PERFORM set_config('search_path', 'pg_catalog', true);
    END IF;
END
$create$;

-- name: lock_creation
-- Waits until nobody else makes a read model here; held until the transaction ends.
SELECT pg_advisory_xact_lock(hashtext('billing-ledger read models'));

-- name: schema_mark
-- The comment of a schema, which says what it was made of; no row when there is no such schema.
SELECT obj_description(n.oid, 'pg_namespace')
FROM pg_namespace AS n
WHERE n.nspname = %s;
