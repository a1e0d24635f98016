-- Which invoices carry lines that are told of elsewhere, read by whoever sees all accounts.

-- name: carriers
-- For each charge or credit for the next invoice that an invoice carries, its place among those asked
-- about and the invoice's number: as of a day, as known at a position. Line by line: OFFSET 0 keeps the
-- planner, which takes most accounts for empty, from joining all that an account has; an id as a range
-- in order fits no index but that of ids.
SELECT line.n, held.number
FROM (
    SELECT asked.n, asked.upto, a.lane, a.account_id, of_id.effective_on, of_id.seq,
           of_id.reversed_position
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
            WHERE asked.kind = 'charge' AND c.lane = a.lane AND c.account_id = a.account_id
              AND c.charge_id >= asked.id AND c.charge_id <= asked.id
            ORDER BY c.charge_id
            LIMIT 1
        )
        UNION ALL
        (
            SELECT k.effective_on, k.seq, k.reversed_position
            FROM receivables.credit AS k
            WHERE asked.kind = 'credit' AND k.lane = a.lane AND k.account_id = a.account_id
              AND k.credit_id >= asked.id AND k.credit_id <= asked.id
              AND COALESCE(k.applies_to = 'next_invoice')
            ORDER BY k.credit_id
            LIMIT 1
        )
    ) AS of_id
    OFFSET 0
) AS line
CROSS JOIN LATERAL (
    SELECT h.number
    FROM receivables.holding(
        line.lane, line.account_id, line.effective_on, line.seq, line.reversed_position,
        %(day)b::date, line.upto
    ) AS h
    OFFSET 0
) AS held
ORDER BY line.n;
