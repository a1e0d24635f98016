-- The outbox stays small where no mail is ever sent: asking sweeps too.

-- As before, and a few of the oldest rows that nobody is mailed by are swept on the way, the same
-- for every identifier; one asked for a minute ago is nobody's for good.
CREATE OR REPLACE FUNCTION access.ask_password_reset(
    buckets bytea[], limits int[], window_s int, the_identifier text, the_mail uuid
)
RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wait_s int := access.try_in_buckets(buckets, limits, window_s);
BEGIN
    IF wait_s = 0 THEN
        DELETE FROM access.outbox AS o
        WHERE o.id IN (
            SELECT v.id FROM access.outbox AS v
            WHERE v.login_id IS NULL AND v.created_at < clock_timestamp() - interval '1 minute'
            LIMIT 10 FOR UPDATE SKIP LOCKED
        );
        INSERT INTO access.outbox (id, kind, login_id)
        VALUES (
            the_mail, 'password_reset',
            (
                SELECT l.id FROM access.identifier AS i JOIN access.login AS l ON l.id = i.login_id
                WHERE i.identifier = the_identifier AND l.disabled_at IS NULL
                  AND l.email IS NOT NULL
            )
        )
        ON CONFLICT (id) DO NOTHING;  -- asked again after a lost connection
    END IF;
    RETURN wait_s;
END
$$;
