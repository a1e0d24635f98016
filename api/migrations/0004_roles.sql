-- The two roles of the doors beside those of the log, who may act as them, and what they may run.
-- Roles are shared by all databases of a cluster: another database's runner may be at the same.

DO $$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['billing_sign_in', 'billing_registrar'] LOOP
        CONTINUE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = wanted);
        BEGIN
            EXECUTE format('CREATE ROLE %I NOLOGIN', wanted);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END LOOP;
END
$$;

-- The login may act as the roles of the doors, and without choosing one has none of their rights.
CREATE FUNCTION access.admit(the_login name)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wanted text;
    -- Before PostgreSQL 16 inheriting is the login's own attribute, not the grant's.
    options text := CASE WHEN current_setting('server_version_num')::int >= 160000
                         THEN ' WITH INHERIT FALSE, SET TRUE' ELSE '' END;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['billing_sign_in', 'billing_registrar'] LOOP
        FOR attempt IN 1..20 LOOP
            EXIT WHEN EXISTS (
                SELECT FROM pg_auth_members AS m
                WHERE m.roleid = wanted::regrole AND m.member = quote_ident(the_login)::regrole
            );
            BEGIN
                EXECUTE format('GRANT %I TO %I%s', wanted, the_login, options);
            EXCEPTION WHEN internal_error OR unique_violation THEN
                PERFORM pg_sleep(0.05);  -- the other runner changed the same catalogue row
            END;
        END LOOP;
    END LOOP;
END
$$;

REVOKE ALL ON ALL TABLES IN SCHEMA access FROM PUBLIC;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA access FROM PUBLIC;
GRANT USAGE ON SCHEMA access TO billing_sign_in, billing_registrar, billing_reader;
GRANT EXECUTE ON FUNCTION
    access.try_in_buckets, access.login_to_check, access.open_session
    TO billing_sign_in;
GRANT EXECUTE ON FUNCTION
    access.login_to_check, access.create_login, access.reset_login, access.lock_login,
    access.issue_token, access.revoke_tokens
    TO billing_registrar;
