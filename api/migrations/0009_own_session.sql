-- What whoever is signed in may do about it: see who they are and where they are signed in, sign
-- out, change their password, keep a second factor. A function that a session's token is given to
-- decides by that token alone whose login it is about.

-- A name for a session that opens nothing. The default serves the release before as well.
ALTER TABLE access.session ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid();

-- The client ID as it was written; access.identifier has it as it is compared.
ALTER TABLE access.login ADD COLUMN client_id text;
UPDATE access.login AS l SET client_id = i.identifier
FROM access.identifier AS i
WHERE i.login_id = l.id AND i.kind = 'client_id';

-- A time-based code (RFC 6238) as second factor. The secret must be there as it is, or no code could
-- be checked: only the functions for billing_sign_in read it, as they read password hashes.
-- It counts once confirmed. `last_step` is the time-step of the last code taken: none works twice.
CREATE TABLE access.second_factor (
    login_id uuid PRIMARY KEY REFERENCES access.login (id),
    secret text NOT NULL,
    last_step bigint NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    confirmed_at timestamptz
);

-- Codes for who lost the device, 80 random bits each: a plain digest is enough. Each works once.
CREATE TABLE access.recovery_code (
    login_id uuid NOT NULL REFERENCES access.login (id),
    code_sha256 bytea NOT NULL CHECK (octet_length(code_sha256) = 32),
    used_at timestamptz,
    PRIMARY KEY (login_id, code_sha256)
);
REVOKE ALL ON ALL TABLES IN SCHEMA access FROM PUBLIC;

-- Makes a login: 'created'; 'unchanged' when it exists with the same role, names and accounts;
-- else 'identifier_taken' or 'account_unknown', and nothing is done. Customers sign in by their
-- client ID and by each of their account numbers.
CREATE OR REPLACE FUNCTION access.create_login(
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
    INSERT INTO access.login (id, role, password_hash, must_change_password, client_id)
    VALUES (the_id, the_role, the_hash, must_change, the_client_id);
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

-- The login of a session that is good now, by the rules of access.enter; null when there is none.
-- For the functions below, which run as the owner; no role of the service may call it.
CREATE FUNCTION access.login_of_session(the_token_sha256 bytea)
RETURNS uuid
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN (
        SELECT l.id
        FROM access.session AS s
        JOIN access.login AS l ON l.id = s.login_id
        WHERE s.token_sha256 = the_token_sha256 AND s.revoked_at IS NULL
          AND s.expires_at > clock_timestamp() AND l.disabled_at IS NULL
          AND s.last_used_at > clock_timestamp() - interval '2 hours'
    );
END
$$;

-- Who a token is: a login by its session, or a service; no row when it is good for nothing.
CREATE FUNCTION access.me(the_token_sha256 bytea)
RETURNS TABLE (
    id uuid, role text, client_id text, identifiers text[], account_numbers text[],
    must_change_password boolean, session_id uuid, created_at timestamptz,
    last_used_at timestamptz, expires_at timestamptz, name text, scopes text[]
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT l.id, l.role, l.client_id,
           ARRAY(SELECT i.identifier::text FROM access.identifier AS i
                 WHERE i.login_id = l.id ORDER BY i.identifier),
           ARRAY(SELECT a.account_number::text FROM access.login_account AS a
                 WHERE a.login_id = l.id ORDER BY a.account_number),
           l.must_change_password, s.id, s.created_at, s.last_used_at, s.expires_at,
           NULL::text, NULL::text[]
    FROM access.session AS s
    JOIN access.login AS l ON l.id = access.login_of_session(s.token_sha256)
    WHERE s.token_sha256 = the_token_sha256
    UNION ALL
    SELECT t.id, 'service', NULL, '{}', '{}', false, NULL, t.created_at, NULL, NULL, t.name, t.scopes
    FROM access.token AS t
    WHERE t.token_sha256 = the_token_sha256 AND t.revoked_at IS NULL;
END
$$;

-- The sessions of a session's login that are good now, newest first, after a row or (null) from the
-- start; at most rows_max.
CREATE FUNCTION access.my_sessions(
    the_token_sha256 bytea, after_created_at timestamptz, after_id uuid, rows_max int
)
RETURNS TABLE (
    id uuid, created_at timestamptz, last_used_at timestamptz, expires_at timestamptz,
    is_current boolean
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT s.id, s.created_at, s.last_used_at, s.expires_at, s.token_sha256 = the_token_sha256
    FROM access.session AS s
    WHERE s.login_id = access.login_of_session(the_token_sha256)
      AND access.login_of_session(s.token_sha256) IS NOT NULL
      AND (after_id IS NULL OR (s.created_at, s.id) < (after_created_at, after_id))
    ORDER BY s.created_at DESC, s.id DESC
    LIMIT rows_max;
END
$$;

-- Nobody is signed in by that session any more.
CREATE FUNCTION access.sign_out(the_token_sha256 bytea)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE access.session AS s SET revoked_at = clock_timestamp()
    WHERE s.token_sha256 = the_token_sha256 AND s.revoked_at IS NULL;
END
$$;

-- What a session's own login is checked by; no row when the session is good for nothing.
-- Of the identifiers the client ID comes first.
-- The secret may be of a second factor that is not confirmed.
CREATE FUNCTION access.own_login(the_token_sha256 bytea)
RETURNS TABLE (
    login_id uuid, password_hash text, identifiers text[], secret text, last_step bigint,
    confirmed_at timestamptz
)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT l.id, l.password_hash,
           ARRAY(SELECT i.identifier::text FROM access.identifier AS i
                 WHERE i.login_id = l.id ORDER BY i.kind DESC, i.identifier),
           f.secret, f.last_step, f.confirmed_at
    FROM access.login AS l
    LEFT JOIN access.second_factor AS f ON f.login_id = l.id
    WHERE l.id = access.login_of_session(the_token_sha256);
END
$$;

-- The login has the new password and one session, the new one; no row when the session is over or
-- the password was changed since it was checked. Asked again after a lost connection it answers
-- the same: nobody else can know the new hash.
CREATE FUNCTION access.change_password(
    the_token_sha256 bytea, checked_hash text, new_hash text, new_token_sha256 bytea,
    lifetime_s int, bucket_to_empty bytea
)
RETURNS TABLE (expires_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    the_login uuid := access.login_of_session(the_token_sha256);
BEGIN
    UPDATE access.login AS l SET password_hash = new_hash, must_change_password = false
    WHERE l.id = the_login AND l.password_hash = checked_hash;
    IF FOUND THEN
        DELETE FROM access.throttle AS t WHERE t.bucket = bucket_to_empty;
        UPDATE access.session AS s SET revoked_at = clock_timestamp()
        WHERE s.login_id = the_login AND s.revoked_at IS NULL;
        INSERT INTO access.session (token_sha256, login_id, expires_at)
        VALUES (
            new_token_sha256, the_login, clock_timestamp() + make_interval(secs => lifetime_s)
        );
    END IF;
    RETURN QUERY
    SELECT s.expires_at
    FROM access.session AS s
    JOIN access.login AS l ON l.id = s.login_id
    WHERE s.token_sha256 = new_token_sha256 AND l.password_hash = new_hash;
END
$$;

REVOKE ALL ON FUNCTION
    access.login_of_session, access.me, access.my_sessions, access.sign_out, access.own_login,
    access.change_password
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION access.me, access.my_sessions TO billing_reader;
GRANT EXECUTE ON FUNCTION access.sign_out, access.own_login, access.change_password
    TO billing_sign_in;
