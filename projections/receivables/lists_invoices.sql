-- What became of invoices, as of any day and position: what is open, paid, disputed and written off
-- of them, and the things that made it so.
-- A position that is null is passed over by LEAST: every position counts.

-- name: types
-- What the functions return, by row.
CREATE TYPE listed_invoice AS (
    number text COLLATE "C",
    seq bigint,
    kind text,
    status text,
    period_start date,
    period_end date,
    issued_on date,
    due_on date,
    charges_minor bigint,
    credits_minor bigint,
    tax_minor bigint,
    carried_minor bigint,
    total_minor bigint,
    open_minor bigint,
    disputed_minor bigint,
    written_off_minor bigint,
    lines_count bigint,
    categories jsonb,
    taxes jsonb,
    recorded_at timestamptz,
    cancelled_on date,
    reason text
);
CREATE TYPE listed_write_off AS (
    write_off_id text COLLATE "C",
    seq bigint,
    status text,
    invoice text COLLATE "C",
    amount_minor bigint,
    recovered_minor bigint,
    reversed_minor bigint,
    reason text,
    effective_on date,
    recorded_at timestamptz,
    reversed_on date,
    reversed_reason text
);
CREATE TYPE listed_dispute AS (
    dispute_id text COLLATE "C",
    seq bigint,
    status text,
    invoice text COLLATE "C",
    amount_minor bigint,
    reason text,
    effective_on date,
    recorded_at timestamptz,
    resolved_on date,
    credit_id text COLLATE "C"
);

-- name: recovered
-- What payments have taken back of an invoice's write-offs.
CREATE FUNCTION recovered(
    the_lane int, the_account uuid, the_number text, the_day date, the_position bigint
)
RETURNS TABLE (amount_minor bigint)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT COALESCE(sum(a.recovered_minor), 0)::bigint
    FROM allocation AS a
    WHERE a.lane = the_lane AND a.account_id = the_account AND a.invoice = the_number
      AND a.recovered_minor <> 0 AND a.effective_on <= the_day
      AND a.position <= LEAST(the_position, 9223372036854775807);
END;

-- name: written_off
-- What was written off of an invoice, each write-off less what was reversed of it.
CREATE FUNCTION written_off(
    the_lane int, the_account uuid, the_number text, the_day date, the_position bigint
)
RETURNS TABLE (write_off_id text, seq bigint, amount_minor bigint)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT w.write_off_id, w.seq,
           w.amount_minor
           - CASE
                 WHEN w.reversed_on <= the_day
                      AND w.reversed_position <= LEAST(the_position, 9223372036854775807)
                 THEN w.reversed_minor
                 ELSE 0
             END
    FROM write_off AS w
    WHERE w.lane = the_lane AND w.account_id = the_account AND w.invoice = the_number
      AND w.effective_on <= the_day
      AND w.position <= LEAST(the_position, 9223372036854775807);
END;

