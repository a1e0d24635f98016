-- Keeping logins and tokens over HTTP: listed, made once for each key, changed, revoked.

CREATE INDEX login_by_age ON access.login (created_at, id);
CREATE INDEX token_by_age ON access.token (created_at, id);

-- What was made under an idempotency key, for ever. A password that was given is kept as its hash,
-- so that a request with another is told from one sent again; one that was made up is not kept.
CREATE TABLE access.kept_key (
    key text COLLATE "C" PRIMARY KEY,
    request_sha256 bytea NOT NULL CHECK (octet_length(request_sha256) = 32),
    password_hash text,
    made uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
REVOKE ALL ON TABLE access.kept_key FROM PUBLIC;

-- What was made under a key, or no row.
CREATE FUNCTION access.made_under(the_key text)
RETURNS TABLE (request_sha256 bytea, password_hash text, made uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT k.request_sha256, k.password_hash, k.made FROM access.kept_key AS k
    WHERE k.key = the_key;
END
$$;

-- Logins newest first, after a row or (null) from the start; the_id, the_role and the_status narrow.
CREATE FUNCTION access.logins(
    the_id uuid, the_role text, the_status text, after_created_at timestamptz, after_id uuid,
    rows_max int
)
RETURNS TABLE (
    id uuid, role text, client_id text, account_numbers text[], email text, status text,
    must_change_password boolean, has_second_factor boolean, created_at timestamptz,
    disabled_at timestamptz
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT l.id, l.role, l.client_id,
           ARRAY(SELECT a.account_number::text FROM access.login_account AS a
                 WHERE a.login_id = l.id ORDER BY a.account_number),
           l.email, CASE WHEN l.disabled_at IS NULL THEN 'active' ELSE 'disabled' END,
           l.must_change_password,
           EXISTS (SELECT FROM access.second_factor AS f
                   WHERE f.login_id = l.id AND f.confirmed_at IS NOT NULL),
           l.created_at, l.disabled_at
    FROM access.login AS l
    WHERE (the_id IS NULL OR l.id = the_id)
      AND (the_role IS NULL OR l.role = the_role)
      AND (the_status IS NULL OR (the_status = 'active') = (l.disabled_at IS NULL))
      AND (after_id IS NULL OR (l.created_at, l.id) < (after_created_at, after_id))
    ORDER BY l.created_at DESC, l.id DESC
    LIMIT rows_max;
END
$$;

-- Makes a login under a key: 'created', also when asked again after a lost connection; 'made'
-- when the key was used by then; or as access.make_login, and nothing is done.
CREATE FUNCTION access.make_login_once(
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
    INSERT INTO access.kept_key (key, request_sha256, password_hash, made)
    VALUES (the_key, the_request_sha256, the_given_hash, the_id)
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

-- Changes a login; what is null stays, but for the address, which new_email is if sets_email.
-- 'changed'; or 'unknown', 'own_login' (it is the one that asks), 'not_now' (the one that asks is an
-- admin no more), 'role_fixed' (customers stay customers and staff staff), 'accounts_fixed' (staff
-- have none), 'account_unknown', 'identifier_taken', and nothing is done.
-- Disabled, with another password or without its second factor it is signed out everywhere.
CREATE FUNCTION access.change_login(
    the_admin uuid, the_login uuid, is_disabled boolean, new_role text, sets_email boolean,
    new_email text, account_lanes int[], account_ids uuid[], account_numbers text[],
    new_hash text, drops_second_factor boolean
)
RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    old record;
BEGIN
    IF account_numbers IS NOT NULL THEN
        LOCK TABLE access.identifier IN SHARE ROW EXCLUSIVE MODE;  -- as access.make_login
    END IF;
    -- In order, so that two admins who disable each other do not wait in a circle.
    PERFORM FROM access.login AS l WHERE l.id IN (the_admin, the_login) ORDER BY l.id FOR UPDATE;
    IF NOT EXISTS (
        SELECT FROM access.login AS l
        WHERE l.id = the_admin AND l.role = 'admin' AND l.disabled_at IS NULL
    ) THEN
        RETURN 'not_now';
    END IF;
    SELECT l.role, l.client_id INTO old FROM access.login AS l WHERE l.id = the_login;
    IF NOT FOUND THEN
        RETURN 'unknown';
    END IF;
    IF the_admin = the_login
       AND (is_disabled OR new_role <> old.role OR new_hash IS NOT NULL OR drops_second_factor) THEN
        RETURN 'own_login';
    END IF;
    IF new_role <> old.role AND 'customer' IN (new_role, old.role) THEN
        RETURN 'role_fixed';
    END IF;
    IF account_numbers IS NOT NULL THEN
        IF old.role <> 'customer' THEN
            RETURN 'accounts_fixed';
        END IF;
        IF EXISTS (
            SELECT FROM unnest(account_lanes, account_ids) AS g (lane, account_id)
            WHERE NOT EXISTS (
                SELECT FROM ledger.account AS a
                WHERE a.lane = g.lane AND a.account_id = g.account_id
            )
        ) THEN
            RETURN 'account_unknown';
        END IF;
        IF EXISTS (
            SELECT FROM access.identifier AS i
            JOIN unnest(account_numbers) AS n ON i.identifier = lower(n)
            WHERE i.login_id <> the_login
        ) THEN
            RETURN 'identifier_taken';
        END IF;
        DELETE FROM access.login_account AS g WHERE g.login_id = the_login;
        DELETE FROM access.identifier AS i
        WHERE i.login_id = the_login AND i.kind = 'account_number';
        INSERT INTO access.identifier (identifier, kind, login_id)
        SELECT DISTINCT lower(n), 'account_number', the_login FROM unnest(account_numbers) AS n
        ON CONFLICT (identifier) DO NOTHING;  -- a client ID that reads like the account's number
        INSERT INTO access.login_account (login_id, lane, account_id, account_number)
        SELECT DISTINCT the_login, g.lane, g.account_id, g.account_number
        FROM unnest(account_lanes, account_ids, account_numbers)
             AS g (lane, account_id, account_number);
    END IF;
    UPDATE access.login AS l
    SET disabled_at = CASE WHEN is_disabled THEN COALESCE(l.disabled_at, clock_timestamp())
                           WHEN is_disabled IS NULL THEN l.disabled_at END,
        role = COALESCE(new_role, l.role),
        email = CASE WHEN sets_email THEN new_email ELSE l.email END,
        password_hash = COALESCE(new_hash, l.password_hash),
        must_change_password = l.must_change_password OR new_hash IS NOT NULL
    WHERE l.id = the_login;
    IF drops_second_factor THEN
        DELETE FROM access.recovery_code AS c WHERE c.login_id = the_login;
        DELETE FROM access.second_factor AS f WHERE f.login_id = the_login;
    END IF;
    IF is_disabled OR drops_second_factor OR new_hash IS NOT NULL THEN
        UPDATE access.session AS s SET revoked_at = clock_timestamp()
        WHERE s.login_id = the_login AND s.revoked_at IS NULL;
    END IF;
    RETURN 'changed';
END
$$;

-- A login has no second factor any more, for an operator at the machine: who lost device and
-- recovery codes cannot ask for it. False when there is no such login.
CREATE FUNCTION access.drop_second_factor(the_identifier text)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    the_login uuid := (
        SELECT i.login_id FROM access.identifier AS i WHERE i.identifier = the_identifier
    );
BEGIN
    DELETE FROM access.recovery_code AS c WHERE c.login_id = the_login;
    DELETE FROM access.second_factor AS f WHERE f.login_id = the_login;
    RETURN the_login IS NOT NULL;
END
$$;

-- Tokens of services newest first, after a row or (null) from the start; the_id and the_status narrow.
CREATE FUNCTION access.tokens(
    the_id uuid, the_status text, after_created_at timestamptz, after_id uuid, rows_max int
)
RETURNS TABLE (
    id uuid, name text, scopes text[], status text, created_at timestamptz, revoked_at timestamptz
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT t.id, t.name, t.scopes,
           CASE WHEN t.revoked_at IS NULL THEN 'active' ELSE 'revoked' END,
           t.created_at, t.revoked_at
    FROM access.token AS t
    WHERE (the_id IS NULL OR t.id = the_id)
      AND (the_status IS NULL OR (the_status = 'active') = (t.revoked_at IS NULL))
      AND (after_id IS NULL OR (t.created_at, t.id) < (after_created_at, after_id))
    ORDER BY t.created_at DESC, t.id DESC
    LIMIT rows_max;
END
$$;

-- Issues a token under a key: 'created', also when asked again after a lost connection; 'made' when
-- the key was used by then, and nothing is done.
CREATE FUNCTION access.issue_token_once(
    the_key text, the_request_sha256 bytea, the_id uuid, the_token_sha256 bytea, the_name text,
    the_scopes text[]
)
RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO access.kept_key (key, request_sha256, made)
    VALUES (the_key, the_request_sha256, the_id)
    ON CONFLICT (key) DO NOTHING;
    IF NOT FOUND THEN
        RETURN CASE WHEN the_id = (SELECT k.made FROM access.kept_key AS k WHERE k.key = the_key)
                    THEN 'created' ELSE 'made' END;
    END IF;
    INSERT INTO access.token (id, token_sha256, name, scopes)
    VALUES (the_id, the_token_sha256, the_name, the_scopes);
    RETURN 'created';
END
$$;

-- The token is good for nothing. False when there never was one.
CREATE FUNCTION access.revoke_token(the_id uuid)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE access.token AS t SET revoked_at = COALESCE(t.revoked_at, clock_timestamp())
    WHERE t.id = the_id;
    RETURN FOUND;
END
$$;

REVOKE ALL ON FUNCTION
    access.made_under, access.logins, access.make_login_once, access.change_login,
    access.drop_second_factor, access.tokens, access.issue_token_once, access.revoke_token
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    access.made_under, access.logins, access.make_login_once, access.change_login,
    access.drop_second_factor, access.tokens, access.issue_token_once, access.revoke_token
    TO billing_registrar;
