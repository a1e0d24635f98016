-- The second factor of a login: started, confirmed, used at sign-in, removed.

-- Whether a login has none, or the step or recovery code given is good; it is used up by this.
-- For the functions below, which hold the login's row locked; no role of the service may call it.
CREATE FUNCTION access.use_second_factor(
    the_login uuid, the_step bigint, the_recovery_sha256 bytea
)
RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM access.second_factor AS f
        WHERE f.login_id = the_login AND f.confirmed_at IS NOT NULL
    ) THEN
        RETURN true;
    END IF;
    UPDATE access.second_factor AS f SET last_step = the_step
    WHERE f.login_id = the_login AND f.last_step < the_step;
    IF FOUND THEN
        RETURN true;
    END IF;
    UPDATE access.recovery_code AS c SET used_at = clock_timestamp()
    WHERE c.login_id = the_login AND c.code_sha256 = the_recovery_sha256 AND c.used_at IS NULL;
    RETURN FOUND;
END
$$;

-- The second factor that a login must be checked by too, or no row.
CREATE FUNCTION access.factor_to_check(the_login uuid)
RETURNS TABLE (secret text, last_step bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT f.secret, f.last_step FROM access.second_factor AS f
    WHERE f.login_id = the_login AND f.confirmed_at IS NOT NULL;
END
$$;

-- A session exists for the login whose password was right, and whose second factor was, if it has
-- one; the buckets of its tries are emptied. No row when the login was disabled or its password
-- changed since it was checked, or the code was used before.
CREATE FUNCTION access.sign_in(
    the_login uuid, checked_hash text, the_token_sha256 bytea, lifetime_s int,
    buckets_to_empty bytea[], the_step bigint, the_recovery_sha256 bytea
)
RETURNS TABLE (
    role text, expires_at timestamptz, must_change_password boolean, account_numbers text[]
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    found_login record;
BEGIN
    SELECT l.role, l.must_change_password INTO found_login
    FROM access.login AS l
    WHERE l.id = the_login AND l.password_hash = checked_hash AND l.disabled_at IS NULL
    FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- Asked again after a lost connection, the session is there and the code was used for it.
    IF NOT EXISTS (SELECT FROM access.session AS s WHERE s.token_sha256 = the_token_sha256) THEN
        IF NOT access.use_second_factor(the_login, the_step, the_recovery_sha256) THEN
            RETURN;
        END IF;
        INSERT INTO access.session (token_sha256, login_id, expires_at)
        VALUES (
            the_token_sha256, the_login, clock_timestamp() + make_interval(secs => lifetime_s)
        );
    END IF;
    DELETE FROM access.throttle AS t WHERE t.bucket = ANY (buckets_to_empty);
    DELETE FROM access.session AS s
    WHERE s.token_sha256 IN (
        SELECT o.token_sha256 FROM access.session AS o
        WHERE o.expires_at < clock_timestamp() - interval '30 days'
        ORDER BY o.expires_at LIMIT 10 FOR UPDATE SKIP LOCKED
    );
    RETURN QUERY
    SELECT found_login.role, s.expires_at, found_login.must_change_password,
           ARRAY(
               SELECT a.account_number::text FROM access.login_account AS a
               WHERE a.login_id = the_login ORDER BY a.account_number
           )
    FROM access.session AS s
    WHERE s.token_sha256 = the_token_sha256 AND s.login_id = the_login;
END
$$;

-- As the release before signs in: it asks for no code, so it lets nobody in who has to give one.
CREATE OR REPLACE FUNCTION access.open_session(
    the_login uuid, checked_hash text, the_token_sha256 bytea, lifetime_s int, bucket_to_empty bytea
)
RETURNS TABLE (
    role text, expires_at timestamptz, must_change_password boolean, account_numbers text[]
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT s.role, s.expires_at, s.must_change_password, s.account_numbers
    FROM access.sign_in(
        the_login, checked_hash, the_token_sha256, lifetime_s, ARRAY[bucket_to_empty], NULL, NULL
    ) AS s;
END
$$;

-- How a session's own login stands: when its second factor was confirmed (null: not), whether one
-- waits to be, and how many recovery codes are left. No row when the session is good for nothing.
CREATE FUNCTION access.my_second_factor(the_token_sha256 bytea)
RETURNS TABLE (confirmed_at timestamptz, is_started boolean, recovery_codes_left bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT f.confirmed_at, f.login_id IS NOT NULL AND f.confirmed_at IS NULL,
           (SELECT count(*) FROM access.recovery_code AS c
            WHERE c.login_id = l.id AND c.used_at IS NULL)
    FROM access.login AS l
    LEFT JOIN access.second_factor AS f ON f.login_id = l.id
    WHERE l.id = access.login_of_session(the_token_sha256);
END
$$;

-- Whether a second factor with this secret now waits to be confirmed: not when the login has one,
-- its password was changed since it was checked, or the session is over.
CREATE FUNCTION access.start_second_factor(
    the_token_sha256 bytea, checked_hash text, the_secret text, bucket_to_empty bytea
)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    the_login uuid := access.login_of_session(the_token_sha256);
BEGIN
    PERFORM FROM access.login AS l
    WHERE l.id = the_login AND l.password_hash = checked_hash
    FOR UPDATE;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM access.throttle AS t WHERE t.bucket = bucket_to_empty;
    INSERT INTO access.second_factor AS f (login_id, secret)
    VALUES (the_login, the_secret)
    ON CONFLICT (login_id) DO UPDATE
    SET secret = EXCLUDED.secret, last_step = 0, started_at = clock_timestamp()
    WHERE f.confirmed_at IS NULL;
    RETURN FOUND;
END
$$;

-- Whether the login's second factor is the one with this secret, confirmed by a code of that step,
-- with these recovery codes; every other session of the login, opened without it, is over then.
CREATE FUNCTION access.confirm_second_factor(
    the_token_sha256 bytea, checked_secret text, the_step bigint, recovery_sha256 bytea[],
    bucket_to_empty bytea
)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    the_login uuid := access.login_of_session(the_token_sha256);
BEGIN
    UPDATE access.second_factor AS f SET confirmed_at = clock_timestamp(), last_step = the_step
    WHERE f.login_id = the_login AND f.secret = checked_secret AND f.confirmed_at IS NULL;
    IF FOUND THEN
        DELETE FROM access.throttle AS t WHERE t.bucket = bucket_to_empty;
        DELETE FROM access.recovery_code AS c WHERE c.login_id = the_login;
        INSERT INTO access.recovery_code (login_id, code_sha256)
        SELECT the_login, r FROM unnest(recovery_sha256) AS r;
        UPDATE access.session AS s SET revoked_at = clock_timestamp()
        WHERE s.login_id = the_login AND s.revoked_at IS NULL
          AND s.token_sha256 <> the_token_sha256;
    END IF;
    -- Asked again after a lost connection, the codes are there: nobody else can know them.
    RETURN EXISTS (
        SELECT FROM access.recovery_code AS c
        WHERE c.login_id = the_login AND c.code_sha256 = ANY (recovery_sha256)
    );
END
$$;

-- Whether the login has no second factor any more: not when the code was used before, the password
-- changed since it was checked, or the session is over.
CREATE FUNCTION access.remove_second_factor(
    the_token_sha256 bytea, checked_hash text, the_step bigint, the_recovery_sha256 bytea,
    buckets_to_empty bytea[]
)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    the_login uuid := access.login_of_session(the_token_sha256);
BEGIN
    PERFORM FROM access.login AS l
    WHERE l.id = the_login AND l.password_hash = checked_hash
    FOR UPDATE;
    IF NOT FOUND OR NOT access.use_second_factor(the_login, the_step, the_recovery_sha256) THEN
        RETURN false;
    END IF;
    DELETE FROM access.throttle AS t WHERE t.bucket = ANY (buckets_to_empty);
    DELETE FROM access.recovery_code AS c WHERE c.login_id = the_login;
    DELETE FROM access.second_factor AS f WHERE f.login_id = the_login;
    RETURN true;
END
$$;

REVOKE ALL ON FUNCTION
    access.use_second_factor, access.factor_to_check, access.sign_in, access.my_second_factor,
    access.start_second_factor, access.confirm_second_factor, access.remove_second_factor
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION access.my_second_factor TO billing_reader;
GRANT EXECUTE ON FUNCTION
    access.factor_to_check, access.sign_in, access.start_second_factor,
    access.confirm_second_factor, access.remove_second_factor
    TO billing_sign_in;
