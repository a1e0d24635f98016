-- A password forgotten: asked for by anybody, mailed as a link to the login's own address.

-- Where mail for a login goes: personal data, in no event, and gone when it is set to null.
ALTER TABLE access.login ADD COLUMN email text;

-- What is to be mailed. It names the login and not the address, and holds no secret: the link's
-- token is made when the mail is. A mail asked for in the name of nobody has no login.
CREATE TABLE access.outbox (
    id uuid PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('password_reset')),
    login_id uuid REFERENCES access.login (id),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    due_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts int NOT NULL DEFAULT 0,
    sent_at timestamptz,
    given_up_at timestamptz,
    last_fault text
);
CREATE INDEX outbox_due ON access.outbox (due_at) WHERE sent_at IS NULL AND given_up_at IS NULL;
CREATE INDEX outbox_of_login ON access.outbox (login_id);

-- A link's token, known by its SHA-256. `password_sha256` is the digest of the password's hash when
-- the link was made: once the password is another, by this link or otherwise, no older link works.
CREATE TABLE access.password_reset (
    token_sha256 bytea PRIMARY KEY CHECK (octet_length(token_sha256) = 32),
    login_id uuid NOT NULL REFERENCES access.login (id),
    password_sha256 bytea NOT NULL CHECK (octet_length(password_sha256) = 32),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    used_at timestamptz
);
CREATE INDEX reset_by_expiry ON access.password_reset (expires_at);
REVOKE ALL ON TABLE access.outbox, access.password_reset FROM PUBLIC;

