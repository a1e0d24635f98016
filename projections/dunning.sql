-- What dunning looks at, many accounts at once, as the projector: it sees them all. Accounts come as
-- arrays of lanes and ids; n is the place (from 1) of what was asked for.

-- name: schema
-- Which schema the tables are in: a rebuild puts another one in its place.
SELECT 'receivables'::regnamespace::oid::bigint;

-- name: accounts
-- The next accounts in order of lane and id, and whether their views stopped at an event.
SELECT a.lane, a.account_id, a.account_number, a.currency, a.closed_on IS NOT NULL, a.version,
       EXISTS (
           SELECT FROM receivables.parked AS p
           WHERE p.lane = a.lane AND p.account_id = a.account_id
       )
FROM receivables.account AS a
WHERE (a.lane, a.account_id) > (%(after_lane)s, %(after)s::uuid)
ORDER BY a.lane, a.account_id
LIMIT %(limit)s;

-- name: some_accounts
-- Accounts by name, as they are now.
SELECT a.lane, a.account_id, a.account_number, a.currency, a.closed_on IS NOT NULL, a.version,
       EXISTS (
           SELECT FROM receivables.parked AS p
           WHERE p.lane = a.lane AND p.account_id = a.account_id
       )
FROM unnest(%(lanes)s::int[], %(accounts)s::uuid[]) WITH ORDINALITY AS asked (lane, account_id, n)
JOIN receivables.account AS a ON a.lane = asked.lane AND a.account_id = asked.account_id
ORDER BY asked.n;

-- name: debts
-- The invoices that were late on days that interest is to be charged for, or may be open and late on
-- the day; of accounts where one of them is not done with. A cancelled one is; one closed by the day is
-- done with once interest was charged through its last open day, or through the last day that is charged
-- for now (`through`). Null `bears_after`: there is no interest. Interest is a charge of that category whose
-- id (ledger.dunning.interest_id) ends with the day it was charged through, its own or the last of the month
-- before: the last of the invoice is `charged_through`. Ids of others may look like it, and be of any day or
-- of none.
SELECT found.n, found.number, found.due_on, found.seq, found.total_minor, found.fees_minor,
       found.is_cancelled, found.charged_through
FROM (
    SELECT asked.n, i.number, i.due_on, i.seq, i.total_minor, own.fees_minor,
           charged.through_on AS charged_through, i.is_cancelled,
           bool_or(
               NOT i.is_cancelled AND (
                   i.open_minor <> 0
                   OR i.moved_on > %(on)s::date
                   OR charged.through_on IS NULL
                   OR charged.through_on < least(i.moved_on - 1, %(through)s::date)
               )
           ) OVER (PARTITION BY asked.n) AS is_to_do
    FROM unnest(%(lanes)s::int[], %(accounts)s::uuid[])
         WITH ORDINALITY AS asked (lane, account_id, n)
    CROSS JOIN LATERAL (
        SELECT v.number, v.due_on, v.seq, v.total_minor, v.open_minor, v.moved_on, v.categories,
               v.cancelled_on IS NOT NULL AS is_cancelled,
               left(encode(sha256(convert_to(v.number, 'UTF8')), 'hex'), %(mark_chars)s) AS mark
        FROM receivables.invoice AS v
        WHERE v.lane = asked.lane AND v.account_id = asked.account_id AND v.due_on < %(on)s::date
          AND (
              v.open_minor <> 0
              OR v.moved_on > %(on)s::date
              OR %(bears_after)s::int IS NOT NULL
                 AND v.moved_on > greatest(v.due_on + 1 + %(bears_after)s::int, %(since)s::date)
          )
        OFFSET 0
    ) AS i
    CROSS JOIN LATERAL (
        SELECT COALESCE(sum((c.total ->> 'amount_minor')::bigint), 0)::bigint AS fees_minor
        FROM jsonb_array_elements(i.categories) AS c (total)
        WHERE c.total ->> 'category' = ANY(%(categories)s::text[])
    ) AS own
    LEFT JOIN LATERAL (
        SELECT ends.through_on
        FROM receivables.charge AS c
        CROSS JOIN LATERAL (
            VALUES (c.effective_on), (c.effective_on - extract(day FROM c.effective_on)::int)
        ) AS ends (through_on)
        WHERE c.lane = asked.lane AND c.account_id = asked.account_id
          AND c.charge_id > 'interest:' || i.mark || ':'
          AND c.charge_id < 'interest:' || i.mark || ';'
          AND c.charge_id = 'interest:' || i.mark || ':' || to_char(ends.through_on, 'YYYYMMDD')
          AND c.category = 'interest'
        ORDER BY c.charge_id DESC
        LIMIT 1
    ) AS charged ON true
) AS found
WHERE found.is_to_do
ORDER BY found.n, found.due_on, found.seq;

