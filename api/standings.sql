-- How the accounts of a region stand at a moment, run as billing_reader for whoever sees the region.
-- `day` and `positions` are the moment (positions null: live); `status` (null: any) is what to be
-- listed means. An account without anything is not listed.

-- name: next_numbers
-- The number of the last of so many accounts past one number, and how many there are.
SELECT max(n.account_number), count(*)
FROM (
    SELECT a.account_number
    FROM receivables.account AS a
    WHERE a.account_number > %(after)b
    ORDER BY a.account_number
    LIMIT %(accounts)b
) AS n;

-- name: page
-- The accounts past one number and not past another, by number, and so many at most.
SELECT s.lane, s.account_number, s.company, s.currency, s.open_items, s.unapplied_minor,
       s.balance_minor, s.total_amount_due_minor, s.available_credit_minor, s.due_on,
       s.past_due_minor, s.days_past_due, s.current_activity_minor, s.pending_payments_minor,
       s.current_minor, s.d1_30_minor, s.d31_60_minor, s.d61_90_minor, s.d91_minor,
       s.disputed_minor, s.oldest_days
FROM receivables.standings(%(day)b, %(positions)b, %(after)b, %(upto)b) AS s
WHERE receivables.is_listed(s, %(status)b)
ORDER BY s.account_number
LIMIT %(limit)b;

-- name: totals
-- The same of all accounts, summed by currency.
SELECT s.currency, count(*) AS accounts, sum(s.open_items) AS open_items,
       sum(s.unapplied_minor) AS unapplied_minor, sum(s.balance_minor) AS balance_minor,
       sum(s.total_amount_due_minor) AS total_amount_due_minor,
       sum(s.available_credit_minor) AS available_credit_minor,
       sum(s.past_due_minor) AS past_due_minor,
       sum(s.current_activity_minor) AS current_activity_minor,
       sum(s.pending_payments_minor) AS pending_payments_minor,
       sum(s.current_minor) AS current_minor, sum(s.d1_30_minor) AS d1_30_minor,
       sum(s.d31_60_minor) AS d31_60_minor, sum(s.d61_90_minor) AS d61_90_minor,
       sum(s.d91_minor) AS d91_minor, sum(s.disputed_minor) AS disputed_minor
FROM receivables.standings(%(day)b, %(positions)b, %(after)b, %(upto)b) AS s
WHERE receivables.is_listed(s, %(status)b)
GROUP BY s.currency
ORDER BY s.currency;
