-- Which invoices carry lines that are told of elsewhere, read by whoever sees all accounts.

-- name: carriers
-- For each charge or credit for the next invoice that an invoice carries, its place among those asked
-- about and the invoice's number: as of a day, as known at a position.
SELECT asked.n, held.number
FROM unnest(
    %(lanes)b::int[], %(uptos)b::bigint[], %(account_numbers)b::text[], %(kinds)b::text[],
    %(ids)b::text[]
) WITH ORDINALITY AS asked (lane, upto, account_number, kind, id, n)
JOIN receivables.account AS a
  ON a.lane = asked.lane AND a.account_number = asked.account_number
CROSS JOIN LATERAL (
    (
        SELECT c.effective_on, c.seq, c.reversed_position
        FROM receivables.charge AS c
        WHERE asked.kind = 'charge'
          AND c.lane = a.lane AND c.account_id = a.account_id AND c.charge_id = asked.id
        LIMIT 1
    )
    UNION ALL
    (
        SELECT k.effective_on, k.seq, k.reversed_position
        FROM receivables.credit AS k
        WHERE asked.kind = 'credit' AND k.applies_to = 'next_invoice'
          AND k.lane = a.lane AND k.account_id = a.account_id AND k.credit_id = asked.id
        LIMIT 1
    )
) AS line
CROSS JOIN LATERAL receivables.holding(
    a.lane, a.account_id, line.effective_on, line.seq, line.reversed_position,
    %(day)b::date, asked.upto
) AS held
ORDER BY asked.n;
