-- The journal: what every event debits and credits, and sums of it by day.
-- Names are unqualified: the same statements make the live schema and the one a rebuild fills.
-- Every primary key and unique constraint starts with lane. Amounts are minor units.

-- name: tables
-- The tables. A posting period is the first day of its month.
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

-- What is said of an account beside its entries.
CREATE TABLE account (
    lane int NOT NULL,
    account_id uuid NOT NULL,
    account_number text COLLATE "C" NOT NULL,
    currency text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (lane, account_id)
);

-- Entries: an event's `n`-th debits one account and credits another with one amount, so that no sum
-- of them can fail to balance. Events that move no money have none.
CREATE TABLE entry (
    lane int NOT NULL,
    position bigint NOT NULL,
    n int NOT NULL,
    account_id uuid NOT NULL,
    recorded_at timestamptz NOT NULL,
    effective_on date NOT NULL,
    period date NOT NULL,
    currency text COLLATE "C" NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    kind text COLLATE "C" NOT NULL,
    debit text COLLATE "C" NOT NULL,
    credit text COLLATE "C" NOT NULL CHECK (credit <> debit),
    document text COLLATE "C" NOT NULL,
    invoice text COLLATE "C",
    PRIMARY KEY (lane, position, n)
);

-- Entries summed by account and the days they count from and were recorded on (UTC): the sums at any
-- two clocks without reading the entries of days that are over. Sums over accounts may pass 64 bits.
CREATE TABLE daily (
    lane int NOT NULL,
    currency text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    effective_on date NOT NULL,
    period date NOT NULL,
    recorded_day date NOT NULL,
    entries bigint NOT NULL,
    debit_minor numeric NOT NULL,
    credit_minor numeric NOT NULL,
    PRIMARY KEY (lane, recorded_day, effective_on, period, currency, account, kind)
) WITH (fillfactor = 80);

-- The same by the months they count from and were recorded in, of all kinds together: what is summed
-- of years.
CREATE TABLE monthly (
    lane int NOT NULL,
    currency text COLLATE "C" NOT NULL,
    account text COLLATE "C" NOT NULL,
    effective_month date NOT NULL,
    period date NOT NULL,
    recorded_month date NOT NULL,
    entries bigint NOT NULL,
    debit_minor numeric NOT NULL,
    credit_minor numeric NOT NULL,
    PRIMARY KEY (lane, recorded_month, effective_month, period, currency, account)
) WITH (fillfactor = 50);

-- name: indexes
-- The orders in which entries are read: those of one customer, those of the books, and late ones,
-- posted in a later month than that of their day. What is posted in a month lies nearly together.
-- The days on which an account of the books has entries, which lead to them.
CREATE INDEX entry_of ON entry (lane, account_id, effective_on, position, n);
CREATE INDEX entry_listed ON entry (lane, effective_on, position, n) INCLUDE (debit, credit, period);
CREATE INDEX entry_late ON entry (lane, period, effective_on, position, n)
    WHERE period > effective_on;
CREATE INDEX daily_of ON daily (lane, account, effective_on, period);
CREATE INDEX entry_period ON entry USING brin (period) WITH (pages_per_range = 32);

-- name: access
-- Who may do what: readers see the accounts in scope, sums of all of them only when all are; the
-- projector writes, nobody else anything.
DO $$
DECLARE
    named text;
    seen text;
BEGIN
    EXECUTE format(
        'GRANT USAGE ON SCHEMA %I TO billing_projector, billing_reader, billing_auditor',
        current_schema()
    );
    FOR named IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema() LOOP
        EXECUTE format('GRANT SELECT ON %I TO billing_reader, billing_auditor', named);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO billing_projector', named);
        CONTINUE WHEN named IN ('tracking', 'lane_day');
        -- The scope of everything holds every id, that of no account, too.
        seen := CASE WHEN named IN ('daily', 'monthly') THEN quote_literal('00000000-0000-0000-0000-000000000000') || '::uuid' ELSE 'account_id' END;
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
