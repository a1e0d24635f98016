-- What the views say of a lane's part of months whose books were cut off together, run as
-- billing_auditor: of all from that of `since` to that of `first_on`, which is over on `last_on`.

-- name: scope
-- Every account may be read until the transaction ends.
SELECT set_config('billing.scope', '*', true);

-- name: entered
-- By month, currency and account what entries are posted, those of its days and late ones: nothing
-- past the cut is.
SELECT to_char(posted.period, 'YYYY-MM'), posted.currency, side.account,
       sum(side.amount_minor)::text
FROM (
    SELECT e.period, e.currency, e.debit, e.credit, e.amount_minor
    FROM journal.entry AS e
    WHERE e.lane = %(lane)s AND e.effective_on >= %(since)s AND e.effective_on <= %(last_on)s
      AND e.period >= %(since)s AND e.period <= %(first_on)s AND e.period <= e.effective_on
    UNION ALL
    SELECT e.period, e.currency, e.debit, e.credit, e.amount_minor
    FROM journal.entry AS e
    WHERE e.lane = %(lane)s AND e.period >= %(since)s AND e.period <= %(first_on)s
      AND e.period > e.effective_on
) AS posted
CROSS JOIN LATERAL (
    VALUES (posted.debit, posted.amount_minor), (posted.credit, -posted.amount_minor)
) AS side (account, amount_minor)
GROUP BY posted.period, posted.currency, side.account
HAVING sum(side.amount_minor) <> 0
ORDER BY posted.period, posted.currency, side.account;

-- name: summed_by_day
-- The same by the sums of days, which trial balances of a day are read from.
SELECT to_char(d.period, 'YYYY-MM'), d.currency, d.account,
       sum(d.debit_minor - d.credit_minor)::text
FROM journal.daily AS d
WHERE d.lane = %(lane)s AND d.period >= %(since)s AND d.period <= %(first_on)s
GROUP BY d.period, d.currency, d.account
HAVING sum(d.debit_minor - d.credit_minor) <> 0
ORDER BY d.period, d.currency, d.account;

-- name: summed_by_month
-- The same by the sums of months, which trial balances are read from.
SELECT to_char(m.period, 'YYYY-MM'), m.currency, m.account,
       sum(m.debit_minor - m.credit_minor)::text
FROM journal.monthly AS m
WHERE m.lane = %(lane)s AND m.period >= %(since)s AND m.period <= %(first_on)s
GROUP BY m.period, m.currency, m.account
HAVING sum(m.debit_minor - m.credit_minor) <> 0
ORDER BY m.period, m.currency, m.account;

-- name: invoiced
-- By month and currency what accounts were invoiced under the month's key up to the cut, as the views
-- show it. Keys of month ends sort as their months do.
SELECT split_part(k.key, ':', 2), a.currency, count(DISTINCT i.account_id), count(*),
       sum(i.lines_count)::text, sum(i.charges_minor)::text, sum(i.credits_minor)::text,
       sum(i.tax_minor)::text, sum(i.carried_minor)::text, sum(i.total_minor)::text
FROM receivables.account AS a
JOIN ledger.command_key AS k
  ON k.lane = a.lane AND k.account_id = a.account_id
 AND k.key >= %(first_key)s AND k.key <= %(last_key)s
JOIN receivables.invoice AS i
  ON i.lane = a.lane AND i.account_id = a.account_id AND i.kind = 'invoice'
 AND i.seq >= k.first_version AND i.seq <= k.last_version
WHERE a.lane = %(lane)s AND i.position <= %(position)s
GROUP BY k.key, a.currency
ORDER BY k.key, a.currency;

-- name: categories
-- Likewise the charges by category, before tax.
SELECT split_part(k.key, ':', 2), a.currency, c.category, sum(c.amount_minor)::text
FROM receivables.account AS a
JOIN ledger.command_key AS k
  ON k.lane = a.lane AND k.account_id = a.account_id
 AND k.key >= %(first_key)s AND k.key <= %(last_key)s
JOIN receivables.invoice AS i
  ON i.lane = a.lane AND i.account_id = a.account_id AND i.kind = 'invoice'
 AND i.seq >= k.first_version AND i.seq <= k.last_version
CROSS JOIN LATERAL jsonb_to_recordset(i.categories) AS c (category text, amount_minor numeric)
WHERE a.lane = %(lane)s AND i.position <= %(position)s
GROUP BY k.key, a.currency, c.category
HAVING sum(c.amount_minor) <> 0
ORDER BY k.key, a.currency, c.category;
