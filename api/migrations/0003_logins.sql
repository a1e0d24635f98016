-- Making, resetting and locking logins, issuing and revoking tokens: for a role that only does that.

-- Makes a login: 'created'; 'unchanged' when it exists with the same role, names and accounts;
-- else 'identifier_taken' or 'account_unknown', and nothing is done. Customers sign in by their
-- client ID and by each of their account numbers.
CREATE FUNCTION access.create_login(
    the_id uuid, the_role text, the_hash text, must_change boolean, the_client_id text,
    account_lanes int[], account_ids uuid[], account_numbers text[]
)
RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    names text[];
    there uuid;
BEGIN
    IF EXISTS (
        SELECT FROM unnest(account_lanes, account_ids) AS g (lane, account_id)
        WHERE NOT EXISTS (
            SELECT FROM ledger.account AS a
            WHERE a.lane = g.lane AND a.account_id = g.account_id
        )
    ) THEN
        RETURN 'account_unknown';
    END IF;
    names := ARRAY(
        SELECT DISTINCT lower(n) FROM unnest(account_numbers || the_client_id) AS n
        WHERE n IS NOT NULL ORDER BY 1
    );
    -- One maker at a time: two at once could take the same names in another order.
    LOCK TABLE access.identifier IN SHARE ROW EXCLUSIVE MODE;
    SELECT i.login_id INTO there FROM access.identifier AS i
    WHERE i.identifier = ANY (names) ORDER BY i.identifier LIMIT 1;
    IF FOUND THEN
        RETURN CASE WHEN
            the_role = (SELECT l.role FROM access.login AS l WHERE l.id = there)
            AND names = ARRAY(
                SELECT i.identifier::text COLLATE "default" FROM access.identifier AS i
                WHERE i.login_id = there ORDER BY 1
            )
            AND ARRAY(SELECT DISTINCT g FROM unnest(account_ids) AS g ORDER BY 1) = ARRAY(
                SELECT a.account_id FROM access.login_account AS a
                WHERE a.login_id = there ORDER BY 1
            )
            THEN 'unchanged' ELSE 'identifier_taken' END;
    END IF;
    INSERT INTO access.login (id, role, password_hash, must_change_password)
    VALUES (the_id, the_role, the_hash, must_change);
    INSERT INTO access.identifier (identifier, kind, login_id)
    SELECT n, CASE WHEN n = lower(the_client_id) THEN 'client_id' ELSE 'account_number' END, the_id
    FROM unnest(names) AS n;
    INSERT INTO access.login_account (login_id, lane, account_id, account_number)
    SELECT DISTINCT the_id, g.lane, g.account_id, g.account_number
    FROM unnest(account_lanes, account_ids, account_numbers)
         AS g (lane, account_id, account_number);
    RETURN 'created';
END
$$;

-- The login has a new password, works again if it was locked, and is signed out everywhere.
-- False when there is no such login.
CREATE FUNCTION access.reset_login(the_identifier text, the_hash text, must_change boolean)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    the_login uuid;
BEGIN
    UPDATE access.login AS l
    SET password_hash = the_hash, must_change_password = must_change, disabled_at = NULL
    FROM access.identifier AS i
    WHERE i.identifier = the_identifier AND l.id = i.login_id
    RETURNING l.id INTO the_login;
    UPDATE access.session AS s SET revoked_at = clock_timestamp()
    WHERE s.login_id = the_login AND s.revoked_at IS NULL;
    RETURN the_login IS NOT NULL;
END
$$;

-- Nobody signs in as this login, and its sessions are over. False when there is no such login.
CREATE FUNCTION access.lock_login(the_identifier text)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    the_login uuid;
BEGIN
    UPDATE access.login AS l SET disabled_at = COALESCE(l.disabled_at, clock_timestamp())
    FROM access.identifier AS i
    WHERE i.identifier = the_identifier AND l.id = i.login_id
    RETURNING l.id INTO the_login;
    UPDATE access.session AS s SET revoked_at = clock_timestamp()
    WHERE s.login_id = the_login AND s.revoked_at IS NULL;
    RETURN the_login IS NOT NULL;
END
$$;

-- The token is good for these scopes; issuing the same one again changes only its name and scopes.
CREATE FUNCTION access.issue_token(
    the_id uuid, the_token_sha256 bytea, the_name text, the_scopes text[]
)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO access.token AS t (id, token_sha256, name, scopes)
    VALUES (the_id, the_token_sha256, the_name, the_scopes)
    ON CONFLICT (token_sha256) DO UPDATE
    SET name = EXCLUDED.name, scopes = EXCLUDED.scopes, revoked_at = NULL;
END
$$;

-- The tokens of that name are good for nothing; how many were good until now.
CREATE FUNCTION access.revoke_tokens(the_name text)
RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    revoked bigint;
BEGIN
    UPDATE access.token AS t SET revoked_at = clock_timestamp()
    WHERE t.name = the_name AND t.revoked_at IS NULL;
    GET DIAGNOSTICS revoked = ROW_COUNT;
    RETURN revoked;
END
$$;
