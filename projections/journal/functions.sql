-- What is read of the journal: sums at any two clocks.

-- name: sums
-- Sums of entries known at a position of every lane (null: all that there are), by account, posting
-- period, and a day that they count from: the first of their month, but for those that the days asked
-- about part it from. Sums of months are read, and of a month whose days before `the_first` or up to
-- `the_last` (null: none) are asked about, the days from there on: each is taken off its month and told
-- by itself. What was recorded in the month of the position is read by day, and by entry on its day.
CREATE FUNCTION sums(the_positions bigint[], the_first date, the_last date)
RETURNS TABLE (
    lane int, currency text, account text, effective_on date, period date,
    entries bigint, debit_minor numeric, credit_minor numeric
)
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    WITH known AS MATERIALIZED (
        SELECT t.lane, p.position, begun.recorded_day, begun.first_position,
               date_trunc('month', begun.recorded_day::timestamp)::date AS recorded_month,
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
    ), parted AS MATERIALIZED (
        SELECT b.month, min(b.day) AS day
        FROM (
            SELECT v.day, date_trunc('month', v.day::timestamp)::date AS month
            FROM (VALUES (the_first), (the_last + 1)) AS v (day)
        ) AS b
        WHERE b.day > b.month
        GROUP BY b.month
    )
    SELECT m.lane, m.currency, m.account, m.effective_month, m.period, m.entries,
           m.debit_minor, m.credit_minor
    FROM known AS k
    JOIN monthly AS m ON m.lane = k.lane AND (k.is_whole OR m.recorded_month < k.recorded_month)
    UNION ALL
    SELECT k.lane, d.currency, of_month.account, moved.effective_on, d.period,
           moved.sign * d.entries, moved.sign * d.debit_minor, moved.sign * d.credit_minor
    FROM known AS k
    CROSS JOIN parted AS p
    CROSS JOIN LATERAL (
        SELECT DISTINCT m.account
        FROM monthly AS m
        WHERE m.lane = k.lane AND m.effective_month = p.month
    ) AS of_month
    CROSS JOIN LATERAL (
        SELECT v.currency, v.effective_on, v.period, v.entries, v.debit_minor, v.credit_minor
        FROM daily AS v
        WHERE v.lane = k.lane AND v.account = of_month.account
          AND v.effective_on >= p.day AND v.effective_on < (p.month + interval '1 month')::date
          AND (k.is_whole OR v.recorded_day < k.recorded_month)
        OFFSET 0
    ) AS d
    CROSS JOIN LATERAL (VALUES (p.month, -1), (d.effective_on, 1)) AS moved (effective_on, sign)
    UNION ALL
    SELECT d.lane, d.currency, d.account, d.effective_on, d.period, d.entries, d.debit_minor,
           d.credit_minor
    FROM known AS k
    JOIN daily AS d
      ON d.lane = k.lane AND d.recorded_day >= k.recorded_month AND d.recorded_day < k.recorded_day
    WHERE NOT k.is_whole
    UNION ALL
    SELECT e.lane, e.currency, side.account, e.effective_on, e.period, 1,
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
