-- What is read of the journal: sums at any two clocks.

-- name: sums
-- Sums of entries known at a position of every lane (null: all that there are), by account, kind, and
-- the day and posting period they count in; of days that were over by then without reading entries.
CREATE FUNCTION sums(the_positions bigint[])
RETURNS TABLE (
    lane int, currency text, account text, kind text, effective_on date, period date,
    entries bigint, debit_minor numeric, credit_minor numeric
)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    WITH known AS MATERIALIZED (
        SELECT t.lane, p.position, begun.recorded_day, begun.first_position,
               p.position IS NULL OR p.position >= t.position AS is_whole
        FROM tracking AS t
        LEFT JOIN unnest(the_positions) WITH ORDINALITY AS p (position, n) ON p.n = t.lane + 1
        LEFT JOIN LATERAL (
            SELECT d.recorded_day, d.first_position
            FROM lane_day AS d
            WHERE d.lane = t.lane AND d.first_position <= p.position
            ORDER BY d.recorded_day DESC
            LIMIT 1
        ) AS begun ON true
    )
    SELECT d.lane, d.currency, d.account, d.kind, d.effective_on, d.period, d.entries,
           d.debit_minor, d.credit_minor
    FROM known AS k
    JOIN daily AS d ON d.lane = k.lane AND (k.is_whole OR d.recorded_day < k.recorded_day)
    UNION ALL
    SELECT e.lane, e.currency, side.account, e.kind, e.effective_on, e.period, 1,
           side.debit_minor, side.credit_minor
    FROM known AS k
    JOIN entry AS e
      ON e.lane = k.lane AND e.position >= k.first_position AND e.position <= k.position
    CROSS JOIN LATERAL (
        VALUES (e.debit, e.amount_minor::numeric, 0::numeric),
               (e.credit, 0::numeric, e.amount_minor::numeric)
    ) AS side (account, debit_minor, credit_minor)
    WHERE NOT k.is_whole;
END;
