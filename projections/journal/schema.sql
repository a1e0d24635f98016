-- The journal: what every event debits and credits, and sums of it by day.
-- Names are unqualified: the same statements make the live schema and the one a rebuild fills.
-- Every primary key and unique constraint starts with lane. Amounts are minor units.

-- name: tables
-- The tables. A posting period is the first day of its month.
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
