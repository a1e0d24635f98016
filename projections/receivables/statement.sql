-- The statement of an account: every event that changed its balance between two days.
-- A position that is null is passed over by LEAST: every position counts.

-- name: types
-- What the statement returns, by row.
CREATE TYPE statement_line AS (
    effective_on date,
    position bigint,
    n int,
    version bigint,
    kind text,
    reference text COLLATE "C",
    detail text,
    change_minor bigint,
    recorded_at timestamptz
);

-- name: recorded
-- The version and instant of the event at a position; every event has a first movement.
CREATE FUNCTION recorded(the_lane int, the_account uuid, the_position bigint)
RETURNS TABLE (version bigint, recorded_at timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT m.version, m.recorded_at
    FROM movement AS m
    WHERE m.lane = the_lane AND m.account_id = the_account AND m.position = the_position
      AND m.n = 0;
END;

-- name: statement
-- The lines of a statement, unordered: by effective_on, position and n they are in order.
-- `change_minor` is what a line changes the balance by: the balance effective the day before the
-- first, and all lines, make the balance effective on the last. An event has one line, n = 0, but
-- for what its allocations recover of write-offs, each from its own day.
CREATE FUNCTION statement(
    the_lane int, the_account uuid, first_on date, last_on date, the_position bigint
)
RETURNS SETOF statement_line
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT i.issued_on, i.position, 0, i.seq, 'invoice_issued', i.number,
           to_char(i.period_start, 'YYYY-MM-DD') || '/' || to_char(i.period_end, 'YYYY-MM-DD'),
           i.total_minor - i.carried_minor, i.recorded_at
    FROM invoice AS i
    WHERE i.lane = the_lane AND i.account_id = the_account AND i.kind = 'invoice'
      AND i.issued_on BETWEEN first_on AND last_on
      AND i.position <= LEAST(the_position, 9223372036854775807)
      AND i.total_minor <> i.carried_minor
    UNION ALL
    SELECT i.cancelled_on, i.cancelled_position, 0, at.version, 'invoice_cancelled', i.number,
           i.cancelled_reason, i.carried_minor - i.total_minor, at.recorded_at
    FROM invoice AS i
    CROSS JOIN LATERAL recorded(i.lane, i.account_id, i.cancelled_position) AS at
    WHERE i.lane = the_lane AND i.account_id = the_account
      AND i.cancelled_on BETWEEN first_on AND last_on
      AND i.cancelled_position <= LEAST(the_position, 9223372036854775807)
      AND i.total_minor <> i.carried_minor
    UNION ALL
    SELECT s.effective_on, s.position, 0, s.version, 'payment_' || s.step, s.payment_id,
           COALESCE(s.reason, p.method), -s.received_minor, s.recorded_at
    FROM payment_step AS s
    JOIN payment AS p
        ON p.lane = s.lane AND p.account_id = s.account_id AND p.payment_id = s.payment_id
    WHERE s.lane = the_lane AND s.account_id = the_account
      AND s.effective_on BETWEEN first_on AND last_on AND s.received_minor <> 0
      AND s.position <= LEAST(the_position, 9223372036854775807)
    UNION ALL
    SELECT k.effective_on, k.position, 0, k.seq, 'credit_issued', k.credit_id, k.reason,
           -k.total_minor, k.recorded_at
    FROM credit AS k
    WHERE k.lane = the_lane AND k.account_id = the_account AND k.applies_to <> 'next_invoice'
      AND k.effective_on BETWEEN first_on AND last_on AND k.total_minor <> 0
      AND k.position <= LEAST(the_position, 9223372036854775807)
    UNION ALL
    SELECT k.reversed_on, k.reversed_position, 0, at.version, 'credit_reversed', k.credit_id,
           k.reversed_reason, k.total_minor, at.recorded_at
    FROM credit AS k
    CROSS JOIN LATERAL recorded(k.lane, k.account_id, k.reversed_position) AS at
    WHERE k.lane = the_lane AND k.account_id = the_account AND k.applies_to <> 'next_invoice'
      AND k.reversed_on BETWEEN first_on AND last_on AND k.total_minor <> 0
      AND k.reversed_position <= LEAST(the_position, 9223372036854775807)
    UNION ALL
    SELECT r.effective_on, r.position, 0, r.seq, 'refund_issued', r.refund_id, r.reason,
           r.amount_minor, r.recorded_at
    FROM refund AS r
    WHERE r.lane = the_lane AND r.account_id = the_account
      AND r.effective_on BETWEEN first_on AND last_on
      AND r.position <= LEAST(the_position, 9223372036854775807)
    UNION ALL
    SELECT r.reversed_on, r.reversed_position, 0, at.version, 'refund_reversed', r.refund_id,
           r.reversed_reason, -r.amount_minor, at.recorded_at
    FROM refund AS r
    CROSS JOIN LATERAL recorded(r.lane, r.account_id, r.reversed_position) AS at
    WHERE r.lane = the_lane AND r.account_id = the_account
      AND r.reversed_on BETWEEN first_on AND last_on
      AND r.reversed_position <= LEAST(the_position, 9223372036854775807)
    UNION ALL
    SELECT w.effective_on, w.position, 0, w.seq, 'write_off', w.write_off_id, w.reason,
           -w.amount_minor, w.recorded_at
    FROM write_off AS w
    WHERE w.lane = the_lane AND w.account_id = the_account
      AND w.effective_on BETWEEN first_on AND last_on
      AND w.position <= LEAST(the_position, 9223372036854775807)
    UNION ALL
    SELECT w.reversed_on, w.reversed_position, 0, at.version, 'write_off_reversed',
           w.write_off_id, w.reversed_reason, w.reversed_minor, at.recorded_at
    FROM write_off AS w
    CROSS JOIN LATERAL recorded(w.lane, w.account_id, w.reversed_position) AS at
    WHERE w.lane = the_lane AND w.account_id = the_account
      AND w.reversed_on BETWEEN first_on AND last_on
      AND w.reversed_position <= LEAST(the_position, 9223372036854775807)
    UNION ALL
    SELECT a.effective_on, a.position, a.n + 1, a.version, 'write_off_recovered', a.invoice,
           a.source, a.recovered_minor, a.recorded_at
    FROM allocation AS a
    WHERE a.lane = the_lane AND a.account_id = the_account AND a.recovered_minor <> 0
      AND a.effective_on BETWEEN first_on AND last_on
      AND a.position <= LEAST(the_position, 9223372036854775807);
END;