-- name: moved
-- By how much what is open and what is flagged of invoices changed, by day; what changed before they
-- were late is told of the day they fell due.
SELECT asked.n, moved.moved_on, moved.open_minor, moved.flagged_minor
FROM unnest(%(lanes)s::int[], %(accounts)s::uuid[], %(numbers)s::text[], %(due)s::date[])
     WITH ORDINALITY AS asked (lane, account_id, number, due_on, n)
CROSS JOIN LATERAL (
    SELECT greatest(m.effective_on, asked.due_on) AS moved_on,
           COALESCE(sum(m.amount_minor) FILTER (WHERE m.figure = 'open'), 0)::bigint AS open_minor,
           COALESCE(sum(m.amount_minor) FILTER (WHERE m.figure = 'flagged'), 0)::bigint
               AS flagged_minor
    FROM receivables.movement AS m
    WHERE m.lane = asked.lane AND m.account_id = asked.account_id AND m.item = asked.number
      AND m.item <> '' AND m.figure IN ('open', 'flagged') AND m.effective_on <= %(on)s::date
    GROUP BY greatest(m.effective_on, asked.due_on)
) AS moved
ORDER BY asked.n, moved.moved_on;

-- name: unapplied
-- By how much the unapplied credit of accounts changed, by day; what changed before is told of the day
-- that is given for the account.
SELECT asked.n, credit.moved_on, credit.amount_minor
FROM unnest(%(lanes)s::int[], %(accounts)s::uuid[], %(due)s::date[])
     WITH ORDINALITY AS asked (lane, account_id, due_on, n)
CROSS JOIN LATERAL (
    SELECT greatest(d.effective_on, asked.due_on) AS moved_on,
           sum(d.unapplied_minor)::bigint AS amount_minor
    FROM receivables.daily AS d
    WHERE d.lane = asked.lane AND d.account_id = asked.account_id
      AND d.effective_on <= %(on)s::date AND d.unapplied_minor <> 0
    GROUP BY greatest(d.effective_on, asked.due_on)
) AS credit
WHERE credit.amount_minor <> 0
ORDER BY asked.n, credit.moved_on;

-- name: returns
-- Returns of payments that no reinstatement undid, and that no fee was charged for (its charge's id is
-- ledger.dunning.return_fee_id).
SELECT asked.n, r.version, r.payment_id, r.amount_minor, r.effective_on
FROM unnest(%(lanes)s::int[], %(accounts)s::uuid[])
     WITH ORDINALITY AS asked (lane, account_id, n)
JOIN receivables.payment_step AS r ON r.lane = asked.lane AND r.account_id = asked.account_id
WHERE r.step = 'returned' AND r.effective_on BETWEEN %(since)s::date AND %(on)s::date
  AND NOT EXISTS (
      SELECT
      FROM receivables.payment_step AS undone
      WHERE undone.lane = r.lane AND undone.account_id = r.account_id
        AND undone.payment_id = r.payment_id AND undone.version > r.version
        AND undone.step = 'reinstated'
  )
  AND NOT EXISTS (
      SELECT
      FROM receivables.charge AS c
      WHERE c.lane = r.lane AND c.account_id = r.account_id
        AND c.charge_id = 'return-fee:' || r.version
  )
ORDER BY asked.n, r.version;

-- name: done
-- The ids, of those given by account, that a charge or a message has.
SELECT asked.n, asked.id
FROM unnest(%(lanes)s::int[], %(accounts)s::uuid[], %(ids)s::text[])
     WITH ORDINALITY AS asked (lane, account_id, id, n)
WHERE EXISTS (
    SELECT FROM receivables.charge AS c
    WHERE c.lane = asked.lane AND c.account_id = asked.account_id AND c.charge_id = asked.id
) OR EXISTS (
    SELECT FROM receivables.message AS m
    WHERE m.lane = asked.lane AND m.account_id = asked.account_id AND m.message_id = asked.id
)
ORDER BY asked.n;
