-- No copy of a password's hash is kept beside the login's own.

-- The digest of a hash with its salt: it tells whether the login still has the password that was
-- given, and without the hash nobody can try passwords with it.
ALTER TABLE access.kept_key
    ADD COLUMN given_sha256 bytea CHECK (octet_length(given_sha256) = 32);
UPDATE access.kept_key AS k SET given_sha256 = sha256(convert_to(k.password_hash, 'UTF8'))
WHERE k.password_hash IS NOT NULL;
ALTER TABLE access.kept_key DROP COLUMN password_hash;

-- What was made under a key, or no row; with the password's hash for as long as the login has the
-- password that was given: what was given then is told from something else by it.
CREATE OR REPLACE FUNCTION access.made_under(the_key text)
RETURNS TABLE (request_sha256 bytea, password_hash text, made uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT k.request_sha256, l.password_hash, k.made
    FROM access.kept_key AS k
    LEFT JOIN access.login AS l
        ON l.id = k.made AND sha256(convert_to(l.password_hash, 'UTF8')) = k.given_sha256
    WHERE k.key = the_key;
END
$$;

-- Makes a login under a key: 'created', also when asked again after a lost connection; 'made'
-- when the key was used by then; or as access.make_login, and nothing is done.
CREATE OR REPLACE FUNCTION access.make_login_once(
    the_key text, the_request_sha256 bytea, the_given_hash text, the_id uuid, the_role text,
    the_hash text, must_change boolean, the_client_id text, account_lanes int[],
    account_ids uuid[], account_numbers text[], the_email text
)
RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    outcome text;
BEGIN
    INSERT INTO access.kept_key (key, request_sha256, given_sha256, made)
    VALUES (
        the_key, the_request_sha256, sha256(convert_to(the_given_hash, 'UTF8')), the_id
    )
    ON CONFLICT (key) DO NOTHING;
    IF NOT FOUND THEN
        RETURN CASE WHEN the_id = (SELECT k.made FROM access.kept_key AS k WHERE k.key = the_key)
                    THEN 'created' ELSE 'made' END;
    END IF;
    outcome := access.make_login(
        the_id, the_role, the_hash, must_change, the_client_id, account_lanes, account_ids,
        account_numbers, the_email
    );
    IF outcome <> 'created' THEN
        DELETE FROM access.kept_key AS k WHERE k.key = the_key;  -- a refusal leaves its key free
    END IF;
    RETURN outcome;
END
$$;
