-- What the documents of an account say, run as billing_reader for the account that the transaction
-- was let in for. An invoice's document reads what was known when it was issued: `position` is that
-- of the event that made it, `seq` the version.

-- name: invoice
-- An invoice or debit item as its event made it, and the payment whose return left a debit item.
SELECT i.kind, i.position, i.seq, i.period_start, i.period_end, i.issued_on, i.due_on,
       i.lines_count, i.charges_minor, i.credits_minor, i.tax_minor, i.carried_minor,
       i.total_minor, i.categories, i.taxes,
       (SELECT s.payment_id FROM receivables.payment_step AS s
        WHERE s.lane = i.lane AND s.account_id = i.account_id AND s.version = i.seq
       ) AS returned_payment
FROM receivables.invoice AS i
WHERE i.lane = %(lane)b AND i.account_id = access.account() AND i.number = %(number)b;

-- name: lines
-- The lines that an invoice took, in order.
SELECT l.kind, l.category, l.description, l.quantity, l.unit_price, l.amount_minor, l.taxes,
       l.total_minor, l.effective_on, l.late
FROM receivables.invoice_lines(
    %(lane)b, access.account(), %(number)b, %(day)b, %(position)b
) AS l
ORDER BY l.effective_on, l.seq
LIMIT %(limit)b;

-- name: periods
-- The billing periods that had been billed through some day or later before an invoice was made.
SELECT DISTINCT i.period_start, i.period_end
FROM receivables.invoice AS i
WHERE i.lane = %(lane)b AND i.account_id = access.account() AND i.kind = 'invoice'
  AND i.position < %(position)b AND i.period_end >= %(first_on)b
ORDER BY i.period_end, i.period_start;

-- name: applied
-- What the event that made an invoice put on it at once.
SELECT a.source, a.amount_minor, a.effective_on
FROM receivables.allocation AS a
WHERE a.lane = %(lane)b AND a.account_id = access.account() AND a.invoice = %(number)b
  AND a.version = %(seq)b AND a.amount_minor > 0
ORDER BY a.n;
