-- What the views say of a lane's part of a month whose books were cut off, run as billing_auditor.

-- name: scope
-- Every account may be read until the transaction ends.
SELECT set_config('billing.scope', '*', true);

-- name: entered
-- By currency and account what entries are posted in the month, those of its days and late ones:
-- nothing past the cut is.
SELECT posted.currency, side.account, sum(side.amount_minor)::text
FROM (
    SELECT e.currency, e.debit, e.credit, e.amount_minor
    FROM journal.entry AS e
    WHERE e.lane = %(lane)s AND e.effective_on >= %(first_on)s AND e.effective_on <= %(last_on)s
      AND e.period = %(first_on)s
    UNION ALL
    SELECT e.currency, e.debit, e.credit, e.amount_minor
    FROM journal.entry AS e
    WHERE e.lane = %(lane)s AND e.period = %(first_on)s AND e.period > e.effective_on
) AS posted
CROSS JOIN LATERAL (
    VALUES (posted.debit, posted.amount_minor), (posted.credit, -posted.amount_minor)
) AS side (account, amount_minor)
GROUP BY posted.currency, side.account
HAVING sum(side.amount_minor) <> 0
ORDER BY posted.currency, side.account;

-- name: summed
-- The same by the sums of days, which trial balances are read from.
SELECT d.currency, d.account, sum(d.debit_minor - d.credit_minor)::text
FROM journal.daily AS d
WHERE d.lane = %(lane)s AND d.period = %(first_on)s
GROUP BY d.currency, d.account
HAVING sum(d.debit_minor - d.credit_minor) <> 0
ORDER BY d.currency, d.account;

-- name: invoiced
-- By currency what accounts were invoiced under the month's key up to the cut, as the views show it.
SELECT a.currency, count(DISTINCT i.account_id), count(*), sum(i.lines_count)::text,
       sum(i.charges_minor)::text, sum(i.credits_minor)::text, sum(i.tax_minor)::text,
       sum(i.carried_minor)::text, sum(i.total_minor)::text
FROM receivables.account AS a
JOIN ledger.command_key AS k
  ON k.lane = a.lane AND k.account_id = a.account_id AND k.key = %(key)s
JOIN receivables.invoice AS i
  ON i.lane = a.lane AND i.account_id = a.account_id AND i.kind = 'invoice'
 AND i.seq >= k.first_version AND i.seq <= k.last_version
WHERE a.lane = %(lane)s AND i.position <= %(position)s
GROUP BY a.currency
ORDER BY a.currency;

-- name: categories
-- Likewise the charges by category, before tax.
SELECT a.currency, c.category, sum(c.amount_minor)::text
FROM receivables.account AS a
JOIN ledger.command_key AS k
  ON k.lane = a.lane AND k.account_id = a.account_id AND k.key = %(key)s
JOIN receivables.invoice AS i
  ON i.lane = a.lane AND i.account_id = a.account_id AND i.kind = 'invoice'
 AND i.seq >= k.first_version AND i.seq <= k.last_version
CROSS JOIN LATERAL jsonb_to_recordset(i.categories) AS c (category text, amount_minor numeric)
WHERE a.lane = %(lane)s AND i.position <= %(position)s
GROUP BY a.currency, c.category
HAVING sum(c.amount_minor) <> 0
ORDER BY a.currency, c.category;
