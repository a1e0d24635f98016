-- What an account owes and why: everything people look at, moved together by one follower.
-- Names are unqualified: the same statements make the live schema and the one a rebuild fills.
-- Every primary key and unique constraint starts with lane. Amounts are minor units.

-- name: tables
-- The tables; `version` is the last version of the account that changed the row, `position` and
-- `recorded_at` are those of the event that made it, `seq` is the version that made it.
CREATE TABLE account (
    lane int NOT NULL,
    account_id uuid NOT NULL,
    account_number text COLLATE "C" NOT NULL,
    client_id text COLLATE "C",
    company text NOT NULL,
    country text NOT NULL,
    currency text COLLATE "C" NOT NULL,
    opened_on date NOT NULL,
    first_position bigint NOT NULL,
    closed_on date,
    closed_position bigint,
    version bigint NOT NULL,
    position bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    open_minor bigint NOT NULL,
    unapplied_minor bigint NOT NULL,
    unbilled_minor bigint NOT NULL,
    pending_minor bigint NOT NULL,
    messages bigint NOT NULL,
    PRIMARY KEY (lane, account_id)
) WITH (fillfactor = 80);

-- Settings from a day on; the opening gives all of them, a change those that are not null.
CREATE TABLE setting (
    lane int NOT NULL,
    account_id uuid NOT NULL,
    version bigint NOT NULL,
    position bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    effective_on date NOT NULL,
    invoice_delivery text COLLATE "C",
    delivery_channel text COLLATE "C",
    payment_method text COLLATE "C",
    language text COLLATE "C",
    billing_cycle jsonb,
    terms jsonb,
    PRIMARY KEY (lane, account_id, version)
);

-- Invoices, and the debit items that returned payments left. `moved_on` and `moved_position` are
-- the latest day and position at which what is open or flagged of it changed.
CREATE TABLE invoice (
    lane int NOT NULL,
    account_id uuid NOT NULL,
    number text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('invoice', 'debit')),
    seq bigint NOT NULL,
    position bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    version bigint NOT NULL,
    period_start date,
    period_end date,
    issued_on date NOT NULL,
    due_on date NOT NULL,
    lines_count bigint NOT NULL,
    charges_minor bigint NOT NULL,
    credits_minor bigint NOT NULL,
    tax_minor bigint NOT NULL,
    carried_minor bigint NOT NULL,
    total_minor bigint NOT NULL,
    categories jsonb NOT NULL,
    taxes jsonb NOT NULL,
    open_minor bigint NOT NULL,
    flagged_minor bigint NOT NULL,
    disputed_minor bigint NOT NULL
        GENERATED ALWAYS AS (greatest(least(open_minor, flagged_minor), 0)) STORED,
    written_off_minor bigint NOT NULL,
    carried_left_minor bigint NOT NULL,
    moved_on date NOT NULL,
    moved_position bigint NOT NULL,
    cancelled_on date,
    cancelled_position bigint,
    cancelled_reason text,
    status text COLLATE "C" NOT NULL GENERATED ALWAYS AS (
        CASE
            WHEN cancelled_on IS NOT NULL THEN 'cancelled'
            WHEN open_minor <> 0 THEN 'open'
            WHEN written_off_minor > 0 THEN 'written_off'
            ELSE 'paid'
        END
    ) STORED,
    PRIMARY KEY (lane, account_id, number)
) WITH (fillfactor = 80);

-- Lines an invoice took: charges and credits for the next invoice, effective in the days and of
-- the versions given. No line's row changes when it is billed.
CREATE TABLE invoice_range (
    lane int NOT NULL,
    account_id uuid NOT NULL,
    number text COLLATE "C" NOT NULL,
    n int NOT NULL,
    first_on date NOT NULL,
    last_on date NOT NULL,
    first_version bigint NOT NULL,
    last_version bigint NOT NULL,
    PRIMARY KEY (lane, account_id, number, n)
);

CREATE TABLE charge (
    lane int NOT NULL,
    account_id uuid NOT NULL,
    charge_id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    position bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    version bigint NOT NULL,
    effective_on date NOT NULL,
    amount_minor bigint NOT NULL,
    taxes jsonb NOT NULL,
    total_minor bigint NOT NULL,
    category text NOT NULL,
    description text NOT NULL,
    quantity text COLLATE "C",
    unit_price text COLLATE "C",
    late boolean NOT NULL,
    ahead boolean NOT NULL,
    reversed_on date,
    reversed_position bigint,
    reason text,
    PRIMARY KEY (lane, account_id, charge_id)
);

CREATE TABLE payment (
    lane int NOT NULL,
    account_id uuid NOT NULL,
    payment_id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    position bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    version bigint NOT NULL,
    pay text COLLATE "C" NOT NULL,
    invoice text COLLATE "C",
    method text COLLATE "C" NOT NULL,
    amount_minor bigint NOT NULL,
    submitted_on date NOT NULL,
    stage text COLLATE "C" NOT NULL CHECK (stage IN ('pending', 'processed', 'failed')),
    processed_on date,
    effective_on date NOT NULL GENERATED ALWAYS AS (COALESCE(processed_on, submitted_on)) STORED,
    processed_seq bigint,
    processed_minor bigint NOT NULL,
    returned_minor bigint NOT NULL,
    refunded_minor bigint NOT NULL,
    unapplied_minor bigint NOT NULL,
    reference text,
    reason text,
    status text COLLATE "C" NOT NULL GENERATED ALWAYS AS (
        CASE WHEN returned_minor > 0 THEN 'returned' ELSE stage END
    ) STORED,
    PRIMARY KEY (lane, account_id, payment_id)
) WITH (fillfactor = 80);

