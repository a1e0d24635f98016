-- How the journal is written: arrays of columns in the order of the fields of the rows.

-- name: make_account
-- Accounts that were opened.
INSERT INTO account (lane, account_id, account_number, currency, position)
SELECT given.lane, given.account_id, given.account_number, given.currency, given.position
FROM unnest(%b::int[], %b::uuid[], %b::text[], %b::text[], %b::bigint[])
     AS given (lane, account_id, account_number, currency, position);

-- name: make_entry
-- Entries.
INSERT INTO entry (
    lane, position, n, account_id, recorded_at, effective_on, period, currency, amount_minor, kind,
    debit, credit, document, invoice
)
SELECT given.lane, given.position, given.n, given.account_id, given.recorded_at,
       given.effective_on, given.period, given.currency, given.amount_minor, given.kind,
       given.debit, given.credit, given.document, given.invoice
FROM unnest(
    %b::int[], %b::bigint[], %b::int[], %b::uuid[], %b::timestamptz[], %b::date[], %b::date[],
    %b::text[], %b::bigint[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[]
) AS given (
    lane, position, n, account_id, recorded_at, effective_on, period, currency, amount_minor, kind,
    debit, credit, document, invoice
);

-- name: add_sums
-- Sums that grow by the entries of a batch: those of days are given, those of months come of them.
WITH given AS MATERIALIZED (
    SELECT g.lane, g.currency, g.account, g.kind, g.effective_on, g.period, g.recorded_day, g.entries,
           g.debit_minor::numeric AS debit_minor, g.credit_minor::numeric AS credit_minor
    FROM unnest(
        %b::int[], %b::text[], %b::text[], %b::text[], %b::date[], %b::date[], %b::date[],
        %b::bigint[], %b::text[], %b::text[]
    ) AS g (
        lane, currency, account, kind, effective_on, period, recorded_day, entries, debit_minor,
        credit_minor
    )
), months AS (
    INSERT INTO monthly AS held (
        lane, currency, account, effective_month, period, recorded_month, entries, debit_minor,
        credit_minor
    )
    SELECT g.lane, g.currency, g.account,
           date_trunc('month', g.effective_on::timestamp)::date AS effective_month, g.period,
           date_trunc('month', g.recorded_day::timestamp)::date AS recorded_month,
           sum(g.entries), sum(g.debit_minor), sum(g.credit_minor)
    FROM given AS g
    GROUP BY g.lane, g.currency, g.account, effective_month, g.period, recorded_month
    ON CONFLICT (lane, recorded_month, effective_month, period, currency, account) DO UPDATE
    SET
        entries = held.entries + EXCLUDED.entries,
        debit_minor = held.debit_minor + EXCLUDED.debit_minor,
        credit_minor = held.credit_minor + EXCLUDED.credit_minor
)
INSERT INTO daily AS held (
    lane, currency, account, kind, effective_on, period, recorded_day, entries, debit_minor,
    credit_minor
)
SELECT g.lane, g.currency, g.account, g.kind, g.effective_on, g.period, g.recorded_day, g.entries,
       g.debit_minor, g.credit_minor
FROM given AS g
ON CONFLICT (lane, recorded_day, effective_on, period, currency, account, kind) DO UPDATE
SET
    entries = held.entries + EXCLUDED.entries,
    debit_minor = held.debit_minor + EXCLUDED.debit_minor,
    credit_minor = held.credit_minor + EXCLUDED.credit_minor;

-- name: currencies
-- The currencies of accounts.
SELECT uuid_send(a.account_id), a.currency
FROM unnest(%b::int[], %b::uuid[]) AS asked (lane, account_id)
JOIN account AS a ON a.lane = asked.lane AND a.account_id = asked.account_id
ORDER BY a.lane, a.account_id;

-- name: cuts
-- The months that lanes have been cut off at: the month's first day, and the position.
SELECT c.lane, to_date(c.period, 'YYYY-MM'), c.position
FROM ledger.period_close AS c
WHERE c.lane = ANY (%b::int[])
ORDER BY c.lane, c.position, c.period;

-- name: forget_sums
-- The sums, by day and by month, without the entries of one account.
WITH gone AS MATERIALIZED (
    SELECT side.currency, side.account, side.kind, side.effective_on, side.period,
           side.recorded_day, count(*) AS entries, sum(side.debit_minor) AS debit_minor,
           sum(side.credit_minor) AS credit_minor
    FROM (
        SELECT v.currency, v.debit AS account, v.kind, v.effective_on, v.period,
               (v.recorded_at AT TIME ZONE 'UTC')::date AS recorded_day,
               v.amount_minor AS debit_minor, 0 AS credit_minor
        FROM entry AS v
        WHERE v.lane = %(lane)s AND v.account_id = %(account_id)s
        UNION ALL
        SELECT v.currency, v.credit AS account, v.kind, v.effective_on, v.period,
               (v.recorded_at AT TIME ZONE 'UTC')::date AS recorded_day,
               0 AS debit_minor, v.amount_minor AS credit_minor
        FROM entry AS v
        WHERE v.lane = %(lane)s AND v.account_id = %(account_id)s
    ) AS side
    GROUP BY side.currency, side.account, side.kind, side.effective_on, side.period,
             side.recorded_day
), days AS (
    UPDATE daily AS held
    SET
        entries = held.entries - gone.entries,
        debit_minor = held.debit_minor - gone.debit_minor,
        credit_minor = held.credit_minor - gone.credit_minor
    FROM gone
    WHERE held.lane = %(lane)s AND held.recorded_day = gone.recorded_day
      AND held.effective_on = gone.effective_on AND held.period = gone.period
      AND held.currency = gone.currency AND held.account = gone.account
      AND held.kind = gone.kind
)
UPDATE monthly AS held
SET
    entries = held.entries - gone.entries,
    debit_minor = held.debit_minor - gone.debit_minor,
    credit_minor = held.credit_minor - gone.credit_minor
FROM (
    SELECT g.currency, g.account, date_trunc('month', g.effective_on::timestamp)::date
               AS effective_month,
           g.period, date_trunc('month', g.recorded_day::timestamp)::date AS recorded_month,
           sum(g.entries) AS entries, sum(g.debit_minor) AS debit_minor,
           sum(g.credit_minor) AS credit_minor
    FROM gone AS g
    GROUP BY g.currency, g.account, effective_month, g.period, recorded_month
) AS gone
WHERE held.lane = %(lane)s AND held.recorded_month = gone.recorded_month
  AND held.effective_month = gone.effective_month AND held.period = gone.period
  AND held.currency = gone.currency AND held.account = gone.account;

-- name: forget_empty
-- No sum of a lane's days is of no entries.
DELETE FROM daily WHERE lane = %(lane)s AND entries = 0;

-- name: forget_empty_months
-- Nor one of its months.
DELETE FROM monthly WHERE lane = %(lane)s AND entries = 0;

-- name: forget_entries
-- An account's entries are gone.
DELETE FROM entry WHERE lane = %(lane)s AND account_id = %(account_id)s;

-- name: forget_account
-- An account is gone.
DELETE FROM account WHERE lane = %(lane)s AND account_id = %(account_id)s;
