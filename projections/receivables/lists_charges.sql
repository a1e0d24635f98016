-- What was charged, and which invoice it stands on, as of any day and position.
--
-- An invoice takes lines by ranges of days and versions. The ranges of all invoices lie side by
-- side, and whoever takes the lines of a cancelled invoice takes its ranges as they were: so the
-- first range that holds a line tells all others that do. A line reversed before an invoice was made
-- lies in its range, but was not taken.
-- A position that is null is passed over by LEAST: every position counts.

-- name: types
-- What the functions return, by row. A line's amounts are as posted, its total is signed.
CREATE TYPE billable_line AS (
    lane int,
    account_id uuid,
    is_line boolean,
    kind text,
    id text COLLATE "C",
    seq bigint,
    position bigint,
    recorded_at timestamptz,
    effective_on date,
    category text,
    description text,
    quantity text,
    unit_price text,
    amount_minor bigint,
    taxes jsonb,
    total_minor bigint,
    late boolean,
    ahead boolean,
    reversed_on date,
    reversed_position bigint,
    reason text
);
CREATE TYPE listed_charge AS (
    charge_id text COLLATE "C",
    seq bigint,
    status text,
    amount_minor bigint,
    taxes jsonb,
    total_minor bigint,
    description text,
    category text,
    quantity text,
    unit_price text,
    effective_on date,
    recorded_at timestamptz,
    late boolean,
    ahead boolean,
    reversed_on date,
    reason text,
    invoice text COLLATE "C"
);

-- name: last_bill
-- The invoice made last of those known: up to its version and its period's end, every line lies in
-- some invoice's range.
CREATE FUNCTION last_bill(the_lane int, the_account uuid, the_position bigint)
RETURNS TABLE (seq bigint, period_end date)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT i.seq, i.period_end
    FROM invoice AS i
    WHERE i.lane = the_lane AND i.account_id = the_account AND i.kind = 'invoice'
      AND i.position <= LEAST(the_position, 9223372036854775807)
    ORDER BY i.position DESC
    LIMIT 1;
END;

-- name: lines
-- What an invoice can take: charges, and credits where is_line. The caller names lane and account;
-- a condition in here would keep the order of an index from getting through.
CREATE FUNCTION lines()
RETURNS SETOF billable_line
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT c.lane, c.account_id, true, 'charge', c.charge_id, c.seq, c.position, c.recorded_at,
           c.effective_on, c.category, c.description, c.quantity, c.unit_price, c.amount_minor,
           c.taxes, c.total_minor, c.late, c.ahead, c.reversed_on, c.reversed_position, c.reason
    FROM charge AS c
    UNION ALL
    SELECT k.lane, k.account_id, k.applies_to = 'next_invoice', 'credit', k.credit_id, k.seq,
           k.position, k.recorded_at, k.effective_on, NULL::text, k.reason, NULL::text, NULL::text,
           k.amount_minor, k.taxes, -k.total_minor,
           COALESCE(
               (SELECT b.period_end >= k.effective_on
                FROM last_bill(k.lane, k.account_id, k.position) AS b),
               false
           ),
           false, k.reversed_on, k.reversed_position, k.reversed_reason
    FROM credit AS k;
END;

-- name: holding
-- The invoice that a line effective on a day, of a version, stands on; no row when it stands on none.
CREATE FUNCTION holding(
    the_lane int, the_account uuid, line_on date, line_seq bigint, reversed_position bigint,
    the_day date, the_position bigint
)
RETURNS TABLE (number text)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT i.number
    FROM (
        SELECT r.first_on, r.last_on, r.first_version, r.last_version
        FROM invoice_range AS r
        WHERE r.lane = the_lane AND r.account_id = the_account
          AND r.last_version >= line_seq AND r.first_version <= line_seq
          AND r.first_on <= line_on AND r.last_on >= line_on
        ORDER BY r.last_version
        LIMIT 1
    ) AS first
    JOIN invoice_range AS r
        ON r.lane = the_lane AND r.account_id = the_account
        AND r.last_version = first.last_version AND r.first_version = first.first_version
        AND r.first_on = first.first_on AND r.last_on = first.last_on
    JOIN invoice AS i
        ON i.lane = the_lane AND i.account_id = the_account AND i.number = r.number
    WHERE i.position <= LEAST(the_position, 9223372036854775807) AND i.issued_on <= the_day
      AND (i.cancelled_on IS NULL OR i.cancelled_on > the_day
           OR i.cancelled_position > LEAST(the_position, 9223372036854775807))
      AND (reversed_position IS NULL OR reversed_position > i.position);
END;

-- name: charges
-- The charges of an account, with the invoice they stand on.
CREATE FUNCTION charges(the_lane int, the_account uuid, the_day date, the_position bigint)
RETURNS SETOF listed_charge
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT c.charge_id, c.seq,
           CASE
               WHEN c.reversed_on <= the_day
                    AND c.reversed_position <= LEAST(the_position, 9223372036854775807)
               THEN 'reversed'
               WHEN h.number IS NOT NULL THEN 'billed'
               ELSE 'unbilled'
           END,
           c.amount_minor, c.taxes, c.total_minor, c.description, c.category, c.quantity,
           c.unit_price, c.effective_on, c.recorded_at, c.late, c.ahead,
           CASE
               WHEN c.reversed_on <= the_day
                    AND c.reversed_position <= LEAST(the_position, 9223372036854775807)
               THEN c.reversed_on
           END,
           CASE
               WHEN c.reversed_on <= the_day
                    AND c.reversed_position <= LEAST(the_position, 9223372036854775807)
               THEN c.reason
           END,
           h.number
    FROM charge AS c
    LEFT JOIN LATERAL holding(
        c.lane, c.account_id, c.effective_on, c.seq, c.reversed_position, the_day, the_position
    ) AS h ON true
    WHERE c.lane = the_lane AND c.account_id = the_account
      AND c.position <= LEAST(the_position, 9223372036854775807)
      AND c.effective_on <= the_day;
END;

-- name: reversed_charges
-- The charges that were reversed.
CREATE FUNCTION reversed_charges(
    the_lane int, the_account uuid, the_day date, the_position bigint
)
RETURNS SETOF listed_charge
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT c.charge_id, c.seq, 'reversed', c.amount_minor, c.taxes, c.total_minor, c.description,
           c.category, c.quantity, c.unit_price, c.effective_on, c.recorded_at, c.late, c.ahead,
           c.reversed_on, c.reason, NULL::text
    FROM charge AS c
    WHERE c.lane = the_lane AND c.account_id = the_account
      AND c.reversed_on <= the_day
      AND c.reversed_position <= LEAST(the_position, 9223372036854775807);
END;
