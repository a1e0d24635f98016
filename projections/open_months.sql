-- Months whose books are open, run as billing_auditor.

-- name: scope
-- Every account may be read until the transaction ends.
SELECT set_config('billing.scope', '*', true);

-- name: open_before
-- Months before the one that begins then, after the last that was cut off, that anything is posted in.
SELECT DISTINCT to_char(m.period, 'YYYY-MM') AS month
FROM journal.monthly AS m
WHERE m.period < %(first_on)s
  AND to_char(m.period, 'YYYY-MM')
      > COALESCE((SELECT max(c.period) FROM ledger.period_close AS c WHERE c.lane = 0), '')
ORDER BY month;
