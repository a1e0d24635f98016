-- What an export reads of the journal, at a position of every lane. None of it changes any more once
-- it was recorded, so a transaction for each page sees what one for all of them would.

-- name: reached
-- By lane, the last position that all views have reached, null of a lane where one has none; and how many
-- accounts stand still.
SELECT array_agg(
           CASE WHEN j.position <= r.position THEN j.position
                WHEN j.position > r.position THEN r.position
           END ORDER BY n
       ),
       GREATEST(
           (SELECT count(*) FROM journal.parked AS p),
           (SELECT count(*) FROM receivables.parked AS p)
       )
FROM generate_series(0, 63) AS n
LEFT JOIN journal.tracking AS j ON j.lane = n
LEFT JOIN receivables.tracking AS r ON r.lane = n;

-- name: scope
-- Every account may be read until the transaction ends.
SELECT set_config('billing.scope', '*', true);

-- name: sums
-- What each account of the books moved by in each month, and (null) before the first; and how many
-- entries that were, each counted at both of its accounts.
SELECT s.currency, s.account, CASE WHEN s.period >= %(first)b::date THEN s.period END AS month,
       sum(s.debit_minor - s.credit_minor) AS moved_minor, sum(s.entries) AS sides
FROM journal.sums(%(positions)b::bigint[], NULL, NULL) AS s
WHERE s.period <= %(last)b::date
GROUP BY s.currency, s.account, month
ORDER BY s.currency, s.account, month NULLS FIRST;

-- name: stretches
-- By month and lane, whether any of the month's entries are late, and any not.
SELECT s.period, s.lane, bool_or(s.effective_on < s.period), bool_or(s.effective_on >= s.period)
FROM journal.sums(%(positions)b::bigint[], NULL, NULL) AS s
WHERE s.period BETWEEN %(first)b::date AND %(last)b::date
GROUP BY s.period, s.lane
ORDER BY s.period, s.lane;

-- name: in_order
-- Pages are read in the order of an index until the transaction ends: the planner takes what is left of
-- a lane for little, and would sort all of it for every page.
SELECT set_config('enable_sort', 'off', true), set_config('enable_bitmapscan', 'off', true);

-- name: late
-- A page of a lane's entries that are posted in a month later than that of their day.
SELECT p.lane, p.position, p.n, p.recorded_at, p.effective_on, p.currency, p.amount_minor, p.kind,
       p.debit, p.credit, p.document, p.invoice, a.account_number
FROM (
    SELECT e.lane, e.position, e.n, e.account_id, e.recorded_at, e.effective_on, e.currency,
           e.amount_minor, e.kind, e.debit, e.credit, e.document, e.invoice
    FROM journal.entry AS e
    WHERE e.lane = %(lane)b AND e.period = %(month)b::date AND e.period > e.effective_on
      AND (e.effective_on, e.position, e.n) > (%(day)b::date, %(position)b::bigint, %(n)b::int)
      AND e.effective_on <= %(last_on)b::date AND e.position <= %(upto)b::bigint
    ORDER BY e.effective_on, e.position, e.n
    LIMIT %(limit)b
) AS p
JOIN journal.account AS a ON a.lane = p.lane AND a.account_id = p.account_id
ORDER BY p.effective_on, p.position, p.n;

-- name: timely
-- A page of a lane's entries that are posted in the month of their day.
SELECT p.lane, p.position, p.n, p.recorded_at, p.effective_on, p.currency, p.amount_minor, p.kind,
       p.debit, p.credit, p.document, p.invoice, a.account_number
FROM (
    SELECT e.lane, e.position, e.n, e.account_id, e.recorded_at, e.effective_on, e.currency,
           e.amount_minor, e.kind, e.debit, e.credit, e.document, e.invoice
    FROM journal.entry AS e
    WHERE e.lane = %(lane)b AND e.period = %(month)b::date
      AND (e.effective_on, e.position, e.n) > (%(day)b::date, %(position)b::bigint, %(n)b::int)
      AND e.effective_on <= %(last_on)b::date AND e.position <= %(upto)b::bigint
    ORDER BY e.effective_on, e.position, e.n
    LIMIT %(limit)b
) AS p
JOIN journal.account AS a ON a.lane = p.lane AND a.account_id = p.account_id
ORDER BY p.effective_on, p.position, p.n;
