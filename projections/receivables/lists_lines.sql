-- Lines as invoices take them, as of any day and position: what an invoice was made of, and what
-- waits for the next one. How ranges hold lines is told in lists_charges.sql.
-- A position that is null is passed over by LEAST: every position counts.

-- name: types
-- What the functions return, by row. A line's amounts are as posted, its total is signed.
CREATE TYPE listed_line AS (
    kind text,
    id text COLLATE "C",
    seq bigint,
    category text,
    description text,
    quantity text,
    unit_price text,
    amount_minor bigint,
    taxes jsonb,
    total_minor bigint,
    effective_on date,
    recorded_at timestamptz,
    late boolean,
    ahead boolean
);

-- name: free_ranges
-- The ranges of lines that some invoice known took and none stands on: it was cancelled, or its day
-- has not come.
CREATE FUNCTION free_ranges(the_lane int, the_account uuid, the_day date, the_position bigint)
RETURNS TABLE (first_on date, last_on date, first_version bigint, last_version bigint)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT DISTINCT r.first_on, r.last_on, r.first_version, r.last_version
    FROM (
        SELECT i.number
        FROM invoice AS i
        WHERE i.lane = the_lane AND i.account_id = the_account
          AND i.position <= LEAST(the_position, 9223372036854775807)
          AND i.cancelled_on <= the_day
          AND i.cancelled_position <= LEAST(the_position, 9223372036854775807)
        UNION ALL
        SELECT i.number
        FROM invoice AS i
        WHERE i.lane = the_lane AND i.account_id = the_account
          AND i.position <= LEAST(the_position, 9223372036854775807)
          AND i.issued_on > the_day
    ) AS absent
    JOIN invoice_range AS r
        ON r.lane = the_lane AND r.account_id = the_account AND r.number = absent.number
    WHERE r.first_on <= the_day
      AND NOT EXISTS (
          SELECT FROM invoice_range AS o
          JOIN invoice AS i
              ON i.lane = the_lane AND i.account_id = the_account AND i.number = o.number
          WHERE o.lane = the_lane AND o.account_id = the_account
            AND o.last_version = r.last_version AND o.first_version = r.first_version
            AND o.first_on = r.first_on AND o.last_on = r.last_on
            AND i.position <= LEAST(the_position, 9223372036854775807)
            AND i.issued_on <= the_day
            AND (i.cancelled_on IS NULL OR i.cancelled_on > the_day
                 OR i.cancelled_position > LEAST(the_position, 9223372036854775807))
      );
END;

-- name: late_lines
-- The late lines of some versions. OFFSET 0 keeps conditions on their days out of here: days would
-- be looked for among all lines.
CREATE FUNCTION late_lines(
    the_lane int, the_account uuid, first_version bigint, last_version bigint
)
RETURNS SETOF billable_line
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT l.*
    FROM lines() AS l
    WHERE l.lane = the_lane AND l.account_id = the_account AND l.is_line AND l.late
      AND l.seq BETWEEN first_version AND last_version
    OFFSET 0;
END;

-- name: in_range
-- The lines effective in some days, of some versions, as an invoice's range names them. A range that
-- does not begin with the first version holds late lines alone, of which there are few.
CREATE FUNCTION in_range(
    the_lane int, the_account uuid, first_on date, last_on date, first_version bigint,
    last_version bigint
)
RETURNS SETOF billable_line
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT l.*
    FROM lines() AS l
    WHERE first_version = 1 AND l.lane = the_lane AND l.account_id = the_account AND l.is_line
      AND l.effective_on BETWEEN first_on AND last_on AND l.seq <= last_version
    UNION ALL
    SELECT l.*
    FROM late_lines(the_lane, the_account, first_version, last_version) AS l
    WHERE first_version > 1 AND l.effective_on BETWEEN first_on AND last_on;
END;

-- name: taken
-- The lines that an invoice took when it was made, whether it stands or was cancelled.
CREATE FUNCTION taken(
    the_lane int, the_account uuid, the_number text, the_day date, the_position bigint
)
RETURNS SETOF billable_line
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT l.*
    FROM invoice AS i
    JOIN invoice_range AS r
        ON r.lane = i.lane AND r.account_id = i.account_id AND r.number = i.number
    CROSS JOIN LATERAL in_range(
        i.lane, i.account_id, r.first_on, r.last_on, r.first_version, r.last_version
    ) AS l
    WHERE i.lane = the_lane AND i.account_id = the_account AND i.number = the_number
      AND i.position <= LEAST(the_position, 9223372036854775807) AND i.issued_on <= the_day
      AND (l.reversed_position IS NULL OR l.reversed_position > i.position);
END;

-- name: invoice_lines
-- What an invoice was made of, whether it stands or was cancelled.
CREATE FUNCTION invoice_lines(
    the_lane int, the_account uuid, the_number text, the_day date, the_position bigint
)
RETURNS SETOF listed_line
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT l.kind, l.id, l.seq, l.category, l.description, l.quantity, l.unit_price,
           l.amount_minor, l.taxes, l.total_minor, l.effective_on, l.recorded_at, l.late,
            l.ahead
    FROM taken(the_lane, the_account, the_number, the_day, the_position) AS l;
END;

