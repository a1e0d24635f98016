-- Sign-in, for a role that can do nothing else. Every function runs as the owner, with a fixed path.

-- Counts a try in each bucket and says whether it may go on; else after how many seconds.
-- A bucket that is full counts no more: a stranger who hammers does not prolong the wait.
-- Buckets whose window has passed start anew; a few of the oldest are swept on the way.
CREATE FUNCTION access.try_in_buckets(
    buckets bytea[], limits int[], window_s int, OUT wait_s int
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    this_instant timestamptz := clock_timestamp();
    opened timestamptz := this_instant - make_interval(secs => window_s);
    chosen record;
    counted record;
BEGIN
    DELETE FROM access.throttle AS t
    WHERE t.bucket IN (
        SELECT o.bucket FROM access.throttle AS o
        WHERE o.since < opened ORDER BY o.since LIMIT 10 FOR UPDATE SKIP LOCKED
    );
    wait_s := 0;
    FOR chosen IN  -- in order of bucket, so that two tries never wait in a circle
        SELECT b.bucket, b.tries_max
        FROM unnest(buckets, limits) AS b (bucket, tries_max)
        ORDER BY b.bucket
    LOOP
        INSERT INTO access.throttle AS t (bucket, tries, since)
        VALUES (chosen.bucket, 1, this_instant)
        ON CONFLICT (bucket) DO UPDATE
        SET tries = CASE WHEN t.since < opened THEN 1
                         ELSE LEAST(t.tries + 1, chosen.tries_max + 1) END,
            since = CASE WHEN t.since < opened THEN EXCLUDED.since ELSE t.since END
        RETURNING t.tries, t.since INTO STRICT counted;
        IF counted.tries > chosen.tries_max THEN
            wait_s := GREATEST(
                wait_s,
                ceil(EXTRACT(epoch FROM counted.since - opened))::int,
                1
            );
        END IF;
    END LOOP;
END
$$;

-- The login of an identifier, or no row: unknown and disabled look the same.
CREATE FUNCTION access.login_to_check(the_identifier text)
RETURNS TABLE (login_id uuid, password_hash text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT l.id, l.password_hash
    FROM access.identifier AS i
    JOIN access.login AS l ON l.id = i.login_id
    WHERE i.identifier = the_identifier AND l.disabled_at IS NULL;
END
$$;

-- A session exists for the login whose password was right, and the bucket of its tries is emptied.
-- No row when the login was disabled, or its password changed, since it was checked.
CREATE FUNCTION access.open_session(
    the_login uuid, checked_hash text, the_token_sha256 bytea, lifetime_s int, bucket_to_empty bytea
)
RETURNS TABLE (
    role text, expires_at timestamptz, must_change_password boolean, account_numbers text[]
)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    ends_at timestamptz := clock_timestamp() + make_interval(secs => lifetime_s);
    found_login record;
BEGIN
    SELECT l.role, l.must_change_password INTO found_login
    FROM access.login AS l
    WHERE l.id = the_login AND l.password_hash = checked_hash AND l.disabled_at IS NULL
    FOR SHARE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    DELETE FROM access.throttle AS t WHERE t.bucket = bucket_to_empty;
    DELETE FROM access.session AS s
    WHERE s.token_sha256 IN (
        SELECT o.token_sha256 FROM access.session AS o
        WHERE o.expires_at < clock_timestamp() - interval '30 days'
        ORDER BY o.expires_at LIMIT 10 FOR UPDATE SKIP LOCKED
    );
    INSERT INTO access.session (token_sha256, login_id, expires_at)
    VALUES (the_token_sha256, the_login, ends_at)
    ON CONFLICT (token_sha256) DO NOTHING;  -- asked again after a lost connection
    RETURN QUERY
    SELECT found_login.role, ends_at, found_login.must_change_password,
           ARRAY(
               SELECT a.account_number FROM access.login_account AS a
               WHERE a.login_id = the_login ORDER BY a.account_number
           );
END
$$;