-- Makes a login: 'created'; 'unchanged' when it exists with the same role, names and accounts;
-- else 'identifier_taken' or 'account_unknown', and nothing is done. Customers sign in by their
-- client ID and by each of their account numbers.
CREATE FUNCTION access.make_login(
    the_id uuid, the_role text, the_hash text, must_change boolean, the_client_id text,
    account_lanes int[], account_ids uuid[], account_numbers text[], the_email text
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
    INSERT INTO access.login (id, role, password_hash, must_change_password, client_id, email)
    VALUES (the_id, the_role, the_hash, must_change, the_client_id, the_email);
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

-- As the release before makes logins, which knows of no mail address.
CREATE OR REPLACE FUNCTION access.create_login(
    the_id uuid, the_role text, the_hash text, must_change boolean, the_client_id text,
    account_lanes int[], account_ids uuid[], account_numbers text[]
)
RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN access.make_login(
        the_id, the_role, the_hash, must_change, the_client_id, account_lanes, account_ids,
        account_numbers, NULL
    );
END
$$;

-- Counts the try and puts a mail into the outbox; seconds to wait (0: it was put there).
-- Known and unknown identifiers, and logins that get no mail, write the same rows.
CREATE FUNCTION access.ask_password_reset(
    buckets bytea[], limits int[], window_s int, the_identifier text, the_mail uuid
)
RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wait_s int := access.try_in_buckets(buckets, limits, window_s);
BEGIN
    IF wait_s = 0 THEN
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

-- Whose password a link may set, or no row.
CREATE FUNCTION access.reset_to_use(the_token_sha256 bytea)
RETURNS TABLE (login_id uuid, identifiers text[])
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT l.id,
           ARRAY(SELECT i.identifier::text FROM access.identifier AS i WHERE i.login_id = l.id)
    FROM access.password_reset AS r
    JOIN access.login AS l ON l.id = r.login_id
    WHERE r.token_sha256 = the_token_sha256 AND r.used_at IS NULL
      AND r.expires_at > clock_timestamp() AND l.disabled_at IS NULL
      AND r.password_sha256 = sha256(convert_to(l.password_hash, 'UTF8'));
END
$$;

-- Whether the password is the new one by this link: once, and all sessions are over then. Asked
-- again after a lost connection it answers the same: nobody else can know the new hash.
CREATE FUNCTION access.use_password_reset(the_token_sha256 bytea, new_hash text)
RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    the_login uuid;
BEGIN
    SELECT u.login_id INTO the_login FROM access.reset_to_use(the_token_sha256) AS u;
    UPDATE access.login AS l SET password_hash = new_hash, must_change_password = false
    FROM access.password_reset AS r
    WHERE l.id = the_login AND l.disabled_at IS NULL AND r.token_sha256 = the_token_sha256
      AND r.password_sha256 = sha256(convert_to(l.password_hash, 'UTF8'));
    IF FOUND THEN
        UPDATE access.password_reset AS r SET used_at = clock_timestamp()
        WHERE r.token_sha256 = the_token_sha256;
        UPDATE access.session AS s SET revoked_at = clock_timestamp()
        WHERE s.login_id = the_login AND s.revoked_at IS NULL;
    END IF;
    RETURN EXISTS (
        SELECT FROM access.password_reset AS r
        JOIN access.login AS l ON l.id = r.login_id
        WHERE r.token_sha256 = the_token_sha256 AND l.password_hash = new_hash
    );
END
$$;

-- The next mail that is due, or no row. It is this caller's for lease_s, after which it is due again
-- unless it was said to be sent; its link's token is good for lifetime_s from now.
-- Given up are mails older than wait_s_max, to whoever has no address any more or is disabled, and
-- past sent_max an hour to one login: strangers can ask as often as they like.
CREATE FUNCTION access.take_mail(
    the_token_sha256 bytea, lifetime_s int, lease_s int, wait_s_max int, sent_max int
)
RETURNS TABLE (id uuid, kind text, email text, attempts int)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    this_instant timestamptz := clock_timestamp();
    chosen record;
    why text;
BEGIN
    DELETE FROM access.outbox AS o
    WHERE o.login_id IS NULL OR o.created_at < this_instant - interval '30 days';
    DELETE FROM access.password_reset AS r WHERE r.expires_at < this_instant - interval '30 days';
    LOOP
        SELECT o.id, o.kind, o.created_at, l.id AS login_id, l.email, l.password_hash, l.disabled_at
        INTO chosen
        FROM access.outbox AS o
        JOIN access.login AS l ON l.id = o.login_id
        WHERE o.sent_at IS NULL AND o.given_up_at IS NULL AND o.due_at <= this_instant
        ORDER BY o.due_at
        LIMIT 1
        FOR UPDATE OF o SKIP LOCKED;
        IF NOT FOUND THEN
            RETURN;
        END IF;
        why := CASE
            WHEN chosen.email IS NULL THEN 'no address'
            WHEN chosen.disabled_at IS NOT NULL THEN 'login disabled'
            WHEN chosen.created_at < this_instant - make_interval(secs => wait_s_max) THEN 'too old'
            WHEN sent_max <= (
                SELECT count(*) FROM access.outbox AS o
                WHERE o.login_id = chosen.login_id
                  AND o.sent_at > this_instant - interval '1 hour'
            ) THEN 'too many'
        END;
        EXIT WHEN why IS NULL;
        UPDATE access.outbox AS o SET given_up_at = this_instant, last_fault = why
        WHERE o.id = chosen.id;
    END LOOP;
    INSERT INTO access.password_reset (token_sha256, login_id, password_sha256, expires_at)
    VALUES (
        the_token_sha256, chosen.login_id, sha256(convert_to(chosen.password_hash, 'UTF8')),
        this_instant + make_interval(secs => lifetime_s)
    );
    RETURN QUERY
    UPDATE access.outbox AS o
    SET attempts = o.attempts + 1, due_at = this_instant + make_interval(secs => lease_s)
    WHERE o.id = chosen.id
    RETURNING o.id, o.kind, chosen.email, o.attempts;
END
$$;

-- The mail server has taken the mail.
CREATE FUNCTION access.mail_was_sent(the_mail uuid)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE access.outbox AS o
    SET sent_at = COALESCE(o.sent_at, clock_timestamp()), last_fault = NULL
    WHERE o.id = the_mail;
END
$$;

-- The mail server has not taken the mail: it is tried again in again_in_s, or (null) never.
CREATE FUNCTION access.mail_failed(the_mail uuid, the_fault text, again_in_s int)
RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE access.outbox AS o
    SET last_fault = the_fault,
        due_at = COALESCE(clock_timestamp() + make_interval(secs => again_in_s), o.due_at),
        given_up_at = CASE WHEN again_in_s IS NULL THEN clock_timestamp() END
    WHERE o.id = the_mail AND o.sent_at IS NULL;
END
$$;

-- How many mails wait, and for how many seconds the oldest of them has.
CREATE FUNCTION access.mails_waiting()
RETURNS TABLE (mails bigint, oldest_s float8)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    RETURN QUERY
    SELECT count(*),
           COALESCE(EXTRACT(epoch FROM clock_timestamp() - min(o.created_at)), 0)::float8
    FROM access.outbox AS o
    WHERE o.sent_at IS NULL AND o.given_up_at IS NULL AND o.login_id IS NOT NULL;
END
$$;

REVOKE ALL ON FUNCTION
    access.make_login, access.ask_password_reset, access.reset_to_use, access.use_password_reset,
    access.take_mail, access.mail_was_sent, access.mail_failed, access.mails_waiting
    FROM PUBLIC;
GRANT EXECUTE ON FUNCTION
    access.ask_password_reset, access.reset_to_use, access.use_password_reset
    TO billing_sign_in;
GRANT EXECUTE ON FUNCTION
    access.make_login, access.take_mail, access.mail_was_sent, access.mail_failed
    TO billing_registrar;
GRANT EXECUTE ON FUNCTION access.mails_waiting TO billing_reader;