-- name: invoices
-- The invoices and debit items of an account. What is open of one that moved after the day or the
-- position is the sum of its movements until then.
CREATE FUNCTION invoices(the_lane int, the_account uuid, the_day date, the_position bigint)
RETURNS SETOF listed_invoice
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT i.number, i.seq, i.kind,
           CASE
               WHEN i.cancelled_on <= the_day
                    AND i.cancelled_position <= LEAST(the_position, 9223372036854775807)
               THEN 'cancelled'
               WHEN was.open_minor <> 0 THEN 'open'
               WHEN was.written_off_minor > 0 THEN 'written_off'
               ELSE 'paid'
           END,
           i.period_start, i.period_end, i.issued_on, i.due_on, i.charges_minor, i.credits_minor,
           i.tax_minor, i.carried_minor, i.total_minor, was.open_minor,
           greatest(least(was.open_minor, was.flagged_minor), 0), was.written_off_minor,
           i.lines_count, i.categories, i.taxes, i.recorded_at,
           CASE
               WHEN i.cancelled_on <= the_day
                    AND i.cancelled_position <= LEAST(the_position, 9223372036854775807)
               THEN i.cancelled_on
           END,
           CASE
               WHEN i.cancelled_on <= the_day
                    AND i.cancelled_position <= LEAST(the_position, 9223372036854775807)
               THEN i.cancelled_reason
           END
    FROM invoice AS i
    CROSS JOIN LATERAL (
        SELECT i.open_minor, i.flagged_minor, i.written_off_minor
        WHERE i.moved_on <= the_day
          AND i.moved_position <= LEAST(the_position, 9223372036854775807)
        UNION ALL
        SELECT COALESCE(sum(m.amount_minor) FILTER (WHERE m.figure = 'open'), 0)::bigint,
               COALESCE(sum(m.amount_minor) FILTER (WHERE m.figure = 'flagged'), 0)::bigint,
               (SELECT COALESCE(sum(w.amount_minor), 0)::bigint
                FROM written_off(
                    i.lane, i.account_id, i.number, the_day, the_position
                ) AS w)
               - (SELECT r.amount_minor
                  FROM recovered(
                      i.lane, i.account_id, i.number, the_day, the_position
                  ) AS r)
        FROM movement AS m
        WHERE m.lane = i.lane AND m.account_id = i.account_id AND m.item = i.number
          AND m.item <> '' AND m.figure IN ('open', 'flagged') AND m.effective_on <= the_day
          AND m.position <= LEAST(the_position, 9223372036854775807)
        HAVING i.moved_on > the_day
            OR i.moved_position > LEAST(the_position, 9223372036854775807)
    ) AS was
    WHERE i.lane = the_lane AND i.account_id = the_account
      AND i.position <= LEAST(the_position, 9223372036854775807)
      AND i.issued_on <= the_day;
END;

-- name: write_offs
-- The write-offs of an account. What payments recovered of an invoice goes to its oldest write-off
-- first, as far as that was not reversed.
CREATE FUNCTION write_offs(the_lane int, the_account uuid, the_day date, the_position bigint)
RETURNS SETOF listed_write_off
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT w.write_off_id, w.seq, CASE WHEN gone.yes THEN 'reversed' ELSE 'issued' END,
           w.invoice, w.amount_minor,
           (SELECT least(greatest(r.amount_minor - before.amount_minor, 0), own.amount_minor)
            FROM recovered(w.lane, w.account_id, w.invoice, the_day, the_position) AS r),
           w.amount_minor - own.amount_minor, w.reason, w.effective_on, w.recorded_at,
           CASE WHEN gone.yes THEN w.reversed_on END,
           CASE WHEN gone.yes THEN w.reversed_reason END
    FROM write_off AS w
    CROSS JOIN LATERAL (
        SELECT w.reversed_on <= the_day
               AND w.reversed_position <= LEAST(the_position, 9223372036854775807) AS yes
    ) AS gone
    CROSS JOIN LATERAL (
        SELECT w.amount_minor - CASE WHEN gone.yes THEN w.reversed_minor ELSE 0 END AS amount_minor
    ) AS own
    CROSS JOIN LATERAL (
        SELECT COALESCE(sum(o.amount_minor), 0)::bigint AS amount_minor
        FROM written_off(w.lane, w.account_id, w.invoice, the_day, the_position) AS o
        WHERE o.seq < w.seq
    ) AS before
    WHERE w.lane = the_lane AND w.account_id = the_account
      AND w.position <= LEAST(the_position, 9223372036854775807)
      AND w.effective_on <= the_day;
END;

-- name: disputes
-- The disputes of an account's invoices: open, upheld or rejected.
CREATE FUNCTION disputes(the_lane int, the_account uuid, the_day date, the_position bigint)
RETURNS SETOF listed_dispute
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT d.dispute_id, d.seq, CASE WHEN over.yes THEN d.outcome ELSE 'open' END, d.invoice,
           d.amount_minor, d.reason, d.effective_on, d.recorded_at,
           CASE WHEN over.yes THEN d.resolved_on END, CASE WHEN over.yes THEN d.credit_id END
    FROM dispute AS d
    CROSS JOIN LATERAL (
        SELECT d.resolved_on <= the_day
               AND d.resolved_position <= LEAST(the_position, 9223372036854775807) AS yes
    ) AS over
    WHERE d.lane = the_lane AND d.account_id = the_account
      AND d.position <= LEAST(the_position, 9223372036854775807)
      AND d.effective_on <= the_day;
END;
