-- The key that cursors of lists are signed with: made once, the same in every process of a region.
-- Two random UUIDs hold 244 random bits between them, and need no extension.

CREATE TABLE access.cursor_key (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    key bytea NOT NULL CHECK (octet_length(key) = 32)
);
INSERT INTO access.cursor_key (key)
SELECT sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));

-- The key. It signs where a page ends and opens nothing: what a row needs to be seen is checked anew.
CREATE FUNCTION access.signing_key_of_cursors()
RETURNS bytea
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (SELECT k.key FROM access.cursor_key AS k);
END
$$;

REVOKE ALL ON TABLE access.cursor_key FROM PUBLIC;
REVOKE ALL ON FUNCTION access.signing_key_of_cursors FROM PUBLIC;
GRANT EXECUTE ON FUNCTION access.signing_key_of_cursors TO billing_reader, billing_registrar;
