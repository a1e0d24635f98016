-- What the schema of every read model has beside its own tables.
-- Names are unqualified: the same statements make the live schema and the one a rebuild fills.
-- Every primary key and unique constraint starts with lane.

-- name: followed
-- How far a follower has come, before the model's own tables.
CREATE TABLE tracking (
    lane int PRIMARY KEY CHECK (lane >= 0 AND lane < 64),
    position bigint NOT NULL CHECK (position >= 0)
) WITH (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
INSERT INTO tracking (lane, position) SELECT lane, 0 FROM generate_series(0, 63) AS lane;

-- Accounts whose events from `position` on could not be read or folded, and why.
CREATE TABLE parked (
    lane int NOT NULL,
    account_id uuid NOT NULL,
    position bigint NOT NULL,
    version bigint NOT NULL,
    topic text COLLATE "C" NOT NULL,
    error text NOT NULL,
    parked_at timestamptz NOT NULL,
    PRIMARY KEY (lane, account_id)
);

-- The first position that each lane recorded on a day (UTC): turns a position into its day.
CREATE TABLE lane_day (
    lane int NOT NULL,
    recorded_day date NOT NULL,
    first_position bigint NOT NULL,
    PRIMARY KEY (lane, recorded_day)
);

-- name: access
-- Who may do what, after all tables: readers see the accounts in scope, and sums over accounts only
-- when all of them are; the projector writes, nobody else anything.
DO $$
DECLARE
    named text;
    seen text;
BEGIN
    EXECUTE format(
        'GRANT USAGE ON SCHEMA %I TO billing_projector, billing_reader, billing_auditor',
        current_schema()
    );
    FOR named, seen IN
        -- The scope of everything holds every id, that of no account, too.
        SELECT t.tablename, COALESCE(
            a.attname, quote_literal('00000000-0000-0000-0000-000000000000') || '::uuid'
        )
        FROM pg_tables AS t
        LEFT JOIN pg_attribute AS a
          ON a.attrelid = format('%I.%I', t.schemaname, t.tablename)::regclass
         AND a.attname = 'account_id'
        WHERE t.schemaname = current_schema()
        ORDER BY t.tablename
    LOOP
        EXECUTE format('GRANT SELECT ON %I TO billing_reader, billing_auditor', named);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO billing_projector', named);
        CONTINUE WHEN named IN ('tracking', 'lane_day');
        EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', named);
        EXECUTE format(
            'CREATE POLICY in_scope ON %I FOR SELECT TO billing_reader, billing_auditor
             USING (ledger.in_scope(%s))', named, seen
        );
        EXECUTE format(
            'CREATE POLICY projected ON %I TO billing_projector USING (true) WITH CHECK (true)',
            named
        );
    END LOOP;
END
$$;