-- What became of each payment, step by step, for reading it as of a day. `received_minor` is what
-- the step adds to the money kept of it: processed and reinstated, less unprocessed and returned.
CREATE TABLE payment_step (
    lane int NOT NULL,
    account_id uuid NOT NULL,
    version bigint NOT NULL,
    position bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    payment_id text COLLATE "C" NOT NULL,
    step text COLLATE "C" NOT NULL CHECK (step IN (
        'submitted', 'processed', 'failed', 'returned', 'reinstated', 'unprocessed', 'reallocated'
    )),
    effective_on date NOT NULL,
    amount_minor bigint NOT NULL,
    received_minor bigint NOT NULL,
    reference text,
    reason text,
    PRIMARY KEY (lane, account_id, version)
);

CREATE TABLE credit (
    lane int NOT NULL,
    account_id uuid NOT NULL,
    credit_id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    position bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    version bigint NOT NULL,
    effective_on date NOT NULL,
    amount_minor bigint NOT NULL,
    taxes jsonb NOT NULL,
    total_minor bigint NOT NULL,
    applies_to text COLLATE "C" NOT NULL,
    invoice text COLLATE "C",
    dispute_id text COLLATE "C",
    reason text NOT NULL,
    refunded_minor bigint NOT NULL,
    unapplied_minor bigint NOT NULL,
    reversed_on date,
    reversed_position bigint,
    reversed_reason text,
    PRIMARY KEY (lane, account_id, credit_id)
) WITH (fillfactor = 80);

-- Money or credit put on invoices, and (negative) taken off again. A row belongs to the allocation
-- `made_version`.`made_n`: its own version and place when it makes one.
CREATE TABLE allocation (
    lane int NOT NULL,
    account_id uuid NOT NULL,
    version bigint NOT NULL,
    n int NOT NULL,
    position bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    effective_on date NOT NULL,
    source text COLLATE "C" NOT NULL,
    invoice text COLLATE "C" NOT NULL,
    amount_minor bigint NOT NULL,
    recovered_minor bigint NOT NULL,
    made_version bigint NOT NULL,
    made_n int NOT NULL,
    PRIMARY KEY (lane, account_id, version, n)
);

CREATE TABLE refund (
    lane int NOT NULL,
    account_id uuid NOT NULL,
    refund_id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    position bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    version bigint NOT NULL,
    effective_on date NOT NULL,
    amount_minor bigint NOT NULL,
    payment_id text COLLATE "C",
    method text COLLATE "C" NOT NULL,
    reason text NOT NULL,
    drawn jsonb NOT NULL,
    reversed_on date,
    reversed_position bigint,
    reversed_reason text,
    PRIMARY KEY (lane, account_id, refund_id)
);

-- `reversed_minor`: what of it was still written off when it was reversed; the rest was recovered.
CREATE TABLE write_off (
    lane int NOT NULL,
    account_id uuid NOT NULL,
    write_off_id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    position bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    version bigint NOT NULL,
    effective_on date NOT NULL,
    invoice text COLLATE "C" NOT NULL,
    amount_minor bigint NOT NULL,
    reason text NOT NULL,
    reversed_on date,
    reversed_position bigint,
    reversed_minor bigint,
    reversed_reason text,
    PRIMARY KEY (lane, account_id, write_off_id)
);

CREATE TABLE dispute (
    lane int NOT NULL,
    account_id uuid NOT NULL,
    dispute_id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    position bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    version bigint NOT NULL,
    effective_on date NOT NULL,
    invoice text COLLATE "C" NOT NULL,
    amount_minor bigint NOT NULL,
    reason text NOT NULL,
    outcome text COLLATE "C",
    credit_id text COLLATE "C",
    resolved_on date,
    resolved_position bigint,
    PRIMARY KEY (lane, account_id, dispute_id)
);

CREATE TABLE message (
    lane int NOT NULL,
    account_id uuid NOT NULL,
    message_id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    position bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    effective_on date NOT NULL,
    digest text COLLATE "C" NOT NULL,
    PRIMARY KEY (lane, account_id, message_id)
);

-- Every movement of every event, in order; an event that moves nothing has one row of figure
-- 'none', so that the table also tells which version was known at a position.
CREATE TABLE movement (
    lane int NOT NULL,
    account_id uuid NOT NULL,
    position bigint NOT NULL,
    n int NOT NULL,
    version bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    effective_on date NOT NULL,
    figure text COLLATE "C" NOT NULL,
    item text COLLATE "C" NOT NULL,
    amount_minor bigint NOT NULL,
    PRIMARY KEY (lane, account_id, position, n)
);

-- Movements summed by the day they count from and the day (UTC) they were recorded on: the sums
-- at any two clocks without reading the movements of days that are over.
CREATE TABLE daily (
    lane int NOT NULL,
    account_id uuid NOT NULL,
    effective_on date NOT NULL,
    recorded_day date NOT NULL,
    version bigint NOT NULL,
    open_minor bigint NOT NULL,
    unapplied_minor bigint NOT NULL,
    unbilled_minor bigint NOT NULL,
    pending_minor bigint NOT NULL,
    flagged_minor bigint NOT NULL,
    PRIMARY KEY (lane, account_id, effective_on, recorded_day)
) WITH (fillfactor = 90);