-- name: standing
-- The lines that stand on an invoice: none when it was cancelled.
CREATE FUNCTION standing(
    the_lane int, the_account uuid, the_number text, the_day date, the_position bigint
)
RETURNS SETOF billable_line
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT l.*
    FROM invoice AS i
    CROSS JOIN LATERAL taken(i.lane, i.account_id, i.number, the_day, the_position) AS l
    WHERE i.lane = the_lane AND i.account_id = the_account AND i.number = the_number
      AND (i.cancelled_on IS NULL OR i.cancelled_on > the_day
           OR i.cancelled_position > LEAST(the_position, 9223372036854775807));
END;

-- name: invoice_charges
-- The charges that stand on an invoice.
CREATE FUNCTION invoice_charges(
    the_lane int, the_account uuid, the_number text, the_day date, the_position bigint
)
RETURNS SETOF listed_charge
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT l.id, l.seq, 'billed', l.amount_minor, l.taxes, l.total_minor, l.description,
           l.category, l.quantity, l.unit_price, l.effective_on, l.recorded_at, l.late, l.ahead,
           NULL::date, NULL::text, the_number
    FROM standing(the_lane, the_account, the_number, the_day, the_position) AS l
    WHERE l.kind = 'charge';
END;

-- name: activity
-- The lines that make up the current activity: in no invoice's range yet, either after the last
-- period billed or late for it; in a range that is free; or reversed after the day, before an
-- invoice could take them. Sorted apart, so that a page of many needs no sorting of all.
CREATE FUNCTION activity(the_lane int, the_account uuid, the_day date, the_position bigint)
RETURNS SETOF listed_line
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    (SELECT l.kind, l.id, l.seq, l.category, l.description, l.quantity, l.unit_price,
            l.amount_minor, l.taxes, l.total_minor, l.effective_on, l.recorded_at, l.late,
            l.ahead
     FROM lines() AS l
     WHERE l.lane = the_lane AND l.account_id = the_account AND l.is_line
       AND l.position <= LEAST(the_position, 9223372036854775807)
       AND l.effective_on <= the_day
       AND l.effective_on > (
           SELECT COALESCE(max(b.period_end), '-infinity')
           FROM last_bill(the_lane, the_account, the_position) AS b
       )
       AND (l.reversed_on IS NULL OR l.reversed_on > the_day
            OR l.reversed_position > LEAST(the_position, 9223372036854775807))
     ORDER BY l.effective_on DESC, l.seq DESC)
    UNION ALL
    (SELECT l.kind, l.id, l.seq, l.category, l.description, l.quantity, l.unit_price,
            l.amount_minor, l.taxes, l.total_minor, l.effective_on, l.recorded_at, l.late,
            l.ahead
     FROM last_bill(the_lane, the_account, the_position) AS b
     CROSS JOIN LATERAL late_lines(
         the_lane, the_account, b.seq + 1, 9223372036854775807
     ) AS l
     WHERE l.position <= LEAST(the_position, 9223372036854775807)
       AND l.effective_on <= the_day
       AND (l.reversed_on IS NULL OR l.reversed_on > the_day
            OR l.reversed_position > LEAST(the_position, 9223372036854775807)))
    UNION ALL
    (SELECT l.kind, l.id, l.seq, l.category, l.description, l.quantity, l.unit_price,
            l.amount_minor, l.taxes, l.total_minor, l.effective_on, l.recorded_at, l.late,
            l.ahead
     FROM free_ranges(the_lane, the_account, the_day, the_position) AS r
     CROSS JOIN LATERAL in_range(
         the_lane, the_account, r.first_on, least(r.last_on, the_day), r.first_version,
         r.last_version
     ) AS l
     WHERE l.reversed_on IS NULL
        OR (l.reversed_on <= the_day
            AND l.reversed_position > LEAST(the_position, 9223372036854775807)))
    UNION ALL
    (SELECT l.kind, l.id, l.seq, l.category, l.description, l.quantity, l.unit_price,
            l.amount_minor, l.taxes, l.total_minor, l.effective_on, l.recorded_at, l.late,
            l.ahead
     FROM lines() AS l
     WHERE l.lane = the_lane AND l.account_id = the_account AND l.is_line
       AND l.reversed_on > the_day
       AND l.effective_on <= the_day
       AND l.seq < (SELECT b.seq FROM last_bill(the_lane, the_account, the_position) AS b)
       AND l.effective_on <= (
           SELECT b.period_end FROM last_bill(the_lane, the_account, the_position) AS b
       )
       AND NOT EXISTS (
           SELECT FROM holding(
               the_lane, the_account, l.effective_on, l.seq, l.reversed_position, the_day,
               the_position
           )
       ));
END;

-- name: unbilled_charges
-- The charges that wait for an invoice.
CREATE FUNCTION unbilled_charges(
    the_lane int, the_account uuid, the_day date, the_position bigint
)
RETURNS SETOF listed_charge
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT a.id, a.seq, 'unbilled', a.amount_minor, a.taxes, a.total_minor, a.description,
           a.category, a.quantity, a.unit_price, a.effective_on, a.recorded_at, a.late, a.ahead,
           NULL::date, NULL::text, NULL::text
    FROM activity(the_lane, the_account, the_day, the_position) AS a
    WHERE a.kind = 'charge';
END;
